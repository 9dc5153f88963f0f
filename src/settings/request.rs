//! What a request asks with: method, headers, body.

use std::sync::Arc;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::credentials::Credentials;
use crate::error::Error;
use crate::memory::copy;

/// Headers that the library writes itself, or HTTP/1.1 connections do.
const RESERVED: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    LAST_EVENT_ID,
];

/// More than any server takes. A header map holds no more than 24,576.
const MAX_HEADERS: usize = 10_000;

/// The header of § 9.2.4.
pub(crate) const LAST_EVENT_ID: HeaderName =
    HeaderName::from_static("last-event-id");

/// Whether an id is short enough to be sent (R37): servers refuse requests
/// whose headers are longer, each time.
pub(crate) fn fits_a_header(id: &[u8]) -> bool {
    id.len() <= 16 * 1024
}

/// Whether a field of an event stream could have set such an id (R52).
pub(crate) fn is_last_event_id(id: &str) -> bool {
    !id.contains(['\0', '\n', '\r'])
}

/// Fetch, "request-body-header name": they go when the body goes.
const OF_THE_BODY: [HeaderName; 4] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
];

/// Headers that say how a program asks, and not who it is: they go to every
/// origin.
const NO_SECRETS: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::ORIGIN,
    header::PRAGMA,
    header::USER_AGENT,
];

/// A request without its URL: what the program has set for all of them, then
/// a copy for each attempt, which the program and redirects may change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// Without one it is POST if there is a body, else GET.
    method: Option<Method>,
    /// Headers set by the program. `None` removes a default header.
    headers: Vec<(HeaderName, Option<HeaderValue>)>,
    body: Option<Arc<Vec<u8>>>,
    /// The last event ID string as the attempt begins (R35).
    pub(crate) last_event_id: String,
}

impl Request {
    pub(crate) fn set_method(&mut self, method: &str) -> Result<(), Error> {
        // Fetch, "normalize a method".
        let upper = method.to_ascii_uppercase();
        let method = match upper.as_str() {
            // No response to these has a body to read, or Fetch forbids them.
            "HEAD" | "CONNECT" | "TRACE" | "TRACK" => return Err(Error::Value),
            "DELETE" | "GET" | "OPTIONS" | "POST" | "PUT" => &upper,
            _ => method,
        };
        // Other methods keep their case: `patch` is not `PATCH` (Fetch).
        let method = method.parse().map_err(|_| Error::Value)?;
        self.method = Some(method);
        Ok(())
    }

    /// Sets the method of one attempt: what a GET does not send, it does not
    /// describe either.
    pub(crate) fn change_method(&mut self, method: &str) -> Result<(), Error> {
        self.set_method(method)?;
        if self.is_plain_get() {
            self.become_get();
        }
        Ok(())
    }

    pub(crate) fn set_body(
        &mut self,
        body: Option<&[u8]>,
    ) -> Result<(), Error> {
        self.body = match body {
            None => None,
            Some(body) => Some(Arc::new(copy(body)?)),
        };
        Ok(())
    }

    /// Replaces a header, the library's default included; without a value,
    /// takes it away.
    pub(crate) fn set_header(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), Error> {
        let name = HeaderName::try_from(name).map_err(|_| Error::Header)?;
        if RESERVED.contains(&name) {
            return Err(Error::Header);
        }
        let value = match value {
            None => None,
            Some(value) => Some(
                HeaderValue::try_from(copy(value.as_bytes())?)
                    .ok()
                    .filter(|value| can_be_sent(&name, value))
                    .ok_or(Error::Header)?,
            ),
        };
        let known = self.headers.iter().position(|(known, _)| *known == name);
        match known {
            Some(index) => self.headers[index].1 = value,
            None if self.headers.len() == MAX_HEADERS => {
                return Err(Error::Header);
            }
            None => self.headers.push((name, value)),
        }
        Ok(())
    }

    /// How much memory code of others takes when the headers are sent, at most;
    /// values are shared.
    pub(crate) fn size_of_headers(&self) -> usize {
        self.headers.len() * 1024
    }

    /// The method, as things stand.
    pub(crate) fn method(&self) -> Method {
        match (&self.method, &self.body) {
            (Some(method), _) => method.clone(),
            (None, None) => Method::GET,
            (None, Some(_)) => Method::POST,
        }
    }

    /// The body to send. A GET has none.
    pub(crate) fn body(&self) -> Option<&[u8]> {
        match self.method() {
            Method::GET => None,
            // These say that it is empty.
            Method::PATCH | Method::POST | Method::PUT => Some(
                self.body.as_deref().map(Vec::as_slice).unwrap_or_default(),
            ),
            _ => self.body.as_deref().map(Vec::as_slice),
        }
    }

    /// The body to send, if there is anything in it, for one who keeps it.
    #[cfg(feature = "http2")]
    pub(crate) fn shared_body(&self) -> Option<Arc<Vec<u8>>> {
        let is_sent = self.body().is_some_and(|body| !body.is_empty());
        self.body.clone().filter(|_| is_sent)
    }

    /// Whether nobody is charged for asking twice.
    pub(crate) fn is_plain_get(&self) -> bool {
        self.method() == Method::GET
    }

    /// Makes a GET of it, as a redirect may (Fetch, "HTTP-redirect fetch").
    pub(crate) fn become_get(&mut self) {
        self.method = Some(Method::GET);
        self.body = None;
        self.headers.retain(|(name, _)| !OF_THE_BODY.contains(name));
    }

    /// Takes back what [`become_get`](Request::become_get) has made of
    /// `before`, but for headers that were changed since.
    pub(super) fn restore(&mut self, before: &Request) {
        self.method = before.method.clone();
        self.body = before.body.clone();
        for (name, value) in &before.headers {
            if !self.decides(name) {
                self.headers.push((name.clone(), value.clone()));
            }
        }
    }

    /// The headers to send. Without the program's secrets, these are the
    /// library's, those in [`NO_SECRETS`], and those that describe the body,
    /// which go where the body goes.
    pub(crate) fn headers(&self, secrets: Credentials) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let defaults = [
            (header::ACCEPT, "text/event-stream"), // R9
            (header::ACCEPT_ENCODING, "identity"), // R15
            (header::CACHE_CONTROL, "no-cache"),   // R10
            (header::PRAGMA, "no-cache"),
            (
                header::USER_AGENT,
                concat!("libeventsource/", env!("CARGO_PKG_VERSION")),
            ),
        ];
        for (name, value) in defaults {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let has_body = self.body().is_some_and(|body| !body.is_empty());
        if has_body {
            let text = HeaderValue::from_static("text/plain");
            headers.insert(header::CONTENT_TYPE, text);
        }
        // R35, R37: raw UTF-8; left out if empty or if no header can carry
        // it.
        if !self.last_event_id.is_empty()
            && fits_a_header(self.last_event_id.as_bytes())
            && let Ok(value) =
                HeaderValue::from_bytes(self.last_event_id.as_bytes())
        {
            headers.insert(LAST_EVENT_ID, value);
        }
        for (name, value) in &self.headers {
            let is_open = NO_SECRETS.contains(name)
                || has_body && OF_THE_BODY.contains(name);
            if !secrets.are_sent() && !is_open {
                continue;
            }
            match value {
                Some(value) => {
                    headers.insert(name, value.clone());
                }
                None => {
                    headers.remove(name);
                }
            }
        }
        headers
    }

    /// Whether the program has said what this header is to be, or that it is
    /// not to be sent.
    pub(crate) fn decides(&self, name: &HeaderName) -> bool {
        self.headers.iter().any(|(known, _)| known == name)
    }
}

/// Whether a request can be sent that has this header, and its response read.
fn can_be_sent(name: &HeaderName, value: &HeaderValue) -> bool {
    match *name {
        // ureq refuses all other text.
        header::AUTHORIZATION | header::HOST => value.to_str().is_ok(),
        header::ACCEPT_ENCODING => value
            .as_bytes()
            .split(|byte| *byte == b',')
            .all(|coding| can_be_accepted(coding.trim_ascii())),
        _ => true,
    }
}

/// Whether an element of `Accept-Encoding` (RFC 9110, 12.5.3) asks for what is
/// undone, or excludes a coding.
fn can_be_accepted(coding: &[u8]) -> bool {
    let mut parts = coding.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().expect("one at least").to_ascii_lowercase();
    let undone = matches!(&*name, b"" | b"identity" | b"gzip" | b"x-gzip");
    let weight = match (parts.next(), parts.next()) {
        (None, _) => return undone,
        (Some([b'q' | b'Q', b'=', weight @ ..]), None) => weight,
        _ => return false,
    };
    match weight {
        [b'0'] => true,
        [b'0', b'.', zeros @ ..] if zeros.iter().all(|byte| *byte == b'0') => {
            true
        }
        [b'0', b'.', digits @ ..] => {
            undone && digits.iter().all(u8::is_ascii_digit)
        }
        [b'1'] => undone,
        [b'1', b'.', zeros @ ..] => {
            undone && zeros.iter().all(|byte| *byte == b'0')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_makes_it_a_post_and_get_has_none() {
        let mut request = Request::default();
        assert_eq!((request.method(), request.body()), (Method::GET, None));
        request.set_body(Some(b"x")).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.body(), Some(&b"x"[..]));
        request.set_method("get").unwrap();
        assert_eq!((request.method(), request.body()), (Method::GET, None));
        request.set_method("put").unwrap();
        request.set_body(None).unwrap();
        assert_eq!(request.body(), Some(&b""[..]));
    }

    #[test]
    fn standard_methods_are_written_in_capitals() {
        let mut request = Request::default();
        for (method, sent) in
            [("post", "POST"), ("Delete", "DELETE"), ("patch", "patch")]
        {
            request.set_method(method).unwrap();
            assert_eq!(request.method().as_str(), sent);
        }
        for method in ["", "A B", "HEAD", "connect", "Trace", "TRACK", "ü"] {
            assert_eq!(request.set_method(method), Err(Error::Value));
        }
        assert_eq!(request.method().as_str(), "patch");
    }
}
