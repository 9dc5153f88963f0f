//! What the attempts of a source have taught. Of a host's addresses one may
//! take a connection and then say nothing: the next attempt begins with
//! another. And a server may speak one version of HTTP only: it is asked for
//! that at once.

use std::net::SocketAddr;
use std::sync::Mutex;

use url::Host;

use crate::failure::NoConnection;
use crate::net::interface::Interface;
use crate::net::resolve::resolve;
use crate::net::socket::Socket;
#[cfg(feature = "http2")]
use crate::net::tls::Alpn;
use crate::sync::lock;
use crate::wait::Until;

/// What the attempts of one source have taught.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Option<Box<Known>>>);

#[derive(Debug, Default)]
struct Known {
    /// Took a connection that came to nothing; the last one last.
    failed: Vec<SocketAddr>,
    /// What the exchange under way goes to: a proxy, a server, or both.
    used: Vec<SocketAddr>,
    /// The origin that speaks this and nothing else.
    #[cfg(feature = "http2")]
    speaks: Option<Box<(String, Alpn)>>,
}

impl Known {
    fn is_empty(&self) -> bool {
        #[cfg(feature = "http2")]
        if self.speaks.is_some() {
            return false;
        }
        self.failed.is_empty() && self.used.is_empty()
    }
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
        let known = lock(&self.0);
        let Some(known) = &*known else { return };
        // None stands before Some.
        addresses.sort_by_key(|address| {
            known.failed.iter().position(|other| other == address)
        });
    }

    /// What the server of an origin is known to speak, and nothing else.
    #[cfg(feature = "http2")]
    pub(crate) fn spoken(
        &self,
        origin: impl FnOnce() -> String,
    ) -> Option<Alpn> {
        let known = lock(&self.0);
        let (known, alpn) = known.as_ref()?.speaks.as_deref()?;
        (*known == origin()).then_some(*alpn)
    }

    /// That is so no longer.
    #[cfg(feature = "http2")]
    pub(crate) fn forget_what_is_spoken(&self) {
        self.change(|known| known.speaks = None);
    }

    /// The server of an origin speaks this and nothing else.
    #[cfg(feature = "http2")]
    pub(crate) fn speaks(&self, origin: String, alpn: Alpn) {
        self.change(|known| known.speaks = Some(Box::new((origin, alpn))));
    }

    /// An exchange begins, or has brought a response.
    pub(crate) fn begin(&self) {
        self.change(|known| known.used.clear());
    }

    /// The exchange goes to this address.
    pub(crate) fn used(&self, address: SocketAddr) {
        self.change(|known| known.used.push(address));
    }

    /// The exchange has brought no response.
    pub(crate) fn fail(&self) {
        self.change(|Known { failed, used, .. }| {
            failed.retain(|address| !used.contains(address));
            failed.append(used);
            failed.drain(..failed.len().saturating_sub(Turns::KEPT));
        });
    }

    /// What says nothing any more takes no memory.
    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut place = lock(&self.0);
        let mut known = place.take().unwrap_or_default();
        change(&mut known);
        *place = Some(known).filter(|known| !known.is_empty());
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
        let none = Turns::default();
        none.used(all[0]);
        assert!(lock(&none.0).is_some());
        none.begin();
        assert!(lock(&none.0).is_none(), "nothing is kept of what went well");
        for port in 10..100 {
            turns.used(([127, 0, 0, 1], port).into());
            turns.fail();
        }
        let known = lock(&turns.0);
        assert_eq!(known.as_ref().unwrap().failed.len(), Turns::KEPT);
    }
}
