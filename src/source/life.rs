//! The life of a source in steps: announce, reestablish, fail. Each step
//! returns what is to be waited for next; nothing in here waits.

use std::ffi::{CStr, CString};
use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::error::Error;
use crate::failure::{Failure, LastFailure, NoConnection, RetryPlan, in_words};
use crate::http::connection::{Connection, Input, Network, Read};
use crate::http::cookies::Cookies;
use crate::http::exchange;
use crate::http::opening::{Answered, Course, Opened, Opening, Stop};
use crate::http::spare::Spare;
use crate::memory;
use crate::net::turns::Turns;
use crate::parser::{Item, Parser, Shares, Sink, Text};
use crate::settings::attempt::Attempt;
use crate::settings::options::Options;
use crate::settings::request::{Request, fits_a_header};
use crate::settings::retry::{Reached, Retry, advice, retry_after};
use crate::source::backoff::Backoff;
use crate::source::handler::Handler;
use crate::source::shared::Shared;
use crate::state::{Exposed, State};
use crate::stats::Stats;
use crate::sys::{Entry, Epoll, Registration};
use crate::url::HttpUrl;
use crate::wait::deadline;

/// What is to be waited for, and which step follows. After an interrupt it is
/// [`Source::begin`], whatever was waited for.
pub(crate) enum Next {
    /// There has to be room for an attempt; then [`Source::attempt`].
    Attempt,
    /// The attempt is to be made, or to go on, which blocks; then
    /// [`Source::opened`].
    Open(Box<Opening>),
    /// Nothing: the attempt has failed before it was made; then
    /// [`Source::not_made`]. A step of its own, so that the stack does not grow
    /// with such attempts.
    NotMade(Box<Failure>),
    /// The connection has to be readable, then [`Source::readable`]; at the
    /// deadline, [`Source::silent`].
    Read(Option<Instant>),
    /// The deadline has to pass; then [`Source::due`].
    Wait(Option<Instant>),
    /// [`Source::has_told`] has to be true, which is asked again after each
    /// signal; then [`Source::begin`].
    Tell,
    /// [`Source::has_room`] has to be true, which is asked again after each
    /// signal; then [`Source::resumed`].
    Room,
    /// Nothing: the source is CLOSED, for this reason.
    Over(Error),
}

/// A source in the hands of what drives it.
pub(crate) struct Source<H> {
    shared: Arc<Shared>,
    options: Arc<Options>,
    handler: H,
    parser: Parser,
    backoff: Backoff,
    cookies: Arc<Mutex<Cookies>>,
    turns: Arc<Turns>,
    /// Where a redirect has led, and the next request goes (R13).
    moved: Option<Box<HttpUrl>>,
    /// A redirect to there has made a GET of the request.
    became_get: bool,
    /// Redirects to there have left the origin of the source's URL.
    left_origin: bool,
    /// The program has sent the attempt that is under way to a URL of its own.
    is_elsewhere: bool,
    attempts: u64,
    /// When the attempt that is under way began.
    started: Instant,
    /// Whether to come back after the attempt that is under way.
    retry: Retry,
    /// Whether its request is a GET.
    is_get: bool,
    /// The failure last reported, for the next `on_request`.
    last_failure: Option<Box<LastFailure>>,
    /// While it is OPEN.
    stream: Option<Stream>,
    /// The connection of a stream that has ended, for the next attempt.
    spare: Option<Box<Spare>>,
}

/// A source that waits holds no receive buffer; for so many bytes there is room
/// on its stack.
pub(crate) const LITTLE: usize = 1024;

/// An event stream being read.
struct Stream {
    /// How a loop waits for the connection. Dropped before that: the number of
    /// its descriptor is given to the next at once.
    registration: Option<Registration>,
    /// The same for a thread that waits by reading.
    exposed: Option<Exposed>,
    connection: Connection,
    /// The last read has brought something, and no more than [`LITTLE`].
    brings_little: bool,
    /// Of its response.
    status: u16,
    origin: CString,
    opened: Instant,
    /// When it has been silent for too long.
    idle_end: Option<Instant>,
    got_event: bool,
}

impl Stream {
    /// A connection that lived for so long has worked, whatever it brought:
    /// some bring nothing but heartbeats, or are ended by a balancer while
    /// they are silent.
    const LIFE: Duration = Duration::from_secs(1);

    /// The connection, if the server keeps it.
    fn into_spare(self) -> Option<Box<Spare>> {
        // Out of the loop's set, and out of the hands of other threads, first.
        drop(self.registration);
        drop(self.exposed);
        let origin = self.origin.into_string().ok()?;
        self.connection.into_spare(origin)
    }
}

impl<H: Handler> Source<H> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        options: Arc<Options>,
        comments: bool,
        handler: H,
    ) -> Source<H> {
        let mut parser = Parser::new();
        parser.set_max_event_size(options.max_event_size);
        parser.set_comments(comments);
        parser.share_last_event_id(shared.last_event_id());
        Source {
            shared,
            handler,
            parser,
            backoff: Backoff::new(
                options.reconnection_time,
                options.max_reconnection_time,
            ),
            cookies: Arc::default(),
            turns: Arc::default(),
            moved: None,
            became_get: false,
            left_origin: false,
            is_elsewhere: false,
            attempts: 0,
            started: Instant::now(),
            retry: options.retry.unwrap_or(Retry::Standard),
            is_get: true,
            last_failure: None,
            stream: None,
            spare: None,
            options,
        }
    }

    /// The life begins here, and each attempt; also after whatever was
    /// interrupted, which is no failure: nothing is reported.
    pub(crate) fn begin(&mut self) -> Next {
        self.stream = None;
        match self.is_closed() {
            true => self.attempt(),
            false => Next::Attempt,
        }
    }

    /// The next attempt, unless the program has closed the source.
    pub(crate) fn attempt(&mut self) -> Next {
        while !self.is_closed() {
            // A pending reconnect is satisfied by the attempt that follows.
            if self.state().take_reconnect() {
                self.last_failure = None;
            }
            if !self.has_memory_for(&self.options.request, None) {
                return Next::NotMade(Box::new(exchange::no_memory()));
            }
            let mut attempt = self.ask_program();
            if self.state().interrupted() {
                continue;
            }
            if let Some(message) = attempt.take_aborted() {
                let failure = Failure::new(Error::Aborted, message);
                return Next::NotMade(Box::new(failure));
            }
            let (request, url) = attempt.into_parts();
            // The program may have made it larger.
            if !self.has_memory_for(&request, url.as_deref()) {
                return Next::NotMade(Box::new(exchange::no_memory()));
            }
            self.is_elsewhere = url.is_some();
            if self.is_elsewhere {
                self.forget_redirects();
            }
            let own = self.shared.url();
            let (home, elsewhere) = match url {
                None => (own, None),
                Some(url) => (*url, Some(Box::new(own))),
            };
            let url = self.moved.as_deref().unwrap_or(&home).clone();
            log::debug!("{}: connecting", url.loggable());
            self.started = Instant::now();
            return Next::Open(Box::new(Opening {
                options: self.options.clone(),
                request,
                home,
                elsewhere,
                url,
                left_origin: self.left_origin,
                cookies: self.cookies.clone(),
                turns: self.turns.clone(),
                spare: self.spare.take(),
                interrupt: self.shared.state.clone(),
                asks: self.handler.decides_about_responses(),
                course: Course::default(),
            }));
        }
        log::debug!("{}: closed", self.shared.url().loggable());
        Next::Over(Error::None)
    }

    /// Whether there is memory for what an attempt copies of what the program
    /// has made large.
    fn has_memory_for(&self, request: &Request, url: Option<&HttpUrl>) -> bool {
        let urls = [url, self.moved.as_deref()].into_iter().flatten();
        let urls = urls.map(HttpUrl::as_str).chain([self.shared.url_text()]);
        let urls = urls.map(str::len).sum::<usize>();
        let size = 8 * urls + request.size_of_headers();
        memory::is_there(size)
    }

    /// The delay before an attempt is over. R26 (4): the attempt waits until
    /// the program has been told of the failure before it.
    pub(crate) fn due(&mut self) -> Next {
        if self.has_told() {
            return self.begin();
        }
        // However long that takes.
        self.spare = None;
        Next::Tell
    }

    /// Whether the program knows all that was reported.
    pub(crate) fn has_told(&self) -> bool {
        self.handler.has_told()
    }

    /// Whether there is room for what is read next.
    pub(crate) fn has_room(&self) -> bool {
        self.handler.has_room()
    }

    /// Whether a step is to be [`Source::begin`], whatever was waited for.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.state().interrupted()
    }

    /// Whether the program has closed the source.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed_by_program()
    }

    fn state(&self) -> &State {
        &self.shared.state
    }

    /// The next attempt begins at the source's URL.
    fn forget_redirects(&mut self) {
        self.moved = None;
        self.became_get = false;
        self.left_origin = false;
    }

    /// The attempt that follows, after the program's word.
    fn ask_program(&mut self) -> Attempt {
        self.attempts += 1;
        if self.attempts > 1 {
            self.shared.stats.reconnects.add(1);
        }
        let request = self.options.request.clone();
        let mut attempt = Attempt::new(self.attempts, request);
        if self.became_get {
            attempt = attempt.redirected_to_get();
        }
        let last_failure = self.last_failure.take();
        let id = self.parser.last_event_id();
        let mut attempt =
            self.handler.request(attempt, id, last_failure.as_deref());
        if let Some(id) = attempt.take_last_event_id() {
            self.parser.replace_last_event_id(id);
            let id = self.parser.last_event_id();
            let last_event_id = self.parser.shared_last_event_id();
            let shares = Shares { last_event_id, ..Shares::default() };
            self.handler.last_event_id(id, &shares);
        }
        // One that is not sent need not be copied.
        let id = Some(self.parser.last_event_id());
        let id = id.filter(|id| fits_a_header(id.bytes()));
        attempt.request.last_event_id = id.map_or("", Text::as_str).to_owned();
        self.is_get = attempt.request.is_plain_get();
        let default = match self.is_get {
            true => Retry::Standard,
            false => Retry::Never,
        };
        self.retry = self.options.retry.unwrap_or(default);
        attempt
    }

    /// The attempt has failed before it was made. Nothing is known of where a
    /// redirect has led, and so nothing is forgotten.
    pub(crate) fn not_made(&mut self, failure: Failure) -> Next {
        if self.state().interrupted() {
            return self.begin();
        }
        self.follow_up(failure, Reached::Nothing, false)
    }

    /// The attempt has come to its end, or to a response.
    pub(crate) fn opened(
        &mut self,
        stop: Result<Stop, NoConnection>,
    ) -> Option<Next> {
        Some(match stop {
            Ok(Stop::Opened(opened)) => return self.announce(opened),
            Ok(Stop::Answered(answered)) => self.answered(answered),
            Err(NoConnection::Interrupted) => self.begin(),
            Err(NoConnection::Failed(_)) if self.state().interrupted() => {
                self.begin()
            }
            Err(NoConnection::Failed(failure)) => {
                // So that a dead node behind a redirecting balancer is not
                // asked for ever, the next attempt begins at the original URL.
                self.forget_redirects();
                self.follow_up(failure, Reached::Nothing, false)
            }
        })
    }

    /// A response has come, and the program decides what becomes of it.
    fn answered(&mut self, answered: Box<Answered>) -> Next {
        if self.state().interrupted() {
            return self.begin();
        }
        let verdict = self.handler.response(&answered.response);
        Next::Open(answered.decide(verdict))
    }

    /// § 9.2.3, "announce the connection" (R25).
    fn announce(&mut self, opened: Opened) -> Option<Next> {
        let Opened { response, connection, became_get, left_origin } = opened;
        self.shared.stats.time_to_headers.set(self.started.elapsed());
        // Where the program has sent this attempt, the next one does not begin.
        if !self.is_elsewhere {
            let moved = response.url.as_str() != self.shared.url_text();
            self.moved = moved.then(|| Box::new(response.url.clone()));
            self.became_get |= became_get;
            self.left_origin = left_origin;
        }
        self.is_get |= became_get;
        if !self.state().open() {
            return Some(self.begin());
        }
        log::info!("{}: open", response.url.loggable());
        self.shared.stats.connects.add(1);
        self.handler.open(&response);
        self.parser.reset();
        let origin = CString::new(response.url.origin()).unwrap_or_default();
        self.stream = Some(Stream {
            registration: None,
            exposed: None,
            connection,
            brings_little: false,
            status: response.status,
            origin,
            opened: Instant::now(),
            idle_end: None,
            got_event: false,
        });
        // What came with the head needs neither a wait nor a buffer.
        self.readable(Network::now(&mut []))
    }

    /// While the source is OPEN, a loop waits for its connection from here on.
    pub(crate) fn register(
        &mut self,
        epoll: &Arc<Epoll>,
        token: u64,
    ) -> io::Result<()> {
        let stream = self.stream.as_mut().expect("an open stream");
        let Some(entry) = stream.connection.entry() else { return Ok(()) };
        let known = stream.registration.as_ref();
        if !known.is_some_and(|known| known.is_for(&entry)) {
            // Out of the set before it is put in.
            stream.registration = None;
            stream.registration =
                Some(Registration::new(epoll, &entry, token)?);
        }
        Ok(())
    }

    /// The loop waits for the connection no longer. A broken one would end
    /// every wait.
    pub(crate) fn deregister(&mut self) {
        self.stream.as_mut().expect("an open stream").registration = None;
    }

    /// After a read that may have left something: None if a wait does not see
    /// that.
    pub(crate) fn read_on(&mut self) -> Option<Next> {
        match self.holds_more() {
            true => None,
            false => Some(self.wait_to_read()),
        }
    }

    /// What to wait for while the source is OPEN.
    pub(crate) fn entry(&self) -> Entry {
        let stream = self.stream.as_ref().expect("an open stream");
        stream.connection.entry().expect("a connection of its own")
    }

    /// Whether a thread is to wait for the connection by
    /// [`Source::wait_and_read`], which takes one system call, not two.
    pub(crate) fn waits_by_reading(&mut self) -> bool {
        let stream = self.stream.as_ref().expect("an open stream");
        stream.brings_little && (stream.exposed.is_some() || self.expose())
    }

    /// Lets reads of the connection wait, for others to end them; false if they
    /// are not to wait.
    fn expose(&mut self) -> bool {
        /// Of an idle timeout. The system's own are up to an eighth late, and a
        /// few milliseconds: the last quarter is waited for otherwise.
        const LEAST: Duration = Duration::from_secs(1);

        let stream = self.stream.as_mut().expect("an open stream");
        let Some(socket) = stream.connection.socket() else { return false };
        let idle = self.options.idle_timeout;
        if idle.is_some_and(|idle| idle < LEAST)
            || socket.let_reads_wait(idle.map(|idle| idle / 4 * 3)).is_err()
        {
            return false;
        }
        let exposed = Exposed::new(&self.shared.state, socket.number());
        stream.exposed = Some(exposed);
        // What was asked for before that ends no read.
        !self.is_interrupted()
    }

    /// The same as [`Source::readable`], but waits until there is something to
    /// read. A close, a reconnect and most of the idle timeout end that.
    pub(crate) fn wait_and_read(&mut self) -> Option<Next> {
        self.readable(Network { buffer: &mut [0; LITTLE], waits: true })
    }

    /// Reads once, and dispatches what that brings; None if there may be more
    /// to read at once.
    pub(crate) fn readable(&mut self, input: impl Input) -> Option<Next> {
        let Source { shared, handler, parser, backoff, stream, .. } = self;
        let stream = stream.as_mut().expect("an open stream");
        let mut dispatch = Dispatch {
            state: &shared.state,
            stats: &shared.stats,
            handler,
            backoff,
            status: stream.status,
            origin: &stream.origin,
            got_event: false,
        };
        let mut sink = |bytes: &mut [u8]| {
            // What brings no item does not hold up a close either.
            if dispatch.state.interrupted() {
                return Break(());
            }
            parser.feed_into(bytes, &mut dispatch)
        };
        let (connection, stats) = (&mut stream.connection, &shared.stats);
        let before = stats.bytes.get();
        let read = input.read_through(connection, stats, &mut sink);
        let brought = stats.bytes.get() - before;
        stream.brings_little = 0 < brought && brought < LITTLE as u64;
        stream.got_event |= dispatch.got_event;
        // Also after an error or the end: what came before it was dispatched.
        handler.flush();
        if shared.state.interrupted() {
            return Some(self.begin());
        }
        match read {
            Ok(Read::More | Read::All) if self.handler.is_full() => {
                Some(Next::Room)
            }
            Ok(Read::More) => None,
            Ok(Read::All) => Some(self.wait_to_read()),
            Ok(Read::Nothing) => {
                let stream = self.stream.as_ref().expect("an open stream");
                Some(Next::Read(stream.idle_end))
            }
            Ok(Read::Stopped) => Some(self.begin()),
            Ok(Read::End) => Some(self.ended()),
            Err(failure) => Some(self.lost(failure)),
        }
    }

    /// There is room again.
    pub(crate) fn resumed(&mut self) -> Option<Next> {
        self.handler.resume();
        self.read_on()
    }

    /// Whether bytes may be left that a wait for the connection does not see.
    pub(crate) fn holds_more(&self) -> bool {
        let stream = self.stream.as_ref().expect("an open stream");
        stream.connection.holds_more()
    }

    fn wait_to_read(&mut self) -> Next {
        let timeout = self.options.idle_timeout;
        let stream = self.stream.as_mut().expect("an open stream");
        stream.idle_end = deadline(timeout);
        Next::Read(stream.idle_end)
    }

    /// The stream of a connection that is shared has ended, or was lost.
    #[cfg(feature = "http2")]
    pub(crate) fn told(&mut self, ending: Result<(), Failure>) -> Next {
        let stream = self.stream.as_mut().expect("an open stream");
        match ending.and_then(|()| stream.connection.has_ended()) {
            Ok(()) => self.ended(),
            Err(failure) => self.lost(failure),
        }
    }

    /// The idle timeout has passed.
    pub(crate) fn silent(&mut self) -> Next {
        let time = self.options.idle_timeout.unwrap_or_default().as_millis();
        let message = format!("timed out: nothing has come for {time} ms");
        self.lost(Failure::new(Error::Timeout, message))
    }

    /// The open connection cannot be waited for.
    pub(crate) fn broken(&mut self, cause: &io::Error) -> Next {
        let message = format!("stream broken: {}", in_words(cause));
        self.lost(Failure::new(Error::Lost, message).caused_by(cause))
    }

    /// The body has ended in good order (R27). The stream has only if it is
    /// not inside an event: that it is dropped (R60) must be told.
    fn ended(&mut self) -> Next {
        let failure = match self.parser.is_inside_event() {
            false => {
                Failure::new(Error::Ended, "the server has ended the stream")
            }
            true => {
                Failure::new(Error::Lost, "the stream ended inside an event")
            }
        };
        self.over(failure, Reached::End)
    }

    /// The stream was lost.
    fn lost(&mut self, failure: Failure) -> Next {
        self.over(failure, Reached::Open)
    }

    /// The stream is over.
    fn over(&mut self, failure: Failure, reached: Reached) -> Next {
        let stream = self.stream.take().expect("an open stream");
        let worked = stream.got_event
            || self.parser.has_set_last_event_id()
            || stream.opened.elapsed() >= Stream::LIFE;
        let status = stream.status;
        if reached == Reached::End {
            self.spare = stream.into_spare();
        }
        self.follow_up(failure.with_status(status), reached, worked)
    }

    /// After an attempt: reestablishes the connection, or fails it, or ends
    /// with a stream that was the only one wanted. An attempt has failed
    /// unless its connection `worked`.
    fn follow_up(
        &mut self,
        mut failure: Failure,
        reached: Reached,
        worked: bool,
    ) -> Next {
        let delay = self.delay_after(&failure, worked);
        let attempt = self.backoff.failed_attempts();
        let limit = self.options.max_attempts;
        let exhausted = limit > 0 && attempt >= limit;
        let wanted =
            self.retry.comes_back_after(&failure, reached, self.is_get);
        let again = wanted && !exhausted;
        let plan = RetryPlan { attempt, delay: again.then_some(delay) };
        let id = self.parser.last_event_id();
        match self.handler.retry(&failure, plan, id, delay) {
            Some(delay) => self.reestablish(failure, attempt, delay),
            // Unless it was wanted again, and was in vain too often.
            None if failure.error == Error::Ended && (again || !wanted) => {
                self.end()
            }
            None => {
                if self.options.retry.is_none()
                    && let Some(advice) = advice(&failure, self.is_get)
                {
                    failure.message = format!("{failure}; {advice}");
                }
                self.fail(&failure)
            }
        }
    }

    /// How long the next attempt has to wait, if there is one.
    fn delay_after(&mut self, failure: &Failure, worked: bool) -> Duration {
        let wait = self.backoff.next(worked);
        let max = self.options.max_reconnection_time;
        let asked = failure.response.as_ref().and_then(|response| {
            let max = max.map(Duration::from_millis);
            retry_after(&response.headers, max, SystemTime::now())
        });
        wait.max(asked.unwrap_or_default())
    }

    /// § 9.2.3, "reestablish the connection" (R26).
    fn reestablish(
        &mut self,
        failure: Failure,
        attempt: u32,
        delay: Duration,
    ) -> Next {
        if !self.state().connecting() {
            return self.begin();
        }
        let ms = delay.as_millis();
        log::info!(
            "{}: {failure}; again in {ms} ms",
            self.shared.url().loggable()
        );
        let plan = RetryPlan { attempt, delay: Some(delay) };
        self.handler.error(&failure, plan, self.parser.last_event_id());
        self.last_failure = Some(Box::new(LastFailure { failure, plan }));
        if delay >= Spare::LIFE {
            self.spare = None;
        }
        Next::Wait(deadline(Some(delay)))
    }

    /// The stream has ended, and one was wanted: no failure.
    fn end(&mut self) -> Next {
        if !self.state().fail() {
            return self.begin();
        }
        log::info!("{}: ended", self.shared.url().loggable());
        Next::Over(Error::Ended)
    }

    /// § 9.2.3, "fail the connection" (R28), unless a close or a reconnect is
    /// pending.
    pub(crate) fn fail(&mut self, failure: &Failure) -> Next {
        if !self.state().fail() {
            return self.begin();
        }
        log::warn!("{}: {failure}", self.shared.url().loggable());
        let attempt = self.backoff.failed_attempts();
        let plan = RetryPlan { attempt, delay: None };
        self.handler.error(failure, plan, self.parser.last_event_id());
        Next::Over(failure.error)
    }
}

/// Dispatches the items of one read. Borrows its parts, since the parser is
/// borrowed at the same time.
struct Dispatch<'a, H> {
    state: &'a State,
    stats: &'a Stats,
    handler: &'a mut H,
    backoff: &'a mut Backoff,
    status: u16,
    origin: &'a CStr,
    got_event: bool,
}

impl<H: Handler> Sink for Dispatch<'_, H> {
    #[inline(always)]
    fn item(&mut self, item: Item<'_>) -> ControlFlow<()> {
        // R32: what has been parsed is dropped once the source is closed, or
        // asked for again once it is to reconnect.
        if self.state.interrupted() {
            return Break(());
        }
        match &item {
            Item::Event(event) => {
                self.got_event = true;
                self.stats.events.add(1);
                self.handler.event(event, self.origin);
            }
            other => self.other(other, &Shares::default()),
        }
        Continue(())
    }

    #[cold]
    fn large(
        &mut self,
        item: Item<'_>,
        shares: &Shares<'_>,
    ) -> ControlFlow<()> {
        if self.state.interrupted() {
            return Break(());
        }
        self.other(&item, shares);
        Continue(())
    }
}

impl<H: Handler> Dispatch<'_, H> {
    // Apart, so that the way of an event is inlined where it is parsed.
    #[inline(never)]
    fn other(&mut self, item: &Item<'_>, shares: &Shares<'_>) {
        match item {
            Item::Event(event) => {
                self.got_event = true;
                self.stats.events.add(1);
                self.handler.large_event(event, shares, self.origin);
            }
            Item::Comment(comment) => {
                self.stats.comments.add(1);
                self.handler.comment(*comment, shares);
            }
            Item::LastEventId(id) => self.handler.last_event_id(*id, shares),
            Item::Retry(time) => self.backoff.set_reconnection_time(*time),
            Item::TooLarge => self.too_large(),
        }
    }

    #[cold]
    fn too_large(&mut self) {
        self.stats.dropped.add(1);
        let failure =
            Failure::new(Error::TooLarge, "event over the size limit")
                .with_status(self.status);
        self.handler.dropped(&failure);
    }
}
