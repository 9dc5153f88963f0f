//! A source's life: connection after connection on one thread, what other
//! threads may touch of it, and the queue of pull mode.

pub(crate) mod backoff;
pub(crate) mod batch;
pub(crate) mod driver;
pub(crate) mod end;
pub(crate) mod handle;
pub(crate) mod handler;
pub(crate) mod life;
pub(crate) mod listeners;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod queue;
pub(crate) mod shared;
