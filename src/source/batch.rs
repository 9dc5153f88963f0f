//! A packed list of items: all that one read has brought.

use std::ffi::CStr;
use std::mem;
use std::sync::Arc;

use crate::error::Error;
use crate::failure::{Failure, LastFailure, RetryPlan};
use crate::parser::{Event, Text};
use crate::pool::Pool;
use crate::response::Response;
use crate::state::ReadyState;

static POOL: Pool<Batch> = Pool::new(16);

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
pub(super) enum Kept {
    Open(Box<Response>),
    Event {
        event_type: Name,
        last_event_id: Name,
        data: Span,
    },
    /// Its data is stored like a name.
    LargeEvent {
        event_type: Name,
        last_event_id: Name,
        data: Name,
    },
    Comment(Span),
    LargeComment(Name),
    Error(Box<LastFailure>),
    Close(Error),
}

/// Which bytes of a batch's text, with their NUL.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

struct Entry {
    kept: Kept,
    /// The last event ID string takes this value with the item.
    sets_last_event_id: Option<Name>,
}

/// Index into [`Batch::names`]: an event type or ID, stored once and shared by
/// consecutive events; or another text that is shared with the parser.
#[derive(Clone, Copy)]
pub(super) struct Name(u32);

/// Where a name stands.
enum Stored {
    Here(Span),
    /// With its NUL, from a place on: too long to be copied.
    Shared(Arc<Vec<u8>>, usize),
}

/// How much there is, or may be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

impl Size {
    /// Whether there is room for more below `limit`.
    pub(super) fn leaves_room(self, limit: Size) -> bool {
        self.items < limit.items && self.bytes < limit.bytes
    }
}

/// Items in the order of the stream, and which of them is next.
#[derive(Default)]
pub(crate) struct Batch {
    entries: Vec<Entry>,
    pub(super) next: usize,
    names: Vec<Stored>,
    text: Vec<u8>,
    /// Bytes of shared texts that no batch before this had.
    shared: usize,
    /// Of all its events: they came over one connection.
    pub(super) origin: Option<Box<CStr>>,
    /// How often the program had asked to reconnect when the attempt began. If
    /// it has asked more often since, this batch is from a connection that the
    /// program has given up.
    pub(crate) reconnects: u32,
}

impl Batch {
    /// More than a receive buffer of small events, and less than large ones.
    const LARGE: usize = 8 * 1024;
    const OUTSIZED: usize = 256 * 1024;

    /// An empty batch, for so much. Large ones come from a pool that all
    /// sources share: memory that was never used before is slow.
    pub(super) fn with_capacity(size: Size) -> Batch {
        if size.bytes >= Batch::LARGE
            && let Some(spare) = POOL.take()
        {
            return spare;
        }
        let mut batch = Batch {
            entries: Vec::with_capacity(size.items),
            ..Batch::default()
        };
        // A guess: it may grow later.
        let _ = batch.reserve(size.bytes.min(Batch::OUTSIZED));
        batch
    }

    /// Empties the batch, which may be of use to others.
    pub(super) fn recycle(&mut self) {
        let Batch { mut entries, mut names, mut text, .. } = mem::take(self);
        if !(Batch::LARGE..Batch::OUTSIZED).contains(&text.capacity()) {
            return;
        }
        entries.clear();
        names.clear();
        text.clear();
        POOL.give_back(Batch { entries, names, text, ..Batch::default() });
    }

    /// Releases those that nobody uses.
    pub(super) fn empty_pool() {
        POOL.empty();
    }

    pub(super) fn size(&self) -> Size {
        let bytes = self.text.len() + self.shared;
        Size { items: self.entries.len(), bytes }
    }

    /// The capacity that would have been enough for this batch.
    pub(super) fn capacity(&self) -> Size {
        Size { items: self.entries.len(), bytes: self.text.len() }
    }

    /// How many items are left to take.
    pub(crate) fn left(&self) -> usize {
        self.entries.len() - self.next
    }

    /// Whether this is the last batch.
    pub(super) fn closes(&self) -> bool {
        matches!(self.entries[..], [Entry { kept: Kept::Close(_), .. }])
    }

    pub(super) fn push(
        &mut self,
        kept: Kept,
        sets_last_event_id: Option<Name>,
    ) {
        self.entries.push(Entry { kept, sets_last_event_id });
    }

    /// Makes room for so many bytes of text; false if there is no memory.
    #[must_use]
    pub(super) fn reserve(&mut self, bytes: usize) -> bool {
        self.text.try_reserve(bytes).is_ok()
            || self.text.try_reserve_exact(bytes).is_ok()
    }

    /// Adds a text; there is room for it.
    pub(super) fn add(&mut self, text: Text<'_>) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text.bytes_with_nul());
        Span { start, end: self.text.len() }
    }

    pub(super) fn add_name(&mut self, name: Text<'_>) -> Name {
        let span = self.add(name);
        self.store(Stored::Here(span))
    }

    /// Adds a text that others have, too, from a place on; it counts if
    /// `is_first` and no other batch has had it.
    pub(super) fn share(
        &mut self,
        text: &Arc<Vec<u8>>,
        start: usize,
        is_first: bool,
    ) -> Name {
        if is_first {
            self.shared += text.len() - start;
        }
        self.store(Stored::Shared(text.clone(), start))
    }

    fn store(&mut self, name: Stored) -> Name {
        self.names.push(name);
        let last = self.names.len() - 1;
        Name(last.try_into().expect("a batch has come in one read"))
    }

    pub(super) fn name(&self, name: Name) -> Text<'_> {
        match &self.names[name.0 as usize] {
            Stored::Here(span) => self.text(*span),
            Stored::Shared(text, start) => Text::with_nul(&text[*start..]),
        }
    }

    /// Storage that others may share.
    fn shared(&self, name: Name) -> Option<&Arc<Vec<u8>>> {
        match &self.names[name.0 as usize] {
            Stored::Shared(text, 0) => Some(text),
            _ => None,
        }
    }

    /// Type and id of the last item, if it is an event.
    pub(super) fn last_event_names(&self) -> Option<(Name, Name)> {
        match self.entries.last()?.kept {
            Kept::Event { event_type, last_event_id, .. }
            | Kept::LargeEvent { event_type, last_event_id, .. } => {
                Some((event_type, last_event_id))
            }
            _ => None,
        }
    }

    pub(super) fn text(&self, span: Span) -> Text<'_> {
        Text::with_nul(&self.text[span.start..span.end])
    }

    fn last_taken(&self) -> &Entry {
        &self.entries[self.next - 1]
    }

    /// Which value the last event ID string takes with the item that was taken
    /// last, if it takes one; and storage that may be shared.
    pub(crate) fn sets_last_event_id(
        &self,
    ) -> Option<(Text<'_>, Option<&Arc<Vec<u8>>>)> {
        let name = self.last_taken().sets_last_event_id?;
        Some((self.name(name), self.shared(name)))
    }

    /// The ready state that the source takes with the item that was taken
    /// last, if it takes one.
    pub(crate) fn ready_state(&self) -> Option<ReadyState> {
        match &self.last_taken().kept {
            Kept::Event { .. } | Kept::LargeEvent { .. } => None,
            Kept::Comment(_) | Kept::LargeComment(_) => None,
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
                let data = self.text(*data);
                self.event(*event_type, *last_event_id, data)
            }
            Kept::LargeEvent { event_type, last_event_id, data } => {
                let data = self.name(*data);
                self.event(*event_type, *last_event_id, data)
            }
            Kept::Comment(comment) => Item::Comment(self.text(*comment)),
            Kept::LargeComment(comment) => Item::Comment(self.name(*comment)),
            Kept::Error(last) => Item::Error(&last.failure, last.plan),
            Kept::Close(reason) => Item::Close(*reason),
        }
    }

    #[inline]
    fn event<'a>(
        &'a self,
        event_type: Name,
        last_event_id: Name,
        data: Text<'a>,
    ) -> Item<'a> {
        let event = Event {
            event_type: self.name(event_type),
            data,
            last_event_id: self.name(last_event_id),
            sets_last_event_id: self.last_taken().sets_last_event_id.is_some(),
        };
        Item::Event(event, self.origin.as_deref().unwrap_or_default())
    }
}
