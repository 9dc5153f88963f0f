//! EventSource for native programs: server-sent events, as a browser's
//! `new EventSource(url)` has them, behind a C API.
//!
//! The map, from the ground up. Each room uses only what stands before it;
//! `tests/package/layers.rs` sees to that.
//!
//! The ground: `sys` is the system calls that std lacks; `panic` keeps
//! defects from the program; `error` numbers what can go wrong, `response` is
//! the head of one, and `failure` says why a connection came to nothing;
//! `wait` is how long blocking code may wait, and what interrupts it; `inbox`
//! tells a loop which of its sources to look at; `blocked` has the socket that a
//! source's thread reads; `state` holds the ready state, and wakes the source's
//! thread, or its loop, wherever that waits;
//! `stats` counts; `sync` has locks and atomics, `pool` what all sources share,
//! `memory` what may be lacking; `url` and `userinfo` are what a URL says.
//!
//! [`parser`] stands alone: the bytes of a stream in, events out. So does
//! `http2`: the bytes of a connection in, those of its streams out.
//!
//! `net` is the way to the server: look-ups, sockets, TLS, proxies.
//!
//! `settings` is what the program asked for.
//!
//! `http` is one attempt: the request, redirects, the response's head, and one
//! body to read.
//!
//! `source` is the life: announce, reestablish, fail, connection after
//! connection; what other threads may touch of it; and the queue of pull mode.
//!
//! [`ffi`] is the C door, and its text is the header.

mod blocked;
mod credentials;
mod error;
mod failure;
mod inbox;
mod memory;
mod panic;
mod pool;
mod response;
mod state;
mod stats;
mod sync;
mod sys;
mod url;
mod userinfo;
mod wait;

pub mod parser;

#[cfg(feature = "http2")]
mod http2;

mod net;

mod settings;

mod http;

mod source;

pub mod ffi;

/// What fuzz/ reaches and programs do not.
#[cfg(fuzzing)]
pub mod doors;
