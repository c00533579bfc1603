//! `weft reduce`
use crate::args::{ReduceArgs, Talk};
use crate::failure::Failure;
use crate::out;
use crate::talk::Teller;
use serde_json::json;
use weft::reduce::{Check, Reduced, reduce};
use weft::{Model, OnnxForm};

pub(crate) fn run(args: &ReduceArgs, talk: Talk) -> Result<(), Failure> {
    let driver = args.extensions.driver()?;
    let mut teller = Teller::new(talk);
    driver.plan(&args.pipeline)?;
    let Model { module, report, .. } = driver.read(&args.model, &args.dims.dims()?, &mut teller)?;
    teller.doing("reducing");
    let found = reduce(&driver, &module, &args.pipeline, check(args))?;
    teller.rest();
    let Some(Reduced { module: smaller, fault, tried }) = found else {
        teller.say(&format!("nothing to reduce: `{}` does not fail", args.model.display()));
        return Err(Failure::Told(1));
    };
    match args.output.extension().is_some_and(|extension| extension == "onnx") {
        true => drop(driver.write_onnx((&smaller, &report), &args.output, OnnxForm::default())?),
        false => drop(driver.write(&smaller, &args.output)?),
    }
    let (before, after) = (module.graph.len(), smaller.graph.len());
    if talk.json {
        let fault = fault.to_string();
        out::json(&json!({ "before": before, "after": after, "tried": tried, "fault": fault }));
    } else {
        out::line(&format!("{before} nodes became {after}, after {tried} tries: {fault}"));
    }
    Ok(())
}

fn check(args: &ReduceArgs) -> Check {
    match args.check.as_deref() {
        None => Check::Any,
        Some("error") => Check::Error,
        Some("equal") => Check::Equal,
        Some(program) => Check::Command(program.into()),
    }
}
