//! Pools of large things that all sources share: memory that was never used
//! before is slow.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is spare, up to a few pieces.
pub(crate) struct Pool<T> {
    // Held for a moment, and no wait depends on it: not one of the locks that
    // models/ looks into.
    spare: Mutex<Vec<T>>,
    most: usize,
}

impl<T> Pool<T> {
    /// Keeps so many at most. More threads than that seldom want one at the
    /// same moment.
    pub(crate) const fn new(most: usize) -> Pool<T> {
        Pool { spare: Mutex::new(Vec::new()), most }
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.lock().pop()
    }

    /// Keeps `piece` for the next, unless there are enough.
    pub(crate) fn give_back(&self, piece: T) {
        let mut spare = self.lock();
        if spare.len() < self.most {
            spare.push(piece);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
