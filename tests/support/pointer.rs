//! The functions of the C API, as methods of a source's pointer.

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use eventsource::ffi::{self, CSource, CStats, Error, ReadyState};

use crate::event_loop;
use crate::seen::{Seen, text};

/// A source, as C programs have it. Whoever frees it sees to it that nobody
/// uses it any more; it lives until then.
#[derive(Clone, Copy)]
pub struct Pointer(*mut CSource);

// SAFETY: the header lets every thread use a source.
unsafe impl Send for Pointer {}
// SAFETY: likewise.
unsafe impl Sync for Pointer {}

impl From<*mut CSource> for Pointer {
    fn from(source: *mut CSource) -> Self {
        Pointer(source)
    }
}

/// The setters that take a number.
pub type Setter<T> = unsafe extern "C" fn(*mut CSource, T) -> Error;

/// The setters that take a text.
pub type TextSetter =
    unsafe extern "C" fn(*mut CSource, *const c_char) -> Error;

impl Pointer {
    pub fn new(url: &str) -> Self {
        let url = CString::new(url).unwrap();
        let mut source = ptr::null_mut();
        // SAFETY: a text, and a place for the source.
        let error = unsafe { ffi::eventsource_new(url.as_ptr(), &mut source) };
        assert_eq!(error, Error::None, "new");
        let source = Pointer(source);
        if let Some(event_loop) = event_loop::of_new_sources() {
            assert_eq!(event_loop.drives(source), Error::None, "set_loop");
        }
        source
    }

    /// For what is called in one module only.
    pub fn as_ptr(self) -> *mut CSource {
        self.0
    }

    pub fn connect(self) -> Error {
        // SAFETY: alive, here and below.
        unsafe { ffi::eventsource_connect(self.0) }
    }

    pub fn reconnect(self) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_reconnect(self.0) }
    }

    pub fn close(self) {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_close(self.0) }
    }

    pub fn wait(self, timeout_ms: i64) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_wait(self.0, timeout_ms) }
    }

    pub fn free(self) {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_free(self.0) }
    }

    /// Takes away the listener with this id.
    pub fn unlisten(self, id: u64) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_remove_listener(self.0, id) }
    }
}

/// What a source tells.
impl Pointer {
    pub fn ready_state(self) -> ReadyState {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_ready_state(self.0) }
    }

    pub fn url(self) -> String {
        // SAFETY: see `connect`.
        text(unsafe { ffi::eventsource_url(self.0) })
    }

    pub fn with_credentials(self) -> c_int {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_with_credentials(self.0) }
    }

    /// The last event ID and how long it is said to be, read into a buffer of
    /// `size` bytes.
    pub fn last_event_id_in(self, size: usize) -> (String, usize) {
        let mut buffer = vec![0x55_u8; size];
        // SAFETY: the buffer has that size.
        let length = unsafe {
            ffi::eventsource_last_event_id(
                self.0,
                buffer.as_mut_ptr().cast(),
                size,
            )
        };
        if size == 0 {
            return (String::new(), length);
        }
        let id = CStr::from_bytes_until_nul(&buffer).expect("a NUL");
        (id.to_str().expect("UTF-8").to_owned(), length)
    }

    pub fn last_event_id(self) -> String {
        self.last_event_id_in(1024).0
    }

    pub fn stats(self) -> CStats {
        self.stats_in(size_of::<CStats>())
    }

    /// The first `size` bytes of the statistics; the rest is zero.
    pub fn stats_in(self, size: usize) -> CStats {
        assert!(size <= size_of::<CStats>());
        let mut stats = CStats::default();
        // SAFETY: see `connect`; the struct has that size.
        let error =
            unsafe { ffi::eventsource_get_stats(self.0, &mut stats, size) };
        assert_eq!(error, Error::None, "get_stats");
        stats
    }

    /// Takes an item within so many milliseconds.
    pub fn take(self, timeout_ms: i64) -> Result<Seen, Error> {
        let mut item = ptr::dangling();
        // SAFETY: see `connect`; there is a place for the item.
        let error =
            unsafe { ffi::eventsource_next(self.0, timeout_ms, &mut item) };
        assert_eq!(error == Error::None, !item.is_null(), "{error:?}");
        match error {
            // SAFETY: borrowed until the next call.
            Error::None => Ok(Seen::item(unsafe { &*item })),
            error => Err(error),
        }
    }

    /// Takes up to `most` items; the first comes within so many milliseconds.
    pub fn take_batch(
        self,
        timeout_ms: i64,
        most: usize,
    ) -> Result<Vec<Seen>, Error> {
        let mut items = vec![ptr::dangling(); most];
        let mut count = usize::MAX;
        // SAFETY: see `connect`; there is room for `most` items.
        let error = unsafe {
            ffi::eventsource_next_batch(
                self.0,
                timeout_ms,
                items.as_mut_ptr(),
                most,
                &mut count,
            )
        };
        assert_eq!(error == Error::None, count > 0, "{error:?}");
        let read = items[..count].iter().map(|item| {
            // SAFETY: borrowed until the next call.
            Seen::item(unsafe { &**item })
        });
        match error {
            Error::None => Ok(read.collect()),
            error => Err(error),
        }
    }
}

/// The setters. A text, a path or a value that is None is NULL.
impl Pointer {
    /// Sets a number.
    pub fn set<T>(self, setter: Setter<T>, value: T) -> Error {
        // SAFETY: see `connect`.
        unsafe { setter(self.0, value) }
    }

    /// Sets a text, which may be anything without a NUL.
    pub fn set_text(self, setter: TextSetter, text: Option<&[u8]>) -> Error {
        let text = c_text(text);
        // SAFETY: see `connect`; texts are copied, here and below.
        unsafe { setter(self.0, or_null(&text)) }
    }

    /// Sets a header; without a value, takes it away.
    pub fn set_header(
        self,
        name: impl AsRef<[u8]>,
        value: Option<&[u8]>,
    ) -> Error {
        let name = CString::new(name.as_ref()).unwrap();
        let value = c_text(value);
        // SAFETY: see `set_text`.
        unsafe {
            ffi::eventsource_set_header(self.0, name.as_ptr(), or_null(&value))
        }
    }

    pub fn set_last_event_id(self, id: impl AsRef<[u8]>) -> Error {
        let id = Some(id.as_ref());
        self.set_text(ffi::eventsource_set_last_event_id, id)
    }

    pub fn set_method(self, method: impl AsRef<[u8]>) -> Error {
        let method = Some(method.as_ref());
        self.set_text(ffi::eventsource_set_method, method)
    }

    pub fn set_body(self, body: &[u8]) -> Error {
        // SAFETY: see `connect`; the bytes are copied.
        unsafe {
            ffi::eventsource_set_body(self.0, body.as_ptr().cast(), body.len())
        }
    }

    pub fn set_reconnection_time(self, ms: u64) -> Error {
        self.set(ffi::eventsource_set_reconnection_time, ms)
    }

    pub fn set_max_event_size(self, bytes: usize) -> Error {
        self.set(ffi::eventsource_set_max_event_size, bytes)
    }

    pub fn set_queue(self, capacity: usize) -> Error {
        self.set(ffi::eventsource_set_queue, capacity)
    }

    pub fn set_ca_file(self, path: Option<&Path>) -> Error {
        self.set_text(ffi::eventsource_set_ca_file, path.map(bytes))
    }

    pub fn set_client_certificate(
        self,
        certificate: Option<&Path>,
        key: Option<&Path>,
    ) -> Error {
        let certificate = c_text(certificate.map(bytes));
        let key = c_text(key.map(bytes));
        // SAFETY: see `set_text`.
        unsafe {
            ffi::eventsource_set_client_certificate(
                self.0,
                or_null(&certificate),
                or_null(&key),
            )
        }
    }

    pub fn set_verify_peer(self, verify: c_int) -> Error {
        self.set(ffi::eventsource_set_verify_peer, verify)
    }

    pub fn set_http_version(self, version: c_int) -> Error {
        self.set(ffi::eventsource_set_http_version, version)
    }

    pub fn set_proxy(self, url: Option<&str>) -> Error {
        self.set_text(ffi::eventsource_set_proxy, url.map(str::as_bytes))
    }

    pub fn set_unix_socket(self, path: Option<&Path>) -> Error {
        self.set_text(ffi::eventsource_set_unix_socket, path.map(bytes))
    }
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn c_text(text: Option<&[u8]>) -> Option<CString> {
    text.map(|text| CString::new(text).unwrap())
}

fn or_null(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}
