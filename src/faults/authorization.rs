//! A: the API does not take the token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fake::{Answer, Fake, answer, healthy, tokens};
use super::harness::{Call, ID, Row, TOKEN, World, fails, served};
use super::timed;
use crate::ErrorKind::{Forbidden, Unauthorized};
use crate::testing::{Gate, seconds};
use crate::{HttpRequest, Limits};

/// A service that is asked with a token of 30 seconds.
fn with_a_token(
    api: impl Fn(usize, &HttpRequest, Limits) -> Answer + Send + Sync + 'static,
) -> World {
    let (world, clock) = timed(Fake::new(tokens, api));
    world.client.check_credentials().unwrap();
    clock.advance(seconds(30));
    world
}

fn bears_the_first(request: &HttpRequest) -> bool {
    request.headers()["authorization"] == format!("Bearer {TOKEN}-0")
}

/// The first token is refused.
fn revoked(_: usize, request: &HttpRequest, _: Limits) -> Answer {
    if bears_the_first(request) {
        answer(401, "")
    } else {
        healthy(request)
    }
}

#[test]
fn a1_the_token_was_revoked() {
    let mut row = Row::new("A1", "401 once");
    let expect = served().requests(2, 2).tokens(1);
    for call in [Call::Read, Call::Validate] {
        row.endure(&with_a_token(revoked), call, &expect);
    }
    row.note("a new token and one repeat");
    row.done();
}

#[test]
fn a2_no_token_will_do() {
    let mut row = Row::new("A2", "401 always");
    for call in Call::ALL {
        let world = with_a_token(|_, _, _| answer(401, ""));
        let expect = fails(Unauthorized).status(401).refused();
        row.endure(&world, call, &expect.requests(2, 2).tokens(1));
    }
    row.done();
}

#[test]
fn a3_eight_threads_are_refused_together() {
    let mut row = Row::new("A3", "8 threads get a 401 together");
    for call in Call::ALL {
        let refused = Gate::default();
        let world = with_a_token(move |_, request, _| {
            if !bears_the_first(request) {
                return healthy(request);
            }
            refused.count();
            refused.wait_for(8);
            answer(401, "")
        });
        row.endure_crowd(&world, call, 8, &served().requests(16, 16).tokens(1));
    }
    row.note("one new token for all");
    row.done();
}

#[test]
fn a4_not_allowed() {
    let mut row = Row::new("A4", "403");
    let body = r#"{"errorCode":403,"errorMessage":"no","trackingGuid":"t-1"}"#;
    for call in Call::ALL {
        let world = with_a_token(move |_, _, _| answer(403, body));
        let expect = fails(Forbidden).status(403).code("403").tracking_id("t-1");
        row.endure(&world, call, &expect);
    }
    row.note("no new token; the tracking id is in the error");
    row.done();
}

#[test]
fn a6_a_start_is_refused() {
    let mut row = Row::new("A6", "401 on a start");
    let expect = served().requests(2, 2).tokens(1);
    row.endure(&with_a_token(revoked), Call::Start, &expect);
    row.note("one push");
    row.done();
}

#[test]
fn a7_the_secret_is_rotated() {
    const NEW: &str = "f4ult-s3cr3t-of-tomorrow";
    let mut row = Row::new("A7", "the secret is rotated while the program runs");
    for call in Call::ALL {
        let rotated = Arc::new(AtomicBool::new(false));
        let is_rotated = rotated.clone();
        let (world, _) = timed(Fake::new(
            move |number, request, limits| {
                let body = String::from_utf8_lossy(request.body().unwrap()).into_owned();
                if body.contains(NEW) == is_rotated.load(Ordering::SeqCst) {
                    tokens(number, request, limits)
                } else {
                    answer(400, r#"{"error":"invalid_client"}"#)
                }
            },
            |_, request, _| healthy(request),
        ));
        call.make(&world.client).unwrap();
        rotated.store(true, Ordering::SeqCst);
        world.client.clone().set_credentials(ID, NEW).unwrap();
        row.endure(&world, call, &served().tokens(1));
    }
    row.note("`set_credentials` forgets the token, for all clones");
    row.done();
}

#[test]
fn a8_a_validation_is_refused() {
    let mut row = Row::new("A8", "401 with an error body on a validate call");
    let body = r#"{"error_code":401,"error_message":"no","tracking_id":"t-1"}"#;
    let refuse = move |_: usize, _: &HttpRequest, _: Limits| answer(401, body);
    let expect = fails(Unauthorized)
        .status(401)
        .code("401")
        .tracking_id("t-1");
    row.endure(&with_a_token(refuse), Call::Validate, &expect);

    let (world, clock) = timed(Fake::new(
        |number, _, _| answer(200, super::harness::token_body(number, "86400")),
        refuse,
    ));
    for _ in 0..1000 {
        Call::Validate.make(&world.client).unwrap_err();
        clock.advance(std::time::Duration::from_millis(29));
    }
    let tally = world.side.tally();
    assert_eq!((tally.api, tally.felt), (1000, 0));
    assert!(tally.tokens <= 2, "I7: {tally:?}");
    row.note("it is the answer; a thousand of them cost at most two tokens");
    row.done();
}
