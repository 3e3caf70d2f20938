//! Resource limits, which the caller of su or sudo can have lowered.

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// What a call to the service needs at most: files, and bytes of memory.
const NEEDED: [(Resource, rlim_t); 3] = [
    (Resource::RLIMIT_NOFILE, 64),
    (Resource::RLIMIT_AS, 1 << 30),
    (Resource::RLIMIT_DATA, 1 << 28),
];

/// Raises limits that are too low, and returns whether all suffice. Root can
/// raise each.
pub(crate) fn raise() -> bool {
    NEEDED.iter().all(|&(resource, needed)| {
        getrlimit(resource).is_ok_and(|(soft, hard)| {
            soft >= needed || setrlimit(resource, needed, hard.max(needed)).is_ok()
        })
    })
}
