//! What the host does: buffers, and the steps that fill them.
pub mod exec;
mod print;

use crate::nest::Kernel;
use std::path::PathBuf;
use std::sync::Arc;
use weft_ir::{DType, Dim};

/// A whole compiled model before code generation.
#[derive(Debug, Clone)]
pub struct Program {
    /// The model's name.
    pub name: String,
    /// Names of the symbols, by their number at run time. The first ones are bound from the
    /// extents of the inputs, the others by steps.
    pub symbols: Vec<String>,
    /// What goes in.
    pub inputs: Vec<Port>,
    /// What comes out.
    pub outputs: Vec<Port>,
    /// Buffers whose size follows from the inputs' extents; they share memory by lifetime.
    pub planned: Vec<Planned>,
    /// How many buffers grow at run time because their size depends on data.
    pub grown: usize,
    /// Constant data; each piece starts at a multiple of 64 bytes.
    pub weights: Vec<Weight>,
    /// The kernels.
    pub kernels: Vec<Kernel>,
    /// What a run does, in order.
    pub steps: Vec<Step>,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// As the model names it.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub dims: Vec<Dim>,
}

/// A buffer that lives from one step to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// For reading the text.
    pub name: String,
    /// Size in bytes.
    pub bytes: Dim,
    /// Number of the first step that uses it; steps are numbered as [`Step::walk`] meets them.
    pub first: u32,
    /// Number of the last step that uses it.
    pub last: u32,
}

/// Constant data as the kernels want it.
#[derive(Debug, Clone)]
pub struct Weight {
    /// For reading the text.
    pub name: String,
    /// The bytes.
    pub data: WeightData,
}

/// Where the bytes come from. Packing is done when the artifact is written, piece by piece, so that
/// a model's packed weights need not be in memory all at once.
#[derive(Clone)]
pub enum WeightData {
    /// As they are.
    Plain(bytes::Bytes),
    /// Made on demand; the number is the length in bytes.
    Packed(usize, Arc<dyn Fn() -> Vec<u8> + Send + Sync>),
}

impl std::fmt::Debug for WeightData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl WeightData {
    /// Bytes.
    pub fn len(&self) -> usize {
        match self {
            WeightData::Plain(data) => data.len(),
            WeightData::Packed(len, _) => *len,
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            WeightData::Plain(data) => data.to_vec(),
            WeightData::Packed(_, make) => make(),
        }
    }
}

/// Memory that a step uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Memory {
    /// Input of that number.
    Input(u32),
    /// Output of that number; it must have been sized by [`Step::Output`].
    Output(u32),
    /// Planned buffer of that number.
    Planned(u32),
    /// Growing buffer of that number; it must have been sized by [`Step::Grow`].
    Grown(u32),
    /// Constant data of that number.
    Weight(u32),
}

/// One step of a run.
#[derive(Debug, Clone)]
pub enum Step {
    /// Runs all tasks of a kernel, split over the threads. Integer parameters are the symbols named
    /// by [`Kernel::dims`].
    Launch {
        /// Which kernel.
        kernel: u32,
        /// One for each buffer parameter, with an offset in bytes.
        args: Vec<(Memory, Dim)>,
        /// How many tasks.
        tasks: Dim,
    },
    /// Copies bytes.
    Copy {
        /// From where.
        from: (Memory, Dim),
        /// To where.
        to: (Memory, Dim),
        /// How many.
        bytes: Dim,
    },
    /// Sizes an output before anything writes to it.
    Output {
        /// Which.
        output: u32,
        /// Its extents.
        dims: Vec<Dim>,
    },
    /// Sizes a growing buffer.
    Grow {
        /// Which.
        grown: u32,
        /// Its size.
        bytes: Dim,
    },
    /// Reads an integer from memory into a symbol.
    Read {
        /// Which symbol.
        symbol: u32,
        /// From where.
        from: Memory,
        /// Element type: `i64`, `i32` or `bool`.
        dtype: DType,
        /// Element index.
        index: i64,
    },
    /// Sets a symbol.
    Set {
        /// Which symbol.
        symbol: u32,
        /// To what.
        value: Dim,
    },
    /// Fails the run unless two extents are equal (or, if `at_least`, the left one is not smaller).
    Check {
        /// One.
        left: Dim,
        /// The other.
        right: Dim,
        /// Whether more is fine too.
        at_least: bool,
        /// What to tell the user; found and expected are appended.
        message: String,
    },
    /// Calls a function of the runtime.
    Call {
        /// Its name, `weft_rt_...`.
        function: &'static str,
        /// Pointers.
        args: Vec<(Memory, Dim)>,
        /// Integers.
        dims: Vec<Dim>,
        /// Symbols that receive the integers it returns.
        results: Vec<u32>,
    },
    /// Calls a function outside weft.
    Foreign {
        /// Its symbol.
        symbol: String,
        /// The operator it computes.
        op: String,
        /// The name of the first result.
        at: String,
        /// The object or archive it is in.
        code: PathBuf,
        /// Operands and attributes that are there, then results.
        args: Vec<(Memory, Dim)>,
        /// How many operands and attributes, how many results; then of each its element type, as
        /// `DLPack code << 8 | bits`, its rank and its extents. An absent one has neither bits nor
        /// an address among `args`.
        dims: Vec<Dim>,
    },
    /// Runs one of two lists, by a truth value in memory.
    If {
        /// A `bool`.
        condition: Memory,
        /// If true.
        then: Vec<Step>,
        /// If false.
        otherwise: Vec<Step>,
    },
    /// Runs the body while the symbol `index` is below the symbol `trips` and the truth value holds.
    /// The host counts `index` up from 0.
    Loop {
        /// Symbol that counts.
        index: u32,
        /// How often at most.
        trips: Dim,
        /// A `bool` asked before each trip.
        condition: Option<Memory>,
        /// The body.
        body: Vec<Step>,
    },
}

impl Step {
    /// Visits every step of a list with its number: a step of control flow comes before the steps
    /// in it.
    pub fn walk<'a>(steps: &'a [Step], visit: &mut dyn FnMut(u32, &'a Step)) {
        let mut open: Vec<&Step> = steps.iter().rev().collect();
        let mut number = 0;
        while let Some(step) = open.pop() {
            visit(number, step);
            number += 1;
            match step {
                Step::If { then, otherwise, .. } => open.extend(then.iter().chain(otherwise).rev()),
                Step::Loop { body, .. } => open.extend(body.iter().rev()),
                _ => {}
            }
        }
    }
}

impl Step {
    /// All memory that a step itself uses.
    pub fn memory(&self) -> Vec<Memory> {
        match self {
            Step::Launch { args, .. } | Step::Call { args, .. } | Step::Foreign { args, .. } => {
                args.iter().map(|(memory, _)| *memory).collect()
            }
            Step::Copy { from, to, .. } => vec![from.0, to.0],
            Step::Read { from, .. } => vec![*from],
            Step::If { condition, .. } => vec![*condition],
            Step::Loop { condition, .. } => condition.iter().copied().collect(),
            Step::Output { .. } | Step::Grow { .. } | Step::Set { .. } | Step::Check { .. } => Vec::new(),
        }
    }

    /// The same, to change it.
    fn memory_mut(&mut self) -> Vec<&mut Memory> {
        match self {
            Step::Launch { args, .. } | Step::Call { args, .. } | Step::Foreign { args, .. } => {
                args.iter_mut().map(|(memory, _)| memory).collect()
            }
            Step::Copy { from, to, .. } => vec![&mut from.0, &mut to.0],
            Step::Read { from, .. } => vec![from],
            Step::If { condition, .. } => vec![condition],
            Step::Loop { condition, .. } => condition.iter_mut().collect(),
            Step::Output { .. } | Step::Grow { .. } | Step::Set { .. } | Step::Check { .. } => Vec::new(),
        }
    }

    /// How many steps there are in this one, itself included.
    fn size(&self) -> u32 {
        let mut count = 0;
        Step::walk(std::slice::from_ref(self), &mut |_, _| count += 1);
        count
    }
}

/// Fills in from which step to which each planned buffer lives. What a loop uses lives through all
/// of the loop.
pub fn lifetimes(program: &mut Program) {
    let mut ranges: Vec<Option<(u32, u32)>> = vec![None; program.planned.len()];
    let mut loops: Vec<(u32, u32)> = Vec::new();
    Step::walk(&program.steps, &mut |number, step| {
        if matches!(step, Step::Loop { .. }) {
            loops.push((number, number + step.size() - 1));
        }
        for memory in step.memory() {
            let Memory::Planned(buffer) = memory else { continue };
            let (first, last) =
                loops.iter().find(|(_, end)| number <= *end).copied().unwrap_or((number, number));
            let range = ranges[buffer as usize].get_or_insert((first, last));
            *range = (range.0.min(first), range.1.max(last));
        }
    });
    for (planned, range) in program.planned.iter_mut().zip(ranges) {
        (planned.first, planned.last) = range.unwrap_or((0, 0));
    }
}

/// Drops constant data that no step uses, as data that was packed otherwise.
pub fn sweep_weights(program: &mut Program) {
    let mut used = vec![false; program.weights.len()];
    Step::walk(&program.steps, &mut |_, step| {
        for memory in step.memory() {
            if let Memory::Weight(weight) = memory {
                used[weight as usize] = true;
            }
        }
    });
    let mut next = 0;
    let new: Vec<u32> = used
        .iter()
        .map(|used| {
            next += u32::from(*used);
            next - u32::from(*used)
        })
        .collect();
    let mut open: Vec<&mut Step> = program.steps.iter_mut().collect();
    while let Some(step) = open.pop() {
        for memory in step.memory_mut() {
            if let Memory::Weight(weight) = memory {
                *weight = new[*weight as usize];
            }
        }
        match step {
            Step::If { then, otherwise, .. } => open.extend(then.iter_mut().chain(otherwise)),
            Step::Loop { body, .. } => open.extend(body),
            _ => {}
        }
    }
    let mut kept = used.into_iter();
    program.weights.retain(|_| kept.next().unwrap_or(false));
}
