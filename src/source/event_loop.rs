//! A loop: one thread that drives many sources, the library's own or the
//! program's.
//!
//! A turn waits, and then looks at each source for which there is something to
//! do: a signal, a readable connection, a time that has come. Locks are taken
//! in this order: the core, for a dispatch; a seat, for a turn of its source;
//! and inside either the arrivals, the workers' jobs, or what a source locks.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::http::buffer::Buffer;
use crate::inbox::{Bell, Inbox};
use crate::panic::catch;
use crate::source::end::End;
#[cfg(feature = "http2")]
use crate::source::lines::{Floor, Lines, News};
use crate::source::seat::Seat;
use crate::source::slots::Slots;
use crate::source::workers::{Job, Workers};
use crate::sync::{lock, try_lock};
use crate::sys::{self, Epoll, Events, Timer};
use crate::wait::deadline;

/// What a loop drives.
pub(crate) trait Life: Send {
    /// Something has happened.
    fn turn(&mut self, why: Why, hands: &mut Hands<'_>) -> After;
    /// Something has happened on a connection that is shared.
    #[cfg(feature = "http2")]
    fn told(&mut self, news: News<'_, '_>, hands: &mut Hands<'_>) -> After;
    /// A turn has panicked; the life ends, for the reason that is returned.
    fn broken(&mut self) -> Error;
    /// The last callback.
    fn over(&mut self, reason: Error);
    /// The loop ends: as if the program had closed the source.
    fn close(&mut self);
}

/// Why a life has a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody wants it to look.
    Signal,
    /// Its connection is readable, or may hold more.
    Readable,
    /// Its deadline has passed.
    Due,
    /// There is room for its attempt.
    Room,
}

/// What follows a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// What was waited for before.
    AsBefore,
    /// A signal, the connection if it is registered, and the deadline.
    Wait(Option<Instant>),
    /// Another turn, when the others have had theirs.
    More,
    Over(Error),
}

/// What a life has the use of during a turn.
pub(crate) struct Hands<'a> {
    pub(crate) epoll: &'a Arc<Epoll>,
    /// By which the loop knows the source's connection.
    pub(crate) token: u64,
    inbox: &'a Arc<Inbox>,
    pub(crate) workers: &'a Workers,
    /// The connections that are shared.
    #[cfg(feature = "http2")]
    pub(crate) lines: &'a mut Lines,
    line: &'a mut VecDeque<u64>,
    buffer: &'a mut Option<Buffer>,
}

impl Hands<'_> {
    /// What the source is woken by.
    pub(crate) fn bell(&self) -> Bell {
        Bell::new(self.inbox, self.token as u32)
    }

    /// Whether there is room for another attempt, and nobody waits for it.
    pub(crate) fn has_room(&self) -> bool {
        self.line.is_empty() && self.workers.have_room()
    }

    /// The source has a turn when there is room for its attempt.
    pub(crate) fn line_up(&mut self) {
        self.line.push_back(self.token);
    }

    /// Has a job done by another thread.
    pub(crate) fn submit(&self, job: Job) {
        self.workers.submit(job);
    }

    /// What to read into.
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        self.buffer.get_or_insert_with(Buffer::take).bytes()
    }
}

type Place = Seat<Box<dyn Life>>;

/// A source's place, as its handle holds it.
pub(crate) struct Member {
    pub(crate) event_loop: Arc<Loop>,
    seat: Arc<Place>,
    number: u32,
}

/// A loop, shared by its sources and the program.
pub(crate) struct Loop {
    inbox: Arc<Inbox>,
    epoll: Arc<Epoll>,
    /// Shows the next deadline to whoever waits for the descriptor.
    timer: Timer,
    workers: Workers,
    arrivals: Mutex<Arrivals>,
    /// Held by the thread that drives the loop, while it does.
    core: Mutex<Core>,
    /// That thread; 0 if there is none.
    driver: AtomicUsize,
    /// A thread of the library's drives it.
    started: AtomicBool,
    /// The program has asked for the descriptor.
    watched: AtomicBool,
    /// The program has freed it.
    freed: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Threads that wait for nobody to drive it.
    waiters: AtomicUsize,
    left: (Mutex<()>, Condvar),
}

/// Sources that the loop has yet to see, and numbers to give to others.
struct Arrivals {
    new: Vec<(u32, Arc<Place>)>,
    spare: Vec<u32>,
    next: u32,
}

/// What belongs to the thread that drives.
struct Core {
    slots: Slots<Arc<Place>>,
    /// Those that wait for room for an attempt, by their tokens.
    line: VecDeque<u64>,
    events: Events,
    numbers: Vec<u32>,
    /// Lent to those who read, and given back when a source has left.
    buffer: Option<Buffer>,
    /// What the timer is set to.
    timer: Option<Instant>,
    #[cfg(feature = "http2")]
    lines: Shared,
}

/// The connections that sources share: not here while something happens there.
#[cfg(feature = "http2")]
type Shared = Option<Box<Lines>>;

const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;
/// The number of what concerns the connections that are shared.
const SHARED: u32 = 0;

impl Loop {
    pub(crate) fn new() -> io::Result<Arc<Loop>> {
        let (inbox, epoll) = (Inbox::new()?, Epoll::new()?);
        let timer = Timer::new()?;
        epoll.add(&inbox.wake().entry(), WAKE)?;
        epoll.add(&timer.entry(), TIMER)?;
        let (inbox, epoll) = (Arc::new(inbox), Arc::new(epoll));
        #[cfg(feature = "http2")]
        let lines = Lines::new(Bell::new(&inbox, SHARED), &epoll);
        Ok(Arc::new(Loop {
            inbox,
            epoll,
            timer,
            workers: Workers::new(),
            arrivals: Mutex::new(Arrivals {
                new: Vec::new(),
                spare: Vec::new(),
                next: SHARED + 1,
            }),
            core: Mutex::new(Core {
                slots: Slots::new(),
                line: VecDeque::new(),
                events: Events::default(),
                numbers: Vec::new(),
                buffer: None,
                timer: None,
                #[cfg(feature = "http2")]
                lines: Some(Box::new(lines)),
            }),
            driver: AtomicUsize::new(0),
            started: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            freed: AtomicBool::new(false),
            thread: Mutex::default(),
            waiters: AtomicUsize::new(0),
            left: (Mutex::new(()), Condvar::new()),
        }))
    }

    /// Whether a thread of the library's drives it.
    pub(crate) fn is_started(&self) -> bool {
        self.started.load(SeqCst)
    }

    /// Whether this thread is inside a callback of one of its sources.
    pub(crate) fn is_driven_here(&self) -> bool {
        self.driver.load(SeqCst) == sys::here()
    }

    /// Whether this process was forked from the one that made it.
    pub(crate) fn belongs_to_parent_process(&self) -> bool {
        self.inbox.wake().belongs_to_parent_process()
    }

    /// Starts a thread that drives it from here on.
    pub(crate) fn start(self: Arc<Loop>) -> Result<(), Error> {
        if self.belongs_to_parent_process() {
            return Err(Error::System);
        }
        if self.is_driven_here() {
            return Err(Error::Callback);
        }
        let mut thread = lock(&self.thread);
        // So that no dispatch is under way, and none begins.
        let core = self.try_drive().ok_or(Error::Busy)?;
        let own = self.clone();
        let stack = sys::default_stack();
        let spawned = sys::spawn("eventsource", stack, move || own.live());
        *thread = Some(spawned.map_err(|_| Error::System)?);
        self.started.store(true, SeqCst);
        drop(core);
        drop(thread);
        self.tell_waiters();
        Ok(())
    }

    /// The life of the library's thread.
    fn live(&self) {
        let mut core = lock(&self.core);
        let _driving = self.drive();
        while !self.freed.load(SeqCst) {
            if let Err(cause) = self.turn(&mut core, None) {
                log::error!("a loop cannot wait: {cause}");
                self.freed.store(true, SeqCst);
            }
        }
        self.close_all(&mut core);
    }

    /// One turn, on the program's thread. Waits for something to do until the
    /// time is over.
    pub(crate) fn dispatch(
        &self,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        if self.belongs_to_parent_process() {
            return Err(Error::System);
        }
        if self.is_driven_here() {
            return Err(Error::Callback);
        }
        let core = self.try_drive().ok_or(Error::Busy)?;
        self.dispatch_until(core, deadline(timeout))
    }

    /// The core, if nobody has it, and no thread of the library's will.
    fn try_drive(&self) -> Option<MutexGuard<'_, Core>> {
        let core = try_lock(&self.core)?;
        (!self.is_started()).then_some(core)
    }

    fn dispatch_until(
        &self,
        mut core: MutexGuard<'_, Core>,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let driving = self.drive();
        let result = loop {
            let did = match self.turn(&mut core, deadline) {
                Ok(did) => did,
                Err(_) => break Err(Error::System),
            };
            if self.freed.load(SeqCst) {
                self.close_all(&mut core);
                break Ok(());
            }
            if did {
                break Ok(());
            }
            if deadline.is_some_and(|it| Instant::now() >= it) {
                break Err(Error::Timeout);
            }
        };
        if self.watched.load(SeqCst) {
            self.show(&mut core);
        }
        drop(core);
        drop(driving);
        self.tell_waiters();
        result
    }

    /// This thread drives until the value is dropped.
    fn drive(&self) -> impl Drop {
        struct Driving<'a>(&'a AtomicUsize);
        impl Drop for Driving<'_> {
            fn drop(&mut self) {
                self.0.store(0, SeqCst);
            }
        }
        self.driver.store(sys::here(), SeqCst);
        Driving(&self.driver)
    }

    /// Waits until the source with this end is over. While nobody drives the
    /// loop, this thread does.
    pub(crate) fn wait(
        &self,
        end: &End,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        if timeout.is_some_and(|time| time.is_zero()) {
            // No wait, wherever that is, and no turn either.
            return match end.is_reached() {
                true => Ok(()),
                false => Err(Error::Timeout),
            };
        }
        if self.is_driven_here() {
            return Err(Error::Callback);
        }
        let deadline = deadline(timeout);
        let left =
            || deadline.map(|it| it.saturating_duration_since(Instant::now()));
        loop {
            if end.is_reached() {
                return Ok(());
            }
            if self.is_started() {
                return match end.wait(left()) {
                    true => Ok(()),
                    false => Err(Error::Timeout),
                };
            }
            match self.try_drive() {
                Some(core) => self.dispatch_until(core, deadline)?,
                None => self.wait_until_left(end, left())?,
            }
        }
    }

    /// Waits until the thread that drives the loop does so no more.
    fn wait_until_left(
        &self,
        end: &End,
        time: Option<Duration>,
    ) -> Result<(), Error> {
        self.waiters.fetch_add(1, SeqCst);
        let (mutex, condition) = &self.left;
        let guard = lock(mutex);
        let driven = |_: &mut ()| {
            self.driver.load(SeqCst) != 0
                && !self.is_started()
                && !end.is_reached()
        };
        let in_time = match time {
            None => {
                drop(condition.wait_while(guard, driven));
                true
            }
            Some(time) => {
                let waited = condition.wait_timeout_while(guard, time, driven);
                let waited = waited.unwrap_or_else(PoisonError::into_inner);
                !waited.1.timed_out()
            }
        };
        self.waiters.fetch_sub(1, SeqCst);
        if in_time { Ok(()) } else { Err(Error::Timeout) }
    }

    fn tell_waiters(&self) {
        if self.waiters.load(SeqCst) > 0 {
            let guard = lock(&self.left.0);
            self.left.1.notify_all();
            drop(guard);
        }
    }

    /// Readable while a dispatch has something to do.
    pub(crate) fn fd(&self) -> Result<RawFd, Error> {
        if self.belongs_to_parent_process() || self.is_started() {
            return Err(Error::System);
        }
        if !self.watched.swap(true, SeqCst) {
            // The next dispatch shows what there is to see.
            self.inbox.wake().set();
        }
        Ok(self.epoll.fd())
    }

    /// For whoever waits for the descriptor, what a dispatch waits for itself.
    fn show(&self, core: &mut Core) {
        let next = self.next_time(core);
        if next != core.timer {
            core.timer = next;
            self.timer.set(next);
        }
        if !self.inbox.fall_asleep() || self.has_more(core) {
            self.inbox.wake().set();
        }
    }

    fn next_time(&self, core: &Core) -> Option<Instant> {
        let growth = self.workers.grow();
        let next = core.slots.next_deadline().into_iter().chain(growth).min();
        #[cfg(feature = "http2")]
        let next = {
            let lines = core.lines.as_ref();
            let ping = lines.and_then(|lines| lines.next_time());
            next.into_iter().chain(ping).min()
        };
        next
    }

    /// Whether there is something to do without a wait.
    fn has_more(&self, core: &Core) -> bool {
        #[cfg(feature = "http2")]
        if core.lines.as_ref().is_some_and(|lines| lines.has_more()) {
            return true;
        }
        let any_in_line = !core.line.is_empty();
        core.slots.any_has_more() || any_in_line && self.workers.have_room()
    }

    /// Waits, and gives each source a turn for which there is something to do.
    /// Whether there was.
    fn turn(
        &self,
        core: &mut Core,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let mut until = self.next_time(core);
        if let Some(deadline) = deadline {
            until = Some(until.map_or(deadline, |it| it.min(deadline)));
        }
        // What there is to do already does not let the others wait.
        if self.has_more(core) || !self.inbox.fall_asleep() {
            until = Some(Instant::now());
        }
        let mut events = std::mem::take(&mut core.events);
        let waited = self.epoll.wait(&mut events, until);
        self.inbox.awake();
        waited?;
        let more = core.slots.list_more();
        let mut did = !more.is_empty();
        did |= self.look_at_inbox(core);
        for token in events.tokens() {
            match token {
                WAKE => {
                    self.inbox.wake().clear();
                }
                TIMER => {
                    self.timer.clear();
                    core.timer = None;
                }
                #[cfg(feature = "http2")]
                token if token & Lines::MARK != 0 => {
                    did = true;
                    self.with_lines(core, |lines, floor| {
                        lines.ready((token & !Lines::MARK) as u32, floor);
                    });
                }
                token => {
                    if let Some(number) = core.slots.find(token)
                        && !core.slots.has_more(number)
                    {
                        did = true;
                        self.give_turn(core, number, Why::Readable);
                    }
                }
            }
        }
        core.events = events;
        for number in more {
            if core.slots.take_more(number) {
                self.give_turn(core, number, Why::Readable);
            }
        }
        #[cfg(feature = "http2")]
        {
            did |= self.look_at_lines(core);
        }
        if core.slots.next_deadline().is_some() {
            let now = Instant::now();
            while let Some(number) = core.slots.take_due(now) {
                did = true;
                self.give_turn(core, number, Why::Due);
            }
        }
        did |= self.let_in(core);
        #[cfg(feature = "http2")]
        self.with_lines(core, |lines, floor| lines.settle(floor));
        Ok(did)
    }

    /// Gives turns to those in line, as far as there is room.
    fn let_in(&self, core: &mut Core) -> bool {
        let mut any = false;
        for _ in 0..core.line.len() {
            if !self.workers.have_room() {
                break;
            }
            let token = core.line.pop_front().expect("one for each");
            if let Some(number) = core.slots.find(token) {
                any = true;
                self.give_turn(core, number, Why::Room);
            }
        }
        any
    }

    fn settle_arrivals(&self, core: &mut Core) {
        let new = std::mem::take(&mut lock(&self.arrivals).new);
        for (number, seat) in new {
            core.slots.insert(number, seat);
        }
    }

    fn look_at_inbox(&self, core: &mut Core) -> bool {
        let mut numbers = std::mem::take(&mut core.numbers);
        self.inbox.take(&mut numbers);
        let any = !numbers.is_empty();
        if any {
            // After that: a source's bell is rung when it has arrived.
            self.settle_arrivals(core);
        }
        for number in numbers.drain(..) {
            #[cfg(feature = "http2")]
            if number == SHARED {
                self.with_lines(core, |lines, floor| lines.look_at_post(floor));
                continue;
            }
            self.give_turn(core, number, Why::Signal);
        }
        core.numbers = numbers;
        any
    }

    /// A turn for the source with this number.
    #[cfg(not(feature = "http2"))]
    fn give_turn(&self, core: &mut Core, number: u32, why: Why) {
        let turn =
            |life: &mut dyn Life, hands: &mut Hands<'_>| life.turn(why, hands);
        self.give(core, number, turn);
    }

    /// A turn for the source with this number.
    #[cfg(feature = "http2")]
    fn give_turn(&self, core: &mut Core, number: u32, why: Why) {
        let turn =
            |life: &mut dyn Life, hands: &mut Hands<'_>| life.turn(why, hands);
        self.with_lines(core, |lines, floor| {
            self.give(floor.core, lines, number, turn);
        });
    }

    /// Has something happen to the connections that are shared.
    #[cfg(feature = "http2")]
    fn with_lines<T>(
        &self,
        core: &mut Core,
        act: impl FnOnce(&mut Lines, &mut Turns<'_>) -> T,
    ) -> T {
        let mut lines = core.lines.take().expect("put back");
        let result = act(&mut lines, &mut Turns { event_loop: self, core });
        core.lines = Some(lines);
        result
    }

    /// What there is to do for them without a wait, or at a time that has come.
    #[cfg(feature = "http2")]
    fn look_at_lines(&self, core: &mut Core) -> bool {
        self.with_lines(core, |lines, floor| {
            let more = lines.has_more();
            if more {
                lines.read_on(floor);
            }
            let Some(due) = lines.next_time() else { return more };
            let now = Instant::now();
            if due <= now {
                lines.due(now, floor);
            }
            more || due <= now
        })
    }

    fn give(
        &self,
        core: &mut Core,
        #[cfg(feature = "http2")] lines: &mut Lines,
        number: u32,
        turn: impl FnOnce(&mut dyn Life, &mut Hands<'_>) -> After,
    ) {
        let Core { slots, line, buffer, .. } = core;
        let Some((seat, token)) = slots.get(number) else { return };
        let mut hands = Hands {
            epoll: &self.epoll,
            token,
            inbox: &self.inbox,
            workers: &self.workers,
            #[cfg(feature = "http2")]
            lines,
            line,
            buffer,
        };
        let turn = |life: &mut Box<dyn Life>| {
            let after = catch(|| turn(&mut **life, &mut hands));
            let after = after.unwrap_or_else(|| {
                let reason = catch(|| life.broken());
                After::Over(reason.unwrap_or(Error::Internal))
            });
            if let After::Over(reason) = after {
                let _ = catch(|| life.over(reason));
            }
            after
        };
        let is_over = |after: &After| matches!(after, After::Over(_));
        let after = seat.turn(sys::here(), turn, is_over);
        match after {
            Some(After::AsBefore) => {}
            Some(After::Wait(deadline)) => slots.set_deadline(number, deadline),
            Some(After::More) => slots.set_more(number),
            // Over, or somebody has taken it.
            Some(After::Over(_)) | None => self.clear(core, number),
        }
    }

    /// The number is for another source.
    fn clear(&self, core: &mut Core, number: u32) {
        let seat = core.slots.remove(number);
        lock(&self.arrivals).spare.push(number);
        drop(seat);
        // It may have been the last one.
        core.give_back_buffer();
    }

    /// The end of the loop: nobody is left in it.
    fn close_all(&self, core: &mut Core) {
        self.settle_arrivals(core);
        for number in 0..core.slots.len() {
            if let Some((seat, _)) = core.slots.get(number) {
                let close = |life: &mut Box<dyn Life>| life.close();
                seat.turn(sys::here(), close, |()| false);
                self.give_turn(core, number, Why::Signal);
            }
        }
        core.give_back_buffer();
        #[cfg(feature = "http2")]
        self.with_lines(core, |lines, _| lines.close());
        self.workers.end();
    }

    /// The program gives it back. Sources that are left are closed: by whoever
    /// drives the loop, and otherwise here.
    pub(crate) fn free(&self) {
        {
            // No source comes from here on.
            let _arrivals = lock(&self.arrivals);
            self.freed.store(true, SeqCst);
        }
        self.inbox.wake().set();
        if self.is_driven_here() {
            return;
        }
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = thread.join();
            return;
        }
        let mut core = lock(&self.core);
        let driving = self.drive();
        self.close_all(&mut core);
        drop(core);
        drop(driving);
        self.tell_waiters();
    }

    /// A place for a source, if the loop has not been freed. `prepare` is given
    /// what the source is to wake the loop by, and returns its life.
    pub(crate) fn join(
        self: &Arc<Loop>,
        prepare: impl FnOnce(&Bell) -> Box<dyn Life>,
    ) -> Result<Member, Error> {
        if self.belongs_to_parent_process() {
            return Err(Error::System);
        }
        let mut arrivals = lock(&self.arrivals);
        if self.freed.load(SeqCst) {
            return Err(Error::Closed);
        }
        let spare = arrivals.spare.pop();
        let number = spare.unwrap_or(arrivals.next);
        if number >= Inbox::MOST {
            return Err(Error::System);
        }
        arrivals.next += u32::from(spare.is_none());
        let bell = Bell::new(&self.inbox, number);
        let seat = Arc::new(Seat::new(prepare(&bell)));
        arrivals.new.push((number, seat.clone()));
        Ok(Member { event_loop: self.clone(), seat, number })
    }
}

impl Drop for Loop {
    /// What is left has nobody who drives it.
    fn drop(&mut self) {
        if let Ok(core) = self.core.get_mut() {
            core.give_back_buffer();
        }
    }
}

impl Member {
    /// Has the loop look at the source.
    pub(crate) fn ring(&self) {
        self.event_loop.inbox.ring(self.number);
    }

    /// Whether a callback of the source is under way on this thread.
    pub(crate) fn is_in_turn_here(&self) -> bool {
        self.seat.is_in_turn_on(sys::here())
    }

    /// Takes the source out of the loop, and makes the last callback here if it
    /// has not been made.
    pub(crate) fn leave(&self, reason: Error) {
        self.seat.take(sys::here(), |life| {
            let _ = catch(|| life.over(reason));
        });
        // The number is for others.
        self.ring();
    }
}

/// What the connections that are shared give turns by.
#[cfg(feature = "http2")]
struct Turns<'a> {
    event_loop: &'a Loop,
    core: &'a mut Core,
}

#[cfg(feature = "http2")]
impl Floor for Turns<'_> {
    #[inline]
    fn tell(&mut self, lines: &mut Lines, token: u64, news: News<'_, '_>) {
        if let Some(number) = self.core.slots.find(token) {
            let turn = |life: &mut dyn Life, hands: &mut Hands<'_>| {
                life.told(news, hands)
            };
            self.event_loop.give(self.core, lines, number, turn);
        }
    }

    fn buffer(&mut self) -> Buffer {
        self.core.buffer.take().unwrap_or_else(Buffer::take)
    }

    fn keep(&mut self, buffer: Buffer) {
        match &self.core.buffer {
            Some(_) => buffer.give_back(),
            None => self.core.buffer = Some(buffer),
        }
    }
}

impl Core {
    fn give_back_buffer(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            buffer.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    type Turn = Box<dyn FnOnce(&mut Hands<'_>) -> After + Send>;

    /// A life that does what it is told in each turn, and says so.
    struct Told {
        turns: Vec<Turn>,
        says: mpsc::Sender<&'static str>,
    }

    impl Told {
        fn say(&self, what: &'static str) {
            self.says.send(what).expect("the test");
        }
    }

    impl Life for Told {
        fn turn(&mut self, why: Why, hands: &mut Hands<'_>) -> After {
            self.say(if why == Why::Room { "room" } else { "turn" });
            self.turns.remove(0)(hands)
        }

        #[cfg(feature = "http2")]
        fn told(&mut self, _: News<'_, '_>, _: &mut Hands<'_>) -> After {
            After::AsBefore
        }

        fn broken(&mut self) -> Error {
            self.say("broken");
            Error::Internal
        }

        fn over(&mut self, reason: Error) {
            self.say(if reason == Error::Internal { "failed" } else { "over" });
        }

        fn close(&mut self) {
            self.say("close");
            self.turns = vec![Box::new(|_| After::Over(Error::None))];
        }
    }

    struct Test(Arc<Loop>);

    impl Test {
        fn new() -> Test {
            Test(Loop::new().expect("descriptors"))
        }

        fn add(
            &self,
            turns: Vec<Turn>,
        ) -> (Member, mpsc::Receiver<&'static str>) {
            let (says, said) = mpsc::channel();
            let life = Box::new(Told { turns, says });
            let member = self.0.join(|_| life).expect("a place");
            member.ring();
            (member, said)
        }

        fn dispatch(&self) -> Result<(), Error> {
            self.0.dispatch(Some(Duration::ZERO))
        }
    }

    fn wait() -> Turn {
        Box::new(|_| After::Wait(None))
    }

    fn all(said: &mpsc::Receiver<&'static str>) -> Vec<&'static str> {
        said.try_iter().collect()
    }

    /// A defect ends the source that has it, and nobody else.
    #[test]
    fn a_panic_ends_one_source() {
        let test = Test::new();
        let (other, others) = test.add(vec![wait(), wait()]);
        let (_member, said) =
            test.add(vec![Box::new(|_| panic!("on purpose"))]);
        assert_eq!(test.dispatch(), Ok(()));
        assert_eq!(all(&said), ["turn", "broken", "failed"]);
        assert_eq!(test.dispatch(), Err(Error::Timeout));
        other.ring();
        assert_eq!(test.dispatch(), Ok(()));
        assert_eq!(all(&others), ["turn", "turn"]);
        test.0.free();
        assert_eq!(all(&others), ["close", "turn", "over"]);
    }

    /// What has more to do takes turns with the others.
    #[test]
    fn more_is_for_the_next_turn() {
        let test = Test::new();
        let more = || -> Turn { Box::new(|_| After::More) };
        let over: Turn = Box::new(|_| After::Over(Error::None));
        let (_member, said) = test.add(vec![more(), more(), over]);
        for turn in [&["turn"][..], &["turn"], &["turn", "over"]] {
            assert_eq!(test.dispatch(), Ok(()));
            assert_eq!(all(&said), turn);
        }
        assert_eq!(test.dispatch(), Err(Error::Timeout));
    }

    /// While jobs wait that nobody has the time for, others stand in line. Who
    /// has left it does not stand in the way of the next one with the number.
    #[test]
    fn who_waits_for_room_has_a_turn_when_there_is_some() {
        const JOBS: usize = 1000;
        let test = Test::new();
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let fill: Turn = Box::new(move |hands| {
            for _ in 0..JOBS {
                let released = released.clone();
                hands.submit(Box::new(move |_| {
                    let _ = lock(&released).recv();
                }));
            }
            After::Wait(None)
        });
        let stand = || -> Turn {
            Box::new(|hands| {
                assert!(!hands.has_room());
                hands.line_up();
                After::Wait(None)
            })
        };
        let (_filler, filled) = test.add(vec![fill]);
        let (leaver, left) = test.add(vec![stand(), wait()]);
        let (_member, said) = test.add(vec![stand(), wait()]);
        assert_eq!(test.dispatch(), Ok(()));
        leaver.leave(Error::None);
        assert_eq!(test.dispatch(), Ok(()));
        let (_newcomer, new) = test.add(vec![wait(), wait()]);
        assert_eq!(test.dispatch(), Ok(()));
        assert_eq!(all(&said), ["turn"]);
        drop(release);
        let room = loop {
            let long = Some(Duration::from_secs(10));
            assert_eq!(test.0.dispatch(long), Ok(()));
            let said = all(&said);
            if !said.is_empty() {
                break said;
            }
        };
        assert_eq!(room, ["room"]);
        assert_eq!(all(&left), ["turn", "over"]);
        assert_eq!((all(&new), all(&filled)), (vec!["turn"], vec!["turn"]));
    }

    /// A source that leaves makes room for another.
    #[test]
    fn numbers_are_given_again() {
        let test = Test::new();
        for _ in 0..3 {
            let (member, said) = test.add(vec![wait()]);
            assert_eq!(test.dispatch(), Ok(()));
            member.leave(Error::None);
            assert_eq!(all(&said), ["turn", "over"]);
            assert_eq!(test.dispatch(), Ok(()));
            assert_eq!(lock(&test.0.arrivals).next, SHARED + 2);
        }
    }
}
