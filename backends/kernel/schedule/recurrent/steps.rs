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

/// One row of the batch.
#[derive(Clone)]
pub(super) struct Row {
    /// Its number.
    number: Reg,
    /// How many steps it has, if rows differ in that.
    length: Option<Reg>,
    /// Where the row is in what the gates get from the inputs, at the present step.
    pub(super) inputs: Reg,
    /// Where its states are stored, at the present step.
    pub(super) states: Option<Reg>,
    /// Where its cell state is.
    pub(super) cell: Option<Reg>,
    /// Where its state after the last step is.
    pub(super) before: Reg,
    /// Where its state after this step goes.
    pub(super) after: Reg,
    /// Where more of its scratch is.
    pub(super) more: Reg,
    /// Whether the row has the present step, if rows differ in that.
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
    /// All steps of a block of rows.
    pub(super) fn task(&self, b: &mut Builder, direction: Reg, block: Reg) {
        let (rows, batch) = (b.index(self.block().rows.into()), b.extent(&self.what.batch));
        let start = b.mul(block, rows);
        let end = b.add(start, rows);
        let end = b.min(end, batch);
        let mut start = start;
        for tall in self.heights() {
            let size = b.index(tall.into());
            let left = b.sub(end, start);
            let rest = b.rem(left, size);
            let stop = b.sub(end, rest);
            b.for_each(start, stop, tall.into(), Hint::AsWritten, |b, first| {
                self.rows(b, direction, (first, tall));
            });
            start = stop;
        }
    }

    /// Heights of blocks that occur: all rows, then ever fewer.
    fn heights(&self) -> Vec<u32> {
        let most = self.block().rows;
        let halves = std::iter::successors(Some(most), |size| Some(size / 2)).take_while(|size| *size > 0);
        let batch = self.what.batch.as_fixed();
        let whole = batch.is_some_and(|batch| batch % i64::from(most) == 0);
        if whole { vec![most] } else { halves.collect() }
    }

    pub(super) fn block(&self) -> Block {
        self.what.block
    }

    /// All steps of rows that are computed together.
    fn rows(&self, b: &mut Builder, direction: Reg, (first, tall): (Reg, u32)) {
        let rows: Vec<Row> = (0..tall).map(|i| self.row(b, direction, (first, i))).collect();
        rows.iter().for_each(|row| self.begin(b, direction, row));
        let (zero, steps) = (b.index(0), b.extent(&self.what.steps));
        b.for_each(zero, steps, 1, Hint::AsWritten, |b, step| {
            let rows: Vec<Row> = rows.iter().map(|row| self.at_step(b, direction, row, step)).collect();
            self.step(b, direction, &rows);
        });
        rows.iter().for_each(|row| self.end(b, direction, row, steps));
    }

    fn row(&self, b: &mut Builder, direction: Reg, (first, by): (Reg, u32)) -> Row {
        let by = b.index(by.into());
        let number = b.add(first, by);
        let start = |b: &mut Builder, role: Role| {
            let (_, operand) = self.operand(role)?;
            Some(self.start(b, operand, (direction, number)))
        };
        let inputs = start(b, Role::Inputs).unwrap_or(number);
        let scratch = start(b, Role::Scratch).unwrap_or(number);
        let length = self.operand(Role::Lengths).map(|(buffer, _)| {
            let length = b.load(buffer, number, 0, 1);
            b.cast(length, DType::I64)
        });
        let twice = b.index(2 * self.what.hidden);
        Row {
            number,
            length,
            inputs,
            states: start(b, Role::States),
            cell: start(b, Role::Cell),
            before: scratch,
            after: scratch,
            more: b.add(scratch, twice),
            active: None,
        }
    }

    /// The same row at a step: where it reads and writes.
    fn at_step(&self, b: &mut Builder, direction: Reg, row: &Row, step: Reg) -> Row {
        let active = row.length.map(|length| b.compare(Compare::Lt, step, length));
        let place = self.place(b, direction, row, (step, active));
        let moved = |b: &mut Builder, from: Reg, role: Role| {
            let (_, operand) = self.operand(role)?;
            let stride = b.extent(&operand.step);
            let distance = b.mul(place, stride);
            Some(b.add(from, distance))
        };
        let (two, hidden) = (b.index(2), b.index(self.what.hidden));
        let odd = b.rem(step, two);
        let here = b.mul(odd, hidden);
        let other = b.sub(hidden, here);
        Row {
            inputs: moved(b, row.inputs, Role::Inputs).unwrap_or(row.inputs),
            states: row.states.and_then(|states| moved(b, states, Role::States)),
            before: b.add(row.before, here),
            after: b.add(row.before, other),
            active,
            ..row.clone()
        }
    }

    /// Which place in the sequence a step is at.
    fn place(&self, b: &mut Builder, direction: Reg, row: &Row, (step, active): (Reg, Option<Reg>)) -> Reg {
        if !self.what.backwards.contains(&true) {
            return step;
        }
        let (steps, minus_one) = (b.extent(&self.what.steps), b.index(-1));
        let length = row.length.unwrap_or(steps);
        let last = b.add(length, minus_one);
        let from_end = b.sub(last, step);
        // Steps that a row does not have come behind those that it has.
        let backwards = active.map_or(from_end, |active| b.select(active, from_end, step));
        if self.what.backwards.len() == 1 {
            return backwards;
        }
        let second = b.index(1);
        let is_second = b.compare(Compare::Eq, direction, second);
        b.select(is_second, backwards, step)
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

    /// The states before the first step.
    fn begin(&self, b: &mut Builder, direction: Reg, row: &Row) {
        let scratch = self.operand(Role::Scratch).map(|(buffer, _)| (buffer, row.before));
        let cell = self.operand(Role::Cell).map(|(buffer, _)| buffer).zip(row.cell);
        for (to, role) in [(scratch, Role::FirstState), (cell, Role::FirstCell)] {
            let Some((to, at)) = to else { continue };
            let from = self
                .operand(role)
                .map(|(buffer, operand)| (buffer, self.start(b, operand, (direction, row.number))));
            self.each_vector(b, &|b, unit, mask| {
                let value = match from {
                    Some((buffer, start)) => {
                        let from = b.add(start, unit);
                        b.load_masked(buffer, from, 0, self.block().lanes, mask)
                    }
                    None => self.zero(b),
                };
                let to_index = b.add(at, unit);
                b.store_masked(to, to_index, 0, value, mask);
            });
        }
    }

    /// The state after the last step.
    fn end(&self, b: &mut Builder, direction: Reg, row: &Row, steps: Reg) {
        let (Some((to, operand)), Some((scratch, _))) =
            (self.operand(Role::LastState), self.operand(Role::Scratch))
        else {
            return;
        };
        let start = self.start(b, operand, (direction, row.number));
        let (two, hidden) = (b.index(2), b.index(self.what.hidden));
        let odd = b.rem(steps, two);
        let offset = b.mul(odd, hidden);
        let from = b.add(row.before, offset);
        self.each_vector(b, &|b, unit, mask| {
            let (from, to_index) = (b.add(from, unit), b.add(start, unit));
            let value = b.load_masked(scratch, from, 0, self.block().lanes, mask);
            b.store_masked(to, to_index, 0, value, mask);
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
