//! The number of this process, which changes with fork(2).

use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::SeqCst};

use super::stack::page_size;

/// A page that is empty in a child process, once it is needed. No lock: a
/// child would find it as it was, and signal handlers ask, too.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
/// The place of the page where the system has no such.
static NO_PAGE: AtomicU32 = AtomicU32::new(0);

/// The number of this process. Asked before each item that is taken from a
/// queue, where a system call would cost more than all the rest.
pub(crate) fn process_id() -> u32 {
    let page = match PAGE.load(SeqCst) {
        known if known.is_null() => first(),
        known => known,
    };
    if ptr::eq(page, &NO_PAGE) {
        return process::id();
    }
    // SAFETY: mapped for ever, aligned, zero at first, and used as nothing
    // else.
    let known = unsafe { &*page };
    match known.load(SeqCst) {
        // No process that has threads is 0.
        0 => {
            let id = process::id();
            known.store(id, SeqCst);
            id
        }
        id => id,
    }
}

/// The page, which all threads agree about.
#[cold]
fn first() -> *const AtomicU32 {
    let page = map().unwrap_or((&raw const NO_PAGE).cast_mut());
    let before = ptr::null_mut();
    match PAGE.compare_exchange(before, page, SeqCst, SeqCst) {
        Ok(_) => page,
        Err(others) => {
            if !ptr::eq(page, &NO_PAGE) {
                // SAFETY: mapped below, and nobody has seen it.
                unsafe { libc::munmap(page.cast(), page_size()) };
            }
            others
        }
    }
}

/// Maps a page that children find empty, by whatever call they were made; none
/// if the system, Linux before 4.14 or one that imitates it, has no such page.
fn map() -> Option<*mut AtomicU32> {
    let size = page_size();
    // SAFETY: a new mapping, at a place that the system chooses.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the page that was just mapped, as often as it is asked for.
    let advise = |what| unsafe { libc::madvise(page, size, what) } == 0;
    // Emulators take all advice, the impossible, too, and follow none.
    if advise(-1) || !advise(libc::MADV_WIPEONFORK) {
        // SAFETY: nobody has seen it.
        unsafe { libc::munmap(page, size) };
        return None;
    }
    Some(page.cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_has_another() {
        assert_eq!(process_id(), process::id());
        // SAFETY: the child takes no lock and no memory.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let differs = process_id() != process::id();
            // SAFETY: ends the child.
            unsafe { libc::_exit(differs.into()) };
        }
        let mut status = -1;
        // SAFETY: a place for it.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the number of its parent");
        assert_eq!(process_id(), process::id());
    }
}
