//! `wait`: until it is all over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use eventsource::ffi::Error;

use support::promptly;
use support::server::{EVENT_STREAM, Server};
use support::source::{Seen, Source};

/// There is nothing to wait for before `connect`.
#[test]
fn does_not_wait_for_what_never_began() {
    let source = Source::new("http://127.0.0.1/");
    assert_eq!(source.wait(0), Error::NotConnected);
    assert_eq!(source.wait(-1), Error::NotConnected);
}

/// The time is in milliseconds, and can be over.
#[test]
fn the_time_can_be_over() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().send(EVENT_STREAM);
    assert_eq!(source.wait(0), Error::Timeout);
    let start = Instant::now();
    assert_eq!(source.wait(20), Error::Timeout);
    assert!(start.elapsed() >= Duration::from_millis(20));
}

/// Any number of threads may wait, with and without a time, and all of them
/// come back when `on_close` has returned.
#[test]
fn comes_back_when_on_close_has_returned() {
    let server = Server::start();
    let over = Arc::new(AtomicBool::new(false));
    let flag = over.clone();
    let gate = Arc::new(Barrier::new(2));
    let exit = gate.clone();
    let source = Source::new(&server.url("/"))
        .doing(move |seen, _| {
            if let Seen::Close(_) = seen {
                exit.wait();
                flag.store(true, Ordering::SeqCst);
            }
        })
        .start();
    let _connection = server.accept();
    let threads: Vec<_> = [-1, i64::MIN, 10_000, i64::MAX]
        .into_iter()
        .map(|time| {
            let (handle, over) = (source.handle(), over.clone());
            std::thread::spawn(move || {
                assert_eq!(handle.wait(time), Error::None, "{time}");
                assert!(over.load(Ordering::SeqCst), "{time}");
            })
        })
        .collect();
    source.close();
    source.closed(Error::None);
    // `on_close` has begun, and has not returned.
    assert_eq!(source.wait(0), Error::Timeout);
    gate.wait();
    for thread in threads {
        promptly("wait", move || thread.join().expect("a thread that waits"));
    }
    // Over is over.
    assert_eq!(source.wait(0), Error::None);
    assert_eq!(source.wait(-1), Error::None);
}

/// A source that fails is over, too.
#[test]
fn a_failed_source_is_over() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().answer("404 Not Found", "");
    assert_eq!(source.wait(10_000), Error::None);
    source.failed(Error::Status);
}

/// Inside a callback of the same source nobody can wait for its end.
#[test]
fn does_not_wait_inside_a_callback() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .doing(|_, source| {
            assert_eq!(source.wait(0), Error::Callback);
            assert_eq!(source.wait(-1), Error::Callback);
        })
        .start();
    source.listen("message", "listener");
    let mut connection = server.accept();
    connection.send(EVENT_STREAM.to_owned() + ": x\ndata: x\n\n");
    connection.finish();
    source.opened();
    source.comment();
    source.message("x");
    source.next();
    source.ended();
    source.close();
    source.skip_to_close();
}

/// Inside a callback of another source one can.
#[test]
fn waits_inside_a_callback_of_another_source() {
    let server = Server::start();
    let other = Source::connected(&server.url("/"));
    let _connection = server.accept();
    let handle = other.handle();
    let source = Source::new(&server.url("/"))
        .doing(move |seen, source| {
            if let Seen::Open(_) = seen {
                assert_eq!(handle.wait(0), Error::Timeout);
                handle.close();
                assert_eq!(handle.wait(10_000), Error::None);
                source.close();
            }
        })
        .start();
    server.accept().send(EVENT_STREAM);
    assert!(matches!(source.next(), Seen::Open(_)));
    source.closed(Error::None);
    other.closed(Error::None);
}
