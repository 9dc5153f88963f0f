//! The head of a response, and whether it announces an event stream.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::url::HttpUrl;

/// Versions of HTTP, as responses tell them.
pub(crate) const HTTP_1_0: u8 = 10;
pub(crate) const HTTP_1_1: u8 = 11;
#[cfg(feature = "http2")]
pub(crate) const HTTP_2: u8 = 20;

/// The head of a response.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// Of HTTP: ten times the major and the minor version.
    pub(crate) http_version: u8,
    /// Where it came from, after redirects.
    pub(crate) url: HttpUrl,
    /// Its headers.
    pub(crate) headers: HeaderMap,
}

/// What becomes of a response, as the program decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum Verdict {
    /// What the standard says: redirects are followed, an event stream with
    /// status 200 is read, and everything else is a failure.
    Standard = 0,
    /// The body is read as an event stream, whatever the status and the content
    /// type are. For a redirect that is followed, and for the statuses 101, 204
    /// and 304, which have no body, the same as EVENTSOURCE_VERDICT_STANDARD.
    Accept = 1,
    /// The response is a failure, EVENTSOURCE_ERROR_REFUSED; a redirect is not
    /// followed. No policy asks again.
    Refuse = 2,
}

impl Verdict {
    /// The verdict that has this number.
    pub(crate) fn from_raw(number: i32) -> Option<Verdict> {
        [Verdict::Standard, Verdict::Accept, Verdict::Refuse]
            .into_iter()
            .find(|verdict| *verdict as i32 == number)
    }
}

/// R22-R24, Fetch's "extract a MIME type": whether the last valid one
/// among the `Content-Type` values is `text/event-stream`, whatever its
/// parameters.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let Some(value) = value(headers, &header::CONTENT_TYPE) else {
        return false;
    };
    let last = split(value.as_bytes()).filter_map(essence).last();
    last.is_some_and(|essence| {
        essence.eq_ignore_ascii_case(b"text/event-stream")
    })
}

/// Fetch, "get": the values of a header, joined.
pub(crate) fn value(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(text).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// A value as text: what is not UTF-8 is Latin-1.
pub(crate) fn text(value: &HeaderValue) -> Cow<'_, str> {
    match str::from_utf8(value.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => {
            value.as_bytes().iter().map(|byte| char::from(*byte)).collect()
        }
    }
}

/// Fetch, "get, decode, and split": at commas outside quoted strings.
fn split(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    })
}

/// The part of a MIME type before its parameters, if it is one; `*/*` is
/// skipped as Fetch does.
fn essence(part: &[u8]) -> Option<&[u8]> {
    let essence = part
        .split(|byte| *byte == b';')
        .next()
        .expect("split gives at least one part")
        .trim_ascii();
    let slash = essence.iter().position(|byte| *byte == b'/')?;
    let (kind, subtype) = (&essence[..slash], &essence[slash + 1..]);
    (is_token(kind) && is_token(subtype) && essence != b"*/*")
        .then_some(essence)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
        })
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    fn accepted(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_TYPE, value.parse().unwrap());
        }
        is_event_stream(&headers)
    }

    #[test]
    fn the_essence_decides_r22() {
        for value in [
            "text/event-stream",
            "TEXT/Event-Stream",
            "text/event-stream;charset=utf-8",
            "text/event-stream ; charset=windows-1252",
            " text/event-stream\t",
            "text/event-stream;",
            "text/event-stream;;=\"",
        ] {
            assert!(accepted(&[value]), "{value}");
        }
        for value in [
            "",
            "text/event-streamx",
            "xtext/event-stream",
            "text/event-stream x",
            "text /event-stream",
            "text/plain",
            "text",
            "/",
            "*/*",
        ] {
            assert!(!accepted(&[value]), "{value}");
        }
        assert!(!accepted(&[]));
    }

    #[test]
    fn the_last_valid_value_counts_r24() {
        assert!(accepted(&["text/plain", "text/event-stream"]));
        assert!(!accepted(&["text/event-stream", "text/plain"]));
        assert!(accepted(&["text/plain, text/event-stream"]));
        assert!(!accepted(&["text/event-stream, text/plain"]));
        assert!(accepted(&["text/event-stream", "nonsense", "*/*", ""]));
        assert!(accepted(&["text/event-stream;a=\"x, text/plain;\""]));
        assert!(accepted(&["text/event-stream;a=\"\\\", text/plain\""]));
    }
}
