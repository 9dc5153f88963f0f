//! Networks of a test's own.

use std::ffi::{c_int, c_long, c_void};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::ALONE;
use crate::program::succeed;

/// Runs a program of the system, which must end well.
pub fn run(program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin"));
    command.args(arguments);
    succeed(command);
}

/// Runs `body` in a process with a network of its own: a loopback interface,
/// and nothing else. An ordinary user is root there, and only there.
pub fn in_a_network(test: &str, body: fn()) {
    if std::env::var(ALONE).is_ok_and(|name| name == test) {
        run("ip", &["link", "set", "lo", "up"]);
        return body();
    }
    let mut command = Command::new("unshare");
    if fs::metadata("/proc/self").expect("a process").uid() != 0 {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .arg("--net")
        .arg(std::env::current_exe().expect("a program"))
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, test);
    succeed(command);
}

/// The system's call, for programs in which another takes the place of the C
/// library's.
///
/// # Safety
///
/// As setsockopt(2) has it.
pub unsafe fn setsockopt(
    socket: c_int,
    level: c_int,
    option: c_int,
    value: *const c_void,
    length: libc::socklen_t,
) -> c_int {
    // SAFETY: the caller's promise, passed on.
    let result: c_long = unsafe {
        libc::syscall(
            libc::SYS_setsockopt,
            socket,
            level,
            option,
            value,
            length,
        )
    };
    result as c_int
}

/// The same.
///
/// # Safety
///
/// As clock_gettime(2) has it.
pub unsafe fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> c_int {
    // SAFETY: the caller's promise, passed on.
    let result: c_long =
        unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    result as c_int
}
