//! Answers that are no event stream, and what the program makes of them.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use eventsource::ffi::{self, Error, ReadyState, Retry, Verdict};
use flate2::Compression;
use flate2::write::GzEncoder;

use support::callbacks::Callback;
use support::server::{EVENT_STREAM, Server};
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
    assert_eq!(set(64 * MIB + 1), Error::Value);
    assert_eq!(set(usize::MAX), Error::Value);
    assert_eq!(set(64 * MIB), Error::None);
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

// What the program decides

/// `on_response`: streams that the standard refuses can be followed.
#[test]
fn a_program_accepts_what_is_no_stream_by_the_standard() {
    for head in [
        "200 OK\r\n",
        "200 OK\r\nContent-Type: text/plain\r\n",
        "201 Created\r\nContent-Type: text/event-stream\r\n",
        "202 Accepted\r\n",
        "404 Not Found\r\nContent-Type: text/html\r\n",
        // No redirect.
        "302 Found\r\n",
        "300 Multiple Choices\r\nLocation: /elsewhere\r\n",
    ] {
        for pulls in [false, true] {
            let server = Server::start();
            let source = Source::new(&server.url("/"));
            let source = if pulls { source.pulling() } else { source };
            let source = source.looking(|_| Verdict::Accept).start();
            let mut connection = server.accept();
            connection.send(format!("HTTP/1.1 {head}\r\n"));
            let status: i32 = head[..3].parse().unwrap();
            assert_eq!(source.opened().status, status);
            connection.send("id: 1\ndata: x\n\n");
            assert_eq!(source.message("x").id, "1");
            connection.finish();
            // The status of what was accepted.
            assert_eq!(source.retrying(Error::Ended).http_status, status);
            let connection = server.accept();
            assert_eq!(connection.request.header("last-event-id"), Some("1"));
            source.close();
            source.skip_to_close();
        }
    }
}

/// `on_response`: an empty 202 that was accepted is a stream that ends at once,
/// and no failure of what is asked once.
#[test]
fn an_empty_answer_that_was_accepted_has_ended() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_body("{}")
        .looking(|_| Verdict::Accept)
        .start();
    server.accept().answer("202 Accepted", "Content-Length: 0\r\n");
    assert_eq!(source.opened().status, 202);
    source.closed(Error::Ended);
}

/// `on_response`: what has no body is no stream, whatever the program says; nor
/// is what cannot be decoded.
#[test]
fn nothing_cannot_be_accepted() {
    for (head, error) in [
        ("101 Switching Protocols\r\n", Error::Http),
        ("204 No Content\r\n", Error::Status),
        ("304 Not Modified\r\n", Error::Status),
        ("200 OK\r\nContent-Encoding: br\r\n", Error::ContentType),
    ] {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with_retry(Retry::Never)
            .looking(|_| Verdict::Accept)
            .start();
        server.accept().send(format!("HTTP/1.1 {head}\r\n"));
        source.failed(error);
    }
}

/// `on_response`: it sees every response, redirects included, with its URL and
/// headers, and by default nothing changes. Any other number is the default.
#[test]
fn on_response_sees_every_response() {
    for number in [0, -1, 3, i32::MAX, i32::MIN] {
        let (first, second) = (Server::start(), Server::start());
        let (tell, told) = std::sync::mpsc::channel();
        let source = Source::new(&first.url("/a"))
            .looking_up(&["location", "content-type"])
            .looking_at_numbers(move |response| {
                tell.send(response).unwrap();
                number
            })
            .start();
        first.accept().redirect("302 Found", "/b");
        let response = told.recv().unwrap();
        assert_eq!((response.status, response.url), (302, first.url("/a")));
        assert_eq!(response.headers["location"], "/b");
        assert_eq!(response.location, Some(first.url("/b")));
        let to = second.url("/c");
        first.accept().redirect("307 Temporary Redirect", &to);
        let response = told.recv().unwrap();
        assert_eq!((response.status, response.url), (307, first.url("/b")));
        assert_eq!(response.location.as_ref(), Some(&to));
        let mut connection = second.accept();
        connection.send(EVENT_STREAM);
        let response = told.recv().unwrap();
        assert_eq!((response.status, response.url), (200, to.clone()));
        assert_eq!(response.headers["content-type"], "text/event-stream");
        assert_eq!(response.location, None);
        assert_eq!(source.opened().url, to);
        connection.send("data: x\n\n");
        source.message("x");
        connection.reset();
        source.lost();
        // R13.
        second.accept().answer("404 -", "Content-Length: 0\r\n");
        assert_eq!(told.recv().unwrap().status, 404);
        source.failed(Error::Status);
        assert!(told.try_recv().is_err());
    }
}

/// `on_response`: redirects to other origins can be stopped, and no others. A
/// redirect that is accepted is followed.
#[test]
fn a_redirect_to_another_origin_can_be_stopped() {
    let (first, second) = (Server::start(), Server::start());
    let home = first.url("/");
    let source = Source::new(&first.url("/a"))
        .with_retry(Retry::Persistent)
        .looking(move |response| match response.location {
            Some(location) if !location.starts_with(&home) => Verdict::Refuse,
            _ => Verdict::Accept,
        })
        .start();
    first.accept().redirect("302 Found", "/b");
    let mut connection = first.accept();
    assert_eq!(connection.request.target, "/b");
    let location = second.url("/secret");
    connection.send(format!(
        "HTTP/1.1 307 -\r\nLocation: {location}\r\nContent-Length: 4\r\n\r\n\
         over"
    ));
    let failure = source.failed(Error::Refused);
    assert_eq!(failure.http_status, 307);
    let message = "response with status 307 refused by the program";
    assert_eq!(failure.message, message);
    assert_eq!((&*failure.body, failure.body_complete), ("over", true));
    let response = failure.response.unwrap();
    assert_eq!(response.url, first.url("/b"));
    assert_eq!(response.location, Some(location));
    assert!(!second.is_asked());
}

/// Where a redirect leads is an absolute URL; what leads nowhere has none.
#[test]
fn a_response_knows_where_it_redirects_to() {
    for (head, location) in [
        ("302 -\r\nLocation: c?d#e", Some("/a/c?d#e")),
        ("308 -\r\nLocation: /é", Some("/%C3%A9")),
        ("302 -\r\nLocation: ftp://a.test/", None),
        ("302 -\r\nLocation: http://[x/", None),
        ("302 -\r\nLocation: /b\r\nLocation: /c", None),
        ("302 -", None),
        ("201 -\r\nLocation: /b", None),
    ] {
        let server = Server::start();
        let source = Source::new(&server.url("/a/b"))
            .with_retry(Retry::Never)
            .looking(|_| Verdict::Refuse)
            .start();
        server.accept().send(format!("HTTP/1.1 {head}\r\n\r\n"));
        let response = source.failed(Error::Refused).response.unwrap();
        assert_eq!(response.location, location.map(|it| server.url(it)));
    }
}

/// `on_response`: as many redirects as ever.
#[test]
fn redirects_that_are_looked_at_are_counted() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with(ffi::eventsource_set_max_redirects, 3)
        .looking(|_| Verdict::Accept)
        .start();
    for _ in 0..4 {
        server.accept().redirect("302 Found", "/");
    }
    let failure = source.retrying(Error::Redirect);
    assert_eq!(failure.message, "more than 3 redirects");
}

/// `on_response`: what redirects make of a request, and what they leave behind,
/// is as ever.
#[test]
fn redirects_that_are_looked_at_are_followed_as_ever() {
    let (first, second) = (Server::start(), Server::start());
    let source = Source::new(&first.url("/"))
        .with_body("x")
        .with_header("X-Key", "1")
        .with_retry(Retry::Standard)
        .looking(|_| Verdict::Standard)
        .start();
    first.accept().redirect("303 See Other", &second.url("/to"));
    for _ in 0..2 {
        let mut connection = second.accept();
        assert_eq!(connection.request.method, "GET");
        assert_eq!(connection.request.header("x-key"), None);
        connection.send(EVENT_STREAM);
        source.opened();
        connection.send("data: x\n\n");
        source.message("x");
        connection.finish();
        source.ended();
    }
}

/// Retry: no policy asks again after what the program has refused; `on_retry`
/// may.
#[test]
fn what_is_refused_is_not_asked_for_again() {
    for retry in [Retry::Standard, Retry::Persistent, Retry::UntilOpen] {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with_retry(retry)
            .looking(|_| Verdict::Refuse)
            .start();
        server.accept().answer("503 -", "Content-Length: 0\r\n");
        source.failed(Error::Refused);
    }
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .looking(|_| Verdict::Refuse)
        .deciding(|_| 0)
        .start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    connection.finish();
    let failure = source.retrying(Error::Refused);
    assert_eq!((&*failure.body, failure.http_status), ("data: x\n\n", 200));
    server.accept();
}

/// `on_response` may close the source, reconnect it or free it.
#[test]
fn on_response_may_do_anything_with_the_source() {
    for verdict in [Verdict::Standard, Verdict::Accept, Verdict::Refuse] {
        let server = Server::start();
        let source = Source::new(&server.url("/"));
        let handle = source.handle();
        let close = move |_| {
            handle.close();
            verdict
        };
        let source = source.looking(close).start();
        server.accept().send(EVENT_STREAM);
        source.closed(Error::None);

        let source = Source::new(&server.url("/"));
        let handle = source.handle();
        let again = std::sync::atomic::AtomicBool::new(false);
        let reconnect = move |_| match again
            .swap(true, std::sync::atomic::Ordering::SeqCst)
        {
            false => {
                assert_eq!(handle.reconnect(), Error::None);
                verdict
            }
            true => Verdict::Standard,
        };
        let source = source.looking(reconnect).start();
        let mut given_up = server.accept();
        given_up.send(EVENT_STREAM);
        // Stays, or the source would come back in the place of the next one.
        let mut resumed = server.accept();
        resumed.send(EVENT_STREAM);
        source.opened();
        given_up.sees_the_client_close();

        let source = Source::new(&server.url("/"));
        let handle = source.handle();
        let free = move |_| {
            handle.free();
            verdict
        };
        let source = source.looking(free).start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.closed(Error::None);
        connection.sees_the_client_close();
    }
}

/// `on_response`: on the source's own thread, while the source is CONNECTING.
#[test]
fn on_response_comes_on_the_sources_thread() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let handle = source.handle();
    let (tell, told) = std::sync::mpsc::channel();
    let here = tell.clone();
    let source = source
        .asking(move |_| here.send(thread::current().id()).unwrap())
        .looking(move |_| {
            assert_eq!(handle.ready_state(), ReadyState::Connecting);
            assert_eq!(handle.wait(0), Error::Callback);
            tell.send(thread::current().id()).unwrap();
            Verdict::Standard
        })
        .start();
    server.accept().send(EVENT_STREAM);
    source.opened();
    assert_eq!(told.recv().unwrap(), told.recv().unwrap());
    let error = source.mute(Callback::Response);
    assert_eq!(error, Error::AlreadyConnected);
}
