//! Where a source is sent.

use eventsource::ffi::{self, Error, Retry};

use support::certificates;
use support::server::{Connection, EVENT_STREAM, Request, Server};
use support::source::Source;

const REDIRECTS: [&str; 5] = [
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
];

/// R12. 301, 302, 303, 307, 308 are followed; GET stays GET.
#[test]
fn follows_redirects() {
    for status in REDIRECTS {
        let server = Server::start();
        let source = Source::connected(&server.url("/from"));
        server.accept().redirect(status, "/to?q");
        let mut connection = server.accept();
        assert_eq!(connection.request.method, "GET", "{status}");
        assert_eq!(connection.request.target, "/to?q", "{status}");
        let accept = connection.request.header("accept");
        assert_eq!(accept, Some("text/event-stream"), "{status}");
        connection.send(EVENT_STREAM);
        let response = source.opened();
        assert_eq!((response.status, response.url), (200, server.url("/to?q")));
    }
}

/// R3. Redirects do not change `url`. R56. An event's origin is that of the
/// final URL.
#[test]
fn redirects_change_the_origin_and_not_the_url() {
    let (first, second) = (Server::start(), Server::start());
    let source = Source::connected(&first.url("/from"));
    first.accept().redirect("302 Found", &second.url("/to"));
    let mut connection = second.accept();
    let host = second.address().to_string();
    assert_eq!(connection.request.header("host"), Some(&*host));
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    assert_eq!(source.opened().url, second.url("/to"));
    assert_eq!(source.message("x").origin, second.origin());
    assert_eq!(source.url(), first.url("/from"));
}

/// R12. `Location` is relative to the URL that was asked.
#[test]
fn resolves_location_against_the_url_that_was_asked() {
    for (location, target) in [
        ("c", "/a/c"),
        ("../c?d", "/c?d"),
        ("?d", "/a/b?d"),
        ("/ü", "/%C3%BC"),
        ("/c d", "/c%20d"),
        ("/c#fragment", "/c"),
        ("//HOST/c", "/c"),
        ("HTTP://HOST", "/"),
    ] {
        let server = Server::start();
        let location = &location.replace("HOST", &server.address().to_string());
        let source = Source::connected(&server.url("/a/b?x"));
        server.accept().redirect("302 Found", location);
        let mut connection = server.accept();
        assert_eq!(connection.request.target, target, "{location}");
        connection.send(EVENT_STREAM);
        source.opened();
    }
}

/// R12. A `Location` that is not UTF-8 is percent-encoded, byte by byte, and
/// so are its control characters.
#[test]
fn a_location_may_have_any_byte() {
    for (location, target) in [
        (&b"/q?\xff"[..], "/q?%FF"),
        (b"/\xfc/\xc3\xbc?\xfc", "/%FC/%C3%BC?%FC"),
        (b"/a\x01b?\x7f", "/a%01b?%7F"),
        (b"/a\tb", "/ab"),
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send("HTTP/1.1 302 Found\r\nLocation: ");
        connection.send([location, b"\r\n\r\n"].concat());
        let mut connection = server.accept();
        assert_eq!(connection.request.target, target);
        connection.send(EVENT_STREAM);
        assert_eq!(source.opened().url, server.url(target));
    }
}

/// R12. Equal `Location`s are one; different ones lead nowhere.
#[test]
fn several_locations_have_to_be_equal() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().answer("302 -", "Location: /to\r\nLocation:  /to\r\n");
    let mut connection = server.accept();
    assert_eq!(connection.request.target, "/to");
    connection.send(EVENT_STREAM);
    source.opened();
    for (status, locations) in [
        ("301 -", "Location: /a\r\nLocation: /b\r\n"),
        ("307 -", "Location: /a\r\nLocation: /a\r\nlocation: /b\r\n"),
        ("303 -", "Location: /a\r\nLocation:\r\n"),
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        server.accept().answer(status, locations);
        let failure = source.retrying(Error::Redirect);
        assert_eq!(failure.http_status.to_string(), status[..3]);
        assert_eq!(server.accept().request.target, "/", "{locations}");
    }
    // Of a response that is no redirect nobody asks where it leads.
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().send(
        EVENT_STREAM
            .replace("\r\n\r\n", "\r\nLocation: /a\r\nLocation: /b\r\n\r\n"),
    );
    source.opened();
}

fn redirect_along(server: &Server, redirects: usize) {
    for number in 0..redirects {
        let connection = server.accept();
        assert_eq!(connection.request.target, format!("/{number}"));
        connection.redirect("302 Found", &format!("/{}", number + 1));
    }
}

/// R12. Twenty redirects are followed.
#[test]
fn follows_twenty_redirects() {
    let server = Server::start();
    let source = Source::connected(&server.url("/0"));
    redirect_along(&server, 20);
    let mut connection = server.accept();
    assert_eq!(connection.request.target, "/20");
    connection.send(EVENT_STREAM);
    assert_eq!(source.opened().url, server.url("/20"));
}

/// R12. Twenty-one are a network error: tried again, from the start.
#[test]
fn does_not_follow_twenty_one_redirects() {
    let server = Server::start();
    let source = Source::connected(&server.url("/0"));
    redirect_along(&server, 21);
    let failure = source.retrying(Error::Redirect);
    assert_eq!(failure.attempt, 1);
    assert_eq!(server.accept().request.target, "/0");
}

/// R12. A redirect to itself ends like any other chain that is too long.
#[test]
fn does_not_go_round_for_ever() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    for _ in 0..21 {
        server.accept().redirect("301 Moved Permanently", "/");
    }
    source.retrying(Error::Redirect);
}

/// R12, R19. A `Location` that is no URL, or not http(s), is a network error,
/// and another attempt is futile, whatever the policy. The message tells where
/// it leads, and nothing secret.
#[test]
fn a_location_that_leads_nowhere_fails_the_connection() {
    for (location, told) in [
        ("http://[::1", "http://[::1,"),
        ("http://", "http://,"),
        ("http://a b/", "http://a b/,"),
        ("http://me:secret@a b/?secret#secret", "http://a b/,"),
        ("ftp://127.0.0.1/", "ftp://127.0.0.1/,"),
        ("ftp://secret@127.0.0.1/x?secret", "ftp://127.0.0.1/x,"),
        ("data:text/event-stream,data:secret", "data:,"),
        ("about:blank", "about:,"),
        ("mailto:secret", "mailto:,"),
    ] {
        for retry in [Retry::Standard, Retry::Persistent, Retry::UntilOpen] {
            let server = Server::start();
            let source =
                Source::new(&server.url("/")).with_retry(retry).start();
            server.accept().redirect("302 Found", location);
            let failure = source.failed(Error::Redirect);
            assert_eq!(failure.http_status, 302, "{location}");
            assert!(failure.message.contains(told), "{}", failure.message);
            assert!(!failure.message.contains("secret"), "{}", failure.message);
            assert!(!server.is_asked(), "{location}");
        }
    }
}

/// R12, R21. A redirect without `Location` is an ordinary answer, not 200.
#[test]
fn a_redirect_without_location_is_refused() {
    for status in REDIRECTS {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        server.accept().answer(status, "Content-Length: 0\r\n");
        let failure = source.failed(Error::Status);
        assert_eq!(failure.http_status.to_string(), status[..3]);
        assert!(!server.is_asked());
    }
}

/// R12, R21. Only five statuses are redirects, `Location` or not.
#[test]
fn other_statuses_with_location_are_refused() {
    for status in
        ["201 Created", "300 Multiple Choices", "304 Not Modified", "305 -"]
    {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        server.accept().redirect(status, "/to");
        source.failed(Error::Status);
        assert!(!server.is_asked(), "{status}");
    }
}

/// Redirects: the body of a redirect is nobody's business.
#[test]
fn the_body_of_a_redirect_is_ignored() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(
        "HTTP/1.1 302 Found\r\nLocation: /to\r\n\
         Content-Type: text/event-stream\r\n\r\ndata: wrong\n\n",
    );
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("data: right\n\n");
    source.opened();
    source.message("right");
}

fn secretive(url: &str) -> Source {
    Source::new(url)
        .with_header("Authorization", "Bearer 1")
        .with_header("Cookie", "a=b")
        .with_header("X-Key", "1")
        .with_header("User-Agent", "me/1")
        .with_header("Accept", "text/event-stream, text/html")
        .with_header("Accept-Language", "de")
        .with_header("Cache-Control", "no-store")
        .with_header("Content-Type", "text/x")
        .with_header("Origin", "https://app.example")
        .without_header("Pragma")
        .with_last_event_id("ü7")
}

/// The program's headers that hold no secret.
fn says_how_it_asks(request: &Request) {
    let accept = request.header("accept");
    assert_eq!(accept, Some("text/event-stream, text/html"));
    assert_eq!(request.header("accept-language"), Some("de"));
    assert_eq!(request.header("cache-control"), Some("no-store"));
    assert_eq!(request.header("content-type"), Some("text/x"));
    assert_eq!(request.header("origin"), Some("https://app.example"));
    assert_eq!(request.header("pragma"), None);
    assert_eq!(request.header("user-agent"), Some("me/1"));
}

fn keeps_its_secrets(connection: &Connection, server: &Server) {
    let request = &connection.request;
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("cookie"), None);
    assert_eq!(request.header("x-key"), None);
    assert_eq!(request.header("last-event-id"), Some("ü7"));
    says_how_it_asks(request);
    let host = server.address().to_string();
    assert_eq!(request.header("host"), Some(&*host));
}

/// Redirects: to another origin go `Last-Event-ID` and what says how the
/// program asks, but no secret - not with a later reconnection either.
#[test]
fn withholds_the_programs_headers_from_other_origins() {
    let (first, second) = (Server::start(), Server::start());
    let source = secretive(&first.url("/")).start();
    let connection = first.accept();
    assert_eq!(connection.request.header("x-key"), Some("1"));
    connection.redirect("307 Temporary Redirect", &second.url("/"));
    let mut connection = second.accept();
    keeps_its_secrets(&connection, &second);
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    source.message("x");
    connection.finish();
    source.ended();
    keeps_its_secrets(&second.accept(), &second);
}

/// Redirects: user and password of the URL are withheld likewise, and so is
/// the `Host` that the program has set.
#[test]
fn withholds_user_password_and_host_from_other_origins() {
    let (first, second) = (Server::start(), Server::start());
    let _source = Source::new(&first.url_at("user:pass@127.0.0.1", "/"))
        .with_header("Host", "first.example")
        .start();
    let connection = first.accept();
    assert!(connection.request.header("authorization").is_some());
    assert_eq!(connection.request.header("host"), Some("first.example"));
    connection.redirect("302 Found", &second.url("/"));
    let connection = second.accept();
    assert_eq!(connection.request.header("authorization"), None);
    let host = second.address().to_string();
    assert_eq!(connection.request.header("host"), Some(&*host));
}

/// Redirects: who has been at another origin comes back from there as a
/// stranger, who may have been told the URL by it: in the chain, and with each
/// reconnection. The source's own URL, once it is asked again, is another
/// matter.
#[test]
fn there_is_no_way_back_to_the_origin() {
    let (first, second) = (Server::start(), Server::start());
    for path in ["/back", "/"] {
        let source = secretive(&first.url("/")).start();
        let connection = first.accept();
        assert_eq!(connection.request.header("x-key"), Some("1"));
        connection.redirect("302 Found", &second.url("/"));
        second.accept().redirect("302 Found", &first.url(path));
        for _ in 0..2 {
            let mut connection = first.accept();
            assert_eq!(connection.request.target, path);
            keeps_its_secrets(&connection, &first);
            connection.send(EVENT_STREAM);
            connection.send("data: x\n\n");
            source.opened();
            source.message("x");
            connection.finish();
            source.ended();
        }
        first.accept().reset();
        source.retrying(Error::Lost);
        let connection = first.accept();
        assert_eq!(connection.request.target, "/");
        assert_eq!(connection.request.header("x-key"), Some("1"));
    }
}

/// Redirects: a server does not choose who logs in at another.
#[test]
fn user_and_password_in_a_redirect_stay_within_its_origin() {
    let (first, second) = (Server::start(), Server::start());
    let source = Source::new(&first.url_at("127.0.0.1", "/"))
        .with(ffi::eventsource_set_with_credentials, 1)
        .with(ffi::eventsource_set_trust_redirects, 1)
        .start();
    // Its own.
    let there = first.url_at("admin:guess@127.0.0.1", "/1");
    first.accept().redirect("302 Found", &there);
    let connection = first.accept();
    let authorization = connection.request.header("authorization");
    assert_eq!(authorization, Some("Basic YWRtaW46Z3Vlc3M="));
    // Another's.
    let there = second.url_at("admin:guess@127.0.0.1", "/2");
    connection.redirect("302 Found", &there);
    let connection = second.accept();
    assert_eq!(connection.request.header("authorization"), None);
    // Its own, but chosen by whom the program does not know.
    let there = second.url_at("admin:guess@127.0.0.1", "/3");
    connection.redirect("302 Found", &there);
    let connection = second.accept();
    assert_eq!(connection.request.header("authorization"), None);
    let there = first.url_at("admin:guess@127.0.0.1", "/4");
    connection.redirect("302 Found", &there);
    let mut connection = first.accept();
    assert_eq!(connection.request.header("authorization"), None);
    connection.send(EVENT_STREAM);
    assert_eq!(source.opened().url, first.url("/4"));
}

/// Redirects: another host name is another origin, also at the same address.
#[test]
fn another_name_is_another_origin() {
    let server = Server::start();
    let _source = Source::new(&server.url("/"))
        .with_header("Authorization", "Bearer 1")
        .start();
    let there = server.url_at("localhost", "/");
    server.accept().redirect("302 Found", &there);
    assert_eq!(server.accept().request.header("authorization"), None);
}

/// Redirects: within the origin the program's headers go along.
#[test]
fn sends_the_programs_headers_within_the_origin() {
    let server = Server::start();
    let _source = secretive(&server.url("/")).start();
    server.accept().redirect("302 Found", "/to");
    let connection = server.accept();
    let request = &connection.request;
    assert_eq!(request.header("authorization"), Some("Bearer 1"));
    assert_eq!(request.header("cookie"), Some("a=b"));
    assert_eq!(request.header("x-key"), Some("1"));
    assert_eq!(request.header("last-event-id"), Some("ü7"));
    says_how_it_asks(request);
}

/// R19. Redirects: from https to http is refused, for good; the message tells
/// where it leads, and nothing secret.
#[test]
fn does_not_follow_from_https_to_http() {
    let secure = Server::secure(certificates::trusted("127.0.0.1"));
    let plain = Server::start();
    let source = Source::connected(&secure.url("/"));
    let address = plain.address();
    let location = format!("http://me:secret@{address}/x?secret#secret");
    secure.accept().redirect("302 Found", &location);
    let failure = source.failed(Error::Redirect);
    let told = format!("http://{address}/x is not followed");
    assert!(failure.message.contains(&told), "{}", failure.message);
    assert!(!failure.message.contains("secret"), "{}", failure.message);
    assert!(!plain.is_asked());
    assert!(!secure.is_asked());
}

/// Redirects: from http to https is followed.
#[test]
fn follows_from_http_to_https() {
    let plain = Server::start();
    let secure = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&plain.url("/"));
    plain.accept().redirect("301 Moved Permanently", &secure.url("/"));
    let mut connection = secure.accept();
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    assert_eq!(source.message("x").origin, secure.origin());
}

/// R13. A reconnection starts at the last URL of the chain.
#[test]
fn reconnects_at_the_last_url_of_the_chain() {
    let (first, second) = (Server::start(), Server::start());
    let source = Source::connected(&first.url("/from"));
    first.accept().redirect("302 Found", &second.url("/via"));
    second.accept().redirect("302 Found", "/to");
    for number in ["1", "2", "3"] {
        let mut connection = second.accept();
        assert_eq!(connection.request.target, "/to");
        connection.send(EVENT_STREAM);
        connection.send(format!("id: {number}\ndata\n\n"));
        source.opened();
        assert_eq!(source.event().id, number);
        connection.finish();
        source.ended();
    }
    assert!(!first.is_asked());
    assert_eq!(source.url(), first.url("/from"));
}

/// R13. A reconnection that is redirected moves on.
#[test]
fn a_redirected_reconnection_moves_on() {
    let server = Server::start();
    let source = Source::connected(&server.url("/a"));
    for (from, to) in [("/a", "/b"), ("/b", "/c")] {
        let connection = server.accept();
        assert_eq!(connection.request.target, from);
        connection.redirect("302 Found", to);
        let mut connection = server.accept();
        assert_eq!(connection.request.target, to);
        connection.send(EVENT_STREAM);
        connection.send("data: x\n\n");
        assert_eq!(source.opened().url, server.url(to));
        source.message("x");
        connection.finish();
        source.ended();
    }
    assert_eq!(server.accept().request.target, "/c");
}

/// Redirects: after a failed attempt at the last URL the original is asked
/// again, so that a dead node behind a balancer is not asked for ever.
#[test]
fn returns_to_the_original_url_after_a_failed_attempt() {
    let (balancer, node) = (Server::start(), Server::start());
    let source = Source::connected(&balancer.url("/"));
    balancer.accept().redirect("302 Found", &node.url("/node"));
    let mut connection = node.accept();
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    source.message("x");
    // The node goes down before its connection does.
    drop(node);
    connection.finish();
    source.ended();
    source.retrying(Error::Connect);
    let mut connection = balancer.accept();
    connection.send(EVENT_STREAM);
    assert_eq!(source.opened().url, balancer.url("/"));
}

/// R21. An answer that is refused is the last, also behind a redirect.
#[test]
fn a_refusal_behind_a_redirect_is_final() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().redirect("302 Found", "/to");
    server.accept().answer("404 Not Found", "");
    let failure = source.failed(Error::Status);
    let response = failure.response.expect("the response that refused");
    assert_eq!((response.status, response.url), (404, server.url("/to")));
}
