//! Heads of responses as servers write them, in order or not.

use eventsource::ffi::Error;

use support::server::{EVENT_STREAM, Server};
use support::source::{Seen, Source};

/// What becomes of a response that has these header lines, each with its line
/// end, beside its content type; its body is one event.
fn follows(lines: impl AsRef<[u8]>) {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    follows_head([head, lines.as_ref(), b"\r\n"].concat());
}

fn follows_head(head: impl AsRef<[u8]>) {
    let head = head.as_ref();
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(head);
    connection.send("data: x\n\n");
    match source.next() {
        Seen::Open(response) => assert_eq!(response.status, 200),
        other => panic!("{}: {other:?}", shown(head)),
    }
    source.message("x");
}

fn shown(head: &[u8]) -> String {
    head[..head.len().min(300)].escape_ascii().to_string()
}

/// A response that is not HTTP, or could be read in two ways: tried again,
/// whether or not the server closes the connection.
fn refuses_head(head: impl AsRef<[u8]>) {
    let head = head.as_ref();
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(head);
    match source.next() {
        Seen::Error(failure) => {
            assert_eq!(failure.error, Error::Http, "{}", shown(head));
            assert!(failure.will_retry);
        }
        other => panic!("{}: {other:?}", shown(head)),
    }
    connection.sees_the_client_close();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// RFC 9112, 2.3 and 4: the version may be any of HTTP's first, in any case;
/// blanks may be many, and a reason may be missing.
#[test]
fn reads_every_status_line() {
    for line in [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200",
        "HTTP/1.0 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        "Http/1.1 200 OK",
        "HTTP/1.1  200  OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200 \u{fc}\u{1}",
        "\r\nHTTP/1.1 200 OK",
        "\n\r\n\nHTTP/1.1 200 OK",
    ] {
        let end = "\r\nContent-Type: text/event-stream\r\n\r\n";
        follows_head(line.to_owned() + end);
    }
}

/// RFC 9112, 2.2: a line may end with LF alone.
#[test]
fn reads_lines_that_end_with_lf() {
    follows_head("HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\n");
    follows_head("HTTP/1.1 200 OK\nContent-Type: text/event-stream\r\n\n");
    follows_head("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\n\r\n");
}

/// RFC 9112, 5.2: a user agent takes a header that goes on in the next line.
#[test]
fn reads_folded_headers() {
    follows("X-Folded: a\r\n b\r\n\tc\r\n");
    follows("X-Folded:\r\n a\r\n");
    follows("X-Folded: a\r\n \r\n\t\r\n");
    for head in [
        "Content-Type:\r\n text/event-stream\r\n",
        "Content-Type: text/event-stream;\r\n charset=utf-8\r\n",
        "Content-Type: text/event-stream\r\n  ;\r\n\tcharset\r\n =x\r\n",
        "Content-Type: text/event-stream\n ;x\n",
    ] {
        follows_head(format!("HTTP/1.1 200 OK\r\n{head}\r\n"));
    }
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).looking_up(&["X-Folded"]).start();
    let head = "X-Folded: a \r\n \t b\r\n \r\n\tc\r\nX-Other: d\r\n\r\n";
    server.accept().send(EVENT_STREAM.replace("\r\n\r\n", "\r\n") + head);
    assert_eq!(source.opened().headers["X-Folded"], "a b c");
}

/// What is no header is passed over, and what goes on from it.
#[test]
fn passes_over_lines_that_are_no_header() {
    for line in [
        "no header",
        ":",
        ": x",
        "X Y: z",
        "X(: y",
        "\u{fc}: x",
        "\u{1}X: y",
        "X-Control: a\u{1}b\u{7f}c",
        "HTTP/1.1 200 OK",
        "no header\r\n Content-Type: text/plain",
        "no header\r\n\tb\r\n\tc",
    ] {
        follows(line.to_owned() + "\r\n");
        follows(line.to_owned() + "\r\nX-Other: a\r\n");
    }
    // At the very beginning, too.
    for line in [" x: y", "\tContent-Type: text/plain", "no header"] {
        follows_head(format!(
            "HTTP/1.1 200 OK\r\n{line}\r\n\
             Content-Type: text/event-stream\r\n\r\n"
        ));
    }
}

/// A blank before the colon belongs to nothing.
#[test]
fn reads_headers_with_a_blank_before_the_colon() {
    for header in [
        "Content-Type : text/event-stream",
        "Content-Type \t :text/event-stream",
    ] {
        follows_head(format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n"));
    }
}

/// As many headers as there is room for, of whatever names.
#[test]
fn reads_any_number_of_headers() {
    let distinct = |count: usize| -> String {
        (0..count).map(|number| format!("X-{number}: {number}\r\n")).collect()
    };
    for headers in [
        distinct(127),
        distinct(128),
        distinct(150),
        distinct(10_000),
        "Set-Cookie: a=b\r\n".repeat(300),
        "x:\r\n".repeat(50_000),
    ] {
        follows(headers);
    }
}

/// A head may have 256 KiB, which is what browsers take, interim responses
/// included.
#[test]
fn reads_a_head_of_250_kib() {
    let long = format!("X-Long: {}\r\n", "x".repeat(250 << 10));
    follows(&long);
    follows_head(format!(
        "HTTP/1.1 103 Early Hints\r\n{long}\r\n{EVENT_STREAM}"
    ));
    refuses_head(format!("HTTP/1.1 200 OK\r\n{long}{long}\r\n"));
}

/// Interim responses may be as far from order as the response itself.
#[test]
fn passes_over_interim_responses_of_any_form() {
    for interim in [
        "HTTP/1.1 100 Continue\r\nX-Some: header\r\n\r\n",
        "http/1.1 103\r\nLink: a\r\n b\r\nno header\r\n\r\n",
        "HTTP/1.1 199 -\nContent-Length: x\n\n",
    ] {
        follows_head(interim.to_owned() + EVENT_STREAM);
        follows_head(interim.repeat(3) + EVENT_STREAM);
    }
}

/// A lone CR and a NUL end a line for some and not for others.
#[test]
fn refuses_what_can_be_read_in_two_ways() {
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
    for head in [
        "X: a\rb\r\n\r\n",
        "X: a\r\r\n\r\n",
        "\rX: a\r\n\r\n",
        "X: a\0b\r\n\r\n",
        "X\0: a\r\n\r\n",
        "\0\r\n\r\n",
        // What frames the body is not guessed at.
        "Content-Length: 9\u{1}\r\n\r\n",
        "Transfer-Encoding: chunked\u{1}\r\n\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n\r\n",
    ] {
        refuses_head(ok.to_owned() + head);
    }
}

/// R18. What is not HTTP is known by its first bytes: nobody waits for the
/// end of a head that is none.
#[test]
fn knows_by_the_first_bytes_what_is_not_http() {
    for bytes in ["SSH-2.0-OpenSSH_9.6\r\n", "X", "HTTPS", "\r\n\r\nH\r\n"] {
        refuses_head(bytes);
    }
    for line in [
        "HTTP 200 OK",
        "HTTP/ 200 OK",
        "HTTP/1 200 OK",
        "HTTP/2 200 OK",
        "HTTP/11.1 200 OK",
        "HTTP/x.1 200 OK",
        "HTTP/1.1200 OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 -200 OK",
        "HTTP/1.1 +20 OK",
    ] {
        let end = "\r\nContent-Type: text/event-stream\r\n\r\n";
        refuses_head(line.to_owned() + end);
    }
}

/// An empty line in the middle of a CRLF, and every other place to cut.
#[test]
fn a_head_out_of_order_may_be_cut_anywhere() {
    let head = "\r\nhttp/1.1 103\r\n\r\nhttp/1.2 200\r\nno header\r\n\
        Content-Type :\r\n text/event-stream\n\r\n";
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    for byte in head.bytes() {
        connection.send([byte]);
    }
    source.opened();
    connection.send("data: x\n\n");
    source.message("x");
}
