//! How much memory an event may take: eventsource_set_max_event_size(3).

use super::convert::guard;
use super::source::{CSource, set};
use crate::error::Error;

/// Sets the largest event in bytes of data, 64 MiB by default; 0 is no
/// limit.
///
/// A larger one is dropped as it comes, its id is kept, `on_error` is called
/// with EVENTSOURCE_ERROR_TOO_LARGE, and the stream goes on. To be set
/// before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_max_event_size(
    source: *mut CSource,
    bytes: usize,
) -> Error {
    guard(|| set(source, |setup| setup.options.max_event_size = bytes))
}
