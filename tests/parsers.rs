//! The parser alone in C++ and in Go: what the parser's own tests and the
//! corpora say is what these hear. The C API's is tested beside the parser.

use std::env;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;

use support::corpora::{self, SHAPES};
use support::program::{compile, go, path, scratch, succeed};
use support::reference::Wishes;
use support::vectors::{NOTES, Vector, noted};

/// The parser's tests. Here they test nothing, and note their vectors down.
#[allow(dead_code, reason = "what only tests of the parser need")]
#[path = "parser.rs"]
mod parser;

/// All streams, and what they say.
static VECTORS: LazyLock<Vec<Vector>> = LazyLock::new(|| {
    let file = scratch("vectors");
    _ = fs::remove_file(&file);
    let mut tests = Command::new(env::current_exe().expect("a program"));
    tests.arg("parser::").env(NOTES, &file);
    succeed(tests);
    let noted_down = fs::read_to_string(file).expect("vectors");
    let mut vectors = noted(&noted_down);
    assert!(vectors.len() > 500, "so few? {}", vectors.len());
    let wishes = Wishes {
        comments: true,
        max_event_size: 0,
        last_event_id: String::new(),
    };
    for (_, shape) in SHAPES {
        for end in ["\n", "\r\n", "\r"] {
            let server = corpora::build(shape, 44, end);
            let (stream, said) = (&server.stream, &server.said);
            vectors.push(Vector::new(&wishes, stream, 1460, said));
        }
    }
    vectors
});

#[test]
fn the_parser_of_cpp_hears_what_streams_say() {
    let program = compile(&path("tests/parsers/parser.cpp"));
    // A time of C++ has a sign.
    let longest = i64::MAX.to_string();
    let answer = |vector: &Vector| {
        vector.answer.replace(&u64::MAX.to_string(), &longest)
    };
    hears(Command::new(program), answer);
}

#[test]
fn the_reader_of_go_hears_what_streams_say() {
    fs::create_dir_all(scratch("go")).expect("scratch space");
    let program = scratch("go/parser").to_str().expect("UTF-8").to_owned();
    let source = "../../tests/parsers/parser.go";
    succeed(go(&["build", "-o", &program, source]));
    hears(Command::new(program), |vector| in_go(&vector.answer));
}

/// What the program in Go prints: it is not told of reconnection times one by
/// one, and sees the last at the end.
fn in_go(answer: &str) -> String {
    const LONGEST: u64 = i64::MAX as u64 / 1_000_000;
    let is_retry = |line: &&str| line.starts_with("retry ");
    let (retries, mut lines): (Vec<_>, Vec<_>) =
        answer.lines().partition(is_retry);
    let retry = retries.last().map(|line| {
        let time = line.strip_prefix("retry ").expect("a time");
        let time: u64 = time.parse().expect("milliseconds");
        format!("retry {}", time.min(LONGEST))
    });
    if let Some(retry) = &retry {
        lines.insert(lines.len() - 1, retry);
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Gives all vectors to a program, which prints what is expected.
fn hears(mut program: Command, answer: impl Fn(&Vector) -> String) {
    program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = program.spawn().expect("the program");
    let mut stdin = child.stdin.take().expect("piped");
    let writing = thread::spawn(move || {
        for vector in &*VECTORS {
            stdin.write_all(vector.line.as_bytes()).expect("it reads");
        }
    });
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", output.status);
    writing.join().expect("all was read");
    let output = String::from_utf8(output.stdout).expect("ASCII");
    let mut rest = &*output;
    for vector in &*VECTORS {
        let expected = answer(vector);
        let Some(next) = rest.strip_prefix(&*expected) else {
            let shown: String = vector.line.chars().take(500).collect();
            let heard: String = rest.chars().take(500).collect();
            panic!("{shown}\nsays\n{expected}\nbut was heard as\n{heard}");
        };
        rest = next;
    }
    assert_eq!(rest, "", "nothing more");
}
