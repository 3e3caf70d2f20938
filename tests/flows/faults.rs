//! A network that fails: nobody is asked twice, and nobody signs in because of
//! it.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use autharmor::ErrorKind;
use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::Fault;
use autharmor::flow::{AuthenticatorStarted, SignIn, WaitPolicy};
use autharmor::registrations::StartAuthenticatorRegistration;

use crate::stage::{By, Scenes, Stage, kind, registered};

const START: &str = "start_authenticator_auth";
const POLL: &str = "get_auth_info";
const VALIDATE: &str = "validate_authenticator_auth";

fn request(stage: &Stage) -> StartAuthenticatorAuth {
    StartAuthenticatorAuth::new().user(stage.ada().unwrap())
}

fn begin(stage: &Stage) -> AuthenticatorStarted {
    let request = request(stage);
    stage.client.begin_authenticator_sign_in(&request).unwrap()
}

fn play(scene: impl Fn(&Stage) + Sync) {
    Scenes::of(START, &[By::Name]).play(scene);
}

/// What a poll may meet, and as what the program sees it.
fn weather() -> [(Fault, ErrorKind); 6] {
    [
        (Fault::status(503), ErrorKind::Unavailable),
        (Fault::status(500), ErrorKind::Unavailable),
        (Fault::status(429).retry_after("1"), ErrorKind::RateLimited),
        (Fault::drop_before_response(), ErrorKind::Transport),
        (Fault::drop_in_response(), ErrorKind::Transport),
        (Fault::truncated_body(), ErrorKind::Transport),
    ]
}

/// Goes on waiting, and notes what went wrong.
fn noting(seen: &Cell<Option<ErrorKind>>) -> WaitPolicy<'_> {
    WaitPolicy::new().on_progress(|progress| {
        if let Some(error) = &progress.last_error {
            seen.set(Some(error.kind()));
        }
        ControlFlow::Continue(())
    })
}

/// Each in its own thread, as each takes some polls.
fn in_all_weathers(test: impl Fn(&Fault, ErrorKind) + Sync) {
    thread::scope(|scope| {
        for (fault, kind) in weather() {
            let test = &test;
            scope.spawn(move || test(&fault, kind));
        }
    });
}

#[test]
fn a_wait_survives_bad_weather() {
    in_all_weathers(|fault, kind| {
        play(|stage| {
            let started = begin(stage);
            stage.emulator.fault(fault.clone().on(POLL).times(1));
            let id = started.pending.auth_request_id();
            stage.emulator.approve(id).unwrap();
            let seen = Cell::new(None);
            let end = started.pending.wait(&stage.client, &noting(&seen));
            stage.assert_ada(&end, id);
            assert_eq!(seen.get(), Some(kind));
            assert_eq!(stage.count(POLL), 2);
        });
    });
}

#[test]
fn a_wait_for_a_registration_survives_it() {
    in_all_weathers(|fault, kind| {
        Scenes::of("start_authenticator_registration", &[By::Name]).play(|stage| {
            let request = StartAuthenticatorRegistration::new("grace hopper");
            let started = stage
                .client
                .begin_authenticator_registration(&request)
                .unwrap();
            let poll = if stage.is_v4() {
                "get_registration_info"
            } else {
                "get_user"
            };
            stage.emulator.fault(fault.clone().on(poll).times(1));
            let id = started.pending.registration_id();
            stage.emulator.enrol_phone(id).unwrap();
            let seen = Cell::new(None);
            let end = started.pending.wait(&stage.client, &noting(&seen)).unwrap();
            registered(end);
            assert_eq!(seen.get(), Some(kind));
        });
    });
}

#[test]
fn an_outage_to_the_end_leaves_it_pending() {
    play(|stage| {
        let started = begin(stage);
        stage.emulator.fault(Fault::status(503).on(POLL));
        let id = started.pending.auth_request_id();
        stage.emulator.approve(id).unwrap();
        let policy = WaitPolicy::new().timeout(Duration::from_millis(1));
        let end = started.pending.wait(&stage.client, &policy);
        assert!(matches!(end, Ok(SignIn::StillPending)), "{end:?}");
        stage.emulator.clear_faults();
        let end = started.pending.wait(&stage.client, &policy);
        stage.assert_ada(&end, id);
    });
}

#[test]
fn what_no_patience_mends_ends_the_wait() {
    for (fault, expected) in [
        (Fault::status(403), ErrorKind::Forbidden),
        (Fault::status(404), ErrorKind::NotFound),
        (
            Fault::status(200).body("application/json", "{"),
            ErrorKind::Decode,
        ),
    ] {
        play(|stage| {
            let started = begin(stage);
            stage.emulator.fault(fault.clone().on(POLL));
            let end = started.pending.wait(&stage.client, &WaitPolicy::new());
            assert_eq!(kind(end), expected);
            assert_eq!(stage.count(POLL), 1);
        });
    }
}

#[test]
fn a_phone_rings_once() {
    // Whether or not the service got it: nobody knows.
    for (fault, expected) in [
        (Fault::status(503), ErrorKind::Unavailable),
        (Fault::drop_before_response(), ErrorKind::Transport),
        (
            Fault::drop_before_response().processed(true),
            ErrorKind::Transport,
        ),
        (Fault::drop_in_response(), ErrorKind::Transport),
    ] {
        play(|stage| {
            stage.emulator.fault(fault.clone().on(START));
            let end = stage.client.begin_authenticator_sign_in(&request(stage));
            let error = end.unwrap_err();
            assert_eq!(error.kind(), expected);
            assert!(error.may_have_been_sent());
        });
    }
}

#[test]
fn a_validation_that_was_not_heard_can_be_repeated() {
    play(|stage| {
        let started = begin(stage);
        let id = started.pending.auth_request_id();
        stage.emulator.approve(id).unwrap();
        stage
            .emulator
            .fault(Fault::status(503).on(VALIDATE).times(1));
        let end = started.pending.complete(&stage.client);
        assert_eq!(kind(end), ErrorKind::Unavailable);
        assert_eq!(stage.count(VALIDATE), 1);
        let end = started.pending.complete(&stage.client);
        stage.assert_ada(&end, id);
    });
}

#[test]
fn a_validation_whose_answer_was_lost_is_no_sign_in() {
    for fault in [
        Fault::drop_before_response().processed(true),
        Fault::drop_in_response(),
        Fault::truncated_body(),
        Fault::status(200),
    ] {
        play(|stage| {
            let started = begin(stage);
            let id = started.pending.auth_request_id();
            stage.emulator.approve(id).unwrap();
            let lost = fault.clone().processed(true).on(VALIDATE).times(1);
            stage.emulator.fault(lost);
            started.pending.complete(&stage.client).unwrap_err();
            assert_eq!(stage.count(VALIDATE), 1);
            // The token has done its work all the same.
            let end = started.pending.complete(&stage.client);
            assert_eq!(kind(end), ErrorKind::Forbidden);
        });
    }
}
