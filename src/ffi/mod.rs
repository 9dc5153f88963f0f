//! EventSource for native programs.
//!
//! A *source* follows an event stream: it connects to a URL, calls the
//! program with each event, and comes back after every lost connection,
//! where it stopped. It behaves as `new EventSource(url)` does in a browser
//! (WHATWG HTML, § 9.2, "Server-sent events"; the R-numbers below are those
//! of STANDARD.md, which lists what it demands); what a native program needs
//! beyond that is one call away.
//!
//!     #include <eventsource.h>
//!     #include <stdio.h>
//!
//!     static void on_event(eventsource *source,
//!                          const eventsource_event *event,
//!                          void *user_data)
//!     {
//!         (void)source, (void)user_data;
//!         printf("%s: %s\n", event->type, event->data);
//!     }
//!
//!     int main(void)
//!     {
//!         eventsource *source;
//!         eventsource_error error =
//!             eventsource_new("http://localhost:8080/", &source);
//!         if (!error)
//!             error = eventsource_on_event(source, on_event, NULL);
//!         if (!error)
//!             error = eventsource_connect(source);
//!         if (!error)
//!             error = eventsource_wait(source, -1);
//!         if (error)
//!             fprintf(stderr, "%s\n", eventsource_strerror(error));
//!         eventsource_free(source);
//!         return error != EVENTSOURCE_ERROR_NONE;
//!     }
//!
//! Threads
//! -------
//! Each source has one thread, from eventsource_connect() until it is
//! CLOSED. Callbacks run on it, one at a time, in the order of the stream;
//! while one runs, nothing more is read: the server is slowed down, memory
//! is not filled, nothing is dropped. A function that takes
//! `const eventsource *` may be called from any thread at any time,
//! callbacks included; so may eventsource_close(), eventsource_reconnect(),
//! eventsource_add_listener() and eventsource_remove_listener(). A callback
//! must return; it must not throw, nor leave by longjmp().
//!
//! Pull mode
//! ---------
//! A program with a loop of its own, or in a language to which callbacks are
//! dear, gives the source a queue, eventsource_set_queue(), and takes from it
//! what callbacks would have been told, eventsource_next(), on whichever
//! thread it likes. eventsource_fd() is a descriptor for the loop. While the
//! queue is full, nothing more is read.
//!
//! Memory
//! ------
//! What a function is given is copied. What a callback is given is borrowed
//! until it returns, and an item until the next is asked for. A `user_data`
//! is never looked at; it must live until eventsource_free() has returned. No
//! callback begins after that.
//!
//! Text
//! ----
//! Text is UTF-8 and ends with a NUL. Where the stream may put a NUL in the
//! middle, a length stands beside it, which does not count the last NUL.
//!
//! Errors
//! ------
//! Every function that can be misused returns an `eventsource_error`:
//! zero, or why it did nothing. On error nothing has changed, and what
//! would have been stored through a pointer is NULL or zero. What goes
//! wrong on the network is told to the callback `on_error`.
//!
//! The process
//! -----------
//! The library installs no signal handlers, raises no SIGPIPE, prints
//! nothing, and has no threads but those of connected sources, and of
//! look-ups of host names that a close has left behind: the system cannot
//! cancel them, and they end by themselves. After fork(), the child may
//! free its copies of the parent's sources; the parent's go on.
//!
//! ABI
//! ---
//! The program never allocates a structure of the library, but one that goes
//! with its size. Structures may grow at their end. Numbers of enumerators are
//! never reused.

#![allow(unsafe_code, reason = "the C door; each block says who promised")]
#![allow(clippy::missing_safety_doc, reason = "the prologue says it once")]

mod event;
mod library;
mod parser;
mod queue;
mod request;
mod source;
mod stats;

use std::ffi::{CStr, c_char, c_int, c_void};

pub use crate::error::Error;
pub use crate::settings::retry::Retry;
pub use crate::state::ReadyState;
pub use event::*;
pub use library::*;
pub use parser::*;
pub use queue::*;
pub use request::*;
pub use source::*;
pub use stats::*;

use crate::panic::catch;

/// The body of every function that returns an error: a panic is one too.
fn guard(body: impl FnOnce() -> Result<(), Error>) -> Error {
    match catch(body) {
        Some(Ok(())) => Error::None,
        Some(Err(error)) => error,
        None => Error::Internal,
    }
}

/// The text that C points to.
///
/// # Safety
///
/// `text` is NULL or ends with a NUL.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Error> {
    if text.is_null() {
        return Err(Error::Null);
    }
    // SAFETY: promised by the caller.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Error::Utf8)
}

/// The text that C points to, unless it is NULL.
///
/// # Safety
///
/// As [`text`].
unsafe fn optional<'a>(chars: *const c_char) -> Result<Option<&'a str>, Error> {
    match chars.is_null() {
        true => Ok(None),
        // SAFETY: promised by the caller.
        false => unsafe { text(chars) }.map(Some),
    }
}

/// Yes or no, as C says it.
fn flag(number: c_int) -> Result<bool, Error> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::Value),
    }
}

/// A pointer that C gave us to give back.
struct Pointer<T>(*mut T);

// SAFETY: the header says that callbacks run on a thread of their own, and
// what `user_data` points to is shared by the program with its eyes open.
unsafe impl<T> Send for Pointer<T> {}
// SAFETY: as above; the pointer itself is only read.
unsafe impl<T> Sync for Pointer<T> {}

impl<T> Pointer<T> {
    /// A method, so that closures capture the whole and not the field.
    fn get(&self) -> *mut T {
        self.0
    }
}

type UserData = Pointer<c_void>;
