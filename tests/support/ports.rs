//! Ports that stay free until they are taken.

use std::net::{SocketAddr, TcpListener};
use std::ops::Range;

/// None of those that the system gives away by itself.
const PORTS: Range<u16> = 10_000..32_000;

/// An address nobody has, and nobody gets until the test takes it.
pub fn free_address() -> SocketAddr {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], fastrand::u16(PORTS)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
