//! [`Client`]: sends requests. Gets a token, retries, decodes the response.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::http::response::{self, ErrorBody, Outcome};
use crate::http::{ApiVersion, Endpoint, HttpRequest, HttpResponse, Request, RequestParts, Target};
use crate::observer::{Attempt, Observer};
use crate::retry::{Budget, Retries, RetryPolicy};
use crate::secret::Secret;
use crate::token::{Credentials, Token, TokenCache, redact};
use crate::transport::{Limits, Transport};

/// A client of the Auth Armor API.
///
/// Make one, keep it, share it: it is `Send + Sync`, a clone is cheap, and all
/// clones share the access token and the connections. Every endpoint is a
/// method of the same name; [`send`](Self::send) takes the requests that the
/// builder functions return.
///
/// ```no_run
/// use autharmor::Client;
///
/// let client = Client::from_env()?;
/// let user = client.get_user("ada@example.com")?;
/// println!("{}", user.user_id);
/// # Ok::<(), autharmor::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// The timeout of a call that has none of its own.
    timeout: Duration,
    /// The end of all calls and waits, see [`Client::with_deadline`].
    deadline: Option<Instant>,
}

/// The state that all clones of a client share.
pub(crate) struct Inner {
    pub(crate) target: Target,
    pub(crate) tokens: TokenCache,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) retry: RetryPolicy,
    /// The shortest pause between two polls.
    pub(crate) shortest_poll_pause: Duration,
    pub(crate) max_response_body: usize,
    pub(crate) user_agent: HeaderValue,
    pub(crate) observer: Observer,
}

/// The limits that all requests of one call share.
struct Call {
    deadline: Instant,
    /// Whether a 401 has already had the call repeated.
    has_repeated: bool,
}

/// A 2xx response, and the token that it was asked for with.
type Success = (HttpResponse, Arc<Token>);

impl Client {
    pub(crate) fn assemble(inner: Inner, timeout: Duration) -> Self {
        Self {
            inner: Arc::new(inner),
            timeout,
            deadline: None,
        }
    }

    /// Checks a request. Nothing is sent.
    pub(crate) fn check(&self, request: &RequestParts) -> Result<(), Error> {
        request.to_http(&self.inner.target).map(drop)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(crate) fn default_timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn shortest_poll_pause(&self) -> Duration {
        self.inner.shortest_poll_pause
    }

    /// Returns the deadline of all calls of this client.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the version of the API that this client speaks.
    ///
    /// ```
    /// use autharmor::{ApiVersion, Client};
    ///
    /// let client = Client::new("my-client-id", "my-client-secret")?;
    /// assert_eq!(client.api_version(), ApiVersion::V3);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[must_use]
    pub fn api_version(&self) -> ApiVersion {
        self.inner.target.version
    }

    /// Returns a client with another timeout for calls. It shares everything
    /// else with this client, as a clone does: the access token, the
    /// connections and the retry budget. Cheap enough to do for every call or
    /// flow. Under a timeout of zero, calls fail with
    /// [`ErrorKind::InvalidInput`], and nothing is sent.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let client = client.with_timeout(Duration::from_secs(2));
    /// let user = client.get_user("ada@example.com")?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// Returns a client whose calls and waits all end by `deadline`, for a
    /// program that has a fixed time for a whole flow. It is cheap to make, and
    /// shares the access token and the connections with this client.
    ///
    /// Each call still has its own [timeout](crate::ClientBuilder::timeout). If
    /// that ends later, the deadline counts. A call or wait that begins after
    /// the deadline fails with [`ErrorKind::Timeout`], and nothing is sent.
    /// [`PendingAuthenticator::wait`](crate::flow::PendingAuthenticator::wait)
    /// leaves time for the validation: its last poll is sent 3 seconds before
    /// the deadline, or when half of the time is left if that is later.
    ///
    /// The time is that of the client's [clock](crate::ClientBuilder::clock). Of
    /// two deadlines, the earlier one counts.
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    /// use autharmor::auth::StartAuthenticatorAuth;
    /// use autharmor::flow::WaitPolicy;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let client = client.with_deadline(Instant::now() + Duration::from_secs(60));
    /// let request = StartAuthenticatorAuth::new().user("ada@example.com");
    /// let started = client.begin_authenticator_sign_in(&request)?;
    /// let end = started.pending.wait(&client, &WaitPolicy::new())?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        let earlier = self.deadline.map_or(deadline, |other| other.min(deadline));
        Self {
            deadline: Some(earlier),
            ..self.clone()
        }
    }

    /// Sends a request and decodes the response.
    ///
    /// Within the call's timeout it gets a token, looks up the user's id where
    /// a v4-only endpoint is called by name under
    /// [`ApiVersion::V3`](crate::ApiVersion::V3), and retries as the
    /// [`RetryPolicy`] says.
    ///
    /// After a 401 it fetches a new token and repeats the call once. A client
    /// does so at most once in 30 seconds; another 401 within that time is
    /// returned as [`ErrorKind::Unauthorized`], and a later call replaces the
    /// token. A 401 with an error body of the API on a `validate_*` call is
    /// about the validation token or about the access token, nobody can tell:
    /// the call is not repeated, and the next call replaces the access token,
    /// within the same limit. A token that has replaced one in this way is not
    /// doubted before the API has accepted it.
    ///
    /// Every [`ErrorKind`] may come back; [`Error::may_have_been_sent`] says
    /// whether the service may have acted on the call.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use autharmor::users;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let request = users::get_user("ada@example.com").timeout(Duration::from_secs(2));
    /// let user = client.send(&request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn send<T: DeserializeOwned>(&self, request: &Request<T>) -> Result<T, Error> {
        read(request.endpoint(), &self.respond(request.parts())?)
    }

    /// Returns a call's 2xx response, after looking up the user's id if needed.
    fn respond(&self, request: &RequestParts) -> Result<Success, Error> {
        let timeout = request.own_timeout().unwrap_or(self.timeout);
        let mut call = Call {
            deadline: self.call_deadline(timeout, request.endpoint().name())?,
            has_repeated: false,
        };
        match request.name_to_look_up(&self.inner.target) {
            None => self.exchange(request, &mut call),
            Some(name) => {
                // Before the look-up, so that bad input costs nothing.
                self.check(&request.with_user(Uuid::from_u128(1)))?;
                // Whatever fails here, the call itself has not been sent.
                let id = self
                    .look_up(name, &mut call)
                    .map_err(|error| error.with_sent(false))?;
                self.exchange(&request.with_user(id), &mut call)
            }
        }
    }

    /// Forgets the access token, here and in the
    /// [`TokenStore`](crate::TokenStore). The next call fetches another from
    /// the token endpoint. A fetch that is under way in another thread does
    /// not count: its token is neither used nor kept.
    ///
    /// ```
    /// # let client = autharmor::Client::new("my-client-id", "my-client-secret")?;
    /// client.invalidate_token();
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn invalidate_token(&self) {
        self.inner.tokens.invalidate();
    }

    /// Replaces client id and secret for this client and all its clones, and
    /// forgets the token as [`invalidate_token`](Self::invalidate_token) does.
    /// Fails with [`ErrorKind::Config`] as [`new`](Self::new) does, and then
    /// changes nothing.
    ///
    /// ```no_run
    /// # let client = autharmor::Client::from_env()?;
    /// let secret = std::fs::read_to_string("/run/secrets/autharmor")?;
    /// client.set_credentials("my-client-id", secret)?;
    /// client.check_credentials()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_credentials(
        &self,
        client_id: impl Into<String>,
        client_secret: impl Into<Secret>,
    ) -> Result<(), Error> {
        let credentials = Credentials::new(&client_id.into(), client_secret.into().expose())?;
        self.inner.tokens.set_credentials(credentials);
        Ok(())
    }

    /// Fetches a token from the token endpoint, to find out at a program's
    /// start whether the credentials are good. [`ErrorKind::Auth`] means that
    /// they are refused; an error that [is transient](Error::is_transient)
    /// means that the token endpoint cannot be reached or does not work at the
    /// moment. It takes at most the client's timeout.
    ///
    /// ```no_run
    /// use autharmor::{Client, ErrorKind};
    ///
    /// let client = Client::from_env()?;
    /// match client.check_credentials() {
    ///     Ok(()) => {}
    ///     Err(error) if error.kind() == ErrorKind::Auth => return Err(error),
    ///     Err(error) => eprintln!("cannot tell yet: {error}"),
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn check_credentials(&self) -> Result<(), Error> {
        self.inner
            .tokens
            .renew(self.call_deadline(self.timeout, "token")?)
    }

    /// Returns the time at which a call of this area must have ended.
    fn call_deadline(&self, timeout: Duration, area: &'static str) -> Result<Instant, Error> {
        if timeout.is_zero() {
            return Err(Error::invalid("the timeout is zero").in_area(area));
        }
        self.check_deadline(area)?;
        let deadline = self.inner.clock.deadline(timeout);
        Ok(self.deadline.map_or(deadline, |end| deadline.min(end)))
    }

    /// Fails if the deadline of the client has passed.
    pub(crate) fn check_deadline(&self, area: &'static str) -> Result<(), Error> {
        let has_time = |end| self.inner.clock.now() < end;
        if self.deadline.is_none_or(has_time) {
            return Ok(());
        }
        let why = "the deadline of the client has passed";
        Err(Error::new(ErrorKind::Timeout, why).in_area(area))
    }

    /// Sends a request until its response is a 2xx or it may not be repeated.
    fn exchange(&self, request: &RequestParts, call: &mut Call) -> Result<Success, Error> {
        let Inner {
            tokens,
            clock,
            budget,
            retry,
            target,
            observer,
            ..
        } = &*self.inner;
        let endpoint = request.endpoint();
        let mut retries = Retries::new(retry, budget, &**clock, call.deadline);
        // Before a token is fetched, so that bad input costs nothing.
        let mut first = Some(request.to_http(&self.inner.target)?);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let token = tokens.bearer(call.deadline)?;
            let http = match first.take() {
                Some(http) => http,
                None => request.to_http(&self.inner.target)?,
            };
            let began = clock.now();
            let sent = self.attempt(http, &token, call.deadline, endpoint, attempt, began);
            let report = |status, error: Option<&Error>, will_repeat| {
                observer.report(|| Attempt {
                    endpoint: Some(endpoint),
                    api_version: Some(endpoint.version(target.version)),
                    number: attempt,
                    status,
                    error_kind: error.map(Error::kind),
                    elapsed: clock.now().saturating_duration_since(began),
                    will_repeat,
                });
            };
            let (error, is_verdict) = match sent {
                Ok(response) if response.status().is_success() => {
                    report(Some(response.status().as_u16()), None, false);
                    budget.refill();
                    token.accepted();
                    return Ok((response, token));
                }
                Ok(response) => {
                    let response = redact::response(&response, &[token.bearer()]);
                    let is_verdict = endpoint.is_validate()
                        && response.status() == StatusCode::UNAUTHORIZED
                        && ErrorBody::read(&response.text()).is_some();
                    (response::refusal(&response), is_verdict)
                }
                Err(error) => (error, false),
            };
            let mut error = error.in_area(endpoint.name());
            let pause = if is_verdict {
                // The validation token was judged, and used up perhaps. Or the
                // access token was meant.
                tokens.suspect_token(&token);
                error = error.with_sent(true);
                None
            } else if error.kind() == ErrorKind::Unauthorized {
                // Also after the second 401: the next call needs another token.
                let is_worth_it = tokens.reject_token(&token) && !call.has_repeated;
                call.has_repeated = true;
                is_worth_it.then_some(Duration::ZERO)
            } else if request.may_retry() {
                retries.next_pause(&error, endpoint.is_repeatable())
            } else {
                None
            };
            report(error.status(), Some(&error), pause.is_some());
            if !pause.is_some_and(|pause| retries.pause(pause)) {
                return Err(error);
            }
        }
    }

    /// Sends a request once.
    fn attempt(
        &self,
        mut http: HttpRequest,
        token: &Token,
        deadline: Instant,
        endpoint: Endpoint,
        attempt: u32,
        began: Instant,
    ) -> Result<HttpResponse, Error> {
        let inner = &*self.inner;
        http.set_header(AUTHORIZATION, token.header.clone());
        http.set_header(USER_AGENT, inner.user_agent.clone());
        let limits = Limits {
            deadline,
            max_response_body: inner.max_response_body,
        };
        let result = inner.transport.send(http, limits).map_err(Error::from);
        log::debug!(
            "{} {}: attempt {attempt}: {} after {:?}",
            endpoint.name(),
            endpoint.version(inner.target.version).as_str(),
            Outcome(&result),
            inner.clock.now().saturating_duration_since(began),
        );
        result
    }

    /// Looks up the id of a user who is known by name only. The name travels in
    /// the header.
    fn look_up(&self, name: &str, call: &mut Call) -> Result<Uuid, Error> {
        #[derive(Deserialize)]
        struct NamedUser {
            user_id: Option<Uuid>,
            username: Option<String>,
        }
        let request = Request::<NamedUser>::new(Endpoint::GetUser).user(name);
        let response = self.exchange(request.parts(), call)?;
        let user: NamedUser = read(Endpoint::GetUser, &response)?;
        let is_theirs = user
            .username
            .is_some_and(|found| found.eq_ignore_ascii_case(name));
        match user.user_id {
            Some(id) if is_theirs && !id.is_nil() => Ok(id),
            _ => Err(Error::new(
                ErrorKind::Mismatch,
                "the look-up found another user or none",
            )
            .in_area(Endpoint::GetUser.name())),
        }
    }
}

/// Decodes the response of an endpoint.
fn read<T: DeserializeOwned>(endpoint: Endpoint, success: &Success) -> Result<T, Error> {
    response::decode(&success.0).map_err(|error| complete_error(error, endpoint, success))
}

/// Completes the error of a response that could not be decoded.
fn complete_error(mut error: Error, endpoint: Endpoint, (response, token): &Success) -> Error {
    if error.kind() == ErrorKind::Api {
        // An error body, which may repeat our bearer.
        let redacted = redact::response(response, &[token.bearer()]);
        error = response::reported_error(&redacted).unwrap_or(error);
    }
    error.in_area(endpoint.name())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("target", &self.inner.target)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
