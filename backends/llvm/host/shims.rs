//! The C functions of an artifact: each calls the runtime's function of the same name, with the
//! model where that takes one.
use super::Host;
use crate::emit::{EmitError, Result, hide};
use inkwell::types::BasicMetadataTypeEnum;
use inkwell::values::{BasicMetadataValueEnum, PointerValue};

/// What a function takes or returns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ty {
    Nothing,
    I32,
    /// `size_t`.
    Size,
    Pointer,
}

/// A function of the C interface.
struct Shim {
    name: &'static str,
    /// Whether the runtime's function takes the model first.
    model: bool,
    params: &'static [Ty],
    result: Ty,
}

const SHIMS: [Shim; 8] = [
    Shim { name: "abi_version", model: false, params: &[], result: Ty::I32 },
    Shim { name: "open", model: true, params: &[Ty::Pointer, Ty::Pointer, Ty::Size], result: Ty::Pointer },
    Shim { name: "inputs", model: true, params: &[Ty::Pointer], result: Ty::Pointer },
    Shim { name: "outputs", model: true, params: &[Ty::Pointer], result: Ty::Pointer },
    Shim {
        name: "run",
        model: false,
        params: &[Ty::Pointer, Ty::Pointer, Ty::Size, Ty::Pointer, Ty::Size],
        result: Ty::I32,
    },
    Shim { name: "error", model: false, params: &[Ty::Pointer], result: Ty::Pointer },
    Shim { name: "close", model: false, params: &[Ty::Pointer], result: Ty::Nothing },
    Shim { name: "profile", model: false, params: &[Ty::Pointer, Ty::Pointer, Ty::Size], result: Ty::Size },
];

/// The names of the C functions of an artifact.
pub(crate) fn names(stem: &str) -> impl Iterator<Item = String> {
    SHIMS.iter().map(move |shim| format!("{stem}_{}", shim.name))
}

impl<'c> Host<'_, 'c> {
    pub(super) fn shims(&self, model: PointerValue<'c>) -> Result<()> {
        SHIMS.iter().try_for_each(|shim| self.shim(shim, model))
    }

    fn shim(&self, shim: &Shim, model: PointerValue<'c>) -> Result<()> {
        let own: Vec<_> = shim.params.iter().map(|ty| self.param(*ty)).collect();
        let passed: Vec<_> =
            shim.model.then(|| self.param(Ty::Pointer)).into_iter().chain(own.clone()).collect();
        let runtime = self.declare(&format!("weft_rt_{}", shim.name), shim.result, &passed);
        hide(runtime.as_global_value());
        let function = self.declare(&format!("{}_{}", self.job.stem, shim.name), shim.result, &own);
        self.job.machine.mark(self.context, function);
        let builder = self.context.create_builder();
        builder.position_at_end(self.context.append_basic_block(function, "entry"));
        let mut args: Vec<BasicMetadataValueEnum<'c>> = Vec::new();
        args.extend(shim.model.then_some(BasicMetadataValueEnum::from(model)));
        args.extend(function.get_param_iter().map(BasicMetadataValueEnum::from));
        let call = builder.build_call(runtime, &args, "")?;
        call.set_tail_call(true);
        match call.try_as_basic_value().basic() {
            Some(value) => builder.build_return(Some(&value))?,
            None if shim.result == Ty::Nothing => builder.build_return(None)?,
            None => return Err(EmitError::Form(format!("`{}` returns nothing", shim.name))),
        };
        Ok(())
    }

    fn declare(
        &self,
        name: &str,
        result: Ty,
        params: &[BasicMetadataTypeEnum<'c>],
    ) -> inkwell::values::FunctionValue<'c> {
        let ty = match result {
            Ty::Nothing => self.context.void_type().fn_type(params, false),
            Ty::I32 => self.i32().fn_type(params, false),
            Ty::Size => self.i64().fn_type(params, false),
            Ty::Pointer => self.pointer().fn_type(params, false),
        };
        self.module.add_function(name, ty, None)
    }

    fn param(&self, ty: Ty) -> BasicMetadataTypeEnum<'c> {
        match ty {
            Ty::I32 | Ty::Nothing => self.i32().into(),
            Ty::Size => self.i64().into(),
            Ty::Pointer => self.pointer().into(),
        }
    }
}
