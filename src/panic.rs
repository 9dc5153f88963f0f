//! A defect of the library is the library's: no panic crosses into the
//! program, and none is printed there.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`catch`].
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// What the last panic has said.
    static SAID: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs `work`; nothing if it panics, which the log is told.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Option<T> {
    hook();
    let outer = INSIDE.replace(true);
    // What a panic leaves half done is not used again: a source fails, a
    // call has an error for it.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    if result.is_err() {
        log_what_was_said();
    }
    result.ok()
}

/// Not by the hook: where it runs, locks may be held, and the program's log
/// callback may want them.
#[cold]
fn log_what_was_said() {
    if let Some(said) = SAID.take() {
        log::error!("defect of the library: {said}");
    }
}

/// Keeps std from writing to the program's standard error.
fn hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if INSIDE.get() {
                SAID.set(Some(info.to_string()));
            } else {
                others(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, OnceLock, TryLockError};

    use log::{LevelFilter, Log, Metadata, Record};

    use super::*;

    #[test]
    fn a_panic_does_not_pass() {
        assert_eq!(catch(|| 1), Some(1));
        assert_eq!(catch(|| -> u8 { panic!("on purpose") }), None);
        assert!(!INSIDE.get());
    }

    static HELD: Mutex<()> = Mutex::new(());
    static FREE: OnceLock<bool> = OnceLock::new();

    /// Looks whether the lock is free.
    struct Looking;

    impl Log for Looking {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            if record.args().to_string().contains("under a lock") {
                let locked =
                    matches!(HELD.try_lock(), Err(TryLockError::WouldBlock));
                FREE.set(!locked).expect("one line");
            }
        }

        fn flush(&self) {}
    }

    #[test]
    fn a_panic_is_logged_when_its_locks_are_free() {
        log::set_logger(&Looking).expect("the only logger of these tests");
        log::set_max_level(LevelFilter::Error);
        let panicked = catch(|| {
            let _held = HELD.lock();
            panic!("under a lock");
        });
        assert_eq!(panicked, None::<()>);
        assert_eq!(FREE.get(), Some(&true));
    }
}
