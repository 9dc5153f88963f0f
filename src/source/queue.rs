//! Pull mode: what the source says waits here until the program takes it.
//!
//! Items cross from the source's thread to the program's in batches, one for
//! all that a read has brought: the lock between the two is taken for a batch,
//! not for an item. The descriptor is written and cleared with the lock held,
//! and so is readable exactly while an item waits. While the queue is full the
//! source's thread sleeps, and nothing is read.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::error::Error;
use crate::failure::{Failure, LastFailure, RetryPlan};
use crate::parser::{Event, Text};
use crate::response::Response;
use crate::state::{ReadyState, State, Wake};
use crate::sys;

/// What has happened to a source.
pub(crate) enum Item<'a> {
    Open(&'a Response),
    /// With its origin.
    Event(Event<'a>, &'a CStr),
    Comment(Text<'a>),
    Error(&'a Failure, RetryPlan),
    /// The last.
    Close(Error),
}

/// What is kept of an item; its text stands in the batch.
enum Kept {
    Open(Box<Response>),
    Event { event_type: Name, last_event_id: Name, data: Span },
    Comment(Span),
    Error(Box<LastFailure>),
    Close(Error),
}

/// Which bytes of a batch's text, with their NUL.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

struct Entry {
    kept: Kept,
    /// The last event ID string takes this value with the item.
    sets_last_event_id: Option<Name>,
}

/// Which of a batch's names: an event type or an id, which many items share.
#[derive(Clone, Copy)]
struct Name(u32);

/// How much there is, or may be.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    items: usize,
    bytes: usize,
}

impl Size {
    /// Whether there is room for more below `limit`.
    fn leaves_room(self, limit: Size) -> bool {
        self.items < limit.items && self.bytes < limit.bytes
    }
}

/// Items in the order of the stream, and which of them is next.
#[derive(Default)]
pub(crate) struct Batch {
    entries: Vec<Entry>,
    next: usize,
    names: Vec<Span>,
    text: Vec<u8>,
    /// Of all its events: they came over one connection.
    origin: Option<Box<CStr>>,
    /// The connection is of before the program's latest wish to reconnect, if
    /// this is not the number of its wishes.
    pub(crate) reconnects: u32,
}

impl Batch {
    /// More than a receive buffer of small events, and less than large ones.
    const LARGE: usize = 8 * 1024;
    const OUTSIZED: usize = 256 * 1024;
    /// More threads than this seldom fill a batch at the same moment.
    const SPARE: usize = 16;

    /// An empty batch, for so much. Large ones come from a pool that all
    /// sources share: memory that was never used before is slow.
    fn with_capacity(size: Size) -> Batch {
        if size.bytes >= Batch::LARGE
            && let Some(spare) = Batch::pool().pop()
        {
            return spare;
        }
        Batch {
            entries: Vec::with_capacity(size.items),
            text: Vec::with_capacity(size.bytes),
            ..Batch::default()
        }
    }

    /// Empties the batch, which may be of use to others.
    fn recycle(&mut self) {
        let Batch { mut entries, mut names, mut text, .. } = mem::take(self);
        if !(Batch::LARGE..Batch::OUTSIZED).contains(&text.capacity()) {
            return;
        }
        entries.clear();
        names.clear();
        text.clear();
        let mut pool = Batch::pool();
        if pool.len() < Batch::SPARE {
            pool.push(Batch { entries, names, text, ..Batch::default() });
        }
    }

    fn pool() -> MutexGuard<'static, Vec<Batch>> {
        static POOL: Mutex<Vec<Batch>> = Mutex::new(Vec::new());
        POOL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self) -> Size {
        Size { items: self.entries.len(), bytes: self.text.len() }
    }

    /// How many items are left to take.
    pub(crate) fn left(&self) -> usize {
        self.entries.len() - self.next
    }

    /// Whether this is the last batch.
    fn closes(&self) -> bool {
        matches!(self.entries[..], [Entry { kept: Kept::Close(_), .. }])
    }

    fn push(&mut self, kept: Kept, sets_last_event_id: Option<Name>) {
        self.entries.push(Entry { kept, sets_last_event_id });
    }

    fn add(&mut self, text: Text<'_>) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text.bytes_with_nul());
        Span { start, end: self.text.len() }
    }

    fn add_name(&mut self, name: Text<'_>) -> Name {
        let span = self.add(name);
        self.names.push(span);
        let last = self.names.len() - 1;
        Name(last.try_into().expect("a batch has come in one read"))
    }

    fn name(&self, name: Name) -> Text<'_> {
        self.text(self.names[name.0 as usize])
    }

    /// Type and id of the last item, if it is an event.
    fn last_event_names(&self) -> Option<(Name, Name)> {
        match self.entries.last()?.kept {
            Kept::Event { event_type, last_event_id, .. } => {
                Some((event_type, last_event_id))
            }
            _ => None,
        }
    }

    fn text(&self, span: Span) -> Text<'_> {
        Text::with_nul(&self.text[span.start..span.end])
    }

    fn last_taken(&self) -> &Entry {
        &self.entries[self.next - 1]
    }

    /// Which value the last event ID string takes with the item that was taken
    /// last, if it takes one.
    pub(crate) fn sets_last_event_id(&self) -> Option<Text<'_>> {
        self.last_taken().sets_last_event_id.map(|name| self.name(name))
    }

    /// The ready state that the source takes with the item that was taken
    /// last, if it takes one.
    pub(crate) fn ready_state(&self) -> Option<ReadyState> {
        match &self.last_taken().kept {
            Kept::Event { .. } | Kept::Comment(_) => None,
            Kept::Open(_) => Some(ReadyState::Open),
            Kept::Close(_) => Some(ReadyState::Closed),
            Kept::Error(last) => match (last.failure.error, last.plan.delay) {
                (Error::TooLarge, _) => None,
                (_, Some(_)) => Some(ReadyState::Connecting),
                (_, None) => Some(ReadyState::Closed),
            },
        }
    }

    /// The item that was taken last.
    pub(crate) fn item(&self) -> Item<'_> {
        let entry = self.last_taken();
        match &entry.kept {
            Kept::Open(response) => Item::Open(response),
            Kept::Event { event_type, last_event_id, data } => {
                let event = Event {
                    event_type: self.name(*event_type),
                    data: self.text(*data),
                    last_event_id: self.name(*last_event_id),
                    sets_last_event_id: entry.sets_last_event_id.is_some(),
                };
                Item::Event(event, self.origin.as_deref().unwrap_or_default())
            }
            Kept::Comment(comment) => Item::Comment(self.text(*comment)),
            Kept::Error(last) => Item::Error(&last.failure, last.plan),
            Kept::Close(reason) => Item::Close(*reason),
        }
    }
}

/// What there was to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Item,
    /// None waits yet.
    Nothing,
    /// The last has been taken.
    End,
}

/// The program's end, and what both ends share.
pub(crate) struct Queue {
    shared: Mutex<Shared>,
    /// Readable while `Shared::waits`.
    wake: Wake,
    /// Wakes the source's thread.
    state: Arc<State>,
}

struct Shared {
    batches: VecDeque<Batch>,
    limit: Size,
    /// What is in `batches`, and in the batch that the program takes from,
    /// until it has taken all of it.
    held: Size,
    /// An item is left in one of these.
    waits: bool,
    /// The source's thread sleeps until there is room.
    full: bool,
    /// The last item has been put.
    closed: bool,
}

impl Queue {
    pub(crate) fn new(state: Arc<State>) -> io::Result<Queue> {
        let shared = Mutex::new(Shared {
            batches: VecDeque::new(),
            limit: Size::default(),
            held: Size::default(),
            waits: false,
            full: false,
            closed: false,
        });
        Ok(Queue { shared, wake: Wake::new()?, state })
    }

    /// Sets with how many items the queue is full, and with how many bytes of
    /// text.
    pub(crate) fn set_capacity(&self, items: usize) {
        self.lock().limit.items = items;
    }

    pub(crate) fn set_max_bytes(&self, bytes: usize) {
        self.lock().limit.bytes = bytes;
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.wake.entry().fd
    }

    /// Takes the next item into the program's `batch`; if none is left there,
    /// the next batch comes into its place.
    pub(crate) fn take(&self, batch: &mut Batch) -> Taken {
        // What had come when the program closed the source is dropped.
        let dropped = self.state.closed_by_program() && !batch.closes();
        if batch.left() == 0 || dropped {
            let left = (batch.left() > 0).then(|| batch.size());
            batch.recycle();
            let mut shared = self.lock();
            if let Some(size) = left {
                // They wait no more, and the last may not have been put yet.
                shared.release(size, &self.wake, &self.state);
            }
            match shared.batches.pop_front() {
                Some(next) => *batch = next,
                None if shared.closed => return Taken::End,
                None => return Taken::Nothing,
            }
        }
        self.step(batch);
        Taken::Item
    }

    /// Takes the next item of `batch`, if it has one: nothing that was taken
    /// of it before goes.
    pub(crate) fn take_more(&self, batch: &mut Batch) -> bool {
        let more = batch.left() > 0 && !self.state.closed_by_program();
        if more {
            self.step(batch);
        }
        more
    }

    fn step(&self, batch: &mut Batch) {
        batch.next += 1;
        if batch.left() == 0 {
            // Now, for a loop that looks at nothing but the descriptor.
            self.lock().release(batch.size(), &self.wake, &self.state);
        }
    }

    /// Waits until there is something to take; false if it is the deadline
    /// that came.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        Ok(sys::poll(&mut [self.wake.entry()], deadline)? > 0)
    }

    /// Puts the last item, unless that has been done, and if the program has
    /// closed the source in the place of all that wait.
    pub(crate) fn close(&self, reason: Error) {
        let mut shared = self.lock();
        if self.state.closed_by_program() {
            shared.batches.retain(Batch::closes);
        }
        if !mem::replace(&mut shared.closed, true) {
            let mut last = Batch::default();
            last.push(Kept::Close(reason), None);
            shared.put(last, &self.wake);
        }
    }

    /// Whether this process was forked from the one that made the queue.
    pub(crate) fn belongs_to_parent_process(&self) -> bool {
        self.wake.belongs_to_parent_process()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn put(&mut self, batch: Batch, wake: &Wake) {
        self.held.items += batch.size().items;
        self.held.bytes += batch.size().bytes;
        self.batches.push_back(batch);
        self.set_waits(true, wake);
    }

    /// All items of the batch of this size have been taken.
    fn release(&mut self, size: Size, wake: &Wake, state: &State) {
        self.held.items -= size.items;
        self.held.bytes -= size.bytes;
        // Not for the first free place: a wake-up costs more than an item.
        let half = Size {
            items: self.limit.items / 2 + 1,
            bytes: self.limit.bytes / 2 + 1,
        };
        if self.full && self.held.leaves_room(half) {
            self.full = false;
            state.signal();
        }
        self.set_waits(!self.batches.is_empty(), wake);
    }

    fn set_waits(&mut self, waits: bool, wake: &Wake) {
        if mem::replace(&mut self.waits, waits) != waits {
            if waits { wake.set() } else { wake.clear() }
        }
    }
}

/// The source's end.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    batch: Batch,
    /// The size of the batch before.
    usual: Size,
    /// With how much the queue will be full.
    room: Size,
    /// How often the program had wished to reconnect when the attempt began.
    reconnects: u32,
    /// The last event ID string changes with the next item.
    new_last_event_id: Option<Box<[u8]>>,
}

impl Writer {
    pub(crate) fn new(queue: Arc<Queue>) -> Writer {
        let room = queue.lock().limit;
        Writer {
            queue,
            batch: Batch::default(),
            usual: Size::default(),
            room,
            reconnects: 0,
            new_last_event_id: None,
        }
    }

    /// An attempt begins, after so many wishes to reconnect.
    pub(crate) fn set_reconnects(&mut self, reconnects: u32) {
        self.reconnects = reconnects;
    }

    pub(crate) fn open(&mut self, response: &Response) {
        self.begin();
        self.put(Kept::Open(Box::new(response.clone())));
        self.hand_over();
    }

    pub(crate) fn event(&mut self, event: &Event<'_>, origin: &CStr) {
        self.begin();
        let batch = &mut self.batch;
        if batch.origin.is_none() {
            batch.origin = Some(origin.into());
        }
        // What the event before had is likely to come again.
        let before = batch.last_event_names();
        let event_type = match before {
            Some((known, _)) if batch.name(known) == event.event_type => known,
            _ => batch.add_name(event.event_type),
        };
        let new_id =
            self.new_last_event_id.take().is_some() || event.sets_last_event_id;
        let last_event_id = match before {
            Some((_, known)) if !new_id => known,
            _ => batch.add_name(event.last_event_id),
        };
        let data = batch.add(event.data);
        let kept = Kept::Event { event_type, last_event_id, data };
        batch.push(kept, new_id.then_some(last_event_id));
        self.make_room();
    }

    pub(crate) fn comment(&mut self, comment: Text<'_>) {
        self.begin();
        let comment = self.batch.add(comment);
        self.put(Kept::Comment(comment));
    }

    pub(crate) fn last_event_id(&mut self, id: Text<'_>) {
        self.new_last_event_id = Some(id.bytes_with_nul().into());
    }

    pub(crate) fn error(&mut self, failure: &Failure, plan: RetryPlan) {
        self.begin();
        let failure = failure.clone();
        self.put(Kept::Error(Box::new(LastFailure { failure, plan })));
        self.hand_over();
    }

    /// Puts what has come since the last time, and sleeps while the queue is
    /// full, unless another thread wishes something.
    pub(crate) fn hand_over(&mut self) {
        if self.batch.left() == 0 {
            return;
        }
        self.usual = self.batch.size();
        let batch = mem::take(&mut self.batch);
        let queue = &*self.queue;
        let mut shared = queue.lock();
        if shared.closed {
            return;
        }
        shared.put(batch, &queue.wake);
        if !shared.held.leaves_room(shared.limit) {
            shared.full = true;
            drop(shared);
            queue.state.wait_until(|| !queue.lock().full);
            shared = queue.lock();
            shared.full = false;
        }
        let (limit, held) = (shared.limit, shared.held);
        self.room = Size {
            items: limit.items.saturating_sub(held.items),
            bytes: limit.bytes.saturating_sub(held.bytes),
        };
    }

    /// Before anything is added to the batch.
    fn begin(&mut self) {
        if self.batch.left() == 0 {
            self.batch = Batch::with_capacity(self.usual);
            self.batch.reconnects = self.reconnects;
        }
    }

    fn put(&mut self, kept: Kept) {
        let id = self.new_last_event_id.take();
        let id = id.map(|id| self.batch.add_name(Text::with_nul(&id)));
        self.batch.push(kept, id);
        self.make_room();
    }

    fn make_room(&mut self) {
        if !self.batch.size().leaves_room(self.room) {
            self.hand_over();
        }
    }
}
