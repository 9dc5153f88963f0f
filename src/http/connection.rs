//! An open connection: its body, read as it comes.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use http::header::HeaderMap;

use crate::error::Error;
use crate::failure::{Excerpt, Failure};
use crate::http::body::Body;
#[cfg(feature = "http2")]
use crate::http::chunked::Progress;
use crate::http::exchange::Rest;
#[cfg(feature = "http2")]
use crate::http::over_http2::Http2;
use crate::http::reading::{after, behind_the_head, broken, receive};
use crate::http::spare::{Spare, Terms};
use crate::net::socket::Socket;
use crate::net::tls::Stream;
use crate::stats::Stats;
use crate::sys::{Entry, Interest};
use crate::wait::{Until, deadline};

pub(crate) use crate::http::reading::Read;

/// An accepted response's body, and what it comes over. Nothing above knows
/// how either is framed.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    body: Body,
}

/// What a body comes over.
#[derive(Debug)]
enum Wire {
    /// HTTP/1.1; the part of the body that came with the head, until it was
    /// read; and what the connection was made for, if the server keeps it.
    Http1(Stream, Option<Vec<u8>>, Option<Terms>),
    #[cfg(feature = "http2")]
    Http2(Box<Http2>),
    /// Somebody else reads, and brings the pieces of the body.
    #[cfg(feature = "http2")]
    Shared,
}

/// What a read takes from.
pub(crate) trait Input {
    /// Hands what there is to `sink`, piece by piece.
    fn read_through(
        self,
        connection: &mut Connection,
        stats: &Stats,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Read, Failure>;
}

/// The network, by way of a buffer.
pub(crate) struct Network<'a> {
    pub(crate) buffer: &'a mut [u8],
    /// The read waits, as far as [`Connection::socket`] lets it.
    pub(crate) waits: bool,
}

impl<'a> Network<'a> {
    /// What has come.
    pub(crate) fn now(buffer: &'a mut [u8]) -> Network<'a> {
        Network { buffer, waits: false }
    }
}

impl Input for Network<'_> {
    #[inline]
    fn read_through(
        self,
        connection: &mut Connection,
        stats: &Stats,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Read, Failure> {
        connection.read(self, stats, sink)
    }
}

/// Pieces of the body that somebody else has read.
#[cfg(feature = "http2")]
pub(crate) struct Pieces<F>(pub(crate) F);

#[cfg(feature = "http2")]
impl<'a, F: FnMut() -> Option<&'a mut [u8]>> Input for Pieces<F> {
    #[inline]
    fn read_through(
        mut self,
        connection: &mut Connection,
        stats: &Stats,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Read, Failure> {
        connection.body.begin();
        let mut received = 0;
        let mut read = Ok(Read::All);
        while let Some(piece) = (self.0)() {
            received += piece.len();
            match connection.body.decode_piece(piece, sink) {
                Ok(Progress::Stopped) => read = Ok(Read::Stopped),
                Ok(_) => continue,
                Err(failure) => read = Err(failure),
            }
            break;
        }
        stats.received(received);
        match read {
            Ok(Read::All) if connection.body.has_rest() => Ok(Read::More),
            read => read,
        }
    }
}

impl Connection {
    /// The body that a response's headers announce, over what is left of its
    /// exchange.
    pub(crate) fn new(
        rest: Rest,
        headers: &HeaderMap,
    ) -> Result<Connection, Failure> {
        let (wire, body) = match rest {
            Rest::Http1(stream, first, terms) => {
                (Wire::Http1(stream, Some(first), terms), Body::new(headers)?)
            }
            #[cfg(feature = "http2")]
            Rest::Http2(stream) => {
                (Wire::Http2(stream), Body::of_a_stream(headers)?)
            }
            #[cfg(feature = "http2")]
            Rest::Shared => (Wire::Shared, Body::of_a_stream(headers)?),
        };
        Ok(Connection { wire, body })
    }

    /// What to wait for, once a read has brought all there is; None if that is
    /// somebody else's to do.
    pub(crate) fn entry(&self) -> Option<Entry> {
        match &self.wire {
            Wire::Http1(stream, ..) => Some(stream.entry(Interest::Read)),
            #[cfg(feature = "http2")]
            Wire::Http2(stream) => Some(stream.entry()),
            #[cfg(feature = "http2")]
            Wire::Shared => None,
        }
    }

    /// The stream that it comes over has ended in good order, says who reads
    /// it.
    #[cfg(feature = "http2")]
    pub(crate) fn has_ended(&mut self) -> Result<(), Failure> {
        self.body.closed().map(drop)
    }

    /// What a read may wait for. Over HTTP/2 there may be something to send
    /// meanwhile.
    pub(crate) fn socket(&self) -> Option<&Socket> {
        match &self.wire {
            Wire::Http1(stream, ..) => Some(stream.socket()),
            #[cfg(feature = "http2")]
            Wire::Http2(_) | Wire::Shared => None,
        }
    }

    /// Whether bytes that have come may be left where a wait does not see them.
    pub(crate) fn holds_more(&self) -> bool {
        if self.body.has_rest() {
            return true;
        }
        let stream = match &self.wire {
            Wire::Http1(stream, ..) => stream,
            #[cfg(feature = "http2")]
            Wire::Http2(stream) => stream.below(),
            #[cfg(feature = "http2")]
            Wire::Shared => return false,
        };
        stream.may_hold_more()
    }

    /// Reads once, and hands what that brought to `sink`, piece by piece. The
    /// first time that is what came with the head, and needs no wait before it;
    /// afterwards it is the network. A read that has waited in vain brings
    /// [`Read::Nothing`].
    #[inline]
    pub(crate) fn read(
        &mut self,
        Network { buffer, waits }: Network<'_>,
        stats: &Stats,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Read, Failure> {
        if self.body.has_rest() {
            return self.body.decode_rest(sink).map(|it| after(it, Read::More));
        }
        self.body.begin();
        let (stream, first) = match &mut self.wire {
            Wire::Http1(stream, first, _) => (stream, first),
            #[cfg(feature = "http2")]
            Wire::Http2(stream) => {
                return stream.read(&mut self.body, buffer, stats, sink);
            }
            #[cfg(feature = "http2")]
            Wire::Shared => return Ok(Read::All),
        };
        let mut first = first.take();
        let (received, next) = match &mut first {
            Some(first) => (&mut first[..], behind_the_head(stream)),
            None => match receive(stream, buffer, waits) {
                Ok(Some((0, next))) => return Ok(next),
                Ok(Some((read, next))) => (&mut buffer[..read], next),
                Ok(None) => {
                    return self.body.closed().map(|it| after(it, Read::More));
                }
                Err(cause) if is_cut_off(&cause) => {
                    return Err(self.cut_off());
                }
                Err(cause) => return Err(broken(&cause)),
            },
        };
        stats.received(received.len());
        let progress = self.body.decode(received, sink)?;
        let next = if self.body.has_rest() { Read::More } else { next };
        Ok(after(progress, next))
    }

    /// The connection for another request to `origin`, once the body has ended
    /// and if the server keeps it.
    pub(crate) fn into_spare(self, origin: String) -> Option<Box<Spare>> {
        match self.wire {
            Wire::Http1(stream, None, Some(terms)) if self.body.is_over() => {
                Some(Box::new(Spare::new(stream, origin, terms)))
            }
            _ => None,
        }
    }

    /// The same, if all of the body has come already; it is dropped.
    pub(crate) fn skip(mut self, origin: String) -> Option<Box<Spare>> {
        /// A longer body costs more than a connection.
        const READS: usize = 8;

        let mut buffer = [0; 4096];
        let stats = Stats::default();
        for read in 0..READS {
            let mut sink = |_: &mut [u8]| ControlFlow::Continue(());
            match self.read(Network::now(&mut buffer), &stats, &mut sink) {
                Ok(Read::End) => return self.into_spare(origin),
                Ok(Read::More) => {}
                // What came with the head.
                Ok(Read::All) if read == 0 => {}
                _ => break,
            }
        }
        None
    }

    /// The connection was closed without the end that TLS has. RFC 9112, 8: a
    /// body that nothing else ends is then incomplete.
    fn cut_off(&mut self) -> Failure {
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

        let mut beginning = Beginning::new(size);
        let mut sink = |piece: &mut [u8]| beginning.take(piece);
        let mut buffer = vec![0; BUFFER];
        // Of no stream that the program follows.
        let stats = Stats::default();
        let mut is_complete = false;
        // A server that always has more is not waited for.
        while until.check().is_ok() {
            match self.read(Network::now(&mut buffer), &stats, &mut sink) {
                Ok(Read::More) => {}
                Ok(Read::All | Read::Nothing) => {
                    let end = deadline(idle);
                    let until = end.map_or(until, |end| until.at_most(end));
                    let waited = self.entry().map(|entry| until.wait(entry));
                    if !matches!(waited, Some(Ok(()))) {
                        break;
                    }
                }
                read => {
                    is_complete = matches!(read, Ok(Read::End));
                    break;
                }
            }
        }
        beginning.finish(is_complete)
    }
}

/// The beginning of a body, up to a size, as far as there is memory.
#[derive(Debug)]
pub(crate) struct Beginning {
    bytes: Vec<u8>,
    size: usize,
}

impl Beginning {
    pub(crate) fn new(size: usize) -> Beginning {
        Beginning { bytes: Vec::new(), size }
    }

    /// Takes of a piece what belongs to it.
    pub(crate) fn take(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let taken = piece.len().min(self.size - self.bytes.len());
        // With a NUL behind it.
        if self.bytes.try_reserve(taken + 1).is_err() {
            return ControlFlow::Break(());
        }
        self.bytes.extend_from_slice(&piece[..taken]);
        match piece.len() > taken {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    pub(crate) fn finish(mut self, is_complete: bool) -> Excerpt {
        self.bytes.push(0);
        Excerpt::with_nul(self.bytes, is_complete)
    }
}

fn is_cut_off(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::UnexpectedEof
}
