//! Sockets, connected and read so that closing the source wakes every wait.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{
    Domain, Protocol, SockAddr, Socket as Socket2, TcpKeepalive, Type,
};

use crate::error::Error;
use crate::failure::Failure;
use crate::state::{State, Waited};
use crate::sys::{self, Interest};

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

/// A connected socket. Reading and writing never wait; waiting is a call of
/// its own.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: Socket2,
    state: Arc<State>,
}

impl Socket {
    /// Connects to the first address that answers.
    pub(crate) fn connect(
        addresses: &[SocketAddr],
        state: &Arc<State>,
        deadline: Option<Instant>,
    ) -> Result<Socket, Failure> {
        let mut rest = addresses.iter();
        // Most often one is enough.
        let mut attempts: Vec<(Socket2, SocketAddr)> = Vec::with_capacity(1);
        let mut last = Failure::new(Error::Connect, "no address");
        let mut next_start = Instant::now();
        loop {
            if (attempts.is_empty() || Instant::now() >= next_start)
                && let Some(&address) = rest.next()
            {
                next_start = Instant::now() + HEAD_START;
                match start(address) {
                    Ok(socket) => attempts.push((socket, address)),
                    Err(cause) => last = refused(address, &cause),
                }
                continue;
            }
            if attempts.is_empty() {
                return Err(last);
            }
            let until = match (rest.len(), deadline) {
                (0, deadline) => deadline,
                (_, None) => Some(next_start),
                (_, Some(deadline)) => Some(deadline.min(next_start)),
            };
            let mut entries = vec![state.entry()];
            entries.extend(attempts.iter().map(|(socket, _)| {
                sys::entry(socket.as_fd(), Interest::Write)
            }));
            match state.wait(&mut entries, until) {
                Ok(Waited::Ready) => {}
                Ok(Waited::Interrupted) => return Err(interrupted()),
                Ok(Waited::Deadline) => {
                    if deadline.is_some_and(|end| Instant::now() >= end) {
                        let (_, address) = attempts[0];
                        return Err(Failure::new(
                            Error::Timeout,
                            format!(
                                "connecting to {address}: no answer in time"
                            ),
                        ));
                    }
                    continue;
                }
                Err(cause) => {
                    return Err(Failure::new(Error::System, cause.to_string()));
                }
            }
            // Backwards, so that taking one out moves none that follows.
            for (index, entry) in entries[1..].iter().enumerate().rev() {
                if entry.revents == 0 {
                    continue;
                }
                let (socket, address) = attempts.remove(index);
                match socket.take_error() {
                    Ok(None) => {
                        return Ok(Socket { socket, state: state.clone() });
                    }
                    Ok(Some(cause)) | Err(cause) => {
                        last = refused(address, &cause);
                        next_start = Instant::now();
                    }
                }
            }
        }
    }

    /// Connects to a Unix socket.
    pub(crate) fn connect_unix(
        path: &Path,
        state: &Arc<State>,
        deadline: Option<Instant>,
    ) -> Result<Socket, Failure> {
        let failure = |error, cause: &dyn std::fmt::Display| {
            Failure::new(
                error,
                format!("connecting to {}: {cause}", path.display()),
            )
        };
        let system = |cause: io::Error| failure(Error::System, &cause);
        let address = SockAddr::unix(path).map_err(system)?;
        let socket =
            Socket2::new(Domain::UNIX, Type::STREAM, None).map_err(system)?;
        socket.set_nonblocking(true).map_err(system)?;
        loop {
            match socket.connect(&address) {
                Ok(()) => return Ok(Socket { socket, state: state.clone() }),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => return Err(failure(Error::Connect, &cause)),
            }
            let next = Instant::now() + UNIX_RETRY;
            let until = deadline.map_or(next, |deadline| deadline.min(next));
            match state.wait(&mut [state.entry()], Some(until)) {
                Ok(Waited::Interrupted) => return Err(interrupted()),
                Ok(_) if deadline.is_some_and(|end| Instant::now() >= end) => {
                    return Err(failure(
                        Error::Timeout,
                        &"its queue is full, no answer in time",
                    ));
                }
                Ok(_) => {}
                Err(cause) => return Err(system(cause)),
            }
        }
    }

    /// Waits until there is something to read, or the end.
    pub(crate) fn wait_readable(
        &self,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        self.wait(Interest::Read, deadline)
    }

    /// Waits until something can be written.
    pub(crate) fn wait_writable(
        &self,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        self.wait(Interest::Write, deadline)
    }

    /// What a wait would say, for those who find no need to wait: a peer
    /// that never stops sending is left when it is time.
    pub(crate) fn check(&self, deadline: Option<Instant>) -> io::Result<()> {
        if self.state.interrupted() {
            return Err(io::Error::other(interrupted()));
        }
        match deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(io::ErrorKind::TimedOut.into())
            }
            _ => Ok(()),
        }
    }

    fn wait(
        &self,
        interest: Interest,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let mut entries =
            [self.state.entry(), sys::entry(self.socket.as_fd(), interest)];
        match self.state.wait(&mut entries, deadline)? {
            Waited::Ready => Ok(()),
            Waited::Deadline => Err(io::ErrorKind::TimedOut.into()),
            Waited::Interrupted => Err(io::Error::other(interrupted())),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // No SIGPIPE.
        self.socket.send_with_flags(bytes, libc::MSG_NOSIGNAL)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to connect, and returns at once.
fn start(address: SocketAddr) -> io::Result<Socket2> {
    let domain = Domain::for_address(address);
    let socket = Socket2::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    match socket.connect(&address.into()) {
        Err(cause) if cause.raw_os_error() != Some(libc::EINPROGRESS) => {
            Err(cause)
        }
        _ => Ok(socket),
    }
}

fn refused(address: SocketAddr, cause: &io::Error) -> Failure {
    let error = match cause.raw_os_error() {
        // The server has nothing to do with it.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
            Error::System
        }
        _ => Error::Connect,
    };
    Failure::new(error, format!("connecting to {address}: {cause}"))
}

/// The program has closed the source or wants a new connection; nobody is
/// told of this failure.
pub(crate) fn interrupted() -> Failure {
    Failure::new(Error::Closed, "interrupted")
}
