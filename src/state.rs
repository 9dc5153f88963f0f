//! The ready state, and what other threads have asked for: to close, to
//! reconnect.
//!
//! Everything is in one word, so that the source's thread asks one question
//! before each callback: is a request pending? A descriptor, readable after
//! each request, wakes the thread wherever it waits; where a loop drives the
//! source, a bell does. The word is written first
//! and the descriptor after it; the thread clears the descriptor first and
//! reads the word after it, so that no request is lost.
//!
//! All accesses are SeqCst: the word is one location of several that threads
//! agree about (the queue's descriptor, the listeners' version), and on the
//! processors in use its loads cost what relaxed ones cost.

use std::sync::OnceLock;

use crate::inbox::Bell;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU8, Ordering::SeqCst};
use crate::sys::{self, Wake};
use crate::wait::Interrupt;

/// The ready state of a source (R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ReadyState {
    /// The source is not connected yet, is connecting, or waits to reconnect.
    Connecting = 0,
    /// The response was accepted; events are dispatched as they come.
    Open = 1,
    /// The program closed the source, or the connection was failed. This is
    /// final.
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
    alarm: OnceLock<Alarm>,
}

/// What wakes whoever drives the source.
#[derive(Debug)]
enum Alarm {
    /// The source's own thread.
    Thread(Arc<Wake>),
    /// A loop.
    Loop(Box<Bell>),
}

impl Alarm {
    fn ring(&self) {
        match self {
            Alarm::Thread(wake) => wake.set(),
            Alarm::Loop(bell) => bell.ring(),
        }
    }

    fn belongs_to_parent_process(&self) -> bool {
        match self {
            Alarm::Thread(wake) => wake.belongs_to_parent_process(),
            Alarm::Loop(bell) => bell.belongs_to_parent_process(),
        }
    }
}

impl State {
    /// The source's thread is woken by this; it has yet to wait for the first
    /// time.
    pub(crate) fn arm(&self, wake: Arc<Wake>) {
        // Armed once: by the thread that connects.
        let _ = self.alarm.set(Alarm::Thread(wake));
    }

    /// A loop is woken by this.
    pub(crate) fn arm_loop(&self, bell: Bell) {
        let _ = self.alarm.set(Alarm::Loop(Box::new(bell)));
    }

    pub(crate) fn ready_state(&self) -> ReadyState {
        ReadyState::from_raw(self.word.load(SeqCst) & READY_STATE)
    }

    /// Whether the source's thread must stop what it is doing: a close or a
    /// reconnect is pending, or the source is CLOSED.
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

    /// The program wants the connection dropped and a new one made at once.
    /// The source is CONNECTING from here on; false if it is CLOSED.
    pub(crate) fn reconnect(&self) -> bool {
        let pending = self.change(|_| Some(CONNECTING | RECONNECT));
        if pending {
            self.signal();
        }
        pending
    }

    /// The thread's: takes the pending reconnect, if there is one.
    pub(crate) fn take_reconnect(&self) -> bool {
        self.change(|word| (word & RECONNECT != 0).then_some(CONNECTING))
    }

    /// The thread's: the connection is announced (R25); false if a close or a
    /// reconnect is pending.
    pub(crate) fn open(&self) -> bool {
        self.change(|word| (word == CONNECTING).then_some(OPEN))
    }

    /// The thread's: the connection is to be reestablished (R26).
    pub(crate) fn connecting(&self) -> bool {
        self.change(|word| (word <= OPEN).then_some(CONNECTING))
    }

    /// The thread's: the connection is failed (R28). A pending reconnect
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

    /// Waits until `ready` says so, which is asked again after each
    /// [`State::signal`], or until a close or a reconnect is pending.
    pub(crate) fn wait_until(&self, ready: impl Fn() -> bool) {
        let mut entries = [self.wake().entry()];
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
        self.alarm.get().is_some_and(Alarm::belongs_to_parent_process)
    }

    /// Wakes who drives the source, to look again.
    pub(crate) fn signal(&self) {
        // A source that was never connected has nobody to wake.
        if let Some(alarm) = self.alarm.get()
            && !alarm.belongs_to_parent_process()
        {
            alarm.ring();
        }
    }
}

/// For the thread of one source: whatever its thread does, a pending close or
/// reconnect ends it.
impl Interrupt for State {
    fn is_raised(&self) -> bool {
        self.interrupted()
    }

    fn wake(&self) -> &Arc<Wake> {
        match self.alarm.get() {
            Some(Alarm::Thread(wake)) => wake,
            _ => unreachable!("armed before the thread waits"),
        }
    }
}
