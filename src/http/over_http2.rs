//! One request and its response over HTTP/2, on a connection of its own.

use std::io;
use std::mem;
use std::ops::ControlFlow;
use std::time::Duration;

use http::Request;

use crate::error::Error;
use crate::failure::{Failure, NoConnection};
use crate::http::body::Body;
use crate::http::chunked::Progress;
use crate::http::head::Head;
use crate::http::line::{self, Line};
use crate::http::reading::{
    Read, after, before_the_head, behind_the_head, broken, receive,
};
use crate::http2::{Code, Event};
use crate::net::tls::{self, Stream};
use crate::stats::Stats;
use crate::sys::Entry;
use crate::url::HttpUrl;
use crate::wait::{Interrupt, Interrupted, Until, deadline};

/// The most of a request's body that waits to be written.
const OUTPUT: usize = 64 * 1024;
/// What is read at once while a head is waited for.
const INPUT: usize = 4 * 1024;

/// How long a response may take, and what ends the wait.
pub(crate) struct Times<'a> {
    pub(crate) interrupt: &'a dyn Interrupt,
    pub(crate) response_timeout: Option<Duration>,
}

impl<'a> Times<'a> {
    /// From now on.
    fn until(&self) -> Until<'a> {
        Until::new(self.interrupt, deadline(self.response_timeout))
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
    line: Line,
    number: u32,
    first: Option<First>,
    /// Some of the body has come since the last wait.
    has_heard: bool,
    /// The stream has ended, or the connection has.
    is_over: bool,
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
    let mut line = Line::new(stream);
    let body = request.body().unwrap_or_default();
    let number = line.ask(request, url).expect("the first of a connection");
    let mut http2 = Box::new(Http2 {
        line,
        number,
        first: None,
        has_heard: false,
        is_over: false,
    });
    let head = http2.head(body, times)?;
    Ok((head, http2))
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
                let is_sending = !self.line.engine.output().is_empty();
                if self.line.flush() && is_sending {
                    until = times.until();
                }
                until
                    .check()
                    .map_err(|unready| no_response(&unready.into()))?;
                // As long as there is room for it.
                goes_on =
                    body.len() < before && self.line.engine.output().is_empty();
            }
            if let Some(head) = head.take_if(|_| body.is_empty()) {
                self.first = Some(first);
                return Ok(head);
            }
            // None is held while there is nothing to read.
            let mut buffer = vec![0; INPUT];
            let received = receive(&mut self.line.stream, &mut buffer, false);
            let mut bytes = match received.map_err(|it| no_response(&it))? {
                None => return Err(self.line.closed_early().into()),
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
                let event = self.line.engine.next(&mut bytes);
                match event.map_err(|broken| self.line.broken_early(broken))? {
                    None => break,
                    Some(Event::Head { head: read, .. }) => {
                        head = Some(line::read_head(read)?);
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
                    Some(Event::Output) => drop(self.line.flush()),
                }
            }
        }
    }

    /// Puts some of a request's body where it will be sent; returns the rest.
    fn send<'a>(&mut self, mut body: &'a [u8]) -> &'a [u8] {
        while !body.is_empty() && self.line.engine.output().len() < OUTPUT {
            match self.line.engine.send(self.number, body) {
                0 => break,
                sent => body = &body[sent..],
            }
        }
        body
    }

    /// What to wait for, once a read has brought all there is.
    pub(crate) fn entry(&self) -> Entry {
        self.line.entry()
    }

    /// What it comes over.
    pub(crate) fn below(&self) -> &Stream {
        &self.line.stream
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
        let (received, next) =
            match receive(&mut self.line.stream, buffer, false) {
                Ok(Some((0, next))) => {
                    // It may have become ready to be written to.
                    self.line.flush();
                    return Ok(self.told(next));
                }
                Ok(Some((read, next))) => (&mut buffer[..read], next),
                Ok(None) => return Err(self.line.closed()),
                Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(self.line.closed());
                }
                Err(cause) => return Err(broken(&cause)),
            };
        stats.received(received.len());
        match self.take_in(received, body, sink)? {
            Read::More => self.has_heard = true,
            Read::Nothing => {}
            ended => return Ok(ended),
        }
        if body.has_rest() {
            return Ok(Read::More);
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
            self.line.engine.consumed(self.number, first.body.len());
        }
        if first.is_whole {
            return body.closed().map(|it| after(it, Read::More));
        }
        match self.take_in(&mut first.unread, body, sink)? {
            Read::More | Read::Nothing if body.has_rest() => Ok(Read::More),
            Read::More | Read::Nothing => {
                Ok(behind_the_head(&self.line.stream))
            }
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
            if let Some(mut run) =
                self.line.engine.run(self.number, &mut received)
            {
                while let Some(bytes) = run.next() {
                    read = Read::More;
                    if body.decode_piece(bytes, sink)? == Progress::Stopped {
                        return Ok(Read::Stopped);
                    }
                }
            }
            let event = self.line.engine.next(&mut received);
            match event.map_err(|broken| self.line.broken(broken))? {
                None => break,
                Some(Event::Data { stream, bytes }) => {
                    read = Read::More;
                    let length = bytes.len();
                    if body.decode(bytes, sink)? == Progress::Stopped {
                        return Ok(Read::Stopped);
                    }
                    self.line.engine.consumed(stream, length);
                }
                Some(Event::End { .. }) => {
                    self.is_over = true;
                    return body.closed().map(|it| after(it, Read::More));
                }
                Some(Event::Reset { code, why, .. }) => {
                    self.is_over = true;
                    return Err(line::reset(code, why));
                }
                Some(Event::Output) => drop(self.line.flush()),
                // The engine lets no second one through.
                Some(Event::Head { .. }) => {}
            }
        }
        self.line.flush();
        Ok(read)
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        if !self.is_over && !self.line.is_deaf {
            self.line.engine.cancel(self.number);
        }
    }
}

/// A stream that was reset before the head of the response.
fn refused(code: Code, why: Option<&str>, is_unprocessed: bool) -> NoResponse {
    if line::wants_http1(code, why) {
        return NoResponse::Http1Required;
    }
    let failure = line::refused(code, why);
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
