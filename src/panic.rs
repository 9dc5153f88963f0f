//! A defect of the library is the library's: no panic crosses into the
//! program, and none is printed there.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside [`catch`].
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; nothing if it panics, which the log is told.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Option<T> {
    hook();
    let outer = INSIDE.replace(true);
    // What a panic leaves half done is not used again: a source fails, a
    // call has an error for it.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    result.ok()
}

/// Keeps std from writing to the program's standard error.
fn hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if INSIDE.get() {
                log::error!("defect of the library: {info}");
            } else {
                others(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_does_not_pass() {
        assert_eq!(catch(|| 1), Some(1));
        assert_eq!(catch(|| -> u8 { panic!("on purpose") }), None);
        assert!(!INSIDE.get());
    }
}
