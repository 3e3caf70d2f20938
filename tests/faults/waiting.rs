//! W: waiting for the user.

use std::sync::Arc;
use std::time::Duration;

use autharmor::ErrorKind::{Decode, Forbidden, NotFound};
use autharmor::auth::ResultCode;
use autharmor::flow::{AuthWait, WaitPolicy};
use autharmor::{Client, Error, ManualClock, TransportError, TransportErrorKind};

use super::calls::{Outcome, REQUEST_ID, seconds};
use super::expect::{Cause, Expect, fails, not_authorized, served};
use super::fake_service::{
    FakeService, TransportResult, respond, respond_with, tokens, with_clock,
};
use super::harness::{Row, Scenario};

const PENDING: &str = r#"{"auth_request_status_id":3}"#;
const APPROVED: &str = r#"{"auth_request_status_id":4}"#;

/// A service whose n-th poll gets this response. A wait may take its timeout and
/// the time of one last poll.
fn polled(
    poll: impl Fn(usize) -> TransportResult + Send + Sync + 'static,
    timeout: Duration,
) -> (Scenario, Arc<ManualClock>) {
    let (mut scenario, clock) =
        with_clock(FakeService::new(tokens, move |number, _, _| poll(number)));
    if let Some((_, allowed)) = &mut scenario.clock {
        *allowed = timeout + seconds(5);
    }
    (scenario, clock)
}

fn wait(client: &Client, timeout: Duration) -> Result<AuthWait, Error> {
    client.wait_for_auth(REQUEST_ID, &WaitPolicy::new().timeout(timeout))
}

/// An approval is not a sign-in, but it is what the wait was for.
#[expect(clippy::unnecessary_wraps, reason = "it ends a call")]
fn judge(end: &AuthWait) -> Result<Outcome, Error> {
    Ok(match end {
        AuthWait::ReadyToValidate => Outcome::Served,
        _ => Outcome::NotAuthorized,
    })
}

fn waits(row: &mut Row, scenario: &Scenario, timeout: Duration, expect: &Expect) {
    let call = move |client: &Client| wait(client, timeout).and_then(|end| judge(&end));
    row.check_other_call(scenario, true, call, &expect.clone().tokens(1));
}

#[test]
fn w1_ended_without_approval() {
    let mut row = Row::new(
        "W1",
        "declined, timed out at the service, invalid signature",
    );
    for (code, expected) in [
        (3, ResultCode::Declined),
        (4, ResultCode::InvalidSignature),
        (5, ResultCode::Timeout),
        (10, ResultCode::SecurityException),
    ] {
        let over = format!(
            r#"{{"auth_request_status_id":2,"auth_response":{{"result_code":{code},"authorized":true}}}}"#
        );
        let (scenario, _) = polled(move |_| respond(200, over.clone()), seconds(60));
        let call = move |client: &Client| {
            let end = wait(client, seconds(60))?;
            assert!(
                matches!(end, AuthWait::Ended(Some(code)) if code == expected),
                "{end:?}"
            );
            judge(&end)
        };
        row.check_other_call(&scenario, true, call, &not_authorized().tokens(1));
    }
    row.note("a typed result, no error");
    row.finish();
}

#[test]
fn w2_failed_polls() {
    let mut row = Row::new("W2", "429, 5xx, reset or timeout while polling");
    let failure = |number| match number % 5 {
        0 => respond_with(429, &[("retry-after", "2")], ""),
        1 => respond(503, ""),
        2 => Err(TransportError::new(TransportErrorKind::Broken, true)),
        3 => Err(TransportError::new(TransportErrorKind::Timeout, true)),
        _ => respond(502, "<html>"),
    };
    let (scenario, _) = polled(
        move |number| match number {
            0..5 => failure(number),
            _ => respond(200, APPROVED),
        },
        seconds(60),
    );
    waits(&mut row, &scenario, seconds(60), &served().requests(6, 0));

    // Until the timeout: polls after 1, 3.5 (by `Retry-After`), 5.75,
    // 9.125, 14.125, 19.125 and 20 seconds.
    let (scenario, clock) = polled(failure, seconds(20));
    waits(
        &mut row,
        &scenario,
        seconds(20),
        &not_authorized().requests(7, 0),
    );
    assert_eq!(clock.slept().iter().sum::<Duration>(), seconds(20));
    row.note("the wait continues within its timeout");
    row.finish();
}

#[test]
fn w3_poll_that_cannot_succeed() {
    let mut row = Row::new("W3", "404, 403, or a response that cannot be read");
    for (status, body, expect) in [
        (404, "", fails(NotFound).status(404)),
        (403, "", fails(Forbidden).status(403)),
        (200, "<html>", fails(Decode).status(200)),
    ] {
        let (scenario, _) = polled(
            move |number| match number {
                0 => respond(200, PENDING),
                _ => respond(status, body),
            },
            seconds(60),
        );
        waits(
            &mut row,
            &scenario,
            seconds(60),
            &expect.caused_by(Cause::None).requests(2, 0),
        );
    }
    row.note("ends the wait at once");
    row.finish();
}

#[test]
fn w5_timeout_shorter_than_the_interval() {
    let mut row = Row::new("W5", "timeout shorter than the interval, or zero");
    for timeout in [Duration::ZERO, Duration::from_millis(300)] {
        let (scenario, clock) = polled(|_| respond(200, PENDING), timeout);
        waits(
            &mut row,
            &scenario,
            timeout,
            &not_authorized().requests(1, 0),
        );
        assert_eq!(clock.slept(), [timeout]);
        let (scenario, _) = polled(|_| respond(200, APPROVED), timeout);
        waits(&mut row, &scenario, timeout, &served().requests(1, 0));
    }
    // Even if the server allows more polls.
    let (scenario, clock) = polled(
        |_| respond_with(429, &[("retry-after", "0")], ""),
        seconds(60),
    );
    let call = |client: &Client| wait(client, seconds(60)).and_then(|end| judge(&end));
    call(&scenario.client).unwrap();
    let mut slept = clock.slept();
    slept.pop();
    assert!(
        slept
            .iter()
            .all(|pause| *pause >= Duration::from_millis(500))
    );
    row.note("one last poll; never more often than every 500 ms");
    row.finish();
}

#[test]
fn w6_approved_after_the_timeout() {
    let mut row = Row::new("W6", "approved after the timeout");
    let (scenario, _) = polled(|_| respond(200, PENDING), seconds(5));
    waits(
        &mut row,
        &scenario,
        seconds(5),
        &not_authorized().requests(4, 0),
    );

    let (scenario, _) = polled(
        |number| respond(200, if number < 4 { PENDING } else { APPROVED }),
        seconds(10),
    );
    let call = |client: &Client| {
        let end = wait(client, seconds(5))?;
        assert!(matches!(end, AuthWait::StillPending), "{end:?}");
        wait(client, seconds(5)).and_then(|end| judge(&end))
    };
    row.check_other_call(&scenario, true, call, &served().requests(5, 0).tokens(1));
    row.note("a second wait for the same id succeeds");
    row.finish();
}
