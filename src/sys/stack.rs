//! What a thread's stack keeps resident: no more than what is used.

use std::ops::Range;

thread_local! {
    /// The addresses of this thread's stack.
    static STACK: Option<Range<usize>> = addresses();
}

/// Has the system use small pages for this thread's stack. Otherwise it may
/// make one page of 2 MiB of it, resident as a whole, because a stack that
/// large is aligned often enough. From Linux 6.7 on it does so by itself where
/// the C library says that the memory is for a stack; musl does not.
pub(crate) fn keep_pages_small() {
    let Some(stack) = STACK.with(Clone::clone) else { return };
    let start = stack.start.next_multiple_of(page_size());
    // SAFETY: the range is this thread's own stack; the advice changes nothing
    // of what is in it.
    unsafe {
        libc::madvise(
            start as *mut libc::c_void,
            stack.end.saturating_sub(start),
            libc::MADV_NOHUGEPAGE,
        );
    }
}

/// Gives the dead part of this thread's stack back to the system.
///
/// Setting up a connection needs some 60 KiB of stack, reading a stream a
/// few hundred bytes; without this the pages would stay resident for as
/// long as the stream lasts.
// A frame of its own, so that the margin also covers it on a processor that
// would read the stack pointer before it has made room for the frame.
#[inline(never)]
pub(crate) fn release_dead_stack() {
    /// Kept below the stack pointer: for this frame and that of madvise(3),
    /// and for the red zone (128 bytes on x86-64, 288 on PowerPC).
    const MARGIN: usize = 1024;

    let Some(stack) = STACK.with(Clone::clone) else { return };
    let Some(live) = stack_pointer() else { return };
    // A program may run callbacks on stacks of its own making.
    if !stack.contains(&live) {
        return;
    }
    let page = page_size();
    let end = live.saturating_sub(MARGIN) & !(page - 1);
    let start = stack.start.next_multiple_of(page);
    if start < end {
        // SAFETY: the range lies inside this thread's own stack and below
        // the stack pointer, so that nothing in it is ever read again.
        unsafe {
            libc::madvise(
                start as *mut libc::c_void,
                end - start,
                libc::MADV_DONTNEED,
            );
        }
    }
}

/// The stack pointer: every live frame lies above it. None on a processor
/// whose register is not known here. The address of a local would not do:
/// where the compiler inlines, it lies anywhere in the frame of a caller.
#[inline(always)]
fn stack_pointer() -> Option<usize> {
    #[allow(unused_assignments, unused_mut, reason = "not every processor")]
    let mut pointer = None;
    macro_rules! read {
        ($instruction:literal) => {{
            let value: usize;
            // SAFETY: copies one register to another.
            unsafe {
                // Not `nostack`: the frame has to be there already.
                std::arch::asm!(
                    $instruction,
                    out(reg) value,
                    options(nomem, preserves_flags)
                );
            }
            pointer = Some(value);
        }};
    }
    #[cfg(target_arch = "x86_64")]
    read!("mov {}, rsp");
    #[cfg(target_arch = "x86")]
    read!("mov {}, esp");
    #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
    read!("mov {}, sp");
    #[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
    read!("mv {}, sp");
    #[cfg(target_arch = "s390x")]
    read!("lgr {}, %r15");
    #[cfg(target_arch = "loongarch64")]
    read!("move {}, $sp");
    pointer
}

pub(super) fn page_size() -> usize {
    // SAFETY: sysconf(3) takes no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

fn addresses() -> Option<Range<usize>> {
    let mut attributes =
        std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut lowest = std::ptr::null_mut();
    let mut size = 0;
    // SAFETY: pthread_getattr_np initializes what it is given, on success.
    let failed = unsafe {
        libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr())
    };
    if failed != 0 {
        return None;
    }
    // SAFETY: initialized above; the out-pointers are live locals.
    let failed = unsafe {
        libc::pthread_attr_getstack(
            attributes.as_ptr(),
            &raw mut lowest,
            &raw mut size,
        )
    };
    // SAFETY: initialized above, and destroyed once.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    let lowest = lowest as usize;
    (failed == 0).then_some(lowest..lowest.saturating_add(size))
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::thread;

    use super::*;

    /// Fills a frame of some pages, gives back what lies below it, and looks
    /// whether all of it is still there.
    fn keeps_its_frame() {
        let mut frame = [0_u8; 3 * 4096];
        black_box(&mut frame).fill(0xA5);
        release_dead_stack();
        assert!(black_box(&frame).iter().all(|byte| *byte == 0xA5));
    }

    /// Moves the frame by `N` bytes, so that pages end elsewhere in it.
    #[inline(never)]
    fn deeper<const N: usize>() {
        let room = [0_u8; N];
        black_box(&room);
        keeps_its_frame();
        black_box(&room);
    }

    /// The flags that the system has for the memory of this thread's stack.
    fn flags() -> String {
        flags_of(stack_pointer().unwrap())
    }

    fn flags_of(here: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = maps.lines().skip_while(|line| {
            let range = line.split(' ').next().unwrap().split_once('-');
            let mut ends = range.into_iter().flat_map(|(a, b)| [a, b]);
            let mut end = || usize::from_str_radix(ends.next()?, 16).ok();
            !(end() <= Some(here) && Some(here) < end())
        });
        let flags = lines.find_map(|line| line.strip_prefix("VmFlags:"));
        flags.unwrap().to_owned() + " "
    }

    /// Whether the system tells which pages stay small. Some are not built for
    /// large pages, and emulators of other processors tell nothing.
    fn is_told(memory: *mut libc::c_void, size: usize) -> bool {
        // SAFETY: memory of the caller's.
        let failed =
            unsafe { libc::madvise(memory, size, libc::MADV_NOHUGEPAGE) };
        let is_told = flags_of(memory as usize).contains(" nh ");
        // SAFETY: as above.
        unsafe { libc::madvise(memory, size, libc::MADV_HUGEPAGE) };
        failed == 0 && is_told
    }

    /// On memory that nobody has said to be for a stack.
    #[test]
    fn pages_stay_small() {
        extern "C" fn look(_: *mut libc::c_void) -> *mut libc::c_void {
            assert!(!flags().contains(" nh "), "too early: {}", flags());
            keep_pages_small();
            assert!(flags().contains(" nh "), "{}", flags());
            std::ptr::null_mut()
        }
        const SIZE: usize = 4 << 20;
        // SAFETY: the memory and the attributes outlive the thread.
        unsafe {
            let memory = libc::mmap(
                std::ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(memory, libc::MAP_FAILED);
            if !is_told(memory, SIZE) {
                return;
            }
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            let mut thread: libc::pthread_t = std::mem::zeroed();
            libc::pthread_attr_init(&raw mut attributes);
            libc::pthread_attr_setstack(&raw mut attributes, memory, SIZE);
            let failed = libc::pthread_create(
                &raw mut thread,
                &raw const attributes,
                look,
                std::ptr::null_mut(),
            );
            assert_eq!(failed, 0);
            libc::pthread_join(thread, std::ptr::null_mut());
            libc::pthread_attr_destroy(&raw mut attributes);
            libc::munmap(memory, SIZE);
        }
    }

    /// Release builds inline and reorder more: they run this, too.
    #[test]
    fn the_live_part_of_the_stack_is_kept() {
        let all = || {
            deeper::<16>();
            deeper::<400>();
            deeper::<800>();
            deeper::<1200>();
            deeper::<1600>();
            deeper::<2000>();
            deeper::<2400>();
            deeper::<2800>();
            deeper::<3200>();
            deeper::<3600>();
            deeper::<4000>();
        };
        thread::spawn(all).join().unwrap();
    }
}
