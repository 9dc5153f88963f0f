//! Servers that mean harm: what they send without end takes neither memory nor
//! sense away. Each is followed by a process of its own, whose size is
//! measured; optimized, there is sixteen times as much of everything.

#![expect(unsafe_code, reason = "the C API is what is attacked")]

use std::ffi::c_void;
use std::fs;
use std::io::Write;
use std::ptr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use eventsource::ffi::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use support::event_loop::EventLoop;
use support::limits::{Limit, limit};
use support::pointer::Pointer;
use support::server::{CHUNKED, Connection, EVENT_STREAM, Server};
use support::source::{Handle, Source};
use support::{alone, until};

/// How much harm is done.
const MUCH: usize = if cfg!(debug_assertions) { 64 << 20 } else { 1 << 30 };
/// The largest event, where large ones are let through.
const LARGE: usize = if cfg!(debug_assertions) { 16 << 20 } else { 64 << 20 };
/// How much larger the process may become by it, in KiB.
const GROWTH: usize = 8 << 10;
/// How long that may take, by far.
const PATIENCE: Duration = Duration::from_secs(100);
const PIECE: usize = 64 << 10;

/// Follows a server that sends a head, harm, and then an event, which comes;
/// what the source said before is given back. Meanwhile the process has grown
/// by no more than GROWTH.
fn survive(
    head: &str,
    harm: impl FnOnce(&mut Connection) + Send + 'static,
) -> Vec<Said> {
    let (said, growth) = follow(Mode::Calls, 64 << 10, head, |_, it| harm(it));
    assert!(growth.peak < GROWTH, "{} KiB", growth.peak);
    said
}

/// By how many KiB the process has grown.
struct Growth {
    /// At any time.
    peak: usize,
    /// In the end.
    left: usize,
}

/// The same, with another limit for an event; the server may take another
/// connection.
fn follow(
    mode: Mode,
    limit: usize,
    head: &str,
    harm: impl FnOnce(&Server, &mut Connection) + Send,
) -> (Vec<Said>, Growth) {
    let server = Server::start();
    let victim = Victim::new(&server.url("/"), mode, limit);
    let mut connection = server.accept();
    connection.send(head);
    assert_eq!(victim.next(), Said::Open);
    // From here on.
    fs::write("/proc/self/clear_refs", "5").expect("/proc");
    let before = peak();
    let mut said = Vec::new();
    thread::scope(|scope| {
        let connection = &mut connection;
        let server = &server;
        scope.spawn(move || harm(server, connection));
        loop {
            match victim.next() {
                Said::Event(data) if data == "after" => break,
                other => said.push(other),
            }
        }
    });
    let growth = Growth {
        peak: peak().saturating_sub(before),
        left: kibibytes("VmRSS:").saturating_sub(before),
    };
    (said, growth)
}

/// The most that this process has had resident, in KiB.
fn peak() -> usize {
    kibibytes("VmHWM:")
}

/// What the system says of this process.
fn kibibytes(what: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with(what));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a line of it").parse().expect("a number")
}

/// Sends `piece` again and again, so many bytes of it.
fn send(connection: &mut Connection, piece: &[u8], bytes: usize) {
    let piece = piece.repeat(PIECE.div_ceil(piece.len()));
    for _ in 0..bytes.div_ceil(piece.len()) {
        connection.send(&piece);
    }
}

#[test]
fn comments_without_end() {
    alone("comments_without_end", || {
        let said = survive(EVENT_STREAM, |connection| {
            send(connection, b": nothing at all\n", MUCH);
            connection.send(":");
            send(connection, b"x", MUCH);
            connection.send("\ndata: after\n\n");
        });
        assert_eq!(said, []);
    });
}

#[test]
fn lines_without_end() {
    alone("lines_without_end", || {
        for field in ["data: ", "id: ", "event: ", "retry: ", "other: "] {
            let said = survive(EVENT_STREAM, move |connection| {
                connection.send(field);
                send(connection, b"1", MUCH / 4);
                connection.send("\n\nretry: 1\ndata: after\n\n");
            });
            let ignored = matches!(field, "other: ");
            let expected = [Said::Error(Error::TooLarge)];
            assert_eq!(said, expected[usize::from(ignored)..], "{field}");
        }
    });
}

#[test]
fn an_event_without_end() {
    alone("an_event_without_end", || {
        let said = survive(EVENT_STREAM, |connection| {
            send(connection, b"data: x\nid: 1\nevent: e\n", MUCH / 4);
            connection.send("\ndata: after\n\n");
        });
        assert_eq!(said, [Said::Error(Error::TooLarge)]);
    });
}

#[test]
fn large_ids() {
    alone("large_ids", || {
        let said = survive(EVENT_STREAM, |connection| {
            for number in 0..MUCH >> 24 {
                connection.send(format!("id: {number}"));
                send(connection, b"x", 1 << 20);
                connection.send("\n\n");
            }
            connection.send("id\ndata: after\n\n");
        });
        // Longer than an event may be.
        assert!(said.iter().all(|it| *it == Said::Error(Error::TooLarge)));
    });
}

#[test]
fn a_gzip_bomb() {
    alone("a_gzip_bomb", || {
        let head = EVENT_STREAM
            .replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n");
        let said = survive(&head, |connection| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
            for _ in 0..MUCH / PIECE {
                gzip.write_all(&[b'\n'; PIECE]).expect("memory");
            }
            gzip.write_all(b"data: after\n\n").expect("memory");
            connection.send(gzip.finish().expect("memory"));
        });
        assert_eq!(said, []);
    });
}

/// Pull mode, on a loop: what a read brings beyond the queue's capacity is as
/// little when it was compressed, and it comes whole.
#[test]
fn a_gzip_bomb_of_items() {
    alone("a_gzip_bomb_of_items", || {
        const EVENTS: u64 = 1_000_000;
        let head = EVENT_STREAM
            .replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&b"data\n\n".repeat(EVENTS as usize)).expect("memory");
        gzip.write_all(b"data: after\n\n").expect("memory");
        let body = gzip.finish().expect("memory");
        let event_loop = EventLoop::started();
        let server = Server::start();
        let source = event_loop.drives_in(|| Handle::bare(&server.url("/")));
        assert_eq!(source.set_queue(16), Error::None);
        assert_eq!(source.connect(), Error::None);
        let mut connection = server.accept();
        let before = kibibytes("VmRSS:");
        connection.send(head);
        connection.send(body);
        let waiting = || source.stats().events;
        until("a full queue", || waiting() > 16);
        // As long as anybody wants.
        let mut last = 0;
        until("it reads no more", || {
            thread::sleep(Duration::from_millis(100));
            std::mem::replace(&mut last, waiting()) == waiting()
        });
        assert!(last <= 64 << 10, "{last} events wait");
        let growth = kibibytes("VmRSS:").saturating_sub(before);
        assert!(growth < GROWTH, "{growth} KiB");
        let (sender, said) = channel();
        let taker = thread::spawn(move || take_all(*source, &sender));
        let events = said.iter().take_while(
            |it| !matches!(it, Said::Event(data) if data == "after"),
        );
        assert_eq!(events.count() as u64, 1 + EVENTS, "with the open");
        source.close();
        taker.join().expect("a thread that takes the close");
        source.free();
        event_loop.free();
    });
}

#[test]
fn tiny_chunks() {
    alone("tiny_chunks", || {
        let said = survive(CHUNKED, |connection| {
            connection.send("1\r\n:\r\n");
            send(connection, b"1\r\nx\r\n", 6_000_000);
            connection.chunk("\ndata: after\n\n");
        });
        assert_eq!(said, []);
    });
}

#[test]
fn an_extension_without_end() {
    alone("an_extension_without_end", || {
        let said = survive(CHUNKED, |connection| {
            connection.send("d;");
            send(connection, b"x", MUCH / 16);
            connection.send("\r\ndata: after\n\n\r\n");
        });
        assert_eq!(said, []);
    });
}

/// What an event may have in all its fields together is a little more than the
/// limit, and costs 2.2 times the limit at most.
#[test]
fn large_fields_cost_little_more_than_the_limit() {
    alone("large_fields_cost_little_more_than_the_limit", || {
        type Harm = fn(&Server, &mut Connection);
        let harms: [(&str, Harm); 7] = [
            ("ids in a row", |_, connection| {
                for number in 0..3 {
                    connection.send(format!("id: {number}"));
                    send(connection, b"x", LARGE - 1000);
                    connection.send("\n\n");
                }
            }),
            ("ids in a row, with data", |_, connection| {
                for number in 0..3 {
                    connection.send(format!("data\nid: {number}"));
                    send(connection, b"x", LARGE - 1000);
                    connection.send("\n\n");
                }
            }),
            ("all kinds, reconnected with a large id", |server, connection| {
                large_id(connection);
                connection.half_close();
                *connection = server.accept();
                connection.send(EVENT_STREAM);
                all_kinds(connection);
                large_id(connection);
            }),
            ("all three", |_, connection| {
                for field in ["event: ", "id: ", "data: "] {
                    connection.send(field);
                    send(connection, b"x", LARGE - 1000);
                    connection.send("\n");
                }
                connection.send("\n");
            }),
            ("a third each", |_, connection| {
                for field in ["event: ", "id: ", "data: "] {
                    connection.send(field);
                    send(connection, b"x", LARGE / 3 - 1000);
                    connection.send("\n");
                }
                connection.send("\nid\n\n");
            }),
            ("invalid", |_, connection| {
                connection.send("data: ");
                send(connection, b"\xFF", LARGE - 1000);
                connection.send("\n\ndata: ");
                send(connection, b"\xFF", LARGE / 3 - 1000);
                connection.send("\n\n");
            }),
            ("lines", |_, connection| {
                for _ in 0..2 {
                    connection.send("data: ");
                    send(connection, b"x", LARGE / 2 - 1000);
                    connection.send("\n");
                }
                connection.send("\n");
            }),
        ];
        // So that what the library gives back goes back to the system.
        // SAFETY: takes numbers; no other thread runs yet.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10) };
        for (name, harm) in harms {
            for mode in [Mode::Calls, Mode::Items] {
                let follow = follow(mode, LARGE, EVENT_STREAM, |server, it| {
                    harm(server, it);
                    it.send("id: small\ndata\n\ndata: after\n\n");
                });
                let Growth { peak, left } = follow.1;
                println!("{name}, {mode:?}: {peak} KiB, {left} KiB left");
                let most = LARGE / 1024 * 22 / 10;
                assert!(peak < most, "{name}, {mode:?}: {peak} KiB");
                assert!(left < GROWTH, "{name}, {mode:?}: {left} KiB left");
            }
        }
    });
}

fn large_id(connection: &mut Connection) {
    connection.send("id: ");
    send(connection, b"x", LARGE - 1000);
    connection.send("\n\n");
}

/// Events, and a comment, that are as large as they may be.
fn all_kinds(connection: &mut Connection) {
    for (begin, byte, bytes) in [
        ("data: ", b"x", LARGE - 1000),
        ("data: \ndata: ", b"x", LARGE - 1000),
        ("data: ", b"\xFF", LARGE / 3 - 1000),
        ("data\nevent: ", b"x", LARGE - 1000),
        ("data\n:", b"x", LARGE - 1000),
    ] {
        connection.send(begin);
        send(connection, byte, bytes);
        connection.send("\n\n");
    }
    for _ in 0..2 {
        connection.send("data: ");
        send(connection, b"x", LARGE / 2 - 1000);
        connection.send("\n");
    }
    connection.send("\n");
}

/// An event for which there is no memory is dropped like one that is over the
/// limit; the program and the stream go on.
#[test]
fn an_event_for_which_there_is_no_memory() {
    alone("an_event_for_which_there_is_no_memory", || {
        for field in ["data: ", "event: ", "id: ", "data\ndata: "] {
            let calls = Mode::Calls;
            let (said, _) = follow(calls, 0, EVENT_STREAM, |_, connection| {
                // Far less than the event has; what the allocator keeps in
                // reserve may hold a part of it.
                let size = (kibibytes("VmSize:") << 10) + (40 << 20);
                let size = size.try_into().expect("an amount");
                let before = limit(Limit::AddressSpace, size);
                connection.send(field);
                send(connection, b"x", 200 << 20);
                connection.send("\n\n: still here\n\n");
                connection.send("data: before\n\n");
                limit(Limit::AddressSpace, before);
                connection.send("data: after\n\n");
            });
            let before = Said::Event("before".to_owned());
            assert_eq!(said, [Said::Error(Error::TooLarge), before], "{field}");
        }
    });
}

/// A head that comes byte by byte: there is one time for all of it.
#[test]
fn a_head_that_trickles() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with(eventsource_set_response_timeout, 200)
        .start();
    let mut connection = server.accept();
    let start = Instant::now();
    let trickle = thread::spawn(move || {
        connection.send("HTTP/1.1 200 OK\r\nX-Slow: ");
        while connection.try_send("x").is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    source.retrying(Error::Timeout);
    assert!(start.elapsed() < Duration::from_secs(5));
    trickle.join().expect("the client has gone");
}

/// A reconnection time longer than any clock: the source can be closed, and
/// the program's limit holds.
#[test]
fn a_reconnection_time_without_end() {
    for limit in [None, Some(1)] {
        let server = Server::start();
        let source = Source::new(&server.url("/"));
        if let Some(limit) = limit {
            source.set(eventsource_set_max_reconnection_time, limit);
        }
        let source = source.start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        connection.send("retry: 99999999999999999999\ndata: x\n\n");
        connection.finish();
        source.opened();
        source.message("x");
        let lost = source.ended();
        match limit {
            None => assert!(lost.delay_ms > u64::MAX / 4),
            Some(_) => drop(server.accept()),
        }
        source.close();
        source.skip_to_close();
    }
}

/// Nothing that a server says becomes a line of the next request's head.
#[test]
fn nothing_is_smuggled_into_a_request() {
    for location in [
        "/a%0d%0aX-Evil:%201",
        "/a\u{85}X-Evil: 1",
        "/a\tX-Evil: 1",
        "//user%0d%0aX-Evil:@127.0.0.1:PORT/",
        "?a b#\u{2028}X-Evil: 1",
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let location = location.replace("PORT", &server.port().to_string());
        let connection = server.accept();
        connection.answer(
            "302 Found",
            &format!("Location: {location}\r\nSet-Cookie: a=b\u{85}c: d\r\n"),
        );
        let mut connection = server.accept();
        assert!(connection.request.header("x-evil").is_none(), "{location}");
        assert!(connection.request.target.is_ascii());
        connection.send(EVENT_STREAM);
        connection.send("id: 1\u{1}X-Evil: 1\n\nid: 2\0X-Evil: 1\ndata: x\n\n");
        connection.finish();
        source.opened();
        source.message("x");
        source.ended();
        let connection = server.accept();
        assert!(connection.request.header("x-evil").is_none(), "{location}");
        assert_eq!(connection.request.header("last-event-id"), None);
    }
}

// A source that keeps nothing of what it is told

#[derive(Debug, PartialEq)]
enum Said {
    Open,
    Event(String),
    Error(Error),
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Calls,
    Items,
}

struct Victim {
    source: *mut CSource,
    said: Receiver<Said>,
    taker: Option<JoinHandle<()>>,
}

impl Victim {
    fn new(url: &str, mode: Mode, limit: usize) -> Victim {
        let (sender, said) = channel::<Said>();
        let of_taker = sender.clone();
        let sender = Box::into_raw(Box::new(sender)).cast();
        let pointer = Pointer::new(url);
        let source = pointer.as_ptr();
        // SAFETY: alive; the sender is never released.
        unsafe {
            if mode == Mode::Items {
                eventsource_set_queue(source, 16);
                eventsource_set_comments(source, 1);
            } else {
                eventsource_on_open(source, Some(on_open), sender);
                eventsource_on_event(source, Some(on_event), sender);
                eventsource_on_error(source, Some(on_error), sender);
            }
            eventsource_set_reconnection_time(source, 1);
            eventsource_set_proxy(source, c"".as_ptr());
            eventsource_set_max_event_size(source, limit);
            assert_eq!(eventsource_connect(source), Error::None);
        }
        let taker = (mode == Mode::Items)
            .then(|| thread::spawn(move || take_all(pointer, &of_taker)));
        Victim { source, said, taker }
    }

    fn next(&self) -> Said {
        self.said.recv_timeout(PATIENCE).expect("another callback")
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // SAFETY: alive.
        unsafe { eventsource_close(self.source) };
        if let Some(taker) = self.taker.take() {
            taker.join().expect("a thread that takes the close");
        }
        // SAFETY: freed once.
        unsafe { eventsource_free(self.source) };
    }
}

/// Takes items until the close.
fn take_all(source: Pointer, said: &Sender<Said>) {
    loop {
        let mut item = ptr::null();
        let source = source.as_ptr();
        // SAFETY: alive until this has returned.
        let error = unsafe { eventsource_next(source, -1, &mut item) };
        assert_eq!(error, Error::None);
        // SAFETY: borrowed until the next one is asked for, and so is what is
        // in it.
        let item = unsafe { &*item };
        let next = match item.r#type {
            ItemType::Open => Said::Open,
            // SAFETY: as above.
            ItemType::Event => Said::Event(beginning(unsafe { &*item.event })),
            // SAFETY: as above.
            ItemType::Error => Said::Error(unsafe { (*item.failure).error }),
            ItemType::Comment => continue,
            ItemType::Close => return,
        };
        // Nobody listens any more when the test is over.
        let _ = said.send(next);
    }
}

fn say(sender: *mut c_void, said: Said) {
    // SAFETY: leaked by `Victim::new`.
    let sender = unsafe { &*sender.cast::<Sender<Said>>() };
    // Nobody listens any more when the test is over.
    let _ = sender.send(said);
}

extern "C" fn on_open(
    _: *mut CSource,
    _: *const CResponse,
    sender: *mut c_void,
) {
    say(sender, Said::Open);
}

extern "C" fn on_event(
    _: *mut CSource,
    event: *const CEvent,
    sender: *mut c_void,
) {
    // SAFETY: borrowed until the callback returns.
    say(sender, Said::Event(beginning(unsafe { &*event })));
}

/// The beginning of the data tells one event from another.
fn beginning(event: &CEvent) -> String {
    // SAFETY: a text that lives as long as the event.
    let data = unsafe { std::ffi::CStr::from_ptr(event.data) };
    let data = &data.to_bytes()[..data.count_bytes().min(20)];
    String::from_utf8_lossy(data).into_owned()
}

extern "C" fn on_error(
    _: *mut CSource,
    failure: *const CFailure,
    sender: *mut c_void,
) {
    // SAFETY: borrowed until the callback returns.
    say(sender, Said::Error(unsafe { (*failure).error }));
}
