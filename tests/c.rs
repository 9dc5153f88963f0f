//! C programs as consumers of the library: that the header is good C and
//! C++, that the shared object is what programs link with, that a program
//! follows a stream, and that no misuse crashes one or leaks.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::certificates;
use support::program::{
    Ended, Program, SANITIZED, SONAME, WARNINGS, build, compile, compile_with,
    library, path, scratch, succeed,
};
use support::server::{EVENT_STREAM, Server};
use support::streams::{
    HEAD, directly, flood, in_the_readme, last_event_id, lose, no_content,
    serve, under_valgrind, wait_for_the_end_of,
};
use support::until;

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
fn the_examples_are_clean_c99() {
    for compiler in ["gcc", "clang"] {
        for example in [
            "listen.c",
            "chat.c",
            "mcp.c",
            "epoll.c",
            "loop.c",
            "hue.c",
            "own_http.c",
        ] {
            let mut command = Command::new(compiler);
            command.arg("-std=c99").args(WARNINGS).arg("-fsyntax-only");
            command.arg("-I").arg(path("include"));
            command.arg(path("examples").join(example));
            succeed(command);
        }
    }
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

// The examples

/// A bridge is followed by its key, which the program says if it has none.
#[test]
fn hue_follows_a_bridge_by_its_key() {
    let hue = compile_with(&path("examples/hue.c"), &["-lcjson"]);
    let [bridge, impostor] = [(); 2].map(|()| {
        Server::secure(certificates::bridge(
            certificates::KINDS[0],
            certificates::VERSIONS[1],
        ))
    });
    let start = |server: &Server, key: Option<&str>| {
        let mut command = directly(&hue);
        command.arg(server.address().to_string()).arg("k3y").args(key);
        Program::start(command)
    };
    let mut program = start(&bridge, None);
    assert!(bridge.try_accept().is_err());
    let ended = program.end();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let (_, key) = ended.stderr.split_once("its key is ").expect("a key");
    let (key, _) = key.split_once(',').expect("its end");

    let mut program = start(&bridge, Some(key));
    let mut connection = bridge.accept();
    assert_eq!(connection.request.target, "/eventstream/clip/v2");
    let sent = connection.request.header("hue-application-key");
    assert_eq!(sent, Some("k3y"));
    connection.send(EVENT_STREAM);
    connection.send(
        ": hi\n\nid: 1:0\ndata: [{\"type\":\"update\",\"data\":[{\"id\":\"7\",\
         \"id_v1\":\"/lights/1\",\"on\":{\"on\":true},\"owner\":{},\
         \"type\":\"light\"},{\"id\":\"8\",\"type\":\"scene\"}]}]\n\n",
    );
    program.wait_for("update light 7: on={\"on\":true}");
    program.wait_for("update scene 8:");
    connection.send("data: [{\"data\":[{\"on\":nul\n\ndata: [1, {}]\n\n");
    connection.finish();
    bridge.accept().answer("204 No Content", "");
    let ended = program.end();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("not understood: [{"), "{ended:?}");
    assert!(!ended.stderr.contains("k3y"), "{ended:?}");

    let program = start(&impostor, Some(key));
    assert!(impostor.try_accept().is_err(), "it has another key");
    drop(program);
    assert_eq!(Program::start(directly(&hue)).end().status, Some(2));
    let ended = start(&bridge, Some("key")).end();
    assert_eq!(ended.status, Some(2), "{ended:?}");
}

#[test]
fn an_http_stack_of_its_own_follows_a_stream() {
    let own_http = compile_with(&path("examples/own_http.c"), &["-lcurl"]);
    let follow = |mut command: Command| {
        let url = serve(|number, request, mut stream| {
            let id = last_event_id(request);
            let body = match number {
                0 => "retry: 1\nid: 1\ndata: one\n\nid: 2\ndata: cut o".into(),
                1 => format!("event: ping\ndata: after {id}\n\nid: 3\n\n"),
                // No response at all, which is no end.
                2 => return Ok(()),
                3 => format!("data: after {id}\n\n"),
                _ => return no_content(stream),
            };
            stream.write_all(format!("{HEAD}{body}").as_bytes())
        });
        command.arg(url);
        Program::start(command).end()
    };
    for command in [directly(&own_http), under_valgrind(&own_http)] {
        let ended = follow(command);
        let lines = ["message: one", "ping: after 1", "message: after 3"];
        assert_eq!(ended.lines, lines, "{ended:?}");
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("an event was cut off"), "{ended:?}");
    }
    for head in [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-streams\r\n",
    ] {
        let url = serve(move |_, _, mut stream| {
            stream.write_all(format!("{head}\r\nno\n\n").as_bytes())
        });
        let mut command = directly(&own_http);
        command.arg(url);
        let ended = Program::start(command).end();
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.lines.is_empty(), "{ended:?}");
    }
}

#[test]
fn a_loop_of_epoll_follows_three_streams_on_one_thread() {
    follow_three_streams(&compile(&path("examples/epoll.c")));
}

#[test]
fn a_loop_of_the_library_follows_three_streams_on_one_thread() {
    follow_three_streams(&compile(&path("examples/loop.c")));
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

#[test]
fn a_loop_of_glib_follows_three_streams_on_one_thread() {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args(["--cflags", "--libs", "glib-2.0"]);
    let flags = String::from_utf8(succeed(pkg_config).stdout);
    let flags = flags.expect("flags are text");
    let flags: Vec<_> = flags.split_whitespace().collect();
    follow_three_streams(&compile_with(&path("examples/glib.c"), &flags));
}

/// Each stream is lost once and resumed; then the program is told to end, or
/// the servers want no more.
fn follow_three_streams(program: &Path) {
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
        let mut command = directly(program);
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
