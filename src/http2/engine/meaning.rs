//! What frames mean that are read whole: all but DATA.

use super::{
    Broken, Engine, Event, MAX_BLOCK, MAX_EMPTY, MAX_HEAD, MOST_WINDOW,
};
use crate::http2::frame::{
    self, Code, Head as Frame, flag, kind, number, setting,
};
use crate::http2::head::{self, Head};
use crate::http2::hpack::{self, Bad};

/// A head, or trailers, of which more is to come.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    ends_stream: bool,
    bytes: Vec<u8>,
    empty_frames: u32,
}

impl Engine {
    /// A frame that was read whole.
    pub(super) fn payload(
        &mut self,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Broken> {
        let Frame { kind, stream, .. } = self.frame;
        let is_of_stream = match kind {
            kind::SETTINGS | kind::PING | kind::GOAWAY => false,
            kind::WINDOW_UPDATE => stream != 0,
            _ => true,
        };
        if is_of_stream != (stream != 0) {
            let why = "a frame that belongs to no stream, or to none alone";
            return Err(self.broken(Code::PROTOCOL_ERROR, why));
        }
        let length = match kind {
            kind::PRIORITY => Some(5),
            kind::RST_STREAM | kind::WINDOW_UPDATE => Some(4),
            kind::PING => Some(8),
            _ => None,
        };
        if length.is_some_and(|length| payload.len() != length) {
            let why = "a frame of the wrong length";
            return Err(self.broken(Code::FRAME_SIZE_ERROR, why));
        }
        match kind {
            kind::HEADERS => self.headers(payload),
            kind::CONTINUATION => self.continuation(payload),
            kind::PRIORITY => self.priority(payload),
            kind::RST_STREAM => self.reset_by_server(number(payload)),
            kind::SETTINGS => self.settings(payload).map(|()| None),
            kind::PUSH_PROMISE => {
                let why = "a push, which the server was told not to make";
                Err(self.broken(Code::PROTOCOL_ERROR, why))
            }
            kind::PING => {
                // RFC 9113, 6.7: the answer has what was sent.
                if !self.frame.has(flag::ACK) {
                    self.write(kind::PING, flag::ACK, 0, payload);
                }
                Ok(None)
            }
            kind::GOAWAY => self.gone_away(payload).map(|()| None),
            kind::WINDOW_UPDATE => self.window_update(number(payload)),
            _ => unreachable!("other kinds are passed over"),
        }
    }

    fn headers(
        &mut self,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Broken> {
        let Frame { stream, .. } = self.frame;
        let mut block = payload;
        let mut padding = 0;
        if self.frame.has(flag::PADDED) {
            let Some((first, rest)) = block.split_first() else {
                let why = "no room for the length of the padding";
                return Err(self.broken(Code::FRAME_SIZE_ERROR, why));
            };
            (padding, block) = (usize::from(*first), rest);
        }
        let mut depends_on = 0;
        if self.frame.has(flag::PRIORITY) {
            let Some((priority, rest)) = block.split_at_checked(5) else {
                let why = "no room for a priority";
                return Err(self.broken(Code::FRAME_SIZE_ERROR, why));
            };
            depends_on = number(priority) & MOST_WINDOW;
            block = rest;
        }
        let Some(length) = block.len().checked_sub(padding) else {
            let why = "more padding than there is room for";
            return Err(self.broken(Code::PROTOCOL_ERROR, why));
        };
        // RFC 7540, 5.3.1. RFC 9113 has no priorities any more, and old servers
        // still send them.
        if depends_on == stream {
            let why = "a stream that depends on itself";
            return Err(self.broken(Code::PROTOCOL_ERROR, why));
        }
        self.block = Some(Block {
            stream,
            ends_stream: self.frame.has(flag::END_STREAM),
            bytes: Vec::new(),
            empty_frames: 0,
        });
        self.add_to_block(&block[..length])
    }

    fn continuation(
        &mut self,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Broken> {
        self.add_to_block(payload)
    }

    /// A piece of a head or of trailers, which may be the last.
    fn add_to_block(
        &mut self,
        piece: &[u8],
    ) -> Result<Option<Event<'static>>, Broken> {
        let block = self.block.as_mut().expect("a block that goes on");
        block.empty_frames += u32::from(piece.is_empty());
        if block.bytes.len() + piece.len() > MAX_BLOCK
            || block.empty_frames > MAX_EMPTY
        {
            let why = "the head of a response is too large";
            return Err(self.broken(Code::ENHANCE_YOUR_CALM, why));
        }
        if block.bytes.try_reserve(piece.len()).is_err() {
            let why = "no memory for the head of a response";
            return Err(self.broken(Code::INTERNAL_ERROR, why));
        }
        block.bytes.extend_from_slice(piece);
        if !self.frame.has(flag::END_HEADERS) {
            return Ok(None);
        }
        let block = self.block.take().expect("as before");
        self.whole_block(&block)
    }

    fn whole_block(
        &mut self,
        block: &Block,
    ) -> Result<Option<Event<'static>>, Broken> {
        // Also where nobody wants it: the next one may depend on it.
        let fields = match self.decoder.decode(&block.bytes, MAX_HEAD) {
            Ok(fields) => fields,
            Err(Bad::Coding) => {
                let why = "a head that cannot be decoded";
                return Err(self.broken(Code::COMPRESSION_ERROR, why));
            }
            Err(Bad::TooLarge) => {
                let why = "the head of a response is over 256 KiB";
                return Err(self.broken(Code::ENHANCE_YOUR_CALM, why));
            }
        };
        let Some(index) = self.find(block.stream) else {
            return self.unknown(block.stream).map(|()| None);
        };
        // RFC 9113, 8.1: after the head of the response, only trailers.
        if self.streams[index].has_head {
            return Ok(Some(self.trailers(index, block, &fields)));
        }
        let size: usize = fields
            .iter()
            .map(|(name, value)| hpack::OVERHEAD + name.len() + value.len())
            .sum();
        let stream = &mut self.streams[index];
        stream.head_size += size;
        if stream.head_size > MAX_HEAD {
            let why = "the head of a response is over 256 KiB";
            return Err(self.broken(Code::ENHANCE_YOUR_CALM, why));
        }
        let head = match Head::of(fields) {
            Ok(head) => head,
            Err(why) => return Ok(Some(self.malformed(index, why))),
        };
        if (100..200).contains(&head.status) {
            return Ok(block.ends_stream.then(|| {
                self.malformed(index, "the stream ends with an interim head")
            }));
        }
        let length = match head.content_length() {
            Ok(length) => length,
            Err(why) => return Ok(Some(self.malformed(index, why))),
        };
        let stream = &mut self.streams[index];
        stream.has_head = true;
        // RFC 9110, 8.6: what the length would be of another response.
        stream.left = length.filter(|_| !matches!(head.status, 204 | 304));
        if block.ends_stream {
            self.at_end = Some(block.stream);
        }
        Ok(Some(Event::Head { stream: block.stream, head }))
    }

    /// Trailers say nothing here, but that the body has ended.
    fn trailers(
        &mut self,
        index: usize,
        block: &Block,
        fields: &[hpack::Field],
    ) -> Event<'static> {
        let wrong = match block.ends_stream {
            false => Some("a second head"),
            true => head::check(fields).err(),
        };
        match wrong {
            Some(why) => self.malformed(index, why),
            None => self.end(index),
        }
    }

    fn priority(
        &mut self,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Broken> {
        // RFC 9113, 5.3.2: what it says means nothing any more.
        if number(payload) & MOST_WINDOW == self.frame.stream {
            let why = "a stream that depends on itself";
            return Err(self.broken(Code::PROTOCOL_ERROR, why));
        }
        Ok(None)
    }

    fn reset_by_server(
        &mut self,
        code: u32,
    ) -> Result<Option<Event<'static>>, Broken> {
        let number = self.frame.stream;
        let Some(index) = self.find(number) else {
            // That of a stream which has ended may come late.
            return match self.is_idle(number) {
                true => self.unknown(number).map(|()| None),
                false => Ok(None),
            };
        };
        let stream = self.streams.remove(index);
        self.has_ended(number);
        let code = Code(code);
        Ok(Some(Event::Reset {
            stream: number,
            code,
            why: None,
            is_unprocessed: code == Code::REFUSED_STREAM && !stream.has_head,
        }))
    }

    fn settings(&mut self, payload: &[u8]) -> Result<(), Broken> {
        let is_ack = self.frame.has(flag::ACK);
        let (settings, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() || is_ack && !payload.is_empty() {
            let why = "settings of the wrong length";
            return Err(self.broken(Code::FRAME_SIZE_ERROR, why));
        }
        // Nothing here waits for it: what was announced holds for a server that
        // is slow to read it, too.
        if is_ack {
            return Ok(());
        }
        for [a, b, value @ ..] in settings {
            let value = u32::from_be_bytes(*value);
            self.setting(u16::from_be_bytes([*a, *b]), value)?;
        }
        self.write(kind::SETTINGS, flag::ACK, 0, &[]);
        Ok(())
    }

    fn setting(&mut self, name: u16, value: u32) -> Result<(), Broken> {
        const LARGEST_FRAME: u32 = (1 << 24) - 1;

        match name {
            // RFC 7541, 4.2: a smaller one is to be confirmed.
            setting::HEADER_TABLE_SIZE => self.table_is_new |= value < 4096,
            // RFC 9113, 6.5.2: only clients can be pushed to.
            setting::ENABLE_PUSH if value != 0 => {
                let why = "the server would be pushed to";
                return Err(self.broken(Code::PROTOCOL_ERROR, why));
            }
            setting::MAX_CONCURRENT_STREAMS => self.max_streams = value,
            setting::INITIAL_WINDOW_SIZE => {
                let change =
                    i64::from(value) - i64::from(self.first_send_window);
                let most = i64::from(MOST_WINDOW);
                let overflows = value > MOST_WINDOW
                    || self
                        .streams
                        .iter()
                        .any(|stream| stream.send_window + change > most);
                if overflows {
                    let why = "a window over 2 GiB";
                    return Err(self.broken(Code::FLOW_CONTROL_ERROR, why));
                }
                // RFC 9113, 6.9.2: it changes the windows of the streams that
                // are open, too, and may leave them below zero.
                self.first_send_window = value;
                for stream in &mut self.streams {
                    stream.send_window += change;
                }
            }
            // What is sent here fits each size that is allowed.
            setting::MAX_FRAME_SIZE
                if !(frame::MOST as u32..=LARGEST_FRAME).contains(&value) =>
            {
                let why = "a size of frames that is not allowed";
                return Err(self.broken(Code::PROTOCOL_ERROR, why));
            }
            _ => {}
        }
        Ok(())
    }

    fn gone_away(&mut self, payload: &[u8]) -> Result<(), Broken> {
        let Some((last, rest)) = payload.split_first_chunk() else {
            return Err(self.short_good_bye());
        };
        let Some(code) = rest.first_chunk() else {
            return Err(self.short_good_bye());
        };
        let last = u32::from_be_bytes(*last) & MOST_WINDOW;
        // RFC 9113, 6.8: a later one may say less, and never more.
        let last = self.going_away.map_or(last, |(it, _)| it.min(last));
        self.going_away = Some((last, Code(u32::from_be_bytes(*code))));
        Ok(())
    }

    fn short_good_bye(&mut self) -> Broken {
        let why = "a frame of the wrong length";
        self.broken(Code::FRAME_SIZE_ERROR, why)
    }

    fn window_update(
        &mut self,
        increment: u32,
    ) -> Result<Option<Event<'static>>, Broken> {
        let increment = i64::from(increment & MOST_WINDOW);
        let number = self.frame.stream;
        let most = i64::from(MOST_WINDOW);
        if number == 0 {
            self.send_window += increment;
            if increment == 0 || self.send_window > most {
                let code = match increment {
                    0 => Code::PROTOCOL_ERROR,
                    _ => Code::FLOW_CONTROL_ERROR,
                };
                return Err(self.broken(code, "a window of no size"));
            }
            return Ok(None);
        }
        let Some(index) = self.find(number) else {
            return match self.is_idle(number) {
                true => self.unknown(number).map(|()| None),
                false => Ok(None),
            };
        };
        let stream = &mut self.streams[index];
        stream.send_window += increment;
        if increment == 0 || stream.send_window > most {
            let code = match increment {
                0 => Code::PROTOCOL_ERROR,
                _ => Code::FLOW_CONTROL_ERROR,
            };
            return Ok(Some(self.error(index, code, "a window of no size")));
        }
        Ok(None)
    }
}
