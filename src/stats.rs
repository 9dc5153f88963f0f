//! What a source counts: written by its thread, read by any.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The counters of a source.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) bytes: Counter,
    pub(crate) events: Counter,
    pub(crate) comments: Counter,
    pub(crate) connects: Counter,
    pub(crate) reconnects: Counter,
    pub(crate) dropped: Counter,
    /// Milliseconds since 1970; 0 before the first byte.
    pub(crate) last_byte_at: Counter,
    /// Milliseconds from the request to the head of its response.
    pub(crate) time_to_headers: Counter,
}

impl Stats {
    /// Some bytes of a body have come.
    pub(crate) fn received(&self, bytes: usize) {
        if bytes > 0 {
            self.bytes.add(bytes as u64);
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            self.last_byte_at.set(now.unwrap_or_default());
        }
    }
}

/// A number that only one thread writes: an addition needs no lock of the
/// bus, and costs what one to an ordinary number costs.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.store(self.get().wrapping_add(amount), Relaxed);
    }

    pub(crate) fn set(&self, time: Duration) {
        let time = time.as_millis().try_into().unwrap_or(u64::MAX);
        self.0.store(time, Relaxed);
    }
}
