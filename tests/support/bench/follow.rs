//! A source that takes a stream as fast as it comes.

use std::ffi::{CString, c_void};
use std::hint::black_box;
use std::ptr;

use eventsource::ffi::*;

/// Follows the stream to its end; returns how many events it had. The source is
/// prepared before it connects.
pub fn follow(url: &str, prepare: impl FnOnce(*mut CSource)) -> usize {
    extern "C" fn on_event(
        _: *mut CSource,
        event: *const CEvent,
        seen: *mut c_void,
    ) {
        // SAFETY: the library's event, and `seen` below, on its thread.
        let (event, seen) = unsafe { (&*event, &mut *seen.cast::<usize>()) };
        black_box(event.data_len);
        *seen += 1;
    }
    extern "C" fn on_error(
        source: *mut CSource,
        _: *const CFailure,
        _: *mut c_void,
    ) {
        // SAFETY: the callback's own source.
        unsafe { eventsource_close(source) };
    }
    let url = CString::new(url).expect("our URL");
    let mut seen = 0;
    let mut source = ptr::null_mut();
    // SAFETY: `seen` lives until the source has been freed.
    unsafe {
        let user_data = (&raw mut seen).cast();
        assert_eq!(eventsource_new(url.as_ptr(), &mut source), Error::None);
        eventsource_on_event(source, Some(on_event), user_data);
        eventsource_on_error(source, Some(on_error), user_data);
        prepare(source);
        assert_eq!(eventsource_connect(source), Error::None);
        assert_eq!(eventsource_wait(source, -1), Error::None);
        eventsource_free(source);
    }
    seen
}
