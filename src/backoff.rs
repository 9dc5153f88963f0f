//! How long to wait before the next attempt: pure arithmetic, no clock of
//! its own.

use std::time::Duration;

/// The shortest wait after two fruitless attempts in a row, in milliseconds.
const FLOOR: u64 = 500;
/// The longest, unless the reconnection time itself is longer.
const CAP: u64 = 30_000;
/// The most that is added at random, in hundredths: it keeps many clients
/// from coming back in step, and stays within R34.
const JITTER: u64 = 20;
/// The wait between connections that bring events, for a server that wants
/// less and has had it so many times in a row: a hundred connections a second
/// are no busy loop.
const PACE: u64 = 10;
const BURST: u32 = 50;

/// Counts attempts, and tells how long to wait after each.
#[derive(Debug)]
pub(crate) struct Backoff {
    reconnection_time: u64,
    /// The program's limit, for the server's reconnection time as well.
    max: Option<u64>,
    fruitless: u32,
    hurried: u32,
}

impl Backoff {
    pub(crate) fn new(reconnection_time: u64, max: Option<u64>) -> Backoff {
        Backoff { reconnection_time, max, fruitless: 0, hurried: 0 }
    }

    /// A `retry` field, or the program's wish; in milliseconds (R52).
    pub(crate) fn set_reconnection_time(&mut self, milliseconds: u64) {
        self.reconnection_time = milliseconds;
    }

    /// An attempt has ended; `fruitful` if it brought an event. Returns how
    /// long to wait for the next.
    ///
    /// After a fruitful attempt that is the reconnection time, and after the
    /// first fruitless one too; from the second on it doubles, from a floor
    /// up to a cap. Being accepted is not being served: a server that
    /// accepts and closes is waited for like one that refuses.
    pub(crate) fn next(&mut self, fruitful: bool) -> Duration {
        self.fruitless =
            if fruitful { 0 } else { self.fruitless.saturating_add(1) };
        let max = self.max.unwrap_or(u64::MAX);
        let time = self.reconnection_time.min(max);
        let hurry = fruitful && time < PACE;
        self.hurried = if hurry { self.hurried.saturating_add(1) } else { 0 };
        let wait = match self.fruitless {
            0 if self.hurried > BURST => PACE,
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
    pub(crate) fn fruitless(&self) -> u32 {
        self.fruitless
    }
}

fn jitter(wait: u64) -> u64 {
    fastrand::u64(0..=wait / 100 * JITTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait without its jitter, in milliseconds: at most a fifth more.
    fn assert_wait(backoff: &mut Backoff, fruitful: bool, wait: u64) {
        let got = backoff.next(fruitful).as_millis() as u64;
        let most = wait.saturating_add(wait / 5);
        assert!((wait..=most).contains(&got), "{got} is not about {wait}");
    }

    #[test]
    fn waits_the_reconnection_time_after_a_fruitful_connection() {
        let mut backoff = Backoff::new(3000, None);
        for _ in 0..100 {
            assert_wait(&mut backoff, true, 3000);
        }
        assert_eq!(backoff.fruitless(), 0);
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
        for fruitful in [true, false, false] {
            assert_wait(&mut backoff, fruitful, 2000);
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
        for _ in 0..BURST {
            assert_wait(&mut backoff, true, 0);
        }
        for _ in 0..10 {
            assert_wait(&mut backoff, true, PACE);
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
