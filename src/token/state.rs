//! [`State`]: the state of the token cache. It decides who uses, fetches or
//! waits for an access token. No I/O, no lock; the time is an argument.

use std::time::{Duration, Instant, SystemTime};

use crate::clock::Clock;

/// A token is renewed at most this long before its end, or a tenth of its life
/// if that is less.
const MARGIN: Duration = Duration::from_secs(30);
/// The least time between two token requests because of a 401. Without it,
/// anybody who can cause a 401 could cause traffic.
const REFETCH_INTERVAL: Duration = Duration::from_secs(30);
/// Refused credentials are not tried again for this time, and the store is not
/// asked for a token that other processes could not fetch.
const REFUSAL_MEMORY: Duration = Duration::from_secs(1);
/// After a failed renewal, a valid token is not renewed for this time.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);
/// While another process renews the token, this one looks for it after so long.
const DEFERRAL: Duration = Duration::from_secs(2);
/// The number of rejected tokens that are remembered, because a store may keep
/// them.
const MAX_REJECTED: usize = 4;

/// One point in time on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    pub(super) mono: Instant,
    pub(super) wall: SystemTime,
}

impl Moment {
    pub(super) fn now(clock: &dyn Clock) -> Self {
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

/// The time in which a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    /// When the token came into this process.
    pub(super) start: Moment,
    /// The time from `start` to its end.
    pub(super) length: Duration,
    /// The time before its end at which this client renews it.
    pub(super) margin: Duration,
}

impl Life {
    fn is_valid(&self, now: Moment) -> bool {
        self.start.age(now) < self.length
    }

    pub(super) fn wants_renewal(&self, now: Moment) -> bool {
        self.start.age(now) + self.margin >= self.length
    }
}

/// Returns the time before its end at which a client renews a token of this
/// life: at random between the whole margin and a quarter of it. Of many
/// clients that share it few begin early, so that most find the next token in
/// their store.
pub(super) fn margin(
    life: Duration,
    is_shared: bool,
    jitter: impl Fn(Duration) -> Duration,
) -> Duration {
    let whole = MARGIN.min(life / 10);
    let least = whole / 4;
    let draws = if is_shared { 4 } else { 1 };
    let earlier = (0..draws)
        .map(|_| jitter(whole.saturating_sub(least)))
        .min();
    least + earlier.unwrap_or_default()
}

/// Where a new token may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    StoreOrEndpoint,
    Endpoint,
}

/// The right to fetch a token. There is one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket {
    /// The number of the fetch, and of its token.
    pub(super) serial: u64,
    /// The result of the fetch counts in this generation only.
    pub(super) generation: u64,
    pub(super) source: Source,
    /// Whether there is a valid token.
    pub(super) is_renewal: bool,
    /// Whether a 401 is the reason.
    is_after_401: bool,
}

/// The next step of a caller that needs a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next<T, E> {
    /// Use this token.
    Use(T),
    /// Fetch the next token, in half of the time. If that fails, ask again:
    /// the present one may do.
    Renew(Ticket),
    /// Fetch a token.
    Fetch(Ticket),
    /// Wait for the fetch under way.
    Wait,
    /// Fail with the token endpoint's last refusal, or that of other processes.
    Fail(E),
    /// Fail because no time is left.
    OutOfTime,
}

/// The outcome of a fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum FetchOutcome<T, E> {
    Fetched(T, Life, Source),
    /// The endpoint refused the credentials.
    Refused(E),
    /// Nothing was asked of the endpoint: other processes could not fetch.
    OthersFailed(E),
    Failed(E),
    /// The caller that fetched had no more time than this.
    OutOfTime(E, Duration),
    /// Another process renews the token.
    Deferred,
    /// The caller that fetched panicked.
    Abandoned,
}

/// The effect of a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejection<T> {
    /// There is, or will be, a newer token.
    Outdated,
    /// The token is dropped; the next caller fetches another.
    Dropped(T),
    /// A token request because of a 401 was made less than
    /// [`REFETCH_INTERVAL`] ago. The token stays for now.
    Kept,
}

/// The state of a token cache: the token, the fetch under way, and recent
/// failures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State<T, E> {
    token: Option<Cached<T>>,
    has_store: bool,
    /// The store is not asked until the endpoint has given a token.
    skips_store: bool,
    /// Not to be taken from the store again.
    rejected: Vec<T>,
    /// The fetch under way.
    fetch: Option<Ticket>,
    /// The number of fetches so far.
    serial: u64,
    /// Advanced by whatever makes earlier tokens worthless.
    generation: u64,
    /// The endpoint's refusal, and until when it is repeated.
    refusal: Option<(Instant, E)>,
    /// The failure of other processes, and until when it is repeated.
    others_failed: Option<(Instant, E)>,
    no_renewal_before: Option<Instant>,
    /// When a 401 last cost a token request.
    last_refetch: Option<Instant>,
    /// A 401 is the reason for the next fetch.
    is_after_401: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cached<T> {
    token: T,
    serial: u64,
    life: Life,
    /// A 401 may have been about this token.
    is_suspect: bool,
    /// The endpoint gave it because of a 401.
    is_after_401: bool,
    /// The store gave it in place of a rejected one.
    is_second_try: bool,
}

impl<T: Clone, E: Clone> State<T, E> {
    pub(super) fn new(has_store: bool) -> Self {
        Self {
            token: None,
            has_store,
            skips_store: false,
            rejected: Vec::new(),
            fetch: None,
            serial: 0,
            generation: 0,
            refusal: None,
            others_failed: None,
            no_renewal_before: None,
            last_refetch: None,
            is_after_401: false,
        }
    }

    /// For a caller that needs any valid token.
    pub(super) fn next(&mut self, now: Moment, deadline: Instant) -> Next<T, E> {
        let source = Source::StoreOrEndpoint;
        let Some(cached) = self.token.as_ref().filter(|it| it.life.is_valid(now)) else {
            // Not even a clock that is set back revives it.
            self.token = None;
            return self.fetch_or_wait(now, deadline, source);
        };
        let ends = cached.life.wants_renewal(now);
        let is_doubted = cached.is_suspect && self.may_refetch(now);
        let is_paused = self.no_renewal_before.is_some_and(|end| now.mono < end);
        if !(ends || is_doubted) || is_paused || self.fetch.is_some() {
            return Next::Use(cached.token.clone());
        }
        self.is_after_401 = !ends;
        // A store that gave two bad tokens is not asked a third time.
        self.skips_store |= is_doubted && cached.is_second_try;
        Next::Renew(self.begin_fetch(now, source, true))
    }

    /// For a caller that needs a token from this source, whatever is cached.
    pub(super) fn fetch_or_wait(
        &mut self,
        now: Moment,
        deadline: Instant,
        source: Source,
    ) -> Next<T, E> {
        let others_failed = self.others_failed.as_ref();
        let others_failed = others_failed.filter(|_| source == Source::StoreOrEndpoint);
        match self.refusal.as_ref().or(others_failed) {
            Some((end, error)) if now.mono < *end => Next::Fail(error.clone()),
            _ if now.mono >= deadline => Next::OutOfTime,
            _ if self.fetch.is_some() => Next::Wait,
            _ => Next::Fetch(self.begin_fetch(now, source, false)),
        }
    }

    fn begin_fetch(&mut self, now: Moment, source: Source, is_renewal: bool) -> Ticket {
        self.serial += 1;
        let is_after_401 = std::mem::take(&mut self.is_after_401);
        if is_after_401 {
            self.last_refetch = Some(now.mono);
        }
        let ticket = Ticket {
            serial: self.serial,
            generation: self.generation,
            source: if self.has_store && !self.skips_store {
                source
            } else {
                Source::Endpoint
            },
            is_renewal,
            is_after_401,
        };
        self.fetch = Some(ticket);
        ticket
    }

    /// Whether a token that the store holds must not be used: it was rejected,
    /// or is the one to be replaced.
    pub(super) fn excludes(&self, is_it: impl Fn(&T) -> bool) -> bool {
        let current = self.token.as_ref().map(|cached| &cached.token);
        self.rejected.iter().chain(current).any(is_it)
    }

    /// Whether what this fetch brings still counts.
    pub(super) fn is_current(&self, ticket: Ticket) -> bool {
        ticket.generation == self.generation
    }

    /// Ends a fetch. Returns whether it still counts. `shorten` makes pauses
    /// shorter at random.
    pub(super) fn fetch_done(
        &mut self,
        ticket: Ticket,
        now: Instant,
        outcome: &FetchOutcome<T, E>,
        shorten: impl Fn(Duration) -> Duration,
    ) -> bool {
        self.fetch = None;
        if !self.is_current(ticket) {
            return false;
        }
        let after = |pause| now.checked_add(shorten(pause));
        match outcome {
            FetchOutcome::Fetched(token, life, source) => {
                let is_second_try = ticket.is_after_401 && *source != Source::Endpoint;
                if is_second_try {
                    // No token request was made.
                    self.last_refetch = None;
                }
                if *source == Source::Endpoint {
                    self.skips_store = false;
                }
                self.refusal = None;
                self.others_failed = None;
                self.no_renewal_before = None;
                self.is_after_401 = false;
                self.token = Some(Cached {
                    token: token.clone(),
                    serial: ticket.serial,
                    life: *life,
                    is_suspect: false,
                    is_after_401: ticket.is_after_401 && *source == Source::Endpoint,
                    is_second_try,
                });
            }
            FetchOutcome::Refused(error) => {
                self.no_renewal_before = after(RENEWAL_PAUSE);
                self.refusal = after(REFUSAL_MEMORY).map(|end| (end, error.clone()));
            }
            FetchOutcome::OthersFailed(error) => {
                self.no_renewal_before = after(RENEWAL_PAUSE);
                self.others_failed = after(REFUSAL_MEMORY).map(|end| (end, error.clone()));
            }
            FetchOutcome::Failed(_) | FetchOutcome::OutOfTime(..) => {
                self.no_renewal_before = after(RENEWAL_PAUSE);
            }
            FetchOutcome::Deferred => {
                self.no_renewal_before = after(DEFERRAL);
                if ticket.is_after_401 {
                    // No token request was made.
                    self.last_refetch = None;
                }
            }
            FetchOutcome::Abandoned => {}
        }
        true
    }

    /// For a caller that waited for a fetch of this generation and has so much
    /// time left. `None`: ask again.
    pub(super) fn after_wait(
        &self,
        generation: u64,
        outcome: FetchOutcome<T, E>,
        source: Source,
        left: Duration,
    ) -> Result<Option<T>, E> {
        if generation != self.generation {
            return Ok(None);
        }
        match outcome {
            // The store's token says nothing of the endpoint, nor do others.
            FetchOutcome::Fetched(_, _, Source::StoreOrEndpoint)
            | FetchOutcome::OthersFailed(_)
                if source == Source::Endpoint =>
            {
                Ok(None)
            }
            FetchOutcome::Fetched(token, ..) => Ok(Some(token)),
            FetchOutcome::Refused(error)
            | FetchOutcome::OthersFailed(error)
            | FetchOutcome::Failed(error) => Err(error),
            // With less time the next fetch would end the same way.
            FetchOutcome::OutOfTime(error, taken) if left <= taken => Err(error),
            FetchOutcome::OutOfTime(..) | FetchOutcome::Deferred | FetchOutcome::Abandoned => {
                Ok(None)
            }
        }
    }

    pub(super) fn has_valid_token(&self, now: Moment) -> bool {
        self.token
            .as_ref()
            .is_some_and(|cached| cached.life.is_valid(now))
    }

    fn may_refetch(&self, now: Moment) -> bool {
        self.last_refetch
            .is_none_or(|last| now.mono.saturating_duration_since(last) >= REFETCH_INTERVAL)
    }

    /// After a 401 for the token with this number.
    pub(super) fn reject_token(&mut self, serial: u64, now: Moment) -> Rejection<T> {
        match &mut self.token {
            Some(cached) if cached.serial == serial => cached.is_suspect = true,
            _ => return Rejection::Outdated,
        }
        if !self.may_refetch(now) {
            return Rejection::Kept;
        }
        let Some(cached) = self.token.take() else {
            return Rejection::Outdated;
        };
        self.is_after_401 = true;
        self.skips_store |= cached.is_second_try;
        if self.has_store {
            if self.rejected.len() == MAX_REJECTED {
                self.rejected.remove(0);
            }
            self.rejected.push(cached.token.clone());
        }
        Rejection::Dropped(cached.token)
    }

    /// After a 401 that may be about the token with this number: the next
    /// caller replaces it. A new token that itself replaced a doubted one, and
    /// that the API has never accepted, is not doubted: then the 401s are about
    /// something else.
    pub(super) fn suspect_token(&mut self, serial: u64, was_accepted: bool) {
        if let Some(cached) = self.token.as_mut().filter(|it| it.serial == serial) {
            cached.is_suspect |= was_accepted || !cached.is_after_401;
        }
    }

    /// Forgets the token and what is remembered of failures. What a fetch
    /// under way brings does not count.
    pub(super) fn invalidate(&mut self) {
        self.generation += 1;
        self.token = None;
        self.skips_store = true;
        self.is_after_401 = false;
        self.refusal = None;
        self.others_failed = None;
    }
}

#[cfg(test)]
mod tests;
