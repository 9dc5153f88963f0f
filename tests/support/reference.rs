//! § 9.2.6 of the standard as it is written there: the whole stream is
//! decoded, split into lines, and interpreted line by line. Slow, and meant to
//! be obviously right.

use crate::said::Said;

/// What a program asks of a parser.
#[derive(Clone, Debug)]
pub struct Wishes {
    pub comments: bool,
    /// The limit on the data of one event; 0 is none.
    pub max_event_size: usize,
    /// The last event ID string before the stream begins.
    pub last_event_id: String,
}

/// Interprets a whole stream.
pub fn interpret(stream: &[u8], wishes: &Wishes) -> Vec<Said> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut block = Block {
        max: match wishes.max_event_size {
            0 => usize::MAX,
            bytes => bytes,
        },
        comments: wishes.comments,
        data: String::new(),
        event_type: String::new(),
        id: wishes.last_event_id.clone(),
        too_large: false,
        last_event_id: wishes.last_event_id.clone(),
        said: Vec::new(),
    };
    for line in lines(&String::from_utf8_lossy(stream)) {
        block.line(&line);
    }
    block.said
}

/// The lines that have ended. What comes after the last line end is dropped.
fn lines(text: &str) -> Vec<String> {
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<String> =
        unified.split('\n').map(str::to_owned).collect();
    lines.pop();
    lines
}

fn is_digits(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

struct Block {
    max: usize,
    comments: bool,
    data: String,
    event_type: String,
    id: String,
    too_large: bool,
    last_event_id: String,
    said: Vec<Said>,
}

impl Block {
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.dispatch();
        } else if let Some(comment) = line.strip_prefix(':') {
            self.comment(comment);
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.strip_prefix(' ').unwrap_or(value);
            self.field(line.len(), name, value);
        } else {
            self.field(line.len(), line, "");
        }
    }

    fn comment(&mut self, comment: &str) {
        if self.comments {
            self.said.push(if comment.len() > self.max {
                Said::TooLarge
            } else {
                Said::Comment(comment.to_owned())
            });
        }
    }

    fn field(&mut self, line_len: usize, name: &str, value: &str) {
        if !["event", "data", "id", "retry"].contains(&name) {
            return;
        }
        if line_len > self.max.saturating_add(6) {
            self.too_large = true;
            return;
        }
        match name {
            "event" => self.event_type = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
                self.too_large |= self.data.len() - 1 > self.max;
            }
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if is_digits(value) => {
                let time = value.parse().unwrap_or(u64::MAX);
                self.said.push(Said::Retry(time));
            }
            // An id with a NUL, a retry that is no number.
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        if self.last_event_id != self.id {
            self.last_event_id = self.id.clone();
            self.said.push(Said::LastEventId(self.id.clone()));
        }
        let mut data = std::mem::take(&mut self.data);
        let event_type = std::mem::take(&mut self.event_type);
        if std::mem::take(&mut self.too_large) {
            self.said.push(Said::TooLarge);
        } else if data.pop().is_some() {
            self.said.push(Said::Event {
                event_type: match event_type.as_str() {
                    "" => "message".to_owned(),
                    _ => event_type,
                },
                data,
                last_event_id: self.last_event_id.clone(),
            });
        }
    }
}
