//! The part of a thread's stack that is used no more, given back.

use std::ops::Range;

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

    thread_local! {
        static STACK: Option<Range<usize>> = stack();
    }

    let Some(stack) = STACK.with(Clone::clone) else { return };
    let Some(live) = stack_pointer() else { return };
    // A program may run callbacks on stacks of its own making.
    if !stack.contains(&live) {
        return;
    }
    let page = page_size();
    let end = live.saturating_sub(MARGIN) & !(page - 1);
    let start = (stack.start + page - 1) & !(page - 1);
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

fn page_size() -> usize {
    // SAFETY: sysconf(3) takes no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// The addresses of this thread's stack.
fn stack() -> Option<Range<usize>> {
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
