//! A packed list of items: all that one read has brought.

use std::collections::TryReserveError;
use std::ffi::CStr;
use std::mem;
use std::num::NonZeroU32;
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

/// What is kept of an item; its text stands in the batch. All numbers are
/// short, so that an item has 16 bytes.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    /// Its data.
    Event(Span),
    /// Its data, which others share.
    LargeEvent(Shared),
    Comment(Span),
    LargeComment(Shared),
    /// One of [`Batch::rare`].
    Rare(u32),
    Close(Error),
}

/// What is large, and seldom comes.
pub(super) enum Rare {
    Open(Box<Response>),
    Error(Box<LastFailure>),
}

/// Which bytes of a batch's text, with their NUL.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// Index into [`Batch::shared`].
#[derive(Clone, Copy)]
pub(super) struct Shared(u32);

struct Entry {
    kept: Kept,
    /// Of an event; of another item only if it changes the last event ID
    /// string.
    names: Option<Names>,
}

/// Index into [`Batch::names`], from 1 on: stored once, and shared by events
/// that have the same type and ID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Names(NonZeroU32);

struct Named {
    event_type: Place,
    last_event_id: Place,
    /// The last event ID string takes this value with the first item that has
    /// these names.
    sets_last_event_id: bool,
}

/// Where a type or an ID stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Here(Span),
    /// Too long to be copied.
    Shared(Shared),
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
    names: Vec<Named>,
    /// Those of the items that were taken before the last.
    names_before: Option<Names>,
    rare: Vec<Rare>,
    text: Vec<u8>,
    /// Texts with their NUL, each from a place on.
    shared: Vec<(Arc<Vec<u8>>, usize)>,
    /// Bytes of shared texts that no batch before this had.
    shared_bytes: usize,
    /// Of all its events: they came over one connection.
    pub(super) origin: Option<Arc<CStr>>,
    /// How often the program had asked to reconnect when the attempt began. If
    /// it has asked more often since, this batch is from a connection that the
    /// program has given up.
    pub(crate) reconnects: u32,
}

impl Batch {
    /// More than a receive buffer of small events, and less than large ones.
    const LARGE: usize = 8 * 1024;
    /// What a receive buffer brings has room in it.
    const LARGEST: usize = 512 * 1024;
    /// More than most reads bring.
    const MANY: usize = 32 * 1024;

    /// An empty batch, for so much. Large ones come from a pool that all
    /// sources share: memory that was never used before is slow.
    pub(super) fn with_capacity(size: Size) -> Batch {
        if size.bytes >= Batch::LARGE
            && let Some(spare) = POOL.take()
        {
            return spare;
        }
        let mut batch = Batch::default();
        // Guesses: both may grow later.
        let _ = batch.entries.try_reserve_exact(size.items.min(Batch::MANY));
        let _ = batch.reserve(match size.bytes {
            // As much as it would have grown to: it serves others, too.
            Batch::LARGE..=Batch::LARGEST => size.bytes.next_power_of_two(),
            bytes => bytes.min(Batch::LARGEST),
        });
        batch
    }

    /// The batch of the last item: to be closed needs no memory.
    pub(super) fn for_the_close() -> Result<Batch, TryReserveError> {
        let mut batch = Batch::default();
        batch.entries.try_reserve_exact(1)?;
        Ok(batch)
    }

    /// Empties the batch, which may be of use to others.
    pub(super) fn recycle(&mut self) {
        if self.entries.capacity() == 0 {
            return;
        }
        let Batch { mut entries, mut names, mut text, .. } = mem::take(self);
        if !(Batch::LARGE..=Batch::LARGEST).contains(&text.capacity())
            || entries.capacity() > Batch::MANY
            || names.capacity() > Batch::MANY
        {
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

    #[inline]
    pub(super) fn size(&self) -> Size {
        let bytes = self.text.len() + self.shared_bytes;
        Size { items: self.entries.len(), bytes }
    }

    /// The capacity that would have been enough for this batch.
    pub(super) fn capacity(&self) -> Size {
        Size { items: self.entries.len(), bytes: self.text.len() }
    }

    /// How many items are left to take.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.entries.len() - self.next
    }

    /// Whether this is the last batch.
    pub(super) fn closes(&self) -> bool {
        matches!(self.entries[..], [Entry { kept: Kept::Close(_), .. }])
    }

    /// Whether there is memory for an item.
    #[inline]
    pub(super) fn has_room(&mut self) -> bool {
        self.entries.len() < self.entries.capacity() || self.reserve_item()
    }

    #[cold]
    fn reserve_item(&mut self) -> bool {
        self.entries.try_reserve(1).is_ok()
    }

    /// Adds an item; false if there is no memory for it.
    #[inline]
    #[must_use]
    pub(super) fn push(&mut self, kept: Kept, names: Option<Names>) -> bool {
        let enough = self.has_room();
        if enough {
            self.entries.push(Entry { kept, names });
        }
        enough
    }

    /// Adds an item that seldom comes.
    #[must_use]
    pub(super) fn push_rare(
        &mut self,
        rare: Rare,
        names: Option<Names>,
    ) -> bool {
        let Ok(number) = u32::try_from(self.rare.len()) else { return false };
        let enough = self.rare.try_reserve(1).is_ok()
            && self.push(Kept::Rare(number), names);
        if enough {
            self.rare.push(rare);
        }
        enough
    }

    /// Makes room for so many bytes of text; false if there is no memory.
    #[cold]
    #[must_use]
    pub(super) fn reserve(&mut self, bytes: usize) -> bool {
        let fits = |text: &Vec<u8>| {
            text.len().checked_add(bytes).is_some_and(|end| {
                // Numbers of bytes are short.
                u32::try_from(end).is_ok()
            })
        };
        fits(&self.text)
            && (self.text.try_reserve(bytes).is_ok()
                || self.text.try_reserve_exact(bytes).is_ok())
    }

    /// Adds a text; None if there is no memory for it.
    #[inline]
    pub(super) fn add(&mut self, text: Text<'_>) -> Option<Span> {
        let text = text.bytes_with_nul();
        let start = self.text.len();
        // What has been reserved has short numbers.
        if self.text.capacity() - start < text.len()
            && !self.reserve(text.len())
        {
            return None;
        }
        self.text.extend_from_slice(text);
        let end = self.text.len();
        Some(Span { start: start as u32, end: end as u32 })
    }

    /// Adds a text that others have, too, from a place on; it counts if
    /// `is_first` and no other batch has had it. None if there is no memory.
    pub(super) fn share(
        &mut self,
        text: &Arc<Vec<u8>>,
        start: usize,
        is_first: bool,
    ) -> Option<Shared> {
        let number = u32::try_from(self.shared.len()).ok()?;
        self.shared.try_reserve(1).ok()?;
        self.shared.push((text.clone(), start));
        if is_first {
            self.shared_bytes += text.len() - start;
        }
        Some(Shared(number))
    }

    /// Adds a type and an ID; None if there is no memory.
    pub(super) fn name(
        &mut self,
        event_type: Place,
        last_event_id: Place,
        sets_last_event_id: bool,
    ) -> Option<Names> {
        self.names.try_reserve(1).ok()?;
        self.names.push(Named {
            event_type,
            last_event_id,
            sets_last_event_id,
        });
        let number = u32::try_from(self.names.len()).ok()?;
        NonZeroU32::new(number).map(Names)
    }

    #[inline]
    fn named(&self, names: Names) -> &Named {
        &self.names[names.0.get() as usize - 1]
    }

    /// The type and the ID of an event.
    pub(super) fn places(&self, names: Names) -> (Place, Place) {
        let named = self.named(names);
        (named.event_type, named.last_event_id)
    }

    /// Whether the event of these names has such a type.
    #[inline(never)]
    pub(super) fn has_type(&self, names: Names, event_type: Text<'_>) -> bool {
        self.at(self.named(names).event_type) == event_type
    }

    #[inline]
    fn at(&self, place: Place) -> Text<'_> {
        match place {
            Place::Here(span) => self.text(span),
            Place::Shared(shared) => self.shared(shared),
        }
    }

    #[inline]
    fn text(&self, span: Span) -> Text<'_> {
        Text::with_nul(&self.text[span.start as usize..span.end as usize])
    }

    fn shared(&self, shared: Shared) -> Text<'_> {
        let (text, start) = &self.shared[shared.0 as usize];
        Text::with_nul(&text[*start..])
    }

    /// Takes the next item.
    #[inline]
    pub(crate) fn step(&mut self) {
        if self.next > 0 {
            self.names_before = self.last_taken().names.or(self.names_before);
        }
        self.next += 1;
    }

    /// Takes the next item if that is an event which differs from the item before
    /// in its data alone, as most do: nothing changes with it, and its data are
    /// all there is to show.
    #[inline]
    pub(crate) fn step_alike(&mut self) -> Option<Text<'_>> {
        let rest = self.entries.get(self.next.checked_sub(1)?..)?;
        let [before, entry] = rest.first_chunk()?;
        let Kept::Event(data) = entry.kept else { return None };
        if entry.names != before.names {
            return None;
        }
        self.next += 1;
        Some(self.text(data))
    }

    /// Whether the item after the one that was taken last gives the last event ID
    /// string another value.
    #[inline]
    pub(crate) fn next_sets_last_event_id(&self) -> bool {
        let names = self.entries.get(self.next).and_then(|it| it.names);
        names.is_some_and(|names| {
            Some(names) != self.last_taken().names
                && self.named(names).sets_last_event_id
        })
    }

    /// Whether the item that was taken last is one that seldom comes.
    pub(crate) fn is_rare(&self) -> bool {
        matches!(self.last_taken().kept, Kept::Rare(_))
    }

    #[inline]
    fn last_taken(&self) -> &Entry {
        &self.entries[self.next - 1]
    }

    /// Which value the last event ID string takes with the item that was taken
    /// last, if it takes one; and storage that may be shared.
    #[inline]
    pub(crate) fn sets_last_event_id(
        &self,
    ) -> Option<(Text<'_>, Option<&Arc<Vec<u8>>>)> {
        let names = self.last_taken().names?;
        if self.names_before == Some(names) {
            return None;
        }
        let named = self.named(names);
        if !named.sets_last_event_id {
            return None;
        }
        let id = named.last_event_id;
        let shared = match id {
            Place::Shared(Shared(number)) => {
                match &self.shared[number as usize] {
                    (text, 0) => Some(text),
                    _ => None,
                }
            }
            Place::Here(_) => None,
        };
        Some((self.at(id), shared))
    }

    /// The ready state that the source takes with the item that was taken
    /// last, if it takes one.
    #[inline]
    pub(crate) fn ready_state(&self) -> Option<ReadyState> {
        match self.last_taken().kept {
            Kept::Event(_) | Kept::LargeEvent(_) => None,
            Kept::Comment(_) | Kept::LargeComment(_) => None,
            Kept::Close(_) => Some(ReadyState::Closed),
            Kept::Rare(number) => match &self.rare[number as usize] {
                Rare::Open(_) => Some(ReadyState::Open),
                Rare::Error(last) => {
                    match (last.failure.error, last.plan.delay) {
                        (Error::TooLarge, _) => None,
                        (_, Some(_)) => Some(ReadyState::Connecting),
                        (_, None) => Some(ReadyState::Closed),
                    }
                }
            },
        }
    }

    /// The item that was taken last.
    #[inline]
    pub(crate) fn item(&self) -> Item<'_> {
        let entry = self.last_taken();
        match entry.kept {
            Kept::Event(data) => self.event(entry, self.text(data)),
            Kept::LargeEvent(data) => self.event(entry, self.shared(data)),
            Kept::Comment(comment) => Item::Comment(self.text(comment)),
            Kept::LargeComment(comment) => Item::Comment(self.shared(comment)),
            Kept::Close(reason) => Item::Close(reason),
            Kept::Rare(number) => match &self.rare[number as usize] {
                Rare::Open(response) => Item::Open(response),
                Rare::Error(last) => Item::Error(&last.failure, last.plan),
            },
        }
    }

    #[inline]
    fn event<'a>(&'a self, entry: &Entry, data: Text<'a>) -> Item<'a> {
        let names = entry.names.expect("every event has them");
        let named = self.named(names);
        let event = Event {
            event_type: self.at(named.event_type),
            data,
            last_event_id: self.at(named.last_event_id),
            sets_last_event_id: named.sets_last_event_id,
        };
        Item::Event(event, self.origin.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue of a million small items is not to hold more than they need.
    #[test]
    fn an_item_has_16_bytes() {
        assert_eq!(size_of::<Entry>(), 16);
    }

    /// The names of an event are stored for all that have the same.
    #[test]
    fn the_id_is_set_by_the_first_item_that_has_it() {
        let mut batch = Batch::default();
        let event_type = batch.add(Text::with_nul(b"message\0")).unwrap();
        let id = batch.add(Text::with_nul(b"7\0")).unwrap();
        let names = batch.name(Place::Here(event_type), Place::Here(id), true);
        let data = batch.add(Text::with_nul(b"x\0")).unwrap();
        assert!(batch.push(Kept::Event(data), names));
        assert!(batch.push(Kept::Event(data), names));
        assert!(batch.push(Kept::Comment(data), None));
        let mut set = Vec::new();
        while batch.left() > 0 {
            batch.step();
            let id = batch.sets_last_event_id();
            set.push(id.map(|(id, _)| id.as_str().to_owned()));
        }
        assert_eq!(set, [Some("7".to_owned()), None, None]);
    }
}
