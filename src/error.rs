//! The one error type, [`Error`], and its [`ErrorKind`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What kind of failure an [`Error`] is: what a program can act on.
///
/// More kinds may be added; have a `_` arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong: fix the configuration. Nothing was sent.
    Config,
    /// A value of this call is wrong: fix the call. Nothing was sent.
    InvalidInput,
    /// API v4 would put the username into the URL and the builder was not told
    /// that it may. Use the user's id, or see
    /// [`username_in_query`](crate::ClientBuilder::username_in_query).
    /// Nothing was sent.
    UsernameInUrl,
    /// The token endpoint refuses the client id, secret or scopes.
    Auth,
    /// The API answered 401: it does not take the token, or a `validate_*`
    /// call named something that it refuses.
    Unauthorized,
    /// The API answered 403: these credentials may not do this.
    Forbidden,
    /// The API answered 404: there is no such user, request or registration.
    NotFound,
    /// The service answered 429: too many calls. See [`Error::retry_after`].
    RateLimited,
    /// The API refused the call with another 4xx status.
    Api,
    /// The service answered with a 5xx status.
    Unavailable,
    /// The host name could not be resolved.
    Dns,
    /// No connection could be made.
    Connect,
    /// The proxy could not be used.
    Proxy,
    /// TLS failed: the server's certificate, or the handshake.
    Tls,
    /// The time for the call, or for connecting, ran out.
    Timeout,
    /// The connection broke.
    Transport,
    /// What came back is not the HTTP that was agreed on: a redirect, garbage,
    /// an answer that is too large or compressed.
    Protocol,
    /// The answer could not be understood.
    Decode,
    /// The answer is about somebody or something else than was asked for.
    Mismatch,
}

impl ErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::Config => "wrong configuration",
            Self::InvalidInput => "invalid input",
            Self::UsernameInUrl => "a username would be in the URL",
            Self::Auth => "the client credentials were refused",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not found",
            Self::RateLimited => "rate limited",
            Self::Api => "the request was refused",
            Self::Unavailable => "the service is unavailable",
            Self::Dns => "the host name could not be resolved",
            Self::Connect => "no connection",
            Self::Proxy => "the proxy failed",
            Self::Tls => "TLS failed",
            Self::Timeout => "timed out",
            Self::Transport => "the connection broke",
            Self::Protocol => "not the expected HTTP",
            Self::Decode => "the answer could not be decoded",
            Self::Mismatch => "the answer does not match the question",
        }
    }
}

/// Everything that can go wrong, one pointer wide and cheap to clone.
///
/// `Display` reads `where: what happened` and, like `Debug`, holds no secret,
/// no username and nothing that the server wrote but its code and tracking id.
/// The server's own words are to be had from [`server_message`](Self::server_message)
/// and the alternate form `{:#}`.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    area: &'static str,
    detail: Cow<'static, str>,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    tracking_id: Option<String>,
    retry_after: Option<Duration>,
    may_have_been_sent: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `detail` is our own words: never a value from a caller or a server.
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            area: "autharmor",
            detail: detail.into(),
            status: None,
            code: None,
            message: None,
            tracking_id: None,
            retry_after: None,
            may_have_been_sent: false,
            source: None,
        }))
    }

    pub(crate) fn config(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, detail).in_area("config")
    }

    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, detail)
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Says where it happened: an endpoint's name, `token`, `config`.
    pub(crate) fn in_area(self, area: &'static str) -> Self {
        self.with(|inner| inner.area = area)
    }

    pub(crate) fn with_detail(self, detail: &'static str) -> Self {
        self.with(|inner| inner.detail = detail.into())
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        self.with(|inner| inner.status = Some(status))
    }

    /// Keeps the code only if it reads like one, since `Display` shows it.
    pub(crate) fn with_code(self, code: &str) -> Self {
        self.with(|inner| inner.code = identifier(code))
    }

    /// Keeps the id only if it reads like one, since `Display` shows it.
    pub(crate) fn with_tracking_id(self, id: &str) -> Self {
        self.with(|inner| inner.tracking_id = identifier(id))
    }

    pub(crate) fn with_message(self, message: &str, limit: usize) -> Self {
        self.with(|inner| inner.message = printable(message, limit))
    }

    pub(crate) fn with_retry_after(self, after: Option<Duration>) -> Self {
        self.with(|inner| inner.retry_after = after)
    }

    pub(crate) fn with_sent(self, may_have_been_sent: bool) -> Self {
        self.with(|inner| inner.may_have_been_sent = may_have_been_sent)
    }

    pub(crate) fn with_source(self, source: Arc<dyn StdError + Send + Sync>) -> Self {
        self.with(|inner| inner.source = Some(source))
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status, when there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's error code: the API's `error_code`, or the OAuth2 `error`
    /// of the token endpoint such as `invalid_client`. At most 64 characters
    /// of `A-Z a-z 0-9 _ . : -`; anything else is dropped.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The server's tracking id, to be quoted to the vendor's support.
    #[must_use]
    pub fn tracking_id(&self) -> Option<&str> {
        self.0.tracking_id.as_deref()
    }

    /// What the server wrote: the message of its error body, or the beginning
    /// of a body that is not one. Control characters are escaped; cut at 300
    /// characters, 200 for a body that is not an error body.
    ///
    /// **It may name a user**, so it is in neither `Display` nor `Debug`.
    #[must_use]
    pub fn server_message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// How long the server asks to wait before the next call, as its
    /// `Retry-After` says it: in whole seconds, and without an upper limit.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether time ran out, for the call as a whole or for connecting.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// Whether the same call may well succeed a little later: the network or
    /// the service is at fault, not the call or the configuration.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Dns
            | ErrorKind::Connect
            | ErrorKind::Proxy
            | ErrorKind::Timeout
            | ErrorKind::Transport => true,
            // The server gave up waiting for the request.
            ErrorKind::Api => self.status() == Some(408),
            _ => false,
        }
    }

    /// Whether the server may have acted on the call. `false` is certain: the
    /// request never left, or was refused before any work. `true` for a
    /// `start_*` call means that a phone may have rung.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.0.may_have_been_sent
    }
}

/// Text that may stand in `Display` although a server wrote it.
fn identifier(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
    fits.then(|| text.to_owned())
}

/// A server's words on one line, at most `limit` characters of them.
fn printable(text: &str, limit: usize) -> Option<String> {
    let mut line = String::new();
    let mut length = 0;
    for c in text.trim().chars() {
        // Bidi controls could make a terminal show something else.
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        let escaped: String = if hidden {
            c.escape_unicode().collect()
        } else {
            c.into()
        };
        length += escaped.chars().count();
        if length > limit {
            break;
        }
        line += &escaped;
    }
    (!line.is_empty()).then_some(line)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "{}: {}", inner.area, inner.kind.text())?;
        if !inner.detail.is_empty() {
            write!(f, ": {}", inner.detail)?;
        }
        let mut facts = Vec::new();
        facts.extend(inner.status.map(|status| format!("status {status}")));
        facts.extend(inner.code.as_ref().map(|code| format!("code {code}")));
        facts.extend(
            inner
                .tracking_id
                .as_ref()
                .map(|id| format!("tracking id {id}")),
        );
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        match &inner.message {
            Some(message) if f.alternate() => write!(f, "\nthe server says: {message}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("area", &inner.area)
            .field("detail", &inner.detail)
            .field("status", &inner.status)
            .field("code", &inner.code)
            .field("tracking_id", &inner.tracking_id)
            .field("retry_after", &inner.retry_after)
            .field("may_have_been_sent", &inner.may_have_been_sent)
            .field("source", &inner.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_says_where_and_what_and_not_what_the_server_wrote() {
        let error = Error::new(ErrorKind::NotFound, "")
            .in_area("get_user")
            .with_status(404)
            .with_code("404")
            .with_tracking_id("7f3c")
            .with_message("no user ada@example.com", 300);
        assert_eq!(
            error.to_string(),
            "get_user: not found (status 404, code 404, tracking id 7f3c)"
        );
        assert!(!format!("{error:?}").contains("ada"));
        assert_eq!(
            format!("{error:#}"),
            "get_user: not found (status 404, code 404, tracking id 7f3c)\n\
             the server says: no user ada@example.com"
        );
    }

    #[test]
    fn a_code_that_is_not_one_is_dropped() {
        let error = Error::new(ErrorKind::Api, "").with_code("ada@example.com is unknown");
        assert_eq!(error.code(), None);
    }

    #[test]
    fn what_is_retried_is_called_transient() {
        let with = |status| Error::new(ErrorKind::Api, "").with_status(status);
        assert!(with(408).is_transient());
        assert!(!with(409).is_transient());
    }

    #[test]
    fn messages_are_escaped_and_cut() {
        let error = Error::new(ErrorKind::Api, "").with_message("a\nb\u{202e}c", 300);
        assert_eq!(error.server_message(), Some("a\\u{a}b\\u{202e}c"));
        let long = Error::new(ErrorKind::Api, "").with_message(&"x".repeat(1000), 300);
        assert_eq!(long.server_message().map(str::len), Some(300));
    }
}
