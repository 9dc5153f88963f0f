//! What a stream says, to keep and to compare.

use std::ops::ControlFlow::{self, Continue};

use eventsource::parser::{Item, Parser, Text};

use crate::reference::Wishes;

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

/// A parser that does as is wished.
pub fn parser(wishes: &Wishes) -> Parser {
    let mut parser = Parser::new();
    parser.set_comments(wishes.comments);
    parser.set_max_event_size(wishes.max_event_size);
    parser.set_last_event_id(&wishes.last_event_id);
    parser
}

/// Feeds `stream`, cut before each of `cuts`, and hands every item on.
pub fn feed_pieces(
    parser: &mut Parser,
    stream: &[u8],
    cuts: &[usize],
    mut hear: impl FnMut(Item<'_>),
) {
    each_piece(stream, cuts, |piece| {
        parser.feed(piece, |item| hear_one(item, &mut hear))
    });
}

/// The same without what only some processors have.
pub fn feed_pieces_as_ever(
    parser: &mut Parser,
    stream: &[u8],
    cuts: &[usize],
    mut hear: impl FnMut(Item<'_>),
) {
    each_piece(stream, cuts, |piece| {
        parser.feed_as_ever(piece, |item| hear_one(item, &mut hear))
    });
}

/// Each piece has storage of its own, so that a parser that looks beyond a
/// piece, or back into the last one, is found out.
fn each_piece(
    stream: &[u8],
    cuts: &[usize],
    mut feed: impl FnMut(&mut [u8]) -> ControlFlow<()>,
) {
    let mut start = 0;
    for &cut in cuts.iter().chain([&stream.len()]) {
        let mut piece = stream[start..cut].to_vec();
        assert!(feed(&mut piece).is_continue());
        piece.fill(b'?');
        start = cut;
    }
}

fn hear_one(
    item: Item<'_>,
    hear: &mut impl FnMut(Item<'_>),
) -> ControlFlow<()> {
    check_nul(item);
    hear(item);
    Continue(())
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
