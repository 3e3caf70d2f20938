//! S: stores that many processes share.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use autharmor::ErrorKind::{Timeout, Unavailable};
use autharmor::{
    Client, ClientBuilder, Clock as _, FileTokenStore, HttpRequest, Lease, ManualClock, Secret,
    StoredToken, TokenKey, TokenStore,
};
use autharmor_test_support::Folder;

use super::calls::{Call, ID, LONG, seconds};
use super::expect::{fails, served};
use super::fake_service::{FakeService, serving, tokens, with_clock_and};
use super::harness::{Row, Scenario};
use super::secrets::SECRET;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The name of another process.
const OTHER: &str = "other";
/// The longest time for which a client takes a lease.
const LEASE: Duration = Duration::from_secs(5);
/// The longest pause between two looks of those who wait.
const LOOK: Duration = Duration::from_millis(500);
/// The longest time for which a failure is remembered.
const MEMORY: Duration = Duration::from_secs(1);
/// The time for which failures of others are waited out.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest pause of a client whose store has no leases.
const SPREAD: Duration = Duration::from_secs(1);
/// What a busy machine adds.
const BUSY: Duration = Duration::from_secs(5);

/// A store in memory whose leases are measured by the client's clock.
#[derive(Clone, Default)]
struct LeaseStore(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    clock: Option<Arc<ManualClock>>,
    token: Option<StoredToken>,
    lease: Option<(String, Instant)>,
    /// Other processes that will take the lease and fail.
    failing: u32,
    leases: Leases,
}

/// The leases of a store.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Leases {
    #[default]
    Work,
    Fail,
    /// It has none.
    Missing,
}

impl LeaseStore {
    fn change<T>(&self, change: impl FnOnce(&mut Content) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// Another process takes the lease.
    fn hold(&self, length: Duration) {
        self.change(|it| {
            let end = it.clock.as_ref().unwrap().now() + length;
            it.lease = Some((OTHER.to_owned(), end));
        });
    }

    /// A client of this store over a service without a fault.
    fn scenario(&self) -> (Scenario, Arc<ManualClock>) {
        let set = |builder: ClientBuilder| builder.token_store(self.clone());
        let (scenario, clock) = with_clock_and(FakeService::new(tokens, serving), set);
        self.change(|it| it.clock = Some(clock.clone()));
        (scenario, clock)
    }
}

impl TokenStore for LeaseStore {
    fn load(&self, _: &TokenKey) -> io::Result<Option<StoredToken>> {
        Ok(self.change(|it| it.token.clone()))
    }

    fn save(&self, _: &TokenKey, token: &StoredToken) -> io::Result<()> {
        self.change(|it| it.token = Some(token.clone()));
        Ok(())
    }

    fn remove(&self, _: &TokenKey, token: &Secret) -> io::Result<()> {
        self.change(|it| it.token.take_if(|stored| stored.token() == token));
        Ok(())
    }

    fn lease(&self, _: &TokenKey, holder: &str, length: Duration) -> io::Result<Lease> {
        self.change(|it| {
            match it.leases {
                Leases::Work => {}
                Leases::Fail => return Err(io::ErrorKind::ConnectionRefused.into()),
                Leases::Missing => return Ok(Lease::Unsupported),
            }
            let now = it.clock.as_ref().unwrap().now();
            it.lease.take_if(|(_, end)| *end <= now);
            if it.lease.is_none() && it.failing > 0 {
                it.failing -= 1;
                // As a client names it.
                let holder = format!("{OTHER}{}-failed-1", it.failing);
                it.lease = Some((holder, now + MEMORY));
            }
            if let Some((other, _)) = &it.lease {
                return Ok(Lease::Held(other.clone()));
            }
            it.lease = Some((holder.to_owned(), now + length));
            Ok(Lease::Granted)
        })
    }

    fn release(&self, _: &TokenKey, holder: &str) -> io::Result<()> {
        self.change(|it| it.lease.take_if(|(other, _)| other == holder));
        Ok(())
    }
}

#[test]
fn s12_the_process_that_fetches_is_killed() {
    let mut row = Row::new(
        "S12",
        "the process that fetches the token for all is killed",
    );
    for call in Call::ALL {
        let store = LeaseStore::default();
        let (scenario, clock) = store.scenario();
        store.hold(LEASE);
        let began = clock.now();
        row.check_call(&scenario, call, &served().tokens(1));
        assert!(clock.now() - began <= LEASE + LOOK);

        // While there is a valid token nobody waits.
        clock.advance(seconds(590));
        store.hold(LEASE);
        let began = clock.now();
        row.check_call(&scenario, call, &served().tokens(0));
        assert_eq!(clock.now(), began);
    }
    row.note("another one fetches within half a second after its lease of 5 s");
    row.finish();
}

#[test]
fn s13_the_process_that_fetches_stalls() {
    let mut row = Row::new("S13", "the process that fetches stalls, and goes on late");
    for call in Call::ALL {
        let store = LeaseStore::default();
        // After its lease another process fetches a token, and a third one has the
        // lease when it goes on.
        let seen = store.clone();
        let stalled = move |number, request: &HttpRequest, limits| {
            let clock = seen.change(|it| it.clock.clone().unwrap());
            clock.advance(LEASE);
            let builder = Client::builder(ID, SECRET).clock(clock.clone());
            let now = {
                let clock = clock.clone();
                move || clock.now()
            };
            let other = FakeService::new(tokens, serving)
                .with_clock_of(Arc::new(now), builder.token_store(seen.clone()));
            thread::scope(|scope| scope.spawn(|| call.make(&other.client).unwrap()).join())
                .unwrap();
            assert_eq!(other.service.counts().tokens, 1);
            assert!(clock.slept().is_empty());
            seen.hold(DAY);
            clock.advance(seconds(3));
            tokens(number, request, limits)
        };
        let set = |builder: ClientBuilder| builder.token_store(store.clone());
        let (late, clock) = with_clock_and(FakeService::new(stalled, serving), set);
        store.change(|it| it.clock = Some(clock.clone()));
        row.check_call(&late, call, &served().tokens(1));
        // It does not end that lease, and its token serves as well.
        let (holder, _) = store.change(|it| it.lease.clone()).unwrap();
        assert_eq!(holder, OTHER);
        let (other, _) = store.scenario();
        row.check_call(&other, call, &served().tokens(0));
    }
    row.note("at most one token request more");
    row.finish();
}

/// A client with this token file; the machine's clock counts.
fn with_file(path: &Path) -> Scenario {
    let store = FileTokenStore::new(path);
    FakeService::new(tokens, serving).with_settings(|builder| builder.token_store(store))
}

#[test]
fn s14_the_clock_of_the_process_that_fetches_is_wrong() {
    let mut row = Row::new("S14", "the lease file of a killed process is from tomorrow");
    let now = SystemTime::now();
    for call in Call::ALL {
        let length = Duration::from_millis(500);
        // Unseen it has ended long ago.
        for (written, longest) in [(now + DAY, length), (now - DAY, Duration::ZERO)] {
            let folder = Folder::new();
            let path = folder.path().join("token");
            let milliseconds = length.as_millis();
            let content = serde_json::json!({"holder": OTHER, "milliseconds": milliseconds});
            let lease = folder.path().join("token.lease");
            fs::write(&lease, content.to_string()).unwrap();
            let file = fs::File::options().write(true).open(&lease).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = fs::Permissions::from_mode(0o600);
                file.set_permissions(mode).unwrap();
            }
            file.set_modified(written).unwrap();
            let began = Instant::now();
            row.check_call(&with_file(&path), call, &served().tokens(1));
            assert!(began.elapsed() < longest + LOOK + BUSY);
            assert!(!lease.exists());
        }
    }
    row.note("it ends when it was seen unchanged for its length");
    row.finish();
}

#[test]
fn s15_other_processes_cannot_fetch() {
    let mut row = Row::new("S15", "other processes of the fleet cannot fetch a token");
    for call in Call::ALL {
        for (failing, expect) in [
            (2, served().tokens(1)),
            (4, fails(Unavailable).unsent().tokens(0)),
        ] {
            let store = LeaseStore::default();
            let (scenario, clock) = store.scenario();
            store.change(|it| it.failing = failing);
            let began = clock.now();
            let after = clock.clone();
            let make = move |client: &Client| {
                let result = call.make(client);
                // It is remembered for so long.
                after.advance(MEMORY);
                result
            };
            row.check_other_call(&scenario, call == Call::Read, make, &expect);
            assert!(clock.now() - began <= PATIENCE + 3 * MEMORY);
        }
    }
    row.note("failures of several are waited out for 3 s, once in half a minute at most");
    row.finish();
}

#[test]
fn s16_leases_fail() {
    let mut row = Row::new("S16", "a store whose leases fail");
    for call in Call::ALL {
        let store = LeaseStore::default();
        let (scenario, clock) = store.scenario();
        store.change(|it| it.leases = Leases::Fail);
        row.check_call(&scenario, call, &served().tokens(1));
        let (other, _) = store.scenario();
        row.check_call(&other, call, &served().tokens(0));
        assert!(clock.slept().is_empty());
    }
    row.note("nobody waits for them");
    row.finish();
}

#[test]
fn s18_a_cold_start_without_leases() {
    let mut row = Row::new("S18", "a store without leases is empty");
    for call in Call::ALL {
        let store = LeaseStore::default();
        store.change(|it| it.leases = Leases::Missing);
        let (scenario, clock) = store.scenario();
        let began = clock.now();
        row.check_call(&scenario, call, &served().tokens(1));
        assert!(clock.now() - began <= SPREAD);

        // While there is a valid token nobody waits, its renewal included.
        clock.advance(seconds(590));
        let began = clock.now();
        row.check_call(&scenario, call, &served().tokens(1));
        assert_eq!(clock.now(), began);
    }
    row.note("each waits for up to a second, and looks for the token of another");
    row.finish();
}

#[test]
fn s19_an_outage_that_other_processes_have_found() {
    let mut row = Row::new("S19", "several processes could not fetch a token");
    for call in Call::ALL {
        let store = LeaseStore::default();
        let (scenario, clock) = store.scenario();
        store.change(|it| it.failing = 4);
        call.make(&scenario.client).unwrap_err();
        clock.advance(MEMORY);
        store.change(|it| it.failing = 1);
        let make = move |client: &Client| {
            let began = clock.now();
            let result = call.make(client);
            assert_eq!(clock.now(), began);
            // It is remembered for so long.
            clock.advance(MEMORY);
            result
        };
        let at_once = fails(Unavailable).unsent().tokens(0);
        row.check_other_call(&scenario, call == Call::Read, make, &at_once);
    }
    row.note("further calls fail at once while a failure is remembered");
    row.finish();
}

#[test]
fn s17_no_time_is_left_for_the_lease_of_another() {
    let mut row = Row::new("S17", "another process has the lease until the deadline");
    for call in Call::ALL {
        let store = LeaseStore::default();
        let (scenario, clock) = store.scenario();
        store.hold(LONG);
        let began = clock.now();
        row.check_call(&scenario, call, &fails(Timeout).unsent().tokens(0));
        assert_eq!(clock.now() - began, LONG);
    }
    row.finish();
}
