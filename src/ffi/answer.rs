//! What becomes of a response: eventsource_on_response(3).

use std::ffi::{c_int, c_void};

use super::convert::{Pointer, guard};
use super::response::CResponse;
use super::source::{CSource, set};
use crate::error::Error;
use crate::response::{Response, Verdict};
use crate::source::handler::OnResponse;

/// Called with each response before the source looks at it, redirects included.
/// Returns an `eventsource_verdict`; every other number counts as
/// EVENTSOURCE_VERDICT_STANDARD.
pub type ResponseCallback = Option<
    extern "C" fn(
        source: *mut CSource,
        response: *const CResponse,
        user_data: *mut c_void,
    ) -> c_int,
>;

/// Sets the callback that decides what becomes of a response: for servers that
/// send their stream without a content type, as `text/plain`, or with the status
/// 201 or 202; for redirects that are not to be followed everywhere; and for
/// headers that count whatever the response is.
///
/// The callback runs on the source's thread, in pull mode too, once for each
/// response of an attempt, and before `on_open`. The ready state is CONNECTING.
/// eventsource_response_location() tells where a redirect leads. After
/// EVENTSOURCE_VERDICT_REFUSE, `on_retry` and `on_error` get the response in a
/// failure, with its body, as eventsource_set_max_body_size() says. Responses of
/// proxies are not the server's: the callback does not see them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_on_response(
    source: *mut CSource,
    on_response: ResponseCallback,
    user_data: *mut c_void,
) -> Error {
    let (pointer, user_data) = (Pointer(source), Pointer(user_data));
    let on_response = on_response.map(|on_response| -> OnResponse {
        Box::new(move |response: &Response| {
            let response = CResponse::new(response);
            let verdict =
                on_response(pointer.get(), &response, user_data.get());
            Verdict::from_raw(verdict).unwrap_or(Verdict::Standard)
        })
    });
    guard(|| set(source, |setup| setup.questions.set().response = on_response))
}
