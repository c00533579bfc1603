//! What came out: files, or a line per output; and the profile.
#![expect(unsafe_code, reason = "reads the outputs of a session")]

use core::ffi::CStr;
use core::fmt::Write;

use crate::abi::{DLTensor, WeftPort};
use crate::bind::{self, TypeName};
use crate::elem::Elem;
use crate::main_exe::arguments::Arguments;
use crate::main_exe::npy::{self, View};
use crate::main_exe::{Exit, fail, files, say};
use crate::session::Session;
use crate::text::{Lossy, Text, c_text, slice};

/// How many elements a summary shows.
const SHOWN: usize = 5;

/// Writes all outputs to a folder, or shows them.
pub fn outputs(session: &Session, outputs: &[DLTensor], asked: &Arguments<'_>) -> Result<(), Exit> {
    if let Some(folder) = asked.output_dir {
        files::make_folder(folder).map_err(|error| {
            fail(format_args!("folder `{}` cannot be made: {error}", Lossy(folder.to_bytes())))
        })?;
    }
    for (index, (port, tensor)) in session.outputs().iter().zip(outputs).enumerate() {
        // SAFETY: the session has just made this tensor.
        let view = unsafe { view(port, tensor) };
        match asked.output_dir {
            Some(folder) => write(session, folder, index, view)?,
            None => summary(port, view),
        }
    }
    Ok(())
}

/// # Safety
/// The tensor must be an output of the port, alive for `'a`.
unsafe fn view<'a>(port: &WeftPort, tensor: &DLTensor) -> View<'a> {
    // SAFETY: the caller vouches for it.
    let shape = unsafe { slice(tensor.shape.cast_const(), usize::from(port.rank)) };
    let bytes = bind::bytes(shape, port.bits).unwrap_or(0) as usize;
    // SAFETY: the caller vouches for it.
    View { dtype: tensor.dtype, shape, data: unsafe { slice(tensor.data.cast::<u8>().cast_const(), bytes) } }
}

fn write(session: &Session, folder: &CStr, index: usize, view: View<'_>) -> Result<(), Exit> {
    let ports = session.outputs();
    let name = files::file_name(|port| bind::name(&ports[port]), index);
    let path = files::npy_path(folder, name.bytes()).ok_or_else(|| {
        let folder = Lossy(folder.to_bytes());
        fail(format_args!("no path can be made of folder `{folder}` and output `{name:?}`"))
    })?;
    npy::write(files::c_path(&path), view)
        .map_err(|error| fail(format_args!("output `{name:?}` to `{path:?}`: {error}")))
}

fn summary(port: &WeftPort, view: View<'_>) {
    let mut line = Text::<2048>::new();
    line.set(format_args!("{}: {}{:?}", bind::name(port), TypeName(view.dtype), view.shape));
    if let Some(elem) = Elem::new(port.dtype, port.bits) {
        let _ = statistics(&mut line, elem, view.data);
    }
    say(format_args!("{line:?}\n"));
}

fn statistics(line: &mut Text<2048>, elem: Elem, data: &[u8]) -> core::fmt::Result {
    let count = data.len() / elem.bytes();
    if count == 0 {
        return Ok(());
    }
    let values = || (0..count).map(|index| elem.to_f64(elem.load(data, index)));
    let (mut least, mut most, mut sum, mut nans) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0_u64);
    for value in values() {
        (least, most, sum) = (least.min(value), most.max(value), sum + value);
        nans += u64::from(value.is_nan());
    }
    let mean = sum / count as f64;
    write!(line, "  min {} max {} mean {}  [", Short(least), Short(most), Short(mean))?;
    for (index, value) in values().take(SHOWN).enumerate() {
        write!(line, "{}{}", if index == 0 { "" } else { ", " }, Short(value))?;
    }
    line.write_str(if count > SHOWN { ", ...]" } else { "]" })?;
    if nans > 0 { write!(line, "  {nans} NaN") } else { Ok(()) }
}

/// A number without needless digits: whole ones plain, very small or large ones with an exponent.
struct Short(f64);

impl core::fmt::Display for Short {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let size = self.0.abs();
        match self.0 {
            value if size < 1e15 && value == value as i64 as f64 => write!(f, "{}", value as i64),
            value if (1e-4..1e7).contains(&size) => write!(f, "{value:.6}"),
            value => write!(f, "{value:.6e}"),
        }
    }
}

/// Prints the time of every kernel, and of whole runs.
pub fn profile(session: &Session) {
    let total = session.tallies().last().map_or(1, |tally| tally[1].max(1));
    say(format_args!("      calls          ms  share  kernel (schedule)\n"));
    for line in session.profile() {
        let time = line.nanoseconds as f64;
        let (calls, time, share) = (line.calls, time / 1e6, 100.0 * time / total as f64);
        // SAFETY: both are C strings in the model or the runtime.
        let (name, schedule) = unsafe { (c_text(line.name), c_text(line.schedule)) };
        say(format_args!("{calls:11} {time:11.3} {share:5.1}%  {name} ({schedule})\n"));
    }
}
