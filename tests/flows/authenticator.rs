//! Sign-in with the app: by name, by id, and for anybody who scans the code.

use std::ops::ControlFlow;
use std::time::Duration;

use autharmor::auth::{AuthMethod, AuthMethodUseType, StartAuthenticatorAuth};
use autharmor::emulator::{EmulatorError, Scanned};
use autharmor::flow::{AuthenticatorStarted, SignIn, WaitPolicy};
use autharmor::{Error, ErrorKind, UserKey};
use serde_json::{Value, json};

use crate::scenario::{
    ADA, AGENT, By, EVE, IP, NAMED, NAMED_OR_NOT, OTHER_IP, Scenario, Scenarios, about,
    after_polls, kind, tampered, while_waiting, with,
};

const START: &str = "start_authenticator_auth";

fn run(by: &[By], test: impl Fn(&Scenario) + Sync) {
    Scenarios::of(START, by).run(test);
}

fn begin_for(scenario: &Scenario, user: Option<UserKey>) -> AuthenticatorStarted {
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
    scenario
        .client
        .begin_authenticator_sign_in(&request)
        .unwrap()
}

fn begin(scenario: &Scenario) -> AuthenticatorStarted {
    begin_for(scenario, scenario.ada())
}

/// A request for nobody in particular has to be scanned first.
fn pick_up(scenario: &Scenario, started: &AuthenticatorStarted, person: &str) {
    if scenario.by == By::Nobody {
        let code = started.qr_code_data.as_ref().unwrap().expose();
        let auth_request_id = started.pending.auth_request_id();
        assert_eq!(
            scenario.emulator.scan_qr(code, Some(person)),
            Ok(Scanned::SignIn { auth_request_id })
        );
    }
}

fn approve(scenario: &Scenario, started: &AuthenticatorStarted) {
    pick_up(scenario, started, ADA);
    scenario
        .emulator
        .approve(started.pending.auth_request_id())
        .unwrap();
}

fn complete(scenario: &Scenario, started: &AuthenticatorStarted) -> Result<SignIn, Error> {
    started.pending.complete(&scenario.client)
}

#[test]
fn approved() {
    run(NAMED_OR_NOT, |scenario| {
        let started = begin(scenario);
        assert_eq!(started.push_message_sent, scenario.by != By::Nobody);
        assert!(started.visual_verify_value.is_some());
        // After the first poll.
        let policy = after_polls(1, || approve(scenario, &started));
        let end = started.pending.wait(&scenario.client, &policy);
        scenario.assert_ada(&end, started.pending.auth_request_id());
        let end = end.unwrap();
        let user = end.user().unwrap();
        assert_eq!(user.method(), Some(&AuthMethod::AuthArmorAuthenticator));
        assert_eq!(user.use_type(), Some(&AuthMethodUseType::Biometric));
        assert_eq!(scenario.count("get_auth_info"), 2);

        // Both calls have the same nonce.
        let nonce_of = |endpoint| {
            let requests = scenario.emulator.requests();
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
    run(NAMED_OR_NOT, |scenario| {
        let started = begin(scenario);
        let id = started.pending.auth_request_id();
        let policy = while_waiting(|| {
            pick_up(scenario, &started, ADA);
            scenario.emulator.decline(id).unwrap();
        });
        let end = started.pending.wait(&scenario.client, &policy);
        assert!(matches!(end, Ok(SignIn::Declined)), "{end:?}");
        // It stays declined.
        assert_eq!(scenario.emulator.approve(id), Err(EmulatorError::Over));
        let end = complete(scenario, &started);
        assert!(matches!(end, Ok(SignIn::Declined)), "{end:?}");
    });
}

#[test]
fn timed_out() {
    run(NAMED_OR_NOT, |scenario| {
        let started = begin(scenario);
        let policy = while_waiting(|| scenario.later(61));
        let end = started.pending.wait(&scenario.client, &policy);
        assert!(matches!(end, Ok(SignIn::TimedOut)), "{end:?}");
        let late = scenario
            .emulator
            .approve_as(started.pending.auth_request_id(), ADA);
        assert_eq!(late, Err(EmulatorError::Over));
        let end = complete(scenario, &started);
        assert!(matches!(end, Ok(SignIn::TimedOut)), "{end:?}");
    });
}

#[test]
fn not_responded_yet() {
    run(NAMED_OR_NOT, |scenario| {
        let started = begin(scenario);
        // Not at the end of the wait, not when the callback ends it, and not
        // without a wait.
        let short = WaitPolicy::new().timeout(Duration::from_millis(1));
        let end = started.pending.wait(&scenario.client, &short);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
        let cancel = WaitPolicy::new().on_progress(|_| ControlFlow::Break(()));
        let end = started.pending.wait(&scenario.client, &cancel);
        assert!(matches!(end, Ok(SignIn::Cancelled)), "{end:?}");
        let end = started.pending.poll(&scenario.client);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
        let end = complete(scenario, &started);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
        // The same request can still be approved.
        approve(scenario, &started);
        let end = started.pending.wait(&scenario.client, &WaitPolicy::new());
        scenario.assert_ada(&end, started.pending.auth_request_id());
    });
}

#[test]
fn validated_too_late() {
    run(NAMED_OR_NOT, |scenario| {
        let started = begin(scenario);
        approve(scenario, &started);
        scenario.later(61);
        let end = started.pending.wait(&scenario.client, &WaitPolicy::new());
        assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
        let end = complete(scenario, &started);
        assert!(matches!(end, Ok(SignIn::ValidatedTooLate)), "{end:?}");
    });
}

#[test]
fn a_token_works_once() {
    run(NAMED_OR_NOT, |scenario| {
        let started = begin(scenario);
        let copy = tampered(&started.pending, |_| {});
        approve(scenario, &started);
        let end = complete(scenario, &started);
        scenario.assert_ada(&end, started.pending.auth_request_id());
        for pending in [&started.pending, &copy] {
            assert_eq!(
                kind(pending.complete(&scenario.client)),
                ErrorKind::Forbidden
            );
        }
        // Another wait does not report a sign-in.
        let end = copy.wait(&scenario.client, &WaitPolicy::new());
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
        run(NAMED_OR_NOT, |scenario| {
            let started = begin(scenario);
            approve(scenario, &started);
            let other = with(&started.pending, name, value.clone());
            let end = other.complete(&scenario.client);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
            // The request is over.
            let end = complete(scenario, &started);
            assert!(
                matches!(end, Ok(SignIn::RefusedForSecurity)),
                "{name}: {end:?}"
            );
        });
    }
}

#[test]
fn a_request_for_one_user_cannot_be_approved_by_another() {
    run(NAMED, |scenario| {
        let started = begin(scenario);
        let id = started.pending.auth_request_id();
        let code = started.qr_code_data.as_ref().unwrap().expose();
        assert_eq!(
            scenario.emulator.scan_qr(code, Some(EVE)),
            Err(EmulatorError::WrongUser)
        );
        assert_eq!(
            scenario.emulator.approve_as(id, EVE),
            Err(EmulatorError::WrongUser)
        );
        let end = complete(scenario, &started);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
    });
}

#[test]
fn the_response_names_the_user_who_scanned_the_code() {
    run(&[By::Nobody], |scenario| {
        let started = begin(scenario);
        pick_up(scenario, &started, EVE);
        // The last user who scans the code can approve it.
        pick_up(scenario, &started, ADA);
        pick_up(scenario, &started, EVE);
        scenario
            .emulator
            .approve(started.pending.auth_request_id())
            .unwrap();
        let end = complete(scenario, &started).unwrap();
        assert_eq!(end.user().unwrap().user_id(), scenario.eve);
        assert_eq!(end.user().unwrap().username(), Some(EVE));
    });
}

#[test]
fn somebody_elses_sign_in_is_a_mismatch() {
    // Ada approves, but the program believes that it asked for eve.
    run(NAMED, |scenario| {
        let started = begin(scenario);
        approve(scenario, &started);
        let eves = about(&started.pending, &scenario.eve().unwrap(), scenario.eve);
        assert_eq!(kind(eves.complete(&scenario.client)), ErrorKind::Mismatch);
    });
    // Another user than the expected one scanned the code.
    run(&[By::Nobody], |scenario| {
        let started = begin(scenario);
        approve(scenario, &started);
        let eves = tampered(&started.pending, |stored| {
            stored["user"] = json!({ "user_id": scenario.eve });
        });
        assert_eq!(kind(eves.complete(&scenario.client)), ErrorKind::Mismatch);
    });
}

#[test]
fn an_approved_request_of_the_attacker_does_not_help() {
    // Eve puts her own approved request into ada's session.
    run(NAMED, |scenario| {
        let adas = begin(scenario);
        scenario.begins_another();
        let own = begin_for(scenario, scenario.eve());
        scenario
            .emulator
            .approve(own.pending.auth_request_id())
            .unwrap();
        let own = serde_json::to_value(&own.pending).unwrap();
        let forged = tampered(&adas.pending, |stored| {
            for name in ["id", "token", "nonce"] {
                stored[name] = own[name].clone();
            }
        });
        assert_eq!(kind(forged.complete(&scenario.client)), ErrorKind::Mismatch);
    });
    // Her token alone does not match ada's request.
    run(NAMED, |scenario| {
        let adas = begin(scenario);
        approve(scenario, &adas);
        scenario.begins_another();
        let own = begin_for(scenario, scenario.eve());
        let own = serde_json::to_value(&own.pending).unwrap();
        let forged = with(&adas.pending, "token", own["token"].clone());
        assert_eq!(
            kind(forged.complete(&scenario.client)),
            ErrorKind::Unauthorized
        );
        let end = complete(scenario, &adas);
        scenario.assert_ada(&end, adas.pending.auth_request_id());
    });
}
