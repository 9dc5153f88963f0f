//! How long the network may take: eventsource_set_connect_timeout(3).

use std::time::Duration;

use super::convert::guard;
use super::source::{CSource, set};
use crate::error::Error;

/// Sets how long connecting may take, in milliseconds: the look-up of the host
/// name, TCP and TLS together. The default is 30000; 0 is no limit.
///
/// An attempt that takes longer fails with EVENTSOURCE_ERROR_TIMEOUT. The time
/// starts again for each redirect. None of the three time limits is a limit for
/// how long a stream lasts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_connect_timeout(
    source: *mut CSource,
    ms: u64,
) -> Error {
    let timeout = timeout(ms);
    guard(|| set(source, |setup| setup.options.connect_timeout = timeout))
}

/// Sets how long a server may take for the head of its response, in
/// milliseconds, from the last byte of the request that the server has taken.
/// The default is 300000, as many servers send the head with the first event; 0
/// is no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_response_timeout(
    source: *mut CSource,
    ms: u64,
) -> Error {
    let timeout = timeout(ms);
    guard(|| set(source, |setup| setup.options.response_timeout = timeout))
}

/// Sets how long an open stream may be silent, in milliseconds. The default, 0,
/// is no limit.
///
/// Any byte counts, those of comments too; the time that callbacks take does
/// not. A stream that is silent for longer is lost with
/// EVENTSOURCE_ERROR_TIMEOUT. Without this limit TCP still notices a dead peer:
/// see eventsource_connect().
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
