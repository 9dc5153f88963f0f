//! The library as others are given it: installed, documented, its ABI, what is
//! inside, and the licences of that.

mod abi;
mod bill;
mod html;
mod inside;
mod install;
mod layers;
mod licences;
mod man;
mod numbers;
mod recipes;
mod security;
mod standard;
mod suites;
mod targets;
