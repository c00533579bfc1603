//! Calibration data that a test makes up, run by the interpreter.
use std::collections::BTreeSet;
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::{Module, Tensor, Value};
use weft_passes::{Measure, PassError, Ready, Store, Streamed, Tapped, TextPorts, Visit};

/// What a test makes up.
pub(crate) trait Data: Send + Sync {
    /// What goes into the module, input by input.
    fn inputs(&self) -> Vec<Vec<Tensor>>;

    /// What a value of this name is taken to be on one of the inputs; nothing for what the module makes of it.
    fn instead(&self, _name: &str, _input: usize) -> Option<Tensor> {
        None
    }
}

/// Lends such data to passes. Nothing can be tried with other constants, and tensors are kept in memory.
pub(crate) struct Calibrated<D>(pub(crate) D);

impl<D: Data> Measure for Calibrated<D> {
    fn describe(&self) -> String {
        format!("{} inputs", self.0.inputs().len())
    }

    fn stream(&self, module: &Module, groups: &[Vec<Value>], visit: &mut Visit<'_>) -> Result<(), PassError> {
        let inputs = self.0.inputs();
        for (group, taps) in groups.iter().enumerate() {
            let mut tapped = module.clone();
            tapped.graph.set_outputs(taps.clone());
            tapped.graph.set_output_names((0..taps.len()).map(|n| format!("tap{n}")).collect());
            let tapped = Opened(tapped);
            for (input, given) in inputs.iter().enumerate() {
                let found = tapped.run(given)?.into_iter().zip(taps);
                let instead = |tap: &Value| self.0.instead(module.graph.name_of(*tap), input);
                let values: Vec<Tensor> = found.map(|(found, tap)| instead(tap).unwrap_or(found)).collect();
                visit(Tapped { group, input, last: input + 1 == inputs.len() }, &values)?;
            }
        }
        Ok(())
    }

    fn prepare<'m>(
        &'m self,
        _: &Module,
        _: &[Vec<Value>],
        _: &BTreeSet<Value>,
    ) -> Result<Box<dyn Streamed + 'm>, PassError> {
        Err(PassError::Failed("nothing is tried here".to_string()))
    }

    fn open(&self, module: &Module) -> Result<Arc<dyn Ready>, PassError> {
        Ok(Arc::new(Opened(module.clone())))
    }

    fn store(&self) -> Result<Box<dyn Store>, PassError> {
        Ok(Box::new(Held::default()))
    }

    fn text(&self) -> Option<TextPorts> {
        None
    }
}

/// A module, run by the interpreter.
pub(crate) struct Opened(pub(crate) Module);

impl Ready for Opened {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, PassError> {
        let inputs: Vec<Arc<Tensor>> = inputs.iter().cloned().map(Arc::new).collect();
        Interpreter::default().run(&self.0, &inputs).map_err(|e| PassError::Failed(e.to_string()))
    }
}

#[derive(Default)]
struct Held(Vec<Tensor>);

impl Store for Held {
    fn put(&mut self, tensor: &Tensor) -> Result<usize, PassError> {
        self.0.push(tensor.clone());
        Ok(self.0.len() - 1)
    }

    fn get(&mut self, number: usize) -> Result<Tensor, PassError> {
        let gone = || PassError::Failed(format!("no tensor has the number {number}"));
        self.0.get(number).cloned().ok_or_else(gone)
    }
}
