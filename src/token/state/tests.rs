//! Explores the state over all interleavings of three threads.
//!
//! A [`Model`] is the state together with the threads that use it as `cache.rs`
//! does. One [`Step`] is what a thread does between two acquisitions of the
//! lock. From the first model on, every possible step of every thread and every
//! event from outside is taken. Each model is visited once.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use super::*;

const THREADS: usize = 3;
/// A token's life in seconds: it is renewed from 90 on.
const LIFE: u64 = 100;
/// Time passes in such steps.
const PAUSE: u64 = 30;
/// The time that a call has.
const TIMEOUT: u64 = 60;

static START: LazyLock<Moment> = LazyLock::new(|| Moment {
    mono: Instant::now(),
    wall: SystemTime::now(),
});

fn at(seconds: u64) -> Moment {
    let after = Duration::from_secs(seconds);
    Moment {
        mono: START.mono + after,
        wall: START.wall + after,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Token {
    serial: u64,
    text: u64,
    /// The number of invalidations before it was requested.
    epoch: u64,
}

/// The number of the fetch that failed.
type Failure = u64;
type Outcome = FetchOutcome<Token, Failure>;

/// The number of times that each event may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Events {
    /// `invalidate_token` or `set_credentials`.
    invalidations: u8,
    /// 401s about the token.
    rejections: u8,
    /// 401s with an error body on a validate call.
    suspicions: u8,
    failures: u8,
    panics: u8,
    /// Another process saves a token.
    foreign_saves: u8,
    /// Another process takes the lease. It ends with a token or without.
    foreign_leases: u8,
    /// Time passes.
    pauses: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Thread {
    calls: u8,
    /// The last of the calls is `check_credentials`.
    checks: bool,
    deadline: u64,
    has_repeated: bool,
    step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Idle,
    Ask,
    LoadStored(Ticket, u64),
    /// Without leases: looks again after a pause.
    LoadAgain(Ticket, u64),
    TakeLease(Ticket, u64),
    /// Another process has the lease.
    AwaitStored(Ticket, u64),
    Request(Ticket, u64),
    Save(Ticket, u64, Token),
    End(Ticket, u64, Outcome),
    RemoveStale(Token),
    Wait(Ticket),
    Use(Token),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Own,
    Foreign,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Model {
    now: u64,
    state: State<Token, Failure>,
    threads: Vec<Thread>,
    fetch: Option<Ticket>,
    /// For those who still wait.
    ended: Vec<(Ticket, Outcome)>,
    store: Option<Token>,
    has_cleared_store: bool,
    has_leases: bool,
    lease: Option<Holder>,
    events: Events,

    // What an observer knows without looking into the state.
    epoch: u64,
    /// When the life of the cached token began.
    fetched: Option<u64>,
    /// A 401 had the token dropped.
    is_dropped: bool,
    /// The fetch under way has a 401 as its reason.
    is_refetch: bool,
    last_refetch: Option<u64>,
}

impl Model {
    fn new(has_store: bool, calls: [u8; THREADS], checks: bool, events: Events) -> Self {
        let thread = |(index, calls)| Thread {
            calls,
            checks: checks && index == 0,
            deadline: 0,
            has_repeated: false,
            step: Step::Idle,
        };
        Self {
            now: 0,
            state: State::new(has_store),
            threads: calls.into_iter().enumerate().map(thread).collect(),
            fetch: None,
            ended: Vec::new(),
            store: None,
            has_cleared_store: true,
            has_leases: events.foreign_leases > 0,
            lease: None,
            events,
            epoch: 0,
            fetched: None,
            is_dropped: false,
            is_refetch: false,
            last_refetch: None,
        }
    }

    /// All models that may come next.
    fn successors(&self, seen: &mut BTreeSet<&'static str>) -> Vec<Self> {
        let mut next = Vec::new();
        for index in 0..THREADS {
            self.steps(index, &mut next, seen);
        }
        // Whoever waits for another process goes on when its lease ends.
        let is_waiting = self.lease == Some(Holder::Foreign);
        assert!(
            !next.is_empty() || is_waiting || self.threads.iter().all(Thread::is_done),
            "a thread starves: {self:#?}"
        );
        self.outside(&mut next);
        for model in &mut next {
            model.tidy();
        }
        next
    }

    fn outside(&self, next: &mut Vec<Self>) {
        let mut event = |count: fn(&mut Events) -> &mut u8, happen: fn(&mut Self)| {
            let mut model = self.clone();
            if let Some(left) = count(&mut model.events).checked_sub(1) {
                *count(&mut model.events) = left;
                happen(&mut model);
                next.push(model);
            }
        };
        event(|it| &mut it.pauses, |model| model.now += PAUSE);
        event(
            |it| &mut it.invalidations,
            |model| {
                model.state.invalidate();
                model.epoch += 1;
                model.has_cleared_store = false;
                (model.fetched, model.is_dropped) = (None, false);
            },
        );
        event(
            |it| &mut it.foreign_saves,
            |model| {
                model.store = Some(Token {
                    serial: 0,
                    text: 100 + u64::from(model.events.foreign_saves),
                    epoch: model.epoch,
                });
            },
        );
        match self.lease {
            None => event(
                |it| &mut it.foreign_leases,
                |model| model.lease = Some(Holder::Foreign),
            ),
            Some(Holder::Foreign) => {
                let mut model = self.clone();
                model.lease = None;
                next.push(model.clone());
                model.store = Some(Token {
                    serial: 0,
                    text: 200 + u64::from(model.events.foreign_leases),
                    epoch: model.epoch,
                });
                next.push(model);
            }
            Some(Holder::Own) => {}
        }
        if !self.has_cleared_store {
            let mut model = self.clone();
            model.has_cleared_store = true;
            model.store = None;
            next.push(model);
        }
    }

    /// What one thread may do next.
    #[expect(clippy::too_many_lines, reason = "one arm for each step")]
    fn steps(&self, index: usize, next: &mut Vec<Self>, seen: &mut BTreeSet<&'static str>) {
        let go = |step: Step| {
            let mut model = self.clone();
            model.threads[index].step = step;
            model
        };
        let thread = &self.threads[index];
        match thread.step.clone() {
            Step::Idle if thread.calls == 0 => {}
            Step::Idle => {
                let mut model = go(Step::Ask);
                model.threads[index].deadline = self.now + TIMEOUT;
                model.threads[index].has_repeated = false;
                next.push(model);
            }
            Step::Ask => {
                let mut model = go(Step::Ask);
                model.ask(index, seen);
                next.push(model);
            }
            Step::LoadStored(ticket, deadline) => {
                if let Some(end) = self.stored(ticket, deadline, seen) {
                    next.push(go(end));
                } else if self.has_leases && self.lease != Some(Holder::Own) {
                    next.push(go(Step::TakeLease(ticket, deadline)));
                } else {
                    next.push(go(Step::Request(ticket, deadline)));
                    if !self.has_leases && !ticket.is_renewal {
                        next.push(go(Step::LoadAgain(ticket, deadline)));
                    }
                }
            }
            Step::LoadAgain(ticket, deadline) => {
                next.push(go(if !self.state.is_current(ticket) {
                    let taken = Duration::from_secs(PAUSE);
                    let outcome = FetchOutcome::OutOfTime(ticket.serial, taken);
                    Step::End(ticket, deadline, outcome)
                } else if let Some(end) = self.stored(ticket, deadline, seen) {
                    seen.insert("a token that another process fetched meanwhile");
                    end
                } else {
                    Step::Request(ticket, deadline)
                }));
            }
            Step::TakeLease(ticket, deadline) => {
                let mut model = go(match self.lease {
                    // Looks again.
                    None => Step::LoadStored(ticket, deadline),
                    Some(_) if ticket.is_renewal => {
                        Step::End(ticket, deadline, FetchOutcome::Deferred)
                    }
                    Some(_) => Step::AwaitStored(ticket, deadline),
                });
                model.lease.get_or_insert(Holder::Own);
                next.push(model);
            }
            Step::AwaitStored(ticket, deadline) => {
                let end = |outcome| Step::End(ticket, deadline, outcome);
                if let Some(end) = self.stored(ticket, deadline, seen) {
                    seen.insert("a token that another process fetched");
                    next.push(go(end));
                } else if self.now >= deadline || !self.state.is_current(ticket) {
                    let taken = Duration::from_secs(PAUSE);
                    next.push(go(end(FetchOutcome::OutOfTime(ticket.serial, taken))));
                } else if self.lease.is_none() {
                    seen.insert("a lease that ended without a token");
                    next.push(go(Step::TakeLease(ticket, deadline)));
                }
                if self.events.failures > 0 {
                    // Other processes have failed, or this one a moment ago.
                    for outcome in [FetchOutcome::OthersFailed, FetchOutcome::Failed] {
                        let mut model = go(end(outcome(ticket.serial)));
                        model.events.failures -= 1;
                        next.push(model);
                    }
                }
            }
            Step::Request(ticket, deadline) => self.request(index, ticket, deadline, next),
            Step::Save(ticket, deadline, token) => {
                let outcome = FetchOutcome::Fetched(token, life(self.now), Source::Endpoint);
                let mut model = go(Step::End(ticket, deadline, outcome));
                model.store = Some(token);
                next.push(model);
            }
            Step::End(ticket, deadline, outcome) => {
                let mut model = go(Step::Ask);
                model.lease = self.lease.filter(|it| *it == Holder::Foreign);
                model.end_fetch(index, ticket, deadline, &outcome, seen);
                next.push(model);
            }
            Step::RemoveStale(token) => {
                let mut model = go(Step::Ask);
                if model.store == Some(token) {
                    model.store = None;
                }
                next.push(model);
            }
            Step::Wait(ticket) => {
                let mut model = go(Step::Ask);
                if let Some((_, outcome)) = self.ended.iter().find(|(it, _)| *it == ticket) {
                    model.wake(index, ticket, outcome.clone(), seen);
                    next.push(model);
                } else {
                    assert_eq!(self.fetch, Some(ticket), "nobody ends this fetch");
                    if self.now >= thread.deadline {
                        model.finish(index, None);
                        next.push(model);
                    }
                }
            }
            Step::Use(token) => {
                let mut model = go(Step::Idle);
                model.threads[index].calls -= 1;
                next.push(model.clone());
                if self.events.suspicions > 0 {
                    let mut model = model.clone();
                    model.events.suspicions -= 1;
                    let mut accepted = model.clone();
                    model.state.suspect_token(token.serial, false);
                    accepted.state.suspect_token(token.serial, true);
                    next.extend([model, accepted]);
                }
                if self.events.rejections > 0 {
                    model.events.rejections -= 1;
                    model.reject(index, token, seen);
                    next.push(model);
                }
            }
        }
    }

    /// The end of a fetch with the store's token, if that is good.
    fn stored(
        &self,
        ticket: Ticket,
        deadline: u64,
        seen: &mut BTreeSet<&'static str>,
    ) -> Option<Step> {
        let is_it = |stored: &Token| self.state.excludes(|token| token.text == stored.text);
        let stored = self.store.filter(|stored| !is_it(stored))?;
        seen.insert("a token from the store");
        let token = Token {
            serial: ticket.serial,
            ..stored
        };
        let outcome = FetchOutcome::Fetched(token, life(self.now), Source::StoreOrEndpoint);
        Some(Step::End(ticket, deadline, outcome))
    }

    /// The endpoint's response to a token request.
    fn request(&self, index: usize, ticket: Ticket, deadline: u64, next: &mut Vec<Self>) {
        let go = |step| {
            let mut model = self.clone();
            model.threads[index].step = step;
            model
        };
        let end = |outcome| go(Step::End(ticket, deadline, outcome));
        let token = Token {
            serial: ticket.serial,
            text: ticket.serial,
            epoch: ticket.generation,
        };
        if self.now >= deadline {
            next.push(end(FetchOutcome::OutOfTime(
                ticket.serial,
                Duration::from_secs(PAUSE),
            )));
        }
        if self.events.failures > 0 {
            for outcome in [
                FetchOutcome::Failed(ticket.serial),
                FetchOutcome::Refused(ticket.serial),
            ] {
                let mut model = end(outcome);
                model.events.failures -= 1;
                next.push(model);
            }
        }
        if self.events.panics > 0 {
            let mut model = end(FetchOutcome::Abandoned);
            model.events.panics -= 1;
            next.push(model);
        }
        if self.state.has_store && self.state.is_current(ticket) {
            next.push(go(Step::Save(ticket, deadline, token)));
        } else {
            let life = life(self.now);
            next.push(end(FetchOutcome::Fetched(token, life, Source::Endpoint)));
        }
    }

    fn ask(&mut self, index: usize, seen: &mut BTreeSet<&'static str>) {
        let now = at(self.now);
        let thread = &self.threads[index];
        let deadline = at(thread.deadline).mono;
        let is_check = thread.is_check();
        let had_token = self.state.has_valid_token(now);
        let next = if is_check {
            let source = Source::Endpoint;
            self.state.fetch_or_wait(now, deadline, source)
        } else {
            self.state.next(now, deadline)
        };
        let left = self.threads[index].deadline - self.now.min(self.threads[index].deadline);
        match next {
            Next::Use(token) => {
                assert!(!is_check && had_token);
                self.finish(index, Some(token));
            }
            Next::Renew(ticket) => {
                seen.insert("a renewal");
                assert!(had_token && !is_check);
                self.begin_fetch(index, ticket, self.now + left / 2, seen);
            }
            Next::Fetch(ticket) => {
                let deadline = self.threads[index].deadline;
                self.begin_fetch(index, ticket, deadline, seen);
            }
            Next::Wait => {
                assert!(is_check || !had_token, "who has a token does not wait");
                let ticket = self.fetch.expect("there is nothing to wait for");
                self.threads[index].step = Step::Wait(ticket);
            }
            Next::Fail(serial) => {
                seen.insert("a remembered refusal");
                let of_others = FetchOutcome::OthersFailed(serial);
                let is_of_others = self.ended.iter().any(|(_, ended)| *ended == of_others);
                assert!(!(is_check && is_of_others), "a check asks the endpoint");
                self.finish(index, None);
            }
            Next::OutOfTime => {
                assert_eq!(left, 0);
                self.finish(index, None);
            }
        }
    }

    fn begin_fetch(
        &mut self,
        index: usize,
        ticket: Ticket,
        deadline: u64,
        seen: &mut BTreeSet<&'static str>,
    ) {
        assert_eq!(self.fetch, None, "two fetches at a time");
        self.fetch = Some(ticket);
        let is_check = self.threads[index].is_check();
        let is_fresh = self.fetched.is_some_and(|fetched| self.now < fetched + 90);
        self.is_refetch = self.is_dropped || (is_fresh && !is_check);
        if std::mem::take(&mut self.is_dropped) {
            // If this fetch fails, a token is simply missing.
            self.fetched = None;
        }
        if self.is_refetch {
            seen.insert("a fetch because of a 401");
            assert!(!self.has_refetched(), "two token requests because of 401s");
            self.last_refetch = Some(self.now);
        }
        self.threads[index].step = if ticket.source == Source::StoreOrEndpoint {
            Step::LoadStored(ticket, deadline)
        } else {
            Step::Request(ticket, deadline)
        };
    }

    /// Whether a 401 has cost a token request in the last 30 seconds.
    fn has_refetched(&self) -> bool {
        self.last_refetch.is_some_and(|last| self.now < last + 30)
    }

    fn end_fetch(
        &mut self,
        index: usize,
        ticket: Ticket,
        deadline: u64,
        outcome: &Outcome,
        seen: &mut BTreeSet<&'static str>,
    ) {
        let now = at(self.now);
        let counts = self
            .state
            .fetch_done(ticket, now.mono, outcome, |pause| pause);
        self.fetch = None;
        self.ended.push((ticket, outcome.clone()));
        let is_refetch = std::mem::take(&mut self.is_refetch);
        if !counts {
            seen.insert("a fetch that no longer counts");
            assert_ne!(ticket.generation, self.epoch);
            if let FetchOutcome::Fetched(token, _, Source::Endpoint) = *outcome {
                if self.state.has_store {
                    self.threads[index].step = Step::RemoveStale(token);
                }
            }
            return;
        }
        assert_eq!(ticket.generation, self.epoch, "it was asked for before");
        let is_renewal = deadline != self.threads[index].deadline;
        match *outcome {
            FetchOutcome::Fetched(token, life, source) => {
                if is_refetch && source == Source::StoreOrEndpoint {
                    self.last_refetch = None;
                }
                let start = life.start.mono.duration_since(START.mono).as_secs();
                (self.fetched, self.is_dropped) = (Some(start), false);
                self.finish(index, Some(token));
            }
            FetchOutcome::Deferred => {
                seen.insert("a renewal by another process");
                assert!(ticket.is_renewal);
                if is_refetch {
                    self.last_refetch = None;
                }
            }
            FetchOutcome::Abandoned => {
                seen.insert("a panic");
                self.finish(index, None);
            }
            FetchOutcome::Refused(_)
            | FetchOutcome::OthersFailed(_)
            | FetchOutcome::Failed(_)
            | FetchOutcome::OutOfTime(..) => {
                let is_timeout = matches!(outcome, FetchOutcome::OutOfTime(..));
                if is_renewal && (is_timeout || self.state.has_valid_token(now)) {
                    seen.insert("a failed renewal of a valid token");
                } else {
                    self.finish(index, None);
                }
            }
        }
    }

    fn wake(
        &mut self,
        index: usize,
        ticket: Ticket,
        outcome: Outcome,
        seen: &mut BTreeSet<&'static str>,
    ) {
        let thread = &self.threads[index];
        let is_check = thread.is_check();
        let left = Duration::from_secs(thread.deadline.saturating_sub(self.now));
        let source = if is_check {
            Source::Endpoint
        } else {
            Source::StoreOrEndpoint
        };
        let got = self
            .state
            .after_wait(ticket.generation, outcome.clone(), source, left);
        if ticket.generation != self.epoch {
            assert_eq!(got, Ok(None), "it waited for what no longer counts");
            return;
        }
        match (got, outcome) {
            (Ok(Some(token)), FetchOutcome::Fetched(_, _, from)) => {
                seen.insert("a shared token");
                assert!(!is_check || from == Source::Endpoint);
                self.finish(index, Some(token));
            }
            (Err(_), FetchOutcome::OthersFailed(_)) => {
                seen.insert("a shared failure of others");
                assert!(!is_check);
                self.finish(index, None);
            }
            (Ok(None), FetchOutcome::OthersFailed(_)) => assert!(is_check),
            (Err(got), FetchOutcome::Failed(failure) | FetchOutcome::Refused(failure)) => {
                seen.insert("a shared failure");
                assert_eq!(got, failure);
                self.finish(index, None);
            }
            (Err(_), FetchOutcome::OutOfTime(_, taken)) => {
                seen.insert("a shared lack of time");
                assert!(left <= taken);
                self.finish(index, None);
            }
            (Ok(None), FetchOutcome::OutOfTime(_, taken)) => {
                seen.insert("a thread takes over");
                assert!(left > taken);
            }
            (Ok(None), FetchOutcome::Fetched(_, _, Source::StoreOrEndpoint)) => {
                assert!(is_check);
            }
            (Ok(None), FetchOutcome::Abandoned | FetchOutcome::Deferred) => {}
            (got, outcome) => panic!("{got:?} after {outcome:?}"),
        }
    }

    fn reject(&mut self, index: usize, token: Token, seen: &mut BTreeSet<&'static str>) {
        let is_worth_it = match self.state.reject_token(token.serial, at(self.now)) {
            Rejection::Outdated => true,
            Rejection::Dropped(dropped) => {
                seen.insert("a dropped token");
                assert_eq!(dropped, token);
                self.is_dropped = true;
                if self.store.is_some_and(|stored| stored.text == token.text) {
                    self.store = None;
                }
                true
            }
            Rejection::Kept => {
                seen.insert("a token that is kept");
                assert!(self.has_refetched(), "the first 401 is worth a request");
                false
            }
        };
        let thread = &mut self.threads[index];
        if is_worth_it && !thread.has_repeated {
            thread.has_repeated = true;
            thread.calls += 1;
            thread.step = Step::Ask;
        }
    }

    fn finish(&mut self, index: usize, got: Option<Token>) {
        let thread = &mut self.threads[index];
        let is_check = thread.is_check();
        thread.step = match got {
            Some(token) => {
                assert_eq!(token.epoch, self.epoch, "a token from before is served");
                if is_check {
                    Step::Idle
                } else {
                    Step::Use(token)
                }
            }
            None => Step::Idle,
        };
        if thread.step == Step::Idle {
            thread.calls -= 1;
        }
    }

    /// Makes models equal that differ in nothing that matters.
    fn tidy(&mut self) {
        let threads = &self.threads;
        self.ended
            .retain(|(ticket, _)| threads.iter().any(|it| it.step == Step::Wait(*ticket)));
        self.threads.sort_by_key(fingerprint);
        if self.threads.iter().all(Thread::is_done) {
            assert_eq!(self.state.fetch, None, "nobody will ever fetch again");
            if self.has_cleared_store {
                let is_old = |token: Token| token.epoch != self.epoch;
                assert!(!self.store.is_some_and(is_old), "it was saved: {self:#?}");
            }
        }
    }
}

impl Thread {
    fn is_done(&self) -> bool {
        self.calls == 0 && self.step == Step::Idle
    }

    fn is_check(&self) -> bool {
        self.checks && self.calls == 1
    }
}

fn life(start: u64) -> Life {
    Life {
        start: at(start),
        length: Duration::from_secs(LIFE),
        margin: Duration::from_secs(10),
    }
}

fn fingerprint(it: &impl Hash) -> (u64, u64) {
    let mut hasher = DefaultHasher::new();
    it.hash(&mut hasher);
    let first = hasher.finish();
    hasher.write_u8(0);
    (first, hasher.finish())
}

/// Visits all models. Returns how many there are and what was seen in them.
fn explore(first: &Model) -> (usize, BTreeSet<&'static str>) {
    let mut seen = BTreeSet::new();
    // Whether the way that is being walked leads through it.
    let mut models = HashMap::from([(fingerprint(first), true)]);
    let mut way = vec![(fingerprint(first), first.successors(&mut seen))];
    while let Some((here, next)) = way.last_mut() {
        let Some(model) = next.pop() else {
            models.insert(*here, false);
            way.pop();
            continue;
        };
        let key = fingerprint(&model);
        match models.get(&key) {
            Some(true) => panic!("threads go round in a circle: {model:#?}"),
            Some(false) => {}
            None => {
                models.insert(key, true);
                let successors = model.successors(&mut seen);
                way.push((key, successors));
            }
        }
    }
    (models.len(), seen)
}

/// Explores all of these and expects that all of this is seen.
fn check(models: impl IntoIterator<Item = Model>, expected: &[&str]) {
    let mut seen = BTreeSet::new();
    for model in models {
        let (count, more) = explore(&model);
        println!("{count} models");
        seen.extend(more);
    }
    assert_eq!(seen, expected.iter().copied().collect());
}

const NONE: Events = Events {
    invalidations: 0,
    rejections: 0,
    suspicions: 0,
    failures: 0,
    panics: 0,
    foreign_saves: 0,
    foreign_leases: 0,
    pauses: 0,
};

/// The kinds of steps that clients with a store go through.
const EVERY_STEP_WITH_A_STORE: [&str; 15] = [
    "a dropped token",
    "a failed renewal of a valid token",
    "a fetch because of a 401",
    "a fetch that no longer counts",
    "a lease that ended without a token",
    "a remembered refusal",
    "a renewal",
    "a renewal by another process",
    "a shared failure",
    "a shared lack of time",
    "a shared token",
    "a thread takes over",
    "a token from the store",
    "a token that another process fetched",
    "a token that is kept",
];

#[test]
fn invalidation_during_fetches_failures_and_panics() {
    let events = Events {
        invalidations: 2,
        failures: 1,
        panics: 1,
        ..NONE
    };
    check(
        [Model::new(false, [1; 3], true, events)],
        &[
            "a fetch that no longer counts",
            "a panic",
            "a remembered refusal",
            "a shared failure",
            "a shared token",
        ],
    );
}

#[test]
fn refused_and_suspected_tokens_over_time() {
    let first = Events {
        rejections: 2,
        suspicions: 1,
        pauses: 1,
        ..NONE
    };
    let second = Events {
        rejections: 2,
        suspicions: 1,
        failures: 1,
        ..NONE
    };
    let third = Events {
        invalidations: 1,
        rejections: 2,
        ..NONE
    };
    check(
        [first, second, third].map(|events| Model::new(false, [2, 1, 1], false, events)),
        &[
            "a dropped token",
            "a failed renewal of a valid token",
            "a fetch because of a 401",
            "a fetch that no longer counts",
            "a remembered refusal",
            "a renewal",
            "a shared failure",
            "a shared lack of time",
            "a shared token",
            "a thread takes over",
            "a token that is kept",
        ],
    );
}

#[test]
fn renewal_and_expiry() {
    let events = Events {
        failures: 1,
        pauses: 4,
        ..NONE
    };
    check(
        [Model::new(false, [2, 1, 0], false, events)],
        &[
            "a failed renewal of a valid token",
            "a remembered refusal",
            "a renewal",
            "a shared failure",
            "a shared lack of time",
            "a shared token",
            "a thread takes over",
        ],
    );
}

#[test]
fn a_store_that_others_write() {
    let first = Events {
        invalidations: 1,
        rejections: 1,
        foreign_saves: 1,
        ..NONE
    };
    let second = Events {
        rejections: 3,
        suspicions: 1,
        foreign_saves: 2,
        ..NONE
    };
    check(
        [(first, true), (second, false)]
            .map(|(events, checks)| Model::new(true, [1; 3], checks, events)),
        &[
            "a dropped token",
            "a fetch because of a 401",
            "a fetch that no longer counts",
            "a renewal",
            "a shared token",
            "a token from the store",
            "a token that another process fetched meanwhile",
            "a token that is kept",
        ],
    );
}

#[test]
fn leases_that_others_take() {
    let first = Events {
        invalidations: 1,
        rejections: 1,
        foreign_leases: 2,
        ..NONE
    };
    let second = Events {
        failures: 1,
        foreign_leases: 1,
        pauses: 4,
        ..NONE
    };
    let third = Events {
        rejections: 2,
        suspicions: 1,
        foreign_leases: 2,
        ..NONE
    };
    check(
        [
            Model::new(true, [1, 1, 0], true, first),
            Model::new(true, [2, 1, 0], false, second),
            Model::new(true, [2, 1, 0], false, third),
        ],
        &[
            &EVERY_STEP_WITH_A_STORE[..],
            &["a shared failure of others"],
        ]
        .concat(),
    );
}

/// All events together; about two million models.
#[test]
#[ignore = "takes a minute; for changes of the state"]
fn everything_at_once() {
    let memory = Events {
        invalidations: 1,
        rejections: 2,
        suspicions: 1,
        failures: 1,
        pauses: 1,
        ..NONE
    };
    let store = Events {
        foreign_saves: 1,
        failures: 0,
        ..memory
    };
    let leases = Events {
        invalidations: 1,
        rejections: 1,
        foreign_leases: 2,
        ..NONE
    };
    // No time passes while others have a lease, so there is no renewal.
    let mut expected = EVERY_STEP_WITH_A_STORE.to_vec();
    expected.retain(|step| *step != "a renewal by another process");
    expected.push("a token that another process fetched meanwhile");
    check(
        [
            Model::new(false, [1; 3], true, memory),
            Model::new(true, [1; 3], true, store),
            Model::new(true, [1; 3], true, leases),
        ],
        &expected,
    );
}

#[test]
fn who_has_no_time_left_does_not_fetch() {
    let mut state: State<&str, &str> = State::new(false);
    for late in [at(1).mono, at(0).mono] {
        assert_eq!(state.next(at(1), late), Next::OutOfTime);
        let renewed = state.fetch_or_wait(at(1), late, Source::Endpoint);
        assert_eq!(renewed, Next::OutOfTime);
    }
}

#[test]
fn a_failed_renewal_is_repeated_after_exactly_five_seconds() {
    let mut state = State::new(false);
    let deadline = at(1000).mono;
    let fetched = FetchOutcome::Fetched("token", life(0), Source::Endpoint);
    let Next::Fetch(ticket) = state.next(at(0), deadline) else {
        panic!("{state:?}");
    };
    state.fetch_done(ticket, at(0).mono, &fetched, |pause| pause);
    let Next::Renew(ticket) = state.next(at(91), deadline) else {
        panic!("{state:?}");
    };
    state.fetch_done(
        ticket,
        at(91).mono,
        &FetchOutcome::Failed("down"),
        |pause| pause,
    );
    let almost = Moment {
        mono: at(95).mono + Duration::from_nanos(999_999_999),
        ..at(96)
    };
    assert_eq!(state.next(almost, deadline), Next::Use("token"));
    assert!(matches!(state.next(at(96), deadline), Next::Renew(_)));
}

#[test]
fn after_an_invalidation_the_store_is_asked_again_once_the_endpoint_gave_a_token() {
    let mut state: State<&str, &str> = State::new(true);
    let mut fetch = |now: u64, source| {
        let Next::Fetch(ticket) = state.next(at(now), at(1000).mono) else {
            panic!("{state:?}");
        };
        let fetched = FetchOutcome::Fetched("token", life(now), source);
        assert!(state.fetch_done(ticket, at(now).mono, &fetched, |pause| pause));
        let asked = ticket.source;
        if now == 0 {
            state.invalidate();
        }
        asked
    };
    assert_eq!(fetch(0, Source::StoreOrEndpoint), Source::StoreOrEndpoint);
    assert_eq!(fetch(1, Source::Endpoint), Source::Endpoint);
    assert_eq!(fetch(200, Source::StoreOrEndpoint), Source::StoreOrEndpoint);
}
