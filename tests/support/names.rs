//! The system's look-up of names, as the test wants it: this `getaddrinfo`
//! takes the place of the C library's in the whole test program.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Condvar, LazyLock, Mutex};

use super::DEADLINE;

#[derive(Clone)]
enum Answer {
    Addresses(Vec<IpAddr>),
    Error(c_int),
    Silence,
}

#[derive(Default)]
struct Names {
    answers: HashMap<String, Answer>,
    asked: HashMap<String, usize>,
}

static NAMES: LazyLock<Mutex<Names>> = LazyLock::new(Mutex::default);
static CHANGED: Condvar = Condvar::new();

fn answer(name: &str, answer: Answer) {
    NAMES.lock().unwrap().answers.insert(name.to_owned(), answer);
    CHANGED.notify_all();
}

/// From now on `name` has these addresses.
pub fn resolve(name: &str, addresses: &[IpAddr]) {
    answer(name, Answer::Addresses(addresses.to_vec()));
}

/// From now on a look-up of `name` ends with an error, `libc::EAI_...`.
pub fn refuse(name: &str, error: c_int) {
    answer(name, Answer::Error(error));
}

/// From now on a look-up of `name` hangs, until something else is said.
pub fn hang(name: &str) {
    answer(name, Answer::Silence);
}

/// How often `name` was asked for.
pub fn times_asked(name: &str) -> usize {
    NAMES.lock().unwrap().asked.get(name).copied().unwrap_or_default()
}

/// Waits until `name` was asked for `times` times.
pub fn wait_until_asked(name: &str, times: usize) {
    let names = NAMES.lock().unwrap();
    let (_names, timeout) = CHANGED
        .wait_timeout_while(names, DEADLINE, |names| {
            names.asked.get(name).copied().unwrap_or_default() < times
        })
        .unwrap();
    assert!(!timeout.timed_out(), "nobody asks for {name}");
}

fn look_up(name: &str) -> Result<Vec<IpAddr>, c_int> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let mut names = NAMES.lock().unwrap();
    *names.asked.entry(name.to_owned()).or_default() += 1;
    CHANGED.notify_all();
    loop {
        match names.answers.get(name) {
            Some(Answer::Addresses(addresses)) => return Ok(addresses.clone()),
            Some(Answer::Error(error)) => return Err(*error),
            Some(Answer::Silence) => names = CHANGED.wait(names).unwrap(),
            None if name == "localhost" => {
                return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
            }
            None => return Err(libc::EAI_NONAME),
        }
    }
}

#[repr(C)]
struct Entry {
    info: libc::addrinfo,
    address: libc::sockaddr_storage,
}

#[unsafe(no_mangle)]
extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    result: *mut *mut libc::addrinfo,
) -> c_int {
    // SAFETY: POSIX: both are strings or NULL.
    let text = |text: *const c_char| unsafe {
        (!text.is_null()).then(|| CStr::from_ptr(text).to_str().unwrap())
    };
    let port = text(service).map_or(0, |port| port.parse().unwrap());
    // SAFETY: POSIX: a whole `addrinfo` or NULL.
    let (family, kind) = unsafe { hints.as_ref() }
        .map_or((0, 0), |hints| (hints.ai_family, hints.ai_socktype));
    let addresses = match look_up(text(node).expect("a name")) {
        Ok(addresses) => addresses,
        Err(error) => return error,
    };
    let mut first = std::ptr::null_mut();
    for &address in addresses.iter().rev() {
        let address = SocketAddr::new(address, port);
        let (address_family, length, storage) = raw(address);
        if family != libc::AF_UNSPEC && family != address_family {
            continue;
        }
        let entry = Box::leak(Box::new(Entry {
            // SAFETY: NULL and zero are what these fields may be.
            info: unsafe { std::mem::zeroed() },
            address: storage,
        }));
        entry.info.ai_family = address_family;
        entry.info.ai_socktype =
            if kind == 0 { libc::SOCK_STREAM } else { kind };
        entry.info.ai_protocol = libc::IPPROTO_TCP;
        entry.info.ai_addrlen = length;
        entry.info.ai_addr = (&raw mut entry.address).cast();
        entry.info.ai_next = first;
        first = (&raw mut *entry).cast();
    }
    // SAFETY: POSIX: a place for the result.
    unsafe { result.write(first) };
    if first.is_null() { libc::EAI_NONAME } else { 0 }
}

#[unsafe(no_mangle)]
extern "C" fn freeaddrinfo(mut first: *mut libc::addrinfo) {
    while !first.is_null() {
        // SAFETY: made by `getaddrinfo` above, where `info` stands first.
        let entry = unsafe { Box::from_raw(first.cast::<Entry>()) };
        first = entry.info.ai_next;
    }
}

fn raw(address: SocketAddr) -> (c_int, u32, libc::sockaddr_storage) {
    // SAFETY: zero is an empty address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let place = &raw mut storage;
    match address {
        SocketAddr::V4(address) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage has room for every kind of address.
            unsafe { place.cast::<libc::sockaddr_in>().write(raw) };
            (libc::AF_INET, size_of_val(&raw) as u32, storage)
        }
        SocketAddr::V6(address) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: 0,
            };
            // SAFETY: likewise.
            unsafe { place.cast::<libc::sockaddr_in6>().write(raw) };
            (libc::AF_INET6, size_of_val(&raw) as u32, storage)
        }
    }
}
