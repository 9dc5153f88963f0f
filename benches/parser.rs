//! How fast the parser is, beside a scan for LF over the same bytes.
//!
//! `cargo bench --bench parser [-- SHAPE...]`. The parser works in place, so each piece is
//! first copied into a buffer; the scan does the same, and what the copy alone
//! takes is shown too. Times are CPU time of the thread, the best of many
//! rounds in which everything takes its turn.

use std::env;
use std::hint::black_box;
use std::ops::ControlFlow::Continue;

use eventsource::parser::{Item, Parser};
use support::bench::cpu::time;
use support::bench::shapes::{SHAPES, corpus};

const CORPUS: usize = 8 << 20;
const ROUNDS: usize = 25;
const PIECE: usize = 64 << 10;
/// What one TCP segment holds.
const SEGMENT: usize = 1460;
/// As much of a corpus as is fed byte by byte.
const TRICKLE: usize = 1 << 18;

fn main() {
    println!(
        "GB/s, best of {ROUNDS}; with the copy of each piece, then without \
         (copy time subtracted)\n"
    );
    println!(
        "{:10} {:>7} | {:>6} {:>6} {:>6} {:>5} | {:>6} {:>6} {:>6} {:>5} | \
         {:>6} {:>6} | {:>5}",
        "",
        "B/event",
        "copy",
        "scan",
        "parse",
        "ratio",
        "scan",
        "parse",
        "ns/ev",
        "ratio",
        "1460 B",
        "of 64K",
        "1 B"
    );
    let wanted: Vec<_> =
        env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let all = wanted.is_empty();
    for (name, block) in SHAPES {
        if !all && !wanted.iter().any(|it| it == name) {
            continue;
        }
        measure(name, &corpus(block, CORPUS));
    }
    println!(
        "\nscan: memchr for each LF; where it is hardly slower than the copy, \
         what is left\nwithout the copy is noise. ratio: parse to scan. \
         1460 B: pieces of that size, with\nthe copy, and in % of the rate \
         for pieces of 64 KiB. 1 B: MB/s, byte by byte."
    );
}

fn measure(name: &str, corpus: &[u8]) {
    let trickle = &corpus[..TRICKLE];
    let mut best = [f64::INFINITY; 5];
    let (mut whole, mut cut) = (0, 0);
    for _ in 0..ROUNDS {
        let times = [
            time(|| copy(corpus)),
            time(|| scan(corpus)),
            time(|| whole = parse(corpus, PIECE)),
            time(|| cut = parse(corpus, SEGMENT)),
            time(|| parse(trickle, 1)),
        ];
        for (best, time) in best.iter_mut().zip(times) {
            *best = best.min(time);
        }
    }
    assert_eq!(whole, cut, "{name}: pieces have no meaning");
    let [copy, scan, whole_time, cut_time, trickle_time] = best;
    let rate = |time: f64| corpus.len() as f64 / time / 1e9;
    println!(
        "{name:10} {:7} | {:6.1} {:6.2} {:6.2} {:5.2} | {:6.2} {:6.2} {:6.1} \
         {:5.2} | {:6.2} {:5.0}% | {:5.0}",
        corpus.len() / whole,
        rate(copy),
        rate(scan),
        rate(whole_time),
        scan / whole_time,
        rate(scan - copy),
        rate(whole_time - copy),
        (whole_time - copy) / whole as f64 * 1e9,
        (scan - copy) / (whole_time - copy),
        rate(cut_time),
        100.0 * whole_time / cut_time,
        trickle.len() as f64 / trickle_time / 1e6,
    );
}

fn copy(corpus: &[u8]) {
    let mut buffer = vec![0; PIECE];
    for piece in corpus.chunks(PIECE) {
        let buffer = &mut buffer[..piece.len()];
        buffer.copy_from_slice(piece);
        black_box(buffer);
    }
}

fn scan(corpus: &[u8]) {
    let mut buffer = vec![0; PIECE];
    for piece in corpus.chunks(PIECE) {
        let buffer = &mut buffer[..piece.len()];
        buffer.copy_from_slice(piece);
        let mut rest = &*buffer;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            black_box(&rest[..end]);
            rest = &rest[end + 1..];
        }
    }
}

/// Parses the corpus and tells how many items it has.
fn parse(corpus: &[u8], size: usize) -> usize {
    let mut buffer = vec![0; size];
    let mut parser = Parser::new();
    parser.set_comments(true);
    let mut items = 0;
    for piece in corpus.chunks(size) {
        let buffer = &mut buffer[..piece.len()];
        buffer.copy_from_slice(piece);
        let _ = parser.feed(buffer, |item| {
            items += usize::from(!matches!(item, Item::LastEventId(_)));
            black_box(item);
            Continue(())
        });
    }
    items
}
