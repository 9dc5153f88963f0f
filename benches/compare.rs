//! The CPU time and the memory that this library and others take to follow
//! the same stream: `make compare`, or with shapes, `SHAPES="tiny multi"`.
//!
//! Each client is a program of its own in benches/peers, which counts events
//! and the bytes of their data. They take turns, with one server; what it
//! takes a client to start, up to its first event, is measured beside and
//! subtracted. The median of the rounds is shown.

use std::env;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::bench::cpu::{Usage, wait};
use support::bench::server::{Server, serve};

const ROUNDS: usize = 9;
const CYCLES: usize = 32;

/// What is shown, the program, and what it is told behind URL and count.
const CLIENTS: [(&str, &[&str], &[&str]); 10] = [
    ("libeventsource, C", &["./libeventsource"], &[]),
    ("libcurl, a splitter by hand, C", &["./libcurl"], &[]),
    ("cpp-httplib, the same splitter, C++", &["./httplib"], &[]),
    ("go-sse 0.11, Go", &["./go-peers", "go-sse"], &[]),
    ("launchdarkly/eventsource 1.11, Go", &["./go-peers", "launchdarkly"], &[]),
    ("eventsource-client 0.18, Rust", &["./eventsource-client"], &[]),
    ("reqwest-eventsource 0.6, Rust", &["./reqwest-eventsource"], &[]),
    ("eventsource 4.0, Node", &["node", "eventsource.mjs"], &[]),
    // A DATA frame for each event, where the others get a chunk.
    ("libeventsource over HTTP/2", &["./libeventsource"], &["http2"]),
    ("libcurl over HTTP/2, the splitter", &["./libcurl"], &["http2"]),
];

fn main() {
    serve();
    let shapes = env::var("SHAPES").unwrap_or("tiny wiki".to_owned());
    for shape in shapes.split_whitespace() {
        compare(shape);
    }
}

fn compare(shape: &str) {
    let server = Server::start(shape);
    let count = CYCLES * server.events;
    let mut rounds = CLIENTS.map(|_| (Vec::new(), Vec::new()));
    let mut seen = None;
    let mut random = fastrand::Rng::with_seed(7);
    let mut order: Vec<usize> = (0..CLIENTS.len()).collect();
    for _ in 0..ROUNDS {
        // What a slow client leaves in the caches the next one pays for.
        random.shuffle(&mut order);
        for &client in &order {
            let (_, command, more) = CLIENTS[client];
            let (times, sizes) = &mut rounds[client];
            let (_, start) = run(command, more, &server.url, 1);
            let (output, whole) = run(command, more, &server.url, count);
            assert_eq!(
                *seen.get_or_insert(output.clone()),
                output,
                "{command:?}"
            );
            times.push((whole.cpu - start.cpu) / count as f64 * 1e9);
            sizes.push(whole.resident as f64 / 1024.0);
        }
    }
    let size = server.bytes / server.events;
    println!("\n{shape}: {count} events of {size} bytes, each by itself\n");
    println!("| client | CPU ns per event | x ours | peak RSS MiB |");
    println!("|---|--:|--:|--:|");
    let ours = median(&mut rounds[0].0);
    for ((name, ..), (times, sizes)) in CLIENTS.iter().zip(&mut rounds) {
        let (time, size) = (median(times), median(sizes));
        println!("| {name} | {time:.0} | {:.1} | {size:.1} |", time / ours);
    }
}

/// What the client prints, and what it takes.
fn run(
    command: &[&str],
    more: &[&str],
    url: &str,
    count: usize,
) -> (String, Usage) {
    let peers = env::var_os("PEERS").expect("PEERS, where they were built");
    let mut child = Command::new(command[0])
        .current_dir(PathBuf::from(peers))
        .args(&command[1..])
        .arg(format!("{url}{CYCLES}"))
        .arg(count.to_string())
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|cause| panic!("{command:?}: {cause}"));
    let mut output = String::new();
    let mut pipe = child.stdout.take().expect("piped");
    pipe.read_to_string(&mut output).expect("text");
    assert!(!output.is_empty(), "{command:?} has said nothing");
    (output, wait(child))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
