//! Which way the blocks of each layer reach, once the whole model has been asked.
//!
//! The way that errs less in a layer's own scope is not always the better one for the model: errors that are
//! nearly alike say little, and what later layers make of them is not seen there. So the model is measured with
//! all those layers along the outputs, with the half and the quarter of them that gain most, with none, and with
//! every layer along the outputs; the best of these is taken.
use crate::forms::Codes;
use weft_ir::infer::Facts;
use weft_ir::{OpSet, Tensor};
use weft_passes::{Editor, Exchanged, Linear, Look, Masks, Measure, PassError};

/// Where the ways are in [`super::WAYS`].
const INPUTS: usize = 0;
const OUTPUTS: usize = 1;
/// Of the layers that err less along the outputs, one in so many may be.
const ONE_IN: [usize; 3] = [1, 2, 4];

/// The codes of each layer in both ways, and the way of each.
struct Taken<'t>(&'t [Vec<Codes>], &'t [usize]);

impl Exchanged for Taken<'_> {
    fn has_matrix(&self, _: usize) -> bool {
        true
    }

    fn matrix(&self, layer: usize) -> Result<Tensor, PassError> {
        self.0[layer][self.1[layer]].matrix()
    }

    fn has_limits(&self, _: usize) -> bool {
        false
    }

    fn limits(&self, _: usize) -> Vec<f32> {
        Vec::new()
    }
}

/// The way of each layer; `errors` are those of its scope, both ways.
pub(super) fn best(
    edit: &Editor<'_>,
    (measure, ops): (&dyn Measure, &OpSet),
    layers: (&Facts, &[Linear]),
    (codes, errors): (&[Vec<Codes>], &[[f64; 2]]),
) -> Result<Vec<usize>, PassError> {
    let open = open(errors);
    if open.len() == 1 {
        return Ok(open.into_iter().flatten().collect());
    }
    let mut trials = edit.trials((measure, ops), layers, Masks::None)?;
    let mut best: Option<(f64, Vec<usize>)> = None;
    for (number, ways) in (1..).zip(open) {
        measure.tell(&format!("dim=ada, the whole model, trial {number}"));
        let off = trials.error(&Taken(codes, &ways), Look::Whole)?.off();
        if best.as_ref().is_none_or(|(least, _)| off < *least) {
            best = Some((off, ways));
        }
    }
    best.map(|(_, ways)| ways).ok_or_else(|| PassError::Failed("no way was tried".to_string()))
}

/// What the model is measured with, what is better in scopes first.
fn open(errors: &[[f64; 2]]) -> Vec<Vec<usize>> {
    let mut better: Vec<usize> =
        (0..errors.len()).filter(|at| errors[*at][OUTPUTS] < errors[*at][INPUTS]).collect();
    let gain = |at: &usize| errors[*at][INPUTS] / errors[*at][OUTPUTS];
    better.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    if better.is_empty() {
        return vec![vec![INPUTS; errors.len()]];
    }
    let some = |count: usize| {
        let mut ways = vec![INPUTS; errors.len()];
        better[..count].iter().for_each(|at| ways[*at] = OUTPUTS);
        ways
    };
    let counts = ONE_IN.map(|n| better.len() / n).into_iter().chain([0]);
    let mut all: Vec<Vec<usize>> = Vec::new();
    for ways in counts.map(some).chain([vec![OUTPUTS; errors.len()]]) {
        if !all.contains(&ways) {
            all.push(ways);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::open;

    #[test]
    fn those_that_gain_least_go_first() {
        let errors = [[1.0, 0.9], [1.0, 2.0], [3.0, 1.0], [1.0, 1.0]];
        let expected = [[1, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]];
        assert_eq!(open(&errors), expected.map(Vec::from));
        assert_eq!(open(&errors[3..]), [[0]]);
        assert_eq!(open(&errors[2..3]), [[1], [0]]);
    }
}
