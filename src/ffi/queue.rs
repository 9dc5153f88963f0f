//! Pull mode: eventsource_next(3).

use std::ffi::c_int;
use std::ptr;
use std::time::Duration;

use super::convert::{flag, guard, out, room, shared};
use super::item::{CItem, Taken};
use super::source::{CSource, handle, setting};
use crate::error::Error;
use crate::source::handle::Handle;

/// Turns on pull mode: what happens to the source waits in a queue, until the
/// program takes it with eventsource_next(), on a thread of its own choice.
///
/// With a queue the source calls only `on_request`, `on_response` and
/// `on_retry`, on its own thread. The queue is full with `capacity` items, or
/// when their text is as long as that of one event may be
/// (eventsource_set_max_event_size()). While the queue is full the source reads
/// nothing: the server is slowed down, nothing is lost. With a few hundred items
/// both sides can work at once, as items cross in batches. After a failure the
/// next attempt begins when the program has taken the failure, and its delay has
/// passed (R26).
///
/// The ready state and the last event ID string are those of the last item
/// taken. EVENTSOURCE_ERROR_VALUE if `capacity` is 0, EVENTSOURCE_ERROR_SYSTEM
/// if the system is out of descriptors. eventsource_connect() returns
/// EVENTSOURCE_ERROR_QUEUE if a source with a queue has another callback or a
/// listener.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_queue(
    source: *mut CSource,
    capacity: usize,
) -> Error {
    setting(source, "eventsource_set_queue", |handle| {
        handle.set_queue(capacity)
    })
}

/// Sets whether comments go into the queue, too: 1 for yes, 0, the default, for
/// no.
///
/// Without a queue this has no effect. EVENTSOURCE_ERROR_VALUE for another
/// number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_comments(
    source: *mut CSource,
    wanted: c_int,
) -> Error {
    setting(source, "eventsource_set_comments", |handle| {
        let wanted = flag(wanted)?;
        handle.set(|setup| {
            setup.comments = wanted;
            Ok(())
        })
    })
}

/// Takes the next item from the queue, and stores it in `*item`. Waits for an
/// item for at most `timeout_ms` milliseconds; a negative number is no limit, 0
/// is no wait.
///
/// The item is borrowed until the next call of this function or
/// eventsource_next_batch(). After eventsource_close() the next item is the
/// close: items that waited are dropped. On error `*item` is NULL:
/// EVENTSOURCE_ERROR_TIMEOUT if no item has come, EVENTSOURCE_ERROR_CLOSED if
/// the close has been taken, EVENTSOURCE_ERROR_NOT_CONNECTED before
/// eventsource_connect(), EVENTSOURCE_ERROR_QUEUE if the source has no queue,
/// EVENTSOURCE_ERROR_BUSY if another thread is inside this call,
/// EVENTSOURCE_ERROR_CALLBACK in `on_request`, `on_response` and `on_retry`,
/// where the next item would never come.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_next(
    source: *mut CSource,
    timeout_ms: i64,
    item: *mut *const CItem,
) -> Error {
    if let (Ok(source), Ok(place)) = (shared(source), out(item))
        && let Some(item) = next_alike(source)
    {
        place.write(item);
        return Error::None;
    }
    guard(|| {
        let place = out(item)?;
        place.write(ptr::null());
        place.write(take(shared(source)?, timeout_ms, Taken::take)?);
        Ok(())
    })
}

/// Takes the next item, if little is to do for that: what a guard costs would be
/// a good part of it, and nothing in here can panic.
#[inline]
fn next_alike(source: &CSource) -> Option<*const CItem> {
    if source.handle.belongs_to_parent_process() {
        return None;
    }
    let mut taken = source.taken.enter()?;
    taken.as_mut()?.take_alike(&source.handle)
}

/// Takes as many items as are waiting, up to `max`, and stores them in `items`,
/// an array with room for that many, and their number in `*count`: for programs
/// where each call is expensive. Waits for the first item as eventsource_next()
/// does.
///
/// The items are borrowed until the next call of this function or
/// eventsource_next(). The ready state and the last event ID string are those
/// of the last of them. On error `*count` is 0. Errors are those of
/// eventsource_next(), and EVENTSOURCE_ERROR_VALUE if `max` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_next_batch(
    source: *mut CSource,
    timeout_ms: i64,
    items: *mut *const CItem,
    max: usize,
    count: *mut usize,
) -> Error {
    guard(|| {
        let place = out(count)?;
        place.write(0);
        let source = shared(source)?;
        if items.is_null() {
            return Err(Error::Null);
        }
        if max == 0 {
            return Err(Error::Value);
        }
        let count = take(source, timeout_ms, |taken, handle, timeout| {
            taken.take_many(handle, timeout, room(items, max))
        })?;
        place.write(count);
        Ok(())
    })
}

/// Has something taken from the queue, unless another thread does that.
#[inline]
fn take<T>(
    source: &CSource,
    timeout_ms: i64,
    take: impl FnOnce(&mut Taken, &Handle, Option<Duration>) -> Result<T, Error>,
) -> Result<T, Error> {
    // Before any lock: a thread that is not here may have held it.
    if source.handle.belongs_to_parent_process() {
        return Err(Error::System);
    }
    let mut taken = source.taken.enter().ok_or(Error::Busy)?;
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    take(taken.get_or_insert_default(), &source.handle, timeout)
}

/// Returns a descriptor that is readable exactly while an item waits, for
/// poll(2) and event loops; -1 if the source has no queue.
///
/// The descriptor belongs to the source, and exists from
/// eventsource_set_queue() to eventsource_free(). The program may only wait for
/// it: to read from it takes a wake-up away. After eventsource_close() it is
/// readable until the close has been taken. A loop that reports it only when it
/// becomes readable (EPOLLET), or once (EPOLLONESHOT), has to take items until
/// EVENTSOURCE_ERROR_TIMEOUT before it waits again. The program takes the
/// descriptor out of its loop before eventsource_free(). May be called from any
/// thread. -1 in a child of the process, too: the child shares the descriptor,
/// and must not read it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_fd(source: *const CSource) -> c_int {
    handle(source).and_then(|handle| handle.fd()).unwrap_or(-1)
}
