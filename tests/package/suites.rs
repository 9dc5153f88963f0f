//! tests/README.md lists every suite, every file of the sources' own, and
//! what tests stand on.

use std::fs;
use support::program::path;

/// The first cells of the tables of suites in tests/README.md.
fn listed() -> Vec<String> {
    let page = fs::read_to_string(path("tests/README.md")).expect("the page");
    let (_, rest) = page.split_once("## The suites").expect("suites");
    let (suites, _) = rest.split_once("\n## ").expect("their end");
    let rows = suites.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split_once('`'));
    let mut cells: Vec<_> = cells.map(|(cell, _)| cell.to_owned()).collect();
    cells.sort();
    cells
}

/// What cargo makes a test of, by its name, and the files of `source`.
fn suites() -> Vec<String> {
    let mut suites = Vec::new();
    for directory in ["tests", "tests/source"] {
        for entry in fs::read_dir(path(directory)).expect("tests") {
            let entry = entry.expect("an entry").path();
            let stem = entry.file_stem().expect("a name").to_string_lossy();
            let is_rust = entry.extension().is_some_and(|it| it == "rs");
            if is_rust && stem != "main" || entry.join("main.rs").exists() {
                let inner = directory == "tests/source";
                let from = if inner { "source/" } else { "" };
                suites.push(format!("{from}{stem}"));
            }
        }
    }
    suites.sort();
    suites
}

#[test]
fn the_page_of_the_tests_lists_every_suite() {
    let suites = suites();
    assert!(suites.len() > 30, "so few? {suites:?}");
    assert_eq!(listed(), suites, "tests/README.md is to list every one");
}

#[test]
fn the_page_of_the_tests_lists_what_they_stand_on() {
    let page = fs::read_to_string(path("tests/README.md")).expect("the page");
    let (_, rest) = page.split_once("| module |").expect("modules");
    let (table, _) = rest.split_once("\n\n").expect("their end");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split_once(" |"));
    let mut listed: Vec<_> =
        cells.flat_map(|(cell, _)| cell.split(", ")).collect();
    listed.sort();

    let crate_root = fs::read_to_string(path("tests/support/lib.rs"));
    let crate_root = crate_root.expect("the crate");
    let modules = crate_root.lines().filter_map(|line| {
        line.strip_prefix("pub mod ").and_then(|it| it.strip_suffix(';'))
    });
    let mut modules: Vec<_> = modules.collect();
    modules.sort();
    assert_eq!(listed, modules, "tests/README.md is to list every one");
}

#[test]
fn what_the_tests_need_is_needed_by_suites() {
    let needs = fs::read_to_string(path("tests/needs")).expect("the list");
    let suites = suites();
    let lines = needs.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words.len(), 3, "suite, need, package: {line}");
        assert!(suites.iter().any(|suite| suite == words[0]), "{line}");
    }
}
