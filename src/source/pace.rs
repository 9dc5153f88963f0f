//! How much is read at once for the sources of a loop.

use std::time::{Duration, Instant};

/// How much is read at once. What the server has sent says little about the
/// time that callbacks take for it, and the other sources wait as long.
pub(crate) struct Pace {
    budget: usize,
    /// The last read has left something, and so has brought much.
    is_busy: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { budget: Pace::MOST, is_busy: false }
    }
}

impl Pace {
    pub(crate) const MOST: usize = 64 * 1024;
    const LEAST: usize = 4 * 1024;
    /// A turn that takes longer is shorter the next time.
    const LONG: Duration = Duration::from_millis(2);

    /// So much, at most.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// A short read is not worth looking at the clock.
    pub(crate) fn begin(&self) -> Option<Instant> {
        let watched = self.is_busy || self.budget < Pace::MOST;
        watched.then(Instant::now)
    }

    pub(crate) fn end(&mut self, start: Option<Instant>, is_busy: bool) {
        self.is_busy = is_busy;
        let Some(start) = start else { return };
        let budget = match start.elapsed() {
            time if time > Pace::LONG => self.budget / 2,
            time if time < Pace::LONG / 4 => self.budget * 2,
            _ => self.budget,
        };
        self.budget = budget.clamp(Pace::LEAST, Pace::MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_callbacks_get_less_at_once() {
        let long_ago = || Instant::now() - Pace::LONG * 2;
        let mut pace = Pace::default();
        assert!(pace.begin().is_none(), "nothing is known yet");
        pace.end(None, true);
        assert!(pace.begin().is_some());
        for _ in 0..10 {
            pace.end(Some(long_ago()), true);
        }
        assert_eq!(pace.budget, Pace::LEAST);
        assert!(pace.begin().is_some());
        for _ in 0..10 {
            pace.end(Some(Instant::now()), false);
        }
        assert_eq!(pace.budget, Pace::MOST);
        assert!(pace.begin().is_none());
    }
}
