//! `recurrent`: all steps of a recurrent network in one kernel.
//!
//! What the gates get from the inputs was computed for all steps before. Each step is then the
//! product of the hidden state with panels that hold all gates of some hidden units, so that the
//! units' new state is computed while the gates are in registers. Rows of the batch are tasks of
//! their own, as many together as registers allow.
mod activation;
mod cell;
mod gates;
mod steps;

pub use activation::Activation;

use super::Machine;
use crate::nest::{Access, BufferId, Builder, Kernel, Reg};
use steps::Writer;
use weft_ir::{DType, Dim};

/// The equations of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// One gate, which is the new state.
    Rnn,
    /// Update and reset gates and a candidate. If `late`, the reset gate is applied to the product of
    /// the state, else to the state.
    Gru {
        /// Whether the product comes before the reset.
        late: bool,
    },
    /// Input, output and forget gates and a candidate for the cell state. If `coupled`, what is not
    /// taken in is forgotten.
    Lstm {
        /// Whether the forget gate is one less the input gate.
        coupled: bool,
    },
}

impl Cell {
    /// Gates, in the order of the weights.
    pub fn gates(self) -> i64 {
        match self {
            Cell::Rnn => 1,
            Cell::Gru { .. } => 3,
            Cell::Lstm { .. } => 4,
        }
    }

    /// Gates computed from the state of the last step; others wait for those.
    pub fn first_gates(self) -> i64 {
        match self {
            Cell::Gru { late: false } => 2,
            _ => self.gates(),
        }
    }

    /// How many vectors of the hidden size a row needs while it is computed: the states of two steps,
    /// what a candidate waits for.
    pub fn scratch(self) -> i64 {
        match self {
            Cell::Gru { late: false } => 4,
            _ => 2,
        }
    }
}

/// What a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What the gates get from the inputs, biases included: `[step, row, direction, gate, unit]`.
    Inputs,
    /// The panels of the gates computed first: `[direction, panel, unit before, gate, unit in panel]`.
    Panels,
    /// The panels of the candidate, if it is not computed with the others.
    LatePanels,
    /// What is added to the product of the candidate before it is reset: `[direction, unit]`.
    LateBias,
    /// Factors of the cell state in the input, output and forget gates: `[direction, gate, unit]`.
    Peepholes,
    /// How many steps each row has, as `i32`.
    Lengths,
    /// The state before the first step.
    FirstState,
    /// The cell state before the first step.
    FirstCell,
    /// The states after each step.
    States,
    /// The state after the last step.
    LastState,
    /// The cell state, after the last step in the end.
    Cell,
    /// Room for [`Cell::scratch`].
    Scratch,
}

impl Role {
    fn access(self) -> Access {
        match self {
            Role::States | Role::LastState | Role::Cell | Role::Scratch => Access::Write,
            _ => Access::Read,
        }
    }

    fn elem(self, dtype: DType) -> DType {
        if self == Role::Lengths { DType::I32 } else { dtype }
    }
}

/// A buffer: how far apart its elements are for neighbouring steps, directions and rows. Units lie
/// side by side.
#[derive(Debug, Clone)]
pub struct Operand {
    /// What it holds.
    pub role: Role,
    /// From step to step.
    pub step: Dim,
    /// From direction to direction.
    pub direction: Dim,
    /// From row to row.
    pub row: Dim,
}

/// What to compute.
#[derive(Debug, Clone)]
pub struct Recurrent {
    /// The equations.
    pub cell: Cell,
    /// Element type of everything but the lengths.
    pub dtype: DType,
    /// The number of steps.
    pub steps: Dim,
    /// The number of rows.
    pub batch: Dim,
    /// The number of hidden units.
    pub hidden: i64,
    /// Whether a direction goes from the end to the start.
    pub backwards: Vec<bool>,
    /// What gates are put through, by direction.
    pub activations: Vec<Vec<Activation>>,
    /// Gates are kept between this and its negative before they are put through anything.
    pub clip: Option<f64>,
    /// How the work is cut.
    pub block: Block,
    /// The buffers in argument order.
    pub operands: Vec<Operand>,
}

/// What is computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Rows of the batch.
    pub rows: u32,
    /// Vectors of hidden units.
    pub vectors: u32,
    /// Lanes of a vector.
    pub lanes: u32,
    /// How many times as many rows a task has; they take turns with each panel.
    pub turns: u32,
}

impl Block {
    /// Hidden units, which is the width of a gate's part of a panel.
    pub fn units(&self) -> i64 {
        i64::from(self.vectors * self.lanes)
    }
}

/// The block with the fewest cycles for one step of that many rows.
pub fn block(machine: &Machine, dtype: DType, cell: Cell, hidden: i64, batch: &Dim) -> Block {
    let lanes = machine.lanes(dtype);
    let columns = (hidden.max(1) as u64).div_ceil(lanes.into()) as i64;
    let (gates, registers) = (cell.first_gates(), i64::from(machine.registers));
    let batch = batch.as_fixed().unwrap_or(MANY_ROWS).max(1);
    // Panels that do not stay in the cache from step to step are shared by more rows.
    let bytes = (hidden * hidden * cell.gates()) as u64 * u64::from(dtype.bits()) / 8;
    let turns = if bytes > machine.l2 { 4 } else { 1 };
    let mut best: Option<(i64, Block)> = None;
    for vectors in 1..=columns.min(8) {
        for rows in 1..=batch.min(6) {
            let columns_now = gates * vectors;
            if columns_now * rows + rows + 2 > registers || (columns_now > 16 && vectors > 1) {
                continue;
            }
            // Half cycles for one unit before: sums, what the panels take to arrive, splats.
            let step = (2 * columns_now * rows).max(8) + 2 * columns_now + rows;
            let panels = (columns as u64).div_ceil(vectors as u64) as i64;
            let cycles = (batch as u64).div_ceil(rows as u64) as i64 * panels * step;
            let block = Block { rows: rows as u32, vectors: vectors as u32, lanes, turns };
            if best.is_none_or(|(least, _)| cycles < least) {
                best = Some((cycles, block));
            }
        }
    }
    best.map_or(Block { rows: 1, vectors: 1, lanes, turns }, |(_, block)| block)
}

/// Rows of a batch whose extent is known only at run time, for the choice of a block.
const MANY_ROWS: i64 = 12;

/// Writes the kernel; it has as many tasks as the second value says.
pub fn recurrent(name: &str, what: &Recurrent) -> (Kernel, Dim) {
    let title = match what.cell {
        Cell::Rnn => "rnn",
        Cell::Gru { .. } => "gru",
        Cell::Lstm { .. } => "lstm",
    };
    let Block { rows, vectors, lanes, turns } = what.block;
    let mut b = Builder::new(name, &format!("{title} {rows}x{}", vectors * lanes));
    let buffer = |(i, operand): (usize, &Operand)| {
        let access = operand.role.access();
        let kind = if access == Access::Read { "in" } else { "out" };
        b.buffer(&format!("{kind}{i}"), operand.role.elem(what.dtype), access)
    };
    let buffers: Vec<BufferId> = what.operands.iter().enumerate().map(buffer).collect();
    let blocks = what.batch.div_ceil(&Dim::fixed((rows * turns).into()));
    let blocks_now = b.extent(&blocks);
    let task = b.task();
    let (direction, rows) = (b.div(task, blocks_now), b.rem(task, blocks_now));
    directions(&mut b, what, direction, &mut |b, number, direction| {
        let writer = Writer { what, buffers: &buffers, activations: &what.activations[number] };
        writer.task(b, direction, rows);
    });
    (b.finish(), blocks.scale(what.backwards.len() as i64))
}

/// Code for every direction, apart only where what they do differs in more than the order of steps.
fn directions(
    b: &mut Builder,
    what: &Recurrent,
    direction: Reg,
    body: &mut dyn FnMut(&mut Builder, usize, Reg),
) {
    let [first, .., last] = what.activations.as_slice() else { return body(b, 0, direction) };
    if first == last {
        return body(b, 0, direction);
    }
    for number in 0..what.activations.len() {
        let this = b.index(number as i64);
        let here = b.compare(crate::nest::Compare::Eq, direction, this);
        b.when(here, |b| body(b, number, direction));
    }
}
