//! The access token: fetched once, shared by all, never fetched twice at a time.

mod grant;
mod store;

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderValue;

use self::grant::{LONGEST_LIFE, TokenAnswer};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::http::response::Outcome;
use crate::http::{HttpRequest, HttpResponse};
use crate::observer::{Attempt, Observer};
use crate::retry::{Budget, Retries, RetryPolicy};
use crate::secret::Secret;
use crate::transport::{Limits, Transport};

pub use self::grant::ClientAuth;
pub(crate) use self::grant::{Credentials, Grant};
pub use self::store::{FileTokenStore, StoredToken, TokenKey, TokenStore};

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

/// An access token and when it ends.
pub(crate) struct Token {
    /// The value of the `Authorization` header, wiped when the last use ends.
    pub(crate) header: HeaderValue,
    /// The token itself, for the store, if there is one.
    text: Option<Secret>,
    /// When it came into this process, and how long it lives from then on.
    fetched: Moment,
    life: Duration,
    /// When it was fetched, perhaps by another process.
    issued: SystemTime,
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
        self.fetched.age(now) + margin(self.life) >= self.life
    }

    fn is_young(&self, now: Moment) -> bool {
        let known = now.wall.duration_since(self.issued).unwrap_or_default();
        self.fetched.age(now).max(known) < TOO_YOUNG_TO_DOUBT
    }
}

/// How long before its end a token is renewed.
fn margin(life: Duration) -> Duration {
    MARGIN.min(life / 10)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// How a token is fetched and kept.
pub(crate) struct TokenSettings {
    pub(crate) grant: Grant,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_response_body: usize,
    pub(crate) store: Option<Arc<dyn TokenStore>>,
    pub(crate) observer: Observer,
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
    /// What was refused or disowned: whatever the store says, it is not used
    /// again.
    refused: Option<Secret>,
    flight: Option<Arc<Flight>>,
    refusal: Option<(Instant, Error)>,
    no_renewal_before: Option<Instant>,
}

impl State {
    /// Drops the token so that the store cannot bring it back.
    fn disown(&mut self) {
        if let Some(text) = self.token.take().and_then(|token| token.text.clone()) {
            self.refused = Some(text);
        }
    }

    fn forget(&mut self) {
        self.token = None;
        self.refusal = None;
        self.no_renewal_before = None;
    }
}

/// Where a new token may come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Anywhere,
    /// Not from the store.
    Endpoint,
}

/// One fetch under way.
struct Flight {
    leader: ThreadId,
    source: Source,
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
            refused: None,
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
                match self.lead(state, now.mono + left / 2, Source::Anywhere) {
                    Err(_) if token.is_valid(Moment::now(&*self.clock)) => return Ok(token),
                    // It ended meanwhile, and there is the other half.
                    Err(error) if error.is_timeout() && self.clock.now() < deadline => continue,
                    renewed => return renewed,
                }
            }
            // Not even a clock that is set back revives it.
            state.token = None;
            if let Some(token) = self.fetch_or_join(state, deadline, Source::Anywhere)? {
                return Ok(token);
            }
        }
    }

    /// Fetches a new token whatever cache and store hold.
    pub(crate) fn renew(&self, deadline: Instant) -> Result<(), Error> {
        while self
            .fetch_or_join(self.lock(), deadline, Source::Endpoint)?
            .is_none()
        {}
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
            if token.is_young(Moment::now(&*self.clock)) {
                return false;
            }
            state.disown();
            let credentials = Arc::clone(&state.credentials);
            drop(state);
            self.drop_stored(&credentials, token.text.as_ref());
        }
        true
    }

    /// Forgets the token and what is remembered of failures.
    pub(crate) fn invalidate(&self) {
        let mut state = self.lock();
        state.disown();
        state.forget();
        let credentials = Arc::clone(&state.credentials);
        drop(state);
        if let Some(stored) = self.load(&credentials).ok().flatten() {
            // The store may hold it all the same afterwards.
            self.lock().refused = Some(stored.token.clone());
            self.drop_stored(&credentials, Some(&stored.token));
        }
    }

    pub(crate) fn set_credentials(&self, credentials: Credentials) {
        let mut state = self.lock();
        state.credentials = Arc::new(credentials);
        state.forget();
    }

    /// Fetches a token or waits for the one who does. `None`: look again.
    fn fetch_or_join(
        &self,
        mut state: MutexGuard<'_, State>,
        deadline: Instant,
        source: Source,
    ) -> Result<Option<Arc<Token>>, Error> {
        let now = self.clock.now();
        if let Some((_, refusal)) = state.refusal.as_ref().filter(|(until, _)| now < *until) {
            return Err(refusal.clone());
        }
        if now >= deadline {
            return Err(out_of_time());
        }
        let Some(flight) = state.flight.clone() else {
            return self.lead(state, deadline, source).map(Some);
        };
        if flight.leader == thread::current().id() {
            return Err(token_error(
                ErrorKind::Config,
                "the transport called the client while it was fetching a token",
            ));
        }
        loop {
            match flight.landing.get() {
                // It may be the store's, which says nothing of the endpoint.
                Some(Landing::Fetched(_))
                    if source == Source::Endpoint
                        && flight.source == Source::Anywhere
                        && self.has_store() =>
                {
                    return Ok(None);
                }
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
        source: Source,
    ) -> Result<Arc<Token>, Error> {
        let flight = Arc::new(Flight {
            leader: thread::current().id(),
            source,
            landing: OnceLock::new(),
        });
        state.flight = Some(Arc::clone(&flight));
        let credentials = Arc::clone(&state.credentials);
        let refused = state.refused.clone();
        drop(state);
        let mut pilot = Pilot {
            cache: self,
            flight: &flight,
            landing: Landing::Abandoned,
        };

        let result = self
            .obtain(&credentials, deadline, source, refused.as_ref())
            // Whatever happened, the call itself has not been sent.
            .map_err(|error| error.in_area("token").with_sent(false));

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

    /// The store's token if it is good, else a new one.
    fn obtain(
        &self,
        credentials: &Credentials,
        deadline: Instant,
        source: Source,
        refused: Option<&Secret>,
    ) -> Result<Arc<Token>, Error> {
        if source == Source::Anywhere {
            let stored = self.stored(credentials)?;
            if let Some(token) = stored.filter(|stored| stored.text.as_ref() != refused) {
                return Ok(Arc::new(token));
            }
        }
        let token = self.fetch(credentials, deadline)?;
        self.save(credentials, &token);
        Ok(Arc::new(token))
    }

    fn limits(&self, deadline: Instant) -> Limits {
        Limits {
            deadline,
            max_response_body: self.settings.max_response_body,
        }
    }

    /// One token request, tried again as the policy says.
    fn fetch(&self, credentials: &Credentials, deadline: Instant) -> Result<Token, Error> {
        let mut retries = Retries::new(&self.settings.retry, &self.budget, &*self.clock, deadline);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let request = self.settings.grant.request(credentials)?;
            // The token's life is counted from before the request, to be safe.
            let fetched = Moment::now(&*self.clock);
            let sent = self.attempt(request, deadline, attempt, fetched);
            let status = sent.as_ref().ok().map(|it| it.status().as_u16());
            let result = sent.and_then(|response| self.read(&response, fetched));
            let error = result.as_ref().err();
            let pause = error.and_then(|error| retries.next_pause(error, true));
            self.settings.observer.report(|| Attempt {
                endpoint: None,
                api_version: None,
                number: attempt,
                status,
                error_kind: error.map(Error::kind),
                elapsed: self.clock.now().saturating_duration_since(fetched.mono),
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
        fetched: Moment,
    ) -> Result<HttpResponse, Error> {
        let sent = self.transport.send(request, self.limits(deadline));
        let result = sent.map_err(Error::from);
        log::debug!(
            "token: attempt {attempt}: {} after {:?}",
            Outcome(&result),
            self.clock.now().saturating_duration_since(fetched.mono),
        );
        result
    }

    fn read(&self, response: &HttpResponse, fetched: Moment) -> Result<Token, Error> {
        let answer = TokenAnswer::read(response)?;
        let header = answer
            .header()
            .map_err(|error| error.with_status(response.status().as_u16()))?;
        Ok(Token {
            header,
            life: answer.life(),
            text: self.has_store().then_some(answer.access_token),
            fetched,
            issued: fetched.wall,
        })
    }

    fn has_store(&self) -> bool {
        self.settings.store.is_some()
    }

    fn key(&self, credentials: &Credentials) -> TokenKey {
        TokenKey::new(&self.settings.grant, &credentials.id)
    }

    fn load(&self, credentials: &Credentials) -> io::Result<Option<StoredToken>> {
        match &self.settings.store {
            Some(store) => store.load(&self.key(credentials)),
            None => Ok(None),
        }
    }

    /// What the store holds, if it can be used. A store that fails is as good
    /// as an empty one, unless it is not safe.
    fn stored(&self, credentials: &Credentials) -> Result<Option<Token>, Error> {
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
        let now = Moment::now(&*self.clock);
        let until = |from| {
            let left = stored.expires_at.duration_since(from);
            left.unwrap_or_default().min(LONGEST_LIFE)
        };
        let left = until(now.wall);
        if left <= margin(until(stored.issued_at)) {
            // About to end: it is up to us to renew it.
            return Ok(None);
        }
        let Ok(header) = grant::bearer(&stored.token) else {
            return Ok(None);
        };
        Ok(Some(Token {
            header,
            text: Some(stored.token),
            fetched: now,
            life: left,
            issued: stored.issued_at,
        }))
    }

    fn save(&self, credentials: &Credentials, token: &Token) {
        let (Some(store), Some(text)) = (&self.settings.store, &token.text) else {
            return;
        };
        let stored = StoredToken {
            token: text.clone(),
            issued_at: token.issued,
            expires_at: token.issued + token.life,
        };
        if let Err(error) = store.save(&self.key(credentials), &stored) {
            log::warn!("token: the store cannot be written: {}", error.kind());
        }
    }

    fn drop_stored(&self, credentials: &Credentials, token: Option<&Secret>) {
        let (Some(store), Some(token)) = (&self.settings.store, token) else {
            return;
        };
        if let Err(error) = store.remove(&self.key(credentials), token) {
            log::warn!("token: the store cannot be written: {}", error.kind());
        }
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

fn token_error(kind: ErrorKind, detail: &'static str) -> Error {
    Error::new(kind, detail).in_area("token")
}

fn out_of_time() -> Error {
    token_error(ErrorKind::Timeout, "no token in time")
}

#[cfg(test)]
mod tests;
