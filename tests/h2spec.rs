//! h2spec's tests of HTTP/2 clients: each is a server that does one thing, most
//! often a wrong one, and looks at what the client says to it. A source hangs
//! up when its stream is over, where h2spec goes on: it has the engine alone.
#![cfg(feature = "http2")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use support::program::{path, scratch, succeed};

#[path = "../src/http2/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the library uses all of it")]
mod http2;

use http2::{Engine, Event, Secrecy};

/// Where the process that is the client of one test finds its URL.
const URL: &str = "EVENTSOURCE_TEST_H2SPEC";

#[test]
fn passes_every_test_that_h2spec_has_for_clients() {
    if let Ok(url) = std::env::var(URL) {
        return ask(&url);
    }
    // Each test has a port of its own, below those that the system gives away.
    let first = 20_000 + std::process::id() % 120 * 100;
    let mut h2spec = Command::new(h2spec());
    h2spec.arg("--exec").arg(client());
    h2spec.args(["--from-port", &first.to_string()]);
    h2spec.args(["--port", &(first + 99).to_string(), "--timeout", "1"]);
    let said = succeed(h2spec).stdout;
    let said = String::from_utf8_lossy(&said).replace('\r', "\n");
    assert!(said.contains("57 tests, 57 passed"), "{said}");
}

/// Asks the server of one test, until it closes.
fn ask(url: &str) {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut socket = TcpStream::connect(host).expect("a server");
    let mut engine = Engine::new();
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", host),
        (":path", "/"),
    ];
    let fields = fields.iter().map(|(name, value)| {
        (name.as_bytes(), value.as_bytes(), Secrecy::Open)
    });
    engine.request(fields, false).expect("a stream");
    let mut buffer = [0; 4096];
    let mut is_broken = false;
    loop {
        while !engine.output().is_empty() {
            let Ok(sent) = socket.write(engine.output()) else { return };
            engine.sent(sent);
        }
        if is_broken && socket.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let Ok(read @ 1..) = socket.read(&mut buffer) else { return };
        let mut bytes = &mut buffer[..read];
        while !is_broken && !bytes.is_empty() {
            match engine.next(&mut bytes) {
                Ok(Some(Event::Data { stream, bytes })) => {
                    engine.consumed(stream, bytes.len());
                }
                Ok(_) => {}
                Err(_) => is_broken = true,
            }
        }
    }
}

/// A program that asks the URL which is its last argument. h2spec waits three
/// seconds for its end.
fn client() -> PathBuf {
    let this = std::env::current_exe().expect("a program");
    let script = format!(
        "#!/bin/sh\n{URL}=\"$1\" exec timeout 2.2 '{}' \
         --exact passes_every_test_that_h2spec_has_for_clients\n",
        this.display()
    );
    let program = scratch("h2spec-client");
    fs::create_dir_all(scratch("")).expect("a directory");
    fs::write(&program, script).expect("a script");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&program, executable).expect("a script");
    program
}

/// h2spec, built if it is not there yet: that takes the network once.
fn h2spec() -> PathBuf {
    const PACKAGE: &str = "github.com/summerwind/h2spec/cmd/h2specd";

    let program = scratch("go-bin").join("h2specd");
    if !program.exists() {
        // The module that is named there, and those that it needs.
        let mut go = Command::new("go");
        go.current_dir(path("tests/h2spec")).env_remove("GOFLAGS");
        go.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(PACKAGE);
        succeed(go);
    }
    program
}
