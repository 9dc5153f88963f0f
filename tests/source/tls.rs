//! The same over https, and whom to trust.

use std::fs;
use std::path::Path;

use eventsource::ffi::Error;

use support::server::{CHUNKED, EVENT_STREAM, Server};
use support::source::{Seen, Source};
use support::{certificates, names};

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
    ] {
        let server = Server::secure(certificate);
        let source = Source::connected(&server.url_at("secure.test", "/"));
        assert!(server.try_accept().is_err());
        let failure = source.retrying(Error::Tls);
        assert_eq!((failure.attempt, failure.http_status), (1, 0));
        let message = failure.message.to_lowercase();
        assert!(message.contains("certificate"), "{message}");
        assert!(message.contains(words), "{message}");
        // Nobody who reads this speaks Rust.
        for word in ["::", "Some(", "InvalidCertificate", "Err("] {
            assert!(!failure.message.contains(word), "{}", failure.message);
        }
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
        source.retrying(Error::Tls);
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
/// good-bye.
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
        assert_eq!(source.lost().attempt, 0, "{end}");
    }
    server.accept();
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
    let hollow = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n\
                  -----END CERTIFICATE-----\n";
    let hollow = certificates::file("hollow", hollow);
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
    let source = source.start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}
