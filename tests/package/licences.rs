//! LICENSE-THIRD-PARTY holds what the licences of the code inside the library
//! ask to be passed on, all of them licences that deny.toml allows. Each file of
//! ours says by REUSE.toml under which licence it is.
//!
//! `UPDATE_LICENCES=1 cargo test --test package licences` writes it anew.

use crate::inside::{Package, packages};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::program::{path, python_environment, succeed};

const FILE: &str = "LICENSE-THIRD-PARTY";

/// The standard library is in the binary, and in no Cargo.lock.
const STD: &str = "The Rust standard library, MIT OR Apache-2.0";

#[test]
fn the_licences_of_what_is_inside_are_collected() {
    let collected = collect();
    if std::env::var_os("UPDATE_LICENCES").is_some() {
        fs::write(path(FILE), &collected).expect("the file");
    }
    let committed = fs::read_to_string(path(FILE)).unwrap_or_default();
    assert!(
        committed == collected,
        "{FILE} is stale; \
         UPDATE_LICENCES=1 cargo test --test package licences"
    );
}

/// As `cargo deny check licenses bans sources` would, which takes minutes to
/// build.
#[test]
fn what_is_inside_is_allowed_there() {
    let deny = fs::read_to_string(path("deny.toml")).expect("what is allowed");
    let (_, rest) = deny.split_once("allow = [").expect("licences");
    let (list, _) = rest.split_once(']').expect("their end");
    let allowed: BTreeSet<_> = list.split('"').skip(1).step_by(2).collect();
    let mut names = BTreeSet::new();
    for package in packages() {
        let Package { name, licence, from, .. } = package;
        assert!(is_allowed(&licence, &allowed), "{name}: {licence}");
        let from = from.unwrap_or("registry+".to_owned());
        assert!(from.starts_with("registry+"), "{name} is from {from}");
        assert!(names.insert(name.clone()), "{name} is there twice");
    }
    assert!(names.len() > 40, "so few? {names:?}");
}

/// Reads an SPDX expression, in which AND binds more tightly than OR.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    // What is in brackets becomes one word: whether it is allowed.
    if let Some((before, rest)) = expression.split_once('(') {
        let (inner, after) = rest.split_once(')').expect("a bracket's end");
        let inner = is_allowed(inner, allowed);
        let word = if inner { "MIT" } else { "none" };
        return is_allowed(&format!("{before}{word}{after}"), allowed);
    }
    expression.split(" OR ").any(|choice| {
        choice.split(" AND ").all(|licence| allowed.contains(licence))
    })
}

#[test]
fn brackets_of_licences_are_read() {
    let allowed = ["MIT", "ISC"].into();
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 AND MIT) OR Zlib", false),
        ("Apache-2.0 WITH LLVM-exception", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn every_file_has_an_owner_and_a_licence() {
    let python = python_environment("reuse", "tests/package/requirements.txt");
    let mut reuse = Command::new(python.join("bin/reuse"));
    reuse.arg("--root").arg(path("")).args(["lint", "--lines"]);
    succeed(reuse);
}

fn collect() -> String {
    // Each text once, with the packages that are under it.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let own = fs::read_to_string(path("LICENSE-MIT")).expect("our licence");
    let (_, mit) = own.split_once("Permission").expect("the MIT licence");
    let std = format!(
        "Copyright (c) The Rust Project Contributors\n\nPermission{mit}"
    );
    texts.entry(tidy(&std)).or_default().insert(STD.to_owned());

    for package in packages().into_iter().skip(1) {
        let Package { name, version, licence, manifest, .. } = package;
        let title = format!("{name} {version}, {licence}");
        let manifest = Path::new(&manifest);
        let directory = manifest.parent().expect("a package's directory");
        let licences = licences(directory, &licence);
        assert!(!licences.is_empty(), "{title}: no text");
        for text in licences {
            texts.entry(text).or_default().insert(title.clone());
        }
    }

    let mut sections: Vec<_> = texts
        .into_iter()
        .map(|(text, titles)| (titles.into_iter().collect::<Vec<_>>(), text))
        .collect();
    sections.sort();
    let mut file = String::from(
        "libeventsource is made of its own code, which is under MIT or\n\
         Apache-2.0, and of what follows, each with its licence. Where a\n\
         licence may be chosen, MIT was.\n",
    );
    for (titles, text) in sections {
        let line = "-".repeat(72);
        file += &format!("\n{line}\n{}\n{line}\n\n{text}", titles.join("\n"));
    }
    file
}

/// The licences in a directory and below it, where a package keeps those of
/// others. The MIT licence alone where it may be chosen, else all there are.
fn licences(directory: &Path, expression: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("cargo has fetched it");
    let mut entries: Vec<_> =
        entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    let (directories, files): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|path| path.is_dir());
    let mut files: Vec<_> = files
        .into_iter()
        .map(|file| (upper_case_stem(&file), file))
        .filter(|(name, _)| {
            ["LICENSE", "LICENCE", "COPYING", "NOTICE"]
                .iter()
                .any(|start| name.starts_with(start))
        })
        .collect();
    let may_choose = !expression.contains("AND");
    if may_choose && files.iter().any(|(name, _)| name.ends_with("MIT")) {
        files.retain(|(name, _)| name.ends_with("MIT"));
    }
    let mut texts: Vec<_> = files
        .into_iter()
        .map(|(_, file)| fs::read(file).expect("a text"))
        .map(|text| tidy(&String::from_utf8_lossy(&text)))
        .collect();
    for directory in directories {
        texts.append(&mut licences(&directory, expression));
    }
    texts
}

fn upper_case_stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().to_uppercase()
}

/// One way to end lines, so that texts that say the same are the same.
fn tidy(text: &str) -> String {
    let lines =
        text.trim().lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}
