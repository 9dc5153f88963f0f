//! Whatever breaks, wherever it breaks: what the program is told, and that
//! nothing is lost by it.

#![expect(unsafe_code, reason = "the C API is tested")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use eventsource::ffi::{
    Error, eventsource_set_connect_timeout, eventsource_set_idle_timeout,
    eventsource_set_response_timeout,
};
use support::event_loop::EventLoop;
use support::limits::{Amount, Limit, limit};
use support::server::{CHUNKED, Connection, EVENT_STREAM, NOBODY, Server};
use support::source::{Seen, Source};
use support::{alone, certificates, names};

/// How often the connection is broken.
const BREAKS: u32 = 10_000;

/// A server numbers its events, and breaks ten thousand connections anywhere:
/// by `Last-Event-ID` each event comes, once, in order.
#[test]
fn nothing_is_lost_and_nothing_doubled() {
    let server = Server::start();
    let sent = Arc::new(AtomicU32::new(0));
    let url = server.url("/");
    let sender = sent.clone();
    let thread = thread::spawn(move || {
        for _ in 0..BREAKS {
            break_off(server.accept(), &sender);
        }
        server.accept().answer("204 No Content", "");
    });
    // At once: the server is to be tired, not the test.
    let source = Source::new(&url)
        .deciding(|verdict| if verdict.http_status == 204 { -1 } else { 0 });
    let source = source.start();
    assert_eq!(source.skip_to_close(), Error::Status);
    thread.join().expect("a server that has broken all it has");

    let (mut last, mut losses) = (0, 0);
    for seen in source.history() {
        match seen {
            Seen::Event(event) => {
                last += 1;
                assert_eq!(event.id, last.to_string());
                assert_eq!(event.data, data(last));
            }
            Seen::Error(_) => losses += 1,
            _ => {}
        }
    }
    assert_eq!(losses, BREAKS + 1);
    // Of the very last, the end may not have gone out.
    assert!(sent.load(SeqCst) - last <= 1, "{last}");
    assert!(last > BREAKS / 2, "{last} events");
}

fn data(number: u32) -> String {
    "x".repeat(number as usize * 7 % 97) + "\n" + &number.to_string()
}

/// Sends what comes after the last event ID, and breaks off at any byte.
fn break_off(mut connection: Connection, sent: &AtomicU32) {
    let id = connection.request.header("last-event-id");
    let mut number = id.map_or(0, |id| id.parse().expect("one of ours"));
    let chunked = fastrand::bool();
    let head = if chunked { CHUNKED } else { EVENT_STREAM };
    let mut bytes = head.as_bytes().to_vec();
    // Where each event is complete, and its number.
    let mut ends = Vec::new();
    for _ in 0..fastrand::u32(1..6) {
        number += 1;
        let data = data(number).replace('\n', "\ndata:");
        let event = format!("data:{data}\nid: {number}\n\n");
        let chunk = match chunked {
            true => format!("{:x}\r\n{event}\r\n", event.len()),
            false => event,
        };
        bytes.extend_from_slice(chunk.as_bytes());
        let end = bytes.len() - if chunked { 2 } else { 0 };
        ends.push((end, number));
    }
    let cut = fastrand::usize(..=bytes.len());
    connection.send(&bytes[..cut]);
    let whole = ends.iter().rev().find(|(end, _)| *end <= cut);
    if let Some((_, number)) = whole {
        sent.fetch_max(*number, SeqCst);
    }
    match fastrand::u8(..4) {
        // What was sent may be lost as well.
        0 => connection.reset(),
        1 => {
            connection.half_close();
            connection.sees_the_client_close();
        }
        _ => connection.finish(),
    }
}

// Every phase, every cause

/// What a source is doing when it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    LookUp,
    Connect,
    Tls,
    Proxy,
    Send,
    Head,
    Body,
    Wait,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Refusal,
    Reset,
    HalfClose,
    Stall,
    Garbage,
    SlowBytes,
    WrongLength,
    CutChunk,
    CutGzip,
    NoDescriptors,
    NoThreads,
    ClockJump,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// `on_error`, CONNECTING, and another attempt.
    Comes(Error),
    /// Nothing is told, and the next event comes.
    GoesOn,
    /// It makes no sense, and why.
    Senseless(&'static str),
    /// A test of that name shows what comes of it.
    Shown(&'static str),
}

const PHASES: [Phase; 8] = [
    Phase::LookUp,
    Phase::Connect,
    Phase::Tls,
    Phase::Proxy,
    Phase::Send,
    Phase::Head,
    Phase::Body,
    Phase::Wait,
];

const CAUSES: [Cause; 12] = [
    Cause::Refusal,
    Cause::Reset,
    Cause::HalfClose,
    Cause::Stall,
    Cause::Garbage,
    Cause::SlowBytes,
    Cause::WrongLength,
    Cause::CutChunk,
    Cause::CutGzip,
    Cause::NoDescriptors,
    Cause::NoThreads,
    Cause::ClockJump,
];

/// The table.
fn outcome(phase: Phase, cause: Cause) -> Outcome {
    use Cause::*;
    use Outcome::*;
    use Phase::*;
    match (phase, cause) {
        (Wait, ClockJump) => Shown("no_clock_makes_it_long_or_negative"),
        (_, ClockJump) => Senseless("nothing looks at a clock that jumps"),

        (LookUp, Refusal) => Comes(Error::Resolve),
        (LookUp, Stall) => Comes(Error::Timeout),
        (LookUp, NoThreads) => Shown("without_threads_it_tries_again"),
        (LookUp, NoDescriptors) => {
            Senseless("those of the look-up are its own")
        }
        (LookUp, _) => Senseless("the look-up is the system's"),

        (Connect, Refusal) => Comes(Error::Connect),
        (Connect, Stall) => Comes(Error::Timeout),
        (Connect, NoDescriptors) => Shown("without_descriptors_it_tries_again"),
        (Wait, NoDescriptors) => Shown("without_descriptors_it_tries_again"),
        (Connect | Wait, _) => Senseless("there is no connection"),

        (_, NoDescriptors) => Senseless("the connection has its own"),
        (_, NoThreads) => Senseless("the source has its own"),

        (Proxy, Refusal) => Comes(Error::Proxy),
        (_, Refusal) => Senseless("it has been accepted"),

        (Tls, SlowBytes) => Shown("records_have_no_meaning"),
        (Send, SlowBytes) => Senseless("nothing comes yet"),
        (Tls, Reset | HalfClose) => Comes(Error::Tls),
        (Tls | Proxy | Send | Head | Body, Stall) => Comes(Error::Timeout),
        (Tls, Garbage) => Comes(Error::Tls),

        (Proxy, Reset | HalfClose | Garbage) => Comes(Error::Proxy),
        (Proxy, SlowBytes) => Comes(Error::Timeout),

        // What comes is looked at when all has gone.
        (Send, HalfClose | Garbage) => Comes(Error::Timeout),
        (Send | Head, Reset | HalfClose) => Comes(Error::Lost),
        (Head, Garbage) => Comes(Error::Http),
        (Head, SlowBytes) => GoesOn,

        (Body, Reset) => Comes(Error::Lost),
        (Body, HalfClose) => Comes(Error::Ended),
        (Body, WrongLength | CutChunk | CutGzip) => Comes(Error::Lost),
        (Body, Garbage | SlowBytes) => GoesOn,
        (_, WrongLength | CutChunk | CutGzip) => Senseless("no body yet"),
    }
}

#[test]
fn every_fault_in_every_phase() {
    for phase in PHASES {
        for cause in CAUSES {
            match outcome(phase, cause) {
                Outcome::Senseless(why) => assert!(!why.is_empty()),
                Outcome::Shown(test) => assert!(!test.is_empty()),
                expected => {
                    let came = happen(phase, cause, |source| source);
                    assert_eq!(came, expected, "{phase:?} {cause:?}");
                }
            }
        }
    }
}

/// Items tell what calls tell: one fault of each phase that has one.
#[test]
fn pull_mode_tells_the_same() {
    for phase in PHASES {
        let faults = CAUSES.map(|cause| (cause, outcome(phase, cause)));
        let comes = |fault: &&_| matches!(fault, (_, Outcome::Comes(_)));
        let Some((cause, expected)) = faults.iter().find(comes) else {
            assert_eq!(phase, Phase::Wait);
            continue;
        };
        let came = happen(phase, *cause, Source::pulling);
        assert_eq!(came, *expected, "{phase:?} {cause:?}");
    }
}

/// Lets it happen, and tells what comes of it.
fn happen(
    phase: Phase,
    cause: Cause,
    hearing: fn(Source) -> Source,
) -> Outcome {
    let secure = phase == Phase::Tls;
    let server = match secure {
        true => Server::secure(certificates::trusted("127.0.0.1")),
        false => Server::start(),
    };
    let mut source = Source::new(&server.url("/"));
    let mut crowd = Vec::new();
    match phase {
        Phase::LookUp => {
            let name = format!("{cause:?}.test").to_lowercase();
            match cause {
                Cause::Refusal => names::refuse(&name, libc::EAI_NONAME),
                _ => names::hang(&name),
            }
            source = Source::new(&server.url_at(&name, "/"));
        }
        Phase::Connect if cause == Cause::Stall => {
            crowd = server.become_a_black_hole();
        }
        Phase::Connect => source = Source::new(NOBODY),
        Phase::Proxy => {
            let proxy = format!("http://{}", server.address());
            source = Source::new("https://server.test/").with_proxy(&proxy);
        }
        Phase::Send => {
            server.receive_little();
            source = source.with_header("X-Large", &"x".repeat(16 << 20));
        }
        _ => {}
    }
    if outcome(phase, cause) == Outcome::Comes(Error::Timeout) {
        source = source
            .with(eventsource_set_connect_timeout, 500)
            .with(eventsource_set_response_timeout, 500)
            .with(eventsource_set_idle_timeout, 500);
    }
    let source = hearing(source).start();
    let kept = match phase {
        Phase::LookUp | Phase::Connect | Phase::Wait => None,
        Phase::Tls | Phase::Send => {
            let socket = server.accept_silently();
            // It has begun to speak, or has given up already.
            socket.peek(&mut [0]).expect("a byte, or the end");
            strike(Connection::unasked(socket), phase, cause)
        }
        Phase::Proxy | Phase::Head => strike(server.accept(), phase, cause),
        Phase::Body => {
            let mut connection = server.accept();
            connection.send(match cause {
                Cause::CutChunk => CHUNKED.to_owned(),
                Cause::WrongLength => EVENT_STREAM
                    .replace("\r\n\r\n", "\r\nContent-Length: 99\r\n\r\n"),
                Cause::CutGzip => EVENT_STREAM
                    .replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n"),
                _ => EVENT_STREAM.to_owned(),
            });
            source.opened();
            strike(connection, phase, cause)
        }
    };
    let came = loop {
        match source.next() {
            Seen::Open(_) | Seen::Comment(_) => {}
            Seen::Error(failure) => {
                assert!(failure.will_retry, "{failure:?}");
                assert_eq!(failure.attempt, 1);
                assert!((1..=2).contains(&failure.delay_ms), "{failure:?}");
                assert!(!failure.message.is_empty());
                break Outcome::Comes(failure.error);
            }
            Seen::Event(_) => break Outcome::GoesOn,
            other => panic!("{other:?}"),
        }
    };
    drop((kept, crowd));
    source.close();
    assert_eq!(source.skip_to_close(), Error::None);
    came
}

/// Lets it happen to a connection, which is kept if the source is to see no
/// more of it.
fn strike(
    mut connection: Connection,
    phase: Phase,
    cause: Cause,
) -> Option<Connection> {
    const EVENT: &str = "\n\ndata: x\n\n";
    // The source may have gone by now.
    match cause {
        Cause::Reset => {
            connection.reset();
            return None;
        }
        Cause::HalfClose => connection.half_close(),
        Cause::Stall => {}
        Cause::Refusal => {
            _ = connection.try_send("HTTP/1.1 403 Forbidden\r\n\r\n");
        }
        Cause::Garbage => {
            _ = connection.try_send(b"\0\xff\xfe no protocol\r\n\r\n");
            _ = connection.try_send(EVENT);
        }
        Cause::SlowBytes => {
            let slow = match phase {
                // It has made its tunnel, and nobody is at the other end.
                Phase::Proxy => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
                _ => EVENT_STREAM.to_owned() + EVENT,
            };
            for byte in slow.as_bytes() {
                _ = connection.try_send([*byte]);
            }
        }
        Cause::WrongLength | Cause::CutGzip | Cause::CutChunk => {
            _ = connection.try_send(match cause {
                Cause::WrongLength => &b": too little\n"[..],
                Cause::CutChunk => b"40\r\n: cut",
                _ => b"\x1f\x8b\x08\0\0\0\0\0",
            });
            connection.half_close();
        }
        _ => unreachable!("no connection's fault"),
    }
    Some(connection)
}

#[test]
fn without_descriptors_it_tries_again() {
    alone("without_descriptors_it_tries_again", || {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        let before = limit(Limit::Descriptors, 3);
        connection.finish();
        source.ended();
        source.retrying(Error::System);
        limit(Limit::Descriptors, before);
        server.accept().send(EVENT_STREAM);
        while !matches!(source.next(), Seen::Open(_)) {}
    });
}

/// The limit of threads is none for root.
fn become_somebody() {
    // SAFETY: takes nothing.
    if unsafe { libc::geteuid() } == 0 {
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::setresuid(65534, 65534, 65534) }, 0);
    }
}

#[test]
fn without_threads_it_tries_again() {
    alone("without_threads_it_tries_again", || {
        let server = Server::start();
        names::resolve("threads.test", &[server.address().ip()]);
        let source = Source::new(&server.url_at("threads.test", "/"));
        certificates::install();
        become_somebody();
        let before = limit(Limit::Threads, 0);
        assert_eq!(source.connect(), Error::System);
        limit(Limit::Threads, before);
        let source = source.start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        limit(Limit::Threads, 0);
        connection.finish();
        source.ended();
        source.retrying(Error::System);
        limit(Limit::Threads, before);
        server.accept().send(EVENT_STREAM);
        while !matches!(source.next(), Seen::Open(_)) {}
    });
}

/// A loop connects on threads of its own: without any, an attempt fails.
#[test]
fn without_threads_a_loop_tries_again() {
    alone("without_threads_a_loop_tries_again", || {
        let server = Server::start();
        let event_loop = EventLoop::started();
        let source = event_loop.drives_in(|| Source::new(&server.url("/")));
        certificates::install();
        become_somebody();
        let before = limit(Limit::Threads, 0);
        let source = source.start();
        let failure = source.retrying(Error::System);
        assert!(failure.message.contains("no thread"), "{failure:?}");
        limit(Limit::Threads, before);
        server.accept().send(EVENT_STREAM);
        while !matches!(source.next(), Seen::Open(_)) {}
    });
}

/// What the program sets is copied; a copy for which there is no memory is
/// refused, and nothing has changed.
#[test]
fn without_memory_settings_are_refused() {
    alone("without_memory_settings_are_refused", || {
        let server = Server::start();
        let source = Source::new(&server.url("/"));
        let large = vec![b'x'; 200 << 20];
        assert_eq!(source.set_body(b"small"), Error::None);
        let before = limit(Limit::AddressSpace, virtual_size() + (40 << 20));
        assert_eq!(source.set_body(&large), Error::System);
        // The test makes a copy of its own.
        limit(Limit::AddressSpace, virtual_size() + (240 << 20));
        let header = source.set_header("X-Large", Some(&large));
        limit(Limit::AddressSpace, before);
        assert_eq!(header, Error::System);
        assert_eq!(source.connect(), Error::System);
        assert_eq!(source.set_body(b"small"), Error::None);
        let source = source.without_header("X-Large").start();
        let connection = server.accept();
        assert_eq!(connection.request.body, b"small");
        assert_eq!(connection.request.header("x-large"), None);
        drop(source);
    });
}

/// How much of the address space this process has, in bytes.
fn virtual_size() -> Amount {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages = statm.split(' ').next().expect("a number");
    pages.parse::<Amount>().expect("a number") * 4096
}
