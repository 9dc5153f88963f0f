//! chat: a language model.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{LazyLock, Mutex, mpsc};

use support::program::{Program, compile, compile_with, path};
use support::streams::{
    HEAD, directly, serve, under_valgrind, wait_for_the_end_of,
};

use crate::go_program;
use crate::service::{Request, say};

/// In each language.
static CHAT: LazyLock<[PathBuf; 3]> = LazyLock::new(|| {
    [
        compile_with(&path("examples/chat.c"), &["-lcjson"]),
        compile(&path("examples/chat.cpp")),
        go_program("chat"),
    ]
});

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
