//! Signing in with a passkey: by name, by id, and whoever has one.

use autharmor::auth::{AuthMethod, StartWebauthnAuth};
use autharmor::emulator::EmulatorError;
use autharmor::flow::{SignIn, WebauthnStarted};
use autharmor::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::stage::{
    AGENT, By, EVE, IP, NAMED, NAMED_OR_NOT, OTHER_IP, Scenes, Stage, about, kind, tampered, with,
};

const START: &str = "start_webauthn_auth";

fn play(by: &[By], scene: impl Fn(&Stage, &Passkeys) + Sync) {
    Scenes::of(START, by).play(|stage| scene(stage, &Passkeys::new(stage)));
}

/// The ids of both people's passkeys.
struct Passkeys {
    adas: String,
    eves: String,
}

impl Passkeys {
    fn new(stage: &Stage) -> Self {
        Self {
            adas: stage.add_passkey(stage.ada),
            eves: stage.add_passkey(stage.eve),
        }
    }
}

fn begin(stage: &Stage) -> WebauthnStarted {
    let mut request = StartWebauthnAuth::new().webauthn_client_id("the website");
    if let Some(user) = stage.ada() {
        request = request.user(user);
    }
    // v3 has no room for them, nor for a nonce.
    if stage.is_v4() {
        request = request.ip_address(IP).user_agent(AGENT);
    }
    stage.client.begin_webauthn_sign_in(&request).unwrap()
}

/// The page, on which the person picks this passkey.
fn page(stage: &Stage, started: &WebauthnStarted, passkey: &str) -> String {
    let mut options: Value = serde_json::from_str(&started.fido2_json_options).unwrap();
    options["allowCredentials"] = json!([{ "type": "public-key", "id": passkey }]);
    stage
        .emulator
        .use_passkey(&options.to_string(), stage.emulator.origin())
        .unwrap()
}

fn complete(stage: &Stage, started: &WebauthnStarted, page: &str) -> Result<SignIn, Error> {
    started.pending.complete(&stage.client, page)
}

#[test]
fn approved() {
    play(NAMED_OR_NOT, |stage, passkeys| {
        let started = begin(stage);
        let page = page(stage, &started, &passkeys.adas);
        let end = complete(stage, &started, &page);
        stage.assert_ada(&end, started.pending.auth_request_id());
        let end = end.unwrap();
        assert_eq!(end.user().unwrap().method(), Some(&AuthMethod::WebAuthn));
    });
}

#[test]
fn the_options_are_for_the_users_own_passkeys() {
    play(NAMED, |stage, passkeys| {
        let started = begin(stage);
        let options: Value = serde_json::from_str(&started.fido2_json_options).unwrap();
        assert_eq!(options["allowCredentials"][0]["id"], passkeys.adas);
        let page = stage
            .emulator
            .use_passkey(&started.fido2_json_options, stage.emulator.origin())
            .unwrap();
        // One page SDK wraps it into a string.
        let wrapped = Value::String(page).to_string();
        let end = complete(stage, &started, &wrapped);
        stage.assert_ada(&end, started.pending.auth_request_id());
    });
}

#[test]
fn declined() {
    // The browser then has no assertion, and the page nothing to send.
    play(NAMED_OR_NOT, |stage, passkeys| {
        let started = begin(stage);
        for nothing in ["", "null", "\"\"", "[]", "NotAllowedError"] {
            let end = complete(stage, &started, nothing);
            assert_eq!(kind(end), ErrorKind::InvalidInput, "{nothing}");
        }
        assert_eq!(stage.count("finish_webauthn_auth"), 0);
        // Who changes their mind can still sign in.
        let page = page(stage, &started, &passkeys.adas);
        let end = complete(stage, &started, &page);
        stage.assert_ada(&end, started.pending.auth_request_id());
    });
}

#[test]
fn not_answered_in_time() {
    play(NAMED_OR_NOT, |stage, passkeys| {
        let started = begin(stage);
        let page = page(stage, &started, &passkeys.adas);
        stage.later(61);
        let end = complete(stage, &started, &page);
        assert_eq!(kind(end), ErrorKind::Forbidden);
        assert_eq!(stage.count("validate_webauthn_auth"), 0);
    });
}

#[test]
fn validated_too_late() {
    Scenes::of(START, NAMED_OR_NOT)
        .all_too_late()
        .play(|stage| {
            let passkeys = Passkeys::new(stage);
            let started = begin(stage);
            let page = page(stage, &started, &passkeys.adas);
            let end = complete(stage, &started, &page);
            assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
        });
}

#[test]
fn an_assertion_works_once() {
    play(NAMED_OR_NOT, |stage, passkeys| {
        let started = begin(stage);
        let first = page(stage, &started, &passkeys.adas);
        let end = complete(stage, &started, &first);
        stage.assert_ada(&end, started.pending.auth_request_id());
        // Neither that one nor a new one for the same challenge, nor that one
        // for another sign-in.
        let second = page(stage, &started, &passkeys.adas);
        for page in [&first, &second] {
            let end = complete(stage, &started, page);
            assert_eq!(kind(end), ErrorKind::Forbidden);
        }
        stage.begins_another();
        let end = complete(stage, &begin(stage), &first);
        assert_eq!(kind(end), ErrorKind::Api);
        assert_eq!(stage.count("validate_webauthn_auth"), 1);
    });
}

#[test]
fn what_was_given_at_the_start_has_to_come_again() {
    for (name, value) in [
        ("ip_address", json!(OTHER_IP)),
        ("user_agent", Value::Null),
        ("nonce", json!("another")),
    ] {
        play(NAMED_OR_NOT, |stage, passkeys| {
            let started = begin(stage);
            if !stage.is_v4() {
                let stored = serde_json::to_value(&started.pending).unwrap();
                assert!(stored.get(name).is_none());
                return;
            }
            let page = page(stage, &started, &passkeys.adas);
            let other = with(&started.pending, name, value.clone());
            let end = other.complete(&stage.client, &page);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
            let end = complete(stage, &started, &page);
            assert_eq!(kind(end), ErrorKind::Forbidden);
        });
    }
}

#[test]
fn the_passkey_of_another_user() {
    play(NAMED, |stage, passkeys| {
        let started = begin(stage);
        let eves = page(stage, &started, &passkeys.eves);
        let end = complete(stage, &started, &eves);
        assert_eq!(kind(end), ErrorKind::Api);
        assert_eq!(stage.count("validate_webauthn_auth"), 0);
        // The attempt has ended the request.
        let adas = page(stage, &started, &passkeys.adas);
        let end = complete(stage, &started, &adas);
        assert_eq!(kind(end), ErrorKind::Forbidden);
    });
    // Where nobody was asked for, the answer says who came.
    play(&[By::Nobody], |stage, passkeys| {
        let started = begin(stage);
        let eves = page(stage, &started, &passkeys.eves);
        let end = complete(stage, &started, &eves).unwrap();
        assert_eq!(end.user().unwrap().user_id(), stage.eve);
        assert_eq!(end.user().unwrap().username(), Some(EVE));
    });
}

#[test]
fn somebody_elses_sign_in_is_a_mismatch() {
    play(NAMED_OR_NOT, |stage, passkeys| {
        let started = begin(stage);
        let page = page(stage, &started, &passkeys.adas);
        let eves = match stage.eve() {
            Some(eve) => about(&started.pending, &eve, stage.eve),
            None => tampered(&started.pending, |stored| {
                stored["user"] = json!({ "username": EVE });
            }),
        };
        let end = eves.complete(&stage.client, &page);
        assert_eq!(kind(end), ErrorKind::Mismatch);
    });
}

#[test]
fn a_page_of_another_origin() {
    play(NAMED_OR_NOT, |stage, _| {
        let started = begin(stage);
        let evil = |origin| {
            stage
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
        let end = complete(stage, &started, &page);
        assert_eq!(kind(end), ErrorKind::Api);
    });
}
