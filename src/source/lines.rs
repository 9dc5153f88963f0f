//! The connections over HTTP/2 that the sources of a loop share.
//!
//! Sources that go to the same server in the same way are a group. Its first
//! attempt has a worker connect; the others wait for that. A server that speaks
//! HTTP/1.1 has each connect for itself from there on. Over HTTP/2 each stream
//! is a request on a connection that is there; when the server takes no more of
//! them, another connection is made. One that takes none any more goes on for as
//! long as its streams do. The thread that drives the loop is the only one that
//! is in here.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;

use crate::error::Error;
use crate::failure::{Failure, NoConnection};
use crate::http::buffer::Buffer;
use crate::http::exchange::{self, Route};
use crate::http::line::Line;
use crate::http::reading::{Read, before_the_head, broken, receive};
use crate::http2::{Broken, Code, Engine, Event, Head};
use crate::inbox::Bell;
use crate::net::tls::{self, Stream};
use crate::source::carrier::{Carrier, Rider, STREAMS, Sending};
use crate::source::groups::Groups;
use crate::source::post::{Crowd, Letter, Post, Ticket, Waiting};
use crate::source::workers::{self, Workers};
use crate::sys::{Epoll, Registration};
use crate::url::HttpUrl;
use crate::wait::{Interrupt, Recall};

/// With less room left, a read is for the next turn.
const LITTLE: usize = 4 * 1024;
/// After such a silence a connection may be dead, and nobody knows.
const SILENCE: Duration = Duration::from_secs(30);
/// Then, for so long, a sign of life is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a source is told.
pub(crate) enum News<'a, 'b> {
    /// There is a connection, or every source is to make its own.
    Look,
    /// The same, and one for HTTP/1.1 is there for whoever takes it.
    Http1(&'a mut Option<Stream>),
    /// None has come about.
    NotOpened(Failure),
    Head(Head),
    Data(Data<'a, 'b>),
    /// The body has ended in good order.
    End,
    /// The stream has ended otherwise.
    Reset {
        code: Code,
        why: Option<&'static str>,
        is_unprocessed: bool,
    },
    /// The connection is lost.
    Lost(Failure),
}

/// Data of a stream, and the rest of the read that has brought it.
pub(crate) struct Data<'a, 'b> {
    line: u32,
    stream: u32,
    first: &'b mut [u8],
    rest: &'a mut &'b mut [u8],
}

/// Who gives the sources their turns.
pub(crate) trait Floor {
    /// Tells the source with this token, if it is there.
    fn tell(&mut self, lines: &mut Lines, token: u64, news: News<'_, '_>);
    fn buffer(&mut self) -> Buffer;
    fn keep(&mut self, buffer: Buffer);
}

/// Where a request can go.
pub(crate) enum Place {
    Line(u32),
    /// The server speaks HTTP/1.1.
    Http1,
    /// Over no connection that is there.
    Nowhere,
}

/// The connections of a loop.
pub(crate) struct Lines {
    post: Arc<Post>,
    epoll: Arc<Epoll>,
    groups: Groups,
    lines: Vec<Option<Box<Carrier>>>,
    /// Those that have something to send, or that something else is to become
    /// of.
    touched: Vec<u32>,
    /// Those that may hold more than a wait sees.
    more: Vec<u32>,
    /// Those that a sign of life is waited for from, the first one first.
    pings: VecDeque<Ping>,
}

struct Ping {
    line: u32,
    sent: Instant,
    end: Instant,
}

/// Why a connection is over.
enum Loss<'a> {
    Closed,
    Read(&'a io::Error),
    Broken(Broken),
    Silent,
}

impl<'b> Data<'_, 'b> {
    /// The first piece, for one who uses it later.
    pub(crate) fn into_first(self) -> &'b mut [u8] {
        self.first
    }

    /// The pieces of the stream with which the read goes on, each of which is
    /// consumed when it is taken.
    pub(crate) fn pieces(
        self,
        lines: &mut Lines,
    ) -> impl FnMut() -> Option<&'b mut [u8]> {
        let Data { line, stream, first, rest } = self;
        let mut run = lines.engine(line).and_then(|engine| {
            engine.consumed(stream, first.len());
            engine.run(stream, rest)
        });
        let mut first = Some(first);
        move || first.take().or_else(|| run.as_mut()?.next())
    }
}

impl Lines {
    /// What is waited for with this bit in its token is a line.
    pub(crate) const MARK: u64 = 1 << 31;

    pub(crate) fn new(bell: Bell, epoll: &Arc<Epoll>) -> Lines {
        Lines {
            post: Post::new(bell),
            epoll: epoll.clone(),
            groups: Groups::default(),
            lines: Vec::new(),
            touched: Vec::new(),
            more: Vec::new(),
            pings: VecDeque::new(),
        }
    }

    /// Whether there is something to do without a wait.
    pub(crate) fn has_more(&self) -> bool {
        !self.more.is_empty()
    }

    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.pings.front().map(|ping| ping.end)
    }

    fn shared(&mut self, line: u32) -> Option<&mut Carrier> {
        self.lines.get_mut(line as usize)?.as_deref_mut()
    }

    fn engine(&mut self, line: u32) -> Option<&mut Engine> {
        Some(&mut self.shared(line)?.line.as_mut()?.engine)
    }

    fn touch(&mut self, line: u32) {
        if let Some(shared) = self.shared(line)
            && !std::mem::replace(&mut shared.is_touched, true)
        {
            self.touched.push(line);
        }
    }

    /// Where a request can go at once; over `own` rather than another.
    pub(crate) fn find(&self, route: &Route, own: Option<u32>) -> Place {
        let group = self.groups.find(route).and_then(|it| self.groups.get(it));
        let Some(group) = group else { return Place::Nowhere };
        if group.is_http1 {
            return Place::Http1;
        }
        let has_room = |line: &u32| {
            let shared = self.lines[*line as usize].as_ref();
            shared.is_some_and(|shared| shared.has_room())
        };
        let own = own.filter(|own| group.lines.contains(own));
        let mut lines = own.iter().chain(&group.lines).copied();
        lines.find(has_room).map_or(Place::Nowhere, Place::Line)
    }

    /// A place on a connection that was found.
    pub(crate) fn board(&mut self, line: u32) -> Ticket {
        if let Some(shared) = self.shared(line) {
            shared.users += 1;
        }
        Ticket::new(&self.post, line)
    }

    /// Makes a request for the source with this token; whether that was
    /// possible.
    pub(crate) fn ask(
        &mut self,
        ticket: &mut Ticket,
        token: u64,
        request: &Request<Option<&[u8]>>,
        url: &HttpUrl,
        body: Option<Arc<Vec<u8>>>,
    ) -> bool {
        let Some(shared) = self.shared(ticket.line) else { return false };
        let Some(line) = &mut shared.line else { return false };
        let Some(stream) = line.ask(request, url) else { return false };
        ticket.stream = Some(stream);
        shared.riders.push(Rider { stream, token, has_head: false });
        let now = Instant::now();
        if let Some(body) = body {
            shared.bodies.push(Sending { stream, body, sent: 0, at: now });
        }
        if now.saturating_duration_since(shared.heard) > SILENCE {
            self.ping(ticket.line);
        }
        self.touch(ticket.line);
        true
    }

    /// Asks for a sign of life: without one, the connection is lost.
    pub(crate) fn ping(&mut self, line: u32) {
        let Some(shared) = self.shared(line) else { return };
        let Some(engine) = shared.line.as_mut().map(|it| &mut it.engine) else {
            return;
        };
        if std::mem::replace(&mut shared.is_pinged, true) {
            return;
        }
        engine.ping();
        let sent = Instant::now();
        self.pings.push_back(Ping { line, sent, end: sent + PATIENCE });
        self.touch(line);
    }

    /// Bytes of a stream have been used.
    pub(crate) fn consumed(&mut self, ticket: &Ticket, count: usize) {
        if let (Some(stream), Some(shared)) =
            (ticket.stream, self.shared(ticket.line))
            && let Some(line) = &mut shared.line
        {
            line.engine.consumed(stream, count);
            self.touch(ticket.line);
        }
    }

    /// When some of the request's body went last, if not all has gone.
    pub(crate) fn has_sent(&mut self, ticket: &Ticket) -> Option<Instant> {
        let shared = self.shared(ticket.line)?;
        let mut bodies = shared.bodies.iter();
        let body = bodies.find(|it| Some(it.stream) == ticket.stream);
        body.map(|body| body.at)
    }

    /// A stream is wanted no more.
    pub(crate) fn cancel(&mut self, line: u32, stream: u32) {
        let Some(shared) = self.shared(line) else { return };
        shared.cancel(stream);
        self.touch(line);
    }

    /// The server of a connection wants to be asked over HTTP/1.1.
    pub(crate) fn speaks_http1(&mut self, line: u32) {
        if let Some(shared) = self.shared(line)
            && shared.is_current
        {
            let group = shared.group;
            self.groups.set_http1(group);
        }
    }

    /// The source with this token waits for a connection, or goes on to wait.
    /// One is made, unless there will be enough: whether that is so.
    pub(crate) fn wait(
        &mut self,
        route: Route,
        waiting: Option<Waiting>,
        token: u64,
        workers: &Workers,
    ) -> (Waiting, bool) {
        let found = self.groups.find(&route);
        let number = found.unwrap_or_else(|| self.groups.add(&route));
        let group = self.groups.get_mut(number).expect("found or added");
        let waiting = waiting.or_else(|| group.crowd.join());
        let waiting = waiting.unwrap_or_else(|| {
            let (crowd, waiting) = Crowd::begin();
            group.crowd = crowd;
            group.waiting.clear();
            group.dials = 0;
            waiting
        });
        group.waiting.push(token);
        if group.waiting.len() > STREAMS + 2 * group.crowd.count() {
            group.waiting.sort_unstable();
            group.waiting.dedup();
        }
        let dials = group.crowd.count() > STREAMS * group.dials;
        if dials {
            group.dials += 1;
            let crowd = group.crowd.clone();
            self.dial(route, number, crowd, workers);
        }
        (waiting, dials)
    }

    /// Has a worker connect.
    fn dial(
        &self,
        mut route: Route,
        group: u32,
        crowd: Arc<Crowd>,
        workers: &Workers,
    ) {
        let recall = Arc::new(Recall::default());
        crowd.dials(recall.clone());
        route.interrupt = recall.clone();
        let post = self.post.clone();
        workers.submit(Box::new(move |thread: io::Result<()>| {
            let result = match recall.is_raised() {
                true => Err(NoConnection::Interrupted),
                false => workers::run(thread, &recall, || {
                    exchange::dial_to_share(&route)
                }),
            };
            post.put(Letter::Dialled { group, crowd, result });
        }));
    }

    /// Does what others have written.
    pub(crate) fn look_at_post(&mut self, floor: &mut impl Floor) {
        for letter in self.post.take() {
            match letter {
                Letter::Cancel { line, stream } => self.cancel(line, stream),
                Letter::Leave { line } => {
                    if let Some(shared) = self.shared(line) {
                        shared.users -= 1;
                    }
                    self.touch(line);
                }
                Letter::Dialled { group, crowd, result } => {
                    self.dialled(group, &crowd, result, floor);
                }
            }
        }
    }

    fn dialled(
        &mut self,
        number: u32,
        crowd: &Arc<Crowd>,
        result: Result<(Stream, bool), NoConnection>,
        floor: &mut impl Floor,
    ) {
        let Some(group) = self.groups.get_mut(number) else { return };
        // The last of another crowd has left, and the group may be another one.
        if !Arc::ptr_eq(&group.crowd, crowd) {
            return;
        }
        group.dials -= 1;
        match result {
            Ok((stream, true)) => {
                let tokens = std::mem::take(&mut group.waiting);
                self.add_line(stream, number);
                for token in tokens {
                    floor.tell(self, token, News::Look);
                }
            }
            Ok((stream, false)) => {
                let tokens = std::mem::take(&mut group.waiting);
                self.groups.set_http1(number);
                let mut stream = Some(stream);
                for token in tokens {
                    floor.tell(self, token, News::Http1(&mut stream));
                }
            }
            Err(NoConnection::Failed(failure)) if group.dials == 0 => {
                for token in std::mem::take(&mut group.waiting) {
                    let news = News::NotOpened(failure.clone());
                    floor.tell(self, token, news);
                }
            }
            Err(_) => {}
        }
    }

    fn add_line(&mut self, stream: Stream, group: u32) {
        let shared = Some(Box::new(Carrier::new(Line::new(stream), group)));
        let index = match self.lines.iter().position(Option::is_none) {
            Some(index) => {
                self.lines[index] = shared;
                index
            }
            None => {
                self.lines.push(shared);
                self.lines.len() - 1
            }
        };
        let line = index as u32;
        if let Some(group) = self.groups.get_mut(group) {
            group.lines.push(line);
        }
        self.touch(line);
    }

    /// A connection is readable, or may hold more, or can be written to.
    pub(crate) fn ready(&mut self, line: u32, floor: &mut impl Floor) {
        let Some(shared) = self.shared(line) else { return };
        let start = shared.pace.begin();
        let mut left = shared.pace.budget();
        let mut buffer = floor.buffer();
        let has_more = loop {
            let shared = self.shared(line).and_then(|it| it.line.as_mut());
            let Some(open) = shared else { break false };
            let room = &mut buffer.bytes()[..left];
            let (received, next) = match receive(&mut open.stream, room, false)
            {
                Ok(Some((0, Read::More))) => {
                    // Records without data may come without end.
                    left -= 64;
                    if left < LITTLE {
                        break true;
                    }
                    continue;
                }
                Ok(Some((0, _))) => break false,
                Ok(Some((read, next))) => (&mut room[..read], next),
                Err(cause) if cause.kind() != io::ErrorKind::UnexpectedEof => {
                    self.lose(line, Loss::Read(&cause), floor);
                    break false;
                }
                Ok(None) | Err(_) => {
                    self.lose(line, Loss::Closed, floor);
                    break false;
                }
            };
            left -= received.len();
            self.take_in(line, received, floor);
            if next == Read::All || left < LITTLE {
                break next != Read::All;
            }
        };
        floor.keep(buffer);
        if let Some(shared) = self.shared(line) {
            shared.pace.end(start, has_more);
            if has_more && !std::mem::replace(&mut shared.has_more, true) {
                self.more.push(line);
            }
        }
        self.touch(line);
    }

    /// Tells the sources what a read has brought for them.
    fn take_in(
        &mut self,
        number: u32,
        received: &mut [u8],
        floor: &mut impl Floor,
    ) {
        let mut rest = received;
        if let Some(shared) = self.shared(number) {
            shared.heard = Instant::now();
            shared.is_pinged = false;
        }
        while let ControlFlow::Continue(()) =
            self.take_in_event(number, &mut rest, floor)
        {}
    }

    #[inline]
    fn take_in_event(
        &mut self,
        number: u32,
        rest: &mut &mut [u8],
        floor: &mut impl Floor,
    ) -> ControlFlow<()> {
        let Some(shared) = self.shared(number) else {
            return ControlFlow::Break(());
        };
        let Some(line) = &mut shared.line else {
            return ControlFlow::Break(());
        };
        let event = match line.engine.next(rest) {
            Ok(Some(event)) => event,
            Ok(None) => return ControlFlow::Break(()),
            Err(broken) => {
                self.lose(number, Loss::Broken(broken), floor);
                return ControlFlow::Break(());
            }
        };
        let (token, news) = match event {
            Event::Data { stream, bytes: first } => {
                let Some(index) = shared.find(stream) else {
                    // Of a stream that was left alone.
                    return ControlFlow::Continue(());
                };
                let token = shared.riders[index].token;
                let data = Data { line: number, stream, first, rest };
                (token, News::Data(data))
            }
            Event::Head { stream, head } => {
                shared.early_cancels = 0;
                let riders = &mut shared.riders;
                let place =
                    riders.binary_search_by_key(&stream, |it| it.stream);
                let Ok(index) = place else {
                    // It was left alone until now.
                    line.engine.cancel(stream);
                    return ControlFlow::Continue(());
                };
                let rider = &mut riders[index];
                rider.has_head = true;
                (rider.token, News::Head(head))
            }
            Event::End { stream } => match shared.remove(stream) {
                Some(rider) => (rider.token, News::End),
                None => return ControlFlow::Continue(()),
            },
            Event::Reset { stream, code, why, is_unprocessed } => {
                let Some(rider) = shared.remove(stream) else {
                    return ControlFlow::Continue(());
                };
                (rider.token, News::Reset { code, why, is_unprocessed })
            }
            Event::Output => {
                line.flush();
                return ControlFlow::Continue(());
            }
        };
        floor.tell(self, token, news);
        ControlFlow::Continue(())
    }

    /// A connection is over, and with it every stream that it has.
    fn lose(&mut self, number: u32, loss: Loss<'_>, floor: &mut impl Floor) {
        let Some(shared) = self.shared(number) else { return };
        let Some(mut line) = shared.line.take() else { return };
        shared.registration = None;
        shared.bodies.clear();
        let riders = std::mem::take(&mut shared.riders);
        self.retire(number);
        let (early, late) = match loss {
            Loss::Closed => (line.closed_early(), line.closed()),
            Loss::Read(cause) => {
                let early = tls::failure(cause);
                let early = early.unwrap_or_else(|| before_the_head(cause));
                (early, broken(cause))
            }
            Loss::Broken(why) => (line.broken_early(why), line.broken(why)),
            Loss::Silent => {
                let message = "the server gives no sign of life";
                let failure = Failure::new(Error::Lost, message);
                (failure.clone(), failure)
            }
        };
        drop(line);
        for rider in riders {
            let failure = if rider.has_head { &late } else { &early };
            floor.tell(self, rider.token, News::Lost(failure.clone()));
        }
        self.touch(number);
    }

    /// A connection takes no more streams.
    fn retire(&mut self, number: u32) {
        let Some(shared) = self.shared(number) else { return };
        if std::mem::replace(&mut shared.is_current, false) {
            let group = shared.group;
            if let Some(group) = self.groups.get_mut(group) {
                group.lines.retain(|line| *line != number);
            }
        }
    }

    /// Has the connections read once more that may hold something.
    pub(crate) fn read_on(&mut self, floor: &mut impl Floor) {
        for line in std::mem::take(&mut self.more) {
            if let Some(shared) = self.shared(line) {
                shared.has_more = false;
            }
            self.ready(line, floor);
        }
    }

    /// Loses the connections that have given no sign of life.
    pub(crate) fn due(&mut self, now: Instant, floor: &mut impl Floor) {
        while self.next_time().is_some_and(|end| end <= now)
            && let Some(ping) = self.pings.pop_front()
        {
            let shared = self.shared(ping.line);
            if shared.is_some_and(|it| it.is_pinged && it.heard < ping.sent) {
                self.lose(ping.line, Loss::Silent, floor);
            }
        }
    }

    /// Before a wait: sends what there is to send, and ends what nobody uses.
    pub(crate) fn settle(&mut self, floor: &mut impl Floor) {
        while let Some(number) = self.touched.pop() {
            let Some(shared) = self.shared(number) else { continue };
            shared.is_touched = false;
            let engine = shared.line.as_ref().map(|it| &it.engine);
            let is_used_up = engine.is_none_or(|it| it.is_used_up());
            let is_left =
                shared.users == 0 || is_used_up && shared.riders.is_empty();
            shared.flush();
            if is_used_up || is_left {
                self.retire(number);
            }
            let epoll = self.epoll.clone();
            let Some(shared) = self.shared(number) else { continue };
            if is_left {
                shared.registration = None;
                shared.line = None;
            }
            if shared.users == 0 {
                self.lines[number as usize] = None;
                continue;
            }
            let Some(line) = &shared.line else { continue };
            let entry = line.entry();
            let known = shared.registration.as_ref();
            if known.is_some_and(|known| known.is_for(&entry)) {
                continue;
            }
            // Out of the set before it is put in.
            shared.registration = None;
            let token = Lines::MARK | u64::from(number);
            match Registration::new(&epoll, &entry, token) {
                Ok(registration) => shared.registration = Some(registration),
                Err(cause) => self.lose(number, Loss::Read(&cause), floor),
            }
        }
    }

    /// The end: nobody is left.
    pub(crate) fn close(&mut self) {
        drop(self.post.take());
        for shared in self.lines.iter_mut().flatten() {
            shared.registration = None;
            shared.line = None;
        }
        self.groups.clear();
    }
}
