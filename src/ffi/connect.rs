//! Starting and ending a source: eventsource_connect(3).

use std::time::Duration;

use super::convert::guard;
use super::source::{CSource, handle};
use crate::error::Error;

/// Starts the source, which connects: on a thread of its own, or on that of its
/// loop. Returns at once.
///
/// A server that vanishes without closing the connection is noticed within two
/// minutes: after one minute of silence the system begins to probe the
/// connection (TCP keepalive).
///
/// If a setting was refused, and no later call has cancelled the refusal, this
/// function returns the error of the first such refusal (see Settings, above),
/// and starts nothing. EVENTSOURCE_ERROR_ALREADY_CONNECTED the second time,
/// EVENTSOURCE_ERROR_CLOSED after eventsource_close(), EVENTSOURCE_ERROR_QUEUE
/// as eventsource_set_queue() says, EVENTSOURCE_ERROR_SYSTEM if the system is
/// out of threads or descriptors: the program may then call again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_connect(source: *mut CSource) -> Error {
    guard(|| handle(source)?.clone().connect())
}

/// Drops the connection, or ends the wait for the next attempt, and connects
/// again at once: for a program that knows, for example, that the network has
/// changed.
///
/// May be called from any thread, in callbacks. The source is CONNECTING from
/// here on; no `on_error` comes, and `on_open` follows. Events that came but
/// were not dispatched yet are dropped; Last-Event-ID asks the server for them.
/// Items that wait in a queue stay there. EVENTSOURCE_ERROR_NOT_CONNECTED
/// before eventsource_connect(), EVENTSOURCE_ERROR_CLOSED if the source is
/// CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_reconnect(source: *mut CSource) -> Error {
    guard(|| handle(source)?.clone().reconnect())
}

/// Closes the source, for good.
///
/// May be called from any thread, in callbacks, in signal handlers, and again.
/// This function takes no lock, allocates nothing, leaves `errno` as it is, and
/// does not wait: when it returns the source is CLOSED, and `on_close` follows
/// within milliseconds, whatever the source was doing. A callback that runs on
/// another thread runs to its end, and one that was about to begin there may
/// still run; no other does. Inside a callback of the source that callback is
/// the last, but for `on_close`. To be sure from another thread that no
/// callback runs any more, call eventsource_wait() or eventsource_free(). NULL
/// is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_close(source: *mut CSource) {
    // Nothing in it panics: what catches panics is not for signal handlers.
    if let Ok(handle) = handle(source) {
        handle.close();
    }
}

/// Waits until the source is CLOSED and its last callback has returned, for at
/// most `timeout_ms` milliseconds; a negative number is no limit.
///
/// A source whose queue is full does not become CLOSED by itself before the
/// program takes the items. EVENTSOURCE_ERROR_TIMEOUT if the time limit has
/// passed, EVENTSOURCE_ERROR_NOT_CONNECTED before eventsource_connect(),
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
