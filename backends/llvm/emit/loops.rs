//! What LLVM is told about loops.
#![expect(unsafe_code, reason = "metadata that refers to itself has no safe interface")]
use super::{EmitError, Result};
use inkwell::context::{AsContextRef, Context};
use inkwell::llvm_sys::core::{LLVMMDNodeInContext2, LLVMMDStringInContext2, LLVMMetadataAsValue};
use inkwell::llvm_sys::debuginfo::{LLVMMetadataReplaceAllUsesWith, LLVMTemporaryMDNode};
use inkwell::llvm_sys::prelude::{LLVMContextRef, LLVMMetadataRef};
use inkwell::values::{InstructionValue, MetadataValue};

/// Forbids vectorising and unrolling the loop that a branch closes.
pub(super) fn as_written(context: &Context, branch: InstructionValue<'_>) -> Result<()> {
    let raw = context.as_ctx_ref();
    // SAFETY: the context lives, every node handed over was made in it, and the temporary node is
    // replaced before anything else can see it.
    let value = unsafe {
        let itself = LLVMTemporaryMDNode(raw, std::ptr::null_mut(), 0);
        let mut operands = [itself, property(raw, "llvm.loop.unroll.disable"), vectorize_off(context)];
        let node = LLVMMDNodeInContext2(raw, operands.as_mut_ptr(), operands.len());
        LLVMMetadataReplaceAllUsesWith(itself, node);
        MetadataValue::new(LLVMMetadataAsValue(raw, node))
    };
    branch
        .set_metadata(value, context.get_kind_id("llvm.loop"))
        .map_err(|e| EmitError::Form(format!("loop metadata is refused: {e}")))
}

/// SAFETY: the context must live.
unsafe fn property(raw: LLVMContextRef, name: &str) -> LLVMMetadataRef {
    // SAFETY: the string is copied into the context.
    unsafe {
        let mut name = [LLVMMDStringInContext2(raw, name.as_ptr().cast(), name.len())];
        LLVMMDNodeInContext2(raw, name.as_mut_ptr(), name.len())
    }
}

/// SAFETY: the context must live.
unsafe fn vectorize_off(context: &Context) -> LLVMMetadataRef {
    use inkwell::llvm_sys::core::LLVMValueAsMetadata;
    use inkwell::values::AsValueRef;
    let raw = context.as_ctx_ref();
    let name = "llvm.loop.vectorize.enable";
    let off = context.bool_type().const_zero().as_value_ref();
    // SAFETY: the constant and the strings belong to the context.
    unsafe {
        let mut operands =
            [LLVMMDStringInContext2(raw, name.as_ptr().cast(), name.len()), LLVMValueAsMetadata(off)];
        LLVMMDNodeInContext2(raw, operands.as_mut_ptr(), operands.len())
    }
}
