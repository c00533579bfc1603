//! A single row times a panel of codes that is read in two places at once.
//!
//! One row has little to do for each word, so it is as fast as the memory. A core looks ahead page by page: it has few
//! lines of one place in flight, and more of two (Granite Rapids, codes of 4 bits from memory: the loop alone reads 14.3
//! GB/s in one place and 17.5 in two; in models, whose kernels begin anew with each matrix, 3 to 5 % are left of that).
//! The places are the halves of the depth, or of its whole groups, whose sums are apart then.
use super::Writer;
use super::codes::UNIT_VECTORS;
use super::dots::Part;
use crate::nest::{Builder, Hint, Reg};

/// How many words ahead of their use codes are asked for in each place: 3 KB. Where a page ends, the core takes over; from
/// 4 KB on, memory is slower by a tenth, and below 2 KB the last-level cache is.
const AHEAD: i64 = 768;
/// Steps of the depth that are worth a place of their own.
const LEAST: i64 = 64;

impl Writer<'_> {
    /// How far apart in the depth the two places are; nothing where there is one.
    fn places_apart(&self, part: &Part<'_>) -> Option<i64> {
        let (depth, group) = (self.plan.depth.as_fixed()?, part.right.depth_group);
        let whole = if group < depth { group } else { part.unit() };
        let apart = depth / 2 / whole * whole;
        let alone = part.rows() == 1 && part.vectors == (0, UNIT_VECTORS) && !part.is_taken_apart();
        (self.asks && alone && !part.right.is_crowded() && apart >= LEAST).then_some(apart)
    }

    /// All groups of a panel.
    pub(super) fn all_groups(&self, b: &mut Builder, part: Part<'_>) {
        let (zero, depth) = (b.index(0), b.extent(&self.plan.depth));
        let Some(apart) = self.places_apart(&part) else { return self.groups(b, &part, (zero, depth)) };
        let part = part.asking_ahead(AHEAD);
        let (first, rest) = (b.index(apart), b.index(2 * apart));
        let size = part.right.depth_group;
        if self.plan.depth.as_fixed().is_some_and(|depth| size >= depth) {
            let scales = part.panel.1;
            self.begin_group(b, &part, (zero, zero, scales));
            self.units(b, [&part, &part], (zero, first), first);
            b.for_each(rest, depth, part.unit(), Hint::AsWritten, |b, step| {
                self.unit_of_dots(b, &part, step);
            });
            return self.end_group(b, &part, scales);
        }
        let other = part.clone().with_sums(self.no_sums(b, part.count()));
        b.for_each(zero, first, size, Hint::AsWritten, |b, from| {
            let places = [(&part, from), (&other, b.add(from, first))];
            let scales = places.map(|(part, from)| {
                let (group, scales) = self.group_at(b, part, from);
                self.begin_group(b, part, (from, group, scales));
                scales
            });
            let size = b.index(size);
            let end = b.add(from, size);
            self.units(b, [&part, &other], (from, end), first);
            places.iter().zip(scales).for_each(|((part, _), scales)| self.end_group(b, part, scales));
        });
        self.groups(b, &part, (rest, depth));
    }

    /// Units of two places, in turn: some steps, and those `apart` from them.
    fn units(&self, b: &mut Builder, parts: [&Part<'_>; 2], (from, end): (Reg, Reg), apart: Reg) {
        b.for_each(from, end, parts[0].unit(), Hint::AsWritten, |b, step| {
            self.unit_of_dots(b, parts[0], step);
            let step = b.add(step, apart);
            self.unit_of_dots(b, parts[1], step);
        });
    }
}
