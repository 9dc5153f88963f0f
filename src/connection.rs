//! One attempt: the request, its redirects, the checks of the response, and
//! then one body to read.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{self, HeaderValue};
use http::{Request, StatusCode};
use url::Url;

use crate::body::{Body, Progress};
use crate::error::Error;
use crate::failure::Failure;
use crate::options::{Options, target};
use crate::response::{self, Response, loggable};
use crate::socket::interrupted;
use crate::state::State;
use crate::sys;
use crate::tls::{self, Stream};
use crate::transport::{self, Rest, Route};

/// An accepted response's body, and what it comes over.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    /// The part of the body that came with the head.
    unread: Vec<u8>,
    body: Body,
}

impl Connection {
    /// Requests `url`, follows redirects (R12), and checks what comes
    /// (R16, R21, R22).
    pub(crate) fn open(
        options: &Options,
        url: &Url,
        last_event_id: &[u8],
        state: &Arc<State>,
    ) -> Result<(Response, Connection), Failure> {
        let origin = options.url.origin();
        let mut url = url.clone();
        let mut own = true;
        for _ in 0..=options.max_redirects {
            // Credentials, once withheld, stay withheld for the chain.
            own &= url.origin() == origin;
            let (response, rest) =
                ask(options, &url, last_event_id, own, state)?;
            let Some(location) = redirect(&response) else {
                return Connection::accept(response, rest);
            };
            url = follow(&url, location)
                .map_err(|failure| failure.with(response))?;
            log::debug!("{}: redirected", loggable(&url));
        }
        Err(Failure::new(
            Error::Redirect,
            format!("more than {} redirects", options.max_redirects),
        ))
    }

    /// § 9.2.3, "process the response".
    fn accept(
        response: Response,
        rest: Rest,
    ) -> Result<(Response, Connection), Failure> {
        if response.status != StatusCode::OK {
            let message = match response.status {
                204 => "status 204: the server wants no more".to_owned(),
                status => format!("unexpected status {status}"),
            };
            return Err(Failure::new(Error::Status, message).with(response));
        }
        if !response::is_event_stream(&response.headers) {
            let message = match response.headers.get(header::CONTENT_TYPE) {
                None => "no content type".to_owned(),
                Some(value) => format!(
                    "content type is not text/event-stream but {}",
                    String::from_utf8_lossy(value.as_bytes())
                ),
            };
            return Err(
                Failure::new(Error::ContentType, message).with(response)
            );
        }
        let body = match Body::new(&response.headers) {
            Ok(body) => body,
            Err(failure) => return Err(failure.with(response)),
        };
        let (stream, unread) = rest;
        Ok((response, Connection { stream, unread, body }))
    }

    /// Reads the body to its end, piece by piece. Returns why it ended (R27).
    pub(crate) fn read(
        &mut self,
        state: &State,
        mut sink: impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Failure {
        let mut unread = std::mem::take(&mut self.unread);
        let mut progress = self.body.decode(&mut unread, &mut sink);
        drop(unread);
        sys::release_dead_stack();
        loop {
            match progress {
                Ok(Progress::More) => {}
                Ok(Progress::End) => return ended(),
                Ok(Progress::Stopped) => return interrupted(),
                Err(failure) => return failure,
            }
            if let Err(cause) = self.stream.wait_readable(None) {
                return broken(&cause);
            }
            progress = self.read_some(state, &mut sink);
        }
    }

    /// Reads all that has come.
    fn read_some(
        &mut self,
        state: &State,
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> Result<Progress, Failure> {
        /// A read that brings less than this has most likely emptied the
        /// socket; after a larger one it pays to ask again.
        const LITTLE: usize = 8 * 1024;

        let mut buffer = Buffer::take();
        while !state.interrupted() {
            let read = match self.stream.read(&mut buffer.0) {
                Ok(0) => return Err(self.body.cut()),
                Ok(read) => read,
                Err(cause) => match cause.kind() {
                    io::ErrorKind::WouldBlock => break,
                    io::ErrorKind::Interrupted => continue,
                    _ => return Err(broken(&cause)),
                },
            };
            match self.body.decode(&mut buffer.0[..read], sink)? {
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
    url: &Url,
    last_event_id: &[u8],
    own: bool,
    state: &Arc<State>,
) -> Result<(Response, Rest), Failure> {
    let mut request = Request::new(());
    *request.uri_mut() = target(url)
        .map_err(|cause| Failure::new(Error::Http, cause.to_string()))?;
    *request.headers_mut() = options.request_headers(last_event_id, own);
    if let Some(value) = authorization(url) {
        request.headers_mut().entry(header::AUTHORIZATION).or_insert(value);
    }
    let route = Route {
        url: url.clone(),
        state: state.clone(),
        network: options.network.clone(),
        connect_timeout: options.connect_timeout,
        response_timeout: options.response_timeout,
    };
    let (head, rest) = transport::exchange(request, route)?;
    let (head, ()) = head.into_parts();
    let response = Response {
        status: head.status.as_u16(),
        url: url.clone(),
        headers: head.headers,
    };
    Ok((response, rest))
}

/// `user:password@` of a URL (RFC 7617).
fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair: Vec<u8> =
        percent_encoding::percent_decode_str(url.username()).collect();
    pair.push(b':');
    let password = url.password().unwrap_or_default();
    pair.extend(percent_encoding::percent_decode_str(password));
    let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(value).expect("base64 is ASCII");
    value.set_sensitive(true);
    Some(value)
}

/// The `Location` of a redirect; without one it is an ordinary response.
fn redirect(response: &Response) -> Option<&HeaderValue> {
    matches!(response.status, 301 | 302 | 303 | 307 | 308)
        .then(|| response.headers.get(header::LOCATION))?
}

fn follow(url: &Url, location: &HeaderValue) -> Result<Url, Failure> {
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
    Failure::new(Error::Lost, "the server has ended the stream")
}

fn broken(cause: &io::Error) -> Failure {
    tls::failure(cause).unwrap_or_else(|| {
        Failure::new(Error::Lost, format!("stream broken: {cause}"))
    })
}

/// A receive buffer, from a pool that all sources share: a source that
/// waits for bytes holds none.
struct Buffer(Box<[u8]>);

impl Buffer {
    const SIZE: usize = 64 * 1024;
    /// More threads than this seldom read at the same moment.
    const SPARE: usize = 16;

    fn take() -> Buffer {
        let spare = Buffer::pool().pop();
        Buffer(spare.unwrap_or_else(|| vec![0; Buffer::SIZE].into()))
    }

    fn pool() -> std::sync::MutexGuard<'static, Vec<Box<[u8]>>> {
        static POOL: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut pool = Buffer::pool();
        if pool.len() < Buffer::SPARE {
            pool.push(std::mem::take(&mut self.0));
        }
    }
}
