//! Host names to addresses, by the system's own look-up, which cannot be
//! cancelled: it runs on a thread of its own and may be left behind there.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use url::Host;

use crate::error::Error;
use crate::failure::{Failure, NoConnection, in_words};
use crate::sys::{self, Entry, Interest};
use crate::wait::{Unready, Until};

/// A look-up left behind lasts until the system gives up, some ten seconds;
/// this bounds how many there can be.
const MAX_THREADS: usize = 1024;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// The addresses of a host, in the order in which to try them.
pub(crate) fn resolve(
    host: Host<&str>,
    port: u16,
    until: Until<'_>,
) -> Result<Vec<SocketAddr>, NoConnection> {
    match host {
        Host::Ipv4(address) => Ok(vec![(address, port).into()]),
        Host::Ipv6(address) => Ok(vec![(address, port).into()]),
        Host::Domain(name) => look_up(name, port, until),
    }
}

fn look_up(
    name: &str,
    port: u16,
    until: Until<'_>,
) -> Result<Vec<SocketAddr>, NoConnection> {
    let failure = |error, cause: &dyn std::fmt::Display| {
        Failure::new(error, format!("look-up of {name}: {cause}"))
    };
    // The reader becomes ready when the thread drops the writer.
    let (reader, writer) = io::pipe()
        .map_err(|cause| failure(Error::System, &in_words(&cause)))?;
    let (sender, receiver) = crossbeam_channel::bounded(1);
    let wanted = name.to_owned();
    spawn(move || {
        let found = (wanted.as_str(), port).to_socket_addrs();
        // Nobody receives what was left behind.
        let _ = sender.send(found);
        drop(writer);
    })
    .map_err(|cause| failure(Error::System, &in_words(&cause)))?;

    match until.wait(Entry::new(reader.as_fd(), Interest::Read)) {
        Ok(()) => {}
        Err(Unready::Interrupted) => return Err(NoConnection::Interrupted),
        Err(Unready::Deadline) => {
            return Err(failure(Error::Timeout, &"no answer in time").into());
        }
        Err(Unready::System(cause)) => {
            return Err(failure(Error::System, &in_words(&cause)).into());
        }
    }
    match receiver.try_recv() {
        Ok(Ok(found)) => {
            let addresses = interleave_families(found.collect());
            if addresses.is_empty() {
                return Err(failure(Error::Resolve, &"no address").into());
            }
            Ok(addresses)
        }
        Ok(Err(cause)) => Err(failure(Error::Resolve, &reason(&cause)).into()),
        Err(_) => Err(failure(Error::Internal, &"the thread died").into()),
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    /// One thread's place among the [`MAX_THREADS`].
    struct Place;
    impl Drop for Place {
        fn drop(&mut self) {
            THREADS.fetch_sub(1, Relaxed);
        }
    }
    let taken = THREADS.fetch_add(1, Relaxed);
    let place = Place;
    if taken >= MAX_THREADS {
        return Err(io::Error::other("too many look-ups at once"));
    }
    let work = move || {
        let _place = place;
        work();
    };
    // The system's plug-ins for names may need as much as a callback.
    let stack = sys::stack_as_here();
    sys::spawn("eventsource-dns", stack, work).map(drop)
}

/// std puts a sentence of its own before the system's.
fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.rsplit_once(": ") {
        Some((_, reason)) => in_words(&io::Error::other(reason)),
        None => in_words(cause),
    }
}

/// The families take turns, beginning with the one that the system prefers
/// (RFC 8305, 4), so that a family without a route costs one attempt.
fn interleave_families(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else {
        return addresses;
    };
    let (mut one, mut other): (Vec<_>, Vec<_>) =
        addresses.iter().partition(|address| address.is_ipv4() == first);
    one.reverse();
    other.reverse();
    let mut turns = Vec::with_capacity(addresses.len());
    while let Some(address) = one.pop() {
        turns.push(address);
        turns.extend(other.pop());
    }
    other.reverse();
    turns.extend(other);
    turns
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn the_families_take_turns() {
        let list = |text: &str| -> Vec<SocketAddr> {
            text.split(' ')
                .map(|ip| SocketAddr::from((ip.parse::<IpAddr>().unwrap(), 1)))
                .collect()
        };
        assert_eq!(
            interleave_families(list("::1 ::2 ::3 1.1.1.1")),
            list("::1 1.1.1.1 ::2 ::3")
        );
        assert_eq!(
            interleave_families(list("1.1.1.1 ::1 ::2 ::3")),
            list("1.1.1.1 ::1 ::2 ::3")
        );
        assert_eq!(interleave_families(vec![]), vec![]);
    }
}
