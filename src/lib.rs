//! EventSource for native programs: server-sent events, as a browser's
//! `new EventSource(url)` has them, behind a C API.

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
