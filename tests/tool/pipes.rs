//! Standard output that is full, broken, or read slowly.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::program::{PROXIES, Program};
use support::server::{EVENT_STREAM, Server};
use support::until;

use super::{TOOL, tool};

/// Starts the command with a standard output that only the test reads.
pub(crate) fn piped(mut command: Command) -> Child {
    for name in PROXIES {
        command.env_remove(name);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the command")
}

/// What a child has said, and how it has ended.
fn end(child: Child) -> (Option<i32>, Option<i32>, String) {
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), output.status.signal(), said)
}

/// Sends events without end; tells how many bytes the client has taken.
pub(crate) fn flood(server: Server) -> Arc<AtomicUsize> {
    let sent = Arc::new(AtomicUsize::new(0));
    let counting = sent.clone();
    thread::spawn(move || {
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        let text = "x".repeat(1000);
        for id in 1.. {
            let event = format!("id: {id}\ndata: {id} {text}\n\n");
            if connection.try_send(&event).is_err() {
                return;
            }
            counting.fetch_add(event.len(), Ordering::SeqCst);
        }
    });
    sent
}

/// Waits until nothing moves any more; returns how many bytes have.
pub(crate) fn settled(sent: &AtomicUsize) -> usize {
    let mut before = 0;
    loop {
        until("bytes", || sent.load(Ordering::SeqCst) > 0);
        thread::sleep(Duration::from_millis(300));
        let now = sent.load(Ordering::SeqCst);
        if now == before {
            return now;
        }
        before = now;
    }
}

/// `| head -1`: as other filters do, quietly and by SIGPIPE, and at once, even
/// if the stream is silent from then on.
#[test]
fn ends_by_sigpipe_when_its_reader_goes() {
    let server = Server::start();
    let mut command = tool(&[]);
    command.arg(server.url("/"));
    let mut child = piped(command);
    let mut connection = server.accept();
    connection.send(format!("{EVENT_STREAM}data: a\n\n"));
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "a\n");
    drop(stdout);
    connection.sees_the_client_close();
    let (_, signal, said) = end(child);
    assert_eq!(signal, Some(libc::SIGPIPE));
    assert!(!said.contains("pipe"), "{said}");
}

/// A parent that has SIGPIPE ignored wants to hear of it.
#[test]
fn ends_with_23_where_sigpipe_is_ignored() {
    let server = Server::start();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' PIPE; exec \"$0\" \"$1\""]);
    shell.arg(&*TOOL).arg(server.url("/"));
    let mut child = piped(shell);
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    drop(child.stdout.take());
    connection.sees_the_client_close();
    let (status, _, said) = end(child);
    assert_eq!(status, Some(23));
    assert!(said.ends_with("standard output: Broken pipe\n"), "{said}");
}

#[test]
fn ends_with_23_where_its_help_cannot_be_written() {
    for option in ["--help", "-V"] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$1\" > /dev/full"]);
        shell.arg(&*TOOL).arg(option);
        let ended = Program::start(shell).end();
        assert_eq!(ended.status, Some(23), "{ended:?}");
    }
}

#[test]
fn ends_with_23_where_it_cannot_write() {
    for (redirect, why) in
        [("> /dev/full", "No space left"), (">&-", "Bad file descriptor")]
    {
        let server = Server::start();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec \"$0\" \"$1\" {redirect}")]);
        shell.arg(&*TOOL).arg(server.url("/"));
        let mut program = Program::start(shell);
        let mut connection = server.accept();
        connection.send(format!("{EVENT_STREAM}data: a\n\n"));
        let ended = program.end();
        assert_eq!(ended.status, Some(23), "{ended:?}");
        assert!(ended.stderr.contains(why), "{ended:?}");
    }
}

/// A full pipe slows the server down; nothing is lost when it is read again,
/// and a signal or the time limit ends the wait.
#[test]
fn waits_while_nobody_reads() {
    for how in ["read", "signal", "time"] {
        let server = Server::start();
        let url = server.url("/");
        let sent = flood(server);
        let limit: &[&str] = if how == "time" { &["-m", "2"] } else { &[] };
        let mut command = tool(limit);
        command.arg(url);
        let mut child = piped(command);
        let bytes = settled(&sent);
        // The queue, the receive buffer, the sockets' own and the pipe.
        assert!(bytes < 100 << 20, "{bytes}");
        match how {
            "read" => {
                let stdout = child.stdout.take().expect("piped");
                let lines = BufReader::new(stdout).lines().take(20_000);
                for (line, number) in lines.zip(1..) {
                    let line = line.expect("UTF-8");
                    assert!(line.starts_with(&format!("{number} x")), "{line}");
                    assert_eq!(line.len(), 1001 + number.to_string().len());
                }
                let (_, signal, _) = end(child);
                assert_eq!(signal, Some(libc::SIGPIPE));
            }
            "signal" => {
                let pid = child.id() as libc::pid_t;
                // SAFETY: a process of this test's.
                assert_eq!(unsafe { libc::kill(pid, libc::SIGINT) }, 0);
                let status = child.wait().expect("its end");
                assert_eq!(status.signal(), Some(libc::SIGINT));
            }
            _ => assert_eq!(child.wait().expect("its end").code(), Some(28)),
        }
    }
}

/// What else writes to the pipe may have made it one that does not block.
#[test]
fn waits_for_a_pipe_that_does_not_block() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    // SAFETY: an open descriptor.
    let result = unsafe {
        libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK)
    };
    assert_eq!(result, 0);
    let server = Server::start();
    let url = server.url("/");
    let sent = flood(server);
    let mut command = tool(&["-s"]);
    command.arg(url).stdout(writer).env_remove("http_proxy");
    let mut child = command.spawn().expect("the command");
    drop(command);
    settled(&sent);
    let mut taken = vec![0; 1 << 20];
    reader.read_exact(&mut taken).expect("it goes on");
    drop(reader);
    let status = child.wait().expect("its end");
    assert_eq!(status.signal(), Some(libc::SIGPIPE));
}
