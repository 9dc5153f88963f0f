//! TLS 1.2 and 1.3, over a socket or over TLS with a proxy.

use std::io::{self, Read, Write};

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection};

use crate::error::Error;
use crate::failure::{Failure, NoConnection, in_words};
use crate::net::socket::Socket;
use crate::net::tls_error::reason;
use crate::net::trust::{Name, Terms};
use crate::sys::{Entry, Interest};
use crate::wait::{Interrupted, Until};

/// With so much room and more, many records are received at once.
const LARGE: usize = 64 * 1024;
/// The most that a record holds (RFC 8446, 5.1).
const RECORD: usize = 16 * 1024;

/// What bytes travel over. Reading and writing never wait; what waits says
/// until when.
#[derive(Debug)]
pub(crate) enum Stream {
    /// The network.
    Plain(Socket),
    /// TLS over another stream.
    Secure(Box<Secure>),
}

/// TLS, and the stream below it.
#[derive(Debug)]
pub(crate) struct Secure {
    tls: ClientConnection,
    below: Stream,
    /// As far as is known nothing has come that was not read.
    is_empty: bool,
}

/// What TLS reads its records from.
struct Below<'a> {
    stream: &'a mut Stream,
    waits: bool,
    /// The last read has brought less than there was room for.
    is_empty: bool,
}

impl Read for Below<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.receive(buffer, self.waits)?;
        self.is_empty = read < buffer.len() && !self.stream.may_hold_more();
        Ok(read)
    }
}

/// What is to be spoken over TLS (RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alpn {
    Http1,
    #[cfg(feature = "http2")]
    Http2,
    /// HTTP/2, or else HTTP/1.1: the server chooses.
    #[cfg(feature = "http2")]
    Either,
}

impl Alpn {
    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Alpn::Http1 => &[b"http/1.1"],
            #[cfg(feature = "http2")]
            Alpn::Http2 => &[b"h2"],
            #[cfg(feature = "http2")]
            Alpn::Either => &[b"h2", b"http/1.1"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }

    /// The name for people.
    fn text(self) -> &'static str {
        match self {
            Alpn::Http1 => "HTTP/1.1",
            #[cfg(feature = "http2")]
            Alpn::Http2 => "HTTP/2",
            #[cfg(feature = "http2")]
            Alpn::Either => "HTTP",
        }
    }
}

/// Why TLS with a server has not come about.
#[derive(Debug)]
pub(crate) enum NoTls {
    /// It does not speak what it was offered.
    NoProtocol(Failure),
    Other(NoConnection),
}

impl From<NoTls> for NoConnection {
    fn from(none: NoTls) -> NoConnection {
        match none {
            NoTls::NoProtocol(failure) => failure.into(),
            NoTls::Other(none) => none,
        }
    }
}

impl From<Failure> for NoTls {
    fn from(failure: Failure) -> NoTls {
        NoTls::Other(failure.into())
    }
}

impl From<NoConnection> for NoTls {
    fn from(none: NoConnection) -> NoTls {
        NoTls::Other(none)
    }
}

impl Stream {
    /// A stream whose TLS handshake with `host` is done, over this one. A
    /// server that has only another protocol than is offered ends the
    /// handshake, and without the offer would be spoken to in vain.
    pub(crate) fn secure(
        self,
        host: &str,
        terms: Terms,
        offer: Alpn,
        until: Until<'_>,
    ) -> Result<Stream, NoTls> {
        let name = match terms.name {
            Some(Name(name)) => name,
            // The URL has an IPv6 address in brackets, and a certificate
            // without.
            None => ServerName::try_from(host.trim_matches(['[', ']']))
                .map_err(|_| {
                    refused(host, &"no certificate is for such a name")
                })?
                .to_owned(),
        };
        let offers = offer.names();
        let tls = ClientConnection::new_with_alpn(terms.config, name, offers)
            .map_err(|cause| refused(host, &reason(&cause)))?;
        let mut secure = Secure { tls, below: self, is_empty: false };
        let done = secure.handshake(until);
        match done.map_err(|cause| secure.alert_before_reset(cause)) {
            Ok(()) => Ok(Stream::Secure(Box::new(secure))),
            Err(cause) if Interrupted::is(&cause) => {
                Err(NoConnection::Interrupted.into())
            }
            Err(cause) if wants_another_protocol(&cause) => {
                let what = offer.text();
                let why = format!("the server does not speak {what}");
                Err(NoTls::NoProtocol(refused(host, &why)))
            }
            Err(cause) => Err(match cause.kind() {
                io::ErrorKind::TimedOut => Failure::new(
                    Error::Timeout,
                    format!("TLS with {host}: timed out"),
                ),
                io::ErrorKind::UnexpectedEof => refused(
                    host,
                    &"connection closed by the server during the handshake",
                ),
                _ => failure(&cause).unwrap_or_else(|| {
                    refused(host, &in_words(&cause)).caused_by(&cause)
                }),
            }
            .into()),
        }
    }

    /// Reads what has come: `WouldBlock` if nothing has, `Interrupted` if it is
    /// to be asked again at once; zero is the end. `UnexpectedEof` is one
    /// that anybody on the way may have made: TLS has an end of its own.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(buffer, false)
    }

    /// The same. With `waits` it is read until something comes, which may be
    /// nothing that fills the buffer: see [`Socket::let_reads_wait`].
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        waits: bool,
    ) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer, waits),
            Stream::Secure(secure) => secure.read(buffer, waits),
        }
    }

    /// Whether the server has agreed to speak HTTP/2.
    #[cfg(feature = "http2")]
    pub(crate) fn has_agreed_to_http2(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Secure(secure) => secure.tls.alpn_protocol() == Some(b"h2"),
        }
    }

    /// Says that nothing follows, if that can be said without waiting.
    #[cfg(feature = "http2")]
    pub(crate) fn say_good_bye(&mut self) {
        if let Stream::Secure(secure) = self {
            secure.tls.send_close_notify();
            // It goes as it can, or not.
            let _ = secure.flush();
        }
    }

    /// Whether bytes may have come that a wait for the socket does not see,
    /// after a read that did not fill its buffer.
    pub(crate) fn may_hold_more(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Secure(secure) => !secure.is_empty,
        }
    }

    /// Reads what comes, waiting for it; zero is the end.
    pub(crate) fn read_some(
        &mut self,
        buffer: &mut [u8],
        until: Until<'_>,
    ) -> io::Result<usize> {
        loop {
            until.check()?;
            match self.read(buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    until.wait(self.entry(Interest::Read))?;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Writes everything, waiting as long as it takes.
    pub(crate) fn write_all(
        &mut self,
        bytes: &[u8],
        until: Until<'_>,
    ) -> io::Result<()> {
        self.send(bytes, until).map_err(|cause| match self {
            Stream::Plain(_) => cause,
            Stream::Secure(secure) => secure.alert_before_reset(cause),
        })
    }

    fn send(&mut self, mut bytes: &[u8], until: Until<'_>) -> io::Result<()> {
        while !bytes.is_empty() {
            until.check()?;
            match self.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    until.wait(self.entry(Interest::Write))?;
                }
                Err(cause) => return Err(cause),
            }
        }
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Secure(secure) => secure.flush_all(until),
        }
    }

    /// What to wait for with poll.
    pub(crate) fn entry(&self, interest: Interest) -> Entry {
        self.socket().entry(interest)
    }

    /// What everything travels over.
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Secure(secure) => secure.below.socket(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Stream::read(self, buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Secure(secure) => {
                // rustls keeps what it cannot send, up to 64 KiB, and then
                // takes no more.
                // So that there is room.
                secure.flush()?;
                let written = secure.tls.writer().write(bytes)?;
                match secure.flush() {
                    // It goes with the next.
                    Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    }
                    flushed => flushed?,
                }
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Secure(secure) => secure.flush(),
        }
    }
}

impl Secure {
    fn handshake(&mut self, until: Until<'_>) -> io::Result<()> {
        self.flush_all(until)?;
        while self.tls.is_handshaking() {
            until.check()?;
            match self.read_records(false) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => self.flush_all(until)?,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    until.wait(self.below.entry(Interest::Read))?;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => {
                    // An alert may be ready to be sent.
                    // The peer is told why.
                    let _ = self.flush_all(until);
                    return Err(cause);
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], waits: bool) -> io::Result<usize> {
        match self.tls.reader().read(buffer) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
            // `UnexpectedEof` if the peer has left without close_notify.
            read => return self.has_read(read, buffer.len()),
        }
        // A record that followed what was read last may have been refused.
        self.process()?;
        let received = match buffer.len() < LARGE {
            true => self.read_records(waits).map(|_| 0),
            false => self.read_at_once(buffer, waits),
        };
        // A key update's answer; if it cannot go now, it goes with the next.
        let _ = self.flush();
        if let Ok(length @ 1..) = received {
            return Ok(length);
        }
        match self.tls.reader().read(buffer) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                received?;
                // Records without data can come without end: the caller looks
                // at its deadline before it asks again.
                Err(io::ErrorKind::Interrupted.into())
            }
            read => self.has_read(read, buffer.len()),
        }
    }

    /// Receives many records into the end of the buffer, and puts their text at
    /// its beginning. By itself rustls receives one at a time.
    fn read_at_once(
        &mut self,
        buffer: &mut [u8],
        waits: bool,
    ) -> io::Result<usize> {
        // rustls may hold the beginning of one more.
        let room_for_text = (buffer.len() + RECORD) / 2;
        let (text, records) = buffer.split_at_mut(room_for_text);
        let stream = &mut self.below;
        let mut below = Below { stream, waits, is_empty: false };
        let received = below.read(records)?;
        self.is_empty = below.is_empty;
        let mut records = &records[..received];
        let mut length = 0;
        loop {
            let taken = self.tls.read_tls(&mut records)?;
            match self.process() {
                // What came before it is in order.
                Err(_) if length > 0 => return Ok(length),
                processed => processed?,
            }
            length += self.tls.reader().read(&mut text[length..]).unwrap_or(0);
            if taken == 0 || records.is_empty() {
                return Ok(length);
            }
        }
    }

    /// After a read with so much room, which may have left something.
    fn has_read(
        &mut self,
        read: io::Result<usize>,
        room: usize,
    ) -> io::Result<usize> {
        self.is_empty &= read.as_ref().is_ok_and(|read| *read < room);
        read
    }

    fn read_records(&mut self, waits: bool) -> io::Result<usize> {
        let stream = &mut self.below;
        let mut below = Below { stream, waits, is_empty: false };
        let read = self.tls.read_tls(&mut below)?;
        self.is_empty = below.is_empty;
        self.process()?;
        Ok(read)
    }

    /// Decrypts what was received. What ends it, an error or close_notify, has
    /// come with the last bytes, and is to be read, too.
    fn process(&mut self) -> io::Result<()> {
        let state = self.tls.process_new_packets();
        self.is_empty &= state.as_ref().is_ok_and(|it| !it.peer_has_closed());
        state.map(drop).map_err(io::Error::other)
    }

    /// After a failed write, looks for a TLS alert that the peer sent before it
    /// closed the connection, and prefers that as the cause.
    fn alert_before_reset(&mut self, cause: io::Error) -> io::Error {
        match failure(&cause).is_none().then(|| self.read_records(false)) {
            Some(Err(word)) if failure(&word).is_some() => word,
            _ => cause,
        }
    }

    /// Sends the records that are ready: `WouldBlock` if some are left.
    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.below)?;
        }
        self.below.flush()
    }

    /// The same, waiting as long as it takes.
    fn flush_all(&mut self, until: Until<'_>) -> io::Result<()> {
        loop {
            match self.flush() {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    until.wait(self.below.entry(Interest::Write))?;
                }
                flushed => return flushed,
            }
        }
    }
}

/// What an error of reading or writing means, if it can be told without
/// knowing what was being done.
pub(crate) fn failure(cause: &io::Error) -> Option<Failure> {
    let inner = cause.get_ref()?;
    if let Some(failure) = inner.downcast_ref::<Failure>() {
        return Some(failure.clone());
    }
    let cause = inner.downcast_ref::<rustls::Error>()?;
    Some(Failure::new(Error::Tls, reason(cause)))
}

/// Whether a handshake has failed for want of a protocol.
fn wants_another_protocol(cause: &io::Error) -> bool {
    use rustls::Error::{AlertReceived, NoApplicationProtocol};

    let inner = cause.get_ref().and_then(|it| it.downcast_ref());
    matches!(
        inner,
        Some(
            AlertReceived(AlertDescription::NoApplicationProtocol)
                | NoApplicationProtocol
        )
    )
}

fn refused(host: &str, cause: &dyn std::fmt::Display) -> Failure {
    Failure::new(Error::Tls, format!("TLS with {host}: {cause}"))
}
