//! Which way the blocks of each layer reach, by what errs less on the calibration data.
use super::QuantizeWeights;
use crate::forms::{Way, exact, spread};
use weft_ir::infer::Facts;
use weft_ir::{Module, OpSet, Tensor};
use weft_numerics::Along;
use weft_passes::{
    ErrorSum, Linear, Measure, PassError, Scope, Scoped, Tapped, in_scopes, keep_sums, kept_sums, linears,
    scopes,
};

const WAYS: [Along; 2] = [Along::Inputs, Along::Outputs];

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
    /// The better way of each layer; blocks along the inputs where both err alike.
    pub(super) fn better_ways(
        &self,
        measure: &dyn Measure,
        (module, ops): (&Module, &OpSet),
        (facts, layers): (&Facts, &[Linear]),
    ) -> Result<Vec<Along>, PassError> {
        // Layers that stay exact may still be what others lead into.
        let all = linears(&module.graph, facts, ops);
        let mut scopes = scopes(&module.graph, facts, ops, &all);
        let findings = measure.findings(module);
        let question = |layer: &Linear| {
            let name = module.graph.name_of(layer.output());
            format!("errors of %{name} in its scope by {:?} and {:?}", self.rounding, self.grid)
        };
        let kept = |layer| kept_sums::<2>(&*findings, &question(layer));
        let known: Vec<Option<[ErrorSum; 2]>> = layers.iter().map(kept).collect();
        let open = |scope: &Scope| -> Vec<Trial> {
            let trials = trials(scope, &all, layers).into_iter();
            trials.filter(|trial| known[trial.layer].is_none()).collect()
        };
        scopes.retain(|scope| !open(scope).is_empty());
        let mut sums: Vec<[ErrorSum; 2]> = known.iter().map(|sums| sums.unwrap_or_default()).collect();
        in_scopes(measure, module, &scopes, &mut |Tapped { group: place, last, .. }, scoped| {
            let exact = exact(facts, &all, &scopes[place].layers)?;
            let trials = open(&scopes[place]);
            self.judge(scoped, (&exact, &trials), (facts, layers), &mut sums)?;
            for trial in trials.iter().filter(|trial| last && trial.way == 0) {
                keep_sums(&*findings, &question(&layers[trial.layer]), &sums[trial.layer]);
            }
            Ok(())
        })?;
        let better = |[inputs, outputs]: &[ErrorSum; 2]| match outputs.squared() < inputs.squared() {
            true => Along::Outputs,
            false => Along::Inputs,
        };
        Ok(sums.iter().map(better).collect())
    }

    /// Adds up how far a scope is off in each trial.
    fn judge(
        &self,
        scoped: &Scoped,
        (exact, trials): (&[Tensor], &[Trial]),
        (facts, layers): (&Facts, &[Linear]),
        sums: &mut [[ErrorSum; 2]],
    ) -> Result<(), PassError> {
        let expected = scoped.run(exact)?;
        let places: Vec<usize> = (0..trials.len()).collect();
        let rounded = spread(&places, &|place| {
            let layer = &layers[trials[place].layer];
            let way = Way { grid: self.grid, along: WAYS[trials[place].way] };
            let numbers = self.rounding.nearest(facts, layer, way).numbers();
            let dims = layer.dims.map(|n| n as u64);
            Tensor::from_slice(&dims, &numbers).map_err(|error| PassError::Failed(error.to_string()))
        })?;
        for (Trial { slot, layer, way }, matrix) in trials.iter().zip(rounded) {
            let mut matrices = exact.to_vec();
            matrices[*slot] = matrix;
            sums[*layer][*way].add(&expected, &scoped.run(&matrices)?);
        }
        Ok(())
    }
}

/// Both ways of every layer that is judged in a scope and is to be rounded.
fn trials(scope: &Scope, all: &[Linear], layers: &[Linear]) -> Vec<Trial> {
    let judged = scope.judged().iter().enumerate();
    let asked = judged.filter_map(|(slot, place)| {
        layers.iter().position(|layer| layer.node == all[*place].node).map(|layer| (slot, layer))
    });
    asked.flat_map(|(slot, layer)| (0..WAYS.len()).map(move |way| Trial { slot, layer, way })).collect()
}
