//! The socket that a source's thread reads, for the threads that end the read.
//!
//! A number alone would not do: between a look at it and shutdown(2) the
//! thread might close the socket, and the number be another file's. So whoever
//! ends a read first says that the socket is held, and the thread closes none
//! that is. It puts none here that is held either: who holds the socket of one
//! connection does not end reads of the next.

use std::os::fd::RawFd;

use crate::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The socket, if there is one, and by how many it is held.
// One above the socket's number, and 2^32 times the holders. A signal handler
// may be one of those: no lock is taken, and nobody but the thread waits.
#[derive(Debug, Default)]
pub(crate) struct Blocked(AtomicU64);

const HOLDER: u64 = 1 << u32::BITS;

impl Blocked {
    /// The thread's: this is the socket, unless somebody holds another, or
    /// none.
    pub(crate) fn put(&self, socket: RawFd) -> bool {
        let socket = u64::from(socket.cast_unsigned()) + 1;
        self.0.compare_exchange(0, socket, SeqCst, SeqCst).is_ok()
    }

    /// The thread's: there is no socket, but who holds it still has it.
    pub(crate) fn remove(&self) {
        self.0.fetch_and(!(HOLDER - 1), SeqCst);
    }

    /// Whether somebody holds the socket, or the place for one.
    pub(crate) fn is_held(&self) -> bool {
        self.0.load(SeqCst) >= HOLDER
    }

    /// From here on, until what is returned is dropped, the socket stays open,
    /// and no other takes its place.
    pub(crate) fn hold(&self) -> Held<'_> {
        let socket = self.0.fetch_add(HOLDER, SeqCst) & (HOLDER - 1);
        let socket = (socket as u32).checked_sub(1);
        Held { blocked: self, socket: socket.map(u32::cast_signed) }
    }
}

/// The socket is held.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    blocked: &'a Blocked,
    socket: Option<RawFd>,
}

impl Held<'_> {
    /// The socket, if there is one.
    pub(crate) fn socket(&self) -> Option<RawFd> {
        self.socket
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.blocked.0.fetch_sub(HOLDER, SeqCst);
    }
}
