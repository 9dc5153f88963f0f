//! Error texts, version and log: eventsource_strerror(3).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::{self, Write};
use std::sync::{Mutex, Once, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

use super::convert::{Pointer, UserData};
use crate::error::Error;
use crate::panic::catch;

/// How much eventsource_set_log() reports: messages of this level, and all that
/// are more severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum LogLevel {
    /// Nothing.
    Off = 0,
    /// Defects of the library.
    Error = 1,
    /// Sources that gave up.
    Warn = 2,
    /// Connections opened and lost.
    Info = 3,
    /// Every attempt.
    Debug = 4,
}

/// Called with a line for the program's log. `message` is borrowed until the
/// callback returns.
pub type LogCallback = Option<
    extern "C" fn(
        level: LogLevel,
        message: *const c_char,
        user_data: *mut c_void,
    ),
>;

/// Returns the version of the running library, such as `0.1.0`. The version
/// that the program was compiled with is EVENTSOURCE_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn eventsource_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns what `error` means, in a few words; for an unknown number it returns
/// `no such error`. The text is never released.
#[unsafe(no_mangle)]
pub extern "C" fn eventsource_strerror(error: c_int) -> *const c_char {
    Error::from_raw(error).map_or(c"no such error", Error::text).as_ptr()
}

/// Sets the callback for lines of the program's log, from all sources, up to
/// `level`, an `eventsource_log_level`. NULL, the default, removes it.
///
/// The callback is called from any thread, from several at a time. Lines name
/// URLs without user name, password and query, and hold no headers and no data.
/// A call that has begun may end after this function has returned, so that
/// `user_data` must live as long as the program.
#[unsafe(no_mangle)]
pub extern "C" fn eventsource_set_log(
    level: c_int,
    on_log: LogCallback,
    user_data: *mut c_void,
) {
    let _ = catch(|| {
        let wanted = match (on_log, level) {
            (None, _) | (_, ..=0) => LevelFilter::Off,
            (_, 1) => LevelFilter::Error,
            (_, 2) => LevelFilter::Warn,
            (_, 3) => LevelFilter::Info,
            (_, 4..) => LevelFilter::Debug,
        };
        // Taken by the first call only, if at all: in a Rust program the
        // logger may be another's.
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let _ = log::set_logger(&LOGGER);
        });
        let sink = on_log.map(|on_log| (on_log, Pointer(user_data)));
        *LOGGER.sink() = sink;
        log::set_max_level(wanted);
    });
}

type Sink = (extern "C" fn(LogLevel, *const c_char, *mut c_void), UserData);

/// Hands the `log` crate's records to the program.
struct Logger(Mutex<Option<Sink>>);

static LOGGER: Logger = Logger(Mutex::new(None));

impl Logger {
    fn sink(&self) -> std::sync::MutexGuard<'_, Option<Sink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is logged, in one line. There is always room for a NUL behind it.
struct Line(Vec<u8>);

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len() + 1).map_err(|_| fmt::Error)?;
        for (number, part) in text.split(char::is_control).enumerate() {
            if number > 0 {
                self.0.push(b' ');
            }
            self.0.extend_from_slice(part.as_bytes());
        }
        Ok(())
    }
}

impl Log for Logger {
    /// Only our own: what the libraries below say may hold headers.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().split("::").next() == Some(env!("CARGO_PKG_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            log::Level::Error => LogLevel::Error,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Info => LogLevel::Info,
            log::Level::Debug | log::Level::Trace => LogLevel::Debug,
        };
        let mut line = Line(Vec::new());
        // One for which there is no memory is cut short.
        let _ = line.write_fmt(*record.args());
        line.0.push(0);
        let line = CStr::from_bytes_with_nul(&line.0).unwrap_or_default();
        // No lock is held while the program is called.
        let sink = self
            .sink()
            .as_ref()
            .map(|(on_log, user_data)| (*on_log, user_data.get()));
        if let Some((on_log, user_data)) = sink {
            on_log(level, line.as_ptr(), user_data);
        }
    }

    fn flush(&self) {}
}
