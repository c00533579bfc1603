//! How fast a processor is, as far as passes ask that weigh one form of a graph against another.
use crate::target::Target;
use weft_ir::DType;

/// What one core of a processor does in a nanosecond, and what starting a loop takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Bytes moved in a nanosecond between registers and the caches that a tensor fits.
    pub cached: u64,
    /// Bytes moved in a nanosecond from and to memory.
    pub memory: u64,
    /// Operations on `f32` in a nanosecond, in loops such as a product of matrices is made of.
    pub operations: u64,
    /// The same in products of few rows with codes of few bits.
    pub coded: u64,
    /// The same with codes of whole bytes.
    pub bytes: u64,
    /// The same in products of one row with those rows of codes that are left where others are skipped.
    pub scattered: u64,
    /// Picoseconds to start a loop: the call, the threads, and what is not yet in a cache.
    pub launch: u64,
}

/// Units that multiply at once, and cycles in a nanosecond, of a processor as most are.
const UNITS: u64 = 2;
const CYCLES: u64 = 3;
/// Processors that compute a vector of 512 bits in two halves, and the numbers in one.
const HALVES: &str = "znver4";
const HALF: u64 = 8;
/// Processors of which one core reads more from memory than one of others, as measured, and how much either reads.
const FAST: [&str; 2] = ["znver4", "znver5"];
const MEMORY: [u64; 2] = [15, 20];

/// Lanes of vectors of 512 bits.
const WIDE: u64 = 16;

/// Operations on codes, in tenths of those on floats, without an instruction for bytes, with vectors of fewer than 512 bits
/// and with those: codes are unpacked. With it they are multiplied three times, each in a quarter of the time. (On Zen 3
/// 17 products in a nanosecond, on Zen 4 28.)
const UNPACKED: [u64; 2] = [28, 17];
/// The same for codes of whole bytes: on Zen 3 10 to 13 products in a nanosecond.
const UNPACKED_BYTES: [u64; 2] = [43, 17];
/// The same of rows of codes of which others are skipped: each is unpacked, and sums are read and written. Vectors of 512
/// bits gain nothing there: Zen 4 and Emerald Rapids both make some 17 to 20 products in a nanosecond, Zen 3 18 with long
/// rows and 12 with short ones. A little less is taken than was measured where as many rows are skipped as promised,
/// since few tokens keep the promise.
const SCATTERED: [u64; 2] = [32, 25];

impl Rates {
    /// The rates of a processor.
    pub fn of(target: &Target) -> Self {
        let each = if target.fma() { 2 } else { 1 };
        let lanes = u64::from(target.lanes(DType::F32));
        let computed = if target.cpu == HALVES { lanes.min(HALF) } else { lanes };
        let memory = MEMORY[usize::from(FAST.contains(&target.cpu.as_str()))];
        // Loops that only move reach the second-level cache and the one behind it: a vector in a
        // nanosecond, as measured.
        let operations = computed * each * UNITS * CYCLES;
        let unpacking = |tenths: [u64; 2]| match target.vnni {
            true => operations,
            false => operations * 10 / tenths[usize::from(lanes >= WIDE)],
        };
        let (coded, bytes) = (unpacking(UNPACKED), unpacking(UNPACKED_BYTES));
        let scattered = lanes.min(HALF) * each * UNITS * CYCLES * 10 / SCATTERED[usize::from(lanes >= WIDE)];
        Self { cached: lanes * 4, memory, operations, coded, bytes, scattered, launch: 1_000_000 }
    }
}

impl Default for Rates {
    /// Those of a processor with AVX2.
    fn default() -> Self {
        Self::of(&Target::of_level("x86-64-v3", crate::Level::V3))
    }
}

#[cfg(test)]
mod tests {
    use super::Rates;
    use crate::Level;
    use crate::target::Target;

    #[test]
    fn vectors_in_halves_take_twice_as_long() {
        let [halves, whole] = ["znver4", "znver5"].map(|cpu| Rates::of(&Target::of_level(cpu, Level::V4)));
        assert_eq!(2 * halves.operations, whole.operations);
        assert_eq!(
            Rates { operations: whole.operations, coded: whole.coded, bytes: whole.bytes, ..halves },
            whole
        );
    }
}
