//! Unix sockets in the place of a host.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use eventsource::ffi::Error;

use support::server::{
    Connection, EVENT_STREAM, Server, UnixServer, free_path,
};
use support::source::Source;
use support::{certificates, names};

/// The host goes into the request, but is not looked up; a source comes back
/// to its socket, and redirects lead there too.
#[test]
fn follows_a_stream_over_a_unix_socket() {
    let server = UnixServer::start();
    let source = Source::new("http://unix.test:81/path")
        .with_unix_socket(&server.path)
        .start();
    for number in 0..2 {
        let mut connection = server.accept();
        assert_eq!(connection.request.target, "/path");
        let host = connection.request.header("host");
        assert_eq!(host, Some("unix.test:81"));
        connection.send(EVENT_STREAM);
        connection.send(format!("data: {number}\n\n"));
        assert_eq!(source.opened().url, "http://unix.test:81/path");
        source.message(&number.to_string());
        drop(connection);
        source.ended();
    }
    server.accept().redirect("302 Found", "http://other.test/there");
    let mut connection = server.accept();
    assert_eq!(connection.request.header("host"), Some("other.test"));
    connection.send(EVENT_STREAM);
    assert_eq!(source.opened().url, "http://other.test/there");
    assert_eq!(names::times_asked("unix.test"), 0);
    assert_eq!(names::times_asked("other.test"), 0);
}

/// TLS is with the host of the URL.
#[test]
fn speaks_tls_over_a_unix_socket() {
    let server = UnixServer::start();
    let source = Source::new("https://unix-tls.test/")
        .with_unix_socket(&server.path)
        .start();
    for name in ["other.test", "unix-tls.test"] {
        let stream = server.accept_silently();
        let config = certificates::trusted(name);
        let connection = Connection::over_tls(stream, config);
        if name == "other.test" {
            assert!(connection.is_err());
            source.retrying(Error::Tls);
        } else {
            connection.expect("a request").send(EVENT_STREAM);
            source.opened();
        }
    }
}

/// No proxy stands between.
#[test]
fn a_unix_socket_goes_before_a_proxy() {
    let server = UnixServer::start();
    let proxy = Server::start();
    let source = Source::new("http://unix.test/")
        .with_proxy(&proxy.url(""))
        .with_unix_socket(&server.path)
        .start();
    let mut connection = server.accept();
    assert_eq!(connection.request.target, "/");
    connection.send(EVENT_STREAM);
    source.opened();
    assert!(!proxy.is_asked());
}

/// A socket that is not there is tried again.
#[test]
fn a_socket_that_is_not_there_is_tried_again() {
    let path = free_path();
    let source =
        Source::new("http://unix.test/").with_unix_socket(&path).start();
    let failure = source.retrying(Error::Connect);
    let shown = path.to_str().unwrap();
    assert!(failure.message.contains(shown), "{failure:?}");
    let text = failure.message.to_lowercase();
    assert!(text.contains("no such file"), "{failure:?}");
}

/// A server that is slow to accept is waited for, as it is with TCP.
#[test]
fn waits_for_room_in_the_queue() {
    let server = UnixServer::start();
    let first = server.become_full();
    let source =
        Source::new("http://unix.test/").with_unix_socket(&server.path).start();
    drop((server.accept_silently(), first));
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// A path is bytes: it need not be UTF-8.
#[test]
fn takes_a_path_that_is_not_utf_8() {
    let mut path = free_path().into_os_string();
    path.push(OsStr::from_bytes(b"-\xff\xfe"));
    let server = UnixServer::at(path.into());
    let source =
        Source::new("http://unix.test/").with_unix_socket(&server.path).start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}

/// A name behind an `@` is a socket without a file.
#[test]
fn connects_to_an_abstract_socket() {
    let server = UnixServer::nowhere();
    let source =
        Source::new("http://unix.test/").with_unix_socket(&server.path).start();
    server.accept().send(EVENT_STREAM);
    source.opened();
    drop(source);

    let name = server.path.clone();
    drop(server);
    let source =
        Source::new("http://unix.test/").with_unix_socket(&name).start();
    let failure = source.retrying(Error::Connect);
    assert!(failure.message.contains(name.to_str().unwrap()), "{failure:?}");
}

/// A path the system cannot take is an error of the call; NULL is none.
#[test]
fn refuses_a_path_that_is_no_path() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    let long = "x".repeat(108);
    let long_name = format!("@{long}");
    for none in ["", &long, "@", &long_name] {
        let error = source.set_unix_socket(Some(Path::new(none)));
        assert_eq!(error, Error::Value, "{none}");
    }
    let longest = Path::new(&long[1..]);
    assert_eq!(source.set_unix_socket(Some(longest)), Error::None);
    let longest = Path::new(&long_name[..108]);
    assert_eq!(source.set_unix_socket(Some(longest)), Error::None);
    assert_eq!(source.set_unix_socket(None), Error::None);
    let source = source.start();
    server.accept().send(EVENT_STREAM);
    source.opened();
}
