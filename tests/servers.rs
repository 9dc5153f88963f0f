//! Streams of real servers, followed by a C program through ends and losses:
//! PHP's built-in server, sse-starlette under uvicorn, axum, nginx with nchan.

use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use std::convert::Infallible;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::ports::free_address;
use support::program::{Program, path, python_environment, scratch};
use support::servers::{listen, nginx, start, stop};
use tokio_stream::{Stream, StreamExt};

#[test]
fn follows_php_through_the_ends_of_its_streams() {
    let address = free_address();
    let mut php = Command::new("php");
    php.arg("-S").arg(address.to_string());
    php.arg(path("tests/servers/classic.php"));
    let _php = start(php, address);

    let mut listen = listen(&format!("http://{address}/"));
    listen.wait_for("event  message [15] This is a message at time ");
    let lines = stop(listen);

    assert_eq!(ids(&lines), numbers(1..=15));
    let opened = lines.iter().filter(|line| line.starts_with("open "));
    assert_eq!(opened.count(), 3, "one for every five events: {lines:#?}");
    let pings = lines.iter().filter(|l| l.starts_with("event  ping ["));
    assert_eq!(pings.count(), 12, "four of every five events: {lines:#?}");
}

#[test]
fn follows_sse_starlette_through_the_ends_of_its_streams() {
    let address = free_address();
    let requirements = "tests/servers/requirements.txt";
    let python = python_environment("sse-starlette", requirements);
    let mut uvicorn = Command::new(python.join("bin/uvicorn"));
    uvicorn.env("PYTHONDONTWRITEBYTECODE", "1");
    uvicorn.arg("--app-dir").arg(path("tests/servers"));
    uvicorn.args(["--host", "127.0.0.1", "--port"]);
    uvicorn.arg(address.port().to_string()).arg("starlette_app:app");
    let _uvicorn = start(uvicorn, address);

    let mut listen = listen(&format!("http://{address}/"));
    listen.wait_for("event  number [9] event 9");
    listen.wait_for("       in two lines");
    let lines = stop(listen);

    assert_eq!(ids(&lines), numbers(1..=9));
    let opened = lines.iter().filter(|line| line.starts_with("open "));
    assert_eq!(opened.count(), 3, "one for every three events: {lines:#?}");
    let second = lines.iter().filter(|line| *line == "       in two lines");
    assert_eq!(second.count(), 9, "each event has two lines: {lines:#?}");
}

#[test]
fn follows_axum_through_the_ends_of_its_streams() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || serve_axum(listener));

    let mut listen = listen(&format!("http://{address}/"));
    listen.wait_for("event  tick [9] first line");
    listen.wait_for("       9");
    let lines = stop(listen);

    assert_eq!(ids(&lines), numbers(1..=9));
    let opened = lines.iter().filter(|line| line.starts_with("open "));
    assert_eq!(opened.count(), 3, "one for every three events: {lines:#?}");
}

/// Until the test is over.
fn serve_axum(listener: TcpListener) {
    listener.set_nonblocking(true).expect("a socket");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener);
        let routes =
            axum::Router::new().route("/", axum::routing::get(three_events));
        let served = axum::serve(listener.expect("a listener"), routes).await;
        served.expect("a server");
    });
}

/// The three that come after the last the client had; then the stream ends.
async fn three_events(
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let last: u32 = last.map_or(0, |id| id.parse().expect("our id"));
    let events = tokio_stream::iter(last + 1..last + 4).map(|number| {
        Ok(Event::default()
            .id(number.to_string())
            .event("tick")
            .retry(Duration::from_millis(10))
            .data(format!("first line\n{number}")))
    });
    // After the ninth there is nothing but comments.
    let silence = tokio_stream::pending().take(usize::from(last >= 6));
    let keep_alive = KeepAlive::new().interval(Duration::from_millis(20));
    Sse::new(events.chain(silence)).keep_alive(keep_alive)
}

#[test]
fn misses_nothing_of_nchan_when_the_network_breaks() {
    let nginx = Nginx::start();
    let network = Network::before(nginx.address);
    let mut listen = listen(&format!("http://{}/subscribe", network.address));
    listen.wait_for("open ");
    nginx.publish(1..=50);
    listen.wait_until(|line| line.ends_with(" number 50"));

    network.cut();
    listen.wait_for("lost ");
    nginx.publish(51..=100);
    listen.wait_until(|line| line.ends_with(" number 100"));

    network.cut();
    listen.wait_for("lost ");
    listen.wait_for("open ");
    nginx.publish(101..=110);
    listen.wait_until(|line| line.ends_with(" number 110"));

    let lines = stop(listen);
    let events = lines.iter().filter(|line| line.starts_with("event "));
    let data: Vec<_> = events.filter_map(|e| e.rsplit(' ').next()).collect();
    assert_eq!(data, numbers(1..=110));
}

/// nginx with a channel of nchan, in a directory of its own.
struct Nginx {
    address: SocketAddr,
    _program: Program,
}

impl Nginx {
    fn start() -> Self {
        let address = free_address();
        let directory = scratch("nginx");
        fs::create_dir_all(&directory).expect("scratch space");
        let conf = fs::read_to_string(path("tests/servers/nginx.conf"));
        let conf = conf.expect("a configuration");
        let conf = conf.replace("PORT", &address.port().to_string());
        fs::write(directory.join("nginx.conf"), conf).expect("scratch space");
        Self { address, _program: start(nginx(&directory), address) }
    }

    /// Publishes each number as a message of its own.
    fn publish(&self, numbers: impl Iterator<Item = u32>) {
        for number in numbers {
            let answer = self.post("/publish", &format!("number {number}"));
            let answer = answer.expect("nginx answers");
            let published = ["HTTP/1.1 201 ", "HTTP/1.1 202 "];
            let published = published.iter().any(|p| answer.starts_with(p));
            assert!(published, "{answer}");
        }
    }

    fn post(&self, path: &str, body: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        let length = body.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}",
            self.address
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// A way to a server that can be cut.
struct Network {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Network {
    fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let connections = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(server).expect("a server");
                carry(&client, &server);
                carry(&server, &client);
                kept.lock().unwrap().extend([client, server]);
            }
        });
        Self { address, connections }
    }

    /// Cuts every connection there is; new ones can be made.
    fn cut(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            // One that has ended already needs no cut.
            _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Carries what comes from one to the other, on a thread of its own.
fn carry(from: &TcpStream, to: &TcpStream) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
    let (mut from, mut to) = (clone(from), clone(to));
    thread::spawn(move || {
        // Both ends are shut down, by their owners or by a cut.
        _ = io::copy(&mut from, &mut to);
        _ = to.shutdown(Shutdown::Both);
    });
}

/// The ids in the lines `event  TYPE [ID] DATA`.
fn ids(lines: &[String]) -> Vec<String> {
    let events = lines.iter().filter(|line| line.starts_with("event "));
    let ids = events.filter_map(|event| event.split(['[', ']']).nth(1));
    ids.map(str::to_owned).collect()
}

fn numbers(range: impl Iterator<Item = u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}
