//! Takes the library's code as it is, but for where its locks, atomics and
//! descriptors come from.

use std::env;
use std::fs;
use std::path::Path;

const STATE: [(&str, &str); 5] = [
    ("std::sync::atomic::", "loom::sync::atomic::"),
    ("use std::fs::File;", "use crate::sys::File;"),
    ("use std::os::fd::AsFd;", ""),
    ("libc::pollfd", "sys::Entry"),
    ("//! ", "// "),
];

const QUEUE: [(&str, &str); 4] = [
    (
        "use std::sync::{Arc, Mutex, MutexGuard, PoisonError};",
        "use loom::sync::{Arc, Mutex, MutexGuard}; use std::sync::PoisonError;",
    ),
    ("static POOL", "loom::lazy_static! { static ref POOL"),
    ("Mutex::new(Vec::new());", "Mutex::new(Vec::new()); }"),
    ("//! ", "// "),
];

fn main() {
    take("state.rs", &STATE);
    take("source/queue.rs", &QUEUE);
}

fn take(file: &str, elsewhere: &[(&str, &str)]) {
    let source = format!("../src/{file}");
    println!("cargo::rerun-if-changed={source}");
    let mut code = fs::read_to_string(&source).expect("the source");
    for (here, there) in elsewhere {
        assert!(code.contains(here), "{source} has no {here}");
        code = code.replace(here, there);
    }
    let code = code.replace("//!\n", "//\n");
    let place = env::var("OUT_DIR").expect("set by cargo");
    let name = Path::new(file).file_name().expect("a name");
    fs::write(Path::new(&place).join(name), code).expect("a file");
}
