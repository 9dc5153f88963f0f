//! Failures explain themselves, and tell nobody's secrets.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use eventsource::ffi::{self, Error, LogLevel, Retry};

use support::certificates;
use support::names;
use support::server::{Connection, EVENT_STREAM, NOBODY, Server, free_path};
use support::source::{Seen, Source};

/// R63. The beginning of the body of a refused response is there, however it
/// is framed; more than 4 KiB are not.
#[test]
fn tells_what_the_server_says() {
    let long = "x".repeat(4097);
    for (head, body, told) in [
        (
            "401 -\r\nContent-Length: 15",
            "{\"error\":\"key\"}",
            "{\"error\":\"key\"}",
        ),
        (
            "400 -\r\nTransfer-Encoding: chunked",
            "2\r\nno\r\n1\r\n!\r\n0\r\n\r\n",
            "no!",
        ),
        ("500 -\r\nConnection: close", "oh\n", "oh\n"),
        ("500 -\r\nContent-Length: 0", "", ""),
        ("404 -\r\nContent-Length: 4097", &long, &long[..4096]),
        (
            "200 -\r\nContent-Type: text/html\r\nContent-Length: 4",
            "<p>!",
            "<p>!",
        ),
        ("404 -\r\nContent-Length: 100", "cut", "cut"),
    ] {
        let server = Server::start();
        let source = Source::connected(&server.url("/"));
        let mut connection = server.accept();
        connection.send(format!("HTTP/1.1 {head}\r\n\r\n"));
        connection.send(body);
        connection.finish();
        let failure = match source.next() {
            Seen::Error(failure) => failure,
            other => panic!("on_error expected: {other:?}"),
        };
        assert_eq!(failure.body, told, "{head}");
    }
}

/// The error of the system is told where the system is the cause.
#[test]
fn tells_the_error_of_the_system() {
    let server = Server::start();
    let reset = |connection: Connection| connection.reset();
    let break_off = |mut connection: Connection| {
        connection.send(EVENT_STREAM);
        connection.reset();
    };
    let end = |mut connection: Connection| {
        connection.send(EVENT_STREAM);
        connection.finish();
    };
    let close = |connection: Connection| drop(connection);
    let refuse = |mut connection: Connection| {
        connection.send("HTTP/1.1 404 -\r\nContent-Length: 0\r\n\r\n");
    };
    let url = server.url("/");
    let of = |source: &Source| loop {
        match source.next() {
            Seen::Error(failure) => return failure.system_error,
            Seen::Open(_) => {}
            other => panic!("on_error expected: {other:?}"),
        }
    };

    let source = Source::connected(NOBODY);
    assert_eq!(of(&source), libc::ECONNREFUSED);
    let source = Source::new(&url).with_proxy(NOBODY).start();
    assert_eq!(of(&source), libc::ECONNREFUSED);
    let source = Source::new(&url).with_unix_socket("/nowhere".as_ref());
    assert_eq!(of(&source.start()), libc::ENOENT);
    for (answer, error) in [
        (&reset as &dyn Fn(Connection), libc::ECONNRESET),
        (&break_off, libc::ECONNRESET),
        (&end, 0),
        (&close, 0),
        (&refuse, 0),
    ] {
        let source = Source::connected(&url);
        answer(server.accept());
        assert_eq!(of(&source), error);
        source.close();
    }
}

/// A body that does not come is not waited for, and close is quicker still.
#[test]
fn does_not_wait_for_what_the_server_does_not_say() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send("HTTP/1.1 500 -\r\nContent-Length: 9\r\n\r\npart");
    let failure = source.failed(Error::Status);
    assert_eq!(failure.body, "part");

    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send("HTTP/1.1 500 -\r\n\r\n");
    let start = Instant::now();
    source.close();
    source.closed(Error::None);
    assert!(start.elapsed() < Duration::from_millis(900));
}

/// A body that never ends, with nothing in it, is left.
#[test]
fn does_not_wait_for_a_body_without_content() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send("HTTP/1.1 500 -\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    let flood = vec![b'x'; 64 << 10];
    while connection.try_send(&flood).is_ok() {}
    assert_eq!(source.failed(Error::Status).body, "");
}

/// A status is told with its number; a failure without a response has no
/// body.
#[test]
fn a_failure_without_response_has_no_body() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().reset();
    assert_eq!(source.retrying(Error::Lost).body, "");
}

/// R63. What the system says is told in words, without its number.
#[test]
fn tells_in_words_what_the_system_says() {
    let told = |source: &Source| match source.next() {
        Seen::Error(failure) => failure.message,
        other => panic!("on_error expected: {other:?}"),
    };
    let source = Source::connected(NOBODY);
    let refused = "connecting to 127.0.0.1:1: connection refused";
    assert_eq!(told(&source), refused);

    let path = free_path();
    let source = Source::new(NOBODY).with_unix_socket(&path).start();
    let absent = "no such file or directory";
    let absent = format!("connecting to {}: {absent}", path.display());
    assert_eq!(told(&source), absent);

    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    server.accept().reset();
    let lost = "connection lost before the response: connection reset by peer";
    assert_eq!(told(&source), lost);
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    connection.reset();
    assert_eq!(told(&source), "stream broken: connection reset by peer");

    names::resolve("nowhere.test", &[]);
    let source = Source::connected("http://nowhere.test/");
    let message = told(&source);
    let reason = message.strip_prefix("look-up of nowhere.test: ");
    let begins = reason.and_then(|reason| reason.chars().next());
    assert!(begins.is_some_and(char::is_lowercase), "{message}");
}

/// What the tests of this process have logged.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

extern "C" fn on_log(_: LogLevel, message: *const c_char, _: *mut c_void) {
    // SAFETY: borrowed until the callback returns.
    let line = unsafe { CStr::from_ptr(message) };
    LOG.lock().unwrap().push(line.to_string_lossy().into_owned());
}

/// Each secret has this in it, and nothing else has.
const SECRET: &str = "s3cr3t";

/// From here on the ways to fail are silence.
const SILENT: usize = 12;

/// What the server does to a source full of secrets.
fn fail(server: &Server, way: usize) {
    let answer = |head: &str| {
        let mut connection = server.accept();
        connection.send(head.replace("SECRET", SECRET));
        connection
    };
    match way {
        // Accepted, an event, a comment, an event that is too large, and cut.
        0 => answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Set-Cookie: a=SECRET\r\nTransfer-Encoding: chunked\r\n\r\n\
             60\r\nid: SECRET\nevent: SECRET\ndata: SECRET\n\n: SECRET\n\
             retry: SECRET\ndata: SECRETSECRETSECRETSECRETSECRET\n\nnot a",
        )
        .finish(),
        1 => answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n\r\nSECRET",
        )
        .finish(),
        2 => answer(
            "HTTP/1.1 401 SECRET\r\nWWW-Authenticate: SECRET\r\n\
             Content-Length: 6\r\n\r\nSECRET",
        )
        .finish(),
        3 => answer(
            "HTTP/1.1 302 -\r\nLocation: ftp://SECRET:SECRET@x/?SECRET\r\n\
             Content-Length: 0\r\n\r\n",
        )
        .finish(),
        4 => answer(
            "HTTP/1.1 302 -\r\nLocation: http://u:SECRET@[x/?SECRET\r\n\
             Content-Length: 0\r\n\r\n",
        )
        .finish(),
        // Followed, to where nobody answers.
        5 => answer(
            "HTTP/1.1 302 -\r\nLocation: http://u:SECRET@127.0.0.1:1/?SECRET\
             \r\nContent-Length: 0\r\n\r\n",
        )
        .finish(),
        6 => answer("HTTP/1.1 SECRET\r\n\r\n").finish(),
        7 => answer("HTTP/1.1 200 OK\r\nSECRET SECRET\r\n\r\n").finish(),
        8 => answer("SECRET").finish(),
        9 => answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Content-Length: SECRET\r\n\r\n",
        )
        .finish(),
        10 => answer(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Content-Encoding: gzip\r\n\r\nSECRET SECRET SECRET",
        )
        .finish(),
        11 => server.accept().reset(),
        SILENT => {
            // It may be over before a request has come.
            if let Ok(mut connection) = server.try_accept() {
                connection.sees_the_client_close();
            }
        }
        _ => {
            let mut connection = answer(EVENT_STREAM);
            connection.sees_the_client_close();
        }
    }
}

/// Nothing secret is in a message or a line of the log, at any level, however
/// a source fails: neither of the URL, of the program's headers and body, of
/// what `on_request` adds, nor of what the server sends.
#[test]
fn tells_no_secrets() {
    let level = LogLevel::Debug as i32;
    ffi::eventsource_set_log(level, Some(on_log), ptr::null_mut());
    let host = format!("user:{SECRET}@127.0.0.1");
    let path = format!("/path?token={SECRET}#{SECRET}");
    let mut messages = Vec::new();
    for secure in [false, true] {
        for way in 0..14 {
            let server = match secure {
                false => Server::start(),
                true => Server::secure(certificates::trusted("127.0.0.1")),
            };
            // Silence is waited for where there is some.
            let patience = if way < SILENT { 10_000 } else { 200 };
            let source = Source::new(&server.url_at(&host, &path))
                .with_header("X-Key", SECRET)
                .with_header("Cookie", &format!("a={SECRET}"))
                .with_body(SECRET)
                .with_retry(Retry::Standard)
                .with_max_event_size(20)
                .with_last_event_id(SECRET)
                .with(ffi::eventsource_set_idle_timeout, patience)
                .with(ffi::eventsource_set_response_timeout, patience)
                .with_reconnection_time(3_600_000)
                .asking(|request| {
                    let token = format!("Bearer {SECRET}");
                    let set = request.set_header("Authorization", Some(&token));
                    assert_eq!(set, Error::None);
                })
                .start();
            fail(&server, way);
            loop {
                match source.next() {
                    Seen::Error(failure) => {
                        messages.push(failure.message);
                        if failure.error != Error::TooLarge {
                            break;
                        }
                    }
                    Seen::Close(reason) => panic!("without a word: {reason:?}"),
                    _ => {}
                }
            }
        }
    }
    let log = LOG.lock().unwrap().clone();
    assert!(log.iter().any(|line| line.contains("/path: open")), "{log:?}");
    assert!(messages.len() >= 28);
    for line in messages.iter().chain(&log) {
        assert!(!line.contains(SECRET), "{line}");
        // "user:s3cr3t" and "Bearer s3cr3t" in base64 begin like this.
        assert!(!line.contains("dXNlcjp"), "{line}");
    }
}

/// Each error has its text, and a number that is no error has another.
#[test]
fn every_error_says_what_it_means() {
    let texts = [
        (Error::None, "no error"),
        (Error::Null, "a required argument is NULL"),
        (Error::Utf8, "text is not UTF-8"),
        (Error::Url, "not an absolute URL"),
        (Error::Scheme, "unsupported URL scheme"),
        (Error::Header, "not a header that can be set"),
        (Error::Value, "value out of range"),
        (Error::AlreadyConnected, "the source has been connected"),
        (Error::NotConnected, "the source has not been connected"),
        (Error::Closed, "the source is closed"),
        (Error::Callback, "not allowed in a callback of the same object"),
        (Error::Timeout, "timed out"),
        (Error::System, "out of threads, descriptors or memory"),
        (Error::Resolve, "host name not found"),
        (Error::Connect, "no connection to the host"),
        (Error::Tls, "no secure connection"),
        (Error::Http, "invalid HTTP response"),
        (Error::Redirect, "redirect not followed"),
        (Error::Status, "unexpected status"),
        (Error::ContentType, "not an event stream"),
        (Error::Lost, "connection lost"),
        (Error::Ended, "the stream has ended"),
        (Error::TooLarge, "event over the size limit"),
        (Error::Internal, "defect of the library"),
        (Error::File, "file cannot be read"),
        (Error::Certificate, "no valid certificate in the file"),
        (Error::PrivateKey, "no private key that matches"),
        (Error::Proxy, "no connection through the proxy"),
        (Error::Queue, "not for a source in this mode"),
        (Error::Busy, "another thread is inside this call"),
        (Error::Aborted, "attempt aborted by the program"),
        (Error::Refused, "response refused by the program"),
    ];
    for (number, (error, text)) in texts.iter().enumerate() {
        assert_eq!(*error as usize, number);
        assert_eq!(strerror(number as c_int), *text);
    }
    for number in [-1, texts.len() as c_int, c_int::MAX, c_int::MIN] {
        assert_eq!(strerror(number), "no such error", "{number}");
    }
}

fn strerror(number: c_int) -> &'static str {
    // SAFETY: the text is never released.
    let text = unsafe { CStr::from_ptr(ffi::eventsource_strerror(number)) };
    text.to_str().unwrap()
}
