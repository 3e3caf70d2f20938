//! Makes random calls as a program would: reads, sign-ins of all kinds,
//! registrations and changes.

use std::thread;
use std::time::Duration;

use autharmor::auth::{
    AuthInfo, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
};
use autharmor::flow::{
    AuthenticatorStarted, PendingAuthenticator, PendingMagiclink, Registration, SignIn, WaitPolicy,
};
use autharmor::registrations::{
    StartAuthenticatorRegistration, StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration,
    StartWebauthnRegistration, StartWebauthnRegistrationForUser,
};
use autharmor::users::{self, UpdateUser, UserQuery};
use autharmor::{Client, Error, ErrorKind, PageQuery, SortDirection, UserKey};
use autharmor_test_support::Rng;
use uuid::Uuid;

use crate::ledger::{ReportedSignIn, TAG_PREFIX};
use crate::scenario::Scenario;
use crate::service::{Command, User};
use crate::tally::Tally;

pub const REDIRECT: &str = "https://app.example/signed-in";
/// A poll that gets a `Retry-After` of one day waits until this timeout.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Makes the calls of one thread.
pub struct Caller<'a> {
    pub scenario: &'a Scenario,
    pub client: Client,
    /// The client for the other API version.
    pub other: Client,
    pub rng: Rng,
    pub tally: Tally,
    /// A user that this thread registered and may change.
    own: Option<Uuid>,
    last_request: Uuid,
}

impl<'a> Caller<'a> {
    pub fn new(scenario: &'a Scenario, seed: u64) -> Self {
        let [client, other] = scenario.clients.clone();
        Self {
            scenario,
            client,
            other,
            rng: Rng::new(seed),
            tally: Tally::default(),
            own: None,
            last_request: Uuid::from_u128(7),
        }
    }

    /// Makes calls until all threads together have made `calls`.
    pub fn run_until(mut self, calls: u64) -> Tally {
        while self.scenario.calls.get() < calls {
            self.act();
        }
        self.tally
    }

    /// Reads users and fetches tokens, so that the clients close old connections
    /// and drop refused tokens. Returns how many of the last 100 reads had a
    /// result.
    pub fn recover(mut self) -> (Tally, u64) {
        let mut results = 0;
        for number in 0..300 {
            self.choose_client();
            let user = self.user();
            if number < 200 {
                self.call("check_credentials", Client::check_credentials);
            }
            let found = self.call("get_user, by id", |client| client.get_user(user.id));
            if number >= 200 && found.is_some_and(|found| found.user_id == user.id) {
                results += 1;
            }
        }
        (self.tally, results)
    }

    /// Makes and counts one call. Reacts to its error as a careful program would.
    pub fn call<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Client) -> Result<T, Error>,
    ) -> Option<T> {
        self.scenario.calls.increment();
        self.tally.begin_call();
        let outcome = call(&self.client);
        self.tally.end_call(name, &outcome);
        let error = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        match error.kind() {
            // The client fetches at most one token in 30 s because of a 401. On
            // completion, it may be the validation token that was refused.
            ErrorKind::Unauthorized if !name.starts_with(COMPLETION) => {
                self.client.invalidate_token();
            }
            // The client repeats this error for one second without a request.
            ErrorKind::Auth => thread::sleep(Duration::from_millis(100)),
            _ => {}
        }
        None
    }

    fn choose_client(&mut self) {
        if self.rng.below(2) == 0 {
            std::mem::swap(&mut self.client, &mut self.other);
        }
    }

    pub fn user(&mut self) -> User {
        self.rng.pick(self.scenario.service.users()).clone()
    }

    pub fn key(&mut self, user: &User) -> UserKey {
        if self.rng.below(2) == 0 {
            user.id.into()
        } else {
            user.name.as_str().into()
        }
    }

    /// Returns a new tag for a start request.
    pub fn tag(&mut self) -> String {
        format!("{TAG_PREFIX}{}", self.scenario.starts.increment())
    }

    /// Makes one to five calls that belong together.
    fn act(&mut self) {
        self.choose_client();
        match self.rng.below(1000) {
            0..540 => self.read(),
            540..720 => self.sign_in_with_authenticator(),
            720..820 => self.sign_in_with_magiclink(),
            820..870 => self.sign_in_with_webauthn(),
            870..970 => self.attack(),
            970..985 => self.register(),
            _ => self.change(),
        }
    }

    // ---- reads -------------------------------------------------------------

    fn read(&mut self) {
        let user = self.user();
        let key = self.key(&user);
        match self.rng.below(540) {
            0..150 => {
                self.call("get_user, by id", |client| client.get_user(user.id));
            }
            150..270 => {
                self.call("get_user, by name", |client| client.get_user(&*user.name));
            }
            270..330 => {
                let number = 1 + u32::try_from(self.rng.below(10)).unwrap_or(0);
                let page = PageQuery::new().page_number(number).page_size(10);
                self.call("list_users", |client| client.list_users(page));
            }
            330..335 => {
                let query = UserQuery::new().username(user.name);
                self.call("list_users, by name", |client| client.list_users(query));
            }
            335..420 => {
                let newest = PageQuery::new()
                    .page_size(5)
                    .sort_column("date")
                    .sort_direction(SortDirection::Desc);
                self.call("get_user_auth_history", |client| {
                    client.get_user_auth_history(key, &newest)
                });
            }
            420..460 => {
                let request = self.last_request;
                self.call("get_auth_info", |client| client.get_auth_info(request));
            }
            460..510 => {
                let page = PageQuery::new();
                self.call("list_user_credentials", |client| {
                    client.list_user_credentials(key, &page)
                });
            }
            510..530 => {
                let timeout = Duration::from_millis(1 + self.rng.next_u64() % 30);
                let request = users::get_user(key).timeout(timeout);
                self.call("get_user, short timeout", |client| client.send(&request));
            }
            530..535 => {
                let unknown = Uuid::from_u128(u128::from(self.rng.next_u64() % 1_000_000) + 1);
                self.call("get_user, unknown user", |client| client.get_user(unknown));
            }
            _ => {
                self.call("get_user, malformed", |client| client.get_user("\r\n"));
            }
        }
    }

    // ---- sign-ins ----------------------------------------------------------

    fn start_push(&mut self, user: Option<&User>) -> Option<AuthenticatorStarted> {
        let mut request = StartAuthenticatorAuth::new()
            .action_name("Sign in")
            .short_msg(self.tag());
        if let Some(user) = user {
            request = request.user(self.key(user));
        }
        let started = self.call("begin_authenticator_sign_in", |client| {
            client.begin_authenticator_sign_in(&request)
        })?;
        self.last_request = started.pending.auth_request_id();
        Some(started)
    }

    /// Approves or declines a push notification. Returns whether that worked.
    pub fn decide(&self, request: Uuid, user: &User, approve: bool) -> bool {
        let user = user.name.clone();
        let decided = self.scenario.service.run(&Command::Decide {
            request,
            user,
            approve,
        });
        decided.is_ok()
    }

    /// Starts a sign-in by push notification and approves it.
    pub fn approved_push(&mut self, user: &User) -> Option<PendingAuthenticator> {
        let started = self.start_push(Some(user))?;
        let request = started.pending.auth_request_id();
        self.decide(request, user, true).then_some(started.pending)
    }

    fn sign_in_with_authenticator(&mut self) {
        let user = self.user();
        let (started_for, decision, waits) = match self.rng.below(180) {
            0..95 => (Some(&user), Some(true), false),
            95..102 => (Some(&user), Some(true), true),
            102..135 => (Some(&user), Some(false), false),
            135..138 => (Some(&user), Some(false), true),
            138..160 => (Some(&user), None, false),
            160..165 => (Some(&user), None, true),
            // For anybody, by QR code.
            _ => (None, Some(true), false),
        };
        let Some(started) = self.start_push(started_for) else {
            return;
        };
        let request = started.pending.auth_request_id();
        if decision.is_some_and(|approve| !self.decide(request, &user, approve)) {
            return;
        }
        let outcome = if waits {
            let timeout = match decision {
                Some(_) => LONGEST_WAIT,
                None => Duration::from_millis(100),
            };
            self.call("complete: PendingAuthenticator::wait", |client| {
                let policy = WaitPolicy::new().timeout(timeout);
                started.pending.wait(client, &policy)
            })
        } else {
            self.complete(&started.pending)
        };
        self.finish_sign_in(request, started_for, outcome);
    }

    pub fn complete(&mut self, pending: &PendingAuthenticator) -> Option<SignIn> {
        self.call("complete: PendingAuthenticator::complete", |client| {
            pending.complete(client)
        })
    }

    pub fn start_magiclink(&mut self, user: &User) -> Option<(PendingMagiclink, String)> {
        let tag = self.tag();
        let request = StartMagiclinkEmailAuth::new(self.key(user), REDIRECT)
            .action_name("Sign in")
            .short_msg(tag.as_str());
        let pending = self.call("begin_magiclink_sign_in", |client| {
            client.begin_magiclink_sign_in(&request)
        })?;
        self.last_request = pending.auth_request_id();
        Some((pending, tag))
    }

    /// Opens the magic link of the mail with this tag. Returns the URL that the
    /// browser is redirected to.
    pub fn open_link(&self, tag: String) -> Option<String> {
        self.scenario.service.run(&Command::OpenLink { tag }).ok()
    }

    fn complete_magiclink(&mut self, pending: &PendingMagiclink, url: &str) -> Option<SignIn> {
        self.call("complete: PendingMagiclink::complete", |client| {
            pending.complete(client, url)
        })
    }

    fn sign_in_with_magiclink(&mut self) {
        let user = self.user();
        let Some((pending, tag)) = self.start_magiclink(&user) else {
            return;
        };
        if self.rng.below(4) == 0 {
            return;
        }
        let Some(url) = self.open_link(tag) else {
            return;
        };
        let outcome = self.complete_magiclink(&pending, &url);
        self.finish_sign_in(pending.auth_request_id(), Some(&user), outcome);
    }

    fn sign_in_with_webauthn(&mut self) {
        let user = loop {
            let user = self.user();
            if user.has_passkey {
                break user;
            }
        };
        let request = StartWebauthnAuth::new()
            .user(self.key(&user))
            .action_name("Sign in")
            .short_msg(self.tag());
        let Some(started) = self.call("begin_webauthn_sign_in", |client| {
            client.begin_webauthn_sign_in(&request)
        }) else {
            return;
        };
        let options = started.fido2_json_options.into_string();
        let Ok(page) = self.scenario.service.run(&Command::UsePasskey { options }) else {
            return;
        };
        let outcome = self.call("complete: PendingWebauthn::complete", |client| {
            started.pending.complete(client, &page)
        });
        self.finish_sign_in(started.pending.auth_request_id(), Some(&user), outcome);
    }

    /// Reports a sign-in to the service. Every fourth one is looked up there.
    pub fn finish_sign_in(
        &mut self,
        started: Uuid,
        started_for: Option<&User>,
        outcome: Option<SignIn>,
    ) {
        let Some(outcome) = outcome else { return };
        self.tally.count_sign_in(outcome_name(&outcome));
        let SignIn::SignedIn(user) = outcome else {
            return;
        };
        let report = ReportedSignIn {
            user: user.user_id(),
            request: user.auth_request_id(),
            started,
            started_for: started_for.map(|user| user.id),
        };
        let reported = self.scenario.service.run(&Command::CheckSignIn(report));
        reported.expect("the service obeys");
        if self.rng.below(4) == 0 {
            let info = self.call("get_auth_info", |client| client.get_auth_info(started));
            // A fault may respond with an empty object.
            if let Some(info) = info.filter(|info| info.auth_request_status_id.is_some()) {
                self.scenario.lookups.increment();
                if signed_in_user(&info) != Some(user.user_id()) {
                    self.scenario.contradictions.increment();
                }
            }
        }
    }

    // ---- registrations and changes -----------------------------------------

    fn register(&mut self) {
        let tag = self.tag();
        let outcome = match self.rng.below(3) {
            0 => self.register_authenticator(&tag),
            1 => self.register_webauthn(&tag),
            _ => self.register_magiclink(tag),
        };
        if let Some(Registration::Registered(user)) = outcome {
            self.own = Some(user.user_id());
        }
    }

    fn register_authenticator(&mut self, tag: &str) -> Option<Registration> {
        let request = StartAuthenticatorRegistration::new(tag);
        let started = self.call("begin_authenticator_registration", |client| {
            client.begin_authenticator_registration(&request)
        })?;
        let registration = started.pending.registration_id();
        self.scenario
            .service
            .run(&Command::EnrolPhone { registration })
            .ok()?;
        self.call(
            "complete: PendingAuthenticatorRegistration::wait",
            |client| {
                let policy = WaitPolicy::new().timeout(LONGEST_WAIT);
                started.pending.wait(client, &policy)
            },
        )
    }

    fn register_webauthn(&mut self, tag: &str) -> Option<Registration> {
        let request = StartWebauthnRegistration::new(tag);
        let started = self.call("begin_webauthn_registration", |client| {
            client.begin_webauthn_registration(&request)
        })?;
        let options = started.fido2_json_options.into_string();
        let page = self
            .scenario
            .service
            .run(&Command::CreatePasskey { options })
            .ok()?;
        self.call(
            "complete: PendingWebauthnRegistration::complete",
            |client| started.pending.complete(client, &page),
        )
    }

    fn register_magiclink(&mut self, tag: String) -> Option<Registration> {
        let address = format!("{tag}@example.com");
        let request = StartMagiclinkEmailRegistration::new(address, REDIRECT)
            .action_name("Register")
            .short_msg(tag.as_str());
        let pending = self.call("begin_magiclink_registration", |client| {
            client.begin_magiclink_registration(&request)
        })?;
        let url = self.open_link(tag)?;
        self.call(
            "complete: PendingMagiclinkRegistration::complete",
            |client| pending.complete(client, &url),
        )
    }

    fn change(&mut self) {
        let Some(own) = self.own else {
            return self.register();
        };
        match self.rng.below(5) {
            0 | 1 => {
                let update = UpdateUser::new(format!("renamed-{}", self.scenario.calls.get()));
                self.call("update_user", |client| client.update_user(own, &update));
            }
            2 => self.disable_a_credential(own),
            3 => self.change_address(own),
            _ => self.add_passkey(own),
        }
    }

    fn disable_a_credential(&mut self, user: Uuid) {
        let page = PageQuery::new();
        let credentials = self.call("list_user_credentials", |client| {
            client.list_user_credentials(user, &page)
        });
        let Some(credential) = credentials.and_then(|mut page| page.records.pop()) else {
            return;
        };
        self.call("disable_user_credential", |client| {
            client.disable_user_credential(user, &credential.credential_id)
        });
    }

    fn change_address(&mut self, user: Uuid) {
        let tag = self.tag();
        let address = format!("{tag}@example.com");
        let request = StartChangeMagiclinkEmail::new(address, REDIRECT).short_msg(tag.as_str());
        let Some(pending) = self.call("begin_magiclink_change", |client| {
            client.begin_magiclink_change(user, &request)
        }) else {
            return;
        };
        if let Some(url) = self.open_link(tag) {
            self.call(
                "complete: PendingMagiclinkRegistration::complete",
                |client| pending.complete(client, &url),
            );
        }
    }

    fn add_passkey(&mut self, user: Uuid) {
        let request = StartWebauthnRegistrationForUser::new().webauthn_client_id(self.tag());
        let Some(started) = self.call("begin_webauthn_registration_for_user", |client| {
            client.begin_webauthn_registration_for_user(user, &request)
        }) else {
            return;
        };
        let options = started.fido2_json_options.into_string();
        if let Ok(page) = self
            .scenario
            .service
            .run(&Command::CreatePasskey { options })
        {
            self.call(
                "complete: PendingWebauthnRegistration::complete",
                |client| started.pending.complete(client, &page),
            );
        }
    }
}

/// The prefix of the names of calls that complete a flow.
const COMPLETION: &str = "complete: ";

pub fn outcome_name(outcome: &SignIn) -> String {
    match outcome {
        SignIn::SignedIn(_) => "SignedIn".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Returns the user that the service names as signed in.
fn signed_in_user(info: &AuthInfo) -> Option<Uuid> {
    let response = info.auth_response.as_ref();
    let response = response.filter(|response| response.authorized == Some(true))?;
    let details = response.auth_details.as_ref()?.response_details.as_ref()?;
    details.auth_profile_details.as_ref()?.user_id
}
