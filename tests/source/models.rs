//! Streams of language models, in the shapes that their makers document.

use eventsource::ffi::Error;

use support::server::{CHUNKED, Connection, Server};
use support::source::{Handle, Seen, Source};

fn ask(url: &str, body: &str) -> Source {
    Source::new(url)
        .with_header("Content-Type", "application/json")
        .with_header("X-Api-Key", "k3y")
        .with_body(body)
}

/// One event in one chunk, as these servers write it.
fn events(connection: &mut Connection, events: &[(&str, &str)]) {
    for (kind, data) in events {
        let kind = match *kind {
            "" => String::new(),
            kind => format!("event: {kind}\n"),
        };
        connection.chunk(format!("{kind}data: {data}\n\n"));
    }
}

/// OpenAI, chat completions: chunks without a type, then `[DONE]`, at which
/// the program closes.
#[test]
fn openai_ends_with_done() {
    let server = Server::start();
    let close = |seen: &Seen, source: Handle| {
        if matches!(seen, Seen::Event(event) if event.data == "[DONE]") {
            source.close();
        }
    };
    let source = ask(&server.url("/v1/chat/completions"), "{\"stream\":true}")
        .doing(close)
        .start();
    let mut connection = server.accept();
    assert_eq!(connection.request.body, b"{\"stream\":true}");
    connection.send(CHUNKED);
    let chunks: Vec<String> = ["Hel", "lo", " 😀"]
        .iter()
        .map(|token| {
            format!(
                "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\
                 \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\
                 \"{token}\"}},\"finish_reason\":null}}]}}"
            )
        })
        .collect();
    source.opened();
    for chunk in &chunks {
        events(&mut connection, &[("", chunk)]);
        source.message(chunk);
    }
    events(&mut connection, &[("", "[DONE]"), ("", "never seen")]);
    assert!(matches!(source.next(), Seen::Event(_)));
    source.closed(Error::None);
    connection.sees_the_client_close();
}

/// Anthropic, messages: events with types, pings among them, and the end of
/// the stream after `message_stop`. An `error` in the stream is an event.
#[test]
fn anthropic_names_its_events() {
    let server = Server::start();
    let source = ask(&server.url("/v1/messages"), "{\"stream\":true}").start();
    source.listen("content_block_delta", "delta");
    source.listen("error", "error");
    let mut connection = server.accept();
    assert_eq!(connection.request.header("x-api-key"), Some("k3y"));
    connection.send(CHUNKED);
    let script = [
        ("message_start", "{\"type\":\"message_start\",\"message\":{}}"),
        ("ping", "{\"type\": \"ping\"}"),
        (
            "content_block_delta",
            "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
             {\"type\":\"text_delta\",\"text\":\"Hello\"}}",
        ),
        (
            "error",
            "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}",
        ),
        ("message_stop", "{\"type\":\"message_stop\"}"),
    ];
    events(&mut connection, &script);
    connection.send("0\r\n\r\n");
    connection.finish();
    source.opened();
    for (kind, data) in script {
        let event = source.event();
        assert_eq!((&*event.kind, &*event.data), (kind, data));
        if ["content_block_delta", "error"].contains(&kind) {
            assert!(
                matches!(source.next(), Seen::Heard(_, heard) if heard == event)
            );
        }
    }
    source.closed(Error::Ended);
    assert!(!server.is_asked(), "an answer is paid for once");
}

/// A refusal says why, and the key stays where it is.
#[test]
fn a_refusal_says_why() {
    let server = Server::start();
    let source =
        ask(&server.url("/"), "{}").looking_up(&["retry-after"]).start();
    let mut connection = server.accept();
    let body = "{\"error\":{\"message\":\"Rate limit reached\"}}";
    connection.send(format!(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let failure = source.failed(Error::Status);
    assert_eq!(failure.body, body);
    let message = "unexpected status 429; EVENTSOURCE_RETRY_UNTIL_OPEN would \
                   ask again";
    assert_eq!(failure.message, message);
    let headers = failure.response.expect("a response").headers;
    assert_eq!(headers["retry-after"], "7");
    assert!(!server.is_asked(), "not repeated");
}
