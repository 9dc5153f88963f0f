//! How long to wait before the next attempt: pure arithmetic, no clock of
//! its own.

use std::time::Duration;

/// The shortest wait after two failed attempts in a row, in milliseconds.
const FLOOR: u64 = 500;
/// The longest, unless the reconnection time itself is longer.
const CAP: u64 = 30_000;
/// The most that is added at random, in hundredths: it keeps many clients
/// from coming back in step, and stays within R34.
const JITTER: u64 = 20;
/// The least wait, in milliseconds, after more than [`FREE_RECONNECTS`]
/// connections in a row that worked and were to be followed sooner: at most a
/// hundred connections a second.
const MIN_DELAY: u64 = 10;
const FREE_RECONNECTS: u32 = 50;

/// Counts attempts, and tells how long to wait after each.
#[derive(Debug)]
pub(crate) struct Backoff {
    reconnection_time: u64,
    /// The program's limit, for the server's reconnection time as well.
    max: Option<u64>,
    failed_attempts: u32,
    fast_reconnects: u32,
}

impl Backoff {
    pub(crate) fn new(reconnection_time: u64, max: Option<u64>) -> Backoff {
        Backoff {
            reconnection_time,
            max,
            failed_attempts: 0,
            fast_reconnects: 0,
        }
    }

    /// What a `retry` field or the program sets; in milliseconds (R52).
    pub(crate) fn set_reconnection_time(&mut self, milliseconds: u64) {
        self.reconnection_time = milliseconds;
    }

    /// An attempt has ended; `worked` if it brought an event. Returns how
    /// long to wait for the next.
    ///
    /// After an attempt that worked that is the reconnection time, and after
    /// the first that failed too; from the second on it doubles, from a floor
    /// up to a cap. Being accepted is not being served: a server that
    /// accepts and closes is waited for like one that refuses.
    pub(crate) fn next(&mut self, worked: bool) -> Duration {
        self.failed_attempts =
            if worked { 0 } else { self.failed_attempts.saturating_add(1) };
        let max = self.max.unwrap_or(u64::MAX);
        let time = self.reconnection_time.min(max);
        let fast = worked && time < MIN_DELAY;
        self.fast_reconnects =
            if fast { self.fast_reconnects.saturating_add(1) } else { 0 };
        let wait = match self.failed_attempts {
            0 if self.fast_reconnects > FREE_RECONNECTS => MIN_DELAY,
            0 | 1 => time,
            n => {
                let first = time.saturating_mul(2).max(FLOOR);
                let doubled = 1_u64.checked_shl(n - 2).unwrap_or(u64::MAX);
                let cap = self.max.unwrap_or(CAP.max(time)).max(FLOOR);
                first.saturating_mul(doubled).min(cap)
            }
        };
        Duration::from_millis(wait.saturating_add(jitter(wait)))
    }

    /// How many attempts in a row have brought no event.
    pub(crate) fn failed_attempts(&self) -> u32 {
        self.failed_attempts
    }
}

fn jitter(wait: u64) -> u64 {
    fastrand::u64(0..=wait / 100 * JITTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait without its jitter, in milliseconds: at most a fifth more.
    fn assert_wait(backoff: &mut Backoff, worked: bool, wait: u64) {
        let got = backoff.next(worked).as_millis() as u64;
        let most = wait.saturating_add(wait / 5);
        assert!((wait..=most).contains(&got), "{got} is not about {wait}");
    }

    #[test]
    fn waits_the_reconnection_time_after_a_fruitful_connection() {
        let mut backoff = Backoff::new(3000, None);
        for _ in 0..100 {
            assert_wait(&mut backoff, true, 3000);
        }
        assert_eq!(backoff.failed_attempts(), 0);
    }

    #[test]
    fn doubles_up_to_the_cap_and_starts_again_after_an_event() {
        let mut backoff = Backoff::new(3000, None);
        for wait in [3000, 6000, 12_000, 24_000, 30_000, 30_000] {
            assert_wait(&mut backoff, false, wait);
        }
        assert_wait(&mut backoff, true, 3000);
        assert_wait(&mut backoff, false, 3000);
        assert_wait(&mut backoff, false, 6000);
    }

    #[test]
    fn a_longer_reconnection_time_is_its_own_cap() {
        let mut backoff = Backoff::new(60_000, None);
        for _ in 0..5 {
            assert_wait(&mut backoff, false, 60_000);
        }
    }

    #[test]
    fn the_programs_limit_holds_for_the_server_and_not_below_the_floor() {
        let mut backoff = Backoff::new(60_000, Some(2000));
        for worked in [true, false, false] {
            assert_wait(&mut backoff, worked, 2000);
        }
        let mut backoff = Backoff::new(100, Some(1000));
        for wait in [100, 500, 1000, 1000] {
            assert_wait(&mut backoff, false, wait);
        }
        let mut backoff = Backoff::new(100, Some(1));
        for wait in [1, FLOOR, FLOOR] {
            assert_wait(&mut backoff, false, wait);
        }
    }

    #[test]
    fn a_server_in_a_hurry_is_asked_a_handful_of_times_in_a_second() {
        let mut backoff = Backoff::new(0, None);
        for wait in [0, 500, 1000, 2000] {
            assert_wait(&mut backoff, false, wait);
        }
    }

    #[test]
    fn events_do_not_buy_a_busy_loop() {
        let mut backoff = Backoff::new(0, None);
        for _ in 0..FREE_RECONNECTS {
            assert_wait(&mut backoff, true, 0);
        }
        for _ in 0..10 {
            assert_wait(&mut backoff, true, MIN_DELAY);
        }
        assert_wait(&mut backoff, false, 0);
        assert_wait(&mut backoff, true, 0);
    }

    #[test]
    fn saturates() {
        let mut backoff = Backoff::new(u64::MAX, None);
        assert_eq!(backoff.next(false), Duration::from_millis(u64::MAX));
        let mut backoff = Backoff::new(1, None);
        for _ in 0..1000 {
            backoff.next(false);
        }
        assert_wait(&mut backoff, false, CAP);
    }
}
