//! The way to the server: names looked up, sockets connected, TLS, proxies.
//! Every wait in here is ended by what interrupts the attempt.

mod authorities;
mod configuration;
pub(crate) mod environment;
mod pem;
pub(crate) mod proxy;
mod public_key;
pub(crate) mod resolve;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod trust;
pub(crate) mod tunnel;
mod unverified;
mod watched;
