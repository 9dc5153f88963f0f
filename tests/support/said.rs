//! What a stream says, to keep and to compare.

use std::ops::ControlFlow::Continue;

use eventsource::parser::{Item, Parser, Text};

/// A parser's `Item`, with strings of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    LastEventId(String),
    Event { event_type: String, data: String, last_event_id: String },
    Comment(String),
    Retry(u64),
    TooLarge,
}

impl Said {
    /// What an item says; an event with a new id says two things.
    pub fn all(item: Item<'_>) -> Vec<Said> {
        let id = |id: Text<'_>| Said::LastEventId(id.as_str().into());
        match item {
            Item::LastEventId(new) => vec![id(new)],
            Item::Event(event) => {
                let new = event.sets_last_event_id;
                let new = new.then(|| id(event.last_event_id));
                let event = Said::Event {
                    event_type: event.event_type.as_str().into(),
                    data: event.data.as_str().into(),
                    last_event_id: event.last_event_id.as_str().into(),
                };
                new.into_iter().chain([event]).collect()
            }
            Item::Comment(text) => vec![Said::Comment(text.as_str().into())],
            Item::Retry(time) => vec![Said::Retry(time)],
            Item::TooLarge => vec![Said::TooLarge],
        }
    }
}

/// Feeds `stream`, cut before each of `cuts`, and hands every item on. Each
/// piece has storage of its own, so that a parser that looks beyond a piece,
/// or back into the last one, is found out.
pub fn feed_pieces(
    parser: &mut Parser,
    stream: &[u8],
    cuts: &[usize],
    mut hear: impl FnMut(Item<'_>),
) {
    let mut start = 0;
    for &cut in cuts.iter().chain([&stream.len()]) {
        let mut piece = stream[start..cut].to_vec();
        let flow = parser.feed(&mut piece, |item| {
            check_nul(item);
            hear(item);
            Continue(())
        });
        assert!(flow.is_continue());
        piece.fill(b'?');
        start = cut;
    }
}

/// Every text has a NUL right behind it.
fn check_nul(item: Item<'_>) {
    let texts = match item {
        Item::LastEventId(text) | Item::Comment(text) => vec![text],
        Item::Event(event) => {
            vec![event.event_type, event.data, event.last_event_id]
        }
        Item::Retry(_) | Item::TooLarge => vec![],
    };
    for text in texts {
        assert_eq!(text.bytes_with_nul(), [text.bytes(), b"\0"].concat());
    }
}
