//! TLS as the program has set it: authorities, client certificate,
//! verification.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use url::Host;

use crate::credentials::Credentials;
use crate::error::Error;
use crate::failure::Failure;
use crate::net::authorities::Authorities;
use crate::net::configuration::{Sessions, configuration, provider};
use crate::net::pem::{certificates_in, read};
use crate::net::pins::{Pinned, Pins};
use crate::net::unverified::Unverified;
use crate::net::watched::{Content, Watched};
use crate::sync::lock;

/// What the program has said about TLS.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// In the place of the system's.
    authorities: Option<Ca>,
    /// The client certificate and its key.
    identity: Option<Identity>,
    /// Whether a certificate has to be valid, or any will do.
    verify_peer: bool,
    /// What the certificate of [`Peer::Own`] has to be for, whatever the host
    /// of the URL is.
    name: Option<Name>,
    /// The keys of which [`Peer::Own`] has to have one.
    pins: Option<Pins>,
    /// The configurations that are this source's alone, once they were needed:
    /// with the client certificate, and with pinned keys.
    made: Cache,
}

/// The authorities that the program trusts.
#[derive(Debug, Clone)]
pub(crate) struct Ca(Known);

#[derive(Debug, Clone)]
enum Known {
    /// Those in a file, as it is now.
    File(Arc<Watched<Authorities>>),
    /// Those in a text.
    Text(Arc<Authorities>),
}

impl Ca {
    /// Reads a file, unless another source has done so.
    pub(crate) fn in_file(path: &Path) -> Result<Ca, Error> {
        Authorities::in_file(path).map(Known::File).map(Ca)
    }

    /// Reads a text in PEM, unless another source has done so.
    pub(crate) fn in_text(pem: &[u8]) -> Result<Ca, Error> {
        Authorities::in_text(pem).map(Known::Text).map(Ca)
    }
}

#[cfg(feature = "http2")]
impl PartialEq for Ca {
    /// Sources that name the same file, or the same text, share it.
    fn eq(&self, other: &Ca) -> bool {
        match (&self.0, &other.0) {
            (Known::File(one), Known::File(other)) => Arc::ptr_eq(one, other),
            (Known::Text(one), Known::Text(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// The files with a client certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct Identity(Arc<Watched<CertifiedKey>>);

#[cfg(feature = "http2")]
impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        self.0.has_paths_of(&other.0)
    }
}

impl Identity {
    /// Reads the files.
    pub(crate) fn read(
        certificates: &Path,
        key: &Path,
    ) -> Result<Identity, Error> {
        let watched = Watched::new([certificates, key], read_identity);
        watched.checked()?;
        Ok(Identity(Arc::new(watched)))
    }
}

/// What a certificate can be for: a DNS name or an IP address.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name(pub(super) ServerName<'static>);

impl Name {
    /// Reads a name, which may be an international one, or an address.
    pub(crate) fn parse(text: &str) -> Result<Name, Error> {
        let inside = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let name = match inside {
            Some(address) => match address.parse() {
                Ok(IpAddr::V6(address)) => IpAddr::V6(address).into(),
                _ => return Err(Error::Value),
            },
            None if text.is_ascii() => in_ascii(text)?,
            None => match Host::parse(text) {
                Ok(Host::Domain(name)) => in_ascii(&name)?,
                _ => return Err(Error::Value),
            },
        };
        Ok(Name(name))
    }
}

fn in_ascii(text: &str) -> Result<ServerName<'static>, Error> {
    let name = ServerName::try_from(text).map_err(|_| Error::Value)?;
    Ok(name.to_owned())
}

/// Who shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The origin of the source's URL, or of the attempt's own.
    Own,
    /// Another origin, which redirects have led to, or a proxy.
    Other,
}

/// On which terms TLS is spoken with a server.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(super) config: Arc<ClientConfig>,
    /// What the certificate has to be for, if not for the host.
    pub(super) name: Option<Name>,
}

/// What a configuration is made of.
#[derive(Debug, Clone)]
struct Parts {
    /// None, if a certificate need not be valid.
    authorities: Option<Arc<Authorities>>,
    pins: Option<Pins>,
    identity: Option<Arc<CertifiedKey>>,
}

impl Parts {
    fn are(&self, other: &Parts) -> bool {
        let authorities = match (&self.authorities, &other.authorities) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        let pins = match (&self.pins, &other.pins) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is(other),
            _ => false,
        };
        let identity = match (&self.identity, &other.identity) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        authorities && pins && identity
    }

    fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        let verifier: Arc<dyn ServerCertVerifier> = match &self.authorities {
            Some(authorities) => authorities.verifier.clone(),
            None => any(self.pins.is_some()),
        };
        match self.pins.clone() {
            None => verifier,
            Some(pins) => Arc::new(Pinned { pins, verifier }),
        }
    }
}

/// A configuration, and what it was made of.
#[derive(Debug)]
struct Made {
    parts: Parts,
    config: Arc<ClientConfig>,
}

/// What was made, without pinned keys and with them.
#[derive(Debug, Default)]
struct Cache(Mutex<[Option<Box<Made>>; 2]>);

/// A copy is for another source, whose sessions are its own.
impl Clone for Cache {
    fn clone(&self) -> Cache {
        Cache::default()
    }
}

impl Default for Trust {
    fn default() -> Trust {
        Trust {
            authorities: None,
            identity: None,
            verify_peer: true,
            name: None,
            pins: None,
            made: Cache::default(),
        }
    }
}

#[cfg(feature = "http2")]
impl PartialEq for Trust {
    /// What was made of it has no part in it.
    fn eq(&self, other: &Trust) -> bool {
        let Trust { authorities, identity, verify_peer, name, pins, made: _ } =
            self;
        *authorities == other.authorities
            && *identity == other.identity
            && *verify_peer == other.verify_peer
            && *name == other.name
            && *pins == other.pins
    }
}

impl Trust {
    /// Trusts these authorities, and no others; without any, the system's.
    pub(crate) fn set_authorities(&mut self, authorities: Option<Ca>) {
        self.authorities = authorities;
    }

    /// Shows a certificate to servers that ask for one.
    pub(crate) fn set_identity(&mut self, identity: Option<Identity>) {
        self.identity = identity;
    }

    /// Whether the server has to prove who it is.
    pub(crate) fn set_verify_peer(&mut self, verify: bool) {
        self.verify_peer = verify;
    }

    /// What the certificate of the source's own origin has to be for; without
    /// a name, for the host of the URL.
    pub(crate) fn set_name(&mut self, name: Option<Name>) {
        self.name = name;
    }

    /// The keys of which the source's own origin has to have one.
    pub(crate) fn set_pins(&mut self, pins: Option<Pins>) {
        self.pins = pins;
    }

    /// Finds out where the system's trust store is, if it may be needed.
    pub(crate) fn read_environment(&self) {
        if self.verifies(Peer::Other) && self.authorities.is_none() {
            let _ = Authorities::of_system();
        }
    }

    /// The terms for a server, as the files are now; with the client
    /// certificate, or without.
    pub(crate) fn terms(
        &self,
        peer: Peer,
        identity: Credentials,
    ) -> Result<Terms, Failure> {
        let config = self.config(peer, identity)?;
        let name = self.name.clone().filter(|_| peer == Peer::Own);
        Ok(Terms { config, name })
    }

    /// Whether a certificate has to be valid. Where keys are pinned, only the
    /// server that they are for may do without.
    fn verifies(&self, peer: Peer) -> bool {
        self.verify_peer || self.pins.is_some() && peer == Peer::Other
    }

    /// Refuses to speak to a server without TLS that has to show a key.
    pub(crate) fn check_plain(&self, peer: Peer) -> Result<(), Failure> {
        if peer == Peer::Other || self.pins.is_none() {
            return Ok(());
        }
        let message = "a key is pinned, and http shows none";
        Err(Failure::new(Error::Tls, message).futile())
    }

    fn config(
        &self,
        peer: Peer,
        identity: Credentials,
    ) -> Result<Arc<ClientConfig>, Failure> {
        let authorities = match self.verifies(peer) {
            true => Some(self.authorities()?),
            false => None,
        };
        let identity = match &self.identity {
            Some(Identity(files)) if identity.are_sent() => {
                Some(files.current().map_err(failure)?)
            }
            _ => None,
        };
        let pins = self.pins.clone().filter(|_| peer == Peer::Own);
        Ok(match (authorities, pins, identity) {
            (None, None, None) => unverified(),
            (Some(authorities), None, None) => authorities.config.clone(),
            (authorities, pins, identity) => {
                self.own(Parts { authorities, pins, identity })
            }
        })
    }

    fn authorities(&self) -> Result<Arc<Authorities>, Failure> {
        match &self.authorities {
            Some(Ca(Known::File(file))) => file.current().map_err(failure),
            Some(Ca(Known::Text(authorities))) => Ok(authorities.clone()),
            None => Authorities::of_system().current().map_err(|_| {
                Failure::new(
                    Error::Tls,
                    "no certificates in the system's trust store",
                )
            }),
        }
    }

    /// A configuration that no other source has: sessions that were begun on
    /// other terms are not resumed in it.
    fn own(&self, parts: Parts) -> Arc<ClientConfig> {
        let mut made = lock(&self.made.0);
        let place = &mut made[usize::from(parts.pins.is_some())];
        if let Some(made) = place
            && made.parts.are(&parts)
        {
            return made.config.clone();
        }
        let config = configuration(
            parts.verifier(),
            parts.identity.clone(),
            Sessions::OneSource,
        );
        *place = Some(Box::new(Made { parts, config: config.clone() }));
        config
    }
}

/// A file that was of use, and of which nothing is left, has no such error.
fn failure(error: Error) -> Failure {
    Failure::new(error, error.text().to_string_lossy())
}

/// The configuration for those who take any certificate and show none.
fn unverified() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    CONFIG
        .get_or_init(|| configuration(any(false), None, Sessions::Shared))
        .clone()
}

fn any(strict: bool) -> Arc<Unverified> {
    let algorithms = provider().signature_verification_algorithms;
    Arc::new(Unverified { algorithms, strict })
}

impl Content for CertifiedKey {
    fn is_same(&self, other: &CertifiedKey) -> bool {
        // A certificate has one key.
        self.cert == other.cert
    }
}

fn read_identity(
    paths: &[PathBuf],
) -> Result<(CertifiedKey, Option<String>), Error> {
    let [certificates, key] = paths else { return Err(Error::Internal) };
    let chain = certificates_in(certificates)?;
    let key = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| Error::PrivateKey)?;
    let identity = CertifiedKey::from_der(chain, key, &provider());
    let identity = identity.map_err(|cause| match cause {
        rustls::Error::InvalidCertificate(_) => Error::Certificate,
        _ => Error::PrivateKey,
    })?;
    Ok((identity, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_share_no_configuration_with_pinned_keys() {
        let key = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let mut one = Trust::default();
        one.set_verify_peer(false);
        one.set_pins(Some(Pins::parse(key).unwrap()));
        let other = one.clone();
        let config =
            |trust: &Trust| trust.config(Peer::Own, Credentials::Send).unwrap();
        assert!(Arc::ptr_eq(&config(&one), &config(&one)));
        assert!(!Arc::ptr_eq(&config(&one), &config(&other)));
        let left = Arc::downgrade(&config(&one));
        drop(one);
        assert_eq!(left.strong_count(), 0, "the other has its own");
    }
}
