//! Every order in which the source's thread and the program's can meet: the
//! library's own code, on threads and atomics of loom. A wish that is lost is a
//! thread that waits for ever, which loom calls a deadlock.

#![cfg(test)]

#[allow(dead_code, reason = "the library uses all of it")]
mod state {
    include!(concat!(env!("OUT_DIR"), "/state.rs"));
}

/// A descriptor of the model's: readable or not.
#[allow(dead_code, reason = "as the library has it")]
mod sys {
    use std::io::{self, Read, Write};
    use std::time::Instant;

    use loom::sync::{Arc, Condvar, Mutex};

    #[derive(Debug, Clone)]
    pub(crate) struct File(Arc<(Mutex<bool>, Condvar)>);

    pub(crate) enum Interest {
        Read,
    }

    pub(crate) struct Entry {
        file: File,
        pub(crate) revents: i16,
    }

    pub(crate) fn eventfd() -> io::Result<File> {
        Ok(File(Arc::new((Mutex::new(false), Condvar::new()))))
    }

    pub(crate) fn entry(file: File, _: Interest) -> Entry {
        Entry { file, revents: 0 }
    }

    pub(crate) fn poll(
        entries: &mut [Entry],
        _: Option<Instant>,
    ) -> io::Result<usize> {
        let [entry] = entries else { panic!("one entry") };
        let (readable, changed) = &*entry.file.0;
        let mut readable = readable.lock().unwrap();
        while !*readable {
            readable = changed.wait(readable).unwrap();
        }
        entry.revents = 1;
        Ok(1)
    }

    pub(crate) fn process_id() -> u32 {
        1
    }

    impl File {
        pub(crate) fn as_fd(&self) -> File {
            self.clone()
        }
    }

    impl Write for &File {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_all();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for &File {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            *self.0.0.lock().unwrap() = false;
            Ok(bytes.len())
        }
    }
}

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use loom::thread;

use state::{ReadyState, State, Waited};

/// A state, and a thread that does `work` with it, as the source's does.
fn with_thread(
    work: impl Fn(&State) + Send + Sync + 'static,
) -> (Arc<State>, thread::JoinHandle<()>) {
    let state = Arc::new(State::default());
    state.arm().unwrap();
    let own = state.clone();
    (state, thread::spawn(move || work(&own)))
}

fn wait(state: &State) {
    let waited = state.wait(&mut [state.entry()], None).unwrap();
    assert_eq!(waited, Waited::Interrupted);
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
fn a_wish_to_reconnect_is_met_once_and_a_close_after_it() {
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
