//! Who gets which event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventsource::ffi::{self, Error, ReadyState};

use support::server::{Connection, EVENT_STREAM, Server};
use support::source::{Seen, Source};

fn opened(source: Source, server: &Server) -> (Source, Connection) {
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    (source, connection)
}

/// The next callback is the listener `name`, with this data.
#[track_caller]
fn heard(source: &Source, name: &str, data: &str) {
    match source.next() {
        Seen::Heard(who, event) => {
            assert_eq!((who, &*event.data), (name, data));
        }
        other => panic!("the listener {name} expected: {other:?}"),
    }
}

/// R57. An event goes to `on_event`, then to the listeners of its type, and to
/// no other.
#[test]
fn an_event_goes_to_the_listeners_of_its_type() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    source.listen("message", "message");
    source.listen("add", "add");
    source.listen("Add", "Add");
    source.listen("ü", "ü");
    source.listen("", "empty");
    let (source, mut connection) = opened(source, &server);
    connection.send(
        "data: 1\n\nevent: add\ndata: 2\n\nevent: Add\ndata: 3\n\n\
         event: ü\ndata: 4\n\nevent:\ndata: 5\n\nevent: other\ndata: 6\n\n\
         event: message\ndata: 7\n\nevent: add \ndata: 8\n\n",
    );
    for (kind, data, listener) in [
        ("message", "1", Some("message")),
        ("add", "2", Some("add")),
        ("Add", "3", Some("Add")),
        ("ü", "4", Some("ü")),
        ("message", "5", Some("message")),
        ("other", "6", None),
        ("message", "7", Some("message")),
        ("add ", "8", None),
    ] {
        let event = source.event();
        assert_eq!((&*event.kind, &*event.data), (kind, data));
        if let Some(name) = listener {
            heard(&source, name, data);
        }
    }
}

/// R6. Listeners of one type are called in the order in which they came.
#[test]
fn listeners_are_called_in_the_order_in_which_they_came() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let ids = ["1", "2", "3", "4"].map(|name| source.listen("add", name));
    let (source, mut connection) = opened(source, &server);
    connection.send("event: add\ndata: x\n\n");
    source.event();
    for name in ["1", "2", "3", "4"] {
        heard(&source, name, "x");
    }
    assert_eq!(source.unlisten(ids[1]), Error::None);
    source.listen("add", "5");
    connection.send("event: add\ndata: y\n\n");
    source.event();
    for name in ["1", "3", "4", "5"] {
        heard(&source, name, "y");
    }
}

/// Listeners: each has a number of its own, which is never used again; one
/// that is unknown is an error.
#[test]
fn numbers_of_listeners_are_never_used_again() {
    let source = Source::new("http://127.0.0.1/");
    let first = source.listen("add", "1");
    let second = source.listen("add", "2");
    assert_ne!(first, second);
    assert_eq!(source.unlisten(second), Error::None);
    assert_eq!(source.unlisten(second), Error::Value);
    let third = source.listen("add", "3");
    assert!(third != first && third != second);
    assert_eq!(source.unlisten(0), Error::Value);
    assert_eq!(source.unlisten(u64::MAX), Error::Value);
}

/// Errors: a listener needs a type and a callback; its number need not be
/// asked for, and is 0 on error.
#[test]
fn a_listener_needs_a_type_and_a_callback() {
    extern "C" fn on_event(
        _: *mut ffi::CSource,
        _: *const ffi::CEvent,
        _: *mut std::ffi::c_void,
    ) {
    }
    type Callback = extern "C" fn(
        *mut ffi::CSource,
        *const ffi::CEvent,
        *mut std::ffi::c_void,
    );
    use std::ptr::null_mut;
    let mut source = null_mut();
    let mut id = 7;
    // SAFETY: a source of its own; NULL is what is tested.
    unsafe {
        let url = c"http://127.0.0.1/".as_ptr();
        assert_eq!(ffi::eventsource_new(url, &mut source), Error::None);
        let add = ffi::eventsource_add_listener;
        let (kind, on_event) = (c"add".as_ptr(), Some(on_event as Callback));
        let none: *mut std::ffi::c_void = null_mut();
        assert_eq!(
            add(none.cast(), kind, on_event, none, None, &mut id),
            Error::Null
        );
        assert_eq!(id, 0);
        id = 7;
        assert_eq!(
            add(source, std::ptr::null(), on_event, none, None, &mut id),
            Error::Null
        );
        assert_eq!(id, 0);
        id = 7;
        assert_eq!(add(source, kind, None, none, None, &mut id), Error::Null);
        assert_eq!(id, 0);
        id = 7;
        let bytes = c"\xff".as_ptr();
        assert_eq!(
            add(source, bytes, on_event, none, None, &mut id),
            Error::Utf8
        );
        assert_eq!(id, 0);
        let nowhere = null_mut();
        assert_eq!(
            add(source, kind, on_event, none, None, nowhere),
            Error::None
        );
        ffi::eventsource_free(source);
    }
}

/// R57. An event named `open`, `error` or `close` is an event, and changes no
/// state.
#[test]
fn events_named_open_and_error_are_events() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    source.listen("open", "open");
    source.listen("error", "error");
    let (source, mut connection) = opened(source, &server);
    for name in ["open", "error"] {
        connection.send(format!("event: {name}\ndata: x\n\n"));
        assert_eq!(source.event().kind, name);
        heard(&source, name, "x");
        assert_eq!(source.ready_state(), ReadyState::Open);
    }
    connection.send("event: close\ndata: x\n\n");
    assert_eq!(source.event().kind, "close");
    // Nor do the real ones call a listener of that name.
    connection.finish();
    source.ended();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// Listeners: one added during a dispatch does not get that event, but all
/// later ones.
#[test]
fn a_listener_added_in_a_callback_gets_later_events() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).doing(|seen, source| match seen {
            Seen::Event(event) if event.data == "1" => {
                source.listen("message", "in on_event");
            }
            Seen::Heard("first", event) if event.data == "1" => {
                source.listen("message", "in a listener");
            }
            _ => {}
        });
    source.listen("message", "first");
    let (source, mut connection) = opened(source, &server);
    connection.send("data: 1\n\ndata: 2\n\n");
    source.message("1");
    heard(&source, "first", "1");
    source.message("2");
    heard(&source, "first", "2");
    heard(&source, "in on_event", "2");
    heard(&source, "in a listener", "2");
}

/// Listeners: one removed in a callback is not called any more, not for the
/// event that is being dispatched either.
#[test]
fn a_listener_removed_in_a_callback_is_not_called_any_more() {
    let server = Server::start();
    let ids: Arc<[AtomicU64; 3]> = Arc::default();
    let shared = ids.clone();
    let source = Source::new(&server.url("/")).doing(move |seen, source| {
        let remove = |which: usize| {
            let id = shared[which].load(Ordering::Relaxed);
            assert_eq!(source.unlisten(id), Error::None);
        };
        match seen {
            // The next one, and itself.
            Seen::Heard("0", event) if event.data == "1" => {
                remove(1);
                remove(0);
            }
            Seen::Event(event) if event.data == "2" => remove(2),
            _ => {}
        }
    });
    for (id, name) in ids.iter().zip(["0", "1", "2"]) {
        id.store(source.listen("message", name), Ordering::Relaxed);
    }
    let (source, mut connection) = opened(source, &server);
    connection.send("data: 1\n\ndata: 2\n\ndata: 3\n\n");
    source.message("1");
    heard(&source, "0", "1");
    heard(&source, "2", "1");
    source.message("2");
    source.message("3");
}

/// Threads: listeners may come and go on other threads while events come.
#[test]
fn listeners_come_and_go_on_other_threads() {
    let server = Server::start();
    let (source, mut connection) =
        opened(Source::new(&server.url("/")), &server);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let handle = source.handle();
            std::thread::spawn(move || {
                for _ in 0..500 {
                    let id = handle.listen("message", "brief");
                    assert_eq!(handle.unlisten(id), Error::None);
                }
            })
        })
        .collect();
    connection.send("data: x\n\n".repeat(500) + "event: end\ndata\n\n");
    for thread in threads {
        thread.join().expect("listeners of its own");
    }
    while !matches!(source.next(), Seen::Event(event) if event.kind == "end") {}
    // All are gone.
    connection.send("data: y\n\ndata: z\n\n");
    source.message("y");
    source.message("z");
}

/// R32. Events that were read already are dropped when the program closes, in
/// the first of many that came together.
#[test]
fn events_behind_a_close_are_dropped() {
    let server = Server::start();
    let source = Source::new(&server.url("/")).doing(|seen, source| {
        if let Seen::Event(_) = seen {
            source.close();
            assert_eq!(source.ready_state(), ReadyState::Closed);
        }
    });
    source.listen("message", "listener");
    let source = source.start();
    let mut connection = server.accept();
    let events = "data: x\n\n: comment\nid: 7\n\nretry: 5\n".repeat(50);
    connection.send(EVENT_STREAM.to_owned() + &events);
    source.opened();
    assert!(matches!(source.next(), Seen::Event(_)));
    // No callback begins any more, the listener's included.
    source.closed(Error::None);
    connection.sees_the_client_close();
    assert!(!server.is_asked());
}

/// R32. The same, where a listener closes: the next one is not called.
#[test]
fn listeners_behind_a_close_are_not_called() {
    let server = Server::start();
    let source = Source::new(&server.url("/")).doing(|seen, source| {
        if let Seen::Heard("1", _) = seen {
            source.close();
        }
    });
    source.listen("message", "1");
    source.listen("message", "2");
    let (source, mut connection) = opened(source, &server);
    connection.send("data: x\n\ndata: y\n\n");
    source.message("x");
    heard(&source, "1", "x");
    source.closed(Error::None);
}

/// R31, R32. The same, where `on_open` closes: no event follows.
#[test]
fn nothing_follows_a_close_in_on_open() {
    let server = Server::start();
    let source = Source::new(&server.url("/")).doing(|seen, source| {
        if let Seen::Open(_) = seen {
            source.close();
        }
    });
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
    assert!(matches!(source.next(), Seen::Open(_)));
    source.closed(Error::None);
    connection.sees_the_client_close();
}

/// Callbacks that were never set are not missed.
#[test]
fn a_source_without_callbacks_reads_on() {
    // Whichever source connects first decides where the trust store is.
    support::certificates::install();
    let server = Server::start();
    let url = std::ffi::CString::new(server.url("/")).unwrap();
    let mut source = std::ptr::null_mut();
    // SAFETY: a source of its own, closed and freed before the test ends.
    unsafe {
        assert_eq!(
            ffi::eventsource_new(url.as_ptr(), &mut source),
            Error::None
        );
        let time = ffi::eventsource_set_reconnection_time;
        assert_eq!(time(source, 1), Error::None);
        assert_eq!(ffi::eventsource_connect(source), Error::None);
    }
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("id: 1\ndata: x\n\n:c\n");
    connection.finish();
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("1"));
    // SAFETY: see above.
    unsafe {
        ffi::eventsource_close(source);
        assert_eq!(ffi::eventsource_wait(source, -1), Error::None);
        ffi::eventsource_free(source);
    }
}

/// R40, R41. A lone CR ends a line, and an event, without waiting for what
/// comes next.
#[test]
fn a_lone_cr_does_not_wait() {
    let server = Server::start();
    let (source, mut connection) =
        opened(Source::new(&server.url("/")), &server);
    for end in ["\r\r", "\r\n\r\n", "\n\n", "\n\r", "\r\r\n"] {
        connection.send(format!("data: x{end}"));
        source.message("x");
    }
}

/// R54. The type of a block without data does not pass to the next event.
#[test]
fn the_type_of_a_block_without_data_is_forgotten() {
    let server = Server::start();
    let (source, mut connection) =
        opened(Source::new(&server.url("/")), &server);
    connection.send("event: add\n\ndata: x\n\n");
    source.message("x");
}

/// R6, R59. Listeners are the source's: they hear the next stream as well.
#[test]
fn listeners_survive_a_reconnection() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    source.listen("add", "listener");
    let source = source.start();
    for data in ["1", "2"] {
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        connection.send(format!("event: add\ndata: {data}\n\n"));
        source.opened();
        source.event();
        heard(&source, "listener", data);
        connection.finish();
        source.ended();
    }
}
