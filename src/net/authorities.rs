//! The authorities to trust, and what they say of a server's certificate.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError,
    RootCertStore, SignatureScheme,
};
use rustls_native_certs::load_certs_from_paths;
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use crate::error::Error;
use crate::net::certificate::version;
use crate::net::configuration::{Sessions, configuration, provider};
use crate::net::pem::{certificates_in, certificates_of};
use crate::net::refusal::Refusal;
use crate::net::watched::{Content, Watched};
use crate::sync::lock;

/// Authorities to trust, and TLS that trusts them.
#[derive(Debug)]
pub(super) struct Authorities {
    pub(super) verifier: Arc<Verifier>,
    /// For those who show no certificate of their own. They share it: it is
    /// large, and holds the sessions to resume.
    pub(super) config: Arc<ClientConfig>,
}

impl Authorities {
    fn new(store: RootCertStore) -> Authorities {
        let verifier = Arc::new(Verifier::new(Arc::new(store)));
        let config = configuration(verifier.clone(), None, Sessions::Shared);
        Authorities { verifier, config }
    }

    /// Those in a file. All who name the file share them.
    pub(super) fn in_file(
        path: &Path,
    ) -> Result<Arc<Watched<Authorities>>, Error> {
        type Files = HashMap<PathBuf, Weak<Watched<Authorities>>>;
        static FILES: Mutex<Option<Files>> = Mutex::new(None);

        let path = std::path::absolute(path).map_err(|_| Error::File)?;
        let watched = {
            let mut files = lock(&FILES);
            let files = files.get_or_insert_default();
            // The last source that named a file takes its certificates with it.
            files.retain(|_, watched| watched.strong_count() > 0);
            let known = files.get(&path).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let new = Arc::new(Watched::new([&*path], read_file));
                files.insert(path, Arc::downgrade(&new));
                new
            })
        };
        // Read now, so that a setter can refuse a file that holds none; and
        // without the table's lock, as reading may log.
        watched.checked()?;
        Ok(watched)
    }

    /// Those in a text. All who have the same text share them.
    pub(super) fn in_text(pem: &[u8]) -> Result<Arc<Authorities>, Error> {
        type Texts = HashMap<[u8; SHA256_OUTPUT_LEN], Weak<Authorities>>;
        static TEXTS: Mutex<Option<Texts>> = Mutex::new(None);

        let hash = digest(&SHA256, pem).as_ref().try_into();
        let hash = hash.expect("SHA-256 has one length");
        let known =
            lock(&TEXTS).as_ref().and_then(|it| it.get(&hash)?.upgrade());
        if let Some(known) = known {
            return Ok(known);
        }
        let (new, line) = of_certificates(certificates_of(pem)?)?;
        // Without the lock: a log callback may come back here.
        if let Some(line) = line {
            log::warn!("authorities: {line}");
        }
        let new = Arc::new(new);
        let mut texts = lock(&TEXTS);
        let texts = texts.get_or_insert_default();
        texts.retain(|_, known| known.strong_count() > 0);
        texts.insert(hash, Arc::downgrade(&new));
        Ok(new)
    }

    /// Those of the system, which are there for as long as the process. The
    /// first call looks at the environment.
    pub(super) fn of_system() -> Arc<Watched<Authorities>> {
        static SYSTEM: OnceLock<Arc<Watched<Authorities>>> = OnceLock::new();
        let new = || {
            let places = system_places();
            let places = places.iter().map(PathBuf::as_path);
            Arc::new(Watched::new(places, read_system))
        };
        // Not in the table of files: to read a bundle of 150 authorities takes
        // milliseconds, and a program that makes a source now and then should
        // not pay for it each time.
        SYSTEM.get_or_init(new).clone()
    }
}

impl Content for Authorities {
    fn is_same(&self, other: &Authorities) -> bool {
        // A trust store is often written anew without a change. A new value
        // would make new configurations, and lose the sessions to resume.
        self.verifier.store.roots == other.verifier.store.roots
    }

    fn take_doubt(&self) -> bool {
        self.verifier.doubt.swap(false, Relaxed)
    }
}

type Read = Result<(Authorities, Option<String>), Error>;

fn read_file(paths: &[PathBuf]) -> Read {
    let [path] = paths else { return Err(Error::Internal) };
    of_certificates(certificates_in(path)?)
}

/// Broken certificates are passed over, and told.
fn of_certificates(certificates: Vec<CertificateDer<'static>>) -> Read {
    let mut store = RootCertStore::empty();
    let (_, ignored) = store.add_parsable_certificates(certificates);
    if store.is_empty() {
        return Err(Error::Certificate);
    }
    let line = format!("{ignored} broken certificates");
    Ok((Authorities::new(store), (ignored > 0).then_some(line)))
}

/// What is broken in there is the system's business.
fn read_system(places: &[PathBuf]) -> Read {
    let (files, directories): (Vec<&Path>, Vec<&Path>) =
        places.iter().map(PathBuf::as_path).partition(|it| !it.is_dir());
    let mut files = files.into_iter();
    let mut directories = directories.into_iter();
    let mut certificates = match (files.next(), directories.next()) {
        (None, None) => rustls_native_certs::load_native_certs().certs,
        (file, directory) => load_certs_from_paths(file, directory).certs,
    };
    for directory in directories {
        let more = load_certs_from_paths(None, Some(directory));
        certificates.extend(more.certs);
    }
    // A bundle and a directory hold the same certificates on most systems.
    certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other));
    certificates.dedup();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        return Err(Error::Certificate);
    }
    Ok((Authorities::new(store), None))
}

/// Where the system keeps its trust store: as the environment has it, else
/// where systems of this kind do. None, if they have an interface for it.
fn system_places() -> Vec<PathBuf> {
    let file = std::env::var_os("SSL_CERT_FILE");
    let directories = std::env::var_os("SSL_CERT_DIR");
    let directories = directories.iter().flat_map(std::env::split_paths);
    let told = file.map(PathBuf::from).into_iter().chain(directories);
    let told = told.filter(|path| !path.as_os_str().is_empty());
    let told: Vec<_> = told.collect();
    match told.is_empty() {
        true => usual_places(),
        false => told,
    }
}

#[cfg(any(target_os = "macos", windows))]
fn usual_places() -> Vec<PathBuf> {
    Vec::new()
}

#[cfg(not(any(target_os = "macos", windows)))]
fn usual_places() -> Vec<PathBuf> {
    let found = openssl_probe::probe();
    found.cert_file.into_iter().chain(found.cert_dir).collect()
}

/// Checks certificates as the Web does, with two additions: a certificate
/// that is itself in the trust store is trusted, also if it could issue
/// others, as most self-signed ones could; and one that is self-signed is
/// called so.
#[derive(Debug)]
pub(super) struct Verifier {
    store: Arc<RootCertStore>,
    web: Arc<WebPkiServerVerifier>,
    /// A certificate was refused: the store may be out of date.
    doubt: AtomicBool,
}

impl Verifier {
    fn new(store: Arc<RootCertStore>) -> Verifier {
        let web = WebPkiServerVerifier::builder_with_provider(
            store.clone(),
            provider(),
        )
        .build()
        .expect("the store is not empty, and there are no CRLs");
        Verifier { store, web, doubt: AtomicBool::new(false) }
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
            rustls::Error::InvalidCertificate(
                CertificateError::BadEncoding,
            ) if version(certificate).is_some_and(|it| it < 3) => {
                return Err(Refusal::OldVersion.into());
            }
            // What is left is wrong in any trust store: expired, for another
            // host.
            _ => return Err(cause),
        };
        if is_authority && self.is_anchor(certificate) {
            let parsed = ParsedCertificate::try_from(certificate)?;
            verify_server_name(&parsed, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        // The most frequent case of an unknown issuer has words of its own,
        // since its remedy is another: to trust this very certificate.
        match EndEntityCert::try_from(certificate) {
            Ok(parsed) if parsed.issuer() == parsed.subject() => {
                Err(Refusal::SelfSigned.into())
            }
            _ => Err(cause),
        }
    }

    /// What to say of a handshake whose signature is not right.
    fn explain(
        certificate: &CertificateDer<'_>,
        cause: rustls::Error,
    ) -> rustls::Error {
        match cause {
            rustls::Error::InvalidCertificate(
                CertificateError::BadSignature,
            ) => Refusal::of_key(certificate).into(),
            other => other,
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
            // An administrator who has seen the failure may have added the
            // authority by the next attempt; the file's times need not show it.
            .inspect_err(|_| self.doubt.store(true, Relaxed))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web
            .verify_tls12_signature(message, certificate, signature)
            .map_err(|cause| Verifier::explain(certificate, cause))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web
            .verify_tls13_signature(message, certificate, signature)
            .map_err(|cause| Verifier::explain(certificate, cause))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.web.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_parsed_once_for_all_who_name_it() {
        let name = format!("eventsource-shared-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let bundle = "/etc/ssl/certs/ca-certificates.crt";
        std::fs::copy(bundle, &path).expect("ca-certificates");
        let one = Authorities::in_file(&path).unwrap();
        let other = Authorities::in_file(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let now = [&one, &other].map(|it| it.current().unwrap());
        assert!(Arc::ptr_eq(&now[0], &now[1]));
        let left = Arc::downgrade(&one);
        drop((one, other, now));
        assert_eq!(left.strong_count(), 0, "nobody names it any more");
        assert!(Authorities::in_file(&path).is_err());
    }
}
