//! Programs as text: what there is, then a step a line. Kernels are printed apart.
//!
//! `in0`, `out0`, `buf0`, `grow0`, `const0` are memory: inputs, outputs, planned and growing buffers, constant
//! data. Steps are numbered as lifetimes count them.
use super::{Memory, Planned, Port, Program, Step, Weight};
use std::fmt::{Display, Formatter, Result};
use weft_ir::Dim;

impl Display for Memory {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Memory::Input(n) => write!(f, "in{n}"),
            Memory::Output(n) => write!(f, "out{n}"),
            Memory::Planned(n) => write!(f, "buf{n}"),
            Memory::Grown(n) => write!(f, "grow{n}"),
            Memory::Weight(n) => write!(f, "const{n}"),
        }
    }
}

impl Display for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "\"{}\": {}{}", self.name, self.dtype, extents(&self.dims))
    }
}

impl Display for Planned {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "\"{}\": {} bytes, steps {}..={}", self.name, self.bytes, self.first, self.last)
    }
}

impl Display for Weight {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "\"{}\": {} bytes", self.name, self.data.len())
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "program \"{}\" {{", self.name)?;
        if !self.symbols.is_empty() {
            writeln!(f, "    symbols {}", self.symbols.join(", "))?;
        }
        let number = |n: usize| n as u32;
        for (n, port) in self.inputs.iter().enumerate() {
            writeln!(f, "    {} {port}", Memory::Input(number(n)))?;
        }
        for (n, port) in self.outputs.iter().enumerate() {
            writeln!(f, "    {} {port}", Memory::Output(number(n)))?;
        }
        for (n, planned) in self.planned.iter().enumerate() {
            writeln!(f, "    {} {planned}", Memory::Planned(number(n)))?;
        }
        (0..self.grown).try_for_each(|n| writeln!(f, "    {}", Memory::Grown(number(n))))?;
        for (n, weight) in self.weights.iter().enumerate() {
            writeln!(f, "    {} {weight}", Memory::Weight(number(n)))?;
        }
        self.steps(f)?;
        writeln!(f, "}}")
    }
}

/// What is left to write.
enum Work<'a> {
    Step(&'a Step, usize),
    Line(&'static str, usize),
}

impl Program {
    /// Writes the steps; those inside control flow are taken from a list of what is left to do.
    fn steps(&self, f: &mut Formatter<'_>) -> Result {
        let mut open: Vec<Work<'_>> = self.steps.iter().rev().map(|step| Work::Step(step, 1)).collect();
        let mut number = 0;
        while let Some(work) = open.pop() {
            let (step, depth) = match work {
                Work::Step(step, depth) => (step, depth),
                Work::Line(line, depth) => {
                    writeln!(f, "{}{line}", "    ".repeat(depth))?;
                    continue;
                }
            };
            write!(f, "{}{number}: ", "    ".repeat(depth))?;
            self.step(f, step)?;
            number += 1;
            let inner = |step| Work::Step(step, depth + 1);
            match step {
                Step::If { then, otherwise, .. } => {
                    open.push(Work::Line("}", depth));
                    open.extend(otherwise.iter().rev().map(inner));
                    if !otherwise.is_empty() {
                        open.push(Work::Line("} else {", depth));
                    }
                    open.extend(then.iter().rev().map(inner));
                }
                Step::Loop { body, .. } => {
                    open.push(Work::Line("}", depth));
                    open.extend(body.iter().rev().map(inner));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes one step; of control flow, the line that opens it.
    fn step(&self, f: &mut Formatter<'_>, step: &Step) -> Result {
        match step {
            Step::Launch { kernel, args, tasks } => {
                let found = self.kernels.get(*kernel as usize);
                let (name, schedule) = found.map_or(("?", "?"), |k| (&k.name, &k.schedule));
                writeln!(f, "launch @{name}({}) tasks {tasks} \"{schedule}\"", list(args))
            }
            Step::Copy { from, to, bytes } => {
                writeln!(f, "copy {} to {}, {bytes} bytes", place(from), place(to))
            }
            Step::Output { output, dims } => {
                writeln!(f, "size {} {}", Memory::Output(*output), extents(dims))
            }
            Step::Grow { grown, bytes } => writeln!(f, "grow {} to {bytes} bytes", Memory::Grown(*grown)),
            Step::Read { symbol, from, dtype, index } => {
                writeln!(f, "read {} = {dtype} {from}[{index}]", self.symbol(*symbol))
            }
            Step::Set { symbol, value } => writeln!(f, "set {} = {value}", self.symbol(*symbol)),
            Step::Check { left, right, at_least, message } => {
                let op = if *at_least { ">=" } else { "==" };
                writeln!(f, "check {left} {op} {right} {message:?}")
            }
            Step::Call { function, args, dims, results } => {
                let results: Vec<&str> = results.iter().map(|s| self.symbol(*s)).collect();
                let results = if results.is_empty() { String::new() } else { results.join(", ") + " = " };
                writeln!(f, "call {results}{function}({}) {}", list(args), extents(dims))
            }
            Step::Foreign { symbol, args, dims, .. } => {
                writeln!(f, "foreign {symbol}({}) {}", list(args), extents(dims))
            }
            Step::If { condition, .. } => writeln!(f, "if {condition} {{"),
            Step::Loop { index, trips, condition, .. } => {
                let condition = condition.map_or_else(String::new, |c| format!(" while {c}"));
                writeln!(f, "loop {} below {trips}{condition} {{", self.symbol(*index))
            }
        }
    }

    fn symbol(&self, number: u32) -> &str {
        self.symbols.get(number as usize).map_or("?", String::as_str)
    }
}

fn extents(dims: &[Dim]) -> String {
    let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

fn list(args: &[(Memory, Dim)]) -> String {
    args.iter().map(place).collect::<Vec<_>>().join(", ")
}

fn place((memory, offset): &(Memory, Dim)) -> String {
    match offset.as_fixed() {
        Some(0) => memory.to_string(),
        _ => format!("{memory} + {offset}"),
    }
}
