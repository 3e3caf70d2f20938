//! The calls of one thread, and the person whom it signs in.

use std::time::Duration;

use autharmor::auth::{
    ResultCode, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth, ValidateAuth,
};
use autharmor::flow::{PendingMagiclink, SignIn, WaitPolicy};
use autharmor::registrations::StartAuthenticatorRegistration;
use autharmor::users::{self, UpdateUser};
use autharmor::{ApiVersion, Client, Error, PageQuery};
use uuid::Uuid;

use crate::tally::Tally;
use crate::world::{Person, Random, World};

const REDIRECT: &str = "https://app.example/in";

/// So many calls at least: a sign-in that has begun is brought to its end.
pub(crate) fn make(
    world: &World,
    number: usize,
    calls: usize,
    faults_in_1000: usize,
    seed: u64,
) -> Tally {
    let mut thread = Thread {
        world,
        person: &world.people[number],
        random: Random(seed),
        faults_in_1000,
        tally: Tally::default(),
        last: Uuid::from_u128(1),
        foreign_link: None,
    };
    while thread.tally.calls < calls {
        thread.step();
    }
    thread.tally
}

struct Thread<'a> {
    world: &'a World,
    person: &'a Person,
    random: Random,
    faults_in_1000: usize,
    tally: Tally,
    /// The sign-in that was begun last.
    last: Uuid,
    /// Where a link landed that belonged to an earlier sign-in.
    foreign_link: Option<String>,
}

impl Thread<'_> {
    fn step(&mut self) {
        let client = match self.random.below(2) {
            0 => &self.world.v3,
            _ => &self.world.v4,
        };
        match self.random.below(1000) {
            0..500 => self.read(client),
            500..560 => self.forge(client),
            560..580 => self.rename(client),
            580..790 => self.push(client),
            790..900 => self.passkey(client),
            900..990 => self.mail(client),
            990..997 => self.newcomer(client),
            _ => self.wait(client),
        }
    }

    /// Counts a call, before which a fault may be let loose.
    fn call<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce() -> Result<T, Error>,
    ) -> Option<T> {
        if self.random.below(1000) < self.faults_in_1000 {
            self.world
                .faults
                .let_loose(&self.world.emulator, &mut self.random);
        }
        self.tally.count(name, call())
    }

    fn read(&mut self, client: &Client) {
        let (person, last) = (self.person, self.last);
        let page = PageQuery::new().page_size(20);
        match self.random.below(10) {
            0..2 => drop(self.call("get_user by id", || client.get_user(person.id))),
            // v4 would have the name in its URL.
            2..5 => {
                let client = &self.world.v3;
                drop(self.call("get_user by name", || client.get_user(&*person.name)));
            }
            5 => drop(self.call("list_users", || client.list_users(page))),
            6 => drop(self.call("get_user_auth_history", || {
                client.get_user_auth_history(person.id, &page)
            })),
            7 => drop(self.call("list_user_credentials, looked up", || {
                let client = &self.world.v3;
                client.list_user_credentials(&*person.name, &page)
            })),
            8 => drop(self.call("get_auth_info", || client.get_auth_info(last))),
            _ => {
                let hurried = users::get_user(person.id).timeout(Duration::from_millis(20));
                drop(self.call("get_user within 20 ms", || client.send(&hurried)));
            }
        }
    }

    fn rename(&mut self, client: &Client) {
        let name = format!("spare {}", self.random.below(1 << 40));
        let spare = self.person.spare;
        self.call("update_user", || {
            client.update_user(spare, &UpdateUser::new(name))
        });
    }

    /// Somebody has made a token up.
    fn forge(&mut self, client: &Client) {
        let forged = ValidateAuth::new(self.last, "made up");
        self.tally.attacks += 1;
        let answer = match self.random.below(3) {
            0 => self.call("validate, forged", || {
                client.validate_authenticator_auth(&forged)
            }),
            1 => self.call("validate, forged", || {
                client.validate_webauthn_auth(&forged)
            }),
            _ => self.call("validate, forged", || {
                client.validate_magiclink_email_auth(&forged)
            }),
        };
        let details = answer.and_then(|answer| answer.validate_auth_response_details);
        if details.and_then(|details| details.authorized) == Some(true) {
            self.tally.let_in += 1;
        }
    }

    fn push_request(&self) -> StartAuthenticatorAuth {
        StartAuthenticatorAuth::new()
            .user(&*self.person.name)
            .action_name("Sign in")
            .short_msg(self.world.starts.next_mark())
    }

    fn push(&mut self, client: &Client) {
        let request = self.push_request();
        let started = self.call("begin_authenticator_sign_in", || {
            client.begin_authenticator_sign_in(&request)
        });
        let Some(started) = started else { return };
        let pending = started.pending;
        self.last = pending.auth_request_id();
        let emulator = &self.world.emulator;
        let approved = match self.random.below(10) {
            0..8 => emulator.approve(self.last).is_ok(),
            8 => {
                let _ = emulator.decline(self.last);
                false
            }
            // Completed before the person has answered.
            _ => false,
        };
        let end = self.call("complete, authenticator", || pending.complete(client));
        self.judge(end, approved);
    }

    fn wait(&mut self, client: &Client) {
        let request = self.push_request();
        let started = self.call("begin_authenticator_sign_in", || {
            client.begin_authenticator_sign_in(&request)
        });
        let Some(started) = started else { return };
        self.last = started.pending.auth_request_id();
        let approved = self.world.emulator.approve(self.last).is_ok();
        let policy = WaitPolicy::new().timeout(Duration::from_secs(5));
        let end = self.call("wait", || started.pending.wait(client, &policy));
        self.judge(end, approved);
    }

    fn passkey(&mut self, client: &Client) {
        let request = StartWebauthnAuth::new()
            .user(&*self.person.name)
            .webauthn_client_id("the website")
            .action_name("Sign in")
            .short_msg(self.world.starts.next_mark());
        let started = self.call("begin_webauthn_sign_in", || {
            client.begin_webauthn_sign_in(&request)
        });
        let Some(started) = started else { return };
        self.last = started.pending.auth_request_id();
        let emulator = &self.world.emulator;
        let page = emulator.use_passkey(&started.fido2_json_options, emulator.origin());
        let Ok(page) = page else { return };
        let end = self.call("complete, webauthn", || {
            started.pending.complete(client, &page)
        });
        self.judge(end, true);
    }

    fn mail(&mut self, client: &Client) {
        let mark = self.world.starts.next_mark();
        let request = StartMagiclinkEmailAuth::new(&*self.person.name, REDIRECT)
            .action_name("Sign in")
            .short_msg(&*mark);
        let pending = self.call("begin_magiclink_sign_in", || {
            client.begin_magiclink_sign_in(&request)
        });
        let Some(pending) = pending else { return };
        self.last = pending.auth_request_id();
        if let Some(link) = self.foreign_link.take() {
            self.follow_a_foreign_link(client, &pending, &link);
        }
        let Some(url) = self.open_mail(&mark) else {
            return;
        };
        let end = self.call("complete, magiclink", || pending.complete(client, &url));
        self.judge(end, true);
        self.foreign_link = Some(url);
    }

    fn open_mail(&self, mark: &str) -> Option<String> {
        let emulator = &self.world.emulator;
        let mails = emulator.outbox();
        let mail = mails
            .iter()
            .rfind(|mail| mail.short_msg.as_deref() == Some(mark))?;
        emulator.click(&mail.link).ok()
    }

    fn follow_a_foreign_link(&mut self, client: &Client, pending: &PendingMagiclink, link: &str) {
        self.tally.attacks += 1;
        let end = self.call("complete, foreign link", || pending.complete(client, link));
        if end.is_some_and(|end| end.user().is_some()) {
            self.tally.let_in += 1;
        }
    }

    /// A user who comes, enrols a phone, and loses it.
    fn newcomer(&mut self, client: &Client) {
        let name = self.world.starts.next_mark();
        let started = self.call("begin_authenticator_registration", || {
            client.begin_authenticator_registration(&StartAuthenticatorRegistration::new(&*name))
        });
        let Some(started) = started else { return };
        let enrolled = self
            .world
            .emulator
            .enrol_phone(started.pending.registration_id());
        if enrolled.is_err() || client.api_version() == ApiVersion::V3 {
            return;
        }
        let policy = WaitPolicy::new().timeout(Duration::from_secs(5));
        let end = self.call("wait for a registration", || {
            started.pending.wait(client, &policy)
        });
        let Some(user) = end.as_ref().and_then(|end| end.user()) else {
            return;
        };
        if let Some(credential) = user.credential_id() {
            self.call("disable_user_credential", || {
                client.disable_user_credential(user.user_id(), credential)
            });
        }
    }

    /// Whoever is said to have signed in must be the person, must have
    /// approved, and must be known to the emulator as signed in.
    fn judge(&mut self, end: Option<SignIn>, approved: bool) {
        if !approved {
            self.tally.attacks += 1;
        }
        let Some(SignIn::SignedIn(user)) = end else {
            return;
        };
        self.tally.signed_in += 1;
        if !approved {
            self.tally.let_in += 1;
        }
        let is_theirs = user.user_id() == self.person.id && user.auth_request_id() == self.last;
        if approved && is_theirs && self.was_granted() {
            self.tally.confirmed += 1;
        }
    }

    /// Asks the emulator until an answer comes through that says so.
    fn was_granted(&self) -> bool {
        (0..100).any(|_| {
            let info = self.world.v3.get_auth_info(self.last);
            let response = info.ok().and_then(|info| info.auth_response);
            response.is_some_and(|response| {
                response.authorized == Some(true)
                    && response.result_code == Some(ResultCode::Success)
            })
        })
    }
}
