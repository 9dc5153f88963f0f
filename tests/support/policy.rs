//! What a source asks with, and when it comes back: setters and callbacks.

use std::ffi::{CString, c_int, c_void};
use std::ptr;

use eventsource::ffi::{self, Error, EventSource, Retry, Stats};

use super::source::{Handle, Source};

/// What `on_request` may look at and change.
pub struct Asking(*mut ffi::Request);

impl Asking {
    pub fn attempt(&self) -> u64 {
        // SAFETY: borrowed until the callback returns, here and below.
        unsafe { ffi::eventsource_request_attempt(self.0) }
    }

    /// Error, status and body of the last failure.
    pub fn failure(&self) -> Option<(Error, c_int, String)> {
        // SAFETY: see `attempt`.
        let failure = unsafe { ffi::eventsource_request_failure(self.0) };
        // SAFETY: NULL, or as long-lived as the request.
        let failure = unsafe { failure.as_ref() }?;
        // SAFETY: the header promises a NUL behind.
        let body = unsafe { std::ffi::CStr::from_ptr(failure.body) };
        let body = body.to_str().expect("UTF-8").to_owned();
        Some((failure.error, failure.http_status, body))
    }

    pub fn set_header(&self, name: &str, value: Option<&str>) -> Error {
        let name = CString::new(name).unwrap();
        let value = value.map(|value| CString::new(value).unwrap());
        let value = value.as_ref().map_or(ptr::null(), |v| v.as_ptr());
        // SAFETY: see `attempt`; texts are copied.
        unsafe {
            ffi::eventsource_request_set_header(self.0, name.as_ptr(), value)
        }
    }

    pub fn set_method(&self, method: &str) -> Error {
        let method = CString::new(method).unwrap();
        // SAFETY: see `set_header`.
        unsafe { ffi::eventsource_request_set_method(self.0, method.as_ptr()) }
    }
}

/// What `on_retry` is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub error: Error,
    pub http_status: c_int,
    pub attempt: u32,
    pub will_retry: bool,
    pub delay_ms: u64,
}

type OnRequest = (Handle, Box<dyn Fn(&Asking) + Send + Sync>);
type OnRetry = (Handle, Box<dyn Fn(&Verdict) -> i64 + Send + Sync>);

extern "C" fn on_request(
    _: *mut EventSource,
    request: *mut ffi::Request,
    user_data: *mut c_void,
) {
    // SAFETY: `Source::asking` gave a closure that lives for ever.
    let (handle, action) = unsafe { &*user_data.cast::<OnRequest>() };
    handle.guard(|| action(&Asking(request)));
}

extern "C" fn on_retry(
    _: *mut EventSource,
    failure: *const ffi::Failure,
    user_data: *mut c_void,
) -> i64 {
    // SAFETY: `Source::deciding` gave a closure that lives for ever.
    let (handle, action) = unsafe { &*user_data.cast::<OnRetry>() };
    // SAFETY: borrowed until the callback returns.
    let failure = unsafe { &*failure };
    let verdict = Verdict {
        error: failure.error,
        http_status: failure.http_status,
        attempt: failure.attempt,
        will_retry: failure.will_retry != 0,
        delay_ms: failure.delay_ms,
    };
    handle.guard(|| action(&verdict)).unwrap_or(-1)
}

/// The setters that take a number.
type Setter<T> = unsafe extern "C" fn(*mut EventSource, T) -> Error;

impl Handle {
    pub fn set<T>(self, setter: Setter<T>, value: T) -> Error {
        // SAFETY: not freed before the test is over, here and below.
        unsafe { setter(self.as_ptr(), value) }
    }

    pub fn set_method(self, method: &str) -> Error {
        let method = CString::new(method).unwrap();
        // SAFETY: see `set`; texts are copied.
        unsafe { ffi::eventsource_set_method(self.as_ptr(), method.as_ptr()) }
    }

    pub fn set_body(self, body: &[u8]) -> Error {
        // SAFETY: see `set`; the bytes are copied.
        unsafe {
            ffi::eventsource_set_body(
                self.as_ptr(),
                body.as_ptr().cast(),
                body.len(),
            )
        }
    }

    pub fn with_credentials(self) -> c_int {
        // SAFETY: see `set`.
        unsafe { ffi::eventsource_with_credentials(self.as_ptr()) }
    }

    pub fn stats(self) -> Stats {
        let mut stats = Stats::default();
        // SAFETY: see `set`; the struct has that size.
        let error = unsafe {
            ffi::eventsource_get_stats(
                self.as_ptr(),
                &mut stats,
                size_of::<Stats>(),
            )
        };
        assert_eq!(error, Error::None, "get_stats");
        stats
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
        let action: OnRequest = (self.handle(), Box::new(action));
        let user_data = Box::into_raw(Box::new(action)).cast();
        // SAFETY: see `set`; the closure lives for ever.
        let error = unsafe {
            ffi::eventsource_on_request(
                self.as_ptr(),
                Some(on_request),
                user_data,
            )
        };
        assert_eq!(error, Error::None, "on_request");
        self
    }

    /// `action` decides whether and when the source comes back.
    pub fn deciding(
        self,
        action: impl Fn(&Verdict) -> i64 + Send + Sync + 'static,
    ) -> Self {
        let action: OnRetry = (self.handle(), Box::new(action));
        let user_data = Box::into_raw(Box::new(action)).cast();
        // SAFETY: see `set`; the closure lives for ever.
        let error = unsafe {
            ffi::eventsource_on_retry(self.as_ptr(), Some(on_retry), user_data)
        };
        assert_eq!(error, Error::None, "on_retry");
        self
    }
}
