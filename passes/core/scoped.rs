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
    values: Arc<[Value]>,
    taps: Vec<Tensor>,
}

impl Scoped {
    /// What comes out of it with these matrices for its layers, and whatever else its module takes.
    ///
    /// # Errors
    /// If the matrices do not fit, or the run fails.
    pub fn run(&self, matrices: &[Tensor]) -> Result<Tensor, PassError> {
        self.run_on(self.taps.clone(), matrices)
    }

    /// The same where something else flows in for one value.
    ///
    /// # Errors
    /// As before, or if `instead` has one.
    pub fn run_with(
        &self,
        value: Value,
        instead: &dyn Fn(&Tensor) -> Result<Tensor, PassError>,
        matrices: &[Tensor],
    ) -> Result<Tensor, PassError> {
        let tap = |(own, tap): (&Value, &Tensor)| if *own == value { instead(tap) } else { Ok(tap.clone()) };
        self.run_on(self.values.iter().zip(&self.taps).map(tap).collect::<Result<_, _>>()?, matrices)
    }

    fn run_on(&self, mut inputs: Vec<Tensor>, matrices: &[Tensor]) -> Result<Tensor, PassError> {
        inputs.extend_from_slice(matrices);
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
        let values = scopes[group].taps.clone().into();
        visit(tapped, &Scoped { ready: opened, values, taps: taps.to_vec() })
    })
}
