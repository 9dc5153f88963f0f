//! The body of a response: its framing and its coding, undone in place.
//!
//! Servers send one HTTP chunk per event, so that what stands between two
//! events here costs as much as the parser: the bytes of a chunk are handed
//! on where they lie in the receive buffer.

use std::io::{self, Write};
use std::ops::ControlFlow::{self, Break, Continue};

use flate2::write::MultiGzDecoder;
use http::header::{self, HeaderMap};

use crate::error::Error;
use crate::failure::Failure;

/// What became of some bytes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All were used; the body goes on.
    More,
    /// The body has ended.
    End,
    /// The reader of the body wants no more of it.
    Stopped,
}

/// A body being read.
#[derive(Debug)]
pub(crate) struct Body {
    framing: Framing,
    gzip: Option<Box<Gzip>>,
}

#[derive(Debug)]
enum Framing {
    Chunked(Chunked),
    Length(u64),
    Close,
}

impl Body {
    /// The body that a response's headers announce (RFC 9112, 6.3).
    pub(crate) fn new(headers: &HeaderMap) -> Result<Body, Failure> {
        Ok(Body { framing: framing(headers)?, gzip: coding(headers)? })
    }

    /// What it means that the connection has ended here: the end of a body
    /// that has no other, or the loss of the rest.
    pub(crate) fn closed(&self) -> Result<Progress, Failure> {
        match self.framing {
            Framing::Close => Ok(Progress::End),
            Framing::Chunked(_) | Framing::Length(_) => Err(Failure::new(
                Error::Lost,
                "the connection was closed in the middle of the stream",
            )),
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
            gzip.decode(piece, sink).unwrap_or_else(|cause| {
                broken = Some(cause);
                Break(())
            })
        })?;
        match broken {
            None => Ok(progress),
            Some(cause) => {
                Err(Failure::new(Error::Lost, format!("bad gzip: {cause}")))
            }
        }
    }
}

fn framing(headers: &HeaderMap) -> Result<Framing, Failure> {
    let is_chunked = |value: &str| {
        value
            .rsplit(',')
            .next()
            .is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
    };
    if let Some(value) =
        headers.get_all(header::TRANSFER_ENCODING).iter().next_back()
    {
        return match value.to_str() {
            Ok(value) if is_chunked(value) => {
                Ok(Framing::Chunked(Chunked::default()))
            }
            // RFC 9112, 6.3: any other last coding runs to the close.
            _ => Ok(Framing::Close),
        };
    }
    let Some(value) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(Framing::Close);
    };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Framing::Length).ok_or_else(|| {
        Failure::new(Error::Http, "bad Content-Length in the response")
    })
}

/// The request asks for no coding. gzip is undone all the same; what cannot
/// be undone cannot be an event stream.
fn coding(headers: &HeaderMap) -> Result<Option<Box<Gzip>>, Failure> {
    let mut codings = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|coding| coding.trim_ascii().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != b"identity");
    let Some(coding) = codings.next() else { return Ok(None) };
    if codings.next().is_some() || !matches!(&*coding, b"gzip" | b"x-gzip") {
        let coding = String::from_utf8_lossy(&coding);
        return Err(Failure::new(
            Error::ContentType,
            format!("content coding that was not asked for: {coding}"),
        ));
    }
    Ok(Some(Box::new(Gzip(MultiGzDecoder::new(Vec::new())))))
}

impl Framing {
    fn decode(
        &mut self,
        received: &mut [u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        match self {
            Framing::Chunked(chunked) => chunked.decode(received, sink),
            Framing::Length(left) => {
                let within = usize::try_from(*left)
                    .map_or(received.len(), |left| left.min(received.len()));
                *left -= within as u64;
                if sink(&mut received[..within]).is_break() {
                    return Ok(Progress::Stopped);
                }
                Ok(if *left == 0 { Progress::End } else { Progress::More })
            }
            Framing::Close => Ok(match sink(received) {
                Continue(()) => Progress::More,
                Break(()) => Progress::Stopped,
            }),
        }
    }
}

/// Where in a chunked body the next byte stands (RFC 9112, 7.1).
#[derive(Debug, Default)]
struct Chunked {
    place: Place,
    /// The size as far as read, then what is left of the chunk's data.
    left: u64,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    /// Before the first digit of a size.
    #[default]
    Size,
    Digits,
    /// After the digits, up to the line's end: extensions, of any length.
    Extension,
    Data,
    /// After the data: CR LF, or only LF.
    DataEnd,
}

impl Chunked {
    fn decode(
        &mut self,
        mut bytes: &mut [u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        while !bytes.is_empty() {
            let whole = match self.place {
                Place::Size => whole_chunk(bytes),
                _ => None,
            };
            let piece;
            (piece, bytes) = match (whole, self.place) {
                (Some((from, to)), _) => {
                    let (chunk, rest) = bytes.split_at_mut(to + 2);
                    (&mut chunk[from..to], rest)
                }
                (None, Place::Data) => self.data(bytes),
                (None, _) => {
                    if self.step(bytes[0])? == Progress::End {
                        return Ok(Progress::End);
                    }
                    bytes = &mut bytes[1..];
                    continue;
                }
            };
            if sink(piece).is_break() {
                return Ok(Progress::Stopped);
            }
        }
        Ok(Progress::More)
    }

    /// What there is of the chunk's data, and what follows it.
    fn data<'a>(
        &mut self,
        bytes: &'a mut [u8],
    ) -> (&'a mut [u8], &'a mut [u8]) {
        let within = usize::try_from(self.left)
            .map_or(bytes.len(), |left| left.min(bytes.len()));
        self.left -= within as u64;
        if self.left == 0 {
            self.place = Place::DataEnd;
        }
        bytes.split_at_mut(within)
    }

    /// One byte of what stands between the data of two chunks.
    fn step(&mut self, byte: u8) -> Result<Progress, Failure> {
        self.place = match (self.place, byte) {
            (Place::DataEnd, b'\r') => Place::DataEnd,
            (Place::DataEnd, b'\n') => Place::Size,
            (Place::Digits | Place::Extension, b'\n') => {
                // The last chunk. Whatever follows, trailers or the end of
                // the connection, the body is complete.
                if self.left == 0 {
                    return Ok(Progress::End);
                }
                Place::Data
            }
            (Place::Size | Place::Digits, byte) if byte.is_ascii_hexdigit() => {
                self.add_digit(byte)?;
                Place::Digits
            }
            (Place::Digits, b';' | b' ' | b'\t' | b'\r')
            | (Place::Extension, _) => Place::Extension,
            _ => return Err(bad_chunk()),
        };
        Ok(Progress::More)
    }

    fn add_digit(&mut self, byte: u8) -> Result<(), Failure> {
        let digit = hex_digit(byte).expect("a hex digit");
        if self.left >> 60 != 0 {
            return Err(bad_chunk());
        }
        self.left = self.left << 4 | u64::from(digit);
        Ok(())
    }
}

/// Where the data of a chunk begins and ends, if the chunk is all here and
/// has no extensions: what servers send, event by event.
#[inline(always)]
fn whole_chunk(bytes: &[u8]) -> Option<(usize, usize)> {
    // Larger chunks gain nothing by haste.
    let head: &[u8; 6] = bytes.first_chunk()?;
    let mut size = 0;
    let mut digits = 0;
    while let Some(digit) = hex_digit(*head.get(digits)?) {
        size = size << 4 | usize::from(digit);
        digits += 1;
    }
    let from = digits + 2;
    let rest = bytes[digits..].strip_prefix(b"\r\n")?;
    let ends = size > 0 && rest.get(size..)?.starts_with(b"\r\n");
    ends.then_some((from, from + size))
}

/// The value of a hex digit.
#[inline(always)]
fn hex_digit(byte: u8) -> Option<u8> {
    const NONE: u8 = 16;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0;
        while value < NONE {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            values[b"0123456789ABCDEF"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let value = VALUES[usize::from(byte)];
    (value != NONE).then_some(value)
}

fn bad_chunk() -> Failure {
    Failure::new(Error::Lost, "bad chunk in the stream")
}

/// gzip, undone as it comes.
#[derive(Debug)]
struct Gzip(MultiGzDecoder<Vec<u8>>);

impl Gzip {
    /// How much is decoded at once: some 4 MB at the most extreme ratio.
    const STEP: usize = 4 * 1024;

    fn decode(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        for step in piece.chunks(Self::STEP) {
            self.0.write_all(step)?;
            self.0.flush()?;
            let decoded = self.0.get_mut();
            if sink(decoded).is_break() {
                return Ok(Break(()));
            }
            decoded.clear();
            decoded.shrink_to(64 * 1024);
        }
        Ok(Continue(()))
    }
}
