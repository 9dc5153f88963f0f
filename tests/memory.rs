//! Where there is no memory for what a server or the program makes large, the
//! program goes on. The allocator is the test's: on a thread that says so it
//! gives no large pieces.

#![expect(unsafe_code, reason = "an allocator that refuses")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::CString;
use std::ops::ControlFlow::Continue;
use std::{iter, ptr};

use eventsource::ffi::*;
use eventsource::parser::{Item, Parser};
use support::callbacks::{Asking, Callback, Callbacks};
use support::pointer::Pointer;
use support::server::{EVENT_STREAM, Server};
use support::source::{Seen, Source};

/// More than any small object of the library, and less than what is lacking.
const SMALL: usize = 64 << 10;
const LARGE: usize = 1 << 20;

thread_local! {
    /// The largest piece that this thread is given.
    static LARGEST: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Refusing;

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

// SAFETY: everything is the system allocator's doing, or there is nothing.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match layout.size() <= LARGEST.get() {
            // SAFETY: the caller's promise, passed on.
            true => unsafe { System.alloc(layout) },
            false => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(
        &self,
        memory: *mut u8,
        layout: Layout,
        size: usize,
    ) -> *mut u8 {
        match size <= LARGEST.get() {
            // SAFETY: the caller's promise, passed on.
            true => unsafe { System.realloc(memory, layout, size) },
            false => ptr::null_mut(),
        }
    }
}

/// Without memory for large pieces, on this thread.
fn short_of_memory<T>(work: impl FnOnce() -> T) -> T {
    let before = LARGEST.replace(SMALL);
    let result = work();
    LARGEST.set(before);
    result
}

/// The largest piece that the source's thread is given in each attempt; the last
/// one stands for all that follow.
struct Given(&'static [usize]);

impl Callbacks for Given {
    fn on_request(&self, _: Pointer, request: &Asking) {
        let attempt = usize::try_from(request.attempt()).expect("a few");
        LARGEST.set(self.0[attempt.min(self.0.len()) - 1]);
    }
}

fn given(source: Source, pieces: &'static [usize]) -> Source {
    let given = Box::leak(Box::new(Given(pieces)));
    assert_eq!(source.call(Callback::Request, given), Error::None);
    source
}

/// Memory: a header, a body or a URL that the program has made large.
#[test]
fn a_large_request_without_memory_is_tried_again() {
    let server = Server::start();
    let large = "x".repeat(LARGE);
    let url = server.url(&format!("/{large}"));
    let plain = server.url("/");
    for source in
        [Source::new(&plain).with_header("X-Large", &large), Source::new(&url)]
    {
        let source = given(source, &[SMALL, usize::MAX]).doing(|seen, _| {
            if let Seen::Error(_) = seen {
                LARGEST.set(usize::MAX);
            }
        });
        let source = source.start();
        let failure = source.retrying(Error::System);
        assert_eq!(failure.message, "no memory for the request");
        let connection = server.accept();
        let request = &connection.request;
        let sent = request.header("x-large").map_or(0, str::len);
        assert_eq!(sent.max(request.target.len() - 1), LARGE);
    }
}

/// Memory: of the body of a refused response the beginning is kept, where there
/// is no memory for all of it.
#[test]
fn a_large_body_without_memory_is_cut() {
    let body = "x".repeat(LARGE);
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with(eventsource_set_max_body_size, 2 * LARGE);
    let source = given(source, &[SMALL]).start();
    let mut connection = server.accept();
    connection.send("HTTP/1.1 404 -\r\nConnection: close\r\n\r\n");
    // What is not read ends the connection.
    let _ = connection.try_send(&body);
    let failure = source.failed(Error::Status);
    assert!(!failure.body.is_empty() && failure.body.len() < SMALL);
    assert!(!failure.body_complete);
}

/// Memory: what the program sets is copied, or refused, and nothing changes.
#[test]
fn large_settings_without_memory_are_refused() {
    let server = Server::start();
    let large = "x".repeat(LARGE);
    let source = Source::new(&server.url("/"));
    let body = short_of_memory(|| source.set_body(large.as_bytes()));
    assert_eq!(body, Error::System);
    let large = CString::new(large).expect("no NUL");
    let (pointer, text) = (source.as_ptr(), large.as_ptr());
    let mut made = ptr::null_mut();
    short_of_memory(|| {
        // SAFETY: a living source, and texts.
        unsafe {
            let name = c"X-Large".as_ptr();
            let header = eventsource_set_header(pointer, name, text);
            assert_eq!(header, Error::System);
            let id = eventsource_set_last_event_id(pointer, text);
            assert_eq!(id, Error::System);
            assert_eq!(eventsource_set_proxy(pointer, text), Error::System);
            assert_eq!(eventsource_set_method(pointer, text), Error::System);
            assert_eq!(eventsource_new(text, &mut made), Error::System);
        }
    });
    assert_eq!(source.connect(), Error::System);
    assert!(!server.is_asked());
    // Each has to be made good.
    assert_eq!(source.set_body(b""), Error::None);
    let _source = source
        .without_header("X-Large")
        .with_last_event_id("")
        .with_proxy("")
        .with_method("GET")
        .start();
    let connection = server.accept();
    let request = &connection.request;
    assert_eq!((&*request.method, request.header("x-large")), ("GET", None));
    assert_eq!(request.header("last-event-id"), None);
}

/// Pull mode: an item for which there is no memory beside what waits is dropped
/// like one that is over the limit; its id counts, and the next one comes.
#[test]
fn an_item_without_memory_is_dropped() {
    /// Less than an item has, which comes in one piece.
    const LITTLE: usize = 16 << 10;
    let long = "x".repeat(2 * LITTLE);
    for item in [
        format!("id: 7\ndata: {long}\n\n"),
        format!("id: 7\n\n:{long}\n"),
        format!("id: 7\ndata: {long}\ndata: {long}\n\n"),
    ] {
        let server = Server::start();
        let source = Source::new(&server.url("/")).pulling();
        let comments = eventsource_set_comments;
        assert_eq!(source.set(comments, 1), Error::None);
        assert_eq!(source.set_queue(1), Error::None);
        // The second attempt finds the receive buffer that the first has needed.
        let source = given(source, &[usize::MAX, LITTLE]).start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        connection.send(format!("data: {long}\n\n"));
        source.message(&long);
        connection.finish();
        source.ended();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        wait_for_item(&source);
        // The queue is full, so that nothing of this is read before all of it
        // has come.
        connection.send(item + "data: after\n\n");
        source.opened();
        let failure = source.failure(Error::TooLarge);
        assert_eq!(failure.message, "no memory for an event");
        assert_eq!(source.message("after").id, "7");
        source.close();
        source.closed(Error::None);
    }
}

/// Memory: an event that has no limit, and comes in pieces, is dropped when
/// there is no memory for the next line of its data.
#[test]
fn an_event_without_a_limit_is_dropped() {
    let line = format!("data: {}\n", "x".repeat(SMALL / 8));
    let mut parser = Parser::new();
    parser.set_max_event_size(0);
    let mut said = Vec::with_capacity(10);
    let pieces = iter::repeat_n(&*line, 10).chain(["\n", "data: after\n\n"]);
    for piece in pieces {
        let mut piece = piece.as_bytes().to_vec();
        short_of_memory(|| {
            let _ = parser.feed(&mut piece, |item| {
                said.push(match item {
                    Item::Event(event) => event.data.bytes().len(),
                    Item::TooLarge => 0,
                    other => panic!("{other:?}"),
                });
                Continue(())
            });
        });
    }
    assert_eq!(said, [0, "after".len()]);
}

/// Waits until an item waits, and takes none.
fn wait_for_item(source: &Source) {
    // SAFETY: a living source.
    let fd = unsafe { eventsource_fd(source.as_ptr()) };
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry.
    assert_eq!(unsafe { libc::poll(&mut entry, 1, 10_000) }, 1);
}
