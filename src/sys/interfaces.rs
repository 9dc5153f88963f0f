//! The network interfaces of this machine.

use std::ffi::{CStr, CString};
use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

/// The number of the interface that has this name now.
pub(crate) fn index_of_interface(name: &CStr) -> io::Result<u32> {
    // SAFETY: a text that ends with a NUL.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// The addresses of the interfaces as they are now, each with the interface's
/// name; the ports are zero.
pub(crate) fn interface_addresses() -> io::Result<Vec<(CString, SocketAddr)>> {
    let mut list = ptr::null_mut();
    // SAFETY: a place for the list.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = list;
    // SAFETY: NULL, or an entry of the list, which exists until the list is
    // freed below.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: the entry's address, or NULL.
        if let Some(address) = unsafe { address(entry.ifa_addr) } {
            // SAFETY: each entry has a name, which ends with a NUL.
            let name = unsafe { CStr::from_ptr(entry.ifa_name) };
            found.push((name.to_owned(), address));
        }
    }
    // SAFETY: as getifaddrs has made it; nothing of it is used any more.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// An address of the Internet; none of another kind.
///
/// # Safety
///
/// `address` is NULL, or has as many bytes as its family says.
unsafe fn address(address: *const libc::sockaddr) -> Option<SocketAddr> {
    // SAFETY: promised by the caller.
    let family = unsafe { address.as_ref() }?.sa_family;
    match libc::c_int::from(family) {
        libc::AF_INET => {
            // SAFETY: an address of this family is one of these.
            let address: libc::sockaddr_in =
                unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = address.sin_addr.s_addr.to_ne_bytes().into();
            Some(SocketAddrV4::new(ip, 0).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let address: libc::sockaddr_in6 = unsafe {
                address.cast::<libc::sockaddr_in6>().read_unaligned()
            };
            let ip = address.sin6_addr.s6_addr.into();
            let scope = address.sin6_scope_id;
            Some(SocketAddrV6::new(ip, 0, 0, scope).into())
        }
        _ => None,
    }
}
