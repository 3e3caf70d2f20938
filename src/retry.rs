//! [`RetryPolicy`]: which failed calls are retried, when, and how often.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::{Clock, lengthened, shortened};
use crate::error::{Error, ErrorKind};

/// A longer `Retry-After` is not waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// The most that a client's budget holds.
const FULL_BUDGET: u32 = 500;
/// The cost of a retry; a success puts one back.
const RETRY_COST: u32 = 5;
/// Set in a budget from a failure to the next success.
const FAILING: u32 = 1 << 31;
/// After failures alone for this time, it is an outage.
const PATIENCE: Duration = Duration::from_secs(1);
/// An outage is forgotten if nothing has failed for this time.
const OUTAGE_MEMORY: Duration = Duration::from_secs(30);

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
/// for instead, and up to a quarter more at random; after a longer one the error
/// is returned at once. Attempts and pauses together stay within the call's
/// timeout.
///
/// All threads of a client share a budget of 500: a retry takes 5, a success
/// gives 1 back. When attempts have done nothing but fail for about a second, it
/// is an outage: later calls are attempted once, until one succeeds or none has
/// failed for 30 seconds. So an outage does not multiply the traffic.
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
pub(crate) struct Budget {
    /// What is left, and [`FAILING`].
    left: AtomicU32,
    failures: Mutex<Option<Failures>>,
    patience: Duration,
}

/// The times of the first and the last failure since a success.
#[derive(Clone, Copy, Debug)]
struct Failures {
    first: Instant,
    last: Instant,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            left: AtomicU32::new(FULL_BUDGET),
            failures: Mutex::new(None),
            patience: PATIENCE,
        }
    }

    /// A budget of one client among many: they do not give up at the same time.
    pub(crate) fn jittered(clock: &dyn Clock) -> Self {
        Self {
            patience: shortened(clock, PATIENCE),
            ..Self::new()
        }
    }

    fn update(&self, change: impl Fn(u32) -> Option<u32>) -> Result<u32, u32> {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
    }

    fn take(&self) -> bool {
        let suffices = |left: u32| left & !FAILING >= RETRY_COST;
        self.update(|left| suffices(left).then(|| left - RETRY_COST))
            .is_ok()
    }

    pub(crate) fn refill(&self) {
        // Nearly always full: a plain load keeps the cache line shared.
        if self.left.load(Ordering::Relaxed) != FULL_BUDGET {
            let more = |left: u32| ((left & !FAILING) + 1).min(FULL_BUDGET);
            // It never fails.
            let _ = self.update(|left| Some(more(left)));
        }
    }

    /// Records a failed attempt. Returns whether there was an outage already.
    fn failed(&self, now: Instant) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let was_failing = self.left.fetch_or(FAILING, Ordering::Relaxed) & FAILING != 0;
        let since = |time| now.saturating_duration_since(time);
        let first = failures
            .filter(|it| was_failing && since(it.last) < OUTAGE_MEMORY)
            .map_or(now, |it| it.first);
        *failures = Some(Failures { first, last: now });
        since(first) >= self.patience
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
    /// Not to be attempted again.
    is_single: bool,
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
            is_single: false,
        }
    }

    /// Returns the pause before the next attempt, or `None` if none follows
    /// this error.
    pub(crate) fn next_pause(&mut self, error: &Error, repeatable: bool) -> Option<Duration> {
        self.attempts += 1;
        let now = self.clock.now();
        let is_outage = error.is_transient() && self.budget.failed(now);
        // A call that has begun before an outage keeps its attempts.
        self.is_single |= is_outage && self.attempts == 1;
        if self.is_single || self.attempts >= self.policy.attempts || !may_repeat(error, repeatable)
        {
            return None;
        }
        let left = self.deadline.saturating_duration_since(now);
        let pause = match error.retry_after() {
            Some(after) if after > LONGEST_RETRY_AFTER => return None,
            Some(after) => lengthened(self.clock, after, left),
            None => {
                let doubled = self
                    .policy
                    .first_pause
                    .saturating_mul(1 << (self.attempts - 1).min(16));
                self.clock.jitter(doubled.min(self.policy.longest_pause))
            }
        };
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
            [75_000, 75_000]
        );
        assert_eq!(pauses(&policy, &Budget::new(), 100, &limited(60)), [75_000]);
        // Most of what is left is for the call itself.
        assert_eq!(pauses(&policy, &Budget::new(), 70, &limited(60)), [65_000]);
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
        assert_eq!(budget.left.load(Ordering::Relaxed), FULL_BUDGET);
    }

    /// Fails at this time in seconds; the number of retries.
    fn retries_at(budget: &Budget, clock: &ManualClock, start: Instant, second: u64) -> usize {
        let until = start + Duration::from_secs(second);
        clock.advance(until.saturating_duration_since(clock.now()));
        let (policy, deadline) = (RetryPolicy::new(), clock.deadline(Duration::from_secs(30)));
        let mut retries = Retries::new(&policy, budget, clock, deadline);
        let broken = error(ErrorKind::Transport, true);
        std::iter::from_fn(|| retries.next_pause(&broken, true)).count()
    }

    #[test]
    fn in_an_outage_calls_are_attempted_once_until_one_succeeds() {
        let (budget, clock) = (Budget::new(), ManualClock::new());
        let start = clock.now();
        let retries = [0, 0, 1, 2, 30].map(|at| retries_at(&budget, &clock, start, at));
        assert_eq!(retries, [2, 2, 0, 0, 0]);
        budget.refill();
        assert_eq!(retries_at(&budget, &clock, start, 31), 2);
        assert_eq!(retries_at(&budget, &clock, start, 32), 0);
        // What failed so long ago says nothing of today.
        assert_eq!(retries_at(&budget, &clock, start, 62), 2);
    }

    /// Clients that were started together do not give up together.
    #[test]
    fn patience_is_shorter_by_a_random_part_of_up_to_a_half() {
        #[derive(Debug)]
        struct NoJitter(ManualClock);
        impl Clock for NoJitter {
            fn now(&self) -> Instant {
                self.0.now()
            }
            fn wall(&self) -> std::time::SystemTime {
                self.0.wall()
            }
            fn sleep(&self, pause: Duration) {
                self.0.sleep(pause);
            }
            fn jitter(&self, _: Duration) -> Duration {
                Duration::ZERO
            }
        }
        let clock = NoJitter(ManualClock::new());
        for (budget, patience) in [
            (Budget::jittered(&clock), PATIENCE / 2),
            (Budget::jittered(&clock.0), PATIENCE),
        ] {
            let start = clock.now();
            assert!(!budget.failed(start));
            let shorter = patience.saturating_sub(Duration::from_nanos(1));
            assert!(!budget.failed(start + shorter));
            assert!(budget.failed(start + patience));
        }
    }

    #[test]
    fn a_call_that_began_before_an_outage_keeps_its_attempts() {
        let clock = ManualClock::new();
        let budget = Budget::jittered(&clock);
        let policy = RetryPolicy::new().first_pause(Duration::from_secs(10));
        let policy = policy.longest_pause(Duration::from_secs(10));
        let broken = error(ErrorKind::Transport, true);
        let mut retries = Retries::new(&policy, &budget, &clock, clock.deadline(PATIENCE * 60));
        for _ in 0..2 {
            let pause = retries.next_pause(&broken, true).unwrap();
            assert!(retries.pause(pause));
        }
        // An answer of the service is no outage.
        let fresh = Budget::new();
        let mut retries = Retries::new(&policy, &fresh, &clock, clock.deadline(PATIENCE * 60));
        retries.next_pause(&error(ErrorKind::Forbidden, true), true);
        assert_eq!(fresh.left.load(Ordering::Relaxed), FULL_BUDGET);
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
