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
//! It has as much stack as any thread of the program, see
//! eventsource_set_stack_size().
//!
//! Pull mode
//! ---------
//! A program with a loop of its own, or in a language to which callbacks are
//! dear, gives the source a queue, eventsource_set_queue(), and takes from it
//! what callbacks would have been told, eventsource_next(), on whichever
//! thread it likes. eventsource_fd() is a descriptor for the loop. While the
//! queue is full, nothing more is read.
//!
//! Arguments
//! ---------
//! A pointer to an object is NULL, or the object exists: it was made, or is
//! lent to the callback that runs, and has not been given back. A text is NULL
//! or ends with a NUL. A pointer beside a length has that many bytes behind it.
//! NULL where something is needed is refused, EVENTSOURCE_ERROR_NULL.
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
//! Text is UTF-8 and ends with a NUL; paths are bytes, as the system has them.
//! Where the stream may put a NUL in the middle, a length stands beside it,
//! which does not count the last NUL.
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
//! cancel them, and they end by themselves. All signals are blocked on these
//! threads, those excepted that a fault raises (SIGSEGV, SIGBUS, SIGFPE,
//! SIGILL, SIGTRAP, SIGSYS): handlers run on the program's own threads. A
//! process that a callback starts inherits the blocked signals. After fork(),
//! the child may free its copies of the parent's sources; the parent's go on.
//!
//! ABI
//! ---
//! The program never allocates a structure of the library, but one that goes
//! with its size. Structures may grow at their end. Numbers of enumerators are
//! never reused.

#![allow(unsafe_code, reason = "the C door; convert.rs says who promised")]
#![allow(clippy::missing_safety_doc, reason = "the prologue says it once")]
#![allow(unsafe_op_in_unsafe_fn, reason = "convert.rs says it once")]

// What C hands over, and what it is shown.
mod convert;
mod event;
mod item;
mod response;
mod stats;

// One file for each page of the manual.
mod ask;
mod callbacks;
mod connect;
mod library;
mod limits;
mod network;
mod parser;
mod queue;
mod request;
mod retry;
mod source;
mod state;
mod timeouts;

pub use crate::error::Error;
pub use crate::settings::retry::Retry;
pub use crate::state::ReadyState;
pub use ask::*;
pub use callbacks::*;
pub use connect::*;
pub use event::*;
pub use item::*;
pub use library::*;
pub use limits::*;
pub use network::*;
pub use parser::*;
pub use queue::*;
pub use request::*;
pub use response::*;
pub use retry::*;
pub use source::*;
pub use state::*;
pub use stats::*;
pub use timeouts::*;
