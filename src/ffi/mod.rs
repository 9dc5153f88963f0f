//! EventSource for native programs.
//!
//! A *source* follows an event stream: it connects to a URL, calls the
//! program with each event, and reconnects after every lost connection, so
//! that the stream goes on where it stopped. A source behaves as
//! `new EventSource(url)` does in a browser (WHATWG HTML, § 9.2, "Server-sent
//! events"; the R-numbers below are those of STANDARD.md, which lists what the
//! standard demands). What a native program needs beyond that is one call
//! away.
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
//!         eventsource_on_event(source, on_event, NULL);
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
//! Settings
//! --------
//! The functions eventsource_set_...() and eventsource_on_...() change a
//! source before eventsource_connect(); later they return
//! EVENTSOURCE_ERROR_ALREADY_CONNECTED, and change nothing. NULL removes a
//! callback.
//!
//! A program need not look at what each of them returns: as long as a call of
//! eventsource_set_...() is refused, eventsource_connect() returns that error,
//! the first one if there are several, and the log names the function. A later
//! call of the same function that succeeds cancels the refusal; for
//! eventsource_set_header() that call must be for the same name. Every function
//! refuses a NULL source, so that a program has to keep the error of
//! eventsource_new() only.
//!
//! Parameters for yes or no, or for one of an enumeration's numbers,
//! are of type `int`, so that the library can refuse every other number with
//! EVENTSOURCE_ERROR_VALUE: an `enum` with such a number would be undefined
//! behaviour.
//!
//! Threads
//! -------
//! Each source has one thread, from eventsource_connect() until the source is
//! CLOSED. Callbacks run on that thread, one at a time, in the order of the
//! stream. While a callback runs, the source reads nothing more: the server is
//! slowed down, memory is not filled, and nothing is dropped.
//!
//! A function that takes `const eventsource *` may be called from any thread at
//! any time, callbacks included. So may eventsource_close(),
//! eventsource_reconnect(), eventsource_add_listener() and
//! eventsource_remove_listener(). eventsource_close() may also be called in a
//! signal handler, and no other function may. A callback must return; it must
//! not throw, nor leave by longjmp(). It has as much stack as any thread of the
//! program: see eventsource_set_stack_size().
//!
//! A program with thousands of sources gives them to a loop with
//! eventsource_set_loop(): one thread then drives them all, and calls their
//! callbacks. That thread is one of the library's, or the program's own. Where
//! eventsource_set_loop() does not say otherwise, "the source's thread" is that
//! of the loop.
//!
//! Pull mode
//! ---------
//! A program with a loop of its own, or in a language where callbacks are
//! expensive, gives the source a queue with eventsource_set_queue(). It takes
//! from the queue, with eventsource_next() and on any thread, what callbacks
//! would have reported. eventsource_fd() is a descriptor for the loop. While
//! the queue is full, the source reads nothing more.
//!
//! Arguments
//! ---------
//! A pointer to an object is NULL, or the object exists: it was made and not
//! given back, or it is lent to the callback that runs. A text is NULL or ends
//! with a NUL. A pointer beside a length has that many bytes behind it. NULL
//! for a required argument is refused with EVENTSOURCE_ERROR_NULL.
//!
//! Memory
//! ------
//! Arguments of functions are copied. Arguments of callbacks are borrowed until
//! the callback returns, and an item until the next item is asked for. The
//! library never looks at what `user_data` points to, which must live until
//! eventsource_free() has returned: no callback begins after that. A listener
//! can learn earlier that it is called no more: see `on_removed` of
//! eventsource_add_listener().
//!
//! A server or the program chooses how large events, ids, comments, URLs,
//! headers and bodies are. If the system has no memory for one of them, the
//! program goes on: the event is dropped with EVENTSOURCE_ERROR_TOO_LARGE, the
//! setting is refused with EVENTSOURCE_ERROR_SYSTEM, or the attempt fails with
//! EVENTSOURCE_ERROR_SYSTEM and is made again. If the system has no memory for
//! anything else, the process is aborted. That is for the objects of the
//! library and their threads, for paths, messages and TLS, for the head of a
//! response, which has 256 KiB at most, and for receive buffers, half a MiB
//! each, which sources share.
//!
//! Lifetime
//! --------
//! A program calls eventsource_free() once for each source. What the call does
//! depends on where it is made:
//!
//! - On a thread that runs no callback of the source: the call waits for the
//!   callback that runs, and for `on_close`. The thread must not hold a lock
//!   that a callback of the source wants: both would wait for ever.
//! - In a callback of the source: the call does not wait. `on_close` is called
//!   at once, and the source is released when the callback returns. Until then,
//!   and in the rest of that callback, nothing may be called on the source.
//! - In a callback of another source: as on any other thread. Two sources whose
//!   callbacks free each other would wait for each other for ever.
//! - In pull mode: on the thread that has taken the close, or on any thread
//!   while none is inside eventsource_next() or eventsource_next_batch(). Take
//!   the descriptor out of the event loop first.
//! - After fork(), in the child: the call releases memory, and calls nothing.
//! - Never in a signal handler.
//!
//! From the moment that eventsource_free() may be called, no other thread may
//! begin a call with the source. So if a callback frees the source, no other
//! thread can call eventsource_wait(): that thread cannot know whether the
//! source still exists. Let the callback wake that thread, and free the source
//! there.
//!
//! A thread must not be cancelled (pthread_cancel(3)) inside a call of the
//! library or inside a callback.
//!
//! Text
//! ----
//! Text is UTF-8 and ends with a NUL; other text is refused with
//! EVENTSOURCE_ERROR_UTF8. Paths are bytes, as the system has them. Where the
//! stream can put a NUL in the middle, a length stands beside the text; it does
//! not count the last NUL.
//!
//! Errors
//! ------
//! Every function that can be misused returns an `eventsource_error`: zero, or
//! why the function did nothing. On error nothing has changed, and a result
//! that would have been stored through a pointer is NULL or zero. Errors of
//! the network are reported to the callback `on_error`.
//!
//! The process
//! -----------
//! The library installs no signal handlers, raises no SIGPIPE, and prints
//! nothing. It has no threads but those of connected sources and of loops, as
//! eventsource_loop_new() says, and those of look-ups of host names, 32 at
//! most. More look-ups wait, within the connect timeout, until a thread is
//! free; two of the same name share one. The system cannot cancel a look-up:
//! one that was under way when its source was closed ends by itself, and holds
//! no descriptor of the library. On these threads all signals are blocked,
//! except for those that a fault raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL,
//! SIGTRAP, SIGSYS), so that handlers run on the program's own threads. A
//! process that a callback starts inherits the blocked signals.
//!
//! After fork(), the parent's sources go on in the parent. In the child,
//! eventsource_close() and eventsource_free() release memory and do nothing
//! else: no callback is called, and nothing is written to a descriptor.
//! eventsource_next(), eventsource_wait() and eventsource_reconnect() return
//! EVENTSOURCE_ERROR_SYSTEM, and eventsource_fd() -1. The same holds for loops.
//! The child calls no other function for a source or loop of its parent, and
//! does not return from the callback in which it was made. It may make sources
//! and loops of its own.
//!
//! valgrind has nothing to report; for https URLs it needs the installed
//! suppressions, share/eventsource/valgrind.supp. When all sources have been
//! freed, the library keeps a few KiB for the next source, and with https the
//! certificates and sessions of TLS.
//!
//! ABI
//! ---
//! Structures are allocated by the library, except `eventsource_stats`, which
//! is passed with its size. Structures may grow at their end. Numbers of
//! enumerators are never reused.

#![allow(unsafe_code, reason = "the C door; convert.rs says who promised")]
#![allow(clippy::missing_safety_doc, reason = "the prologue says it once")]
#![allow(unsafe_op_in_unsafe_fn, reason = "convert.rs says it once")]

// What C hands over, and what it is shown.
mod convert;
mod event;
mod gate;
mod item;
mod response;
mod stats;

// One file for each page of the manual.
mod answer;
mod ask;
mod callbacks;
mod connect;
mod library;
mod limits;
mod loops;
mod network;
mod parser;
mod queue;
mod request;
mod retry;
mod source;
mod state;
mod timeouts;

pub use crate::error::Error;
pub use crate::response::Verdict;
pub use crate::settings::retry::Retry;
pub use crate::settings::version::HttpVersion;
pub use crate::state::ReadyState;
pub use answer::*;
pub use ask::*;
pub use callbacks::*;
pub use connect::*;
pub use event::*;
pub use item::*;
pub use library::*;
pub use limits::*;
pub use loops::*;
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
