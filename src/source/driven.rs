//! The life of a source that a loop drives: its steps, a turn at a time.
//! `driver.rs` is the same for a source with a thread of its own.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::failure::{Failure, NoConnection, in_words};
use crate::http::opening::{Opening, Stop};
use crate::panic::catch;
use crate::source::event_loop::{After, Hands, Why};
use crate::source::handler::Handler;
use crate::source::life::{Next, Source};
use crate::sync::lock;
use crate::wait::{Interrupt, Recall};

/// A source, and what it waits for.
pub(crate) struct Driven<H> {
    source: Source<H>,
    stage: Stage,
    pace: Pace,
}

enum Stage {
    /// Nothing has been done yet.
    New,
    Opening(Arc<Attempt>),
    Reading,
    /// For room in the queue.
    Full,
    Waiting,
    Telling,
}

/// An attempt in the hands of a worker.
#[derive(Default)]
struct Attempt {
    recall: Arc<Recall>,
    opened: Mutex<Option<Result<Stop, NoConnection>>>,
}

impl<H: Handler> Driven<H> {
    pub(crate) fn new(source: Source<H>) -> Driven<H> {
        Driven { source, stage: Stage::New, pace: Pace::default() }
    }

    pub(crate) fn turn(&mut self, why: Why, hands: &mut Hands<'_>) -> After {
        let source = &mut self.source;
        let next = match (&self.stage, why) {
            (Stage::New, _) => Some(source.begin()),
            (Stage::Reading, Why::Readable) => self.read(hands),
            (Stage::Opening(attempt), _) if source.is_interrupted() => {
                // Left to its worker, and its answer is dropped.
                attempt.recall.raise();
                Some(source.begin())
            }
            _ if source.is_interrupted() => Some(source.begin()),
            (Stage::Opening(attempt), _) => {
                let Some(opened) = lock(&attempt.opened).take() else {
                    return After::AsBefore;
                };
                Some(source.opened(opened))
            }
            (Stage::Reading, Why::Due) => Some(source.silent()),
            (Stage::Waiting, Why::Due) => Some(source.due()),
            (Stage::Telling, _) if source.has_told() => Some(source.begin()),
            (Stage::Full, _) if source.has_room() => source.resumed(),
            // A signal for something that is over, or that is awaited still.
            _ => return After::AsBefore,
        };
        self.follow(next, hands)
    }

    /// Reads once: the other sources of the loop have their turns, too.
    fn read(&mut self, hands: &mut Hands<'_>) -> Option<Next> {
        let start = self.pace.begin();
        let buffer = &mut hands.buffer()[..self.pace.budget];
        let next = self.source.readable(buffer);
        self.pace.end(start, next.is_none());
        next
    }

    /// Does what a step wants, up to the next wait.
    fn follow(&mut self, next: Option<Next>, hands: &mut Hands<'_>) -> After {
        let mut next = next.or_else(|| self.source.read_on());
        loop {
            next = match next {
                None => {
                    self.stage = Stage::Reading;
                    return After::More;
                }
                Some(Next::Open(opening)) => {
                    self.stage = Stage::Opening(submit(opening, hands));
                    return After::Wait(None);
                }
                Some(Next::NotMade(failure)) => {
                    Some(self.source.not_made(*failure))
                }
                Some(Next::Read(deadline)) => {
                    self.stage = Stage::Reading;
                    match self.source.register(hands.epoll, hands.token) {
                        Ok(()) => return After::Wait(deadline),
                        Err(cause) => Some(self.source.broken(&cause)),
                    }
                }
                Some(Next::Room) => {
                    self.source.deregister();
                    self.stage = Stage::Full;
                    return After::Wait(None);
                }
                Some(Next::Wait(deadline)) => {
                    self.stage = Stage::Waiting;
                    return After::Wait(deadline);
                }
                Some(Next::Tell) => {
                    self.stage = Stage::Telling;
                    return After::Wait(None);
                }
                Some(Next::Over(reason)) => return After::Over(reason),
            };
        }
    }

    /// A turn has panicked.
    pub(crate) fn broken(&mut self) -> Error {
        let defect = Failure::new(Error::Internal, "defect of the library");
        drop(self.source.fail(&defect));
        Error::Internal
    }
}

impl<H> Drop for Driven<H> {
    fn drop(&mut self) {
        if let Stage::Opening(attempt) = &self.stage {
            attempt.recall.raise();
        }
    }
}

/// Has a worker make the attempt.
fn submit(mut opening: Box<Opening>, hands: &Hands<'_>) -> Arc<Attempt> {
    let attempt = Arc::new(Attempt::default());
    let recall = attempt.recall.clone();
    opening.interrupt = recall.clone();
    let (own, bell) = (attempt.clone(), hands.bell.clone());
    hands.submit(Box::new(move |thread: io::Result<()>| {
        if recall.is_raised() {
            return;
        }
        // It has a descriptor only while it is under way.
        let opened = match thread.and_then(|()| recall.arm()) {
            Ok(()) => catch(|| opening.run()).unwrap_or_else(|| {
                let message = "defect of the library";
                Err(Failure::new(Error::Internal, message).into())
            }),
            Err(cause) => {
                let why = in_words(&cause);
                let message = format!("no thread or descriptor: {why}");
                Err(Failure::new(Error::System, message).into())
            }
        };
        *lock(&own.opened) = Some(opened);
        bell.ring();
    }));
    attempt
}

/// How much is read at once. What the server has sent says little about the
/// time that callbacks take for it, and the other sources wait as long.
struct Pace {
    budget: usize,
    /// The last read has left something, and so has brought much.
    is_busy: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { budget: Pace::MOST, is_busy: false }
    }
}

impl Pace {
    const MOST: usize = 64 * 1024;
    const LEAST: usize = 4 * 1024;
    /// A turn that takes longer is shorter the next time.
    const LONG: Duration = Duration::from_millis(2);

    /// A short read is not worth looking at the clock.
    fn begin(&self) -> Option<Instant> {
        let watched = self.is_busy || self.budget < Pace::MOST;
        watched.then(Instant::now)
    }

    fn end(&mut self, start: Option<Instant>, is_busy: bool) {
        self.is_busy = is_busy;
        let Some(start) = start else { return };
        let budget = match start.elapsed() {
            time if time > Pace::LONG => self.budget / 2,
            time if time < Pace::LONG / 4 => self.budget * 2,
            _ => self.budget,
        };
        self.budget = budget.clamp(Pace::LEAST, Pace::MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_callbacks_get_less_at_once() {
        let long_ago = || Instant::now() - Pace::LONG * 2;
        let mut pace = Pace::default();
        assert!(pace.begin().is_none(), "nothing is known yet");
        pace.end(None, true);
        assert!(pace.begin().is_some());
        for _ in 0..10 {
            pace.end(Some(long_ago()), true);
        }
        assert_eq!(pace.budget, Pace::LEAST);
        assert!(pace.begin().is_some());
        for _ in 0..10 {
            pace.end(Some(Instant::now()), false);
        }
        assert_eq!(pace.budget, Pace::MOST);
        assert!(pace.begin().is_none());
    }
}
