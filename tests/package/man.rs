//! The manual pages: every function is on one, as the header declares it, and
//! what they show compiles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use support::api::API;
use support::program::{WARNINGS, check_page, path, scratch, succeed};

/// The pages of functions by their names. Those of commands are tested with
/// the commands.
fn pages() -> BTreeMap<String, String> {
    let entries = fs::read_dir(path("man")).expect("pages");
    let files = entries.map(|entry| entry.expect("a page").path());
    let files = files.filter(|it| it.extension().is_some_and(|it| it == "3"));
    let page = |file: std::path::PathBuf| {
        let name = file.file_stem().expect("a name").to_string_lossy();
        (name.into_owned(), fs::read_to_string(&file).expect("a page"))
    };
    files.map(page).collect()
}

/// What stands between two lines that begin so, one pair after the other.
fn between<'a>(page: &'a str, start: &str, end: &str) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while lines.by_ref().any(|line| line.starts_with(start)) {
        found
            .push(lines.by_ref().take_while(|l| !l.starts_with(end)).collect());
    }
    found
}

/// The names that a page has, each with the page's.
fn names(pages: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    let mut names = BTreeMap::new();
    for (page, text) in pages {
        for line in between(text, ".Sh NAME", ".Nd").concat() {
            let name = line.strip_prefix(".Nm ").expect("a name");
            let twice = names.insert(name.trim_end_matches(" ,"), &**page);
            assert_eq!(twice, None, "{name} is on two pages");
        }
    }
    names
}

#[test]
fn every_function_is_on_a_page_and_nothing_else_is() {
    let pages = pages();
    let mut names = names(&pages);
    for page in pages.keys() {
        assert_eq!(names[&**page], page, "a page is called after a name on it");
    }
    assert!(names.remove("eventsource").is_some(), "an overview");
    for function in &API.functions {
        // A page is what one file of src/ffi has.
        let page = names.remove(&*function.name);
        assert_eq!(page, Some(&*function.page), "{}", function.name);
    }
    assert!(names.is_empty(), "no functions: {names:?}");
}

#[test]
fn the_pages_declare_functions_as_the_header_does() {
    let pages = pages();
    let names = names(&pages);
    for function in &API.functions {
        let page = names[&*function.name];
        let start = format!(".Ft {}\n.Fo {}\n", function.result, function.name);
        let (_, rest) = pages[page].split_once(&start).unwrap_or_else(|| {
            panic!("{page} declares no {} {}", function.result, function.name)
        });
        let (parameters, _) = rest.split_once(".Fc\n").expect("its end");
        let parameters: Vec<_> = parameters
            .lines()
            .map(|line| line.trim_start_matches(".Fa ").trim_matches('"'))
            .filter(|parameter| *parameter != "void")
            .collect();
        assert_eq!(parameters, function.parameters, "{}", function.name);
    }
}

#[test]
fn the_pages_name_every_enumerator_with_its_number() {
    let pages: String = pages().into_values().collect();
    for enumerator in API.enumerators() {
        let (name, number) = (&enumerator.name, enumerator.number);
        let item = format!("\n.It Dv {name} Pq {number}\n");
        let (_, rest) = pages.split_once(&item).expect(&item);
        let lines = rest.lines();
        let lines = lines.take_while(|l| !l.starts_with(".It") && *l != ".El");
        let told: Vec<_> = lines.map(plain).collect();
        // The page may say more.
        let told = told.join(" ");
        assert!(told.starts_with(&enumerator.doc), "{name}: {told}");
    }
}

/// A line of a page as the header would have it.
fn plain(line: &str) -> String {
    if let Some(literal) = line.strip_prefix(".Ql ") {
        return format!("`{literal}`");
    }
    let name = line.strip_prefix(".Dv ").unwrap_or(line);
    name.replace(" ,", ",").replace(" ;", ";").replace(" .", ".")
}

/// The errors that some text names.
fn errors(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c));
    words.filter(|it| it.starts_with("EVENTSOURCE_ERROR_")).collect()
}

/// A page names the errors that the header names for its functions, and lists
/// no others but those that the header names for all functions.
#[test]
fn the_pages_name_the_errors_of_their_functions() {
    let header = fs::read_to_string(path("include/eventsource.h"));
    let header = header.expect("a header");
    let (for_all, _) = header.split_once("\n#include").expect("a prologue");
    let for_all = errors(for_all);
    for (page, text) in pages() {
        let functions = API.functions.iter().filter(|it| it.page == page);
        let mut own = BTreeSet::new();
        for function in functions {
            for error in errors(&function.doc) {
                assert!(text.contains(error), "{}: {error}", function.name);
                own.insert(error);
            }
        }
        // The page of eventsource_strerror() lists what all numbers mean.
        let Some((_, list)) = text.split_once(".Sh ERRORS\n") else { continue };
        let (list, _) = list.split_once("\n.Sh ").expect("more sections");
        for error in errors(list) {
            let known = own.contains(error) || for_all.contains(error);
            let lists_all = page == "eventsource_strerror";
            assert!(known || lists_all, "{page}: {error}");
        }
    }
}

#[test]
fn the_pages_name_every_field() {
    let pages: String = pages().into_values().collect();
    for name in API.members() {
        let shown = pages.lines().any(|line| {
            line.starts_with(".It Fa ")
                && line.split(' ').any(|word| word == name)
        });
        assert!(shown, "{name}");
    }
}

#[test]
fn the_pages_are_good_mdoc() {
    for page in pages().keys() {
        check_page(&path("man").join(format!("{page}.3")));
    }
}

/// mandoc(1) and man(1) show the version below each page.
#[test]
fn the_pages_are_of_this_version() {
    let os = format!("\n.Os libeventsource {}\n", env!("CARGO_PKG_VERSION"));
    let command = fs::read_to_string(path("man/eventsource.1"));
    for text in pages().values().chain([&command.expect("a page")]) {
        assert!(text.contains(&os), "{text}");
    }
}

#[test]
fn the_pages_tell_the_library_and_which_thread_may_call() {
    for (page, text) in pages() {
        assert!(text.contains(", Fl leventsource\n"), "{page}");
        let (_, description) = text.split_once(".Sh DESCRIPTION").expect(&page);
        assert!(description.contains("in a signal handler"), "{page}");
    }
}

/// What apropos(1) searches are the names and the one-line descriptions.
#[test]
fn apropos_finds_pages_by_their_subject() {
    let pages = pages();
    for subject in ["TLS", "callback", "proxy", "timeout", "event loop"] {
        let found = pages.values().any(|text| {
            let line = text.lines().find(|line| line.starts_with(".Nd "));
            line.expect("a description").contains(subject)
        });
        assert!(found, "{subject}");
    }
}

#[test]
fn references_lead_to_pages() {
    let pages = pages();
    let names = names(&pages);
    for (page, text) in &pages {
        for line in text.lines() {
            let Some(reference) = line
                .split_once("Xr eventsource")
                .and_then(|(_, rest)| rest.split(' ').next())
            else {
                continue;
            };
            let reference = format!("eventsource{reference}");
            assert!(names.contains_key(&*reference), "{page}: {reference}");
        }
    }
}

#[test]
fn the_overview_lists_every_page() {
    let mut pages = pages();
    let overview = pages.remove("eventsource").expect("an overview");
    for page in pages.keys() {
        assert!(overview.contains(&format!("\n.It Xr {page} 3\n")), "{page}");
    }
}

#[test]
fn every_page_has_an_example_and_all_examples_compile() {
    fs::create_dir_all(scratch("examples")).expect("scratch space");
    for (page, text) in pages() {
        let (_, examples) = text.split_once("\n.Sh EXAMPLES\n").expect(&page);
        let examples = between(examples, ".Bd -literal", ".Ed");
        assert!(!examples.is_empty(), "{page} has no example");
        for (number, lines) in examples.iter().enumerate() {
            let source = scratch(&format!("examples/{page}.{number}.c"));
            let example = lines.join("\n").replace("\\e", "\\") + "\n";
            fs::write(&source, example).expect("scratch space");
            let mut cc = Command::new("cc");
            cc.args(["-std=c99", "-fsyntax-only"]).args(WARNINGS);
            cc.arg("-I").arg(path("include")).arg(&source);
            succeed(cc);
        }
    }
}

#[test]
fn the_pages_show_the_callbacks_of_the_header() {
    let pages: String = pages().into_values().collect();
    for callback in &API.callbacks {
        let (result, name) = (&callback.result, &callback.name);
        let parameters = callback.parameters.join(",\n    ");
        let shown = format!("typedef {result} (*{name})(\n    {parameters});");
        assert!(pages.contains(&shown), "{shown}");
    }
}
