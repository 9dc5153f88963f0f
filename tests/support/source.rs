//! A source, made and driven through the C API, that remembers what its
//! callbacks were told.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::ThreadId;
use std::time::Instant;

use eventsource::ffi::{self, Error, EventSource, ReadyState};

use super::{DEADLINE, certificates, promptly};

/// What one callback was told.
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
    pub url: String,
    /// The headers that [`Source::looking_up`] named and the response had.
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
}

/// A call of a callback: what it was told, and what it saw.
#[derive(Clone, Debug)]
struct Call {
    seen: Seen,
    state: ReadyState,
    thread: ThreadId,
    /// When it came.
    at: Instant,
    /// Came while another callback of the same source was running.
    nested: bool,
}

type Action = Box<dyn Fn(&Seen, Handle) + Send + Sync>;

/// Where the callbacks write. Never given back: a callback may still be
/// returning when a test is over.
struct Recorder {
    sender: mpsc::Sender<Call>,
    calls: Mutex<Vec<Call>>,
    running: AtomicUsize,
    freed: AtomicBool,
    action: Mutex<Option<&'static Action>>,
    /// What the action's first failure said: a panic must not cross into C.
    failure: Mutex<Option<String>>,
    wanted: Mutex<Vec<&'static str>>,
}

impl Recorder {
    fn new(sender: mpsc::Sender<Call>) -> &'static Recorder {
        Box::leak(Box::new(Recorder {
            sender,
            calls: Mutex::default(),
            running: AtomicUsize::default(),
            freed: AtomicBool::default(),
            action: Mutex::default(),
            failure: Mutex::default(),
            wanted: Mutex::default(),
        }))
    }

    fn record(&'static self, source: *mut EventSource, seen: Seen) {
        let at = Instant::now();
        let nested = self.running.fetch_add(1, Ordering::SeqCst) > 0;
        let call = Call {
            at,
            seen: seen.clone(),
            // SAFETY: a callback's source is alive.
            state: unsafe { ffi::eventsource_ready_state(source) },
            thread: std::thread::current().id(),
            nested,
        };
        self.calls.lock().unwrap().push(call.clone());
        // Nobody listens any more when the test is over.
        let _ = self.sender.send(call);
        let action = *self.action.lock().unwrap();
        if let Some(action) = action {
            let handle = Handle { source, recorder: self };
            self.guard(|| action(&seen, handle));
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    /// Keeps a panic from crossing into C: the test fails for it later.
    fn guard<T>(&self, run: impl FnOnce() -> T) -> Option<T> {
        match std::panic::catch_unwind(AssertUnwindSafe(run)) {
            Ok(value) => Some(value),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("a panic")
                    .to_owned();
                self.failure.lock().unwrap().get_or_insert(text);
                None
            }
        }
    }

    fn response(&self, head: *const ffi::Response) -> Option<Response> {
        response(head, &self.wanted.lock().unwrap())
    }
}

/// The head of a response, if there is one, with the headers that are wanted.
fn response(
    response: *const ffi::Response,
    wanted: &[&'static str],
) -> Option<Response> {
    if response.is_null() {
        return None;
    }
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
    let (status, url) = unsafe {
        (
            ffi::eventsource_response_status(response),
            ffi::eventsource_response_url(response),
        )
    };
    Some(Response { status, url: text(url), headers })
}

fn failure(failure: *const ffi::Failure, wanted: &[&'static str]) -> Failure {
    // SAFETY: borrowed for as long as it is looked at.
    let failure = unsafe { &*failure };
    Failure {
        error: failure.error,
        message: text(failure.message),
        http_status: failure.http_status,
        response: response(failure.response, wanted),
        attempt: failure.attempt,
        will_retry: failure.will_retry != 0,
        delay_ms: failure.delay_ms,
        body: counted(failure.body, failure.body_len),
    }
}

impl Seen {
    /// What an item tells; no member is set but those of its type.
    pub fn item(item: &ffi::Item) -> Seen {
        let set = [
            (ffi::ItemType::Open, !item.response.is_null()),
            (ffi::ItemType::Event, !item.event.is_null()),
            (ffi::ItemType::Comment, !item.comment.is_null()),
            (ffi::ItemType::Error, !item.failure.is_null()),
        ];
        for (kind, is_set) in set {
            assert_eq!(kind == item.r#type, is_set, "{:?}", item.r#type);
        }
        match item.r#type {
            ffi::ItemType::Open => {
                let wanted = ["content-type"];
                Seen::Open(response(item.response, &wanted).expect("a head"))
            }
            ffi::ItemType::Event => Seen::Event(event(item.event)),
            ffi::ItemType::Comment => {
                Seen::Comment(counted(item.comment, item.comment_len))
            }
            ffi::ItemType::Error => Seen::Error(failure(item.failure, &[])),
            ffi::ItemType::Close => Seen::Close(item.reason),
        }
    }
}

/// The text at `text`, which must be UTF-8.
fn text(text: *const c_char) -> String {
    assert!(!text.is_null(), "a text that is never NULL");
    // SAFETY: what the library gives ends with NUL.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().expect("UTF-8").to_owned()
}

/// The text of `length` bytes at `text`, which must be UTF-8 and NUL behind.
fn counted(text: *const c_char, length: usize) -> String {
    assert!(!text.is_null(), "a text that is never NULL");
    // SAFETY: the header promises a NUL behind.
    let bytes =
        unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length + 1) };
    assert_eq!(bytes[length], 0, "NUL behind the text");
    String::from_utf8(bytes[..length].to_vec()).expect("UTF-8")
}

fn recorder(user_data: *mut c_void) -> &'static Recorder {
    // SAFETY: `Source::new` gave a recorder that lives for ever.
    unsafe { &*user_data.cast::<Recorder>() }
}

fn event(event: *const ffi::Event) -> Event {
    // SAFETY: borrowed until the callback returns.
    let event = unsafe { &*event };
    Event {
        kind: counted(event.r#type, event.type_len),
        data: counted(event.data, event.data_len),
        id: counted(event.last_event_id, event.last_event_id_len),
        origin: text(event.origin),
    }
}

extern "C" fn on_open(
    source: *mut EventSource,
    response: *const ffi::Response,
    user_data: *mut c_void,
) {
    let recorder = recorder(user_data);
    let response = recorder.response(response).expect("a response");
    recorder.record(source, Seen::Open(response));
}

extern "C" fn on_event(
    source: *mut EventSource,
    raw: *const ffi::Event,
    user_data: *mut c_void,
) {
    recorder(user_data).record(source, Seen::Event(event(raw)));
}

extern "C" fn on_error(
    source: *mut EventSource,
    failure: *const ffi::Failure,
    user_data: *mut c_void,
) {
    let recorder = recorder(user_data);
    let failure = self::failure(failure, &recorder.wanted.lock().unwrap());
    recorder.record(source, Seen::Error(failure));
}

extern "C" fn on_comment(
    source: *mut EventSource,
    comment: *const c_char,
    len: usize,
    user_data: *mut c_void,
) {
    let comment = counted(comment, len);
    recorder(user_data).record(source, Seen::Comment(comment));
}

extern "C" fn on_close(
    source: *mut EventSource,
    reason: Error,
    user_data: *mut c_void,
) {
    recorder(user_data).record(source, Seen::Close(reason));
}

struct Listener {
    name: &'static str,
    recorder: &'static Recorder,
}

extern "C" fn on_heard(
    source: *mut EventSource,
    raw: *const ffi::Event,
    user_data: *mut c_void,
) {
    // SAFETY: `Handle::listen` gave a listener that lives for ever.
    let listener = unsafe { &*user_data.cast::<Listener>() };
    listener.recorder.record(source, Seen::Heard(listener.name, event(raw)));
}

/// What any thread, and any callback, may do with a source.
#[derive(Clone, Copy)]
pub struct Handle {
    source: *mut EventSource,
    recorder: &'static Recorder,
}

// SAFETY: the header lets every thread use a source.
unsafe impl Send for Handle {}
// SAFETY: likewise.
unsafe impl Sync for Handle {}

impl Handle {
    /// A source without callbacks.
    pub fn bare(url: &str) -> Handle {
        Handle::new(url, mpsc::channel().0)
    }

    fn new(url: &str, sender: mpsc::Sender<Call>) -> Handle {
        let url = CString::new(url).unwrap();
        let mut source = ptr::null_mut();
        // SAFETY: a text, and a place for the source.
        let error = unsafe { ffi::eventsource_new(url.as_ptr(), &mut source) };
        assert_eq!(error, Error::None, "new");
        Handle { source, recorder: Recorder::new(sender) }
    }

    pub fn set_queue(self, capacity: usize) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_set_queue(self.source, capacity) }
    }

    /// Takes an item within so many milliseconds.
    pub fn take(self, timeout_ms: i64) -> Result<Seen, Error> {
        let mut item = ptr::dangling();
        // SAFETY: see `connect`; there is a place for the item.
        let error = unsafe {
            ffi::eventsource_next(self.source, timeout_ms, &mut item)
        };
        assert_eq!(error == Error::None, !item.is_null(), "{error:?}");
        match error {
            // SAFETY: borrowed until the next call.
            Error::None => Ok(Seen::item(unsafe { &*item })),
            error => Err(error),
        }
    }

    /// For callbacks that are set elsewhere.
    pub fn guard<T>(self, run: impl FnOnce() -> T) -> Option<T> {
        self.recorder.guard(run)
    }

    /// For what is called in one module only.
    pub fn as_ptr(self) -> *mut EventSource {
        self.source
    }

    pub fn connect(self) -> Error {
        // SAFETY: not freed before the test is over, here and below.
        unsafe { ffi::eventsource_connect(self.source) }
    }

    pub fn reconnect(self) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_reconnect(self.source) }
    }

    pub fn close(self) {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_close(self.source) }
    }

    pub fn wait(self, timeout_ms: i64) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_wait(self.source, timeout_ms) }
    }

    /// Gives the source back. The one who calls sees to it that nobody else
    /// uses it any more.
    pub fn free(self) {
        let freed = self.recorder.freed.swap(true, Ordering::SeqCst);
        assert!(!freed, "a test that frees twice");
        // SAFETY: never freed before.
        unsafe { ffi::eventsource_free(self.source) }
    }

    /// Whether `on_close` has come. Also after `free`.
    pub fn has_closed(self) -> bool {
        let calls = self.recorder.calls.lock().unwrap();
        calls.iter().any(|call| matches!(call.seen, Seen::Close(_)))
    }

    pub fn ready_state(self) -> ReadyState {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_ready_state(self.source) }
    }

    pub fn url(self) -> String {
        // SAFETY: see `connect`.
        text(unsafe { ffi::eventsource_url(self.source) })
    }

    /// The last event ID and how long it is said to be, read into a buffer of
    /// `size` bytes.
    pub fn last_event_id_in(self, size: usize) -> (String, usize) {
        let mut buffer = vec![0x55_u8; size];
        // SAFETY: the buffer has that size.
        let length = unsafe {
            ffi::eventsource_last_event_id(
                self.source,
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

    /// Adds a listener for events of type `kind`, seen as `Heard(name, ..)`.
    pub fn listen(self, kind: &str, name: &'static str) -> u64 {
        let kind = CString::new(kind).unwrap();
        let listener =
            Box::leak(Box::new(Listener { name, recorder: self.recorder }));
        let mut id = 0;
        // SAFETY: see `connect`; the listener lives for ever.
        let error = unsafe {
            ffi::eventsource_add_listener(
                self.source,
                kind.as_ptr(),
                Some(on_heard),
                ptr::from_mut(listener).cast(),
                &mut id,
            )
        };
        assert_eq!(error, Error::None, "add_listener");
        assert_ne!(id, 0, "a listener's id is never 0");
        id
    }

    pub fn unlisten(self, id: u64) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_remove_listener(self.source, id) }
    }

    /// Sets a header; without a value, takes it away.
    pub fn set_header(
        self,
        name: impl AsRef<[u8]>,
        value: Option<&[u8]>,
    ) -> Error {
        let name = CString::new(name.as_ref()).unwrap();
        let value = value.map(|value| CString::new(value).unwrap());
        let value = value.as_ref().map_or(ptr::null(), |v| v.as_ptr());
        // SAFETY: see `connect`; texts are copied.
        unsafe {
            ffi::eventsource_set_header(self.source, name.as_ptr(), value)
        }
    }

    pub fn set_last_event_id(self, id: impl AsRef<[u8]>) -> Error {
        let id = CString::new(id.as_ref()).unwrap();
        // SAFETY: see `set_header`.
        unsafe { ffi::eventsource_set_last_event_id(self.source, id.as_ptr()) }
    }

    pub fn set_reconnection_time(self, ms: u64) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_set_reconnection_time(self.source, ms) }
    }

    pub fn set_max_event_size(self, bytes: usize) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_set_max_event_size(self.source, bytes) }
    }
}

/// How servers are reached. A path or a text that is None is NULL.
impl Handle {
    pub fn set_ca_file(self, path: Option<&Path>) -> Error {
        let path = c_path(path);
        // SAFETY: see `connect`; texts are copied, here and below.
        unsafe { ffi::eventsource_set_ca_file(self.source, or_null(&path)) }
    }

    pub fn set_client_certificate(
        self,
        certificate: Option<&Path>,
        key: Option<&Path>,
    ) -> Error {
        let (certificate, key) = (c_path(certificate), c_path(key));
        let (certificate, key) = (or_null(&certificate), or_null(&key));
        // SAFETY: see `set_ca_file`.
        unsafe {
            ffi::eventsource_set_client_certificate(
                self.source,
                certificate,
                key,
            )
        }
    }

    pub fn set_verify_peer(self, verify: c_int) -> Error {
        // SAFETY: see `connect`.
        unsafe { ffi::eventsource_set_verify_peer(self.source, verify) }
    }

    pub fn set_proxy(self, url: Option<&str>) -> Error {
        let url = c_path(url.map(Path::new));
        // SAFETY: see `set_ca_file`.
        unsafe { ffi::eventsource_set_proxy(self.source, or_null(&url)) }
    }

    pub fn set_unix_socket(self, path: Option<&Path>) -> Error {
        let path = c_path(path);
        // SAFETY: see `set_ca_file`.
        unsafe { ffi::eventsource_set_unix_socket(self.source, or_null(&path)) }
    }
}

fn c_path(path: Option<&Path>) -> Option<CString> {
    path.map(|path| CString::new(path.as_os_str().as_bytes()).unwrap())
}

fn or_null(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// A source of the test's own. When dropped it is freed, if the test has not
/// done so, and what its callbacks saw is checked as a whole.
pub struct Source {
    handle: Handle,
    seen: mpsc::Receiver<Call>,
    pulls: bool,
}

impl std::ops::Deref for Source {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Source {
    /// A source that reports everything, and that waits a millisecond before
    /// it comes back.
    pub fn new(url: &str) -> Self {
        let source = Self::unhurried(url);
        assert_eq!(source.set_reconnection_time(1), Error::None);
        source
    }

    /// The same, with the library's own reconnection time.
    pub fn unhurried(url: &str) -> Self {
        let (sender, seen) = mpsc::channel();
        certificates::install();
        let handle = Handle::new(url, sender);
        let Handle { source, recorder } = handle;
        let user_data = ptr::from_ref(recorder).cast_mut().cast();
        // SAFETY: the source is new; the recorder lives for ever.
        unsafe {
            for error in [
                ffi::eventsource_on_open(source, Some(on_open), user_data),
                ffi::eventsource_on_event(source, Some(on_event), user_data),
                ffi::eventsource_on_error(source, Some(on_error), user_data),
                ffi::eventsource_on_close(source, Some(on_close), user_data),
                ffi::eventsource_on_comment(
                    source,
                    Some(on_comment),
                    user_data,
                ),
            ] {
                assert_eq!(error, Error::None, "a callback");
            }
        }
        let source = Self { handle, seen, pulls: false };
        // Whatever the environment of the tests is.
        assert_eq!(source.set_proxy(None), Error::None, "no proxy");
        source
    }

    /// A source that is connecting to `url`.
    pub fn connected(url: &str) -> Self {
        Self::new(url).start()
    }

    /// The source on which other threads, and callbacks, act.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    pub fn with_header(self, name: &str, value: &str) -> Self {
        let error = self.set_header(name, Some(value.as_bytes()));
        assert_eq!(error, Error::None, "{name}: {value}");
        self
    }

    pub fn without_header(self, name: &str) -> Self {
        assert_eq!(self.set_header(name, None), Error::None, "{name}");
        self
    }

    pub fn with_last_event_id(self, id: &str) -> Self {
        assert_eq!(self.set_last_event_id(id), Error::None, "{id}");
        self
    }

    pub fn with_reconnection_time(self, ms: u64) -> Self {
        assert_eq!(self.set_reconnection_time(ms), Error::None, "{ms}");
        self
    }

    pub fn with_max_event_size(self, bytes: usize) -> Self {
        assert_eq!(self.set_max_event_size(bytes), Error::None, "{bytes}");
        self
    }

    pub fn with_ca_file(self, path: &Path) -> Self {
        assert_eq!(self.set_ca_file(Some(path)), Error::None, "{path:?}");
        self
    }

    pub fn with_client_certificate(
        self,
        (certificate, key): &(PathBuf, PathBuf),
    ) -> Self {
        let error = self.set_client_certificate(Some(certificate), Some(key));
        assert_eq!(error, Error::None, "{certificate:?}, {key:?}");
        self
    }

    pub fn with_proxy(self, url: &str) -> Self {
        assert_eq!(self.set_proxy(Some(url)), Error::None, "{url}");
        self
    }

    pub fn with_unix_socket(self, path: &Path) -> Self {
        assert_eq!(self.set_unix_socket(Some(path)), Error::None, "{path:?}");
        self
    }

    /// Names headers of responses to be remembered.
    pub fn looking_up(self, names: &[&'static str]) -> Self {
        self.handle.recorder.wanted.lock().unwrap().extend(names);
        self
    }

    /// Inside every callback, after it was remembered, `action` is called.
    pub fn doing(
        self,
        action: impl Fn(&Seen, Handle) + Send + Sync + 'static,
    ) -> Self {
        let action: Action = Box::new(action);
        *self.handle.recorder.action.lock().unwrap() =
            Some(Box::leak(Box::new(action)));
        self
    }

    /// Connects.
    pub fn start(self) -> Self {
        assert_eq!(self.connect(), Error::None, "connect");
        self
    }

    /// Takes items itself, and has them remembered as calls are.
    pub fn pulling(mut self) -> Self {
        let source = self.as_ptr();
        // SAFETY: the source is alive, and not connected.
        unsafe {
            for error in [
                ffi::eventsource_on_open(source, None, ptr::null_mut()),
                ffi::eventsource_on_event(source, None, ptr::null_mut()),
                ffi::eventsource_on_error(source, None, ptr::null_mut()),
                ffi::eventsource_on_close(source, None, ptr::null_mut()),
                ffi::eventsource_on_comment(source, None, ptr::null_mut()),
                self.set_queue(16),
            ] {
                assert_eq!(error, Error::None, "pull mode");
            }
        }
        self.pulls = true;
        self
    }

    fn pull(&self) {
        let deadline = i64::try_from(DEADLINE.as_millis()).unwrap();
        let seen = self.take(deadline).expect("another item");
        self.handle.recorder.record(self.as_ptr(), seen);
    }

    fn next_call(&self) -> Call {
        if self.pulls {
            self.pull();
        }
        let call = self.seen.recv_timeout(DEADLINE);
        self.check_action();
        call.expect("another callback")
    }

    /// Fails if what the test does in callbacks has failed.
    fn check_action(&self) {
        let failure = self.handle.recorder.failure.lock().unwrap().take();
        if let Some(failure) = failure {
            panic!("in a callback: {failure}");
        }
    }

    /// What the next callback was told, whichever it is.
    pub fn next(&self) -> Seen {
        self.next_call().seen
    }

    /// The next callback is `on_open`, and sees OPEN.
    pub fn opened(&self) -> Response {
        match self.next_call() {
            Call { seen: Seen::Open(response), state, .. } => {
                assert_eq!(state, ReadyState::Open);
                response
            }
            other => panic!("on_open expected: {other:?}"),
        }
    }

    /// The next callback is `on_event`, and sees OPEN.
    pub fn event(&self) -> Event {
        match self.next_call() {
            Call { seen: Seen::Event(event), state, .. } => {
                assert_eq!(state, ReadyState::Open);
                event
            }
            other => panic!("on_event expected: {other:?}"),
        }
    }

    /// The next callback is `on_event`, with a message of this data.
    #[track_caller]
    pub fn message(&self, data: &str) -> Event {
        let event = self.event();
        assert_eq!((&*event.kind, &*event.data), ("message", data));
        event
    }

    /// The next callback is `on_comment`, and sees OPEN.
    pub fn comment(&self) -> String {
        match self.next_call() {
            Call { seen: Seen::Comment(comment), state, .. } => {
                assert_eq!(state, ReadyState::Open);
                comment
            }
            other => panic!("on_comment expected: {other:?}"),
        }
    }

    /// The next callback is `on_error`, and sees the state it tells of.
    #[track_caller]
    pub fn failure(&self, error: Error) -> Failure {
        let call = self.next_call();
        let Seen::Error(failure) = call.seen else {
            panic!("on_error expected: {call:?}")
        };
        assert_eq!(failure.error, error, "{failure:?}");
        let state = match (error, failure.will_retry) {
            (Error::TooLarge, false) => ReadyState::Open,
            (_, true) => ReadyState::Connecting,
            (_, false) => ReadyState::Closed,
        };
        assert_eq!(call.state, state, "{failure:?}");
        let message = &failure.message;
        assert!(!message.is_empty(), "one line for people");
        assert!(!message.contains(['\n', '\r']), "one line: {message:?}");
        if !failure.will_retry {
            assert_eq!(failure.delay_ms, 0, "{failure:?}");
        }
        failure
    }

    /// The connection was lost or not had, and the source will come back.
    #[track_caller]
    pub fn retrying(&self, error: Error) -> Failure {
        let failure = self.failure(error);
        assert!(failure.will_retry, "{failure:?}");
        failure
    }

    /// The open stream has ended, and the source will come back.
    #[track_caller]
    pub fn lost(&self) -> Failure {
        self.retrying(Error::Lost)
    }

    /// The connection is failed: `on_error`, then `on_close`, both CLOSED.
    #[track_caller]
    pub fn failed(&self, error: Error) -> Failure {
        let failure = self.failure(error);
        assert!(!failure.will_retry, "{failure:?}");
        self.closed(error);
        failure
    }

    /// The next callback is `on_close`, sees CLOSED, and is the last.
    #[track_caller]
    pub fn closed(&self, reason: Error) {
        match self.next_call() {
            Call { seen: Seen::Close(given), state, .. } => {
                assert_eq!((given, state), (reason, ReadyState::Closed));
            }
            other => panic!("on_close expected: {other:?}"),
        }
    }

    /// Passes over callbacks until `on_close`.
    pub fn skip_to_close(&self) -> Error {
        loop {
            if let Seen::Close(reason) = self.next() {
                return reason;
            }
        }
    }

    /// Everything that the callbacks were told up to now.
    pub fn history(&self) -> Vec<Seen> {
        let calls = self.handle.recorder.calls.lock().unwrap();
        calls.iter().map(|call| call.seen.clone()).collect()
    }

    /// When the last callback came.
    pub fn last_call(&self) -> Option<Instant> {
        let calls = self.handle.recorder.calls.lock().unwrap();
        calls.last().map(|call| call.at)
    }

    /// Whether the test has freed the source.
    fn is_freed(&self) -> bool {
        self.handle.recorder.freed.load(Ordering::SeqCst)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let handle = self.handle;
        if std::thread::panicking() {
            // One failure is enough: the source is left as it is.
            return;
        }
        if !self.is_freed() {
            promptly("free", move || handle.free());
        }
        self.check_action();
        let calls = handle.recorder.calls.lock().unwrap();
        let Some(last) = calls.last() else { return };
        let closes = calls
            .iter()
            .filter(|call| matches!(call.seen, Seen::Close(_)))
            .count();
        assert_eq!(closes, 1, "on_close comes exactly once");
        assert!(matches!(last.seen, Seen::Close(_)), "and last: {last:?}");
        assert_eq!(last.state, ReadyState::Closed);
        for call in calls.iter() {
            assert_eq!(call.thread, last.thread, "the source's own thread");
            assert!(
                !call.nested || matches!(call.seen, Seen::Close(_)),
                "one at a time: {call:?}"
            );
        }
    }
}
