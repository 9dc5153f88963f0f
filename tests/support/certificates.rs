//! Certificates made for one run: an authority that the library trusts,
//! because SSL_CERT_FILE names it, and others that nobody does.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

static TRUSTED: LazyLock<Authority> = LazyLock::new(|| {
    let authority = Authority::new("trusted");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("trusted-{}.pem", std::process::id()));
    std::fs::write(&path, &authority.pem).expect("a temporary file");
    // SAFETY: std's own lock; nothing here reads the environment without it.
    unsafe { std::env::set_var("SSL_CERT_FILE", &path) };
    authority
});

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn certify(&self, name: &str, last_year: i32) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let mut params =
            CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(last_year, 12, 31);
        let certificate =
            params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = rustls::crypto::ring::default_provider();
        let config = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from(key),
            )
            .expect("a key that fits");
        Arc::new(config)
    }
}

/// A server whose certificate is in order, for `name`.
pub(crate) fn trusted(name: &str) -> Arc<ServerConfig> {
    TRUSTED.certify(name, 4000)
}

/// A server whose certificate was in order, once.
pub(crate) fn expired(name: &str) -> Arc<ServerConfig> {
    TRUSTED.certify(name, 2001)
}

/// A server whose certificate comes from an authority that nobody knows.
pub(crate) fn unknown(name: &str) -> Arc<ServerConfig> {
    // The trusted one is in place all the same.
    LazyLock::force(&TRUSTED);
    Authority::new("unknown").certify(name, 4000)
}
