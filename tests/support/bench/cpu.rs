//! CPU time, which std cannot tell.

use std::mem::MaybeUninit;
use std::process::Child;

/// The CPU time in seconds that this thread spends on `work`.
pub fn time<T>(work: impl FnOnce() -> T) -> f64 {
    spent(libc::CLOCK_THREAD_CPUTIME_ID, work)
}

/// The CPU time in seconds that all threads spend while `work` runs.
pub fn time_of_all<T>(work: impl FnOnce() -> T) -> f64 {
    spent(libc::CLOCK_PROCESS_CPUTIME_ID, work)
}

fn spent<T>(clock: libc::clockid_t, work: impl FnOnce() -> T) -> f64 {
    let before = now(clock);
    work();
    now(clock) - before
}

fn now(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours, and outlives the call.
    let done = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(done, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What a process has taken.
pub struct Usage {
    /// Seconds, in the program and in the system.
    pub cpu: f64,
    /// The most that was ever resident, in KiB.
    pub resident: libc::c_long,
}

/// Waits for `child`, and tells what it has taken.
pub fn wait(child: Child) -> Usage {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    let process = child.id().cast_signed();
    // SAFETY: both are ours, and outlive the call.
    let waited =
        unsafe { libc::wait4(process, &mut status, 0, usage.as_mut_ptr()) };
    assert_eq!((waited, status), (process, 0), "a child that ends well");
    // SAFETY: wait4(2) has filled it in.
    let usage = unsafe { usage.assume_init() };
    let seconds =
        |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Usage {
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        resident: usage.ru_maxrss,
    }
}
