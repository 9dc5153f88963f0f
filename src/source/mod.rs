//! A source's life: connection after connection, on a thread of its own or on
//! that of a loop; what other threads may touch of it; and the queue of pull
//! mode.

pub(crate) mod backoff;
pub(crate) mod batch;
pub(crate) mod driven;
pub(crate) mod driver;
pub(crate) mod end;
pub(crate) mod event_loop;
pub(crate) mod handle;
pub(crate) mod handler;
pub(crate) mod life;
pub(crate) mod listeners;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod queue;
pub(crate) mod seat;
pub(crate) mod shared;
pub(crate) mod workers;
