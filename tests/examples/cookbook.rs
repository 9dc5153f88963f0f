//! token, flags, service and sandbox, which the guide shows; and what it says of
//! system calls.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use support::certificates;
use support::program::{Ended, Program, compile, compile_with, path, scratch};
use support::server::{EVENT_STREAM, Server};
use support::streams::{
    HEAD, directly, last_event_id, no_content, serve, under_valgrind,
    wait_for_the_end_of,
};

use crate::service::{Request, say};

/// Each attempt has a token of its own, and 401 is no end.
#[test]
fn token_asks_for_a_token_before_each_attempt() {
    let token = compile(&path("examples/token.c"));
    for (name, program) in [
        ("token", directly(&token)),
        ("token-valgrind", under_valgrind(&token)),
    ] {
        // The command counts, and has no token the second time.
        let count = scratch(name);
        _ = fs::remove_file(&count);
        let command = format!(
            "echo >>'{0}'; n=$(wc -l <'{0}'); [ $n -ne 2 ] && echo t$n",
            count.display()
        );
        let url = serve(|number, head, mut stream| {
            let request = Request::read(head, &stream)?;
            let expected = ["Bearer t1", "Bearer t3", "Bearer t4"];
            let sent = request.header("authorization");
            assert_eq!(sent, expected.get(number).copied(), "{number}");
            match number {
                // And it is lost.
                0 => stream.write_all(
                    format!("{HEAD}retry: 1\ndata: one\n\n").as_bytes(),
                ),
                1 => say(&stream, "401 Unauthorized", "", "expired"),
                _ => no_content(stream),
            }
        });
        let mut program = program;
        program.args([&url, &command]);
        let ended = Program::start(program).end();
        assert_eq!(ended.lines, ["message one"], "{ended:?}");
        let said: Vec<_> = ended.stderr.lines().collect();
        let [lost, no_token, expired, enough] = said[..] else {
            panic!("{ended:?}")
        };
        assert!(lost.contains("; again in "), "{lost}");
        assert!(no_token.starts_with("the command printed no token"));
        assert!(expired.contains("status 401; again in "), "{expired}");
        assert!(enough.contains("204"), "{enough}");
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
}

#[test]
fn token_gives_up_after_three_refusals() {
    let url = serve(|number, head, stream| {
        Request::read(head, &stream)?;
        assert!(number < 3, "refused three times");
        say(&stream, "401 Unauthorized", "", "no")
    });
    let mut program = directly(&compile(&path("examples/token.c")));
    program.args([&url, "echo t"]);
    let ended = Program::start(program).end();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 3, "{ended:?}");
    let mut program = directly(&compile(&path("examples/token.c")));
    program.arg("nowhere");
    assert_eq!(Program::start(program).end().status, Some(2));
}

#[test]
fn flags_are_as_the_service_has_them() {
    let flags = compile_with(&path("examples/flags.c"), &["-lcjson"]);
    for mut command in [directly(&flags), under_valgrind(&flags)] {
        let url = serve(|number, head, mut stream| {
            let request = Request::read(head, &stream)?;
            assert_eq!(request.header("authorization"), Some("k3y"));
            let put = "event: put\ndata: {\"a\":{\"version\":3,\"value\":true},\
                       \"b\":{\"version\":1,\"value\":false}}\n\n";
            let patch = |key: &str, version: i32, value: bool| {
                format!(
                    "event: patch\ndata: {{\"key\":\"{key}\",\
                     \"version\":{version},\"value\":{value}}}\n\n"
                )
            };
            let delete =
                "event: delete\ndata: {\"key\":\"b\",\"version\":3}\n\n";
            match number {
                0 => say(&stream, "503 Service Unavailable", "", "busy"),
                1 => {
                    let changes = patch("b", 2, true)
                        + &patch("b", 1, false)
                        + delete
                        + &patch("b", 2, true)
                        + ": hello\n\nevent: patch\ndata: {\n\n"
                        + &patch("c", 1, true);
                    let all = format!("{HEAD}retry: 1\n\n{put}{changes}");
                    stream.write_all(all.as_bytes())
                }
                _ => {
                    stream.write_all(format!("{HEAD}{put}").as_bytes())?;
                    wait_for_the_end_of(stream)
                }
            }
        });
        command.args([&*url, "k3y"]);
        let mut program = Program::start(command);
        program.wait_for("c on");
        program.wait_for("2 flags");
        program.signal("INT");
        let ended = program.end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let lines = ["2 flags", "b on", "b off", "c on", "2 flags"];
        assert_eq!(ended.lines, lines, "{ended:?}");
    }
    let url = serve(|_, head, stream| {
        Request::read(head, &stream)?;
        say(&stream, "401 Unauthorized", "", "")
    });
    let mut command = directly(&flags);
    command.args([&*url, "key"]);
    assert_eq!(Program::start(command).end().status, Some(1));
}

/// What systemd is told, and when.
#[test]
fn service_tells_systemd_how_it_is() {
    let program = compile(&path("examples/service.c"));
    for (name, mut command) in [
        ("service", directly(&program)),
        ("service-valgrind", under_valgrind(&program)),
    ] {
        let socket = scratch(&format!("{name}.socket"));
        let state = scratch(&format!("{name}.state"));
        _ = fs::remove_file(&socket);
        fs::write(&state, "41").expect("scratch space");
        let systemd = UnixDatagram::bind(&socket).expect("a socket");
        // valgrind takes its time.
        let patience = Duration::from_secs(60);
        systemd.set_read_timeout(Some(patience)).expect("a time");
        let told = || {
            let mut message = [0; 1024];
            let len = systemd.recv(&mut message).expect("a message");
            String::from_utf8(message[..len].to_vec()).expect("UTF-8")
        };
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let may_go_on = Mutex::new(may_go_on);
        let url = serve(move |number, head, mut stream| {
            assert_eq!(last_event_id(head), "41");
            stream.write_all(format!("{HEAD}retry: 1\n\n").as_bytes())?;
            if number == 0 {
                return stream.write_all(b"id: 41\n\n");
            }
            _ = may_go_on.lock().unwrap().recv();
            stream.write_all(b": I live\n\n")?;
            _ = may_go_on.lock().unwrap().recv();
            stream.write_all(b"id: 42\ndata: x\n\n")?;
            wait_for_the_end_of(stream)
        });
        command.arg(&url).arg(&state).env("NOTIFY_SOCKET", &socket);
        let mut service = Program::start(command);
        assert!(told().starts_with("READY=1\n"));
        assert!(told().starts_with("STATUS=the server has ended"));
        assert!(told().starts_with("READY=1\n"));
        go_on.send(()).expect("a server");
        assert_eq!(told(), "WATCHDOG=1");
        go_on.send(()).expect("a server");
        assert_eq!(told(), "WATCHDOG=1");
        service.signal("TERM");
        assert_eq!(told(), "STOPPING=1");
        let ended = service.end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.lines, ["message x"]);
        let kept = fs::read_to_string(&state).expect("what it has kept");
        assert_eq!(kept, "42");
    }
    let mut gives_up: Command = directly(&program);
    gives_up.arg(serve(|_, _, stream| say(&stream, "404 Not Found", "", "")));
    gives_up.arg(scratch("service-gives-up.state"));
    assert_eq!(Program::start(gives_up).end().status, Some(1));
}

/// What the guide lists of system calls, in all rows but some.
fn known_system_calls(but: &[&str]) -> BTreeSet<String> {
    let page = fs::read_to_string(path("docs/system-calls.md"));
    let page = page.expect("a page");
    let is_other = |row: &&str| !but.iter().any(|it| row[2..].starts_with(it));
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let calls =
        rows.filter(is_other).flat_map(|row| row.split('`').skip(1).step_by(2));
    calls.map(str::to_owned).collect()
}

/// Lets a program follow a stream by http, through lost connections, and one
/// by https.
fn follow_two_streams(command: impl Fn() -> Command, check: impl Fn(Ended)) {
    let plain = serve(|number, _, mut stream| {
        if number == 2 {
            return no_content(stream);
        }
        let body = format!("{HEAD}retry: 1\ndata: {number}\n\n");
        stream.write_all(body.as_bytes())
    });
    let secure = Server::secure(certificates::trusted("localhost"));
    let plain = plain.replace("127.0.0.1", "localhost");
    for url in [&plain, &secure.url_at("localhost", "/")] {
        let mut command = command();
        command.arg(url);
        let mut program = Program::start(command);
        if url != &plain {
            let mut connection = secure.accept();
            connection.send(EVENT_STREAM);
            connection.send("retry: 1\ndata: 1\n\n");
            connection.finish();
            secure.accept().answer("204 No Content", "");
        }
        check(program.end());
    }
}

#[test]
fn sandbox_makes_the_system_calls_that_the_guide_lists_and_no_other() {
    let example = path("examples/sandbox.c");
    let sandbox = compile_with(&example, &["-lseccomp"]);
    follow_two_streams(
        || directly(&sandbox),
        |ended| {
            assert_eq!(ended.status, Some(0), "{ended:?}");
            assert!(ended.lines.ends_with(&["message 1".to_owned()]));
        },
    );
    let text = fs::read_to_string(example).expect("an example");
    let (_, allowed) = text.split_once("allowed[] = {").expect("a list");
    let (allowed, _) = allowed.split_once("};").expect("its end");
    let allowed = allowed.split('"').skip(1).step_by(2).map(str::to_owned);
    let allowed: BTreeSet<_> = allowed.collect();
    let mut known = known_system_calls(&["loops", "the program's start"]);
    known.insert("exit_group".to_owned());
    assert_eq!(allowed, known);
}

#[test]
fn the_guide_knows_all_system_calls() {
    let known = known_system_calls(&[]);
    for example in ["listen.c", "epoll.c"] {
        let example = compile(&path("examples").join(example));
        let calls = scratch("system-calls");
        let strace = || {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o"]).args([&calls, &example]);
            strace
        };
        follow_two_streams(strace, |ended| {
            assert_eq!(ended.status, Some(1), "{ended:?}");
            let calls = fs::read_to_string(&calls).expect("calls");
            let named = calls.lines().filter_map(|line| {
                let (_, call) = line.split_once(' ')?;
                let (name, _) = call.trim_start().split_once('(')?;
                let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
                name.starts_with(is_name).then_some(name)
            });
            let made: BTreeSet<_> = named.map(str::to_owned).collect();
            assert!(made.contains("connect"), "{made:?}");
            let unknown: Vec<_> = made.difference(&known).collect();
            assert!(unknown.is_empty(), "{example:?}: {unknown:?}");
        });
    }
}
