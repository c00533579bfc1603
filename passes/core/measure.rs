//! `Measure`: what flows through a module on calibration data.
use crate::pass::PassError;
use weft_ir::{Module, Tensor, Value};

/// Runs modules on calibration data; lent by the root, which compiles or interprets them.
pub trait Measure: Send + Sync {
    /// What the data are, for reports: `text.npz: 12 inputs`.
    fn describe(&self) -> String;

    /// Runs `module` on every calibration input in order, and lends `visit` the values of `taps`,
    /// in the order of `taps`, once an input. Taps are values of the main graph.
    ///
    /// # Errors
    /// If the module cannot be run, or `visit` gives up.
    fn stream(
        &self,
        module: &Module,
        taps: &[Value],
        visit: &mut dyn FnMut(&[Tensor]) -> Result<(), PassError>,
    ) -> Result<(), PassError>;
}
