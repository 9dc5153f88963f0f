//! What the tests stand on: a server that does what the test says, a source
//! that remembers what its callbacks were told, and the system's look-up of
//! names, scripted; and all three together, in every phase of a connection.

pub(crate) mod certificates;
pub(crate) mod faults;
pub(crate) mod limits;
pub(crate) mod names;
pub(crate) mod phases;
pub(crate) mod policy;
pub(crate) mod ports;
pub(crate) mod server;
pub(crate) mod source;

use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take before it counts as hanging. Nothing waits this
/// long in a run that is well.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Names the test for which a process was started.
pub(crate) const ALONE: &str = "EVENTSOURCE_TEST_ALONE";

/// Runs `body` in a process of its own, which must end well and say nothing.
pub(crate) fn alone(test: &str, body: fn()) {
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
pub(crate) fn promptly<T: Send + 'static>(
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
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "never came: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
