//! Calibration data, lent to passes.
use super::Calibration;
use super::kept::Kept;
use super::run::{Keep, Run};
use super::segments::segments;
use super::store::Spilled;
use crate::driver::Driver;
use crate::error::Error;
use crate::runner::Runner;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use weft_frontend::give_back_mapped;
use weft_ir::text::{Style, print};
use weft_ir::{Module, Tensor, Value};
use weft_passes::{
    AsTheyStand, Findings, Forgetful, Measure, PassError, Ready, Store, Streamed, TextPorts, Visit,
};

/// Runs modules on calibration data, compiled where there is a compiler.
pub(crate) struct OnData<'d> {
    driver: &'d Driver,
    data: &'d Calibration,
    ready: Mutex<BTreeMap<String, Arc<dyn Ready>>>,
    /// The digest of the data, once it was asked for.
    digest: OnceLock<Option<[u8; 32]>>,
    /// What passes say they are doing.
    doing: Mutex<String>,
}

/// Bytes of weights that are read before their memory is given back.
const READ: usize = 64 << 20;

/// Has the digests of all weights computed, by which they are told apart later: a mapped file is then not read as a
/// whole at once.
pub(crate) fn digest_weights(module: &Module) {
    let mut read = 0;
    let constants = module.graph.nodes().map(|node| Value { node, slot: 0 });
    for tensor in constants.filter_map(|value| module.graph.constant(value)) {
        tensor.digest();
        read += tensor.data().len();
        if read > READ {
            give_back_mapped();
            read = 0;
        }
    }
}

struct Engine(Runner);

impl Ready for Engine {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, PassError> {
        let inputs: Vec<Arc<Tensor>> = inputs.iter().cloned().map(Arc::new).collect();
        self.0.run(&inputs).map_err(failed)
    }
}

pub(super) fn failed(error: Error) -> PassError {
    PassError::Failed(format!("calibration: {error}"))
}

impl<'d> OnData<'d> {
    pub(crate) fn new(driver: &'d Driver, data: &'d Calibration) -> Self {
        let doing = Mutex::new("calibrating".to_string());
        Self { driver, data, ready: Mutex::default(), digest: OnceLock::new(), doing }
    }

    /// Makes a module ready.
    pub(super) fn fresh(&self, module: &Module) -> Result<Arc<dyn Ready>, PassError> {
        // Whoever made the module may have read all weights for it.
        give_back_mapped();
        let mut module = module.clone();
        module.graph.sweep();
        let runner = self.runner(module).map_err(failed)?;
        Ok(Arc::new(Engine(runner)))
    }

    /// A module in segments that give these groups of values.
    fn run(&self, module: &Module, groups: &[Vec<Value>], (open, keep): (&BTreeSet<Value>, Keep)) -> Run<'_> {
        let bytes = |value| self.bytes(module, value);
        let segments = segments((module, open), self.driver.ops(), groups, &bytes);
        Run::new(self, (module.graph.clone(), groups.to_vec()), segments, keep)
    }

    /// The extents of a value, over all inputs the largest; nothing if they are decided at run time.
    fn bytes(&self, module: &Module, value: Value) -> Option<u64> {
        let ty = module.graph.ty(value);
        let of = |symbol: &str| self.data.extents.get(symbol).and_then(|n| i64::try_from(*n).ok());
        ty.dtype.bytes(u64::try_from(ty.elements()?.eval(&of)?).ok()?)
    }

    /// How many inputs there are.
    pub(super) fn count(&self) -> usize {
        self.data.inputs.len()
    }

    /// The input of that number.
    pub(super) fn input(&self, number: usize) -> Result<Vec<Tensor>, PassError> {
        let tensors = self.data.inputs[number].tensors().map_err(failed)?;
        Ok(tensors.iter().map(|tensor| (**tensor).clone()).collect())
    }

    pub(super) fn say(&self, what: &str) {
        self.data.say(&format!("{}: {what}", self.doing.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    /// The text of a module, by which equal ones are found.
    pub(super) fn written(&self, module: &Module) -> String {
        print(module, self.driver.ops(), Style::default())
    }

    #[cfg(feature = "llvm")]
    fn runner(&self, module: Module) -> Result<Runner, Error> {
        use crate::compile::CompileOptions;
        use crate::model::Model;
        let pipeline = if module.stage == weft_ir::Stage::Lowered { "" } else { "O2" };
        let options = CompileOptions { pipeline: pipeline.to_string(), ..CompileOptions::default() };
        let model = Model { path: "calibration".into(), module, report: weft_frontend::Report::default() };
        self.driver.prepare(model, &options, weft_load::Options::default(), &mut crate::progress::Quiet)
    }

    #[cfg(not(feature = "llvm"))]
    fn runner(&self, module: Module) -> Result<Runner, Error> {
        Ok(self.driver.interpret(module))
    }
}

impl Measure for OnData<'_> {
    fn describe(&self) -> String {
        self.data.to_string()
    }

    fn tell(&self, what: &str) {
        // A step is over; the next one reads other weights.
        give_back_mapped();
        self.data.say(what);
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = what.to_string();
    }

    fn stream(&self, module: &Module, groups: &[Vec<Value>], visit: &mut Visit<'_>) -> Result<(), PassError> {
        self.run(module, groups, (&BTreeSet::new(), Keep::WhileNeeded)).run(usize::MAX, &AsTheyStand, visit)
    }

    fn prepare<'m>(
        &'m self,
        module: &Module,
        groups: &[Vec<Value>],
        open: &BTreeSet<Value>,
    ) -> Result<Box<dyn Streamed + 'm>, PassError> {
        Ok(Box::new(self.run(module, groups, (open, Keep::ForMore))))
    }

    fn open(&self, module: &Module) -> Result<Arc<dyn Ready>, PassError> {
        let key = self.written(module);
        if let Some(ready) = self.ready.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(ready.clone());
        }
        let ready = self.fresh(module)?;
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(key, ready.clone());
        Ok(ready)
    }

    fn store(&self) -> Result<Box<dyn Store>, PassError> {
        Ok(Box::new(Spilled::new()?))
    }

    fn findings(&self, module: &Module) -> Box<dyn Findings> {
        let digest = || self.digest.get_or_init(|| self.data.digest().ok()).as_ref();
        match self.data.findings.as_ref().and_then(|folder| Some((folder, digest()?))) {
            Some((folder, data)) => Box::new(Kept::new(folder, (&self.written(module), data))),
            None => Box::new(Forgetful),
        }
    }

    fn text(&self) -> Option<TextPorts> {
        self.data.text
    }
}
