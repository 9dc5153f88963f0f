//! Real servers, and the example program that follows their streams.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{Program, compile, path};

/// A program of the system's; Debian's servers are in /usr/sbin, which is not
/// on everybody's path.
pub fn system(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}

/// nginx, with the `nginx.conf` in a directory.
pub fn nginx(directory: &Path) -> Command {
    let mut nginx = system("nginx");
    nginx.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(directory);
    nginx
}

/// Starts a server, and returns when it accepts connections.
pub fn start(server: Command, address: SocketAddr) -> Program {
    let mut server = Program::start(server);
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            server.signal("KILL");
            panic!("nothing listens on {address}: {:#?}", server.end());
        }
        thread::sleep(Duration::from_millis(5));
    }
    server
}

pub fn listen(url: &str) -> Program {
    let mut listen = Command::new(compile(&path("examples/listen.c")));
    listen.arg(url);
    Program::start(listen)
}

/// Ends the program, and returns what it has printed.
pub fn stop(mut listen: Program) -> Vec<String> {
    listen.signal("INT");
    let ended = listen.end();
    assert_eq!(ended.status, Some(0), "{ended:#?}");
    assert_eq!(ended.stderr, "", "it has nothing to complain about");
    ended.lines
}
