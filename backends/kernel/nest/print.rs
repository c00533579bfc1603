//! Kernels as text: a statement a line, bodies indented.
//!
//! `%5` is a register, `$2` a variable; an operation is followed by the type it works on, lanes and all.
use super::{
    Access, Binary, Buffer, BufferId, Cache, Compare, Hint, Kernel, Op, Reduce, Reg, Scalar, Stmt, Ty, Unary,
    Var,
};
use std::fmt::{Display, Formatter, Result};

impl Display for Ty {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.lanes == 1 { write!(f, "{}", self.elem) } else { write!(f, "{}x{}", self.elem, self.lanes) }
    }
}

impl Display for Reg {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "%{}", self.0)
    }
}

impl Display for Var {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "${}", self.0)
    }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Scalar::Float(x) => write!(f, "{x:?}"),
            Scalar::Int(x) => write!(f, "{x}"),
        }
    }
}

impl Display for Buffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Buffer { name, elem, access } = self;
        match access {
            Access::Read => write!(f, "{name}: read {elem}"),
            Access::Write => write!(f, "{name}: write {elem}"),
            Access::Local(length) => write!(f, "{name}: local {elem}[{length}]"),
        }
    }
}

impl Display for Kernel {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "kernel @{} \"{}\" task {} {{", self.name, self.schedule, self.task)?;
        for buffer in &self.buffers {
            writeln!(f, "    {buffer}")?;
        }
        if !self.dims.is_empty() {
            writeln!(f, "    dims {}", self.dims.join(", "))?;
        }
        Text { kernel: self }.body(f, &self.body, 1)?;
        writeln!(f, "}}")
    }
}

/// Writes statements.
struct Text<'a> {
    kernel: &'a Kernel,
}

impl Text<'_> {
    fn body(&self, f: &mut Formatter<'_>, body: &[Stmt], depth: usize) -> Result {
        body.iter().try_for_each(|stmt| self.stmt(f, stmt, depth))
    }

    fn stmt(&self, f: &mut Formatter<'_>, stmt: &Stmt, depth: usize) -> Result {
        let margin = "    ".repeat(depth);
        f.write_str(&margin)?;
        match stmt {
            Stmt::Let(reg, op) => {
                write!(f, "{reg} = ")?;
                self.operation(f, self.ty(*reg), op)?;
            }
            Stmt::Set(var, value) => write!(f, "{var} = {value}")?,
            Stmt::Store { buffer, index, offset, value, mask } => {
                write!(f, "store.{} {}, {value}", self.ty(*value), self.at(*buffer, *index, *offset))?;
                masked(f, *mask)?;
            }
            Stmt::Scatter { buffer, index, value, mask } => {
                write!(f, "scatter.{} {}, {value}", self.ty(*value), self.at(*buffer, *index, 0))?;
                masked(f, *mask)?;
            }
            Stmt::Prefetch { buffer, index, offset, into } => {
                let level = if *into == Cache::First { 1 } else { 2 };
                write!(f, "prefetch.l{level} {}", self.at(*buffer, *index, *offset))?;
            }
            Stmt::For { index, start, end, step, hint, body } => {
                let free = if *hint == Hint::Free { " free" } else { "" };
                writeln!(f, "for{free} {index} in {start}..{end} step {step} {{")?;
                self.body(f, body, depth + 1)?;
                write!(f, "{margin}}}")?;
            }
            Stmt::If { condition, then, otherwise } => {
                writeln!(f, "if {condition} {{")?;
                self.body(f, then, depth + 1)?;
                if !otherwise.is_empty() {
                    writeln!(f, "{margin}}} else {{")?;
                    self.body(f, otherwise, depth + 1)?;
                }
                write!(f, "{margin}}}")?;
            }
        }
        writeln!(f)
    }

    fn operation(&self, f: &mut Formatter<'_>, ty: Ty, op: &Op) -> Result {
        match op {
            Op::Const(value) => write!(f, "const.{ty} {value}"),
            Op::Dim(n) => {
                let name = self.kernel.dims.get(*n as usize).map_or("?", String::as_str);
                write!(f, "dim.{ty} {name}")
            }
            Op::Get(var) => write!(f, "get.{ty} {var}"),
            Op::Unary(op, a) => write!(f, "{}.{ty} {a}", unary(*op)),
            Op::Binary(op, a, b) => write!(f, "{}.{ty} {a}, {b}", binary(*op)),
            Op::Dot4(a, b, c) => write!(f, "dot4.{ty} {a}, {b}, {c}"),
            Op::Dot2(a, b, c) => write!(f, "dot2.{ty} {a}, {b}, {c}"),
            Op::Pairs(a, c) => write!(f, "pairs.{ty} {a}, {c}"),
            Op::Fma(a, b, c) => write!(f, "fma.{ty} {a}, {b}, {c}"),
            Op::Compare(op, a, b) => write!(f, "{}.{} {a}, {b}", compare(*op), self.ty(*a)),
            Op::Select(condition, a, b) => write!(f, "select.{ty} {condition}, {a}, {b}"),
            Op::Cast(a) => write!(f, "cast.{ty} {a}"),
            Op::Bitcast(a) => write!(f, "bitcast.{ty} {a}"),
            Op::Splat(a) => write!(f, "splat.{ty} {a}"),
            Op::Iota => write!(f, "iota.{ty}"),
            Op::InOrder(a) => write!(f, "in-order {a}"),
            Op::Reduce(op, a) => write!(f, "reduce-{}.{} {a}", reduce(*op), self.ty(*a)),
            Op::Shuffle(a, b, picks) => write!(f, "shuffle.{ty} {a}, {b}, {picks:?}"),
            Op::Lane(a, lane) => write!(f, "lane.{ty} {a}, {lane}"),
            Op::Load { buffer, index, offset, mask } => {
                write!(f, "load.{ty} {}", self.at(*buffer, *index, *offset))?;
                masked(f, *mask)
            }
            Op::Gather { buffer, index, mask } => {
                write!(f, "gather.{ty} {}", self.at(*buffer, *index, 0))?;
                masked(f, *mask)
            }
        }
    }

    /// A place in a buffer.
    fn at(&self, buffer: BufferId, index: Reg, offset: i64) -> String {
        let name = self.kernel.buffers.get(buffer.0 as usize).map_or("?", |b| b.name.as_str());
        match offset {
            0 => format!("{name}[{index}]"),
            _ if offset < 0 => format!("{name}[{index} - {}]", offset.unsigned_abs()),
            _ => format!("{name}[{index} + {offset}]"),
        }
    }

    fn ty(&self, reg: Reg) -> Ty {
        self.kernel.regs.get(reg.0 as usize).copied().unwrap_or(Ty::INDEX)
    }
}

fn masked(f: &mut Formatter<'_>, mask: Option<Reg>) -> Result {
    mask.map_or(Ok(()), |mask| write!(f, " if {mask}"))
}

fn unary(op: Unary) -> &'static str {
    match op {
        Unary::Neg => "neg",
        Unary::Abs => "abs",
        Unary::Not => "not",
        Unary::Sqrt => "sqrt",
        Unary::Floor => "floor",
        Unary::Ceil => "ceil",
        Unary::Trunc => "trunc",
        Unary::RoundEven => "round",
    }
}

fn binary(op: Binary) -> &'static str {
    match op {
        Binary::Add => "add",
        Binary::Sub => "sub",
        Binary::Mul => "mul",
        Binary::Div => "div",
        Binary::Rem => "rem",
        Binary::Min => "min",
        Binary::Max => "max",
        Binary::And => "and",
        Binary::Or => "or",
        Binary::Xor => "xor",
        Binary::Shl => "shl",
        Binary::Shr => "shr",
    }
}

fn compare(op: Compare) -> &'static str {
    match op {
        Compare::Eq => "eq",
        Compare::Ne => "ne",
        Compare::Lt => "lt",
        Compare::Le => "le",
    }
}

fn reduce(op: Reduce) -> &'static str {
    match op {
        Reduce::Add => "add",
        Reduce::Mul => "mul",
        Reduce::Min => "min",
        Reduce::Max => "max",
        Reduce::And => "and",
        Reduce::Or => "or",
    }
}
