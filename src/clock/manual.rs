//! [`ManualClock`]: a clock that a test advances.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Clock;

/// A clock for tests of time. It stands still until it is advanced. Sleeping
/// advances it and does not block.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use autharmor::{Client, ManualClock};
///
/// let clock = Arc::new(ManualClock::new());
/// let client = Client::builder("id", "secret").clock(clock.clone()).build()?;
/// clock.advance(Duration::from_secs(3600));
/// # Ok::<(), autharmor::Error>(())
/// ```
#[derive(Debug)]
pub struct ManualClock(Mutex<Times>);

#[derive(Debug)]
struct Times {
    now: Instant,
    wall: SystemTime,
    slept: Vec<Duration>,
}

impl ManualClock {
    /// Creates a clock that stands at the current time.
    #[must_use]
    pub fn new() -> Self {
        Self(Mutex::new(Times {
            now: Instant::now(),
            wall: SystemTime::now(),
            slept: Vec::new(),
        }))
    }

    /// Moves both the monotonic time and the wall-clock time.
    pub fn advance(&self, by: Duration) {
        let mut times = self.lock();
        times.now += by;
        times.wall += by;
    }

    /// Sets the wall-clock time alone, as an administrator or NTP does.
    pub fn set_wall(&self, wall: SystemTime) {
        self.lock().wall = wall;
    }

    /// Returns the pauses so far.
    #[must_use]
    pub fn slept(&self) -> Vec<Duration> {
        self.lock().slept.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.lock().now
    }

    fn wall(&self) -> SystemTime {
        self.lock().wall
    }

    fn sleep(&self, pause: Duration) {
        self.lock().slept.push(pause);
        self.advance(pause);
    }

    /// Returns all of it, so that schedules can be asserted.
    fn jitter(&self, most: Duration) -> Duration {
        most
    }

    /// Short, so that a waiting thread notices that the clock was moved.
    fn wait_slice(&self, _: Instant) -> Duration {
        Duration::from_millis(1)
    }
}
