//! Decodes response bodies: success bodies and error bodies.

use std::any::type_name;
use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::message::HttpResponse;
use super::retry_after::retry_after;
use crate::error::{Error, ErrorKind};
use crate::types::lenient_text;

/// The length limit of the message of an error body, in characters.
const MESSAGE_LIMIT: usize = 300;
/// The length limit of the excerpt of any other body, in characters.
const EXCERPT_LIMIT: usize = 200;

/// Decodes a body that is one complete JSON object.
pub(crate) fn decode<T: DeserializeOwned>(response: &HttpResponse) -> Result<T, Error> {
    let refuse = |mut detail: String| {
        if is_html(response.headers()) {
            detail += ", but a web page, perhaps of a captive portal or a proxy";
        }
        Error::new(
            ErrorKind::Decode,
            format!("{}: {detail}", short_name::<T>()),
        )
        .with_status(response.status().as_u16())
        .with_sent(true)
    };
    if is_array(response.body()) {
        return Err(refuse("an array and not an object".to_owned()));
    }
    serde_json::from_slice(response.body()).map_err(|error| {
        refuse(match error.classify() {
            Category::Data => where_it_fails::<T>(response.body()),
            _ if response.body().is_empty() => "the body is empty".to_owned(),
            _ => format!(
                "not one JSON document, from line {} column {}",
                error.line(),
                error.column()
            ),
        })
    })
}

/// Returns whether the body is an array. serde would read one as a struct,
/// taking the fields in the order of their declaration.
fn is_array(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"[")
}

/// Returns the path of the field that does not fit. It decodes the body a second
/// time, as recording the path is slow.
fn where_it_fails<T: DeserializeOwned>(body: &[u8]) -> String {
    let mut json = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut json) else {
        return "unreadable".to_owned();
    };
    // serde's message may quote the value. Only the name of a missing field is
    // certainly not from the server.
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

/// Returns a type's name without module path and parameters.
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

/// Formats a result for the log.
pub(crate) struct Outcome<'a>(pub(crate) &'a Result<HttpResponse, Error>);

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(response) => write!(f, "status {}", response.status().as_u16()),
            Err(error) => write!(f, "{:?}", error.kind()),
        }
    }
}

/// An error body in the spelling of v4, v3 or OAuth2.
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
        if is_array(body) {
            return None;
        }
        let body: Self = serde_json::from_slice(body).ok()?;
        let is_error_body = body.error_code.is_some()
            || body.error_message.is_some()
            || body.tracking_id.is_some()
            || body.error.is_some();
        is_error_body.then_some(body)
    }
}

/// Returns the error for a response whose status is not a success.
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

/// Returns the same error with another kind.
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
            (" [[]]", "Outer: an array and not an object"),
            (
                "\u{feff}{}",
                "Outer: not one JSON document, from line 1 column 1",
            ),
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
    fn an_array_is_no_error_body() {
        let error = refusal(&response(404, r#"["404","no ada","t-1"]"#));
        assert_eq!((error.code(), error.tracking_id()), (None, None));
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
}
