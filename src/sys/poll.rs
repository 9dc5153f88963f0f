//! Waiting for descriptors, by poll(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// What to wait for on a descriptor.
#[derive(Clone, Copy)]
pub(crate) enum Interest {
    Read,
    Write,
    /// Whichever comes first.
    #[cfg(feature = "http2")]
    Both,
}

/// A descriptor to wait for, and whether it has become ready.
#[repr(transparent)]
pub(crate) struct Entry(libc::pollfd);

impl Entry {
    pub(crate) fn new(fd: BorrowedFd<'_>, interest: Interest) -> Entry {
        let events = match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
            #[cfg(feature = "http2")]
            Interest::Both => libc::POLLIN | libc::POLLOUT,
        };
        Entry(libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 })
    }

    /// What is waited for; epoll(7) has the same numbers.
    pub(super) fn events(&self) -> u32 {
        self.0.events.cast_unsigned().into()
    }

    /// The descriptor.
    pub(super) fn fd(&self) -> RawFd {
        self.0.fd
    }

    /// Whether the last [`poll`] has found it ready, or broken.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until an entry is ready or the deadline has passed; returns how
/// many are ready, zero for the deadline. Signals do not end the wait.
pub(crate) fn poll(
    entries: &mut [Entry],
    deadline: Option<Instant>,
) -> io::Result<usize> {
    loop {
        let timeout = match deadline {
            None => -1,
            Some(deadline) => milliseconds_until(deadline),
        };
        let count = entries.len() as libc::nfds_t;
        // SAFETY: the pointer and the count are those of a live slice, whose
        // elements are `pollfd` and nothing else.
        let ready =
            unsafe { libc::poll(entries.as_mut_ptr().cast(), count, timeout) };
        if ready > 0 {
            return Ok(ready as usize);
        }
        if ready == 0 {
            // A deadline further off than poll can count is waited for in
            // several steps.
            if deadline.is_none_or(|deadline| Instant::now() < deadline) {
                continue;
            }
            return Ok(0);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Rounded up, so that a wait does not end before its deadline.
pub(super) fn milliseconds_until(deadline: Instant) -> libc::c_int {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = left.saturating_add(Duration::from_nanos(999_999));
    left.as_millis().try_into().unwrap_or(libc::c_int::MAX)
}
