//! The conversation with a proxy, up to where the server can be spoken to:
//! HTTP, by CONNECT or asked in the place of the server, and SOCKS 4, 4a and
//! 5.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use url::Host;

use crate::credentials::Credentials;
use crate::error::Error;
use crate::failure::{Failure, NoConnection, in_words};
use crate::net::interface::Interface;
use crate::net::proxy::{Protocol, Proxy};
use crate::net::tls::{self, Alpn, Stream};
use crate::net::trust::{Peer, Trust};
use crate::net::turns::Turns;
use crate::response::{HTTP_1_1, Response};
use crate::url::HttpUrl;
use crate::userinfo::UserInfo;
use crate::wait::{Interrupted, Until};

/// The head of an answer to CONNECT is refused if it is longer.
const MAX_HEAD: usize = 64 * 1024;

impl Proxy {
    /// Connects, up to where the server of `url` can be spoken to: through
    /// the proxy, or in its place if that is what it does.
    pub(crate) fn connect(
        &self,
        url: &HttpUrl,
        trust: &Trust,
        interface: Option<&Interface>,
        turns: &Turns,
        until: Until<'_>,
    ) -> Result<Stream, NoConnection> {
        let stream = self.dial(trust, interface, turns, until).map_err(
            |none| match none {
                NoConnection::Failed(cause) => self.named(cause).into(),
                NoConnection::Interrupted => NoConnection::Interrupted,
            },
        )?;
        let mut tunnel = Tunnel { proxy: self, stream, turns, until };
        match self.protocol {
            Protocol::Http | Protocol::Https => {
                if !self.forwards(url) {
                    tunnel.connect(url)?;
                }
            }
            Protocol::Socks4 | Protocol::Socks4a => tunnel.socks4(url)?,
            Protocol::Socks5 | Protocol::Socks5h => tunnel.socks5(url)?,
        }
        Ok(tunnel.stream)
    }

    /// Connects to the proxy itself.
    fn dial(
        &self,
        trust: &Trust,
        interface: Option<&Interface>,
        turns: &Turns,
        until: Until<'_>,
    ) -> Result<Stream, NoConnection> {
        let host = match &self.host {
            Host::Domain(name) => Host::Domain(&**name),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        let stream =
            Stream::Plain(turns.connect(host, self.port, interface, until)?);
        match self.protocol {
            Protocol::Https => {
                // The program has chosen the proxy itself.
                let terms = trust.terms(Peer::Other, Credentials::Send)?;
                let host = self.host.to_string();
                // Whatever is to be spoken with the server: CONNECT is asked
                // for over HTTP/1.1.
                Ok(stream.secure(&host, terms, Alpn::Http1, until)?)
            }
            _ => Ok(stream),
        }
    }
}

/// A connection to a proxy that does not lead to the server yet.
struct Tunnel<'a> {
    proxy: &'a Proxy,
    stream: Stream,
    turns: &'a Turns,
    until: Until<'a>,
}

impl Tunnel<'_> {
    /// Asks for a tunnel by CONNECT (RFC 9110, 9.3.6). The request is written
    /// here and not by ureq: it is no request of the program's, and none of the
    /// program's headers may reach the proxy.
    fn connect(&mut self, url: &HttpUrl) -> Result<(), NoConnection> {
        // With the port in both places, also where it is the scheme's own: RFC
        // 9110, 9.3.6 wants it in the target, and proxies compare the two.
        let (host, port) = (url.host_str(), url.port());
        let mut request = format!(
            "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\
             User-Agent: libeventsource/{}\r\n",
            env!("CARGO_PKG_VERSION")
        )
        .into_bytes();
        if let Some(value) = self.proxy.authorization() {
            request.extend(b"Proxy-Authorization: ");
            request.extend(value.as_bytes());
            request.extend(b"\r\n");
        }
        request.extend(b"\r\n");
        self.send(&request)?;
        let head = self.head()?;
        let Some((status, headers)) = parse(&head) else {
            return Err(self.refused("its answer is not HTTP"));
        };
        // Any of them: proxies answer 200, and some 201 or 204. Whatever length
        // the head claims, no body follows (RFC 9110, 9.3.6).
        if (200..300).contains(&status) {
            return Ok(());
        }
        let failure = self.proxy.refusal(status).unwrap_or_else(|| {
            self.refusal(format!("it refuses to connect: status {status}"))
        });
        // The response is the proxy's, not the server's, and says so by its
        // URL; that of a SOCKS proxy cannot stand here.
        let url =
            HttpUrl::parse(&self.proxy.to_string()).unwrap_or(url.clone());
        let response =
            Response { status, http_version: HTTP_1_1, url, headers };
        Err(failure.with(response).into())
    }

    /// Reads an answer up to its empty line. The server speaks only when it has
    /// been spoken to, so that bytes behind the head of a success are no
    /// server's, and are refused.
    fn head(&mut self) -> Result<Vec<u8>, NoConnection> {
        let mut head = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let read = self.receive_some(&mut buffer)?;
            head.extend_from_slice(&buffer[..read]);
            if let Some(end) = end_of_head(&head) {
                // The body of a refusal says nothing that the head does not.
                return match end < head.len() && is_success(&head) {
                    true => Err(self.refused("it says more than it was asked")),
                    false => Ok(head),
                };
            }
            if head.len() > MAX_HEAD {
                return Err(self.refused("its answer's head is over 64 KiB"));
            }
        }
    }

    /// SOCKS4, and its extension 4a, by which the proxy looks the name up. They
    /// have no RFC; the request is version 4, command 1 (connect), port,
    /// address, user name and NUL.
    fn socks4(&mut self, url: &HttpUrl) -> Result<(), NoConnection> {
        let remote = self.proxy.protocol == Protocol::Socks4a;
        let (address, name) = match url.host() {
            Host::Ipv4(address) => (address, None),
            Host::Ipv6(_) => {
                return Err(self.refused("SOCKS4 has no IPv6 addresses"));
            }
            // 0.0.0.1 says that a name follows (4a).
            Host::Domain(name) if remote => {
                (Ipv4Addr::new(0, 0, 0, 1), Some(name))
            }
            Host::Domain(_) => (self.ipv4_address(url)?, None),
        };
        let mut request = vec![4, 1];
        request.extend(url.port().to_be_bytes());
        request.extend(address.octets());
        // Only a name: the protocol has no place for a password. (The proxy was
        // meant to ask the client's machine, by RFC 1413, who its user is.)
        if let Some(user) = &self.proxy.user {
            request.extend(&user.name);
        }
        request.push(0);
        if let Some(name) = name {
            request.extend(name.bytes().chain([0]));
        }
        self.send(&request)?;
        let [version, code, ..] = self.receive::<8>()?;
        match (version, code) {
            (0, 90) => Ok(()),
            (0, 91) => Err(self.refused("it refuses to connect")),
            (0, 92 | 93) => Err(self.refused("it refuses the user")),
            _ => Err(self.refused("its answer is not SOCKS4")),
        }
    }

    fn ipv4_address(&self, url: &HttpUrl) -> Result<Ipv4Addr, NoConnection> {
        match self.address(url, SocketAddr::is_ipv4)?.map(|it| it.ip()) {
            Some(IpAddr::V4(address)) => Ok(address),
            _ => {
                Err(self
                    .refused("the host has no IPv4 address, SOCKS4 no other"))
            }
        }
    }

    /// The first of the server's own addresses that is `wanted`, for a proxy
    /// that looks no name up.
    fn address(
        &self,
        url: &HttpUrl,
        wanted: impl Fn(&SocketAddr) -> bool,
    ) -> Result<Option<SocketAddr>, NoConnection> {
        let (host, port) = (url.host(), url.port());
        let addresses = self.turns.addresses(host, port, self.until)?;
        let address = addresses.into_iter().find(wanted);
        address.inspect(|address| self.turns.used(*address));
        Ok(address)
    }

    /// SOCKS5 (RFC 1928): methods, one of them chosen, then the request.
    fn socks5(&mut self, url: &HttpUrl) -> Result<(), NoConnection> {
        const NO_AUTHENTICATION: u8 = 0;
        const PASSWORD: u8 = 2;

        match &self.proxy.user {
            // A proxy may have no use for the password, and is then not told
            // it.
            None => self.send(&[5, 1, NO_AUTHENTICATION])?,
            Some(_) => self.send(&[5, 2, NO_AUTHENTICATION, PASSWORD])?,
        }
        match (self.receive()?, &self.proxy.user) {
            ([5, NO_AUTHENTICATION], _) => {}
            ([5, PASSWORD], Some(user)) => self.log_in(user)?,
            ([5, _], None) => {
                return Err(self.refused("it asks for a user and a password"));
            }
            ([5, _], Some(_)) => {
                return Err(self.refused("it asks for more than a password"));
            }
            _ => return Err(self.refused("its answer is not SOCKS5")),
        }
        let mut request = vec![5, 1, 0];
        request.extend(self.socks5_address(url)?);
        request.extend(url.port().to_be_bytes());
        self.send(&request)?;
        let [version, code, _, kind] = self.receive()?;
        if version != 5 {
            return Err(self.refused("its answer is not SOCKS5"));
        }
        if code != 0 {
            return Err(self.refused(socks5_reply_text(code)));
        }
        // The address and port it connects from. Nothing needs them, but they
        // must be read, so that the next byte is the server's.
        match kind {
            1 => self.receive::<6>().map(drop),
            4 => self.receive::<18>().map(drop),
            3 => {
                let [length] = self.receive()?;
                let mut rest = vec![0; usize::from(length) + 2];
                self.receive_exactly(&mut rest)
            }
            _ => Err(self.refused("its answer is not SOCKS5")),
        }
    }

    /// User name and password (RFC 1929), in the clear: the proxy's URL says
    /// over which network.
    fn log_in(&mut self, user: &UserInfo) -> Result<(), NoConnection> {
        let mut request = vec![1];
        for text in [&user.name, &user.password] {
            // At most 255 bytes: longer ones were refused with the URL.
            request.push(text.len() as u8);
            request.extend(text);
        }
        self.send(&request)?;
        match self.receive()? {
            // The version of this answer is 1 by RFC 1929, and 5 by some
            // proxies.
            [_, 0] => Ok(()),
            _ => Err(self.refused("it refuses the user name or the password")),
        }
    }

    /// The destination as SOCKS5 has it: a kind, and then the address.
    fn socks5_address(&self, url: &HttpUrl) -> Result<Vec<u8>, NoConnection> {
        let remote = self.proxy.protocol == Protocol::Socks5h;
        let address = match url.host() {
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
            Host::Domain(name) if remote => {
                let Ok(length) = u8::try_from(name.len()) else {
                    return Err(self.refused("SOCKS5 has no name so long"));
                };
                let name = name.bytes();
                return Ok([3, length].into_iter().chain(name).collect());
            }
            Host::Domain(_) => {
                let address = self.address(url, |_| true)?;
                address.expect("a look-up finds one, or fails").ip()
            }
        };
        Ok(match address {
            IpAddr::V4(address) => {
                [1].into_iter().chain(address.octets()).collect()
            }
            IpAddr::V6(address) => {
                [4].into_iter().chain(address.octets()).collect()
            }
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), NoConnection> {
        let sent = self.stream.write_all(bytes, self.until);
        sent.map_err(|cause| self.broken(&cause))
    }

    fn receive<const N: usize>(&mut self) -> Result<[u8; N], NoConnection> {
        let mut bytes = [0; N];
        self.receive_exactly(&mut bytes)?;
        Ok(bytes)
    }

    fn receive_exactly(
        &mut self,
        mut room: &mut [u8],
    ) -> Result<(), NoConnection> {
        while !room.is_empty() {
            let read = self.receive_some(room)?;
            room = &mut room[read..];
        }
        Ok(())
    }

    fn receive_some(&mut self, room: &mut [u8]) -> Result<usize, NoConnection> {
        match self.stream.read_some(room, self.until) {
            Ok(0) => Err(self.refused("it closes the connection")),
            Ok(read) => Ok(read),
            // Over TLS, without close_notify.
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.refused("it closes the connection"))
            }
            Err(cause) => Err(self.broken(&cause)),
        }
    }

    fn refused(&self, why: impl fmt::Display) -> NoConnection {
        self.refusal(why).into()
    }

    fn refusal(&self, why: impl fmt::Display) -> Failure {
        self.proxy.failure(Error::Proxy, why)
    }

    fn broken(&self, cause: &io::Error) -> NoConnection {
        if Interrupted::is(cause) {
            return NoConnection::Interrupted;
        }
        match tls::failure(cause) {
            Some(failure) => self.proxy.named(failure).into(),
            None if cause.kind() == io::ErrorKind::TimedOut => {
                self.proxy.failure(Error::Timeout, "timed out").into()
            }
            None => {
                let why = format!("connection lost: {}", in_words(cause));
                self.refusal(why).caused_by(cause).into()
            }
        }
    }
}

/// What comes behind the empty line, if there is one.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    // RFC 9112, 2.2: a recipient may take LF alone for the end of a line, and
    // simple proxies write it.
    [&b"\r\n\r\n"[..], b"\n\n"]
        .into_iter()
        .filter_map(|end| {
            let found = bytes.windows(end.len()).position(|w| w == end);
            found.map(|start| start + end.len())
        })
        .min()
}

fn is_success(head: &[u8]) -> bool {
    parse(head).is_some_and(|(status, _)| (200..300).contains(&status))
}

/// Status and headers; what is no header is left out.
pub(crate) fn parse(head: &[u8]) -> Option<(u16, HeaderMap)> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.next()?.trim_ascii_end().strip_prefix(b"HTTP/1.")?;
    let [b'0'..=b'9', b' ', status @ ..] = line else { return None };
    let (status, rest) = status.split_at_checked(3)?;
    if !rest.is_empty() && !rest.starts_with(b" ") {
        return None;
    }
    let status = str::from_utf8(status).ok()?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.trim_ascii().is_empty()) {
        // The headers are for the program to look at, and decide nothing here:
        // a line that is none is no reason to fail.
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            // A head of 64 KiB has fewer than the map can hold.
            headers.append(name, value);
        }
    }
    Some((status, headers))
}

/// RFC 1928, 6.
fn socks5_reply_text(code: u8) -> String {
    let text = match code {
        2 => "its rules do not allow the connection",
        3 => "the server's network is unreachable",
        4 => "the server is unreachable",
        5 => "the server refuses the connection",
        6 => "the way to the server is too long",
        7 => "it does not know how to connect",
        8 => "it does not know this kind of address",
        _ => return format!("it refuses to connect (code {code})"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_status_and_headers() {
        let status = |head: &str| parse(head.as_bytes()).map(|(s, _)| s);
        assert_eq!(status("HTTP/1.1 200 OK\r\n\r\n"), Some(200));
        assert_eq!(status("HTTP/1.0 299\n\n"), Some(299));
        for head in [
            "",
            "\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 2000\r\n\r\n",
            "HTTP/1.1 2x0\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert_eq!(status(head), None, "{head}");
        }
        let (_, headers) =
            parse(b"HTTP/1.1 407 x\r\nA: b\r\nnone\r\nA:c \r\n\r\nD: e")
                .unwrap();
        let values: Vec<_> = headers.get_all("a").iter().collect();
        assert_eq!(values, ["b", "c"]);
        assert_eq!(headers.len(), 2);
    }
}
