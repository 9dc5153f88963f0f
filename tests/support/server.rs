//! A scripted server on loopback: real sockets, one step after the other, each
//! at the test's word. Everything that waits has a deadline.

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::DEADLINE;

/// The head of an event stream that ends when the connection does.
pub const EVENT_STREAM: &str = "HTTP/1.1 200 OK\r\n\
    Content-Type: text/event-stream\r\nConnection: close\r\n\r\n";

/// The head of an event stream in chunks.
pub const CHUNKED: &str = "HTTP/1.1 200 OK\r\n\
    Content-Type: text/event-stream\r\nConnection: close\r\n\
    Transfer-Encoding: chunked\r\n\r\n";

/// Where nobody listens, and nobody will: no server is given this port.
pub const NOBODY: &str = "http://127.0.0.1:1/";

/// A listening socket, with or without TLS.
pub struct Server {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// Listens on `address`.
    pub fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        Self { listener, tls: None }
    }

    /// Listens on a free port of 127.0.0.1 and speaks TLS.
    pub fn secure(config: Arc<ServerConfig>) -> Self {
        Self { tls: Some(config), ..Self::start() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound socket")
    }

    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Scheme, host and port, as an event's origin has them.
    pub fn origin(&self) -> String {
        self.origin_at(&self.address().to_string())
    }

    /// The URL of `path` at this server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// The URL of `path` at this server under another name.
    pub fn url_at(&self, host: &str, path: &str) -> String {
        self.origin_at(&format!("{host}:{}", self.port())) + path
    }

    fn origin_at(&self, authority: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{authority}")
    }

    /// Waits for a connection and for the head of its request.
    pub fn accept(&self) -> Connection {
        self.try_accept().expect("a request")
    }

    /// The same, for a connection that may break before a request has come.
    pub fn try_accept(&self) -> std::io::Result<Connection> {
        let stream = self.accept_silently();
        match &self.tls {
            None => Connection::over(stream),
            Some(config) => Connection::over_tls(stream, config.clone()),
        }
    }

    /// Waits for a connection, shakes hands if it is to, and reads nothing.
    pub fn accept_unasked(&self) -> std::io::Result<Connection> {
        let stream = self.accept_silently();
        match &self.tls {
            None => Ok(Connection::unasked(stream)),
            Some(config) => {
                Connection::unasked_over_tls(stream, config.clone())
            }
        }
    }

    /// Waits for a connection and takes nothing from it.
    pub fn accept_silently(&self) -> TcpStream {
        assert!(
            readable(self.listener.as_raw_fd(), DEADLINE.as_millis() as i32),
            "nobody connects"
        );
        let (stream, _) = self.listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
        stream
    }

    /// Fills the queue of connections that wait to be accepted: from now on
    /// nobody gets through. Lasts as long as what it gives back.
    pub fn become_a_black_hole(&self) -> Vec<TcpStream> {
        shorten_queue(self.listener.as_raw_fd());
        let patience = Duration::from_millis(100);
        std::iter::from_fn(|| {
            TcpStream::connect_timeout(&self.address(), patience).ok()
        })
        .collect()
    }

    /// Lets the kernel take as little as it can before the server reads.
    pub fn receive_little(&self) {
        let size: libc::c_int = 1;
        // SAFETY: an `int` is what SO_RCVBUF takes.
        let result = unsafe {
            libc::setsockopt(
                self.listener.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                (&raw const size).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0, "SO_RCVBUF");
    }

    /// How many of this machine's sockets are on their way to this server.
    pub fn knocking(&self) -> usize {
        const SYN_SENT: &str = "02";
        let port = format!(":{:04X}", self.port());
        let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc");
        table
            .lines()
            .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
            .filter(|line| line[2].ends_with(&port) && line[3] == SYN_SENT)
            .count()
    }

    /// Whether a connection waits to be accepted, at this moment.
    pub fn is_asked(&self) -> bool {
        readable(self.listener.as_raw_fd(), 0)
    }
}

/// Leaves room for as few connections as the system can.
fn shorten_queue(listener: i32) {
    // SAFETY: a listening socket; listening again resizes its queue.
    let result = unsafe { libc::listen(listener, 0) };
    assert_eq!(result, 0, "listen");
}

/// A path for a Unix socket of one's own.
pub fn free_path() -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("eventsource-{}-{number}", std::process::id());
    std::env::temp_dir().join(name)
}

/// A listening Unix socket. Its file goes with it.
pub struct UnixServer {
    listener: UnixListener,
    pub path: PathBuf,
}

impl UnixServer {
    pub fn start() -> Self {
        Self::at(free_path())
    }

    pub fn at(path: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).expect("a free path");
        Self { listener, path }
    }

    /// Listens in the abstract namespace; its path is for the library.
    pub fn nowhere() -> Self {
        let path = free_path();
        let name = path.file_name().expect("a path with a name");
        let name = name.to_str().expect("a name in UTF-8");
        let address = UnixAddress::from_abstract_name(name);
        let address = address.expect("a name that is not too long");
        let listener = UnixListener::bind_addr(&address);
        let listener = listener.expect("a free name");
        Self { listener, path: PathBuf::from(format!("@{name}")) }
    }

    /// Waits for a connection and for the head of its request.
    pub fn accept(&self) -> Connection {
        Connection::over(self.accept_silently()).expect("a request")
    }

    /// Waits for a connection and takes nothing from it.
    pub fn accept_silently(&self) -> TcpStream {
        assert!(
            readable(self.listener.as_raw_fd(), DEADLINE.as_millis() as i32),
            "nobody connects"
        );
        let (stream, _) = self.listener.accept().expect("a connection");
        // Read and written alike, and std asks no more of it.
        let stream = TcpStream::from(OwnedFd::from(stream));
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
        stream
    }

    /// Fills the queue; gives back who stands in it.
    pub fn become_full(&self) -> UnixStream {
        shorten_queue(self.listener.as_raw_fd());
        // A queue of none has room for one.
        UnixStream::connect(&self.path).expect("room for one")
    }
}

impl Drop for UnixServer {
    fn drop(&mut self) {
        // A test that fails may have taken it away.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether `descriptor` has something to read within `timeout` milliseconds.
fn readable(descriptor: i32, timeout: i32) -> bool {
    let mut entry =
        libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, on the stack.
    unsafe { libc::poll(&mut entry, 1, timeout) > 0 }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, Stream>>),
}

impl Stream {
    fn secure(self, config: Arc<ServerConfig>) -> Self {
        let tls = ServerConnection::new(config).expect("a configuration");
        Self::Tls(Box::new(StreamOwned::new(tls, self)))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref().socket(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    // An alert goes with what stands before it, or not at all.
    fn write_vectored(
        &mut self,
        buffers: &[IoSlice<'_>],
    ) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write_vectored(buffers),
            Self::Tls(tls) => tls.write_vectored(buffers),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A connection whose request has been read. Dropping it closes it.
pub struct Connection {
    stream: Stream,
    pub request: Request,
}

impl Connection {
    /// A connection of which nothing has been read.
    pub fn unasked(stream: TcpStream) -> Self {
        let request = Request::default();
        Connection { stream: Stream::Plain(stream), request }
    }

    /// The same, once hands were shaken.
    pub fn unasked_over_tls(
        stream: TcpStream,
        config: Arc<ServerConfig>,
    ) -> std::io::Result<Self> {
        Self::shaken(Stream::Plain(stream).secure(config))
    }

    /// Reads what has come, or waits for it; zero is the end.
    pub fn receive(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }

    /// The protocol that was agreed on while TLS was set up.
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => tls.conn.alpn_protocol(),
        }
    }

    /// Waits for the head of a request.
    pub fn over(stream: TcpStream) -> std::io::Result<Self> {
        Self::read_request(Stream::Plain(stream))
    }

    /// Shakes hands, and waits for the head of a request.
    pub fn over_tls(
        stream: TcpStream,
        config: Arc<ServerConfig>,
    ) -> std::io::Result<Self> {
        Self::read_request(Stream::Plain(stream).secure(config))
    }

    /// Waits for the head of another request over this connection.
    pub fn again(self) -> std::io::Result<Self> {
        Self::read_request(self.stream)
    }

    /// The same, over a connection that was asked for a tunnel.
    pub fn tunnel(self, config: Arc<ServerConfig>) -> std::io::Result<Self> {
        Self::read_request(self.stream.secure(config))
    }

    /// The same, and nothing is read once hands were shaken.
    pub fn tunnel_unasked(
        self,
        config: Arc<ServerConfig>,
    ) -> std::io::Result<Self> {
        Self::shaken(self.stream.secure(config))
    }

    fn shaken(mut stream: Stream) -> std::io::Result<Self> {
        if let Stream::Tls(tls) = &mut stream {
            while tls.conn.is_handshaking() {
                tls.conn.complete_io(&mut tls.sock)?;
            }
        }
        Ok(Connection { stream, request: Request::default() })
    }

    fn read_request(mut stream: Stream) -> std::io::Result<Self> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 << 10];
        let mut read_more = |bytes: &mut Vec<u8>| {
            let length = stream.read(&mut buffer)?;
            bytes.extend_from_slice(&buffer[..length]);
            if length == 0 {
                return Err(std::io::Error::from(ErrorKind::UnexpectedEof));
            }
            Ok(())
        };
        let head = loop {
            // What has been looked through is not looked through again.
            let seen = bytes.len().saturating_sub(3);
            read_more(&mut bytes)?;
            let mut ends = bytes[seen..].windows(4);
            if let Some(end) = ends.position(|end| end == b"\r\n\r\n") {
                break seen + end + 4;
            }
        };
        let mut request = Request::parse(&bytes[..head]);
        let length = request.header("content-length");
        let length = length.map_or(0, |text| text.parse().expect("a number"));
        while bytes.len() < head + length {
            read_more(&mut bytes)?;
        }
        request.body = bytes.split_off(head);
        assert_eq!(request.body.len(), length, "more than the body");
        Ok(Connection { stream, request })
    }

    /// The socket, of a connection without TLS, for what comes after the
    /// first request.
    pub fn into_socket(self) -> TcpStream {
        match self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(_) => panic!("a connection without TLS"),
        }
    }

    /// Where the client is.
    pub fn peer(&self) -> SocketAddr {
        self.stream.socket().peer_addr().expect("a connection")
    }

    /// The name that the client has asked for while TLS was set up.
    pub fn server_name(&self) -> Option<&str> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => tls.conn.server_name(),
        }
    }

    /// Writes bytes, whatever they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("a client that reads");
    }

    /// Writes bytes to a client that may be gone.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Writes one chunk of a chunked body.
    pub fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.send(chunk);
    }

    /// Answers without a body and closes: `status` is code and reason,
    /// `headers` are whole lines.
    pub fn answer(mut self, status: &str, headers: &str) {
        self.send(format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n"
        ));
        self.finish();
    }

    /// Answers with a redirect.
    pub fn redirect(self, status: &str, location: &str) {
        self.answer(
            status,
            &format!("Location: {location}\r\nContent-Length: 0\r\n"),
        );
    }

    /// Says good-bye in an orderly way: FIN, behind TLS's own good-bye.
    pub fn finish(mut self) {
        if let Stream::Tls(tls) = &mut self.stream {
            tls.conn.send_close_notify();
            // The client may be gone already.
            let _ = tls.flush();
        }
        // Likewise.
        let _ = self.stream.socket().shutdown(Shutdown::Write);
    }

    /// Writes bytes, and with them the end that TLS has, but no FIN.
    pub fn send_last(&mut self, bytes: impl AsRef<[u8]>) {
        let Stream::Tls(tls) = &mut self.stream else { panic!("no TLS") };
        tls.conn.writer().write_all(bytes.as_ref()).expect("room");
        tls.conn.send_close_notify();
        tls.flush().expect("a client that reads");
    }

    /// Writes bytes, and with them some that are no record of TLS.
    pub fn send_and_break(&mut self, bytes: impl AsRef<[u8]>) {
        let Stream::Tls(tls) = &mut self.stream else { panic!("no TLS") };
        tls.conn.set_buffer_limit(None);
        tls.conn.writer().write_all(bytes.as_ref()).expect("room");
        let mut sent = Vec::new();
        while tls.conn.wants_write() {
            tls.conn.write_tls(&mut sent).expect("memory");
        }
        sent.extend_from_slice(b"no record of TLS");
        tls.sock.write_all(&sent).expect("a client that reads");
    }

    /// Sends FIN, and stays to see what the client does.
    pub fn half_close(&self) {
        self.stream.socket().shutdown(Shutdown::Write).expect("a connection");
    }

    /// Sends RST.
    pub fn reset(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        // SAFETY: a `linger` is what SO_LINGER takes.
        let result = unsafe {
            libc::setsockopt(
                self.stream.socket().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of::<libc::linger>() as libc::socklen_t,
            )
        };
        assert_eq!(result, 0, "SO_LINGER");
    }

    /// Waits until the client has closed the connection.
    pub fn sees_the_client_close(&mut self) {
        see_the_client_close(&mut self.stream);
    }
}

/// Waits until the client has closed `stream`.
pub fn see_the_client_close(stream: &mut impl Read) {
    let start = Instant::now();
    let mut buffer = [0; 16 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            // The client may finish what it was sending.
            Ok(_) => {}
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    panic!("the client does not close")
                }
                _ => return,
            },
        }
        assert!(start.elapsed() < DEADLINE, "the client goes on");
    }
}

/// A request, as it came.
#[derive(Default)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub version: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    fn parse(head: &[u8]) -> Self {
        let mut lines = head
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").expect("CR before LF"))
            .take_while(|line| !line.is_empty());
        let line = lines.next().expect("a request line");
        let line = std::str::from_utf8(line).expect("an ASCII request line");
        let parts: Vec<&str> = line.split(' ').collect();
        let [method, target, version] = parts[..] else {
            panic!("a request line of three parts: {line}")
        };
        let headers = lines
            .map(|line| {
                let colon = line.iter().position(|&byte| byte == b':');
                let (name, value) = line.split_at(colon.expect("a colon"));
                let name = std::str::from_utf8(name).expect("an ASCII name");
                let value = value[1..].trim_ascii();
                (name.to_owned(), value.to_vec())
            })
            .collect();
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: version.to_owned(),
            headers,
            body: Vec::new(),
        }
    }

    /// The names of the headers, as they were written.
    pub fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| &**name).collect()
    }

    /// The value of the header `name`. No header may come twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_bytes(name)
            .map(|value| std::str::from_utf8(value).expect("UTF-8"))
    }

    /// The same, byte for byte.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        let mut values = self
            .headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| &value[..]);
        assert!(values.next().is_none(), "{name} came twice");
        value
    }
}
