//! Sums of products of bytes, on processors with the instruction and without, in every number of lanes:
//! all pairs of extremes, and numbers that look random, against plain arithmetic and the interpreter of kernels.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]
mod harness;

use harness::cases::{processors, same};
use weft_backend::OptLevel;
use weft_ir::{DType, Tensor};
use weft_kernel::nest::{Access, Binary, Builder, Hint, Kernel, Reg, Scalar, Ty};
use weft_kernel::program::exec;

/// What a kernel makes of bytes without and with sign, and a sum.
type Sum = fn(&mut Builder, (Reg, Reg), Reg) -> Reg;

/// `out = sum(a, b, c)` over `count` sums, which the lanes divide.
fn kernel(sum: Sum, count: i64, lanes: u32) -> Kernel {
    let mut b = Builder::new("dots", "by hand");
    let left = b.buffer("a", DType::U8, Access::Read);
    let right = b.buffer("b", DType::I8, Access::Read);
    let start = b.buffer("c", DType::I32, Access::Read);
    let out = b.buffer("out", DType::I32, Access::Write);
    let (zero, end, four) = (b.index(0), b.index(count), b.index(4));
    b.for_each(zero, end, i64::from(lanes), Hint::AsWritten, |b, i| {
        let byte = b.mul(i, four);
        let (x, y) = (b.load(left, byte, 0, 4 * lanes), b.load(right, byte, 0, 4 * lanes));
        let before = b.load(start, i, 0, lanes);
        let after = sum(b, (x, y), before);
        b.store(out, i, 0, after);
    });
    b.finish()
}

fn dot4(b: &mut Builder, (x, y): (Reg, Reg), sum: Reg) -> Reg {
    b.dot4(x, y, sum)
}

/// The same by pairs, of bytes without sign up to 127: what fits 16 bits.
fn by_pairs(b: &mut Builder, (x, y): (Reg, Reg), sum: Reg) -> Reg {
    let lanes = b.ty(sum).lanes;
    let (low, half) = (Ty::vector(DType::U8, 4 * lanes), Ty::vector(DType::I16, 2 * lanes));
    let (low, none) = (b.constant(low, Scalar::Int(127)), b.constant(half, Scalar::Int(0)));
    let x = b.binary(Binary::And, x, low);
    let pairs = b.dot2(x, y, none);
    b.pairs(pairs, sum)
}

/// Bytes, and where sums start.
struct Bytes {
    a: Vec<u8>,
    b: Vec<i8>,
    c: Vec<i32>,
}

impl Bytes {
    fn new() -> Self {
        let (unsigned, signed) = ([0, 1, 127, 128, 255], [0, 1, -1, 127, -127, -128]);
        let quads = unsigned.iter().flat_map(|x| signed.iter().map(move |y| (*x, *y)));
        let mut pairs: Vec<(u8, i8)> = quads.flat_map(|pair| [pair; 4]).collect();
        let mut state = 7u64;
        while pairs.len() < 512 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            pairs.push(((state >> 40) as u8, (state >> 50) as i8));
        }
        let starts = [0, 1, -1, i32::MAX, i32::MIN, 1 << 20];
        let c = (0..pairs.len() / 4).map(|i| starts[i % starts.len()]).collect();
        let (a, b) = pairs.into_iter().unzip();
        Self { a, b, c }
    }

    /// Sums of the products of bytes, of those without sign only the bits of a mask.
    fn expected(&self, mask: u8) -> Vec<i32> {
        let product = |i: usize| i32::from(self.a[i] & mask) * i32::from(self.b[i]);
        let sum = |lane: usize| (4 * lane..4 * lane + 4).map(product).sum::<i32>();
        self.c.iter().enumerate().map(|(lane, c)| c.wrapping_add(sum(lane))).collect()
    }
}

/// Runs sums in every number of lanes, compiled for every processor and interpreted.
fn everywhere(sum: Sum, mask: u8) {
    let bytes = Bytes::new();
    let inputs = [Tensor::vector(&bytes.a), Tensor::vector(&bytes.b), Tensor::vector(&bytes.c)];
    let expected = Tensor::vector(&bytes.expected(mask));
    let outputs = [(DType::I32, expected.dims().to_vec())];
    for lanes in [1, 2, 4, 8, 16] {
        let kernel = || kernel(sum, bytes.c.len() as i64, lanes);
        for cpu in processors().into_iter().chain(["native"]) {
            let found = harness::run(kernel(), &inputs, &outputs, 1, cpu, OptLevel::O2);
            same(&format!("x{lanes} on {cpu}"), &inputs[2..], &found[0], &expected);
        }
        let program = harness::program(kernel(), &inputs, &outputs, 1);
        let found = exec::run(&program, &inputs).unwrap();
        same(&format!("x{lanes}, interpreted"), &inputs[2..], &found[0], &expected);
    }
}

#[test]
fn dots_are_exact_everywhere() {
    everywhere(dot4, 0xff);
}

#[test]
fn sums_by_pairs_are_exact_everywhere() {
    everywhere(by_pairs, 0x7f);
}

#[test]
fn the_interpreter_tells_of_sums_that_do_not_fit() {
    let bytes = (vec![255u8; 64], vec![127i8; 64], vec![0i32; 16]);
    let inputs = [Tensor::vector(&bytes.0), Tensor::vector(&bytes.1), Tensor::vector(&bytes.2)];
    let mut b = Builder::new("pairs", "by hand");
    let left = b.buffer("a", DType::U8, Access::Read);
    let right = b.buffer("b", DType::I8, Access::Read);
    let out = b.buffer("out", DType::I16, Access::Write);
    let none = b.constant(Ty::vector(DType::I16, 8), Scalar::Int(0));
    let zero = b.index(0);
    let (x, y) = (b.load(left, zero, 0, 16), b.load(right, zero, 0, 16));
    let sums = b.dot2(x, y, none);
    b.store(out, zero, 0, sums);
    let program = harness::program(b.finish(), &inputs[..2], &[(DType::I16, vec![8])], 1);
    let error = exec::run(&program, &inputs[..2]).unwrap_err().to_string();
    assert!(error.contains("64770 is no `i16`"), "{error}");
}

#[test]
fn processors_with_the_instruction_use_it() {
    let folder = harness::folder();
    for (cpu, has) in [("znver4", true), ("alderlake", true), ("x86-64-v4", false), ("x86-64-v3", false)] {
        let lanes = weft_llvm::target(cpu).unwrap().lanes(DType::F32);
        let inputs = [Tensor::vector(&[0u8; 64]), Tensor::vector(&[0i8; 64]), Tensor::vector(&[0i32; 16])];
        let program = harness::program(kernel(dot4, 16, lanes), &inputs, &[(DType::I32, vec![16])], 1);
        let options = weft_llvm::Options {
            emit: weft_backend::Emit::Asm,
            output: folder.path().join("dots.s"),
            ..harness::library(&folder, cpu)
        };
        let artifact = weft_llvm::compile(&program, &options).unwrap();
        let text = std::fs::read_to_string(&artifact.path).unwrap();
        assert_eq!(text.contains("vpdpbusd"), has, "{cpu}");
        assert_eq!(text.contains("vpmaddwd"), !has, "{cpu}");
    }
}
