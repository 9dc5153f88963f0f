//! Every phase in which a source may be closed.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::server::{Connection, EVENT_STREAM, Server, see_the_client_close};
use super::source::{Seen, Source};
use super::{certificates, names, until};

/// What a source is doing when it is closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phase {
    /// The look-up of its server's name hangs.
    LookUp,
    /// Its server's queue is full.
    Connect,
    /// Its server does not say hello.
    TlsHandshake,
    /// Its server does not read what it sends.
    Send,
    /// Its server does not answer.
    Head,
    /// Its server sends no event.
    SilentBody,
    /// Its server sends as fast as it can.
    FloodingBody,
    /// The same two with TLS.
    SilentTlsBody,
    FloodingTlsBody,
    /// It has lost its connection, and will come back in an hour.
    Wait,
}

impl Phase {
    pub(crate) const ALL: [Self; 10] = [
        Self::LookUp,
        Self::Connect,
        Self::TlsHandshake,
        Self::Send,
        Self::Head,
        Self::SilentBody,
        Self::FloodingBody,
        Self::SilentTlsBody,
        Self::FloodingTlsBody,
        Self::Wait,
    ];
}

/// The other end of a source.
enum Peer {
    Nobody,
    Silent(TcpStream),
    Connected(Connection),
    Flooding(JoinHandle<()>),
}

/// A source in a phase.
pub(crate) struct Staged {
    pub(crate) source: Source,
    pub(crate) server: Server,
    peer: Peer,
    _crowd: Vec<TcpStream>,
}

impl Staged {
    /// Waits until the server sees the connection closed, if there was one.
    pub(crate) fn sees_the_client_close(self) -> (Source, Server) {
        match self.peer {
            Peer::Nobody => {}
            Peer::Silent(mut stream) => see_the_client_close(&mut stream),
            Peer::Connected(mut connection) => {
                connection.sees_the_client_close();
            }
            Peer::Flooding(thread) => thread.join().expect("a flood's end"),
        }
        (self.source, self.server)
    }
}

/// Brings a source into `phase`; all callbacks up to there have been taken.
pub(crate) fn stage(phase: Phase) -> Staged {
    let secure = matches!(
        phase,
        Phase::TlsHandshake | Phase::SilentTlsBody | Phase::FloodingTlsBody
    );
    let server = if secure {
        Server::secure(certificates::trusted("127.0.0.1"))
    } else {
        Server::start()
    };
    let mut crowd = Vec::new();
    let url = server.url("/");
    let (source, peer) = match phase {
        Phase::LookUp => {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("dead-{number}.test");
            names::hang(&name);
            let source = Source::connected(&server.url_at(&name, "/"));
            names::wait_until_asked(&name, 1);
            (source, Peer::Nobody)
        }
        Phase::Connect => {
            crowd = server.become_a_black_hole();
            let others = server.knocking();
            let source = Source::connected(&url);
            until("a SYN", || server.knocking() > others);
            (source, Peer::Nobody)
        }
        Phase::TlsHandshake => {
            let source = Source::connected(&url);
            let stream = server.accept_silently();
            until("a hello", || waiting_bytes(&stream) > 0);
            (source, Peer::Silent(stream))
        }
        Phase::Send => {
            server.receive_little();
            // More than all buffers on the way.
            let source = Source::new(&url)
                .with_header("X-Large", &"x".repeat(16 << 20))
                .start();
            let stream = server.accept_silently();
            let (mut last, mut times) = (0, 0);
            until("a full buffer", || {
                let bytes = waiting_bytes(&stream);
                times = if bytes == last { times + 1 } else { 0 };
                last = bytes;
                bytes > 0 && times > 5
            });
            (source, Peer::Silent(stream))
        }
        Phase::Head => {
            let source = Source::connected(&url);
            let connection = server.accept();
            (source, Peer::Connected(connection))
        }
        Phase::SilentBody | Phase::SilentTlsBody => {
            let source = Source::connected(&url);
            let mut connection = server.accept();
            connection.send(EVENT_STREAM);
            source.opened();
            (source, Peer::Connected(connection))
        }
        Phase::FloodingBody | Phase::FloodingTlsBody => {
            let source = Source::connected(&url);
            let mut connection = server.accept();
            connection.send(EVENT_STREAM);
            source.opened();
            let event = format!("data: {}\n\n", "x".repeat(1000));
            let thread = std::thread::spawn(move || {
                let events = event.repeat(64);
                while connection.try_send(&events).is_ok() {}
            });
            source.event();
            (source, Peer::Flooding(thread))
        }
        Phase::Wait => {
            let source =
                Source::new(&url).with_reconnection_time(3_600_000).start();
            let mut connection = server.accept();
            connection.send(EVENT_STREAM);
            connection.finish();
            source.opened();
            source.lost();
            (source, Peer::Nobody)
        }
    };
    if !matches!(phase, Phase::FloodingBody | Phase::FloodingTlsBody) {
        let last = source.history().pop();
        assert!(!matches!(last, Some(Seen::Close(_))), "{phase:?}: {last:?}");
    }
    Staged { source, server, peer, _crowd: crowd }
}

/// How many bytes can be read from `stream` without waiting.
fn waiting_bytes(stream: &TcpStream) -> libc::c_int {
    use std::os::fd::AsRawFd;
    let mut bytes = 0;
    // SAFETY: FIONREAD writes an `int`.
    let result = unsafe {
        libc::ioctl(stream.as_raw_fd(), libc::FIONREAD, &raw mut bytes)
    };
    assert_eq!(result, 0, "FIONREAD");
    bytes
}
