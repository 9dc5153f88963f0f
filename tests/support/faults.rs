//! A way to a server on which things go wrong, each at the test's word.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;

/// What becomes of one connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It is reset before a byte of it was read.
    Refuse,
    /// All is carried, but the response byte by byte.
    ByteAtATime,
    /// After so many bytes of the response it is reset.
    ResetAfter(usize),
    /// After so many bytes of the response it is half closed.
    CloseAfter(usize),
    /// After so many bytes of the response nothing comes any more.
    StallAfter(usize),
}

/// Stands before a server. Connections take the faults in their order.
pub struct Faults {
    address: SocketAddr,
}

impl Faults {
    /// One fault for each connection; more connections are not accepted.
    pub fn before(server: SocketAddr, faults: &[Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let faults = faults.to_owned();
        thread::spawn(move || {
            for fault in faults {
                let Ok((client, _)) = listener.accept() else { return };
                carry(client, server, fault);
            }
        });
        Self { address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// One connection, from its request to its fault.
fn carry(mut client: TcpStream, server: SocketAddr, fault: Fault) {
    if fault == Fault::Refuse {
        return reset(&client);
    }
    let mut server = TcpStream::connect(server).expect("the server");
    let mut request = [0; 16 << 10];
    let length = client.read(&mut request).expect("a request");
    server.write_all(&request[..length]).expect("a server that reads");
    client.set_nodelay(true).expect("a TCP socket");
    let mut byte = [0];
    for number in 0.. {
        match fault {
            Fault::ResetAfter(bytes) if number == bytes => {
                // What has been sent arrives first.
                wait_until_taken(&client);
                return reset(&client);
            }
            Fault::CloseAfter(bytes) if number == bytes => {
                _ = client.shutdown(Shutdown::Write);
                return wait_until_gone(&client);
            }
            Fault::StallAfter(bytes) if number == bytes => {
                return wait_until_gone(&client);
            }
            _ => {}
        }
        match server.read(&mut byte) {
            Ok(1) if client.write_all(&byte).is_ok() => {}
            _ => return,
        }
    }
}

/// Waits until the source has closed its end.
fn wait_until_gone(mut client: &TcpStream) {
    while client.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
}

fn reset(client: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: a `linger` is what SO_LINGER takes.
    let result = unsafe {
        libc::setsockopt(
            client.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "SO_LINGER");
}

/// Waits until the other end's system has acknowledged all that was sent.
fn wait_until_taken(client: &TcpStream) {
    super::until("all is taken", || {
        let mut left: libc::c_int = 0;
        // SAFETY: SIOCOUTQ writes an `int`.
        let result = unsafe {
            libc::ioctl(client.as_raw_fd(), libc::TIOCOUTQ, &raw mut left)
        };
        assert_eq!(result, 0, "SIOCOUTQ");
        left == 0
    });
}
