//! The table that describes a model to the runtime, laid out as `abi.rs` says.
use super::Host;
use crate::abi::{self, ABI_VERSION, WeftModel, code};
use crate::emit::{self, EmitError, Result};
use crate::weights;
use inkwell::AddressSpace;
use inkwell::builder::Builder;
use inkwell::module::Linkage;
use inkwell::values::{
    BasicMetadataValueEnum, BasicValue, BasicValueEnum, FunctionValue, IntValue, PointerValue,
};
use weft_ir::{DType, Dim};
use weft_kernel::program::Port;

impl<'c> Host<'_, 'c> {
    /// `weft_model`.
    pub(super) fn model(&self, sizes: FunctionValue<'c>, run: FunctionValue<'c>) -> Result<PointerValue<'c>> {
        let program = self.program;
        let count = |n: usize| -> BasicValueEnum<'c> { self.i32().const_int(n as u64, false).into() };
        let names: Vec<_> = program.symbols.iter().map(|s| self.text(s).into()).collect();
        let (_, weights_len) = weights::layout(program);
        let weights: BasicValueEnum<'c> = match weights_len {
            0 => self.pointer().const_null().into(),
            _ => self.weights_symbol().into(),
        };
        let fields = [
            count(ABI_VERSION as usize),
            count(size_of::<WeftModel>()),
            self.text(&program.name).into(),
            count(program.inputs.len()),
            count(program.outputs.len()),
            self.ports(&program.inputs)?.into(),
            self.ports(&program.outputs)?.into(),
            count(program.symbols.len()),
            count(program.planned.len()),
            count(program.grown),
            count(program.kernels.len()),
            self.table("symbols", &names).into(),
            self.lives().into(),
            self.kernels().into(),
            weights,
            self.i64().const_int(weights_len, false).into(),
            sizes.as_global_value().as_pointer_value().into(),
            run.as_global_value().as_pointer_value().into(),
        ];
        let value = self.context.const_struct(&fields, false);
        let model = self.module.add_global(value.get_type(), None, "weft_model");
        model.set_initializer(&value);
        model.set_constant(true);
        model.set_alignment(8);
        Ok(model.as_pointer_value())
    }

    /// A C string. (Names from a model may hold any character; a zero byte ends them.)
    pub(super) fn text(&self, text: &str) -> PointerValue<'c> {
        let bytes = text.split('\0').next().unwrap_or_default();
        let value = self.context.const_string(bytes.as_bytes(), true);
        self.constant("text", value.into())
    }

    fn constant(&self, name: &str, value: BasicValueEnum<'c>) -> PointerValue<'c> {
        let global = self.module.add_global(value.get_type(), None, name);
        global.set_initializer(&value);
        global.set_constant(true);
        global.set_linkage(Linkage::Private);
        global.set_unnamed_addr(true);
        global.as_pointer_value()
    }

    /// An array of equal structs or pointers, or null when there is none.
    fn table(&self, name: &str, rows: &[BasicValueEnum<'c>]) -> PointerValue<'c> {
        let Some(first) = rows.first() else { return self.pointer().const_null() };
        let array: BasicValueEnum<'c> = match first {
            BasicValueEnum::StructValue(row) => {
                let rows: Vec<_> = rows.iter().map(|r| r.into_struct_value()).collect();
                row.get_type().const_array(&rows).into()
            }
            _ => {
                let rows: Vec<_> = rows.iter().map(|r| r.into_pointer_value()).collect();
                self.pointer().const_array(&rows).into()
            }
        };
        self.constant(name, array)
    }

    fn row(&self, fields: &[BasicValueEnum<'c>]) -> BasicValueEnum<'c> {
        self.context.const_struct(fields, false).into()
    }

    fn ports(&self, ports: &[Port]) -> Result<PointerValue<'c>> {
        let rows: Result<Vec<_>> = ports.iter().map(|port| self.port(port)).collect();
        Ok(self.table("ports", &rows?))
    }

    fn port(&self, port: &Port) -> Result<BasicValueEnum<'c>> {
        let code = type_code(port.dtype).ok_or(EmitError::Elem(port.dtype))?;
        let rank = u16::try_from(port.dims.len())
            .map_err(|_| EmitError::Form(format!("`{}` has {} axes", port.name, port.dims.len())))?;
        let dims: Vec<_> = port.dims.iter().map(|dim| self.port_dim(dim)).collect();
        Ok(self.row(&[
            self.text(&port.name).into(),
            self.context.i8_type().const_int(code.into(), false).into(),
            self.context.i8_type().const_int(port.dtype.bits().into(), false).into(),
            self.context.i16_type().const_int(rank.into(), false).into(),
            self.table("dims", &dims).into(),
        ]))
    }

    fn port_dim(&self, dim: &Dim) -> BasicValueEnum<'c> {
        let fixed = dim.as_fixed().unwrap_or(-1);
        let symbol = dim.as_symbol().and_then(|name| self.symbols.get(name));
        let symbol = symbol.map_or(-1, |number| i64::from(*number));
        self.row(&[
            self.i64().const_int(fixed as u64, true).into(),
            self.i32().const_int(symbol as u64, true).into(),
            self.text(&dim.to_string()).into(),
        ])
    }

    fn lives(&self) -> PointerValue<'c> {
        let number = |n: u32| self.i32().const_int(n.into(), false).into();
        let lives: Vec<_> =
            self.program.planned.iter().map(|p| self.row(&[number(p.first), number(p.last)])).collect();
        self.table("lives", &lives)
    }

    fn kernels(&self) -> PointerValue<'c> {
        let kernels: Vec<_> = self
            .program
            .kernels
            .iter()
            .map(|k| self.row(&[self.text(&k.name).into(), self.text(&k.schedule).into()]))
            .collect();
        self.table("kernels", &kernels)
    }

    /// Where the weights begin; they lie in an object of their own.
    fn weights_symbol(&self) -> PointerValue<'c> {
        let declared = self.module.get_global(weights::SYMBOL).unwrap_or_else(|| {
            let global = self.module.add_global(self.context.i8_type(), None, weights::SYMBOL);
            emit::hide(global);
            global.set_alignment(abi::ALIGNMENT as u32);
            global.set_constant(true);
            global
        });
        declared.as_pointer_value()
    }

    /// Where the weights begin, for code. They may lie farther away than code reaches, so the address
    /// is read from memory, and LLVM must not see which one it is.
    pub(super) fn weights_base(&self, builder: &Builder<'c>) -> Result<PointerValue<'c>> {
        let name = "weft_weights_base";
        let held = self.module.get_global(name).unwrap_or_else(|| {
            let global = self.module.add_global(self.pointer(), None, name);
            global.set_initializer(&self.weights_symbol());
            global.set_externally_initialized(true);
            emit::hide(global);
            global
        });
        Ok(builder.build_load(self.pointer(), held.as_pointer_value(), "")?.into_pointer_value())
    }

    /// The function that computes a kernel.
    pub(super) fn kernel_code(&self, number: u32) -> Result<FunctionValue<'c>> {
        let missing = EmitError::Missing(number);
        let Some(code) = self.code_of.get(number as usize) else { return Err(missing) };
        let kernel = self.program.kernels.get(*code).ok_or(missing)?;
        let name = emit::symbol(kernel);
        if let Some(declared) = self.module.get_function(&name) {
            return Ok(declared);
        }
        let (pointer, integer) = (self.pointer().into(), self.i64().into());
        let ty = self.context.void_type().fn_type(&[pointer, pointer, integer, integer], false);
        let function = self.module.add_function(&name, ty, None);
        emit::hide(function.as_global_value());
        Ok(function)
    }

    /// Calls a function of the runtime that returns a status.
    pub(super) fn runtime_call(
        &self,
        builder: &Builder<'c>,
        name: &str,
        args: &[BasicMetadataValueEnum<'c>],
    ) -> Result<IntValue<'c>> {
        self.outside_call(builder, name, self.i32(), args)
    }

    /// Calls an operator of the runtime, which returns a count.
    pub(super) fn operator_call(
        &self,
        builder: &Builder<'c>,
        name: &str,
        args: &[BasicMetadataValueEnum<'c>],
    ) -> Result<IntValue<'c>> {
        self.outside_call(builder, name, self.i64(), args)
    }

    /// A `weft_function` that is linked in.
    pub(super) fn foreign_function(&self, symbol: &str) -> FunctionValue<'c> {
        self.module.get_function(symbol).unwrap_or_else(|| {
            let (pointer, integer) = (self.pointer().into(), self.i64().into());
            let ty = self.i32().fn_type(&[pointer, integer, pointer, integer], false);
            let function = self.module.add_function(symbol, ty, None);
            emit::hide(function.as_global_value());
            function
        })
    }

    fn outside_call(
        &self,
        builder: &Builder<'c>,
        name: &str,
        result: inkwell::types::IntType<'c>,
        args: &[BasicMetadataValueEnum<'c>],
    ) -> Result<IntValue<'c>> {
        let params: Vec<_> = args
            .iter()
            .map(|arg| match arg {
                BasicMetadataValueEnum::IntValue(value) => value.get_type().into(),
                _ => self.context.ptr_type(AddressSpace::default()).into(),
            })
            .collect();
        let declared = self.module.get_function(name).unwrap_or_else(|| {
            let function = self.module.add_function(name, result.fn_type(&params, false), None);
            emit::hide(function.as_global_value());
            function
        });
        let call = builder.build_call(declared, args, "")?;
        let value = call.try_as_basic_value().basic().map(|v| v.as_basic_value_enum());
        match value {
            Some(BasicValueEnum::IntValue(value)) => Ok(value),
            _ => Err(EmitError::Form(format!("`{name}` returns no number"))),
        }
    }
}

fn type_code(dtype: DType) -> Option<u8> {
    use weft_ir::types::Kind;
    Some(match dtype {
        DType::Bf16 => code::BFLOAT,
        DType::F64 | DType::F32 | DType::F16 => code::FLOAT,
        DType::Bool => code::BOOL,
        _ if dtype.kind() == Kind::Signed => code::INT,
        _ if dtype.kind() == Kind::Unsigned => code::UINT,
        _ => return None,
    })
}
