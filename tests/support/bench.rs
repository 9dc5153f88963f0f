//! What benches have in common.

pub mod cpu;
pub mod follow;
mod http2;
pub mod process;
pub mod server;
pub mod shapes;
pub mod streams;
