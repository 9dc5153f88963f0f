//! HPACK (RFC 7541): the compression of heads.
//!
//! The server is asked to use no dynamic table, so that a connection holds
//! none; one that uses it all the same is understood. What is sent here uses
//! none.

use std::collections::VecDeque;

use super::huffman;

/// Why a block cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is no HPACK: the state that both ends share is lost.
    Coding,
    /// What it stands for is larger than what is taken.
    TooLarge,
}

/// A header field.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// What a field counts beside its name and value (RFC 7541, 4.1; RFC 9113,
/// 6.5.2).
pub(super) const OVERHEAD: usize = 32;

/// Reads the blocks of one connection.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    entries: VecDeque<Field>,
    /// Of all entries.
    size: usize,
    /// What the server has said it uses.
    most: usize,
}

impl Decoder {
    /// The size of a table that nobody has spoken about (RFC 9113, 6.5.2), and
    /// the most that is kept.
    const MOST: usize = 4096;

    pub(super) fn new() -> Decoder {
        Decoder { entries: VecDeque::new(), size: 0, most: Decoder::MOST }
    }

    /// Reads a block whose fields take `limit` bytes at most.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        limit: usize,
    ) -> Result<Vec<Field>, Bad> {
        let mut input = Input(block);
        let mut fields = Vec::new();
        let mut size = 0;
        while let Some(first) = input.0.first().copied() {
            let (field, is_kept) = match first {
                0x80.. => (self.at(input.integer(7)?)?, false),
                0x40.. => (self.literal(&mut input, 6)?, true),
                0x20.. => {
                    // RFC 7541, 4.2: at the beginning, and nowhere else.
                    if !fields.is_empty() {
                        return Err(Bad::Coding);
                    }
                    self.resize(input.integer(5)?)?;
                    continue;
                }
                _ => (self.literal(&mut input, 4)?, false),
            };
            size += OVERHEAD + field.0.len() + field.1.len();
            if size > limit {
                return Err(Bad::TooLarge);
            }
            if is_kept {
                self.keep(&field);
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn literal(&self, input: &mut Input<'_>, bits: u32) -> Result<Field, Bad> {
        let name = match input.integer(bits)? {
            0 => input.string()?,
            index => self.at(index)?.0,
        };
        Ok((name, input.string()?))
    }

    /// The field at an index (RFC 7541, 2.3.3).
    fn at(&self, index: usize) -> Result<Field, Bad> {
        let index = index.checked_sub(1).ok_or(Bad::Coding)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Ok((name.to_vec(), value.to_vec()));
        }
        let field = self.entries.get(index - STATIC.len());
        field.cloned().ok_or(Bad::Coding)
    }

    fn keep(&mut self, field: &Field) {
        let size = OVERHEAD + field.0.len() + field.1.len();
        self.shrink(self.most.saturating_sub(size));
        // RFC 7541, 4.4: one that is too large has emptied the table.
        if size <= self.most {
            self.entries.push_front(field.clone());
            self.size += size;
        }
    }

    fn resize(&mut self, most: usize) -> Result<(), Bad> {
        if most > Decoder::MOST {
            return Err(Bad::Coding);
        }
        self.most = most;
        self.shrink(most);
        Ok(())
    }

    fn shrink(&mut self, most: usize) {
        while self.size > most
            && let Some((name, value)) = self.entries.pop_back()
        {
            self.size -= OVERHEAD + name.len() + value.len();
        }
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }
}

/// What is left of a block.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, Bad> {
        let (byte, rest) = self.0.split_first().ok_or(Bad::Coding)?;
        self.0 = rest;
        Ok(*byte)
    }

    /// An integer that begins with the last bits of a byte (RFC 7541, 5.1).
    fn integer(&mut self, bits: u32) -> Result<usize, Bad> {
        let most = (1usize << bits) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Ok(value);
        }
        // Nothing in a block is larger than what four of these can say.
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Bad::Coding)
    }

    /// A string (RFC 7541, 5.2).
    fn string(&mut self) -> Result<Vec<u8>, Bad> {
        let is_coded = self.0.first().is_some_and(|byte| *byte >= 0x80);
        let length = self.integer(7)?;
        let (bytes, rest) =
            self.0.split_at_checked(length).ok_or(Bad::Coding)?;
        self.0 = rest;
        if !is_coded {
            return Ok(bytes.to_vec());
        }
        let mut text = Vec::with_capacity(length + length / 2);
        huffman::decode(bytes, &mut text).ok_or(Bad::Coding)?;
        Ok(text)
    }
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Whoever passes it on may keep it.
    Open,
    /// Nobody on the way may keep it (RFC 7541, 7.1.3).
    Secret,
}

/// Writes a field that no table keeps.
pub(super) fn encode(
    block: &mut Vec<u8>,
    name: &[u8],
    value: &[u8],
    secrecy: Secrecy,
) {
    block.push(match secrecy {
        Secrecy::Open => 0,
        Secrecy::Secret => 0x10,
    });
    for text in [name, value] {
        encode_length(block, text.len());
        block.extend_from_slice(text);
    }
}

fn encode_length(block: &mut Vec<u8>, length: usize) {
    const MOST: usize = 0x7f;

    if length < MOST {
        block.push(length as u8);
        return;
    }
    block.push(MOST as u8);
    let mut rest = length - MOST;
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}

/// That the table has no size any more (RFC 7541, 6.3).
pub(super) const NO_TABLE: u8 = 0x20;

/// RFC 7541, appendix A.
#[rustfmt::skip]
const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 64 * 1024;

    fn field(name: &str, value: &str) -> Field {
        (name.into(), value.into())
    }

    /// RFC 7541, C.6: three responses of a connection, with Huffman, whose
    /// table has 256 bytes.
    #[test]
    fn responses_of_the_appendix_are_read() {
        let mut decoder = Decoder::new();
        decoder.resize(256).unwrap();
        let date = "Mon, 21 Oct 2013 20:13:21 GMT";
        let first = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\
            \x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\
            \x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18\x63\xc7\
            \x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3";
        let location = field("location", "https://www.example.com");
        assert_eq!(
            decoder.decode(first, LIMIT).unwrap(),
            [
                field(":status", "302"),
                field("cache-control", "private"),
                field("date", date),
                location.clone(),
            ]
        );
        assert_eq!(decoder.size, 222);
        let second = b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf";
        assert_eq!(
            decoder.decode(second, LIMIT).unwrap(),
            [
                field(":status", "307"),
                field("cache-control", "private"),
                field("date", date),
                location,
            ]
        );
        assert_eq!(decoder.size, 222);
        assert_eq!(decoder.entries.len(), 4);
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "x".repeat(20_000);
        for (name, value) in
            [("a", ""), ("last-event-id", "\u{fc}"), ("x-long", &*long)]
        {
            let mut block = vec![NO_TABLE];
            encode(&mut block, b"n", b"v", Secrecy::Open);
            encode(
                &mut block,
                name.as_bytes(),
                value.as_bytes(),
                Secrecy::Secret,
            );
            let fields = Decoder::new().decode(&block, LIMIT).unwrap();
            assert_eq!(fields, [field("n", "v"), field(name, value)]);
        }
    }

    #[test]
    fn what_is_no_hpack_is_refused() {
        for block in [
            // An index of nothing, and of an entry that is not there.
            &b"\x80"[..],
            b"\xbe",
            b"\x7e\x01a",
            // Cut off.
            b"\xff",
            b"\x40\x03ab",
            b"\x40\x01a",
            // Numbers without end.
            b"\xff\x80\x80\x80\x80\x00",
            // A size behind a field, and one too large.
            b"\x88\x20",
            b"\x3f\xe2\x1f",
            // A wrong Huffman code.
            b"\x40\x81\xff\x00",
        ] {
            let read = Decoder::new().decode(block, LIMIT);
            assert_eq!(read, Err(Bad::Coding), "{}", block.escape_ascii());
        }
        // A size of 4096 is taken, and twice.
        assert_eq!(
            Decoder::new().decode(b"\x20\x3f\xe1\x1f", LIMIT),
            Ok(vec![])
        );
    }

    #[test]
    fn a_table_does_not_grow_and_a_bomb_does_not_go_off() {
        let mut decoder = Decoder::new();
        let mut block = vec![0x40, 1, b'a'];
        encode_length(&mut block, 4000);
        block.extend([b'b'; 4000]);
        // Each refers to all of it.
        block.extend([0xbe; 60_000]);
        assert_eq!(decoder.decode(&block, 256 * 1024), Err(Bad::TooLarge));
        assert_eq!(decoder.size, 4033);
        for _ in 0..3 {
            decoder.decode(b"\x40\x01c\x01d", LIMIT).unwrap();
        }
        assert_eq!((decoder.size, decoder.entries.len()), (3 * 34, 3));
        // One that is too large for it empties it (RFC 7541, 4.4).
        let mut block = vec![0x40, 1, b'a'];
        encode_length(&mut block, 5000);
        block.extend([b'b'; 5000]);
        decoder.decode(&block, LIMIT).unwrap();
        assert_eq!((decoder.size, decoder.entries.len()), (0, 0));
    }
}
