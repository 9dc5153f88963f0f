//! A proxy's URL: where the proxy is, what it speaks, and who asks. How it is
//! spoken to is in `tunnel`.

use std::fmt;

use http::header::HeaderValue;
use url::{Host, Url};

use crate::error::Error;
use crate::failure::Failure;
use crate::url::HttpUrl;
use crate::userinfo::UserInfo;

/// Where a proxy is, what it speaks, and who asks.
#[derive(Clone, PartialEq)]
pub(crate) struct Proxy {
    pub(super) protocol: Protocol,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) user: Option<UserInfo>,
}

/// What is spoken to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    /// HTTP over TLS.
    Https,
    /// Given an IPv4 address.
    Socks4,
    /// Given the host's name.
    Socks4a,
    /// Given an address.
    Socks5,
    /// Given the host's name.
    Socks5h,
}

impl Protocol {
    const ALL: [(&str, Protocol); 6] = [
        ("http", Protocol::Http),
        ("https", Protocol::Https),
        ("socks4", Protocol::Socks4),
        ("socks4a", Protocol::Socks4a),
        ("socks5", Protocol::Socks5),
        ("socks5h", Protocol::Socks5h),
    ];

    fn of_scheme(scheme: &str) -> Option<Protocol> {
        let mut all = Protocol::ALL.into_iter();
        all.find(|(name, _)| *name == scheme).map(|(_, protocol)| protocol)
    }

    fn scheme(self) -> &'static str {
        let mut all = Protocol::ALL.into_iter();
        all.find(|(_, protocol)| *protocol == self).expect("all are there").0
    }

    fn default_port(self) -> u16 {
        match self {
            Protocol::Http => 80,
            Protocol::Https => 443,
            _ => 1080,
        }
    }

    fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Https)
    }
}

impl Proxy {
    /// Reads `scheme://user:password@host:port`, in which only the host is
    /// needed: without a scheme, it is an HTTP proxy.
    pub(crate) fn parse(text: &str) -> Result<Proxy, Error> {
        let url = match text.contains("://") {
            true => Url::parse(text),
            false => Url::parse(&format!("http://{text}")),
        };
        let url = url.map_err(|_| Error::Url)?;
        let protocol =
            Protocol::of_scheme(url.scheme()).ok_or(Error::Scheme)?;
        let host = match url.host() {
            // Not looked at yet, if the scheme is none of the Web's.
            Some(Host::Domain(name)) => {
                Host::parse(name).map_err(|_| Error::Url)?
            }
            Some(host) => host.to_owned(),
            None => return Err(Error::Url),
        };
        // More than an address is a mistake, perhaps a URL meant for something
        // else: to leave the rest out in silence would hide it.
        let more = url.query().is_some() || url.fragment().is_some();
        if more || !matches!(url.path(), "" | "/") {
            return Err(Error::Url);
        }
        let user = UserInfo::of(&url);
        if user.as_ref().is_some_and(|user| !fits(user, protocol)) {
            return Err(Error::Url);
        }
        // curl takes 1080 for an HTTP proxy without a port, and nobody else
        // does.
        let port = url.port().unwrap_or(protocol.default_port());
        Ok(Proxy { protocol, host, port, user })
    }

    /// Whether the proxy is asked in the place of the server of `url`, with
    /// the whole URL.
    pub(crate) fn forwards(&self, url: &HttpUrl) -> bool {
        self.protocol.is_http() && !url.is_secure()
    }

    /// The value of `Proxy-Authorization`.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        self.user.as_ref().map(UserInfo::basic_authorization)
    }

    /// What a response's status says about the proxy that gave it, if
    /// anything.
    pub(crate) fn refusal(&self, status: u16) -> Option<Failure> {
        let message = match (status, &self.user) {
            (407, None) => "it asks for a user name and a password",
            (407, Some(_)) => "it refuses the user name or the password",
            _ => return None,
        };
        Some(self.failure(Error::Proxy, format!("{message} (status 407)")))
    }

    /// A failure that names the proxy.
    pub(super) fn failure(
        &self,
        error: Error,
        message: impl fmt::Display,
    ) -> Failure {
        self.named(Failure::new(error, message.to_string()))
    }

    /// The same failure, which names the proxy.
    pub(super) fn named(&self, failure: Failure) -> Failure {
        let message = format!("proxy {self}: {}", failure.message);
        Failure { message, ..failure }
    }
}

/// Without user name and password: for people.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.protocol.scheme();
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `protocol` can carry this user and password.
fn fits(user: &UserInfo, protocol: Protocol) -> bool {
    match protocol {
        // Basic authentication ends the name at the first colon (RFC 7617, 2).
        Protocol::Http | Protocol::Https => !user.name.contains(&b':'),
        // It ends with a NUL.
        Protocol::Socks4 | Protocol::Socks4a => !user.name.contains(&0),
        Protocol::Socks5 | Protocol::Socks5h => {
            (1..=255).contains(&user.name.len()) && user.password.len() <= 255
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, Error> {
        Proxy::parse(text).map(|proxy| proxy.to_string())
    }

    #[test]
    fn a_proxy_is_a_url_or_less() {
        for (text, url) in [
            ("proxy", "http://proxy:80"),
            ("proxy:3128", "http://proxy:3128"),
            ("user:password@proxy:3128", "http://proxy:3128"),
            ("http://proxy/", "http://proxy:80"),
            ("http://proxy:80", "http://proxy:80"),
            ("HTTPS://Proxy", "https://proxy:443"),
            ("socks4://proxy", "socks4://proxy:1080"),
            ("socks4a://proxy:80", "socks4a://proxy:80"),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
            ("socks5h://u:p@[::1]:9050", "socks5h://[::1]:9050"),
            ("socks5h://PROXY.Example", "socks5h://proxy.example:1080"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(url), "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for (text, error) in [
            ("", Error::Url),
            (" ", Error::Url),
            ("http://", Error::Url),
            ("socks5://", Error::Url),
            ("socks5://:1080", Error::Url),
            ("://proxy", Error::Url),
            ("not a proxy", Error::Url),
            ("http://proxy:65536", Error::Url),
            ("socks5://proxy:x", Error::Url),
            ("socks5://pro xy", Error::Url),
            ("http://proxy/path", Error::Url),
            ("http://proxy?query", Error::Url),
            ("http://proxy#fragment", Error::Url),
            ("http://us%3Aer:password@proxy", Error::Url),
            ("socks4://us%00er@proxy", Error::Url),
            ("socks5://:password@proxy", Error::Url),
            ("ftp://proxy", Error::Scheme),
            ("socks://proxy", Error::Scheme),
            ("file:///proxy", Error::Scheme),
        ] {
            assert_eq!(parsed(text), Err(error), "{text}");
        }
        let long = "x".repeat(256);
        assert_eq!(parsed(&format!("socks5://{long}@x")), Err(Error::Url));
        assert_eq!(parsed(&format!("socks5://u:{long}@x")), Err(Error::Url));
        assert!(parsed(&format!("http://u:{long}@x")).is_ok());
    }

    #[test]
    fn nothing_shows_the_password() {
        let proxy = Proxy::parse("http://user:secret@proxy").unwrap();
        let shown = format!("{proxy} {proxy:?} {:?}", proxy.authorization());
        assert!(!shown.contains("secret"), "{shown}");
        assert!(!shown.contains("dXNlcjpzZWNyZXQ"), "{shown}");
        let failure = proxy.refusal(407).unwrap();
        assert!(!failure.message.contains("secret"), "{failure}");
    }
}
