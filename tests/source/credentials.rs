//! What goes to other origins, and cookies.

use eventsource::ffi::{self, Error};

use support::names;
use support::server::{Connection, EVENT_STREAM, Server};
use support::source::Source;

fn with_credentials(url: &str) -> Source {
    let source = Source::new(url);
    assert_eq!(source.with_credentials(), 0);
    let source = source.with(ffi::eventsource_set_with_credentials, 1);
    assert_eq!(source.with_credentials(), 1);
    source
}

/// Sends a stream of one event, and ends it.
fn serve(mut connection: Connection, headers: &str) {
    let head = EVENT_STREAM.trim_end().to_owned();
    connection.send(format!("{head}\r\n{headers}\r\ndata: x\n\n"));
    connection.finish();
}

#[track_caller]
fn ends(source: &Source) {
    source.opened();
    source.message("x");
    source.ended();
}

/// What the program trusts redirects with: its headers, and the URL's user and
/// password. `Host` names a server, and stays behind.
#[test]
fn secrets_are_sent_on_if_the_program_trusts_redirects() {
    let (first, second) = (Server::start(), Server::start());
    let source = Source::new(&first.url_at("user:pass@127.0.0.1", "/"))
        .with_header("Cookie", "a=b")
        .with_header("X-Key", "1")
        .with_header("Host", "first.example")
        .with(ffi::eventsource_set_trust_redirects, 1);
    for number in [2, -1] {
        let error = source.set(ffi::eventsource_set_trust_redirects, number);
        assert_eq!(error, Error::Value, "{number}");
    }
    let source = source.with(ffi::eventsource_set_trust_redirects, 1).start();
    assert_eq!(source.with_credentials(), 0);
    first.accept().redirect("302 Found", &second.url("/"));
    for _ in 0..2 {
        let connection = second.accept();
        let request = &connection.request;
        let authorization = request.header("authorization");
        assert_eq!(authorization, Some("Basic dXNlcjpwYXNz"));
        assert_eq!(request.header("cookie"), Some("a=b"));
        assert_eq!(request.header("x-key"), Some("1"));
        let host = second.address().to_string();
        assert_eq!(request.header("host"), Some(&*host));
        serve(connection, "");
        ends(&source);
    }
}

/// R4. Credentials are the target's own: the program's secrets are none of its
/// business.
#[test]
fn credentials_are_not_the_programs_secrets() {
    let (first, second) = (Server::start(), Server::start());
    let _source = with_credentials(&first.url_at("user:pass@127.0.0.1", "/"))
        .with_header("X-Key", "1")
        .start();
    first.accept().redirect("302 Found", &second.url("/"));
    let connection = second.accept();
    assert_eq!(connection.request.header("authorization"), None);
    assert_eq!(connection.request.header("x-key"), None);
    let _source = with_credentials(&first.url("/"))
        .with_header("Authorization", "Bearer 1")
        .with_header("Cookie", "a=b")
        .start();
    first.accept().redirect("302 Found", &second.url("/"));
    let connection = second.accept();
    assert_eq!(connection.request.header("authorization"), None);
    assert_eq!(connection.request.header("cookie"), None);
}

/// Within the origin user and password go along, whatever a redirect says.
#[test]
fn user_and_password_stay_within_the_origin() {
    let server = Server::start();
    let _source = Source::connected(&server.url_at("user:pass@127.0.0.1", "/"));
    server.accept().redirect("302 Found", &server.url("/to"));
    assert!(server.accept().request.header("authorization").is_some());
}

/// `with_credentials` of nothing is no.
#[test]
fn nothing_has_no_credentials() {
    // SAFETY: NULL is allowed.
    let with = unsafe { ffi::eventsource_with_credentials(std::ptr::null()) };
    assert_eq!(with, 0);
    // SAFETY: likewise.
    let error = unsafe {
        ffi::eventsource_set_with_credentials(std::ptr::null_mut(), 1)
    };
    assert_eq!(error, Error::Null);
}

/// Yes is 1 and no is 0, as for every other setting.
#[test]
fn refuses_what_is_neither_yes_nor_no() {
    let source = with_credentials("http://127.0.0.1/");
    for number in [2, -1, i32::MAX, i32::MIN] {
        let error = source.set(ffi::eventsource_set_with_credentials, number);
        assert_eq!(error, Error::Value, "{number}");
        assert_eq!(source.with_credentials(), 1);
    }
}

/// Cookies that an origin sets, with a redirect, a stream or a refusal, it
/// gets back: those that are for the path.
#[cfg(feature = "cookies")]
#[test]
fn cookies_come_back_to_their_origin() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_retry(ffi::Retry::Persistent)
        .deciding(|_| 0)
        .start();
    let mut connection = server.accept();
    assert_eq!(connection.request.header("cookie"), None);
    connection.send(
        "HTTP/1.1 302 Found\r\nLocation: /stream\r\nContent-Length: 0\r\n\
         Set-Cookie: node=7; Path=/; HttpOnly\r\n\
         Set-Cookie: elsewhere=1; Path=/x\r\n\
         Set-Cookie: =;;;\r\n\r\n",
    );
    let connection = connection.again().expect("the next request");
    assert_eq!(connection.request.header("cookie"), Some("node=7"));
    serve(connection, "Set-Cookie: node=8; Path=/\r\nSet-Cookie: a=\"ü\"\r\n");
    ends(&source);
    let connection = server.accept();
    let cookie = connection.request.header("cookie");
    assert_eq!(cookie, Some("a=\"ü\"; node=8"));
    connection.answer(
        "503 Busy",
        "Set-Cookie: node=; Path=/; Max-Age=0\r\nContent-Length: 0\r\n",
    );
    source.retrying(Error::Status);
    let connection = server.accept();
    assert_eq!(connection.request.header("cookie"), Some("a=\"ü\""));
}

/// Another origin neither sees cookies nor sets any; with credentials both.
#[cfg(feature = "cookies")]
#[test]
fn cookies_cross_origins_with_credentials_only() {
    for with in [0, 1] {
        let (first, second) = (Server::start(), Server::start());
        // The same host: cookies know no ports, origins do.
        let source = Source::new(&first.url("/"))
            .with(ffi::eventsource_set_with_credentials, with)
            .start();
        let mut connection = first.accept();
        connection.send(format!(
            "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\
             Set-Cookie: first=1\r\n\r\n",
            second.url("/")
        ));
        let connection = second.accept();
        let expected = (with == 1).then_some("first=1");
        assert_eq!(connection.request.header("cookie"), expected);
        serve(connection, "Set-Cookie: second=2\r\n");
        ends(&source);
        let connection = second.accept();
        let expected = (with == 1).then_some("first=1; second=2");
        assert_eq!(connection.request.header("cookie"), expected);
        // After a failed attempt there the first is asked again.
        connection.reset();
        source.retrying(Error::Lost);
        let both = if with == 1 { "first=1; second=2" } else { "first=1" };
        let connection = first.accept();
        assert_eq!(connection.request.header("cookie"), Some(both));
    }
}

/// A `Cookie` header of the program's own goes before what servers have set;
/// taken away, there are none.
#[cfg(feature = "cookies")]
#[test]
fn the_programs_cookie_header_goes_before_cookies() {
    for own in [Some("mine=1"), None] {
        let server = Server::start();
        let source = Source::new(&server.url("/"));
        let source = match own {
            Some(value) => source.with_header("Cookie", value),
            None => source.without_header("Cookie"),
        };
        let source = source.start();
        serve(server.accept(), "Set-Cookie: theirs=1\r\n");
        ends(&source);
        assert_eq!(server.accept().request.header("cookie"), own);
    }
}

/// A cookie for a whole top-level domain is not kept: it would go to
/// strangers.
#[cfg(feature = "cookies")]
#[test]
fn cookies_for_a_top_level_domain_are_refused() {
    let (first, second) = (Server::start(), Server::start());
    for name in ["one.test", "two.test"] {
        names::resolve(name, &["127.0.0.1".parse().unwrap()]);
    }
    let _source = with_credentials(&first.url_at("one.test", "/")).start();
    let mut connection = first.accept();
    connection.send(format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\
         Set-Cookie: wide=1; Domain=test\r\nSet-Cookie: own=1\r\n\r\n",
        second.url_at("two.test", "/")
    ));
    let connection = second.accept();
    assert_eq!(connection.request.header("cookie"), None);
    connection.redirect("302 Found", &first.url_at("one.test", "/"));
    let connection = first.accept();
    assert_eq!(connection.request.header("cookie"), Some("own=1"));
}

/// Cookies never make a request that servers find too large.
#[cfg(feature = "cookies")]
#[test]
fn a_request_has_16_kib_of_cookies_at_most() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let large = "x".repeat(3000);
    let cookies: String = (0..40)
        .map(|number| format!("Set-Cookie: {number}={large}\r\n"))
        .collect();
    serve(server.accept(), &(cookies + "Set-Cookie: small=1\r\n"));
    ends(&source);
    let connection = server.accept();
    let sent = connection.request.header("cookie").expect("cookies");
    assert!((12_000..=16_384).contains(&sent.len()), "{}", sent.len());
    assert!(sent.ends_with("; small=1"), "the short one fits");
}

/// Sources share no cookies.
#[cfg(feature = "cookies")]
#[test]
fn cookies_are_the_sources_own() {
    let server = Server::start();
    let one = Source::connected(&server.url("/"));
    serve(server.accept(), "Set-Cookie: one=1\r\n");
    ends(&one);
    let connection = server.accept();
    assert_eq!(connection.request.header("cookie"), Some("one=1"));
    let _other = Source::connected(&server.url("/"));
    assert_eq!(server.accept().request.header("cookie"), None);
}
