//! Public keys that the program has pinned: a server has to have one of them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

use crate::error::Error;
use crate::net::certificate::PublicKey;
use crate::net::refusal::Refusal;

/// What stands before a hash, as curl has it (CURLOPT_PINNEDPUBLICKEY).
const PREFIX: &str = "sha256//";

/// The SHA-256 of a key's `SubjectPublicKeyInfo`.
type Hash = [u8; SHA256_OUTPUT_LEN];

/// The keys of which a server has to have one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pins(Arc<[Hash]>);

impl Pins {
    /// Reads `sha256//BASE64`, or several with `;` between them.
    pub(crate) fn parse(text: &str) -> Result<Pins, Error> {
        let hash = |text: &str| {
            let hash = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
            Hash::try_from(hash).ok()
        };
        let hashes: Option<_> = text.split(';').map(hash).collect();
        hashes.map(Pins).ok_or(Error::Value)
    }

    /// Whether both are the same setting.
    pub(super) fn is(&self, other: &Pins) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Refuses a certificate whose key is none of these.
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
    ) -> Result<(), rustls::Error> {
        let key =
            PublicKey::of(certificate).ok_or(CertificateError::BadEncoding)?;
        let hash = digest(&SHA256, key.info);
        match self.0.iter().any(|known| known == hash.as_ref()) {
            true => Ok(()),
            false => Err(Refusal::NotPinned(shown(hash.as_ref())).into()),
        }
    }
}

/// A hash as a program can pin it.
fn shown(hash: &[u8]) -> String {
    let mut text = PREFIX.to_owned();
    STANDARD.encode_string(hash, &mut text);
    text
}

/// Takes a certificate that another verifier takes, if its key is pinned.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) pins: Pins,
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The keys come last: a message names the key of a certificate that is
        // in order otherwise.
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            name,
            ocsp_response,
            now,
        )?;
        self.pins.check(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl req -x509 -newkey ec -subj /CN=001788fffe123456`.
    const CERTIFICATE: &str = "MIIBjTCCATOgAwIBAgIUZc2mlF6TfFhBxUYkBK2NhjDTZZgwCgYIKoZIzj0EAwIwGzEZ\
         MBcGA1UEAwwQMDAxNzg4ZmZmZTEyMzQ1NjAgFw0yNjExMjcwNTAzMDBaGA8yMTI2MTEw\
         MzA1MDMwMFowGzEZMBcGA1UEAwwQMDAxNzg4ZmZmZTEyMzQ1NjBZMBMGByqGSM49AgEG\
         CCqGSM49AwEHA0IABJeyAg5hwNXocfb46+iIg3unOKgUsDt0iD8iYvnZgfhn3uY8aytV\
         2pqwDisGAGVL4hp75TdLSu/nTuK08R/yhHyjUzBRMB0GA1UdDgQWBBSt6Kd4q4byYRgt\
         gZSdAB53rIDfpTAfBgNVHSMEGDAWgBSt6Kd4q4byYRgtgZSdAB53rIDfpTAPBgNVHRMB\
         Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIEpRfGJ9V3Uj/UhHofcftIkjt3imL3fm\
         xNmRznybYb0qAiEAqizzEJy29j6IXA+ptMsfJCP2Qo3L9jolzXtnsd+77wU=";

    /// What `openssl x509 -pubkey | openssl pkey -pubin -outform der |
    /// openssl dgst -sha256 -binary | base64` says of it.
    const KEY: &str = "sha256//5ifsz3Zu8Z0F3iNdrdCxmZdUb+TBDUUZGWfjaSfObz8=";

    /// Another one.
    const OTHER: &str = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn a_key_is_known_by_its_hash_as_openssl_makes_it() {
        let certificate = STANDARD.decode(CERTIFICATE).unwrap().into();
        for pinned in
            [KEY, &format!("{KEY};{OTHER}"), &format!("{OTHER};{KEY}")]
        {
            let pins = Pins::parse(pinned).unwrap();
            assert!(pins.check(&certificate).is_ok(), "{pinned}");
        }
        let pins = Pins::parse(&format!("{OTHER};{OTHER}")).unwrap();
        let refusal = pins.check(&certificate).unwrap_err().to_string();
        assert!(refusal.contains(KEY), "{refusal}");
        let nothing = CertificateDer::from(vec![0x30, 0]);
        assert!(pins.check(&nothing).is_err());
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let url_safe = KEY.replace('+', "-");
        let without_padding = KEY.trim_end_matches('=');
        for text in [
            "",
            ";",
            "sha256//",
            &KEY[PREFIX.len()..],
            &KEY.replace("sha256", "sha1"),
            &KEY.replace("//", "/"),
            "sha256//aGVsbG8=",
            "key.pem",
            without_padding,
            &url_safe,
            &format!(" {KEY}"),
            &format!("{KEY} "),
            &format!("{KEY};"),
            &format!("{KEY}; {KEY}"),
            &format!("{KEY},{KEY}"),
            &format!("{KEY};sha256//aGVsbG8="),
        ] {
            assert!(Pins::parse(text).is_err(), "{text}");
        }
    }
}
