//! Storage that grows with what a server sends: where there is no memory for
//! it, nothing is stored, and the program goes on.

use super::Text;

/// Storage up to this capacity is kept for the next event, to spare it an
/// allocation; a thousand idle sources should not hold more.
pub(super) const KEPT_CAPACITY: usize = 4096;

/// Text that outlives the piece it came in, with its NUL. Empty text holds no
/// storage.
#[derive(Default, PartialEq, Eq)]
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

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self) -> Option<Text<'_>> {
        (!self.0.is_empty()).then_some(Text(&self.0))
    }

    pub(super) fn get_or_empty(&self) -> Text<'_> {
        self.get().unwrap_or(Text(b"\0"))
    }
}

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

/// Makes valid UTF-8 of `line`, in place, as the standard's decoder does
/// (R38). False if that would be longer than `limit`, or if there is no
/// memory.
#[must_use]
pub(super) fn make_valid(line: &mut Vec<u8>, limit: usize) -> bool {
    const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

    if simdutf8::basic::from_utf8(line).is_ok() {
        return true;
    }
    let mut length = 0;
    for chunk in line.utf8_chunks() {
        length += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            length += REPLACEMENT.len();
        }
        if length > limit {
            return false;
        }
    }
    let more = length - line.len();
    if !reserve(line, more) {
        return false;
    }
    // What is read lies at the end, and is never overtaken by what is written:
    // a replacement is as long as what it replaces, at least.
    let old = line.len();
    line.resize(length, 0);
    line.copy_within(..old, more);
    let (mut read, mut write) = (more, 0);
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
            let mut line = bytes.to_vec();
            assert!(make_valid(&mut line, right.len()));
            assert_eq!(str::from_utf8(&line), Ok(&*right));
            let mut line = bytes.to_vec();
            assert!(!make_valid(&mut line, right.len() - 1));
            assert_eq!(line, bytes);
        }
    }
}
