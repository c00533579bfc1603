//! Runs kernels statement by statement: slow, exact, and suspicious. What a machine would let pass, an
//! access outside a buffer, a value that nobody has written, a division by zero, ends the run with an
//! error, so a wrong schedule is found without a code generator.
mod arith;
mod block;
mod cast;
mod value;

pub use block::Block;

use super::{Access, BufferId, Kernel, Op, Reg, Stmt, Ty, Var};
use std::ops::Range;
use value::Value;
use weft_ir::DType;

/// Why a kernel could not be run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecError {
    /// The kernel.
    pub kernel: String,
    /// The task that failed.
    pub task: i64,
    /// What it did.
    pub fault: Fault,
}

/// What a kernel may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Touches an element that its buffer does not have.
    Outside {
        /// The buffer.
        buffer: String,
        /// Element index.
        index: i64,
        /// Elements of the buffer.
        length: i64,
    },
    /// Writes to a buffer that is only read.
    ReadOnly(String),
    /// Uses a register or variable before it is written, or outside the body that writes it.
    Unset(String),
    /// An address, bound or condition depends on memory that nobody has written.
    Undefined(String),
    /// Divides by zero, or the least number by -1.
    Division,
    /// Shifts by the width or more, or by a negative count.
    Shift,
    /// An operation that is not defined for its type, or operands of differing types.
    Form(String),
}

impl std::fmt::Display for ExecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`, task {}: ", self.kernel, self.task)?;
        match &self.fault {
            Fault::Outside { buffer, index, length } => {
                write!(f, "element {index} of `{buffer}`, which has {length}")
            }
            Fault::ReadOnly(buffer) => write!(f, "`{buffer}` is written, but only to be read"),
            Fault::Unset(what) => write!(f, "{what} is used before it is written"),
            Fault::Undefined(what) => write!(f, "{what} depends on memory that nobody has written"),
            Fault::Division => f.write_str("a quotient that does not exist"),
            Fault::Shift => f.write_str("a shift by more bits than there are"),
            Fault::Form(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for ExecError {}

pub(crate) type Result<T> = std::result::Result<T, Fault>;

/// What a buffer parameter is bound to: a block by its number, from a byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// Which block.
    pub block: usize,
    /// Where in it the buffer begins.
    pub offset: i64,
}

/// Runs some tasks of a kernel, one after the other.
pub fn run(
    kernel: &Kernel,
    blocks: &mut [Block],
    args: &[Argument],
    dims: &[i64],
    tasks: Range<i64>,
) -> std::result::Result<(), ExecError> {
    let first = tasks.start;
    let fail = |task: i64, fault| ExecError { kernel: kernel.name.clone(), task, fault };
    let mut run = Run::new(kernel, blocks, args, dims).map_err(|fault| fail(first, fault))?;
    for task in tasks {
        run.task(task).map_err(|fault| fail(task, fault))?;
    }
    Ok(())
}

/// The state of one kernel.
struct Run<'a> {
    kernel: &'a Kernel,
    blocks: &'a mut [Block],
    args: &'a [Argument],
    dims: &'a [i64],
    regs: Vec<Option<Value>>,
    vars: Vec<Option<Value>>,
    /// Arrays of the kernel's own, by buffer number; empty for parameters.
    locals: Vec<Block>,
}

impl<'a> Run<'a> {
    fn new(
        kernel: &'a Kernel,
        blocks: &'a mut [Block],
        args: &'a [Argument],
        dims: &'a [i64],
    ) -> Result<Self> {
        let parameters = kernel.buffers.iter().filter(|b| !matches!(b.access, Access::Local(_))).count();
        if parameters != args.len() {
            return Err(Fault::Form(format!("takes {parameters} buffers, found {}", args.len())));
        }
        if kernel.dims.len() != dims.len() {
            return Err(Fault::Form(format!("takes {} extents, found {}", kernel.dims.len(), dims.len())));
        }
        if let Some(arg) = args.iter().find(|arg| arg.block >= blocks.len()) {
            return Err(Fault::Form(format!("block {} of {} is bound", arg.block, blocks.len())));
        }
        let (regs, vars) = (vec![None; kernel.regs.len()], vec![None; kernel.vars.len()]);
        Ok(Self { kernel, blocks, args, dims, regs, vars, locals: Vec::new() })
    }

    fn task(&mut self, task: i64) -> Result<()> {
        self.regs.iter_mut().for_each(|r| *r = None);
        self.vars.iter_mut().for_each(|v| *v = None);
        self.locals.clear();
        for buffer in &self.kernel.buffers {
            self.locals.push(match buffer.access {
                Access::Local(length) => Block::undefined(length as usize * block::size(buffer.elem)?),
                _ => Block::undefined(0),
            });
        }
        self.write(self.kernel.task, Value::index(task))?;
        self.body(&self.kernel.body)
    }

    /// Runs statements; what they wrote to registers is forgotten with the body.
    fn body(&mut self, body: &'a [Stmt]) -> Result<()> {
        body.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn forget(&mut self, body: &[Stmt]) {
        for stmt in body {
            if let Stmt::Let(reg, _) = stmt {
                self.regs[reg.0 as usize] = None;
            }
        }
    }

    fn stmt(&mut self, stmt: &'a Stmt) -> Result<()> {
        match stmt {
            Stmt::Let(reg, op) => {
                let value = self.operation(self.ty(*reg)?, op)?;
                self.write(*reg, value)
            }
            Stmt::Set(var, value) => self.set(*var, *value),
            Stmt::Store { buffer, index, offset, value, mask } => {
                let lanes = self.read(*value)?.lanes() as i64;
                let first = self.index(*index, "an address")?.wrapping_add(*offset);
                self.store(*buffer, *value, *mask, &|lane| first.wrapping_add(lane), lanes)
            }
            Stmt::Scatter { buffer, index, value, mask } => {
                let at = self.indices(*index, *mask)?;
                self.store(*buffer, *value, *mask, &|lane| at[lane as usize], at.len() as i64)
            }
            Stmt::Prefetch { .. } => Ok(()),
            Stmt::For { index, start, end, step, body, .. } => {
                let (start, end) = (self.index(*start, "a bound")?, self.index(*end, "a bound")?);
                self.repeat(*index, (start, end, *step), body)
            }
            Stmt::If { condition, then, otherwise } => {
                let taken = self.index(*condition, "a condition")? != 0;
                let body = if taken { then } else { otherwise };
                self.body(body)?;
                self.forget(body);
                Ok(())
            }
        }
    }

    fn repeat(&mut self, index: Reg, (start, end, step): (i64, i64, i64), body: &'a [Stmt]) -> Result<()> {
        if step <= 0 {
            return Err(Fault::Form(format!("a loop steps by {step}")));
        }
        let mut at = start;
        while at < end {
            self.write(index, Value::index(at))?;
            self.body(body)?;
            at = at.saturating_add(step);
        }
        self.forget(body);
        if let Some(index) = self.regs.get_mut(index.0 as usize) {
            *index = None;
        }
        Ok(())
    }

    fn ty(&self, reg: Reg) -> Result<Ty> {
        let ty = self.kernel.regs.get(reg.0 as usize);
        ty.copied().ok_or_else(|| Fault::Form(format!("register %{} has no type", reg.0)))
    }

    fn write(&mut self, reg: Reg, value: Value) -> Result<()> {
        let ty = self.ty(reg)?;
        if value.ty != ty {
            return Err(Fault::Form(format!("%{} is {ty}, found {}", reg.0, value.ty)));
        }
        self.regs[reg.0 as usize] = Some(value);
        Ok(())
    }

    fn read(&self, reg: Reg) -> Result<&Value> {
        let value = self.regs.get(reg.0 as usize).and_then(Option::as_ref);
        value.ok_or_else(|| Fault::Unset(format!("%{}", reg.0)))
    }

    fn set(&mut self, var: Var, reg: Reg) -> Result<()> {
        let value = self.read(reg)?.clone();
        let ty = self.kernel.vars.get(var.0 as usize);
        if ty != Some(&value.ty) {
            return Err(Fault::Form(format!("${} is set to {}", var.0, value.ty)));
        }
        self.vars[var.0 as usize] = Some(value);
        Ok(())
    }

    fn get(&self, var: Var) -> Result<Value> {
        let value = self.vars.get(var.0 as usize).cloned().flatten();
        value.ok_or_else(|| Fault::Unset(format!("${}", var.0)))
    }

    /// A scalar that decides about something.
    fn index(&self, reg: Reg, what: &str) -> Result<i64> {
        let value = self.read(reg)?;
        match (value.ty, value.is_defined(0)) {
            (Ty { elem: DType::I64 | DType::Bool, lanes: 1 }, true) => Ok(value.bits[0] as i64),
            (_, true) => Err(Fault::Form(format!("{what} is {}", value.ty))),
            (_, false) => Err(Fault::Undefined(what.to_string())),
        }
    }

    fn operation(&self, ty: Ty, op: &Op) -> Result<Value> {
        match op {
            Op::Const(scalar) => Value::constant(ty, *scalar),
            Op::Dim(n) => match self.dims.get(*n as usize) {
                Some(dim) => Ok(Value::index(*dim)),
                None => Err(Fault::Form(format!("extent {n} is not passed"))),
            },
            Op::Get(var) => self.get(*var),
            Op::Unary(op, a) => arith::unary(*op, self.read(*a)?),
            Op::Binary(op, a, b) => arith::binary(*op, self.read(*a)?, self.read(*b)?),
            Op::Fma(a, b, c) => arith::fma(self.read(*a)?, self.read(*b)?, self.read(*c)?),
            Op::Dot4(a, b, c) => arith::dot4(self.read(*a)?, self.read(*b)?, self.read(*c)?),
            Op::Dot2(a, b, c) => arith::dot2(self.read(*a)?, self.read(*b)?, self.read(*c)?),
            Op::Pairs(a, c) => arith::pairs(self.read(*a)?, self.read(*c)?),
            Op::Compare(op, a, b) => arith::compare(*op, self.read(*a)?, self.read(*b)?),
            Op::Select(condition, a, b) => {
                arith::select(self.read(*condition)?, self.read(*a)?, self.read(*b)?)
            }
            Op::Cast(a) => cast::cast(self.read(*a)?, ty.elem),
            Op::Bitcast(a) => cast::bitcast(self.read(*a)?, ty),
            Op::Splat(a) => self.read(*a)?.shuffled(None, &vec![0; ty.lanes as usize]),
            Op::Iota => cast::iota(ty),
            Op::InOrder(a) => Ok(self.read(*a)?.clone()),
            Op::Reduce(op, a) => arith::reduce(*op, self.read(*a)?),
            Op::Shuffle(a, b, picks) => self.read(*a)?.shuffled(Some(self.read(*b)?), picks),
            Op::Lane(a, lane) => self.read(*a)?.shuffled(None, &[*lane]),
            Op::Load { buffer, index, offset, mask } => {
                let first = self.index(*index, "an address")?.wrapping_add(*offset);
                self.load(*buffer, ty, *mask, &|lane| first.wrapping_add(lane))
            }
            Op::Gather { buffer, index, mask } => {
                let at = self.indices(*index, *mask)?;
                self.load(*buffer, ty, *mask, &|lane| at.get(lane as usize).copied().unwrap_or(i64::MAX))
            }
        }
    }

    /// The indices of a gather or scatter; those that the mask leaves out are 0.
    fn indices(&self, reg: Reg, mask: Option<Reg>) -> Result<Vec<i64>> {
        let value = self.read(reg)?;
        if value.ty.elem != DType::I64 {
            return Err(Fault::Form(format!("an address is {}", value.ty)));
        }
        (0..value.lanes())
            .map(|lane| match (self.is_set(mask, lane)?, value.is_defined(lane)) {
                (false, _) => Ok(0),
                (true, true) => Ok(value.bits[lane] as i64),
                (true, false) => Err(Fault::Undefined("an address".to_string())),
            })
            .collect()
    }

    /// Whether a lane takes part.
    fn is_set(&self, mask: Option<Reg>, lane: usize) -> Result<bool> {
        let Some(mask) = mask else { return Ok(true) };
        let mask = self.read(mask)?;
        match mask.bits.get(lane) {
            Some(bit) if mask.ty.elem == DType::Bool && mask.is_defined(lane) => Ok(*bit != 0),
            Some(_) if mask.ty.elem == DType::Bool => Err(Fault::Undefined("a mask".to_string())),
            _ => Err(Fault::Form(format!("a mask is {}", mask.ty))),
        }
    }

    fn load(&self, buffer: BufferId, ty: Ty, mask: Option<Reg>, at: &dyn Fn(i64) -> i64) -> Result<Value> {
        self.checked(buffer, ty.elem)?;
        let (block, offset) = self.bound(buffer);
        let mut value = Value::zero(ty);
        for lane in 0..ty.lanes as usize {
            if !self.is_set(mask, lane)? {
                continue;
            }
            let index = at(lane as i64);
            let place = block.place(offset, index, ty.elem).ok_or_else(|| self.outside(buffer, index))?;
            match block.get(place, ty.elem) {
                Some(bits) => value.bits[lane] = bits,
                None => value.mark_undefined(lane),
            }
        }
        Ok(value)
    }

    fn store(
        &mut self,
        buffer: BufferId,
        value: Reg,
        mask: Option<Reg>,
        at: &dyn Fn(i64) -> i64,
        lanes: i64,
    ) -> Result<()> {
        let value = self.read(value)?.clone();
        self.checked(buffer, value.ty.elem)?;
        if self.kernel.buffers[buffer.0 as usize].access == Access::Read {
            return Err(Fault::ReadOnly(self.kernel.buffers[buffer.0 as usize].name.clone()));
        }
        if lanes != value.lanes() as i64 {
            return Err(Fault::Form(format!("{} is stored to {lanes} places", value.ty)));
        }
        for lane in 0..value.lanes() {
            if !self.is_set(mask, lane)? {
                continue;
            }
            let index = at(lane as i64);
            let (block, offset) = self.bound(buffer);
            let place = block.place(offset, index, value.ty.elem);
            let place = place.ok_or_else(|| self.outside(buffer, index))?;
            let bits = value.is_defined(lane).then_some(value.bits[lane]);
            self.bound_mut(buffer).set(place, value.ty.elem, bits);
        }
        Ok(())
    }

    /// Refuses a buffer that is not there or holds something else.
    fn checked(&self, buffer: BufferId, elem: DType) -> Result<()> {
        match self.kernel.buffers.get(buffer.0 as usize) {
            Some(found) if found.elem == elem => block::size(elem).map(|_| ()),
            Some(found) => Err(Fault::Form(format!("`{}` holds {}, not {elem}", found.name, found.elem))),
            None => Err(Fault::Form(format!("there is no buffer {}", buffer.0))),
        }
    }

    fn bound(&self, buffer: BufferId) -> (&Block, i64) {
        let number = buffer.0 as usize;
        match self.kernel.buffers[number].access {
            Access::Local(_) => (&self.locals[number], 0),
            _ => (&self.blocks[self.args[number].block], self.args[number].offset),
        }
    }

    fn bound_mut(&mut self, buffer: BufferId) -> &mut Block {
        let number = buffer.0 as usize;
        match self.kernel.buffers[number].access {
            Access::Local(_) => &mut self.locals[number],
            _ => &mut self.blocks[self.args[number].block],
        }
    }

    fn outside(&self, buffer: BufferId, index: i64) -> Fault {
        let found = &self.kernel.buffers[buffer.0 as usize];
        let (block, offset) = self.bound(buffer);
        let length = block::size(found.elem).map_or(0, |size| (block.len() as i64 - offset) / size as i64);
        Fault::Outside { buffer: found.name.clone(), index, length }
    }
}
