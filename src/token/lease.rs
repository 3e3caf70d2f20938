//! [`Lease`]: the right of one process among many to fetch the next token.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use super::fetch::{Fetcher, warn};
use super::grant::Credentials;
use super::store::{Lease, TokenKey, TokenStore};
use super::token_error;
use crate::clock::{Clock, shortened};
use crate::error::{Error, ErrorKind};

/// The longest time that a process has for a fetch before another one may try.
const LENGTH: Duration = Duration::from_secs(5);
/// A fetch under a lease ends within this time, so that its failure can be told to
/// others while they wait for it.
const FETCH_TIME: Duration = Duration::from_secs(4);
/// Retries of a fetch begin within this time: others wait for its end.
const RETRY_TIME: Duration = Duration::from_secs(2);
/// After a failed fetch, no other process begins one for this time.
const FAILURE_LENGTH: Duration = Duration::from_secs(1);
/// The bounds of the pauses between two looks into the store. Every holder is
/// awaited with the first one again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
/// In this time all clients of a store without leases begin to fetch, if they
/// find no token there.
const SPREAD: Duration = Duration::from_secs(1);

/// Returns a name under which a client takes leases. No other client has it.
pub(super) fn new_holder() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

impl Fetcher {
    /// Takes the lease, if the store has leases and no other client holds it.
    pub(super) fn lease(&self, credentials: &Credentials, deadline: Instant) -> Taken<'_> {
        let Some(store) = self.settings.store.as_deref() else {
            return Taken::Unsupported;
        };
        let key = self.key(credentials);
        let now = self.clock.now();
        let left = deadline.saturating_duration_since(now);
        let length = left.clamp(Duration::from_millis(1), LENGTH);
        let name = self.holder.as_str();
        if let Some(holder) = self.failures.others_first(now) {
            return Taken::Held(holder);
        }
        let take = || store.lease(&key, name, length);
        let taken = match take() {
            // It could not be ended, or is the memory of a failure: this client
            // may try again once.
            Ok(Lease::Held(holder))
                if holder == name || holder.starts_with(name) && !self.failures.are_many(now) =>
            {
                store.release(&key, &holder).and_then(|()| take())
            }
            taken => taken,
        };
        match taken {
            Ok(Lease::Granted) => Taken::Granted(OwnLease {
                fetcher: self,
                store,
                key,
                deadline: deadline.min(now + FETCH_TIME),
                last_retry: now + length.min(RETRY_TIME),
                is_passed: false,
            }),
            Ok(Lease::Held(holder)) => Taken::Held(holder),
            Ok(Lease::Unsupported) => Taken::Unsupported,
            Err(error) => {
                warn("cannot be written", &error, None);
                Taken::Broken
            }
        }
    }
}

pub(super) enum Taken<'a> {
    Granted(OwnLease<'a>),
    /// Another client has it.
    Held(String),
    Unsupported,
    /// The store failed.
    Broken,
}

/// A lease of this client. It ends when this is dropped.
pub(super) struct OwnLease<'a> {
    fetcher: &'a Fetcher,
    store: &'a dyn TokenStore,
    key: TokenKey,
    /// When the fetch ends.
    pub(super) deadline: Instant,
    /// Retries begin earlier.
    pub(super) last_retry: Instant,
    is_passed: bool,
}

impl OwnLease<'_> {
    /// Ends the lease, and tells the other clients that the fetch with this
    /// number has failed.
    pub(super) fn failed(mut self, serial: u64, error: &Error) {
        let Fetcher {
            clock,
            failures,
            holder,
            ..
        } = self.fetcher;
        let name = failures.own_failed(serial, error, clock.now());
        let length = shortened(&**clock, FAILURE_LENGTH);
        let passed = self.store.pass_lease(&self.key, holder, &name, length);
        match passed {
            Ok(()) => self.is_passed = true,
            // It is released instead.
            Err(error) => warn("cannot be written", &error, None),
        }
    }
}

impl Drop for OwnLease<'_> {
    fn drop(&mut self) {
        if self.is_passed {
            return;
        }
        if let Err(error) = self.store.release(&self.key, &self.fetcher.holder) {
            warn("cannot be written", &error, None);
        }
    }
}

/// The wait for a token that another client fetches.
pub(super) struct TokenWait<'a> {
    fetcher: &'a Fetcher,
    pub(super) deadline: Instant,
    /// Whether there has been a pause.
    pub(super) has_begun: bool,
    next: Duration,
    /// The holder of the lease at the last look.
    holder: String,
    is_over: bool,
}

impl<'a> TokenWait<'a> {
    pub(super) fn new(fetcher: &'a Fetcher, deadline: Instant) -> Self {
        Self {
            fetcher,
            deadline,
            has_begun: false,
            next: PAUSES.0,
            holder: String::new(),
            is_over: false,
        }
    }

    /// Whether other clients have failed too often to wait on.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Pauses before the next look into the store. Fails at the deadline, and
    /// when too many fetches have failed to wait on.
    pub(super) fn pause(&mut self, holder: &str) -> Result<(), Error> {
        let clock = &*self.fetcher.clock;
        let now = clock.now();
        let failures = &self.fetcher.failures;
        if failures.is_over(holder, clock) {
            if let Some(error) = failures.own_error(holder) {
                return Err(error);
            }
            self.is_over = true;
            let why = "the processes that share the token could not fetch it";
            return Err(token_error(ErrorKind::Unavailable, why));
        }
        if self.holder != holder {
            holder.clone_into(&mut self.holder);
            self.next = PAUSES.0;
        }
        let left = self.deadline.saturating_duration_since(now);
        let pause = shortened(clock, self.next).min(left);
        self.has_begun = true;
        clock.sleep(pause);
        self.next = (self.next * 2).min(PAUSES.1);
        if pause == left {
            let why = "another process fetches the token, and has none in time";
            return Err(token_error(ErrorKind::Timeout, why));
        }
        Ok(())
    }

    /// Pauses before the only look into a store without leases.
    pub(super) fn spread(&mut self) {
        let clock = &*self.fetcher.clock;
        let left = self.deadline.saturating_duration_since(clock.now());
        self.has_begun = true;
        clock.sleep(spread_pause(clock, left));
    }
}

/// Returns a random pause of at most [`SPREAD`] and of a quarter of the time
/// that is left. Of many clients few have a short one, so that most find the
/// token that the first of them has fetched.
fn spread_pause(clock: &dyn Clock, left: Duration) -> Duration {
    let most = SPREAD.min(left / 4);
    let later = (0..4).map(|_| clock.jitter(most)).max();
    later.unwrap_or_default()
}

#[cfg(test)]
mod tests;
