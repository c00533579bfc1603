//! The composition of all rooms.
use crate::cost::ByRates;
use crate::dims::{self, Dims};
use crate::error::Error;
use crate::evaluate::Interpreted;
use crate::model::{self, Model};
use crate::progress::{Phase, Progress};
use crate::{files, rules, weights};
use std::path::{Path, PathBuf};
use weft_backend::Rates;
use weft_frontend::Frontend;
use weft_ir::{Module, OpSet};
use weft_onnx::Onnx;
use weft_passes::{
    Budget, Evaluate, Manager, Outcome, PassContext, Pipeline, PipelineError, Plan, Registry, VerifyEach,
};

/// Knows every frontend, pass and backend, and brings models through them.
pub struct Driver {
    registry: Registry,
    ops: &'static OpSet,
    frontends: Vec<Box<dyn Frontend>>,
    evaluate: Interpreted,
}

/// How a pipeline is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct PassOptions {
    /// How many rewrites there may be.
    pub budget: Budget,
    /// Whether the module is checked after each pass.
    pub verify_each: VerifyEach,
    /// How fast the processor is that the module is for.
    pub rates: Rates,
}

impl Driver {
    /// A driver with everything that weft comes with.
    pub fn new() -> Result<Self, Error> {
        let mut registry = Registry::default();
        weft_library::register(&mut registry)?;
        Ok(Self::with(registry))
    }

    /// A driver with passes and pipelines of your own choice.
    pub fn with(registry: Registry) -> Self {
        let frontends: Vec<Box<dyn Frontend>> = vec![Box::new(Onnx)];
        Self { registry, ops: OpSet::builtin(), frontends, evaluate: Interpreted::default() }
    }

    /// The passes and pipelines there are.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes in the rules of a file, a family that is named like the file; see [`family_of`].
    ///
    /// [`family_of`]: crate::family_of
    pub fn add_rules(&mut self, file: &Path) -> Result<(), Error> {
        rules::add(&mut self.registry, self.ops, file)
    }

    /// The operators there are.
    pub fn ops(&self) -> &'static OpSet {
        self.ops
    }

    /// Reads a model, whatever its form, and fixes symbolic extents.
    pub fn read(&self, path: &Path, dims: &Dims, progress: &mut dyn Progress) -> Result<Model, Error> {
        progress.begin(Phase::Read);
        let mut model = self.read_form(path)?;
        dims::name_unknown(&mut model.module.graph);
        dims::fix(&mut model.module, dims)?;
        model.report.warnings.iter().for_each(|warning| progress.remark(&warning.to_string()));
        let graph = &model.module.graph;
        let (nodes, inputs, outputs) = (graph.len(), graph.inputs().len(), graph.outputs().len());
        let file = path.display();
        progress.done(Phase::Read, &format!("{file}: {nodes} nodes, {inputs} inputs, {outputs} outputs"));
        Ok(model)
    }

    fn read_form(&self, path: &Path) -> Result<Model, Error> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if extension == "weft" {
            return model::read_text(path, self.ops);
        }
        let frontend = self.frontends.iter().find(|f| f.info().extensions.contains(&extension));
        let frontend = frontend.ok_or_else(|| model::unknown_form(path))?;
        model::read_by(&**frontend, path)
    }

    /// Writes a module as text, its weights beside it; says which files were made besides.
    pub fn write(&self, module: &Module, path: &Path) -> Result<Vec<PathBuf>, Error> {
        weights::write_module(module, self.ops, path)
    }

    /// Writes a module as an ONNX model.
    pub fn write_onnx(&self, module: &Module, path: &Path) -> Result<(), Error> {
        files::write(path, &weft_onnx::write(module, self.ops)?)
    }

    /// The passes that a pipeline names.
    pub fn plan(&self, text: &str) -> Result<Plan, Error> {
        let wrong = |errors: Vec<PipelineError>| Error::Pipeline { text: text.to_string(), errors };
        let pipeline: Pipeline = text.parse().map_err(|error| wrong(vec![error]))?;
        pipeline.resolve(&self.registry).map_err(wrong)
    }

    /// Runs passes on a module. After an error it must not be used any more.
    pub fn optimise(
        &self,
        module: &mut Module,
        plan: &Plan,
        options: PassOptions,
        progress: &mut dyn Progress,
    ) -> Result<Outcome, Error> {
        progress.begin(Phase::Optimise);
        let PassOptions { budget, verify_each, rates } = options;
        let (evaluate, cost) = (Some(&self.evaluate as &dyn Evaluate), ByRates(rates));
        let context = PassContext { ops: self.ops, evaluate, legality: None, cost: Some(&cost) };
        let mut manager = Manager { context, observer: progress, budget, verify_each };
        let outcome = manager.run(module, plan)?;
        let rewrites = manager.budget.done();
        progress.done(Phase::Optimise, &format!("{} nodes after {rewrites} rewrites", module.graph.len()));
        Ok(outcome)
    }
}
