//! Prints how much of the processor's peak a matrix product reaches: `cargo run --release --example gemm_peak`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people")]
#[path = "../tests/harness/mod.rs"]
mod harness;

use harness::gemm::{Shape, peak, product};
use std::time::Instant;
use weft_ir::{DType, Tensor};
use weft_kernel::nest::Kernel;
use weft_load::{Model, Options, Session};

/// The best of many runs in nanoseconds, one thread.
fn best(kernel: Kernel, inputs: &[Tensor], output: Vec<u64>, tasks: i64) -> f64 {
    let mut program = harness::program(kernel, inputs, &[(DType::F32, output)], tasks);
    harness::fold_last_input(&mut program, inputs);
    let inputs = &inputs[..program.inputs.len()];
    let folder = harness::folder();
    let artifact = weft_llvm::compile(&program, &harness::library(&folder, "native")).unwrap();
    let mut session =
        Session::open(&Model::open(&artifact.path).unwrap(), Options { threads: 1, profile: false }).unwrap();
    let mut best = f64::MAX;
    let begin = Instant::now();
    while begin.elapsed().as_millis() < 1500 {
        let start = Instant::now();
        session.call(inputs).unwrap();
        best = best.min(start.elapsed().as_nanos() as f64);
    }
    best
}

fn ones(count: u64) -> Tensor {
    Tensor::from_slice(&[count], &vec![1e-3f32; count as usize]).unwrap()
}

fn main() {
    let lanes = weft_llvm::target("native").unwrap().lanes(DType::F32);
    let chains = 14;
    let most = [8u32, 16].into_iter().filter(|l| *l <= lanes).map(|lanes| {
        let flops = 2.0 * f64::from(lanes * chains) * 20_000.0;
        let room = u64::from(lanes * (chains + 2));
        let rate = flops / best(peak(lanes, chains, 20_000), &[ones(room)], vec![room], 1);
        println!("peak of {lanes} lanes: {rate:.1} GF/s");
        rate
    });
    let most = most.fold(0.0, f64::max);
    for (rows, vectors, depth) in [
        (6, 4, 128),
        (6, 4, 256),
        (12, 2, 256),
        (14, 2, 256),
        (8, 3, 256),
        (7, 4, 256),
        (6, 4, 768),
        (14, 2, 768),
    ] {
        let shape = Shape { rows, vectors, lanes, depth, columns: 64 };
        let m = u64::from(rows) * 20;
        let columns = shape.columns / shape.panel() * shape.panel();
        let shape = Shape { columns, ..shape };
        let inputs = [ones(m * depth as u64), ones((depth * columns) as u64)];
        let time = best(product(shape), &inputs, vec![m * columns as u64], 20);
        let rate = 2.0 * m as f64 * depth as f64 * columns as f64 / time;
        println!("{rows}x{} k {depth}: {rate:.1} GF/s, {:.1} %", shape.panel(), 100.0 * rate / most);
    }
}
