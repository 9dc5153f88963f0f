//! Where lines end, 64 bytes at a time.

use std::array;

use super::look::{HALF, Half, Look};

/// How many bytes are looked at together.
pub(super) const WINDOW: usize = 2 * HALF;

/// A window of the stream.
pub(super) struct Marks {
    /// A bit for each CR or LF. The first byte has the lowest bit.
    ends: u64,
    /// 0 if all of it is ASCII.
    pub(super) high_bits: u32,
}

impl Marks {
    /// Marks the window that begins at `base`; the last one may be short.
    #[inline(always)]
    pub(super) fn at(look: impl Look, bytes: &[u8], base: usize) -> Marks {
        let Some(last) = bytes.len().checked_sub(WINDOW) else {
            return Marks::of_short(look, bytes);
        };
        // The last full window covers the tail and bytes before it, whose
        // marks are shifted out.
        let from = base.min(last);
        let window = bytes[from..].first_chunk().expect("a full window");
        let Marks { ends, high_bits } = Marks::of(look, window);
        Marks { ends: ends >> (base - from), high_bits }
    }

    /// Less than a window is covered by two halves that overlap.
    #[inline(always)]
    fn of_short(look: impl Look, bytes: &[u8]) -> Marks {
        if let Some(first) = bytes.first_chunk()
            && let Some(last) = bytes.last_chunk()
        {
            return Marks::of_halves(look, first, last, bytes.len() - HALF);
        }
        let half = padded(bytes);
        Marks::of_halves(look, &half, &half, 0)
    }

    #[inline(always)]
    fn of(look: impl Look, window: &[u8; WINDOW]) -> Marks {
        let [first, second] = halves(window);
        Marks::of_halves(look, first, second, HALF)
    }

    /// Marks two halves, the second so many bytes behind the first.
    #[inline(always)]
    fn of_halves(
        look: impl Look,
        first: &Half,
        second: &Half,
        distance: usize,
    ) -> Marks {
        let (near, far) = (look.ends(first), look.ends(second));
        Marks {
            ends: u64::from(near) | u64::from(far) << distance,
            high_bits: look.high_bits(first, second),
        }
    }

    /// Takes the next line end: where it is in the window.
    #[inline(always)]
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

/// Passes over the windows from `base` on in which no line ends, two at a time.
/// Tells where the next one begins, and 0 if all bytes passed are ASCII.
#[inline(always)]
pub(super) fn pass_endless(
    look: impl Look,
    bytes: &[u8],
    mut base: usize,
) -> (usize, u32) {
    let mut passed = [0; HALF];
    let rest = bytes.get(base..).unwrap_or_default();
    for halves in rest.as_chunks().0.as_chunks().0 {
        if look.may_end(halves)
            && halves.iter().any(|half| look.ends(half) != 0)
        {
            break;
        }
        let [a, b, c, d] = halves;
        passed =
            array::from_fn(|at| passed[at] | a[at] | b[at] | c[at] | d[at]);
        base += 2 * WINDOW;
    }
    (base, look.high_bits(&passed, &passed))
}

/// Less than half a window, with zeros behind it.
#[inline(never)]
fn padded(bytes: &[u8]) -> Half {
    let mut half = [0; HALF];
    half[..bytes.len()].copy_from_slice(bytes);
    half
}

#[inline(always)]
fn halves(window: &[u8; WINDOW]) -> [&Half; 2] {
    let (halves, _) = window.as_chunks();
    [&halves[0], &halves[1]]
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::parser::avx2::Avx2;
    use crate::parser::look::Baseline;

    fn is_end(byte: &u8) -> bool {
        matches!(byte, b'\n' | b'\r')
    }

    fn finds_every_end(look: impl Look) {
        let mut random = fastrand::Rng::with_seed(7);
        for length in 0..2 * WINDOW + 3 {
            for rare in [4, 64, 512] {
                let bytes: Vec<u8> = (0..length)
                    .map(|_| match random.usize(0..rare) {
                        0 => *random.choice(b"\n\r\t\x0B\0\xC3\x8A").unwrap(),
                        _ => b'e',
                    })
                    .collect();
                check_marks(look, &bytes);
                check_passing(look, &bytes);
            }
        }
    }

    fn check_marks(look: impl Look, bytes: &[u8]) {
        for base in (0..bytes.len()).step_by(WINDOW) {
            let window = &bytes[base..bytes.len().min(base + WINDOW)];
            let mut marks = Marks::at(look, bytes, base);
            let ascii = marks.high_bits == 0;
            assert!(!ascii || window.is_ascii());
            // Those of the last window may be of bytes before it.
            let before = &bytes[bytes.len().saturating_sub(WINDOW).min(base)..];
            assert!(ascii || !before.is_ascii());
            for (at, byte) in window.iter().enumerate() {
                if is_end(byte) {
                    assert_eq!(marks.next_end(), Some(at), "{bytes:?}");
                }
            }
            assert_eq!(marks.next_end(), None, "{bytes:?}");
        }
    }

    fn check_passing(look: impl Look, bytes: &[u8]) {
        for base in 0..bytes.len() + 2 {
            let (next, high_bits) = pass_endless(look, bytes, base);
            let passed = bytes.get(base..next).unwrap_or_default();
            assert!(!passed.iter().any(is_end), "{bytes:?}");
            assert_eq!(high_bits == 0, passed.is_ascii(), "{bytes:?}");
            let rest = bytes.get(next..).unwrap_or_default();
            let window = rest.first_chunk::<{ 2 * WINDOW }>();
            assert!(window.is_none_or(|it| it.iter().any(is_end)), "{bytes:?}");
        }
    }

    #[test]
    fn every_line_end_is_found() {
        finds_every_end(Baseline);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn every_line_end_is_found_by_avx2() {
        if let Some(avx2) = Avx2::get() {
            finds_every_end(avx2);
        }
    }
}
