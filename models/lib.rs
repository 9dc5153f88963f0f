//! Every order in which the source's thread and the program's can meet: the
//! library's own code, on threads and atomics of loom. A request that is lost is a
//! thread that waits for ever, which loom calls a deadlock.

#![cfg(test)]
#![allow(dead_code, reason = "the library uses all of it")]

// The library's own files.

#[path = "../src/blocked.rs"]
mod blocked;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/failure.rs"]
mod failure;
#[path = "../src/inbox.rs"]
mod inbox;
#[path = "../src/memory.rs"]
mod memory;
#[path = "../src/parser/mod.rs"]
mod parser;
#[path = "../src/pool.rs"]
mod pool;
#[path = "../src/response.rs"]
mod response;
#[path = "../src/state.rs"]
mod state;
#[path = "../src/url.rs"]
mod url;
#[path = "../src/userinfo.rs"]
mod userinfo;
#[path = "../src/wait.rs"]
mod wait;

#[path = "../src/source/batch.rs"]
mod batch;
#[path = "../src/source/queue.rs"]
mod queue;
#[path = "../src/source/seat.rs"]
mod seat;

mod source {
    pub(crate) use crate::{batch, queue};
}

/// As the library has it, of loom.
mod sync {
    use std::sync::PoisonError;

    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard, atomic};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        mutex.try_lock().ok()
    }
}

/// As the library has it: a descriptor is readable or not.
mod sys {
    use std::io;
    use std::mem;
    use std::os::fd::RawFd;
    use std::time::Instant;

    use loom::sync::{Arc, Condvar, Mutex};

    #[derive(Debug, Clone, Default)]
    struct Readable(Arc<(Mutex<bool>, Condvar)>);

    #[derive(Debug)]
    pub(crate) struct Wake(Readable);

    pub(crate) struct Entry {
        readable: Readable,
        is_ready: bool,
    }

    impl Wake {
        pub(crate) fn new() -> io::Result<Wake> {
            Ok(Wake(Readable::default()))
        }

        pub(crate) fn set(&self) {
            *self.0.0.0.lock().unwrap() = true;
            self.0.0.1.notify_all();
        }

        pub(crate) fn clear(&self) -> bool {
            mem::take(&mut *self.0.0.0.lock().unwrap())
        }

        pub(crate) fn is_set(&self) -> bool {
            *self.0.0.0.lock().unwrap()
        }

        pub(crate) fn entry(&self) -> Entry {
            Entry { readable: self.0.clone(), is_ready: false }
        }

        pub(crate) fn fd(&self) -> RawFd {
            -1
        }

        pub(crate) fn belongs_to_parent_process(&self) -> bool {
            false
        }
    }

    /// A socket that never brings anything, by its number.
    #[derive(Default)]
    struct Socket {
        is_open: Mutex<bool>,
        ended: Readable,
    }

    loom::lazy_static! {
        static ref SOCKETS: [Socket; 2] = Default::default();
    }

    pub(crate) fn open(socket: RawFd) {
        let Socket { is_open, ended } = &SOCKETS[socket as usize];
        *is_open.lock().unwrap() = true;
        *ended.0.0.lock().unwrap() = false;
    }

    /// Waits until somebody ends the read.
    pub(crate) fn read(socket: RawFd) {
        let (ended, changed) = &*SOCKETS[socket as usize].ended.0;
        let mut ended = ended.lock().unwrap();
        while !*ended {
            ended = changed.wait(ended).unwrap();
        }
    }

    pub(crate) fn end_reads(socket: RawFd) {
        let Socket { is_open, ended } = &SOCKETS[socket as usize];
        assert!(*is_open.lock().unwrap(), "another's by now");
        *ended.0.0.lock().unwrap() = true;
        ended.0.1.notify_all();
    }

    pub(crate) fn is_ended(socket: RawFd) -> bool {
        *SOCKETS[socket as usize].ended.0.0.lock().unwrap()
    }

    pub(crate) fn close(socket: RawFd) {
        *SOCKETS[socket as usize].is_open.lock().unwrap() = false;
    }

    impl Entry {
        pub(crate) fn is_ready(&self) -> bool {
            self.is_ready
        }
    }

    /// A deadline has always passed.
    pub(crate) fn poll(
        entries: &mut [Entry],
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        let [entry] = entries else { panic!("one entry") };
        let (readable, changed) = &*entry.readable.0;
        let mut readable = readable.lock().unwrap();
        while !*readable {
            if deadline.is_some() {
                return Ok(0);
            }
            readable = changed.wait(readable).unwrap();
        }
        entry.is_ready = true;
        Ok(1)
    }
}

use std::time::Instant;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use loom::thread;

use error::Error;
use inbox::{Bell, Inbox};
use parser::{Shares, Text};
use seat::Seat;
use source::batch::{Batch, Item};
use source::queue::{Left, Queue, Writer};
use state::{Exposed, ReadyState, State};
use wait::{Recall, Unready, Until};

/// A state, and a thread that does `work` with it, as the source's does.
fn with_thread(
    work: impl Fn(&Arc<State>) + Send + Sync + 'static,
) -> (Arc<State>, thread::JoinHandle<()>) {
    let state = Arc::new(State::default());
    state.arm(Arc::new(sys::Wake::new().unwrap()));
    let own = state.clone();
    (state, thread::spawn(move || work(&own)))
}

fn wait(state: &State) {
    let waited = Until::new(state, None).sleep();
    assert!(matches!(waited, Unready::Interrupted));
}

#[test]
fn a_close_ends_every_wait() {
    loom::model(|| {
        let (state, thread) = with_thread(|state| {
            wait(state);
            assert!(state.closed_by_program());
        });
        state.close();
        thread.join().unwrap();
    });
}

#[test]
fn a_reconnect_is_met_once_and_a_close_after_it() {
    loom::model(|| {
        let met = Arc::new(AtomicU32::new(0));
        let count = met.clone();
        let (state, thread) = with_thread(move |state| {
            while !state.closed_by_program() {
                if state.take_reconnect() {
                    count.fetch_add(1, SeqCst);
                }
                state.open();
                wait(state);
            }
        });
        assert!(state.reconnect());
        state.close();
        assert_eq!(state.ready_state(), ReadyState::Closed);
        thread.join().unwrap();
        assert!(met.load(SeqCst) <= 1);
        assert_eq!(state.ready_state(), ReadyState::Closed);
    });
}

#[test]
fn closed_is_for_ever() {
    loom::model(|| {
        let (state, thread) = with_thread(|state| {
            state.open();
            state.connecting();
            state.fail();
        });
        state.close();
        assert_eq!(state.ready_state(), ReadyState::Closed);
        assert!(!state.reconnect());
        thread.join().unwrap();
        assert_eq!(state.ready_state(), ReadyState::Closed);
        assert!(state.closed_by_program());
    });
}

/// Once a close has returned, the question before each callback has one
/// answer.
#[test]
fn no_callback_is_begun_after_a_close() {
    loom::model(|| {
        let closed = Arc::new(AtomicBool::new(false));
        let told = closed.clone();
        let (state, thread) = with_thread(move |state| {
            let after = told.load(SeqCst);
            assert!(!after || state.interrupted());
        });
        state.close();
        closed.store(true, SeqCst);
        thread.join().unwrap();
    });
}

#[test]
fn a_signal_ends_a_wait_for_room() {
    loom::model(|| {
        let room = Arc::new(AtomicBool::new(false));
        let seen = room.clone();
        let (state, thread) = with_thread(move |state| {
            state.wait_until(|| seen.load(SeqCst));
            assert!(seen.load(SeqCst) || state.interrupted());
        });
        room.store(true, SeqCst);
        state.signal();
        thread.join().unwrap();
    });
}

#[test]
fn a_close_ends_a_wait_for_room() {
    loom::model(|| {
        let (state, thread) = with_thread(|state| state.wait_until(|| false));
        state.signal();
        state.close();
        thread.join().unwrap();
    });
}

/// A connection whose socket has this number, and a read of it.
fn live_and_read(state: &Arc<State>, socket: i32) {
    sys::open(socket);
    let exposed = Exposed::new(state, socket);
    if !state.interrupted() {
        // For ever, if nobody ends it.
        sys::read(socket);
    }
    drop(exposed);
    sys::close(socket);
}

#[test]
fn a_close_ends_a_read() {
    loom::model(|| {
        let (state, thread) = with_thread(|state| {
            live_and_read(state, 0);
            assert!(state.closed_by_program());
        });
        state.close();
        thread.join().unwrap();
    });
}

#[test]
fn two_requests_end_a_read() {
    model(2, || {
        let (state, thread) = with_thread(|state| {
            while !state.closed_by_program() {
                state.take_reconnect();
                live_and_read(state, 0);
            }
        });
        let other = state.clone();
        let other = thread::spawn(move || other.reconnect());
        state.close();
        other.join().unwrap();
        thread.join().unwrap();
    });
}

/// A reconnect that the thread has met already does not end reads of the
/// connection after it.
#[test]
fn a_reconnect_ends_reads_of_one_connection() {
    loom::model(|| {
        let (state, thread) = with_thread(|state| {
            live_and_read(state, 0);
            assert!(state.take_reconnect());
            sys::open(1);
            drop(Exposed::new(state, 1));
            sys::close(1);
            assert!(!sys::is_ended(1));
        });
        assert!(state.reconnect());
        thread.join().unwrap();
        assert!(!sys::is_ended(1));
    });
}

// The loop

/// A loop that sleeps until it has seen so many sources.
fn see(inbox: &Inbox, sources: &[u32]) {
    let mut seen = Vec::new();
    while !sources.iter().all(|it| seen.contains(it)) {
        if inbox.fall_asleep() {
            // For ever, if a ring was lost.
            sys::poll(&mut [inbox.wake().entry()], None).unwrap();
            inbox.wake().clear();
        }
        inbox.awake();
        inbox.take(&mut seen);
    }
}

#[test]
fn a_ring_wakes_a_loop_that_sleeps() {
    model(3, || {
        let inbox = Arc::new(Inbox::new().unwrap());
        let bells = [Bell::new(&inbox, 0), Bell::new(&inbox, 1)];
        let own = inbox.clone();
        let thread = thread::spawn(move || see(&own, &[0, 1]));
        let [first, second] = bells;
        let other = thread::spawn(move || first.ring());
        second.ring();
        other.join().unwrap();
        thread.join().unwrap();
    });
}

/// A loop of the program's sleeps from the end of a dispatch on: whoever waits
/// for its descriptor is woken.
#[test]
fn a_ring_between_two_dispatches_is_seen() {
    model(3, || {
        let inbox = Arc::new(Inbox::new().unwrap());
        let bell = Bell::new(&inbox, 0);
        let own = inbox.clone();
        let thread = thread::spawn(move || {
            let mut seen = Vec::new();
            while seen.is_empty() {
                inbox_shows(&own);
                sys::poll(&mut [own.wake().entry()], None).unwrap();
                // A dispatch.
                own.awake();
                own.take(&mut seen);
                own.wake().clear();
            }
        });
        bell.ring();
        thread.join().unwrap();
    });
}

/// As the end of a dispatch does.
fn inbox_shows(inbox: &Inbox) {
    if !inbox.fall_asleep() {
        inbox.wake().set();
    }
}

/// The last callback comes once, whoever makes it, and no turn begins after it.
#[test]
fn free_and_a_turn_share_one_end() {
    loom::model(|| {
        let seat = Arc::new(Seat::new(()));
        let over = Arc::new(AtomicU32::new(0));
        let (own, ends) = (seat.clone(), over.clone());
        let thread = thread::spawn(move || {
            for last in [false, true] {
                let turn = |(): &mut ()| {
                    assert_eq!(ends.load(SeqCst), 0, "a turn after the end");
                    if last {
                        ends.fetch_add(1, SeqCst);
                    }
                };
                own.turn(1, turn, |()| last);
                assert!(!own.is_in_turn_on(1));
            }
        });
        seat.take(2, |()| {
            assert_eq!(over.fetch_add(1, SeqCst), 0, "twice");
        });
        assert_eq!(over.load(SeqCst), 1, "free has waited for it");
        thread.join().unwrap();
        assert_eq!(over.load(SeqCst), 1);
    });
}

/// An attempt that is given up is not waited for, whenever it began.
#[test]
fn a_recall_ends_the_waits_of_an_attempt() {
    loom::model(|| {
        let recall = Arc::new(Recall::default());
        let own = recall.clone();
        let thread = thread::spawn(move || {
            own.arm().unwrap();
            let waited = Until::new(&*own, None).sleep();
            assert!(matches!(waited, Unready::Interrupted));
        });
        recall.raise();
        thread.join().unwrap();
    });
}

// The queue

/// What the program has taken.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Took {
    Comment(u8),
    Close(Error),
}

/// The program's end of a queue.
struct Program {
    queue: Arc<Queue>,
    batch: Batch,
}

impl Program {
    /// Takes the next item, waiting for it as a program does; None at the end.
    fn next(&mut self) -> Option<Took> {
        let mut readable = false;
        loop {
            match self.queue.fill(&mut self.batch, 1) {
                Left::Items => return Some(self.take()),
                Left::End => return None,
                Left::Nothing => {
                    assert!(!readable, "readable, and nothing waits");
                    readable = self.queue.wait(None).unwrap();
                }
            }
        }
    }

    fn take(&mut self) -> Took {
        self.batch.step();
        self.queue.took(&self.batch);
        match self.batch.item() {
            Item::Comment(text) => Took::Comment(text.bytes_with_nul()[0]),
            Item::Close(reason) => Took::Close(reason),
            _ => panic!("never put"),
        }
    }

    fn readable(&self) -> bool {
        self.queue.wait(Some(Instant::now())).unwrap()
    }
}

/// A queue for so many items, and a thread that does `work` at its other end.
fn with_writer(
    capacity: usize,
    work: impl Fn(&mut Writer, &State) + Send + Sync + 'static,
) -> (Arc<State>, Program, thread::JoinHandle<()>) {
    let state = Arc::new(State::default());
    state.arm(Arc::new(sys::Wake::new().unwrap()));
    let queue = Arc::new(Queue::new(state.clone()).unwrap());
    queue.set_capacity(capacity);
    queue.set_max_bytes(usize::MAX);
    let (own, own_state) = (queue.clone(), state.clone());
    let thread = thread::spawn(move || {
        work(&mut Writer::new(own.clone()), &own_state);
        own.close(Error::Lost);
    });
    (state, Program { queue, batch: Batch::default() }, thread)
}

/// Puts an item, and waits for room as the source's thread does.
fn put(writer: &mut Writer, state: &State, text: &[u8; 1]) {
    assert!(writer.comment(Text::with_nul(&[text[0], 0]), &Shares::default()));
    wait_for_room(writer, state);
}

fn hand_over(writer: &mut Writer, state: &State) {
    writer.hand_over();
    wait_for_room(writer, state);
}

fn wait_for_room(writer: &mut Writer, state: &State) {
    if writer.is_full() {
        state.wait_until(|| writer.has_room());
        writer.resume();
    }
}

/// Tries the orders of so many preemptions; there are too many to try all.
fn model(preemptions: usize, of: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(of);
}

/// The queue is full with each item: the writer waits for room each time.
#[test]
fn nothing_is_lost_and_nothing_doubled_in_a_full_queue() {
    model(3, || {
        let (_, mut program, thread) = with_writer(1, |writer, state| {
            put(writer, state, b"a");
            put(writer, state, b"b");
        });
        assert_eq!(program.next(), Some(Took::Comment(b'a')));
        assert_eq!(program.next(), Some(Took::Comment(b'b')));
        assert_eq!(program.next(), Some(Took::Close(Error::Lost)));
        assert_eq!(program.next(), None);
        thread.join().unwrap();
    });
}

/// The writer waits until all was taken, as before another attempt, and sleeps
/// no longer than that.
#[test]
fn a_writer_that_waits_until_all_is_taken_is_woken() {
    model(3, || {
        let taken = Arc::new(AtomicBool::new(false));
        let told = taken.clone();
        let (_, mut program, thread) = with_writer(4, move |writer, state| {
            put(writer, state, b"a");
            put(writer, state, b"b");
            hand_over(writer, state);
            state.wait_until(|| writer.is_taken());
            assert!(told.load(SeqCst), "the last has not been taken");
            put(writer, state, b"c");
            hand_over(writer, state);
        });
        assert_eq!(program.next(), Some(Took::Comment(b'a')));
        taken.store(true, SeqCst);
        assert_eq!(program.next(), Some(Took::Comment(b'b')));
        assert_eq!(program.next(), Some(Took::Comment(b'c')));
        assert_eq!(program.next(), Some(Took::Close(Error::Lost)));
        thread.join().unwrap();
    });
}

#[test]
fn the_descriptor_is_readable_exactly_while_an_item_waits() {
    model(3, || {
        let (_, mut program, thread) = with_writer(4, |writer, state| {
            put(writer, state, b"a");
            put(writer, state, b"b");
            hand_over(writer, state);
        });
        assert_eq!(program.next(), Some(Took::Comment(b'a')));
        assert!(program.readable(), "the batch has another");
        assert_eq!(program.next(), Some(Took::Comment(b'b')));
        thread.join().unwrap();
        assert!(program.readable(), "the last waits");
        assert_eq!(program.next(), Some(Took::Close(Error::Lost)));
        assert!(!program.readable());
        assert_eq!(program.next(), None);
    });
}

/// From the moment that the close has returned, only the last item comes; and
/// the writer, full or not, comes to an end.
#[test]
fn after_a_close_from_a_third_thread_only_the_close_comes() {
    // Two batches of one item, and one of two that the program may have begun.
    for capacity in [1, 2] {
        model(2, move || close_from_a_third_thread(capacity));
    }
}

/// As a handle closes, in a signal handler perhaps.
fn close(state: &State, queue: &Queue) {
    state.close();
    queue.announce_close();
}

fn close_from_a_third_thread(capacity: usize) {
    let (state, mut program, thread) =
        with_writer(capacity, |writer, state| {
            put(writer, state, b"a");
            put(writer, state, b"b");
        });
    let closed = Arc::new(AtomicBool::new(false));
    let (tell, queue) = (closed.clone(), program.queue.clone());
    let closer = thread::spawn(move || {
        close(&state, &queue);
        tell.store(true, SeqCst);
    });
    let mut took = Vec::new();
    loop {
        let after = closed.load(SeqCst);
        let is_over = matches!(took.last(), Some(Took::Close(_)));
        assert!(!after || is_over || program.readable(), "the close waits");
        let Some(next) = program.next() else { break };
        assert!(!after || matches!(next, Took::Close(_)), "{next:?}");
        took.push(next);
    }
    let (close, before) = took.split_last().expect("the last");
    assert!(matches!(close, Took::Close(_)));
    let all = [b'a', b'b'].map(Took::Comment);
    assert!(all.starts_with(before), "{before:?}");
    closer.join().unwrap();
    thread.join().unwrap();
    assert!(!program.readable());
}

/// One close finds the other one half done: each makes the descriptor
/// readable, and neither does so for a close that has been taken.
#[test]
fn two_closes_at_once_are_one() {
    model(3, || {
        let (state, mut program, thread) = with_writer(1, |_, _| {});
        let (other, queue) = (state.clone(), program.queue.clone());
        let closer = thread::spawn(move || close(&other, &queue));
        close(&state, &program.queue);
        assert!(program.readable(), "the close waits");
        assert!(matches!(program.next(), Some(Took::Close(_))));
        assert_eq!(program.next(), None);
        closer.join().unwrap();
        thread.join().unwrap();
        assert!(!program.readable());
    });
}
