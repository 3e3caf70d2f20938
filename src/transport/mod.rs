//! [`Transport`]: sends HTTP requests.

mod agent;
mod connection;
mod deadline;
mod dialer;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod happy_eyeballs;
mod no_proxy;
mod preconnect;
mod proxy;
mod random;
mod resolver;
mod stream;
mod target;
mod threads;
mod tls;

#[cfg(all(test, feature = "emulator"))]
mod tests;

pub(crate) use agent::{AgentTransport, TransportSettings};
pub(crate) use proxy::ProxySetting;
pub(crate) use random::random_secret;
pub(crate) use resolver::Resolve;
pub(crate) use tls::{ClientCertificate, Roots};

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind};
use crate::http::{HttpRequest, HttpResponse};

/// Sends one HTTP request and returns its response, blocking.
///
/// A client has a transport of its own. Implement this trait to use another
/// HTTP stack, or a fake in a test. A closure is a transport, too.
///
/// A transport must not follow redirects, must not send a request twice, must
/// not decompress, and must return by the deadline. A response with any status
/// is an `Ok`.
///
/// ```
/// use autharmor::{Client, HttpRequest, Limits};
///
/// let canned = |request: HttpRequest, _: Limits| {
///     let body = if request.uri().path() == "/connect/token" {
///         r#"{"access_token":"t","expires_in":600}"#
///     } else {
///         r#"{"user_id":"5b1d7d5e-0000-4000-8000-000000000001","username":"ada"}"#
///     };
///     Ok(http::Response::new(body.as_bytes().to_vec()).into())
/// };
///
/// let client = Client::builder("id", "secret").transport(canned).build()?;
/// let user = client.get_user("ada")?;
/// assert_eq!(user.username.as_deref(), Some("ada"));
/// # Ok::<(), autharmor::Error>(())
/// ```
pub trait Transport: Send + Sync {
    /// Sends the request and reads the whole response.
    fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError>;
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        (**self).send(request, limits)
    }
}

impl<F> Transport for F
where
    F: Fn(HttpRequest, Limits) -> Result<HttpResponse, TransportError> + Send + Sync,
{
    fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        self(request, limits)
    }
}

/// Limits that a [`Transport`] must keep.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// When the transport must have returned.
    pub deadline: Instant,
    /// The largest response body to accept, in bytes.
    pub max_response_body: usize,
}

impl Limits {
    /// Returns the time that is left until the deadline.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// The step at which a [`Transport`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// Resolving the host name.
    Dns,
    /// Connecting.
    Connect,
    /// Reaching the host through the proxy.
    Proxy,
    /// The TLS handshake, or the server's certificate.
    Tls,
    /// Something that did not end by the deadline, or within the connect timeout.
    Timeout,
    /// The connection broke before the response was complete.
    Broken,
    /// Reading HTTP: the response is something else, or is too large.
    Protocol,
}

/// A failure of a [`Transport`].
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    may_have_been_sent: bool,
    is_permanent: bool,
    detail: &'static str,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// Creates an error. `may_have_been_sent` decides whether a call that
    /// notifies a person may be repeated: pass `false` only if no byte of the
    /// request can have reached the server.
    #[must_use]
    pub fn new(kind: TransportErrorKind, may_have_been_sent: bool) -> Self {
        Self {
            kind,
            may_have_been_sent,
            is_permanent: false,
            detail: "",
            source: None,
        }
    }

    /// Adds the cause, which becomes the [`source`](StdError::source) of the
    /// client's error. Its `Display` and `Debug` must hold no secret and no
    /// username.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Adds a hint for the person who reads the error.
    pub(crate) fn with_detail(mut self, detail: &'static str) -> Self {
        self.detail = detail;
        self
    }

    /// Marks a failure that another attempt would only repeat.
    pub(crate) fn permanent(mut self) -> Self {
        self.is_permanent = true;
        self
    }

    /// Returns the step that failed.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the request, or a part of it, may have reached the server.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.may_have_been_sent
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transport: {:?}", self.kind)?;
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.detail)
        }
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        let kind = match error.kind {
            TransportErrorKind::Dns => ErrorKind::Dns,
            TransportErrorKind::Connect => ErrorKind::Connect,
            TransportErrorKind::Proxy => ErrorKind::Proxy,
            TransportErrorKind::Tls => ErrorKind::Tls,
            TransportErrorKind::Timeout => ErrorKind::Timeout,
            TransportErrorKind::Broken => ErrorKind::Transport,
            TransportErrorKind::Protocol => ErrorKind::Protocol,
        };
        let new = Self::new(kind, error.detail).with_sent(error.may_have_been_sent);
        let new = if error.is_permanent {
            new.permanent()
        } else {
            new
        };
        match error.source {
            Some(source) => new.with_source(source),
            None => new,
        }
    }
}
