//! [`ClientClock`]: the clock of a client of the emulator.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::control::app::App;
use crate::{Clock, SystemClock};

/// Shows the emulator's time as wall-clock time, so that a token expires for the
/// client when it expires for the emulator.
///
/// Monotonic time and sleeping are real. To a client, [`advance`] is like a
/// suspended machine: the token has aged, and calls in progress keep their
/// deadlines, which sockets measure in real time.
///
/// [`advance`]: super::Emulator::advance
pub(super) struct ClientClock(pub(super) Arc<App>);

impl fmt::Debug for ClientClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientClock").finish_non_exhaustive()
    }
}

impl Clock for ClientClock {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> SystemTime {
        let now = self.0.model.state().clock.now();
        UNIX_EPOCH
            .checked_add(now.since_epoch())
            .unwrap_or_else(SystemTime::now)
    }

    fn sleep(&self, pause: Duration) {
        SystemClock.sleep(pause);
    }

    fn jitter(&self, most: Duration) -> Duration {
        SystemClock.jitter(most)
    }
}
