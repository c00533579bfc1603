//! The cost model of the target, lent to passes.
use weft_backend::Rates;
use weft_passes::{Applied, Cost, Speed};

/// Weighs operators by how fast a processor is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByRates(pub(crate) Rates);

impl Cost for ByRates {
    fn picoseconds(&self, applied: &Applied<'_>) -> u64 {
        let Rates { cached, memory, operations, coded, bytes, scattered, launch } = self.0;
        let speed = Speed { near: cached, far: memory, operations, coded, bytes, scattered, launch };
        applied.work().picoseconds(&speed)
    }
}
