//! What is promised against hostile servers is tested, promise by promise.

use std::fs;

use super::standard::sources;
use support::program::path;

#[test]
fn every_promise_names_its_tests() {
    let text = fs::read_to_string(path("SECURITY.md")).expect("the promises");
    let (_, rest) = text.split_once("## What is promised").expect("promises");
    let (promises, _) = rest.split_once("\n## ").expect("what is not");
    let mut code = String::new();
    sources(&path("tests"), &mut code);
    sources(&path("src"), &mut code);
    sources(&path("models"), &mut code);
    let targets = fs::read_to_string(path("fuzz/Cargo.toml")).expect("fuzz");
    let promises: Vec<&str> = promises.split("\n- ").skip(1).collect();
    assert!(promises.len() > 10);
    for promise in promises {
        // What stands between backquotes and could be a function's name.
        let names: Vec<&str> = promise
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| !name.contains([' ', '-']))
            .collect();
        assert!(!names.is_empty(), "no test for: {promise}");
        for name in names {
            let is_test = code.contains(&format!("fn {name}()"));
            let is_target = targets.contains(&format!("name = \"{name}\""));
            assert!(is_test || is_target, "there is no {name}");
        }
    }
}
