//! A: the API refuses the token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use autharmor::ErrorKind::{Forbidden, Unauthorized};
use autharmor::{HttpRequest, Limits};
use autharmor_test_support::Gate;

use super::calls::{Call, ID, seconds};
use super::expect::{fails, served};
use super::fake_service::{FakeService, TransportResult, healthy, respond, tokens, with_clock};
use super::harness::{Row, Scenario};
use super::secrets::TOKEN;

/// A client with a token that is 30 seconds old: a younger one is not
/// replaced after a 401.
fn with_a_token(
    api: impl Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync + 'static,
) -> Scenario {
    let (scenario, clock) = with_clock(FakeService::new(tokens, api));
    scenario.client.check_credentials().unwrap();
    clock.advance(seconds(30));
    scenario
}

pub(crate) fn has_first_token(request: &HttpRequest) -> bool {
    request.headers()["authorization"] == format!("Bearer {TOKEN}-0")
}

/// Refuses the first token.
pub(crate) fn revoked(_: usize, request: &HttpRequest, _: Limits) -> TransportResult {
    if has_first_token(request) {
        respond(401, "")
    } else {
        healthy(request)
    }
}

#[test]
fn a1_revoked_token() {
    let mut row = Row::new("A1", "401 once");
    let expect = served().requests(2, 2).tokens(1);
    for call in [Call::Read, Call::Validate] {
        row.check_call(&with_a_token(revoked), call, &expect);
    }
    row.note("one new token and one retry");
    row.finish();
}

#[test]
fn a2_every_token_is_refused() {
    let mut row = Row::new("A2", "401 always");
    for call in Call::ALL {
        let scenario = with_a_token(|_, _, _| respond(401, ""));
        let expect = fails(Unauthorized).status(401).refused();
        row.check_call(&scenario, call, &expect.requests(2, 2).tokens(1));
    }
    row.finish();
}

#[test]
fn a3_eight_threads_get_a_401() {
    let mut row = Row::new("A3", "8 threads get a 401 at the same time");
    for call in Call::ALL {
        let refused = Gate::default();
        let scenario = with_a_token(move |_, request, _| {
            if !has_first_token(request) {
                return healthy(request);
            }
            refused.count();
            refused.wait_for(8);
            respond(401, "")
        });
        row.check_threads(&scenario, call, 8, &served().requests(16, 16).tokens(1));
    }
    row.note("one new token for all threads");
    row.finish();
}

#[test]
fn a4_forbidden() {
    let mut row = Row::new("A4", "403");
    let body = r#"{"errorCode":403,"errorMessage":"no","trackingGuid":"t-1"}"#;
    for call in Call::ALL {
        let scenario = with_a_token(move |_, _, _| respond(403, body));
        let expect = fails(Forbidden).status(403).code("403").tracking_id("t-1");
        row.check_call(&scenario, call, &expect);
    }
    row.note("no new token; the tracking id is in the error");
    row.finish();
}

#[test]
fn a6_401_on_a_start() {
    let mut row = Row::new("A6", "401 on a start");
    let expect = served().requests(2, 2).tokens(1);
    row.check_call(&with_a_token(revoked), Call::Start, &expect);
    row.note("one push notification");
    row.finish();
}

#[test]
fn a7_secret_is_rotated() {
    const NEW: &str = "f4ult-s3cr3t-of-tomorrow";
    let mut row = Row::new("A7", "the secret is rotated while the program runs");
    for call in Call::ALL {
        let rotated = Arc::new(AtomicBool::new(false));
        let is_rotated = rotated.clone();
        let (scenario, _) = with_clock(FakeService::new(
            move |number, request, limits| {
                let body = String::from_utf8_lossy(request.body().unwrap()).into_owned();
                if body.contains(NEW) == is_rotated.load(Ordering::SeqCst) {
                    tokens(number, request, limits)
                } else {
                    respond(400, r#"{"error":"invalid_client"}"#)
                }
            },
            |_, request, _| healthy(request),
        ));
        call.make(&scenario.client).unwrap();
        rotated.store(true, Ordering::SeqCst);
        scenario.client.clone().set_credentials(ID, NEW).unwrap();
        row.check_call(&scenario, call, &served().tokens(1));
    }
    row.note("`set_credentials` forgets the token, for all clones");
    row.finish();
}

#[test]
fn a8_401_with_an_error_body_on_validate() {
    let mut row = Row::new("A8", "401 with an error body on a validate call");
    let body = r#"{"error_code":401,"error_message":"no","tracking_id":"t-1"}"#;
    let refuse = move |_: usize, _: &HttpRequest, _: Limits| respond(401, body);
    let expect = fails(Unauthorized)
        .status(401)
        .code("401")
        .tracking_id("t-1");
    row.check_call(&with_a_token(refuse), Call::Validate, &expect);

    let (scenario, clock) = with_clock(FakeService::new(
        |number, _, _| respond(200, super::calls::token_body(number, "86400")),
        refuse,
    ));
    for _ in 0..1000 {
        Call::Validate.make(&scenario.client).unwrap_err();
        clock.advance(seconds(60));
    }
    let counts = scenario.service.counts();
    assert_eq!((counts.api, counts.acted_on), (1000, 0));
    assert!(counts.tokens <= 2, "I7: {counts:?}");
    row.note("no retry; a thousand of them cost at most two token requests");
    row.finish();
}
