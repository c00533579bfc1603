//! `Measure`: what flows through a module on calibration data.
use crate::pass::PassError;
use std::sync::Arc;
use weft_ir::{Module, Tensor, Value};

/// Runs modules on calibration data; lent by the root, which compiles or interprets them.
pub trait Measure: Send + Sync {
    /// What the data are, for reports: `text.npz: 12 inputs`.
    fn describe(&self) -> String;

    /// Runs `module` on every calibration input in order, and lends `visit` the values of `taps`,
    /// in the order of `taps`, once an input. Taps are values of the main graph, inputs among them.
    ///
    /// # Errors
    /// If the module cannot be run, or `visit` gives up.
    fn stream(
        &self,
        module: &Module,
        taps: &[Value],
        visit: &mut dyn FnMut(&[Tensor]) -> Result<(), PassError>,
    ) -> Result<(), PassError>;

    /// How many bytes a value of the module has at most, over all inputs; 0 where that is decided at
    /// run time.
    fn bytes(&self, module: &Module, value: Value) -> u64;

    /// Makes a module ready to be run on inputs of the pass's own choice.
    ///
    /// # Errors
    /// If it cannot be run.
    fn open(&self, module: &Module) -> Result<Arc<dyn Ready>, PassError>;

    /// Where token ids go in and logits come out, if the data are a text for a language model.
    fn text(&self) -> Option<TextPorts>;
}

/// A module that is ready to run.
pub trait Ready: Send + Sync {
    /// Its outputs for these inputs, both in its order.
    ///
    /// # Errors
    /// If they do not fit, or the run fails.
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, PassError>;
}

/// The ports of a language model that a text goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPorts {
    /// Which input takes token ids, `[batch, tokens]`.
    pub ids: usize,
    /// Which output gives logits, `[batch, tokens, vocabulary]`: those at a token are of the next one.
    pub logits: usize,
}
