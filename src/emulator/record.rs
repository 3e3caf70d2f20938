//! What the clients have sent.

use std::{collections::VecDeque, fmt, sync::Arc};

use super::http::Message;

/// A request that the emulator received, as it was on the wire.
///
/// Requests to the control routes are not recorded. The accessors give
/// everything, credentials included; `Debug` shows no value of any header, no
/// query and no body.
#[derive(Clone)]
pub struct RecordedRequest {
    inner: Arc<Inner>,
}

struct Inner {
    message: Message,
    endpoint: Option<&'static str>,
}

impl RecordedRequest {
    pub(super) fn new(message: Message, endpoint: Option<&'static str>) -> Self {
        Self {
            inner: Arc::new(Inner { message, endpoint }),
        }
    }

    /// About as many bytes as it takes to keep it.
    fn weight(&self) -> usize {
        let message = self.message();
        let headers = message.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| name.len() + value.len() + 64)
            .sum();
        256 + message.method.len() + message.target.len() + headers + message.body.len()
    }

    pub(super) fn message(&self) -> &Message {
        &self.inner.message
    }

    /// The endpoint it was meant for, such as `get_user`, or `token`; `None`
    /// for a route that the service does not have.
    #[must_use]
    pub fn endpoint(&self) -> Option<&'static str> {
        self.inner.endpoint
    }

    /// The method, such as `GET`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.inner.message.method
    }

    /// Path and query, as sent.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.inner.message.target
    }

    /// The path, as sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.inner.message.path()
    }

    /// The query, as sent, without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.inner.message.query()
    }

    /// The first header of that name, if it is text. Names are compared
    /// without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner
            .message
            .header(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers in the order in which they came, the names as sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.inner
            .message
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The body, without any chunked framing.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.inner.message.body
    }

    /// The first line of the request: what ends up in the logs of servers and
    /// proxies. It is shown as it was sent, with its query.
    #[must_use]
    pub fn request_line(&self) -> String {
        format!(
            "{} {} HTTP/1.{}",
            self.method(),
            self.path_and_query(),
            self.inner.message.minor_version
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

/// How much the kept requests may weigh, whatever their number.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The last requests, and how many there were in all.
#[derive(Debug, Default)]
pub(super) struct Record {
    kept: VecDeque<RecordedRequest>,
    bytes: usize,
    total: u64,
}

impl Record {
    pub(super) fn push(&mut self, request: RecordedRequest, limit: usize) {
        self.total = self.total.saturating_add(1);
        self.bytes = self.bytes.saturating_add(request.weight());
        self.kept.push_back(request);
        while self.kept.len() > limit || self.bytes > MOST_BYTES {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.weight());
        }
    }

    pub(super) fn all(&self) -> Vec<RecordedRequest> {
        self.kept.iter().cloned().collect()
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: usize) -> RecordedRequest {
        let message = Message {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            minor_version: 1,
            headers: Vec::new(),
            body: vec![0; body],
        };
        RecordedRequest::new(message, None)
    }

    #[test]
    fn neither_many_nor_large_requests_fill_the_memory() {
        let mut record = Record::default();
        for _ in 0..30 {
            record.push(request(0), 20);
        }
        assert_eq!((record.all().len(), record.total()), (20, 30));
        for _ in 0..20 {
            record.push(request(MOST_BYTES / 10), 20);
        }
        assert_eq!((record.all().len(), record.total()), (9, 50));
        record.clear();
        record.push(request(1), 0);
        assert_eq!((record.all().len(), record.bytes), (0, 0));
    }
}
