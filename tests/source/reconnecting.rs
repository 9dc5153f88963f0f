//! `reconnect`: the program knows better than the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventsource::ffi::{Error, ReadyState};

use support::names;
use support::phases::{Phase, stage};
use support::server::{EVENT_STREAM, Server};
use support::source::{Seen, Source};
use support::{promptly, until};

/// `reconnect` needs a source that was connected, and is not closed.
#[test]
fn reconnects_only_between_connect_and_close() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    assert_eq!(source.reconnect(), Error::NotConnected);
    let source = source.start();
    source.close();
    assert_eq!(source.reconnect(), Error::Closed);
}

/// An open stream is dropped and asked for again, from where it stood: without
/// `on_error`, and without waiting.
#[test]
fn an_open_stream_is_resumed_at_once() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(3_600_000).start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("id: 7\ndata: x\n\ndata: cut");
    source.opened();
    source.message("x");
    for _ in 0..3 {
        assert_eq!(source.reconnect(), Error::None);
        assert_eq!(source.ready_state(), ReadyState::Connecting);
        let mut next = server.accept();
        connection.sees_the_client_close();
        assert_eq!(next.request.header("last-event-id"), Some("7"));
        next.send(EVENT_STREAM);
        next.send("data: y\n\n");
        source.opened();
        assert_eq!(source.message("y").id, "7");
        connection = next;
    }
}

/// In every phase the old attempt is given up, and a new request comes.
#[test]
fn reconnects_in_every_phase() {
    for phase in Phase::ALL {
        let staged = stage(phase);
        let source = staged.source.handle();
        let error = promptly("reconnect", move || source.reconnect());
        assert_eq!(error, Error::None, "{phase:?}");
        if phase.hangs_again() {
            // What it tries anew hangs as well: it can still be closed.
            source.close();
            assert_eq!(staged.source.skip_to_close(), Error::None);
            continue;
        }
        let next = staged.server.accept_silently();
        assert_eq!(source.ready_state(), ReadyState::Connecting);
        let errors = staged
            .source
            .history()
            .iter()
            .filter(|seen| matches!(seen, Seen::Error(_)))
            .count();
        assert_eq!(errors, usize::from(phase == Phase::Wait), "{phase:?}");
        staged.sees_the_client_close();
        drop(next);
    }
}

/// A look-up that hangs is given up for a new one.
#[test]
fn a_look_up_that_hangs_is_given_up() {
    let server = Server::start();
    let name = "hangs-once.test";
    names::hang(name);
    let source = Source::connected(&server.url_at(name, "/"));
    names::wait_until_asked(name, 1);
    assert_eq!(source.reconnect(), Error::None);
    names::wait_until_asked(name, 2);
    names::resolve(name, &["127.0.0.1".parse().unwrap()]);
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    assert!(!server.is_asked());
}

/// The wait before the next attempt is cut short.
#[test]
fn the_wait_is_cut_short() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(3_600_000).start();
    for _ in 0..3 {
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        connection.finish();
        source.opened();
        source.ended();
        assert_eq!(source.reconnect(), Error::None);
    }
    server.accept();
}

/// R13. A wish to reconnect is no failed attempt: behind a redirect the last
/// URL of the chain is asked, from an open stream and from a wait alike.
#[test]
fn reconnects_at_the_last_url_of_the_chain() {
    let (first, second) = (Server::start(), Server::start());
    let source = Source::new(&first.url("/from"))
        .with_reconnection_time(3_600_000)
        .start();
    first.accept().redirect("302 Found", &second.url("/to"));
    let mut connection = second.accept();
    for lost in [false, true, false, true] {
        connection.send(EVENT_STREAM);
        source.opened();
        if lost {
            connection.finish();
            source.ended();
        }
        assert_eq!(source.reconnect(), Error::None);
        connection = second.accept();
        assert_eq!(connection.request.target, "/to", "lost: {lost}");
    }
    assert!(!first.is_asked());
}

/// Inside a callback: events that were read already belong to the old stream,
/// and are dropped with it.
#[test]
fn reconnects_inside_on_event() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .doing(|seen, source| {
            if matches!(seen, Seen::Event(event) if event.data == "1") {
                assert_eq!(source.reconnect(), Error::None);
                assert_eq!(source.ready_state(), ReadyState::Connecting);
            }
        })
        .start();
    let mut connection = server.accept();
    let events = "id: a\ndata: 1\n\nid: b\ndata: 2\n\nid: c\ndata: 3\n\n";
    connection.send(EVENT_STREAM.to_owned() + events);
    source.opened();
    assert!(matches!(source.next(), Seen::Event(_)));
    let mut next = server.accept();
    assert_eq!(next.request.header("last-event-id"), Some("a"));
    next.send(EVENT_STREAM.to_owned() + "data: 4\n\n");
    source.opened();
    assert_eq!(source.message("4").id, "a");
}

/// Inside `on_open`, `on_comment`, and `on_error` of a lost connection.
#[test]
fn reconnects_inside_other_callbacks() {
    type When = fn(&Seen) -> bool;
    let cases: [(When, &str); 3] = [
        (|seen| matches!(seen, Seen::Open(_)), ""),
        (|seen| matches!(seen, Seen::Comment(_)), ": x\n"),
        (|seen| matches!(seen, Seen::Error(_)), ""),
    ];
    for (when, script) in cases {
        let server = Server::start();
        let done = AtomicBool::new(false);
        let source = Source::new(&server.url("/"))
            .with_reconnection_time(3_600_000)
            .doing(move |seen, source| {
                if when(seen) && !done.swap(true, Ordering::SeqCst) {
                    assert_eq!(source.reconnect(), Error::None);
                    let state = source.ready_state();
                    assert_eq!(state, ReadyState::Connecting);
                }
            })
            .start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM.to_owned() + script);
        connection.half_close();
        while !when(&source.next()) {}
        let mut next = server.accept();
        next.send(EVENT_STREAM);
        source.opened();
    }
}

/// A source that has failed does not come back.
#[test]
fn a_failed_source_does_not_reconnect() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .doing(|seen, source| {
            if matches!(seen, Seen::Error(_) | Seen::Close(_)) {
                assert_eq!(source.reconnect(), Error::Closed);
            }
        })
        .start();
    server.accept().answer("404 Not Found", "");
    source.failed(Error::Status);
    assert_eq!(source.reconnect(), Error::Closed);
    assert!(!server.is_asked());
}

/// A refusal and a wish to reconnect may cross: one of them wins, and the
/// source is over only with the refusal.
#[test]
fn a_refusal_and_a_wish_to_reconnect_may_cross() {
    for round in 0..100 {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let connection = server.accept();
        let handle = source.handle();
        let wishing = std::thread::spawn(move || {
            for _ in 0..round * 100 {
                std::hint::spin_loop();
            }
            handle.reconnect()
        });
        // The client may have gone to make its next request.
        let mut connection = connection;
        let _ = connection.try_send("HTTP/1.1 404 -\r\n\r\n");
        let wish = wishing.join().expect("reconnect");
        if wish == Error::None {
            server.accept().answer("404 Not Found", "");
        }
        source.failed(Error::Status);
    }
}

/// Many calls at once end in one open stream.
#[test]
fn many_calls_end_in_one_stream() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let over = Arc::new(AtomicBool::new(false));
    let seen_over = over.clone();
    // Whoever comes is served.
    let serving = std::thread::spawn(move || {
        let mut connections = Vec::new();
        while !seen_over.load(Ordering::SeqCst) {
            if !server.is_asked() {
                std::thread::yield_now();
            } else if let Ok(mut connection) = server.try_accept()
                && connection.try_send(EVENT_STREAM).is_ok()
            {
                connections.push(connection);
            }
        }
        connections
    });
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = source.handle();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    assert_eq!(handle.reconnect(), Error::None);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("reconnect");
    }
    until("OPEN", || source.ready_state() == ReadyState::Open);
    over.store(true, Ordering::SeqCst);
    let mut connections = serving.join().expect("served");
    let mut last = connections.pop().expect("a connection");
    for mut connection in connections {
        connection.sees_the_client_close();
    }
    last.send("data: end\n\n");
    loop {
        match source.next() {
            Seen::Open(_) => {}
            Seen::Event(event) if event.data == "end" => return,
            other => panic!("on_open or the event expected: {other:?}"),
        }
    }
}
