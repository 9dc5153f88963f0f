//! Callbacks and listeners: eventsource_on_event(3).

use std::ffi::{CStr, c_char, c_void};

use super::convert::{Pointer, UserData, guard, name, out};
use super::event::{CEvent, CFailure, FailureText, length, pointer};
use super::response::CResponse;
use super::source::{CSource, handle, set};
use crate::error::Error;
use crate::failure::Failure;
use crate::parser::{Event, Text};
use crate::response::Response;
use crate::source::handle::OnClose;
use crate::source::listeners::{OnEvent, OnRemoved};
use crate::source::push::{OnComment, OnError, OnOpen};

/// Called when a connection is announced: the response was accepted, and the
/// source is OPEN (R16, R25). No byte of the stream need have come yet.
pub type OpenCallback = Option<
    extern "C" fn(
        source: *mut CSource,
        response: *const CResponse,
        user_data: *mut c_void,
    ),
>;

/// Called with each event that is dispatched.
pub type EventCallback = Option<
    extern "C" fn(
        source: *mut CSource,
        event: *const CEvent,
        user_data: *mut c_void,
    ),
>;

/// Called once for each connection that was refused, lost or given up, and for
/// each event that was dropped because of its size. The source's ready state is
/// already the one that `failure` implies (R26, R28).
pub type ErrorCallback = Option<
    extern "C" fn(
        source: *mut CSource,
        failure: *const CFailure,
        user_data: *mut c_void,
    ),
>;

/// Called when the source has become CLOSED for good. `reason` is
/// EVENTSOURCE_ERROR_NONE if the program closed the source,
/// EVENTSOURCE_ERROR_ENDED if the stream ended and the source does not ask for
/// it again, and otherwise the error of the last `on_error`.
pub type CloseCallback = Option<
    extern "C" fn(source: *mut CSource, reason: Error, user_data: *mut c_void),
>;

/// Called with each comment: a line that begins with a colon, often sent only
/// so that the connection stays alive. `comment` is the text after the colon,
/// unchanged and `len` bytes long.
pub type CommentCallback = Option<
    extern "C" fn(
        source: *mut CSource,
        comment: *const c_char,
        len: usize,
        user_data: *mut c_void,
    ),
>;

/// Called once for a listener that was added, when it is called no more: what
/// `user_data` points to can be released.
pub type RemovedCallback = Option<extern "C" fn(user_data: *mut c_void)>;

/// Sets the callback that is called when a connection is announced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_open(
    source: *mut CSource,
    on_open: OpenCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    let on_open = on_open.map(|on_open| -> OnOpen {
        Box::new(move |response: &Response| {
            let response = CResponse::new(response);
            on_open(pointer.get(), &response, user_data.get());
        })
    });
    guard(|| set(source, |setup| setup.callbacks.open = on_open))
}

/// Sets the callback for events of every type. It is called before the
/// listeners of the event's type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_event(
    source: *mut CSource,
    on_event: EventCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    let on_event =
        on_event.map(|on_event| listener(pointer, on_event, user_data));
    guard(|| set(source, |setup| setup.callbacks.event = on_event))
}

/// Sets the callback that is called when a connection was refused, lost or
/// given up, or an event was dropped because of its size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_error(
    source: *mut CSource,
    on_error: ErrorCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    let on_error = on_error.map(|on_error| -> OnError {
        Box::new(move |cause: &Failure, plan, id: Text<'_>| {
            let text = FailureText::new(cause);
            let failure = text.failure(cause.error, plan, id);
            on_error(pointer.get(), &failure, user_data.get());
        })
    });
    guard(|| set(source, |setup| setup.callbacks.error = on_error))
}

/// Sets the callback that is called last of all, exactly once: when a source
/// that was connected has become CLOSED, by the program or by itself.
///
/// The callback runs on the source's thread, even if another thread has closed
/// the source. A source that was never connected calls nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_close(
    source: *mut CSource,
    on_close: CloseCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    let on_close = on_close.map(|on_close| -> OnClose {
        Box::new(move |reason| {
            on_close(pointer.get(), reason, user_data.get());
        })
    });
    guard(|| handle(source)?.set_on_close(on_close))
}

/// Sets the callback for comments. Without it comments are skipped, at next to
/// no cost.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_comment(
    source: *mut CSource,
    on_comment: CommentCallback,
    user_data: *mut c_void,
) -> Error {
    let (from, user_data) = (Pointer(source), Pointer(user_data));
    let on_comment = on_comment.map(|on_comment| -> OnComment {
        Box::new(move |comment: Text<'_>| {
            let len = length(comment);
            on_comment(from.get(), pointer(comment), len, user_data.get());
        })
    });
    guard(|| set(source, |setup| setup.callbacks.comment = on_comment))
}

/// Adds a listener for the events of one type, and stores its number, which is
/// never 0, in `*id`.
///
/// May be called at any time, from any thread, in callbacks. Listeners of a
/// type are called in the order in which they were added, and a listener that
/// was added twice is called twice; a listener that is added while an event is
/// dispatched is first called for the next event. `message` is the type of
/// events to which the stream gives none (R57). `id` may be NULL if the
/// listener will not be removed.
///
/// `on_removed`, unless it is NULL, is called exactly once, when the listener
/// is called no more, so that `user_data` can be released. It is called on the
/// thread that calls eventsource_remove_listener(), before that returns; or, if
/// the listener runs at that moment, on the source's thread, as soon as the
/// listener has returned. For a listener that was not removed it is called when
/// the source has ended, on the source's thread, after `on_close`; or by
/// eventsource_free(), if the source was not connected, or if the listener was
/// added after its end. No lock is held meanwhile. In `on_removed` nothing may
/// be called on the source. It is not called on error, nor in a child process
/// for a source that the parent has connected.
///
/// EVENTSOURCE_ERROR_QUEUE if the source has a queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_add_listener(
    source: *mut CSource,
    r#type: *const c_char,
    on_event: EventCallback,
    user_data: *mut c_void,
    on_removed: RemovedCallback,
    id: *mut u64,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    let mut place = out(id).ok();
    if let Some(place) = &mut place {
        place.write(0);
    }
    guard(|| {
        let handle = handle(source)?;
        let event_type = name(r#type)?;
        let on_event = on_event.ok_or(Error::Null)?;
        let of_removed = Pointer(user_data.get());
        let on_removed = on_removed.map(|on_removed| -> OnRemoved {
            Box::new(move || on_removed(of_removed.get()))
        });
        let on_event = listener(pointer, on_event, user_data);
        let id = handle.add_listener(event_type, on_event, on_removed)?;
        if let Some(place) = place {
            place.write(id);
        }
        Ok(())
    })
}

fn listener(
    source: Pointer<CSource>,
    on_event: extern "C" fn(*mut CSource, *const CEvent, *mut c_void),
    user_data: UserData,
) -> OnEvent {
    Box::new(move |event: &Event<'_>, origin: &CStr| {
        let event = CEvent::new(event, origin);
        on_event(source.get(), &event, user_data.get());
    })
}

/// Removes the listener with the number `id`.
///
/// May be called at any time, from any thread, in callbacks. On the source's
/// own thread, so in callbacks, the listener is not called from here on. On
/// another thread this function does not wait: a listener that is running runs
/// to its end. A listener with `on_removed` does not begin to run after this
/// call, and `on_removed` tells when `user_data` can be released. A listener
/// without `on_removed` may still begin, if it was about to; its `user_data`
/// must live until another callback of the source has begun after this call, or
/// until eventsource_wait() or eventsource_free() has returned.
/// EVENTSOURCE_ERROR_VALUE if no listener has this number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_remove_listener(
    source: *mut CSource,
    id: u64,
) -> Error {
    guard(|| handle(source)?.remove_listener(id))
}
