//! What an answer says about how often and when to call: [`RateLimit`] and
//! `Retry-After`.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The names of limit, remaining and reset, the usual family first.
const FAMILIES: [[&str; 3]; 3] = [
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
    [
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ],
    [
        "x-rate-limit-limit",
        "x-rate-limit-remaining",
        "x-rate-limit-reset",
    ],
];
/// A reset of more seconds than these is a time and not a wait.
const LONGEST_WAIT: u64 = 1_000_000_000;
/// The end of the year 9999. What is later is no time in seconds.
const LAST_TIME: u64 = 253_402_300_799;

/// What an answer says about the caller's rate limit, in the headers
/// `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset`, or the same
/// that begin with `X-RateLimit-` or `X-Rate-Limit-`.
///
/// It comes with a success from [`Client::send_for_answer`] and with a refusal
/// from [`Error::rate_limit`]. No source says whether the service sends any of
/// these headers: count on nothing. What a header says in a way that is not
/// understood is `None`. The client itself goes by `Retry-After` alone.
///
/// [`Client::send_for_answer`]: crate::Client::send_for_answer
/// [`Error::rate_limit`]: crate::Error::rate_limit
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RateLimit {
    /// How many calls may be made in one window of time.
    pub limit: Option<u64>,
    /// How many of them are left.
    pub remaining: Option<u64>,
    /// How long until the next window begins, from the time of the answer, in
    /// whole seconds; zero if that time has passed.
    pub reset: Option<Duration>,
}

impl RateLimit {
    /// `None` if the headers say nothing that is understood.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        FAMILIES.iter().find_map(|[limit, remaining, reset]| {
            let found = Self {
                limit: text(headers, limit).and_then(first_number),
                remaining: text(headers, remaining).and_then(first_number),
                reset: text(headers, reset).and_then(|value| match first_number(value) {
                    Some(seconds) if seconds <= LONGEST_WAIT => Some(Duration::from_secs(seconds)),
                    Some(time) if time <= LAST_TIME => until(time, headers),
                    Some(_) => None,
                    None => until(seconds_since_1970(value)?, headers),
                }),
            };
            let says_something =
                found.limit.is_some() || found.remaining.is_some() || found.reset.is_some();
            says_something.then_some(found)
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The number in front of further windows and parameters, as in `100, 100;w=60`.
fn first_number(value: &str) -> Option<u64> {
    whole_number(value.split([',', ';']).next()?.trim())
}

/// From the answer's own `Date` to a time, so that a wrong local clock does not
/// matter; zero if it has passed.
fn until(time: u64, headers: &HeaderMap) -> Option<Duration> {
    let now = seconds_since_1970(text(headers, DATE.as_str())?)?;
    Some(Duration::from_secs(time.saturating_sub(now)))
}

/// `Retry-After` in seconds or as a date. What is neither is nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER.as_str())?;
    match whole_number(value) {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => until(seconds_since_1970(value)?, headers),
    }
}

/// Reads an HTTP date in the one form that may still be sent, such as
/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_since_1970(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = date.trim().split_once(", ")?;
    let mut parts = date.split(' ');
    let day = whole_number(parts.next()?)?;
    let name = parts.next()?;
    let month = 1 + u64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()?;
    let year = whole_number(parts.next()?)?;
    let mut time = parts.next()?.split(':').map(whole_number);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let in_range = (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let is_whole = parts.next() == Some("GMT") && parts.next().is_none() && time.next().is_none();
    if !in_range || !is_whole {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, counting years from March so
    // that the leap day is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Digits and nothing else: `parse` would take a sign as well.
fn whole_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_or_ignored() {
        let read = |value: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers).map(|after| after.as_secs())
        };
        let date = Some("Tue, 29 Feb 2028 23:59:58 GMT");
        assert_eq!(read("5", None), Some(5));
        assert_eq!(read("1000000000", None), Some(1_000_000_000));
        assert_eq!(read("Wed, 01 Mar 2028 00:00:03 GMT", date), Some(5));
        assert_eq!(read("Tue, 29 Feb 2028 23:00:00 GMT", date), Some(0));
        assert_eq!(read("Wed, 01 Mar 2028 00:00:03 GMT", None), None);
        for junk in [
            "-1",
            "+1",
            "Wed, +1 Mar 2028 00:00:03 GMT",
            "Wed, 01 Mar 2028 00:00:03:04 GMT",
            "soon",
            "",
            "1e9",
            "Wed, 01 Mar 2028 00:00:03",
            "Wed, 99 Mar 2028 00:00:03 GMT",
        ] {
            assert_eq!(read(junk, date), None, "{junk}");
        }
    }

    #[test]
    fn rate_limits_are_read_in_every_spelling() {
        let read = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            RateLimit::read(&map).map(|found| {
                let reset = found.reset.map(|reset| reset.as_secs());
                (found.limit, found.remaining, reset)
            })
        };
        let date = ("date", "Tue, 29 Feb 2028 23:59:58 GMT");
        assert_eq!(
            read(&[
                ("ratelimit-limit", "100, 100;w=60"),
                ("ratelimit-remaining", "0"),
                ("ratelimit-reset", "50"),
                ("x-ratelimit-limit", "7"),
            ]),
            Some((Some(100), Some(0), Some(50)))
        );
        assert_eq!(
            read(&[date, ("x-ratelimit-reset", "1835481600")]),
            Some((None, None, Some(2)))
        );
        assert_eq!(
            read(&[date, ("x-ratelimit-reset", "1835481000")]),
            Some((None, None, Some(0)))
        );
        assert_eq!(read(&[("x-ratelimit-reset", "1835481600")]), None);
        let milliseconds = ("x-ratelimit-reset", "1835481600000");
        assert_eq!(read(&[date, milliseconds]), None);
        assert_eq!(
            read(&[
                date,
                ("x-rate-limit-limit", "15m"),
                ("x-rate-limit-remaining", " 42 "),
                ("x-rate-limit-reset", "Wed, 01 Mar 2028 00:00:03 GMT"),
            ]),
            Some((None, Some(42), Some(5)))
        );
        for junk in ["", "-1", "many", "1e9", "99999999999999999999"] {
            assert_eq!(read(&[date, ("ratelimit-limit", junk)]), None, "{junk}");
            assert_eq!(read(&[date, ("ratelimit-reset", junk)]), None, "{junk}");
        }
        assert_eq!(read(&[date]), None);
    }

    #[test]
    fn dates_are_counted_from_1970() {
        assert_eq!(seconds_since_1970("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(
            seconds_since_1970("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        assert_eq!(
            seconds_since_1970("Tue, 29 Feb 2028 00:00:00 GMT"),
            Some(1_835_395_200)
        );
        assert_eq!(
            seconds_since_1970("Fri, 31 Dec 9999 23:59:59 GMT"),
            Some(253_402_300_799)
        );
    }
}
