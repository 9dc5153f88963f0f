//! What has happened to a source, as pull mode shows it.

use std::collections::TryReserveError;
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

/// The batch that the program takes from, and what it was shown of it.
#[derive(Default)]
pub(super) struct Taken {
    batch: Batch,
    items: Vec<CItem>,
    events: Vec<CEvent>,
    /// There is a response or a failure among them, as the last: there is place
    /// for one.
    has_rare: bool,
    response: Option<CResponse>,
    failure_text: Option<FailureText>,
    failure: Option<CFailure>,
    /// That of the failure, with its NUL.
    last_event_id: Id,
}

impl Taken {
    /// Takes as many items as there is room for, and tells how many.
    pub(super) fn take(
        &mut self,
        handle: &Handle,
        timeout: Option<Duration>,
        room: &mut [MaybeUninit<*const CItem>],
    ) -> Result<usize, Error> {
        self.items.clear();
        self.events.clear();
        // Before any item is taken, which would be lost.
        self.reserve(1).map_err(|_| Error::System)?;
        // The short way is that of most items.
        if !handle.take_more(&mut self.batch) {
            handle.next(&mut self.batch, timeout)?;
        }
        if self.has_rare {
            self.forget_rare();
        }
        // What points to them must not move.
        let most = room.len().min(self.batch.left() + 1);
        let most = match self.reserve(most) {
            Ok(()) => most,
            Err(_) => 1,
        };
        for (index, place) in room[..most].iter_mut().enumerate() {
            if index > 0 && !handle.take_more(&mut self.batch) {
                break;
            }
            place.write(self.show(handle));
            if self.has_rare {
                break;
            }
        }
        Ok(self.items.len())
    }

    /// Makes room for so many items.
    fn reserve(&mut self, items: usize) -> Result<(), TryReserveError> {
        self.items.try_reserve(items)?;
        self.events.try_reserve(items)
    }

    #[cold]
    fn forget_rare(&mut self) {
        self.has_rare = false;
        self.response = None;
        self.failure = None;
        self.failure_text = None;
        self.last_event_id = Id::default();
    }

    /// Shows the item that was taken last.
    #[inline]
    fn show(&mut self, handle: &Handle) -> *const CItem {
        let mut item = CItem {
            r#type: ItemType::Event,
            reason: Error::None,
            response: ptr::null(),
            event: ptr::null(),
            comment: ptr::null(),
            comment_len: 0,
            failure: ptr::null(),
        };
        match self.batch.item() {
            Item::Event(event, origin) => {
                item.event =
                    keep(&mut self.events, CEvent::new(&event, origin));
            }
            Item::Open(response) => {
                self.has_rare = true;
                item.r#type = ItemType::Open;
                item.response = self.response.insert(CResponse::new(response));
            }
            Item::Comment(comment) => {
                item.r#type = ItemType::Comment;
                item.comment = pointer(comment);
                item.comment_len = length(comment);
            }
            Item::Error(cause, plan) => {
                self.has_rare = true;
                let text = self.failure_text.insert(FailureText::new(cause));
                self.last_event_id = handle.last_event_id();
                let id = self.last_event_id.text();
                let failure = text.failure(cause.error, plan, id);
                item.r#type = ItemType::Error;
                item.failure = self.failure.insert(failure);
            }
            Item::Close(reason) => {
                item.r#type = ItemType::Close;
                item.reason = reason;
            }
        }
        keep(&mut self.items, item)
    }
}

fn keep<T>(list: &mut Vec<T>, value: T) -> *const T {
    list.push(value);
    &raw const list[list.len() - 1]
}
