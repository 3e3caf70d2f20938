//! [`RecordedRequest`]: what clients sent and how it ended.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use crate::emulator::{
    message::{Request, Response},
    model::clock::Stamp,
};

/// A request that the emulator received.
///
/// Requests to control routes are not recorded. The accessors return
/// everything, also credentials. `Debug` shows no header values, no query and
/// no body.
#[derive(Clone)]
pub struct RecordedRequest {
    inner: Arc<Inner>,
}

struct Inner {
    number: u64,
    request: Request,
    endpoint: Option<&'static str>,
    time: Stamp,
    outcome: OnceLock<Outcome>,
}

/// The end of a call.
pub(crate) struct Outcome {
    /// `None`: a fault has damaged the response.
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) warnings: Vec<String>,
}

impl RecordedRequest {
    /// The number of the request since the start, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.inner.number
    }

    /// Sets the end of the call. Only the first time counts.
    pub(crate) fn end(&self, outcome: Outcome) {
        let _ = self.inner.outcome.set(outcome);
    }

    /// Roughly the memory that the request takes, in bytes.
    fn weight(&self) -> usize {
        let request = self.request();
        let headers = request.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| name.len() + value.len() + 64)
            .sum();
        256 + request.method.len() + request.target.len() + headers + request.body.len()
    }

    pub(crate) fn request(&self) -> &Request {
        &self.inner.request
    }

    /// Returns the name of the endpoint, such as `get_user`, or `token`, or for OIDC
    /// discovery `discovery` and `keys`; `None` for a route that does not exist.
    #[must_use]
    pub fn endpoint(&self) -> Option<&'static str> {
        self.inner.endpoint
    }

    /// Returns the status of the response. `None` while the call is processed, and if a
    /// [`Fault`](crate::emulator::Fault) has damaged the response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.inner.outcome.get()?.status
    }

    /// Returns the reason why the call was refused or failed, such as `username is
    /// required`, or `fault slow_body` for a [`Fault`](crate::emulator::Fault).
    /// `None` if it succeeded or is still processed. It may name fields that the
    /// client sent; it holds no values of them.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.inner.outcome.get()?.error.as_deref()
    }

    /// Returns the mistakes that a tolerant emulator accepted, at most 20 texts: fields and
    /// parameters that it ignored, values that it converted. Empty in strict mode
    /// and until the request is processed.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        let outcome = self.inner.outcome.get();
        outcome.map_or(&[], |outcome| outcome.warnings.as_slice())
    }

    /// Returns the time of the request by the emulator's clock, in the service's format.
    #[must_use]
    pub fn time(&self) -> String {
        self.inner.time.iso()
    }

    /// Returns the method, such as `GET`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.inner.request.method
    }

    /// Returns path and query as sent.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.inner.request.target
    }

    /// Returns the path as sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.inner.request.path()
    }

    /// Returns the query as sent, without the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.inner.request.query()
    }

    /// Returns the first header with this name, if it is text. Case does not matter in
    /// names.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner
            .request
            .header(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Returns all headers in their order, names as sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.inner
            .request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Returns the body, without chunked framing.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.inner.request.body
    }

    /// Returns the request line as sent, with its query: what servers and proxies log.
    #[must_use]
    pub fn request_line(&self) -> String {
        format!(
            "{} {} HTTP/1.{}",
            self.method(),
            self.path_and_query(),
            self.inner.request.minor_version
        )
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers().map(|(name, _)| name).collect();
        f.debug_struct("RecordedRequest")
            .field("method", &self.method())
            .field("endpoint", &self.endpoint())
            .field("status", &self.status())
            .field("header_names", &names)
            .field("body_length", &self.body().len())
            .finish_non_exhaustive()
    }
}

/// The reason of an error response: its own, or the message in its body.
pub(crate) fn error_of(response: &Response) -> Option<String> {
    if response.status < 400 {
        return None;
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let in_body = || {
        let message = ["error_message", "errorMessage", "error"];
        let message = message.into_iter().find_map(text)?.to_owned();
        Some(match text("error_description") {
            Some(more) => format!("{message}: {more}"),
            None => message,
        })
    };
    let reason = response.reason.clone().or_else(in_body)?;
    // It may name a field that the client sent, and it is printed.
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    Some(reason.chars().take(300).map(printable).collect())
}

/// Input that was not a valid request.
#[derive(Clone, Debug)]
pub(crate) struct InvalidInput {
    pub(crate) number: u64,
    pub(crate) time: Stamp,
    /// The status of the response. `None` if the TLS handshake failed.
    pub(crate) status: Option<u16>,
    pub(crate) error: String,
}

/// Most memory for all kept requests, in bytes.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Number of kept inputs that were not valid requests.
const MOST_INVALID: usize = 1000;

/// The last requests, and the number of all requests.
#[derive(Debug)]
pub(crate) struct Record {
    limit: usize,
    kept: VecDeque<RecordedRequest>,
    bytes: usize,
    total: u64,
    invalid: VecDeque<InvalidInput>,
    /// The number of the last request or invalid input. Clearing keeps it.
    last: u64,
}

impl Record {
    /// A record of the last `limit` requests.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: VecDeque::new(),
            bytes: 0,
            total: 0,
            invalid: VecDeque::new(),
            last: 0,
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    /// Adds a request that is about to be processed.
    pub(crate) fn add(
        &mut self,
        request: Request,
        endpoint: Option<&'static str>,
        time: Stamp,
    ) -> RecordedRequest {
        let request = RecordedRequest {
            inner: Arc::new(Inner {
                number: self.next_number(),
                request,
                endpoint,
                time,
                outcome: OnceLock::new(),
            }),
        };
        self.total = self.total.saturating_add(1);
        self.bytes = self.bytes.saturating_add(request.weight());
        self.kept.push_back(request.clone());
        while self.kept.len() > self.limit || self.bytes > MOST_BYTES {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.weight());
        }
        request
    }

    /// Adds input that was not a valid request.
    pub(crate) fn add_invalid(&mut self, time: Stamp, status: Option<u16>, error: String) {
        let number = self.next_number();
        self.invalid.push_back(InvalidInput {
            number,
            time,
            status,
            error,
        });
        if self.invalid.len() > MOST_INVALID {
            self.invalid.pop_front();
        }
    }

    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        self.kept.iter().cloned().collect()
    }

    pub(crate) fn all_invalid(&self) -> Vec<InvalidInput> {
        self.invalid.iter().cloned().collect()
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn clear(&mut self) {
        *self = Self {
            last: self.last,
            ..Self::new(self.limit)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(record: &mut Record, body: usize) {
        let request = Request {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            minor_version: 1,
            headers: Vec::new(),
            body: vec![0; body],
        };
        record.add(request, None, Stamp::from_unix_seconds(0));
    }

    #[test]
    fn number_and_size_of_kept_requests_are_limited() {
        let mut record = Record::new(20);
        for _ in 0..30 {
            add(&mut record, 0);
        }
        assert_eq!((record.all().len(), record.total()), (20, 30));
        for _ in 0..20 {
            add(&mut record, MOST_BYTES / 10);
        }
        assert_eq!((record.all().len(), record.total()), (9, 50));
        let mut record = Record::new(0);
        add(&mut record, 1);
        assert_eq!((record.all().len(), record.bytes), (0, 0));
        let now = Stamp::from_unix_seconds(0);
        for _ in 0..=MOST_INVALID {
            record.add_invalid(now, None, String::new());
        }
        assert_eq!(record.all_invalid().len(), MOST_INVALID);
    }

    #[test]
    fn numbers_go_on_after_clearing() {
        let mut record = Record::new(1);
        add(&mut record, 0);
        record.clear();
        add(&mut record, 0);
        assert_eq!(record.all()[0].number(), 2);
    }

    #[test]
    fn an_error_is_the_reason_or_the_message_of_the_body() {
        let response = |status, body: &str, reason: Option<&str>| {
            let mut response = Response::empty(status);
            response.body = body.as_bytes().to_vec();
            response.reason = reason.map(str::to_owned);
            error_of(&response)
        };
        for (body, reason, error) in [
            (r#"{"error_message": "a"}"#, None, Some("a")),
            (r#"{"errorMessage": "a"}"#, None, Some("a")),
            (
                r#"{"error": "a", "error_description": "b"}"#,
                None,
                Some("a: b"),
            ),
            (r#"{"error": "a"}"#, Some("b"), Some("b")),
            (
                r#"{"error": "a\r\nb\u001b"}"#,
                None,
                Some("a\u{fffd}\u{fffd}b\u{fffd}"),
            ),
            ("<html>", None, None),
        ] {
            assert_eq!(response(400, body, reason).as_deref(), error, "{body}");
        }
        assert_eq!(response(200, r#"{"error": "a"}"#, None), None);
        let long = format!(r#"{{"error": "{}"}}"#, "x".repeat(1000));
        assert_eq!(response(500, &long, None).unwrap().len(), 300);
    }
}
