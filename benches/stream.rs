//! From the socket to the C callback: `cargo bench --bench stream [-- SHAPE]`.
//!
//! A server sends each event as an HTTP chunk. What is measured is the CPU
//! time of this process: of the library up to a C callback that looks at the
//! event, and of a bare loop of recv(2) that reads the same bytes. They take
//! turns; the median of the rounds is shown.

use std::env;
use std::ffi::{CString, c_void};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ptr;

use eventsource::ffi::*;
use support::bench::cpu::time_of_all;
use support::bench::server::{Server, serve};
use support::bench::shapes::SHAPES;

const ROUNDS: usize = 7;
const BYTES: usize = 256 << 20;
const BUFFER: usize = 64 << 10;

fn main() {
    serve();
    let wanted: Vec<_> =
        env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    println!("CPU time per event, a chunk each; median of {ROUNDS} rounds\n");
    println!(
        "{:10} {:>8} | {:>9} {:>9} {:>6} | {:>6}",
        "", "B/event", "recv ns", "ours ns", "ratio", "GB/s"
    );
    for (name, _) in SHAPES {
        // Comments are no events.
        let listed = wanted.is_empty() || wanted.iter().any(|it| it == name);
        if listed && name != "heartbeat" {
            measure(name);
        }
    }
}

fn measure(name: &str) {
    let server = Server::start(name);
    let cycles = BYTES / server.bytes;
    let url = &format!("{}{cycles}", server.url);
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let (mut count, mut bytes) = (0, 0);
    for _ in 0..ROUNDS {
        bare.push(time_of_all(|| bytes = receive(url)));
        ours.push(time_of_all(|| count = follow(url)));
    }
    assert_eq!(count, cycles * server.events, "the whole stream was read");
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    };
    let (bare, ours) = (median(&mut bare), median(&mut ours));
    println!(
        "{name:10} {:8} | {:9.1} {:9.1} {:6.2} | {:6.2}",
        bytes / count,
        bare / count as f64 * 1e9,
        ours / count as f64 * 1e9,
        ours / bare,
        bytes as f64 / ours / 1e9,
    );
}

/// Reads the stream and does nothing with it; returns its size.
fn receive(url: &str) -> usize {
    let url = url.strip_prefix("http://").expect("our URL");
    let (address, path) = url.split_once('/').expect("our URL");
    let mut stream = TcpStream::connect(address).expect("our server");
    // At once: the server reads once.
    let request = format!("GET /{path} HTTP/1.1\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request sent");
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer).expect("a stream") {
            0 => return total,
            read => total += read,
        }
    }
}

/// Follows the stream to its end; returns how many events it had.
#[expect(unsafe_code, reason = "the C API is what is measured")]
fn follow(url: &str) -> usize {
    extern "C" fn on_event(
        _: *mut CSource,
        event: *const CEvent,
        seen: *mut c_void,
    ) {
        // SAFETY: the library's event, and `seen` below, on its thread.
        let (event, seen) = unsafe { (&*event, &mut *seen.cast::<usize>()) };
        black_box(event.data_len);
        *seen += 1;
    }
    extern "C" fn on_error(
        source: *mut CSource,
        _: *const CFailure,
        _: *mut c_void,
    ) {
        // SAFETY: the callback's own source.
        unsafe { eventsource_close(source) };
    }
    let url = CString::new(url).expect("our URL");
    let mut seen = 0;
    let mut source = ptr::null_mut();
    // SAFETY: `seen` lives until the source has been freed.
    unsafe {
        let user_data = (&raw mut seen).cast();
        assert_eq!(eventsource_new(url.as_ptr(), &mut source), Error::None);
        eventsource_on_event(source, Some(on_event), user_data);
        eventsource_on_error(source, Some(on_error), user_data);
        assert_eq!(eventsource_connect(source), Error::None);
        assert_eq!(eventsource_wait(source, -1), Error::None);
        eventsource_free(source);
    }
    seen
}
