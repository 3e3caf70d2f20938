//! [`Fetcher`]: gets a token from the store or the token endpoint.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;

use super::grant::{self, Credentials, Grant, LONGEST_LIFE, TokenResponse};
use super::state::{Life, Moment, margin};
use super::store::{StoredToken, TokenKey, TokenStore};
use super::token_error;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::http::response::Outcome;
use crate::retry::{Budget, Retries, RetryPolicy};
use crate::secret::Secret;
use crate::transport::{Limits, Transport};

/// An access token.
pub(crate) struct Token {
    /// The value of the `Authorization` header, wiped when the last use ends.
    pub(crate) header: HeaderValue,
    /// The token itself, for the store, if there is one.
    pub(super) text: Option<Secret>,
    /// The number of the fetch that brought it.
    pub(super) serial: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// A token and how long it is valid.
pub(super) type LiveToken = (Arc<Token>, Life);

/// How a token is fetched and kept.
pub(crate) struct TokenSettings {
    pub(crate) grant: Grant,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_response_body: usize,
    pub(crate) store: Option<Arc<dyn TokenStore>>,
}

/// Gets tokens. It remembers none.
pub(super) struct Fetcher {
    pub(super) settings: TokenSettings,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) budget: Arc<Budget>,
}

impl Fetcher {
    /// Fetches a token from the endpoint, with retries as the policy says.
    pub(super) fn request(
        &self,
        credentials: &Credentials,
        serial: u64,
        deadline: Instant,
    ) -> Result<LiveToken, Error> {
        let mut retries = Retries::new(&self.settings.retry, &self.budget, &*self.clock, deadline);
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.attempt(credentials, serial, deadline, attempt) {
                Ok(token) => {
                    self.budget.refill();
                    return Ok(token);
                }
                Err(error) if !retries.pause_after(&error, true) => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn attempt(
        &self,
        credentials: &Credentials,
        serial: u64,
        deadline: Instant,
        attempt: u32,
    ) -> Result<LiveToken, Error> {
        // The token's life is counted from before the request, to be safe.
        let start = Moment::now(&*self.clock);
        let request = self.settings.grant.request(credentials)?;
        let limits = Limits {
            deadline,
            max_response_body: self.settings.max_response_body,
        };
        let result = self.transport.send(request, limits).map_err(Error::from);
        log::debug!(
            "token: attempt {attempt}: {} after {:?}",
            Outcome(&result),
            self.clock.now().saturating_duration_since(start.mono),
        );
        let response = result?;
        let body = TokenResponse::read(&response)?;
        let header = body
            .header()
            .map_err(|error| error.with_status(response.status().as_u16()))?;
        let life = Life {
            start,
            length: body.life(),
            issued: start.wall,
        };
        let text = self.settings.store.is_some().then_some(body.access_token);
        let token = Token {
            header,
            text,
            serial,
        };
        Ok((Arc::new(token), life))
    }

    fn key(&self, credentials: &Credentials) -> TokenKey {
        TokenKey::new(&self.settings.grant, &credentials.id)
    }

    /// What the store holds.
    pub(super) fn load(&self, credentials: &Credentials) -> io::Result<Option<StoredToken>> {
        match &self.settings.store {
            Some(store) => store.load(&self.key(credentials)),
            None => Ok(None),
        }
    }

    /// What the store holds, if it can be used. A store that fails counts as
    /// empty, unless it is not safe.
    pub(super) fn stored(
        &self,
        credentials: &Credentials,
        serial: u64,
    ) -> Result<Option<LiveToken>, Error> {
        let stored = match self.load(credentials) {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let refused = token_error(ErrorKind::Config, "the token store is not safe to use");
                return Err(refused.with_source(Arc::new(error)));
            }
            Err(error) => {
                log::warn!("token: the store cannot be read: {}", error.kind());
                return Ok(None);
            }
        };
        let start = Moment::now(&*self.clock);
        let until_end = |from| {
            let left = stored.expires_at.duration_since(from);
            left.unwrap_or_default().min(LONGEST_LIFE)
        };
        let length = until_end(start.wall);
        if length <= margin(until_end(stored.issued_at)) {
            // It is about to end: this process may as well renew it.
            return Ok(None);
        }
        let Ok(header) = grant::bearer(&stored.token) else {
            return Ok(None);
        };
        let life = Life {
            start,
            length,
            issued: stored.issued_at,
        };
        let text = Some(stored.token);
        let token = Token {
            header,
            text,
            serial,
        };
        Ok(Some((Arc::new(token), life)))
    }

    /// Saves a token in the store, if there is one.
    pub(super) fn save(&self, credentials: &Credentials, token: &Token, life: Life) {
        let (Some(store), Some(text)) = (&self.settings.store, &token.text) else {
            return;
        };
        let stored = StoredToken {
            token: text.clone(),
            issued_at: life.issued,
            expires_at: life.issued + life.length,
        };
        if let Err(error) = store.save(&self.key(credentials), &stored) {
            log::warn!("token: the store cannot be written: {}", error.kind());
        }
    }

    /// Removes a token from the store, if it is still there.
    pub(super) fn remove(&self, credentials: &Credentials, token: &Secret) {
        let Some(store) = &self.settings.store else {
            return;
        };
        if let Err(error) = store.remove(&self.key(credentials), token) {
            log::warn!("token: the store cannot be written: {}", error.kind());
        }
    }
}
