//! F: people, their browsers, and flows that wait for them.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use autharmor::ErrorKind::{InvalidInput, Transport, Unavailable};
use autharmor::auth::{StartMagiclinkEmailAuth, StartWebauthnAuth};
use autharmor::flow::{AuthWait, SignIn, WaitPolicy};
use autharmor::{
    Client, Clock as _, Error, HttpRequest, ManualClock, TransportError, TransportErrorKind,
};
use serde_json::{Value, json};

use super::calls::{Outcome, REQUEST_ID, USER_ID, seconds, validated};
use super::expect::{not_authorized, served};
use super::fake_service::{
    FakeService, TransportResult, respond, respond_with, tokens, with_clock,
};
use super::harness::{Row, Scenario};
use super::secrets::{NAME, VALIDATION};

const TENTH: Duration = Duration::from_millis(100);
const PENDING: &str = r#"{"auth_request_status_id":3}"#;
const APPROVED: &str = r#"{"auth_request_status_id":4}"#;

/// A service whose n-th poll has this response.
fn polled(
    poll: impl Fn(usize) -> TransportResult + Send + Sync + 'static,
) -> (Scenario, Arc<ManualClock>) {
    with_clock(FakeService::new(tokens, move |number, _, _| poll(number)).timeout(seconds(400)))
}

/// A service whose first poll hangs: after a tenth of a second, until it gets a
/// message, or, without a sender, until its time is over. The user has approved
/// by the second one.
fn hanging() -> (Scenario, Arc<ManualClock>, Sender<()>) {
    let clock_of_service = Arc::new(OnceLock::<Arc<ManualClock>>::new());
    let (release, released) = mpsc::channel();
    let (clock, released) = (Arc::clone(&clock_of_service), Mutex::new(released));
    let service = FakeService::new(tokens, move |number, _, limits| {
        if number > 0 {
            return respond(200, APPROVED);
        }
        let clock = clock.get().unwrap();
        clock.advance(TENTH);
        if released.lock().unwrap().recv().is_err() {
            clock.advance(limits.deadline - clock.now());
        }
        Err(TransportError::new(TransportErrorKind::Timeout, true))
    });
    let (scenario, clock) = with_clock(service);
    clock_of_service.set(Arc::clone(&clock)).unwrap();
    (scenario, clock, release)
}

#[expect(clippy::unnecessary_wraps, reason = "it ends a call")]
fn judge(end: &AuthWait) -> Result<Outcome, Error> {
    Ok(match end {
        AuthWait::ReadyToValidate => Outcome::Served,
        _ => Outcome::NotAuthorized,
    })
}

fn judge_sign_in(end: &SignIn) -> Outcome {
    match end {
        SignIn::SignedIn(user) => {
            assert_eq!(user.user_id(), USER_ID, "I5: somebody else signed in");
            Outcome::Served
        }
        _ => Outcome::NotAuthorized,
    }
}

#[test]
fn f1_one_poll_hangs() {
    let mut row = Row::new("F1", "one poll hangs");
    let (scenario, clock, release) = hanging();
    drop(release);
    let began = clock.now();
    let wait = |client: &Client| judge(&client.wait_for_auth(REQUEST_ID, &WaitPolicy::new())?);
    row.check_other_call(&scenario, true, wait, &served().requests(2, 0).tokens(1));
    // A pause of 1 s, the poll, and a pause of 1.5 s.
    assert_eq!(clock.now() - began, Duration::from_millis(7500));

    let (scenario, clock, release) = hanging();
    let began = clock.now();
    let ticks = Arc::clone(&clock);
    let cancel = move |client: &Client| {
        let mut reports = 0;
        let policy = WaitPolicy::new().on_progress(|progress| {
            // The time after one second is that of the poll.
            if progress.elapsed <= seconds(1) {
                return ControlFlow::Continue(());
            }
            reports += 1;
            if reports == 4 {
                return ControlFlow::Break(());
            }
            ticks.advance(TENTH);
            ControlFlow::Continue(())
        });
        let end = client.wait_for_auth(REQUEST_ID, &policy)?;
        assert!(matches!(end, AuthWait::Cancelled), "{end:?}");
        judge(&end)
    };
    row.check_other_call(
        &scenario,
        true,
        cancel,
        &not_authorized().requests(0, 0).tokens(1),
    );
    assert_eq!(clock.now() - began, Duration::from_millis(1400));
    let _ = release.send(());
    row.note("costs 5 s; cancelled within a second, with progress until then");
    row.finish();
}

#[test]
fn f2_service_down_for_the_whole_wait() {
    let mut row = Row::new(
        "F2",
        "the service is down for the whole wait, or at its end",
    );
    let broken = || Err(TransportError::new(TransportErrorKind::Broken, true));
    let down: [fn(usize) -> TransportResult; 4] = [
        |_| respond(503, ""),
        |number| respond(if number == 0 { 200 } else { 503 }, PENDING),
        |number| {
            if number % 2 == 0 {
                respond(200, PENDING)
            } else {
                respond(503, "")
            }
        },
        |_| respond(200, PENDING),
    ];
    for (poll, expected) in down.into_iter().zip([
        Some((Unavailable, false)),
        Some((Unavailable, true)),
        Some((Unavailable, true)),
        None,
    ]) {
        let (scenario, _) = polled(poll);
        let wait = move |client: &Client| {
            let policy = WaitPolicy::new().timeout(seconds(5));
            let end = client.wait_for_auth(REQUEST_ID, &policy)?;
            match (&end, expected) {
                (AuthWait::ServiceUnavailable(outage), Some((kind, any))) => {
                    assert_eq!(outage.last_error.kind(), kind);
                    assert_eq!(outage.any_poll_succeeded, any);
                }
                (AuthWait::StillPending, None) => {}
                _ => panic!("{end:?} instead of {expected:?}"),
            }
            judge(&end)
        };
        row.check_other_call(
            &scenario,
            true,
            wait,
            &not_authorized().requests(4, 0).tokens(1),
        );
    }
    let (scenario, _) = polled(move |_| broken());
    let policy = WaitPolicy::new().timeout(Duration::ZERO);
    match scenario.client.wait_for_auth(REQUEST_ID, &policy).unwrap() {
        AuthWait::ServiceUnavailable(outage) => assert_eq!(outage.last_error.kind(), Transport),
        other => panic!("{other:?}"),
    }
    row.note("told apart from a user who does not respond, with the last error");
    row.finish();
}

/// The service for a passkey or a magic link. It compares the address at the
/// validation with the one of the start.
fn browser_service() -> FakeService {
    let address = Mutex::new(None);
    FakeService::new(tokens, move |_, request, _| {
        let body: Value = serde_json::from_slice(request.body().unwrap()).unwrap();
        let mut address = address.lock().unwrap();
        let body = match last_segment(request) {
            "start" => {
                *address = Some(body["ip_address"].clone());
                json!({
                    "auth_request_id": REQUEST_ID,
                    "user_id": USER_ID,
                    "aa_guid": "a",
                    "fido2_json_options": "{}",
                })
                .to_string()
            }
            "finish" => json!({
                "auth_request_id": REQUEST_ID,
                "auth_validation_token": VALIDATION,
                "user_id": USER_ID,
            })
            .to_string(),
            _ if *address == Some(body["ip_address"].clone()) => {
                validated("true", &USER_ID.to_string(), NAME)
            }
            _ => validated("false", &USER_ID.to_string(), NAME)
                .replace(r#""result_code":2"#, r#""result_code":10"#),
        };
        respond(200, body)
    })
}

fn last_segment(request: &HttpRequest) -> &str {
    request.uri().path().rsplit('/').next().unwrap()
}

#[test]
fn f3_malformed_page_json() {
    let mut row = Row::new(
        "F3",
        "a page sends an error object, or JSON with a member missing, null or of another type",
    );
    // The client data is `{"type":"webauthn.get"}`.
    let good = json!({
        "id": "AQID",
        "attestation_object": "BwgJ",
        "client_data": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0",
    });
    let mut bad = vec![
        json!({}),
        json!(null),
        json!([good]),
        json!({"name": "NotAllowedError", "message": "timed out"}),
        json!({"error": "cancelled", "id": null}),
    ];
    for member in ["id", "attestation_object", "client_data"] {
        for value in [json!(null), json!(7), json!([]), json!("")] {
            let mut page = good.clone();
            page[member] = value;
            bad.push(page);
        }
    }
    let (scenario, _) = with_clock(browser_service());
    let complete = move |client: &Client| {
        let request = StartWebauthnAuth::new().user(NAME);
        let pending = client.begin_webauthn_sign_in(&request)?.pending;
        for page in &bad {
            let error = pending.complete(client, &page.to_string()).unwrap_err();
            assert_eq!(error.kind(), InvalidInput, "{page}");
        }
        Ok(judge_sign_in(&pending.complete(client, &good.to_string())?))
    };
    // Start, finish and validate: nothing for the malformed ones.
    row.check_other_call(&scenario, false, complete, &served().calls(3).tokens(1));
    row.note("each malformed one: `InvalidInput`, nothing sent; the right one signs in");
    row.finish();
}

#[test]
fn f4_link_opened_in_another_browser() {
    let mut row = Row::new(
        "F4",
        "a link is opened in another browser than the one that began",
    );
    let here = "203.0.113.7";
    for (arrives_from, expect) in [
        (Some(here), served()),
        (Some("198.51.100.9"), not_authorized()),
        // Only the start's is known: nothing is compared.
        (None, served()),
    ] {
        let (scenario, _) = with_clock(browser_service());
        let complete = move |client: &Client| {
            let request = StartMagiclinkEmailAuth::new(NAME, "https://app.example/in");
            let mut pending = client.begin_magiclink_sign_in(&request.ip_address(here))?;
            if let Some(address) = arrives_from {
                pending = pending.ip_address(address);
            }
            let query = format!("auth_request_id={REQUEST_ID}&auth_validation_token={VALIDATION}");
            let end = pending.complete(client, &query)?;
            if arrives_from.is_some_and(|address| address != here) {
                assert!(matches!(end, SignIn::RefusedForSecurity), "{end:?}");
            }
            Ok(judge_sign_in(&end))
        };
        row.check_other_call(&scenario, false, complete, &expect.calls(2).tokens(1));
    }
    row.note("the arriving browser's address is sent if the program gives it");
    row.finish();
}

#[test]
fn f5_long_retry_after_on_a_poll() {
    let mut row = Row::new("F5", "`Retry-After` of an hour on a poll");
    for status in [429, 503] {
        let (scenario, clock) = polled(move |number| match number {
            0 => respond_with(status, &[("retry-after", "3600")], ""),
            _ => respond(200, APPROVED),
        });
        let wait = |client: &Client| judge(&client.wait_for_auth(REQUEST_ID, &WaitPolicy::new())?);
        row.check_other_call(&scenario, true, wait, &served().requests(2, 0).tokens(1));
        assert_eq!(clock.slept(), [seconds(1), seconds(25)]);
    }
    row.note("the next poll is sent after 20 to 25 s");
    row.finish();
}
