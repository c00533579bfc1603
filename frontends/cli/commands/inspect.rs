//! `weft inspect`
use crate::args::{InspectArgs, Talk};
use crate::failure::Failure;
use crate::out;
use crate::talk::Teller;
use serde_json::{Value, json};
use weft::inspect::{MemoryPlan, Summary, dot, memory_plan, summary};
use weft::page::{History, Page, page, svg};
use weft::{
    CompileOptions, Dims, Driver, FileKind, Model, PassOptions, Port, Ports, Runner, check_dims, file_kind,
    files,
};
use weft_load::Options;

pub(crate) fn run(args: &InspectArgs, talk: Talk) -> Result<(), Failure> {
    match file_kind(&args.file)? {
        FileKind::Model => model(args, talk),
        FileKind::Library => library(args, talk),
        FileKind::Program => Err(Failure::Misuse("a program describes itself with `--help`".to_string())),
    }
}

fn model(args: &InspectArgs, talk: Talk) -> Result<(), Failure> {
    let driver = args.extensions.driver()?;
    let usual = if args.html { "O2" } else { "O0" };
    let pipeline = args.pipeline.as_deref().unwrap_or(usual);
    let plan = driver.plan(pipeline)?;
    // Nobody asked to be told of the work, only of its result.
    let mut teller = Teller::new(Talk { quiet: talk.quiet || !talk.verbose, ..talk });
    let read = driver.read(&args.file, &Dims::new(), &mut teller)?;
    let extents = args.dims.dims()?;
    check_dims(&read.module, &extents)?;
    let mut module = read.module.clone();
    let mut history = History::default();
    let mut options = PassOptions::default();
    args.calibrating.lend(&module, &teller, &mut options)?;
    driver.optimise(&mut module, &plan, options, &mut history)?;
    args.calibrating.write(&history.ledger, &teller)?;
    teller.rest();
    if args.dot {
        return put(args, &dot(&module));
    }
    if args.svg {
        return put(args, &svg(&module.graph));
    }
    if args.html {
        let (before, after) = (summary(&read.module, &extents), summary(&module, &extents));
        let (before, after) = ((&read.module, &before), (&module, &after));
        return put(args, &page(&Page { name: &read.name(), pipeline, before, after, history: &history }));
    }
    let summary = summary(&module, &extents);
    let memory = memory(&driver, read, &summary, &mut teller);
    teller.rest();
    if talk.json {
        out::json(&as_json(&summary, &memory));
    } else {
        out::print(&as_text(&summary, &memory));
    }
    Ok(())
}

/// Writes text where it was asked for.
fn put(args: &InspectArgs, text: &str) -> Result<(), Failure> {
    match &args.output {
        Some(path) => files::write(path, text.as_bytes())?,
        None => out::print(text),
    }
    Ok(())
}

/// The plan of the compiled model, or why there is none.
fn memory(
    driver: &Driver,
    model: Model,
    summary: &Summary,
    teller: &mut Teller,
) -> Result<MemoryPlan, String> {
    let options = CompileOptions::default();
    let plan = || {
        let (target, passes) = (weft_llvm::target(&options.cpu)?, driver.plan(&options.pipeline)?);
        let mut module = model.module;
        driver.optimise(&mut module, &passes, options.passes.clone(), teller)?;
        driver.lower(&module, &target, teller)
    };
    let program = plan().map_err(|error| error.to_string())?;
    Ok(memory_plan(&program, &summary.extents))
}

fn as_json(summary: &Summary, memory: &Result<MemoryPlan, String>) -> Value {
    let mut value = serde_json::to_value(summary).unwrap_or_default();
    value["memory"] = match memory {
        Ok(plan) => json!(plan),
        Err(why) => json!({ "error": why }),
    };
    value
}

fn as_text(summary: &Summary, memory: &Result<MemoryPlan, String>) -> String {
    let mut text = String::new();
    for (name, value) in &summary.metadata {
        text += &format!("{name}: {}\n", value.lines().next().unwrap_or_default());
    }
    text += &ports("inputs", &summary.inputs);
    text += &ports("outputs", &summary.outputs);
    text += &format!("operators: {} nodes\n", summary.nodes);
    let mut operators: Vec<_> = summary.operators.iter().collect();
    operators.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    operators.iter().for_each(|(name, count)| text += &format!("  {count:6} {name}\n"));
    let parameters = &summary.parameters;
    let types: Vec<_> = parameters.types.iter().map(|(ty, n)| format!("{n} {ty}")).collect();
    let (tensors, bytes) = (parameters.tensors, parameters.bytes);
    text += &format!("parameters: {tensors} tensors, {bytes} bytes: {}\n", types.join(", "));
    text += &at(summary);
    text += &match summary.flops {
        Some(flops) => format!("work: {:.3} GFLOP\n", flops as f64 / 1e9),
        None => "work: some extents are decided at run time\n".to_string(),
    };
    text + &memory_text(memory)
}

fn ports(what: &str, ports: &[Port]) -> String {
    let lines: String = ports.iter().map(|port| format!("  {port}\n")).collect();
    format!("{what}:\n{lines}")
}

/// What symbols were taken to be in the numbers that follow.
fn at(summary: &Summary) -> String {
    let extents: Vec<_> = summary.extents.iter().map(|(name, n)| format!("{name} = {n}")).collect();
    if extents.is_empty() {
        String::new()
    } else {
        format!("at {} (`--dim` says otherwise):\n", extents.join(", "))
    }
}

fn memory_text(memory: &Result<MemoryPlan, String>) -> String {
    let plan = match memory {
        Ok(plan) => plan,
        Err(why) => return format!("memory: not planned: {why}\n"),
    };
    let bytes = |n: Option<u64>| n.map_or("unknown until run time".to_string(), |n| format!("{n} bytes"));
    let MemoryPlan { weights, buffers, sum, peak, grown, kernels, steps } = plan;
    format!(
        "compiled: {kernels} kernels in {steps} steps, {weights} bytes of weights\n\
         memory: {buffers} buffers of {} share {}, {grown} more grow at run time\n",
        bytes(*sum),
        bytes(*peak)
    )
}

fn library(args: &InspectArgs, talk: Talk) -> Result<(), Failure> {
    if args.dot || args.svg || args.html {
        return Err(Failure::Misuse("`--dot`, `--svg` and `--html` are for models".to_string()));
    }
    let runner = Runner::open(&args.file, Options { threads: 1, profile: false })?;
    let bytes = args.file.metadata().map_or(0, |data| data.len());
    let Ports { inputs, outputs } = runner.ports();
    if talk.json {
        let list = |ports: &[Port]| {
            let port = |p: &Port| json!({ "name": p.name, "type": p.ty.to_string() });
            ports.iter().map(port).collect::<Vec<_>>()
        };
        out::json(&json!({ "inputs": list(inputs), "outputs": list(outputs), "bytes": bytes }));
    } else {
        out::print(&format!("{}{}{bytes} bytes\n", ports("inputs", inputs), ports("outputs", outputs)));
    }
    Ok(())
}
