//! The life of a source: announce, reestablish, fail. The loop over
//! connections, on one thread; it knows no locks and no C.

use std::ffi::{CStr, CString};
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::{Duration, Instant};

use url::Url;

use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::Error;
use crate::failure::Failure;
use crate::options::Options;
use crate::parser::{Event, Item, Parser, Text};
use crate::response::{Response, loggable, origin};
use crate::socket::interrupted;
use crate::state::State;

/// Whom the source tells what happens. Called one at a time, in the order
/// of the stream.
pub(crate) trait Handler {
    /// The connection is announced.
    fn open(&mut self, response: &Response);
    /// An event, from `origin`.
    fn event(&mut self, event: &Event<'_>, origin: &CStr);
    /// A comment, if they are wanted.
    fn comment(&mut self, comment: Text<'_>);
    /// The last event ID string has changed.
    fn last_event_id(&mut self, id: Text<'_>);
    /// A connection was refused or lost, or an event was dropped.
    fn error(&mut self, failure: &Failure, outlook: Outlook);
}

/// What comes after a failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook {
    /// How many attempts in a row have brought no event.
    pub(crate) attempt: u32,
    /// How long until the next attempt, if there is one.
    pub(crate) retry: Option<Duration>,
}

/// A source in the hands of its thread.
pub(crate) struct Source<H> {
    state: Arc<State>,
    options: Options,
    /// Where the next request goes (R13).
    url: Url,
    parser: Parser,
    backoff: Backoff,
    handler: H,
}

impl<H: Handler> Source<H> {
    pub(crate) fn new(
        options: Options,
        comments: bool,
        state: Arc<State>,
        handler: H,
    ) -> Source<H> {
        let mut parser = Parser::new();
        parser.set_max_event_size(options.max_event_size);
        parser.set_comments(comments);
        parser.set_last_event_id(&options.last_event_id);
        Source {
            state,
            url: options.url.clone(),
            parser,
            backoff: Backoff::new(options.reconnection_time),
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
            self.state.take_reconnect();
            let (failure, fruitful) = self.attempt();
            // Nor does it report a failure, or wait.
            if self.state.interrupted() {
                continue;
            }
            if !failure.error.is_final() {
                self.reestablish(&failure, fruitful);
            } else if self.fail(&failure) {
                return failure.error;
            }
        }
        log::debug!("{}: closed", loggable(&self.options.url));
        Error::None
    }

    /// One connection, from the request to its end; why it ended, and
    /// whether it brought an event.
    fn attempt(&mut self) -> (Failure, bool) {
        log::debug!("{}: connecting", loggable(&self.url));
        let id = self.parser.last_event_id();
        let opened =
            Connection::open(&self.options, &self.url, id.bytes(), &self.state);
        match opened {
            Ok((response, connection)) => self.announce(response, connection),
            Err(failure) => {
                // A dead node behind a redirect is not asked for ever.
                if !self.state.interrupted() {
                    self.url = self.options.url.clone();
                }
                (failure, false)
            }
        }
    }

    /// § 9.2.3, "announce the connection" (R25), and what follows it.
    fn announce(
        &mut self,
        response: Response,
        mut connection: Connection,
    ) -> (Failure, bool) {
        self.url = response.url.clone();
        if !self.state.open() {
            return (interrupted(), false);
        }
        log::info!("{}: open", loggable(&self.url));
        self.handler.open(&response);
        drop(response);
        self.parser.reset();
        let origin = CString::new(origin(&self.url)).unwrap_or_default();
        let mut dispatch = Dispatch {
            state: &self.state,
            handler: &mut self.handler,
            backoff: &mut self.backoff,
            origin: &origin,
            fruitful: false,
        };
        let failure = connection.read(&self.state, |bytes| {
            self.parser.feed(bytes, |item| dispatch.item(item))
        });
        let fruitful = dispatch.fruitful;
        (failure, fruitful)
    }

    /// § 9.2.3, "reestablish the connection" (R26).
    fn reestablish(&mut self, failure: &Failure, fruitful: bool) {
        if !self.state.connecting() {
            return;
        }
        let wait = self.backoff.next(fruitful);
        log::info!(
            "{}: {failure}; again in {} ms",
            loggable(&self.options.url),
            wait.as_millis()
        );
        self.handler.error(
            failure,
            Outlook { attempt: self.backoff.fruitless(), retry: Some(wait) },
        );
        // A wait longer than the clock can count is one for ever.
        let deadline = Instant::now().checked_add(wait);
        // Interrupted or over: the loop finds out which.
        let _ = self.state.wait(&mut [self.state.entry()], deadline);
    }

    /// § 9.2.3, "fail the connection" (R28); unless the program has wished
    /// otherwise in the meantime.
    pub(crate) fn fail(&mut self, failure: &Failure) -> bool {
        if !self.state.fail() {
            return false;
        }
        log::warn!("{}: {failure}", loggable(&self.options.url));
        let attempt = self.backoff.fruitless().saturating_add(1);
        self.handler.error(failure, Outlook { attempt, retry: None });
        true
    }
}

/// Hands the items of one stream to whom they concern.
struct Dispatch<'a, H> {
    state: &'a State,
    handler: &'a mut H,
    backoff: &'a mut Backoff,
    origin: &'a CStr,
    fruitful: bool,
}

impl<H: Handler> Dispatch<'_, H> {
    fn item(&mut self, item: Item<'_>) -> ControlFlow<()> {
        // R32: what has been parsed is dropped once the source is closed, or
        // asked for again once it is to reconnect.
        if self.state.interrupted() {
            return Break(());
        }
        match item {
            Item::Event(event) => {
                self.fruitful = true;
                if event.sets_last_event_id {
                    self.handler.last_event_id(event.last_event_id);
                }
                self.handler.event(&event, self.origin);
            }
            Item::Comment(comment) => self.handler.comment(comment),
            Item::LastEventId(id) => self.handler.last_event_id(id),
            Item::Retry(time) => self.backoff.set_reconnection_time(time),
            Item::TooLarge => {
                let failure =
                    Failure::new(Error::TooLarge, "event over the size limit");
                let attempt = 0;
                self.handler.error(&failure, Outlook { attempt, retry: None });
            }
        }
        Continue(())
    }
}
