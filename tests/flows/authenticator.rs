//! Signing in with the app: by name, by id, and whoever scans the code.

use std::ops::ControlFlow;
use std::time::Duration;

use autharmor::auth::{AuthMethod, AuthMethodUseType, StartAuthenticatorAuth};
use autharmor::emulator::{EmulatorError, Scanned};
use autharmor::flow::{AuthenticatorStarted, SignIn, WaitPolicy};
use autharmor::{Error, ErrorKind, UserKey};
use serde_json::{Value, json};

use crate::stage::{
    ADA, AGENT, By, EVE, IP, NAMED, NAMED_OR_NOT, OTHER_IP, Scenes, Stage, about, after_polls,
    kind, tampered, while_waiting, with,
};

const START: &str = "start_authenticator_auth";

fn play(by: &[By], scene: impl Fn(&Stage) + Sync) {
    Scenes::of(START, by).play(scene);
}

fn begin_for(stage: &Stage, user: Option<UserKey>) -> AuthenticatorStarted {
    let request = StartAuthenticatorAuth::new()
        .action_name("Sign in")
        .short_msg("Somebody signs in as you")
        .use_visual_verify(true)
        .timeout_in_seconds(60)
        .ip_address(IP)
        .user_agent(AGENT);
    let request = match user {
        Some(user) => request.user(user),
        None => request,
    };
    stage.client.begin_authenticator_sign_in(&request).unwrap()
}

fn begin(stage: &Stage) -> AuthenticatorStarted {
    begin_for(stage, stage.ada())
}

/// A request for nobody in particular has to be scanned first.
fn pick_up(stage: &Stage, started: &AuthenticatorStarted, person: &str) {
    if stage.by == By::Nobody {
        let code = started.qr_code_data.as_ref().unwrap().expose();
        let auth_request_id = started.pending.auth_request_id();
        assert_eq!(
            stage.emulator.scan_qr(code, Some(person)),
            Ok(Scanned::SignIn { auth_request_id })
        );
    }
}

fn approve(stage: &Stage, started: &AuthenticatorStarted) {
    pick_up(stage, started, ADA);
    stage
        .emulator
        .approve(started.pending.auth_request_id())
        .unwrap();
}

fn complete(stage: &Stage, started: &AuthenticatorStarted) -> Result<SignIn, Error> {
    started.pending.complete(&stage.client)
}

#[test]
fn approved() {
    play(NAMED_OR_NOT, |stage| {
        let started = begin(stage);
        assert_eq!(started.push_message_sent, stage.by != By::Nobody);
        assert!(started.visual_verify_value.is_some());
        // The person takes longer than the first poll.
        let policy = after_polls(1, || approve(stage, &started));
        let end = started.pending.wait(&stage.client, &policy);
        stage.assert_ada(&end, started.pending.auth_request_id());
        let end = end.unwrap();
        let user = end.user().unwrap();
        assert_eq!(user.method(), Some(&AuthMethod::AuthArmorAuthenticator));
        assert_eq!(user.use_type(), Some(&AuthMethodUseType::Biometric));
        assert_eq!(stage.count("get_auth_info"), 2);

        // A nonce tied the two calls together.
        let nonce_of = |endpoint| {
            let requests = stage.emulator.requests();
            let request = requests.iter().find(|it| it.endpoint() == Some(endpoint));
            let body: Value = serde_json::from_slice(request.unwrap().body()).unwrap();
            body["nonce"].as_str().unwrap().to_owned()
        };
        let nonce = nonce_of(START);
        assert!(nonce.len() >= 22, "{}", nonce.len());
        assert_eq!(nonce, nonce_of("validate_authenticator_auth"));
    });
}

#[test]
fn declined() {
    play(NAMED_OR_NOT, |stage| {
        let started = begin(stage);
        let id = started.pending.auth_request_id();
        let policy = while_waiting(|| {
            pick_up(stage, &started, ADA);
            stage.emulator.decline(id).unwrap();
        });
        let end = started.pending.wait(&stage.client, &policy);
        assert!(matches!(end, Ok(SignIn::Declined)), "{end:?}");
        // It cannot be made good.
        assert_eq!(stage.emulator.approve(id), Err(EmulatorError::Over));
        let end = complete(stage, &started);
        assert!(matches!(end, Ok(SignIn::Declined)), "{end:?}");
    });
}

#[test]
fn not_answered_in_time() {
    play(NAMED_OR_NOT, |stage| {
        let started = begin(stage);
        let policy = while_waiting(|| stage.later(61));
        let end = started.pending.wait(&stage.client, &policy);
        assert!(matches!(end, Ok(SignIn::TimedOut)), "{end:?}");
        let late = stage
            .emulator
            .approve_as(started.pending.auth_request_id(), ADA);
        assert_eq!(late, Err(EmulatorError::Over));
        let end = complete(stage, &started);
        assert!(matches!(end, Ok(SignIn::TimedOut)), "{end:?}");
    });
}

#[test]
fn not_answered_yet() {
    play(NAMED_OR_NOT, |stage| {
        let started = begin(stage);
        // Neither to the end of the wait, nor to where the program gives up,
        // nor when the program does not wait at all.
        let short = WaitPolicy::new().timeout(Duration::from_millis(1));
        let given_up = WaitPolicy::new().on_progress(|_| ControlFlow::Break(()));
        for policy in [short, given_up] {
            let end = started.pending.wait(&stage.client, &policy);
            assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
        }
        let end = complete(stage, &started);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
        // The same request can still be answered.
        approve(stage, &started);
        let end = started.pending.wait(&stage.client, &WaitPolicy::new());
        stage.assert_ada(&end, started.pending.auth_request_id());
    });
}

#[test]
fn validated_too_late() {
    play(NAMED_OR_NOT, |stage| {
        let started = begin(stage);
        approve(stage, &started);
        stage.later(61);
        let end = started.pending.wait(&stage.client, &WaitPolicy::new());
        assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
        let end = complete(stage, &started);
        assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
    });
}

#[test]
fn a_token_works_once() {
    play(NAMED_OR_NOT, |stage| {
        let started = begin(stage);
        let copy = tampered(&started.pending, |_| {});
        approve(stage, &started);
        let end = complete(stage, &started);
        stage.assert_ada(&end, started.pending.auth_request_id());
        for pending in [&started.pending, &copy] {
            assert_eq!(kind(pending.complete(&stage.client)), ErrorKind::Forbidden);
        }
        // Whoever waits again is not told that somebody signed in.
        let end = copy.wait(&stage.client, &WaitPolicy::new());
        assert!(matches!(end, Ok(SignIn::NotAuthorized)), "{end:?}");
    });
}

#[test]
fn what_was_given_at_the_start_has_to_come_again() {
    for (name, value) in [
        ("ip_address", json!(OTHER_IP)),
        ("ip_address", Value::Null),
        ("user_agent", json!("Browser/2.0")),
        ("nonce", json!("another")),
    ] {
        play(NAMED_OR_NOT, |stage| {
            let started = begin(stage);
            approve(stage, &started);
            let other = with(&started.pending, name, value.clone());
            let end = other.complete(&stage.client);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
            // That was the end of it.
            let end = complete(stage, &started);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
        });
    }
}

#[test]
fn a_request_for_one_user_is_answered_by_no_other() {
    play(NAMED, |stage| {
        let started = begin(stage);
        let id = started.pending.auth_request_id();
        let code = started.qr_code_data.as_ref().unwrap().expose();
        assert_eq!(
            stage.emulator.scan_qr(code, Some(EVE)),
            Err(EmulatorError::WrongUser)
        );
        assert_eq!(
            stage.emulator.approve_as(id, EVE),
            Err(EmulatorError::WrongUser)
        );
        let end = complete(stage, &started);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
    });
}

#[test]
fn who_scans_the_code_is_known_from_the_answer() {
    play(&[By::Nobody], |stage| {
        let started = begin(stage);
        pick_up(stage, &started, EVE);
        // She shows the code around: the last who picks it up answers it.
        pick_up(stage, &started, ADA);
        pick_up(stage, &started, EVE);
        stage
            .emulator
            .approve(started.pending.auth_request_id())
            .unwrap();
        let end = complete(stage, &started).unwrap();
        assert_eq!(end.user().unwrap().user_id(), stage.eve);
        assert_eq!(end.user().unwrap().username(), Some(EVE));
    });
}

#[test]
fn somebody_elses_sign_in_is_a_mismatch() {
    // Ada approves, but the program believes that it asked for eve.
    play(NAMED, |stage| {
        let started = begin(stage);
        approve(stage, &started);
        let eves = about(&started.pending, &stage.eve().unwrap(), stage.eve);
        assert_eq!(kind(eves.complete(&stage.client)), ErrorKind::Mismatch);
    });
    // Whoever scanned the code, it was not the one who was expected.
    play(&[By::Nobody], |stage| {
        let started = begin(stage);
        approve(stage, &started);
        let eves = tampered(&started.pending, |stored| {
            stored["user"] = json!({ "user_id": stage.eve });
        });
        assert_eq!(kind(eves.complete(&stage.client)), ErrorKind::Mismatch);
    });
}

#[test]
fn an_approved_request_of_ones_own_does_not_help() {
    // Eve puts her own approved request into ada's session.
    play(NAMED, |stage| {
        let adas = begin(stage);
        stage.begins_another();
        let own = begin_for(stage, stage.eve());
        stage
            .emulator
            .approve(own.pending.auth_request_id())
            .unwrap();
        let own = serde_json::to_value(&own.pending).unwrap();
        let forged = tampered(&adas.pending, |stored| {
            for name in ["id", "token", "nonce"] {
                stored[name] = own[name].clone();
            }
        });
        assert_eq!(kind(forged.complete(&stage.client)), ErrorKind::Mismatch);
    });
    // Her token alone does not fit ada's request.
    play(NAMED, |stage| {
        let adas = begin(stage);
        approve(stage, &adas);
        stage.begins_another();
        let own = begin_for(stage, stage.eve());
        let own = serde_json::to_value(&own.pending).unwrap();
        let forged = with(&adas.pending, "token", own["token"].clone());
        assert_eq!(
            kind(forged.complete(&stage.client)),
            ErrorKind::Unauthorized
        );
        let end = complete(stage, &adas);
        stage.assert_ada(&end, adas.pending.auth_request_id());
    });
}
