//! What streams say, as text, for parsers that are not in Rust: their programs
//! are given vectors, and print what they heard.
//!
//! A vector is a line of five words: whether comments are wanted, the largest
//! event (0 is no limit), the last event ID string, how many bytes are fed at
//! once, and the stream. Bytes are in hexadecimal digits; `-` is no byte.

use std::env;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Mutex;

use eventsource::parser::Parser;

use crate::reference::Wishes;
use crate::said::{Said, feed_pieces};

/// Names the file to which [`note`] writes.
pub const NOTES: &str = "EVENTSOURCE_TEST_VECTORS";

/// A stream, and what is expected of a parser.
pub struct Vector {
    /// What its program is given.
    pub line: String,
    /// What it is to print.
    pub answer: String,
}

impl Vector {
    pub fn new(
        wishes: &Wishes,
        stream: &[u8],
        piece: usize,
        said: &[Said],
    ) -> Vector {
        let Wishes { comments, max_event_size, last_event_id } = wishes;
        let (id, bytes) = (hex(last_event_id.as_bytes()), hex(stream));
        let comments = u8::from(*comments);
        Vector {
            line: format!("{comments} {max_event_size} {id} {piece} {bytes}\n"),
            answer: answer(wishes, stream, said),
        }
    }
}

/// Writes vectors to the file that is wanted, if one is: a line, and its answer
/// in one more.
pub fn note(wishes: &Wishes, stream: &[u8], said: &[Said]) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    let Some(file) = env::var_os(NOTES) else { return };
    let _guard = ONE_AT_A_TIME.lock();
    let file = OpenOptions::new().append(true).create(true).open(file);
    let mut file = file.expect("a file for vectors");
    for piece in [1, 7, stream.len().max(1)] {
        let Vector { line, answer } = Vector::new(wishes, stream, piece, said);
        let answer = answer.replace('\n', ";");
        file.write_all(format!("{line}{answer}\n").as_bytes())
            .expect("room for vectors");
    }
}

/// The vectors that tests have written.
pub fn noted(file: &str) -> Vec<Vector> {
    let mut lines = file.lines();
    let mut vectors = Vec::new();
    while let (Some(line), Some(answer)) = (lines.next(), lines.next()) {
        let (line, answer) = (format!("{line}\n"), answer.replace(';', "\n"));
        vectors.push(Vector { line, answer });
    }
    vectors
}

/// What the parsers of the C API tell, a line for each callback; in the last,
/// what calls return: whether something was too large, whether the stream has
/// ended inside an event, and the last event ID string.
fn answer(wishes: &Wishes, stream: &[u8], said: &[Said]) -> String {
    let (mut text, mut too_large) = (String::new(), 0);
    let mut last_event_id = &*wishes.last_event_id;
    for said in said {
        match said {
            Said::LastEventId(id) => last_event_id = id,
            Said::TooLarge => too_large = 1,
            Said::Event { event_type, data, last_event_id } => {
                let words = [event_type, data, last_event_id];
                let words = words.map(|word| hex(word.as_bytes()));
                writeln!(text, "event {}", words.join(" ")).expect("a line");
            }
            Said::Comment(comment) => {
                let comment = hex(comment.as_bytes());
                writeln!(text, "comment {comment}").expect("a line");
            }
            Said::Retry(time) => {
                writeln!(text, "retry {time}").expect("a line");
            }
        }
    }
    let unfinished = u8::from(breaks_off(wishes, stream));
    let last_event_id = hex(last_event_id.as_bytes());
    writeln!(text, "end {too_large} {unfinished} {last_event_id}")
        .expect("a line");
    text
}

/// Whether a stream ends inside an event.
pub fn breaks_off(wishes: &Wishes, stream: &[u8]) -> bool {
    let mut parser = Parser::new();
    parser.set_comments(wishes.comments);
    parser.set_max_event_size(wishes.max_event_size);
    feed_pieces(&mut parser, stream, &[], |_| {});
    parser.is_inside_event()
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a digit");
    }
    text
}
