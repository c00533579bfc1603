//! The equations of a step.
use super::activation::{clipped, number};
use super::gates::Product;
use super::steps::{Row, Time, Units, Writer};
use super::{Cell, Role};
use crate::nest::{Binary, BufferId, Builder, Reg};

/// Some units of one row: the sums of its gates, gate by gate.
struct Sums<'a> {
    row: &'a Row,
    units: Units,
    direction: Reg,
    gates: &'a [Reg],
}

impl Sums<'_> {
    fn gate(&self, gate: usize, vector: u32) -> Reg {
        self.gates[gate * self.units.vectors as usize + vector as usize]
    }
}

impl Writer<'_> {
    /// One step of all rows of a task.
    pub(super) fn step(&self, b: &mut Builder, time: &Time) {
        let first = Product { panels: Role::Panels, gates: 0..self.what.cell.first_gates() };
        self.each_sum(b, time, &first, &|b, sums| self.units(b, sums));
        if self.what.cell == (Cell::Gru { late: false }) {
            let late = Product { panels: Role::LatePanels, gates: 2..3 };
            self.each_sum(b, time, &late, &|b, sums| self.candidate(b, sums));
        }
    }

    /// Visits the sums of all units and rows.
    fn each_sum(
        &self,
        b: &mut Builder,
        time: &Time,
        product: &Product,
        body: &dyn Fn(&mut Builder, &Sums<'_>),
    ) {
        let direction = time.direction;
        self.each_panel(b, &mut |b, units| {
            self.each_block(b, time, &mut |b, rows| {
                let given = self.given(b, (direction, units), rows, product.gates.clone());
                let states: Vec<Reg> = rows
                    .iter()
                    .map(|row| if product.gates.start > 0 { row.more } else { row.before })
                    .collect();
                let sums = self.sums(b, (direction, units), &states, product, &given);
                for (gates, row) in sums.chunks(sums.len() / rows.len()).zip(rows) {
                    body(b, &Sums { row, units, direction, gates });
                }
            });
        });
    }

    /// What the sums start from: what the gates get from the inputs.
    fn given(
        &self,
        b: &mut Builder,
        (direction, units): (Reg, Units),
        rows: &[Row],
        gates: std::ops::Range<i64>,
    ) -> Vec<Reg> {
        let mut given = Vec::new();
        for row in rows {
            for gate in gates.clone() {
                for vector in 0..units.vectors {
                    let late = gate == 2 && self.what.cell == (Cell::Gru { late: true });
                    given.push(if late {
                        self.shared(b, Role::LateBias, direction, (units, 0, vector))
                    } else {
                        self.input(b, row, (units, gate, vector))
                    });
                }
            }
        }
        given
    }

    /// What a gate gets from the inputs.
    fn input(&self, b: &mut Builder, row: &Row, (units, gate, vector): (Units, i64, u32)) -> Reg {
        match self.operand(Role::Inputs) {
            Some((buffer, _)) => self.load(b, (buffer, row.inputs), (units, gate, vector)),
            None => self.zero(b),
        }
    }

    /// What is the same for all rows and steps, or zero.
    fn shared(
        &self,
        b: &mut Builder,
        role: Role,
        direction: Reg,
        (units, gate, vector): (Units, i64, u32),
    ) -> Reg {
        let Some((buffer, operand)) = self.operand(role) else { return self.zero(b) };
        let start = self.part(b, operand, direction);
        self.load(b, (buffer, start), (units, gate, vector))
    }

    fn load(
        &self,
        b: &mut Builder,
        (buffer, start): (BufferId, Reg),
        (units, gate, vector): (Units, i64, u32),
    ) -> Reg {
        let lanes = self.block().lanes;
        let index = b.add(start, units.first);
        let offset = gate * self.what.hidden + i64::from(vector * lanes);
        b.load_masked(buffer, index, offset, lanes, units.mask_of(vector))
    }

    fn store(
        &self,
        b: &mut Builder,
        (buffer, start): (BufferId, Reg),
        (units, gate, vector): (Units, i64, u32),
        value: Reg,
    ) {
        let index = b.add(start, units.first);
        let offset = gate * self.what.hidden + i64::from(vector * self.block().lanes);
        b.store_masked(buffer, index, offset, value, units.mask_of(vector));
    }

    fn activate(&self, b: &mut Builder, which: usize, x: Reg) -> Reg {
        let x = clipped(b, x, self.what.clip);
        self.activations[which].emit(b, x)
    }

    /// The new state of some units, or what their candidate waits for.
    fn units(&self, b: &mut Builder, sums: &Sums<'_>) {
        for vector in 0..sums.units.vectors {
            match self.what.cell {
                Cell::Rnn => {
                    let state = self.activate(b, 0, sums.gate(0, vector));
                    self.new_state(b, sums, vector, state);
                }
                Cell::Lstm { coupled } => self.lstm(b, sums, vector, coupled),
                Cell::Gru { late: true } => self.gru(b, sums, vector),
                Cell::Gru { late: false } => self.gru_gates(b, sums, vector),
            }
        }
    }

    fn lstm(&self, b: &mut Builder, sums: &Sums<'_>, vector: u32, coupled: bool) {
        let Some(cell) = self.operand(Role::Cell).map(|(buffer, _)| buffer).zip(sums.row.cell) else {
            return;
        };
        let place = (sums.units, 0, vector);
        let old = self.load(b, cell, place);
        let input = self.peeped(b, sums, (0, vector), old);
        let input = self.activate(b, 0, input);
        let forget = if coupled {
            let one = number(b, input, 1.0);
            b.binary(Binary::Sub, one, input)
        } else {
            let forget = self.peeped(b, sums, (2, vector), old);
            self.activate(b, 0, forget)
        };
        let candidate = self.activate(b, 1, sums.gate(3, vector));
        let taken = b.binary(Binary::Mul, input, candidate);
        let new = b.fma(forget, old, taken);
        let output = self.peeped(b, sums, (1, vector), new);
        let output = self.activate(b, 0, output);
        // The cell state itself is not clipped.
        let shown = self.activations[2].emit(b, new);
        let state = b.binary(Binary::Mul, output, shown);
        let kept = self.if_active(b, sums.row, new, old);
        self.store(b, cell, place, kept);
        self.new_state(b, sums, vector, state);
    }

    /// A gate of an LSTM with what it sees of the cell state.
    fn peeped(&self, b: &mut Builder, sums: &Sums<'_>, (gate, vector): (usize, u32), cell: Reg) -> Reg {
        let sum = sums.gate(gate, vector);
        if self.operand(Role::Peepholes).is_none() {
            return sum;
        }
        let factor = self.shared(b, Role::Peepholes, sums.direction, (sums.units, gate as i64, vector));
        b.fma(factor, cell, sum)
    }

    fn gru(&self, b: &mut Builder, sums: &Sums<'_>, vector: u32) {
        let update = self.activate(b, 0, sums.gate(0, vector));
        let reset = self.activate(b, 0, sums.gate(1, vector));
        let given = self.input(b, sums.row, (sums.units, 2, vector));
        let candidate = b.fma(reset, sums.gate(2, vector), given);
        self.blend(b, sums, vector, (update, candidate));
    }

    /// Both gates; the update and the state after the reset wait in the scratch.
    fn gru_gates(&self, b: &mut Builder, sums: &Sums<'_>, vector: u32) {
        let Some((scratch, _)) = self.operand(Role::Scratch) else { return };
        let update = self.activate(b, 0, sums.gate(0, vector));
        let reset = self.activate(b, 0, sums.gate(1, vector));
        let old = self.load(b, (scratch, sums.row.before), (sums.units, 0, vector));
        let kept = b.binary(Binary::Mul, reset, old);
        self.store(b, (scratch, sums.row.more), (sums.units, 0, vector), kept);
        self.store(b, (scratch, sums.row.more), (sums.units, 1, vector), update);
    }

    fn candidate(&self, b: &mut Builder, sums: &Sums<'_>) {
        let Some((scratch, _)) = self.operand(Role::Scratch) else { return };
        for vector in 0..sums.units.vectors {
            let update = self.load(b, (scratch, sums.row.more), (sums.units, 1, vector));
            self.blend(b, sums, vector, (update, sums.gate(0, vector)));
        }
    }

    /// The new state of a GRU: the candidate where the update gate is 0, the old state where it is 1.
    fn blend(&self, b: &mut Builder, sums: &Sums<'_>, vector: u32, (update, candidate): (Reg, Reg)) {
        let Some((scratch, _)) = self.operand(Role::Scratch) else { return };
        let candidate = self.activate(b, 1, candidate);
        let old = self.load(b, (scratch, sums.row.before), (sums.units, 0, vector));
        let difference = b.binary(Binary::Sub, old, candidate);
        let state = b.fma(update, difference, candidate);
        self.new_state(b, sums, vector, state);
    }

    /// Stores the new state; a row that is over keeps its old one.
    fn new_state(&self, b: &mut Builder, sums: &Sums<'_>, vector: u32, state: Reg) {
        let place = (sums.units, 0, vector);
        if let Some((scratch, _)) = self.operand(Role::Scratch) {
            let old = match sums.row.active {
                Some(_) => self.load(b, (scratch, sums.row.before), place),
                None => state,
            };
            let kept = self.if_active(b, sums.row, state, old);
            self.store(b, (scratch, sums.row.after), place, kept);
        }
        if let Some((states, at)) = self.operand(Role::States).map(|(buffer, _)| buffer).zip(sums.row.states)
        {
            let zero = self.zero(b);
            let shown = self.if_active(b, sums.row, state, zero);
            self.store(b, (states, at), place, shown);
        }
    }

    fn if_active(&self, b: &mut Builder, row: &Row, value: Reg, other: Reg) -> Reg {
        let Some(active) = row.active else { return value };
        let active = b.splat(active, self.block().lanes);
        b.select(active, value, other)
    }
}
