//! What the options make of the request and of the connection.

use std::fs;
use std::process::Command;

use support::certificates::{self, VERSIONS};
use support::program::{Program, scratch};
use support::server::{Connection, Server, UnixServer};

use super::{TOOL, end_with_204, start, tool};

/// The request that these options lead to.
fn request(options: &[&str]) -> Connection {
    let server = Server::start();
    let mut program = start(options, &server.url("/path"));
    let connection = server.accept();
    program.signal("INT");
    program.end();
    connection
}

#[test]
fn headers() {
    let connection = request(&[
        "-H",
        "X-One: 1",
        "--header=X-Two:2",
        "-HX-Empty;",
        "-HUser-Agent:",
        "-Hlast-event-id: 41",
    ]);
    let request = &connection.request;
    assert_eq!(request.header("x-one"), Some("1"));
    assert_eq!(request.header("x-two"), Some("2"));
    assert_eq!(request.header("x-empty"), Some(""));
    assert_eq!(request.header("user-agent"), None);
    assert_eq!(request.header("last-event-id"), Some("41"));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
}

/// A file is for secrets, which a command line shows to everybody.
#[test]
fn headers_of_a_file() {
    let file = scratch("tool-headers");
    fs::write(&file, "X-One: 1\r\n\nX-Two: 2").expect("scratch space");
    let connection = request(&["-H", &format!("@{}", file.display())]);
    assert_eq!(connection.request.header("x-one"), Some("1"));
    assert_eq!(connection.request.header("x-two"), Some("2"));
}

#[test]
fn a_body_from_the_command_line_a_file_or_standard_input() {
    let file = scratch("tool-body");
    fs::write(&file, "{\"a\":\r\n \"b\0\"}\n").expect("scratch space");
    let at_file = format!("@{}", file.display());
    for (options, body) in [
        (&["-d", "a=1"][..], "a=1"),
        (&["-d", "a=1", "--data", "b=2"], "a=1&b=2"),
        (&["-d", ""], ""),
        (&["-d", &at_file], "{\"a\": \"b\"}"),
        (&["--data-binary", &at_file], "{\"a\":\r\n \"b\0\"}\n"),
        (&["--data-binary", "x\n", "-d", &at_file], "x\n&{\"a\": \"b\"}"),
    ] {
        let connection = request(options);
        let request = &connection.request;
        assert_eq!(request.method, "POST", "{options:?}");
        assert_eq!(request.body, body.as_bytes(), "{options:?}");
        let form = Some("application/x-www-form-urlencoded");
        assert_eq!(request.header("content-type"), form);
    }
    let connection =
        request(&["-d{}", "-X", "PUT", "-H", "Content-Type: text/json"]);
    assert_eq!(connection.request.method, "PUT");
    let text = Some("text/json");
    assert_eq!(connection.request.header("content-type"), text);

    let server = Server::start();
    let mut shell = Command::new("sh");
    let line = "head -c 100000 /dev/zero | tr '\\0' x | \"$0\" -d @- \"$1\"";
    shell.args(["-c", line]).arg(&*TOOL).arg(server.url("/"));
    let mut program = Program::start(shell);
    let connection = server.accept();
    assert_eq!(connection.request.body, vec![b'x'; 100_000]);
    connection.answer("204 No Content", "");
    assert_eq!(program.end().status, Some(0));
}

#[test]
fn a_user() {
    for (user, encoded) in [
        ("user:pass", "dXNlcjpwYXNz"),
        ("u:", "dTo="),
        ("u:pp", "dTpwcA=="),
        (":", "Og=="),
        ("\u{fc}:\u{fffd}", "w7w677+9"),
    ] {
        let connection = request(&["-u", user]);
        let value = format!("Basic {encoded}");
        assert_eq!(connection.request.header("authorization"), Some(&*value));
    }
}

#[test]
fn a_url_without_a_scheme() {
    let server = Server::start();
    let mut program = start(&[], &format!("{}/x", server.address()));
    server.accept().answer("204 No Content", "");
    assert_eq!(program.end().status, Some(0));
}

#[test]
fn a_last_event_id() {
    let connection = request(&["--last-event-id", "42"]);
    assert_eq!(connection.request.header("last-event-id"), Some("42"));
}

#[test]
fn a_proxy_or_none() {
    let proxy = Server::start();
    let mut program =
        start(&["-x", &proxy.address().to_string()], "http://other.test/x");
    let connection = proxy.accept();
    assert_eq!(connection.request.target, "http://other.test/x");
    program.signal("INT");
    program.end();

    let server = Server::start();
    let mut command = tool(&["--proxy", "", "--retry", "0"]);
    command.env("http_proxy", proxy.url("/")).arg(server.url("/"));
    let mut program = Program::start(command);
    end_with_204(&server, &mut program);
}

#[test]
fn an_interface_or_an_address() {
    for interface in ["lo", "127.0.0.5"] {
        let server = Server::start();
        let options = ["--interface", interface];
        let mut program = start(&options, &server.url("/"));
        let socket = server.accept_silently();
        let peer = socket.peer_addr().expect("a peer").ip().to_string();
        assert!(interface == "lo" || peer == interface, "{peer}");
        let connection = Connection::over(socket).expect("a request");
        connection.answer("204 No Content", "");
        assert_eq!(program.end().status, Some(0));
    }
}

#[test]
fn a_unix_socket() {
    let server = UnixServer::start();
    let path = server.path.to_str().expect("UTF-8");
    let mut program = start(&["--unix-socket", path], "http://some.test/x");
    let connection = server.accept();
    assert_eq!(connection.request.header("host"), Some("some.test"));
    connection.answer("204 No Content", "");
    assert_eq!(program.end().status, Some(0));
}

#[test]
fn an_authority_or_none() {
    let (config, authority) = certificates::with_own_authority("127.0.0.1");
    let authority = authority.to_str().expect("UTF-8");
    for options in [&["--cacert", authority][..], &["-k"], &["--insecure"]] {
        let server = Server::secure(config.clone());
        let mut program = start(options, &server.url("/"));
        end_with_204(&server, &mut program);
    }
    let server = Server::secure(config);
    let mut program = start(&["--retry", "0"], &server.url("/"));
    assert!(server.try_accept().is_err(), "it trusts nobody");
    let ended = program.end();
    assert_eq!(ended.status, Some(35), "{ended:?}");
}

#[test]
fn a_client_certificate_with_its_key_in_one_file_or_two() {
    let authority = certificates::authority();
    let authority = authority.to_str().expect("UTF-8");
    let (certificate, key) = certificates::signed("client", 4000);
    let both = [&certificate, &key].map(|it| fs::read_to_string(it).unwrap());
    let both = certificates::file("both", &both.concat());
    let [certificate, key, both] =
        [&certificate, &key, &both].map(|it| it.to_str().expect("UTF-8"));
    for options in [&["--cert", certificate, "--key", key][..], &["-E", both]] {
        let server =
            Server::secure(certificates::asking("127.0.0.1", VERSIONS[1]));
        let mut options = options.to_vec();
        options.extend(["--cacert", authority]);
        let mut program = start(&options, &server.url("/"));
        end_with_204(&server, &mut program);
    }
}

#[test]
fn a_server_by_its_key_or_by_another_name() {
    let config = certificates::trusted("bridge.test");
    let with_key = |key: &str| {
        let server = Server::secure(config.clone());
        let options = ["-k", "--retry", "0", "--pinnedpubkey", key];
        let mut program = start(&options, &server.url("/"));
        if let Ok(connection) = server.try_accept() {
            connection.answer("204 No Content", "");
        }
        program.end()
    };
    let nobodys = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let refused = with_key(nobodys);
    assert_eq!(refused.status, Some(35), "{refused:?}");
    // The message names the key that the server has.
    let start_of_key = refused.stderr.find("sha256//").expect("a key");
    let key = refused.stderr[start_of_key..].split([',', ' ', '\n']).next();
    assert_eq!(with_key(key.expect("a key")).status, Some(0));

    let authority = certificates::authority();
    let authority = authority.to_str().expect("UTF-8");
    let server = Server::secure(config);
    let options = ["--cacert", authority, "--server-name", "bridge.test"];
    let mut program = start(&options, &server.url("/"));
    end_with_204(&server, &mut program);
}
