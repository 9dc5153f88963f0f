//! What programs are compiled with stays: a library made from the header is
//! compared with tests/package/eventsource.abi, the ABI of the last release.
//! Functions and enumerators may be added to it. Any other change fails until somebody has
//! judged that programs need not be rebuilt, or has changed the SONAME:
//!
//! `UPDATE_ABI=1 cargo test --test package abi` writes it anew.

use std::fmt::Write;
use std::fs;
use std::process::Command;
use support::api::{API, Function};
use support::program::{SONAME, path, scratch, succeed};

#[test]
fn the_abi_is_that_of_the_last_release_or_more() {
    let committed = path("tests/package/eventsource.abi");
    let current = scratch("eventsource.abi");
    let mut abidw = Command::new("abidw");
    abidw.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs"]);
    abidw.args(["--drop-private-types", "--out-file"]).arg(&current);
    abidw.arg(stub());
    succeed(abidw);
    if std::env::var_os("UPDATE_ABI").is_some() {
        fs::copy(&current, &committed).expect("the description");
    }

    let mut abidiff = Command::new("abidiff");
    abidiff.arg("--no-added-syms");
    succeed({
        abidiff.arg(committed).arg(current);
        abidiff
    });
}

/// A shared object with the functions that the header declares. The library
/// itself has the types of Rust in its debugging information.
fn stub() -> std::path::PathBuf {
    let mut code = String::from("#include <eventsource.h>\n");
    for Function { result, name, parameters, .. } in &API.functions {
        let parameters = match parameters.len() {
            0 => "void".to_owned(),
            _ => parameters.join(", "),
        };
        writeln!(code, "{result} {name}({parameters}) {{ __builtin_trap(); }}")
            .expect("text is text");
    }
    fs::write(scratch("stub.c"), code).expect("scratch space");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-g", "-shared", "-fPIC", "-nostdlib"]);
    cc.arg(format!("-Wl,-soname,{SONAME}")).arg("-I").arg(path("include"));
    // The description names the source file: by a relative path.
    cc.current_dir(scratch("")).args(["-o", "stub.so", "stub.c"]);
    succeed(cc);
    scratch("stub.so")
}
