//! How long to wait before the next attempt: pure arithmetic, no clock of
//! its own.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::sys;

/// The shortest wait after two failed attempts in a row, in milliseconds.
const FLOOR: u64 = 500;
/// The longest, unless the reconnection time itself is longer.
const CAP: u64 = 30_000;
/// The most that is added at random to a wait of which not half is, in
/// hundredths: it keeps many clients from coming back in step, and stays
/// within R34.
const JITTER: u64 = 20;
/// The least wait, in milliseconds, after more than [`FREE_RECONNECTS`]
/// connections in a row that worked and were to be followed sooner: at most a
/// hundred connections a second.
const MIN_DELAY: u64 = 10;
const FREE_RECONNECTS: u32 = 50;

/// Counts attempts, and tells how long to wait after each.
#[derive(Debug, Clone)]
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

    /// An attempt has ended; `worked` if its connection did. Returns how long
    /// to wait for the next.
    ///
    /// After an attempt that worked that is the reconnection time, and at most
    /// a little more (R34). After those that failed half of the wait is at
    /// random, so that the clients of a server that comes back are spread: it
    /// begins with the reconnection time, and doubles, from a floor up to a
    /// cap. Being accepted is not being served: a server that accepts and
    /// closes is waited for like one that refuses.
    pub(crate) fn next(&mut self, worked: bool) -> Duration {
        self.failed_attempts =
            if worked { 0 } else { self.failed_attempts.saturating_add(1) };
        let time = self.reconnection_time.min(self.max.unwrap_or(u64::MAX));
        let fast = worked && time < MIN_DELAY;
        self.fast_reconnects =
            if fast { self.fast_reconnects.saturating_add(1) } else { 0 };
        let (shortest, longest) = match self.failed_attempts {
            0 if self.fast_reconnects > FREE_RECONNECTS => (MIN_DELAY, 0),
            0 => (time, 0),
            1 => self.half_random(time, time.saturating_mul(2)),
            n => {
                let doubled = 1_u64.checked_shl(n).unwrap_or(u64::MAX);
                let first = time.max(FLOOR / 2);
                let shortest = time.max(FLOOR);
                self.half_random(shortest, first.saturating_mul(doubled))
            }
        };
        let jitter = shortest / 100 * JITTER;
        let longest = longest.max(shortest.saturating_add(jitter));
        Duration::from_millis(random().u64(shortest..=longest))
    }

    /// The bounds of a wait, at least `shortest`, of which half is at random.
    fn half_random(&self, shortest: u64, longest: u64) -> (u64, u64) {
        let cap = self.max.unwrap_or(CAP);
        let longest = longest.min(cap);
        (shortest.max(longest / 2), longest)
    }

    /// How many attempts in a row have failed.
    pub(crate) fn failed_attempts(&self) -> u32 {
        self.failed_attempts
    }
}

/// A generator of its own for each number: that of the thread would leave memory
/// behind on the program's main thread, and be the same in a child of the
/// process.
fn random() -> fastrand::Rng {
    fastrand::Rng::with_seed(RandomState::new().hash_one(sys::process_id()))
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    /// The wait is in `range`, in milliseconds, anew each time.
    #[track_caller]
    fn assert_wait(
        backoff: &mut Backoff,
        worked: bool,
        range: RangeInclusive<u64>,
    ) {
        let waits = (0..200).map(|_| {
            let mut again = backoff.clone();
            again.next(worked).as_millis() as u64
        });
        let waits: Vec<_> = waits.collect();
        for wait in &waits {
            assert!(range.contains(wait), "{wait} is not in {range:?}");
        }
        // All of the range is used.
        let (least, most) = (waits.iter().min(), waits.iter().max());
        let used = most.unwrap() - least.unwrap();
        assert!(used >= (range.end() - range.start()) * 8 / 10, "{range:?}");
        backoff.next(worked);
    }

    #[test]
    fn waits_the_reconnection_time_after_a_connection_that_worked() {
        let mut backoff = Backoff::new(3000, None);
        for _ in 0..10 {
            assert_wait(&mut backoff, true, 3000..=3600);
        }
        assert_eq!(backoff.failed_attempts(), 0);
    }

    #[test]
    fn doubles_up_to_the_cap_and_starts_again_after_what_worked() {
        let mut backoff = Backoff::new(3000, None);
        for range in [
            3000..=6000,
            6000..=12_000,
            12_000..=24_000,
            15_000..=30_000,
            15_000..=30_000,
        ] {
            assert_wait(&mut backoff, false, range);
        }
        assert_wait(&mut backoff, true, 3000..=3600);
        assert_wait(&mut backoff, false, 3000..=6000);
        assert_wait(&mut backoff, false, 6000..=12_000);
    }

    #[test]
    fn a_longer_reconnection_time_is_its_own_cap() {
        let mut backoff = Backoff::new(60_000, None);
        for _ in 0..5 {
            assert_wait(&mut backoff, false, 60_000..=72_000);
        }
        // R26: never less than the reconnection time.
        let mut backoff = Backoff::new(20_000, None);
        for _ in 0..5 {
            assert_wait(&mut backoff, false, 20_000..=30_000);
        }
    }

    #[test]
    fn the_programs_limit_holds_for_the_server_and_not_below_the_floor() {
        let mut backoff = Backoff::new(60_000, Some(2000));
        for worked in [true, false, false] {
            assert_wait(&mut backoff, worked, 2000..=2400);
        }
        let mut backoff = Backoff::new(100, Some(1500));
        for range in [100..=200, 500..=1000, 750..=1500, 750..=1500] {
            assert_wait(&mut backoff, false, range);
        }
        let mut backoff = Backoff::new(100, Some(1));
        for range in [1..=1, FLOOR..=600, FLOOR..=600] {
            assert_wait(&mut backoff, false, range);
        }
    }

    #[test]
    fn a_server_in_a_hurry_is_asked_a_handful_of_times_in_a_second() {
        let mut backoff = Backoff::new(0, None);
        for range in [0..=0, 500..=1000, 1000..=2000, 2000..=4000] {
            assert_wait(&mut backoff, false, range);
        }
    }

    #[test]
    fn events_do_not_buy_a_busy_loop() {
        let mut backoff = Backoff::new(0, None);
        for _ in 0..FREE_RECONNECTS {
            assert_wait(&mut backoff, true, 0..=0);
        }
        for _ in 0..10 {
            assert_wait(&mut backoff, true, MIN_DELAY..=MIN_DELAY);
        }
        assert_wait(&mut backoff, false, 0..=0);
        assert_wait(&mut backoff, true, 0..=0);
    }

    #[test]
    fn saturates() {
        let mut backoff = Backoff::new(u64::MAX, None);
        assert_eq!(backoff.next(false), Duration::from_millis(u64::MAX));
        let mut backoff = Backoff::new(1, None);
        for _ in 0..1000 {
            backoff.next(false);
        }
        assert_wait(&mut backoff, false, CAP / 2..=CAP);
    }
}
