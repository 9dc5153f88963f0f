//! From the socket to the C callback: `cargo bench --bench stream [-- SHAPE]`.
//!
//! A server in a process of its own sends each event as an HTTP chunk, as
//! servers do, as fast as it is read. What is measured is the CPU time of
//! this process: of the library up to a C callback that adds up the data's
//! length, and of a bare loop of recv(2) that reads the same bytes. They
//! take turns; the median of the rounds is shown.

#[allow(dead_code, reason = "made for more than this")]
mod support;

use std::env;
use std::ffi::{CString, c_void};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::ptr;

use eventsource::ffi::*;
use support::cpu::time_of_all;
use support::shapes::{SHAPES, events};

const ROUNDS: usize = 7;
/// What the server sends again and again.
const CYCLE: usize = 2 << 20;
const BYTES: usize = 256 << 20;
const BUFFER: usize = 64 << 10;

fn main() {
    if let Ok(shape) = env::var("SERVE") {
        return serve(&shape);
    }
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
    let (mut server, url) = start_server(name);
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let (mut count, mut bytes) = (0, 0);
    for _ in 0..ROUNDS {
        bare.push(time_of_all(|| bytes = receive(&url)));
        ours.push(time_of_all(|| count = follow(&url)));
    }
    server.kill().expect("a server to kill");
    server.wait().expect("a server that ends");
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
    let address = url.strip_prefix("http://").expect("our URL");
    let address = address.trim_end_matches('/');
    let mut stream = TcpStream::connect(address).expect("our server");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request sent");
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
    #[derive(Default)]
    struct Seen {
        events: usize,
        bytes: usize,
    }
    extern "C" fn on_event(
        _: *mut EventSource,
        event: *const Event,
        seen: *mut c_void,
    ) {
        // SAFETY: the library's event, and `Seen` below, on its thread.
        let (event, seen) = unsafe { (&*event, &mut *seen.cast::<Seen>()) };
        seen.events += 1;
        seen.bytes += event.data_len;
    }
    extern "C" fn on_error(
        source: *mut EventSource,
        _: *const Failure,
        _: *mut c_void,
    ) {
        // SAFETY: the callback's own source.
        unsafe { eventsource_close(source) };
    }
    let url = CString::new(url).expect("our URL");
    let mut seen = Seen::default();
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
    assert!(seen.bytes > BYTES / 2, "the whole stream was read");
    seen.events
}

fn start_server(shape: &str) -> (Child, String) {
    let program = env::current_exe().expect("this program");
    let mut server = Command::new(program)
        .env("SERVE", shape)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a server");
    let mut url = String::new();
    let output = server.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut url).expect("its URL");
    (server, url.trim().to_owned())
}

/// Serves one client after the other.
fn serve(shape: &str) {
    let (_, block) = SHAPES.iter().find(|(name, _)| *name == shape).unwrap();
    let mut cycle = Vec::new();
    for event in events(*block, CYCLE) {
        write!(cycle, "{:x}\r\n{event}\r\n", event.len()).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("http://{}/", listener.local_addr().expect("an address"));
    loop {
        let (mut client, _) = listener.accept().expect("a client");
        let _ = client.read(&mut [0; 4096]);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        let mut sent = client.write_all(head.as_bytes());
        for _ in 0..BYTES / CYCLE {
            sent = sent.and_then(|()| {
                cycle.chunks(BUFFER).try_for_each(|it| client.write_all(it))
            });
        }
        let _ = sent.and_then(|()| client.write_all(b"0\r\n\r\n"));
    }
}
