//! The text of `--help`.
#![expect(unsafe_code, reason = "reads the tables of a compiled model")]

use core::ffi::c_char;
use core::fmt::{self, Write};

use crate::abi::WeftPort;
use crate::bind::{self, TypeName};
use crate::main_exe::say;
use crate::session::Session;
use crate::text::{c_text, slice};

const OPTIONS: &str = "options:
  --input NAME=FILE    a tensor from a .npy file, for an input
  --inputs DIR         a folder with NAME.npy for each other input
  --random SEED        random tensors for inputs without a file: floats of mean 0 and variance 1,
                       integers and booleans 0 or 1, the same for the same seed
  --dim NAME=VALUE     the value of a symbolic extent in random inputs (1 unless given)
  --threads N          how many threads to use (one per core unless given)
  --output-dir DIR     writes NAME.npy for each output instead of a summary; in NAME, what is not a
                       letter, digit, `.`, `_` or `-` becomes `_`
  --bench              runs the model again and again and prints the median and least time
  --seconds S          for how long (3 unless given)
  --profile            prints the time of each kernel
  --help               prints this

a `.npy` file holds bfloat16 as 32-bit floats
exit codes: 0 done, 1 the work failed, 2 wrong usage
";

/// Prints how to use the program and what the model takes and gives.
pub fn print(session: &Session, program: Option<*const c_char>) {
    // SAFETY: the program's name and the model's are C strings.
    let (name, program) = unsafe {
        (
            c_text(session.model().name),
            c_text(program.filter(|name| !name.is_null()).unwrap_or(c"model".as_ptr())),
        )
    };
    say(format_args!("{name}, compiled by weft\n\nusage: {program} [options]\n\n{OPTIONS}\ninputs:\n"));
    ports(session.inputs());
    say(format_args!("outputs:\n"));
    ports(session.outputs());
}

fn ports(ports: &[WeftPort]) {
    for port in ports {
        say(format_args!("  {}: {}{}\n", bind::name(port), TypeName(bind::dtype(port)), Extents(port)));
    }
}

/// The extents of a port as the compiler prints them.
struct Extents<'a>(&'a WeftPort);

impl fmt::Display for Extents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        // SAFETY: a valid port has `rank` extents.
        let dims = unsafe { slice(self.0.dims, usize::from(self.0.rank)) };
        for (axis, dim) in dims.iter().enumerate() {
            let comma = if axis == 0 { "" } else { ", " };
            if dim.fixed >= 0 {
                write!(f, "{comma}{}", dim.fixed)?;
            } else {
                // SAFETY: the text is null or a C string in the model.
                write!(f, "{comma}{}", unsafe { c_text(dim.text) })?;
            }
        }
        f.write_char(']')
    }
}
