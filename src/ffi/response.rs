//! The head of a response: eventsource_response_status(3).

use std::cell::{OnceCell, RefCell};
use std::ffi::{CString, c_char, c_int};
use std::ptr;

use http::header::HeaderName;

use super::convert::{shared, text};
use crate::http::redirect;
use crate::panic::catch;
use crate::response::{self, Response};

/// The head of a response, to be read with eventsource_response_status() and
/// the functions beside it. Borrowed until the callback returns; an item's, as
/// long as the item.
pub struct CResponse {
    response: Response,
    url: CString,
    /// Where it redirects to, if that has been asked for.
    location: OnceCell<Option<CString>>,
    /// The values that have been asked for, as C text; made when asked for,
    /// and as long-lived as the response. On one thread: the callback's.
    values: RefCell<Vec<(HeaderName, CString)>>,
    /// Name and value of each header, if one has been asked for by number.
    lines: OnceCell<Vec<(CString, CString)>>,
}

impl CResponse {
    pub(super) fn new(response: &Response) -> CResponse {
        CResponse {
            response: response.clone(),
            location: OnceCell::new(),
            url: CString::new(response.url.as_str()).unwrap_or_default(),
            values: RefCell::default(),
            lines: OnceCell::new(),
        }
    }

    pub(super) fn status(&self) -> c_int {
        self.response.status.into()
    }

    fn http_version(&self) -> c_int {
        self.response.http_version.into()
    }

    fn header(&self, name: &str) -> Option<*const c_char> {
        let name = HeaderName::try_from(name).ok()?;
        let mut values = self.values.borrow_mut();
        if let Some((_, value)) = values.iter().find(|(it, _)| *it == name) {
            return Some(value.as_ptr());
        }
        let value = response::value(&self.response.headers, &name)?;
        let value = CString::new(value).ok()?;
        let pointer = value.as_ptr();
        // Moving a CString does not move its text.
        values.push((name, value));
        Some(pointer)
    }

    fn location(&self) -> Option<&CString> {
        let location = self.location.get_or_init(|| {
            let location = redirect::location(&self.response).ok()??;
            let url = redirect::follow(&self.response.url, location).ok()?;
            CString::new(url.as_str()).ok()
        });
        location.as_ref()
    }

    fn line(&self, index: usize) -> Option<&(CString, CString)> {
        let lines = self.lines.get_or_init(|| {
            let lines =
                self.response.headers.iter().filter_map(|(name, value)| {
                    let value =
                        CString::new(response::text(value).as_bytes()).ok()?;
                    Some((CString::new(name.as_str()).ok()?, value))
                });
            lines.collect()
        });
        lines.get(index)
    }
}

/// Returns the status of `response`; 0 if `response` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_status(
    response: *const CResponse,
) -> c_int {
    shared(response).map_or(0, CResponse::status)
}

/// Returns the version of HTTP that `response` came over: 10, 11 or 20 for
/// HTTP/1.0, HTTP/1.1 and HTTP/2; 0 if `response` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_http_version(
    response: *const CResponse,
) -> c_int {
    shared(response).map_or(0, CResponse::http_version)
}

/// Returns the URL that `response` came from, after redirects. Borrowed as
/// `response` is; NULL if `response` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_url(
    response: *const CResponse,
) -> *const c_char {
    shared(response).map_or(ptr::null(), |response| response.url.as_ptr())
}

/// Returns the URL that `response` redirects to, absolute, whatever its header
/// `Location` looks like; NULL if it is no redirect, or leads nowhere that the
/// source would follow: from https to http, for example. Borrowed as `response`
/// is; NULL if `response` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_location(
    response: *const CResponse,
) -> *const c_char {
    let Ok(response) = shared(response) else { return ptr::null() };
    catch(|| response.location().map(|location| location.as_ptr()))
        .flatten()
        .unwrap_or(ptr::null())
}

/// Returns the value of the header `name` of `response`; NULL if `response` has
/// no such header. The case of `name` does not matter; several values are
/// joined by `, `. A value that is not UTF-8 is read as Latin-1. Borrowed as
/// `response` is; NULL if an argument is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_header(
    response: *const CResponse,
    name: *const c_char,
) -> *const c_char {
    let (Ok(response), Ok(name)) = (shared(response), text(name)) else {
        return ptr::null();
    };
    catch(|| response.header(name)).flatten().unwrap_or(ptr::null())
}

/// Returns the name of the header number `index` of `response`, in lower case;
/// NULL if `response` has not that many headers. Numbers begin at 0; a header
/// with several values has as many numbers, one after the other. Borrowed as
/// `response` is; NULL if `response` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_header_name(
    response: *const CResponse,
    index: usize,
) -> *const c_char {
    let Ok(response) = shared(response) else { return ptr::null() };
    catch(|| response.line(index).map(|(name, _)| name.as_ptr()))
        .flatten()
        .unwrap_or(ptr::null())
}

/// Returns the value of the header number `index` of `response`, as
/// eventsource_response_header_name() counts: each value by itself, so that
/// `Set-Cookie`, whose values cannot be told apart once they are joined, can
/// be read. Borrowed as `response` is; NULL if `response` has not that many
/// headers, or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_response_header_value(
    response: *const CResponse,
    index: usize,
) -> *const c_char {
    let Ok(response) = shared(response) else { return ptr::null() };
    catch(|| response.line(index).map(|(_, value)| value.as_ptr()))
        .flatten()
        .unwrap_or(ptr::null())
}
