//! How the program wants servers to be reached: proxy, Unix socket, TLS.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use crate::error::Error;
use crate::failure::Failure;
use crate::net::environment::Environment;
use crate::net::interface::Interface;
use crate::net::proxy::Proxy;
use crate::net::socket::unix_address;
use crate::net::trust::Trust;
use crate::url::HttpUrl;

/// How servers are reached; the same for every request of a source.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "http2", derive(PartialEq))]
pub(crate) struct Network {
    pub(crate) trust: Trust,
    /// Where to connect, whatever the URL's host is.
    pub(crate) unix_socket: Option<PathBuf>,
    /// What connections go out over; without one, the system chooses.
    pub(crate) interface: Option<Interface>,
    proxies: Proxies,
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "http2", derive(PartialEq))]
enum Proxies {
    /// Those of the environment, once it has been looked at.
    Environment(Environment),
    /// The program's.
    Own(Option<Box<Proxy>>),
}

impl Default for Proxies {
    fn default() -> Proxies {
        Proxies::Environment(Environment::default())
    }
}

impl Network {
    /// That of a program which has said nothing. There is one for all sources:
    /// most of them have it.
    pub(crate) fn default_one() -> Arc<Network> {
        static DEFAULT: LazyLock<Arc<Network>> = LazyLock::new(Arc::default);
        DEFAULT.clone()
    }

    /// Whether both say the same.
    #[cfg(feature = "http2")]
    pub(crate) fn is(self: &Arc<Network>, other: &Arc<Network>) -> bool {
        Arc::ptr_eq(self, other) || self == other
    }

    /// The proxy to go through to a URL, if there is one.
    pub(crate) fn proxy(
        &self,
        url: &HttpUrl,
    ) -> Result<Option<Proxy>, Failure> {
        match &self.proxies {
            _ if self.unix_socket.is_some() => Ok(None),
            Proxies::Environment(environment) => environment.proxy(url),
            Proxies::Own(proxy) => Ok(proxy.as_deref().cloned()),
        }
    }

    /// Goes through a proxy, or through none if the text is empty, whatever the
    /// environment says; without a text, through the environment's again.
    pub(crate) fn set_proxy(
        &mut self,
        proxy: Option<&str>,
    ) -> Result<(), Error> {
        self.proxies = match proxy {
            None => Proxies::default(),
            Some("") => Proxies::Own(None),
            Some(proxy) => Proxies::Own(Some(Box::new(Proxy::parse(proxy)?))),
        };
        Ok(())
    }

    /// Connects to a Unix socket, or no longer.
    pub(crate) fn set_unix_socket(
        &mut self,
        path: Option<&Path>,
    ) -> Result<(), Error> {
        if let Some(path) = path
            && (path.as_os_str().is_empty() || unix_address(path).is_err())
        {
            return Err(Error::Value);
        }
        self.unix_socket = path.map(Path::to_owned);
        Ok(())
    }

    /// Looks at the environment, as far as the program has not said what it
    /// wants. None if that changes nothing: most name no proxy, and the network
    /// stays the default one.
    pub(crate) fn read_environment(&self) -> Option<Environment> {
        self.trust.read_environment();
        let Proxies::Environment(known) = &self.proxies else { return None };
        Some(Environment::of_process()).filter(|now| now != known)
    }

    /// Takes over what has been read there.
    pub(crate) fn set_environment(&mut self, environment: Environment) {
        self.proxies = Proxies::Environment(environment);
    }
}
