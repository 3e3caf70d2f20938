//! [`Transport`]: how bytes travel.

mod addresses;
mod agent;
mod dial;
mod proxy;
mod random;
mod stream;
mod tls;
mod wire;

#[cfg(all(test, feature = "emulator"))]
mod tests;

pub(crate) use addresses::Resolve;
pub(crate) use agent::{AgentTransport, TransportSettings};
pub(crate) use proxy::ProxySetting;
pub(crate) use random::random_secret;
pub(crate) use tls::{ClientCertificate, Roots};

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Uri;

use crate::error::{Error, ErrorKind};
use crate::http::{HttpRequest, HttpResponse};

/// Carries one HTTP request there and its response back, blocking.
///
/// The client brings its own; bring another for a different HTTP stack, or a
/// fake in a test. It must not follow redirects, must not send anything twice,
/// must not decompress, and must return by the deadline. Any status is an
/// `Ok`.
///
/// ```
/// use autharmor::{Client, HttpRequest, HttpResponse, Limits, Transport, TransportError};
///
/// struct Canned;
///
/// impl Transport for Canned {
///     fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
///         let body = if request.uri().path() == "/connect/token" {
///             r#"{"access_token":"t","expires_in":600}"#
///         } else {
///             r#"{"user_id":"5b1d7d5e-0000-4000-8000-000000000001","username":"ada"}"#
///         };
///         Ok(http::Response::new(body.as_bytes().to_vec()).into())
///     }
/// }
///
/// let client = Client::builder("id", "secret").transport(Canned).build()?;
/// let user = client.get_user("ada")?;
/// assert_eq!(user.username.as_deref(), Some("ada"));
/// # Ok::<(), autharmor::Error>(())
/// ```
pub trait Transport: Send + Sync {
    /// Sends the request and reads the whole response.
    fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError>;

    /// Announces a request to the host of `uri` that will come soon, and
    /// returns what there is to do for it: opening a connection, without
    /// sending anything of HTTP. The client does that in a thread of its own,
    /// while the access token is on its way. By default there is nothing to
    /// do.
    fn warm_up(&self, uri: &Uri, limits: Limits) -> Option<WarmUp> {
        let _ = (uri, limits);
        None
    }
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        (**self).send(request, limits)
    }

    fn warm_up(&self, uri: &Uri, limits: Limits) -> Option<WarmUp> {
        (**self).warm_up(uri, limits)
    }
}

/// What there is to do for [`Transport::warm_up`].
pub type WarmUp = Box<dyn FnOnce() + Send>;

/// What a [`Transport`] must keep to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// When it must have returned.
    pub deadline: Instant,
    /// The largest body in bytes that it may accept.
    pub max_response_body: usize,
}

impl Limits {
    /// The time that is left until the deadline.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// What a [`Transport`] failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// Resolving the host name.
    Dns,
    /// Making a connection.
    Connect,
    /// Getting through the proxy.
    Proxy,
    /// The TLS handshake, or the server's certificate.
    Tls,
    /// Keeping to the deadline, or to the time allowed for connecting.
    Timeout,
    /// Keeping the connection until the response was complete.
    Broken,
    /// Reading HTTP: the peer spoke something else, or said too much.
    Protocol,
}

/// Why a [`Transport`] has no response.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    may_have_been_sent: bool,
    detail: &'static str,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl TransportError {
    /// `may_have_been_sent` decides whether a call that must happen only once
    /// may be tried again: say `false` only if not one byte of the request can
    /// have reached the server.
    #[must_use]
    pub fn new(kind: TransportErrorKind, may_have_been_sent: bool) -> Self {
        Self {
            kind,
            may_have_been_sent,
            detail: "",
            source: None,
        }
    }

    /// Adds the cause. Its `Display` must hold no secret and no username: it
    /// becomes the [`source`](StdError::source) of the client's error.
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

    /// What failed.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the request, or a part of it, may have reached the server.
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
        match error.source {
            Some(source) => new.with_source(source),
            None => new,
        }
    }
}
