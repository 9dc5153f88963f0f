//! Waiting, and what ends it: blocking code is given how long it may wait,
//! and an interrupt that ends its waits before their time.

use std::fmt;
use std::io;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::sys::{self, Entry, Wake};

/// Ends the waits of an attempt to connect.
pub(crate) trait Interrupt: fmt::Debug + Send + Sync {
    /// Whether the attempt has to be given up.
    fn is_raised(&self) -> bool;
    /// Readable from the moment that the interrupt is raised. Whoever else is
    /// to wake the attempt, so that it looks again, may write to it, too.
    fn wake(&self) -> &Arc<Wake>;
    /// What says that it is raised to those who know nothing else of it, if an
    /// attempt may be under way that nobody waits for any more.
    fn flag(&self) -> Option<Arc<AtomicBool>> {
        None
    }
}

/// The interrupt of one attempt, which somebody makes for a loop. To raise it
/// waits for nobody; it has a descriptor only while the attempt is under way.
#[derive(Debug, Default)]
pub(crate) struct Recall {
    raised: Arc<AtomicBool>,
    /// `wake` is set.
    armed: AtomicBool,
    wake: OnceLock<Arc<Wake>>,
}

impl Recall {
    /// The attempt begins.
    pub(crate) fn arm(&self) -> io::Result<()> {
        // By one thread only: the one that makes the attempt.
        let _ = self.wake.set(Arc::new(Wake::new()?));
        self.armed.swap(true, SeqCst);
        Ok(())
    }

    /// Gives the attempt up.
    pub(crate) fn raise(&self) {
        self.raised.store(true, SeqCst);
        // One that has yet to begin looks before it waits. Read by a write, as
        // `armed` is written, so that one of the two sees the other.
        if self.armed.fetch_or(false, SeqCst)
            && let Some(wake) = self.wake.get()
            && !wake.belongs_to_parent_process()
        {
            wake.set();
        }
    }
}

impl Interrupt for Recall {
    fn is_raised(&self) -> bool {
        self.raised.load(SeqCst)
    }

    fn wake(&self) -> &Arc<Wake> {
        self.wake.get().expect("armed before the attempt")
    }

    fn flag(&self) -> Option<Arc<AtomicBool>> {
        Some(self.raised.clone())
    }
}

/// When a time is over that begins now. Without one it is never, and so for one
/// that is longer than the clock can count.
pub(crate) fn deadline(time: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(time?)
}

/// How long blocking code may wait: until a deadline, and never past an
/// interrupt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until<'a> {
    interrupt: &'a dyn Interrupt,
    deadline: Option<Instant>,
}

/// Why a wait ended without anything being ready.
#[derive(Debug)]
pub(crate) enum Unready {
    Deadline,
    Interrupted,
    /// The system cannot wait.
    System(io::Error),
}

/// The interrupt, where errors are those of reading and writing.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl<'a> Until<'a> {
    pub(crate) fn new(
        interrupt: &'a dyn Interrupt,
        deadline: Option<Instant>,
    ) -> Until<'a> {
        Until { interrupt, deadline }
    }

    /// The same interrupt, with a deadline of its own.
    pub(crate) fn with_deadline(self, deadline: Option<Instant>) -> Until<'a> {
        Until { deadline, ..self }
    }

    /// At most until `end`.
    pub(crate) fn at_most(self, end: Instant) -> Until<'a> {
        let deadline = self.deadline.map_or(end, |own| own.min(end));
        self.with_deadline(Some(deadline))
    }

    /// Whether the deadline has passed.
    pub(crate) fn has_passed(self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Fails if the interrupt is raised or the deadline has passed. For reads
    /// that may never have to wait, so that a peer that sends without pause
    /// outlasts neither a close nor a timeout.
    pub(crate) fn check(self) -> Result<(), Unready> {
        if self.interrupt.is_raised() {
            return Err(Unready::Interrupted);
        }
        match self.has_passed() {
            true => Err(Unready::Deadline),
            false => Ok(()),
        }
    }

    /// Waits until the descriptor is ready.
    pub(crate) fn wait(self, entry: Entry) -> Result<(), Unready> {
        self.wait_at_end(&mut [entry, self.interrupt.wake().entry()])
    }

    /// Waits until one of the descriptors is ready.
    pub(crate) fn wait_any(
        self,
        entries: &mut Vec<Entry>,
    ) -> Result<(), Unready> {
        entries.push(self.interrupt.wake().entry());
        let waited = self.wait_at_end(entries);
        entries.pop();
        waited
    }

    /// Waits until `ready` says so, which is asked again each time that
    /// [`Until::wake`] has been written to.
    pub(crate) fn wait_until(
        self,
        ready: impl Fn() -> bool,
    ) -> Result<(), Unready> {
        let mut entry = [self.wake().entry()];
        loop {
            if self.interrupt.is_raised() {
                return Err(Unready::Interrupted);
            }
            if ready() {
                return Ok(());
            }
            let woken = sys::poll(&mut entry, self.deadline);
            // By the clock, should it be readable again and again.
            if woken.map_err(Unready::System)? == 0 || self.has_passed() {
                return Err(Unready::Deadline);
            }
            self.wake().clear();
        }
    }

    /// As [`Interrupt::flag`].
    pub(crate) fn flag(&self) -> Option<Arc<AtomicBool>> {
        self.interrupt.flag()
    }

    /// Wakes the one who waits.
    pub(crate) fn wake(&self) -> &'a Arc<Wake> {
        self.interrupt.wake()
    }

    /// Waits for nothing but the deadline.
    pub(crate) fn sleep(self) -> Unready {
        let mut entry = [self.interrupt.wake().entry()];
        match self.wait_at_end(&mut entry) {
            Err(unready) => unready,
            Ok(()) => unreachable!("nothing else is waited for"),
        }
    }

    /// Waits; the last entry is the interrupt's.
    fn wait_at_end(self, entries: &mut [Entry]) -> Result<(), Unready> {
        loop {
            if self.interrupt.is_raised() {
                return Err(Unready::Interrupted);
            }
            let ready = sys::poll(entries, self.deadline);
            match ready.map_err(Unready::System)? {
                0 => return Err(Unready::Deadline),
                _ if !entries.last().is_some_and(Entry::is_ready) => {
                    return Ok(());
                }
                // To look, or for an interrupt that was met already.
                _ => {
                    self.interrupt.wake().clear();
                }
            }
            // By the clock, should it be readable again and again.
            if self.has_passed() {
                return Err(Unready::Deadline);
            }
        }
    }
}

impl From<Unready> for io::Error {
    fn from(unready: Unready) -> io::Error {
        match unready {
            Unready::Deadline => io::ErrorKind::TimedOut.into(),
            Unready::Interrupted => io::Error::other(Interrupted),
            Unready::System(cause) => cause,
        }
    }
}

impl Interrupted {
    /// Whether that is what ended a read or a write.
    pub(crate) fn is(cause: &io::Error) -> bool {
        cause.get_ref().is_some_and(|inner| inner.is::<Interrupted>())
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Readable whenever it is waited for, and never raised.
    #[derive(Debug)]
    struct Stray(Arc<Wake>);

    impl Interrupt for Stray {
        fn is_raised(&self) -> bool {
            self.0.set();
            false
        }

        fn wake(&self) -> &Arc<Wake> {
            &self.0
        }
    }

    #[test]
    fn a_deadline_comes_whatever_wakes() {
        let stray = Stray(Arc::new(Wake::new().unwrap()));
        let waits: [fn(Until<'_>) -> Unready; 2] = [
            |until| until.sleep(),
            |until| until.wait_until(|| false).unwrap_err(),
        ];
        for wait in waits {
            let deadline = Instant::now() + Duration::from_millis(50);
            let waited = wait(Until::new(&stray, Some(deadline)));
            assert!(matches!(waited, Unready::Deadline), "{waited:?}");
            assert!(Instant::now() >= deadline);
        }
    }
}
