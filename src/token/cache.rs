//! [`TokenCache`]: the access token of a client and all its clones.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use super::fetch::{Fetcher, LiveToken, Token, TokenSettings};
use super::grant::Credentials;
use super::state::{FetchResult, Moment, Next, Source, State, Ticket};
use super::token_error;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::retry::Budget;
use crate::single_flight::SingleFlight;
use crate::transport::Transport;

/// The token cache of a client and all its clones.
pub(crate) struct TokenCache {
    fetcher: Fetcher,
    clock: Arc<dyn Clock>,
    /// Never held across I/O.
    shared: Mutex<Shared>,
}

struct Shared {
    state: State<Arc<Token>, Error>,
    credentials: Arc<Credentials>,
    /// The fetch under way.
    fetch: Option<Arc<Fetch>>,
}

/// A fetch under way, as other threads see it.
struct Fetch {
    thread: ThreadId,
    generation: u64,
    outcome: SingleFlight<FetchOutcome>,
}

/// What a fetch means for those who waited for it.
#[derive(Clone)]
enum FetchOutcome {
    Fetched(Arc<Token>, Source),
    Failed(Error),
    /// The fetching thread ran out of its own time or panicked: the next
    /// thread takes over.
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
        Self {
            fetcher: Fetcher {
                settings,
                transport,
                clock: Arc::clone(&clock),
                budget,
            },
            clock,
            shared: Mutex::new(Shared {
                state: State::new(),
                credentials: Arc::new(credentials),
                fetch: None,
            }),
        }
    }

    /// Nothing is left half done under the lock, so a panic elsewhere does not
    /// matter.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a valid token: the cached one, or a new one if there is none or
    /// it is about to end.
    pub(crate) fn bearer(&self, deadline: Instant) -> Result<Arc<Token>, Error> {
        loop {
            let mut shared = self.lock();
            let now = Moment::now(&*self.clock);
            let next = shared.state.next(now, deadline);
            if let Next::Renew(ticket) = next {
                // The other half of the time is for the call itself.
                let left = deadline.saturating_duration_since(now.mono);
                match self.run_fetch(shared, ticket, now.mono + left / 2) {
                    // It ended meanwhile, and there was time for the renewal.
                    Err(error) if !error.is_timeout() && !self.has_valid_token() => {
                        return Err(error);
                    }
                    Ok(Some(token)) => return Ok(token),
                    _ => {}
                }
            } else if let Some(token) =
                self.proceed(shared, next, deadline, Source::StoreOrEndpoint)?
            {
                return Ok(token);
            }
        }
    }

    /// Fetches a new token from the endpoint, whatever cache and store hold.
    pub(crate) fn renew(&self, deadline: Instant) -> Result<(), Error> {
        loop {
            let mut shared = self.lock();
            let now = Moment::now(&*self.clock);
            let source = Source::Endpoint;
            let next = shared.state.fetch_or_wait(now, deadline, source);
            if self.proceed(shared, next, deadline, source)?.is_some() {
                return Ok(());
            }
        }
    }

    /// Does what the state said. `None`: ask it again.
    fn proceed(
        &self,
        shared: MutexGuard<'_, Shared>,
        next: Next<Arc<Token>, Error>,
        deadline: Instant,
        source: Source,
    ) -> Result<Option<Arc<Token>>, Error> {
        match next {
            Next::Use(token) => Ok(Some(token)),
            Next::Renew(ticket) | Next::Fetch(ticket) => self.run_fetch(shared, ticket, deadline),
            Next::Wait => self.wait_for_fetch(shared, deadline, source),
            Next::Fail(error) => Err(error),
            Next::OutOfTime => Err(out_of_time()),
        }
    }

    /// Forgets the token, if it is still the one that was refused, and returns
    /// whether another attempt with [`bearer`](Self::bearer) is worth it.
    pub(crate) fn reject_token(&self, token: &Token) -> bool {
        let mut shared = self.lock();
        let now = Moment::now(&*self.clock);
        let (is_worth_it, dropped) = shared.state.reject_token(token.serial, now);
        let credentials = Arc::clone(&shared.credentials);
        drop(shared);
        if let Some(text) = dropped.as_ref().and_then(|token| token.text.as_ref()) {
            self.fetcher.remove(&credentials, text);
        }
        is_worth_it
    }

    /// Forgets the token and what is remembered of failures.
    pub(crate) fn invalidate(&self) {
        let mut shared = self.lock();
        shared.state.invalidate();
        let credentials = Arc::clone(&shared.credentials);
        drop(shared);
        if let Ok(Some((stored, _))) = self.fetcher.stored(&credentials, 0) {
            if let Some(text) = &stored.text {
                self.fetcher.remove(&credentials, text);
            }
            // The store may hold it all the same.
            self.lock().state.reject_stored(stored);
        }
    }

    pub(crate) fn set_credentials(&self, credentials: Credentials) {
        let mut shared = self.lock();
        shared.credentials = Arc::new(credentials);
        shared.state.invalidate();
    }

    fn has_valid_token(&self) -> bool {
        let now = Moment::now(&*self.clock);
        self.lock().state.has_valid_token(now)
    }

    /// Waits for the fetch under way. `None`: ask the state again.
    fn wait_for_fetch(
        &self,
        shared: MutexGuard<'_, Shared>,
        deadline: Instant,
        source: Source,
    ) -> Result<Option<Arc<Token>>, Error> {
        let Some(fetch) = shared.fetch.clone() else {
            return Ok(None);
        };
        drop(shared);
        if fetch.thread == thread::current().id() {
            return Err(token_error(
                ErrorKind::Config,
                "the transport called the client while it was fetching a token",
            ));
        }
        let Some(outcome) = fetch.outcome.wait(&*self.clock, deadline) else {
            return Err(out_of_time());
        };
        if fetch.generation != self.lock().state.generation() {
            return Ok(None);
        }
        match outcome {
            // The store's token says nothing of the endpoint.
            FetchOutcome::Fetched(_, from) if from != source && source == Source::Endpoint => {
                Ok(None)
            }
            FetchOutcome::Fetched(token, _) => Ok(Some(token)),
            FetchOutcome::Failed(error) => Err(error),
            FetchOutcome::Abandoned => Ok(None),
        }
    }

    /// Fetches a token for all who wait. `None`: it no longer counts, ask the
    /// state again.
    fn run_fetch(
        &self,
        mut shared: MutexGuard<'_, Shared>,
        ticket: Ticket,
        deadline: Instant,
    ) -> Result<Option<Arc<Token>>, Error> {
        let fetch = Arc::new(Fetch {
            thread: thread::current().id(),
            generation: ticket.generation,
            outcome: SingleFlight::new(),
        });
        shared.fetch = Some(Arc::clone(&fetch));
        let credentials = Arc::clone(&shared.credentials);
        drop(shared);
        let guard = FetchGuard {
            cache: self,
            fetch: &fetch,
            is_done: false,
        };

        let result = self
            .obtain(&credentials, ticket, deadline)
            // Whatever happened, the call itself has not been sent.
            .map_err(|error| error.in_area("token").with_sent(false));

        let (done, outcome) = match &result {
            Ok(((token, life), from)) => (
                FetchResult::Fetched(Arc::clone(token), *life),
                FetchOutcome::Fetched(Arc::clone(token), *from),
            ),
            Err(error) if error.kind() == ErrorKind::Auth => (
                FetchResult::Refused(error.clone()),
                FetchOutcome::Failed(error.clone()),
            ),
            Err(error) if error.is_timeout() => (FetchResult::Failed, FetchOutcome::Abandoned),
            Err(error) => (FetchResult::Failed, FetchOutcome::Failed(error.clone())),
        };
        if guard.fetch_done(ticket, done, outcome) {
            result.map(|((token, _), _)| Some(token))
        } else {
            Ok(None)
        }
    }

    /// Returns the store's token if it is good, else a new one.
    fn obtain(
        &self,
        credentials: &Credentials,
        ticket: Ticket,
        deadline: Instant,
    ) -> Result<(LiveToken, Source), Error> {
        if ticket.source == Source::StoreOrEndpoint {
            if let Some(stored) = self.fetcher.stored(credentials, ticket.serial)? {
                let is_rejected = self
                    .lock()
                    .state
                    .rejected()
                    .is_some_and(|rejected| rejected.text == stored.0.text);
                if !is_rejected {
                    return Ok((stored, Source::StoreOrEndpoint));
                }
            }
        }
        let (token, life) = self.fetcher.request(credentials, ticket.serial, deadline)?;
        self.fetcher.save(credentials, &token, life);
        Ok(((token, life), Source::Endpoint))
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

/// Ends the fetch whatever happens to the thread that runs it, a panic in a
/// foreign transport included.
struct FetchGuard<'a> {
    cache: &'a TokenCache,
    fetch: &'a Fetch,
    is_done: bool,
}

impl FetchGuard<'_> {
    /// Ends the fetch. Returns whether it still counts.
    fn fetch_done(
        mut self,
        ticket: Ticket,
        result: FetchResult<Arc<Token>, Error>,
        outcome: FetchOutcome,
    ) -> bool {
        self.is_done = true;
        let now = self.cache.clock.now();
        let mut shared = self.cache.lock();
        shared.fetch = None;
        let counts = shared.state.fetch_done(ticket, now, result);
        drop(shared);
        self.fetch.outcome.finish(outcome);
        counts
    }
}

impl Drop for FetchGuard<'_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut shared = self.cache.lock();
        shared.fetch = None;
        shared.state.fetch_abandoned();
        drop(shared);
        self.fetch.outcome.finish(FetchOutcome::Abandoned);
    }
}

fn out_of_time() -> Error {
    token_error(ErrorKind::Timeout, "no token in time")
}
