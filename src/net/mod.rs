//! The way to the server: names looked up, sockets connected, TLS, proxies.
//! Every wait in here is ended by what interrupts the attempt.

pub(crate) mod environment;
pub(crate) mod proxy;
pub(crate) mod resolve;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod trust;
pub(crate) mod tunnel;
