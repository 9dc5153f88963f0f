//! Files in PEM.

use std::fs;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::Error;

/// The certificates in a file, at least one.
pub(super) fn certificates_in(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    certificates_of(&read(path)?)
}

/// The certificates in a text, at least one.
pub(super) fn certificates_of(
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Certificate)?;
    if certificates.is_empty() {
        return Err(Error::Certificate);
    }
    Ok(certificates)
}

/// The whole of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|_| Error::File)
}
