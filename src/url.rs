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
        self.0.origin().ascii_serialization()
    }

    pub(crate) fn has_origin_of(&self, other: &HttpUrl) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// What a log may show: no user, password, query and fragment, any of
    /// which may be a secret.
    pub(crate) fn loggable(&self) -> impl fmt::Display {
        Loggable(&self.0)
    }

    pub(crate) fn remove_user_info(&mut self) {
        self.0.set_username("").expect(NO_HOST);
        self.0.set_password(None).expect(NO_HOST);
    }

    pub(crate) fn user_info(&self) -> Option<UserInfo> {
        UserInfo::of(&self.0)
    }
}

struct Loggable<'a>(&'a Url);

impl fmt::Display for Loggable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.0.origin().ascii_serialization();
        write!(f, "{origin}{}", self.0.path())
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
