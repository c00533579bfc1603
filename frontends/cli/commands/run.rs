//! `weft run`
use crate::args::{BackendKind, RunArgs, Talk};
use crate::failure::Failure;
use crate::out;
use crate::talk::Teller;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use weft::tensors::{TensorForm, read_tensor, tensor_bytes};
use weft::{Error, FileKind, InputSources, Port, Runner, Statistics, file_kind, files, write_outputs};
use weft_ir::{Tensor, TensorType};
use weft_load::Options;

pub(crate) fn run(args: &RunArgs, talk: Talk) -> Result<(), Failure> {
    let kind = file_kind(&args.file)?;
    if kind == FileKind::Program {
        return program(args);
    }
    if args.profile.is_some() && args.backend == BackendKind::Interp && kind == FileKind::Model {
        return Err(Failure::Misuse(
            "`--profile` measures kernels, which the interpreter has none of".to_string(),
        ));
    }
    let mut teller = Teller::new(talk);
    let runner = runner(args, kind, &mut teller)?;
    let inputs = args.input.sources(&args.dims)?.gather(&runner.ports().inputs)?;
    teller.doing("running");
    let outputs = runner.run(&inputs.tensors)?;
    teller.rest();
    if let Some(path) = &args.profile {
        files::write(path, format!("{:#}\n", profile(&runner)).as_bytes())?;
    }
    let ports = &runner.ports().outputs;
    match &args.output_dir {
        Some(folder) => {
            let made = write_outputs(folder, ports, &outputs, inputs.form)?;
            made.iter().for_each(|path| teller.say(&format!("written: {}", path.display())));
        }
        None if talk.json => out::json(&summaries(ports, &outputs)),
        None => ports.iter().zip(&outputs).for_each(|(port, tensor)| out::line(&summary(port, tensor))),
    }
    Ok(())
}

fn runner(args: &RunArgs, kind: FileKind, teller: &mut Teller) -> Result<Runner, Failure> {
    let options = Options { threads: args.threads.unwrap_or(0), profile: args.profile.is_some() };
    if kind == FileKind::Library {
        return Ok(Runner::open(&args.file, options)?);
    }
    let driver = args.compiling.extensions.driver()?;
    // One artifact is for all extents: `--dim` only says how large random inputs are.
    let model = driver.read(&args.file, &weft::Dims::new(), teller)?;
    Ok(match args.backend {
        BackendKind::Interp => driver.interpret(model.module),
        BackendKind::Cpu => {
            let compiling = args.compiling.options_for((&driver, &model.module), teller)?;
            driver.prepare(model, &compiling, options, teller)?
        }
    })
}

fn summary(port: &Port, tensor: &Tensor) -> String {
    let ty = TensorType::fixed(tensor.dtype(), tensor.dims());
    match Statistics::of(tensor) {
        Some(statistics) => format!("{}: {ty}  {statistics}", port.name),
        None => format!("{}: {ty}", port.name),
    }
}

fn summaries(ports: &[Port], tensors: &[Tensor]) -> serde_json::Value {
    let one = |(port, tensor): (&Port, &Tensor)| {
        json!({
            "name": port.name,
            "dtype": tensor.dtype().name(),
            "shape": tensor.dims(),
            "statistics": Statistics::of(tensor),
        })
    };
    json!({ "outputs": ports.iter().zip(tensors).map(one).collect::<Vec<_>>() })
}

fn profile(runner: &Runner) -> serde_json::Value {
    let lines = runner.profile();
    let total = lines.last().map_or(1, |line| line.nanoseconds.max(1)) as f64;
    let kernels = lines.iter().map(|line| {
        let (ms, share) = (line.nanoseconds as f64 / 1e6, line.nanoseconds as f64 / total);
        json!({ "name": line.name, "schedule": line.schedule, "calls": line.calls, "time_ms": ms, "share": share })
    });
    json!({ "kernels": kernels.collect::<Vec<_>>() })
}

/// Runs a compiled program, which takes `.npy` files alone.
fn program(args: &RunArgs) -> Result<(), Failure> {
    if args.profile.is_some() {
        let why = "`--profile FILE` is for models and libraries; a program prints the times with `--profile`";
        return Err(Failure::Misuse(why.to_string()));
    }
    let failed = |error| Error::Process { file: args.file.clone(), error };
    let folder = tempfile::tempdir().map_err(failed)?;
    let mut command = Command::new(std::path::absolute(&args.file).map_err(failed)?);
    for (index, (name, file)) in args.input.input.iter().enumerate() {
        let file = as_npy(file, &folder.path().join(format!("{index}.npy")))?;
        command.arg("--input").arg(format!("{name}={}", file.display()));
    }
    let mut pass = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            command.arg(flag).arg(value);
        }
    };
    let shown = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    pass("--inputs", shown(&args.input.inputs));
    pass("--random", args.input.random.map(|seed| seed.to_string()));
    pass("--threads", args.threads.map(|threads| threads.to_string()));
    pass("--output-dir", shown(&args.output_dir));
    args.dims.dims.iter().for_each(|(name, value)| pass("--dim", Some(format!("{name}={value}"))));
    let status = command.status().map_err(failed)?;
    match status.code() {
        Some(0) => Ok(()),
        Some(2) => Err(Failure::Told(2)),
        Some(_) => Err(Failure::Told(1)),
        None => {
            let error = std::io::Error::other(status.to_string());
            Err(Failure::Work(Error::Process { file: args.file.clone(), error }))
        }
    }
}

/// The file itself if it is a `.npy` file, else one made of it.
fn as_npy(file: &Path, place: &Path) -> Result<std::path::PathBuf, Failure> {
    if TensorForm::of(file) == Some(TensorForm::Npy) {
        return Ok(file.to_path_buf());
    }
    files::write(place, &tensor_bytes("input", &read_tensor(file)?, TensorForm::Npy)?)?;
    Ok(place.to_path_buf())
}

impl crate::args::InputArgs {
    /// Where the inputs come from.
    pub(crate) fn sources(&self, dims: &crate::args::DimArgs) -> Result<InputSources, Failure> {
        let (files, set, random) = (self.input.clone(), self.inputs.clone(), self.random);
        Ok(InputSources { files, set, random, dims: dims.dims()? })
    }
}
