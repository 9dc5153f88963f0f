//! HPACK's Huffman code (RFC 7541, 5.2 and appendix B), undone. What is sent
//! here is not coded.

/// How many bits each byte's code has, and that of the end of the string. The
/// code is canonical: shorter codes come before longer ones, and those of a
/// length in the order of what they stand for. So the lengths say all.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const SYMBOLS: usize = 257;
const LONGEST: usize = 30;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Codes {
    /// The first that is too large for this length, at the left of 32 bits.
    end: u64,
    /// The first one.
    first: u32,
    /// The place of its symbol in the order of the codes.
    place: usize,
}

const CODES: [Codes; LONGEST + 1] = codes();
const ORDER: [u16; SYMBOLS] = order();

const fn codes() -> [Codes; LONGEST + 1] {
    let mut codes = [Codes { end: 0, first: 0, place: 0 }; LONGEST + 1];
    let (mut code, mut place, mut length) = (0u64, 0, 1);
    while length <= LONGEST {
        code <<= 1;
        codes[length].first = code as u32;
        codes[length].place = place;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                code += 1;
                place += 1;
            }
            symbol += 1;
        }
        codes[length].end = code << (32 - length);
        length += 1;
    }
    codes
}

const fn order() -> [u16; SYMBOLS] {
    let mut order = [0; SYMBOLS];
    let (mut place, mut length) = (0, 1);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                order[place] = symbol as u16;
                place += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    order
}

/// Appends what `coded` stands for to `text`; None if it stands for nothing.
pub(super) fn decode(coded: &[u8], text: &mut Vec<u8>) -> Option<()> {
    const ONES: u64 = (1 << 32) - 1;

    let mut coded = coded.iter();
    // What has been taken and not used, at the right.
    let (mut bits, mut count) = (0u64, 0);
    loop {
        while count <= 32
            && let Some(byte) = coded.next()
        {
            bits = bits << 8 | u64::from(*byte);
            count += 8;
        }
        // As if ones followed, which the end of the string is made of.
        let next = match count {
            32.. => bits >> (count - 32),
            _ => bits << (32 - count) | ONES >> count,
        } & ONES;
        let length = (5..=LONGEST).find(|length| next < CODES[*length].end)?;
        if length > count {
            // RFC 7541, 5.2: less than a byte of ones is left.
            let padding = (1 << count) - 1;
            return (count < 8 && bits & padding == padding).then_some(());
        }
        let codes = CODES[length];
        let code = (next >> (32 - length)) as u32;
        let place = codes.place + (code - codes.first) as usize;
        // A string does not hold its own end.
        text.push(u8::try_from(ORDER[place]).ok()?);
        count -= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of a symbol, and its length.
    fn code(symbol: usize) -> (u32, usize) {
        let length = usize::from(LENGTHS[symbol]);
        let place = ORDER.iter().position(|it| usize::from(*it) == symbol);
        let codes = CODES[length];
        (codes.first + (place.unwrap() - codes.place) as u32, length)
    }

    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for byte in text {
            let (code, length) = code(usize::from(*byte));
            bits.extend((0..length).rev().map(|bit| code >> bit & 1));
        }
        while bits.len() % 8 > 0 {
            bits.push(1);
        }
        let byte = |bits: &[u32]| bits.iter().fold(0, |it, bit| it << 1 | bit);
        bits.chunks(8).map(|bits| byte(bits) as u8).collect()
    }

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        decode(coded, &mut text)?;
        Some(text)
    }

    /// RFC 7541, appendix B: some of its lines.
    #[test]
    fn the_code_is_that_of_the_appendix() {
        for (symbol, known) in [
            (0, (0x1ff8, 13)),
            (usize::from(b'0'), (0, 5)),
            (usize::from(b'a'), (0x3, 5)),
            (usize::from(b'Z'), (0xfd, 8)),
            (usize::from(b'\\'), (0x7fff0, 19)),
            (127, (0xffffffc, 28)),
            (249, (0xffffffe, 28)),
            (255, (0x3ffffee, 26)),
            (256, (0x3fffffff, 30)),
        ] {
            assert_eq!(code(symbol), known, "{symbol}");
        }
    }

    #[test]
    fn every_text_comes_back() {
        let mut random = fastrand::Rng::with_seed(1);
        for length in 0..600 {
            let text: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            assert_eq!(decoded(&encode(&text)), Some(text));
        }
        let coded = b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(decoded(coded).unwrap(), b"www.example.com");
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones() {
        assert_eq!(decoded(b""), Some(vec![]));
        // "0" and three ones; then with a zero among them, a whole byte of
        // ones behind them, and the end of the string.
        assert_eq!(decoded(b"\x07"), Some(b"0".to_vec()));
        assert_eq!(decoded(b"\x06"), None);
        assert_eq!(decoded(b"\x07\xff"), None);
        assert_eq!(decoded(b"\xff"), None);
        assert_eq!(decoded(b"\xff\xff\xff\xff"), None);
    }
}
