//! Answers that are no event stream, and what the program makes of them.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use eventsource::ffi::{self, Error, Retry};
use flate2::Compression;
use flate2::write::GzEncoder;

use support::server::Server;
use support::source::Source;

/// Enough for what is well to go well, and little to wait for.
const SHORT: u64 = 200;

const MIB: usize = 1 << 20;

fn keeping(url: &str, bytes: usize) -> Source {
    Source::new(url).with(ffi::eventsource_set_max_body_size, bytes)
}

fn json(headers: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}\r\n"
    )
}

/// Bodies: whether a body is all there is, however its end is marked.
#[test]
fn a_failure_tells_whether_the_body_is_complete() {
    let full = "x".repeat(4096);
    let more = "x".repeat(4097);
    for (head, body, told, complete) in [
        ("401 -\r\nContent-Length: 2", "no", "no", true),
        ("401 -\r\nContent-Length: 0", "", "", true),
        ("401 -\r\nContent-Length: 3", "no", "no", false),
        ("401 -\r\nConnection: close", "no", "no", true),
        (
            "401 -\r\nTransfer-Encoding: chunked",
            "1\r\nx\r\n0\r\n\r\n",
            "x",
            true,
        ),
        ("401 -\r\nTransfer-Encoding: chunked", "1\r\nx\r\n", "x", false),
        ("401 -\r\nTransfer-Encoding: chunked", "1\r\nx\r\nx", "x", false),
        ("401 -\r\nContent-Length: 4096", &full, &full, true),
        ("401 -\r\nContent-Length: 4097", &more, &full, false),
        ("204 -", "", "", true),
        ("101 -", "x", "", false),
    ] {
        let server = Server::start();
        // The same for a program that wants as much as there is by default.
        for source in
            [Source::new(&server.url("/")), keeping(&server.url("/"), 4096)]
        {
            let source = source.with_retry(Retry::Never).start();
            let mut connection = server.accept();
            connection.send(format!("HTTP/1.1 {head}\r\n\r\n{body}"));
            connection.finish();
            let error = match head {
                "101 -" => Error::Http,
                _ => Error::Status,
            };
            let failure = source.failed(error);
            assert_eq!(failure.body, told, "{head}");
            assert_eq!(failure.body_complete, complete, "{head}");
        }
    }
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().reset();
    assert!(!source.retrying(Error::Lost).body_complete);
}

/// Bodies: as much as the program wants, decoded, however long it takes to
/// come.
#[test]
fn keeps_as_much_of_a_body_as_the_program_wants() {
    let body = "{\"é\":1}\n".repeat(MIB / 4);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    for (headers, bytes) in
        [("Content-Encoding: gzip\r\n", &packed[..]), ("", body.as_bytes())]
    {
        for size in [body.len(), body.len() - 9] {
            let server = Server::start();
            let source = keeping(&server.url("/"), size).start();
            let mut connection = server.accept();
            connection.send(json(headers));
            connection.send(&bytes[..bytes.len() / 2]);
            if size == body.len() && !headers.is_empty() {
                // More than what people would be kept waiting for.
                thread::sleep(Duration::from_millis(1200));
            }
            // What is wanted may have come before all was sent.
            let _ = connection.try_send(&bytes[bytes.len() / 2..]);
            connection.finish();
            let failure = source.failed(Error::ContentType);
            assert!(failure.body == body[..size], "{headers} {size}");
            assert_eq!(failure.body_complete, size == body.len());
        }
    }
}

/// Bodies: the response's time is for the body, too.
#[test]
fn a_body_takes_no_longer_than_a_response_may() {
    let server = Server::start();
    let source = keeping(&server.url("/"), MIB)
        .with(ffi::eventsource_set_response_timeout, SHORT)
        .start();
    let mut connection = server.accept();
    let began = Instant::now();
    connection.send(json("Transfer-Encoding: chunked\r\n"));
    // Something comes all the time.
    let trickle = thread::spawn(move || {
        while connection.try_send("1\r\nx\r\n").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let failure = source.failed(Error::ContentType);
    assert!(began.elapsed() >= Duration::from_millis(SHORT));
    assert!(!failure.body.is_empty() && !failure.body_complete);
    drop(source);
    trickle.join().unwrap();
}

/// Bodies: silence within a body is limited as that of a stream.
#[test]
fn a_body_may_be_silent_as_long_as_a_stream() {
    let server = Server::start();
    let source = keeping(&server.url("/"), MIB)
        .with(ffi::eventsource_set_idle_timeout, SHORT)
        .start();
    let mut connection = server.accept();
    connection.send(json("Content-Length: 9\r\n"));
    connection.send("beg");
    let failure = source.failed(Error::ContentType);
    assert_eq!((&*failure.body, failure.body_complete), ("beg", false));
}

/// Bodies: where the program wants nothing, nothing is waited for.
#[test]
fn no_body_is_waited_for_where_none_is_wanted() {
    let server = Server::start();
    let source = keeping(&server.url("/"), 0).start();
    let mut connection = server.accept();
    connection.send(json("Content-Length: 9\r\n"));
    let failure = source.failed(Error::ContentType);
    assert_eq!((&*failure.body, failure.body_complete), ("", false));
}

/// Bodies: a close does not wait for one.
#[test]
fn a_close_does_not_wait_for_a_body() {
    let server = Server::start();
    let source = keeping(&server.url("/"), MIB).start();
    let mut connection = server.accept();
    connection.send(json("Content-Length: 9\r\n"));
    connection.send("beg");
    source.close();
    source.closed(Error::None);
    connection.sees_the_client_close();
}

/// Bodies: 64 MiB at most, and before the source is connected.
#[test]
fn a_body_has_a_limit() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let set = |bytes| source.set(ffi::eventsource_set_max_body_size, bytes);
    assert_eq!(set(64 * MIB), Error::None);
    assert_eq!(set(64 * MIB + 1), Error::Value);
    assert_eq!(set(usize::MAX), Error::Value);
    let source = source.start();
    let set = |bytes| source.set(ffi::eventsource_set_max_body_size, bytes);
    assert_eq!(set(1), Error::AlreadyConnected);
}

/// Pull mode, and `on_request`: a large body is there, too.
#[test]
fn a_body_comes_with_the_item_and_with_the_next_attempt() {
    let body = "x".repeat(MIB);
    let expected = body.clone();
    let server = Server::start();
    let source = keeping(&server.url("/"), 2 * MIB)
        .with_retry(Retry::Persistent)
        .pulling()
        .deciding(|_| 0)
        .asking(move |request| {
            if let (2, Some(failure)) = (request.attempt(), request.failure()) {
                assert!(failure.body_complete && failure.body == expected);
            }
        })
        .start();
    let mut connection = server.accept();
    connection.send("HTTP/1.1 503 -\r\nContent-Length: 1048576\r\n\r\n");
    connection.send(&body);
    let failure = source.retrying(Error::Status);
    assert!(failure.body_complete && failure.body == body);
    server.accept().answer("404 -", "Content-Length: 0\r\n");
    let failure = source.failure(Error::Status);
    assert!(failure.body_complete && failure.body.is_empty());
    source.close();
    source.skip_to_close();
}
