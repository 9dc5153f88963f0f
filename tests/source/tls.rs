//! The same over https.

use eventsource::ffi::Error;

use crate::support::server::{CHUNKED, EVENT_STREAM, Server};
use crate::support::source::{Seen, Source};
use crate::support::{certificates, names};

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
    ] {
        let server = Server::secure(certificate);
        let source = Source::connected(&server.url_at("secure.test", "/"));
        assert!(server.try_accept().is_err());
        let failure = source.retrying(Error::Tls);
        assert_eq!((failure.attempt, failure.http_status), (1, 0));
        let message = failure.message.to_lowercase();
        println!("{message}");
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
