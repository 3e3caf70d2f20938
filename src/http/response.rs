//! Decodes response bodies: success bodies and error bodies.

use std::any::type_name;
use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::json;

use super::json_path::{path_at_end, text_before};
use super::message::HttpResponse;
use super::retry_after::retry_after;
use crate::error::{Error, ErrorKind};
use crate::types::{LenientText, NO_NUMBER};

/// The length limit of the message of an error body, in characters.
const MESSAGE_LIMIT: usize = 300;
/// The length limit of the excerpt of any other body, in characters.
const EXCERPT_LIMIT: usize = 200;

/// Decodes a body that is one complete JSON object. An error body is an error,
/// whatever the status is.
pub(crate) fn decode<T: DeserializeOwned>(response: &HttpResponse) -> Result<T, Error> {
    let text = check_body(response, type_name::<T>())?;
    serde_json::from_str(text).map_err(|error| {
        let detail = describe_failure(text, &error);
        undecodable(response, type_name::<T>(), detail)
    })
}

/// Returns the body if it is text and neither an error body nor an array.
fn check_body<'a>(response: &'a HttpResponse, type_name: &str) -> Result<&'a str, Error> {
    let refuse = |detail: &str| Err(undecodable(response, type_name, detail.to_owned()));
    // Checked once, it need not be checked again for each string of the body.
    let Ok(text) = std::str::from_utf8(response.body()) else {
        return refuse("the body is not UTF-8");
    };
    match reported_error_in(text, response) {
        Some(error) => Err(error),
        None if is_array(text) => refuse("an array and not an object"),
        None => Ok(text),
    }
}

/// Returns the error that a 2xx response reports in its body.
pub(crate) fn reported_error(response: &HttpResponse) -> Option<Error> {
    reported_error_in(&response.text(), response)
}

fn reported_error_in(text: &str, response: &HttpResponse) -> Option<Error> {
    let body = ErrorBody::in_success(text)?;
    let error = Error::new(ErrorKind::Api, "an error body with a success status")
        .with_status(response.status().as_u16())
        .with_retry_after(retry_after(response.headers()))
        .with_sent(true);
    Some(with_body(error, &body))
}

/// Returns the error for a body that is no `type_name`.
fn undecodable(response: &HttpResponse, type_name: &str, mut detail: String) -> Error {
    if is_html(response.headers()) {
        detail += ", but a web page, perhaps of a captive portal or a proxy";
    }
    let what = format!("{}: {detail}", short_name(type_name));
    Error::new(ErrorKind::Decode, what)
        .with_status(response.status().as_u16())
        .with_sent(true)
}

fn describe_failure(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Data => describe_field(text_before(text, line, column), &error.to_string()),
        _ if text.is_empty() => "the body is empty".to_owned(),
        _ => format!("not one JSON document, from line {line} column {column}"),
    }
}

/// Names the field that does not fit. `read` is the text up to the error. serde's
/// message may quote the value. Only the name of a missing field is certainly not
/// from the server.
fn describe_field(read: &str, message: &str) -> String {
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'));
    if let Some((field, _)) = missing {
        // That it is missing is known at the end of its object.
        let path = path_at_end(read);
        let dot = if path.is_empty() { "" } else { "." };
        return format!("{path}{dot}{field} is missing");
    }
    let read = if message.starts_with(NO_NUMBER) {
        // An array is refused after its first byte.
        let read = read.trim_ascii_end();
        read.strip_suffix('[').unwrap_or(read)
    } else {
        read
    };
    // The last field of an object may be refused after the object has ended.
    match path_at_end(read.strip_suffix('}').unwrap_or(read)).as_str() {
        "" => "a field has the wrong type".to_owned(),
        path => format!("{path} has the wrong type"),
    }
}

/// Returns whether the body is an array. serde would read one as a struct,
/// taking the fields in the order of their declaration.
fn is_array(text: &str) -> bool {
    text.trim_ascii_start().starts_with('[')
}

/// Returns a type's name without module path and parameters.
fn short_name(type_name: &str) -> &str {
    let name = type_name.split('<').next().unwrap_or(type_name);
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
pub(crate) struct ErrorBody {
    code: Option<String>,
    message: Option<String>,
    tracking_id: Option<String>,
}

/// The names of the fields of an error body: code, message and tracking id.
const ERROR_FIELDS: [[&str; 3]; 3] = [
    ["error_code", "errorCode", "error"],
    ["error_message", "errorMessage", "error_description"],
    ["tracking_id", "trackingId", "trackingGuid"],
];

impl<'de> Deserialize<'de> for ErrorBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = ErrorBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error body")
            }

            // Nothing is kept of the other members, which may be secret.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ErrorBody, A::Error> {
                let mut found = [const { [const { None }; 3] }; 3];
                while let Some(name) = map.next_key::<String>()? {
                    let mut places = ERROR_FIELDS.iter().flatten().zip(found.as_flattened_mut());
                    match places.find(|(known, _)| **known == name) {
                        Some((_, text)) => *text = map.next_value::<LenientText>()?.0,
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                let [code, message, tracking_id] = found
                    .map(|spellings: [Option<String>; 3]| spellings.into_iter().flatten().next());
                Ok(ErrorBody {
                    code,
                    message,
                    tracking_id,
                })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl ErrorBody {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let body: Self = serde_json::from_str(text).ok()?;
        let is_error_body =
            body.code.is_some() || body.message.is_some() || body.tracking_id.is_some();
        is_error_body.then_some(body)
    }

    /// Returns it as JSON, with each text as `rewrite` returns it.
    pub(crate) fn rewrite(&self, rewrite: impl Fn(&str) -> String) -> String {
        let [code, message, tracking_id] = [&self.code, &self.message, &self.tracking_id]
            .map(|text| text.as_deref().map(&rewrite));
        let [[code_name, ..], [message_name, ..], [tracking_id_name, ..]] = ERROR_FIELDS;
        json!({code_name: code, message_name: message, tracking_id_name: tracking_id}).to_string()
    }

    /// Reads the error body of a response whose status is a success.
    ///
    /// No response of the API has a field of these names. A tracking id alone is
    /// not an error, and neither is a code that says success, so that a success
    /// body may have such fields one day.
    fn in_success(text: &str) -> Option<Self> {
        // Keeps the usual case fast: a body is read twice only if it has such a
        // name somewhere.
        if !text.contains("\"error") {
            return None;
        }
        Self::read(text).filter(Self::is_failure)
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
    let text = response.text();
    match ErrorBody::read(&text) {
        Some(body) => with_body(error, &body),
        None => error.with_message(&text, EXCERPT_LIMIT),
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
    use uuid::Uuid;

    use super::*;
    use crate::types::{empty_as_none, lenient_number, object_or_default, objects};

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

    /// Fields as the responses have them.
    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Fields {
        id: u8,
        #[serde(deserialize_with = "objects")]
        records: Vec<Record>,
        #[serde(deserialize_with = "object_or_default")]
        last: Record,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Record {
        id: u8,
        #[serde(default, deserialize_with = "lenient_number")]
        number: i64,
        #[serde(default, deserialize_with = "empty_as_none")]
        user: Option<Uuid>,
    }

    #[test]
    fn the_field_that_does_not_fit_is_named() {
        for (body, problem) in [
            (r#"{"id":"x"}"#, "id has the wrong type"),
            (r#"{"id":"x","records":[]}"#, "id has the wrong type"),
            (r#"{"id":[1]}"#, "id has the wrong type"),
            (r#"{"id":{"a":1}}"#, "id has the wrong type"),
            (r#"{"id":null}"#, "id has the wrong type"),
            (r#"{"id":1,"records":{}}"#, "records has the wrong type"),
            (
                r#"{"records":[{"id":1},7]}"#,
                "records[1] has the wrong type",
            ),
            (
                r#"{"records":[{"id":1},[7]]}"#,
                "records[1] has the wrong type",
            ),
            (r#"{"records":[{"id":1},{}]}"#, "records[1].id is missing"),
            (
                r#"{"records":[{"id":1},{"number":2} ],"id":3}"#,
                "records[1].id is missing",
            ),
            (
                r#"{"records":[{"id":300 , "number":1}]}"#,
                "records[0].id has the wrong type",
            ),
            (
                r#"{"records":[{"id":1,"number":[]}]}"#,
                "records[0].number has the wrong type",
            ),
            (
                r#"{"records":[{"number":{},"id":1}]}"#,
                "records[0].number has the wrong type",
            ),
            (
                r#"{"records":[{"id":1,"user":"x"}]}"#,
                "records[0].user has the wrong type",
            ),
            (
                r#"{"last":{"user":"x","id":1},"id":2}"#,
                "last.user has the wrong type",
            ),
            (
                r#"{"last":{"id":1,"number":"x"},"id":2}"#,
                "last.number has the wrong type",
            ),
            (r#"{"last":{}}"#, "last.id is missing"),
            (
                r#"{"records":[{"number":{"s3cr3t":{}},"id":1}]}"#,
                "records[0].number has the wrong type",
            ),
            (
                r#"{"records":[{"number":["s3cr3t"],"id":1}]}"#,
                "records[0].number has the wrong type",
            ),
            (r#"{"id":1,"id":2}"#, "a field has the wrong type"),
            (
                r#"{"last":{"id":1,"s3cr3t":1,"id":2}}"#,
                "last has the wrong type",
            ),
            (
                r#"{"a":"ü😀","last":{"b":"ü😀","user":"ü😀"}}"#,
                "last.user has the wrong type",
            ),
            (
                r#"{"records":[{"id":1}],"last":{"id":""}}"#,
                "last.id has the wrong type",
            ),
            (
                "{\r\n \"last\":\n {\"number\": 1,\n  \"id\":\t\"x\"\n }\n}",
                "last.id has the wrong type",
            ),
        ] {
            let error = decode::<Fields>(&response(200, body)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode);
            let expected = format!("Fields: {problem}");
            assert!(error.to_string().contains(&expected), "{body}: {error}");
            assert!(
                !format!("{error:?}").contains("s3cr3t"),
                "{body}: {error:?}"
            );
        }
    }

    #[test]
    fn a_body_that_is_not_utf_8_is_refused() {
        let latin1 = b"{\"id\":7,\"name\":\"M\xfcller\"}".to_vec();
        let error = decode::<Fields>(&http::Response::new(latin1).into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("not UTF-8"), "{error}");
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
            assert!(ErrorBody::read(body).is_some(), "{body}");
        }
        assert!(ErrorBody::read(r#"{"username":"ada"}"#).is_none());
    }

    #[test]
    fn an_error_body_may_hold_anything_else() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for other in ["1e400", r#""\ud83d""#, &deep, "null"] {
            for body in [
                format!(r#"{{"error_code":404,"id":{other}}}"#),
                format!(r#"{{"id":{other},"error_code":404}}"#),
            ] {
                let error = decode::<Fields>(&response(200, &body)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Api, "{body}");
                assert_eq!(error.code(), Some("404"), "{body}");
            }
        }
    }

    #[test]
    fn of_several_spellings_the_first_of_v4_counts() {
        for (body, code) in [
            (r#"{"error":"c","errorCode":"b","error_code":"a"}"#, "a"),
            (r#"{"error":"c","errorCode":"b","error_code":null}"#, "b"),
            (r#"{"error":"c","errorCode":[],"error_code":{}}"#, "c"),
        ] {
            let error = refusal(&response(400, body));
            assert_eq!(error.code(), Some(code), "{body}");
        }
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
