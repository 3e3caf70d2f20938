//! [`Failures`]: the failed fetches of the clients that share a store.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::{Clock, shortened};
use crate::error::Error;

/// In the name of a lease's holder: its fetch has failed.
const FAILED: &str = "-failed-";
/// A failure is forgotten after this time.
const MEMORY: Duration = Duration::from_secs(30);
/// When failures are many, a client whose own fetch has failed leaves the next one
/// to others for this time after it first saw the last failure, whose lease ends
/// within a second.
const OTHERS_FIRST: Duration = Duration::from_secs(5);
/// The same if it has seen no other client fail: it may be the only one.
const OTHERS_FIRST_IF_ANY: Duration = Duration::from_secs(2);
/// Any other client waits for this time until it can fetch itself, once in
/// [`MEMORY`] or, at random, in half of it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What this client knows of the failures since its last token.
///
/// The failures of others may be due to their machine, and one machine may run
/// many clients. So a client that has not failed itself is never kept from
/// fetching for long.
pub(super) struct Failures {
    /// The name under which this client takes leases.
    own: String,
    /// Never held across I/O.
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The name of the last failure, and when it was first seen.
    last: Option<(String, Instant)>,
    /// When the last failure of a client was seen that is not the last one's.
    last_of_another: Option<Instant>,
    /// When this client failed again, with no failure of another in between.
    again: Option<Instant>,
    own: Option<(Error, Instant)>,
    /// When the wait ends, and before when there is no other one.
    patience: Option<(Instant, Instant)>,
}

impl Failures {
    pub(super) fn new(own: String) -> Self {
        Self {
            own,
            seen: Mutex::default(),
        }
    }

    /// Remembers a failed fetch of this client. Returns the name that tells the
    /// others of it.
    pub(super) fn own_failed(&self, serial: u64, error: &Error, now: Instant) -> String {
        let name = format!("{}{FAILED}{serial}", self.own);
        self.note(&name, now);
        self.lock().own = Some((error.clone(), now));
        name
    }

    /// Remembers that a fetch has failed, if the holder's name says so. Returns
    /// whether it does.
    pub(super) fn note(&self, holder: &str, now: Instant) -> bool {
        if !holder.contains(FAILED) {
            return false;
        }
        let mut seen = self.lock();
        match seen.last.take() {
            Some(last) if last.0 == holder => {
                seen.last = Some(last);
                return true;
            }
            Some((last, at)) if client(&last) != client(holder) => {
                seen.last_of_another = Some(at);
            }
            Some((_, at)) if self.is_own(holder) && is_recent(at, now) => seen.again = Some(now),
            _ => {}
        }
        seen.last = Some((holder.to_owned(), now));
        true
    }

    /// Whether not only one has failed.
    pub(super) fn are_many(&self, now: Instant) -> bool {
        self.lock().are_many(now)
    }

    /// Notes the holder of the lease. Returns whether a call is not to wait on.
    pub(super) fn is_over(&self, holder: &str, clock: &dyn Clock) -> bool {
        let now = clock.now();
        if !self.note(holder, now) {
            return false;
        }
        let mut seen = self.lock();
        if !seen.are_many(now) || seen.has_failed(now) {
            return seen.are_many(now);
        }
        match seen.patience {
            Some((_, next)) if now < next => {}
            _ => seen.patience = Some((now + PATIENCE, now + shortened(clock, MEMORY))),
        }
        seen.patience.is_some_and(|(end, _)| now >= end)
    }

    /// Returns the name of the last failure, if this client has failed as well and
    /// leaves the next fetch to others.
    pub(super) fn others_first(&self, now: Instant) -> Option<String> {
        let seen = self.lock();
        let (name, at) = seen.last.as_ref()?;
        let pause = if seen.is_another(now) {
            OTHERS_FIRST
        } else {
            OTHERS_FIRST_IF_ANY
        };
        let is_early = now.saturating_duration_since(*at) < pause;
        (is_early && seen.has_failed(now) && seen.are_many(now)).then(|| name.clone())
    }

    /// Returns the error of this client's own fetch, if the holder's name says
    /// that it has failed.
    pub(super) fn own_error(&self, holder: &str) -> Option<Error> {
        let seen = self.lock();
        let own = seen.own.as_ref().filter(|_| self.is_own(holder));
        own.map(|(error, _)| error.clone())
    }

    /// To be called when there is a new token.
    pub(super) fn forget(&self) {
        *self.lock() = Seen::default();
    }

    fn is_own(&self, holder: &str) -> bool {
        client(holder) == Some(&self.own)
    }

    /// Nothing is left half done under the lock, so a panic elsewhere does not
    /// matter.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Whether a client other than the last one has failed.
    fn is_another(&self, now: Instant) -> bool {
        self.last_of_another.is_some_and(|at| is_recent(at, now))
    }

    /// Whether two clients have failed, or this one twice.
    fn are_many(&self, now: Instant) -> bool {
        self.is_another(now) || self.again.is_some_and(|at| is_recent(at, now))
    }

    /// Whether this client has failed.
    fn has_failed(&self, now: Instant) -> bool {
        self.own.as_ref().is_some_and(|(_, at)| is_recent(*at, now))
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < MEMORY
}

/// Returns the client that a failure's name names.
fn client(name: &str) -> Option<&str> {
    name.split(FAILED).next()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::error::ErrorKind;
    use crate::testing::{ShortClock, seconds};

    fn down() -> Error {
        Error::new(ErrorKind::Unavailable, "down")
    }

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
            for name in names {
                assert_eq!(failures.note(name, now), name.contains(FAILED));
            }
            assert_eq!(failures.are_many(now), are_many, "{names:?}");
            failures.forget();
            failures.note("c-failed-1", now);
            assert!(!failures.are_many(now), "{names:?}");
        }
    }

    #[test]
    fn the_failures_of_one_client_are_not_many_when_the_other_ones_are_old() {
        let (failures, start) = (Failures::new("own".to_owned()), Instant::now());
        let at = |second| start + seconds(second);
        for (second, name, are_many) in [
            (0, "a-failed-1", false),
            (29, "b-failed-1", true),
            (29, "b-failed-2", true),
            (30, "b-failed-3", false),
            (59, "a-failed-2", true),
            (60, "own-failed-1", true),
            (90, "own-failed-2", false),
            (119, "own-failed-3", true),
            (148, "own-failed-3", true),
            (149, "own-failed-3", false),
        ] {
            failures.note(name, at(second));
            assert_eq!(failures.are_many(at(second)), are_many, "{second} {name}");
        }
    }

    #[test]
    fn a_client_that_has_not_failed_is_patient_once_in_30_seconds() {
        let (failures, clock) = (Failures::new("own".to_owned()), ManualClock::new());
        assert!(!failures.is_over("a-failed-0", &clock));
        for number in 1..=2 {
            for (after, is_over) in [(0, false), (2, false), (1, true), (26, true)] {
                clock.advance(seconds(after));
                for name in ["a", "b"] {
                    let name = format!("{name}-failed-{number}{after}{is_over}");
                    assert_eq!(failures.is_over(&name, &clock), is_over, "{name}");
                }
            }
            clock.advance(seconds(1));
        }
        assert_eq!(failures.others_first(clock.now()), None);
        // One that has failed is not.
        failures.own_failed(7, &down(), clock.now());
        assert!(failures.is_over("a-failed-9", &clock));
    }

    #[test]
    fn at_random_it_is_patient_again_after_15_seconds() {
        let failures = Failures::new("own".to_owned());
        let clock = ShortClock(Arc::new(ManualClock::new()));
        let steps = [(0, false), (0, false), (3, true), (11, true), (1, false)];
        for (number, (after, is_over)) in steps.into_iter().enumerate() {
            clock.0.advance(seconds(after));
            let name = format!("{number}-failed-1");
            assert_eq!(failures.is_over(&name, &clock), is_over, "{name}");
        }
    }

    #[test]
    fn a_client_that_has_failed_leaves_the_next_fetch_to_others() {
        let (failures, start) = (Failures::new("own".to_owned()), Instant::now());
        let at = |second| start + seconds(second);
        failures.own_failed(1, &down(), at(0));
        assert_eq!(failures.others_first(at(0)), None, "it may try again once");
        failures.note("a-failed-1", at(10));
        let first = |second| failures.others_first(at(second));
        assert_eq!(first(14).as_deref(), Some("a-failed-1"));
        // It does not last longer when it is seen again.
        failures.note("a-failed-1", at(14));
        assert_eq!(first(15), None);
        failures.note("a-failed-2", at(29));
        assert_eq!((first(29).is_some(), first(30)), (true, None));
        failures.own_failed(2, &down(), at(60));
        failures.own_failed(3, &down(), at(60));
        assert_eq!((first(61).is_some(), first(62)), (true, None));
    }

    #[test]
    fn only_the_own_error_is_repeated() {
        let failures = Failures::new("own".to_owned());
        let name = failures.own_failed(1, &down(), Instant::now());
        assert!(failures.own_error("a-failed-1").is_none());
        let error = failures.own_error(&name).unwrap();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
