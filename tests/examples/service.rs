//! What the services have in common that programs ask.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// A request as programs of all languages send it, and its body.
pub(super) struct Request {
    pub(super) line: String,
    /// By their names in lower case.
    headers: HashMap<String, String>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn read(
        head: &str,
        mut stream: &TcpStream,
    ) -> io::Result<Request> {
        let (line, headers) = head.split_once("\r\n").expect("a line");
        let headers: HashMap<_, _> = headers
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map(String::as_str);
        let length = length.unwrap_or("0").parse().expect("a length");
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Request { line: line.to_owned(), headers, body })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer that is no stream.
pub(super) fn say(
    mut stream: &TcpStream,
    status: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    stream.write_all(
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n\
             {body}"
        )
        .as_bytes(),
    )
}

/// The header of an answer in JSON.
pub(super) const JSON: &str = "Content-Type: application/json\r\n";
