//! The parser says what the standard says, of any bytes, however they are cut,
//! on any processor, and over connections; it stays within each piece, and every
//! text is UTF-8 with a NUL behind it.

#![no_main]

use std::ops::ControlFlow::{Break, Continue};

use eventsource::parser::Parser;
use libfuzzer_sys::fuzz_target;
use support::reference::{Wishes, interpret};
use support::said::{Said, feed_pieces, feed_pieces_as_ever, parser};

/// Limits on an event: none, and some that short inputs reach.
const LIMITS: [usize; 4] = [0, 1, 10, 100];

// How it is fed, how it is cut, where a second connection begins; then the
// stream.
fuzz_target!(|input: &[u8]| {
    let [how, stride, border, stream @ ..] = input else { return };
    let mut wishes = Wishes {
        comments: how & 1 != 0,
        max_event_size: LIMITS[usize::from(how >> 1 & 3)],
        last_event_id: if how & 8 != 0 { "preset" } else { "" }.to_owned(),
    };
    let (mut parser, mut plain) = (parser(&wishes), parser(&wishes));

    let border = stream.len() * usize::from(*border) / 256;
    let (first, second) = stream.split_at(border);
    for stream in [first, second] {
        let expected = interpret(stream, &wishes);
        let cuts = cuts(stream, *stride);
        let mut said = Vec::new();
        parser.reset();
        feed_pieces(&mut parser, stream, &cuts, |item| {
            said.extend(Said::all(item));
        });
        assert_eq!(said, expected);
        let mut said_as_ever = Vec::new();
        plain.reset();
        feed_pieces_as_ever(&mut plain, stream, &cuts, |item| {
            said_as_ever.extend(Said::all(item));
        });
        assert_eq!(said_as_ever, expected);
        let last = said.iter().rev().find_map(|said| match said {
            Said::LastEventId(id) => Some(id),
            _ => None,
        });
        if let Some(id) = last {
            wishes.last_event_id.clone_from(id);
        }
        assert_eq!(parser.last_event_id().as_str(), wishes.last_event_id);
    }
    if how & 16 != 0 {
        break_off(parser, second, usize::from(how >> 5));
    }
});

/// Pieces of `stride` bytes; of growing sizes from 128 on, and one from 0.
fn cuts(stream: &[u8], stride: u8) -> Vec<usize> {
    let growth = usize::from(stride.saturating_sub(128));
    let first = usize::from(stride).min(128);
    let mut cuts = Vec::new();
    let (mut at, mut length) = (first, first);
    while length > 0 && at < stream.len() {
        cuts.push(at);
        length += growth;
        at += length;
    }
    cuts
}

/// Takes `count` items of `stream` and no more: the parser is then as new,
/// but for the id of what was taken.
fn break_off(mut parser: Parser, stream: &[u8], count: usize) {
    parser.reset();
    let mut id = parser.last_event_id().as_str().to_owned();
    let mut taken = 0;
    let flow = parser.feed(&mut stream.to_vec(), |item| {
        if taken == count {
            return Break(());
        }
        taken += 1;
        for said in Said::all(item) {
            if let Said::LastEventId(new) = said {
                id = new;
            }
        }
        Continue(())
    });
    assert_eq!(parser.last_event_id().as_str(), id);
    if flow.is_break() {
        let mut events = 0;
        let end = parser.feed(&mut b"data\n\n".to_vec(), |item| {
            events += Said::all(item).len();
            Continue(())
        });
        assert!(end.is_continue());
        assert_eq!(events, 1);
    }
}
