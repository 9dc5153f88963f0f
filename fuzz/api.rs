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
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use eventsource::ffi::*;
use libfuzzer_sys::fuzz_target;

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

    fn text(&mut self) -> CString {
        let bytes = self.bytes().split(|byte| *byte == 0).next();
        CString::new(bytes.unwrap_or_default()).expect("no NUL")
    }
}

/// A source, and what its callbacks have seen; released with it.
struct Watched {
    source: *mut EventSource,
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
        let paths = ["", "lost", "silent", "flood", "garbage", "404", "slow"];
        let path = paths[usize::from(script.next()) % paths.len()];
        let url = CString::new(format!("http://server.test/{path}")).unwrap();
        let mut source = ptr::null_mut();
        // SAFETY: a text and a place, here and below.
        let error = unsafe { eventsource_new(url.as_ptr(), &mut source) };
        assert_eq!(error, Error::None);
        let socket = server().to_str().expect("ASCII");
        let socket = CString::new(socket).expect("no NUL");
        // SAFETY: a living source.
        unsafe {
            eventsource_set_unix_socket(source, socket.as_ptr());
            eventsource_set_reconnection_time(source, 1);
        }
        let which = script.next();
        let pulls = which >= 128;
        if pulls {
            // SAFETY: a living source.
            let error = unsafe {
                eventsource_set_comments(source, 1);
                eventsource_set_queue(source, usize::from(which % 8) + 1)
            };
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

    fn user_data(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Sets callbacks, a bit for each; `on_close` always.
    fn hear(&self, which: u8) {
        let (source, data) = (self.source, self.user_data());
        let has = |bit: u8| which >> bit & 1 == 0 && (!self.pulls || bit > 3);
        // SAFETY: a living source; `self` lives until it is freed.
        unsafe {
            let on_close = (!self.pulls).then_some(on_close as _);
            eventsource_on_close(source, on_close, data);
            eventsource_on_open(source, has(0).then_some(on_open as _), data);
            eventsource_on_event(source, has(1).then_some(on_event as _), data);
            eventsource_on_error(source, has(2).then_some(on_error as _), data);
            let on_comment = has(3).then_some(on_comment as _);
            eventsource_on_comment(source, on_comment, data);
            let on_request = has(4).then_some(on_request as _);
            eventsource_on_request(source, on_request, data);
            let on_retry = has(5).then_some(on_retry as _);
            eventsource_on_retry(source, on_retry, data);
        }
    }

    fn state(&self) -> ReadyState {
        // SAFETY: a living source, here and below.
        unsafe { eventsource_ready_state(self.source) }
    }

    fn connect(&self) {
        let closed = self.state() == ReadyState::Closed;
        // SAFETY: see `state`.
        let error = unsafe { eventsource_connect(self.source) };
        match error {
            Error::None => assert!(!self.connected.replace(true) && !closed),
            Error::AlreadyConnected => assert!(self.connected.get()),
            Error::Closed => {}
            // A listener came before.
            Error::Queue => assert!(self.pulls),
            other => panic!("{other:?}"),
        }
    }

    fn close(&self) {
        // SAFETY: see `state`.
        unsafe { eventsource_close(self.source) };
        assert_eq!(self.state(), ReadyState::Closed);
        if self.closed_at.get() == 0 {
            // One may have been about to begin.
            self.closed_at.set(self.callbacks.load(SeqCst) + 2);
        }
    }

    /// What any thread may do, callbacks included.
    fn act(&self, what: u8) {
        let source = self.source;
        let mut buffer = [0x55 as c_char; 16];
        // SAFETY: see `state`; buffers have the sizes that are said.
        unsafe {
            match what % 16 {
                1 => eventsource_close(source),
                2 => _ = eventsource_reconnect(source),
                3 => _ = self.listen(c"message", true),
                4 => _ = self.listen(c"ping", false),
                5 => _ = eventsource_remove_listener(source, what as u64 / 16),
                6 => {
                    let size = usize::from(what / 16);
                    let length = eventsource_last_event_id(
                        source,
                        buffer.as_mut_ptr(),
                        size,
                    );
                    assert!(length < 100);
                    assert!(buffer[size..].iter().all(|it| *it == 0x55));
                }
                7 => {
                    let mut stats = Stats::default();
                    let size = usize::from(what / 16) * 8;
                    let size = size.min(size_of::<Stats>());
                    eventsource_get_stats(source, &mut stats, size);
                }
                8 => _ = CStr::from_ptr(eventsource_url(source)).to_str(),
                9 => _ = eventsource_with_credentials(source),
                10 => {
                    _ = eventsource_set_header(source, ptr::null(), ptr::null())
                }
                11 => _ = eventsource_strerror(c_int::from(what)),
                12 => thread::yield_now(),
                _ => {}
            }
        }
    }

    fn listen(&self, kind: &CStr, wants_id: bool) -> u64 {
        let mut id = 0;
        let out = if wants_id { &raw mut id } else { ptr::null_mut() };
        // SAFETY: see `state`.
        let error = unsafe {
            eventsource_add_listener(
                self.source,
                kind.as_ptr(),
                Some(on_event),
                self.user_data(),
                out,
            )
        };
        assert!(error == Error::None || self.pulls);
        id
    }

    /// Takes what there is.
    fn pull(&self, most: usize) {
        let mut items = [ptr::null(); 4];
        let mut count = 0;
        // SAFETY: see `state`; room for so many.
        let error = unsafe {
            match most {
                0 => eventsource_next(self.source, 1, items.as_mut_ptr()),
                _ => eventsource_next_batch(
                    self.source,
                    1,
                    items.as_mut_ptr(),
                    most,
                    &mut count,
                ),
            }
        };
        if most == 0 && error == Error::None {
            count = 1;
        }
        assert!(self.pulls || error != Error::None);
        for item in &items[..count] {
            assert_eq!(self.closes.load(SeqCst), 0, "the close is the last");
            // SAFETY: borrowed until the next call.
            let item = unsafe { &**item };
            match item.r#type {
                ItemType::Event => check_event(item.event),
                ItemType::Comment => {
                    check_text(item.comment, item.comment_len);
                }
                ItemType::Error => check_failure(item.failure),
                ItemType::Close => _ = self.closes.fetch_add(1, SeqCst),
                ItemType::Open => assert!(!item.response.is_null()),
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
            // SAFETY: see `state`.
            let error = unsafe { eventsource_wait(self.source, 1000) };
            assert_eq!(error, Error::Callback);
        } else if what % 16 == 14 {
            // SAFETY: see `state`.
            let error = unsafe { eventsource_connect(self.source) };
            assert_ne!(error, Error::None);
        }
        self.act(what);
        what
    }

    /// Frees the source, and checks what it has said.
    fn free(self: Box<Self>) {
        // SAFETY: living until here.
        unsafe { eventsource_free(self.source) };
        let closes = self.closes.load(SeqCst);
        let told = closes == u32::from(self.connected.get());
        assert!(told || self.pulls, "on_close comes once");
        let callbacks = self.callbacks.load(SeqCst);
        let most = self.closed_at.get();
        assert!(most == 0 || callbacks < most, "a callback after close");
    }
}

fn watched<'a>(user_data: *mut c_void) -> &'a Watched {
    // SAFETY: given by `hear` and `listen`; alive until `free` has returned.
    unsafe { &*user_data.cast::<Watched>() }
}

extern "C" fn on_open(
    _: *mut EventSource,
    response: *const Response,
    user_data: *mut c_void,
) {
    // SAFETY: borrowed until the callback returns, here and below.
    let status = unsafe { eventsource_response_status(response) };
    assert_eq!(status, 200);
    watched(user_data).called();
}

extern "C" fn on_event(
    _: *mut EventSource,
    event: *const Event,
    user_data: *mut c_void,
) {
    check_event(event);
    watched(user_data).called();
}

fn check_event(event: *const Event) {
    // SAFETY: see `on_open`.
    let event = unsafe { &*event };
    check_text(event.r#type, event.type_len);
    check_text(event.data, event.data_len);
    check_text(event.last_event_id, event.last_event_id_len);
}

fn check_text(text: *const c_char, length: usize) {
    // SAFETY: so long, and a NUL.
    let text =
        unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length + 1) };
    assert_eq!(text[length], 0);
    assert!(str::from_utf8(text).is_ok());
}

extern "C" fn on_error(
    _: *mut EventSource,
    failure: *const Failure,
    user_data: *mut c_void,
) {
    check_failure(failure);
    watched(user_data).called();
}

fn check_failure(failure: *const Failure) {
    // SAFETY: see `on_open`.
    let failure = unsafe { &*failure };
    // SAFETY: NUL-terminated, and so long.
    let message = unsafe { CStr::from_ptr(failure.message) };
    assert!(!message.is_empty() && message.to_str().is_ok());
    check_text(failure.body, failure.body_len);
}

extern "C" fn on_comment(
    _: *mut EventSource,
    comment: *const c_char,
    length: usize,
    user_data: *mut c_void,
) {
    check_text(comment, length);
    watched(user_data).called();
}

extern "C" fn on_request(
    _: *mut EventSource,
    request: *mut Request,
    user_data: *mut c_void,
) {
    let what = watched(user_data).called();
    let value = if what & 1 != 0 { c"a\nb" } else { c"b" };
    // SAFETY: see `on_open`.
    unsafe {
        assert!(eventsource_request_attempt(request) > 0);
        let failure = eventsource_request_failure(request);
        if !failure.is_null() {
            check_failure(failure);
        }
        let name = c"X-A".as_ptr();
        eventsource_request_set_header(request, name, value.as_ptr());
        if what & 2 != 0 {
            eventsource_request_set_method(request, c"POST".as_ptr());
        }
    }
}

extern "C" fn on_retry(
    _: *mut EventSource,
    failure: *const Failure,
    user_data: *mut c_void,
) -> i64 {
    check_failure(failure);
    i64::from(watched(user_data).called() % 32) - 2
}

extern "C" fn on_close(_: *mut EventSource, _: Error, user_data: *mut c_void) {
    watched(user_data).closes.fetch_add(1, SeqCst);
}

/// Sets something; whether that is refused is not the question.
fn set(watched: &Watched, script: &mut Script<'_>) {
    let (source, what) = (watched.source, script.next());
    let text = script.text();
    let number = u64::from(what);
    // SAFETY: a living source, texts that end.
    let error = unsafe {
        match what % 16 {
            0 => {
                let value = script.text();
                eventsource_set_header(source, text.as_ptr(), value.as_ptr())
            }
            1 => eventsource_set_last_event_id(source, text.as_ptr()),
            2 => eventsource_set_method(source, text.as_ptr()),
            3 => {
                let body = script.bytes();
                eventsource_set_body(source, body.as_ptr().cast(), body.len())
            }
            4 => eventsource_set_max_redirects(source, number as _),
            5 => eventsource_set_with_credentials(source, what as _),
            6 => eventsource_set_connect_timeout(source, number as _),
            7 => eventsource_set_response_timeout(source, number as _),
            8 => eventsource_set_idle_timeout(source, number as _),
            9 => eventsource_set_retry(source, c_int::from(what / 16)),
            10 => eventsource_set_max_attempts(source, number as _),
            11 => eventsource_set_max_reconnection_time(source, number as _),
            12 => eventsource_set_max_event_size(source, usize::from(what)),
            13 => eventsource_set_verify_peer(source, c_int::from(what / 16)),
            14 => eventsource_set_proxy(source, text.as_ptr()),
            _ => eventsource_set_reconnection_time(source, 1),
        }
    };
    let late = watched.connected.get() && error == Error::None;
    assert!(!late, "a setting after connect");
}

extern "C" fn on_parsed(
    _: *mut Parser,
    event: *const Event,
    events: *mut c_void,
) {
    check_event(event);
    // SAFETY: a number that outlives the parser.
    unsafe { *events.cast::<u32>() += 1 };
}

fn parse(script: &mut Script<'_>) {
    let mut parser = ptr::null_mut();
    let mut events = 0_u32;
    let data = (&raw mut events).cast();
    // SAFETY: a place for it; bytes and their number.
    unsafe {
        let error = eventsource_parser_new(Some(on_parsed), data, &mut parser);
        assert_eq!(error, Error::None);
        for _ in 0..script.next() % 8 {
            let bytes = script.bytes();
            let first = bytes.as_ptr().cast();
            let error = eventsource_parser_feed(parser, first, bytes.len());
            assert_eq!(error, Error::None);
        }
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
                // SAFETY: a living source.
                unsafe { eventsource_wait(watched.source, patience) };
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
        // SAFETY: see `state`.
        let error =
            unsafe { eventsource_on_event(self.source, None, ptr::null_mut()) };
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
