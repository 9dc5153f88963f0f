//! What callbacks and items tell, as values to keep. What is borrowed from the
//! library is looked at whole: every text is UTF-8, with a NUL behind it.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};

use eventsource::ffi::{self, Error};

/// What one callback, or one item, tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Open(Response),
    Event(Event),
    /// The same, by the listener of that name.
    Heard(&'static str, Event),
    Error(Failure),
    Comment(String),
    Close(Error),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub status: c_int,
    pub http_version: c_int,
    pub url: String,
    pub location: Option<String>,
    /// The headers that were wanted and that the response had.
    pub headers: HashMap<&'static str, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub kind: String,
    pub data: String,
    pub id: String,
    pub origin: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub error: Error,
    pub message: String,
    pub http_status: c_int,
    pub response: Option<Response>,
    pub attempt: u32,
    pub will_retry: bool,
    pub delay_ms: u64,
    pub body: String,
    pub body_complete: bool,
    /// Zero for none.
    pub system_error: i32,
    pub last_event_id: String,
}

impl Seen {
    /// What an item tells; no member is set but those of its type.
    pub fn item(item: &ffi::CItem) -> Seen {
        let set = [
            (ffi::ItemType::Open, !item.response.is_null()),
            (ffi::ItemType::Event, !item.event.is_null()),
            (ffi::ItemType::Comment, !item.comment.is_null()),
            (ffi::ItemType::Error, !item.failure.is_null()),
        ];
        for (kind, is_set) in set {
            assert_eq!(kind == item.r#type, is_set, "{:?}", item.r#type);
        }
        // SAFETY: what an item has lives as long as the item.
        let (response, event, failure) = unsafe {
            (item.response.as_ref(), item.event.as_ref(), item.failure.as_ref())
        };
        match (item.r#type, response, event, failure) {
            (ffi::ItemType::Open, Some(response), ..) => {
                Seen::Open(Response::read(response, &["content-type"]))
            }
            (ffi::ItemType::Event, _, Some(event), _) => {
                Seen::Event(Event::read(event))
            }
            (ffi::ItemType::Error, .., Some(failure)) => {
                Seen::Error(Failure::read(failure, &[]))
            }
            (ffi::ItemType::Comment, ..) => {
                Seen::Comment(counted(item.comment, item.comment_len))
            }
            (ffi::ItemType::Close, ..) => Seen::Close(item.reason),
            (other, ..) => panic!("{other:?} without its member"),
        }
    }
}

impl Response {
    /// The head of a response, with the headers that are `wanted`.
    pub fn read(response: &ffi::CResponse, wanted: &[&'static str]) -> Self {
        let mut headers = HashMap::new();
        for &name in wanted {
            let c_name = CString::new(name).unwrap();
            // SAFETY: borrowed for as long as it is looked at.
            let value = unsafe {
                ffi::eventsource_response_header(response, c_name.as_ptr())
            };
            if !value.is_null() {
                headers.insert(name, text(value));
            }
        }
        // SAFETY: as above.
        let (status, http_version, url, location) = unsafe {
            (
                ffi::eventsource_response_status(response),
                ffi::eventsource_response_http_version(response),
                ffi::eventsource_response_url(response),
                ffi::eventsource_response_location(response),
            )
        };
        let location = (!location.is_null()).then(|| text(location));
        Response { status, http_version, url: text(url), location, headers }
    }
}

impl Event {
    pub fn read(event: &ffi::CEvent) -> Self {
        Event {
            kind: counted(event.r#type, event.type_len),
            data: counted(event.data, event.data_len),
            id: counted(event.last_event_id, event.last_event_id_len),
            origin: text(event.origin),
        }
    }
}

impl Failure {
    /// A failure; of its response, the headers that are `wanted`.
    pub fn read(failure: &ffi::CFailure, wanted: &[&'static str]) -> Self {
        // SAFETY: NULL, or as long-lived as the failure.
        let response = unsafe { failure.response.as_ref() };
        Failure {
            error: failure.error,
            message: text(failure.message),
            http_status: failure.http_status,
            response: response.map(|head| Response::read(head, wanted)),
            attempt: failure.attempt,
            will_retry: failure.will_retry != 0,
            delay_ms: failure.delay_ms,
            body: counted(failure.body, failure.body_len),
            body_complete: failure.body_complete != 0,
            system_error: failure.system_error,
            last_event_id: text(failure.last_event_id),
        }
    }
}

/// The text at `text`, which must be UTF-8.
pub(crate) fn text(text: *const c_char) -> String {
    assert!(!text.is_null(), "a text that is never NULL");
    // SAFETY: what the library gives ends with NUL.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().expect("UTF-8").to_owned()
}

/// The text of `length` bytes at `text`, which must be UTF-8 and NUL behind.
pub(crate) fn counted(text: *const c_char, length: usize) -> String {
    assert!(!text.is_null(), "a text that is never NULL");
    // SAFETY: the header promises a NUL behind.
    let bytes =
        unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length + 1) };
    assert_eq!(bytes[length], 0, "NUL behind the text");
    String::from_utf8(bytes[..length].to_vec()).expect("UTF-8")
}
