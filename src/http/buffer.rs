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

    const ALL: usize = Buffer::PAGE + Buffer::SIZE;

    fn new() -> Buffer {
        Buffer(vec![0; Buffer::ALL])
    }

    pub(crate) fn take() -> Buffer {
        POOL.take().unwrap_or_else(Buffer::new)
    }

    /// The same, unless there is no memory for it.
    pub(crate) fn try_take() -> Option<Buffer> {
        let new = || memory::is_there(Buffer::ALL).then(Buffer::new);
        POOL.take().or_else(new)
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
