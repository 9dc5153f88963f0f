//! What benches have in common.

pub mod cpu;
mod http2;
pub mod process;
pub mod server;
pub mod shapes;
pub mod streams;
