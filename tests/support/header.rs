//! What include/eventsource.h declares.

use crate::program::path;
use std::fs;

/// A function as C declares it.
#[derive(Debug)]
pub struct Function {
    /// Its type, such as `const char *`.
    pub result: String,
    pub name: String,
    /// `const char *url`, for one; none for `void`.
    pub parameters: Vec<String>,
}

/// The functions, in their order.
pub fn functions() -> Vec<Function> {
    let header = fs::read_to_string(path("include/eventsource.h"));
    let header = header.expect("a header");
    let (_, door) = header.split_once("extern \"C\" {\n").expect("functions");
    let (door, _) = door.split_once("}  // extern").expect("their end");
    let code: Vec<&str> = door
        .lines()
        .filter(|line| !line.starts_with("//") && !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .collect();
    let code = code.join(" ");
    let declarations = code.split(';').map(str::trim);
    let functions: Vec<_> =
        declarations.filter(|d| !d.is_empty()).map(function).collect();
    assert!(functions.len() > 20, "so few? {functions:#?}");
    functions
}

fn function(declaration: &str) -> Function {
    let (head, parameters) = declaration.split_once('(').expect(declaration);
    let parameters = parameters.trim_end_matches(')').trim();
    let name = head.rsplit([' ', '*']).next().expect("a name");
    Function {
        result: head[..head.len() - name.len()].trim().to_owned(),
        name: name.to_owned(),
        parameters: parameters
            .split(',')
            .map(|parameter| parameter.trim().to_owned())
            .filter(|parameter| parameter != "void")
            .collect(),
    }
}
