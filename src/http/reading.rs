//! Reading from the network without waiting, whatever the protocol is.

use std::io;

use crate::error::Error;
use crate::failure::{Failure, in_words};
use crate::http::chunked::Progress;
use crate::net::tls::{self, Stream};

/// What a read has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// There may be more at once.
    More,
    /// There is no more for now: the connection can be waited for.
    All,
    /// The same, and nothing of the body has come since the last wait.
    Nothing,
    /// The body has ended in good order.
    End,
    /// The sink wanted no more.
    Stopped,
}

/// What a piece of a body means, where `next` follows if the body goes on.
#[inline]
pub(crate) fn after(progress: Progress, next: Read) -> Read {
    match progress {
        Progress::More => next,
        Progress::End => Read::End,
        Progress::Stopped => Read::Stopped,
    }
}

/// Reads once: how many bytes, and what follows if they end nothing. None is
/// the end of what comes; `UnexpectedEof` is one that anybody on the way may
/// have made. With `waits` the read waits, as far as the socket lets it.
#[inline]
pub(crate) fn receive(
    stream: &mut Stream,
    buffer: &mut [u8],
    waits: bool,
) -> io::Result<Option<(usize, Read)>> {
    /// A read that brings less than this has most likely emptied the socket;
    /// after a larger one it pays to ask again.
    const LITTLE: usize = 8 * 1024;

    let room = buffer.len();
    match stream.receive(buffer, waits) {
        Ok(0) => Ok(None),
        Ok(read) => {
            let all = read < LITTLE.min(room) && !stream.may_hold_more();
            Ok(Some((read, if all { Read::All } else { Read::More })))
        }
        Err(cause) => match cause.kind() {
            io::ErrorKind::WouldBlock if waits => Ok(Some((0, Read::Nothing))),
            io::ErrorKind::WouldBlock => Ok(Some((0, Read::All))),
            io::ErrorKind::Interrupted => Ok(Some((0, Read::More))),
            _ => Err(cause),
        },
    }
}

/// What follows the bytes that came with a head: TLS may have received more
/// than the head's buffer had room for.
pub(crate) fn behind_the_head(stream: &Stream) -> Read {
    if stream.may_hold_more() { Read::More } else { Read::All }
}

/// What it means that an open connection cannot be read.
pub(crate) fn broken(cause: &io::Error) -> Failure {
    tls::failure(cause).unwrap_or_else(|| {
        let message = format!("stream broken: {}", in_words(cause));
        Failure::new(Error::Lost, message).caused_by(cause)
    })
}

/// What it means that a connection broke before it brought a head.
pub(crate) fn before_the_head(cause: &io::Error) -> Failure {
    let failure = match cause.kind() {
        io::ErrorKind::TimedOut => {
            Failure::new(Error::Timeout, "timed out before the response")
        }
        io::ErrorKind::UnexpectedEof => Failure::new(
            Error::Lost,
            "connection closed by the server before it responded",
        ),
        _ => Failure::new(
            Error::Lost,
            format!("connection lost before the response: {}", in_words(cause)),
        ),
    };
    failure.caused_by(cause)
}
