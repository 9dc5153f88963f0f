//! Threads of the library's own: guests in the program's process.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread::{self, JoinHandle};

/// Signals that a fault of a thread raises there. A program's crash handler
/// still runs for a fault in a callback: blocked, they would end the program
/// without it.
const FAULTS: [libc::c_int; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// Starts a thread on which no signal is handled: those are for the
/// program's own threads, which may have them blocked and wait for them.
pub(crate) fn spawn(
    name: &str,
    stack: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let builder = thread::Builder::new().name(name.into()).stack_size(stack);
    // Inherited by the new thread, so that no signal finds it without.
    let _blocked = BlockedSignals::new();
    builder.spawn(work)
}

/// All signals but the [`FAULTS`] are blocked on the calling thread until this
/// is dropped.
struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    fn new() -> BlockedSignals {
        let mut all = MaybeUninit::uninit();
        // SAFETY: sigfillset initializes the set.
        let mut all = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            all.assume_init()
        };
        for fault in FAULTS {
            // SAFETY: a live set, and the number of a signal.
            unsafe { libc::sigdelset(&raw mut all, fault) };
        }
        BlockedSignals { before: set_blocked(&all) }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        set_blocked(&self.before);
    }
}

/// Sets the signals that are blocked on this thread; returns those before.
fn set_blocked(signals: &libc::sigset_t) -> libc::sigset_t {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are live; sigemptyset initializes the second one, even
    // if pthread_sigmask were to fail.
    unsafe {
        libc::sigemptyset(before.as_mut_ptr());
        libc::pthread_sigmask(
            libc::SIG_SETMASK,
            ptr::from_ref(signals),
            before.as_mut_ptr(),
        );
        before.assume_init()
    }
}
