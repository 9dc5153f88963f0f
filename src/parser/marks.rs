//! Where lines end, 64 bytes at a time.

use wide::u8x16;

/// How many bytes are looked at together.
pub(super) const WINDOW: usize = 64;

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
        let tail = &bytes[base..];
        let mut window = [0; WINDOW];
        window[..tail.len()].copy_from_slice(tail);
        Marks::of(&window)
    }

    #[inline]
    fn of(window: &[u8; WINDOW]) -> Marks {
        let parts = parts(window);
        Marks { ends: bits(parts.map(ends)), ascii: !any(parts) }
    }

    /// Takes the next line end: where it is in the window.
    #[inline]
    pub(super) fn next_end(&mut self) -> Option<usize> {
        if self.ends == 0 {
            return None;
        }
        let at = self.ends.trailing_zeros() as usize;
        self.ends &= self.ends - 1;
        Some(at)
    }
}

/// Passes over the windows from `base` on in which no line ends. Tells where
/// the next one begins, and whether all bytes passed are ASCII.
#[inline]
pub(super) fn pass_endless(bytes: &[u8], mut base: usize) -> (usize, bool) {
    let mut ascii = true;
    let rest = bytes.get(base..).unwrap_or_default();
    for window in rest.as_chunks().0 {
        let parts = parts(window);
        if any(parts.map(ends)) {
            break;
        }
        ascii &= !any(parts);
        base += WINDOW;
    }
    (base, ascii)
}

#[inline]
fn parts(window: &[u8; WINDOW]) -> [u8x16; 4] {
    let (parts, _) = window.as_chunks::<16>();
    [0, 1, 2, 3].map(|part| u8x16::new(parts[part]))
}

#[inline]
fn ends(part: u8x16) -> u8x16 {
    part.simd_eq(u8x16::splat(b'\n')) | part.simd_eq(u8x16::splat(b'\r'))
}

/// The highest bit of each byte.
#[inline]
fn bits([a, b, c, d]: [u8x16; 4]) -> u64 {
    let bits = |part: u8x16| u64::from(part.to_bitmask());
    bits(a) | bits(b) << 16 | bits(c) << 32 | bits(d) << 48
}

/// Whether any byte has its highest bit set.
#[inline]
fn any([a, b, c, d]: [u8x16; 4]) -> bool {
    ((a | b) | (c | d)).to_bitmask() != 0
}
