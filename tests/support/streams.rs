//! Programs that follow streams, and a server that a test scripts by what it
//! writes.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use crate::program::path;

/// What the readme shows in this language, first.
pub fn in_the_readme(language: &str) -> String {
    let readme = fs::read_to_string(path("README.md")).expect("a readme");
    let fence = format!("```{language}\n");
    let (_, rest) = readme.split_once(&fence).expect("a program in it");
    let (program, _) = rest.split_once("```").expect("the program's end");
    program.to_owned()
}

pub fn directly(program: &Path) -> Command {
    Command::new(program)
}

/// Status 9 says that memory was misused or lost, or possibly lost.
pub fn under_valgrind(program: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind.args([
        "--quiet",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite,indirect,possible",
        "--error-exitcode=9",
    ]);
    valgrind.arg(program);
    valgrind
}

/// The head of a stream that lasts as long as its connection.
pub const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// Answers every connection on a thread of its own: `answer` is given its
/// number, its request head and itself. Returns the URL to ask.
pub fn serve<F>(answer: F) -> String
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

fn read_head(mut stream: &TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    // Byte by byte: a body is for the one who answers.
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// The request's Last-Event-ID, or `none`.
pub fn last_event_id(head: &str) -> &str {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("last-event-id"))
        .map_or("none", |(_, value)| value.trim())
}

pub fn wait_for_the_end_of(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}

/// The server wants the program to stop.
pub fn no_content(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
}

/// Events without end, as fast as they are read.
pub fn flood(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(HEAD.as_bytes())?;
    for id in 1.. {
        let event = if id % 2 == 0 { "event: ping\n" } else { "" };
        let block = format!(": {id}\nid: {id}\n{event}data: event {id}\n\n");
        stream.write_all(block.as_bytes())?;
    }
    Ok(())
}

/// One event, and the connection is lost.
pub fn lose(mut stream: TcpStream) -> io::Result<()> {
    let block = "retry: 1\ndata: the only one\n\n";
    stream.write_all(format!("{HEAD}{block}").as_bytes())
}
