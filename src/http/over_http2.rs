//! One request and its response over HTTP/2, on a connection of its own.

use std::io::{self, Write};
use std::mem;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use http::Request;
use http::header::{self, HOST, HeaderMap, HeaderName};

use crate::error::Error;
use crate::failure::{Failure, NoConnection};
use crate::http::body::Body;
use crate::http::chunked::Progress;
use crate::http::head::{self, Head};
use crate::http::reading::{Read, before_the_head, broken, receive};
use crate::http2::{self, Broken, Code, Engine, Event, Secrecy};
use crate::net::tls::{self, Stream};
use crate::response::HTTP_2;
use crate::stats::Stats;
use crate::sys::{Entry, Interest, process_id};
use crate::url::HttpUrl;
use crate::wait::{Interrupt, Interrupted, Until};

/// The most of a request's body that waits to be written.
const OUTPUT: usize = 64 * 1024;
/// What is read at once while a head is waited for.
const INPUT: usize = 4 * 1024;

/// Headers that tell nothing of the program's, and that proxies on the way may
/// keep in their tables. Every other may be a key.
const OPEN: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CACHE_CONTROL,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::PRAGMA,
    header::USER_AGENT,
];

/// Headers that belong to HTTP/1.1's connections, and have names that a program
/// may set (RFC 9113, 8.2.2).
const OF_CONNECTIONS: [&str; 2] = ["keep-alive", "proxy-connection"];

/// How long a response may take, and what ends the wait.
pub(crate) struct Times<'a> {
    pub(crate) interrupt: &'a dyn Interrupt,
    pub(crate) response_timeout: Option<Duration>,
}

impl<'a> Times<'a> {
    /// From now on.
    fn until(&self) -> Until<'a> {
        let timeout = self.response_timeout;
        let deadline =
            timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Until::new(self.interrupt, deadline)
    }
}

/// Why no response has come.
#[derive(Debug)]
pub(crate) enum NoResponse {
    /// The server has not looked at the request.
    Unprocessed(Failure),
    /// The server wants to be asked over HTTP/1.1.
    Http1Required,
    Other(NoConnection),
}

impl From<Failure> for NoResponse {
    fn from(failure: Failure) -> NoResponse {
        NoResponse::Other(failure.into())
    }
}

/// A response's stream, and the connection that it has for itself.
#[derive(Debug)]
pub(crate) struct Http2 {
    stream: Stream,
    engine: Engine,
    number: u32,
    first: Option<First>,
    /// Some of the body has come since the last wait.
    has_heard: bool,
    /// The stream has ended, or the connection has.
    is_over: bool,
    /// The server takes nothing any more. What it has sent may still be read.
    is_deaf: bool,
    /// In a child process the connection is still the parent's.
    process_id: u32,
}

/// What came with the head, until it was read.
#[derive(Debug, Default)]
struct First {
    /// The part of the body that came while the request was being sent.
    body: Vec<u8>,
    /// The body has ended with it.
    is_whole: bool,
    /// What follows.
    unread: Vec<u8>,
}

/// Sends a request, and reads the head of its response.
pub(crate) fn exchange(
    request: &Request<Option<&[u8]>>,
    url: &HttpUrl,
    stream: Stream,
    times: Times<'_>,
) -> Result<(Head, Box<Http2>), NoResponse> {
    let mut engine = Engine::new();
    let body = request.body().unwrap_or_default();
    let number = ask(&mut engine, request, url);
    let mut http2 = Box::new(Http2 {
        stream,
        engine,
        number,
        first: None,
        has_heard: false,
        is_over: false,
        is_deaf: false,
        process_id: process_id(),
    });
    let head = http2.head(body, times)?;
    Ok((head, http2))
}

/// Writes a request, as far as it is a head (RFC 9113, 8.3.1).
fn ask(
    engine: &mut Engine,
    request: &Request<Option<&[u8]>>,
    url: &HttpUrl,
) -> u32 {
    let headers = request.headers();
    let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
    let scheme = if url.is_secure() { "https" } else { "http" };
    let of_http = [
        (":method", request.method().as_str().as_bytes()),
        (":scheme", scheme.as_bytes()),
        (":authority", host),
        (":path", url.target().as_bytes()),
    ];
    let of_http = of_http
        .into_iter()
        .map(|(name, value)| (name.as_bytes(), value, Secrecy::Open));
    let length = request.body().map(|body| body.len().to_string());
    let length = length.iter().map(|length| {
        (&b"content-length"[..], length.as_bytes(), Secrecy::Open)
    });
    let fields = headers.iter().filter(|(name, _)| {
        **name != HOST && !OF_CONNECTIONS.contains(&name.as_str())
    });
    let fields = fields.map(|(name, value)| {
        let secrecy = match OPEN.contains(name) {
            true => Secrecy::Open,
            false => Secrecy::Secret,
        };
        (name.as_str().as_bytes(), value.as_bytes(), secrecy)
    });
    let has_body = request.body().is_some_and(|body| !body.is_empty());
    engine
        .request(of_http.chain(fields).chain(length), has_body)
        .expect("the first of a connection")
}

impl Http2 {
    /// Sends the request to its end, and waits for the head of the response.
    fn head(
        &mut self,
        mut body: &[u8],
        times: Times<'_>,
    ) -> Result<Head, NoResponse> {
        let mut until = times.until();
        let mut head: Option<Head> = None;
        let mut first = First::default();
        loop {
            let mut goes_on = true;
            while goes_on {
                let before = body.len();
                body = self.send(body);
                // The time for the response begins when the request has gone.
                let is_sending = !self.engine.output().is_empty();
                if self.flush()? && is_sending {
                    until = times.until();
                }
                until
                    .check()
                    .map_err(|unready| no_response(&unready.into()))?;
                // As long as there is room for it.
                goes_on =
                    body.len() < before && self.engine.output().is_empty();
            }
            if let Some(head) = head.take_if(|_| body.is_empty()) {
                self.first = Some(first);
                return Ok(head);
            }
            // None is held while there is nothing to read.
            let mut buffer = vec![0; INPUT];
            let received = receive(&mut self.stream, &mut buffer);
            let mut bytes = match received.map_err(|it| no_response(&it))? {
                None => return Err(self.closed_early().into()),
                Some((0, Read::More)) => continue,
                Some((0, _)) => {
                    drop(buffer);
                    let ready = until.wait(self.entry());
                    ready.map_err(|unready| no_response(&unready.into()))?;
                    continue;
                }
                Some((read, _)) => &mut buffer[..read],
            };
            loop {
                // Whatever the server does not take of the request, this is
                // all of the response.
                let is_all = body.is_empty() || first.is_whole;
                if let Some(head) = head.take_if(|_| is_all) {
                    first.unread = bytes.to_vec();
                    self.first = Some(first);
                    return Ok(head);
                }
                let event = self.engine.next(&mut bytes);
                match event.map_err(|broken| self.broken_early(broken))? {
                    None => break,
                    Some(Event::Head { head: read, .. }) => {
                        head = Some(read_head(read)?);
                    }
                    Some(Event::Data { bytes, .. }) => {
                        // At most a window of it: no more is asked for.
                        let room = first.body.try_reserve(bytes.len());
                        room.map_err(|_| no_memory())?;
                        first.body.extend_from_slice(bytes);
                    }
                    Some(Event::End { .. }) => {
                        self.is_over = true;
                        first.is_whole = true;
                    }
                    Some(Event::Reset {
                        code, why, is_unprocessed, ..
                    }) => {
                        self.is_over = true;
                        return Err(refused(code, why, is_unprocessed));
                    }
                    Some(Event::Output) => drop(self.flush()?),
                }
            }
        }
    }

    /// Puts some of a request's body where it will be sent; returns the rest.
    fn send<'a>(&mut self, mut body: &'a [u8]) -> &'a [u8] {
        while !body.is_empty() && self.engine.output().len() < OUTPUT {
            match self.engine.send(self.number, body) {
                0 => break,
                sent => body = &body[sent..],
            }
        }
        body
    }

    /// What to wait for, once a read has brought all there is.
    pub(crate) fn entry(&self) -> Entry {
        let interest = match self.engine.output().is_empty() {
            true => Interest::Read,
            false => Interest::Both,
        };
        self.stream.entry(interest)
    }

    /// What it comes over.
    pub(crate) fn below(&self) -> &Stream {
        &self.stream
    }

    /// Reads once, as [`Connection::read`] does.
    ///
    /// [`Connection::read`]: crate::http::connection::Connection::read
    pub(crate) fn read(
        &mut self,
        body: &mut Body,
        buffer: &mut [u8],
        stats: &Stats,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Read, Failure> {
        if let Some(mut first) = self.first.take() {
            stats.received(first.body.len() + first.unread.len());
            return self.read_first(&mut first, body, sink);
        }
        let (received, next) = match receive(&mut self.stream, buffer) {
            Ok(Some((0, next))) => {
                // It may have become ready to be written to.
                self.flush()?;
                return Ok(self.told(next));
            }
            Ok(Some((read, next))) => (&mut buffer[..read], next),
            Ok(None) => return Err(self.closed()),
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.closed());
            }
            Err(cause) => return Err(broken(&cause)),
        };
        stats.received(received.len());
        match self.take_in(received, body, sink)? {
            Read::More => self.has_heard = true,
            Read::Nothing => {}
            ended => return Ok(ended),
        }
        Ok(self.told(next))
    }

    /// What follows a read: frames of the connection do not break the silence
    /// of the stream.
    fn told(&mut self, next: Read) -> Read {
        match next {
            Read::All if !mem::take(&mut self.has_heard) => Read::Nothing,
            next => next,
        }
    }

    fn read_first(
        &mut self,
        first: &mut First,
        body: &mut Body,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Read, Failure> {
        if !first.body.is_empty() {
            let progress = body.decode(&mut first.body, sink)?;
            if progress == Progress::Stopped {
                return Ok(Read::Stopped);
            }
            self.engine.consumed(self.number, first.body.len());
        }
        if first.is_whole {
            return body.closed().map(|_| Read::End);
        }
        match self.take_in(&mut first.unread, body, sink)? {
            Read::More | Read::Nothing => Ok(Read::All),
            ended => Ok(ended),
        }
    }

    /// What received bytes mean: whether the body goes on.
    fn take_in(
        &mut self,
        mut received: &mut [u8],
        body: &mut Body,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Read, Failure> {
        let mut read = Read::Nothing;
        loop {
            while let Some((stream, bytes)) =
                self.engine.next_data(&mut received)
            {
                read = Read::More;
                let length = bytes.len();
                if body.decode_piece(bytes, sink)? == Progress::Stopped {
                    return Ok(Read::Stopped);
                }
                self.engine.consumed(stream, length);
            }
            let event = self.engine.next(&mut received);
            match event.map_err(|broken| self.broken(broken))? {
                None => break,
                Some(Event::Data { stream, bytes }) => {
                    read = Read::More;
                    let length = bytes.len();
                    if body.decode(bytes, sink)? == Progress::Stopped {
                        return Ok(Read::Stopped);
                    }
                    self.engine.consumed(stream, length);
                }
                Some(Event::End { .. }) => {
                    self.is_over = true;
                    return body.closed().map(|_| Read::End);
                }
                Some(Event::Reset { code, why, .. }) => {
                    self.is_over = true;
                    return Err(reset(code, why));
                }
                Some(Event::Output) => drop(self.flush()?),
                // The engine lets no second one through.
                Some(Event::Head { .. }) => {}
            }
        }
        self.flush()?;
        Ok(read)
    }

    /// Sends what there is to send, as far as that goes without waiting;
    /// whether something went.
    fn flush(&mut self) -> Result<bool, Failure> {
        let mut has_sent = false;
        while !self.engine.output().is_empty() && !self.is_deaf {
            match self.stream.write(self.engine.output()) {
                Ok(sent) => {
                    self.engine.sent(sent);
                    has_sent = true;
                }
                Err(cause) => match cause.kind() {
                    io::ErrorKind::WouldBlock => return Ok(has_sent),
                    io::ErrorKind::Interrupted => {}
                    // What it has said before can still be read, and tells
                    // more.
                    _ => self.is_deaf = true,
                },
            }
        }
        if self.is_deaf {
            let rest = self.engine.output().len();
            self.engine.sent(rest);
            return Ok(has_sent);
        }
        // Records of TLS that are ready.
        let _ = self.stream.flush();
        Ok(has_sent)
    }

    /// The server breaks the rules, and is told.
    fn broken(&mut self, broken: Broken) -> Failure {
        let _ = self.flush();
        self.is_over = true;
        self.is_deaf = true;
        let message = format!("bad HTTP/2 in the stream: {}", broken.why);
        Failure::new(Error::Lost, message)
    }

    /// The same, before the head of the response.
    fn broken_early(&mut self, broken: Broken) -> Failure {
        let failure = self.broken(broken);
        let message = format!("bad HTTP/2 before the response: {}", broken.why);
        match self.engine.has_begun() {
            true => Failure { message, ..failure },
            false => Failure::new(Error::Http, message),
        }
    }

    /// The connection has ended, and the body has not. HTTP/2 says where a
    /// body ends, and the connection is no such place.
    fn closed(&self) -> Failure {
        let message = match self.engine.going_away() {
            None | Some(Code::NO_ERROR) => {
                "the connection was closed in the middle of the stream".into()
            }
            Some(code) => format!("the server has broken off: {code}"),
        };
        Failure::new(Error::Lost, message)
    }

    fn closed_early(&self) -> Failure {
        match self.engine.going_away() {
            None | Some(Code::NO_ERROR) => {
                before_the_head(&io::ErrorKind::UnexpectedEof.into())
            }
            Some(_) => self.closed(),
        }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        // A child process has the descriptor, and the parent the connection.
        if self.process_id != process_id() || self.is_deaf {
            return;
        }
        if !self.is_over {
            self.engine.cancel(self.number);
        }
        self.engine.go_away(Code::NO_ERROR);
        if self.flush().is_ok() && self.engine.output().is_empty() {
            self.stream.say_good_bye();
        }
    }
}

/// A stream that the server has reset, or that was malformed.
fn reset(code: Code, why: Option<&str>) -> Failure {
    let message = match why {
        None => format!("the server has broken off the stream: {code}"),
        Some(why) => format!("bad HTTP/2 in the stream: {why}"),
    };
    Failure::new(Error::Lost, message)
}

/// The same, before the head of the response.
fn refused(code: Code, why: Option<&str>, is_unprocessed: bool) -> NoResponse {
    if why.is_none() && code == Code::HTTP_1_1_REQUIRED {
        return NoResponse::Http1Required;
    }
    let message = match why {
        None => format!("the server has refused the request: {code}"),
        Some(why) => format!("bad HTTP/2 before the response: {why}"),
    };
    let failure = Failure::new(Error::Lost, message);
    match is_unprocessed {
        true => NoResponse::Unprocessed(failure),
        false => failure.into(),
    }
}

fn no_memory() -> Failure {
    Failure::new(Error::System, "no memory for the response")
}

/// What an error means before the head of the response.
fn no_response(cause: &io::Error) -> NoResponse {
    if Interrupted::is(cause) {
        return NoResponse::Other(NoConnection::Interrupted);
    }
    tls::failure(cause).unwrap_or_else(|| before_the_head(cause)).into()
}

/// The head as the rest of the library has it.
fn read_head(read: http2::Head) -> Result<Head, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in read.fields {
        // The engine has seen to the names.
        if let Ok(name) = HeaderName::from_lowercase(&name) {
            head::keep(&mut headers, name, value)?;
        }
    }
    Ok(Head { status: read.status, http_version: HTTP_2, headers })
}
