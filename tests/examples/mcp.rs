//! mcp: the Model Context Protocol.

use std::io::{self, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use support::program::{Program, compile_with, path};
use support::streams::{
    HEAD, directly, last_event_id, serve, under_valgrind, wait_for_the_end_of,
};

use crate::service::{JSON, Request, say};

static MCP: LazyLock<PathBuf> =
    LazyLock::new(|| compile_with(&path("examples/mcp.c"), &["-lcjson"]));

const INITIALIZE: &str =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"}";
const INITIALIZED: &str =
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
const CALL: &str = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\"}";
const READY: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";
const DONE: &str = "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"content\":[]}}";
const PROGRESS: &str =
    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}";

fn mcp(mut command: Command, url: &str) -> Command {
    command.args([url, INITIALIZE, INITIALIZED, CALL]);
    command
}

/// What every message has.
fn is_of_the_session(number: usize, request: &Request) {
    let session = (number > 0).then_some("s3ss10n");
    assert_eq!(request.header("mcp-session-id"), session, "{number}");
    let accept = request.header("accept");
    assert_eq!(accept, Some("application/json, text/event-stream"));
}

fn opens_the_session(stream: &TcpStream) -> io::Result<()> {
    let headers = format!("{JSON}Mcp-Session-Id: s3ss10n\r\n");
    say(stream, "200 OK", &headers, READY)
}

#[test]
fn mcp_takes_answers_that_are_json() {
    let url = serve(|number, head, stream| {
        let request = Request::read(head, &stream)?;
        is_of_the_session(number, &request);
        assert_eq!(request.line, "POST / HTTP/1.1");
        assert_eq!(request.body, [INITIALIZE, INITIALIZED, CALL][number]);
        match number {
            0 => opens_the_session(&stream),
            1 => say(&stream, "202 Accepted", "", ""),
            _ => {
                let long =
                    DONE.replace("[]", &format!("[{}0]", "0,".repeat(9999)));
                say(&stream, "200 OK", JSON, &long)
            }
        }
    });
    let ended = Program::start(mcp(directly(&MCP), &url)).end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!((ended.lines.len(), &*ended.stderr), (2, ""));
    assert_eq!(ended.lines[0], READY);
    assert!(ended.lines[1].len() > 19_999, "more than 4 KiB, and all of it");
}

#[test]
fn mcp_resumes_a_stream_that_is_lost() {
    for command in [directly(&MCP), under_valgrind(&MCP)] {
        let url = serve(|number, head, mut stream| {
            let request = Request::read(head, &stream)?;
            is_of_the_session(number, &request);
            match number {
                0 => opens_the_session(&stream),
                1 => say(&stream, "202 Accepted", "", ""),
                2 => {
                    let begun = "retry: 1\nid: 7\ndata:";
                    let lost = "id: 8\ndata: {\"js";
                    stream.write_all(
                        format!("{HEAD}{begun} {PROGRESS}\n\n{lost}")
                            .as_bytes(),
                    )
                }
                3 => {
                    assert_eq!(request.line, "GET / HTTP/1.1");
                    assert_eq!(last_event_id(head), "7");
                    assert_eq!(request.header("content-type"), None);
                    // Ended in good order, before the answer.
                    stream.write_all(format!("{HEAD}id: 8\n\n").as_bytes())
                }
                4 => {
                    assert_eq!(request.line, "GET / HTTP/1.1");
                    assert_eq!(last_event_id(head), "8");
                    let done = format!("{HEAD}id: 9\ndata: {DONE}\n\n");
                    stream.write_all(done.as_bytes())?;
                    wait_for_the_end_of(stream)
                }
                _ => unreachable!("it has its answer"),
            }
        });
        let ended = Program::start(mcp(command, &url)).end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.lines, [READY, PROGRESS, DONE]);
        assert!(ended.stderr.contains("inside an event"), "{ended:?}");
    }
}

/// A call is not made twice, and a server that resumes nothing is believed.
#[test]
fn mcp_ends_with_1_when_there_is_no_answer() {
    type Answer = fn(usize, TcpStream) -> io::Result<()>;
    let without_ids: Answer = |number, mut stream| match number {
        2 => stream.write_all(format!("{HEAD}retry: 1\n\ndata: {{").as_bytes()),
        _ => unreachable!("asked for once"),
    };
    let not_resumed: Answer = |number, mut stream| match number {
        2 => {
            let stream_lost = format!("{HEAD}retry: 1\nid: 7\ndata: {{}}\n\nd");
            stream.write_all(stream_lost.as_bytes())
        }
        3 => {
            say(&stream, "405 Method Not Allowed", "Allow: POST\r\n", "no GET")
        }
        _ => unreachable!("no more after 405"),
    };
    let no_session: Answer = |_, stream| {
        say(&stream, "404 Not Found", JSON, "{\"error\":\"no session\"}")
    };
    let unreachable: Answer = |_, _| Ok(());
    for (answer, said) in [
        (without_ids, "inside an event"),
        (not_resumed, "unexpected status 405 no GET"),
        (no_session, "unexpected status 404 {\"error\":\"no session\"}"),
        (unreachable, "before it responded"),
    ] {
        let url = serve(move |number, head, stream| {
            Request::read(head, &stream)?;
            match number {
                0 => opens_the_session(&stream),
                1 => say(&stream, "202 Accepted", "", ""),
                _ => answer(number, stream),
            }
        });
        let ended = Program::start(mcp(directly(&MCP), &url)).end();
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[test]
fn mcp_ends_with_2_when_it_cannot_begin() {
    for arguments in [&["nowhere", "{}"][..], &["http://127.0.0.1/"], &[]] {
        let mut command = directly(&MCP);
        command.args(arguments);
        let ended = Program::start(command).end();
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(!ended.stderr.is_empty());
    }
}
