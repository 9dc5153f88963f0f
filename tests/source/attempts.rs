//! One attempt in the program's hands: where it goes, after which event, and
//! whether it is made at all.

use eventsource::ffi::{self, Error, Retry};

use support::server::{Connection, EVENT_STREAM, Server};
use support::source::Source;

/// A stream with one event, which ends.
fn serve(mut connection: Connection, event: &str) {
    connection.send(EVENT_STREAM);
    connection.send(format!("{event}\n\n"));
    connection.finish();
}

#[track_caller]
fn ends(source: &Source, data: &str) {
    source.opened();
    source.message(data);
    source.ended();
}

/// `on_request`: a URL holds for its attempt. The source's stays what it is.
#[test]
fn a_url_is_for_one_attempt() {
    let server = Server::start();
    let (first, second) = (server.url("/?since=1"), server.url("/?since=2"));
    let source = Source::new(&server.url("/"))
        .asking(move |request| {
            let url = match request.attempt() {
                1 => &first,
                2 => &second,
                _ => return,
            };
            assert_eq!(request.set_url(url), Error::None);
        })
        .start();
    for target in ["/?since=1", "/?since=2", "/"] {
        let connection = server.accept();
        assert_eq!(connection.request.target, target);
        serve(connection, "data: x");
        assert_eq!(source.opened().url, server.url(target));
        source.message("x");
        source.ended();
        assert_eq!(source.url(), server.url("/"));
    }
}

/// `on_request`: a URL that is none is refused, and changes nothing.
#[test]
fn a_url_that_is_none_is_refused() {
    let server = Server::start();
    let good = server.url("/good");
    let source = Source::new(&server.url("/"))
        .asking(move |request| {
            assert_eq!(request.set_url(&good), Error::None);
            for bad in ["", "/relative", "http://", "http://[x/"] {
                assert_eq!(request.set_url(bad), Error::Url, "{bad}");
            }
            assert_eq!(request.set_url("ftp://a.test/"), Error::Scheme);
        })
        .start();
    let connection = server.accept();
    assert_eq!(connection.request.target, "/good");
    serve(connection, "data: x");
    ends(&source, "x");
}

/// `on_request`: the origin of the URL is the one that gets the program's
/// headers, its own user name and password, and no others.
#[test]
fn headers_go_to_the_origin_of_the_url() {
    let (first, second) = (Server::start(), Server::start());
    let url = second.url_at("other:word@127.0.0.1", "/");
    let source = Source::new(&first.url_at("user:pass@127.0.0.1", "/"))
        .with_header("X-Key", "1")
        .with_header("Cookie", "a=b")
        .asking(move |request| match request.attempt() {
            1 => assert_eq!(request.set_url(&url), Error::None),
            _ => {
                assert_eq!(request.set_header("X-Key", Some("2")), Error::None)
            }
        })
        .start();
    let connection = second.accept();
    let request = &connection.request;
    assert_eq!(request.header("x-key"), Some("1"));
    assert_eq!(request.header("cookie"), Some("a=b"));
    let host = second.address().to_string();
    assert_eq!(request.header("host"), Some(&*host));
    let authorization = request.header("authorization");
    assert_eq!(authorization, Some("Basic b3RoZXI6d29yZA=="));
    serve(connection, "data: x");
    source.opened();
    assert_eq!(source.message("x").origin, second.origin());
    source.ended();
    let request = &first.accept().request;
    assert_eq!(request.header("x-key"), Some("2"));
    let authorization = request.header("authorization");
    assert_eq!(authorization, Some("Basic dXNlcjpwYXNz"));
}

/// `on_request`: user name and password of the source's URL do not go to
/// another that has none.
#[test]
fn user_and_password_stay_with_the_sources_url() {
    let (first, second) = (Server::start(), Server::start());
    let url = second.url("/");
    let _source = Source::new(&first.url_at("user:pass@127.0.0.1", "/"))
        .asking(move |request| assert_eq!(request.set_url(&url), Error::None))
        .start();
    assert_eq!(second.accept().request.header("authorization"), None);
}

/// `on_request`: seen from the URL, the source's own origin is another one.
#[test]
fn a_redirect_from_the_url_leads_to_another_origin() {
    let (first, second) = (Server::start(), Server::start());
    let url = second.url_at("other:word@127.0.0.1", "/");
    let source = Source::new(&first.url_at("user:pass@127.0.0.1", "/"))
        .with_header("X-Key", "1")
        .with_header("Host", "named.test")
        .asking(move |request| {
            if request.attempt() == 1 {
                assert_eq!(request.set_url(&url), Error::None);
            }
        })
        .start();
    let connection = second.accept();
    assert_eq!(connection.request.header("host"), Some("named.test"));
    connection.redirect("302 Found", &first.url("/back"));
    let connection = first.accept();
    let request = &connection.request;
    assert_eq!(request.target, "/back");
    for name in ["x-key", "authorization"] {
        assert_eq!(request.header(name), None, "{name}");
    }
    let host = first.address().to_string();
    assert_eq!(request.header("host"), Some(&*host));
    serve(connection, "data: x");
    ends(&source, "x");
    // R13. Where the program's URL has led is not remembered, nor that the
    // chain has left the origin.
    let request = &first.accept().request;
    assert_eq!(request.target, "/");
    assert_eq!(request.header("x-key"), Some("1"));
}

/// R13. `on_request`: a URL sets aside where a redirect has led, and what it
/// has made of the request.
#[test]
fn a_url_sets_a_redirect_aside() {
    let (server, other) = (Server::start(), Server::start());
    let url = server.url("/named");
    let source = Source::new(&server.url("/from"))
        .with_body("x")
        .with_header("X-Key", "1")
        .with_retry(Retry::Standard)
        .asking(move |request| {
            if request.attempt() == 3 {
                assert_eq!(request.set_url(&url), Error::None);
            }
        })
        .start();
    server.accept().redirect("303 See Other", &other.url("/to"));
    for _ in 0..2 {
        let connection = other.accept();
        let request = &connection.request;
        assert_eq!((&*request.method, &*request.target), ("GET", "/to"));
        assert_eq!(request.header("x-key"), None);
        serve(connection, "data: x");
        ends(&source, "x");
    }
    let mut connection = server.accept();
    let request = &connection.request;
    assert_eq!((&*request.method, &*request.target), ("POST", "/named"));
    assert_eq!(request.body, b"x");
    assert_eq!(request.header("x-key"), Some("1"));
    connection.send(EVENT_STREAM);
    source.opened();
    connection.reset();
    source.lost();
    let request = &server.accept().request;
    assert_eq!((&*request.method, &*request.target), ("POST", "/from"));
}

/// `on_request`: a cookie that the source has got goes along.
#[cfg(feature = "cookies")]
#[test]
fn cookies_go_to_the_url() {
    let server = Server::start();
    let url = server.url("/named");
    let source = Source::new(&server.url("/"))
        .asking(move |request| {
            if request.attempt() == 2 {
                assert_eq!(request.set_url(&url), Error::None);
            }
        })
        .start();
    let mut connection = server.accept();
    let head = EVENT_STREAM.trim_end();
    connection.send(format!("{head}\r\nSet-Cookie: a=b; Path=/\r\n\r\n"));
    source.opened();
    connection.reset();
    source.lost();
    let connection = server.accept();
    assert_eq!(connection.request.target, "/named");
    assert_eq!(connection.request.header("cookie"), Some("a=b"));
}

/// Pull mode: `on_request` is asked as ever.
#[test]
fn a_url_is_for_sources_with_a_queue_too() {
    let server = Server::start();
    let url = server.url("/named");
    let source = Source::new(&server.url("/"))
        .pulling()
        .asking(move |request| assert_eq!(request.set_url(&url), Error::None))
        .start();
    let connection = server.accept();
    assert_eq!(connection.request.target, "/named");
    serve(connection, "data: x");
    assert_eq!(source.opened().url, server.url("/named"));
    source.close();
    source.closed(Error::None);
}

/// `on_request`: nothing is set of nothing.
#[test]
fn nothing_is_set_of_nothing() {
    let null = std::ptr::null_mut();
    // SAFETY: NULL is refused.
    unsafe {
        let text = c"http://127.0.0.1/".as_ptr();
        let error = ffi::eventsource_request_set_url(null, text);
        assert_eq!(error, Error::Null);
        let error = ffi::eventsource_request_set_last_event_id(null, text);
        assert_eq!(error, Error::Null);
        assert!(ffi::eventsource_request_last_event_id(null).is_null());
    }
    let server = Server::start();
    let _source = Source::new(&server.url("/"))
        .asking(|request| {
            // SAFETY: likewise.
            let error = unsafe {
                ffi::eventsource_request_set_url(
                    request.as_ptr(),
                    std::ptr::null(),
                )
            };
            assert_eq!(error, Error::Null);
        })
        .start();
    server.accept();
}

// The last event ID string

/// A stream of two events, the first with the id `a`, that breaks off.
fn lose(mut connection: Connection, source: &Source) {
    connection.send(EVENT_STREAM);
    connection.send("id: a\ndata: 1\n\ndata: 2\n\n");
    source.opened();
    for data in ["1", "2"] {
        assert_eq!(source.message(data).id, "a");
    }
    connection.reset();
}

/// `on_request`: the id is known before each attempt, as the stream has it, in
/// pull mode too. R35: as it is sent.
#[test]
fn the_id_is_known_before_each_attempt() {
    for pulls in [false, true] {
        let server = Server::start();
        let (tell, told) = std::sync::mpsc::channel();
        let source = Source::new(&server.url("/")).with_last_event_id("0");
        let source = if pulls { source.pulling() } else { source };
        let source = source
            .asking(move |request| {
                let id = request.last_event_id();
                let failed = request.failure().map(|it| it.last_event_id);
                tell.send((id, failed)).unwrap();
            })
            .start();
        let connection = server.accept();
        assert_eq!(told.recv().unwrap(), ("0".to_owned(), None));
        lose(connection, &source);
        assert_eq!(source.lost().last_event_id, "a");
        let connection = server.accept();
        let (id, failed) = told.recv().unwrap();
        assert_eq!((&*id, failed.as_deref()), ("a", Some("a")));
        assert_eq!(connection.request.header("last-event-id"), Some("a"));
        source.close();
        source.skip_to_close();
    }
}

/// Pull mode: what `on_retry` is told has not been taken yet.
#[test]
fn a_failure_knows_the_id_before_its_items_are_taken() {
    let server = Server::start();
    let (tell, told) = std::sync::mpsc::channel();
    let source = Source::new(&server.url("/"))
        .pulling()
        .deciding(move |failure| {
            tell.send(failure.last_event_id.clone()).unwrap();
            -1
        })
        .start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("id: a\ndata: 1\n\nid: b\ndata: 2\n\n");
    connection.reset();
    assert_eq!(told.recv().unwrap(), "b");
    assert_eq!(source.last_event_id(), "");
    source.opened();
    source.event();
    source.event();
    assert_eq!(source.failed(Error::Lost).last_event_id, "b");
}

/// An event that was dropped tells the id that has come with it.
#[test]
fn a_dropped_event_tells_its_id() {
    for pulls in [false, true] {
        let server = Server::start();
        let source = Source::new(&server.url("/")).with_max_event_size(10);
        let source = if pulls { source.pulling() } else { source };
        let source = source.start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        let long = "x".repeat(11);
        connection.send(format!("id: a\ndata: {long}\n\ndata: y\n\n"));
        source.opened();
        let failure = source.failure(Error::TooLarge);
        assert_eq!(failure.last_event_id, "a");
        assert_eq!(source.message("y").id, "a");
        source.close();
        source.skip_to_close();
    }
}

/// `on_request`: an id that the program sets, or clears, is as if the stream
/// had set it. R35, R58.
#[test]
fn an_id_that_is_set_lasts() {
    for (id, sent) in [(Some("ü"), Some("ü")), (Some(""), None), (None, None)]
    {
        for pulls in [false, true] {
            let server = Server::start();
            let source = Source::new(&server.url("/"));
            let source = if pulls { source.pulling() } else { source };
            let source = source
                .asking(move |request| {
                    if request.attempt() != 2 {
                        return;
                    }
                    assert_eq!(request.last_event_id(), "a");
                    assert_eq!(request.set_last_event_id(id), Error::None);
                    let now = request.last_event_id();
                    assert_eq!(now, id.unwrap_or_default());
                    for bad in ["a\nb", "a\r"] {
                        let error = request.set_last_event_id(Some(bad));
                        assert_eq!(error, Error::Value);
                    }
                    assert_eq!(request.last_event_id(), now);
                })
                .start();
            lose(server.accept(), &source);
            source.lost();
            // The next attempt may have begun, and its item was not taken.
            if pulls {
                assert_eq!(source.last_event_id(), "a");
            }
            for _ in 0..2 {
                let mut connection = server.accept();
                let header = connection.request.header("last-event-id");
                assert_eq!(header, sent);
                connection.send(EVENT_STREAM);
                source.opened();
                let now = sent.unwrap_or_default();
                assert_eq!(source.last_event_id(), now);
                connection.send("data: 3\n\n");
                assert_eq!(source.message("3").id, now);
                connection.reset();
                assert_eq!(source.lost().last_event_id, now);
            }
            source.close();
            source.skip_to_close();
        }
    }
}

/// `on_request`: a server that has forgotten the id is asked without it, and a
/// failed attempt does not bring it back.
#[test]
fn an_id_that_was_cleared_stays_so_through_failures() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_last_event_id("gone")
        .deciding(|_| 0)
        .asking(|request| {
            if request.failure().is_some_and(|it| it.http_status == 400) {
                assert_eq!(request.set_last_event_id(None), Error::None);
            }
        })
        .start();
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("gone"));
    connection.answer("400 Bad Request", "Content-Length: 0\r\n");
    source.retrying(Error::Status);
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), None);
    assert_eq!(source.last_event_id(), "");
    connection.answer("503 Busy", "Content-Length: 0\r\n");
    source.retrying(Error::Status);
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), None);
}

/// R37. An id that no header can carry is known, and not sent.
#[test]
fn an_id_that_is_too_long_is_known_all_the_same() {
    let server = Server::start();
    let long = "x".repeat(16 * 1024 + 1);
    let expected = long.clone();
    let _source = Source::new(&server.url("/"))
        .with_last_event_id(&long)
        .asking(move |request| assert_eq!(request.last_event_id(), expected))
        .start();
    assert_eq!(server.accept().request.header("last-event-id"), None);
}

/// A connection has worked by what it brought, not by an id that the program
/// has set: servers that close at once are waited for.
#[test]
fn an_id_that_is_set_is_no_progress() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .asking(|request| {
            assert_eq!(request.set_last_event_id(Some("x")), Error::None);
        })
        .start();
    for attempt in [1, 2] {
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        connection.finish();
        assert_eq!(source.ended().attempt, attempt);
    }
}

// No attempt

/// `on_request`: an attempt that is aborted has failed, with the program's
/// words, and goes the way of every failure: a delay, and another attempt.
#[test]
fn an_aborted_attempt_has_failed() {
    for pulls in [false, true] {
        let server = Server::start();
        let source = Source::new(&server.url("/"));
        let source = if pulls { source.pulling() } else { source };
        let source = source
            .asking(|request| match request.attempt() {
                1 => assert_eq!(request.abort(Some("no token")), Error::None),
                2 => {
                    let failure = request.failure().unwrap();
                    assert_eq!(failure.error, Error::Aborted);
                    assert_eq!(failure.message, "no token");
                    // The last word counts, on one line.
                    assert_eq!(request.abort(None), Error::None);
                    assert_eq!(request.abort(Some("a\nb")), Error::None);
                }
                3 => assert_eq!(request.abort(None), Error::None),
                4 => assert_eq!(request.abort(Some("")), Error::None),
                _ => {}
            })
            .deciding(|failure| {
                let delay = i64::try_from(failure.delay_ms).unwrap();
                assert!(failure.will_retry && delay > 0, "{failure:?}");
                // The delay doubles, up to seconds; not in a test.
                delay.min(1)
            })
            .start();
        let ours = "aborted by the program";
        for (number, message) in (1..).zip(["no token", "a b", ours, ours]) {
            let failure = source.retrying(Error::Aborted);
            assert_eq!((&*failure.message, failure.attempt), (message, number));
            assert_eq!(failure.http_status, 0);
            assert_eq!(failure.response, None);
        }
        let connection = server.accept();
        serve(connection, "data: x");
        source.opened();
        source.message("x");
        assert_eq!(source.stats().connects, 1);
        source.close();
        source.skip_to_close();
    }
}

/// `on_request`: nothing of an attempt that is aborted is sent, and there are
/// as many of them as of others.
#[test]
fn aborted_attempts_are_counted() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with(ffi::eventsource_set_max_attempts, 2)
        .asking(|request| assert_eq!(request.abort(Some("x")), Error::None))
        .start();
    assert_eq!(source.retrying(Error::Aborted).attempt, 1);
    assert_eq!(source.failed(Error::Aborted).attempt, 2);
    assert!(!server.is_asked());
}

/// Retry: what is not a GET is tried once, also if it is aborted; with
/// UNTIL_OPEN until it has been sent and answered.
#[test]
fn an_aborted_post_follows_its_policy() {
    for (retry, comes_back) in [
        (None, false),
        (Some(Retry::Never), false),
        (Some(Retry::UntilOpen), true),
        (Some(Retry::Standard), true),
        (Some(Retry::Persistent), true),
    ] {
        let server = Server::start();
        let source = Source::new(&server.url("/")).with_body("x");
        let source = match retry {
            Some(retry) => source.with_retry(retry),
            None => source,
        };
        let source = source
            .asking(|request| {
                if request.attempt() == 1 {
                    assert_eq!(request.abort(None), Error::None);
                }
            })
            .start();
        if comes_back {
            source.retrying(Error::Aborted);
            assert_eq!(server.accept().request.body, b"x", "{retry:?}");
        } else {
            source.failed(Error::Aborted);
            assert!(!server.is_asked());
        }
    }
}

/// R13. `on_request`: where a redirect has led is not forgotten by an attempt
/// that was not made.
#[test]
fn an_aborted_attempt_forgets_no_redirect() {
    let server = Server::start();
    let source = Source::new(&server.url("/from"))
        .asking(|request| {
            if request.attempt() == 2 {
                assert_eq!(request.abort(None), Error::None);
            }
        })
        .start();
    server.accept().redirect("302 Found", "/to");
    serve(server.accept(), "data: x");
    ends(&source, "x");
    source.retrying(Error::Aborted);
    assert_eq!(server.accept().request.target, "/to");
}

/// `on_request`: what aborts an attempt may also close the source, or ask for
/// another attempt, over and over: the stack does not grow.
#[test]
fn an_aborted_attempt_may_be_followed_by_anything() {
    const ATTEMPTS: u64 = 20_000;

    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let stack = 128 * 1024;
    assert_eq!(source.set(ffi::eventsource_set_stack_size, stack), Error::None);
    let handle = source.handle();
    let source = source
        .asking(move |request| {
            assert_eq!(request.abort(None), Error::None);
            if request.attempt() == ATTEMPTS {
                handle.close();
            }
        })
        .deciding(move |failure| {
            assert_eq!(handle.reconnect(), Error::None);
            i64::try_from(failure.delay_ms).unwrap()
        })
        .start();
    source.closed(Error::None);
    assert!(!server.is_asked());
}
