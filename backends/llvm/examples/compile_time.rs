//! Prints how long a model of a hundred kernels takes to compile: `cargo run --release --example compile_time`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]
#[path = "../tests/harness/mod.rs"]
mod harness;

use harness::gemm::{Shape, product};
use std::time::Instant;
use weft_ir::{DType, Dim};
use weft_kernel::nest::{Access, Binary, Builder, Hint, Kernel, Op, Reduce, Reg, Unary};
use weft_kernel::program::{Memory, Port, Program, Step};

/// `exp` of a vector by a polynomial, as schedules write it.
fn exp(b: &mut Builder, x: Reg) -> Reg {
    let lanes = b.ty(x).lanes;
    let mut c = |v: f32| b.f32(lanes, v);
    let (log2e, high, low) = (c(std::f32::consts::LOG2_E), c(-0.693_359_4), c(2.121_944_4e-4));
    let terms = [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5].map(&mut c);
    let one = c(1.0);
    let scaled = b.binary(Binary::Mul, x, log2e);
    let n = b.unary(Unary::RoundEven, scaled);
    let r = b.fma(n, high, x);
    let r = b.fma(n, low, r);
    let mut p = terms[0];
    for term in &terms[1..] {
        p = b.fma(p, r, *term);
    }
    let squared = b.binary(Binary::Mul, r, r);
    let p = b.fma(p, squared, r);
    let p = b.binary(Binary::Add, p, one);
    let n = b.cast(n, DType::I32);
    let twenty_three = b.constant(b.ty(n), weft_kernel::nest::Scalar::Int(23));
    let shifted = b.binary(Binary::Shl, n, twenty_three);
    let bits = b.bitcast(p, DType::I32);
    let sum = b.binary(Binary::Add, bits, shifted);
    b.bitcast(sum, DType::F32)
}

/// A softmax over rows of a width, in three sweeps.
fn softmax(width: i64) -> Kernel {
    let mut b = Builder::new(&format!("softmax_{width}"), "softmax");
    let from = b.buffer("from", DType::F32, Access::Read);
    let to = b.buffer("to", DType::F32, Access::Write);
    let (task, zero, end) = (b.task(), b.index(0), b.index(width));
    let row = b.mul(task, end);
    let least = b.f32(16, f32::MIN);
    let most = b.var(least);
    b.for_each(zero, end, 16, Hint::AsWritten, |b, i| {
        let at = b.add(row, i);
        let (x, m) = (b.load(from, at, 0, 16), b.get(most));
        let m = b.binary(Binary::Max, m, x);
        b.set(most, m);
    });
    let m = b.get(most);
    let m = b.reduce(Reduce::Max, m);
    let m = b.splat(m, 16);
    let nothing = b.f32(16, 0.0);
    let sum = b.var(nothing);
    b.for_each(zero, end, 16, Hint::AsWritten, |b, i| {
        let at = b.add(row, i);
        let x = b.load(from, at, 0, 16);
        let x = b.binary(Binary::Sub, x, m);
        let e = exp(b, x);
        b.store(to, at, 0, e);
        let s = b.get(sum);
        let s = b.binary(Binary::Add, s, e);
        b.set(sum, s);
    });
    let s = b.get(sum);
    let s = b.reduce(Reduce::Add, s);
    let s = b.splat(s, 16);
    b.for_each(zero, end, 16, Hint::AsWritten, |b, i| {
        let at = b.add(row, i);
        let x = b.load(to, at, 0, 16);
        let x = b.binary(Binary::Div, x, s);
        b.store(to, at, 0, x);
    });
    b.finish()
}

/// A copy of scalars by computed indices, left to LLVM to vectorise.
fn transpose(width: i64) -> Kernel {
    let mut b = Builder::new(&format!("transpose_{width}"), "generic map");
    let from = b.buffer("from", DType::F32, Access::Read);
    let to = b.buffer("to", DType::F32, Access::Write);
    let (task, zero, end) = (b.task(), b.index(0), b.index(width));
    let rows = b.symbol("N");
    b.for_each(zero, end, 1, Hint::Free, |b, i| {
        let across = b.mul(i, rows);
        let at = b.add(across, task);
        let x = b.load(from, at, 0, 1);
        let y = b.op(b.ty(x), Op::Binary(Binary::Mul, x, x));
        let row = b.mul(task, end);
        let at = b.add(row, i);
        b.store(to, at, 0, y);
    });
    b.finish()
}

fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for i in 0..60i64 {
        let (rows, vectors) = [(6, 4), (8, 3), (14, 2), (1, 4)][i as usize % 4];
        let shape = Shape { rows, vectors, lanes: 16, depth: 64 + i, columns: i64::from(16 * vectors) };
        kernels.push(Kernel { name: format!("gemm_{i}"), ..product(shape) });
    }
    kernels.extend((1..=20).map(|i| softmax(16 * i)));
    kernels.extend((1..=20).map(|i| transpose(16 * i)));
    kernels
}

/// Launches every kernel as often as said; it is never run.
fn program(kernels: Vec<Kernel>, often: usize) -> Program {
    let launch = |(kernel, k): (u32, &Kernel)| Step::Launch {
        kernel,
        args: k.buffers.iter().map(|_| (Memory::Input(0), Dim::symbol("N").scale(4))).collect(),
        tasks: Dim::symbol("N"),
    };
    let steps = (0..often).flat_map(|_| (0u32..).zip(&kernels).map(launch).collect::<Vec<_>>()).collect();
    let port = |name: &str| Port { name: name.to_string(), dtype: DType::F32, dims: vec![Dim::symbol("N")] };
    Program {
        name: "hundred".to_string(),
        symbols: vec!["N".to_string()],
        inputs: vec![port("x")],
        outputs: vec![],
        planned: vec![],
        grown: 0,
        weights: vec![],
        kernels,
        steps,
    }
}

fn main() {
    let folder = harness::folder();
    for (often, threads) in [(1, 1), (1, 2), (20, 1)] {
        let program = program(kernels(), often);
        let options = weft_llvm::Options { threads, ..harness::library(&folder, "native") };
        let start = Instant::now();
        let artifact = weft_llvm::compile(&program, &options).unwrap();
        let (time, bytes) = (start.elapsed(), std::fs::metadata(artifact.path).unwrap().len());
        println!("{} kernels, {} steps, {threads} threads: {time:?}, {bytes} bytes", 100, often * 100);
    }
}
