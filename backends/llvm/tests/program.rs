//! A whole small program: two kernels, a planned buffer, weights, a symbolic extent.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]
mod harness;

use std::process::Command;
use weft_backend::Emit;
use weft_ir::{DType, Dim, Tensor};
use weft_kernel::nest::{Access, Binary, Builder, Hint, Kernel, Scalar, Ty};
use weft_kernel::program::{Memory, Planned, Port, Program, Step, Weight, WeightData};

/// One task a row of 20: `to[i] = from[i] op with[i]`, in vectors of 16 with a masked tail.
fn rows(name: &str, op: Binary) -> Kernel {
    let mut b = Builder::new(name, "map x16");
    let from = b.buffer("from", DType::F32, Access::Read);
    let with = b.buffer("with", DType::F32, Access::Read);
    let to = b.buffer("to", DType::F32, Access::Write);
    let (task, width) = (b.task(), b.index(20));
    let row = b.mul(task, width);
    let (zero, step) = (b.index(0), b.index(16));
    b.for_each(zero, width, 16, Hint::AsWritten, |b, i| {
        let left = b.sub(width, i);
        let left = b.min(left, step);
        let mask = b.first_lanes(left, 16);
        let at = b.add(row, i);
        let x = b.load_masked(from, at, 0, 16, Some(mask));
        let y = b.load_masked(with, i, 0, 16, Some(mask));
        let z = b.binary(op, x, y);
        b.store_masked(to, at, 0, z, Some(mask));
    });
    b.finish()
}

/// Sums everything over all rows, in one task.
fn total(name: &str) -> Kernel {
    let mut b = Builder::new(name, "sum");
    let from = b.buffer("from", DType::F32, Access::Read);
    let to = b.buffer("to", DType::F32, Access::Write);
    let n = b.symbol("N");
    let width = b.index(20);
    let count = b.mul(n, width);
    let zero = b.constant(Ty::scalar(DType::F32), Scalar::Float(0.0));
    let sum = b.var(zero);
    let start = b.index(0);
    b.for_each(start, count, 1, Hint::Free, |b, i| {
        let x = b.load(from, i, 0, 1);
        let so_far = b.get(sum);
        let next = b.binary(Binary::Add, so_far, x);
        b.set(sum, next);
    });
    let result = b.get(sum);
    b.store(to, start, 0, result);
    b.finish()
}

fn weight(name: &str, value: f32) -> Weight {
    let data: Vec<u8> = (0..20).flat_map(|i| (value + i as f32).to_le_bytes()).collect();
    Weight { name: name.to_string(), data: WeightData::Plain(data.into()) }
}

/// `out = (x * w0) + w1` over `[N, 20]`, and the sum of the product.
fn program() -> Program {
    let n = Dim::symbol("N");
    let bytes = n.scale(80);
    let port = |name: &str, dims| Port { name: name.to_string(), dtype: DType::F32, dims };
    let zero = Dim::fixed(0);
    let at = |memory| (memory, zero.clone());
    let launch = |kernel, args: [Memory; 3], tasks| Step::Launch { kernel, args: args.map(at).into(), tasks };
    let (w0, w1) = (Memory::Weight(0), Memory::Weight(1));
    let product = Memory::Planned(0);
    Program {
        name: "Tiny model/1".to_string(),
        symbols: vec!["N".to_string()],
        inputs: vec![port("x", vec![n.clone(), Dim::fixed(20)])],
        outputs: vec![port("out", vec![n.clone(), Dim::fixed(20)]), port("sum", vec![])],
        planned: vec![Planned { name: "product".to_string(), bytes, first: 0, last: 4 }],
        grown: 0,
        weights: vec![weight("w0", 1.0), weight("w1", 100.0)],
        kernels: vec![
            rows("mul", Binary::Mul),
            rows("add", Binary::Add),
            total("total"),
            rows("mul2", Binary::Mul),
        ],
        steps: vec![
            launch(0, [Memory::Input(0), w0, product], n.clone()),
            Step::Output { output: 0, dims: vec![n.clone(), Dim::fixed(20)] },
            launch(1, [product, w1, Memory::Output(0)], n.clone()),
            Step::Output { output: 1, dims: vec![] },
            Step::Launch { kernel: 2, args: vec![at(product), at(Memory::Output(1))], tasks: Dim::fixed(1) },
            Step::Check {
                left: n,
                right: Dim::fixed(1),
                at_least: true,
                message: "`Check` at `x`: too few rows".to_string(),
            },
        ],
    }
}

fn input(rows: u64) -> Tensor {
    let values: Vec<f32> = (0..rows * 20).map(|i| (i % 7) as f32).collect();
    Tensor::from_slice(&[rows, 20], &values).unwrap()
}

fn check(rows: u64, results: &[Tensor]) {
    let x = input(rows).to_vec::<f32>().unwrap();
    let products: Vec<f32> = x.iter().enumerate().map(|(i, x)| x * (1.0 + (i % 20) as f32)).collect();
    let out: Vec<f32> = products.iter().enumerate().map(|(i, p)| p + 100.0 + (i % 20) as f32).collect();
    assert_eq!(results[0].dims(), [rows, 20]);
    assert_eq!(results[0].to_vec::<f32>().unwrap(), out);
    assert_eq!(results[1].to_vec::<f32>().unwrap(), [products.iter().sum::<f32>()]);
}

#[test]
fn a_library_serves_all_sizes() {
    let folder = harness::folder();
    for cpu in ["native", "x86-64-v2", "x86-64-v3"] {
        let artifact = weft_llvm::compile(&program(), &harness::library(&folder, cpu)).unwrap();
        assert_eq!(artifact.stem, "Tiny_model_1");
        let path = folder.path().join(format!("{cpu}.so"));
        std::fs::rename(&artifact.path, &path).unwrap();
        for threads in [1, 2] {
            let model = harness::open(&path, threads);
            assert_eq!(model.inputs()[0].name, "x");
            for rows in [3, 1000, 1] {
                check(rows, &model.run(&[input(rows)]).unwrap());
            }
            let profile = model.profile();
            assert_eq!(profile[0].name, "mul");
            assert_eq!(profile[0].calls, 3);
            let error = model.run(&[input(0)]).unwrap_err().to_string();
            assert_eq!(error, "`Check` at `x`: too few rows: found 0, expected 1");
            let wrong = Tensor::from_slice(&[1, 3], &[1f32; 3]).unwrap();
            assert!(model.run(&[wrong]).is_err());
        }
    }
    let header = std::fs::read_to_string(folder.path().join("Tiny_model_1.h")).unwrap();
    assert!(header.contains("Tiny_model_1_open"), "{header}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = harness::folder();
    let mut options = harness::library(&folder, "native");
    let mut bytes = Vec::new();
    for threads in [1, 2] {
        options.threads = threads;
        let artifact = weft_llvm::compile(&program(), &options).unwrap();
        bytes.push(std::fs::read(artifact.path).unwrap());
    }
    assert!(bytes[0] == bytes[1]);
    assert!(bytes[0].len() < 100_000, "{}", bytes[0].len());
}

#[test]
fn a_program_runs_as_a_process() {
    let folder = harness::folder();
    let path = folder.path().join("model");
    let options = weft_llvm::Options::new(Emit::Exe, &path);
    weft_llvm::compile(&program(), &options).unwrap();
    let help = Command::new(&path).arg("--help").output().unwrap();
    assert!(help.status.success(), "{help:?}");
    let run = Command::new(&path).args(["--random", "1", "--dim", "N=5", "--threads", "2"]).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stdout).contains("out"), "{run:?}");
    let wrong = Command::new(&path).arg("--nonsense").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

#[test]
fn text_forms_and_objects_are_written() {
    let folder = harness::folder();
    for (emit, marker) in [(Emit::LlvmIr, "define"), (Emit::Asm, "weft_kernel_mul"), (Emit::Obj, "\u{7f}ELF")]
    {
        let path = folder.path().join(emit.name());
        weft_llvm::compile(&program(), &weft_llvm::Options::new(emit, &path)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(marker), "{}", emit.name());
    }
}

#[test]
fn what_is_wrong_is_named() {
    let folder = harness::folder();
    let mut options = harness::library(&folder, "i486");
    let error = weft_llvm::compile(&program(), &options).unwrap_err().to_string();
    assert!(error.starts_with("unknown processor `i486`, expected one of native, x86-64"), "{error}");
    options.cpu = "native".to_string();
    let mut broken = program();
    broken.kernels[1].body.remove(0);
    let error = weft_llvm::compile(&broken, &options).unwrap_err().to_string();
    assert_eq!(error, "kernel `add`: register r1 is read before it is written");
}
