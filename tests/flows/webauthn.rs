//! Sign-in with a passkey: by name, by id, and for anybody who has one.

use autharmor::auth::{AuthMethod, StartWebauthnAuth};
use autharmor::emulator::EmulatorError;
use autharmor::flow::{SignIn, WebauthnStarted};
use autharmor::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::scenario::{
    AGENT, By, EVE, IP, NAMED, NAMED_OR_NOT, OTHER_IP, Scenario, Scenarios, about, kind, tampered,
    with,
};

const START: &str = "start_webauthn_auth";

fn run(by: &[By], test: impl Fn(&Scenario, &Passkeys) + Sync) {
    Scenarios::of(START, by).run(|scenario| test(scenario, &Passkeys::new(scenario)));
}

/// The ids of both people's passkeys.
struct Passkeys {
    adas: String,
    eves: String,
}

impl Passkeys {
    fn new(scenario: &Scenario) -> Self {
        Self {
            adas: scenario.add_passkey(scenario.ada),
            eves: scenario.add_passkey(scenario.eve),
        }
    }
}

fn begin(scenario: &Scenario) -> WebauthnStarted {
    let mut request = StartWebauthnAuth::new().webauthn_client_id("the website");
    if let Some(user) = scenario.ada() {
        request = request.user(user);
    }
    // v3 has no field for them, nor for a nonce.
    if scenario.is_v4() {
        request = request.ip_address(IP).user_agent(AGENT);
    }
    scenario.client.begin_webauthn_sign_in(&request).unwrap()
}

/// Returns the JSON of the page on which the user picks this passkey.
fn page(scenario: &Scenario, started: &WebauthnStarted, passkey: &str) -> String {
    let mut options: Value = serde_json::from_str(&started.fido2_json_options).unwrap();
    options["allowCredentials"] = json!([{ "type": "public-key", "id": passkey }]);
    scenario
        .emulator
        .use_passkey(&options.to_string(), scenario.emulator.origin())
        .unwrap()
}

fn complete(scenario: &Scenario, started: &WebauthnStarted, page: &str) -> Result<SignIn, Error> {
    started.pending.complete(&scenario.client, page)
}

#[test]
fn approved() {
    run(NAMED_OR_NOT, |scenario, passkeys| {
        let started = begin(scenario);
        let page = page(scenario, &started, &passkeys.adas);
        let end = complete(scenario, &started, &page);
        scenario.assert_ada(&end, started.pending.auth_request_id());
        let end = end.unwrap();
        assert_eq!(end.user().unwrap().method(), Some(&AuthMethod::WebAuthn));
    });
}

#[test]
fn the_options_are_for_the_users_own_passkeys() {
    run(NAMED, |scenario, passkeys| {
        let started = begin(scenario);
        let options: Value = serde_json::from_str(&started.fido2_json_options).unwrap();
        assert_eq!(options["allowCredentials"][0]["id"], passkeys.adas);
        let page = scenario
            .emulator
            .use_passkey(&started.fido2_json_options, scenario.emulator.origin())
            .unwrap();
        // One page SDK sends a string that holds the object.
        let wrapped = Value::String(page).to_string();
        let end = complete(scenario, &started, &wrapped);
        scenario.assert_ada(&end, started.pending.auth_request_id());
    });
}

#[test]
fn declined() {
    // The browser then has no assertion, and the page has nothing to send.
    run(NAMED_OR_NOT, |scenario, passkeys| {
        let started = begin(scenario);
        for nothing in ["", "null", "\"\"", "[]", "NotAllowedError"] {
            let end = complete(scenario, &started, nothing);
            assert_eq!(kind(end), ErrorKind::InvalidInput, "{nothing}");
        }
        assert_eq!(scenario.count("finish_webauthn_auth"), 0);
        // The user can still sign in.
        let page = page(scenario, &started, &passkeys.adas);
        let end = complete(scenario, &started, &page);
        scenario.assert_ada(&end, started.pending.auth_request_id());
    });
}

#[test]
fn timed_out() {
    run(NAMED_OR_NOT, |scenario, passkeys| {
        let started = begin(scenario);
        let page = page(scenario, &started, &passkeys.adas);
        scenario.later(61);
        let end = complete(scenario, &started, &page);
        assert_eq!(kind(end), ErrorKind::Forbidden);
        assert_eq!(scenario.count("validate_webauthn_auth"), 0);
    });
}

#[test]
fn validated_too_late() {
    Scenarios::of(START, NAMED_OR_NOT)
        .all_too_late()
        .run(|scenario| {
            let passkeys = Passkeys::new(scenario);
            let started = begin(scenario);
            let page = page(scenario, &started, &passkeys.adas);
            let end = complete(scenario, &started, &page);
            assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
        });
}

#[test]
fn an_assertion_works_once() {
    run(NAMED_OR_NOT, |scenario, passkeys| {
        let started = begin(scenario);
        let first = page(scenario, &started, &passkeys.adas);
        let end = complete(scenario, &started, &first);
        scenario.assert_ada(&end, started.pending.auth_request_id());
        // Neither that one nor a new one for the same challenge, nor that one
        // for another sign-in.
        let second = page(scenario, &started, &passkeys.adas);
        for page in [&first, &second] {
            let end = complete(scenario, &started, page);
            assert_eq!(kind(end), ErrorKind::Forbidden);
        }
        scenario.begins_another();
        let end = complete(scenario, &begin(scenario), &first);
        assert_eq!(kind(end), ErrorKind::Api);
        assert_eq!(scenario.count("validate_webauthn_auth"), 1);
    });
}

#[test]
fn what_was_given_at_the_start_has_to_come_again() {
    for (name, value) in [
        ("ip_address", json!(OTHER_IP)),
        ("user_agent", Value::Null),
        ("nonce", json!("another")),
    ] {
        run(NAMED_OR_NOT, |scenario, passkeys| {
            let started = begin(scenario);
            if !scenario.is_v4() {
                let stored = serde_json::to_value(&started.pending).unwrap();
                assert!(stored.get(name).is_none());
                return;
            }
            let page = page(scenario, &started, &passkeys.adas);
            let other = with(&started.pending, name, value.clone());
            let end = other.complete(&scenario.client, &page);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
            let end = complete(scenario, &started, &page);
            assert_eq!(kind(end), ErrorKind::Forbidden);
        });
    }
}

#[test]
fn the_passkey_of_another_user() {
    run(NAMED, |scenario, passkeys| {
        let started = begin(scenario);
        let eves = page(scenario, &started, &passkeys.eves);
        let end = complete(scenario, &started, &eves);
        assert_eq!(kind(end), ErrorKind::Api);
        assert_eq!(scenario.count("validate_webauthn_auth"), 0);
        // The attempt has ended the request.
        let adas = page(scenario, &started, &passkeys.adas);
        let end = complete(scenario, &started, &adas);
        assert_eq!(kind(end), ErrorKind::Forbidden);
    });
    // Without a user in the request, the response says who signed in.
    run(&[By::Nobody], |scenario, passkeys| {
        let started = begin(scenario);
        let eves = page(scenario, &started, &passkeys.eves);
        let end = complete(scenario, &started, &eves).unwrap();
        assert_eq!(end.user().unwrap().user_id(), scenario.eve);
        assert_eq!(end.user().unwrap().username(), Some(EVE));
    });
}

#[test]
fn somebody_elses_sign_in_is_a_mismatch() {
    run(NAMED_OR_NOT, |scenario, passkeys| {
        let started = begin(scenario);
        let page = page(scenario, &started, &passkeys.adas);
        let eves = match scenario.eve() {
            Some(eve) => about(&started.pending, &eve, scenario.eve),
            None => tampered(&started.pending, |stored| {
                stored["user"] = json!({ "username": EVE });
            }),
        };
        let end = eves.complete(&scenario.client, &page);
        assert_eq!(kind(end), ErrorKind::Mismatch);
    });
}

#[test]
fn a_page_of_another_origin() {
    run(NAMED_OR_NOT, |scenario, _| {
        let started = begin(scenario);
        let evil = |origin| {
            scenario
                .emulator
                .use_passkey(&started.fido2_json_options, origin)
        };
        // The browser refuses where the relying party is another one.
        let refused = evil("https://evil.example");
        assert!(
            matches!(refused, Err(EmulatorError::Passkey(_))),
            "{refused:?}"
        );
        let page = evil("https://evil.localhost").unwrap();
        let end = complete(scenario, &started, &page);
        assert_eq!(kind(end), ErrorKind::Api);
    });
}
