//! The parser of the C API, for tests in Rust.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use eventsource::ffi::{self, CEvent, CParser, Error};

use crate::reference::Wishes;
use crate::said::Said;
use crate::seen::text;

/// What a parser of the C API tells of a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    /// What callbacks were told: events, comments and reconnection times.
    pub said: Vec<Said>,
    /// Something was over the limit.
    pub too_large: bool,
    /// The stream has ended inside an event.
    pub unfinished: bool,
    pub last_event_id: String,
}

impl Heard {
    /// What is expected of a stream that says this.
    pub fn of(wishes: &Wishes, said: &[Said], unfinished: bool) -> Heard {
        let mut heard = Heard { unfinished, ..Heard::default() };
        heard.last_event_id = wishes.last_event_id.clone();
        for said in said {
            match said {
                Said::LastEventId(id) => heard.last_event_id = id.clone(),
                Said::TooLarge => heard.too_large = true,
                said => heard.said.push(said.clone()),
            }
        }
        heard
    }
}

/// Feeds a parser with a stream in pieces of `size` bytes.
pub fn hear(wishes: &Wishes, stream: &[u8], size: usize) -> Heard {
    let mut heard = Heard::default();
    let data: *mut c_void = (&raw mut heard.said).cast();
    let id = CString::new(&*wishes.last_event_id).expect("an id has no NUL");
    let mut parser = ptr::null_mut();
    let is = |expected: Error, error: Error| assert_eq!(error, expected);
    let (mut too_large, unfinished);
    // SAFETY: a place for the parser, which lives until it is freed below;
    // `data` is what the callbacks take it for, and lives longer.
    unsafe {
        use ffi::*;
        is(
            Error::None,
            eventsource_parser_new(Some(on_event), data, &mut parser),
        );
        if wishes.comments {
            let error =
                eventsource_parser_on_comment(parser, Some(on_comment), data);
            is(Error::None, error);
        }
        is(
            Error::None,
            eventsource_parser_on_retry(parser, Some(on_retry), data),
        );
        let size = wishes.max_event_size;
        is(Error::None, eventsource_parser_set_max_event_size(parser, size));
        let error = eventsource_parser_set_last_event_id(parser, id.as_ptr());
        is(Error::None, error);
    }
    too_large = false;
    for piece in stream.chunks(size.max(1)) {
        let bytes = piece.as_ptr().cast();
        // SAFETY: as above, and that many bytes.
        let error =
            unsafe { ffi::eventsource_parser_feed(parser, bytes, piece.len()) };
        too_large |= error == Error::TooLarge;
        assert!(matches!(error, Error::None | Error::TooLarge), "{error:?}");
    }
    // SAFETY: as above; the text is copied before anything else is called.
    unsafe {
        let error = ffi::eventsource_parser_end(parser);
        assert!(matches!(error, Error::None | Error::Lost), "{error:?}");
        unfinished = error == Error::Lost;
        is(Error::None, ffi::eventsource_parser_end(parser));
        let id = ffi::eventsource_parser_last_event_id(parser);
        heard.last_event_id = text(id);
        ffi::eventsource_parser_free(parser);
    }
    Heard { too_large, unfinished, ..heard }
}

/// # Safety
///
/// `data` is what [`hear`] gives to the parser.
unsafe fn note(data: *mut c_void, said: Said) {
    // SAFETY: promised by the caller; only one callback runs at a time.
    unsafe { (*data.cast::<Vec<Said>>()).push(said) }
}

extern "C" fn on_event(
    parser: *mut CParser,
    event: *const CEvent,
    data: *mut c_void,
) {
    // SAFETY: borrowed until the callback returns.
    let event = unsafe { &*event };
    let string = |text: *const c_char, len: usize| {
        // SAFETY: that many bytes and a NUL, says the header.
        let bytes = unsafe { std::slice::from_raw_parts(text.cast(), len + 1) };
        assert_eq!(bytes[len], 0);
        String::from_utf8(bytes[..len].to_vec()).expect("UTF-8")
    };
    // SAFETY: a text.
    assert_eq!(unsafe { CStr::from_ptr(event.origin) }, c"");
    // SAFETY: the parser that calls.
    let id = unsafe { ffi::eventsource_parser_last_event_id(parser) };
    assert!(id.is_null(), "inside a callback the event has it");
    let said = Said::Event {
        event_type: string(event.r#type, event.type_len),
        data: string(event.data, event.data_len),
        last_event_id: string(event.last_event_id, event.last_event_id_len),
    };
    // SAFETY: what `hear` has given.
    unsafe { note(data, said) }
}

extern "C" fn on_comment(
    _: *mut CParser,
    comment: *const c_char,
    len: usize,
    data: *mut c_void,
) {
    // SAFETY: that many bytes, says the header.
    let bytes = unsafe { std::slice::from_raw_parts(comment.cast(), len) };
    let comment = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    // SAFETY: what `hear` has given.
    unsafe { note(data, Said::Comment(comment)) }
}

extern "C" fn on_retry(_: *mut CParser, time_ms: u64, data: *mut c_void) {
    // SAFETY: what `hear` has given.
    unsafe { note(data, Said::Retry(time_ms)) }
}
