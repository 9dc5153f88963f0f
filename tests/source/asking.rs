//! Requests other than GET, and those that change from attempt to attempt.

use std::sync::{Arc, Mutex};

use eventsource::ffi::{self, Error, Retry};

use support::server::{Connection, EVENT_STREAM, Server};
use support::source::Source;

/// A stream with one event, which ends.
fn serve(mut connection: Connection, data: &str) {
    connection.send(EVENT_STREAM);
    connection.send(format!("id: 1\ndata: {data}\n\n"));
    connection.finish();
}

/// Body: with one, a source asks by POST, and says how long it is, and of
/// which type unless the program does.
#[test]
fn a_body_is_posted() {
    for (kind, sent) in
        [(None, "text/plain"), (Some("application/json"), "application/json")]
    {
        let server = Server::start();
        let source = Source::new(&server.url("/")).with_body("{\"a\": \"ü\"}");
        let source = match kind {
            Some(kind) => source.with_header("Content-Type", kind),
            None => source,
        };
        let source = source.start();
        let connection = server.accept();
        let request = &connection.request;
        assert_eq!(request.method, "POST");
        assert_eq!(request.body, "{\"a\": \"ü\"}".as_bytes());
        assert_eq!(request.header("content-length"), Some("11"));
        assert_eq!(request.header("content-type"), Some(sent));
        assert_eq!(request.header("transfer-encoding"), None);
        assert_eq!(request.header("accept"), Some("text/event-stream"));
        serve(connection, "x");
        source.opened();
        source.message("x");
        source.closed(Error::Ended);
    }
}

/// Body: of any size and content; copied.
#[test]
fn a_body_has_any_size() {
    let server = Server::start();
    let mut body: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let source = Source::new(&server.url("/"));
    assert_eq!(source.set_body(&body), Error::None);
    let sent = body.clone();
    body.fill(b'?');
    let source = source.start();
    let connection = server.accept();
    assert!(connection.request.body == sent, "as it was given");
    serve(connection, "x");
    source.opened();
    source.message("x");
    source.closed(Error::Ended);
}

/// Body: an empty one is one, NULL takes it away, GET sends none.
#[test]
fn a_body_can_be_empty_or_stay_behind() {
    let ask = |source: Source, server: &Server| {
        let source = source.start();
        let connection = server.accept();
        let request = &connection.request;
        let length = request.header("content-length").map(str::to_owned);
        let kind = request.header("content-type").map(str::to_owned);
        let method = request.method.clone();
        drop(connection);
        source.close();
        (method, length, kind)
    };
    let server = Server::start();
    let url = &server.url("/");
    let some = |text: &str| Some(text.to_owned());

    let asked = ask(Source::new(url).with_body(""), &server);
    assert_eq!(asked, ("POST".to_owned(), some("0"), None));
    let asked = ask(Source::new(url).with_method("POST"), &server);
    assert_eq!(asked, ("POST".to_owned(), some("0"), None));
    let asked =
        ask(Source::new(url).with_body("x").with_method("GET"), &server);
    assert_eq!(asked, ("GET".to_owned(), None, None));

    let source = Source::new(url).with_body("x");
    // SAFETY: a living source; nothing to read at NULL.
    let set = |len| unsafe {
        ffi::eventsource_set_body(source.as_ptr(), std::ptr::null(), len)
    };
    assert_eq!(set(1), Error::Null);
    assert_eq!(set(0), Error::None);
    assert_eq!(ask(source, &server), ("GET".to_owned(), None, None));
}

/// Method: any token but those whose responses cannot be streams.
#[test]
fn asks_by_any_method() {
    for (method, sent, body) in [
        ("put", "PUT", "x"),
        ("PATCH", "PATCH", "x"),
        ("DELETE", "DELETE", ""),
        ("delete", "DELETE", "x"),
        ("OPTIONS", "OPTIONS", ""),
        ("QUERY", "QUERY", "x"),
        ("REPORT", "REPORT", ""),
    ] {
        let server = Server::start();
        let source = Source::new(&server.url("/")).with_method(method);
        let source =
            if body.is_empty() { source } else { source.with_body(body) };
        let source = source.start();
        let connection = server.accept();
        assert_eq!(connection.request.method, sent);
        assert_eq!(connection.request.body, body.as_bytes(), "{method}");
        serve(connection, "x");
        source.opened();
        source.message("x");
        source.closed(Error::Ended);
    }
    let source = Source::new("http://127.0.0.1/");
    for method in ["", " ", "A B", "GET\r\nX: y", "HEAD", "connect", "TRACE"] {
        assert_eq!(source.set_method(method), Error::Value, "{method:?}");
    }
}

/// Settings stand once the source has been connected.
#[test]
fn settings_stand_after_connect() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let connected = Error::AlreadyConnected;
    assert_eq!(source.set_method("POST"), connected);
    assert_eq!(source.set_body(b"x"), connected);
    for setter in [
        ffi::eventsource_set_connect_timeout,
        ffi::eventsource_set_response_timeout,
        ffi::eventsource_set_idle_timeout,
        ffi::eventsource_set_max_reconnection_time,
    ] as [unsafe extern "C" fn(_, u64) -> Error; 4]
    {
        assert_eq!(source.set(setter, 1), connected);
    }
    for setter in
        [ffi::eventsource_set_max_redirects, ffi::eventsource_set_max_attempts]
            as [unsafe extern "C" fn(_, u32) -> Error; 2]
    {
        assert_eq!(source.set(setter, 1), connected);
    }
    for setter in
        [ffi::eventsource_set_with_credentials, ffi::eventsource_set_retry]
            as [unsafe extern "C" fn(_, i32) -> Error; 2]
    {
        assert_eq!(source.set(setter, 1), connected);
    }
    assert_eq!(source.with_credentials(), 0);
}

/// Redirects: 307 and 308 keep method and body, within the origin and to
/// another; what describes the body goes along, other headers do not leave.
#[test]
fn a_body_is_sent_again_on_307_and_308() {
    for status in ["307 Temporary Redirect", "308 Permanent Redirect"] {
        let (first, second) = (Server::start(), Server::start());
        let source = Source::new(&first.url("/a"))
            .with_body("{}")
            .with_header("Content-Type", "application/json")
            .with_header("X-Key", "1")
            .start();
        first.accept().redirect(status, "/b");
        let connection = first.accept();
        assert_eq!(connection.request.header("x-key"), Some("1"));
        assert_eq!(connection.request.body, b"{}");
        connection.redirect(status, &second.url("/c"));
        let connection = second.accept();
        let request = &connection.request;
        assert_eq!((&*request.method, &*request.target), ("POST", "/c"));
        assert_eq!(request.body, b"{}");
        let kind = request.header("content-type");
        assert_eq!(kind, Some("application/json"));
        assert_eq!(request.header("x-key"), None);
        serve(connection, "x");
        source.opened();
        source.message("x");
        source.closed(Error::Ended);
    }
}

/// Redirects: Fetch makes a GET of a POST on 301 and 302, and of everything
/// on 303; what has described the body goes with it.
#[test]
fn redirects_make_a_get_where_fetch_says_so() {
    for (status, method, then) in [
        ("301 Moved Permanently", "POST", "GET"),
        ("302 Found", "POST", "GET"),
        ("303 See Other", "POST", "GET"),
        ("301 Moved Permanently", "PUT", "PUT"),
        ("302 Found", "PUT", "PUT"),
        ("303 See Other", "PUT", "GET"),
    ] {
        let server = Server::start();
        let _source = Source::new(&server.url("/"))
            .with_method(method)
            .with_body("x")
            .with_header("Content-Type", "text/csv")
            .with_header("Content-Language", "de")
            .with_header("X-Key", "1")
            .start();
        server.accept().redirect(status, "/to");
        let connection = server.accept();
        let request = &connection.request;
        assert_eq!(request.method, then, "{status} {method}");
        assert_eq!(request.header("x-key"), Some("1"));
        let (body, kind): (&[u8], _) = match then {
            "GET" => (b"", None),
            _ => (b"x", Some("text/csv")),
        };
        assert_eq!(request.body, body, "{status} {method}");
        assert_eq!(request.header("content-type"), kind, "{status} {method}");
        let language = request.header("content-language");
        assert_eq!(language.is_some(), kind.is_some(), "{status} {method}");
    }
}

/// R13. Where a redirect has led as a GET, a reconnection asks by GET; after a
/// failed attempt all begins anew.
#[test]
fn reconnects_as_a_redirect_has_made_it() {
    let server = Server::start();
    let source = Source::new(&server.url("/from"))
        .with_body("x")
        .with_retry(Retry::Standard)
        .start();
    server.accept().redirect("303 See Other", "/to");
    for _ in 0..2 {
        let connection = server.accept();
        let request = &connection.request;
        assert_eq!((&*request.method, &*request.target), ("GET", "/to"));
        serve(connection, "x");
        source.opened();
        source.message("x");
        source.ended();
    }
    server.accept().reset();
    source.retrying(Error::Lost);
    let request = &server.accept().request;
    assert_eq!((&*request.method, &*request.target), ("POST", "/from"));
    assert_eq!(request.body, b"x");
}

/// Redirects: as many as the program allows.
#[test]
fn follows_as_many_redirects_as_allowed() {
    for limit in [0, 1, 25] {
        let server = Server::start();
        let source = Source::new(&server.url("/"))
            .with(ffi::eventsource_set_max_redirects, limit)
            .start();
        for _ in 0..=limit {
            server.accept().redirect("302 Found", "/");
        }
        let failure = source.retrying(Error::Redirect);
        assert_eq!(failure.http_status, 302, "{limit}");
    }
}

/// A server that answers before it has taken the whole body is heard.
#[test]
fn hears_an_answer_that_comes_before_the_body_is_sent() {
    let server = Server::start();
    server.receive_little();
    let source = Source::new(&server.url("/"));
    assert_eq!(source.set_body(&vec![b'x'; 32 << 20]), Error::None);
    let source = source.start();
    let mut stream = server.accept_silently();
    std::io::Write::write_all(
        &mut stream,
        b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig",
    )
    .expect("a client that listens");
    // Closed with most of the body unread, the connection is reset.
    drop(stream);
    let failure = source.failed(Error::Status);
    assert_eq!((failure.http_status, &*failure.body), (413, "big"));
}

/// `on_request` comes before every attempt, knows which it is and why, and
/// what it changes holds for that attempt only.
#[test]
fn on_request_comes_before_every_attempt() {
    let server = Server::start();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let source = Source::new(&server.url("/"))
        .with_header("X-Static", "1")
        .with_retry(Retry::Persistent)
        .deciding(|_| 0)
        .asking(move |request| {
            let attempt = request.attempt();
            let why = request.failure();
            let why = why.map(|it| (it.error, it.http_status, it.body));
            log.lock().unwrap().push((attempt, why));
            let token = format!("Bearer {attempt}");
            let error = request.set_header("Authorization", Some(&token));
            assert_eq!(error, Error::None);
            if attempt == 2 {
                assert_eq!(request.set_header("X-Static", None), Error::None);
                assert_eq!(request.set_header("Accept", None), Error::None);
            }
        })
        .start();
    let check = |connection: &Connection, attempt: u64| {
        let request = &connection.request;
        let token = format!("Bearer {attempt}");
        assert_eq!(request.header("authorization"), Some(&*token));
        let present = attempt != 2;
        assert_eq!(request.header("x-static").is_some(), present);
        assert_eq!(request.header("accept").is_some(), present);
    };
    let connection = server.accept();
    check(&connection, 1);
    // A redirect is part of the attempt.
    connection.redirect("302 Found", "/to");
    let mut connection = server.accept();
    check(&connection, 1);
    connection.send(
        "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\
         busy",
    );
    source.retrying(Error::Status);
    let connection = server.accept();
    check(&connection, 2);
    serve(connection, "x");
    source.opened();
    source.message("x");
    source.ended();
    let connection = server.accept();
    check(&connection, 3);
    assert_eq!(source.reconnect(), Error::None);
    let connection = server.accept();
    check(&connection, 4);
    let seen = seen.lock().unwrap();
    let why: Vec<_> = seen.iter().map(|(_, failure)| failure.clone()).collect();
    assert_eq!(
        why,
        [
            None,
            Some((Error::Status, 503, "busy".to_owned())),
            Some((Error::Ended, 200, String::new())),
            None
        ]
    );
    let attempts: Vec<_> = seen.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
}

/// `on_request`: what it cannot set is an error, and changes nothing.
#[test]
fn on_request_refuses_what_breaks_the_request() {
    let server = Server::start();
    let _source = Source::new(&server.url("/"))
        .asking(|request| {
            for name in ["", "a b", "Content-Length", "Last-Event-ID"] {
                let error = request.set_header(name, Some("1"));
                assert_eq!(error, Error::Header, "{name}");
            }
            let error = request.set_header("X", Some("a\r\nb"));
            assert_eq!(error, Error::Header);
            for method in ["HEAD", "", "a b"] {
                assert_eq!(request.set_method(method), Error::Value);
            }
        })
        .start();
    let request = &server.accept().request;
    assert_eq!(request.method, "GET");
    assert_eq!(request.header("x"), None);
}

/// `on_request` may close the source: nothing is asked.
#[test]
fn on_request_may_close_the_source() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let handle = source.handle();
    let source = source.asking(move |_| handle.close()).start();
    source.closed(Error::None);
    assert!(!server.is_asked());
}

/// As MCP has it: a stream that was asked for by POST and broke is resumed by
/// GET, after the last event, without its body.
#[test]
fn a_post_is_resumed_by_get() {
    let server = Server::start();
    let source = Source::new(&server.url("/mcp"))
        .with_body("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}")
        .with_header("Content-Type", "application/json")
        .with_header("Accept", "application/json, text/event-stream")
        .with_header("Mcp-Session-Id", "s1")
        .with_retry(Retry::Standard)
        .asking(|request| {
            if request.attempt() > 1 {
                assert_eq!(request.set_method("GET"), Error::None);
            }
        })
        .start();
    let mut connection = server.accept();
    assert_eq!(connection.request.method, "POST");
    assert!(!connection.request.body.is_empty());
    connection.send(EVENT_STREAM);
    connection.send("id: s1-7\ndata: {\"progress\":1}\n\ndata: {\"resu");
    source.opened();
    source.event();
    connection.reset();
    source.lost();
    let mut connection = server.accept();
    let request = &connection.request;
    assert_eq!((&*request.method, &*request.body), ("GET", &b""[..]));
    assert_eq!(request.header("last-event-id"), Some("s1-7"));
    assert_eq!(request.header("mcp-session-id"), Some("s1"));
    assert_eq!(request.header("content-type"), None);
    assert_eq!(request.header("content-length"), None);
    connection.send(EVENT_STREAM);
    connection.send("id: s1-8\ndata: {\"result\":{}}\n\n");
    source.opened();
    assert_eq!(source.event().id, "s1-8");
}

/// Bad input is refused, or sent as it is; nothing breaks.
#[test]
fn bad_input_does_not_break_a_source() {
    let server = Server::start();
    // More headers than any server takes.
    let source = Source::new(&server.url("/"));
    for number in 0..10_000 {
        let error = source.set_header(format!("X-{number}"), Some(b"1"));
        assert_eq!(error, Error::None);
    }
    let source = source.start();
    let request = &server.accept().request;
    assert_eq!(request.header("x-9999"), Some("1"));
    source.close();
    // A URL of a megabyte.
    let url = server.url(&format!("/?{}", "x".repeat(1 << 20)));
    let url = std::ffi::CString::new(url).unwrap();
    let mut source = std::ptr::null_mut();
    // SAFETY: an out-parameter, and what is given back.
    unsafe {
        let error = ffi::eventsource_new(url.as_ptr(), &mut source);
        assert_eq!((error, source.is_null()), (Error::None, false));
        ffi::eventsource_free(source);
    }
}
