//! Gives the shared object its SONAME: the name under which programs load it.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let var = |name| env::var(name).unwrap_or_default();
    let unix = var("CARGO_CFG_TARGET_FAMILY").split(',').any(|f| f == "unix");
    if unix && var("CARGO_CFG_TARGET_VENDOR") != "apple" {
        // The major version, also while it is 0: the ABI only grows, and a
        // release for which programs have to be rebuilt is a new major version.
        // The Makefile forms the same name.
        let soname =
            format!("libeventsource.so.{}", var("CARGO_PKG_VERSION_MAJOR"));
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
        // The system cannot cancel a look-up of a host name. Its thread may
        // outlive dlclose(), so the library's code is never unloaded.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
