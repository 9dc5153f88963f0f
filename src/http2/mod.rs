//! HTTP/2 (RFC 9113), a client's end of a connection: bytes in, bytes out. No
//! socket, no time, no source.

#[cfg(fuzzing)]
pub(crate) mod doors;
mod engine;
mod frame;
mod head;
mod hpack;
mod huffman;

pub(crate) use engine::{Broken, Engine, Event};
pub(crate) use frame::Code;
pub(crate) use head::Head;
pub(crate) use hpack::Secrecy;
