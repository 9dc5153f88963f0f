//! Sockets, connected and read so that closing the source wakes every wait.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{
    Domain, Protocol, SockAddr, Socket as Socket2, TcpKeepalive, Type,
};

use crate::error::Error;
use crate::failure::{Failure, NoConnection, in_words};
use crate::net::interface::Interface;
use crate::sys::{self, Entry, Interest};
use crate::wait::{Unready, Until};

/// How long an address is tried alone before the next one is tried beside
/// it (RFC 8305, 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A peer that has sent nothing for a minute is probed; if four probes, a
/// quarter of a minute apart, bring no answer either, it is lost: within two
/// minutes, without a byte from either side's program.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// How often a Unix socket whose queue is full is asked for room: the system
/// tells nobody when there is some.
const UNIX_RETRY: Duration = Duration::from_millis(50);

/// A connected socket. Writing never waits, and reading only where that is said;
/// other waits are a call of their own.
#[derive(Debug)]
pub(crate) struct Socket(Socket2);

impl Socket {
    /// Connects to the first address that answers (RFC 8305): each gets a head
    /// start before the next is tried beside it, and a refusal ends the head
    /// start, so that a dead family costs a quarter of a second at most.
    pub(crate) fn connect(
        addresses: &[SocketAddr],
        interface: Option<&Interface>,
        until: Until<'_>,
    ) -> Result<Socket, NoConnection> {
        let mut rest = addresses.iter();
        // Most often one is enough, and an idle source keeps what is allocated
        // here in its thread's cache.
        let mut attempts: Vec<(Socket2, SocketAddr)> = Vec::with_capacity(1);
        // One for each attempt, and room for what interrupts the wait.
        let mut entries = Vec::with_capacity(2);
        let mut last = Failure::new(Error::Connect, "no address");
        let mut next_start = Instant::now();
        loop {
            if (attempts.is_empty() || Instant::now() >= next_start)
                && let Some(&address) = rest.next()
            {
                next_start = Instant::now() + HEAD_START;
                match start(address, interface) {
                    Ok(socket) => {
                        entries
                            .push(Entry::new(socket.as_fd(), Interest::Write));
                        attempts.push((socket, address));
                    }
                    Err(cause) => last = refused(address, interface, &cause),
                }
                continue;
            }
            if attempts.is_empty() {
                return Err(last.into());
            }
            let wait = match rest.len() {
                0 => until,
                _ => until.at_most(next_start),
            };
            match wait.wait_any(&mut entries) {
                Ok(()) => {}
                Err(Unready::Interrupted) => {
                    return Err(NoConnection::Interrupted);
                }
                Err(Unready::Deadline) if until.has_passed() => {
                    let (_, address) = attempts[0];
                    let message = format!("connecting to {address}: timed out");
                    return Err(Failure::new(Error::Timeout, message).into());
                }
                Err(Unready::Deadline) => continue,
                Err(Unready::System(cause)) => {
                    let failure = Failure::new(Error::System, in_words(&cause));
                    return Err(failure.caused_by(&cause).into());
                }
            }
            // Backwards, so that `remove` moves none that is still to be looked
            // at.
            for index in (0..attempts.len()).rev() {
                if !entries[index].is_ready() {
                    continue;
                }
                entries.remove(index);
                let (socket, address) = attempts.remove(index);
                match socket.take_error() {
                    // The others are closed as they are dropped.
                    Ok(None) => return Ok(Socket(socket)),
                    Ok(Some(cause)) | Err(cause) => {
                        last = refused(address, interface, &cause);
                        next_start = Instant::now();
                    }
                }
            }
        }
    }

    /// Connects to a Unix socket.
    pub(crate) fn connect_unix(
        path: &Path,
        until: Until<'_>,
    ) -> Result<Socket, NoConnection> {
        let failure = |error, cause: &dyn std::fmt::Display| {
            Failure::new(
                error,
                format!("connecting to {}: {cause}", path.display()),
            )
        };
        let system = |cause: io::Error| {
            failure(Error::System, &in_words(&cause)).caused_by(&cause)
        };
        let address = unix_address(path).map_err(system)?;
        let socket =
            Socket2::new(Domain::UNIX, Type::STREAM, None).map_err(system)?;
        socket.set_nonblocking(true).map_err(system)?;
        loop {
            match socket.connect(&address) {
                Ok(()) => return Ok(Socket(socket)),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => {
                    let failure = failure(Error::Connect, &in_words(&cause));
                    return Err(failure.caused_by(&cause).into());
                }
            }
            match until.at_most(Instant::now() + UNIX_RETRY).sleep() {
                Unready::Interrupted => return Err(NoConnection::Interrupted),
                Unready::Deadline if until.has_passed() => {
                    let message = "its queue is full: timed out";
                    return Err(failure(Error::Timeout, &message).into());
                }
                Unready::Deadline => {}
                Unready::System(cause) => return Err(system(cause).into()),
            }
        }
    }

    /// The address at the other end of a TCP connection.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.0.peer_addr().ok()?.as_socket()
    }

    /// What to wait for with poll.
    pub(crate) fn entry(&self, interest: Interest) -> Entry {
        Entry::new(self.0.as_fd(), interest)
    }

    /// The number by which another thread may end a read that waits.
    pub(crate) fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// From here on a read may wait, no longer than `time`.
    pub(crate) fn let_reads_wait(
        &self,
        time: Option<Duration>,
    ) -> io::Result<()> {
        self.0.set_read_timeout(time)?;
        self.0.set_nonblocking(false)
    }

    /// Reads what has come: `WouldBlock` if nothing has. With `waits` that is
    /// after the time of [`Socket::let_reads_wait`].
    pub(crate) fn read(
        &self,
        buffer: &mut [u8],
        waits: bool,
    ) -> io::Result<usize> {
        sys::receive(self.0.as_fd(), buffer, waits)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Without the flag a server that has gone would end the program by
        // SIGPIPE, whose disposition is the program's own business.
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        self.0.send_with_flags(bytes, flags)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to connect, and returns at once. No delay: a request goes out in one
/// write, and must not wait for the acknowledgement of another.
fn start(
    address: SocketAddr,
    interface: Option<&Interface>,
) -> io::Result<Socket2> {
    let domain = Domain::for_address(address);
    let socket = Socket2::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    let address = match interface {
        Some(interface) => interface.bind(&socket, address)?,
        None => address,
    };
    match socket.connect(&address.into()) {
        Err(cause) if cause.raw_os_error() != Some(libc::EINPROGRESS) => {
            Err(cause)
        }
        _ => Ok(socket),
    }
}

fn refused(
    address: SocketAddr,
    interface: Option<&Interface>,
    cause: &io::Error,
) -> Failure {
    let error = match cause.raw_os_error() {
        // The server has nothing to do with it.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
            Error::System
        }
        _ => Error::Connect,
    };
    let over = interface.map(|it| format!(" over {it}")).unwrap_or_default();
    let message = format!("connecting to {address}{over}: {}", in_words(cause));
    Failure::new(error, message).caused_by(cause)
}

/// The address of a Unix socket. On Linux `@name` is an abstract one.
pub(crate) fn unix_address(path: &Path) -> io::Result<SockAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = path.as_os_str().as_bytes().strip_prefix(b"@") {
        if name.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let name = [b"\0", name].concat();
        return SockAddr::unix(OsStr::from_bytes(&name));
    }
    SockAddr::unix(path)
}
