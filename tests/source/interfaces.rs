//! The interface that connections go out over, on loopback; links are in the
//! suite `interfaces`.

use eventsource::ffi::{self, Error, eventsource_set_interface};

use support::names;
use support::server::{EVENT_STREAM, Server, UnixServer};
use support::source::Source;

fn over(interface: &str, url: &str) -> Source {
    Source::new(url).with_text(eventsource_set_interface, interface)
}

/// Connections come from the address that is set, or over the interface.
#[test]
fn comes_from_the_address_that_is_set() {
    names::resolve(
        "both.test",
        &["::1", "127.0.0.1"].map(|it| it.parse().unwrap()),
    );
    let server = Server::start();
    for (interface, host, from) in [
        ("127.0.0.2", "127.0.0.1", "127.0.0.2"),
        ("lo", "127.0.0.1", "127.0.0.1"),
        // Of several addresses those of the same kind will do.
        ("127.0.0.3", "both.test", "127.0.0.3"),
    ] {
        let source = over(interface, &server.url_at(host, "/")).start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        assert_eq!(connection.peer().ip().to_string(), from, "{interface}");
        source.close();
        source.closed(Error::None);
    }
    let source = over("127.0.0.2", &server.url("/"));
    let error = source.set_text(eventsource_set_interface, None);
    assert_eq!(error, Error::None);
    let source = source.start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    assert_eq!(connection.peer().ip().to_string(), "127.0.0.1");
}

/// So do connections to a proxy, and to where redirects lead.
#[test]
fn proxies_are_asked_from_the_address_that_is_set() {
    let proxy = Server::start();
    for scheme in ["http", "socks5h"] {
        let url = format!("{scheme}://{}", proxy.address());
        let source = over("127.0.0.2", "http://far.test/").with_proxy(&url);
        let _source = source.start();
        let peer = proxy.accept_silently().peer_addr().unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.2", "{scheme}");
    }
    let (first, second) = (Server::start(), Server::start());
    let source = over("127.0.0.2", &first.url("/")).start();
    first.accept().redirect("302 Found", &second.url("/"));
    let mut connection = second.accept();
    assert_eq!(connection.peer().ip().to_string(), "127.0.0.2");
    connection.send(EVENT_STREAM);
    source.opened();
}

/// A Unix socket has no interface.
#[test]
fn a_unix_socket_has_no_interface() {
    let server = UnixServer::start();
    let source = over("nowhere0", "http://server.test/")
        .with_unix_socket(&server.path)
        .start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// An interface that is not there fails the attempt, and is tried again.
#[test]
fn says_that_there_is_no_such_interface() {
    let server = Server::start();
    for (interface, words) in [
        ("nowhere0", "over nowhere0: no such device"),
        ("192.0.2.1", "over 192.0.2.1: cannot assign requested address"),
        ("::1", "over ::1: the interface has no address of this kind"),
    ] {
        let failure =
            over(interface, &server.url("/")).start().retrying(Error::Connect);
        assert!(failure.message.contains(words), "{failure:?}");
    }
    assert!(!server.is_asked());
}

/// What is neither a name nor an address is refused, and changes nothing.
#[test]
fn refuses_what_is_no_interface() {
    let source = Source::new("http://127.0.0.1/");
    for text in ["", "a/b", "eth0:1", "fe80::1%eth0", "sixteen-letters-"] {
        let setter = eventsource_set_interface;
        let error = source.set_text(setter, Some(text.as_bytes()));
        assert_eq!(error, Error::Value, "{text}");
    }
    let error = source.set_text(eventsource_set_interface, Some(b"\xff"));
    assert_eq!(error, Error::Utf8);
    // The link is no part of a URL.
    for url in ["http://[fe80::1%25lo]/", "http://[fe80::1%lo]/"] {
        let mut source = std::ptr::null_mut();
        let url = std::ffi::CString::new(url).unwrap();
        // SAFETY: a text, and a place for the source.
        let error = unsafe { ffi::eventsource_new(url.as_ptr(), &mut source) };
        assert_eq!(error, Error::Url);
    }
}
