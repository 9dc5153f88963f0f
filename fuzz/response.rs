//! What a server says: heads, redirects and bodies through a real socket,
//! directly and through a proxy that lies; and framing and gzip, of which a
//! naive reader of whole bodies says the same, however they are cut.

#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::thread;

use eventsource::doors::{Ending, Outcome, attempt, decode};
use libfuzzer_sys::fuzz_target;

/// The most of a body that is looked at.
const MOST: usize = 1 << 20;

// How it comes, how it is cut; then the bytes.
fuzz_target!(|input: &[u8]| {
    let [how, stride, bytes @ ..] = input else { return };
    let stride = usize::from(*stride);
    match how {
        0..64 => check_body(*how, stride, bytes),
        64..160 => check_attempt(*how, stride, bytes),
        160.. => check_proxy(*how, stride, bytes),
    }
});

fn pieces(bytes: &[u8], stride: usize) -> Vec<&[u8]> {
    match stride {
        0 => vec![bytes],
        _ => bytes.chunks(stride).collect(),
    }
}

// Bodies

fn check_body(how: u8, stride: usize, bytes: &[u8]) {
    let mut headers = Vec::new();
    let length = (stride * 4).to_string();
    let (plain, ending) = match how & 3 {
        0 => (bytes.to_vec(), Ending::More),
        1 => {
            headers.push(("content-length", &*length));
            match bytes.get(..stride * 4) {
                Some(within) => (within.to_vec(), Ending::End),
                None => (bytes.to_vec(), Ending::More),
            }
        }
        _ => {
            headers.push(("transfer-encoding", "Chunked"));
            unchunked(bytes)
        }
    };
    let cut = usize::from(how >> 3);
    if how & 4 == 0 {
        let decoded = decode(&headers, &pieces(bytes, cut));
        // Zero bytes of a length end with the first byte that comes.
        if !bytes.is_empty() {
            assert_eq!(decoded, (plain, ending));
        }
        return;
    }
    headers.push(("content-encoding", "gzip"));
    let (decoded, ended) = decode(&headers, &pieces(bytes, cut));
    let mut whole = Vec::new();
    let sound =
        flate2::read::MultiGzDecoder::new(&*plain).read_to_end(&mut whole);
    // Up to where the two find out that it is broken.
    assert!(decoded.iter().zip(&whole).all(|(one, other)| one == other));
    if sound.is_ok() && ended != Ending::Broken && !bytes.is_empty() {
        assert_eq!((decoded.len(), ended), (whole.len(), ending));
    }
}

/// RFC 9112, 7.1, with line ends that need no CR.
fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, Ending) {
    let mut data = Vec::new();
    loop {
        let digits =
            bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (number, rest) = bytes.split_at(digits);
        let number = str::from_utf8(number).expect("digits are ASCII");
        let significant = number.trim_start_matches('0');
        let is_sound = significant.len() <= 16
            && match rest.first() {
                None => true,
                Some(byte) => digits > 0 && b"; \t\r\n".contains(byte),
            };
        if !is_sound || has_lone_cr(rest) {
            return (data, Ending::Broken);
        }
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return (data, Ending::More);
        };
        let size = u64::from_str_radix(number, 16).expect("hex digits");
        if size == 0 {
            return (data, Ending::End);
        }
        let rest = &rest[end + 1..];
        let within = rest.len().min(usize::try_from(size).unwrap());
        data.extend_from_slice(&rest[..within]);
        bytes = match &rest[within..] {
            [] | [b'\r'] => return (data, Ending::More),
            [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => rest,
            _ => return (data, Ending::Broken),
        };
    }
}

/// Whether the first line has a CR that is not at its end.
fn has_lone_cr(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().expect("one at least");
    let cr = line.iter().position(|byte| *byte == b'\r');
    cr.is_some_and(|cr| cr + 1 < line.len())
}

// Attempts

/// One response for each line of four dashes.
fn check_attempt(how: u8, stride: usize, bytes: &[u8]) {
    let server = unix_server();
    let url = "http://user:secret@server.test/path?query#fragment";
    let run = |stride| {
        server.say(bytes, stride);
        let outcome = attempt(url, Some(&server.path), "", MOST);
        server.be_quiet();
        check(&outcome, bytes);
        outcome
    };
    let outcome = run(0);
    if how & 1 != 0 && stride > 0 {
        let mut other = run(stride);
        let common = other.body.iter().zip(&outcome.body);
        assert!(common.into_iter().all(|(one, other)| one == other));
        if bytes.windows(4).any(|it| it.eq_ignore_ascii_case(b"gzip")) {
            // More or less comes out of a broken stream.
            other.body.clone_from(&outcome.body);
        }
        assert_eq!(other, outcome);
    }
}

fn check_proxy(how: u8, stride: usize, bytes: &[u8]) {
    static NUMBER: AtomicU16 = AtomicU16::new(0);
    let server = tcp_server();
    // Another address each time: the system keeps the old ports for a while.
    let [high, low] = NUMBER.fetch_add(1, Relaxed).to_be_bytes();
    // Those that look names up themselves: whatever a redirect says, nobody
    // else is asked.
    let (scheme, user) = match how >> 1 & 3 {
        0 => ("http", "user:secret@"),
        1 => ("socks4a", "user@"),
        2 => ("socks5h", "user:secret@"),
        _ => ("socks5h", ""),
    };
    let proxy = format!("{scheme}://{user}127.1.{high}.{low}:{}", server.port);
    let secure = if how & 1 != 0 { "s" } else { "" };
    server.say(bytes, stride);
    let url = format!("http{secure}://192.0.2.1/path");
    let outcome = attempt(&url, None, &proxy, MOST);
    server.be_quiet();
    check(&outcome, bytes);
}

fn check(outcome: &Outcome, bytes: &[u8]) {
    let Outcome { url, message, .. } = outcome;
    assert!(!message.is_empty());
    assert!(!message.contains(['\n', '\r', '\0']), "{message:?}");
    let told = bytes.windows(6).any(|it| it == b"secret");
    assert!(told || !message.contains("secret"), "{message:?}");
    assert!(url.is_empty() || url.starts_with("http"), "{url}");
}

/// Answers each connection with the next response of a script.
struct Server {
    path: PathBuf,
    port: u16,
    script: Sender<Vec<Vec<Vec<u8>>>>,
    script_is_over: Mutex<Receiver<()>>,
    stop: fn(&Server),
}

impl Server {
    fn say(&self, bytes: &[u8], stride: usize) {
        let mut responses = Vec::new();
        let mut rest = bytes;
        while let Some(at) = rest.windows(4).position(|it| it == b"----") {
            responses.push(&rest[..at]);
            rest = &rest[at + 4..];
        }
        responses.push(rest);
        let script = responses.into_iter().map(|response| {
            pieces(response, stride).into_iter().map(<[u8]>::to_vec).collect()
        });
        self.script.send(script.collect()).expect("a server");
    }

    /// Nobody connects any more.
    fn be_quiet(&self) {
        (self.stop)(self);
        let over = self.script_is_over.lock().unwrap();
        over.recv().expect("a server");
    }
}

fn unix_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let name = format!("eventsource-fuzz-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a path");
        let stop = |server: &Server| {
            std::os::unix::net::UnixStream::connect(&server.path)
                .and_then(|mut it| it.write_all(STOP))
                .expect("a server");
        };
        start(path, 0, stop, move || {
            let (socket, _) = listener.accept().expect("a connection");
            let other = socket.try_clone().expect("a descriptor");
            let end = move || _ = other.shutdown(Shutdown::Write);
            (Box::new(socket) as Box<dyn Socket>, Box::new(end) as End)
        })
    })
}

fn tcp_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let stop = |server: &Server| {
            std::net::TcpStream::connect(("127.0.0.1", server.port))
                .and_then(|mut it| it.write_all(STOP))
                .expect("a server");
        };
        start(PathBuf::new(), port, stop, move || {
            let (socket, _) = listener.accept().expect("a connection");
            let _ = socket.set_nodelay(true);
            let other = socket.try_clone().expect("a descriptor");
            let end = move || _ = other.shutdown(Shutdown::Write);
            (Box::new(socket) as Box<dyn Socket>, Box::new(end) as End)
        })
    })
}

/// What no client sends.
const STOP: &[u8] = b"!";

trait Socket: Read + Write {}
impl<T: Read + Write> Socket for T {}
type End = Box<dyn FnOnce()>;

fn start(
    path: PathBuf,
    port: u16,
    stop: fn(&Server),
    accept: impl Fn() -> (Box<dyn Socket>, End) + Send + 'static,
) -> Server {
    let (script, scripts) = channel::<Vec<Vec<Vec<u8>>>>();
    let (over, script_is_over) = channel();
    thread::spawn(move || {
        for script in scripts {
            let mut responses = script.into_iter();
            loop {
                let (mut socket, end) = accept();
                let mut request = [0; 4096];
                let read = socket.read(&mut request).unwrap_or(0);
                if request[..read] == *STOP {
                    break;
                }
                for piece in responses.next().unwrap_or_default() {
                    if socket.write_all(&piece).is_err() {
                        break;
                    }
                }
                end();
                // Until the client has gone: a reset loses what was sent.
                while socket.read(&mut request).is_ok_and(|read| read > 0) {}
            }
            over.send(()).expect("a fuzzer");
        }
    });
    let script_is_over = Mutex::new(script_is_over);
    Server { path, port, script, script_is_over, stop }
}
