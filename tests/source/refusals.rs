//! Settings that were refused, when nobody looked.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::Mutex;

use eventsource::ffi::{self, Error, LogLevel};

use support::alone;
use support::api::API;
use support::server::{EVENT_STREAM, Server};
use support::source::{Handle, Source};

/// A call of a setter.
type Call = fn(Handle) -> Error;

fn text(
    source: Handle,
    setter: support::pointer::TextSetter,
    text: &str,
) -> Error {
    source.set_text(setter, Some(text.as_bytes()))
}

/// For each setter that may refuse: a call that it refuses, why, and one that
/// it takes.
const SETTERS: [(&str, Call, Error, Call); 21] = [
    (
        "header",
        |it| it.set_header("X-Name", Some(b"a\nb")),
        Error::Header,
        |it| it.set_header("x-name", None),
    ),
    (
        "last_event_id",
        |it| it.set_last_event_id("a\nb"),
        Error::Value,
        |it| it.set_last_event_id(""),
    ),
    (
        "method",
        |it| it.set_method("HEAD"),
        Error::Value,
        |it| it.set_method("GET"),
    ),
    (
        "body",
        |it| {
            // SAFETY: a source that is alive; NULL is looked for.
            unsafe { ffi::eventsource_set_body(it.as_ptr(), ptr::null(), 1) }
        },
        Error::Null,
        |it| {
            // SAFETY: as above.
            unsafe { ffi::eventsource_set_body(it.as_ptr(), ptr::null(), 0) }
        },
    ),
    (
        "with_credentials",
        |it| it.set(ffi::eventsource_set_with_credentials, 2),
        Error::Value,
        |it| it.set(ffi::eventsource_set_with_credentials, 0),
    ),
    (
        "trust_redirects",
        |it| it.set(ffi::eventsource_set_trust_redirects, -1),
        Error::Value,
        |it| it.set(ffi::eventsource_set_trust_redirects, 0),
    ),
    (
        "max_reconnection_time",
        |it| it.set(ffi::eventsource_set_max_reconnection_time, 0),
        Error::Value,
        |it| it.set(ffi::eventsource_set_max_reconnection_time, 1),
    ),
    (
        "retry",
        |it| it.set(ffi::eventsource_set_retry, 99),
        Error::Value,
        |it| it.set(ffi::eventsource_set_retry, 0),
    ),
    (
        "max_body_size",
        |it| it.set(ffi::eventsource_set_max_body_size, usize::MAX),
        Error::Value,
        |it| it.set(ffi::eventsource_set_max_body_size, 1),
    ),
    (
        "stack_size",
        |it| it.set(ffi::eventsource_set_stack_size, 1),
        Error::Value,
        |it| it.set(ffi::eventsource_set_stack_size, 0),
    ),
    (
        "proxy",
        |it| text(it, ffi::eventsource_set_proxy, "ftp://proxy"),
        Error::Scheme,
        |it| text(it, ffi::eventsource_set_proxy, ""),
    ),
    (
        "unix_socket",
        |it| text(it, ffi::eventsource_set_unix_socket, ""),
        Error::Value,
        |it| it.set_unix_socket(None),
    ),
    (
        "interface",
        |it| text(it, ffi::eventsource_set_interface, "a/b"),
        Error::Value,
        |it| it.set_text(ffi::eventsource_set_interface, None),
    ),
    (
        "ca_file",
        |it| text(it, ffi::eventsource_set_ca_file, "/nowhere"),
        Error::File,
        |it| it.set_ca_file(None),
    ),
    (
        "ca_pem",
        |it| text(it, ffi::eventsource_set_ca_pem, "none"),
        Error::Certificate,
        |it| it.set_text(ffi::eventsource_set_ca_pem, None),
    ),
    (
        "client_certificate",
        |it| it.set_client_certificate(Some("/nowhere".as_ref()), None),
        Error::Null,
        |it| it.set_client_certificate(None, None),
    ),
    (
        "verify_peer",
        |it| it.set_verify_peer(2),
        Error::Value,
        |it| it.set_verify_peer(1),
    ),
    (
        "http_version",
        |it| it.set_http_version(3),
        Error::Value,
        |it| it.set_http_version(0),
    ),
    (
        "server_name",
        |it| text(it, ffi::eventsource_set_server_name, "a b"),
        Error::Value,
        |it| it.set_text(ffi::eventsource_set_server_name, None),
    ),
    (
        "pinned_key",
        |it| text(it, ffi::eventsource_set_pinned_key, "a"),
        Error::Value,
        |it| it.set_text(ffi::eventsource_set_pinned_key, None),
    ),
    (
        "comments",
        |it| it.set(ffi::eventsource_set_comments, 2),
        Error::Value,
        |it| it.set(ffi::eventsource_set_comments, 0),
    ),
];

/// Those that take every number; and `queue`, after which a source has no
/// callbacks.
const OTHERS: [&str; 10] = [
    "connect_timeout",
    "idle_timeout",
    "log",
    "loop",
    "max_attempts",
    "max_event_size",
    "max_redirects",
    "queue",
    "reconnection_time",
    "response_timeout",
];

/// A source does not connect with a setting that was refused, whichever it is,
/// and connects once the same setter was content.
#[test]
fn a_refused_setting_keeps_a_source_from_connecting() {
    for (name, refuse, error, content) in SETTERS {
        let server = Server::start();
        let source = Source::new(&server.url("/"));
        assert_eq!(refuse(source.handle()), error, "{name}");
        for _ in 0..2 {
            assert_eq!(source.connect(), error, "{name}");
        }
        assert!(!server.is_asked(), "{name}");
        assert_eq!(content(source.handle()), Error::None, "{name}");
        let source = source.start();
        server.accept().send(EVENT_STREAM);
        source.opened();
    }
}

/// A queue of none is refused like every other setting.
#[test]
fn a_refused_queue_keeps_a_source_from_connecting() {
    let server = Server::start();
    let source = Handle::bare(&server.url("/"));
    assert_eq!(source.set_queue(0), Error::Value);
    assert_eq!(source.connect(), Error::Value);
    assert!(!server.is_asked());
    assert_eq!(source.set_queue(1), Error::None);
    assert_eq!(source.connect(), Error::None);
    source.free();
}

#[test]
fn no_setter_is_left_out() {
    let mut known: Vec<_> = SETTERS.map(|(name, ..)| name).to_vec();
    known.extend(OTHERS);
    known.sort_unstable();
    let functions = API.functions.iter();
    let names = functions.map(|it| it.name.strip_prefix("eventsource_set_"));
    let mut declared: Vec<_> = names.flatten().collect();
    declared.sort_unstable();
    assert_eq!(declared, known);
}

/// Of several refusals the first counts, by the order in which the setters were
/// refused first; what was refused twice counts as it was the second time.
#[test]
fn the_first_refusal_counts() {
    let source = Source::new("http://127.0.0.1/");
    let file = |path| text(source.handle(), ffi::eventsource_set_ca_file, path);
    let method = |name: &str| source.set_method(name);
    assert_eq!(file("/nowhere"), Error::File);
    assert_eq!(method("HEAD"), Error::Value);
    assert_eq!(source.connect(), Error::File);
    assert_eq!(file("/etc/passwd"), Error::Certificate);
    assert_eq!(source.connect(), Error::Certificate);
    assert_eq!(source.set_ca_file(None), Error::None);
    assert_eq!(source.connect(), Error::Value);
    assert_eq!(file("/nowhere"), Error::File);
    assert_eq!(source.connect(), Error::Value);
    assert_eq!(method("GET"), Error::None);
    assert_eq!(source.connect(), Error::File);
}

/// A header is made good by one of the same name alone, whatever its case.
#[test]
fn each_header_is_a_setting_of_its_own() {
    let server = Server::start();
    let source = Source::new(&server.url("/"));
    assert_eq!(source.set_header("X-One", Some(b"\n")), Error::Header);
    assert_eq!(source.set_header("X-Two", Some(b"\n")), Error::Header);
    assert_eq!(source.set_header("X-Three", Some(b"3")), Error::None);
    assert_eq!(source.set_header("X-ONE", Some(b"1")), Error::None);
    assert_eq!(source.connect(), Error::Header);
    assert_eq!(source.set_header("x-two", None), Error::None);
    assert_eq!(source.connect(), Error::None);
    let mut connection = server.accept();
    assert_eq!(connection.request.header("x-one"), Some("1"));
    assert_eq!(connection.request.header("x-two"), None);
    connection.send(EVENT_STREAM);
    source.opened();

    // A name that is none cannot be made good.
    for name in [&b"X Y"[..], b"\xff", b"Connection"] {
        let source = Source::new(&server.url("/"));
        let refused = source.set_header(name, Some(b"1"));
        assert_eq!(source.set_header("X-Y", Some(b"1")), Error::None);
        assert_eq!(source.connect(), refused);
        assert_eq!(source.set_header(name, None), refused);
        assert_eq!(source.connect(), refused);
    }
}

/// The log says which setting it was, and nothing of its value.
#[test]
fn the_log_names_the_setting() {
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

    extern "C" fn on_log(_: LogLevel, line: *const c_char, _: *mut c_void) {
        // SAFETY: a text that is lent for the call.
        let line = unsafe { CStr::from_ptr(line) }.to_str().unwrap();
        LINES.lock().unwrap().push(line.to_owned());
    }

    alone("refusals::the_log_names_the_setting", || {
        let level = LogLevel::Error as i32;
        ffi::eventsource_set_log(level, Some(on_log), ptr::null_mut());
        let source = Source::new("http://127.0.0.1/path?secret");
        let refused = source.set_header("X-Key", Some(b"secret\n"));
        assert_eq!(refused, Error::Header);
        assert_eq!(source.connect(), Error::Header);
        ffi::eventsource_set_log(0, None, ptr::null_mut());
        let lines = LINES.lock().unwrap();
        assert_eq!(
            *lines,
            ["http://127.0.0.1/path: eventsource_set_header was refused: \
              not a header that can be set"]
        );
    });
}
