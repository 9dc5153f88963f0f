//! What callbacks and items show: events and failures.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::time::Duration;

use super::response::CResponse;
use crate::error::Error;
use crate::failure::{Excerpt, Failure, RetryPlan};
use crate::parser::{Event, Text};

/// An event. All of it is borrowed until the callback returns; an item's, as
/// long as the item.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct CEvent {
    /// The event type: the stream's `event` field, or `message`.
    pub r#type: *const c_char,
    /// The length of `type` in bytes.
    pub type_len: usize,
    /// The data: the stream's `data` fields, joined by line feeds.
    pub data: *const c_char,
    /// The length of `data` in bytes.
    pub data_len: usize,
    /// The last event ID string, even if this event had no `id` field (R58);
    /// empty if there was none yet. It has no NUL in the middle.
    pub last_event_id: *const c_char,
    /// The length of `last_event_id` in bytes.
    pub last_event_id_len: usize,
    /// The origin of the URL that the event came from, after redirects (R56):
    /// the scheme, the host, and the port unless it is the scheme's default.
    /// Empty in an event from a parser.
    pub origin: *const c_char,
}

impl CEvent {
    pub(super) fn new(event: &Event<'_>, origin: &CStr) -> CEvent {
        CEvent {
            r#type: pointer(event.event_type),
            type_len: length(event.event_type),
            data: pointer(event.data),
            data_len: length(event.data),
            last_event_id: pointer(event.last_event_id),
            last_event_id_len: length(event.last_event_id),
            origin: origin.as_ptr(),
        }
    }

    /// The same event with other data.
    #[inline]
    pub(super) fn with_data(&self, data: Text<'_>) -> CEvent {
        CEvent { data: pointer(data), data_len: length(data), ..*self }
    }
}

impl Default for CEvent {
    /// No event.
    fn default() -> CEvent {
        CEvent {
            r#type: ptr::null(),
            type_len: 0,
            data: ptr::null(),
            data_len: 0,
            last_event_id: ptr::null(),
            last_event_id_len: 0,
            origin: ptr::null(),
        }
    }
}

/// How long it is, without its NUL.
pub(super) fn length(text: Text<'_>) -> usize {
    text.bytes_with_nul().len() - 1
}

pub(super) fn pointer(text: Text<'_>) -> *const c_char {
    text.bytes_with_nul().as_ptr().cast()
}

/// Why a connection was refused, lost or given up, and what comes next. All of
/// it is borrowed until the callback returns; an item's, as long as the item.
#[repr(C)]
pub struct CFailure {
    /// What went wrong.
    pub error: Error,
    /// The same in one line for people, with the cause. The message holds
    /// nothing secret: no header of the request, no data.
    pub message: *const c_char,
    /// The status of the response, also if it was accepted, mostly 200; 0 if no
    /// response came.
    pub http_status: c_int,
    /// The head of the response; NULL if no response came, or if it was
    /// accepted.
    pub response: *const CResponse,
    /// How many attempts in a row have failed, this one included; 0 if the
    /// lost connection had worked: it brought an event or an id, or was open
    /// for a second.
    pub attempt: u32,
    /// 1 if the source is CONNECTING and tries again after `delay_ms`. 0 if the
    /// source is CLOSED; or, after EVENTSOURCE_ERROR_TOO_LARGE, still OPEN.
    pub will_retry: c_int,
    /// The delay before the next attempt, in milliseconds.
    pub delay_ms: u64,
    /// The beginning of a refused response's body, and a NUL after it; empty if
    /// no body came. Up to 4096 bytes that come within one second, unless
    /// eventsource_set_max_body_size() says otherwise.
    pub body: *const c_char,
    /// The length of `body` in bytes.
    pub body_len: usize,
    /// The system's error, an `errno` such as ECONNREFUSED; 0 if the system
    /// reported none.
    pub system_error: c_int,
    /// The last event ID string, after which another attempt asks; empty if
    /// there was none yet. It has no NUL in the middle.
    pub last_event_id: *const c_char,
    /// 1 if `body` is the whole body of the response, empty ones included; 0 if
    /// there is more, if the body broke off, or if no response came.
    pub body_complete: c_int,
}

/// What a [`CFailure`] borrows from.
pub(super) struct FailureText {
    message: CString,
    status: u16,
    response: Option<CResponse>,
    body: Excerpt,
    system_error: Option<c_int>,
}

impl FailureText {
    pub(super) fn new(cause: &Failure) -> FailureText {
        let message = cause.message.replace(char::is_control, " ");
        FailureText {
            message: CString::new(message).unwrap_or_default(),
            status: cause.status,
            response: cause.response.as_deref().map(CResponse::new),
            body: cause.body.clone(),
            system_error: cause.system_error,
        }
    }

    /// `id` is the last event ID string.
    pub(super) fn failure(
        &self,
        error: Error,
        plan: RetryPlan,
        id: Text<'_>,
    ) -> CFailure {
        let response = self.response.as_ref();
        let body = self.body.bytes_with_nul();
        CFailure {
            error,
            message: self.message.as_ptr(),
            http_status: self.status.into(),
            response: response.map_or(ptr::null(), ptr::from_ref),
            attempt: plan.attempt,
            will_retry: plan.delay.is_some().into(),
            delay_ms: milliseconds(plan.delay.unwrap_or_default()),
            body: body.as_ptr().cast(),
            body_len: body.len() - 1,
            system_error: self.system_error.unwrap_or(0),
            last_event_id: pointer(id),
            body_complete: self.body.is_complete.into(),
        }
    }
}

/// What does not fit into what `on_retry` returns is for ever all the same.
pub(super) fn milliseconds(wait: Duration) -> u64 {
    wait.as_millis().min(i64::MAX as u128) as u64
}
