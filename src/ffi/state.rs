//! The state of a source: eventsource_ready_state(3).

use std::ffi::{c_char, c_int};
use std::ptr;

use super::convert::{guard, room, write_sized};
use super::source::{CSource, handle};
use super::stats::CStats;
use crate::error::Error;
use crate::panic::catch;
use crate::state::ReadyState;

/// Returns the ready state of `source`; CLOSED if `source` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_ready_state(
    source: *const CSource,
) -> ReadyState {
    handle(source).map_or(ReadyState::Closed, |handle| handle.ready_state())
}

/// Returns the URL of `source` as the URL Standard serializes it; redirects do
/// not change it (R3). Borrowed until eventsource_free(); NULL if `source` is
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_url(
    source: *const CSource,
) -> *const c_char {
    handle(source).map_or(ptr::null(), |handle| handle.url().as_ptr())
}

/// Stores the last event ID string, with its NUL, in `buffer`, and returns its
/// length without the NUL.
///
/// The string is that of the last event dispatched, over all connections;
/// inside a callback with an event, that event's. If it does not fit into
/// `size` bytes, an empty text is stored in its place, so that nobody resumes
/// with half an ID. `buffer` may be NULL if `size` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_last_event_id(
    source: *const CSource,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let room = room(buffer.cast::<u8>(), size);
    if let Some(first) = room.first_mut() {
        first.write(0);
    }
    let Ok(handle) = handle(source) else { return 0 };
    let copied = catch(|| {
        handle.with_last_event_id(|id| {
            if id.len() < room.len() {
                let text = id.iter().chain(&[0]);
                for (place, byte) in room.iter_mut().zip(text) {
                    place.write(*byte);
                }
            }
            id.len()
        })
    });
    copied.unwrap_or(0)
}

/// Returns 1 if other origins get their own credentials (R4), else 0; 0 if
/// `source` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_with_credentials(
    source: *const CSource,
) -> c_int {
    handle(source).is_ok_and(|handle| handle.with_credentials()).into()
}

/// Stores what the source has counted in `*stats`, which has `size` bytes: pass
/// `sizeof *stats`, so that programs and libraries of different versions
/// understand each other.
///
/// May be called from any thread at any time. This function does not wait, and
/// costs the source nothing. EVENTSOURCE_ERROR_NULL if an argument is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_get_stats(
    source: *const CSource,
    stats: *mut CStats,
    size: usize,
) -> Error {
    guard(|| {
        if stats.is_null() {
            return Err(Error::Null);
        }
        let counted = handle(source).map(|handle| handle.stats());
        let shown = counted
            .as_ref()
            .map_or_else(|_| CStats::default(), |counted| CStats::new(counted));
        write_sized(&shown, stats, size);
        counted.map(|_| ())
    })
}
