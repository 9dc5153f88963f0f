//! What the program asked for.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::error::Error;
use crate::settings::network::Network;
use crate::settings::request::Request;
use crate::settings::retry::Retry;
use crate::settings::version::HttpVersion;

/// § 9.2.5 leaves the first reconnection time to the client: "in the region
/// of a few seconds" (R33).
const RECONNECTION_TIME: u64 = 3000;
const MAX_EVENT_SIZE: usize = 64 << 20;
const MAX_REDIRECTS: u32 = 20;
/// The most that is kept of a body that is no event stream.
const MAX_BODY_SIZE: usize = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Many servers send the head with the first event, and what asks by POST may
/// be thought about for minutes.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The settings of a source, its URL excepted, complete with defaults.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// What each attempt begins with.
    pub(crate) request: Request,
    /// Milliseconds, until the server says otherwise.
    pub(crate) reconnection_time: u64,
    /// Bytes of one event's data; 0 is no limit.
    pub(crate) max_event_size: usize,
    /// Bytes of a body that is no event stream, if the program has said so.
    pub(crate) max_body_size: Option<usize>,
    pub(crate) max_redirects: u32,
    /// Whether other origins are sent what is meant for the URL's own (R4).
    pub(crate) with_credentials: bool,
    /// Whether other origins are sent the program's secrets.
    pub(crate) trust_redirects: bool,
    /// Unless it was told, a source that asks by GET comes back and another
    /// does not: what is paid for is not asked for twice by accident.
    pub(crate) retry: Option<Retry>,
    /// In a row that failed; 0 is no limit.
    pub(crate) max_attempts: u32,
    /// Milliseconds.
    pub(crate) max_reconnection_time: Option<u64>,
    /// For look-up, connection and TLS together.
    pub(crate) connect_timeout: Option<Duration>,
    /// From the connection to the end of the response's headers.
    pub(crate) response_timeout: Option<Duration>,
    /// Between any two bytes of a stream.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) http_version: HttpVersion,
    pub(crate) network: Arc<Network>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            request: Request::default(),
            reconnection_time: RECONNECTION_TIME,
            max_event_size: MAX_EVENT_SIZE,
            max_body_size: None,
            max_redirects: MAX_REDIRECTS,
            with_credentials: false,
            trust_redirects: false,
            retry: None,
            max_attempts: 0,
            max_reconnection_time: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            response_timeout: Some(RESPONSE_TIMEOUT),
            idle_timeout: None,
            http_version: HttpVersion::Auto,
            network: Network::default_one(),
        }
    }
}

impl Options {
    /// Those of a program which has said nothing. There are one for all sources,
    /// until it says something.
    pub(crate) fn default_ones() -> Arc<Options> {
        static DEFAULT: LazyLock<Arc<Options>> = LazyLock::new(Arc::default);
        DEFAULT.clone()
    }

    /// Sets how much is kept of a body that is no event stream.
    pub(crate) fn set_max_body_size(
        &mut self,
        bytes: usize,
    ) -> Result<(), Error> {
        if bytes > MAX_BODY_SIZE {
            return Err(Error::Value);
        }
        self.max_body_size = Some(bytes);
        Ok(())
    }

    /// To be changed before the first request.
    pub(crate) fn network(&mut self) -> &mut Network {
        Arc::make_mut(&mut self.network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_may_take_five_minutes_whatever_the_method() {
        let mut options = Options::default();
        for method in ["GET", "POST", "REPORT"] {
            options.request.set_method(method).unwrap();
            let timeout = options.response_timeout;
            assert_eq!(timeout, Some(Duration::from_secs(300)), "{method}");
        }
    }
}
