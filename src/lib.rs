//! EventSource for native programs: server-sent events, as a browser's
//! `new EventSource(url)` has them, behind a C API.
//!
//! The map, from the ground up; each module uses only what stands before it.
//!
//! The ground: `sys` is the system calls that std lacks; `panic` keeps
//! defects from the program; `error` numbers what can go wrong, `response` is
//! the head of one, and `failure` says why a connection came to nothing;
//! `state` holds the ready state, and wakes the source's thread wherever it
//! waits; `stats` counts; `backoff` tells how long to wait, and `retry`
//! whether to come back at all.
//!
//! [`parser`] stands alone: the bytes of a stream in, events out.
//!
//! The way to the server: `resolve` looks names up, `socket` connects,
//! `trust` and `tls` make it secure, `proxy` goes through another, which
//! `environment` may name.
//!
//! One attempt: `request` is what is asked with, `options` what the program
//! wanted of it all, `cookies` what servers wanted kept; `transport` lends
//! ureq the connection until the response's head has come, `body` undoes
//! framing and coding, and `connection` puts them together: redirects,
//! checks, one body to read.
//!
//! The life: `source` announces, reestablishes and fails, connection after
//! connection, on one thread; `queue` keeps what it says for programs that
//! take it themselves; `handle` is what other threads may touch of it; [`ffi`]
//! is the C door, and its text is the header.

pub mod ffi;
pub mod parser;

mod backoff;
mod body;
mod connection;
mod cookies;
mod environment;
mod error;
mod failure;
mod handle;
mod options;
mod panic;
mod proxy;
mod queue;
mod request;
mod resolve;
mod response;
mod retry;
mod socket;
mod source;
mod state;
mod stats;
mod sys;
mod tls;
mod transport;
mod trust;

/// What fuzz/ reaches and programs do not.
#[cfg(fuzzing)]
#[path = "../fuzz/doors.rs"]
pub mod doors;
