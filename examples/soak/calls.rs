//! What a program does with the crate, at random: reads, sign-ins of all kinds
//! and their ends, registrations and changes, and what an attacker tries.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use autharmor::auth::{
    AuthInfo, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
};
use autharmor::flow::{
    AuthenticatorStarted, BrowserSignIn, ExpectedUser, Method, PendingAuthenticator,
    PendingMagiclink, Registration, SignIn, WaitPolicy,
};
use autharmor::registrations::{
    StartAuthenticatorRegistration, StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration,
    StartWebauthnRegistration, StartWebauthnRegistrationForUser,
};
use autharmor::users::{self, UpdateUser, UserQuery};
use autharmor::{Client, Error, ErrorKind, PageQuery, SortDirection, UserKey};
use serde_json::json;
use uuid::Uuid;

use crate::dice::Dice;
use crate::register::{MARK, Report};
use crate::service::{Ask, Service, User};
use crate::tally::Tally;

const REDIRECT: &str = "https://app.example/signed-in";
/// A poll that is told to come back in a day waits until the time is over.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What all threads share.
pub(crate) struct World {
    pub(crate) service: Service,
    /// v3 and v4.
    pub(crate) clients: [Client; 2],
    calls: AtomicU64,
    starts: AtomicU64,
    attacks: AtomicU64,
    attacks_won: AtomicU64,
    /// Where the service says something else than the client about a sign-in.
    contradictions: AtomicU64,
    confirmations: AtomicU64,
}

impl World {
    pub(crate) fn new(service: Service, clients: [Client; 2]) -> Self {
        Self {
            service,
            clients,
            calls: AtomicU64::new(0),
            starts: AtomicU64::new(0),
            attacks: AtomicU64::new(0),
            attacks_won: AtomicU64::new(0),
            contradictions: AtomicU64::new(0),
            confirmations: AtomicU64::new(0),
        }
    }

    /// Lets go of the clients.
    pub(crate) fn into_service(self) -> Service {
        self.service
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    pub(crate) fn starts(&self) -> u64 {
        self.starts.load(Relaxed)
    }

    /// How many there were, and how many signed somebody in.
    pub(crate) fn attacks(&self) -> (u64, u64) {
        (self.attacks.load(Relaxed), self.attacks_won.load(Relaxed))
    }

    /// How often the service was asked about a reported sign-in and answered,
    /// and how often it did not know of it.
    pub(crate) fn confirmations(&self) -> (u64, u64) {
        let confirmations = self.confirmations.load(Relaxed);
        (confirmations, self.contradictions.load(Relaxed))
    }
}

/// One thread's part.
pub(crate) struct Caller<'a> {
    world: &'a World,
    client: Client,
    other: Client,
    dice: Dice,
    tally: Tally,
    /// A user whom this thread has registered, to be changed at will.
    own: Option<Uuid>,
    last_request: Uuid,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(world: &'a World, seed: u64) -> Self {
        let [client, other] = world.clients.clone();
        Self {
            world,
            client,
            other,
            dice: Dice::new(seed),
            tally: Tally::default(),
            own: None,
            last_request: Uuid::from_u128(7),
        }
    }

    /// Until so many calls were made, by all threads together.
    pub(crate) fn run_until(mut self, calls: u64) -> Tally {
        while self.world.calls() < calls {
            self.turn();
        }
        self.tally
    }

    /// Reads and new tokens, one after the other. Says how many of the last
    /// hundred had a result.
    pub(crate) fn calm_down(mut self) -> (Tally, u64) {
        let mut results = 0;
        for number in 0..300 {
            self.change_client();
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

    /// One call, counted, and what a careful program does about its error.
    fn call<T>(
        &mut self,
        what: &'static str,
        call: impl FnOnce(&Client) -> Result<T, Error>,
    ) -> Option<T> {
        self.world.calls.fetch_add(1, Relaxed);
        self.tally.begin();
        let outcome = call(&self.client);
        self.tally.end(what, &outcome);
        let error = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        match error.kind() {
            // The client does not doubt a young token, so we do it. Where a
            // sign-in ends, it was the sign-in that was refused.
            ErrorKind::Unauthorized if !what.starts_with(END) => self.client.invalidate_token(),
            // The client remembers a refusal for a second.
            ErrorKind::Auth => thread::sleep(Duration::from_millis(100)),
            _ => {}
        }
        None
    }

    fn change_client(&mut self) {
        if self.dice.below(2) == 0 {
            std::mem::swap(&mut self.client, &mut self.other);
        }
    }

    fn user(&mut self) -> User {
        self.dice.pick(self.world.service.users()).clone()
    }

    fn key(&mut self, user: &User) -> UserKey {
        if self.dice.below(2) == 0 {
            user.id.into()
        } else {
            user.name.as_str().into()
        }
    }

    /// What tells the next start from all others.
    fn mark(&mut self) -> String {
        format!("{MARK}{}", self.world.starts.fetch_add(1, Relaxed))
    }

    /// One to five calls that belong together.
    fn turn(&mut self) {
        self.change_client();
        match self.dice.below(1000) {
            0..540 => self.read(),
            540..720 => self.sign_in_by_phone(),
            720..820 => self.sign_in_by_mail(),
            820..870 => self.sign_in_by_passkey(),
            870..970 => self.attack(),
            970..985 => self.register(),
            _ => self.change(),
        }
    }

    // ---- reads -------------------------------------------------------------

    fn read(&mut self) {
        let user = self.user();
        let key = self.key(&user);
        match self.dice.below(540) {
            0..150 => {
                self.call("get_user, by id", |client| client.get_user(user.id));
            }
            150..270 => {
                self.call("get_user, by name", |client| client.get_user(&*user.name));
            }
            270..330 => {
                let number = 1 + u32::try_from(self.dice.below(10)).unwrap_or(0);
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
                let patience = Duration::from_millis(1 + self.dice.below(30));
                let request = users::get_user(key).timeout(patience);
                self.call("get_user, in a hurry", |client| client.send(&request));
            }
            530..535 => {
                let nobody = Uuid::from_u128(u128::from(self.dice.below(1_000_000)) + 1);
                self.call("get_user, of nobody", |client| client.get_user(nobody));
            }
            _ => {
                self.call("get_user, malformed", |client| client.get_user("\r\n"));
            }
        }
    }

    // ---- sign-ins ----------------------------------------------------------

    fn push(&mut self, user: Option<&User>) -> Option<AuthenticatorStarted> {
        let mut request = StartAuthenticatorAuth::new()
            .action_name("Sign in")
            .short_msg(self.mark());
        if let Some(user) = user {
            request = request.user(self.key(user));
        }
        let started = self.call("begin_authenticator_sign_in", |client| {
            client.begin_authenticator_sign_in(&request)
        })?;
        self.last_request = started.pending.auth_request_id();
        Some(started)
    }

    /// Whether the person could.
    fn decide(&self, request: Uuid, user: &User, approve: bool) -> bool {
        let user = user.name.clone();
        let decided = self.world.service.ask(&Ask::Decide {
            request,
            user,
            approve,
        });
        decided.is_ok()
    }

    /// A push that the person approved.
    fn approved(&mut self, user: &User) -> Option<PendingAuthenticator> {
        let started = self.push(Some(user))?;
        let request = started.pending.auth_request_id();
        self.decide(request, user, true).then_some(started.pending)
    }

    fn sign_in_by_phone(&mut self) {
        let user = self.user();
        let (for_whom, decision, waits) = match self.dice.below(180) {
            0..95 => (Some(&user), Some(true), false),
            95..102 => (Some(&user), Some(true), true),
            102..135 => (Some(&user), Some(false), false),
            135..138 => (Some(&user), Some(false), true),
            138..160 => (Some(&user), None, false),
            160..165 => (Some(&user), None, true),
            // Whoever scans the code.
            _ => (None, Some(true), false),
        };
        let Some(started) = self.push(for_whom) else {
            return;
        };
        let request = started.pending.auth_request_id();
        if decision.is_some_and(|approve| !self.decide(request, &user, approve)) {
            return;
        }
        let end = if waits {
            let patience = match decision {
                Some(_) => LONGEST_WAIT,
                None => Duration::from_millis(100),
            };
            self.call("end: PendingAuthenticator::wait", |client| {
                let policy = WaitPolicy::new().timeout(patience);
                started.pending.wait(client, &policy)
            })
        } else {
            self.complete(&started.pending)
        };
        self.ended(request, for_whom, end);
    }

    fn complete(&mut self, pending: &PendingAuthenticator) -> Option<SignIn> {
        self.call("end: PendingAuthenticator::complete", |client| {
            pending.complete(client)
        })
    }

    fn mail(&mut self, user: &User) -> Option<(PendingMagiclink, String)> {
        let mark = self.mark();
        let request = StartMagiclinkEmailAuth::new(self.key(user), REDIRECT)
            .action_name("Sign in")
            .short_msg(mark.as_str());
        let pending = self.call("begin_magiclink_sign_in", |client| {
            client.begin_magiclink_sign_in(&request)
        })?;
        self.last_request = pending.auth_request_id();
        Some((pending, mark))
    }

    /// Where the browser lands, if there was such a mail.
    fn click(&self, mark: String) -> Option<String> {
        self.world.service.ask(&Ask::Click { mark }).ok()
    }

    fn complete_mail(&mut self, pending: &PendingMagiclink, url: &str) -> Option<SignIn> {
        self.call("end: PendingMagiclink::complete", |client| {
            pending.complete(client, url)
        })
    }

    fn sign_in_by_mail(&mut self) {
        let user = self.user();
        let Some((pending, mark)) = self.mail(&user) else {
            return;
        };
        if self.dice.below(4) == 0 {
            return;
        }
        let Some(url) = self.click(mark) else { return };
        let end = self.complete_mail(&pending, &url);
        self.ended(pending.auth_request_id(), Some(&user), end);
    }

    fn sign_in_by_passkey(&mut self) {
        let user = loop {
            let user = self.user();
            if user.has_passkey {
                break user;
            }
        };
        let request = StartWebauthnAuth::new()
            .user(self.key(&user))
            .action_name("Sign in")
            .short_msg(self.mark());
        let Some(started) = self.call("begin_webauthn_sign_in", |client| {
            client.begin_webauthn_sign_in(&request)
        }) else {
            return;
        };
        let options = started.fido2_json_options.into_string();
        let Ok(page) = self.world.service.ask(&Ask::UsePasskey { options }) else {
            return;
        };
        let end = self.call("end: PendingWebauthn::complete", |client| {
            started.pending.complete(client, &page)
        });
        self.ended(started.pending.auth_request_id(), Some(&user), end);
    }

    /// The end of an honest sign-in: the register hears of it, and now and then
    /// the service is asked whether it was so.
    fn ended(&mut self, begun: Uuid, begun_for: Option<&User>, end: Option<SignIn>) {
        let Some(end) = end else { return };
        let SignIn::SignedIn(user) = end else {
            return self.tally.sign_in(name(&end));
        };
        self.tally.sign_in("SignedIn".to_owned());
        let report = Report {
            user: user.user_id(),
            request: user.auth_request_id(),
            begun,
            begun_for: begun_for.map(|user| user.id),
        };
        let told = self.world.service.ask(&Ask::SignedIn(report));
        told.expect("the register listens");
        if self.dice.below(4) == 0 {
            let info = self.call("get_auth_info", |client| client.get_auth_info(begun));
            // A fault may answer with nothing.
            if let Some(info) = info.filter(|info| info.auth_request_status_id.is_some()) {
                self.world.confirmations.fetch_add(1, Relaxed);
                if signed_in(&info) != Some(user.user_id()) {
                    self.world.contradictions.fetch_add(1, Relaxed);
                }
            }
        }
    }

    // ---- attacks -----------------------------------------------------------

    /// Eve has a name, a phone and an address of her own, and wants to come in
    /// as somebody else.
    fn attack(&mut self) {
        let victim = self.user();
        let eve = loop {
            let eve = self.user();
            if eve.id != victim.id {
                break eve;
            }
        };
        let attack = match self.dice.below(10) {
            0 => self.with_a_forged_token(&victim),
            1 => self.with_a_token_of_her_own(&victim, &eve),
            2 => self.with_a_sign_in_of_her_own(&eve, victim.id.into()),
            3 => self.with_a_sign_in_of_her_own(&eve, victim.name.as_str().into()),
            4 => self.with_a_link_of_her_own(&victim, &eve),
            5 => self.with_her_token_in_their_link(&victim, &eve),
            6 => self.with_a_forged_link(&victim),
            7 => self.once_more(&victim),
            8 => self.with_a_changed_state(&victim, &eve),
            _ => self.with_the_other_version(&victim),
        };
        // One of its steps failed, or the service refused.
        let Some(end) = attack else { return };
        self.tally.sign_in(format!("attack: {}", name(&end)));
        if end.user().is_some() {
            self.world.attacks_won.fetch_add(1, Relaxed);
        }
    }

    fn strike<T>(
        &mut self,
        what: &'static str,
        call: impl FnOnce(&Client) -> Result<T, Error>,
    ) -> Option<T> {
        self.world.attacks.fetch_add(1, Relaxed);
        self.call(what, call)
    }

    /// An approved push that a page began, and its token.
    fn push_of_a_page(&mut self, user: &User) -> Option<(Uuid, String)> {
        let request = StartAuthenticatorAuth::new()
            .user(self.key(user))
            .short_msg(self.mark());
        let started = self.call("start_authenticator_auth", |client| {
            client.start_authenticator_auth(&request)
        })?;
        let token = started.auth_validation_token?.expose().to_owned();
        self.decide(started.auth_request_id, user, true)
            .then_some((started.auth_request_id, token))
    }

    fn end_for_a_page(&mut self, request: Uuid, token: &str, user: UserKey) -> Option<SignIn> {
        let expected = ExpectedUser::Is(user);
        let page = BrowserSignIn::new(Method::Authenticator, request, token, expected);
        self.strike("end: complete_browser_sign_in (attack)", |client| {
            client.complete_browser_sign_in(&page)
        })
    }

    fn with_a_forged_token(&mut self, victim: &User) -> Option<SignIn> {
        let (request, _) = self.push_of_a_page(victim)?;
        self.end_for_a_page(request, "forged", victim.id.into())
    }

    fn with_a_token_of_her_own(&mut self, victim: &User, eve: &User) -> Option<SignIn> {
        let (request, _) = self.push_of_a_page(victim)?;
        let (_, token) = self.push_of_a_page(eve)?;
        self.end_for_a_page(request, &token, victim.id.into())
    }

    fn with_a_sign_in_of_her_own(&mut self, eve: &User, as_whom: UserKey) -> Option<SignIn> {
        let (request, token) = self.push_of_a_page(eve)?;
        self.end_for_a_page(request, &token, as_whom)
    }

    fn strike_by_mail(&mut self, pending: &PendingMagiclink, url: &str) -> Option<SignIn> {
        self.strike("end: PendingMagiclink::complete (attack)", |client| {
            pending.complete(client, url)
        })
    }

    fn with_a_link_of_her_own(&mut self, victim: &User, eve: &User) -> Option<SignIn> {
        let (pending, _) = self.mail(victim)?;
        let (_, mark) = self.mail(eve)?;
        let url = self.click(mark)?;
        self.strike_by_mail(&pending, &url)
    }

    fn with_her_token_in_their_link(&mut self, victim: &User, eve: &User) -> Option<SignIn> {
        let (pending, _) = self.mail(victim)?;
        let (hers, mark) = self.mail(eve)?;
        let url = self.click(mark)?;
        let id = |pending: &PendingMagiclink| pending.auth_request_id().to_string();
        self.strike_by_mail(&pending, &url.replace(&id(&hers), &id(&pending)))
    }

    fn with_a_forged_link(&mut self, victim: &User) -> Option<SignIn> {
        let (pending, _) = self.mail(victim)?;
        let id = pending.auth_request_id();
        let url = format!("{REDIRECT}?auth_validation_token=forged&auth_request_id={id}");
        self.strike_by_mail(&pending, &url)
    }

    fn strike_by_phone(&mut self, pending: &PendingAuthenticator) -> Option<SignIn> {
        self.strike("end: PendingAuthenticator::complete (attack)", |client| {
            pending.complete(client)
        })
    }

    /// What has signed somebody in does not do so again.
    fn once_more(&mut self, victim: &User) -> Option<SignIn> {
        let pending = self.approved(victim)?;
        let end = self.complete(&pending);
        end.as_ref()?.user()?;
        self.ended(pending.auth_request_id(), Some(victim), end);
        self.strike_by_phone(&pending)
    }

    fn with_a_changed_state(&mut self, victim: &User, eve: &User) -> Option<SignIn> {
        let hers = self.approved(eve)?;
        let mut stored = serde_json::to_value(&hers).expect("a state can be kept");
        stored["user"] = json!(UserKey::from(victim.id));
        stored["user_id"] = json!(victim.id);
        let changed = serde_json::from_value(stored).expect("a state can be kept");
        self.strike_by_phone(&changed)
    }

    fn with_the_other_version(&mut self, victim: &User) -> Option<SignIn> {
        let pending = self.approved(victim)?;
        std::mem::swap(&mut self.client, &mut self.other);
        self.strike_by_phone(&pending)
    }

    // ---- registrations and changes -----------------------------------------

    fn register(&mut self) {
        let mark = self.mark();
        let end = match self.dice.below(3) {
            0 => self.register_phone(&mark),
            1 => self.register_passkey(&mark),
            _ => self.register_address(mark),
        };
        if let Some(Registration::Registered(user)) = end {
            self.own = Some(user.user_id());
        }
    }

    fn register_phone(&mut self, mark: &str) -> Option<Registration> {
        let request = StartAuthenticatorRegistration::new(mark);
        let started = self.call("begin_authenticator_registration", |client| {
            client.begin_authenticator_registration(&request)
        })?;
        let registration = started.pending.registration_id();
        self.world
            .service
            .ask(&Ask::EnrolPhone { registration })
            .ok()?;
        self.call("end: PendingAuthenticatorRegistration::wait", |client| {
            let policy = WaitPolicy::new().timeout(LONGEST_WAIT);
            started.pending.wait(client, &policy)
        })
    }

    fn register_passkey(&mut self, mark: &str) -> Option<Registration> {
        let request = StartWebauthnRegistration::new(mark);
        let started = self.call("begin_webauthn_registration", |client| {
            client.begin_webauthn_registration(&request)
        })?;
        let options = started.fido2_json_options.into_string();
        let page = self.world.service.ask(&Ask::MakePasskey { options }).ok()?;
        self.call("end: PendingWebauthnRegistration::complete", |client| {
            started.pending.complete(client, &page)
        })
    }

    fn register_address(&mut self, mark: String) -> Option<Registration> {
        let address = format!("{mark}@example.com");
        let request = StartMagiclinkEmailRegistration::new(address, REDIRECT)
            .action_name("Register")
            .short_msg(mark.as_str());
        let pending = self.call("begin_magiclink_registration", |client| {
            client.begin_magiclink_registration(&request)
        })?;
        let url = self.click(mark)?;
        self.call("end: PendingMagiclinkRegistration::complete", |client| {
            pending.complete(client, &url)
        })
    }

    fn change(&mut self) {
        let Some(own) = self.own else {
            return self.register();
        };
        match self.dice.below(5) {
            0 | 1 => {
                let update = UpdateUser::new(format!("renamed-{}", self.world.calls()));
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
        let mark = self.mark();
        let address = format!("{mark}@example.com");
        let request = StartChangeMagiclinkEmail::new(address, REDIRECT).short_msg(mark.as_str());
        let Some(pending) = self.call("begin_magiclink_change", |client| {
            client.begin_magiclink_change(user, &request)
        }) else {
            return;
        };
        if let Some(url) = self.click(mark) {
            self.call("end: PendingMagiclinkRegistration::complete", |client| {
                pending.complete(client, &url)
            });
        }
    }

    fn add_passkey(&mut self, user: Uuid) {
        let request = StartWebauthnRegistrationForUser::new().webauthn_client_id(self.mark());
        let Some(started) = self.call("begin_webauthn_registration_for_user", |client| {
            client.begin_webauthn_registration_for_user(user, &request)
        }) else {
            return;
        };
        let options = started.fido2_json_options.into_string();
        if let Ok(page) = self.world.service.ask(&Ask::MakePasskey { options }) {
            self.call("end: PendingWebauthnRegistration::complete", |client| {
                started.pending.complete(client, &page)
            });
        }
    }
}

/// How the names of those calls begin that end a flow.
const END: &str = "end: ";

fn name(end: &SignIn) -> String {
    match end {
        SignIn::SignedIn(_) => "SignedIn".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Who signed in by this request, in the service's own words.
fn signed_in(info: &AuthInfo) -> Option<Uuid> {
    let response = info.auth_response.as_ref();
    let response = response.filter(|response| response.authorized == Some(true))?;
    let details = response.auth_details.as_ref()?.response_details.as_ref()?;
    details.auth_profile_details.as_ref()?.user_id
}
