//! Pull mode: the queue of a source, and what is taken from it.

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;
use std::slice;
use std::sync::TryLockError;
use std::time::Duration;

use super::event::{Event, Failure, FailureText, Response, length, pointer};
use super::source::{EventSource, Source, handle, inner};
use super::{flag, guard};
use crate::error::Error;
use crate::source::handle::Handle;
use crate::source::queue::{self, Batch};

/// What an item tells.
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
    /// The source is CLOSED for good. The last item.
    Close = 5,
}

/// What has happened to a source: what a callback would have been given. All
/// of it is borrowed until the next call of eventsource_next() or
/// eventsource_next_batch() for the source.
#[repr(C)]
pub struct Item {
    /// What it tells, and so which of the members below is set; the others
    /// are NULL or zero.
    pub r#type: ItemType,
    /// EVENTSOURCE_ITEM_TYPE_CLOSE: why, as `on_close` would have been told.
    pub reason: Error,
    /// EVENTSOURCE_ITEM_TYPE_OPEN.
    pub response: *const Response,
    /// EVENTSOURCE_ITEM_TYPE_EVENT.
    pub event: *const Event,
    /// EVENTSOURCE_ITEM_TYPE_COMMENT: what stands after the colon.
    pub comment: *const c_char,
    /// Its length in bytes.
    pub comment_len: usize,
    /// EVENTSOURCE_ITEM_TYPE_ERROR.
    pub failure: *const Failure,
}

/// The batch that the program takes from, and what it was shown of it.
#[derive(Default)]
pub(super) struct Taken {
    batch: Batch,
    items: Vec<Item>,
    events: Vec<Event>,
    // No batch has more than one of these: it is handed over with them.
    response: Option<Response>,
    failure_text: Option<FailureText>,
    failure: Option<Failure>,
}

impl Taken {
    /// Takes as many items as there is room for, and tells how many.
    fn take(
        &mut self,
        handle: &Handle,
        timeout: Option<Duration>,
        room: &mut [MaybeUninit<*const Item>],
    ) -> Result<usize, Error> {
        handle.next(&mut self.batch, timeout)?;
        let most = room.len().min(self.batch.left() + 1);
        self.items.clear();
        self.events.clear();
        self.response = None;
        self.failure = None;
        self.failure_text = None;
        // What points to them must not move.
        self.items.reserve(most);
        self.events.reserve(most);
        for (index, place) in room.iter_mut().enumerate() {
            if index > 0 && !handle.take_more(&mut self.batch) {
                break;
            }
            place.write(self.show());
        }
        Ok(self.items.len())
    }

    /// Shows the item that was taken last.
    fn show(&mut self) -> *const Item {
        let mut item = Item {
            r#type: ItemType::Event,
            reason: Error::None,
            response: ptr::null(),
            event: ptr::null(),
            comment: ptr::null(),
            comment_len: 0,
            failure: ptr::null(),
        };
        match self.batch.item() {
            queue::Item::Event(event, origin) => {
                item.event = keep(&mut self.events, Event::new(&event, origin));
            }
            queue::Item::Open(response) => {
                item.r#type = ItemType::Open;
                item.response = self.response.insert(Response::new(response));
            }
            queue::Item::Comment(comment) => {
                item.r#type = ItemType::Comment;
                item.comment = pointer(comment);
                item.comment_len = length(comment);
            }
            queue::Item::Error(cause, plan) => {
                let text = self.failure_text.insert(FailureText::new(cause));
                let failure = text.failure(cause.error, plan);
                item.r#type = ItemType::Error;
                item.failure = self.failure.insert(failure);
            }
            queue::Item::Close(reason) => {
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

/// Pull mode: lets what happens to the source wait in a queue, until the
/// program takes it by eventsource_next(), on a thread of its own choice.
///
/// With a queue there are no callbacks but `on_request` and `on_retry`, which
/// are asked on the source's thread. The queue is full with `capacity` items,
/// or when their text is as long as that of one event may be
/// (eventsource_set_max_event_size()). While it is full nothing is read: the
/// server is slowed down, nothing is lost. A few hundred items let both sides
/// work at once; they cross in batches.
///
/// The ready state and the last event ID string are those of the item that
/// was taken last. EVENTSOURCE_ERROR_VALUE if `capacity` is 0,
/// EVENTSOURCE_ERROR_SYSTEM if the system has no descriptor to give. To be
/// set before eventsource_connect(), which says EVENTSOURCE_ERROR_QUEUE if
/// there is a queue and another callback or a listener.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_queue(
    source: *mut EventSource,
    capacity: usize,
) -> Error {
    // SAFETY: NULL or a living source, as the header asks.
    guard(|| unsafe { handle(source) }?.set_queue(capacity))
}

/// Sets whether comments wait in the queue, too: 1, or 0, the default.
///
/// Of no effect without a queue. EVENTSOURCE_ERROR_VALUE for another number.
/// To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_comments(
    source: *mut EventSource,
    wanted: c_int,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living source, as the header asks.
        let handle = unsafe { handle(source) }?;
        let wanted = flag(wanted)?;
        handle.set(|setup| {
            setup.comments = wanted;
            Ok(())
        })
    })
}

/// Takes the next item from the queue, and stores it in `*item`; waits for
/// one for at most `timeout_ms` milliseconds. A negative number is no limit,
/// 0 is no wait.
///
/// The item is borrowed until the next call of this or
/// eventsource_next_batch(). After eventsource_close() the next item is the
/// close: what was waiting is dropped. On error `*item` is NULL:
/// EVENTSOURCE_ERROR_TIMEOUT if none has come, EVENTSOURCE_ERROR_CLOSED if
/// the close has been taken, EVENTSOURCE_ERROR_NOT_CONNECTED before
/// eventsource_connect(), EVENTSOURCE_ERROR_QUEUE if the source has no queue.
/// One thread at a time may call it, EVENTSOURCE_ERROR_BUSY for another; in
/// `on_request` and `on_retry` there is no waiting for what follows,
/// EVENTSOURCE_ERROR_CALLBACK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_next(
    source: *mut EventSource,
    timeout_ms: i64,
    item: *mut *const Item,
) -> Error {
    // SAFETY: NULL, or where the caller wants the item; what is there is not
    // looked at.
    let place = unsafe { item.cast::<MaybeUninit<*const Item>>().as_mut() };
    let Some(place) = place else { return Error::Null };
    place.write(ptr::null());
    // SAFETY: NULL or a living source, as the header asks.
    let source = unsafe { inner(source) };
    guard(|| take(source?, timeout_ms, slice::from_mut(place)).map(|_| ()))
}

/// Takes as many items as are at hand, up to `max`, and stores them in
/// `items`, an array with room for that many, and their number in `*count`:
/// for programs to which each call is dear. Waits for the first as
/// eventsource_next() does.
///
/// The items are borrowed until the next call of this or eventsource_next().
/// The ready state and the last event ID string are those of the last of
/// them. On error `*count` is 0: as eventsource_next(), and
/// EVENTSOURCE_ERROR_VALUE if `max` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_next_batch(
    source: *mut EventSource,
    timeout_ms: i64,
    items: *mut *const Item,
    max: usize,
    count: *mut usize,
) -> Error {
    // SAFETY: NULL, or where the caller wants the number; what is there is not
    // looked at.
    let place = unsafe { count.cast::<MaybeUninit<usize>>().as_mut() };
    let Some(place) = place else { return Error::Null };
    place.write(0);
    // SAFETY: NULL or a living source, as the header asks.
    let source = unsafe { inner(source) };
    guard(|| {
        let source = source?;
        if items.is_null() {
            return Err(Error::Null);
        }
        if max == 0 {
            return Err(Error::Value);
        }
        // SAFETY: the caller's, with room for so many, and not read.
        let items = unsafe { slice::from_raw_parts_mut(items.cast(), max) };
        place.write(take(source, timeout_ms, items)?);
        Ok(())
    })
}

fn take(
    source: &Source,
    timeout_ms: i64,
    room: &mut [MaybeUninit<*const Item>],
) -> Result<usize, Error> {
    let mut taken = match source.taken.try_lock() {
        Ok(taken) => taken,
        Err(TryLockError::Poisoned(taken)) => taken.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(Error::Busy),
    };
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    taken.get_or_insert_default().take(&source.handle, timeout, room)
}

/// Returns a descriptor that is readable exactly while an item waits, for
/// poll(2) and event loops; -1 if the source has no queue.
///
/// It is the source's, there from eventsource_set_queue() to
/// eventsource_free(), and only to be waited for: to read it takes a wake-up
/// away. After eventsource_close() it is readable until the close has been
/// taken. May be called from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_fd(source: *const EventSource) -> c_int {
    // SAFETY: NULL or a living source, as the header asks.
    let handle = unsafe { handle(source) };
    handle.and_then(|handle| handle.fd()).unwrap_or(-1)
}
