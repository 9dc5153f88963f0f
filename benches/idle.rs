//! What an idle source keeps resident: `cargo bench --bench idle [-- COUNT]`.
//!
//! A server in a process of its own accepts COUNT sources (1000), sends each
//! one event and then nothing. What is shown is the growth of a process's
//! resident memory, by source, over http and over https, with a thread for each
//! source and with one loop for all; and of sources of a loop that share
//! connections over HTTP/2, with TLS. Each is measured in a process of its own:
//! what another has freed would be used again.

#![expect(unsafe_code, reason = "the C API is what is measured")]

use std::env;
use std::ffi::{CString, c_void};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::ptr;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use eventsource::ffi::*;
use support::bench::process::Process;
use support::certificates;
use support::event_loop::EventLoop;
use support::http2::Http2;
use support::limits::allow_many_descriptors;
use support::server::Server;

const EVENT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    \r\ndata: first\n\n";
/// As most servers have it.
const MAX_CONCURRENT_STREAMS: (u16, u32) = (3, 100);
/// What drives the sources, and what they speak. Only those of a loop share
/// connections.
const ROWS: [&str; 5] =
    ["thread http", "thread https", "loop http", "loop https", "loop h2"];
/// Has one of these, in the process that measures it.
const ROW: &str = "ROW";
/// After so long a loop's threads for attempts have ended.
const LEISURE: Duration = Duration::from_millis(1500);
/// Made before the growth is measured: what there is only once.
const WARM_UP: usize = 20;

fn main() {
    allow_many_descriptors();
    match env::var("SERVE").as_deref() {
        Ok("h2") => return serve_over_http2(),
        Ok(scheme) => return serve(scheme == "https"),
        Err(_) => {}
    }
    let count = env::args().filter_map(|it| it.parse().ok()).next();
    let count: usize = count.unwrap_or(1000);
    let Ok(row) = env::var(ROW) else {
        for row in ROWS {
            let own = env::current_exe().expect("a program");
            let mut process = Command::new(own);
            process.arg(count.to_string()).env(ROW, row);
            let status = process.status().expect("a process");
            assert!(status.success(), "{row}: {status}");
        }
        return;
    };
    let (driver, spoken) = row.split_once(' ').expect("two words");
    let mut server = Process::start(spoken);
    let url = server.line();
    set_trust(&server.line());
    let event_loop = (driver == "loop").then(EventLoop::started);
    let kib = measure(&url, count, event_loop);
    println!("{driver:6} {spoken:5} {count} idle sources, {kib:.1} KiB each");
}

fn measure(url: &str, count: usize, event_loop: Option<EventLoop>) -> f64 {
    let mut sources = Vec::with_capacity(WARM_UP + count);
    open(&mut sources, url, WARM_UP, event_loop);
    let before = resident();
    open(&mut sources, url, count, event_loop);
    let after = resident();
    for source in sources {
        // SAFETY: made by `open`, freed once.
        unsafe {
            eventsource_free(source);
        }
    }
    (after - before) as f64 / count as f64
}

/// Connects so many sources, and waits until each has had its event.
fn open(
    sources: &mut Vec<*mut CSource>,
    url: &str,
    count: usize,
    event_loop: Option<EventLoop>,
) {
    extern "C" fn on_event(
        _: *mut CSource,
        _: *const CEvent,
        sender: *mut c_void,
    ) {
        // SAFETY: leaked below.
        let sender = unsafe { &*sender.cast::<Sender<()>>() };
        sender.send(()).expect("somebody who waits");
    }
    let (sender, receiver) = channel::<()>();
    let sender: *mut Sender<()> = Box::into_raw(Box::new(sender));
    let url = CString::new(url).expect("our URL");
    for _ in 0..count {
        let mut source = ptr::null_mut();
        // SAFETY: the sender is never released.
        unsafe {
            assert_eq!(eventsource_new(url.as_ptr(), &mut source), Error::None);
            eventsource_on_event(source, Some(on_event), sender.cast());
            if let Some(event_loop) = event_loop {
                event_loop.drives(source.into());
            }
            assert_eq!(eventsource_connect(source), Error::None);
        }
        sources.push(source);
    }
    for _ in 0..count {
        receiver.recv().expect("an event");
    }
    if event_loop.is_some() {
        // Those that have connected end when they have nothing to do.
        thread::sleep(LEISURE);
    }
    // The last threads have yet to begin to wait.
    for task in fs::read_dir("/proc/self/task").expect("Linux") {
        let stat = task.expect("a thread").path().join("stat");
        while fs::read_to_string(&stat).is_ok_and(|it| {
            it.contains("(eventsource) R") || it.contains("(eventsource) D")
        }) {
            thread::yield_now();
        }
    }
}

/// In KiB.
fn resident() -> usize {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let line = rollup.lines().find(|line| line.starts_with("Rss:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("Rss").parse().expect("a number")
}

fn set_trust(authority: &str) {
    // SAFETY: there is no other thread yet.
    unsafe { env::set_var("SSL_CERT_FILE", authority) };
}

/// Sends each client an event, and keeps it.
fn serve(secure: bool) {
    let config = certificates::trusted("127.0.0.1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    println!("{}://{address}/", if secure { "https" } else { "http" });
    println!("{}", env::var("SSL_CERT_FILE").expect("set by certificates"));
    for client in listener.incoming() {
        let mut client = client.expect("a client");
        let config = config.clone();
        thread::spawn(move || {
            if secure {
                let tls = rustls::ServerConnection::new(config).expect("TLS");
                keep(rustls::StreamOwned::new(tls, client));
            } else {
                keep(&mut client);
            }
        });
    }
}

/// The same, to each stream of each connection.
fn serve_over_http2() {
    let server = Server::secure(certificates::http2_only("127.0.0.1"));
    println!("{}", server.url("/"));
    println!("{}", env::var("SSL_CERT_FILE").expect("set by certificates"));
    loop {
        let connection = server.accept_unasked().expect("a client");
        thread::spawn(|| {
            let mut http2 = Http2::silent(connection);
            http2.settings(&[MAX_CONCURRENT_STREAMS]);
            http2.answer_all(|http2| {
                http2.open();
                http2.data("data: first\n\n");
            });
        });
    }
}

fn keep(mut client: impl Read + Write) {
    let _ = client.read(&mut [0; 4096]);
    let _ = client.write_all(EVENT);
    let _ = client.flush();
    // Until the client leaves.
    let _ = client.read(&mut [0; 4096]);
}
