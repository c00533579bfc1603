//! The cost model of the target, lent to passes.
use weft_backend::Rates;
use weft_passes::{Applied, Cost, Speed};

/// Weighs operators by how fast a processor is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByRates(pub(crate) Rates);

impl Cost for ByRates {
    fn picoseconds(&self, applied: &Applied<'_>) -> u64 {
        let Rates { cached, memory, operations, coded, launch } = self.0;
        applied.work().picoseconds(&Speed { near: cached, far: memory, operations, coded, launch })
    }
}
