//! How the command ends, and with which status.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use support::program::Program;
use support::server::{EVENT_STREAM, NOBODY, Server};

use super::{PLAIN, end_with_204, start, tool};

fn status(options: &[&str], url: &str) -> Option<i32> {
    let mut program = start(options, url);
    let ended = program.end();
    assert!(ended.lines.is_empty(), "{ended:?}");
    assert!(ended.stderr.contains("eventsource: "), "{ended:?}");
    ended.status
}

#[test]
fn with_the_status_of_what_it_cannot_do() {
    let directory = "/";
    let text = file("tool-text", "no certificate\n");
    for (options, expected) in [
        (&["--header", "no colon"][..], 2),
        (&["-H", "a b: c"], 2),
        (&["-H", "Connection: close"], 2),
        (&["-X", "HE AD"], 2),
        (&["-m", "soon"], 2),
        (&["-m", "-1"], 2),
        (&["-m", "nan"], 2),
        (&["--retry", "-1"], 2),
        (&["--retry", "1x"], 2),
        (&["--last-event-id", "a\nb"], 2),
        (&["--id-file", directory], 26),
        (&["--id-file", "/no/such/directory/file"], 23),
        (&["-d", "@/no/such/file"], 26),
        (&["-d", "@/"], 26),
        (&["-H", "@/no/such/file"], 26),
        (&["-H", "@/"], 26),
        (&["-u", "nobody"], 2),
        (&["--cacert", "/no/such/file"], 26),
        (&["--cacert", &text], 58),
        (&["--cert", &text], 58),
        (&["--unix-socket", ""], 2),
        (&["-x", "http://"], 3),
        (&["-x", "ftp://127.0.0.1/"], 1),
        (&["--pinnedpubkey", "md5//x"], 2),
        (&["--server-name", "a b"], 2),
        (&["--no-such-option"], 2),
        (&["--types"], 2),
    ] {
        assert_eq!(status(options, NOBODY), Some(expected), "{options:?}");
    }
    for (url, expected) in
        [("ftp://127.0.0.1/", 1), ("http://a b/", 3), ("", 3), ("http://", 3)]
    {
        assert_eq!(status(&[], url), Some(expected), "{url}");
    }
    for arguments in [&[][..], &[NOBODY, NOBODY]] {
        let ended = Program::start(tool(arguments)).end();
        assert_eq!(ended.status, Some(2));
        assert!(ended.stderr.contains("--help"), "{ended:?}");
    }
}

fn file(name: &str, text: &str) -> String {
    let path = support::program::scratch(name);
    std::fs::write(&path, text).expect("scratch space");
    path.to_str().expect("UTF-8").to_owned()
}

/// What one response, or none, leads to.
#[track_caller]
fn answered(head: &str, expected: i32) {
    let server = Server::start();
    let mut program = start(&["--retry", "0"], &server.url("/"));
    let mut connection = server.accept();
    connection.send(head);
    connection.finish();
    let ended = program.end();
    assert_eq!(ended.status, Some(expected), "{head}: {ended:?}");
}

#[test]
fn with_the_status_of_what_the_network_does() {
    answered("HTTP/1.1 204 No Content\r\n\r\n", 0);
    answered(&format!("{EVENT_STREAM}data: whole\n\n"), 0);
    answered(&format!("{EVENT_STREAM}data: cut o"), 56);
    answered("", 56);
    answered("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 22);
    answered("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", 22);
    answered("HTTP/1.1 302 Found\r\nLocation: ftp://a/\r\n\r\n", 47);
    answered("nonsense\r\n\r\n", 8);
    assert_eq!(status(&["--retry", "0"], NOBODY), Some(7));
    let nowhere = "http://no.such.host.invalid/";
    assert_eq!(status(&["--retry=0", "-x", ""], nowhere), Some(6));
}

/// As curl has it: so many attempts after the first, also where a server is
/// only busy. Without the option the standard's policy holds.
#[test]
fn after_so_many_attempts() {
    for (options, attempts) in [(&[][..], 1), (&["--retry=0"], 1)] {
        is_asked(options, attempts);
    }
    let started = Instant::now();
    is_asked(&["--retry", "1"], 2);
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After");
    let server = Server::start();
    let mut program = start(&["--retry", "inf"], &server.url("/"));
    server.accept().answer("503 Busy", "Content-Length: 0\r\n");
    end_with_204(&server, &mut program);
}

fn is_asked(options: &[&str], attempts: usize) {
    let server = Server::start();
    let mut program = start(options, &server.url("/"));
    for _ in 0..attempts {
        let headers = "Content-Length: 0\r\nRetry-After: 1\r\n";
        server.accept().answer("503 Busy", headers);
    }
    let ended = program.end();
    assert_eq!(ended.status, Some(22), "{ended:?}");
}

#[test]
fn when_its_time_is_over() {
    let server = Server::start();
    // While it waits for a response, for events, and for the next attempt.
    for phase in 0..3 {
        let started = Instant::now();
        let mut program = start(&["--max-time", "1.3"], &server.url("/"));
        let mut connection = server.accept();
        if phase > 0 {
            connection.send(format!("{EVENT_STREAM}data: a\n\n"));
        }
        let held = (phase < 2).then_some(connection);
        let ended = program.end();
        assert_eq!(ended.status, Some(28), "{ended:?}");
        assert!(ended.stderr.ends_with("the time limit has passed\n"));
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(1300), "{took:?}");
        drop(held);
    }
}

/// By the signal itself, so that a shell's loop ends, too.
#[test]
fn by_a_signal() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = format!("http://{}/", listener.local_addr().expect("bound"));
    for (name, number) in [("HUP", 1), ("INT", 2), ("TERM", 15)] {
        let server = Server::start();
        let mut program = start(&[], &server.url("/"));
        let mut connection = server.accept();
        connection.send(format!("{EVENT_STREAM}data: a\n\n"));
        program.wait_for("a");
        program.signal(name);
        let ended = program.end();
        assert_eq!(ended.signal, Some(number), "{ended:?}");
        assert_eq!(ended.lines, ["a"]);
        connection.sees_the_client_close();

        // While it connects, too.
        let mut program = start(&["-v"], &silent);
        let (_held, _) = listener.accept().expect("a connection");
        program.signal(name);
        assert_eq!(program.end().signal, Some(number));
    }
}

/// nohup(1), and jobs in the background of a shell.
#[test]
fn not_by_a_signal_that_it_is_to_ignore() {
    let server = Server::start();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP INT; exec \"$0\" \"$1\""]);
    shell.arg(&*PLAIN).arg(server.url("/"));
    let mut program = Program::start(shell);
    let mut connection = server.accept();
    connection.send(format!("{EVENT_STREAM}retry: 1\ndata: a\n\n"));
    program.wait_for("a");
    program.signal("HUP");
    program.signal("INT");
    connection.send("data: b\n\n");
    program.wait_for("b");
    connection.finish();
    end_with_204(&server, &mut program);
}
