//! C programs as consumers of the library: that the header is good C and
//! C++, that the shared object is what programs link with, that a program
//! follows a stream, and that no misuse crashes one or leaks.

mod program;

use program::{Ended, Program, SONAME, WARNINGS};
use program::{compile, compile_with, library, path, scratch, succeed};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

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
        for example in
            ["examples/listen.c", "examples/chat.c", "examples/epoll.c"]
        {
            let mut command = Command::new(compiler);
            command.arg("-std=c99").args(WARNINGS).arg("-fsyntax-only");
            command.arg("-I").arg(path("include")).arg(path(example));
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

// The example

#[test]
fn listen_follows_a_stream_through_a_lost_connection() {
    listen_through_a_lost_connection(directly);
}

#[test]
fn listen_leaks_nothing() {
    listen_through_a_lost_connection(under_valgrind);
}

fn listen_through_a_lost_connection(command: fn(&Path) -> Command) {
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
    let mut listen = command(&compile(&path("examples/listen.c")));
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
fn listen_ends_on_sigterm_while_nothing_comes() {
    let url = serve(|_, _, mut stream| {
        stream.write_all(HEAD.as_bytes())?;
        wait_for_the_end_of(stream)
    });
    let mut listen = Program::start(listen(&[&url]));
    listen.wait_for("open ");
    listen.signal("TERM");
    assert_eq!(listen.end().status, Some(0));
}

#[test]
fn listen_begins_after_the_id_it_is_given_and_shows_comments() {
    let url = serve(|_, request, mut stream| {
        let id = last_event_id(request);
        let body = format!(": a comment\ndata: asked for {id}\n\n");
        stream.write_all(format!("{HEAD}{body}").as_bytes())?;
        wait_for_the_end_of(stream)
    });
    let mut listen = Program::start(listen(&["-v", &url, "41"]));
    listen.wait_for("comment a comment");
    listen.wait_for("event  message [41] asked for 41");
    listen.signal("INT");
    let ended = listen.end();
    assert_eq!(ended.status, Some(0));
    assert!(!ended.stderr.is_empty(), "-v logs to standard error");
}

#[test]
fn listen_ends_with_1_when_the_source_gives_up() {
    let url = serve(|_, _, mut stream| {
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    });
    let ended = Program::start(listen(&[&url])).end();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let [error, close] = &ended.lines[..] else { panic!("{ended:?}") };
    assert!(error.starts_with("error  ") && error.contains("404"), "{error}");
    assert!(close.starts_with("close  "), "{close}");
}

#[test]
fn listen_ends_with_2_when_it_cannot_begin() {
    for arguments in [
        &[] as &[&str],
        &["-x", "http://127.0.0.1/"],
        &["http://127.0.0.1/", "1", "2"],
        &["127.0.0.1"],
        &["ftp://127.0.0.1/"],
        &["http://127.0.0.1/", "an id\nof two lines"],
    ] {
        let ended = Program::start(listen(arguments)).end();
        assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.lines.is_empty(), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?} goes unexplained");
    }
}

fn listen(arguments: &[&str]) -> Command {
    let mut command = directly(&compile(&path("examples/listen.c")));
    command.args(arguments);
    command
}

#[test]
fn chat_prints_tokens_as_they_come_until_done() {
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let url = serve(move |number, request, mut stream| {
        assert_eq!(number, 0, "an answer is asked for once");
        assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
        let has = |line: &str| {
            request.lines().any(|it| it.eq_ignore_ascii_case(line))
        };
        assert!(has("Authorization: Bearer k3y"), "{request}");
        assert!(has("Content-Type: application/json"), "{request}");
        assert!(has("Content-Length: 15"), "{request}");
        stream.write_all(HEAD.as_bytes())?;
        let chunk = |delta: &str| {
            format!(
                "data: {{\"id\":\"1\",\"object\":\"chat.completion.chunk\",\
                 \"choices\":[{{\"index\":0,\"delta\":{delta},\
                 \"finish_reason\":null}}]}}\n\n"
            )
        };
        let first = "{\"role\":\"assistant\",\"content\":\"\"}";
        stream.write_all(chunk(first).as_bytes())?;
        let second = "{\"content\":\"He said \\\"Hi\\\".\\n\"}";
        stream.write_all(chunk(second).as_bytes())?;
        // The program has printed this before there is more.
        _ = may_go_on.lock().unwrap().recv();
        stream.write_all(chunk("{\"content\":\"Bye\"}").as_bytes())?;
        stream.write_all(chunk("{}").as_bytes())?;
        stream.write_all(b"data: [DONE]\n\n")?;
        wait_for_the_end_of(stream)
    });
    let mut chat = Program::start(chat(&url));
    chat.wait_for("He said \"Hi\".");
    go_on.send(()).expect("a server that waits");
    let ended = chat.end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.lines, ["He said \"Hi\".", "Bye"]);
    assert_eq!(ended.stderr, "");
}

#[test]
fn chat_is_complete_at_the_end_of_the_stream_and_not_when_it_breaks() {
    for (chunk, end, status) in
        [("12", "0\r\n\r\n", 0), ("12", "", 1), ("10000", "", 1)]
    {
        let url = serve(move |_, _, mut stream| {
            let head = HEAD
                .replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n");
            let body = format!("{chunk}\r\ndata: {{\"end\": 1}}\n\n\r\n");
            stream.write_all(format!("{head}{body}{end}").as_bytes())
        });
        let ended = Program::start(chat(&url)).end();
        assert_eq!(ended.status, Some(status), "{chunk} {end}: {ended:?}");
        assert_eq!(ended.stderr.is_empty(), status == 0, "{ended:?}");
    }
}

#[test]
fn chat_says_what_the_server_says() {
    let url = serve(|_, _, mut stream| {
        stream.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n\
              Content-Length: 40\r\n\r\n\
              {\"error\":{\"message\":\"Incorrect API key\"}}"
                .as_slice(),
        )
    });
    let ended = Program::start(chat(&url)).end();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("401"), "{ended:?}");
    assert!(ended.stderr.contains("Incorrect API key"), "{ended:?}");
    assert!(!ended.stderr.contains("k3y"), "{ended:?}");
}

#[test]
fn chat_ends_with_2_when_it_cannot_begin() {
    let ended = Program::start(chat("nowhere")).end();
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(!ended.stderr.is_empty());
    let mut without_key = chat("http://127.0.0.1/");
    without_key.env_remove("OPENAI_API_KEY");
    assert_eq!(Program::start(without_key).end().status, Some(2));
}

fn chat(url: &str) -> Command {
    let mut command = directly(&compile(&path("examples/chat.c")));
    command.args([url, "{\"stream\":true}"]).env("OPENAI_API_KEY", "k3y");
    command
}

#[test]
fn a_loop_of_epoll_follows_three_streams_on_one_thread() {
    follow_three_streams(&compile(&path("examples/epoll.c")));
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

fn no_content(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
}

// The readme

#[test]
fn the_program_in_the_readme_prints_events_until_the_server_says_no_more() {
    let readme = fs::read_to_string(path("README.md")).expect("a readme");
    let (_, rest) = readme.split_once("```c\n").expect("a C program in it");
    let (program, _) = rest.split_once("```").expect("the program's end");
    let source = scratch("readme.c");
    fs::write(&source, program).expect("scratch space");

    let url = serve(|number, _, mut stream| match number {
        0 => {
            let body = "retry: 10\ndata: one\n\nevent: ping\ndata: two\n\n";
            stream.write_all(format!("{HEAD}{body}").as_bytes())
        }
        _ => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n"),
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
    let ended = misuse(directly, "10000");
    assert_eq!(ended.status, Some(0), "{ended:#?}");
}

#[test]
fn no_misuse_touches_or_leaks_memory() {
    let ended = misuse(under_valgrind, "200");
    assert_eq!(ended.status, Some(0), "{ended:#?}");
}

fn misuse(command: fn(&Path) -> Command, count: &str) -> Ended {
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
    let mut misuse = command(&compile(&path("tests/c/misuse.c")));
    misuse.args([url.trim_end_matches('/'), count]);
    let ended = Program::start(misuse).end();
    let last = ended.lines.last().map(String::as_str);
    assert_eq!(last, Some("all misuse survived"), "{ended:#?}");
    ended
}

/// Events without end, as fast as they are read.
fn flood(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(HEAD.as_bytes())?;
    for id in 1.. {
        let event = if id % 2 == 0 { "event: ping\n" } else { "" };
        let block = format!(": {id}\nid: {id}\n{event}data: event {id}\n\n");
        stream.write_all(block.as_bytes())?;
    }
    Ok(())
}

/// One event, and the connection is lost.
fn lose(mut stream: TcpStream) -> io::Result<()> {
    let block = "retry: 1\ndata: the only one\n\n";
    stream.write_all(format!("{HEAD}{block}").as_bytes())
}

// Programs and what they talk to

fn directly(program: &Path) -> Command {
    Command::new(program)
}

/// Status 9 says that memory was misused or lost. What is only possibly lost
/// counts: a source that nobody frees is, as C holds a pointer into it.
fn under_valgrind(program: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args([
        "--quiet",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect,possible",
        "--error-exitcode=9",
    ]);
    let suppressions = path("tests/c/valgrind.supp");
    valgrind.arg(format!("--suppressions={}", suppressions.display()));
    valgrind.arg(program);
    valgrind
}

/// The head of a stream that lasts as long as its connection.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// Answers every connection on a thread of its own: `answer` is given its
/// number, its request head and itself. Returns the URL to ask.
fn serve<F>(answer: F) -> String
where
    F: Fn(usize, &str, TcpStream) -> io::Result<()> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                // A program that goes while it is answered is no failure
                // here: what it prints, and its exit status, tell.
                _ = read_head(&stream).and_then(|h| answer(number, &h, stream));
            });
        }
    });
    format!("http://{address}/")
}

fn read_head(stream: &TcpStream) -> io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// The request's Last-Event-ID, or `none`.
fn last_event_id(head: &str) -> &str {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("last-event-id"))
        .map_or("none", |(_, value)| value.trim())
}

fn wait_for_the_end_of(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}
