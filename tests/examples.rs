//! The example programs that stand for a service: each against a server that
//! behaves as the service does.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, mpsc};

use support::program::{
    Program, compile, compile_with, go, path, scratch, succeed,
};
use support::streams::{
    HEAD, directly, last_event_id, serve, under_valgrind, wait_for_the_end_of,
};

/// A request as programs of all languages send it, and its body.
struct Request {
    line: String,
    /// By their names in lower case.
    headers: HashMap<String, String>,
    body: String,
}

impl Request {
    fn read(head: &str, mut stream: &TcpStream) -> io::Result<Request> {
        let (line, headers) = head.split_once("\r\n").expect("a line");
        let headers: HashMap<_, _> = headers
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map(String::as_str);
        let length = length.unwrap_or("0").parse().expect("a length");
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Request { line: line.to_owned(), headers, body })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer that is no stream.
fn say(
    mut stream: &TcpStream,
    status: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    stream.write_all(
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n\
             {body}"
        )
        .as_bytes(),
    )
}

// chat: a language model

/// In each language.
static CHAT: LazyLock<[PathBuf; 3]> = LazyLock::new(|| {
    [
        compile_with(&path("examples/chat.c"), &["-lcjson"]),
        compile(&path("examples/chat.cpp")),
        go_program("chat"),
    ]
});

fn go_program(name: &str) -> PathBuf {
    let program = scratch("go").join(name);
    let source = format!("../../examples/{name}.go");
    let to = program.to_str().expect("UTF-8");
    succeed(go(&["build", "-o", to, &source]));
    program
}

fn chat(mut command: Command, url: &str) -> Command {
    command.args([url, "{\"stream\":true}"]).env("OPENAI_API_KEY", "k3y");
    command
}

fn chunk(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"1\",\"object\":\"chat.completion.chunk\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\
         \"finish_reason\":null}}]}}\n\n"
    )
}

#[test]
fn chat_prints_tokens_as_they_come_until_done() {
    let commands = CHAT.each_ref().map(|it| directly(it));
    for command in commands.into_iter().chain([under_valgrind(&CHAT[0])]) {
        let (go_on, may_go_on) = mpsc::channel();
        let may_go_on = Mutex::new(may_go_on);
        let url = serve(move |number, head, mut stream| {
            assert_eq!(number, 0, "an answer is asked for once");
            let request = Request::read(head, &stream)?;
            assert_eq!(request.line, "POST / HTTP/1.1");
            assert_eq!(request.header("authorization"), Some("Bearer k3y"));
            let kind = request.header("content-type");
            assert_eq!(kind, Some("application/json"));
            assert_eq!(request.body, "{\"stream\":true}");
            stream.write_all(HEAD.as_bytes())?;
            let first = "{\"role\":\"assistant\",\"content\":\"\"}";
            stream.write_all(chunk(first).as_bytes())?;
            let second = "{\"content\":\"He said \\\"H\\u00ef\\\".\\n\"}";
            stream.write_all(chunk(second).as_bytes())?;
            // The program has printed this before there is more.
            _ = may_go_on.lock().unwrap().recv();
            stream.write_all(chunk("{\"content\":\"Bye\"}").as_bytes())?;
            stream.write_all(chunk("{\"content\":null}").as_bytes())?;
            stream.write_all(chunk("{}").as_bytes())?;
            stream.write_all(b"data: {\"choices\":[]}\n\n")?;
            stream.write_all(b"data: [DONE]\n\n")?;
            wait_for_the_end_of(stream)
        });
        let mut chat = Program::start(chat(command, &url));
        chat.wait_for("He said \"Hï\".");
        go_on.send(()).expect("a server that waits");
        let ended = chat.end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.lines, ["He said \"Hï\".", "Bye"]);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn chat_is_complete_at_the_end_of_the_stream_and_not_when_it_breaks() {
    for program in &*CHAT {
        for (length, end, status) in
            [("12", "0\r\n\r\n", 0), ("12", "", 1), ("10000", "", 1)]
        {
            let url = serve(move |number, head, mut stream| {
                assert_eq!(number, 0, "an answer is asked for once");
                Request::read(head, &stream)?;
                let coding = "\r\nTransfer-Encoding: chunked\r\n\r\n";
                let head = HEAD.replace("\r\n\r\n", coding);
                let body = format!("{length}\r\ndata: {{\"end\": 1}}\n\n\r\n");
                stream.write_all(format!("{head}{body}{end}").as_bytes())
            });
            let ended = Program::start(chat(directly(program), &url)).end();
            assert_eq!(ended.status, Some(status), "{length} {end}: {ended:?}");
            assert_eq!(ended.stderr.is_empty(), status == 0, "{ended:?}");
        }
    }
}

#[test]
fn chat_says_what_the_server_says() {
    let refused = "{\"error\":{\"message\":\"Incorrect API key\"}}";
    for program in &*CHAT {
        for body in [refused, "Incorrect API key"] {
            let url = serve(move |_, head, stream| {
                Request::read(head, &stream)?;
                say(&stream, "401 Unauthorized", "", body)
            });
            let ended = Program::start(chat(directly(program), &url)).end();
            assert_eq!(ended.status, Some(1), "{ended:?}");
            let said = "unexpected status 401: Incorrect API key\n";
            assert_eq!(ended.stderr, said);
        }
    }
}

/// The model's service is asked again until it answers.
#[test]
fn chat_comes_back_when_it_was_told_to_wait() {
    let programs = CHAT.each_ref().map(|program| {
        let url = serve(|number, head, mut stream| {
            Request::read(head, &stream)?;
            let busy = "{\"error\":{\"message\":\"Rate limit reached\"}}";
            match number {
                0 => {
                    let when = "Retry-After: 1\r\n";
                    say(&stream, "429 Too Many Requests", when, busy)
                }
                1 => {
                    let chunk = chunk("{\"content\":\"Hi\\n\"}");
                    stream.write_all(format!("{HEAD}{chunk}").as_bytes())
                }
                _ => unreachable!("an answer is asked for once"),
            }
        });
        Program::start(chat(directly(program), &url))
    });
    for mut program in programs {
        let ended = program.end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.lines, ["Hi"]);
        let refused = "unexpected status 429: Rate limit reached\nagain in ";
        assert!(ended.stderr.starts_with(refused), "{ended:?}");
    }
}

#[test]
fn chat_stops_in_mid_answer() {
    let commands = CHAT.each_ref().map(|it| directly(it));
    for command in commands.into_iter().chain([under_valgrind(&CHAT[0])]) {
        let (tell, closed) = mpsc::channel();
        let url = serve(move |_, head, mut stream| {
            Request::read(head, &stream)?;
            let chunk = chunk("{\"content\":\"Hi\\n\"}");
            stream.write_all(format!("{HEAD}{chunk}").as_bytes())?;
            let end = wait_for_the_end_of(stream);
            tell.send(()).expect("a test that waits");
            end
        });
        let mut chat = Program::start(chat(command, &url));
        chat.wait_for("Hi");
        chat.signal("INT");
        let ended = chat.end();
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert_eq!(ended.stderr, "");
        closed.recv().expect("the server is told");
    }
}

#[test]
fn chat_says_what_goes_wrong_within_an_answer() {
    for program in &*CHAT {
        let url = serve(|_, head, mut stream| {
            Request::read(head, &stream)?;
            let begun = chunk("{\"content\":\"Hi\\n\"}");
            let broken = "data: {\"error\":{\"message\":\"Overloaded\"}}\n\n";
            stream.write_all(format!("{HEAD}{begun}{broken}").as_bytes())?;
            wait_for_the_end_of(stream)
        });
        let ended = Program::start(chat(directly(program), &url)).end();
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert_eq!(
            (&*ended.stderr, &*ended.lines),
            ("Overloaded\n", &["Hi".to_owned()][..])
        );
    }
}

#[test]
fn chat_ends_with_2_when_it_cannot_begin() {
    for program in &*CHAT {
        let ended = Program::start(chat(directly(program), "nowhere")).end();
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(!ended.stderr.is_empty());
        let mut without_key = chat(directly(program), "http://127.0.0.1/");
        without_key.env_remove("OPENAI_API_KEY");
        assert_eq!(Program::start(without_key).end().status, Some(2));
    }
}

// mcp: the Model Context Protocol

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
const JSON: &str = "Content-Type: application/json\r\n";

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

// firebase: a database that redirects, and whose tokens end

#[test]
fn firebase_follows_a_place_with_ever_new_tokens() {
    let asked = AtomicUsize::new(0);
    let tokens = serve(move |_, head, stream| {
        let request = Request::read(head, &stream)?;
        assert_eq!(request.header("metadata-flavor"), Some("Google"));
        match asked.fetch_add(1, Ordering::SeqCst) {
            2 => say(&stream, "500 -", "", "{\"error\":\"not now\"}"),
            number => {
                let token = format!("{{\"access_token\":\"t&{number}\"}}");
                say(&stream, "200 OK", JSON, &token)
            }
        }
    });
    let data = serve(|number, head, mut stream| {
        let request = Request::read(head, &stream)?;
        let token = [0, 1, 4][number];
        let target = format!("GET /place.json?a=b&access_token=t%26{token} ");
        assert!(request.line.starts_with(&target), "{}", request.line);
        let put = "event: put\ndata: {\"path\":\"/\",\"data\":{\"a\": 1}}\n\n";
        let patch = "event: patch\ndata: {\"path\":\"/a\",\"data\":2}\n\n";
        let keep_alive = "event: keep-alive\ndata: null\n\n";
        let revoked = "event: auth_revoked\ndata: \"expired\"\n\n";
        let cancel = "event: cancel\ndata: null\n\n";
        let body = match number {
            0 => format!("retry: 1\n{put}{keep_alive}{revoked}"),
            // And it is lost.
            1 => patch.to_owned(),
            _ => cancel.to_owned(),
        };
        stream.write_all(format!("{HEAD}{body}").as_bytes())?;
        match number {
            1 => Ok(()),
            _ => wait_for_the_end_of(stream),
        }
    });
    let elsewhere = data.replace("127.0.0.1", "localhost");
    let database = serve(move |number, head, stream| {
        let request = Request::read(head, &stream)?;
        let target = request.line.split(' ').nth(1).expect("a target");
        if number == 2 {
            return say(
                &stream,
                "401 Unauthorized",
                "",
                "{\"error\":\"expired\"}",
            );
        }
        let location = format!("Location: {elsewhere}{}\r\n", &target[1..]);
        say(&stream, "307 Temporary Redirect", &location, "")
    });
    let mut command = directly(&go_program("firebase"));
    command.args([&format!("{database}place.json?a=b"), &tokens]);
    let ended = Program::start(command).end();
    assert_eq!(ended.lines, ["put / {\"a\": 1}", "patch /a 2"], "{ended:?}");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let said: Vec<_> = ended.stderr.lines().collect();
    let [lost, no_token, expired, cancelled] = said[..] else {
        panic!("{ended:?}")
    };
    assert!(lost.contains("ended the stream; again in "), "{lost}");
    assert!(no_token.contains("no token from "), "{no_token}");
    assert!(expired.contains("unexpected status 401; again in "), "{expired}");
    assert!(cancelled.contains("allow it no more"), "{cancelled}");
}

#[test]
fn firebase_ends_when_it_is_told_to() {
    let tokens = serve(|_, head, stream| {
        Request::read(head, &stream)?;
        say(&stream, "200 OK", JSON, "{\"access_token\":\"t\"}")
    });
    let url = serve(|_, _, mut stream| {
        let put = "event: put\ndata: {\"path\":\"/\",\"data\":null}\n\n";
        stream.write_all(format!("{HEAD}{put}").as_bytes())?;
        wait_for_the_end_of(stream)
    });
    let mut command = directly(&go_program("firebase"));
    command.args([&url, &tokens]);
    let mut firebase = Program::start(command);
    firebase.wait_for("put / null");
    firebase.signal("INT");
    let ended = firebase.end();
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{ended:?}");
}
