//! How a stream may come, and how it may end.

use std::io::Write;
use std::time::{Duration, Instant};

use eventsource::ffi::Error;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use support::server::{CHUNKED, Connection, EVENT_STREAM, Server};
use support::source::{Seen, Source};

/// A source and a server that has answered with `head`.
fn opened(head: impl AsRef<[u8]>) -> (Server, Source, Connection) {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(head);
    source.opened();
    (server, source, connection)
}

fn with_length(length: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

/// R42. Head and events in one packet, and an event cut in pieces.
#[test]
fn packets_have_no_meaning() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM.to_owned() + "data: 1\n\ndata: 2\n\nda");
    source.opened();
    source.message("1");
    source.message("2");
    connection.send("ta: 3\n");
    connection.send("\n");
    source.message("3");
}

/// R42. The head of a response may come byte by byte.
#[test]
fn reads_a_head_byte_by_byte() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    for byte in CHUNKED.as_bytes() {
        connection.send([*byte]);
    }
    source.opened();
    connection.chunk("data: x\n\n");
    source.message("x");
}

/// R42, R64. Chunks may begin and end anywhere, inside a character too.
#[test]
fn chunks_have_no_meaning() {
    let (_server, source, mut connection) = opened(CHUNKED);
    let stream = "id: ü1\r\nevent: ä\r\ndata: €😀\r\ndata: b\r\n\r\n";
    for size in [1, 2, 3, 5, 7, 100] {
        for piece in stream.as_bytes().chunks(size) {
            connection.chunk(piece);
        }
        let event = source.event();
        assert_eq!((&*event.kind, &*event.id), ("ä", "ü1"), "{size}");
        assert_eq!(event.data, "€😀\nb", "{size}");
    }
    // All of them in one packet.
    let mut packet = Vec::new();
    for byte in stream.as_bytes() {
        packet.extend_from_slice(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    connection.send(packet);
    assert_eq!(source.event().data, "€😀\nb");
}

/// R42. What frames a chunk may itself come byte by byte.
#[test]
fn reads_chunks_byte_by_byte() {
    let (_server, source, mut connection) = opened(CHUNKED);
    for byte in b"0008;a=b\r\ndata: x\n\r\n1\r\n\n\r\n" {
        connection.send([*byte]);
    }
    source.message("x");
    for byte in b"0\r\nA: b\r\n\r\n" {
        // The last chunk is enough: the rest may find nobody.
        let _ = connection.try_send([*byte]);
    }
    source.ended();
}

/// HTTP: every way in which a chunk's size may be written.
#[test]
fn reads_every_way_to_write_a_chunk() {
    let (_server, source, mut connection) = opened(CHUNKED);
    let filler = "data: 4567890abcdefghi\n\n";
    let long = "x".repeat(3000);
    for size in [
        "18",
        "0000000000000000000000000000000018",
        "18;",
        "18;a",
        "18;a=b;c=\"d e\"",
        "18 ; a = b",
        "18\t;a",
        "18 ",
        &format!("18;name={long}"),
        &format!("18;{long}"),
    ] {
        connection.send(format!("{size}\r\n{filler}\r\n"));
        source.message("4567890abcdefghi");
    }
    // Hexadecimal, in both cases.
    for size in ["1a", "1A", "01A"] {
        connection.send(format!("{size}\r\n: {filler}\r\n"));
        assert_eq!(source.comment(), " data: 4567890abcdefghi");
    }
}

/// RFC 9112, 7.1: a size is hexadecimal digits, and nothing else.
#[test]
fn refuses_sizes_that_are_none() {
    for size in ["+9", "-9", "0x9", "9x", " 9", "\t9", "9_0", "9\r9", "\n9"] {
        let (_server, source, mut connection) = opened(CHUNKED);
        connection.chunk("data: a\n\n");
        connection.send(format!("{size}\r\ndata: b\n\n\r\n"));
        source.message("a");
        assert_eq!(
            source.lost().message,
            "bad chunk in the stream",
            "{size:?}"
        );
    }
}

/// HTTP: what follows a chunk's data is the end of its line, and nothing else.
#[test]
fn a_chunk_that_is_longer_than_it_says_is_lost() {
    let (_server, source, mut connection) = opened(CHUNKED);
    connection.send("9\r\ndata: a\n\nXX9\r\ndata: b\n\n\r\n");
    source.message("a");
    source.lost();
}

/// HTTP: one chunk larger than any buffer.
#[test]
fn reads_a_chunk_larger_than_any_buffer() {
    let (_server, source, mut connection) = opened(CHUNKED);
    let data = "x".repeat(3 << 20);
    connection.chunk(format!("data: {data}\n\n"));
    assert_eq!(source.event().data.len(), data.len());
    connection.chunk("data: small\n\n");
    source.message("small");
}

/// RFC 9112, 6.3: a length may be said several times, as long as it is the
/// same.
#[test]
fn reads_a_length_that_is_said_several_times() {
    for length in [
        "Content-Length: 9, 9",
        "Content-Length: 9,9,  9  \r\nContent-Length: 9  ",
        "Content-Length: 9\r\ncontent-length: 09",
        "Content-Length : 9\r\nContent-Length:\r\n 9",
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             {length}\r\n\r\n"
        );
        let (_server, source, mut connection) = opened(head);
        connection.send("data: x\n\ndata: y\n\n");
        source.message("x");
        source.ended();
    }
}

/// RFC 9112, 6.3: a length that says two things, or none, frames nothing.
#[test]
fn refuses_a_length_that_makes_no_sense() {
    for length in [
        "Content-Length: 9\r\nContent-Length: 8",
        "Content-Length: 9, 8",
        "Content-Length: 9,",
        "Content-Length:",
        "Content-Length: x",
        "Content-Length: +9",
        "Content-Length: -9",
        "Content-Length: 0x9",
        "Content-Length: 9 9",
        "Content-Length: 9\r\n 9",
        "Content-Length: 9.0",
        "Content-Length: \u{669}",
        "Content-Length: 99999999999999999999",
    ] {
        refused(length);
    }
}

/// A response that is refused for this header, and asked for again.
fn refused(header: &str) {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         {header}\r\n\r\n9\r\ndata: x\n\n\r\n"
    ));
    let failure = match source.next() {
        Seen::Error(failure) => failure,
        other => panic!("{header}: {other:?}"),
    };
    assert_eq!((failure.error, failure.http_status), (Error::Http, 200));
    assert!(failure.will_retry, "{header}");
    connection.sees_the_client_close();
}

/// RFC 9112, 6.1 and 6.3: transfer codings are undone or refused, and never
/// fed to the parser.
#[test]
fn refuses_transfer_codings_that_it_does_not_undo() {
    for codings in [
        "gzip, chunked",
        "x-gzip,chunked",
        "deflate, chunked",
        "br, chunked",
        "gzip",
        "chunked, gzip",
        "chunked, chunked",
        "chunked, anything",
        "Chunked\r\nTransfer-Encoding: gzip",
        "gzip\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: chunked",
    ] {
        refused(&format!("Transfer-Encoding: {codings}"));
    }
}

/// RFC 9112, 6.3: what is no coding is none, and any last one but chunked
/// runs to the close.
#[test]
fn passes_over_transfer_codings_that_are_none() {
    for codings in [
        "chunked",
        "CHUNKED",
        "identity, chunked",
        "chunked, identity",
        " , chunked,",
        "anything, chunked",
        "\r\nTransfer-Encoding: chunked",
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: {codings}\r\nContent-Length: 1\r\n\r\n"
        );
        let (_server, source, mut connection) = opened(head);
        connection.chunk("data: x\n\n");
        source.message("x");
    }
    for codings in ["anything", "xchunked"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: {codings}\r\nContent-Length: 1\r\n\r\n"
        );
        let (_server, source, mut connection) = opened(head);
        connection.send("data: x\n\n");
        source.message("x");
    }
    for codings in ["identity", ""] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: {codings}\r\nContent-Length: 9\r\n\r\n"
        );
        let (_server, source, mut connection) = opened(head);
        connection.send("data: x\n\n");
        source.message("x");
        source.ended();
    }
}

/// HTTP: where both are given, the chunks count and not the length.
#[test]
fn chunks_go_before_a_length() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (_server, source, mut connection) = opened(head);
    connection.chunk("data: x\n\n");
    source.message("x");
}

/// R64. A body of a known length.
#[test]
fn reads_a_body_of_a_known_length() {
    let body = "data: 1\n\ndata: 2\n\n";
    let (_server, source, mut connection) = opened(with_length(body.len()));
    connection.send(body);
    source.message("1");
    source.message("2");
    // The length is the end; nobody waits for the connection's.
    source.ended();
    connection.again().expect("the next request");
}

/// HTTP: what comes behind the length belongs to nobody.
#[test]
fn reads_nothing_behind_the_length() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(with_length(9) + "data: 1\n\ndata: 2\n\n");
    source.opened();
    source.message("1");
    source.ended();
}

/// HTTP: an answer of version 1.0 ends with its connection.
#[test]
fn reads_an_answer_of_http_1_0() {
    let head = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let (server, source, mut connection) = opened(head);
    connection.send("data: x\n\n");
    source.message("x");
    connection.finish();
    source.ended();
    server.accept();
}

/// HTTP: a status line without a reason.
#[test]
fn reads_a_status_line_without_a_reason() {
    for line in ["HTTP/1.1 200", "HTTP/1.1 200 "] {
        opened(format!("{line}\r\nContent-Type: text/event-stream\r\n\r\n"));
    }
}

/// HTTP: interim answers go before the answer.
#[test]
fn passes_over_interim_answers() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send("HTTP/1.1 100 Continue\r\n\r\n");
    connection.send("HTTP/1.1 102 Processing\r\n\r\n");
    connection.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\
         Content-Type: text/html\r\n\r\n",
    );
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    let response = source.opened();
    assert_eq!(response.status, 200);
    source.message("x");
}

/// HTTP: interim answers and the answer, in one packet.
#[test]
fn passes_over_interim_answers_in_one_packet() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    connection.send(interim.repeat(3) + CHUNKED + "9\r\ndata: x\n\n\r\n");
    source.opened();
    source.message("x");
}

/// HTTP: a server that announces its answer without end gives none.
#[test]
fn gives_up_interim_answers_without_end() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    while connection.try_send(interim.repeat(1000)).is_ok() {}
    source.retrying(Error::Http);
}

/// HTTP: a head may have 60 KiB, in many headers or in one.
#[test]
fn reads_a_head_of_60_kib() {
    let many: String = (0..60)
        .map(|number| format!("X-{number}: {}\r\n", "x".repeat(1000)))
        .collect();
    let one = format!("X-Long: {}\r\n", "x".repeat(60_000));
    for headers in [many, one] {
        let (_server, source, mut connection) = opened(format!(
            "HTTP/1.1 200 OK\r\n{headers}\
             Content-Type: text/event-stream\r\n\r\ndata: x\n\n"
        ));
        source.message("x");
        connection.send("data: y\n\n");
        source.message("y");
    }
}

/// HTTP: a head that does not end is given up, and tried again.
#[test]
fn gives_up_a_head_without_end() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send("HTTP/1.1 200 OK\r\nX-Long: ");
    let piece = [b'x'; 16 << 10];
    // Until the client goes away.
    while connection.try_send(piece).is_ok() {}
    source.retrying(Error::Http);
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// R18. What is not HTTP is tried again.
#[test]
fn what_is_not_http_is_tried_again() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "\0\0\0\0\0\0\0\0\r\n\r\n",
        "HTTP/2 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        "HTTP/1.1 OK 200\r\nContent-Type: text/event-stream\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Content-Length: x\r\n\r\n",
        "data: x\n\n\r\n\r\n",
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(answer);
        connection.finish();
        let failure = source.retrying(Error::Http);
        assert_eq!(failure.attempt, 1, "{answer:?}");
        server.accept().send(EVENT_STREAM);
        source.opened();
    }
}

/// R18. A connection that ends before the answer has come is tried again,
/// however it ends.
#[test]
fn an_answer_cut_short_is_tried_again() {
    let cut = &EVENT_STREAM[..EVENT_STREAM.len() - 2];
    for answer in ["", "H", "HTTP/1.1 200 OK\r\nContent-Ty", cut] {
        for reset in [false, true] {
            let server = Server::start();
            let source = Source::connected(&server.url("/"));
            let mut connection = server.accept();
            connection.send(answer);
            if reset {
                connection.reset();
            } else {
                connection.finish();
            }
            let failure = match source.next() {
                Seen::Error(failure) => failure,
                other => panic!("on_error expected: {other:?}"),
            };
            assert!(
                matches!(failure.error, Error::Http | Error::Lost),
                "{answer:?}: {failure:?}"
            );
            assert!(failure.will_retry, "{failure:?}");
            server.accept().send(EVENT_STREAM);
            source.opened();
        }
    }
}

/// R63. An end that the server has announced is told from one it has not.
#[test]
fn the_end_of_a_stream_is_told_from_its_loss() {
    let ended = "the server has ended the stream";
    let cut = "the connection was closed in the middle of the stream";
    for (ending, error, message) in [
        ("0\r\n\r\n", Error::Ended, ended),
        ("5\r\ndata", Error::Lost, cut),
        ("7\r\ndata: x\r\n", Error::Lost, cut),
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(CHUNKED);
        source.opened();
        connection.send(ending);
        connection.finish();
        let failure = source.retrying(error);
        assert_eq!(failure.message, message);
        assert_eq!((failure.http_status, failure.response), (200, None));
    }
}

/// What of a stream is an event that has not ended.
const UNFINISHED: [&str; 14] = [
    "data: {\"half\"",
    "data: x\n",
    "data: x\n: comment\n",
    "data",
    "d",
    "id: 1\n",
    "id: 1",
    "event: x\n",
    "retry: 1",
    "{\"error\":\"overloaded\"}",
    "{\"error\":\"overloaded\"}\n",
    "{\n  \"error\": \"overloaded\"\n}\n",
    "unknown: x\r",
    "data: x\r\n",
];

/// What of a stream leaves nothing unfinished.
const FINISHED: [&str; 12] = [
    "",
    "\n",
    ":",
    ": comm",
    ": comment\n",
    ": comment\r",
    "data: x\n\n",
    "data: x\r\r",
    "data: x\r\n\r\n",
    "unknown: x\n\ndata: x\n\n: comm",
    "id: 1\nevent: x\n\n",
    "retry: 1\n",
];

/// R60. A stream that ends inside an event is lost, and says so, however its
/// body is framed and cut: half an event is no end in good order.
#[test]
fn a_stream_that_ends_inside_an_event_is_lost() {
    let all = UNFINISHED.map(|tail| (tail, Error::Lost)).into_iter();
    let all = all.chain(FINISHED.map(|tail| (tail, Error::Ended)));
    for (tail, error) in all {
        for before in ["", "data: x\n\n"] {
            for way in ["the close", "a length", "chunks"] {
                let server = Server::start();
                let source = Source::connected(&server.url("/"));
                let mut connection = server.accept();
                let body = before.to_owned() + tail;
                match way {
                    "chunks" => {
                        connection.send(CHUNKED);
                        for byte in body.bytes() {
                            connection.chunk([byte]);
                        }
                        connection.send("0\r\n\r\n");
                    }
                    "a length" => {
                        connection.send(with_length(body.len()) + &body);
                    }
                    _ => connection.send(EVENT_STREAM.to_owned() + &body),
                }
                connection.finish();
                let failure = loop {
                    match source.next() {
                        Seen::Error(failure) => break failure,
                        Seen::Close(reason) => panic!("closed: {reason:?}"),
                        _ => {}
                    }
                };
                let message = match error {
                    Error::Ended => "the server has ended the stream",
                    _ => "the stream ended inside an event",
                };
                assert_eq!(
                    (failure.error, &*failure.message, failure.http_status),
                    (error, message, 200),
                    "{before:?} {tail:?}, ended by {way}"
                );
            }
        }
    }
}

/// R27. Every end of a body reestablishes: one `on_error`, one new request.
#[test]
fn every_end_of_the_body_reestablishes() {
    type End = fn(Connection);
    let ends: [(&str, Error, String, End); 16] = [
        ("FIN", Error::Ended, EVENT_STREAM.into(), Connection::finish),
        ("RST", Error::Lost, EVENT_STREAM.into(), Connection::reset),
        ("half-close", Error::Ended, EVENT_STREAM.into(), |mut connection| {
            connection.half_close();
            connection.sees_the_client_close();
        }),
        ("last chunk", Error::Ended, CHUNKED.into(), |mut connection| {
            connection.send("0\r\n\r\n");
            connection.sees_the_client_close();
        }),
        (
            "last chunk and trailers",
            Error::Ended,
            CHUNKED.into(),
            |mut connection| {
                connection.send("0\r\nX-A: b\r\nX-C: d\r\n\r\n");
                connection.sees_the_client_close();
            },
        ),
        (
            "last chunk, extended",
            Error::Ended,
            CHUNKED.into(),
            |mut connection| {
                connection.send("000;a=b\r\n\r\n");
                connection.sees_the_client_close();
            },
        ),
        ("FIN between chunks", Error::Lost, CHUNKED.into(), Connection::finish),
        ("RST between chunks", Error::Lost, CHUNKED.into(), Connection::reset),
        ("FIN in a chunk", Error::Lost, CHUNKED.into(), |mut connection| {
            connection.send("ff\r\n: cut");
            connection.finish();
        }),
        ("RST in a chunk", Error::Lost, CHUNKED.into(), |mut connection| {
            connection.send("ff\r\ndata: cut");
            connection.reset();
        }),
        (
            "FIN in a chunk's size",
            Error::Lost,
            CHUNKED.into(),
            |mut connection| {
                connection.send("ff");
                connection.finish();
            },
        ),
        (
            "FIN in the trailers",
            Error::Ended,
            CHUNKED.into(),
            |mut connection| {
                connection.send("0\r\nX-A");
                connection.finish();
            },
        ),
        ("no size", Error::Lost, CHUNKED.into(), |mut connection| {
            connection.send("data: x\n\n");
            connection.sees_the_client_close();
        }),
        ("too large a size", Error::Lost, CHUNKED.into(), |mut connection| {
            connection.send("fffffffffffffffff\r\ndata: x\n\n");
            connection.sees_the_client_close();
        }),
        (
            "more than the size",
            Error::Lost,
            CHUNKED.into(),
            |mut connection| {
                connection.send("1\r\n\n\n\n\r\n");
                connection.sees_the_client_close();
            },
        ),
        (
            "short of its length",
            Error::Lost,
            with_length(100),
            Connection::finish,
        ),
    ];
    for (end, error, head, finish) in ends {
        let (server, source, mut connection) = opened(&head);
        if head == CHUNKED {
            connection.chunk("data: x\n\n");
        } else {
            connection.send("data: x\n\n");
        }
        source.message("x");
        finish(connection);
        let failure = source.retrying(error);
        assert_eq!(failure.attempt, 0, "{end}");
        let mut again = server.accept();
        again.send(EVENT_STREAM);
        source.opened();
        assert!(!server.is_asked(), "{end}");
    }
}

/// R27. A body of no bytes is an end like any other.
#[test]
fn an_empty_body_reestablishes() {
    let (_server, source, connection) = opened(with_length(0));
    assert_eq!(source.ended().attempt, 1);
    connection.again().expect("the next request");
}

fn gzip_head(more: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Content-Encoding: gzip\r\n{more}\r\n"
    )
}

/// Compression: gzip, unasked, is decoded as it comes; an event is there as
/// soon as the server has flushed it.
#[test]
fn decodes_gzip_as_it_comes() {
    for chunked in [false, true] {
        let more = if chunked { "Transfer-Encoding: chunked\r\n" } else { "" };
        let (server, source, mut connection) = opened(gzip_head(more));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        for number in 0..20 {
            write!(gzip, "id: {number}\ndata: {number}ü\n\n").unwrap();
            gzip.flush().unwrap();
            let bytes = std::mem::take(gzip.get_mut());
            if chunked {
                connection.chunk(bytes);
            } else {
                connection.send(bytes);
            }
            source.message(&format!("{number}ü"));
        }
        // What is more than a buffer once it is unpacked.
        let data = "x".repeat(1 << 20);
        write!(gzip, "data: {data}\n\n").unwrap();
        let bytes = gzip.finish().unwrap();
        if chunked {
            connection.chunk(bytes);
            connection.send("0\r\n\r\n");
        } else {
            connection.send(bytes);
            connection.half_close();
        }
        assert_eq!(source.event().data.len(), data.len());
        source.ended();
        let again = match chunked {
            true => connection.again().expect("the next request"),
            false => server.accept(),
        };
        assert_eq!(again.request.header("last-event-id"), Some("19"));
    }
}

/// The same of what came with the head, though it is more than one read undoes:
/// nothing more may come for hours.
#[test]
fn undoes_all_of_the_gzip_that_came_with_the_head() {
    // Packed to more than a KiB, and to less than a head's buffer has room for.
    let noise: String = (0..400).map(|it| format!("{it:x}")).collect();
    let data = noise + &"x".repeat(500_000);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    write!(gzip, "data: {data}\n\n").unwrap();
    gzip.flush().unwrap();
    assert!((1_025..1_900).contains(&gzip.get_ref().len()));
    let mut response = gzip_head("").into_bytes();
    response.extend_from_slice(gzip.get_ref());
    let (_server, source, _connection) = opened(response);
    assert_eq!(source.event().data.len(), data.len());
}

/// Compression, R42: gzip may be cut anywhere.
#[test]
fn decodes_gzip_byte_by_byte() {
    let (_server, source, mut connection) = opened(gzip_head(""));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    write!(gzip, "data: x\n\n").unwrap();
    gzip.flush().unwrap();
    for byte in gzip.get_ref() {
        connection.send([*byte]);
    }
    source.message("x");
}

/// Compression, R27: gzip that is cut or broken is lost, also where its
/// framing is in order.
#[test]
fn broken_gzip_reestablishes() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    write!(gzip, "data: x\n\n").unwrap();
    gzip.flush().unwrap();
    let flushed = gzip.get_ref().clone();
    let end = gzip.finish().unwrap().split_off(flushed.len());
    let mut wrong_sum = end.clone();
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    for (name, end) in [
        ("none", &[][..]),
        ("one", &end[..1]),
        ("half", &end[..end.len() - 3]),
        ("all but one", &end[..end.len() - 1]),
        ("no gzip", &[0xff; 100]),
        ("wrong sum", &wrong_sum),
    ] {
        for framing in ["", "Transfer-Encoding: chunked\r\n", "length"] {
            let length = flushed.len() + end.len();
            let length = format!("Content-Length: {length}\r\n");
            let (server, source, mut connection) = opened(match framing {
                "length" => gzip_head(&length),
                framing => gzip_head(framing),
            });
            if framing.ends_with("chunked\r\n") {
                connection.chunk(&flushed);
                source.message("x");
                if !end.is_empty() {
                    connection.chunk(end);
                }
                // It may be found out before.
                let _ = connection.try_send("0\r\n\r\n");
            } else {
                connection.send(&flushed);
                source.message("x");
                let _ = connection.try_send(end);
            }
            connection.finish();
            let failure = source.lost();
            assert_eq!(failure.attempt, 0, "{name}");
            assert!(failure.message.starts_with("bad gzip"), "{failure:?}");
            server.accept().send(EVENT_STREAM);
            source.opened();
        }
    }
}

/// Compression, R27: gzip that ends where it may is an end in good order: an
/// empty body, whatever a header may have, and one gzip after another.
#[test]
fn whole_gzip_ends_in_good_order() {
    let gzip = |data: &str, builder: GzBuilder| {
        let mut gzip = builder.write(Vec::new(), Compression::default());
        write!(gzip, "{data}").unwrap();
        gzip.finish().unwrap()
    };
    let whole = gzip("data: x\n\n", GzBuilder::new());
    let mut with_sum = gzip("data: x\n\n", GzBuilder::new());
    // FHCRC, and its two bytes behind the header.
    with_sum[3] |= 2;
    with_sum.splice(10..10, [0, 0]);
    let described =
        GzBuilder::new().extra("extra").filename("name").comment("comment");
    let described = gzip("data: x\n\n", described);
    let no_extra = gzip("data: x\n\n", GzBuilder::new().extra(""));
    let two =
        [gzip("data: ", GzBuilder::new()), gzip("x\n\n", GzBuilder::new())];
    let nothing = gzip("", GzBuilder::new());
    for (body, brings) in [
        (&b""[..], false),
        (&nothing, false),
        (&whole, true),
        (&with_sum, true),
        (&described, true),
        (&no_extra, true),
        (&two.concat(), true),
        (&[&nothing[..], &whole].concat(), true),
    ] {
        for size in [1, 1000] {
            let (_server, source, mut connection) = opened(gzip_head(""));
            for piece in body.chunks(size) {
                connection.send(piece);
            }
            connection.finish();
            if brings {
                source.message("x");
            }
            source.ended();
        }
    }
}

/// Compression: whole events that came before a broken place are dispatched,
/// and their ids count, also where one read has brought both: else a proxy
/// that breaks each answer at the same place would be asked for ever.
#[test]
fn dispatches_what_came_before_a_broken_place() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    write!(gzip, "id: 7\ndata: x\n\nid: 8\ndata: half").unwrap();
    gzip.flush().unwrap();
    let mut broken = gzip.get_ref().clone();
    // No block of deflate begins so.
    broken.extend([0xFF; 10]);
    let (server, source, mut connection) =
        opened(gzip_head(&format!("Content-Length: {}\r\n", broken.len())));
    connection.send(&broken);
    assert_eq!(source.message("x").id, "7");
    assert!(source.lost().message.starts_with("bad gzip"));
    let again = server.accept();
    assert_eq!(again.request.header("last-event-id"), Some("7"));
}

/// Compression, closing: half a gigabyte of nothing in one read does not hold
/// up a close.
#[test]
fn a_close_does_not_wait_for_a_gzip_bomb() {
    let gzip = |bytes: &[u8]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let bomb = gzip(&vec![b'\n'; 16 << 20]).repeat(30);
    let (_server, source, mut connection) = opened(gzip_head(""));
    connection.send([gzip(b"data: x\n\n"), bomb].concat());
    source.message("x");
    let start = Instant::now();
    source.close();
    source.closed(Error::None);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

/// Compression, Fetch, "handle content codings": what is no coding is none;
/// the body is taken as it is.
#[test]
fn leaves_a_body_of_unknown_coding_as_it_is() {
    for coding in [
        "None",
        "UTF-8",
        "utf8",
        "binary",
        "8bit",
        "chunked",
        "aws-chunked",
        "identity",
        "identity, none",
        "gzip, none",
        "none, gzip",
        "gzip;q=1",
        "\"gzip\"",
        "",
        ",",
    ] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Content-Encoding: {coding}\r\n\r\n"
        );
        let (_server, source, mut connection) = opened(head);
        connection.send("data: x\n\n");
        source.message("x");
    }
}

/// Compression: a coding that there is, and that is not undone, fails the
/// connection: what it hides cannot be read the next time either.
#[test]
fn refuses_content_codings_that_it_does_not_undo() {
    for coding in [
        "br",
        "BR",
        "zstd",
        "deflate",
        "compress",
        "x-compress",
        "dcb",
        "dcz",
        "aes128gcm",
        "exi",
        "pack200-gzip",
        "br, none",
        "none\r\nContent-Encoding: br",
        "gzip, br",
        "gzip, gzip",
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        server.accept().answer(
            "200 OK",
            &format!(
                "Content-Type: text/event-stream\r\n\
                 Content-Encoding: {coding}\r\n"
            ),
        );
        let failure = source.failed(Error::ContentType);
        assert_eq!(failure.http_status, 200);
        assert!(!server.is_asked(), "{coding}");
    }
}

/// Compression: what says gzip and is none brings no event.
#[test]
fn what_only_says_gzip_is_lost() {
    let (server, source, mut connection) = opened(gzip_head(""));
    connection.send("data: x\n\ndata: y\n\n");
    connection.finish();
    assert_eq!(source.lost().attempt, 1);
    server.accept();
    // Shorter than the header of a gzip.
    for body in ["data: x\n\n", "\x1F"] {
        let length = format!("Content-Length: {}\r\n", body.len());
        let (_server, source, mut connection) = opened(gzip_head(&length));
        connection.send(body);
        source.lost();
    }
}
