//! The product of the state with the panels.
use super::Role;
use super::steps::{Units, Writer};
use crate::nest::{Binary, BufferId, Builder, Hint, Reg, Var};

/// Steps of the sum that are written out.
const UNROLL: i64 = 4;
/// Sums that must be under way at once to hide the latency of one.
const CHAINS: usize = 8;

/// What is multiplied.
pub(super) struct Product {
    /// Which panels.
    pub(super) panels: Role,
    /// The gates they hold.
    pub(super) gates: std::ops::Range<i64>,
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
        let (depth, gates) = (self.what.hidden, product.gates.end - product.gates.start);
        let size = b.index(depth * gates * self.block().units());
        let (start, offset) = (self.part(b, operand, direction), b.mul(units.panel, size));
        let start = b.add(start, offset);
        let sets = CHAINS.div_ceil(first.len().max(1)).next_power_of_two().min(UNROLL as usize);
        let zero = self.zero(b);
        let sums: Vec<Vec<Var>> = (0..sets)
            .map(|set| first.iter().map(|sum| b.var(if set == 0 { *sum } else { zero })).collect())
            .collect();
        let (width, vectors) = (gates * self.block().units(), units.vectors as usize);
        let walk = Walk { panels, scratch, start, width, states, vectors };
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
        let width = b.index(walk.width);
        let down = b.mul(k, width);
        let panel = b.add(walk.start, down);
        let states: Vec<Reg> = walk.states.iter().map(|state| b.add(*state, k)).collect();
        let columns = sums[0].len() / states.len();
        for step in 0..count {
            let set = &sums[step as usize % sums.len()];
            // What is fewer is held in registers, the other is used up at once.
            if columns <= states.len() {
                let held: Vec<Reg> = (0..columns).map(|i| self.column(b, walk, (panel, step), i)).collect();
                for (row, state) in states.iter().enumerate() {
                    let splat = self.splat(b, walk, (*state, step));
                    held.iter().enumerate().for_each(|(i, column)| {
                        add(b, set[row * columns + i], (splat, *column));
                    });
                }
            } else {
                let held: Vec<Reg> = states.iter().map(|state| self.splat(b, walk, (*state, step))).collect();
                for i in 0..columns {
                    let column = self.column(b, walk, (panel, step), i);
                    held.iter().enumerate().for_each(|(row, splat)| {
                        add(b, set[row * columns + i], (*splat, column));
                    });
                }
            }
        }
    }

    /// A vector of the panel: the `i`th of those that are used in a step.
    fn column(&self, b: &mut Builder, walk: &Walk<'_>, (panel, step): (Reg, i64), i: usize) -> Reg {
        let (gate, vector) = (i / walk.vectors, i % walk.vectors);
        let lanes = i64::from(self.block().lanes);
        let at = step * walk.width + gate as i64 * self.block().units() + vector as i64 * lanes;
        b.load(walk.panels, panel, at, self.block().lanes)
    }

    /// An element of a state in all lanes.
    fn splat(&self, b: &mut Builder, walk: &Walk<'_>, (state, step): (Reg, i64)) -> Reg {
        let scalar = b.load(walk.scratch, state, step, 1);
        b.splat(scalar, self.block().lanes)
    }
}

fn add(b: &mut Builder, sum: Var, (x, y): (Reg, Reg)) {
    let before = b.get(sum);
    let after = b.fma(x, y, before);
    b.set(sum, after);
}

/// A walk along the states and the panels.
struct Walk<'a> {
    panels: BufferId,
    scratch: BufferId,
    /// Where the panel starts.
    start: Reg,
    /// Elements of the panel for one unit before.
    width: i64,
    /// Where the states start.
    states: &'a [Reg],
    /// Vectors of a gate that are used.
    vectors: usize,
}
