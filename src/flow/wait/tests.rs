mod cancelling;
mod pace;

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::json;

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::testing::{ShortClock, TestClient, TransportResult, respond, seconds, token};
use crate::{ApiVersion, HttpRequest, Limits, RetryPolicy, TransportError, TransportErrorKind};

const ID: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);

/// Lives longer than any wait.
fn tokens(number: usize, _: &HttpRequest, _: Limits) -> TransportResult {
    token(number, 86_400)
}

/// A client of a service that responds by the number of the request.
fn test(api: impl Fn(usize) -> TransportResult + Send + Sync + 'static) -> TestClient {
    TestClient::new(tokens, move |number, _, _| api(number))
}

fn test_v4(api: impl Fn(usize) -> TransportResult + Send + Sync + 'static) -> TestClient {
    TestClient::with(
        tokens,
        move |number, _, _| api(number),
        |builder| builder.api_version(ApiVersion::V4),
    )
}

fn info(status: i64, code: i64) -> TransportResult {
    let body = json!({
        "auth_request_status_id": status,
        "auth_response": {"result_code": code},
    });
    respond(200, body.to_string())
}

fn pending() -> TransportResult {
    info(3, 0)
}

fn approved() -> TransportResult {
    info(4, 8)
}

fn reset() -> TransportResult {
    Err(TransportError::new(TransportErrorKind::Broken, true))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a transport returns")]
fn with_retry_after(status: u16, after: &str) -> TransportResult {
    let response = http::Response::builder()
        .status(status)
        .header("retry-after", after)
        .body(Vec::new());
    Ok(response.unwrap().into())
}

fn for_seconds(timeout: u64) -> WaitPolicy<'static> {
    WaitPolicy::new().timeout(seconds(timeout))
}

fn wait(test: &TestClient, policy: &WaitPolicy<'_>) -> Result<AuthWait, Error> {
    test.client.wait_for_auth(ID, policy)
}

fn slept(test: &TestClient) -> Vec<u128> {
    test.clock.slept().iter().map(Duration::as_millis).collect()
}

/// The pauses before the first polls of a long wait, in milliseconds.
const PAUSES: [u128; 8] = [1000, 1500, 2250, 3375, 5000, 5000, 5000, 5000];

#[test]
fn pauses_grow_from_one_second_to_five() {
    for approved_at in 0..PAUSES.len() {
        let test = test(move |number| {
            if number < approved_at {
                pending()
            } else {
                approved()
            }
        });
        let end = wait(&test, &WaitPolicy::new()).unwrap();
        assert_eq!(end, AuthWait::ReadyToValidate);
        assert_eq!(slept(&test), PAUSES[..=approved_at]);
        assert_eq!(test.api_requests(), approved_at + 1);
        assert_eq!(test.seen()[1], format!("GET /v3/auth/{ID}"));
    }
}

#[test]
fn jitter_halves_a_pause_at_most_and_leaves_half_a_second() {
    let clock = Arc::new(ManualClock::new());
    let unlucky = Arc::new(ShortClock(Arc::clone(&clock)));
    let test = TestClient::with(
        tokens,
        |_, _, _| pending(),
        move |builder| builder.clock(unlucky),
    );
    assert_eq!(
        wait(&test, &for_seconds(10)).unwrap(),
        AuthWait::StillPending
    );
    let slept: Vec<_> = clock.slept().iter().map(Duration::as_micros).collect();
    // The last pause is what is left until the deadline.
    assert_eq!(
        slept,
        [
            500_000, 750_000, 1_125_000, 1_687_500, 2_500_000, 2_500_000, 937_500
        ]
    );
}

#[test]
fn every_end_of_a_request_is_seen_and_none_is_a_sign_in() {
    let ended = |code| Some(AuthWait::Ended(code));
    for (body, expected) in [
        (
            json!({"auth_request_status_id": 4}),
            Some(AuthWait::ReadyToValidate),
        ),
        (
            json!({"auth_request_status_id": "4"}),
            Some(AuthWait::ReadyToValidate),
        ),
        (json!({"auth_request_status_id": 2}), ended(None)),
        (
            json!({"auth_request_status_id": 2, "auth_response": null}),
            ended(None),
        ),
        (
            json!({"auth_request_status_id": 2, "auth_response": {"result_code": 3}}),
            ended(Some(ResultCode::Declined)),
        ),
        (
            json!({"auth_request_status_id": 2, "auth_response": {"result_code": 5}}),
            ended(Some(ResultCode::Timeout)),
        ),
        (
            json!({"auth_request_status_id": 2, "auth_response": {"result_code": 77}}),
            ended(Some(ResultCode::Other(77))),
        ),
        (
            json!({
                "auth_request_status_id": 2,
                "auth_response": {"result_code": 2, "authorized": true},
            }),
            ended(Some(ResultCode::Success)),
        ),
        // Everything else is pending.
        (json!({"auth_request_status_id": 3}), None),
        (
            json!({
                "auth_request_status_id": 3,
                "auth_response": {"result_code": 8, "authorized": true},
            }),
            None,
        ),
        (json!({"auth_request_status_id": 0}), None),
        (json!({"auth_request_status_id": 7}), None),
        (
            json!({
                "auth_request_status_id": 7,
                "auth_request_status_name": "Pending Validation",
                "auth_response": {"result_code": 2, "authorized": true},
            }),
            None,
        ),
        (json!({"auth_request_status_id": null}), None),
        (
            json!({"auth_response": {"result_code": 2, "authorized": true}}),
            None,
        ),
        (json!({}), None),
    ] {
        let json = body.to_string();
        let test = test(move |_| respond(200, json.clone()));
        let end = wait(&test, &for_seconds(60)).unwrap();
        let goes_on = expected.is_none();
        assert_eq!(end, expected.unwrap_or(AuthWait::StillPending), "{body}");
        assert_eq!(test.api_requests() > 1, goes_on, "{body}");
    }
}

#[test]
fn a_transient_failure_is_absorbed_with_one_request_a_poll() {
    let failures: [fn() -> TransportResult; 8] = [
        || respond(429, ""),
        || respond(500, ""),
        || respond(503, "<html>"),
        reset,
        || Err(TransportError::new(TransportErrorKind::Timeout, true)),
        || Err(TransportError::new(TransportErrorKind::Connect, false)),
        || Err(TransportError::new(TransportErrorKind::Dns, false)),
        // No longer than the interval is anyway.
        || with_retry_after(503, "1"),
    ];
    for fail in failures {
        let test = TestClient::with(
            tokens,
            move |number, _, _| if number < 3 { fail() } else { approved() },
            |builder| builder.retry(RetryPolicy::default().attempts(9)),
        );
        let end = wait(&test, &WaitPolicy::new()).unwrap();
        assert_eq!(end, AuthWait::ReadyToValidate);
        assert_eq!(test.api_requests(), 4);
        assert_eq!(slept(&test), PAUSES[..4]);
    }
}

fn outage(kind: ErrorKind, any_poll_succeeded: bool) -> AuthWait {
    AuthWait::ServiceUnavailable(Outage {
        last_error: Error::new(kind, ""),
        any_poll_succeeded,
    })
}

#[test]
fn a_service_that_never_recovers_is_told_apart_from_a_user_who_does_not_respond() {
    let test = test(|_| respond(503, ""));
    assert_eq!(
        wait(&test, &for_seconds(5)).unwrap(),
        outage(ErrorKind::Unavailable, false)
    );
    assert_eq!(slept(&test), [1000, 1500, 2250, 250]);
    assert_eq!(test.api_requests(), 4);
}

#[test]
fn retry_after_lengthens_one_pause_and_no_wait() {
    let limited = |after: &'static str| {
        test(move |number| match number {
            0 => with_retry_after(429, after),
            1 => pending(),
            _ => approved(),
        })
    };
    let test = limited("20");
    assert_eq!(
        wait(&test, &WaitPolicy::new()).unwrap(),
        AuthWait::ReadyToValidate
    );
    assert_eq!(slept(&test), [1000, 25_000, 2250]);

    // Beyond the deadline: one last poll at the deadline.
    for after in ["11", "1000000", "18446744073709551615"] {
        let test = limited(after);
        assert_eq!(
            wait(&test, &for_seconds(12)).unwrap(),
            AuthWait::StillPending
        );
        assert_eq!(slept(&test), [1000, 11_000]);
        assert_eq!(test.api_requests(), 2);
    }
}

#[test]
fn a_permanent_failure_ends_the_wait_at_once() {
    let responses: [(fn() -> TransportResult, ErrorKind); 7] = [
        (|| respond(400, ""), ErrorKind::Api),
        (|| respond(403, ""), ErrorKind::Forbidden),
        (
            || respond(404, r#"{"error_code":404}"#),
            ErrorKind::NotFound,
        ),
        (|| respond(302, ""), ErrorKind::Protocol),
        (|| respond(200, ""), ErrorKind::Decode),
        (|| respond(200, "<html>"), ErrorKind::Decode),
        (
            || respond(200, r#"{"auth_request_status_id":[4]}"#),
            ErrorKind::Decode,
        ),
    ];
    for (end, kind) in responses {
        let test = test(move |number| if number == 0 { pending() } else { end() });
        let error = wait(&test, &WaitPolicy::new()).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(test.api_requests(), 2);
        assert_eq!(slept(&test), [1000, 1500]);
    }
}

#[test]
fn a_refused_bearer_is_renewed_once_and_then_ends_it() {
    let test = test(|_| respond(401, ""));
    let error = wait(&test, &WaitPolicy::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(test.api_requests() <= 2);
    assert_eq!(slept(&test), [1000]);
}

#[test]
fn the_nil_uuid_is_not_waited_for() {
    let test = test(|_| approved());
    let error = test
        .client
        .wait_for_auth(Uuid::nil(), &WaitPolicy::new())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(test.seen().is_empty());
}

#[test]
fn a_deadline_shorter_than_the_first_pause_leaves_one_poll() {
    for (timeout, pause) in [(0, 0), (1, 1), (300, 300), (999, 999), (1000, 1000)] {
        for (response, expected) in [
            (pending as fn() -> TransportResult, AuthWait::StillPending),
            (approved, AuthWait::ReadyToValidate),
            (reset, outage(ErrorKind::Transport, false)),
        ] {
            let test = test(move |_| response());
            let policy = WaitPolicy::new().timeout(Duration::from_millis(timeout));
            assert_eq!(wait(&test, &policy).unwrap(), expected);
            assert_eq!(slept(&test), [pause]);
            assert_eq!(test.api_requests(), 1);
        }
    }
}

#[test]
fn an_approval_after_the_deadline_is_found_by_the_next_wait() {
    let test = test(|number| if number < 3 { pending() } else { approved() });
    assert_eq!(
        wait(&test, &for_seconds(3)).unwrap(),
        AuthWait::StillPending
    );
    assert_eq!(slept(&test), [1000, 1500, 500]);
    assert_eq!(
        wait(&test, &for_seconds(3)).unwrap(),
        AuthWait::ReadyToValidate
    );
    // The pauses begin again.
    assert_eq!(slept(&test)[3..], [1000]);
}

#[test]
fn a_wait_lasts_as_long_as_the_request_unless_the_policy_says_otherwise() {
    for (life, policy, expected) in [
        (60, WaitPolicy::new(), seconds(60)),
        (60, for_seconds(20), seconds(20)),
        (60, for_seconds(400), seconds(400)),
        (300, WaitPolicy::new(), seconds(300)),
    ] {
        let test = test(|_| pending());
        let end = test.client.wait_for_auth_within(ID, life, &policy);
        assert_eq!(end.unwrap(), AuthWait::StillPending);
        assert_eq!(test.clock.slept().iter().sum::<Duration>(), expected);
    }
    let sign_in = test(|_| pending());
    wait(&sign_in, &WaitPolicy::new()).unwrap();
    let enrolment = test_v4(|_| respond(200, "{}"));
    let watch = RegistrationWatch::registration(ID);
    let end = enrolment
        .client
        .wait_for_registration(&watch, &WaitPolicy::new());
    assert_eq!(end.unwrap(), RegistrationWait::StillPending);
    for test in [sign_in, enrolment] {
        assert_eq!(test.clock.slept().iter().sum::<Duration>(), seconds(300));
    }
}

#[test]
fn the_life_of_a_request_is_taken_from_the_response_up_to_an_hour() {
    for (response, request, expected) in [
        (Some(0), Some(30), 0),
        (Some(1), Some(30), 1),
        (Some(3600), Some(30), 3600),
        (Some(3601), Some(30), 30),
        (Some(i64::MAX), None, 300),
        (Some(-1), Some(30), 30),
        (Some(i64::MIN), None, 300),
        (None, Some(30), 30),
        (None, Some(u32::MAX), 4_294_967_295),
        (None, None, 300),
    ] {
        assert_eq!(request_life(response, request), expected);
    }
}

#[test]
fn the_longest_timeout_does_not_overflow() {
    let test = test(|number| if number < 9 { pending() } else { approved() });
    let policy = WaitPolicy::new().timeout(Duration::MAX);
    assert_eq!(wait(&test, &policy).unwrap(), AuthWait::ReadyToValidate);
}

/// Returns the timeout of each poll, in milliseconds, if it takes `duration`.
fn poll_timeouts(timeout: Duration, duration: Duration, policy: &WaitPolicy<'_>) -> Vec<u128> {
    let clock = Arc::new(OnceLock::<Arc<ManualClock>>::new());
    let timeouts = Arc::new(Mutex::new(Vec::new()));
    let (clock_of_server, seen) = (Arc::clone(&clock), Arc::clone(&timeouts));
    let test = TestClient::with(
        tokens,
        move |_, _, limits| {
            let clock = clock_of_server.get().unwrap();
            let allowed = limits.deadline - clock.now();
            seen.lock().unwrap().push(allowed.as_millis());
            clock.advance(duration.min(allowed));
            pending()
        },
        |builder| builder.timeout(timeout),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
    assert_eq!(wait(&test, policy).unwrap(), AuthWait::StillPending);
    timeouts.lock().unwrap().clone()
}

#[test]
fn a_poll_is_bounded_by_the_call_timeout_and_five_seconds() {
    // Polls after 1, 2.5, 4.75, 8.125, 13.125, 18.125 and 20 seconds.
    let policy = for_seconds(20);
    assert_eq!(
        poll_timeouts(seconds(30), Duration::ZERO, &policy),
        [5000; 7].to_vec()
    );
    assert_eq!(
        poll_timeouts(seconds(2), Duration::ZERO, &policy),
        [2000; 7].to_vec()
    );
    // A server that is slower than a poll may be: polls after 1, 7.5 and 12
    // seconds. The wait ends 5 seconds late.
    assert_eq!(
        poll_timeouts(seconds(30), seconds(60), &for_seconds(12)),
        [5000, 5000, 5000]
    );
}

#[test]
fn progress_is_reported_ten_times_a_second() {
    let test = test(|number| match number {
        0 => respond(503, ""),
        1 => pending(),
        _ => approved(),
    });
    let told = RefCell::new(Vec::new());
    let policy = for_seconds(60).on_progress(|progress| {
        told.borrow_mut().push(progress.clone());
        ControlFlow::Continue(())
    });
    assert_eq!(wait(&test, &policy).unwrap(), AuthWait::ReadyToValidate);
    drop(policy);

    let polls = [1000, 2500, 4750].map(Duration::from_millis);
    assert_eq!(test.clock.slept().iter().sum::<Duration>(), polls[2]);
    assert!(
        test.clock
            .slept()
            .iter()
            .all(|pause| *pause <= Duration::from_millis(100))
    );
    let told = told.into_inner();
    // At 0, 0.1 ... 1.0, again at 1.0 after the poll, and so on.
    assert_eq!(told.len(), 11 + 16 + 24);
    for progress in &told {
        assert_eq!(progress.elapsed + progress.remaining, seconds(60));
        let kind = progress.last_error.as_ref().map(Error::kind);
        let expected = (progress.polls == 1).then_some(ErrorKind::Unavailable);
        assert_eq!(kind, expected, "{progress:?}");
    }
    for (polls_before, from, count) in [
        (0, Duration::ZERO, 11),
        (1, polls[0], 16),
        (2, polls[1], 24),
    ] {
        let told: Vec<_> = told
            .iter()
            .filter(|progress| progress.polls == polls_before)
            .collect();
        assert_eq!(told.len(), count);
        assert_eq!(told[0].elapsed, from);
        let to = polls[usize::try_from(polls_before).unwrap()];
        assert_eq!(told.last().unwrap().elapsed, to);
    }
    assert!(told.is_sorted_by_key(|progress| progress.elapsed));
}

#[test]
fn cancelling_costs_no_further_poll() {
    // At once, in the middle of a pause, just before a poll, just after one.
    for (calls, requests, elapsed) in [(1, 0, 0), (5, 0, 400), (11, 0, 1000), (12, 1, 1000)] {
        let test = test(|_| pending());
        let called = Cell::new(0);
        let policy = WaitPolicy::new().on_progress(|_| {
            called.set(called.get() + 1);
            if called.get() == calls {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!(wait(&test, &policy).unwrap(), AuthWait::Cancelled);
        assert_eq!(called.get(), calls);
        assert_eq!(test.api_requests(), requests);
        let slept: Duration = test.clock.slept().iter().sum();
        assert_eq!(slept, Duration::from_millis(elapsed));
    }
}

#[test]
fn cancelling_ends_waits_for_enrolments_too() {
    let test = test_v4(|_| respond(200, "{}"));
    let policy = WaitPolicy::new().on_progress(|_| ControlFlow::Break(()));
    let watch = RegistrationWatch::registration(ID);
    let end = test.client.wait_for_registration(&watch, &policy);
    assert_eq!(end.unwrap(), RegistrationWait::Cancelled);
    assert!(test.seen().is_empty());
}

#[test]
fn a_policy_prints_without_its_callback() {
    let policy = for_seconds(7).on_progress(|_| ControlFlow::Continue(()));
    assert_eq!(
        format!("{policy:?}"),
        "WaitPolicy { timeout: Some(7s), pauses: None, .. }"
    );
}

#[test]
fn registration_codes_go_on_succeed_or_fail() {
    use RegistrationWait::{Ended, Enrolled};
    for (code, expected) in [
        (json!(0), None),
        (json!(1), None),
        (json!(2), Some(Enrolled)),
        (json!(3), Some(Ended(RegistrationStatus::Declined))),
        (json!(4), Some(Ended(RegistrationStatus::InvalidSignature))),
        (json!(5), Some(Ended(RegistrationStatus::Timeout))),
        (json!(6), None),
        (json!(7), None),
        (json!(8), Some(Enrolled)),
        (json!(9), Some(Ended(RegistrationStatus::ValidationTimeout))),
        (
            json!(10),
            Some(Ended(RegistrationStatus::SecurityException)),
        ),
        (json!(77), None),
        (json!(null), None),
    ] {
        let body = json!({"registration_status_code": code}).to_string();
        let test = test_v4(move |_| respond(200, body.clone()));
        let watch = RegistrationWatch::registration(ID);
        let end = test
            .client
            .wait_for_registration(&watch, &for_seconds(5))
            .unwrap();
        let polls = if expected.is_some() { 1 } else { 4 };
        assert_eq!(
            end,
            expected.unwrap_or(RegistrationWait::StillPending),
            "{code}"
        );
        assert_eq!(test.api_requests(), polls, "{code}");
        let route = format!("GET /v4/users/registrations/{ID}");
        assert_eq!(test.seen()[1..], vec![route; polls]);
    }
}

#[test]
fn a_404_ends_the_wait_for_a_registration_and_a_transient_failure_does_not() {
    let test = test_v4(|number| match number {
        0 => respond(429, ""),
        1 => reset(),
        2 => respond(200, "{}"),
        3 => respond(200, r#"{"registration_status_code":6}"#),
        _ => respond(200, r#"{"registration_status_code":8}"#),
    });
    let watch = RegistrationWatch::registration(ID);
    let policy = WaitPolicy::new();
    let end = test.client.wait_for_registration(&watch, &policy).unwrap();
    assert_eq!(end, RegistrationWait::Enrolled);
    assert_eq!(slept(&test), PAUSES[..5]);

    let test = test_v4(|_| respond(404, ""));
    let error = test
        .client
        .wait_for_registration(&watch, &policy)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(test.api_requests(), 1);
}

/// A user with these enrolled methods; `None` is no such user.
fn user(methods: Option<&serde_json::Value>) -> TransportResult {
    match methods {
        Some(methods) => respond(
            200,
            json!({"user_id": ID, "username": "ada", "enrolled_auth_methods": methods}).to_string(),
        ),
        None => respond(404, r#"{"errorCode":"404"}"#),
    }
}

#[test]
fn under_v3_only_an_enrolment_that_was_not_there_before_counts() {
    let phone = |masked: &str| {
        json!({
            "auth_method_id": 4,
            "auth_method_name": "AuthArmorAuthenticator",
            "auth_method_masked_info": masked,
        })
    };
    let (old, new) = (phone("Pixel"), phone("iPhone"));
    let mail = json!({"auth_method_id": 20, "auth_method_name": "Magiclink_Email"});
    let passkey = json!({"auth_method_id": 30, "auth_method_name": "WebAuthN"});
    let by_name = json!({"auth_method_name": "AuthArmorAuthenticator"});
    let by_number = json!({"auth_method_id": 4});
    for (before, now, is_enrolled) in [
        (None, None, false),
        (None, Some(json!(null)), false),
        (None, Some(json!([])), false),
        (None, Some(json!([mail])), false),
        (None, Some(json!([new])), true),
        (None, Some(json!([by_name])), true),
        (None, Some(json!([by_number])), true),
        (Some(json!([])), Some(json!([mail, passkey])), false),
        (Some(json!([])), Some(json!([mail, new])), true),
        (Some(json!(null)), Some(json!([new])), true),
        // An old one does not count, wherever it stands in the list,
        (Some(json!([old])), Some(json!([old])), false),
        (Some(json!([mail, old])), Some(json!([old, mail])), false),
        (Some(json!([old, new])), Some(json!([new, old])), false),
        // nor does one that went,
        (Some(json!([old, new])), Some(json!([old])), false),
        (Some(json!([old])), Some(json!([])), false),
        (Some(json!([old])), None, false),
        // nor what is no authenticator;
        (Some(json!([old])), Some(json!([old, passkey])), false),
        (Some(json!([old, mail])), Some(json!([old, passkey])), false),
        // a new one next to it does, even if it looks the same,
        (Some(json!([old])), Some(json!([old, new])), true),
        (Some(json!([old])), Some(json!([new, old])), true),
        (Some(json!([old])), Some(json!([old, old])), true),
        (Some(json!([old, old])), Some(json!([old, old])), false),
        // and so does one in its place.
        (Some(json!([old])), Some(json!([new])), true),
        (Some(json!([old, mail])), Some(json!([mail, new])), true),
    ] {
        let case = format!("{before:?} {now:?}");
        let test = test({
            let before = before.clone();
            // The user before the start, a poll without a change, and the change.
            move |number| {
                user(if number < 2 {
                    before.as_ref()
                } else {
                    now.as_ref()
                })
            }
        });
        let watch = RegistrationWatch::user(&test.client, "ada").unwrap();
        let end = test
            .client
            .wait_for_registration(&watch, &for_seconds(5))
            .unwrap();
        let (expected, polls) = if is_enrolled {
            (RegistrationWait::Enrolled, 2)
        } else {
            (RegistrationWait::StillPending, 4)
        };
        assert_eq!(end, expected, "{case}");
        assert_eq!(test.api_requests(), 1 + polls, "{case}");
        assert_eq!(slept(&test), [1000, 1500, 2250, 250][..polls], "{case}");
        let nil = Uuid::nil();
        assert_eq!(test.seen()[1], format!("GET /v3/users/{nil}"));
    }
}

#[test]
fn a_watch_can_be_stored_and_prints_no_name() {
    let old = json!([{"auth_method_id": 4, "auth_method_masked_info": "Pixel"}]);
    let new = json!([{"auth_method_id": 4, "auth_method_masked_info": "iPhone"}]);
    let test = test(move |number| user(Some(if number < 2 { &old } else { &new })));
    let watch = RegistrationWatch::user(&test.client, "ada").unwrap();
    let debug = format!("{watch:?}");
    assert!(
        !debug.contains("ada") && !debug.contains("Pixel"),
        "{debug}"
    );
    let stored = serde_json::to_string(&watch).unwrap();
    let watch: RegistrationWatch = serde_json::from_str(&stored).unwrap();
    let end = test
        .client
        .wait_for_registration(&watch, &WaitPolicy::new())
        .unwrap();
    assert_eq!(end, RegistrationWait::Enrolled);
    assert_eq!(slept(&test), PAUSES[..2]);
}

#[test]
fn a_watch_fails_if_the_user_cannot_be_read() {
    for (status, kind) in [
        (403, ErrorKind::Forbidden),
        (200, ErrorKind::Decode),
        (503, ErrorKind::Unavailable),
    ] {
        let test = test(move |_| respond(status, ""));
        let error = RegistrationWatch::user(&test.client, "ada").unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn while_a_user_is_watched_only_a_404_means_not_yet() {
    for (status, kind) in [(403, ErrorKind::Forbidden), (200, ErrorKind::Decode)] {
        let test = test(move |number| {
            if number < 3 {
                user(None)
            } else {
                respond(status, "")
            }
        });
        let watch = RegistrationWatch::user(&test.client, ID).unwrap();
        let error = test
            .client
            .wait_for_registration(&watch, &WaitPolicy::new())
            .unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(test.api_requests(), 4);
        assert_eq!(test.seen()[4], format!("GET /v3/users/{ID}"));
    }
}
