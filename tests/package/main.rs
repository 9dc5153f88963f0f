//! The library as others are given it: installed, documented, its ABI, and
//! the licences of what is inside.

mod abi;
mod header;
mod install;
mod licences;
mod man;
#[path = "../program/mod.rs"]
#[allow(dead_code, reason = "programs are compiled in other ways here")]
mod program;
mod security;
mod standard;
mod targets;
