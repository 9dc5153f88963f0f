//! Pull mode: what the source says waits here until the program takes it.
//!
//! Items cross from the source's thread to the program's in batches, one for
//! all that a read has brought: the lock between the two is taken for a batch,
//! not for an item. The descriptor is written and cleared with the lock held,
//! and so is readable exactly while an item waits. Only a close of the program
//! takes no lock, see [`Queue::announce_close`]. The writer says when the
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
use crate::source::batch::{Batch, Kept, Name, Size};
use crate::state::State;
use crate::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::sync::{Arc, Mutex, MutexGuard, lock};
use crate::sys::{self, Wake};

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
            untaken: false,
            closed: false,
        });
        let close_taken = AtomicBool::new(false);
        Ok(Queue { shared, wake: Wake::new()?, state, close_taken })
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
        self.wake.fd()
    }

    /// Takes the next item into the program's `batch`; if none is left there,
    /// the next batch comes into its place. For a source that was connected:
    /// no other has a last item.
    pub(crate) fn take(&self, batch: &mut Batch) -> Taken {
        // What had come when the program closed the source is dropped.
        let dropped = self.state.closed_by_program() && !batch.closes();
        if batch.left() == 0 || dropped {
            let left = (batch.left() > 0).then(|| batch.size());
            batch.recycle();
            let mut shared = self.lock();
            if let Some(size) = left {
                // The dropped items no longer count.
                self.release(&mut shared, size);
            }
            if self.state.closed_by_program() {
                self.put_close(&mut shared, Error::None);
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
            let mut shared = self.lock();
            if batch.closes() {
                self.close_taken.store(true, SeqCst);
            }
            // Now, for a loop that looks at nothing but the descriptor.
            self.release(&mut shared, batch.size());
        }
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

    /// The source's thread puts the last item, unless that has been done, and
    /// if the program has closed the source in the place of all that wait.
    pub(crate) fn close(&self, reason: Error) {
        self.put_close(&mut self.lock(), reason);
    }

    fn put_close(&self, shared: &mut Shared, reason: Error) {
        if self.state.closed_by_program() {
            shared.batches.retain(Batch::closes);
        }
        if !mem::replace(&mut shared.closed, true) {
            let mut last = Batch::default();
            last.push(Kept::Close(reason), None);
            self.put(shared, last);
        }
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

    /// Makes the descriptor unreadable, but for a close that was announced. With
    /// the lock held.
    fn clear(&self) {
        self.wake.clear();
        // After the clear, as a close writes the state before the descriptor.
        let announced = self.state.closed_by_program();
        if announced && !self.close_taken.load(SeqCst) {
            self.wake.set();
        }
    }

    fn put(&self, shared: &mut Shared, batch: Batch) {
        shared.held.items += batch.size().items;
        shared.held.bytes += batch.size().bytes;
        shared.batches.push_back(batch);
        self.set_waits(shared, true);
    }

    /// All items of the batch of this size have been taken.
    fn release(&self, shared: &mut Shared, size: Size) {
        shared.held.items -= size.items;
        shared.held.bytes -= size.bytes;
        // Not for the first free place: a wake-up costs more than an item.
        let half = Size {
            items: shared.limit.items / 2 + 1,
            bytes: shared.limit.bytes / 2 + 1,
        };
        if shared.full && shared.held.leaves_room(half) {
            shared.full = false;
            self.state.signal();
        }
        if shared.untaken && shared.held.items == 0 {
            shared.untaken = false;
            self.state.signal();
        }
        let waits = !shared.batches.is_empty();
        self.set_waits(shared, waits);
    }

    fn set_waits(&self, shared: &mut Shared, waits: bool) {
        if mem::replace(&mut shared.waits, waits) != waits {
            if waits { self.wake.set() } else { self.clear() }
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
            long_id: None,
        }
    }

    /// An attempt begins; the program has asked to reconnect so many times.
    pub(crate) fn set_reconnects(&mut self, reconnects: u32) {
        self.reconnects = reconnects;
    }

    pub(crate) fn open(&mut self, response: &Response) {
        self.begin();
        self.put(Kept::Open(Box::new(response.clone())));
        self.hand_over();
    }

    /// False if there is no memory for it: it was not put, but for its id.
    #[must_use]
    pub(crate) fn event(
        &mut self,
        event: &Event<'_>,
        shares: &Shares<'_>,
        origin: &CStr,
    ) -> bool {
        self.begin();
        let size = |text: Text<'_>, is_shared| match is_shared {
            true => 0,
            false => text.bytes_with_nul().len(),
        };
        let bytes = size(event.event_type, shares.event_type.is_some())
            + size(event.data, shares.text.is_some());
        if !self.batch.reserve(bytes) {
            if event.sets_last_event_id {
                self.last_event_id(event.last_event_id, shares);
            }
            return false;
        }
        let batch = &mut self.batch;
        if batch.origin.is_none() {
            batch.origin = Some(origin.into());
        }
        // What the event before had is likely to come again.
        let before = batch.last_event_names();
        let event_type = match before {
            Some((known, _)) if batch.name(known) == event.event_type => known,
            _ => match shares.event_type {
                None => batch.add_name(event.event_type),
                Some(event_type) => batch.share(event_type, 0, true),
            },
        };
        let new_id =
            self.new_last_event_id.take().is_some() || event.sets_last_event_id;
        let last_event_id = match before {
            Some((_, known)) if !new_id => known,
            _ => match self.add_id(event.last_event_id, shares, new_id) {
                Some(id) => id,
                None => return false,
            },
        };
        let batch = &mut self.batch;
        let kept = match shares.text {
            None => {
                let data = batch.add(event.data);
                Kept::Event { event_type, last_event_id, data }
            }
            Some((text, start)) => {
                let data = batch.share(text, start, true);
                Kept::LargeEvent { event_type, last_event_id, data }
            }
        };
        batch.push(kept, new_id.then_some(last_event_id));
        self.make_room();
        true
    }

    /// False if there is no memory for it: it was not put.
    #[must_use]
    pub(crate) fn comment(
        &mut self,
        comment: Text<'_>,
        shares: &Shares<'_>,
    ) -> bool {
        self.begin();
        if let Some((text, start)) = shares.text {
            let comment = self.batch.share(text, start, true);
            self.put(Kept::LargeComment(comment));
            return true;
        }
        let enough = self.batch.reserve(comment.bytes_with_nul().len());
        if enough {
            let comment = self.batch.add(comment);
            self.put(Kept::Comment(comment));
        }
        enough
    }

    pub(crate) fn last_event_id(&mut self, id: Text<'_>, shares: &Shares<'_>) {
        let mut new = Id::default();
        // One for which there is no memory is not told; it counts all the same
        // when the source comes back.
        let enough = new.keep(id, shares.last_event_id);
        self.new_last_event_id = enough.then_some(new);
    }

    pub(crate) fn error(&mut self, failure: &Failure, plan: RetryPlan) {
        self.begin();
        let failure = failure.clone();
        self.put(Kept::Error(Box::new(LastFailure { failure, plan })));
        self.hand_over();
    }

    /// Puts what has come since the last time.
    pub(crate) fn hand_over(&mut self) {
        if self.batch.left() == 0 {
            return;
        }
        self.usual = self.batch.capacity();
        let batch = mem::take(&mut self.batch);
        let mut shared = self.queue.lock();
        if shared.closed {
            return;
        }
        self.queue.put(&mut shared, batch);
        shared.full = !shared.held.leaves_room(shared.limit);
        self.full = shared.full;
        // One that does not wait for room puts what is left of a read beside
        // it, in batches that are not too small.
        self.room = if self.full { shared.limit } else { shared.room() };
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
        shared.untaken = shared.held.items > 0;
        !shared.untaken
    }

    /// Goes on: there is room, or the wait for it was given up.
    pub(crate) fn resume(&mut self) {
        let mut shared = self.queue.lock();
        shared.full = false;
        self.full = false;
        self.room = shared.room();
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
        let id = id.and_then(|id| {
            let last_event_id = id.shared();
            let shares = Shares { last_event_id, ..Shares::default() };
            self.add_id(id.text(), &shares, true)
        });
        self.batch.push(kept, id);
        self.make_room();
    }

    /// Adds the last event ID string to the batch, if there is memory for it.
    fn add_id(
        &mut self,
        id: Text<'_>,
        shares: &Shares<'_>,
        is_new: bool,
    ) -> Option<Name> {
        let text = id.bytes_with_nul();
        if text.len() < Writer::LONG_ID {
            self.long_id = None;
            return Some(self.batch.add_name(id));
        }
        let known = self.long_id.take().filter(|_| !is_new);
        let is_first = known.is_none();
        let id = match (known, shares.last_event_id) {
            (Some(known), _) => known,
            (None, Some(shared)) => shared.clone(),
            (None, None) => std::sync::Arc::new(copy(text).ok()?),
        };
        let name = self.batch.share(&id, 0, is_first);
        self.long_id = Some(id);
        Some(name)
    }

    fn make_room(&mut self) {
        if !self.batch.size().leaves_room(self.room) {
            self.hand_over();
        }
    }
}
