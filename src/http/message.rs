//! [`HttpRequest`] and [`HttpResponse`]: the input and the output of a transport.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::buffer::WipedBuffer;

/// A complete HTTP request.
///
/// Its `Debug` shows method, scheme, host, path and the names of the headers.
/// It does not show the query, the values of headers and the body, which hold
/// credentials and usernames. The body is wiped from memory when dropped.
pub struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<WipedBuffer>,
}

impl HttpRequest {
    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the complete URI.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the headers. Those that describe the connection and the length of
    /// the body are missing: the transport adds them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the body. `None` is a request without body and content type.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_ref().map(|body| body.as_slice())
    }

    /// Converts it into a request of the crate `http`, for another HTTP stack.
    /// That type's `Debug` prints header values and the body, and its body is
    /// not wiped.
    #[must_use]
    pub fn into_http(self) -> http::Request<Vec<u8>> {
        let body = self.body.map(WipedBuffer::into_vec);
        let mut request = http::Request::new(body.unwrap_or_default());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }

    pub(crate) fn set_header(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.insert(name, value);
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("scheme", &self.uri.scheme_str())
            .field("host", &self.uri.host())
            .field("path", &self.uri.path())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A complete HTTP response.
///
/// Its `Debug` shows the status and the names of the headers, but not the values
/// of the headers and not the body. The body is wiped from memory when dropped.
pub struct HttpResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: WipedBuffer,
}

impl HttpResponse {
    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the complete body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body as text, for an error. A byte that is not UTF-8 becomes U+FFFD.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl From<http::Response<Vec<u8>>> for HttpResponse {
    fn from(response: http::Response<Vec<u8>>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: body.into(),
        }
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_query_header_value_or_body() {
        let mut headers = HeaderMap::new();
        headers.insert("x-autharmor-usernamevalue", HeaderValue::from_static("ada"));
        let request = HttpRequest {
            method: Method::GET,
            uri: Uri::from_static("https://api.example/v4/users/0?username=ada"),
            headers,
            body: Some(b"ada".to_vec().into()),
        };
        let text = format!("{request:?}");
        assert!(
            text.contains("/v4/users/0") && text.contains("x-autharmor-usernamevalue"),
            "{text}"
        );
        assert!(!text.contains("ada"), "{text}");

        let response = http::Response::builder()
            .header("x", "ada")
            .body(b"ada".to_vec())
            .unwrap();
        let text = format!("{:?}", HttpResponse::from(response));
        assert!(text.contains("200") && !text.contains("ada"), "{text}");
    }
}
