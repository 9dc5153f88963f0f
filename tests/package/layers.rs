//! The order of src/: a room uses only what stands before it in the map of
//! lib.rs, and no two files use each other, however far the way round.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use support::program::path;

/// The rooms, from the ground up; what is no room is the ground.
const ROOMS: [&str; 7] =
    ["parser", "http2", "net", "settings", "http", "source", "ffi"];

/// Every file by its module's path, and the modules it uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn room(module: &str) -> usize {
    let top = module.split("::").next().unwrap_or_default();
    ROOMS.iter().position(|room| *room == top).map_or(0, |place| place + 1)
}

/// Reads the files of a folder and of those in it.
fn read(folder: &Path, module: &str, uses: &mut Uses) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        let inner = match &*name {
            "mod" | "lib" => module.to_owned(),
            name if module.is_empty() => name.to_owned(),
            name => format!("{module}::{name}"),
        };
        if path.is_dir() {
            read(&path, &inner, uses);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        uses.entry(inner).or_default().extend(imports(code, module));
    }
}

/// The modules named in code, comments left out.
fn imports(code: &str, folder: &str) -> BTreeSet<String> {
    let lines = code.lines().filter(|line| !line.trim().starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let mut found = BTreeSet::new();
    let starts = [("crate::", ""), ("super::", folder)];
    for (start, base) in starts {
        for place in code.split(start).skip(1) {
            let lower = |c: char| c.is_ascii_lowercase() || c == '_';
            let words: Vec<_> = place
                .split("::")
                .take_while(|word| word.chars().all(lower))
                .take(2)
                .filter(|word| !word.is_empty())
                .collect();
            let whole = [&[base], &words[..]].concat();
            let whole: Vec<_> =
                whole.into_iter().filter(|part| !part.is_empty()).collect();
            found.insert(whole.join("::"));
        }
    }
    found
}

/// The file that a path of words means: the longest that there is.
fn file<'a>(name: &str, uses: &'a Uses) -> Option<&'a str> {
    let mut name = name;
    loop {
        if let Some((known, _)) = uses.get_key_value(name) {
            return Some(known);
        }
        name = name.rsplit_once("::")?.0;
    }
}

fn all() -> Uses {
    let mut uses = Uses::new();
    read(Path::new(&path("src")), "", &mut uses);
    // The map itself, and the doors for fuzzing, which reach everywhere.
    uses.remove("");
    uses.remove("doors");
    uses
}

#[test]
fn a_room_uses_only_what_stands_before_it() {
    let lib = fs::read_to_string(path("src/lib.rs")).expect("the map");
    let places = ROOMS.map(|room| {
        lib.find(&format!("mod {room};")).expect("a room of the map")
    });
    assert!(places.is_sorted(), "the rooms in the order of the map");
    let uses = all();
    assert!(uses.len() > 40, "the files were found");
    for (module, used) in &uses {
        for other in used {
            assert!(
                room(other) <= room(module),
                "{module} uses {other}, which stands above it"
            );
        }
    }
}

#[test]
fn no_two_files_use_each_other() {
    let uses = all();
    for start in uses.keys() {
        let mut reached = BTreeSet::new();
        let mut next = vec![&**start];
        while let Some(module) = next.pop() {
            for used in uses[module].iter().filter_map(|it| file(it, &uses)) {
                // A room's map names its files.
                let map = uses[used].is_empty() || used == module;
                if !map && reached.insert(used) {
                    next.push(used);
                }
            }
        }
        assert!(!reached.contains(&**start), "a circle through {start}");
    }
}

/// The other files of the C API may call unsafe functions without saying why,
/// and so must leave it at that.
#[test]
fn one_file_of_the_c_api_follows_pointers() {
    let mut followers = Vec::new();
    for entry in fs::read_dir(path("src/ffi")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a file");
        let follows = [
            "unsafe {",
            "::from_raw(",
            "from_raw_parts",
            "from_ptr(",
            "&*",
            "&mut *",
            "ptr::read",
            "ptr::write",
            "ptr::copy",
        ];
        let follows = text.lines().any(|line| {
            !line.trim().starts_with("//")
                && !line.contains("Error::from_raw(")
                && !line.contains("HttpVersion::from_raw(")
                && !line.contains("Retry::from_raw(")
                && !line.contains("Verdict::from_raw(")
                && follows.iter().any(|it| line.contains(it))
        });
        if follows {
            followers.push(path.file_name().expect("a name").to_owned());
        }
    }
    followers.sort();
    // A gate follows no pointer of the program's.
    assert_eq!(followers, ["convert.rs", "gate.rs"]);
}
