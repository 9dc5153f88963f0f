//! A source's life: connection after connection, on a thread of its own or on
//! that of a loop; what other threads may touch of it; and the queue of pull
//! mode.

pub(crate) mod backoff;
pub(crate) mod batch;
#[cfg(feature = "http2")]
pub(crate) mod carrier;
pub(crate) mod driven;
pub(crate) mod driver;
pub(crate) mod end;
pub(crate) mod event_loop;
#[cfg(feature = "http2")]
pub(crate) mod groups;
pub(crate) mod handle;
pub(crate) mod handler;
pub(crate) mod life;
#[cfg(feature = "http2")]
pub(crate) mod lines;
pub(crate) mod listeners;
pub(crate) mod pace;
#[cfg(feature = "http2")]
pub(crate) mod post;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod queue;
#[cfg(feature = "http2")]
pub(crate) mod ride;
pub(crate) mod seat;
pub(crate) mod shared;
pub(crate) mod slots;
pub(crate) mod workers;
