//! Attacks: another user has a name, a phone and a mail address of their own and
//! tries to sign in as the victim.

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::flow::{
    BrowserSignIn, ExpectedUser, Method, PendingAuthenticator, PendingMagiclink, SignIn,
};
use autharmor::{Client, Error, UserKey};
use serde_json::json;
use uuid::Uuid;

use crate::calls::{Caller, REDIRECT, outcome_name};
use crate::service::User;

impl Caller<'_> {
    pub fn attack(&mut self) {
        let victim = self.user();
        let attacker = loop {
            let attacker = self.user();
            if attacker.id != victim.id {
                break attacker;
            }
        };
        let outcome = match self.rng.below(10) {
            0 => self.forged_token(&victim),
            1 => self.token_of_attacker(&victim, &attacker),
            2 => self.sign_in_of_attacker(&attacker, victim.id.into()),
            3 => self.sign_in_of_attacker(&attacker, victim.name.as_str().into()),
            4 => self.link_of_attacker(&victim, &attacker),
            5 => self.token_of_attacker_in_link_of_victim(&victim, &attacker),
            6 => self.forged_link(&victim),
            7 => self.completed_sign_in(&victim),
            8 => self.changed_state(&victim, &attacker),
            _ => self.other_version(&victim),
        };
        // `None`: one of the steps failed, or the service refused.
        let Some(outcome) = outcome else { return };
        self.tally
            .count_sign_in(format!("attack: {}", outcome_name(&outcome)));
        if outcome.user().is_some() {
            self.scenario.successful_attacks.increment();
        }
    }

    fn attack_call<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&Client) -> Result<T, Error>,
    ) -> Option<T> {
        self.scenario.attacks.increment();
        self.call(name, call)
    }

    /// Starts a push notification as a browser would, and approves it. Returns
    /// the request and its validation token.
    fn browser_push(&mut self, user: &User) -> Option<(Uuid, String)> {
        let request = StartAuthenticatorAuth::new()
            .user(self.key(user))
            .short_msg(self.tag());
        let started = self.call("start_authenticator_auth", |client| {
            client.start_authenticator_auth(&request)
        })?;
        let token = started.auth_validation_token?.expose().to_owned();
        self.decide(started.auth_request_id, user, true)
            .then_some((started.auth_request_id, token))
    }

    fn complete_browser(&mut self, request: Uuid, token: &str, user: UserKey) -> Option<SignIn> {
        let expected = ExpectedUser::Is(user);
        let page = BrowserSignIn::new(Method::Authenticator, request, token, expected);
        self.attack_call("complete: complete_browser_sign_in (attack)", |client| {
            client.complete_browser_sign_in(&page)
        })
    }

    fn attack_magiclink(&mut self, pending: &PendingMagiclink, url: &str) -> Option<SignIn> {
        self.attack_call("complete: PendingMagiclink::complete (attack)", |client| {
            pending.complete(client, url)
        })
    }

    fn attack_push(&mut self, pending: &PendingAuthenticator) -> Option<SignIn> {
        self.attack_call(
            "complete: PendingAuthenticator::complete (attack)",
            |client| pending.complete(client),
        )
    }

    fn forged_token(&mut self, victim: &User) -> Option<SignIn> {
        let (request, _) = self.browser_push(victim)?;
        self.complete_browser(request, "forged", victim.id.into())
    }

    fn token_of_attacker(&mut self, victim: &User, attacker: &User) -> Option<SignIn> {
        let (request, _) = self.browser_push(victim)?;
        let (_, token) = self.browser_push(attacker)?;
        self.complete_browser(request, &token, victim.id.into())
    }

    fn sign_in_of_attacker(&mut self, attacker: &User, victim: UserKey) -> Option<SignIn> {
        let (request, token) = self.browser_push(attacker)?;
        self.complete_browser(request, &token, victim)
    }

    fn link_of_attacker(&mut self, victim: &User, attacker: &User) -> Option<SignIn> {
        let (pending, _) = self.start_magiclink(victim)?;
        let (_, tag) = self.start_magiclink(attacker)?;
        let url = self.open_link(tag)?;
        self.attack_magiclink(&pending, &url)
    }

    fn token_of_attacker_in_link_of_victim(
        &mut self,
        victim: &User,
        attacker: &User,
    ) -> Option<SignIn> {
        let (pending, _) = self.start_magiclink(victim)?;
        let (of_attacker, tag) = self.start_magiclink(attacker)?;
        let url = self.open_link(tag)?;
        let id = |pending: &PendingMagiclink| pending.auth_request_id().to_string();
        self.attack_magiclink(&pending, &url.replace(&id(&of_attacker), &id(&pending)))
    }

    fn forged_link(&mut self, victim: &User) -> Option<SignIn> {
        let (pending, _) = self.start_magiclink(victim)?;
        let id = pending.auth_request_id();
        let url = format!("{REDIRECT}?auth_validation_token=forged&auth_request_id={id}");
        self.attack_magiclink(&pending, &url)
    }

    /// Completes a sign-in a second time.
    fn completed_sign_in(&mut self, victim: &User) -> Option<SignIn> {
        let pending = self.approved_push(victim)?;
        let outcome = self.complete(&pending);
        outcome.as_ref()?.user()?;
        self.finish_sign_in(pending.auth_request_id(), Some(victim), outcome);
        self.attack_push(&pending)
    }

    /// Writes the victim into the stored state of the attacker's sign-in.
    fn changed_state(&mut self, victim: &User, attacker: &User) -> Option<SignIn> {
        let pending = self.approved_push(attacker)?;
        let mut stored = serde_json::to_value(&pending).expect("a state can be stored");
        stored["user"] = json!(UserKey::from(victim.id));
        stored["user_id"] = json!(victim.id);
        let changed = serde_json::from_value(stored).expect("a state can be read");
        self.attack_push(&changed)
    }

    /// Completes a sign-in with the client for the other API version.
    fn other_version(&mut self, victim: &User) -> Option<SignIn> {
        let pending = self.approved_push(victim)?;
        std::mem::swap(&mut self.client, &mut self.other);
        self.attack_push(&pending)
    }
}
