//! [`Clock`]: time, pauses and jitter, replaceable in tests.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

mod manual;

pub use self::manual::ManualClock;

/// Longest time ahead that is computed with; anything longer is "for ever".
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A source of time, pauses and jitter, for
/// [`ClientBuilder::clock`](crate::ClientBuilder::clock).
///
/// A client uses it for token life, deadlines, the pauses of retries and of
/// waiting for a person. Time limits of sockets always use the system's
/// clock.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The monotonic time.
    fn now(&self) -> Instant;

    /// The wall-clock time.
    fn wall(&self) -> SystemTime;

    /// Blocks for `pause`.
    fn sleep(&self, pause: Duration);

    /// Returns a random part of `most`, to spread the pauses of many clients.
    fn jitter(&self, most: Duration) -> Duration;

    /// Returns how long a thread may wait for another thread before it looks
    /// at the clock again. By default until `deadline`.
    fn wait_slice(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.now())
    }

    /// Returns the time `after` from now, at most a year ahead.
    fn deadline(&self, after: Duration) -> Instant {
        let now = self.now();
        now.checked_add(after.min(FAR)).unwrap_or(now)
    }
}

/// Returns a random pause of at least half of `longest`.
pub(crate) fn shortened(clock: &dyn Clock, longest: Duration) -> Duration {
    let half = longest / 2;
    half + clock.jitter(half)
}

/// Returns a pause that is longer than `shortest` by a random part of up to a
/// quarter, but of no more than half of the time `left` after it.
pub(crate) fn lengthened(clock: &dyn Clock, shortest: Duration, left: Duration) -> Duration {
    let room = left.saturating_sub(shortest) / 2;
    shortest + clock.jitter((shortest / 4).min(room))
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn wall(&self) -> SystemTime {
        (**self).wall()
    }

    fn sleep(&self, pause: Duration) {
        (**self).sleep(pause);
    }

    fn jitter(&self, most: Duration) -> Duration {
        (**self).jitter(most)
    }

    fn wait_slice(&self, deadline: Instant) -> Duration {
        (**self).wait_slice(deadline)
    }

    fn deadline(&self, after: Duration) -> Instant {
        (**self).deadline(after)
    }
}

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, pause: Duration) {
        thread::sleep(pause);
    }

    fn jitter(&self, most: Duration) -> Duration {
        // Spread matters here, not secrecy: the standard library's hasher keys
        // are random enough.
        use std::hash::{BuildHasher, Hasher, RandomState};
        let random = RandomState::new().build_hasher().finish();
        #[expect(clippy::cast_precision_loss, reason = "a fraction needs no 64 bits")]
        let part = (random >> 11) as f64 / (1u64 << 53) as f64;
        most.mul_f64(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_do_not_overflow() {
        assert!(SystemClock.deadline(Duration::MAX) > SystemClock.now());
        let clock = ManualClock::new();
        let year = Duration::from_secs(31_536_000);
        for (after, ahead) in [
            (Duration::MAX, year),
            (year + Duration::from_nanos(1), year),
            (year, year),
            (Duration::from_secs(1), Duration::from_secs(1)),
        ] {
            assert_eq!(clock.deadline(after) - clock.now(), ahead);
        }
    }

    #[test]
    fn a_thread_that_waits_does_not_spin() {
        let deadline = SystemClock.now() + Duration::from_secs(3600);
        assert!(SystemClock.wait_slice(deadline) > Duration::from_secs(60));
        let clock = ManualClock::new();
        assert!(!clock.wait_slice(clock.now()).is_zero());
    }

    #[test]
    fn jitter_stays_within_the_pause() {
        let most = Duration::from_millis(100);
        let pauses: Vec<_> = (0..1000).map(|_| SystemClock.jitter(most)).collect();
        assert!(pauses.iter().all(|pause| *pause <= most));
        assert!(pauses.iter().any(|pause| *pause < most / 2));
        assert!(pauses.iter().any(|pause| *pause > most / 2));
    }

    #[test]
    fn sleeping_takes_time() {
        let pause = Duration::from_millis(5);
        let began = SystemClock.now();
        SystemClock.sleep(pause);
        assert!(SystemClock.now() - began >= pause);
    }
}
