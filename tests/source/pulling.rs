//! Pull mode: what happens waits in a queue until the program takes it.

use std::ptr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use eventsource::ffi::{self, CSource, Error, ReadyState};

use support::promptly;
use support::server::{Connection, EVENT_STREAM, Server};
use support::source::{Handle, Seen, Source};

/// A source with a queue.
struct Puller(Handle);

impl Drop for Puller {
    fn drop(&mut self) {
        if !thread::panicking() {
            let handle = self.0;
            promptly("free", move || handle.free());
        }
    }
}

impl std::ops::Deref for Puller {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.0
    }
}

fn fd(source: Handle) -> i32 {
    // SAFETY: not freed before the test is over.
    unsafe { ffi::eventsource_fd(source.as_ptr()) }
}

impl Puller {
    fn new(url: &str, capacity: usize) -> Puller {
        let source = Handle::bare(url);
        assert_eq!(source.set_reconnection_time(1), Error::None);
        assert_eq!(source.set_queue(capacity), Error::None);
        Puller(source)
    }

    fn connected(url: &str, capacity: usize) -> Puller {
        let puller = Puller::new(url, capacity);
        assert_eq!(puller.connect(), Error::None);
        puller
    }

    fn is_readable(&self) -> bool {
        readable(fd(self.0), 0)
    }

    /// The next item, whichever it is; the descriptor announces it.
    #[track_caller]
    fn item(&self) -> Seen {
        assert!(readable(fd(self.0), 10_000), "nothing comes");
        self.take(0).expect("an item, for the descriptor is readable")
    }

    /// What a call that takes up to so many takes, as many as expected.
    #[track_caller]
    fn items(&self, most: usize, expected: usize) -> Vec<Seen> {
        let mut items = vec![ptr::null(); most];
        let mut count = 0;
        // SAFETY: room for `most` items.
        let error = unsafe {
            ffi::eventsource_next_batch(
                self.as_ptr(),
                10_000,
                items.as_mut_ptr(),
                most,
                &mut count,
            )
        };
        assert_eq!((error, count), (Error::None, expected));
        assert!(items[count..].iter().all(|item| item.is_null()));
        // SAFETY: borrowed until the next call.
        items[..count]
            .iter()
            .map(|item| Seen::item(unsafe { &**item }))
            .collect()
    }

    /// Nothing waits, by all accounts.
    #[track_caller]
    fn is_empty(&self) {
        assert!(!self.is_readable());
        assert_eq!(self.0.take(0), Err(Error::Timeout));
    }

    #[track_caller]
    fn opened(&self) {
        let seen = self.item();
        assert!(matches!(seen, Seen::Open(_)), "{seen:?}");
        assert_eq!(self.ready_state(), ReadyState::Open);
    }

    #[track_caller]
    fn event(&self, data: &str) {
        match self.item() {
            Seen::Event(event) => assert_eq!(event.data, data),
            other => panic!("an event expected: {other:?}"),
        }
    }
}

fn readable(fd: i32, timeout_ms: i32) -> bool {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, alive.
    unsafe { libc::poll(&mut entry, 1, timeout_ms) == 1 }
}

fn stream(server: &Server) -> Connection {
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection
}

/// Pull mode: opens, events, comments, errors and the close come in their
/// order, each once; the ready state is the item's, and not an earlier one.
#[test]
fn tells_everything_in_order() {
    let server = Server::start();
    let source = Puller::new(&server.url("/"), 100);
    // SAFETY: not freed before the test is over.
    let wanted = unsafe { ffi::eventsource_set_comments(source.as_ptr(), 1) };
    assert_eq!(wanted, Error::None);
    assert_eq!(source.connect(), Error::None);
    let mut connection = stream(&server);
    connection.chunk(":hello\nid: 1\nevent: greeting\ndata: a\ndata: b\n\n");
    connection.reset();
    // All of it waits; nothing is told yet.
    assert!(readable(fd(*source), 10_000));
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    assert_eq!(source.last_event_id(), "");
    match source.item() {
        Seen::Open(response) => {
            assert_eq!(response.status, 200);
            assert_eq!(response.url, server.url("/"));
            assert_eq!(response.headers["content-type"], "text/event-stream");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(source.ready_state(), ReadyState::Open);
    assert_eq!(source.item(), Seen::Comment("hello".into()));
    assert_eq!(source.last_event_id(), "");
    match source.item() {
        Seen::Event(event) => {
            assert_eq!(event.kind, "greeting");
            assert_eq!(event.data, "a\nb");
            assert_eq!(event.id, "1");
            assert_eq!(event.origin, server.origin());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(source.last_event_id(), "1");
    assert_eq!(source.ready_state(), ReadyState::Open);
    match source.item() {
        Seen::Error(failure) => {
            assert_eq!(failure.error, Error::Lost);
            assert!(failure.will_retry);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    let mut connection = stream(&server);
    connection.chunk("data: c\n\n");
    source.opened();
    source.event("c");
    source.is_empty();
    drop(connection);
    assert!(matches!(source.item(), Seen::Error(_)));
    server.accept().answer("204 No Content", "");
    match source.item() {
        Seen::Error(failure) => assert_eq!(failure.error, Error::Status),
        other => panic!("{other:?}"),
    }
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert_eq!(source.item(), Seen::Close(Error::Status));
    assert!(!source.is_readable());
    assert_eq!(source.take(-1), Err(Error::Closed));
    assert_eq!(source.wait(10_000), Error::None);
}

/// Pull mode: comments wait only if they are wanted.
#[test]
fn skips_comments_unless_they_are_wanted() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 100);
    let mut connection = stream(&server);
    connection.chunk(":hello\n\ndata: a\n\n");
    source.opened();
    source.event("a");
    source.is_empty();
}

/// Pull mode: the descriptor is readable exactly while an item waits: that of
/// a batch, too, when some of it has been taken.
#[test]
fn is_readable_while_an_item_waits() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 100);
    let mut connection = stream(&server);
    source.opened();
    for _ in 0..100 {
        source.is_empty();
        connection.chunk("data: a\n\ndata: b\n\ndata: c\n\n");
        source.event("a");
        assert!(source.is_readable());
        source.event("b");
        assert!(source.is_readable());
        source.event("c");
    }
    source.is_empty();
}

/// Pull mode: `next` waits as long as it is told, and for what comes.
#[test]
fn waits_for_an_item() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 100);
    let start = std::time::Instant::now();
    assert_eq!(source.take(20), Err(Error::Timeout));
    assert!(start.elapsed().as_millis() >= 20);
    let mut connection = stream(&server);
    assert!(matches!(source.take(-1), Ok(Seen::Open(_))));
    let handle = *source;
    let waiting = thread::spawn(move || handle.take(-1));
    connection.chunk("data: a\n\n");
    match waiting.join().unwrap() {
        Ok(Seen::Event(event)) => assert_eq!(event.data, "a"),
        other => panic!("{other:?}"),
    }
    // A close wakes it, and is what comes.
    let waiting = thread::spawn(move || handle.take(i64::MAX));
    source.close();
    let seen = promptly("next", move || waiting.join().unwrap());
    assert_eq!(seen, Ok(Seen::Close(Error::None)));
}

/// Back-pressure: while the queue is full nothing more is read, and nothing
/// is lost, whatever the capacity.
#[test]
fn a_full_queue_slows_the_server_down() {
    for capacity in [1, 2, 3, 10, 1000] {
        const EVENTS: usize = 20_000;
        let server = Server::start();
        let source = Puller::connected(&server.url("/"), capacity);
        let mut connection = stream(&server);
        let (sender, sent) = mpsc::channel();
        let sending = thread::spawn(move || {
            let padding = "x".repeat(1000);
            for number in 0..EVENTS {
                connection.chunk(format!("data: {number} {padding}\n\n"));
                sender.send(number).unwrap();
            }
            connection
        });
        // The server gets stuck: it is a matter of some megabytes of the
        // system's buffers.
        while sent.recv_timeout(std::time::Duration::from_millis(200)).is_ok() {
        }
        assert!(!sending.is_finished(), "{capacity}");
        assert!(waiting(&source) <= capacity as u64, "{capacity}");
        source.opened();
        for number in 0..EVENTS {
            match source.take(10_000) {
                Ok(Seen::Event(event)) => {
                    let said = event.data.split(' ').next().unwrap();
                    assert_eq!(said.parse(), Ok(number), "{capacity}");
                }
                other => panic!("{capacity}: {other:?}"),
            }
        }
        source.is_empty();
        sending.join().unwrap();
    }
}

/// How many events the source has put into the queue so far.
fn waiting(source: &Puller) -> u64 {
    let mut stats = std::mem::MaybeUninit::<ffi::CStats>::zeroed();
    // SAFETY: a place for it, of its size; all of it may be zero.
    unsafe {
        ffi::eventsource_get_stats(
            source.as_ptr(),
            stats.as_mut_ptr(),
            size_of::<ffi::CStats>(),
        );
        stats.assume_init().events
    }
}

/// Back-pressure: a queue is full, too, when its text is as long as one event
/// may be.
#[test]
fn a_queue_is_full_of_text() {
    let server = Server::start();
    let source = Puller::new(&server.url("/"), 1_000_000);
    assert_eq!(source.set_max_event_size(10_000), Error::None);
    assert_eq!(source.connect(), Error::None);
    let mut connection = stream(&server);
    let event = format!("data: {}\n\n", "x".repeat(999));
    connection.chunk(event.repeat(50));
    source.opened();
    assert!(readable(fd(*source), 10_000));
    assert!(waiting(&source) <= 11, "{}", waiting(&source));
    for _ in 0..50 {
        source.event(&"x".repeat(999));
    }
    source.is_empty();
}

/// Pull mode, closing: what was waiting is dropped, and the close is there at
/// once; in every state of the queue.
#[test]
fn closing_leaves_only_the_close() {
    // In batches of two, and in one.
    for (capacity, taken) in (0..4).flat_map(|taken| [(2, taken), (9, taken)]) {
        let server = Server::start();
        let source = Puller::connected(&server.url("/"), capacity);
        let mut connection = stream(&server);
        connection.chunk("data: a\n\ndata: b\n\ndata: c\n\ndata: d\n\n");
        for _ in 0..taken {
            source.item();
        }
        assert!(readable(fd(*source), 10_000));
        source.close();
        assert_eq!(source.ready_state(), ReadyState::Closed);
        assert!(source.is_readable());
        assert_eq!(source.take(0), Ok(Seen::Close(Error::None)));
        assert!(!source.is_readable());
        assert_eq!(source.take(0), Err(Error::Closed));
        source.close();
        assert_eq!(source.take(0), Err(Error::Closed));
        assert_eq!(source.wait(10_000), Error::None);
    }
}

/// Pull mode, closing: the reason of a source that has failed stays.
#[test]
fn closing_after_a_failure_leaves_its_reason() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 10);
    server.accept().answer("404 Not Found", "");
    assert_eq!(source.wait(10_000), Error::None);
    // Nothing was taken: the program knows nothing of it yet.
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    source.close();
    assert_eq!(source.item(), Seen::Close(Error::Status));
    assert_eq!(source.take(0), Err(Error::Closed));
}

/// Pull mode: a source that is closed before it was connected has no item.
#[test]
fn what_never_began_has_no_close() {
    let source = Puller::new("http://127.0.0.1/", 10);
    assert_eq!(source.take(-1), Err(Error::NotConnected));
    source.close();
    assert_eq!(source.take(-1), Err(Error::Closed));
    assert!(!source.is_readable());
}

/// Pull mode: the last events of a stream that is not asked for again come
/// before its close.
#[test]
fn takes_the_end_of_a_stream_that_ends_for_good() {
    let server = Server::start();
    let source = Puller::new(&server.url("/"), 10);
    // SAFETY: not freed before the test is over.
    let error = unsafe {
        let never = ffi::Retry::Never as i32;
        ffi::eventsource_set_retry(source.as_ptr(), never)
    };
    assert_eq!(error, Error::None);
    assert_eq!(source.connect(), Error::None);
    let mut connection = server.accept();
    connection.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Content-Length: 18\r\n\r\ndata: a\n\ndata: b\n\n",
    );
    source.opened();
    source.event("a");
    source.event("b");
    assert_eq!(source.item(), Seen::Close(Error::Ended));
}

/// R26 (4). Pull mode: the next attempt waits until the failure before it was
/// taken, with all that came before; and for the delay.
#[test]
fn comes_back_when_the_failure_has_been_taken() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 100);
    for round in 0..3 {
        let mut connection = stream(&server);
        connection.send("retry: 1\nid: 1\ndata: a\n\n");
        connection.finish();
        while waiting(&source) <= round {
            thread::yield_now();
        }
        // A hundred times the delay: nothing else could tell that nobody
        // comes.
        thread::sleep(Duration::from_millis(100));
        assert!(!server.is_asked(), "before anything was taken");
        source.opened();
        source.event("a");
        assert!(readable(fd(*source), 10_000));
        thread::sleep(Duration::from_millis(10));
        assert!(!server.is_asked(), "before the failure was taken");
        assert!(matches!(source.item(), Seen::Error(_)));
    }
    drop(server.accept());
    assert!(matches!(source.item(), Seen::Error(_)));

    // Taken at once, it waits for the delay all the same.
    let mut connection = server.accept();
    connection.send(EVENT_STREAM.to_owned() + "retry: 300\ndata: a\n\n");
    connection.finish();
    source.opened();
    source.event("a");
    assert!(matches!(source.item(), Seen::Error(_)));
    let taken = Instant::now();
    server.accept();
    assert!(taken.elapsed() >= Duration::from_millis(250));
}

/// Pull mode: while a source waits for its failure to be taken, it can be
/// closed, freed, and told to reconnect at once.
#[test]
fn a_failure_that_is_not_taken_holds_up_nothing_else() {
    for action in ["close", "free", "reconnect"] {
        let server = Server::start();
        let source = Puller::connected(&server.url("/"), 100);
        let mut connection = stream(&server);
        connection.send("data: a\n\n");
        connection.finish();
        source.opened();
        source.event("a");
        assert!(readable(fd(*source), 10_000));
        thread::sleep(Duration::from_millis(20));
        match action {
            "close" => {
                source.close();
                assert_eq!(source.item(), Seen::Close(Error::None));
                assert_eq!(source.wait(10_000), Error::None);
            }
            "free" => drop(source),
            _ => {
                assert_eq!(source.reconnect(), Error::None);
                let mut connection = stream(&server);
                assert!(matches!(source.item(), Seen::Error(_)));
                source.opened();
                connection.send("data: b\n\n");
                source.event("b");
            }
        }
    }
}

/// Pull mode, reconnecting: CONNECTING from the wish on, whatever waits of
/// the old connection; nothing that waits is lost or asked for again.
#[test]
fn reconnecting_keeps_what_waits() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 10);
    let mut connection = stream(&server);
    connection.chunk("id: 7\ndata: a\n\n");
    // The open and the event wait.
    assert!(readable(fd(*source), 10_000));
    while waiting(&source) == 0 {
        thread::yield_now();
    }
    assert_eq!(source.reconnect(), Error::None);
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    let mut connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("7"));
    assert!(matches!(source.item(), Seen::Open(_)));
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    source.event("a");
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    assert_eq!(source.last_event_id(), "7");
    source.is_empty();
    connection.send(EVENT_STREAM);
    source.opened();
}

/// The last event ID string is that of the last item taken, also if it was
/// set by a block without data.
#[test]
fn the_last_event_id_comes_with_the_items() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 10);
    let mut connection = stream(&server);
    connection.chunk("id: 1\ndata: a\n\nid: 2\n\nid: 3\n\ndata: b\n\nid\n\n");
    source.opened();
    source.event("a");
    assert_eq!(source.last_event_id(), "1");
    source.event("b");
    assert_eq!(source.last_event_id(), "3");
    source.is_empty();
    assert_eq!(source.last_event_id(), "3");
    drop(connection);
    assert!(matches!(source.item(), Seen::Error(_)));
    assert_eq!(source.last_event_id(), "");
}

/// A long id is stored once for all events that have it, however many reads
/// they come in: else each of them would fill the queue.
#[test]
fn a_long_id_is_stored_once() {
    const EVENTS: u64 = 50;
    let server = Server::start();
    let source = Puller::new(&server.url("/"), 1000);
    assert_eq!(source.set_max_event_size(1 << 20), Error::None);
    // SAFETY: not freed before the test is over.
    let wanted = unsafe { ffi::eventsource_set_comments(source.as_ptr(), 1) };
    assert_eq!(wanted, Error::None);
    assert_eq!(source.connect(), Error::None);
    let (long, other) = ("x".repeat(500 << 10), "y".repeat(400 << 10));
    let mut connection = stream(&server);
    let mut sent = 0;
    let mut send = |text: &str, id: &str, seen: &mut Vec<_>| {
        connection.send(text);
        seen.push(id.to_owned());
        sent += 1;
        support::until("the queue has the event", || waiting(&source) == sent);
    };
    let mut ids = Vec::new();
    send(&format!("id: {long}\ndata: x\n\n"), &long, &mut ids);
    for _ in 0..EVENTS {
        send(": comment\ndata: x\n\n", &long, &mut ids);
    }
    // One that comes by itself, and a short one.
    send(&format!("id: {other}\n\ndata: x\n\n"), &other, &mut ids);
    for _ in 0..EVENTS {
        send("data: x\n\n", &other, &mut ids);
    }
    send("id: 7\ndata: x\n\n", "7", &mut ids);
    send("data: x\n\n", "7", &mut ids);
    source.opened();
    for id in ids {
        let event = loop {
            match source.item() {
                Seen::Comment(_) => {}
                Seen::Event(event) => break event,
                other => panic!("an event expected: {other:?}"),
            }
        };
        assert!(event.id == id, "{} bytes", event.id.len());
        let (kept, length) = source.last_event_id_in(id.len() + 1);
        assert!(length == id.len() && kept == id, "{length} bytes");
    }
    source.is_empty();
}

/// The same of an id that the program has preset.
#[test]
fn a_long_id_that_was_preset_is_stored_once() {
    let server = Server::start();
    let source = Puller::new(&server.url("/"), 1000);
    let long = "x".repeat(50_000);
    assert_eq!(source.set_max_event_size(100_000), Error::None);
    assert_eq!(source.set_last_event_id(&long), Error::None);
    assert_eq!(source.connect(), Error::None);
    let mut connection = stream(&server);
    for number in 1..=20 {
        connection.send("data: x\n\n");
        support::until("the event", || waiting(&source) == number);
    }
    source.opened();
    for _ in 0..20 {
        match source.item() {
            Seen::Event(event) => assert!(event.id == long),
            other => panic!("an event expected: {other:?}"),
        }
    }
}

/// An event over the limit is told of in its place.
#[test]
fn tells_of_what_was_too_large() {
    let server = Server::start();
    let source = Puller::new(&server.url("/"), 10);
    assert_eq!(source.set_max_event_size(10), Error::None);
    assert_eq!(source.connect(), Error::None);
    let mut connection = stream(&server);
    connection.chunk("data: a\n\nid: 2\ndata: 12345678901\n\ndata: b\n\n");
    source.opened();
    source.event("a");
    match source.item() {
        Seen::Error(failure) => assert_eq!(failure.error, Error::TooLarge),
        other => panic!("{other:?}"),
    }
    assert_eq!(source.ready_state(), ReadyState::Open);
    assert_eq!(source.last_event_id(), "2");
    source.event("b");
}

/// A batch is what is at hand, up to what was asked for; all of it is there
/// until the next call.
#[test]
fn takes_many_at_once() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 100);
    let mut connection = stream(&server);
    source.opened();
    let events: String =
        (0..10).map(|number| format!("data: {number}\n\n")).collect();
    connection.chunk(events);
    let mut seen = Vec::new();
    for (most, expected) in [(4, 4), (1, 1), (100, 5)] {
        for item in source.items(most, expected) {
            match item {
                Seen::Event(event) => seen.push(event.data),
                other => panic!("{other:?}"),
            }
        }
    }
    let all: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(seen, all);
    source.is_empty();
}

/// Whether one or many are taken, each event has its own type, data and ID, and
/// the last event ID string is that of the last item taken.
#[test]
fn takes_one_and_many_in_turn() {
    const EVENTS: [[&str; 3]; 16] = [
        ["message", "0", ""],
        ["message", "1", ""],
        ["message", "2", ""],
        ["a", "3", ""],
        ["a", "4", ""],
        ["a", "5", "i"],
        ["a", "6", "i"],
        ["a", "7", "i"],
        ["message", "8", "j"],
        ["message", "9", "j"],
        ["message", "10", "k"],
        ["message", "11", "l"],
        ["message", "12", "l"],
        ["b", "13", "m"],
        ["b", "14", "n"],
        ["b", "15", "o"],
    ];
    let mut stream_of_all = String::new();
    let mut id_before = "";
    for [event_type, data, id] in EVENTS {
        if id != id_before {
            stream_of_all += &format!("id: {id}\n");
            id_before = id;
        }
        stream_of_all += &format!("event: {event_type}\ndata: {data}\n\n");
    }
    // 0 stands for a call that takes one.
    for calls in [&[0; 16][..], &[4, 4, 4, 4], &[3, 0, 0, 0, 10], &[0, 2], &[1]]
    {
        let server = Server::start();
        let source = Puller::connected(&server.url("/"), 100);
        let mut connection = stream(&server);
        source.opened();
        connection.chunk(&stream_of_all);
        let mut expected = &EVENTS[..];
        for most in calls.iter().cycle() {
            let count = expected.len().min(1.max(*most));
            let items = match most {
                0 => vec![source.item()],
                most => source.items(*most, count),
            };
            let (now, later) = expected.split_at(count);
            for (item, [event_type, data, id]) in items.iter().zip(now) {
                let Seen::Event(event) = item else { panic!("{item:?}") };
                assert_eq!(event.kind, *event_type);
                assert_eq!(event.data, *data);
                assert_eq!(event.id, *id);
            }
            let [.., [_, _, last_event_id]] = now else { panic!("none") };
            assert_eq!(source.last_event_id(), *last_event_id);
            expected = later;
            if expected.is_empty() {
                break;
            }
        }
        source.is_empty();
    }
}

/// Errors: what cannot be is refused, and changes nothing.
#[test]
fn misuse_is_refused() {
    let server = Server::start();
    let source = Handle::bare(&server.url("/"));
    assert_eq!(fd(source), -1);
    assert_eq!(source.take(0), Err(Error::Queue));
    assert_eq!(source.set_queue(0), Error::Value);
    assert_eq!(source.set_queue(1), Error::None);
    // The last word counts, and the descriptor stays.
    let descriptor = fd(source);
    assert_eq!(source.set_queue(100), Error::None);
    assert_eq!(fd(source), descriptor);
    let null = ptr::null_mut::<CSource>();
    let mut item = ptr::dangling();
    let mut count = 1;
    // SAFETY: NULL is looked for.
    unsafe {
        assert_eq!(ffi::eventsource_set_queue(null, 1), Error::Null);
        assert_eq!(ffi::eventsource_set_comments(null, 1), Error::Null);
        assert_eq!(
            ffi::eventsource_set_comments(source.as_ptr(), 2),
            Error::Value
        );
        assert_eq!(source.connect(), Error::Value);
        assert_eq!(
            ffi::eventsource_set_comments(source.as_ptr(), 0),
            Error::None
        );
        assert_eq!(ffi::eventsource_fd(null), -1);
        assert_eq!(ffi::eventsource_next(null, 0, &mut item), Error::Null);
        assert!(item.is_null());
        let source = source.as_ptr();
        let nowhere = ptr::null_mut();
        assert_eq!(ffi::eventsource_next(source, 0, nowhere), Error::Null);
        let batch = ffi::eventsource_next_batch;
        assert_eq!(batch(null, 0, &mut item, 1, &mut count), Error::Null);
        assert_eq!(count, 0);
        assert_eq!(batch(source, 0, nowhere, 1, &mut count), Error::Null);
        assert_eq!(
            batch(source, 0, &mut item, 1, ptr::null_mut()),
            Error::Null
        );
        assert_eq!(batch(source, 0, &mut item, 0, &mut count), Error::Value);
    }
    assert_eq!(source.connect(), Error::None);
    assert_eq!(source.set_queue(1), Error::AlreadyConnected);
    let mut connection = stream(&server);
    assert!(matches!(source.take(10_000), Ok(Seen::Open(_))));
    // One thread at a time.
    let waiting = thread::spawn(move || {
        loop {
            match source.take(-1) {
                // The other one looks whether this one waits.
                Err(Error::Busy) => {}
                taken => return taken,
            }
        }
    });
    support::until("the other thread waits", || {
        source.take(0) == Err(Error::Busy)
    });
    connection.chunk("data: a\n\n");
    assert!(matches!(waiting.join().unwrap(), Ok(Seen::Event(_))));
    source.free();
}

/// Errors: a source has a queue or callbacks, not both; `connect` says so, and
/// either can be taken away or made up for.
#[test]
fn a_queue_and_callbacks_exclude_each_other() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    assert_eq!(source.handle().set_queue(10), Error::None);
    assert_eq!(source.connect(), Error::Queue);
    let source = Handle::bare(&server.url("/"));
    assert_eq!(source.set_queue(10), Error::None);
    let mut id = 1;
    // SAFETY: the source lives; the listener is refused.
    let error = unsafe {
        ffi::eventsource_add_listener(
            source.as_ptr(),
            c"message".as_ptr(),
            Some(never),
            ptr::null_mut(),
            None,
            &mut id,
        )
    };
    assert_eq!((error, id), (Error::Queue, 0));
    assert_eq!(source.connect(), Error::None);
    source.free();
}

extern "C" fn never(
    _: *mut CSource,
    _: *const ffi::CEvent,
    _: *mut std::ffi::c_void,
) {
    std::process::abort();
}

/// Freeing: whatever waits, and whatever the source's thread waits for.
#[test]
fn frees_with_items_left() {
    for capacity in [1, 100] {
        let server = Server::start();
        let source = Puller::connected(&server.url("/"), capacity);
        let mut connection = stream(&server);
        connection.chunk("data: a\n\n".repeat(50));
        source.opened();
        assert!(readable(fd(*source), 10_000));
        drop(source);
    }
}

/// No item is lost and none comes twice while one side writes as fast as it
/// can, and the other now waits for the descriptor and now does not.
#[test]
fn loses_no_wake_up() {
    const EVENTS: usize = 200_000;
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 64);
    let mut connection = stream(&server);
    let sending = thread::spawn(move || {
        let mut number = 0;
        while number < EVENTS {
            // One event, or a few hundred at once.
            let many = 1 + number * 7 % 300;
            let some: String = (number..EVENTS.min(number + many))
                .map(|number| format!("data: {number}\n\n"))
                .collect();
            number += many;
            connection.chunk(some);
        }
        connection
    });
    source.opened();
    let mut number = 0;
    while number < EVENTS {
        assert!(readable(fd(*source), 10_000), "lost after {number}");
        // As a loop would: until there is nothing more, or only once.
        let most = if number % 3 == 0 { 1 } else { usize::MAX };
        for _ in 0..most {
            match source.take(0) {
                Ok(Seen::Event(event)) => {
                    assert_eq!(event.data, number.to_string());
                    number += 1;
                }
                Err(Error::Timeout) => break,
                other => panic!("{other:?}"),
            }
        }
    }
    source.is_empty();
    sending.join().unwrap();
}

/// Pull mode: what is set too late is refused at once, whatever the source is
/// about.
#[test]
fn settings_are_refused_while_the_source_runs() {
    let server = Server::start();
    let source = Puller::connected(&server.url("/"), 1);
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    assert!(matches!(source.item(), Seen::Open(_)));
    connection.send("data: 1\n\ndata: 2\n\ndata: 3\n\n");
    assert!(readable(fd(source.0), 10_000), "nothing comes");
    let handle = source.0;
    promptly("a setter", move || {
        assert_eq!(handle.set_queue(2), Error::AlreadyConnected);
        assert_eq!(handle.connect(), Error::AlreadyConnected);
    });
}
