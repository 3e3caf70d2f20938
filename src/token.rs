//! The access token: fetched once, shared by all, never fetched twice at a time.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::answer;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::message::{HttpRequest, HttpResponse};
use crate::request::url::{push_form, push_pair};
use crate::retry::{Budget, Retries, RetryPolicy};
use crate::secret::Secret;
use crate::transport::{Limits, Transport};
use crate::types::{lenient_text, optional_number};

/// The life of a token whose answer does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(5 * 60);
/// A longer life is not believed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// A token is renewed this long before its end, or a tenth of its life if that
/// is less.
const MARGIN: Duration = Duration::from_secs(30);
/// A token that is younger is not the reason for a 401: fetching another would
/// let whoever can cause a 401 cause traffic.
const TOO_YOUNG_TO_DOUBT: Duration = Duration::from_secs(30);
/// How long a refusal answers for the token endpoint.
const REFUSAL_MEMORY: Duration = Duration::from_secs(1);
/// How long a failed renewal is left alone while the token is still valid.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);
/// Longest token in bytes; a header must fit into the transport's buffers.
const MAX_TOKEN_LEN: usize = 7 * 1024;

/// How the client id and secret travel to the token endpoint, in OAuth2's
/// terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// `client_secret_post`: in the form body.
    #[default]
    SecretPost,
    /// `client_secret_basic`: in an HTTP Basic `Authorization` header.
    SecretBasic,
}

/// A client id and its secret.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    id: String,
    secret: Secret,
}

impl Credentials {
    /// A line end after the secret, as a file or a variable leaves it, is
    /// trimmed.
    pub(crate) fn new(id: &str, secret: &str) -> Result<Self, Error> {
        let id = id.trim_end_matches(['\r', '\n']);
        let secret = secret.trim_end_matches(['\r', '\n']);
        for (text, what) in [(id, "client id"), (secret, "client secret")] {
            if text.is_empty() {
                return Err(Error::config(format!("the {what} is empty")));
            }
            if text.chars().any(char::is_control) {
                return Err(Error::config(format!(
                    "the {what} holds a control character"
                )));
            }
        }
        Ok(Self {
            id: id.to_owned(),
            secret: secret.into(),
        })
    }
}

/// What a token request is made of, besides the credentials.
#[derive(Debug)]
pub(crate) struct TokenSettings {
    pub(crate) url: Uri,
    pub(crate) scopes: String,
    pub(crate) client_auth: ClientAuth,
    pub(crate) user_agent: HeaderValue,
    pub(crate) max_response_body: usize,
    pub(crate) retry: RetryPolicy,
}

/// An access token and when it ends.
pub(crate) struct Token {
    /// The value of the `Authorization` header, wiped when the last use ends.
    pub(crate) header: HeaderValue,
    fetched: Moment,
    life: Duration,
}

/// One point in time on both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    mono: Instant,
    wall: SystemTime,
}

impl Moment {
    fn now(clock: &dyn Clock) -> Self {
        Self {
            mono: clock.now(),
            wall: clock.wall(),
        }
    }

    /// The time since, by the clock that says more: the monotonic one may
    /// stand still while a machine sleeps, the wall clock may be set back.
    fn age(self, now: Self) -> Duration {
        let mono = now.mono.saturating_duration_since(self.mono);
        let wall = now.wall.duration_since(self.wall).unwrap_or_default();
        mono.max(wall)
    }
}

impl Token {
    fn is_valid(&self, now: Moment) -> bool {
        self.fetched.age(now) < self.life
    }

    fn wants_renewal(&self, now: Moment) -> bool {
        self.fetched.age(now) + MARGIN.min(self.life / 10) >= self.life
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// The token cache of a client and all its clones.
pub(crate) struct TokenCache {
    settings: TokenSettings,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    budget: Arc<Budget>,
    /// Never held across I/O.
    state: Mutex<State>,
    landed: Condvar,
}

struct State {
    credentials: Arc<Credentials>,
    token: Option<Arc<Token>>,
    flight: Option<Arc<Flight>>,
    refusal: Option<(Instant, Error)>,
    no_renewal_before: Option<Instant>,
}

/// One fetch under way.
struct Flight {
    leader: ThreadId,
    landing: OnceLock<Landing>,
}

/// What a fetch means for those who waited for it.
#[derive(Clone)]
enum Landing {
    Fetched(Arc<Token>),
    Failed(Error),
    /// The one who fetched ran out of its own time, panicked, or used
    /// credentials that have been replaced: the next in line takes over.
    Abandoned,
}

impl TokenCache {
    pub(crate) fn new(
        credentials: Credentials,
        settings: TokenSettings,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        budget: Arc<Budget>,
    ) -> Self {
        let state = State {
            credentials: Arc::new(credentials),
            token: None,
            flight: None,
            refusal: None,
            no_renewal_before: None,
        };
        Self {
            settings,
            transport,
            clock,
            budget,
            state: Mutex::new(state),
            landed: Condvar::new(),
        }
    }

    /// Nothing is left half done under the lock, so a panic elsewhere does not
    /// matter.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A valid token: the cached one, or a new one if there is none or it is
    /// about to end.
    pub(crate) fn bearer(&self, deadline: Instant) -> Result<Arc<Token>, Error> {
        loop {
            let mut state = self.lock();
            let now = Moment::now(&*self.clock);
            if let Some(token) = state.token.clone().filter(|token| token.is_valid(now)) {
                let paused = state
                    .no_renewal_before
                    .is_some_and(|until| now.mono < until);
                if !token.wants_renewal(now) || paused || state.flight.is_some() {
                    return Ok(token);
                }
                // The other half of the time is for the call itself.
                let left = deadline.saturating_duration_since(now.mono);
                return match self.lead(state, now.mono + left / 2) {
                    Err(_) if token.is_valid(Moment::now(&*self.clock)) => Ok(token),
                    renewed => renewed,
                };
            }
            // Not even a clock that is set back revives it.
            state.token = None;
            if let Some(token) = self.fetch_or_join(state, deadline)? {
                return Ok(token);
            }
        }
    }

    /// Fetches a new token whatever the cache holds.
    pub(crate) fn renew(&self, deadline: Instant) -> Result<(), Error> {
        while self.fetch_or_join(self.lock(), deadline)?.is_none() {}
        Ok(())
    }

    /// Forgets the token, if it is still the one that was refused, and says
    /// whether another try with `bearer` is worth it.
    pub(crate) fn refused(&self, token: &Arc<Token>) -> bool {
        let mut state = self.lock();
        let is_current = state
            .token
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, token));
        if is_current {
            if token.fetched.age(Moment::now(&*self.clock)) < TOO_YOUNG_TO_DOUBT {
                return false;
            }
            state.token = None;
        }
        true
    }

    /// Forgets the token and what is remembered of failures.
    pub(crate) fn invalidate(&self) {
        let mut state = self.lock();
        state.token = None;
        state.refusal = None;
        state.no_renewal_before = None;
    }

    pub(crate) fn set_credentials(&self, credentials: Credentials) {
        self.lock().credentials = Arc::new(credentials);
        self.invalidate();
    }

    /// Fetches a token or waits for the one who does. `None`: look again.
    fn fetch_or_join(
        &self,
        mut state: MutexGuard<'_, State>,
        deadline: Instant,
    ) -> Result<Option<Arc<Token>>, Error> {
        let now = self.clock.now();
        if let Some((_, refusal)) = state.refusal.as_ref().filter(|(until, _)| now < *until) {
            return Err(refusal.clone());
        }
        if now >= deadline {
            return Err(out_of_time());
        }
        let Some(flight) = state.flight.clone() else {
            return self.lead(state, deadline).map(Some);
        };
        if flight.leader == thread::current().id() {
            return Err(token_error(
                ErrorKind::Config,
                "the transport called the client while it was fetching a token",
            ));
        }
        loop {
            match flight.landing.get() {
                Some(Landing::Fetched(token)) => return Ok(Some(Arc::clone(token))),
                Some(Landing::Failed(error)) => return Err(error.clone()),
                Some(Landing::Abandoned) => return Ok(None),
                None if self.clock.now() >= deadline => return Err(out_of_time()),
                None => {
                    let slice = self.clock.wait_slice(deadline);
                    let waited = self.landed.wait_timeout(state, slice);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// Fetches a token for all who wait.
    fn lead(
        &self,
        mut state: MutexGuard<'_, State>,
        deadline: Instant,
    ) -> Result<Arc<Token>, Error> {
        let flight = Arc::new(Flight {
            leader: thread::current().id(),
            landing: OnceLock::new(),
        });
        state.flight = Some(Arc::clone(&flight));
        let credentials = Arc::clone(&state.credentials);
        drop(state);
        let mut pilot = Pilot {
            cache: self,
            flight: &flight,
            landing: Landing::Abandoned,
        };

        let result = self.fetch(&credentials, deadline);

        let mut state = self.lock();
        if Arc::ptr_eq(&credentials, &state.credentials) {
            let now = self.clock.now();
            match &result {
                Ok(token) => {
                    state.token = Some(Arc::clone(token));
                    state.refusal = None;
                    state.no_renewal_before = None;
                    pilot.landing = Landing::Fetched(Arc::clone(token));
                }
                Err(error) => {
                    state.no_renewal_before = now.checked_add(RENEWAL_PAUSE);
                    if error.kind() == ErrorKind::Auth {
                        state.refusal = now
                            .checked_add(REFUSAL_MEMORY)
                            .map(|until| (until, error.clone()));
                    }
                    if !error.is_timeout() {
                        pilot.landing = Landing::Failed(error.clone());
                    }
                }
            }
        }
        drop(state);
        drop(pilot);
        result
    }

    /// One token request, tried again as the policy says.
    fn fetch(&self, credentials: &Credentials, deadline: Instant) -> Result<Arc<Token>, Error> {
        let mut retries = Retries::new(&self.settings.retry, &self.budget, &*self.clock, deadline);
        loop {
            match self.attempt(credentials, deadline) {
                Ok(token) => {
                    self.budget.refill();
                    return Ok(Arc::new(token));
                }
                // Whatever happened, the call itself has not been sent.
                Err(error) if !retries.pause_after(&error, true) => {
                    return Err(error.in_area("token").with_sent(false));
                }
                Err(_) => {}
            }
        }
    }

    fn attempt(&self, credentials: &Credentials, deadline: Instant) -> Result<Token, Error> {
        // The token's life is counted from before the request, to be safe.
        let fetched = Moment::now(&*self.clock);
        let limits = Limits {
            deadline,
            max_response_body: self.settings.max_response_body,
        };
        let response = self.transport.send(self.request(credentials)?, limits)?;
        log::debug!("token: status {}", response.status().as_u16());
        let answer = TokenAnswer::read(&response)?;
        let header = answer
            .header()
            .map_err(|error| error.with_status(response.status().as_u16()))?;
        Ok(Token {
            header,
            fetched,
            life: answer.life(),
        })
    }

    fn request(&self, credentials: &Credentials) -> Result<HttpRequest, Error> {
        let TokenSettings {
            url,
            scopes,
            client_auth,
            user_agent,
            ..
        } = &self.settings;
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(http::header::USER_AGENT, user_agent.clone());
        // Sized so that it never grows: growing would leave copies behind.
        let room =
            128 + scopes.len() + 3 * (credentials.id.len() + credentials.secret.expose().len());
        let mut form = Zeroizing::new(String::with_capacity(room));
        form.push_str("grant_type=client_credentials");
        match client_auth {
            ClientAuth::SecretPost => {
                push_pair(&mut form, '&', "client_id", &credentials.id);
                push_pair(&mut form, '&', "client_secret", credentials.secret.expose());
            }
            ClientAuth::SecretBasic => {
                let mut pair = Zeroizing::new(String::with_capacity(room));
                push_form(&mut pair, &credentials.id);
                pair.push(':');
                push_form(&mut pair, credentials.secret.expose());
                let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
                headers.insert(AUTHORIZATION, sensitive("Basic ", &encoded)?);
            }
        }
        if !scopes.is_empty() {
            push_pair(&mut form, '&', "scope", scopes);
        }
        Ok(HttpRequest {
            method: Method::POST,
            uri: url.clone(),
            headers,
            body: Some(Zeroizing::new(std::mem::take(&mut *form).into_bytes())),
        })
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

/// Lands the flight whatever happens to the one who leads it, a panic in a
/// foreign transport included.
struct Pilot<'a> {
    cache: &'a TokenCache,
    flight: &'a Flight,
    landing: Landing,
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        // A second value is impossible: only the pilot lands a flight.
        let _ = self.flight.landing.set(self.landing.clone());
        state.flight = None;
        drop(state);
        self.cache.landed.notify_all();
    }
}

/// A success of the token endpoint (RFC 6749, 5.1).
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Secret,
    #[serde(default, deserialize_with = "optional_number")]
    expires_in: Option<i64>,
    #[serde(default, deserialize_with = "lenient_text")]
    token_type: Option<String>,
}

impl TokenAnswer {
    fn read(response: &HttpResponse) -> Result<Self, Error> {
        match response.status().as_u16() {
            200..=299 => answer::decode(response),
            400 | 401 | 403 => Err(answer::refusal_as(ErrorKind::Auth, response)),
            404 => Err(answer::refusal_as(ErrorKind::Api, response)),
            _ => Err(answer::refusal(response)),
        }
    }

    fn header(&self) -> Result<HeaderValue, Error> {
        let token = self.access_token.expose();
        let unusable = |why| Err(token_error(ErrorKind::Decode, why));
        if token.is_empty() {
            return unusable("the access token is empty");
        }
        if token.len() > MAX_TOKEN_LEN {
            return unusable("the access token is longer than 7 KiB");
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return unusable("the access token holds a character that no header can carry");
        }
        if self
            .token_type
            .as_ref()
            .is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer"))
        {
            return unusable("the token is of another type than bearer");
        }
        sensitive("Bearer ", token)
    }

    fn life(&self) -> Duration {
        match self.expires_in {
            None => DEFAULT_LIFE,
            Some(seconds) => Duration::from_secs(seconds.try_into().unwrap_or(0)).min(LONGEST_LIFE),
        }
    }
}

/// A header value that is marked as sensitive and wiped with its last clone.
fn sensitive(scheme: &str, credentials: &str) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new([scheme.as_bytes(), credentials.as_bytes()].concat());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .map_err(|_| token_error(ErrorKind::Config, "the credentials do not fit a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn token_error(kind: ErrorKind, detail: &'static str) -> Error {
    Error::new(kind, detail).in_area("token")
}

fn out_of_time() -> Error {
    token_error(ErrorKind::Timeout, "no token in time")
}

#[cfg(test)]
mod tests;
