//! Where a stream goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventsource::ffi::Error;

use support::server::{EVENT_STREAM, Server};
use support::source::{Event, Seen, Source};

/// One connection: the `Last-Event-ID` of its request, and the events of its
/// stream. Then it is lost.
fn serve(
    server: &Server,
    source: &Source,
    stream: &str,
) -> (Option<String>, Vec<Event>) {
    let mut connection = server.accept();
    let id = connection.request.header("last-event-id").map(str::to_owned);
    connection.send(EVENT_STREAM);
    source.opened();
    connection.send(stream);
    connection.finish();
    let mut events = Vec::new();
    loop {
        match source.next() {
            Seen::Event(event) => events.push(event),
            Seen::Comment(_) => {}
            Seen::Error(failure) => {
                let error = failure.error;
                assert!(matches!(error, Error::Ended | Error::Lost));
                return (id, events);
            }
            other => panic!("an event or on_error expected: {other:?}"),
        }
    }
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| &*event.id).collect()
}

/// R35, R58, R59. The id is for life: of later events, of the next request,
/// and of the next stream's events, until another one comes.
#[test]
fn the_id_is_for_life() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let stream = "data: 1\n\nid: a\ndata: 2\n\ndata: 3\n\n";
    let (id, events) = serve(&server, &source, stream);
    assert_eq!(id, None);
    assert_eq!(ids(&events), ["", "a", "a"]);
    let (id, events) = serve(&server, &source, "data: 4\n\n");
    assert_eq!(id.as_deref(), Some("a"));
    assert_eq!(ids(&events), ["a"]);
    let (id, events) = serve(&server, &source, "data: 5\n\ndata\nid: b\n\n");
    assert_eq!(id.as_deref(), Some("a"));
    assert_eq!(ids(&events), ["a", "b"]);
    let (id, _) = serve(&server, &source, "data: 6\n\n");
    assert_eq!(id.as_deref(), Some("b"));
    assert_eq!(source.last_event_id(), "b");
}

/// R59. The id survives connections that bring nothing.
#[test]
fn the_id_survives_a_connection_that_brings_nothing() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    serve(&server, &source, "id: a\ndata: x\n\n");
    let (id, _) = serve(&server, &source, "");
    assert_eq!(id.as_deref(), Some("a"));
    let (id, events) = serve(&server, &source, "data: x\n\n");
    assert_eq!(id.as_deref(), Some("a"));
    assert_eq!(ids(&events), ["a"]);
}

/// R35. The id survives attempts that fail.
#[test]
fn the_id_survives_failed_attempts() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    serve(&server, &source, "id: a\ndata: x\n\n");
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("a"));
    connection.finish();
    assert!(matches!(source.next(), Seen::Error(_)));
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("a"));
}

/// R53. The id of a block without data counts, too.
#[test]
fn the_id_of_a_block_without_data_counts() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let stream = "id: a\n\ndata: 1\n\nid: b\nevent: x\n\n";
    let (_, events) = serve(&server, &source, stream);
    assert_eq!(ids(&events), ["a"]);
    assert_eq!(source.last_event_id(), "b");
    let (id, _) = serve(&server, &source, "");
    assert_eq!(id.as_deref(), Some("b"));
}

/// R60. The id of a block that was not finished does not count, neither for
/// the next request nor for the next stream's events.
#[test]
fn the_id_of_an_unfinished_block_does_not_count() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for cut in ["id: b", "id: b\n", "id: b\ndata: x\n", "id\n", "id: b\n: c\n"]
    {
        let stream = format!("id: a\ndata: 1\n\n{cut}");
        serve(&server, &source, &stream);
        assert_eq!(source.last_event_id(), "a", "{cut:?}");
        let (id, events) = serve(&server, &source, "data: 2\n\n");
        assert_eq!(id.as_deref(), Some("a"), "{cut:?}");
        assert_eq!(ids(&events), ["a"], "{cut:?}");
    }
}

/// R60. Nothing of an unfinished block comes back on the next connection.
#[test]
fn an_unfinished_block_is_forgotten() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for cut in ["data: cut", "data: cut\n", "event: cut\n", "da", "data:\r"] {
        serve(&server, &source, &format!("data: 1\n\n{cut}"));
        let (_, events) = serve(&server, &source, "data: 2\n\n");
        assert_eq!(events.len(), 1, "{cut:?}");
        let event = &events[0];
        assert_eq!((&*event.kind, &*event.data), ("message", "2"), "{cut:?}");
    }
}

/// R39. Every connection may begin with a BOM.
#[test]
fn every_connection_may_begin_with_a_bom() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for _ in 0..2 {
        let (_, events) = serve(&server, &source, "\u{feff}data: x\n\n");
        assert_eq!(events.len(), 1);
    }
}

/// R36. An empty id clears it, and the header is left out.
#[test]
fn an_empty_id_clears_it() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for empty in ["id\n", "id:\n", "id: \n"] {
        let stream = format!("id: a\ndata: 1\n\n{empty}data: 2\n\n");
        let (_, events) = serve(&server, &source, &stream);
        assert_eq!(ids(&events), ["a", ""]);
        assert_eq!(source.last_event_id(), "");
        let (id, events) = serve(&server, &source, "data: 3\n\n");
        assert_eq!(id, None, "{empty:?}");
        assert_eq!(ids(&events), [""]);
    }
}

/// R52. An id with NUL is none.
#[test]
fn an_id_with_nul_is_ignored() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let stream = "id: a\ndata: 1\n\nid: b\0c\ndata: 2\n\n";
    let (_, events) = serve(&server, &source, stream);
    assert_eq!(ids(&events), ["a", "a"]);
    let (id, _) = serve(&server, &source, "");
    assert_eq!(id.as_deref(), Some("a"));
}

/// R35. The header has the id's UTF-8, byte for byte.
#[test]
fn the_id_is_sent_as_it_is() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for expected in ["ü", "€", "😀", "a b", "a,b;c=\"d\"", "%41", "a\tb", "0"]
    {
        serve(&server, &source, &format!("id: {expected}\ndata: x\n\n"));
        let (id, events) = serve(&server, &source, "data: x\n\n");
        assert_eq!(id.as_deref(), Some(expected));
        assert_eq!(ids(&events), [expected]);
    }
}

/// R37. An id that no header can carry is left out of the request, and the
/// source lives on, with that id.
#[test]
fn an_id_that_no_header_can_carry_is_left_out() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for odd in ["\u{1}", "a\u{b}b", "\u{1b}[0m", "a\u{7f}"] {
        serve(&server, &source, &format!("id: {odd}\ndata: x\n\n"));
        let (id, events) = serve(&server, &source, "data: x\n\n");
        assert_eq!(id, None, "{odd:?}");
        assert_eq!(ids(&events), [odd]);
        assert_eq!(source.last_event_id(), odd);
        let (id, _) = serve(&server, &source, "id: 1\ndata: x\n\n");
        assert_eq!(id, None, "{odd:?}");
        let (id, _) = serve(&server, &source, "data: x\n\n");
        assert_eq!(id.as_deref(), Some("1"));
    }
}

/// R37. An id longer than servers read does not end the source: up to 16 KiB
/// of it are sent, and a longer one is kept and left out.
#[test]
fn an_id_that_is_too_long_to_be_sent_is_kept() {
    for (length, is_sent) in
        [(16 << 10, true), ((16 << 10) + 1, false), (3 << 20, false)]
    {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let long = "x".repeat(length);
        serve(&server, &source, &format!("id: {long}\ndata: x\n\n"));
        let (id, events) = serve(&server, &source, "data: x\n\n");
        assert_eq!(id.as_deref(), is_sent.then_some(&*long), "{length}");
        assert_eq!(ids(&events), [&*long]);
        let kept = source.last_event_id_in(length + 1);
        assert_eq!(kept, (long, length));
        // A shorter one is sent again.
        serve(&server, &source, "id: 7\n\n");
        assert_eq!(serve(&server, &source, "").0.as_deref(), Some("7"));
    }
    // Also one that was preset.
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_last_event_id(&"x".repeat(20_000))
        .start();
    assert_eq!(serve(&server, &source, "").0, None);
}

/// The id can be preset: it is sent with the first request, and it is that of
/// the first events.
#[test]
fn the_id_can_be_preset() {
    let server = Server::start();
    let source = Source::new(&server.url("/")).with_last_event_id("ü7").start();
    assert_eq!(source.last_event_id(), "ü7");
    let (id, events) = serve(&server, &source, "data: x\n\n");
    assert_eq!(id.as_deref(), Some("ü7"));
    assert_eq!(ids(&events), ["ü7"]);
}

/// An id preset twice is the second; an empty one is none.
#[test]
fn a_preset_id_can_be_cleared() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_last_event_id("7")
        .with_last_event_id("")
        .start();
    assert_eq!(serve(&server, &source, "").0, None);
}

/// Errors: what a stream could never have said is no id.
#[test]
fn refuses_ids_that_no_stream_could_have_said() {
    let source = Source::new("http://127.0.0.1/").with_last_event_id("7");
    for id in ["a\nb", "a\rb", "a\r\nX-Evil: 1", "\n"] {
        assert_eq!(source.set_last_event_id(id), Error::Value, "{id:?}");
    }
    assert_eq!(source.last_event_id(), "7");
}

/// The id goes into a buffer of the program's, whole or not at all.
#[test]
fn the_id_is_copied_whole_or_not_at_all() {
    let source = Source::new("http://127.0.0.1/").with_last_event_id("üx");
    assert_eq!(source.last_event_id_in(0), (String::new(), 3));
    for size in 1..=3 {
        assert_eq!(source.last_event_id_in(size), (String::new(), 3));
    }
    for size in 4..=6 {
        assert_eq!(source.last_event_id_in(size), ("üx".to_owned(), 3));
    }
}

/// R53. Inside a callback the id is that of the event.
#[test]
fn inside_a_callback_the_id_is_that_of_the_event() {
    let server = Server::start();
    let (sender, read) = std::sync::mpsc::channel();
    let source = Source::new(&server.url("/"))
        .doing(move |seen, source| {
            if let Seen::Event(_) = seen {
                sender.send(source.last_event_id()).unwrap();
            }
        })
        .start();
    let stream = "id: a\ndata: 1\n\nid: b\ndata: 2\n\nid: c\ndata: 3\n\n";
    serve(&server, &source, stream);
    for id in ["a", "b", "c"] {
        assert_eq!(read.recv().unwrap(), id);
    }
}

/// Threads: the id can be read at any time, from any thread; it is always
/// some event's, never half of one and half of another.
#[test]
fn the_id_can_be_read_from_other_threads() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (handle, over) = (source.handle(), over.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let (id, length) = handle.last_event_id_in(64);
                    assert_eq!(id.len(), length);
                    let mut letters = id.chars();
                    let first = letters.next();
                    assert!(letters.all(|letter| Some(letter) == first));
                }
            })
        })
        .collect();
    let stream: String = (0..2000)
        .map(|number| {
            let letter = char::from(b'a' + (number % 26) as u8);
            let id = letter.to_string().repeat(1 + number % 50);
            format!("id: {id}\ndata: x\n\n")
        })
        .collect();
    serve(&server, &source, &stream);
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().expect("whole ids");
    }
}
