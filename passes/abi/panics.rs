//! Panics of a plugin become messages: none may cross the boundary.
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::Once;

thread_local! {
    /// What the last panic on this thread said, and where.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has panics kept for [`guarded`] instead of written to the terminal. A plugin library has a
/// standard library of its own, so nobody else's panics are meant.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_hook(Box::new(remember)));
}

fn remember(panic: &PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    SAID.with(|last| last.replace(format!("it panicked{place}: {said}")));
}

/// The result of `work`, or what its panic said.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    SAID.with(|last| last.borrow_mut().clear());
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        // A payload may panic when it is dropped.
        std::mem::forget(payload);
        let said = SAID.with(RefCell::take);
        if said.is_empty() { "it panicked".to_string() } else { said }
    })
}
