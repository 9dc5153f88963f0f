//! `include/eventsource.h` is what cbindgen makes of `src/ffi`, and a copy of
//! it is in the Go module, which cannot reach out of its directory.
//! `bindings/api.json` says the same to programs: to the tests of the manual,
//! of C++ and of Go, and to whoever makes a wrapper for another language; a
//! list of the symbols says it to Debian's tools.
//!
//! `make header` writes them anew.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// In the order of a program's life.
const SOURCES: [&str; 24] = [
    "src/error.rs",
    "src/state.rs",
    "src/settings/retry.rs",
    "src/settings/version.rs",
    "src/response.rs",
    "src/ffi/source.rs",
    "src/ffi/callbacks.rs",
    "src/ffi/ask.rs",
    "src/ffi/request.rs",
    "src/ffi/answer.rs",
    "src/ffi/retry.rs",
    "src/ffi/timeouts.rs",
    "src/ffi/limits.rs",
    "src/ffi/network.rs",
    "src/ffi/connect.rs",
    "src/ffi/state.rs",
    "src/ffi/stats.rs",
    "src/ffi/loops.rs",
    "src/ffi/queue.rs",
    "src/ffi/item.rs",
    "src/ffi/event.rs",
    "src/ffi/response.rs",
    "src/ffi/parser.rs",
    "src/ffi/library.rs",
];

/// What is written, and where.
fn generate() -> [(&'static str, String); 4] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))
        .expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new()
        .with_config(config)
        .with_header(prologue(root))
        .with_after_include(version());
    for source in SOURCES {
        builder = builder.with_src(root.join(source));
    }
    let mut text = Vec::new();
    builder.generate().expect("the C door").write(&mut text);
    let text = tidy(&String::from_utf8(text).expect("UTF-8"));
    let groups = SOURCES.map(|source| Group::of(root, source));
    let header = with_headings(&text, &groups);
    let api = describe(&text, &groups);
    let symbols = symbols(&api);
    let api = serde_json::to_string_pretty(&api).expect("JSON") + "\n";
    [
        ("include/eventsource.h", header.clone()),
        ("bindings/go/eventsource.h", header),
        ("bindings/api.json", api),
        ("packaging/debian/libeventsource0.symbols", symbols),
    ]
}

/// What a Debian package says that its library has: deb-symbols(5).
fn symbols(api: &Value) -> String {
    let functions = api["functions"].as_array().expect("functions").iter();
    let mut lines: Vec<_> = functions
        .map(|it| format!(" {}@Base 0.1.0\n", it["name"].as_str().unwrap()))
        .collect();
    lines.sort();
    "libeventsource.so.0 libeventsource0 #MINVER#\n".to_owned()
        + &lines.concat()
}

/// The functions of a source file, under one heading.
struct Group {
    heading: String,
    /// The page of the manual.
    page: String,
    functions: Vec<String>,
}

impl Group {
    /// Of a file that begins with `//! HEADING: PAGE(3).`, if it has
    /// functions.
    fn of(root: &Path, source: &str) -> Group {
        let text = fs::read_to_string(root.join(source)).expect(source);
        let functions: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once("extern \"C\" fn eventsource_"))
            .filter_map(|(_, rest)| rest.split('(').next())
            .map(|name| format!("eventsource_{name}"))
            .collect();
        let about = text.lines().map_while(|line| line.strip_prefix("//!"));
        let about: Vec<_> = about.map(str::trim).collect();
        let about = about.join(" ");
        let (heading, page) = about.split_once(": ").unwrap_or((&about, ""));
        let page = page.strip_suffix("(3).").unwrap_or_default();
        assert!(functions.is_empty() || !page.is_empty(), "{source}: {about}");
        Group { heading: heading.to_owned(), page: page.to_owned(), functions }
    }
}

/// The header with a heading before the first function of each group.
fn with_headings(header: &str, groups: &[Group]) -> String {
    let mut paragraphs: Vec<_> =
        header.split("\n\n").map(str::to_owned).collect();
    for Group { heading, page, functions } in groups {
        let Some(first) = functions.first() else { continue };
        let declared = format!("{first}(");
        let place = paragraphs.iter_mut().find(|paragraph| {
            let mut code =
                paragraph.lines().filter(|line| !line.starts_with("//"));
            code.any(|line| line.contains(&declared))
        });
        let place = place.expect(first);
        let line = "-".repeat(heading.len());
        *place = format!("// {heading}\n// {line}\n// {page}(3)\n\n{place}");
    }
    paragraphs.join("\n\n")
}

/// What the header declares, for programs that read.
fn describe(header: &str, groups: &[Group]) -> Value {
    let mut api = BTreeMap::from(
        ["enums", "structs", "opaque", "callbacks", "functions"]
            .map(|kind| (kind, Vec::new())),
    );
    // The prologue and the version's numbers are for people.
    let (_, header) =
        header.split_once("_PATCH ").expect("the version's numbers");
    let mut lines = header.lines().skip(1);
    let mut doc = Vec::new();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            doc.clear();
        } else if let Some(more) = line.strip_prefix("//") {
            doc.push(more.trim());
        } else if line.starts_with('#') || line.starts_with('}') {
            // Directives, and the end of `extern "C"`.
        } else if line == "extern \"C\" {" {
            doc.clear();
        } else if line.ends_with('{') {
            let name = line.split(' ').nth(2).expect(line);
            let body = lines.by_ref();
            let body: Vec<_> =
                body.take_while(|line| !line.starts_with('}')).collect();
            let (kind, of, members) = match line.contains(" enum ") {
                true => ("enums", "values", members(&body, enumerator)),
                false => ("structs", "members", members(&body, variable)),
            };
            let doc = prose(&mut doc);
            let item = json!({ "name": name, "doc": doc, of: members });
            api.get_mut(kind).expect(kind).push(item);
        } else {
            let mut code = line.to_owned();
            while !code.ends_with(';') {
                let space = if code.ends_with('(') { "" } else { " " };
                code += space;
                code += lines.next().expect("its end").trim_start();
            }
            let (kind, item) = declaration(&code, prose(&mut doc), groups);
            api.get_mut(kind).expect(kind).push(item);
        }
    }
    let groups = groups.iter().filter(|group| !group.functions.is_empty());
    let groups = groups.map(|Group { heading, page, functions }| {
        json!({ "heading": heading, "page": page, "functions": functions })
    });
    json!({
        "about": "Written from src/ffi together with eventsource.h, by \
                  `make header`; not to be edited here.",
        "version": env!("CARGO_PKG_VERSION"),
        "groups": groups.collect::<Vec<_>>(),
        "enums": api["enums"],
        "structs": api["structs"],
        "opaque": api["opaque"],
        "callbacks": api["callbacks"],
        "functions": api["functions"],
    })
}

/// A declaration on one line, and of which kind it is.
fn declaration(
    code: &str,
    doc: String,
    groups: &[Group],
) -> (&'static str, Value) {
    let code = code.trim_end_matches(';');
    if let Some(name) = code.strip_prefix("typedef struct ") {
        let name = name.split(' ').next_back().expect(code);
        return ("opaque", json!({ "name": name, "doc": doc }));
    }
    let callback = code.strip_prefix("typedef ");
    let (start, parameters) = match callback {
        Some(callback) => callback.split_once(")(").expect(code),
        None => code.split_once('(').expect(code),
    };
    let start = start.replace("(*", "");
    let parameters = parameters.trim_end_matches(')').split(", ");
    let parameters: Vec<_> = parameters
        .filter(|parameter| *parameter != "void")
        .map(variable)
        .collect();
    let Value::Object(mut item) = variable(&start) else { unreachable!() };
    let result = item.remove("type");
    item.insert("result".to_owned(), result.expect("a type"));
    item.insert("doc".to_owned(), doc.into());
    item.insert("parameters".to_owned(), parameters.into());
    if callback.is_some() {
        return ("callbacks", item.into());
    }
    let name = item["name"].as_str().expect("a name");
    let mut groups = groups.iter();
    let group = groups.find(|it| it.functions.iter().any(|it| it == name));
    let group = group.unwrap_or_else(|| panic!("{name} is in no file"));
    item.insert("page".to_owned(), group.page.as_str().into());
    ("functions", item.into())
}

/// The members of a structure, or the enumerators of an enumeration, each
/// with the comment before it.
fn members(body: &[&str], member: fn(&str) -> Value) -> Vec<Value> {
    let mut doc = Vec::new();
    let mut members = Vec::new();
    for line in body.iter().map(|line| line.trim_start()) {
        if let Some(more) = line.strip_prefix("//") {
            doc.push(more.trim());
            continue;
        }
        let mut member = member(line.trim_end_matches([';', ',']));
        member["doc"] = prose(&mut doc).into();
        members.push(member);
    }
    members
}

/// `NAME = NUMBER`.
fn enumerator(code: &str) -> Value {
    let (name, number) = code.split_once(" = ").expect(code);
    let number: i32 = number.parse().expect(code);
    json!({ "name": name, "number": number })
}

/// `TYPE NAME` or `TYPE *NAME`.
fn variable(code: &str) -> Value {
    let name = code.rsplit([' ', '*']).next().expect(code);
    let kind = code[..code.len() - name.len()].trim_end();
    json!({ "name": name, "type": kind })
}

/// The lines of a comment as paragraphs, with an empty line between two.
fn prose(lines: &mut Vec<&str>) -> String {
    let prose = lines.join("\n").replace("\n\n", "\0").replace('\n', " ");
    lines.clear();
    prose.replace('\0', "\n\n")
}

/// The `//!` comment of src/ffi/mod.rs.
fn prologue(root: &Path) -> String {
    let door = fs::read_to_string(root.join("src/ffi/mod.rs")).unwrap();
    let lines = door.lines().map_while(|line| line.strip_prefix("//!"));
    let prose: String = lines.map(|line| format!("//{line}\n")).collect();
    // REUSE-IgnoreStart: the line break is none of the licence.
    format!(
        "// SPDX-License-Identifier: MIT OR Apache-2.0\n\
         // Written by cbindgen from src/ffi; not to be edited here.\n\n{prose}"
    )
    // REUSE-IgnoreEnd
}

fn version() -> String {
    format!(
        "\n// The version that the program is compiled with.\n\
         #define EVENTSOURCE_VERSION \"{}\"\n\
         #define EVENTSOURCE_VERSION_MAJOR {}\n\
         #define EVENTSOURCE_VERSION_MINOR {}\n\
         #define EVENTSOURCE_VERSION_PATCH {}\n",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    )
}

/// Comments as C has always had them, one blank line at a time.
fn tidy(text: &str) -> String {
    let mut tidy = String::new();
    let mut blank = false;
    for line in text.lines() {
        let line = untag(&line.replace("///", "//"));
        let line = line.trim_end();
        if line.is_empty() && blank {
            continue;
        }
        blank = line.is_empty();
        tidy.push_str(&wrap(line));
        tidy.push('\n');
    }
    tidy
}

/// Types by their names alone, where they are used.
fn untag(line: &str) -> String {
    if line.starts_with("typedef struct") || line.starts_with("typedef enum") {
        return line.to_owned();
    }
    line.replace("struct eventsource", "eventsource")
        .replace("enum eventsource", "eventsource")
}

/// A declaration that does not fit has its parameters on lines of their own.
fn wrap(line: &str) -> String {
    let typedef = line.starts_with("typedef");
    let open = if typedef { line.rfind('(') } else { line.find('(') };
    let Some(open) = open.filter(|_| line.len() > 80) else {
        return line.to_owned();
    };
    let (name, parameters) = line.split_at(open + 1);
    format!("{name}\n    {}", parameters.replace(", ", ",\n    "))
}

#[test]
fn the_header_is_what_cbindgen_makes() {
    for (name, generated) in generate() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("UPDATE_HEADER").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == generated, "{name} is stale: make header");
    }
}

#[test]
fn every_parameter_has_a_name_and_every_line_fits() {
    let [(_, header), ..] = generate();
    for line in header.lines() {
        assert!(line.chars().count() <= 80, "too long: {line}");
        assert!(line.starts_with("//") || !line.contains("*,"), "{line}");
        assert!(line.starts_with("//") || !line.contains("*)"), "{line}");
    }
}

/// The description leaves nothing of the header out, and all of it has words.
#[test]
fn the_description_has_every_name_of_the_header() {
    let [(_, header), _, (_, api), _] = generate();
    let api: Value = serde_json::from_str(&api).expect("JSON");
    let mut described = Vec::new();
    for kind in ["enums", "structs", "opaque", "callbacks", "functions"] {
        for item in api[kind].as_array().expect(kind) {
            described.push(item["name"].clone());
            assert_ne!(item["doc"], "", "{item}");
            for part in ["values", "members"] {
                for item in item[part].as_array().into_iter().flatten() {
                    described.push(item["name"].clone());
                    assert_ne!(item["doc"], "", "{item}");
                }
            }
        }
    }
    let code = header.lines().map(str::trim_start);
    let code = code.filter(|line| !line.starts_with("//"));
    let code = code.filter(|line| !line.starts_with('#'));
    let code: Vec<_> = code.collect();
    let code = code.join(" ");
    let mut names: Vec<_> = code
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|name| name.to_ascii_lowercase().starts_with("eventsource"))
        .collect();
    names.sort_unstable();
    names.dedup();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !described.iter().any(|it| it == **name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(names.len() > 120, "so few? {}", names.len());
}
