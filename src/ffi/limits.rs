//! How much memory events, bodies and callbacks may take:
//! eventsource_set_max_event_size(3).

use super::convert::guard;
use super::source::{CSource, set, setting};
use crate::error::Error;

/// Sets the size limit of an event in bytes of data, 64 MiB by default; 0 is no
/// limit.
///
/// A larger event is dropped as it comes, its id is kept, `on_error` is called
/// with EVENTSOURCE_ERROR_TOO_LARGE, and the stream goes on. Type, id and data
/// together may have 64 KiB more than the limit. While an event comes, the
/// source takes 2.2 times the limit at most, a last event ID string of that
/// length included. In pull mode it takes what waits in the queue besides, and
/// the item that the program has taken. An event for which there is no memory
/// is dropped in the same way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_event_size(
    source: *mut CSource,
    bytes: usize,
) -> Error {
    guard(|| set(source, |setup| setup.options.max_event_size = bytes))
}

/// Sets how many bytes are kept of the body of a response that is no event
/// stream, up to 64 MiB; 0 for none. They are in the failure that `on_error`
/// and `on_retry` get, decoded if the body is compressed; `body_complete` tells
/// whether they are all.
///
/// By default 4096 bytes are kept of what comes within one second: enough for
/// people to see what is wrong. A program that sets a size wants the whole
/// body, for example from a service that answers with JSON or with a stream, as
/// it likes. The source then waits for the body: from the end of the head on as
/// long as eventsource_set_response_timeout() says, 5 minutes by default, and
/// for each byte as long as eventsource_set_idle_timeout() says. It keeps what
/// has come by then. If the system has no memory for all of the body, its
/// beginning is kept. EVENTSOURCE_ERROR_VALUE for more than 64 MiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_body_size(
    source: *mut CSource,
    bytes: usize,
) -> Error {
    setting(source, "eventsource_set_max_body_size", |handle| {
        handle.set(|setup| setup.options.set_max_body_size(bytes))
    })
}

/// Sets the size of the stack that callbacks have, in bytes. The default, 0, is
/// the size that pthread_create() gives by default, commonly 8 MiB.
///
/// A stack is address space: it takes memory only where it is used, and the
/// library returns that memory to the system before a long wait. A smaller
/// stack is for programs that lock their memory with mlockall(), or limit their
/// address space. Look-ups of host names have a stack of the same size. The
/// program's static thread-local data are not taken out of it. The default is
/// at least 256 KiB, and at most 1 MiB where addresses have 32 bits.
///
/// EVENTSOURCE_ERROR_VALUE if the size is neither 0 nor at least 131072 (128
/// KiB). eventsource_connect() returns EVENTSOURCE_ERROR_SYSTEM if the system
/// cannot give as much.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_stack_size(
    source: *mut CSource,
    bytes: usize,
) -> Error {
    setting(source, "eventsource_set_stack_size", |handle| {
        handle.set(|setup| setup.set_stack_size(bytes))
    })
}
