//! The documentation for a browser: `make html`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::standard::sources;
use serde_json::Value;
use support::api::API;
use support::program::{path, scratch, succeed};

/// Where the pages are, made once.
static SITE: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = scratch("html");
    _ = fs::remove_dir_all(&directory);
    let mut make = Command::new(path("packaging/html/make"));
    make.arg(&directory);
    succeed(make);
    directory
});

fn page(name: &str) -> String {
    fs::read_to_string(SITE.join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the files in a directory.
fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("a file").file_name());
    names.map(|name| name.into_string().expect("UTF-8")).collect()
}

/// The names of all functions and types.
fn names() -> Vec<&'static str> {
    let functions = API.functions.iter().chain(&API.callbacks);
    let names = functions.map(|it| &*it.name);
    let names = names.chain(API.structs.iter().map(|it| &*it.name));
    let mut names: Vec<_> =
        names.chain(API.enums.iter().map(|it| &*it.name)).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_pages_lead_to_each_other() {
    let mut count = 0;
    for page_name in files(&SITE) {
        let text = page(&page_name);
        for link in text.split("href=\"").skip(1) {
            let (link, _) = link.split_once('"').expect("its end");
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { &*page_name } else { file };
            if file.starts_with("https:") {
                continue;
            }
            let place = format!("id=\"{place}\"");
            assert!(
                !link.contains('#') || page(file).contains(&place),
                "{page_name}: {link}"
            );
            assert!(SITE.join(file).is_file(), "{page_name}: {link}");
            count += 1;
        }
    }
    assert!(count > 5000, "so few links? {count}");
}

#[test]
fn every_function_and_type_has_a_page() {
    for name in names() {
        let title = format!("<h1>{name}</h1>");
        assert!(page(&format!("{name}.html")).contains(&title), "{name}");
    }
    for it in &API.enums {
        let page = page(&format!("{}.html", it.name));
        for value in &it.values {
            let place = format!("id=\"{}\"", value.name);
            assert!(page.contains(&place), "{}", value.name);
        }
    }
}

/// A function's page has what stands for it in other languages.
#[test]
fn every_function_is_told_in_cpp_and_in_go() {
    for function in &API.functions {
        let page = page(&format!("{}.html", function.name));
        for language in ["C++", "Go"] {
            let heading = format!("<h2>{language}</h2>");
            assert!(page.contains(&heading), "{}: {language}", function.name);
        }
    }
}

#[test]
fn everything_is_listed_from_a_to_z() {
    let page = page("a-z.html");
    let (_, main) = page.split_once("<main>").expect("a body");
    let rows = main.split("<tr><td><a href=\"").skip(1);
    let listed = rows.filter_map(|row| row.split_once(".html")).map(|it| it.0);
    let listed: Vec<_> = listed.collect();
    let short = listed.iter().map(|it| it.trim_start_matches("eventsource_"));
    assert!(short.is_sorted(), "{listed:?}");
    for name in names() {
        assert!(listed.contains(&name), "{name}");
    }
}

#[test]
fn the_search_finds_everything() {
    let index = page("search-index.js");
    let index = index.strip_prefix("const INDEX = ").expect("a list");
    let index = index.trim_end().strip_suffix(';').expect("its end");
    let index: Value = serde_json::from_str(index).expect("JSON");
    let entries = index.as_array().expect("a list");
    let found = |title: &str| entries.iter().any(|it| it["t"] == title);
    for name in names() {
        assert!(found(name), "{name}");
    }
    for it in API.enumerators() {
        assert!(found(&it.name), "{}", it.name);
    }
    for title in ["EventSource.set_header", "WithHeader", "Limits"] {
        assert!(found(title), "{title}");
    }
    for entry in entries {
        let link = entry["l"].as_str().expect("a link");
        let (file, place) = link.split_once('#').unwrap_or((link, ""));
        let place = format!("id=\"{place}\"");
        let has_place = !link.contains('#') || page(file).contains(&place);
        assert!(has_place, "{link}");
        assert!(SITE.join(file).is_file(), "{link}");
    }
}

/// And every example is shown, or named, by the guide or the readme.
#[test]
fn the_guide_lists_its_pages_and_the_examples() {
    let contents = fs::read_to_string(path("docs/README.md"));
    let contents = contents.expect("the guide's contents");
    let readme = fs::read_to_string(path("README.md")).expect("a readme");
    let mut text = contents.clone() + &readme;
    for file in files(&path("docs")) {
        let page = path("docs").join(&file);
        text += &fs::read_to_string(page).expect("a page");
        let listed = contents.contains(&format!("]({file})"));
        assert!(listed || file == "README.md", "{file}");
    }
    for example in files(&path("examples")) {
        // The demo's server is no example of the library.
        let shown = text.contains(&format!("examples/{example}"));
        assert!(shown || example == "demo.rs", "{example}");
    }
}

/// What the guide's first page promises. The last two answer many questions.
#[test]
fn each_page_of_the_guide_shows_a_program_that_is_tested() {
    let mut tests = String::new();
    sources(&path("tests"), &mut tests);
    for file in files(&path("docs")) {
        let page = path("docs").join(&file);
        let text = fs::read_to_string(page).expect("a page");
        let shown = text.split("\n\n").filter_map(|paragraph| {
            let program = paragraph.strip_prefix("[examples/")?;
            program.trim().strip_suffix(')')?.split_once("](")
        });
        let shown: Vec<_> = shown.map(|(program, _)| program).collect();
        let other = ["README.md", "faq.md", "troubleshooting.md"];
        assert_eq!(shown.is_empty(), other.contains(&&*file), "{file}");
        for program in shown {
            // Tests build programs in Go by their names alone.
            let name = program.strip_suffix(".go").unwrap_or(program);
            let is_tested = tests.contains(&format!("{name}\""));
            assert!(is_tested, "{file}: no test runs {program}");
        }
    }
}

/// Names that the guide tells a reader to use are those of the header.
#[test]
fn the_guide_names_what_exists() {
    let mut known: Vec<_> = names();
    known.extend(API.enumerators().map(|it| &*it.name));
    // Go's tag, what the header defines, and what begins several names.
    known.extend(["eventsource_static", "EVENTSOURCE_VERSION"]);
    let mut count = 0;
    for file in files(&path("docs")) {
        let page = path("docs").join(&file);
        let text = fs::read_to_string(page).expect("a page");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.split(|c| !is_name(c));
        for word in words.filter(|it| {
            it.starts_with("eventsource_") || it.starts_with("EVENTSOURCE_")
        }) {
            assert!(known.contains(&word), "{file}: {word}");
            count += 1;
        }
    }
    assert!(count > 100, "so few? {count}");
}

/// Who has a question wants to read little, and to know where more is.
#[test]
fn every_question_has_a_short_answer() {
    let text = fs::read_to_string(path("docs/faq.md")).expect("a page");
    let questions = text.split("\n### ").skip(1);
    assert!(questions.clone().count() >= 30);
    for question in questions {
        let (question, answer) = question.split_once("\n\n").expect("both");
        let (answer, _) = answer.split_once("\n## ").unwrap_or((answer, ""));
        assert!(question.ends_with('?'), "{question}");
        let words = answer.split_whitespace().count();
        assert!((5..70).contains(&words), "{question}: {words} words");
    }
}

/// What is missing is named, and nothing is left out for it.
#[test]
fn without_mandoc_there_are_no_pages() {
    let tools = scratch("html-tools");
    let directory = scratch("html-without-mandoc");
    _ = fs::remove_dir_all(&tools);
    _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&tools).expect("scratch space");
    for (name, ask) in [
        ("python3", "python3 -c 'import sys; print(sys.executable)'"),
        ("cmark-gfm", "command -v cmark-gfm"),
    ] {
        let mut which = Command::new("sh");
        which.args(["-c", ask]);
        let tool = String::from_utf8(succeed(which).stdout).expect("a path");
        symlink(tool.trim(), tools.join(name)).expect("scratch space");
    }
    let mut make = Command::new("/usr/bin/env");
    make.arg(format!("PATH={}", tools.display()));
    make.arg(path("packaging/html/make")).arg(&directory);
    let output = make.output().expect("a script");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("mandoc is not installed"), "{said}");
    assert!(!directory.exists());
}
