//! A client's end of a connection: what the server's bytes mean for each
//! stream, and what is to be sent. Here are the streams, their windows, and what
//! goes to the server; what comes from it is in `input` and `meaning`.

mod input;
mod meaning;

use std::mem;

use input::Place;
use meaning::Block;

use super::frame::{self, Code, Head as Frame, flag, kind, setting};
use super::head::Head;
use super::hpack::{self, Decoder, Secrecy};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::frame::number;

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
