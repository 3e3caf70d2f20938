//! [`RecordedRequest`]: what clients sent.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, OnceLock},
};

use crate::emulator::message::Request;

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
    request: Request,
    endpoint: Option<&'static str>,
    warnings: OnceLock<Vec<String>>,
}

impl RecordedRequest {
    pub(crate) fn new(request: Request, endpoint: Option<&'static str>) -> Self {
        Self {
            inner: Arc::new(Inner {
                request,
                endpoint,
                warnings: OnceLock::new(),
            }),
        }
    }

    /// Sets the warnings, once the request is processed.
    pub(crate) fn set_warnings(&self, warnings: Vec<String>) {
        // Only the thread that processes the request sets them.
        let _ = self.inner.warnings.set(warnings);
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

    /// The name of the endpoint, such as `get_user`, or `token`, or for OIDC
    /// discovery `discovery` and `keys`; `None` for a route that does not exist.
    #[must_use]
    pub fn endpoint(&self) -> Option<&'static str> {
        self.inner.endpoint
    }

    /// What a tolerant emulator accepted although it is wrong, at most 20 texts:
    /// fields and parameters that it ignored, values that it converted. Empty in
    /// strict mode and until the request is processed.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        self.inner.warnings.get().map_or(&[], Vec::as_slice)
    }

    /// The method, such as `GET`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.inner.request.method
    }

    /// Path and query as sent.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.inner.request.target
    }

    /// The path as sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.inner.request.path()
    }

    /// The query as sent, without the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.inner.request.query()
    }

    /// The first header with this name, if it is text. Case does not matter in
    /// names.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner
            .request
            .header(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers in their order, names as sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.inner
            .request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The body, without chunked framing.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.inner.request.body
    }

    /// The request line as sent, with its query: what servers and proxies log.
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
            .field("header_names", &names)
            .field("body_length", &self.body().len())
            .finish_non_exhaustive()
    }
}

/// Most memory for all kept requests, in bytes.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The last requests, and the number of all requests.
#[derive(Debug)]
pub(crate) struct Record {
    limit: usize,
    kept: VecDeque<RecordedRequest>,
    bytes: usize,
    total: u64,
}

impl Record {
    /// A record of the last `limit` requests.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: VecDeque::new(),
            bytes: 0,
            total: 0,
        }
    }

    pub(crate) fn push(&mut self, request: RecordedRequest) {
        self.total = self.total.saturating_add(1);
        self.bytes = self.bytes.saturating_add(request.weight());
        self.kept.push_back(request);
        while self.kept.len() > self.limit || self.bytes > MOST_BYTES {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.weight());
        }
    }

    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        self.kept.iter().cloned().collect()
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: usize) -> RecordedRequest {
        let request = Request {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            minor_version: 1,
            headers: Vec::new(),
            body: vec![0; body],
        };
        RecordedRequest::new(request, None)
    }

    #[test]
    fn number_and_size_of_kept_requests_are_limited() {
        let mut record = Record::new(20);
        for _ in 0..30 {
            record.push(request(0));
        }
        assert_eq!((record.all().len(), record.total()), (20, 30));
        for _ in 0..20 {
            record.push(request(MOST_BYTES / 10));
        }
        assert_eq!((record.all().len(), record.total()), (9, 50));
        let mut record = Record::new(0);
        record.push(request(1));
        assert_eq!((record.all().len(), record.bytes), (0, 0));
    }
}
