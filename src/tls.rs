//! TLS 1.2 and 1.3 over a socket, against the system's trust store.

use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use url::Url;

use crate::error::Error;
use crate::failure::Failure;
use crate::socket::Socket;

/// What bytes travel over: TCP, or TLS over it.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
}

impl Stream {
    /// A stream without TLS.
    pub(crate) fn plain(socket: Socket) -> Stream {
        Stream { socket, tls: None }
    }

    /// A stream whose TLS handshake is done, with the host of `url`.
    pub(crate) fn secure(
        socket: Socket,
        url: &Url,
        deadline: Option<Instant>,
    ) -> Result<Stream, Failure> {
        let host = url.host_str().expect("http URLs have a host");
        let name = ServerName::try_from(host.trim_matches(['[', ']']))
            .map_err(|cause| refused(host, &cause))?
            .to_owned();
        let tls = ClientConnection::new(system_trust()?, name)
            .map_err(|cause| refused(host, &cause))?;
        let mut stream = Stream { socket, tls: Some(Box::new(tls)) };
        match stream.handshake(deadline) {
            Ok(()) => Ok(stream),
            Err(cause) => Err(match cause.kind() {
                io::ErrorKind::TimedOut => Failure::new(
                    Error::Timeout,
                    format!("TLS with {host}: no answer in time"),
                ),
                io::ErrorKind::UnexpectedEof => refused(
                    host,
                    &"connection closed by the server during the handshake",
                ),
                _ => failure(&cause).unwrap_or_else(|| refused(host, &cause)),
            }),
        }
    }

    fn handshake(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        self.flush(deadline)?;
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            match self.read_records() {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.flush(deadline)?,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.wait_readable(deadline)?;
                }
                Err(cause) => {
                    // The peer is told why.
                    let _ = self.flush(deadline);
                    return Err(cause);
                }
            }
        }
        Ok(())
    }

    /// Reads what has come. Never waits: `WouldBlock` if nothing has; zero
    /// is the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(tls) = &mut self.tls else {
                return self.socket.read(buffer);
            };
            match tls.reader().read(buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                // A peer that leaves without a word of goodbye: an end like
                // any other (R27).
                Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(0);
                }
                read => return read,
            }
            self.read_records()?;
            if let Some(tls) = &mut self.tls
                && tls.wants_write()
            {
                // A key update's answer; if it cannot go now, it goes with
                // the next.
                let _ = tls.write_tls(&mut self.socket);
            }
        }
    }

    fn read_records(&mut self) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return Ok(0) };
        let read = tls.read_tls(&mut self.socket)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        Ok(read)
    }

    /// Whether a read that did not fill its buffer has emptied the stream,
    /// so that it can be waited for without asking once more.
    pub(crate) fn short_read_is_all(&self) -> bool {
        self.tls.is_none()
    }

    /// Writes everything, waiting as long as it takes.
    pub(crate) fn write_all(
        &mut self,
        mut bytes: &[u8],
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match &mut self.tls {
                None => self.write_plain(bytes, deadline)?,
                Some(tls) => {
                    let written = tls.writer().write(bytes)?;
                    self.flush(deadline)?;
                    written
                }
            };
            bytes = &bytes[written..];
        }
        Ok(())
    }

    fn write_plain(
        &mut self,
        bytes: &[u8],
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        loop {
            match self.socket.write(bytes) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.wait_writable(deadline)?;
                }
                written => return written,
            }
        }
    }

    /// Sends the records that TLS has ready.
    fn flush(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.wait_writable(deadline)?;
                }
                Err(cause) => return Err(cause),
            }
        }
        Ok(())
    }

    /// Waits until there is something to read, or the end.
    pub(crate) fn wait_readable(
        &self,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        self.socket.wait_readable(deadline)
    }
}

/// The configuration for the system's trust store. It is read once, and
/// shared by all sources: it is large, and holds the sessions to resume.
fn system_trust() -> Result<Arc<ClientConfig>, Failure> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        // Not kept: the store may be there at the next attempt.
        return Err(Failure::new(
            Error::Tls,
            "no certificates in the system's trust store",
        ));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

/// What an error of reading or writing means, if it can be told without
/// knowing what was being done.
pub(crate) fn failure(cause: &io::Error) -> Option<Failure> {
    let inner = cause.get_ref()?;
    if let Some(failure) = inner.downcast_ref::<Failure>() {
        return Some(Failure::new(failure.error, failure.message.clone()));
    }
    let cause = inner.downcast_ref::<rustls::Error>()?;
    Some(Failure::new(Error::Tls, reason(cause)))
}

fn refused(host: &str, cause: &dyn std::fmt::Display) -> Failure {
    Failure::new(Error::Tls, format!("TLS with {host}: {cause}"))
}

/// In a person's words, where rustls speaks a programmer's.
fn reason(cause: &rustls::Error) -> String {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    let reason = match cause {
        InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "it was not issued by an authority that is trusted here",
        InvalidCertificate(
            CertificateError::NotValidForName
            | CertificateError::NotValidForNameContext { .. },
        ) => "it was issued for another host name",
        InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "it has expired",
        InvalidCertificate(
            CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "it is not valid yet",
        InvalidCertificate(CertificateError::Revoked) => "it was revoked",
        InvalidCertificate(other) => {
            return format!("the server's certificate is refused: {other:?}");
        }
        AlertReceived(alert) => {
            return format!("the server refused the handshake: {alert:?}");
        }
        other => return format!("TLS: {other}"),
    };
    format!("the server's certificate is refused: {reason}")
}
