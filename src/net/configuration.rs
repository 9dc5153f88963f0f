//! How rustls is configured, whomever it trusts.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// How many sessions are kept to be resumed, eight of each server: of those who
/// share a configuration, and of one source.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sessions {
    Shared = 256,
    OneSource = 16,
}

/// TLS with servers that `verifier` takes, and to which `identity` is shown.
pub(super) fn configuration(
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<Arc<CertifiedKey>>,
    sessions: Sessions,
) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring offers TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        // Whatever authorities the server asks for: the program has named this
        // certificate, and there is no other to choose.
        Some(identity) => builder.with_client_cert_resolver(Arc::new(
            SingleCertAndKey::from(identity),
        )),
    };
    config.resumption = Resumption::in_memory_sessions(sessions as usize);
    Arc::new(config)
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    // Given to each configuration by hand. The process-wide default belongs to
    // the program, which may use rustls itself.
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::ring::default_provider()))
        .clone()
}
