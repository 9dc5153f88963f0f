//! A client's end of a connection: what the server's bytes mean for each
//! stream, and what is to be sent.

use std::mem;

use super::frame::{self, Code, Head as Frame, flag, kind, number, setting};
use super::head::{self, Head};
use super::hpack::{self, Bad, Decoder, Secrecy};

/// How much of a stream may be under way, or wait here to be read.
const WINDOW: u32 = 256 * 1024;
/// The same for the connection: as much as there can be, so that a stream that
/// nobody reads holds up no other.
const WINDOW_OF_ALL: u32 = MOST_WINDOW;
const MOST_WINDOW: u32 = (1 << 31) - 1;
/// What windows are until something else is said (RFC 9113, 6.9.2).
const FIRST_WINDOW: u32 = 65_535;
/// The most of a head that is taken before it is decoded.
const MAX_BLOCK: usize = 64 * 1024;
/// And after, together with the interim heads before it; as over HTTP/1.1.
const MAX_HEAD: usize = 256 * 1024;
/// How many frames of a head may be empty: each costs more than it says.
const MAX_EMPTY: u32 = 8;
/// How much of what the server has caused to be sent may wait: it does not
/// read.
const MAX_REPLIES: usize = 64 * 1024;
/// With so much to be sent, it is time to send it.
const MANY_REPLIES: usize = 16 * 1024;

/// What the server's bytes mean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The head of a response; interim ones are passed over.
    Head { stream: u32, head: Head },
    /// A piece of the body. [`Engine::consumed`] makes room for more.
    Data { stream: u32, bytes: &'a mut [u8] },
    /// The body has ended in good order.
    End { stream: u32 },
    /// The stream has ended otherwise.
    Reset {
        stream: u32,
        code: Code,
        /// What is wrong with it, unless the server has ended it.
        why: Option<&'static str>,
        /// The server has not looked at the request: it can be made again,
        /// whatever it asks for (RFC 9113, 8.7).
        is_unprocessed: bool,
    },
    /// There is much to be sent, and more may come.
    Output,
}

/// The connection has to end: the server breaks the rules. It is told by what
/// is left to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) code: Code,
    pub(crate) why: &'static str,
}

/// A client's end of a connection.
#[derive(Debug)]
pub(crate) struct Engine {
    place: Place,
    /// The next byte is the first of a frame, and nothing is due before it.
    is_between: bool,
    /// The frame whose payload is being read.
    frame: Frame,
    /// What was read of a frame's head, or of its payload if that is not DATA.
    held: Vec<u8>,
    /// Whether the server's settings have come, with which it begins.
    has_begun: bool,
    /// The head, or the trailers, that go on in a frame to come.
    block: Option<Block>,
    decoder: Decoder,
    /// Those that are open, in the order of their numbers.
    streams: Vec<Stream>,
    /// The number of the next one.
    next_stream: u32,
    /// The last ones that the server has ended, and must leave alone. Those
    /// that were ended here are none of them: their frames may be under way.
    ended: [u32; 32],
    ended_place: usize,
    /// A stream whose end has come with its last bytes.
    at_end: Option<u32>,
    /// The last stream that a server that goes away has looked at, and why it
    /// goes.
    going_away: Option<(u32, Code)>,
    /// How many streams the server takes at a time.
    max_streams: u32,
    /// What the server may be allowed to send again, of all streams together.
    credit: u32,
    /// What may be sent, of all streams together.
    send_window: i64,
    /// And of a new stream.
    first_send_window: u32,
    /// The server is yet to be told that no table is used.
    table_is_new: bool,
    output: Vec<u8>,
    /// How much has come into `output` because of what the server has sent.
    replies: usize,
    /// At so much of it [`Event::Output`] is due.
    output_due: usize,
}

/// Where in a frame the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
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

/// A head, or trailers, of which more is to come.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends_stream: bool,
    bytes: Vec<u8>,
    empty_frames: u32,
}

/// A stream that is open.
#[derive(Debug)]
struct Stream {
    number: u32,
    /// What the server may send.
    window: u32,
    /// What it may be allowed again, as it was consumed.
    credit: u32,
    send_window: i64,
    /// What is left of the body, if the head has said its length.
    left: Option<u64>,
    /// Of the heads that have come.
    head_size: usize,
    has_head: bool,
    /// The request has gone.
    is_sent: bool,
}

impl Engine {
    /// The beginning of a connection. Its first words are to be sent.
    pub(crate) fn new() -> Engine {
        let mut output = frame::PREFACE.to_vec();
        let settings = [
            // RFC 7541, 4.2: the largest table that the server may use.
            // The server's encoder can then use none, and none is held here.
            (setting::HEADER_TABLE_SIZE, 0),
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, WINDOW),
            (setting::MAX_HEADER_LIST_SIZE, MAX_HEAD as u32),
        ];
        let length = 6 * settings.len();
        Frame { length, kind: kind::SETTINGS, flags: 0, stream: 0 }
            .write(&mut output);
        for (name, value) in settings {
            output.extend(name.to_be_bytes());
            output.extend(value.to_be_bytes());
        }
        let mut engine = Engine {
            place: Place::Head,
            is_between: false,
            frame: Frame { length: 0, kind: 0, flags: 0, stream: 0 },
            held: Vec::new(),
            has_begun: false,
            block: None,
            decoder: Decoder::new(),
            streams: Vec::with_capacity(1),
            next_stream: 1,
            ended: [0; 32],
            ended_place: 0,
            at_end: None,
            going_away: None,
            max_streams: u32::MAX,
            credit: 0,
            send_window: FIRST_WINDOW.into(),
            first_send_window: FIRST_WINDOW,
            table_is_new: false,
            output,
            replies: 0,
            output_due: MANY_REPLIES,
        };
        engine.allow(0, WINDOW_OF_ALL - FIRST_WINDOW);
        engine.replies = 0;
        engine
    }

    /// Makes a request, whose body follows by [`Engine::send`] if there is one.
    /// Returns the number of its stream; none if the server takes no more of
    /// them over this connection, or not now.
    pub(crate) fn request<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8], Secrecy)>,
        has_body: bool,
    ) -> Option<u32> {
        if !self.has_room() {
            return None;
        }
        let number = self.next_stream;
        self.next_stream += 2;
        let mut block = Vec::new();
        // RFC 7541, 4.2: a change of the table's size stands at the beginning
        // of the next head, also for an encoder that has no table.
        if mem::take(&mut self.table_is_new) {
            block.push(hpack::NO_TABLE);
        }
        for (name, value, secrecy) in fields {
            hpack::encode(&mut block, name, value, secrecy);
        }
        let ends = if has_body { 0 } else { flag::END_STREAM };
        let mut frames = block.chunks(frame::MOST).peekable();
        let mut kind = kind::HEADERS;
        let mut flags = ends;
        while let Some(piece) = frames.next() {
            if frames.peek().is_none() {
                flags |= flag::END_HEADERS;
            }
            Frame { length: piece.len(), kind, flags, stream: number }
                .write(&mut self.output);
            self.output.extend_from_slice(piece);
            (kind, flags) = (kind::CONTINUATION, 0);
        }
        self.streams.push(Stream {
            number,
            window: WINDOW,
            credit: 0,
            send_window: self.first_send_window.into(),
            left: None,
            head_size: 0,
            has_head: false,
            is_sent: !has_body,
        });
        Some(number)
    }

    /// Whether a request can be made now.
    pub(crate) fn has_room(&self) -> bool {
        self.streams.len() < self.max_streams as usize && !self.is_used_up()
    }

    /// Whether no request can be made any more: the server goes away, or all
    /// numbers have been used.
    pub(crate) fn is_used_up(&self) -> bool {
        self.going_away.is_some() || self.next_stream > MOST_WINDOW
    }

    /// Sends the next bytes of a request's body, as many as the server takes;
    /// `rest` is all that is left of it. Returns how many that are.
    pub(crate) fn send(&mut self, stream: u32, rest: &[u8]) -> usize {
        let Some(index) = self.find(stream) else { return 0 };
        let open = &mut self.streams[index];
        if open.is_sent {
            return 0;
        }
        let window = open.send_window.min(self.send_window).max(0);
        let window = usize::try_from(window).unwrap_or(usize::MAX);
        // Every server takes frames of that size; some allow larger ones, which
        // gain nothing.
        let length = rest.len().min(window).min(frame::MOST);
        if length == 0 && !rest.is_empty() {
            return 0;
        }
        open.send_window -= length as i64;
        self.send_window -= length as i64;
        open.is_sent = length == rest.len();
        let flags = if open.is_sent { flag::END_STREAM } else { 0 };
        Frame { length, kind: kind::DATA, flags, stream }
            .write(&mut self.output);
        self.output.extend_from_slice(&rest[..length]);
        length
    }

    /// Bytes of a stream have been used: as many more may come.
    #[inline(always)]
    pub(crate) fn consumed(&mut self, stream: u32, count: usize) {
        if let Some(index) = self.find(stream) {
            self.credit(index, count as u32);
        }
    }

    /// Ends a stream that is not wanted any more.
    pub(crate) fn cancel(&mut self, stream: u32) {
        if let Some(index) = self.find(stream) {
            self.streams.remove(index);
            self.reset(stream, Code::CANCEL);
        }
    }

    /// Asks the server for a sign of life.
    pub(crate) fn ping(&mut self) {
        self.write(kind::PING, 0, 0, &[0; 8]);
    }

    /// Says that nothing follows.
    pub(crate) fn go_away(&mut self, code: Code) {
        // The last stream of the server's that was looked at: there is none.
        let [a, b, c, d] = code.0.to_be_bytes();
        self.write(kind::GOAWAY, 0, 0, &[0, 0, 0, 0, a, b, c, d]);
    }

    /// What is to be sent.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// So many bytes of the output have gone.
    pub(crate) fn sent(&mut self, count: usize) {
        match count < self.output.len() {
            true => drop(self.output.drain(..count)),
            // Nothing is held where nothing is to be sent.
            false => self.output = Vec::new(),
        }
        self.replies = self.replies.min(self.output.len());
        self.output_due = self.output.len() + MANY_REPLIES;
    }

    /// Whether the server has begun to speak HTTP/2.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Why the server has said that it goes away, if it has.
    pub(crate) fn going_away(&self) -> Option<Code> {
        self.going_away.map(|(_, code)| code)
    }

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

    /// Counts DATA of whatever stream. Whatever becomes of the bytes, as many
    /// more may come: a window that leaks away would stop every stream. Half of
    /// it is always open, and no frame is larger.
    #[inline(always)]
    fn count(&mut self, length: usize) {
        self.credit += length as u32;
        if self.credit >= WINDOW_OF_ALL / 2 {
            self.credit_all();
        }
    }

    #[cold]
    fn credit_all(&mut self) {
        let credit = mem::take(&mut self.credit);
        self.allow(0, credit);
    }

    /// Counts DATA of a stream that is open.
    #[inline(always)]
    fn count_of(&mut self, index: usize, length: usize) -> Result<(), Broken> {
        let stream = &mut self.streams[index];
        let Some(window) = stream.window.checked_sub(length as u32) else {
            return Err(self.too_much());
        };
        stream.window = window;
        Ok(())
    }

    #[cold]
    fn too_much(&mut self) -> Broken {
        let why = "more data than the server was allowed to send";
        self.broken(Code::FLOW_CONTROL_ERROR, why)
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

    /// A frame that was read whole.
    fn payload(
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

    #[inline(always)]
    fn find(&self, number: u32) -> Option<usize> {
        // One stream on a connection of its own is the most frequent case.
        match &self.streams[..] {
            [only] => (only.number == number).then_some(0),
            all => all.binary_search_by_key(&number, |it| it.number).ok(),
        }
    }

    /// Whether a stream was never opened. Those of the server cannot be.
    fn is_idle(&self, number: u32) -> bool {
        number.is_multiple_of(2) || number >= self.next_stream
    }

    /// A frame of a stream that is not open. Those that are under way to a
    /// stream that was ended here mean nothing.
    fn unknown(&mut self, number: u32) -> Result<(), Broken> {
        if self.is_idle(number) {
            let why = "a frame of a stream that nobody has opened";
            return Err(self.broken(Code::PROTOCOL_ERROR, why));
        }
        // RFC 9113, 5.1: the server has ended it, and knows.
        if self.ended.contains(&number) {
            let why = "a stream goes on behind its end";
            return Err(self.broken(Code::STREAM_CLOSED, why));
        }
        Ok(())
    }

    /// The server has ended a stream.
    fn has_ended(&mut self, number: u32) {
        self.ended[self.ended_place] = number;
        self.ended_place = (self.ended_place + 1) % self.ended.len();
    }

    /// The body of a response has ended.
    fn end(&mut self, index: usize) -> Event<'static> {
        if !self.streams[index].has_head {
            return self.malformed(index, "an end before the head");
        }
        if self.streams[index].left.is_some_and(|left| left > 0) {
            return self.malformed(index, "less data than content-length says");
        }
        let stream = self.streams.remove(index);
        let number = stream.number;
        self.has_ended(number);
        // RFC 9113, 8.1: the server does not want the rest.
        if !stream.is_sent {
            self.reset(number, Code::CANCEL);
        }
        Event::End { stream: number }
    }

    #[cold]
    fn malformed(&mut self, index: usize, why: &'static str) -> Event<'static> {
        self.error(index, Code::PROTOCOL_ERROR, why)
    }

    /// Something is wrong with one stream; the others go on.
    fn error(
        &mut self,
        index: usize,
        code: Code,
        why: &'static str,
    ) -> Event<'static> {
        let stream = self.streams.remove(index).number;
        self.reset(stream, code);
        Event::Reset { stream, code, why: Some(why), is_unprocessed: false }
    }

    /// Something is wrong with the connection.
    #[cold]
    fn broken(&mut self, code: Code, why: &'static str) -> Broken {
        self.go_away(code);
        Broken { code, why }
    }

    fn reset(&mut self, stream: u32, code: Code) {
        self.write(kind::RST_STREAM, 0, stream, &code.0.to_be_bytes());
    }

    #[inline(always)]
    fn credit(&mut self, index: usize, count: u32) {
        let stream = &mut self.streams[index];
        stream.credit += count;
        if stream.credit >= WINDOW / 2 {
            self.credit_now(index);
        }
    }

    #[inline(never)]
    fn credit_now(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        let credit = mem::take(&mut stream.credit);
        stream.window += credit;
        let number = stream.number;
        self.allow(number, credit);
    }

    fn allow(&mut self, stream: u32, credit: u32) {
        self.write(kind::WINDOW_UPDATE, 0, stream, &credit.to_be_bytes());
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let before = self.output.len();
        Frame { length: payload.len(), kind, flags, stream }
            .write(&mut self.output);
        self.output.extend_from_slice(payload);
        self.replies += self.output.len() - before;
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

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"\x88\x0f\x10\x11text/event-stream";

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Frame { length: payload.len(), kind, flags, stream }.write(&mut bytes);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| {
                [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
            })
            .collect();
        frame(kind::SETTINGS, 0, 0, &payload)
    }

    fn head(stream: u32, flags: u8) -> Vec<u8> {
        let flags = flags | flag::END_HEADERS;
        frame(kind::HEADERS, flags, stream, RESPONSE)
    }

    fn data(stream: u32, length: usize) -> Vec<u8> {
        frame(kind::DATA, 0, stream, &vec![b'x'; length])
    }

    /// An engine that has nothing to send, and the server's settings.
    fn engine() -> Engine {
        let mut engine = Engine::new();
        assert!(events(&mut engine, settings(&[])).unwrap().is_empty());
        engine.sent(usize::MAX);
        engine
    }

    fn ask(engine: &mut Engine) -> Option<u32> {
        let path = (&b":path"[..], &b"/"[..], Secrecy::Open);
        engine.request([path].into_iter(), false)
    }

    /// What bytes mean, in words; adjacent pieces of data are one. What comes
    /// is consumed if its stream is `read`.
    fn events_of(
        engine: &mut Engine,
        mut bytes: &mut [u8],
        read: &[u32],
    ) -> Result<Vec<String>, Broken> {
        let mut events: Vec<String> = Vec::new();
        while let Some(event) = engine.next(&mut bytes)? {
            if let Event::Data { stream, bytes } = &event {
                let (stream, length) = (*stream, bytes.len());
                if read.contains(&stream) {
                    engine.consumed(stream, length);
                }
                continue;
            }
            events.push(format!("{event:?}"));
        }
        assert!(bytes.is_empty(), "all was used");
        Ok(events)
    }

    fn events(
        engine: &mut Engine,
        mut bytes: Vec<u8>,
    ) -> Result<Vec<String>, Broken> {
        events_of(engine, &mut bytes, &[1, 3, 5])
    }

    /// The frames that are to be sent: kind, stream, and payload.
    fn sent(engine: &mut Engine) -> Vec<(u8, u32, Vec<u8>)> {
        let output = engine.output().to_vec();
        engine.sent(output.len());
        let mut rest = &output[..];
        let mut frames = Vec::new();
        while let Some((head, after)) = rest.split_first_chunk() {
            let frame = Frame::read(head);
            let (payload, after) = after.split_at(frame.length);
            frames.push((frame.kind, frame.stream, payload.to_vec()));
            rest = after;
        }
        frames
    }

    #[test]
    fn a_connection_begins_with_preface_settings_and_window() {
        let engine = Engine::new();
        let begin = engine.output().strip_prefix(frame::PREFACE).unwrap();
        let mut expected = settings(&[
            (setting::HEADER_TABLE_SIZE, 0),
            (setting::ENABLE_PUSH, 0),
            (setting::INITIAL_WINDOW_SIZE, 256 * 1024),
            (setting::MAX_HEADER_LIST_SIZE, 256 * 1024),
        ]);
        let window = (0x7fff_ffff_u32 - 65_535).to_be_bytes();
        expected.extend(frame(kind::WINDOW_UPDATE, 0, 0, &window));
        assert_eq!(begin, expected);
    }

    /// However the bytes of a connection are cut, they mean the same.
    #[test]
    fn bytes_mean_the_same_however_they_are_cut() {
        let mut script = settings(&[(3, 100)]);
        script.extend(frame(kind::PING, 0, 0, b"12345678"));
        let (first, second) = RESPONSE.split_at(7);
        script.extend(frame(kind::HEADERS, flag::PADDED, 1, b"\x01\x88\0"));
        script.extend(frame(kind::CONTINUATION, 0, 1, &first[1..]));
        script.extend(frame(kind::CONTINUATION, 4, 1, second));
        script.extend(frame(kind::DATA, 0, 1, b"data: one\n\n"));
        script.extend(frame(kind::DATA, flag::PADDED, 1, b"\x02data:\0\0"));
        script.extend(frame(77, 0, 1, b"what"));
        script.extend(head(3, 0));
        script.extend(frame(kind::DATA, flag::END_STREAM, 3, b"three"));
        script.extend(frame(kind::DATA, 0, 1, b""));
        script.extend(frame(kind::RST_STREAM, 0, 5, &[0, 0, 0, 8]));
        script.extend(frame(
            kind::DATA,
            flag::END_STREAM | 8,
            1,
            b"\x01 two\n\n\0",
        ));
        script.extend(frame(kind::GOAWAY, 0, 0, &[0; 8]));
        let run = |size: usize| {
            let mut engine = Engine::new();
            for stream in [1, 3, 5] {
                assert_eq!(ask(&mut engine), Some(stream));
            }
            engine.sent(usize::MAX);
            let mut told: Vec<(String, Vec<u8>)> = Vec::new();
            for piece in script.chunks(size) {
                let mut piece = piece.to_vec();
                let mut bytes = &mut piece[..];
                while let Some(event) = engine.next(&mut bytes).unwrap() {
                    match event {
                        Event::Data { stream, bytes } => {
                            let stream = format!("data of {stream}");
                            match told.last_mut() {
                                Some((last, data)) if *last == stream => {
                                    data.extend_from_slice(bytes);
                                }
                                _ => told.push((stream, bytes.to_vec())),
                            }
                        }
                        other => told.push((format!("{other:?}"), vec![])),
                    }
                }
            }
            (told, sent(&mut engine))
        };
        let whole = run(script.len());
        assert_eq!(whole.0.len(), 8, "{whole:#?}");
        for size in 1..40 {
            assert_eq!(run(size), whole, "{size}");
        }
    }

    /// A stream that nobody reads holds up itself, and no other.
    #[test]
    fn a_stream_has_a_window_of_its_own() {
        let mut engine = engine();
        for stream in [1, 3] {
            ask(&mut engine).unwrap();
            events(&mut engine, head(stream, 0)).unwrap();
        }
        engine.sent(usize::MAX);
        // All that is allowed, and not read.
        for _ in 0..16 {
            events_of(&mut engine, &mut data(1, 16_384), &[]).unwrap();
        }
        assert_eq!(sent(&mut engine), []);
        // The other one is read, for more than the connection's first window.
        let mut credit = 0;
        for _ in 0..64 {
            events(&mut engine, data(3, 16_384)).unwrap();
            for (kind, stream, payload) in sent(&mut engine) {
                assert_eq!((kind, stream), (kind::WINDOW_UPDATE, 3));
                credit += number(&payload);
            }
        }
        assert_eq!(credit, 64 * 16_384);
        // What was read late is credited late.
        engine.consumed(1, 16 * 16_384);
        let window = (16 * 16_384_u32).to_be_bytes().to_vec();
        assert_eq!(sent(&mut engine), [(kind::WINDOW_UPDATE, 1, window)]);
        for _ in 0..16 {
            events_of(&mut engine, &mut data(1, 16_384), &[]).unwrap();
        }
        let broken = events(&mut engine, data(1, 1)).unwrap_err();
        assert_eq!(broken.code, Code::FLOW_CONTROL_ERROR);
        // Padding needs nobody to read it.
        let mut engine = self::engine();
        ask(&mut engine).unwrap();
        events(&mut engine, head(1, 0)).unwrap();
        let padding = frame(kind::DATA, flag::PADDED, 1, &[255; 256]);
        for _ in 0..2000 {
            events(&mut engine, padding.clone()).unwrap();
        }
    }

    /// The window of the connection does not leak away, whatever the bytes
    /// were: 2 GiB have come to streams that were cancelled, and in padding.
    #[test]
    fn what_nobody_wants_is_credited_too() {
        let mut engine = engine();
        let mut credit = 0u64;
        let mut padded = frame(kind::DATA, flag::PADDED, 1, &[255; 16_384]);
        let mut plain = data(1, 16_384);
        for round in 0..10_000u32 {
            let stream = ask(&mut engine).unwrap();
            engine.cancel(stream);
            for bytes in [&mut padded, &mut plain] {
                bytes[5..9].copy_from_slice(&stream.to_be_bytes());
                for _ in 0..8 {
                    let told = events_of(&mut engine, bytes, &[]).unwrap();
                    assert_eq!(told, [""; 0], "round {round}");
                }
            }
            for (kind, stream, payload) in sent(&mut engine) {
                if (kind, stream) == (kind::WINDOW_UPDATE, 0) {
                    credit += u64::from(number(&payload));
                }
            }
        }
        let received = 10_000 * 16 * 16_384;
        assert!(received - credit < u64::from(WINDOW_OF_ALL / 2 + 16_384));
    }

    /// RFC 9113, 5.1: a stream that the server has ended is over.
    #[test]
    fn a_stream_that_goes_on_behind_its_end_ends_the_connection() {
        for ends in [
            head(1, flag::END_STREAM),
            [head(1, 0), frame(kind::RST_STREAM, 0, 1, &[0; 4])].concat(),
        ] {
            for more in [data(1, 1), head(1, 0)] {
                let mut engine = engine();
                ask(&mut engine).unwrap();
                events(&mut engine, ends.clone()).unwrap();
                // These may come late.
                let update = [0, 0, 0, 1];
                let late = frame(kind::WINDOW_UPDATE, 0, 1, &update);
                events(&mut engine, late).unwrap();
                let late = frame(kind::RST_STREAM, 0, 1, &[0; 4]);
                events(&mut engine, late).unwrap();
                let broken = events(&mut engine, more).unwrap_err();
                assert_eq!(broken.code, Code::STREAM_CLOSED);
            }
        }
    }

    /// A server that asks and does not read is left, before its answers take
    /// memory.
    #[test]
    fn answers_that_nobody_takes_are_few() {
        let mut engine = engine();
        let pings = frame(kind::PING, 0, 0, &[0; 8]).repeat(10_000);
        let broken = events(&mut engine, pings).unwrap_err();
        assert_eq!(broken.code, Code::ENHANCE_YOUR_CALM);
        assert!(engine.output().len() < MAX_REPLIES + 100);
        // One that reads may ask as it likes, and is answered in between.
        let mut engine = self::engine();
        let mut pings = frame(kind::PING, 0, 0, &[0; 8]).repeat(10_000);
        let mut bytes = &mut pings[..];
        let mut answers = 0;
        while let Some(event) = engine.next(&mut bytes).unwrap() {
            assert_eq!(event, Event::Output);
            answers += sent(&mut engine).len();
        }
        assert_eq!(answers + sent(&mut engine).len(), 10_000);
    }

    /// RFC 9113, 6.8: what a server that goes away has not looked at.
    #[test]
    fn a_good_bye_ends_what_was_not_looked_at() {
        let mut engine = engine();
        for _ in 0..3 {
            ask(&mut engine).unwrap();
        }
        let mut good_bye = head(1, 0);
        good_bye.extend(frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
        good_bye.extend(data(1, 10));
        let told = events(&mut engine, good_bye).unwrap();
        assert_eq!(told.len(), 3, "{told:?}");
        for (told, stream) in told[1..].iter().zip([5, 3]) {
            assert!(told.contains(&format!("stream: {stream}")), "{told}");
            assert!(told.contains("is_unprocessed: true"), "{told}");
        }
        assert_eq!(ask(&mut engine), None, "no more of them");
        let end = frame(kind::DATA, flag::END_STREAM, 1, b"");
        assert_eq!(events(&mut engine, end).unwrap(), ["End { stream: 1 }"]);
    }

    #[test]
    fn as_many_streams_are_opened_as_the_server_takes() {
        let mut engine = engine();
        events(&mut engine, settings(&[(3, 2)])).unwrap();
        assert_eq!(ask(&mut engine), Some(1));
        assert_eq!(ask(&mut engine), Some(3));
        assert_eq!(ask(&mut engine), None);
        events(&mut engine, head(1, flag::END_STREAM)).unwrap();
        assert_eq!(ask(&mut engine), Some(5));
        // Fewer than there are: those go on.
        events(&mut engine, settings(&[(3, 0)])).unwrap();
        events(&mut engine, head(3, flag::END_STREAM)).unwrap();
        assert_eq!(ask(&mut engine), None);
    }

    /// RFC 7541, 4.2: a server that makes its table smaller waits for a word.
    #[test]
    fn a_smaller_table_is_confirmed_once() {
        let mut engine = engine();
        events(&mut engine, settings(&[(1, 4096)])).unwrap();
        events(&mut engine, settings(&[(1, 100)])).unwrap();
        for confirms in [true, false] {
            engine.sent(usize::MAX);
            ask(&mut engine).unwrap();
            let (kind, _, block) = sent(&mut engine).remove(0);
            assert_eq!(kind, kind::HEADERS);
            assert_eq!(block[0] == hpack::NO_TABLE, confirms);
        }
    }

    #[test]
    fn a_large_head_goes_in_several_frames() {
        let mut engine = engine();
        let value = vec![b'x'; 40_000];
        let field = (&b"x-long"[..], &value[..], Secrecy::Secret);
        engine.request([field].into_iter(), true).unwrap();
        let output = engine.output().to_vec();
        let kinds: Vec<_> = sent(&mut engine)
            .iter()
            .map(|(kind, stream, payload)| {
                assert_eq!(*stream, 1);
                assert!(payload.len() <= frame::MOST);
                *kind
            })
            .collect();
        assert_eq!(
            kinds,
            [kind::HEADERS, kind::CONTINUATION, kind::CONTINUATION]
        );
        assert_eq!(output[4], 0, "neither the end of the head nor the stream");
    }
}
