//! Storage that grows with what a server sends: where there is no memory for
//! it, nothing is stored, and the program goes on.

use std::mem;
use std::sync::Arc;

use super::Text;
use super::look::Look;

/// Storage up to this capacity is kept for the next event, to spare it an
/// allocation; a thousand idle sources should not hold more.
pub(super) const KEPT_CAPACITY: usize = 4096;

/// Text that outlives the piece it came in, with its NUL. Empty text holds no
/// storage.
#[derive(Default)]
pub(super) struct OwnText(Vec<u8>);

impl OwnText {
    /// Takes `text`, which ends with a NUL; false, and empty, if there is no
    /// memory for it.
    #[must_use]
    pub(super) fn set(&mut self, text: &[u8]) -> bool {
        self.clear();
        text == b"\0" || append(&mut self.0, text)
    }

    /// Takes the storage of a text that ends with a NUL.
    pub(super) fn replace(&mut self, text: Vec<u8>) {
        self.0 = text;
        if self.0 == b"\0" {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        clear(&mut self.0);
    }

    /// The storage, if it is large enough to be shared.
    pub(super) fn take_large(&mut self) -> Option<Arc<Vec<u8>>> {
        let is_large = self.0.len() > LARGE;
        is_large.then(|| Arc::new(mem::take(&mut self.0)))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self) -> Option<Text<'_>> {
        (!self.0.is_empty()).then_some(Text(&self.0))
    }
}

/// A last event ID string, with its NUL. A large one is stored once, and shared
/// by all that have it; a small one is copied into storage that is there.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Id {
    /// Empty storage is an empty id.
    small: Vec<u8>,
    /// Then `small` is empty.
    large: Option<Arc<Vec<u8>>>,
}

impl Id {
    /// Takes an id, which ends with a NUL; false, and empty, if there is no
    /// memory for it.
    #[must_use]
    pub(crate) fn set(&mut self, id: &[u8]) -> bool {
        self.clear();
        if id.len() <= self.small.capacity() && id.len() > 1 {
            self.small.extend_from_slice(id);
            return true;
        }
        let enough = id == b"\0" || append(&mut self.small, id);
        if id.len() > LARGE && enough {
            self.large = Some(Arc::new(mem::take(&mut self.small)));
        }
        enough
    }

    /// Takes the storage of an id, which ends with a NUL.
    pub(crate) fn replace(&mut self, id: Vec<u8>) {
        self.clear();
        match id.len() {
            0 | 1 => {}
            ..=LARGE => self.small = id,
            _ => self.large = Some(Arc::new(id)),
        }
    }

    /// Takes an id that may be shared.
    #[must_use]
    pub(crate) fn keep(
        &mut self,
        id: Text<'_>,
        shared: Option<&Arc<Vec<u8>>>,
    ) -> bool {
        let Some(shared) = shared else { return self.set(id.bytes_with_nul()) };
        self.clear();
        self.large = Some(shared.clone());
        true
    }

    pub(crate) fn clear(&mut self) {
        clear(&mut self.small);
        self.large = None;
    }

    pub(super) fn len(&self) -> usize {
        self.small.len() + self.large.as_ref().map_or(0, |large| large.len())
    }

    /// The id, if it is small; else an empty one.
    #[inline]
    pub(super) fn if_small(&self) -> Text<'_> {
        Text(if self.small.is_empty() { b"\0" } else { &self.small })
    }

    pub(crate) fn text(&self) -> Text<'_> {
        match &self.large {
            None => self.if_small(),
            Some(large) => Text(large),
        }
    }

    /// The storage of a large one.
    pub(crate) fn shared(&self) -> Option<&Arc<Vec<u8>>> {
        self.large.as_ref()
    }
}

/// What is larger is not copied where it can be shared.
pub(super) const LARGE: usize = 64 << 10;

/// Empties storage, and gives it back if it is outsized.
#[inline]
pub(super) fn clear(storage: &mut Vec<u8>) {
    storage.clear();
    if storage.capacity() > KEPT_CAPACITY {
        *storage = Vec::new();
    }
}

/// Appends `bytes`; false, and nothing has changed, if there is no memory.
#[must_use]
pub(super) fn append(storage: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let fits = reserve(storage, bytes.len());
    if fits {
        storage.extend_from_slice(bytes);
    }
    fits
}

/// Twice as much as there is, to grow seldom; near the end of the memory a
/// little more than is asked for. What is left then is for others.
fn reserve(storage: &mut Vec<u8>, more: usize) -> bool {
    storage.try_reserve(more).is_ok()
        || storage.try_reserve_exact(more + storage.len() / 8).is_ok()
}

/// Makes valid UTF-8 of what stands in `line` behind `start`, in place, as the
/// standard's decoder does (R38). False if that would be longer than `limit`,
/// or if there is no memory.
#[must_use]
pub(super) fn make_valid(
    look: impl Look,
    line: &mut Vec<u8>,
    start: usize,
    limit: usize,
) -> bool {
    const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

    if look.is_utf8(&line[start..]) {
        return true;
    }
    let mut length = 0;
    for chunk in line[start..].utf8_chunks() {
        length += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            length += REPLACEMENT.len();
        }
        if length > limit {
            return false;
        }
    }
    let length = start + length;
    let more = length - line.len();
    if !reserve(line, more) {
        return false;
    }
    // What is read lies at the end, and is never overtaken by what is written:
    // a replacement is as long as what it replaces, at least.
    let old = line.len();
    line.resize(length, 0);
    line.copy_within(start..old, start + more);
    let (mut read, mut write) = (start + more, start);
    while let Some(chunk) = line[read..].utf8_chunks().next() {
        let (valid, bad) = (chunk.valid().len(), chunk.invalid().len());
        line.copy_within(read..read + valid, write);
        read += valid + bad;
        write += valid;
        if bad > 0 {
            line[write..][..REPLACEMENT.len()].copy_from_slice(REPLACEMENT);
            write += REPLACEMENT.len();
        }
    }
    debug_assert_eq!(write, length);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::look::Baseline;

    #[test]
    fn what_is_not_utf_8_is_replaced_in_place() {
        for bytes in [
            &b"\xFF"[..],
            b"a\xFFb",
            b"\xE2\x82",
            b"\xE2\x82\xE2\x82\xAC\xF0\x9F\x98x\xC0\xAF",
            b"\xF0\x9F\xF0\x9F\x98\xED\xA0\x80end",
            b"\x80\x80\x80\x80 and text",
        ] {
            let right = String::from_utf8_lossy(bytes).into_owned();
            for before in [&b""[..], b"\xFFx"] {
                let (all, start) = ([before, bytes].concat(), before.len());
                let valid = |line: &mut Vec<u8>, limit| {
                    make_valid(Baseline, line, start, limit)
                };
                let mut line = all.clone();
                assert!(valid(&mut line, right.len()));
                assert_eq!(line, [before, right.as_bytes()].concat());
                let mut line = all.clone();
                assert!(!valid(&mut line, right.len() - 1));
                assert_eq!(line, all);
            }
        }
    }
}
