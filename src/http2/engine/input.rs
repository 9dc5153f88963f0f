//! The server's bytes, as they come: which frame they are of, and what is due
//! before the next.

use std::mem;

use super::{Broken, Engine, Event, MANY_REPLIES, MAX_REPLIES, Stream};
use crate::http2::frame::{self, Code, Head as Frame, flag, kind};

/// Where in a frame the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    /// In a frame that is read whole.
    Payload,
    /// Before the length of the padding.
    PadLength,
    /// In DATA, of which so much is left, before so much padding.
    Data(usize, usize),
    /// In what means nothing.
    Skipped(usize),
}

impl Engine {
    /// What the next of the server's bytes mean; None once `bytes` is empty.
    pub(crate) fn next<'a>(
        &mut self,
        bytes: &mut &'a mut [u8],
    ) -> Result<Option<Event<'a>>, Broken> {
        let head = bytes.first_chunk().map(Frame::read);
        if let Some(Frame { kind: kind::DATA, stream, .. }) = head
            && let Some(mut run) = self.run(stream, bytes)
            && let Some(bytes) = run.take()
        {
            return Ok(Some(Event::Data { stream, bytes }));
        }
        self.next_slowly(bytes)
    }

    /// The data of a stream with which `bytes` begin, frame by frame. Servers send
    /// a frame for each event: this is the shortest way to it. What it passes
    /// over is left to [`Engine::next`].
    #[inline(always)]
    pub(crate) fn run<'e, 'a, 'b>(
        &'e mut self,
        stream: u32,
        bytes: &'a mut &'b mut [u8],
    ) -> Option<Run<'e, 'a, 'b>> {
        let index = self.find(stream).filter(|_| self.is_between)?;
        let Stream { window, left, has_head, .. } = self.streams[index];
        // Where a length was announced, the data have to be counted.
        if !has_head || left.is_some() {
            return None;
        }
        let (taken, consumed, engine) = (0, 0, self);
        Some(Run { engine, index, stream, window, taken, consumed, bytes })
    }

    #[inline(never)]
    fn next_slowly<'a>(
        &mut self,
        bytes: &mut &'a mut [u8],
    ) -> Result<Option<Event<'a>>, Broken> {
        let event = self.next_of_any_kind(bytes);
        self.is_between = self.place == Place::Head
            && self.held.is_empty()
            && self.at_end.is_none()
            && self.block.is_none();
        event
    }

    fn next_of_any_kind<'a>(
        &mut self,
        bytes: &mut &'a mut [u8],
    ) -> Result<Option<Event<'a>>, Broken> {
        loop {
            if let Some(event) = self.due()? {
                return Ok(Some(event));
            }
            match self.place {
                Place::Head => {
                    if !self.hold(bytes, frame::HEAD) {
                        return Ok(None);
                    }
                    let head = self.held.first_chunk().expect("held");
                    let frame = Frame::read(head);
                    if let Some(why) = self.wrong_protocol() {
                        return Err(self.broken(Code::PROTOCOL_ERROR, why));
                    }
                    self.held.clear();
                    self.begin(frame)?;
                }
                Place::Payload => {
                    if !self.hold(bytes, self.frame.length) {
                        return Ok(None);
                    }
                    let payload = mem::take(&mut self.held);
                    self.place = Place::Head;
                    if let Some(event) = self.payload(&payload)? {
                        return Ok(Some(event));
                    }
                }
                Place::PadLength => {
                    let Some((first, rest)) =
                        mem::take(bytes).split_first_mut()
                    else {
                        return Ok(None);
                    };
                    *bytes = rest;
                    let padding = usize::from(*first);
                    let Some(data) =
                        (self.frame.length - 1).checked_sub(padding)
                    else {
                        let why = "more padding than there is room for";
                        return Err(self.broken(Code::PROTOCOL_ERROR, why));
                    };
                    // What is no data is consumed here.
                    self.consumed(self.frame.stream, 1 + padding);
                    self.place = Place::Data(data, padding);
                }
                Place::Data(0, padding) => {
                    self.place = Place::Skipped(padding);
                    if self.frame.has(flag::END_STREAM) {
                        self.at_end = Some(self.frame.stream);
                    }
                }
                Place::Data(left, padding) => {
                    if bytes.is_empty() {
                        return Ok(None);
                    }
                    let piece = take(bytes, left);
                    let left = left - piece.len();
                    // So that the short way is open to the next frame.
                    let is_over = left + padding == 0
                        && !self.frame.has(flag::END_STREAM);
                    self.place = match is_over {
                        true => Place::Head,
                        false => Place::Data(left, padding),
                    };
                    // A stream that was cancelled between two pieces.
                    if let Some(index) = self.find(self.frame.stream) {
                        return Ok(Some(self.data(index, piece)));
                    }
                }
                Place::Skipped(0) => self.place = Place::Head,
                Place::Skipped(left) => {
                    if bytes.is_empty() {
                        return Ok(None);
                    }
                    let left = left - take(bytes, left).len();
                    self.place = Place::Skipped(left);
                }
            }
        }
    }

    /// What is due before the next byte.
    fn due(&mut self) -> Result<Option<Event<'static>>, Broken> {
        if let Some(stream) = self.at_end.take()
            && let Some(index) = self.find(stream)
        {
            return Ok(Some(self.end(index)));
        }
        if let Some((last, code)) = self.going_away
            && let Some(unprocessed) =
                self.streams.pop_if(|it| it.number > last)
        {
            return Ok(Some(Event::Reset {
                stream: unprocessed.number,
                code,
                why: None,
                is_unprocessed: !unprocessed.has_head,
            }));
        }
        if self.replies > MAX_REPLIES {
            let why = "the server asks for more answers than it reads";
            return Err(self.broken(Code::ENHANCE_YOUR_CALM, why));
        }
        if self.replies > 0 && self.output.len() >= self.output_due {
            self.output_due = self.output.len() + MANY_REPLIES;
            return Ok(Some(Event::Output));
        }
        Ok(None)
    }

    /// Holds bytes until there are `length`; whether there are.
    fn hold(&mut self, bytes: &mut &mut [u8], length: usize) -> bool {
        let wanted = length - self.held.len();
        self.held.extend_from_slice(take(bytes, wanted));
        self.held.len() == length
    }

    /// What a first frame says that is none.
    fn wrong_protocol(&self) -> Option<&'static str> {
        let is_http_1 = !self.has_begun && self.held.starts_with(b"HTTP/1.");
        is_http_1.then_some("the server speaks HTTP/1.1")
    }

    /// A frame begins.
    fn begin(&mut self, frame: Frame) -> Result<(), Broken> {
        self.frame = frame;
        // RFC 9113, 3.4: they are the server's part of the preface.
        if !self.has_begun
            && (frame.kind != kind::SETTINGS || frame.has(flag::ACK))
        {
            let why = "the server does not begin with its settings";
            return Err(self.broken(Code::PROTOCOL_ERROR, why));
        }
        self.has_begun = true;
        // RFC 9113, 4.2: nothing larger was allowed here.
        if frame.length > frame::MOST {
            let why = "a frame over 16 KiB";
            return Err(self.broken(Code::FRAME_SIZE_ERROR, why));
        }
        // RFC 9113, 6.10: the frames of a head follow one another, with nothing
        // between them, as the decoder has one state for the whole connection.
        let goes_on = match &self.block {
            Some(block) => {
                frame.kind == kind::CONTINUATION && frame.stream == block.stream
            }
            None => frame.kind != kind::CONTINUATION,
        };
        if !goes_on {
            let why = "a head is interrupted, or goes on where none is";
            return Err(self.broken(Code::PROTOCOL_ERROR, why));
        }
        match frame.kind {
            kind::DATA => {
                let is_wanted = self.begin_data(frame)?;
                self.place = match frame.has(flag::PADDED) {
                    true if frame.length == 0 => {
                        let why = "no room for the length of the padding";
                        return Err(self.broken(Code::FRAME_SIZE_ERROR, why));
                    }
                    _ if !is_wanted => Place::Skipped(frame.length),
                    true => Place::PadLength,
                    false => Place::Data(frame.length, 0),
                };
            }
            kind::HEADERS..=kind::CONTINUATION => {
                self.place = Place::Payload;
            }
            // RFC 9113, 5.5: kinds that are unknown are passed over.
            _ => self.place = Place::Skipped(frame.length),
        }
        Ok(())
    }

    /// DATA begins; whether its stream wants it.
    fn begin_data(&mut self, frame: Frame) -> Result<bool, Broken> {
        self.count(frame.length);
        let Some(index) = self.find(frame.stream) else {
            return self.unknown(frame.stream).map(|()| false);
        };
        self.count_of(index, frame.length)?;
        Ok(true)
    }

    /// A piece of a stream's data.
    #[inline(always)]
    fn data<'a>(&mut self, index: usize, bytes: &'a mut [u8]) -> Event<'a> {
        let stream = &mut self.streams[index];
        if !stream.has_head {
            let why = "data before the head of the response";
            return self.malformed(index, why);
        }
        if let Some(left) = &mut stream.left {
            match left.checked_sub(bytes.len() as u64) {
                Some(rest) => *left = rest,
                None => {
                    let why = "more data than content-length says";
                    return self.malformed(index, why);
                }
            }
        }
        Event::Data { stream: stream.number, bytes }
    }
}

/// Whole frames of nothing but one stream's data, which follow one another.
pub(crate) struct Run<'e, 'a, 'b> {
    engine: &'e mut Engine,
    index: usize,
    stream: u32,
    /// What the server may send yet.
    window: u32,
    /// What it has sent, and how much of that was consumed.
    taken: u32,
    consumed: u32,
    bytes: &'a mut &'b mut [u8],
}

impl<'b> Run<'_, '_, 'b> {
    /// The payload of the next one, which is consumed.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<&'b mut [u8]> {
        let piece = self.take()?;
        self.consumed += piece.len() as u32;
        Some(piece)
    }

    #[inline(always)]
    fn take(&mut self) -> Option<&'b mut [u8]> {
        let head = self.bytes.first_chunk()?;
        let length = Frame::length_of_data(head, self.stream)?;
        let whole = frame::HEAD + length;
        // A frame that is empty, or too large, or that the read has cut.
        if length == 0 || length > frame::MOST || self.bytes.len() < whole {
            return None;
        }
        self.window = self.window.checked_sub(length as u32)?;
        self.taken += length as u32;
        let (piece, rest) = mem::take(self.bytes).split_at_mut(whole);
        *self.bytes = rest;
        Some(&mut piece[frame::HEAD..])
    }
}

/// What is counted is counted for all frames at once.
impl Drop for Run<'_, '_, '_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.engine.streams[self.index].window = self.window;
        self.engine.count(self.taken as usize);
        self.engine.credit(self.index, self.consumed);
    }
}

/// As much of `bytes` as there is, `most` at most; the rest stays.
fn take<'a>(bytes: &mut &'a mut [u8], most: usize) -> &'a mut [u8] {
    let length = bytes.len().min(most);
    let (piece, rest) = mem::take(bytes).split_at_mut(length);
    *bytes = rest;
    piece
}
