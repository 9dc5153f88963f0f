//! Why a server's certificate is refused, in words that rustls does not have.

use std::fmt;
use std::sync::Arc;

use rustls::{CertificateError, OtherError};

use crate::net::certificate::PublicKey;

/// Why a certificate is refused, where rustls has no name for it.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It vouches for itself.
    SelfSigned,
    /// It is of version 1 or 2.
    OldVersion,
    /// It has an RSA key of so many bits.
    ShortKey(usize),
    /// The server has not shown that it has the key.
    WithoutKey,
    /// Whether the server has the key cannot be found out here.
    UnknownKey,
    /// The key is this one, and none of those that are pinned.
    NotPinned(String),
}

impl Refusal {
    /// Why the handshake's signature cannot be made with this certificate's
    /// key.
    pub(super) fn of_key(certificate: &[u8]) -> Refusal {
        let size = PublicKey::of(certificate).and_then(|key| key.rsa_size());
        match size {
            Some(size @ ..256) => Refusal::ShortKey(size * 8),
            _ => Refusal::WithoutKey,
        }
    }
}

impl From<Refusal> for rustls::Error {
    fn from(refusal: Refusal) -> rustls::Error {
        CertificateError::Other(OtherError(Arc::new(refusal))).into()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::SelfSigned => {
                f.write_str("it is self-signed, and not trusted here")
            }
            Refusal::OldVersion => f.write_str("it is not of version 3"),
            Refusal::ShortKey(bits) => {
                write!(f, "its RSA key has {bits} bits, 2048 is the least")
            }
            Refusal::WithoutKey => {
                f.write_str("the server does not have its private key")
            }
            Refusal::UnknownKey => f.write_str(
                "its key is of a kind or size that is not known here",
            ),
            Refusal::NotPinned(key) => {
                write!(f, "its key is {key}, which is not pinned")
            }
        }
    }
}

impl std::error::Error for Refusal {}
