//! Many streams on one thread, in the loops that programs have.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::program::{Ended, Program, compile, compile_with, path, succeed};
use support::streams::{
    HEAD, directly, last_event_id, no_content, serve, under_valgrind,
    wait_for_the_end_of,
};
use support::until;

#[test]
fn a_loop_of_the_library_follows_three_streams() {
    let program = compile(&path("examples/loop.c"));
    follow_three_streams(directly, &program);
    follow_three_streams(under_valgrind, &program);
}

#[test]
fn a_loop_of_epoll_follows_three_streams() {
    follow_three_streams(directly, &compile(&path("examples/epoll.c")));
}

#[test]
fn a_loop_of_glib_follows_three_streams() {
    follow_three_streams(directly, &with("glib.c", "glib-2.0"));
}

#[test]
fn a_loop_of_libuv_follows_three_streams() {
    follow_three_streams(directly, &with("libuv.c", "libuv"));
}

#[test]
fn a_loop_of_asio_follows_three_streams() {
    follow_three_streams(directly, &compile(&path("examples/asio.cpp")));
}

#[test]
fn a_loop_of_qt_follows_three_streams() {
    follow_three_streams(directly, &with("qt.cpp", "Qt5Core"));
}

#[test]
fn a_thread_follows_three_streams_by_their_queues() {
    follow_three_streams(directly, &compile(&path("examples/queue.c")));
}

/// An example of `examples` that needs a package of pkg-config's.
fn with(example: &str, package: &str) -> PathBuf {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args(["--cflags", "--libs", package]);
    let flags = String::from_utf8(succeed(pkg_config).stdout);
    let flags = flags.expect("flags are text");
    // Qt wants its programs so.
    let flags = flags.split_whitespace().chain(["-fPIC"]);
    let flags: Vec<_> = flags.collect();
    compile_with(&path("examples").join(example), &flags)
}

#[test]
fn a_loop_of_the_library_follows_a_thousand_streams_on_one_thread() {
    let url = serve(|_, _, mut stream| {
        stream.write_all(format!("{HEAD}data: x\n\n").as_bytes())?;
        wait_for_the_end_of(stream)
    });
    let mut command = directly(&compile(&path("examples/loop.c")));
    command.args([&*url; 1000]);
    let mut program = Program::start(command);
    let event = format!("{url} message x");
    for _ in 0..1000 {
        program.wait_until(|line| line == event);
    }
    let tasks = format!("/proc/{}/task", program.id());
    // Those that have connected go when they have nothing to do.
    until("one thread", || {
        fs::read_dir(&tasks).expect("a process").count() == 1
    });
    program.signal("TERM");
    let ended = program.end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let closes = ended.lines.iter().filter(|it| it.contains(" close "));
    assert_eq!(closes.count(), 1000);
}

/// Each stream is lost once and resumed; then the program is told to end, or
/// the servers want no more.
fn follow_three_streams(run: fn(&Path) -> Command, program: &Path) {
    let urls = || {
        [(); 3].map(|()| {
            serve(|number, request, mut stream| {
                let id = last_event_id(request);
                let body = match number {
                    0 => "retry: 1\nid: 1\ndata: one\n\n".to_owned(),
                    1 => format!("event: ping\ndata: after {id}\n\n"),
                    _ => return no_content(stream),
                };
                stream.write_all(format!("{HEAD}{body}").as_bytes())?;
                match number {
                    1 if request.contains("/stay") => {
                        wait_for_the_end_of(stream)
                    }
                    _ => Ok(()),
                }
            })
        })
    };
    let started = |urls: &[String; 3]| {
        let mut command = run(program);
        command.args(urls);
        Program::start(command)
    };
    let lines = |ended: &Ended, url: &str| -> Vec<String> {
        let lines = ended.lines.iter().filter_map(|it| it.strip_prefix(url));
        lines.map(|line| line.trim_start().to_owned()).collect()
    };

    let staying = urls().map(|url| format!("{url}stay"));
    let mut program_staying = started(&staying);
    for _ in &staying {
        program_staying.wait_until(|line| line.ends_with(" ping after 1"));
    }
    program_staying.signal("INT");
    let ended = program_staying.end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for url in &staying {
        let lines = lines(&ended, url);
        assert_eq!(lines.len(), 6, "{lines:?}");
        assert_eq!(lines[..2], ["open 200", "message one"]);
        assert!(lines[2].starts_with("error "), "{lines:?}");
        assert_eq!(lines[3..], ["open 200", "ping after 1", "close no error"]);
    }

    let leaving = urls();
    let ended = started(&leaving).end();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    for url in &leaving {
        let lines = lines(&ended, url);
        let [.., error, close] = &lines[..] else { panic!("{lines:?}") };
        assert!(error.contains("204"), "{lines:?}");
        assert_eq!(close, "close unexpected status");
    }
    let nowhere = started(&["nowhere", "a", "b"].map(str::to_owned)).end();
    assert_eq!(nowhere.status, Some(2));
    assert!(!nowhere.stderr.is_empty());
}
