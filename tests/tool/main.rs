//! The command: `eventsource URL`, tools/eventsource.c, over real sockets,
//! pipes and terminals.

#![expect(unsafe_code, reason = "system calls that std lacks")]

mod documents;
mod ends;
mod ids;
mod pipes;
mod prints;
mod requests;
mod terminal;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use support::program::{Ended, Program, SANITIZED, build, path};
use support::server::{EVENT_STREAM, Server};

/// The command's sources.
fn sources() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path("tools")).expect("its directory");
    let files = entries.map(|entry| entry.expect("a file").path());
    let mut sources: Vec<_> =
        files.filter(|it| it.extension() == Some(OsStr::new("c"))).collect();
    sources.sort();
    assert!(sources.len() > 5, "so few? {sources:?}");
    sources
}

fn compiled(name: &str, flags: &[&str]) -> PathBuf {
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-g"]).args(flags);
    let sources = sources();
    let inputs: Vec<_> = sources.iter().map(|it| it.as_os_str()).collect();
    build(cc, &inputs, name)
}

/// The command, which ends at what is misused, undefined or lost.
static TOOL: LazyLock<PathBuf> =
    LazyLock::new(|| compiled("eventsource-sanitized", &SANITIZED));

/// The command as its users have it.
static PLAIN: LazyLock<PathBuf> =
    LazyLock::new(|| compiled("eventsource", &["-O2"]));

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(&*TOOL);
    command.args(arguments);
    command
}

/// Starts the command, with `url` behind its options.
fn start(options: &[&str], url: &str) -> Program {
    let mut command = tool(options);
    command.arg(url);
    Program::start(command)
}

/// Has the command print one stream to its end, and returns what it printed.
fn print(options: &[&str], stream: impl AsRef<[u8]>) -> Ended {
    let server = Server::start();
    let mut program = start(options, &server.url("/"));
    let mut connection = server.accept();
    connection.send(format!("{EVENT_STREAM}retry: 1\n"));
    connection.send(stream);
    connection.finish();
    end_with_204(&server, &mut program)
}

/// Lets the server say that it wants no more.
fn end_with_204(server: &Server, program: &mut Program) -> Ended {
    server.accept().answer("204 No Content", "");
    let ended = program.end();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended
}
