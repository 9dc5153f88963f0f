//! The parser hears what well-known servers say, whatever ends their lines,
//! however the network cuts their streams and whatever the processor can.

use eventsource::parser::{Item, Parser};
use support::alone::{Heard, hear};
use support::corpora::{self, SHAPES, Shape};
use support::reference::Wishes;
use support::said::{Said, feed_pieces, feed_pieces_as_ever};
use support::vectors::breaks_off;

/// Byte by byte only as far as patience goes.
const TRICKLE: usize = 200 << 10;

/// R38 to R60 all together, on the streams of real life.
#[test]
fn hears_every_shape_in_pieces_of_every_size() {
    for (name, shape) in SHAPES {
        for end in ["\n", "\r\n", "\r"] {
            for bom in ["", "\u{FEFF}"] {
                hears(name, shape, end, bom);
            }
        }
    }
}

fn hears(name: &str, shape: Shape, end: &'static str, bom: &str) {
    let server = corpora::build(shape, 42, end);
    let stream = [bom.as_bytes(), &server.stream].concat();
    assert!(server.said.len() > 1, "{name} says something");
    for size in [1, 7, 63, 64, 65, 1460, 16 << 10, usize::MAX] {
        if size < 63 && stream.len() > TRICKLE {
            continue;
        }
        for as_ever in [false, true] {
            let heard = heard(&stream, size, as_ever);
            let mut both = heard.iter().zip(&server.said);
            if let Some(at) = both.position(|(a, b)| a != b) {
                assert_eq!(
                    heard[at], server.said[at],
                    "{name}, item {at}, {end:?}, {bom:?}, pieces of {size}"
                );
            }
            let (heard, said) = (heard.len(), server.said.len());
            assert_eq!(heard, said, "{name}, pieces of {size}");
        }
    }
}

/// Through the C API, too.
#[test]
fn hears_every_shape_by_the_parser_of_the_c_api() {
    let wishes = Wishes {
        comments: true,
        max_event_size: 0,
        last_event_id: String::new(),
    };
    for (name, shape) in SHAPES {
        let server = corpora::build(shape, 43, "\r\n");
        let unfinished = breaks_off(&wishes, &server.stream);
        let expected = Heard::of(&wishes, &server.said, unfinished);
        for size in [1460, server.stream.len()] {
            let heard = hear(&wishes, &server.stream, size);
            assert!(heard == expected, "{name}, pieces of {size}");
        }
    }
}

fn heard(stream: &[u8], size: usize, as_ever: bool) -> Vec<Said> {
    let mut parser = Parser::new();
    parser.set_comments(true);
    let cuts: Vec<usize> = (0..stream.len()).step_by(size).collect();
    let mut heard = Vec::new();
    let hear = |item: Item<'_>| heard.extend(Said::all(item));
    match as_ever {
        false => feed_pieces(&mut parser, stream, &cuts, hear),
        true => feed_pieces_as_ever(&mut parser, stream, &cuts, hear),
    }
    heard
}

/// The corpora are the same on every machine and at every time.
#[test]
fn builds_the_same_stream_from_the_same_seed() {
    for (name, shape) in SHAPES {
        let stream = |seed| corpora::build(shape, seed, "\n").stream;
        assert!(stream(1) == stream(1), "{name}");
    }
}
