//! Many sources on one thread: eventsource_loop_new(3).

use std::ffi::c_int;
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::convert::{guard, out, release, shared};
use super::source::{CSource, set};
use crate::error::Error;
use crate::panic::catch;
use crate::source::event_loop::Loop;

/// A loop that drives any number of sources on one thread.
/// eventsource_loop_new() makes it, eventsource_loop_free() releases it.
pub struct CLoop {
    shared: Arc<Loop>,
}

/// Makes a loop, and stores it in `*loop`: one thread for any number of sources
/// in the place of a thread for each.
///
/// A source is given to the loop with eventsource_set_loop(). The thread is
/// either one of the library's, after eventsource_loop_start(), or the
/// program's own, which calls eventsource_loop_dispatch(). On it all callbacks
/// of the loop's sources are called, `on_request` and `on_retry` included, one
/// at a time: a callback that takes long delays all the other sources. So does
/// no source by what its server sends: each reads at most 64 KiB, and then the
/// others have their turns.
///
/// The library connects on threads of its own, which call nothing back: up to
/// four, and more while servers do not answer, 1024 at most. Each ends when it
/// has had no work for a second.
///
/// The loop is the caller's, to be given back with eventsource_loop_free(). On
/// error `*loop` is NULL: EVENTSOURCE_ERROR_SYSTEM if the system is out of
/// descriptors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_loop_new(
    r#loop: *mut *mut CLoop,
) -> Error {
    guard(|| {
        let place = out(r#loop)?;
        place.write(ptr::null_mut());
        let shared = Loop::new().map_err(|_| Error::System)?;
        place.write(Box::into_raw(Box::new(CLoop { shared })));
        Ok(())
    })
}

/// Starts a thread of the library's that drives the loop, until
/// eventsource_loop_free().
///
/// Its stack is as large as pthread_create() makes it by default, whatever
/// eventsource_set_stack_size() says of a source. EVENTSOURCE_ERROR_BUSY if the
/// loop has been started, or a thread is inside eventsource_loop_dispatch();
/// EVENTSOURCE_ERROR_CALLBACK in a callback of one of the loop's sources;
/// EVENTSOURCE_ERROR_SYSTEM if the system is out of threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_loop_start(r#loop: *mut CLoop) -> Error {
    guard(|| shared(r#loop)?.shared.clone().start())
}

/// Returns a descriptor that is readable when eventsource_loop_dispatch() has
/// something to do, for poll(2) and event loops; -1 if the loop has been
/// started.
///
/// Times that come, such as the next attempt or an idle timeout, make it
/// readable, too: a program that waits for it needs no time limit of its own.
/// It may be readable though there is nothing to do. The descriptor belongs to
/// the loop, and exists until eventsource_loop_free(); before that the program
/// takes it out of its own event loop. The program may only wait for it; it is
/// one of epoll(7), and may be waited for in another. -1 in a child of the
/// process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_loop_fd(r#loop: *const CLoop) -> c_int {
    let fd = shared(r#loop).and_then(|it| it.shared.fd());
    fd.unwrap_or(-1)
}

/// Does what there is to do, once for each source, on this thread: callbacks
/// are called before this function returns. Waits for something to do for at
/// most `timeout_ms` milliseconds; a negative number is no limit, 0 is no wait.
///
/// A program calls it again and again, or whenever eventsource_loop_fd() is
/// readable. Calls from several threads are fine, one at a time. While nobody
/// calls it, nothing happens to the loop's sources: what closes one has its
/// `on_close` called here. EVENTSOURCE_ERROR_TIMEOUT if there was nothing to
/// do, EVENTSOURCE_ERROR_BUSY if another thread is inside this function, or the
/// loop has been started; EVENTSOURCE_ERROR_CALLBACK in a callback of one of
/// the loop's sources; EVENTSOURCE_ERROR_SYSTEM in a child of the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_loop_dispatch(
    r#loop: *mut CLoop,
    timeout_ms: i64,
) -> Error {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    // A callback may free the loop.
    guard(|| shared(r#loop)?.shared.clone().dispatch(timeout))
}

/// Releases the loop. Sources that are left in it are closed as by
/// eventsource_close(), and `on_close` is called, before this function returns;
/// they are to be freed all the same, before or after.
///
/// Where the loop has been started, this function waits for its thread. Inside
/// a callback of one of the loop's sources it does not wait: the sources are
/// closed, and the thread ends, when the callback has returned; in a program's
/// own thread, eventsource_loop_dispatch() returns then, and is not to be called
/// again. No other thread may begin a call with the loop once this one may
/// begin. NULL is ignored. In a child of the process it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_loop_free(r#loop: *mut CLoop) {
    let Ok(used) = shared(r#loop) else { return };
    if used.shared.belongs_to_parent_process() {
        // Threads that are not here may hold its locks.
        mem::forget(used.shared.clone());
    } else if catch(|| used.shared.free()).is_none() {
        // Its thread may still be there; a leak is the lesser evil.
        return;
    }
    release(r#loop);
}

/// Has a loop drive the source from eventsource_connect() on; with NULL, the
/// default, the source has a thread of its own.
///
/// All that the header says of a source holds, but for this:
///
/// - Callbacks are called on the thread that drives the loop. If
///   eventsource_free() is called on another thread, or in a callback of
///   another source, `on_close` is called there, before it returns.
/// - eventsource_free() waits for a callback of the source that runs, and for
///   those of no other source.
/// - eventsource_wait() drives a loop that has not been started while nobody
///   else does, unless `timeout_ms` is 0. In a callback of any source of the
///   loop it returns EVENTSOURCE_ERROR_CALLBACK, unless `timeout_ms` is 0, and
///   so does eventsource_next() if there is nothing to take.
/// - A queue takes beyond its capacity what is left of a read, 64 KiB of the
///   stream at most, before the source reads nothing more. A source that ends
///   while its queue is full does not wait for room either: its last items are
///   put behind those that wait.
///
/// Sources of a loop that use HTTP/2 share connections, if their URLs have the
/// same scheme, host and port, and if the same was set for the version of HTTP,
/// the proxy, the Unix socket, the interface and TLS. Each source has a stream
/// of its own on the connection, which opens, ends and is reestablished by
/// itself. A connection carries 100 streams, or as many as the server allows. A
/// source whose queue is full holds up its own stream only. When a connection
/// breaks, each of its sources has lost its stream. A connection is closed when
/// the last of its sources is closed; a source that waits to reconnect keeps it
/// open. `bytes` of eventsource_stats counts what the source's stream brought,
/// without the frames' heads.
///
/// eventsource_connect() returns EVENTSOURCE_ERROR_QUEUE if the source has a
/// queue and the loop has not been started, and EVENTSOURCE_ERROR_CLOSED if the
/// loop has been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_loop(
    source: *mut CSource,
    r#loop: *mut CLoop,
) -> Error {
    guard(|| {
        let event_loop = shared(r#loop).ok().map(|it| it.shared.clone());
        set(source, |setup| setup.event_loop = event_loop)
    })
}
