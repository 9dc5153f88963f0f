//! The bill of materials: which packages, of which versions and licences, are
//! inside the library, for programs that look for holes in them (CycloneDX).
//!
//! `UPDATE_LICENCES=1 cargo test --test package bill` writes it anew.

use crate::inside::{Package, packages};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use support::program::path;

const FILE: &str = "packaging/libeventsource.cdx.json";

#[test]
fn the_bill_of_materials_lists_what_is_inside() {
    let bill = serde_json::to_string_pretty(&bill()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_LICENCES").is_some() {
        fs::write(path(FILE), &bill).expect("the file");
    }
    let committed = fs::read_to_string(path(FILE)).unwrap_or_default();
    assert!(
        committed == bill,
        "{FILE} is stale; UPDATE_LICENCES=1 cargo test --test package bill"
    );
}

/// Without a time and a number of its own, so that the same library has the
/// same bill.
fn bill() -> Value {
    let packages = packages();
    let sums = sums();
    let mut components: Vec<_> =
        packages.iter().map(|it| component(it, &sums)).collect();
    let dependencies: Vec<_> =
        packages.iter().map(|it| uses(it, &packages)).collect();
    let ours = components.remove(0);
    // It comes with the compiler, whose version it has.
    components.push(json!({
        "type": "library",
        "name": "Rust standard library",
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
    }));
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": ours },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(package: &Package, sums: &HashMap<String, String>) -> Value {
    let Package { name, version, licence, .. } = package;
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": name,
        "version": version,
        "licenses": [{ "expression": licence }],
        "purl": purl(package),
    });
    if let Some(sum) = sums.get(&format!("{name} {version}")) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    if let Some(url) = &package.repository {
        let reference = json!([{ "type": "vcs", "url": url }]);
        component["externalReferences"] = reference;
    }
    component
}

fn uses(package: &Package, packages: &[Package]) -> Value {
    let mut used: Vec<_> =
        package.uses.iter().map(|place| purl(&packages[*place])).collect();
    used.sort();
    json!({ "ref": purl(package), "dependsOn": used })
}

fn purl(package: &Package) -> String {
    let kind = if package.from.is_some() { "cargo" } else { "generic" };
    format!("pkg:{kind}/{}@{}", package.name, package.version)
}

/// The checksums of Cargo.lock, by name and version.
fn sums() -> HashMap<String, String> {
    let lock = fs::read_to_string(path("Cargo.lock")).expect("a lock file");
    let sections = lock.split("[[package]]\n").skip(1);
    let sums = sections.filter_map(|section| {
        let field = |name: &str| {
            let (_, rest) = section.split_once(&format!("{name} = \""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let title = format!("{} {}", field("name")?, field("version")?);
        Some((title, field("checksum")?))
    });
    sums.collect()
}
