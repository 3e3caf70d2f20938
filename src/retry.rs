//! [`RetryPolicy`]: what is tried again, when, and how often.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};

/// A longer `Retry-After` is not waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// What a client's budget holds at most.
const FULL_BUDGET: u32 = 500;
/// What a retry takes from the budget; a success puts one back.
const RETRY_COST: u32 = 5;

/// How a client tries again.
///
/// What may be tried again follows from what the call means, and no policy
/// changes it. Reads, token fetches and
/// [`disable_user_credential`](crate::Client::disable_user_credential) are
/// repeatable: they are tried again after a broken connection, a 408, a 429 and
/// a 5xx. All other calls (a
/// phone rings, a mail is sent, something changes) are tried again only if
/// the first try certainly never left this machine, or was refused with a 429
/// before any work.
///
/// Pauses are random between nothing and an upper bound (full jitter) that
/// doubles with each try. A `Retry-After` of up to 60 seconds is waited for
/// instead; after a longer one the error is returned at once. Tries and pauses
/// together stay within the call's timeout. All threads of a client share a
/// budget of 500: a retry takes 5, a success gives 1 back, so that an outage
/// does not become a storm.
///
/// ```
/// use autharmor::{Client, RetryPolicy};
///
/// let client = Client::builder("id", "secret").retry(RetryPolicy::off()).build()?;
/// # Ok::<(), autharmor::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl RetryPolicy {
    /// No call is tried again, but for the one repeat after a refused token.
    #[must_use]
    pub fn off() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// How often a call is tried in all. Default: 3; 0 counts as 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The upper bound of the first pause. Default: 100 ms.
    #[must_use]
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// The upper bound of any pause. Default: 5 s.
    #[must_use]
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// What is left for retries, shared by all threads of a client.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU32);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(FULL_BUDGET))
    }

    fn take(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(RETRY_COST)
            })
            .is_ok()
    }

    pub(crate) fn refill(&self) {
        // Nearly always full: a plain load keeps the cache line shared.
        if self.0.load(Ordering::Relaxed) < FULL_BUDGET {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The retries of one call.
#[derive(Debug)]
pub(crate) struct Retries<'a> {
    policy: &'a RetryPolicy,
    budget: &'a Budget,
    clock: &'a dyn Clock,
    deadline: Instant,
    tried: u32,
}

impl<'a> Retries<'a> {
    pub(crate) fn new(
        policy: &'a RetryPolicy,
        budget: &'a Budget,
        clock: &'a dyn Clock,
        deadline: Instant,
    ) -> Self {
        Self {
            policy,
            budget,
            clock,
            deadline,
            tried: 0,
        }
    }

    /// Returns the pause before the next attempt, or `None` if there is no
    /// other after this error.
    pub(crate) fn next_pause(&mut self, error: &Error, repeatable: bool) -> Option<Duration> {
        self.tried += 1;
        if self.tried >= self.policy.attempts || !may_repeat(error, repeatable) {
            return None;
        }
        let pause = match error.retry_after() {
            Some(after) if after > LONGEST_RETRY_AFTER => return None,
            Some(after) => after,
            None => {
                let doubled = self
                    .policy
                    .first_pause
                    .saturating_mul(1 << (self.tried - 1).min(16));
                self.clock.jitter(doubled.min(self.policy.longest_pause))
            }
        };
        let left = self.deadline.saturating_duration_since(self.clock.now());
        (pause < left && self.budget.take()).then_some(pause)
    }

    /// Pauses. Returns whether there is time left.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        if pause.is_zero() {
            return true;
        }
        self.clock.sleep(pause);
        // A sleep may take longer.
        self.clock.now() < self.deadline
    }
}

/// Whether the same request may go out once more after this.
fn may_repeat(error: &Error, repeatable: bool) -> bool {
    match error.kind() {
        _ if !error.is_transient() => false,
        ErrorKind::RateLimited => true,
        ErrorKind::Dns
        | ErrorKind::Connect
        | ErrorKind::Proxy
        | ErrorKind::Timeout
        | ErrorKind::Transport => repeatable || !error.may_have_been_sent(),
        ErrorKind::Unavailable => repeatable && error.status() != Some(501),
        ErrorKind::Api => repeatable && error.status() == Some(408),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn error(kind: ErrorKind, sent: bool) -> Error {
        Error::new(kind, "").with_sent(sent)
    }

    /// Fails until no retry is left; the pauses in milliseconds.
    fn pauses(policy: &RetryPolicy, budget: &Budget, timeout: u64, error: &Error) -> Vec<u128> {
        let clock = ManualClock::new();
        let deadline = clock.deadline(Duration::from_secs(timeout));
        let mut retries = Retries::new(policy, budget, &clock, deadline);
        while let Some(pause) = retries.next_pause(error, true) {
            assert!(retries.pause(pause));
        }
        clock.slept().iter().map(Duration::as_millis).collect()
    }

    #[test]
    fn a_proxy_that_wants_other_credentials_is_not_asked_again() {
        let other = error(ErrorKind::Proxy, false);
        assert!(may_repeat(&other, true) && may_repeat(&other, false));
        let credentials = other.permanent();
        assert!(!may_repeat(&credentials, true) && !may_repeat(&credentials, false));
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let broken = error(ErrorKind::Transport, true);
        let policy = RetryPolicy::default();
        assert_eq!(pauses(&policy, &Budget::new(), 30, &broken), [100, 200]);
        let many = policy.attempts(9);
        assert_eq!(
            pauses(&many, &Budget::new(), 60, &broken),
            [100, 200, 400, 800, 1600, 3200, 5000, 5000]
        );
        assert!(pauses(&RetryPolicy::off(), &Budget::new(), 30, &broken).is_empty());
    }

    #[test]
    fn retry_after_is_waited_for_within_reason_and_deadline() {
        let limited = |seconds| {
            error(ErrorKind::RateLimited, false)
                .with_retry_after(Some(Duration::from_secs(seconds)))
        };
        let policy = RetryPolicy::default();
        assert_eq!(
            pauses(&policy, &Budget::new(), 300, &limited(60)),
            [60_000, 60_000]
        );
        assert_eq!(pauses(&policy, &Budget::new(), 100, &limited(60)), [60_000]);
        assert!(pauses(&policy, &Budget::new(), 300, &limited(61)).is_empty());
        assert!(pauses(&policy, &Budget::new(), 5, &limited(5)).is_empty());
    }

    #[test]
    fn the_budget_runs_dry_and_refills() {
        let broken = error(ErrorKind::Transport, true);
        let (policy, budget) = (RetryPolicy::default(), Budget::new());
        let retries: usize = (0..100)
            .map(|_| pauses(&policy, &budget, 30, &broken).len())
            .sum();
        assert_eq!(retries, 100);
        (0..5).for_each(|_| budget.refill());
        assert_eq!(pauses(&policy, &budget, 30, &broken).len(), 1);
        (0..10_000).for_each(|_| budget.refill());
        assert_eq!(budget.0.load(Ordering::Relaxed), FULL_BUDGET);
    }

    #[test]
    fn what_a_person_feels_is_repeated_only_if_it_never_left() {
        use ErrorKind::*;
        for (kind, sent, read, start) in [
            (Dns, false, true, true),
            (Connect, false, true, true),
            (Proxy, false, true, true),
            (Timeout, false, true, true),
            (Timeout, true, true, false),
            (Transport, true, true, false),
            (RateLimited, false, true, true),
            (Unavailable, true, true, false),
            (Tls, false, false, false),
            (Protocol, true, false, false),
            (Decode, true, false, false),
            (Forbidden, true, false, false),
            (Auth, false, false, false),
        ] {
            assert_eq!(
                may_repeat(&error(kind, sent), true),
                read,
                "{kind:?} {sent}"
            );
            assert_eq!(
                may_repeat(&error(kind, sent), false),
                start,
                "{kind:?} {sent}"
            );
        }
    }
}
