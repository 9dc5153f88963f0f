//! The parser alone: eventsource_parser_new(3).

use std::cell::{Cell, RefCell, RefMut};
use std::ffi::{c_char, c_void};
use std::ops::ControlFlow::{Break, Continue};
use std::ptr;

use super::convert::{bytes, guard, optional, out, release, shared};
use super::event::{CEvent, length, pointer};
use crate::error::Error;
use crate::panic::catch;
use crate::parser::{Item, Parser};
use crate::settings::request::is_last_event_id;

/// The event stream parser alone, for programs with an HTTP client of their
/// own. Only one thread at a time may use a parser.
pub struct CParser {
    on_event: ParserEventCallback,
    user_data: *mut c_void,
    on_retry: Cell<(ParserRetryCallback, *mut c_void)>,
    on_comment: Cell<(ParserCommentCallback, *mut c_void)>,
    parser: RefCell<Parser>,
    /// Where bytes are interpreted: the program's are not written to.
    room: RefCell<Vec<u8>>,
    /// Freed by its own callback.
    freed: Cell<bool>,
}

impl CParser {
    /// The parser, unless its own callback asks for it.
    fn idle(&self) -> Result<RefMut<'_, Parser>, Error> {
        self.parser.try_borrow_mut().map_err(|_| Error::Callback)
    }

    /// Calls the program with what the stream says. `parser` is what C has of
    /// this.
    fn tell(&self, parser: *mut CParser, item: Item<'_>) {
        match item {
            Item::Event(event) => {
                let event = CEvent::new(&event, c"");
                if let Some(on_event) = self.on_event {
                    on_event(parser, &event, self.user_data);
                }
            }
            Item::Comment(text) => {
                if let (Some(on_comment), user_data) = self.on_comment.get() {
                    on_comment(parser, pointer(text), length(text), user_data);
                }
            }
            Item::Retry(time_ms) => {
                if let (Some(on_retry), user_data) = self.on_retry.get() {
                    on_retry(parser, time_ms, user_data);
                }
            }
            // The program asks for the one, and feed() returns the other.
            Item::LastEventId(_) | Item::TooLarge => {}
        }
    }
}

/// Called with each event that is dispatched. The event's `origin` is empty.
pub type ParserEventCallback = Option<
    extern "C" fn(
        parser: *mut CParser,
        event: *const CEvent,
        user_data: *mut c_void,
    ),
>;

/// Called with each reconnection time that the stream sets by a `retry` field,
/// in milliseconds, as soon as its line has ended (R52).
pub type ParserRetryCallback = Option<
    extern "C" fn(parser: *mut CParser, time_ms: u64, user_data: *mut c_void),
>;

/// Called with each comment. `comment` is the text after the colon, unchanged
/// and `len` bytes long; it is borrowed until the callback returns.
pub type ParserCommentCallback = Option<
    extern "C" fn(
        parser: *mut CParser,
        comment: *const c_char,
        len: usize,
        user_data: *mut c_void,
    ),
>;

/// Makes a parser that calls `on_event` with each event, and stores it in
/// `*parser`.
///
/// A program with an HTTP stack of its own feeds the parser with the bodies of
/// its responses. What it needs to reconnect as the standard demands is here,
/// too: eventsource_parser_on_retry() has the reconnection time,
/// eventsource_parser_last_event_id() what to send as `Last-Event-ID`, and
/// eventsource_parser_end() is called between two connections.
/// examples/own_http.c is such a program.
///
/// The parser is the caller's, to be given back with eventsource_parser_free().
/// On error `*parser` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_new(
    on_event: ParserEventCallback,
    user_data: *mut c_void,
    parser: *mut *mut CParser,
) -> Error {
    guard(|| {
        let place = out(parser)?;
        place.write(ptr::null_mut());
        if on_event.is_none() {
            return Err(Error::Null);
        }
        place.write(Box::into_raw(Box::new(CParser {
            on_event,
            user_data,
            on_retry: Cell::new((None, ptr::null_mut())),
            on_comment: Cell::new((None, ptr::null_mut())),
            parser: RefCell::new(Parser::new()),
            room: RefCell::default(),
            freed: Cell::new(false),
        })));
        Ok(())
    })
}

/// Sets the callback for the stream's reconnection times: how long to wait
/// before the program connects again. NULL, the default, removes the callback.
///
/// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_on_retry(
    parser: *mut CParser,
    on_retry: ParserRetryCallback,
    user_data: *mut c_void,
) -> Error {
    guard(|| {
        let own = shared(parser)?;
        let _idle = own.idle()?;
        own.on_retry.set((on_retry, user_data));
        Ok(())
    })
}

/// Sets the callback for comments. NULL, the default, removes the callback:
/// comments are then skipped, at next to no cost.
///
/// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_on_comment(
    parser: *mut CParser,
    on_comment: ParserCommentCallback,
    user_data: *mut c_void,
) -> Error {
    guard(|| {
        let own = shared(parser)?;
        own.idle()?.set_comments(on_comment.is_some());
        own.on_comment.set((on_comment, user_data));
        Ok(())
    })
}

/// Presets the last event ID string, so that a program can resume where an
/// earlier run stopped. Events have it until the stream sets another. NULL is
/// taken for an empty text.
///
/// To be called before the stream begins. EVENTSOURCE_ERROR_VALUE if `id` has a
/// line break, EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_set_last_event_id(
    parser: *mut CParser,
    id: *const c_char,
) -> Error {
    guard(|| {
        let own = shared(parser)?;
        let id = optional(id)?.unwrap_or_default();
        if !is_last_event_id(id) {
            return Err(Error::Value);
        }
        match own.idle()?.set_last_event_id(id) {
            true => Ok(()),
            false => Err(Error::System),
        }
    })
}

/// Sets the size limit of an event in bytes of data, 64 MiB by default; 0 is no
/// limit.
///
/// An event over the limit is dropped as it comes, its id is kept, and
/// eventsource_parser_feed() returns EVENTSOURCE_ERROR_TOO_LARGE. A comment
/// over the limit is dropped in the same way. What the parser stores at most is
/// what a source does: see eventsource_set_max_event_size().
/// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_set_max_event_size(
    parser: *mut CParser,
    bytes: usize,
) -> Error {
    guard(|| {
        shared(parser)?.idle()?.set_max_event_size(bytes);
        Ok(())
    })
}

/// Interprets the next `len` bytes of the stream, wherever the stream is cut.
/// Callbacks are called before this function returns.
///
/// EVENTSOURCE_ERROR_TOO_LARGE if one event or more over the size limit, or
/// over what memory there was, was dropped. That does not end the stream: all
/// else in `bytes` was dispatched, and the next bytes can be fed.
/// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser. `bytes` may be
/// NULL if `len` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_feed(
    parser: *mut CParser,
    bytes: *const c_char,
    len: usize,
) -> Error {
    /// A piece that stays in the cache.
    const PIECE: usize = 16 * 1024;

    let mut freed = false;
    let result = guard(|| {
        let own = shared(parser)?;
        let bytes = self::bytes(bytes.cast(), len)?;
        let mut idle = own.idle()?;
        let mut room = own.room.borrow_mut();
        let mut too_large = false;
        for piece in bytes.chunks(PIECE) {
            room.clear();
            room.extend_from_slice(piece);
            let flow = idle.feed(&mut room, |item| {
                too_large |= matches!(item, Item::TooLarge);
                own.tell(parser, item);
                match own.freed.get() {
                    true => Break(()),
                    false => Continue(()),
                }
            });
            if flow.is_break() {
                break;
            }
        }
        freed = own.freed.get();
        if too_large { Err(Error::TooLarge) } else { Ok(()) }
    });
    if freed {
        // Freed by its callback, which left the release to us.
        release(parser);
    }
    result
}

/// Ends the stream, because its connection has ended or was lost, and prepares
/// the parser for the next one: what was unfinished is dropped (R60), the last
/// event ID string is kept (R59), and so are settings and callbacks.
///
/// EVENTSOURCE_ERROR_LOST if the stream has ended inside an event, which was
/// dropped: the server, or something on the way, has cut it off.
/// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_end(parser: *mut CParser) -> Error {
    guard(|| {
        let mut parser = shared(parser)?.idle()?;
        let unfinished = parser.is_inside_event();
        parser.reset();
        if unfinished { Err(Error::Lost) } else { Ok(()) }
    })
}

/// Prepares the parser for a new connection, as eventsource_parser_end() does,
/// when nobody wants to know whether something was unfinished.
///
/// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_reset(
    parser: *mut CParser,
) -> Error {
    guard(|| {
        shared(parser)?.idle()?.reset();
        Ok(())
    })
}

/// Returns the last event ID string: that of the last event, over all
/// connections. A request that resumes the stream sends it as `Last-Event-ID`,
/// unless it is empty.
///
/// The text has no NUL in the middle. It is borrowed until the next call of
/// another function with the parser. NULL if `parser` is NULL, and inside a
/// callback of the parser, where the event has the string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_last_event_id(
    parser: *const CParser,
) -> *const c_char {
    let Ok(own) = shared(parser) else { return ptr::null() };
    match own.parser.try_borrow() {
        Ok(parser) => pointer(parser.last_event_id()),
        Err(_) => ptr::null(),
    }
}

/// Releases the parser. Inside its own callback, no further callback follows,
/// and the parser is released when eventsource_parser_feed() returns. NULL is
/// ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_free(parser: *mut CParser) {
    let Ok(own) = shared(parser) else { return };
    if own.idle().is_err() {
        own.freed.set(true);
        return;
    }
    let _ = catch(|| release(parser));
}
