//! The URLs that a source asks for.

use std::fmt;

use url::{Host, Position, Url};

use crate::error::Error;
use crate::userinfo::UserInfo;

/// A URL whose scheme is http or https. The URL Standard gives these a host,
/// which is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl(Url);

const NO_HOST: &str = "http URLs have a host";

impl HttpUrl {
    /// An absolute URL (R1, R2).
    pub(crate) fn parse(text: &str) -> Result<HttpUrl, Error> {
        Url::parse(text).map_err(|_| Error::Url)?.try_into()
    }

    /// What `text` means where this URL is the base.
    pub(crate) fn join(&self, text: &str) -> Result<Url, Error> {
        self.0.join(text).map_err(|_| Error::Url)
    }

    pub(crate) fn as_url(&self) -> &Url {
        &self.0
    }

    /// As the URL Standard serializes it.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the scheme is https.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn host(&self) -> Host<&str> {
        self.0.host().expect(NO_HOST)
    }

    /// The host; an IPv6 address is in brackets.
    pub(crate) fn host_str(&self) -> &str {
        self.0.host_str().expect(NO_HOST)
    }

    /// Whether the host is this machine, by its name or address: what goes
    /// there leaves it on no way (RFC 6761, 6.3).
    pub(crate) fn is_loopback(&self) -> bool {
        match self.host() {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.to_canonical().is_loopback(),
        }
    }

    /// The port, which may be the scheme's own.
    pub(crate) fn port(&self) -> u16 {
        self.0.port_or_known_default().expect("http URLs have a port")
    }

    /// Host, and port if it is not the scheme's own.
    pub(crate) fn authority(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterPort]
    }

    /// What a server is asked for: path and query.
    pub(crate) fn target(&self) -> &str {
        &self.0[Position::BeforePath..Position::AfterQuery]
    }

    /// R56: scheme, host, and port if it is not the scheme's own.
    pub(crate) fn origin(&self) -> String {
        [self.0.scheme(), "://", self.authority()].concat()
    }

    pub(crate) fn has_origin_of(&self, other: &HttpUrl) -> bool {
        self.0.scheme() == other.0.scheme()
            && self.authority() == other.authority()
    }

    /// What a log may show: no user, password, query and fragment, any of
    /// which may be a secret.
    pub(crate) fn loggable(&self) -> impl fmt::Display {
        Loggable(self)
    }

    pub(crate) fn remove_user_info(&mut self) {
        self.0.set_username("").expect(NO_HOST);
        self.0.set_password(None).expect(NO_HOST);
    }

    pub(crate) fn user_info(&self) -> Option<UserInfo> {
        UserInfo::of(&self.0)
    }
}

struct Loggable<'a>(&'a HttpUrl);

impl fmt::Display for Loggable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin(), self.0.as_url().path())
    }
}

impl TryFrom<Url> for HttpUrl {
    type Error = Error;

    fn try_from(url: Url) -> Result<HttpUrl, Error> {
        match url.scheme() {
            "http" | "https" => Ok(HttpUrl(url)),
            _ => Err(Error::Scheme),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a URL are those of its origin.
    #[test]
    fn an_origin_is_what_the_url_standard_says() {
        let urls = [
            "http://EXAMPLE.com:80",
            "https://example.com:80/",
            "https://u:p@EXAMPLE.com:443/path?query#fragment",
            "https://:@xn--mnchen-3ya.test.:0444",
            "http://u@[::ffff:1.2.3.4]:8080",
            "http://0x7f.1/@:",
            "https://127.0.0.1",
        ];
        let urls = urls.map(|url| HttpUrl::parse(url).expect("a URL"));
        for one in &urls {
            let origin = one.0.origin();
            assert_eq!(one.origin(), origin.ascii_serialization());
            for other in &urls {
                let same = origin == other.0.origin();
                assert_eq!(one.has_origin_of(other), same, "{one:?} {other:?}");
            }
        }
    }
}
