//! The promises of § 9.2.6, one test each, under the number of the
//! requirement.
//!
//! Every vector is read whole, cut at every byte and cut at every two bytes,
//! with LF, CRLF and CR, with and without a BOM; the parser, as it is and
//! through the C API, and a naive reference must all say what is expected.

use std::ops::ControlFlow::{Break, Continue};

use eventsource::parser::{Item, Parser};
use support::alone::{Heard, hear};
use support::reference::{self, Wishes};
use support::said::{Said, feed_pieces, feed_pieces_as_ever, parser};
use support::vectors::{breaks_off, note};

/// The suite `parsers` has this file as a module, to note the vectors down.
const IS_MODULE: bool = module_path!().len() > "parser".len();

const WISHES: Wishes =
    Wishes { comments: true, max_event_size: 0, last_event_id: String::new() };

fn said(wishes: &Wishes, stream: &[u8], cuts: &[usize]) -> Vec<Said> {
    said_next(&mut parser(wishes), stream, cuts)
}

/// The same without what only some processors have.
fn said_as_ever(wishes: &Wishes, stream: &[u8], cuts: &[usize]) -> Vec<Said> {
    let mut said = Vec::new();
    feed_pieces_as_ever(&mut parser(wishes), stream, cuts, |item| {
        said.extend(Said::all(item));
    });
    said
}

fn said_next(parser: &mut Parser, stream: &[u8], cuts: &[usize]) -> Vec<Said> {
    let mut said = Vec::new();
    feed_pieces(parser, stream, cuts, |item| said.extend(Said::all(item)));
    said
}

fn message(data: &str) -> Said {
    event("message", data, "")
}

fn event(event_type: &str, data: &str, last_event_id: &str) -> Said {
    Said::Event {
        event_type: event_type.into(),
        data: data.into(),
        last_event_id: last_event_id.into(),
    }
}

fn id(id: &str) -> Said {
    Said::LastEventId(id.into())
}

fn comment(text: &str) -> Said {
    Said::Comment(text.into())
}

/// The stream says this, however its lines end and wherever it is cut.
#[track_caller]
fn says(stream: impl AsRef<[u8]>, expected: &[Said]) {
    says_if(&WISHES, stream, expected);
}

#[track_caller]
fn says_if(wishes: &Wishes, stream: impl AsRef<[u8]>, expected: &[Said]) {
    for end in ["\n", "\r\n", "\r"] {
        let lines: Vec<&[u8]> = stream.as_ref().split(is_lf).collect();
        let stream = lines.join(end.as_bytes());
        for bom in ["", "\u{FEFF}"] {
            let stream = [bom.as_bytes(), &stream].concat();
            says_as_it_is(wishes, &stream, expected);
        }
    }
}

fn is_lf(byte: &u8) -> bool {
    *byte == b'\n'
}

/// The stream, byte for byte, says this wherever it is cut.
#[track_caller]
fn says_as_it_is(wishes: &Wishes, stream: &[u8], expected: &[Said]) {
    if IS_MODULE {
        return note(wishes, stream, expected);
    }
    let shown = stream.escape_ascii();
    let unfinished = breaks_off(wishes, stream);
    for size in [1, stream.len()] {
        let heard = hear(wishes, stream, size);
        let expected = Heard::of(wishes, expected, unfinished);
        assert_eq!(heard, expected, "in C, pieces of {size}: {shown}");
    }
    let by_reference = reference::interpret(stream, wishes);
    assert_eq!(by_reference, expected, "the reference: {shown}");
    assert_eq!(said(wishes, stream, &[]), expected, "{shown}");
    assert_eq!(said_as_ever(wishes, stream, &[]), expected, "{shown}");
    let every_byte: Vec<usize> = (0..stream.len()).collect();
    assert_eq!(said(wishes, stream, &every_byte), expected, "bytes: {shown}");
    for second in 0..=stream.len() {
        for first in 0..=second {
            let said = said(wishes, stream, &[first, second]);
            assert_eq!(said, expected, "cut at {first}, {second}: {shown}");
        }
    }
}

// Bytes and lines

/// R38
#[test]
fn puts_one_replacement_character_for_each_maximal_subpart() {
    says(
        "data: \u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}\n\n",
        &[message("\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}")],
    );
    says(b"data: a\xC0\xAFb\n\n", &[message("a\u{FFFD}\u{FFFD}b")]);
    says(b"data: \xED\xA0\x80\n\n", &[message("\u{FFFD}\u{FFFD}\u{FFFD}")]);
    says(b"data: \xF0\x9F\x98b\n\n", &[message("\u{FFFD}b")]);
    says(b"data:\xF4\x90\x80\x80\n\n", &[message(&"\u{FFFD}".repeat(4))]);
    says(b"data: \xE2\x82\n\n", &[message("\u{FFFD}")]);
    says(b"data: a\ndata: \xFF\ndata: b\n\n", &[message("a\n\u{FFFD}\nb")]);
}

/// R38: everywhere, not in data alone.
#[test]
fn makes_types_ids_and_comments_valid_too() {
    says(
        b"event: \xFF\nid: \x80\n:\xFE \ndata\n\n",
        &[
            comment("\u{FFFD} "),
            id("\u{FFFD}"),
            event("\u{FFFD}", "", "\u{FFFD}"),
        ],
    );
}

/// R38: a field is told by its bytes, before its value is looked at.
#[test]
fn does_not_take_an_invalid_name_for_a_field() {
    says(b"data\xFF: a\n\xFFdata: b\ndata\xFF\n\n", &[]);
}

/// R38, R42: sizes around those that are looked at together.
#[test]
fn finds_what_is_not_ascii_at_every_place() {
    for before in 0..140 {
        for after in [0, 1, 58, 63, 64] {
            let (a, b) = ("a".repeat(before), "b".repeat(after));
            let stream = [
                b"data: x\ndata: ".as_slice(),
                a.as_bytes(),
                b"\xFF",
                b.as_bytes(),
                b"\ndata: y\n\n",
            ];
            let expected = [message(&format!("x\n{a}\u{FFFD}{b}\ny"))];
            let stream = stream.concat();
            assert_eq!(said(&WISHES, &stream, &[]), expected);
            assert_eq!(said(&WISHES, &stream, &[before + 9]), expected);
        }
    }
}

/// R39
#[test]
fn drops_one_bom_at_the_beginning() {
    let bom = "\u{FEFF}";
    for (stream, expected) in [
        (format!("{bom}data: a\n\n"), vec![message("a")]),
        (format!("{bom}{bom}data: a\n\n"), vec![]),
        (format!("{bom}\n{bom}data: a\ndata: b\n\n"), vec![message("b")]),
        (format!("data: a\n\n{bom}data: b\n\n"), vec![message("a")]),
        (format!("data: {bom}\n\n"), vec![message(bom)]),
        (format!("{bom}:c\n"), vec![comment("c")]),
        (format!("\n{bom}data: a\n\n"), vec![]),
    ] {
        says_as_it_is(&WISHES, stream.as_bytes(), &expected);
    }
}

/// R39: less than a BOM is ordinary characters, and the line that it begins
/// is no empty line.
#[test]
fn takes_part_of_a_bom_for_ordinary_characters() {
    for part in ["\u{FFFD}".as_bytes(), b"\xEF", b"\xEF\xBB", b"\xEF\xBB\xBE"] {
        let stream = [part, b"data: a\ndata: b\n\n"].concat();
        says_as_it_is(&WISHES, &stream, &[message("b")]);
        let stream = [part, b"\ndata: b\n", part, b"\n\n"].concat();
        says_as_it_is(&WISHES, &stream, &[message("b")]);
        let stream = [part, b"\xEF\xBB\xBFdata: a\n\n"].concat();
        says_as_it_is(&WISHES, &stream, &[]);
    }
}

/// R39: once per connection.
#[test]
fn drops_a_bom_again_on_the_next_connection() {
    let mut parser = parser(&WISHES);
    for _ in 0..3 {
        let stream = "\u{FEFF}data: a\n\n\u{FEFF}data: b\n\n\u{FEFF}";
        let said = said_next(&mut parser, stream.as_bytes(), &[1, 2]);
        assert_eq!(said, [message("a")]);
        parser.reset();
    }
}

/// R40
#[test]
fn ends_lines_with_cr_lf_and_crlf_mixed_at_will() {
    for (stream, expected) in [
        ("data:a\r\ndata:b\rdata:c\ndata:d\r\r", vec![message("a\nb\nc\nd")]),
        ("data:a\r\n\rdata:b\n\r\n", vec![message("a"), message("b")]),
        ("data:a\n\r\ndata:b\r\r\n\n", vec![message("a"), message("b")]),
        ("data:a\r\rdata:b\r\n\r\n", vec![message("a"), message("b")]),
        ("data\n\rdata\r\n\ndata\r\r", vec![message(""); 3]),
        ("data:a\r\ndata:b\r\n", vec![]),
        ("x\r\ndata:a\rx\r\n\r", vec![message("a")]),
        ("\r\n\r\n\n\n\r\rdata:a\n\r", vec![message("a")]),
    ] {
        says_as_it_is(&WISHES, stream.as_bytes(), &expected);
    }
}

/// R40: a LF after an ignored line's CR belongs to it as well.
#[test]
fn takes_crlf_for_one_end_after_every_kind_of_line() {
    for line in ["data: a", ":", "x", "id", "retry: 1", "retry", "event"] {
        let stream = format!("data: 1\r\n{line}\r\ndata: 2\r\n\r\n");
        let lf = stream.replace("\r\n", "\n");
        let expected = reference::interpret(lf.as_bytes(), &WISHES);
        says_as_it_is(&WISHES, stream.as_bytes(), &expected);
    }
}

/// R40
#[test]
fn ends_lines_with_nothing_else() {
    let value = "a\u{85}b\u{2028}c\u{2029}d\u{B}e\u{C}f\u{1E}g\u{0}h";
    says(format!("data: {value}\n\n"), &[message(value)]);
}

/// R40: line ends at every distance, whatever is looked at together.
#[test]
fn finds_line_ends_at_every_place() {
    for end in ["\n", "\r", "\r\n"] {
        for length in 0..400 {
            let value = "value".repeat(80)[..length].to_owned();
            let line = format!("data:{value}{end}");
            let stream = format!("{line}{end}{line}{line}{end}").repeat(3);
            let two = format!("{value}\n{value}");
            assert_eq!(
                said(&WISHES, stream.as_bytes(), &[]),
                vec![[message(&value), message(&two)]; 3].concat(),
                "{end:?} after {length}"
            );
        }
    }
}

/// R41
#[test]
fn dispatches_at_a_lone_cr_and_swallows_the_lf_that_follows() {
    let mut parser = parser(&WISHES);
    let mut hears =
        |stream: &str| said_next(&mut parser, stream.as_bytes(), &[]);
    assert_eq!(hears("data: a\r"), []);
    assert_eq!(hears("\r"), [message("a")]);
    assert_eq!(hears("\ndata: b\r\n"), []);
    assert_eq!(hears("\r"), [message("b")]);
    assert_eq!(hears("\n"), []);
    assert_eq!(hears("data\n"), []);
    assert_eq!(hears("\n"), [message("")]);
    assert_eq!(hears("data: c\r\r"), [message("c")]);
    assert_eq!(hears(""), []);
    assert_eq!(hears("\ndata: d\n\n"), [message("d")]);
}

/// R42
#[test]
fn gives_no_meaning_to_empty_pieces() {
    let stream = "\u{FEFF}data: a\r\nid: 1\r\n\r\n";
    let cuts: Vec<usize> =
        (0..stream.len()).flat_map(|cut| [cut, cut, cut]).collect();
    assert_eq!(
        said(&WISHES, stream.as_bytes(), &cuts),
        [id("1"), event("message", "a", "1")],
    );
}

/// R42: pieces of every size, over lines longer than all of them.
#[test]
fn gives_no_meaning_to_the_size_of_pieces() {
    let long = "0123456789 \u{20AC}".repeat(30);
    let stream = format!(
        ":{long}\nevent: {long}\ndata: {long}\nid: {long}\n{long}\n\
         data\ndata: {long}\n\nretry: 7\ndata: x\n\n"
    );
    let expected = [
        comment(&long),
        id(&long),
        event(&long, &format!("{long}\n\n{long}"), &long),
        Said::Retry(7),
        event("message", "x", &long),
    ];
    for size in 1..stream.len() {
        let cuts: Vec<usize> = (0..stream.len()).step_by(size).collect();
        assert_eq!(said(&WISHES, stream.as_bytes(), &cuts), expected);
    }
}

/// R43: every sequence of bytes is a stream.
#[test]
fn agrees_with_the_reference_on_random_streams() {
    let mut random = fastrand::Rng::with_seed(0x5EED);
    for round in 0..250_000 {
        let stream = random_stream(&mut random);
        let wishes = Wishes {
            comments: random.bool(),
            max_event_size: if random.bool() { 0 } else { random.usize(1..40) },
            last_event_id: if random.bool() { "old" } else { "" }.into(),
        };
        let cuts = random_cuts(&mut random, stream.len());
        let right = reference::interpret(&stream, &wishes);
        for said in [said, said_as_ever] {
            assert_eq!(
                said(&wishes, &stream, &cuts),
                right,
                "round {round}, {wishes:?}, cuts {cuts:?}: {}",
                stream.escape_ascii(),
            );
        }
    }
}

/// R43: lines, types and IDs so long that they are not copied, cut where that
/// matters.
#[test]
fn agrees_with_the_reference_on_long_lines() {
    const ENDS: [&[u8]; 6] =
        [b"\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\nid\n\n", b"\n\n:\n"];
    let mut random = fastrand::Rng::with_seed(0x1006);
    for round in 0..300 {
        let max_event_size = match random.bool() {
            true => 0,
            false => random.usize(60_000..200_000),
        };
        // A limit is for long types and IDs, too, which the reference has not.
        let fields: &[&str] = match max_event_size {
            0 => &["data: ", "data:", "id: ", "event: ", ":", "x: "],
            _ => &["data: ", "data:", "x: ", ":"],
        };
        let mut stream = Vec::new();
        for _ in 0..random.usize(1..8) {
            stream.extend(random.choice(fields).unwrap().bytes());
            let piece = *random.choice(&["x", "\u{e9}", "0123456789"]).unwrap();
            let length = match random.u8(..4) {
                0 => random.usize(..20),
                1 => 4096 + random.usize(..20) - 10,
                2 => 65_536 + random.usize(..40) - 20,
                _ => random.usize(..150_000),
            };
            stream.extend(piece.bytes().cycle().take(length));
            let odd: &[u8] = match random.u8(..8) {
                0 => b"\xFF",
                1 => b"\0",
                2 => b"\xF0\x9F\x98",
                _ => b"",
            };
            stream.extend_from_slice(&odd.repeat(random.usize(..30_000)));
            stream.extend_from_slice(random.choice(ENDS).unwrap());
        }
        let wishes = Wishes {
            comments: random.bool(),
            max_event_size,
            last_event_id: if random.bool() { "old" } else { "" }.into(),
        };
        let most = *random.choice(&[100, 5000, 70_000, 500_000]).unwrap();
        let mut cuts = Vec::new();
        let mut cut = random.usize(..most);
        while cut < stream.len() {
            cuts.push(cut);
            cut += 1 + random.usize(..most);
        }
        let right = reference::interpret(&stream, &wishes);
        for said in [said, said_as_ever] {
            let same = said(&wishes, &stream, &cuts) == right;
            assert!(same, "round {round}, {wishes:?}, {most}");
        }
    }
}

fn random_stream(random: &mut fastrand::Rng) -> Vec<u8> {
    const WORDS: [&[u8]; 40] = [
        b"\n",
        b"\n",
        b"\n",
        b"\n\n",
        b"\n\n",
        b"\n\n",
        b"\r",
        b"\r",
        b"\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r\r",
        b":",
        b":",
        b" ",
        b"\0",
        b"\xEF\xBB\xBF",
        b"\xEF",
        b"\xBB",
        b"0",
        b"42",
        b"18446744073709551615",
        b"\xFF",
        b"\xE2\x82",
        b"\xF0\x9F\x98\x80",
        "\u{E9}".as_bytes(),
        b"data",
        b"data: ",
        b"data:",
        b"data: x",
        b"event",
        b"event: ",
        b"id",
        b"id: ",
        b"id:a",
        b"retry",
        b"retry: ",
        b"retry:1",
        b"xyz",
        b"0123456789012345678901234567890123456789",
    ];
    let mut stream = Vec::new();
    for _ in 0..random.usize(0..30) {
        match random.u8(0..16) {
            0 => stream.push(random.u8(..)),
            _ => stream.extend_from_slice(random.choice(WORDS).unwrap()),
        }
    }
    stream
}

fn random_cuts(random: &mut fastrand::Rng, length: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = match random.u8(0..4) {
        0 => vec![],
        1 => (0..length).collect(),
        _ => {
            (0..random.usize(0..6)).map(|_| random.usize(0..=length)).collect()
        }
    };
    cuts.sort_unstable();
    cuts
}

/// R44
#[test]
fn dispatches_at_an_empty_line_and_only_there() {
    says("data: a\ndata: b", &[]);
    says("data: a\n", &[]);
    says("data: a\n\n", &[message("a")]);
    says("\n\n\ndata: a\n\n\n\ndata: b\n\n", &[message("a"), message("b")]);
    says("data: a\n \ndata: b\n\n", &[message("a\nb")]);
}

/// R45
#[test]
fn ignores_comments() {
    let wishes = Wishes { comments: false, ..WISHES };
    let long = "x".repeat(300);
    says_if(&wishes, ":\n: a\n::\n:data: b\n:\u{E9}\n\n", &[]);
    says_if(&wishes, "data: a\n:b\ndata: c\n\n", &[message("a\nc")]);
    let stream = format!(":{long}\ndata: a\n:{long}\n\n");
    assert_eq!(said(&wishes, stream.as_bytes(), &[]), [message("a")]);
}

/// R45: a comment leaves its block alone, and is not changed by R46.
#[test]
fn hands_on_comments_unchanged_if_they_are_wanted() {
    says(
        "data: a\n:b\n:  c \n:\n::\ndata: d\n\n",
        &[
            comment("b"),
            comment("  c "),
            comment(""),
            comment(":"),
            message("a\nd"),
        ],
    );
    says(":a\0b\u{E9}\n", &[comment("a\0b\u{E9}")]);
    says(":not ended", &[]);
}

/// R46
#[test]
fn splits_a_line_at_its_first_colon() {
    says("data:a:b: c\n\n", &[message("a:b: c")]);
    says("data::\n\n", &[message(":")]);
    says("data: : \n\n", &[message(": ")]);
}

/// R46
#[test]
fn removes_one_blank_before_a_value_and_nothing_else() {
    says(
        "data:a\ndata: a\ndata:  a\ndata:\ta\ndata: \ndata:  \n\n",
        &[message("a\na\n a\n\ta\n\n ")],
    );
    says(
        "event:  a\nid:  b\ndata: \u{A0}c \n\n",
        &[id(" b"), event(" a", "\u{A0}c ", " b")],
    );
}

/// R47
#[test]
fn takes_a_line_without_colon_for_a_field_with_an_empty_value() {
    says("data\n\n", &[message("")]);
    says("event: a\nevent\ndata: b\n\n", &[message("b")]);
    says("id: 1\n\nid\ndata\n\n", &[id("1"), id(""), message("")]);
    says("retry\n\n", &[]);
}

/// R48
#[test]
fn compares_field_names_literally() {
    for name in [
        "Data", "DATA", " data", "data ", "\tdata", "dat", "dataa", "d",
        "da\0ta", "data\0", "\0data", "Event", "events", "even", "ID", "i",
        "ids", "Retry", "retr", "retryy", "i d", "x", "\u{E9}",
    ] {
        says(format!("{name}: 1\n{name}:2\n{name}\n\n"), &[]);
    }
}

// Limits

/// R49
#[test]
fn delivers_an_event_at_the_limit_and_drops_one_over_it() {
    let wishes = Wishes { max_event_size: 4, ..WISHES };
    let next = "data: next\n\n";
    for (block, expected) in [
        ("data: 1234", message("1234")),
        ("data:1234", message("1234")),
        ("data: 12345", Said::TooLarge),
        ("data:12345", Said::TooLarge),
        ("data:123456", Said::TooLarge),
        ("data: 1\ndata: 23", message("1\n23")),
        ("data: 1\ndata: 234", Said::TooLarge),
        ("data: 12345678901234567890\ndata: 1", Said::TooLarge),
        ("data\ndata\ndata\ndata\ndata", message("\n\n\n\n")),
        ("data\ndata\ndata\ndata\ndata\ndata", Said::TooLarge),
        ("event: 123\ndata: 12345", Said::TooLarge),
        ("data:\u{FFFD}1", message("\u{FFFD}1")),
        ("data:\u{FFFD}\u{E9}", Said::TooLarge),
    ] {
        let stream = format!("{block}\n\n{next}");
        says_if(&wishes, stream, &[expected, message("next")]);
    }
}

/// R49: what counts is what the program would get.
#[test]
fn counts_replacement_characters_in_full() {
    let wishes = Wishes { max_event_size: 4, ..WISHES };
    says_if(&wishes, b"data: \xFF1\n\n", &[message("\u{FFFD}1")]);
    says_if(&wishes, b"data: \xFF\xFF\n\n", &[Said::TooLarge]);
}

/// R49, R53
#[test]
fn applies_the_id_of_a_block_over_the_limit() {
    let wishes = Wishes { max_event_size: 2, ..WISHES };
    let expected = [id("7"), Said::TooLarge, event("message", "a", "7")];
    says_if(&wishes, "id: 7\ndata: 123\n\ndata: a\n\n", &expected);
    says_if(&wishes, "data: 123\nid: 7\n\ndata: a\n\n", &expected);
}

/// R49: of the other fields too, no line may be longer than the longest data
/// line.
#[test]
fn drops_a_block_with_a_line_over_the_limit() {
    let wishes = Wishes { max_event_size: 2, ..WISHES };
    says_if(&wishes, "event:12\ndata: a\n\n", &[event("12", "a", "")]);
    says_if(&wishes, "event:123\ndata: a\n\n", &[Said::TooLarge]);
    says_if(
        &wishes,
        "event:123\n\ndata: a\n\n",
        &[Said::TooLarge, message("a")],
    );
    says_if(&wishes, "id:12345\n\n", &[id("12345")]);
    says_if(&wishes, "id:123456\ndata: a\n\n", &[Said::TooLarge]);
    says_if(&wishes, "retry:12\n\n", &[Said::Retry(12)]);
    says_if(&wishes, "retry:123\n\n", &[Said::TooLarge]);
}

/// R49: it would have been ignored anyway.
#[test]
fn ignores_lines_of_any_length_that_do_not_matter() {
    let wishes = Wishes { comments: false, max_event_size: 2, ..WISHES };
    let long = "x".repeat(100);
    let stream = format!("datax:{long}\n:{long}\n{long}\ndata: a\n\n");
    says_if(&wishes, stream, &[message("a")]);
}

/// R49
#[test]
fn drops_a_wanted_comment_over_the_limit_and_leaves_its_block_alone() {
    let wishes = Wishes { max_event_size: 2, ..WISHES };
    says_if(
        &wishes,
        "data: a\n:12\n:123\n:12345678901234\n\n",
        &[comment("12"), Said::TooLarge, Said::TooLarge, message("a")],
    );
}

/// R49: 64 MiB, and no limit if it is set to 0.
#[test]
fn has_a_limit_of_64_mib_unless_told_otherwise() {
    let limit = 64 << 20;
    let mut stream = vec![b'x'; limit + 9];
    stream[..6].copy_from_slice(b"data: ");
    stream[limit + 7..].copy_from_slice(b"\n\n");
    let size_of = |parser: &mut Parser, stream: &[u8]| {
        let mut size = None;
        let cuts = [1, stream.len() / 2];
        feed_pieces(parser, stream, &cuts, |item| match item {
            Item::Event(event) => size = Some(event.data.bytes().len()),
            item => assert_eq!(item, Item::TooLarge),
        });
        size
    };
    let mut parser = Parser::new();
    assert_eq!(size_of(&mut parser, &stream), None);
    assert_eq!(size_of(&mut parser, b"data: next\n\n"), Some(4));
    parser.set_max_event_size(0);
    assert_eq!(size_of(&mut parser, &stream), Some(limit + 1));
    parser.set_max_event_size(limit);
    stream.remove(6);
    assert_eq!(size_of(&mut parser, &stream), Some(limit));
}

// Fields

/// R50
#[test]
fn takes_the_last_event_type_of_a_block() {
    says("event: a\nevent: b\ndata\n\n", &[event("b", "", "")]);
    says(
        "data: x\nevent: a\ndata: y\nevent: b\ndata: z\n\n",
        &[event("b", "x\ny\nz", "")],
    );
    says("event: a\nevent:\ndata\n\n", &[message("")]);
    says("event: a\0b\u{E9}\ndata\n\n", &[event("a\0b\u{E9}", "", "")]);
}

/// R51
#[test]
fn joins_data_lines_with_lf() {
    says(
        "data: a\ndata: bc\ndata:def\ndata\ndata:  g\n\n",
        &[message("a\nbc\ndef\n\n g")],
    );
    says("data: a\0b\ndata: \0\n\n", &[message("a\0b\n\0")]);
    says(
        "data: a\nx: y\nid: 1\n:c\ndata: b\n\n",
        &[comment("c"), id("1"), event("message", "a\nb", "1")],
    );
}

/// R52
#[test]
fn ignores_an_id_with_a_nul() {
    says("id: 1\nid: a\0b\ndata\n\n", &[id("1"), event("message", "", "1")]);
    says("id: \0\nid:\0\nid: a\0\ndata\n\n", &[message("")]);
}

/// R52
#[test]
fn reads_retry_if_it_is_digits_only() {
    says("retry: 1500\n", &[Said::Retry(1500)]);
    says("retry:0\nretry: 007\n", &[Said::Retry(0), Said::Retry(7)]);
    for value in [
        "-1", "+1", " 1", "1 ", "1.5", "1e3", "0x10", "1a", "\u{661}", "1\0",
        "", " ", "\u{FF11}", "1_000", "\t1", ":1",
    ] {
        says(format!("retry: {value}\n\n"), &[]);
    }
}

/// R52
#[test]
fn saturates_retry() {
    says("retry: 18446744073709551615\n", &[Said::Retry(u64::MAX)]);
    says("retry: 18446744073709551616\n", &[Said::Retry(u64::MAX)]);
    says("retry: 99999999999999999999999999\n", &[Said::Retry(u64::MAX)]);
    says("retry: 00000000000000000000000001\n", &[Said::Retry(1)]);
}

/// R52
#[test]
fn reads_retry_the_moment_its_line_ends() {
    says(
        "data: a\nretry: 1\nid: x\nretry: 2\n\nretry: 3\n",
        &[
            Said::Retry(1),
            Said::Retry(2),
            id("x"),
            event("message", "a", "x"),
            Said::Retry(3),
        ],
    );
}

// Dispatch

/// R53
#[test]
fn sets_the_last_event_id_before_the_event_and_without_data() {
    says("id: 1\ndata\n\n", &[id("1"), event("message", "", "1")]);
    says("id: 1\n\ndata\n\n", &[id("1"), event("message", "", "1")]);
    says("id: 1\nid: 2\n\n", &[id("2")]);
    says("id: 1\n\nid: 1\n\nid: 2\n\n", &[id("1"), id("2")]);
    says("id: 1\n\nid:\n\n", &[id("1"), id("")]);
    says("id\n\nid: \n\n", &[]);
    says("id: 1\n", &[]);
    says("id: \u{E9} \u{1F980}\n\n", &[id("\u{E9} \u{1F980}")]);
}

/// R54
#[test]
fn forgets_the_event_type_of_a_block_without_data() {
    says("event: a\n\ndata: b\n\n", &[message("b")]);
    says(
        "event: ping\nid: 1\n\ndata\n\n",
        &[id("1"), event("message", "", "1")],
    );
}

/// R55
#[test]
fn removes_one_lf_from_the_end_of_the_data() {
    says("data\n\n", &[message("")]);
    says("data:\n\n", &[message("")]);
    says("data\ndata\n\n", &[message("\n")]);
    says("data: a\ndata\n\n", &[message("a\n")]);
    says("data\ndata: a\n\n", &[message("\na")]);
}

/// R56, R57: names are only names.
#[test]
fn names_an_event_message_unless_it_has_a_type() {
    for name in ["message", "open", "error", "update", "a:b", "\u{E9}"] {
        let stream = format!("event: {name}\ndata: a\n\ndata: b\n\n");
        says(stream, &[event(name, "a", ""), message("b")]);
    }
}

/// R58
#[test]
fn resets_data_and_type_after_an_event_but_not_the_id() {
    says(
        "id: 1\nevent: a\ndata: b\n\ndata: c\n\nevent: d\ndata\n\n",
        &[
            id("1"),
            event("a", "b", "1"),
            event("message", "c", "1"),
            event("d", "", "1"),
        ],
    );
}

/// R59
#[test]
fn keeps_the_last_event_id_over_connections() {
    let mut parser = parser(&WISHES);
    said_next(&mut parser, b"id: 1\n\nid: lost\ndata: lost\n", &[]);
    parser.reset();
    assert_eq!(parser.last_event_id().as_str(), "1");
    assert_eq!(
        said_next(&mut parser, b"data\n\nid: 1\ndata\n\n", &[]),
        [event("message", "", "1"), event("message", "", "1"),]
    );
    assert_eq!(
        said_next(&mut parser, b"id\ndata\n\n", &[]),
        [id(""), message(""),]
    );
    assert_eq!(parser.last_event_id().as_str(), "");
}

/// R59: where a program stores it.
#[test]
fn begins_with_the_last_event_id_it_was_given() {
    let wishes = Wishes { last_event_id: "old".into(), ..WISHES };
    says_if(
        &wishes,
        "data\n\nid: old\ndata\n\nid: new\n\n",
        &[event("message", "", "old"), event("message", "", "old"), id("new")],
    );
    says_if(&wishes, "id\n\n", &[id("")]);
}

/// R60
#[test]
fn discards_the_unfinished_block_at_the_end_of_the_stream() {
    for unfinished in [
        "data: lost\n",
        "data: lost",
        "da",
        "event: lost\n",
        "id: lost\n",
        "id: l",
        ":lo",
        "x",
        "data: lost\r",
        "data: lost\rdata: lost\r\n",
        "\u{FEFF}dat",
        "\u{FEFF}",
    ] {
        for cut in 0..unfinished.len() {
            let mut parser = parser(&WISHES);
            let said = said_next(&mut parser, unfinished.as_bytes(), &[cut]);
            assert_eq!(said, []);
            parser.reset();
            let next = b"\ndata: a\n\nta: b\n\n";
            assert_eq!(said_next(&mut parser, next, &[]), [message("a")]);
            assert_eq!(parser.last_event_id().as_str(), "");
        }
    }
}

/// R60: what is over the limit is dropped with its connection.
#[test]
fn discards_an_unfinished_block_over_the_limit() {
    let mut parser = parser(&Wishes { max_event_size: 2, ..WISHES });
    for unfinished in ["data: 123\n", "data: 123456789", ":123456789"] {
        assert_eq!(said_next(&mut parser, unfinished.as_bytes(), &[3]), []);
        parser.reset();
        assert_eq!(
            said_next(&mut parser, b"\ndata: a\n\n", &[]),
            [message("a")]
        );
    }
}

/// R31, R32: a program that has closed hears nothing more. What comes next is
/// a new connection.
#[test]
fn stops_at_once_when_dispatch_breaks() {
    let stream =
        ":c\nretry: 1\nid: 1\nevent: e\ndata: a\n\ndata: b\n\nid: 2\n\n";
    // What the items say; the third is an event that brings an id.
    let (a, b) = (event("e", "a", "1"), event("message", "b", "1"));
    let items = [
        vec![comment("c")],
        vec![Said::Retry(1)],
        vec![id("1"), a],
        vec![b],
        vec![id("2")],
    ];
    for cut in 0..stream.len() {
        for wanted in 0..items.len() {
            let mut parser = parser(&WISHES);
            let mut heard = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                let flow =
                    parser.feed(&mut piece.as_bytes().to_vec(), |item| {
                        if heard.len() == wanted {
                            return Break(());
                        }
                        heard.push(Said::all(item));
                        Continue(())
                    });
                if flow.is_break() {
                    break;
                }
            }
            assert_eq!(heard, items[..wanted]);
            // What broke off was not taken, nor was its id.
            let id = if wanted < 3 { "" } else { "1" };
            assert_eq!(
                said_next(&mut parser, b"data: n\n\n", &[]),
                [event("message", "n", id)]
            );
        }
    }
}

/// R31, R53: an id that was taken counts, whatever breaks off behind it.
#[test]
fn keeps_the_id_of_a_block_over_the_limit_that_breaks_off() {
    let wishes = Wishes { max_event_size: 1, ..WISHES };
    let mut parser = parser(&wishes);
    let flow =
        parser.feed(&mut b"id: 1\ndata: ab\n\n".to_vec(), |item| match item {
            Item::TooLarge => Break(()),
            _ => Continue(()),
        });
    assert!(flow.is_break());
    assert_eq!(parser.last_event_id().as_str(), "1");
}

/// The parser may be made on one thread and fed on another.
#[test]
fn is_send() {
    fn assert_send<T: Send>(_: T) {}
    assert_send(Parser::new());
}

/// R60: whether what `stream` ends with is an event that has not ended, in one
/// piece and byte by byte.
fn is_inside_event(stream: &str, comments: bool) -> bool {
    let inside = [1, usize::MAX].map(|size| {
        let mut parser = Parser::new();
        parser.set_comments(comments);
        for piece in stream.as_bytes().chunks(size) {
            assert!(
                parser
                    .feed(&mut piece.to_vec(), |_| Continue(()))
                    .is_continue()
            );
        }
        let inside = parser.is_inside_event();
        parser.reset();
        assert!(!parser.is_inside_event(), "{stream:?}");
        inside
    });
    assert_eq!(inside[0], inside[1], "{stream:?}");
    inside[0]
}

#[test]
fn tells_whether_an_event_has_begun_and_not_ended_r60() {
    for comments in [false, true] {
        for stream in [
            "d",
            "data",
            "data:",
            "data: x",
            "data: x\n",
            "data: x\r",
            "data\n",
            "id: 1",
            "id: 1\n",
            "event: x\n",
            "event",
            "retry: 1",
            "x",
            "{}",
            "{}\n",
            "datax: y\n",
            "data: x\n: c",
            "data: x\n: c\n",
            "{\n: c\n",
            "data: x\n\ny",
            "data: x\n\ndata: y\n",
            "\n\n\n ",
            "\u{FEFF}x",
            "data: x\n\n\u{FEFF}\n",
        ] {
            assert!(is_inside_event(stream, comments), "{stream:?}");
        }
        for stream in [
            "",
            "\u{FEFF}",
            "\n",
            ":",
            ": c",
            ":c\n",
            ": c\r",
            "retry: 1\n",
            "retry: x\n",
            "data: x\n\n",
            "data: x\r\r",
            "data: x\r\n\r\n",
            "{}\n\n",
            "{}\n: c\n\n: d",
            "id: 1\n\n",
            "event: x\n\n: c",
            "x\ndata: y\n\n",
            "data: x\n\nretry: 1\n",
        ] {
            assert!(!is_inside_event(stream, comments), "{stream:?}");
        }
    }
    // Also one that is too large.
    let mut parser = Parser::new();
    parser.set_max_event_size(3);
    _ = parser.feed(&mut b"data: long\n".to_vec(), |_| Continue(()));
    assert!(parser.is_inside_event());
}
