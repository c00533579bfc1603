//! The program as LLVM code: what a run does, how large its buffers are, the table that describes
//! the model, and the C functions of the artifact.
mod dims;
mod model;
mod shims;
mod steps;

use crate::codegen::Job;
use crate::emit::{EmitError, Result};
use crate::weights;
use dims::{Arithmetic, Overflow};
use inkwell::AddressSpace;
use inkwell::builder::Builder;
use inkwell::context::Context;
use inkwell::module::Module;
use inkwell::types::{IntType, PointerType};
use inkwell::values::{FunctionValue, PointerValue};
use std::collections::BTreeMap;
use weft_kernel::program::Program;

/// What every part of the host code needs.
pub(crate) struct Host<'a, 'c> {
    context: &'c Context,
    module: &'a Module<'c>,
    job: &'a Job<'a>,
    program: &'a Program,
    /// For every kernel the one whose code it uses.
    code_of: &'a [usize],
    /// The number of each symbol.
    symbols: BTreeMap<&'a str, u32>,
    /// Where each weight begins.
    weights: Vec<u64>,
}

/// Adds the host's functions and tables to a module.
pub(crate) fn emit<'c>(
    context: &'c Context,
    module: &Module<'c>,
    job: &Job<'_>,
    code_of: &[usize],
) -> Result<()> {
    let program = job.program;
    let symbols = program.symbols.iter().enumerate().map(|(i, s)| (s.as_str(), i as u32)).collect();
    let (weights, _) = weights::layout(program);
    let host = Host { context, module, job, program, code_of, symbols, weights };
    let sizes = host.sizes()?;
    let run = host.run()?;
    let model = host.model(sizes, run)?;
    host.shims(model)
}

/// The symbols that a library exports.
pub(crate) fn exports(stem: &str) -> impl Iterator<Item = String> {
    shims::names(stem).chain(["weft_model".to_string()])
}

/// Fields of `SessionHead`, in order.
const SYMS: u64 = 1;
const BUFS: u64 = 2;
const SIZES: u64 = 3;

impl<'c> Host<'_, 'c> {
    fn pointer(&self) -> PointerType<'c> {
        self.context.ptr_type(AddressSpace::default())
    }

    fn i64(&self) -> IntType<'c> {
        self.context.i64_type()
    }

    fn i32(&self) -> IntType<'c> {
        self.context.i32_type()
    }

    /// A pointer that the head of the session holds.
    fn session_field(
        &self,
        builder: &Builder<'c>,
        session: PointerValue<'c>,
        field: u64,
    ) -> Result<PointerValue<'c>> {
        let index = self.i64().const_int(field, false);
        let at = crate::emit::element_at(builder, self.pointer().into(), session, index)?;
        Ok(builder.build_load(self.pointer(), at, "")?.into_pointer_value())
    }

    /// `void sizes(session)`: the bytes of each planned buffer; what does not fit is the largest number.
    fn sizes(&self) -> Result<FunctionValue<'c>> {
        let ty = self.context.void_type().fn_type(&[self.pointer().into()], false);
        let function = self.module.add_function("weft_sizes", ty, Some(inkwell::module::Linkage::Internal));
        self.job.machine.mark(self.context, function);
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(function, "entry"));
        let session = function.get_nth_param(0).ok_or(EmitError::Missing(0))?.into_pointer_value();
        let syms = self.session_field(&builder, session, SYMS)?;
        let sizes = self.session_field(&builder, session, SIZES)?;
        let arithmetic = Arithmetic { host: self, builder: &builder, syms, overflow: Overflow::Saturates };
        for (i, planned) in self.program.planned.iter().enumerate() {
            let bytes = arithmetic.dim(&planned.bytes)?;
            let index = self.i64().const_int(i as u64, false);
            let at = crate::emit::element_at(&builder, self.i64().into(), sizes, index)?;
            builder.build_store(at, bytes)?;
        }
        builder.build_return(None)?;
        Ok(function)
    }
}
