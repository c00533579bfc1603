//! Products with weights of few bits against the reference interpreter: every width, both block axes, blocks
//! from 16 elements to all, one row and more, extents that fill no vector and no chunk; on the left numbers, or
//! bytes with a scale for each row, or for each row and group of columns.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::{Attr, DType, Def, Dim, Graph, Module, Node, OpSet, Stage, Tensor, TensorType, Value};
use weft_kernel::program::{Program, exec};
use weft_kernel::schedule::Machine;

/// What one matrix of codes is.
#[derive(Debug, Clone, Copy)]
struct Matrix {
    dtype: DType,
    /// Codes are below this; for signed types half of them are negative.
    codes: u64,
    extents: [u64; 2],
    axis: u64,
    block: u64,
    zeros: bool,
    /// The consumer: `MatMul`, or a `Gemm` with the matrix transposed.
    turned: bool,
    /// Whether the left-hand side is bytes.
    bytes: bool,
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % bound
    }

    /// Numbers from -1 to 1 in so many steps to 1: powers of two make numbers that an `f16` holds.
    fn floats(&mut self, dims: &[u64], steps: u64) -> Tensor {
        let count: u64 = dims.iter().product();
        let number = |below: u64| below as f32 / steps as f32 - 1.0;
        let values: Vec<f32> = (0..count).map(|_| number(self.below(2 * steps + 1))).collect();
        Tensor::from_slice(dims, &values).unwrap()
    }

    /// Codes of a few bits each, packed from the low end of each byte.
    fn codes(&mut self, dtype: DType, bound: u64, dims: &[u64]) -> Tensor {
        let (count, bits) = (dims.iter().product::<u64>(), u64::from(dtype.bits()));
        let mut bytes = vec![0u8; (count * bits).div_ceil(8) as usize];
        let low = if dtype.kind() == weft_ir::types::Kind::Signed { bound / 2 } else { 0 };
        for i in 0..count {
            let code = self.below(bound).wrapping_sub(low) & ((1 << bits) - 1);
            bytes[(i * bits / 8) as usize] |= (code << (i * bits % 8)) as u8;
        }
        Tensor::new(dtype, dims.to_vec(), bytes.into()).unwrap()
    }
}

fn constant(graph: &mut Graph, name: &str, tensor: Tensor) -> Option<Value> {
    let ty = TensorType::fixed(tensor.dtype(), tensor.dims());
    let node = Node::new("Const", vec![Def { name: name.to_string(), ty }]);
    let node = graph.add(node.with("value", Attr::Tensor(Arc::new(tensor))), &[]);
    Some(Value { node, slot: 0 })
}

fn add(graph: &mut Graph, node: Node, operands: &[Option<Value>]) -> Value {
    Value { node: graph.add(node, operands), slot: 0 }
}

fn result(name: &str) -> Vec<Def> {
    vec![Def { name: name.to_string(), ty: TensorType::unranked(DType::F32) }]
}

impl Matrix {
    fn depth(&self) -> u64 {
        self.extents[usize::from(self.turned)]
    }

    /// How many matrices lie side by side, where the left-hand side is bytes for each group of columns.
    fn beside(&self) -> Option<u64> {
        (self.bytes && !self.turned && self.axis == 1).then(|| self.extents[1] / self.block)
    }

    /// The extents of the left-hand side: of numbers, and of the scales of bytes.
    fn left(&self, rows: Dim) -> [Vec<Dim>; 2] {
        let of = |cols: u64| match self.beside() {
            Some(groups) => {
                vec![rows.clone(), Dim::fixed(groups as i64), Dim::fixed(1), Dim::fixed(cols as i64)]
            }
            None => vec![rows.clone(), Dim::fixed(cols as i64)],
        };
        [of(self.depth()), of(1)]
    }

    /// The extents of codes and scales.
    fn right(&self) -> [Vec<u64>; 2] {
        if let Some(groups) = self.beside() {
            return [vec![groups, self.depth(), self.block], vec![groups, self.depth(), 1]];
        }
        let mut scales = self.extents;
        scales[self.axis as usize] = scales[self.axis as usize].div_ceil(self.block);
        [self.extents.to_vec(), scales.to_vec()]
    }
}

/// The left-hand side of a product, of `M` rows.
fn left(graph: &mut Graph, i: usize, matrix: &Matrix) -> Value {
    let [numbers, scales] = matrix.left(Dim::symbol("M"));
    if !matrix.bytes {
        return graph.add_input(&format!("x{i}"), TensorType::new(DType::F32, numbers));
    }
    let codes = graph.add_input(&format!("x{i}"), TensorType::new(DType::I8, numbers));
    let scales = graph.add_input(&format!("xs{i}"), TensorType::new(DType::F32, scales));
    let node = Node::new("DequantizeLinear", result(&format!("a{i}")))
        .with("axis", Attr::Int(-1))
        .with("block_size", Attr::Int(matrix.depth() as i64));
    add(graph, node, &[Some(codes), Some(scales)])
}

/// What goes in for each matrix.
fn inputs(matrices: &[Matrix], rows: u64) -> Vec<Tensor> {
    let mut numbers = Numbers(rows);
    let mut inputs = Vec::new();
    for matrix in matrices {
        let extents =
            |dims: &Vec<Dim>| dims.iter().map(|dim| dim.as_fixed().unwrap() as u64).collect::<Vec<_>>();
        let [left, scales] = matrix.left(Dim::fixed(rows as i64));
        if matrix.bytes {
            inputs.push(numbers.codes(DType::I8, 256, &extents(&left)));
            inputs.push(numbers.floats(&extents(&scales), 1000));
        } else {
            inputs.push(numbers.floats(&extents(&left), 1000));
        }
    }
    inputs
}

/// A graph with a product for each matrix; the left-hand sides have `M` rows.
fn module(matrices: &[Matrix]) -> Module {
    let mut graph = Graph::new("main");
    let (mut numbers, mut outputs) = (Numbers(3), Vec::new());
    for (i, matrix) in matrices.iter().enumerate() {
        let x = left(&mut graph, i, matrix);
        let [extents, scales] = matrix.right();
        let codes = numbers.codes(matrix.dtype, matrix.codes, &extents);
        let codes = constant(&mut graph, &format!("q{i}"), codes);
        let zeros = matrix.zeros.then(|| numbers.codes(matrix.dtype, matrix.codes, &scales));
        let steps = if i % 2 == 0 { 1000 } else { 512 };
        let scales = match matrix.beside() {
            Some(_) => {
                Tensor::from_slice(&scales, &vec![1f32; scales.iter().product::<u64>() as usize]).unwrap()
            }
            None => numbers.floats(&scales, steps),
        };
        let scales = constant(&mut graph, &format!("s{i}"), scales);
        let zeros = zeros.and_then(|zeros| constant(&mut graph, &format!("z{i}"), zeros));
        let axis = if matrix.beside().is_some() { 2 } else { matrix.axis as i64 };
        let node = Node::new("DequantizeLinear", result(&format!("w{i}")))
            .with("axis", Attr::Int(axis))
            .with("block_size", Attr::Int(matrix.block as i64));
        let weights = add(&mut graph, node, &[codes, scales, zeros]);
        let node = match matrix.turned {
            true => Node::new("Gemm", result(&format!("y{i}"))).with("transB", Attr::Int(1)),
            false => Node::new("MatMul", result(&format!("y{i}"))),
        };
        let mut product = add(&mut graph, node, &[Some(x), Some(weights)]);
        if matrix.beside().is_some() {
            let shape = Tensor::vector(&[0i64, matrix.extents[1] as i64]);
            let shape = constant(&mut graph, &format!("shape{i}"), shape);
            product =
                add(&mut graph, Node::new("Reshape", result(&format!("r{i}"))), &[Some(product), shape]);
        }
        outputs.push(product);
    }
    graph.set_outputs(outputs);
    let mut module = Module::new(Stage::Canonical, graph);
    weft_ir::infer::infer(&mut module.graph, OpSet::builtin()).unwrap();
    module
}

fn lowered(module: &Module, machine: &Machine) -> Program {
    weft_kernel::lower::lower(module, OpSet::builtin(), machine).unwrap()
}

/// That products read codes, not numbers, and bytes where there are some.
fn reads_codes(program: &Program, matrices: &[Matrix]) {
    let schedules: Vec<&str> = program.kernels.iter().map(|k| k.schedule.as_str()).collect();
    let of = |what: &str| schedules.iter().filter(|s| s.starts_with("codes") && s.contains(what)).count();
    let bytes = matrices.iter().filter(|m| m.bytes).count();
    assert_eq!((of(""), of("dot4")), (matrices.len(), bytes), "{schedules:?}");
    assert!(bytes > 0 || schedules.len() == matrices.len(), "{schedules:?}");
}

fn compare(matrices: &[Matrix], what: &str, found: &[Tensor], expected: &[Tensor]) {
    for ((matrix, found), expected) in matrices.iter().zip(found).zip(expected) {
        assert_eq!(found.dims(), expected.dims(), "{what}: {matrix:?}");
        let (found, expected) = (found.to_f64s().unwrap(), expected.to_f64s().unwrap());
        let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        for (i, (x, y)) in found.iter().zip(&expected).enumerate() {
            let wrong = format!("{what}: {matrix:?} element {i}: found {x}, expected {y}");
            assert!((x - y).abs() <= 1e-5 * largest, "{wrong}");
        }
    }
}

fn check(matrices: &[Matrix]) {
    let module = module(matrices);
    let dots = Machine { dots: true, ..Machine::X86_V4 };
    let (ahead, short) = (Machine { asks: false, ..dots }, Machine { dots: true, ..Machine::X86_V3 });
    let machines = [
        (Machine::X86_V3, "x86-64-v3"),
        (Machine::X86_V4, "x86-64-v4"),
        (dots, "x86-64-v4"),
        (ahead, "x86-64-v4"),
        (short, "alderlake"),
    ];
    for (machine, cpu) in machines {
        let program = lowered(&module, &machine);
        reads_codes(&program, matrices);
        let compiled = Compiled::new(&program, cpu);
        // One row, fewer than a tile has, and so many that codes are taken apart once for all.
        for rows in [1, 3, 23] {
            let inputs = inputs(matrices, rows);
            let shared: Vec<Arc<Tensor>> = inputs.iter().cloned().map(Arc::new).collect();
            let expected = Interpreter::default().run(&module, &shared).unwrap();
            let what = format!("{cpu}, {rows} rows");
            compare(matrices, &what, &exec::run(&program, &inputs).unwrap(), &expected);
            if let Some(compiled) = &compiled {
                compare(matrices, &what, &compiled.executable.run(&inputs).unwrap(), &expected);
            }
        }
    }
}

/// Compiled code, where this machine can run it.
struct Compiled {
    executable: weft_load::Executable,
    _folder: tempfile::TempDir,
}

impl Compiled {
    fn new(program: &Program, cpu: &str) -> Option<Self> {
        let runs = match cpu {
            "x86-64-v4" => std::arch::is_x86_feature_detected!("avx512f"),
            "alderlake" => std::arch::is_x86_feature_detected!("avxvnni"),
            _ => true,
        };
        if !runs {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut options = weft_llvm::Options::new(weft_backend::Emit::Lib, folder.path().join("model.so"));
        (options.cpu, options.threads) = (cpu.to_string(), 1);
        options.level = weft_backend::OptLevel::O1;
        let artifact = weft_llvm::compile(program, &options).unwrap();
        let options = weft_load::Options { threads: 1, profile: false };
        let executable = weft_load::Executable::open(&artifact.path, options).unwrap();
        Some(Self { executable, _folder: folder })
    }
}

/// Both axes, blocks short and long, with and without zero points, for codes of one width.
fn width(dtype: DType, codes: u64) {
    let of = |extents: [u64; 2], axis: u64, block: u64, zeros: bool| Matrix {
        dtype,
        codes,
        extents,
        axis,
        block,
        zeros,
        turned: false,
        bytes: false,
    };
    let all = [
        of([37, 200], 0, 16, true),
        of([96, 40], 0, 32, false),
        of([37, 64], 0, 37, true),
        of([37, 200], 1, 16, true),
        of([64, 288], 1, 128, false),
        of([20, 40], 1, 32, true),
        of([20, 40], 1, 40, true),
        Matrix { turned: true, ..of([200, 48], 1, 16, true) },
        Matrix { turned: true, ..of([64, 33], 0, 32, false) },
    ];
    // Signed codes differ in what a packed code of 0 stands for, and in nothing else.
    let signed = dtype.kind() == weft_ir::types::Kind::Signed;
    check(if signed { &all[..2] } else { &all });
    let bytes = |matrix: Matrix| Matrix { bytes: true, ..matrix };
    let few = [
        bytes(of([96, 200], 0, 32, true)),
        bytes(of([160, 40], 0, 64, false)),
        Matrix { turned: true, ..bytes(of([33, 64], 1, 32, true)) },
        // More than one part of the depth.
        bytes(of([800, 72], 0, 96, true)),
        // Groups of columns: less than a panel, as much, more, all; a depth that fills no chunk, and of some parts.
        bytes(of([64, 96], 1, 32, true)),
        bytes(of([37, 192], 1, 64, false)),
        bytes(of([96, 384], 1, 192, true)),
        bytes(of([20, 40], 1, 40, true)),
        bytes(of([1700, 256], 1, 128, true)),
    ];
    check(&few);
    // One block of 8 bits is a matrix of bytes.
    if dtype.bits() < 8 {
        check(&[bytes(of([37, 136], 0, 37, true)), bytes(of([37, 130], 0, 37, false))]);
        // Groups that are longer than a part of the depth, and that fill no chunk.
        check(&[bytes(of([1700, 24], 0, 1700, true)), bytes(of([300, 24], 0, 300, false))]);
    }
}

#[test]
fn two_bits() {
    width(DType::U2, 4);
    width(DType::I2, 4);
}

#[test]
fn three_bits() {
    width(DType::U4, 8);
    width(DType::I4, 8);
}

#[test]
fn four_bits() {
    width(DType::U4, 16);
    width(DType::I4, 16);
}

#[test]
fn eight_bits() {
    width(DType::U8, 256);
    width(DType::I8, 256);
}

/// The head of a language model has hundreds of groups of columns: so many scales of 1 that constants of that size are
/// not looked at elsewhere.
#[test]
fn matrices_side_by_side_may_be_many() {
    let matrix = Matrix {
        dtype: DType::U4,
        codes: 16,
        extents: [1056, 2048],
        axis: 1,
        block: 32,
        zeros: true,
        turned: false,
        bytes: true,
    };
    reads_codes(&lowered(&module(&[matrix]), &Machine::X86_V3), &[matrix]);
}

#[test]
fn numbers_that_are_not_finite_make_their_row_so() {
    let of = |axis: u64, zeros: bool| Matrix {
        dtype: DType::U4,
        codes: 16,
        extents: [96, 128],
        axis,
        block: 32,
        zeros,
        turned: false,
        bytes: false,
    };
    let matrices = [of(0, false), of(0, true), of(1, false), of(1, true)];
    let module = module(&matrices);
    let program = lowered(&module, &Machine { dots: true, ..Machine::X86_V4 });
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        // A row with such a number, one of zeros, one with a number that is much larger than the others.
        let rows: Vec<f32> = (0..3 * 96u32)
            .map(|i| match i {
                50 => number,
                96..192 => 0.0,
                200 => 3e4,
                _ => (i * 7 % 13) as f32 - 6.0,
            })
            .collect();
        let inputs = vec![Tensor::from_slice(&[3, 96], &rows).unwrap(); matrices.len()];
        let shared: Vec<Arc<Tensor>> = inputs.iter().cloned().map(Arc::new).collect();
        let expected = Interpreter::default().run(&module, &shared).unwrap();
        for (found, expected) in exec::run(&program, &inputs).unwrap().iter().zip(&expected) {
            let (found, expected) = (found.to_f64s().unwrap(), expected.to_f64s().unwrap());
            assert!(found[..128].iter().all(|x| !x.is_finite()), "{number}: {:?}", &found[..128]);
            assert!(found[128..256].iter().all(|x| *x == 0.0), "{:?}", &found[128..256]);
            let largest = expected[256..].iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let close = |(x, y): (&f64, &f64)| (x - y).abs() <= 1e-6 * largest;
            assert!(found[256..].iter().zip(&expected[256..]).all(close), "{:?}", &found[256..]);
        }
    }
}

/// Where each block of the assembly that multiplies bytes loads whole vectors from, in its order.
fn loads(assembly: &str) -> Vec<Vec<i64>> {
    let blocks = assembly.split("\n.LBB").filter(|block| block.contains("vpdpbusd"));
    let load = |line: &str| {
        let from = line.strip_prefix("\tvmovdqu64\t").or_else(|| line.strip_prefix("\tvmovups\t"))?;
        let (before, after) = from.split_once('(')?;
        after.contains(", %zmm").then(|| before.parse().unwrap_or(0))
    };
    blocks.map(|block| block.lines().filter_map(load).collect()).collect()
}

#[test]
fn codes_of_a_row_are_loaded_in_rising_order() {
    let matrix = Matrix {
        dtype: DType::U4,
        codes: 16,
        extents: [1024, 1024],
        axis: 0,
        block: 128,
        zeros: false,
        turned: false,
        bytes: true,
    };
    let program = lowered(&module(&[matrix]), &Machine { asks: false, dots: true, ..Machine::X86_V4 });
    let mut options = weft_llvm::Options::new(weft_backend::Emit::Asm, "codes.s");
    (options.cpu, options.threads) = ("znver4".to_string(), 1);
    let found = loads(&weft_llvm::listing(&program, &options).unwrap());
    // Eight vectors of a panel; tiles of more rows have fewer.
    let all: Vec<&Vec<i64>> = found.iter().filter(|loads| loads.len() == 8).collect();
    assert!(!all.is_empty() && all.iter().all(|loads| loads.is_sorted()), "{found:?}");
}
