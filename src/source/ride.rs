//! An attempt whose request goes over a connection that is shared: no thread
//! waits for it.

use std::time::Instant;

use http::header::HOST;

use crate::credentials::Credentials;
use crate::error::Error;
use crate::failure::{Excerpt, Failure, NoConnection};
use crate::http::exchange::{self, Rest};
use crate::http::line;
use crate::http::opening::{Answered, Excerpting, Judged, Opening, Stop};
use crate::http2::Head;
use crate::net::tls::Alpn;
use crate::response::{Response, Verdict};
use crate::settings::version::HttpVersion;
use crate::source::lines::{Lines, News, Place};
use crate::source::post::{Ticket, Waiting};
use crate::source::workers::Workers;
use crate::wait::deadline;

/// What a ride has the use of.
pub(crate) struct Way<'a> {
    pub(crate) lines: &'a mut Lines,
    pub(crate) workers: &'a Workers,
    /// By which the source is told.
    pub(crate) token: u64,
    pub(crate) ticket: &'a mut Option<Ticket>,
}

/// An attempt that is under way.
pub(crate) struct Ride {
    opening: Box<Opening>,
    /// Whether the server may see what is meant for it alone.
    own: Credentials,
    stage: Stage,
}

enum Stage {
    /// For a connection.
    Waiting(Waiting),
    /// For the head of the response.
    Asked,
    /// For what a response says that is no event stream.
    Refused(Box<(Failure, Response, Excerpting)>),
}

/// What follows.
#[expect(clippy::large_enum_variant, reason = "it lives on the stack")]
pub(crate) enum Onward {
    /// It goes on; at this time it is due.
    Wait(Box<Ride>, Option<Instant>),
    /// It goes on, and is due when it was.
    AsBefore(Box<Ride>),
    /// It is for a worker, over a connection of its own.
    Alone(Box<Opening>),
    Over(Result<Stop, NoConnection>),
}

impl Way<'_> {
    /// The stream, if there is one, is wanted no more.
    pub(crate) fn leave_stream(&mut self) {
        if let Some(ticket) = self.ticket
            && let Some(stream) = ticket.stream.take()
        {
            self.lines.cancel(ticket.line, stream);
        }
    }
}

impl Ride {
    /// Asks over a connection that is there, or waits for one.
    pub(crate) fn begin(opening: Box<Opening>, way: &mut Way<'_>) -> Onward {
        Ride::board(opening, None, way)
    }

    /// The same, after it has waited.
    fn board(
        mut opening: Box<Opening>,
        waiting: Option<Waiting>,
        way: &mut Way<'_>,
    ) -> Onward {
        if let Some((response, verdict)) = opening.take_decided() {
            return Ride::judge(opening, response, verdict, way);
        }
        way.leave_stream();
        if !opening.may_share() {
            return Onward::Alone(opening);
        }
        let body = opening.request.shared_body();
        let (mut request, route) = opening.prepare();
        let spoken = route.turns.spoken(|| route.url.origin());
        if !exchange::can_be_shared(&route) || spoken == Some(Alpn::Http1) {
            return Onward::Alone(opening);
        }
        let own = route.client_certificate;
        let before = way.ticket.as_ref().map(|ticket| ticket.line);
        match way.lines.find(&route, before) {
            Place::Http1 if spoken.is_none() => return Onward::Alone(opening),
            Place::Line(line) => {
                let host = || exchange::host(&route.url);
                request.headers_mut().entry(HOST).or_insert_with(host);
                if before != Some(line) {
                    *way.ticket = Some(way.lines.board(line));
                }
                let ticket = way.ticket.as_mut().expect("boarded");
                let Way { lines, token, .. } = way;
                if lines.ask(ticket, *token, &request, &route.url, body) {
                    let deadline = deadline(opening.options.response_timeout);
                    let stage = Stage::Asked;
                    let ride = Ride { opening, own, stage };
                    return Onward::Wait(Box::new(ride), deadline);
                }
            }
            Place::Http1 | Place::Nowhere => {}
        }
        let timeout = route.connect_timeout;
        let Way { lines, workers, token, .. } = way;
        let (waiting, dials) = lines.wait(route, waiting, *token, workers);
        // Whoever connects for it knows the same deadline.
        let deadline = deadline(timeout.filter(|_| !dials));
        let stage = Stage::Waiting(waiting);
        Onward::Wait(Box::new(Ride { opening, own, stage }), deadline)
    }

    /// Something has happened on the connection.
    pub(crate) fn told(
        mut self: Box<Self>,
        news: News<'_, '_>,
        way: &mut Way<'_>,
    ) -> Onward {
        let opening = &mut self.opening;
        match (&mut self.stage, news) {
            (Stage::Waiting(_), News::Http1(dialled)) => {
                opening.course.dialled = dialled.take();
                Onward::Alone(self.opening)
            }
            (Stage::Waiting(_), News::Look) => {
                let Ride { opening, stage, .. } = *self;
                let Stage::Waiting(waiting) = stage else { unreachable!() };
                Ride::board(opening, Some(waiting), way)
            }
            (Stage::Waiting(_), News::NotOpened(failure)) => {
                Onward::Over(Err(failure.into()))
            }
            (Stage::Asked, News::Head(head)) => (*self).head(head, way),
            (Stage::Asked, News::Lost(failure)) => {
                opening.turns.fail();
                Onward::Over(Err(failure.into()))
            }
            (Stage::Asked, News::Reset { code, why, is_unprocessed }) => {
                if line::wants_http1(code, why) {
                    return (*self).http1(way);
                }
                // What the server has not looked at is asked for once more.
                if is_unprocessed && !opening.course.is_repeated {
                    opening.course.is_repeated = true;
                    return Ride::begin(self.opening, way);
                }
                let failure = line::refused(code, why);
                Onward::Over(Err(failure.into()))
            }
            (Stage::Refused(refused), News::Data(data)) => {
                let mut pieces = data.pieces(way.lines);
                while let Some(piece) = pieces() {
                    if !refused.2.take(piece) {
                        return (*self).finish(false);
                    }
                }
                let deadline = refused.2.deadline();
                Onward::Wait(self, deadline)
            }
            (Stage::Refused(_), News::End) => (*self).finish(true),
            (Stage::Refused(_), News::Reset { .. } | News::Lost(_)) => {
                (*self).finish(false)
            }
            _ => Onward::AsBefore(self),
        }
    }

    fn head(mut self, head: Head, way: &mut Way<'_>) -> Onward {
        /// The server has nothing to say about that origin over a connection
        /// that others have, too (RFC 9110, 15.5.20).
        const MISDIRECTED: u16 = 421;

        let head = match line::read_head(head) {
            Ok(head) => head,
            Err(failure) => return Onward::Over(Err(failure.into())),
        };
        if head.status == MISDIRECTED {
            self.opening.course.is_alone = true;
            return Onward::Alone(self.opening);
        }
        let response = self.opening.response(head, self.own);
        if self.opening.asks {
            let opening = *self.opening;
            let rest = Rest::Shared;
            let answered = Answered { opening, response, rest };
            return Onward::Over(Ok(Stop::Answered(Box::new(answered))));
        }
        Ride::judge(self.opening, response, Verdict::Standard, way)
    }

    fn judge(
        mut opening: Box<Opening>,
        response: Response,
        verdict: Verdict,
        way: &mut Way<'_>,
    ) -> Onward {
        match opening.judge(response, Rest::Shared, verdict) {
            Err(none) => Onward::Over(Err(none)),
            Ok(Judged::Redirected) => Ride::begin(opening, way),
            Ok(Judged::Opened(opened)) => {
                Onward::Over(Ok(Stop::Opened(opened)))
            }
            Ok(Judged::Refused(failure, response, _)) => {
                match opening.excerpt_of(&response) {
                    Ok(excerpting) => {
                        let deadline = excerpting.deadline();
                        let refused = (failure, response, excerpting);
                        let stage = Stage::Refused(Box::new(refused));
                        let own = Credentials::Withhold;
                        let ride = Ride { opening, own, stage };
                        Onward::Wait(Box::new(ride), deadline)
                    }
                    Err(excerpt) => refused(failure, response, excerpt),
                }
            }
        }
    }

    /// The server wants to be asked over HTTP/1.1.
    fn http1(self, way: &mut Way<'_>) -> Onward {
        let Ride { opening, .. } = self;
        if opening.options.http_version == HttpVersion::_2 {
            return Onward::Over(Err(line::http1_required().into()));
        }
        if let Some(ticket) = way.ticket {
            way.lines.speaks_http1(ticket.line);
        }
        opening.turns.speaks(opening.url.origin(), Alpn::Http1);
        Onward::Alone(opening)
    }

    /// The time has come.
    pub(crate) fn due(self: Box<Self>, way: &mut Way<'_>) -> Onward {
        let message = match &self.stage {
            Stage::Waiting(_) => "no connection in time",
            Stage::Asked => {
                // The time for the response begins when the request has gone.
                let ticket = way.ticket.as_ref();
                let sent = ticket.and_then(|it| way.lines.has_sent(it));
                let timeout = self.opening.options.response_timeout;
                let end = sent.zip(timeout);
                let end = end.and_then(|(sent, time)| sent.checked_add(time));
                if end.is_some_and(|end| end > Instant::now()) {
                    return Onward::Wait(self, end);
                }
                self.opening.turns.fail();
                "no response in time"
            }
            Stage::Refused(_) => return (*self).finish(false),
        };
        let failure = Failure::new(Error::Timeout, message);
        Onward::Over(Err(failure.into()))
    }

    /// A refused response has said what it had to say, or is not waited for.
    fn finish(self, has_ended: bool) -> Onward {
        let Stage::Refused(refusal) = self.stage else {
            unreachable!("a response that was refused")
        };
        let (failure, response, excerpting) = *refusal;
        refused(failure, response, excerpting.finish(has_ended))
    }
}

fn refused(mut failure: Failure, response: Response, body: Excerpt) -> Onward {
    failure.body = body;
    Onward::Over(Err(failure.with(response).into()))
}
