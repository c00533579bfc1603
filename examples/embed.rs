//! weft as a library: compiles a model, runs it on random inputs, prints what comes out.
//!
//!     cargo run --release --example embed -- model.onnx

use std::path::Path;
use weft::{CompileOptions, Dims, Driver, Error, InputSources, Quiet, Statistics};
use weft_load::Options;

fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "model.onnx".to_string());
    let driver = Driver::new()?;
    let model = driver.read(Path::new(&path), &Dims::new(), &mut Quiet)?;
    let compiled = driver.prepare(model, &CompileOptions::default(), Options::default(), &mut Quiet)?;

    let random = InputSources { random: Some(1), ..InputSources::default() };
    let inputs = random.gather(&compiled.ports().inputs)?;
    for (port, tensor) in compiled.ports().outputs.iter().zip(compiled.run(&inputs.tensors)?) {
        #[expect(clippy::print_stdout, reason = "this is a program")]
        if let Some(statistics) = Statistics::of(&tensor) {
            println!("{port}  {statistics}");
        }
    }
    Ok(())
}
