//! What has happened to a source, as pull mode shows it.

use std::ffi::c_char;
use std::mem::MaybeUninit;
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
}

/// The batch that the program takes from, and what it was shown of it.
#[derive(Default)]
pub(super) struct Taken {
    batch: Batch,
    /// They do not move while the program may look at them.
    places: Vec<Place>,
    shown: Shown,
}

/// What was shown last.
#[derive(Default)]
struct Shown {
    event: CEvent,
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
    #[inline]
    pub(super) fn take(
        &mut self,
        handle: &Handle,
        timeout: Option<Duration>,
    ) -> Result<*const CItem, Error> {
        let queue = handle.fill(&mut self.batch, timeout, 1)?;
        self.make_places(1)?;
        let item = self.show_next(handle, 0);
        queue.took(&self.batch);
        Ok(item)
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
        let most = self.make_places(room.len().min(self.batch.left()))?;
        let mut count = 0;
        while count < most && !self.shown.has_rare {
            room[count].write(self.show_next(handle, count));
            count += 1;
        }
        queue.took(&self.batch);
        Ok(count)
    }

    /// Makes places for so many items, or for one if there is no memory for
    /// all; tells for how many. Before any is taken, which would be lost.
    #[inline]
    fn make_places(&mut self, items: usize) -> Result<usize, Error> {
        if self.shown.has_rare {
            self.shown.forget_rare();
        }
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

    /// Takes the next item, and shows it in one of the places.
    // A call for each would be a quarter of its time.
    #[inline(always)]
    fn show_next(&mut self, handle: &Handle, place: usize) -> *const CItem {
        let place = &mut self.places[place];
        match self.batch.step_alike() {
            Some(data) => place.put_event(self.shown.event.with_data(data)),
            None => {
                handle.step(&mut self.batch);
                self.shown.show(self.batch.item(), handle, place);
            }
        }
        &raw const place.item
    }
}

impl Shown {
    #[cold]
    fn forget_rare(&mut self) {
        self.has_rare = false;
        self.response = None;
        self.failure = None;
        self.failure_text = None;
        self.last_event_id = Id::default();
    }

    /// Shows an item in its place.
    #[inline(never)]
    fn show(&mut self, item: Item<'_>, handle: &Handle, place: &mut Place) {
        match item {
            Item::Event(event, origin) => {
                self.event = CEvent::new(&event, origin);
                place.put_event(self.event.with_data(event.data));
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
