//! How long the network may take: eventsource_set_connect_timeout(3).

use std::time::Duration;

use super::convert::guard;
use super::source::{CSource, set};
use crate::error::Error;

/// Sets how long an attempt may take to be connected, in milliseconds: the
/// look-up of the name, TCP and TLS together. 30000 by default, 0 for ever.
///
/// It is EVENTSOURCE_ERROR_TIMEOUT then, and comes anew with each redirect.
/// None of these times limits how long a stream lasts. To be set before
/// eventsource_connect(), as the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_connect_timeout(
    source: *mut CSource,
    ms: u64,
) -> Error {
    let timeout = timeout(ms);
    guard(|| set(source, |setup| setup.options.connect_timeout = timeout))
}

/// Sets how long a server may take for the head of its response, in
/// milliseconds, from the last byte of the request that it has taken. 60000
/// by default, 0 for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_response_timeout(
    source: *mut CSource,
    ms: u64,
) -> Error {
    let timeout = timeout(ms);
    guard(|| set(source, |setup| setup.options.response_timeout = timeout))
}

/// Sets how long an open stream may be silent, in milliseconds; 0, the
/// default, for ever.
///
/// Any byte counts, comments too; the time that callbacks take does not. A
/// stream that is silent for longer is lost: EVENTSOURCE_ERROR_TIMEOUT.
/// Without it TCP notices a dead peer all the same, within minutes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_idle_timeout(
    source: *mut CSource,
    ms: u64,
) -> Error {
    let timeout = timeout(ms);
    guard(|| set(source, |setup| setup.options.idle_timeout = timeout))
}

/// 0 is no limit.
fn timeout(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}
