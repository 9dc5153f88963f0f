//! A scripted server's end of a connection over HTTP/2: frames, each at the
//! test's word, in order or not.

use std::io;

use super::event_loop;
use super::server::{Connection, Request, Server};
use super::source::Source;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

/// The first stream of each connection.
pub const STREAM: u32 = 1;

/// The status 200 and the type of an event stream, for [`block`].
pub const EVENT_STREAM: [(&str, &str); 2] =
    [(":status", "200"), ("content-type", "text/event-stream")];

/// A frame of the client's.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The number at `place` of the payload.
    pub fn number(&self, place: usize) -> u32 {
        let bytes = self.payload[place..].first_chunk().expect("a number");
        u32::from_be_bytes(*bytes)
    }
}

/// A connection whose request, or the head of which, has been read.
pub struct Http2 {
    connection: Connection,
    held: Vec<u8>,
    /// The one that was read last, and its stream.
    pub request: Request,
    pub stream: u32,
}

impl Http2 {
    /// Waits for a connection and its request, and sends settings.
    pub fn accept(server: &Server) -> Http2 {
        Self::accept_with(server, &[])
    }

    /// The same, with these settings.
    pub fn accept_with(server: &Server, settings: &[(u16, u32)]) -> Http2 {
        let connection = server.accept_unasked().expect("a connection");
        let mut http2 = Self::silent(connection);
        http2.settings(settings);
        http2
    }

    /// Reads the head of a request, and sends nothing.
    pub fn silent(connection: Connection) -> Http2 {
        let (held, request) = (Vec::new(), Request::default());
        let mut http2 = Http2 { connection, held, request, stream: 0 };
        let preface = http2.take(24);
        assert_eq!(preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let settings = http2.frame();
        assert_eq!((settings.kind, settings.flags), (SETTINGS, 0));
        http2.next_request();
        assert_eq!(http2.stream, STREAM);
        http2
    }

    /// The next request: over a connection that follows this one, or, of a
    /// source that a loop drives, over this one.
    pub fn again(mut self, server: &Server) -> Http2 {
        match event_loop::of_new_sources() {
            None => {
                self.sees_a_good_bye(0);
                Http2::accept(server)
            }
            Some(_) => {
                self.next_request();
                self
            }
        }
    }

    /// The source has done with its stream, and so with the connection; if a
    /// loop drives it, when it is closed.
    pub fn sees_the_end(&mut self, source: &Source) {
        if event_loop::of_new_sources().is_some() {
            source.close();
        }
        self.sees_a_good_bye(0);
    }

    /// Reads the head of the next request.
    pub fn next_request(&mut self) {
        let head = self.next(HEADERS);
        self.read_request(head);
    }

    /// Reads the rest of a head that begins with this frame.
    pub fn read_request(&mut self, head: Frame) {
        let Frame { mut flags, stream, payload: mut block, .. } = head;
        while flags & END_HEADERS == 0 {
            let more = self.frame();
            assert_eq!(more.kind, CONTINUATION);
            block.extend(more.payload);
            flags = more.flags;
        }
        self.stream = stream;
        self.request = request_of(&block);
    }

    /// Answers the request that was read, and each that follows, until the client
    /// leaves.
    pub fn answer_all(mut self, mut answer: impl FnMut(&mut Http2)) {
        answer(&mut self);
        while let Ok(Some(frame)) = self.try_frame() {
            if frame.kind == HEADERS {
                self.read_request(frame);
                answer(&mut self);
            }
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.try_take(length).expect("bytes");
        taken.expect("the client has closed")
    }

    /// None if the client has closed.
    fn try_take(&mut self, length: usize) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = [0; 16 << 10];
        while self.held.len() < length {
            let read = self.connection.receive(&mut buffer)?;
            if read == 0 {
                return Ok(None);
            }
            self.held.extend_from_slice(&buffer[..read]);
        }
        let rest = self.held.split_off(length);
        Ok(Some(std::mem::replace(&mut self.held, rest)))
    }

    /// The next frame of the client's.
    pub fn frame(&mut self) -> Frame {
        self.try_frame().expect("a frame").expect("the client has closed")
    }

    /// The same; None if there is none.
    pub fn try_frame(&mut self) -> io::Result<Option<Frame>> {
        let Some(head) = self.try_take(9)? else { return Ok(None) };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.try_take(length as usize)?;
        let payload = payload.expect("a whole frame");
        Ok(Some(Frame { kind: head[3], flags: head[4], stream, payload }))
    }

    /// The next frame of a kind; others are passed over.
    pub fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame();
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The body of the request, which is on its way.
    pub fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let frame = self.next(DATA);
            body.extend(&frame.payload);
            if frame.flags & END_STREAM != 0 {
                return body;
            }
        }
    }

    /// The client ends the stream, with this code.
    #[track_caller]
    pub fn sees_a_reset(&mut self, code: u32) {
        let frame = self.next(RST_STREAM);
        assert_eq!((frame.stream, frame.number(0)), (self.stream, code));
    }

    /// The client ends the connection, with this code.
    #[track_caller]
    pub fn sees_a_good_bye(&mut self, code: u32) {
        let frame = self.next(GOAWAY);
        assert_eq!((frame.stream, frame.number(4)), (0, code));
        self.connection.sees_the_client_close();
    }

    /// Writes bytes, whatever they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.connection.send(bytes);
    }

    /// The same, to a client that may be gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.connection.try_send(bytes)
    }

    pub fn send_frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) {
        self.send(&frame(kind, flags, stream, payload));
    }

    pub fn settings(&mut self, settings: &[(u16, u32)]) {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| {
                [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
            })
            .collect();
        self.send_frame(SETTINGS, 0, 0, &payload);
    }

    /// The head of a response.
    pub fn head(&mut self, flags: u8, fields: &[(&str, &str)]) {
        let flags = flags | END_HEADERS;
        self.send_frame(HEADERS, flags, self.stream, &block(fields));
    }

    /// The head of an event stream.
    pub fn open(&mut self) {
        self.head(0, &EVENT_STREAM);
    }

    /// A piece of the stream.
    pub fn data(&mut self, data: impl AsRef<[u8]>) {
        self.send_frame(DATA, 0, self.stream, data.as_ref());
    }

    /// The end of the stream.
    pub fn end(&mut self) {
        self.send_frame(DATA, END_STREAM, self.stream, &[]);
    }

    pub fn reset(&mut self, code: u32) {
        self.send_frame(RST_STREAM, 0, self.stream, &code.to_be_bytes());
    }

    pub fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send_frame(GOAWAY, 0, 0, &payload);
    }

    /// Closes the connection in an orderly way.
    pub fn finish(self) {
        self.connection.finish();
    }

    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// A frame, as it is sent.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// Fields as HPACK, without its tables.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            string(&mut block, text);
        }
    }
    block
}

fn string(block: &mut Vec<u8>, text: &str) {
    match text.len() {
        0..127 => block.push(text.len() as u8),
        length => {
            block.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                block.push(rest as u8 | 128);
                rest >>= 7;
            }
            block.push(rest as u8);
        }
    }
    block.extend(text.as_bytes());
}

/// The request that a block is the head of. The library writes every field
/// out.
pub fn request_of(mut block: &[u8]) -> Request {
    let mut request =
        Request { version: "HTTP/2".to_owned(), ..Request::default() };
    while let [0 | 0x10, rest @ ..] = block {
        block = rest;
        let name = String::from_utf8(text(&mut block)).expect("UTF-8");
        let value = text(&mut block);
        let words = || String::from_utf8(value.clone()).expect("UTF-8");
        match &*name {
            ":method" => request.method = words(),
            ":path" => request.target = words(),
            _ => {}
        }
        request.headers.push((name, value));
    }
    assert!(block.is_empty(), "a field that was not written out: {block:?}");
    request
}

fn text(block: &mut &[u8]) -> Vec<u8> {
    let mut length = usize::from(block[0]);
    *block = &block[1..];
    if length == 127 {
        let mut shift = 0;
        loop {
            let byte = block[0];
            *block = &block[1..];
            length += usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
    }
    assert!(length < 1 << 20, "no Huffman code");
    let (text, rest) = block.split_at(length);
    *block = rest;
    text.to_vec()
}
