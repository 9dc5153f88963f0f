//! The same over https, and whom to trust.

use std::ffi::{OsStr, c_char, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use eventsource::ffi::{self, CSource, Error, HttpVersion, LogLevel, Retry};

use support::server::{CHUNKED, Connection, EVENT_STREAM, Server, free_path};
use support::source::{Seen, Source};
use support::{alone, certificates, names, promptly};

/// https, with an authority from the system's trust store (SSL_CERT_FILE says
/// which that is).
#[test]
fn follows_a_stream_over_https() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/path"));
    for number in ["1", "2"] {
        let mut connection = server.accept();
        assert_eq!(connection.request.target, "/path");
        connection.send(CHUNKED);
        connection.chunk(format!("id: {number}\ndata: ü\n\n"));
        assert_eq!(source.opened().url, server.url("/path"));
        let event = source.message("ü");
        assert_eq!((&*event.id, event.origin), (number, server.origin()));
        connection.finish();
        assert_eq!(source.lost().attempt, 0);
    }
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("2"));
}

/// A certificate for a name.
#[test]
fn checks_the_certificate_against_the_name() {
    names::resolve("secure.test", &["127.0.0.1".parse().unwrap()]);
    let server = Server::secure(certificates::trusted("secure.test"));
    let source = Source::connected(&server.url_at("secure.test", "/"));
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// A server that is reached by another name than its own: the certificate must
/// be for the name that is set, which is also sent; the request names the host.
#[test]
fn checks_the_certificate_against_the_name_that_is_set() {
    names::resolve("tunnel.test", &["127.0.0.1".parse().unwrap()]);
    for (host, certified, name, sent) in [
        ("127.0.0.1", "bridge.test", "bridge.test", Some("bridge.test")),
        ("127.0.0.1", "bridge.test", "Bridge.test", Some("bridge.test")),
        ("tunnel.test", "bridge.test", "bridge.test", Some("bridge.test")),
        ("127.0.0.1", "xn--brcke-lva.test", "brücke.test", None),
        ("tunnel.test", "192.0.2.1", "192.0.2.1", None),
        ("tunnel.test", "2001:db8::1", "2001:db8::1", None),
        ("tunnel.test", "2001:db8::1", "[2001:db8::1]", None),
    ] {
        let server = Server::secure(certificates::trusted(certified));
        let source = Source::new(&server.url_at(host, "/"))
            .with_text(ffi::eventsource_set_server_name, name)
            .start();
        let mut connection = server.accept();
        let is_domain = certified.ends_with(".test");
        let sent = sent.or(is_domain.then_some(certified));
        assert_eq!(connection.server_name(), sent, "{name}");
        let named = format!("{host}:{}", server.port());
        assert_eq!(connection.request.header("host"), Some(&*named));
        connection.send(EVENT_STREAM);
        source.opened();
    }
    for name in [None, Some("tunnel.test"), Some("127.0.0.1")] {
        let server = Server::secure(certificates::trusted("bridge.test"));
        let source = Source::new(&server.url("/"))
            .with_text(ffi::eventsource_set_server_name, "bridge.test");
        let setter = ffi::eventsource_set_server_name;
        let error = source.set_text(setter, name.map(str::as_bytes));
        assert_eq!(error, Error::None);
        let source = source.start();
        assert!(server.try_accept().is_err(), "{name:?}");
        let failure = source.retrying(Error::Tls);
        assert!(failure.message.contains("another host name"), "{failure:?}");
    }
}

/// The name that is set is sent, but not checked, without verification.
#[test]
fn sends_the_name_that_is_set_to_whatever_server() {
    let server = Server::secure(certificates::expired("other.test"));
    let source = Source::new(&server.url("/"))
        .with_text(ffi::eventsource_set_server_name, "bridge.test")
        .with(ffi::eventsource_set_verify_peer, 0)
        .start();
    let mut connection = server.accept();
    assert_eq!(connection.server_name(), Some("bridge.test"));
    connection.send(EVENT_STREAM);
    source.opened();
}

/// The name that is set is for the origin of the URL: other origins have their
/// own, and it holds again where redirects lead back.
#[test]
fn a_name_that_is_set_is_for_the_origin_of_the_url() {
    let bridge = || Server::secure(certificates::trusted("bridge.test"));
    let (first, impostor) = (bridge(), bridge());
    let other = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::new(&first.url("/"))
        .with_text(ffi::eventsource_set_server_name, "bridge.test")
        .start();
    first.accept().redirect("302 Found", &impostor.url("/"));
    assert!(impostor.try_accept().is_err(), "not for its host");
    let failure = source.retrying(Error::Tls);
    assert!(failure.message.contains("another host name"), "{failure:?}");

    first.accept().redirect("302 Found", &other.url("/"));
    let connection = other.accept();
    assert_eq!(connection.server_name(), None, "an address");
    connection.redirect("302 Found", &first.url("/back"));
    let mut connection = first.accept();
    assert_eq!(connection.server_name(), Some("bridge.test"));
    connection.send(EVENT_STREAM);
    source.opened();
}

/// A URL of the attempt's own is the program's, too: the name is for its origin
/// as well.
#[test]
fn a_name_that_is_set_is_for_the_url_of_an_attempt() {
    let [first, second] =
        [(); 2].map(|()| Server::secure(certificates::trusted("bridge.test")));
    let url = second.url("/");
    let source = Source::new(&first.url("/"))
        .with_text(ffi::eventsource_set_server_name, "bridge.test")
        .asking(move |request| assert_eq!(request.set_url(&url), Error::None))
        .start();
    second.accept().redirect("302 Found", &first.url("/"));
    first.accept().send(EVENT_STREAM);
    source.opened();
}

/// What no certificate can be for is refused, and changes nothing.
#[test]
fn refuses_a_name_that_no_server_has() {
    let server = Server::secure(certificates::trusted("bridge.test"));
    let source = Source::new(&server.url("/"))
        .with_text(ffi::eventsource_set_server_name, "bridge.test");
    let set = |name: &[u8]| {
        source.set_text(ffi::eventsource_set_server_name, Some(name))
    };
    for name in [
        "",
        ".",
        "a b",
        "a/b",
        "a:1",
        "*.bridge.test",
        "https://bridge.test",
        "bridge..test",
        "[bridge.test]",
        "[127.0.0.1]",
        "[::1",
        "1.2.3",
        "brücke .test",
        &"a".repeat(300),
    ] {
        assert_eq!(set(name.as_bytes()), Error::Value, "{name}");
    }
    assert_eq!(set(b"\xff.test"), Error::Utf8);
    assert_eq!(source.connect(), Error::Utf8);
    assert_eq!(set(b"bridge.test"), Error::None);
    let source = source.start();
    server.accept().send(EVENT_STREAM);
    source.opened();
    let setter = ffi::eventsource_set_server_name;
    let late = source.set_text(setter, None);
    assert_eq!(late, Error::AlreadyConnected);
}

/// Nobody who reads a message programs in Rust.
fn speaks_no_rust(message: &str) {
    let letters: Vec<_> = message.chars().collect();
    let is_camel =
        |pair: &[char]| pair[0].is_lowercase() && pair[1].is_uppercase();
    assert!(!letters.windows(2).any(is_camel), "{message}");
    assert!(!message.contains("::"), "{message}");
    assert!(!message.contains(['{', '(', '"']), "{message}");
}

/// A server that speaks HTTP/2 only says so, and so does the message.
#[test]
fn says_that_a_server_does_not_speak_its_http() {
    let server = Server::secure(certificates::http2_only("127.0.0.1"));
    let source = Source::new(&server.url("/"));
    let source = source.in_version(HttpVersion::_1_1).start();
    assert!(server.try_accept().is_err());
    let failure = source.retrying(Error::Tls);
    assert!(failure.message.contains("HTTP/1.1"), "{failure:?}");
    speaks_no_rust(&failure.message);
}

/// R18. A certificate that is not in order is tried again, and the message
/// says what is wrong with it.
#[test]
fn refuses_a_certificate_that_is_not_in_order() {
    names::resolve("secure.test", &["127.0.0.1".parse().unwrap()]);
    for (certificate, words) in [
        (certificates::trusted("other.test"), "name"),
        (certificates::trusted("127.0.0.1"), "name"),
        (certificates::expired("secure.test"), "expired"),
        (certificates::unknown("secure.test"), "trusted"),
        (certificates::self_signed("secure.test", false).0, "self-signed"),
        (certificates::self_signed("secure.test", true).0, "self-signed"),
        (certificates::version_1(certificates::VERSIONS[1], true), "version 3"),
        (certificates::issued_by_no_authority("secure.test"), "no authority"),
        (certificates::for_clients("secure.test"), "not for servers"),
    ] {
        let server = Server::secure(certificate);
        let source = Source::connected(&server.url_at("secure.test", "/"));
        assert!(server.try_accept().is_err());
        let failure = source.retrying(Error::Tls);
        assert_eq!((failure.attempt, failure.http_status), (1, 0));
        let message = failure.message.to_lowercase();
        assert!(message.contains("certificate"), "{message}");
        assert!(message.contains(words), "{message}");
        speaks_no_rust(&failure.message);
        assert!(server.try_accept().is_err(), "and again");
    }
}

/// R18. A server that does not speak TLS.
#[test]
fn what_is_not_tls_is_tried_again() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0\0\0\0\0\0\0"] {
        let server = Server::start();
        let url = server.url("/").replace("http:", "https:");
        let source = Source::connected(&url);
        let mut stream = server.accept_silently();
        std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
        let failure = source.retrying(Error::Tls);
        assert!(failure.message.contains("not TLS"), "{failure:?}");
        speaks_no_rust(&failure.message);
    }
}

/// R18. A handshake that is cut is tried again.
#[test]
fn a_handshake_cut_short_is_tried_again() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    drop(server.accept_silently());
    let Seen::Error(failure) = source.next() else { panic!("on_error") };
    assert!(failure.will_retry, "{failure:?}");
    assert!(
        matches!(failure.error, Error::Tls | Error::Connect),
        "{failure:?}"
    );
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// R27. Every end of the connection reestablishes, with and without TLS's own
/// good-bye; only with it, it is an end in good order.
#[test]
fn every_end_of_the_connection_reestablishes() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    for end in 0..4 {
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        connection.send("data: x\n\n");
        source.opened();
        source.message("x");
        match end {
            0 => connection.finish(),
            1 => connection.half_close(),
            2 => connection.reset(),
            _ => drop(connection),
        }
        let error = if end == 0 { Error::Ended } else { Error::Lost };
        let failure = source.retrying(error);
        assert_eq!((failure.attempt, failure.http_status), (0, 200), "{end}");
    }
    server.accept();
}

/// RFC 8446, 6.1: what ends a body may come with its last bytes. Then nothing
/// follows that could be waited for.
#[test]
fn the_end_of_tls_needs_no_end_of_the_connection() {
    for first in ["", "data: first\n\n"] {
        let server = Server::secure(certificates::trusted("127.0.0.1"));
        let source =
            Source::new(&server.url("/")).with_retry(Retry::Never).start();
        let mut connection = server.accept();
        connection.send(EVENT_STREAM.to_owned() + first);
        source.opened();
        if !first.is_empty() {
            source.message("first");
        }
        connection.send_last("data: last\n\n");
        source.message("last");
        source.closed(Error::Ended);
    }
}

/// RFC 9112, 8: where nothing but the close ends a body, a close without
/// close_notify may be anybody's. A body that has ended by its framing needs
/// none.
#[test]
fn only_tls_itself_ends_a_body_that_the_close_ends() {
    type End = fn(Connection);
    let (finish, close): (End, End) = (Connection::finish, |connection| {
        connection.half_close();
    });
    let with_length =
        EVENT_STREAM.replace("Connection: close", "Content-Length: 9");
    for (head, body, end, error) in [
        (EVENT_STREAM, "data: x\n\n", finish, Error::Ended),
        (EVENT_STREAM, "data: x\n\n", close, Error::Lost),
        (CHUNKED, "9\r\ndata: x\n\n\r\n0\r\n\r\n", close, Error::Ended),
        (CHUNKED, "9\r\ndata: x\n\n\r\n", finish, Error::Lost),
        (CHUNKED, "9\r\ndata: x\n\n\r\n", close, Error::Lost),
        (&with_length, "data: x\n\n", close, Error::Ended),
    ] {
        let server = Server::secure(certificates::trusted("127.0.0.1"));
        let source =
            Source::new(&server.url("/")).with_retry(Retry::Never).start();
        let mut connection = server.accept();
        connection.send(head.to_owned() + body);
        end(connection);
        source.opened();
        source.message("x");
        match error {
            Error::Ended => source.closed(error),
            error => drop(source.failed(error)),
        }
    }
}

/// R42. Records of TLS have no meaning; large events come whole.
#[test]
fn records_have_no_meaning() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    for byte in EVENT_STREAM.as_bytes() {
        connection.send([*byte]);
    }
    source.opened();
    for byte in "data: €😀\r\n\r\n".as_bytes() {
        connection.send([*byte]);
    }
    source.message("€😀");
    let data = "x".repeat(3 << 20);
    connection.send(format!("data: {data}\n\ndata: small\n\n"));
    assert_eq!(source.event().data.len(), data.len());
    source.message("small");
}

/// What came before a record that is none is dispatched, however it came.
#[test]
fn events_before_what_is_no_record_are_dispatched() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    for size in [1, 1_000, 10_000, 50_000, 200_000] {
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        let data = "x".repeat(size);
        connection.send_and_break(format!("data: {data}\n\ndata: last\n\n"));
        assert_eq!(source.event().data.len(), size);
        source.message("last");
        source.retrying(Error::Tls);
    }
}

/// Head and first event in one record: what the head's reader has taken from
/// the socket belongs to the body.
#[test]
fn head_and_events_may_share_a_record() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    let events: String =
        (0..100).map(|number| format!("data: {number}\n\n")).collect();
    connection.send(EVENT_STREAM.to_owned() + &events);
    source.opened();
    for number in 0..100 {
        source.message(&number.to_string());
    }
}

/// What came in the head's records is dispatched, however much it is: nothing
/// more may come for hours.
#[test]
fn what_came_with_the_head_is_not_waited_for() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    for size in (1_000..12_000).step_by(500) {
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        let data = "x".repeat(size);
        connection.send(format!("{EVENT_STREAM}data: {data}\n\n"));
        source.opened();
        source.message(&data);
        // Before the connection, which it would make anew.
        drop(source);
    }
}

/// The same of a response that is refused.
#[test]
fn a_body_that_came_with_the_head_is_not_waited_for() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    let body = "x".repeat(3_000);
    let mut connection = server.accept();
    connection.send(format!(
        "HTTP/1.1 404 -\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let failure = source.failed(Error::Status);
    assert_eq!((failure.body, failure.body_complete), (body, true));
}

/// R16. The head alone is enough.
#[test]
fn announces_the_connection_before_any_byte_of_the_body() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    source.close();
    source.closed(Error::None);
    connection.sees_the_client_close();
}

/// A CA file takes the place of the system's trust store.
#[test]
fn trusts_the_authorities_in_a_file_and_no_others() {
    let (config, file) = certificates::with_own_authority("127.0.0.1");
    let server = Server::secure(config);
    let source = Source::new(&server.url("/")).with_ca_file(&file).start();
    server.accept().send(EVENT_STREAM);
    source.opened();

    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::new(&server.url("/")).with_ca_file(&file).start();
    assert!(server.try_accept().is_err());
    source.retrying(Error::Tls);

    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::new(&server.url("/"))
        .with_ca_file(&file)
        .with_ca_file(&certificates::authority())
        .start();
    server.accept().send(EVENT_STREAM);
    source.opened();

    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::new(&server.url("/")).with_ca_file(&file);
    assert_eq!(source.set_ca_file(None), Error::None, "the system's again");
    let source = source.start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// So does a text; of the two the one that was set last holds.
#[test]
fn trusts_the_authorities_in_a_text_and_no_others() {
    let (config, file) = certificates::with_own_authority("127.0.0.1");
    let pem = fs::read_to_string(&file).unwrap();
    // As bundles have them.
    let named = [b"# Autorit\xe9\n", pem.as_bytes()].concat();
    let trusted = certificates::trusted("127.0.0.1");
    let system = certificates::authority();
    /// What is set.
    #[derive(Clone, Copy)]
    enum Set<'a> {
        Text(&'a [u8]),
        NoText,
        SystemsFile,
    }
    use Set::{NoText, SystemsFile, Text};
    let text = Text(pem.as_bytes());
    for (config, settings, opens) in [
        (&config, &[text][..], true),
        (&config, &[Text(&named)], true),
        (&trusted, &[text], false),
        (&trusted, &[text, SystemsFile], true),
        (&config, &[SystemsFile, text], true),
        (&trusted, &[text, NoText], true),
    ] {
        let server = Server::secure(config.clone());
        let source = Source::new(&server.url("/"));
        let setter = ffi::eventsource_set_ca_pem;
        for setting in settings {
            let error = match setting {
                Text(pem) => source.set_text(setter, Some(pem)),
                NoText => source.set_text(setter, None),
                SystemsFile => source.set_ca_file(Some(&system)),
            };
            assert_eq!(error, Error::None);
        }
        let source = source.start();
        if opens {
            server.accept().send(EVENT_STREAM);
            source.opened();
        } else {
            assert!(server.try_accept().is_err());
            source.retrying(Error::Tls);
        }
    }
}

/// A text that holds no certificate, or a broken one, is refused.
#[test]
fn refuses_a_text_without_authorities() {
    let (config, file) = certificates::with_own_authority("127.0.0.1");
    let pem = fs::read_to_string(&file).unwrap();
    let server = Server::secure(config);
    let source = Source::new(&server.url("/"));
    let set = |pem: &str| {
        source.set_text(ffi::eventsource_set_ca_pem, Some(pem.as_bytes()))
    };
    let broken = pem.replace('M', "-");
    for none in ["", "none", HOLLOW, &broken, &file.display().to_string()] {
        assert_eq!(set(none), Error::Certificate, "{none}");
    }
    // What is broken beside what is good is passed over, as in a file.
    assert_eq!(set(&(HOLLOW.to_owned() + &pem)), Error::None);
    let source = source.start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// A bundle of many, as systems have it.
#[test]
fn takes_a_bundle_of_authorities() {
    let (config, file) = certificates::with_own_authority("127.0.0.1");
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    let bundle = fs::read_to_string(bundle).expect("ca-certificates");
    let own = fs::read_to_string(file).expect("a file just written");
    let file = certificates::file("bundle", &(bundle + &own));
    let server = Server::secure(config);
    let source = Source::new(&server.url("/")).with_ca_file(&file).start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// A certificate in the CA file is trusted for its names, and for no others.
#[test]
fn trusts_a_self_signed_certificate_that_is_in_the_file() {
    names::resolve("self.test", &["127.0.0.1".parse().unwrap()]);
    for is_authority in [false, true] {
        let (config, file) =
            certificates::self_signed("self.test", is_authority);
        // Another with the same name is another.
        let (other, _) = certificates::self_signed("self.test", is_authority);
        for (config, host, refusal) in [
            (&config, "self.test", None),
            (&config, "127.0.0.1", Some("another host name")),
            (&other, "self.test", Some("")),
        ] {
            let server = Server::secure(config.clone());
            let url = server.url_at(host, "/");
            let source = Source::new(&url).with_ca_file(&file).start();
            match refusal {
                None => {
                    server.accept().send(EVENT_STREAM);
                    source.opened();
                }
                Some(words) => {
                    assert!(server.try_accept().is_err());
                    let failure = source.retrying(Error::Tls);
                    assert!(failure.message.contains(words), "{failure:?}");
                }
            }
        }
    }
}

/// Without verification any certificate will do.
#[test]
fn takes_any_certificate_if_told_to() {
    for certificate in [
        certificates::trusted("other.test"),
        certificates::expired("127.0.0.1"),
        certificates::unknown("127.0.0.1"),
        certificates::self_signed("other.test", true).0,
    ] {
        let server = Server::secure(certificate.clone());
        let source = Source::new(&server.url("/"));
        assert_eq!(source.set_verify_peer(2), Error::Value);
        assert_eq!(source.set_verify_peer(-1), Error::Value);
        assert_eq!(source.set_verify_peer(0), Error::None);
        let source = source.start();
        server.accept().send(EVENT_STREAM);
        source.opened();

        let server = Server::secure(certificate);
        let source = Source::new(&server.url("/"));
        assert_eq!(source.set_verify_peer(0), Error::None);
        assert_eq!(source.set_verify_peer(1), Error::None);
        let source = source.start();
        assert!(server.try_accept().is_err(), "verified again");
        source.retrying(Error::Tls);
    }
}

/// Without verification neither the age of a certificate's form nor the size
/// of its key matter.
#[test]
fn takes_old_and_weak_certificates_if_told_to() {
    for version in certificates::VERSIONS {
        for certificate in [
            certificates::version_1(version, true),
            certificates::short_key("127.0.0.1", version),
        ] {
            let server = Server::secure(certificate);
            let source = Source::new(&server.url("/"));
            assert_eq!(source.set_verify_peer(0), Error::None);
            let source = source.start();
            server.accept().send(EVENT_STREAM);
            source.opened();
        }
    }
}

/// Without verification a server still has to have its certificate's key.
#[test]
fn refuses_a_server_without_its_key_whatever_it_is_told() {
    for version in certificates::VERSIONS {
        let server = Server::secure(certificates::version_1(version, false));
        let source = Source::new(&server.url("/"));
        assert_eq!(source.set_verify_peer(0), Error::None);
        let source = source.start();
        assert!(server.try_accept().is_err());
        let failure = source.retrying(Error::Tls);
        assert!(failure.message.contains("private key"), "{failure:?}");
    }
}

/// With verification the message says that it is the key.
#[test]
fn says_that_a_key_is_too_short() {
    for version in certificates::VERSIONS {
        let config = certificates::short_key("127.0.0.1", version);
        let server = Server::secure(config);
        let source = Source::connected(&server.url("/"));
        assert!(server.try_accept().is_err());
        let failure = source.retrying(Error::Tls);
        assert!(failure.message.contains("1024 bits"), "{failure:?}");
    }
}

/// A CA file is read again when it has changed: replaced or written anew, it
/// holds for the next attempt, of all the sources that name it.
#[test]
fn reads_the_ca_file_again_when_it_has_changed() {
    let (first, file) = certificates::with_own_authority("127.0.0.1");
    let (second, other) = certificates::with_own_authority("127.0.0.1");
    let other = fs::read_to_string(other).unwrap();
    for in_place in [false, true] {
        let original = fs::read_to_string(&file).unwrap();
        let servers = [(); 2].map(|()| Server::secure(first.clone()));
        let sources = servers.each_ref().map(|server| {
            Source::new(&server.url("/")).with_ca_file(&file).start()
        });
        // Both have read the file before it changes.
        let connections = servers.each_ref().map(Server::accept);
        let pairs = servers.iter().zip(&sources);
        for ((server, source), mut connection) in pairs.zip(connections) {
            connection.send(EVENT_STREAM);
            source.opened();
            connection.send("data\n\n");
            source.message("");
            match in_place {
                true => fs::write(&file, &other).unwrap(),
                false => certificates::replace(&file, &other),
            }
            // The session is not resumed either.
            connection.finish();
            source.ended();
            assert!(server.try_accept().is_err());
            source.retrying(Error::Tls);
            source.close();
            source.closed(Error::None);
        }
        let server = Server::secure(second.clone());
        let source = Source::new(&server.url("/")).with_ca_file(&file).start();
        server.accept().send(EVENT_STREAM);
        source.opened();
        fs::write(&file, original).unwrap();
    }
}

/// A CA file that has become useless, or is gone, leaves in force what it held
/// before - but not for those who name it now.
#[test]
fn keeps_what_a_broken_ca_file_held_before() {
    let (config, file) = certificates::with_own_authority("127.0.0.1");
    let server = Server::secure(config);
    let source = Source::new(&server.url("/")).with_ca_file(&file).start();
    for change in 0..4 {
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        source.opened();
        connection.send("data\n\n");
        source.message("");
        let expected = match change {
            0 => {
                fs::write(&file, "").unwrap();
                Error::Certificate
            }
            1 => {
                fs::write(&file, "-----BEGIN CERTIFICATE-----\n?").unwrap();
                Error::Certificate
            }
            _ => {
                let _ = fs::remove_file(&file);
                Error::File
            }
        };
        let other = Source::new(&server.url("/"));
        assert_eq!(other.set_ca_file(Some(&file)), expected);
        connection.finish();
        source.ended();
    }
    server.accept();
}

/// The client certificate is read again when it has changed; one without its
/// key is not shown.
#[test]
fn reads_the_client_certificate_again_when_it_has_changed() {
    let (certificate, key) = certificates::signed("client.test", 2001);
    let files = (certificate, key);
    let (new_certificate, new_key) = certificates::signed("client.test", 4000);
    for version in certificates::VERSIONS {
        let server = Server::secure(certificates::asking("127.0.0.1", version));
        let old =
            [&files.0, &files.1].map(|it| fs::read_to_string(it).unwrap());
        let source = Source::new(&server.url("/"))
            .with_client_certificate(&files)
            .with_reconnection_time(1)
            .start();
        assert!(server.try_accept().is_err());
        let failure = source.retrying(Error::Tls);
        assert!(failure.message.contains("has expired"), "{failure:?}");
        fs::copy(&new_certificate, &files.0).unwrap();
        assert!(server.try_accept().is_err());
        let failure = source.retrying(Error::Tls);
        assert!(failure.message.contains("has expired"), "{failure:?}");
        fs::copy(&new_key, &files.1).unwrap();
        server.accept().send(EVENT_STREAM);
        source.opened();
        fs::write(&files.0, &old[0]).unwrap();
        fs::write(&files.1, &old[1]).unwrap();
    }
}

/// The system's trust store is read again when it has changed.
#[test]
fn reads_the_systems_trust_store_again_when_it_has_changed() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    server.accept().send(EVENT_STREAM);
    source.opened();
    let server = Server::secure(certificates::trust_another("127.0.0.1"));
    let source = Source::connected(&server.url("/"));
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// A store whose change cannot be seen, as that of a file in a directory, is
/// read again when it knows an issuer no more.
#[test]
fn reads_the_systems_trust_store_again_when_an_issuer_is_unknown() {
    alone(
        "tls::reads_the_systems_trust_store_again_when_an_issuer_is_unknown",
        || {
            let (first, file) = certificates::with_own_authority("127.0.0.1");
            let (second, other) = certificates::with_own_authority("127.0.0.1");
            let directory = free_path();
            fs::create_dir(&directory).unwrap();
            let inside = directory.join("authority.pem");
            fs::copy(file, &inside).unwrap();
            // SAFETY: std's own lock, and nobody reads it without.
            unsafe { std::env::set_var("SSL_CERT_DIR", &directory) };
            let server = Server::secure(first);
            let source = Source::connected(&server.url("/"));
            server.accept().send(EVENT_STREAM);
            source.opened();

            fs::copy(other, &inside).unwrap();
            let server = Server::secure(second);
            let source = Source::connected(&server.url("/"));
            let mut connection = loop {
                match server.try_accept() {
                    Ok(connection) => break connection,
                    Err(_) => drop(source.retrying(Error::Tls)),
                }
            };
            connection.send(EVENT_STREAM);
            source.opened();
            fs::remove_dir_all(directory).unwrap();
        },
    );
}

/// The log may set what it likes while a file is read of which a part is
/// broken.
#[test]
fn a_log_callback_may_set_something_while_a_file_is_read() {
    static SOURCE: AtomicPtr<CSource> = AtomicPtr::new(ptr::null_mut());
    static LINES: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn on_log(_: LogLevel, _: *const c_char, _: *mut c_void) {
        let source = SOURCE.load(Ordering::SeqCst);
        // SAFETY: the test's source, which is alive.
        let set = unsafe { ffi::eventsource_set_max_attempts(source, 1) };
        assert_eq!(set, Error::None);
        LINES.fetch_add(1, Ordering::SeqCst);
    }

    alone("tls::a_log_callback_may_set_something_while_a_file_is_read", || {
        let (_, file) = certificates::with_own_authority("127.0.0.1");
        let good = fs::read_to_string(file).unwrap();
        let bundle = certificates::file("bundle", &(good + HOLLOW));
        let source = Source::new("https://127.0.0.1/");
        SOURCE.store(source.as_ptr(), Ordering::SeqCst);
        let level = LogLevel::Debug as i32;
        ffi::eventsource_set_log(level, Some(on_log), ptr::null_mut());
        let handle = source.handle();
        let set =
            promptly("set_ca_file", move || handle.set_ca_file(Some(&bundle)));
        assert_eq!(set, Error::None);
        assert_eq!(LINES.load(Ordering::SeqCst), 1);
        ffi::eventsource_set_log(0, None, ptr::null_mut());
    });
}

/// A certificate in PEM, but none in DER.
const HOLLOW: &str = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n\
    -----END CERTIFICATE-----\n";

/// A client certificate is shown to servers that ask for one, whatever else
/// was said about TLS.
#[test]
fn shows_a_client_certificate() {
    let client = certificates::signed("client.test", 4000);
    for version in certificates::VERSIONS {
        let server = Server::secure(certificates::asking("127.0.0.1", version));
        let source = Source::new(&server.url("/"))
            .with_client_certificate(&client)
            .start();
        server.accept().send(EVENT_STREAM);
        source.opened();

        let server = Server::secure(certificates::asking("127.0.0.1", version));
        let source =
            Source::new(&server.url("/")).with_client_certificate(&client);
        assert_eq!(source.set_verify_peer(0), Error::None);
        let source = source.start();
        server.accept().send(EVENT_STREAM);
        source.opened();
    }
}

/// The client certificate is not shown to other origins, however the program
/// trusts redirects, unless it wants credentials there; nor to the first that
/// a redirect from there leads back to.
#[test]
fn keeps_the_client_certificate_from_other_origins() {
    let client = certificates::signed("client.test", 4000);
    for version in certificates::VERSIONS {
        for with in [0, 1] {
            let asking = certificates::asking("127.0.0.1", version);
            let first = Server::secure(asking.clone());
            let second = Server::secure(asking);
            let source = Source::new(&first.url("/"))
                .with_client_certificate(&client)
                .with(ffi::eventsource_set_with_credentials, with)
                .with(ffi::eventsource_set_trust_redirects, 1 - with)
                .start();
            first.accept().redirect("302 Found", &second.url("/"));
            if with == 1 {
                second.accept().send(EVENT_STREAM);
                source.opened();
                continue;
            }
            assert!(second.try_accept().is_err());
            let failure = source.retrying(Error::Tls);
            assert!(
                failure.message.contains("client certificate"),
                "{failure:?}"
            );
            let open = Server::secure(certificates::trusted("127.0.0.1"));
            first.accept().redirect("302 Found", &open.url("/"));
            open.accept().redirect("302 Found", &first.url("/back"));
            assert!(first.try_accept().is_err());
            source.retrying(Error::Tls);
        }
    }
}

/// A server that does not get the client certificate it wants says so, and
/// so does the message.
#[test]
fn says_what_is_wrong_with_the_client_certificate() {
    let unknown = certificates::signed_by_unknown("client.test");
    let expired = certificates::signed("client.test", 2001);
    for version in certificates::VERSIONS {
        for (client, words) in [
            (None, "client certificate"),
            (Some(&unknown), "does not trust the client certificate"),
            (Some(&expired), "client certificate has expired"),
        ] {
            let server =
                Server::secure(certificates::asking("127.0.0.1", version));
            let mut source = Source::new(&server.url("/"));
            if let Some(client) = client {
                source = source.with_client_certificate(client);
            }
            let source = source.start();
            assert!(server.try_accept().is_err());
            let failure = source.retrying(Error::Tls);
            assert!(failure.message.contains(words), "{failure:?}");
        }
    }
}

/// Paths are bytes: they need not be UTF-8.
#[test]
fn takes_files_whose_names_are_not_utf_8() {
    let (config, file) = certificates::with_own_authority("127.0.0.1");
    let (certificate, key) = certificates::signed("client.test", 4000);
    let odd = [file, certificate, key].map(|file| {
        let mut odd = file.clone().into_os_string();
        odd.push(OsStr::from_bytes(b"-\xff"));
        fs::rename(file, &odd).unwrap();
        PathBuf::from(odd)
    });
    let [file, certificate, key] = odd;
    let server = Server::secure(config);
    let source = Source::new(&server.url("/"))
        .with_ca_file(&file)
        .with_client_certificate(&(certificate, key))
        .start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// A file that is none, or that holds something else, is an error of the
/// call, and changes nothing.
#[test]
fn refuses_files_that_are_of_no_use() {
    let server = Server::secure(certificates::trusted("127.0.0.1"));
    let source = Source::new(&server.url("/"));
    let (certificate, key) = certificates::signed("client.test", 4000);
    let (_, other_key) = certificates::signed("client.test", 4000);
    let garbage = certificates::file("garbage", "\0garbage\n");
    let empty = certificates::file("empty", "");
    let broken = fs::read_to_string(&certificate).unwrap().replace('M', "-");
    let broken = certificates::file("broken", &broken);
    let hollow = certificates::file("hollow", HOLLOW);
    let hollow_key = "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n\
                      -----END PRIVATE KEY-----\n";
    let hollow_key = certificates::file("hollow", hollow_key);
    for none in [Path::new(""), Path::new("/"), Path::new("/nowhere")] {
        assert_eq!(source.set_ca_file(Some(none)), Error::File, "{none:?}");
        for (certificate, key) in [(none, &*key), (&*certificate, none)] {
            assert_eq!(
                source.set_client_certificate(Some(certificate), Some(key)),
                Error::File
            );
        }
    }
    for none in [&garbage, &empty, &broken, &hollow, &key] {
        assert_eq!(
            source.set_ca_file(Some(none)),
            Error::Certificate,
            "{none:?}"
        );
        assert_eq!(
            source.set_client_certificate(Some(none), Some(&key)),
            Error::Certificate,
            "{none:?}"
        );
    }
    for none in [&garbage, &empty, &certificate, &hollow_key, &other_key] {
        assert_eq!(
            source.set_client_certificate(Some(&certificate), Some(none)),
            Error::PrivateKey,
            "{none:?}"
        );
    }
    assert_eq!(
        source.set_client_certificate(Some(&certificate), None),
        Error::Null
    );
    assert_eq!(source.set_client_certificate(None, Some(&key)), Error::Null);
    assert_eq!(source.set_client_certificate(None, None), Error::None);
    assert_eq!(source.connect(), Error::Certificate);
    assert_eq!(source.set_ca_file(None), Error::None);
    let source = source.start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}
