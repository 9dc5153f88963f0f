//! From the socket to the C callback: `cargo bench --bench stream [-- SHAPE]`.
//!
//! A server sends each event as an HTTP chunk. What is measured is the CPU
//! time of this process: of the library up to a C callback that looks at the
//! event, and of a bare loop of recv(2) that reads the same bytes. They take
//! turns; the median of the rounds is shown.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;

use support::bench::cpu::time_of_all;
use support::bench::follow::follow;
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
        ours.push(time_of_all(|| count = follow(url, |_| ())));
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
