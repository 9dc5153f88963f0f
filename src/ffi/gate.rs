//! What one thread at a time may use, while others are turned away.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

/// A lock that nobody waits for. To leave takes no instruction that locks the
/// bus, as std's Mutex, which has to wake somebody, needs for it.
#[derive(Default)]
pub(super) struct Gate<T> {
    is_taken: AtomicBool,
    value: UnsafeCell<T>,
}

/// The thread that is inside.
pub(super) struct Inside<'a, T>(&'a Gate<T>);

// SAFETY: only the thread that is inside has a reference to the value.
unsafe impl<T: Send> Sync for Gate<T> {}

impl<T> Gate<T> {
    /// None if another thread is inside.
    #[inline]
    pub(super) fn enter(&self) -> Option<Inside<'_, T>> {
        // Sees what was done before the other left.
        let is_taken = self.is_taken.swap(true, Acquire);
        (!is_taken).then(|| Inside(self))
    }
}

impl<T> Drop for Inside<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.is_taken.store(false, Release);
    }
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: who is inside is the only one.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Inside<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0.value.get() }
    }
}
