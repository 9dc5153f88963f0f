//! Certificates made for one run: an authority that the library trusts,
//! because SSL_CERT_FILE names it, and others that nobody does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, Certificate as Certified, CertificateParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PublicKeyData,
    date_time_ymd,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    RootCertStore, ServerConfig, SignatureAlgorithm, SignatureScheme,
    SupportedProtocolVersion,
};

use crate::program::scratch;

static TRUSTED: LazyLock<Authority> = LazyLock::new(|| {
    let authority = Authority::new("trusted");
    let path = &*STORE;
    replace(path, &authority.pem);
    // SAFETY: std's own lock; nothing here reads the environment without it.
    unsafe { std::env::set_var("SSL_CERT_FILE", path) };
    authority
});

/// The file that the library takes for the system's trust store.
static STORE: LazyLock<PathBuf> = LazyLock::new(|| file("store", ""));

/// Trusts another authority too, from now on. Its certificate is for `name`.
pub fn trust_another(name: &str) -> Arc<ServerConfig> {
    let authority = Authority::new("another");
    replace(&STORE, &(TRUSTED.pem.clone() + &authority.pem));
    authority.certify(name, 4000)
}

/// Puts another text in the place of a file's, at once.
pub fn replace(path: &Path, text: &str) {
    let new = file("new", text);
    std::fs::rename(new, path).expect("the same file system");
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).expect("a certificate");
        let (certificate, pem) = (own.der().clone(), own.pem());
        Self { issuer: Issuer::new(params, key), certificate, pem }
    }

    /// A certificate, and its key.
    fn sign(&self, name: &str, last_year: i32) -> (Certified, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let mut params =
            CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(last_year, 12, 31);
        let certificate =
            params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate, key)
    }

    fn certify(&self, name: &str, last_year: i32) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign(name, last_year);
        serve(&certificate, &key)
    }
}

fn serve(certificate: &Certified, key: &KeyPair) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain(certificate), private(key))
        .expect("a key that fits");
    Arc::new(config)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn chain(certificate: &Certified) -> Vec<CertificateDer<'static>> {
    vec![certificate.der().clone()]
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

/// A configuration for whoever has this certificate and signs with this key,
/// which need not be its own.
fn presenting(
    certificate: Vec<u8>,
    key: Arc<dyn SigningKey>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from(certificate)];
    let certified = CertifiedKey::new(chain, key);
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version that ring offers")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    Arc::new(config)
}

/// A server with a certificate of version 1, as they were before 1996, for
/// nobody; the signature in it is none. It may lack the key.
pub fn version_1(
    version: &'static SupportedProtocolVersion,
    with_key: bool,
) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let certificate = old_certificate(&key.subject_public_key_info());
    let signing = match with_key {
        true => key,
        false => KeyPair::generate().expect("a key"),
    };
    let signing = any_supported_type(&private(&signing));
    presenting(certificate, signing.expect("a key that ring knows"), version)
}

/// A certificate of version 1 for a key.
fn old_certificate(key: &[u8]) -> Vec<u8> {
    let ecdsa_with_sha256 = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let algorithm = sequence(&[ecdsa_with_sha256]);
    let nobody = sequence(&[]);
    let (from, to) = (b"\x17\x0d950101000000Z", b"\x17\x0d960101000000Z");
    let fields = sequence(&[
        b"\x02\x01\x01",
        &algorithm,
        &nobody,
        &sequence(&[from, to]),
        &nobody,
        key,
    ]);
    sequence(&[&fields, &algorithm, b"\x03\x01\0"])
}

/// A sequence in DER.
fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = u16::try_from(value.len()).expect("no large certificate");
    [&[0x30, 0x82][..], &length.to_be_bytes(), &value].concat()
}

/// A server whose certificate, from the trusted authority, has an RSA key of
/// 1024 bits. What it signs is nonsense.
pub fn short_key(
    name: &str,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let params = CertificateParams::new(vec![name.to_owned()]);
    let certificate =
        params.expect("a name").signed_by(&Short, &TRUSTED.issuer);
    let certificate = certificate.expect("a certificate").der().to_vec();
    presenting(certificate, Arc::new(Short), version)
}

/// An RSA key of 1024 bits.
#[derive(Debug, Clone, Copy)]
struct Short;

impl PublicKeyData for Short {
    fn der_bytes(&self) -> &[u8] {
        static KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let modulus = [&[0x02, 0x81, 0x81, 0][..], &[0xff; 128]].concat();
            sequence(&[&modulus, b"\x02\x03\x01\0\x01"])
        });
        &KEY
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl SigningKey for Short {
    fn choose_scheme(
        &self,
        offered: &[SignatureScheme],
    ) -> Option<Box<dyn Signer>> {
        assert!(offered.contains(&self.scheme()), "{offered:?}");
        Some(Box::new(*self))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl Signer for Short {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![1; 128])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::RSA_PSS_SHA256
    }
}

/// A server whose certificate has a key on the curve P-521. What it signs is
/// nonsense, whether its kind of signature is offered or not.
pub fn odd_key(
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let ec_public_key = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
    let p521 = b"\x06\x05\x2b\x81\x04\x00\x23";
    let algorithm = sequence(&[ec_public_key, p521]);
    let key = [b"\x03\x81\x86\0".as_slice(), &[4; 133]].concat();
    let certificate = old_certificate(&sequence(&[&algorithm, &key]));
    presenting(certificate, Arc::new(Odd), version)
}

/// A key that nobody has.
#[derive(Debug, Clone, Copy)]
struct Odd;

impl SigningKey for Odd {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(*self))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for Odd {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(vec![1; 132])
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}

/// A file of its own with this text.
pub fn file(name: &str, text: &str) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{name}-{}-{number}.pem", std::process::id());
    let path = scratch(&name);
    std::fs::write(&path, text).expect("a temporary file");
    path
}

/// Puts the trusted authority in place, before the library looks for it.
pub fn install() {
    LazyLock::force(&TRUSTED);
}

/// A server whose certificate is in order, for `name`.
pub fn trusted(name: &str) -> Arc<ServerConfig> {
    TRUSTED.certify(name, 4000)
}

/// A server whose certificate was in order, once.
pub fn expired(name: &str) -> Arc<ServerConfig> {
    TRUSTED.certify(name, 2001)
}

/// A server whose certificate comes from an authority that nobody knows.
pub fn unknown(name: &str) -> Arc<ServerConfig> {
    Authority::new("unknown").certify(name, 4000)
}

/// A server with a certificate from an authority of its own, and the file
/// with that authority.
pub fn with_own_authority(name: &str) -> (Arc<ServerConfig>, PathBuf) {
    let authority = Authority::new("own");
    let config = authority.certify(name, 4000);
    (config, file("own", &authority.pem))
}

/// A server with a certificate that vouches for itself, and the file with
/// it; one that could vouch for others too, if it is an authority.
pub fn self_signed(
    name: &str,
    is_authority: bool,
) -> (Arc<ServerConfig>, PathBuf) {
    let key = KeyPair::generate().expect("a key");
    let mut params =
        CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).expect("a certificate");
    (serve(&certificate, &key), file("self", &certificate.pem()))
}

/// A server such as a bridge has: its certificate vouches for itself, and names
/// the device, but no host.
pub fn bridge(
    key: &'static rcgen::SignatureAlgorithm,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let key = KeyPair::generate_for(key).expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "001788fffe123456");
    let certificate = params.self_signed(&key).expect("a certificate");
    let signing = any_supported_type(&private(&key));
    let signing = signing.expect("a key that ring knows");
    presenting(certificate.der().to_vec(), signing, version)
}

/// The kinds of key that [`bridge`] makes.
pub const KINDS: [&rcgen::SignatureAlgorithm; 3] = [
    &rcgen::PKCS_ECDSA_P256_SHA256,
    &rcgen::PKCS_ECDSA_P384_SHA384,
    &rcgen::PKCS_ED25519,
];

/// A server whose certificate was issued with one that is no authority's.
pub fn issued_by_no_authority(name: &str) -> Arc<ServerConfig> {
    let (impostor, impostor_key) = TRUSTED.sign("impostor", 4000);
    let params = CertificateParams::new(vec!["impostor".to_owned()]);
    let issuer = Issuer::new(params.expect("a name"), impostor_key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]);
    let certificate = params.expect("a name").signed_by(&key, &issuer);
    let mut chain = chain(&certificate.expect("a certificate"));
    chain.push(impostor.der().clone());
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, private(&key));
    Arc::new(config.expect("a key that fits"))
}

/// A server whose certificate is for clients.
pub fn for_clients(name: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let mut params =
        CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &TRUSTED.issuer);
    serve(&certificate.expect("a certificate"), &key)
}

/// A server that speaks HTTP/2 only.
pub fn http2_only(name: &str) -> Arc<ServerConfig> {
    let mut config = ServerConfig::clone(&trusted(name));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A server that asks for a client certificate from the trusted authority.
pub fn asking(
    name: &str,
    version: &'static SupportedProtocolVersion,
) -> Arc<ServerConfig> {
    let (certificate, key) = TRUSTED.sign(name, 4000);
    let mut roots = RootCertStore::empty();
    roots.add(TRUSTED.certificate.clone()).expect("an authority");
    let clients = WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        provider(),
    );
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("a version that ring offers")
        .with_client_cert_verifier(clients.build().expect("an authority"))
        .with_single_cert(chain(&certificate), private(&key))
        .expect("a key that fits");
    Arc::new(config)
}

/// The versions a server may insist on.
pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// The files with a certificate for `name`, good up to a year, and its key.
pub fn signed(name: &str, last_year: i32) -> (PathBuf, PathBuf) {
    signed_by(&TRUSTED, name, last_year)
}

/// The same, from an authority that nobody knows.
pub fn signed_by_unknown(name: &str) -> (PathBuf, PathBuf) {
    signed_by(&Authority::new("unknown"), name, 4000)
}

fn signed_by(
    authority: &Authority,
    name: &str,
    last_year: i32,
) -> (PathBuf, PathBuf) {
    let (certificate, key) = authority.sign(name, last_year);
    let certificate = file("signed", &certificate.pem());
    (certificate, file("key", &key.serialize_pem()))
}

/// The file with the trusted authority.
pub fn authority() -> PathBuf {
    file("authority", &TRUSTED.pem)
}
