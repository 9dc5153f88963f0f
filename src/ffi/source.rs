//! The object `eventsource`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::event::{
    Event, Failure, FailureText, Response, length, milliseconds, pointer,
};
use super::queue::Taken;
use super::request::Request;
use super::stats::Stats;
use super::{Pointer, UserData, flag, guard, optional, text};
use crate::error::Error;
use crate::failure::LastFailure;
use crate::panic::catch;
use crate::settings::options::Options;
use crate::settings::retry::Retry;
use crate::source::handle::{
    Handle, OnClose, OnComment, OnError, OnEvent, OnOpen,
};
use crate::source::handle::{OnRequest, OnRetry};
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
/// program closed it, EVENTSOURCE_ERROR_ENDED if its stream has ended and is
/// not asked for again, else what the last `on_error` said.
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

/// An attempt begins: `request` may be changed, for this attempt.
pub type RequestCallback = Option<
    extern "C" fn(
        source: *mut EventSource,
        request: *mut Request,
        user_data: *mut c_void,
    ),
>;

/// A connection was refused or lost, and the program decides what follows:
/// it returns how many milliseconds the next attempt waits, or a negative
/// number for none.
///
/// What follows otherwise stands in `failure`: return `delay_ms` for another
/// attempt and -1 for none, whatever `will_retry` says, or
/// `will_retry ? delay_ms : -1` for no change. The source's state is the one
/// before the failure.
pub type RetryCallback = Option<
    extern "C" fn(
        source: *mut EventSource,
        failure: *const Failure,
        user_data: *mut c_void,
    ) -> i64,
>;

/// What is behind the pointer that C holds.
pub(super) struct Source {
    pub(super) handle: Arc<Handle>,
    /// What the program has taken from the queue, once it has.
    pub(super) taken: Mutex<Option<Box<Taken>>>,
}

/// # Safety
///
/// `source` is NULL, or came from eventsource_new() and was not freed.
pub(super) unsafe fn inner<'a>(
    source: *const EventSource,
) -> Result<&'a Source, Error> {
    // SAFETY: promised by the caller; it was made from a `Box<Source>`.
    unsafe { source.cast::<Source>().as_ref() }.ok_or(Error::Null)
}

/// # Safety
///
/// As [`inner`].
pub(super) unsafe fn handle<'a>(
    source: *const EventSource,
) -> Result<&'a Arc<Handle>, Error> {
    // SAFETY: promised by the caller.
    unsafe { inner(source) }.map(|inner| &inner.handle)
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
        let handle = Arc::new(Handle::new(unsafe { text(url) }?)?);
        let source = Source { handle, taken: Mutex::default() };
        out.write(Box::into_raw(Box::new(source)).cast());
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
                Box::new(move |cause: &crate::failure::Failure, plan| {
                    let text = FailureText::new(cause);
                    let failure = text.failure(cause.error, plan);
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
                        let len = length(comment);
                        let comment = pointer(comment);
                        on_comment(from.get(), comment, len, user_data.get());
                    })
                });
            Ok(())
        })
    })
}

/// Sets what is called before every attempt, the first included: to send a
/// fresh token, or to ask in another way when coming back.
///
/// It is called on the source's thread, once for an attempt, not again for
/// its redirects. Each attempt begins with what was set on the source;
/// what is changed then does not stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_request(
    source: *mut EventSource,
    on_request: RequestCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.callbacks.request =
                on_request.map(|on_request| -> OnRequest {
                    Box::new(
                        move |request, attempt, last: Option<&LastFailure>| {
                            let text = last
                                .map(|last| FailureText::new(&last.failure));
                            let failure =
                                last.zip(text.as_ref()).map(|(last, text)| {
                                    text.failure(last.failure.error, last.plan)
                                });
                            let failure = failure
                                .as_ref()
                                .map_or(ptr::null(), ptr::from_ref);
                            let mut request =
                                Request { request, attempt, failure };
                            on_request(
                                pointer.get(),
                                &mut request,
                                user_data.get(),
                            );
                            request.request
                        },
                    )
                });
            Ok(())
        })
    })
}

/// Sets what decides whether and when the source comes back.
///
/// It is called on the source's thread after every attempt that has failed
/// and every stream that was lost or has ended, before `on_error`. A wait of
/// 0 is at once: it is for the program to see that it does not turn in
/// circles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_retry(
    source: *mut EventSource,
    on_retry: RetryCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.callbacks.retry = on_retry.map(|on_retry| -> OnRetry {
                Box::new(move |cause: &crate::failure::Failure, plan, wait| {
                    let text = FailureText::new(cause);
                    let mut failure = text.failure(cause.error, plan);
                    failure.delay_ms = milliseconds(wait);
                    let wait =
                        on_retry(pointer.get(), &failure, user_data.get());
                    u64::try_from(wait).ok().map(Duration::from_millis)
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
/// for a listener that is to stay. EVENTSOURCE_ERROR_QUEUE if the source has
/// a queue.
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
        let id = handle.add_listener(event_type, on_event)?;
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
    Box::new(move |event: &crate::parser::Event<'_>, origin: &CStr| {
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
/// source's URL, if a redirect leads there (see
/// eventsource_set_with_credentials()), but `Content-Type` goes where the
/// body goes.
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
        handle.set(|setup| setup.options.request.set_header(name, value))
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

/// Sets the method of the request, `GET` by default, or `POST` if there is a
/// body.
///
/// A GET sends no body. A redirect with status 303 makes a GET of another
/// method, and 301 and 302 of a POST. EVENTSOURCE_ERROR_VALUE for `HEAD`,
/// `CONNECT`, `TRACE`, and what is no method. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_method(
    source: *mut EventSource,
    method: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        // SAFETY: the header asks for NUL-terminated text.
        let method = unsafe { text(method) }?;
        handle.set(|setup| setup.options.request.set_method(method))
    })
}

/// Sets the body of the request, `len` bytes, or takes it away if `bytes` is
/// NULL and `len` is 0.
///
/// It is sent with every attempt, and again where a redirect with status 307
/// or 308 leads, to whatever origin. Its type is `text/plain` unless the
/// header `Content-Type` is set; `Content-Length` is written by the library.
/// A source with a body, or with another method than GET, asks once only:
/// see eventsource_set_retry(). To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_body(
    source: *mut EventSource,
    bytes: *const c_void,
    len: usize,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        let body = match (bytes.is_null(), len) {
            (true, 0) => None,
            (true, _) => return Err(Error::Null),
            // More than any memory holds.
            (false, _) if isize::try_from(len).is_err() => {
                return Err(Error::Value);
            }
            (false, _) => {
                // SAFETY: the header asks for that many bytes.
                Some(unsafe { slice::from_raw_parts(bytes.cast::<u8>(), len) })
            }
        };
        handle.set(|setup| {
            setup.options.request.set_body(body);
            Ok(())
        })
    })
}

/// Sets how many redirects one attempt follows, 20 by default (R12); 0 for
/// none. One more is EVENTSOURCE_ERROR_REDIRECT. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_redirects(
    source: *mut EventSource,
    n: u32,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.options.max_redirects = n;
            Ok(())
        })
    })
}

/// Sets whether credentials go to other origins than that of the source's
/// URL, if redirects lead there (R4): 1 for yes, 0, the default, for no.
///
/// Credentials are the headers that the program has set, `Host` excepted,
/// user and password of the URL, and cookies: what servers set is kept in
/// memory, and sent back to those it is for, as long as the source lives,
/// unless the program sets the header `Cookie` or takes it away. Which
/// domains are shared by strangers the source does not know: with
/// credentials it is the program that trusts where it is sent. To be set
/// before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_with_credentials(
    source: *mut EventSource,
    with_credentials: c_int,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set_with_credentials(with_credentials != 0)
    })
}

/// Sets how long an attempt may take to be connected, in milliseconds: the
/// look-up of the name, TCP and TLS together. 30000 by default, 0 for ever.
///
/// It is EVENTSOURCE_ERROR_TIMEOUT then, and comes anew with each redirect.
/// None of these times limits how long a stream lasts. To be set before
/// eventsource_connect(), as the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_connect_timeout(
    source: *mut EventSource,
    ms: u64,
) -> Error {
    // SAFETY: NULL or a living source, as the header asks.
    unsafe { set_timeout(source, ms, |options| &mut options.connect_timeout) }
}

/// Sets how long a server may take for the head of its response, in
/// milliseconds, from the last byte of the request that it has taken. 60000
/// by default, 0 for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_response_timeout(
    source: *mut EventSource,
    ms: u64,
) -> Error {
    // SAFETY: NULL or a living source, as the header asks.
    unsafe { set_timeout(source, ms, |options| &mut options.response_timeout) }
}

/// Sets how long an open stream may be silent, in milliseconds; 0, the
/// default, for ever.
///
/// Any byte counts, comments too; the time that callbacks take does not. A
/// stream that is silent for longer is lost: EVENTSOURCE_ERROR_TIMEOUT.
/// Without it TCP notices a dead peer all the same, within minutes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_idle_timeout(
    source: *mut EventSource,
    ms: u64,
) -> Error {
    // SAFETY: NULL or a living source, as the header asks.
    unsafe { set_timeout(source, ms, |options| &mut options.idle_timeout) }
}

/// # Safety
///
/// As [`handle`].
unsafe fn set_timeout(
    source: *mut EventSource,
    ms: u64,
    timeout: fn(&mut Options) -> &mut Option<Duration>,
) -> Error {
    guard(|| {
        // SAFETY: promised by the caller.
        unsafe { handle(source) }?.set(|setup| {
            let ms = (ms > 0).then(|| Duration::from_millis(ms));
            *timeout(&mut setup.options) = ms;
            Ok(())
        })
    })
}

/// Sets after which failures the source comes back: `retry` is an
/// `eventsource_retry`.
///
/// By default it is EVENTSOURCE_RETRY_STANDARD for a GET and
/// EVENTSOURCE_RETRY_NEVER for everything else, so that what is paid for is
/// not asked for twice by accident. A stream that has ended in good order and
/// is not asked for again is no failure: no `on_error` comes, and `on_close`
/// says EVENTSOURCE_ERROR_ENDED. `Retry-After` of a response makes a wait
/// longer, up to an hour. EVENTSOURCE_ERROR_VALUE for another number. To be
/// set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_retry(
    source: *mut EventSource,
    retry: c_int,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        let retry = Retry::from_raw(retry).ok_or(Error::Value)?;
        handle.set(|setup| {
            setup.options.retry = Some(retry);
            Ok(())
        })
    })
}

/// Sets after how many attempts in a row that brought no event the source
/// gives up; 0, the default, for never. Its last failure is told to
/// `on_error`. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_attempts(
    source: *mut EventSource,
    n: u32,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        unsafe { handle(source) }?.set(|setup| {
            setup.options.max_attempts = n;
            Ok(())
        })
    })
}

/// Sets the longest wait between two attempts in milliseconds, with up to a
/// fifth more at random. By default it is 30 seconds, or the reconnection
/// time if that is longer.
///
/// A limit set here holds for the server's `retry` and `Retry-After`, too.
/// One below half a second does not hurry what follows fruitless attempts.
/// EVENTSOURCE_ERROR_VALUE if `ms` is 0. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_reconnection_time(
    source: *mut EventSource,
    ms: u64,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        if ms == 0 {
            return Err(Error::Value);
        }
        handle.set(|setup| {
            setup.options.max_reconnection_time = Some(ms);
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
        let verify = flag(verify)?;
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
/// A server that vanishes without a word is noticed within two minutes: when
/// nothing has come for one, the system begins to probe it (TCP keepalive).
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
    guard(|| unsafe { handle(source) }?.clone().connect())
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
pub unsafe extern "C" fn eventsource_reconnect(
    source: *mut EventSource,
) -> Error {
    // SAFETY: NULL or a living source, as the header asks.
    guard(|| unsafe { handle(source) }?.clone().reconnect())
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
    source: *const EventSource,
    timeout_ms: i64,
) -> Error {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    // SAFETY: NULL or a living source, as the header asks.
    guard(|| unsafe { handle(source) }?.clone().wait(timeout))
}

/// Returns the ready state; CLOSED for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_ready_state(
    source: *const EventSource,
) -> ReadyState {
    // SAFETY: NULL or a living source, as the header asks.
    let handle = unsafe { handle(source) };
    handle.map_or(ReadyState::Closed, |handle| handle.ready_state())
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

/// Returns 1 if credentials go to other origins (R4), else 0; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_with_credentials(
    source: *const EventSource,
) -> c_int {
    // SAFETY: NULL or a living source, as the header asks.
    let handle = unsafe { handle(source) };
    handle.is_ok_and(|handle| handle.with_credentials()).into()
}

/// Stores what the source has counted in `*stats`, which has `size` bytes:
/// `sizeof *stats`, so that programs and libraries of different versions
/// understand each other.
///
/// May be called from any thread at any time; it does not wait, and costs
/// the source nothing. EVENTSOURCE_ERROR_NULL if an argument is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_get_stats(
    source: *const EventSource,
    stats: *mut Stats,
    size: usize,
) -> Error {
    guard(|| {
        if stats.is_null() {
            return Err(Error::Null);
        }
        // SAFETY: NULL or a living source, as the header asks.
        let counted = unsafe { handle(source) }.map(|handle| handle.stats());
        let shown = counted
            .as_ref()
            .map_or_else(|_| Stats::default(), |counted| Stats::new(counted));
        // SAFETY: the caller's, of this size.
        unsafe { shown.write(stats, size) };
        counted.map(|_| ())
    })
}

/// Closes the source, waits until its last callback has returned, and
/// releases it.
///
/// Inside a callback of the same source there is no waiting: `on_close` is
/// called before this function returns, no callback begins after that, and
/// the release happens when the callback has returned. NULL is ignored.
///
/// No other thread may be using the source, unless it is still inside
/// eventsource_connect(), eventsource_close(), eventsource_reconnect() or
/// eventsource_wait(): a callback that these lead to, or wait for, may free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_free(source: *mut EventSource) {
    // SAFETY: NULL or a living source, as the header asks.
    let Ok(handle) = (unsafe { handle(source) }) else { return };
    // Kept by a callback's own thread until that has returned.
    let handle = handle.clone();
    if catch(|| handle.free()).is_none() {
        // The thread may still be there; a leak is the lesser evil.
        return;
    }
    // SAFETY: made by eventsource_new(); the program uses it no more, nor does
    // the source's thread, which has ended or only knows the handle.
    drop(unsafe { Box::from_raw(source.cast::<Source>()) });
}
