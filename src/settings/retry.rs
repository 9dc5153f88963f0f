//! Whether a source comes back after a failure, and whether the server has
//! said when.

use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName};

use crate::error::Error;
use crate::failure::Failure;

/// The longest that a server's `Retry-After` is followed, unless the program
/// has set a limit: a date that a wrong clock has made does not silence a
/// source for years.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(60 * 60);

/// After which failures a source reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum Retry {
    /// As the standard demands: after every failure of the network. A status
    /// other than 200, or another content type, ends the source.
    Standard = 0,
    /// Also after the statuses 408, 425, 429 and 500 to 599.
    Persistent = 1,
    /// After none: one attempt, one stream.
    Never = 2,
    /// As EVENTSOURCE_RETRY_PERSISTENT until a response is accepted, and never
    /// after that: a request that costs money is made once, and no more.
    UntilOpen = 3,
}

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// No response was accepted.
    Nothing,
    /// A response was accepted, and broke off.
    Open,
    /// The same, and all of it has come.
    End,
}

impl Retry {
    pub(crate) fn from_raw(number: i32) -> Option<Retry> {
        [Retry::Standard, Retry::Persistent, Retry::Never, Retry::UntilOpen]
            .into_iter()
            .find(|retry| *retry as i32 == number)
    }

    /// Whether there is another attempt after `failure`, of a request that was
    /// or was not a GET.
    pub(crate) fn comes_back_after(
        self,
        failure: &Failure,
        reached: Reached,
        is_get: bool,
    ) -> bool {
        match (self, failure.error) {
            (Retry::Never, _) => false,
            (Retry::UntilOpen, _) if reached != Reached::Nothing => false,
            // It was answered, and may have been paid for.
            _ if reached == Reached::End && !is_get => false,
            (_, Error::ContentType | Error::Refused | Error::Internal) => false,
            _ if failure.is_futile => false, // R19
            (Retry::Standard, Error::Status) => false, // R21
            (_, Error::Status) => is_transient(failure.status),
            _ => true, // R18, R27
        }
    }
}

/// What the program could set to come back after `failure`, if it has set
/// nothing: a server behind a proxy that is deployed answers 502.
pub(crate) fn advice(failure: &Failure, is_get: bool) -> Option<&'static str> {
    if failure.error != Error::Status || !is_transient(failure.status) {
        return None;
    }
    Some(match is_get {
        true => "EVENTSOURCE_RETRY_PERSISTENT would reconnect",
        false => "EVENTSOURCE_RETRY_UNTIL_OPEN would ask again",
    })
}

fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

/// How long a response asks to wait (RFC 9110, 10.2.3), at most `limit`.
pub(crate) fn retry_after(
    headers: &HeaderMap,
    limit: Option<Duration>,
    now: SystemTime,
) -> Option<Duration> {
    let text = text(headers, header::RETRY_AFTER)?;
    let wait = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are longer than any limit.
        true => Duration::from_secs(text.parse().unwrap_or(u64::MAX)),
        false => {
            let then = httpdate::parse_http_date(text).ok()?;
            // By the server's own clock, if it tells it: ours may be wrong.
            let now = date(headers).unwrap_or(now);
            then.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(limit.unwrap_or(RETRY_AFTER_CAP)))
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(text(headers, header::DATE)?).ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn asked(value: &str, date: Option<&str>, ahead: u64) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().unwrap());
        }
        let now = httpdate::parse_http_date(DATE).unwrap();
        let now = now + Duration::from_secs(ahead);
        retry_after(&headers, None, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn understands_seconds_and_dates() {
        assert_eq!(asked("0", None, 0), Some(0));
        assert_eq!(asked("120", None, 0), Some(120));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT", None, 0), Some(30));
        assert_eq!(asked("Sunday, 06-Nov-94 08:50:07 GMT", None, 0), Some(30));
        for nonsense in ["", "-1", "1.5", "soon", "1 2", "+3"] {
            assert_eq!(asked(nonsense, None, 0), None, "{nonsense}");
        }
    }

    #[test]
    fn no_clock_makes_it_long_or_negative() {
        // The past.
        assert_eq!(asked(DATE, None, 10), Some(0));
        // Our clock is ahead by years: the server's own counts.
        let later = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(asked(later, Some(DATE), 99_999_999), Some(30));
        assert_eq!(asked("Fri, 31 Dec 9999 23:59:59 GMT", None, 0), Some(3600));
        assert_eq!(asked("99999999999999999999999", None, 0), Some(3600));
        assert_eq!(asked("18446744073709551615", None, 0), Some(3600));
    }
}
