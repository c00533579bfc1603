//! A fork-join pool: one launch at a time, its tasks shared by the caller and the workers.
//!
//! # The protocol
//! Two words carry it. `gate` packs an epoch, an OPEN bit and the number of workers inside:
//!
//! 1. The caller is alone with the job: the gate is closed and nobody is inside. It writes the job, resets the
//!    task counter, and opens the gate under the next epoch (release).
//! 2. A worker that sees an open gate of an epoch it has not served yet enters by compare-and-swap, which adds one
//!    to the number inside (acquire). Only then does it read the job. It takes chunks from the counter until none
//!    is left, and leaves by subtracting one (release).
//! 3. The caller takes chunks as well. When none is left it closes the gate and waits until nobody is inside.
//!
//! A worker that comes late finds the gate closed, or open under a later epoch: its compare-and-swap covers the
//! epoch, so it can never enter the wrong launch nor see a job that is being written. The caller waits only for
//! workers that did enter; one that sleeps or was preempted outside costs nothing.
//!
//! Workers spin for a moment and then sleep on `bell`, which repeats the epoch. A sleeper announces itself in
//! `sleepers` before it looks at the bell, the caller rings before it looks at `sleepers`, all sequentially
//! consistent: one of the two always sees the other, so no wake-up is lost. The caller sleeps on `waiting` likewise.
#![expect(unsafe_code, reason = "starts threads and calls kernels through pointers")]

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::abi::WeftKernelFn;
use crate::cores::{self, Elsewhere};
use crate::memory::{Array, Zeroed};
use crate::sys;

const OPEN: u64 = 1 << 31;
const INSIDE: u64 = OPEN - 1;
const EPOCH: u64 = 1 << 32;

/// Chunks per thread: few enough to be cheap, many enough to even out threads of unequal speed.
const CHUNKS: i64 = 4;

/// How many times a thread looks again before it sleeps, when every thread has a core to itself.
const SPINS: u32 = 4000;

/// More threads than this are never useful and would not fit the number inside.
const MOST_THREADS: u32 = 1024;

/// One launch: a kernel and what it is called with.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// The kernel.
    pub kernel: WeftKernelFn,
    /// Its buffers.
    pub args: *const *mut u8,
    /// Its numbers.
    pub dims: *const i64,
    /// How many tasks its grid has.
    pub tasks: i64,
}

impl Job {
    /// # Safety
    /// The kernel must be sound for these arguments and this part of the grid.
    unsafe fn call(&self, begin: i64, end: i64) {
        // SAFETY: the caller vouches for it.
        unsafe { (self.kernel)(self.args, self.dims, begin, end) }
    }
}

/// Keeps a word on cache lines of its own.
#[repr(align(128))]
struct Alone<T>(T);

/// What all threads of a pool see.
struct Shared {
    gate: Alone<AtomicU64>,
    next: Alone<AtomicI64>,
    bell: Alone<AtomicU32>,
    sleepers: AtomicU32,
    waiting: Alone<AtomicU32>,
    stopping: AtomicBool,
    spins: u32,
    chunk: UnsafeCell<i64>,
    job: UnsafeCell<Option<Job>>,
}

/// Workers that wait for launches; one belongs to each session.
pub struct Pool {
    shared: *mut Shared,
    threads: Array<sys::Thread>,
    started: usize,
    elsewhere: Elsewhere,
}

// SAFETY: a thread handle is an integer and may be zero.
unsafe impl Zeroed for sys::Thread {}

impl Pool {
    /// A pool of `threads` threads, the caller's included, or nothing when the system refuses.
    pub fn new(threads: u32) -> Option<Self> {
        let workers = threads.clamp(1, MOST_THREADS) as usize - 1;
        let mut pool = Self {
            shared: core::ptr::null_mut(),
            threads: Array::new(workers)?,
            started: 0,
            elsewhere: Elsewhere::new(threads),
        };
        if workers == 0 {
            return Some(pool);
        }
        pool.shared = Shared::allocate(if threads <= cores::count() { SPINS } else { 0 })?;
        while pool.started < workers {
            let thread = &raw mut pool.threads[pool.started];
            // SAFETY: the handle is ours to write, and `shared` outlives the thread because `drop` joins it.
            let failed =
                unsafe { sys::pthread_create(thread, core::ptr::null(), work, pool.shared.cast()) } != 0;
            if failed {
                return None;
            }
            pool.started += 1;
        }
        Some(pool)
    }

    /// How many threads share a launch.
    pub fn threads(&self) -> usize {
        self.started + 1
    }

    /// Runs all tasks of `job` and returns when they are done.
    ///
    /// # Safety
    /// The kernel must be sound for the job's arguments, also when parts of its grid run at the same time.
    pub unsafe fn launch(&mut self, job: Job) {
        if job.tasks <= 0 {
            return;
        }
        if self.started == 0 || job.tasks == 1 {
            // SAFETY: the caller vouches for it.
            unsafe { job.call(0, job.tasks) };
            return;
        }
        // SAFETY: `shared` lives until `drop`.
        let shared = unsafe { &*self.shared };
        let pieces = CHUNKS * self.threads() as i64;
        let chunk = (job.tasks - 1) / pieces + 1;
        // SAFETY: the last launch ended with the gate closed and nobody inside, so no thread looks at these.
        unsafe {
            *shared.chunk.get() = chunk;
            *shared.job.get() = Some(job);
        }
        if shared.sleepers.load(Ordering::Relaxed) > 0 {
            self.elsewhere.keep(&self.threads[..self.started]);
        }
        shared.open((job.tasks - 1) / chunk);
        // SAFETY: the caller vouches for the kernel; the job was just written.
        unsafe { shared.take_chunks() };
        shared.close();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.shared.is_null() {
            return;
        }
        // SAFETY: `shared` lives until the end of this function.
        let shared = unsafe { &*self.shared };
        shared.stopping.store(true, Ordering::SeqCst);
        shared.gate.0.fetch_add(EPOCH, Ordering::SeqCst);
        shared.ring(u32::MAX >> 1);
        for thread in &self.threads[..self.started] {
            // SAFETY: the thread was started by us and is joined once.
            unsafe { sys::pthread_join(*thread, core::ptr::null_mut()) };
        }
        // SAFETY: no thread is left; the memory came from posix_memalign.
        unsafe { sys::free(self.shared.cast()) };
    }
}

impl core::fmt::Debug for Pool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Pool({} threads)", self.threads())
    }
}

impl Shared {
    fn allocate(spins: u32) -> Option<*mut Self> {
        let mut memory = core::ptr::null_mut();
        // SAFETY: the alignment of a type is a power of two, and this one exceeds a pointer's size.
        let failed =
            unsafe { sys::posix_memalign(&raw mut memory, align_of::<Self>(), size_of::<Self>()) } != 0;
        if failed || memory.is_null() {
            return None;
        }
        let shared = Self {
            gate: Alone(AtomicU64::new(0)),
            next: Alone(AtomicI64::new(0)),
            bell: Alone(AtomicU32::new(0)),
            sleepers: AtomicU32::new(0),
            waiting: Alone(AtomicU32::new(0)),
            stopping: AtomicBool::new(false),
            spins,
            chunk: UnsafeCell::new(1),
            job: UnsafeCell::new(None),
        };
        // SAFETY: the memory fits the type and is ours.
        unsafe { memory.cast::<Self>().write(shared) };
        Some(memory.cast())
    }

    /// Starts an epoch and wakes as many workers as there are chunks to `share`.
    fn open(&self, share: i64) {
        self.next.0.store(0, Ordering::Relaxed);
        let epoch = (self.gate.0.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.gate.0.store(epoch << 32 | OPEN, Ordering::SeqCst);
        self.ring(u32::try_from(share).unwrap_or(MOST_THREADS));
    }

    fn ring(&self, count: u32) {
        self.bell.0.store((self.gate.0.load(Ordering::SeqCst) >> 32) as u32, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            sys::futex_wake(&self.bell.0, count);
        }
    }

    /// Lets nobody else in and waits until those inside have left.
    fn close(&self) {
        let mut gate = self.gate.0.fetch_and(!OPEN, Ordering::SeqCst);
        let mut spins = self.spins;
        while gate & INSIDE != 0 {
            if spins > 0 {
                spins -= 1;
                spin_loop();
            } else {
                self.waiting.0.store(1, Ordering::SeqCst);
                if self.gate.0.load(Ordering::SeqCst) & INSIDE != 0 {
                    sys::futex_wait(&self.waiting.0, 1);
                }
                self.waiting.0.store(0, Ordering::SeqCst);
            }
            gate = self.gate.0.load(Ordering::SeqCst);
        }
    }

    /// # Safety
    /// The caller must have opened this epoch or have entered it.
    unsafe fn take_chunks(&self) {
        // SAFETY: nobody writes these while the gate is open or somebody is inside.
        let (chunk, Some(job)) = (unsafe { (*self.chunk.get(), *self.job.get()) }) else { return };
        loop {
            let begin = self.next.0.fetch_add(chunk, Ordering::Relaxed);
            if begin >= job.tasks {
                return;
            }
            // SAFETY: whoever launched the job vouched for every part of its grid.
            unsafe { job.call(begin, (begin + chunk).min(job.tasks)) };
        }
    }

    /// Enters the launch that `gate` shows, unless it is over by now.
    fn enter(&self, mut gate: u64) -> bool {
        let epoch = gate >> 32;
        while gate & OPEN != 0 && gate >> 32 == epoch {
            match self.gate.0.compare_exchange_weak(gate, gate + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => gate = now,
            }
        }
        false
    }

    fn leave(&self) {
        let before = self.gate.0.fetch_sub(1, Ordering::SeqCst);
        let last = before & INSIDE == 1 && before & OPEN == 0;
        if last && self.waiting.0.swap(0, Ordering::SeqCst) == 1 {
            sys::futex_wake(&self.waiting.0, 1);
        }
    }

    /// Waits for an epoch other than `seen` and returns the gate that shows it.
    fn wait(&self, seen: u64) -> u64 {
        let mut spins = self.spins;
        loop {
            let gate = self.gate.0.load(Ordering::SeqCst);
            if gate >> 32 != seen {
                return gate;
            }
            if spins > 0 {
                spins -= 1;
                spin_loop();
                continue;
            }
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            if self.gate.0.load(Ordering::SeqCst) >> 32 == seen {
                sys::futex_wait(&self.bell.0, seen as u32);
            }
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

extern "C" fn work(argument: *mut c_void) -> *mut c_void {
    // SAFETY: the argument is the pool's `Shared`, which outlives this thread.
    let shared = unsafe { &*argument.cast::<Shared>() };
    let mut seen = 0;
    loop {
        let gate = shared.wait(seen);
        if shared.stopping.load(Ordering::SeqCst) {
            return core::ptr::null_mut();
        }
        seen = gate >> 32;
        if shared.enter(gate) {
            // SAFETY: this thread has entered.
            unsafe { shared.take_chunks() };
            shared.leave();
        }
    }
}
