//! Waking a thread that waits for descriptors, by eventfd(2).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

use super::{Entry, Interest, poll, process_id};

/// A descriptor that one thread makes readable for another, an eventfd. It
/// is shared with the children of the process: a child must not wake its
/// parent's threads.
#[derive(Debug)]
pub(crate) struct Wake {
    file: File,
    process_id: u32,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Wake> {
        let file = File::from(eventfd()?);
        Ok(Wake { file, process_id: process_id() })
    }

    /// Makes it readable.
    pub(crate) fn set(&self) {
        // It fails only at 2^64 - 1 signals, and is readable then.
        let _ = (&self.file).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable; false if it was that.
    pub(crate) fn clear(&self) -> bool {
        // It fails only if there is nothing to clear.
        (&self.file).read(&mut [0; 8]).is_ok()
    }

    /// Whether it is readable.
    pub(crate) fn is_set(&self) -> bool {
        let at_once = Some(Instant::now());
        poll(&mut [self.entry()], at_once).is_ok_and(|ready| ready > 0)
    }

    /// An entry to wait for it with.
    pub(crate) fn entry(&self) -> Entry {
        Entry::new(self.file.as_fd(), Interest::Read)
    }

    /// The descriptor, for the program to wait for.
    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Whether this process was forked from the one that made it.
    pub(crate) fn belongs_to_parent_process(&self) -> bool {
        self.process_id != process_id()
    }
}

/// An eventfd, its count zero.
fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd(2) takes no pointers.
    let fd =
        unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
