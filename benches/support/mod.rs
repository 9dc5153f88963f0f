//! What benches have in common.

pub(crate) mod cpu;
pub(crate) mod process;
pub(crate) mod server;
pub(crate) mod shapes;
