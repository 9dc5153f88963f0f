//! A connection whose response has ended, kept for the request that follows
//! (RFC 9112, 9.3): over it that needs no look-up and no handshake.

use std::io;
use std::time::{Duration, Instant};

use crate::credentials::Credentials;
use crate::net::tls::Stream;
use crate::net::trust::Peer;

/// A connection that nothing is awaited from.
#[derive(Debug)]
pub(crate) struct Spare {
    stream: Stream,
    /// The origin that it leads to.
    origin: String,
    terms: Terms,
    since: Instant,
}

/// What a connection was made for, besides its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) peer: Peer,
    pub(crate) client_certificate: Credentials,
}

impl Spare {
    /// Longer than the default reconnection time, and shorter than servers
    /// keep a connection.
    pub(crate) const LIFE: Duration = Duration::from_secs(5);

    pub(crate) fn new(stream: Stream, origin: String, terms: Terms) -> Spare {
        Spare { stream, origin, terms, since: Instant::now() }
    }

    /// The connection, if it leads to `origin` on these terms and the server
    /// has not closed it.
    pub(crate) fn take(mut self, origin: &str, terms: Terms) -> Option<Stream> {
        let fits = self.origin == origin
            && self.terms == terms
            && self.since.elapsed() < Spare::LIFE;
        (fits && self.is_silent()).then_some(self.stream)
    }

    /// Whether neither an end has come nor bytes that nobody has asked for.
    fn is_silent(&mut self) -> bool {
        /// More records of TLS that say nothing are no good sign.
        const READS: usize = 8;

        for _ in 0..READS {
            match self.stream.read(&mut [0]) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return cause.kind() == io::ErrorKind::WouldBlock,
                Ok(_) => return false,
            }
        }
        false
    }
}
