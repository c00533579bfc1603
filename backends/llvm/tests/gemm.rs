//! A matrix product in load-splat-multiply order keeps its sums in registers and is right.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]
mod harness;

use harness::gemm::{Shape, product};
use weft_backend::{Emit, OptLevel};
use weft_ir::{DType, Tensor};

/// Vector registers that the assembly keeps on the stack.
fn spills(assembly: &str) -> usize {
    let vector = |line: &&str| line.contains("%zmm") || line.contains("%ymm") || line.contains("%xmm");
    assembly.lines().filter(|line| line.contains("(%rsp)") || line.contains("(%rbp)")).filter(vector).count()
}

#[test]
fn sums_stay_in_registers() {
    let folder = harness::folder();
    for (cpu, lanes, tiles) in
        [("icelake-server", 16, &[(6, 4), (14, 2), (9, 3), (12, 2)][..]), ("haswell", 8, &[(6, 2), (4, 3)])]
    {
        for (rows, vectors) in tiles {
            let shape = Shape { rows: *rows, vectors: *vectors, lanes, depth: 768, columns: 768 };
            let inputs = [floats(&[i64::from(*rows), 768]), floats(&[768, 768])];
            let output = (DType::F32, vec![u64::from(*rows), 768]);
            let program = harness::program(product(shape), &inputs, &[output], 1);
            let options = weft_llvm::Options { emit: Emit::Asm, ..harness::library(&folder, cpu) };
            let assembly = weft_llvm::listing(&program, &options).unwrap();
            assert_eq!(spills(&assembly), 0, "{cpu} {rows}x{vectors}\n{assembly}");
            assert!(assembly.matches("vfmadd").count() >= (rows * vectors) as usize);
        }
    }
}

fn floats(dims: &[i64]) -> Tensor {
    let dims: Vec<u64> = dims.iter().map(|d| *d as u64).collect();
    let values: Vec<f32> = (0..dims.iter().product()).map(|i| (i % 13) as f32 - 6.0).collect();
    Tensor::from_slice(&dims, &values).unwrap()
}

#[test]
fn the_product_is_right() {
    let shape = Shape { rows: 6, vectors: 2, lanes: 8, depth: 40, columns: 48 };
    let (a, b) = (floats(&[12, 40]), floats(&[3, 40, 16]));
    let kernel = product(shape);
    let output = (DType::F32, vec![12, 48]);
    let found = harness::run(kernel, &[a.clone(), b.clone()], &[output], 2, "native", OptLevel::O2);
    let (a, b) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
    let element = |row: usize, column: usize| -> f32 {
        let panel = &b[column / 16 * 640..];
        (0..40).map(|k| a[row * 40 + k] * panel[k * 16 + column % 16]).sum()
    };
    let expected: Vec<f32> = (0..12 * 48).map(|i| element(i / 48, i % 48)).collect();
    assert_eq!(found[0].to_vec::<f32>().unwrap(), expected);
}
