//! How far each layer is off with its blocks one way and the other, on the calibration data.
use super::{QuantizeWeights, WAYS};
use crate::forms::{Codes, exact, spread};
use weft_ir::infer::Facts;
use weft_ir::{Module, OpSet, Tensor};
use weft_passes::{Linear, Measure, PassError, Scope, Scoped, Tapped, in_scopes, linears, scopes};

/// One layer, rounded one way, in its scope.
#[derive(Clone, Copy)]
struct Trial {
    /// Which of the scope's matrices it is.
    slot: usize,
    /// Which of the layers that are to be rounded.
    layer: usize,
    /// Which of the ways.
    way: usize,
}

impl QuantizeWeights {
    /// How far the scope of each layer is off with its matrix rounded in both ways.
    pub(super) fn errors_in_scopes(
        &self,
        measure: &dyn Measure,
        (module, ops): (&Module, &OpSet),
        (facts, layers): (&Facts, &[Linear]),
        codes: &[Vec<Codes>],
    ) -> Result<Vec<[f64; 2]>, PassError> {
        // Layers that stay exact may still be what others lead into.
        let all = linears(&module.graph, facts, ops);
        let mut scopes = scopes(&module.graph, facts, ops, &all);
        let findings = measure.findings(module);
        let question = |layer: &Linear| {
            let name = module.graph.name_of(layer.output());
            format!("errors of %{name} in its scope by {:?} and {:?}", self.rounding, self.grid)
        };
        let kept = |layer| -> Option<[f64; 2]> {
            findings.get(&question(layer))?.first()?.to_vec::<f64>()?.try_into().ok()
        };
        let known: Vec<Option<[f64; 2]>> = layers.iter().map(kept).collect();
        let open = |scope: &Scope| -> Vec<Trial> {
            let trials = trials(scope, &all, layers).into_iter();
            trials.filter(|trial| known[trial.layer].is_none()).collect()
        };
        scopes.retain(|scope| !open(scope).is_empty());
        let mut sums: Vec<[f64; 2]> = known.iter().map(|sums| sums.unwrap_or_default()).collect();
        in_scopes(measure, module, &scopes, &mut |Tapped { group: place, last, .. }, scoped| {
            let exact = exact(facts, &all, &scopes[place].layers)?;
            let trials = open(&scopes[place]);
            judge(scoped, (&exact, &trials), codes, &mut sums)?;
            for trial in trials.iter().filter(|trial| last && trial.way == 0) {
                let sums = Tensor::vector(&sums[trial.layer]);
                findings.put(&question(&layers[trial.layer]), &[sums]);
            }
            Ok(())
        })?;
        Ok(sums)
    }
}

/// Adds up how far a scope is off in each trial.
fn judge(
    scoped: &Scoped,
    (exact, trials): (&[Tensor], &[Trial]),
    codes: &[Vec<Codes>],
    sums: &mut [[f64; 2]],
) -> Result<(), PassError> {
    let expected = scoped.run(exact)?;
    let places: Vec<usize> = (0..trials.len()).collect();
    let rounded = spread(&places, &|place| {
        let Trial { layer, way, .. } = trials[place];
        codes[layer][way].matrix()
    })?;
    for (Trial { slot, layer, way }, matrix) in trials.iter().zip(rounded) {
        let mut matrices = exact.to_vec();
        matrices[*slot] = matrix;
        sums[*layer][*way] += off(&expected, &scoped.run(&matrices)?);
    }
    Ok(())
}

/// How far a scope is off, added up over its rows, each beside its size or the median of all sizes, whichever is
/// larger: of single tokens that are hundreds of times as large as all others none decides for a whole layer.
fn off(exact: &Tensor, found: &Tensor) -> f64 {
    let width = exact.dims().last().map_or(1, |n| *n as usize).max(1);
    let numbers = |tensor: &Tensor| tensor.to_vec::<f32>().unwrap_or_default();
    let (exact, found) = (numbers(exact), numbers(found));
    let square = |x: f64| x * x;
    let sizes: Vec<f64> =
        exact.chunks_exact(width).map(|row| row.iter().map(|x| square(f64::from(*x))).sum()).collect();
    let mut some: Vec<f64> = sizes.iter().copied().filter(|size| *size > 0.0).collect();
    some.sort_unstable_by(f64::total_cmp);
    let median = some.get(some.len() / 2).copied().unwrap_or(1.0);
    let rows = exact.chunks_exact(width).zip(found.chunks_exact(width)).zip(sizes);
    let beside = |((exact, found), size): ((&[f32], &[f32]), f64)| {
        let off: f64 = exact.iter().zip(found).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
        off / size.max(median)
    };
    rows.map(beside).sum()
}

/// Both ways of every layer that is judged in a scope and is to be rounded.
fn trials(scope: &Scope, all: &[Linear], layers: &[Linear]) -> Vec<Trial> {
    let judged = scope.judged().iter().enumerate();
    let asked = judged.filter_map(|(slot, place)| {
        layers.iter().position(|layer| layer.node == all[*place].node).map(|layer| (slot, layer))
    });
    asked.flat_map(|(slot, layer)| (0..WAYS.len()).map(move |way| Trial { slot, layer, way })).collect()
}

#[cfg(test)]
mod tests {
    use super::off;
    use weft_ir::Tensor;

    #[test]
    fn no_row_decides_alone() {
        let tensor = |large: f32, others: f32| {
            let rows = [[large, large], [others, 0.0], [others, 0.0], [0.0, others]].concat();
            Tensor::from_slice(&[4, 2], &rows).expect("8 numbers")
        };
        let exact = tensor(1000.0, 1.0);
        // A hundredth of a large row is less than a tenth of three others.
        assert!(off(&exact, &tensor(1010.0, 1.0)) < off(&exact, &tensor(1000.0, 1.1)));
        assert_eq!(off(&exact, &exact), 0.0);
        // Rows of nothing are no measure.
        assert_eq!(off(&tensor(0.0, 0.0), &tensor(0.0, 0.0)), 0.0);
        assert!(off(&tensor(0.0, 0.0), &tensor(0.0, 0.5)).is_finite());
    }
}
