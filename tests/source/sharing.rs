//! HTTP/2: sources of a loop that share connections.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{mem, thread};

use eventsource::ffi::{self, Error, HttpVersion, ReadyState};
use flate2::Compression;
use flate2::write::GzEncoder;

use support::certificates;
use support::event_loop::EventLoop;
use support::http2::*;
use support::pointer::Setter;
use support::server::{EVENT_STREAM as OVER_HTTP1, Server};
use support::source::{Handle, Seen, Source};
use support::{promptly, until};

const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const HTTP_1_1_REQUIRED: u32 = 13;
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// A loop of the library's thread, and a server.
struct Shared {
    event_loop: EventLoop,
    server: Server,
}

impl Shared {
    fn new() -> Shared {
        Shared::with(Server::start())
    }

    fn with(server: Server) -> Shared {
        Shared { event_loop: EventLoop::started(), server }
    }

    /// A source that asks for this path, and is to be started.
    fn source(&self, path: &str) -> Source {
        let url = self.server.url(path);
        self.event_loop.drives_in(|| Source::new(&url)).over_http2()
    }

    /// A first source that is open, and its connection.
    fn first(&self) -> (Source, Http2) {
        let source = self.source("/first").start();
        let mut connection = Http2::accept(&self.server);
        connection.open();
        source.opened();
        (source, connection)
    }

    /// Another one, over the same connection, and its stream.
    fn another(&self, connection: &mut Http2, path: &str) -> (Source, u32) {
        let source = self.source(path).start();
        connection.next_request();
        assert_eq!(connection.request.target, path);
        connection.open();
        source.opened();
        (source, connection.stream)
    }

    /// Nobody has connected since.
    #[track_caller]
    fn nobody_connects(&self) {
        assert!(!self.server.is_asked(), "another connection");
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let event_loop = self.event_loop;
        if !thread::panicking() {
            promptly("loop_free", move || event_loop.free());
        }
    }
}

/// A piece of a stream that is not the one read last.
fn data(connection: &mut Http2, stream: u32, data: &str) {
    data_of(connection, stream, data.as_bytes());
}

fn data_of(connection: &mut Http2, stream: u32, data: &[u8]) {
    connection.send_frame(DATA, 0, stream, data);
}

/// R25, R35. Sources of one server have streams of one connection; what comes is
/// told to the source whose stream it is.
#[test]
fn sources_of_a_server_share_a_connection() {
    for secure in [false, true] {
        let config = certificates::http2_only("127.0.0.1");
        let shared = match secure {
            false => Shared::new(),
            true => Shared::with(Server::secure(config)),
        };
        let (first, mut connection) = shared.first();
        let others = ["/a?b", "/c", "/d"];
        let others = others.map(|path| shared.another(&mut connection, path));
        data(&mut connection, 1, "data: first\n\n");
        for (_, stream) in others.iter().rev() {
            let text = format!("id: {stream}\ndata: {stream}\n\n");
            data(&mut connection, *stream, &text);
        }
        first.message("first");
        for (source, stream) in &others {
            assert_eq!(
                source.message(&stream.to_string()).id,
                stream.to_string()
            );
        }
        // One that ends is asked for again over the same connection.
        let (source, stream) = &others[1];
        connection.send_frame(DATA, END_STREAM, *stream, &[]);
        source.ended();
        connection.next_request();
        let id = stream.to_string();
        assert_eq!(connection.request.header("last-event-id"), Some(&*id));
        connection.open();
        source.opened();
        connection.data("data: again\n\n");
        source.message("again");
        shared.nobody_connects();
    }
}

/// What is on its way for one may come in one read with what is for another, in
/// any pieces.
#[test]
fn what_comes_in_one_read_is_told_apart() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let (second, stream) = shared.another(&mut connection, "/second");
    let mut bytes = Vec::new();
    for number in 0..50 {
        let text = format!("data: {number}\n\n");
        let (one, other) = text.split_at(number % text.len());
        for stream in [1, stream, 1, 1, stream] {
            bytes.extend(frame(DATA, 0, stream, one.as_bytes()));
            bytes.extend(frame(DATA, 0, stream, other.as_bytes()));
        }
    }
    for size in [1, 7, 100, bytes.len()] {
        for piece in bytes.chunks(size) {
            connection.send(piece);
        }
        for number in 0..50 {
            for _ in 0..3 {
                first.message(&number.to_string());
            }
            for _ in 0..2 {
                second.message(&number.to_string());
            }
        }
    }
}

/// A server whose every stream says its path, once.
struct Crowded {
    server: Arc<Server>,
    connections: Arc<AtomicUsize>,
}

impl Crowded {
    fn start(server: Server, settings: &'static [(u16, u32)]) -> Crowded {
        let server = Arc::new(server);
        let connections = Arc::new(AtomicUsize::new(0));
        let (own, count) = (server.clone(), connections.clone());
        thread::spawn(move || {
            while let Ok(connection) = own.accept_unasked() {
                count.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    let mut http2 = Http2::silent(connection);
                    http2.settings(settings);
                    http2.answer_all(|http2| {
                        http2.open();
                        let path = http2.request.target.clone();
                        http2.data(format!("data: {path}\n\n"));
                    });
                });
            }
        });
        Crowded { server, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A thousand sources of one server have ten connections.
#[test]
fn a_thousand_sources_have_ten_connections() {
    const SOURCES: usize = 1000;

    let server = Server::secure(certificates::http2_only("127.0.0.1"));
    let crowded = Crowded::start(server, &[(MAX_CONCURRENT_STREAMS, 100)]);
    let event_loop = EventLoop::started();
    let sources: Vec<_> = (0..SOURCES)
        .map(|number| {
            let url = crowded.server.url(&format!("/{number}"));
            let source = event_loop.drives_in(|| Source::new(&url));
            source.in_version(HttpVersion::Auto).start()
        })
        .collect();
    for (number, source) in sources.iter().enumerate() {
        assert_eq!(source.opened().http_version, 20);
        source.message(&format!("/{number}"));
    }
    assert_eq!(crowded.connections(), SOURCES / 100);
    drop(sources);
    event_loop.free();
}

/// `eventsource_close`, `eventsource_reconnect`, `eventsource_free`: the server
/// is told of one stream, and the others go on.
#[test]
fn one_that_leaves_disturbs_no_other() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let leaves: [fn(Handle); 2] =
        [|it| it.close(), |it| promptly("free", move || it.free())];
    for leave in leaves {
        let (other, stream) = shared.another(&mut connection, "/other");
        leave(other.handle());
        other.closed(Error::None);
        let reset = connection.next(RST_STREAM);
        assert_eq!((reset.stream, reset.number(0)), (stream, CANCEL));
        // What was on its way means nothing.
        data(&mut connection, stream, "data: late\n\n");
        data(&mut connection, 1, "data: one\n\n");
        first.message("one");
    }
    let (other, stream) = shared.another(&mut connection, "/other");
    assert_eq!(other.reconnect(), Error::None);
    let reset = connection.next(RST_STREAM);
    assert_eq!((reset.stream, reset.number(0)), (stream, CANCEL));
    connection.next_request();
    connection.open();
    other.opened();
    data(&mut connection, 1, "data: two\n\n");
    first.message("two");
    shared.nobody_connects();
}

/// With the last source the connection goes; one that waits to come back is one.
#[test]
fn the_last_one_says_good_bye() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let source = shared.source("/waits").with_reconnection_time(3_600_000);
    let other = source.start();
    connection.next_request();
    connection.open();
    other.opened();
    connection.end();
    other.ended();
    first.close();
    connection.stream = 1;
    connection.sees_a_reset(CANCEL);
    assert_eq!(other.reconnect(), Error::None);
    connection.next_request();
    connection.open();
    other.opened();
    other.close();
    connection.sees_a_reset(CANCEL);
    connection.sees_a_good_bye(NO_ERROR);
}

/// A source whose queue is full holds up itself: one window of its stream comes,
/// and the streams of others go on.
#[test]
fn a_full_queue_stalls_one_stream() {
    const WINDOW: usize = 256 * 1024;

    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let slow = shared.source("/slow").pulling();
    assert_eq!(slow.set_queue(1), Error::None);
    let slow = slow.start();
    connection.next_request();
    connection.open();
    let stream = connection.stream;
    let event = format!("data: {}\n\n", "x".repeat(1000));
    let mut sent = 0;
    while sent + event.len() <= WINDOW {
        data(&mut connection, stream, &event);
        sent += event.len();
        data(&mut connection, 1, "data: one\n\n");
    }
    for _ in 0..sent / event.len() {
        first.message("one");
    }
    // All of it comes, when somebody takes it.
    slow.opened();
    for _ in 0..sent / event.len() {
        assert_eq!(slow.event().data.len(), 1000);
    }
    // And more is allowed.
    while connection.next(WINDOW_UPDATE).stream != stream {}
    connection.send_frame(DATA, END_STREAM, stream, b"data: last\n\n");
    slow.message("last");
    slow.ended();
    slow.close();
    slow.closed(Error::None);
}

/// What a little gzip brings is a little at a time, too, with a full queue behind
/// it; what comes after it has its turn, and so has the end.
#[test]
fn a_little_gzip_does_not_bring_much_at_once() {
    const EVENTS: usize = 100_000;
    const LITTLE: u64 = 64 * 1024;

    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let slow = shared.source("/slow").pulling();
    assert_eq!(slow.set_queue(16), Error::None);
    let slow = slow.start();
    connection.next_request();
    let stream = connection.stream;
    let gzip = ("content-encoding", "gzip");
    connection.head(0, &[EVENT_STREAM[0], EVENT_STREAM[1], gzip]);
    slow.opened();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&b"data\n\n".repeat(EVENTS)).expect("memory");
    gzip.flush().expect("memory");
    data_of(&mut connection, stream, &mem::take(gzip.get_mut()));
    for number in 0..3 {
        write!(gzip, "data: {number}\n\n").expect("memory");
        gzip.flush().expect("memory");
        data_of(&mut connection, stream, &mem::take(gzip.get_mut()));
    }
    let rest = gzip.finish().expect("memory");
    connection.send_frame(DATA, END_STREAM, stream, &rest);
    // It was the slow one's turn before.
    data(&mut connection, 1, "data: one\n\n");
    first.message("one");
    let events = slow.stats().events;
    assert!((16..LITTLE).contains(&events), "{events} events at once");
    for _ in 0..EVENTS {
        slow.message("");
    }
    for number in 0..3 {
        slow.message(&number.to_string());
    }
    slow.ended();
    slow.close();
    slow.closed(Error::None);
}

/// Of a refused response's body as much comes as is wanted, however little it
/// was when it was compressed.
#[test]
fn a_refused_body_that_is_compressed_is_whole() {
    let text = "because ".repeat(20_000);
    let shared = Shared::new();
    let (_first, mut connection) = shared.first();
    for (most, is_whole) in [(text.len(), true), (text.len() - 1, false)] {
        let source = shared
            .source("/refused")
            .with(ffi::eventsource_set_max_body_size, most)
            .start();
        connection.next_request();
        let head = [(":status", "403"), ("content-encoding", "gzip")];
        connection.head(0, &head);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(text.as_bytes()).expect("memory");
        let stream = connection.stream;
        let body = gzip.finish().expect("memory");
        connection.send_frame(DATA, END_STREAM, stream, &body);
        let failure = source.failed(Error::Status);
        assert_eq!(failure.body_complete, is_whole);
        assert!(failure.body == text[..most], "{}", failure.body.len());
    }
}

/// A server that goes away is asked for no more streams; those that it has go on
/// beside those of another connection.
#[test]
fn a_connection_that_goes_away_has_a_successor() {
    let shared = Shared::new();
    let first = shared.source("/first").with_reconnection_time(3_600_000);
    let first = first.start();
    let mut old = Http2::accept(&shared.server);
    old.open();
    first.opened();
    old.go_away(1, NO_ERROR);
    data(&mut old, 1, "data: one\n\n");
    first.message("one");
    let second = shared.source("/second").start();
    let mut new = Http2::accept(&shared.server);
    new.open();
    second.opened();
    for round in 0..3 {
        data(&mut old, 1, &format!("data: old {round}\n\n"));
        first.message(&format!("old {round}"));
        new.data(format!("data: new {round}\n\n"));
        second.message(&format!("new {round}"));
    }
    // The last stream of the old one takes it along, though a source waits.
    old.end();
    first.ended();
    old.sees_a_good_bye(NO_ERROR);
    assert_eq!(first.reconnect(), Error::None);
    new.next_request();
    assert_eq!(new.request.target, "/first");
    new.open();
    first.opened();
}

/// R26, R35. With a connection each of its streams is lost, and each source comes
/// back by itself.
#[test]
fn each_source_comes_back_from_a_lost_connection() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let (second, stream) = shared.another(&mut connection, "/second");
    data(&mut connection, 1, "id: a\ndata: one\n\n");
    data(&mut connection, stream, "id: b\ndata: two\n\n");
    first.message("one");
    second.message("two");
    connection.finish();
    first.lost();
    second.lost();
    let mut connection = Http2::accept(&shared.server);
    let mut ids = Vec::new();
    for last in [false, true] {
        let request = &connection.request;
        let id = request.header("last-event-id").map(str::to_owned);
        ids.push((request.target.clone(), id));
        connection.open();
        if !last {
            connection.next_request();
        }
    }
    ids.sort();
    let expected = [("/first", "a"), ("/second", "b")];
    let expected =
        expected.map(|(path, id)| (path.to_owned(), Some(id.to_owned())));
    assert_eq!(ids, expected);
    first.opened();
    second.opened();
    shared.nobody_connects();
}

/// What the server has not looked at is asked for once more, unseen: over the
/// same connection, or over another one.
#[test]
fn a_stream_that_was_refused_is_asked_for_once_more() {
    let shared = Shared::new();
    let (_first, mut connection) = shared.first();
    let second = shared.source("/second").start();
    for _ in 0..2 {
        connection.next_request();
        connection.reset(REFUSED_STREAM);
    }
    let failure = second.retrying(Error::Lost);
    assert_eq!(failure.attempt, 1);
    assert!(failure.message.contains("REFUSED_STREAM"), "{failure:?}");
    connection.next_request();
    connection.go_away(1, NO_ERROR);
    let mut connection = Http2::accept(&shared.server);
    assert_eq!(connection.request.target, "/second");
    connection.open();
    second.opened();
}

/// RFC 9110, 15.5.20: what is asked over a connection for others is asked once
/// more over one of its own.
#[test]
fn a_misdirected_request_gets_a_connection_of_its_own() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let second = shared.source("/second").start();
    connection.next_request();
    connection.head(END_STREAM, &[(":status", "421")]);
    let mut own = Http2::accept(&shared.server);
    assert_eq!(own.request.target, "/second");
    own.open();
    second.opened();
    own.data("data: two\n\n");
    second.message("two");
    data(&mut connection, 1, "data: one\n\n");
    first.message("one");
    // And that is all.
    own.end();
    second.ended();
    connection.next_request();
    connection.head(END_STREAM, &[(":status", "421")]);
    let mut own = Http2::accept(&shared.server);
    own.head(END_STREAM, &[(":status", "421")]);
    assert_eq!(second.failed(Error::Status).http_status, 421);
}

/// `EVENTSOURCE_HTTP_AUTO`: over https a loop offers both versions. A server that
/// has HTTP/1.1 is asked over connections of each source's own, the first of
/// which is there already.
#[test]
fn a_server_with_http1_is_asked_over_http1() {
    let plain = certificates::trusted("127.0.0.1");
    let mut both = rustls::ServerConfig::clone(&plain);
    both.alpn_protocols = vec![b"http/1.1".to_vec()];
    for config in [plain, both.into()] {
        let event_loop = EventLoop::started();
        let server = Server::secure(config);
        let sources = event_loop.drives_in(|| {
            [(); 5].map(|()| Source::connected(&server.url("/")))
        });
        for _ in 0..5 {
            let mut connection = server.accept();
            connection.send(OVER_HTTP1);
            connection.send("data: one\n\n");
            thread::spawn(move || {
                let mut connection = connection;
                connection.sees_the_client_close();
            });
        }
        for source in &sources {
            assert_eq!(source.opened().http_version, 11);
            source.message("one");
        }
        assert!(!server.is_asked(), "as many as there are sources");
        // Others do not wait for one another any more.
        let more = event_loop.drives_in(|| {
            [(); 2].map(|()| Source::connected(&server.url("/")))
        });
        let silent = [(); 2].map(|()| server.accept_silently());
        drop((more, silent));
        drop(sources);
        event_loop.free();
    }
}

/// The same, of one that says so later; it is not asked for HTTP/2 again.
#[test]
fn a_server_that_wants_http1_is_asked_over_http1() {
    let mut config =
        rustls::ServerConfig::clone(&certificates::trusted("127.0.0.1"));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = Server::secure(config.into());
    let event_loop = EventLoop::started();
    let ask = || event_loop.drives_in(|| Source::connected(&server.url("/")));
    let first = ask();
    let mut connection = Http2::accept(&server);
    connection.reset(HTTP_1_1_REQUIRED);
    let mut own = server.accept();
    own.send(OVER_HTTP1);
    assert_eq!(first.opened().http_version, 11);
    let second = ask();
    let mut others = server.accept();
    others.send(OVER_HTTP1);
    assert_eq!(second.opened().http_version, 11);
    drop((first, second));
    event_loop.free();
}

/// A server that takes fewer streams than it has lets those go on; more are asked
/// for elsewhere.
#[test]
fn no_more_streams_than_a_server_takes() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let (second, stream) = shared.another(&mut connection, "/second");
    connection.settings(&[(MAX_CONCURRENT_STREAMS, 1)]);
    while connection.next(SETTINGS).flags & ACK == 0 {}
    let third = shared.source("/third").start();
    let mut another = Http2::accept(&shared.server);
    assert_eq!(another.request.target, "/third");
    another.open();
    third.opened();
    data(&mut connection, 1, "data: one\n\n");
    first.message("one");
    data(&mut connection, stream, "data: two\n\n");
    second.message("two");
}

/// Freeing: any source of a connection, in a callback of any, in the middle of
/// what a read has brought.
#[test]
fn frees_in_the_middle_of_a_read() {
    for own in [true, false] {
        let shared = Shared::new();
        let (first, mut connection) = shared.first();
        let (second, stream) = shared.another(&mut connection, "/second");
        let frees = Mutex::new(Some(second.handle()));
        let source = shared.source("/third").doing(move |seen, source| {
            if let Seen::Event(_) = seen
                && let Some(other) = frees.lock().unwrap().take()
            {
                let freed = if own { source } else { other };
                freed.free();
                assert!(freed.has_closed());
            }
        });
        let third = source.start();
        connection.next_request();
        connection.open();
        third.opened();
        let last = connection.stream;
        let mut bytes = frame(DATA, 0, last, b"data: x\n\n");
        for stream in [stream, last, 1] {
            bytes.extend(frame(DATA, 0, stream, b"data: y\n\n"));
        }
        connection.send(&bytes);
        third.message("x");
        let (freed, number) =
            if own { (&third, last) } else { (&second, stream) };
        freed.closed(Error::None);
        if own {
            second.message("y");
        }
        first.message("y");
        let reset = connection.next(RST_STREAM);
        assert_eq!((reset.stream, reset.number(0)), (number, CANCEL));
    }
}

/// Rapid resets are an attack to many servers: only some streams are reset
/// before their heads have come, the others when they come.
#[test]
fn few_streams_are_reset_before_their_heads() {
    const SOURCES: u32 = 60;
    const EARLY: usize = 20;

    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let sources: Vec<_> =
        (0..SOURCES).map(|_| shared.source("/hurries").start()).collect();
    let mut streams = Vec::new();
    for _ in 0..SOURCES {
        connection.next_request();
        streams.push(connection.stream);
    }
    for source in &sources {
        source.close();
        source.closed(Error::None);
    }
    let mut reset = Vec::new();
    for _ in 0..EARLY {
        reset.push(connection.next(RST_STREAM).stream);
    }
    // Whatever else is sent comes before the answer.
    connection.send_frame(PING, 0, 0, &[0; 8]);
    while let Ok(Some(frame)) = connection.try_frame() {
        assert_ne!(frame.kind, RST_STREAM, "one too many");
        if frame.kind == PING {
            break;
        }
    }
    streams.retain(|stream| !reset.contains(stream));
    for stream in streams {
        connection.stream = stream;
        connection.open();
        connection.sees_a_reset(CANCEL);
    }
    data(&mut connection, 1, "data: one\n\n");
    first.message("one");
}

/// A body that is larger than the windows goes as the server allows, and holds
/// up nobody.
#[test]
fn a_large_body_waits_for_its_window() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let body = "x".repeat(200_000);
    let posts = shared.source("/posts").with_body(&body).start();
    connection.next_request();
    assert_eq!(connection.request.method, "POST");
    let stream = connection.stream;
    let mut received = 0;
    while received < 65_535 {
        received += connection.next(DATA).payload.len();
    }
    data(&mut connection, 1, "data: one\n\n");
    first.message("one");
    for stream in [0, stream] {
        let room = 300_000_u32.to_be_bytes();
        connection.send_frame(WINDOW_UPDATE, 0, stream, &room);
    }
    received += connection.body().len();
    assert_eq!(received, body.len());
    connection.open();
    posts.opened();
}

/// `eventsource_set_idle_timeout`, `eventsource_set_response_timeout`: of one
/// stream, and no other.
#[test]
fn timeouts_are_each_streams_own() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    for (setter, opens) in [
        (ffi::eventsource_set_idle_timeout as Setter<u64>, true),
        (ffi::eventsource_set_response_timeout, false),
    ] {
        let silent = shared.source("/silent");
        assert_eq!(silent.set(setter, 100), Error::None);
        let silent = silent.start();
        connection.next_request();
        if opens {
            connection.open();
            silent.opened();
        }
        silent.retrying(Error::Timeout);
        connection.sees_a_reset(CANCEL);
        silent.close();
        data(&mut connection, 1, "data: one\n\n");
        first.message("one");
    }
}

/// A stream that is silent for too long may be a sign that the connection is
/// dead: if the server says nothing for ten seconds, all are lost.
#[test]
fn a_connection_without_a_sign_of_life_is_lost() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let silent = shared.source("/silent");
    let setter = ffi::eventsource_set_idle_timeout;
    assert_eq!(silent.set(setter, 100), Error::None);
    let silent = silent.start();
    connection.next_request();
    connection.open();
    silent.opened();
    silent.retrying(Error::Timeout);
    assert_eq!(connection.next(PING).flags, 0);
    silent.close();
    let start = Instant::now();
    while first.ready_state() == ReadyState::Open {
        assert!(start.elapsed() < Duration::from_secs(30), "still open");
        thread::sleep(Duration::from_millis(20));
    }
    let failure = first.lost();
    assert!(failure.message.contains("sign of life"), "{failure:?}");
    let took = start.elapsed();
    assert!(took > Duration::from_secs(8), "{took:?}");
}

/// Sources that differ in how they go to the server share nothing.
#[test]
fn what_differs_is_not_shared() {
    let shared = Shared::new();
    let (_first, _connection) = shared.first();
    let host = shared.server.url("/").replace("127.0.0.1", "localhost");
    let source = shared.event_loop.drives_in(|| Source::new(&host));
    let _other_host = source.over_http2().start();
    let _own = Http2::accept(&shared.server);
    let differing = || {
        let source = shared.source("/");
        let setter = ffi::eventsource_set_verify_peer;
        assert_eq!(source.set(setter, 0), Error::None);
        source.start()
    };
    let _other_terms = differing();
    let mut own = Http2::accept(&shared.server);
    let _same_terms = differing();
    own.next_request();
    shared.nobody_connects();
}

/// Whoever waits for the same connection is told why there is none, and a close
/// of the one that began it holds up no other.
#[test]
fn a_connection_that_is_awaited_is_awaited_by_all() {
    let server = Server::start();
    let nowhere = server.url("/");
    drop(server);
    let event_loop = EventLoop::started();
    let ask = || {
        let source = event_loop.drives_in(|| Source::new(&nowhere));
        source.over_http2().start()
    };
    let sources = [ask(), ask(), ask()];
    for source in &sources {
        source.retrying(Error::Connect);
    }
    drop(sources);
    // A handshake that takes its time.
    let server = Server::secure(certificates::http2_only("127.0.0.1"));
    let ask = || {
        let url = server.url("/");
        let source = event_loop.drives_in(|| Source::new(&url));
        source.over_http2().start()
    };
    let (first, second) = (ask(), ask());
    until("a connection", || server.is_asked());
    first.close();
    first.closed(Error::None);
    let mut connection = Http2::accept(&server);
    connection.open();
    second.opened();
    drop((first, second));
    event_loop.free();
}

/// A loop that is freed takes its connections along.
#[test]
fn a_loop_that_is_freed_says_good_bye() {
    let shared = Shared::new();
    let (first, mut connection) = shared.first();
    let (send, received) = mpsc::channel();
    let event_loop = EventLoop::started();
    let url = shared.server.url("/");
    let other = event_loop.drives_in(|| Source::new(&url)).over_http2();
    let other = other.start();
    let mut own = Http2::accept(&shared.server);
    own.open();
    other.opened();
    thread::spawn(move || {
        event_loop.free();
        send.send(()).expect("the test");
    });
    own.sees_a_good_bye(NO_ERROR);
    received.recv().expect("freed");
    assert_eq!(other.ready_state(), ReadyState::Closed);
    data(&mut connection, 1, "data: one\n\n");
    first.message("one");
}
