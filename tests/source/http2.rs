//! HTTP/2: the same streams, and the same callbacks.

use std::time::Duration;

use eventsource::ffi::{Error, HttpVersion};
use support::certificates;
use support::corpora::{self, SHAPES};
use support::event_loop::{EventLoop, nobody_drives_in};
use support::http2::*;
use support::server::{CHUNKED, Server};
use support::source::{Seen, Source};

/// A source that speaks HTTP/2 to `server`.
fn connected(server: &Server) -> Source {
    Source::new(&server.url("/")).over_http2().start()
}

/// R25, R27, R35. A stream over HTTP/2 opens, brings events, ends, and goes on
/// where it stopped.
#[test]
fn a_stream_goes_over_http2_as_over_http1() {
    let server = Server::start();
    let source = connected(&server);
    let mut connection = Http2::accept(&server);
    let request = &connection.request;
    assert_eq!((&*request.method, &*request.target), ("GET", "/"));
    let host = server.address().to_string();
    for (name, value) in [
        (":scheme", "http"),
        (":authority", &*host),
        ("accept", "text/event-stream"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(request.header(name), Some(value));
    }
    for name in ["host", "connection", "last-event-id", "content-length"] {
        assert_eq!(request.header(name), None);
    }
    connection.open();
    let response = source.opened();
    assert_eq!((response.status, response.http_version), (200, 20));
    connection.data("id: 7\ndata: one\n\ndata: t");
    source.message("one");
    connection.data("wo\n\n");
    source.message("two");
    connection.end();
    source.ended();
    let connection = connection.again(&server);
    assert_eq!(connection.request.header("last-event-id"), Some("7"));
}

/// The streams of well-known servers mean the same callbacks over either version,
/// in pieces of whatever size; over HTTP/2, with a connection of their own or
/// over one that is shared.
#[test]
fn streams_mean_the_same_over_either_version() {
    let server = Server::start();
    let event_loop = EventLoop::started();
    // One that has lost its stream does not come back.
    let source = || {
        Source::new(&server.url("/")).doing(|seen, source| {
            if let Seen::Error(_) = seen {
                source.close();
            }
        })
    };
    for (name, shape) in SHAPES {
        let stream = corpora::build(shape, 45, "\n").stream;
        for size in [100, 1460, 16 << 10] {
            let http1 = source().in_version(HttpVersion::_1_1).start();
            let mut connection = server.accept();
            connection.send(CHUNKED);
            stream.chunks(size).for_each(|it| connection.chunk(it));
            connection.chunk("");
            let expected = all_of(&http1);
            assert!(expected.len() > 2, "{name}: {expected:?}");
            let alone = || source().over_http2().start();
            for shares in [false, true] {
                let http2 = match shares {
                    false => alone(),
                    true => event_loop.drives_in(alone),
                };
                let mut connection = Http2::accept(&server);
                connection.open();
                send_as_it_is_taken(&mut connection, &stream, size);
                let seen = all_of(&http2);
                let both = expected.iter().zip(&seen);
                for (expected, seen) in both {
                    assert_eq!(expected, seen, "{name}, pieces of {size}");
                }
                assert_eq!(expected.len(), seen.len(), "{name}, {size}");
                drop(http2);
            }
        }
    }
    event_loop.free();
}

/// A stream to its end, in pieces, as far as its window lets them go.
fn send_as_it_is_taken(connection: &mut Http2, stream: &[u8], size: usize) {
    let mut window = 256 << 10;
    for piece in stream.chunks(size) {
        while window < piece.len() {
            let update = connection.next(WINDOW_UPDATE);
            if update.stream == connection.stream {
                window += update.number(0) as usize;
            }
        }
        window -= piece.len();
        connection.data(piece);
    }
    connection.end();
}

/// What a source's callbacks tell, but for what differs each time.
fn all_of(source: &Source) -> Vec<Seen> {
    let mut all = Vec::new();
    loop {
        let mut seen = source.next();
        match &mut seen {
            Seen::Open(response) => {
                response.http_version = 0;
                response.headers.remove("transfer-encoding");
            }
            Seen::Error(failure) => failure.delay_ms = 0,
            _ => {}
        }
        let is_last = matches!(seen, Seen::Close(_));
        all.push(seen);
        if is_last {
            return all;
        }
    }
}

const NO_ERROR: u32 = 0;
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const CANCEL: u32 = 8;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;
const HTTP_1_1_REQUIRED: u32 = 13;
const REFUSED_STREAM: u32 = 7;

/// What the server is told of what it did.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// The stream is in error, the connection not.
    Reset(u32),
    GoodBye(u32),
    Nothing,
}

use Told::{GoodBye, Nothing, Reset};

/// A name, what a server does, and what it is told.
type Case = (&'static str, fn(&mut Http2), Told);

/// A name, and what a server does.
type Deed = (&'static str, fn(&mut Http2));

impl Told {
    #[track_caller]
    fn check(self, connection: &mut Http2) {
        match self {
            Reset(code) => connection.sees_a_reset(code),
            GoodBye(code) => connection.sees_a_good_bye(code),
            Nothing => {}
        }
    }
}

/// Payload of a number.
fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// One setting, as the payload of a frame.
fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &number(value)].concat()
}

/// R26. A stream is lost by whatever is no end in good order: what was
/// dispatched stays, what was not complete is dropped, the server is told what
/// it did, and the source comes back.
#[test]
fn a_stream_is_lost_by_whatever_is_no_end() {
    let cases: [Case; 48] = [
        ("reset", |it| it.reset(2), Nothing),
        ("reset without an error", |it| it.reset(NO_ERROR), Nothing),
        ("cancelled", |it| it.reset(CANCEL), Nothing),
        ("calm", |it| it.reset(ENHANCE_YOUR_CALM), Nothing),
        ("refused late", |it| it.reset(REFUSED_STREAM), Nothing),
        ("unknown code", |it| it.reset(0xffff_ffff), Nothing),
        ("good-bye to an open stream", |it| it.go_away(0, NO_ERROR), Nothing),
        (
            "frame over 16 KiB",
            |it| it.send(&[0, 0x40, 1, DATA, 0, 0, 0, 0, 1]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "push",
            |it| it.send_frame(PUSH_PROMISE, END_HEADERS, STREAM, &number(2)),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "padding over the end",
            |it| it.send_frame(DATA, PADDED, STREAM, &[2, 0]),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "no room for padding",
            |it| it.send_frame(DATA, PADDED, STREAM, &[]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "padding over the end of a head",
            |it| {
                let flags = PADDED | END_HEADERS;
                it.send_frame(HEADERS, flags, STREAM, &[1]);
            },
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "head with no room for padding",
            |it| {
                let flags = PADDED | END_HEADERS;
                it.send_frame(HEADERS, flags, STREAM, &[]);
            },
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "head with no room for a priority",
            |it| {
                let flags = 32 | END_HEADERS;
                it.send_frame(HEADERS, flags, STREAM, &[0, 0, 0, 0]);
            },
            GoodBye(FRAME_SIZE_ERROR),
        ),
        ("second head", |it| it.open(), Reset(PROTOCOL_ERROR)),
        (
            "trailers with a status",
            |it| it.head(END_STREAM, &[(":status", "200")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "trailers in capitals",
            |it| it.head(END_STREAM, &[("A", "b")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "head of a stream that is not open",
            |it| {
                let block = block(&EVENT_STREAM);
                it.send_frame(HEADERS, END_HEADERS, 3, &block);
            },
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "data of no stream",
            |it| it.send_frame(DATA, 0, 0, b"x"),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "data of a stream of the server's",
            |it| it.send_frame(DATA, 0, 2, b"x"),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "settings of a stream",
            |it| it.send_frame(SETTINGS, 0, STREAM, &[]),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "half a setting",
            |it| it.send_frame(SETTINGS, 0, 0, &[0; 5]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "settings in an acknowledgement",
            |it| it.send_frame(SETTINGS, ACK, 0, &[0; 6]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "server that would be pushed to",
            |it| it.send_frame(SETTINGS, 0, 0, &setting(2, 1)),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "setting of a window over 2 GiB",
            |it| it.send_frame(SETTINGS, 0, 0, &setting(4, 1 << 31)),
            GoodBye(FLOW_CONTROL_ERROR),
        ),
        (
            "setting of frames that are too small",
            |it| it.send_frame(SETTINGS, 0, 0, &setting(5, 16383)),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "setting of frames that are too large",
            |it| it.send_frame(SETTINGS, 0, 0, &setting(5, 1 << 24)),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "short ping",
            |it| it.send_frame(PING, 0, 0, &[0; 7]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "ping of a stream",
            |it| it.send_frame(PING, 0, STREAM, &[0; 8]),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "window that grows by nothing",
            |it| it.send_frame(WINDOW_UPDATE, 0, 0, &number(0)),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "window over 2 GiB",
            |it| it.send_frame(WINDOW_UPDATE, 0, 0, &number(0x7fff_ffff)),
            GoodBye(FLOW_CONTROL_ERROR),
        ),
        (
            "window of the stream that grows by nothing",
            |it| it.send_frame(WINDOW_UPDATE, 0, STREAM, &number(0)),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "window of the stream over 2 GiB",
            |it| it.send_frame(WINDOW_UPDATE, 0, STREAM, &number(0x7fff_ffff)),
            Reset(FLOW_CONTROL_ERROR),
        ),
        (
            "short window update",
            |it| it.send_frame(WINDOW_UPDATE, 0, STREAM, &[0; 3]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "window of a stream that is not open",
            |it| it.send_frame(WINDOW_UPDATE, 0, 3, &number(1)),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "short good-bye",
            |it| it.send_frame(GOAWAY, 0, 0, &[0; 7]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "good-bye of a stream",
            |it| it.send_frame(GOAWAY, 0, STREAM, &[0; 8]),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "short reset",
            |it| it.send_frame(RST_STREAM, 0, STREAM, &[0; 3]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "reset of a stream that is not open",
            |it| it.send_frame(RST_STREAM, 0, 5, &number(0)),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "short priority",
            |it| it.send_frame(PRIORITY, 0, STREAM, &[0; 4]),
            GoodBye(FRAME_SIZE_ERROR),
        ),
        (
            "priority of no stream",
            |it| it.send_frame(PRIORITY, 0, 0, &[0; 5]),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "stream that depends on itself",
            |it| it.send_frame(PRIORITY, 0, STREAM, &[0, 0, 0, 1, 0]),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "head that goes on from nowhere",
            |it| it.send_frame(CONTINUATION, END_HEADERS, STREAM, &[]),
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "head that is interrupted",
            |it| {
                it.send_frame(HEADERS, END_STREAM, STREAM, &[]);
                it.data("data: three\n\n");
            },
            GoodBye(PROTOCOL_ERROR),
        ),
        (
            "trailers that cannot be decoded",
            |it| {
                let flags = END_STREAM | END_HEADERS;
                it.send_frame(HEADERS, flags, STREAM, &[0xff; 8]);
            },
            GoodBye(COMPRESSION_ERROR),
        ),
        (
            "head that says nothing, on and on",
            |it| {
                it.send_frame(HEADERS, 0, STREAM, &[]);
                for _ in 0..9 {
                    let empty = frame(CONTINUATION, 0, STREAM, &[]);
                    let _ = it.try_send(&empty);
                }
            },
            GoodBye(ENHANCE_YOUR_CALM),
        ),
        (
            "head without end",
            |it| {
                it.send_frame(HEADERS, 0, STREAM, &[]);
                for _ in 0..5 {
                    let more = frame(CONTINUATION, 0, STREAM, &[0; 16384]);
                    let _ = it.try_send(&more);
                }
            },
            GoodBye(ENHANCE_YOUR_CALM),
        ),
        (
            "head that is a bomb",
            |it| {
                let mut block = vec![0x40, 1, b'a', 127, 0x81, 0x1e];
                block.extend([b'b'; 4000]);
                block.extend([0xbe; 12_000]);
                let flags = END_STREAM | END_HEADERS;
                it.send_frame(HEADERS, flags, STREAM, &block);
            },
            GoodBye(ENHANCE_YOUR_CALM),
        ),
    ];
    for (name, breaks, told) in cases {
        println!("{name}");
        let server = Server::start();
        let source = connected(&server);
        let mut connection = Http2::accept(&server);
        connection.open();
        connection.data("data: one\n\ndata: two\n");
        source.opened();
        source.message("one");
        breaks(&mut connection);
        source.lost();
        told.check(&mut connection);
    }
}

/// R26. The end of the connection is none of the stream.
#[test]
fn the_end_of_the_connection_is_no_end_of_the_stream() {
    for code in [None, Some(NO_ERROR), Some(2)] {
        let server = Server::start();
        let source = connected(&server);
        let mut connection = Http2::accept(&server);
        connection.open();
        connection.data("data: one\n\n");
        source.opened();
        source.message("one");
        if let Some(code) = code {
            connection.go_away(STREAM, code);
        }
        connection.finish();
        let failure = source.lost();
        let is_told = failure.message.contains("INTERNAL_ERROR");
        assert_eq!(is_told, code == Some(2), "{failure:?}");
    }
}

/// R18. Where no response has come, the source comes back, and says why.
#[test]
fn an_attempt_fails_by_whatever_is_no_response() {
    let cases: [Case; 21] = [
        ("closes", |_| {}, Nothing),
        ("resets", |it| it.reset(2), Nothing),
        ("says good-bye", |it| it.go_away(STREAM, 2), Nothing),
        ("data", |it| it.data("x"), Reset(PROTOCOL_ERROR)),
        ("end", |it| it.end(), Reset(PROTOCOL_ERROR)),
        (
            "interim end",
            |it| it.head(END_STREAM, &[(":status", "103")]),
            Reset(PROTOCOL_ERROR),
        ),
        ("no status", |it| it.head(0, &[]), Reset(PROTOCOL_ERROR)),
        (
            "status behind",
            |it| it.head(0, &[("a", "b"), (":status", "200")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "two statuses",
            |it| it.head(0, &[(":status", "200"), (":status", "200")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "status of no kind",
            |it| it.head(0, &[(":status", "2 0")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "another protocol",
            |it| it.head(0, &[(":status", "101")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "path in a response",
            |it| it.head(0, &[(":status", "200"), (":path", "/")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "capitals",
            |it| it.head(0, &[(":status", "200"), ("Content-Type", "a")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "blank in a name",
            |it| it.head(0, &[(":status", "200"), ("a b", "c")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "line end in a value",
            |it| it.head(0, &[(":status", "200"), ("a", "b\r\nc: d")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "connection's header",
            |it| {
                it.head(0, &[(":status", "200"), ("connection", "keep-alive")])
            },
            Reset(PROTOCOL_ERROR),
        ),
        (
            "chunks",
            |it| {
                let chunked = ("transfer-encoding", "chunked");
                it.head(0, &[(":status", "200"), chunked]);
            },
            Reset(PROTOCOL_ERROR),
        ),
        (
            "bad length",
            |it| it.head(0, &[(":status", "200"), ("content-length", "x")]),
            Reset(PROTOCOL_ERROR),
        ),
        (
            "two lengths",
            |it| {
                let lengths =
                    [("content-length", "1"), ("content-length", "2")];
                it.head(0, &[(":status", "200"), lengths[0], lengths[1]]);
            },
            Reset(PROTOCOL_ERROR),
        ),
        (
            "no HPACK",
            |it| it.send_frame(HEADERS, END_HEADERS, STREAM, &[0x80]),
            GoodBye(COMPRESSION_ERROR),
        ),
        (
            "push",
            |it| it.send_frame(PUSH_PROMISE, END_HEADERS, STREAM, &number(2)),
            GoodBye(PROTOCOL_ERROR),
        ),
    ];
    for (name, breaks, told) in cases {
        println!("{name}");
        let server = Server::start();
        let source = connected(&server);
        let mut connection = Http2::accept(&server);
        breaks(&mut connection);
        match told {
            Nothing => connection.finish(),
            told => told.check(&mut connection),
        }
        source.retrying(Error::Lost);
    }
}

/// `eventsource_set_http_version`: who speaks something else is told apart.
#[test]
fn a_server_that_speaks_no_http2_is_told_apart() {
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "settings"),
        (&frame(PING, 0, 0, &[0; 8]), "settings"),
        (&frame(SETTINGS, ACK, 0, &[]), "settings"),
    ] {
        let server = Server::start();
        let source = connected(&server);
        let connection = server.accept_unasked().unwrap();
        let mut connection = Http2::silent(connection);
        connection.send(answer);
        let failure = source.retrying(Error::Http);
        assert!(failure.message.contains(words), "{failure:?}");
        connection.sees_a_good_bye(PROTOCOL_ERROR);
    }
}

/// R25. What a server may do besides, an event stream does not notice.
#[test]
fn what_a_server_may_do_is_taken() {
    let cases: [Deed; 14] = [
        ("settings", |it| {
            it.settings(&[(1, 0), (3, 0), (4, 7), (5, 20_000), (99, 1)]);
        }),
        ("many settings", |it| (0..50).for_each(|_| it.settings(&[]))),
        ("many pings", |it| {
            for _ in 0..20_000 {
                it.send_frame(PING, 0, 0, &[7; 8]);
                assert_eq!(it.next(PING).payload, [7; 8]);
            }
        }),
        ("answer to no ping", |it| it.send_frame(PING, ACK, 0, &[0; 8])),
        ("unknown frames", |it| {
            it.send_frame(10, 255, STREAM, &[1; 300]);
            it.send_frame(255, 0, 0, &[]);
        }),
        ("priorities", |it| it.send_frame(PRIORITY, 0, 3, &[0; 5])),
        ("empty data", |it| (0..1000).for_each(|_| it.data(""))),
        ("padded data", |it| {
            it.send_frame(DATA, PADDED, STREAM, b"\x03data: \0\0\0");
            it.send_frame(DATA, PADDED, STREAM, b"\x00padded\n\n");
            it.send_frame(DATA, PADDED, STREAM, b"\x03\0\0\0");
        }),
        ("data byte by byte", |it| {
            b"data: bytes\n\n".iter().for_each(|byte| it.data([*byte]));
        }),
        ("bytes one by one", |it| {
            for byte in frame(DATA, 0, STREAM, b"data: bytes\n\n") {
                it.send(&[byte]);
            }
        }),
        ("windows", |it| {
            it.send_frame(WINDOW_UPDATE, 0, 0, &number(1 << 30));
            it.send_frame(WINDOW_UPDATE, 0, STREAM, &number(1 << 30));
        }),
        ("good-bye for later", |it| {
            it.go_away(0x7fff_ffff, NO_ERROR);
            it.go_away(STREAM, NO_ERROR);
        }),
        ("reserved bits", |it| {
            let mut frame = frame(DATA, 0, STREAM, b"\n");
            frame[5] |= 0x80;
            it.send(&frame);
        }),
        ("full frames", |it| {
            it.data([b"data: ", &[b'x'; 16376][..], b"\n\n"].concat());
        }),
    ];
    for (name, does) in cases {
        println!("{name}");
        let server = Server::start();
        let source = connected(&server);
        let mut connection = Http2::accept(&server);
        connection.open();
        source.opened();
        does(&mut connection);
        connection.data("data: last\n\n");
        while source.event().data != "last" {}
        connection.end();
        source.ended();
        connection.sees_the_end(&source);
    }
}

/// R25. A head may come in pieces, after others, and be coded.
#[test]
fn a_head_comes_as_the_server_likes() {
    let cases: [Deed; 5] = [
        ("in bytes", |it| {
            it.send_frame(HEADERS, 0, STREAM, &[]);
            for byte in block(&EVENT_STREAM) {
                it.send_frame(CONTINUATION, 0, STREAM, &[byte]);
            }
            it.send_frame(CONTINUATION, END_HEADERS, STREAM, &[]);
        }),
        ("after others", |it| {
            it.head(0, &[(":status", "100")]);
            it.head(0, &[(":status", "103"), ("link", "</a>")]);
            it.open();
        }),
        ("with padding and a priority", |it| {
            let mut payload = vec![2, 0, 0, 0, 0, 15];
            payload.extend(block(&EVENT_STREAM));
            payload.extend([0, 0]);
            let flags = PADDED | 32 | END_HEADERS;
            it.send_frame(HEADERS, flags, STREAM, &payload);
        }),
        ("with a table that was not asked for", |it| {
            // 200, and text/event-stream kept and named.
            it.send_frame(
                HEADERS,
                END_HEADERS,
                STREAM,
                b"\x3f\xe1\x1f\x88\x5f\x11text/event-stream\xbe",
            );
        }),
        ("in Huffman code", |it| {
            it.send_frame(
                HEADERS,
                END_HEADERS,
                STREAM,
                b"\x20\x88\x0f\x10\x8c\x49\x7c\xa5\x82\xf7\x2d\x49\
                  \x59\x09\xb0\xa3\xa7",
            );
        }),
    ];
    for (name, heads) in cases {
        println!("{name}");
        let server = Server::start();
        let source = connected(&server);
        let mut connection = Http2::accept(&server);
        heads(&mut connection);
        connection.data("data: one\n\n");
        source.opened();
        source.message("one");
    }
}

/// R27. The end of a stream is its own, however it comes.
#[test]
fn a_stream_ends_in_order() {
    let cases: [Deed; 4] = [
        ("with data", |it| {
            it.send_frame(DATA, END_STREAM, STREAM, b"data: one\n\n");
        }),
        ("alone", |it| {
            it.data("data: one\n\n");
            it.end();
        }),
        ("with padding", |it| {
            let flags = PADDED | END_STREAM;
            it.send_frame(DATA, flags, STREAM, b"\x01data: one\n\n\0");
        }),
        ("with trailers, and a reset that says nothing", |it| {
            it.data("data: one\n\n");
            it.head(END_STREAM, &[("a", "b")]);
            it.reset(NO_ERROR);
        }),
    ];
    for (name, ends) in cases {
        println!("{name}");
        let server = Server::start();
        let source = connected(&server);
        let mut connection = Http2::accept(&server);
        connection.open();
        ends(&mut connection);
        source.opened();
        source.message("one");
        source.ended();
        connection.sees_the_end(&source);
    }
}

/// R26. A length that is said is kept, or the stream is lost.
#[test]
fn the_data_are_as_long_as_the_head_says() {
    let data = "data: one\n\n";
    for (length, is_lost) in [(11, false), (10, true), (12, true)] {
        let server = Server::start();
        let source = connected(&server);
        let mut connection = Http2::accept(&server);
        let length = i32::to_string(&length);
        let length = ("content-length", &*length);
        connection.head(0, &[EVENT_STREAM[0], EVENT_STREAM[1], length]);
        source.opened();
        connection.send_frame(DATA, END_STREAM, STREAM, data.as_bytes());
        match source.next() {
            support::seen::Seen::Event(_) if is_lost => drop(source.lost()),
            support::seen::Seen::Event(_) => drop(source.ended()),
            other => assert!(length.1 == "10", "{other:?}"),
        }
        if is_lost {
            connection.sees_a_reset(PROTOCOL_ERROR);
        }
    }
}

/// RFC 9113, 8.7. A request that the server has not looked at is made once
/// more, at once and unseen, whatever its method is.
#[test]
fn a_request_that_was_not_looked_at_is_made_once_more() {
    let refuses: [fn(Http2, &Server) -> Http2; 2] = [
        |mut it, server| {
            it.reset(REFUSED_STREAM);
            it.again(server)
        },
        |mut it, server| {
            it.go_away(0, NO_ERROR);
            it.sees_a_good_bye(NO_ERROR);
            Http2::accept(server)
        },
    ];
    for refuses in refuses {
        let server = Server::start();
        let source = Source::unhurried(&server.url("/"))
            .over_http2()
            .with_body("what")
            .start();
        let mut connection = Http2::accept(&server);
        assert_eq!(connection.body(), b"what");
        let mut connection = refuses(connection, &server);
        assert_eq!(connection.request.method, "POST");
        assert_eq!(connection.body(), b"what");
        connection.open();
        connection.data("data: one\n\n");
        source.opened();
        source.message("one");
    }
    // Once, and no more.
    let server = Server::start();
    let source = connected(&server);
    let mut connection = Http2::accept(&server);
    connection.reset(REFUSED_STREAM);
    connection.again(&server).reset(REFUSED_STREAM);
    let failure = source.retrying(Error::Lost);
    assert_eq!(failure.attempt, 1);
    assert!(failure.message.contains("REFUSED_STREAM"), "{failure:?}");
}

/// `eventsource_set_http_version`: a source that speaks HTTP/2 only does not
/// come back to a server that wants HTTP/1.1.
#[test]
fn a_server_that_wants_http1_is_not_asked_over_http2_again() {
    let server = Server::start();
    let source = connected(&server);
    Http2::accept(&server).reset(HTTP_1_1_REQUIRED);
    let failure = source.failed(Error::Http);
    assert!(failure.message.contains("HTTP/1.1"), "{failure:?}");
}

/// Speaks both versions, and would rather speak HTTP/2.
fn with_both(name: &str) -> std::sync::Arc<rustls::ServerConfig> {
    let mut config = rustls::ServerConfig::clone(&certificates::trusted(name));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.into()
}

/// `eventsource_set_http_version`: over https the versions are offered that
/// the program wants, by a source with a thread of its own.
#[test]
fn versions_are_offered_as_the_program_wants() {
    nobody_drives_in(versions_are_offered);
}

fn versions_are_offered() {
    let server = Server::secure(with_both("127.0.0.1"));
    for version in [HttpVersion::Auto, HttpVersion::_1_1] {
        let source = Source::new(&server.url("/")).in_version(version).start();
        let mut connection = server.accept();
        assert_eq!(connection.alpn(), Some(&b"http/1.1"[..]));
        connection.send(support::server::EVENT_STREAM);
        assert_eq!(source.opened().http_version, 11);
        // Before the connection, which it would make anew.
        drop(source);
    }
    let source = connected(&server);
    let mut connection = Http2::accept(&server);
    assert_eq!(connection.connection().alpn(), Some(&b"h2"[..]));
    assert_eq!(connection.request.header(":scheme"), Some("https"));
    connection.open();
    assert_eq!(source.opened().http_version, 20);
}

/// What came in the head's records is dispatched, however much it is: nothing
/// more may come for hours.
#[test]
fn what_came_with_the_head_is_not_waited_for() {
    let config = certificates::http2_only("127.0.0.1");
    for size in (1_000..12_000).step_by(500) {
        let server = Server::secure(config.clone());
        let source = connected(&server);
        let mut connection = Http2::accept(&server);
        let data = "x".repeat(size);
        let head = (HEADERS, END_HEADERS, &*block(&EVENT_STREAM));
        let event = format!("data: {data}\n\n");
        let frames = [head, (DATA, 0, event.as_bytes())];
        let stream = connection.stream;
        let bytes = frames
            .map(|(kind, flags, payload)| frame(kind, flags, stream, payload));
        connection.send(&bytes.concat());
        source.opened();
        source.message(&data);
    }
}

/// EVENTSOURCE_HTTP_AUTO: a server that speaks HTTP/2 only is spoken to, and
/// its source remembers.
#[test]
fn a_server_that_has_only_http2_is_spoken_to() {
    let server = Server::secure(certificates::http2_only("127.0.0.1"));
    let source = nobody_drives_in(|| Source::connected(&server.url("/")));
    assert!(server.accept_unasked().is_err(), "HTTP/1.1 was offered");
    for _ in 0..3 {
        let mut connection = Http2::accept(&server);
        connection.open();
        assert_eq!(source.opened().http_version, 20);
        connection.data("data: one\n\n");
        source.message("one");
        connection.end();
        source.ended();
    }
}

/// The same, of a server that changes its mind.
#[test]
fn what_is_remembered_of_a_server_is_forgotten() {
    let server = Server::secure(certificates::http2_only("127.0.0.1"));
    let source = nobody_drives_in(|| Source::connected(&server.url("/")));
    assert!(server.accept_unasked().is_err(), "HTTP/1.1 was offered");
    let mut connection = Http2::accept(&server);
    connection.reset(HTTP_1_1_REQUIRED);
    assert!(server.accept_unasked().is_err(), "HTTP/1.1 was offered");
    let failure = source.retrying(Error::Tls);
    assert!(failure.message.contains("HTTP/1.1"), "{failure:?}");
}

/// EVENTSOURCE_HTTP_2 with servers that have only HTTP/1.1, or no ALPN.
#[test]
fn a_server_without_http2_fails_a_source_that_wants_it() {
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut config =
            rustls::ServerConfig::clone(&certificates::trusted("127.0.0.1"));
        config.alpn_protocols = protocols;
        let server = Server::secure(config.into());
        let source = connected(&server);
        drop(server.accept_unasked());
        let failure = source.retrying(Error::Tls);
        assert!(failure.message.contains("HTTP/2"), "{failure:?}");
    }
}

/// An https proxy is spoken to in HTTP/1.1, whatever it has; HTTP/2 goes
/// through it.
#[test]
fn http2_goes_through_a_proxy_that_is_asked_over_http1() {
    let proxy = Server::secure(with_both("127.0.0.1"));
    let server = Server::secure(certificates::http2_only("server.test"));
    let source = Source::new("https://server.test/")
        .over_http2()
        .with_proxy(&proxy.url(""))
        .start();
    let mut tunnel = proxy.accept();
    assert_eq!(tunnel.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(tunnel.request.method, "CONNECT");
    tunnel.send("HTTP/1.1 200 OK\r\n\r\n");
    drop(server);
    let config = certificates::http2_only("server.test");
    let connection = tunnel.tunnel_unasked(config).unwrap();
    let mut connection = Http2::silent(connection);
    connection.settings(&[]);
    connection.open();
    connection.data("data: one\n\n");
    source.opened();
    source.message("one");
    // One that is asked in the server's place has no HTTP/2.
    let source = Source::new("http://server.test/")
        .over_http2()
        .with_proxy(&Server::start().url(""))
        .start();
    source.failed(Error::Proxy);
}

/// `eventsource_set_body`: a large body goes as the server makes room for it.
#[test]
fn a_large_body_goes_as_there_is_room() {
    let body = "0123456789".repeat(30_000);
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).over_http2().with_body(&body).start();
    let mut connection = Http2::accept_with(&server, &[(4, 1000)]);
    let length = body.len().to_string();
    let request = &connection.request;
    assert_eq!(request.header("content-length"), Some(&*length));
    let mut received = Vec::new();
    let (mut room, mut is_whole) = (65_535, false);
    while !is_whole {
        let data = connection.next(DATA);
        assert!(data.payload.len() <= room.min(16_384), "{room}");
        room -= data.payload.len();
        is_whole = data.flags & END_STREAM != 0;
        received.extend(data.payload);
        if room == 0 && !is_whole {
            // The window that the settings have shrunk, below zero at first.
            let more = number(65_535 * 2);
            connection.send_frame(WINDOW_UPDATE, 0, 0, &more);
            connection.send_frame(WINDOW_UPDATE, 0, STREAM, &more);
            room = 65_535 * 2 - (65_535 - 1000);
            if received.len() > 65_535 {
                room = 65_535 * 2;
            }
        }
    }
    assert_eq!(received.len(), body.len());
    assert!(received == body.as_bytes());
    connection.open();
    source.opened();
}

/// A response that does not wait for the request: one that is whole ends it,
/// and what comes of another is not lost.
#[test]
fn a_response_may_come_before_the_request_has_gone() {
    let body = "x".repeat(100_000);
    let ask = |server: &Server| {
        let url = server.url("/");
        Source::new(&url).over_http2().with_body(&body).start()
    };
    let server = Server::start();
    let source = ask(&server);
    let mut connection = Http2::accept(&server);
    connection.head(END_STREAM, &[(":status", "413")]);
    let failure = source.failed(Error::Status);
    assert_eq!(failure.http_status, 413);
    connection.sees_a_reset(CANCEL);
    let server = Server::start();
    let source = ask(&server);
    let mut connection = Http2::accept(&server);
    connection.open();
    connection.data("data: one\n\ndata: t");
    connection.data("wo\n\n");
    // More than half of the window: it is given back when it was used.
    let half = |connection: &mut Http2| {
        for _ in 0..10 {
            connection.data([&b"data: "[..], &[b'x'; 16_000]].concat());
            connection.data("\n\n");
        }
    };
    half(&mut connection);
    for stream in [0, STREAM] {
        let room = number(100_000);
        connection.send_frame(WINDOW_UPDATE, 0, stream, &room);
    }
    assert_eq!(connection.body().len(), 100_000);
    source.opened();
    source.message("one");
    source.message("two");
    for _ in 0..10 {
        assert_eq!(source.event().data.len(), 16_000);
    }
    // A source of a loop has done so while the request was on its way.
    half(&mut connection);
    while connection.next(WINDOW_UPDATE).stream != STREAM {}
    for _ in 0..10 {
        assert_eq!(source.event().data.len(), 16_000);
    }
    connection.data("data: three\n\n");
    source.message("three");
}

/// `eventsource_close`, `eventsource_reconnect`: the server is told at once
/// that the stream, and the connection, are over.
#[test]
fn a_close_ends_the_stream_and_the_connection() {
    let server = Server::start();
    let source = connected(&server);
    let mut connection = Http2::accept(&server);
    // Before the head.
    assert_eq!(source.reconnect(), Error::None);
    connection.sees_a_reset(CANCEL);
    let mut connection = connection.again(&server);
    connection.open();
    source.opened();
    assert_eq!(source.reconnect(), Error::None);
    connection.sees_a_reset(CANCEL);
    let mut connection = connection.again(&server);
    connection.open();
    source.opened();
    source.close();
    source.closed(Error::None);
    connection.sees_a_reset(CANCEL);
    connection.sees_a_good_bye(NO_ERROR);
}

/// `eventsource_set_idle_timeout`: a connection that lives is no stream that
/// does; data break the silence, piece by piece, also over TLS.
#[test]
fn pings_do_not_make_a_silent_stream_a_live_one() {
    const TIME: u64 = 300;
    let config = certificates::http2_only("127.0.0.1");
    for server in [Server::start(), Server::secure(config)] {
        let source = Source::new(&server.url("/")).over_http2();
        let setter = eventsource::ffi::eventsource_set_idle_timeout;
        assert_eq!(source.set(setter, TIME), Error::None);
        let source = source.start();
        let mut connection = Http2::accept(&server);
        connection.open();
        source.opened();
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(2 * TIME) {
            connection.data(":\n");
            assert_eq!(source.comment(), "");
        }
        let ping = frame(PING, 0, 0, &[0; 8]);
        let heard = source.history().len();
        let start = std::time::Instant::now();
        while connection.try_send(&ping).is_ok()
            && source.history().len() == heard
        {
            let is_late = start.elapsed() > support::DEADLINE;
            assert!(!is_late, "pings are taken for a stream");
            std::thread::sleep(Duration::from_millis(5));
        }
        source.retrying(Error::Timeout);
    }
}

/// While a callback runs nothing is read, and no more is allowed: a server
/// that sends without end is stopped by a window.
#[test]
fn a_slow_callback_holds_up_the_server() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .over_http2()
        .doing(move |seen, _| {
            if let support::seen::Seen::Event(_) = seen {
                wait.lock().unwrap().recv().unwrap();
            }
        })
        .start();
    let mut connection = Http2::accept(&server);
    connection.open();
    source.opened();
    connection.data("data: one\n\n");
    source.message("one");
    // As much as the window allows.
    let data = [b":", &[b' '; 16_382][..], b"\n"].concat();
    for _ in 0..15 {
        connection.data(&data);
    }
    connection.send_frame(PING, 0, 0, &[1; 8]);
    go.send(()).unwrap();
    let mut credit = 0;
    while credit == 0 {
        let frame = connection.frame();
        match frame.kind {
            WINDOW_UPDATE if frame.stream == STREAM => credit = frame.number(0),
            SETTINGS | WINDOW_UPDATE => {}
            other => panic!("no credit before frame {other}"),
        }
    }
    assert!((128 << 10..=256 << 10).contains(&credit), "{credit}");
    connection.data("data: two\n\n");
    go.send(()).unwrap();
    for _ in 0..15 {
        assert_eq!(source.comment().len(), 16_382);
    }
    source.message("two");
}

/// R12, R15, R21. Redirects, compression and refusals over HTTP/2.
#[test]
fn the_rest_is_as_over_http1() {
    use std::io::Write;

    let server = Server::start();
    let source = connected(&server);
    let mut connection = Http2::accept(&server);
    let location = [(":status", "307"), ("location", "/next")];
    connection.head(END_STREAM, &location);
    let mut connection = connection.again(&server);
    assert_eq!(connection.request.target, "/next");
    let gzip = ("content-encoding", "gzip");
    connection.head(0, &[EVENT_STREAM[0], EVENT_STREAM[1], gzip]);
    let mut encoder =
        flate2::write::GzEncoder::new(Vec::new(), Default::default());
    encoder.write_all(b"data: one\n\n").unwrap();
    for byte in encoder.finish().unwrap() {
        connection.data([byte]);
    }
    source.opened();
    source.message("one");
    connection.end();
    source.ended();
    let mut connection = connection.again(&server);
    connection.head(0, &[(":status", "403"), ("content-type", "a/b")]);
    let stream = connection.stream;
    connection.send_frame(DATA, END_STREAM, stream, b"because");
    let failure = source.failed(Error::Status);
    assert_eq!(failure.body, "because");
    assert_eq!(failure.http_status, 403);
}

/// Sensitive headers are kept by nobody on the way, and the program's `Host`
/// is the authority.
#[test]
fn headers_go_as_http2_has_them() {
    let server = Server::start();
    let _source = Source::new(&server.url("/?q"))
        .over_http2()
        .with_header("Host", "other.test")
        .with_header("X-Api-Key", "secret")
        .with_header("Keep-Alive", "1")
        .with_header("X-Long", &"long".repeat(10_000))
        .start();
    let connection = Http2::accept(&server);
    let request = &connection.request;
    assert_eq!(request.target, "/?q");
    assert_eq!(request.header(":authority"), Some("other.test"));
    assert_eq!(request.header("x-api-key"), Some("secret"));
    assert_eq!(request.header("keep-alive"), None);
    assert_eq!(request.header("x-long").map(str::len), Some(40_000));
    let names = request.names();
    let is_pseudo = |name: &&str| name.starts_with(':');
    assert_eq!(names.iter().filter(|name| is_pseudo(name)).count(), 4);
    assert!(names[..4].iter().all(is_pseudo));
}
