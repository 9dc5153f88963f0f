//! What the program asked for.

use std::time::Duration;

use http::Uri;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::InvalidUri;
use url::Url;

use crate::error::Error;

/// § 9.2.5 leaves the first reconnection time to the client: "in the region
/// of a few seconds" (R33).
const RECONNECTION_TIME: u64 = 3000;
const MAX_EVENT_SIZE: usize = 64 << 20;
const MAX_REDIRECTS: u32 = 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Headers that the library writes itself, or HTTP/1.1 connections do.
const RESERVED: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    LAST_EVENT_ID,
];

/// The header of § 9.2.4.
pub(crate) const LAST_EVENT_ID: HeaderName =
    HeaderName::from_static("last-event-id");

/// The settings of a source, complete with defaults.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) url: Url,
    /// The program's headers; an empty place takes a default away.
    pub(crate) headers: Vec<(HeaderName, Option<HeaderValue>)>,
    pub(crate) last_event_id: String,
    /// Milliseconds, until the server says otherwise.
    pub(crate) reconnection_time: u64,
    /// Bytes of one event's data; 0 is no limit.
    pub(crate) max_event_size: usize,
    pub(crate) max_redirects: u32,
    /// For look-up, connection and TLS together.
    pub(crate) connect_timeout: Option<Duration>,
    /// From the connection to the end of the response's headers.
    pub(crate) response_timeout: Option<Duration>,
}

impl Options {
    /// The defaults, for an absolute URL (R1, R2).
    pub(crate) fn new(url: &str) -> Result<Options, Error> {
        let url = Url::parse(url).map_err(|_| Error::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Scheme);
        }
        // One that no request can name would fail each time, for ever.
        target(&url).map_err(|_| Error::Url)?;
        Ok(Options {
            url,
            headers: Vec::new(),
            last_event_id: String::new(),
            reconnection_time: RECONNECTION_TIME,
            max_event_size: MAX_EVENT_SIZE,
            max_redirects: MAX_REDIRECTS,
            connect_timeout: Some(CONNECT_TIMEOUT),
            response_timeout: Some(RESPONSE_TIMEOUT),
        })
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
                HeaderValue::from_bytes(value.as_bytes())
                    .map_err(|_| Error::Header)?,
            ),
        };
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        Ok(())
    }

    /// Presets the last event ID string.
    pub(crate) fn set_last_event_id(&mut self, id: &str) -> Result<(), Error> {
        // R52: no field of an event stream could have set such an id.
        if id.contains(['\0', '\n', '\r']) {
            return Err(Error::Value);
        }
        self.last_event_id = id.to_owned();
        Ok(())
    }

    /// The headers of a request; the program's own only if they may be seen
    /// by the origin that is asked.
    pub(crate) fn request_headers(
        &self,
        last_event_id: &[u8],
        own: bool,
    ) -> HeaderMap {
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
        // R35, R37: raw UTF-8; left out if empty or if no header can carry
        // it.
        if !last_event_id.is_empty()
            && let Ok(value) = HeaderValue::from_bytes(last_event_id)
        {
            headers.insert(LAST_EVENT_ID, value);
        }
        if own {
            for (name, value) in &self.headers {
                match value {
                    Some(value) => {
                        headers.insert(name, value.clone());
                    }
                    None => {
                        headers.remove(name);
                    }
                }
            }
        }
        headers
    }
}

/// What ureq is to ask for: no fragment, and no user information, which goes
/// into a header.
pub(crate) fn target(url: &Url) -> Result<Uri, InvalidUri> {
    let host = url.host_str().expect("http URLs have a host");
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query =
        url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let (scheme, path) = (url.scheme(), url.path());
    format!("{scheme}://{host}{port}{path}{query}").parse()
}
