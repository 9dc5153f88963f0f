//! Which of its sources a loop is to look at, and how it is woken for that.
//!
//! A source's number is a bit. Whoever wants it looked at sets the bit, then
//! says that there is one, then wakes the loop if it sleeps; the loop says that
//! it sleeps, and then asks whether there is one. So no call is lost, whatever
//! the order, and only a loop that sleeps costs a system call. A signal handler
//! may do it: no lock is taken, and no memory. What is written is swapped, which
//! costs what a SeqCst store costs, so that loom, which knows less of SeqCst, can
//! follow.

use std::io;
use std::sync::OnceLock;

use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use crate::sys::Wake;

/// The bits of all the sources of a loop.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Each chunk has room for twice as many as the one before, so that what is
    /// there stays where it is.
    chunks: [OnceLock<Box<[AtomicU64]>>; Inbox::CHUNKS],
    /// A bit is set, or was.
    any: AtomicBool,
    /// Whoever sets a bit has to wake the loop.
    asleep: AtomicBool,
    wake: Wake,
}

/// What a source wakes its loop by.
#[derive(Debug, Clone)]
pub(crate) struct Bell {
    inbox: Arc<Inbox>,
    number: u32,
}

impl Inbox {
    const CHUNKS: usize = 20;
    /// Of sources.
    pub(crate) const MOST: u32 = ((1 << Inbox::CHUNKS) - 1) * u64::BITS;

    pub(crate) fn new() -> io::Result<Inbox> {
        Ok(Inbox {
            chunks: [const { OnceLock::new() }; Inbox::CHUNKS],
            any: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            wake: Wake::new()?,
        })
    }

    /// Chunk and word of a number.
    fn place(number: u32) -> (usize, usize) {
        let word = number / u64::BITS + 1;
        let chunk = word.ilog2();
        (chunk as usize, (word - (1 << chunk)) as usize)
    }

    /// The loop's: takes the numbers of the sources to look at.
    pub(crate) fn take(&self, numbers: &mut Vec<u32>) {
        // Before the bits, as they are set before it.
        if !self.any.swap(false, SeqCst) {
            return;
        }
        let words = self.chunks.iter().map_while(OnceLock::get).flatten();
        for (word, first) in words.zip((0..).step_by(u64::BITS as usize)) {
            if word.load(SeqCst) == 0 {
                continue;
            }
            let mut bits = word.swap(0, SeqCst);
            while bits != 0 {
                numbers.push(first + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }

    /// The loop's: it is about to wait, until [`Inbox::wake`] is readable if
    /// this is true. If not, there is something to take.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.swap(true, SeqCst);
        let sleeps = !self.any.load(SeqCst);
        if !sleeps {
            self.asleep.swap(false, SeqCst);
        }
        sleeps
    }

    /// The loop's: it waits no more.
    pub(crate) fn awake(&self) {
        self.asleep.swap(false, SeqCst);
    }

    /// Has the loop look at the source with this number, which has a bell, or
    /// had one.
    pub(crate) fn ring(&self, number: u32) {
        let (chunk, word) = Inbox::place(number);
        let chunk = self.chunks[chunk].get().expect("made with the bell");
        chunk[word].fetch_or(1 << (number % u64::BITS), SeqCst);
        self.any.swap(true, SeqCst);
        if self.asleep.swap(false, SeqCst) {
            self.wake.set();
        }
    }

    /// What wakes the loop.
    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }
}

impl Bell {
    /// For the source with this number, below [`Inbox::MOST`].
    pub(crate) fn new(inbox: &Arc<Inbox>, number: u32) -> Bell {
        let (chunk, _) = Inbox::place(number);
        inbox.chunks[chunk].get_or_init(|| {
            (0..1 << chunk).map(|_| AtomicU64::new(0)).collect()
        });
        Bell { inbox: inbox.clone(), number }
    }

    /// Has the loop look at the source.
    pub(crate) fn ring(&self) {
        self.inbox.ring(self.number);
    }

    /// Whether this process was forked from the one that made the loop.
    pub(crate) fn belongs_to_parent_process(&self) -> bool {
        self.inbox.wake.belongs_to_parent_process()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_bit_of_its_own() {
        let inbox = Arc::new(Inbox::new().unwrap());
        let numbers = [0, 1, 63, 64, 65, 127, 128, 191, 192, 1000, 99_999];
        // A chunk has to be there before the ones behind it.
        let bells: Vec<_> =
            (0..100_000).map(|it| Bell::new(&inbox, it)).collect();
        for number in numbers.into_iter().rev() {
            bells[number as usize].ring();
        }
        let mut taken = Vec::new();
        inbox.take(&mut taken);
        assert_eq!(taken, numbers);
        taken.clear();
        inbox.take(&mut taken);
        assert_eq!(taken, []);
        let last = Inbox::place(Inbox::MOST - 1);
        assert_eq!(last, (Inbox::CHUNKS - 1, (1 << (Inbox::CHUNKS - 1)) - 1));
    }
}
