//! What segments yielded in earlier runs, where all constants up to there were as they stand.
use super::store::Spilled;
use std::collections::BTreeMap;
use weft_ir::{Tensor, Value};
use weft_passes::{PassError, Store};

/// Put aside in a file, by segment and input.
#[derive(Default)]
pub(super) struct Before {
    store: Option<Spilled>,
    /// The numbers of all yields in the store.
    yielded: BTreeMap<(usize, usize), Vec<usize>>,
}

impl Before {
    /// Whether it is known what a segment yields of so many inputs, the first ones.
    pub(super) fn knows(&self, segment: usize, inputs: usize) -> bool {
        (0..inputs).all(|input| self.yielded.contains_key(&(segment, input)))
    }

    /// Puts aside what a segment yielded of an input, unless it was.
    pub(super) fn put(
        &mut self,
        at: (usize, usize),
        yields: &[Value],
        known: &BTreeMap<Value, Tensor>,
    ) -> Result<(), PassError> {
        if self.yielded.contains_key(&at) {
            return Ok(());
        }
        let store = match self.store.take() {
            Some(store) => store,
            None => Spilled::new()?,
        };
        let store = self.store.insert(store);
        let yields = yields.iter().filter_map(|value| known.get(value));
        let numbers = yields.map(|tensor| store.put(tensor)).collect::<Result<_, _>>()?;
        self.yielded.insert(at, numbers);
        Ok(())
    }

    /// Takes what was put aside.
    pub(super) fn take(
        &mut self,
        at: (usize, usize),
        yields: &[Value],
        known: &mut BTreeMap<Value, Tensor>,
    ) -> Result<(), PassError> {
        let Self { store: Some(store), yielded } = self else { return Ok(()) };
        let numbers = yielded.get(&at).into_iter().flatten();
        for (value, number) in yields.iter().zip(numbers) {
            known.insert(*value, store.get(*number)?);
        }
        Ok(())
    }
}
