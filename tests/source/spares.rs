//! The connection of a response that has ended serves the next request.

use eventsource::ffi::Error;

use support::certificates;
use support::server::{Connection, Server};
use support::source::Source;

/// The head of an event stream in chunks, on a connection that is kept.
const KEPT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// Sends a stream of one event with an id, to its end, in one piece.
fn stream(connection: &mut Connection, id: u32) {
    let event = format!("id: {id}\ndata: {id}\n\n");
    let length = event.len();
    connection.send(format!("{KEPT}{length:x}\r\n{event}\r\n0\r\n\r\n"));
}

fn streamed(source: &Source, id: u32) {
    source.opened();
    source.message(&id.to_string());
    source.ended();
}

/// A stream that has ended in good order is asked for again over its
/// connection, from where it stood; TLS alike.
#[test]
fn a_stream_is_reestablished_over_its_connection() {
    let secure = || Server::secure(certificates::trusted("127.0.0.1"));
    for server in [Server::start(), secure()] {
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        for id in 1..=5 {
            stream(&mut connection, id);
            streamed(&source, id);
            connection = connection.again().expect("the next request");
            let last = connection.request.header("last-event-id");
            assert_eq!(last, Some(&*id.to_string()));
        }
        assert!(!server.is_asked());
    }
}

/// A body with a length ends where its last byte was.
#[test]
fn a_stream_with_a_length_leaves_its_connection() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    let head = KEPT.replace("Transfer-Encoding: chunked", "Content-Length: 9");
    connection.send(head + "data: x\n\n");
    source.opened();
    source.message("x");
    source.ended();
    connection = connection.again().expect("the next request");
    stream(&mut connection, 1);
    streamed(&source, 1);
}

/// What the server does not keep, or what more has come over, is left.
#[test]
fn connections_that_are_not_kept() {
    let kept = KEPT.trim_end_matches("\r\n");
    let close = format!("{kept}\r\nConnection: x, Close\r\n\r\n");
    let old = KEPT.replace("HTTP/1.1", "HTTP/1.0");
    let long = KEPT.replace("Transfer-Encoding: chunked", "Content-Length: 0");
    let forged = "HTTP/1.1 200 OK\r\n\
        Content-Type: text/event-stream\r\n\r\ndata: forged\n\n";
    for (head, body) in [
        (&*close, "0\r\n\r\n".to_owned()),
        (&old, "0\r\n\r\n".to_owned()),
        // A trailer, and an end that has yet to come.
        (KEPT, "0\r\nX: y\r\n\r\n".to_owned()),
        (KEPT, "0\r\n".to_owned()),
        // Answers to what was not asked.
        (KEPT, format!("0\r\n\r\n{forged}")),
        (&long, forged.to_owned()),
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(head.to_owned() + &body);
        source.opened();
        source.ended();
        stream(&mut server.accept(), 1);
        streamed(&source, 1);
    }
}

/// The same, if it comes while the source waits.
#[test]
fn bytes_that_nobody_asked_for_are_no_response() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_reconnection_time(4000).start();
    let mut connection = server.accept();
    stream(&mut connection, 1);
    streamed(&source, 1);
    stream(&mut connection, 2);
    assert_eq!(source.reconnect(), Error::None);
    let mut next = server.accept();
    assert_eq!(next.request.header("last-event-id"), Some("1"));
    stream(&mut next, 3);
    streamed(&source, 3);
}

/// A server that has closed the connection meanwhile, or that closes it when
/// it is asked again, is asked once more over another: nobody is told.
#[test]
fn a_server_may_close_what_it_had_kept() {
    let secure = || Server::secure(certificates::trusted("127.0.0.1"));
    for server in [Server::start(), secure()] {
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        for id in 1..=6 {
            stream(&mut connection, id);
            match id % 3 {
                0 => connection.finish(),
                // The second request has come, or part of it.
                1 => drop(connection.again().expect("the next request")),
                _ => connection.again().expect("the next request").reset(),
            }
            streamed(&source, id);
            connection = server.accept();
            let last = connection.request.header("last-event-id");
            assert_eq!(last, Some(&*id.to_string()));
        }
    }
}

/// One that answers, and badly, has answered.
#[test]
fn a_bad_answer_is_told() {
    for (answer, error) in [
        ("HTTP/1.1 2", Error::Lost),
        ("nonsense", Error::Http),
        ("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", Error::Status),
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        stream(&mut connection, 1);
        streamed(&source, 1);
        connection = connection.again().expect("the next request");
        connection.send(answer);
        connection.finish();
        source.failure(error);
    }
}

/// RFC 9110, 9.2.2. A POST is not sent over a connection that may be closed at
/// that moment: it would not be known whether it was carried out.
#[test]
fn a_post_gets_a_connection_of_its_own() {
    let server = Server::start();
    let _source = Source::new(&server.url("/")).with_body("x").start();
    let mut connection = server.accept();
    connection.send(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: /to\r\n\
         Content-Length: 0\r\n\r\n",
    );
    assert_eq!(server.accept().request.body, b"x");
    connection.sees_the_client_close();
}

/// A connection is held for a short wait only, and not while the source is
/// closed.
#[test]
fn a_long_wait_holds_no_connection() {
    for (ms, closes) in [(3_600_000, false), (4000, true)] {
        let server = Server::start();
        let source =
            Source::new(&server.url("/")).with_reconnection_time(ms).start();
        let mut connection = server.accept();
        stream(&mut connection, 1);
        streamed(&source, 1);
        if closes {
            source.close();
        }
        connection.sees_the_client_close();
    }
}

/// Three redirects of one origin take one connection.
#[test]
fn redirects_go_over_one_connection() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/0"));
    let mut connection = server.accept();
    for to in 1..=3 {
        let length = 9000 * (to - 1);
        let body = "x".repeat(length);
        connection.send(format!(
            "HTTP/1.1 302 Found\r\nLocation: /{to}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ));
        connection = connection.again().expect("the next request");
        assert_eq!(connection.request.target, format!("/{to}"));
    }
    connection.send(KEPT);
    source.opened();
    assert!(!server.is_asked());
}

/// A redirect to another origin, one whose body has yet to come, and one that
/// is long: a new connection.
#[test]
fn redirects_that_need_another_connection() {
    let other = Server::start();
    for (to, rest) in [
        (other.url("/to"), "Content-Length: 0\r\n\r\n".to_owned()),
        ("/to".to_owned(), "Content-Length: 1\r\n\r\n".to_owned()),
        ("/to".to_owned(), "\r\n".to_owned()),
        (
            "/to".to_owned(),
            format!("Content-Length: 100000\r\n\r\n{}", "x".repeat(100_000)),
        ),
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/from"));
        let mut connection = server.accept();
        connection
            .send(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n{rest}"));
        let target = if to.starts_with('/') { &server } else { &other };
        target.accept().send(KEPT);
        source.opened();
        connection.sees_the_client_close();
    }
}
