//! Opening: one attempt, from the request through its redirects to a response
//! that is an event stream. Blocking code, for any thread: it calls nothing
//! back.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{self, HeaderValue};

use crate::credentials::Credentials;
use crate::error::Error;
use crate::failure::{Excerpt, Failure, NoConnection};
use crate::http::body::Body;
use crate::http::connection::Connection;
use crate::http::cookies::Cookies;
use crate::http::exchange::{self, Rest, Route};
use crate::http::redirect::{drops_the_body, follow, location};
use crate::net::trust::Peer;
use crate::net::turns::Turns;
use crate::response::{self, Response};
use crate::settings::options::Options;
use crate::settings::request::Request;
use crate::sync::lock;
use crate::url::HttpUrl;
use crate::userinfo::UserInfo;
use crate::wait::{Interrupt, Until};

/// An attempt that has yet to be made.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) options: Arc<Options>,
    pub(crate) request: Request,
    /// The URL whose origin the program's secrets are for.
    pub(crate) home: HttpUrl,
    /// Where it begins.
    pub(crate) url: HttpUrl,
    /// Whether the redirects that led there have left the origin of `home`.
    /// They do not come back: another server may have chosen the URL that the
    /// secrets would go to.
    pub(crate) left_origin: bool,
    pub(crate) cookies: Arc<Mutex<Cookies>>,
    /// Which addresses to begin with.
    pub(crate) turns: Arc<Turns>,
    /// Ends every wait in it.
    pub(crate) interrupt: Arc<dyn Interrupt>,
}

/// An accepted response, and its body to read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) response: Response,
    pub(crate) connection: Connection,
    /// A redirect has made a GET of the request.
    pub(crate) became_get: bool,
    /// Redirects have left the origin of the URL that is home.
    pub(crate) left_origin: bool,
}

impl Opening {
    /// Requests the URL, follows redirects (R12), and checks what comes
    /// (R16, R21, R22).
    // A call of its own: what it takes does not stay on the stack for as long
    // as the stream lasts.
    #[inline(never)]
    pub(crate) fn run(mut self) -> Result<Opened, NoConnection> {
        let mut became_get = false;
        let mut redirects = 0;
        loop {
            self.left_origin |= !self.url.has_origin_of(&self.home);
            if self.left_origin {
                // Another server does not choose who logs in.
                self.url.remove_user_info();
            }
            let (response, rest) = self.ask()?;
            let location = match location(&response) {
                Ok(Some(location)) => location,
                Ok(None) => return self.accept(response, rest, became_get),
                Err(failure) => return Err(failure.with(response).into()),
            };
            if redirects == self.options.max_redirects {
                let message = format!("more than {redirects} redirects");
                let failure = Failure::new(Error::Redirect, message);
                return Err(failure.with(response).into());
            }
            redirects += 1;
            self.url = match follow(&self.url, location) {
                Ok(url) => url,
                Err(failure) => return Err(failure.with(response).into()),
            };
            if drops_the_body(response.status, &self.request.method()) {
                self.request.become_get();
                became_get = true;
            }
            log::debug!("{}: redirected", self.url.loggable());
        }
    }

    /// One request, one response.
    fn ask(&self) -> Result<(Response, Rest), NoConnection> {
        let url = &self.url;
        let Options { with_credentials, trust_redirects, .. } = *self.options;
        let at_home = !self.left_origin;
        let secrets = Credentials::if_allowed(at_home || trust_redirects);
        // Cookies and the client certificate are the target's own.
        let own = Credentials::if_allowed(at_home || with_credentials);
        let mut request = http::Request::new(self.request.body());
        *request.method_mut() = self.request.method();
        let mut headers = self.request.headers(secrets);
        if !url.has_origin_of(&self.home) {
            // The name of another server is no credential.
            headers.remove(header::HOST);
        }
        if own.are_sent()
            && !self.request.decides(&header::COOKIE)
            && let Some(value) = lock(&self.cookies).header(url)
        {
            headers.insert(header::COOKIE, value);
        }
        if secrets.are_sent()
            && let Some(value) =
                authorization(url).or_else(|| authorization(&self.home))
        {
            headers.entry(header::AUTHORIZATION).or_insert(value);
        }
        *request.headers_mut() = headers;
        let route = Route {
            url: url.clone(),
            interrupt: self.interrupt.clone(),
            network: self.options.network.clone(),
            peer: self.peer(),
            client_certificate: own,
            connect_timeout: self.options.connect_timeout,
            response_timeout: self.options.response_timeout,
            turns: self.turns.clone(),
        };
        let (head, rest) = exchange::exchange(request, route)?;
        if own.are_sent() {
            lock(&self.cookies).keep(&head.headers, url);
        }
        let response = Response {
            status: head.status,
            url: url.clone(),
            headers: head.headers,
        };
        Ok((response, rest))
    }

    /// Whether the server is the one whose name and keys the program has set:
    /// that of the source's URL, or of the attempt's own.
    fn peer(&self) -> Peer {
        let own = [&self.options.url, &self.home];
        match own.iter().any(|own| self.url.has_origin_of(own)) {
            true => Peer::Own,
            false => Peer::Other,
        }
    }

    /// § 9.2.3, "process the response".
    fn accept(
        &self,
        response: Response,
        rest: Rest,
        became_get: bool,
    ) -> Result<Opened, NoConnection> {
        let refusal = refusal(&response);
        let body = match Body::new(&response.headers) {
            Ok(body) => body,
            Err(failure) => {
                let failure = refusal.unwrap_or(failure);
                return Err(failure.with(response).into());
            }
        };
        let (stream, unread) = rest;
        let mut connection = Connection::new(stream, unread, body);
        let Some(mut failure) = refusal else {
            let left_origin = self.left_origin;
            return Ok(Opened {
                response,
                connection,
                became_get,
                left_origin,
            });
        };
        failure.body = match response.status {
            // What follows is not HTTP.
            101 => Excerpt::default(),
            204 | 304 => Excerpt::of_no_body(),
            _ => self.excerpt(&mut connection),
        };
        Err(failure.with(response).into())
    }

    /// As much of a refused response's body as the program wants. By itself it
    /// is for people, who are not kept waiting for it; a program that has said
    /// how much it wants waits for it as for any response.
    fn excerpt(&self, connection: &mut Connection) -> Excerpt {
        const SIZE: usize = 4096;
        const PATIENCE: Duration = Duration::from_secs(1);

        let Options { response_timeout, idle_timeout, .. } = *self.options;
        let (size, time, idle) = match self.options.max_body_size {
            None => (SIZE, Some(PATIENCE), None),
            Some(0) => return Excerpt::default(),
            Some(size) => (size, response_timeout, idle_timeout),
        };
        let end = time.and_then(|time| Instant::now().checked_add(time));
        connection.excerpt(size, Until::new(&*self.interrupt, end), idle)
    }
}

/// `user:password@` of a URL.
fn authorization(url: &HttpUrl) -> Option<HeaderValue> {
    url.user_info().as_ref().map(UserInfo::basic_authorization)
}

/// Why the response is no event stream, if it is none.
fn refusal(response: &Response) -> Option<Failure> {
    if response.status != StatusCode::OK {
        let message = match response.status {
            // Fetch, "HTTP-network fetch": no answer to what was asked.
            101 => {
                let message = "status 101: another protocol, not asked for";
                return Some(Failure::new(Error::Http, message));
            }
            204 => "status 204: the server wants no more".to_owned(),
            status => format!("unexpected status {status}"),
        };
        return Some(Failure::new(Error::Status, message));
    }
    if response::is_event_stream(&response.headers) {
        return None;
    }
    let value = response::value(&response.headers, &header::CONTENT_TYPE);
    let message = match value {
        None => "no content type".to_owned(),
        Some(value) => {
            format!("content type is not text/event-stream but {value}")
        }
    };
    Some(Failure::new(Error::ContentType, message))
}
