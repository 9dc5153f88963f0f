//! The callbacks of the C API, as methods of whoever is called back.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use eventsource::ffi::{self, CSource, Error};

use crate::pointer::Pointer;
use crate::seen::{Event, Failure, Response, counted, text};

/// Which callback of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Callback {
    Open,
    Event,
    Error,
    Comment,
    Close,
    Request,
    Response,
    Retry,
}

/// Who is called back: of what was set, the methods are called. A panic ends
/// the program, as C cannot be unwound.
pub trait Callbacks {
    /// The headers of responses that are to be read.
    fn wanted(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn on_open(&self, _: Pointer, response: Response) {
        unreachable!("{response:?}");
    }

    fn on_event(&self, _: Pointer, event: Event) {
        unreachable!("{event:?}");
    }

    fn on_error(&self, _: Pointer, failure: Failure) {
        unreachable!("{failure:?}");
    }

    fn on_comment(&self, _: Pointer, comment: String) {
        unreachable!("{comment:?}");
    }

    fn on_close(&self, _: Pointer, reason: Error) {
        unreachable!("{reason:?}");
    }

    fn on_request(&self, _: Pointer, request: &Asking) {
        unreachable!("{}", request.attempt());
    }

    fn on_response(&self, _: Pointer, response: Response) -> c_int {
        unreachable!("{response:?}");
    }

    /// A listener is called no more.
    fn on_removed(&self) {
        unreachable!("nobody has asked for it");
    }

    fn on_retry(&self, _: Pointer, failure: Failure) -> i64 {
        unreachable!("{failure:?}");
    }
}

/// Nobody is called.
struct Nobody;

impl Callbacks for Nobody {}

/// How callbacks are set. Who is called back lives until the source is freed;
/// who sets the callback sees to that.
impl Pointer {
    /// Has `to` called.
    pub fn call<T: Callbacks>(self, callback: Callback, to: &T) -> Error {
        self.set_callback(callback, Some(to))
    }

    /// Has nobody called any more.
    pub fn mute(self, callback: Callback) -> Error {
        self.set_callback::<Nobody>(callback, None)
    }

    fn set_callback<T: Callbacks>(
        self,
        callback: Callback,
        to: Option<&T>,
    ) -> Error {
        let (source, is_set) = (self.as_ptr(), to.is_some());
        let to = to.map_or(ptr::null_mut(), user_data);
        // SAFETY: a living source; `to` lives until it is freed.
        unsafe {
            match callback {
                Callback::Open => {
                    let on_open = is_set.then_some(on_open::<T> as _);
                    ffi::eventsource_on_open(source, on_open, to)
                }
                Callback::Event => {
                    let on_event = is_set.then_some(on_event::<T> as _);
                    ffi::eventsource_on_event(source, on_event, to)
                }
                Callback::Error => {
                    let on_error = is_set.then_some(on_error::<T> as _);
                    ffi::eventsource_on_error(source, on_error, to)
                }
                Callback::Comment => {
                    let on_comment = is_set.then_some(on_comment::<T> as _);
                    ffi::eventsource_on_comment(source, on_comment, to)
                }
                Callback::Close => {
                    let on_close = is_set.then_some(on_close::<T> as _);
                    ffi::eventsource_on_close(source, on_close, to)
                }
                Callback::Request => {
                    let on_request = is_set.then_some(on_request::<T> as _);
                    ffi::eventsource_on_request(source, on_request, to)
                }
                Callback::Response => {
                    let on_response = is_set.then_some(on_response::<T> as _);
                    ffi::eventsource_on_response(source, on_response, to)
                }
                Callback::Retry => {
                    let on_retry = is_set.then_some(on_retry::<T> as _);
                    ffi::eventsource_on_retry(source, on_retry, to)
                }
            }
        }
    }

    /// Adds a listener for events of a type; its id is stored if it is asked
    /// for.
    pub fn add_listener<T: Callbacks>(
        self,
        kind: &str,
        to: &T,
        id: Option<&mut u64>,
    ) -> Error {
        self.add(kind, to, false, id)
    }

    /// The same, and has `on_removed` called.
    pub fn add_told_listener<T: Callbacks>(
        self,
        kind: &str,
        to: &T,
        id: Option<&mut u64>,
    ) -> Error {
        self.add(kind, to, true, id)
    }

    fn add<T: Callbacks>(
        self,
        kind: &str,
        to: &T,
        is_told: bool,
        id: Option<&mut u64>,
    ) -> Error {
        let kind = CString::new(kind).unwrap();
        let id = id.map_or(ptr::null_mut(), ptr::from_mut);
        // SAFETY: a living source; `to` lives until it is freed.
        unsafe {
            ffi::eventsource_add_listener(
                self.as_ptr(),
                kind.as_ptr(),
                Some(on_event::<T>),
                user_data(to),
                is_told.then_some(on_removed::<T> as _),
                id,
            )
        }
    }
}

fn user_data<T: Callbacks>(to: &T) -> *mut c_void {
    ptr::from_ref(to).cast_mut().cast()
}

fn called<'a, T: Callbacks>(user_data: *mut c_void) -> &'a T {
    // SAFETY: given by `set_callback` and `add_listener`, as long-lived as the
    // source.
    unsafe { &*user_data.cast::<T>() }
}

extern "C" fn on_open<T: Callbacks>(
    source: *mut CSource,
    response: *const ffi::CResponse,
    user_data: *mut c_void,
) {
    let to = called::<T>(user_data);
    // SAFETY: borrowed until the callback returns, here and below.
    let response = unsafe { &*response };
    let response = Response::read(response, &to.wanted());
    to.on_open(Pointer::from(source), response);
}

extern "C" fn on_event<T: Callbacks>(
    source: *mut CSource,
    event: *const ffi::CEvent,
    user_data: *mut c_void,
) {
    // SAFETY: see `on_open`.
    let event = Event::read(unsafe { &*event });
    called::<T>(user_data).on_event(Pointer::from(source), event);
}

extern "C" fn on_removed<T: Callbacks>(user_data: *mut c_void) {
    called::<T>(user_data).on_removed();
}

extern "C" fn on_error<T: Callbacks>(
    source: *mut CSource,
    failure: *const ffi::CFailure,
    user_data: *mut c_void,
) {
    let to = called::<T>(user_data);
    // SAFETY: see `on_open`.
    let failure = Failure::read(unsafe { &*failure }, &to.wanted());
    to.on_error(Pointer::from(source), failure);
}

extern "C" fn on_comment<T: Callbacks>(
    source: *mut CSource,
    comment: *const c_char,
    len: usize,
    user_data: *mut c_void,
) {
    let comment = counted(comment, len);
    called::<T>(user_data).on_comment(Pointer::from(source), comment);
}

extern "C" fn on_close<T: Callbacks>(
    source: *mut CSource,
    reason: Error,
    user_data: *mut c_void,
) {
    called::<T>(user_data).on_close(Pointer::from(source), reason);
}

extern "C" fn on_request<T: Callbacks>(
    source: *mut CSource,
    request: *mut ffi::CRequest,
    user_data: *mut c_void,
) {
    let request = Asking(request);
    called::<T>(user_data).on_request(Pointer::from(source), &request);
}

extern "C" fn on_response<T: Callbacks>(
    source: *mut CSource,
    response: *const ffi::CResponse,
    user_data: *mut c_void,
) -> c_int {
    let to = called::<T>(user_data);
    // SAFETY: see `on_open`.
    let response = unsafe { &*response };
    let response = Response::read(response, &to.wanted());
    to.on_response(Pointer::from(source), response)
}

extern "C" fn on_retry<T: Callbacks>(
    source: *mut CSource,
    failure: *const ffi::CFailure,
    user_data: *mut c_void,
) -> i64 {
    let to = called::<T>(user_data);
    // SAFETY: see `on_open`.
    let failure = Failure::read(unsafe { &*failure }, &to.wanted());
    to.on_retry(Pointer::from(source), failure)
}

/// What `on_request` may look at and change.
pub struct Asking(*mut ffi::CRequest);

impl Asking {
    /// For what is called in one module only.
    pub fn as_ptr(&self) -> *mut ffi::CRequest {
        self.0
    }

    pub fn attempt(&self) -> u64 {
        // SAFETY: borrowed until the callback returns, here and below.
        unsafe { ffi::eventsource_request_attempt(self.0) }
    }

    /// The last failure.
    pub fn failure(&self) -> Option<Failure> {
        // SAFETY: see `attempt`.
        let failure = unsafe { ffi::eventsource_request_failure(self.0) };
        // SAFETY: NULL, or as long-lived as the request.
        let failure = unsafe { failure.as_ref() }?;
        Some(Failure::read(failure, &[]))
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

    pub fn last_event_id(&self) -> String {
        // SAFETY: see `attempt`.
        text(unsafe { ffi::eventsource_request_last_event_id(self.0) })
    }

    pub fn set_last_event_id(&self, id: Option<&str>) -> Error {
        let id = id.map(|id| CString::new(id).unwrap());
        let id = id.as_ref().map_or(ptr::null(), |id| id.as_ptr());
        // SAFETY: see `set_header`.
        unsafe { ffi::eventsource_request_set_last_event_id(self.0, id) }
    }

    pub fn abort(&self, message: Option<&str>) -> Error {
        let message = message.map(|message| CString::new(message).unwrap());
        let message = message.as_ref().map_or(ptr::null(), |it| it.as_ptr());
        // SAFETY: see `set_header`.
        unsafe { ffi::eventsource_request_abort(self.0, message) }
    }

    pub fn set_url(&self, url: &str) -> Error {
        let url = CString::new(url).unwrap();
        // SAFETY: see `set_header`.
        unsafe { ffi::eventsource_request_set_url(self.0, url.as_ptr()) }
    }
}
