//! Limits of the process.

/// Sets one; gives back what it was.
pub fn limit(resource: libc::__rlimit_resource_t, to: u64) -> u64 {
    change(resource, |_| to)
}

/// As many descriptors as there may be.
pub fn allow_many_descriptors() {
    change(libc::RLIMIT_NOFILE, |limit| limit.rlim_max);
}

fn change(
    resource: libc::__rlimit_resource_t,
    to: impl FnOnce(&libc::rlimit) -> u64,
) -> u64 {
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
