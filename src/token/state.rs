//! [`State`]: what is known of the access token, and who may fetch another.
//! No I/O, no lock; the time is an argument.

use std::time::{Duration, Instant, SystemTime};

use crate::clock::Clock;

/// A token is renewed this long before its end, or a tenth of its life if that
/// is less.
const MARGIN: Duration = Duration::from_secs(30);
/// A token that is younger is not the reason for a 401: fetching another would
/// let whoever can cause a 401 cause traffic.
const TOO_YOUNG_TO_DOUBT: Duration = Duration::from_secs(30);
/// How long refused credentials are not tried again.
const REFUSAL_MEMORY: Duration = Duration::from_secs(1);
/// How long after a failed renewal a valid token is used without another.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);

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

/// How long a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    /// When the token came into this process.
    pub(super) start: Moment,
    /// How long it lives from then on.
    pub(super) length: Duration,
    /// When it was fetched, perhaps by another process.
    pub(super) issued: SystemTime,
}

impl Life {
    fn is_valid(&self, now: Moment) -> bool {
        self.start.age(now) < self.length
    }

    fn wants_renewal(&self, now: Moment) -> bool {
        self.start.age(now) + margin(self.length) >= self.length
    }

    fn is_young(&self, now: Moment) -> bool {
        let known = now.wall.duration_since(self.issued).unwrap_or_default();
        self.start.age(now).max(known) < TOO_YOUNG_TO_DOUBT
    }
}

/// How long before its end a token is renewed.
pub(super) fn margin(life: Duration) -> Duration {
    MARGIN.min(life / 10)
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
    /// What the fetch brings counts in this generation only.
    pub(super) generation: u64,
    pub(super) source: Source,
}

/// What a caller who needs a token does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T, E> {
    /// Use this token.
    Use(T),
    /// Fetch the next token. If that fails, look again: there is a valid one.
    Renew(Ticket),
    /// Fetch a token, and tell the state how it ended.
    Fetch(Ticket),
    /// Wait for the fetch under way.
    Wait,
    /// Fail with what the token endpoint has just said.
    Fail(E),
    /// Fail because no time is left.
    OutOfTime,
}

/// How a fetch ended.
#[derive(Debug)]
pub(super) enum FetchResult<T, E> {
    Fetched(T, Life),
    /// The endpoint refused the credentials.
    Refused(E),
    Failed,
}

/// What is known of the access token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State<T, E> {
    token: Option<Cached<T>>,
    /// Not to be taken from the store again.
    rejected: Option<T>,
    /// Whether a fetch is under way.
    is_fetching: bool,
    /// The number of fetches so far.
    serial: u64,
    /// Advanced by whatever makes earlier tokens worthless.
    generation: u64,
    /// The endpoint's refusal, and until when it is repeated.
    refusal: Option<(Instant, E)>,
    no_renewal_before: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cached<T> {
    token: T,
    serial: u64,
    life: Life,
}

impl<T: Clone, E: Clone> State<T, E> {
    pub(super) fn new() -> Self {
        Self {
            token: None,
            rejected: None,
            is_fetching: false,
            serial: 0,
            generation: 0,
            refusal: None,
            no_renewal_before: None,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// For a caller that needs any valid token.
    pub(super) fn next(&mut self, now: Moment, deadline: Instant) -> Next<T, E> {
        if let Some(cached) = &self.token {
            if cached.life.is_valid(now) {
                let is_paused = self.no_renewal_before.is_some_and(|end| now.mono < end);
                if !cached.life.wants_renewal(now) || is_paused || self.is_fetching {
                    return Next::Use(cached.token.clone());
                }
                return Next::Renew(self.begin_fetch(Source::StoreOrEndpoint));
            }
            // Not even a clock that is set back revives it.
            self.token = None;
        }
        self.fetch_or_wait(now, deadline, Source::StoreOrEndpoint)
    }

    /// For a caller that needs a token from this source, whatever is cached.
    pub(super) fn fetch_or_wait(
        &mut self,
        now: Moment,
        deadline: Instant,
        source: Source,
    ) -> Next<T, E> {
        match &self.refusal {
            Some((end, refusal)) if now.mono < *end => Next::Fail(refusal.clone()),
            _ if now.mono >= deadline => Next::OutOfTime,
            _ if self.is_fetching => Next::Wait,
            _ => Next::Fetch(self.begin_fetch(source)),
        }
    }

    fn begin_fetch(&mut self, source: Source) -> Ticket {
        self.is_fetching = true;
        self.serial += 1;
        Ticket {
            serial: self.serial,
            generation: self.generation,
            source,
        }
    }

    /// Ends a fetch. Returns whether it still counts.
    pub(super) fn fetch_done(
        &mut self,
        ticket: Ticket,
        now: Instant,
        result: FetchResult<T, E>,
    ) -> bool {
        self.is_fetching = false;
        if ticket.generation != self.generation {
            return false;
        }
        match result {
            FetchResult::Fetched(token, life) => {
                self.refusal = None;
                self.no_renewal_before = None;
                self.token = Some(Cached {
                    token,
                    serial: ticket.serial,
                    life,
                });
            }
            FetchResult::Refused(error) => {
                self.no_renewal_before = now.checked_add(RENEWAL_PAUSE);
                self.refusal = now.checked_add(REFUSAL_MEMORY).map(|end| (end, error));
            }
            FetchResult::Failed => self.no_renewal_before = now.checked_add(RENEWAL_PAUSE),
        }
        true
    }

    /// Ends a fetch of which nothing is known.
    pub(super) fn fetch_abandoned(&mut self) {
        self.is_fetching = false;
    }

    pub(super) fn has_valid_token(&self, now: Moment) -> bool {
        self.token
            .as_ref()
            .is_some_and(|cached| cached.life.is_valid(now))
    }

    /// The token that the store must not bring back.
    pub(super) fn rejected(&self) -> Option<&T> {
        self.rejected.as_ref()
    }

    /// After a 401 for the token with this number. Returns whether another
    /// attempt is worth it, and the token if it is now dropped.
    pub(super) fn reject_token(&mut self, serial: u64, now: Moment) -> (bool, Option<T>) {
        match &self.token {
            Some(cached) if cached.serial == serial => {
                if cached.life.is_young(now) {
                    return (false, None);
                }
                self.drop_token();
                (true, self.rejected.clone())
            }
            _ => (true, None),
        }
    }

    /// Drops the token so that the store cannot bring it back.
    fn drop_token(&mut self) {
        if let Some(cached) = self.token.take() {
            self.rejected = Some(cached.token);
        }
    }

    /// Forgets the token and what is remembered of failures. What a fetch
    /// brings that is under way does not count.
    pub(super) fn invalidate(&mut self) {
        self.generation += 1;
        self.drop_token();
        self.refusal = None;
        self.no_renewal_before = None;
    }

    /// Marks a token that the store holds as rejected.
    pub(super) fn reject_stored(&mut self, token: T) {
        self.rejected = Some(token);
    }
}
