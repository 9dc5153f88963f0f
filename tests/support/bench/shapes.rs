//! Streams in the shapes of well-known ones.

use std::fmt::Write;

use fastrand::Rng;

/// Appends an event to a stream.
pub type Block = fn(&mut String, &mut Rng);

pub const SHAPES: [(&str, Block); 8] = [
    ("64 bytes", sixty_four),
    ("tiny", tiny),
    ("json", json),
    ("wiki", wiki),
    ("multi", multi),
    ("heartbeat", heartbeat),
    ("long line", long_line),
    ("non-ASCII", non_ascii),
];

/// At least so many bytes of a shape, the same each time.
pub fn corpus(block: Block, size: usize) -> Vec<u8> {
    events(block, size).concat().into_bytes()
}

/// The same, event by event.
pub fn events(block: Block, size: usize) -> Vec<String> {
    let mut random = Rng::with_seed(9);
    let (mut events, mut total) = (Vec::new(), 0);
    while total < size {
        let mut event = String::new();
        block(&mut event, &mut random);
        total += event.len();
        events.push(event);
    }
    events
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
fn words_of_the_world(stream: &mut String, random: &mut Rng, size: usize) {
    let end = stream.len() + size;
    while stream.len() < end {
        let from: &[&str] =
            if random.u8(0..30) == 0 { &WORLD } else { &ENGLISH };
        stream.push_str(random.choice(from).unwrap());
    }
}

fn words(stream: &mut String, random: &mut Rng, size: usize) {
    let end = stream.len() + size;
    while stream.len() < end {
        stream.push_str(random.choice(ENGLISH).unwrap());
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
    words_of_the_world(stream, random, 1);
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
    words_of_the_world(stream, random, 1400);
    stream.push_str("\"}\n\n");
}

/// The same in plain ASCII, as JSON that escapes the rest is.
fn json(stream: &mut String, random: &mut Rng) {
    let sequence = random.u32(..);
    write!(stream, "event: message\nid: {sequence}\ndata: {{\"comment\":\"")
        .expect("a string can be written to");
    words(stream, random, 1500);
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
    words_of_the_world(stream, random, 1 << 20);
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
