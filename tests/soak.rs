//! A thousand sources whose server breaks their connections all the time: the
//! process stays as large as it was. `make soak` takes half an hour with a
//! thread for each source, and another one with a loop for all, and leaves its
//! figures in soak.csv and soak-loop.csv; a test of every day, ten seconds.

#![expect(unsafe_code, reason = "the C API is what is soaked")]

use std::env;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use eventsource::ffi::*;
use support::certificates;
use support::event_loop;
use support::limits::allow_many_descriptors;
use support::pointer::Pointer;
use support::program::scratch;
use support::until;

/// How many sources there are at once.
const SOURCES: usize = 1000;
/// One in so many speaks TLS.
const SECURE: usize = 10;
/// How often the process is measured.
const SAMPLES: u32 = 100;
/// How much larger the process may be in its last third than in its second:
/// what the allocator does with a thousand threads.
const GROWTH: usize = 8 * 1024;
/// How many threads a loop may have, beside its own, for a thousand sources.
const WORKERS: usize = 1024;

/// The two take each other's measure otherwise.
static ALONE: Mutex<()> = Mutex::new(());
static EVENTS: AtomicU64 = AtomicU64::new(0);
static LOSSES: AtomicU64 = AtomicU64::new(0);

/// Seconds that `make soak` asks for.
fn asked() -> Option<u64> {
    let asked = env::var("SOAK").ok()?;
    Some(asked.parse().expect("SOAK is a number of seconds"))
}

#[test]
fn a_thousand_sources_stay_as_large_as_they_are() {
    if env::var_os("SERVE").is_some() {
        return serve();
    }
    let _alone = ALONE.lock();
    allow_many_descriptors();
    let seconds = asked().unwrap_or(10);
    let server = Server::start();
    let is_on_loop = event_loop::of_new_sources().is_some();
    drop(open(&server, SOURCES / 50));
    let before = Sample::at_rest();
    let sources = open(&server, SOURCES);

    let mut csv = String::from(
        "seconds,resident_kib,descriptors,threads,events,losses\n",
    );
    let start = Instant::now();
    let step = Duration::from_secs(seconds) / SAMPLES;
    let mut samples = Vec::new();
    for number in 1..=SAMPLES {
        thread::sleep((step * number).saturating_sub(start.elapsed()));
        let sample = Sample::take();
        let Sample { resident, descriptors, threads } = sample;
        let (events, losses) = (EVENTS.load(Relaxed), LOSSES.load(Relaxed));
        let seconds = start.elapsed().as_secs_f64();
        writeln!(
            csv,
            "{seconds:.1},{resident},{descriptors},{threads},{events},{losses}"
        )
        .expect("a string can be written to");
        let name = if is_on_loop { "soak-loop.csv" } else { "soak.csv" };
        fs::write(scratch(name), &csv).expect("a file");
        samples.push(sample);
    }
    println!("{csv}");

    assert!(LOSSES.load(Relaxed) > SOURCES as u64, "losses");
    assert!(EVENTS.load(Relaxed) > SOURCES as u64, "events");
    for sample in &samples {
        let threads = sample.threads - before.threads;
        let descriptors = sample.descriptors - before.descriptors;
        if is_on_loop {
            assert!(threads <= WORKERS, "{sample:?}");
        } else {
            assert_eq!(threads, SOURCES);
            assert!(descriptors >= SOURCES, "{sample:?}");
        }
        // Each has a descriptor to be woken by, on a loop while it connects,
        // and one connection at most.
        assert!(descriptors <= 2 * SOURCES, "{sample:?}");
    }
    let third = samples.len() / 3;
    let size = |samples: &[Sample]| {
        let sizes = samples.iter().map(|it| it.resident);
        // On a loop the most is that of the threads that connect, and they
        // are as many as the machine is busy.
        let size = if is_on_loop { sizes.min() } else { sizes.max() };
        size.expect("some")
    };
    let (second, last) =
        (size(&samples[third..2 * third]), size(&samples[2 * third..]));
    assert!(last <= second + GROWTH, "{second} KiB have become {last} KiB");
    drop(sources);
    assert_nothing_is_left(&before);
}

#[test]
fn nothing_is_left_of_many_sources() {
    if env::var_os("SERVE").is_some() {
        return;
    }
    let _alone = ALONE.lock();
    let rounds = if asked().is_some() { 100 } else { 4 };
    let server = Server::start();
    let mut first = None;
    for _ in 0..rounds {
        for number in 0..1000 {
            let source = Source::new(server.url(number));
            let source = source.0;
            // SAFETY: made above, freed once.
            unsafe {
                assert_eq!(eventsource_connect(source), Error::None);
                match number % 3 {
                    0 => eventsource_close(source),
                    1 => _ = eventsource_wait(source, 1),
                    // Freed as it is.
                    _ => {}
                }
            }
        }
        let now = Sample::at_rest();
        let first = first.get_or_insert(now);
        assert_eq!(now.threads, first.threads);
        assert_eq!(now.descriptors, first.descriptors);
        assert!(now.resident < first.resident + GROWTH, "{first:?} {now:?}");
    }
}

/// A source that is freed when it is dropped.
struct Source(*mut CSource);

impl Source {
    fn new(url: &str) -> Source {
        let source = Pointer::new(url).as_ptr();
        // SAFETY: a living source; the callbacks look at no `user_data`.
        unsafe {
            eventsource_on_event(source, Some(on_event), ptr::null_mut());
            eventsource_on_error(source, Some(on_error), ptr::null_mut());
            eventsource_set_proxy(source, c"".as_ptr());
            eventsource_set_retry(source, Retry::Persistent as _);
            eventsource_set_reconnection_time(source, 10);
            eventsource_set_max_reconnection_time(source, 1000);
            eventsource_set_connect_timeout(source, 5000);
            eventsource_set_response_timeout(source, 2000);
            eventsource_set_idle_timeout(source, 1000);
        }
        Source(source)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed once.
        unsafe { eventsource_free(self.0) };
    }
}

extern "C" fn on_event(_: *mut CSource, _: *const CEvent, _: *mut c_void) {
    EVENTS.fetch_add(1, Relaxed);
}

extern "C" fn on_error(
    _: *mut CSource,
    failure: *const CFailure,
    _: *mut c_void,
) {
    // SAFETY: borrowed until the callback returns.
    let failure = unsafe { &*failure };
    assert!(failure.will_retry != 0, "{:?}", failure.error);
    LOSSES.fetch_add(1, Relaxed);
}

fn open(server: &Server, count: usize) -> Vec<Source> {
    let open = |number| {
        let source = Source::new(server.url(number));
        // SAFETY: a living source.
        let error = unsafe { eventsource_connect(source.0) };
        assert_eq!(error, Error::None);
        source
    };
    (0..count).map(open).collect()
}

/// What the process is made of.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// In KiB.
    resident: usize,
    descriptors: usize,
    threads: usize,
}

impl Sample {
    /// When no thread of a loop connects any more: they end when they have had
    /// nothing to do for a second.
    fn at_rest() -> Sample {
        if event_loop::of_new_sources().is_some() {
            until("the workers' end", || !connects());
        }
        Sample::take()
    }

    fn take() -> Sample {
        let count = |table| {
            fs::read_dir(Path::new("/proc/self").join(table))
                .expect("/proc")
                .count()
        };
        let status = fs::read_to_string("/proc/self/status").expect("/proc");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        Sample {
            resident: number.expect("VmRSS").parse().expect("a number"),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }
}

/// Whether the process has a thread that connects sources of a loop.
fn connects() -> bool {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    tasks.flatten().any(|task| {
        fs::read_to_string(task.path().join("comm"))
            .is_ok_and(|name| name == "eventsource-job\n")
    })
}

fn assert_nothing_is_left(before: &Sample) {
    let after = Sample::at_rest();
    assert_eq!(after.threads, before.threads);
    assert_eq!(after.descriptors, before.descriptors);
}

// The server: a process of its own, whose size does not matter.

struct Server {
    process: Child,
    urls: Vec<String>,
}

impl Server {
    fn start() -> Server {
        let mut process = Command::new(env::current_exe().expect("a program"))
            .args(["--exact", "a_thousand_sources_stay_as_large_as_they_are"])
            .arg("--nocapture")
            .env("SERVE", "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        // It stays open: the harness writes to it now and then.
        let output = process.stdout.as_mut().expect("piped");
        let mut words = BufReader::new(output)
            .lines()
            .map(|line| line.expect("text"))
            .filter_map(|line| line.strip_prefix("> ").map(str::to_owned));
        let authority = words.next().expect("a file of authorities");
        // SAFETY: the only threads are those of sources, none of which has
        // been connected, and of the harness, which waits.
        unsafe { env::set_var("SSL_CERT_FILE", authority) };
        let plain = words.next().expect("a port");
        let secure = words.next().expect("a port");
        let url = |number: usize| match number % SECURE {
            0 => format!("https://127.0.0.1:{secure}/"),
            // Many addresses: the system keeps the ports of old connections.
            _ => format!("http://127.0.0.{}:{plain}/", number % 250 + 1),
        };
        Server { process, urls: (0..SOURCES).map(url).collect() }
    }

    fn url(&self, number: usize) -> &str {
        &self.urls[number]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve() {
    allow_many_descriptors();
    let config = certificates::trusted("127.0.0.1");
    println!();
    println!("> {}", env::var("SSL_CERT_FILE").expect("set by certificates"));
    for secure in [false, true] {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        println!("> {}", listener.local_addr().expect("an address").port());
        let config = secure.then(|| config.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                let config = config.clone();
                let answer = move || match config {
                    None => _ = answer(&client, &client),
                    Some(config) => {
                        let tls = rustls::ServerConnection::new(config);
                        let socket = &client;
                        let tls = tls.expect("a configuration");
                        let tls = rustls::StreamOwned::new(tls, socket);
                        _ = answer(tls, &client);
                    }
                };
                let builder = thread::Builder::new().stack_size(256 << 10);
                builder.spawn(answer).expect("a thread");
            }
        });
    }
    // Until the test has ended, however it did.
    let _ = std::io::stdin().read(&mut [0]);
}

/// One response, broken off somewhere in some way.
fn answer(
    mut client: impl Read + Write,
    socket: &TcpStream,
) -> std::io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let end = fastrand::u8(..16);
    if end == 0 {
        return reset(socket);
    }
    if client.read(&mut [0; 4096])? == 0 {
        return Ok(());
    }
    let response = match end {
        1 => "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nlate",
        2 => "HTTP/1.1 200 OK\r\nContent-Ty",
        3 => "no HTTP\r\n\r\n",
        4 => "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        _ => {
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        }
    };
    client.write_all(response.as_bytes())?;
    if end < 5 {
        return Ok(());
    }
    for number in 0..fastrand::u32(..20) {
        let size = 1 << fastrand::u32(..13);
        let data = "x".repeat(size);
        let event = format!(": alive\nid: {number}\ndata: {data}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        client.write_all(chunk.as_bytes())?;
        client.flush()?;
        thread::sleep(Duration::from_millis(fastrand::u64(..400)));
    }
    match end {
        5 => reset(socket),
        6 => client.write_all(b"ffff\r\ndata: cut"),
        7 => client.write_all(b"no chunk"),
        // Silence, until the client has had enough.
        8 => client.read(&mut [0; 64]).map(|_| ()),
        9 => client.write_all(b"0\r\n\r\n"),
        _ => Ok(()),
    }
}

fn reset(socket: &TcpStream) -> std::io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    socket.set_linger(Some(Duration::ZERO))
}
