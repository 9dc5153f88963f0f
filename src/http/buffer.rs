//! Receive buffers, lent to whoever reads.

use std::sync::{Mutex, MutexGuard};

use crate::sync::lock;

/// A receive buffer, from a pool that all sources share: a source that
/// waits for bytes holds none.
pub(crate) struct Buffer(Vec<u8>);

impl Buffer {
    /// Large: with every read the system does more than to copy. What is never
    /// filled takes no memory.
    const SIZE: usize = 512 * 1024;
    /// Bytes come to the beginning of a page: some processors copy at half
    /// their speed to a place a few bytes further into its page than that of
    /// the original.
    const PAGE: usize = 4096;
    /// More threads than this seldom read at the same moment.
    const POOL_SIZE: usize = 8;

    pub(crate) fn take() -> Buffer {
        let spare = Buffer::pool().pop();
        spare.unwrap_or_else(|| Buffer(vec![0; Buffer::PAGE + Buffer::SIZE]))
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let start = self.0.as_ptr().align_offset(Buffer::PAGE);
        &mut self.0[start..][..Buffer::SIZE]
    }

    pub(crate) fn give_back(self) {
        let mut pool = Buffer::pool();
        if pool.len() < Buffer::POOL_SIZE {
            pool.push(self);
        }
    }

    fn pool() -> MutexGuard<'static, Vec<Buffer>> {
        static POOL: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());
        lock(&POOL)
    }
}
