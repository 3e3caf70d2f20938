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
/// Retries of a fetch begin within this time: others wait for its end.
const RETRY_TIME: Duration = Duration::from_secs(2);
/// After a failed fetch, no other process begins one for this time.
const FAILURE_LENGTH: Duration = Duration::from_secs(1);
/// In a holder's name: its fetch has failed.
const FAILED: &str = "-failed-";
/// The bounds of the pauses between two looks into the store.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Returns a name under which a client takes leases. No other client has it.
pub(super) fn new_holder() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

impl Fetcher {
    /// Takes the lease, if the store has leases and no other client holds it.
    /// A store that fails counts as one without.
    pub(super) fn lease(&self, credentials: &Credentials, deadline: Instant) -> Taken<'_> {
        let Some(store) = self.settings.store.as_deref() else {
            return Taken::Unsupported;
        };
        let key = self.key(credentials);
        let now = self.clock.now();
        let left = deadline.saturating_duration_since(now);
        let length = left.clamp(Duration::from_millis(1), LENGTH);
        let name = self.holder.as_str();
        let take = || store.lease(&key, name, length);
        let taken = match take() {
            // It could not be ended, or is the memory of a failure: this client
            // may try again.
            Ok(Lease::Held(holder)) if holder.starts_with(name) => {
                store.release(&key, &holder).and_then(|()| take())
            }
            taken => taken,
        };
        match taken {
            Ok(Lease::Granted) => Taken::Granted(OwnLease {
                fetcher: self,
                store,
                key,
                last_retry: now + length.min(RETRY_TIME),
            }),
            Ok(Lease::Held(holder)) => Taken::Held(holder),
            Ok(Lease::Unsupported) => Taken::Unsupported,
            Err(error) => {
                warn("cannot be written", &error, None);
                Taken::Unsupported
            }
        }
    }
}

pub(super) enum Taken<'a> {
    Granted(OwnLease<'a>),
    /// Another client has it.
    Held(String),
    Unsupported,
}

/// A lease of this client. It ends when this is dropped.
pub(super) struct OwnLease<'a> {
    fetcher: &'a Fetcher,
    store: &'a dyn TokenStore,
    key: TokenKey,
    /// Retries begin earlier.
    pub(super) last_retry: Instant,
}

impl OwnLease<'_> {
    /// Ends the lease, and tells the other clients that the fetch with this
    /// number has failed.
    pub(super) fn failed(self, serial: u64) {
        let (store, key) = (self.store, self.key.clone());
        let name = format!("{}{FAILED}{serial}", self.fetcher.holder);
        let length = shortened(&*self.fetcher.clock, FAILURE_LENGTH);
        drop(self);
        if let Err(error) = store.lease(&key, &name, length) {
            warn("cannot be written", &error, None);
        }
    }
}

impl Drop for OwnLease<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.store.release(&self.key, &self.fetcher.holder) {
            warn("cannot be written", &error, None);
        }
    }
}

/// The wait for a token that another client fetches.
pub(super) struct LeaseWait<'a> {
    clock: &'a dyn Clock,
    pub(super) deadline: Instant,
    next: Duration,
    /// The last failure of another client that was seen.
    failure: Option<String>,
    is_over: bool,
}

impl<'a> LeaseWait<'a> {
    pub(super) fn new(clock: &'a dyn Clock, deadline: Instant) -> Self {
        Self {
            clock,
            deadline,
            next: PAUSES.0,
            failure: None,
            is_over: false,
        }
    }

    /// Whether other clients have failed too often to wait on.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Pauses before the next look into the store. Fails at the deadline, and
    /// when it learns of a second failure: one may be due to the machine that
    /// failed.
    pub(super) fn pause(&mut self, holder: &str) -> Result<(), Error> {
        let is_new = self.failure.as_deref() != Some(holder);
        if holder.contains(FAILED) && is_new && self.failure.replace(holder.to_owned()).is_some() {
            self.is_over = true;
            let why = "other processes that share the token could not fetch it";
            return Err(token_error(ErrorKind::Unavailable, why));
        }
        let left = self.deadline.saturating_duration_since(self.clock.now());
        let pause = shortened(self.clock, self.next).min(left);
        self.clock.sleep(pause);
        self.next = (self.next * 2).min(PAUSES.1);
        if pause == left {
            let why = "another process fetches the token, and has none in time";
            return Err(token_error(ErrorKind::Timeout, why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
