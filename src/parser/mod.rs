//! The standard's stream interpretation (§ 9.2.6): bytes in, events out,
//! nothing else.
//!
//! The parser works in place. A data value is handed to the program from the
//! very bytes it arrived in, its line end overwritten by a NUL; several data
//! lines are moved together. What the end of a piece cuts in two, and nothing
//! else, is copied into storage of the parser's own.

mod marks;
mod storage;

use std::fmt;
use std::mem;
use std::ops::ControlFlow::{self, Continue};
use std::ops::Range;
use std::str;

use marks::{Marks, WINDOW, pass_endless};
use storage::{KEPT_CAPACITY, OwnText, append, clear, make_valid};

/// The largest event, in bytes of data, unless the program says otherwise.
const DEFAULT_MAX_EVENT_SIZE: usize = 64 << 20;

/// What a field may have before its value: `event:` or `retry:`, or `data:`
/// and a blank.
const LONGEST_PREFIX: usize = 6;

/// How much longer than the largest data an event may be with its type and
/// its ID.
const NAMES: usize = 64 << 10;

/// From this length on a line is only searched for its end. A smaller value
/// mispredicts (`cargo bench --bench parser`, shapes of short lines).
const LONG_LINE: usize = 2 * WINDOW;

const BOM: [u8; 3] = *b"\xEF\xBB\xBF";

/// What the stream says, in stream order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The last event ID string takes this new value at the end of a block
    /// that dispatches no event (R53). There is no NUL in it.
    LastEventId(Text<'a>),
    /// An event is dispatched (R56).
    Event(Event<'a>),
    /// A comment, if comments are wanted: what stands after the colon,
    /// unchanged, as soon as its line has ended.
    Comment(Text<'a>),
    /// A `retry` field, in milliseconds, the moment its line is read (R52).
    /// More than `u64` can hold is `u64::MAX`.
    Retry(u64),
    /// The block that has just ended, or a wanted comment, was over the limit
    /// and was dropped (R49). It comes where the event would have.
    TooLarge,
}

/// An event, as § 9.2.6 dispatches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event type, `message` unless the stream named one.
    pub event_type: Text<'a>,
    /// The data, without the last LF (R55).
    pub data: Text<'a>,
    /// The last event ID string, also if the event had no `id` (R58).
    pub last_event_id: Text<'a>,
    /// Whether the last event ID string takes this value only now (R53).
    pub sets_last_event_id: bool,
}

/// Valid UTF-8, with a NUL after it for the readers in C.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Text that a parser has given, with its NUL.
    pub(crate) fn with_nul(text: &'a [u8]) -> Text<'a> {
        Text(text)
    }

    /// The text.
    pub fn bytes(self) -> &'a [u8] {
        &self.0[..self.0.len() - 1]
    }

    /// The text and its NUL.
    pub fn bytes_with_nul(self) -> &'a [u8] {
        self.0
    }

    /// The text as a string.
    pub fn as_str(self) -> &'a str {
        str::from_utf8(self.bytes()).expect("every line is made valid")
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// The data buffer of the block being read. The text ends with a NUL, which
/// becomes the LF between two lines when another line comes.
#[derive(Clone, Copy)]
enum Data {
    /// No data line yet.
    None,
    /// These bytes of the piece.
    InPiece { start: usize, end: usize },
    /// The parser's own storage, from here on.
    Own { start: usize },
    /// The block is over the limit.
    TooLarge,
}

/// What a piece may begin with that belongs to no line.
#[derive(Clone, Copy)]
enum Prelude {
    None,
    /// A byte order mark, of which so much has been seen (R39).
    Bom(usize),
    /// The LF of a CRLF; the CR did not wait for it (R41).
    Lf,
}

/// The line that the end of a piece has cut, if any.
#[derive(Clone, Copy, PartialEq)]
enum CutLine {
    None,
    /// What there is of it is in `Parser::line`.
    Kept,
    /// It cannot matter any more; its end is awaited.
    Ignored,
    /// The same, and it is a comment.
    IgnoredComment,
}

/// The value in a line, if its field has that name. Names are compared
/// literally (R48).
#[inline(always)]
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        // One blank is removed (R46); no colon is an empty value (R47).
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
    }
}

/// Interprets an event stream, piece by piece.
pub struct Parser {
    // What the program wants.
    max_event_size: usize,
    comments: bool,

    // The stream, at the border of two pieces.
    prelude: Prelude,
    cut: CutLine,
    line: Vec<u8>,
    line_is_ascii: bool,

    // The block: the standard's buffers.
    data: Data,
    own_data: Vec<u8>,
    /// How many bytes of data there may be beside the type and the ID.
    max_data: usize,
    event_type: OwnText,
    /// The last event ID buffer, if this block has set it. Else its value is
    /// the last event ID string.
    id: OwnText,
    has_id: bool,
    /// The block has a line that is neither data nor a comment nor a
    /// reconnection time. Most blocks have none.
    has_other_field: bool,

    // The connection.
    /// A block has set the last event ID string, if to what it was.
    has_set_id: bool,

    // The source: what outlives a connection.
    last_event_id: OwnText,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}

impl Parser {
    /// Makes a parser for a first connection: the last event ID string is
    /// empty, the largest event 64 MiB, comments are not wanted.
    pub fn new() -> Parser {
        Parser {
            max_event_size: DEFAULT_MAX_EVENT_SIZE,
            comments: false,
            prelude: Prelude::Bom(0),
            cut: CutLine::None,
            line: Vec::new(),
            line_is_ascii: true,
            data: Data::None,
            own_data: Vec::new(),
            max_data: DEFAULT_MAX_EVENT_SIZE,
            event_type: OwnText::default(),
            id: OwnText::default(),
            has_id: false,
            has_other_field: false,
            has_set_id: false,
            last_event_id: OwnText::default(),
        }
    }

    /// Sets how many bytes of data an event may have; 0 is no limit (R49). No
    /// other line may be longer than the longest data line, and type, ID and
    /// data together not longer than that and 64 KiB.
    pub fn set_max_event_size(&mut self, bytes: usize) {
        self.max_event_size = if bytes == 0 { usize::MAX } else { bytes };
        self.max_data = self.max_event_size;
    }

    /// Sets whether comments are wanted.
    pub fn set_comments(&mut self, wanted: bool) {
        self.comments = wanted;
    }

    /// Presets the last event ID string. One with a NUL in it is ignored, as
    /// it is in the stream (R52). False, and the old one stays, if there is no
    /// memory for it.
    pub fn set_last_event_id(&mut self, id: &str) -> bool {
        if id.contains('\0') {
            return true;
        }
        let mut text = Vec::new();
        if !append(&mut text, id.as_bytes()) || !append(&mut text, b"\0") {
            return false;
        }
        self.last_event_id.replace(text);
        self.has_id = false;
        true
    }

    /// Sets the last event ID string to what `id` holds, which is text, and
    /// ends with the only NUL in it.
    pub(crate) fn replace_last_event_id(&mut self, id: Vec<u8>) {
        self.last_event_id.replace(id);
        self.has_id = false;
    }

    /// The last event ID string.
    pub fn last_event_id(&self) -> Text<'_> {
        self.last_event_id.get_or_empty()
    }

    /// Begins a new connection: the unfinished block and line are dropped
    /// (R60), a BOM may come again (R39). The last event ID string is kept,
    /// and is where the last event ID buffer starts (R59).
    pub fn reset(&mut self) {
        self.prelude = Prelude::Bom(0);
        self.cut = CutLine::None;
        self.line_is_ascii = true;
        self.data = Data::None;
        self.has_id = false;
        self.has_other_field = false;
        self.has_set_id = false;
        self.id.clear();
        clear(&mut self.line);
        clear(&mut self.own_data);
        self.event_type.clear();
        self.max_data = self.max_event_size;
    }

    /// Whether a block of this connection has set the last event ID string, be
    /// it to what it was before.
    pub fn has_set_last_event_id(&self) -> bool {
        self.has_set_id
    }

    /// Whether an event, or what might have become one, has begun and not
    /// ended: [`reset`](Parser::reset) would drop it (R60). Comments begin
    /// none, nor does a `retry` field, which counts when it is read.
    pub fn is_inside_event(&self) -> bool {
        let inside_line = match self.cut {
            CutLine::None | CutLine::IgnoredComment => false,
            CutLine::Kept => !self.line.starts_with(b":"),
            CutLine::Ignored => true,
        };
        inside_line || !matches!(self.data, Data::None) || self.has_other_field
    }

    /// Interprets the next bytes of the stream, in place: they are
    /// overwritten.
    ///
    /// `dispatch` may break off instead of taking an item: that item and the
    /// rest of `bytes` are then dropped, and the parser is as after
    /// [`reset`](Parser::reset); the last event ID string is that of what was
    /// taken.
    pub fn feed<F>(
        &mut self,
        bytes: &mut [u8],
        mut dispatch: F,
    ) -> ControlFlow<()>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        if let &mut [byte] = bytes
            && self.keep_byte(byte)
        {
            return Continue(());
        }
        let start = match self.prelude {
            Prelude::None => 0,
            _ => self.skip_prelude(bytes),
        };
        let flow = self.interpret(bytes, start, &mut dispatch);
        if flow.is_break() {
            self.reset();
        }
        flow
    }

    /// Tells where in a piece the first line begins, or goes on.
    #[cold]
    fn skip_prelude(&mut self, piece: &[u8]) -> usize {
        for (at, &byte) in piece.iter().enumerate() {
            match self.prelude {
                Prelude::Bom(seen) if byte == BOM[seen] => {
                    let seen = seen + 1;
                    self.prelude = match BOM.get(seen) {
                        Some(_) => Prelude::Bom(seen),
                        None => Prelude::None,
                    };
                    continue;
                }
                // A part of a BOM is the beginning of a line, and no field
                // has such a name.
                Prelude::Bom(1..) => self.cut = CutLine::Ignored,
                Prelude::Lf if byte == b'\n' => {
                    self.prelude = Prelude::None;
                    continue;
                }
                _ => {}
            }
            self.prelude = Prelude::None;
            return at;
        }
        piece.len()
    }

    /// Interprets a piece from `start` on, line by line, and keeps what is
    /// unfinished.
    fn interpret(
        &mut self,
        piece: &mut [u8],
        mut start: usize,
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut ascii = true;
        let mut base = 0;
        while base < piece.len() {
            // The marks are taken before anything moves, and nothing moves
            // but what lies before the line end that is next.
            let mut marks = Marks::at(piece, base);
            ascii &= marks.ascii;
            while let Some(end) = marks.next_end() {
                let end = base + end;
                if end < start {
                    // A LF that was passed along with what it follows.
                    continue;
                }
                let line = start..end;
                start = end + 1;
                // A line ends with LF, CR or CRLF (R40).
                if piece[end] == b'\r' {
                    match piece.get(start) {
                        Some(b'\n') => start += 1,
                        Some(_) => {}
                        None => self.prelude = Prelude::Lf,
                    }
                }
                if !line.is_empty() || self.cut != CutLine::None {
                    self.end_line(piece, line, ascii, dispatch)?;
                    ascii = marks.ascii;
                    // Behind the last line of a block, the empty line is here.
                    if piece.get(start) != Some(&b'\n') {
                        continue;
                    }
                    start += 1;
                }
                self.end_block(piece, dispatch)?;
            }
            base += WINDOW;
            if base > start + LONG_LINE {
                // A long line: all that is sought is its end.
                let (next, passed_ascii) = pass_endless(piece, base);
                ascii &= passed_ascii;
                base = next;
            }
        }
        self.keep_data(piece);
        if start < piece.len() {
            self.keep_line(&piece[start..], ascii);
        }
        Continue(())
    }

    /// Interprets a line that is not empty.
    // Inlined: most lines are short, and a call for each is a tenth of the time.
    #[inline(always)]
    fn end_line(
        &mut self,
        piece: &mut [u8],
        line: Range<usize>,
        ascii: bool,
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self.cut {
            CutLine::None => self.field(piece, line, ascii, dispatch),
            _ => self.end_cut_line(&piece[line], ascii, dispatch),
        }
    }

    /// Interprets a line that is not empty. The byte behind it is free for a
    /// NUL.
    #[inline(always)]
    fn field(
        &mut self,
        piece: &mut [u8],
        Range { start, end }: Range<usize>,
        ascii: bool,
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let line = &piece[start..end];
        if !ascii && simdutf8::basic::from_utf8(line).is_err() {
            let mut own = Vec::new();
            // How long it may be is seen to when its field is known.
            let kept =
                append(&mut own, line) && make_valid(&mut own, usize::MAX);
            self.keep_data(piece);
            if !kept {
                self.drop_data();
                return Continue(());
            }
            return self.own_line(own, true, dispatch);
        }
        let Some(value) = value(line, b"data") else {
            return self.other_field(&mut piece[start..=end], dispatch);
        };
        let start = end - value.len();
        piece[end] = 0;
        self.add_data(piece, start, end + 1);
        Continue(())
    }

    /// Interprets a line that is no data, and has room for a NUL at its end.
    #[inline(never)]
    fn other_field(
        &mut self,
        line: &mut [u8],
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let end = line.len() - 1;
        line[end] = 0;
        // A value, with its NUL.
        let text = |value: &[u8]| &line[end - value.len()..];
        let line = &line[..end];
        if let [b':', comment @ ..] = line {
            if !self.comments {
                return Continue(());
            }
            return dispatch(match comment.len() > self.max_event_size {
                true => Item::TooLarge,
                false => Item::Comment(Text(text(comment))),
            });
        }
        let fields = [&b"event"[..], b"id", b"retry"];
        match fields.map(|name| value(line, name)) {
            [None, None, None] => self.has_other_field = true,
            _ if end > self.line_limit() => self.drop_data(),
            [Some(event_type), ..] => {
                let kept = self.event_type.set(text(event_type));
                self.name_is(kept);
            }
            [_, Some(id), _] => self.set_id(text(id)),
            [.., Some(time)] => return retry(time, dispatch),
        }
        Continue(())
    }

    /// Appends the value in `piece[from..to]`, with its NUL, to the data buffer
    /// (R51).
    #[inline(always)]
    fn add_data(&mut self, piece: &mut [u8], from: usize, to: usize) {
        let size = match self.data {
            Data::None => {
                self.data = Data::InPiece { start: from, end: to };
                to - from
            }
            Data::InPiece { start, end } => {
                piece[end - 1] = b'\n';
                piece.copy_within(from..to, end);
                let end = end + (to - from);
                self.data = Data::InPiece { start, end };
                end - start
            }
            Data::Own { start } => self.add_own_data(start, &piece[from..to]),
            Data::TooLarge => return,
        };
        if size - 1 > self.max_data {
            self.drop_data();
        }
    }

    #[inline(never)]
    fn add_own_data(&mut self, start: usize, value: &[u8]) -> usize {
        let size = self.own_data.len() - start + value.len();
        // Not even to be dropped.
        if size - 1 > self.max_data {
            return size;
        }
        let end = self.own_data.len() - 1;
        self.own_data[end] = b'\n';
        match append(&mut self.own_data, value) {
            true => size,
            false => usize::MAX,
        }
    }

    /// Sets the last event ID buffer, unless there is a NUL in `value` beside
    /// the one that ends it (R52).
    fn set_id(&mut self, value: &[u8]) {
        let id = &value[..value.len() - 1];
        // Not any(), which looks at them one by one.
        let nul = id.iter().fold(false, |nul, byte| nul | (*byte == 0));
        if !nul {
            self.has_id = self.id.set(value);
            self.name_is(self.has_id);
        }
    }

    /// A type or an ID was set, if there was memory for it: less is left for
    /// data.
    #[inline]
    fn name_is(&mut self, kept: bool) {
        self.has_other_field = true;
        let names = self.event_type.len() + self.id.len();
        self.max_data = match names > NAMES {
            true => self.max_data_beside(names),
            false => self.max_event_size,
        };
        if !kept {
            self.drop_data();
        }
    }

    #[cold]
    fn max_data_beside(&self, names: usize) -> usize {
        let all = self.max_event_size.saturating_add(NAMES);
        self.max_event_size.min(all.saturating_sub(names))
    }

    /// An empty line has ended the block: R53 to R58. If `dispatch` breaks,
    /// the last event ID string keeps its old value.
    #[inline]
    fn end_block(
        &mut self,
        piece: &[u8],
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self.has_other_field {
            false => self.end_data(piece, false, dispatch),
            true => self.end_block_of_fields(piece, dispatch),
        }
    }

    #[inline(never)]
    fn end_block_of_fields(
        &mut self,
        piece: &[u8],
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let new_id = self.has_id && self.id != self.last_event_id;
        self.end_data(piece, new_id, dispatch)?;
        self.clear_fields();
        Continue(())
    }

    /// Dispatches the data of a block that ends.
    #[inline(always)]
    fn end_data(
        &mut self,
        piece: &[u8],
        new_id: bool,
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let data = mem::replace(&mut self.data, Data::None);
        let text = match data {
            Data::InPiece { start, end } => &piece[start..end],
            Data::Own { start } => &self.own_data[start..],
            _ => return self.end_empty_block(data, new_id, dispatch),
        };
        dispatch(self.event(text, new_id))?;
        if let Data::Own { .. } = data {
            clear(&mut self.own_data);
        }
        Continue(())
    }

    /// No data line, or too much data: no event (R54).
    #[inline(never)]
    fn end_empty_block(
        &mut self,
        data: Data,
        new_id: bool,
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if new_id {
            dispatch(Item::LastEventId(self.id.get_or_empty()))?;
        }
        // R53: before the program hears of what was dropped.
        self.clear_fields();
        match data {
            Data::TooLarge => dispatch(Item::TooLarge),
            _ => Continue(()),
        }
    }

    /// Ends the block but for its data: its id takes effect (R53).
    fn clear_fields(&mut self) {
        if self.has_id {
            self.has_id = false;
            self.has_set_id = true;
            mem::swap(&mut self.id, &mut self.last_event_id);
            self.id.clear();
        }
        self.event_type.clear();
        self.max_data = self.max_event_size;
        self.has_other_field = false;
    }

    #[inline]
    fn event<'a>(&'a self, data: &'a [u8], new_id: bool) -> Item<'a> {
        let id = if new_id { &self.id } else { &self.last_event_id };
        Item::Event(Event {
            event_type: self.event_type.get().unwrap_or(Text(b"message\0")),
            data: Text(data),
            last_event_id: id.get_or_empty(),
            sets_last_event_id: new_id,
        })
    }

    /// How long the next line may be, so that the event is not over its limit.
    fn line_limit(&self) -> usize {
        let held = self.own_data.len() + self.event_type.len() + self.id.len();
        let all = self.max_event_size.saturating_add(NAMES);
        let left = all.saturating_sub(held).min(self.max_event_size);
        left.saturating_add(LONGEST_PREFIX)
    }

    /// The block is over the limit, or over what memory there is.
    #[cold]
    fn drop_data(&mut self) {
        self.data = Data::TooLarge;
        clear(&mut self.own_data);
        self.event_type.clear();
    }

    /// The line that a piece has cut cannot be kept.
    #[cold]
    fn drop_line(&mut self) {
        self.drop_data();
        clear(&mut self.line);
        self.cut = CutLine::Ignored;
    }

    /// Keeps the data of an unfinished block when the piece ends.
    fn keep_data(&mut self, piece: &[u8]) {
        if let Data::InPiece { start, end } = self.data {
            match append(&mut self.own_data, &piece[start..end]) {
                true => self.data = Data::Own { start: 0 },
                false => self.drop_data(),
            }
        }
    }

    /// Keeps what there is of an unfinished line, unless it is to be ignored.
    /// Beyond the limit it is not kept, only known to be too long.
    fn keep_line(&mut self, part: &[u8], ascii: bool) {
        if let CutLine::Ignored | CutLine::IgnoredComment = self.cut {
            return;
        }
        self.cut = CutLine::Kept;
        self.line_is_ascii &= ascii;
        let missing = LONGEST_PREFIX.saturating_sub(self.line.len());
        let (prefix, rest) = part.split_at(missing.min(part.len()));
        if missing > 0 {
            self.line.extend_from_slice(prefix);
            if !self.line_may_matter() {
                self.cut = match self.line[..] {
                    [b':', ..] => CutLine::IgnoredComment,
                    _ => CutLine::Ignored,
                };
                clear(&mut self.line);
                return;
            }
        }
        let most = self.line_limit().saturating_add(1);
        let room = most.saturating_sub(self.line.len());
        if !append(&mut self.line, &rest[..rest.len().min(room)]) {
            self.drop_line();
        }
    }

    /// Appends to a line that is kept, unless `byte` ends it or tells what its
    /// field is: the short way for streams that trickle.
    #[inline]
    fn keep_byte(&mut self, byte: u8) -> bool {
        let length = self.line.len();
        let plain = self.cut == CutLine::Kept
            && byte != b'\n'
            && byte != b'\r'
            && length != LONGEST_PREFIX - 1
            && length < self.max_event_size
            // Storage grows only where it may fail to.
            && length < self.line.capacity();
        if plain {
            self.line.push(byte);
            self.line_is_ascii &= byte.is_ascii();
        }
        plain
    }

    /// Whether the unfinished line is, or may become, a field to be read.
    fn line_may_matter(&self) -> bool {
        let prefixes = ["data:", "event:", "id:", "retry:", ":"];
        let wanted = if self.comments { 5 } else { 4 };
        prefixes[..wanted].iter().any(|prefix| {
            let known = prefix.len().min(self.line.len());
            self.line[..known] == prefix.as_bytes()[..known]
        })
    }

    /// The line that a piece has cut ends with `rest`.
    #[inline(never)]
    fn end_cut_line(
        &mut self,
        rest: &[u8],
        ascii: bool,
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.keep_line(rest, ascii);
        let ascii = mem::replace(&mut self.line_is_ascii, true);
        match mem::replace(&mut self.cut, CutLine::None) {
            CutLine::None | CutLine::Kept => {}
            CutLine::Ignored => {
                self.has_other_field = true;
                return Continue(());
            }
            CutLine::IgnoredComment => return Continue(()),
        }
        let line = mem::take(&mut self.line);
        self.own_line(line, ascii, dispatch)
    }

    /// Interprets a line that has storage of its own. If the data begins with
    /// it, or if it is a large name, its storage becomes theirs, and nothing
    /// is copied.
    #[inline(never)]
    fn own_line(
        &mut self,
        mut line: Vec<u8>,
        ascii: bool,
        dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        // Longer than any line may be, it is not made longer.
        let valid = ascii || make_valid(&mut line, self.line_limit());
        if !valid || !append(&mut line, b"\0") {
            let comment = line.first() == Some(&b':');
            drop(line);
            if comment {
                return dispatch(Item::TooLarge);
            }
            self.drop_data();
            return Continue(());
        }
        let end = line.len() - 1;
        if line.capacity() > KEPT_CAPACITY && end <= self.line_limit() {
            line = match self.large_name(line) {
                None => return Continue(()),
                Some(line) => line,
            };
        }
        self.field(&mut line, 0..end, true, dispatch)?;
        if let Data::InPiece { start, .. } = self.data {
            self.data = Data::Own { start };
            mem::swap(&mut self.own_data, &mut line);
        }
        clear(&mut line);
        self.line = line;
        Continue(())
    }

    /// Takes the storage of a line for the type or the ID in it, if that is
    /// what it has; else gives the line back.
    #[cold]
    fn large_name(&mut self, mut line: Vec<u8>) -> Option<Vec<u8>> {
        let content = &line[..line.len() - 1];
        if let Some(event_type) = value(content, b"event") {
            let start = content.len() - event_type.len();
            line.drain(..start);
            self.event_type.replace(line);
            self.name_is(true);
            return None;
        }
        let Some(id) = value(content, b"id") else { return Some(line) };
        if id.contains(&0) {
            return None;
        }
        let start = content.len() - id.len();
        line.drain(..start);
        self.id.replace(line);
        self.has_id = true;
        self.name_is(true);
        None
    }
}

/// Reads a `retry` value: ASCII digits, or it is ignored (R52).
fn retry(
    value: &[u8],
    dispatch: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Continue(());
    }
    let time = value.iter().fold(0u64, |time, digit| {
        time.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    dispatch(Item::Retry(time))
}
