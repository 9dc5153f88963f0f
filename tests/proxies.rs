//! Real proxies between a source and its server: tinyproxy, microsocks and
//! Dante; nginx and haproxy, which speak TLS in front of it; and the
//! environment that names one.

use std::fs;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use eventsource::ffi::Error;
use support::certificates;
#[cfg(feature = "http2")]
use support::event_loop::EventLoop;
use support::ports::free_address;
use support::program::{Program, compile, path, scratch};
use support::server::{CHUNKED, Connection, EVENT_STREAM, Server};
use support::servers::{nginx, start, stop, system};
use support::source::Source;

/// A directory of a test's own.
fn directory(name: &str) -> PathBuf {
    let directory = scratch(name);
    fs::create_dir_all(&directory).expect("scratch space");
    directory
}

/// tinyproxy, which asks for `name:pass` if `closed`.
fn tinyproxy(name: &str, closed: bool) -> (SocketAddr, Program) {
    let address = free_address();
    let mut conf = format!(
        "Listen 127.0.0.1\nPort {}\nLogLevel Critical\nTimeout 600\n",
        address.port()
    );
    if closed {
        conf += "BasicAuth name pass\n";
    }
    let file = directory(name).join("tinyproxy.conf");
    fs::write(&file, conf).expect("scratch space");
    let mut tinyproxy = system("tinyproxy");
    tinyproxy.arg("-d").arg("-c").arg(file);
    (address, start(tinyproxy, address))
}

/// microsocks, which asks for `name:pass` if `closed`.
fn microsocks(closed: bool) -> (SocketAddr, Program) {
    let address = free_address();
    let mut microsocks = system("microsocks");
    microsocks.args(["-i", "127.0.0.1", "-p", &address.port().to_string()]);
    if closed {
        microsocks.args(["-u", "name", "-P", "pass"]);
    }
    (address, start(microsocks, address))
}

/// Two streams, one after the other, from a server that sees no password.
fn follows(source: &Source, server: &Server) {
    for number in 0..2 {
        let mut connection = server.accept();
        let request = &connection.request;
        assert_eq!(request.target, "/path");
        assert_eq!(request.header("proxy-authorization"), None);
        connection.send(CHUNKED);
        connection.chunk(format!("id: {number}\ndata: {number}\n\n"));
        source.opened();
        source.message(&number.to_string());
        connection.finish();
        source.lost();
    }
    let connection = server.accept();
    assert_eq!(connection.request.header("last-event-id"), Some("1"));
}

/// An http and an https server behind each of these proxies.
fn follows_through(proxies: &[String]) {
    for proxy in proxies {
        for server in [
            Server::start(),
            Server::secure(certificates::trusted("localhost")),
        ] {
            // The name that the proxy looks up for itself.
            let url = server.url_at("localhost", "/path");
            let source = Source::new(&url).with_proxy(proxy).start();
            follows(&source, &server);
        }
    }
}

#[test]
fn follows_streams_through_tinyproxy() {
    let (open, _open) = tinyproxy("tinyproxy-open", false);
    let (closed, _closed) = tinyproxy("tinyproxy-closed", true);
    follows_through(&[format!("{open}"), format!("http://name:pass@{closed}")]);
    for url in ["http://localhost:9/", "https://localhost:9/"] {
        let source =
            Source::new(url).with_proxy(&format!("http://{closed}")).start();
        let failure = source.retrying(Error::Proxy);
        assert_eq!(failure.http_status, 407, "{failure:?}");
        assert!(failure.message.contains("asks for"), "{failure:?}");
    }
    // It should say 407, but says what a server would say.
    let source = Source::new("https://localhost:9/")
        .with_proxy(&format!("http://name:wrong@{closed}"))
        .start();
    let failure = source.retrying(Error::Proxy);
    assert_eq!(failure.http_status, 401, "{failure:?}");
    assert!(!failure.message.contains("wrong"), "{failure:?}");
}

#[test]
fn explains_why_tinyproxy_does_not_get_through() {
    let (proxy, _proxy) = tinyproxy("tinyproxy-nowhere", false);
    let nobody = free_address();
    let source = Source::new(&format!("https://{nobody}/"))
        .with_proxy(&format!("http://{proxy}"))
        .start();
    let failure = source.retrying(Error::Proxy);
    assert_eq!(failure.http_status, 500, "{failure:?}");
    assert!(failure.message.contains("status 500"), "{failure:?}");
}

#[test]
fn follows_streams_through_microsocks() {
    let (open, _open) = microsocks(false);
    let (closed, _closed) = microsocks(true);
    follows_through(&[
        format!("socks5://{open}"),
        format!("socks5h://{open}"),
        format!("socks5h://name:pass@{closed}"),
    ]);
    for (user, words) in [("", "asks for"), ("name:wrong@", "refuses")] {
        let source = Source::new("http://localhost/")
            .with_proxy(&format!("socks5h://{user}{closed}"))
            .start();
        let failure = source.retrying(Error::Proxy);
        assert!(failure.message.contains(words), "{failure:?}");
        assert!(failure.message.contains("password"), "{failure:?}");
        assert!(!failure.message.contains("wrong"), "{failure:?}");
    }
    let nobody = free_address();
    let source = Source::new(&format!("http://{nobody}/"))
        .with_proxy(&format!("socks5h://{open}"))
        .start();
    let failure = source.retrying(Error::Proxy);
    assert!(failure.message.contains("the server refuses"), "{failure:?}");
}

/// Dante, which asks for nothing.
fn dante(name: &str) -> (SocketAddr, Program) {
    let address = free_address();
    let file = directory(name).join("danted.conf");
    let conf = format!(
        "logoutput: /dev/null\n\
         internal: 127.0.0.1 port = {}\nexternal: lo\n\
         clientmethod: none\nsocksmethod: none\n\
         client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n",
        address.port()
    );
    fs::write(&file, conf).expect("scratch space");
    let mut danted = system("danted");
    danted.arg("-f").arg(file);
    (address, start(danted, address))
}

#[test]
fn follows_streams_through_dante() {
    let (address, mut danted) = dante("dante");
    follows_through(&[
        format!("socks4://me@{address}"),
        format!("socks5://{address}"),
        format!("socks5h://{address}"),
    ]);
    let nobody = free_address();
    let source = Source::new(&format!("http://{nobody}/"))
        .with_proxy(&format!("socks4://{address}"))
        .start();
    let failure = source.retrying(Error::Proxy);
    assert!(failure.message.contains("refuses to connect"), "{failure:?}");
    // It takes its children with it.
    danted.signal("TERM");
    danted.end();
}

/// A configuration of the tests', filled in.
fn configuration(name: &str, places: &[(&str, &str)]) -> String {
    let conf = fs::read_to_string(path("tests/servers").join(name));
    places.iter().fold(conf.expect("a configuration"), |conf, (place, what)| {
        conf.replace(place, what)
    })
}

/// What a server in front of another needs: its address, the other's, its
/// certificate and key, and the authority of its clients.
struct Front {
    address: SocketAddr,
    server: Server,
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
}

impl Front {
    fn new() -> Self {
        let (certificate, key) = certificates::signed("localhost", 4000);
        Self {
            address: free_address(),
            server: Server::start(),
            certificate,
            key,
            authority: certificates::authority(),
        }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/path", self.address.port())
    }

    fn source(&self) -> Source {
        Source::new(&self.url()).with_ca_file(&self.authority)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn follows_a_stream_behind_nginx_that_asks_for_a_certificate() {
    let front = Front::new();
    let directory = directory("nginx-tls");
    let conf = configuration(
        "tls.conf",
        &[
            ("PORT", &front.address.port().to_string()),
            ("SERVER", &front.server.address().to_string()),
            ("CERTIFICATE", text(&front.certificate)),
            ("KEY", text(&front.key)),
            ("AUTHORITY", text(&front.authority)),
        ],
    );
    fs::write(directory.join("nginx.conf"), conf).expect("scratch space");
    let _nginx = start(nginx(&directory), front.address);

    let source = front
        .source()
        .with_client_certificate(&certificates::signed("client.test", 4000))
        .start();
    let mut connection = front.server.accept();
    let client = connection.request.header("x-client");
    assert!(client.is_some_and(|name| name.contains("CN=")), "{client:?}");
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    source.opened();
    source.message("x");
    connection.finish();
    source.ended();

    // nginx shakes hands with everybody, and then answers 400.
    let source = front.source().start();
    let failure = source.failed(Error::Status);
    assert_eq!(failure.http_status, 400);
}

#[test]
fn follows_a_stream_behind_haproxy_that_asks_for_a_certificate() {
    let front = Front::new();
    let both = [&front.certificate, &front.key]
        .map(|file| fs::read_to_string(file).expect("a file just written"));
    let both = certificates::file("both", &both.concat());
    let conf = configuration(
        "haproxy.cfg",
        &[
            ("ADDRESS", &front.address.to_string()),
            ("SERVER", &front.server.address().to_string()),
            ("CERTIFICATE", text(&both)),
            ("AUTHORITY", text(&front.authority)),
        ],
    );
    let file = directory("haproxy").join("haproxy.cfg");
    fs::write(&file, conf).expect("scratch space");
    let mut haproxy = system("haproxy");
    haproxy.arg("-db").arg("-f").arg(file);
    let _haproxy = start(haproxy, front.address);

    let source = front
        .source()
        .with_client_certificate(&certificates::signed("client.test", 4000))
        .start();
    follows(&source, &front.server);

    for (client, words) in [
        (None, "asks for a client certificate"),
        (
            Some(certificates::signed_by_unknown("client.test")),
            "client certificate's auth",
        ),
        (
            Some(certificates::signed("client.test", 2001)),
            "certificate has expired",
        ),
    ] {
        let mut source = front.source();
        if let Some(client) = &client {
            source = source.with_client_certificate(client);
        }
        let failure = source.start().retrying(Error::Tls);
        assert!(failure.message.contains(words), "{failure:?}");
    }
}

/// Streams over HTTP/2 of nginx, with a proxy between that knows nothing of
/// HTTP/2: of a source with a thread of its own, and of sources that share a
/// connection.
#[test]
#[cfg(feature = "http2")]
fn follows_streams_over_http2_through_proxies() {
    let front = Front::new();
    let directory = directory("nginx-http2");
    let conf = configuration(
        "http2.conf",
        &[
            ("SECURE", &front.address.to_string()),
            ("PLAIN", &free_address().to_string()),
            ("SERVER", &front.server.address().to_string()),
            ("CERTIFICATE", text(&front.certificate)),
            ("KEY", text(&front.key)),
        ],
    );
    fs::write(directory.join("nginx.conf"), conf).expect("scratch space");
    let _nginx = start(nginx(&directory), front.address);
    let (tinyproxy, _tinyproxy) = tinyproxy("tinyproxy-http2", false);
    let (microsocks, _microsocks) = microsocks(false);
    let (dante, mut danted) = dante("dante-http2");
    let event_loop = EventLoop::started();
    for proxy in [
        format!("http://{tinyproxy}"),
        format!("socks5h://{microsocks}"),
        format!("socks4://me@{dante}"),
    ] {
        let ask = |count| {
            let source = || front.source().over_http2().with_proxy(&proxy);
            (0..count).map(|_| source().start()).collect::<Vec<_>>()
        };
        follows_over_http2(ask(1), &front.server);
        follows_over_http2(event_loop.drives_in(|| ask(20)), &front.server);
    }
    event_loop.free();
    // It takes its children with it.
    danted.signal("TERM");
    danted.end();
}

/// Two streams each, of which the second does not end.
#[cfg(feature = "http2")]
fn follows_over_http2(sources: Vec<Source>, server: &Server) {
    let mut open = Vec::new();
    for id in [None, Some("7")] {
        for mut connection in open.drain(..) {
            Connection::chunk(&mut connection, "");
        }
        if id.is_some() {
            for source in &sources {
                source.ended();
            }
        }
        let mut connections: Vec<_> =
            sources.iter().map(|_| server.accept()).collect();
        for connection in &mut connections {
            assert_eq!(connection.request.header("last-event-id"), id);
            connection.send(CHUNKED);
            connection.chunk("id: 7\ndata: one\n\n");
        }
        for source in &sources {
            assert_eq!(source.opened().http_version, 20);
            source.message("one");
        }
        open = connections;
    }
    // Before the connections, which they would make anew.
    drop(sources);
}

/// The example program, in an environment with these proxies.
fn listen(url: &str, variables: &[(&str, &str)]) -> Program {
    let mut listen = Command::new(compile(&path("examples/listen.c")));
    listen.arg(url).envs(variables.iter().copied());
    Program::start(listen)
}

fn answer(mut connection: Connection, mut listen: Program) {
    connection.send(EVENT_STREAM);
    connection.send("data: x\n\n");
    listen.wait_for("event ");
    stop(listen);
}

#[test]
fn goes_through_the_proxy_of_the_environment() {
    let proxy = Server::start();
    let address = proxy.address().to_string();
    let url = "http://far.test/path";
    for variables in [
        &[("http_proxy", &*address)][..],
        &[("HTTP_PROXY", &address)],
        &[("ALL_PROXY", &address), ("NO_PROXY", "other.test,10.0.0.0/8")],
    ] {
        let listen = listen(url, variables);
        let connection = proxy.accept();
        assert_eq!(connection.request.target, url);
        answer(connection, listen);
    }
    let listen = listen("https://far.test/", &[("https_proxy", &address)]);
    assert_eq!(proxy.accept().request.target, "far.test:443");
    drop(listen);
}

#[test]
fn goes_directly_where_the_environment_says_so() {
    let (proxy, server) = (Server::start(), Server::start());
    let address = proxy.address().to_string();
    let http = ("http_proxy", &*address);
    // This machine, too, but not by a name or an address of loopback's.
    let url = server.url_at("0.0.0.0", "/path");
    for variables in [
        &[http, ("no_proxy", "0.0.0.0/8")][..],
        &[http, ("NO_PROXY", "*")],
        &[("https_proxy", &*address)],
        &[("HTTP_PROXY", &*address), ("REQUEST_METHOD", "GET")],
    ] {
        let listen = listen(&url, variables);
        let connection = server.accept();
        assert_eq!(connection.request.target, "/path");
        answer(connection, listen);
        assert!(!proxy.is_asked(), "{variables:?}");
    }
}

/// A proxy is another machine, to which this one's loopback is out of reach.
#[test]
fn goes_directly_to_loopback_whatever_the_environment_says() {
    let (proxy, server) = (Server::start(), Server::start());
    let address = proxy.address().to_string();
    let variables = [("http_proxy", &*address), ("ALL_PROXY", &address)];
    for host in ["127.0.0.1", "localhost", "127.1"] {
        let listen = listen(&server.url_at(host, "/path"), &variables);
        let connection = server.accept();
        assert_eq!(connection.request.target, "/path");
        answer(connection, listen);
        assert!(!proxy.is_asked(), "{host}");
    }
}

/// As desktops write it: SOCKS4.
#[test]
fn goes_through_the_socks_proxy_of_the_environment() {
    let proxy = Server::start();
    let value = format!("socks://{}/", proxy.address());
    let listen = listen("http://10.0.0.1:81/", &[("ALL_PROXY", &value)]);
    let mut stream = proxy.accept_silently();
    let mut request = [0; 9];
    stream.read_exact(&mut request).expect("a request");
    assert_eq!(request, [4, 1, 0, 81, 10, 0, 0, 1, 0]);
    drop(listen);
}
