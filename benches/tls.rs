//! What https costs beside rustls alone: `cargo bench --bench tls`.
//!
//! A server in a process of its own sends events over TLS, each as an HTTP
//! chunk, as fast as they are read. What is measured is the CPU time of this
//! process: of the library up to a C callback, and of a bare loop that has
//! rustls decrypt the same bytes. They take turns; the median of the rounds is
//! shown.

#![expect(unsafe_code, reason = "the C API is what is measured")]

use std::env;
use std::ffi::{CString, c_void};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ptr;
use std::sync::Arc;

use eventsource::ffi::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use support::bench::cpu::time_of_all;
use support::bench::process::Process;
use support::bench::shapes::{SHAPES, events};
use support::certificates;

const ROUNDS: usize = 7;
const CYCLE: usize = 2 << 20;
const CYCLES: usize = 64;
const BUFFER: usize = 64 << 10;

fn main() {
    if let Ok(shape) = env::var("SERVE") {
        return serve(&shape);
    }
    println!("CPU time per event over TLS; median of {ROUNDS} rounds\n");
    println!("{:10} | {:>9} {:>9} {:>6}", "", "rustls ns", "ours ns", "ratio");
    for shape in ["tiny", "wiki", "multi"] {
        measure(shape);
    }
}

fn measure(shape: &str) {
    let mut server = Process::start(shape);
    let (address, authority) = (server.line(), server.line());
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let mut count = 0;
    for _ in 0..ROUNDS {
        bare.push(time_of_all(|| decrypt(&address, &authority)));
        ours.push(time_of_all(|| count = follow(&address, &authority)));
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2] / count as f64 * 1e9
    };
    let (bare, ours) = (median(&mut bare), median(&mut ours));
    println!("{shape:10} | {bare:9.1} {ours:9.1} {:6.2}", ours / bare);
}

/// Has rustls decrypt the stream, and does nothing with it.
fn decrypt(address: &str, authority: &str) {
    let pem = fs::read(authority).expect("the server's authority");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "127.0.0.1".try_into().expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("TLS");
    let socket = TcpStream::connect(address).expect("our server");
    let mut stream = StreamOwned::new(tls, socket);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request sent");
    let mut buffer = vec![0; BUFFER];
    while stream.read(&mut buffer).expect("a stream") > 0 {}
}

/// Follows the stream to its end; returns how many events it had.
fn follow(address: &str, authority: &str) -> usize {
    extern "C" fn on_event(
        _: *mut CSource,
        _: *const CEvent,
        seen: *mut c_void,
    ) {
        // SAFETY: `seen` below, on this thread alone until the end.
        unsafe { *seen.cast::<usize>() += 1 };
    }
    let url = CString::new(format!("https://{address}/")).expect("our URL");
    let authority = CString::new(authority).expect("a path");
    let mut seen = 0_usize;
    let mut source = ptr::null_mut();
    // SAFETY: `seen` lives until the source has been freed.
    unsafe {
        assert_eq!(eventsource_new(url.as_ptr(), &mut source), Error::None);
        eventsource_on_event(source, Some(on_event), (&raw mut seen).cast());
        eventsource_set_retry(source, Retry::Never as i32);
        eventsource_set_ca_file(source, authority.as_ptr());
        assert_eq!(eventsource_connect(source), Error::None);
        assert_eq!(eventsource_wait(source, -1), Error::None);
        eventsource_free(source);
    }
    assert!(seen > CYCLES, "the whole stream was read");
    seen
}

/// Serves one client after the other.
fn serve(shape: &str) {
    let (_, block) = SHAPES.iter().find(|(name, _)| *name == shape).unwrap();
    let mut cycle = Vec::new();
    for event in events(*block, CYCLE) {
        write!(cycle, "{:x}\r\n{event}\r\n", event.len()).unwrap();
    }
    let (config, authority) = certificates::with_own_authority("127.0.0.1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    println!("{}", authority.display());
    loop {
        let (client, _) = listener.accept().expect("a client");
        let tls = rustls::ServerConnection::new(config.clone()).expect("TLS");
        let mut client = StreamOwned::new(tls, client);
        let _ = client.read(&mut [0; 4096]);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        let mut sent = client.write_all(head.as_bytes());
        for _ in 0..CYCLES {
            sent = sent.and_then(|()| {
                cycle.chunks(BUFFER).try_for_each(|it| client.write_all(it))
            });
        }
        let _ = sent.and_then(|()| client.write_all(b"0\r\n\r\n"));
        client.conn.send_close_notify();
        let _ = client.flush();
    }
}
