//! The transport under ureq: one request, up to the end of the response's
//! head, over a connection of our own making.
//!
//! ureq writes the request and waits for the head, which [`head`] reads; when
//! ureq lets go of the connection, [`Wire`] puts what it was made of where
//! [`exchange`] finds it, so that the body is read without ureq. This is the
//! only user of ureq's `unversioned` traits.

use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::Config;
use ureq::http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use ureq::http::{Method, Request, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport,
};

use crate::credentials::Credentials;
use crate::error::Error;
use crate::failure::{Failure, NoConnection};
use crate::http::head::{self, Head};
#[cfg(feature = "http2")]
use crate::http::line;
#[cfg(feature = "http2")]
use crate::http::over_http2::{self, Http2, NoResponse};
use crate::http::reading::before_the_head;
use crate::http::spare::{Spare, Terms};
use crate::net::proxy::Proxy;
use crate::net::socket::Socket;
use crate::net::tls::{self, Alpn, NoTls, Stream};
use crate::net::trust::Peer;
use crate::net::turns::Turns;
use crate::settings::network::Network;
#[cfg(feature = "http2")]
use crate::settings::version::HttpVersion;
use crate::sync::lock;
use crate::sys::Interest;
use crate::url::HttpUrl;
use crate::wait::{self, Interrupt, Interrupted, Until};

/// Room for what ureq adds to the head of a request.
const OUTPUT: usize = 1024;
/// The most of a request's body that is written at once.
const BODY: usize = 64 * 1024;
/// What the head is read into at first; it grows up to [`head::LIMIT`].
const INPUT: usize = 2 * 1024;
/// The head as ureq is given it: all it has to know is that one has come.
const HEAD_FOR_UREQ: &[u8] = b"HTTP/1.1 200\r\n\r\n";
/// The URL as ureq is given it. Its own type knows less hosts than the URL
/// Standard, and no URL over 64 KiB.
const URI_FOR_UREQ: &str = "http://server/";

/// How to get to the server.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) url: HttpUrl,
    pub(crate) interrupt: Arc<dyn Interrupt>,
    pub(crate) network: Arc<Network>,
    /// Whether the server is the one that the program has named.
    pub(crate) peer: Peer,
    /// Whether the server may see it.
    pub(crate) client_certificate: Credentials,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) response_timeout: Option<Duration>,
    #[cfg(feature = "http2")]
    pub(crate) http_version: HttpVersion,
    pub(crate) turns: Arc<Turns>,
}

/// What is left when the head has been read.
#[derive(Debug)]
pub(crate) enum Rest {
    /// The connection, the bytes of the body that came with the head, and what
    /// the connection was made for, if the server keeps it after the response.
    Http1(Stream, Vec<u8>, Option<Terms>),
    #[cfg(feature = "http2")]
    Http2(Box<Http2>),
    /// A stream of a connection that others share, which whoever reads that
    /// knows.
    #[cfg(feature = "http2")]
    Shared,
}

impl Route {
    /// What a connection over it is made for, besides the origin.
    fn terms(&self) -> Terms {
        let Route { peer, client_certificate, .. } = *self;
        Terms { peer, client_certificate }
    }
}

/// Sends a request, and reads the head of its response: over `spare`, if that
/// leads there, or over `dialled`, if that is a connection for HTTP/1.1.
pub(crate) fn exchange(
    mut request: Request<Option<&[u8]>>,
    route: Route,
    spare: Option<Box<Spare>>,
    dialled: Option<Stream>,
) -> Result<(Head, Rest), NoConnection> {
    let proxy = route.network.proxy(&route.url)?;
    // One that is asked in the server's place.
    let forward = proxy.clone().filter(|proxy| proxy.forwards(&route.url));
    if let Some(value) = forward.as_ref().and_then(Proxy::authorization) {
        request.headers_mut().insert(PROXY_AUTHORIZATION, value);
    }
    request.headers_mut().entry(HOST).or_insert_with(|| host(&route.url));
    route.turns.begin();
    let answer = match ask_again(&request, &route, proxy.as_ref(), spare)? {
        Some(answer) => Ok(answer),
        None => ask(request, &route, proxy.as_ref(), dialled),
    };
    let (head, rest) = answer.inspect_err(|none| {
        if let NoConnection::Failed(_) = none {
            route.turns.fail();
        }
    })?;
    route.turns.begin();
    let refusal = forward.and_then(|proxy| proxy.refusal(head.status));
    if let Some(failure) = refusal {
        return Err(failure.with(head.of(route.url)).into());
    }
    Ok((head, rest))
}

/// Asks over a connection that the server has kept. If it turns out that it has
/// not, nobody is told: it has not seen the request. That cannot be known for
/// sure, so that only what may be asked for twice is asked for in this way (RFC
/// 9110, 9.2.2).
fn ask_again(
    request: &Request<Option<&[u8]>>,
    route: &Route,
    proxy: Option<&Proxy>,
    spare: Option<Box<Spare>>,
) -> Result<Option<(Head, Rest)>, NoConnection> {
    let may_be_repeated =
        request.method() == Method::GET && request.body().is_none();
    let spare = spare.filter(|_| may_be_repeated);
    let take =
        |spare: Box<Spare>| spare.take(&route.url.origin(), route.terms());
    let Some(stream) = spare.and_then(take) else { return Ok(None) };
    let buffers = buffers(request)?;
    match over_http1(request.clone(), route, proxy, stream, buffers) {
        Ok(answer) => Ok(Some(answer)),
        Err(NoAnswer::Unheard(_)) => Ok(None),
        Err(none) => Err(none.into()),
    }
}

/// Connects, and asks in the version of HTTP that is wanted, or that the server
/// has.
fn ask(
    request: Request<Option<&[u8]>>,
    route: &Route,
    proxy: Option<&Proxy>,
    dialled: Option<Stream>,
) -> Result<(Head, Rest), NoConnection> {
    // Before anybody is disturbed.
    let buffers = buffers(&request)?;
    if let Some(stream) = dialled {
        return Ok(over_http1(request, route, proxy, stream, buffers)?);
    }
    #[cfg(feature = "http2")]
    if let Some(answer) = ask_over_http2(&request, route, proxy)? {
        return Ok(answer);
    }
    let stream = dial(route, proxy, Alpn::Http1);
    #[cfg(feature = "http2")]
    if let Err(NoTls::NoProtocol(failure)) = stream {
        return ask_for_http2(&request, route, proxy, failure);
    }
    Ok(over_http1(request, route, proxy, stream?, buffers)?)
}

/// Asks over HTTP/2, if that is what the program wants, or what the server is
/// known to have.
#[cfg(feature = "http2")]
fn ask_over_http2(
    request: &Request<Option<&[u8]>>,
    route: &Route,
    proxy: Option<&Proxy>,
) -> Result<Option<(Head, Rest)>, NoConnection> {
    let origin = || route.url.origin();
    match route.http_version {
        HttpVersion::_1_1 => return Ok(None),
        HttpVersion::Auto => {
            if route.turns.spoken(origin) != Some(Alpn::Http2) {
                return Ok(None);
            }
        }
        HttpVersion::_2 => {}
    }
    let is_forced = route.http_version == HttpVersion::_2;
    if proxy.is_some_and(|proxy| proxy.forwards(&route.url)) {
        let message = "a proxy for http URLs does not speak HTTP/2";
        return Err(Failure::new(Error::Proxy, message).futile().into());
    }
    // What the server has not looked at is asked for once more.
    let mut again = true;
    loop {
        let stream = match dial(route, proxy, Alpn::Http2) {
            Ok(stream) => stream,
            // It is not the server that it was.
            Err(NoTls::NoProtocol(_)) if !is_forced => {
                route.turns.forget_what_is_spoken();
                return Ok(None);
            }
            Err(none) => return Err(none.into()),
        };
        if route.url.is_secure() && !stream.has_agreed_to_http2() {
            if !is_forced {
                route.turns.forget_what_is_spoken();
                return Ok(None);
            }
            return Err(not_spoken().into());
        }
        let times = over_http2::Times {
            interrupt: &*route.interrupt,
            response_timeout: route.response_timeout,
        };
        match over_http2::exchange(request, &route.url, stream, times) {
            Ok((head, stream)) => {
                return Ok(Some((head, Rest::Http2(stream))));
            }
            Err(NoResponse::Unprocessed(_)) if again => again = false,
            Err(NoResponse::Http1Required) if !is_forced => {
                route.turns.speaks(origin(), Alpn::Http1);
                return Ok(None);
            }
            Err(NoResponse::Http1Required) => {
                return Err(line::http1_required().into());
            }
            Err(NoResponse::Unprocessed(failure)) => return Err(failure.into()),
            Err(NoResponse::Other(none)) => return Err(none),
        }
    }
}

/// Asks a server that speaks no HTTP/1.1 over HTTP/2, if it has that.
#[cfg(feature = "http2")]
fn ask_for_http2(
    request: &Request<Option<&[u8]>>,
    route: &Route,
    proxy: Option<&Proxy>,
    failure: Failure,
) -> Result<(Head, Rest), NoConnection> {
    let origin = route.url.origin();
    if route.http_version != HttpVersion::Auto
        || route.turns.spoken(|| origin.clone()).is_some()
    {
        return Err(failure.into());
    }
    route.turns.speaks(origin, Alpn::Http2);
    let answer = ask_over_http2(request, route, proxy)?;
    answer.ok_or_else(|| failure.into())
}

/// Whether the requests of several sources can go over one connection: those
/// that are not made over HTTP/1.1 in any case.
#[cfg(feature = "http2")]
pub(crate) fn can_be_shared(route: &Route) -> bool {
    let is_secure = route.url.is_secure();
    let is_wanted = match route.http_version {
        HttpVersion::Auto => is_secure,
        HttpVersion::_1_1 => false,
        HttpVersion::_2 => true,
    };
    // What a proxy says to that is said where the request is made.
    is_wanted
        && route.network.proxy(&route.url).is_ok_and(|proxy| {
            proxy.is_none_or(|proxy| !proxy.forwards(&route.url))
        })
}

/// Connects for whoever shares the connection, and says whether HTTP/2 is
/// spoken over it.
#[cfg(feature = "http2")]
pub(crate) fn dial_to_share(
    route: &Route,
) -> Result<(Stream, bool), NoConnection> {
    let proxy = route.network.proxy(&route.url)?;
    let is_forced = route.http_version == HttpVersion::_2;
    let offer = if is_forced { Alpn::Http2 } else { Alpn::Either };
    route.turns.begin();
    let dialled = dial(route, proxy.as_ref(), offer);
    let stream = dialled.map_err(NoConnection::from).inspect_err(|none| {
        if let NoConnection::Failed(_) = none {
            route.turns.fail();
        }
    })?;
    let agreed = stream.has_agreed_to_http2() || !route.url.is_secure();
    match agreed || !is_forced {
        true => Ok((stream, agreed)),
        false => Err(not_spoken().into()),
    }
}

#[cfg(feature = "http2")]
fn not_spoken() -> Failure {
    Failure::new(Error::Tls, "the server does not speak HTTP/2")
}

/// Room for all of the head of a request, which goes at once, and for a piece
/// of the body.
fn buffers(request: &Request<Option<&[u8]>>) -> Result<Written, Failure> {
    let head = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum::<usize>();
    let head = head + request.method().as_str().len();
    let room = request.body().map_or(0, |body| body.len().min(BODY));
    Written::with_room(OUTPUT + head.max(room))
}

fn over_http1(
    mut request: Request<Option<&[u8]>>,
    route: &Route,
    proxy: Option<&Proxy>,
    stream: Stream,
    buffers: Written,
) -> Result<(Head, Rest), NoAnswer> {
    let left = Slot::default();
    let forwards = proxy.is_some_and(|proxy| proxy.forwards(&route.url));
    let wire = Wire {
        target: Some(target(&route.url, forwards)),
        stream: Some(stream),
        interrupt: route.interrupt.clone(),
        response_timeout: route.response_timeout,
        deadline: wait::deadline(route.response_timeout),
        refused: false,
        secure: route.url.is_secure(),
        buffers,
        received: Received::default(),
        head: None,
        left: left.clone(),
    };
    *request.uri_mut() = Uri::from_static(URI_FOR_UREQ);
    let (request, body) = request.into_parts();
    let wires = Wires(Mutex::new(Some(wire)));
    let agent = Agent::with_parts(CONFIG.clone(), wires, Unresolved);
    let response = match body {
        None => agent.run(Request::from_parts(request, ())),
        Some(body) => agent.run(Request::from_parts(request, body)),
    };
    let response = response.map(drop).map_err(no_connection);
    let left = lock(&left).take();
    if let Err(none) = response {
        let heard = left.is_none_or(|left| !left.received.is_empty());
        return Err(NoAnswer::of(none, heard));
    }
    let left = left.expect("ureq has let go of the connection");
    let head = left.head.expect("ureq has seen one");
    let keeps = !left.refused && head.keeps_the_connection();
    let terms = keeps.then(|| route.terms());
    Ok((head, Rest::Http1(left.stream, left.received, terms)))
}

/// Why nothing came of a request over a connection.
enum NoAnswer {
    /// The connection has ended, and nothing came before that.
    Unheard(NoConnection),
    Other(NoConnection),
}

impl NoAnswer {
    fn of(none: NoConnection, heard: bool) -> NoAnswer {
        match &none {
            NoConnection::Failed(failure)
                if failure.error == Error::Lost && !heard =>
            {
                NoAnswer::Unheard(none)
            }
            _ => NoAnswer::Other(none),
        }
    }
}

impl From<NoAnswer> for NoConnection {
    fn from(none: NoAnswer) -> NoConnection {
        match none {
            NoAnswer::Unheard(none) | NoAnswer::Other(none) => none,
        }
    }
}

/// Headers are ours, and so are redirects, proxies and timeouts.
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    Config::builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .proxy(None)
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .build()
});

/// Has ureq look at the environment, for proxies that it is not to use: it does
/// so whenever it makes a configuration.
pub(crate) fn read_environment() {
    LazyLock::force(&CONFIG);
}

/// Where [`Wire`] leaves what it was made of.
type Slot = Arc<Mutex<Option<Left>>>;

/// What is left of a [`Wire`].
struct Left {
    stream: Stream,
    /// The server has taken less than the whole request.
    refused: bool,
    head: Option<Head>,
    /// What has come behind the head, or of the head.
    received: Vec<u8>,
}

/// The connection that was made for ureq.
#[derive(Debug)]
struct Wires(Mutex<Option<Wire>>);

impl Connector for Wires {
    type Out = Wire;

    fn connect(
        &self,
        _: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Wire>, ureq::Error> {
        Ok(lock(&self.0).take())
    }
}

fn dial(
    route: &Route,
    proxy: Option<&Proxy>,
    offer: Alpn,
) -> Result<Stream, NoTls> {
    let Route { url, interrupt, network, turns, .. } = route;
    if !url.is_secure() {
        network.trust.check_plain(route.peer)?;
    }
    let until = Until::new(&**interrupt, wait::deadline(route.connect_timeout));
    let interface = network.interface.as_ref();
    let stream = if let Some(path) = &network.unix_socket {
        Stream::Plain(Socket::connect_unix(path, until)?)
    } else if let Some(proxy) = proxy {
        proxy.connect(url, &network.trust, interface, turns, until)?
    } else {
        Stream::Plain(turns.connect(
            url.host(),
            url.port(),
            interface,
            until,
        )?)
    };
    match url.is_secure() {
        true => {
            let identity = route.client_certificate;
            let terms = network.trust.terms(route.peer, identity)?;
            stream.secure(url.host_str(), terms, offer, until)
        }
        false => Ok(stream),
    }
}

/// [`dial`] looks names up itself, where the failure can be told and the
/// wait be woken.
#[derive(Debug)]
struct Unresolved;

impl Resolver for Unresolved {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(([0, 0, 0, 0], 0).into());
        Ok(addresses)
    }
}

/// A connection in ureq's hands.
struct Wire {
    stream: Option<Stream>,
    /// What is asked for, until the head of the request has gone.
    target: Option<String>,
    interrupt: Arc<dyn Interrupt>,
    response_timeout: Option<Duration>,
    /// Runs from the last bytes of the request that went.
    deadline: Option<Instant>,
    /// The server takes no more of the request: it may have answered.
    refused: bool,
    secure: bool,
    buffers: Written,
    received: Received,
    head: Option<Head>,
    left: Slot,
}

impl Wire {
    /// Receives the head of the response, and whatever comes with it.
    fn receive_head(&mut self) -> Result<Head, ureq::Error> {
        const END: io::ErrorKind = io::ErrorKind::UnexpectedEof;

        let stream = self.stream.as_mut().expect("taken only when dropped");
        let until = Until::new(&*self.interrupt, self.deadline);
        loop {
            let head = self.received.head();
            if let Some(head) = head.map_err(failed)? {
                return Ok(head);
            }
            until.check().map_err(io::Error::from)?;
            match self.received.read(stream) {
                Ok(0) => return Err(io::Error::from(END).into()),
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.received.release();
                    let readable = stream.entry(Interest::Read);
                    until.wait(readable).map_err(io::Error::from)?;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause.into()),
            }
        }
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(
        &mut self,
        amount: usize,
        _: NextTimeout,
    ) -> Result<(), ureq::Error> {
        if self.refused {
            return Ok(());
        }
        let until = Until::new(&*self.interrupt, self.deadline);
        let output = &self.buffers.output[..amount];
        let stream = self.stream.as_mut().expect("taken only when dropped");
        let sent = match self.target.take() {
            None => stream.write_all(output, until),
            Some(target) => {
                let output = as_sent(output, &target).map_err(failed)?;
                stream.write_all(&output, until)
            }
        };
        match sent {
            Err(cause) if gone(&cause) => self.refused = true,
            sent => sent?,
        }
        self.deadline = wait::deadline(self.response_timeout);
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        // The request has gone.
        self.buffers.output = Vec::new();
        self.head = Some(self.receive_head()?);
        self.buffers.input = HEAD_FOR_UREQ;
        Ok(true)
    }

    fn is_open(&mut self) -> bool {
        // Asked of pooled connections; there are none.
        false
    }

    fn is_tls(&self) -> bool {
        self.secure
    }
}

/// Whether the server has closed its end, or more.
fn gone(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

impl Drop for Wire {
    fn drop(&mut self) {
        let stream = self.stream.take();
        *lock(&self.left) = stream.map(|stream| Left {
            stream,
            refused: self.refused,
            head: self.head.take(),
            received: self.received.rest(),
        });
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

/// The target of a request (RFC 9112, 3.2): a proxy that is asked in the
/// server's place is told the server, too.
fn target(url: &HttpUrl, forwards: bool) -> String {
    match forwards {
        true => url.origin() + url.target(),
        false => url.target().to_owned(),
    }
}

/// The value of `Host`.
pub(crate) fn host(url: &HttpUrl) -> HeaderValue {
    HeaderValue::try_from(url.authority()).expect("a host is ASCII")
}

/// The head of a request as it is sent, with its own target. ureq writes names
/// in lower case, and `Host` where it likes; some servers know no other case,
/// and look for `Host` at once (RFC 9110, 7.2).
fn as_sent(head: &[u8], target: &str) -> Result<Vec<u8>, Failure> {
    let mut sent = Vec::new();
    let length = head.len() + target.len();
    sent.try_reserve_exact(length).map_err(|_| no_memory())?;
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    let line = lines.next().expect("one at least");
    let method = line.split(|byte| *byte == b' ').next().expect("one at least");
    for part in [method, b" ", target.as_bytes(), b" HTTP/1.1\r\n"] {
        sent.extend_from_slice(part);
    }
    // The others, and the empty line, stay where they are.
    let is_host = |line: &&[u8]| line.starts_with(b"host:");
    let others = lines.clone().filter(|line| !is_host(line));
    for line in lines.filter(is_host).chain(others) {
        let start = sent.len();
        sent.extend_from_slice(line);
        let colon = line.iter().position(|byte| *byte == b':');
        title_case(&mut sent[start..][..colon.unwrap_or(0)]);
    }
    Ok(sent)
}

/// The program has made the request larger than what memory there is.
pub(crate) fn no_memory() -> Failure {
    Failure::new(Error::System, "no memory for the request")
}

fn title_case(name: &mut [u8]) {
    // As § 9.2.4 writes it.
    if name == b"last-event-id" {
        name.copy_from_slice(b"Last-Event-ID");
    }
    let mut begins = true;
    for byte in name {
        if begins {
            byte.make_ascii_uppercase();
        }
        begins = *byte == b'-';
    }
}

/// What ureq writes the request to, given back when it has gone; and the head
/// that it reads. ureq's own buffers are never given back: a thousand sources
/// that wait for a response would hold them all.
struct Written {
    output: Vec<u8>,
    input: &'static [u8],
}

impl Written {
    fn with_room(size: usize) -> Result<Written, Failure> {
        let mut output = Vec::new();
        output.try_reserve_exact(size).map_err(|_| no_memory())?;
        output.resize(size, 0);
        Ok(Written { output, input: &[] })
    }
}

impl Buffers for Written {
    fn output(&mut self) -> &mut [u8] {
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        self.input
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        // ureq's own transports ask for it.
        &mut []
    }

    fn input_appended(&mut self, _: usize) {}

    fn input_consume(&mut self, amount: usize) {
        self.input = &self.input[amount..];
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // The first is for chunked bodies; no request has one.
        (&mut [], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        !self.input.is_empty()
    }
}

/// What has come of the response.
#[derive(Default)]
struct Received {
    /// As much of it as is before `end`.
    bytes: Vec<u8>,
    end: usize,
    /// Where the heads end that have been read.
    start: usize,
    /// How much of what follows was looked through for the end of a head.
    seen: usize,
}

impl Received {
    /// The head of the response, if all of it has come. Those of interim
    /// responses are passed over (RFC 9110, 15.2).
    fn head(&mut self) -> Result<Option<Head>, Failure> {
        loop {
            let empty = head::empty_lines(&self.bytes[self.start..self.end]);
            if empty > 0 {
                (self.start, self.seen) = (self.start + empty, 0);
            }
            let received = &self.bytes[self.start..self.end];
            let length = head::length(received, self.seen)?;
            self.seen = received.len();
            if self.start + length.unwrap_or(received.len()) > head::LIMIT {
                let message = "the head of the response is over 256 KiB";
                return Err(Failure::new(Error::Http, message));
            }
            let Some(length) = length else { return Ok(None) };
            let head = head::read(&received[..length])?;
            (self.start, self.seen) = (self.start + length, 0);
            if head.status == 101 || !(100..200).contains(&head.status) {
                return Ok(Some(head));
            }
        }
    }

    fn read(&mut self, stream: &mut Stream) -> io::Result<usize> {
        if self.end == self.bytes.len() {
            self.bytes.resize(self.end + self.end.max(INPUT), 0);
        }
        let read = stream.read(&mut self.bytes[self.end..])?;
        self.end += read;
        Ok(read)
    }

    /// Holds nothing, unless there is something to hold.
    fn release(&mut self) {
        if self.end == 0 {
            self.bytes = Vec::new();
        }
    }

    /// What has come of the body.
    fn rest(&self) -> Vec<u8> {
        self.bytes[self.start..self.end].to_vec()
    }
}

/// Takes a failure through ureq.
fn failed(failure: Failure) -> ureq::Error {
    ureq::Error::Other(Box::new(failure))
}

/// What ureq's error means.
fn no_connection(cause: ureq::Error) -> NoConnection {
    match cause {
        ureq::Error::Io(cause) if Interrupted::is(&cause) => {
            NoConnection::Interrupted
        }
        cause => failure(cause).into(),
    }
}

fn failure(cause: ureq::Error) -> Failure {
    match cause {
        ureq::Error::Other(cause) => match cause.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(cause) => Failure::new(Error::Internal, cause.to_string()),
        },
        ureq::Error::Io(cause) => {
            tls::failure(&cause).unwrap_or_else(|| before_the_head(&cause))
        }
        // ureq sees nothing of the response.
        other => Failure::new(Error::Internal, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, SockAddr, Socket as Socket2, Type};

    use super::*;
    use crate::wait::Recall;

    fn failed(dialled: Result<Stream, NoTls>) -> Failure {
        match dialled.map_err(NoConnection::from) {
            Err(NoConnection::Failed(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    /// Dials within 20 ms, with `network` as it is.
    fn dialled(url: &str, network: Network) -> Result<Stream, NoTls> {
        let interrupt = Arc::new(Recall::default());
        interrupt.arm().unwrap();
        let route = Route {
            url: HttpUrl::parse(url).unwrap(),
            interrupt,
            network: Arc::new(network),
            peer: Peer::Own,
            client_certificate: Credentials::Send,
            connect_timeout: Some(Duration::from_millis(20)),
            response_timeout: None,
            #[cfg(feature = "http2")]
            http_version: HttpVersion::Auto,
            turns: Arc::default(),
        };
        let proxy = route.network.proxy(&route.url)?;
        dial(&route, proxy.as_ref(), Alpn::Http1)
    }

    #[test]
    fn the_connect_timeout_covers_every_handshake() {
        // Connections wait in its queue, and nobody answers.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = silent.local_addr().unwrap().port();
        for (url, proxy) in [
            ("https://127.0.0.1:PORT/", ""),
            ("https://server.test/", "http://127.0.0.1:PORT"),
            ("http://server.test/", "https://127.0.0.1:PORT"),
            ("http://server.test/", "socks4a://127.0.0.1:PORT"),
            ("http://server.test/", "socks5h://127.0.0.1:PORT"),
        ] {
            let here = |text: &str| text.replace("PORT", &silent.to_string());
            let mut network = Network::default();
            network.trust.set_verify_peer(false);
            network.set_proxy(Some(&here(proxy))).unwrap();
            let failure = failed(dialled(&here(url), network));
            assert_eq!(failure.error, Error::Timeout, "{url} {proxy}");
            assert!(failure.message.contains("timed out"));
        }
    }

    #[test]
    fn the_connect_timeout_covers_a_full_queue() {
        let name = format!("eventsource-full-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let address = SockAddr::unix(&path).unwrap();
        let unix = || Socket2::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let (listener, first) = (unix(), unix());
        listener.bind(&address).unwrap();
        // A queue of none has room for one.
        listener.listen(0).unwrap();
        first.connect(&address).unwrap();
        let mut network = Network::default();
        network.set_unix_socket(Some(&path)).unwrap();
        let failure = failed(dialled("http://server.test/", network));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(failure.error, Error::Timeout);
        assert!(failure.message.contains("timed out"), "{failure}");
    }
}
