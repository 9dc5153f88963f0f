//! LICENSE-THIRD-PARTY holds what the licences of the code inside the library
//! ask to be passed on.
//!
//! `UPDATE_LICENCES=1 cargo test --test package licences` writes it anew.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::program::{path, succeed};

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

fn collect() -> String {
    // Each text once, with the packages that are under it.
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let own = fs::read_to_string(path("LICENSE-MIT")).expect("our licence");
    let (_, mit) = own.split_once("Permission").expect("the MIT licence");
    let std = format!(
        "Copyright (c) The Rust Project Contributors\n\nPermission{mit}"
    );
    texts.entry(tidy(&std)).or_default().insert(STD.to_owned());

    for package in packages() {
        let field = |name: &str| package[name].as_str().unwrap_or_default();
        let title = format!(
            "{} {}, {}",
            field("name"),
            field("version"),
            field("license")
        );
        let manifest = Path::new(field("manifest_path"));
        let directory = manifest.parent().expect("a package's directory");
        let licences = licences(directory, field("license"));
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

/// What a program that is linked with the library contains, on Linux: no
/// build scripts, and no macros' own code.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(path("")).args([
        "metadata",
        "--locked",
        "--offline",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]);
    let metadata: Value =
        serde_json::from_slice(&succeed(cargo).stdout).expect("metadata");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a graph");
    let root = &metadata["resolve"]["root"];
    let packages = metadata["packages"].as_array().expect("packages");
    let is_macro = |id: &Value| {
        let package = packages.iter().find(|package| &package["id"] == id);
        let targets = package.and_then(|package| package["targets"].as_array());
        let mut targets = targets.expect("a package").iter();
        targets.any(|target| target["kind"][0] == "proc-macro")
    };
    let mut inside = vec![root];
    let mut next = 0;
    while let Some(id) = inside.get(next).copied() {
        next += 1;
        let node = nodes.iter().find(|node| &node["id"] == id);
        let dependencies = node.and_then(|node| node["deps"].as_array());
        for dependency in dependencies.expect("a node") {
            let id = &dependency["pkg"];
            let mut kinds = dependency["dep_kinds"].as_array().into_iter();
            let linked = kinds
                .any(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()));
            if linked && !is_macro(id) && !inside.contains(&id) {
                inside.push(id);
            }
        }
    }
    inside.retain(|id| *id != root);
    let inside = |package: &&Value| inside.contains(&&package["id"]);
    packages.iter().filter(inside).cloned().collect()
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
