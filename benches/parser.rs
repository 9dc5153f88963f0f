//! How fast the parser is, beside a scan for LF over the same bytes.
//!
//! `cargo bench --bench parser`. The parser works in place, so each piece is
//! first copied into a buffer; the scan does the same, and what the copy alone
//! takes is shown too. Times are CPU time of the thread, the best of many
//! rounds in which everything takes its turn.

#![expect(unsafe_code, reason = "std cannot tell CPU time")]

use std::fmt::Write;
use std::hint::black_box;
use std::ops::ControlFlow::Continue;

use eventsource::parser::{Item, Parser};
use fastrand::Rng;

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
    for (name, block) in SHAPES {
        measure(name, &corpus(block));
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

/// The CPU time in seconds that this thread spends on `work`.
fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let before = cpu_time();
    work();
    cpu_time() - before
}

fn cpu_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours, and outlives the call.
    let done = unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time)
    };
    assert_eq!(done, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

// The corpora

type Block = fn(&mut String, &mut Rng);

const SHAPES: [(&str, Block); 7] = [
    ("64 bytes", sixty_four),
    ("tiny", tiny),
    ("wiki", wiki),
    ("multi", multi),
    ("heartbeat", heartbeat),
    ("long line", long_line),
    ("non-ASCII", non_ascii),
];

fn corpus(block: Block) -> Vec<u8> {
    let mut random = Rng::with_seed(9);
    let mut stream = String::new();
    while stream.len() < CORPUS {
        block(&mut stream, &mut random);
    }
    stream.into_bytes()
}

const ENGLISH: [&str; 16] = [
    " a",
    " client",
    " and",
    "ing",
    " reconnects",
    ",",
    " when",
    " the",
    " stream",
    " ends",
    ".",
    " it",
    " should",
    "\\n",
    " wait",
    " first",
];

const WORLD: [&str; 12] = [
    " caf\u{e9}",
    " \u{421}\u{435}\u{442}\u{44c}",
    " \u{5317}\u{4eac}\u{5e02}",
    " \u{1f980}",
    " na\u{ef}ve",
    " \u{39b}\u{3cc}\u{3b3}\u{3bf}\u{3c2}",
    " \u{645}\u{631}\u{62d}\u{628}\u{627}",
    " word",
    " \u{d55c}\u{ad6d}",
    " \u{939}\u{93f}",
    " Z\u{fc}rich",
    " and",
];

/// Mostly English, with an accent here and there.
fn words(stream: &mut String, random: &mut Rng, size: usize) {
    let end = stream.len() + size;
    while stream.len() < end {
        let from: &[&str] =
            if random.u8(0..30) == 0 { &WORLD } else { &ENGLISH };
        stream.push_str(random.choice(from).unwrap());
    }
}

fn sixty_four(stream: &mut String, random: &mut Rng) {
    stream.push_str("data: ");
    stream.extend((0..56).map(|_| random.alphanumeric()));
    stream.push_str("\n\n");
}

/// One token of a language model.
fn tiny(stream: &mut String, random: &mut Rng) {
    let (before, after) = *random
        .choice([
            ("{\"choices\":[{\"delta\":{\"content\":\"", "\"}}]}"),
            (
                "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\
                 \"type\":\"text_delta\",\"text\":\"",
                "\"}}",
            ),
            (
                "{\"id\":\"chatcmpl-8fTq2\",\"object\":\"chat.completion.chunk\
                 \",\"created\":1767225600,\"choices\":[{\"index\":0,\"delta\":\
                 {\"content\":\"",
                "\"},\"finish_reason\":null}]}",
            ),
        ].as_ref())
        .unwrap();
    stream.push_str("data: ");
    stream.push_str(before);
    words(stream, random, 1);
    stream.push_str(after);
    stream.push_str("\n\n");
}

/// A recent change, with its type and its id.
fn wiki(stream: &mut String, random: &mut Rng) {
    let (time, offset) = (random.u32(..), random.u32(..));
    write!(
        stream,
        "event: message\nid: [{{\"topic\":\"eqiad.recentchange\",\"partition\":\
         0,\"timestamp\":{time}}},{{\"topic\":\"codfw.recentchange\",\
         \"partition\":0,\"offset\":{offset}}}]\ndata: {{\"comment\":\""
    )
    .expect("a string can be written to");
    words(stream, random, 1400);
    stream.push_str("\"}\n\n");
}

/// Twenty lines of eighty bytes.
fn multi(stream: &mut String, random: &mut Rng) {
    for _ in 0..20 {
        stream.push_str("data: ");
        stream.extend((0..80).map(|_| random.alphanumeric()));
        stream.push('\n');
    }
    stream.push('\n');
}

fn heartbeat(stream: &mut String, random: &mut Rng) {
    let second = random.u8(0..60);
    let micros = random.u32(0..1_000_000);
    write!(
        stream,
        ": ping - 2026-01-01 00:00:{second:02}.{micros:06}+00:00\n\n"
    )
    .expect("a string can be written to");
}

fn long_line(stream: &mut String, random: &mut Rng) {
    stream.push_str("data: ");
    words(stream, random, 1 << 20);
    stream.push_str("\n\n");
}

fn non_ascii(stream: &mut String, random: &mut Rng) {
    stream.push_str("data: ");
    let end = stream.len() + 580;
    while stream.len() < end {
        stream.push_str(random.choice(WORLD.as_ref()).unwrap());
    }
    stream.push_str("\n\n");
}
