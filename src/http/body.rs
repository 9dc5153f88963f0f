//! The body of a response: its framing and its coding, undone in place.

use std::ops::ControlFlow::{self, Break, Continue};

use http::header::HeaderMap;

use crate::failure::Failure;
use crate::http::chunked::{Framing, Progress};
use crate::http::coding::Gzip;

/// A body being read.
#[derive(Debug)]
pub(crate) struct Body {
    framing: Framing,
    gzip: Option<Box<Gzip>>,
    /// The framing has ended before all of the coding was undone.
    is_framed: bool,
}

impl Body {
    /// The body that a response's headers announce (RFC 9112, 6.3).
    pub(crate) fn new(headers: &HeaderMap) -> Result<Body, Failure> {
        let (framing, gzip) = (Framing::of(headers)?, Gzip::of(headers)?);
        Ok(Body { framing, gzip, is_framed: false })
    }

    /// The body of a response whose protocol frames it, and says where it ends.
    #[cfg(feature = "http2")]
    pub(crate) fn of_a_stream(headers: &HeaderMap) -> Result<Body, Failure> {
        let (framing, gzip) = (Framing::Close, Gzip::of(headers)?);
        Ok(Body { framing, gzip, is_framed: false })
    }

    /// What it means that the connection has ended here: the end of a body
    /// that has no other, or the loss of the rest.
    pub(crate) fn closed(&mut self) -> Result<Progress, Failure> {
        self.framing.closed()?;
        self.end()
    }

    /// Whether the body has ended, and with it all that was received: what
    /// comes next is another response.
    pub(crate) fn is_over(&self) -> bool {
        self.framing.is_over()
    }

    /// The framing has ended: so must the coding, when all of it is undone.
    fn end(&mut self) -> Result<Progress, Failure> {
        if self.has_rest() {
            self.is_framed = true;
            return Ok(Progress::More);
        }
        self.gzip.as_ref().map_or(Ok(()), |gzip| gzip.closed())?;
        Ok(Progress::End)
    }

    /// A read begins.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if let Some(gzip) = &mut self.gzip {
            gzip.begin();
        }
    }

    /// Whether some of the last read is left, which is decoded before the next.
    #[inline]
    pub(crate) fn has_rest(&self) -> bool {
        self.gzip.as_ref().is_some_and(|gzip| gzip.has_rest())
    }

    /// Decodes what is left of a read, or some of it.
    #[cold]
    pub(crate) fn decode_rest(
        &mut self,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        let gzip = self.gzip.as_mut().expect("a coding that leaves a rest");
        match gzip.decode_rest(sink)? {
            Break(()) => Ok(Progress::Stopped),
            Continue(()) if self.is_framed => self.end(),
            Continue(()) => Ok(Progress::More),
        }
    }

    /// Undoes the coding of a piece of a body whose protocol frames it, as
    /// [`Body::decode`] does. Servers send a frame for each event: it is handed
    /// on by the shortest way.
    #[cfg(feature = "http2")]
    #[inline(always)]
    pub(crate) fn decode_piece(
        &mut self,
        piece: &mut [u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        match &self.gzip {
            Some(_) => self.decode(piece, sink),
            None if sink(piece).is_break() => Ok(Progress::Stopped),
            None => Ok(Progress::More),
        }
    }

    /// Undoes framing and coding of what has been received, and hands the
    /// result to `sink`, in pieces, in place.
    pub(crate) fn decode(
        &mut self,
        received: &mut [u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        let Some(gzip) = &mut self.gzip else {
            return self.framing.decode(received, sink);
        };
        let mut broken = None;
        let progress = self.framing.decode(received, &mut |piece| {
            gzip.decode(piece, sink).unwrap_or_else(|failure| {
                broken = Some(failure);
                Break(())
            })
        })?;
        match (broken, progress) {
            (Some(failure), _) => Err(failure),
            (None, Progress::End) => self.end(),
            (None, progress) => Ok(progress),
        }
    }
}
