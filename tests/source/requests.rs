//! What a source asks for.

use eventsource::ffi::Error;

use support::server::{Connection, EVENT_STREAM, Server};
use support::source::Source;

/// The request of a source that `prepare` has made ready.
fn request_of(
    path: &str,
    prepare: impl FnOnce(Source) -> Source,
) -> (Server, Source, Connection) {
    let server = Server::start();
    let source = prepare(Source::new(&server.url(path))).start();
    let connection = server.accept();
    (server, source, connection)
}

/// R9, R10, R11, R15. The first request, from the first line to the last.
#[test]
fn asks_for_an_event_stream() {
    let (server, _source, connection) = request_of("/path?q=1", |s| s);
    let request = &connection.request;
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/path?q=1");
    assert_eq!(request.version, "HTTP/1.1");
    let host = server.address().to_string();
    assert_eq!(request.header("host"), Some(&*host));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("cache-control"), Some("no-cache"));
    assert_eq!(request.header("last-event-id"), None);
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("content-length"), None);
    assert_eq!(request.header("transfer-encoding"), None);
    assert!(
        matches!(request.header("accept-encoding"), None | Some("identity")),
        "compression only delays events"
    );
    let agent = concat!("libeventsource/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
}

/// What is sent: `Host` first, and names in the case that servers expect who
/// know no other.
#[test]
fn names_are_in_title_case_and_host_is_first() {
    let (_server, _source, connection) = request_of("/", |source| {
        source
            .with_header("X-API-KEY", "1")
            .with_header("dnt", "1")
            .with_header("cookie", "a=b")
            .with_header("x--y-", "2")
            .with_header("x_z.a1-b2", "3")
            .with_last_event_id("7")
    });
    let names = connection.request.names();
    assert_eq!(names[0], "Host");
    for name in [
        "Accept",
        "Accept-Encoding",
        "Cache-Control",
        "Pragma",
        "User-Agent",
        "Last-Event-ID",
        "Cookie",
        "Dnt",
        "X-Api-Key",
        "X--Y-",
        "X_z.a1-B2",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert_eq!(names.len(), 12);
    assert_eq!(connection.request.header("x-api-key"), Some("1"));
}

/// The same of a request with a body, of one through a proxy, of a program's
/// own `Host`, and of a redirected one.
#[test]
fn host_is_first_in_every_request() {
    let (_server, _source, connection) =
        request_of("/", |source| source.with_body("data"));
    let names = connection.request.names();
    assert_eq!(names[0], "Host");
    assert!(names.contains(&"Content-Length"), "{names:?}");
    assert!(names.contains(&"Content-Type"), "{names:?}");
    assert_eq!(connection.request.body, b"data");

    let server = Server::start();
    let proxy = format!("http://user:pass@{}", server.address());
    let _source = Source::new("http://server.test/path?q#f")
        .with_proxy(&proxy)
        .with_header("X-Last", "1")
        .with_header("host", "other.test")
        .start();
    let connection = server.accept();
    assert_eq!(connection.request.target, "http://server.test/path?q");
    let names = connection.request.names();
    assert_eq!(names[0], "Host");
    assert!(names.contains(&"Proxy-Authorization"), "{names:?}");
    assert_eq!(connection.request.header("host"), Some("other.test"));

    let (server, _source, connection) = request_of("/", |source| source);
    connection.redirect("302 Found", "/to");
    assert_eq!(server.accept().request.names()[0], "Host");
}

/// R9, R10. Each default header can be replaced; it is sent once all the same.
#[test]
fn default_headers_can_be_replaced() {
    let headers = [
        ("Accept", "text/event-stream, application/json"),
        ("cache-control", "max-age=0"),
        ("USER-AGENT", "me/1"),
        ("Accept-Encoding", "gzip"),
        ("Host", "somebody.else"),
    ];
    let (_server, _source, connection) = request_of("/", |source| {
        headers.iter().fold(source, |source, (name, value)| {
            source.with_header(name, value)
        })
    });
    for (name, value) in headers {
        assert_eq!(connection.request.header(name), Some(value), "{name}");
    }
}

/// Headers: without a value, a header is not sent, not even by default.
#[test]
fn headers_can_be_removed() {
    let names = ["Accept", "Cache-Control", "User-Agent", "X-Mine"];
    let (_server, _source, connection) = request_of("/", |source| {
        names.iter().fold(source.with_header("X-Mine", "1"), |source, name| {
            source.without_header(name)
        })
    });
    for name in names {
        assert_eq!(connection.request.header(name), None, "{name}");
    }
}

/// Headers: set again, in whatever case, a header has its last value.
#[test]
fn a_header_set_twice_has_its_last_value() {
    let (_server, _source, connection) = request_of("/", |source| {
        source.with_header("X-Mine", "1").with_header("x-mine", "2")
    });
    assert_eq!(connection.request.header("x-mine"), Some("2"));
}

/// Headers: a program's own come with every request.
#[test]
fn headers_come_with_every_request() {
    let (server, source, connection) = request_of("/", |source| {
        source
            .with_header("Authorization", "Bearer 1")
            .with_header("Cookie", "a=b; c=d")
            .with_header("X-Empty", "")
    });
    let check = |connection: &Connection| {
        let request = &connection.request;
        assert_eq!(request.header("authorization"), Some("Bearer 1"));
        assert_eq!(request.header("cookie"), Some("a=b; c=d"));
        assert_eq!(request.header("x-empty"), Some(""));
    };
    check(&connection);
    let mut connection = connection;
    connection.send(EVENT_STREAM);
    source.opened();
    connection.finish();
    source.ended();
    check(&server.accept());
}

/// Errors: a header that HTTP cannot carry, or that is the library's own, is
/// refused, and nothing has changed.
#[test]
fn refuses_headers_that_break_the_request() {
    let source = Source::new("http://127.0.0.1/");
    for name in [
        "",
        " ",
        "X Y",
        "X:",
        "X\r\nY",
        "X\n",
        "Ü",
        "X\x7f",
        "X(",
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Last-Event-ID",
    ] {
        let error = source.set_header(name, Some(b"1"));
        assert_eq!(error, Error::Header, "{name:?}");
    }
    for value in ["a\r\nB: c", "a\nb", "a\rb", "\x01", "\x7f"] {
        let error = source.set_header("X-Mine", Some(value.as_bytes()));
        assert_eq!(error, Error::Header, "{value:?}");
    }

    let (_server, _source, connection) = request_of("/", |source| {
        let source = source.with_header("X-Mine", "1");
        let error = source.set_header("X-Mine", Some(b"2\r\nX-Evil: 1"));
        assert_eq!(error, Error::Header);
        assert_eq!(source.connect(), Error::Header);
        source.with_header("x-mine", "3")
    });
    assert_eq!(connection.request.header("x-mine"), Some("3"));
    assert_eq!(connection.request.header("x-evil"), None);
}

/// Headers: what ureq could not send is refused at once, for all attempts and
/// for one.
#[test]
fn refuses_headers_that_cannot_be_sent() {
    const BAD: [(&str, &str); 4] = [
        ("Authorization", "Bearer \u{fc}"),
        ("authorization", "\u{20ac}"),
        ("Host", "b\u{fc}cher.example"),
        ("HOST", "\u{80}"),
    ];
    let source = Source::new("http://127.0.0.1/");
    for (name, value) in BAD {
        let error = source.set_header(name, Some(value.as_bytes()));
        assert_eq!(error, Error::Header, "{name}: {value}");
    }
    for name in ["Authorization", "Host"] {
        assert_eq!(source.set_header(name, Some(b"b\tc")), Error::None);
        assert_eq!(source.set_header(name, None), Error::None);
    }
    let (_server, _source, connection) = request_of("/", |source| {
        source.with_header("X-Text", "\u{fc}").asking(|request| {
            for (name, value) in BAD {
                let error = request.set_header(name, Some(value));
                assert_eq!(error, Error::Header, "{name}: {value}");
            }
        })
    });
    assert_eq!(connection.request.header("authorization"), None);
    assert_eq!(connection.request.header("x-text"), Some("\u{fc}"));
}

/// Headers: 10,000 at most.
#[test]
fn refuses_headers_without_end() {
    let (_server, _source, connection) = request_of("/", |source| {
        for number in 0..10_000 {
            let error = source.set_header(format!("X-{number}"), Some(b""));
            assert_eq!(error, Error::None, "{number}");
        }
        assert_eq!(source.set_header("X-1", Some(b"1")), Error::None);
        let other = Source::new("http://127.0.0.1/");
        for number in 0..10_000 {
            other.set_header(format!("X-{number}"), Some(b""));
        }
        assert_eq!(other.set_header("X-More", Some(b"")), Error::Header);
        assert_eq!(other.set_header("X-1", Some(b"1")), Error::None);
        assert_eq!(other.connect(), Error::Header);
        source
    });
    assert_eq!(connection.request.header("x-1"), Some("1"));
}

/// Compression: only what is undone may be asked for.
#[test]
fn accepts_codings_that_it_undoes() {
    let source = Source::new("http://127.0.0.1/");
    for value in [
        "",
        "identity",
        "gzip",
        "GZIP",
        "x-gzip",
        "gzip, identity",
        " gzip ;q=0.5 , identity;q=1.000,",
        "gzip;Q=0",
        "gzip, br;q=0, *;q=0.0",
        "identity;q=1, *;q=0",
    ] {
        let error =
            source.set_header("Accept-Encoding", Some(value.as_bytes()));
        assert_eq!(error, Error::None, "{value}");
    }
    for value in [
        "br",
        "zstd",
        "deflate",
        "compress",
        "*",
        "*;q=0.1",
        "gzip, br",
        "gzip,deflate;q=0.001",
        "none",
        "gzip br",
        "gzip;level=1",
        "gzip;q=",
        "gzip;q=2",
        "br;q=00",
        "br;q=0;q=1",
        "g\u{fc}zip",
    ] {
        let error =
            source.set_header("accept-encoding", Some(value.as_bytes()));
        assert_eq!(error, Error::Header, "{value}");
    }
    assert_eq!(source.set_header("Accept-Encoding", None), Error::None);
}

/// User and password of the URL are sent as Basic authorization, and nowhere
/// else.
#[test]
fn user_and_password_become_authorization() {
    for (user, authorization) in [
        ("user:pass", "Basic dXNlcjpwYXNz"),
        ("user", "Basic dXNlcjo="),
        // "us@er:p w"
        ("us%40er:p%20w", "Basic dXNAZXI6cCB3"),
    ] {
        let server = Server::start();
        let host = format!("{user}@127.0.0.1");
        let source = Source::connected(&server.url_at(&host, "/"));
        let mut connection = server.accept();
        let request = &connection.request;
        assert_eq!(request.header("authorization"), Some(authorization));
        let host = server.address().to_string();
        assert_eq!(request.header("host"), Some(&*host));
        assert_eq!(request.target, "/");
        connection.send(EVENT_STREAM);
        connection.send("data: x\n\n");
        source.opened();
        assert_eq!(source.message("x").origin, server.origin());
    }
}

/// Headers: a program's own Authorization goes before the URL's.
#[test]
fn own_authorization_goes_before_the_urls() {
    let server = Server::start();
    let url = server.url_at("user:pass@127.0.0.1", "/");
    let _source =
        Source::new(&url).with_header("Authorization", "Bearer 1").start();
    let connection = server.accept();
    let authorization = connection.request.header("authorization");
    assert_eq!(authorization, Some("Bearer 1"));
}

/// R3. Path and query are sent as the URL Standard writes them, whatever is in
/// them; the fragment is not sent.
#[test]
fn sends_path_and_query_as_the_url_standard_writes_them() {
    for (path, target) in [
        ("", "/"),
        ("?q", "/?q"),
        ("/?", "/?"),
        ("/a#fragment", "/a"),
        ("/a?b#fragment", "/a?b"),
        ("/a b?c d", "/a%20b?c%20d"),
        ("/ü?ü", "/%C3%BC?%C3%BC"),
        ("/%7Euser/%zz", "/%7Euser/%zz"),
        ("/a/../b/./c", "/b/c"),
        ("/a\\b", "/a/b"),
        ("/<\">`{}", "/%3C%22%3E%60%7B%7D"),
        ("/?<\">'", "/?%3C%22%3E%27"),
        ("/a|b", "/a|b"),
        ("/a?b|c", "/a?b|c"),
        ("/?`{}^[]\\", "/?`{}^[]\\"),
        ("/[]:@!$&'()*+,;=", "/[]:@!$&'()*+,;="),
        ("//double//slash", "//double//slash"),
        ("/?http://other/?a=b&c=d", "/?http://other/?a=b&c=d"),
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url(path));
        let mut connection = server.accept();
        assert_eq!(connection.request.target, target, "{path}");
        connection.send(EVENT_STREAM);
        source.opened();
    }
}

/// A URL of 8,000 characters, as tokens in a query make it.
#[test]
fn sends_a_long_query() {
    let target = format!("/?{}", "a".repeat(8000));
    let (_server, source, mut connection) = request_of(&target, |s| s);
    assert_eq!(connection.request.target, target);
    connection.send(EVENT_STREAM);
    source.opened();
}

/// A header of 16,000 bytes, as tokens make it.
#[test]
fn sends_a_long_header() {
    let token = "a".repeat(16_000);
    let (_server, source, mut connection) =
        request_of("/", |source| source.with_header("X-Token", &token));
    assert_eq!(connection.request.header("x-token"), Some(&*token));
    connection.send(EVENT_STREAM);
    source.opened();
}
