//! firebase: a database that redirects, and whose tokens end.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::program::Program;
use support::streams::{HEAD, directly, serve, wait_for_the_end_of};

use crate::go_program;
use crate::service::{JSON, Request, say};

#[test]
fn firebase_follows_a_place_with_ever_new_tokens() {
    let asked = AtomicUsize::new(0);
    let tokens = serve(move |_, head, stream| {
        let request = Request::read(head, &stream)?;
        assert_eq!(request.header("metadata-flavor"), Some("Google"));
        match asked.fetch_add(1, Ordering::SeqCst) {
            2 => say(&stream, "500 -", "", "{\"error\":\"not now\"}"),
            number => {
                let token = format!("{{\"access_token\":\"t&{number}\"}}");
                say(&stream, "200 OK", JSON, &token)
            }
        }
    });
    let data = serve(|number, head, mut stream| {
        let request = Request::read(head, &stream)?;
        let token = [0, 1, 4][number];
        let target = format!("GET /place.json?a=b&access_token=t%26{token} ");
        assert!(request.line.starts_with(&target), "{}", request.line);
        let put = "event: put\ndata: {\"path\":\"/\",\"data\":{\"a\": 1}}\n\n";
        let patch = "event: patch\ndata: {\"path\":\"/a\",\"data\":2}\n\n";
        let keep_alive = "event: keep-alive\ndata: null\n\n";
        let revoked = "event: auth_revoked\ndata: \"expired\"\n\n";
        let cancel = "event: cancel\ndata: null\n\n";
        let body = match number {
            0 => format!("retry: 1\n{put}{keep_alive}{revoked}"),
            // And it is lost.
            1 => patch.to_owned(),
            _ => cancel.to_owned(),
        };
        stream.write_all(format!("{HEAD}{body}").as_bytes())?;
        match number {
            1 => Ok(()),
            _ => wait_for_the_end_of(stream),
        }
    });
    let elsewhere = data.replace("127.0.0.1", "localhost");
    let database = serve(move |number, head, stream| {
        let request = Request::read(head, &stream)?;
        let target = request.line.split(' ').nth(1).expect("a target");
        if number == 2 {
            return say(
                &stream,
                "401 Unauthorized",
                "",
                "{\"error\":\"expired\"}",
            );
        }
        let location = format!("Location: {elsewhere}{}\r\n", &target[1..]);
        say(&stream, "307 Temporary Redirect", &location, "")
    });
    let mut command = directly(&go_program("firebase"));
    command.args([&format!("{database}place.json?a=b"), &tokens]);
    let ended = Program::start(command).end();
    assert_eq!(ended.lines, ["put / {\"a\": 1}", "patch /a 2"], "{ended:?}");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let said: Vec<_> = ended.stderr.lines().collect();
    let [lost, no_token, expired, cancelled] = said[..] else {
        panic!("{ended:?}")
    };
    assert!(lost.contains("ended the stream; again in "), "{lost}");
    assert!(no_token.contains("no token from "), "{no_token}");
    assert!(expired.contains("unexpected status 401; again in "), "{expired}");
    assert!(cancelled.contains("allow it no more"), "{cancelled}");
}

#[test]
fn firebase_ends_when_it_is_told_to() {
    let tokens = serve(|_, head, stream| {
        Request::read(head, &stream)?;
        say(&stream, "200 OK", JSON, "{\"access_token\":\"t\"}")
    });
    let url = serve(|_, _, mut stream| {
        let put = "event: put\ndata: {\"path\":\"/\",\"data\":null}\n\n";
        stream.write_all(format!("{HEAD}{put}").as_bytes())?;
        wait_for_the_end_of(stream)
    });
    let mut command = directly(&go_program("firebase"));
    command.args([&url, &tokens]);
    let mut firebase = Program::start(command);
    firebase.wait_for("put / null");
    firebase.signal("INT");
    let ended = firebase.end();
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{ended:?}");
}
