//! [`Fetcher`]: gets a token from the store or the token endpoint.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::failures::Failures;
use super::grant::{self, Credentials, Grant, LONGEST_LIFE, TokenResponse};
use super::redact;
use super::state::{Life, Moment, margin};
use super::store::{StoredToken, TokenKey, TokenStore};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::http::response::Outcome;
use crate::http::{HttpRequest, HttpResponse};
use crate::observer::{Attempt, Observer};
use crate::retry::{Budget, Retries, RetryPolicy};
use crate::secret::Secret;
use crate::transport::{Limits, Transport};

/// The target that the manual names.
const LOG_TARGET: &str = "autharmor::token";

/// An access token.
pub(crate) struct Token {
    /// The value of the `Authorization` header, wiped when the last use ends.
    pub(crate) header: HeaderValue,
    /// The token itself, for the store, if there is one.
    pub(super) text: Option<Secret>,
    /// The number of the fetch that brought it.
    pub(super) serial: u64,
    /// Whether the API has accepted it.
    was_accepted: AtomicBool,
}

impl Token {
    /// To be called after a response that needs a good token.
    pub(crate) fn accepted(&self) {
        self.was_accepted.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_accepted(&self) -> bool {
        self.was_accepted.load(Ordering::Relaxed)
    }

    /// The token without the scheme.
    pub(crate) fn bearer(&self) -> &str {
        let value = self.header.to_str().unwrap_or_default();
        value.strip_prefix("Bearer ").unwrap_or_default()
    }
}

/// A token and how long it is valid.
pub(super) type LiveToken = (Arc<Token>, Life);

/// Settings for fetching and storing tokens.
pub(crate) struct TokenSettings {
    pub(crate) grant: Grant,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_response_body: usize,
    pub(crate) store: Option<Arc<dyn TokenStore>>,
    pub(crate) observer: Observer,
}

/// Gets tokens. It remembers none.
pub(super) struct Fetcher {
    pub(super) settings: TokenSettings,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) budget: Arc<Budget>,
    /// The name under which this client takes leases.
    pub(super) holder: String,
    pub(super) failures: Failures,
}

impl Fetcher {
    /// Fetches a token from the endpoint, with retries as the policy says, which
    /// begin before `last_retry`.
    pub(super) fn request(
        &self,
        credentials: &Credentials,
        serial: u64,
        deadline: Instant,
        last_retry: Instant,
    ) -> Result<LiveToken, Error> {
        let policy = &self.settings.retry;
        let mut retries = Retries::new(policy, &self.budget, &*self.clock, last_retry);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = self.settings.grant.request(credentials)?;
            // The token's life is counted from before the request, to be safe.
            let start = Moment::now(&*self.clock);
            let sent = self.attempt(request, deadline, attempt, start);
            let status = sent.as_ref().ok().map(|it| it.status().as_u16());
            let result = sent.and_then(|response| self.read(&response, credentials, serial, start));
            let error = result.as_ref().err();
            let pause = error.and_then(|error| retries.next_pause(error, true));
            self.settings.observer.report(|| Attempt {
                endpoint: None,
                api_version: None,
                number: attempt,
                status,
                error_kind: error.map(Error::kind),
                elapsed: self.clock.now().saturating_duration_since(start.mono),
                will_repeat: pause.is_some(),
            });
            match result {
                Ok(token) => {
                    self.budget.refill();
                    return Ok(token);
                }
                Err(error) if !pause.is_some_and(|pause| retries.pause(pause)) => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
    }

    /// Sends a request once.
    fn attempt(
        &self,
        request: HttpRequest,
        deadline: Instant,
        attempt: u32,
        start: Moment,
    ) -> Result<HttpResponse, Error> {
        let limits = Limits {
            deadline,
            max_response_body: self.settings.max_response_body,
        };
        let result = self.transport.send(request, limits).map_err(Error::from);
        log::debug!(
            target: LOG_TARGET,
            "token: attempt {attempt}: {} after {:?}",
            Outcome(&result),
            self.clock.now().saturating_duration_since(start.mono),
        );
        result
    }

    /// Reads a token from a response.
    fn read(
        &self,
        response: &HttpResponse,
        credentials: &Credentials,
        serial: u64,
        start: Moment,
    ) -> Result<LiveToken, Error> {
        let body = TokenResponse::read(response).map_err(|error| {
            if error.kind() == ErrorKind::Decode {
                // It holds nothing that the server wrote.
                return error;
            }
            // What the server wrote may repeat what we sent.
            let secrets = credentials.secrets();
            let redacted = redact::response(response, &secrets.each_ref().map(|it| it.as_str()));
            let error = TokenResponse::read(&redacted).err().unwrap_or(error);
            credentials.explain(error)
        })?;
        let header = body
            .header()
            .map_err(|error| error.with_status(response.status().as_u16()))?;
        let life = self.life(start, body.life(), body.life());
        let text = self.settings.store.is_some().then_some(body.access_token);
        let token = Token {
            header,
            text,
            serial,
            was_accepted: AtomicBool::new(false),
        };
        Ok((Arc::new(token), life))
    }

    /// Returns the life of a token that had a longer one when it was issued.
    fn life(&self, start: Moment, length: Duration, whole: Duration) -> Life {
        let is_shared = self.settings.store.is_some();
        Life {
            start,
            length,
            margin: margin(whole, is_shared, |most| self.clock.jitter(most)),
        }
    }

    pub(super) fn key(&self, credentials: &Credentials) -> TokenKey {
        TokenKey::new(&self.settings.grant, &credentials.id)
    }

    /// `is_again`: an error has been logged already.
    fn load(&self, credentials: &Credentials, is_again: bool) -> Option<StoredToken> {
        let store = self.settings.store.as_ref()?;
        match store.load(&self.key(credentials)) {
            Ok(stored) => stored,
            Err(error) => {
                if !is_again {
                    warn("cannot be read", &error, None);
                }
                None
            }
        }
    }

    /// Returns the store's token, if it is valid; perhaps it is to be renewed.
    /// A store that fails counts as empty.
    pub(super) fn stored(
        &self,
        credentials: &Credentials,
        serial: u64,
        is_again: bool,
    ) -> Option<LiveToken> {
        let stored = self.load(credentials, is_again)?;
        let start = Moment::now(&*self.clock);
        let until_end = |from| {
            let left = stored.expires_at.duration_since(from);
            left.unwrap_or_default().min(LONGEST_LIFE)
        };
        // No more than its whole life, if the clock has been set back since.
        let whole = until_end(stored.issued_at);
        let length = until_end(start.wall).min(whole);
        if length.is_zero() {
            return None;
        }
        let token = Token {
            header: grant::bearer(&stored.token).ok()?,
            text: Some(stored.token),
            serial,
            was_accepted: AtomicBool::new(false),
        };
        Some((Arc::new(token), self.life(start, length, whole)))
    }

    /// Saves a token that has just been fetched in the store, if there is one.
    pub(super) fn save(&self, credentials: &Credentials, token: &Token, life: Life) {
        let (Some(store), Some(text)) = (&self.settings.store, &token.text) else {
            return;
        };
        // A clock may say what it likes.
        let Some(expires_at) = life.start.wall.checked_add(life.length) else {
            return;
        };
        let stored = StoredToken {
            token: text.clone(),
            issued_at: life.start.wall,
            expires_at,
        };
        if let Err(error) = store.save(&self.key(credentials), &stored) {
            warn("cannot be written", &error, Some(text));
        }
    }

    /// Removes a token from the store, if it is still there.
    pub(super) fn remove(&self, credentials: &Credentials, token: &Token) {
        if let Some(text) = &token.text {
            self.remove_text(credentials, text);
        }
    }

    /// Removes whatever token the store holds.
    pub(super) fn clear_store(&self, credentials: &Credentials) {
        if let Some(stored) = self.load(credentials, false) {
            self.remove_text(credentials, &stored.token);
        }
    }

    fn remove_text(&self, credentials: &Credentials, text: &Secret) {
        let Some(store) = &self.settings.store else {
            return;
        };
        if let Err(error) = store.remove(&self.key(credentials), text) {
            warn("cannot be written", &error, Some(text));
        }
    }
}

/// Logs an error of the store, on one line and without the token.
pub(super) fn warn(what: &str, error: &io::Error, token: Option<&Secret>) {
    let mut text = error.to_string();
    if let Some(token) = token {
        text = redact::text(&text, token.expose());
    }
    log::warn!(target: LOG_TARGET, "token: the store {what}: {}", text.escape_debug());
}
