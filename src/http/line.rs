//! A connection over HTTP/2: what it comes over, and the engine that speaks
//! over it, for one stream or for many.

use std::io::{self, Write};

use http::Request;
use http::header::{self, HOST, HeaderMap, HeaderName};

use crate::error::Error;
use crate::failure::Failure;
use crate::http::head::{self, Head};
use crate::http::reading::before_the_head;
use crate::http2::{self, Broken, Code, Engine, Secrecy};
use crate::net::tls::Stream;
use crate::response::HTTP_2;
use crate::sys::{Entry, Interest, process_id};
use crate::url::HttpUrl;

/// Headers that tell nothing of the program's, and that proxies on the way may
/// keep in their tables. Every other may be a key.
const OPEN: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CACHE_CONTROL,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::PRAGMA,
    header::USER_AGENT,
];

/// Headers that belong to HTTP/1.1's connections, and have names that a program
/// may set (RFC 9113, 8.2.2).
const OF_CONNECTIONS: [&str; 2] = ["keep-alive", "proxy-connection"];

/// A client's end of a connection. It says good-bye when it is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) stream: Stream,
    pub(crate) engine: Engine,
    /// The server takes nothing any more. What it has sent may still be read.
    pub(crate) is_deaf: bool,
    /// In a child process the connection is still the parent's.
    process_id: u32,
}

impl Line {
    pub(crate) fn new(stream: Stream) -> Line {
        Line {
            stream,
            engine: Engine::new(),
            is_deaf: false,
            process_id: process_id(),
        }
    }

    /// Writes a request, as far as it is a head (RFC 9113, 8.3.1). None if the
    /// server takes no more of them now.
    pub(crate) fn ask(
        &mut self,
        request: &Request<Option<&[u8]>>,
        url: &HttpUrl,
    ) -> Option<u32> {
        let headers = request.headers();
        let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
        let scheme = if url.is_secure() { "https" } else { "http" };
        let of_http = [
            (":method", request.method().as_str().as_bytes()),
            (":scheme", scheme.as_bytes()),
            (":authority", host),
            (":path", url.target().as_bytes()),
        ];
        let of_http = of_http
            .into_iter()
            .map(|(name, value)| (name.as_bytes(), value, Secrecy::Open));
        let length = request.body().map(|body| body.len().to_string());
        let length = length.iter().map(|length| {
            (&b"content-length"[..], length.as_bytes(), Secrecy::Open)
        });
        let fields = headers.iter().filter(|(name, _)| {
            **name != HOST && !OF_CONNECTIONS.contains(&name.as_str())
        });
        let fields = fields.map(|(name, value)| {
            let secrecy = match OPEN.contains(name) {
                true => Secrecy::Open,
                false => Secrecy::Secret,
            };
            (name.as_str().as_bytes(), value.as_bytes(), secrecy)
        });
        let has_body = request.body().is_some_and(|body| !body.is_empty());
        self.engine.request(of_http.chain(fields).chain(length), has_body)
    }

    /// What to wait for, once a read has brought all there is.
    pub(crate) fn entry(&self) -> Entry {
        let interest = match self.engine.output().is_empty() {
            true => Interest::Read,
            false => Interest::Both,
        };
        self.stream.entry(interest)
    }

    /// Sends what there is to send, as far as that goes without waiting;
    /// whether something went.
    pub(crate) fn flush(&mut self) -> bool {
        let mut has_sent = false;
        while !self.engine.output().is_empty() && !self.is_deaf {
            match self.stream.write(self.engine.output()) {
                Ok(sent) => {
                    self.engine.sent(sent);
                    has_sent = true;
                }
                Err(cause) => match cause.kind() {
                    io::ErrorKind::WouldBlock => return has_sent,
                    io::ErrorKind::Interrupted => {}
                    // What it has said before can still be read, and tells
                    // more.
                    _ => self.is_deaf = true,
                },
            }
        }
        if self.is_deaf {
            let rest = self.engine.output().len();
            self.engine.sent(rest);
            return has_sent;
        }
        // Records of TLS that are ready.
        let _ = self.stream.flush();
        has_sent
    }

    /// The server breaks the rules, and is told.
    pub(crate) fn broken(&mut self, broken: Broken) -> Failure {
        self.flush();
        self.is_deaf = true;
        let message = format!("bad HTTP/2 in the stream: {}", broken.why);
        Failure::new(Error::Lost, message)
    }

    /// The same, for a stream whose head has not come.
    pub(crate) fn broken_early(&mut self, broken: Broken) -> Failure {
        let failure = self.broken(broken);
        let message = format!("bad HTTP/2 before the response: {}", broken.why);
        match self.engine.has_begun() {
            true => Failure { message, ..failure },
            false => Failure::new(Error::Http, message),
        }
    }

    /// The connection has ended, and the body has not. HTTP/2 says where a
    /// body ends, and the connection is no such place.
    pub(crate) fn closed(&self) -> Failure {
        let message = match self.engine.going_away() {
            None | Some(Code::NO_ERROR) => {
                "the connection was closed in the middle of the stream".into()
            }
            Some(code) => format!("the server has broken off: {code}"),
        };
        Failure::new(Error::Lost, message)
    }

    /// The same, for a stream whose head has not come.
    pub(crate) fn closed_early(&self) -> Failure {
        match self.engine.going_away() {
            None | Some(Code::NO_ERROR) => {
                before_the_head(&io::ErrorKind::UnexpectedEof.into())
            }
            Some(_) => self.closed(),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // A child process has the descriptor, and the parent the connection.
        if self.process_id != process_id() || self.is_deaf {
            return;
        }
        self.engine.go_away(Code::NO_ERROR);
        self.flush();
        if !self.is_deaf && self.engine.output().is_empty() {
            self.stream.say_good_bye();
        }
    }
}

/// A stream that the server has reset, or that was malformed.
pub(crate) fn reset(code: Code, why: Option<&str>) -> Failure {
    let message = match why {
        None => format!("the server has broken off the stream: {code}"),
        Some(why) => format!("bad HTTP/2 in the stream: {why}"),
    };
    Failure::new(Error::Lost, message)
}

/// The same, before the head of the response.
pub(crate) fn refused(code: Code, why: Option<&str>) -> Failure {
    let message = match why {
        None => format!("the server has refused the request: {code}"),
        Some(why) => format!("bad HTTP/2 before the response: {why}"),
    };
    Failure::new(Error::Lost, message)
}

/// Whether the server wants to be asked over HTTP/1.1, by this end of a stream
/// whose head has not come.
pub(crate) fn wants_http1(code: Code, why: Option<&str>) -> bool {
    why.is_none() && code == Code::HTTP_1_1_REQUIRED
}

/// What it means for a source that HTTP/2 alone is to be spoken.
pub(crate) fn http1_required() -> Failure {
    Failure::new(Error::Http, "the server asks for HTTP/1.1").futile()
}

/// The head as the rest of the library has it.
pub(crate) fn read_head(read: http2::Head) -> Result<Head, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in read.fields {
        // The engine has seen to the names.
        if let Ok(name) = HeaderName::from_lowercase(&name) {
            head::keep(&mut headers, name, value)?;
        }
    }
    Ok(Head { status: read.status, http_version: HTTP_2, headers })
}
