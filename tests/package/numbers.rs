//! Limits, defaults and times: what the header says of them, the manual, C++
//! and Go say as well.

use std::fs;
use support::api::{API, Function};
use support::program::path;

/// A setter, its default in the header, and the same in C++ and in Go, which
/// have types for times.
const DEFAULTS: [(&str, &str, &str); 7] = [
    ("set_max_redirects", "20", "20"),
    ("set_reconnection_time", "3000", "3 seconds"),
    ("set_max_reconnection_time", "30000", "30 seconds"),
    ("set_connect_timeout", "30000", "30 seconds"),
    ("set_response_timeout", "300000", "5 minutes"),
    ("set_max_event_size", "64 MiB", "64 MiB"),
    ("set_max_body_size", "4096", "4096"),
];

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).expect(name)
}

/// The numbers of a text, but for those of sections of other documents.
fn numbers(text: &str) -> Vec<String> {
    let mut words = text.split_whitespace();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        if word.ends_with("RFC") {
            words.by_ref().find(|it| it.ends_with([')', '.']));
            continue;
        }
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            found.push(word.replace(',', ""));
        }
    }
    found
}

/// A page without its example, and without what names others.
fn page(name: &str) -> String {
    let page = read(&format!("man/{name}.3"));
    let (before, rest) = page.split_once(".Sh EXAMPLES").expect("an example");
    let (_, after) = rest.split_once("\n.Sh ").expect("more sections");
    let others = [".\\\"", ".Dd", ".Os", ".Xr", ".It Xr"];
    let lines = before.lines().chain(after.lines());
    let own = lines.filter(|it| !others.iter().any(|no| it.starts_with(no)));
    own.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_manual_has_the_numbers_of_the_header_and_no_others() {
    let header = numbers(&read("include/eventsource.h"));
    for function in &API.functions {
        let page = numbers(&page(&function.page));
        for number in numbers(&function.doc) {
            assert!(page.contains(&number), "{}: {number}", function.name);
        }
        for number in page {
            let known = header.contains(&number);
            assert!(known, "{}: no {number} in the header", function.page);
        }
    }
}

/// The words of a text, each between two spaces.
fn words(text: &str) -> String {
    let words = text.split_whitespace();
    let words = words.map(|it| it.trim_matches(['.', ',', ';', '(', ')']));
    words.fold(" ".to_owned(), |text, word| text + word + " ")
}

/// The words of the comment that stands before a line.
fn comment(text: &str, line: &str) -> String {
    let (before, _) = text.split_once(line).expect(line);
    let lines = before.lines().rev();
    let lines = lines.map_while(|line| line.trim().strip_prefix("//"));
    let mut lines: Vec<_> = lines.collect();
    lines.reverse();
    words(&lines.join(" "))
}

#[test]
fn defaults_are_the_same_in_every_language() {
    let cpp = read("bindings/cpp/eventsource.hpp");
    let go = read("bindings/go/option.go");
    for (name, c, other) in DEFAULTS {
        let of = |it: &&Function| it.name == format!("eventsource_{name}");
        let function = API.functions.iter().find(of).expect(name);
        let option = name.replace("set_", "with_");
        let option: String = option.split('_').map(capital).collect();
        let option = format!("\nfunc {option}(");
        for (language, text, default) in [
            ("the header", words(&function.doc), c),
            ("C++", comment(&cpp, &format!("\n    void {name}(")), other),
            ("Go", comment(&go, &option), other),
        ] {
            let says = text.contains(&format!(" {default} "));
            assert!(says, "{name}: no {default} in {language}: {text}");
        }
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}
