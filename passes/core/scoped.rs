//! Running scopes on calibration data.
use crate::measure::{Measure, Ready};
use crate::pass::PassError;
use crate::scope::Scope;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use weft_ir::{Module, Tensor, Value};

/// The most bytes of values that leave one run of a module; with more, it runs again for the rest.
const MOST: u64 = 64 << 20;

/// A scope with what flows into it on one calibration input.
pub struct Scoped<'s> {
    ready: Arc<dyn Ready>,
    values: &'s [Value],
    taps: Vec<&'s Tensor>,
}

impl Scoped<'_> {
    /// What comes out of it with these matrices for its layers.
    ///
    /// # Errors
    /// If the matrices do not fit, or the run fails.
    pub fn run(&self, matrices: &[Tensor]) -> Result<Tensor, PassError> {
        self.run_on(self.taps.iter().map(|tap| (*tap).clone()).collect(), matrices)
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
        let tap = |(own, tap): (&Value, &&Tensor)| {
            if *own == value { instead(tap) } else { Ok((*tap).clone()) }
        };
        self.run_on(self.values.iter().zip(&self.taps).map(tap).collect::<Result<_, _>>()?, matrices)
    }

    fn run_on(&self, mut inputs: Vec<Tensor>, matrices: &[Tensor]) -> Result<Tensor, PassError> {
        inputs.extend_from_slice(matrices);
        let nothing = || PassError::Failed("a scope gives nothing".to_string());
        self.ready.run(&inputs)?.into_iter().next().ok_or_else(nothing)
    }
}

/// Lends `visit` each scope of a module, by its place in the list, with what flows into it, once a
/// calibration input.
///
/// # Errors
/// If the module or a scope cannot be run, or `visit` gives up.
pub fn in_scopes(
    measure: &dyn Measure,
    module: &Module,
    scopes: &[Scope],
    visit: &mut dyn FnMut(usize, &Scoped<'_>) -> Result<(), PassError>,
) -> Result<(), PassError> {
    for portion in portions(measure, module, scopes) {
        let ready: Vec<Arc<dyn Ready>> = scopes[portion.clone()]
            .iter()
            .map(|scope| measure.open(&scope.module))
            .collect::<Result<_, _>>()?;
        let taps = taps(&scopes[portion.clone()]);
        let values: Vec<Value> = taps.keys().copied().collect();
        measure.stream(module, &values, &mut |tensors| {
            for (place, ready) in portion.clone().zip(&ready) {
                let of = |value: &Value| taps.get(value).and_then(|at| tensors.get(*at));
                let taps = scopes[place].taps.iter().filter_map(of).collect();
                let values = &scopes[place].taps;
                visit(place, &Scoped { ready: ready.clone(), values, taps })?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// All taps of some scopes, numbered in order.
fn taps(scopes: &[Scope]) -> BTreeMap<Value, usize> {
    let mut taps: BTreeMap<Value, usize> =
        scopes.iter().flat_map(|scope| &scope.taps).map(|value| (*value, 0)).collect();
    taps.values_mut().enumerate().for_each(|(number, at)| *at = number);
    taps
}

/// Runs of scopes whose taps are not too large together.
fn portions(measure: &dyn Measure, module: &Module, scopes: &[Scope]) -> Vec<Range<usize>> {
    let (mut portions, mut first, mut known, mut bytes) = (Vec::new(), 0, BTreeSet::new(), 0);
    for (place, scope) in scopes.iter().enumerate() {
        let new = |known: &BTreeSet<Value>| -> u64 {
            let new = scope.taps.iter().filter(|value| !known.contains(*value));
            new.map(|value| measure.bytes(module, *value)).sum()
        };
        if place > first && bytes + new(&known) > MOST {
            portions.push(first..place);
            (first, bytes) = (place, 0);
            known.clear();
        }
        bytes += new(&known);
        known.extend(scope.taps.iter().copied());
    }
    portions.push(first..scopes.len());
    portions.retain(|portion| !portion.is_empty());
    portions
}
