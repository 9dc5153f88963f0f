//! The library as a guest in a C program: what its threads leave alone, and
//! what they give to the callbacks that run on them.

use std::io::Write;
use std::process::Command;

use support::program::{Ended, Program, compile, path};
use support::streams::{HEAD, directly, serve, wait_for_the_end_of};

/// A case of tests/c/guest.c: one event, and a connection that stays.
fn guest(case: &str) -> Command {
    let url = serve(|_, _, mut stream| {
        stream.write_all(format!("{HEAD}data: x\n\n").as_bytes())?;
        wait_for_the_end_of(stream)
    });
    let mut command = directly(&compile(&path("tests/c/guest.c")));
    command.args([case, &url]);
    command
}

fn ends_well(command: Command) {
    let ended: Ended = Program::start(command).end();
    assert_eq!(ended.status, Some(0), "{ended:#?}");
    assert_eq!(ended.lines.last().map(String::as_str), Some("well"));
    assert_eq!(ended.stderr, "");
}

/// Signals: a program that waits for a signal on one thread gets it there; no
/// signal ends the program, or runs its handler, on a thread of the library.
#[test]
fn signals_go_to_the_programs_threads() {
    ends_well(guest("signals"));
}
