//! Every phase in which a source may be closed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::server::{
    Connection, EVENT_STREAM, Server, UnixServer, see_the_client_close,
};
use super::source::{Seen, Source};
use super::{certificates, names, until};

/// What a source is doing when it is closed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase {
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
    /// Its proxy's queue is full.
    ProxyConnect,
    /// Its proxy does not answer to CONNECT.
    Tunnel,
    /// Its proxy makes a tunnel, and nobody says hello at the other end.
    TunnelTls,
    /// Its SOCKS proxy does not greet.
    Greeting,
    /// Its SOCKS proxy greets, and does not connect.
    Socks,
    /// The queue of its Unix socket is full.
    UnixConnect,
    /// It has lost its connection, and will come back in an hour.
    Wait,
}

impl Phase {
    pub const ALL: [Self; 16] = [
        Self::LookUp,
        Self::Connect,
        Self::TlsHandshake,
        Self::Send,
        Self::Head,
        Self::SilentBody,
        Self::FloodingBody,
        Self::SilentTlsBody,
        Self::FloodingTlsBody,
        Self::ProxyConnect,
        Self::Tunnel,
        Self::TunnelTls,
        Self::Greeting,
        Self::Socks,
        Self::UnixConnect,
        Self::Wait,
    ];
}

impl Phase {
    /// Whether another attempt gets no further than the one before.
    pub fn hangs_again(self) -> bool {
        matches!(
            self,
            Self::LookUp
                | Self::Connect
                | Self::ProxyConnect
                | Self::UnixConnect
        )
    }
}

/// The other end of a source.
enum Peer {
    Nobody,
    Silent(TcpStream),
    Connected(Connection),
    Flooding(JoinHandle<()>),
}

/// A source in a phase.
pub struct Staged {
    pub source: Source,
    pub server: Server,
    peer: Peer,
    /// Those who keep it from getting anywhere.
    _crowd: Crowd,
}

#[derive(Default)]
struct Crowd {
    _tcp: Vec<TcpStream>,
    _unix: Option<(UnixServer, UnixStream)>,
    _name: Option<Hanging>,
}

/// A name whose look-up hangs until this is dropped: left behind, the look-up
/// would take a thread from others.
struct Hanging(String);

impl Drop for Hanging {
    fn drop(&mut self) {
        names::resolve(&self.0, &[]);
    }
}

impl Staged {
    /// Waits until the server sees the connection closed, if there was one.
    pub fn sees_the_client_close(self) -> (Source, Server) {
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
pub fn stage(phase: Phase) -> Staged {
    let secure = matches!(
        phase,
        Phase::TlsHandshake | Phase::SilentTlsBody | Phase::FloodingTlsBody
    );
    let server = if secure {
        Server::secure(certificates::trusted("127.0.0.1"))
    } else {
        Server::start()
    };
    let mut crowd = Crowd::default();
    let url = server.url("/");
    let through = |scheme: &str, url: &str| {
        let proxy = format!("{scheme}://{}", server.address());
        Source::new(url).with_proxy(&proxy).start()
    };
    let (source, peer) = match phase {
        Phase::LookUp => {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("dead-{number}.test");
            names::hang(&name);
            let source = Source::connected(&server.url_at(&name, "/"));
            names::wait_until_asked(&name, 1);
            crowd._name = Some(Hanging(name));
            (source, Peer::Nobody)
        }
        Phase::Connect => {
            crowd._tcp = server.become_a_black_hole();
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
        Phase::ProxyConnect => {
            crowd._tcp = server.become_a_black_hole();
            let others = server.knocking();
            let source = through("http", "http://server.test/");
            until("a SYN", || server.knocking() > others);
            (source, Peer::Nobody)
        }
        Phase::Tunnel => {
            let source = through("http", "https://server.test/");
            let connection = server.accept();
            (source, Peer::Connected(connection))
        }
        Phase::TunnelTls => {
            let source = through("http", "https://server.test/");
            let mut connection = server.accept();
            connection.send("HTTP/1.1 200 OK\r\n\r\n");
            let stream = connection.into_socket();
            until("a hello", || waiting_bytes(&stream) > 0);
            (source, Peer::Silent(stream))
        }
        Phase::Greeting => {
            let source = through("socks5h", "http://server.test/");
            let stream = server.accept_silently();
            until("a greeting", || waiting_bytes(&stream) == 3);
            (source, Peer::Silent(stream))
        }
        Phase::Socks => {
            let source = through("socks5h", "http://server.test/");
            let mut stream = server.accept_silently();
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).expect("a greeting");
            stream.write_all(&[5, 0]).expect("a client that reads");
            until("a request", || waiting_bytes(&stream) > 0);
            (source, Peer::Silent(stream))
        }
        Phase::UnixConnect => {
            // The system shows nothing of those who wait here.
            let unix = UnixServer::start();
            let first = unix.become_full();
            let source = Source::new(&url).with_unix_socket(&unix.path).start();
            crowd._unix = Some((unix, first));
            (source, Peer::Nobody)
        }
        Phase::Wait => {
            let source =
                Source::new(&url).with_reconnection_time(3_600_000).start();
            let mut connection = server.accept();
            connection.send(EVENT_STREAM);
            connection.finish();
            source.opened();
            source.ended();
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
