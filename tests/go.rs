//! The Go module in bindings/go, with the library that cargo has just built:
//! its own tests, the example program, and what the readme shows of it.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::LazyLock;
use support::program::{Ended, Program, compile, go, path, scratch, succeed};
use support::streams::{
    HEAD, in_the_readme, no_content, serve, wait_for_the_end_of,
};

#[test]
fn the_module_passes_its_tests_under_the_race_detector() {
    succeed(go(&["test", "-race", "-count=1", "-timeout=5m", "./..."]));
}

#[test]
fn the_module_is_formatted_and_vetted() {
    let mut gofmt = Command::new("gofmt");
    gofmt.arg("-l").args([path("bindings/go"), path("examples")]);
    let unformatted = succeed(gofmt).stdout;
    assert_eq!(String::from_utf8_lossy(&unformatted), "");
    succeed(go(&["vet", "./..."]));
    for example in ["chat", "firebase", "listen"] {
        succeed(go(&["vet", &format!("../../examples/{example}.go")]));
    }
}

#[test]
fn the_module_says_what_it_needs_where_it_cannot_be_built() {
    const NEEDS: &str = "eventsource needs Linux and cgo: build for \
                         GOOS=linux, with CGO_ENABLED=1";
    for (variable, value) in
        [("CGO_ENABLED", "0"), ("GOOS", "darwin"), ("GOOS", "windows")]
    {
        for arguments in [
            &["build", "./..."] as &[&str],
            &["vet", "./..."],
            &["build", "../../examples/listen.go"],
        ] {
            let output = go(arguments).env(variable, value).output();
            let output = output.expect("go");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{variable}={value}");
            let errors = said.lines().filter(|line| !line.starts_with('#'));
            assert_eq!(errors.count(), 1, "{said}");
            assert!(said.contains(NEEDS), "{said}");
        }
    }
}

#[test]
fn the_readme_shows_the_example_that_is_tested() {
    let shown = in_the_readme("go");
    let example = fs::read_to_string(path("bindings/go/example_test.go"));
    let example = example.expect("an example").replace("\n\t", "\n");
    assert!(example.contains(&shown), "{shown}");
}

// The example

static LISTEN: LazyLock<String> = LazyLock::new(|| {
    let program = scratch("go/listen").to_str().expect("UTF-8").to_owned();
    succeed(go(&["build", "-o", &program, "../../examples/listen.go"]));
    program
});

#[test]
fn listen_does_in_go_what_it_does_in_c() {
    let in_c = compile(&path("examples/listen.c"));
    let in_c = listen_to_everything(in_c.to_str().expect("UTF-8"));
    let in_go = listen_to_everything(&LISTEN);
    assert_eq!(in_go.lines, in_c.lines);
    assert_eq!((in_c.status, in_go.status), (Some(1), Some(1)));
    assert!(!in_go.stderr.is_empty(), "-v logs to standard error");
}

/// Two connections and a refusal, always at the same address.
fn listen_to_everything(listen: &str) -> Ended {
    let url = serve(|number, _, mut stream| {
        let body = match number {
            0 => ": hello\nretry: 10\nid: 1\ndata: a\ndata: b\n\ndata: lo",
            1 => "event: ping\ndata: c\n\n",
            _ => return no_content(stream),
        };
        stream.write_all(format!("{HEAD}{body}").as_bytes())
    });
    let mut command = Command::new(listen);
    command.args(["-v", &url, "0"]);
    let mut ended = Program::start(command).end();
    for line in &mut ended.lines {
        *line = line.replace(&url, "URL");
        if line.starts_with("lost ") {
            // The wait is random.
            line.truncate(line.find("; again in ").expect("the wait"));
        }
    }
    ended
}

#[test]
fn listen_ends_when_it_is_told_to() {
    for signal in ["INT", "TERM"] {
        let url = serve(|_, _, mut stream| {
            stream.write_all(HEAD.as_bytes())?;
            wait_for_the_end_of(stream)
        });
        let mut command = Command::new(&*LISTEN);
        command.arg(url);
        let mut listen = Program::start(command);
        listen.wait_for("open ");
        listen.signal(signal);
        let ended = listen.end();
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert_eq!(ended.lines[1..], ["close  told to end"]);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn listen_ends_with_2_when_it_cannot_begin() {
    for arguments in [
        &[] as &[&str],
        &["-x", "http://127.0.0.1/"],
        &["http://127.0.0.1/", "1", "2"],
        &["127.0.0.1"],
        &["http://127.0.0.1/", "an id\nof two lines"],
    ] {
        let mut command = Command::new(&*LISTEN);
        command.args(arguments);
        let ended = Program::start(command).end();
        assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.lines.is_empty(), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?} goes unexplained");
    }
}
