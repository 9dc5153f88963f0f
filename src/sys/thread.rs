//! Threads of the library's own: guests in the program's process.

use std::cell::Cell;
use std::io;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::thread::{self, JoinHandle};

use super::stack;

/// The smallest stack of a thread: what an attempt to connect needs, and room
/// for a callback.
pub(crate) const LEAST_STACK: usize = 128 * 1024;
/// The smallest one that a program gets without asking for it.
const LEAST_DEFAULT_STACK: usize = 256 * 1024;
/// The largest one. Where addresses have 32 bits, 8 MiB for each source would
/// soon be all of them.
const LARGEST_DEFAULT_STACK: usize =
    if cfg!(target_pointer_width = "32") { 1 << 20 } else { usize::MAX };

thread_local! {
    /// The size of this thread's stack, if it is a thread of the library.
    static STACK: Cell<Option<usize>> = const { Cell::new(None) };
}

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

/// Starts a thread with a stack of so many bytes. No signal is handled on it:
/// those are for the program's own threads, which may have them blocked and
/// wait for them.
pub(crate) fn spawn(
    name: &str,
    stack: usize,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    // More than the system can give fails below. A part of a page would be
    // lost at the top, where all that is used is.
    let size = stack
        .saturating_add(taken_by_the_c_library())
        .checked_next_multiple_of(stack::page_size())
        .unwrap_or(usize::MAX);
    let builder = thread::Builder::new().name(name.into()).stack_size(size);
    let work = move || {
        STACK.set(Some(stack));
        stack::keep_pages_small();
        work();
    };
    // Inherited by the new thread, so that no signal finds it without.
    let _blocked = BlockedSignals::new();
    builder.spawn(work)
}

/// A number that no other thread has at the same time; never 0.
pub(crate) fn here() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| ptr::from_ref(place).addr())
}

/// The size of a stack of which the program has said nothing: what
/// pthread_create(3) gives by default, so that a callback finds what it would
/// find on any other thread of the program.
pub(crate) fn default_stack() -> usize {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut size = 0;
    // SAFETY: pthread_attr_init initializes the attributes, unless it fails.
    // They are read and destroyed only after that; `size` is a live local.
    unsafe {
        if libc::pthread_attr_init(attributes.as_mut_ptr()) == 0 {
            libc::pthread_attr_getstacksize(attributes.as_ptr(), &raw mut size);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
    }
    size.clamp(LEAST_DEFAULT_STACK, LARGEST_DEFAULT_STACK)
}

/// The size of a stack like that of the calling thread, if this is a thread
/// of the library.
pub(crate) fn stack_as_here() -> usize {
    STACK.get().unwrap_or_else(default_stack)
}

/// What the C library takes out of a thread's stack: glibc has the static
/// thread-local data of the program there, which may be larger than the
/// stack. musl adds them by itself.
fn taken_by_the_c_library() -> usize {
    type MinStack =
        unsafe extern "C" fn(*const libc::pthread_attr_t) -> libc::size_t;

    let name = c"__pthread_get_minstack";
    // SAFETY: the name ends with a NUL.
    let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if function.is_null() {
        return 0;
    }
    // SAFETY: glibc's function of this name has this type.
    let min_stack: MinStack = unsafe { mem::transmute(function) };
    // SAFETY: glibc does not look at the attributes.
    unsafe { min_stack(ptr::null()) }
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
