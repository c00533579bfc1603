//! Quantiles of streams of numbers.
use std::iter;

/// Bits of a number that name its bin: the exponent and the seven leading digits behind the point, so
/// that a bin's ends differ by less than 1 %.
const SHIFT: u32 = 16;
const BINS: usize = 1 << (31 - SHIFT);

/// How numbers that are not negative are distributed. Takes 256 KB however many there are, and does
/// not depend on their order.
#[derive(Debug, Clone)]
pub struct Quantiles {
    counts: Vec<u64>,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self { counts: vec![0; BINS] }
    }
}

impl Quantiles {
    /// Takes in a number by its size; NaN counts as the largest.
    pub fn add(&mut self, number: f32) {
        self.counts[(number.to_bits() << 1 >> (SHIFT + 1)) as usize] += 1;
    }

    /// The bins that are not empty, each with how many numbers it has.
    pub fn bins(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        (0..).zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// Adds numbers to a bin of [`Quantiles::bins`]; says whether there is such a bin.
    pub fn add_bin(&mut self, bin: u32, count: u64) -> bool {
        let found = self.counts.get_mut(bin as usize);
        found.map(|known| *known = known.saturating_add(count)).is_some()
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The number that a share of all, `0.0..=1.0`, does not exceed; within a bin evenly spread. 0 for
    /// no numbers and for none of them.
    pub fn at(&self, share: f64) -> f32 {
        let wanted = share * self.count() as f64;
        let ends = (1..=BINS as u32).map(|bin| f32::from_bits(bin << SHIFT));
        let mut below = 0.0;
        for ((count, start), end) in self.counts.iter().zip(iter::once(0.0).chain(ends.clone())).zip(ends) {
            let count = *count as f64;
            if count > 0.0 && below + count >= wanted {
                let within = ((wanted - below) / count).max(0.0);
                let [start, end] = [start, end].map(|x| f64::from(if x.is_finite() { x } else { f32::MAX }));
                return (start + within * (end - start)) as f32;
            }
            below += count;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::Quantiles;

    #[test]
    fn shares_of_even_numbers() {
        let mut all = Quantiles::default();
        (0..10_000).rev().for_each(|i| all.add(if i % 2 == 0 { 1.0 } else { -1.0 } * i as f32 / 10_000.0));
        for share in [0.1, 0.25, 0.5, 0.65, 0.9] {
            let found = f64::from(all.at(share));
            assert!((found - share).abs() < 0.002, "{share}: {found}");
        }
        assert_eq!(all.count(), 10_000);
    }

    #[test]
    fn bins_give_the_numbers_back() {
        let mut all = Quantiles::default();
        [0.0, 0.5, 0.5, 3.0, f32::NAN].into_iter().for_each(|x| all.add(x));
        let mut again = Quantiles::default();
        assert!(all.bins().all(|(bin, count)| again.add_bin(bin, count)));
        assert_eq!(again.count(), 5);
        for share in [0.1, 0.3, 0.5, 0.9] {
            assert_eq!(all.at(share), again.at(share));
        }
        assert!(!again.add_bin(1 << 15, 1));
    }

    #[test]
    fn no_numbers_and_unusual_ones() {
        assert_eq!(Quantiles::default().at(0.5), 0.0);
        let mut all = Quantiles::default();
        [0.0, 0.0, f32::INFINITY, f32::NAN].into_iter().for_each(|x| all.add(x));
        assert!(all.at(0.5) < 1e-38);
        assert!(all.at(1.0) > 1e38);
    }
}
