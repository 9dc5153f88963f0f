//! What the tests stand on: a server that does what the test says, a source
//! that remembers what its callbacks were told, and the system's look-up of
//! names, scripted; and all three together, in every phase of a connection.
//! Beside them streams and what they say, programs that a test starts, and
//! what benches have in common.

pub mod alone;
pub mod api;
pub mod bench;
pub mod callbacks;
pub mod certificates;
pub mod corpora;
pub mod event_loop;
pub mod faults;
pub mod http2;
pub mod limits;
pub mod names;
pub mod network;
pub mod phases;
pub mod pointer;
pub mod policy;
pub mod ports;
pub mod program;
pub mod reference;
pub mod said;
pub mod seen;
pub mod server;
pub mod servers;
pub mod source;
pub mod streams;
pub mod vectors;

use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take before it counts as hanging. Nothing waits this
/// long in a run that is well.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Names the test for which a process was started.
pub const ALONE: &str = "EVENTSOURCE_TEST_ALONE";

/// Runs `body` in a process of its own, which must end well and say nothing.
pub fn alone(test: &str, body: fn()) {
    if std::env::var(ALONE).is_ok_and(|name| name == test) {
        return body();
    }
    let output =
        std::process::Command::new(std::env::current_exe().expect("a program"))
            .args(["--exact", test, "--test-threads=1", "--nocapture"])
            .env(ALONE, test)
            .output()
            .expect("a process");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}{stderr}", output.status);
    // The harness itself writes to the other one.
    assert_eq!(stderr, "", "a library says nothing");
}

/// Calls `action` on a thread of its own; fails the test if it hangs.
pub fn promptly<T: Send + 'static>(
    what: &str,
    action: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        // The test may have given up by now.
        let _ = sender.send(action());
    });
    match receiver.recv_timeout(DEADLINE) {
        Ok(result) => {
            thread.join().expect("the action has ended");
            result
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            panic!("{what} panicked")
        }
    }
}

/// Looks again and again until `condition` holds; fails the test at the
/// deadline. For what the system tells nobody about.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "never came: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
