//! The product of the state with the panels.
use super::Role;
use super::steps::{Row, Units, Writer};
use crate::nest::{Binary, BufferId, Builder, Hint, Reg, Var};

/// Steps of the sum that are written out.
const UNROLL: i64 = 4;
/// Sums that must be under way at once to hide the latency of one.
const CHAINS: usize = 8;

/// What is multiplied.
pub(super) struct Product {
    /// Which panels.
    pub(super) panels: Role,
    /// How many gates they hold.
    pub(super) gates: i64,
}

impl Writer<'_> {
    /// The sums of some units: for each row, gate and vector, from `first` on.
    pub(super) fn sums(
        &self,
        b: &mut Builder,
        (direction, units): (Reg, Units),
        states: &[Reg],
        product: &Product,
        first: &[Reg],
    ) -> Vec<Reg> {
        let (Some((panels, operand)), Some((scratch, _))) =
            (self.operand(product.panels), self.operand(Role::Scratch))
        else {
            return first.to_vec();
        };
        let depth = self.what.hidden;
        let size = b.index(depth * product.gates * self.block().units());
        let (start, offset) = (self.part(b, operand, direction), b.mul(units.panel, size));
        let start = b.add(start, offset);
        let sets = if first.len() < CHAINS { 2 } else { 1 };
        let zero = self.zero(b);
        let sums: Vec<Vec<Var>> = (0..sets)
            .map(|set| first.iter().map(|sum| b.var(if set == 0 { *sum } else { zero })).collect())
            .collect();
        let walk = Walk { panels, scratch, start, states, gates: product.gates, vectors: units.vectors };
        let (none, end, whole) = (b.index(0), b.index(depth), b.index(depth - depth % UNROLL));
        b.for_each(none, whole, UNROLL, Hint::AsWritten, |b, k| self.walk(b, &walk, (k, UNROLL), &sums));
        b.for_each(whole, end, 1, Hint::AsWritten, |b, k| self.walk(b, &walk, (k, 1), &sums));
        let value = |b: &mut Builder, i: usize| {
            let parts: Vec<Reg> = sums.iter().map(|set| b.get(set[i])).collect();
            parts.into_iter().reduce(|x, y| b.binary(Binary::Add, x, y))
        };
        (0..first.len()).filter_map(|i| value(b, i)).collect()
    }

    /// `count` steps of the sums from unit `k` on.
    fn walk(&self, b: &mut Builder, walk: &Walk<'_>, (k, count): (Reg, i64), sums: &[Vec<Var>]) {
        let (lanes, width) = (self.block().lanes, walk.gates * self.block().units());
        let width_now = b.index(width);
        let down = b.mul(k, width_now);
        let panel = b.add(walk.start, down);
        let states: Vec<Reg> = walk.states.iter().map(|state| b.add(*state, k)).collect();
        for step in 0..count {
            let set = &sums[step as usize % sums.len()];
            let splats: Vec<Reg> = states
                .iter()
                .map(|state| {
                    let scalar = b.load(walk.scratch, *state, step, 1);
                    b.splat(scalar, lanes)
                })
                .collect();
            for (gate, vector) in walk.parts() {
                let at = step * width + gate * self.block().units() + i64::from(vector * lanes);
                let column = b.load(walk.panels, panel, at, lanes);
                for (row, splat) in splats.iter().enumerate() {
                    let var = set[walk.number(row, gate, vector)];
                    let sum = b.get(var);
                    let sum = b.fma(*splat, column, sum);
                    b.set(var, sum);
                }
            }
        }
    }

    /// Where the states before a step start.
    pub(super) fn states_before(rows: &[Row]) -> Vec<Reg> {
        rows.iter().map(|row| row.before).collect()
    }
}

/// A walk along the states and the panels.
struct Walk<'a> {
    panels: BufferId,
    scratch: BufferId,
    /// Where the panel starts.
    start: Reg,
    /// Where the states start.
    states: &'a [Reg],
    gates: i64,
    vectors: u32,
}

impl Walk<'_> {
    /// Gates and their vectors.
    fn parts(&self) -> impl Iterator<Item = (i64, u32)> + use<> {
        let vectors = self.vectors;
        (0..self.gates).flat_map(move |gate| (0..vectors).map(move |vector| (gate, vector)))
    }

    fn number(&self, row: usize, gate: i64, vector: u32) -> usize {
        (row * self.gates as usize + gate as usize) * self.vectors as usize + vector as usize
    }
}
