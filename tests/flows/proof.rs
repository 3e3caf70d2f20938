//! Proofs of sign-ins: kept by each flow, and required by those that are told to.

use std::error::Error as _;

use autharmor::auth::{StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth};
use autharmor::emulator::Emulator;
use autharmor::flow::{
    BrowserSignIn, ExpectedUser, Method, PendingAuthenticator, PendingWebauthn, SignIn,
    SignedInUser,
};
use autharmor::proof::{Check, Coverage, Expectation, PinnedKey, Proof, ProofError, Trust};
use autharmor::registrations::StartWebauthnRegistrationForUser;
use autharmor::{ApiVersion, Client, Error, ErrorKind};

use crate::scenario::tampered;

const ADA: &str = "ada@example.com";

struct Service {
    emulator: Emulator,
    client: Client,
}

/// Runs the test under both versions.
fn run(test: impl Fn(&Service)) {
    for version in [ApiVersion::V3, ApiVersion::V4] {
        let emulator = Emulator::builder().user(ADA).start().unwrap();
        let client = emulator.client_builder().api_version(version);
        let client = client.build().unwrap();
        test(&Service { emulator, client });
    }
}

impl Service {
    fn begin(&self) -> PendingAuthenticator {
        let request = StartAuthenticatorAuth::new().user(ADA);
        let started = self.client.begin_authenticator_sign_in(&request).unwrap();
        started.pending
    }

    fn approved(&self) -> PendingAuthenticator {
        let pending = self.begin();
        self.emulator.approve(pending.auth_request_id()).unwrap();
        pending
    }

    /// Registers a passkey for ada and returns its key.
    fn passkey(&self) -> PinnedKey {
        let request = StartWebauthnRegistrationForUser::new();
        let ada = self.emulator.users()[0].0;
        let started = self
            .client
            .begin_webauthn_registration_for_user(ada, &request);
        let started = started.unwrap();
        let (options, origin) = (&started.fido2_json_options, self.emulator.origin());
        let page = self.emulator.create_passkey(options, origin).unwrap();
        let end = started.pending.complete(&self.client, &page).unwrap();
        end.user().unwrap().pinned_key().unwrap().clone()
    }

    /// Returns the state and the page's JSON of a sign-in by passkey.
    fn passkey_used(&self) -> (PendingWebauthn, String) {
        let request = StartWebauthnAuth::new().user(ADA);
        let started = self.client.begin_webauthn_sign_in(&request).unwrap();
        let (options, origin) = (&started.fido2_json_options, self.emulator.origin());
        let page = self.emulator.use_passkey(options, origin).unwrap();
        (started.pending, page)
    }

    /// Expects the emulator's website.
    fn website(&self, expectation: Expectation) -> Expectation {
        let origin = self.emulator.origin();
        let host = origin
            .split("://")
            .nth(1)
            .unwrap()
            .split(':')
            .next()
            .unwrap();
        expectation.origin(origin).relying_party(host)
    }

    fn is_v4(&self) -> bool {
        self.client.api_version() == ApiVersion::V4
    }
}

fn user(end: Result<SignIn, Error>) -> SignedInUser {
    end.unwrap().user().expect("a user").clone()
}

fn assert_refused(end: Result<SignIn, Error>, expected: ProofError) {
    let error = end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let source = error.source().unwrap().downcast_ref::<ProofError>();
    assert_eq!(source, Some(&expected));
}

#[test]
fn a_phone_s_key_is_kept_at_the_first_sign_in_and_required_later() {
    run(|service| {
        let client = &service.client;
        let first = user(service.approved().complete(client));
        assert_eq!(first.verified_proof(), None);
        let expectation = first.expectation(Expectation::key_in_message()).unwrap();
        let verified = first.proof().unwrap().verify(&expectation).unwrap();
        assert_eq!(verified.trust(), Trust::InMessage);

        let mut key = verified.key().clone();
        for _ in 0..2 {
            let expectation =
                Expectation::pinned([key.clone()]).project_id(service.emulator.project_id());
            let pending = service.approved().require_proof(expectation);
            // It can be stored in between.
            let pending: PendingAuthenticator = tampered(&pending, |_| ());
            let user = user(pending.complete(client));
            let verified = user.verified_proof().unwrap();
            assert_eq!(verified.trust(), Trust::Pinned);
            assert_eq!(verified.coverage(), Coverage::SignedData);
            for check in [
                Check::Counter,
                Check::RequestId,
                Check::UserId,
                Check::ProjectId,
            ] {
                assert!(verified.checks().contains(&check), "{check}");
            }
            assert!(verified.checks().contains(&Check::Nonce));
            assert!(verified.key().last_counter() > key.last_counter());
            key = verified.key().clone();
        }
    });
}

#[test]
fn a_passkey_s_key_is_kept_at_its_registration() {
    run(|service| {
        let key = service.passkey();
        let expectation = service.website(Expectation::pinned([key.clone()]));
        let (pending, page) = service.passkey_used();
        let pending: PendingWebauthn = tampered(&pending.require_proof(expectation), |_| ());
        let user = user(pending.complete(&service.client, &page));
        let verified = user.verified_proof().unwrap();
        assert_eq!(verified.trust(), Trust::Pinned);
        let unchecked: Vec<_> = Check::ALL
            .into_iter()
            .filter(|check| !verified.checks().contains(check))
            .collect();
        // v3 has no field for a nonce.
        let expected: &[_] = if service.is_v4() {
            &[Check::ProjectId, Check::Date]
        } else {
            &[Check::ProjectId, Check::Nonce, Check::Date]
        };
        assert_eq!(unchecked, expected);
        assert!(verified.key().last_counter() > key.last_counter());
        assert_eq!(verified.key().credential_id(), key.credential_id());
    });
}

#[test]
fn without_a_valid_proof_nobody_signs_in_if_one_is_required() {
    run(|service| {
        let client = &service.client;
        let key = service.passkey();
        let require = |pending: PendingAuthenticator, expectation| {
            pending.require_proof(expectation).complete(client)
        };
        let none = || Expectation::pinned([]);
        assert_refused(require(service.approved(), none()), ProofError::UnknownKey);
        // The key of another method.
        let another = Expectation::pinned([key.clone()]);
        assert_refused(require(service.approved(), another), ProofError::UnknownKey);
        let another = Expectation::key_in_message().user_id(service.emulator.project_id());
        let failed = ProofError::Failed(Check::UserId);
        assert_refused(require(service.approved(), another), failed);
        let another = Expectation::key_in_message().project_id(uuid::Uuid::nil());
        let failed = ProofError::Failed(Check::ProjectId);
        assert_refused(require(service.approved(), another), failed);

        let (pending, page) = service.passkey_used();
        let expectation = Expectation::pinned([key.clone()]);
        let end = pending.require_proof(expectation).complete(client, &page);
        assert_refused(end, ProofError::Unspecified(Check::Origin));
        let (pending, page) = service.passkey_used();
        let elsewhere = Expectation::pinned([key.clone()])
            .origin("https://evil.example")
            .relying_party("evil.example");
        let end = pending.require_proof(elsewhere).complete(client, &page);
        assert_refused(end, ProofError::Failed(Check::Origin));
        let (pending, page) = service.passkey_used();
        let ahead = Expectation::pinned([key.with_last_counter(1000)]);
        let pending = pending.require_proof(service.website(ahead));
        let end = pending.complete(client, &page);
        assert_refused(end, ProofError::Failed(Check::Counter));
    });
}

/// The challenge is that of the options which the page was given.
#[test]
fn a_passkey_s_challenge_is_the_one_of_the_page() {
    run(|service| {
        let key = service.passkey();
        let expectation = || service.website(Expectation::pinned([key.clone()]));
        let (pending, page) = service.passkey_used();
        let pending = tampered(&pending.require_proof(expectation()), |state| {
            assert!(state["challenge"].is_string());
            state["challenge"] = "AQID".into();
        });
        let end = pending.complete(&service.client, &page);
        assert_refused(end, ProofError::Failed(Check::Challenge));
        let (pending, page) = service.passkey_used();
        let pending = tampered(&pending.require_proof(expectation()), |state| {
            state.as_object_mut().unwrap().remove("challenge");
        });
        let end = pending.complete(&service.client, &page);
        assert_refused(end, ProofError::Unspecified(Check::Challenge));
    });
}

#[test]
fn a_requirement_that_is_not_understood_is_not_ignored() {
    run(|service| {
        let pending = service.begin().require_proof(Expectation::key_in_message());
        let mut state = serde_json::to_value(&pending).unwrap();
        state["required_proof"]["only_on_weekdays"] = true.into();
        assert!(serde_json::from_value::<PendingAuthenticator>(state).is_err());
    });
}

#[test]
fn a_proof_that_fails_does_not_unmake_a_sign_in() {
    run(|service| {
        let user = user(service.approved().complete(&service.client));
        let expectation = user.expectation(Expectation::pinned([])).unwrap();
        let proof = user.proof().unwrap();
        assert_eq!(proof.verify(&expectation), Err(ProofError::UnknownKey));
        assert_eq!(user.username(), Some(ADA));
        let another = Expectation::pinned([]).user_id(uuid::Uuid::nil());
        let error = user.expectation(another).unwrap_err();
        assert_eq!(error, ProofError::Failed(Check::UserId));
    });
}

#[test]
fn proof_and_expectation_verify_years_later() {
    run(|service| {
        let user = user(service.approved().complete(&service.client));
        let expectation = user.expectation(Expectation::key_in_message()).unwrap();
        let log = serde_json::to_string(&(user.proof(), &expectation)).unwrap();
        let (proof, expectation): (Proof, Expectation) = serde_json::from_str(&log).unwrap();
        let verified = proof.verify(&expectation).unwrap();
        assert!(verified.checks().contains(&Check::Nonce));
        assert!(verified.signed_at().is_some());
    });
}

#[test]
fn a_magic_link_has_no_proof() {
    run(|service| {
        let request = StartMagiclinkEmailAuth::new(ADA, "https://app.example/in");
        let begin = || service.client.begin_magiclink_sign_in(&request).unwrap();
        let link = || {
            let mail = service.emulator.outbox().pop().unwrap();
            service.emulator.click(&mail.link).unwrap()
        };
        let pending = begin();
        let user = user(pending.complete(&service.client, &link()));
        assert_eq!(user.proof(), None);

        let id = begin().auth_request_id();
        let link = link();
        let token = link.split("auth_validation_token=").nth(1).unwrap();
        let token = token.split('&').next().unwrap();
        let from_page = BrowserSignIn::new(Method::MagiclinkEmail, id, token, ExpectedUser::Anyone);
        let from_page = from_page.require_proof(Expectation::key_in_message());
        let end = service.client.complete_browser_sign_in(&from_page);
        assert_refused(end, ProofError::Missing);
    });
}

#[test]
fn a_sign_in_that_a_page_began_can_require_a_proof() {
    run(|service| {
        let sign_in = |expectation| {
            let request = StartAuthenticatorAuth::new().user(ADA).nonce("of the page");
            let started = service.client.start_authenticator_auth(&request).unwrap();
            let id = started.auth_request_id;
            service.emulator.approve(id).unwrap();
            let token = started.auth_validation_token.unwrap();
            let user = ExpectedUser::Is(ADA.into());
            let from_page = BrowserSignIn::new(Method::Authenticator, id, token, user)
                .nonce("of the page")
                .require_proof(expectation);
            service.client.complete_browser_sign_in(&from_page)
        };
        let user = user(sign_in(Expectation::key_in_message()));
        let checks = user.verified_proof().unwrap().checks();
        assert!(checks.contains(&Check::Nonce));
        assert_refused(sign_in(Expectation::pinned([])), ProofError::UnknownKey);
    });
}

/// The signed data does not say what the user decided.
#[test]
fn a_proof_does_not_show_that_the_user_approved() {
    run(|service| {
        let pending = service.begin();
        let id = pending.auth_request_id();
        service.emulator.decline(id).unwrap();
        let info = service.client.get_auth_info(id).unwrap();
        let details = info.auth_response.unwrap().auth_details.unwrap();
        let response = details.response_details.unwrap();
        let user = response.auth_profile_details.unwrap().user_id.unwrap();
        let proof = Proof::from_message(response.secure_signed_message.unwrap()).unwrap();
        let expectation = Expectation::key_in_message()
            .auth_request_id(id)
            .user_id(user);
        assert!(proof.verify(&expectation).is_ok());
        let end = pending.complete(&service.client).unwrap();
        assert!(matches!(end, SignIn::Declined), "{end:?}");
    });
}
