//! The example programs, each against a server that behaves as the service
//! does that it stands for. `listen` has a suite of its own, in each language.

mod chat;
mod cookbook;
mod firebase;
mod hue;
mod loops;
mod mcp;
mod own_http;
mod service;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::program::{WARNINGS, go, path, scratch, succeed};

/// An example in Go, compiled.
fn go_program(name: &str) -> PathBuf {
    let program = scratch("go").join(name);
    let source = format!("../../examples/{name}.go");
    let to = program.to_str().expect("UTF-8");
    succeed(go(&["build", "-o", to, &source]));
    program
}

#[test]
fn the_examples_are_clean_c99() {
    let examples = fs::read_dir(path("examples")).expect("examples");
    let examples = examples.map(|entry| entry.expect("an example").path());
    let is_c = |it: &PathBuf| it.extension().is_some_and(|it| it == "c");
    // Where GLib's header is, pkg-config says.
    let is_plain = |it: &PathBuf| !it.ends_with("glib.c");
    for example in examples.filter(is_c).filter(is_plain) {
        for compiler in ["gcc", "clang"] {
            let mut command = Command::new(compiler);
            command.arg("-std=c99").args(WARNINGS).arg("-fsyntax-only");
            command.arg("-I").arg(path("include"));
            command.arg(&example);
            succeed(command);
        }
    }
}
