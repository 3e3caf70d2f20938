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

/// Decodes a body that is one complete JSON object. An error body is an error,
/// whatever the status is.
pub(crate) fn decode<T: DeserializeOwned>(response: &HttpResponse) -> Result<T, Error> {
    // Checked once, it need not be checked again for each string of the body.
    let text = std::str::from_utf8(response.body());
    if let Some(body) = text.ok().and_then(ErrorBody::in_success) {
        let error = Error::new(ErrorKind::Api, "an error body with a success status")
            .with_status(response.status().as_u16())
            .with_retry_after(retry_after(response.headers()))
            .with_sent(true);
        return Err(with_body(error, &body));
    }
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
    let decoded = match text {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(response.body()),
    };
    decoded.map_err(|error| {
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
#[derive(Deserialize)]
#[serde(from = "RawErrorBody")]
pub(crate) struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    tracking_id: Option<String>,
}

/// An error body with a field for each spelling.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawErrorBody {
    #[serde(deserialize_with = "lenient_text")]
    error_code: Option<String>,
    #[serde(rename = "errorCode", deserialize_with = "lenient_text")]
    error_code_v3: Option<String>,
    #[serde(deserialize_with = "lenient_text")]
    error: Option<String>,
    #[serde(deserialize_with = "lenient_text")]
    error_message: Option<String>,
    #[serde(rename = "errorMessage", deserialize_with = "lenient_text")]
    error_message_v3: Option<String>,
    #[serde(deserialize_with = "lenient_text")]
    error_description: Option<String>,
    #[serde(deserialize_with = "lenient_text")]
    tracking_id: Option<String>,
    #[serde(rename = "trackingId", deserialize_with = "lenient_text")]
    tracking_id_camel: Option<String>,
    #[serde(rename = "trackingGuid", deserialize_with = "lenient_text")]
    tracking_guid_v3: Option<String>,
}

impl From<RawErrorBody> for ErrorBody {
    fn from(raw: RawErrorBody) -> Self {
        let code = raw.error_code.or(raw.error_code_v3);
        let message = raw.error_message.or(raw.error_message_v3);
        let tracking_id = raw.tracking_id.or(raw.tracking_id_camel);
        Self {
            code: code.or(raw.error),
            message: message.or(raw.error_description),
            tracking_id: tracking_id.or(raw.tracking_guid_v3),
        }
    }
}

impl ErrorBody {
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        if is_array(body) {
            return None;
        }
        let body: Self = serde_json::from_slice(body).ok()?;
        let is_error_body =
            body.code.is_some() || body.message.is_some() || body.tracking_id.is_some();
        is_error_body.then_some(body)
    }

    /// Reads the error body of a response whose status is a success.
    ///
    /// No response of the API has a field of these names. A tracking id alone is
    /// not an error, and neither is a code that says success, so that a success
    /// body may have such fields one day.
    fn in_success(body: &str) -> Option<Self> {
        // Keeps the usual case fast: a body is read twice only if it has such a
        // name somewhere.
        if !body.contains("\"error") {
            return None;
        }
        Self::read(body.as_bytes()).filter(Self::is_failure)
    }

    fn is_failure(&self) -> bool {
        match self.code.as_deref() {
            None | Some("") => self.message.as_ref().is_some_and(|text| !text.is_empty()),
            Some("0" | "false") => false,
            Some(code) => !(code.len() == 3 && code.starts_with('2')),
        }
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
    match ErrorBody::read(response.body()) {
        Some(body) => with_body(error, &body),
        None => error.with_message(&String::from_utf8_lossy(response.body()), EXCERPT_LIMIT),
    }
}

fn with_body(error: Error, body: &ErrorBody) -> Error {
    error
        .with_code(body.code.as_deref().unwrap_or_default())
        .with_tracking_id(body.tracking_id.as_deref().unwrap_or_default())
        .with_message(body.message.as_deref().unwrap_or_default(), MESSAGE_LIMIT)
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
    fn a_web_page_is_named() {
        for (content_type, is_named) in [
            ("text/html", true),
            ("text/html; charset=utf-8", true),
            ("application/json", false),
        ] {
            let page = http::Response::builder()
                .header(CONTENT_TYPE, content_type)
                .body(b"<html>".to_vec());
            let error = decode::<Outer>(&page.unwrap().into()).unwrap_err();
            let named = error.to_string().contains("but a web page");
            assert_eq!(named, is_named, "{error}");
        }
        let error = decode::<Outer>(&response(200, "<html>")).unwrap_err();
        assert!(!error.to_string().contains("web page"), "{error}");
    }

    #[test]
    fn statuses_that_the_api_does_not_have_are_named() {
        for (status, detail) in [
            (302, "a redirect, which is not followed"),
            (399, "a redirect, which is not followed"),
            (700, "an unknown status"),
        ] {
            let error = refusal(&response(status, ""));
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.to_string().contains(detail), "{error}");
        }
        for status in [400, 401, 404, 429, 503] {
            let text = refusal(&response(status, "")).to_string();
            assert!(
                !text.contains("redirect") && !text.contains("unknown"),
                "{text}"
            );
        }
    }

    #[test]
    fn one_field_makes_an_error_body() {
        for body in [
            r#"{"error_code":"1"}"#,
            r#"{"error_message":"no"}"#,
            r#"{"tracking_id":"t-1"}"#,
        ] {
            assert!(ErrorBody::read(body.as_bytes()).is_some(), "{body}");
        }
        assert!(ErrorBody::read(br#"{"username":"ada"}"#).is_none());
    }

    #[test]
    fn the_log_has_status_or_kind() {
        let outcome = |result| Outcome(&result).to_string();
        assert_eq!(outcome(Ok(response(204, ""))), "status 204");
        let error = Error::new(ErrorKind::Timeout, "");
        assert_eq!(outcome(Err(error)), "Timeout");
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
    fn an_error_body_may_have_several_spellings() {
        for body in [
            r#"{"error_code":404,"errorCode":"404","error_message":"no ada","errorMessage":"no ada",
                "tracking_id":"t-1","trackingId":"t-1","trackingGuid":"t-1","error":"not_found",
                "error_description":"?"}"#,
            r#"{"errorCode":404,"error_code":null,"errorMessage":"no ada","error_message":null,
                "trackingGuid":"t-1","tracking_id":null}"#,
        ] {
            let error = refusal(&response(404, body));
            assert_eq!(error.code(), Some("404"));
            assert_eq!(error.tracking_id(), Some("t-1"));
            assert_eq!(error.server_message(), Some("no ada"));
        }
    }

    /// Every field of the type is optional, so that an error body decodes.
    #[derive(Debug, Deserialize)]
    struct Lenient {
        #[expect(dead_code, reason = "decoded only")]
        username: Option<String>,
    }

    #[test]
    fn an_error_body_with_a_success_status_is_an_error() {
        for (body, code, message) in [
            (
                r#"{"error_code":404,"error_message":"no ada","tracking_id":"t-1"}"#,
                Some("404"),
                Some("no ada"),
            ),
            (
                r#"{"errorCode":"404","trackingGuid":"t-1"}"#,
                Some("404"),
                None,
            ),
            (
                r#" {"username":null,"errorMessage":"no ada","trackingGuid":"t-1"}"#,
                None,
                Some("no ada"),
            ),
            (
                r#"{"error":"invalid_client","trackingId":"t-1"}"#,
                Some("invalid_client"),
                None,
            ),
        ] {
            for status in [200, 201, 202] {
                let error = decode::<Lenient>(&response(status, body)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Api, "{body}");
                assert_eq!(error.status(), Some(status));
                assert_eq!((error.code(), error.server_message()), (code, message));
                assert_eq!(error.tracking_id(), Some("t-1"));
                assert!(error.may_have_been_sent());
                assert!(!format!("{error} {error:?}").contains("ada"));
            }
        }
    }

    #[test]
    fn a_success_body_is_not_taken_for_an_error_body() {
        for body in [
            "{}",
            r#"{"username":"\"error_code\":404"}"#,
            r#"{"username":"error","result_message":"error"}"#,
            r#"{"username":"ada","tracking_id":"t-1"}"#,
            r#"{"username":"ada","error_code":0,"error_message":""}"#,
            r#"{"username":"ada","error_code":null,"error_message":null,"error":null}"#,
            r#"{"username":"ada","errorCode":"200","errorMessage":"OK"}"#,
            r#"{"username":"ada","error":false,"errors":[],"error_count":3}"#,
            r#"{"username":"ada","fido2_json_options":{"errorMessage":"x","status":"ok"}}"#,
            r#"{"username":"ada","context_data":{"error_code":"404"}}"#,
        ] {
            decode::<Lenient>(&response(200, body)).unwrap();
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
