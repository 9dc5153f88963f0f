//! The C API, called in any order with anything, while a server sends, breaks
//! and stalls; and callbacks that do the same. What is given to a source is
//! released as soon as the header allows it, so that AddressSanitizer sees who
//! comes too late.

#![no_main]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::ptr;
use std::slice;
use std::str;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use eventsource::ffi::*;
use libfuzzer_sys::fuzz_target;
use support::callbacks::{Asking, Callback, Callbacks};
use support::pointer::Pointer;
use support::seen::{self, Seen};

/// What is done next, and with what: bytes, and zero when they are used up.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.next() % 32).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    fn text(&mut self) -> &'a [u8] {
        let bytes = self.bytes().split(|byte| *byte == 0).next();
        bytes.unwrap_or_default()
    }
}

/// A source, and what its callbacks have seen; released with it.
struct Watched {
    source: Pointer,
    /// It has a queue, and no callbacks but two.
    pulls: bool,
    /// What callbacks do, one byte each.
    script: RefCell<Vec<u8>>,
    connected: Cell<bool>,
    /// Callbacks other than `on_close`, begun.
    callbacks: AtomicU32,
    closes: AtomicU32,
    /// How many callbacks had begun when a close had returned, plus one.
    closed_at: Cell<u32>,
}

impl Watched {
    fn new(script: &mut Script<'_>) -> Box<Watched> {
        let paths =
            ["", "lost", "silent", "flood", "garbage", "404", "slow", "moved"];
        let path = paths[usize::from(script.next()) % paths.len()];
        let source = Pointer::new(&format!("http://server.test/{path}"));
        source.set_unix_socket(Some(server()));
        source.set_reconnection_time(1);
        let which = script.next();
        let pulls = which >= 128;
        if pulls {
            source.set(eventsource_set_comments, 1);
            let error = source.set_queue(usize::from(which % 8) + 1);
            assert_eq!(error, Error::None);
        }
        let mut plan = script.bytes().to_vec();
        plan.reverse();
        let watched = Box::new(Watched {
            source,
            pulls,
            script: RefCell::new(plan),
            connected: Cell::new(false),
            callbacks: AtomicU32::new(0),
            closes: AtomicU32::new(0),
            closed_at: Cell::new(0),
        });
        watched.hear(which);
        watched
    }

    /// Sets callbacks, a bit for each; `on_close` always.
    fn hear(&self, which: u8) {
        let callbacks = [
            (Callback::Close, !self.pulls),
            (Callback::Open, self.has(which, 0)),
            (Callback::Event, self.has(which, 1)),
            (Callback::Error, self.has(which, 2)),
            (Callback::Comment, self.has(which, 3)),
            (Callback::Request, self.has(which, 4)),
            (Callback::Retry, self.has(which, 5)),
            (Callback::Response, self.has(which, 6)),
        ];
        for (callback, is_set) in callbacks {
            // Refused when it is too late.
            match is_set {
                true => self.source.call(callback, self),
                false => self.source.mute(callback),
            };
        }
    }

    fn has(&self, which: u8, bit: u8) -> bool {
        which >> bit & 1 == 0 && (!self.pulls || bit > 3)
    }

    fn connect(&self) {
        let closed = self.source.ready_state() == ReadyState::Closed;
        match self.source.connect() {
            Error::None => assert!(!self.connected.replace(true) && !closed),
            Error::AlreadyConnected => assert!(self.connected.get()),
            Error::Closed => {}
            // A listener came before.
            Error::Queue => assert!(self.pulls),
            // A header without a name was refused, see `act`.
            Error::Null => {}
            other => panic!("{other:?}"),
        }
    }

    fn close(&self) {
        self.source.close();
        assert_eq!(self.source.ready_state(), ReadyState::Closed);
        if self.closed_at.get() == 0 {
            // One may have been about to begin.
            self.closed_at.set(self.callbacks.load(SeqCst) + 2);
        }
    }

    /// What any thread may do, callbacks included.
    fn act(&self, what: u8) {
        let source = self.source;
        let size = usize::from(what / 16);
        match what % 16 {
            1 => source.close(),
            2 => _ = source.reconnect(),
            3 => self.listen("message", Some(&mut 0)),
            4 => self.listen("ping", None),
            5 => _ = source.unlisten(u64::from(what) / 16),
            6 => assert!(source.last_event_id_in(size).1 < 100),
            7 => _ = source.stats_in((size * 8).min(size_of::<CStats>())),
            8 => _ = source.url(),
            9 => _ = source.with_credentials(),
            10 => {
                let source = source.as_ptr();
                // SAFETY: a living source.
                unsafe {
                    eventsource_set_header(source, ptr::null(), ptr::null())
                };
            }
            11 => {
                let text = eventsource_strerror(c_int::from(what));
                // SAFETY: a text that lives for ever.
                _ = unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8");
            }
            12 => thread::yield_now(),
            _ => {}
        }
    }

    fn listen(&self, kind: &str, id: Option<&mut u64>) {
        let error = self.source.add_listener(kind, self, id);
        assert!(error == Error::None || self.pulls);
    }

    /// Takes what there is.
    fn pull(&self, most: usize) {
        let taken = match most {
            0 => self.source.take(1).map(|seen| vec![seen]),
            _ => self.source.take_batch(1, most),
        };
        assert!(self.pulls || taken.is_err());
        for seen in taken.unwrap_or_default() {
            assert_eq!(self.closes.load(SeqCst), 0, "the close is the last");
            match seen {
                Seen::Error(failure) => check_failure(&failure),
                Seen::Close(_) => _ = self.closes.fetch_add(1, SeqCst),
                // Looked at when they were read.
                Seen::Open(_) | Seen::Event(_) | Seen::Comment(_) => {}
                Seen::Heard(..) => unreachable!("no listener"),
            }
        }
    }

    /// What the next byte of the callbacks' script says.
    fn called(&self) -> u8 {
        self.callbacks.fetch_add(1, SeqCst);
        assert!(self.pulls || self.closes.load(SeqCst) == 0, "the last");
        // Callbacks come one at a time.
        let what = self.script.borrow_mut().pop().unwrap_or_default();
        if what % 16 == 13 {
            assert_eq!(self.source.wait(1000), Error::Callback);
        } else if what % 16 == 14 {
            assert_ne!(self.source.connect(), Error::None);
        }
        self.act(what);
        what
    }

    /// Frees the source, and checks what it has said.
    fn free(self: Box<Self>) {
        self.source.free();
        let closes = self.closes.load(SeqCst);
        let told = closes == u32::from(self.connected.get());
        assert!(told || self.pulls, "on_close comes once");
        let callbacks = self.callbacks.load(SeqCst);
        let most = self.closed_at.get();
        assert!(most == 0 || callbacks < most, "a callback after close");
    }
}

impl Callbacks for Watched {
    fn on_open(&self, _: Pointer, response: seen::Response) {
        // Or what the program has accepted.
        assert!([200, 404].contains(&response.status));
        self.called();
    }

    fn on_response(&self, _: Pointer, response: seen::Response) -> c_int {
        assert_eq!(response.location.is_some(), response.status == 302);
        c_int::from(self.called() % 4)
    }

    fn on_event(&self, _: Pointer, _: seen::Event) {
        self.called();
    }

    fn on_error(&self, _: Pointer, failure: seen::Failure) {
        check_failure(&failure);
        self.called();
    }

    fn on_comment(&self, _: Pointer, _: String) {
        self.called();
    }

    fn on_request(&self, _: Pointer, request: &Asking) {
        let what = self.called();
        assert!(request.attempt() > 0);
        if let Some(failure) = request.failure() {
            check_failure(&failure);
        }
        let value = if what & 1 != 0 { "a\nb" } else { "b" };
        request.set_header("X-A", Some(value));
        if what & 2 != 0 {
            request.set_method("POST");
        }
        if what & 4 != 0 {
            let id = request.last_event_id();
            assert_eq!(request.set_last_event_id(Some(&id)), Error::None);
            request.set_last_event_id((what & 8 == 0).then_some(value));
        }
        if what & 16 != 0 {
            let url = ["/lost", "http://server.test/lost"];
            request.set_url(url[usize::from(what & 1)]);
        }
        if what & 96 == 96 {
            request.abort((what & 128 != 0).then_some(value));
        }
    }

    fn on_retry(&self, _: Pointer, failure: seen::Failure) -> i64 {
        check_failure(&failure);
        i64::from(self.called() % 32) - 2
    }

    fn on_close(&self, _: Pointer, _: Error) {
        self.closes.fetch_add(1, SeqCst);
    }
}

fn check_failure(failure: &seen::Failure) {
    assert!(!failure.message.is_empty());
}

/// Sets something. What is refused is made good, since the source would not
/// connect with it.
fn set(watched: &Watched, script: &mut Script<'_>) {
    let (source, what) = (watched.source, script.next());
    let text = script.text();
    let number = u64::from(what);
    let flag = c_int::from(what / 16);
    let good = |error: Error, again: &dyn Fn() -> Error| {
        if error != Error::None {
            again();
        }
        error
    };
    let texts = |setter| {
        let again = || source.set_text(setter, None);
        good(source.set_text(setter, Some(text)), &again)
    };
    let error = match what % 16 {
        0 => {
            // A name that is none cannot be made good.
            let other = Pointer::new("http://server.test/");
            other.set_header(text, Some(text));
            other.free();
            let again = || source.set_header("X-A", None);
            good(source.set_header("X-A", Some(script.text())), &again)
        }
        1 => {
            let again = || source.set_last_event_id("");
            good(source.set_last_event_id(text), &again)
        }
        2 => good(source.set_method(text), &|| source.set_method("GET")),
        3 => source.set_body(script.bytes()),
        4 => {
            source.set(eventsource_set_max_body_size, usize::from(what >> 4));
            source.set(eventsource_set_max_redirects, number as _)
        }
        5 => {
            source.set(eventsource_set_trust_redirects, i32::from(what & 1));
            let setter = eventsource_set_with_credentials;
            good(source.set(setter, what as _), &|| source.set(setter, 0))
        }
        6 => source.set(eventsource_set_connect_timeout, number as _),
        7 => source.set(eventsource_set_response_timeout, number as _),
        8 => source.set(eventsource_set_idle_timeout, number as _),
        9 => {
            let setter = eventsource_set_retry;
            good(source.set(setter, flag), &|| source.set(setter, 0))
        }
        10 => source.set(eventsource_set_max_attempts, number as _),
        11 => {
            let setter = eventsource_set_max_reconnection_time;
            good(source.set(setter, number as _), &|| source.set(setter, 1))
        }
        12 => source.set_max_event_size(usize::from(what)),
        13 => {
            good(source.set_verify_peer(flag), &|| source.set_verify_peer(1));
            texts(eventsource_set_ca_pem);
            texts(eventsource_set_interface);
            texts(eventsource_set_pinned_key);
            texts(eventsource_set_server_name)
        }
        14 => texts(eventsource_set_proxy),
        _ => source.set_reconnection_time(1),
    };
    let late = watched.connected.get() && error == Error::None;
    assert!(!late, "a setting after connect");
}

extern "C" fn on_parsed(
    _: *mut CParser,
    event: *const CEvent,
    events: *mut c_void,
) {
    // SAFETY: borrowed until the callback returns.
    seen::Event::read(unsafe { &*event });
    // SAFETY: a number that outlives the parser.
    unsafe { *events.cast::<u32>() += 1 };
}

extern "C" fn on_parsed_retry(parser: *mut CParser, _: u64, _: *mut c_void) {
    // SAFETY: the parser that calls; it is busy.
    let error = unsafe { eventsource_parser_end(parser) };
    assert_eq!(error, Error::Callback);
}

extern "C" fn on_parsed_comment(
    _: *mut CParser,
    comment: *const c_char,
    len: usize,
    _: *mut c_void,
) {
    // SAFETY: that many bytes and a NUL.
    let bytes = unsafe { slice::from_raw_parts(comment.cast::<u8>(), len + 1) };
    assert_eq!(bytes.last(), Some(&0));
    str::from_utf8(bytes).expect("UTF-8");
}

/// One call for a parser, which exists until `parse` frees it.
fn parse_step(script: &mut Script<'_>, parser: *mut CParser) {
    let nothing = ptr::null_mut();
    // SAFETY: the parser exists; texts end with a NUL, bytes are as many.
    let error = unsafe {
        match script.next() % 8 {
            0 => {
                let on_retry: ParserRetryCallback = Some(on_parsed_retry);
                eventsource_parser_on_retry(parser, on_retry, nothing)
            }
            1 => {
                let on_comment: ParserCommentCallback =
                    (script.next() % 2 == 0).then_some(on_parsed_comment);
                eventsource_parser_on_comment(parser, on_comment, nothing)
            }
            2 => {
                let size = usize::from(script.next());
                eventsource_parser_set_max_event_size(parser, size)
            }
            3 => {
                let id = CString::new(script.text()).expect("a text");
                eventsource_parser_set_last_event_id(parser, id.as_ptr())
            }
            4 => eventsource_parser_end(parser),
            _ => {
                let bytes = script.bytes();
                let first = bytes.as_ptr().cast();
                eventsource_parser_feed(parser, first, bytes.len())
            }
        }
    };
    assert_ne!(error, Error::Internal);
    // SAFETY: the parser exists, and no callback of it runs.
    let id =
        unsafe { CStr::from_ptr(eventsource_parser_last_event_id(parser)) };
    id.to_str().expect("UTF-8");
}

fn parse(script: &mut Script<'_>) {
    let mut parser = ptr::null_mut();
    let mut events = 0_u32;
    let data = (&raw mut events).cast();
    // SAFETY: a place for it.
    let error =
        unsafe { eventsource_parser_new(Some(on_parsed), data, &mut parser) };
    assert_eq!(error, Error::None);
    for _ in 0..script.next() % 16 {
        parse_step(script, parser);
    }
    // SAFETY: as above; the parser is freed once, at the end.
    unsafe {
        let error = eventsource_parser_set_max_event_size(parser, 0);
        assert_eq!(error, Error::None);
        eventsource_parser_reset(parser);
        let error = eventsource_parser_feed(parser, c"data\n\n".as_ptr(), 6);
        assert_eq!(error, Error::None);
        eventsource_parser_free(parser);
    }
    assert!(events > 0);
}

fuzz_target!(|input: &[u8]| {
    let mut script = Script(input);
    let mut sources: [Option<Box<Watched>>; 3] = [None, None, None];
    // Each source has a thread: no more than a few at once.
    for _ in 0..64 {
        if script.0.is_empty() {
            break;
        }
        let what = script.next();
        let place = &mut sources[usize::from(what >> 6) % 3];
        let Some(watched) = place else {
            match what % 4 {
                0 => parse(&mut script),
                _ => *place = Some(Watched::new(&mut script)),
            }
            continue;
        };
        match what % 16 {
            0..4 => watched.connect(),
            4..7 => set(watched, &mut script),
            7..11 => watched.act(script.next()),
            11 => watched.close(),
            12 | 13 if watched.pulls => {
                watched.pull(usize::from(script.next() % 5));
            }
            12 | 13 => {
                let patience = i64::from(script.next() % 4);
                watched.source.wait(patience);
            }
            14 => watched.hear_late(script.next()),
            _ => place.take().expect("there is one").free(),
        }
    }
    sources.into_iter().flatten().for_each(Watched::free);
});

impl Watched {
    /// Callbacks are not changed any more.
    fn hear_late(&self, which: u8) {
        if !self.connected.get() {
            self.hear(which);
            return;
        }
        let error = self.source.mute(Callback::Event);
        assert_eq!(error, Error::AlreadyConnected);
    }
}

/// The path of a server's socket; it does what a request's path says.
fn server() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let name = format!("eventsource-fuzz-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a free path");
        for _ in 0..8 {
            let listener = listener.try_clone().expect("a descriptor");
            thread::spawn(move || {
                for client in listener.incoming() {
                    // Clients come and go as they like.
                    let _ = serve(client.expect("a client"));
                }
            });
        }
        path
    })
}

fn serve(mut client: UnixStream) -> std::io::Result<()> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\
        Content-Type: text/event-stream\r\n\r\n";
    const EVENTS: &[u8] = b": comment\nid: 1\ndata: one\n\n\
        event: ping\nid: 2\ndata: two\ndata: lines\n\nretry: 1\n\ndata: x";

    let mut request = [0; 4096];
    let read = client.read(&mut request)?;
    let path = request[..read].split(|byte| *byte == b' ').nth(1);
    match path {
        Some(b"/garbage") => client.write_all(b"\0\xff HTTP\r\n\r\n"),
        Some(b"/moved") => client
            .write_all(b"HTTP/1.1 302 Found\r\nLocation: lost?x#y\r\n\r\n"),
        Some(b"/404") => {
            client.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno")
        }
        Some(b"/lost") => client.write_all(&[HEAD, EVENTS].concat()),
        Some(b"/flood") => {
            client.write_all(HEAD)?;
            loop {
                client.write_all(&EVENTS.repeat(20))?;
            }
        }
        Some(b"/slow") => {
            for byte in [HEAD, EVENTS].concat() {
                client.write_all(&[byte])?;
                thread::yield_now();
            }
            Ok(())
        }
        path => {
            client.write_all(HEAD)?;
            if path != Some(b"/silent") {
                client.write_all(EVENTS)?;
            }
            while client.read(&mut request)? > 0 {}
            Ok(())
        }
    }
}
