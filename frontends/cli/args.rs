//! The flags, as clap reads them.
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;
use weft::{DataPlace, OnnxForm};
use weft_onnx::Form;
use weft_passes::ErrorBound;

/// Compiles ONNX models to native programs and libraries.
#[derive(Debug, Parser)]
#[command(name = "weft", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) talk: Talk,
}

/// How much is said, and to whom.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Talk {
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: remarks about the model, the time of every pass
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile a model to a program, a library or another artifact
    Compile(CompileArgs),
    /// Run a model or an artifact once
    Run(RunArgs),
    /// Run a model on its test data and compare the outputs
    Test(TestArgs),
    /// Measure how fast a model or a library runs
    Bench(BenchArgs),
    /// Run passes over a model and show or write what comes out
    Opt(OptArgs),
    /// Make a model smaller that fails under a pipeline
    Reduce(ReduceArgs),
    /// Run filetests: graphs go in, diffs come out
    Filetest(FiletestArgs),
    /// Describe a model: operators, shapes, parameters, work, memory
    Inspect(InspectArgs),
    /// List the passes and pipelines, or explain one
    Passes(NameArgs),
    /// List the rules, explain one, or check that they are true
    Rules(RulesArgs),
    /// List the plugins and what each added
    Plugins(Extensions),
    /// List the operators, or explain one
    Ops(NameArgs),
    /// List the processors that can be compiled for
    Targets,
    /// Begin a plugin or a pass: a project that builds and tests green
    #[command(subcommand)]
    New(New),
}

/// What can be begun.
#[derive(Debug, Subcommand)]
pub(crate) enum New {
    /// A plugin with one pass, in a folder of its own
    Plugin(NewArgs),
    /// A pass: one more for the plugin in this folder, or a plugin for it
    Pass(NewArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// What it is called, like `fold-this`
    pub(crate) name: String,
    /// The checkout of weft that it is built with; the one this program is from unless given
    #[arg(long, value_name = "DIR")]
    pub(crate) weft: Option<PathBuf>,
}

/// What weft is to have besides what it comes with.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Extensions {
    /// A plugin library, whose passes can then be named
    #[arg(long = "plugin", value_name = "FILE")]
    pub(crate) plugins: Vec<PathBuf>,
    /// A file with rules, which `rewrite{rules=NAME}` can name
    #[arg(long = "rules", value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
}

/// How a model is compiled.
#[derive(Debug, Clone, Args)]
pub(crate) struct Compiling {
    /// What is compiled for
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub(crate) target: Device,
    /// The processor: `native`, `x86-64-v3` or another that `weft targets` lists
    #[arg(long, value_name = "NAME", default_value = "native")]
    pub(crate) cpu: String,
    /// How much is optimised
    #[arg(short = 'O', value_name = "LEVEL", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=3))]
    pub(crate) level: u8,
    /// The passes to run instead of those of the level
    #[arg(long, value_name = "TEXT")]
    pub(crate) pipeline: Option<String>,
    /// One more pass, run when the graph has been cleaned
    #[arg(long = "pass", value_name = "NAME{OPTION=VALUE,...}")]
    pub(crate) passes: Vec<String>,
    /// What the large weights, those of linear layers and embeddings, are rounded to, after all passes that are named;
    /// computing stays `f32`. `--max-error` leaves the worst layers as they are
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// Check the graph after every pass
    #[arg(long)]
    pub(crate) verify_each: bool,
    #[command(flatten)]
    pub(crate) calibrating: Calibrating,
    #[command(flatten)]
    pub(crate) extensions: Extensions,
}

/// What weights are rounded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// Nothing: they are as the model has them
    F32,
    /// 16 bits with the range of `f32`, at half the size
    Bf16,
    /// 16 bits with more precision and less range, up to 65504
    F16,
}

/// What lossy passes are held to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Calibrating {
    /// Inputs for passes to look at the model with: a folder of input sets, an `.npz` or `.safetensors` file
    /// with an axis of samples first, or a `.npy` or `.txt` file of token ids
    #[arg(long, value_name = "DATA")]
    pub(crate) calibrate: Option<PathBuf>,
    /// Other such inputs, which all errors are measured on: what is fitted to the calibration data errs less there
    /// than elsewhere
    #[arg(long, value_name = "DATA", requires = "calibrate")]
    pub(crate) validate: Option<PathBuf>,
    /// The most error of the whole model, `mse:X`, `kl:X` or `ppl:X`; the worst layers are left exact for it.
    /// Where no pass is named that changes numbers, `choose` is run: the fastest form of each layer within it
    #[arg(long, value_name = "E", requires = "calibrate", value_parser = ErrorBound::from_str)]
    pub(crate) max_error: Option<ErrorBound>,
    /// Write what lossy passes cost, layer by layer, to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// Where to keep what was found out on calibration data, for when it is asked again, or `none`; `weft` in
    /// the user's folder for such files unless given. It is found by content, takes at most 4 GiB, and may be removed
    #[arg(long, value_name = "DIR", env = "WEFT_CACHE", hide_env_values = true)]
    pub(crate) cache: Option<PathBuf>,
}

/// What is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// This or another processor
    Cpu,
}

/// Numbers for symbolic extents.
#[derive(Debug, Clone, Args)]
pub(crate) struct DimArgs {
    /// The number that a symbolic extent has
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = extent)]
    pub(crate) dims: Vec<(String, u64)>,
}

/// Where inputs come from.
#[derive(Debug, Clone, Args)]
pub(crate) struct InputArgs {
    /// A `.npy` or `.pb` file for an input
    #[arg(long = "input", value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) input: Vec<(String, PathBuf)>,
    /// A folder with `NAME.npy` or `input_K.pb`, or an `.npz` or `.safetensors` file, for the other inputs
    #[arg(long, value_name = "DIR")]
    pub(crate) inputs: Option<PathBuf>,
    /// Random tensors for the inputs without a file, the same for the same seed
    #[arg(long, value_name = "SEED")]
    pub(crate) random: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// The model: an `.onnx` or `.weft` file
    pub(crate) model: PathBuf,
    /// Where the artifact goes; named after the model unless given
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// What is made
    #[arg(long, value_enum, default_value_t = EmitKind::Exe)]
    pub(crate) emit: EmitKind,
    #[command(flatten)]
    pub(crate) compiling: Compiling,
    #[command(flatten)]
    pub(crate) dims: DimArgs,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
}

/// How ONNX models are written.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OnnxArgs {
    /// The opset of a written ONNX model; the oldest sufficient one unless given
    #[arg(long, value_name = "N")]
    pub(crate) opset: Option<i64>,
    /// Put the weights of a written ONNX model into a file beside it, as those of large models are
    #[arg(long)]
    pub(crate) external_data: bool,
}

impl OnnxArgs {
    /// What the driver is asked to do.
    pub(crate) fn form(self) -> OnnxForm {
        let data = if self.external_data { DataPlace::Beside } else { DataPlace::Inside };
        OnnxForm { opset: self.opset, data, form: Form::Binary }
    }
}

/// What `weft compile` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmitKind {
    /// A program that needs libc and libm alone
    Exe,
    /// A shared library with a C header beside it
    Lib,
    /// A relocatable object with a C header beside it
    Obj,
    /// LLVM's code, as text
    LlvmIr,
    /// Assembly
    Asm,
    /// The graph after all passes, as text
    Weft,
    /// The graph after all passes, as an ONNX model
    Onnx,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A model (`.onnx`, `.weft`), or a library or program made by `weft compile`
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) dims: DimArgs,
    /// How many threads to use; one per processor unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Write each output to a file here instead of showing a summary
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    /// Write the time of each kernel to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// What runs a model
    #[arg(long, value_enum, default_value_t = BackendKind::Cpu)]
    pub(crate) backend: BackendKind,
    #[command(flatten)]
    pub(crate) compiling: Compiling,
}

/// What runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendKind {
    /// Compiled code
    Cpu,
    /// The reference interpreter
    Interp,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The model: an `.onnx` or `.weft` file
    pub(crate) model: PathBuf,
    /// A folder with `input_K.pb` and `output_K.pb`; the `test_data_set_*` folders beside the model unless given
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Vec<PathBuf>,
    /// Compare with the reference interpreter on random inputs instead
    #[arg(long, value_name = "SEED", conflicts_with = "data")]
    pub(crate) random: Option<u64>,
    /// Compare every value on the way, and show where a difference begins
    #[arg(long, requires = "random")]
    pub(crate) layers: bool,
    /// What runs the model
    #[arg(long, value_enum, default_value_t = BackendKind::Cpu)]
    pub(crate) backend: BackendKind,
    /// How far a float may be off, relative to what is expected
    #[arg(long, value_name = "R", default_value_t = 1e-3)]
    pub(crate) rtol: f64,
    /// How far a float may be off in any case
    #[arg(long, value_name = "A", default_value_t = 1e-4)]
    pub(crate) atol: f64,
    /// How many threads to use; one per processor unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    #[command(flatten)]
    pub(crate) dims: DimArgs,
    #[command(flatten)]
    pub(crate) compiling: Compiling,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A model (`.onnx`, `.weft`), or a library made by `weft compile`
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) dims: DimArgs,
    /// How many threads to use; one per processor unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// For how long to measure
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// An output that becomes an input of the next step
    #[arg(long, value_name = "OUT=IN", value_parser = pair)]
    pub(crate) feed: Vec<(String, String)>,
    /// How many steps a run with `--feed` has
    #[arg(long, value_name = "N", default_value_t = 32, requires = "feed")]
    pub(crate) steps: u32,
    #[command(flatten)]
    pub(crate) compiling: Compiling,
}

#[derive(Debug, Args)]
pub(crate) struct OptArgs {
    /// The model: an `.onnx` or `.weft` file
    pub(crate) model: PathBuf,
    /// The passes to run, as `canonicalize,fold-constants,O2`; the rules of the files unless given
    #[arg(long, value_name = "TEXT", required_unless_present = "rules")]
    pub(crate) pipeline: Option<String>,
    /// What is written
    #[arg(long, value_enum, default_value_t = OptEmit::Weft)]
    pub(crate) emit: OptEmit,
    /// Where it goes; to standard output unless given
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show what changed instead of the whole graph
    #[arg(long)]
    pub(crate) diff: bool,
    /// Print the graph after a pass of this name that changed it, or after every one
    #[arg(long, value_name = "NAME|all")]
    pub(crate) print_after: Vec<String>,
    /// Check the graph after every pass
    #[arg(long)]
    pub(crate) verify_each: bool,
    /// Make at most so many rewrites
    #[arg(long, value_name = "N")]
    pub(crate) stop_after: Option<u64>,
    /// The processor that forms of the model are weighed for, as for `weft compile`; one with AVX2 unless given, so
    /// that the same comes out on every machine
    #[arg(long, value_name = "NAME")]
    pub(crate) cpu: Option<String>,
    /// Say of every rewrite where it was made, and why others were not
    #[arg(long)]
    pub(crate) explain: bool,
    /// Make an input a constant: a number for all its elements, numbers with commas between them, or a file
    #[arg(long, value_name = "NAME=VALUE", value_parser = fixed)]
    pub(crate) fix: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) calibrating: Calibrating,
    #[command(flatten)]
    pub(crate) dims: DimArgs,
    #[command(flatten)]
    pub(crate) extensions: Extensions,
    #[command(flatten)]
    pub(crate) onnx: OnnxArgs,
}

/// What `weft opt` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OptEmit {
    /// The written form
    Weft,
    /// An ONNX model; it needs `-o`
    Onnx,
    /// An ONNX model as text
    Onnxtxt,
}

#[derive(Debug, Args)]
pub(crate) struct ReduceArgs {
    /// The model: an `.onnx` or `.weft` file
    pub(crate) model: PathBuf,
    /// The passes that fail on it
    #[arg(long, value_name = "TEXT")]
    pub(crate) pipeline: String,
    /// Where what is left of it goes, as `.weft` or `.onnx`
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// What counts as a failure: `error`, `equal` for other results than the interpreter's, or a program that
    /// is given the file of a module and ends with exit code 0 if it fails; an error or other results unless given
    #[arg(long, value_name = "error|equal|COMMAND")]
    pub(crate) check: Option<String>,
    #[command(flatten)]
    pub(crate) dims: DimArgs,
    #[command(flatten)]
    pub(crate) extensions: Extensions,
}

#[derive(Debug, Args)]
pub(crate) struct FiletestArgs {
    /// The folder with `.weft` files
    pub(crate) folder: PathBuf,
    /// Take what the runs give as the new snapshots
    #[arg(long)]
    pub(crate) bless: bool,
    /// Run only files whose path holds this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) only: String,
    #[command(flatten)]
    pub(crate) extensions: Extensions,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A model (`.onnx`, `.weft`), or a library made by `weft compile`
    pub(crate) file: PathBuf,
    /// Print the graph in Graphviz' language
    #[arg(long, group = "form", conflicts_with = "json")]
    pub(crate) dot: bool,
    /// Print a picture of the graph
    #[arg(long, group = "form", conflicts_with = "json")]
    pub(crate) svg: bool,
    /// Print a page: the graph before and after the passes, and what each of them did
    #[arg(long, group = "form", conflicts_with = "json")]
    pub(crate) html: bool,
    /// Where the graph, picture or page goes; to standard output unless given
    #[arg(short, long, value_name = "FILE", requires = "form")]
    pub(crate) output: Option<PathBuf>,
    /// The passes to run before looking; `O2` for a page, else `O0` unless given
    #[arg(long, value_name = "TEXT")]
    pub(crate) pipeline: Option<String>,
    #[command(flatten)]
    pub(crate) calibrating: Calibrating,
    #[command(flatten)]
    pub(crate) dims: DimArgs,
    #[command(flatten)]
    pub(crate) extensions: Extensions,
}

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    /// The rule, family, function or condition to explain
    pub(crate) name: Option<String>,
    /// Compute both sides of the rules of FILE, or of all there are, on random graphs
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) check: Option<Option<PathBuf>>,
    /// On how many graphs each rule is checked
    #[arg(long, value_name = "N", default_value_t = 64, requires = "check")]
    pub(crate) instances: usize,
    /// Where the random numbers begin
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "check")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) extensions: Extensions,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// What to explain
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) extensions: Extensions,
}

/// `NAME=VALUE`; names may hold `=`.
fn extent(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.rsplit_once('=').ok_or("expected NAME=VALUE")?;
    let value = value.trim().parse().map_err(|_| format!("`{value}` is not a whole number"))?;
    Ok((name.to_string(), value))
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = pair(text).map_err(|_| "expected NAME=FILE")?;
    Ok((name, file.into()))
}

fn fixed(text: &str) -> Result<(String, String), String> {
    pair(text).map_err(|_| "expected NAME=VALUE".to_string())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (left, right) = text.split_once('=').ok_or("expected OUT=IN")?;
    Ok((left.to_string(), right.to_string()))
}
