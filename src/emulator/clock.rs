//! The emulator's own clock: nothing in the emulator expires by any other.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// A moment, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(i64);

impl Stamp {
    pub(super) fn from_unix_seconds(seconds: u64) -> Self {
        Self::ZERO.plus(Duration::from_secs(seconds))
    }

    const ZERO: Self = Self(0);

    /// Later by `by`, and never beyond the year 9999, which dates could not
    /// show.
    pub(super) fn plus(self, by: Duration) -> Self {
        const LAST: i64 = 253_402_300_799_000_000;
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(LAST))
    }

    /// The form of the service's dates: UTC with seven fraction digits.
    pub(super) fn iso(self) -> String {
        let date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}0Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            date.hour(),
            date.minute(),
            date.second(),
            date.microsecond()
        )
    }
}

#[derive(Debug)]
pub(super) struct Clock {
    start: Stamp,
    /// `None`: the clock stands still between calls of `advance`.
    running_since: Option<Instant>,
    advanced: Duration,
}

impl Clock {
    /// Standing at `start` if given, else running from the system's time.
    pub(super) fn new(start: Option<Stamp>) -> Self {
        if let Some(start) = start {
            return Self {
                start,
                running_since: None,
                advanced: Duration::ZERO,
            };
        }
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            start: Stamp::ZERO.plus(wall),
            running_since: Some(Instant::now()),
            advanced: Duration::ZERO,
        }
    }

    pub(super) fn now(&self) -> Stamp {
        let ran = self
            .running_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        self.start.plus(ran).plus(self.advanced)
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_by_hand() {
        let mut clock = Clock::new(Some(Stamp::from_unix_seconds(1_594_487_384)));
        assert_eq!(clock.now().iso(), "2020-07-11T17:09:44.0000000Z");
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now().iso(), "2020-07-11T17:09:45.5000000Z");
    }

    #[test]
    fn the_end_of_time_is_a_date() {
        let mut clock = Clock::new(None);
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now().iso(), "9999-12-31T23:59:59.0000000Z");
    }
}
