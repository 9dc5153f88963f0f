//! A peer that vanishes without a word is noticed, although neither side's
//! program sends anything: in a network of the test's own, in which packets
//! are dropped, and with a clock that runs sixty times faster. So is a server
//! that says nothing on a connection over HTTP/2, with a clock that a test puts
//! forward.

#![expect(unsafe_code, reason = "a network and a clock of the test's own")]

use std::ffi::{c_int, c_void};
use std::sync::Mutex;
#[cfg(feature = "http2")]
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use eventsource::ffi::{Error, ReadyState, eventsource_set_idle_timeout};
use support::network::{self, in_a_network, run};
use support::server::{Connection, EVENT_STREAM, Server};
use support::source::{Seen, Source};

/// What the library asks of its sockets, and in which order.
static ASKED: Mutex<Vec<(c_int, c_int, c_int)>> = Mutex::new(Vec::new());

/// Takes the place of the C library's in the whole test program: what is a
/// minute for the library is a second for the system.
#[unsafe(no_mangle)]
extern "C" fn setsockopt(
    socket: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: libc::socklen_t,
) -> c_int {
    let mut value = value;
    let seconds: c_int;
    if length as usize == size_of::<c_int>() {
        // SAFETY: POSIX: a value of this length.
        let number = unsafe { value.cast::<c_int>().read_unaligned() };
        ASKED.lock().unwrap().push((level, option, number));
        if level == libc::IPPROTO_TCP
            && matches!(option, libc::TCP_KEEPIDLE | libc::TCP_KEEPINTVL)
        {
            seconds = (number / 60).max(1);
            value = (&raw const seconds).cast();
        }
    }
    // SAFETY: as the caller has it, but for a value of ours.
    unsafe { network::setsockopt(socket, level, option, value, length) }
}

/// From here on what is sent to or from this port arrives nowhere.
fn drop_packets(port: u16) {
    let port = port.to_string();
    run("nft", &["add", "table", "ip", "hole"]);
    let hook = "{ type filter hook input priority 0; }";
    run("nft", &["add", "chain", "ip", "hole", "input", hook]);
    for side in ["sport", "dport"] {
        run(
            "nft",
            &["add", "rule", "ip", "hole", "input", "tcp", side, &port, "drop"],
        );
    }
}

fn opened(server: &Server) -> (Source, Connection) {
    let source = Source::connected(&server.url("/"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    source.message("x");
    (source, connection)
}

#[test]
fn notices_a_peer_that_has_vanished() {
    in_a_network("notices_a_peer_that_has_vanished", the_system_notices);
}

fn the_system_notices() {
    let (hole, well) = (Server::start(), Server::start());
    let (lost, _silent) = opened(&hole);
    let (kept, mut connection) = opened(&well);
    let asked = |level, option| {
        let asked = ASKED.lock().unwrap();
        let mut values =
            asked.iter().filter(|(l, o, _)| (*l, *o) == (level, option));
        values.next().map(|(_, _, value)| *value)
    };
    assert_eq!(asked(libc::SOL_SOCKET, libc::SO_KEEPALIVE), Some(1));
    assert_eq!(asked(libc::IPPROTO_TCP, libc::TCP_KEEPIDLE), Some(60));
    assert_eq!(asked(libc::IPPROTO_TCP, libc::TCP_KEEPINTVL), Some(15));
    assert_eq!(asked(libc::IPPROTO_TCP, libc::TCP_KEEPCNT), Some(4));

    drop_packets(hole.port());
    let vanished = Instant::now();
    let failure = lost.lost();
    // A minute and four quarters of one, at this clock's pace.
    let noticed = vanished.elapsed();
    assert!(noticed > Duration::from_secs(3), "too hasty: {noticed:?}");
    assert!(failure.message.contains("timed out"), "{failure:?}");

    // A peer as silent as that, but alive, is not lost.
    assert_eq!(kept.ready_state(), ReadyState::Open);
    connection.send("data: y\n\n");
    kept.message("y");
}

/// With an idle timeout the loss is noticed as soon as the program wants; as
/// long as any byte comes, there is none.
#[test]
fn notices_a_peer_that_has_vanished_within_the_idle_timeout() {
    in_a_network(
        "notices_a_peer_that_has_vanished_within_the_idle_timeout",
        the_idle_timeout_notices,
    );
}

fn the_idle_timeout_notices() {
    const IDLE: u64 = 500;

    let server = Server::start();
    let source = Source::new(&server.url("/"))
        .with(eventsource_set_idle_timeout, IDLE)
        .start();
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    source.opened();
    thread::spawn(move || {
        while connection.try_send(": alive\n").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2 * IDLE) {
        assert_eq!(source.comment(), " alive");
    }

    drop_packets(server.port());
    let failure = loop {
        match source.next() {
            Seen::Comment(_) => {}
            Seen::Error(failure) => break failure,
            other => panic!("on_error expected: {other:?}"),
        }
    };
    assert_eq!(failure.error, Error::Timeout, "{failure:?}");
    assert!(failure.will_retry);
}

/// How many seconds the clock has been put forward.
#[cfg(feature = "http2")]
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// Takes the place of the C library's in the whole test program.
#[cfg(feature = "http2")]
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> c_int {
    // SAFETY: as the caller has it.
    let result = unsafe { network::clock_gettime(clock, time) };
    if result == 0 && clock == libc::CLOCK_MONOTONIC {
        // SAFETY: the caller's, which the call has filled in.
        unsafe { (*time).tv_sec += AHEAD.load(SeqCst) };
    }
    result
}

/// A connection that was silent for half a minute may be dead: with the next
/// stream the server is asked for a sign of life, for which it has ten seconds.
#[test]
#[cfg(feature = "http2")]
fn asks_for_a_sign_of_life_before_a_stream_after_a_silence() {
    use support::event_loop::EventLoop;
    use support::http2::{ACK, HEADERS, Http2, PING};

    let server = Server::start();
    let event_loop = EventLoop::started();
    let after = |seconds| {
        AHEAD.fetch_add(seconds, SeqCst);
        let source = event_loop.drives_in(|| Source::new(&server.url("/")));
        source.over_http2().start()
    };
    let asks = |connection: &mut Http2| {
        connection.next(HEADERS);
        // Which is answered behind whatever was sent with the head.
        connection.send_frame(PING, 0, 0, b"a server");
        let asks = connection.next(PING).flags & ACK == 0;
        while asks && connection.next(PING).flags & ACK == 0 {}
        asks
    };
    let first = after(0);
    let mut connection = Http2::accept(&server);
    connection.open();
    first.opened();
    let mut others = Vec::new();
    for (seconds, is_long) in [(29, false), (31, true), (29, false)] {
        others.push(after(seconds));
        assert_eq!(asks(&mut connection), is_long, "{seconds} seconds");
    }
    // What was asked for has come, and ten seconds later nothing is lost.
    others.push(after(11));
    assert!(!asks(&mut connection));
    // It has not.
    others.push(after(31));
    assert_eq!(connection.next(PING).flags & ACK, 0);
    others.push(after(5));
    connection.next(HEADERS);
    assert_eq!(first.ready_state(), ReadyState::Open);
    let _wakes_the_loop = after(6);
    let failure = first.lost();
    assert!(failure.message.contains("sign of life"), "{failure:?}");
    for other in others {
        let failure = other.retrying(Error::Lost);
        assert!(failure.message.contains("sign of life"), "{failure:?}");
    }
    event_loop.free();
}
