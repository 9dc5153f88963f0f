//! Limits of the process.

pub use libc::rlim_t as Amount;

/// What there is a limit of.
#[derive(Clone, Copy)]
pub enum Limit {
    AddressSpace,
    Descriptors,
    Threads,
}

/// Sets a limit; gives back what it was.
pub fn limit(what: Limit, to: Amount) -> Amount {
    change(what, |_| to)
}

/// As many descriptors as there may be.
pub fn allow_many_descriptors() {
    change(Limit::Descriptors, |limit| limit.rlim_max);
}

fn change(what: Limit, to: impl FnOnce(&libc::rlimit) -> Amount) -> Amount {
    // Their type is another one in each C library.
    let resource = match what {
        Limit::AddressSpace => libc::RLIMIT_AS,
        Limit::Descriptors => libc::RLIMIT_NOFILE,
        Limit::Threads => libc::RLIMIT_NPROC,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is ours, and outlives the calls.
    unsafe {
        assert_eq!(libc::getrlimit(resource, &mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = to(&limit);
        assert_eq!(libc::setrlimit(resource, &limit), 0);
        before
    }
}
