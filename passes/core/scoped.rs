//! Running scopes on calibration data.
use crate::measure::{Measure, Ready, Tapped};
use crate::pass::PassError;
use crate::scope::Scope;
use std::sync::Arc;
use weft_ir::{Module, Tensor, Value};

/// A scope with what flows into it on one calibration input.
#[derive(Clone)]
pub struct Scoped {
    ready: Arc<dyn Ready>,
    taps: Vec<Tensor>,
}

impl Scoped {
    /// What comes out of it with these matrices for its layers, and whatever else its module takes.
    ///
    /// # Errors
    /// If the matrices do not fit, or the run fails.
    pub fn run(&self, matrices: &[Tensor]) -> Result<Tensor, PassError> {
        let inputs: Vec<Tensor> = self.taps.iter().chain(matrices).cloned().collect();
        let nothing = || PassError::Failed("a scope gives nothing".to_string());
        self.ready.run(&inputs)?.into_iter().next().ok_or_else(nothing)
    }
}

/// Lends `visit` each scope of a module, its place in the list being the group, with what flows into
/// it, once a calibration input.
///
/// # Errors
/// If the module or a scope cannot be run, or `visit` gives up.
pub fn in_scopes(
    measure: &dyn Measure,
    module: &Module,
    scopes: &[Scope],
    visit: &mut dyn FnMut(Tapped, &Scoped) -> Result<(), PassError>,
) -> Result<(), PassError> {
    let groups: Vec<Vec<Value>> = scopes.iter().map(|scope| scope.taps.clone()).collect();
    let mut ready: Vec<Option<Arc<dyn Ready>>> = vec![None; scopes.len()];
    measure.stream(module, &groups, &mut |tapped, taps| {
        let Tapped { group, last, .. } = tapped;
        let opened = match ready[group].take() {
            Some(opened) => opened,
            None => measure.open(&scopes[group].module)?,
        };
        ready[group] = (!last).then(|| opened.clone());
        visit(tapped, &Scoped { ready: opened, taps: taps.to_vec() })
    })
}
