//! The emulator's clock, by which everything in it expires.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// A moment, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(i64);

impl Stamp {
    pub(crate) fn from_unix_seconds(seconds: u64) -> Self {
        Self::ZERO.plus(Duration::from_secs(seconds))
    }

    const ZERO: Self = Self(0);

    /// This moment and `by`, at most the end of the year 9999: dates have four
    /// digits for a year.
    pub(crate) fn plus(self, by: Duration) -> Self {
        const LAST: i64 = 253_402_300_799_000_000;
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(LAST))
    }

    /// The time since 1970.
    pub(crate) fn since_epoch(self) -> Duration {
        Duration::from_micros(self.0.unsigned_abs())
    }

    /// The date as the service writes it: UTC with seven fraction digits.
    pub(crate) fn iso(self) -> String {
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
pub(crate) struct Clock {
    start: Stamp,
    /// `None`: only `advance` moves the clock.
    running_since: Option<Instant>,
    advanced: Duration,
}

impl Clock {
    /// A clock that stands at `start`, or else runs from the system's time.
    pub(crate) fn new(start: Option<Stamp>) -> Self {
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

    pub(crate) fn now(&self) -> Stamp {
        let ran = self
            .running_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        self.start.plus(ran).plus(self.advanced)
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_clock_moves_only_by_advance() {
        let mut clock = Clock::new(Some(Stamp::from_unix_seconds(1_594_487_384)));
        assert_eq!(clock.now().iso(), "2020-07-11T17:09:44.0000000Z");
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now().iso(), "2020-07-11T17:09:45.5000000Z");
    }

    #[test]
    fn the_latest_time_is_a_valid_date() {
        let mut clock = Clock::new(None);
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now().iso(), "9999-12-31T23:59:59.0000000Z");
    }
}
