//! This program once more, as a server whose CPU time does not count.

use std::env;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Killed when dropped.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Started with `SERVE` in its environment, which says what.
    pub fn start(serve: &str) -> Process {
        let program = env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .env("SERVE", serve)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let output = child.stdout.take().expect("piped");
        Process { child, lines: BufReader::new(output).lines() }
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("text")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().expect("a server to kill");
        self.child.wait().expect("a server that ends");
    }
}
