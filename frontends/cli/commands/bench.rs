//! `weft bench`
use crate::args::{BenchArgs, Calibrating, Compiling, Extensions, Talk};
use crate::failure::Failure;
use crate::out;
use crate::talk::Teller;
use clap::ValueEnum;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use weft::{Error, FileKind, MeasureOptions, Measurement, file_kind, measure};

/// How many kernels are shown to a person.
const SHOWN: usize = 20;

pub(crate) fn run(args: &BenchArgs, talk: Talk) -> Result<(), Failure> {
    let sources = args.input.sources(&args.dims)?;
    let options = MeasureOptions {
        threads: args.threads.unwrap_or(0),
        seconds: args.seconds.clamp(0.0, 86_400.0),
        feed: args.feed.clone(),
        steps: args.steps,
    };
    let folder = tempfile::tempdir().map_err(|error| Error::Write { file: std::env::temp_dir(), error })?;
    let library = library(args, talk, folder.path())?;
    let teller = Teller::new(talk);
    teller.doing("measuring");
    let measured = measure(&library, &sources, &options)?;
    teller.rest();
    if talk.json {
        out::json(&serde_json::to_value(&measured).unwrap_or_default());
    } else {
        out::print(&table(&measured));
    }
    Ok(())
}

/// The library to measure.
fn library(args: &BenchArgs, talk: Talk, folder: &Path) -> Result<PathBuf, Failure> {
    match file_kind(&args.file)? {
        FileKind::Library => Ok(args.file.clone()),
        FileKind::Program => {
            let why = "a program measures itself with `--bench`; `weft bench` takes a model or a library";
            Err(Failure::Misuse(why.to_string()))
        }
        FileKind::Model => {
            let name = args.file.file_stem().unwrap_or_default();
            let library = folder.join(name).with_extension("so");
            compiled(&args.file, &library, &args.compiling, talk)?;
            Ok(library)
        }
    }
}

/// Compiles in a process of its own, so that the memory it takes is not measured.
fn compiled(model: &Path, library: &Path, compiling: &Compiling, talk: Talk) -> Result<(), Failure> {
    let failed = |error| Error::Process { file: "weft".into(), error };
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("compile").arg(model).args(["--emit", "lib", "-o"]).arg(library);
    command.args(flags(compiling));
    for (asked, flag) in [(talk.quiet, "-q"), (talk.verbose, "-v")] {
        command.args(asked.then_some(flag));
    }
    match command.status().map_err(failed)?.code() {
        Some(0) => Ok(()),
        Some(2) => Err(Failure::Told(2)),
        _ => Err(Failure::Told(1)),
    }
}

/// All that says how to compile, as flags of `weft compile` once more.
fn flags(compiling: &Compiling) -> Vec<OsString> {
    // Every field is named, so that none is forgotten.
    let Compiling { target, cpu, level, pipeline, passes, precision, verify_each, calibrating, extensions } =
        compiling;
    let Calibrating { calibrate, validate, max_error, ledger, cache } = calibrating;
    let Extensions { plugins, rules } = extensions;
    let mut flags: Vec<OsString> = vec![format!("-O{level}").into()];
    let mut flag = |name: &str, value: &OsStr| flags.extend([name.into(), value.into()]);
    flag("--target", one_of(target).as_ref());
    flag("--cpu", cpu.as_ref());
    flag("--precision", one_of(precision).as_ref());
    pipeline.iter().for_each(|text| flag("--pipeline", text.as_ref()));
    passes.iter().for_each(|pass| flag("--pass", pass.as_ref()));
    plugins.iter().for_each(|plugin| flag("--plugin", plugin.as_ref()));
    rules.iter().for_each(|rules| flag("--rules", rules.as_ref()));
    calibrate.iter().for_each(|data| flag("--calibrate", data.as_ref()));
    validate.iter().for_each(|data| flag("--validate", data.as_ref()));
    max_error.iter().for_each(|bound| flag("--max-error", bound.to_string().as_ref()));
    ledger.iter().for_each(|file| flag("--ledger", file.as_ref()));
    cache.iter().for_each(|folder| flag("--cache", folder.as_ref()));
    flags.extend(verify_each.then(|| "--verify-each".into()));
    flags
}

/// What a choice is called on the command line.
fn one_of(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

fn table(measured: &Measurement) -> String {
    let Measurement { median_ms, min_ms, p90_ms, runs, threads, first_ms, load_ms, .. } = measured;
    let mut text = format!(
        "median {median_ms:.4} ms, min {min_ms:.4} ms, p90 {p90_ms:.4} ms, {runs} runs, {threads} threads\n\
         load {load_ms:.2} ms, first run {first_ms:.2} ms, peak memory {:.1} MB, artifact {} bytes\n",
        measured.peak_rss_mb, measured.artifact_bytes
    );
    if let Some(steps) = measured.steps_per_second {
        text += &format!("{steps:.2} steps per second\n");
    }
    text += "  share         ms  kernel (schedule)\n";
    for kernel in measured.kernels.iter().take(SHOWN) {
        let (share, ms) = (kernel.share * 100.0, kernel.time_ms);
        text += &format!("{share:6.1}% {ms:10.4}  {} ({})\n", kernel.name, kernel.schedule);
    }
    let hidden = measured.kernels.len().saturating_sub(SHOWN);
    if hidden > 0 {
        text += &format!("and {hidden} more; `--json` lists all\n");
    }
    text
}
