//! Which answers are a stream.

use std::ffi::{CStr, c_char, c_void};
use std::sync::mpsc::{Sender, channel};

use eventsource::ffi::{self, Error, ReadyState};

use support::server::{CHUNKED, EVENT_STREAM, Server};
use support::source::{Seen, Source};

/// R16, R25. The decision falls on the head: the connection is announced
/// before any byte of a body has come, however it will come.
#[test]
fn announces_the_connection_before_any_byte_of_the_body() {
    for head in [
        EVENT_STREAM,
        CHUNKED,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Content-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Content-Encoding: gzip\r\n\r\n",
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        assert_eq!(source.ready_state(), ReadyState::Connecting);
        connection.send(head);
        let response = source.opened();
        assert_eq!((response.status, response.url), (200, server.url("/")));
        assert_eq!(source.ready_state(), ReadyState::Open);
    }
}

/// R21, R28. Any status but 200 fails the connection, for good.
#[test]
fn fails_the_connection_unless_the_status_is_200() {
    for status in [
        201, 202, 203, 204, 205, 206, 207, 226, 299, 300, 304, 306, 400, 401,
        403, 404, 405, 407, 408, 410, 418, 421, 425, 429, 451, 500, 501, 502,
        503, 504, 505, 511, 599, 999,
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(format!(
            "HTTP/1.1 {status} Reason\r\nX-Why: because\r\n\
             Content-Length: 0\r\nContent-Type: text/event-stream\r\n\r\n"
        ));
        let failure = source.failed(Error::Status);
        assert_eq!(failure.http_status, status);
        let response = failure.response.expect("the response");
        assert_eq!((response.status, response.url), (status, server.url("/")));
        assert!(
            failure.message.contains(&status.to_string()),
            "{:?} tells the status",
            failure.message
        );
        connection.sees_the_client_close();
        assert!(!server.is_asked(), "{status}");
    }
}

/// R21. The body of a refused answer is ignored.
#[test]
fn no_event_comes_out_of_a_refused_answer() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(
        "HTTP/1.1 500 -\r\nContent-Type: text/event-stream\r\n\r\n\
         id: 1\nretry: 5\ndata: x\n\n",
    );
    connection.finish();
    source.failed(Error::Status);
    assert_eq!(source.last_event_id(), "");
}

/// R20. 204 makes a source stop, at a reconnection too.
#[test]
fn stops_at_204_at_a_reconnection() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    connection.finish();
    source.opened();
    source.message("x");
    source.ended();
    server.accept().answer("204 No Content", "");
    assert_eq!(source.failed(Error::Status).http_status, 204);
    assert!(!server.is_asked());
}

fn content_type_is_accepted(headers: &str) -> bool {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n{headers}\r\ndata: x\n\n"
    ));
    match source.next() {
        Seen::Open(_) => {
            source.message("x");
            true
        }
        Seen::Error(failure) => {
            assert_eq!(failure.error, Error::ContentType);
            assert_eq!(failure.http_status, 200);
            assert!(!failure.will_retry);
            assert!(failure.response.is_some());
            source.closed(Error::ContentType);
            assert!(!server.is_asked());
            false
        }
        other => panic!("on_open or on_error expected: {other:?}"),
    }
}

/// R22. The MIME type is `text/event-stream` in any case, with any parameters.
#[test]
fn accepts_the_mime_type_of_event_streams() {
    for value in [
        "text/event-stream",
        "TEXT/EVENT-STREAM",
        "Text/Event-Stream; Charset=UTF-8",
        "text/event-stream;charset=utf-8",
        "text/event-stream;",
        "text/event-stream ;",
        "text/event-stream\t; charset",
        "text/event-stream;;;",
        "text/event-stream;=x",
        "text/event-stream; charset=\"utf-8",
        "text/event-stream; a=\"b;c\"",
        "text/event-stream; profile=text/html",
        "  text/event-stream  ",
    ] {
        let header = format!("Content-Type: {value}\r\n");
        assert!(content_type_is_accepted(&header), "{value:?}");
    }
}

/// R22, R24, R28. Every other type fails the connection, and so does none:
/// nobody sniffs.
#[test]
fn fails_the_connection_unless_the_mime_type_is_that_of_event_streams() {
    assert!(!content_type_is_accepted(""), "no header");
    for value in [
        "",
        " ",
        "*/*",
        "text/*",
        "text",
        "text/",
        "/event-stream",
        "event-stream",
        "text/plain",
        "text/html; charset=utf-8",
        "application/json",
        "application/octet-stream",
        "text/event-streamx",
        "text/event-stream-x",
        "text/event-stream+json",
        "xtext/event-stream",
        "text/event stream",
        "text/event-stream x",
        "text /event-stream",
        "text/ event-stream",
        "text/event-stream/x",
        ";text/event-stream",
        "charset=utf-8; text/event-stream",
        "application/x-dom-event-stream",
        "\"text/event-stream\"",
    ] {
        let header = format!("Content-Type: {value}\r\n");
        assert!(!content_type_is_accepted(&header), "{value:?}");
    }
}

/// R24. Of several values the last one that is a MIME type counts.
#[test]
fn the_last_mime_type_of_several_counts() {
    for (values, accepted) in [
        (&["text/html", "text/event-stream"][..], true),
        (&["text/event-stream", "text/html"], false),
        (&["text/event-stream", "text/event-stream"], true),
        (&["text/event-stream", ""], true),
        (&["", "text/event-stream"], true),
        (&["text/event-stream", "*/*"], true),
        (&["*/*", "text/event-stream"], true),
        (&["text/event-stream", "garbage"], true),
        (&["text/html, text/event-stream"], true),
        (&["text/event-stream, text/html"], false),
        (&["text/event-stream,*/*"], true),
        (&["text/event-stream, garbage, a b/c"], true),
        (&["text/event-stream;a=\",text/html\""], true),
        (&["text/event-stream;a=\",text/html"], true),
        (&["text/event-stream;a=\"\\\",text/html\""], true),
        (&["text/html;a=\",text/event-stream\""], false),
        (&["text/event-stream;charset=utf-8,text/event-stream"], true),
        (&["text/html,text/plain", "text/event-stream"], true),
        // Joined before they are read: a quote goes on in the next one.
        (&["text/html;\"", "text/event-stream"], false),
        (&["text/html;x=\"", "text/event-stream"], false),
        (&["text/event-stream; x=\"", "text/plain"], true),
        (&["text/html;\"", "\\\"", "text/event-stream"], false),
        (&["text/html;\"", "\\\"", "text/event-stream", "\";c=d"], false),
        (&["text/html;\"", "\"", "text/event-stream"], true),
        (&["text/html;\"", "\", text/event-stream"], true),
        (&["text/event-stream", "text/pl\u{e4}in"], true),
    ] {
        let headers: String = values
            .iter()
            .map(|value| format!("Content-Type: {value}\r\n"))
            .collect();
        assert_eq!(content_type_is_accepted(&headers), accepted, "{values:?}");
    }
}

/// R18. A change of protocol that nobody asked for is a network error.
#[test]
fn switching_protocols_is_tried_again() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
         Connection: upgrade\r\nContent-Type: text/event-stream\r\n\r\n\
         data: x\n\n",
    );
    let failure = source.retrying(Error::Http);
    assert_eq!(failure.http_status, 101);
    assert!(failure.message.contains("101"), "{failure:?}");
    connection.sees_the_client_close();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// R21, R28. What a server writes where the status is, is one, also if HTTP
/// has no such number.
#[test]
fn fails_the_connection_at_a_status_below_100() {
    for (line, status) in
        [("1 OK", 1), ("077 77", 77), ("99", 99), ("000 -", 0), ("20 OK", 20)]
    {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(format!(
            "HTTP/1.1 {line}\r\nContent-Type: text/event-stream\r\n\
             Content-Length: 3\r\n\r\nwhy"
        ));
        let failure = source.failed(Error::Status);
        assert_eq!((failure.http_status, &*failure.body), (status, "why"));
        assert!(!server.is_asked(), "{line}");
    }
}

/// R23. The stream is UTF-8, whatever a `charset` says.
#[test]
fn ignores_the_charset() {
    for charset in ["iso-8859-1", "utf-16", "windows-1252", "nonsense"] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(format!(
            "HTTP/1.1 200 OK\r\n\
             Content-Type: text/event-stream; charset={charset}\r\n\r\n"
        ));
        connection.send("data: ü€😀\n\n");
        source.opened();
        source.message("ü€😀");
    }
}

/// R63. The headers of a response, under any case of their names; several
/// values are joined.
#[test]
fn looks_up_headers_of_the_response() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .looking_up(&[
            "content-type",
            "X-ONE",
            "x-many",
            "x-empty",
            "x-absent",
            "",
            "x:one",
        ])
        .start();
    server.accept().answer(
        "503 Service Unavailable",
        "Content-Type: text/event-stream\r\nx-One:   1\t\r\n\
         X-Many: a\r\nX-Empty:\r\nx-many: b, c\r\nX-MANY: d\r\n",
    );
    let failure = source.failed(Error::Status);
    let headers = failure.response.expect("the response").headers;
    let header = |name| headers.get(name).map(String::as_str);
    assert_eq!(header("content-type"), Some("text/event-stream"));
    assert_eq!(header("X-ONE"), Some("1"));
    assert_eq!(header("x-many"), Some("a, b, c, d"));
    assert_eq!(header("x-empty"), Some(""));
    assert_eq!(header("x-absent"), None);
    assert_eq!(header(""), None);
    assert_eq!(header("x:one"), None);
}

/// R63. A value that is not UTF-8 is taken for Latin-1, and is UTF-8 in C.
#[test]
fn header_values_that_are_not_utf8_are_latin_1() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .looking_up(&["X-Utf8", "X-Latin", "X-Both"])
        .start();
    let head = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n",
        &b"X-Utf8: \xc3\xbc\xe2\x82\xac\r\nX-Latin: \xfc \xa4\xff\r\n"[..],
        b"X-Both: \xc3\xbc\r\nX-Both: \xfc\r\n\r\n",
    ];
    server.accept().send(head.concat());
    let headers = source.opened().headers;
    assert_eq!(headers["X-Utf8"], "\u{fc}\u{20ac}");
    assert_eq!(headers["X-Latin"], "\u{fc} \u{a4}\u{ff}");
    assert_eq!(headers["X-Both"], "\u{fc}, \u{fc}");
}

/// R63. So it is in the message.
#[test]
fn a_content_type_that_is_not_utf8_is_told_as_latin_1() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/\xfc\r\n");
    connection.send("Content-Type: a/b\r\n\r\n");
    let message = source.failed(Error::ContentType).message;
    assert!(message.ends_with("but text/\u{fc}, a/b"), "{message}");
}

/// R63. The headers of an accepted response are there in `on_open`.
#[test]
fn looks_up_headers_of_an_open_stream() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).looking_up(&["Content-Type"]).start();
    server.accept().send(EVENT_STREAM);
    let headers = source.opened().headers;
    assert_eq!(headers["Content-Type"], "text/event-stream");
}

type Lines = Vec<(String, String)>;

/// Sends all headers, each value by itself.
extern "C" fn send_headers(
    _: *mut ffi::CSource,
    response: *const ffi::CResponse,
    sender: *mut c_void,
) {
    // SAFETY: the sender outlives the source.
    let sender = unsafe { &*sender.cast::<Sender<Lines>>() };
    let text = |text: *const c_char| {
        // SAFETY: borrowed until the callback returns.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_str().expect("UTF-8").to_owned()
    };
    let mut lines = Lines::new();
    for index in 0.. {
        // SAFETY: borrowed until the callback returns.
        let (name, value) = unsafe {
            (
                ffi::eventsource_response_header_name(response, index),
                ffi::eventsource_response_header_value(response, index),
            )
        };
        assert_eq!(name.is_null(), value.is_null());
        if name.is_null() {
            break;
        }
        lines.push((text(name), text(value)));
    }
    sender.send(lines).expect("a test that listens");
}

/// R63. Values that must not be joined, as cookies, come one by one.
#[test]
fn headers_can_be_gone_through_value_by_value() {
    let server = Server::start();
    let (sender, receiver) = channel::<Lines>();
    let source = Source::new(&server.url("/"));
    let pointer = (&raw const sender).cast_mut().cast();
    // SAFETY: a callback of that type; the sender outlives the source.
    let error = unsafe {
        let source = source.handle().as_ptr();
        ffi::eventsource_on_open(source, Some(send_headers), pointer)
    };
    assert_eq!(error, Error::None);
    let source = source.start();
    let head = [
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Expires=Wed, 1 Jan 2031\r\n",
        &b"Content-Type: text/event-stream\r\nX-Empty:\r\n"[..],
        b"set-cookie: c=\xfc\r\nSET-COOKIE: d\r\n\r\n",
    ];
    server.accept().send(head.concat());
    let mut lines = receiver.recv_timeout(support::DEADLINE).expect("a head");
    // In the order in which they came, those of one name.
    lines.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("content-type", "text/event-stream"),
        ("set-cookie", "a=b; Expires=Wed, 1 Jan 2031"),
        ("set-cookie", "c=\u{fc}"),
        ("set-cookie", "d"),
        ("x-empty", ""),
    ];
    let expected = expected.map(|(name, value)| (name.into(), value.into()));
    assert_eq!(lines, expected);
    drop(source);
}

/// R63. Without a response there is none to look at, and no status.
#[test]
fn a_failure_without_response_says_so() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let url = server.url("/");
    server.accept().reset();
    let failure = match source.next() {
        Seen::Error(failure) => failure,
        other => panic!("on_error expected: {other:?}"),
    };
    assert!(failure.will_retry, "{failure:?} at {url}");
    assert_eq!((failure.http_status, failure.response), (0, None));
}
