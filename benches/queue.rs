//! From the socket to `eventsource_next`: `cargo bench --bench queue`.
//!
//! A server sends events of 64 bytes, each as an HTTP chunk, as fast as they
//! are read. They reach the program by callbacks on the source's thread, and on
//! the program's by `eventsource_next`, by `eventsource_next_batch`, and by
//! callbacks in `eventsource_loop_dispatch`, where there is no queue and no other
//! thread; the four take turns, and the median of the rounds is shown. What is
//! counted is the CPU time of this process, how often the program waited, and
//! how often any of its threads had to sleep.

#![expect(unsafe_code, reason = "the C API is what is measured")]

use std::ffi::{CString, c_void};
use std::ptr;
use std::time::Instant;

use eventsource::ffi::*;
use support::bench::cpu::time_of_all;
use support::bench::server::{Server, serve};

const ROUNDS: usize = 7;
const CYCLES: usize = 256;
const CAPACITY: usize = 8192;
const BATCH: usize = 256;

/// A way to get events; how many came, and how often it waited.
type Way = fn(*mut CSource) -> (usize, usize);

const WAYS: [(&str, Way); 4] = [
    ("callback", called),
    ("next", one_by_one),
    ("next_batch", in_batches),
    ("loop_dispatch", dispatched),
];

fn main() {
    serve();
    let server = Server::start("64 bytes");
    let url = &format!("{}{CYCLES}", server.url);
    let events = CYCLES * server.events;
    let mut results = [const { Vec::new() }; WAYS.len()];
    for _ in 0..ROUNDS {
        for ((_, way), results) in WAYS.iter().zip(&mut results) {
            results.push(measure(url, events, *way));
        }
    }
    println!(
        "Events of 64 bytes, {events} of them; median of {ROUNDS} rounds, \
         queue of {CAPACITY}\n"
    );
    println!(
        "{:13} | {:>9} | {:>9} | {:>17} | {:>17}",
        "", "M/s", "CPU ns", "waits per million", "sleeps per million"
    );
    for ((name, _), results) in WAYS.iter().zip(&mut results) {
        let median = |column: usize| {
            let mut values: Vec<f64> =
                results.iter().map(|row: &[f64; 4]| row[column]).collect();
            values.sort_by(f64::total_cmp);
            values[ROUNDS / 2]
        };
        println!(
            "{name:13} | {:9.1} | {:9.1} | {:17.0} | {:17.0}",
            median(0),
            median(1),
            median(2),
            median(3),
        );
    }
}

/// Million events a second, CPU nanoseconds for each, waits and sleeps.
fn measure(url: &str, events: usize, way: Way) -> [f64; 4] {
    let url = CString::new(url).expect("our URL");
    let mut source = ptr::null_mut();
    // SAFETY: a text, and a place for the source.
    let error = unsafe { eventsource_new(url.as_ptr(), &mut source) };
    assert_eq!(error, Error::None);
    let (mut count, mut waits) = (0, 0);
    let sleeps = sleeps();
    let start = Instant::now();
    let cpu = time_of_all(|| (count, waits) = way(source));
    let time = start.elapsed().as_secs_f64();
    let sleeps = self::sleeps() - sleeps;
    assert_eq!(count, events);
    // SAFETY: used no more.
    unsafe { eventsource_free(source) };
    let million = count as f64 / 1e6;
    [
        million / time,
        cpu / count as f64 * 1e9,
        waits as f64 / million,
        sleeps as f64 / million,
    ]
}

fn called(source: *mut CSource) -> (usize, usize) {
    let mut count = 0;
    // SAFETY: `count` outlives the last callback.
    unsafe {
        count_events(source, &raw mut count);
        assert_eq!(eventsource_wait(source, -1), Error::None);
    }
    (count, 1)
}

fn dispatched(source: *mut CSource) -> (usize, usize) {
    let (mut count, mut waits) = (0, 0);
    let mut event_loop = ptr::null_mut();
    // SAFETY: a place for the loop, which is alive until it is freed; `count`
    // outlives the last callback.
    unsafe {
        assert_eq!(eventsource_loop_new(&mut event_loop), Error::None);
        eventsource_set_loop(source, event_loop);
        count_events(source, &raw mut count);
        while eventsource_ready_state(source) != ReadyState::Closed {
            let error = eventsource_loop_dispatch(event_loop, -1);
            assert_eq!(error, Error::None);
            waits += 1;
        }
        eventsource_loop_free(event_loop);
    }
    (count, waits)
}

/// Connects a source whose events are counted.
///
/// # Safety
///
/// The source is alive, and `count` until the last callback.
unsafe fn count_events(source: *mut CSource, count: *mut usize) {
    extern "C" fn on_event(
        _: *mut CSource,
        _: *const CEvent,
        count: *mut c_void,
    ) {
        // SAFETY: on the thread of the callbacks alone until the end.
        unsafe { *count.cast::<usize>() += 1 };
    }
    // SAFETY: as promised.
    unsafe {
        eventsource_on_event(source, Some(on_event), count.cast());
        eventsource_set_retry(source, Retry::Never as i32);
        assert_eq!(eventsource_connect(source), Error::None);
    }
}

fn one_by_one(source: *mut CSource) -> (usize, usize) {
    taken(source, 1)
}

fn in_batches(source: *mut CSource) -> (usize, usize) {
    taken(source, BATCH)
}

fn taken(source: *mut CSource, most: usize) -> (usize, usize) {
    let mut items = [ptr::null(); BATCH];
    let (mut events, mut waits) = (0, 0);
    // SAFETY: the source is alive, there is room for `most` items, and those
    // that were taken are alive until the next are.
    unsafe {
        eventsource_set_queue(source, CAPACITY);
        eventsource_set_retry(source, Retry::Never as i32);
        assert_eq!(eventsource_connect(source), Error::None);
        loop {
            let mut count = 0;
            let error = match most {
                1 => eventsource_next(source, 0, items.as_mut_ptr()),
                _ => {
                    let items = items.as_mut_ptr();
                    eventsource_next_batch(source, 0, items, most, &mut count)
                }
            };
            match error {
                Error::None => {}
                Error::Timeout => {
                    wait(eventsource_fd(source));
                    waits += 1;
                    continue;
                }
                error => panic!("{error:?}"),
            }
            for item in &items[..count.max(1)] {
                match (**item).r#type {
                    ItemType::Event => events += 1,
                    ItemType::Close => return (events, waits),
                    _ => {}
                }
            }
        }
    }
}

fn wait(fd: i32) {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, alive.
    let ready = unsafe { libc::poll(&mut entry, 1, -1) };
    assert_eq!(ready, 1);
}

/// How often threads of this process have given up the processor to wait.
fn sleeps() -> i64 {
    // SAFETY: all of it may be zero.
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    // SAFETY: a place for it.
    let error = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    assert_eq!(error, 0);
    usage.ru_nvcsw
}
