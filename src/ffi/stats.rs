//! What a source has counted.

use crate::stats::Stats;

/// What a source has counted since eventsource_connect().
///
/// The numbers are read one after the other while the source goes on, so that
/// of two that belong together one may be newer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CStats {
    /// Bytes of streams as they came: with HTTP's framing, before
    /// decompression, without the heads of responses.
    pub bytes: u64,
    /// Events dispatched.
    pub events: u64,
    /// Comments; counted only if the program has asked for them, with
    /// `on_comment` or eventsource_set_comments().
    pub comments: u64,
    /// Connections announced with `on_open`.
    pub connects: u64,
    /// Attempts after the first, successful or not.
    pub reconnects: u64,
    /// Events dropped because of their size.
    pub dropped: u64,
    /// When the last byte of a stream came, in milliseconds since 1970 by the
    /// system's clock; 0 if no byte has come.
    pub last_byte_at_ms: u64,
    /// Milliseconds from the request to the head of the response that was last
    /// accepted, redirects included.
    pub time_to_headers_ms: u64,
}

impl CStats {
    pub(super) fn new(stats: &Stats) -> CStats {
        CStats {
            bytes: stats.bytes.get(),
            events: stats.events.get(),
            comments: stats.comments.get(),
            connects: stats.connects.get(),
            reconnects: stats.reconnects.get(),
            dropped: stats.dropped.get(),
            last_byte_at_ms: stats.last_byte_at.get(),
            time_to_headers_ms: stats.time_to_headers.get(),
        }
    }
}
