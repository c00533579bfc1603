//! Measures how long a run takes.

use crate::abi::DLTensor;
use crate::main_exe::{Exit, array, once, say, since};
use crate::session::Session;
use crate::sys;

/// The most runs that are kept for the median.
const MOST_RUNS: usize = 1 << 20;

/// Runs before the measurement, besides the one whose outputs are shown.
const WARM_UP: usize = 2;

/// Runs the model for `seconds`, at least five times, and prints the median and least time.
pub fn run(session: &mut Session, inputs: &[DLTensor], seconds: f64) -> Result<(), Exit> {
    let mut times = array::<u64>(MOST_RUNS)?;
    for _ in 0..WARM_UP {
        once(session, inputs, &mut [])?;
    }
    let begin = sys::nanoseconds();
    let mut runs = 0;
    while runs < MOST_RUNS && (runs < 5 || (since(begin) as f64) < seconds * 1e9) {
        let start = sys::nanoseconds();
        once(session, inputs, &mut [])?;
        times[runs] = since(start);
        runs += 1;
    }
    let times = &mut times[..runs];
    times.sort_unstable();
    let (median, least, threads) =
        (times[runs / 2] as f64 / 1e6, times[0] as f64 / 1e6, session.pool.threads());
    say(format_args!("median {median:.4} ms, min {least:.4} ms, {runs} runs, {threads} threads\n"));
    Ok(())
}
