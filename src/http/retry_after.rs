//! Reads the `Retry-After` header.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

/// Returns the time to wait before the next request. `None` if the header is
/// missing or invalid.
///
/// A date is compared with the `Date` of the same response, so that a wrong
/// local clock does not matter. A date in the past is a wait of zero.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    // `parse` alone would accept a sign.
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(text(headers, &DATE)?).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
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
        // The two obsolete forms of RFC 9110.
        assert_eq!(read("Wednesday, 01-Mar-28 00:00:03 GMT", date), Some(5));
        assert_eq!(read("Wed Mar  1 00:00:03 2028", date), Some(5));
        // Beyond 32 bits of seconds, whose times end in 2038.
        assert_eq!(read("4294967301", None), Some(4_294_967_301));
        let date = Some("Tue, 19 Jan 2038 03:14:06 GMT");
        assert_eq!(read("Tue, 19 Jan 2038 03:14:11 GMT", date), Some(5));
        assert_eq!(
            read("Fri, 31 Dec 9999 23:59:59 GMT", date),
            Some(253_402_300_799 - 2_147_483_646)
        );
        for junk in [
            "-1",
            "+1",
            "Wed, +1 Mar 2028 00:00:03 GMT",
            "Wed, 01 Mar 2028 00:00:03:04 GMT",
            "Wed, 01 Mar 2028 24:00:03 GMT",
            "Wed, 01 Mar 2028 00:60:03 GMT",
            "soon",
            "",
            "1e9",
            "Wed, 01 Mar 2028 00:00:03",
            "Wed, 99 Mar 2028 00:00:03 GMT",
        ] {
            assert_eq!(read(junk, date), None, "{junk}");
        }
    }
}
