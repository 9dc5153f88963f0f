//! One attempt: a request sent, its response's head read, redirects followed,
//! and one body to read.

pub(crate) mod body;
pub(crate) mod buffer;
pub(crate) mod chunked;
pub(crate) mod coding;
pub(crate) mod connection;
pub(crate) mod cookies;
pub(crate) mod exchange;
pub(crate) mod head;
#[cfg(feature = "http2")]
pub(crate) mod line;
pub(crate) mod opening;
#[cfg(feature = "http2")]
pub(crate) mod over_http2;
pub(crate) mod reading;
pub(crate) mod redirect;
pub(crate) mod spare;
