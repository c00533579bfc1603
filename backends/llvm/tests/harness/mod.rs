//! Compiles programs to libraries, loads them and runs them.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(dead_code, reason = "every test file uses a part")]
pub(crate) mod cases;
pub(crate) mod gemm;

use std::path::PathBuf;
use weft_backend::{Emit, OptLevel};
use weft_ir::{DType, Dim, Tensor};
use weft_kernel::nest::{Access, Kernel};
use weft_kernel::program::{Memory, Port, Program, Step, Weight, WeightData};
use weft_load::{Executable, Options as LoadOptions};

/// A folder that is gone when the test is over.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Options for a library in a folder.
pub(crate) fn library(folder: &tempfile::TempDir, cpu: &str) -> weft_llvm::Options {
    let output: PathBuf = folder.path().join("model.so");
    weft_llvm::Options { cpu: cpu.to_string(), threads: 1, ..weft_llvm::Options::new(Emit::Lib, output) }
}

/// A program that launches one kernel: its read parameters are inputs, the others outputs.
pub(crate) fn program(
    kernel: Kernel,
    inputs: &[Tensor],
    outputs: &[(DType, Vec<u64>)],
    tasks: i64,
) -> Program {
    let fixed = |dims: &[u64]| dims.iter().map(|d| Dim::fixed(*d as i64)).collect();
    let port = |name: String, dtype, dims: &[u64]| Port { name, dtype, dims: fixed(dims) };
    let (mut reads, mut writes, mut args) = (0, 0, Vec::new());
    for buffer in &kernel.buffers {
        match buffer.access {
            Access::Read => {
                args.push((Memory::Input(reads), Dim::fixed(0)));
                reads += 1;
            }
            Access::Write => {
                args.push((Memory::Output(writes), Dim::fixed(0)));
                writes += 1;
            }
            Access::Local(_) => {}
        }
    }
    let mut steps: Vec<Step> = outputs
        .iter()
        .enumerate()
        .map(|(i, (_, dims))| Step::Output { output: i as u32, dims: fixed(dims) })
        .collect();
    steps.push(Step::Launch { kernel: 0, args, tasks: Dim::fixed(tasks) });
    Program {
        name: "test".to_string(),
        symbols: Vec::new(),
        inputs: inputs.iter().enumerate().map(|(i, t)| port(format!("in{i}"), t.dtype(), t.dims())).collect(),
        outputs: outputs.iter().enumerate().map(|(i, (t, d))| port(format!("out{i}"), *t, d)).collect(),
        planned: Vec::new(),
        grown: 0,
        weights: Vec::new(),
        kernels: vec![kernel],
        steps,
    }
}

/// Makes the last input, unless it is the only one, a weight: those are aligned to cache lines.
pub(crate) fn fold_last_input(program: &mut Program, inputs: &[Tensor]) {
    let last = inputs.len() as u32 - 1;
    if last == 0 {
        return;
    }
    program.inputs.pop();
    let data = WeightData::Plain(inputs[last as usize].data().clone());
    program.weights.push(Weight { name: "folded".to_string(), data });
    for step in &mut program.steps {
        if let Step::Launch { args, .. } = step {
            args.iter_mut().filter(|a| a.0 == Memory::Input(last)).for_each(|a| a.0 = Memory::Weight(0));
        }
    }
}

/// Runs one kernel.
pub(crate) fn run(
    kernel: Kernel,
    inputs: &[Tensor],
    outputs: &[(DType, Vec<u64>)],
    tasks: i64,
    cpu: &str,
    level: OptLevel,
) -> Vec<Tensor> {
    let program = program(kernel, inputs, outputs, tasks);
    let folder = folder();
    let options = weft_llvm::Options { level, ..library(&folder, cpu) };
    let artifact = weft_llvm::compile(&program, &options).unwrap();
    open(&artifact.path, 1).run(inputs).unwrap()
}

/// Opens a library.
pub(crate) fn open(path: &std::path::Path, threads: u32) -> Executable {
    Executable::open(path, LoadOptions { threads, profile: true }).unwrap()
}
