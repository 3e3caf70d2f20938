//! Registration of a passkey. v3 has no validate call: the flow ends with the
//! finish call.

use autharmor::flow::{Registration, WebauthnRegistrationStarted};
use autharmor::registrations::{
    AuthenticatorAttachment, StartWebauthnRegistration, StartWebauthnRegistrationForUser,
};
use autharmor::{Error, ErrorKind};
use serde_json::{Value, json};

use super::{NEWCOMER, add_newcomer, user_called};
use crate::scenario::{By, EVE, NAMED, Scenario, Scenarios, about, kind, registered, with};

const NEW: &str = "start_webauthn_registration";
const FOR_USER: &str = "start_webauthn_registration_for_user";

fn begin_new(scenario: &Scenario) -> WebauthnRegistrationStarted {
    let request = StartWebauthnRegistration::new(NEWCOMER)
        .webauthn_client_id("the website")
        .attachment_type(AuthenticatorAttachment::Any);
    scenario
        .client
        .begin_webauthn_registration(&request)
        .unwrap()
}

fn new_users() -> Scenarios<'static> {
    Scenarios::of(NEW, &[By::Name])
}

fn users() -> Scenarios<'static> {
    Scenarios::of(FOR_USER, NAMED).names_in_query_of_v4()
}

fn begin_for_user(scenario: &Scenario) -> WebauthnRegistrationStarted {
    let (_, user) = add_newcomer(scenario);
    let request = StartWebauthnRegistrationForUser::new()
        .webauthn_client_id("the website")
        .attachment_type(AuthenticatorAttachment::Any);
    scenario
        .client
        .begin_webauthn_registration_for_user(user, &request)
        .unwrap()
}

fn run(test: impl Fn(&Scenario, &WebauthnRegistrationStarted) + Sync) {
    new_users().run(|scenario| test(scenario, &begin_new(scenario)));
    users().run(|scenario| test(scenario, &begin_for_user(scenario)));
}

/// The page, on which the person makes a passkey.
fn page(scenario: &Scenario, started: &WebauthnRegistrationStarted) -> String {
    let options = &started.fido2_json_options;
    scenario
        .emulator
        .create_passkey(options, scenario.emulator.origin())
        .unwrap()
}

fn complete(
    scenario: &Scenario,
    started: &WebauthnRegistrationStarted,
    page: &str,
) -> Result<Registration, Error> {
    started.pending.complete(&scenario.client, page)
}

fn passkeys_of(scenario: &Scenario, name: &str) -> usize {
    let client = scenario.emulator.client_builder().build().unwrap();
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
    run(|scenario, started| {
        let page = page(scenario, started);
        let end = complete(scenario, started, &page).unwrap();
        let user = end.user().unwrap();
        assert_eq!(Some(user.user_id()), user_called(scenario, NEWCOMER));
        assert_eq!(user.username(), Some(NEWCOMER));
        assert_eq!(user.is_validated(), scenario.is_v4());
        assert_eq!(user.credential_id().is_some(), scenario.is_v4());
        assert_eq!(passkeys_of(scenario, NEWCOMER), 1);
    });
}

#[test]
fn declined() {
    // The browser then has no passkey, and the page nothing to send.
    run(|scenario, started| {
        let page = page(scenario, started);
        let mut lacking: Value = serde_json::from_str(&page).unwrap();
        lacking.as_object_mut().unwrap().remove("client_data");
        for nothing in ["", "null", "{}", &lacking.to_string()] {
            let end = complete(scenario, started, nothing);
            assert_eq!(kind(end), ErrorKind::InvalidInput, "{nothing}");
        }
        assert_eq!(scenario.count("finish_webauthn_registration"), 0);
        assert_eq!(scenario.count("finish_webauthn_registration_for_user"), 0);
        let end = complete(scenario, started, &page).unwrap();
        assert_eq!(Some(registered(end).0), user_called(scenario, NEWCOMER));
    });
}

#[test]
fn timed_out() {
    run(|scenario, started| {
        let page = page(scenario, started);
        scenario.later(121);
        let end = complete(scenario, started, &page);
        assert_eq!(kind(end), ErrorKind::Forbidden);
        assert_eq!(passkeys_of(scenario, NEWCOMER), 0);
    });
}

#[test]
fn validated_too_late() {
    let test = |scenario: &Scenario, started: &WebauthnRegistrationStarted| {
        let end = complete(scenario, started, &page(scenario, started));
        if scenario.is_v4() {
            assert_eq!(kind(end), ErrorKind::Forbidden);
            assert_eq!(passkeys_of(scenario, NEWCOMER), 0);
        } else {
            // There is nothing to be late for.
            assert!(!registered(end.unwrap()).1);
        }
    };
    new_users()
        .all_too_late()
        .run(|scenario| test(scenario, &begin_new(scenario)));
    users()
        .all_too_late()
        .run(|scenario| test(scenario, &begin_for_user(scenario)));
}

#[test]
fn an_attestation_works_once() {
    run(|scenario, started| {
        let first = page(scenario, started);
        let end = complete(scenario, started, &first).unwrap();
        assert_eq!(Some(registered(end).0), user_called(scenario, NEWCOMER));
        let second = page(scenario, started);
        for page in [first, second] {
            let end = complete(scenario, started, &page);
            assert_eq!(kind(end), ErrorKind::Forbidden);
        }
        assert_eq!(passkeys_of(scenario, NEWCOMER), 1);
    });
}

#[test]
fn another_page_or_challenge() {
    run(|scenario, started| {
        let mut options: Value = serde_json::from_str(&started.fido2_json_options).unwrap();
        options["challenge"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let page = scenario
            .emulator
            .create_passkey(&options.to_string(), scenario.emulator.origin())
            .unwrap();
        let end = complete(scenario, started, &page);
        assert_eq!(kind(end), ErrorKind::Api);
        assert_eq!(passkeys_of(scenario, NEWCOMER), 0);
    });
}

#[test]
fn somebody_elses_registration() {
    // The service gives the registration's own user, who is not the one whom
    // the program believes to have asked for.
    new_users().run(|scenario| {
        let started = begin_new(scenario);
        let page = page(scenario, &started);
        let eves = about(&started.pending, &EVE.into(), scenario.eve);
        let end = eves.complete(&scenario.client, &page);
        assert_eq!(kind(end), ErrorKind::Mismatch);
        assert_eq!(passkeys_of(scenario, EVE), 0);
    });
    // A user's registration cannot be finished for another one.
    users().run(|scenario| {
        let started = begin_for_user(scenario);
        let page = page(scenario, &started);
        let eves = about(&started.pending, &scenario.eve().unwrap(), scenario.eve);
        let end = eves.complete(&scenario.client, &page);
        assert_eq!(kind(end), ErrorKind::NotFound);
        let sig = with(&started.pending, "aa_sig", json!("another"));
        let end = sig.complete(&scenario.client, &page);
        assert_eq!(kind(end), ErrorKind::Unauthorized);
        let end = complete(scenario, &started, &page).unwrap();
        assert_eq!(Some(registered(end).0), user_called(scenario, NEWCOMER));
        assert_eq!(passkeys_of(scenario, EVE), 0);
    });
}
