//! Statements, in the order they are written.
use super::{EmitError, Emitter, Result, Value, loops, types};
use inkwell::IntPredicate;
use inkwell::values::PointerValue;
use weft_kernel::nest::{Hint, Op, Reg, Stmt, Var};

impl<'a, 'c> Emitter<'a, 'c> {
    /// Writes a body. Bodies are nested as deep as a schedule's loops are, which no input decides.
    pub(super) fn body(&mut self, stmts: &'a [Stmt]) -> Result<()> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &'a Stmt) -> Result<()> {
        match stmt {
            Stmt::Let(reg, op) => self.define(*reg, op),
            Stmt::Set(var, reg) => {
                self.builder.build_store(self.var(*var)?, self.read(*reg)?)?;
                Ok(())
            }
            Stmt::Store { buffer, index, offset, value, mask } => {
                let at = self.address(*buffer, *index, *offset)?;
                self.store(at, *buffer, *value, *mask)
            }
            Stmt::Scatter { buffer, index, value, mask } => self.scatter(*buffer, *index, *value, *mask),
            Stmt::Prefetch { buffer, index, offset, into } => {
                let at = self.address(*buffer, *index, *offset)?;
                self.prefetch(at, *into)
            }
            Stmt::For { .. } => self.for_each(stmt),
            Stmt::If { condition, then, otherwise } => self.branch(*condition, then, otherwise),
        }
    }

    fn define(&mut self, reg: Reg, op: &'a Op) -> Result<()> {
        let value = self.operation(reg, op)?;
        let expected = types::register(self.context, self.ty(reg)?)?;
        if value.get_type() != expected {
            let found = value.get_type();
            return Err(EmitError::Form(format!(
                "r{} is `{expected}` and is given `{found}`: {op:?}",
                reg.0
            )));
        }
        self.made_by[reg.0 as usize] = Some(op);
        self.write(reg, value)
    }

    pub(super) fn var(&self, var: Var) -> Result<PointerValue<'c>> {
        self.vars.get(var.0 as usize).copied().ok_or(EmitError::Missing(var.0))
    }

    /// A loop with its test at the end, guarded by one before it.
    fn for_each(&mut self, stmt: &'a Stmt) -> Result<()> {
        let Stmt::For { index, start, end, step, hint, body } = stmt else { return Ok(()) };
        if *step <= 0 {
            return Err(EmitError::Form(format!("a loop steps by {step}")));
        }
        let (start, end) = (self.read_index(*start)?, self.read_index(*end)?);
        let trip = self.context.append_basic_block(self.function, "loop");
        let done = self.context.append_basic_block(self.function, "end");
        let before = self.block()?;
        let some = self.builder.build_int_compare(IntPredicate::SLT, start, end, "")?;
        self.builder.build_conditional_branch(some, trip, done)?;
        self.builder.position_at_end(trip);
        let counter = self.builder.build_phi(self.context.i64_type(), "i")?;
        counter.add_incoming(&[(&start, before)]);
        self.write(*index, counter.as_basic_value())?;
        self.body(body)?;
        let step = self.context.i64_type().const_int(*step as u64, true);
        let next = self.builder.build_int_nsw_add(counter.as_basic_value().into_int_value(), step, "")?;
        counter.add_incoming(&[(&next, self.block()?)]);
        let more = self.builder.build_int_compare(IntPredicate::SLT, next, end, "")?;
        let branch = self.builder.build_conditional_branch(more, trip, done)?;
        if *hint == Hint::AsWritten {
            loops::as_written(self.context, branch)?;
        }
        self.builder.position_at_end(done);
        Ok(())
    }

    fn branch(&mut self, condition: Reg, then: &'a [Stmt], otherwise: &'a [Stmt]) -> Result<()> {
        let Value::IntValue(condition) = self.read(condition)? else {
            return Err(EmitError::Form("a branch on a vector".to_string()));
        };
        let yes = self.context.append_basic_block(self.function, "then");
        let no = self.context.append_basic_block(self.function, "else");
        let done = self.context.append_basic_block(self.function, "fi");
        self.builder.build_conditional_branch(condition, yes, no)?;
        for (block, body) in [(yes, then), (no, otherwise)] {
            self.builder.position_at_end(block);
            self.body(body)?;
            self.builder.build_unconditional_branch(done)?;
        }
        self.builder.position_at_end(done);
        Ok(())
    }

    fn block(&self) -> Result<inkwell::basic_block::BasicBlock<'c>> {
        self.builder.get_insert_block().ok_or_else(|| EmitError::Form("no block is open".to_string()))
    }
}
