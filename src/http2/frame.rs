//! Frames (RFC 9113, 4 and 6), and the codes of errors.

use std::fmt;

/// The size of a frame's head.
pub(super) const HEAD: usize = 9;

/// The most that a frame's payload has, in both directions (RFC 9113, 4.2).
pub(super) const MOST: usize = 16 * 1024;

/// What a connection begins with (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames. There may be others, which mean nothing.
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Flags, each of the kinds of frames that have it.
pub(super) mod flag {
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
    pub(crate) const PADDED: u8 = 8;
    pub(crate) const PRIORITY: u8 = 32;
}

/// Settings (RFC 9113, 6.5.2).
pub(super) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// The head of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    #[inline(always)]
    pub(super) fn read(bytes: &[u8; HEAD]) -> Head {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Head {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            // The first bit means nothing.
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    /// How long the payload is, if the frame is one of nothing but data of this
    /// stream: no padding, and not the end.
    #[inline(always)]
    pub(super) fn length_of_data(
        bytes: &[u8; HEAD],
        stream: u32,
    ) -> Option<usize> {
        // The kind is zero, and so is each flag.
        let [most, rest @ ..] = *bytes;
        let rest = u64::from_be_bytes(rest);
        let is_it = rest & 0xffff_ffff_ffff == u64::from(stream);
        is_it.then_some(usize::from(most) << 16 | (rest >> 48) as usize)
    }

    pub(super) fn write(self, output: &mut Vec<u8>) {
        output.extend_from_slice(&(self.length as u32).to_be_bytes()[1..]);
        output.extend([self.kind, self.flags]);
        output.extend(self.stream.to_be_bytes());
    }

    #[inline(always)]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A number at the beginning of a payload that is known to be long enough.
pub(super) fn number(payload: &[u8]) -> u32 {
    let bytes = payload.first_chunk().expect("a payload of four bytes");
    u32::from_be_bytes(*bytes)
}

/// Why a stream or a connection ends (RFC 9113, 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u32);

impl Code {
    pub(crate) const NO_ERROR: Code = Code(0);
    pub(crate) const PROTOCOL_ERROR: Code = Code(1);
    pub(crate) const INTERNAL_ERROR: Code = Code(2);
    pub(crate) const FLOW_CONTROL_ERROR: Code = Code(3);
    pub(crate) const STREAM_CLOSED: Code = Code(5);
    pub(crate) const FRAME_SIZE_ERROR: Code = Code(6);
    pub(crate) const REFUSED_STREAM: Code = Code(7);
    pub(crate) const CANCEL: Code = Code(8);
    pub(crate) const COMPRESSION_ERROR: Code = Code(9);
    pub(crate) const ENHANCE_YOUR_CALM: Code = Code(11);
    pub(crate) const HTTP_1_1_REQUIRED: Code = Code(13);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        match NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "code {}", self.0),
        }
    }
}
