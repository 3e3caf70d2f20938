use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::secret::Secret;
use crate::testing::{ShortClock, TestClient, TransportResult, respond, seconds, token};
use crate::token::state::margin;
use crate::{Client, ClientBuilder, Endpoint, Request, StoredToken};

const OTHER: &str = "other";
/// In the name of a holder whose fetch has failed.
const FAILED: &str = "-failed-";

/// A store in memory whose leases are measured by a test's clock.
#[derive(Clone)]
struct LeaseStore(Arc<Mutex<Content>>);

type OnLoad = dyn Fn(u32, &mut Content) + Send;

struct Content {
    clock: Arc<ManualClock>,
    token: Option<StoredToken>,
    lease: Option<(String, Instant)>,
    /// Called with the number of looks so far, before each look.
    on_load: Box<OnLoad>,
    loads: u32,
    releases: u32,
}

impl Content {
    fn holder(&self) -> Option<&str> {
        let (holder, end) = self.lease.as_ref()?;
        (self.clock.now() < *end).then_some(holder.as_str())
    }

    fn hold(&mut self, holder: &str, length: Duration) {
        self.lease = Some((holder.to_owned(), self.clock.now() + length));
    }

    /// Another client saves a token with so much of its life of 600 s left.
    fn put(&mut self, number: u32, left: u64) {
        let now = self.clock.wall();
        self.token = Some(StoredToken {
            token: format!("t{number}").as_str().into(),
            issued_at: now + seconds(left) - seconds(600),
            expires_at: now + seconds(left),
        });
    }
}

impl LeaseStore {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Content {
            clock: Arc::new(ManualClock::new()),
            token: None,
            lease: None,
            on_load: Box::new(|_, _| ()),
            loads: 0,
            releases: 0,
        })))
    }

    fn on_load(&self, hook: impl Fn(u32, &mut Content) + Send + 'static) {
        self.change(|content| content.on_load = Box::new(hook));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn holder(&self) -> Option<String> {
        self.change(|content| content.holder().map(str::to_owned))
    }

    fn clock(&self) -> Arc<ManualClock> {
        self.change(|content| Arc::clone(&content.clock))
    }

    /// A client of this store, over a server whose tokens are numbered from 0.
    fn client(&self) -> TestClient {
        self.client_over(|number| token(number, 600))
    }

    fn client_over(
        &self,
        token: impl Fn(usize) -> TransportResult + Send + Sync + 'static,
    ) -> TestClient {
        let set = |builder: ClientBuilder| builder.token_store(self.clone()).clock(self.clock());
        TestClient::with(
            move |number, _, _| token(number),
            |_, _, _| respond(200, "{}"),
            set,
        )
    }
}

impl TokenStore for LeaseStore {
    fn load(&self, _: &TokenKey) -> io::Result<Option<StoredToken>> {
        Ok(self.change(|content| {
            let hook = std::mem::replace(&mut content.on_load, Box::new(|_, _| ()));
            hook(content.loads, content);
            content.on_load = hook;
            content.loads += 1;
            content.token.clone()
        }))
    }

    fn save(&self, _: &TokenKey, token: &StoredToken) -> io::Result<()> {
        self.change(|content| content.token = Some(token.clone()));
        Ok(())
    }

    fn remove(&self, _: &TokenKey, _: &Secret) -> io::Result<()> {
        Ok(())
    }

    fn lease(&self, _: &TokenKey, holder: &str, length: Duration) -> io::Result<Lease> {
        Ok(self.change(|content| {
            if let Some(other) = content.holder() {
                return Lease::Held(other.to_owned());
            }
            content.hold(holder, length);
            Lease::Granted
        }))
    }

    fn release(&self, _: &TokenKey, holder: &str) -> io::Result<()> {
        self.change(|content| {
            content.releases += 1;
            if content.holder() == Some(holder) {
                content.lease = None;
            }
        });
        Ok(())
    }

    fn pass_lease(
        &self,
        _: &TokenKey,
        holder: &str,
        next: &str,
        length: Duration,
    ) -> io::Result<()> {
        self.change(|content| {
            if content.holder() == Some(holder) {
                content.hold(next, length);
            }
        });
        Ok(())
    }
}

fn call(client: &Client) -> Result<serde_json::Value, Error> {
    client.send(&Request::new(Endpoint::ListUsers))
}

#[test]
fn a_fetch_has_the_lease_until_its_token_is_saved() {
    let store = LeaseStore::new();
    let seen = store.clone();
    let test = store.client_over(move |number| {
        let holder = seen.holder().unwrap();
        assert!(holder.len() < 50 && holder.chars().all(|c| c.is_ascii_alphanumeric()));
        let end = seen.change(|content| content.lease.clone()).unwrap().1;
        assert_eq!(end - seen.clock().now(), seconds(5));
        token(number, 600)
    });
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), store.holder()), (1, None));
    assert!(store.change(|content| content.token.is_some()));

    // No longer than the caller has.
    let store = LeaseStore::new();
    let seen = store.clone();
    let test = store.client_over(move |number| {
        let end = seen.change(|content| content.lease.clone()).unwrap().1;
        assert_eq!(end - seen.clock().now(), seconds(2));
        token(number, 600)
    });
    call(&test.client.with_timeout(seconds(2))).unwrap();
}

#[test]
fn while_another_client_renews_it_a_valid_token_is_used_without_a_wait() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    call(&test.client).unwrap();
    clock.advance(seconds(575));
    store.change(|content| content.hold(OTHER, seconds(60)));
    call(&test.client).unwrap();
    let loads = store.change(|content| content.loads);
    call(&test.client).unwrap();
    assert_eq!(
        store.change(|content| content.loads),
        loads,
        "not at each call"
    );
    assert_eq!((test.token_requests(), clock.slept().len()), (1, 0));
    assert_eq!(store.holder().as_deref(), Some(OTHER));

    // After two seconds it looks again, and finds the token.
    clock.advance(seconds(2));
    store.change(|content| content.put(9, 600));
    call(&test.client).unwrap();
    clock.advance(seconds(23));
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), clock.slept().len()), (1, 0));
}

#[test]
fn a_stored_token_that_another_client_renews_is_used_and_so_it_is_if_the_fetch_fails() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    store.change(|content| content.put(9, 20));
    store.change(|content| content.hold(OTHER, seconds(60)));
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), clock.slept().len()), (0, 0));

    let store = LeaseStore::new();
    let test = store.client_over(|_| respond(400, r#"{"error":"invalid_client"}"#));
    store.change(|content| content.put(9, 20));
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
}

#[test]
fn a_client_without_a_token_waits_for_that_of_another() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    store.change(|content| content.hold(OTHER, seconds(5)));
    store.on_load(|number, content| {
        if number == 3 {
            content.put(9, 600);
        }
    });
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 0);
    assert_eq!(clock.slept(), [100, 200, 400].map(Duration::from_millis));
}

#[test]
fn others_do_not_wait_for_a_long_retry_after() {
    for (after, requests) in [("1", 2), ("2", 1), ("20", 1)] {
        let store = LeaseStore::new();
        let test = store.client_over(move |number| match number {
            0 => {
                let busy = http::Response::builder().status(429);
                let busy = busy.header("retry-after", after).body(Vec::new());
                Ok(busy.unwrap().into())
            }
            _ => token(number, 600),
        });
        assert_eq!(call(&test.client).is_ok(), requests == 2, "{after} s");
        assert_eq!(test.token_requests(), requests, "{after} s");
    }
}

#[test]
fn a_lease_that_ends_without_a_token_is_taken_over() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    store.change(|content| content.hold(OTHER, LENGTH));
    let start = clock.now();
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
    assert!(clock.now() - start <= LENGTH + PAUSES.1);
}

#[test]
fn nobody_waits_beyond_the_deadline() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    store.change(|content| content.hold(OTHER, seconds(3600)));
    let start = clock.now();
    let error = call(&test.client.with_timeout(seconds(3))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!error.may_have_been_sent());
    assert_eq!(clock.now() - start, seconds(3));
    assert_eq!(test.token_requests(), 0);
}

#[test]
fn a_lease_that_nobody_ends_is_taken_over_within_half_a_second() {
    for length in [Duration::from_millis(200), seconds(3), LENGTH] {
        let store = LeaseStore::new();
        let (test, clock) = (store.client(), store.clock());
        store.change(|content| content.hold(OTHER, length));
        let start = clock.now();
        call(&test.client).unwrap();
        let waited = clock.now() - start;
        assert!(waited <= length + PAUSES.1, "{waited:?} for {length:?}");
        assert_eq!(test.token_requests(), 1);
    }
}

#[test]
fn the_next_holder_is_awaited_as_the_first_one_was() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    store.change(|content| content.hold(OTHER, LENGTH));
    store.on_load(|number, content| match number {
        5 => content.hold("next", LENGTH),
        7 => content.put(9, 600),
        _ => {}
    });
    call(&test.client).unwrap();
    let pauses = [100, 200, 400, 500, 500, 100, 200];
    assert_eq!(clock.slept(), pauses.map(Duration::from_millis));
}

/// What a client does that sees these failures, one after the other.
fn after_failures(failures: &'static [&str]) -> (LeaseStore, TestClient, Result<(), Error>) {
    let store = LeaseStore::new();
    let test = store.client();
    store.on_load(move |number, content| {
        if let Some(failure) = failures.get(number as usize) {
            content.hold(failure, Duration::from_millis(150));
        }
    });
    let result = call(&test.client).map(drop);
    (store, test, result)
}

/// The failures of two clients, for longer than a client waits.
const MANY_FAILURES: [&str; 40] = {
    let mut names = ["a-failed-1"; 40];
    let mut number = 1;
    while number < names.len() {
        names[number] = "b-failed-1";
        number += 2;
    }
    names
};

#[test]
fn failures_of_others_are_waited_out_for_three_seconds() {
    for (failures, is_served) in [
        (&["a-failed-1"][..], true),
        (&["a-failed-1", "a-failed-2"], true),
        (&["a-failed-1", "b-failed-1"], true),
        (&MANY_FAILURES, false),
    ] {
        let (store, test, result) = after_failures(failures);
        let slept: Duration = store.clock().slept().iter().sum();
        assert!(slept < seconds(4), "{failures:?}: {slept:?}");
        assert_eq!(result.is_ok(), is_served, "{failures:?}");
        assert_eq!(test.token_requests(), usize::from(is_served));
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.is_transient() && !error.may_have_been_sent());
        }
    }
}

#[test]
fn in_a_known_outage_calls_fail_at_once_until_there_is_a_token() {
    let (store, test, _) = after_failures(&MANY_FAILURES);
    let clock = store.clock();
    let slept = clock.slept();
    let loads = store.change(|content| content.loads);
    call(&test.client).unwrap_err();
    assert_eq!(store.change(|content| content.loads), loads, "no look");
    store.on_load(|_, _| ());
    clock.advance(seconds(1));
    store.change(|content| content.hold("b-failed-2", seconds(1)));
    let error = call(&test.client).unwrap_err();
    assert_eq!(
        (error.kind(), clock.slept()),
        (ErrorKind::Unavailable, slept.clone())
    );

    // Somebody may try again.
    clock.advance(seconds(1));
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), clock.slept()), (1, slept.clone()));
    // From then on one failure is one again.
    clock.advance(seconds(601));
    store.change(|content| content.hold("b-failed-3", Duration::from_millis(150)));
    call(&test.client).unwrap();
    assert!(clock.slept().len() > slept.len());
}

#[test]
fn failures_that_are_seen_during_renewals_count() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    call(&test.client).unwrap();
    clock.advance(seconds(590));
    for failure in ["a-failed-1", "b-failed-1"] {
        store.change(|content| content.hold(failure, seconds(60)));
        call(&test.client).unwrap();
        clock.advance(seconds(2));
    }
    clock.advance(seconds(10));
    let error = call(&test.client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let slept: Duration = clock.slept().iter().sum();
    assert!(slept < seconds(4), "{slept:?}");
    assert_eq!(test.token_requests(), 1);
}

/// Another client's stored token is good, but to be renewed.
#[test]
fn an_old_token_from_the_store_does_not_end_the_memory_of_failures() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    for failure in ["a-failed-1", "b-failed-1"] {
        store.change(|content| content.put(9, 10));
        store.change(|content| content.hold(failure, seconds(60)));
        call(&test.client).unwrap();
        clock.advance(seconds(11));
    }
    // They are many by now, so this is not waited out until the deadline.
    let begin = clock.now();
    call(&test.client).unwrap_err();
    assert!(clock.now() - begin < seconds(4));
    assert_eq!(test.token_requests(), 0);
}

/// A client over a token endpoint that never responds.
fn with_silent_endpoint(store: &LeaseStore) -> TestClient {
    let clock = store.clock();
    TestClient::with(
        move |_, _, limits| {
            clock.advance(limits.deadline.saturating_duration_since(clock.now()));
            let kind = crate::TransportErrorKind::Timeout;
            Err(crate::TransportError::new(kind, true))
        },
        |_, _, _| respond(200, "{}"),
        |builder| builder.token_store(store.clone()).clock(store.clock()),
    )
}

#[test]
fn a_fetch_without_a_response_is_told_to_others_before_the_lease_ends() {
    let store = LeaseStore::new();
    let (test, clock) = (with_silent_endpoint(&store), store.clock());
    let begin = clock.now();
    let error = call(&test.client.with_timeout(seconds(60))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        (clock.now() - begin, test.token_requests()),
        (FETCH_TIME, 1)
    );
    let holder = store.holder().unwrap();
    assert!(holder.contains(FAILED), "{holder}");
}

#[test]
fn a_valid_token_from_the_store_is_used_if_the_endpoint_does_not_respond() {
    // Half of the time is for the call itself.
    for (timeout, waited) in [(1, 500), (2, 1000), (60, 4000)] {
        let store = LeaseStore::new();
        let (test, clock) = (with_silent_endpoint(&store), store.clock());
        store.change(|content| content.put(9, 20));
        let begin = clock.now();
        call(&test.client.with_timeout(seconds(timeout))).unwrap();
        assert_eq!(test.token_requests(), 1);
        let waited = Duration::from_millis(waited);
        assert_eq!(clock.now() - begin, waited, "{timeout} s");
    }
}

/// While its client pauses, those of a machine that cannot reach the endpoint call
/// all the time.
#[derive(Debug)]
struct BusyClock {
    clock: Arc<ManualClock>,
    series: FixedSeries,
    bad: Vec<Client>,
}

impl BusyClock {
    fn new(store: &LeaseStore, seed: u64, bad: Vec<Client>) -> Arc<Self> {
        Arc::new(Self {
            clock: store.clock(),
            series: FixedSeries(Mutex::new(seed)),
            bad,
        })
    }
}

impl Clock for BusyClock {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> std::time::SystemTime {
        self.clock.wall()
    }

    fn sleep(&self, pause: Duration) {
        if self.bad.is_empty() {
            return self.clock.advance(pause);
        }
        let end = self.now() + pause;
        while self.now() < end {
            for bad in &self.bad {
                call(&bad.with_timeout(Duration::from_millis(1))).unwrap_err();
            }
            self.clock.advance(Duration::from_millis(20));
        }
    }

    fn jitter(&self, most: Duration) -> Duration {
        self.series.jitter(most)
    }
}

#[test]
fn one_bad_machine_with_several_processes_does_not_lock_out_the_others() {
    for seed in 0..32 {
        let store = LeaseStore::new();
        let client = |is_bad, clock: Arc<BusyClock>| {
            let token = move |number, _: &_, _| {
                if is_bad {
                    respond(503, "")
                } else {
                    token(number, 600)
                }
            };
            let store = store.clone();
            let set = |builder: ClientBuilder| builder.token_store(store).clock(clock);
            TestClient::with(token, |_, _, _| respond(200, "{}"), set)
        };
        let bad: Vec<_> = (0..=seed % 4)
            .map(|number| client(true, BusyClock::new(&store, 10 * seed + number, Vec::new())))
            .collect();
        let clients = bad.iter().map(|test| test.client.clone()).collect();
        let clock = BusyClock::new(&store, 10 * seed + 9, clients);
        clock.sleep(seconds(10));
        assert!(bad[0].token_requests() > 1, "they have failed");

        let good = client(false, Arc::clone(&clock));
        let mut calls = 1;
        while call(&good.client).is_err() {
            calls += 1;
            clock.sleep(seconds(10));
        }
        assert_eq!(good.token_requests(), 1);
        assert!(calls <= 2, "{calls} calls with the seed {seed}");
    }
}

#[test]
fn a_failed_fetch_is_told_to_others_in_one_step_and_may_be_repeated_once() {
    let store = LeaseStore::new();
    let test = store.client_over(|number| match number {
        0..6 => respond(503, ""),
        _ => token(number, 600),
    });
    for (requests, releases) in [(3, 0), (6, 1)] {
        call(&test.client).unwrap_err();
        let holder = store.holder().unwrap();
        assert!(holder.contains(FAILED), "{holder}");
        assert_eq!(test.token_requests(), requests);
        // Of the memory of the failure before.
        assert_eq!(store.change(|content| content.releases), releases);
    }
    let clock = store.clock();
    let end = store.change(|content| content.lease.clone()).unwrap().1;
    assert_eq!(end - clock.now(), seconds(1));
    let pauses = clock.slept().len();
    for _ in 0..2 {
        let error = call(&test.client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    assert_eq!(test.token_requests(), 6, "others may try first");
    clock.advance(2 * FAILURE_LENGTH);
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), store.holder()), (7, None));
    assert_eq!(clock.slept().len(), pauses, "no wait");
}

#[test]
fn at_random_pauses_and_the_memory_of_a_failure_are_half_as_long() {
    let store = LeaseStore::new();
    let clock = store.clock();
    let test = TestClient::with(
        |_, _, _| respond(503, ""),
        |_, _, _| respond(200, "{}"),
        |builder| {
            let clock = ShortClock(store.clock());
            builder.token_store(store.clone()).clock(clock)
        },
    );
    store.change(|content| content.hold(OTHER, Duration::from_millis(350)));
    call(&test.client).unwrap_err();
    assert_eq!(
        clock.slept()[..3],
        [50, 100, 200].map(Duration::from_millis)
    );
    let (holder, end) = store.change(|content| content.lease.clone()).unwrap();
    assert!(holder.contains(FAILED), "{holder}");
    assert_eq!(end - clock.now(), Duration::from_millis(500));
}

#[test]
fn a_client_alone_reports_its_own_error_and_always_checks_its_credentials() {
    let store = LeaseStore::new();
    let test = store.client_over(|_| {
        let busy = http::Response::builder().status(429);
        let busy = busy.header("retry-after", "20").body(Vec::new());
        Ok(busy.unwrap().into())
    });
    for requests in [1, 2, 2, 2] {
        let error = call(&test.client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(seconds(20)));
        assert_eq!(test.token_requests(), requests);
    }
    test.client.check_credentials().unwrap_err();
    assert!(test.token_requests() > 2);
}

#[test]
fn credentials_are_checked_while_others_fail() {
    let (_, test, result) = after_failures(&MANY_FAILURES);
    result.unwrap_err();
    test.client.check_credentials().unwrap();
    assert_eq!(test.token_requests(), 1);
}

#[test]
fn what_is_due_to_one_client_is_not_told_to_others() {
    // Wrong credentials, and junk.
    for (status, body) in [(400, r#"{"error":"invalid_client"}"#), (200, "<html>")] {
        let store = LeaseStore::new();
        let test = store.client_over(move |_| respond(status, body));
        call(&test.client).unwrap_err();
        assert_eq!(store.holder(), None, "{body}");
    }
    // A panic.
    let store = LeaseStore::new();
    let test = store.client_over(|_| panic!("planted"));
    let client = test.client.clone();
    assert!(std::thread::spawn(move || call(&client)).join().is_err());
    assert_eq!(store.holder(), None);
}

#[test]
fn a_timeout_counts_as_a_failure_unless_the_caller_had_no_more_time() {
    for (timeout, counts) in [(2, false), (3, true)] {
        let store = LeaseStore::new();
        let clock = store.clock();
        let test = store.client_over(move |number| {
            if number >= 2 {
                return token(number, 600);
            }
            clock.advance(seconds(2));
            let kind = crate::TransportErrorKind::Timeout;
            Err(crate::TransportError::new(kind, true))
        });
        let hasty = test.client.with_timeout(seconds(timeout));
        for _ in 0..2 {
            call(&hasty).unwrap_err();
            assert_eq!(store.holder().is_some(), counts, "{timeout}");
        }
        // The failure of another client is waited out if it is the first one.
        store.change(|content| content.hold("a-failed-1", Duration::from_millis(150)));
        assert_eq!(call(&test.client).is_err(), counts, "{timeout}");
    }
}

#[test]
fn a_token_that_ends_beyond_all_time_is_not_saved() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    let mut end = std::time::SystemTime::UNIX_EPOCH;
    for power in (0..64).rev() {
        let step = Duration::from_secs(1 << power);
        end = end.checked_add(step).unwrap_or(end);
    }
    clock.set_wall(end);
    call(&test.client).unwrap();
    assert!(store.change(|content| content.token.is_none()));
}

#[test]
fn no_two_clients_have_the_same_name() {
    assert_ne!(new_holder(), new_holder());
}

#[test]
fn a_token_that_was_saved_just_before_the_lease_is_found() {
    let store = LeaseStore::new();
    let test = store.client();
    store.on_load(|number, content| {
        if number == 1 {
            content.put(9, 600);
        }
    });
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), store.holder()), (0, None));
}

#[test]
fn a_wait_ends_when_the_token_is_invalidated() {
    let store = LeaseStore::new();
    let (test, clock) = (store.client(), store.clock());
    store.change(|content| content.hold(OTHER, seconds(3600)));
    let (watched, client) = (store.clone(), test.client.clone());
    let watch = std::thread::spawn(move || {
        while watched.change(|content| content.loads) == 0 {
            std::thread::yield_now();
        }
        client.invalidate_token();
    });
    call(&test.client.with_timeout(seconds(1_000_000))).unwrap();
    watch.join().unwrap();
    assert_eq!(test.token_requests(), 1, "the next one is the endpoint's");
    assert!(!clock.slept().is_empty());
}

/// What of a store fails.
#[derive(PartialEq)]
enum Broken {
    Leases,
    Passing,
}

struct BrokenStore(LeaseStore, Broken);

impl TokenStore for BrokenStore {
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        self.0.load(key)
    }

    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()> {
        self.0.save(key, token)
    }

    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()> {
        self.0.remove(key, token)
    }

    fn lease(&self, key: &TokenKey, holder: &str, length: Duration) -> io::Result<Lease> {
        if self.1 == Broken::Leases {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.0.lease(key, holder, length)
    }

    fn release(&self, key: &TokenKey, holder: &str) -> io::Result<()> {
        self.0.release(key, holder)
    }

    fn pass_lease(&self, _: &TokenKey, _: &str, _: &str, _: Duration) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[test]
fn a_lease_that_cannot_be_passed_on_is_released() {
    let store = LeaseStore::new();
    let passing = BrokenStore(store.clone(), Broken::Passing);
    let test = TestClient::with(
        |_, _, _| respond(503, ""),
        |_, _, _| respond(200, "{}"),
        |builder| builder.token_store(passing).clock(store.clock()),
    );
    call(&test.client).unwrap_err();
    assert_eq!(store.holder(), None);
}

#[test]
fn a_store_whose_leases_fail_is_none() {
    let store = LeaseStore::new();
    let (broken, clock) = (BrokenStore(store.clone(), Broken::Leases), store.clock());
    let test = TestClient::with(
        |number, _, _| token(number, 600),
        |_, _, _| respond(200, "{}"),
        |builder| builder.token_store(broken).clock(store.clock()),
    );
    call(&test.client).unwrap();
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), store.holder()), (1, None));
    assert!(store.change(|content| content.token.is_some()));
    assert!(clock.slept().is_empty());
}

/// A store without leases.
struct NoLeases(LeaseStore);

impl TokenStore for NoLeases {
    fn load(&self, key: &TokenKey) -> io::Result<Option<StoredToken>> {
        self.0.load(key)
    }

    fn save(&self, key: &TokenKey, token: &StoredToken) -> io::Result<()> {
        self.0.save(key, token)
    }

    fn remove(&self, key: &TokenKey, token: &Secret) -> io::Result<()> {
        self.0.remove(key, token)
    }
}

/// A client of this store without leases, over a server whose first responses to
/// token requests are failures.
fn without_leases(store: &LeaseStore, failures: usize) -> TestClient {
    let (no_leases, clock) = (NoLeases(store.clone()), store.clock());
    TestClient::with(
        move |number, _, _| match number {
            _ if number < failures => respond(503, ""),
            _ => token(number, 600),
        },
        |_, _, _| respond(200, "{}"),
        |builder| builder.token_store(no_leases).clock(clock),
    )
}

#[test]
fn without_leases_a_client_without_a_token_looks_twice() {
    // Nobody else has fetched one meanwhile, or somebody has.
    for (is_found, timeout, pause) in [(false, 10, 1000), (true, 10, 1000), (false, 2, 500)] {
        let store = LeaseStore::new();
        let (test, clock) = (without_leases(&store, 0), store.clock());
        store.on_load(move |number, content| {
            if is_found && number == 1 {
                content.put(9, 600);
            }
        });
        let client = test.client.with_timeout(seconds(timeout));
        call(&client).unwrap();
        assert_eq!(test.token_requests(), usize::from(!is_found));
        let slept = [Duration::from_millis(pause)];
        assert_eq!(clock.slept(), slept);

        // With a valid token nobody waits.
        clock.advance(seconds(580));
        call(&client).unwrap();
        assert_eq!(test.token_requests(), 1 + usize::from(!is_found));
        assert_eq!(clock.slept(), slept);

        // Nor one whose token has ended: others have not begun with it.
        clock.advance(seconds(601));
        call(&client).unwrap();
        assert_eq!(test.token_requests(), 2 + usize::from(!is_found));
        assert_eq!(clock.slept(), slept);
    }
}

#[test]
fn without_leases_nobody_waits_for_a_token_in_an_outage() {
    let store = LeaseStore::new();
    let (test, clock) = (without_leases(&store, 6), store.clock());
    call(&test.client).unwrap_err();
    let slept = clock.slept();
    assert_eq!(slept, [1000, 100, 200].map(Duration::from_millis));
    call(&test.client).unwrap_err();
    assert_eq!(clock.slept()[3..], slept[1..]);
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), clock.slept().len()), (7, 5));
}

/// Invalidates the client's token in its first pause.
#[derive(Debug, Default)]
struct InvalidatingClock(Mutex<Option<Client>>);

impl Clock for InvalidatingClock {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> std::time::SystemTime {
        SystemClock.wall()
    }

    fn sleep(&self, _: Duration) {
        let client = self.0.lock().unwrap().take();
        client.unwrap().invalidate_token();
    }

    fn jitter(&self, most: Duration) -> Duration {
        most
    }
}

#[test]
fn without_leases_an_invalidation_ends_the_pause() {
    let (store, clock) = (LeaseStore::new(), Arc::new(InvalidatingClock::default()));
    let set = |builder: ClientBuilder| {
        builder
            .token_store(NoLeases(store.clone()))
            .clock(clock.clone())
    };
    let test = TestClient::with(
        |number, _, _| token(number, 600),
        |_, _, _| respond(200, "{}"),
        set,
    );
    *clock.0.lock().unwrap() = Some(test.client.clone());
    call(&test.client).unwrap();
    // The store was asked once, and once for what is to be removed.
    assert_eq!((test.token_requests(), store.change(|it| it.loads)), (1, 2));
}

/// Draws from a fixed series.
#[derive(Debug)]
struct FixedSeries(Mutex<u64>);

impl Clock for FixedSeries {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall(&self) -> std::time::SystemTime {
        SystemClock.wall()
    }

    fn sleep(&self, _: Duration) {}

    fn jitter(&self, most: Duration) -> Duration {
        let mut state = self.0.lock().unwrap();
        // Knuth's generator of 64 bits.
        *state = (*state)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        most * u32::try_from(*state >> 48).unwrap() / 0x1_0000
    }
}

#[test]
fn of_200_clients_that_start_together_few_fetch_without_leases() {
    let fetch = Duration::from_millis(150);
    for seed in 1..=20 {
        let clock = FixedSeries(Mutex::new(seed));
        let mut pauses: Vec<_> = (0..200)
            .map(|_| spread_pause(&clock, seconds(10)))
            .collect();
        pauses.sort();
        let first = pauses[0] + fetch;
        let requests = pauses.iter().filter(|pause| **pause < first).count();
        assert!(requests <= 20, "{requests} with the seed {seed}");
        assert!(pauses[199] <= SPREAD);
    }
}

#[test]
fn of_many_clients_few_begin_early_and_none_late() {
    let draw = |is_shared| {
        let jitter = |most| SystemClock.jitter(most);
        let mut margins: Vec<_> = (0..1000)
            .map(|_| margin(seconds(600), is_shared, jitter))
            .collect();
        margins.sort();
        margins
    };
    for is_shared in [false, true] {
        let margins = draw(is_shared);
        assert!(margins[0] >= seconds(30) / 4 && margins[999] <= seconds(30));
    }
    // A quarter of the way 25 % of the clients, or 0.4 %.
    let early = |margins: &[Duration]| margins.iter().filter(|it| **it > seconds(24)).count();
    assert!(early(&draw(false)) > 150);
    assert!(early(&draw(true)) < 50);
}
