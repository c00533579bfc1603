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
