//! Who has which number in a loop, with what it waits for: a deadline, or
//! another turn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The slots of a loop; each has a number, and is free or taken by a `T`.
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// The slots that have a deadline, the earliest first. An entry that is out
    /// of date stays until its time has come: a deadline that moves with every
    /// read costs nothing.
    deadlines: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Those that have another turn without a wait.
    more: Vec<u32>,
}

struct Slot<T> {
    /// Tells who has the number from those that had it before.
    generation: u32,
    taken: Option<T>,
    /// It is in `more`.
    more: bool,
    deadline: Option<Instant>,
    /// The earliest time at which the slot stands in the heap.
    queued: Option<Instant>,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Slots<T> {
        Slots {
            slots: Vec::new(),
            deadlines: BinaryHeap::new(),
            more: Vec::new(),
        }
    }

    /// How many numbers there are; some may be free.
    pub(crate) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn insert(&mut self, number: u32, taken: T) {
        let index = number as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        self.slots[index].taken = Some(taken);
    }

    /// The number is for another.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let slot = &mut self.slots[number as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.deadline = None;
        slot.more = false;
        slot.taken.take()
    }

    /// Who has the number, with its token.
    pub(crate) fn get(&self, number: u32) -> Option<(&T, u64)> {
        let slot = self.slots.get(number as usize)?;
        Some((slot.taken.as_ref()?, slot.token(number)))
    }

    /// The number of a token, unless another has it by now.
    pub(crate) fn find(&self, token: u64) -> Option<u32> {
        let number = token as u32;
        let slot = self.slots.get(number as usize)?;
        (slot.token(number) == token).then_some(number)
    }

    /// Gives the slot another turn without a wait, and no deadline.
    pub(crate) fn set_more(&mut self, number: u32) {
        let slot = &mut self.slots[number as usize];
        slot.deadline = None;
        if !std::mem::replace(&mut slot.more, true) {
            self.more.push(number);
        }
    }

    pub(crate) fn any_has_more(&self) -> bool {
        !self.more.is_empty()
    }

    /// Whether the slot has another turn before it, in any case.
    pub(crate) fn has_more(&self, number: u32) -> bool {
        self.slots[number as usize].more
    }

    /// Those that have another turn, to be asked for each by
    /// [`Slots::take_more`].
    pub(crate) fn list_more(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.more)
    }

    /// Whether the slot has another turn still; it is had now.
    pub(crate) fn take_more(&mut self, number: u32) -> bool {
        std::mem::take(&mut self.slots[number as usize].more)
    }

    pub(crate) fn set_deadline(
        &mut self,
        number: u32,
        deadline: Option<Instant>,
    ) {
        let slot = &mut self.slots[number as usize];
        slot.deadline = deadline;
        if let Some(deadline) = deadline
            && slot.queued.is_none_or(|queued| deadline < queued)
        {
            slot.queued = Some(deadline);
            self.deadlines.push(Reverse((deadline, number)));
        }
    }

    /// No deadline passes before that time.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((time, _))| *time)
    }

    /// A slot whose deadline has passed; it has none any more.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<u32> {
        while self.next_deadline()? <= now {
            let Reverse((time, number)) = self.deadlines.pop()?;
            let slot = &mut self.slots[number as usize];
            if slot.queued != Some(time) {
                continue;
            }
            slot.queued = None;
            match slot.deadline {
                Some(deadline) if deadline <= now => {
                    slot.deadline = None;
                    return Some(number);
                }
                deadline => self.set_deadline(number, deadline),
            }
        }
        self.compact();
        None
    }

    /// Entries that are out of date do not outnumber the others by much.
    fn compact(&mut self) {
        let Slots { slots, deadlines, .. } = self;
        if deadlines.len() > 64 + 2 * slots.len() {
            deadlines.retain(|Reverse((time, number))| {
                slots[*number as usize].queued == Some(*time)
            });
        }
    }
}

impl<T> Slot<T> {
    /// By which epoll knows who has the number.
    fn token(&self, number: u32) -> u64 {
        u64::from(self.generation) << u32::BITS | u64::from(number)
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot {
            generation: 0,
            taken: None,
            more: false,
            deadline: None,
            queued: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn second(number: u64) -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_secs(number)
    }

    /// Whoever gets a number has no part of what another with it waited for.
    #[test]
    fn who_has_left_leaves_nothing_to_the_next() {
        let mut slots = Slots::new();
        slots.insert(3, "first");
        let (_, token) = slots.get(3).expect("the first");
        slots.set_more(3);
        slots.set_deadline(3, Some(second(1)));
        assert_eq!(slots.remove(3), Some("first"));
        assert!(slots.get(3).is_none());
        slots.insert(3, "second");
        assert_eq!(slots.find(token), None);
        assert_eq!(slots.list_more(), [3]);
        assert!(!slots.take_more(3));
        assert_eq!(slots.take_due(second(2)), None);
    }

    /// Deadlines come in their order, each once, and later ones not before.
    #[test]
    fn deadlines_pass_in_their_order() {
        let mut slots = Slots::new();
        for (number, time) in [(1, 3), (2, 1), (3, 2), (4, 5)] {
            slots.insert(number, ());
            slots.set_deadline(number, Some(second(time)));
        }
        slots.set_deadline(3, Some(second(4)));
        slots.set_deadline(1, None);
        let due = |slots: &mut Slots<()>, time| {
            std::iter::from_fn(|| slots.take_due(second(time)))
                .collect::<Vec<_>>()
        };
        assert_eq!(due(&mut slots, 3), [2]);
        assert_eq!(slots.next_deadline(), Some(second(4)));
        assert_eq!(due(&mut slots, 5), [3, 4]);
        assert_eq!(slots.next_deadline(), None);
    }

    /// Deadlines that move leave nothing behind that grows.
    #[test]
    fn deadlines_that_move_stay_few() {
        let mut slots = Slots::new();
        slots.insert(1, ());
        for time in 0..2000 {
            slots.set_deadline(1, Some(second(3600)));
            slots.set_deadline(1, Some(second(time)));
            assert_eq!(slots.take_due(second(time)), Some(1));
            assert_eq!(slots.take_due(second(time)), None);
        }
        assert!(slots.deadlines.len() < 100);
    }
}
