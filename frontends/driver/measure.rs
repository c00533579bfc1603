//! How fast a compiled library runs, and what takes the time.
use crate::error::Error;
use crate::inputs::InputSources;
use crate::ports::{Port, Ports};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;
use weft_ir::Tensor;
use weft_load::{Executable, Options};

/// Runs before the measurement, besides the first.
const WARM_UP: usize = 2;
/// Runs that are measured at least.
const LEAST_RUNS: usize = 5;
/// The most runs that are measured.
const MOST_RUNS: usize = 1 << 20;
/// For how long kernels are measured, as a share of the time of whole runs.
const PROFILE_SHARE: f64 = 0.2;

/// What is measured.
#[derive(Debug, Clone, Default)]
pub struct MeasureOptions {
    /// How many threads; 0 for one per processor.
    pub threads: u32,
    /// For how long.
    pub seconds: f64,
    /// Outputs that become inputs of the next step, by name.
    pub feed: Vec<(String, String)>,
    /// How many steps are one round; then the inputs are the first ones again.
    pub steps: u32,
}

/// What was measured. Times are those of single runs, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// The median.
    pub median_ms: f64,
    /// The least.
    pub min_ms: f64,
    /// What nine of ten runs stayed under.
    pub p90_ms: f64,
    /// How many runs were measured.
    pub runs: usize,
    /// How many threads there were.
    pub threads: u32,
    /// The first run.
    pub first_ms: f64,
    /// Opening the library and a session.
    pub load_ms: f64,
    /// The most memory this process had resident until the last run.
    pub peak_rss_mb: f64,
    /// How long the library's file is.
    pub artifact_bytes: u64,
    /// Steps in a second, when outputs are fed back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_per_second: Option<f64>,
    /// The kernels, the longest first.
    pub kernels: Vec<KernelTime>,
}

/// What one kernel took of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelTime {
    /// Its name.
    pub name: String,
    /// Milliseconds of one run.
    pub time_ms: f64,
    /// Of all the time of a run, from 0 to 1.
    pub share: f64,
    /// Launches in one run.
    pub calls: f64,
    /// What kind of loops it is.
    pub schedule: String,
}

/// Measures a library.
pub fn measure(
    library: &Path,
    sources: &InputSources,
    options: &MeasureOptions,
) -> Result<Measurement, Error> {
    let threads = options.threads;
    let start = Instant::now();
    let opened = Executable::open(library, Options { threads, profile: false })?;
    let load_ms = milliseconds(start);
    let ports = Ports::of_library(&opened);
    let inputs = sources.gather(&ports.inputs)?;
    let inputs = inputs.tensors.iter().map(|tensor| (**tensor).clone()).collect();
    let mut rounds = Rounds::new(inputs, &ports, options)?;
    let first_ms = rounds.step(&opened)?;
    for _ in 0..WARM_UP {
        rounds.step(&opened)?;
    }
    let mut times = rounds.times(&opened, options.seconds, MOST_RUNS)?;
    times.sort_by(f64::total_cmp);
    let peak_rss_mb = peak_megabytes();
    drop(opened);
    let profiled = Executable::open(library, Options { threads, profile: true })?;
    rounds.times(&profiled, options.seconds * PROFILE_SHARE, times.len())?;
    let total: f64 = times.iter().sum();
    let fed = !options.feed.is_empty();
    Ok(Measurement {
        median_ms: times[times.len() / 2],
        min_ms: times[0],
        p90_ms: times[times.len() * 9 / 10],
        runs: times.len(),
        threads: if threads == 0 { processors() } else { threads },
        first_ms,
        load_ms,
        peak_rss_mb,
        artifact_bytes: library.metadata().map_or(0, |data| data.len()),
        steps_per_second: fed.then(|| times.len() as f64 * 1e3 / total),
        kernels: kernels(&profiled),
    })
}

/// The inputs as they change from step to step.
struct Rounds {
    first: Vec<Tensor>,
    now: Vec<Tensor>,
    /// Which output becomes which input.
    feed: Vec<(usize, usize)>,
    steps: u32,
    step: u32,
}

impl Rounds {
    fn new(first: Vec<Tensor>, ports: &Ports, options: &MeasureOptions) -> Result<Self, Error> {
        let number = |ports: &[Port], what: &str, name: &String| {
            let found = ports.iter().position(|port| port.name == *name);
            found.ok_or_else(|| Error::Inputs(format!("`--feed`: no {what} is named `{name}`")))
        };
        let pair = |(output, input): &(String, String)| {
            Ok((number(&ports.outputs, "output", output)?, number(&ports.inputs, "input", input)?))
        };
        let feed = options.feed.iter().map(pair).collect::<Result<_, Error>>()?;
        Ok(Self { now: first.clone(), first, feed, steps: options.steps.max(1), step: 0 })
    }

    /// Runs once; how many milliseconds that took.
    fn step(&mut self, library: &Executable) -> Result<f64, Error> {
        let start = Instant::now();
        if self.feed.is_empty() {
            library.call(&self.now)?;
            return Ok(milliseconds(start));
        }
        let outputs = library.run(&self.now)?;
        let time = milliseconds(start);
        self.step = (self.step + 1) % self.steps;
        if self.step == 0 {
            self.now.clone_from(&self.first);
        } else {
            self.feed.iter().for_each(|(output, input)| self.now[*input] = outputs[*output].clone());
        }
        Ok(time)
    }

    fn times(&mut self, library: &Executable, seconds: f64, most: usize) -> Result<Vec<f64>, Error> {
        let (begin, mut times) = (Instant::now(), Vec::new());
        while times.len() < most && (times.len() < LEAST_RUNS || begin.elapsed().as_secs_f64() < seconds) {
            times.push(self.step(library)?);
        }
        Ok(times)
    }
}

/// The kernels of a library that measured them, and the longest first.
fn kernels(library: &Executable) -> Vec<KernelTime> {
    let lines = library.profile();
    let Some((run, kernels)) = lines.split_last() else { return Vec::new() };
    let (runs, total) = (run.calls.max(1) as f64, run.nanoseconds.max(1) as f64);
    let time = |line: &weft_load::ProfileLine| KernelTime {
        name: line.name.clone(),
        time_ms: line.nanoseconds as f64 / runs / 1e6,
        share: line.nanoseconds as f64 / total,
        calls: line.calls as f64 / runs,
        schedule: line.schedule.clone(),
    };
    let mut kernels: Vec<KernelTime> = kernels.iter().map(time).collect();
    kernels.sort_by(|a, b| b.time_ms.total_cmp(&a.time_ms));
    kernels
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(NonZeroUsize::get(n)).unwrap_or(1))
}

/// The most memory this process had resident so far; 0 where the system does not say.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}
