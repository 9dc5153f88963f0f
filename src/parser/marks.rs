//! Where lines end, 64 bytes at a time.

use wide::u8x16;

/// How many bytes are looked at together.
pub(super) const WINDOW: usize = 64;

/// A window of the stream: a bit for each CR or LF, a bit for each byte that
/// is not ASCII. The first byte has the lowest bit.
pub(super) struct Marks {
    ends: u64,
    high: u64,
}

impl Marks {
    /// Marks the window that begins at `base`; the last one may be short.
    #[inline]
    pub(super) fn at(bytes: &[u8], base: usize) -> Marks {
        match bytes[base..].first_chunk() {
            Some(window) => Marks::of(window),
            None => Marks::of_tail(bytes, base),
        }
    }

    #[inline]
    fn of(window: &[u8; WINDOW]) -> Marks {
        let (mut ends, mut high) = (0, 0);
        for (part, sixteen) in window.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::new(*sixteen);
            let end = bytes.simd_eq(u8x16::splat(b'\n'))
                | bytes.simd_eq(u8x16::splat(b'\r'));
            ends |= u64::from(end.to_bitmask()) << (16 * part);
            high |= u64::from(bytes.to_bitmask()) << (16 * part);
        }
        Marks { ends, high }
    }

    fn of_tail(bytes: &[u8], base: usize) -> Marks {
        // The last full window covers the tail and bytes before it, whose
        // marks are shifted out.
        if let Some(window) = bytes.last_chunk() {
            let seen = base + WINDOW - bytes.len();
            let Marks { ends, high } = Marks::of(window);
            return Marks { ends: ends >> seen, high: high >> seen };
        }
        let tail = &bytes[base..];
        if tail.len() > 16 {
            let mut window = [0; WINDOW];
            window[..tail.len()].copy_from_slice(tail);
            return Marks::of(&window);
        }
        let mut marks = Marks { ends: 0, high: 0 };
        for (bit, &byte) in tail.iter().enumerate() {
            marks.ends |= u64::from(byte == b'\n' || byte == b'\r') << bit;
            marks.high |= u64::from(!byte.is_ascii()) << bit;
        }
        marks
    }

    /// Takes the next line end: where it is in the window, and whether a byte
    /// that is not ASCII stands between it and the end before.
    #[inline]
    pub(super) fn next_end(&mut self) -> Option<(usize, bool)> {
        if self.ends == 0 {
            return None;
        }
        let at = self.ends.trailing_zeros() as usize;
        let up_to = self.ends ^ (self.ends - 1);
        let high = self.high & up_to != 0;
        self.high &= !up_to;
        self.ends &= self.ends - 1;
        Some((at, high))
    }

    /// Whether a byte that is not ASCII stands after the last line end taken.
    #[inline]
    pub(super) fn high(&self) -> bool {
        self.high != 0
    }
}
