//! HTTP/2: whatever a server sends, cut anywhere, means the same; and its heads
//! are read as another decoder of HPACK reads them.

#![no_main]

use eventsource::doors::{hpack, http2};
use libfuzzer_sys::fuzz_target;

// What it is, and how it is cut; then the bytes.
fuzz_target!(|input: &[u8]| {
    let [what, cut, bytes @ ..] = input else { return };
    match what % 4 {
        0 => check_blocks(bytes),
        1 => check_connection(*cut, bytes),
        // Frames that are in order up to what is in them.
        2 => check_connection(*cut, &framed(bytes)),
        _ => check_connection(*cut, &begun(bytes)),
    }
});

/// Blocks of a connection, each behind its length.
fn check_blocks(mut bytes: &[u8]) {
    let mut blocks = Vec::new();
    while let [length, rest @ ..] = bytes {
        let length = usize::from(*length).min(rest.len());
        let (block, rest) = rest.split_at(length);
        blocks.push(block);
        bytes = rest;
    }
    let ours = hpack(&blocks);
    let mut decoder = ::hpack::Decoder::new();
    decoder.set_max_table_size(4096);
    for (block, ours) in blocks.iter().zip(&ours) {
        let theirs = decoder.decode(block).expect("what is in order");
        assert_eq!(ours.len(), theirs.len());
        for ((name, value), (their_name, their_value)) in
            ours.iter().zip(theirs)
        {
            // It has the fifteenth name of the static table wrong.
            let wrong = (&b"accept-charset"[..], &b"accept-"[..]);
            assert!(*name == their_name || (&**name, &*their_name) == wrong);
            assert_eq!(*value, their_value);
        }
    }
}

fn check_connection(cut: u8, bytes: &[u8]) {
    let whole = http2(&[bytes]);
    let pieces: Vec<_> = bytes.chunks(usize::from(cut % 64) + 1).collect();
    assert_eq!(http2(&pieces), whole);
    // A stream ends once.
    for stream in [1, 3] {
        let end = [
            format!("End {{ stream: {stream} }}"),
            format!("Reset {{ stream: {stream},"),
        ];
        let ends = |it: &String| end.iter().any(|end| it.starts_with(end));
        let count = whole.events.iter().filter(|(it, _)| ends(it)).count();
        assert!(count <= 1, "{:?}", whole.events);
    }
    assert!(!whole.events.iter().any(|(it, _)| it.contains("of 5")));
}

/// A connection that begins in order.
fn begun(bytes: &[u8]) -> Vec<u8> {
    let mut connection = frame(4, 0, 0, &[]);
    connection.extend(frame(1, 4, 1, b"\x88"));
    connection.extend(bytes);
    connection
}

/// Frames: kind, flags, stream and length in a few bytes each.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut connection = frame(4, 0, 0, &[]);
    while let [kind, flags, stream, length, rest @ ..] = bytes {
        let length = usize::from(*length).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        let stream = u32::from(stream % 8);
        connection.extend(frame(kind % 11, *flags, stream, payload));
        bytes = rest;
    }
    connection
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}
