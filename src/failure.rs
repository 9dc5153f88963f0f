//! Why a connection was refused, lost or given up.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::error::Error;
use crate::response::Response;

/// Why a connection was refused, lost or given up.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// The kind of failure.
    pub(crate) error: Error,
    /// One line for a person: lower case, no full stop.
    pub(crate) message: String,
    /// The status of the response; 0 if none came.
    pub(crate) status: u16,
    /// The response, if it was refused.
    pub(crate) response: Option<Box<Response>>,
    /// Of the response's body, if it was refused.
    pub(crate) body: Excerpt,
    /// Another attempt is known to end in the same way (R19).
    pub(crate) is_futile: bool,
    /// The system's error, an `errno`, if the system reported one.
    pub(crate) system_error: Option<i32>,
}

impl Failure {
    /// A failure to which no response belongs.
    pub(crate) fn new(error: Error, message: impl Into<String>) -> Failure {
        let message = message.into();
        Failure {
            error,
            message,
            status: 0,
            response: None,
            body: Excerpt::default(),
            is_futile: false,
            system_error: None,
        }
    }

    /// The same failure, after which no attempt follows unbidden.
    pub(crate) fn futile(self) -> Failure {
        Failure { is_futile: true, ..self }
    }

    /// The same failure, with the system's error if that is the cause.
    pub(crate) fn caused_by(self, cause: &io::Error) -> Failure {
        Failure { system_error: cause.raw_os_error(), ..self }
    }

    /// The same failure, with the response that caused it.
    pub(crate) fn with(self, response: Response) -> Failure {
        let status = response.status;
        Failure { status, response: Some(Box::new(response)), ..self }
    }

    /// The same failure, of a stream whose response was accepted.
    pub(crate) fn with_status(self, status: u16) -> Failure {
        Failure { status, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The beginning of a response's body. It may be large: the copies of a failure
/// share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Excerpt {
    /// With a NUL after them.
    bytes: Option<Arc<Vec<u8>>>,
    /// It is the whole body.
    pub(crate) is_complete: bool,
}

impl Excerpt {
    /// An excerpt of these bytes, the last of which is a NUL.
    pub(crate) fn with_nul(bytes: Vec<u8>, is_complete: bool) -> Excerpt {
        Excerpt { bytes: Some(Arc::new(bytes)), is_complete }
    }

    /// All of no bytes.
    pub(crate) fn of_no_body() -> Excerpt {
        Excerpt { bytes: None, is_complete: true }
    }

    pub(crate) fn bytes_with_nul(&self) -> &[u8] {
        self.bytes.as_deref().map_or(b"\0", Vec::as_slice)
    }
}

/// Why an attempt has not brought a connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// It was interrupted. Nobody is told: the program closed the source, or
    /// wants another connection.
    Interrupted,
    Failed(Failure),
}

impl From<Failure> for NoConnection {
    fn from(failure: Failure) -> NoConnection {
        NoConnection::Failed(failure)
    }
}

/// What follows a failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPlan {
    /// How many attempts in a row have failed.
    pub(crate) attempt: u32,
    /// How long until the next attempt, if there is one.
    pub(crate) delay: Option<Duration>,
}

impl RetryPlan {
    /// Where no attempt has failed: an event was dropped.
    pub(crate) const NONE: RetryPlan = RetryPlan { attempt: 0, delay: None };
}

/// A failure, as it was reported to the program.
#[derive(Debug, Clone)]
pub(crate) struct LastFailure {
    pub(crate) failure: Failure,
    pub(crate) plan: RetryPlan,
}

/// What an error of the system means, in a message for people: std adds the
/// system's number, and the system begins with a capital letter.
pub(crate) fn in_words(cause: &io::Error) -> String {
    let mut text = cause.to_string();
    if let Some(number) = cause.raw_os_error() {
        let number = format!(" (os error {number})");
        text.truncate(text.strip_suffix(&*number).unwrap_or(&text).len());
    }
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain([second]).chain(letters).collect()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_told_in_words() {
        let system = io::Error::from_raw_os_error;
        assert_eq!(in_words(&system(libc::ECONNREFUSED)), "connection refused");
        assert_eq!(in_words(&system(libc::EIO)), "input/output error");
        assert_eq!(in_words(&io::Error::other("TLS is off")), "TLS is off");
        assert_eq!(in_words(&io::Error::other("")), "");
        let eof = io::ErrorKind::UnexpectedEof;
        assert_eq!(in_words(&eof.into()), "unexpected end of file");
    }
}
