//! `make help` is a full list of what `make` does.

use crate::program::{path, succeed};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

#[test]
fn make_help_lists_every_target() {
    let makefile = fs::read_to_string(path("Makefile")).expect("a Makefile");
    let (_, phony) = makefile.split_once(".PHONY:").expect("the targets");
    let targets: BTreeSet<_> =
        phony.split_whitespace().filter(|word| *word != "\\").collect();
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
