//! Gives the shared object the name that programs are linked with.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let var = |name| env::var(name).unwrap_or_default();
    let unix = var("CARGO_CFG_TARGET_FAMILY").split(',').any(|f| f == "unix");
    if unix && var("CARGO_CFG_TARGET_VENDOR") != "apple" {
        // The major version, 0 included: the ABI only grows, and a release
        // that a program would have to be rebuilt for is a new major version.
        let soname =
            format!("libeventsource.so.{}", var("CARGO_PKG_VERSION_MAJOR"));
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
        // A host look-up that the system would not cancel may outlive
        // dlclose; the code it returns to stays.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
