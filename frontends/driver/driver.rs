//! The composition of all rooms.
use crate::calibrate::{Calibration, OnData, digest_weights};
use crate::cost::ByRates;
use crate::dims::{self, Dims};
use crate::error::Error;
use crate::evaluate::Interpreted;
use crate::export::{self, OnnxForm};
use crate::failed::{Before, Failed};
use crate::model::{self, Model};
use crate::progress::{Phase, Progress};
use crate::runner::Runner;
use crate::{rules, weights};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_backend::Rates;
use weft_frontend::{Frontend, Report};
use weft_ir::{Module, OpSet};
use weft_library::Library;
use weft_onnx::Onnx;
use weft_passes::{
    Budget, ErrorBound, Evaluate, Manager, Measure, Outcome, PassContext, Pipeline, PipelineError, Plan,
    Plugin, Registry, RunError, VerifyEach,
};

/// Knows every frontend, pass and backend, and brings models through them.
pub struct Driver {
    registry: Registry,
    ops: &'static OpSet,
    frontends: Vec<Box<dyn Frontend>>,
    evaluate: Interpreted,
}

/// How a pipeline is run.
#[derive(Debug, Clone, Default)]
pub struct PassOptions {
    /// How many rewrites there may be.
    pub budget: Budget,
    /// Whether the module is checked after each pass.
    pub verify_each: VerifyEach,
    /// How fast the processor is that the module is for.
    pub rates: Rates,
    /// What passes may look at the module with.
    pub calibration: Option<Arc<Calibration>>,
    /// What they measure errors on, where that is not the same.
    pub validation: Option<Arc<Calibration>>,
    /// The most error that lossy passes may bring in; it takes calibration data.
    pub bound: Option<ErrorBound>,
}

/// What is lent to the passes of one pipeline.
struct Lent<'a> {
    cost: ByRates,
    data: Option<OnData<'a>>,
    validation: Option<OnData<'a>>,
}

impl Driver {
    /// A driver with everything that weft comes with.
    pub fn new() -> Result<Self, Error> {
        let mut registry = Registry::new(weft_rules::read);
        registry.install(&Library)?;
        Ok(Self::with(registry))
    }

    /// A driver with passes and pipelines of your own choice.
    pub fn with(registry: Registry) -> Self {
        let mut driver = Self {
            registry,
            ops: OpSet::builtin(),
            frontends: Vec::new(),
            evaluate: Interpreted::new(OpSet::builtin()),
        };
        driver.compose();
        driver
    }

    /// Tells everybody of the operators there are.
    fn compose(&mut self) {
        if self.registry.operators().count() + OpSet::builtin().iter().count() > self.ops.iter().count() {
            // Definitions are known until the process ends, as all that plugins name.
            self.ops = Box::leak(Box::new(self.registry.ops()));
        }
        self.frontends = vec![Box::new(Onnx::with_ops(self.ops))];
        self.evaluate = Interpreted::new(self.ops);
    }

    /// Takes in everything a plugin has, or nothing of it.
    pub fn add(&mut self, plugin: &dyn Plugin) -> Result<(), Error> {
        self.registry.install(plugin)?;
        self.compose();
        Ok(())
    }

    /// Opens a plugin library and takes in everything it has.
    pub fn load(&mut self, file: &Path) -> Result<(), Error> {
        self.add(&weft_host::Library::open(file)?)
    }

    /// The passes and pipelines there are, and the plugins they are from.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes in the rules of a file, a family that is named like the file; see [`family_of`].
    ///
    /// [`family_of`]: crate::family_of
    pub fn add_rules(&mut self, file: &Path) -> Result<(), Error> {
        self.add(&rules::RuleFile::read(file, self.ops, self.registry.rules())?)
    }

    /// The operators there are.
    pub fn ops(&self) -> &'static OpSet {
        self.ops
    }

    /// Computes single nodes.
    pub(crate) fn evaluator(&self) -> &dyn Evaluate {
        &self.evaluate
    }

    /// Makes a module ready to run node by node.
    pub fn interpret(&self, module: Module) -> Runner {
        Runner::interpret(module, self.ops)
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

    /// Writes a module as an ONNX model; says which files were made besides. The report of its import
    /// has the names and remarks of the nodes.
    pub fn write_onnx(
        &self,
        (module, report): (&Module, &Report),
        path: &Path,
        form: OnnxForm,
    ) -> Result<Vec<PathBuf>, Error> {
        export::write((module, report), self.ops, path, form)
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
        let lent = self.lent(&options);
        let context = self.context(&lent, options.bound);
        if lent.data.is_some() {
            digest_weights(module);
        }
        let original = module.clone();
        let (budget, verify_each) = (options.budget, options.verify_each);
        let mut manager = Manager { context, observer: progress, budget, verify_each };
        let ended = manager.run(module, plan);
        let outcome = ended.map_err(|error| self.failed(original, (plan, &options), error))?;
        let rewrites = manager.budget.done();
        progress.done(Phase::Optimise, &format!("{} nodes after {rewrites} rewrites", module.graph.len()));
        Ok(outcome)
    }

    fn lent<'a>(&'a self, options: &'a PassOptions) -> Lent<'a> {
        let on = |data: &'a Option<Arc<Calibration>>| data.as_deref().map(|data| OnData::new(self, data));
        let (data, validation) = (on(&options.calibration), on(&options.validation));
        Lent { cost: ByRates(options.rates), data, validation }
    }

    /// What passes are lent.
    fn context<'a>(&'a self, lent: &'a Lent<'_>, bound: Option<ErrorBound>) -> PassContext<'a> {
        let [measure, validation] =
            [&lent.data, &lent.validation].map(|data| data.as_ref().map(|data| data as &dyn Measure));
        let (evaluate, cost) = (Some(self.evaluator()), Some(&lent.cost as _));
        PassContext { evaluate, cost, measure, validation, bound, ..PassContext::of(self.ops) }
    }

    /// Runs passes again that failed, to keep what they failed on.
    fn failed(&self, original: Module, (plan, options): (&Plan, &PassOptions), error: RunError) -> Error {
        let lent = self.lent(options);
        let context = self.context(&lent, options.bound);
        let (budget, verify_each) = (options.budget, options.verify_each);
        let (mut module, mut before) = (original.clone(), Before::default());
        // It ends like the first time, as everything is deterministic.
        drop(Manager { context, observer: &mut before, budget, verify_each }.run(&mut module, plan));
        let pipeline = plan.written(error.pass()).join(",");
        let before = match error {
            RunError::Stage { .. } => module,
            _ => before.0.unwrap_or(original),
        };
        Error::Passes(Box::new(Failed { error, before, pipeline, ops: self.ops }))
    }
}
