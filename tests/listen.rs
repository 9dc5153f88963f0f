//! examples/listen, the same program in each language.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use support::program::{Program, compile, path};
use support::streams::{
    HEAD, directly, last_event_id, serve, under_valgrind, wait_for_the_end_of,
};

/// Compiled, once.
static PROGRAMS: LazyLock<[PathBuf; 2]> = LazyLock::new(|| {
    ["listen.c", "listen.cpp"].map(|it| compile(&path("examples").join(it)))
});

#[test]
fn follows_a_stream_through_a_lost_connection() {
    for program in &*PROGRAMS {
        follow_through_a_lost_connection(directly(program));
    }
}

#[test]
fn leaks_nothing() {
    for program in &*PROGRAMS {
        follow_through_a_lost_connection(under_valgrind(program));
    }
}

fn follow_through_a_lost_connection(mut listen: Command) {
    let url = serve(|number, request, mut stream| {
        let id = last_event_id(request);
        match number {
            0 => stream.write_all(
                format!(
                    "{HEAD}retry: 10\n\nid: 1\ndata: asked for {id}\n\n\
                     id: 2\nevent: ping\ndata: lost wi"
                )
                .as_bytes(),
            ),
            _ => {
                let block = format!(
                    "id: 2\nevent: ping\ndata: asked for {id}\n\
                     data: and more\n\n"
                );
                stream.write_all(format!("{HEAD}{block}").as_bytes())?;
                wait_for_the_end_of(stream)
            }
        }
    });
    listen.arg(&url);
    let mut listen = Program::start(listen);
    listen.wait_for("       and more");
    listen.signal("INT");

    let mut ended = listen.end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let lost = ended.lines.remove(2);
    assert!(lost.starts_with("lost   "), "{lost}");
    assert!(lost.ends_with(" ms"), "{lost}");
    assert_eq!(
        ended.lines,
        [
            format!("open   200 {url}"),
            "event  message [1] asked for none".to_owned(),
            format!("open   200 {url}"),
            "event  ping [2] asked for 1".to_owned(),
            "       and more".to_owned(),
            "close  told to end".to_owned(),
        ]
    );
}

#[test]
fn ends_on_sigterm_while_nothing_comes() {
    let url = serve(|_, _, mut stream| {
        stream.write_all(HEAD.as_bytes())?;
        wait_for_the_end_of(stream)
    });
    for mut listen in start(&[&url]) {
        listen.wait_for("open ");
        listen.signal("TERM");
        assert_eq!(listen.end().status, Some(0));
    }
}

#[test]
fn begins_after_the_id_it_is_given_and_shows_comments() {
    let url = serve(|_, request, mut stream| {
        let id = last_event_id(request);
        let body = format!(": a comment\ndata: asked for {id}\n\n");
        stream.write_all(format!("{HEAD}{body}").as_bytes())?;
        wait_for_the_end_of(stream)
    });
    for mut listen in start(&["-v", &url, "41"]) {
        listen.wait_for("comment a comment");
        listen.wait_for("event  message [41] asked for 41");
        listen.signal("INT");
        let ended = listen.end();
        assert_eq!(ended.status, Some(0));
        assert!(!ended.stderr.is_empty(), "-v logs to standard error");
    }
}

#[test]
fn ends_with_1_when_the_source_gives_up() {
    let url = serve(|_, _, mut stream| {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    });
    for mut listen in start(&[&url]) {
        let ended = listen.end();
        assert_eq!(ended.status, Some(1), "{ended:?}");
        let [error, close] = &ended.lines[..] else { panic!("{ended:?}") };
        assert!(error.starts_with("error  ") && error.contains("404"));
        assert!(close.starts_with("close  "), "{close}");
    }
}

#[test]
fn ends_with_2_when_it_cannot_begin() {
    for arguments in [
        &[] as &[&str],
        &["-x", "http://127.0.0.1/"],
        &["http://127.0.0.1/", "1", "2"],
        &["127.0.0.1"],
        &["ftp://127.0.0.1/"],
        &["http://127.0.0.1/", "an id\nof two lines"],
    ] {
        for mut listen in start(arguments) {
            let ended = listen.end();
            assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
            assert!(ended.lines.is_empty(), "{arguments:?}: {ended:?}");
            assert!(!ended.stderr.is_empty(), "{arguments:?} goes unexplained");
        }
    }
}

fn start(arguments: &[&str]) -> [Program; 2] {
    PROGRAMS.each_ref().map(|program| {
        let mut command = directly(program);
        command.args(arguments);
        Program::start(command)
    })
}
