//! Which sources of a loop go to the same server in the same way, so that one
//! connection is enough for them.

use std::sync::Arc;

use crate::credentials::Credentials;
use crate::http::exchange::Route;
use crate::net::trust::Peer;
use crate::settings::network::Network;
use crate::settings::version::HttpVersion;
use crate::source::post::Crowd;

/// So many servers are known to speak HTTP/1.1; of more the last ones.
const KNOWN: usize = 1024;

/// All that there are, each with a number.
#[derive(Default)]
pub(crate) struct Groups(Vec<Option<Box<Group>>>);

/// Sources that go to one server in one way.
pub(crate) struct Group {
    key: Key,
    pub(crate) is_http1: bool,
    /// Those that take new streams.
    pub(crate) lines: Vec<u32>,
    pub(crate) crowd: Arc<Crowd>,
    /// The crowd's tokens; and of some who have left it.
    pub(crate) waiting: Vec<u64>,
    /// How many attempts to connect are under way for the crowd.
    pub(crate) dials: usize,
}

/// What requests have in common that can go over one connection.
struct Key {
    is_secure: bool,
    host: Box<str>,
    port: u16,
    network: Arc<Network>,
    peer: Peer,
    client_certificate: Credentials,
    http_version: HttpVersion,
}

impl Key {
    fn of(route: &Route) -> Key {
        Key {
            is_secure: route.url.is_secure(),
            host: route.url.host_str().into(),
            port: route.url.port(),
            network: route.network.clone(),
            peer: route.peer,
            client_certificate: route.client_certificate,
            http_version: route.http_version,
        }
    }

    fn is_of(&self, route: &Route) -> bool {
        *self.host == *route.url.host_str()
            && self.port == route.url.port()
            && self.is_secure == route.url.is_secure()
            && self.http_version == route.http_version
            && self.peer == route.peer
            && self.client_certificate == route.client_certificate
            && self.network.is(&route.network)
    }
}

impl Group {
    fn is_of_use(&self) -> bool {
        self.is_http1
            || self.dials > 0
            || !self.lines.is_empty()
            || self.crowd.count() > 0
    }
}

impl Groups {
    pub(crate) fn get(&self, number: u32) -> Option<&Group> {
        self.0.get(number as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Group> {
        self.0.get_mut(number as usize)?.as_deref_mut()
    }

    /// That of a route, if there is one.
    pub(crate) fn find(&self, route: &Route) -> Option<u32> {
        let is_this = |group: &Option<Box<Group>>| {
            group.as_ref().is_some_and(|group| group.key.is_of(route))
        };
        self.0.iter().position(is_this).map(|index| index as u32)
    }

    /// A new one for a route, in the place of one that is of no use any more.
    pub(crate) fn add(&mut self, route: &Route) -> u32 {
        let group = Some(Box::new(Group {
            key: Key::of(route),
            is_http1: false,
            lines: Vec::new(),
            crowd: Arc::default(),
            waiting: Vec::new(),
            dials: 0,
        }));
        let is_free = |it: &Option<Box<Group>>| {
            it.as_ref().is_none_or(|group| !group.is_of_use())
        };
        let index = self.0.iter().position(is_free);
        let index = index.unwrap_or(self.0.len());
        match self.0.get_mut(index) {
            Some(place) => *place = group,
            None => self.0.push(group),
        }
        index as u32
    }

    /// The server of a group speaks HTTP/1.1.
    pub(crate) fn set_http1(&mut self, number: u32) {
        let known = self.0.iter_mut().flatten().filter(|it| it.is_http1);
        let known: Vec<_> = known.collect();
        if known.len() >= KNOWN
            && let Some(first) = known.into_iter().next()
        {
            first.is_http1 = false;
        }
        if let Some(group) = self.get_mut(number) {
            group.is_http1 = true;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
