//! What packagers are given agrees with the Makefile and with Cargo.toml:
//! versions, names, and which package takes which file.

use crate::install::{files, install_for_a_package};
use std::collections::BTreeSet;
use std::fs;
use support::program::{SONAME, path, scratch};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const URL: &str = env!("CARGO_PKG_HOMEPAGE");
const LICENCE: &str = env!("CARGO_PKG_LICENSE");
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

const DEBIAN: &str = "debian/control";
const RPM: &str = "rpm/libeventsource.spec";
const ALPINE: &str = "alpine/APKBUILD";
const CONAN: &str = "conan/conanfile.py";
const VCPKG: &str = "vcpkg/vcpkg.json";

fn read(name: &str) -> String {
    fs::read_to_string(path("packaging").join(name)).expect("a recipe")
}

#[test]
fn recipes_have_the_version_the_licence_and_the_url() {
    let python = format!("license = \"{LICENCE}\"");
    let url = format!("url = homepage = \"{URL}\"");
    for (recipe, line) in [
        (RPM, format!("Version:        {VERSION}")),
        (RPM, format!("License:        {LICENCE}")),
        (RPM, format!("URL:            {URL}")),
        (RPM, format!("- Made from libeventsource {VERSION}.")),
        (ALPINE, format!("pkgver={VERSION}")),
        (ALPINE, format!("license=\"{LICENCE}\"")),
        (ALPINE, format!("url=\"{URL}\"")),
        // The version is read from Cargo.toml.
        (CONAN, python),
        (CONAN, url),
        (VCPKG, format!("\"version\": \"{VERSION}\",")),
        (VCPKG, format!("\"license\": \"{LICENCE}\",")),
        (VCPKG, format!("\"homepage\": \"{URL}\",")),
    ] {
        let text = read(recipe);
        let found = text.lines().any(|it| it.trim() == line);
        assert!(found, "{recipe} has no line {line:?}");
    }
    let place = URL.strip_prefix("https://github.com/").expect("its place");
    let port = read("vcpkg/portfile.cmake");
    assert!(port.contains(&format!("REPO {place}\n")), "{port}");
}

#[test]
fn recipes_ask_for_the_rust_that_the_library_needs() {
    for (recipe, need) in [
        (DEBIAN, format!("rustc:native (>= {RUST})")),
        (DEBIAN, format!("cargo:native (>= {RUST})")),
        (RPM, format!("cargo >= {RUST}\n")),
        (RPM, format!("rust >= {RUST}\n")),
        (ALPINE, format!("\"cargo>={RUST} rust>={RUST}\"")),
    ] {
        assert!(read(recipe).contains(&need), "{recipe}: {need}");
    }
}

#[test]
fn recipes_have_the_soname() {
    let (_, major) = SONAME.rsplit_once('.').expect("a number");
    let name = format!("libeventsource{major}");
    let symbols = read(&format!("debian/{name}.symbols"));
    assert!(symbols.starts_with(&format!("{SONAME} {name} ")), "{symbols}");
    assert!(read(DEBIAN).contains(&format!("Package: {name}\n")));
    assert!(read(RPM).contains(&format!("/{SONAME}*\n")));
}

#[test]
fn every_file_goes_into_one_package_of_debian() {
    let mut patterns = Vec::new();
    for entry in fs::read_dir(path("packaging/debian")).expect("debian") {
        let file = entry.expect("an entry").path();
        let is_list = file.extension().is_some_and(|it| it == "install");
        if is_list || file.ends_with("not-installed") {
            let list = fs::read_to_string(file).expect("a list");
            patterns.extend(list.lines().map(str::to_owned));
        }
    }
    assert_taken_once("debian", &patterns);
}

#[test]
fn every_file_goes_into_one_package_of_rpm() {
    let spec = read(RPM);
    let (_, lists) = spec.split_once("\n%files").expect("files");
    let (lists, _) = lists.split_once("\n%changelog").expect("their end");
    let macros = [
        ("%{_bindir}", "usr/bin"),
        ("%{_datadir}", "usr/share"),
        ("%{_includedir}", "usr/include"),
        ("%{_libdir}", "usr/lib/some-linux"),
        ("%{_mandir}", "usr/share/man"),
    ];
    let lines = lists.lines().filter(|line| line.starts_with("%{"));
    let patterns = lines.map(|line| {
        let expand = |line: String, it: &(&str, &str)| line.replace(it.0, it.1);
        macros.iter().fold(line.to_owned(), expand)
    });
    assert_taken_once("rpm", &patterns.collect::<Vec<_>>());
}

#[test]
fn alpine_moves_what_there_is() {
    let installed = installed("alpine");
    let recipe = read(ALPINE);
    let mut moved = recipe.lines().filter_map(|line| {
        line.trim().strip_prefix("amove ").map(str::to_owned)
    });
    let first = moved.next().expect("the command");
    assert!(installed.contains(&first), "{first}");
    assert_eq!(moved.next(), None);
}

/// What `make install` installs for a packager, each test in a place of its own.
fn installed(test: &str) -> BTreeSet<String> {
    let root = scratch("recipes").join(test);
    _ = fs::remove_dir_all(&root);
    install_for_a_package(&root);
    files(&root)
}

/// No file that no package takes, none that two take; no pattern in vain.
fn assert_taken_once(recipe: &str, patterns: &[String]) {
    let installed = installed(recipe);
    let taken =
        |pattern: &String| installed.iter().any(|file| is_taken(pattern, file));
    for pattern in patterns {
        assert!(taken(pattern), "{recipe}: {pattern} takes nothing");
    }
    for file in &installed {
        let takers = patterns.iter().filter(|it| is_taken(it, file));
        assert_eq!(takers.count(), 1, "{recipe}: how often {file} is taken");
    }
}

/// A pattern is of one directory after the other, and takes all that is below.
fn is_taken(pattern: &str, file: &str) -> bool {
    let mut segments = file.split('/');
    pattern.trim_end_matches('/').split('/').all(|pattern| {
        segments.next().is_some_and(|segment| is_like(pattern, segment))
    })
}

/// As shells have it, with `*` alone.
fn is_like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            let Some(name) = name.strip_prefix(start) else { return false };
            (0..=name.len()).any(|from| is_like(rest, &name[from..]))
        }
    }
}
