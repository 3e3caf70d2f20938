//! Registering a passkey. v3 has no validate call: the flow ends with the
//! finish call.

use autharmor::flow::{Registration, WebauthnRegistrationStarted};
use autharmor::registrations::{
    AuthenticatorAttachment, StartWebauthnRegistration, StartWebauthnRegistrationForUser,
};
use autharmor::{Error, ErrorKind};
use serde_json::{Value, json};

use super::{NEWCOMER, add_newcomer, user_called};
use crate::stage::{By, EVE, NAMED, Scenes, Stage, about, kind, registered, with};

const NEW: &str = "start_webauthn_registration";
const FOR_USER: &str = "start_webauthn_registration_for_user";

fn begin_new(stage: &Stage) -> WebauthnRegistrationStarted {
    let request = StartWebauthnRegistration::new(NEWCOMER)
        .webauthn_client_id("the website")
        .attachment_type(AuthenticatorAttachment::Any);
    stage.client.begin_webauthn_registration(&request).unwrap()
}

fn new_users() -> Scenes<'static> {
    Scenes::of(NEW, &[By::Name])
}

fn users() -> Scenes<'static> {
    Scenes::of(FOR_USER, NAMED).names_in_query_of_v4()
}

fn begin_for_user(stage: &Stage) -> WebauthnRegistrationStarted {
    let (_, user) = add_newcomer(stage);
    let request = StartWebauthnRegistrationForUser::new()
        .webauthn_client_id("the website")
        .attachment_type(AuthenticatorAttachment::Any);
    stage
        .client
        .begin_webauthn_registration_for_user(user, &request)
        .unwrap()
}

fn play(scene: impl Fn(&Stage, &WebauthnRegistrationStarted) + Sync) {
    new_users().play(|stage| scene(stage, &begin_new(stage)));
    users().play(|stage| scene(stage, &begin_for_user(stage)));
}

/// The page, on which the person makes a passkey.
fn page(stage: &Stage, started: &WebauthnRegistrationStarted) -> String {
    let options = &started.fido2_json_options;
    stage
        .emulator
        .create_passkey(options, stage.emulator.origin())
        .unwrap()
}

fn complete(
    stage: &Stage,
    started: &WebauthnRegistrationStarted,
    page: &str,
) -> Result<Registration, Error> {
    started.pending.complete(&stage.client, page)
}

fn passkeys_of(stage: &Stage, name: &str) -> usize {
    let client = stage.emulator.client_builder().build().unwrap();
    match client.get_user(name) {
        Ok(user) => {
            let methods = &user.enrolled_auth_methods;
            let passkeys = methods
                .iter()
                .filter(|method| method.auth_method_name.as_deref() == Some("WebAuthN"));
            passkeys.count()
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            0
        }
    }
}

#[test]
fn registered_with_a_passkey() {
    play(|stage, started| {
        let page = page(stage, started);
        let end = complete(stage, started, &page).unwrap();
        let user = end.user().unwrap();
        assert_eq!(Some(user.user_id()), user_called(stage, NEWCOMER));
        assert_eq!(user.username(), Some(NEWCOMER));
        assert_eq!(user.is_validated(), stage.is_v4());
        assert_eq!(user.credential_id().is_some(), stage.is_v4());
        assert_eq!(passkeys_of(stage, NEWCOMER), 1);
    });
}

#[test]
fn declined() {
    // The browser then has no passkey, and the page nothing to send.
    play(|stage, started| {
        let page = page(stage, started);
        let mut lacking: Value = serde_json::from_str(&page).unwrap();
        lacking.as_object_mut().unwrap().remove("client_data");
        for nothing in ["", "null", "{}", &lacking.to_string()] {
            let end = complete(stage, started, nothing);
            assert_eq!(kind(end), ErrorKind::InvalidInput, "{nothing}");
        }
        assert_eq!(stage.count("finish_webauthn_registration"), 0);
        assert_eq!(stage.count("finish_webauthn_registration_for_user"), 0);
        let end = complete(stage, started, &page).unwrap();
        assert_eq!(Some(registered(end).0), user_called(stage, NEWCOMER));
    });
}

#[test]
fn not_answered_in_time() {
    play(|stage, started| {
        let page = page(stage, started);
        stage.later(121);
        let end = complete(stage, started, &page);
        assert_eq!(kind(end), ErrorKind::Forbidden);
        assert_eq!(passkeys_of(stage, NEWCOMER), 0);
    });
}

#[test]
fn validated_too_late() {
    let scene = |stage: &Stage, started: &WebauthnRegistrationStarted| {
        let end = complete(stage, started, &page(stage, started));
        if stage.is_v4() {
            assert_eq!(kind(end), ErrorKind::Forbidden);
            assert_eq!(passkeys_of(stage, NEWCOMER), 0);
        } else {
            // There is nothing to be late for.
            assert!(!registered(end.unwrap()).1);
        }
    };
    new_users()
        .all_too_late()
        .play(|stage| scene(stage, &begin_new(stage)));
    users()
        .all_too_late()
        .play(|stage| scene(stage, &begin_for_user(stage)));
}

#[test]
fn an_attestation_works_once() {
    play(|stage, started| {
        let first = page(stage, started);
        let end = complete(stage, started, &first).unwrap();
        assert_eq!(Some(registered(end).0), user_called(stage, NEWCOMER));
        let second = page(stage, started);
        for page in [first, second] {
            let end = complete(stage, started, &page);
            assert_eq!(kind(end), ErrorKind::Forbidden);
        }
        assert_eq!(passkeys_of(stage, NEWCOMER), 1);
    });
}

#[test]
fn another_page_or_challenge() {
    play(|stage, started| {
        let mut options: Value = serde_json::from_str(&started.fido2_json_options).unwrap();
        options["challenge"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let page = stage
            .emulator
            .create_passkey(&options.to_string(), stage.emulator.origin())
            .unwrap();
        let end = complete(stage, started, &page);
        assert_eq!(kind(end), ErrorKind::Api);
        assert_eq!(passkeys_of(stage, NEWCOMER), 0);
    });
}

#[test]
fn somebody_elses_registration() {
    // The service gives the registration's own user, who is not the one whom
    // the program believes to have asked for.
    new_users().play(|stage| {
        let started = begin_new(stage);
        let page = page(stage, &started);
        let eves = about(&started.pending, &EVE.into(), stage.eve);
        let end = eves.complete(&stage.client, &page);
        assert_eq!(kind(end), ErrorKind::Mismatch);
        assert_eq!(passkeys_of(stage, EVE), 0);
    });
    // A user's registration cannot be finished for another one.
    users().play(|stage| {
        let started = begin_for_user(stage);
        let page = page(stage, &started);
        let eves = about(&started.pending, &stage.eve().unwrap(), stage.eve);
        let end = eves.complete(&stage.client, &page);
        assert_eq!(kind(end), ErrorKind::NotFound);
        let sig = with(&started.pending, "aa_sig", json!("another"));
        let end = sig.complete(&stage.client, &page);
        assert_eq!(kind(end), ErrorKind::Unauthorized);
        let end = complete(stage, &started, &page).unwrap();
        assert_eq!(Some(registered(end).0), user_called(stage, NEWCOMER));
        assert_eq!(passkeys_of(stage, EVE), 0);
    });
}
