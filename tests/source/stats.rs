//! What a source counts.

use std::time::{SystemTime, UNIX_EPOCH};

use eventsource::ffi::{self, CStats, Error};

use support::server::{CHUNKED, EVENT_STREAM, Server};
use support::source::Source;

/// Everything that the header names is counted, inside callbacks already, and
/// kept when the source is closed.
#[test]
fn counts_what_happens() {
    let server = Server::start();
    let source =
        Source::new(&server.url("/")).with_max_event_size(5).deciding(|_| 0);
    assert_eq!(source.stats(), CStats::default());
    let source = source.start();
    let before = now();
    let mut connection = server.accept();
    let events = "data: 1\n\n: c\n: d\ndata: too large\n\ndata: 2\n\n";
    connection.send(EVENT_STREAM.to_owned() + events);
    source.opened();
    source.message("1");
    assert_eq!(
        (source.comment(), source.comment()),
        (" c".into(), " d".into())
    );
    source.failure(Error::TooLarge);
    source.message("2");
    let stats = source.stats();
    assert_eq!(stats.bytes, events.len() as u64);
    assert_eq!((stats.events, stats.comments, stats.dropped), (2, 2, 1));
    assert_eq!((stats.connects, stats.reconnects), (1, 0));
    assert!((before..=now()).contains(&stats.last_byte_at_ms), "{stats:?}");
    connection.finish();
    source.ended();

    server.accept().reset();
    source.retrying(Error::Lost);

    let mut connection = server.accept();
    connection.send(CHUNKED);
    source.opened();
    connection.chunk("data: 3\n\n");
    source.message("3");
    source.close();
    source.closed(Error::None);
    let stats = source.stats();
    let framing = "9\r\n\r\n".len();
    assert_eq!(stats.bytes, (events.len() + framing + 9) as u64);
    assert_eq!((stats.events, stats.connects, stats.reconnects), (3, 2, 2));
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_millis()).expect("before the end of time")
}

/// The time to the head is that of the last accepted response.
#[test]
fn measures_the_time_to_the_headers() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    let time = std::time::Duration::from_millis(50);
    std::thread::sleep(time);
    connection.send(EVENT_STREAM);
    source.opened();
    let measured = source.stats().time_to_headers_ms;
    assert!((50..10_000).contains(&measured), "{measured}");
}

/// A program that knows less gets less, one that knows more gets zeros.
#[test]
fn fits_any_size() {
    let source = Source::new("http://127.0.0.1/");
    let room = size_of::<CStats>() + 16;
    for size in [0, 1, 8, size_of::<CStats>(), room] {
        let mut bytes = vec![0x55_u8; room];
        // SAFETY: at least that many bytes.
        let error = unsafe {
            ffi::eventsource_get_stats(
                source.as_ptr(),
                bytes.as_mut_ptr().cast(),
                size,
            )
        };
        assert_eq!(error, Error::None);
        assert!(bytes[..size].iter().all(|byte| *byte == 0), "{size}");
        assert!(bytes[size..].iter().all(|byte| *byte == 0x55), "{size}");
    }
}

/// NULL is an error, and what can be stored is zero.
#[test]
fn refuses_null() {
    let mut stats = CStats { events: 7, ..CStats::default() };
    let size = size_of::<CStats>();
    // SAFETY: NULL is allowed.
    unsafe {
        let error =
            ffi::eventsource_get_stats(std::ptr::null(), &mut stats, size);
        assert_eq!((error, stats), (Error::Null, CStats::default()));
        let source = Source::new("http://127.0.0.1/");
        let (source, null) = (source.as_ptr(), std::ptr::null_mut());
        let error = ffi::eventsource_get_stats(source, null, size);
        assert_eq!(error, Error::Null);
    }
}

/// Any thread may look at any time.
#[test]
fn any_thread_may_look() {
    let server = Server::start();
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = source.handle();
            std::thread::spawn(move || {
                let mut last = 0;
                while last < 1000 {
                    let events = handle.stats().events;
                    assert!(events >= last, "counters do not fall");
                    last = events;
                }
            })
        })
        .collect();
    for _ in 0..1000 {
        connection.send("data: x\n\n");
    }
    for thread in threads {
        thread.join().expect("a thread that looks");
    }
}
