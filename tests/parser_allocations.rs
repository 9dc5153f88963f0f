//! What the parser costs in memory: nothing per event once it is warm, and no
//! more than is needed at any time.

#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow::Continue;

use eventsource::parser::{Item, Parser};

/// What this thread, which runs one test, has asked for.
#[derive(Clone, Copy, Default)]
struct Count {
    calls: usize,
    live: isize,
    peak: isize,
}

thread_local! {
    static COUNT: Cell<Count> =
        const { Cell::new(Count { calls: 0, live: 0, peak: 0 }) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn note(calls: usize, bytes: isize) {
    let mut count = COUNT.get();
    count.calls += calls;
    count.live += bytes;
    count.peak = count.peak.max(count.live);
    COUNT.set(count);
}

fn signed(size: usize) -> isize {
    isize::try_from(size).expect("no object is larger")
}

// SAFETY: everything is the system allocator's doing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, signed(layout.size()));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        note(0, -signed(layout.size()));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(
        &self,
        memory: *mut u8,
        layout: Layout,
        size: usize,
    ) -> *mut u8 {
        note(1, signed(size) - signed(layout.size()));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// What `work` asks for beyond what there was before.
fn count(work: impl FnOnce()) -> Count {
    let before = COUNT.get();
    COUNT.set(Count { peak: before.live, ..before });
    work();
    let after = COUNT.get();
    Count {
        calls: after.calls - before.calls,
        live: after.live - before.live,
        peak: after.peak - before.live,
    }
}

/// Feeds `stream` in pieces, in a buffer that is there already, and tells how
/// many bytes of data came.
fn feed(
    parser: &mut Parser,
    stream: &[u8],
    size: usize,
    buffer: &mut [u8],
) -> usize {
    let mut data = 0;
    for piece in stream.chunks(size) {
        let buffer = &mut buffer[..piece.len()];
        buffer.copy_from_slice(piece);
        let _ = parser.feed(buffer, |item| {
            if let Item::Event(event) = item {
                data += event.data.bytes().len();
            }
            Continue(())
        });
    }
    data
}

/// Every kind of line, some events larger than others.
fn events() -> String {
    let mut stream = String::new();
    for number in 0..200 {
        let long = "é0123456789".repeat(number % 100);
        stream += &format!(
            ": ping\r\nevent: type {number}\ndata: {long}\nid: {number}\n\
             x: y\rretry: {number}\ndata\ndata: {long}\n\ndata: {number}\r\r"
        );
    }
    stream
}

#[test]
fn allocates_nothing_per_event_once_warm() {
    let stream = events();
    let mut buffer = vec![0; stream.len()];
    for size in [1, 2, 100, 1460, 16 << 10, stream.len()] {
        let mut parser = Parser::new();
        parser.set_comments(true);
        let mut feed =
            || feed(&mut parser, stream.as_bytes(), size, &mut buffer);
        // Two vectors take turns, and both have to become warm.
        let data = feed();
        feed();
        feed();
        assert_eq!(count(|| assert_eq!(feed(), data)).calls, 0, "{size}");
    }
}

#[test]
fn allocates_nothing_at_all_for_whole_events_without_type_and_id() {
    let stream = "data: a\r\ndata: b\n\n: ping\n\nretry: 1\nx: y\r\r".repeat(9);
    let mut buffer = stream.clone().into_bytes();
    let counted = count(|| {
        let mut parser = Parser::new();
        parser.set_comments(true);
        let size = stream.len();
        assert_eq!(feed(&mut parser, stream.as_bytes(), size, &mut buffer), 27);
    });
    assert_eq!(counted.calls, 0);
}

#[test]
fn gives_back_the_storage_of_an_outsized_event() {
    let x = "x".repeat(1 << 20);
    let mut buffer = vec![0; 4 << 20];
    for stream in [
        format!("data: {x}\n\n"),
        format!("data: a\ndata: {x}\n\n"),
        format!("data: {x}\ndata: {x}\nevent: {x}\n\n"),
        format!("event: {x}\ndata\n\n"),
        format!("id: {x}\n\nid: {x}y\n\nid: y\n\n"),
        format!("id: {x}\nid:\ndata\n\n"),
        format!(":{x}\n\n"),
        format!("data: {x}"),
        format!("data: {x}\n"),
        format!("event: {x}\n"),
        format!(":{x}"),
    ] {
        for size in [1000, 1 << 16, stream.len()] {
            let mut parser = Parser::new();
            parser.set_comments(true);
            let counted = count(|| {
                feed(&mut parser, stream.as_bytes(), size, &mut buffer);
                parser.reset();
            });
            let shown = &stream[..12];
            assert!(counted.live <= 16 << 10, "{shown}: {}", counted.live);
            if !stream.ends_with("\n\n") {
                continue;
            }
            // An event later, also without a new connection.
            let counted = count(|| {
                feed(&mut parser, stream.as_bytes(), size, &mut buffer);
                feed(&mut parser, b"id: z\ndata\n\n", 16, &mut buffer);
            });
            assert!(counted.live <= 16 << 10, "{shown}: {}", counted.live);
        }
    }
}

#[test]
fn copies_an_unfinished_line_once() {
    let stream = format!("data: {}\n\n", "x".repeat((1 << 20) - 20));
    let mut buffer = vec![0; stream.len()];
    for size in [1460, 1 << 16, 1 << 19] {
        let mut parser = Parser::new();
        let counted = count(|| {
            feed(&mut parser, stream.as_bytes(), size, &mut buffer);
        });
        // Growing, the vector may be twice as large as the line; with a copy
        // there would be a third megabyte.
        assert!(counted.peak <= (2 << 20) + 4096, "{}", counted.peak);
    }
}

/// Storage grows by doubling. That the test ends at all shows that nothing is
/// looked at twice.
#[test]
fn reads_a_line_without_end_at_linear_cost() {
    let line = |size| {
        let mut line = vec![b'x'; size];
        line[..6].copy_from_slice(b"data: ");
        line[size - 2..].fill(b'\n');
        line
    };
    for (stream, size) in [
        (line(14_000_000), 64 << 10),
        (line(14_000_000), 1460),
        (line(2_000_000), 1),
        ("data: 1\n".repeat(250_000).into_bytes(), 1),
        ("data: 1\n".repeat(1_000_000).into_bytes(), 1460),
        ("data: \u{e9}\r\n".repeat(1_000_000).into_bytes(), 64 << 10),
    ] {
        let mut buffer = vec![0; size];
        let mut parser = Parser::new();
        let counted = count(|| {
            feed(&mut parser, &stream, size, &mut buffer);
            let data = feed(&mut parser, b"\n\n", size, &mut buffer);
            assert!(data == 0 || stream.ends_with(b"\n"));
        });
        assert!(counted.calls < 60, "{} allocations", counted.calls);
    }
}

/// R45, R48: neither comments that nobody wants nor unknown fields.
#[test]
fn does_not_buffer_a_line_that_cannot_matter() {
    for begin in [":", "x", "datax:", "data ", "\u{FEFF}ev:", "da\0"] {
        let stream = [begin, &"x".repeat(1 << 20), "\n"].concat();
        let mut buffer = vec![0; 1 << 16];
        for size in [1, 1460, 1 << 16] {
            let mut parser = Parser::new();
            let counted = count(|| {
                feed(&mut parser, stream.as_bytes(), size, &mut buffer);
            });
            assert!(counted.peak <= 8, "{begin}: {}", counted.peak);
        }
    }
}

/// R49
#[test]
fn does_not_buffer_a_line_beyond_the_limit() {
    for begin in ["data: ", ": ", "event:", "id:"] {
        let stream = begin.to_owned() + &"x".repeat(1 << 20);
        let mut buffer = vec![0; 1 << 16];
        for size in [1, 1460, 1 << 16] {
            let mut parser = Parser::new();
            parser.set_comments(true);
            parser.set_max_event_size(1000);
            let counted = count(|| {
                feed(&mut parser, stream.as_bytes(), size, &mut buffer);
            });
            assert!(counted.peak <= 2048, "{begin}: {}", counted.peak);
        }
    }
}
