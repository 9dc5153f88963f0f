//! Where lines end, 64 bytes at a time.

use std::array;

use wide::u8x16;

/// How many bytes are looked at together.
pub(super) const WINDOW: usize = 64;

const HALF: usize = WINDOW / 2;

/// A window of the stream.
pub(super) struct Marks {
    /// A bit for each CR or LF. The first byte has the lowest bit.
    ends: u64,
    /// Whether all of it is ASCII.
    pub(super) ascii: bool,
}

impl Marks {
    /// Marks the window that begins at `base`; the last one may be short.
    #[inline]
    pub(super) fn at(bytes: &[u8], base: usize) -> Marks {
        if let Some(window) = bytes[base..].first_chunk() {
            return Marks::of(window);
        }
        // The last full window covers the tail and bytes before it, whose
        // marks are shifted out.
        if let Some(window) = bytes.last_chunk() {
            let seen = base + WINDOW - bytes.len();
            let Marks { ends, ascii } = Marks::of(window);
            return Marks { ends: ends >> seen, ascii };
        }
        Marks::of_short(bytes)
    }

    /// Less than a window is covered by two halves that overlap.
    #[inline(never)]
    fn of_short(bytes: &[u8]) -> Marks {
        if let Some(first) = bytes.first_chunk()
            && let Some(last) = bytes.last_chunk()
        {
            return Marks::of_halves(first, last, bytes.len() - HALF);
        }
        let mut half = [0; HALF];
        half[..bytes.len()].copy_from_slice(bytes);
        Marks::of_halves(&half, &half, 0)
    }

    #[inline]
    fn of(window: &[u8; WINDOW]) -> Marks {
        let (halves, _) = window.as_chunks();
        Marks::of_halves(&halves[0], &halves[1], HALF)
    }

    /// Marks two halves, the second so many bytes behind the first.
    #[inline]
    fn of_halves(
        first: &[u8; HALF],
        second: &[u8; HALF],
        distance: usize,
    ) -> Marks {
        let ([a, b], [c, d]) = (parts(first), parts(second));
        let bits = |a, b| u64::from(ends(a) | ends(b) << 16);
        Marks {
            ends: bits(a, b) | bits(c, d) << distance,
            ascii: !has_high_bit([a, b, c, d]),
        }
    }

    /// Takes the next line end: where it is in the window.
    #[inline]
    pub(super) fn next_end(&mut self) -> Option<usize> {
        if self.ends == 0 {
            return None;
        }
        let at = self.ends.trailing_zeros() as usize;
        // This clears the lowest bit that is set.
        self.ends &= self.ends - 1;
        Some(at)
    }
}

/// Passes over the windows from `base` on in which no line ends. Tells where
/// the next one begins, and whether all bytes passed are ASCII.
#[inline(never)]
pub(super) fn pass_endless(bytes: &[u8], mut base: usize) -> (usize, bool) {
    let mut ascii = true;
    let rest = bytes.get(base..).unwrap_or_default();
    for window in rest.as_chunks::<WINDOW>().0 {
        let [a, b, c, d] = parts(window);
        // CR is the higher one, and text has few bytes below it.
        let least = a.min(b).min(c.min(d));
        let low = least.min(u8x16::splat(b'\r')).simd_eq(least);
        if low.to_bitmask() != 0 && Marks::of(window).ends != 0 {
            break;
        }
        ascii &= !has_high_bit([a, b, c, d]);
        base += WINDOW;
    }
    (base, ascii)
}

#[inline]
fn parts<const COUNT: usize>(bytes: &[u8]) -> [u8x16; COUNT] {
    let (parts, _) = bytes.as_chunks();
    array::from_fn(|part| u8x16::new(parts[part]))
}

/// A bit for each CR or LF.
#[inline]
fn ends(part: u8x16) -> u32 {
    let ends =
        part.simd_eq(u8x16::splat(b'\n')) | part.simd_eq(u8x16::splat(b'\r'));
    ends.to_bitmask()
}

/// Whether any byte has its highest bit set.
#[inline]
fn has_high_bit([a, b, c, d]: [u8x16; 4]) -> bool {
    ((a | b) | (c | d)).to_bitmask() != 0
}
