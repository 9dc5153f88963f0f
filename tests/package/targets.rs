//! `make help` is a full list of what `make` does, and documents name no other
//! target.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use support::program::{path, succeed};

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).expect("a file of the project")
}

fn targets(makefile: &str) -> BTreeSet<&str> {
    let (_, phony) = makefile.split_once(".PHONY:").expect("the targets");
    phony.split_whitespace().filter(|word| *word != "\\").collect()
}

#[test]
fn make_help_lists_every_target() {
    let makefile = read("Makefile");
    let targets = targets(&makefile);
    assert!(targets.len() > 20, "so few? {targets:?}");

    let mut help = Command::new("make");
    help.arg("-C").arg(path("")).args(["--no-print-directory", "help"]);
    let help = String::from_utf8(succeed(help).stdout).expect("UTF-8");
    let mut listed = BTreeSet::new();
    for line in help.lines() {
        let (target, text) = line.split_once(' ').expect("a target and a text");
        assert!(!text.trim().is_empty(), "{target} has no text");
        listed.insert(target);
    }
    assert_eq!(listed, targets);
}

#[test]
fn documents_name_targets_that_exist() {
    let makefile = read("Makefile");
    let targets = targets(&makefile);
    let mut count = 0;
    let documents =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md"];
    for document in documents {
        let text = read(document).replace("```\n", "`");
        for command in text.split("`make ").skip(1) {
            let end = command.find([' ', '`', '\n']).expect("its end");
            let target = &command[..end];
            assert!(targets.contains(target), "{document}: make {target}");
            count += 1;
        }
    }
    assert!(count > 15, "so few? {count}");
}
