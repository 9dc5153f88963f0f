//! Pull mode: what the source says waits here until the program takes it.
//!
//! Items cross from the source's thread to the program's in batches, one for
//! all that a read has brought: the lock between the two is taken for a batch,
//! not for an item. The descriptor is readable exactly while an item waits: it is
//! cleared with that lock held, and written with another one, as whoever is
//! woken wants the first. Only a close of the program takes no lock, see
//! [`Queue::announce_close`]. The writer says when the
//! queue is full; whoever drives the source then reads nothing until it has
//! room again.

use std::collections::VecDeque;
use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::time::Instant;

use crate::error::Error;
use crate::failure::{Failure, LastFailure, RetryPlan};
use crate::memory::copy;
use crate::parser::{Event, Id, Shares, Text};
use crate::response::Response;
use crate::source::batch::{Batch, Kept, Names, Place, Rare, Size};
use crate::state::State;
use crate::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::sync::{Arc, Mutex, MutexGuard, lock, try_lock};
use crate::sys::{self, Wake};

/// What there is to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Items,
    /// None waits yet.
    Nothing,
    /// The last has been taken.
    End,
}

/// The program's end, and what both ends share.
pub(crate) struct Queue {
    shared: Mutex<Shared>,
    /// Held while `wake` is written for an item that was put. Taken with
    /// `shared` held.
    waking: Mutex<()>,
    /// Readable while `Shared::waits`, and from a close of the program on
    /// until `close_taken`.
    wake: Wake,
    /// Wakes the source's thread.
    state: Arc<State>,
    /// The program has taken the last item. Written with the lock held.
    close_taken: AtomicBool,
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
    /// The source's thread sleeps until all has been taken.
    untaken: bool,
    /// For the last item, until that is put.
    last: Option<Batch>,
}

impl Queue {
    pub(crate) fn new(state: Arc<State>) -> io::Result<Queue> {
        let mut batches = VecDeque::new();
        batches.try_reserve(Shared::SPARE)?;
        let shared = Mutex::new(Shared {
            batches,
            limit: Size::default(),
            held: Size::default(),
            waits: false,
            full: false,
            untaken: false,
            last: Some(Batch::for_the_close()?),
        });
        let close_taken = AtomicBool::new(false);
        let waking = Mutex::new(());
        Ok(Queue { shared, waking, wake: Wake::new()?, state, close_taken })
    }

    /// Sets with how many items the queue is full, and with how many bytes of
    /// text.
    pub(crate) fn set_capacity(&self, items: usize) {
        self.lock().limit.items = items;
    }

    pub(crate) fn set_max_bytes(&self, bytes: usize) {
        self.lock().limit.bytes = bytes;
    }

    /// The descriptor, for the program to wait for. No lock is taken: a thread
    /// that asks in a signal handler may hold it already.
    pub(crate) fn fd(&self) -> RawFd {
        self.wake.fd()
    }

    /// Whether items are left in the program's `batch`. What had come when the
    /// program closed the source is dropped.
    #[inline]
    pub(crate) fn has_left(&self, batch: &Batch) -> bool {
        batch.left() > 0 && (!self.state.closed_by_program() || batch.closes())
    }

    /// If nothing is left in the program's `batch`, the next batch comes into its
    /// place, for so many items to be taken at once. For a source that was
    /// connected: no other has a last item.
    pub(crate) fn fill(&self, batch: &mut Batch, items: usize) -> Left {
        if self.has_left(batch) {
            return Left::Items;
        }
        let dropped = (batch.left() > 0).then(|| batch.size());
        batch.recycle();
        if let Some(size) = dropped {
            // The dropped items no longer count.
            self.release(self.lock(), size);
        }
        if self.state.closed_by_program() {
            self.close(Error::None);
        }
        let mut shared = self.lock();
        match shared.batches.pop_front() {
            Some(next) => *batch = next,
            None if shared.last.is_none() => return Left::End,
            None => return Left::Nothing,
        }
        drop(shared);
        if batch.left() > items {
            // Others of them wait.
            self.wait_until_readable();
        }
        Left::Items
    }

    /// The descriptor may be just being written, for what was taken.
    fn wait_until_readable(&self) {
        if try_lock(&self.waking).is_none() && !self.wake.is_set() {
            // The writer is not as far yet. If it were, a sleep until its
            // system call has returned would be for nothing.
            drop(lock(&self.waking));
        }
    }

    /// Items of the program's `batch` have been taken.
    #[inline]
    pub(crate) fn took(&self, batch: &Batch) {
        if batch.left() == 0 {
            self.finish(batch);
        }
    }

    /// The last item of the batch has been taken.
    #[cold]
    fn finish(&self, batch: &Batch) {
        let shared = self.lock();
        if batch.closes() {
            self.close_taken.store(true, SeqCst);
        }
        // Now, for a loop that looks at nothing but the descriptor.
        self.release(shared, batch.size());
    }

    /// Waits until there may be something to take; false if it is the deadline
    /// that came.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<bool> {
        let ready = sys::poll(&mut [self.wake.entry()], deadline)? > 0;
        if ready {
            let shared = self.lock();
            if !shared.waits {
                // So that what the program or a child of it has written there
                // does not end the next wait, too.
                self.clear();
            }
        }
        Ok(ready)
    }

    /// Puts the last item, unless that has been done, and if the program has
    /// closed the source in the place of all that wait.
    pub(crate) fn close(&self, reason: Error) {
        let mut shared = self.lock();
        if self.state.closed_by_program() {
            shared.batches.retain(Batch::closes);
        }
        if let Some(mut last) = shared.last.take() {
            let is_put = last.push(Kept::Close(reason), None);
            debug_assert!(is_put, "there is memory for it");
            shared.put(last);
        }
        self.wake(shared);
    }

    /// The program has closed the source: makes the descriptor readable for the
    /// last item, which whoever takes it puts. Takes no lock and no memory, as
    /// a signal handler may do neither.
    pub(crate) fn announce_close(&self) {
        if self.close_taken.load(SeqCst) {
            return;
        }
        self.wake.set();
        // Whoever has taken it meanwhile may have cleared the descriptor before
        // it was written here.
        if self.close_taken.load(SeqCst) {
            self.wake.clear();
        }
    }

    /// Makes the descriptor readable, if it is not and an item waits. Others get
    /// the lock before they are woken.
    fn wake(&self, mut shared: MutexGuard<'_, Shared>) {
        if shared.waits || shared.batches.is_empty() {
            return;
        }
        shared.waits = true;
        let waking = lock(&self.waking);
        drop(shared);
        self.wake.set();
        drop(waking);
    }

    /// Makes the descriptor unreadable, but for a close that was announced. With
    /// the lock held.
    fn clear(&self) {
        let was_readable = self.wake.clear();
        if !was_readable || self.state.closed_by_program() {
            // Not by what is just being written for an item.
            drop(lock(&self.waking));
            self.wake.clear();
        }
        // After the clear, as a close writes the state before the descriptor.
        let announced = self.state.closed_by_program();
        if announced && !self.close_taken.load(SeqCst) {
            self.wake.set();
        }
    }

    /// All items of the batch of this size have been taken.
    fn release(&self, mut shared: MutexGuard<'_, Shared>, size: Size) {
        let is_awaited = shared.release(size);
        if shared.batches.is_empty() && mem::take(&mut shared.waits) {
            self.clear();
        }
        drop(shared);
        if is_awaited {
            // The source's thread wants the lock.
            self.state.signal();
        }
    }

    /// Whether this process was forked from the one that made the queue.
    pub(crate) fn belongs_to_parent_process(&self) -> bool {
        self.wake.belongs_to_parent_process()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl Shared {
    /// How many batches may be put at any time: one, and the last item.
    const SPARE: usize = 2;

    /// Puts a batch; there is memory for it.
    fn put(&mut self, batch: Batch) {
        self.held.items += batch.size().items;
        self.held.bytes += batch.size().bytes;
        self.batches.push_back(batch);
    }

    /// Items of this size have been taken; whether the source's thread sleeps
    /// until then.
    fn release(&mut self, size: Size) -> bool {
        self.held.items -= size.items;
        self.held.bytes -= size.bytes;
        // Not for the first free place: a wake-up costs more than an item.
        let half = Size {
            items: self.limit.items / 2 + 1,
            bytes: self.limit.bytes / 2 + 1,
        };
        let has_room = self.full && self.held.leaves_room(half);
        self.full &= !has_room;
        let is_taken = self.untaken && self.held.items == 0;
        self.untaken &= !is_taken;
        has_room || is_taken
    }

    /// How much more may be put.
    fn room(&self) -> Size {
        let (limit, held) = (self.limit, self.held);
        Size {
            items: limit.items.saturating_sub(held.items),
            bytes: limit.bytes.saturating_sub(held.bytes),
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
    /// How often the program had asked to reconnect when the attempt began.
    reconnects: u32,
    /// The queue had no room when this was last looked at.
    full: bool,
    /// The last event ID string changes with the next item.
    new_last_event_id: Option<Id>,
    /// What the event before had, which is likely to come again. None if it
    /// was not in this batch, or if the last event ID string has changed.
    names: Option<Names>,
    /// They are those of an event without a type of its own.
    untyped: bool,
    /// Of the events that came last.
    origin: Option<std::sync::Arc<CStr>>,
    /// The last event ID string, with its NUL, if it is a long one.
    long_id: Option<std::sync::Arc<Vec<u8>>>,
}

impl Writer {
    /// From this length on an id is not copied into each batch, but shared.
    const LONG_ID: usize = 1024;

    pub(crate) fn new(queue: Arc<Queue>) -> Writer {
        let room = queue.lock().limit;
        Writer {
            queue,
            batch: Batch::default(),
            usual: Size::default(),
            room,
            reconnects: 0,
            full: false,
            new_last_event_id: None,
            names: None,
            untyped: false,
            origin: None,
            long_id: None,
        }
    }

    /// An attempt begins; the program has asked to reconnect so many times.
    pub(crate) fn set_reconnects(&mut self, reconnects: u32) {
        self.reconnects = reconnects;
    }

    pub(crate) fn open(&mut self, response: &Response) {
        self.begin();
        // No origin but this one until the next.
        self.origin = None;
        self.put_rare(Rare::Open(Box::new(response.clone())));
    }

    /// False if there is no memory for it: it was not put.
    // A part of the loop over the lines of the stream.
    #[inline(always)]
    #[must_use]
    pub(crate) fn event(&mut self, event: &Event<'_>, origin: &CStr) -> bool {
        match self.names {
            // Most events differ from the one before in their data alone.
            Some(names) if self.has_names(event, names) => {
                let data = self.batch.add(event.data);
                self.put(data.map(Kept::Event), Some(names))
            }
            _ => self.new_event(event, &Shares::default(), origin),
        }
    }

    /// The same of one that may have a new type or ID, or something large. If
    /// there is no memory for it, its ID is put with what follows.
    #[inline(never)]
    #[must_use]
    pub(crate) fn new_event(
        &mut self,
        event: &Event<'_>,
        shares: &Shares<'_>,
        origin: &CStr,
    ) -> bool {
        self.begin();
        self.names = match self.names {
            Some(names) if self.has_names(event, names) => Some(names),
            _ => self.new_names(event, shares, origin),
        };
        self.untyped = event.is_untyped();
        let kept = match shares.text {
            None => self.batch.add(event.data).map(Kept::Event),
            Some((text, start)) => {
                self.batch.share(text, start, true).map(Kept::LargeEvent)
            }
        };
        let is_put = self.names.is_some() && self.put(kept, self.names);
        if !is_put && event.sets_last_event_id {
            self.last_event_id(event.last_event_id, shares);
        }
        is_put
    }

    /// Whether an event has these names.
    #[inline]
    fn has_names(&self, event: &Event<'_>, names: Names) -> bool {
        !event.sets_last_event_id
            && (self.untyped && event.is_untyped()
                || self.batch.has_type(names, event.event_type))
    }

    /// Puts an item, unless there was no memory for its text, or is none for the
    /// item.
    #[inline]
    fn put(&mut self, kept: Option<Kept>, names: Option<Names>) -> bool {
        let is_put = kept.is_some_and(|kept| self.batch.push(kept, names));
        if is_put && !self.batch.size().leaves_room(self.room) {
            self.hand_over();
        }
        is_put
    }

    /// Adds type and ID of an event to the batch, if there is memory for them.
    fn new_names(
        &mut self,
        event: &Event<'_>,
        shares: &Shares<'_>,
        origin: &CStr,
    ) -> Option<Names> {
        if self.batch.origin.is_none() {
            let origin = self.origin.get_or_insert_with(|| origin.into());
            self.batch.origin = Some(origin.clone());
        }
        let before = self.names.map(|names| {
            let is_same = self.batch.has_type(names, event.event_type);
            (is_same, self.batch.places(names))
        });
        let event_type = match (before, shares.event_type) {
            (Some((true, (known, _))), _) => known,
            (_, Some(event_type)) => {
                Place::Shared(self.batch.share(event_type, 0, true)?)
            }
            (_, None) => Place::Here(self.batch.add(event.event_type)?),
        };
        let is_pending = self.new_last_event_id.is_some();
        let is_new = is_pending || event.sets_last_event_id;
        let id = match before {
            Some((_, (_, id))) if !is_new => id,
            _ => self.add_id(event.last_event_id, shares, is_new)?,
        };
        let names = self.batch.name(event_type, id, is_new)?;
        self.new_last_event_id = None;
        Some(names)
    }

    /// False if there is no memory for it: it was not put.
    #[must_use]
    pub(crate) fn comment(
        &mut self,
        comment: Text<'_>,
        shares: &Shares<'_>,
    ) -> bool {
        self.begin();
        let kept = match shares.text {
            None => self.batch.add(comment).map(Kept::Comment),
            Some((text, start)) => {
                self.batch.share(text, start, true).map(Kept::LargeComment)
            }
        };
        let id = self.pending_id();
        let is_put = self.put(kept, id);
        if is_put {
            self.new_last_event_id = None;
        }
        is_put
    }

    pub(crate) fn last_event_id(&mut self, id: Text<'_>, shares: &Shares<'_>) {
        let mut new = Id::default();
        // One for which there is no memory is not told; it counts all the same
        // when the source comes back.
        let enough = new.keep(id, shares.last_event_id);
        self.new_last_event_id = enough.then_some(new);
        self.names = None;
    }

    pub(crate) fn error(&mut self, failure: &Failure, plan: RetryPlan) {
        self.begin();
        let failure = failure.clone();
        self.put_rare(Rare::Error(Box::new(LastFailure { failure, plan })));
    }

    /// Puts what has come since the last time.
    #[inline(never)]
    pub(crate) fn hand_over(&mut self) {
        if self.batch.left() == 0 {
            return;
        }
        let mut shared = self.queue.lock();
        if shared.batches.try_reserve(Shared::SPARE).is_err() {
            // Until one of those that wait has been taken.
            shared.full = true;
            self.full = true;
            return;
        }
        self.usual = self.batch.capacity();
        self.names = None;
        let batch = mem::take(&mut self.batch);
        if shared.last.is_none() {
            return;
        }
        shared.put(batch);
        shared.full = !shared.held.leaves_room(shared.limit);
        self.full = shared.full;
        // One that does not wait for room puts what is left of a read beside
        // it, in batches that are not too small.
        self.room = if self.full { shared.limit } else { shared.room() };
        self.queue.wake(shared);
    }

    /// Whether nothing may be added before the queue has room again.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether the program has made room. It signals the state when it does.
    pub(crate) fn has_room(&self) -> bool {
        !self.queue.lock().full
    }

    /// Whether the program has taken all that was put. If it has not, the state
    /// is signalled when it has.
    pub(crate) fn is_taken(&self) -> bool {
        let mut shared = self.queue.lock();
        let held = shared.held.items + self.batch.left();
        shared.untaken = held > 0;
        !shared.untaken
    }

    /// Goes on: there is room, or the wait for it was given up.
    pub(crate) fn resume(&mut self) {
        let mut shared = self.queue.lock();
        shared.full = false;
        self.full = false;
        self.room = shared.room();
        drop(shared);
        // What there was no memory to put.
        self.hand_over();
    }

    /// Before anything is added to the batch.
    fn begin(&mut self) {
        if self.batch.left() == 0 {
            self.begin_batch();
        }
    }

    #[inline(never)]
    fn begin_batch(&mut self) {
        self.batch = Batch::with_capacity(self.usual);
        self.batch.reconnects = self.reconnects;
        self.names = None;
    }

    /// Puts an item that seldom comes, at once.
    fn put_rare(&mut self, rare: Rare) {
        if !self.batch.has_room() {
            // A new batch needs less at once than a larger one.
            self.hand_over();
            self.begin();
        }
        let id = self.pending_id();
        let is_put = self.batch.push_rare(rare, id);
        debug_assert!(is_put, "there was memory for what is in it");
        self.new_last_event_id = None;
        self.hand_over();
    }

    /// Names for an item that is no event, if the last event ID string changes
    /// with it, and if there is memory for them.
    fn pending_id(&mut self) -> Option<Names> {
        let id = self.new_last_event_id.take()?;
        let last_event_id = id.shared();
        let shares = Shares { last_event_id, ..Shares::default() };
        let place = self.add_id(id.text(), &shares, true);
        let names = place.and_then(|id| self.batch.name(id, id, true));
        self.new_last_event_id = Some(id);
        names
    }

    /// Adds the last event ID string to the batch, if there is memory for it.
    fn add_id(
        &mut self,
        id: Text<'_>,
        shares: &Shares<'_>,
        is_new: bool,
    ) -> Option<Place> {
        let text = id.bytes_with_nul();
        if text.len() < Writer::LONG_ID {
            self.long_id = None;
            return self.batch.add(id).map(Place::Here);
        }
        let known = self.long_id.take().filter(|_| !is_new);
        let is_first = known.is_none();
        let id = match (known, shares.last_event_id) {
            (Some(known), _) => known,
            (None, Some(shared)) => shared.clone(),
            (None, None) => std::sync::Arc::new(copy(text).ok()?),
        };
        let shared = self.batch.share(&id, 0, is_first);
        self.long_id = Some(id);
        shared.map(Place::Shared)
    }
}
