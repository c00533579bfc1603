//! Memory: addresses, loads and stores with and without masks, gathers and scatters.
#![expect(unsafe_code, reason = "an address is computed from what the nest says")]
use super::{EmitError, Emitter, Result, Value, types};
use inkwell::IntPredicate;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::builder::Builder;
use inkwell::types::{BasicType, BasicTypeEnum};
use inkwell::values::{
    AnyValue, AsValueRef, BasicValue, CallSiteValue, InstructionOpcode, IntValue, PointerValue, VectorValue,
};
use weft_ir::DType;
use weft_kernel::nest::{BufferId, Cache, Reg};

/// The address of an element.
pub(crate) fn element_at<'c>(
    builder: &Builder<'c>,
    element: BasicTypeEnum<'c>,
    base: PointerValue<'c>,
    index: IntValue<'c>,
) -> Result<PointerValue<'c>> {
    // SAFETY: nests index inside their buffers, which are objects of their own.
    Ok(unsafe { builder.build_in_bounds_gep(element, base, &[index], "")? })
}

impl<'c> Emitter<'_, 'c> {
    /// An array on the stack, aligned to a cache line.
    pub(super) fn array(&self, elem: DType, length: u32) -> Result<PointerValue<'c>> {
        let ty = types::element(self.context, elem)?.array_type(length);
        let array = self.builder.build_alloca(ty, "array")?;
        if let Some(instruction) = array.as_instruction() {
            instruction.set_alignment(64).map_err(|e| EmitError::Form(e.to_string()))?;
        }
        Ok(array)
    }

    fn buffer(&self, buffer: BufferId) -> Result<(PointerValue<'c>, DType)> {
        let missing = EmitError::Missing(buffer.0);
        match (self.buffers.get(buffer.0 as usize), self.kernel.buffers.get(buffer.0 as usize)) {
            (Some(pointer), Some(buffer)) => Ok((*pointer, buffer.elem)),
            _ => Err(missing),
        }
    }

    /// The address `index + offset` elements on. The offset is added last, so that it becomes the
    /// displacement of the instruction. An address may lie before the buffer while only the sum is
    /// inside, so the two steps promise nothing about it.
    pub(super) fn address(&self, buffer: BufferId, index: Reg, offset: i64) -> Result<PointerValue<'c>> {
        let (base, elem) = self.buffer(buffer)?;
        let element = types::element(self.context, elem)?;
        let at = self.step(element, base, self.read_index(index)?)?;
        if offset == 0 {
            return Ok(at);
        }
        self.step(element, at, self.context.i64_type().const_int(offset as u64, true))
    }

    fn step(
        &self,
        element: BasicTypeEnum<'c>,
        base: PointerValue<'c>,
        index: IntValue<'c>,
    ) -> Result<PointerValue<'c>> {
        // SAFETY: without `inbounds` any address may be computed.
        Ok(unsafe { self.builder.build_gep(element, base, &[index], "")? })
    }

    pub(super) fn load(
        &self,
        at: PointerValue<'c>,
        elem: DType,
        lanes: u32,
        mask: Option<Reg>,
    ) -> Result<Value<'c>> {
        let element = types::element(self.context, elem)?;
        let raw = match mask {
            None => {
                let loaded = self.builder.build_load(types::widened(element, lanes), at, "")?;
                align(loaded.as_instruction_value(), elem)?;
                loaded
            }
            Some(mask) => {
                let ty = at_least_a_vector(element, lanes);
                let mask = self.as_vector(self.read(mask)?)?;
                let call = self.call(
                    "llvm.masked.load",
                    &[ty, at.get_type().into()],
                    &[at.into(), mask.into(), ty.const_zero()],
                )?;
                self.align_argument(call, 0, elem);
                let loaded = call.try_as_basic_value().basic();
                self.as_register(loaded.ok_or(EmitError::Intrinsic("llvm.masked.load"))?, lanes)?
            }
        };
        self.loaded_form(raw, elem)
    }

    pub(super) fn store(
        &self,
        at: PointerValue<'c>,
        buffer: BufferId,
        value: Reg,
        mask: Option<Reg>,
    ) -> Result<()> {
        let elem = self.stored_elem(buffer, value)?;
        let value = self.stored_form(self.read(value)?, elem)?;
        match mask {
            None => align(Some(self.builder.build_store(at, value)?), elem),
            Some(mask) => {
                let value = self.as_vector(value)?;
                let mask = self.as_vector(self.read(mask)?)?;
                let overloads = [value.get_type().into(), at.get_type().into()];
                let call =
                    self.call("llvm.masked.store", &overloads, &[value.into(), at.into(), mask.into()])?;
                self.align_argument(call, 1, elem);
                Ok(())
            }
        }
    }

    fn stored_elem(&self, buffer: BufferId, value: Reg) -> Result<DType> {
        let (_, elem) = self.buffer(buffer)?;
        let found = self.ty(value)?.elem;
        if found == elem {
            return Ok(elem);
        }
        Err(EmitError::Form(format!("a `{found}` is stored to a buffer of `{elem}`")))
    }

    pub(super) fn gather(&self, buffer: BufferId, index: Reg, mask: Option<Reg>) -> Result<Value<'c>> {
        let (base, elem) = self.buffer(buffer)?;
        let lanes = self.ty(index)?.lanes;
        if lanes == 1 {
            let at = self.address(buffer, index, 0)?;
            return self.load(at, elem, 1, mask);
        }
        let element = types::element(self.context, elem)?;
        let ty = types::widened(element, lanes);
        let pointers = self.pointers(element, base, index)?;
        let mask = self.mask_or_all(mask, lanes)?;
        let call = self.call(
            "llvm.masked.gather",
            &[ty, pointers.get_type().into()],
            &[pointers.into(), mask, ty.const_zero()],
        )?;
        self.align_argument(call, 0, elem);
        let gathered = call.try_as_basic_value().basic();
        self.loaded_form(gathered.ok_or(EmitError::Intrinsic("llvm.masked.gather"))?, elem)
    }

    pub(super) fn scatter(&self, buffer: BufferId, index: Reg, value: Reg, mask: Option<Reg>) -> Result<()> {
        let (base, _) = self.buffer(buffer)?;
        let lanes = self.ty(index)?.lanes;
        if lanes == 1 {
            return self.store(self.address(buffer, index, 0)?, buffer, value, mask);
        }
        let elem = self.stored_elem(buffer, value)?;
        let element = types::element(self.context, elem)?;
        let pointers = self.pointers(element, base, index)?;
        let value = self.stored_form(self.read(value)?, elem)?;
        let mask = self.mask_or_all(mask, lanes)?;
        let overloads = [value.get_type(), pointers.get_type().into()];
        let call = self.call("llvm.masked.scatter", &overloads, &[value, pointers.into(), mask])?;
        self.align_argument(call, 1, elem);
        Ok(())
    }

    pub(super) fn prefetch(&self, at: PointerValue<'c>, into: Cache) -> Result<()> {
        let number = |n| self.context.i32_type().const_int(n, false).into();
        let locality = if into == Cache::First { 3 } else { 2 };
        let (read, keep, data) = (number(0), number(locality), number(1));
        self.call("llvm.prefetch", &[at.get_type().into()], &[at.into(), read, keep, data])?;
        Ok(())
    }

    /// Addresses of the elements a vector of indices names.
    fn pointers(
        &self,
        element: BasicTypeEnum<'c>,
        base: PointerValue<'c>,
        index: Reg,
    ) -> Result<VectorValue<'c>> {
        use inkwell::llvm_sys::core::LLVMBuildGEP2;
        use inkwell::types::AsTypeRef;
        let mut indices = [self.read(index)?.as_value_ref()];
        // SAFETY: a base pointer with a vector of `i64` indices gives a vector of pointers; without
        // `inbounds` any address may be computed.
        Ok(unsafe {
            VectorValue::new(LLVMBuildGEP2(
                self.builder.as_mut_ptr(),
                element.as_type_ref(),
                base.as_value_ref(),
                indices.as_mut_ptr(),
                1,
                c"".as_ptr(),
            ))
        })
    }

    fn mask_or_all(&self, mask: Option<Reg>, lanes: u32) -> Result<Value<'c>> {
        match mask {
            Some(mask) => self.read(mask),
            None => Ok(types::repeated(self.flag(true), lanes)),
        }
    }

    /// Bytes to truth values.
    fn loaded_form(&self, value: Value<'c>, elem: DType) -> Result<Value<'c>> {
        if elem != DType::Bool {
            return Ok(value);
        }
        self.compare_ints(IntPredicate::NE, value, value.get_type().const_zero())
    }

    /// Truth values to bytes.
    fn stored_form(&self, value: Value<'c>, elem: DType) -> Result<Value<'c>> {
        if elem != DType::Bool {
            return Ok(value);
        }
        self.conversion(InstructionOpcode::ZExt, value, self.int_like(value, 8))
    }

    /// A scalar as a vector of one lane, as masked access wants it.
    fn as_vector(&self, value: Value<'c>) -> Result<VectorValue<'c>> {
        if let Value::VectorValue(vector) = value {
            return Ok(vector);
        }
        let ty = at_least_a_vector(value.get_type(), 1).into_vector_type();
        let first = self.context.i32_type().const_zero();
        Ok(self.builder.build_insert_element(ty.get_poison(), value, first, "")?)
    }

    fn as_register(&self, value: Value<'c>, lanes: u32) -> Result<Value<'c>> {
        if lanes > 1 {
            return Ok(value);
        }
        let first = self.context.i32_type().const_zero();
        Ok(self.builder.build_extract_element(value.into_vector_value(), first, "")?)
    }

    fn align_argument(&self, call: CallSiteValue<'c>, argument: u32, elem: DType) {
        let kind = Attribute::get_named_enum_kind_id("align");
        let attribute = self.context.create_enum_attribute(kind, types::bytes(elem).into());
        call.add_attribute(AttributeLoc::Param(argument), attribute);
    }
}

fn at_least_a_vector(element: BasicTypeEnum<'_>, lanes: u32) -> BasicTypeEnum<'_> {
    match element {
        BasicTypeEnum::FloatType(t) => t.vec_type(lanes).into(),
        BasicTypeEnum::IntType(t) => t.vec_type(lanes).into(),
        other => other,
    }
}

fn align(instruction: Option<inkwell::values::InstructionValue<'_>>, elem: DType) -> Result<()> {
    let Some(instruction) = instruction else { return Ok(()) };
    instruction
        .set_alignment(types::bytes(elem))
        .map_err(|e| EmitError::Form(format!("{e} at {}", instruction.print_to_string())))
}
