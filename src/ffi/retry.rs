//! How a source comes back: eventsource_set_reconnection_time(3).

use std::ffi::{c_int, c_void};
use std::time::Duration;

use super::convert::{Pointer, guard};
use super::event::{CFailure, FailureText, milliseconds};
use super::source::{CSource, set};
use crate::error::Error;
use crate::failure::Failure;
use crate::settings::retry::Retry;
use crate::source::handler::OnRetry;

/// Sets the reconnection time in milliseconds, 3000 by default. A `retry`
/// field of the stream changes it later on (R52).
///
/// It is the wait after a connection that had brought an event, with up to a
/// fifth more at random. Attempts that bring no event are followed by waits
/// that double, from twice this time, or half a second if that is longer, up
/// to 30 seconds, or this time if that is longer. A time under 10
/// milliseconds becomes 10 when a server has ended its stream, after events,
/// fifty times in a row. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_reconnection_time(
    source: *mut CSource,
    ms: u64,
) -> Error {
    guard(|| set(source, |setup| setup.options.reconnection_time = ms))
}

/// Sets the longest wait between two attempts in milliseconds, with up to a
/// fifth more at random. By default it is 30 seconds, or the reconnection
/// time if that is longer.
///
/// A limit set here holds for the server's `retry` and `Retry-After`, too.
/// One below half a second does not hurry what follows fruitless attempts.
/// EVENTSOURCE_ERROR_VALUE if `ms` is 0. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_reconnection_time(
    source: *mut CSource,
    ms: u64,
) -> Error {
    guard(|| {
        if ms == 0 {
            return Err(Error::Value);
        }
        set(source, |setup| setup.options.max_reconnection_time = Some(ms))
    })
}

/// Sets after how many attempts in a row that brought no event the source
/// gives up; 0, the default, for never. Its last failure is told to
/// `on_error`. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_attempts(
    source: *mut CSource,
    n: u32,
) -> Error {
    guard(|| set(source, |setup| setup.options.max_attempts = n))
}

/// Sets after which failures the source comes back: `retry` is an
/// `eventsource_retry`.
///
/// By default it is EVENTSOURCE_RETRY_STANDARD for a GET and
/// EVENTSOURCE_RETRY_NEVER for everything else, so that what is paid for is
/// not asked for twice by accident. A stream that has ended in good order,
/// EVENTSOURCE_ERROR_ENDED, and is not asked for again is no failure: no
/// `on_error` comes, and `on_close` says so. A stream that ends inside an
/// event, or breaks off, is lost: EVENTSOURCE_ERROR_LOST. `Retry-After` of a
/// response makes a wait longer, up to an hour. EVENTSOURCE_ERROR_VALUE for
/// another number. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_retry(
    source: *mut CSource,
    retry: c_int,
) -> Error {
    guard(|| {
        let retry = Retry::from_raw(retry).ok_or(Error::Value)?;
        set(source, |setup| setup.options.retry = Some(retry))
    })
}

/// A connection was refused or lost, and the program decides what follows:
/// it returns how many milliseconds the next attempt waits, or a negative
/// number for none.
///
/// What follows otherwise stands in `failure`: return `delay_ms` for another
/// attempt and -1 for none, whatever `will_retry` says, or
/// `will_retry ? delay_ms : -1` for no change. The source's state is the one
/// before the failure.
pub type RetryCallback = Option<
    extern "C" fn(
        source: *mut CSource,
        failure: *const CFailure,
        user_data: *mut c_void,
    ) -> i64,
>;

/// Sets what decides whether and when the source comes back.
///
/// It is called on the source's thread after every attempt that has failed
/// and every stream that was lost or has ended, before `on_error`. A wait of
/// 0 is at once: it is for the program to see that it does not turn in
/// circles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_retry(
    source: *mut CSource,
    on_retry: RetryCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    let on_retry = on_retry.map(|on_retry| -> OnRetry {
        Box::new(move |cause: &Failure, plan, wait| {
            let text = FailureText::new(cause);
            let mut failure = text.failure(cause.error, plan);
            failure.delay_ms = milliseconds(wait);
            let wait = on_retry(pointer.get(), &failure, user_data.get());
            u64::try_from(wait).ok().map(Duration::from_millis)
        })
    });
    guard(|| set(source, |setup| setup.questions.retry = on_retry))
}
