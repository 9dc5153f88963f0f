//! The interface that connections go out over.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use socket2::Socket;

use crate::error::Error;
use crate::sys::{index_of_interface, interface_addresses};

/// The interface that connections go out over, as the program has named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interface {
    Name(CString),
    /// An address of this machine.
    Address(IpAddr),
}

impl Interface {
    /// Reads an address, or what the system takes for a name.
    pub(crate) fn parse(text: &str) -> Result<Interface, Error> {
        if let Ok(address) = text.parse() {
            return Ok(Interface::Address(address));
        }
        let is_name = (1..libc::IFNAMSIZ).contains(&text.len())
            && !matches!(text, "." | "..")
            && !text.contains(['/', ':'])
            && !text.bytes().any(|byte| byte.is_ascii_whitespace());
        let name = CString::new(text).ok().filter(|_| is_name);
        name.map(Interface::Name).ok_or(Error::Value)
    }

    /// Has a new socket go out over this interface. Returns the address to
    /// connect to: a link-local one is of this interface's link (RFC 4007, 6),
    /// unless it says which.
    pub(super) fn bind(
        &self,
        socket: &Socket,
        to: SocketAddr,
    ) -> io::Result<SocketAddr> {
        match self {
            Interface::Name(name) => {
                let to = on_link(to, index_of_interface(name)?);
                match socket.bind_device(Some(name.as_bytes())) {
                    // Before Linux 5.7 it takes a privilege.
                    Err(cause)
                        if cause.kind() == io::ErrorKind::PermissionDenied =>
                    {
                        let own = interface_addresses()?
                            .into_iter()
                            .filter(|(owner, _)| owner == name)
                            .map(|(_, address)| address);
                        socket.bind(&best(own, to)?.into())?;
                    }
                    bound => bound?,
                }
                Ok(to)
            }
            Interface::Address(address) => {
                let mut own = interface_addresses()?
                    .into_iter()
                    .filter(|(_, own)| own.ip() == *address);
                let (to, own) = match own.next() {
                    Some((name, own)) if is_link_local(to) => {
                        (on_link(to, index_of_interface(&name)?), own)
                    }
                    Some((_, own)) => (to, own),
                    // The system says what is wrong with it.
                    None => (to, (*address, 0).into()),
                };
                if own.is_ipv4() != to.is_ipv4() {
                    return Err(other_family());
                }
                socket.bind(&own.into())?;
                Ok(to)
            }
        }
    }
}

/// The address to come from, of those of an interface: one that is link-local
/// for a link-local one, and another for all others.
fn best(
    own: impl Iterator<Item = SocketAddr>,
    to: SocketAddr,
) -> io::Result<SocketAddr> {
    own.filter(|own| own.is_ipv4() == to.is_ipv4())
        .min_by_key(|own| is_link_local(*own) != is_link_local(to))
        .ok_or_else(other_family)
}

fn other_family() -> io::Error {
    io::Error::other("the interface has no address of this kind")
}

fn on_link(to: SocketAddr, index: u32) -> SocketAddr {
    match to {
        SocketAddr::V6(to) if is_link_local(to.into()) => {
            let scope = if to.scope_id() == 0 { index } else { to.scope_id() };
            SocketAddrV6::new(*to.ip(), to.port(), 0, scope).into()
        }
        to => to,
    }
}

/// Of IPv4 none is: there the system's routes tell the link.
fn is_link_local(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(address) => address.ip().is_unicast_link_local(),
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interface::Name(name) => f.write_str(&name.to_string_lossy()),
            Interface::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_address_and_the_rest_are_names() {
        for text in ["127.0.0.2", "::1", "fe80::1"] {
            let interface = Interface::parse(text).unwrap();
            assert!(matches!(interface, Interface::Address(_)), "{text}");
            assert_eq!(interface.to_string(), text);
        }
        for text in ["lo", "eth0", "wlp0s20f3", "br-1234567890ab", "eth0.1"] {
            let interface = Interface::parse(text).unwrap();
            assert!(matches!(interface, Interface::Name(_)), "{text}");
            assert_eq!(interface.to_string(), text);
        }
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "eth0:1",
            "[::1]",
            "fe80::1%eth0",
            "a\nb",
            "sixteen-letters-",
        ] {
            assert!(Interface::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_local_address_is_left_from_a_link_local_one() {
        let address = |text: &str| (text.parse::<IpAddr>().unwrap(), 0).into();
        let own = ["192.0.2.1", "fe80::1", "2001:db8::1"].map(address);
        for (to, from) in [
            ("192.0.2.9", "192.0.2.1"),
            ("fe80::9", "fe80::1"),
            ("2001:db8::9", "2001:db8::1"),
            ("::1", "2001:db8::1"),
        ] {
            let best = best(own.into_iter(), address(to)).unwrap();
            assert_eq!(best, address(from), "{to}");
        }
        assert!(best(own[..1].iter().copied(), address("::1")).is_err());
        assert!(best([].into_iter(), address("::1")).is_err());
    }
}
