//! What callbacks are given.

use std::cell::{OnceCell, RefCell};
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName};

use super::text;
use crate::error::Error;
use crate::failure::Failure as Cause;
use crate::failure::RetryPlan;
use crate::panic::catch;
use crate::parser;
use crate::response;

/// An event. All of it is borrowed until the callback returns, or as its item
/// is.
#[repr(C)]
pub struct Event {
    /// The event type: what the stream's `event` field said, or `message`.
    pub r#type: *const c_char,
    /// Its length in bytes.
    pub type_len: usize,
    /// The data: the stream's `data` lines, joined by line feeds.
    pub data: *const c_char,
    /// Its length in bytes.
    pub data_len: usize,
    /// The last event ID string, also if this event had no `id` field (R58);
    /// empty if there was none yet. It has no NUL in the middle.
    pub last_event_id: *const c_char,
    /// Its length in bytes.
    pub last_event_id_len: usize,
    /// Scheme, host, and port unless it is the scheme's own, of the URL that
    /// the event came from, after redirects (R56). Empty in an event from a
    /// parser.
    pub origin: *const c_char,
}

impl Event {
    pub(super) fn new(event: &parser::Event<'_>, origin: &CStr) -> Event {
        Event {
            r#type: pointer(event.event_type),
            type_len: length(event.event_type),
            data: pointer(event.data),
            data_len: length(event.data),
            last_event_id: pointer(event.last_event_id),
            last_event_id_len: length(event.last_event_id),
            origin: origin.as_ptr(),
        }
    }
}

/// How long it is, without its NUL.
pub(super) fn length(text: parser::Text<'_>) -> usize {
    text.bytes_with_nul().len() - 1
}

pub(super) fn pointer(text: parser::Text<'_>) -> *const c_char {
    text.bytes_with_nul().as_ptr().cast()
}

/// The head of a response, looked at with eventsource_response_status(),
/// eventsource_response_url() and eventsource_response_header(). Borrowed
/// until the callback returns, or as its item is.
pub struct Response {
    status: u16,
    url: CString,
    headers: HeaderMap,
    /// The values that have been asked for, as C text; made when asked for,
    /// and as long-lived as the response. On one thread: the callback's.
    values: RefCell<Vec<(HeaderName, CString)>>,
    /// The names, if one has been asked for.
    names: OnceCell<Vec<CString>>,
}

impl Response {
    pub(super) fn new(response: &response::Response) -> Response {
        Response {
            status: response.status,
            url: CString::new(response.url.as_str()).unwrap_or_default(),
            headers: response.headers.clone(),
            values: RefCell::default(),
            names: OnceCell::new(),
        }
    }

    fn header(&self, name: &str) -> Option<*const c_char> {
        let name = HeaderName::try_from(name).ok()?;
        let mut values = self.values.borrow_mut();
        if let Some((_, value)) = values.iter().find(|(it, _)| *it == name) {
            return Some(value.as_ptr());
        }
        let mut parts = self.headers.get_all(&name).iter();
        let mut joined = parts.next()?.as_bytes().to_vec();
        for part in parts {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(part.as_bytes());
        }
        let joined = String::from_utf8_lossy(&joined).into_owned();
        let value = CString::new(joined).ok()?;
        let pointer = value.as_ptr();
        // Moving a CString does not move its text.
        values.push((name, value));
        Some(pointer)
    }

    fn header_name(&self, index: usize) -> Option<*const c_char> {
        let names = self.names.get_or_init(|| {
            let names = self.headers.keys().map(HeaderName::as_str);
            names.filter_map(|name| CString::new(name).ok()).collect()
        });
        Some(names.get(index)?.as_ptr())
    }
}

/// Returns the status of `response`; 0 if `response` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_status(
    response: *const Response,
) -> c_int {
    // SAFETY: NULL, or a callback's or an item's own, and borrowed as they are.
    let response = unsafe { response.as_ref() };
    response.map_or(0, |response| response.status.into())
}

/// Returns the URL that `response` came from, after redirects. Borrowed as
/// `response` is; NULL if `response` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_url(
    response: *const Response,
) -> *const c_char {
    // SAFETY: NULL, or a callback's or an item's own, and borrowed as they are.
    let response = unsafe { response.as_ref() };
    response.map_or(ptr::null(), |response| response.url.as_ptr())
}

/// Returns the value of a header of `response`, or NULL if it has none. The
/// case of `name` does not matter; several values are joined by `, `.
/// Borrowed as `response` is; NULL if an argument is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_header(
    response: *const Response,
    name: *const c_char,
) -> *const c_char {
    // SAFETY: NULL, or a callback's or an item's own, and borrowed as they are.
    let response = unsafe { response.as_ref() };
    // SAFETY: the header asks for NUL-terminated text.
    let name = unsafe { text(name) };
    let (Some(response), Ok(name)) = (response, name) else {
        return ptr::null();
    };
    catch(|| response.header(name)).flatten().unwrap_or(ptr::null())
}

/// Returns the name of a header of `response`, in lower case, or NULL if it
/// has no more than `index` of them: numbers from 0 on go through all. A
/// header with several values counts once. Borrowed as `response` is; NULL
/// if `response` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_header_name(
    response: *const Response,
    index: usize,
) -> *const c_char {
    // SAFETY: NULL, or a callback's or an item's own, and borrowed as they are.
    let Some(response) = (unsafe { response.as_ref() }) else {
        return ptr::null();
    };
    catch(|| response.header_name(index)).flatten().unwrap_or(ptr::null())
}

/// Why a connection was refused, lost or given up, and what comes next. All
/// of it is borrowed until the callback returns, or as its item is.
#[repr(C)]
pub struct Failure {
    /// What it was.
    pub error: Error,
    /// The same in one line for a person, with the cause. Holds nothing
    /// secret: no header of the request, no data.
    pub message: *const c_char,
    /// The status of the response; 0 if none came.
    pub http_status: c_int,
    /// The head of the response; NULL if none came, or if it was in order.
    pub response: *const Response,
    /// How many attempts in a row have brought no event, this one included;
    /// 0 if the lost connection had brought one.
    pub attempt: u32,
    /// 1 if the source is CONNECTING and tries again after `delay_ms`. 0 if
    /// it is CLOSED; or, after EVENTSOURCE_ERROR_TOO_LARGE, still OPEN.
    pub will_retry: c_int,
    /// Milliseconds until the next attempt begins.
    pub delay_ms: u64,
    /// The beginning of the body of a response that was refused, up to 4096
    /// bytes of it, with a NUL after them; empty if none came within a second.
    pub body: *const c_char,
    /// Its length in bytes.
    pub body_len: usize,
}

/// What a [`Failure`] borrows from.
pub(super) struct FailureText {
    message: CString,
    response: Option<Response>,
    /// With a NUL after it.
    body: Vec<u8>,
}

impl FailureText {
    pub(super) fn new(cause: &Cause) -> FailureText {
        let message = cause.message.replace(char::is_control, " ");
        FailureText {
            message: CString::new(message).unwrap_or_default(),
            response: cause.response.as_deref().map(Response::new),
            body: [&cause.body[..], &[0]].concat(),
        }
    }

    pub(super) fn failure(&self, error: Error, plan: RetryPlan) -> Failure {
        let response = self.response.as_ref();
        Failure {
            error,
            message: self.message.as_ptr(),
            http_status: response.map_or(0, |it| it.status.into()),
            response: response.map_or(ptr::null(), ptr::from_ref),
            attempt: plan.attempt,
            will_retry: plan.delay.is_some().into(),
            delay_ms: milliseconds(plan.delay.unwrap_or_default()),
            body: self.body.as_ptr().cast(),
            body_len: self.body.len() - 1,
        }
    }
}

/// What does not fit into what `on_retry` returns is for ever all the same.
pub(super) fn milliseconds(wait: Duration) -> u64 {
    wait.as_millis().min(i64::MAX as u128) as u64
}
