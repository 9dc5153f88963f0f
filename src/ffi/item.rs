//! What has happened to a source, as pull mode shows it.

use std::ffi::c_char;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::time::Duration;

use super::event::{CEvent, CFailure, FailureText, length, pointer};
use super::response::CResponse;
use crate::error::Error;
use crate::parser::Id;
use crate::source::batch::{Batch, Item};
use crate::source::handle::Handle;

/// What an item reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum ItemType {
    /// A connection is announced: the source is OPEN.
    Open = 1,
    /// An event is dispatched.
    Event = 2,
    /// A comment has come.
    Comment = 3,
    /// A connection was refused, lost or given up, or an event was dropped.
    Error = 4,
    /// The source is CLOSED for good. This is the last item.
    Close = 5,
}

/// What has happened to a source, as a callback would have reported it. All of
/// it is borrowed until the next call of eventsource_next() or
/// eventsource_next_batch() for the source.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct CItem {
    /// What the item reports, and so which of the members below is set; the
    /// others are NULL or zero.
    pub r#type: ItemType,
    /// EVENTSOURCE_ITEM_TYPE_CLOSE: the reason, as for `on_close`.
    pub reason: Error,
    /// EVENTSOURCE_ITEM_TYPE_OPEN: the head of the response.
    pub response: *const CResponse,
    /// EVENTSOURCE_ITEM_TYPE_EVENT: the event.
    pub event: *const CEvent,
    /// EVENTSOURCE_ITEM_TYPE_COMMENT: the text after the colon.
    pub comment: *const c_char,
    /// The length of `comment` in bytes.
    pub comment_len: usize,
    /// EVENTSOURCE_ITEM_TYPE_ERROR: the failure.
    pub failure: *const CFailure,
}

impl CItem {
    /// An item of which nothing is set but its type.
    #[inline]
    fn of(r#type: ItemType) -> CItem {
        CItem {
            r#type,
            reason: Error::None,
            response: ptr::null(),
            event: ptr::null(),
            comment: ptr::null(),
            comment_len: 0,
            failure: ptr::null(),
        }
    }
}

/// Where the program is shown an item.
struct Place {
    item: CItem,
    /// The item's, if it is one.
    event: CEvent,
}

impl Place {
    fn empty() -> Place {
        Place { item: CItem::of(ItemType::Close), event: CEvent::default() }
    }

    #[inline]
    fn put_event(&mut self, event: CEvent) {
        self.event = event;
        let event = &raw const self.event;
        self.item = CItem { event, ..CItem::of(ItemType::Event) };
    }

    /// Shows what is shown there.
    fn put(&mut self, other: &Place) {
        match other.item.r#type {
            ItemType::Event => self.put_event(other.event),
            _ => self.item = other.item,
        }
    }
}

/// The batch that the program takes from, and what it was shown of it. Nothing of
/// this moves while the program may look at it.
#[derive(Default)]
pub(super) struct Taken {
    batch: Batch,
    shown: Shown,
    /// Where several items are shown.
    places: Vec<Place>,
}

/// What was shown last.
struct Shown {
    place: Place,
    /// The last item has a response or a failure: there is place for one.
    has_rare: bool,
    response: Option<CResponse>,
    failure_text: Option<FailureText>,
    failure: Option<CFailure>,
    /// That of the failure, with its NUL.
    last_event_id: Id,
}

impl Taken {
    /// Takes the next item.
    pub(super) fn take(
        &mut self,
        handle: &Handle,
        timeout: Option<Duration>,
    ) -> Result<*const CItem, Error> {
        let queue = handle.fill(&mut self.batch, timeout, 1)?;
        self.shown.forget_rare();
        handle.step(&mut self.batch, true);
        self.shown.show(self.batch.item(), handle);
        queue.took(&self.batch);
        Ok(&raw const self.shown.place.item)
    }

    /// Takes the next item if little is to do for that: it differs from the
    /// item before in its data alone, and is not the last of what has crossed
    /// the queue at once.
    #[inline]
    pub(super) fn take_alike(
        &mut self,
        handle: &Handle,
    ) -> Option<*const CItem> {
        if self.batch.left() < 2 || !handle.has_left(&self.batch) {
            return None;
        }
        let data = self.batch.step_alike()?;
        // The item before was an event, too.
        let Place { item, event } = &mut self.shown.place;
        *event = event.with_data(data);
        Some(item)
    }

    /// Takes as many items as there is room for, and tells how many.
    #[inline]
    pub(super) fn take_many(
        &mut self,
        handle: &Handle,
        timeout: Option<Duration>,
        room: &mut [MaybeUninit<*const CItem>],
    ) -> Result<usize, Error> {
        let queue = handle.fill(&mut self.batch, timeout, room.len())?;
        self.shown.forget_rare();
        let most = self.make_places(room.len().min(self.batch.left()))?;
        let mut count = 0;
        while count < most && !self.shown.has_rare {
            let place = &mut self.places[count];
            match self.batch.step_alike() {
                Some(data) => {
                    place.put_event(self.shown.place.event.with_data(data));
                }
                None => {
                    let is_last = count + 1 == most;
                    handle.step(&mut self.batch, is_last);
                    self.shown.show(self.batch.item(), handle);
                    place.put(&self.shown.place);
                }
            }
            room[count].write(&raw const place.item);
            count += 1;
        }
        queue.took(&self.batch);
        Ok(count)
    }

    /// Makes places for so many items, or for one if there is no memory for
    /// all; tells for how many. Before any is taken, which would be lost.
    #[inline]
    fn make_places(&mut self, items: usize) -> Result<usize, Error> {
        match items <= self.places.len() {
            true => Ok(items),
            false => self.make_more_places(items),
        }
    }

    #[cold]
    fn make_more_places(&mut self, items: usize) -> Result<usize, Error> {
        let more = items - self.places.len();
        if self.places.try_reserve(more).is_ok() {
            self.places.resize_with(items, Place::empty);
        } else if self.places.is_empty() && items > 1 {
            return self.make_more_places(1);
        }
        match self.places.len().min(items) {
            0 => Err(Error::System),
            places => Ok(places),
        }
    }
}

impl Default for Shown {
    /// Nothing.
    fn default() -> Shown {
        Shown {
            place: Place::empty(),
            has_rare: false,
            response: None,
            failure_text: None,
            failure: None,
            last_event_id: Id::default(),
        }
    }
}

impl Shown {
    #[inline]
    fn forget_rare(&mut self) {
        if mem::take(&mut self.has_rare) {
            self.release_rare();
        }
    }

    #[cold]
    fn release_rare(&mut self) {
        self.response = None;
        self.failure = None;
        self.failure_text = None;
        self.last_event_id = Id::default();
    }

    /// Shows an item.
    #[inline(never)]
    fn show(&mut self, item: Item<'_>, handle: &Handle) {
        let place = &mut self.place;
        match item {
            Item::Event(event, origin) => {
                place.put_event(CEvent::new(&event, origin));
            }
            Item::Open(response) => {
                self.has_rare = true;
                let response = self.response.insert(CResponse::new(response));
                place.item = CItem { response, ..CItem::of(ItemType::Open) };
            }
            Item::Comment(comment) => {
                place.item = CItem {
                    comment: pointer(comment),
                    comment_len: length(comment),
                    ..CItem::of(ItemType::Comment)
                };
            }
            Item::Error(cause, plan) => {
                self.has_rare = true;
                let text = self.failure_text.insert(FailureText::new(cause));
                self.last_event_id = handle.last_event_id();
                let id = self.last_event_id.text();
                let failure = text.failure(cause.error, plan, id);
                let failure = self.failure.insert(failure);
                place.item = CItem { failure, ..CItem::of(ItemType::Error) };
            }
            Item::Close(reason) => {
                place.item = CItem { reason, ..CItem::of(ItemType::Close) };
            }
        }
    }
}
