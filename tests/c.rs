//! C programs as consumers of the library: that the header is good C and
//! C++, that the shared object is what programs link with, that a program
//! follows a stream, and that no misuse crashes one or leaks.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use support::program::{
    Ended, Program, SANITIZED, SONAME, WARNINGS, build, compile, library, path,
    scratch, succeed,
};
use support::streams::{
    HEAD, directly, flood, in_the_readme, lose, no_content, serve,
    under_valgrind, wait_for_the_end_of,
};

// The header and the shared object

#[test]
fn the_header_is_clean_c() {
    for compiler in ["gcc", "clang"] {
        for std in ["c99", "c11", "c17"] {
            make_two_units(compiler, "c", std);
        }
    }
}

#[test]
fn the_header_is_clean_cpp() {
    for compiler in ["g++", "clang++"] {
        make_two_units(compiler, "c++", "c++17");
    }
}

/// Makes a program of two units that include the header twice each.
fn make_two_units(compiler: &str, language: &str, std: &str) {
    let mut command = Command::new(compiler);
    command.arg(format!("-std={std}")).args(WARNINGS);
    command.arg("-I").arg(path("include")).args(["-x", language]);
    command.args([path("tests/c/header.c"), path("tests/c/header_too.c")]);
    command.arg("-o").arg(scratch(&format!("header-{compiler}-{std}")));
    succeed(command);
}

#[test]
fn the_program_in_the_header_is_clean_c99() {
    let header = fs::read_to_string(path("include/eventsource.h"));
    let header = header.expect("a header");
    let program: String = header
        .lines()
        .filter_map(|line| line.strip_prefix("//     "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(program.contains("int main"), "{program}");
    let source = scratch("header.c");
    fs::write(&source, program).expect("scratch space");
    let mut cc = Command::new("cc");
    cc.arg("-std=c99").args(WARNINGS).arg("-fsyntax-only");
    cc.arg("-I").arg(path("include")).arg(source);
    succeed(cc);
}

#[test]
fn the_shared_object_exports_what_the_header_declares_and_nothing_else() {
    let mut nm = Command::new("nm");
    nm.args(["-D", "--defined-only", "--format=just-symbols"]).arg(library());
    let symbols = succeed(nm).stdout;
    let symbols = String::from_utf8(symbols).expect("symbols are ASCII");
    let exported: BTreeSet<&str> = symbols.lines().collect();

    // The preprocessor knows what is a comment.
    let mut cc = Command::new("cc");
    cc.args(["-E", "-P"]).arg(path("include/eventsource.h"));
    let code = String::from_utf8(succeed(cc).stdout).expect("a C header");
    assert_eq!(exported, functions_in(&code));
    assert!(!exported.is_empty());
}

/// The names that are followed by a parenthesis.
fn functions_in(code: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.split('(')
        .filter_map(|before| before.rsplit(|c| !is_name(c)).next())
        .filter(|name| name.starts_with("eventsource_"))
        .collect()
}

#[test]
fn the_shared_object_has_a_soname_and_stays_when_closed() {
    let mut readelf = Command::new("readelf");
    readelf.args(["--dynamic", "--wide"]).arg(library());
    let dynamic = succeed(readelf).stdout;
    let dynamic = String::from_utf8_lossy(&dynamic);
    let soname = format!("Library soname: [{SONAME}]");
    assert!(dynamic.contains(&soname), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

// The readme

#[test]
fn the_program_in_the_readme_prints_events_until_the_server_says_no_more() {
    let source = scratch("readme.c");
    fs::write(&source, in_the_readme("c")).expect("scratch space");

    let url = serve(|number, _, mut stream| match number {
        0 => {
            let body = "retry: 10\ndata: one\n\nevent: ping\ndata: two\n\n";
            stream.write_all(format!("{HEAD}{body}").as_bytes())
        }
        _ => no_content(stream),
    });
    let mut program = directly(&compile(&source));
    program.arg(url);
    let ended = Program::start(program).end();
    assert_eq!(ended.lines, ["message: one", "ping: two"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

// Misuse

#[test]
fn no_misuse_crashes_a_program() {
    let ended = misuse(directly(&compile_misuse()), "10000");
    assert_eq!(ended.status, Some(0), "{ended:#?}");
}

#[test]
fn no_misuse_touches_or_leaks_memory() {
    let ended = misuse(under_valgrind(&compile_misuse()), "200");
    assert_eq!(ended.status, Some(0), "{ended:#?}");
}

fn compile_misuse() -> PathBuf {
    compile(&path("tests/c/misuse.c"))
}

/// The library is as it is; its reads and writes by way of libc are watched.
#[test]
fn no_misuse_is_undefined() {
    let mut gcc = Command::new("gcc");
    gcc.args(SANITIZED).arg("-std=c11");
    let source = path("tests/c/misuse.c");
    let program = build(gcc, &[source.as_ref()], "misuse-sanitized");
    let ended = misuse(directly(&program), "2000");
    assert_eq!(ended.status, Some(0), "{ended:#?}");
    assert_eq!(ended.stderr, "");
}

fn misuse(mut misuse: Command, count: &str) -> Ended {
    let url = serve(|_, request, stream| {
        match request.split(' ').nth(1).unwrap_or_default() {
            "/flood" => flood(stream),
            "/lost" => lose(stream),
            "/silent" => {
                (&stream).write_all(HEAD.as_bytes())?;
                wait_for_the_end_of(stream)
            }
            _ => (&stream).write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            ),
        }
    });
    misuse.args([url.trim_end_matches('/'), count]);
    let ended = Program::start(misuse).end();
    let last = ended.lines.last().map(String::as_str);
    assert_eq!(last, Some("all misuse survived"), "{ended:#?}");
    ended
}

// Everything at once

/// Threads: many of them make, use and free sources, with threads and on loops.
/// `make tsan` watches the same for longer.
#[test]
fn everything_at_once() {
    let stress = compile(&path("tests/c/stress.c"));
    let mut valgrind = under_valgrind(&stress);
    // Otherwise one thread has the whole time.
    valgrind.env("VALGRIND_OPTS", "--fair-sched=yes");
    for mut command in [directly(&stress), valgrind] {
        command.arg("3");
        let ended = Program::start(command).end();
        assert_eq!(ended.status, Some(0), "{ended:#?}");
        let last = ended.lines.last().map(String::as_str);
        assert_eq!(last, Some("well"), "{ended:#?}");
    }
}
