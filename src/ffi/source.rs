//! Making and freeing a source: eventsource_new(3).

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use super::convert::{guard, name, out, release, shared};
use super::gate::Gate;
use super::item::Taken;
use crate::error::Error;
use crate::panic::catch;
use crate::source::handle::{Handle, Setter, Setup};

/// A source of events. eventsource_new() makes it, eventsource_free() releases
/// it.
pub struct CSource {
    pub(super) handle: Arc<Handle>,
    /// What the program has taken from the queue, once it has.
    pub(super) taken: Gate<Option<Box<Taken>>>,
}

/// The handle of the source that C points to.
///
/// # Safety
///
/// As [`shared`].
pub(super) unsafe fn handle<'a>(
    source: *const CSource,
) -> Result<&'a Arc<Handle>, Error> {
    Ok(&shared(source)?.handle)
}

/// Changes a setting, unless the source has been connected.
///
/// # Safety
///
/// As [`shared`].
pub(super) unsafe fn set(
    source: *const CSource,
    change: impl FnOnce(&mut Setup),
) -> Result<(), Error> {
    handle(source)?.set(|setup| {
        change(setup);
        Ok(())
    })
}

/// The body of a function that changes a setting and may be refused. A refusal
/// is remembered for eventsource_connect().
///
/// # Safety
///
/// As [`shared`].
pub(super) unsafe fn setting(
    source: *const CSource,
    function: &'static str,
    change: impl FnOnce(&Handle) -> Result<(), Error>,
) -> Error {
    guard(|| handle(source)?.setting(Setter::new(function), change))
}

/// Makes a source for `url`, and stores it in `*source`.
///
/// `url` is an absolute URL, http or https; a user name and password in it are
/// sent as Basic authentication. Nothing is sent before eventsource_connect().
/// The new source is CONNECTING (R5), and is the caller's, to be given back
/// with eventsource_free(). On error `*source` is NULL: EVENTSOURCE_ERROR_URL
/// (R1), EVENTSOURCE_ERROR_SCHEME, EVENTSOURCE_ERROR_UTF8,
/// EVENTSOURCE_ERROR_NULL, or EVENTSOURCE_ERROR_SYSTEM without memory for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_new(
    url: *const c_char,
    source: *mut *mut CSource,
) -> Error {
    guard(|| {
        let place = out(source)?;
        place.write(ptr::null_mut());
        let handle = Arc::new(Handle::new(name(url)?)?);
        let source = CSource { handle, taken: Gate::default() };
        place.write(Box::into_raw(Box::new(source)));
        Ok(())
    })
}

/// Closes the source, waits until its last callback has returned, and releases
/// the source.
///
/// Inside a callback of the same source this function does not wait: it calls
/// `on_close` before it returns, no callback begins after that, and the source
/// is released when the running callback has returned. Nothing may be called on
/// the source any more, not even in the rest of that callback. NULL is ignored.
///
/// Once this function may be called, no other thread may begin a call with the
/// source; see Lifetime, above. A thread that is already inside
/// eventsource_connect(), eventsource_close(), eventsource_reconnect() or
/// eventsource_wait() when a callback frees the source returns safely.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_free(source: *mut CSource) {
    let Ok(used) = shared(source) else { return };
    // Kept by a callback's own thread until that has returned.
    let handle = used.handle.clone();
    if catch(|| handle.free()).is_none() {
        // The thread may still be there; a leak is the lesser evil.
        return;
    }
    if used.handle.belongs_to_parent_process() && used.taken.enter().is_none() {
        // A thread of the parent was changing it at the moment of the fork.
        return;
    }
    // The program uses the source no more, nor does the source's thread,
    // which has ended or only knows the handle.
    release(source);
}
