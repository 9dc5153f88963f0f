//! The ready state and what other threads wish: to close, to connect anew.
//!
//! Everything is in one word, so that the source's thread asks one question
//! before each callback: has anything been wished? A descriptor, readable
//! after each wish, wakes the thread wherever it waits. The word is written
//! first and the descriptor after it; the thread clears the descriptor first
//! and reads the word after it: no wish is lost.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Instant;

use crate::sys::{self, Interest};

/// The ready state of a source (R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ReadyState {
    /// Not connected yet, connecting, or waiting to reconnect.
    Connecting = 0,
    /// The response was accepted; events are dispatched as they come.
    Open = 1,
    /// Closed by the program, or the connection was failed. It stays so.
    Closed = 2,
}

impl ReadyState {
    pub(crate) fn from_raw(number: u8) -> ReadyState {
        match number {
            CONNECTING => ReadyState::Connecting,
            OPEN => ReadyState::Open,
            _ => ReadyState::Closed,
        }
    }
}

const CONNECTING: u8 = 0;
const OPEN: u8 = 1;
const CLOSED: u8 = 2;
/// The program wants a new connection.
const RECONNECT: u8 = 4;
/// The program has closed the source.
const CLOSED_BY_PROGRAM: u8 = 8;

const READY_STATE: u8 = 3;

/// The ready state of a source, shared by all threads.
#[derive(Debug, Default)]
pub(crate) struct State {
    word: AtomicU8,
    wake: OnceLock<Wake>,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    Ready,
    Deadline,
    Interrupted,
}

impl State {
    /// Makes the descriptor; before the source's thread starts.
    pub(crate) fn arm(&self) -> io::Result<()> {
        if self.wake.get().is_none() {
            // Armed by one thread only: the one that connects.
            let _ = self.wake.set(Wake::new()?);
        }
        Ok(())
    }

    pub(crate) fn ready_state(&self) -> ReadyState {
        ReadyState::from_raw(self.word.load(SeqCst) & READY_STATE)
    }

    /// Whether the source's thread has to leave what it is doing. True from
    /// the moment a wish was made, for ever once closed.
    pub(crate) fn interrupted(&self) -> bool {
        self.word.load(SeqCst) >= CLOSED
    }

    /// Whether the program has closed the source: no callback begins any
    /// more, `on_close` excepted.
    pub(crate) fn closed_by_program(&self) -> bool {
        self.word.load(SeqCst) & CLOSED_BY_PROGRAM != 0
    }

    /// The program's close. Legal from any thread, twice, and never waits.
    pub(crate) fn close(&self) {
        let before = self.word.swap(CLOSED | CLOSED_BY_PROGRAM, SeqCst);
        if before & CLOSED_BY_PROGRAM == 0 {
            self.signal();
        }
    }

    /// The program's wish to drop the connection and make a new one at once.
    /// The source is CONNECTING from here on; false if it is CLOSED.
    pub(crate) fn reconnect(&self) -> bool {
        let wished = self.change(|_| Some(CONNECTING | RECONNECT));
        if wished {
            self.signal();
        }
        wished
    }

    /// The thread's: takes the wish to reconnect, if there is one.
    pub(crate) fn take_reconnect(&self) -> bool {
        self.change(|word| (word & RECONNECT != 0).then_some(CONNECTING))
    }

    /// The thread's: the connection is announced (R25); false if something
    /// else was wished meanwhile.
    pub(crate) fn open(&self) -> bool {
        self.change(|word| (word == CONNECTING).then_some(OPEN))
    }

    /// The thread's: the connection is to be reestablished (R26).
    pub(crate) fn connecting(&self) -> bool {
        self.change(|word| (word <= OPEN).then_some(CONNECTING))
    }

    /// The thread's: the connection is failed (R28). A wish to reconnect
    /// goes before it.
    pub(crate) fn fail(&self) -> bool {
        self.change(|word| (word <= OPEN).then_some(CLOSED))
    }

    /// Changes the word as `to` says, unless the source is CLOSED.
    fn change(&self, to: impl Fn(u8) -> Option<u8>) -> bool {
        self.word
            .fetch_update(SeqCst, SeqCst, |word| {
                if word & READY_STATE == CLOSED { None } else { to(word) }
            })
            .is_ok()
    }

    /// The entry that the first place of [`State::wait`] is for.
    pub(crate) fn entry(&self) -> libc::pollfd {
        self.wake().entry()
    }

    /// Waits until an entry is ready, the deadline has passed, or another
    /// thread wishes something. The first entry is the state's own.
    pub(crate) fn wait(
        &self,
        entries: &mut [libc::pollfd],
        deadline: Option<Instant>,
    ) -> io::Result<Waited> {
        loop {
            if self.interrupted() {
                return Ok(Waited::Interrupted);
            }
            if sys::poll(entries, deadline)? == 0 {
                return Ok(Waited::Deadline);
            }
            if entries[0].revents == 0 {
                return Ok(Waited::Ready);
            }
            self.wake().clear();
        }
    }

    /// Waits until `ready` says so, which is asked again after each
    /// [`State::signal`], or until another thread wishes something.
    pub(crate) fn wait_until(&self, ready: impl Fn() -> bool) {
        let mut entries = [self.entry()];
        while !self.interrupted() && !ready() {
            if sys::poll(&mut entries, None).is_err() {
                return;
            }
            self.wake().clear();
        }
    }

    /// Whether this process was forked from the one that connected: the
    /// source's thread is not here, and what it holds is not ours to wake.
    pub(crate) fn belongs_to_parent_process(&self) -> bool {
        self.wake.get().is_some_and(Wake::belongs_to_parent_process)
    }

    fn wake(&self) -> &Wake {
        self.wake.get().expect("armed before the thread starts")
    }

    /// Wakes the source's thread, to look again.
    pub(crate) fn signal(&self) {
        // A source that was never connected has nobody to wake.
        if let Some(wake) = self.wake.get()
            && !wake.belongs_to_parent_process()
        {
            wake.set();
        }
    }
}

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
        let file = File::from(sys::eventfd()?);
        Ok(Wake { file, process_id: sys::process_id() })
    }

    /// Makes it readable.
    pub(crate) fn set(&self) {
        // It fails only at 2^64 - 1 signals, and is readable then.
        let _ = (&self.file).write(&1_u64.to_ne_bytes());
    }

    pub(crate) fn clear(&self) {
        // It fails only if there is nothing to clear.
        let _ = (&self.file).read(&mut [0; 8]);
    }

    /// An entry to wait for it with.
    pub(crate) fn entry(&self) -> libc::pollfd {
        sys::entry(self.file.as_fd(), Interest::Read)
    }

    pub(crate) fn belongs_to_parent_process(&self) -> bool {
        self.process_id != sys::process_id()
    }
}
