//! [`Failures`]: the failed fetches of the clients that share a store.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// In the name of a lease's holder: its fetch has failed.
const FAILED: &str = "-failed-";
/// Failures are forgotten if none was seen for this time.
const MEMORY: Duration = Duration::from_secs(30);

/// What this client knows of the failures since its last token.
pub(super) struct Failures {
    /// The name under which this client takes leases.
    own: String,
    /// Never held across I/O.
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The name of the last failure, and when it was seen.
    last: Option<(String, Instant)>,
    are_many: bool,
}

impl Failures {
    pub(super) fn new(own: String) -> Self {
        Self {
            own,
            seen: Mutex::default(),
        }
    }

    /// Returns the name that tells the others of this client's failed fetch.
    pub(super) fn name(&self, serial: u64) -> String {
        format!("{}{FAILED}{serial}", self.own)
    }

    /// Remembers that a fetch has failed, if the holder's name says so. Returns
    /// whether it does and others have failed as well.
    pub(super) fn note(&self, holder: &str, now: Instant) -> bool {
        let mut seen = self.lock();
        if !holder.contains(FAILED) {
            return false;
        }
        // Two of another client may be due to its machine.
        let is_other = |last: &str| {
            let is_own = holder.starts_with(&self.own);
            last != holder && (is_own || client(last) != client(holder))
        };
        seen.are_many = seen.are_many(now) || seen.last(now).is_some_and(is_other);
        seen.last = Some((holder.to_owned(), now));
        seen.are_many
    }

    /// Whether not only one has failed.
    pub(super) fn are_many(&self, now: Instant) -> bool {
        self.lock().are_many(now)
    }

    /// To be called when there is a token.
    pub(super) fn forget(&self) {
        *self.lock() = Seen::default();
    }

    /// Nothing is left half done under the lock, so a panic elsewhere does not
    /// matter.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn last(&self, now: Instant) -> Option<&str> {
        let (name, at) = self.last.as_ref()?;
        (now.saturating_duration_since(*at) < MEMORY).then_some(name)
    }

    fn are_many(&self, now: Instant) -> bool {
        self.are_many && self.last(now).is_some()
    }
}

/// Returns the client that a failure's name names.
fn client(name: &str) -> Option<&str> {
    name.split(FAILED).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_many_when_a_second_client_fails_or_this_one_again() {
        let now = Instant::now();
        for (names, are_many) in [
            (&["a-failed-1"][..], false),
            (&["a-failed-1", "a-failed-1"], false),
            (&["a-failed-1", "a-failed-2"], false),
            (&["a-failed-1", "b", "b-failed-1"], true),
            (&["a-failed-1", "b-failed-1", "b-failed-2"], true),
            (&["a-failed-1", "own-failed-1"], true),
            (&["own-failed-1"], false),
            (&["own-failed-1", "own-failed-1"], false),
            (&["own-failed-1", "own-failed-2"], true),
            (&["a", "b"], false),
        ] {
            let failures = Failures::new("own".to_owned());
            let last = names.iter().map(|name| failures.note(name, now)).last();
            assert_eq!(last, Some(are_many), "{names:?}");
            assert_eq!(failures.are_many(now), are_many, "{names:?}");
            assert!(!failures.note("a", now), "not a failure");
            failures.forget();
            assert!(!failures.note("c-failed-1", now), "{names:?}");
        }
    }

    #[test]
    fn failures_are_forgotten_when_none_was_seen_for_long() {
        let (failures, start) = (Failures::new("own".to_owned()), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!failures.note(&failures.name(7), at(0)));
        assert!(failures.note("a-failed-1", at(29)));
        assert!(failures.note("a-failed-2", at(58)));
        assert!(failures.are_many(at(87)) && !failures.are_many(at(88)));
        assert!(!failures.note("b-failed-1", at(88)));
        assert!(failures.note("c-failed-1", at(117)));
    }
}
