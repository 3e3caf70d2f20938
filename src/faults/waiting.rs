//! W: waiting for a person.

use std::sync::Arc;
use std::time::Duration;

use super::fake::{Answer, Fake, answer, answer_with, tokens};
use super::harness::{Cause, Expect, Good, REQUEST_ID, Row, World, fails, not_authorized, served};
use super::timed;
use crate::ErrorKind::{Decode, Forbidden, NotFound};
use crate::auth::ResultCode;
use crate::clock::ManualClock;
use crate::flow::{AuthWait, WaitPolicy};
use crate::testing::seconds;
use crate::{Client, Error, TransportError, TransportErrorKind};

const PENDING: &str = r#"{"auth_request_status_id":3}"#;
const APPROVED: &str = r#"{"auth_request_status_id":4}"#;

/// What the n-th poll is answered with. A wait may take its time and the grace
/// of the last poll.
fn polled(
    poll: impl Fn(usize) -> Answer + Send + Sync + 'static,
    timeout: Duration,
) -> (World, Arc<ManualClock>) {
    let (mut world, clock) = timed(Fake::new(tokens, move |number, _, _| poll(number)));
    if let Some((_, allowed)) = &mut world.clock {
        *allowed = timeout + seconds(5);
    }
    (world, clock)
}

fn wait(client: &Client, timeout: Duration) -> Result<AuthWait, Error> {
    client.wait_for_auth(REQUEST_ID, &WaitPolicy::new().timeout(timeout))
}

/// That a user approved is not a sign-in, but it is what was waited for.
#[expect(clippy::unnecessary_wraps, reason = "it ends a call")]
fn judge(end: AuthWait) -> Result<Good, Error> {
    Ok(match end {
        AuthWait::ReadyToValidate => Good::Served,
        _ => Good::NotAuthorized,
    })
}

fn waits(row: &mut Row, world: &World, timeout: Duration, expect: &Expect) {
    let call = move |client: &Client| wait(client, timeout).and_then(judge);
    row.endure_other(world, true, call, &expect.clone().tokens(1));
}

#[test]
fn w1_over_and_not_approved() {
    let mut row = Row::new("W1", "declined, timed out at the server, invalid signature");
    for (code, expected) in [
        (3, ResultCode::Declined),
        (4, ResultCode::InvalidSignature),
        (5, ResultCode::Timeout),
        (10, ResultCode::SecurityException),
    ] {
        let over = format!(
            r#"{{"auth_request_status_id":2,"auth_response":{{"result_code":{code},"authorized":true}}}}"#
        );
        let (world, _) = polled(move |_| answer(200, over.clone()), seconds(60));
        let call = move |client: &Client| {
            let end = wait(client, seconds(60))?;
            assert_eq!(end, AuthWait::Ended(Some(expected)));
            judge(end)
        };
        row.endure_other(&world, true, call, &not_authorized().tokens(1));
    }
    row.note("a typed end, no error");
    row.done();
}

#[test]
fn w2_trouble_while_polling() {
    let mut row = Row::new("W2", "429, 5xx, reset or timeout while polling");
    let trouble = |number| match number % 5 {
        0 => answer_with(429, &[("retry-after", "2")], ""),
        1 => answer(503, ""),
        2 => Err(TransportError::new(TransportErrorKind::Broken, true)),
        3 => Err(TransportError::new(TransportErrorKind::Timeout, true)),
        _ => answer(502, "<html>"),
    };
    let (world, _) = polled(
        move |number| match number {
            0..5 => trouble(number),
            _ => answer(200, APPROVED),
        },
        seconds(60),
    );
    waits(&mut row, &world, seconds(60), &served().requests(6, 0));

    // Until the time is over: polls after 1, 3 (the server's wish), 5.25,
    // 8.625, 13.625, 18.625 and 20 seconds.
    let (world, clock) = polled(trouble, seconds(20));
    waits(
        &mut row,
        &world,
        seconds(20),
        &not_authorized().requests(7, 0),
    );
    assert_eq!(clock.slept().iter().sum::<Duration>(), seconds(20));
    row.note("absorbed within the time");
    row.done();
}

#[test]
fn w3_nothing_to_wait_for() {
    let mut row = Row::new("W3", "404, 403, or an answer that cannot be read");
    for (status, body, expect) in [
        (404, "", fails(NotFound).status(404)),
        (403, "", fails(Forbidden).status(403)),
        (200, "<html>", fails(Decode).status(200)),
    ] {
        let (world, _) = polled(
            move |number| match number {
                0 => answer(200, PENDING),
                _ => answer(status, body),
            },
            seconds(60),
        );
        waits(
            &mut row,
            &world,
            seconds(60),
            &expect.because(Cause::None).requests(2, 0),
        );
    }
    row.note("ends the waiting at once");
    row.done();
}

#[test]
fn w5_less_time_than_an_interval() {
    let mut row = Row::new("W5", "deadline shorter than the interval, or zero");
    for timeout in [Duration::ZERO, Duration::from_millis(300)] {
        let (world, clock) = polled(|_| answer(200, PENDING), timeout);
        waits(&mut row, &world, timeout, &not_authorized().requests(1, 0));
        assert_eq!(clock.slept(), [timeout]);
        let (world, _) = polled(|_| answer(200, APPROVED), timeout);
        waits(&mut row, &world, timeout, &served().requests(1, 0));
    }
    // However often the server would like to be asked.
    let (world, clock) = polled(
        |_| answer_with(429, &[("retry-after", "0")], ""),
        seconds(60),
    );
    let call = |client: &Client| wait(client, seconds(60)).and_then(judge);
    call(&world.client).unwrap();
    let mut slept = clock.slept();
    slept.pop();
    assert!(
        slept
            .iter()
            .all(|pause| *pause >= Duration::from_millis(500))
    );
    row.note("one last poll; never more often than every 500 ms");
    row.done();
}

#[test]
fn w6_approved_too_late() {
    let mut row = Row::new("W6", "approved after the deadline");
    let (world, _) = polled(|_| answer(200, PENDING), seconds(5));
    waits(
        &mut row,
        &world,
        seconds(5),
        &not_authorized().requests(4, 0),
    );

    let (world, _) = polled(
        |number| answer(200, if number < 4 { PENDING } else { APPROVED }),
        seconds(10),
    );
    let call = |client: &Client| {
        assert_eq!(wait(client, seconds(5))?, AuthWait::StillPending);
        wait(client, seconds(5)).and_then(judge)
    };
    row.endure_other(&world, true, call, &served().requests(5, 0).tokens(1));
    row.note("the same id can be waited for again");
    row.done();
}
