//! How HTTP/1.1 frames a body: in chunks, by a length, or by the close of the
//! connection (RFC 9112, 6.3).
//!
//! Servers send one HTTP chunk per event, so that what stands between two
//! events here costs as much as the parser: the bytes of a chunk are handed
//! on where they lie in the receive buffer.

use std::ops::ControlFlow::{self, Break, Continue};

use http::header::{self, HeaderMap};

use crate::error::Error;
use crate::failure::Failure;
use crate::http::coding::{codings, is_registered};

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

/// Where a body ends, and what stands between its bytes.
#[derive(Debug)]
pub(crate) enum Framing {
    Chunked(Chunked),
    Length(u64),
    Close,
}

impl Framing {
    /// The framing that a response's headers announce.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Framing, Failure> {
        const CHUNKED: &[u8] = b"chunked";

        // RFC 9112, 6.3: where there is a transfer coding, a length does not
        // count, whatever it says.
        let codings = codings(headers, header::TRANSFER_ENCODING);
        let Some((last, inner)) = codings.split_last() else {
            let length = length(headers)?;
            return Ok(length.map_or(Framing::Close, Framing::Length));
        };
        // What is not undone is not handed on: no event is in it.
        if inner.iter().any(|coding| coding == CHUNKED)
            || codings.iter().any(|coding| is_registered(coding))
        {
            let message = "transfer coding that was not asked for";
            return Err(Failure::new(Error::Http, message));
        }
        // RFC 9112, 6.3: a body whose last coding is not chunked ends with the
        // connection.
        Ok(match last == CHUNKED {
            true => Framing::Chunked(Chunked::default()),
            false => Framing::Close,
        })
    }

    /// What it means that the connection has ended here: the end of a body
    /// that has no other, or the loss of the rest.
    pub(crate) fn closed(&self) -> Result<Progress, Failure> {
        match self {
            Framing::Close => Ok(Progress::End),
            Framing::Chunked(_) | Framing::Length(_) => Err(Failure::new(
                Error::Lost,
                "the connection was closed in the middle of the stream",
            )),
        }
    }

    /// Whether the body has ended, and with it all that was received: what
    /// comes next is another response.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Framing::Chunked(chunked) => matches!(chunked.place, Place::Over),
            Framing::Length(left) => *left == 0,
            Framing::Close => false,
        }
    }

    /// Undoes the framing of what has been received, and hands the body's
    /// bytes to `sink`, in pieces, in place.
    pub(crate) fn decode(
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
                let is_all = *left == 0;
                if is_all && within < received.len() {
                    // Bytes that are no response's.
                    *self = Framing::Close;
                }
                if sink(&mut received[..within]).is_break() {
                    return Ok(Progress::Stopped);
                }
                Ok(if is_all { Progress::End } else { Progress::More })
            }
            Framing::Close => Ok(match sink(received) {
                Continue(()) => Progress::More,
                Break(()) => Progress::Stopped,
            }),
        }
    }
}

/// RFC 9112, 6.3: a length that is said several times is one, if it is the
/// same each time.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let bad = |what| {
        let message = format!("{what} Content-Length in the response");
        Failure::new(Error::Http, message)
    };
    let mut lengths = headers
        .get_all(header::CONTENT_LENGTH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|value| number(value.trim_ascii()).ok_or_else(|| bad("bad")));
    let Some(length) = lengths.next().transpose()? else { return Ok(None) };
    for other in lengths {
        if other? != length {
            return Err(bad("conflicting"));
        }
    }
    Ok(Some(length))
}

/// Decimal digits, and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    // parse() alone would take a sign, too.
    let digits = text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// Where in a chunked body the next byte stands (RFC 9112, 7.1).
#[derive(Debug, Default)]
pub(crate) struct Chunked {
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
    /// After the CR of that line.
    SizeEnd,
    Data,
    /// After the data: CR LF, or only LF.
    DataEnd,
    /// After that CR.
    ChunkEnd,
    /// After the last chunk, and the empty line behind it.
    Over,
}

impl Chunked {
    fn decode(
        &mut self,
        mut bytes: &mut [u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        while !bytes.is_empty() {
            // The fast way and the slow one have the same result. A chunk that
            // a read has cut, or that has extensions, goes the slow way, byte
            // by byte.
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
                        // Trailers, or an empty line that has yet to come, are
                        // not waited for.
                        if matches!(&bytes[1..], b"\r\n" | b"\n") {
                            self.place = Place::Over;
                        }
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
            (Place::DataEnd, b'\r') => Place::ChunkEnd,
            (Place::DataEnd | Place::ChunkEnd, b'\n') => Place::Size,
            (Place::Digits | Place::Extension | Place::SizeEnd, b'\n') => {
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
            // Extensions mean nothing to a client, and are not stored: their
            // length needs no limit.
            (Place::Digits | Place::Extension, b'\r') => Place::SizeEnd,
            (Place::Digits, b';' | b' ' | b'\t') | (Place::Extension, _) => {
                Place::Extension
            }
            _ => return Err(bad_chunk()),
        };
        Ok(Progress::More)
    }

    fn add_digit(&mut self, byte: u8) -> Result<(), Failure> {
        let digit = hex_digit(byte).expect("a hex digit");
        // One more digit would push the highest one out, and the size would be
        // another than the server's.
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
