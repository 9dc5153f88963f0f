//! Streams in the shapes that well-known servers send, each built beside what
//! it says. Nothing here reads a stream: what is expected is noted down while
//! the stream is written.

use fastrand::Rng;

use crate::said::Said;

/// A server, and how it writes: some events of its kind.
pub type Shape = fn(&mut Server);

/// Every shape, by name.
pub const SHAPES: [(&str, Shape); 19] = [
    ("wikimedia", wikimedia),
    ("openai", openai),
    ("openai responses", openai_responses),
    ("openrouter", openrouter),
    ("anthropic", anthropic),
    ("launchdarkly", launchdarkly),
    ("launchdarkly, saving data", launchdarkly_saving_data),
    ("mastodon", mastodon),
    ("mercure", mercure),
    ("mdn", mdn),
    ("nchan", nchan),
    ("starlette", starlette),
    ("django", django),
    ("tiny", tiny),
    ("huge", huge),
    ("many lines", many_lines),
    ("comments", comments),
    ("ids", ids),
    ("torture", torture),
];

/// Builds the stream of a shape: the same for the same seed.
pub fn build(shape: Shape, seed: u64, end: &'static str) -> Server {
    let mut server = Server {
        stream: Vec::new(),
        said: Vec::new(),
        random: Rng::with_seed(seed),
        end,
        event_type: String::new(),
        data: None,
        id: String::new(),
        sent_id: String::new(),
    };
    shape(&mut server);
    server
}

/// Writes a stream, and notes what it says.
pub struct Server {
    pub stream: Vec<u8>,
    pub said: Vec<Said>,
    random: Rng,
    end: &'static str,
    event_type: String,
    data: Option<String>,
    id: String,
    sent_id: String,
}

impl Server {
    /// A line that says nothing.
    fn line(&mut self, line: impl AsRef<[u8]>) {
        self.stream.extend_from_slice(line.as_ref());
        self.stream.extend_from_slice(self.end.as_bytes());
    }

    fn comment(&mut self, text: &str) {
        self.line(format!(":{text}"));
        self.said.push(Said::Comment(text.into()));
    }

    fn event_type(&mut self, event_type: &str) -> &mut Server {
        self.line(format!("event: {event_type}"));
        self.event_type = event_type.into();
        self
    }

    fn id(&mut self, id: &str) -> &mut Server {
        self.line(format!("id: {id}"));
        self.id = id.into();
        self
    }

    fn retry(&mut self, time: u64) -> &mut Server {
        self.line(format!("retry: {time}"));
        self.said.push(Said::Retry(time));
        self
    }

    /// Data of one or more lines.
    fn data(&mut self, data: &str) -> &mut Server {
        for line in data.split('\n') {
            self.line(format!("data: {line}"));
            self.note_data(line);
        }
        self
    }

    /// The last line written says this.
    fn note_data(&mut self, value: &str) {
        match &mut self.data {
            Some(data) => *data += &format!("\n{value}"),
            None => self.data = Some(value.into()),
        }
    }

    fn end(&mut self) {
        self.line("");
        if self.id != self.sent_id {
            self.sent_id.clone_from(&self.id);
            self.said.push(Said::LastEventId(self.id.clone()));
        }
        let event_type = std::mem::take(&mut self.event_type);
        if let Some(data) = self.data.take() {
            self.said.push(Said::Event {
                event_type: match event_type.is_empty() {
                    true => "message".into(),
                    false => event_type,
                },
                data,
                last_event_id: self.id.clone(),
            });
        }
    }

    fn message(&mut self, data: &str) {
        self.data(data).end();
    }

    fn event(&mut self, event_type: &str, data: &str) {
        self.event_type(event_type).data(data).end();
    }

    /// An event whose data tells its type again.
    fn typed(&mut self, event_type: &str, rest: &str) {
        self.event(event_type, &format!(r#"{{"type":"{event_type}"{rest}}}"#));
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| self.random.digit(16)).collect()
    }

    fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|digits| self.hex(digits)).join("-")
    }

    fn word(&mut self) -> &'static str {
        const ENGLISH: [&str; 12] = [
            "time", "river", "of", "between", "a", "light", "seven", "house",
            "and", "toward", "it", "winter",
        ];
        const WORLD: [&str; 10] = [
            "Køge",
            "Ἀθῆναι",
            "Волга",
            "上海",
            "대전",
            "بغداد",
            "दिल्ली",
            "🐿️",
            "👨‍👩‍👧",
            "coöperate",
        ];
        let of: &[&str] = if self.chance(10) { &WORLD } else { &ENGLISH };
        self.random.choice(of).copied().expect("there are words")
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn some_text(&mut self, most: usize) -> String {
        let words = self.random.usize(1..=most);
        self.text(words)
    }
}

/// KafkaSSE: type, id as JSON, data; `:ok` before all.
fn wikimedia(server: &mut Server) {
    server.comment("ok");
    server.end();
    for offset in 0..40 {
        let time = 1_767_225_600_000u64 + offset * 37;
        let id = format!(
            r#"[{{"topic":"codfw.mediawiki.recentchange","partition":0,"offset":-1}},{{"topic":"eqiad.mediawiki.recentchange","partition":0,"timestamp":{time}}}]"#
        );
        let (uuid, title) = (server.uuid(), server.some_text(5));
        let (user, comment) = (server.word(), server.some_text(40));
        let data = format!(
            r#"{{"$schema":"/mediawiki/recentchange/1.0.0","meta":{{"id":"{uuid}","domain":"en.wikipedia.org","stream":"mediawiki.recentchange","offset":{offset}}},"type":"edit","title":"{title}","user":"{user}","comment":"{comment}","parsedcomment":"<i>{comment}</i>","wiki":"enwiki"}}"#
        );
        server.event_type("message").id(&id).data(&data).end();
    }
}

fn chat_chunk(server: &mut Server, id: &str, delta: &str) {
    let padding = server.hex(7);
    server.message(&format!(
        r#"{{"id":"{id}","object":"chat.completion.chunk","created":1767225600,"model":"gpt","choices":[{{"index":0,"delta":{delta},"logprobs":null}}],"obfuscation":"{padding}"}}"#
    ));
}

/// Chat completions: bare data lines, then a word that is no JSON.
fn openai(server: &mut Server) {
    for _ in 0..3 {
        let id = format!("chatcmpl-{}", server.hex(24));
        chat_chunk(server, &id, r#"{"role":"assistant","content":""}"#);
        for _ in 0..60 {
            let delta = match server.chance(5) {
                true => r#"{"content":"\n\n"}"#.into(),
                false => format!(r#"{{"content":" {}"}}"#, server.word()),
            };
            chat_chunk(server, &id, &delta);
        }
        chat_chunk(server, &id, "{}");
        server.message("[DONE]");
    }
}

/// Responses: every event has a type, and a number.
fn openai_responses(server: &mut Server) {
    for _ in 0..3 {
        let id = server.hex(40);
        let response = format!(r#","response":{{"id":"resp_{id}"}}"#);
        server.typed("response.created", &response);
        server.typed("response.in_progress", &response);
        let mut whole = String::new();
        for number in 2..60 {
            let delta = format!(" {}", server.word());
            whole += &delta;
            let rest = format!(
                r#","sequence_number":{number},"item_id":"msg_{id}","delta":"{delta}""#
            );
            server.typed("response.output_text.delta", &rest);
        }
        let rest = format!(r#","text":"{whole}""#);
        server.typed("response.output_text.done", &rest);
        server.typed("response.completed", &response);
    }
}

/// Comments while the model thinks.
fn openrouter(server: &mut Server) {
    for _ in 0..4 {
        for _ in 0..server.random.u8(1..6) {
            server.comment(" OPENROUTER PROCESSING");
            server.end();
        }
        let id = format!("gen-1767225600-{}", server.hex(20));
        for _ in 0..30 {
            let delta = format!(r#"{{"content":"{} "}}"#, server.word());
            chat_chunk(server, &id, &delta);
            if server.chance(5) {
                server.comment(" OPENROUTER PROCESSING");
                server.end();
            }
        }
        server.message("[DONE]");
    }
}

/// Messages: types, pings, a tool's arguments in shreds, an error in between.
fn anthropic(server: &mut Server) {
    for round in 0..5 {
        let id = server.hex(24);
        let rest = format!(r#","message":{{"id":"msg_{id}","content":[]}}"#);
        server.typed("message_start", &rest);
        server.typed("content_block_start", r#","index":0"#);
        server.typed("ping", "");
        for _ in 0..40 {
            let text = server.some_text(6);
            let rest = format!(
                r#","index":0,"delta":{{"type":"text_delta","text":" {text}"}}"#
            );
            server.typed("content_block_delta", &rest);
        }
        server.typed("content_block_stop", r#","index":0"#);
        if round == 2 {
            let error = r#","error":{"type":"overloaded_error"}"#;
            server.typed("error", error);
            continue;
        }
        for shred in [r#""#, r#"{\"ci"#, r#"ty\":"#, r#" \"Köln\"}"#] {
            let rest = format!(
                r#","index":1,"delta":{{"type":"input_json_delta","partial_json":"{shred}"}}"#
            );
            server.typed("content_block_delta", &rest);
        }
        server.typed("message_delta", r#","usage":{"output_tokens":40}"#);
        server.typed("message_stop", "");
    }
}

fn flag(server: &mut Server, key: &str, version: u32) -> String {
    let (salt, rule) = (server.hex(32), server.uuid());
    format!(
        r#"{{"key":"{key}","on":true,"targets":[],"rules":[{{"id":"{rule}","clauses":[]}}],"variations":[true,false],"salt":"{salt}","version":{version}}}"#
    )
}

/// One large event, then small ones; heartbeats are a colon in no block.
fn launchdarkly(server: &mut Server) {
    let flags: Vec<String> = (0..200)
        .map(|number| {
            let key = format!("flag-{number}");
            format!(r#""{key}":{}"#, flag(server, &key, 1))
        })
        .collect();
    let flags = flags.join(",");
    let all = format!(r#"{{"path":"/","data":{{"flags":{{{flags}}}}}}}"#);
    server.event("put", &all);
    for version in 2..60 {
        let key = format!("flag-{}", server.random.u8(0..200));
        let flag = flag(server, &key, version);
        match server.random.u8(0..10) {
            0 | 1 => server.comment(""),
            2 => {
                let path = format!(r#"{{"path":"/flags/{key}"}}"#);
                server.event("delete", &path);
            }
            _ => {
                let patch =
                    format!(r#"{{"path":"/flags/{key}","data":{flag}}}"#);
                server.event("patch", &patch);
            }
        }
    }
}

/// An intent, objects, and word that all were sent.
fn launchdarkly_saving_data(server: &mut Server) {
    for version in 1..12 {
        let intent = format!(r#"{{"payloads":[{{"target":{version}}}]}}"#);
        server.event("server-intent", &intent);
        for _ in 0..if version == 1 { 100 } else { 3 } {
            let key = format!("flag-{}", server.random.u8(..));
            let flag = flag(server, &key, version);
            let object = format!(r#"{{"kind":"flag","object":{flag}}}"#);
            server.event("put-object", &object);
        }
        server.event("payload-transferred", &format!(r#"{{"v":{version}}}"#));
        server.event("heartbeat", "{}");
    }
}

/// Comments with no empty line after them, numbers for data, no ids.
fn mastodon(server: &mut Server) {
    server.comment(")");
    for number in 0..60u64 {
        let id = 110_000_000_000_000_000 + (number << 16);
        match server.random.u8(0..10) {
            0 => server.comment("thump"),
            1 => server.event("delete", &id.to_string()),
            2 => server.event("notification", r#"{"type":"mention"}"#),
            _ => {
                let (user, text) = (server.word(), server.some_text(60));
                let status = format!(
                    r#"{{"id":"{id}","content":"<p>{text}</p>","account":{{"username":"{user}"}},"media_attachments":[],"poll":null}}"#
                );
                server.event("update", &status);
            }
        }
    }
}

/// Ids that are URNs, a field that nobody knows, JSON over several lines.
fn mercure(server: &mut Server) {
    server.comment("");
    for number in 0..60 {
        if server.chance(10) {
            server.comment("");
        }
        if server.chance(30) {
            server.event_type("update");
        }
        if server.chance(20) {
            server.retry(5000);
        }
        if number % 3 == 0 {
            server.line(format!("topic: https://example.com/books/{number}"));
        }
        let id = format!("urn:uuid:{}", server.uuid());
        let title = server.some_text(4);
        let gap = if server.chance(30) { "\n    " } else { "" };
        let book = format!("{{{gap}\"title\": \"{title}\"{gap}\n}}");
        server.id(&id).data(&book).end();
    }
}

/// The time once a second, a message now and then.
fn mdn(server: &mut Server) {
    for second in 0..60 {
        let now = format!("2026-01-01T00:00:{second:02}-0500");
        server.event("ping", &format!(r#"{{"time": "{now}"}}"#));
        if server.chance(15) {
            server.message(&format!("This is a message at time {now}"));
        }
    }
}

/// Pings with a type and no data.
fn nchan(server: &mut Server) {
    server.comment(" hi");
    server.end();
    for number in 0..80 {
        if server.chance(20) {
            server.comment("");
            server.event_type("ping").end();
            continue;
        }
        if server.chance(50) {
            server.event_type("tick");
        }
        let data = if server.chance(20) { "two\nlines" } else { "{}" };
        let id = format!("{}:{}", 1_767_225_600 + number / 4, number % 4);
        server.id(&id).data(data).end();
    }
}

/// CRLF by nature; the id before the type; pings with a date.
fn starlette(server: &mut Server) {
    server.end = "\r\n";
    for number in 0..80 {
        if server.chance(10) {
            let micros = server.random.u32(0..1_000_000);
            let text = format!(" ping - 2026-01-01 00:00:07.{micros:06}+00:00");
            server.comment(&text);
            server.end();
        }
        let data = server.some_text(10);
        server.id(&number.to_string()).event_type("tick").data(&data);
        if number == 0 {
            server.retry(15_000);
        }
        server.end();
    }
}

/// Two KiB of blanks for old proxies; events whose data is empty.
fn django(server: &mut Server) {
    server.comment(&" ".repeat(2049));
    server.end();
    for number in 0..60 {
        if number % 10 == 0 {
            server.event_type("keep-alive").line("data:");
            server.note_data("");
            server.end();
        }
        let text = server.some_text(6);
        let data = format!(r#"{{"text": "{text}"}}"#);
        let id = format!("test:{number}");
        server.event_type("message").id(&id).data(&data).end();
    }
}

/// As small as an event can be.
fn tiny(server: &mut Server) {
    for _ in 0..3000 {
        let digit = server.random.digit(10);
        server.line(format!("data:{digit}"));
        server.note_data(&digit.to_string());
        server.end();
    }
}

/// Lines of a megabyte, ASCII and not.
fn huge(server: &mut Server) {
    let ascii = server.hex(1 << 20);
    server.message(&ascii);
    let mut text = String::new();
    while text.len() < 1 << 20 {
        text += server.word();
    }
    server.event("text", &text);
    server.message("small again");
}

/// Thousands of data lines in one event.
fn many_lines(server: &mut Server) {
    for _ in 0..2 {
        for _ in 0..3000 {
            let line = match server.chance(10) {
                true => String::new(),
                false => server.some_text(4),
            };
            server.data(&line);
        }
        server.end();
    }
}

/// Nothing but life signs.
fn comments(server: &mut Server) {
    for _ in 0..500 {
        let text = if server.chance(50) { " keep-alive" } else { "" };
        server.comment(text);
        server.end();
    }
}

/// Ids alone, repeated, empty, bare, unfit, with blanks, with signs.
fn ids(server: &mut Server) {
    for number in 0..100 {
        server.id(&number.to_string()).message("an id");
        match server.random.u8(0..8) {
            0 => server.id(&format!("alone {number}")).end(),
            1 => server.id("").message("reset"),
            2 => {
                server.line("id: a\0b");
                server.message("an id with a NUL is none");
            }
            3 => server.id("ö 语 🐿️").message("beyond ASCII"),
            4 => {
                server.line("id");
                server.id.clear();
                server.message("reset by a bare field");
            }
            5 => server.id("  two more blanks ").message("kept"),
            6 => server.id("overruled").id("last").message("the last one"),
            _ => {
                server.line(" id: 1");
                server.line("ID: 2");
                server.line("idx: 3");
                server.message("no ids");
            }
        }
    }
}

/// Every rule of the grammar in each round, and a stream that just ends.
fn torture(server: &mut Server) {
    for round in 0..20 {
        fields_without_value(server);
        values_as_they_are(server);
        types_that_do_not_last(server);
        lines_that_say_nothing(server);
        server.id(&format!("round {round}")).message("still here");
        server.line(b"data: \xFF \xE0\x80 \xF0\x9F\x92 \xED\xBF\xBF \xC3");
        server.note_data(
            "\u{FFFD} \u{FFFD}\u{FFFD} \u{FFFD} \u{FFFD}\u{FFFD}\u{FFFD} \
             \u{FFFD}",
        );
        server.end();
        server.line("");
        server.line("");
    }
    server.line("id: lost");
    server.line("event: lost");
    server.stream.extend_from_slice(b"data: lost");
}

fn fields_without_value(server: &mut Server) {
    for lines in 1..4 {
        for _ in 0..lines {
            server.line("data");
            server.note_data("");
        }
        server.end();
    }
}

fn values_as_they_are(server: &mut Server) {
    for value in [
        " a second blank",
        "\ta tab",
        "a: b:c",
        ":",
        "\u{FEFF}no mark here\u{FEFF}",
        "a NUL \0 inside",
        "no line ends: \u{B} \u{C} \u{85} \u{2028} \u{2029}",
        "a blank at the end ",
    ] {
        server.message(value);
    }
}

fn types_that_do_not_last(server: &mut Server) {
    server.event_type("forgotten").end();
    server.message("message again");
    server.event_type("first").event_type("second").message("the second");
    server.event_type("first");
    server.line("event:");
    server.event_type.clear();
    server.message("message by an empty type");
    server.data("before").event_type("between").data("after").end();
}

fn lines_that_say_nothing(server: &mut Server) {
    server.retry(1500);
    for value in ["1.5", "-1", "+1", "0x10", "1 ", " 2", "٣", "1e3", ""] {
        server.line(format!("retry: {value}"));
    }
    for line in ["DATA: x", "colour: x", "datas: x", " data: x", "data : x"] {
        server.line(line);
    }
    server.comment(": two colons");
    server.end();
}
