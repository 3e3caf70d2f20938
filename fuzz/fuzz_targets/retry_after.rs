//! `Retry-After`, the headers of a rate limit, and `Date`: a number of seconds,
//! a date in the one form that may be sent, or nothing.
#![no_main]

use std::sync::LazyLock;

use autharmor::{Client, ErrorKind};
use autharmor_fuzz::{Answer, Service, USER, alloc, assert_discreet};
use libfuzzer_sys::fuzz_target;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENT: LazyLock<Client> = LazyLock::new(|| SERVICE.client());

// The value, a line end, and perhaps the date.
fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let value = lines.next().unwrap_or_default();
    let date = lines.next();
    let fits = |text: &[u8]| http::HeaderValue::from_bytes(text).is_ok();
    if !fits(value) || !date.is_none_or(fits) {
        return;
    }
    let names = ["retry-after", "ratelimit-remaining", "ratelimit-reset"];
    let mut headers = Vec::from(names.map(|name| (name, value.to_vec())));
    headers.extend(date.map(|date| ("date", date.to_vec())));
    SERVICE.answers([Answer {
        status: 429,
        headers,
        body: Vec::new(),
    }]);
    alloc::bounded(|| {
        let error = CLIENT.get_user(USER).unwrap_err();
        assert_discreet(&error, &[]);
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        let after = error.retry_after();
        assert_eq!(after.map_or(0, |after| after.subsec_nanos()), 0);
        assert_eq!(after.map(|after| after.as_secs()), expected(value, date));

        let limit = error.rate_limit();
        let number = first_number(value);
        assert_eq!(limit.and_then(|limit| limit.remaining), number);
        let reset = limit.and_then(|limit| limit.reset);
        assert_eq!(
            reset.map(|reset| reset.as_secs()),
            match number {
                Some(time) if time > 253_402_300_799 => None,
                Some(time) if time > 1_000_000_000 => waiting(time, date),
                Some(seconds) => Some(seconds),
                None => expected(value, date),
            }
        );
    });
});

fn first_number(value: &[u8]) -> Option<u64> {
    let value = trim(value)?;
    let end = value.find([',', ';']).unwrap_or(value.len());
    let digits = value[..end].trim();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

fn waiting(until: u64, date: Option<&[u8]>) -> Option<u64> {
    let now = seconds(trim(date?)?)?;
    Some(if until > now { until - now } else { 0 })
}

fn expected(value: &[u8], date: Option<&[u8]>) -> Option<u64> {
    let value = trim(value)?;
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok();
    }
    waiting(seconds(value)?, date)
}

fn trim(text: &[u8]) -> Option<&str> {
    text.iter()
        .all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t')
        .then(|| std::str::from_utf8(text).unwrap().trim())
}

/// By counting the days one year and one month after the other.
fn seconds(date: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let rest = &date[date.find(", ")? + 2..];
    let words: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else {
        return None;
    };
    let times: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = times[..] else {
        return None;
    };
    let number = |text: &str, least: u64, most: u64| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits)?;
        (least..=most).contains(&number).then_some(number)
    };
    let month = MONTHS
        .find(month)
        .filter(|at| at % 3 == 0 && month.len() == 3)?
        / 3;
    let (day, year) = (number(day, 1, 31)?, number(year, 1970, 9999)?);
    let is_leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut days: u64 = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let lengths = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    days += lengths[..month].iter().sum::<u64>() + day - 1;
    Some(
        days * 86_400
            + number(hour, 0, 23)? * 3_600
            + number(minute, 0, 59)? * 60
            + number(second, 0, 60)?,
    )
}
