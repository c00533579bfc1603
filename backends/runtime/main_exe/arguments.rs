//! What the program is asked to do.
#![expect(unsafe_code, reason = "reads the arguments of a C program")]

use core::ffi::{CStr, c_char};

use crate::bind;
use crate::extent;
use crate::main_exe::{Exit, array, misuse};
use crate::memory::Array;
use crate::session::Session;
use crate::text::{Lossy, c_bytes};

/// What a program may be asked.
pub enum Ask<'a> {
    /// To explain itself.
    Help,
    /// To run the model.
    Run(Arguments<'a>),
}

/// The arguments of a run.
pub struct Arguments<'a> {
    /// The file of each input, or null.
    pub files: Array<*const c_char>,
    /// The folder with a file for each other input.
    pub folder: Option<&'a CStr>,
    /// The seed for inputs without a file.
    pub random: Option<u64>,
    /// The value of each symbol for random inputs, or -1.
    pub dims: Array<i64>,
    /// How many threads; 0 means one per core.
    pub threads: u32,
    /// Where outputs are written.
    pub output_dir: Option<&'a CStr>,
    /// Whether to measure.
    pub bench: bool,
    /// For how long to measure.
    pub seconds: f64,
    /// Whether to show the time of each kernel.
    pub profile: bool,
}

/// Options that take no value.
const FLAGS: [&[u8]; 4] = [b"--help", b"-h", b"--bench", b"--profile"];

/// Reads the arguments after the program's name.
///
/// # Safety
/// They must be C strings that live as long as the program.
pub unsafe fn read<'a>(session: &Session, arguments: &[*const c_char]) -> Result<Ask<'a>, Exit> {
    let mut asked = Arguments {
        files: array(session.inputs().len())?,
        folder: None,
        random: None,
        dims: array(session.model().n_syms as usize)?,
        threads: 0,
        output_dir: None,
        bench: false,
        seconds: 3.0,
        profile: false,
    };
    asked.dims.fill(-1);
    let mut rest = arguments.iter().skip(1);
    while let Some(&argument) = rest.next() {
        // SAFETY: the caller vouches for it.
        let text = unsafe { c_bytes(argument) };
        if FLAGS.contains(&text) {
            match text {
                b"--bench" => asked.bench = true,
                b"--profile" => asked.profile = true,
                _ => return Ok(Ask::Help),
            }
            continue;
        }
        let equals = text.iter().position(|&byte| byte == b'=').filter(|_| text.starts_with(b"--"));
        let (name, value) = match equals {
            Some(at) => (&text[..at], Some(argument.wrapping_add(at + 1))),
            None => (text, rest.next().copied()),
        };
        // SAFETY: an argument, or the end of one.
        let value = value.map(|value| unsafe { CStr::from_ptr(value) });
        asked.set(session, name, value)?;
    }
    Ok(Ask::Run(asked))
}

impl<'a> Arguments<'a> {
    fn set(&mut self, session: &Session, name: &[u8], value: Option<&'a CStr>) -> Result<(), Exit> {
        let known: [&[u8]; 7] =
            [b"--input", b"--inputs", b"--random", b"--dim", b"--threads", b"--output-dir", b"--seconds"];
        if !known.contains(&name) {
            return Err(misuse(format_args!("found unknown argument `{}`", Lossy(name))));
        }
        let Some(value) = value else {
            return Err(misuse(format_args!("found no value after `{}`", Lossy(name))));
        };
        let text = value.to_bytes();
        let shown = Lossy(text);
        let wrong = |expected: &str| {
            let name = Lossy(name);
            misuse(format_args!("found `{shown}` after `{name}`, expected {expected}"))
        };
        match name {
            b"--input" => self.set_input(session, value)?,
            b"--inputs" => self.folder = Some(value),
            b"--output-dir" => self.output_dir = Some(value),
            b"--dim" => self.set_dim(session, text)?,
            b"--random" => self.random = Some(natural(text).ok_or_else(|| wrong("a number"))? as u64),
            b"--threads" => {
                let count = natural(text).filter(|count| (1..=1024).contains(count));
                self.threads = count.ok_or_else(|| wrong("a number from 1 to 1024"))? as u32;
            }
            _ => {
                let seconds = str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
                let seconds = seconds.filter(|seconds| (0.0..=86_400.0).contains(seconds));
                self.seconds = seconds.ok_or_else(|| wrong("seconds, at most a day"))?;
            }
        }
        Ok(())
    }

    /// Takes `NAME=FILE`; the longest name of an input counts, since names may hold `=`.
    fn set_input(&mut self, session: &Session, value: &'a CStr) -> Result<(), Exit> {
        let text = value.to_bytes();
        let names = session.inputs().iter().map(|port| bind::name(port).0);
        let is_start = |name: &[u8]| text.strip_prefix(name).is_some_and(|rest| rest.starts_with(b"="));
        let found = names.enumerate().filter(|(_, name)| is_start(name)).max_by_key(|(_, name)| name.len());
        let Some((index, name)) = found else {
            let text = Lossy(text);
            return Err(misuse(format_args!(
                "found `{text}` after `--input`, expected NAME=FILE with the name of an input"
            )));
        };
        self.files[index] = value.as_ptr().wrapping_add(name.len() + 1);
        Ok(())
    }

    fn set_dim(&mut self, session: &Session, text: &[u8]) -> Result<(), Exit> {
        let at = text.iter().rposition(|&byte| byte == b'=').unwrap_or(0);
        let sym = (0..self.dims.len()).find(|&sym| session.sym_name(sym) == &text[..at]);
        let value = text.get(at + 1..).and_then(natural);
        let (Some(sym), Some(value)) = (sym, value) else {
            let text = Lossy(text);
            return Err(misuse(format_args!(
                "found `{text}` after `--dim`, expected NAME=NUMBER with the name of a symbolic extent"
            )));
        };
        self.dims[sym] = value;
        Ok(())
    }
}

fn natural(text: &[u8]) -> Option<i64> {
    extent::number(text)
}
