//! Registration of a phone. v3 has no validate call: the flow ends when the user
//! has an authenticator that was not there before. It does not see a failure on
//! the phone.

use std::ops::ControlFlow;
use std::time::Duration;

use autharmor::emulator::{EmulatorError, Scanned};
use autharmor::flow::{AuthenticatorRegistrationStarted, Registration, WaitPolicy};
use autharmor::registrations::StartAuthenticatorRegistration;
use autharmor::{Error, ErrorKind};
use serde_json::json;

use super::{NEWCOMER, add_newcomer, user_called};
use crate::scenario::{
    By, NAMED, Scenario, Scenarios, about, after_polls, kind, registered, while_waiting, with,
};

const NEW: &str = "start_authenticator_registration";
const FOR_USER: &str = "start_authenticator_registration_for_user";

/// Enough for one poll, where v3 never learns the outcome.
const SHORT: Duration = Duration::from_millis(100);

fn begin_new(scenario: &Scenario) -> AuthenticatorRegistrationStarted {
    let request = StartAuthenticatorRegistration::new(NEWCOMER).timeout_in_seconds(60);
    scenario
        .client
        .begin_authenticator_registration(&request)
        .unwrap()
}

/// For new users, and for existing ones who have no phone yet.
fn run(test: impl Fn(&Scenario, &AuthenticatorRegistrationStarted) + Sync) {
    Scenarios::of(NEW, &[By::Name]).run(|scenario| test(scenario, &begin_new(scenario)));
    Scenarios::of(FOR_USER, NAMED)
        .names_in_query_of_v4()
        .run(|scenario| {
            let (_, user) = add_newcomer(scenario);
            let started = scenario
                .client
                .begin_authenticator_registration_for_user(user)
                .unwrap();
            test(scenario, &started);
        });
}

fn scan(scenario: &Scenario, started: &AuthenticatorRegistrationStarted) {
    let code = started.qr_code_data.as_ref().unwrap().expose();
    let registration_id = started.pending.registration_id();
    assert_eq!(
        scenario.emulator.scan_qr(code, None),
        Ok(Scanned::Registration { registration_id })
    );
}

fn wait(
    scenario: &Scenario,
    started: &AuthenticatorRegistrationStarted,
    policy: &WaitPolicy<'_>,
) -> Result<Registration, Error> {
    started.pending.wait(&scenario.client, policy)
}

#[test]
fn enrolled() {
    run(|scenario, started| {
        let id = started.pending.registration_id();
        // After the first poll.
        let policy = after_polls(1, || {
            scenario.emulator.accept_registration(id).unwrap();
            scan(scenario, started);
        });
        let end = wait(scenario, started, &policy).unwrap();
        let user = end.user().unwrap();
        assert_eq!(Some(user.user_id()), user_called(scenario, NEWCOMER));
        assert_eq!(user.username(), Some(NEWCOMER));
        assert_eq!(user.is_validated(), scenario.is_v4());
        assert_eq!(user.credential_id().is_some(), scenario.is_v4());
    });
}

#[test]
fn another_phone_for_a_user() {
    // Under v3 the new phone looks like ada's old one; see below.
    Scenarios::of(FOR_USER, NAMED)
        .names_in_query_of_v4()
        .run(|scenario| {
            let ada = scenario.ada().unwrap();
            let started = scenario
                .client
                .begin_authenticator_registration_for_user(ada)
                .unwrap();
            if scenario.is_v4() {
                let end = wait(
                    scenario,
                    &started,
                    &while_waiting(|| scan(scenario, &started)),
                );
                assert_eq!(registered(end.unwrap()), (scenario.ada, true));
            }
        });
}

#[test]
fn an_old_enrolment_does_not_count() {
    Scenarios::of(FOR_USER, NAMED)
        .names_in_query_of_v4()
        .run(|scenario| {
            let ada = scenario.ada().unwrap();
            let started = scenario
                .client
                .begin_authenticator_registration_for_user(ada)
                .unwrap();
            let end = wait(scenario, &started, &WaitPolicy::new().timeout(SHORT));
            assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        });
}

#[test]
fn declined() {
    run(|scenario, started| {
        let id = started.pending.registration_id();
        scenario.emulator.decline_registration(id).unwrap();
        let end = wait(scenario, started, &WaitPolicy::new().timeout(SHORT));
        if scenario.is_v4() {
            assert!(matches!(end, Ok(Registration::Declined)), "{end:?}");
        } else {
            assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        }
        assert_eq!(scenario.emulator.enrol_phone(id), Err(EmulatorError::Over));
    });
}

#[test]
fn timed_out() {
    run(|scenario, started| {
        scenario.later(121);
        let end = wait(scenario, started, &WaitPolicy::new().timeout(SHORT));
        if scenario.is_v4() {
            assert!(matches!(end, Ok(Registration::TimedOut)), "{end:?}");
        } else {
            assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        }
        let id = started.pending.registration_id();
        assert_eq!(scenario.emulator.enrol_phone(id), Err(EmulatorError::Over));
    });
}

#[test]
fn cancelled_and_waited_for_again() {
    run(|scenario, started| {
        let cancel = WaitPolicy::new().on_progress(|_| ControlFlow::Break(()));
        let end = wait(scenario, started, &cancel);
        assert!(matches!(end, Ok(Registration::Cancelled)), "{end:?}");
        scan(scenario, started);
        let end = wait(scenario, started, &WaitPolicy::new()).unwrap();
        assert_eq!(Some(registered(end).0), user_called(scenario, NEWCOMER));
    });
}

#[test]
fn validated_too_late() {
    run(|scenario, started| {
        scan(scenario, started);
        scenario.later(61);
        let end = wait(scenario, started, &WaitPolicy::new());
        if scenario.is_v4() {
            assert!(matches!(end, Ok(Registration::ValidatedTooLate)), "{end:?}");
        } else {
            // The phone has enrolled; there is nothing to be late for.
            assert!(!registered(end.unwrap()).1);
        }
    });
}

#[test]
fn a_token_works_once() {
    run(|scenario, started| {
        scan(scenario, started);
        wait(scenario, started, &WaitPolicy::new()).unwrap();
        let end = wait(scenario, started, &WaitPolicy::new());
        if scenario.is_v4() {
            assert_eq!(kind(end), ErrorKind::Forbidden);
        } else {
            // No token; the user is still the same one.
            let (user, is_validated) = registered(end.unwrap());
            assert_eq!(Some(user), user_called(scenario, NEWCOMER));
            assert!(!is_validated);
        }
    });
}

#[test]
fn the_phone_of_another_user() {
    Scenarios::of(FOR_USER, NAMED)
        .names_in_query_of_v4()
        .run(|scenario| {
            let (_, user) = add_newcomer(scenario);
            let begin = |user| {
                let client = &scenario.client;
                client.begin_authenticator_registration_for_user(user)
            };
            let started = begin(user).unwrap();
            scenario.begins_another();
            let eves = begin(scenario.eve().unwrap()).unwrap();
            scan(scenario, &eves);
            let end = wait(scenario, &started, &WaitPolicy::new().timeout(SHORT));
            assert!(matches!(end, Ok(Registration::StillPending)), "{end:?}");
        });
}

#[test]
fn somebody_elses_registration_is_a_mismatch() {
    run(|scenario, started| {
        scan(scenario, started);
        if !scenario.is_v4() {
            // The user is all that v3 has to go by: with another one in the
            // state it asks for that one.
            return;
        }
        let eves = about(&started.pending, &scenario.eve().unwrap(), scenario.eve);
        let end = eves.wait(&scenario.client, &WaitPolicy::new());
        assert_eq!(kind(end), ErrorKind::Mismatch);
    });
}

#[test]
fn a_registration_is_claimed_with_its_own_token_only() {
    run(|scenario, started| {
        scan(scenario, started);
        if scenario.is_v4() {
            let other = with(&started.pending, "token", json!("another"));
            let end = other.wait(&scenario.client, &WaitPolicy::new());
            assert_eq!(kind(end), ErrorKind::Unauthorized);
        }
        let end = wait(scenario, started, &WaitPolicy::new()).unwrap();
        assert_eq!(Some(registered(end).0), user_called(scenario, NEWCOMER));
    });
}
