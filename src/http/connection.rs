//! One attempt: the request, its redirects, the checks of the response, and
//! then one body to read.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use url::Url;

use crate::error::Error;
use crate::failure::Failure;
use crate::http::body::Body;
use crate::http::chunked::Progress;
use crate::http::cookies::Cookies;
use crate::http::exchange::{self, Rest, Route};
use crate::net::socket::interrupted;
use crate::net::tls::{self, Stream};
use crate::response::{self, Response, loggable};
use crate::settings::options::{Options, target};
use crate::settings::request::Request;
use crate::state::State;
use crate::stats::Stats;
use crate::sys;
use crate::userinfo::UserInfo;

/// An accepted response's body, and what it comes over.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// The part of the body that came with the head.
    unread: Vec<u8>,
    body: Body,
    /// A redirect has made a GET of the request.
    pub(crate) became_get: bool,
}

impl Connection {
    /// Requests `url`, follows redirects (R12), and checks what comes
    /// (R16, R21, R22).
    // A call of its own: what it takes does not stay on the stack for as long
    // as the stream lasts.
    #[inline(never)]
    pub(crate) fn open(
        options: &Options,
        mut request: Request,
        mut url: Url,
        state: &Arc<State>,
        cookies: &mut Cookies,
    ) -> Result<(Response, Connection), Failure> {
        let origin = options.url.origin();
        let mut own = true;
        let mut became_get = false;
        let mut redirects = 0;
        loop {
            // Credentials, once withheld, stay withheld for the chain.
            own &= options.with_credentials || url.origin() == origin;
            let (response, rest) =
                ask(options, &request, &url, own, state, cookies)?;
            let Some(location) = redirect(&response) else {
                return Connection::accept(response, rest, became_get);
            };
            if redirects == options.max_redirects {
                let message = format!("more than {redirects} redirects");
                let failure = Failure::new(Error::Redirect, message);
                return Err(failure.with(response));
            }
            redirects += 1;
            url = match follow(&url, location) {
                Ok(url) => url,
                Err(failure) => return Err(failure.with(response)),
            };
            if drops_the_body(response.status, &request.method()) {
                request.become_get();
                became_get = true;
            }
            log::debug!("{}: redirected", loggable(&url));
        }
    }

    /// § 9.2.3, "process the response".
    fn accept(
        response: Response,
        rest: Rest,
        became_get: bool,
    ) -> Result<(Response, Connection), Failure> {
        let body = match Body::new(&response.headers) {
            Ok(body) => body,
            Err(failure) => {
                return Err(refusal(&response)
                    .unwrap_or(failure)
                    .with(response));
            }
        };
        let (stream, unread) = rest;
        let mut connection = Connection { stream, unread, body, became_get };
        match refusal(&response) {
            None => Ok((response, connection)),
            Some(mut failure) => {
                if !matches!(response.status, 204 | 304) {
                    failure.body = connection.excerpt();
                }
                Err(failure.with(response))
            }
        }
    }

    /// The beginning of a refused response's body: in it servers explain
    /// themselves. What does not come soon is not waited for.
    fn excerpt(&mut self) -> Vec<u8> {
        const SIZE: usize = 4096;
        const PATIENCE: Duration = Duration::from_secs(1);

        let deadline = Instant::now() + PATIENCE;
        let mut excerpt = Vec::new();
        let mut sink = |piece: &mut [u8]| {
            let room = SIZE - excerpt.len();
            excerpt.extend_from_slice(&piece[..piece.len().min(room)]);
            match excerpt.len() {
                SIZE => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        let mut unread = std::mem::take(&mut self.unread);
        let mut progress = self.body.decode(&mut unread, &mut sink);
        let mut buffer = vec![0; SIZE];
        while matches!(progress, Ok(Progress::More)) {
            match self.stream.read_some(&mut buffer, Some(deadline)) {
                Ok(0) | Err(_) => break,
                Ok(read) => {
                    progress = self.body.decode(&mut buffer[..read], &mut sink);
                }
            }
        }
        excerpt
    }

    /// Reads the body to its end, piece by piece; an empty piece says that all
    /// that has been received was handed on. Returns why it ended (R27): ENDED
    /// if all of it has come, else why there is no more.
    pub(crate) fn read(
        &mut self,
        state: &State,
        stats: &Stats,
        idle_timeout: Option<Duration>,
        mut sink: impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Failure {
        let mut unread = std::mem::take(&mut self.unread);
        stats.received(unread.len());
        let mut progress = self.receive(&mut unread, &mut sink);
        drop(unread);
        sys::release_dead_stack();
        loop {
            match progress {
                Ok(Progress::More) => {}
                Ok(Progress::End) => return ended(),
                Ok(Progress::Stopped) => return interrupted(),
                Err(failure) => return failure,
            }
            let deadline = idle_timeout
                .and_then(|timeout| Instant::now().checked_add(timeout));
            match self.stream.wait_readable(deadline) {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::TimedOut => {
                    return silent(idle_timeout.unwrap_or_default());
                }
                Err(cause) => return broken(&cause),
            }
            let mut buffer = Buffer::take();
            progress = self.read_some(buffer.bytes(), state, stats, &mut sink);
            buffer.give_back();
        }
    }

    fn receive(
        &mut self,
        received: &mut [u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        let progress = self.body.decode(received, sink);
        // In whatever way the body goes on, or does not.
        let _ = sink(&mut []);
        progress
    }

    /// Reads all that has come.
    fn read_some(
        &mut self,
        buffer: &mut [u8],
        state: &State,
        stats: &Stats,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        /// A read that brings less than this has most likely emptied the
        /// socket; after a larger one it pays to ask again.
        const LITTLE: usize = 8 * 1024;

        while !state.interrupted() {
            let read = match self.stream.read(buffer) {
                Ok(0) => return self.body.closed(),
                Ok(read) => read,
                Err(cause) => match cause.kind() {
                    io::ErrorKind::WouldBlock => break,
                    io::ErrorKind::Interrupted => continue,
                    _ => return Err(broken(&cause)),
                },
            };
            stats.received(read);
            match self.receive(&mut buffer[..read], sink)? {
                Progress::More => {}
                ended => return Ok(ended),
            }
            if read < LITTLE && self.stream.short_read_is_all() {
                break;
            }
        }
        Ok(Progress::More)
    }
}

/// One request, one response.
fn ask(
    options: &Options,
    asked: &Request,
    url: &Url,
    own: bool,
    state: &Arc<State>,
    cookies: &mut Cookies,
) -> Result<(Response, Rest), Failure> {
    let mut request = http::Request::new(asked.body());
    *request.method_mut() = asked.method();
    *request.uri_mut() = target(url)
        .map_err(|cause| Failure::new(Error::Http, cause.to_string()))?;
    let mut headers = asked.headers(own);
    if url.origin() != options.url.origin() {
        // The name of another server is no credential.
        headers.remove(header::HOST);
    }
    let kept = if own { cookies.header(url) } else { None };
    if let Some(value) = kept.filter(|_| !asked.decides(&header::COOKIE)) {
        headers.insert(header::COOKIE, value);
    }
    let sources = if own { authorization(&options.url) } else { None };
    if let Some(value) = authorization(url).or(sources) {
        headers.entry(header::AUTHORIZATION).or_insert(value);
    }
    *request.headers_mut() = headers;
    let route = Route {
        url: url.clone(),
        state: state.clone(),
        network: options.network.clone(),
        connect_timeout: options.connect_timeout,
        response_timeout: options.response_timeout,
    };
    let (head, rest) = exchange::exchange(request, route)?;
    let (head, ()) = head.into_parts();
    if own {
        cookies.keep(&head.headers, url);
    }
    let response = Response {
        status: head.status.as_u16(),
        url: url.clone(),
        headers: head.headers,
    };
    Ok((response, rest))
}

/// `user:password@` of a URL.
fn authorization(url: &Url) -> Option<HeaderValue> {
    UserInfo::of(url).as_ref().map(UserInfo::basic_authorization)
}

/// The `Location` of a redirect; without one it is an ordinary response.
fn redirect(response: &Response) -> Option<&HeaderValue> {
    matches!(response.status, 301 | 302 | 303 | 307 | 308)
        .then(|| response.headers.get(header::LOCATION))?
}

/// Fetch, "HTTP-redirect fetch": which redirects make a GET of a request.
fn drops_the_body(status: u16, method: &Method) -> bool {
    match status {
        301 | 302 => method == Method::POST,
        303 => method != Method::GET,
        _ => false,
    }
}

/// Why the response is no event stream, if it is none.
fn refusal(response: &Response) -> Option<Failure> {
    if response.status != StatusCode::OK {
        let message = match response.status {
            204 => "status 204: the server wants no more".to_owned(),
            status => format!("unexpected status {status}"),
        };
        return Some(Failure::new(Error::Status, message));
    }
    if response::is_event_stream(&response.headers) {
        return None;
    }
    let message = match response.headers.get(header::CONTENT_TYPE) {
        None => "no content type".to_owned(),
        Some(value) => format!(
            "content type is not text/event-stream but {}",
            String::from_utf8_lossy(value.as_bytes())
        ),
    };
    Some(Failure::new(Error::ContentType, message))
}

pub(crate) fn follow(
    url: &Url,
    location: &HeaderValue,
) -> Result<Url, Failure> {
    let refused = |why: &str| Failure::new(Error::Redirect, why);
    let next = str::from_utf8(location.as_bytes())
        .ok()
        .and_then(|location| url.join(location).ok())
        .ok_or_else(|| refused("redirect to something that is no URL"))?;
    match (url.scheme(), next.scheme()) {
        ("https", "http") => {
            Err(refused("redirect from https to http is not followed"))
        }
        (_, "http" | "https") if target(&next).is_ok() => Ok(next),
        (_, "http" | "https") => {
            Err(refused("redirect to a URL that no request can name"))
        }
        (_, scheme) => {
            Err(refused(&format!("redirect to a {scheme} URL is not followed")))
        }
    }
}

fn ended() -> Failure {
    Failure::new(Error::Ended, "the server has ended the stream")
}

fn silent(timeout: Duration) -> Failure {
    let time = timeout.as_millis();
    Failure::new(Error::Timeout, format!("nothing has come for {time} ms"))
}

fn broken(cause: &io::Error) -> Failure {
    tls::failure(cause).unwrap_or_else(|| {
        Failure::new(Error::Lost, format!("stream broken: {cause}"))
    })
}

/// A receive buffer, from a pool that all sources share: a source that
/// waits for bytes holds none.
struct Buffer(Vec<u8>);

impl Buffer {
    /// Large: with every read the system does more than to copy. What is never
    /// filled takes no memory.
    const SIZE: usize = 512 * 1024;
    /// Bytes come to the beginning of a page: some processors copy at half
    /// their speed to a place a few bytes further into its page than that of
    /// the original.
    const PAGE: usize = 4096;
    /// More threads than this seldom read at the same moment.
    const SPARE: usize = 8;

    fn take() -> Buffer {
        let spare = Buffer::pool().pop();
        spare.unwrap_or_else(|| Buffer(vec![0; Buffer::PAGE + Buffer::SIZE]))
    }

    fn bytes(&mut self) -> &mut [u8] {
        let start = self.0.as_ptr().align_offset(Buffer::PAGE);
        &mut self.0[start..][..Buffer::SIZE]
    }

    fn give_back(self) {
        let mut pool = Buffer::pool();
        if pool.len() < Buffer::SPARE {
            pool.push(self);
        }
    }

    fn pool() -> MutexGuard<'static, Vec<Buffer>> {
        static POOL: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
