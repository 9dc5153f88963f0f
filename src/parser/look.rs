//! Ways of looking at many bytes together.

use std::array;

use wide::u8x16;

/// What is looked at is 32 bytes, or two times that.
pub(super) const HALF: usize = 32;

pub(super) type Half = [u8; HALF];

/// A way of looking at bytes.
pub(super) trait Look: Copy {
    /// A bit for each CR or LF. The first byte has the lowest bit.
    fn ends(self, half: &Half) -> u32;

    /// 0 if all bytes are ASCII.
    fn high_bits(self, first: &Half, second: &Half) -> u32;

    /// False if there is neither CR nor LF. Text has few of the bytes that make
    /// it true without.
    fn may_end(self, halves: &[Half; 4]) -> bool;

    /// Whether text is UTF-8.
    fn is_utf8(self, text: &[u8]) -> bool;
}

/// The way that every processor of an architecture has: sixteen bytes at a
/// time.
#[derive(Clone, Copy)]
pub(super) struct Baseline;

impl Look for Baseline {
    #[inline(always)]
    fn ends(self, half: &Half) -> u32 {
        let [first, second] = parts(half).map(|part| {
            let lf = part.simd_eq(u8x16::splat(b'\n'));
            let cr = part.simd_eq(u8x16::splat(b'\r'));
            (lf | cr).to_bitmask()
        });
        first | second << 16
    }

    #[inline(always)]
    fn high_bits(self, first: &Half, second: &Half) -> u32 {
        let ([a, b], [c, d]) = (parts(first), parts(second));
        ((a | b) | (c | d)).to_bitmask()
    }

    #[inline(always)]
    fn may_end(self, halves: &[Half; 4]) -> bool {
        // CR is the higher one, and text has few bytes below it.
        let [a, b, c, d] = halves.each_ref().map(|half| {
            let [first, second] = parts(half);
            first.min(second)
        });
        let least = a.min(b).min(c.min(d));
        let low = least.min(u8x16::splat(b'\r')).simd_eq(least);
        low.to_bitmask() != 0
    }

    #[inline(always)]
    fn is_utf8(self, text: &[u8]) -> bool {
        simdutf8::basic::from_utf8(text).is_ok()
    }
}

#[inline(always)]
fn parts(half: &Half) -> [u8x16; 2] {
    let (parts, _) = half.as_chunks();
    array::from_fn(|part| u8x16::new(parts[part]))
}
