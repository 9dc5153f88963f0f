//! A source's life: connection after connection on one thread, what other
//! threads may touch of it, and the queue of pull mode.

pub(crate) mod backoff;
pub(crate) mod handle;
pub(crate) mod life;
pub(crate) mod queue;
