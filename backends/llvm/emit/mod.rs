//! One kernel as LLVM code.
//!
//! A kernel becomes two functions. The outer one has the runtime's signature and reads the
//! arguments; the inner one takes every buffer as a parameter of its own that overlaps no other, and
//! runs the tasks. It is called once for a range of tasks, and never inlined: that way LLVM knows
//! from the parameters alone what may overlap. Variables and arrays live on the stack; LLVM turns
//! variables into registers.
mod arith;
mod cast;
mod dot;
mod loops;
mod memory;
mod stmt;
pub(crate) mod types;
mod values;

pub(crate) use memory::element_at;

use crate::target::Machine;
use inkwell::AddressSpace;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::builder::{Builder, BuilderError};
use inkwell::context::Context;
use inkwell::module::{Linkage, Module};
use inkwell::types::BasicMetadataTypeEnum;
use inkwell::values::{BasicValueEnum, FunctionValue, GlobalValue, IntValue, PointerValue};
use inkwell::{GlobalVisibility, IntPredicate};
use thiserror::Error;
use weft_ir::DType;
use weft_kernel::nest::{Access, Kernel, Op, Reg, Ty};

pub(crate) type Result<T> = std::result::Result<T, EmitError>;
pub(crate) type Value<'c> = BasicValueEnum<'c>;

/// Why a kernel has no LLVM form.
#[derive(Debug, Error)]
pub(crate) enum EmitError {
    #[error("{0}")]
    Builder(#[from] BuilderError),
    #[error("register r{0} is read before it is written")]
    Unwritten(u32),
    #[error("there is no register, variable, buffer or parameter of number {0}")]
    Missing(u32),
    #[error("there is no intrinsic `{0}`")]
    Intrinsic(&'static str),
    #[error("elements of type `{0}` cannot be computed with")]
    Elem(DType),
    #[error("`{op}` is not defined on `{elem}`")]
    Undefined { op: String, elem: DType },
    #[error("{0}")]
    Form(String),
}

/// Writes the code of one kernel.
pub(crate) struct Emitter<'a, 'c> {
    context: &'c Context,
    module: &'a Module<'c>,
    machine: &'a Machine,
    kernel: &'a Kernel,
    builder: Builder<'c>,
    function: FunctionValue<'c>,
    regs: Vec<Option<Value<'c>>>,
    /// The operation that wrote a register, for choosing a better form.
    made_by: Vec<Option<&'a Op>>,
    vars: Vec<PointerValue<'c>>,
    buffers: Vec<PointerValue<'c>>,
    dims: Vec<IntValue<'c>>,
}

/// The symbol of a kernel's outer function.
pub(crate) fn symbol(kernel: &Kernel) -> String {
    format!("weft_kernel_{}", kernel.name)
}

/// Adds a kernel to a module.
pub(crate) fn kernel<'c>(
    context: &'c Context,
    module: &Module<'c>,
    machine: &Machine,
    kernel: &Kernel,
) -> Result<()> {
    let inner = inner_function(context, module, kernel);
    machine.mark(context, inner);
    let mut emitter = Emitter {
        context,
        module,
        machine,
        kernel,
        builder: context.create_builder(),
        function: inner,
        regs: vec![None; kernel.regs.len()],
        made_by: vec![None; kernel.regs.len()],
        vars: Vec::new(),
        buffers: Vec::new(),
        dims: Vec::new(),
    };
    emitter.inner()?;
    outer(context, module, machine, kernel, inner)
}

/// How many buffers the caller passes.
pub(crate) fn parameters(kernel: &Kernel) -> usize {
    kernel.buffers.iter().filter(|b| !matches!(b.access, Access::Local(_))).count()
}

fn inner_function<'c>(context: &'c Context, module: &Module<'c>, kernel: &Kernel) -> FunctionValue<'c> {
    let pointer: BasicMetadataTypeEnum<'c> = context.ptr_type(AddressSpace::default()).into();
    let mut params = vec![pointer; parameters(kernel)];
    params.extend(vec![BasicMetadataTypeEnum::from(context.i64_type()); kernel.dims.len() + 2]);
    let ty = context.void_type().fn_type(&params, false);
    let name = format!("{}_tasks", symbol(kernel));
    let function = module.add_function(&name, ty, Some(Linkage::Internal));
    let attribute = |name: &str| context.create_enum_attribute(Attribute::get_named_enum_kind_id(name), 0);
    for (i, buffer) in kernel.buffers.iter().take(parameters(kernel)).enumerate() {
        function.add_attribute(AttributeLoc::Param(i as u32), attribute("noalias"));
        function.set_param_alignment(i as u32, types::bytes(buffer.elem));
        if buffer.access == Access::Read {
            function.add_attribute(AttributeLoc::Param(i as u32), attribute("readonly"));
        }
    }
    function.add_attribute(AttributeLoc::Function, attribute("noinline"));
    function
}

/// The function the runtime calls: reads the arguments and runs the tasks.
fn outer<'c>(
    context: &'c Context,
    module: &Module<'c>,
    machine: &Machine,
    kernel: &Kernel,
    inner: FunctionValue<'c>,
) -> Result<()> {
    let (pointer, i64_type) = (context.ptr_type(AddressSpace::default()), context.i64_type());
    let ty = context
        .void_type()
        .fn_type(&[pointer.into(), pointer.into(), i64_type.into(), i64_type.into()], false);
    let function = module.add_function(&symbol(kernel), ty, None);
    hide(function.as_global_value());
    machine.mark(context, function);
    let builder = context.create_builder();
    builder.position_at_end(context.append_basic_block(function, "entry"));
    let param = |n| function.get_nth_param(n).ok_or(EmitError::Missing(n));
    let (args, dims) = (param(0)?.into_pointer_value(), param(1)?.into_pointer_value());
    let mut passed = Vec::new();
    for i in 0..parameters(kernel) {
        let at = memory::element_at(&builder, pointer.into(), args, i64_type.const_int(i as u64, false))?;
        passed.push(builder.build_load(pointer, at, "")?.into());
    }
    for i in 0..kernel.dims.len() {
        let at = memory::element_at(&builder, i64_type.into(), dims, i64_type.const_int(i as u64, false))?;
        passed.push(builder.build_load(i64_type, at, "")?.into());
    }
    passed.push(param(2)?.into());
    passed.push(param(3)?.into());
    builder.build_call(inner, &passed, "")?.set_tail_call(true);
    builder.build_return(None)?;
    Ok(())
}

/// Keeps a symbol inside the artifact.
pub(crate) fn hide(value: GlobalValue<'_>) {
    value.set_visibility(GlobalVisibility::Hidden);
}

impl<'c> Emitter<'_, 'c> {
    /// The loop over tasks; parameters and the stack are read and laid out before it.
    fn inner(&mut self) -> Result<()> {
        let entry = self.context.append_basic_block(self.function, "entry");
        let task = self.context.append_basic_block(self.function, "task");
        let done = self.context.append_basic_block(self.function, "done");
        self.builder.position_at_end(entry);
        let (begin, end) = self.frame()?;
        let some = self.builder.build_int_compare(IntPredicate::SLT, begin, end, "")?;
        self.builder.build_conditional_branch(some, task, done)?;
        self.builder.position_at_end(task);
        let number = self.builder.build_phi(self.context.i64_type(), "task")?;
        number.add_incoming(&[(&begin, entry)]);
        self.write(self.kernel.task, number.as_basic_value())?;
        let kernel = self.kernel;
        self.body(&kernel.body)?;
        let one = self.context.i64_type().const_int(1, false);
        let number_now = number.as_basic_value().into_int_value();
        let next = self.builder.build_int_nsw_add(number_now, one, "")?;
        let more = self.builder.build_int_compare(IntPredicate::SLT, next, end, "")?;
        let branch = self.builder.build_conditional_branch(more, task, done)?;
        loops::as_written(self.context, branch)?;
        if let Some(last) = self.builder.get_insert_block() {
            number.add_incoming(&[(&next, last)]);
        }
        self.builder.position_at_end(done);
        self.builder.build_return(None)?;
        Ok(())
    }

    /// Binds parameters and makes room for arrays and variables; gives the range of tasks.
    fn frame(&mut self) -> Result<(IntValue<'c>, IntValue<'c>)> {
        let count = parameters(self.kernel) as u32;
        let param = |n| self.function.get_nth_param(n).ok_or(EmitError::Missing(n));
        for (i, buffer) in self.kernel.buffers.iter().enumerate() {
            let pointer = match buffer.access {
                Access::Local(length) => self.array(buffer.elem, length)?,
                _ if i as u32 >= count => {
                    return Err(EmitError::Form("a parameter comes after an array".to_string()));
                }
                _ => param(i as u32)?.into_pointer_value(),
            };
            self.buffers.push(pointer);
        }
        for i in 0..self.kernel.dims.len() as u32 {
            self.dims.push(param(count + i)?.into_int_value());
        }
        for ty in &self.kernel.vars {
            self.vars.push(self.builder.build_alloca(types::register(self.context, *ty)?, "var")?);
        }
        let first = count + self.kernel.dims.len() as u32;
        Ok((param(first)?.into_int_value(), param(first + 1)?.into_int_value()))
    }

    fn ty(&self, reg: Reg) -> Result<Ty> {
        self.kernel.regs.get(reg.0 as usize).copied().ok_or(EmitError::Missing(reg.0))
    }

    fn read(&self, reg: Reg) -> Result<Value<'c>> {
        self.regs.get(reg.0 as usize).copied().flatten().ok_or(EmitError::Unwritten(reg.0))
    }

    fn read_index(&self, reg: Reg) -> Result<IntValue<'c>> {
        match (self.ty(reg)?, self.read(reg)?) {
            (Ty::INDEX, Value::IntValue(value)) => Ok(value),
            _ => Err(EmitError::Form(format!("register r{} is used as an index and is none", reg.0))),
        }
    }

    fn write(&mut self, reg: Reg, value: Value<'c>) -> Result<()> {
        *self.regs.get_mut(reg.0 as usize).ok_or(EmitError::Missing(reg.0))? = Some(value);
        Ok(())
    }
}
