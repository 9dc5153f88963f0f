//! What include/eventsource.h declares, as bindings/api.json describes it.

use crate::program::path;
use serde_json::Value;
use std::fs;
use std::sync::LazyLock;

/// The whole of it.
pub struct Api {
    pub enums: Vec<Enum>,
    pub structs: Vec<Struct>,
    pub callbacks: Vec<Function>,
    /// In the order of the header.
    pub functions: Vec<Function>,
}

/// An enumeration.
pub struct Enum {
    pub name: String,
    pub values: Vec<Enumerator>,
}

pub struct Enumerator {
    pub name: String,
    pub number: i64,
    /// What the header says of it.
    pub doc: String,
}

/// A structure whose members programs see.
pub struct Struct {
    pub name: String,
    /// The names of its members.
    pub members: Vec<String>,
}

/// A function, or the type of a callback.
pub struct Function {
    /// What it returns, such as `const char *`.
    pub result: String,
    pub name: String,
    /// `const char *url`, for one; none for `void`.
    pub parameters: Vec<String>,
    /// The page of the manual; empty for a callback.
    pub page: String,
    /// What the header says of it.
    pub doc: String,
}

/// The description, read once.
pub static API: LazyLock<Api> = LazyLock::new(|| {
    let api = fs::read_to_string(path("bindings/api.json"));
    let api = api.expect("a description");
    let api: Value = serde_json::from_str(&api).expect("JSON");
    let api = Api {
        enums: list(&api["enums"], |it| Enum {
            name: text(&it["name"]),
            values: list(&it["values"], |it| Enumerator {
                name: text(&it["name"]),
                number: it["number"].as_i64().expect("a number"),
                doc: text(&it["doc"]),
            }),
        }),
        structs: list(&api["structs"], |it| Struct {
            name: text(&it["name"]),
            members: list(&it["members"], |it| text(&it["name"])),
        }),
        callbacks: list(&api["callbacks"], function),
        functions: list(&api["functions"], function),
    };
    // What is checked name by name must be there.
    assert!(api.functions.len() > 50, "so few? {}", api.functions.len());
    assert!(api.callbacks.len() > 8, "so few? {}", api.callbacks.len());
    assert!(api.enumerators().count() > 40, "so few enumerators?");
    assert!(api.members().count() > 25, "so few members?");
    api
});

impl Api {
    /// The enumerators of all enumerations.
    pub fn enumerators(&self) -> impl Iterator<Item = &Enumerator> {
        self.enums.iter().flat_map(|it| &it.values)
    }

    /// The members of all structures.
    pub fn members(&self) -> impl Iterator<Item = &String> {
        self.structs.iter().flat_map(|it| &it.members)
    }
}

fn function(it: &Value) -> Function {
    Function {
        result: text(&it["result"]),
        name: text(&it["name"]),
        parameters: list(&it["parameters"], |it| {
            let (kind, name) = (text(&it["type"]), text(&it["name"]));
            let space = if kind.ends_with('*') { "" } else { " " };
            format!("{kind}{space}{name}")
        }),
        page: it["page"].as_str().unwrap_or_default().to_owned(),
        doc: text(&it["doc"]),
    }
}

fn list<T>(of: &Value, item: impl Fn(&Value) -> T) -> Vec<T> {
    of.as_array().expect("a list").iter().map(item).collect()
}

fn text(of: &Value) -> String {
    of.as_str().expect("a text").to_owned()
}
