//! Whatever breaks, wherever it breaks: what the program is told, and that
//! nothing is lost by it.

#![expect(unsafe_code, reason = "the C API is tested")]

#[allow(dead_code, reason = "made for more than this")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use eventsource::ffi::Error;
use support::server::{CHUNKED, Connection, EVENT_STREAM, Server};
use support::source::{Seen, Source};

/// How often the connection is broken.
const BREAKS: u32 = 10_000;

/// A server numbers its events, and breaks ten thousand connections anywhere:
/// by `Last-Event-ID` each event comes, once, in order.
#[test]
fn nothing_is_lost_and_nothing_doubled() {
    let server = Server::start();
    let sent = Arc::new(AtomicU32::new(0));
    let url = server.url("/");
    let sender = sent.clone();
    let thread = thread::spawn(move || {
        for _ in 0..BREAKS {
            break_off(server.accept(), &sender);
        }
        server.accept().answer("204 No Content", "");
    });
    // At once: the server is to be tired, not the test.
    let source = Source::new(&url)
        .deciding(|verdict| if verdict.http_status == 204 { -1 } else { 0 });
    let source = source.start();
    assert_eq!(source.skip_to_close(), Error::Status);
    thread.join().expect("a server that has broken all it has");

    let (mut last, mut losses) = (0, 0);
    for seen in source.history() {
        match seen {
            Seen::Event(event) => {
                last += 1;
                assert_eq!(event.id, last.to_string());
                assert_eq!(event.data, data(last));
            }
            Seen::Error(_) => losses += 1,
            _ => {}
        }
    }
    assert_eq!(losses, BREAKS + 1);
    // Of the very last, the end may not have gone out.
    assert!(sent.load(SeqCst) - last <= 1, "{last}");
    assert!(last > BREAKS / 2, "{last} events");
}

fn data(number: u32) -> String {
    "x".repeat(number as usize * 7 % 97) + "\n" + &number.to_string()
}

/// Sends what comes after the last event ID, and breaks off at any byte.
fn break_off(mut connection: Connection, sent: &AtomicU32) {
    let id = connection.request.header("last-event-id");
    let mut number = id.map_or(0, |id| id.parse().expect("one of ours"));
    let chunked = fastrand::bool();
    let head = if chunked { CHUNKED } else { EVENT_STREAM };
    let mut bytes = head.as_bytes().to_vec();
    // Where each event is complete, and its number.
    let mut ends = Vec::new();
    for _ in 0..fastrand::u32(1..6) {
        number += 1;
        let data = data(number).replace('\n', "\ndata:");
        let event = format!("data:{data}\nid: {number}\n\n");
        let chunk = match chunked {
            true => format!("{:x}\r\n{event}\r\n", event.len()),
            false => event,
        };
        bytes.extend_from_slice(chunk.as_bytes());
        let end = bytes.len() - if chunked { 2 } else { 0 };
        ends.push((end, number));
    }
    let cut = fastrand::usize(..=bytes.len());
    connection.send(&bytes[..cut]);
    let whole = ends.iter().rev().find(|(end, _)| *end <= cut);
    if let Some((_, number)) = whole {
        sent.fetch_max(*number, SeqCst);
    }
    match fastrand::u8(..4) {
        // What was sent may be lost as well.
        0 => connection.reset(),
        1 => {
            connection.half_close();
            connection.sees_the_client_close();
        }
        _ => connection.finish(),
    }
}
