//! Which cores threads may use, and the workers of a pool kept off the one that their caller is busy on.
//!
//! A caller that wakes its workers goes on computing, so they should wake elsewhere. The scheduler of a virtual machine
//! gets that wrong: it takes a core that sleeps for one that the host has preempted (`vcpu_is_preempted`), finds no idle
//! one, and queues the worker behind its caller, which then waits for it. Load balancing parts the two after 4 to 40 ms:
//! runs that follow a pause were as slow as on one thread, or slower (products of one row with 95 MB of weights, two
//! threads, 50 ms between runs: 7.7 GB/s; 15 GB/s with the worker elsewhere).
#![expect(unsafe_code, reason = "asks the scheduler through libc")]

use core::ffi::c_int;

use crate::sys;

const WORDS: usize = 128;
const BITS: usize = u64::BITS as usize;

/// A set of cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores([u64; WORDS]);

impl Cores {
    /// Those that the calling thread may use; nothing if the system does not say.
    pub fn allowed() -> Option<Self> {
        let mut cores = Self([0; WORDS]);
        // SAFETY: the words are ours to write and their size is the one given.
        let got = unsafe { sys::sched_getaffinity(0, size_of_val(&cores.0), cores.0.as_mut_ptr()) };
        (got == 0).then_some(cores)
    }

    /// How many they are.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The same but one.
    #[must_use]
    pub fn without(mut self, core: usize) -> Self {
        if let Some(word) = self.0.get_mut(core / BITS) {
            *word &= !(1 << (core % BITS));
        }
        self
    }
}

/// How many cores this thread may use, at least one.
pub fn count() -> u32 {
    Cores::allowed().map_or(1, |cores| cores.count().max(1))
}

/// Where the workers of a pool may run: on the cores of their caller but the one it was on when it last woke them.
#[derive(Debug)]
pub struct Elsewhere {
    /// Threads of the pool, the caller included: with fewer cores there is none to leave out.
    threads: u32,
    /// The core that is left out.
    without: Option<c_int>,
}

impl Elsewhere {
    /// For a pool of so many threads.
    pub fn new(threads: u32) -> Self {
        Self { threads, without: None }
    }

    /// Keeps the workers off the core that this thread is on. Where the system refuses, they stay where they were.
    pub fn keep(&mut self, workers: &[sys::Thread]) {
        // SAFETY: takes nothing.
        let here = unsafe { sys::sched_getcpu() };
        let Ok(core) = usize::try_from(here) else { return };
        if self.without == Some(here) {
            return;
        }
        self.without = Some(here);
        let enough = |cores: &Cores| cores.count() >= self.threads;
        let Some(elsewhere) = Cores::allowed().filter(enough).map(|cores| cores.without(core)) else {
            return;
        };
        for worker in workers {
            // SAFETY: the caller's threads have not been joined; the words are as many bytes as given.
            unsafe {
                sys::pthread_setaffinity_np(*worker, size_of_val(&elsewhere.0), elsewhere.0.as_ptr());
            }
        }
    }
}
