//! What a source asks for: eventsource_set_header(3).

use std::ffi::{c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;

use super::convert::{bytes, flag, guard, name, optional, path, text};
use super::source::{CSource, handle, set, setting};
use crate::error::Error;
use crate::source::handle::Setter;

/// Sets a header of the request, or removes it if `value` is NULL.
///
/// The header replaces one that was set before, and a default:
/// `Accept: text/event-stream`, `Accept-Encoding: identity`,
/// `Cache-Control: no-cache`, `Pragma: no-cache`,
/// `User-Agent: libeventsource/VERSION`. If a redirect leads to another origin
/// than that of the source's URL, the headers set here are not sent there (see
/// eventsource_set_trust_redirects()), except for `Accept`, `Accept-Language`,
/// `Cache-Control`, `Content-Type`, `Origin`, `Pragma` and `User-Agent`, and
/// for what describes a body that is sent there.
///
/// EVENTSOURCE_ERROR_HEADER if HTTP cannot carry the name or the value (because
/// of a line break, for example; in `Authorization` and `Host` also because of
/// text that is not ASCII), if `Accept-Encoding` asks for a coding that the
/// library does not decode (only `identity`, `gzip` and `x-gzip` are decoded;
/// any other may be excluded with `q=0`), if the source has 10,000 headers, or
/// if the header belongs to the library:
/// `Connection`, `Content-Length`, `Expect`, `Last-Event-ID` (see
/// eventsource_set_last_event_id()), `Proxy-Authorization` (see
/// eventsource_set_proxy()), `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_header(
    source: *mut CSource,
    name: *const c_char,
    value: *const c_char,
) -> Error {
    guard(|| {
        let called = path(name);
        let called = called.map_or(&[][..], |it| it.as_os_str().as_bytes());
        let setter = Setter::of_header("eventsource_set_header", called);
        handle(source)?.setting(setter, |handle| {
            let (name, value) = (text(name)?, optional(value)?);
            handle.set(|setup| setup.options.request.set_header(name, value))
        })
    })
}

/// Presets the last event ID string, so that a program can resume where an
/// earlier run stopped. The first request sends it as `Last-Event-ID` (R35); if
/// `id` is empty, or longer than 16 KiB (R37), the header is not sent.
///
/// EVENTSOURCE_ERROR_VALUE if `id` has a line break.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_last_event_id(
    source: *mut CSource,
    id: *const c_char,
) -> Error {
    setting(source, "eventsource_set_last_event_id", |handle| {
        handle.set_last_event_id(text(id)?)
    })
}

/// Sets the method of the request. The default is `GET`, or `POST` if there is
/// a body.
///
/// A GET sends no body. A redirect with status 303 turns every other method
/// into GET; redirects with 301 and 302 turn POST into GET.
/// EVENTSOURCE_ERROR_VALUE for `HEAD`, `CONNECT`, `TRACE`, and for a text that
/// is no method.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_method(
    source: *mut CSource,
    method: *const c_char,
) -> Error {
    setting(source, "eventsource_set_method", |handle| {
        let method = name(method)?;
        handle.set(|setup| setup.options.request.set_method(method))
    })
}

/// Sets the body of the request, `len` bytes, or removes it if `bytes` is NULL
/// and `len` is 0.
///
/// Every attempt sends the body, and a redirect with status 307 or 308 sends it
/// again, to whatever origin. Its type is `text/plain` unless the header
/// `Content-Type` is set; the library writes `Content-Length`. By default a
/// source with a body, or with another method than GET, asks only once: see
/// eventsource_set_retry().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_body(
    source: *mut CSource,
    bytes: *const c_void,
    len: usize,
) -> Error {
    setting(source, "eventsource_set_body", |handle| {
        let body = match (bytes.is_null(), len) {
            (true, 0) => None,
            _ => Some(self::bytes(bytes.cast(), len)?),
        };
        handle.set(|setup| setup.options.request.set_body(body))
    })
}

/// Sets how many redirects one attempt follows, 20 by default (R12); 0 for
/// none. One more redirect is EVENTSOURCE_ERROR_REDIRECT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_redirects(
    source: *mut CSource,
    n: u32,
) -> Error {
    guard(|| set(source, |setup| setup.options.max_redirects = n))
}

/// Sets whether other origins than that of the source's URL, if redirects lead
/// there, get the credentials that are their own (R4): 1 for yes, 0, the
/// default, for no.
///
/// These are the cookies that they have set, and the client certificate that
/// they ask for. Headers that the program has set are not sent to them: see
/// eventsource_set_trust_redirects(). Cookies are kept in memory as long as the
/// source lives, and sent back to the servers they are for, at most 16 KiB of
/// them in a request, unless the program sets or removes the header `Cookie`.
/// The source has no list of public suffixes: with credentials, any site under
/// co.uk can set a cookie for all of co.uk.
///
/// Once a redirect has led to another origin, all that follows counts as
/// another origin, also if a redirect leads back to the first: the other server
/// may have chosen the URL. That holds for reconnections, too, until one fails
/// and the source begins at its own URL again. EVENTSOURCE_ERROR_VALUE for
/// another number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_with_credentials(
    source: *mut CSource,
    with_credentials: c_int,
) -> Error {
    setting(source, "eventsource_set_with_credentials", |handle| {
        handle.set_with_credentials(flag(with_credentials)?)
    })
}

/// Sets whether redirects may take the program's secrets to other origins than
/// that of the source's URL: 1 for yes, 0, the default, for no.
///
/// Secrets are all headers that the program has set, but for those that
/// eventsource_set_header() names, and the URL's user name and password. `Host`
/// stays behind in any case. A user name and password in a redirect to another
/// origin are never sent. Trust redirects only if every server that is asked
/// may learn the secrets, and may send them on. EVENTSOURCE_ERROR_VALUE for
/// another number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_trust_redirects(
    source: *mut CSource,
    trust: c_int,
) -> Error {
    setting(source, "eventsource_set_trust_redirects", |handle| {
        let wanted = flag(trust)?;
        handle.set(|setup| {
            setup.options.trust_redirects = wanted;
            Ok(())
        })
    })
}
