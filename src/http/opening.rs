//! Opening: one attempt, from the request through its redirects to a response
//! that is an event stream. To run it is blocking code, for any thread: it calls
//! nothing back. Who has a connection that is shared takes the same steps, and
//! waits elsewhere.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{self, HeaderValue};

use crate::credentials::Credentials;
use crate::error::Error;
use crate::failure::{Excerpt, Failure, NoConnection};
use crate::http::connection::Connection;
#[cfg(feature = "http2")]
use crate::http::connection::{Beginning, Input, Network, Pieces, Read};
use crate::http::cookies::Cookies;
use crate::http::exchange::{self, Rest, Route};
#[cfg(feature = "http2")]
use crate::http::head::Head;
use crate::http::redirect::{drops_the_body, follow, location};
use crate::http::spare::Spare;
use crate::net::tls::Stream;
use crate::net::trust::Peer;
use crate::net::turns::Turns;
use crate::response::{self, Response, Verdict};
use crate::settings::options::Options;
use crate::settings::request::Request;
#[cfg(feature = "http2")]
use crate::stats::Stats;
use crate::sync::lock;
use crate::url::HttpUrl;
use crate::userinfo::UserInfo;
use crate::wait::{Interrupt, Until, deadline};

/// An attempt that has yet to be made, or to go on.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) options: Arc<Options>,
    pub(crate) request: Request,
    /// The URL whose origin the program's secrets are for.
    pub(crate) home: HttpUrl,
    /// The source's own URL, if that is not `home`: the program has sent the
    /// attempt elsewhere.
    pub(crate) elsewhere: Option<Box<HttpUrl>>,
    /// Where it begins.
    pub(crate) url: HttpUrl,
    /// Whether the redirects that led there have left the origin of `home`.
    /// They do not come back: another server may have chosen the URL that the
    /// secrets would go to.
    pub(crate) left_origin: bool,
    pub(crate) cookies: Arc<Mutex<Cookies>>,
    /// Which addresses to begin with.
    pub(crate) turns: Arc<Turns>,
    /// The connection of the response before, if it was kept.
    pub(crate) spare: Option<Box<Spare>>,
    /// Ends every wait in it.
    pub(crate) interrupt: Arc<dyn Interrupt>,
    /// Whether it stops at each response, for the program to decide.
    pub(crate) asks: bool,
    pub(crate) course: Course,
}

/// How far an attempt has come.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// How many redirects it has followed.
    redirects: u32,
    /// One of them has made a GET of the request.
    became_get: bool,
    /// The response that the program has decided about.
    decided: Option<Box<(Response, Rest, Verdict)>>,
    /// A connection for HTTP/1.1 that was made for it.
    pub(crate) dialled: Option<Stream>,
    /// It has the next connection for itself.
    #[cfg(feature = "http2")]
    pub(crate) is_alone: bool,
    /// The server has not looked at its request, which is made once more.
    #[cfg(feature = "http2")]
    pub(crate) is_repeated: bool,
}

/// What a response means for an attempt.
pub(crate) enum Judged {
    /// Another request follows.
    Redirected,
    Opened(Opened),
    /// It is no event stream; what it says is yet to be read.
    Refused(Failure, Response, Rest),
}

/// Where an attempt stops.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives on the stack")]
pub(crate) enum Stop {
    Opened(Opened),
    Answered(Box<Answered>),
}

/// A response that the program decides about.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) opening: Opening,
    pub(crate) response: Response,
    pub(crate) rest: Rest,
}

impl Answered {
    /// The attempt, which goes on as the program has decided.
    pub(crate) fn decide(self, verdict: Verdict) -> Box<Opening> {
        let Answered { mut opening, response, rest } = self;
        opening.course.decided = Some(Box::new((response, rest, verdict)));
        Box::new(opening)
    }
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
    /// (R16, R21, R22), unless it stops for the program before that.
    // A call of its own: what it takes does not stay on the stack for as long
    // as the stream lasts.
    #[inline(never)]
    pub(crate) fn run(self: Box<Self>) -> Result<Stop, NoConnection> {
        /// Frees the place on the heap now, for what is allocated from here
        /// on. Otherwise an idle source keeps both in its thread's cache.
        #[expect(clippy::boxed_local, reason = "to free the box")]
        fn unboxed<T>(value: Box<T>) -> T {
            *value
        }
        unboxed(self).go_on()
    }

    fn go_on(mut self) -> Result<Stop, NoConnection> {
        loop {
            let (response, rest, verdict) = match self.course.decided.take() {
                Some(decided) => *decided,
                None => {
                    let (response, rest) = self.ask()?;
                    if self.asks {
                        let answered =
                            Answered { opening: self, response, rest };
                        return Ok(Stop::Answered(Box::new(answered)));
                    }
                    (response, rest, Verdict::Standard)
                }
            };
            match self.judge(response, rest, verdict)? {
                Judged::Redirected => {}
                Judged::Opened(opened) => return Ok(Stop::Opened(opened)),
                Judged::Refused(failure, response, rest) => {
                    return Err(self.refuse(failure, response, rest).into());
                }
            }
        }
    }

    /// What a response means, as the program has decided or the standard says.
    pub(crate) fn judge(
        &mut self,
        response: Response,
        rest: Rest,
        verdict: Verdict,
    ) -> Result<Judged, NoConnection> {
        if verdict == Verdict::Refuse {
            let message = format!(
                "response with status {} refused by the program",
                response.status
            );
            let failure = Failure::new(Error::Refused, message);
            return Ok(Judged::Refused(failure, response, rest));
        }
        match self.follow(&response) {
            Ok(true) => {
                self.keep(rest, &response);
                Ok(Judged::Redirected)
            }
            Ok(false) => self.accept(response, rest, verdict),
            Err(failure) => Err(failure.with(response).into()),
        }
    }

    /// Whether the response is a redirect, which is followed.
    fn follow(&mut self, response: &Response) -> Result<bool, Failure> {
        let Some(location) = location(response)? else { return Ok(false) };
        let redirects = &mut self.course.redirects;
        if *redirects == self.options.max_redirects {
            let message = format!("more than {redirects} redirects");
            return Err(Failure::new(Error::Redirect, message));
        }
        *redirects += 1;
        self.url = follow(&self.url, location)?;
        if drops_the_body(response.status, &self.request.method()) {
            self.request.become_get();
            self.course.became_get = true;
        }
        log::debug!("{}: redirected", self.url.loggable());
        Ok(true)
    }

    /// Keeps the connection of a redirect that leads to its own origin.
    fn keep(&mut self, rest: Rest, response: &Response) {
        if self.url.has_origin_of(&response.url)
            && let Ok(connection) = Connection::new(rest, &response.headers)
        {
            self.spare = connection.skip(response.url.origin());
        }
    }

    /// One request, one response.
    fn ask(&mut self) -> Result<(Response, Rest), NoConnection> {
        let spare = self.spare.take();
        let dialled = self.course.dialled.take();
        let (request, route) = self.prepare();
        let own = route.client_certificate;
        let (head, rest) = exchange::exchange(request, route, spare, dialled)?;
        if own.are_sent() {
            lock(&self.cookies).keep(&head.headers, &self.url);
        }
        Ok((head.of(self.url.clone()), rest))
    }

    /// The next request, and the way that it goes.
    pub(crate) fn prepare(&mut self) -> (http::Request<Option<&[u8]>>, Route) {
        self.left_origin |= !self.url.has_origin_of(&self.home);
        if self.left_origin {
            // Another server does not choose who logs in.
            self.url.remove_user_info();
        }
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
            #[cfg(feature = "http2")]
            http_version: self.options.http_version,
            turns: self.turns.clone(),
        };
        (request, route)
    }

    /// Whether the server is the one whose name and keys the program has set:
    /// that of the source's URL, or of the attempt's own.
    fn peer(&self) -> Peer {
        let mut own = self.elsewhere.as_deref().into_iter().chain([&self.home]);
        match own.any(|own| self.url.has_origin_of(own)) {
            true => Peer::Own,
            false => Peer::Other,
        }
    }

    /// § 9.2.3, "process the response".
    fn accept(
        &self,
        response: Response,
        rest: Rest,
        verdict: Verdict,
    ) -> Result<Judged, NoConnection> {
        let has_body = !matches!(response.status, 101 | 204 | 304);
        if let Some(failure) = refusal(&response)
            && !(verdict == Verdict::Accept && has_body)
        {
            return Ok(Judged::Refused(failure, response, rest));
        }
        let connection = match Connection::new(rest, &response.headers) {
            Ok(connection) => connection,
            Err(failure) => return Err(failure.with(response).into()),
        };
        Ok(Judged::Opened(Opened {
            response,
            connection,
            became_get: self.course.became_get,
            left_origin: self.left_origin,
        }))
    }

    /// The failure of an attempt whose response is no stream, with what the
    /// response says.
    fn refuse(
        &self,
        mut failure: Failure,
        response: Response,
        rest: Rest,
    ) -> Failure {
        failure.body = match response.status {
            // What follows is not HTTP.
            101 => Excerpt::default(),
            204 | 304 => Excerpt::of_no_body(),
            _ => match Connection::new(rest, &response.headers) {
                Ok(mut connection) => self.excerpt(&mut connection),
                // Bytes without a meaning.
                Err(_) => Excerpt::default(),
            },
        };
        failure.with(response)
    }

    /// As much of a refused response's body as the program wants. By itself it
    /// is for people, who are not kept waiting for it; a program that has said
    /// how much it wants waits for it as for any response.
    fn excerpt(&self, connection: &mut Connection) -> Excerpt {
        let Some((size, end, idle)) = self.patience() else {
            return Excerpt::default();
        };
        connection.excerpt(size, Until::new(&*self.interrupt, end), idle)
    }

    /// How much of such a body is wanted, until when it is waited for, and how
    /// long for one byte; None if nothing is wanted.
    fn patience(&self) -> Option<(usize, Option<Instant>, Option<Duration>)> {
        const SIZE: usize = 4096;
        const PATIENCE: Duration = Duration::from_secs(1);

        let Options { response_timeout, idle_timeout, .. } = *self.options;
        let (size, time, idle) = match self.options.max_body_size {
            None => (SIZE, Some(PATIENCE), None),
            Some(0) => return None,
            Some(size) => (size, response_timeout, idle_timeout),
        };
        Some((size, deadline(time), idle))
    }
}

/// The steps of one whose request goes over a connection that is shared.
#[cfg(feature = "http2")]
impl Opening {
    /// The response that has come.
    pub(crate) fn response(
        &mut self,
        head: Head,
        own: Credentials,
    ) -> Response {
        self.course.is_repeated = false;
        if own.are_sent() {
            lock(&self.cookies).keep(&head.headers, &self.url);
        }
        head.of(self.url.clone())
    }

    /// What the program has decided about a response whose body is read
    /// elsewhere.
    pub(crate) fn take_decided(&mut self) -> Option<(Response, Verdict)> {
        let decided = &mut self.course.decided;
        let decided = decided.take_if(|it| matches!(it.1, Rest::Shared))?;
        let (response, _, verdict) = *decided;
        Some((response, verdict))
    }

    /// Whether it can go over a connection that is shared.
    pub(crate) fn may_share(&self) -> bool {
        let Course { decided, is_alone, .. } = &self.course;
        decided.is_none() && !is_alone
    }

    /// Begins to read the body of a refused response: None if nothing of it is
    /// wanted, or there is nothing.
    pub(crate) fn excerpt_of(
        &self,
        response: &Response,
    ) -> Result<Excerpting, Excerpt> {
        let connection = match response.status {
            101 => return Err(Excerpt::default()),
            204 | 304 => return Err(Excerpt::of_no_body()),
            _ => Connection::new(Rest::Shared, &response.headers),
        };
        // Bytes without a meaning, if that has failed.
        let connection = connection.map_err(|_| Excerpt::default())?;
        let patience = self.patience().ok_or_else(Excerpt::default)?;
        let (size, end, idle) = patience;
        let beginning = Beginning::new(size);
        Ok(Excerpting { connection, beginning, end, idle })
    }
}

/// The body of a refused response, of which the beginning is wanted.
#[cfg(feature = "http2")]
#[derive(Debug)]
pub(crate) struct Excerpting {
    connection: Connection,
    beginning: Beginning,
    end: Option<Instant>,
    idle: Option<Duration>,
}

#[cfg(feature = "http2")]
impl Excerpting {
    /// A piece has come; whether more is wanted.
    pub(crate) fn take(&mut self, piece: &mut [u8]) -> bool {
        let Excerpting { connection, beginning, .. } = self;
        let mut sink = |piece: &mut [u8]| beginning.take(piece);
        // Of no stream that the program follows.
        let stats = Stats::default();
        let mut piece = Some(piece);
        let mut read =
            Pieces(|| piece.take()).read_through(connection, &stats, &mut sink);
        // As much as is wanted.
        while matches!(read, Ok(Read::More)) {
            read = connection.read(Network::now(&mut []), &stats, &mut sink);
        }
        matches!(read, Ok(Read::All))
    }

    /// How long to wait for the next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.end.into_iter().chain(deadline(self.idle)).min()
    }

    /// All that there was, or that was waited for.
    pub(crate) fn finish(mut self, has_ended: bool) -> Excerpt {
        let is_complete = has_ended && self.connection.has_ended().is_ok();
        self.beginning.finish(is_complete)
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
