//! The object `eventsource_request`.

use std::ffi::c_char;
use std::ptr;

use super::event::Failure;
use super::{guard, optional, text};
use crate::error::Error;
use crate::settings::request;

/// A request that is about to be made, as `on_request` is given it. Borrowed
/// until the callback returns.
pub struct Request {
    pub(super) request: request::Request,
    pub(super) attempt: u64,
    /// NULL, or as long-lived as this.
    pub(super) failure: *const Failure,
}

/// Returns which attempt of the source this is, from 1 on; 0 if `request` is
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_attempt(
    request: *const Request,
) -> u64 {
    // SAFETY: NULL, or the callback's own, which lives until it returns.
    unsafe { request.as_ref() }.map_or(0, |request| request.attempt)
}

/// Returns why there is another attempt: what the last `on_error` was told.
/// Borrowed as `request` is; NULL for the first attempt, after
/// eventsource_reconnect(), and if `request` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_failure(
    request: *const Request,
) -> *const Failure {
    // SAFETY: NULL, or the callback's own, which lives until it returns.
    unsafe { request.as_ref() }.map_or(ptr::null(), |request| request.failure)
}

/// Sets a header of this attempt, or takes it away if `value` is NULL.
/// Errors are those of eventsource_set_header().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_set_header(
    request: *mut Request,
    name: *const c_char,
    value: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL, or the callback's own, which lives until it returns.
        let request = unsafe { request.as_mut() }.ok_or(Error::Null)?;
        // SAFETY: the header asks for NUL-terminated text.
        let name = unsafe { text(name) }?;
        // SAFETY: as above.
        let value = unsafe { optional(value) }?;
        request.request.set_header(name, value)
    })
}

/// Sets the method of this attempt. With `GET` the body stays behind, and
/// the headers that describe it: so a stream that was asked for by POST can
/// be resumed. Errors are those of eventsource_set_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_request_set_method(
    request: *mut Request,
    method: *const c_char,
) -> Error {
    guard(|| {
        // SAFETY: NULL, or the callback's own, which lives until it returns.
        let request = unsafe { request.as_mut() }.ok_or(Error::Null)?;
        // SAFETY: the header asks for NUL-terminated text.
        request.request.change_method(unsafe { text(method) }?)
    })
}
