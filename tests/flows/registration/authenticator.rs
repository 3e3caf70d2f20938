//! Enrolling a phone. v3 has no validate call: the flow ends when the user has
//! an authenticator that was not there before, and what goes wrong on the
//! phone is not seen.

use std::ops::ControlFlow;
use std::time::Duration;

use autharmor::emulator::{EmulatorError, Scanned};
use autharmor::flow::{AuthenticatorRegistrationStarted, Registration, WaitPolicy};
use autharmor::registrations::StartAuthenticatorRegistration;
use autharmor::{Error, ErrorKind};
use serde_json::json;

use super::{NEWCOMER, add_newcomer, user_called};
use crate::stage::{
    By, NAMED, Scenes, Stage, about, after_polls, kind, registered, while_waiting, with,
};

const NEW: &str = "start_authenticator_registration";
const FOR_USER: &str = "start_authenticator_registration_for_user";

/// Longer than some polls, where v3 never learns the end.
const SHORT: Duration = Duration::from_millis(100);

fn begin_new(stage: &Stage) -> AuthenticatorRegistrationStarted {
    let request = StartAuthenticatorRegistration::new(NEWCOMER).timeout_in_seconds(60);
    stage
        .client
        .begin_authenticator_registration(&request)
        .unwrap()
}

/// For new users, and for those that exist, who have no phone yet.
fn play(scene: impl Fn(&Stage, &AuthenticatorRegistrationStarted) + Sync) {
    Scenes::of(NEW, &[By::Name]).play(|stage| scene(stage, &begin_new(stage)));
    Scenes::of(FOR_USER, NAMED)
        .names_in_query_of_v4()
        .play(|stage| {
            let (_, user) = add_newcomer(stage);
            let started = stage
                .client
                .begin_authenticator_registration_for_user(user)
                .unwrap();
            scene(stage, &started);
        });
}

fn scan(stage: &Stage, started: &AuthenticatorRegistrationStarted) {
    let code = started.qr_code_data.as_ref().unwrap().expose();
    let registration_id = started.pending.registration_id();
    assert_eq!(
        stage.emulator.scan_qr(code, None),
        Ok(Scanned::Registration { registration_id })
    );
}

fn wait(
    stage: &Stage,
    started: &AuthenticatorRegistrationStarted,
    policy: &WaitPolicy<'_>,
) -> Result<Registration, Error> {
    started.pending.wait(&stage.client, policy)
}

#[test]
fn enrolled() {
    play(|stage, started| {
        let id = started.pending.registration_id();
        // The phone takes its time.
        let policy = after_polls(1, || {
            stage.emulator.accept_registration(id).unwrap();
            scan(stage, started);
        });
        let end = wait(stage, started, &policy).unwrap();
        let user = end.user().unwrap();
        assert_eq!(Some(user.user_id()), user_called(stage, NEWCOMER));
        assert_eq!(user.username(), Some(NEWCOMER));
        assert_eq!(user.is_validated(), stage.is_v4());
        assert_eq!(user.credential_id().is_some(), stage.is_v4());
    });
}

#[test]
fn another_phone_for_a_user() {
    // Under v3 it looks like the one that ada has; see below.
    Scenes::of(FOR_USER, NAMED)
        .names_in_query_of_v4()
        .play(|stage| {
            let ada = stage.ada().unwrap();
            let started = stage
                .client
                .begin_authenticator_registration_for_user(ada)
                .unwrap();
            if stage.is_v4() {
                let end = wait(stage, &started, &while_waiting(|| scan(stage, &started)));
                assert_eq!(registered(end.unwrap()), (stage.ada, true));
            }
        });
}

#[test]
fn an_old_enrolment_does_not_count() {
    Scenes::of(FOR_USER, NAMED)
        .names_in_query_of_v4()
        .play(|stage| {
            let ada = stage.ada().unwrap();
            let started = stage
                .client
                .begin_authenticator_registration_for_user(ada)
                .unwrap();
            let end = wait(stage, &started, &WaitPolicy::new().timeout(SHORT));
            assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        });
}

#[test]
fn declined() {
    play(|stage, started| {
        let id = started.pending.registration_id();
        stage.emulator.decline_registration(id).unwrap();
        let end = wait(stage, started, &WaitPolicy::new().timeout(SHORT));
        if stage.is_v4() {
            assert!(matches!(end, Ok(Registration::Declined)), "{end:?}");
        } else {
            assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        }
        assert_eq!(stage.emulator.enrol_phone(id), Err(EmulatorError::Over));
    });
}

#[test]
fn not_answered_in_time() {
    play(|stage, started| {
        stage.later(121);
        let end = wait(stage, started, &WaitPolicy::new().timeout(SHORT));
        if stage.is_v4() {
            assert!(matches!(end, Ok(Registration::TimedOut)), "{end:?}");
        } else {
            assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        }
        let id = started.pending.registration_id();
        assert_eq!(stage.emulator.enrol_phone(id), Err(EmulatorError::Over));
    });
}

#[test]
fn given_up_and_taken_up_again() {
    play(|stage, started| {
        let given_up = WaitPolicy::new().on_progress(|_| ControlFlow::Break(()));
        let end = wait(stage, started, &given_up);
        assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        scan(stage, started);
        let end = wait(stage, started, &WaitPolicy::new()).unwrap();
        assert_eq!(Some(registered(end).0), user_called(stage, NEWCOMER));
    });
}

#[test]
fn validated_too_late() {
    play(|stage, started| {
        scan(stage, started);
        stage.later(61);
        let end = wait(stage, started, &WaitPolicy::new());
        if stage.is_v4() {
            assert!(matches!(end, Ok(Registration::ValidatedTooLate)), "{end:?}");
        } else {
            // The phone has enrolled; there is nothing to be late for.
            assert!(!registered(end.unwrap()).1);
        }
    });
}

#[test]
fn a_token_works_once() {
    play(|stage, started| {
        scan(stage, started);
        wait(stage, started, &WaitPolicy::new()).unwrap();
        let end = wait(stage, started, &WaitPolicy::new());
        if stage.is_v4() {
            assert_eq!(kind(end), ErrorKind::Forbidden);
        } else {
            // No token; the user is still the same one.
            let (user, is_validated) = registered(end.unwrap());
            assert_eq!(Some(user), user_called(stage, NEWCOMER));
            assert!(!is_validated);
        }
    });
}

#[test]
fn the_phone_of_another_user() {
    Scenes::of(FOR_USER, NAMED)
        .names_in_query_of_v4()
        .play(|stage| {
            let (_, user) = add_newcomer(stage);
            let begin = |user| {
                let client = &stage.client;
                client.begin_authenticator_registration_for_user(user)
            };
            let started = begin(user).unwrap();
            stage.begins_another();
            let eves = begin(stage.eve().unwrap()).unwrap();
            scan(stage, &eves);
            let end = wait(stage, &started, &WaitPolicy::new().timeout(SHORT));
            assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        });
}

#[test]
fn somebody_elses_registration_is_a_mismatch() {
    play(|stage, started| {
        scan(stage, started);
        if !stage.is_v4() {
            // The user is all that v3 has to go by: with another one in the
            // state it asks for that one.
            return;
        }
        let eves = about(&started.pending, &stage.eve().unwrap(), stage.eve);
        let end = eves.wait(&stage.client, &WaitPolicy::new());
        assert_eq!(kind(end), ErrorKind::Mismatch);
    });
}

#[test]
fn a_registration_is_claimed_with_its_own_token_only() {
    play(|stage, started| {
        scan(stage, started);
        if stage.is_v4() {
            let other = with(&started.pending, "token", json!("another"));
            let end = other.wait(&stage.client, &WaitPolicy::new());
            assert_eq!(kind(end), ErrorKind::Unauthorized);
        }
        let end = wait(stage, started, &WaitPolicy::new()).unwrap();
        assert_eq!(Some(registered(end).0), user_called(stage, NEWCOMER));
    });
}
