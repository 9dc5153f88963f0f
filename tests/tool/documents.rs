//! What is told of the command: its help, its page, and what shells complete.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use support::program::{Program, WARNINGS, check_page, path, scratch, succeed};

use super::{sources, tool};

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).expect(name)
}

/// The long options, as the program's table has them.
fn options() -> BTreeSet<String> {
    let source = read("tools/options.c");
    let (_, table) = source.split_once("option names[] = {").expect("it");
    let (table, _) = table.split_once("};").expect("its end");
    let names = table.split("{\"").skip(1);
    let names: BTreeSet<_> = names
        .map(|it| it.split('"').next().expect("a name").to_owned())
        .collect();
    assert!(names.len() > 15, "so few? {names:?}");
    names
}

/// What follows each `prefix` in a text, if it may be an option's name.
fn named(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '-';
    text.split(prefix)
        .skip(1)
        .map(|it| it.split(|c| !is_name(c)).next().expect("one at least"))
        .filter(|it| it.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_option_is_in_every_document_and_no_other() {
    let help = Program::start(tool(&["--help"])).end();
    assert_eq!((help.status, &*help.stderr), (Some(0), ""));
    let options = options();
    assert_eq!(named(&help.lines.join("\n"), "--"), options);
    let page = read("man/eventsource.1");
    let items = page.lines().filter_map(|line| line.strip_prefix(".It Fl "));
    let items: Vec<_> = items.collect();
    let items = format!(" {}", items.join(" "));
    assert_eq!(named(&items, " -"), options, "the manual");
    let bash = read("tools/completion/eventsource.bash");
    let zsh = read("tools/completion/_eventsource");
    assert_eq!(named(&bash, " --"), options, "bash");
    for (text, prefix) in
        [(zsh, "--"), (read("tools/completion/eventsource.fish"), " -l ")]
    {
        assert_eq!(named(&text, prefix), options, "{prefix}");
    }
}

#[test]
fn every_status_is_on_the_page() {
    let header = read("tools/status.h");
    let numbers = header.split("STATUS_").filter_map(|it| {
        let (_, number) = it.split_once(" = ")?;
        number.split(',').next()
    });
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.len() > 15, "so few? {numbers:?}");
    let page = read("man/eventsource.1");
    let (_, table) = page.split_once(".Sh EXIT STATUS").expect("a table");
    let listed = table.lines().filter_map(|line| line.strip_prefix(".It "));
    assert_eq!(listed.collect::<Vec<_>>(), numbers);
}

#[test]
fn the_page_is_good_mdoc() {
    check_page(&path("man/eventsource.1"));
}

#[test]
fn the_version_is_the_librarys() {
    let ended = Program::start(tool(&["-V"])).end();
    let version = env!("CARGO_PKG_VERSION");
    let expected = ["eventsource", "libeventsource"];
    assert_eq!(ended.lines, expected.map(|it| format!("{it} {version}")));
    assert_eq!(ended.status, Some(0));
}

#[test]
fn the_sources_are_clean_c() {
    for compiler in ["gcc", "clang"] {
        for source in sources() {
            let mut command = Command::new(compiler);
            command.arg("-std=c99").args(WARNINGS).arg("-fsyntax-only");
            command.args(["-Wshadow", "-Wconversion", "-Wno-sign-conversion"]);
            command.arg("-I").arg(path("include")).arg(source);
            succeed(command);
        }
    }
}

/// What bash offers for the last of these words.
fn completed(words: &[&str]) -> Vec<String> {
    let script = "source \"$0\"; COMP_WORDS=(\"$@\"); \
                  COMP_CWORD=$(($# - 1)); _eventsource; \
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script]);
    bash.arg(path("tools/completion/eventsource.bash")).args(words);
    bash.current_dir(scratch(""));
    let output = succeed(bash);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    output.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_options_files_and_values() {
    fs::create_dir_all(scratch("tool-completion")).expect("scratch space");
    fs::write(scratch("tool-completion/a.pem"), "").expect("scratch space");
    for (words, offered) in [
        (&["eventsource", "--da"][..], &["--data", "--data-binary"][..]),
        (
            &["eventsource", "--cacert", "tool-completion/"],
            &["tool-completion/a.pem"],
        ),
        (
            &["eventsource", "-d", "@tool-completion/a"],
            &["@tool-completion/a.pem"],
        ),
        (&["eventsource", "-d", "tool-completion/a"], &[""]),
        (&["eventsource", "--retry", "i"], &["inf"]),
        (&["eventsource", "-X", "P"], &["POST", "PUT"]),
        (&["eventsource", "-H", "Co"], &["Content-Type:", "Cookie:"]),
    ] {
        assert_eq!(completed(words), offered, "{words:?}");
    }
}
