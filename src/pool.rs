//! Pools of large things that all sources share: memory that was never used
//! before is slow. Nothing is kept when no source is connected.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

static USERS: AtomicUsize = AtomicUsize::new(0);

/// One of those for whom pools are kept: a source that is connected.
pub(crate) struct User(());

impl User {
    pub(crate) fn new() -> User {
        USERS.fetch_add(1, SeqCst);
        User(())
    }

    /// Leaves; true if nobody else is there, so that the pools are to be
    /// emptied.
    pub(crate) fn leaves_last(self) -> bool {
        USERS.fetch_sub(1, SeqCst) == 1
    }
}

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

    /// Keeps `piece` for the next, unless there are enough, or nobody is there
    /// to take it.
    pub(crate) fn give_back(&self, piece: T) {
        let mut spare = self.lock();
        // Looked at with the lock held: the last to leave empties the pool
        // after it has left.
        if spare.len() < self.most && USERS.load(SeqCst) > 0 {
            spare.push(piece);
        }
    }

    /// Releases all pieces.
    pub(crate) fn empty(&self) {
        let pieces = mem::take(&mut *self.lock());
        drop(pieces);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
