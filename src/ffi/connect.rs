//! Starting and ending a source: eventsource_connect(3).

use std::time::Duration;

use super::convert::guard;
use super::source::{CSource, handle};
use crate::error::Error;
use crate::panic::catch;

/// Starts the source's thread, which connects. Returns at once.
///
/// A server that vanishes without a word is noticed within two minutes: when
/// nothing has come for one, the system begins to probe it (TCP keepalive).
///
/// EVENTSOURCE_ERROR_ALREADY_CONNECTED the second time,
/// EVENTSOURCE_ERROR_CLOSED after eventsource_close(),
/// EVENTSOURCE_ERROR_SYSTEM if the system has no thread or descriptor to
/// give: then it may be tried again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_connect(source: *mut CSource) -> Error {
    guard(|| handle(source)?.clone().connect())
}

/// Drops the connection, or ends the wait for one, and connects again at
/// once: the program knows better, the network has changed.
///
/// May be called from any thread, in callbacks. The source is CONNECTING
/// from here on; no `on_error` comes, and `on_open` follows. Events that
/// came but were not dispatched yet are dropped; the server is asked for
/// them by Last-Event-ID. What waits in a queue stays there.
/// EVENTSOURCE_ERROR_NOT_CONNECTED before eventsource_connect(),
/// EVENTSOURCE_ERROR_CLOSED if the source is CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_reconnect(source: *mut CSource) -> Error {
    guard(|| handle(source)?.clone().reconnect())
}

/// Closes the source, for good.
///
/// May be called from any thread, in callbacks, and again. It does not wait:
/// when it returns the source is CLOSED, and no callback begins any more,
/// `on_close` excepted, which follows within milliseconds, whatever the
/// source was doing. One that has begun on another thread runs to its end;
/// eventsource_wait() waits for it. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_close(source: *mut CSource) {
    if let Ok(handle) = handle(source) {
        let _ = catch(|| handle.clone().close());
    }
}

/// Waits until the source is CLOSED and its last callback has returned, for
/// at most `timeout_ms` milliseconds; a negative number is no limit.
///
/// A source whose queue is full is not CLOSED by itself before the program
/// takes what waits. EVENTSOURCE_ERROR_TIMEOUT if the time is over,
/// EVENTSOURCE_ERROR_NOT_CONNECTED before eventsource_connect(),
/// EVENTSOURCE_ERROR_CALLBACK in a callback of the same source, which would
/// wait for itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_wait(
    source: *const CSource,
    timeout_ms: i64,
) -> Error {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    guard(|| handle(source)?.clone().wait(timeout))
}
