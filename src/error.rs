//! [`Error`], the error type of the whole crate, and its [`ErrorKind`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The kind of an [`Error`], for a program to act on.
///
/// More kinds may be added. Have a `_` arm when you match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is wrong. Fix the configuration. Nothing was sent.
    Config,
    /// A value of this call is wrong. Fix the call. Nothing was sent.
    InvalidInput,
    /// API v4 would put the username into the URL, and the builder does not
    /// allow that. Use the user's id, or see
    /// [`username_in_query`](crate::ClientBuilder::username_in_query).
    /// Nothing was sent.
    UsernameInUrl,
    /// The token endpoint refused the client id, the secret or the scopes.
    Auth,
    /// Status 401: the API does not accept the access token, or it refused what
    /// a `validate_*` call was given.
    Unauthorized,
    /// Status 403: these credentials are not allowed to make this call.
    Forbidden,
    /// Status 404: there is no such user, request or registration.
    NotFound,
    /// Status 429: too many calls. See [`Error::retry_after`].
    RateLimited,
    /// Another 4xx status, or an error body with a success status: the API
    /// refused the call.
    Api,
    /// A 5xx status.
    Unavailable,
    /// The host name could not be resolved.
    Dns,
    /// No connection could be opened.
    Connect,
    /// The proxy could not be used.
    Proxy,
    /// The server's certificate was refused, or the TLS handshake failed.
    Tls,
    /// The call did not end within its timeout, or connecting did not.
    Timeout,
    /// The connection broke.
    Transport,
    /// The response is not the expected HTTP: a redirect, a response that is too
    /// large or compressed, or not HTTP at all.
    Protocol,
    /// The response body could not be decoded.
    Decode,
    /// The response is about another user or another request than the call.
    Mismatch,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
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
            Self::Decode => "the response could not be decoded",
            Self::Mismatch => "the response does not match the request",
        }
    }
}

/// The error of every fallible function of this crate. It is one pointer wide
/// and cheap to clone.
///
/// `Display` has the form `area: what happened`. `Display` and `Debug` hold no
/// secret, no username, and of the server's text only the error code and the
/// tracking id. The server's message is available through
/// [`server_message`](Self::server_message) and the alternate form `{:#}`.
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
    is_permanent: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `detail` must not hold a value from a caller or a server.
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
            is_permanent: false,
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

    /// Sets the area: an endpoint's name, `token`, `config`.
    pub(crate) fn in_area(self, area: &'static str) -> Self {
        self.with(|inner| inner.area = area)
    }

    pub(crate) fn with_detail(self, detail: &'static str) -> Self {
        self.with(|inner| inner.detail = detail.into())
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        self.with(|inner| inner.status = Some(status))
    }

    /// Sets the code, if it looks like one: `Display` shows it.
    pub(crate) fn with_code(self, code: &str) -> Self {
        self.with(|inner| inner.code = identifier(code))
    }

    /// Sets the tracking id, if it looks like one: `Display` shows it.
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

    /// Marks a failure that another attempt would only repeat.
    pub(crate) fn permanent(self) -> Self {
        self.with(|inner| inner.is_permanent = true)
    }

    pub(crate) fn with_source(self, source: Arc<dyn StdError + Send + Sync>) -> Self {
        self.with(|inner| inner.source = Some(source))
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the HTTP status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the server's error code: the API's `error_code`, or the OAuth2
    /// `error` of the token endpoint, such as `invalid_client`. It has at most
    /// 64 characters of `A-Z a-z 0-9 _ . : -`; any other code is dropped.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Returns the server's tracking id. Quote it to the vendor's support.
    #[must_use]
    pub fn tracking_id(&self) -> Option<&str> {
        self.0.tracking_id.as_deref()
    }

    /// Returns the message of the server's error body, at most 300 characters,
    /// or the first 200 characters of a body that is not an error body. Control
    /// characters, and characters that are invisible or change the direction of
    /// text, are escaped.
    ///
    /// **It may name a user**, so neither `Display` nor `Debug` shows it.
    #[must_use]
    pub fn server_message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Returns how long to wait before the next call, in whole seconds, as the
    /// server's `Retry-After` header says. There is no upper limit.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns whether the call, or connecting, took longer than its timeout.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// Returns whether the same call may succeed a little later: the cause is
    /// the network or the service, not the call or the configuration.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            // A proxy that wants other credentials.
            _ if self.0.is_permanent => false,
            ErrorKind::RateLimited
            | ErrorKind::Unavailable
            | ErrorKind::Dns
            | ErrorKind::Connect
            | ErrorKind::Proxy
            | ErrorKind::Timeout
            | ErrorKind::Transport => true,
            // Request Timeout: the server did not receive the request in time.
            ErrorKind::Api => self.status() == Some(408),
            _ => false,
        }
    }

    /// Returns whether the server may have acted on the call. `false` is
    /// certain: the request never left this machine, or the server refused it
    /// before doing anything. For a `start_*` call, `true` means that a push
    /// notification or a mail may have been sent.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        self.0.may_have_been_sent
    }

    /// Returns the HTTP status that a web server can send to its own caller
    /// when a call of this crate has failed in a handler.
    ///
    /// | status | when |
    /// | --- | --- |
    /// | 400 | [`InvalidInput`](ErrorKind::InvalidInput) |
    /// | 403 | [`Mismatch`](ErrorKind::Mismatch), and a 4xx other than 429 from a `validate_*` call: **the user is not signed in** |
    /// | 404 | any other [`NotFound`](ErrorKind::NotFound) |
    /// | 500 | [`Config`](ErrorKind::Config), [`UsernameInUrl`](ErrorKind::UsernameInUrl), [`Auth`](ErrorKind::Auth), and any other [`Unauthorized`](ErrorKind::Unauthorized) and [`Forbidden`](ErrorKind::Forbidden): the program or its credentials are wrong |
    /// | 503 | [`RateLimited`](ErrorKind::RateLimited) and [`Unavailable`](ErrorKind::Unavailable); send [`retry_after`](Self::retry_after) along |
    /// | 504 | [`Timeout`](ErrorKind::Timeout) |
    /// | 502 | all others: the service cannot be reached, refuses the call, or its response is unusable |
    ///
    /// A 404 tells the caller that there is no such user. A sign-in page that
    /// must not tell it responds as it does for a user who exists.
    ///
    /// ```
    /// use autharmor::{Client, ErrorKind};
    ///
    /// let client = Client::new("my-client-id", "my-client-secret")?;
    /// let error = client.get_user("").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// assert_eq!(error.suggested_status(), 400);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[must_use]
    pub fn suggested_status(&self) -> u16 {
        let is_validate = self.0.area.starts_with("validate_");
        match self.kind() {
            ErrorKind::InvalidInput => 400,
            ErrorKind::Mismatch => 403,
            ErrorKind::Unauthorized
            | ErrorKind::Forbidden
            | ErrorKind::NotFound
            | ErrorKind::Api
                if is_validate =>
            {
                403
            }
            ErrorKind::NotFound => 404,
            ErrorKind::Config
            | ErrorKind::UsernameInUrl
            | ErrorKind::Auth
            | ErrorKind::Unauthorized
            | ErrorKind::Forbidden => 500,
            ErrorKind::RateLimited | ErrorKind::Unavailable => 503,
            ErrorKind::Timeout => 504,
            ErrorKind::Api
            | ErrorKind::Dns
            | ErrorKind::Connect
            | ErrorKind::Proxy
            | ErrorKind::Tls
            | ErrorKind::Transport
            | ErrorKind::Protocol
            | ErrorKind::Decode => 502,
        }
    }
}

/// Returns a server's text if it looks like an identifier, so that `Display` can
/// show it.
fn identifier(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
    fits.then(|| text.to_owned())
}

/// Returns a server's text on one line and cut at `limit` characters.
fn printable(text: &str, limit: usize) -> Option<String> {
    let mut line = String::new();
    let mut length = 0;
    for c in text.trim().chars() {
        let escaped: String = if is_hidden(c) {
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

/// Returns whether a character is invisible or changes the order of others, so
/// that a terminal could show something else than was written: the Unicode
/// categories Cc, Cf, Zl and Zp.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "{}: {}", inner.area, inner.kind)?;
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
    fn debug_shows_what_the_accessors_return() {
        let error = Error::new(ErrorKind::NotFound, "")
            .in_area("get_user")
            .with_status(404);
        let debug = format!("{error:?}");
        for part in ["NotFound", "get_user", "404", "may_have_been_sent"] {
            assert!(debug.contains(part), "{debug}");
        }
    }

    #[test]
    fn one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_shows_no_server_message() {
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
    fn a_code_that_is_not_an_identifier_is_dropped() {
        let error = Error::new(ErrorKind::Api, "").with_code("ada@example.com is unknown");
        assert_eq!(error.code(), None);
    }

    #[test]
    fn every_kind_has_a_status_for_the_caller_of_a_web_server() {
        use ErrorKind::*;
        for (kind, status, of_validate) in [
            (Config, 500, 500),
            (InvalidInput, 400, 400),
            (UsernameInUrl, 500, 500),
            (Auth, 500, 500),
            (Unauthorized, 500, 403),
            (Forbidden, 500, 403),
            (NotFound, 404, 403),
            (RateLimited, 503, 503),
            (Api, 502, 403),
            (Unavailable, 503, 503),
            (Dns, 502, 502),
            (Connect, 502, 502),
            (Proxy, 502, 502),
            (Tls, 502, 502),
            (Timeout, 504, 504),
            (Transport, 502, 502),
            (Protocol, 502, 502),
            (Decode, 502, 502),
            (Mismatch, 403, 403),
        ] {
            let error = Error::new(kind, "").with_status(404);
            for (area, expected) in [
                ("get_user", status),
                ("token", status),
                ("flow", status),
                ("validate_webauthn_auth", of_validate),
            ] {
                let error = error.clone().in_area(area);
                assert_eq!(error.suggested_status(), expected, "{error}");
            }
        }
    }

    #[test]
    fn a_408_is_transient() {
        let with = |status| Error::new(ErrorKind::Api, "").with_status(status);
        assert!(with(408).is_transient());
        assert!(!with(409).is_transient());
    }

    #[test]
    fn invisible_and_reordering_characters_are_escaped() {
        for c in [
            '\0',
            '\u{1b}',
            '\u{9b}',
            '\u{ad}',
            '\u{600}',
            '\u{605}',
            '\u{61c}',
            '\u{6dd}',
            '\u{70f}',
            '\u{890}',
            '\u{891}',
            '\u{8e2}',
            '\u{180e}',
            '\u{200b}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2064}',
            '\u{2066}',
            '\u{206f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{fffb}',
            '\u{110bd}',
            '\u{110cd}',
            '\u{13430}',
            '\u{1343f}',
            '\u{1bca0}',
            '\u{1bca3}',
            '\u{1d173}',
            '\u{1d17a}',
            '\u{e0001}',
            '\u{e0020}',
            '\u{e007f}',
        ] {
            let error = Error::new(ErrorKind::Api, "").with_message(&format!("a{c}b"), 300);
            let expected = format!("a{}b", c.escape_unicode());
            assert_eq!(error.server_message(), Some(&*expected));
        }
        let visible = "a\u{e9}\u{606}\u{61b}\u{6de}\u{2010}\u{2027}\u{2070}\u{fffc}\u{1f510}";
        let error = Error::new(ErrorKind::Api, "").with_message(visible, 300);
        assert_eq!(error.server_message(), Some(visible));
    }

    #[test]
    fn messages_are_escaped_and_cut() {
        let error = Error::new(ErrorKind::Api, "").with_message("a\nb\u{202e}c", 300);
        assert_eq!(error.server_message(), Some("a\\u{a}b\\u{202e}c"));
        let long = Error::new(ErrorKind::Api, "").with_message(&"x".repeat(1000), 300);
        assert_eq!(long.server_message().map(str::len), Some(300));
    }
}
