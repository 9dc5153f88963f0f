//! Which of a host's addresses is tried first. One may take a connection and
//! then say nothing: the next attempt begins with another.

use std::net::SocketAddr;
use std::sync::Mutex;

use url::Host;

use crate::failure::NoConnection;
use crate::net::interface::Interface;
use crate::net::resolve::resolve;
use crate::net::socket::Socket;
use crate::sync::lock;
use crate::wait::Until;

/// What the attempts of one source have taught.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Took a connection that came to nothing; the last one last.
    failed: Vec<SocketAddr>,
    /// What the exchange under way goes to: a proxy, a server, or both.
    used: Vec<SocketAddr>,
}

impl Turns {
    /// More than a name has addresses, mostly; of more the last ones.
    const KEPT: usize = 16;

    /// Connects to an address of `host`.
    pub(crate) fn connect(
        &self,
        host: Host<&str>,
        port: u16,
        interface: Option<&Interface>,
        until: Until<'_>,
    ) -> Result<Socket, NoConnection> {
        let addresses = self.addresses(host, port, until)?;
        let socket = Socket::connect(&addresses, interface, until)?;
        if let Some(peer) = socket.peer() {
            // As it was looked up: without the link that the interface adds.
            let mut known = addresses.into_iter();
            self.used(known.find(|it| it.ip() == peer.ip()).unwrap_or(peer));
        }
        Ok(socket)
    }

    /// The addresses of `host`, in the order in which to try them: those that
    /// have failed stand behind the others, the last one last.
    pub(crate) fn addresses(
        &self,
        host: Host<&str>,
        port: u16,
        until: Until<'_>,
    ) -> Result<Vec<SocketAddr>, NoConnection> {
        let mut addresses = resolve(host, port, until)?;
        self.sort(&mut addresses);
        Ok(addresses)
    }

    fn sort(&self, addresses: &mut [SocketAddr]) {
        let failed = &lock(&self.0).failed;
        // None stands before Some.
        addresses.sort_by_key(|address| {
            failed.iter().position(|other| other == address)
        });
    }

    /// An exchange begins.
    pub(crate) fn begin(&self) {
        lock(&self.0).used.clear();
    }

    /// The exchange goes to this address.
    pub(crate) fn used(&self, address: SocketAddr) {
        let used = &mut lock(&self.0).used;
        // One is the rule, and is kept for as long as the source lives.
        used.reserve_exact(1);
        used.push(address);
    }

    /// The exchange has brought no response.
    pub(crate) fn fail(&self) {
        let Known { failed, used } = &mut *lock(&self.0);
        failed.retain(|address| !used.contains(address));
        failed.append(used);
        failed.drain(..failed.len().saturating_sub(Turns::KEPT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(turns: &Turns, addresses: &[SocketAddr]) -> Vec<u16> {
        let mut addresses = addresses.to_vec();
        turns.sort(&mut addresses);
        addresses.iter().map(SocketAddr::port).collect()
    }

    #[test]
    fn who_has_failed_last_is_tried_last() {
        let all: Vec<SocketAddr> =
            (1..=3).map(|port| ([127, 0, 0, 1], port).into()).collect();
        let turns = Turns::default();
        for (used, then) in
            [(0, [2, 3, 1]), (1, [3, 1, 2]), (2, [1, 2, 3]), (1, [1, 3, 2])]
        {
            turns.begin();
            turns.used(all[used]);
            turns.fail();
            assert_eq!(order(&turns, &all), then);
        }
        // What has brought a response has not failed.
        turns.used(all[0]);
        turns.begin();
        turns.fail();
        assert_eq!(order(&turns, &all), [1, 3, 2]);
        for port in 10..100 {
            turns.used(([127, 0, 0, 1], port).into());
            turns.fail();
        }
        assert_eq!(lock(&turns.0).failed.len(), Turns::KEPT);
    }
}
