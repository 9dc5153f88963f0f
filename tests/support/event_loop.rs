//! Loops, made and driven through the C API.

use std::cell::Cell;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::OnceLock;

use eventsource::ffi::{self, CLoop, Error};

use crate::pointer::Pointer;

/// Has one loop drive every source of the tests.
pub const ALL: &str = "EVENTSOURCE_TEST_LOOP";

/// A loop, as C programs have it. Whoever frees it sees to it that nobody uses
/// it any more; it lives until then.
#[derive(Clone, Copy)]
pub struct EventLoop(*mut CLoop);

// SAFETY: the header lets every thread use a loop.
unsafe impl Send for EventLoop {}
// SAFETY: likewise.
unsafe impl Sync for EventLoop {}

thread_local! {
    static HERE: Cell<Option<Option<EventLoop>>> = const { Cell::new(None) };
}

/// What drives the sources that are made from here on, if it is not a thread
/// for each.
pub fn of_new_sources() -> Option<EventLoop> {
    static LOOP: OnceLock<Option<EventLoop>> = OnceLock::new();
    let wanted = || std::env::var_os(ALL).is_some();
    let all = || *LOOP.get_or_init(|| wanted().then(EventLoop::started));
    HERE.get().unwrap_or_else(all)
}

/// Every source that this thread makes in `body` has a thread of its own.
pub fn nobody_drives_in<T>(body: impl FnOnce() -> T) -> T {
    drives_in(None, body)
}

fn drives_in<T>(driver: Option<EventLoop>, body: impl FnOnce() -> T) -> T {
    let before = HERE.replace(Some(driver));
    let result = body();
    HERE.set(before);
    result
}

impl EventLoop {
    /// One for the test to drive.
    pub fn new() -> Self {
        let mut made = ptr::null_mut();
        // SAFETY: a place for the loop.
        let error = unsafe { ffi::eventsource_loop_new(&mut made) };
        assert_eq!(error, Error::None, "loop_new");
        EventLoop(made)
    }

    /// One that the library drives.
    pub fn started() -> Self {
        let event_loop = EventLoop::new();
        assert_eq!(event_loop.start(), Error::None, "loop_start");
        event_loop
    }

    /// Every source that this thread makes in `body` is driven by the loop.
    pub fn drives_in<T>(self, body: impl FnOnce() -> T) -> T {
        drives_in(Some(self), body)
    }

    pub fn start(self) -> Error {
        // SAFETY: alive, here and below.
        unsafe { ffi::eventsource_loop_start(self.0) }
    }

    pub fn fd(self) -> RawFd {
        // SAFETY: see `start`.
        unsafe { ffi::eventsource_loop_fd(self.0) }
    }

    pub fn dispatch(self, timeout_ms: i64) -> Error {
        // SAFETY: see `start`.
        unsafe { ffi::eventsource_loop_dispatch(self.0, timeout_ms) }
    }

    pub fn drives(self, source: Pointer) -> Error {
        // SAFETY: see `start`; the source lives, too.
        unsafe { ffi::eventsource_set_loop(source.as_ptr(), self.0) }
    }

    pub fn free(self) {
        // SAFETY: see `start`.
        unsafe { ffi::eventsource_loop_free(self.0) }
    }
}

impl Default for EventLoop {
    fn default() -> Self {
        EventLoop::new()
    }
}
