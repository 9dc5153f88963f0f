//! The end of a source's life, for those who wait for it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::sync::lock;

/// Whether the source's thread has made its last callback.
#[derive(Default)]
pub(crate) struct End {
    reached: Mutex<bool>,
    changed: Condvar,
}

impl End {
    /// Wakes all who wait, now and later.
    pub(crate) fn reach(&self) {
        *lock(&self.reached) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_reached(&self) -> bool {
        *lock(&self.reached)
    }

    /// Waits for the end; false if the time is over before.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let reached = lock(&self.reached);
        let left = |reached: &mut bool| !*reached;
        match timeout {
            None => {
                let waited = self.changed.wait_while(reached, left);
                *waited.unwrap_or_else(PoisonError::into_inner)
            }
            Some(time) => {
                let waited =
                    self.changed.wait_timeout_while(reached, time, left);
                *waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}
