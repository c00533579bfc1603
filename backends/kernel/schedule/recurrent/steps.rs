//! The loop over time.
use super::{Activation, Block, Operand, Recurrent, Role};
use crate::nest::{BufferId, Builder, Compare, Hint, Reg, Scalar, Ty};
use weft_ir::DType;

/// Writes the code of one direction.
pub(super) struct Writer<'a> {
    pub(super) what: &'a Recurrent,
    pub(super) buffers: &'a [BufferId],
    pub(super) activations: &'a [Activation],
}

/// A step of one task.
pub(super) struct Time {
    pub(super) direction: Reg,
    /// The number of the step.
    pub(super) step: Reg,
    /// The first row of the task and where they end.
    pub(super) rows: (Reg, Reg),
}

/// One row of the batch at one step.
pub(super) struct Row {
    /// Where what the gates get from the inputs is.
    pub(super) inputs: Reg,
    /// Where the state after this step is stored for good.
    pub(super) states: Option<Reg>,
    /// Where the cell state is.
    pub(super) cell: Option<Reg>,
    /// Where the state before this step is.
    pub(super) before: Reg,
    /// Where the state after this step goes.
    pub(super) after: Reg,
    /// Where more of the scratch is.
    pub(super) more: Reg,
    /// Whether the row has the step, if rows differ in that.
    pub(super) active: Option<Reg>,
}

/// Some hidden units: so many vectors, the last of which may have a mask.
#[derive(Clone, Copy)]
pub(super) struct Units {
    /// The first one.
    pub(super) first: Reg,
    /// The number of the panel.
    pub(super) panel: Reg,
    /// How many vectors.
    pub(super) vectors: u32,
    /// Which lanes of the last vector count.
    pub(super) mask: Option<Reg>,
}

impl Units {
    /// The mask of a vector.
    pub(super) fn mask_of(&self, vector: u32) -> Option<Reg> {
        self.mask.filter(|_| vector + 1 == self.vectors)
    }
}

impl Writer<'_> {
    /// All steps of the rows of a task.
    pub(super) fn task(&self, b: &mut Builder, direction: Reg, block: Reg) {
        let Block { rows, turns, .. } = self.block();
        let (rows, batch) = (b.index((rows * turns).into()), b.extent(&self.what.batch));
        let start = b.mul(block, rows);
        let end = b.add(start, rows);
        let end = b.min(end, batch);
        b.for_each(start, end, 1, Hint::AsWritten, |b, row| self.begin(b, direction, row));
        let (zero, steps) = (b.index(0), b.extent(&self.what.steps));
        b.for_each(zero, steps, 1, Hint::AsWritten, |b, step| {
            self.step(b, &Time { direction, step, rows: (start, end) });
        });
        b.for_each(start, end, 1, Hint::AsWritten, |b, row| self.end(b, direction, row));
    }

    /// Visits the rows of a task, as many together as registers allow.
    pub(super) fn each_block(
        &self,
        b: &mut Builder,
        time: &Time,
        body: &mut dyn FnMut(&mut Builder, &[Row]),
    ) {
        let (mut start, end) = time.rows;
        for tall in self.heights() {
            let size = b.index(tall.into());
            let left = b.sub(end, start);
            let rest = b.rem(left, size);
            let stop = b.sub(end, rest);
            b.for_each(start, stop, tall.into(), Hint::AsWritten, |b, first| {
                let rows: Vec<Row> = (0..tall).map(|by| self.row(b, time, (first, by))).collect();
                body(b, &rows);
            });
            start = stop;
        }
    }

    /// Heights of blocks that occur: all rows, then ever fewer.
    fn heights(&self) -> Vec<u32> {
        let most = self.block().rows;
        let mut heights = vec![most];
        heights.extend((0..most.ilog2() + 1).rev().map(|n| 1 << n).filter(|height| *height < most));
        let Some(batch) = self.what.batch.as_fixed() else { return heights };
        let mut rest = u64::try_from(batch).unwrap_or(0);
        heights.retain(|height| {
            let fits = rest >= u64::from(*height);
            rest %= u64::from(*height);
            fits
        });
        heights
    }

    pub(super) fn block(&self) -> Block {
        self.what.block
    }

    /// Where a row reads and writes at a step.
    fn row(&self, b: &mut Builder, time: &Time, (first, by): (Reg, u32)) -> Row {
        let by = b.index(by.into());
        let number = b.add(first, by);
        let length = self.operand(Role::Lengths).map(|(buffer, _)| {
            let length = b.load(buffer, number, 0, 1);
            b.cast(length, DType::I64)
        });
        let active = length.map(|length| b.compare(Compare::Lt, time.step, length));
        let place = self.place(b, time, (length, active));
        let at = |b: &mut Builder, role: Role| {
            let (_, operand) = self.operand(role)?;
            let start = self.start(b, operand, (time.direction, number));
            let stride = b.extent(&operand.step);
            let distance = b.mul(place, stride);
            Some(b.add(start, distance))
        };
        let scratch = at(b, Role::Scratch).unwrap_or(number);
        let (two, hidden) = (b.index(2), b.index(self.what.hidden));
        let odd = b.rem(time.step, two);
        let here = b.mul(odd, hidden);
        let (there, both) = (b.sub(hidden, here), b.add(hidden, hidden));
        Row {
            inputs: at(b, Role::Inputs).unwrap_or(number),
            states: at(b, Role::States),
            cell: at(b, Role::Cell),
            before: b.add(scratch, here),
            after: b.add(scratch, there),
            more: b.add(scratch, both),
            active,
        }
    }

    /// Which place in the sequence a step is at.
    fn place(&self, b: &mut Builder, time: &Time, (length, active): (Option<Reg>, Option<Reg>)) -> Reg {
        if !self.what.backwards.contains(&true) {
            return time.step;
        }
        let (steps, minus_one) = (b.extent(&self.what.steps), b.index(-1));
        let last = b.add(length.unwrap_or(steps), minus_one);
        let from_end = b.sub(last, time.step);
        // Steps that a row does not have come behind those that it has.
        let backwards = active.map_or(from_end, |active| b.select(active, from_end, time.step));
        if self.what.backwards.len() == 1 {
            return backwards;
        }
        let second = b.index(1);
        let is_second = b.compare(Compare::Eq, time.direction, second);
        b.select(is_second, backwards, time.step)
    }

    /// The buffer of that role.
    pub(super) fn operand(&self, role: Role) -> Option<(BufferId, &Operand)> {
        let at = self.what.operands.iter().position(|operand| operand.role == role)?;
        Some((self.buffers[at], &self.what.operands[at]))
    }

    fn start(&self, b: &mut Builder, operand: &Operand, (direction, row): (Reg, Reg)) -> Reg {
        let (by_direction, by_row) = (b.extent(&operand.direction), b.extent(&operand.row));
        let (x, y) = (b.mul(direction, by_direction), b.mul(row, by_row));
        b.add(x, y)
    }

    /// Where the part of a direction starts.
    pub(super) fn part(&self, b: &mut Builder, operand: &Operand, direction: Reg) -> Reg {
        let stride = b.extent(&operand.direction);
        b.mul(direction, stride)
    }

    /// The states of a row before the first step.
    fn begin(&self, b: &mut Builder, direction: Reg, row: Reg) {
        for (to, from) in [(Role::Scratch, Role::FirstState), (Role::Cell, Role::FirstCell)] {
            let Some((to, operand)) = self.operand(to) else { continue };
            let start = self.start(b, operand, (direction, row));
            let from = self.operand(from).map(|(from, operand)| {
                let start = self.start(b, operand, (direction, row));
                (from, start)
            });
            self.copy(b, from, (to, start));
        }
    }

    /// The state of a row after the last step.
    fn end(&self, b: &mut Builder, direction: Reg, row: Reg) {
        let (Some((to, operand)), Some((scratch, room))) =
            (self.operand(Role::LastState), self.operand(Role::Scratch))
        else {
            return;
        };
        let start = self.start(b, operand, (direction, row));
        let (steps, two) = (b.extent(&self.what.steps), b.index(2));
        let (odd, hidden) = (b.rem(steps, two), b.index(self.what.hidden));
        let (room, offset) = (self.start(b, room, (direction, row)), b.mul(odd, hidden));
        let from = b.add(room, offset);
        self.copy(b, Some((scratch, from)), (to, start));
    }

    /// Copies a state, or sets it to zero.
    fn copy(&self, b: &mut Builder, from: Option<(BufferId, Reg)>, (to, start): (BufferId, Reg)) {
        let lanes = self.block().lanes;
        self.each_vector(b, &|b, unit, mask| {
            let value = match from {
                Some((from, start)) => {
                    let at = b.add(start, unit);
                    b.load_masked(from, at, 0, lanes, mask)
                }
                None => self.zero(b),
            };
            let at = b.add(start, unit);
            b.store_masked(to, at, 0, value, mask);
        });
    }

    /// Visits the hidden units a vector at a time.
    fn each_vector(&self, b: &mut Builder, body: &dyn Fn(&mut Builder, Reg, Option<Reg>)) {
        let range = (b.index(0), b.index(self.what.hidden));
        super::super::map::lanes_loop(b, range, self.block().lanes, |b, unit, lanes, mask| {
            debug_assert_eq!(lanes, self.block().lanes);
            body(b, unit, mask);
        });
    }

    /// Visits the hidden units a panel at a time.
    pub(super) fn each_panel(&self, b: &mut Builder, body: &mut dyn FnMut(&mut Builder, Units)) {
        let Block { vectors, lanes, .. } = self.block();
        let (hidden, width) = (self.what.hidden, self.block().units());
        let whole = hidden / width;
        let (zero, end, size) = (b.index(0), b.index(whole), b.index(width));
        b.for_each(zero, end, 1, Hint::AsWritten, |b, panel| {
            let first = b.mul(panel, size);
            body(b, Units { first, panel, vectors, mask: None });
        });
        let rest = hidden - whole * width;
        if rest > 0 {
            let lanes = i64::from(lanes);
            let (first, left) = (b.index(whole * width), b.index(rest % lanes));
            let mask = (rest % lanes > 0).then(|| b.first_lanes(left, lanes as u32));
            let vectors = (rest as u64).div_ceil(lanes as u64) as u32;
            body(b, Units { first, panel: end, vectors, mask });
        }
    }

    pub(super) fn zero(&self, b: &mut Builder) -> Reg {
        b.constant(Ty::vector(self.what.dtype, self.block().lanes), Scalar::Float(0.0))
    }
}
