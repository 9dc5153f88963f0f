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

use std::os::fd::RawFd;
use std::sync::OnceLock;

use crate::blocked::Blocked;
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
    /// What the source's thread reads.
    blocked: Blocked,
}

/// A socket whose reads end when a close or a reconnect is pending, until this
/// is dropped, which comes before the socket is closed.
#[derive(Debug)]
pub(crate) struct Exposed(Arc<State>);

/// What wakes whoever drives the source.
#[derive(Debug)]
enum Alarm {
    /// The source's own thread.
    Thread(Arc<Wake>),
    /// A loop.
    Loop(Bell),
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
        let _ = self.alarm.set(Alarm::Loop(bell));
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
        if !self.closed_by_program() {
            self.interrupt(|| {
                self.word.swap(CLOSED | CLOSED_BY_PROGRAM, SeqCst);
                true
            });
        }
    }

    /// The program wants the connection dropped and a new one made at once.
    /// The source is CONNECTING from here on; false if it is CLOSED.
    pub(crate) fn reconnect(&self) -> bool {
        if self.word.load(SeqCst) & RECONNECT != 0 {
            // The attempt that satisfies one satisfies both.
            return true;
        }
        self.interrupt(|| self.change(|_| Some(CONNECTING | RECONNECT)))
    }

    /// Makes a request, and ends whatever the source's thread does. `request`
    /// says whether there is one.
    fn interrupt(&self, request: impl FnOnce() -> bool) -> bool {
        // Held before the request is made: the thread may satisfy that at once,
        // and its next connection is no business of this one.
        let held = self.blocked.hold();
        let made = request();
        if let Some(socket) = held.socket()
            && made
            && !self.belongs_to_parent_process()
        {
            sys::end_reads(socket);
        }
        drop(held);
        // In any case: the thread may wait for that.
        self.signal();
        made
    }

    /// Waits until nobody holds the socket. That takes others no longer than a
    /// system call.
    fn wait_for_holders(&self) {
        let mut entries = [self.wake().entry()];
        while self.blocked.is_held() && !self.belongs_to_parent_process() {
            // Where this cannot wait, it asks again and again.
            let _ = sys::poll(&mut entries, None);
            self.wake().clear();
        }
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

impl Exposed {
    /// The thread's: requests of other threads end reads of `socket`, those that
    /// have been made already excepted.
    pub(crate) fn new(state: &Arc<State>, socket: RawFd) -> Exposed {
        while !state.blocked.put(socket) {
            state.wait_for_holders();
        }
        Exposed(state.clone())
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        self.0.blocked.remove();
        self.0.wait_for_holders();
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
