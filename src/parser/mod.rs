//! The standard's stream interpretation (§ 9.2.6): bytes in, events out,
//! nothing else.
//!
//! The parser works in place. A data value is handed to the program from the
//! very bytes it arrived in, its line end overwritten by a NUL; several data
//! lines are moved together. What the end of a piece cuts in two, and nothing
//! else, is copied into storage of the parser's own.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod look;
mod marks;
mod storage;

use std::fmt;
use std::mem;
use std::ops::ControlFlow::{self, Continue};
use std::ops::Range;
use std::ptr;
use std::str;
use std::sync::Arc;

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
use look::{Baseline, Look};
use marks::{Marks, WINDOW, pass_endless};
pub(crate) use storage::Id;
use storage::{KEPT_CAPACITY, LARGE, OwnText, append, clear, make_valid};

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

impl Event<'_> {
    /// Whether the stream has named no type: most do not.
    #[inline]
    pub(crate) fn is_untyped(&self) -> bool {
        ptr::eq(self.event_type.0, MESSAGE.0)
    }
}

/// Valid UTF-8, with a NUL after it for the readers in C.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

/// The type of an event for which the stream names none.
static MESSAGE: Text<'static> = Text(b"message\0");

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

/// Takes what the stream says, in stream order.
pub(crate) trait Sink {
    fn item(&mut self, item: Item<'_>) -> ControlFlow<()>;

    /// The same, of an item with something large in it: whoever keeps that need
    /// not copy it.
    fn large(
        &mut self,
        item: Item<'_>,
        shares: &Shares<'_>,
    ) -> ControlFlow<()> {
        let _ = shares;
        self.item(item)
    }
}

impl<F: FnMut(Item<'_>) -> ControlFlow<()>> Sink for F {
    #[inline(always)]
    fn item(&mut self, item: Item<'_>) -> ControlFlow<()> {
        self(item)
    }
}

/// The storage of those texts of an item that are large, with the NUL behind
/// each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shares<'a> {
    /// The data of an event or the text of a comment, which begins at a place
    /// in its storage.
    pub(crate) text: Option<(&'a Arc<Vec<u8>>, usize)>,
    pub(crate) event_type: Option<&'a Arc<Vec<u8>>>,
    pub(crate) last_event_id: Option<&'a Arc<Vec<u8>>>,
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
    /// It is long, and has data: what there is of that is in
    /// `Parser::own_data`, from `Parser::line_start` on.
    Data,
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
    line_start: usize,
    line_is_ascii: bool,

    // The block: the standard's buffers.
    data: Data,
    own_data: Vec<u8>,
    /// How many bytes of data there may be beside the type and the ID.
    max_data: usize,
    event_type: OwnText,
    /// The last event ID buffer, if this block has set it. Else its value is
    /// the last event ID string.
    id: Id,
    has_id: bool,
    /// The block has a line that is neither data nor a comment nor a
    /// reconnection time. Most blocks have none.
    has_other_field: bool,
    /// The block has such a field, or its event will have a large id.
    is_special: bool,
    /// Its event may have something large beside its data.
    has_large: bool,

    // The connection.
    /// A block has set the last event ID string, if to what it was.
    has_set_id: bool,

    // The source: what outlives a connection.
    last_event_id: Id,
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
            line_start: 0,
            line_is_ascii: true,
            data: Data::None,
            own_data: Vec::new(),
            max_data: DEFAULT_MAX_EVENT_SIZE,
            event_type: OwnText::default(),
            id: Id::default(),
            has_id: false,
            has_other_field: false,
            is_special: false,
            has_large: false,
            has_set_id: false,
            last_event_id: Id::default(),
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
        self.replace_last_event_id(text);
        true
    }

    /// Sets the last event ID string to what `id` holds, which is text, and
    /// ends with the only NUL in it.
    pub(crate) fn replace_last_event_id(&mut self, id: Vec<u8>) {
        self.last_event_id.replace(id);
        self.forget_id();
    }

    /// Sets the last event ID string to what others have, too.
    pub(crate) fn share_last_event_id(&mut self, id: Id) {
        self.last_event_id = id;
        self.forget_id();
    }

    /// The storage of the last event ID string, if it is large.
    pub(crate) fn shared_last_event_id(&self) -> Option<&Arc<Vec<u8>>> {
        self.last_event_id.shared()
    }

    /// The last event ID buffer is as the string.
    fn forget_id(&mut self) {
        self.has_id = false;
        self.id.clear();
        self.has_large = self.last_event_id.shared().is_some();
        self.is_special = self.has_other_field || self.has_large;
    }

    /// The last event ID string.
    pub fn last_event_id(&self) -> Text<'_> {
        self.last_event_id.text()
    }

    /// Begins a new connection: the unfinished block and line are dropped
    /// (R60), a BOM may come again (R39). The last event ID string is kept,
    /// and is where the last event ID buffer starts (R59).
    pub fn reset(&mut self) {
        self.prelude = Prelude::Bom(0);
        self.cut = CutLine::None;
        self.line_is_ascii = true;
        self.data = Data::None;
        self.has_other_field = false;
        self.has_set_id = false;
        self.forget_id();
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
            CutLine::Ignored | CutLine::Data => true,
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
        self.feed_into(bytes, &mut dispatch)
    }

    /// The same on any processor, so that tests can compare.
    #[doc(hidden)]
    pub fn feed_as_ever<F>(
        &mut self,
        bytes: &mut [u8],
        mut dispatch: F,
    ) -> ControlFlow<()>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        self.feed_by(Parser::interpret_as_ever, bytes, &mut dispatch)
    }

    /// As [`feed`](Parser::feed).
    #[inline(always)]
    pub(crate) fn feed_into(
        &mut self,
        bytes: &mut [u8],
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        self.feed_by(Parser::interpret, bytes, sink)
    }

    #[inline(always)]
    fn feed_by<S: Sink>(
        &mut self,
        interpret: fn(&mut Parser, &mut [u8], usize, &mut S) -> ControlFlow<()>,
        bytes: &mut [u8],
        sink: &mut S,
    ) -> ControlFlow<()> {
        if let &mut [byte] = bytes
            && self.keep_byte(byte)
        {
            return Continue(());
        }
        let start = match self.prelude {
            Prelude::None => 0,
            _ => self.skip_prelude(bytes),
        };
        let flow = interpret(self, bytes, start, sink);
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

    /// Interprets a piece from `start` on.
    #[inline(always)]
    fn interpret(
        &mut self,
        piece: &mut [u8],
        start: usize,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        // Where there is less to look at it does not pay.
        #[cfg(target_arch = "x86_64")]
        if piece.len() >= look::HALF
            && let Some(avx2) = Avx2::get()
        {
            return avx2.interpret(self, piece, start, sink);
        }
        self.interpret_as_ever(piece, start, sink)
    }

    /// The same on any processor.
    #[inline(never)]
    fn interpret_as_ever(
        &mut self,
        piece: &mut [u8],
        start: usize,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        self.interpret_by(Baseline, piece, start, sink)
    }

    /// Interprets a piece from `start` on, line by line, and keeps what is
    /// unfinished.
    #[inline(always)]
    fn interpret_by(
        &mut self,
        look: impl Look,
        piece: &mut [u8],
        mut start: usize,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let mut high_bits = 0;
        let mut base = 0;
        while base < piece.len() {
            // The marks are taken before anything moves, and nothing moves
            // but what lies before the line end that is next.
            let mut marks = Marks::at(look, piece, base);
            high_bits |= marks.high_bits;
            while let Some(end) = marks.next_end() {
                let end = base + end;
                if end < start {
                    // A LF that was passed along with what it follows.
                    continue;
                }
                let line = start..end;
                let ascii = high_bits == 0;
                start = end + 1;
                // A line ends with LF, CR or CRLF (R40).
                if piece[end] == b'\r' {
                    match piece.get(start) {
                        Some(b'\n') => start += 1,
                        Some(_) => {}
                        None => self.prelude = Prelude::Lf,
                    }
                }
                let is_empty = match self.cut {
                    CutLine::None if line.is_empty() => true,
                    CutLine::None => {
                        self.field(look, piece, line, ascii, sink)?;
                        false
                    }
                    _ => {
                        self.end_cut_line(look, &piece[line], ascii, sink)?;
                        false
                    }
                };
                if !is_empty {
                    high_bits = marks.high_bits;
                    // Behind the last line of a block, the empty line is here.
                    if piece.get(start) != Some(&b'\n') {
                        continue;
                    }
                    start += 1;
                }
                self.end_block(piece, sink)?;
                // Most servers send each block by itself.
                if start == piece.len() {
                    return Continue(());
                }
            }
            base += WINDOW;
            if base > start + LONG_LINE {
                // A long line: all that is sought is its end.
                let (next, passed) = pass_endless(look, piece, base);
                high_bits |= passed;
                base = next;
            }
        }
        self.keep_data(piece);
        if start < piece.len() {
            self.keep_line(&piece[start..], high_bits == 0);
        }
        Continue(())
    }

    /// Interprets a line that is not empty. The byte behind it is free for a
    /// NUL.
    // Inlined: most lines are short, and a call for each is a tenth of the time.
    #[inline(always)]
    fn field(
        &mut self,
        look: impl Look,
        piece: &mut [u8],
        Range { start, end }: Range<usize>,
        ascii: bool,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let line = &piece[start..end];
        if !ascii && !look.is_utf8(line) {
            let mut own = Vec::new();
            // How long it may be is seen to when its field is known.
            let kept = append(&mut own, line)
                && make_valid(look, &mut own, 0, usize::MAX);
            self.keep_data(piece);
            if !kept {
                self.drop_data();
                return Continue(());
            }
            return self.own_line(look, own, true, sink);
        }
        // Most lines begin so: they are compared once.
        let most = line.strip_prefix(b"data: ");
        let Some(value) = most.or_else(|| value(line, b"data")) else {
            return self.other_field(&mut piece[start..=end], sink);
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
        sink: &mut impl Sink,
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
            return sink.item(match comment.len() > self.max_event_size {
                true => Item::TooLarge,
                false => Item::Comment(Text(text(comment))),
            });
        }
        let fields = [&b"event"[..], b"id", b"retry"];
        match fields.map(|name| value(line, name)) {
            [None, None, None] => self.is_more_than_data(),
            _ if end > self.line_limit() => self.drop_data(),
            [Some(event_type), ..] => {
                let kept = self.event_type.set(text(event_type));
                self.name_is(kept);
            }
            [_, Some(id), _] => self.set_id(text(id)),
            [.., Some(time)] => return retry(time, sink),
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
            Data::Own { start } => {
                return self.add_own_data(start, &piece[from..to]);
            }
            Data::TooLarge => return,
        };
        if size - 1 > self.max_data {
            self.drop_data();
        }
    }

    #[inline(never)]
    fn add_own_data(&mut self, start: usize, value: &[u8]) {
        let size = self.own_data.len() - start + value.len();
        let end = self.own_data.len() - 1;
        self.own_data[end] = b'\n';
        // What is to be dropped is not even kept.
        if size - 1 > self.max_data || !append(&mut self.own_data, value) {
            self.drop_data();
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

    /// The block has a field of another kind.
    #[inline]
    fn is_more_than_data(&mut self) {
        self.has_other_field = true;
        self.is_special = true;
    }

    /// A type or an ID was set, if there was memory for it: less is left for
    /// data.
    #[inline]
    fn name_is(&mut self, kept: bool) {
        self.is_more_than_data();
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
    fn max_data_beside(&mut self, names: usize) -> usize {
        self.has_large = true;
        let all = self.max_event_size.saturating_add(NAMES);
        self.max_event_size.min(all.saturating_sub(names))
    }

    /// An empty line has ended the block: R53 to R58. If `sink` breaks, the last
    /// event ID string keeps its old value.
    #[inline]
    fn end_block(
        &mut self,
        piece: &[u8],
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        match self.is_special {
            false => self.end_data(piece, false, sink),
            true => self.end_special_block(piece, sink),
        }
    }

    #[inline(never)]
    fn end_special_block(
        &mut self,
        piece: &[u8],
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let new_id = self.has_id && self.id != self.last_event_id;
        match self.has_large {
            false => self.end_data(piece, new_id, sink)?,
            true => self.end_large_block(piece, new_id, sink)?,
        }
        self.clear_fields(new_id);
        Continue(())
    }

    /// Dispatches the data of a block that ends.
    #[inline(always)]
    fn end_data(
        &mut self,
        piece: &[u8],
        new_id: bool,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let text = match self.data {
            Data::InPiece { start, end } => &piece[start..end],
            Data::Own { start } if self.own_data.capacity() <= LARGE => {
                &self.own_data[start..]
            }
            Data::Own { .. } => {
                return self.end_large_block(piece, new_id, sink);
            }
            _ => return self.end_empty_block(new_id, sink),
        };
        let data = mem::replace(&mut self.data, Data::None);
        sink.item(self.event(text, new_id))?;
        if let Data::Own { .. } = data {
            clear(&mut self.own_data);
        }
        Continue(())
    }

    /// No data line, or too much data: no event (R54).
    #[inline(never)]
    fn end_empty_block(
        &mut self,
        new_id: bool,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let data = mem::replace(&mut self.data, Data::None);
        if new_id {
            let item = Item::LastEventId(self.id.text());
            match self.id.shared() {
                None => sink.item(item)?,
                id => {
                    let shares =
                        Shares { last_event_id: id, ..Shares::default() };
                    sink.large(item, &shares)?;
                }
            }
        }
        // R53: before the program hears of what was dropped.
        self.clear_fields(new_id);
        match data {
            Data::TooLarge => sink.item(Item::TooLarge),
            _ => Continue(()),
        }
    }

    /// The event has something large, which is shared.
    #[cold]
    fn end_large_block(
        &mut self,
        piece: &[u8],
        new_id: bool,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let own = Arc::new(mem::take(&mut self.own_data));
        let (text, own_text) = match self.data {
            Data::InPiece { start, end } => (&piece[start..end], None),
            Data::Own { start } => (&own[start..], Some((&own, start))),
            _ => return self.end_empty_block(new_id, sink),
        };
        self.data = Data::None;
        let event_type = self.event_type.take_large();
        let id = if new_id { &self.id } else { &self.last_event_id };
        let mut event = self.event_of(text, new_id);
        event.last_event_id = id.text();
        if let Some(large) = &event_type {
            event.event_type = Text(large);
        }
        let shares = Shares {
            text: own_text.filter(|(own, _)| own.capacity() > LARGE),
            event_type: event_type.as_ref(),
            last_event_id: id.shared(),
        };
        sink.large(Item::Event(event), &shares)?;
        // Unless somebody keeps it.
        if let Some(mut own) = Arc::into_inner(own) {
            clear(&mut own);
            self.own_data = own;
        }
        Continue(())
    }

    /// Ends the block but for its data: its id takes effect (R53).
    fn clear_fields(&mut self, new_id: bool) {
        if self.has_id {
            self.has_id = false;
            self.has_set_id = true;
            // Else what it was is kept, which others may share.
            if new_id {
                mem::swap(&mut self.id, &mut self.last_event_id);
            }
            self.id.clear();
        }
        self.event_type.clear();
        self.max_data = self.max_event_size;
        self.has_other_field = false;
        if self.has_large {
            self.has_large = self.last_event_id.shared().is_some();
        }
        self.is_special = self.has_large;
    }

    #[inline]
    fn event<'a>(&'a self, data: &'a [u8], new_id: bool) -> Item<'a> {
        Item::Event(self.event_of(data, new_id))
    }

    /// The event of a block whose id is small.
    #[inline]
    fn event_of<'a>(&'a self, data: &'a [u8], new_id: bool) -> Event<'a> {
        let id = if new_id { &self.id } else { &self.last_event_id };
        Event {
            event_type: self.event_type.get().unwrap_or(MESSAGE),
            data: Text(data),
            last_event_id: id.if_small(),
            sets_last_event_id: new_id,
        }
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
        match self.cut {
            CutLine::None | CutLine::Kept => {}
            CutLine::Data => return self.keep_long_data(part, ascii),
            CutLine::Ignored | CutLine::IgnoredComment => return,
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
        } else if self.line.len() > LARGE {
            self.divert_data();
        }
    }

    /// A line has become long. If it has data, that goes where data belong from
    /// now on: a long line is not stored twice when it ends.
    #[cold]
    fn divert_data(&mut self) {
        let start = match self.line[..] {
            [b'd', b'a', b't', b'a', b':', b' ', ..] => 6,
            [b'd', b'a', b't', b'a', b':', ..] => 5,
            _ => return,
        };
        self.line_start = match self.data {
            Data::None => {
                mem::swap(&mut self.own_data, &mut self.line);
                self.data = Data::Own { start };
                start
            }
            Data::Own { .. } => {
                let end = self.own_data.len();
                if !append(&mut self.own_data, &self.line[start..]) {
                    return self.drop_line();
                }
                // Not a NUL any more: another line has come.
                self.own_data[end - 1] = b'\n';
                end
            }
            Data::InPiece { .. } | Data::TooLarge => return self.drop_line(),
        };
        clear(&mut self.line);
        self.cut = CutLine::Data;
    }

    /// Keeps more of a long line that has data.
    fn keep_long_data(&mut self, part: &[u8], ascii: bool) {
        self.line_is_ascii &= ascii;
        let Data::Own { start } = self.data else { return };
        let size = self.own_data.len() - start + part.len();
        if size > self.max_data || !append(&mut self.own_data, part) {
            self.drop_line();
        }
    }

    /// A long line that has data ends.
    fn end_long_data(&mut self, look: impl Look, ascii: bool) {
        let Data::Own { start } = self.data else { return };
        let limit = self.max_data.saturating_sub(self.line_start - start);
        let length = self.own_data.len() - self.line_start;
        let own = &mut self.own_data;
        let kept = length <= limit
            && (ascii || make_valid(look, own, self.line_start, limit))
            && append(own, b"\0");
        if !kept {
            self.drop_data();
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
        look: impl Look,
        rest: &[u8],
        ascii: bool,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        self.keep_line(rest, ascii);
        let ascii = mem::replace(&mut self.line_is_ascii, true);
        match mem::replace(&mut self.cut, CutLine::None) {
            CutLine::None | CutLine::Kept => {}
            CutLine::Ignored => {
                self.is_more_than_data();
                return Continue(());
            }
            CutLine::IgnoredComment => return Continue(()),
            CutLine::Data => {
                self.end_long_data(look, ascii);
                return Continue(());
            }
        }
        let line = mem::take(&mut self.line);
        self.own_line(look, line, ascii, sink)
    }

    /// Interprets a line that has storage of its own. If the data begins with
    /// it, or if it is a large name, its storage becomes theirs, and nothing
    /// is copied.
    #[inline(never)]
    fn own_line(
        &mut self,
        look: impl Look,
        mut line: Vec<u8>,
        ascii: bool,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        // Longer than any line may be, it is not made longer.
        let limit = self.line_limit();
        let valid = ascii || make_valid(look, &mut line, 0, limit);
        if !valid || !append(&mut line, b"\0") {
            let comment = line.first() == Some(&b':');
            drop(line);
            if comment {
                return sink.item(Item::TooLarge);
            }
            self.drop_data();
            return Continue(());
        }
        let end = line.len() - 1;
        if self.comments && line[0] == b':' && line.capacity() > LARGE {
            return self.large_comment(line, sink);
        }
        if line.capacity() > KEPT_CAPACITY && end <= self.line_limit() {
            line = match self.large_name(line) {
                None => return Continue(()),
                Some(line) => line,
            };
        }
        self.field(look, &mut line, 0..end, true, sink)?;
        if let Data::InPiece { start, .. } = self.data {
            self.data = Data::Own { start };
            mem::swap(&mut self.own_data, &mut line);
        }
        clear(&mut line);
        self.line = line;
        Continue(())
    }

    /// A comment that is wanted, and shared.
    #[cold]
    fn large_comment(
        &mut self,
        line: Vec<u8>,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        if line.len() - 2 > self.max_event_size {
            return sink.item(Item::TooLarge);
        }
        let line = Arc::new(line);
        let shares = Shares { text: Some((&line, 1)), ..Shares::default() };
        sink.large(Item::Comment(Text(&line[1..])), &shares)
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
fn retry(value: &[u8], sink: &mut impl Sink) -> ControlFlow<()> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Continue(());
    }
    let time = value.iter().fold(0u64, |time, digit| {
        time.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    sink.item(Item::Retry(time))
}
