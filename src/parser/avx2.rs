//! Looks at 32 bytes at a time. Most processors of x86 can, but not all:
//! whether this one does is found out at run time.

#![allow(unsafe_code, reason = "loads, and calls of what has AVX2 in it")]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::*;
use std::ops::ControlFlow;

use super::look::{Baseline, HALF, Half, Look};
use super::{Parser, Sink};

/// There is a value of this only if the processor has AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    #[inline(always)]
    pub(super) fn get() -> Option<Avx2> {
        is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }

    /// [`Parser::interpret_by`] with AVX2 in all that is inlined into it.
    #[inline(always)]
    pub(super) fn interpret(
        self,
        parser: &mut Parser,
        piece: &mut [u8],
        start: usize,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        #[target_feature(enable = "avx2")]
        #[inline]
        fn interpret(
            avx2: Avx2,
            parser: &mut Parser,
            piece: &mut [u8],
            start: usize,
            sink: &mut impl Sink,
        ) -> ControlFlow<()> {
            parser.interpret_by(avx2, piece, start, sink)
        }

        // SAFETY: the processor has AVX2.
        unsafe { interpret(self, parser, piece, start, sink) }
    }
}

impl Look for Avx2 {
    #[inline(always)]
    fn ends(self, half: &Half) -> u32 {
        // SAFETY: the processor has AVX2.
        unsafe { ends(load(half)) }
    }

    #[inline(always)]
    fn high_bits(self, first: &Half, second: &Half) -> u32 {
        // SAFETY: the processor has AVX2.
        unsafe { high_bits(load(first), load(second)) }
    }

    #[inline(always)]
    fn may_end(self, halves: &[Half; 4]) -> bool {
        // SAFETY: the processor has AVX2.
        unsafe { may_end(halves) }
    }

    // Not inlined, so that the loop over the lines has the registers.
    #[inline(never)]
    fn is_utf8(self, text: &[u8]) -> bool {
        // SAFETY: the processor has AVX2.
        let told = unsafe { is_utf8(text) };
        told.unwrap_or_else(|| Baseline.is_utf8(text))
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &Half) -> __m256i {
    // SAFETY: these are 32 bytes, and they may lie anywhere.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn ends(half: __m256i) -> u32 {
    let lf = _mm256_cmpeq_epi8(half, all(b'\n'));
    let cr = _mm256_cmpeq_epi8(half, all(b'\r'));
    _mm256_movemask_epi8(_mm256_or_si256(lf, cr)).cast_unsigned()
}

#[target_feature(enable = "avx2")]
#[inline]
fn high_bits(first: __m256i, second: __m256i) -> u32 {
    _mm256_movemask_epi8(_mm256_or_si256(first, second)).cast_unsigned()
}

#[target_feature(enable = "avx2")]
#[inline]
fn may_end([a, b, c, d]: &[Half; 4]) -> bool {
    let first = _mm256_min_epu8(load(a), load(b));
    let second = _mm256_min_epu8(load(c), load(d));
    let least = _mm256_min_epu8(first, second);
    let low = _mm256_min_epu8(least, all(b'\r'));
    _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, least)) != 0
}

#[target_feature(enable = "avx2")]
#[inline]
fn all(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// Whether text is UTF-8, if it is long enough for that to be told quickly.
///
/// Each block of 32 bytes is looked at with the three bytes before it: no other
/// decides whether a byte may stand where it stands. The last block lies over
/// the one before it. No branch depends on the text.
#[target_feature(enable = "avx2")]
#[inline]
fn is_utf8(text: &[u8]) -> Option<bool> {
    let last = text.last_chunk()?;
    let mut wrong = wrong_in(last);
    // Nothing stands before them. Most texts are lines, which begin with the
    // name of a field.
    if !text[..BEFORE].is_ascii() {
        let mut first = [0; BEFORE + HALF];
        first[BEFORE..].copy_from_slice(&text[..HALF]);
        wrong = _mm256_or_si256(wrong, wrong_in(&first));
    }
    let mut rest = text;
    while let Some(block) = rest.first_chunk() {
        wrong = _mm256_or_si256(wrong, wrong_in(block));
        rest = &rest[HALF..];
    }
    let is_cut = matches!(
        text,
        [.., 0xC0..=0xFF] | [.., 0xE0..=0xFF, _] | [.., 0xF0..=0xFF, _, _]
    );
    Some(_mm256_testz_si256(wrong, wrong) != 0 && !is_cut)
}

/// How many bytes before a byte have a say.
const BEFORE: usize = 3;

/// Tells by bits where text is no UTF-8, the first bytes apart.
///
/// This is the method of Keiser and Lemire, "Validating UTF-8 In Less Than One
/// Instruction Per Byte" (2021). Three half bytes are looked up, of two bytes
/// that follow one another. Each bit is a way to be wrong, which they are if
/// all three have it.
#[target_feature(enable = "avx2")]
#[inline]
fn wrong_in(block: &[u8; BEFORE + HALF]) -> __m256i {
    /// A lead byte without a second one.
    const TOO_SHORT: u8 = 1 << 0;
    /// A second byte without a lead byte.
    const TOO_LONG: u8 = 1 << 1;
    const OVERLONG_2: u8 = 1 << 5;
    const OVERLONG_3: u8 = 1 << 2;
    const OVERLONG_4: u8 = 1 << 6;
    const SURROGATE: u8 = 1 << 4;
    /// Above U+10FFFF: of a second byte from 0x90 on, and of a lead byte that
    /// is no more than that with any.
    const TOO_LARGE: u8 = 1 << 3;
    const TOO_LARGE_BY_LEAD: u8 = 1 << 6;
    /// Two bytes that continue: right where there is a third or a fourth.
    const TWO_CONTINUE: u8 = 1 << 7;

    /// By the high half of the first byte.
    const BY_HIGH: [u8; 16] = {
        let mut table = [TOO_LONG; 16];
        table[0x8] = TWO_CONTINUE;
        table[0x9] = TWO_CONTINUE;
        table[0xA] = TWO_CONTINUE;
        table[0xB] = TWO_CONTINUE;
        table[0xC] = TOO_SHORT | OVERLONG_2;
        table[0xD] = TOO_SHORT;
        table[0xE] = TOO_SHORT | OVERLONG_3 | SURROGATE;
        table[0xF] = TOO_SHORT | TOO_LARGE | TOO_LARGE_BY_LEAD | OVERLONG_4;
        table
    };
    /// By its low half.
    const BY_LOW: [u8; 16] = {
        const ANY: u8 = TOO_SHORT | TOO_LONG | TWO_CONTINUE;
        let mut table = [ANY | TOO_LARGE | TOO_LARGE_BY_LEAD; 16];
        table[0x0] = ANY | OVERLONG_2 | OVERLONG_3 | OVERLONG_4;
        table[0x1] = ANY | OVERLONG_2;
        table[0x2] = ANY;
        table[0x3] = ANY;
        table[0x4] = ANY | TOO_LARGE;
        table[0xD] |= SURROGATE;
        table
    };
    /// By the high half of the second byte.
    const BY_SECOND: [u8; 16] = {
        const ANY: u8 = TOO_LONG | OVERLONG_2 | TWO_CONTINUE;
        let mut table = [TOO_SHORT; 16];
        table[0x8] = ANY | OVERLONG_3 | OVERLONG_4 | TOO_LARGE_BY_LEAD;
        table[0x9] = ANY | OVERLONG_3 | TOO_LARGE;
        table[0xA] = ANY | SURROGATE | TOO_LARGE;
        table[0xB] = ANY | SURROGATE | TOO_LARGE;
        table
    };

    // Of each of the 32 bytes the one that stands so many before it.
    let before = |count: usize| {
        load(block[BEFORE - count..].first_chunk().expect("32 bytes"))
    };
    let (this, first) = (before(0), before(1));
    let half = all(0x0F);
    let high = |bytes| _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
    let by_high = _mm256_shuffle_epi8(twice(&BY_HIGH), high(first));
    let low = _mm256_and_si256(first, half);
    let by_low = _mm256_shuffle_epi8(twice(&BY_LOW), low);
    let by_second = _mm256_shuffle_epi8(twice(&BY_SECOND), high(this));
    let pairs = _mm256_and_si256(_mm256_and_si256(by_high, by_low), by_second);
    // The highest bit is set where a third or a fourth byte is due, and then
    // two bytes that continue are right, and nothing else is.
    let third = _mm256_subs_epu8(before(2), all(0xE0 - 0x80));
    let fourth = _mm256_subs_epu8(before(3), all(0xF0 - 0x80));
    let due = _mm256_and_si256(_mm256_or_si256(third, fourth), all(0x80));
    _mm256_xor_si256(due, pairs)
}

/// A table for each half of a vector.
#[target_feature(enable = "avx2")]
#[inline]
fn twice(table: &[u8; 16]) -> __m256i {
    let mut both = [0; HALF];
    both[..16].copy_from_slice(table);
    both[16..].copy_from_slice(table);
    load(&both)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks of text that is ASCII but for `bytes` at every place that makes a
    /// difference.
    fn check(avx2: Avx2, bytes: &[u8]) {
        let right = str::from_utf8(bytes).is_ok();
        // Three blocks, the last of which lies over the second.
        const LENGTH: usize = 68;
        let end = LENGTH - bytes.len() + 1;
        for at in (0..5).chain(30..38).chain(end - 3..end) {
            let mut text = [b'a'; LENGTH];
            text[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(avx2.is_utf8(&text), right, "{bytes:X?} at {at}");
        }
    }

    #[test]
    fn says_what_std_says_of_all_short_sequences() {
        let Some(avx2) = Avx2::get() else { return };
        // Those at which something changes, and their neighbours.
        const CONTINUING: [u8; 9] =
            [0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF];
        for first in 0x80..=0xFF {
            check(avx2, &[first]);
            for second in CONTINUING {
                check(avx2, &[first, second]);
                for third in CONTINUING {
                    check(avx2, &[first, second, third]);
                    if first >= 0xE0 {
                        check(avx2, &[first, second, third, 0x80]);
                        check(avx2, &[first, second, third, 0x61]);
                        check(avx2, &[first, second, third, 0xC3]);
                        check(avx2, &[first, second, third, 0x80, 0x80]);
                    }
                }
            }
        }
    }

    #[test]
    fn says_what_std_says_of_random_text() {
        let Some(avx2) = Avx2::get() else { return };
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..20_000 {
            let length = random.usize(0..200);
            let text: String = (0..length)
                .map(|_| match random.u8(0..3) {
                    0 => random.char(..),
                    1 => random.char('\u{80}'..'\u{800}'),
                    _ => 'a',
                })
                .collect();
            let mut text = text.into_bytes();
            assert!(avx2.is_utf8(&text), "{text:X?}");
            if !text.is_empty() {
                *random.choice(&mut text).unwrap() = random.u8(..);
                text.truncate(random.usize(..=text.len()));
            }
            let right = str::from_utf8(&text).is_ok();
            assert_eq!(avx2.is_utf8(&text), right, "{text:X?}");
        }
    }
}
