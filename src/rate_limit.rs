//! What an answer says about when to call again: `Retry-After`.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// `Retry-After` in seconds, or as a date judged against the answer's own
/// `Date`, so that a wrong local clock does not matter. A date in the past is
/// zero; what is neither is nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Some(seconds) = whole_number(value) {
        return Some(Duration::from_secs(seconds));
    }
    let until = seconds_since_1970(value)?;
    let now = seconds_since_1970(headers.get(DATE)?.to_str().ok()?)?;
    Some(Duration::from_secs(until.saturating_sub(now)))
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
