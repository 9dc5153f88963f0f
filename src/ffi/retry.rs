//! How a source comes back: eventsource_set_reconnection_time(3).

use std::ffi::{c_int, c_void};
use std::time::Duration;

use super::convert::{Pointer, guard};
use super::event::{CFailure, FailureText, milliseconds};
use super::source::{CSource, set, setting};
use crate::error::Error;
use crate::failure::Failure;
use crate::parser::Text;
use crate::settings::retry::Retry;
use crate::source::handler::OnRetry;

/// Sets the reconnection time in milliseconds, 3000 by default. A `retry` field
/// of the stream changes it later (R52).
///
/// After a connection that worked, the source waits for the reconnection time,
/// and up to a fifth more at random. A connection has worked if it brought an
/// event or an id, or was open for a second. After failed attempts half of the
/// delay is random. The first delay is between the reconnection time and twice
/// that time; the delay doubles each time, from at least 500 ms up to 30
/// seconds, or up to the reconnection time if that is longer. After fifty
/// connections in a row that worked, a reconnection time below 10 ms is raised
/// to 10 ms.
///
/// After a stream that ended in good order, a GET is sent over the same
/// connection if the server keeps it open and the wait is shorter than 5
/// seconds (RFC 9112, 9.3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_reconnection_time(
    source: *mut CSource,
    ms: u64,
) -> Error {
    guard(|| set(source, |setup| setup.options.reconnection_time = ms))
}

/// Sets the longest delay between two attempts, in milliseconds; up to a fifth
/// more is added at random. The default is 30000, or the reconnection time if
/// that is longer.
///
/// The limit also holds for the server's `retry` and `Retry-After`. Even with a
/// limit below 500 ms, delays after two failed attempts in a row are never
/// below 500 ms. EVENTSOURCE_ERROR_VALUE if `ms` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_reconnection_time(
    source: *mut CSource,
    ms: u64,
) -> Error {
    setting(source, "eventsource_set_max_reconnection_time", |handle| {
        if ms == 0 {
            return Err(Error::Value);
        }
        handle.set(|setup| {
            setup.options.max_reconnection_time = Some(ms);
            Ok(())
        })
    })
}

/// Sets after how many failed attempts in a row the source gives up; 0, the
/// default, is no limit. An attempt whose connection worked begins the count
/// anew. `on_error` gets the last failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_attempts(
    source: *mut CSource,
    n: u32,
) -> Error {
    guard(|| set(source, |setup| setup.options.max_attempts = n))
}

/// Sets after which failures the source reconnects. `retry` is an
/// `eventsource_retry`.
///
/// The default is EVENTSOURCE_RETRY_STANDARD for a GET and
/// EVENTSOURCE_RETRY_NEVER for everything else, so that a request that costs
/// money is not repeated by accident. If a stream ends in good order and the
/// source does not ask for it again, that is no failure: `on_error` is not
/// called, and `on_close` gets EVENTSOURCE_ERROR_ENDED. A stream that ends
/// inside an event, or breaks off, is lost with EVENTSOURCE_ERROR_LOST. No
/// policy repeats a request other than GET whose stream has come to its end, or
/// one that was redirected from https to http or to no http or https URL.
/// `Retry-After` of a response makes the delay longer, up to an hour.
/// EVENTSOURCE_ERROR_VALUE for another number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_retry(
    source: *mut CSource,
    retry: c_int,
) -> Error {
    setting(source, "eventsource_set_retry", |handle| {
        let retry = Retry::from_raw(retry).ok_or(Error::Value)?;
        handle.set(|setup| {
            setup.options.retry = Some(retry);
            Ok(())
        })
    })
}

/// Called after a connection was refused or lost, to decide what follows.
/// Returns the delay before the next attempt in milliseconds, or a negative
/// number for no further attempt.
///
/// `failure` says what follows by default; `delay_ms` is the delay of another
/// attempt also where `will_retry` is 0. To keep the default, return
/// `will_retry ? delay_ms : -1`; to decide otherwise, return `delay_ms` for
/// another attempt and -1 for none. The answer overrules the policy,
/// eventsource_set_max_attempts(), and a server that wants no more (status
/// 204). The source's
/// ready state is still the one before the failure.
pub type RetryCallback = Option<
    extern "C" fn(
        source: *mut CSource,
        failure: *const CFailure,
        user_data: *mut c_void,
    ) -> i64,
>;

/// Sets the callback that decides whether and when the source reconnects.
///
/// The callback runs on the source's thread after every attempt that has failed
/// and every stream that was lost or has ended, before `on_error`. With a delay
/// of 0 the next attempt begins at once: the program must make sure that it
/// does not reconnect in a tight loop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_retry(
    source: *mut CSource,
    on_retry: RetryCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    let on_retry = on_retry.map(|on_retry| -> OnRetry {
        Box::new(move |cause: &Failure, plan, id: Text<'_>, wait| {
            let text = FailureText::new(cause);
            let mut failure = text.failure(cause.error, plan, id);
            failure.delay_ms = milliseconds(wait);
            let wait = on_retry(pointer.get(), &failure, user_data.get());
            u64::try_from(wait).ok().map(Duration::from_millis)
        })
    });
    guard(|| set(source, |setup| setup.questions.set().retry = on_retry))
}
