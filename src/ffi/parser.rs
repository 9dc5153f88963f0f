//! The parser alone: eventsource_parser_new(3).

use std::cell::{Cell, RefCell, RefMut};
use std::ffi::{c_char, c_void};
use std::ops::ControlFlow::Continue;
use std::ptr;

use super::convert::{bytes, guard, out, release, shared};
use super::event::CEvent;
use crate::error::Error;
use crate::panic::catch;
use crate::parser::{Item, Parser};

/// The event stream parser alone, for programs with an HTTP client of their
/// own. Only one thread at a time may use a parser.
pub struct CParser {
    on_event: ParserEventCallback,
    user_data: *mut c_void,
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
}

/// Called with each event that is dispatched. The event's `origin` is empty.
pub type ParserEventCallback = Option<
    extern "C" fn(
        parser: *mut CParser,
        event: *const CEvent,
        user_data: *mut c_void,
    ),
>;

/// Makes a parser that calls `on_event` with each event, and stores it in
/// `*parser`.
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
            parser: RefCell::new(Parser::new()),
            room: RefCell::default(),
            freed: Cell::new(false),
        })));
        Ok(())
    })
}

/// Interprets the next `len` bytes of the stream, wherever the stream is cut.
/// Callbacks are called before this function returns.
///
/// EVENTSOURCE_ERROR_TOO_LARGE if an event over 64 MiB was dropped; all else
/// was dispatched. EVENTSOURCE_ERROR_CALLBACK inside the parser's own callback.
/// `bytes` may be NULL if `len` is 0.
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
            let _ = idle.feed(&mut room, |item| {
                match item {
                    Item::Event(event) => {
                        let event = CEvent::new(&event, c"");
                        if let Some(on_event) = own.on_event
                            && !own.freed.get()
                        {
                            on_event(parser, &event, own.user_data);
                        }
                    }
                    Item::TooLarge => too_large = true,
                    // Of no meaning without a connection.
                    Item::LastEventId(_)
                    | Item::Comment(_)
                    | Item::Retry(_) => {}
                }
                Continue(())
            });
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

/// Prepares the parser for a new connection: what was unfinished is dropped
/// (R60), the last event ID string is kept (R59).
///
/// EVENTSOURCE_ERROR_CALLBACK inside the parser's own callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_reset(
    parser: *mut CParser,
) -> Error {
    guard(|| {
        shared(parser)?.idle()?.reset();
        Ok(())
    })
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
