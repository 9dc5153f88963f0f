//! EventSource for native programs.
pub mod parser;
