//! How far rounded layers are off.
use super::Coded;
use super::along::exact;
use weft_ir::Module;
use weft_ir::infer::Facts;
use weft_passes::{
    ErrorSum, Linear, Measure, PassContext, PassError, Tapped, ValueError, in_scopes, own_scopes,
};

/// The error of each layer: of its output on the calibration data, or else of its weights.
pub(super) fn errors(
    cx: &PassContext<'_>,
    module: &Module,
    (facts, layers): (&Facts, &[Linear]),
    coded: &[Coded],
) -> Result<Vec<ValueError>, PassError> {
    let sums = match cx.measure {
        Some(measure) => of_outputs(measure, (module, cx), (facts, layers), coded)?,
        None => of_weights(facts, layers, coded)?,
    };
    Ok(sums.iter().map(ErrorSum::error).collect())
}

fn of_weights(facts: &Facts, layers: &[Linear], coded: &[Coded]) -> Result<Vec<ErrorSum>, PassError> {
    let mut sums = vec![ErrorSum::default(); layers.len()];
    for (place, sum) in sums.iter_mut().enumerate() {
        let matrices = exact(facts, layers, &[place])?;
        sum.add(&matrices[0], &coded[place].matrix().ok_or_else(broken)?);
    }
    Ok(sums)
}

fn of_outputs(
    measure: &dyn Measure,
    (module, cx): (&Module, &PassContext<'_>),
    (facts, layers): (&Facts, &[Linear]),
    coded: &[Coded],
) -> Result<Vec<ErrorSum>, PassError> {
    let mut sums = vec![ErrorSum::default(); layers.len()];
    let scopes = own_scopes(&module.graph, facts, cx.ops, layers);
    in_scopes(measure, module, &scopes, &mut |Tapped { group, .. }, scoped| {
        let place = scopes[group].layers[0];
        let expected = scoped.run(&exact(facts, layers, &[place])?)?;
        let found = scoped.run(&[coded[place].matrix().ok_or_else(broken)?])?;
        sums[place].add(&expected, &found);
        Ok(())
    })?;
    Ok(sums)
}

fn broken() -> PassError {
    PassError::Failed("the codes of a matrix do not read back".to_string())
}
