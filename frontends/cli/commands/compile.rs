//! `weft compile`
use crate::args::{CompileArgs, EmitKind, Talk};
use crate::failure::Failure;
use crate::out;
use crate::talk::Teller;
use serde_json::json;
use std::path::{Path, PathBuf};
use weft::{CompileOptions, Driver, Made, Model, ledger_json};
use weft_backend::Emit;

pub(crate) fn run(args: &CompileArgs, talk: Talk) -> Result<(), Failure> {
    let driver = args.compiling.extensions.driver()?;
    let mut teller = Teller::new(talk);
    let output = output(args)?;
    let mut options = options(&driver, args)?;
    driver.plan(&options.pipeline)?;
    let model = driver.read(&args.model, &args.dims.dims()?, &mut teller)?;
    args.compiling.calibrating.lend(&model.module, &teller, &mut options.passes)?;
    let made = match artifact(args.emit) {
        Some(emit) => driver.compile(model, &options, (emit, &output), &mut teller)?,
        None => graph(&driver, model, (args, options), &output, &mut teller)?,
    };
    teller.rest();
    args.compiling.calibrating.write(&teller.ledger, &teller)?;
    if talk.json {
        let beside: Vec<_> = made.beside.iter().map(|path| path.display().to_string()).collect();
        let path = made.path.display().to_string();
        let (stem, bytes, ledger) = (made.stem, made.bytes, ledger_json(&teller.ledger));
        out::json(&json!({ "path": path, "beside": beside, "stem": stem, "bytes": bytes, "ledger": ledger }));
    }
    Ok(())
}

/// The graph after all passes, as text or as ONNX model: the one that would be compiled for the processor.
fn graph(
    driver: &Driver,
    model: Model,
    (args, options): (&CompileArgs, CompileOptions),
    output: &Path,
    teller: &mut Teller,
) -> Result<Made, Failure> {
    let (plan, stem) = (driver.plan(&options.pipeline)?, model.name());
    let mut module = model.module;
    let passes = options.passes.for_cpu(&options.cpu)?;
    driver.optimise(&mut module, &plan, passes, teller)?;
    let beside = match args.emit {
        EmitKind::Onnx => driver.write_onnx((&module, &model.report), output, args.onnx.form())?,
        _ => driver.write(&module, output)?,
    };
    let bytes = output.metadata().map_or(0, |data| data.len());
    teller.say(&format!("written: {}", output.display()));
    Ok(Made { path: output.to_path_buf(), beside, stem, bytes })
}

fn artifact(emit: EmitKind) -> Option<Emit> {
    match emit {
        EmitKind::Exe => Some(Emit::Exe),
        EmitKind::Lib => Some(Emit::Lib),
        EmitKind::Obj => Some(Emit::Obj),
        EmitKind::LlvmIr => Some(Emit::LlvmIr),
        EmitKind::Asm => Some(Emit::Asm),
        EmitKind::Weft | EmitKind::Onnx => None,
    }
}

/// How the model is compiled; layouts are not chosen for what others will run.
fn options(driver: &Driver, args: &CompileArgs) -> Result<CompileOptions, Failure> {
    let mut compiling = args.compiling.clone();
    if args.emit == EmitKind::Onnx && compiling.pipeline.is_none() && compiling.level >= 2 {
        compiling.pipeline = Some("simplify".to_string());
    }
    compiling.options(driver)
}

/// Where the artifact goes: as said, or under the model's name in the current folder.
fn output(args: &CompileArgs) -> Result<PathBuf, Failure> {
    let extension = match args.emit {
        EmitKind::Exe => "",
        EmitKind::Lib => "so",
        EmitKind::Obj => "o",
        EmitKind::LlvmIr => "ll",
        EmitKind::Asm => "s",
        EmitKind::Weft => "weft",
        EmitKind::Onnx => "onnx",
    };
    let own = || PathBuf::from(args.model.file_stem().unwrap_or_default()).with_extension(extension);
    let output = args.output.clone().unwrap_or_else(own);
    let same =
        |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if same(&output, &args.model) {
        return Err(Failure::Misuse(format!("`{}` would be written over the model", output.display())));
    }
    if output.is_dir() {
        let folder = output.display();
        return Err(Failure::Misuse(format!("`{folder}` is a folder; `-o FILE` names the artifact")));
    }
    Ok(output)
}
