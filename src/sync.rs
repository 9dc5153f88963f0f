//! Locks, in one way.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock. A panic with a lock held leaves nothing half done: each is
/// held for one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
