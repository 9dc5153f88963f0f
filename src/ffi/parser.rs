//! The object `eventsource_parser`.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ops::ControlFlow::Continue;
use std::ptr;
use std::slice;

use super::event::Event;
use super::guard;
use crate::error::Error;
use crate::panic::catch;
use crate::parser::{self, Item};

/// The event stream parser alone, for programs with an HTTP stack of their
/// own. It belongs to one thread at a time.
pub struct Parser {
    on_event: ParserEventCallback,
    user_data: *mut c_void,
    parser: RefCell<parser::Parser>,
    /// Where bytes are interpreted: the program's are not written to.
    room: RefCell<Vec<u8>>,
    /// Freed by its own callback.
    freed: Cell<bool>,
}

/// An event is dispatched. Its `origin` is empty.
pub type ParserEventCallback = Option<
    extern "C" fn(
        parser: *mut Parser,
        event: *const Event,
        user_data: *mut c_void,
    ),
>;

/// Makes a parser that calls `on_event` with each event, and stores it in
/// `*parser`.
///
/// It is the caller's, given back with eventsource_parser_free(). On error
/// `*parser` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_new(
    on_event: ParserEventCallback,
    user_data: *mut c_void,
    parser: *mut *mut Parser,
) -> Error {
    // SAFETY: NULL, or where the caller wants the parser; what is there is
    // not looked at.
    let out = unsafe { parser.cast::<MaybeUninit<*mut Parser>>().as_mut() };
    let Some(out) = out else { return Error::Null };
    out.write(ptr::null_mut());
    guard(|| {
        if on_event.is_none() {
            return Err(Error::Null);
        }
        out.write(Box::into_raw(Box::new(Parser {
            on_event,
            user_data,
            parser: RefCell::new(parser::Parser::new()),
            room: RefCell::default(),
            freed: Cell::new(false),
        })));
        Ok(())
    })
}

/// Interprets the next `len` bytes of the stream, wherever it is cut.
/// Callbacks are made before it returns.
///
/// EVENTSOURCE_ERROR_TOO_LARGE if an event over 64 MiB was dropped; all else
/// was dispatched. EVENTSOURCE_ERROR_CALLBACK inside the parser's own
/// callback. `bytes` may be NULL if `len` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_feed(
    parser: *mut Parser,
    bytes: *const c_char,
    len: usize,
) -> Error {
    /// A piece that stays in the cache.
    const PIECE: usize = 16 * 1024;

    let mut freed = false;
    let result = guard(|| {
        // SAFETY: NULL or a living parser, as the header asks.
        let own = unsafe { parser.as_ref() }.ok_or(Error::Null)?;
        let bytes = match (bytes.is_null(), len) {
            (_, 0) => &[],
            (true, _) => return Err(Error::Null),
            // SAFETY: the caller's, of this length.
            (false, _) => unsafe {
                slice::from_raw_parts(bytes.cast::<u8>(), len)
            },
        };
        let mut inner =
            own.parser.try_borrow_mut().map_err(|_| Error::Callback)?;
        let mut room = own.room.borrow_mut();
        let mut too_large = false;
        for piece in bytes.chunks(PIECE) {
            room.clear();
            room.extend_from_slice(piece);
            let _ = inner.feed(&mut room, |item| {
                match item {
                    Item::Event(event) => {
                        let event = Event::new(&event, c"");
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
        // SAFETY: freed by its callback, which left the release to us.
        drop(unsafe { Box::from_raw(parser) });
    }
    result
}

/// Prepares the parser for a new connection: what was unfinished is
/// forgotten (R60), the last event ID string is kept (R59).
///
/// EVENTSOURCE_ERROR_CALLBACK inside the parser's own callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_reset(
    parser: *mut Parser,
) -> Error {
    guard(|| {
        // SAFETY: NULL or a living parser, as the header asks.
        let own = unsafe { parser.as_ref() }.ok_or(Error::Null)?;
        let mut inner =
            own.parser.try_borrow_mut().map_err(|_| Error::Callback)?;
        inner.reset();
        Ok(())
    })
}

/// Releases the parser. Inside its own callback no other follows, and the
/// release happens when eventsource_parser_feed() returns. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_parser_free(parser: *mut Parser) {
    // SAFETY: NULL or a living parser, as the header asks.
    let Some(own) = (unsafe { parser.as_ref() }) else { return };
    if own.parser.try_borrow_mut().is_err() {
        own.freed.set(true);
        return;
    }
    // SAFETY: as above, and nobody is feeding it.
    let _ = catch(|| drop(unsafe { Box::from_raw(parser) }));
}
