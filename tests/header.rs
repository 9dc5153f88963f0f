//! `include/eventsource.h` is what cbindgen makes of `src/ffi`, and a copy of
//! it is in the Go module, which cannot reach out of its directory.
//!
//! `make header` writes both: it runs these tests with `UPDATE_HEADER=1`.

use std::fs;
use std::path::Path;

/// In the order of a program's life.
const SOURCES: [&str; 20] = [
    "src/error.rs",
    "src/state.rs",
    "src/settings/retry.rs",
    "src/ffi/source.rs",
    "src/ffi/callbacks.rs",
    "src/ffi/ask.rs",
    "src/ffi/request.rs",
    "src/ffi/retry.rs",
    "src/ffi/timeouts.rs",
    "src/ffi/limits.rs",
    "src/ffi/network.rs",
    "src/ffi/connect.rs",
    "src/ffi/state.rs",
    "src/ffi/stats.rs",
    "src/ffi/queue.rs",
    "src/ffi/item.rs",
    "src/ffi/event.rs",
    "src/ffi/response.rs",
    "src/ffi/parser.rs",
    "src/ffi/library.rs",
];

fn generate() -> String {
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
    let text = String::from_utf8(text).expect("UTF-8");
    tidy(&text)
}

/// The `//!` comment of src/ffi/mod.rs.
fn prologue(root: &Path) -> String {
    let door = fs::read_to_string(root.join("src/ffi/mod.rs")).unwrap();
    let lines = door.lines().map_while(|line| line.strip_prefix("//!"));
    let prose: String = lines.map(|line| format!("//{line}\n")).collect();
    format!(
        "// SPDX-License-Identifier: MIT OR Apache-2.0\n\
         // Written by cbindgen from src/ffi; not to be edited here.\n\n{prose}"
    )
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
    let generated = generate();
    for header in ["include/eventsource.h", "bindings/go/eventsource.h"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(header);
        if std::env::var_os("UPDATE_HEADER").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "{header} is stale: `make header` writes it"
        );
    }
}

#[test]
fn every_parameter_has_a_name_and_every_line_fits() {
    for line in generate().lines() {
        assert!(line.chars().count() <= 80, "too long: {line}");
        assert!(line.starts_with("//") || !line.contains("*,"), "{line}");
        assert!(line.starts_with("//") || !line.contains("*)"), "{line}");
    }
}
