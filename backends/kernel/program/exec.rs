//! Runs programs: every buffer in memory of its own, every kernel through [`crate::nest::exec`], the tasks
//! of a launch last to first, since no task may need another.
use super::{Memory, Program, Step};
use crate::nest::exec::{self, Argument, Block, ExecError};
use std::collections::BTreeMap;
use weft_ir::{DType, Dim, Tensor};

/// Why a program could not be run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunError {
    /// The number of the step, as [`Step::walk`] counts; none before the first one.
    pub step: Option<u32>,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The tensors given do not fit the program's inputs.
    Input(String),
    /// An extent has no value: a symbol is not set yet, a divisor is zero, or the number is too large.
    Extent(String),
    /// The program names something that it does not have.
    Missing(String),
    /// A step touches bytes that the memory does not have.
    Outside {
        /// Which memory.
        memory: Memory,
        /// First byte.
        start: i64,
        /// How many.
        bytes: i64,
        /// How many there are.
        length: usize,
    },
    /// What decides, or is given back, was not written by anyone.
    Undefined(Memory),
    /// A planned buffer is used by a step outside its life.
    Dead(Memory),
    /// A kernel failed.
    Kernel(ExecError),
    /// A check of the program's own failed; the message for the user.
    Refused(String),
    /// Functions of the runtime, and those outside weft, are not interpreted.
    Call(String),
}

impl std::fmt::Display for RunError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(step) = self.step {
            write!(f, "step {step}: ")?;
        }
        match &self.fault {
            Fault::Input(message) | Fault::Missing(message) | Fault::Refused(message) => f.write_str(message),
            Fault::Extent(dim) => write!(f, "the extent `{dim}` has no value"),
            Fault::Outside { memory, start, bytes, length } => {
                write!(f, "{bytes} bytes from {start} of `{memory}`, which has {length}")
            }
            Fault::Undefined(memory) => write!(f, "`{memory}` is used where nobody has written to it"),
            Fault::Dead(memory) => write!(f, "`{memory}` is used outside its life"),
            Fault::Kernel(error) => error.fmt(f),
            Fault::Call(function) => write!(f, "`{function}` is not interpreted"),
        }
    }
}

impl std::error::Error for RunError {}

type Result<T> = std::result::Result<T, Fault>;

/// Runs a program; the outputs in order.
pub fn run(program: &Program, inputs: &[Tensor]) -> std::result::Result<Vec<Tensor>, RunError> {
    let early = |fault| RunError { step: None, fault };
    let mut run = Run::new(program, inputs).map_err(early)?;
    let mut open = vec![Work::List(&program.steps, 0)];
    while let Some(work) = open.pop() {
        let number = match work {
            Work::List(_, number) | Work::Trip { number, .. } => number,
        };
        run.work(work, &mut open).map_err(|fault| RunError { step: Some(number), fault })?;
    }
    (0..program.outputs.len()).map(|n| run.output(n)).collect::<Result<_>>().map_err(early)
}

/// What is left to do.
enum Work<'a> {
    /// Steps, with the number of the first one.
    List(&'a [Step], u32),
    /// One more trip of a loop, if there is one; `done` says how many there were.
    Trip { number: u32, index: u32, done: i64, trips: i64, condition: Option<Memory>, body: &'a [Step] },
}

/// The state of a run.
struct Run<'a> {
    program: &'a Program,
    numbers: BTreeMap<&'a str, usize>,
    symbols: Vec<Option<i64>>,
    /// Inputs, outputs, planned buffers, growing ones, constant data.
    blocks: Vec<Block>,
    /// The extents of the outputs that were sized.
    sized: Vec<Option<Vec<u64>>>,
}

impl<'a> Run<'a> {
    fn new(program: &'a Program, inputs: &[Tensor]) -> Result<Self> {
        let mut run = Self {
            program,
            numbers: program.symbols.iter().enumerate().map(|(i, s)| (s.as_str(), i)).collect(),
            symbols: vec![None; program.symbols.len()],
            blocks: inputs.iter().map(|tensor| Block::new(tensor.data().to_vec())).collect(),
            sized: vec![None; program.outputs.len()],
        };
        run.bind(inputs)?;
        run.blocks.extend(program.outputs.iter().map(|_| Block::undefined(0)));
        for planned in &program.planned {
            let bytes = run.size(&planned.bytes)?;
            run.blocks.push(Block::undefined(bytes));
        }
        run.blocks.extend((0..program.grown).map(|_| Block::undefined(0)));
        run.blocks.extend(program.weights.iter().map(|weight| Block::new(weight.data.bytes())));
        Ok(run)
    }

    /// Takes the values of symbols from the extents of the inputs; the first sight of a symbol counts.
    fn bind(&mut self, inputs: &[Tensor]) -> Result<()> {
        let ports = &self.program.inputs;
        if ports.len() != inputs.len() {
            return Err(Fault::Input(format!("found {} inputs, expected {}", inputs.len(), ports.len())));
        }
        for (port, tensor) in ports.iter().zip(inputs) {
            if port.dtype != tensor.dtype() || port.dims.len() != tensor.dims().len() {
                let (found, expected) = (tensor.dtype(), port.dtype);
                return Err(Fault::Input(format!("`{}` is {found}, expected {expected}", port.name)));
            }
            for (dim, extent) in port.dims.iter().zip(tensor.dims()) {
                if let Some(number) = dim.as_symbol().and_then(|s| self.numbers.get(s)) {
                    self.symbols[*number].get_or_insert(*extent as i64);
                }
                // A symbol of an expression may be bound by a later input, or by none.
                let known = self.dim(dim).ok();
                if known.is_some_and(|known| known != *extent as i64) {
                    let message = format!("`{}`: found extent {extent}, expected {dim}", port.name);
                    return Err(Fault::Input(message));
                }
            }
        }
        Ok(())
    }

    fn work(&mut self, work: Work<'a>, open: &mut Vec<Work<'a>>) -> Result<()> {
        match work {
            Work::List(steps, number) => {
                let Some((first, rest)) = steps.split_first() else { return Ok(()) };
                open.push(Work::List(rest, number + first.size()));
                self.alive(first, number)?;
                self.step(first, number, open)
            }
            Work::Trip { number, index, done, trips, condition, body } => {
                self.set(index, done)?;
                let goes_on = done < trips && condition.map_or(Ok(true), |c| self.truth(c))?;
                if goes_on {
                    open.push(Work::Trip { number, index, done: done + 1, trips, condition, body });
                    open.push(Work::List(body, number + 1));
                }
                Ok(())
            }
        }
    }

    /// Refuses buffers that share their memory with others at this step.
    fn alive(&self, step: &Step, number: u32) -> Result<()> {
        for memory in step.memory() {
            if let Memory::Planned(n) = memory
                && let Some(planned) = self.program.planned.get(n as usize)
                && !(planned.first..=planned.last).contains(&number)
            {
                return Err(Fault::Dead(memory));
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &'a Step, number: u32, open: &mut Vec<Work<'a>>) -> Result<()> {
        match step {
            Step::Launch { kernel, args, tasks } => self.launch(*kernel, args, tasks),
            Step::Copy { from, to, bytes } => self.copy(from, to, bytes),
            Step::Output { output, dims } => self.size_output(*output, dims),
            Step::Grow { grown, bytes } => {
                let (block, bytes) = (self.block(Memory::Grown(*grown))?, self.size(bytes)?);
                self.blocks[block].grow(bytes);
                Ok(())
            }
            Step::Read { symbol, from, dtype, index } => {
                let value = self.read(*from, *dtype, *index)?;
                self.set(*symbol, value)
            }
            Step::Set { symbol, value } => {
                let value = self.dim(value)?;
                self.set(*symbol, value)
            }
            Step::Check { left, right, at_least, message } => {
                let (found, expected) = (self.dim(left)?, self.dim(right)?);
                let holds = if *at_least { found >= expected } else { found == expected };
                let message = || format!("{message}: found {found}, expected {expected}");
                if holds { Ok(()) } else { Err(Fault::Refused(message())) }
            }
            Step::Call { function, .. } => Err(Fault::Call((*function).to_string())),
            Step::Foreign { symbol, .. } => Err(Fault::Call(symbol.clone())),
            Step::If { condition, then, otherwise } => {
                let inner: u32 = then.iter().map(Step::size).sum();
                open.push(match self.truth(*condition)? {
                    true => Work::List(then, number + 1),
                    false => Work::List(otherwise, number + 1 + inner),
                });
                Ok(())
            }
            Step::Loop { index, trips, condition, body } => {
                let (index, condition) = (*index, *condition);
                let trips = self.dim(trips)?;
                open.push(Work::Trip { number, index, done: 0, trips, condition, body });
                Ok(())
            }
        }
    }

    fn launch(&mut self, number: u32, args: &[(Memory, Dim)], tasks: &Dim) -> Result<()> {
        let program = self.program;
        let kernel = program.kernels.get(number as usize);
        let kernel = kernel.ok_or_else(|| Fault::Missing(format!("kernel {number} is not there")))?;
        let mut bound = Vec::new();
        for (memory, offset) in args {
            bound.push(Argument { block: self.block(*memory)?, offset: self.dim(offset)? });
        }
        let named = |name: &String| self.dim(&Dim::symbol(name));
        let dims = kernel.dims.iter().map(named).collect::<Result<Vec<_>>>()?;
        let tasks = self.dim(tasks)?;
        for task in (0..tasks).rev() {
            exec::run(kernel, &mut self.blocks, &bound, &dims, task..task + 1).map_err(Fault::Kernel)?;
        }
        Ok(())
    }

    fn copy(&mut self, from: &(Memory, Dim), to: &(Memory, Dim), bytes: &Dim) -> Result<()> {
        let bytes = self.dim(bytes)?;
        let (source, start) = self.range(from.0, &from.1, bytes)?;
        let (target, at) = self.range(to.0, &to.1, bytes)?;
        let piece = self.blocks[source].piece(start, bytes as usize);
        self.blocks[target].paste(at, &piece);
        Ok(())
    }

    /// Where bytes begin: the block and the place in it.
    fn range(&self, memory: Memory, offset: &Dim, bytes: i64) -> Result<(usize, usize)> {
        let (block, start) = (self.block(memory)?, self.dim(offset)?);
        let length = self.blocks[block].len();
        let end = start.checked_add(bytes).and_then(|end| usize::try_from(end).ok());
        match usize::try_from(start) {
            Ok(at) if bytes >= 0 && end.is_some_and(|end| end <= length) => Ok((block, at)),
            _ => Err(Fault::Outside { memory, start, bytes, length }),
        }
    }

    fn size_output(&mut self, output: u32, dims: &[Dim]) -> Result<()> {
        let block = self.block(Memory::Output(output))?;
        let extents = dims.iter().map(|dim| self.size(dim).map(|d| d as u64)).collect::<Result<Vec<_>>>()?;
        let port = &self.program.outputs[output as usize];
        let bytes = weft_ir::tensor::element_count(&extents).and_then(|count| port.dtype.bytes(count));
        let bytes = bytes.ok_or_else(|| Fault::Extent(format!("{dims:?}")))?;
        self.blocks[block].grow(bytes as usize);
        self.sized[output as usize] = Some(extents);
        Ok(())
    }

    /// The finished output.
    fn output(&self, number: usize) -> Result<Tensor> {
        let port = &self.program.outputs[number];
        let missing = || Fault::Missing(format!("output `{}` was not sized", port.name));
        let dims = self.sized[number].clone().ok_or_else(missing)?;
        let memory = Memory::Output(number as u32);
        let block = &self.blocks[self.block(memory)?];
        let bytes = weft_ir::tensor::element_count(&dims).and_then(|count| port.dtype.bytes(count));
        let bytes = bytes.unwrap_or(0) as usize;
        if block.first_unwritten(bytes).is_some() {
            return Err(Fault::Undefined(memory));
        }
        let data = block.bytes()[..bytes].to_vec();
        Tensor::new(port.dtype, dims, data.into()).map_err(|error| Fault::Missing(error.to_string()))
    }

    fn truth(&self, memory: Memory) -> Result<bool> {
        Ok(self.read(memory, DType::Bool, 0)? != 0)
    }

    fn read(&self, memory: Memory, dtype: DType, index: i64) -> Result<i64> {
        let block = &self.blocks[self.block(memory)?];
        let place = block.place(0, index, dtype);
        let outside = Fault::Outside { memory, start: index, bytes: 1, length: block.len() };
        let bits = block.get(place.ok_or(outside)?, dtype);
        bits.map(|bits| bits as i64).ok_or(Fault::Undefined(memory))
    }

    fn set(&mut self, symbol: u32, value: i64) -> Result<()> {
        let missing = || Fault::Missing(format!("symbol {symbol} is not there"));
        *self.symbols.get_mut(symbol as usize).ok_or_else(missing)? = Some(value);
        Ok(())
    }

    fn dim(&self, dim: &Dim) -> Result<i64> {
        let value_of = |name: &str| self.symbols[*self.numbers.get(name)?];
        dim.eval(&value_of).ok_or_else(|| Fault::Extent(dim.to_string()))
    }

    /// An extent that counts something.
    fn size(&self, dim: &Dim) -> Result<usize> {
        let value = self.dim(dim)?;
        usize::try_from(value).map_err(|_| Fault::Extent(format!("{dim} = {value}")))
    }

    /// The number of a block.
    fn block(&self, memory: Memory) -> Result<usize> {
        let Program { inputs, outputs, planned, weights, .. } = self.program;
        let (grown, weights) = (self.program.grown, weights.len());
        let counts = [inputs.len(), outputs.len(), planned.len(), grown, weights];
        let (kind, number) = match memory {
            Memory::Input(n) => (0, n as usize),
            Memory::Output(n) => (1, n as usize),
            Memory::Planned(n) => (2, n as usize),
            Memory::Grown(n) => (3, n as usize),
            Memory::Weight(n) => (4, n as usize),
        };
        if number >= counts[kind] {
            return Err(Fault::Missing(format!("`{memory}` is not there")));
        }
        Ok(counts[..kind].iter().sum::<usize>() + number)
    }
}
