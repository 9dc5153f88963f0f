//! The life of a source, seen from a program and from the server it talks to:
//! each test is named after what is promised. `R` and a number name what the
//! standard (WHATWG HTML § 9.2) demands; the header's own promises are named
//! by their heading.

#![expect(unsafe_code, reason = "the C API is what is tested")]

mod answers;
mod asking;
mod attempts;
mod bodies;
mod closing;
mod credentials;
mod dispatching;
mod failing;
mod heads;
#[cfg(feature = "http2")]
mod http2;
mod interfaces;
mod last_event_id;
mod listeners;
mod loops;
mod models;
mod pins;
mod policies;
mod proxies;
mod pulling;
mod reconnecting;
mod redirects;
mod refusals;
mod requests;
mod responses;
#[cfg(feature = "http2")]
mod sharing;
mod spares;
mod states;
mod stats;
mod timeouts;
mod tls;
mod unix_sockets;
mod urls;
mod waiting;
