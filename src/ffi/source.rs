//! The object `eventsource`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, Failure, FailureText, Response, pointer};
use super::{Pointer, UserData, guard, optional, text};
use crate::error::Error;
use crate::handle::{Handle, OnClose, OnComment, OnError, OnEvent, OnOpen};
use crate::panic::catch;
use crate::state::ReadyState;

/// A source of events. Made by eventsource_new(), given back with
/// eventsource_free().
pub struct EventSource {
    _opaque: [u8; 0],
}

/// A connection is announced: the response was accepted, and the source is
/// OPEN (R16, R25). No byte of the stream need have come yet.
pub type OpenCallback = Option<
    extern "C" fn(
        source: *mut EventSource,
        response: *const Response,
        user_data: *mut c_void,
    ),
>;

/// An event is dispatched.
pub type EventCallback = Option<
    extern "C" fn(
        source: *mut EventSource,
        event: *const Event,
        user_data: *mut c_void,
    ),
>;

/// A connection was refused, lost or given up, once for each; or an event
/// was dropped for its size. The source's state is already what `failure`
/// says (R26, R28).
pub type ErrorCallback = Option<
    extern "C" fn(
        source: *mut EventSource,
        failure: *const Failure,
        user_data: *mut c_void,
    ),
>;

/// The source is CLOSED for good. `reason` is EVENTSOURCE_ERROR_NONE if the
/// program closed it, else what the last `on_error` said.
pub type CloseCallback = Option<
    extern "C" fn(
        source: *mut EventSource,
        reason: Error,
        user_data: *mut c_void,
    ),
>;

/// A comment has come: a line that begins with a colon, often sent only to
/// keep the connection alive. `comment` is what stands after the colon,
/// unchanged, `len` bytes of it.
pub type CommentCallback = Option<
    extern "C" fn(
        source: *mut EventSource,
        comment: *const c_char,
        len: usize,
        user_data: *mut c_void,
    ),
>;

/// The handle behind the pointer that C holds.
///
/// # Safety
///
/// `source` is NULL, or came from eventsource_new() and was not freed.
unsafe fn handle<'a>(source: *const EventSource) -> Result<&'a Handle, Error> {
    // SAFETY: promised by the caller; it was made from an `Arc<Handle>`.
    unsafe { source.cast::<Handle>().as_ref() }.ok_or(Error::Null)
}

/// As [`handle`], counted once more.
///
/// # Safety
///
/// As [`handle`].
unsafe fn shared(source: *const EventSource) -> Result<Arc<Handle>, Error> {
    // SAFETY: promised by the caller.
    let handle = unsafe { handle(source) }?;
    // SAFETY: the pointer came from `Arc::into_raw` and its count is held.
    unsafe { Arc::increment_strong_count(handle) };
    // SAFETY: the count just made is this one's.
    Ok(unsafe { Arc::from_raw(handle) })
}

/// Makes a source for `url`, and stores it in `*source`.
///
/// `url` is absolute, http or https; user name and password in it are sent
/// as Basic authentication. Nothing is sent until eventsource_connect(); the
/// source is CONNECTING (R5). It is the caller's, given back with
/// eventsource_free(). On error `*source` is NULL: EVENTSOURCE_ERROR_URL
/// (R1), EVENTSOURCE_ERROR_SCHEME, EVENTSOURCE_ERROR_UTF8 or
/// EVENTSOURCE_ERROR_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_new(
    url: *const c_char,
    source: *mut *mut EventSource,
) -> Error {
    // SAFETY: NULL, or where the caller wants the source; what is there is
    // not looked at.
    let out =
        unsafe { source.cast::<MaybeUninit<*mut EventSource>>().as_mut() };
    let Some(out) = out else { return Error::Null };
    out.write(ptr::null_mut());
    guard(|| {
        // SAFETY: the header asks for NUL-terminated text.
        let handle = Handle::new(unsafe { text(url) }?)?;
        out.write(Arc::into_raw(Arc::new(handle)).cast_mut().cast());
        Ok(())
    })
}

/// Sets what is called when a connection is announced.
///
/// To be set before eventsource_connect(), else
/// EVENTSOURCE_ERROR_ALREADY_CONNECTED; NULL takes it away. This holds for
/// the other functions that set a callback, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_open(
    source: *mut EventSource,
    on_open: OpenCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.callbacks.open = on_open.map(|on_open| -> OnOpen {
                Box::new(move |response: &crate::response::Response| {
                    let response = Response::new(response);
                    on_open(pointer.get(), &response, user_data.get());
                })
            });
            Ok(())
        })
    })
}

/// Sets what is called with every event, whatever its type. It is called
/// before the listeners of the event's type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_event(
    source: *mut EventSource,
    on_event: EventCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.callbacks.event =
                on_event.map(|on_event| listener(pointer, on_event, user_data));
            Ok(())
        })
    })
}

/// Sets what is called when a connection was refused, lost or given up, or
/// an event was dropped for its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_error(
    source: *mut EventSource,
    on_error: ErrorCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.callbacks.error = on_error.map(|on_error| -> OnError {
                Box::new(move |cause: &crate::failure::Failure, outlook| {
                    let text = FailureText::new(cause);
                    let failure = text.failure(cause.error, outlook);
                    on_error(pointer.get(), &failure, user_data.get());
                })
            });
            Ok(())
        })
    })
}

/// Sets what is called last of all, exactly once: when a source that was
/// connected has become CLOSED, by the program or by itself.
///
/// It is called on the source's thread, also for a close that came from
/// another. A source that was never connected calls nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_close(
    source: *mut EventSource,
    on_close: CloseCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set_on_close(on_close.map(
            |on_close| -> OnClose {
                Box::new(move |reason| {
                    on_close(pointer.get(), reason, user_data.get());
                })
            },
        ))
    })
}

/// Sets what is called with every comment. Without it comments are skipped,
/// and cost next to nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_comment(
    source: *mut EventSource,
    on_comment: CommentCallback,
    user_data: *mut c_void,
) -> Error {
    let (from, user_data) = (Pointer(source), Pointer(user_data));
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.callbacks.comment =
                on_comment.map(|on_comment| -> OnComment {
                    Box::new(move |comment: crate::parser::Text<'_>| {
                        let len = comment.bytes().len();
                        let comment = pointer(comment);
                        on_comment(from.get(), comment, len, user_data.get());
                    })
                });
            Ok(())
        })
    })
}

/// Adds a listener for the events of one type, and stores its number, never
/// zero, in `*id`.
///
/// May be called at any time, from any thread, in callbacks. Listeners of a
/// type are called in the order in which they were added; one that is added
/// while an event is dispatched is called from the next event on. `message`
/// is the type of events that the stream gives none (R57). `id` may be NULL,
/// for a listener that is to stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_add_listener(
    source: *mut EventSource,
    r#type: *const c_char,
    on_event: EventCallback,
    user_data: *mut c_void,
    id: *mut u64,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    // SAFETY: NULL, or where the caller wants the number; what is there is
    // not looked at.
    let mut out = unsafe { id.cast::<MaybeUninit<u64>>().as_mut() };
    if let Some(out) = &mut out {
        out.write(0);
    }
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        // SAFETY: the header asks for NUL-terminated text.
        let event_type = unsafe { text(r#type) }?;
        let on_event = on_event.ok_or(Error::Null)?;
        let on_event = listener(pointer, on_event, user_data);
        let id = handle.add_listener(event_type, on_event);
        if let Some(out) = out {
            out.write(id);
        }
        Ok(())
    })
}

fn listener(
    source: Pointer<EventSource>,
    on_event: extern "C" fn(*mut EventSource, *const Event, *mut c_void),
    user_data: UserData,
) -> OnEvent {
    Arc::new(move |event: &crate::parser::Event<'_>, origin: &CStr| {
        let event = Event::new(event, origin);
        on_event(source.get(), &event, user_data.get());
    })
}

/// Removes the listener with the number `id`.
///
/// May be called at any time, from any thread, in callbacks. The listener
/// is not called from here on; if it is running on another thread, it runs
/// to its end. EVENTSOURCE_ERROR_VALUE if there is none with this number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_remove_listener(
    source: *mut EventSource,
    id: u64,
) -> Error {
    // SAFETY: NULL or a living source, as the header asks.
    guard(|| unsafe { handle(source) }?.remove_listener(id))
}

/// Sets a header of the request, or takes it away if `value` is NULL.
///
/// It replaces a header that was set before, and a default: `Accept:
/// text/event-stream`, `Accept-Encoding: identity`, `Cache-Control:
/// no-cache`, `Pragma: no-cache`, `User-Agent: libeventsource/VERSION`. The
/// headers set here are not sent to another origin than that of the
/// source's URL, if a redirect leads there.
///
/// EVENTSOURCE_ERROR_HEADER if HTTP cannot carry the name or the value (a
/// line break, for one), or if the header is the library's own:
/// `Connection`, `Content-Length`, `Expect`, `Last-Event-ID` (see
/// eventsource_set_last_event_id()), `Proxy-Authorization` (see
/// eventsource_set_proxy()), `TE`, `Trailer`, `Transfer-Encoding`,
/// `Upgrade`. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_header(
    source: *mut EventSource,
    name: *const c_char,
    value: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        // SAFETY: the header asks for NUL-terminated text.
        let name = unsafe { text(name) }?;
        // SAFETY: as above.
        let value = unsafe { optional(value) }?;
        handle.set(|setup| setup.options.set_header(name, value))
    })
}

/// Presets the last event ID string, for a program that resumes where an
/// earlier run stopped. It is sent as `Last-Event-ID` with the first request
/// (R35); an empty `id` sends none.
///
/// EVENTSOURCE_ERROR_VALUE if `id` has a line break. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_last_event_id(
    source: *mut EventSource,
    id: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        // SAFETY: the header asks for NUL-terminated text.
        handle.set_last_event_id(unsafe { text(id) }?)
    })
}

/// Sets the reconnection time in milliseconds, 3000 by default. A `retry`
/// field of the stream changes it later on (R52).
///
/// It is the wait after a connection that had brought an event, with up to a
/// fifth more at random. Attempts that bring no event are followed by waits
/// that double, from twice this time, or half a second if that is longer, up
/// to 30 seconds, or this time if that is longer. A time under 10
/// milliseconds becomes 10 when a server has ended its stream, after events,
/// fifty times in a row. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_reconnection_time(
    source: *mut EventSource,
    ms: u64,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.options.reconnection_time = ms;
            Ok(())
        })
    })
}

/// Sets the largest event in bytes of data, 64 MiB by default; 0 is no
/// limit.
///
/// A larger one is dropped as it comes, its id is kept, `on_error` is called
/// with EVENTSOURCE_ERROR_TOO_LARGE, and the stream goes on. To be set
/// before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_event_size(
    source: *mut EventSource,
    bytes: usize,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.options.max_event_size = bytes;
            Ok(())
        })
    })
}

/// Sets the file with the certificates of the authorities to trust, in PEM,
/// in the place of the system's.
///
/// It is read by this call. A certificate that is itself in the file is
/// trusted too, for the names in it: so a self-signed one is. NULL brings
/// the system's trust store back, which is the default.
///
/// EVENTSOURCE_ERROR_FILE if the file cannot be read, or is a directory;
/// EVENTSOURCE_ERROR_CERTIFICATE if there is no certificate in it, or text
/// that is broken. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_ca_file(
    source: *mut EventSource,
    path: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        // SAFETY: the header asks for NUL-terminated text.
        let path = unsafe { optional(path) }?.map(Path::new);
        handle.set(|setup| setup.options.network().trust.set_authorities(path))
    })
}

/// Sets the certificate that the program shows to a server, or to a proxy,
/// that asks for one, and the private key of it.
///
/// Both files are in PEM, and may be the same; they are read by this call.
/// The first certificate is the program's, others lead from it to an
/// authority. The key is not encrypted. NULL twice takes the certificate
/// away; there is none by default.
///
/// EVENTSOURCE_ERROR_FILE if a file cannot be read,
/// EVENTSOURCE_ERROR_CERTIFICATE if there is no certificate in the one, or a
/// broken one, EVENTSOURCE_ERROR_PRIVATE_KEY if there is no key in the
/// other, or one that does not match the certificate; EVENTSOURCE_ERROR_NULL
/// if only one is NULL. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_client_certificate(
    source: *mut EventSource,
    cert_path: *const c_char,
    key_path: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        // SAFETY: the header asks for NUL-terminated text, here and below.
        let certificate = unsafe { optional(cert_path) }?.map(Path::new);
        // SAFETY: as above.
        let key = unsafe { optional(key_path) }?.map(Path::new);
        if certificate.is_some() != key.is_some() {
            return Err(Error::Null);
        }
        let paths = certificate.zip(key);
        handle.set(|setup| setup.options.network().trust.set_identity(paths))
    })
}

/// Sets whether the certificate of an https server is checked: 1, the
/// default, or 0.
///
/// With 0 whoever sits between the program and the server can read and
/// change everything; eventsource_set_ca_file() is what a server with a
/// certificate of its own needs. It holds for https proxies, too.
/// EVENTSOURCE_ERROR_VALUE for another number. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_verify_peer(
    source: *mut EventSource,
    verify: c_int,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        let verify = match verify {
            0 => false,
            1 => true,
            _ => return Err(Error::Value),
        };
        handle.set(|setup| {
            setup.options.network().trust.set_verify_peer(verify);
            Ok(())
        })
    })
}

/// Sets the proxy to go through, `scheme://user:password@host:port`; NULL or
/// an empty text for none.
///
/// The scheme is `http`, also if there is none, `https` (HTTP over TLS),
/// `socks4`, `socks4a`, `socks5` or `socks5h`; those with a letter behind
/// their number leave the look-up of the server's name to the proxy. User,
/// password and port may be left out; the port is then 80, 443 or 1080. An
/// HTTP proxy is asked in the place of an http server, and for a tunnel
/// (CONNECT) to an https one. User and password go to the proxy and to
/// nobody else, and are in no message.
///
/// Without this call, eventsource_connect() looks at the environment:
/// `http_proxy` for http URLs, `https_proxy` for https URLs, `all_proxy` for
/// those that have none of these; `no_proxy` lists, with commas, the hosts
/// to connect to directly: names, which stand for the names below them, too,
/// IP addresses, networks such as `10.0.0.0/8`, each but the last also with
/// a port, or `*` for all. The names of these variables may be in capitals,
/// but for `HTTP_PROXY` in a CGI program, where a client can set it.
///
/// EVENTSOURCE_ERROR_URL if it is no URL of a proxy,
/// EVENTSOURCE_ERROR_SCHEME if the scheme is another one. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_proxy(
    source: *mut EventSource,
    url: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        // SAFETY: the header asks for NUL-terminated text.
        let url = unsafe { optional(url) }?.unwrap_or_default();
        handle.set(|setup| setup.options.network().set_proxy(url))
    })
}

/// Sets a Unix socket to connect to, whatever the host of the URL is; NULL
/// for none, the default.
///
/// No name is looked up then and no proxy asked; the host still goes into
/// the request, and an https server's certificate is to be for it. Redirects
/// lead to the same socket. EVENTSOURCE_ERROR_VALUE if the path is empty or
/// too long for the system (107 bytes on Linux). To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_unix_socket(
    source: *mut EventSource,
    path: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        // SAFETY: the header asks for NUL-terminated text.
        let path = unsafe { optional(path) }?.map(Path::new);
        handle.set(|setup| setup.options.network().set_unix_socket(path))
    })
}

/// Starts the source's thread, which connects. Returns at once.
///
/// EVENTSOURCE_ERROR_ALREADY_CONNECTED the second time,
/// EVENTSOURCE_ERROR_CLOSED after eventsource_close(),
/// EVENTSOURCE_ERROR_SYSTEM if the system has no thread or descriptor to
/// give: then it may be tried again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_connect(
    source: *mut EventSource,
) -> Error {
    // SAFETY: NULL or a living source, as the header asks.
    guard(|| unsafe { shared(source) }?.connect())
}

/// Drops the connection, or ends the wait for one, and connects again at
/// once: the program knows better, the network has changed.
///
/// May be called from any thread, in callbacks. The source is CONNECTING
/// from here on; no `on_error` comes, and `on_open` follows. Events that
/// came but were not dispatched yet are dropped; the server is asked for
/// them by Last-Event-ID. EVENTSOURCE_ERROR_NOT_CONNECTED before
/// eventsource_connect(), EVENTSOURCE_ERROR_CLOSED if the source is CLOSED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_reconnect(
    source: *mut EventSource,
) -> Error {
    // SAFETY: NULL or a living source, as the header asks.
    guard(|| unsafe { handle(source) }?.reconnect())
}

/// Closes the source, for good.
///
/// May be called from any thread, in callbacks, and again. It does not wait:
/// when it returns the source is CLOSED, and no callback begins any more,
/// `on_close` excepted, which follows within milliseconds, whatever the
/// source was doing. One that has begun on another thread runs to its end;
/// eventsource_wait() waits for it. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_close(source: *mut EventSource) {
    // SAFETY: NULL or a living source, as the header asks.
    if let Ok(handle) = unsafe { handle(source) } {
        let _ = catch(|| handle.close());
    }
}

/// Waits until the source is CLOSED and its last callback has returned, for
/// at most `timeout_ms` milliseconds; a negative number is no limit.
///
/// EVENTSOURCE_ERROR_TIMEOUT if the time is over,
/// EVENTSOURCE_ERROR_NOT_CONNECTED before eventsource_connect(),
/// EVENTSOURCE_ERROR_CALLBACK in a callback of the same source, which would
/// wait for itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_wait(
    source: *const EventSource,
    timeout_ms: i64,
) -> Error {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    // SAFETY: NULL or a living source, as the header asks.
    guard(|| unsafe { handle(source) }?.wait(timeout))
}

/// Returns the ready state; CLOSED for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_ready_state(
    source: *const EventSource,
) -> ReadyState {
    // SAFETY: NULL or a living source, as the header asks.
    let handle = unsafe { handle(source) };
    handle.map_or(ReadyState::Closed, Handle::ready_state)
}

/// Returns the URL of the source as the URL Standard serializes it;
/// redirects do not change it (R3). Borrowed until eventsource_free(); NULL
/// for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_url(
    source: *const EventSource,
) -> *const c_char {
    // SAFETY: NULL or a living source, as the header asks.
    let handle = unsafe { handle(source) };
    handle.map_or(ptr::null(), |handle| handle.url().as_ptr())
}

/// Stores the last event ID string, with its NUL, in `buffer`, and returns
/// its length without the NUL.
///
/// It is that of the last event dispatched, of whatever connection; inside
/// a callback with an event, that event's. If it does not fit into `size`
/// bytes, an empty text is stored in its place: half an id is none. `buffer`
/// may be NULL if `size` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_last_event_id(
    source: *const EventSource,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let room: &mut [MaybeUninit<u8>] = match buffer.is_null() {
        true => &mut [],
        // SAFETY: the caller's, of this size, and not read.
        false => unsafe { slice::from_raw_parts_mut(buffer.cast(), size) },
    };
    if let Some(first) = room.first_mut() {
        first.write(0);
    }
    // SAFETY: NULL or a living source, as the header asks.
    let Ok(handle) = (unsafe { handle(source) }) else { return 0 };
    let copied = catch(|| {
        handle.with_last_event_id(|id| {
            if id.len() < room.len() {
                let text = id.iter().chain(&[0]);
                for (place, byte) in room.iter_mut().zip(text) {
                    place.write(*byte);
                }
            }
            id.len()
        })
    });
    copied.unwrap_or(0)
}

/// Closes the source, waits until its last callback has returned, and
/// releases it.
///
/// Inside a callback of the same source there is no waiting: `on_close` is
/// called before this function returns, no callback begins after that, and
/// the release happens when the callback has returned. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_free(source: *mut EventSource) {
    if source.is_null() {
        return;
    }
    // SAFETY: a living source, as the header asks, whose count was given to
    // the caller by eventsource_new() and comes back here.
    let handle = unsafe { Arc::from_raw(source.cast::<Handle>()) };
    let kept = handle.clone();
    let freed = catch(|| handle.free());
    if freed.is_none() {
        // The thread may still be there; a leak is the lesser evil.
        mem::forget(kept);
    }
}
