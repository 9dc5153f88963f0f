//! Whom TLS trusts, and what the program shows of itself.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, ServerName, TrustAnchor, UnixTime,
};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError,
    RootCertStore, SignatureScheme,
};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use crate::error::Error;
use crate::failure::Failure;

/// What the program has said about TLS.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    /// In the place of the system's.
    authorities: Option<Arc<RootCertStore>>,
    /// The client certificate and its key.
    identity: Option<Arc<CertifiedKey>>,
    /// Whether a certificate has to be valid, or any will do.
    verify_peer: bool,
    /// Made of the above when first needed.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Default for Trust {
    fn default() -> Trust {
        Trust {
            authorities: None,
            identity: None,
            verify_peer: true,
            config: OnceLock::new(),
        }
    }
}

impl Trust {
    /// Trusts the authorities in a file, and no others; without one, the
    /// system's.
    pub(crate) fn set_authorities(
        &mut self,
        path: Option<&Path>,
    ) -> Result<(), Error> {
        self.authorities = match path {
            None => None,
            Some(path) => Some(authorities_in(path)?),
        };
        Ok(())
    }

    /// Shows a certificate to servers that ask for one.
    pub(crate) fn set_identity(
        &mut self,
        paths: Option<(&Path, &Path)>,
    ) -> Result<(), Error> {
        self.identity = match paths {
            None => None,
            Some((certificates, key)) => {
                Some(Arc::new(identity_in(certificates, key)?))
            }
        };
        Ok(())
    }

    /// Whether the server has to prove who it is.
    pub(crate) fn set_verify_peer(&mut self, verify: bool) {
        self.verify_peer = verify;
    }

    /// The configuration for all this. That of the defaults is shared by
    /// all sources: it is large, and holds the sessions to resume.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        static DEFAULT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let own = !self.verify_peer
            || self.authorities.is_some()
            || self.identity.is_some();
        let place = if own { &self.config } else { &DEFAULT };
        if let Some(config) = place.get() {
            return Ok(config.clone());
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring offers TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(self.verifier()?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(Arc::new(
                SingleCertAndKey::from(identity.clone()),
            )),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(place.get_or_init(|| Arc::new(config)).clone())
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
        if !self.verify_peer {
            return Ok(Arc::new(NoVerification));
        }
        Ok(match &self.authorities {
            Some(authorities) => Arc::new(Verifier::new(authorities.clone())),
            None => system_verifier()?,
        })
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::ring::default_provider()))
        .clone()
}

fn authorities_in(path: &Path) -> Result<Arc<RootCertStore>, Error> {
    let mut store = RootCertStore::empty();
    let certificates = certificates_in(path)?;
    let (_, ignored) = store.add_parsable_certificates(certificates);
    if store.is_empty() {
        return Err(Error::Certificate);
    }
    if ignored > 0 {
        log::warn!("{}: {ignored} broken certificates", path.display());
    }
    Ok(Arc::new(store))
}

fn identity_in(certificates: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    let chain = certificates_in(certificates)?;
    let key = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| Error::PrivateKey)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|cause| match cause
    {
        rustls::Error::InvalidCertificate(_) => Error::Certificate,
        _ => Error::PrivateKey,
    })
}

/// At least one.
fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Certificate)?;
    if certificates.is_empty() {
        return Err(Error::Certificate);
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|_| Error::File)
}

/// Checks certificates against the system's trust store, which is read once.
fn system_verifier() -> Result<Arc<Verifier>, Failure> {
    static VERIFIER: OnceLock<Arc<Verifier>> = OnceLock::new();
    if let Some(verifier) = VERIFIER.get() {
        return Ok(verifier.clone());
    }
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        // Not kept: the store may be there at the next attempt.
        return Err(Failure::new(
            Error::Tls,
            "no certificates in the system's trust store",
        ));
    }
    let verifier = Arc::new(Verifier::new(Arc::new(store)));
    Ok(VERIFIER.get_or_init(|| verifier).clone())
}

/// Checks certificates as the Web does, with two additions: a certificate
/// that is itself in the trust store is trusted, also if it could issue
/// others, as most self-signed ones could; and one that is self-signed is
/// called so.
#[derive(Debug)]
struct Verifier {
    store: Arc<RootCertStore>,
    web: Arc<WebPkiServerVerifier>,
}

impl Verifier {
    fn new(store: Arc<RootCertStore>) -> Verifier {
        let web = WebPkiServerVerifier::builder_with_provider(
            store.clone(),
            provider(),
        )
        .build()
        .expect("the store is not empty, and there are no CRLs");
        Verifier { store, web }
    }

    /// What to say of a certificate that the Web would refuse for `cause`.
    fn reconsider(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        cause: rustls::Error,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_authority = match &cause {
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer,
            ) => false,
            // Found when the dates were in order, and before anything else.
            rustls::Error::InvalidCertificate(CertificateError::Other(
                OtherError(other),
            )) if matches!(
                other.downcast_ref(),
                Some(webpki::Error::CaUsedAsEndEntity)
            ) =>
            {
                true
            }
            _ => return Err(cause),
        };
        if is_authority && self.is_anchor(certificate) {
            let parsed = ParsedCertificate::try_from(certificate)?;
            verify_server_name(&parsed, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        match EndEntityCert::try_from(certificate) {
            Ok(parsed) if parsed.issuer() == parsed.subject() => {
                Err(CertificateError::Other(OtherError(Arc::new(SelfSigned)))
                    .into())
            }
            _ => Err(cause),
        }
    }

    fn is_anchor(&self, certificate: &CertificateDer<'_>) -> bool {
        let anchor: Option<TrustAnchor<'_>> =
            anchor_from_trusted_cert(certificate).ok();
        anchor.is_some_and(|anchor| self.store.roots.contains(&anchor))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.web
            .verify_server_cert(
                end_entity,
                intermediates,
                name,
                ocsp_response,
                now,
            )
            .or_else(|cause| self.reconsider(end_entity, name, cause))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.web.supported_verify_schemes()
    }
}

/// Why a certificate is refused that vouches for itself.
#[derive(Debug)]
struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is self-signed, and not trusted here")
    }
}

impl std::error::Error for SelfSigned {}

/// Takes every certificate, if the server has the key of it.
#[derive(Debug)]
struct NoVerification;

impl ServerCertVerifier for NoVerification {
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
        let known = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &known,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &known,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
