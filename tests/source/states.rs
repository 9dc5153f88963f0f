//! Coming, going, and coming back.

use std::time::Duration;

use eventsource::ffi::{self, Error, ReadyState};

use support::names;
use support::ports::free_address;
use support::server::{CHUNKED, EVENT_STREAM, Server};
use support::source::{Failure, Seen, Source};

/// The delay is the reconnection time and at most a fifth more.
#[track_caller]
fn assert_delay(failure: &Failure, time: u64) {
    let delay = failure.delay_ms;
    assert!(
        (time..=time + time / 5).contains(&delay),
        "{delay} ms instead of {time}: {failure:?}"
    );
}

/// A stream that begins with `events` and then is lost.
fn lose(server: &Server, source: &Source, events: &str) -> Failure {
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    connection.send(events);
    connection.finish();
    loop {
        match source.next() {
            Seen::Event(_) | Seen::Comment(_) => {}
            Seen::Error(failure) => return failure,
            other => panic!("an event or on_error expected: {other:?}"),
        }
    }
}

/// R25, R26, R29, R30. Open, events, lost, open again: in this order, and each
/// callback sees the state it tells of.
#[test]
fn callbacks_come_in_order_and_see_the_state_they_tell_of() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for _ in 0..3 {
        let mut connection = server.accept();
        assert_eq!(source.ready_state(), ReadyState::Connecting);
        connection.send(EVENT_STREAM);
        connection.send("data: 1\n\n: c\nevent: e\ndata: 2\n\n");
        connection.finish();
        source.opened();
        source.message("1");
        assert_eq!(source.comment(), " c");
        assert_eq!(source.event().kind, "e");
        source.ended();
    }
    source.close();
    assert_eq!(source.ready_state(), ReadyState::Closed);
    source.closed(Error::None);
}

/// R26 (4). The next request comes after `on_error`, and not before the delay
/// that it was told is over.
#[test]
fn waits_the_delay_that_it_tells() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(60).start();
    let failure = lose(&server, &source, "data: x\n\n");
    assert_delay(&failure, 60);
    let before = source.last_call().expect("on_error");
    server.accept();
    let waited = before.elapsed();
    assert!(waited >= Duration::from_millis(failure.delay_ms), "{waited:?}");
}

/// R33. The reconnection time is three seconds, at first.
#[test]
fn the_reconnection_time_is_three_seconds_at_first() {
    let server = Server::start();
    let source = Source::unhurried(&server.url("/")).start();
    assert_delay(&lose(&server, &source, "data: x\n\n"), 3000);
}

/// R33. It can be preset.
#[test]
fn the_reconnection_time_can_be_preset() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(7000).start();
    assert_delay(&lose(&server, &source, "data: x\n\n"), 7000);
}

/// R34. Delays are spread, so that not all come back at once, and stay within
/// a fifth.
#[test]
fn delays_are_spread_within_a_fifth() {
    let mut delays = Vec::new();
    for _ in 0..20 {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with_reconnection_time(1_000_000)
            .start();
        let failure = lose(&server, &source, "data: x\n\n");
        assert_delay(&failure, 1_000_000);
        delays.push(failure.delay_ms);
    }
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 10, "{delays:?}");
}

/// R52. `retry` sets the reconnection time for all later reconnections.
#[test]
fn retry_sets_the_reconnection_time() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let failure = lose(&server, &source, "retry: 20\n\ndata: x\n\n");
    assert_delay(&failure, 20);
    assert_delay(&lose(&server, &source, "data: x\n\n"), 20);
    assert_delay(&lose(&server, &source, "data: x\nretry:0030\n\n"), 30);
    assert_delay(&lose(&server, &source, "data: x\n\n"), 30);
}

/// R52, R60. `retry` counts as soon as its line is read, also in a block that
/// is never finished.
#[test]
fn retry_counts_when_its_line_is_read() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let failure = lose(&server, &source, "data: x\n\nretry: 5000\ndata: y");
    assert_delay(&failure, 5000);
}

/// R60. A line without end does not count.
#[test]
fn retry_without_line_end_does_not_count() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(100).start();
    assert_delay(&lose(&server, &source, "data: x\n\nretry: 5000"), 100);
}

/// R52. Only digits are a time; huge ones saturate.
#[test]
fn retry_must_be_digits() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(2).start();
    for value in
        ["-1", "+50", "5.5", "1e3", "50ms", "5 0", "", " 50", "50 ", "٥٠"]
    {
        let events = format!("data: x\n\nretry:{value}\n\n");
        let failure = lose(&server, &source, &events);
        // One blank behind the colon is no part of the value.
        let time = if value == " 50" { 50 } else { 2 };
        assert_delay(&failure, time);
        if time == 50 {
            lose(&server, &source, "data: x\n\nretry: 2\n\n");
        }
    }
    let events = format!("data: x\n\nretry: {}\n\n", "9".repeat(40));
    let failure = lose(&server, &source, &events);
    assert!(failure.delay_ms > 1 << 40, "{failure:?}");
    source.close();
    source.closed(Error::None);
}

/// The delay is at least `least`, which is half of the longest that it may be.
#[track_caller]
fn assert_half_random(failure: &Failure, least: u64) {
    let delay = failure.delay_ms;
    assert!(
        (least..=2 * least).contains(&delay),
        "{delay} ms instead of {least} and as much again: {failure:?}"
    );
}

/// R34. After attempts that failed the waits become longer and longer, at most
/// 30 seconds; the first is the reconnection time, and up to as much again.
#[test]
fn failed_attempts_back_off() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for (attempt, least) in [(1, 1), (2, 500), (3, 1000)] {
        server.accept().finish();
        let failure = source.retrying(Error::Lost);
        assert_eq!(failure.attempt, attempt);
        assert_half_random(&failure, least);
    }
}

/// R34. Half of the wait after a failed attempt is at random, so that the
/// clients of a server that has failed do not come back all at once.
#[test]
fn delays_after_failed_attempts_are_spread_by_half() {
    let mut delays = Vec::new();
    for _ in 0..20 {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with_reconnection_time(10_000)
            .start();
        server.accept().finish();
        let failure = source.retrying(Error::Lost);
        assert_half_random(&failure, 10_000);
        delays.push(failure.delay_ms);
    }
    let most = delays.iter().max().expect("delays");
    let least = delays.iter().min().expect("delays");
    assert!(most - least > 4000, "{delays:?}");
}

/// R34. The same for a server that accepts, and closes at once: the promise of
/// `retry: 0` is kept once, and then it is not asked in a tight loop.
#[test]
fn accepting_and_closing_is_no_tight_loop() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for (attempt, least) in [(1, 0), (2, 500), (3, 1000)] {
        let failure = lose(&server, &source, "retry: 0\n\n: comment\n\n");
        assert_eq!(failure.error, Error::Ended);
        assert_eq!(failure.attempt, attempt);
        assert_half_random(&failure, least);
    }
}

/// R34. `retry: 0` is kept every time by a server that brings events.
#[test]
fn comes_back_at_once_to_a_server_that_brings_events() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for _ in 0..10 {
        let failure = lose(&server, &source, "retry: 0\ndata: x\n\n");
        assert_eq!((failure.attempt, failure.delay_ms), (0, 0));
    }
}

/// R34. An event or an id takes the backoff back to its start, a mere answer
/// does not.
#[test]
fn an_event_or_an_id_takes_the_backoff_back_to_its_start() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    assert_eq!(lose(&server, &source, "").attempt, 1);
    assert_eq!(lose(&server, &source, ": only a comment\n\n").attempt, 2);
    let failure = lose(&server, &source, "data: x\n\n");
    assert_eq!(failure.attempt, 0);
    assert_delay(&failure, 1);
    assert_eq!(lose(&server, &source, "").attempt, 1);
    // Also one that says again where the stream stands.
    for _ in 0..2 {
        let failure = lose(&server, &source, "id: only an id\n\n");
        assert_eq!(failure.attempt, 0);
        assert_delay(&failure, 1);
    }
    // One that never took effect brings nothing.
    let failure = lose(&server, &source, "id: unfinished\n");
    assert_eq!(failure.attempt, 1);
}

/// R34. So does a connection that was open for a second, whatever it brought,
/// and however it was lost: balancers end quiet streams each minute.
#[test]
fn a_connection_that_lived_for_a_second_has_worked() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with(ffi::eventsource_set_max_attempts, 2)
        .start();
    for (round, beat) in ["", ": heartbeat\n\n", ""].into_iter().enumerate() {
        server.accept().reset();
        assert_eq!(source.retrying(Error::Lost).attempt, 1);
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        // The time itself is what counts.
        std::thread::sleep(Duration::from_millis(1010));
        connection.send(beat);
        if !beat.is_empty() {
            source.comment();
        }
        let failure = match round {
            0 => {
                connection.reset();
                source.lost()
            }
            _ => {
                connection.finish();
                source.ended()
            }
        };
        assert_eq!(failure.attempt, 0);
        assert_delay(&failure, 1);
    }
}

/// R34. A reconnection time beyond 30 seconds is a cap of its own.
#[test]
fn backoff_never_goes_below_the_reconnection_time() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(40_000).start();
    server.accept().finish();
    let Seen::Error(failure) = source.next() else { panic!("on_error") };
    assert_delay(&failure, 40_000);
    assert_eq!(source.reconnect(), Error::None);
    server.accept().finish();
    let Seen::Error(failure) = source.next() else { panic!("on_error") };
    assert_delay(&failure, 40_000);
}

/// R18. Nobody listens: tried again, until somebody does.
#[test]
fn a_refused_connection_is_tried_again() {
    let address = free_address().to_string();
    let url = format!("http://{address}/");
    let source = Source::new(&url).with_reconnection_time(50).start();
    let failure = source.retrying(Error::Connect);
    assert_eq!((failure.attempt, failure.http_status), (1, 0));
    assert_half_random(&failure, 50);
    let server = Server::at(&address);
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    opened_after(&source, Error::Connect);
}

/// The next callback is `on_open`, apart from failures of attempts in between.
fn opened_after(source: &Source, error: Error) {
    loop {
        match source.next() {
            Seen::Error(failure) => assert_eq!(failure.error, error),
            Seen::Open(_) => return,
            other => panic!("on_open or on_error expected: {other:?}"),
        }
    }
}

/// R18, R19. A name without address is tried again: it may be a name of
/// tomorrow, or the network may be down.
#[test]
fn a_name_without_address_is_tried_again() {
    let server = Server::start();
    for (name, error) in [
        ("nowhere.test", libc::EAI_NONAME),
        ("later.test", libc::EAI_AGAIN),
        ("broken.test", libc::EAI_FAIL),
    ] {
        names::refuse(name, error);
        let source = Source::connected(&server.url_at(name, "/"));
        let failure = source.retrying(Error::Resolve);
        assert_eq!((failure.attempt, failure.http_status), (1, 0));
        assert!(
            failure.message.contains(name),
            "{:?} names the name",
            failure.message
        );
        names::resolve(name, &["127.0.0.1".parse().unwrap()]);
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        opened_after(&source, Error::Resolve);
    }
}

/// R26, R30. One loss, one `on_error`, one new request, many times.
#[test]
fn many_losses_are_as_many_errors_and_requests() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(0).start();
    for number in 0..40 {
        let mut connection = server.accept();
        connection.send(CHUNKED);
        connection.chunk(format!("id: {number}\ndata: {number}\n\n"));
        source.opened();
        source.message(&number.to_string());
        let failure = if number % 2 == 0 {
            connection.reset();
            source.lost()
        } else {
            connection.send("0\r\n\r\n");
            source.ended()
        };
        assert_eq!(failure.attempt, 0);
    }
}

/// Limits: an event over the limit is dropped and reported, the stream goes
/// on, and its id is kept.
#[test]
fn an_event_over_the_limit_is_dropped_and_the_stream_goes_on() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_max_event_size(1000).start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    let large = "x".repeat(2000);
    connection.send(format!("id: 1\ndata: {large}\n\ndata: small\n\n"));
    let failure = source.failure(Error::TooLarge);
    assert!(!failure.will_retry);
    let event = source.message("small");
    assert_eq!(event.id, "1");
    connection.send("data: again\n\n");
    source.message("again");
    connection.finish();
    assert_eq!(source.ended().attempt, 0);
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("1"));
}

/// Limits: one large event in several lines, and one in a line without end.
#[test]
fn the_limit_counts_lines_together_and_lines_without_end() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_max_event_size(1000).start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    let line = format!("data: {}\n", "x".repeat(300));
    connection.send(line.repeat(3) + "\n");
    assert_eq!(source.event().data.len(), 902);
    connection.send(line.repeat(4) + "\n");
    source.failure(Error::TooLarge);
    connection.send("data: ".to_owned() + &"x".repeat(100_000));
    connection.send("\n\n");
    source.failure(Error::TooLarge);
    connection.send("data: small\n\n");
    source.message("small");
}

/// Limits: 0 is none.
#[test]
fn no_limit_is_no_limit() {
    let server = Server::start();
    let source = Source::new(&server.url("/")).with_max_event_size(0).start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    let data = "x".repeat(70 << 20);
    connection.send(format!("data: {data}\n\n"));
    assert_eq!(source.event().data.len(), data.len());
}

/// R64. Comments are accepted, whatever they say, and told unchanged.
#[test]
fn comments_are_told_unchanged() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    for comment in ["", " ", "ping", "  two blanks", "a:b: c", "ü\0€"] {
        // As soon as the line ends.
        connection.send(format!(":{comment}\n"));
        assert_eq!(source.comment(), comment);
    }
    let long = "x".repeat(100_000);
    connection.send(format!(":{long}\n"));
    assert_eq!(source.comment(), long);
}

/// Threads: the callbacks of one source come on one thread, which is none of
/// the program's; two sources have two.
#[test]
fn callbacks_come_on_a_thread_of_the_source() {
    let server = Server::start();
    let opened = || {
        let (sender, thread) = std::sync::mpsc::channel();
        let source = Source::new(&server.url("/"))
            .doing(move |_, _| {
                // Only the first is looked at.
                let _ = sender.send(std::thread::current().id());
            })
            .start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        (source, connection, thread.recv().unwrap())
    };
    let (one, other) = (opened(), opened());
    assert_ne!(one.2, other.2);
    assert_ne!(one.2, std::thread::current().id());
    // That all callbacks of one source come on one thread is checked of every
    // source in these tests, when it is dropped.
}
