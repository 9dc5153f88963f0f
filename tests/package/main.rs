//! The library as others are given it: installed, documented, its ABI, and
//! the licences of what is inside.

mod abi;
mod install;
mod layers;
mod licences;
mod man;
mod security;
mod standard;
mod suites;
mod targets;
