//! Time, as the rest of the crate sees it: replaceable, so that tests of time
//! take none.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Longest time ahead that is computed with; anything longer is "for ever".
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A source of time, pauses and jitter.
pub(crate) trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Instant;
    fn wall(&self) -> SystemTime;
    fn sleep(&self, pause: Duration);

    /// How long a condition variable may be waited on before the clock must be
    /// looked at again.
    fn wait_slice(&self, until: Instant) -> Duration {
        until.saturating_duration_since(self.now())
    }

    /// A random part of a pause, up to all of it.
    fn jitter(&self, most: Duration) -> Duration;

    /// The point in time `after` from now, which never overflows.
    fn deadline(&self, after: Duration) -> Instant {
        let now = self.now();
        now.checked_add(after.min(FAR)).unwrap_or(now)
    }
}

/// The machine's own clocks.
#[derive(Debug)]
pub(crate) struct SystemClock;

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
pub(crate) mod manual {
    use std::sync::Mutex;

    use super::*;

    /// A clock that moves only when told to. Sleeping moves it.
    #[derive(Debug)]
    pub(crate) struct ManualClock(Mutex<Times>);

    #[derive(Debug)]
    struct Times {
        now: Instant,
        wall: SystemTime,
        slept: Vec<Duration>,
    }

    impl ManualClock {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(Times {
                now: Instant::now(),
                wall: SystemTime::now(),
                slept: Vec::new(),
            }))
        }

        pub(crate) fn advance(&self, by: Duration) {
            let mut times = self.0.lock().unwrap();
            times.now += by;
            times.wall += by;
        }

        /// The wall clock is set, which the monotonic clock does not notice.
        pub(crate) fn set_wall(&self, wall: SystemTime) {
            self.0.lock().unwrap().wall = wall;
        }

        /// The pauses so far.
        pub(crate) fn slept(&self) -> Vec<Duration> {
            self.0.lock().unwrap().slept.clone()
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Instant {
            self.0.lock().unwrap().now
        }

        fn wall(&self) -> SystemTime {
            self.0.lock().unwrap().wall
        }

        fn sleep(&self, pause: Duration) {
            self.0.lock().unwrap().slept.push(pause);
            self.advance(pause);
        }

        /// Short, so that whoever waits notices that the clock was moved.
        fn wait_slice(&self, _: Instant) -> Duration {
            Duration::from_millis(1)
        }

        /// All of it, so that schedules can be asserted.
        fn jitter(&self, most: Duration) -> Duration {
            most
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_do_not_overflow() {
        assert!(SystemClock.deadline(Duration::MAX) > SystemClock.now());
    }

    #[test]
    fn jitter_stays_within_the_pause() {
        let most = Duration::from_millis(100);
        assert!((0..1000).all(|_| SystemClock.jitter(most) <= most));
    }
}
