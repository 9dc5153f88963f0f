//! Locks and atomics, from one place: `models/` has another, which takes the
//! threads that use them through every order.

use std::sync::PoisonError;

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, atomic};

/// Takes the lock. A panic with a lock held leaves nothing half done: each is
/// held for one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
