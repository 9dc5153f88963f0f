//! What is printed, and how.

use std::process::Command;

use serde_json::Value;
use support::program::Program;
use support::server::{EVENT_STREAM, Server};
use support::streams::under_valgrind;

use super::{PLAIN, end_with_204, print, start};

/// Line by line, through a lost connection and an end.
#[test]
fn the_data_of_each_event() {
    let server = Server::start();
    follow(&server, start(&[], &server.url("/")));
}

#[test]
fn without_losing_memory() {
    for options in [&[][..], &["--json", "-v"]] {
        let server = Server::start();
        let mut valgrind = under_valgrind(&PLAIN);
        valgrind.args(options).arg(server.url("/"));
        let program = Program::start(valgrind);
        match options {
            [] => follow(&server, program),
            _ => {
                let mut program = program;
                server
                    .accept()
                    .send(format!("{EVENT_STREAM}retry: 1\n: c\ndata\n\n"));
                end_with_204(&server, &mut program);
            }
        }
    }
}

fn follow(server: &Server, mut program: Program) {
    let mut connection = server.accept();
    assert_eq!(connection.request.method, "GET");
    connection.send(EVENT_STREAM);
    connection.send("retry: 10\nid: 1\ndata: one\ndata: lines\n\n");
    // At once, and not when a buffer is full.
    program.wait_for("lines");
    connection.send("event: ping\ndata: \n\ndata: lost in the mid");
    connection.reset();
    let mut connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("1"));
    connection.send(format!("{EVENT_STREAM}data: <\u{e4}>\n\n"));
    connection.finish();
    let ended = end_with_204(server, &mut program);
    assert_eq!(ended.lines, ["one", "lines", "", "<\u{e4}>"]);
    let said: Vec<_> = ended.stderr.lines().collect();
    let [open, lost, open_again, ended, closed] = said[..] else {
        panic!("{said:?}")
    };
    let url = server.url("/");
    assert_eq!(open, format!("eventsource: open: 200 {url}"));
    assert!(lost.starts_with("eventsource: lost: "), "{lost}");
    assert!(lost.ends_with("; again in 0.0 s"), "{lost}");
    assert_eq!(open_again, open);
    assert!(ended.contains("ended the stream"), "{ended}");
    assert!(closed.starts_with("eventsource: closed: status 204"), "{closed}");
}

#[test]
fn bytes_as_they_are() {
    let ended = print(&[], "data: a\tb\u{7}\0c\u{1b}[31m\n\ndata: d\n\n");
    assert_eq!(ended.lines, ["a\tb\u{7}\0c\u{1b}[31m", "d"]);
}

/// Every member is what the stream says, whatever it says.
#[test]
fn json_that_can_be_read() {
    let all: String = (0..=0x2FF).filter_map(char::from_u32).collect();
    let all = all.replace(['\r', '\n'], "");
    let more = "\u{2028}\u{2029}\u{FEFF}\u{FFFD}\u{FFFF}\u{1F408}\\u0000\"}";
    let mut stream = b"retry: 1\n".to_vec();
    stream.extend(format!("id: {more}\nevent: {more}\n").bytes());
    stream.extend(format!("data: {all}\ndata: {more}\n\n").bytes());
    stream.extend(b"id\ndata: not \xFF\xC3 UTF-8\n\n");
    stream.extend(format!("data: {}\n\n", "\\\"".repeat(100_000)).bytes());
    let server = Server::start();
    let mut program = start(&["--json"], &server.url("/path?query"));
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    connection.send(&stream);
    connection.finish();
    let ended = end_with_204(&server, &mut program);
    let events: Vec<Value> = ended
        .lines
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let [first, second, third] = &events[..] else { panic!("{events:?}") };
    assert_eq!(first["type"], more);
    assert_eq!(first["id"], more);
    assert_eq!(first["data"], format!("{all}\n{more}"));
    assert_eq!(second["type"], "message");
    assert_eq!(second["id"], "");
    assert_eq!(second["data"], "not \u{FFFD}\u{FFFD} UTF-8");
    assert_eq!(third["data"], "\\\"".repeat(100_000));
    for event in &events {
        assert_eq!(event["origin"], server.origin());
        assert_eq!(event.as_object().expect("an object").len(), 5);
        is_now(event["time"].as_str().expect("a text"));
    }
    // Nothing that a terminal would obey.
    for line in &ended.lines {
        assert!(!line.bytes().any(|it| it < b' ' || it == 0x7F), "{line}");
    }
}

/// `2026-11-27T05:15:06.496Z`, a minute ago at most.
fn is_now(time: &str) {
    assert_eq!(time.len(), 24, "{time}");
    let mut date = Command::new("date");
    date.args(["-d", time, "+%s"]);
    let output = date.output().expect("date");
    let then = String::from_utf8(output.stdout).expect("a number");
    let then: u64 = then.trim().parse().expect(time);
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    assert!((0..60).contains(&(now.as_secs() - then)), "{time}");
}

#[test]
fn only_the_types_that_are_wanted() {
    let stream = "data: 1\n\nevent: ping\ndata: 2\n\nevent: pin\ndata: 3\n\n\
                  event: pong\ndata: 4\n\n";
    for (types, lines) in [
        ("ping", &["2"][..]),
        ("message,pong", &["1", "4"]),
        ("pin,ping", &["2", "3"]),
        ("pingpong", &[]),
        ("", &[]),
    ] {
        assert_eq!(print(&["--types", types], stream).lines, lines, "{types}");
    }
}

/// With -s nothing but events; with -v headers, comments and the log.
#[test]
fn as_much_as_is_wanted() {
    let silent = print(&["-s"], ": comment\ndata: a\n\n");
    assert_eq!((&*silent.lines, &*silent.stderr), (&["a".to_owned()][..], ""));
    let verbose = print(&["-v"], ": comm\u{1b}ent\ndata: a\n\n");
    assert_eq!(verbose.lines, ["a"]);
    for line in [
        ": comm?ent",
        "< content-type: text/event-stream",
        "eventsource: open: 200 ",
        "* http://127.0.0.1:",
    ] {
        let mut lines = verbose.stderr.lines();
        assert!(lines.any(|it| it.starts_with(line)), "{line}: {verbose:?}");
    }
}

/// What a server says is told, and no terminal obeys it.
#[test]
fn the_body_of_a_refusal() {
    let server = Server::start();
    let mut program = start(&[], &server.url("/"));
    let body = "no such\r\nthing \u{1b}[2J\u{9b}\n";
    server.accept().send(format!(
        "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let ended = program.end();
    assert_eq!(ended.status, Some(22));
    let said: Vec<_> = ended.stderr.lines().collect();
    assert!(said[0].ends_with("status 404"), "{said:?}");
    assert_eq!(said[1..], ["| no such?", "| thing ?[2J??"]);
}
