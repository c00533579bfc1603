//! LLVM's fatal errors.
//!
//! LLVM ends the process when its code generator meets what it cannot translate. It asks a handler
//! first: ours says which unit of code this thread was at, and ends the process with code 1.
#![expect(unsafe_code, reason = "LLVM calls back through C")]
use std::cell::RefCell;
use std::ffi::{CStr, c_char};
use std::io::Write;
use std::sync::Once;

thread_local! {
    static AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says what this thread generates code for from now on.
pub(crate) fn working_on(what: &str) {
    static ONCE: Once = Once::new();
    // SAFETY: the handler has the signature LLVM expects, and does not unwind.
    ONCE.call_once(|| unsafe { inkwell::support::error_handling::install_fatal_error_handler(handler) });
    AT.with_borrow_mut(|at| what.clone_into(at));
}

extern "C" fn handler(reason: *const c_char) {
    let reason = if reason.is_null() {
        "no reason given".into()
    } else {
        // SAFETY: LLVM passes a C string that lives during the call.
        unsafe { CStr::from_ptr(reason) }.to_string_lossy()
    };
    let at = AT.try_with(|at| at.try_borrow().map(|at| at.clone()).unwrap_or_default()).unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "error: {at}: llvm cannot generate code: {}", reason.trim());
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Machine;
    use inkwell::context::Context;
    use inkwell::memory_buffer::MemoryBuffer;
    use inkwell::targets::FileType;
    use weft_backend::OptLevel;

    /// Set for the process that is to die.
    const DYING: &str = "WEFT_TEST_DYING";

    /// Instructions that the processor does not have.
    const IMPOSSIBLE: &[u8] = b"
        declare <16 x i32> @llvm.x86.avx512.vpdpbusd.512(<16 x i32>, <64 x i8>, <64 x i8>)
        define <16 x i32> @f(<16 x i32> %a, <64 x i8> %b) {
          %c = call <16 x i32> @llvm.x86.avx512.vpdpbusd.512(<16 x i32> %a, <64 x i8> %b, <64 x i8> %b)
          ret <16 x i32> %c
        }";

    #[test]
    fn the_kernel_is_named() {
        if std::env::var_os(DYING).is_some() {
            working_on("kernel `gemm_7`");
            let context = Context::create();
            let text = MemoryBuffer::create_from_memory_range_copy(IMPOSSIBLE, "f");
            let module = context.create_module_from_ir(text).unwrap();
            let generator = Machine::named("x86-64-v2").unwrap().code_generator(OptLevel::O2).unwrap();
            let _ = generator.write_to_memory_buffer(&module, FileType::Object);
            return;
        }
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let done = child.args(["--nocapture", "the_kernel_is_named"]).env(DYING, "1").output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("error: kernel `gemm_7`: llvm cannot generate code: "), "{said}");
    }
}
