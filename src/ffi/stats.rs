//! What a source has counted.

use std::mem;
use std::ptr;

use crate::stats;

/// What a source has counted since eventsource_connect().
///
/// The numbers are read one after the other while the source goes on: of two
/// that belong together one may be newer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Stats {
    /// Bytes of streams, as they came: with framing, before decompression,
    /// without heads.
    pub bytes: u64,
    /// Events dispatched.
    pub events: u64,
    /// Comments, if `on_comment` is set; without it nobody counts them.
    pub comments: u64,
    /// Connections announced with `on_open`.
    pub connects: u64,
    /// Attempts to come back, all but the first, successful or not.
    pub reconnects: u64,
    /// Events dropped for their size.
    pub dropped: u64,
    /// When the last byte of a stream came, in milliseconds since 1970 by
    /// the system's clock; 0 if none has.
    pub last_byte_at: u64,
    /// Milliseconds from the request to the head of the response that was
    /// accepted last, redirects included.
    pub time_to_headers: u64,
}

impl Stats {
    pub(super) fn new(stats: &stats::Stats) -> Stats {
        Stats {
            bytes: stats.bytes.get(),
            events: stats.events.get(),
            comments: stats.comments.get(),
            connects: stats.connects.get(),
            reconnects: stats.reconnects.get(),
            dropped: stats.dropped.get(),
            last_byte_at: stats.last_byte_at.get(),
            time_to_headers: stats.time_to_headers.get(),
        }
    }

    /// Writes as much as the program has room for. What the program knows
    /// and this library does not is zero.
    ///
    /// # Safety
    ///
    /// `size` bytes may be written at `out`, which needs no alignment.
    pub(super) unsafe fn write(&self, out: *mut Stats, size: usize) {
        let known = size.min(mem::size_of::<Stats>());
        let (from, to) = (ptr::from_ref(self).cast::<u8>(), out.cast::<u8>());
        // SAFETY: both have that many bytes, as the caller promises; a local
        // and the program's memory do not overlap.
        unsafe { ptr::copy_nonoverlapping(from, to, known) };
        // SAFETY: within the size that the caller promises.
        unsafe { ptr::write_bytes(to.add(known), 0, size - known) };
    }
}
