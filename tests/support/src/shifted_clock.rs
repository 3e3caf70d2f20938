//! [`ShiftedClock`]: the machine's clock, some time ahead.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use autharmor::{Clock, SystemClock};

/// The machine's clock, some time ahead. Tests with real processes or a real
/// store advance it instead of sleeping.
#[derive(Debug, Default)]
pub struct ShiftedClock(Mutex<Duration>);

impl ShiftedClock {
    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn ahead(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Instant {
        SystemClock.now() + self.ahead()
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall() + self.ahead()
    }

    fn sleep(&self, pause: Duration) {
        SystemClock.sleep(pause);
    }

    fn jitter(&self, most: Duration) -> Duration {
        SystemClock.jitter(most)
    }
}
