//! The content codings of a body, undone as it comes, whatever the protocol
//! is that frames it.

use std::mem;
use std::ops::ControlFlow::{self, Break, Continue};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use http::header::{self, HeaderMap, HeaderName};

use crate::error::Error;
use crate::failure::Failure;

/// The content codings that are undone.
const UNDONE: [&[u8]; 2] = [b"gzip", b"x-gzip"];

/// The others that there are (IANA, "HTTP Content Coding Registry").
const OTHERS: [&[u8]; 10] = [
    b"aes128gcm",
    b"br",
    b"compress",
    b"dcb",
    b"dcz",
    b"deflate",
    b"exi",
    b"pack200-gzip",
    b"x-compress",
    b"zstd",
];

/// Whether there is such a coding: servers write "none", "utf-8" and more.
pub(crate) fn is_registered(coding: &[u8]) -> bool {
    UNDONE.contains(&coding) || OTHERS.contains(&coding)
}

/// The codings that a header lists, in lower case, without those that do
/// nothing.
pub(crate) fn codings(headers: &HeaderMap, name: HeaderName) -> Vec<Vec<u8>> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|coding| coding.trim_ascii().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != b"identity")
        .collect()
}

/// gzip (RFC 1952), undone as it comes. A little may become a thousand times as
/// much: of what a read has brought as much is undone as another read might
/// bring, and the rest is put aside.
#[derive(Debug)]
pub(crate) struct Gzip {
    place: Place,
    /// The optional parts of the header that are still to come.
    flags: u8,
    inflate: Decompress,
    /// Of the member's data.
    sum: Crc,
    /// What a step has decoded.
    decoded: Box<[u8]>,
    /// How much has been decoded since the read.
    amount: usize,
    /// That was much: there may be more, in `inflate` or from a place of `rest`
    /// on.
    has_rest: bool,
    rest: (Vec<u8>, usize),
}

/// Where in a gzip the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the part of the header that each member has. At its first byte a
    /// body may end.
    Header(usize),
    ExtraLength,
    /// After this low byte of it.
    ExtraLengthEnd(u8),
    /// In so many bytes that mean nothing here.
    Skipped(u16),
    /// In text that ends with a NUL.
    Text,
    Data,
    /// In the sum and the length behind the data.
    Trailer(usize),
}

impl Gzip {
    /// The most that is decoded at once. After each step the sink may break
    /// off: a close waits for no more than this.
    const STEP: usize = 32 * 1024;
    /// The most that is decoded for a read.
    const MOST: usize = 64 * 1024;

    const FLAG_SUM: u8 = 2;
    const FLAG_EXTRA: u8 = 4;
    const FLAG_NAME: u8 = 8;
    const FLAG_COMMENT: u8 = 16;
    const FLAGS_RESERVED: u8 = 0xE0;

    fn new() -> Gzip {
        Gzip {
            place: Place::Header(0),
            flags: 0,
            inflate: Decompress::new(false),
            sum: Crc::new(),
            decoded: vec![0; Gzip::STEP].into(),
            amount: 0,
            has_rest: false,
            rest: (Vec::new(), 0),
        }
    }

    /// The request asks for no coding, and gzip is undone all the same. Other
    /// codings that there are cannot be: what they hide is no event stream.
    /// Where a name is that of no coding, the body is what it is (Fetch,
    /// "handle content codings").
    pub(crate) fn of(
        headers: &HeaderMap,
    ) -> Result<Option<Box<Gzip>>, Failure> {
        let codings = codings(headers, header::CONTENT_ENCODING);
        let is_undone = |coding: &Vec<u8>| UNDONE.contains(&&coding[..]);
        let mut real = codings.iter().filter(|coding| is_registered(coding));
        if let Some(coding) = real.find(|coding| !is_undone(coding)) {
            return Err(not_asked_for(coding));
        }
        match &codings[..] {
            [coding] if is_undone(coding) => Ok(Some(Box::new(Gzip::new()))),
            [_, again, ..] if codings.iter().all(is_undone) => {
                Err(not_asked_for(again))
            }
            _ => Ok(None),
        }
    }

    /// A read begins.
    pub(crate) fn begin(&mut self) {
        self.amount = 0;
    }

    /// Whether something was put aside, which is to be decoded before more is
    /// read.
    #[inline]
    pub(crate) fn has_rest(&self) -> bool {
        self.has_rest
    }

    /// Decodes a piece, and hands the result to `sink`, step by step. What
    /// came before a broken place is handed over before the failure.
    pub(crate) fn decode(
        &mut self,
        mut piece: &[u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        let flow = match self.has_rest {
            true => Continue(()),
            false => self.undo(&mut piece, sink)?,
        };
        if self.has_rest {
            let (rest, _) = &mut self.rest;
            rest.try_reserve(piece.len()).map_err(|_| no_memory())?;
            rest.extend_from_slice(piece);
        }
        Ok(flow)
    }

    /// The same with what was put aside.
    pub(crate) fn decode_rest(
        &mut self,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        self.begin();
        self.has_rest = false;
        let (rest, start) = mem::take(&mut self.rest);
        let mut piece = &rest[start..];
        let flow = self.undo(&mut piece, sink)?;
        if self.has_rest {
            let start = rest.len() - piece.len();
            self.rest = (rest, start);
        }
        Ok(flow)
    }

    /// Decodes a piece until it is empty, or that was enough.
    fn undo(
        &mut self,
        piece: &mut &[u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        while self.amount <= Gzip::MOST - Gzip::STEP {
            if self.place != Place::Data {
                let Some((&byte, rest)) = piece.split_first() else {
                    return Ok(Continue(()));
                };
                self.step(byte)?;
                *piece = rest;
                continue;
            }
            let (read, written) =
                (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(
                piece,
                &mut self.decoded,
                FlushDecompress::None,
            );
            let read = (self.inflate.total_in() - read) as usize;
            let written = (self.inflate.total_out() - written) as usize;
            *piece = &piece[read..];
            self.amount += written;
            let decoded = &mut self.decoded[..written];
            // Before the sink has the bytes: it changes them in place.
            self.sum.update(decoded);
            if written > 0 && sink(decoded).is_break() {
                return Ok(Break(()));
            }
            match status.map_err(|_| bad("its data is corrupt"))? {
                Status::StreamEnd => self.place = Place::Trailer(0),
                // Without room for more there may be more.
                _ if piece.is_empty() && written < Gzip::STEP => {
                    return Ok(Continue(()));
                }
                _ if read == 0 && written == 0 => {
                    return Err(bad("its data is corrupt"));
                }
                _ => {}
            }
        }
        self.has_rest = true;
        Ok(Continue(()))
    }

    /// Whether the body may end here: between two members, or before the
    /// first.
    pub(crate) fn closed(&self) -> Result<(), Failure> {
        match self.place {
            Place::Header(0) => Ok(()),
            _ => Err(bad("it is cut short")),
        }
    }

    /// One byte of what stands before and behind the data.
    fn step(&mut self, byte: u8) -> Result<(), Failure> {
        /// How a header begins; the last of it means deflate.
        const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];
        const FLAGS: usize = MAGIC.len();
        const HEADER_END: usize = 9;
        const TRAILER_END: usize = 7;

        self.place = match self.place {
            Place::Header(at) => {
                if MAGIC.get(at).is_some_and(|magic| *magic != byte) {
                    return Err(bad("no header"));
                }
                if at == FLAGS {
                    if byte & Gzip::FLAGS_RESERVED != 0 {
                        return Err(bad("a header that nobody knows"));
                    }
                    self.flags = byte;
                }
                match at {
                    HEADER_END => self.next_part(),
                    _ => Place::Header(at + 1),
                }
            }
            Place::ExtraLength => Place::ExtraLengthEnd(byte),
            Place::ExtraLengthEnd(low) => {
                match u16::from_le_bytes([low, byte]) {
                    0 => self.next_part(),
                    length => Place::Skipped(length),
                }
            }
            Place::Skipped(1) => self.next_part(),
            Place::Skipped(left) => Place::Skipped(left - 1),
            Place::Text if byte == 0 => self.next_part(),
            Place::Text => Place::Text,
            Place::Trailer(at) => {
                // Byte by byte, as a read may end inside the trailer.
                let sum = self.sum.sum().to_le_bytes();
                let length = self.sum.amount().to_le_bytes();
                if byte != [sum, length].concat()[at] {
                    return Err(bad("its sum is wrong"));
                }
                match at {
                    TRAILER_END => self.next_member(),
                    _ => Place::Trailer(at + 1),
                }
            }
            Place::Data => unreachable!("data is decoded"),
        };
        Ok(())
    }

    /// What follows a part of the header.
    fn next_part(&mut self) -> Place {
        for (flag, place) in [
            (Gzip::FLAG_EXTRA, Place::ExtraLength),
            (Gzip::FLAG_NAME, Place::Text),
            (Gzip::FLAG_COMMENT, Place::Text),
            // The sum of the header alone, which has no event in it.
            (Gzip::FLAG_SUM, Place::Skipped(2)),
        ] {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                return place;
            }
        }
        Place::Data
    }

    fn next_member(&mut self) -> Place {
        // RFC 1952, 2.2: a file is a series of members. Servers that flush by
        // ending a member make one for each event.
        self.inflate.reset(false);
        self.sum.reset();
        Place::Header(0)
    }
}

fn no_memory() -> Failure {
    Failure::new(Error::System, "no memory for a compressed stream")
}

fn bad(what: &str) -> Failure {
    Failure::new(Error::Lost, format!("bad gzip: {what}"))
}

fn not_asked_for(coding: &[u8]) -> Failure {
    let coding = String::from_utf8_lossy(coding);
    let message = format!("content coding that was not asked for: {coding}");
    Failure::new(Error::ContentType, message)
}
