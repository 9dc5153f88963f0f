//! TLS with a server that need not prove who it is: any certificate will do.

use rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime, alg_id,
};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use webpki::RawPublicKeyEntity;

use crate::net::certificate::PublicKey;
use crate::net::refusal::Refusal;

/// Signatures that cannot be checked here, and are offered all the same: a
/// server whose key makes no other would refuse the handshake.
const UNCHECKED: [SignatureScheme; 5] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED448,
    // RSA keys that are for PSS alone (RFC 8446, 4.2.3).
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
];

/// The sizes of RSA keys, in bytes, that ring checks signatures of.
const RSA_SIZES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Takes every certificate. That the server has the certificate's key is
/// still checked, if the key is of a kind and size that can be.
#[derive(Debug)]
pub(super) struct Unverified {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// Whether keys for which this cannot be checked are refused: where the
    /// key is all that counts, a server that only shows it has not got it.
    pub(super) strict: bool,
}

impl Unverified {
    /// Whether signatures of this key can be checked.
    fn knows(&self, key: &PublicKey<'_>) -> bool {
        if key.algorithm == alg_id::RSA_ENCRYPTION.as_ref() {
            return key.rsa_size().is_some_and(|it| RSA_SIZES.contains(&it));
        }
        let mut known = self.algorithms.all.iter();
        known.any(|it| it.public_key_alg_id().as_ref() == key.algorithm)
    }

    fn check(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key =
            PublicKey::of(certificate).ok_or(CertificateError::BadEncoding)?;
        if !self.knows(&key) {
            if self.strict {
                return Err(match Refusal::of_key(certificate) {
                    Refusal::WithoutKey => Refusal::UnknownKey,
                    short => short,
                }
                .into());
            }
            log::debug!("the server's signature is of a kind not checked");
            return Ok(HandshakeSignatureValid::assertion());
        }
        let info = SubjectPublicKeyInfoDer::from(key.info);
        let key = RawPublicKeyEntity::try_from(&info)
            .map_err(|_| CertificateError::BadEncoding)?;
        let mut mapping = self.algorithms.mapping.iter();
        let algorithms = mapping
            .find(|(scheme, _)| *scheme == signature.scheme)
            .map_or(&[][..], |(_, algorithms)| algorithms);
        let valid = algorithms.iter().any(|algorithm| {
            key.verify_signature(*algorithm, message, signature.signature())
                .is_ok()
        });
        match valid {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(Refusal::WithoutKey.into()),
        }
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = self.algorithms.supported_schemes();
        let unchecked = UNCHECKED.into_iter().filter(|_| !self.strict);
        known.into_iter().chain(unchecked).collect()
    }
}
