//! `--id-file`: a run goes on where the one before has stopped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use support::program::{Program, scratch};
use support::server::{Connection, EVENT_STREAM, Server};
use support::until;

use super::pipes::{flood, piped, settled};
use super::{end_with_204, start, tool};

/// A path at which no file is.
fn free(name: &str) -> PathBuf {
    let path = scratch(&format!("tool-id-{name}"));
    _ = fs::remove_file(&path);
    path
}

fn following(server: &Server, file: &Path) -> (Program, Connection) {
    let file = file.to_str().expect("UTF-8");
    let program = start(&["--id-file", file], &server.url("/"));
    (program, server.accept())
}

fn kept(file: &Path) -> String {
    fs::read_to_string(file).expect("a file")
}

#[test]
fn goes_on_where_the_run_before_has_stopped() {
    let file = free("runs");
    let server = Server::start();
    for (asked_for, stream, id) in [
        (None, "data: a\n\n", ""),
        (None, "id: 1\ndata: b\n\nid: 2\ndata: unfini", "1"),
        // An id without an event counts when the next event comes, or the end.
        (Some("1"), "id:  a b\u{fc}\n\n", " a b\u{fc}"),
        (Some("a b\u{fc}"), "data: c\n\n", " a b\u{fc}"),
        (Some("a b\u{fc}"), "id\ndata: d\n\n", ""),
        (None, "id: 3\nevent: other\ndata: e\n\n", "3"),
        (Some("3"), "", "3"),
    ] {
        let (mut program, mut connection) = following(&server, &file);
        let header = connection.request.header("last-event-id");
        assert_eq!(header, asked_for, "{stream}");
        connection.send(format!("{EVENT_STREAM}retry: 1\n"));
        connection.send(stream);
        connection.finish();
        end_with_204(&server, &mut program);
        assert_eq!(kept(&file), format!("{id}\n"), "{stream}");
    }
    // Nothing is left beside it.
    assert!(!file.with_extension("new").exists());
}

/// The command line says where the first run begins, and no other.
#[test]
fn begins_where_the_command_line_says() {
    let file = free("first");
    let path = file.to_str().expect("UTF-8");
    let server = Server::start();
    let options = ["--id-file", path, "--last-event-id", "7"];
    let mut program = start(&options, &server.url("/"));
    let mut connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("7"));
    assert_eq!(kept(&file), "7\n");
    connection.send(format!("{EVENT_STREAM}id: 8\ndata: a\n\n"));
    program.wait_for("a");
    until("the id", || kept(&file) == "8\n");
    program.signal("TERM");
    program.end();
    let mut program = start(&options, &server.url("/"));
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("8"));
    program.signal("TERM");
    program.end();
}

#[test]
fn counts_what_is_not_printed() {
    let file = free("types");
    let path = file.to_str().expect("UTF-8");
    let server = Server::start();
    let options = ["--id-file", path, "--types", "ping"];
    let mut program = start(&options, &server.url("/"));
    let mut connection = server.accept();
    connection.send(format!("{EVENT_STREAM}retry: 1\nid: 1\ndata: a\n\n"));
    connection.finish();
    let ended = end_with_204(&server, &mut program);
    assert!(ended.lines.is_empty());
    assert_eq!(kept(&file), "1\n");
}

/// Killed at any moment, the file holds the id of an event that was written
/// out, and not of one that nobody has read.
#[test]
fn loses_nothing_when_it_is_killed() {
    let file = free("killed");
    for round in 0..4 {
        _ = fs::remove_file(&file);
        let server = Server::start();
        let url = server.url("/");
        let sent = flood(server);
        let mut command = tool(&["--id-file", file.to_str().expect("UTF-8")]);
        command.arg(url);
        let mut child = piped(command);
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut last = 0;
        // Once while all is full, and at other moments.
        if round == 0 {
            settled(&sent);
        }
        for _ in 0..round * 3000 {
            last = number_in(&mut stdout).expect("it goes on");
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("its end");
        while let Some(number) = number_in(&mut stdout) {
            assert_eq!(number, last + 1);
            last = number;
        }
        let id = kept(&file);
        let id = id.strip_suffix('\n').expect("a whole line");
        let id = if id.is_empty() { 0 } else { id.parse().expect("an id") };
        assert!(id <= last, "{id} is kept, {last} was written");
        assert!(last - id < 2000, "{id} is kept, {last} was written");
    }
}

/// Told to end, or out of time, it writes what it has taken, and no half of an
/// event, and keeps the id of the last. Events come faster than it writes them.
#[test]
fn keeps_what_it_has_written_when_it_ends() {
    let file = free("ended");
    let events = free("events");
    for limit in ["1", "60"] {
        _ = fs::remove_file(&file);
        let server = Server::start();
        let url = server.url("/");
        let sent = hail(server);
        let path = file.to_str().expect("UTF-8");
        let options = ["--id-file", path, "-m", limit, "-s", "--json"];
        let mut command = tool(&options);
        command.arg(url).env_remove("http_proxy");
        command.stdout(fs::File::create(&events).expect("scratch space"));
        let mut child = command.spawn().expect("the command");
        if limit == "60" {
            until("many", || sent.load(Ordering::SeqCst) > 20);
            // SAFETY: a process of this test's.
            let result =
                unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
            assert_eq!(result, 0);
        }
        let status = child.wait().expect("its end");
        assert_eq!(status.code(), (limit == "1").then_some(28));
        let events = fs::read_to_string(&events).expect("events");
        assert!(events.ends_with("}\n"), "a whole line");
        let last = events.lines().last().expect("events");
        let last: Value = serde_json::from_str(last).expect("JSON");
        let id = last["id"].as_str().expect("an id");
        assert_eq!(kept(&file), format!("{id}\n"));
    }
}

/// Sends small events, ten thousand at once, without end. Tells how often.
fn hail(server: Server) -> Arc<AtomicUsize> {
    let sent = Arc::new(AtomicUsize::new(0));
    let counting = sent.clone();
    thread::spawn(move || {
        let mut connection = server.accept();
        connection.send(EVENT_STREAM);
        for round in 0.. {
            let events =
                (0..10_000).map(|it| format!("id:{round}.{it}\ndata\n\n"));
            if connection.try_send(events.collect::<String>()).is_err() {
                return;
            }
            counting.fetch_add(1, Ordering::SeqCst);
        }
    });
    sent
}

/// The number of the next event; None for one that was cut off.
fn number_in(stdout: &mut impl BufRead) -> Option<u64> {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("UTF-8");
    let line = line.strip_suffix('\n')?;
    line.split(' ').next().map(|it| it.parse().expect("a number"))
}

#[test]
fn ends_with_23_when_the_id_cannot_be_kept() {
    let directory = scratch("tool-id-directory");
    fs::create_dir_all(&directory).expect("scratch space");
    let file = directory.join("id");
    _ = fs::remove_file(&file);
    let server = Server::start();
    let (mut program, mut connection) = following(&server, &file);
    fs::remove_file(&file).expect("it was made at the start");
    fs::remove_dir(&directory).expect("an empty directory");
    connection.send(format!("{EVENT_STREAM}id: 1\ndata: a\n\n"));
    let ended = program.end();
    assert_eq!(ended.status, Some(23), "{ended:?}");
    assert_eq!(ended.lines, ["a"]);
    assert!(ended.stderr.contains("No such file"), "{ended:?}");
}
