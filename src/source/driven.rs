//! The life of a source that a loop drives: its steps, a turn at a time.
//! `driver.rs` is the same for a source with a thread of its own.

use std::io;
use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::failure::{Failure, NoConnection};
use crate::http::connection::Network;
#[cfg(feature = "http2")]
use crate::http::connection::Pieces;
#[cfg(feature = "http2")]
use crate::http::line;
use crate::http::opening::{Opening, Stop};
use crate::source::event_loop::{After, Hands, Why};
use crate::source::handler::Handler;
use crate::source::life::{Next, Source};
#[cfg(feature = "http2")]
use crate::source::lines::{Data, News};
use crate::source::pace::Pace;
#[cfg(feature = "http2")]
use crate::source::post::Ticket;
#[cfg(feature = "http2")]
use crate::source::ride::{Onward, Ride, Way};
use crate::source::workers;
use crate::sync::lock;
use crate::wait::{Interrupt, Recall};

/// A source, and what it waits for.
pub(crate) struct Driven<H> {
    source: Source<H>,
    stage: Stage,
    pace: Pace,
    /// Its place on a connection that is shared: kept while it waits to come
    /// back.
    #[cfg(feature = "http2")]
    ticket: Option<Ticket>,
    /// What has come of that while the queue was full, or what came before it
    /// was being decoded.
    #[cfg(feature = "http2")]
    held: Option<Box<Held>>,
}

/// What waits for room in the queue, or for what came before it.
#[cfg(feature = "http2")]
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    /// How much of it has been used.
    used: usize,
    /// How the stream has ended behind it.
    ending: Option<Result<(), Failure>>,
}

enum Stage {
    /// Nothing has been done yet.
    New,
    /// For room for an attempt.
    InLine,
    Opening(Arc<Attempt>),
    #[cfg(feature = "http2")]
    Riding(Box<Ride>),
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
        Driven {
            source,
            stage: Stage::New,
            pace: Pace::default(),
            #[cfg(feature = "http2")]
            ticket: None,
            #[cfg(feature = "http2")]
            held: None,
        }
    }

    pub(crate) fn turn(&mut self, why: Why, hands: &mut Hands<'_>) -> After {
        let source = &mut self.source;
        let next = match (&self.stage, why) {
            (Stage::New, _) => Some(source.begin()),
            (Stage::InLine, Why::Room) => Some(source.attempt()),
            (Stage::InLine, _) if !source.is_closed() => {
                // A reconnect is satisfied by the attempt that it waits for.
                return After::AsBefore;
            }
            (Stage::Reading, Why::Readable) => {
                let next = self.read(hands);
                #[cfg(feature = "http2")]
                let next = self.catch_up(next, hands);
                next
            }
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
                source.opened(opened)
            }
            #[cfg(feature = "http2")]
            (Stage::Riding(_), Why::Due) => {
                return self.ride(hands, |ride, way| ride.due(way));
            }
            (Stage::Reading, Why::Due) => {
                #[cfg(feature = "http2")]
                if let Some(ticket) = &self.ticket {
                    hands.lines.ping(ticket.line);
                }
                Some(source.silent())
            }
            (Stage::Waiting, Why::Due) => Some(source.due()),
            (Stage::Telling, _) if source.has_told() => Some(source.begin()),
            (Stage::Full, _) if source.has_room() => {
                let next = source.resumed();
                #[cfg(feature = "http2")]
                let next = self.catch_up(next, hands);
                next
            }
            // A signal for something that is over, or that is awaited still.
            _ => return After::AsBefore,
        };
        self.follow(next, hands)
    }

    /// Reads once: the other sources of the loop have their turns, too.
    fn read(&mut self, hands: &mut Hands<'_>) -> Option<Next> {
        let start = self.pace.begin();
        let buffer = &mut hands.buffer()[..self.pace.budget()];
        let next = self.source.readable(Network::now(buffer));
        self.pace.end(start, next.is_none());
        next
    }

    /// Does what a step wants, up to the next wait.
    fn follow(&mut self, next: Option<Next>, hands: &mut Hands<'_>) -> After {
        let mut next = next.or_else(|| self.source.read_on());
        loop {
            next = match next {
                Some(Next::Attempt) if self.has_room(hands) => {
                    Some(self.source.attempt())
                }
                Some(Next::Attempt) => {
                    #[cfg(feature = "http2")]
                    self.leave_stream(hands);
                    self.stage = Stage::InLine;
                    hands.line_up();
                    return After::Wait(None);
                }
                None => {
                    self.stage = Stage::Reading;
                    return After::More;
                }
                Some(Next::Open(opening)) => match self.open(opening, hands) {
                    Ok(after) => return after,
                    Err(next) => next,
                },
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
                    #[cfg(feature = "http2")]
                    self.leave_stream(hands);
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

    /// Whether there is room for an attempt.
    fn has_room(&self, hands: &Hands<'_>) -> bool {
        // Over a connection that is shared it takes none.
        #[cfg(feature = "http2")]
        if self.ticket.is_some() {
            return true;
        }
        hands.has_room()
    }

    /// Has the attempt made; if it is over already, what follows.
    #[cfg(not(feature = "http2"))]
    fn open(
        &mut self,
        opening: Box<Opening>,
        hands: &mut Hands<'_>,
    ) -> Result<After, Option<Next>> {
        self.stage = Stage::Opening(submit(opening, hands));
        Ok(After::Wait(None))
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

/// What goes over connections that are shared.
#[cfg(feature = "http2")]
impl<H: Handler> Driven<H> {
    /// Something has happened there.
    pub(crate) fn told(
        &mut self,
        news: News<'_, '_>,
        hands: &mut Hands<'_>,
    ) -> After {
        if let News::End | News::Reset { .. } | News::Lost(_) = &news
            && let Some(ticket) = &mut self.ticket
        {
            ticket.stream = None;
        }
        let is_behind = self.is_behind();
        let source = &mut self.source;
        let next = match (&self.stage, news) {
            // For what it has waited for before.
            (Stage::InLine, _) => return After::AsBefore,
            (Stage::Reading, News::Data(data)) if !is_behind => {
                self.take_in(data, hands)
            }
            (_, _) if source.is_interrupted() => Some(source.begin()),
            (_, News::Data(data)) if is_behind => match self.hold(data) {
                Ok(()) => return After::AsBefore,
                Err(failure) => Some(self.source.told(Err(failure))),
            },
            (_, news) if is_behind => {
                self.held.get_or_insert_default().ending = ending(news);
                return After::AsBefore;
            }
            (Stage::Reading, news) => match ending(news) {
                Some(ending) => Some(source.told(ending)),
                None => return After::AsBefore,
            },
            (Stage::Riding(_), news) => {
                return self.ride(hands, |ride, way| ride.told(news, way));
            }
            _ => return After::AsBefore,
        };
        self.follow(next, hands)
    }

    fn take_in(
        &mut self,
        data: Data<'_, '_>,
        hands: &mut Hands<'_>,
    ) -> Option<Next> {
        self.source.readable(Pieces(data.pieces(hands.lines)))
    }

    /// Whether what comes has to wait.
    fn is_behind(&self) -> bool {
        match self.stage {
            Stage::Full => true,
            Stage::Reading => self.held.is_some() || self.source.holds_more(),
            _ => false,
        }
    }

    /// Keeps what has to wait: one window at most, as no more is asked for.
    fn hold(&mut self, data: Data<'_, '_>) -> Result<(), Failure> {
        let held = self.held.get_or_insert_default();
        let bytes = data.into_first();
        held.bytes.try_reserve(bytes.len()).map_err(|_| {
            Failure::new(Error::System, "no memory for the stream")
        })?;
        held.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Goes on to what was held, if nothing is left of what came before it.
    fn catch_up(
        &mut self,
        next: Option<Next>,
        hands: &mut Hands<'_>,
    ) -> Option<Next> {
        let next = next.or_else(|| self.source.read_on());
        match self.held.take_if(|_| matches!(next, Some(Next::Read(_)))) {
            Some(held) => self.use_held(held, hands),
            None => next,
        }
    }

    /// There may be room for some of what was held.
    fn use_held(
        &mut self,
        mut held: Box<Held>,
        hands: &mut Hands<'_>,
    ) -> Option<Next> {
        while held.used < held.bytes.len() {
            let left = held.bytes.len() - held.used;
            let length = left.min(Pace::MOST);
            let piece = &mut held.bytes[held.used..][..length];
            let mut piece = Some(piece);
            let next = self.source.readable(Pieces(|| piece.take()));
            held.used += length;
            if let Some(ticket) = &self.ticket {
                hands.lines.consumed(ticket, length);
            }
            match next {
                Some(Next::Read(_)) => {}
                None | Some(Next::Room) => {
                    self.held = Some(held);
                    return next;
                }
                over => return over,
            }
        }
        match held.ending {
            Some(ending) => Some(self.source.told(ending)),
            None => self.source.read_on(),
        }
    }

    /// Has the attempt made, over a connection that is shared if there is one
    /// or can be; if it is over already, what follows.
    fn open(
        &mut self,
        opening: Box<Opening>,
        hands: &mut Hands<'_>,
    ) -> Result<After, Option<Next>> {
        // What it waited for before is given up first.
        self.stage = Stage::New;
        self.held = None;
        let mut way = self.way(hands);
        let onward = Ride::begin(opening, &mut way);
        self.go_on(onward, hands)
    }

    fn way<'a>(&'a mut self, hands: &'a mut Hands<'_>) -> Way<'a> {
        let Hands { lines, workers, token, .. } = hands;
        Way { lines, workers, token: *token, ticket: &mut self.ticket }
    }

    /// Takes a step of the ride that is under way.
    fn ride(
        &mut self,
        hands: &mut Hands<'_>,
        step: impl FnOnce(Box<Ride>, &mut Way<'_>) -> Onward,
    ) -> After {
        let stage = std::mem::replace(&mut self.stage, Stage::New);
        let Stage::Riding(ride) = stage else {
            unreachable!("a ride is under way")
        };
        let onward = step(ride, &mut self.way(hands));
        match self.go_on(onward, hands) {
            Ok(after) => after,
            Err(next) => self.follow(next, hands),
        }
    }

    fn go_on(
        &mut self,
        onward: Onward,
        hands: &mut Hands<'_>,
    ) -> Result<After, Option<Next>> {
        match onward {
            Onward::Wait(ride, deadline) => {
                self.stage = Stage::Riding(ride);
                Ok(After::Wait(deadline))
            }
            Onward::AsBefore(ride) => {
                self.stage = Stage::Riding(ride);
                Ok(After::AsBefore)
            }
            Onward::Alone(opening) => {
                self.leave_stream(hands);
                self.ticket = None;
                self.stage = Stage::Opening(submit(opening, hands));
                Ok(After::Wait(None))
            }
            Onward::Over(result) => {
                if result.is_err() {
                    self.leave_stream(hands);
                }
                Err(self.source.opened(result))
            }
        }
    }

    /// The stream, if there is one, is wanted no more.
    fn leave_stream(&mut self, hands: &mut Hands<'_>) {
        self.held = None;
        self.way(hands).leave_stream();
    }
}

/// How a stream has ended, if it has.
#[cfg(feature = "http2")]
fn ending(news: News<'_, '_>) -> Option<Result<(), Failure>> {
    match news {
        News::End => Some(Ok(())),
        News::Reset { code, why, .. } => Some(Err(line::reset(code, why))),
        News::Lost(failure) => Some(Err(failure)),
        _ => None,
    }
}

/// Has a worker make the attempt.
fn submit(mut opening: Box<Opening>, hands: &Hands<'_>) -> Arc<Attempt> {
    let attempt = Arc::new(Attempt::default());
    let recall = attempt.recall.clone();
    opening.interrupt = recall.clone();
    let (own, bell) = (attempt.clone(), hands.bell());
    hands.submit(Box::new(move |thread: io::Result<()>| {
        if recall.is_raised() {
            return;
        }
        let opened = workers::run(thread, &recall, || opening.run());
        *lock(&own.opened) = Some(opened);
        bell.ring();
    }));
    attempt
}
