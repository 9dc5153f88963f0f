//! Receive buffers, lent to whoever reads.

use crate::memory;
use crate::pool::Pool;

static POOL: Pool<Buffer> = Pool::new(8);

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

    pub(crate) fn take() -> Buffer {
        let spare = POOL.take();
        spare.unwrap_or_else(|| Buffer(vec![0; Buffer::PAGE + Buffer::SIZE]))
    }

    /// The same, unless there is no memory for it.
    pub(crate) fn try_take() -> Option<Buffer> {
        let new = || {
            let size = Buffer::PAGE + Buffer::SIZE;
            memory::is_there(size).then(Buffer::take)
        };
        POOL.take().map_or_else(new, Some)
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let start = self.0.as_ptr().align_offset(Buffer::PAGE);
        &mut self.0[start..][..Buffer::SIZE]
    }

    pub(crate) fn give_back(self) {
        POOL.give_back(self);
    }

    /// Releases those that nobody uses.
    pub(crate) fn empty_pool() {
        POOL.empty();
    }
}
