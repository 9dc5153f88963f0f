//! Standard error, and standard output, on a terminal.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::ptr;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use support::DEADLINE;
use support::program::{PROXIES, Program};
use support::server::{EVENT_STREAM, Server};

use super::{TOOL, tool};

/// What programs write to a terminal.
struct Screen {
    written: Receiver<Vec<u8>>,
    so_far: String,
}

/// A terminal of so many columns, and what is written to it.
fn terminal(columns: u16) -> (OwnedFd, Screen) {
    let (mut ours, mut theirs) = (-1, -1);
    let size = libc::winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: places for two descriptors, and a size.
    let result = unsafe {
        libc::openpty(
            &mut ours,
            &mut theirs,
            ptr::null_mut(),
            ptr::null(),
            &size,
        )
    };
    assert_eq!(result, 0, "a terminal");
    // SAFETY: they have just been opened, and are nobody else's.
    let (ours, theirs) =
        unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    // No other program that a test starts keeps the terminal open.
    for file in [&ours, &theirs] {
        // SAFETY: an open descriptor.
        let result = unsafe {
            libc::fcntl(file.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC)
        };
        assert_eq!(result, 0);
    }
    let (sender, written) = mpsc::channel();
    let mut ours = File::from(ours);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        // EIO, when nobody has the other side any more.
        while let Ok(len) = ours.read(&mut bytes) {
            if sender.send(bytes[..len].to_vec()).is_err() {
                return;
            }
        }
    });
    (theirs, Screen { written, so_far: String::new() })
}

impl Screen {
    fn wait_for(&mut self, text: &str) {
        while !self.so_far.contains(text) {
            let more = self.written.recv_timeout(DEADLINE);
            let more = more.unwrap_or_else(|_| {
                panic!("{text:?} is not in {:?}", self.so_far)
            });
            self.so_far += &String::from_utf8_lossy(&more);
        }
    }

    /// All of it, once nobody writes any more.
    fn all(mut self) -> String {
        while let Ok(more) = self.written.recv_timeout(DEADLINE) {
            self.so_far += &String::from_utf8_lossy(&more);
        }
        self.so_far
    }
}

/// What stays on the screen: a line that is taken away does not.
fn visible(written: &str) -> String {
    let mut lines = Vec::new();
    for line in written.split("\r\n") {
        let shown = line.rsplit("\r\u{1b}[K").next().expect("one at least");
        lines.push(shown.to_owned());
    }
    lines.join("\n")
}

fn on_terminal(command: Command, terminal: OwnedFd) -> Child {
    on_terminal_called("xterm", command, terminal)
}

fn on_terminal_called(
    term: &str,
    mut command: Command,
    terminal: OwnedFd,
) -> Child {
    for name in PROXIES {
        command.env_remove(name);
    }
    command.env("TERM", term).stderr(terminal);
    command.spawn().expect("the command")
}

fn interrupt(child: &Child) {
    // SAFETY: a process of this test's.
    let result = unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    assert_eq!(result, 0);
}

const GREEN_OPEN: &str = "\u{1b}[32mopen\u{1b}[0m";

#[test]
fn has_colours_and_a_live_line_that_leaves_nothing_behind() {
    let server = Server::start();
    let (theirs, mut screen) = terminal(80);
    let mut command = tool(&[]);
    command.arg(server.url("/")).stdout(Stdio::piped()).env_remove("NO_COLOR");
    let child = on_terminal(command, theirs);
    screen.wait_for("connecting  0 events");
    let mut connection = server.accept();
    connection.send(format!("{EVENT_STREAM}id: 4\u{9b}1\ndata: a\n\n"));
    screen.wait_for(&format!("{GREEN_OPEN}  1 events"));
    screen.wait_for("id 4??1");
    connection.send("data: b\n\n");
    screen.wait_for("  2 events");
    connection.finish();
    screen.wait_for("\u{1b}[33mlost\u{1b}[0m  2 events");
    interrupt(&child);
    child.wait_with_output().expect("its end");
    let visible = visible(&screen.all());
    let lines: Vec<_> = visible.lines().collect();
    let [open, lost] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        open,
        format!("eventsource: {GREEN_OPEN}: 200 {}", server.url("/"))
    );
    assert!(lost.starts_with("eventsource: \u{1b}[33mlost\u{1b}[0m: "));
}

/// The live line is on one line of the terminal, whatever the id is.
#[test]
fn fits_a_narrow_terminal() {
    for (character, columns) in [('\u{fc}', 1), ('\u{8a9e}', 2)] {
        let server = Server::start();
        let (theirs, mut screen) = terminal(40);
        let mut command = tool(&[]);
        command.arg(server.url("/")).stdout(Stdio::null());
        command.env("NO_COLOR", "1");
        let child = on_terminal(command, theirs);
        let id = character.to_string().repeat(2000);
        let mut connection = server.accept();
        connection.send(format!("{EVENT_STREAM}id: {id}\ndata: a\n\n"));
        screen.wait_for("open  1 events  0.0/s  ");
        screen.wait_for(&format!("{character}\r"));
        interrupt(&child);
        child.wait_with_output().expect("its end");
        let written = screen.all();
        assert!(!written.contains("\u{1b}[3"), "no colours: {written:?}");
        for line in written.split(['\r', '\n']) {
            let line = line.trim_start_matches("\u{1b}[K");
            let live = line.starts_with("open  ");
            let width = |it| if it == character { columns } else { 1 };
            let width: usize = line.chars().map(width).sum();
            assert!(!live || width < 40, "{line:?}");
        }
    }
}

/// Data and live line on the same terminal do not get into each other's way.
#[test]
fn writes_data_where_the_live_line_was() {
    let server = Server::start();
    let (theirs, mut screen) = terminal(80);
    let mut command = tool(&[]);
    let same = theirs.try_clone().expect("a descriptor");
    command.arg(server.url("/")).stdout(same).env("NO_COLOR", "1");
    let child = on_terminal(command, theirs);
    let mut connection = server.accept();
    connection.send(EVENT_STREAM);
    for number in 1..=3 {
        // A terminal obeys no server.
        connection
            .send(format!("data: {number}\tdata\u{1b}[2J\u{9b}\u{7f}\n\n"));
        screen.wait_for(&format!("open  {number} events"));
    }
    interrupt(&child);
    child.wait_with_output().expect("its end");
    let visible = visible(&screen.all());
    let open = format!("eventsource: open: 200 {}", server.url("/"));
    let data = "\tdata?[2J??\n";
    assert_eq!(visible, format!("{open}\n1{data}2{data}3{data}"));
}

/// Neither a live line nor colours for a terminal that has no cursor, and
/// nothing at all with -s.
#[test]
fn is_as_quiet_as_is_wanted() {
    for (term, options) in [("dumb", &[][..]), ("xterm", &["-s"])] {
        let server = Server::start();
        let (theirs, screen) = terminal(80);
        let mut command = tool(options);
        command.arg(server.url("/")).stdout(Stdio::piped());
        let mut child = on_terminal_called(term, command, theirs);
        let mut connection = server.accept();
        connection.send(format!("{EVENT_STREAM}data: a\n\n"));
        let mut byte = [0];
        let stdout = child.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut byte).expect("data");
        connection.finish();
        server.accept().answer("204 No Content", "");
        child.wait_with_output().expect("its end");
        let written = screen.all();
        assert!(!written.contains('\u{1b}'), "{written:?}");
        assert_eq!(written.is_empty(), term == "xterm", "{written:?}");
    }
}

/// A shell's job in the background shows no live line, and one in the
/// foreground does.
#[test]
fn leaves_the_terminal_to_others_in_the_background() {
    for (background, is_live) in [("& wait", false), ("; true", true)] {
        let server = Server::start();
        let line = format!(
            "bash -mc '\"{}\" {} {background}'",
            TOOL.display(),
            server.url("/")
        );
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
        let mut program = Program::start(script);
        let mut connection = server.accept();
        connection.send(format!("{EVENT_STREAM}retry: 1\ndata: a\n\n"));
        program.wait_until(|line| line.ends_with("a\r"));
        connection.finish();
        server.accept().answer("204 No Content", "");
        let ended = program.end();
        let live = ended.lines.iter().any(|line| line.contains(" events  "));
        assert_eq!(live, is_live, "{ended:?}");
    }
}
