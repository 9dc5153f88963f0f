//! What benches have in common.

pub(crate) mod cpu;
pub(crate) mod shapes;
