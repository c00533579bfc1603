//! Models to artifacts.
use crate::driver::{Driver, PassOptions};
use crate::error::Error;
use crate::files::{put, workshop};
use crate::model::{Model, name_of};
use crate::progress::{Phase, Progress, Quiet};
use crate::runner::Runner;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_backend::{Emit, OptLevel, Rates, Target, artifact};
use weft_ir::{Module, OpDef, OpName};
use weft_kernel::lower::lower;
use weft_kernel::program::Program;
use weft_kernel::schedule::Machine;
use weft_passes::{graph_at, graph_paths};

/// How a model is compiled.
#[derive(Debug, Clone)]
pub struct CompileOptions {
    /// The passes, as text.
    pub pipeline: String,
    /// How they are run.
    pub passes: PassOptions,
    /// The processor it is for.
    pub cpu: String,
    /// How much the code generator does.
    pub level: OptLevel,
}

impl Default for CompileOptions {
    fn default() -> Self {
        let (pipeline, cpu) = ("O2".to_string(), "native".to_string());
        Self { pipeline, passes: PassOptions::default(), cpu, level: OptLevel::O2 }
    }
}

/// What compiling made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The file that was asked for.
    pub path: PathBuf,
    /// Files that lie beside it.
    pub beside: Vec<PathBuf>,
    /// What the names of its C functions begin with.
    pub stem: String,
    /// How long the file is.
    pub bytes: u64,
}

impl PassOptions {
    /// The same, for models that this processor is to run.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn for_cpu(self, cpu: &str) -> Result<Self, Error> {
        Ok(Self { rates: Rates::of(&weft_llvm::target(cpu)?), ..self })
    }
}

impl Driver {
    /// Compiles a model to an artifact. The file and what lies beside it appear whole or not at all.
    pub fn compile(
        &self,
        model: Model,
        options: &CompileOptions,
        (emit, output): (Emit, &Path),
        progress: &mut dyn Progress,
    ) -> Result<Made, Error> {
        let target = weft_llvm::target(&options.cpu)?;
        let plan = self.plan(&options.pipeline)?;
        let mut module = model.module;
        let passes = options.passes.clone().for_cpu(&options.cpu)?;
        self.optimise(&mut module, &plan, passes, progress)?;
        let lowered = self.lower(&module, &target, progress);
        let mut program = lowered.map_err(|error| as_in_the_file(error, &model.report.operators))?;
        program.name = name_of(output);
        drop(module);
        generate(&program, options, (emit, output), progress)
    }

    /// Compiles a model and opens what came out, to run it in this process.
    pub fn prepare(
        &self,
        model: Model,
        options: &CompileOptions,
        load: weft_load::Options,
        progress: &mut dyn Progress,
    ) -> Result<Runner, Error> {
        let failed = |error| Error::Write { file: std::env::temp_dir(), error };
        let folder = tempfile::Builder::new().prefix("weft-").tempdir().map_err(failed)?;
        let output = folder.path().join(format!("{}.so", model.name()));
        self.compile(model, options, (Emit::Lib, &output), progress)?;
        // An open library needs its file no more.
        Runner::open(&output, load)
    }

    /// The kernels and steps of a module.
    pub fn lower(
        &self,
        module: &Module,
        target: &Target,
        progress: &mut dyn Progress,
    ) -> Result<Program, Error> {
        progress.begin(Phase::Lower);
        let module = self.taken_apart(module)?;
        let program = lower(&module, self.ops(), &machine(target))?;
        let (kernels, steps) = (program.kernels.len(), program.steps.len());
        progress.done(Phase::Lower, &format!("{kernels} kernels in {steps} steps"));
        Ok(program)
    }
}

impl Driver {
    /// The module without operators that stand for graphs, should its passes have left any.
    fn taken_apart<'m>(&self, module: &'m Module) -> Result<Cow<'m, Module>, Error> {
        let is_graph = |op: &OpName| self.ops().get(op.as_str()).is_some_and(OpDef::is_graph);
        let paths = graph_paths(&module.graph);
        let mut graphs = paths.iter().filter_map(|path| graph_at(&module.graph, path));
        if !graphs.any(|graph| graph.nodes().any(|id| is_graph(&graph.node(id).op))) {
            return Ok(Cow::Borrowed(module));
        }
        let mut module = module.clone();
        self.optimise(&mut module, &self.plan("canonicalize,clean")?, PassOptions::default(), &mut Quiet)?;
        Ok(Cow::Owned(module))
    }
}

/// A processor as schedules see it.
fn machine(target: &Target) -> Machine {
    Machine {
        vector_bytes: target.vector_bytes(),
        registers: target.registers(),
        l1: target.l1,
        l2: target.l2,
        asks: !target.looks_ahead(),
        dots: target.vnni,
    }
}

/// The error, with the names that operators have in the model's file where those differ.
fn as_in_the_file(mut error: Error, operators: &BTreeMap<String, Arc<str>>) -> Error {
    if let Error::Lower(error) = &mut error {
        for problem in &mut error.problems {
            let of_file = operators.get(&problem.at).filter(|op| ***op != *problem.op);
            problem.message.extend(of_file.map(|op| format!("; in the model it is `{op}`")));
        }
    }
    error
}

/// Makes the artifact in a folder of its own, then moves all of it to its place.
fn generate(
    program: &Program,
    options: &CompileOptions,
    (emit, output): (Emit, &Path),
    progress: &mut dyn Progress,
) -> Result<Made, Error> {
    progress.begin(Phase::Generate);
    let folder = workshop(output)?;
    let made = folder.path().join("artifact");
    let (cpu, level) = (options.cpu.clone(), options.level);
    let job = weft_llvm::Options { cpu, level, ..weft_llvm::Options::new(emit, &made) };
    let artifact = weft_llvm::compile(program, &job)?;
    let failed = |error| Error::Write { file: output.to_path_buf(), error };
    let bytes = made.metadata().map_err(failed)?.len();
    let mut beside = Vec::new();
    for file in &artifact.beside {
        let place = output.with_extension(file.extension().unwrap_or_default());
        put(file, &place)?;
        beside.push(place);
    }
    put(&made, output)?;
    progress.done(Phase::Generate, &format!("{}: {bytes} bytes", output.display()));
    Ok(Made { path: output.to_path_buf(), beside, stem: artifact::stem(&program.name), bytes })
}
