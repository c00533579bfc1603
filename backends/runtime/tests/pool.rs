//! The pool runs every task once, whatever the number of threads, and ends cleanly.
#![expect(unsafe_code, reason = "a kernel is a C function over pointers")]

use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicU64, Ordering};

use weft_runtime::cores::{Cores, Elsewhere};
use weft_runtime::pool::{Job, Pool};
use weft_runtime::sys;

unsafe extern "C" fn count(args: *const *mut u8, dims: *const i64, begin: i64, end: i64) {
    // SAFETY: `launch` passes as many counters as there are tasks, and a number to add.
    let (counters, step) = unsafe { ((*args).cast::<AtomicU64>(), *dims as u64) };
    for task in begin..end {
        // SAFETY: as above.
        unsafe { &*counters.add(task as usize) }.fetch_add(step, Ordering::Relaxed);
    }
}

fn launch(pool: &mut Pool, counters: &[AtomicU64], step: i64) {
    let args = [counters.as_ptr().cast_mut().cast::<u8>()];
    let job = Job { kernel: count, args: args.as_ptr(), dims: &raw const step, tasks: counters.len() as i64 };
    // SAFETY: the kernel counts atomically.
    unsafe { pool.launch(job) };
}

fn counters(length: usize) -> Vec<AtomicU64> {
    (0..length).map(|_| AtomicU64::new(0)).collect()
}

#[test]
fn every_task_runs_once_per_launch() {
    for threads in 1..=8 {
        let mut pool = Pool::new(threads).unwrap();
        assert_eq!(pool.threads(), threads as usize);
        for tasks in [0, 1, 2, 3, 7, 31, 32, 33, 1000] {
            let counters = counters(tasks);
            let mut expected = 0;
            for step in 1..=300 {
                launch(&mut pool, &counters, step);
                expected += step as u64;
                // Right after the launch: nobody may still be at work.
                assert!(counters.iter().all(|counter| counter.load(Ordering::Relaxed) == expected));
            }
        }
    }
}

#[test]
fn a_hundred_thousand_tiny_launches() {
    for threads in [2, 3, 8] {
        let mut pool = Pool::new(threads).unwrap();
        let counters = counters(5);
        for _ in 0..100_000 {
            launch(&mut pool, &counters, 1);
        }
        assert!(counters.iter().all(|counter| counter.load(Ordering::Relaxed) == 100_000));
    }
}

#[test]
fn sleeping_workers_wake() {
    let mut pool = Pool::new(4).unwrap();
    let counters = counters(64);
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(3));
        launch(&mut pool, &counters, 1);
    }
    assert!(counters.iter().all(|counter| counter.load(Ordering::Relaxed) == 20));
}

/// Keeps a worker off the core that this thread is on, which is returned.
fn keep(elsewhere: &mut Elsewhere, worker: sys::Thread) -> usize {
    loop {
        // SAFETY: takes nothing.
        let before = unsafe { sys::sched_getcpu() };
        elsewhere.keep(&[worker]);
        // SAFETY: as above. The thread may have moved in between.
        if before == unsafe { sys::sched_getcpu() } {
            return before as usize;
        }
    }
}

#[test]
fn a_worker_stays_off_the_core_of_its_caller() {
    let allowed = Cores::allowed().unwrap();
    let several = allowed.count() > 1;
    for (threads, parted) in [(2, several), (allowed.count() + 1, false)] {
        let mut elsewhere = Elsewhere::new(threads);
        let (go, wait) = std::sync::mpsc::channel();
        let worker = std::thread::spawn(move || wait.recv().map(|()| Cores::allowed()).unwrap());
        let core = keep(&mut elsewhere, worker.as_pthread_t() as sys::Thread);
        go.send(()).unwrap();
        let expected = if parted { allowed.without(core) } else { allowed };
        assert_eq!(worker.join().unwrap(), Some(expected), "{threads} threads");
    }
}

#[test]
fn pools_open_and_close_while_others_work() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..200 {
                    let mut pool = Pool::new(1 + round % 5).unwrap();
                    let counters = counters(50);
                    for _ in 0..round % 4 {
                        launch(&mut pool, &counters, 1);
                    }
                    assert!(
                        counters
                            .iter()
                            .all(|counter| counter.load(Ordering::Relaxed) == u64::from(round % 4))
                    );
                }
            });
        }
    });
}
