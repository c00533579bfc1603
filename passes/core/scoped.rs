//! Running scopes on calibration data.
use crate::measure::{Measure, Ready, Tapped};
use crate::pass::PassError;
use crate::scope::Scope;
use bytes::Bytes;
use std::sync::Arc;
use weft_ir::{Module, Tensor, Value};

/// A scope with what flows into it on one calibration input.
#[derive(Clone)]
pub struct Scoped {
    ready: Arc<dyn Ready>,
    values: Arc<[Value]>,
    taps: Vec<Tensor>,
    /// Whether what flows in may have any number of rows.
    any_rows: bool,
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

    /// The scope with a few rows at a time of what flows in, where that is one value of any number of rows.
    /// To be asked only of scopes that make each row of its row alone, such as those of a single layer.
    ///
    /// # Errors
    /// If the rows are no tensor.
    pub fn in_rows(&self, most: usize) -> Result<Vec<Self>, PassError> {
        let Some(rows) = self.rows().filter(|rows| *rows > most) else { return Ok(vec![self.clone()]) };
        let (tap, most) = (&self.taps[0], most.max(1));
        let row = tap.data().len() / rows;
        let part = |first: usize| {
            let count = most.min(rows - first);
            self.with_rows(count, tap.data().slice(first * row..(first + count) * row))
        };
        (0..rows).step_by(most).map(part).collect()
    }

    /// The scope with so many rows at most, spread over all of what flows in, to be asked where
    /// [`Scoped::in_rows`] may be. The first rows are none of them: the tokens that decoders use as a sink, hundreds
    /// of times as large as others, are among these.
    ///
    /// # Errors
    /// If the rows are no tensor.
    pub fn sample(&self, most: usize) -> Result<Self, PassError> {
        let Some(rows) = self.rows().filter(|rows| *rows > most) else { return Ok(self.clone()) };
        let (data, row, step) =
            (self.taps[0].data(), self.taps[0].data().len() / rows, rows.div_ceil(most.max(1)));
        let some = (step / 2..rows).step_by(step);
        let (count, bytes) = (some.clone().count(), some.flat_map(|at| &data[at * row..(at + 1) * row]));
        self.with_rows(count, bytes.copied().collect::<Vec<u8>>().into())
    }

    /// The scope with the last of so many parts of its rows, or nothing where [`Scoped::in_rows`] cuts nothing.
    ///
    /// # Errors
    /// If the rows are no tensor.
    pub fn last(&self, parts: usize) -> Result<Option<Self>, PassError> {
        let Some(rows) = self.rows() else { return Ok(None) };
        let (data, count) = (self.taps[0].data(), rows.div_ceil(parts.max(1)));
        let row = data.len() / rows.max(1);
        self.with_rows(count, data.slice((rows - count) * row..)).map(Some)
    }

    /// One scope with all the rows that flow into several equal ones, or these as they are where
    /// [`Scoped::in_rows`] cuts nothing.
    ///
    /// # Errors
    /// If the rows are no tensor.
    pub fn joined(parts: Vec<Self>) -> Result<Vec<Self>, PassError> {
        let counts: Option<Vec<usize>> = parts.iter().map(Self::rows).collect();
        let Some(counts) = counts.filter(|counts| counts.len() > 1) else { return Ok(parts) };
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.taps[0].data().iter()).copied().collect();
        Ok(vec![parts[0].with_rows(counts.iter().sum(), bytes.into())?])
    }

    /// How many rows flow in, where that may be any number.
    fn rows(&self) -> Option<usize> {
        let ([tap], true) = (&self.taps[..], self.any_rows) else { return None };
        let [ones @ .., rows, _] = tap.dims() else { return None };
        ones.iter().all(|extent| *extent == 1).then_some(*rows as usize)
    }

    /// The scope with other rows, so many.
    fn with_rows(&self, count: usize, data: Bytes) -> Result<Self, PassError> {
        let tap = &self.taps[0];
        let mut dims = tap.dims().to_vec();
        let rows = dims.len().saturating_sub(2);
        dims.iter_mut().skip(rows).take(1).for_each(|extent| *extent = count as u64);
        let tap = Tensor::new(tap.dtype(), dims, data);
        let tap = tap.map_err(|error| PassError::Failed(error.to_string()))?;
        Ok(Self { taps: vec![tap], ..self.clone() })
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
        let any_rows = any_rows(&scopes[group]);
        visit(tapped, &Scoped { ready: opened, values, taps: taps.to_vec(), any_rows })
    })
}

/// Whether the one value that flows in may have any number of rows.
fn any_rows(scope: &Scope) -> bool {
    let graph = &scope.module.graph;
    let ty = graph.inputs().first().map(|node| graph.ty(Value { node: *node, slot: 0 }));
    let rows = ty.and_then(|ty| ty.dims.as_ref()?.iter().rev().nth(1));
    scope.taps.len() == 1 && rows.is_some_and(|rows| rows.as_symbol().is_some())
}

#[cfg(test)]
mod tests {
    use super::Scoped;
    use crate::measure::Ready;
    use crate::pass::PassError;
    use std::sync::Arc;
    use weft_ir::Tensor;

    /// Gives back what goes in.
    struct Same;

    impl Ready for Same {
        fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, PassError> {
            Ok(inputs.to_vec())
        }
    }

    fn scoped(dims: &[u64], any_rows: bool) -> Scoped {
        let numbers: Vec<f32> = (0..dims.iter().product::<u64>()).map(|i| i as f32).collect();
        let taps = vec![Tensor::from_slice(dims, &numbers).unwrap()];
        Scoped { ready: Arc::new(Same), values: Vec::new().into(), taps, any_rows }
    }

    #[test]
    fn rows_come_a_few_at_a_time() {
        let whole = scoped(&[1, 5, 2], true);
        let parts: Vec<Tensor> =
            whole.in_rows(2).unwrap().iter().map(|part| part.run(&[]).unwrap()).collect();
        let dims: Vec<&[u64]> = parts.iter().map(Tensor::dims).collect();
        assert_eq!(dims, [[1, 2, 2], [1, 2, 2], [1, 1, 2]]);
        let numbers: Vec<f32> = parts.iter().flat_map(|part| part.to_vec::<f32>().unwrap()).collect();
        assert_eq!(Some(numbers), whole.run(&[]).unwrap().to_vec::<f32>());
    }

    #[test]
    fn a_sample_is_spread_over_all_rows() {
        let numbers = |most| scoped(&[1, 5, 2], true).sample(most).unwrap().run(&[]).unwrap();
        assert_eq!(numbers(2).to_vec::<f32>(), Some(vec![2.0, 3.0, 8.0, 9.0]));
        assert_eq!(numbers(2).dims(), [1, 2, 2]);
        assert_eq!(numbers(5).dims(), [1, 5, 2]);
        assert_eq!(scoped(&[3, 5, 2], true).sample(2).unwrap().run(&[]).unwrap().dims(), [3, 5, 2]);
    }

    #[test]
    fn the_last_part_of_the_rows() {
        let last =
            |dims: &[u64], parts| scoped(dims, true).last(parts).unwrap().map(|some| some.run(&[]).unwrap());
        let two = last(&[1, 5, 2], 4).unwrap();
        assert_eq!((two.dims(), two.to_vec::<f32>()), (&[1, 2, 2][..], Some(vec![6.0, 7.0, 8.0, 9.0])));
        assert_eq!(last(&[1, 5, 2], 1).unwrap().dims(), [1, 5, 2]);
        assert!(last(&[3, 5, 2], 4).is_none());
    }

    #[test]
    fn rows_of_several_inputs_flow_together() {
        let joined = |dims: [&[u64]; 2]| Scoped::joined(dims.map(|dims| scoped(dims, true)).into()).unwrap();
        let one = joined([&[1, 1, 2], &[1, 2, 2]]);
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].run(&[]).unwrap().dims(), [1, 3, 2]);
        assert_eq!(one[0].run(&[]).unwrap().to_vec::<f32>(), Some(vec![0.0, 1.0, 0.0, 1.0, 2.0, 3.0]));
        assert_eq!(joined([&[3, 1, 2], &[1, 2, 2]]).len(), 2);
    }

    #[test]
    fn what_cannot_be_cut_comes_at_once() {
        assert_eq!(scoped(&[1, 5, 2], false).in_rows(2).unwrap().len(), 1);
        assert_eq!(scoped(&[3, 5, 2], true).in_rows(2).unwrap().len(), 1);
        assert_eq!(scoped(&[1, 2, 2], true).in_rows(2).unwrap().len(), 1);
    }
}
