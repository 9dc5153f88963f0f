//! A source, made and driven through the C API, that remembers what its
//! callbacks were told.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::ThreadId;
use std::time::Instant;

use eventsource::ffi::{Error, HttpVersion, ReadyState};

use super::{DEADLINE, certificates, event_loop, promptly};
use crate::callbacks::{Callback, Callbacks};
use crate::pointer::{Pointer, TextSetter};
pub use crate::seen::{Event, Failure, Response, Seen};

/// The callbacks that a source reports.
const REPORTED: [Callback; 5] = [
    Callback::Open,
    Callback::Event,
    Callback::Error,
    Callback::Close,
    Callback::Comment,
];

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

    fn record(&'static self, source: Pointer, seen: Seen) {
        let at = Instant::now();
        let nested = self.running.fetch_add(1, Ordering::SeqCst) > 0;
        let call = Call {
            at,
            seen: seen.clone(),
            state: source.ready_state(),
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
}

struct Listener {
    name: &'static str,
    recorder: &'static Recorder,
}

impl Callbacks for Listener {
    fn on_event(&self, source: Pointer, event: Event) {
        self.recorder.record(source, Seen::Heard(self.name, event));
    }
}

/// What any thread, and any callback, may do with a source.
#[derive(Clone, Copy)]
pub struct Handle {
    source: Pointer,
    recorder: &'static Recorder,
}

impl std::ops::Deref for Handle {
    type Target = Pointer;

    fn deref(&self) -> &Pointer {
        &self.source
    }
}

impl Handle {
    /// A source without callbacks.
    pub fn bare(url: &str) -> Handle {
        Handle::new(url, mpsc::channel().0)
    }

    fn new(url: &str, sender: mpsc::Sender<Call>) -> Handle {
        // The first source that connects decides where the store is.
        certificates::install();
        Handle { source: Pointer::new(url), recorder: Recorder::new(sender) }
    }

    /// For callbacks that are set elsewhere.
    pub fn guard<T>(self, run: impl FnOnce() -> T) -> Option<T> {
        self.recorder.guard(run)
    }

    /// Gives the source back. The one who calls sees to it that nobody else
    /// uses it any more.
    pub fn free(self) {
        let freed = self.recorder.freed.swap(true, Ordering::SeqCst);
        assert!(!freed, "a test that frees twice");
        self.source.free();
    }

    /// Whether `on_close` has come. Also after `free`.
    pub fn has_closed(self) -> bool {
        let calls = self.recorder.calls.lock().unwrap();
        calls.iter().any(|call| matches!(call.seen, Seen::Close(_)))
    }

    /// Adds a listener for events of type `kind`, seen as `Heard(name, ..)`.
    pub fn listen(self, kind: &str, name: &'static str) -> u64 {
        let listener = Listener { name, recorder: self.recorder };
        let listener = Box::leak(Box::new(listener));
        let mut id = 0;
        let error = self.add_listener(kind, listener, Some(&mut id));
        assert_eq!(error, Error::None, "add_listener");
        assert_ne!(id, 0, "a listener's id is never 0");
        id
    }
}

impl Callbacks for Handle {
    fn wanted(&self) -> Vec<&'static str> {
        self.recorder.wanted.lock().unwrap().clone()
    }

    fn on_open(&self, source: Pointer, response: Response) {
        self.recorder.record(source, Seen::Open(response));
    }

    fn on_event(&self, source: Pointer, event: Event) {
        self.recorder.record(source, Seen::Event(event));
    }

    fn on_error(&self, source: Pointer, failure: Failure) {
        self.recorder.record(source, Seen::Error(failure));
    }

    fn on_comment(&self, source: Pointer, comment: String) {
        self.recorder.record(source, Seen::Comment(comment));
    }

    fn on_close(&self, source: Pointer, reason: Error) {
        self.recorder.record(source, Seen::Close(reason));
    }
}

/// A source of the test's own. When dropped it is freed, if the test has not
/// done so, and what its callbacks saw is checked as a whole.
pub struct Source {
    handle: Handle,
    seen: mpsc::Receiver<Call>,
    pulls: bool,
    is_on_loop: bool,
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
        let handle = Handle::new(url, sender);
        let reports = Box::leak(Box::new(handle));
        for callback in REPORTED {
            let error = handle.call(callback, reports);
            assert_eq!(error, Error::None, "{callback:?}");
        }
        let is_on_loop = event_loop::of_new_sources().is_some();
        let source = Self { handle, seen, pulls: false, is_on_loop };
        // Whatever the environment of the tests is.
        assert_eq!(source.set_proxy(Some("")), Error::None, "no proxy");
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

    /// Speaks HTTP/2 only.
    pub fn over_http2(self) -> Self {
        self.in_version(HttpVersion::_2)
    }

    pub fn in_version(self, version: HttpVersion) -> Self {
        let error = self.set_http_version(version as i32);
        assert_eq!(error, Error::None, "{version:?}");
        self
    }

    pub fn with_proxy(self, url: &str) -> Self {
        assert_eq!(self.set_proxy(Some(url)), Error::None, "{url}");
        self
    }

    pub fn with_text(self, setter: TextSetter, text: &str) -> Self {
        let error = self.set_text(setter, Some(text.as_bytes()));
        assert_eq!(error, Error::None, "{text}");
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
        for callback in REPORTED {
            assert_eq!(self.mute(callback), Error::None, "{callback:?}");
        }
        assert_eq!(self.set_queue(16), Error::None, "pull mode");
        self.pulls = true;
        self
    }

    fn pull(&self) {
        let deadline = i64::try_from(DEADLINE.as_millis()).unwrap();
        let seen = self.take(deadline).expect("another item");
        self.handle.recorder.record(self.handle.source, seen);
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

    /// The open stream was lost, and the source will come back.
    #[track_caller]
    pub fn lost(&self) -> Failure {
        let failure = self.retrying(Error::Lost);
        assert_eq!(failure.http_status, 200, "{failure:?}");
        failure
    }

    /// The stream has ended in good order, and the source will come back.
    #[track_caller]
    pub fn ended(&self) -> Failure {
        let failure = self.retrying(Error::Ended);
        assert_eq!(failure.http_status, 200, "{failure:?}");
        failure
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
        let (Some(first), Some(last)) = (calls.first(), calls.last()) else {
            return;
        };
        let closes = calls
            .iter()
            .filter(|call| matches!(call.seen, Seen::Close(_)))
            .count();
        assert_eq!(closes, 1, "on_close comes exactly once");
        assert!(matches!(last.seen, Seen::Close(_)), "and last: {last:?}");
        assert_eq!(last.state, ReadyState::Closed);
        for call in calls.iter() {
            let closes = matches!(call.seen, Seen::Close(_));
            // On a loop, whoever frees a source makes its last callback.
            assert!(
                call.thread == first.thread || closes && self.is_on_loop,
                "the source's own thread: {call:?}"
            );
            assert!(!call.nested || closes, "one at a time: {call:?}");
        }
    }
}
