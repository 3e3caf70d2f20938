//! Network faults: no push notification is sent twice, and a fault never signs
//! anybody in.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use autharmor::ErrorKind;
use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::Fault;
use autharmor::flow::{AuthenticatorStarted, SignIn, WaitPolicy};
use autharmor::registrations::StartAuthenticatorRegistration;

use crate::scenario::{By, Scenario, Scenarios, kind, registered};

const START: &str = "start_authenticator_auth";
const POLL: &str = "get_auth_info";
const VALIDATE: &str = "validate_authenticator_auth";

fn request(scenario: &Scenario) -> StartAuthenticatorAuth {
    StartAuthenticatorAuth::new().user(scenario.ada().unwrap())
}

fn begin(scenario: &Scenario) -> AuthenticatorStarted {
    let request = request(scenario);
    scenario
        .client
        .begin_authenticator_sign_in(&request)
        .unwrap()
}

fn run(test: impl Fn(&Scenario) + Sync) {
    Scenarios::of(START, &[By::Name]).run(test);
}

/// Transient faults of a poll, and the kinds of their errors.
fn transient_faults() -> [(Fault, ErrorKind); 6] {
    [
        (Fault::status(503), ErrorKind::Unavailable),
        (Fault::status(500), ErrorKind::Unavailable),
        (Fault::status(429).retry_after("1"), ErrorKind::RateLimited),
        (Fault::drop_before_response(), ErrorKind::Transport),
        (Fault::drop_in_response(), ErrorKind::Transport),
        (Fault::truncated_body(), ErrorKind::Transport),
    ]
}

/// A policy that records the kind of the last error.
fn recording(seen: &Cell<Option<ErrorKind>>) -> WaitPolicy<'_> {
    WaitPolicy::new().on_progress(|progress| {
        if let Some(error) = &progress.last_error {
            seen.set(Some(error.kind()));
        }
        ControlFlow::Continue(())
    })
}

/// Runs each in its own thread, since each takes some polls.
fn with_each_fault(test: impl Fn(&Fault, ErrorKind) + Sync) {
    thread::scope(|scope| {
        for (fault, kind) in transient_faults() {
            let test = &test;
            scope.spawn(move || test(&fault, kind));
        }
    });
}

#[test]
fn a_wait_survives_transient_faults() {
    with_each_fault(|fault, kind| {
        run(|scenario| {
            let started = begin(scenario);
            scenario.emulator.fault(fault.clone().on(POLL).times(1));
            let id = started.pending.auth_request_id();
            scenario.emulator.approve(id).unwrap();
            let seen = Cell::new(None);
            let end = started.pending.wait(&scenario.client, &recording(&seen));
            scenario.assert_ada(&end, id);
            assert_eq!(seen.get(), Some(kind));
            assert_eq!(scenario.count(POLL), 2);
        });
    });
}

#[test]
fn a_wait_for_a_registration_survives_transient_faults() {
    with_each_fault(|fault, kind| {
        Scenarios::of("start_authenticator_registration", &[By::Name]).run(|scenario| {
            let request = StartAuthenticatorRegistration::new("grace hopper");
            let started = scenario
                .client
                .begin_authenticator_registration(&request)
                .unwrap();
            let poll = if scenario.is_v4() {
                "get_registration_info"
            } else {
                "get_user"
            };
            scenario.emulator.fault(fault.clone().on(poll).times(1));
            let id = started.pending.registration_id();
            scenario.emulator.enrol_phone(id).unwrap();
            let seen = Cell::new(None);
            let end = started
                .pending
                .wait(&scenario.client, &recording(&seen))
                .unwrap();
            registered(end);
            assert_eq!(seen.get(), Some(kind));
        });
    });
}

#[test]
fn an_outage_to_the_end_is_told_apart_and_can_be_waited_for_again() {
    run(|scenario| {
        let started = begin(scenario);
        scenario.emulator.fault(Fault::status(503).on(POLL));
        let id = started.pending.auth_request_id();
        scenario.emulator.approve(id).unwrap();
        let policy = WaitPolicy::new().timeout(Duration::from_millis(1));
        let end = started.pending.wait(&scenario.client, &policy);
        match end {
            Ok(SignIn::ServiceUnavailable(outage)) => {
                assert_eq!(outage.last_error.kind(), ErrorKind::Unavailable);
                assert!(!outage.any_poll_succeeded);
            }
            other => panic!("{other:?}"),
        }
        scenario.emulator.clear_faults();
        let end = started.pending.wait(&scenario.client, &policy);
        scenario.assert_ada(&end, id);
    });
}

#[test]
fn permanent_failures_end_the_wait() {
    for (fault, expected) in [
        (Fault::status(403), ErrorKind::Forbidden),
        (Fault::status(404), ErrorKind::NotFound),
        (
            Fault::status(200).body("application/json", "{"),
            ErrorKind::Decode,
        ),
    ] {
        run(|scenario| {
            let started = begin(scenario);
            scenario.emulator.fault(fault.clone().on(POLL));
            let end = started.pending.wait(&scenario.client, &WaitPolicy::new());
            assert_eq!(kind(end), expected);
            assert_eq!(scenario.count(POLL), 1);
        });
    }
}

#[test]
fn a_push_is_sent_at_most_once() {
    // The service may or may not have received the request.
    for (fault, expected) in [
        (Fault::status(503), ErrorKind::Unavailable),
        (Fault::drop_before_response(), ErrorKind::Transport),
        (
            Fault::drop_before_response().processed(true),
            ErrorKind::Transport,
        ),
        (Fault::drop_in_response(), ErrorKind::Transport),
    ] {
        run(|scenario| {
            scenario.emulator.fault(fault.clone().on(START));
            let end = scenario
                .client
                .begin_authenticator_sign_in(&request(scenario));
            let error = end.unwrap_err();
            assert_eq!(error.kind(), expected);
            assert!(error.may_have_been_sent());
        });
    }
}

#[test]
fn a_validation_that_was_not_processed_can_be_repeated() {
    run(|scenario| {
        let started = begin(scenario);
        let id = started.pending.auth_request_id();
        scenario.emulator.approve(id).unwrap();
        scenario
            .emulator
            .fault(Fault::status(503).on(VALIDATE).times(1));
        let end = started.pending.complete(&scenario.client);
        assert_eq!(kind(end), ErrorKind::Unavailable);
        assert_eq!(scenario.count(VALIDATE), 1);
        let end = started.pending.complete(&scenario.client);
        scenario.assert_ada(&end, id);
    });
}

#[test]
fn a_validation_whose_response_was_lost_is_no_sign_in() {
    for fault in [
        Fault::drop_before_response().processed(true),
        Fault::drop_in_response(),
        Fault::truncated_body(),
        Fault::status(200),
    ] {
        run(|scenario| {
            let started = begin(scenario);
            let id = started.pending.auth_request_id();
            scenario.emulator.approve(id).unwrap();
            let lost = fault.clone().processed(true).on(VALIDATE).times(1);
            scenario.emulator.fault(lost);
            started.pending.complete(&scenario.client).unwrap_err();
            assert_eq!(scenario.count(VALIDATE), 1);
            // The token is used up.
            let end = started.pending.complete(&scenario.client);
            assert_eq!(kind(end), ErrorKind::Forbidden);
        });
    }
}
