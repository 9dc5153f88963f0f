//! CPU time, which std cannot tell.

#![expect(unsafe_code, reason = "a system call")]

/// The CPU time in seconds that this thread spends on `work`.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> f64 {
    spent(libc::CLOCK_THREAD_CPUTIME_ID, work)
}

/// The CPU time in seconds that all threads spend while `work` runs.
pub(crate) fn time_of_all<T>(work: impl FnOnce() -> T) -> f64 {
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
