//! What went wrong with TLS in a person's words, where rustls speaks a
//! programmer's.

use rustls::{
    AlertDescription, CertificateError, OtherError, PeerIncompatible,
};

use crate::net::refusal::Refusal;

/// What to tell of an error.
pub(super) fn reason(cause: &rustls::Error) -> String {
    use rustls::Error::{
        AlertReceived, DecryptError, FailedToGetCurrentTime,
        FailedToGetRandomBytes, InappropriateHandshakeMessage,
        InappropriateMessage, InvalidCertificate, InvalidMessage,
        NoApplicationProtocol, NoCertificatesPresented,
        PeerIncompatible as Incompatible, PeerMisbehaved,
        PeerSentOversizedRecord,
    };
    let text = match cause {
        InvalidCertificate(cause) => {
            let why = certificate_text(cause);
            return format!("the server's certificate is refused: {why}");
        }
        AlertReceived(alert) => return alert_text(*alert),
        Incompatible(what) => incompatible_text(what),
        InvalidMessage(_) | PeerSentOversizedRecord => {
            "what the server sends is not TLS"
        }
        InappropriateMessage { .. }
        | InappropriateHandshakeMessage { .. }
        | PeerMisbehaved(_) => "the server breaks the rules of TLS",
        DecryptError => {
            "what the server sends cannot be decrypted: somebody may have \
             changed it"
        }
        NoCertificatesPresented => "the server shows no certificate",
        NoApplicationProtocol => NO_HTTP,
        FailedToGetCurrentTime => "the system does not know the time",
        FailedToGetRandomBytes => "the system has no random numbers to give",
        // rustls's own words would hold names of its types, and it may get new
        // errors with any release.
        _ => "the TLS connection cannot go on",
    };
    text.to_owned()
}

const NO_HTTP: &str = "the server does not speak what it was offered";
const BAD_ENCODING: &str = "it cannot be read";
const UNKNOWN_ISSUER: &str =
    "it was not issued by an authority that is trusted here";
const WRONG_NAME: &str = "it was issued for another host name";
const WRONG_PURPOSE: &str = "it is not for servers";
const UNKNOWN_SIGNATURE: &str =
    "it is signed in a way that is not supported here";

/// Why a certificate is refused.
fn certificate_text(cause: &CertificateError) -> String {
    use CertificateError as Cause;
    let text = match cause {
        // A bad signature is one that none of the trusted authorities has made:
        // one of them may have the issuer's name, and another key.
        Cause::UnknownIssuer | Cause::BadSignature => UNKNOWN_ISSUER,
        Cause::NotValidForName | Cause::NotValidForNameContext { .. } => {
            WRONG_NAME
        }
        Cause::Expired | Cause::ExpiredContext { .. } => "it has expired",
        Cause::NotValidYet | Cause::NotValidYetContext { .. } => {
            "it is not valid yet"
        }
        Cause::Revoked => "it was revoked",
        Cause::BadEncoding => BAD_ENCODING,
        Cause::UnhandledCriticalExtension => {
            "it has an extension that must be understood, and is not"
        }
        Cause::UnsupportedSignatureAlgorithmContext { .. }
        | Cause::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            UNKNOWN_SIGNATURE
        }
        Cause::InvalidPurpose | Cause::InvalidPurposeContext { .. } => {
            WRONG_PURPOSE
        }
        Cause::Other(OtherError(cause)) => {
            if let Some(refusal) = cause.downcast_ref::<Refusal>() {
                return refusal.to_string();
            }
            cause.downcast_ref().map_or(BAD_ENCODING, webpki_text)
        }
        _ => "it is not valid",
    };
    text.to_owned()
}

/// What rustls hands on as webpki says it.
fn webpki_text(cause: &webpki::Error) -> &'static str {
    use webpki::Error as Cause;
    match cause {
        Cause::UnsupportedCertVersion => "it is not of version 3",
        Cause::CaUsedAsEndEntity => {
            "it is an authority's, and not trusted here as a server's"
        }
        Cause::EndEntityUsedAsCa => {
            "it was issued with a certificate that is no authority's"
        }
        Cause::NameConstraintViolation => {
            "its issuer may not issue for this host name"
        }
        Cause::PathLenConstraintViolated
        | Cause::MaximumPathDepthExceeded
        | Cause::MaximumPathBuildCallsExceeded
        | Cause::MaximumSignatureChecksExceeded
        | Cause::MaximumNameConstraintComparisonsExceeded => {
            "the way from it to an authority is too long"
        }
        Cause::EmptyEkuExtension | Cause::RequiredEkuNotFoundContext(_) => {
            WRONG_PURPOSE
        }
        Cause::SignatureAlgorithmMismatch => UNKNOWN_SIGNATURE,
        Cause::InvalidCertValidity => "it ends before it begins",
        _ => BAD_ENCODING,
    }
}

/// What the server and this library do not have in common.
fn incompatible_text(what: &PeerIncompatible) -> &'static str {
    match what {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired => OLD_SERVER,
        _ => "the server and this library have no way of TLS in common",
    }
}

const OLD_SERVER: &str = "the server speaks neither TLS 1.2 nor TLS 1.3";

/// Why the server does not want to go on.
fn alert_text(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate => {
            "the server asks for a client certificate"
        }
        AlertDescription::UnknownCA => {
            "the server does not trust the client certificate's authority"
        }
        AlertDescription::CertificateExpired => {
            "the server says that the client certificate has expired"
        }
        AlertDescription::CertificateRevoked => {
            "the server says that the client certificate was revoked"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => {
            "the server refuses the client certificate"
        }
        // Most servers that want a client certificate send this one, in TLS
        // 1.2, and so do those that share no cipher: both have to be named.
        AlertDescription::HandshakeFailure => {
            "the server refused the handshake: it may ask for a client \
             certificate, or know none of the ciphers"
        }
        AlertDescription::InsufficientSecurity => {
            "the server refused the handshake: it wants stronger ciphers"
        }
        AlertDescription::ProtocolVersion => OLD_SERVER,
        AlertDescription::UnrecognisedName => {
            "the server does not know the host name"
        }
        AlertDescription::NoApplicationProtocol => NO_HTTP,
        AlertDescription::InternalError => {
            "the server has broken off TLS: an error of its own"
        }
        AlertDescription::UserCanceled => "the server has broken off TLS",
        AlertDescription::BadRecordMac | AlertDescription::DecryptError => {
            "the server cannot decrypt what it is sent: somebody may have \
             changed it"
        }
        // The number is what can be looked up (IANA, "TLS Alerts").
        other => {
            let number = u8::from(other);
            return format!("the server has broken off TLS (alert {number})");
        }
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{InvalidMessage, PeerMisbehaved};

    use super::*;

    /// Whether somebody who does not program can read it.
    fn is_prose(text: &str) -> bool {
        let letters: Vec<_> = text.chars().collect();
        let has_camel = letters
            .windows(2)
            .any(|pair| pair[0].is_lowercase() && pair[1].is_uppercase());
        let has_symbol = text.contains(['{', '_', '[', '"']);
        !has_camel && !has_symbol && !text.contains("::") && text.len() > 12
    }

    #[test]
    fn every_alert_is_told_in_words() {
        for number in 0..=u8::MAX {
            let alert = AlertDescription::from(number);
            let text = reason(&rustls::Error::AlertReceived(alert));
            assert!(is_prose(&text), "{text}");
        }
    }

    #[test]
    fn what_webpki_says_is_told_in_words() {
        use webpki::Error as Cause;
        for (cause, words) in [
            (Cause::UnsupportedCertVersion, "version 3"),
            (Cause::CaUsedAsEndEntity, "authority's"),
            (Cause::EndEntityUsedAsCa, "no authority's"),
            (Cause::NameConstraintViolation, "may not issue"),
            (Cause::PathLenConstraintViolated, "too long"),
            (Cause::BadDer, "cannot be read"),
            (Cause::MalformedExtensions, "cannot be read"),
            (Cause::InvalidCertValidity, "before it begins"),
        ] {
            let cause = CertificateError::Other(OtherError(Arc::new(cause)));
            let text = reason(&cause.into());
            assert!(is_prose(&text) && text.contains(words), "{text}");
        }
    }

    #[test]
    fn what_rustls_says_is_told_in_words() {
        for cause in [
            CertificateError::BadEncoding.into(),
            CertificateError::UnhandledCriticalExtension.into(),
            CertificateError::InvalidPurpose.into(),
            CertificateError::UnknownRevocationStatus.into(),
            CertificateError::ApplicationVerificationFailure.into(),
            PeerIncompatible::NoCipherSuitesInCommon.into(),
            PeerIncompatible::ServerDoesNotSupportTls12Or13.into(),
            PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into(),
            InvalidMessage::InvalidContentType.into(),
            rustls::Error::NoCertificatesPresented,
            rustls::Error::DecryptError,
            rustls::Error::PeerSentOversizedRecord,
            rustls::Error::NoApplicationProtocol,
            rustls::Error::FailedToGetCurrentTime,
            rustls::Error::General("SomeThing".into()),
        ] {
            let text = reason(&cause);
            assert!(is_prose(&text), "{text}");
        }
    }
}
