//! Locks and atomics, from one place: `models/` has another, which takes the
//! threads that use them through every order.

use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, atomic};

/// Takes the lock. A panic with a lock held leaves nothing half done: each is
/// held for one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, unless somebody has it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What is shared until somebody changes it, who has a copy from then on.
pub(crate) struct CopyOnWrite<T>(Arc<T>);

impl<T: Clone> CopyOnWrite<T> {
    pub(crate) fn new(value: Arc<T>) -> CopyOnWrite<T> {
        CopyOnWrite(value)
    }

    pub(crate) fn share(self) -> Arc<T> {
        self.0
    }
}

impl<T> Deref for CopyOnWrite<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for CopyOnWrite<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}
