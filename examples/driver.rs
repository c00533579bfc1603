//! A driver with a pass of one's own: reads a model, runs passes over it, writes what comes out.
//!
//!     cargo run --example driver -- model.onnx

use std::path::Path;
use weft::{Dims, Driver, Error, PassOptions, Quiet};

fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "model.onnx".to_string());
    let mut driver = Driver::new()?;
    driver.add(&stable_log::StableLog)?;
    let mut module = driver.read(Path::new(&path), &Dims::new(), &mut Quiet)?.module;
    let plan = driver.plan("O1,log-of-softmax,clean")?;
    driver.optimise(&mut module, &plan, PassOptions::default(), &mut Quiet)?;
    driver.write(&module, Path::new("optimised.weft"))?;
    Ok(())
}
