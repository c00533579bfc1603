//! Neighbours blended by their weights: all axes in one term, or one axis after another.
use super::F32;
use super::table::Table;
use crate::lower::anchor::Kind;
use crate::lower::formula::wide;
use crate::lower::{Handle, Lowering, identity};
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::Dim;

impl Lowering<'_> {
    /// The sum over all neighbours on all axes, in one term.
    pub(super) fn blended_at_once(&mut self, from: Handle, tables: &[Table], counts: &[i64]) -> TermId {
        let rank = self.dims_of(from).len();
        let mut places = vec![identity(rank)];
        for (table, count) in tables.iter().zip(counts) {
            let choices = |at: &Vec<Index>| (0..*count).map(|n| (at.clone(), n)).collect::<Vec<_>>();
            let all: Vec<_> = places.iter().flat_map(choices).collect();
            places = Vec::new();
            for (mut at, n) in all {
                at[table.at] = self.neighbour(table, Index::fixed(n));
                places.push(at);
            }
        }
        let mut values: Vec<TermId> = Vec::new();
        for at in &places {
            let value = self.read(from, at);
            values.push(if tables.iter().any(|t| t.weights.is_some()) {
                self.blendable(value)
            } else {
                value
            });
        }
        for (table, count) in tables.iter().zip(counts).rev() {
            let groups: Vec<Vec<TermId>> =
                values.chunks((*count).max(1) as usize).map(<[_]>::to_vec).collect();
            values = groups.into_iter().map(|group| self.weighted_sum(table, &group)).collect();
        }
        values[0]
    }

    fn blendable(&mut self, value: TermId) -> TermId {
        let dtype = self.terms.dtype(value);
        let to = if dtype.is_float() { wide(dtype) } else { F32 };
        self.cast_term(value, to)
    }

    /// Where a neighbour of the element at the place of the result is.
    fn neighbour(&mut self, table: &Table, n: Index) -> Index {
        let place = self.read(table.places, &[n, Index::axis(table.at as u32)]);
        self.terms.as_index(place)
    }

    fn weighted_sum(&mut self, table: &Table, values: &[TermId]) -> TermId {
        let Some(weights) = table.weights else { return values[0] };
        let mut sum = None;
        for (n, value) in values.iter().enumerate() {
            let weight = self.read(weights, &[Index::fixed(n as i64), Index::axis(table.at as u32)]);
            let part = self.times(*value, weight);
            sum = Some(sum.map_or(part, |sum| self.plus(sum, part)));
        }
        sum.unwrap_or(values[0])
    }

    /// One axis after another, each a sum over its neighbours.
    pub(super) fn blended_in_turn(&mut self, from: Handle, tables: &[Table], dims: &[Dim]) -> TermId {
        let (mut now, mut extents) = (from, self.dims_of(from));
        let rank = extents.len();
        for table in tables {
            extents[table.at] = dims[table.at].clone();
            let count = Index::axis(rank as u32);
            let mut at = identity(rank);
            at[table.at] = self.neighbour(table, count.clone());
            let value = self.read(now, &at);
            let mut input = self.blendable(value);
            if let Some(weights) = table.weights {
                let weight = self.read(weights, &[count, Index::axis(table.at as u32)]);
                input = self.times(input, weight);
            }
            let dtype = self.terms.dtype(input);
            let inner = vec![table.neighbours.clone()];
            let sum =
                self.anchor(Kind::Reduce { inner, input, combine: Combine::Sum }, dtype, extents.clone());
            now = self.settled(sum);
        }
        self.here(now)
    }
}
