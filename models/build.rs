//! Takes src/state.rs as it is, but for where its atomics and its descriptor
//! come from.

use std::env;
use std::fs;
use std::path::Path;

const SOURCE: &str = "../src/state.rs";
const ELSEWHERE: [(&str, &str); 5] = [
    ("std::sync::atomic::", "loom::sync::atomic::"),
    ("use std::fs::File;", "use crate::sys::File;"),
    ("use std::os::fd::AsFd;", ""),
    ("libc::pollfd", "sys::Entry"),
    ("//! ", "// "),
];

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let mut code = fs::read_to_string(SOURCE).expect("the source");
    for (here, there) in ELSEWHERE {
        assert!(code.contains(here), "{SOURCE} has no {here}");
        code = code.replace(here, there);
    }
    let code = code.replace("//!\n", "//\n");
    let place = env::var("OUT_DIR").expect("set by cargo");
    fs::write(Path::new(&place).join("state.rs"), code).expect("a file");
}
