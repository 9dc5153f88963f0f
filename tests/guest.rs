//! The library as a guest in a C program: what its threads leave alone, and
//! what they give to the callbacks that run on them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use support::certificates;
use support::program::{Ended, Program, build, compile, path};
use support::streams::{HEAD, directly, flood, serve, wait_for_the_end_of};

/// A case of tests/c/guest.c: one event, and a connection that stays.
fn guest(case: &str) -> Command {
    let url = serve(|_, _, mut stream| {
        stream.write_all(format!("{HEAD}data: x\n\n").as_bytes())?;
        wait_for_the_end_of(stream)
    });
    let mut command = directly(&compile_guest("guest", &[]));
    command.args([case, &url]);
    command
}

fn compile_guest(name: &str, flags: &[&str]) -> PathBuf {
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-g"]).args(flags);
    build(compiler, &[path("tests/c/guest.c").as_ref()], name)
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

/// Stack: a callback has what any thread of the program has, and the program's
/// static thread-local data are not taken out of it.
#[test]
fn callbacks_have_the_stack_of_any_thread() {
    ends_well(guest("stack"));
    ends_well(with_static_tls("stack"));
}

/// Stack: the limit that the program was started with decides.
#[test]
fn the_stack_follows_the_limit() {
    for kib in ["1024", "16384"] {
        let guest = guest("stack");
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -S -s $0 && exec \"$@\"", kib]);
        limited.arg(guest.get_program()).args(guest.get_args());
        ends_well(limited);
    }
}

/// Stack: the program may ask for less, and gets what it has asked for,
/// whatever its static thread-local data take; also for look-ups of names.
#[test]
fn callbacks_have_the_stack_that_was_set() {
    ends_well(guest("small-stack"));
    ends_well(with_static_tls("small-stack"));
}

/// Closing: a signal handler may close the source, whatever it has
/// interrupted, in callback mode and in pull mode; and no memory is managed in
/// there.
#[test]
fn a_signal_handler_may_close_a_source() {
    ends_well(flooded("guest", &[]));
    ends_well(flooded("guest-watch-malloc", &["-DWATCH_MALLOC"]));
}

/// Sources that are closed in handlers, while events come without end.
fn flooded(name: &str, flags: &[&str]) -> Command {
    let mut command = directly(&compile_guest(name, flags));
    command.args(["close-in-handler", &serve(|_, _, stream| flood(stream))]);
    command
}

/// Fork: in a child the parent's source does nothing, whichever thread made
/// the child; and no descriptor that is readable for nothing keeps
/// `eventsource_next` past its time.
#[test]
fn a_child_does_nothing_to_its_parents_source() {
    ends_well(guest("fork-in-pull-mode"));
    ends_well(guest("fork-in-callbacks"));
}

/// Memory: a program that waits for a source and frees it is clean under
/// valgrind, in callback mode and in pull mode; and what stays is little: no
/// receive buffer, no batch of items.
#[test]
fn valgrind_finds_nothing() {
    for case in ["event", "many-items"] {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--leak-check=full", "--error-exitcode=9"]);
        valgrind.arg("--errors-for-leak-kinds=definite,indirect,possible");
        valgrind.arg(compile_guest("guest", &[])).arg(case);
        valgrind.arg(serve(|_, _, stream| flood(stream)));
        let ended = Program::start(valgrind).end();
        assert_eq!(ended.status, Some(0), "{ended:#?}");
        let (_, bytes) = ended.stderr.split_once("still reachable: ").unwrap();
        let (bytes, _) = bytes.split_once(" bytes").unwrap();
        let bytes: usize = bytes.replace(',', "").parse().unwrap();
        assert!(bytes < 16 * 1024, "{case}: {}", ended.stderr);
    }
}

/// Memory: with the suppressions that are installed, so is one that follows an
/// https URL and trusts the system's store.
#[test]
fn valgrind_finds_nothing_in_tls_that_is_not_told() {
    let config = certificates::trusted("127.0.0.1");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client");
        let tls = rustls::ServerConnection::new(config).expect("TLS");
        let mut stream = rustls::StreamOwned::new(tls, client);
        let read = stream.read(&mut [0; 4096]);
        assert!(read.expect("a request") > 0);
        let event = format!("{HEAD}data: x\n\n");
        stream.write_all(event.as_bytes()).expect("a client that reads");
        // Until the client leaves.
        _ = stream.read(&mut [0; 4096]);
    });
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--leak-check=full", "--error-exitcode=9"]);
    valgrind.arg("--errors-for-leak-kinds=definite,indirect,possible");
    let suppressions = path("packaging/valgrind.supp");
    valgrind.arg(format!("--suppressions={}", suppressions.display()));
    valgrind.arg(compile_guest("guest", &[])).arg("event");
    valgrind.arg(format!("https://{address}/"));
    let ended = Program::start(valgrind).end();
    assert_eq!(ended.status, Some(0), "{ended:#?}");
    assert_eq!(ended.stderr, "");
}

/// The same program with more static thread-local data than a small stack has
/// room for.
fn with_static_tls(case: &str) -> Command {
    let flags = ["-DSTATIC_TLS=300*1024"];
    let program = compile_guest("guest-static-tls", &flags);
    let guest = guest(case);
    let mut command = directly(&program);
    command.args(guest.get_args());
    command
}

/// Stack: the C++ library's regular expressions call themselves for each
/// character.
#[test]
fn a_handler_may_match_a_regular_expression() {
    let url = serve(|_, _, mut stream| {
        let text = "x".repeat(498);
        stream.write_all(format!("{HEAD}data: {{{text}}}\n\n").as_bytes())?;
        wait_for_the_end_of(stream)
    });
    let mut command = directly(&compile(&path("tests/cpp/regex.cpp")));
    command.arg(url);
    ends_well(command);
}
