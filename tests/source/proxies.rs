//! Proxies, scripted: what is said to them, and what they may say.

use std::io::{Read, Write};
use std::net::TcpStream;

use eventsource::ffi::{Error, eventsource_set_server_name};

use support::alone;
use support::certificates;
use support::names;
use support::server::{Connection, EVENT_STREAM, NOBODY, Server};
use support::source::Source;

/// `name:password` as Basic authentication has it.
const BASIC: &str = "Basic bmFtZTpwYXNz";

fn proxy_url(scheme: &str, user: &str, proxy: &Server) -> String {
    format!("{scheme}://{user}{}", proxy.address())
}

/// An HTTP proxy is asked for the whole URL, in the place of the server,
/// whose name it looks up.
#[test]
fn asks_a_proxy_in_the_place_of_an_http_server() {
    let proxy = Server::start();
    let source = Source::new("http://user:word@far.test:81/path?query#x")
        .with_proxy(&proxy_url("http", "name:pass@", &proxy))
        .start();
    for number in 0..2 {
        let mut connection = proxy.accept();
        let request = &connection.request;
        assert_eq!(request.method, "GET");
        assert_eq!(request.target, "http://far.test:81/path?query");
        assert_eq!(request.header("host"), Some("far.test:81"));
        assert_eq!(request.header("proxy-authorization"), Some(BASIC));
        assert_eq!(
            request.header("authorization"),
            Some("Basic dXNlcjp3b3Jk"),
            "the server's own"
        );
        connection.send(EVENT_STREAM);
        connection.send(format!("data: {number}\n\n"));
        assert_eq!(
            source.opened().url,
            "http://user:word@far.test:81/path?query#x"
        );
        let event = source.message(&number.to_string());
        assert_eq!(event.origin, "http://far.test:81");
        drop(connection);
        source.ended();
    }
    assert_eq!(names::times_asked("far.test"), 0);
}

/// Large headers do not fit where the request line stands.
#[test]
fn the_whole_url_goes_before_large_headers() {
    let proxy = Server::start();
    let path = "/p".repeat(10_000);
    let large = "x".repeat(20_000);
    let source = Source::new(&format!("http://far.test{path}"))
        .with_header("X-Large", &large)
        .with_proxy(&proxy.url(""))
        .start();
    let mut connection = proxy.accept();
    let request = &connection.request;
    assert_eq!(request.target, format!("http://far.test{path}"));
    assert_eq!(request.header("x-large"), Some(&*large));
    assert_eq!(request.header("proxy-authorization"), None);
    connection.send(EVENT_STREAM);
    source.opened();
}

/// A proxy that wants a password is tried again, and the failure says what
/// it wants.
#[test]
fn explains_what_a_proxy_asks_for() {
    let challenge = "Proxy-Authenticate: Basic realm=\"x\"\r\n";
    for url in ["http://far.test/", "https://far.test/"] {
        for (user, words) in [("", "asks for"), ("name:pass@", "refuses")] {
            let proxy = Server::start();
            let source = Source::new(url)
                .looking_up(&["Proxy-Authenticate"])
                .with_proxy(&proxy_url("http", user, &proxy))
                .start();
            let status = "407 Proxy Authentication Required";
            proxy.accept().answer(status, challenge);
            let failure = source.retrying(Error::Proxy);
            assert_eq!(failure.http_status, 407);
            let message = &failure.message;
            assert!(message.contains(words), "{message}");
            assert!(message.contains("password"), "{message}");
            assert!(message.contains(&proxy.url("")), "{message}");
            assert!(!message.contains("pass@"), "{message}");
            let headers = failure.response.expect("a response").headers;
            assert_eq!(headers["Proxy-Authenticate"], "Basic realm=\"x\"");
        }
    }
}

/// An https server is spoken to through a tunnel; the password stays with
/// the proxy.
#[test]
fn tunnels_to_an_https_server() {
    for (secure, ok) in [(false, "200 OK"), (true, "299 Whatever")] {
        let proxy = match secure {
            false => Server::start(),
            true => Server::secure(certificates::trusted("127.0.0.1")),
        };
        let scheme = if secure { "https" } else { "http" };
        let source = Source::new("https://far.test/path")
            .with_proxy(&proxy_url(scheme, "name:pass@", &proxy))
            .start();
        let mut connection = proxy.accept();
        let request = &connection.request;
        assert_eq!(request.method, "CONNECT");
        assert_eq!(request.target, "far.test:443");
        assert_eq!(request.header("host"), Some("far.test:443"));
        assert_eq!(request.header("proxy-authorization"), Some(BASIC));
        assert_eq!(request.header("accept"), None);
        // Piece by piece, and with a length that means nothing here.
        for part in ["HTTP/1.1 ", ok, "\r\nContent-Length: 5\r", "\n\r", "\n"] {
            connection.send(part);
        }
        let mut connection = connection
            .tunnel(certificates::trusted("far.test"))
            .expect("a request");
        let request = &connection.request;
        assert_eq!((&*request.method, &*request.target), ("GET", "/path"));
        assert_eq!(request.header("proxy-authorization"), None);
        connection.send(EVENT_STREAM);
        connection.send("data: x\n\n");
        source.opened();
        source.message("x");
        let large = "y".repeat(1 << 20);
        connection.send(format!("data: {large}\n\n"));
        source.message(&large);
        drop(connection);
        source.lost();
    }
    assert_eq!(names::times_asked("far.test"), 0);
}

/// Requests larger than all buffers on the way, through one TLS in another.
#[test]
fn large_requests_go_through_a_tunnel() {
    let proxy = Server::secure(certificates::trusted("127.0.0.1"));
    proxy.receive_little();
    let large = "x".repeat(8 << 20);
    let source = Source::new("https://far.test/path")
        .with_header("X-Large", &large)
        .with_proxy(&proxy_url("https", "", &proxy))
        .start();
    let mut connection = proxy.accept();
    connection.send("HTTP/1.1 200 OK\r\n\r\n");
    let mut connection = connection
        .tunnel(certificates::trusted("far.test"))
        .expect("a request");
    assert!(connection.request.header("x-large") == Some(&*large));
    connection.send(EVENT_STREAM);
    source.opened();
}

/// The certificate is checked against the server's name, not the proxy's.
#[test]
fn a_tunnel_ends_at_the_server_itself() {
    let proxy = Server::start();
    let source =
        Source::new("https://far.test/").with_proxy(&proxy.url("")).start();
    let mut connection = proxy.accept();
    connection.send("HTTP/1.1 200 OK\r\n\r\n");
    let wrong = certificates::trusted("127.0.0.1");
    assert!(connection.tunnel(wrong).is_err());
    let failure = source.retrying(Error::Tls);
    assert!(failure.message.contains("another host name"), "{failure:?}");
}

/// NULL stands for the environment's proxies, whatever was set before.
#[test]
fn null_leads_back_to_the_proxies_of_the_environment() {
    let name = "proxies::null_leads_back_to_the_proxies_of_the_environment";
    alone(name, || {
        let proxy = Server::start();
        // SAFETY: std's own lock, and nobody reads it without.
        unsafe { std::env::set_var("http_proxy", proxy.url("")) };
        for before in ["", "socks5h://127.0.0.1:1"] {
            let source = Source::new("http://far.test/").with_proxy(before);
            assert_eq!(source.set_proxy(None), Error::None);
            let source = source.start();
            let mut connection = proxy.accept();
            assert_eq!(connection.request.target, "http://far.test/");
            connection.send(EVENT_STREAM);
            source.opened();
            // Before its connection, or it comes back through the proxy.
            drop(source);
        }
    });
}

/// A name that is set for the server is not the proxy's.
#[test]
fn a_proxy_has_its_own_name() {
    let proxy = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::new("https://far.test/")
        .with_proxy(&proxy.url(""))
        .with_text(eventsource_set_server_name, "bridge.test")
        .start();
    let mut connection = proxy.accept();
    assert_eq!(connection.server_name(), None, "an address");
    assert_eq!(connection.request.target, "far.test:443");
    connection.send("HTTP/1.1 200 OK\r\n\r\n");
    let mut connection = connection
        .tunnel(certificates::trusted("bridge.test"))
        .expect("a request");
    assert_eq!(connection.server_name(), Some("bridge.test"));
    connection.send(EVENT_STREAM);
    source.opened();
}

/// Redirects choose their way anew; a password for the proxy never goes on
/// to a server.
#[test]
fn redirects_go_through_the_proxy_too() {
    let proxy = Server::start();
    let source = Source::new("http://far.test/")
        .with_proxy(&proxy_url("http", "name:pass@", &proxy))
        .start();
    proxy.accept().redirect("302 Found", "https://farther.test/there");
    let mut connection = proxy.accept();
    assert_eq!(connection.request.target, "farther.test:443");
    connection.send("HTTP/1.1 200 OK\r\n\r\n");
    let mut connection = connection
        .tunnel(certificates::trusted("farther.test"))
        .expect("a request");
    assert_eq!(connection.request.header("proxy-authorization"), None);
    connection.send(EVENT_STREAM);
    assert_eq!(source.opened().url, "https://farther.test/there");
}

/// A proxy that says anything but yes is tried again.
#[test]
fn explains_why_there_is_no_tunnel() {
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(70_000));
    for (answer, status, words) in [
        ("HTTP/1.1 502 Bad Gateway\r\n\r\nbody", 502, "status 502"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", 403, "status 403"),
        ("HTTP/1.1 301 x\r\nLocation: http://x/\r\n\r\n", 301, "status 301"),
        ("SSH-2.0-OpenSSH_9.2p1\r\n\r\n", 0, "not HTTP"),
        ("HTTP/1.1 200 OK\r\n\r\nhello", 0, "more than"),
        ("HTTP/1.1 200 OK\r\n", 0, "closes the connection"),
        ("", 0, "closes the connection"),
        (&huge, 0, "64 KiB"),
    ] {
        let proxy = Server::start();
        let source =
            Source::new("https://far.test/").with_proxy(&proxy.url("")).start();
        let mut connection = proxy.accept();
        // It may have hung up before the end of something huge.
        let _ = connection.try_send(answer);
        connection.finish();
        let failure = source.retrying(Error::Proxy);
        assert_eq!(failure.http_status, status, "{failure:?}");
        assert!(failure.message.contains(words), "{failure:?}");
        assert!(failure.message.contains(&proxy.url("")), "{failure:?}");
    }
}

/// A proxy that is not there is tried again, and called so.
#[test]
fn a_proxy_that_is_not_there_is_tried_again() {
    let source = Source::new("http://far.test/").with_proxy(NOBODY).start();
    let failure = source.retrying(Error::Connect);
    assert!(failure.message.contains("proxy"), "{failure:?}");

    let source = Source::new("http://far.test/")
        .with_proxy("socks5://no-proxy.test")
        .start();
    let failure = source.retrying(Error::Resolve);
    assert!(failure.message.contains("no-proxy.test"), "{failure:?}");
}

/// Reads what must come next.
fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).expect("more bytes");
    assert_eq!(read, bytes, "{}", read.escape_ascii());
}

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    // One at a time, so that none is read too early.
    for byte in bytes {
        stream.write_all(&[*byte]).expect("a client that reads");
    }
}

fn serve(stream: TcpStream, source: &Source) {
    let mut connection = Connection::over(stream).expect("a request");
    assert_eq!(connection.request.target, "/path");
    assert_eq!(connection.request.header("proxy-authorization"), None);
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    source.message("x");
}

/// SOCKS4 is given an address, SOCKS4a a name; both a user.
#[test]
fn speaks_socks_4() {
    names::resolve(
        "four.test",
        &["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()],
    );
    for (scheme, host, user, request) in [
        ("socks4", "four.test", "", &b"\x04\x01\0\x51\xc0\0\x02\x01\0"[..]),
        ("socks4", "192.0.2.2", "me@", b"\x04\x01\0\x51\xc0\0\x02\x02me\0"),
        ("socks4a", "192.0.2.2", "", b"\x04\x01\0\x51\xc0\0\x02\x02\0"),
        (
            "socks4a",
            "far.test",
            "m%65:ignored@",
            b"\x04\x01\0\x51\0\0\0\x01me\0far.test\0",
        ),
    ] {
        let proxy = Server::start();
        let source = Source::new(&format!("http://{host}:81/path"))
            .with_proxy(&proxy_url(scheme, user, &proxy))
            .start();
        let mut stream = proxy.accept_silently();
        expect(&mut stream, request);
        say(&mut stream, b"\0\x5a\0\0\0\0\0\0");
        serve(stream, &source);
    }
    assert_eq!(names::times_asked("far.test"), 0);
}

/// RFC 1928 and 1929. SOCKS5 is given an address, SOCKS5h a name.
#[test]
fn speaks_socks_5() {
    names::resolve("five.test", &["192.0.2.1".parse().unwrap()]);
    names::resolve("six.test", &["2001:db8::1".parse().unwrap()]);
    let ipv4 = &b"\x05\0\0\x01\xc0\0\x02\x02\0\x50"[..];
    let name = &b"\x05\0\0\x03\x04proxy\0"[..];
    let ipv6 =
        &b"\x05\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50"[..];
    for (scheme, host, request, reply) in [
        ("socks5", "five.test", &b"\x01\xc0\0\x02\x01"[..], ipv4),
        (
            "socks5",
            "six.test",
            b"\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
            ipv6,
        ),
        ("socks5h", "far.test", b"\x03\x08far.test", name),
        ("socks5h", "192.0.2.1", b"\x01\xc0\0\x02\x01", ipv4),
    ] {
        for user in ["", "name:pass@"] {
            let proxy = Server::start();
            let source = Source::new(&format!("http://{host}:81/path"))
                .with_proxy(&proxy_url(scheme, user, &proxy))
                .start();
            let mut stream = proxy.accept_silently();
            if user.is_empty() {
                expect(&mut stream, b"\x05\x01\0");
                say(&mut stream, b"\x05\0");
            } else {
                expect(&mut stream, b"\x05\x02\0\x02");
                say(&mut stream, b"\x05\x02");
                expect(&mut stream, b"\x01\x04name\x04pass");
                say(&mut stream, b"\x01\0");
            }
            expect(&mut stream, b"\x05\x01\0");
            expect(&mut stream, request);
            expect(&mut stream, b"\0\x51");
            say(&mut stream, reply);
            serve(stream, &source);
        }
    }
    assert_eq!(names::times_asked("far.test"), 0);
}

/// TLS through SOCKS is with the server.
#[test]
fn speaks_tls_through_socks() {
    let proxy = Server::start();
    let source = Source::new("https://far.test/")
        .with_proxy(&proxy_url("socks5h", "", &proxy))
        .start();
    let mut stream = proxy.accept_silently();
    expect(&mut stream, b"\x05\x01\0");
    say(&mut stream, b"\x05\0");
    expect(&mut stream, b"\x05\x01\0\x03\x08far.test\x01\xbb");
    say(&mut stream, b"\x05\0\0\x01\0\0\0\0\0\0");
    let config = certificates::trusted("far.test");
    let mut connection =
        Connection::over_tls(stream, config).expect("a request");
    connection.send(EVENT_STREAM);
    source.opened();
}

/// A SOCKS proxy that says anything but yes is tried again.
#[test]
fn explains_why_socks_does_not_connect() {
    for (scheme, user, answers, words) in [
        ("socks4a", "", &[&b"\0\x5b\0\0\0\0\0\0"[..]][..], "refuses to"),
        ("socks4a", "", &[b"\0\x5d\0\0\0\0\0\0"], "refuses the user"),
        ("socks4a", "", &[b"HTTP/1.1"], "not SOCKS4"),
        ("socks4a", "", &[b"\0"], "closes"),
        ("socks5h", "", &[b"HTTP/1.1 400 Bad Request\r\n"], "not SOCKS5"),
        ("socks5h", "", &[b"\x05\x02"], "asks for a user and a password"),
        ("socks5h", "", &[b"\x05\xff"], "asks for a user and a password"),
        ("socks5h", "a:b@", &[b"\x05\xff"], "more than a password"),
        ("socks5h", "a:b@", &[b"\x05\x02", b"\x01\x01"], "refuses the user"),
        ("socks5h", "a:b@", &[b"\x05\x02"], "closes"),
        ("socks5h", "", &[b"\x05\0", b"\x05\x02\0\x01"], "rules"),
        ("socks5h", "", &[b"\x05\0", b"\x05\x05\0\x01"], "refuses the conn"),
        ("socks5h", "", &[b"\x05\0", b"\x05\x63\0\x01"], "code 99"),
        ("socks5h", "", &[b"\x05\0", b"\x05\0\0\x02"], "not SOCKS5"),
        ("socks5h", "", &[b"\x05\0", b"\x05\0\0\x01\0"], "closes"),
        ("socks5h", "", &[], "closes"),
    ] {
        let proxy = Server::start();
        let source = Source::new("http://far.test/")
            .with_proxy(&proxy_url(scheme, user, &proxy))
            .start();
        let mut stream = proxy.accept_silently();
        let mut buffer = [0; 1024];
        for answer in answers {
            let _ = stream.read(&mut buffer).expect("something");
            stream.write_all(answer).expect("a client that reads");
        }
        // What it says last is read, so that the end is one, and no reset. A
        // client that has read enough may have left already.
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let failure = source.retrying(Error::Proxy);
        let message = &failure.message;
        assert!(message.contains(words), "{words}: {message}");
        assert!(message.contains(&format!("proxy {scheme}://127.0.0.1:")));
        assert!(!message.contains("a:b"), "{message}");
    }
}

/// What SOCKS cannot say.
#[test]
fn socks_4_has_no_ipv6() {
    names::resolve("six.test", &["2001:db8::1".parse().unwrap()]);
    for (scheme, host) in [
        ("socks4", "six.test"),
        ("socks4", "[2001:db8::1]"),
        ("socks4a", "[2001:db8::1]"),
    ] {
        let proxy = Server::start();
        let source = Source::new(&format!("http://{host}/"))
            .with_proxy(&proxy_url(scheme, "", &proxy))
            .start();
        let failure = source.retrying(Error::Proxy);
        assert!(failure.message.contains("SOCKS4"), "{failure:?}");
    }
}

/// A text that is no proxy is an error of the call, and changes nothing.
#[test]
fn refuses_what_is_no_proxy() {
    let proxy = Server::start();
    let source = Source::new("http://far.test/");
    assert_eq!(source.set_proxy(Some("not a proxy")), Error::Url);
    assert_eq!(source.set_proxy(Some("http://")), Error::Url);
    assert_eq!(source.set_proxy(Some("http://proxy/path")), Error::Url);
    assert_eq!(source.set_proxy(Some("ftp://proxy")), Error::Scheme);
    assert_eq!(source.connect(), Error::Scheme);
    let source = source.with_proxy(&proxy.url("")).start();
    proxy.accept().send(EVENT_STREAM);
    source.opened();
}

/// The header that carries the password is the library's.
#[test]
fn the_password_is_set_with_the_proxy() {
    let source = Source::new("http://far.test/");
    let error = source.set_header("Proxy-Authorization", Some(b"Basic x"));
    assert_eq!(error, Error::Header);
}

/// An empty text is no proxy.
#[test]
fn an_empty_text_is_no_proxy() {
    let server = Server::start();
    let proxy = Server::start();
    let source = Source::new(&server.url("/"))
        .with_proxy(&proxy.url(""))
        .with_proxy("")
        .start();
    server.accept().send(EVENT_STREAM);
    source.opened();
    assert!(!proxy.is_asked());
}
