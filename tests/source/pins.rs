//! Public keys that are pinned.

use std::sync::Arc;

use eventsource::ffi::{self, Error};
use rustls::ServerConfig;

use support::certificates::{self, KINDS, VERSIONS};
use support::server::{EVENT_STREAM, Server};
use support::source::Source;

/// A key that no server has.
const NOBODYS: &str = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A source that takes servers with these keys, whatever their certificates.
fn pinned(url: &str, keys: &str) -> Source {
    Source::new(url)
        .with(ffi::eventsource_set_verify_peer, 0)
        .with_text(ffi::eventsource_set_pinned_key, keys)
}

/// Has the attempt of a source fail at a server of its own: a source that comes
/// back must not be taken for the next one. Returns why.
fn refused(
    config: &Arc<ServerConfig>,
    source: impl FnOnce(&str) -> Source,
) -> String {
    let server = Server::secure(config.clone());
    let source = source(&server.url("/")).start();
    assert!(server.try_accept().is_err());
    source.retrying(Error::Tls).message
}

/// Has a source follow a stream of a server of its own.
fn opens(config: &Arc<ServerConfig>, source: impl FnOnce(&str) -> Source) {
    let server = Server::secure(config.clone());
    let source = source(&server.url("/")).start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// The key that a message names.
fn named(message: &str) -> &str {
    let start = message.find("sha256//").expect("a key");
    let key = message[start..].split([',', ' ']).next();
    key.expect("a text has one part at least")
}

/// A server's key, as the library tells it to one who has pinned another.
fn key_of(config: &Arc<ServerConfig>) -> String {
    let message = refused(config, |url| pinned(url, NOBODYS));
    assert!(message.contains("certificate is refused"), "{message}");
    assert!(message.contains("not pinned"), "{message}");
    named(&message).to_owned()
}

/// A bridge whose certificate vouches for itself, and is for no name, is
/// followed by its key, which the message of a failure names.
#[test]
fn follows_a_bridge_by_its_key() {
    for version in VERSIONS {
        for kind in KINDS {
            let config = certificates::bridge(kind, version);
            let key = key_of(&config);
            opens(&config, |url| pinned(url, &key));
            opens(&config, |url| pinned(url, &format!("{NOBODYS};{key}")));
            let message = refused(&config, Source::new);
            assert!(message.contains("self-signed"), "{message}");
        }
    }
}

/// With verification the key comes besides: neither the certificate nor the key
/// will do alone, and no key is named that could not be trusted.
#[test]
fn a_key_is_checked_besides_all_else() {
    let trusted = certificates::trusted("127.0.0.1");
    let bridge = certificates::bridge(KINDS[0], VERSIONS[1]);
    let other = certificates::trusted("other.test");
    for (config, own, words) in [
        (&trusted, true, None),
        (&trusted, false, Some("not pinned")),
        (&bridge, true, Some("self-signed")),
        (&bridge, false, Some("self-signed")),
        (&other, true, Some("another host name")),
    ] {
        let key = match own {
            true => key_of(config),
            false => NOBODYS.to_owned(),
        };
        let source = |url: &str| {
            Source::new(url).with_text(ffi::eventsource_set_pinned_key, &key)
        };
        let Some(words) = words else {
            opens(config, source);
            continue;
        };
        let message = refused(config, source);
        assert!(message.contains(words), "{message}");
    }
}

/// A server that shows a pinned key, and has not got it, is refused; so is one
/// that cannot prove that it has.
#[test]
fn a_server_proves_that_it_has_the_pinned_key() {
    for version in VERSIONS {
        for (config, words) in [
            (certificates::version_1(version, false), "private key"),
            (certificates::short_key("127.0.0.1", version), "1024 bits"),
            (certificates::odd_key(version), "not known here"),
        ] {
            let key = key_of(&config);
            let message = refused(&config, |url| pinned(url, &key));
            assert!(message.contains(words), "{message}");
        }
        let config = certificates::version_1(version, true);
        let key = key_of(&config);
        opens(&config, |url| pinned(url, &key));
    }
}

/// A session that was begun without a pin is not resumed with one.
#[test]
fn no_session_is_resumed_past_a_pin() {
    for version in VERSIONS {
        let config = certificates::bridge(KINDS[0], version);
        let key = key_of(&config);
        // Each leaves a session for the address; the last one resumes its own.
        let unpinned = |url: &str| {
            Source::new(url).with(ffi::eventsource_set_verify_peer, 0)
        };
        for source in [&unpinned as &dyn Fn(&str) -> Source, &|url| {
            pinned(url, &key).with_reconnection_time(1)
        }] {
            let server = Server::secure(config.clone());
            let source = source(&server.url("/")).start();
            for _ in 0..2 {
                let mut connection = server.accept();
                connection.send(EVENT_STREAM);
                source.opened();
                connection.send("data\n\n");
                source.message("");
                connection.finish();
                source.ended();
            }
        }
        let message = refused(&config, |url| pinned(url, NOBODYS));
        assert_eq!(named(&message), key);
    }
}

/// The keys are for the origin of the URL. What redirects lead to needs a valid
/// certificate, also without verification; where they lead back, the keys count
/// again.
#[test]
fn other_origins_are_verified_once_a_key_is_pinned() {
    let config = certificates::bridge(KINDS[0], VERSIONS[1]);
    let key = key_of(&config);
    let home = Server::secure(config.clone());
    let twin = Server::secure(config);
    let trusted = Server::secure(certificates::trusted("127.0.0.1"));
    let source = pinned(&home.url("/"), &key).start();
    home.accept().redirect("302 Found", &twin.url("/"));
    assert!(twin.try_accept().is_err(), "its key is for the origin alone");
    let message = source.retrying(Error::Tls).message;
    assert!(message.contains("self-signed"), "{message}");
    home.accept().redirect("302 Found", &trusted.url("/"));
    trusted.accept().redirect("302 Found", &home.url("/back"));
    let mut connection = home.accept();
    assert_eq!(connection.request.target, "/back");
    connection.send(EVENT_STREAM);
    source.opened();
}

/// Who has taken the origin's place by the time that a redirect leads back
/// there has not got its key.
#[test]
fn the_keys_count_again_where_a_redirect_leads_back() {
    let config = certificates::bridge(KINDS[0], VERSIONS[1]);
    let key = key_of(&config);
    let home = Server::secure(config);
    let trusted = Server::secure(certificates::trusted("127.0.0.1"));
    let source = pinned(&home.url("/"), &key).start();
    home.accept().redirect("302 Found", &trusted.url("/"));
    trusted.accept().redirect("302 Found", &home.url("/back"));
    let impostor = certificates::bridge(KINDS[0], VERSIONS[1]);
    let stream = home.accept_silently();
    let accepted = support::server::Connection::over_tls(stream, impostor);
    assert!(accepted.is_err());
    let message = source.retrying(Error::Tls).message;
    assert!(message.contains("not pinned"), "{message}");
}

/// The keys are for a URL of the attempt's own, too.
#[test]
fn the_keys_are_for_the_url_of_an_attempt() {
    let config = certificates::bridge(KINDS[0], VERSIONS[1]);
    let key = key_of(&config);
    let moved = |url: &str| {
        let url = url.to_owned();
        pinned("https://127.0.0.1:1/", &key).asking(move |request| {
            assert_eq!(request.set_url(&url), Error::None);
        })
    };
    opens(&config, moved);
    let impostor = certificates::bridge(KINDS[0], VERSIONS[1]);
    let message = refused(&impostor, moved);
    assert!(message.contains("not pinned"), "{message}");
}

/// An https proxy needs no pinned key, and a valid certificate, also without
/// verification.
#[test]
fn proxies_are_verified_once_a_key_is_pinned() {
    let config = certificates::bridge(KINDS[0], VERSIONS[1]);
    let key = key_of(&config);
    for trusted in [true, false] {
        let proxy = Server::secure(match trusted {
            true => certificates::trusted("127.0.0.1"),
            false => config.clone(),
        });
        let source =
            pinned("https://far.test/", &key).with_proxy(&proxy.url(""));
        if !trusted {
            let source = source.start();
            assert!(proxy.try_accept().is_err());
            let message = source.retrying(Error::Tls).message;
            assert!(message.contains("proxy https://127"), "{message}");
            assert!(message.contains("self-signed"), "{message}");
            continue;
        }
        let source = source.start();
        let mut connection = proxy.accept();
        connection.send("HTTP/1.1 200 OK\r\n\r\n");
        let tunnel = connection.tunnel(config.clone());
        tunnel.expect("a request").send(EVENT_STREAM);
        source.opened();
    }
}

/// http shows no key: nothing is sent, and nothing tried again.
#[test]
fn no_key_is_shown_without_tls() {
    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with_text(ffi::eventsource_set_pinned_key, NOBODYS)
        .start();
    let failure = source.failed(Error::Tls);
    assert!(failure.message.contains("http shows none"), "{failure:?}");
    assert!(!server.is_asked());

    let url = server.url("/");
    let source = pinned("https://127.0.0.1:1/", NOBODYS)
        .asking(move |request| assert_eq!(request.set_url(&url), Error::None))
        .start();
    source.failed(Error::Tls);
    assert!(!server.is_asked());
}

/// A client certificate is shown beside it.
#[test]
fn a_pin_and_a_client_certificate_hold_together() {
    let client = certificates::signed("client.test", 4000);
    for version in VERSIONS {
        let config = certificates::asking("127.0.0.1", version);
        let with_client = |url: &str, keys: &str| {
            pinned(url, keys).with_client_certificate(&client)
        };
        let message = refused(&config, |url| with_client(url, NOBODYS));
        opens(&config, |url| with_client(url, named(&message)));
    }
}

/// What is no key's hash is refused, and changes nothing; NULL takes the keys
/// away.
#[test]
fn refuses_what_is_no_key() {
    let config = certificates::bridge(KINDS[0], VERSIONS[1]);
    let key = key_of(&config);
    opens(&config, |url| {
        let source = pinned(url, &key);
        let set = |keys: &[u8]| {
            source.set_text(ffi::eventsource_set_pinned_key, Some(keys))
        };
        for keys in ["", "sha256//", "sha256//aGVsbG8=", "key.pem", &key[8..]] {
            assert_eq!(set(keys.as_bytes()), Error::Value, "{keys}");
        }
        assert_eq!(set(b"\xff"), Error::Utf8);
        assert_eq!(source.connect(), Error::Utf8);
        source.with_text(ffi::eventsource_set_pinned_key, &key)
    });
    opens(&config, |url| {
        let source = pinned(url, NOBODYS);
        let error = source.set_text(ffi::eventsource_set_pinned_key, None);
        assert_eq!(error, Error::None);
        source
    });
}
