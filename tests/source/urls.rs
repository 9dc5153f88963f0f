//! What a source is made for.

use std::ffi::CString;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::ptr;

use eventsource::ffi::{self, Error, ReadyState};

use support::server::{EVENT_STREAM, Server};
use support::source::{Seen, Source};
use support::{certificates, names};

/// What `eventsource_new` says to these bytes; the source must be NULL.
fn refusal(url: &[u8]) -> Error {
    let c_url = CString::new(url).unwrap();
    let mut source = ptr::dangling_mut();
    // SAFETY: a text, and a place for the source.
    let error = unsafe { ffi::eventsource_new(c_url.as_ptr(), &mut source) };
    assert!(source.is_null(), "{:?}", url.escape_ascii().to_string());
    error
}

/// R1, R2. The URL is parsed at once; what is none, or relative, is refused.
#[test]
fn refuses_what_is_no_absolute_url() {
    for url in [
        "",
        " ",
        "example.com",
        "example.com:80/",
        "/relative",
        "//example.com/",
        "?query",
        "http:",
        "http://",
        "http://:80/",
        "http://[::1",
        "http://[::g]/",
        "http://example.com:65536/",
        "http://example.com:port/",
        "http://exa mple.com/",
        "http://256.256.256.256/",
        "http://a<b/",
        "https://%00/",
    ] {
        let error = refusal(url.as_bytes());
        // "example.com:80/" is a URL of the scheme "example.com".
        let expected =
            if url == "example.com:80/" { Error::Scheme } else { Error::Url };
        assert_eq!(error, expected, "{url}");
    }
}

/// R19. Schemes other than http and https are known to be futile.
#[test]
fn refuses_schemes_other_than_http_and_https() {
    for url in [
        "ftp://example.com/",
        "ws://example.com/",
        "wss://example.com/",
        "file:///etc/passwd",
        "data:text/event-stream,data:x%0A%0A",
        "about:blank",
        "mailto:somebody@example.com",
    ] {
        assert_eq!(refusal(url.as_bytes()), Error::Scheme, "{url}");
    }
}

/// Errors: NULL and text that is not UTF-8 are refused.
#[test]
fn refuses_null_and_text_that_is_not_utf8() {
    assert_eq!(refusal(b"http://example.com/\xff"), Error::Utf8);
    let mut source = ptr::dangling_mut();
    // SAFETY: NULL is what is tested.
    unsafe {
        let error = ffi::eventsource_new(ptr::null(), &mut source);
        assert_eq!(error, Error::Null);
        assert!(source.is_null());
        let url = c"http://example.com/";
        let error = ffi::eventsource_new(url.as_ptr(), ptr::null_mut());
        assert_eq!(error, Error::Null);
    }
}

/// R3. `url` is the serialization of the parsed URL.
#[test]
fn url_is_the_serialization() {
    for (url, serialized) in [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com:80/a/./b/../c", "http://example.com/a/c"),
        ("https://example.com:443/", "https://example.com/"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http:example.com", "http://example.com/"),
        ("http:\\\\example.com\\a", "http://example.com/a"),
        ("  http://example.com/\t?a\n=b ", "http://example.com/?a=b"),
        ("http://example.com/?q#f", "http://example.com/?q#f"),
        ("http://u:p@example.com/", "http://u:p@example.com/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://[0:0::0:1]/", "http://[::1]/"),
        ("http://example.com/ü", "http://example.com/%C3%BC"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://BÜCHER.example/", "http://xn--bcher-kva.example/"),
        ("http://faß.example/", "http://xn--fa-hia.example/"),
        ("http://日本語.example/", "http://xn--wgv71a119e.example/"),
    ] {
        assert_eq!(Source::new(url).url(), serialized, "{url}");
    }
}

/// R5, R7. A new source is CONNECTING and asks nobody until it is told to.
#[test]
fn a_new_source_is_connecting_and_waits_for_connect() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    assert_eq!(source.last_event_id(), "");
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    assert!(!server.is_asked());
}

/// R7. A source that never connects calls nobody, freed or closed.
#[test]
fn a_source_that_never_connects_calls_nobody() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    source.close();
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert_eq!(source.connect(), Error::Closed);
    source.handle().free();
    assert_eq!(source.history(), []);
    let source = Source::new(&server.url("/"));
    source.handle().free();
    assert_eq!(source.history(), []);
    assert!(!server.is_asked());
}

/// Errors: NULL is ignored, or an error, by every function.
#[test]
fn null_is_never_a_crash() {
    // SAFETY: NULL is what is tested.
    unsafe {
        let null = ptr::null_mut();
        let text = c"x".as_ptr();
        for error in [
            ffi::eventsource_on_open(null, None, null.cast()),
            ffi::eventsource_on_event(null, None, null.cast()),
            ffi::eventsource_on_error(null, None, null.cast()),
            ffi::eventsource_on_close(null, None, null.cast()),
            ffi::eventsource_on_comment(null, None, null.cast()),
            ffi::eventsource_remove_listener(null, 1),
            ffi::eventsource_set_header(null, text, text),
            ffi::eventsource_set_last_event_id(null, text),
            ffi::eventsource_set_reconnection_time(null, 1),
            ffi::eventsource_set_max_event_size(null, 1),
            ffi::eventsource_connect(null),
            ffi::eventsource_reconnect(null),
            ffi::eventsource_wait(null, 0),
        ] {
            assert_eq!(error, Error::Null);
        }
        ffi::eventsource_close(null);
        ffi::eventsource_free(null);
        let state = ffi::eventsource_ready_state(null);
        assert_eq!(state, ReadyState::Closed);
        // NULL or a text: both are answers that a program can look at.
        let _ = ffi::eventsource_url(null);
        let _ = ffi::eventsource_response_url(ptr::null());
        let _ = ffi::eventsource_response_status(ptr::null());
        let header = ffi::eventsource_response_header(ptr::null(), text);
        assert!(header.is_null());
        let mut buffer = [1];
        let pointer = buffer.as_mut_ptr();
        assert_eq!(ffi::eventsource_last_event_id(null, pointer, 1), 0);
        assert_eq!(buffer, [0]);
        assert_eq!(ffi::eventsource_last_event_id(null, ptr::null_mut(), 0), 0);
    }
}

/// Errors: what a setter needs must not be NULL, what it takes must be text.
#[test]
fn setters_refuse_null_and_text_that_is_not_utf8() {
    let source = Source::new("http://127.0.0.1/");
    assert_eq!(source.set_last_event_id(b"\xff"), Error::Utf8);
    assert_eq!(source.set_header(b"\xff", Some(b"x")), Error::Utf8);
    assert_eq!(source.set_header("X", Some(b"\xff")), Error::Utf8);
}

/// Setters may be called until `connect`.
#[test]
fn setters_are_refused_after_connect() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let connection = server.accept();
    let refused = Error::AlreadyConnected;
    assert_eq!(source.connect(), refused);
    assert_eq!(source.set_header("X-A", Some(b"1")), refused);
    assert_eq!(source.set_header("X-A", None), refused);
    assert_eq!(source.set_last_event_id("1"), refused);
    assert_eq!(source.set_reconnection_time(1), refused);
    assert_eq!(source.set_max_event_size(1), refused);
    let path = Path::new("/nowhere");
    assert_eq!(source.set_ca_file(Some(path)), refused);
    assert_eq!(source.set_ca_file(None), refused);
    assert_eq!(source.set_client_certificate(Some(path), Some(path)), refused);
    assert_eq!(source.set_verify_peer(0), refused);
    assert_eq!(source.set_proxy(Some("http://proxy")), refused);
    assert_eq!(source.set_proxy(None), refused);
    assert_eq!(source.set_unix_socket(Some(path)), refused);
    source.close();
    assert_eq!(source.connect(), Error::Closed);
    drop(connection);
}

/// A host name goes to the look-up, and into `Host`, as the URL Standard
/// writes it: in ASCII.
#[test]
fn international_host_names_are_looked_up_in_ascii() {
    let server = Server::start();
    let name = "xn--bcher-kva.test";
    names::resolve(name, &[Ipv4Addr::LOCALHOST.into()]);
    let source = Source::connected(&server.url_at("Bücher.test", "/"));
    let mut connection = server.accept();
    let host = format!("{name}:{}", server.port());
    assert_eq!(connection.request.header("host"), Some(&*host));
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    assert_eq!(source.opened().url, server.url_at(name, "/"));
    assert_eq!(
        source.message("x").origin,
        server.url_at(name, ""),
        "the origin, in ASCII as well"
    );
}

/// R1. Whatever the URL Standard takes for a host is one, and is sent.
#[test]
fn asks_hosts_of_any_name_that_the_url_standard_takes() {
    for name in ["a\"b", "a`b", "a{b}", "a!$&'()*+,;=~_b", "-a-", "a_b"] {
        let name = format!("{name}.test");
        names::resolve(&name, &[Ipv4Addr::LOCALHOST.into()]);
        let server = Server::start();
        let url = server.url_at(&name, "/");
        let source = Source::connected(&url);
        assert_eq!(source.url(), url);
        let connection = server.accept();
        let host = format!("{name}:{}", server.port());
        assert_eq!(connection.request.header("host"), Some(&*host));
        assert_eq!(connection.request.target, "/");
        connection.redirect("302 Found", &url);
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        assert_eq!(source.opened().url, url);
    }
}

/// R1. A URL may be of any length.
#[test]
fn asks_for_urls_of_any_length() {
    for length in [65_530, 70_000, 1_000_000] {
        let server = Server::start();
        let target = format!("/{}?q", "a".repeat(length));
        let source = Source::connected(&server.url(&target));
        let connection = server.accept();
        assert_eq!(connection.request.target, target);
        if length > 100_000 {
            continue;
        }
        connection.redirect("302 Found", &target);
        let mut connection = server.accept();
        assert_eq!(connection.request.target, target);
        connection.send(EVENT_STREAM);
        assert_eq!(source.opened().url, server.url(&target));
    }
}

/// Fetch, "location URL": a redirect without fragment keeps that of the URL
/// before it. No fragment is sent.
#[test]
fn a_fragment_lasts_until_a_redirect_has_another() {
    let server = Server::start();
    let source = Source::connected(&server.url("/a#one"));
    for (location, url) in [
        ("/b?c", "/b?c#one"),
        ("/d#two", "/d#two"),
        ("/e", "/e#two"),
        ("/f#", "/f#"),
        ("/g", "/g#"),
    ] {
        let connection = server.accept();
        assert!(!connection.request.target.contains('#'));
        connection.redirect("302 Found", location);
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        connection.send("data: x\n\n");
        assert_eq!(source.opened().url, server.url(url));
        source.message("x");
        connection.finish();
        source.ended();
    }
    assert_eq!(source.url(), server.url("/a#one"));
}

/// An IPv6 address in a URL.
#[test]
fn connects_to_an_ipv6_address() {
    let server = Server::at("[::1]:0");
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    let host = format!("[::1]:{}", server.port());
    assert_eq!(connection.request.header("host"), Some(&*host));
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    assert_eq!(source.message("x").origin, server.origin());
}

/// A name with several addresses, of which the first refuse.
#[test]
fn tries_one_address_after_the_other() {
    let server = Server::start();
    let address = |text: &str| text.parse().unwrap();
    names::resolve(
        "several.test",
        &[address("::1"), address("127.0.0.2"), address("127.0.0.1")],
    );
    let source = Source::connected(&server.url_at("several.test", "/"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    assert_eq!(names::times_asked("several.test"), 1);
}

/// An address that does not answer does not hold up the next one.
#[test]
fn an_address_that_does_not_answer_holds_up_nobody() {
    let server = Server::start();
    let dead = Server::at(&format!("127.0.0.3:{}", server.port()));
    let _crowd = dead.become_a_black_hole();
    let addresses = [dead.address().ip(), server.address().ip()];
    names::resolve("half-dead.test", &addresses);
    let source = Source::connected(&server.url_at("half-dead.test", "/"));
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// An address that takes a connection and then says nothing, or nonsense, is
/// not the first that the next attempt tries, with TLS and without, and
/// through a proxy of two addresses.
#[test]
fn an_address_that_comes_to_nothing_is_not_the_first_again() {
    type Fail = fn(TcpStream) -> Option<TcpStream>;
    let fails: [(Fail, Error); 3] = [
        (Some, Error::Timeout),
        (|_| None, Error::Lost),
        (
            |mut stream| {
                let _ = stream.write_all(b"nonsense\r\n\r\n");
                Some(stream)
            },
            Error::Http,
        ),
    ];
    for (number, (fail, error)) in fails.into_iter().enumerate() {
        for way in ["http", "https", "proxy"] {
            let server = match way {
                "https" => Server::secure(certificates::trusted("turns.test")),
                _ => Server::start(),
            };
            let dead = Server::at(&format!("127.0.0.3:{}", server.port()));
            let addresses = [dead.address().ip(), server.address().ip()];
            names::resolve("turns.test", &addresses);
            let url = server.url_at("turns.test", "/");
            let source = match way {
                "proxy" => Source::new("http://behind.test/").with_proxy(&url),
                _ => Source::new(&url),
            };
            let source = source
                .with(ffi::eventsource_set_connect_timeout, 300)
                .with(ffi::eventsource_set_response_timeout, 300)
                .start();
            let _kept = fail(dead.accept_silently());
            let failure = match source.next() {
                Seen::Error(failure) => failure,
                other => panic!("on_error expected: {other:?}"),
            };
            let error = if way == "https" { failure.error } else { error };
            assert_eq!(failure.error, error, "{number} {way}: {failure:?}");
            // And so it stays, as long as the other one answers.
            for _ in 0..3 {
                let mut connection = server.accept();
                connection.send(EVENT_STREAM.to_owned() + "data: x\n\n");
                source.opened();
                source.message("x");
                connection.finish();
                source.ended();
                assert!(!dead.is_asked(), "{number} {way}");
            }
            // An answer that is refused is an answer.
            server.accept().answer("404 Not Found", "");
            source.failed(Error::Status);
        }
    }
}

/// Each address has its turn, until one answers.
#[test]
fn addresses_that_come_to_nothing_take_turns() {
    let server = Server::start();
    let first = Server::at(&format!("127.0.0.4:{}", server.port()));
    let second = Server::at(&format!("127.0.0.5:{}", server.port()));
    let addresses =
        [&first, &second, &server].map(|server| server.address().ip());
    names::resolve("three.test", &addresses);
    let source = Source::new(&server.url_at("three.test", "/"))
        .deciding(|verdict| if verdict.will_retry { 0 } else { -1 })
        .start();
    for _ in 0..2 {
        for server in [&first, &second, &server] {
            drop(server.accept_silently());
            source.retrying(Error::Lost);
        }
    }
    first.accept().send(EVENT_STREAM);
    source.opened();
}
