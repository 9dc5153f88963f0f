//! The way to the server: names looked up, sockets connected, TLS, proxies.
//! Every wait in here is ended by what interrupts the attempt.

mod authorities;
mod certificate;
mod configuration;
pub(crate) mod environment;
pub(crate) mod interface;
mod pem;
pub(crate) mod pins;
pub(crate) mod proxy;
mod refusal;
pub(crate) mod resolve;
pub(crate) mod socket;
pub(crate) mod tls;
mod tls_error;
pub(crate) mod trust;
pub(crate) mod tunnel;
pub(crate) mod turns;
mod unverified;
mod watched;
