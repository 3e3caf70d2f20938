//! [`RetryPolicy`]: which failed calls are retried, when, and how often.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};

/// A longer `Retry-After` is not waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The most that a client's budget holds.
const FULL_BUDGET: u32 = 500;
/// The cost of a retry; a success puts one back.
const RETRY_COST: u32 = 5;

/// Settings for retries.
///
/// Which calls may be retried follows from what they do, and no policy changes
/// it. Reads, token fetches and
/// [`disable_user_credential`](crate::Client::disable_user_credential) are
/// retried after a connection that failed or broke, a 408, a 429 and a 5xx
/// other than 501. All other calls send a push notification or a mail, or
/// change something: they are retried only if the request certainly was not
/// sent, or was refused with a 429 before any work.
///
/// Pauses are random between nothing and an upper bound (full jitter) that
/// doubles with each attempt. A `Retry-After` of up to 60 seconds is waited
/// for instead; after a longer one the error is returned at once. Attempts and
/// pauses together stay within the call's timeout. All threads of a client
/// share a budget of 500: a retry takes 5, a success gives 1 back, so that an
/// outage does not multiply the traffic.
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
    /// Returns the default policy.
    #[must_use]
    pub fn new() -> Self {
        Self {
            attempts: 3,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }

    /// Returns a policy without retries. A call is still repeated once with a
    /// new token after a 401.
    #[must_use]
    pub fn off() -> Self {
        Self {
            attempts: 1,
            ..Self::new()
        }
    }

    /// Sets the number of attempts, the first included. 0 counts as 1. Defaults
    /// to 3.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the upper bound of the first pause. Defaults to 100 ms.
    #[must_use]
    pub fn first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// Sets the upper bound of any pause. Defaults to 5 s.
    #[must_use]
    pub fn longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The retry budget, shared by all threads of a client.
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
    attempts: u32,
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
            attempts: 0,
        }
    }

    /// Returns the pause before the next attempt, or `None` if none follows
    /// this error.
    pub(crate) fn next_pause(&mut self, error: &Error, repeatable: bool) -> Option<Duration> {
        self.attempts += 1;
        if self.attempts >= self.policy.attempts || !may_repeat(error, repeatable) {
            return None;
        }
        let pause = match error.retry_after() {
            Some(after) if after > LONGEST_RETRY_AFTER => return None,
            Some(after) => after,
            None => {
                let doubled = self
                    .policy
                    .first_pause
                    .saturating_mul(1 << (self.attempts - 1).min(16));
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

/// Whether the same request may be sent again after this error.
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
    fn pauses_follow_the_policy() {
        let broken = error(ErrorKind::Transport, true);
        let pauses = |policy| pauses(&policy, &Budget::new(), 1_000_000, &broken);
        let policy = RetryPolicy::new()
            .attempts(5)
            .first_pause(Duration::from_secs(1))
            .longest_pause(Duration::from_secs(3));
        assert_eq!(pauses(policy), [1000, 2000, 3000, 3000]);
        let many = RetryPolicy::new()
            .attempts(40)
            .first_pause(Duration::from_millis(1))
            .longest_pause(Duration::from_secs(1000));
        assert_eq!(pauses(many)[15..19], [32_768, 65_536, 65_536, 65_536]);
        let endless = RetryPolicy::new().first_pause(Duration::MAX);
        assert_eq!(pauses(endless), [5000, 5000]);
        assert_eq!(pauses(RetryPolicy::new().attempts(0)), [0; 0]);
        assert_eq!(RetryPolicy::new(), RetryPolicy::default());
    }

    #[test]
    fn no_retry_begins_at_or_after_the_deadline() {
        let broken = error(ErrorKind::Transport, true);
        let policy = RetryPolicy::new().first_pause(Duration::from_secs(1));
        assert_eq!(pauses(&policy, &Budget::new(), 1, &broken), [0; 0]);
        assert_eq!(pauses(&policy, &Budget::new(), 2, &broken), [1000]);

        // A pause that oversleeps leaves no time either.
        let (clock, budget) = (ManualClock::new(), Budget::new());
        let deadline = clock.deadline(Duration::from_secs(2));
        let retries = Retries::new(&policy, &budget, &clock, deadline);
        assert!(!retries.pause(Duration::from_secs(2)));
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
    fn of_statuses_only_those_of_a_passing_fault_are_repeated() {
        for (kind, status, read) in [
            (ErrorKind::Api, 400, false),
            (ErrorKind::Api, 408, true),
            (ErrorKind::Api, 409, false),
            (ErrorKind::Unavailable, 500, true),
            (ErrorKind::Unavailable, 501, false),
            (ErrorKind::Unavailable, 502, true),
        ] {
            let error = error(kind, true).with_status(status);
            assert_eq!(may_repeat(&error, true), read, "{status}");
            assert!(!may_repeat(&error, false), "{status}");
        }
    }

    #[test]
    fn a_call_with_an_effect_is_repeated_only_if_it_was_not_sent_or_not_processed() {
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
