//! Doors into the library that only fuzzing finds open: what a server, a proxy
//! or the environment may say, and what becomes of it. A part of the library,
//! so that nothing of it needs to be public.

use std::ops::ControlFlow::{Break, Continue};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;
use crate::failure::{Failure, NoConnection};
use crate::http::body::Body;
use crate::http::chunked::Progress;
use crate::http::connection::{Network, Read};
use crate::http::cookies::Cookies;
use crate::http::opening::{Course, Opening, Stop};
use crate::http::redirect::follow;
use crate::net::environment::Environment;
use crate::net::proxy::Proxy;
use crate::net::tunnel;
use crate::response;
use crate::settings::options::Options;
use crate::settings::retry;
use crate::stats::Stats;
use crate::url::HttpUrl;
use crate::wait::{Recall, Until};

#[cfg(feature = "http2")]
pub use crate::http2::doors::{Told, hpack, http2};

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It goes on.
    More,
    /// All of it has come.
    End,
    /// It makes no sense.
    Broken,
}

/// What a body that comes in `pieces` decodes to.
pub fn decode(headers: &[(&str, &str)], pieces: &[&[u8]]) -> (Vec<u8>, Ending) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).expect("a name");
        map.append(name, HeaderValue::try_from(*value).expect("a value"));
    }
    let mut body = Body::new(&map).expect("a body that can be decoded");
    let mut decoded = Vec::new();
    for piece in pieces {
        let mut sink = |part: &mut [u8]| {
            decoded.extend_from_slice(part);
            Continue(())
        };
        let mut progress = body.decode(&mut piece.to_vec(), &mut sink);
        while body.has_rest() && matches!(progress, Ok(Progress::More)) {
            progress = body.decode_rest(&mut sink);
        }
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::End) => return (decoded, Ending::End),
            Ok(Progress::Stopped) => unreachable!("nobody stops it"),
            Err(_) => return (decoded, Ending::Broken),
        }
    }
    (decoded, Ending::More)
}

/// What became of one attempt.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of the last response; 0 if there was none.
    pub status: u16,
    /// What the response was announced from.
    pub url: String,
    /// The body, or the excerpt of one that was refused.
    pub body: Vec<u8>,
    /// Why there is no more.
    pub error: i32,
    /// The same for people.
    pub message: String,
}

/// One attempt to follow `url`, through a Unix socket or a proxy, up to
/// `most` bytes of its body.
pub fn attempt(
    url: &str,
    unix_socket: Option<&Path>,
    proxy: &str,
    most: usize,
) -> Outcome {
    let url = HttpUrl::parse(url).expect("a URL");
    let mut options = Options::default();
    let network = options.network();
    network.set_proxy(Some(proxy)).expect("a proxy");
    network.set_unix_socket(unix_socket).expect("a path");
    network.trust.set_verify_peer(false);
    let interrupt = Arc::new(Recall::default());
    interrupt.arm().expect("a descriptor");
    let opening = Box::new(Opening {
        request: options.request.clone(),
        home: url.clone(),
        elsewhere: None,
        url,
        left_origin: false,
        options: Arc::new(options),
        cookies: Arc::default(),
        turns: Arc::default(),
        spare: None,
        interrupt: interrupt.clone(),
        asks: false,
        course: Course::default(),
    });
    let (response, mut connection) = match opening.run() {
        Ok(Stop::Opened(opened)) => (opened.response, opened.connection),
        Ok(Stop::Answered(_)) => unreachable!("nobody decides"),
        Err(NoConnection::Failed(failure)) => return Outcome::refused(failure),
        Err(NoConnection::Interrupted) => unreachable!("nobody interrupts it"),
    };
    let mut body = Vec::new();
    let mut sink = |part: &mut [u8]| {
        body.extend_from_slice(part);
        if body.len() > most { Break(()) } else { Continue(()) }
    };
    let mut buffer = vec![0; 64 * 1024];
    let stats = Stats::default();
    let until = Until::new(&*interrupt, None);
    let failure = loop {
        match connection.read(Network::now(&mut buffer), &stats, &mut sink) {
            Ok(Read::More) => {}
            Ok(Read::All | Read::Nothing) => until
                .wait(connection.entry().expect("its own"))
                .expect("a wait"),
            Ok(Read::End) => break Failure::new(Error::Ended, "ended"),
            Ok(Read::Stopped) => break Failure::new(Error::Closed, "enough"),
            Err(failure) => break failure,
        }
    };
    body.truncate(most);
    let url = response.url.as_str().to_owned();
    Outcome { status: response.status, url, body, ..Outcome::refused(failure) }
}

impl Outcome {
    fn refused(failure: Failure) -> Outcome {
        let response = failure.response;
        Outcome {
            status: response.as_ref().map_or(0, |it| it.status),
            url: response
                .map_or(String::new(), |it| it.url.as_str().to_owned()),
            body: failure
                .body
                .bytes_with_nul()
                .split_last()
                .expect("a NUL")
                .1
                .to_vec(),
            error: failure.error as i32,
            message: failure.message,
        }
    }
}

/// Where a redirect leads, if it is followed.
pub fn redirected(from: &str, location: &[u8]) -> Option<String> {
    let from = HttpUrl::parse(from).expect("a URL");
    let location = HeaderValue::from_bytes(location).ok()?;
    let url = follow(&from, &location).ok()?;
    Some(url.as_str().to_owned())
}

/// The URL of a source, as it is announced and as it is logged.
pub fn source_url(text: &str) -> Option<(String, String)> {
    let url = HttpUrl::parse(text).ok()?;
    // So it is kept.
    assert_eq!(HttpUrl::parse(url.as_str()).as_ref(), Ok(&url));
    let loggable = url.loggable().to_string();
    Some((url.as_str().to_owned(), loggable))
}

/// Whether these values of `Content-Type` announce an event stream.
pub fn is_event_stream(values: &[&[u8]]) -> bool {
    let mut headers = HeaderMap::new();
    for value in values {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(http::header::CONTENT_TYPE, value);
        }
    }
    response::is_event_stream(&headers)
}

/// How long a `Retry-After` asks to wait, by a `Date`.
pub fn retry_after(
    value: &[u8],
    date: &[u8],
    limit: Option<Duration>,
) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_bytes(value).ok()?;
    headers.insert(http::header::RETRY_AFTER, value);
    if let Ok(date) = HeaderValue::from_bytes(date) {
        headers.insert(http::header::DATE, date);
    }
    retry::retry_after(&headers, limit, UNIX_EPOCH)
}

/// A proxy's URL as it is shown.
pub fn proxy(text: &str) -> Option<String> {
    Proxy::parse(text).ok().map(|proxy| proxy.to_string())
}

/// Whether an environment with these variables sends `url` to a proxy.
pub fn goes_through_a_proxy(
    variables: &[(&str, &str)],
    url: &str,
) -> Option<bool> {
    let environment = Environment::read(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_string())
    });
    let url = HttpUrl::parse(url).ok()?;
    environment.proxy(&url).ok().map(|proxy| proxy.is_some())
}

/// The `Cookie` header of a request to `to`, after responses from `from`.
pub fn cookies(set: &[&[u8]], from: &str, to: &str) -> Option<Vec<u8>> {
    let mut cookies = Cookies::default();
    for value in set {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(http::header::SET_COOKIE, value);
        }
        cookies.keep(&headers, &HttpUrl::parse(from).expect("a URL"));
    }
    let value = cookies.header(&HttpUrl::parse(to).expect("a URL"))?;
    Some(value.as_bytes().to_vec())
}

/// The status of a proxy's answer.
pub fn proxy_status(head: &[u8]) -> Option<u16> {
    tunnel::parse(head).map(|(status, _)| status)
}
