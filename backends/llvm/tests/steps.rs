//! The steps of a run: control flow, symbols decided at run time, copies, checks, extents.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]
mod harness;

use weft_ir::{DType, Dim, Tensor};
use weft_kernel::nest::{Access, Binary, Builder, Kernel, Scalar, Ty};
use weft_kernel::program::{Memory, Planned, Port, Program, Step};
use weft_load::Executable;

/// `to[task] = from[task] + amount`.
fn plus(name: &str, amount: i64) -> Kernel {
    let mut b = Builder::new(name, "map");
    let from = b.buffer("from", DType::I64, Access::Read);
    let to = b.buffer("to", DType::I64, Access::Write);
    let task = b.task();
    let x = b.load(from, task, 0, 1);
    let amount = b.constant(Ty::scalar(DType::I64), Scalar::Int(amount));
    let y = b.binary(Binary::Add, x, amount);
    b.store(to, task, 0, y);
    b.finish()
}

/// `to[0] = from[0] < 1000`.
fn below(name: &str) -> Kernel {
    let mut b = Builder::new(name, "map");
    let from = b.buffer("from", DType::I64, Access::Read);
    let to = b.buffer("to", DType::Bool, Access::Write);
    let (zero, limit) = (b.index(0), b.index(1000));
    let x = b.load(from, zero, 0, 1);
    let less = b.compare(weft_kernel::nest::Compare::Lt, x, limit);
    b.store(to, zero, 0, less);
    b.finish()
}

fn at(memory: Memory) -> (Memory, Dim) {
    (memory, Dim::fixed(0))
}

fn launch(kernel: u32, from: Memory, to: Memory, tasks: i64) -> Step {
    Step::Launch { kernel, args: vec![at(from), at(to)], tasks: Dim::fixed(tasks) }
}

fn port(name: &str, dtype: DType, dims: Vec<Dim>) -> Port {
    Port { name: name.to_string(), dtype, dims }
}

fn planned(count: usize) -> Vec<Planned> {
    let one = |_| Planned { name: "p".to_string(), bytes: Dim::fixed(64), first: 0, last: 99 };
    (0..count).map(one).collect()
}

fn program(symbols: &[&str], inputs: Vec<Port>, outputs: Vec<Port>, steps: Vec<Step>) -> Program {
    Program {
        name: "steps".to_string(),
        symbols: symbols.iter().map(|s| s.to_string()).collect(),
        inputs,
        outputs,
        planned: planned(2),
        grown: 1,
        weights: Vec::new(),
        kernels: vec![plus("plus_one", 1), plus("plus_hundred", 100), below("below")],
        steps,
    }
}

fn opened(program: &Program) -> (Executable, tempfile::TempDir) {
    let folder = harness::folder();
    let artifact = weft_llvm::compile(program, &harness::library(&folder, "native")).unwrap();
    (harness::open(&artifact.path, 1), folder)
}

fn numbers(tensor: &Tensor) -> Vec<i64> {
    tensor.to_vec::<i64>().unwrap()
}

#[test]
fn one_of_two_branches_runs() {
    let (x, flag, y) = (Memory::Input(0), Memory::Input(1), Memory::Output(0));
    let nested = Step::If {
        condition: flag,
        then: vec![launch(1, x, Memory::Planned(0), 3)],
        otherwise: vec![
            launch(0, x, Memory::Planned(0), 3),
            Step::If { condition: flag, then: vec![], otherwise: vec![launch(1, x, Memory::Planned(1), 3)] },
        ],
    };
    let steps = vec![
        nested,
        Step::Output { output: 0, dims: vec![Dim::fixed(3)] },
        Step::Copy { from: at(Memory::Planned(0)), to: at(y), bytes: Dim::fixed(24) },
    ];
    let three = || vec![Dim::fixed(3)];
    let inputs = vec![port("x", DType::I64, three()), port("flag", DType::Bool, vec![])];
    let program = program(&[], inputs, vec![port("y", DType::I64, three())], steps);
    let (model, _folder) = opened(&program);
    for (flag, expected) in [(true, [101, 102, 103]), (false, [2, 3, 4])] {
        let inputs = [Tensor::vector(&[1i64, 2, 3]), Tensor::scalar(flag)];
        assert_eq!(numbers(&model.run(&inputs).unwrap()[0]), expected);
    }
}

#[test]
fn loops_count_and_stop() {
    let (x, trips, y) = (Memory::Input(0), Memory::Input(1), Memory::Output(0));
    let (value, holds) = (Memory::Planned(0), Memory::Planned(1));
    let body = vec![launch(1, value, value, 1), launch(2, value, holds, 1)];
    let steps = vec![
        Step::Read { symbol: 0, from: trips, dtype: DType::I32, index: 0 },
        Step::Copy { from: at(x), to: at(value), bytes: Dim::fixed(8) },
        launch(2, value, holds, 1),
        Step::Loop { index: 1, trips: Dim::symbol("trips"), condition: Some(holds), body },
        Step::Set { symbol: 2, value: Dim::symbol("i").plus(1) },
        Step::Output { output: 0, dims: vec![Dim::symbol("shape")] },
        Step::Launch {
            kernel: 1,
            args: vec![at(value), at(y)],
            tasks: Dim::symbol("shape").smaller(&Dim::fixed(1)),
        },
    ];
    let inputs = vec![port("x", DType::I64, vec![Dim::fixed(1)]), port("trips", DType::I32, vec![])];
    let outputs = vec![port("y", DType::I64, vec![Dim::symbol("shape")])];
    let (model, _folder) = opened(&program(&["trips", "i", "shape"], inputs, outputs, steps));
    // By the count, by the condition, not at all.
    for (x, trips, value, count) in
        [(0, 3i32, 400, 3), (850, 50, 1150, 2), (5, 0, 105, 0), (2000, 9, 2100, 0)]
    {
        let found = &model.run(&[Tensor::vector(&[x as i64]), Tensor::scalar(trips)]).unwrap()[0];
        assert_eq!(found.dims(), [count as u64 + 1]);
        assert_eq!(numbers(found)[0], value, "{x} {trips}");
    }
}

#[test]
fn extents_are_computed_as_the_compiler_does() {
    let (n, m) = (Dim::symbol("N"), Dim::symbol("M"));
    let extents = [
        n.plus(1),
        n.mul(&m).scale(3).plus(2),
        n.plus(-7).div_floor(&Dim::fixed(2)).plus(10),
        n.plus(-7).modulo(&Dim::fixed(4)),
        n.scale(5).div_floor(&m),
        n.plus(3).modulo(&m.plus(1)),
        n.smaller(&m),
        n.larger(&m).div_ceil(&Dim::fixed(16)),
    ];
    let outputs =
        (0..extents.len()).map(|i| port(&format!("o{i}"), DType::U8, vec![Dim::unknown()])).collect();
    let steps = extents.iter().enumerate();
    let steps = steps.map(|(i, e)| Step::Output { output: i as u32, dims: vec![e.clone()] }).collect();
    let inputs = vec![port("a", DType::U8, vec![n]), port("b", DType::U8, vec![m])];
    let (model, _folder) = opened(&program(&["N", "M"], inputs, outputs, steps));
    for (n, m) in [(1u64, 1u64), (3, 5), (6, 4), (100, 7)] {
        let bytes = |count: u64| Tensor::vector(&vec![0u8; count as usize]);
        let found = model.run(&[bytes(n), bytes(m)]).unwrap();
        for (extent, found) in extents.iter().zip(found) {
            let value = |name: &str| Some(if name == "N" { n as i64 } else { m as i64 });
            assert_eq!(Some(found.dims()[0] as i64), extent.eval(&value), "{extent} at {n}, {m}");
        }
    }
    let error = model.run(&[Tensor::vector(&[0u8; 4]), Tensor::vector::<u8>(&[])]).unwrap_err();
    assert_eq!(error.to_string(), "integer division by zero");
}

#[test]
fn buffers_grow() {
    let steps = vec![
        Step::Grow { grown: 0, bytes: Dim::symbol("N").scale(8) },
        Step::Copy { from: at(Memory::Input(0)), to: at(Memory::Grown(0)), bytes: Dim::symbol("N").scale(8) },
        Step::Output { output: 0, dims: vec![Dim::symbol("N")] },
        Step::Launch {
            kernel: 0,
            args: vec![at(Memory::Grown(0)), at(Memory::Output(0))],
            tasks: Dim::symbol("N"),
        },
    ];
    let n = || vec![Dim::symbol("N")];
    let (inputs, outputs) = (vec![port("x", DType::I64, n())], vec![port("y", DType::I64, n())]);
    let (model, _folder) = opened(&program(&["N"], inputs, outputs, steps));
    for count in [5i64, 50_000, 2] {
        let x: Vec<i64> = (0..count).collect();
        let y: Vec<i64> = (1..=count).collect();
        assert_eq!(numbers(&model.run(&[Tensor::vector(&x)]).unwrap()[0]), y);
    }
}

#[test]
fn what_a_program_lacks_is_named() {
    let folder = harness::folder();
    let compiled = |steps: Vec<Step>| {
        let program = program(&[], vec![], vec![], steps);
        weft_llvm::compile(&program, &harness::library(&folder, "native")).unwrap_err().to_string()
    };
    let step = Step::Grow { grown: 0, bytes: Dim::symbol("K") };
    assert_eq!(compiled(vec![step]), "program `steps`: nothing defines the symbol `K`");
    let step = Step::Launch { kernel: 0, args: vec![at(Memory::Planned(0))], tasks: Dim::fixed(1) };
    assert_eq!(compiled(vec![step]), "program `steps`: `plus_one` takes 2 buffers, found 1");
    let step = Step::Copy { from: at(Memory::Input(3)), to: at(Memory::Planned(0)), bytes: Dim::fixed(1) };
    assert!(compiled(vec![step]).contains("of number 3"));
}
