//! What benches have in common.

pub mod cpu;
pub mod process;
pub mod server;
pub mod shapes;
