//! Whether and when a source comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eventsource::ffi::{self, Error, ReadyState, Retry};

use support::faults::{Fault, Faults};
use support::server::{CHUNKED, Connection, EVENT_STREAM, Server};
use support::source::{Seen, Source};

fn refuse(mut connection: Connection, status: u16, headers: &str) {
    connection.send(format!(
        "HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\
         Connection: close\r\n{headers}\r\n"
    ));
    connection.finish();
}

/// PERSISTENT: what may pass is tried again, what will not is final.
#[test]
fn persistent_comes_back_after_what_may_pass() {
    for (status, passes) in [
        (408, true),
        (425, true),
        (429, true),
        (500, true),
        (502, true),
        (503, true),
        (599, true),
        (204, false),
        (400, false),
        (401, false),
        (404, false),
        (409, false),
        (600, false),
    ] {
        let server = Server::start();
        let source =
            Source::new(&server.url("/")).with_retry(Retry::Persistent).start();
        refuse(server.accept(), status, "");
        if passes {
            let failure = source.retrying(Error::Status);
            assert_eq!(failure.http_status, i32::from(status));
            server.accept().send(EVENT_STREAM);
            source.opened();
        } else {
            source.failed(Error::Status);
            assert!(!server.is_asked(), "{status}");
        }
    }
}

/// PERSISTENT: another content type is no trouble that passes.
#[test]
fn persistent_does_not_come_back_for_another_content_type() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_retry(Retry::Persistent).start();
    server
        .accept()
        .answer("200 OK", "Content-Type: text/html\r\nContent-Length: 0\r\n");
    source.failed(Error::ContentType);
}

/// `Retry-After`, in seconds and as a date, makes the wait longer, up to an
/// hour, or to the program's limit; a shorter one, and nonsense, do not
/// count.
#[test]
fn retry_after_makes_the_wait_longer() {
    let dates = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                 Retry-After: Sun, 06 Nov 1994 08:51:37 GMT";
    for (header, limit, wait) in [
        ("Retry-After: 120", None, 120_000),
        ("retry-after: 120 ", Some(7000), 7000),
        (dates, None, 120_000),
        ("Retry-After: 99999999999999999999", None, 3_600_000),
        ("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", None, 3_600_000),
    ] {
        let server = Server::start();
        let source =
            Source::new(&server.url("/")).with_retry(Retry::Persistent);
        let source = match limit {
            None => source,
            Some(limit) => {
                source.with(ffi::eventsource_set_max_reconnection_time, limit)
            }
        };
        let source = source.start();
        refuse(server.accept(), 503, &format!("{header}\r\n"));
        let failure = source.retrying(Error::Status);
        assert_eq!(failure.delay_ms, wait, "{header}");
    }
    for header in [
        "Retry-After: 0",
        "Retry-After: -5",
        "Retry-After: soon",
        "Retry-After:",
        "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT",
    ] {
        let server = Server::start();
        let source =
            Source::new(&server.url("/")).with_retry(Retry::Persistent).start();
        refuse(server.accept(), 503, &format!("{header}\r\n"));
        let delay = source.retrying(Error::Status).delay_ms;
        assert!((1..=2).contains(&delay), "{header}: {delay}");
    }
}

/// NEVER: a stream that ends in good order is no failure. It is not asked for
/// again, no `on_error` comes, and `on_close` says ENDED.
#[test]
fn never_ends_with_its_stream() {
    for head in [
        EVENT_STREAM,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Content-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Transfer-Encoding: chunked\r\n\r\n9\r\n",
    ] {
        let server = Server::start();
        let source =
            Source::new(&server.url("/")).with_retry(Retry::Never).start();
        let mut connection = server.accept();
        connection.send(head.to_owned() + "data: x\n\n");
        if head.ends_with("9\r\n") {
            connection.send("\r\n0\r\n\r\n");
        }
        connection.finish();
        source.opened();
        source.message("x");
        source.closed(Error::Ended);
        assert_eq!(source.ready_state(), ReadyState::Closed);
        assert!(!server.is_asked());
    }
}

/// NEVER: a stream that breaks off is lost, and not asked for again.
#[test]
fn never_does_not_come_back_for_a_broken_stream() {
    type Break = fn(Connection);
    let finish: Break = Connection::finish;
    for (head, end) in [
        (CHUNKED, finish),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Content-Length: 100\r\n\r\n",
            finish,
        ),
        (EVENT_STREAM, Connection::reset),
    ] {
        let server = Server::start();
        let source =
            Source::new(&server.url("/")).with_retry(Retry::Never).start();
        let mut connection = server.accept();
        connection.send(head);
        source.opened();
        end(connection);
        source.failed(Error::Lost);
        assert!(!server.is_asked());
    }
}

/// NEVER: half an event at the end of a stream that ends in good order is told
/// as a loss.
#[test]
fn never_tells_of_an_event_that_was_dropped_at_the_end() {
    for (tail, reason) in [
        ("data: {\"half\"", Error::Lost),
        ("data: x\n", Error::Lost),
        ("{\"error\":\"no\"}", Error::Lost),
        (": done", Error::Ended),
    ] {
        let server = Server::start();
        let source =
            Source::new(&server.url("/")).with_retry(Retry::Never).start();
        let mut connection = server.accept();
        connection.send(CHUNKED);
        connection.chunk("data: x\n\n");
        source.opened();
        source.message("x");
        connection.chunk(tail);
        connection.send("0\r\n\r\n");
        match reason {
            Error::Ended => assert_eq!(source.skip_to_close(), reason),
            _ => assert_eq!(source.failed(reason).http_status, 200),
        }
    }
}

/// NEVER: one attempt, whatever becomes of it.
#[test]
fn never_tries_once() {
    let server = Server::start();
    let source = Source::new(&server.url("/")).with_retry(Retry::Never).start();
    server.accept().reset();
    source.failed(Error::Lost);
    let gone = Server::start();
    let url = gone.url("/");
    drop(gone);
    let source = Source::new(&url).with_retry(Retry::Never).start();
    source.failed(Error::Connect);
}

/// What is paid for is not asked for twice by accident: without a word of the
/// program a POST is NEVER, lost before or after its response.
#[test]
fn a_post_is_not_repeated_by_accident() {
    for opened in [false, true] {
        let server = Server::start();
        let source = Source::new(&server.url("/")).with_body("x").start();
        let mut connection = server.accept();
        if opened {
            connection.send(EVENT_STREAM);
            source.opened();
        }
        connection.reset();
        source.failed(Error::Lost);
        assert!(!server.is_asked());
    }
    // Nor one that `on_request` has made.
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .asking(|request| assert_eq!(request.set_method("POST"), Error::None))
        .start();
    server.accept().reset();
    source.failed(Error::Lost);
}

/// A POST comes back with its body if it is told to, while its answer breaks
/// off.
#[test]
fn a_post_is_repeated_if_it_is_told_to() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_body("x")
        .with_retry(Retry::Standard)
        .start();
    for _ in 0..3 {
        let mut connection = server.accept();
        assert_eq!(connection.request.method, "POST");
        assert_eq!(connection.request.body, b"x");
        connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
        source.opened();
        source.message("x");
        connection.reset();
        source.lost();
    }
}

/// No policy asks again for what is not a GET and has been answered: in good
/// order, or as a whole if it ends inside an event. It may have been paid for.
#[test]
fn no_policy_repeats_what_was_answered() {
    type Ask = fn(Source) -> Source;
    let asks: [Ask; 3] = [
        |source| source.with_body("x"),
        |source| source.with_method("PUT"),
        |source| source.with_method("REPORT"),
    ];
    for ask in asks {
        for retry in [Retry::Standard, Retry::Persistent, Retry::UntilOpen] {
            for (tail, reason) in [("", Error::Ended), ("{\"half", Error::Lost)]
            {
                let server = Server::start();
                let source = ask(Source::new(&server.url("/")))
                    .with_retry(retry)
                    .start();
                let mut connection = server.accept();
                let events = "data: x\n\n".to_owned() + tail;
                connection.send(EVENT_STREAM.to_owned() + &events);
                connection.finish();
                source.opened();
                source.message("x");
                match reason {
                    Error::Ended => source.closed(reason),
                    _ => drop(source.failed(reason)),
                }
                assert!(!server.is_asked(), "{retry:?}");
            }
        }
    }
}

/// What was answered is asked for again if `on_retry` or `reconnect` say so.
#[test]
fn what_was_answered_is_repeated_if_the_program_says_so() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_body("x")
        .with_retry(Retry::Persistent)
        .deciding(|verdict| {
            let ended = verdict.error == Error::Ended;
            assert_eq!(ended, !verdict.will_retry);
            if ended { 0 } else { -1 }
        })
        .start();
    for _ in 0..2 {
        let mut connection = server.accept();
        assert_eq!(connection.request.body, b"x");
        connection.send(EVENT_STREAM);
        connection.finish();
        source.opened();
        source.ended();
    }
    let connection = server.accept();
    assert_eq!(source.reconnect(), Error::None);
    assert_eq!(server.accept().request.body, b"x");
    drop(connection);
}

/// UNTIL_OPEN: all that may pass is tried again, until a response is accepted;
/// what becomes of that is the end, whatever the method.
#[test]
fn until_open_asks_until_a_response_is_accepted() {
    type End = fn(Connection);
    for method in ["GET", "POST"] {
        let ends: [(End, Error); 2] = [
            (Connection::finish, Error::Ended),
            (Connection::reset, Error::Lost),
        ];
        for (end, reason) in ends {
            let server = Server::start();
            let source = Source::new(&server.url("/"))
                .with_method(method)
                .with_retry(Retry::UntilOpen)
                .deciding(|verdict| if verdict.will_retry { 0 } else { -1 })
                .start();
            server.accept().reset();
            source.retrying(Error::Lost);
            for status in [408, 425, 429, 502, 503] {
                refuse(server.accept(), status, "");
                source.retrying(Error::Status);
            }
            let mut connection = server.accept();
            connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
            source.opened();
            source.message("x");
            end(connection);
            match reason {
                Error::Ended => source.closed(reason),
                _ => drop(source.failed(reason)),
            }
            assert!(!server.is_asked(), "{method}");
        }
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with_method(method)
            .with_retry(Retry::UntilOpen)
            .start();
        refuse(server.accept(), 404, "");
        source.failed(Error::Status);
    }
}

/// A source without a policy that a passing status ends says which policy it
/// wants; one with a policy is told nothing.
#[test]
fn a_status_that_may_pass_says_what_to_set() {
    let wanted = "unexpected status 502; EVENTSOURCE_RETRY_PERSISTENT would \
                  reconnect";
    let of_a_post = "unexpected status 502; EVENTSOURCE_RETRY_UNTIL_OPEN \
                     would ask again";
    for (status, method, retry, message) in [
        (502, "GET", None, wanted),
        (502, "POST", None, of_a_post),
        (502, "GET", Some(Retry::Never), "unexpected status 502"),
        (502, "GET", Some(Retry::Standard), "unexpected status 502"),
        (404, "GET", None, "unexpected status 404"),
    ] {
        let server = Server::start();
        let source = Source::new(&server.url("/")).with_method(method);
        let source = match retry {
            Some(retry) => source.with_retry(retry),
            None => source,
        };
        let source = source.start();
        refuse(server.accept(), status, "");
        assert_eq!(source.failed(Error::Status).message, message);
    }
}

/// `on_retry` is told what would follow, and has the last word: it comes back
/// after what is final, when it likes.
#[test]
fn on_retry_may_come_back_after_what_is_final() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_reconnection_time(50)
        .deciding(|verdict| {
            if verdict.error != Error::Status {
                // The test is over, and the server gone.
                return -1;
            }
            assert_eq!((verdict.http_status, verdict.attempt), (404, 1));
            assert!(!verdict.will_retry);
            assert!((50..=100).contains(&verdict.delay_ms), "{verdict:?}");
            7
        })
        .start();
    refuse(server.accept(), 404, "");
    assert_eq!(source.retrying(Error::Status).delay_ms, 7);
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// `on_retry` may give up: on a loss with `on_error`, on an end without.
#[test]
fn on_retry_may_give_up() {
    let server = Server::start();
    let source = Source::new(&server.url("/")).deciding(|_| -1).start();
    server.accept().reset();
    source.failed(Error::Lost);

    let source = Source::new(&server.url("/")).deciding(|_| i64::MIN).start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.finish();
    source.opened();
    source.closed(Error::Ended);
}

/// `on_retry` that changes nothing changes nothing.
#[test]
fn on_retry_may_let_things_be() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .deciding(|verdict| match verdict.will_retry {
            true => i64::try_from(verdict.delay_ms).expect("fits"),
            false => -1,
        })
        .start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.finish();
    source.opened();
    assert!((1..=2).contains(&source.ended().delay_ms));
    refuse(server.accept(), 404, "");
    source.failed(Error::Status);
}

/// `on_retry` sees a wait that is for ever as one that fits.
#[test]
fn on_retry_sees_a_wait_for_ever() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_reconnection_time(u64::MAX)
        .deciding(|verdict| i64::try_from(verdict.delay_ms).expect("fits"))
        .start();
    server.accept().reset();
    let failure = source.retrying(Error::Lost);
    assert_eq!(failure.delay_ms, i64::MAX as u64);
}

/// `on_retry` may close the source, and may make it reconnect: nobody is told
/// of the failure then.
#[test]
fn on_retry_may_close_and_reconnect() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let handle = source.handle();
    let source = source
        .deciding(move |_| {
            handle.close();
            0
        })
        .start();
    server.accept().reset();
    source.closed(Error::None);

    let source = Source::new(&server.url("/"));
    let handle = source.handle();
    let source = source
        .deciding(move |_| {
            let reconnected = handle.reconnect();
            // The stream may end when the test does, and the source with it.
            assert!(matches!(reconnected, Error::None | Error::Closed));
            3_600_000
        })
        .start();
    server.accept().reset();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// An event that is too large asks nobody: the stream goes on.
#[test]
fn on_retry_is_not_asked_about_a_dropped_event() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_max_event_size(3)
        .deciding(|verdict| {
            assert_ne!(verdict.error, Error::TooLarge);
            0
        })
        .start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM.to_owned() + "data: long\n\ndata: x\n\n");
    source.opened();
    source.failure(Error::TooLarge);
    source.message("x");
}

/// Attempts that fail are counted, up to the program's limit; one that works
/// begins the count anew.
#[test]
fn gives_up_after_as_many_failed_attempts_as_allowed() {
    let server = Server::start();
    let verdicts = Arc::new(AtomicUsize::new(0));
    let counted = verdicts.clone();
    let source = Source::new(&server.url("/"))
        .with(ffi::eventsource_set_max_attempts, 3)
        .deciding(move |verdict| {
            counted.fetch_add(1, Ordering::SeqCst);
            if verdict.will_retry { 0 } else { -1 }
        })
        .start();
    for _ in 0..2 {
        for attempt in 1..=2 {
            server.accept().reset();
            assert_eq!(source.retrying(Error::Lost).attempt, attempt);
        }
        let mut connection = server.accept();
        connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
        connection.finish();
        source.opened();
        source.message("x");
        assert_eq!(source.ended().attempt, 0);
    }
    for attempt in 1..=2 {
        server.accept().reset();
        assert_eq!(source.retrying(Error::Lost).attempt, attempt);
    }
    // An end at once has failed as well, and to give up is a failure.
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.finish();
    source.opened();
    assert_eq!(source.failed(Error::Ended).attempt, 3);
    assert_eq!(verdicts.load(Ordering::SeqCst), 9);
    assert!(!server.is_asked());
}

/// The longest wait is the program's: for the server's `retry` too.
#[test]
fn the_longest_wait_holds_for_the_servers_retry() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with(ffi::eventsource_set_max_reconnection_time, 20)
        .start();
    let mut connection = server.accept();
    let events = "retry: 3600000\ndata: x\n\n";
    connection.send(EVENT_STREAM.to_owned() + events);
    connection.finish();
    source.opened();
    source.message("x");
    assert!((20..=24).contains(&source.ended().delay_ms));
    server.accept();
}

/// Numbers that are none are refused.
#[test]
fn refuses_policies_that_are_none() {
    let source = Source::new("http://127.0.0.1/");
    for retry in [-1, 4, i32::MAX] {
        let error = source.set(ffi::eventsource_set_retry, retry);
        assert_eq!(error, Error::Value, "{retry}");
    }
    let setter = ffi::eventsource_set_max_reconnection_time;
    assert_eq!(source.set(setter, 0), Error::Value);
}

/// Never a busy loop: a server that always fails, in whatever way, is asked a
/// handful of times in the first second.
#[test]
fn a_server_that_always_fails_is_asked_a_handful_of_times() {
    type Fail = fn(Connection);
    let fails: [Fail; 4] = [
        Connection::reset,
        |connection| refuse(connection, 503, "Retry-After: 0\r\n"),
        |mut connection| {
            connection.send(EVENT_STREAM.to_owned() + "retry: 0\n\n");
            connection.finish();
        },
        |connection| connection.answer("xxx", ""),
    ];
    for fail in fails {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with_retry(Retry::Persistent)
            .with_reconnection_time(0)
            .start();
        let start = Instant::now();
        let mut delays = Vec::new();
        while delays.iter().sum::<u64>() < 1000 {
            fail(server.accept());
            match source.next() {
                Seen::Error(failure) => delays.push(failure.delay_ms),
                Seen::Open(_) => delays.push(source.ended().delay_ms),
                other => panic!("on_error expected: {other:?}"),
            }
        }
        assert!(delays.len() <= 4, "{delays:?}");
        // The last wait is not sat through.
        let waited: u64 = delays[..delays.len() - 1].iter().sum();
        assert!(start.elapsed() >= Duration::from_millis(waited));
    }
}

/// Through resets, half closes, and refusals, and byte by byte, nothing is
/// missed and nothing comes twice.
#[test]
fn misses_nothing_when_all_goes_wrong() {
    let server = Server::start();
    let head = EVENT_STREAM.len();
    let proxy = Faults::before(
        server.address(),
        &[
            Fault::Refuse,
            Fault::ResetAfter(10),
            Fault::CloseAfter(head),
            Fault::ResetAfter(head + 20),
            Fault::CloseAfter(head + 23),
            Fault::StallAfter(head + 10),
            Fault::ByteAtATime,
        ],
    );
    let source = Source::new(&proxy.url("/"))
        .with(ffi::eventsource_set_idle_timeout, 100)
        .with(ffi::eventsource_set_response_timeout, 5000)
        .deciding(|_| 0)
        .start();
    // One that comes after each id that is asked for.
    std::thread::spawn(move || {
        for _ in 0..6 {
            let mut connection = server.accept();
            let id = connection.request.header("last-event-id");
            let next = id.map_or(1, |id| id.parse::<u32>().unwrap() + 1);
            let events: String = (next..=9)
                .map(|id| format!("id: {id}\ndata: {id}\n\n"))
                .collect();
            // The proxy may be gone.
            let _ = connection.try_send(EVENT_STREAM.to_owned() + &events);
        }
    });
    let mut ids = Vec::new();
    while ids.len() < 9 {
        match source.next() {
            Seen::Event(event) => {
                assert_eq!(event.id, event.data);
                ids.push(event.id);
            }
            Seen::Open(_) => {}
            Seen::Error(failure) => assert!(failure.will_retry, "{failure:?}"),
            other => panic!("not expected: {other:?}"),
        }
    }
    assert_eq!(ids.join(""), "123456789");
}
