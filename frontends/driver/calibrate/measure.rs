//! Calibration data, lent to passes.
use super::Calibration;
use crate::driver::Driver;
use crate::error::Error;
use crate::runner::Runner;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use weft_ir::text::{Style, print};
use weft_ir::{Graph, Module, Tensor, Value};
use weft_passes::{Measure, PassError, Ready, TextPorts};

/// Modules with fewer bytes of weights are kept ready once they are.
const SMALL: usize = 1 << 20;

/// Runs modules on calibration data, compiled where there is a compiler.
pub(crate) struct OnData<'d> {
    driver: &'d Driver,
    data: &'d Calibration,
    ready: Mutex<BTreeMap<String, Arc<dyn Ready>>>,
}

struct Engine(Runner);

impl Ready for Engine {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, PassError> {
        let inputs: Vec<Arc<Tensor>> = inputs.iter().cloned().map(Arc::new).collect();
        self.0.run(&inputs).map_err(failed)
    }
}

fn failed(error: Error) -> PassError {
    PassError::Failed(format!("calibration: {error}"))
}

impl<'d> OnData<'d> {
    pub(crate) fn new(driver: &'d Driver, data: &'d Calibration) -> Self {
        Self { driver, data, ready: Mutex::default() }
    }

    /// Makes a module ready that others may ask for again.
    fn kept(&self, module: &Module) -> Result<Arc<dyn Ready>, PassError> {
        if weight_bytes(&module.graph) > SMALL {
            return self.fresh(module);
        }
        let key = print(module, self.driver.ops(), Style::default());
        if let Some(ready) = self.ready.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(ready.clone());
        }
        let ready = self.fresh(module)?;
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(key, ready.clone());
        Ok(ready)
    }

    fn fresh(&self, module: &Module) -> Result<Arc<dyn Ready>, PassError> {
        self.data.say("calibrating: compiling");
        let mut module = module.clone();
        module.graph.sweep();
        let runner = self.runner(module).map_err(failed)?;
        Ok(Arc::new(Engine(runner)))
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

fn weight_bytes(graph: &Graph) -> usize {
    let weights = graph.nodes().filter_map(|id| graph.constant(Value { node: id, slot: 0 }));
    weights.map(|tensor| tensor.data().len()).sum()
}

impl Measure for OnData<'_> {
    fn describe(&self) -> String {
        self.data.to_string()
    }

    fn stream(
        &self,
        module: &Module,
        taps: &[Value],
        visit: &mut dyn FnMut(&[Tensor]) -> Result<(), PassError>,
    ) -> Result<(), PassError> {
        let graph = &module.graph;
        let mut computed: Vec<Value> = taps.iter().copied().filter(|tap| !graph.is_input(*tap)).collect();
        computed.sort();
        computed.dedup();
        let mut tapped = module.clone();
        tapped.graph.set_outputs(computed.clone());
        let ready = (!computed.is_empty()).then(|| self.fresh(&tapped)).transpose()?;
        let count = self.data.inputs.len();
        for (number, input) in self.data.inputs.iter().enumerate() {
            self.data.say(&format!("calibrating: input {} of {count}", number + 1));
            let inputs: Vec<Tensor> =
                input.tensors().map_err(failed)?.iter().map(|tensor| (**tensor).clone()).collect();
            let found = ready.as_ref().map(|ready| ready.run(&inputs)).transpose()?.unwrap_or_default();
            let value = |tap: &Value| match graph.inputs().iter().position(|id| *id == tap.node) {
                Some(at) => inputs.get(at).cloned(),
                None => computed.binary_search(tap).ok().and_then(|at| found.get(at).cloned()),
            };
            let values: Vec<Tensor> = taps.iter().filter_map(value).collect();
            visit(&values)?;
        }
        Ok(())
    }

    fn bytes(&self, module: &Module, value: Value) -> u64 {
        let ty = module.graph.ty(value);
        let of = |symbol: &str| self.data.extents.get(symbol).and_then(|n| i64::try_from(*n).ok());
        let elements = ty.elements().and_then(|n| u64::try_from(n.eval(&of)?).ok());
        elements.and_then(|n| ty.dtype.bytes(n)).unwrap_or_default()
    }

    fn open(&self, module: &Module) -> Result<Arc<dyn Ready>, PassError> {
        self.kept(module)
    }

    fn text(&self) -> Option<TextPorts> {
        self.data.text
    }
}
