//! An emulator, a client and two users, for every test of a flow.

use std::cell::Cell;
use std::fmt::Debug;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use autharmor::emulator::{Emulator, EmulatorBuilder, Mail, RecordedRequest};
use autharmor::flow::{Registration, SignIn, WaitPolicy};
use autharmor::registrations::StartWebauthnRegistrationForUser;
use autharmor::{ApiVersion, Client, Error, ErrorKind, UserKey};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

/// The user who signs in, and an attacker.
pub(crate) const ADA: &str = "ada+lovelace@example.com";
pub(crate) const EVE: &str = "eve.mallory@example.com";
/// A new user, and ada's new address.
pub(crate) const GRACE: &str = "grace+hopper@example.com";
pub(crate) const COUNTESS: &str = "countess@example.com";
/// The parts of their names that no URL may hold.
const IN_NO_LINE: [&str; 4] = ["lovelace", "mallory", "hopper", "countess"];

pub(crate) const IP: &str = "192.0.2.7";
pub(crate) const OTHER_IP: &str = "198.51.100.9";
pub(crate) const AGENT: &str = "Browser/1.0";
pub(crate) const REDIRECT: &str = "https://app.example/landing?from=mail";

pub(crate) const VERSIONS: [ApiVersion; 2] = [ApiVersion::V3, ApiVersion::V4];

/// The key by which the program names the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Name,
    Id,
    /// No key: anybody may sign in.
    Nobody,
}

pub(crate) const NAMED: &[By] = &[By::Name, By::Id];
pub(crate) const NAMED_OR_NOT: &[By] = &[By::Name, By::Id, By::Nobody];

pub(crate) struct Scenario {
    pub(crate) version: ApiVersion,
    pub(crate) by: By,
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
    pub(crate) ada: Uuid,
    pub(crate) eve: Uuid,
    flows: Cell<usize>,
    in_query: bool,
}

/// Settings of the scenarios of a test.
pub(crate) struct Scenarios<'a> {
    start: &'a str,
    by: &'a [By],
    build: fn(EmulatorBuilder) -> EmulatorBuilder,
    in_query: bool,
}

impl<'a> Scenarios<'a> {
    /// Under both versions; `start` is the endpoint that the flow begins with.
    pub(crate) fn of(start: &'a str, by: &'a [By]) -> Self {
        Self {
            start,
            by,
            build: |builder| builder,
            in_query: false,
        }
    }

    /// Makes every validate call too late.
    pub(crate) fn all_too_late(mut self) -> Self {
        self.build = |builder| builder.validation_window(Duration::ZERO);
        self
    }

    /// Allows names in the query under v4, which has no other place for them in
    /// the routes of a user.
    pub(crate) fn names_in_query_of_v4(mut self) -> Self {
        self.in_query = true;
        self
    }

    /// Runs the test in all scenarios in parallel, and then checks the requests
    /// that the server received.
    pub(crate) fn run(&self, test: impl Fn(&Scenario) + Sync) {
        thread::scope(|scope| {
            for version in VERSIONS {
                for by in self.by {
                    let (test, by) = (&test, *by);
                    thread::Builder::new()
                        .name(format!("{version:?}, by {by:?}"))
                        .spawn_scoped(scope, move || {
                            let scenario = Scenario::new(version, by, self.build, self.in_query);
                            test(&scenario);
                            scenario.check(self.start);
                        })
                        .unwrap();
                }
            }
        });
    }
}

impl Scenario {
    pub(crate) fn new(
        version: ApiVersion,
        by: By,
        build: fn(EmulatorBuilder) -> EmulatorBuilder,
        in_query: bool,
    ) -> Self {
        // The token outlives every advance of the clock.
        let builder = Emulator::builder().token_lifetime(Duration::from_secs(86_400));
        let emulator = build(builder).start().unwrap();
        let ada = emulator.add_user(ADA).unwrap();
        let eve = emulator.add_user(EVE).unwrap();
        let in_query = in_query && version == ApiVersion::V4 && by == By::Name;
        let client = emulator
            .client_builder()
            .api_version(version)
            .username_in_query(in_query)
            .build()
            .unwrap();
        Self {
            version,
            by,
            emulator,
            client,
            ada,
            eve,
            flows: Cell::new(1),
            in_query,
        }
    }

    pub(crate) fn is_v4(&self) -> bool {
        self.version == ApiVersion::V4
    }

    /// The key of ada.
    pub(crate) fn ada(&self) -> Option<UserKey> {
        self.key(ADA, self.ada)
    }

    pub(crate) fn eve(&self) -> Option<UserKey> {
        self.key(EVE, self.eve)
    }

    pub(crate) fn key(&self, name: &str, id: Uuid) -> Option<UserKey> {
        match self.by {
            By::Name => Some(name.into()),
            By::Id => Some(id.into()),
            By::Nobody => None,
        }
    }

    /// Declares that the test begins another flow.
    pub(crate) fn begins_another(&self) {
        self.flows.set(self.flows.get() + 1);
    }

    /// Adds a passkey to an existing user and returns its id. Under v3, where no
    /// validation can be too late.
    pub(crate) fn add_passkey(&self, user: Uuid) -> String {
        let client = self.emulator.client_builder().build().unwrap();
        let request = StartWebauthnRegistrationForUser::new();
        let started = client
            .begin_webauthn_registration_for_user(user, &request)
            .unwrap();
        let page = self
            .emulator
            .create_passkey(&started.fido2_json_options, self.emulator.origin())
            .unwrap();
        let end = started.pending.complete(&client, &page).unwrap();
        assert_eq!(registered(end).0, user);
        self.begin_recording();
        let page: Value = serde_json::from_str(&page).unwrap();
        page["id"].as_str().unwrap().to_owned()
    }

    /// Returns the last mail, which must be to this address.
    pub(crate) fn mail_to(&self, address: &str) -> Mail {
        let mail = self.emulator.outbox().pop().unwrap();
        assert_eq!(mail.to, address);
        mail
    }

    /// Advances the clock by this many seconds.
    pub(crate) fn later(&self, seconds: u64) {
        self.emulator.advance(Duration::from_secs(seconds));
    }

    /// Returns how many requests this endpoint received.
    pub(crate) fn count(&self, endpoint: &str) -> usize {
        let requests = self.emulator.requests();
        let same = requests
            .iter()
            .filter(|request| request.endpoint() == Some(endpoint));
        same.count()
    }

    /// Forgets the requests of the preparation.
    pub(crate) fn begin_recording(&self) {
        self.check_lines();
        self.emulator.clear_requests();
    }

    /// Checks that each flow was begun once and that no URL holds a name.
    fn check(&self, start: &str) {
        let requests = self.emulator.requests();
        let starts: Vec<_> = requests
            .iter()
            .filter_map(RecordedRequest::endpoint)
            .filter(|endpoint| endpoint.starts_with("start_"))
            .collect();
        assert_eq!(starts, vec![start; self.flows.get()]);
        self.check_lines();
    }

    pub(crate) fn check_lines(&self) {
        for request in self.emulator.requests() {
            let query = request.query().unwrap_or_default();
            if self.in_query && query.starts_with("username=") {
                continue;
            }
            let line = request.request_line().to_lowercase();
            let decoded = percent_decode_str(&line).decode_utf8().unwrap();
            for name in IN_NO_LINE {
                assert!(!line.contains(name), "{line}");
                assert!(!decoded.contains(name), "{line}");
            }
        }
    }

    /// Asserts that ada has signed in with this request.
    pub(crate) fn assert_ada(&self, end: &Result<SignIn, Error>, auth_request_id: Uuid) {
        let Ok(SignIn::SignedIn(user)) = end else {
            panic!("not signed in: {end:?}");
        };
        assert_eq!(user.user_id(), self.ada);
        assert_eq!(user.username(), Some(ADA));
        assert_eq!(user.auth_request_id(), auth_request_id);
        assert!(user.signed_in_at().is_some());
    }
}

/// Returns the user who registered, and whether that was validated.
pub(crate) fn registered(end: Registration) -> (Uuid, bool) {
    match end {
        Registration::Registered(user) => (user.user_id(), user.is_validated()),
        other => panic!("not registered: {other:?}"),
    }
}

pub(crate) fn kind<T: Debug>(end: Result<T, Error>) -> ErrorKind {
    end.unwrap_err().kind()
}

/// A policy that calls `act` as soon as the waiting has begun.
pub(crate) fn while_waiting<'a>(act: impl FnOnce() + 'a) -> WaitPolicy<'a> {
    after_polls(0, act)
}

/// A policy that calls `act` after this many polls.
pub(crate) fn after_polls<'a>(polls: u32, act: impl FnOnce() + 'a) -> WaitPolicy<'a> {
    let act = Cell::new(Some(act));
    WaitPolicy::new().on_progress(move |progress| {
        if progress.polls >= polls {
            if let Some(act) = act.take() {
                act();
            }
        }
        ControlFlow::Continue(())
    })
}

/// Returns the same state after a change to its stored form.
pub(crate) fn tampered<T: Serialize + DeserializeOwned>(
    pending: &T,
    change: impl FnOnce(&mut Value),
) -> T {
    let mut stored = serde_json::to_value(pending).unwrap();
    change(&mut stored);
    serde_json::from_value(stored).unwrap()
}

/// Returns the same state with a member replaced, which must exist.
pub(crate) fn with<T: Serialize + DeserializeOwned>(pending: &T, name: &str, value: Value) -> T {
    tampered(pending, |stored| {
        assert!(stored.get(name).is_some(), "no {name}");
        stored[name] = value;
    })
}

/// Returns the same state for another user.
pub(crate) fn about<T: Serialize + DeserializeOwned>(
    pending: &T,
    user: &UserKey,
    user_id: Uuid,
) -> T {
    tampered(pending, |stored| {
        stored["user"] = serde_json::to_value(user).unwrap();
        match user {
            UserKey::Username(_) => {
                stored.as_object_mut().unwrap().remove("user_id");
            }
            UserKey::Id(_) => stored["user_id"] = json!(user_id),
        }
    })
}
