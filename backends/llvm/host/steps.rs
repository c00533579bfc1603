//! A run, step by step.
use super::dims::{Arithmetic, Overflow};
use super::{BUFS, Host, SYMS};
use crate::abi::fail;
use crate::emit::{self, EmitError, Result, element_at};
use inkwell::IntPredicate;
use inkwell::basic_block::BasicBlock;
use inkwell::builder::Builder;
use inkwell::module::Linkage;
use inkwell::values::{BasicMetadataValueEnum, FunctionValue, IntValue, PointerValue};
use weft_ir::{DType, Dim, types::Kind};
use weft_kernel::program::{Memory, Step};

/// Writes `i32 run(session)`.
struct Run<'h, 'a, 'c> {
    host: &'h Host<'a, 'c>,
    builder: &'h Builder<'c>,
    function: FunctionValue<'c>,
    session: PointerValue<'c>,
    bufs: PointerValue<'c>,
    /// Room for the pointers that a step passes on, and for its integers.
    pointers: PointerValue<'c>,
    integers: PointerValue<'c>,
    arithmetic: Arithmetic<'h, 'a, 'c>,
    /// Returns 1.
    failed: BasicBlock<'c>,
}

/// What is left to write: steps, and the ends of control flow around them.
enum Work<'a, 'c> {
    Step(&'a Step),
    /// Ends a branch and goes on in the other block.
    Close {
        from_to: BasicBlock<'c>,
        on: BasicBlock<'c>,
    },
    /// Counts up and goes back to the test.
    Repeat {
        index: u32,
        test: BasicBlock<'c>,
        on: BasicBlock<'c>,
    },
}

impl<'c> Host<'_, 'c> {
    /// `i32 run(session)`: every step in order.
    pub(super) fn run(&self) -> Result<FunctionValue<'c>> {
        let ty = self.i32().fn_type(&[self.pointer().into()], false);
        let function = self.module.add_function("weft_run", ty, Some(Linkage::Internal));
        self.job.machine.mark(self.context, function);
        let builder = self.context.create_builder();
        let [entry, failed, divided] =
            ["entry", "failed", "divided"].map(|name| self.context.append_basic_block(function, name));
        builder.position_at_end(entry);
        let session = function.get_nth_param(0).ok_or(EmitError::Missing(0))?.into_pointer_value();
        let syms = self.session_field(&builder, session, SYMS)?;
        let (pointers, integers) = self.rooms();
        let run = Run {
            host: self,
            builder: &builder,
            function,
            session,
            bufs: self.session_field(&builder, session, BUFS)?,
            pointers: builder.build_alloca(self.pointer().array_type(pointers), "pointers")?,
            integers: builder.build_alloca(self.i64().array_type(integers), "integers")?,
            arithmetic: Arithmetic {
                host: self,
                builder: &builder,
                syms,
                overflow: Overflow::Wraps(divided),
            },
            failed,
        };
        run.steps(&self.program.steps)?;
        builder.build_return(Some(&self.i32().const_zero()))?;
        builder.position_at_end(divided);
        run.fail(fail::DIVISION, run.arithmetic.number(0), run.arithmetic.number(0))?;
        builder.position_at_end(failed);
        builder.build_return(Some(&self.i32().const_int(1, false)))?;
        Ok(function)
    }

    /// The most pointers and integers that one step passes on.
    fn rooms(&self) -> (u32, u32) {
        let (mut pointers, mut integers) = (1, 1);
        Step::walk(&self.program.steps, &mut |_, step| {
            let (p, i) = match step {
                Step::Launch { kernel, args, .. } => {
                    let kernel = self.program.kernels.get(*kernel as usize);
                    (args.len(), kernel.map_or(0, |k| k.dims.len()))
                }
                Step::Call { args, dims, .. } | Step::Foreign { args, dims, .. } => (args.len(), dims.len()),
                Step::Output { dims, .. } => (0, dims.len()),
                _ => (0, 0),
            };
            pointers = pointers.max(p as u32);
            integers = integers.max(i as u32);
        });
        (pointers, integers)
    }
}

impl<'h, 'a, 'c> Run<'h, 'a, 'c> {
    /// Writes a list of steps; those inside control flow are taken from a list of what is left to do.
    fn steps(&self, steps: &'h [Step]) -> Result<()> {
        let mut open: Vec<Work<'h, 'c>> = steps.iter().rev().map(Work::Step).collect();
        while let Some(work) = open.pop() {
            match work {
                Work::Step(step) => self.step(step, &mut open)?,
                Work::Close { from_to, on } => {
                    self.builder.build_unconditional_branch(from_to)?;
                    self.builder.position_at_end(on);
                }
                Work::Repeat { index, test, on } => {
                    let at = self.arithmetic.symbol(index)?;
                    let now = self.builder.build_load(self.host.i64(), at, "")?.into_int_value();
                    let next = self.builder.build_int_add(now, self.arithmetic.number(1), "")?;
                    self.builder.build_store(at, next)?;
                    self.builder.build_unconditional_branch(test)?;
                    self.builder.position_at_end(on);
                }
            }
        }
        Ok(())
    }

    fn step(&self, step: &'h Step, open: &mut Vec<Work<'h, 'c>>) -> Result<()> {
        match step {
            Step::Launch { kernel, args, tasks } => self.launch(*kernel, args, tasks),
            Step::Copy { from, to, bytes } => self.copy(from, to, bytes),
            Step::Output { output, dims } => {
                self.check_number(*output, self.host.program.outputs.len())?;
                self.pass_integers(dims)?;
                let output = self.host.i32().const_int((*output).into(), false);
                self.call("weft_rt_output", &[self.session.into(), output.into(), self.integers.into()])
            }
            Step::Grow { grown, bytes } => {
                self.check_number(*grown, self.host.program.grown)?;
                let bytes = self.arithmetic.dim(bytes)?;
                let grown = self.host.i32().const_int((*grown).into(), false);
                self.call("weft_rt_grow", &[self.session.into(), grown.into(), bytes.into()])
            }
            Step::Read { symbol, from, dtype, index } => {
                let value = self.read(*from, *dtype, *index)?;
                self.set(*symbol, value)
            }
            Step::Set { symbol, value } => self.set(*symbol, self.arithmetic.dim(value)?),
            Step::Check { left, right, at_least, message } => self.check(left, right, *at_least, message),
            Step::Call { function, args, dims, results } => self.operator(function, args, dims, results),
            Step::Foreign { symbol, op, at, args, dims, .. } => {
                let caller = format!("`{op}` at `%{at}`: the function `{symbol}`");
                self.foreign(symbol, &caller, args, dims)
            }
            Step::If { condition, then, otherwise } => self.branch(*condition, then, otherwise, open),
            Step::Loop { index, trips, condition, body } => {
                self.repeat(*index, trips, *condition, body, open)
            }
        }
    }

    fn check_number(&self, number: u32, count: usize) -> Result<()> {
        if (number as usize) < count { Ok(()) } else { Err(EmitError::Missing(number)) }
    }

    /// Where a piece of memory begins.
    fn address(&self, memory: Memory, offset: &Dim) -> Result<PointerValue<'c>> {
        let program = self.host.program;
        let (inputs, outputs) = (program.inputs.len() as u32, program.outputs.len() as u32);
        let (number, count, first) = match memory {
            Memory::Input(n) => (n, program.inputs.len(), 0),
            Memory::Output(n) => (n, program.outputs.len(), inputs),
            Memory::Planned(n) => (n, program.planned.len(), inputs + outputs),
            Memory::Grown(n) => (n, program.grown, inputs + outputs + program.planned.len() as u32),
            Memory::Weight(n) => return self.weight(n, offset),
        };
        self.check_number(number, count)?;
        let slot = self.arithmetic.number((first + number).into());
        let at = element_at(self.builder, self.host.pointer().into(), self.bufs, slot)?;
        let base = self.builder.build_load(self.host.pointer(), at, "")?.into_pointer_value();
        self.bytes_on(base, offset)
    }

    fn weight(&self, number: u32, offset: &Dim) -> Result<PointerValue<'c>> {
        let begin = *self.host.weights.get(number as usize).ok_or(EmitError::Missing(number))?;
        let begin = i64::try_from(begin).map_err(|_| EmitError::Missing(number))?;
        let base = self.host.weights_base(self.builder)?;
        self.bytes_on(base, &offset.plus(begin))
    }

    fn bytes_on(&self, base: PointerValue<'c>, offset: &Dim) -> Result<PointerValue<'c>> {
        if offset.as_fixed() == Some(0) {
            return Ok(base);
        }
        let offset = self.arithmetic.dim(offset)?;
        element_at(self.builder, self.host.context.i8_type().into(), base, offset)
    }

    fn pass_pointers(&self, args: &[(Memory, Dim)]) -> Result<()> {
        for (i, (memory, offset)) in args.iter().enumerate() {
            let pointer = self.address(*memory, offset)?;
            let slot = self.arithmetic.number(i as i64);
            let at = element_at(self.builder, self.host.pointer().into(), self.pointers, slot)?;
            self.builder.build_store(at, pointer)?;
        }
        Ok(())
    }

    fn pass_integers(&self, dims: &[Dim]) -> Result<()> {
        for (i, dim) in dims.iter().enumerate() {
            self.pass_integer(i, self.arithmetic.dim(dim)?)?;
        }
        Ok(())
    }

    fn pass_integer(&self, number: usize, value: IntValue<'c>) -> Result<()> {
        let slot = self.arithmetic.number(number as i64);
        let at = element_at(self.builder, self.host.i64().into(), self.integers, slot)?;
        self.builder.build_store(at, value)?;
        Ok(())
    }

    fn launch(&self, number: u32, args: &[(Memory, Dim)], tasks: &Dim) -> Result<()> {
        let program = self.host.program;
        let kernel = program.kernels.get(number as usize).ok_or(EmitError::Missing(number))?;
        let expected = emit::parameters(kernel);
        if args.len() != expected {
            let (name, found) = (&kernel.name, args.len());
            return Err(EmitError::Form(format!("`{name}` takes {expected} buffers, found {found}")));
        }
        self.pass_pointers(args)?;
        for (i, name) in kernel.dims.iter().enumerate() {
            self.pass_integer(i, self.arithmetic.named(name)?)?;
        }
        let tasks = self.arithmetic.dim(tasks)?;
        let code = self.host.kernel_code(number)?.as_global_value().as_pointer_value();
        let id = self.host.i32().const_int(number.into(), false);
        let args: [BasicMetadataValueEnum<'c>; 6] = [
            self.session.into(),
            code.into(),
            self.pointers.into(),
            self.integers.into(),
            tasks.into(),
            id.into(),
        ];
        self.call("weft_rt_launch", &args)
    }

    fn copy(&self, from: &(Memory, Dim), to: &(Memory, Dim), bytes: &Dim) -> Result<()> {
        let (source, target) = (self.address(from.0, &from.1)?, self.address(to.0, &to.1)?);
        let bytes = self.arithmetic.dim(bytes)?;
        self.builder.build_memmove(target, 1, source, 1, bytes)?;
        Ok(())
    }

    /// Calls a function of the runtime that returns a status, and leaves when it is not zero.
    fn call(&self, name: &str, args: &[BasicMetadataValueEnum<'c>]) -> Result<()> {
        let status = self.host.runtime_call(self.builder, name, args)?;
        let bad =
            self.builder.build_int_compare(IntPredicate::NE, status, status.get_type().const_zero(), "")?;
        self.arithmetic.leave_if(bad, self.failed)
    }

    /// Records a failure and leaves for good.
    fn fail(&self, code: u32, a: IntValue<'c>, b: IntValue<'c>) -> Result<()> {
        let code = self.host.i32().const_int(code.into(), false);
        let args = [self.session.into(), code.into(), a.into(), b.into()];
        self.host.runtime_call(self.builder, "weft_rt_fail", &args)?;
        self.builder.build_unconditional_branch(self.failed)?;
        Ok(())
    }

    fn check(&self, left: &Dim, right: &Dim, at_least: bool, message: &str) -> Result<()> {
        let (found, expected) = (self.arithmetic.dim(left)?, self.arithmetic.dim(right)?);
        let bad = if at_least { IntPredicate::SLT } else { IntPredicate::NE };
        let bad = self.builder.build_int_compare(bad, found, expected, "")?;
        let [no, on] =
            ["refused", "on"].map(|name| self.host.context.append_basic_block(self.function, name));
        self.builder.build_conditional_branch(bad, no, on)?;
        self.builder.position_at_end(no);
        let message = self.host.text(message).into();
        let args = [self.session.into(), message, found.into(), expected.into()];
        self.host.runtime_call(self.builder, "weft_rt_refuse", &args)?;
        self.builder.build_unconditional_branch(self.failed)?;
        self.builder.position_at_end(on);
        Ok(())
    }

    /// Calls an operator of the runtime; a negative result is a failure.
    fn operator(&self, name: &str, args: &[(Memory, Dim)], dims: &[Dim], results: &[u32]) -> Result<()> {
        self.pass_pointers(args)?;
        self.pass_integers(dims)?;
        let args = [self.session.into(), self.pointers.into(), self.integers.into()];
        let result = self.host.operator_call(self.builder, name, &args)?;
        let bad = self.builder.build_int_compare(IntPredicate::SLT, result, self.arithmetic.number(0), "")?;
        self.arithmetic.leave_if(bad, self.failed)?;
        match results {
            [] => Ok(()),
            [symbol] => self.set(*symbol, result),
            _ => Err(EmitError::Form(format!("`{name}` returns one number, {} are wanted", results.len()))),
        }
    }

    /// Has the runtime call a function outside weft.
    fn foreign(&self, symbol: &str, caller: &str, args: &[(Memory, Dim)], dims: &[Dim]) -> Result<()> {
        self.pass_pointers(args)?;
        self.pass_integers(dims)?;
        let function = self.host.foreign_function(symbol).as_global_value().as_pointer_value();
        let args: [BasicMetadataValueEnum<'c>; 5] = [
            self.session.into(),
            function.into(),
            self.host.text(caller).into(),
            self.pointers.into(),
            self.integers.into(),
        ];
        self.call("weft_rt_foreign", &args)
    }

    fn set(&self, symbol: u32, value: IntValue<'c>) -> Result<()> {
        self.check_number(symbol, self.host.program.symbols.len())?;
        self.builder.build_store(self.arithmetic.symbol(symbol)?, value)?;
        Ok(())
    }

    fn read(&self, from: Memory, dtype: DType, index: i64) -> Result<IntValue<'c>> {
        let ty = match (dtype.kind(), dtype.bits()) {
            (Kind::Signed | Kind::Unsigned | Kind::Bool, bits @ (8 | 16 | 32 | 64)) => {
                let bits = std::num::NonZeroU32::new(bits).ok_or(EmitError::Elem(dtype))?;
                self.host.context.custom_width_int_type(bits).map_err(|_| EmitError::Elem(dtype))?
            }
            _ => return Err(EmitError::Elem(dtype)),
        };
        let base = self.address(from, &Dim::fixed(0))?;
        let at = element_at(self.builder, ty.into(), base, self.arithmetic.number(index))?;
        let value = self.builder.build_load(ty, at, "")?.into_int_value();
        if dtype == DType::Bool {
            let set = self.builder.build_int_compare(IntPredicate::NE, value, ty.const_zero(), "")?;
            return Ok(self.builder.build_int_z_extend(set, self.host.i64(), "")?);
        }
        let signed = dtype.kind() == Kind::Signed;
        Ok(self.builder.build_int_cast_sign_flag(value, self.host.i64(), signed, "")?)
    }

    fn truth(&self, memory: Memory) -> Result<IntValue<'c>> {
        let value = self.read(memory, DType::Bool, 0)?;
        Ok(self.builder.build_int_compare(IntPredicate::NE, value, self.arithmetic.number(0), "")?)
    }

    fn branch(
        &self,
        condition: Memory,
        then: &'h [Step],
        otherwise: &'h [Step],
        open: &mut Vec<Work<'h, 'c>>,
    ) -> Result<()> {
        let condition = self.truth(condition)?;
        let [yes, no, on] =
            ["then", "else", "on"].map(|name| self.host.context.append_basic_block(self.function, name));
        self.builder.build_conditional_branch(condition, yes, no)?;
        self.builder.position_at_end(yes);
        open.push(Work::Close { from_to: on, on });
        open.extend(otherwise.iter().rev().map(Work::Step));
        open.push(Work::Close { from_to: on, on: no });
        open.extend(then.iter().rev().map(Work::Step));
        Ok(())
    }

    fn repeat(
        &self,
        index: u32,
        trips: &Dim,
        condition: Option<Memory>,
        body: &'h [Step],
        open: &mut Vec<Work<'h, 'c>>,
    ) -> Result<()> {
        let trips = self.arithmetic.dim(trips)?;
        self.set(index, self.arithmetic.number(0))?;
        let [test, trip, on] =
            ["test", "trip", "on"].map(|name| self.host.context.append_basic_block(self.function, name));
        self.builder.build_unconditional_branch(test)?;
        self.builder.position_at_end(test);
        let now = self.builder.build_load(self.host.i64(), self.arithmetic.symbol(index)?, "")?;
        let done = self.builder.build_int_compare(IntPredicate::SGE, now.into_int_value(), trips, "")?;
        self.arithmetic.leave_if(done, on)?;
        if let Some(condition) = condition {
            let holds = self.truth(condition)?;
            self.builder.build_conditional_branch(holds, trip, on)?;
        } else {
            self.builder.build_unconditional_branch(trip)?;
        }
        self.builder.position_at_end(trip);
        open.push(Work::Repeat { index, test, on });
        open.extend(body.iter().rev().map(Work::Step));
        Ok(())
    }
}
