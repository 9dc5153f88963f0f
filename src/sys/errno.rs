//! The error number of the C library.

/// Does `work`, and leaves errno as it is: the signal handler that calls may
/// have interrupted code which is about to look at it.
pub(crate) fn keep_errno(work: impl FnOnce()) {
    // SAFETY: takes nothing; the place is this thread's for as long as it runs.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *place };
    work();
    // SAFETY: as above.
    unsafe { *place = before };
}
