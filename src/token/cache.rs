//! [`TokenCache`]: the access token of a client and all its clones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use super::failures::Failures;
use super::fetch::{Fetcher, Token, TokenSettings};
use super::grant::Credentials;
use super::lease::{OwnLease, Taken, TokenWait, new_holder};
use super::state::{FetchOutcome, Life, Moment, Next, Rejection, Source, State, Ticket};
use super::token_error;
use crate::clock::{Clock, shortened};
use crate::error::{Error, ErrorKind};
use crate::retry::Budget;
use crate::single_flight::SingleFlight;
use crate::transport::Transport;

type Obtained = (Arc<Token>, Life, Source);
type Outcome = FetchOutcome<Arc<Token>, Error>;

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
    outcome: SingleFlight<Outcome>,
}

impl TokenCache {
    pub(crate) fn new(
        credentials: Credentials,
        settings: TokenSettings,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        budget: Arc<Budget>,
    ) -> Self {
        let shared = Shared {
            state: State::new(settings.store.is_some()),
            credentials: Arc::new(credentials),
            fetch: None,
        };
        let holder = new_holder();
        Self {
            fetcher: Fetcher {
                settings,
                transport,
                clock: Arc::clone(&clock),
                budget,
                failures: Failures::new(holder.clone()),
                holder,
            },
            clock,
            shared: Mutex::new(shared),
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

    /// After a 401 for this token: forgets it if it is still the cached one,
    /// but once in 30 seconds. Returns whether another attempt with
    /// [`bearer`](Self::bearer) is worth it.
    pub(crate) fn reject_token(&self, token: &Token) -> bool {
        let mut shared = self.lock();
        let now = Moment::now(&*self.clock);
        let rejection = shared.state.reject_token(token.serial, now);
        let credentials = Arc::clone(&shared.credentials);
        drop(shared);
        if let Rejection::Dropped(token) = &rejection {
            self.fetcher.remove(&credentials, token);
        }
        !matches!(rejection, Rejection::Kept)
    }

    /// After a 401 that may or may not be about this token: a later call
    /// replaces it, once in 30 seconds.
    pub(crate) fn suspect_token(&self, token: &Token) {
        let was_accepted = token.was_accepted();
        self.lock().state.suspect_token(token.serial, was_accepted);
    }

    /// Forgets the token, here and in the store, and what is remembered of
    /// failures.
    pub(crate) fn invalidate(&self) {
        self.forget(None);
    }

    /// Replaces the credentials, and forgets what [`invalidate`](Self::invalidate)
    /// forgets.
    pub(crate) fn set_credentials(&self, credentials: Credentials) {
        self.forget(Some(Arc::new(credentials)));
    }

    fn forget(&self, new: Option<Arc<Credentials>>) {
        let mut shared = self.lock();
        if let Some(new) = new {
            shared.credentials = new;
        }
        shared.state.invalidate();
        let credentials = Arc::clone(&shared.credentials);
        drop(shared);
        self.fetcher.clear_store(&credentials);
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
        let left = deadline.saturating_duration_since(self.clock.now());
        let shared = self.lock();
        shared
            .state
            .after_wait(fetch.generation, outcome, source, left)
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
            ticket,
            is_done: false,
        };

        let start = self.clock.now();
        let mut wait = TokenWait::new(&self.fetcher, deadline);
        let result = self
            .obtain(&credentials, ticket, &mut wait)
            // Whatever happened, the call itself has not been sent.
            .map_err(|error| error.in_area("token").with_sent(false));
        let now = self.clock.now();
        let outcome = match result.clone() {
            Ok(Some((token, life, source))) => {
                if !life.wants_renewal(life.start) {
                    self.fetcher.failures.forget();
                }
                FetchOutcome::Fetched(token, life, source)
            }
            Ok(None) => FetchOutcome::Deferred,
            Err(error) if wait.is_over() => FetchOutcome::OthersFailed(error),
            Err(error) if error.kind() == ErrorKind::Auth => FetchOutcome::Refused(error),
            Err(error) if error.is_timeout() && now >= deadline => {
                FetchOutcome::OutOfTime(error, now.saturating_duration_since(start))
            }
            Err(error) => FetchOutcome::Failed(error),
        };

        if guard.fetch_done(now, outcome) {
            return result.map(|obtained| obtained.map(|(token, ..)| token));
        }
        if let Ok(Some((token, _, Source::Endpoint))) = result {
            // It may have been saved when it still counted.
            self.fetcher.remove(&credentials, &token);
        }
        Ok(None)
    }

    /// Returns the store's token if it is good, else a new one. `None`: another
    /// process fetches it, and the present one is valid.
    fn obtain(
        &self,
        credentials: &Credentials,
        ticket: Ticket,
        wait: &mut TokenWait<'_>,
    ) -> Result<Option<Obtained>, Error> {
        let deadline = wait.deadline;
        if ticket.source == Source::Endpoint {
            return self
                .request(credentials, ticket, deadline, deadline)
                .map(Some);
        }
        let mut is_again = false;
        loop {
            let stored = self.stored(credentials, ticket, is_again);
            is_again = true;
            if stored.as_ref().is_some_and(is_fresh) {
                return Ok(stored);
            }
            let deadline = if stored.is_some() && !ticket.is_renewal {
                // It is valid. The other half of the time is for the call itself.
                let now = self.clock.now();
                now + deadline.saturating_duration_since(now) / 2
            } else {
                deadline
            };
            let result = match self.fetcher.lease(credentials, deadline) {
                Taken::Granted(lease) => self.request_under(lease, credentials, ticket, deadline),
                // The present token is valid, or the stored one.
                Taken::Held(holder) if ticket.is_renewal || stored.is_some() => {
                    self.fetcher.failures.note(&holder, self.clock.now());
                    return Ok(stored);
                }
                Taken::Held(holder) => {
                    wait.pause(&holder)?;
                    if self.lock().state.is_current(ticket) {
                        continue;
                    }
                    Err(out_of_time())
                }
                // Others may start at the same moment.
                Taken::Unsupported if ticket.serial == 1 && stored.is_none() && !wait.has_begun => {
                    wait.spread();
                    if self.lock().state.is_current(ticket) {
                        continue;
                    }
                    Err(out_of_time())
                }
                Taken::Unsupported | Taken::Broken => {
                    self.request(credentials, ticket, deadline, deadline)
                }
            };
            return match (result, stored) {
                (Err(_), Some(stored)) => Ok(Some(stored)),
                (result, _) => result.map(Some),
            };
        }
    }

    /// Fetches a token, unless another process has saved one and ended its lease
    /// just before this one began.
    fn request_under(
        &self,
        lease: OwnLease<'_>,
        credentials: &Credentials,
        ticket: Ticket,
        deadline: Instant,
    ) -> Result<Obtained, Error> {
        if let Some(stored) = self.stored(credentials, ticket, true).filter(is_fresh) {
            return Ok(stored);
        }
        let last_retry = lease.deadline.min(lease.last_retry);
        let result = self.request(credentials, ticket, lease.deadline, last_retry);
        if let Err(error) = &result {
            let had_time = self.clock.now() < deadline || !error.is_timeout();
            if error.is_transient() && had_time {
                lease.failed(ticket.serial, error);
            }
        }
        result
    }

    /// Returns the store's token, unless it is the one to be replaced.
    fn stored(
        &self,
        credentials: &Credentials,
        ticket: Ticket,
        is_again: bool,
    ) -> Option<Obtained> {
        let serial = ticket.serial;
        let (token, life) = self.fetcher.stored(credentials, serial, is_again)?;
        let is_it = |other: &Arc<Token>| other.text == token.text;
        let is_excluded = self.lock().state.excludes(is_it);
        (!is_excluded).then_some((token, life, Source::StoreOrEndpoint))
    }

    /// Fetches a token from the endpoint and saves it.
    fn request(
        &self,
        credentials: &Credentials,
        ticket: Ticket,
        deadline: Instant,
        last_retry: Instant,
    ) -> Result<Obtained, Error> {
        let (token, life) =
            self.fetcher
                .request(credentials, ticket.serial, deadline, last_retry)?;
        if self.lock().state.is_current(ticket) {
            self.fetcher.save(credentials, &token, life);
        }
        Ok((token, life, Source::Endpoint))
    }
}

/// Ends the fetch whatever happens to the thread that runs it, a panic in a
/// foreign transport included.
struct FetchGuard<'a> {
    cache: &'a TokenCache,
    fetch: &'a Fetch,
    ticket: Ticket,
    is_done: bool,
}

impl FetchGuard<'_> {
    /// Ends the fetch. Returns whether it still counts.
    fn fetch_done(mut self, now: Instant, outcome: Outcome) -> bool {
        self.end(now, outcome)
    }

    fn end(&mut self, now: Instant, outcome: Outcome) -> bool {
        self.is_done = true;
        let mut shared = self.cache.lock();
        shared.fetch = None;
        let clock = &*self.cache.clock;
        let shorten = |pause| shortened(clock, pause);
        let counts = shared.state.fetch_done(self.ticket, now, &outcome, shorten);
        drop(shared);
        self.fetch.outcome.finish(outcome);
        counts
    }
}

impl Drop for FetchGuard<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.end(self.cache.clock.now(), FetchOutcome::Abandoned);
        }
    }
}

/// Whether a stored token is not to be renewed yet.
fn is_fresh((_, life, _): &Obtained) -> bool {
    !life.wants_renewal(life.start)
}

fn out_of_time() -> Error {
    token_error(ErrorKind::Timeout, "no token in time")
}
