//! What a program that is linked with the library contains, by cargo: whose
//! code, and under which licence.

use serde_json::Value;
use std::process::Command;
use support::program::{path, succeed};

/// A package of which there is code in the library.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) licence: String,
    pub(crate) manifest: String,
    pub(crate) repository: Option<String>,
    /// Where it was had from, in cargo's words; none of our own.
    pub(crate) from: Option<String>,
    /// The places in the list of those that it uses.
    pub(crate) uses: Vec<usize>,
}

/// The library's own package, and then all others, on Linux: no build scripts,
/// and no macros' own code.
pub(crate) fn packages() -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(path("")).args([
        "metadata",
        "--locked",
        "--offline",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]);
    let metadata: Value =
        serde_json::from_slice(&succeed(cargo).stdout).expect("metadata");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a graph");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = |id: &Value| {
        packages.iter().find(|it| &it["id"] == id).expect("a package")
    };
    let mut ids = vec![&metadata["resolve"]["root"]];
    let mut inside: Vec<Package> = Vec::new();
    while let Some(id) = ids.get(inside.len()).copied() {
        let node = nodes.iter().find(|node| &node["id"] == id);
        let used = node.and_then(|node| node["deps"].as_array());
        let used = used.expect("a node").iter().filter(|it| is_linked(it));
        let mut uses = Vec::new();
        for id in used.map(|it| &it["pkg"]) {
            if is_macro(package(id)) {
                continue;
            }
            let place = ids.iter().position(|known| *known == id);
            uses.push(place.unwrap_or(ids.len()));
            if place.is_none() {
                ids.push(id);
            }
        }
        inside.push(told(package(id), uses));
    }
    inside
}

/// Neither for a build script nor for tests alone.
fn is_linked(dependency: &Value) -> bool {
    let kinds = dependency["dep_kinds"].as_array();
    kinds.expect("kinds").iter().any(|kind| kind["kind"].is_null())
}

fn is_macro(package: &Value) -> bool {
    let targets = package["targets"].as_array().expect("targets");
    targets.iter().any(|target| target["kind"][0] == "proc-macro")
}

fn told(package: &Value, uses: Vec<usize>) -> Package {
    let field = |name: &str| package[name].as_str().map(str::to_owned);
    let given = |name| field(name).expect("every package says so");
    Package {
        name: given("name"),
        version: given("version"),
        // The slash is of a time before SPDX.
        licence: given("license").replace('/', " OR "),
        manifest: given("manifest_path"),
        repository: field("repository"),
        from: field("source"),
        uses,
    }
}
