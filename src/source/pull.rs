//! Pull mode: what a source reports goes into the queue. A thread of the
//! source's own waits while the queue is full; one that has other sources, too,
//! puts the rest of what was read beside it, and reads no more.

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::failure::{Failure, LastFailure, RetryPlan};
use crate::parser::{Event, Shares, Text};
use crate::response::{Response, Verdict};
use crate::settings::attempt::Attempt;
use crate::source::driver;
use crate::source::handler::{Handler, Questions};
use crate::source::queue::Writer;
use crate::source::shared::Shared;

/// Fills the queue. Only `on_request`, `on_response` and `on_retry` are asked
/// here: they decide something before the program could take an item.
pub(crate) struct PullHandler {
    shared: Arc<Shared>,
    questions: Questions,
    queue: Writer,
    /// Whether the thread may wait for room.
    may_wait: bool,
}

impl PullHandler {
    pub(crate) fn new(
        shared: Arc<Shared>,
        questions: Questions,
        queue: Writer,
        may_wait: bool,
    ) -> PullHandler {
        PullHandler { shared, questions, queue, may_wait }
    }

    /// What has come has no room in memory beside what waits already.
    #[cold]
    fn no_memory(&mut self) {
        self.shared.stats.dropped.add(1);
        let failure = Failure::new(Error::TooLarge, "no memory for an event");
        self.queue.error(&failure, RetryPlan::NONE);
    }

    /// After each item: while the queue is full, nothing more is parsed.
    #[inline]
    fn wait_for_room(&mut self) {
        while self.queue.is_full() && self.may_wait {
            self.sleep_until_there_is_room();
        }
    }

    #[cold]
    fn sleep_until_there_is_room(&mut self) {
        driver::wait_for_room(&self.shared.state, &mut self.queue);
    }
}

impl Handler for PullHandler {
    fn request(
        &mut self,
        attempt: Attempt,
        id: Text<'_>,
        failure: Option<&LastFailure>,
    ) -> Attempt {
        // So that items of a connection that the program has given up can be
        // told from those of the attempt that begins here.
        self.queue.set_reconnects(self.shared.reconnects());
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
        self.queue.open(response);
        self.wait_for_room();
    }

    #[inline(always)]
    fn event(&mut self, event: &Event<'_>, origin: &CStr) {
        if !self.queue.event(event, origin) {
            self.no_memory();
        }
        self.wait_for_room();
    }

    fn large_event(
        &mut self,
        event: &Event<'_>,
        shares: &Shares<'_>,
        origin: &CStr,
    ) {
        if !self.queue.new_event(event, shares, origin) {
            self.no_memory();
        }
        self.wait_for_room();
    }

    fn comment(&mut self, comment: Text<'_>, shares: &Shares<'_>) {
        if !self.queue.comment(comment, shares) {
            self.no_memory();
        }
        self.wait_for_room();
    }

    fn last_event_id(&mut self, id: Text<'_>, shares: &Shares<'_>) {
        self.queue.last_event_id(id, shares);
    }

    fn flush(&mut self) {
        self.queue.hand_over();
        self.wait_for_room();
    }

    fn error(&mut self, failure: &Failure, plan: RetryPlan, _: Text<'_>) {
        self.shared.note_failure(failure.error, plan);
        self.queue.error(failure, plan);
        self.wait_for_room();
    }

    fn dropped(&mut self, failure: &Failure) {
        self.queue.error(failure, RetryPlan::NONE);
        self.wait_for_room();
    }

    fn has_told(&self) -> bool {
        self.queue.is_taken()
    }

    fn is_full(&self) -> bool {
        self.queue.is_full()
    }

    fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    fn resume(&mut self) {
        self.queue.resume();
    }
}
