//! A source's place in a loop: the life, in the hands of one thread at a time,
//! that of the loop or one that frees the source.

use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Mutex, lock};

/// Where a loop finds a life, until it is over or somebody has taken it.
#[derive(Debug)]
pub(crate) struct Seat<T> {
    /// Held for a turn, callbacks included: who frees the source from outside
    /// waits for them, and for those of no other source.
    life: Mutex<Option<T>>,
    /// The thread that a callback of the source may be running on; 0 if none
    /// does.
    by: AtomicUsize,
}

impl<T> Seat<T> {
    pub(crate) fn new(life: T) -> Seat<T> {
        Seat { life: Mutex::new(Some(life)), by: AtomicUsize::new(0) }
    }

    /// Whether a callback of the source is under way on this thread.
    pub(crate) fn is_in_turn_on(&self, thread: usize) -> bool {
        self.by.load(SeqCst) == thread
    }

    /// A turn of the life, on this thread; None if it is not here any more. It
    /// leaves the seat if `is_over` says so of what the turn has returned.
    pub(crate) fn turn<R>(
        &self,
        thread: usize,
        turn: impl FnOnce(&mut T) -> R,
        is_over: impl FnOnce(&R) -> bool,
    ) -> Option<R> {
        let mut life = lock(&self.life);
        self.by.store(thread, SeqCst);
        let result = life.as_mut().map(turn);
        let over = result.as_ref().is_some_and(is_over);
        let left = if over { life.take() } else { None };
        self.by.store(0, SeqCst);
        drop(life);
        // With the lock released: it may be the last of the source.
        drop(left);
        result
    }

    /// Takes the life out, for good, and does the last of it on this thread;
    /// waits for the turn that is under way.
    pub(crate) fn take(&self, thread: usize, last: impl FnOnce(&mut T)) {
        let taken = lock(&self.life).take();
        if let Some(mut life) = taken {
            self.by.store(thread, SeqCst);
            last(&mut life);
            self.by.store(0, SeqCst);
        }
    }
}
