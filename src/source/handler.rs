//! What a source reports, and asks.

use std::ffi::CStr;
use std::time::Duration;

use crate::failure::{Failure, LastFailure, RetryPlan};
use crate::parser::{Event, Shares, Text};
use crate::response::{Response, Verdict};
use crate::settings::attempt::Attempt;
use crate::state::State;

pub(crate) type OnRequest =
    Box<dyn Fn(Attempt, Text<'_>, Option<&LastFailure>) -> Attempt + Send>;
pub(crate) type OnRetry = Box<
    dyn Fn(&Failure, RetryPlan, Text<'_>, Duration) -> Option<Duration> + Send,
>;

pub(crate) type OnResponse = Box<dyn Fn(&Response) -> Verdict + Send>;

/// Receives what a source reports. Methods are called on the source's thread,
/// one at a time, in stream order.
pub(crate) trait Handler: Send {
    /// Called before each attempt. Returns it as it is to be made. `id` is the
    /// last event ID string; `failure` is the one last reported, if the attempt
    /// follows one.
    fn request(
        &mut self,
        attempt: Attempt,
        id: Text<'_>,
        failure: Option<&LastFailure>,
    ) -> Attempt;
    /// Whether [`response`](Handler::response) is to be called.
    fn decides_about_responses(&self) -> bool;
    /// Decides what becomes of a response, redirects included.
    fn response(&mut self, response: &Response) -> Verdict;
    /// Decides what follows a failure: the delay before the next attempt, or
    /// None to give up.
    fn retry(
        &mut self,
        failure: &Failure,
        plan: RetryPlan,
        id: Text<'_>,
        delay: Duration,
    ) -> Option<Duration>;
    /// The connection is announced.
    fn open(&mut self, response: &Response);
    /// An event is dispatched, from `origin`; it may change the last event ID
    /// string.
    fn event(&mut self, event: &Event<'_>, origin: &CStr);
    /// The same, of an event that has something large.
    fn large_event(
        &mut self,
        event: &Event<'_>,
        shares: &Shares<'_>,
        origin: &CStr,
    );
    /// A comment has come, if comments are wanted.
    fn comment(&mut self, comment: Text<'_>, shares: &Shares<'_>);
    /// The last event ID string has changed, without an event: a stream or the
    /// program has set it.
    fn last_event_id(&mut self, id: Text<'_>, shares: &Shares<'_>);
    /// All that a read has brought was dispatched.
    fn flush(&mut self);
    /// A connection was refused or lost; `id` is the last event ID string.
    fn error(&mut self, failure: &Failure, plan: RetryPlan, id: Text<'_>);
    /// An event was dropped.
    fn dropped(&mut self, failure: &Failure);
    /// Whether the program knows all that was reported. If it does not, the
    /// state is signalled when it does.
    fn has_told(&self) -> bool;
    /// Whether nothing more is to be read before there is room for it.
    fn is_full(&self) -> bool;
    /// Whether there is room again. If there is none, the state is signalled
    /// when there is.
    fn has_room(&self) -> bool;
    /// Goes on: there is room.
    fn resume(&mut self);
}

/// The callbacks that decide something: sources with a queue have them, too.
/// Most have none.
#[derive(Default)]
pub(crate) struct Questions(Option<Box<Asked>>);

#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) request: Option<OnRequest>,
    pub(crate) response: Option<OnResponse>,
    pub(crate) retry: Option<OnRetry>,
}

impl Questions {
    /// To be set before the source connects.
    pub(crate) fn set(&mut self) -> &mut Asked {
        self.0.get_or_insert_default()
    }

    fn get<T>(
        &self,
        state: &State,
        question: impl FnOnce(&Asked) -> &Option<T>,
    ) -> Option<&T> {
        let asked = self.0.as_deref()?;
        question(asked).as_ref().filter(|_| !state.closed_by_program())
    }

    /// As [`Handler::request`], unless the program has closed the source.
    pub(crate) fn request(
        &self,
        state: &State,
        attempt: Attempt,
        id: Text<'_>,
        failure: Option<&LastFailure>,
    ) -> Attempt {
        match self.get(state, |it| &it.request) {
            Some(on_request) => on_request(attempt, id, failure),
            None => attempt,
        }
    }

    /// As [`Handler::decides_about_responses`].
    pub(crate) fn decide_about_responses(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| asked.response.is_some())
    }

    /// As [`Handler::response`], unless the program has closed the source.
    pub(crate) fn response(
        &self,
        state: &State,
        response: &Response,
    ) -> Verdict {
        match self.get(state, |it| &it.response) {
            Some(on_response) => on_response(response),
            None => Verdict::Standard,
        }
    }

    /// As [`Handler::retry`], unless the program has closed the source.
    pub(crate) fn retry(
        &self,
        state: &State,
        failure: &Failure,
        plan: RetryPlan,
        id: Text<'_>,
        delay: Duration,
    ) -> Option<Duration> {
        match self.get(state, |it| &it.retry) {
            Some(on_retry) => on_retry(failure, plan, id, delay),
            None => plan.delay,
        }
    }
}
