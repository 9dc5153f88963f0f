//! The request before an attempt: eventsource_on_request(3).

use std::ffi::{c_char, c_void};
use std::ptr;

use super::convert::{self, Pointer, exclusive, guard, optional, shared, text};
use super::event::{CFailure, FailureText, pointer};
use super::source::{CSource, set};
use crate::error::Error;
use crate::failure::LastFailure;
use crate::parser::Text;
use crate::settings::attempt::Attempt;
use crate::source::handler::OnRequest;

/// A request that is about to be made, as `on_request` gets it. Borrowed until
/// the callback returns.
pub struct CRequest {
    attempt: Attempt,
    /// The last event ID string, unless the program has set it. As long-lived
    /// as this.
    last_event_id: *const c_char,
    /// NULL, or as long-lived as this.
    failure: *const CFailure,
}

/// Called before each attempt. What is changed in `request` holds for this
/// attempt only.
pub type RequestCallback = Option<
    extern "C" fn(
        source: *mut CSource,
        request: *mut CRequest,
        user_data: *mut c_void,
    ),
>;

/// Sets the callback that is called before every attempt, the first included,
/// so that the program can send a fresh token, or ask in another way when it
/// reconnects.
///
/// The callback runs on the source's thread, once for each attempt, and not
/// again for the attempt's redirects. Each attempt begins with the settings of
/// the source; what the callback has changed for an earlier attempt is gone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_request(
    source: *mut CSource,
    on_request: RequestCallback,
    user_data: *mut c_void,
) -> Error {
    let (place, user_data) = (Pointer(source), Pointer(user_data));
    let on_request = on_request.map(|on_request| -> OnRequest {
        Box::new(move |attempt, id: Text<'_>, last: Option<&LastFailure>| {
            let text = last.map(|last| FailureText::new(&last.failure));
            let failure = last.zip(text.as_ref()).map(|(last, text)| {
                text.failure(last.failure.error, last.plan, id)
            });
            let failure = failure.as_ref().map_or(ptr::null(), ptr::from_ref);
            let last_event_id = pointer(id);
            let mut request = CRequest { attempt, last_event_id, failure };
            on_request(place.get(), &mut request, user_data.get());
            request.attempt
        })
    });
    guard(|| set(source, |setup| setup.questions.set().request = on_request))
}

/// Returns the number of this attempt of the source, from 1 on; 0 if `request`
/// is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_attempt(
    request: *const CRequest,
) -> u64 {
    shared(request).map_or(0, |request| request.attempt.number)
}

/// Returns the failure that this attempt follows, as `on_error` got it last.
/// Borrowed as `request` is; NULL for the first attempt, after
/// eventsource_reconnect(), and if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_failure(
    request: *const CRequest,
) -> *const CFailure {
    shared(request).map_or(ptr::null(), |request| request.failure)
}

/// Returns the last event ID string as this attempt sends it (R35), also in
/// pull mode, where eventsource_last_event_id() is as of the item last taken.
/// Borrowed as `request` is, and no longer than until the string is set; empty
/// if there was none yet, NULL if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_last_event_id(
    request: *const CRequest,
) -> *const c_char {
    shared(request).map_or(ptr::null(), |request| {
        request.attempt.last_event_id().map_or(request.last_event_id, pointer)
    })
}

/// Sets a header of this attempt, or removes it if `value` is NULL. Errors are
/// those of eventsource_set_header().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_set_header(
    request: *mut CRequest,
    name: *const c_char,
    value: *const c_char,
) -> Error {
    guard(|| {
        let (request, name) = (exclusive(request)?, text(name)?);
        request.attempt.request.set_header(name, optional(value)?)
    })
}

/// Sets the method of this attempt. With `GET` the body is left out, and the
/// headers that describe it, so that a stream that was asked for by POST can be
/// resumed. Errors are those of eventsource_set_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_set_method(
    request: *mut CRequest,
    method: *const c_char,
) -> Error {
    guard(|| exclusive(request)?.attempt.set_method(convert::name(method)?))
}

/// Sets the URL of this attempt, absolute, http or https: for services that
/// want in the query where to resume, or a token, and for a second server where
/// the first is down.
///
/// For this attempt `url` stands in the place of the source's URL: the headers
/// that the program has set, cookies and the client certificate go to the
/// origin of `url`, user name and password are those in `url`, and a redirect
/// to any other origin leads to another origin. Where a redirect led before
/// does not count any more, nor does what the redirect made of the request
/// (R13). The next attempt begins at the source's URL, unless the callback sets
/// another. eventsource_url() does not change; the response tells the URL that
/// it came from. EVENTSOURCE_ERROR_URL or EVENTSOURCE_ERROR_SCHEME as for
/// eventsource_new().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_set_url(
    request: *mut CRequest,
    url: *const c_char,
) -> Error {
    guard(|| exclusive(request)?.attempt.set_url(convert::name(url)?))
}

/// Sets the last event ID string, or clears it if `id` is NULL or empty: for a
/// server that has forgotten the id, and would refuse it for ever.
///
/// Unlike the other changes this one lasts, as if the stream had set the id: it
/// is sent as `Last-Event-ID` from this attempt on (R35), events without an id
/// have it (R58), and eventsource_last_event_id() returns it, in pull mode from
/// the next item on. It is set also if the attempt is not made.
/// EVENTSOURCE_ERROR_VALUE if `id` has a line break.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_set_last_event_id(
    request: *mut CRequest,
    id: *const c_char,
) -> Error {
    guard(|| {
        let (request, id) = (exclusive(request)?, optional(id)?);
        request.attempt.set_last_event_id(id.unwrap_or_default())
    })
}

/// Aborts this attempt, for a program that cannot ask: no token could be had,
/// for example. Nothing is sent; the attempt has failed, with
/// EVENTSOURCE_ERROR_ABORTED and with `message`, a line for people. If
/// `message` is NULL or empty, the library says that the program has aborted.
///
/// What follows is what follows any failure: `on_retry`, `on_error`, a delay
/// that grows, and another attempt, unless the policy has none or
/// eventsource_set_max_attempts() is reached. To end the source instead, call
/// eventsource_close().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_abort(
    request: *mut CRequest,
    message: *const c_char,
) -> Error {
    guard(|| {
        let (request, message) = (exclusive(request)?, optional(message)?);
        request.attempt.abort(message);
        Ok(())
    })
}
