//! What the standard demands is tested, sentence by sentence.

use std::fs;
use std::path::Path;

use support::program::path;

/// Everything under `directory` that is Rust.
pub(super) fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|it| it == "rs") {
            text.push_str(&fs::read_to_string(path).expect("Rust is UTF-8"));
        }
    }
}

#[test]
fn every_demand_that_applies_is_named_by_a_test() {
    let list = fs::read_to_string(path("STANDARD.md")).expect("the list");
    let mut tests = String::new();
    sources(&path("tests"), &mut tests);
    let mut words: Vec<&str> =
        tests.split(|it: char| !it.is_alphanumeric()).collect();
    words.sort_unstable();
    let demands: Vec<&str> = list.split("\n- ").skip(1).collect();
    assert_eq!(demands.len(), 64);
    for (index, demand) in demands.iter().enumerate() {
        let demand = demand.split("\n\n").next().expect("a paragraph").trim();
        let (number, _) = demand.split_once(':').expect("a number");
        assert_eq!(number, format!("R{}", index + 1));
        let applies = !["Not applicable.", "Not a demand."].iter().any(|it| {
            demand.replace('\n', " ").replace("  ", " ").ends_with(it)
        });
        let named = words.binary_search(&number).is_ok();
        assert!(!applies || named, "no test names {demand}");
    }
}
