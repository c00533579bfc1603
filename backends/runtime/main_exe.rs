//! The program that `--emit exe` makes: reads tensors, runs the model, writes or shows what comes out.
#![expect(unsafe_code, reason = "reads the arguments and the tables of a compiled model")]

use core::ffi::c_char;
use core::fmt;

use crate::abi::{DLTensor, WeftModel, WeftOptions};
use crate::memory::Array;
use crate::session::{ErrorText, Session};
use crate::sys;
use crate::text::{Lossy, Text};

pub mod arguments;
pub mod bench;
pub mod files;
pub mod header;
pub mod help;
pub mod inputs;
pub mod npy;
pub mod report;

use arguments::{Arguments, Ask};

/// The exit code of a program that ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub i32);

/// The exit code when the work failed.
const FAILED: i32 = 1;
/// The exit code when the arguments are wrong.
const USAGE: i32 = 2;

/// Writes a text to standard output; what is longer than a page is cut.
pub fn say(text: fmt::Arguments<'_>) {
    put(1, text);
}

/// Says on standard error why the work failed.
pub fn fail(reason: fmt::Arguments<'_>) -> Exit {
    put(2, format_args!("error: {reason}\n"));
    Exit(FAILED)
}

/// Says on standard error what is wrong with the arguments.
pub fn misuse(reason: fmt::Arguments<'_>) -> Exit {
    put(2, format_args!("error: {reason}\n\nfor the options, run with `--help`\n"));
    Exit(USAGE)
}

fn put(file: i32, text: fmt::Arguments<'_>) {
    let mut page = Text::<4096>::new();
    page.set(text);
    // Whoever closed our output does not want to hear of it.
    let _ = files::write_all(file, page.bytes());
}

/// Runs the program and returns its exit code.
///
/// # Safety
/// The model must be one that the compiler emitted, the arguments those of a C program.
pub unsafe fn main(model: *const WeftModel, arguments: &[*const c_char]) -> i32 {
    // SAFETY: the caller vouches for both.
    match unsafe { start(model, arguments) } {
        Ok(()) => 0,
        Err(Exit(code)) => code,
    }
}

/// # Safety
/// As for [`main`].
unsafe fn start(model: *const WeftModel, arguments: &[*const c_char]) -> Result<(), Exit> {
    // SAFETY: the caller vouches for the model.
    let mut session = unsafe { open(model, WeftOptions { threads: 1, ..WeftOptions::default() }) }?;
    // SAFETY: the caller vouches for the arguments.
    match unsafe { arguments::read(&session, arguments) }? {
        Ask::Help => help::print(&session, arguments.first().copied()),
        Ask::Run(request) => {
            let profile = u32::from(request.profile);
            let options = WeftOptions { threads: request.threads, profile, ..WeftOptions::default() };
            // SAFETY: the caller vouches for the model.
            session = unsafe { open(model, options) }?;
            run(&mut session, &request)?;
        }
    }
    Ok(())
}

/// # Safety
/// As for [`main`].
unsafe fn open(model: *const WeftModel, options: WeftOptions) -> Result<Session, Exit> {
    let mut error = ErrorText::new();
    // SAFETY: the caller vouches for the model.
    unsafe { Session::open(model, options, &mut error) }.ok_or_else(|| fail(format_args!("{error:?}")))
}

fn run(session: &mut Session, request: &Arguments<'_>) -> Result<(), Exit> {
    let inputs = inputs::gather(session, request)?;
    let mut outputs = array::<DLTensor>(session.outputs().len())?;
    once(session, &inputs.tensors, &mut outputs)?;
    if request.bench {
        bench::run(session, &inputs.tensors, request.seconds)?;
    }
    report::outputs(session, &outputs, request)?;
    if request.profile {
        report::profile(session);
    }
    Ok(())
}

/// Runs the model once.
pub fn once(session: &mut Session, inputs: &[DLTensor], outputs: &mut [DLTensor]) -> Result<(), Exit> {
    // SAFETY: the inputs were made by `inputs::gather`, which owns their memory.
    unsafe { session.run(inputs, outputs) }
        .map_err(|_| fail(format_args!("{}", Lossy(session.error.bytes()))))
}

/// An array, or the end of the program.
pub fn array<T: crate::memory::Zeroed>(length: usize) -> Result<Array<T>, Exit> {
    Array::new(length).ok_or_else(|| fail(format_args!("memory for {length} entries cannot be had")))
}

/// Nanoseconds since an earlier moment.
pub fn since(start: u64) -> u64 {
    sys::nanoseconds().saturating_sub(start)
}
