//! The few system calls that std does not offer: a second system is a second
//! `wake`, `epoll`
//! and `stack`.

#![allow(unsafe_code, reason = "system calls; each block says why it holds")]

mod epoll;
mod errno;
mod interfaces;
mod poll;
mod process;
mod socket;
mod stack;
mod thread;
mod wake;

pub(crate) use epoll::{Epoll, Events, Registration, Timer};
pub(crate) use errno::keep_errno;
pub(crate) use interfaces::{index_of_interface, interface_addresses};
pub(crate) use poll::{Entry, Interest, poll};
pub(crate) use process::process_id;
pub(crate) use socket::{end_reads, receive};
pub(crate) use stack::release_dead_stack;
pub(crate) use thread::{
    LEAST_STACK, default_stack, here, spawn, stack_as_here,
};
pub(crate) use wake::Wake;
