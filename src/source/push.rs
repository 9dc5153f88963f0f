//! Callbacks: what a source reports goes to the program at once, on the
//! source's thread.

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use crate::failure::{Failure, LastFailure, RetryPlan};
use crate::parser::{Event, Shares, Text};
use crate::response::{Response, Verdict};
use crate::settings::attempt::Attempt;
use crate::source::handler::{Handler, Questions};
use crate::source::listeners::{OnEvent, Snapshot};
use crate::source::shared::Shared;

pub(crate) type OnOpen = Box<dyn Fn(&Response) + Send>;
pub(crate) type OnError = Box<dyn Fn(&Failure, RetryPlan, Text<'_>) + Send>;
pub(crate) type OnComment = Box<dyn Fn(Text<'_>) + Send>;

/// The callbacks that report what has happened. A queue replaces them.
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) open: Option<OnOpen>,
    pub(crate) event: Option<OnEvent>,
    pub(crate) error: Option<OnError>,
    pub(crate) comment: Option<OnComment>,
}

impl Callbacks {
    /// Whether none is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none()
            && self.event.is_none()
            && self.error.is_none()
            && self.comment.is_none()
    }
}

/// Calls back.
pub(crate) struct PushHandler {
    shared: Arc<Shared>,
    callbacks: Box<Callbacks>,
    questions: Questions,
    listeners: Snapshot,
}

impl PushHandler {
    pub(crate) fn new(
        shared: Arc<Shared>,
        callbacks: Box<Callbacks>,
        questions: Questions,
    ) -> PushHandler {
        let listeners = Snapshot::default();
        PushHandler { shared, callbacks, questions, listeners }
    }

    /// Whether the program has closed the source: no callback begins. One that
    /// has failed still reports its failure.
    fn is_closed(&self) -> bool {
        self.shared.state.closed_by_program()
    }

    /// Dispatches `event` to all that concerns it.
    // Not a part of the loop over the lines of the stream.
    #[inline(never)]
    fn dispatch(
        &mut self,
        event: &Event<'_>,
        shares: &Shares<'_>,
        origin: &CStr,
    ) {
        if event.sets_last_event_id {
            let (id, shared) = (event.last_event_id, shares.last_event_id);
            self.shared.take_last_event_id(id, shared);
        }
        // A listener added from here on waits for the next event.
        self.listeners.update(&self.shared.listeners);
        if let Some(on_event) = &self.callbacks.event {
            on_event(event, origin);
        }
        for listener in self.listeners.of(event, &self.shared.listeners) {
            // A callback before may have closed the source, or asked for a
            // new connection: what is left of this one is dropped (R32).
            if self.shared.state.interrupted() {
                return;
            }
            listener.call(event, origin);
        }
    }
}

impl Handler for PushHandler {
    fn request(
        &mut self,
        attempt: Attempt,
        id: Text<'_>,
        failure: Option<&LastFailure>,
    ) -> Attempt {
        let state = &self.shared.state;
        self.questions.request(state, attempt, id, failure)
    }

    fn decides_about_responses(&self) -> bool {
        self.questions.decide_about_responses()
    }

    fn response(&mut self, response: &Response) -> Verdict {
        self.questions.response(&self.shared.state, response)
    }

    fn retry(
        &mut self,
        failure: &Failure,
        plan: RetryPlan,
        id: Text<'_>,
        delay: Duration,
    ) -> Option<Duration> {
        self.questions.retry(&self.shared.state, failure, plan, id, delay)
    }

    fn open(&mut self, response: &Response) {
        if let Some(on_open) = &self.callbacks.open
            && !self.is_closed()
        {
            on_open(response);
        }
    }

    #[inline]
    fn event(&mut self, event: &Event<'_>, origin: &CStr) {
        // Most sources have no listeners, and most events no new id. This is
        // the way of an event in a flood: no lock, no copy, one call.
        let only_on_event =
            self.listeners.is_empty_as_of(&self.shared.listeners)
                && !event.sets_last_event_id;
        match &self.callbacks.event {
            Some(on_event) if only_on_event => on_event(event, origin),
            _ => self.dispatch(event, &Shares::default(), origin),
        }
    }

    fn large_event(
        &mut self,
        event: &Event<'_>,
        shares: &Shares<'_>,
        origin: &CStr,
    ) {
        self.dispatch(event, shares, origin);
    }

    fn comment(&mut self, comment: Text<'_>, _: &Shares<'_>) {
        if let Some(on_comment) = &self.callbacks.comment {
            on_comment(comment);
        }
    }

    fn last_event_id(&mut self, id: Text<'_>, shares: &Shares<'_>) {
        self.shared.take_last_event_id(id, shares.last_event_id);
    }

    fn flush(&mut self) {
        // Nothing is kept back.
    }

    fn error(&mut self, failure: &Failure, plan: RetryPlan, id: Text<'_>) {
        self.shared.note_failure(failure.error, plan);
        if let Some(on_error) = &self.callbacks.error
            && !self.is_closed()
        {
            on_error(failure, plan, id);
        }
    }

    fn dropped(&mut self, failure: &Failure) {
        // The parser, which is at work, has it; but this is what was told.
        let id = self.shared.last_event_id();
        self.error(failure, RetryPlan::NONE, id.text());
    }

    fn has_told(&self) -> bool {
        true
    }

    fn is_full(&self) -> bool {
        false
    }

    fn has_room(&self) -> bool {
        true
    }

    fn resume(&mut self) {
        // Never full.
    }
}
