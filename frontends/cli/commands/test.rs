//! `weft test`
use crate::args::{BackendKind, Talk, TestArgs};
use crate::failure::Failure;
use crate::out;
use crate::talk::Teller;
use serde_json::{Value, json};
use std::path::Path;
use weft::{CompileOptions, Dims, InputSources, Ports, Tolerance, check_set, data_sets, layers};
use weft_load::Options;

pub(crate) fn run(args: &TestArgs, talk: Talk) -> Result<(), Failure> {
    if let Some(seed) = args.random {
        return random(args, seed, talk);
    }
    let driver = args.compiling.extensions.driver()?;
    let mut teller = Teller::new(talk);
    let sets = if args.data.is_empty() { data_sets(&args.model)? } else { args.data.clone() };
    if sets.is_empty() {
        let place = args.model.display();
        return Err(Failure::Misuse(format!(
            "no folder `test_data_set_*` lies beside `{place}`; give `--data DIR`"
        )));
    }
    let model = driver.read(&args.model, &args.dims.dims()?, &mut teller)?;
    let runner = match args.backend {
        BackendKind::Interp => driver.interpret(model.module),
        BackendKind::Cpu => {
            let load = Options { threads: args.threads.unwrap_or(0), profile: false };
            let options = args.compiling.options_for((&driver, &model.module), &teller)?;
            driver.prepare(model, &options, load, &mut teller)?
        }
    };
    teller.rest();
    let tolerance = Tolerance { rtol: args.rtol, atol: args.atol };
    let mut results = Vec::new();
    for set in &sets {
        let wrong = check_set(&runner, set, tolerance).unwrap_or_else(|error| vec![error.to_string()]);
        if !talk.json {
            out::line(&line(set, &wrong));
        }
        results.push((set, wrong));
    }
    let failed = results.iter().filter(|(_, wrong)| !wrong.is_empty()).count();
    let passed = results.len() - failed;
    if talk.json {
        let sets: Vec<_> = results.iter().map(|(set, wrong)| as_json(set, wrong)).collect();
        out::json(&json!({ "passed": passed, "failed": failed, "sets": sets }));
    } else {
        out::line(&format!("{passed} passed, {failed} failed"));
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Told(1)) }
}

fn line(set: &Path, wrong: &[String]) -> String {
    let name =
        set.file_name().map_or_else(|| set.display().to_string(), |n| n.to_string_lossy().into_owned());
    if wrong.is_empty() { format!("{name}: passed") } else { format!("{name}: failed: {}", wrong.join("; ")) }
}

fn as_json(set: &Path, wrong: &[String]) -> Value {
    json!({ "set": set.display().to_string(), "passed": wrong.is_empty(), "differences": wrong })
}

/// Compiled code against the interpreter on the model as it was read, on random inputs.
fn random(args: &TestArgs, seed: u64, talk: Talk) -> Result<(), Failure> {
    let driver = args.compiling.extensions.driver()?;
    let mut teller = Teller::new(talk);
    let mut model = driver.read(&args.model, &Dims::new(), &mut teller)?;
    let ports = Ports::of_graph(&model.module.graph);
    let sources = InputSources { random: Some(seed), dims: args.dims.dims()?, ..InputSources::default() };
    let inputs = sources.gather(&ports.inputs)?.tensors;
    let tolerance = Tolerance { rtol: args.rtol, atol: args.atol };
    let options = args.compiling.options_for((&driver, &model.module), &teller)?;
    let mut wrong = Vec::new();
    if args.layers {
        let plan = driver.plan(&options.pipeline)?;
        driver.optimise(&mut model.module, &plan, options.passes.clone(), &mut teller)?;
        let options = CompileOptions { pipeline: String::new(), ..options };
        let found = layers(&driver, &model, &inputs, (&options, tolerance), &mut teller)?;
        wrong.extend(found.iter().map(|l| format!("`{}` at `%{}`: {}", l.op, l.value, l.difference)));
    } else {
        let expected = driver.interpret(model.module.clone()).run(&inputs)?;
        let load = Options { threads: args.threads.unwrap_or(0), profile: false };
        let found = driver.prepare(model, &options, load, &mut teller)?.run(&inputs)?;
        for (port, (expected, found)) in ports.outputs.iter().zip(expected.iter().zip(&found)) {
            let difference = tolerance.compare(expected, found).err();
            wrong.extend(difference.map(|difference| format!("output `{}`: {difference}", port.name)));
        }
    }
    teller.rest();
    wrong.iter().for_each(|line| out::line(line));
    let failed = usize::from(!wrong.is_empty());
    out::line(&format!("{} passed, {failed} failed", 1 - failed));
    if failed == 0 { Ok(()) } else { Err(Failure::Told(1)) }
}
