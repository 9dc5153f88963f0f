//! What a source asks with, and when it comes back: setters and callbacks.

use std::ffi::c_int;

use eventsource::ffi::{self, Error, Retry, Verdict};

pub use crate::callbacks::Asking;
use crate::callbacks::{Callback, Callbacks};
use crate::pointer::{Pointer, Setter};
use crate::seen::{Failure, Response};
use crate::source::{Handle, Source};

/// What `on_retry` is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub error: Error,
    pub http_status: c_int,
    pub attempt: u32,
    pub will_retry: bool,
    pub delay_ms: u64,
    pub last_event_id: String,
}

struct Asks {
    handle: Handle,
    action: Box<dyn Fn(&Asking) + Send + Sync>,
}

impl Callbacks for Asks {
    fn on_request(&self, _: Pointer, request: &Asking) {
        self.handle.guard(|| (self.action)(request));
    }
}

struct Looks {
    handle: Handle,
    action: Box<dyn Fn(Response) -> c_int + Send + Sync>,
}

impl Callbacks for Looks {
    fn wanted(&self) -> Vec<&'static str> {
        self.handle.wanted()
    }

    fn on_response(&self, _: Pointer, response: Response) -> c_int {
        self.handle.guard(|| (self.action)(response)).unwrap_or(-1)
    }
}

struct Decides {
    handle: Handle,
    action: Box<dyn Fn(&Outcome) -> i64 + Send + Sync>,
}

impl Callbacks for Decides {
    fn on_retry(&self, _: Pointer, failure: Failure) -> i64 {
        let Failure { error, http_status, attempt, .. } = failure;
        let Failure { will_retry, delay_ms, last_event_id, .. } = failure;
        let outcome = Outcome {
            error,
            http_status,
            attempt,
            will_retry,
            delay_ms,
            last_event_id,
        };
        self.handle.guard(|| (self.action)(&outcome)).unwrap_or(-1)
    }
}

impl Source {
    /// With a number set by `setter`.
    pub fn with<T>(self, setter: Setter<T>, value: T) -> Self {
        assert_eq!(self.set(setter, value), Error::None);
        self
    }

    pub fn with_retry(self, retry: Retry) -> Self {
        self.with(ffi::eventsource_set_retry, retry as c_int)
    }

    pub fn with_method(self, method: &str) -> Self {
        assert_eq!(self.set_method(method), Error::None, "{method}");
        self
    }

    pub fn with_body(self, body: &str) -> Self {
        assert_eq!(self.set_body(body.as_bytes()), Error::None);
        self
    }

    /// Before every attempt `action` is called.
    pub fn asking(
        self,
        action: impl Fn(&Asking) + Send + Sync + 'static,
    ) -> Self {
        let asks = Asks { handle: self.handle(), action: Box::new(action) };
        let asks = Box::leak(Box::new(asks));
        assert_eq!(self.call(Callback::Request, asks), Error::None);
        self
    }

    /// `action` decides what becomes of each response.
    pub fn looking(
        self,
        action: impl Fn(Response) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.looking_at_numbers(move |response| action(response) as c_int)
    }

    /// The same, by any number.
    pub fn looking_at_numbers(
        self,
        action: impl Fn(Response) -> c_int + Send + Sync + 'static,
    ) -> Self {
        let looks = Looks { handle: self.handle(), action: Box::new(action) };
        let looks = Box::leak(Box::new(looks));
        assert_eq!(self.call(Callback::Response, looks), Error::None);
        self
    }

    /// `action` decides whether and when the source comes back.
    pub fn deciding(
        self,
        action: impl Fn(&Outcome) -> i64 + Send + Sync + 'static,
    ) -> Self {
        let decides =
            Decides { handle: self.handle(), action: Box::new(action) };
        let decides = Box::leak(Box::new(decides));
        assert_eq!(self.call(Callback::Retry, decides), Error::None);
        self
    }
}
