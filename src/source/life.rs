//! The life of a source: announce, reestablish, fail. The loop over
//! connections, on one thread; it knows no locks and no C.

use std::ffi::{CStr, CString};
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use url::Url;

use crate::error::Error;
use crate::failure::{Failure, LastFailure, RetryPlan};
use crate::http::connection::Connection;
use crate::http::cookies::Cookies;
use crate::net::socket::interrupted;
use crate::parser::{Event, Item, Parser, Text};
use crate::response::{Response, loggable, origin};
use crate::settings::options::Options;
use crate::settings::request::Request;
use crate::settings::retry::{Retry, retry_after};
use crate::source::backoff::Backoff;
use crate::state::State;
use crate::stats::Stats;
use crate::sys;

/// Whom the source tells what happens. Called one at a time, in the order
/// of the stream.
pub(crate) trait Handler {
    /// An attempt begins, the `attempt`th; what may be changed of it, and the
    /// failure that has made it necessary.
    fn request(
        &mut self,
        request: Request,
        attempt: u64,
        failure: Option<&LastFailure>,
    ) -> Request;
    /// What is to follow a failure: after which wait the next attempt, if any.
    fn retry(
        &mut self,
        failure: &Failure,
        plan: RetryPlan,
        wait: Duration,
    ) -> Option<Duration>;
    /// The connection is announced.
    fn open(&mut self, response: &Response);
    /// An event, from `origin`; it may change the last event ID string.
    fn event(&mut self, event: &Event<'_>, origin: &CStr);
    /// A comment, if they are wanted.
    fn comment(&mut self, comment: Text<'_>);
    /// All that has come so far has been told.
    fn pause(&mut self);
    /// The last event ID string has changed, without an event.
    fn last_event_id(&mut self, id: Text<'_>);
    /// A connection was refused or lost, or an event was dropped.
    fn error(&mut self, failure: &Failure, plan: RetryPlan);
}

/// A source in the hands of its thread.
pub(crate) struct Source<H> {
    state: Arc<State>,
    stats: Arc<Stats>,
    options: Box<Options>,
    /// Where a redirect has led, and the next request goes (R13).
    moved: Option<Box<Url>>,
    /// A redirect to there has made a GET of the request.
    became_get: bool,
    cookies: Cookies,
    parser: Parser,
    backoff: Backoff,
    attempts: u64,
    /// Why the next attempt is necessary.
    last_failure: Option<Box<LastFailure>>,
    /// Whether to come back after the attempt that is under way.
    retry: Retry,
    handler: H,
}

impl<H: Handler> Source<H> {
    pub(crate) fn new(
        options: Box<Options>,
        comments: bool,
        state: Arc<State>,
        stats: Arc<Stats>,
        handler: H,
    ) -> Source<H> {
        let mut parser = Parser::new();
        parser.set_max_event_size(options.max_event_size);
        parser.set_comments(comments);
        parser.set_last_event_id(&options.request.last_event_id);
        Source {
            state,
            stats,
            moved: None,
            became_get: false,
            cookies: Cookies::default(),
            parser,
            backoff: Backoff::new(
                options.reconnection_time,
                options.max_reconnection_time,
            ),
            attempts: 0,
            last_failure: None,
            retry: options.retry.unwrap_or(Retry::Standard),
            options,
            handler,
        }
    }

    /// Lives until the program closes the source or the connection is
    /// failed; returns the reason.
    pub(crate) fn run(&mut self) -> Error {
        while !self.state.closed_by_program() {
            // A wish to reconnect, also one that has cut the wait short, is
            // met by the attempt that comes now.
            if self.state.take_reconnect() {
                self.last_failure = None;
            }
            let (failure, worked) = self.attempt();
            // Nor does it report a failure, or wait.
            if self.state.interrupted() {
                continue;
            }
            if let Some(reason) = self.follow_up(failure, worked) {
                return reason;
            }
        }
        log::debug!("{}: closed", loggable(&self.options.url));
        Error::None
    }

    /// One connection, from the request to its end; why it ended, and
    /// whether it brought an event.
    fn attempt(&mut self) -> (Failure, bool) {
        log::debug!("{}: connecting", loggable(self.url()));
        let request = self.request();
        if self.state.interrupted() {
            return (interrupted(), false);
        }
        let url = self.url().clone();
        let start = Instant::now();
        let opened = Connection::open(
            &self.options,
            request,
            url,
            &self.state,
            &mut self.cookies,
        );
        match opened {
            Ok((response, connection)) => {
                self.stats.time_to_headers.set(start.elapsed());
                self.announce(response, connection)
            }
            Err(failure) => {
                // A dead node behind a redirect is not asked for ever.
                if !self.state.interrupted() {
                    self.moved = None;
                    self.became_get = false;
                }
                (failure, false)
            }
        }
    }

    /// Where the next request goes.
    fn url(&self) -> &Url {
        self.moved.as_deref().unwrap_or(&self.options.url)
    }

    /// What the attempt asks with, after the program's word.
    fn request(&mut self) -> Request {
        self.attempts += 1;
        if self.attempts > 1 {
            self.stats.reconnects.add(1);
        }
        let mut request = self.options.request.clone();
        request.last_event_id = self.parser.last_event_id().as_str().to_owned();
        if self.became_get {
            request.become_get();
        }
        let last_failure = self.last_failure.take();
        let request = self.handler.request(
            request,
            self.attempts,
            last_failure.as_deref(),
        );
        let default = match request.is_plain_get() {
            true => Retry::Standard,
            false => Retry::Never,
        };
        self.retry = self.options.retry.unwrap_or(default);
        request
    }

    /// § 9.2.3, "announce the connection" (R25), and what follows it.
    fn announce(
        &mut self,
        response: Response,
        mut connection: Connection,
    ) -> (Failure, bool) {
        let moved = response.url != self.options.url;
        self.moved = moved.then(|| Box::new(response.url.clone()));
        self.became_get |= connection.became_get;
        if !self.state.open() {
            return (interrupted(), false);
        }
        log::info!("{}: open", loggable(self.url()));
        self.stats.connects.add(1);
        self.handler.open(&response);
        drop(response);
        self.parser.reset();
        let origin = CString::new(origin(self.url())).unwrap_or_default();
        let mut dispatch = Dispatch {
            state: &self.state,
            stats: &self.stats,
            handler: &mut self.handler,
            backoff: &mut self.backoff,
            origin: &origin,
            worked: false,
        };
        let idle_timeout = self.options.idle_timeout;
        let sink = |bytes: &mut [u8]| {
            if bytes.is_empty() {
                dispatch.handler.pause();
                return Continue(());
            }
            self.parser.feed(bytes, |item| dispatch.item(&item))
        };
        let failure =
            connection.read(&self.state, &self.stats, idle_timeout, sink);
        let worked = dispatch.worked;
        (failure, worked)
    }

    /// After an attempt: the wait for the next one, or the end; then why the
    /// source is closed, unless the program has wished otherwise meanwhile.
    fn follow_up(
        &mut self,
        mut failure: Failure,
        worked: bool,
    ) -> Option<Error> {
        let ended = failure.error == Error::Ended;
        if ended {
            // R27: to come back after, it is like any other loss.
            failure.error = Error::Lost;
        }
        let wait = self.wait_after(&failure, worked);
        let attempt = self.backoff.failed_attempts();
        let limit = self.options.max_attempts;
        let exhausted = limit > 0 && attempt >= limit;
        let again = !exhausted && self.retry.comes_back_after(&failure);
        let plan = RetryPlan { attempt, delay: again.then_some(wait) };
        match self.handler.retry(&failure, plan, wait) {
            Some(wait) => {
                self.reestablish(failure, attempt, wait);
                None
            }
            None if ended && !exhausted => self.end(),
            None => self.fail(&failure).then_some(failure.error),
        }
    }

    /// How long the next attempt has to wait, if there is one.
    fn wait_after(&mut self, failure: &Failure, worked: bool) -> Duration {
        let wait = self.backoff.next(worked);
        let max = self.options.max_reconnection_time;
        let asked = failure.response.as_ref().and_then(|response| {
            let max = max.map(Duration::from_millis);
            retry_after(&response.headers, max, SystemTime::now())
        });
        wait.max(asked.unwrap_or_default())
    }

    /// § 9.2.3, "reestablish the connection" (R26).
    fn reestablish(&mut self, failure: Failure, attempt: u32, wait: Duration) {
        if !self.state.connecting() {
            return;
        }
        log::info!(
            "{}: {failure}; again in {} ms",
            loggable(&self.options.url),
            wait.as_millis()
        );
        let plan = RetryPlan { attempt, delay: Some(wait) };
        self.handler.error(&failure, plan);
        self.last_failure = Some(Box::new(LastFailure { failure, plan }));
        // What the attempt has used of the stack is dead for all of the wait.
        sys::release_dead_stack();
        // A wait longer than the clock can count is one for ever.
        let deadline = Instant::now().checked_add(wait);
        // Interrupted or over: the loop finds out which.
        let _ = self.state.wait(&mut [self.state.entry()], deadline);
    }

    /// The stream has ended, and one was wanted: no failure.
    fn end(&mut self) -> Option<Error> {
        if !self.state.fail() {
            return None;
        }
        log::info!("{}: ended", loggable(&self.options.url));
        Some(Error::Ended)
    }

    /// § 9.2.3, "fail the connection" (R28); unless the program has wished
    /// otherwise in the meantime.
    pub(crate) fn fail(&mut self, failure: &Failure) -> bool {
        if !self.state.fail() {
            return false;
        }
        log::warn!("{}: {failure}", loggable(&self.options.url));
        let attempt = self.backoff.failed_attempts();
        self.handler.error(failure, RetryPlan { attempt, delay: None });
        true
    }
}

/// Hands the items of one stream to whom they concern.
struct Dispatch<'a, H> {
    state: &'a State,
    stats: &'a Stats,
    handler: &'a mut H,
    backoff: &'a mut Backoff,
    origin: &'a CStr,
    worked: bool,
}

impl<H: Handler> Dispatch<'_, H> {
    #[inline]
    fn item(&mut self, item: &Item<'_>) -> ControlFlow<()> {
        // R32: what has been parsed is dropped once the source is closed, or
        // asked for again once it is to reconnect.
        if self.state.interrupted() {
            return Break(());
        }
        match item {
            Item::Event(event) => {
                self.worked = true;
                self.stats.events.add(1);
                self.handler.event(event, self.origin);
            }
            other => self.no_event(other),
        }
        Continue(())
    }

    // Apart, so that the way of an event is inlined where it is parsed.
    #[inline(never)]
    fn no_event(&mut self, item: &Item<'_>) {
        match item {
            Item::Event(_) => {}
            Item::Comment(comment) => {
                self.stats.comments.add(1);
                self.handler.comment(*comment);
            }
            Item::LastEventId(id) => self.handler.last_event_id(*id),
            Item::Retry(time) => self.backoff.set_reconnection_time(*time),
            Item::TooLarge => self.too_large(),
        }
    }

    #[cold]
    fn too_large(&mut self) {
        self.stats.dropped.add(1);
        let failure =
            Failure::new(Error::TooLarge, "event over the size limit");
        self.handler.error(&failure, RetryPlan { attempt: 0, delay: None });
    }
}
