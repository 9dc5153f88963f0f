//! The classic demo: a `ping` each second, a message at random moments, and
//! a connection that is dropped now and then. A C program follows it.
//!
//! ```text
//! cargo run --example demo -- path/to/listen
//! ```
//!
//! `listen` is examples/listen.c, compiled. Lines that begin with `server` tell
//! what the server does, those with `listen` are the program's. In the end the
//! program's lines are compared with the events that were sent: the exit status
//! is 0 only if every event arrived once, through two lost connections.

use std::collections::hash_map::RandomState;
use std::env;
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the program listens.
const DEMO: Duration = Duration::from_secs(15);
/// How long a connection lasts; the first event after this time ends it.
const CONNECTION: Duration = Duration::from_secs(4);
/// The value of the server's `retry` field.
const RECONNECTION_TIME: Duration = Duration::from_secs(1);
/// How long the program may take to end after SIGINT.
const PATIENCE: Duration = Duration::from_secs(10);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let Some(listen) = env::args().nth(1) else {
        eprintln!("usage: demo LISTEN (examples/listen.c, compiled)");
        return ExitCode::from(2);
    };
    match run(&listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(listen: &str) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let server = Arc::new(Server::default());
    spawn(&server, Server::make_pings);
    spawn(&server, Server::make_messages);
    spawn(&server, move |server| server.accept(&listener));

    say("demo", &format!("{listen} {url}"));
    let mut program = Program::start(listen, &url)?;
    program.listen_until(Instant::now() + DEMO)?;
    say("demo", "tells the program to end, with SIGINT");
    program.interrupt()?;

    let seen = Seen::in_lines(&program.lines);
    seen.verify(&server)?;
    seen.tell();
    Ok(())
}

/// Prints a line after the name of its origin.
fn say(who: &str, line: &str) {
    println!("{who:6} | {line}");
}

fn spawn(server: &Arc<Server>, work: impl FnOnce(&Server) + Send + 'static) {
    let server = Arc::clone(server);
    thread::spawn(move || work(&server));
}

// The server

/// An event. Its id is its place in the log.
struct Event {
    kind: &'static str,
    data: String,
}

/// The events so far, whether or not a program was connected.
#[derive(Default)]
struct Server {
    log: Mutex<Vec<Event>>,
    logged: Condvar,
}

impl Server {
    fn make_pings(&self) {
        loop {
            let time = iso8601(SystemTime::now());
            self.happen("ping", format!("{{\"time\": \"{time}\"}}"));
            thread::sleep(Duration::from_secs(1));
        }
    }

    fn make_messages(&self) {
        loop {
            let random = RandomState::new().build_hasher().finish();
            thread::sleep(Duration::from_millis(500 + random % 3500));
            let time = iso8601(SystemTime::now());
            self.happen("message", format!("This is a message at time {time}"));
        }
    }

    fn happen(&self, kind: &'static str, data: String) {
        self.log.lock().unwrap().push(Event { kind, data });
        self.logged.notify_all();
    }

    /// Serves one connection after the other, and drops the first two.
    fn accept(&self, listener: &TcpListener) {
        let cuts = [Cut::BetweenEvents, Cut::WithinEvent];
        let cuts = cuts.into_iter().chain(std::iter::repeat(Cut::Never));
        for (stream, cut) in listener.incoming().zip(cuts) {
            if let Err(error) = stream.and_then(|s| self.serve(s, cut)) {
                say("server", &format!("the program has gone: {error}"));
            }
        }
    }

    /// Sends the events after the last one that the program has, and then
    /// each new one as it happens, until it is time for the `cut`.
    fn serve(&self, mut stream: TcpStream, cut: Cut) -> io::Result<()> {
        let last_event_id = read_request(&stream)?;
        let mut sent = match &last_event_id {
            Some(id) => id.parse().map_err(io::Error::other)?,
            None => 0,
        };
        match last_event_id {
            Some(id) => say("server", &format!("Last-Event-ID: {id}")),
            None => say("server", "a request without Last-Event-ID"),
        }
        stream.write_all(
            b"HTTP/1.1 200 OK\r\n\
              Content-Type: text/event-stream\r\n\
              Cache-Control: no-store\r\n\
              Transfer-Encoding: chunked\r\n\r\n",
        )?;
        let retry = format!("retry: {}\n\n", RECONNECTION_TIME.as_millis());
        stream.write_all(chunk(&retry).as_bytes())?;

        let end = Instant::now() + CONNECTION;
        loop {
            let block = self.wait_for_block_after(sent);
            sent += 1;
            let chunk = chunk(&block);
            let late = Instant::now() >= end;
            match cut {
                Cut::WithinEvent if late => {
                    stream.write_all(&chunk.as_bytes()[..chunk.len() / 2])?;
                    say("server", &format!("drops it within event {sent}"));
                    return Ok(());
                }
                Cut::BetweenEvents if late => {
                    stream.write_all(chunk.as_bytes())?;
                    say("server", &format!("drops it after event {sent}"));
                    return Ok(());
                }
                _ => stream.write_all(chunk.as_bytes())?,
            }
        }
    }

    /// The block of event `sent + 1`, once it has happened.
    fn wait_for_block_after(&self, sent: usize) -> String {
        let log = self.log.lock().unwrap();
        let log = self.logged.wait_while(log, |log| log.len() <= sent);
        let Event { kind, data } = &log.unwrap()[sent];
        let id = sent + 1;
        match *kind {
            "message" => format!("id: {id}\ndata: {data}\n\n"),
            kind => format!("id: {id}\nevent: {kind}\ndata: {data}\n\n"),
        }
    }
}

/// Where in the stream a connection is dropped.
#[derive(Clone, Copy)]
enum Cut {
    BetweenEvents,
    WithinEvent,
    Never,
}

/// Reads a request up to its empty line, for the Last-Event-ID in it.
fn read_request(stream: &TcpStream) -> io::Result<Option<String>> {
    let mut last_event_id = None;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        match line.split_once(':') {
            Some((name, value))
                if name.eq_ignore_ascii_case("Last-Event-ID") =>
            {
                last_event_id = Some(value.trim().to_owned());
            }
            _ if line.is_empty() => return Ok(last_event_id),
            _ => {}
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// `2026-01-31T23:59:59Z`, in the proleptic Gregorian calendar.
fn iso8601(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March, so that the leap day is the last of them.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day + 2) / 153;
    let day = day - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

// The program

/// The C program, and the lines it has printed.
struct Program {
    child: Child,
    output: mpsc::Receiver<String>,
    lines: Vec<String>,
}

impl Program {
    fn start(path: &str, url: &str) -> Result<Self> {
        let mut child = Command::new(path)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{path}: {error}"))?;
        let stdout = child.stdout.take().ok_or("no output to read")?;
        let (lines, output) = mpsc::channel();
        thread::spawn(move || {
            let read = BufReader::new(stdout).lines().map_while(|l| l.ok());
            read.for_each(|line| _ = lines.send(line));
        });
        Ok(Self { child, output, lines: Vec::new() })
    }

    /// Prints what the program prints. It is an error that it ends.
    fn listen_until(&mut self, end: Instant) -> Result<()> {
        match self.print_lines_until(end) {
            mpsc::RecvTimeoutError::Timeout => Ok(()),
            mpsc::RecvTimeoutError::Disconnected => {
                Err(format!("the program ended: {}", self.child.wait()?).into())
            }
        }
    }

    /// Asks the program to end, as Ctrl-C does. It is an error that it does
    /// not, or not with status 0.
    fn interrupt(&mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let kill = ["-c", "kill -INT \"$0\"", &pid];
        if !Command::new("sh").args(kill).status()?.success() {
            return Err("the program could not be interrupted".into());
        }
        match self.print_lines_until(Instant::now() + PATIENCE) {
            mpsc::RecvTimeoutError::Disconnected => {}
            mpsc::RecvTimeoutError::Timeout => {
                return Err("the program did not end when told to".into());
            }
        }
        match self.child.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("the program ended with {status}").into()),
        }
    }

    fn print_lines_until(&mut self, end: Instant) -> mpsc::RecvTimeoutError {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(line) => {
                    say("listen", &line);
                    self.lines.push(line);
                }
                Err(error) => return error,
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Neither has anything to do when the program has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

// What was seen

/// What the program has printed: `event  ping [12] {"time": ...}` and so on.
#[derive(Default)]
struct Seen {
    opened: usize,
    lost: usize,
    closed: bool,
    /// Type, id and data of every event.
    events: Vec<(String, String, String)>,
}

impl Seen {
    fn in_lines(lines: &[String]) -> Self {
        let mut seen = Self::default();
        for line in lines {
            let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
            let mut words = rest.trim_start().splitn(3, ' ').map(str::to_owned);
            match what {
                "open" => seen.opened += 1,
                "lost" => seen.lost += 1,
                "close" => seen.closed = true,
                "event" => {
                    let mut word = || words.next().unwrap_or_default();
                    seen.events.push((word(), word(), word()));
                }
                _ => {}
            }
        }
        seen
    }

    /// Holds what was seen against what happened.
    fn verify(&self, server: &Server) -> Result<()> {
        if self.lost != 2 || self.opened != 3 {
            return Err(format!(
                "the connection should have been lost twice and opened three \
                 times, and was lost {} and opened {} times",
                self.lost, self.opened
            )
            .into());
        }
        let log = server.log.lock().unwrap();
        for (index, (kind, id, data)) in self.events.iter().enumerate() {
            let number = index + 1;
            let expected = log.get(index).ok_or("an event that never was")?;
            if *id != format!("[{number}]") {
                return Err(format!("{id} came in place of {number}").into());
            }
            if kind != expected.kind || *data != expected.data {
                return Err(format!("event {number} came as {data}").into());
            }
        }
        // The very last may have happened while the program was ending.
        if self.events.len() + 1 < log.len() {
            return Err(format!(
                "only {} of {} events came",
                self.events.len(),
                log.len()
            )
            .into());
        }
        if !self.closed {
            return Err("the program's source was not closed".into());
        }
        Ok(())
    }

    fn tell(&self) {
        let all = self.events.len();
        let pings = self.events.iter().filter(|e| e.0 == "ping").count();
        let messages = all - pings;
        println!(
            "
What you have just seen: examples/listen.c, a C program on libeventsource,
followed an event stream for {} seconds. {pings} pings came, one each second,
and {messages} messages at random moments. The server dropped the connection twice,
the second time in the middle of an event. Each time the program's source
waited for the reconnection time the server had asked for, connected again, and
said in Last-Event-ID what it had last; the server went on from there. Events
1 to {all} have arrived, each of them once and in order.",
            DEMO.as_secs()
        );
    }
}
