//! What a source asks for: eventsource_set_header(3).

use std::ffi::{c_char, c_int, c_void};

use super::convert::{bytes, flag, guard, optional, text};
use super::source::{CSource, handle, set};
use crate::error::Error;

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
/// line break, for one; in `Authorization` and `Host` also what is not
/// ASCII), if `Accept-Encoding` asks for a coding that is not decoded (only
/// `identity`, `gzip` and `x-gzip` are; any other may be excluded with
/// `q=0`), if the source has 10,000 headers, or if the header is the library's
/// own:
/// `Connection`, `Content-Length`, `Expect`, `Last-Event-ID` (see
/// eventsource_set_last_event_id()), `Proxy-Authorization` (see
/// eventsource_set_proxy()), `TE`, `Trailer`, `Transfer-Encoding`,
/// `Upgrade`. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_header(
    source: *mut CSource,
    name: *const c_char,
    value: *const c_char,
) -> Error {
    guard(|| {
        let (handle, name) = (handle(source)?, text(name)?);
        let value = optional(value)?;
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
    source: *mut CSource,
    id: *const c_char,
) -> Error {
    guard(|| handle(source)?.set_last_event_id(text(id)?))
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
    source: *mut CSource,
    method: *const c_char,
) -> Error {
    guard(|| {
        let (handle, method) = (handle(source)?, text(method)?);
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
    source: *mut CSource,
    bytes: *const c_void,
    len: usize,
) -> Error {
    guard(|| {
        let body = match (bytes.is_null(), len) {
            (true, 0) => None,
            _ => Some(self::bytes(bytes.cast(), len)?),
        };
        set(source, |setup| setup.options.request.set_body(body))
    })
}

/// Sets how many redirects one attempt follows, 20 by default (R12); 0 for
/// none. One more is EVENTSOURCE_ERROR_REDIRECT. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_redirects(
    source: *mut CSource,
    n: u32,
) -> Error {
    guard(|| set(source, |setup| setup.options.max_redirects = n))
}

/// Sets whether credentials go to other origins than that of the source's
/// URL, if redirects lead there (R4): 1 for yes, 0, the default, for no.
///
/// Credentials are the headers that the program has set, `Host` excepted,
/// user and password of the URL, and cookies: what servers set is kept in
/// memory, and sent back to those it is for, as long as the source lives,
/// unless the program sets the header `Cookie` or takes it away. Which
/// domains are shared by strangers the source does not know: with
/// credentials it is the program that trusts where it is sent.
/// EVENTSOURCE_ERROR_VALUE for another number. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_with_credentials(
    source: *mut CSource,
    with_credentials: c_int,
) -> Error {
    guard(|| {
        let wanted = flag(with_credentials)?;
        handle(source)?.set_with_credentials(wanted)
    })
}
