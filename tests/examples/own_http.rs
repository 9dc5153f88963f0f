//! own_http: the parser alone.

use std::io::Write;
use std::process::Command;

use support::program::{Program, compile_with, path};
use support::streams::{
    HEAD, directly, last_event_id, no_content, serve, under_valgrind,
};

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
