//! Streams over HTTP/2 of real servers, in front of a server that the test
//! scripts: nginx, HAProxy, nghttpx, h2o, Caddy and Apache; and of Node, which
//! has nothing else, and of Go.
#![cfg(feature = "http2")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use eventsource::ffi::{Error, HttpVersion};
use support::certificates;
use support::event_loop::EventLoop;
use support::ports::free_address;
use support::program::{Program, path, scratch, succeed};
use support::server::{CHUNKED, Server};
use support::servers::{nginx, start, system};
use support::source::Source;

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
        let text = read(&path(&format!("tests/servers/{name}")))
            .replace("DIRECTORY", words(&self.directory))
            .replace("SECURE-PORT", &self.secure.port().to_string())
            .replace("PLAIN-PORT", &self.plain.port().to_string())
            .replace("SECURE", &self.secure.to_string())
            .replace("PLAIN", &self.plain.to_string())
            .replace("SERVER", &self.server.address().to_string())
            .replace("CERTIFICATE", words(&self.certificate))
            .replace("KEY", words(&self.key))
            .replace("BOTH", words(&both));
        let path = self.directory.join(name);
        fs::write(&path, text).expect("a file");
        path
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
        const SOURCES: usize = 20;

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
        // Before the connection, which it would make anew.
        let connection = self.server.accept();
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
fn a_reload_of_nginx_leaves_the_stream_alone() {
    let front = Front::new("reload");
    let conf = front.configuration("http2.conf");
    let text = fs::read_to_string(&conf).expect("a file");
    // With a master, which starts another worker.
    let text = text.replace("master_process off;", "worker_processes 1;");
    fs::write(front.directory.join("nginx.conf"), text).expect("a file");
    let mut server = start(nginx(&front.directory), front.secure);
    let url = format!("https://localhost:{}/", front.secure.port());
    let source = front.source(&url).start();
    let mut connection = front.server.accept();
    connection.send(CHUNKED);
    connection.chunk("data: one\n\n");
    source.opened();
    source.message("one");
    server.signal("HUP");
    for _ in 0..20 {
        connection.chunk("data: two\n\n");
        source.message("two");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    connection.chunk("");
    source.ended();
    let mut connection = front.server.accept();
    connection.send(CHUNKED);
    connection.chunk("data: three\n\n");
    source.opened();
    source.message("three");
    drop(source);
    drop(connection);
    // With its workers.
    server.signal("TERM");
    server.end();
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

/// EVENTSOURCE_HTTP_AUTO: Node's `createSecureServer` speaks HTTP/2 only, unless
/// it is told otherwise.
#[test]
fn follows_a_stream_of_node_which_has_nothing_else() {
    let front = Front::new("node");
    let mut node = system("node");
    node.arg(path("tests/servers/http2.js"));
    node.arg(front.secure.port().to_string());
    node.arg(&front.certificate).arg(&front.key);
    let _node = start(node, front.secure);
    let url = format!("https://localhost:{}/", front.secure.port());
    let source = front.source(&url).in_version(HttpVersion::Auto).start();
    follows_numbers(&source);
}

#[test]
fn follows_a_stream_of_go() {
    let front = Front::new("go");
    let program = front.directory.join("server");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program);
    build.arg(path("tests/servers/http2.go"));
    succeed(build);
    let mut go = Command::new(program);
    go.arg(front.secure.to_string()).arg(front.plain.to_string());
    go.arg(&front.certificate).arg(&front.key);
    let _go = start(go, front.secure);
    let url = format!("https://localhost:{}/", front.secure.port());
    follows_numbers(&front.source(&url).start());
    let url = format!("http://{}/", front.plain);
    follows_numbers(&front.source(&url).start());
}

/// Events whose data are their ids, three to a stream.
fn follows_numbers(source: &Source) {
    for round in 0..3 {
        assert_eq!(source.opened().http_version, 20);
        for number in 1..=3 {
            let number = (3 * round + number).to_string();
            assert_eq!(source.message(&number).id, number);
        }
        source.ended();
    }
}
