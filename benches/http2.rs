//! HTTP/2 beside HTTP/1.1: `cargo bench --bench http2`.
//!
//! The CPU time of this process for an event of some 112 bytes, with a thread of
//! the source's own and on a loop: over HTTP/1.1 with a chunk for each event,
//! over HTTP/2 with a frame for each, and with full frames. Then how fast a
//! stream is beside four that nobody reads, as a share of what it is alone, on
//! one connection. Both are medians of rounds that take turns. At last, how long
//! after `eventsource_close` the server knows, of one among a hundred streams of
//! a connection.

#![expect(unsafe_code, reason = "the C API is what is measured")]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use eventsource::ffi::{Error, eventsource_set_http_version};
use support::bench::cpu::time_of_all;
use support::bench::{follow, server, streams};
use support::event_loop::EventLoop;
use support::http2::{Http2, RST_STREAM};
use support::server::Server;
use support::source::{Handle, Source};

const ROUNDS: usize = 9;
const BYTES: usize = 128 << 20;
const SHAPE: &str = "tiny";

fn main() {
    streams::serve();
    server::serve();
    let http1 = server::Server::start(SHAPE);
    let http2 = streams::start(SHAPE);
    let event_loop = EventLoop::started();
    let cycles = BYTES / http2.bytes;
    let url = format!("{}{cycles}", http2.url);
    let ways = [
        ("HTTP/1.1, a chunk each", format!("{}{cycles}", http1.url), 1),
        ("HTTP/2, a frame each", url.clone(), 2),
        ("HTTP/2, full frames", format!("{url}/full"), 2),
    ];
    println!("CPU time per event; median of {ROUNDS} rounds\n");
    println!("{:24} {:>18} {:>18}", "", "a thread of its own", "a loop");
    let mut times = [(); 3].map(|()| [const { Vec::new() }; 2]);
    for _ in 0..ROUNDS {
        for ((_, url, version), times) in ways.iter().zip(&mut times) {
            for (event_loop, times) in
                [None, Some(event_loop)].into_iter().zip(times)
            {
                let mut count = 0;
                let time = time_of_all(|| {
                    count = follow(url, *version, event_loop);
                });
                assert_eq!(count, cycles * http2.events, "all of them");
                times.push(time / count as f64 * 1e9);
            }
        }
    }
    let times = times.map(|times| times.map(median));
    for ((name, ..), [own, shared]) in ways.iter().zip(&times) {
        let [first_own, first_shared] = &times[0];
        println!(
            "{name:24} {own:8.1} ns ({:4.2} x) {shared:8.1} ns ({:4.2} x)",
            own / first_own,
            shared / first_shared,
        );
    }
    beside_others(&url, event_loop);
    closes(event_loop);
    event_loop.free();
}

/// How fast a stream is beside four that nobody reads.
fn beside_others(url: &str, event_loop: EventLoop) {
    let time = || {
        let start = Instant::now();
        follow(url, 2, Some(event_loop));
        start.elapsed().as_secs_f64()
    };
    let mut shares = Vec::new();
    for _ in 0..ROUNDS {
        let alone = time();
        let unread = [(); 4].map(|()| {
            let source = event_loop.drives_in(|| Handle::bare(url));
            assert_eq!(source.set_http_version(2), Error::None);
            assert_eq!(source.set_queue(1), Error::None);
            assert_eq!(source.connect(), Error::None);
            source
        });
        // Until their windows are full.
        thread::sleep(Duration::from_millis(200));
        shares.push(alone / time());
        for source in unread {
            source.free();
        }
    }
    let share = median(shares) * 100.0;
    println!("\nBeside four unread streams {share:.0} % of its rate alone");
}

/// How long after a close the server knows.
fn closes(event_loop: EventLoop) {
    const STREAMS: usize = 100;
    const CLOSES: usize = 1000;

    let server = Server::start();
    let url = server.url("/");
    let ask = || {
        let source = event_loop.drives_in(|| Source::new(&url));
        source.over_http2().start()
    };
    let first = ask();
    let mut connection = Http2::accept(&server);
    connection.open();
    first.opened();
    let (send, resets) = mpsc::channel();
    // Opens each stream that is asked for, and tells when one is reset.
    thread::spawn(move || {
        while let Ok(Some(frame)) = connection.try_frame() {
            if frame.kind == RST_STREAM {
                // At the end nobody asks any more.
                let _ = send.send(Instant::now());
            } else if frame.kind == support::http2::HEADERS {
                connection.read_request(frame);
                connection.open();
            }
        }
    });
    let ask = || {
        let source = ask();
        source.opened();
        source
    };
    let mut sources: Vec<_> = (1..STREAMS).map(|_| ask()).collect();
    let mut times: Vec<f64> = (0..CLOSES)
        .map(|number| {
            let place = number % sources.len();
            let start = Instant::now();
            sources[place].close();
            let known = resets.recv().expect("a server");
            sources[place] = ask();
            known.saturating_duration_since(start).as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "A close of one of {STREAMS} streams is known to the server after \
         {:.3} ms; 99 of 100 after {:.3} ms",
        times[CLOSES / 2],
        times[CLOSES * 99 / 100],
    );
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Follows the stream to its end; returns how many events it had.
fn follow(url: &str, version: i32, event_loop: Option<EventLoop>) -> usize {
    follow::follow(url, |source| {
        // SAFETY: a source that has yet to connect.
        let set = unsafe { eventsource_set_http_version(source, version) };
        assert_eq!(set, Error::None);
        if let Some(event_loop) = event_loop {
            event_loop.drives(source.into());
        }
    })
}
