//! How long things may take.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use eventsource::ffi::{self, Error};

use support::certificates;
use support::names;
use support::server::{CHUNKED, EVENT_STREAM, Server};
use support::source::Source;

/// Enough for what is well to go well, and little to wait for.
const SHORT: u64 = 200;

/// Connect: the time is for the look-up, for TCP, and for TLS.
#[test]
fn connecting_takes_no_longer_than_allowed() {
    let name = "slow-look-up.test";
    names::hang(name);
    let source = Source::new(&format!("http://{name}/"))
        .with(ffi::eventsource_set_connect_timeout, SHORT)
        .start();
    source.retrying(Error::Timeout);

    let server = Server::start();
    let _crowd = server.become_a_black_hole();
    let source = Source::new(&server.url("/"))
        .with(ffi::eventsource_set_connect_timeout, SHORT)
        .start();
    source.retrying(Error::Timeout);

    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::new(&server.url("/"))
        .with(ffi::eventsource_set_connect_timeout, SHORT)
        .start();
    let _silent = server.accept_silently();
    source.retrying(Error::Timeout);
}

/// Response: the time is for the whole head, however slowly it comes.
#[test]
fn a_response_takes_no_longer_than_allowed() {
    for head in ["", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"] {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with(ffi::eventsource_set_response_timeout, SHORT)
            .start();
        let mut connection = server.accept();
        connection.send(head);
        source.retrying(Error::Timeout);
    }
}

/// Response: a body that the server takes slowly is no silence.
#[test]
fn the_time_for_the_response_begins_when_the_body_has_gone() {
    const TIME: Duration = Duration::from_secs(2);
    const PIECE: usize = 4 << 20;
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with(ffi::eventsource_set_response_timeout, TIME.as_millis() as u64);
    // More than the buffers on the way hold.
    assert_eq!(source.set_body(&vec![b'x'; 16 * PIECE]), Error::None);
    let source = source.start();
    let start = Instant::now();
    let mut stream = server.accept_silently();
    let mut piece = vec![0; PIECE];
    for _ in 0..16 {
        std::thread::sleep(TIME / 10);
        stream.read_exact(&mut piece).expect("the body");
    }
    assert!(start.elapsed() > TIME, "all in all it takes longer");
    stream.write_all(EVENT_STREAM.as_bytes()).expect("a listener");
    source.opened();
}

/// Idle: a stream that is silent for longer is lost, and asked for again.
#[test]
fn a_silent_stream_is_lost() {
    for head in [EVENT_STREAM, CHUNKED] {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with(ffi::eventsource_set_idle_timeout, SHORT)
            .start();
        let mut connection = server.accept();
        connection.send(head);
        source.opened();
        source.retrying(Error::Timeout);
        connection.sees_the_client_close();
        server.accept();
    }
}

/// Idle: no sooner and little later, also where the time is long enough for the
/// system to measure a part of it.
#[test]
fn the_time_of_a_silence_is_exact() {
    const TIME: Duration = Duration::from_millis(1600);
    for secure in [false, true] {
        let server = match secure {
            false => Server::start(),
            true => Server::secure(certificates::trusted("127.0.0.1")),
        };
        let source = Source::new(&server.url("/"))
            .with(ffi::eventsource_set_idle_timeout, TIME.as_millis() as u64)
            .start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM.to_owned() + "data: first\n\n");
        source.opened();
        source.message("first");
        // Whichever part of the time is over.
        for part in [TIME / 10, TIME / 100 * 85] {
            std::thread::sleep(part);
            connection.send("data: more\n\n");
            source.message("more");
        }
        let last = source.last_call().expect("an event");
        source.retrying(Error::Timeout);
        let silence = source.last_call().expect("a failure") - last;
        assert!(silence >= TIME - Duration::from_millis(1), "{silence:?}");
        assert!(silence < TIME * 2, "{silence:?}");
    }
}

/// Idle: every byte counts, of comments and of half a line, with TLS too; the
/// time that callbacks take does not.
#[test]
fn any_byte_breaks_the_silence() {
    for secure in [false, true] {
        let server = match secure {
            false => Server::start(),
            true => Server::secure(certificates::trusted("127.0.0.1")),
        };
        let source = Source::new(&server.url("/"))
            .with(ffi::eventsource_set_idle_timeout, 1000)
            .doing(|seen, _| {
                if matches!(seen, support::source::Seen::Comment(_)) {
                    // Time passes in a callback.
                    let time = Duration::from_millis(1200);
                    std::thread::sleep(time);
                }
            })
            .start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        // Six times a third of the time.
        for byte in "data: ".chars() {
            std::thread::sleep(Duration::from_millis(333));
            connection.send(byte.to_string());
        }
        connection.send("x\n\n: slow\n");
        source.message("x");
        source.comment();
        connection.send("data: y\n\n");
        source.message("y");
    }
}

/// 0 is for ever, and an hour is not over at once.
#[test]
fn times_can_be_off_or_long() {
    for ms in [0, 3_600_000, u64::MAX] {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with(ffi::eventsource_set_connect_timeout, ms)
            .with(ffi::eventsource_set_response_timeout, ms)
            .with(ffi::eventsource_set_idle_timeout, ms)
            .start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        connection.send("data: x\n\n");
        source.message("x");
    }
}
