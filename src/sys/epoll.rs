//! Waiting for many descriptors, by epoll(7), and for a time, by timerfd(2).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::poll::milliseconds_until;
use super::{Entry, Interest, process_id};

/// A set of descriptors. A child of the process shares it: what a child takes
/// out of its set is out of its parent's.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
    process_id: u32,
}

/// A descriptor in the set, with a number that tells it from the others; it is
/// taken out when this is dropped, which comes before it is closed. A child
/// that has it open, too, would keep it in the set otherwise.
#[derive(Debug)]
pub(crate) struct Registration {
    epoll: Arc<Epoll>,
    fd: RawFd,
    events: u32,
}

/// What a wait has brought, and room for it.
#[derive(Debug, Default)]
pub(crate) struct Events(Vec<libc::epoll_event>);

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: epoll_create1(2) takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll { fd, process_id: process_id() })
    }

    /// Puts a descriptor into the set that stays for as long as the set does.
    pub(crate) fn add(&self, entry: &Entry, token: u64) -> io::Result<()> {
        let mut event =
            libc::epoll_event { events: entry.events(), u64: token };
        self.control(libc::EPOLL_CTL_ADD, entry.fd(), &raw mut event)
    }

    fn control(
        &self,
        what: libc::c_int,
        fd: RawFd,
        event: *mut libc::epoll_event,
    ) -> io::Result<()> {
        let set = self.fd.as_raw_fd();
        // SAFETY: the event is a live local of the caller, or NULL where it is
        // not looked at; a number that is no descriptor's is an error.
        match unsafe { libc::epoll_ctl(set, what, fd, event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until a descriptor is ready or the deadline has passed. A
    /// deadline far away, or a signal, may end it before.
    pub(crate) fn wait(
        &self,
        events: &mut Events,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let timeout = deadline.map_or(-1, milliseconds_until);
        let room = &mut events.0;
        room.clear();
        room.reserve(Events::MOST);
        // SAFETY: the vector has room for that many.
        let count = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                room.as_mut_ptr(),
                Events::MOST as libc::c_int,
                timeout,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(()),
                _ => Err(error),
            };
        }
        // SAFETY: the system has written that many, and there was room.
        unsafe { room.set_len(count as usize) };
        Ok(())
    }

    /// Readable while a wait would bring something.
    pub(crate) fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    fn belongs_to_parent_process(&self) -> bool {
        self.process_id != process_id()
    }
}

impl Registration {
    pub(crate) fn new(
        epoll: &Arc<Epoll>,
        entry: &Entry,
        token: u64,
    ) -> io::Result<Registration> {
        epoll.add(entry, token)?;
        let (epoll, events) = (epoll.clone(), entry.events());
        Ok(Registration { epoll, fd: entry.fd(), events })
    }

    /// Whether what is waited for is that of the entry.
    pub(crate) fn is_for(&self, entry: &Entry) -> bool {
        self.events == entry.events()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if !self.epoll.belongs_to_parent_process() {
            let nothing = ptr::null_mut();
            let _ = self.epoll.control(libc::EPOLL_CTL_DEL, self.fd, nothing);
        }
    }
}

impl Events {
    /// What a wait brings at most; the rest comes with the next.
    const MOST: usize = 256;

    /// The numbers of the descriptors.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|event| event.u64)
    }
}

/// A descriptor that becomes readable at a time.
#[derive(Debug)]
pub(crate) struct Timer(File);

impl Timer {
    pub(crate) fn new() -> io::Result<Timer> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: timerfd_create(2) takes no pointers.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Timer(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Readable from `time` on, or never.
    pub(crate) fn set(&self, time: Option<Instant>) {
        /// What 32 bits can hold; it is set anew then.
        const MOST: Duration = Duration::from_secs(i32::MAX as u64);

        let nothing = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let left = time.map(|time| {
            let left = time.saturating_duration_since(Instant::now());
            // Zero would be never.
            left.clamp(Duration::from_nanos(1), MOST)
        });
        let value = left.map_or(nothing, |left| libc::timespec {
            tv_sec: left.as_secs() as _,
            tv_nsec: left.subsec_nanos() as _,
        });
        let time = libc::itimerspec { it_interval: nothing, it_value: value };
        let fd = self.0.as_raw_fd();
        // SAFETY: a live local; the old time is not wanted.
        unsafe {
            libc::timerfd_settime(fd, 0, &raw const time, ptr::null_mut());
        }
    }

    pub(crate) fn clear(&self) {
        // It fails only if there is nothing to clear.
        let _ = (&self.0).read(&mut [0; 8]);
    }

    /// An entry to wait for it with.
    pub(crate) fn entry(&self) -> Entry {
        Entry::new(self.0.as_fd(), Interest::Read)
    }
}
