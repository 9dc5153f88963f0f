//! An open connection: its body, read as it comes.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::failure::{Excerpt, Failure, in_words};
use crate::http::body::Body;
use crate::http::chunked::Progress;
use crate::net::tls::{self, Stream};
use crate::stats::Stats;
use crate::sys::{Entry, Interest};
use crate::wait::Until;

/// What a read has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// There may be more at once.
    More,
    /// There is no more for now: the connection can be waited for.
    All,
    /// The body has ended in good order.
    End,
    /// The sink wanted no more.
    Stopped,
}

/// An accepted response's body, and what it comes over. Nothing above knows
/// how either is framed.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    body: Body,
    /// The part of the body that came with the head, until it was read.
    first: Option<Vec<u8>>,
}

impl Connection {
    pub(crate) fn new(
        stream: Stream,
        first: Vec<u8>,
        body: Body,
    ) -> Connection {
        Connection { stream, body, first: Some(first) }
    }

    /// What to wait for, once a read has brought all there is.
    pub(crate) fn entry(&self) -> Entry {
        self.stream.entry(Interest::Read)
    }

    /// Whether bytes that have come may be left where a wait does not see them.
    pub(crate) fn holds_more(&self) -> bool {
        !self.stream.short_read_is_all()
    }

    /// Reads once, without waiting, and hands what that brought to `sink`,
    /// piece by piece. The first time that is what came with the head, and
    /// needs no wait before it; afterwards it is read into `buffer`.
    #[inline]
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        stats: &Stats,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Read, Failure> {
        let mut first = self.first.take();
        let (received, next) = match &mut first {
            Some(first) => (&mut first[..], Read::All),
            None => match self.receive(buffer)? {
                (0, next) => return Ok(next),
                (read, next) => (&mut buffer[..read], next),
            },
        };
        stats.received(received.len());
        Ok(match self.body.decode(received, sink)? {
            Progress::More => next,
            Progress::End => Read::End,
            Progress::Stopped => Read::Stopped,
        })
    }

    /// Reads from the network: how many bytes, and what follows if they end
    /// nothing.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, Read), Failure> {
        /// A read that brings less than this has most likely emptied the
        /// socket; after a larger one it pays to ask again.
        const LITTLE: usize = 8 * 1024;

        match self.stream.read(buffer) {
            Ok(0) => self.body.closed().map(|_| (0, Read::End)),
            Ok(read) => {
                let all = read < LITTLE && self.stream.short_read_is_all();
                Ok((read, if all { Read::All } else { Read::More }))
            }
            Err(cause) => match cause.kind() {
                io::ErrorKind::WouldBlock => Ok((0, Read::All)),
                io::ErrorKind::Interrupted => Ok((0, Read::More)),
                io::ErrorKind::UnexpectedEof => Err(self.cut_off()),
                _ => Err(broken(&cause)),
            },
        }
    }

    /// The connection was closed without the end that TLS has. RFC 9112, 8: a
    /// body that nothing else ends is then incomplete.
    fn cut_off(&self) -> Failure {
        self.body.closed().err().unwrap_or_else(|| {
            let message = "the connection was closed without TLS's \
                           close_notify: the stream may have been cut off";
            Failure::new(Error::Lost, message)
        })
    }

    /// The beginning of a refused response's body, which often says why: up to
    /// `size` bytes, if there is memory for them. Waits no longer than `until`,
    /// and for one byte no longer than `idle`.
    pub(crate) fn excerpt(
        &mut self,
        size: usize,
        until: Until<'_>,
        idle: Option<Duration>,
    ) -> Excerpt {
        const BUFFER: usize = 4096;

        let mut excerpt = Vec::new();
        let mut sink = |piece: &mut [u8]| {
            let taken = piece.len().min(size - excerpt.len());
            // With a NUL behind it.
            if excerpt.try_reserve(taken + 1).is_err() {
                return ControlFlow::Break(());
            }
            excerpt.extend_from_slice(&piece[..taken]);
            match piece.len() > taken {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let mut buffer = vec![0; BUFFER];
        // Of no stream that the program follows.
        let stats = Stats::default();
        let mut is_complete = false;
        // A server that always has more is not waited for.
        while until.check().is_ok() {
            match self.read(&mut buffer, &stats, &mut sink) {
                Ok(Read::More) => {}
                Ok(Read::All) => {
                    let end =
                        idle.and_then(|idle| Instant::now().checked_add(idle));
                    let until = end.map_or(until, |end| until.at_most(end));
                    if until.wait(self.entry()).is_err() {
                        break;
                    }
                }
                read => {
                    is_complete = matches!(read, Ok(Read::End));
                    break;
                }
            }
        }
        excerpt.push(0);
        Excerpt::with_nul(excerpt, is_complete)
    }
}

fn broken(cause: &io::Error) -> Failure {
    tls::failure(cause).unwrap_or_else(|| {
        let message = format!("stream broken: {}", in_words(cause));
        Failure::new(Error::Lost, message).caused_by(cause)
    })
}
