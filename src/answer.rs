//! Reading answers: success bodies, error bodies, `Retry-After`.

use std::any::type_name;
use std::time::Duration;

use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::{Error, ErrorKind};
use crate::message::HttpResponse;
use crate::types::lenient_text;

/// How much is kept of the message in an error body.
const MESSAGE_LIMIT: usize = 300;
/// How much is kept of a body that is not an error body.
const EXCERPT_LIMIT: usize = 200;

/// Decodes one complete JSON document, which must be an object.
pub(crate) fn decode<T: DeserializeOwned>(response: &HttpResponse) -> Result<T, Error> {
    object(response.body()).map_err(|error| {
        let mut detail = match error.classify() {
            _ if is_array(response.body()) => "an array instead of an object".to_owned(),
            Category::Data => where_it_fails::<T>(response.body()),
            _ if response.body().is_empty() => "the body is empty".to_owned(),
            _ => format!(
                "not one JSON document, from line {} column {}",
                error.line(),
                error.column()
            ),
        };
        if is_html(response.headers()) {
            detail += ", but a web page, perhaps of a captive portal or a proxy";
        }
        Error::new(
            ErrorKind::Decode,
            format!("{}: {detail}", short_name::<T>()),
        )
        .with_status(response.status().as_u16())
        .with_sent(true)
    })
}

/// serde would take the values of an array for the fields of a struct, in
/// their order: nothing that the service promises, and `true` at the right
/// place would authorise.
fn object<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    if is_array(json) {
        return Err(serde::de::Error::custom("an array"));
    }
    serde_json::from_slice(json)
}

fn is_array(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"[")
}

/// The path to the field that does not fit. Decoding a second time, with the
/// path recorded, is worth it only once the fast way has failed.
fn where_it_fails<T: DeserializeOwned>(body: &[u8]) -> String {
    let mut json = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut json) else {
        return "unreadable".to_owned();
    };
    // serde's message may quote the value. What is ours in it is the name of a
    // missing field.
    let message = error.inner().to_string();
    match message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'))
    {
        Some((field, _)) if error.path().iter().next().is_none() => format!("{field} is missing"),
        Some((field, _)) => format!("{}.{field} is missing", error.path()),
        None => format!("{} has the wrong type", error.path()),
    }
}

/// A type's name without its module path and parameters.
fn short_name<T>() -> &'static str {
    let name = type_name::<T>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

fn is_html(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

/// An error body, in v4's spelling or v3's, or OAuth2's.
#[derive(Default, Deserialize)]
pub(crate) struct ErrorBody {
    #[serde(default, alias = "errorCode", deserialize_with = "lenient_text")]
    error_code: Option<String>,
    #[serde(default, alias = "errorMessage", deserialize_with = "lenient_text")]
    error_message: Option<String>,
    #[serde(
        default,
        alias = "trackingGuid",
        alias = "trackingId",
        deserialize_with = "lenient_text"
    )]
    tracking_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    error: Option<String>,
    #[serde(default, deserialize_with = "lenient_text")]
    error_description: Option<String>,
}

impl ErrorBody {
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let body: Self = object(body).ok()?;
        let says_something = body.error_code.is_some()
            || body.error_message.is_some()
            || body.tracking_id.is_some()
            || body.error.is_some();
        says_something.then_some(body)
    }
}

/// The error for an answer that is not a success.
pub(crate) fn refusal(response: &HttpResponse) -> Error {
    let status = response.status();
    let kind = match status.as_u16() {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        429 => ErrorKind::RateLimited,
        400..=499 => ErrorKind::Api,
        500..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    };
    refusal_as(kind, response)
}

/// The same, of a kind that the caller knows better.
pub(crate) fn refusal_as(kind: ErrorKind, response: &HttpResponse) -> Error {
    let status = response.status();
    let detail = match status.as_u16() {
        300..=399 => "a redirect, which is not followed",
        _ if kind == ErrorKind::Protocol => "an unknown status",
        _ => "",
    };
    let refused_before_work = matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS
    );
    let error = Error::new(kind, detail)
        .with_status(status.as_u16())
        .with_retry_after(retry_after(response.headers()))
        .with_sent(!refused_before_work);
    let Some(body) = ErrorBody::read(response.body()) else {
        return error.with_message(&String::from_utf8_lossy(response.body()), EXCERPT_LIMIT);
    };
    let code = body.error_code.or(body.error).unwrap_or_default();
    let message = body
        .error_message
        .or(body.error_description)
        .unwrap_or_default();
    error
        .with_code(&code)
        .with_tracking_id(&body.tracking_id.unwrap_or_default())
        .with_message(&message, MESSAGE_LIMIT)
}

/// `Retry-After` in seconds, or as a date judged against the answer's own
/// `Date`, so that a wrong local clock does not matter. A date in the past is
/// zero; what is neither is nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
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
    let day: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = 1 + u64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()?;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut time = parts
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let in_range = (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range || parts.next() != Some("GMT") || parts.next().is_some() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> HttpResponse {
        http::Response::builder()
            .status(status)
            .body(body.into())
            .unwrap()
            .into()
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[expect(dead_code, reason = "decoded only")]
        records: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "decoded only")]
        id: u32,
    }

    #[test]
    fn decode_errors_name_type_and_field_and_no_value() {
        for (body, expected) in [
            (
                r#"{"records":[{"id":1},{"id":"s3cr3t"}]}"#,
                "Outer: records[1].id has the wrong type",
            ),
            (
                r#"{"records":[{"s3cr3t":1}]}"#,
                "Outer: records[0].id is missing",
            ),
            ("{}", "Outer: records is missing"),
            ("", "Outer: the body is empty"),
            (
                r#"{"records":[]} s3cr3t"#,
                "Outer: not one JSON document, from line 1 column 16",
            ),
            (
                "\u{feff}{}",
                "Outer: not one JSON document, from line 1 column 1",
            ),
            (" [\"s3cr3t\"]", "Outer: an array instead of an object"),
            (
                r#"{"s3cr3t":"#,
                "Outer: not one JSON document, from line 1 column 10",
            ),
        ] {
            let error = decode::<Outer>(&response(200, body)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode);
            let text = format!("{error:#} {error:?}");
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("s3cr3t"), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let error = decode::<serde_json::Value>(&response(200, &"[".repeat(200_000))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
    }

    #[test]
    fn error_bodies_of_both_versions_are_read() {
        for body in [
            r#"{"error_code":404,"error_message":"no ada","tracking_id":"t-1"}"#,
            r#"{"errorCode":"404","errorMessage":"no ada","trackingGuid":"t-1","x":[{}]}"#,
        ] {
            let error = refusal(&response(404, body));
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(
                (error.code(), error.tracking_id()),
                (Some("404"), Some("t-1"))
            );
            assert_eq!(error.server_message(), Some("no ada"));
            assert!(!format!("{error} {error:?}").contains("ada"));
        }
    }

    #[test]
    fn the_status_survives_any_body() {
        let long = "x".repeat(1 << 20);
        for body in [
            "",
            "<html>",
            "\"text\"",
            "[1]",
            "{}",
            r#"{"error_code":{}}"#,
            "null",
            &long,
        ] {
            let error = refusal(&response(503, body));
            assert_eq!(
                (error.kind(), error.status()),
                (ErrorKind::Unavailable, Some(503)),
                "{body}"
            );
            assert!(
                error
                    .server_message()
                    .is_none_or(|text| text.len() <= EXCERPT_LIMIT)
            );
        }
    }

    #[test]
    fn the_fields_of_an_array_are_no_error_body() {
        let error = refusal(&response(401, r#"["7", "no", "t-1"]"#));
        assert_eq!((error.code(), error.tracking_id()), (None, None));
    }

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
