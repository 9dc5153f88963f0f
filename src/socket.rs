//! TCP, connected and read so that closing the source wakes every wait.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket as Socket2, TcpKeepalive, Type};

use crate::error::Error;
use crate::failure::Failure;
use crate::state::{State, Waited};
use crate::sys::{self, Interest};

/// How long an address is tried alone before the next one is tried beside
/// it (RFC 8305, 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The first probe to a silent peer; a lost one is noticed some minutes
/// later, without a byte from either side's program.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A connected socket. Reading and writing never wait; waiting is a call of
/// its own.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
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
        let mut attempts: Vec<(Socket2, SocketAddr)> = Vec::new();
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
                        let stream = TcpStream::from(socket);
                        return Ok(Socket { stream, state: state.clone() });
                    }
                    Ok(Some(cause)) | Err(cause) => {
                        last = refused(address, &cause);
                        next_start = Instant::now();
                    }
                }
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

    fn wait(
        &self,
        interest: Interest,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let mut entries =
            [self.state.entry(), sys::entry(self.stream.as_fd(), interest)];
        match self.state.wait(&mut entries, deadline)? {
            Waited::Ready => Ok(()),
            Waited::Deadline => Err(io::ErrorKind::TimedOut.into()),
            Waited::Interrupted => Err(io::Error::other(interrupted())),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // std sends with MSG_NOSIGNAL: no SIGPIPE.
        self.stream.write(bytes)
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
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    match socket.connect(&address.into()) {
        Err(cause) if cause.raw_os_error() != Some(libc::EINPROGRESS) => {
            Err(cause)
        }
        _ => Ok(socket),
    }
}

fn refused(address: SocketAddr, cause: &io::Error) -> Failure {
    Failure::new(Error::Connect, format!("connecting to {address}: {cause}"))
}

/// The program has closed the source or wants a new connection; nobody is
/// told of this failure.
pub(crate) fn interrupted() -> Failure {
    Failure::new(Error::Closed, "interrupted")
}
