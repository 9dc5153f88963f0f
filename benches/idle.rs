//! What an idle source keeps resident: `cargo bench --bench idle [-- COUNT]`.
//!
//! A server in a process of its own accepts COUNT sources (1000), sends each
//! one event and then nothing. What is shown is the growth of a process's
//! resident memory, by source, over http and over https: with a thread for each
//! source, and, in another process, with one loop for all.

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
use support::limits::allow_many_descriptors;

const EVENT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    \r\ndata: first\n\n";
/// Names what drives the sources, in the process that measures it.
const DRIVER: &str = "DRIVER";
/// After so long a loop's threads for attempts have ended.
const LEISURE: Duration = Duration::from_millis(1500);
/// Made before the growth is measured: what there is only once.
const WARM_UP: usize = 20;

fn main() {
    allow_many_descriptors();
    if let Ok(scheme) = env::var("SERVE") {
        return serve(scheme == "https");
    }
    let count = env::args().filter_map(|it| it.parse().ok()).next();
    let count: usize = count.unwrap_or(1000);
    let Ok(driver) = env::var(DRIVER) else {
        for driver in ["thread", "loop"] {
            let own = env::current_exe().expect("a program");
            let mut process = Command::new(own);
            process.arg(count.to_string()).env(DRIVER, driver);
            let status = process.status().expect("a process");
            assert!(status.success(), "{driver}: {status}");
        }
        return;
    };
    let event_loop = (driver == "loop").then(EventLoop::started);
    let mut servers = ["http", "https"].map(Process::start);
    let urls = servers.each_mut().map(|server| {
        let (url, authority) = (server.line(), server.line());
        // The last one counts. The first source that connects decides what the
        // process trusts, of whatever scheme it is.
        set_trust(&authority);
        url
    });
    for (scheme, url) in ["http", "https"].into_iter().zip(urls) {
        let kib = measure(&url, count, event_loop);
        println!(
            "{driver:6} {scheme:5} {count} idle sources, {kib:.1} KiB each"
        );
    }
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
    // SAFETY: the only threads are those of sources that are connected or
    // freed, which read no environment.
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

fn keep(mut client: impl Read + Write) {
    let _ = client.read(&mut [0; 4096]);
    let _ = client.write_all(EVENT);
    let _ = client.flush();
    // Until the client leaves.
    let _ = client.read(&mut [0; 4096]);
}
