//! A server in a process of its own, which sends each event as an HTTP chunk,
//! as servers do, or over HTTP/2 as a DATA frame, as fast as it is read.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::http2;
use super::process::Process;
use super::shapes::{SHAPES, events};

/// What is sent again and again.
const CYCLE: usize = 2 << 20;
const BUFFER: usize = 64 << 10;

/// The server of one shape; `GET /COUNT` is answered with so many cycles.
pub struct Server {
    _process: Process,
    /// Where it is, up to the count.
    pub url: String,
    /// How many events, and how many bytes of them, a cycle has.
    pub events: usize,
    pub bytes: usize,
}

impl Server {
    pub fn start(shape: &str) -> Server {
        let mut process = Process::start(shape);
        let line = process.line();
        let mut words = line.split_whitespace();
        let url = words.next().expect("its URL").to_owned();
        let mut number = || words.next().unwrap().parse().expect("a number");
        Server { _process: process, url, events: number(), bytes: number() }
    }
}

/// The life of the server's process, if this is it.
pub fn serve() {
    let Ok(shape) = env::var("SERVE") else { return };
    let found = SHAPES.iter().find(|(name, _)| *name == shape);
    let (_, block) = found.expect("the name of a shape");
    let cycle = events(*block, CYCLE);
    let bytes: usize = cycle.iter().map(String::len).sum();
    let mut chunks = Vec::new();
    for event in &cycle {
        write!(chunks, "{:x}\r\n{event}\r\n", event.len()).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    println!("http://{address}/ {} {bytes}", cycle.len());
    loop {
        let (client, _) = listener.accept().expect("a client");
        // A client that has had enough leaves.
        let _ = answer(client, &cycle, &chunks);
    }
}

fn answer(
    mut client: TcpStream,
    events: &[String],
    cycle: &[u8],
) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let read = client.peek(&mut request)?;
    if request[..read].starts_with(b"PRI ") {
        return http2::flood(client, events);
    }
    let read = client.read(&mut request)?;
    let request = String::from_utf8_lossy(&request[..read]);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let count: usize = path.trim_start_matches('/').parse().unwrap_or(0);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes())?;
    for _ in 0..count {
        for part in cycle.chunks(BUFFER) {
            client.write_all(part)?;
        }
    }
    client.write_all(b"0\r\n\r\n")
}
