//! EventSource for native programs: server-sent events, as a browser's
//! `new EventSource(url)` has them, behind a C API.

pub mod parser;
mod sys;
mod state;
mod backoff;
mod response;
mod error;
mod options;
mod resolve;
mod socket;
mod tls;
mod transport;
mod body;
mod connection;
