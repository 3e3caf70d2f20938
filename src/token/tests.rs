use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant, SystemTime};

use crate::clock::{Clock, ManualClock};
use crate::testing::{Gate, TestClient, TransportResult, bearer, respond, seconds, token};
use crate::{
    Client, ClientAuth, Endpoint, Error, ErrorKind, HttpRequest, Limits, Request, RetryPolicy,
    TransportError, TransportErrorKind,
};

const API_SAYS_NO: &str = r#"{"error_code":401,"error_message":"no","tracking_id":"t"}"#;

/// Whatever a transport needs of the client that it belongs to.
type Later<T> = Arc<OnceLock<T>>;

/// Any read will do.
fn call(client: &Client) -> Result<serde_json::Value, Error> {
    client.send(&Request::new(Endpoint::ListUsers))
}

fn validate(client: &Client) -> Result<serde_json::Value, Error> {
    client.send(&Request::new(Endpoint::ValidateAuthenticatorAuth))
}

fn body(request: &HttpRequest) -> &str {
    std::str::from_utf8(request.body().unwrap()).unwrap()
}

#[test]
fn sixty_four_threads_on_a_cold_client_fetch_one_token() {
    let started = Gate::default();
    let all_started = started.clone();
    let test = TestClient::new(
        move |number, _, _| {
            all_started.wait_for(64);
            token(number, 600)
        },
        |_, _, _| respond(200, "{}"),
    );
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                started.count();
                call(&test.client.clone()).unwrap();
            });
        }
    });
    assert_eq!((test.token_requests(), test.api_requests()), (1, 64));
}

#[test]
fn only_the_one_who_renews_waits_for_the_next_token() {
    let served = Gate::default();
    let all_others_served = served.clone();
    let test = TestClient::new(
        move |number, _, _| {
            if number == 1 {
                // A thread that waited for this fetch would block it.
                all_others_served.wait_for(1 + 63);
            }
            token(number, 600)
        },
        move |_, _, _| {
            served.count();
            respond(200, "{}")
        },
    );
    call(&test.client).unwrap();
    test.clock.advance(seconds(570));
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| call(&test.client).unwrap());
        }
    });
    assert_eq!((test.token_requests(), test.api_requests()), (2, 65));
}

#[test]
fn a_token_is_renewed_before_it_ends_and_not_earlier() {
    for (life, margin) in [(600, 30), (100, 10), (10, 1)] {
        let test = TestClient::new(
            move |number, _, _| token(number, life),
            |_, _, _| respond(200, "{}"),
        );
        call(&test.client).unwrap();
        test.clock.advance(Duration::from_millis(
            1000 * (life.unsigned_abs() - margin) - 1,
        ));
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), 1, "life {life}");
        test.clock.advance(Duration::from_millis(1));
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), 2, "life {life}");
    }
}

#[test]
fn after_a_failed_renewal_a_valid_token_is_used_and_an_expired_one_never() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let test = TestClient::with(
        move |number, _, _| {
            if is_down.load(Ordering::SeqCst) {
                respond(503, "")
            } else {
                token(number, 600)
            }
        },
        |_, _, _| respond(200, "{}"),
        |builder| builder.retry(RetryPolicy::off()),
    );
    call(&test.client).unwrap();
    down.store(true, Ordering::SeqCst);
    test.clock.advance(seconds(590));
    for _ in 0..10 {
        call(&test.client).unwrap();
    }
    assert_eq!(
        test.token_requests(),
        2,
        "a failed renewal is left alone for a while"
    );

    test.clock.advance(seconds(10));
    let error = call(&test.client).unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Unavailable, Some(503))
    );
    assert!(!error.may_have_been_sent());
    assert_eq!(test.api_requests(), 11);

    // Not even a clock that is set back revives it.
    test.clock.set_wall(SystemTime::UNIX_EPOCH);
    assert!(call(&test.client).is_err());
    down.store(false, Ordering::SeqCst);
    call(&test.client).unwrap();
}

#[test]
fn a_stalled_renewal_leaves_time_for_the_call() {
    let clock = Later::<Arc<ManualClock>>::default();
    let shared = Arc::clone(&clock);
    let test = TestClient::new(
        move |number, _, limits| {
            if number == 0 {
                return token(number, 600);
            }
            let clock = shared.get().unwrap();
            let left = limits.deadline.saturating_duration_since(clock.now());
            assert_eq!(left, seconds(20) / 2);
            clock.advance(left);
            Err(TransportError::new(TransportErrorKind::Timeout, true))
        },
        |_, _, _| respond(200, "{}"),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
    call(&test.client).unwrap();
    test.clock.advance(seconds(570));
    call(&test.client.with_timeout(seconds(20))).unwrap();
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn a_renewed_token_that_is_over_at_once_is_used_once() {
    let test = TestClient::new(
        move |number, _, _| token(number, if number == 0 { 600 } else { 0 }),
        |_, _, _| respond(200, "{}"),
    );
    call(&test.client).unwrap();
    test.clock.advance(seconds(570));
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn eight_threads_with_a_401_fetch_one_new_token() {
    let refused = Gate::default();
    let all_refused = refused.clone();
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        move |_, request, _| {
            if bearer(request) == "1" {
                return respond(200, "{}");
            }
            all_refused.count();
            all_refused.wait_for(8);
            respond(401, "")
        },
    );
    test.client.check_credentials().unwrap();
    test.clock.advance(seconds(30));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| call(&test.client).unwrap());
        }
    });
    assert_eq!((test.token_requests(), test.api_requests()), (2, 16));
}

#[test]
fn a_401_that_stays_is_repeated_once() {
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        |_, _, _| respond(401, ""),
    );
    test.client.check_credentials().unwrap();
    test.clock.advance(seconds(30));
    let error = call(&test.client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!error.may_have_been_sent());
    assert_eq!((test.token_requests(), test.api_requests()), (2, 2));
}

#[test]
fn a_401_costs_a_token_request_once_in_30_seconds_whatever_the_age_of_the_token() {
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        |_, _, _| respond(401, ""),
    );
    let mut counts = Vec::new();
    for pause in [0, 29_999, 1, 29_999, 1] {
        test.clock.advance(Duration::from_millis(pause));
        let error = call(&test.client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        counts.push((test.token_requests(), test.api_requests()));
    }
    assert_eq!(counts, [(2, 2), (2, 3), (3, 4), (3, 5), (4, 6)]);
}

#[test]
fn after_a_401_that_could_not_cost_a_request_the_token_is_replaced_later() {
    let is_revoked = Arc::new(AtomicBool::new(false));
    let revoked = Arc::clone(&is_revoked);
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        move |_, request, _| {
            let is_bad = match bearer(request).as_str() {
                "0" => true,
                "1" => revoked.load(Ordering::SeqCst),
                _ => false,
            };
            if is_bad {
                respond(401, "")
            } else {
                respond(200, "{}")
            }
        },
    );
    call(&test.client).unwrap();
    is_revoked.store(true, Ordering::SeqCst);
    call(&test.client).unwrap_err();
    assert_eq!((test.token_requests(), test.api_requests()), (2, 3));
    test.clock.advance(seconds(30));
    call(&test.client).unwrap();
    assert_eq!(
        (test.token_requests(), test.api_requests()),
        (3, 4),
        "replaced before it was sent"
    );
}

#[test]
fn a_call_is_repeated_once_after_a_401_however_long_it_takes() {
    let clock = Later::<Arc<ManualClock>>::default();
    let slow = Arc::clone(&clock);
    let test = TestClient::with(
        |number, _, _| token(number, 600),
        move |_, _, _| {
            slow.get().unwrap().advance(seconds(31));
            respond(401, "")
        },
        |builder| builder.timeout(seconds(3600)),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
    let error = call(&test.client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!((test.token_requests(), test.api_requests()), (2, 2));
}

#[test]
fn a_401_with_an_error_body_is_repeated_unless_a_validation_was_judged() {
    for (endpoint, requests) in [
        (Endpoint::ListUsers, 2),
        (Endpoint::StartAuthenticatorAuth, 2),
        (Endpoint::ValidateAuthenticatorAuth, 1),
        (Endpoint::ValidateWebauthnAuth, 1),
        (Endpoint::ValidateMagiclinkEmailAuth, 1),
    ] {
        let test = TestClient::new(
            |number, _, _| token(number, 600),
            |_, request, _| {
                if bearer(request) == "0" {
                    respond(401, API_SAYS_NO)
                } else {
                    respond(200, "{}")
                }
            },
        );
        let send = || {
            test.client
                .send(&Request::<serde_json::Value>::new(endpoint))
        };
        assert_eq!(send().is_ok(), requests == 2, "{}", endpoint.name());
        assert_eq!(test.api_requests(), requests, "{}", endpoint.name());
        // The next call bears another token in any case.
        send().unwrap();
        assert_eq!(test.token_requests(), 2, "{}", endpoint.name());
        assert_eq!(test.api_requests(), requests + 1);
    }
}

#[test]
fn a_suspect_token_is_used_while_the_endpoint_is_down() {
    let test = TestClient::with(
        |number, _, _| {
            if number == 0 {
                token(number, 600)
            } else {
                respond(503, "")
            }
        },
        |number, _, _| {
            if number == 0 {
                respond(401, API_SAYS_NO)
            } else {
                respond(200, "{}")
            }
        },
        |builder| builder.retry(RetryPolicy::off()),
    );
    validate(&test.client).unwrap_err();
    for _ in 0..10 {
        validate(&test.client).unwrap();
        test.clock.advance(seconds(1));
    }
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn a_start_is_repeated_after_a_401_because_nothing_was_done() {
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        |_, request, _| {
            if bearer(request) == "0" {
                respond(401, "")
            } else {
                respond(200, "{}")
            }
        },
    );
    test.client.check_credentials().unwrap();
    test.clock.advance(seconds(30));
    let start = Request::<serde_json::Value>::new(Endpoint::StartAuthenticatorAuth);
    test.client.send(&start).unwrap();
    assert_eq!(test.api_requests(), 2);
}

#[test]
fn a_thousand_refused_validations_cost_at_most_two_tokens() {
    for refusal in [API_SAYS_NO, "", "<html>"] {
        let test = TestClient::new(
            |number, _, _| token(number, 1_000_000),
            move |_, _, _| respond(401, refusal),
        );
        for number in 0..1000 {
            let error = validate(&test.client).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
            if number % 35 == 0 {
                test.clock.advance(seconds(1));
            }
        }
        assert_eq!(test.token_requests(), 2, "29 seconds of {refusal:?}");
        test.clock.advance(seconds(2));
        validate(&test.client).unwrap_err();
        // A second new token could not help where the API gives a reason.
        let expected = if refusal == API_SAYS_NO { 2 } else { 3 };
        assert_eq!(test.token_requests(), expected, "the next 30 seconds");
    }
}

#[test]
fn a_token_that_was_accepted_is_doubted_again() {
    let test = TestClient::new(
        |number, _, _| token(number, 1_000_000),
        |number, _, _| match number {
            2 => respond(200, "{}"),
            _ => respond(401, API_SAYS_NO),
        },
    );
    let mut tokens = Vec::new();
    for number in 0..6 {
        assert_eq!(validate(&test.client).is_ok(), number == 2);
        tokens.push(test.token_requests());
        test.clock.advance(seconds(31));
    }
    assert_eq!(tokens, [1, 2, 2, 2, 3, 3]);
}

#[test]
fn a_fetching_thread_without_time_does_not_fail_those_that_wait() {
    let fetching = Gate::default();
    let waiting = Gate::default();
    let (is_fetching, others_wait) = (fetching.clone(), waiting.clone());
    let clock = Later::<Arc<ManualClock>>::default();
    let its_clock = Arc::clone(&clock);
    let test = TestClient::new(
        move |number, _, _| {
            if number > 0 {
                return token(number, 600);
            }
            is_fetching.count();
            others_wait.wait_for(8);
            its_clock.get().unwrap().advance(Duration::from_nanos(1));
            Err(TransportError::new(TransportErrorKind::Timeout, false))
        },
        |_, _, _| respond(200, "{}"),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let request = Request::<serde_json::Value>::new(Endpoint::ListUsers);
            let error = test
                .client
                .send(&request.timeout(Duration::from_nanos(1)))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
        });
        fetching.wait_for(1);
        for _ in 0..8 {
            scope.spawn(|| {
                waiting.count();
                call(&test.client).unwrap();
            });
        }
        first.join().unwrap();
    });
    assert_eq!((test.token_requests(), test.api_requests()), (2, 8));
}

#[test]
fn a_waiter_waits_no_longer_than_its_own_deadline() {
    let fetching = Gate::default();
    let done = Gate::default();
    let (is_fetching, waiter_done) = (fetching.clone(), done.clone());
    let test = TestClient::new(
        move |number, _, _| {
            is_fetching.count();
            waiter_done.wait_for(1);
            token(number, 600)
        },
        |_, _, _| respond(200, "{}"),
    );
    thread::scope(|scope| {
        scope.spawn(|| call(&test.client).unwrap());
        fetching.wait_for(1);
        let waiter = scope.spawn(|| {
            let request = Request::<serde_json::Value>::new(Endpoint::ListUsers);
            test.client.send(&request.timeout(seconds(2))).unwrap_err()
        });
        while !waiter.is_finished() {
            // The fetching thread's deadline is 30 s away, the waiter's 2.
            test.clock.advance(Duration::from_millis(1));
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap().kind(), ErrorKind::Timeout);
        done.count();
    });
    assert_eq!((test.token_requests(), test.api_requests()), (1, 1));
}

#[test]
fn a_refusal_is_given_to_all_who_waited_and_remembered_for_a_second() {
    let started = Gate::default();
    let all_started = started.clone();
    let test = TestClient::new(
        move |_, _, _| {
            all_started.wait_for(64);
            respond(400, r#"{"error":"invalid_client"}"#)
        },
        |_, _, _| respond(200, "{}"),
    );
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                started.count();
                let error = call(&test.client).unwrap_err();
                assert_eq!(
                    (error.kind(), error.code()),
                    (ErrorKind::Auth, Some("invalid_client"))
                );
            });
        }
    });
    assert_eq!(test.token_requests(), 1);
    test.clock.advance(Duration::from_millis(999));
    call(&test.client).unwrap_err();
    assert_eq!(test.token_requests(), 1);
    test.clock.advance(Duration::from_millis(1));
    call(&test.client).unwrap_err();
    assert_eq!(test.token_requests(), 2);
    assert_eq!(test.api_requests(), 0);
}

#[test]
fn credentials_refused_is_told_from_service_unavailable() {
    for (status, kind, transient) in [
        (400, ErrorKind::Auth, false),
        (401, ErrorKind::Auth, false),
        (503, ErrorKind::Unavailable, true),
    ] {
        let test = TestClient::new(
            move |_, _, _| respond(status, ""),
            |_, _, _| respond(200, "{}"),
        );
        let error = test.client.check_credentials().unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (kind, transient));
        assert!(error.to_string().starts_with("token: "), "{error}");
    }
}

#[test]
fn check_credentials_fetches_even_if_a_token_is_there() {
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        |_, _, _| respond(200, "{}"),
    );
    call(&test.client).unwrap();
    test.client.check_credentials().unwrap();
    call(&test.client).unwrap();
    assert_eq!((test.token_requests(), test.api_requests()), (2, 2));
}

#[test]
fn new_credentials_replace_the_token_at_once() {
    let test = TestClient::new(
        |number, request, _| {
            let expected = ["client_secret=cl13nt-s3cr3t", "client_secret=new"][number];
            assert!(body(request).ends_with(expected), "{}", body(request));
            token(number, 600)
        },
        |_, _, _| respond(200, "{}"),
    );
    let clone = test.client.clone();
    call(&test.client).unwrap();
    assert!(clone.set_credentials("id", "").is_err());
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
    clone.set_credentials("id", "new\n").unwrap();
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn invalidate_token_makes_the_next_call_fetch() {
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        |_, _, _| respond(200, "{}"),
    );
    call(&test.client).unwrap();
    test.client.invalidate_token();
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn expiry_is_judged_by_both_clocks() {
    let day = seconds(24 * 60 * 60);
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        |_, _, _| respond(200, "{}"),
    );
    let count = |expected: usize, what: &str| {
        for _ in 0..3 {
            call(&test.client).unwrap();
        }
        assert_eq!(test.token_requests(), expected, "{what}");
    };
    count(1, "fresh");
    test.clock.set_wall(test.clock.wall() + day);
    count(2, "wall clock a day ahead");
    test.clock.set_wall(test.clock.wall() - day);
    count(2, "wall clock a day back");
    test.clock.set_wall(SystemTime::UNIX_EPOCH - day);
    count(2, "wall clock before 1970");
    test.clock.advance(seconds(601));
    count(3, "not immortal for all that");
    // A suspended machine: the monotonic clock stood still.
    test.clock
        .set_wall(test.clock.wall() + seconds(5 * 60 * 60));
    count(4, "suspended for five hours");
}

#[test]
fn lifetimes_of_any_kind_are_taken() {
    for (expires_in, valid_for) in [
        (r#","expires_in":"3600""#, 3569),
        (r#","expires_in":3600.0"#, 3569),
        ("", 269),
        (r#","expires_in":null"#, 269),
        (r#","expires_in":18446744073709551615"#, 86369),
    ] {
        let json = format!(r#"{{"access_token":"t0"{expires_in}}}"#);
        let test = TestClient::new(
            move |_, _, _| respond(200, json.clone()),
            |_, _, _| respond(200, "{}"),
        );
        call(&test.client).unwrap();
        test.clock.advance(seconds(valid_for));
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), 1, "{expires_in}");
        test.clock.advance(seconds(1));
        call(&test.client).unwrap();
        assert_eq!(test.token_requests(), 2, "{expires_in}");
    }
}

#[test]
fn a_token_that_is_over_at_once_is_used_once() {
    for life in [0, -1, 1] {
        let test = TestClient::new(
            move |number, _, _| token(number, life),
            |_, _, _| respond(200, "{}"),
        );
        for calls in 1..=5 {
            call(&test.client).unwrap();
            assert!(test.token_requests() <= calls);
        }
    }
}

#[test]
fn responses_without_a_usable_token_are_errors_and_nothing_is_sent() {
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(200_000));
    for (json, part) in [
        ("", "the body is empty"),
        ("<html>", "not one JSON document"),
        ("{}", "access_token is missing"),
        (
            r#"{"access_token":null}"#,
            "access_token has the wrong type",
        ),
        (r#"{"access_token":""}"#, "is empty"),
        (
            "{\"access_token\":\"s3cr3t\\r\\nX: y\"}",
            "no header can carry",
        ),
        (r#"{"access_token":"s3cr3t two"}"#, "no header can carry"),
        (
            r#"{"access_token":"s3cr3t","token_type":"mac"}"#,
            "another type",
        ),
        (
            r#"{"access_token":"s3cr3t","token_type":["bearer"]}"#,
            "token_type has the wrong type",
        ),
        (
            r#"{"access_token":"s3cr3t","token_type":{"bearer":true}}"#,
            "token_type has the wrong type",
        ),
        (
            r#"{"access_token":"s3cr3t","token_type":7}"#,
            "token_type has the wrong type",
        ),
        (r#"{"access_token":"s3cr3t"} x"#, "not one JSON document"),
        // What the redaction does to errors of the server is not done to ours.
        (
            r#"{"access_token":"s3cr3t\u002B","#,
            "not one JSON document",
        ),
        (
            r#"{"access_token":5,"x":1e400,"tracking_id":"t"}"#,
            "access_token has the wrong type",
        ),
        (&long, "longer than 7 KiB"),
    ] {
        let json = json.to_owned();
        let test = TestClient::new(
            move |_, _, _| respond(200, json.clone()),
            |_, _, _| respond(200, "{}"),
        );
        let error = call(&test.client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(
            !format!("{error:#} {error:?}").contains("s3cr3t"),
            "{error}"
        );
        assert_eq!(test.api_requests(), 0);
    }
}

#[test]
fn the_token_request_is_exact() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    for client_auth in [ClientAuth::SecretPost, ClientAuth::SecretBasic] {
        let seen = Arc::clone(&seen);
        let test = TestClient::with(
            move |number, request, _| {
                let authorization = request.headers().get("authorization");
                seen.lock().unwrap().push(format!(
                    "{} {} {:?} {}",
                    request.method(),
                    request.uri(),
                    authorization.map(|value| value.to_str().unwrap().to_owned()),
                    body(request)
                ));
                token(number, 600)
            },
            |_, _, _| respond(200, "{}"),
            |builder| {
                builder
                    .client_auth(client_auth)
                    .scopes(["aarmor.api.request_auth", "b"])
            },
        );
        test.client.set_credentials("my id", "s+&=%é").unwrap();
        call(&test.client).unwrap();
    }
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "POST https://login.autharmor.com/connect/token None \
             grant_type=client_credentials&client_id=my+id&client_secret=s%2B%26%3D%25%C3%A9\
             &scope=aarmor.api.request_auth+b",
            // base64 of `my+id:s%2B%26%3D%25%C3%A9`
            "POST https://login.autharmor.com/connect/token \
             Some(\"Basic bXkraWQ6cyUyQiUyNiUzRCUyNSVDMyVBOQ==\") \
             grant_type=client_credentials&scope=aarmor.api.request_auth+b",
        ]
    );
}

#[test]
fn a_redirect_of_the_token_endpoint_is_an_error() {
    let test = TestClient::new(|_, _, _| respond(307, ""), |_, _, _| respond(200, "{}"));
    let error = call(&test.client).unwrap_err();
    assert_eq!(
        (error.kind(), error.status()),
        (ErrorKind::Protocol, Some(307))
    );
    assert_eq!(test.token_requests(), 1);
}

#[test]
fn a_busy_token_endpoint_is_waited_for_within_the_deadline() {
    let test = TestClient::new(
        |number, _, _| {
            if number > 0 {
                return token(number, 600);
            }
            let response = http::Response::builder()
                .status(429)
                .header("retry-after", "1");
            Ok(response.body(Vec::new()).unwrap().into())
        },
        |_, _, _| respond(200, "{}"),
    );
    call(&test.client).unwrap();
    assert_eq!(test.clock.slept(), [Duration::from_millis(1250)]);
}

#[test]
fn a_panic_while_fetching_leaves_the_client_working() {
    let test = TestClient::new(
        |number, _, _| {
            assert!(number > 0, "planted");
            token(number, 600)
        },
        |_, _, _| respond(200, "{}"),
    );
    let client = test.client.clone();
    assert!(thread::spawn(move || call(&client)).join().is_err());
    call(&test.client).unwrap();
}

#[test]
fn clones_share_the_token_and_the_original_may_go() {
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        |_, _, _| respond(200, "{}"),
    );
    let together = Barrier::new(4);
    let calls = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            let clone = test.client.clone();
            let (together, calls) = (&together, &calls);
            scope.spawn(move || {
                together.wait();
                call(&clone).unwrap();
                drop(clone);
                calls.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!((test.token_requests(), calls.into_inner()), (1, 4));
}

#[test]
fn a_token_response_that_repeats_our_secret_leaves_none_of_it_in_the_error() {
    // Its base64 is `aWQ6czMlMkJjcjN0KyUyNjEyMzQ1Ng==`.
    const SECRET: &str = "s3+cr3t &123456";
    for client_auth in [ClientAuth::SecretPost, ClientAuth::SecretBasic] {
        for written in [
            SECRET,
            "s3%2Bcr3t+%26123456",
            "s3%2bcr3t%20%26123456",
            "aWQ6czMlMkJjcjN0KyUyNjEyMzQ1Ng==",
        ] {
            for body in [
                format!(r#"{{"error":"{written}","error_description":"not {written}!"}}"#),
                format!(r#"{{"error":"invalid_client","error_description":["{written}"]}}"#),
                format!("<p>{written}</p>"),
            ] {
                for status in [200, 400, 401, 403, 404, 429, 500] {
                    let body = body.clone();
                    let test = TestClient::with(
                        move |_, _, _| respond(status, body.clone()),
                        |_, _, _| respond(200, "{}"),
                        |builder| builder.client_auth(client_auth).retry(RetryPolicy::off()),
                    );
                    test.client.set_credentials("id", SECRET).unwrap();
                    let error = call(&test.client).unwrap_err();
                    let printed = format!("{error:#} {error:?} {:?}", test.client);
                    for part in [written, "cr3t", "123456"] {
                        assert!(!printed.contains(part), "{status}: {printed}");
                    }
                    assert!(!error.code().unwrap_or_default().contains("cr3t"));
                }
            }
        }
    }
    let test = TestClient::new(
        |_, _, _| {
            let body = format!(r#"{{"error":"no_{SECRET}","error_description":"not {SECRET}!"}}"#);
            respond(400, body)
        },
        |_, _, _| respond(200, "{}"),
    );
    test.client.set_credentials("id", SECRET).unwrap();
    let error = call(&test.client).unwrap_err();
    assert_eq!(
        (error.code(), error.server_message()),
        (None, Some("not [redacted]!"))
    );
}

#[test]
fn an_api_response_that_repeats_the_bearer_leaves_none_of_it_in_the_error() {
    for status in [403, 200] {
        let test = TestClient::new(
            |_, _, _| respond(200, r#"{"access_token":"b34rer-token"}"#),
            move |_, _, _| {
                respond(
                    status,
                    r#"{"error_code":"b34rer-token","error_message":"no b34rer-token"}"#,
                )
            },
        );
        let error = call(&test.client).unwrap_err();
        assert_eq!(
            (error.code(), error.server_message()),
            (None, Some("no [redacted]")),
            "{status}"
        );
        assert!(!format!("{error:#} {error:?}").contains("b34rer"));
    }
}

#[test]
fn quotes_around_the_credentials_are_named_when_they_are_refused() {
    for (id, secret, hint) in [
        ("\"id\"", "secret", "the client id is in quotes"),
        ("id", "'secret'", "the client secret is in quotes"),
        (
            "id",
            "\u{201c}secret\u{201d}",
            "the client secret is in quotes",
        ),
    ] {
        for (status, is_named) in [(401, true), (503, false)] {
            let test = TestClient::with(
                move |_, _, _| respond(status, ""),
                |_, _, _| respond(200, "{}"),
                |builder| builder.retry(RetryPolicy::off()),
            );
            test.client.set_credentials(id, secret).unwrap();
            let error = test.client.check_credentials().unwrap_err();
            assert_eq!(error.to_string().contains(hint), is_named, "{error}");
        }
    }
}

/// Acts on a client while it fetches its first token.
fn while_fetching(act: impl Fn(&Client) + Send + Sync + 'static) -> TestClient {
    let client = Later::<Client>::default();
    let its_client = Arc::clone(&client);
    let test = TestClient::new(
        move |number, _, _| {
            if number == 0 {
                act(its_client.get().unwrap());
            }
            token(number, 600)
        },
        |_, request, _| respond(200, format!(r#"{{"bearer":"{}"}}"#, bearer(request))),
    );
    client.set(test.client.clone()).unwrap();
    test
}

#[test]
fn a_token_that_was_asked_for_before_it_was_invalidated_is_not_used() {
    let test = while_fetching(Client::invalidate_token);
    for _ in 0..2 {
        assert_eq!(call(&test.client).unwrap()["bearer"], "1");
    }
    assert_eq!(test.token_requests(), 2);

    let test = while_fetching(Client::invalidate_token);
    test.client.check_credentials().unwrap();
    assert_eq!(call(&test.client).unwrap()["bearer"], "1");
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn a_token_that_was_fetched_with_replaced_credentials_is_not_used() {
    let test = while_fetching(|client| client.set_credentials("id", "new").unwrap());
    for _ in 0..2 {
        assert_eq!(call(&test.client).unwrap()["bearer"], "1");
    }
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn a_refusal_of_replaced_credentials_is_not_the_call_s() {
    let client = Later::<Client>::default();
    let its_client = Arc::clone(&client);
    let test = TestClient::new(
        move |number, request, _| {
            if number == 0 {
                its_client
                    .get()
                    .unwrap()
                    .set_credentials("id", "new")
                    .unwrap();
                return respond(400, r#"{"error":"invalid_client"}"#);
            }
            assert!(body(request).ends_with("client_secret=new"));
            token(number, 600)
        },
        |_, _, _| respond(200, "{}"),
    );
    client.set(test.client.clone()).unwrap();
    call(&test.client).unwrap();
}

#[test]
fn invalidating_forgets_a_refusal() {
    let test = TestClient::new(
        |number, _, _| {
            if number == 0 {
                respond(400, "")
            } else {
                token(number, 600)
            }
        },
        |_, _, _| respond(200, "{}"),
    );
    call(&test.client).unwrap_err();
    call(&test.client).unwrap_err();
    assert_eq!(test.token_requests(), 1);
    test.client.invalidate_token();
    call(&test.client).unwrap();
}

#[test]
fn a_token_that_ends_during_its_failed_renewal_is_not_used() {
    let clock = Later::<Arc<ManualClock>>::default();
    let slow = Arc::clone(&clock);
    let test = TestClient::with(
        move |number, _, _| {
            if number == 0 {
                return token(number, 600);
            }
            slow.get().unwrap().advance(seconds(10));
            respond(503, "")
        },
        |_, _, _| respond(200, "{}"),
        |builder| builder.retry(RetryPolicy::off()),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
    call(&test.client).unwrap();
    test.clock.advance(seconds(595));
    assert_eq!(
        call(&test.client).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!((test.token_requests(), test.api_requests()), (2, 1));
}

#[test]
fn a_token_lives_from_its_request_on() {
    let clock = Later::<Arc<ManualClock>>::default();
    let slow = Arc::clone(&clock);
    let test = TestClient::new(
        move |number, _, _| {
            slow.get().unwrap().advance(seconds(20));
            token(number, 600)
        },
        |_, _, _| respond(200, "{}"),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
    call(&test.client).unwrap();
    test.clock.advance(seconds(549));
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 1);
    test.clock.advance(seconds(1));
    call(&test.client).unwrap();
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn the_end_of_a_token_is_noticed_on_either_clock() {
    type Move = fn(&ManualClock);
    let both: [Move; 2] = [
        |clock| clock.set_wall(clock.wall() + seconds(600)),
        |clock| {
            let wall = clock.wall();
            clock.advance(seconds(600));
            clock.set_wall(wall);
        },
    ];
    for move_clock in both {
        let test = TestClient::with(
            |number, _, _| {
                if number == 0 {
                    token(number, 600)
                } else {
                    respond(503, "")
                }
            },
            |_, _, _| respond(200, "{}"),
            |builder| builder.retry(RetryPolicy::off()),
        );
        call(&test.client).unwrap();
        move_clock(&test.clock);
        call(&test.client).unwrap_err();
        assert_eq!(test.api_requests(), 1);
    }
}

/// A clock that knows which threads wait for another one.
#[derive(Debug, Default)]
struct WatchedClock {
    clock: ManualClock,
    waiting: Mutex<HashSet<ThreadId>>,
}

impl WatchedClock {
    fn wait_for(&self, threads: usize) {
        while self.waiting.lock().unwrap().len() < threads {
            thread::yield_now();
        }
    }
}

impl Clock for WatchedClock {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    fn sleep(&self, pause: Duration) {
        self.clock.sleep(pause);
    }

    fn jitter(&self, most: Duration) -> Duration {
        most
    }

    fn wait_slice(&self, deadline: Instant) -> Duration {
        self.waiting.lock().unwrap().insert(thread::current().id());
        self.clock.wait_slice(deadline)
    }
}

/// Many threads do the same. One fetches a token, and the others wait for it.
fn in_threads(
    threads: usize,
    token: impl Fn(&ManualClock, Limits) -> TransportResult + Send + Sync + 'static,
    act: impl Fn(&Client) -> Result<(), Error> + Sync,
) -> (TestClient, Vec<Result<(), Error>>) {
    let clock = Arc::new(WatchedClock::default());
    let watch = Arc::clone(&clock);
    let test = TestClient::with(
        move |_, _, limits| {
            watch.wait_for(threads - 1);
            token(&watch.clock, limits)
        },
        |_, _, _| respond(200, "{}"),
        |builder| builder.clock(clock).retry(RetryPolicy::off()),
    );
    let results = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| act(&test.client)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    (test, results)
}

#[test]
fn checks_of_credentials_share_one_fetch() {
    let (test, results) = in_threads(8, |_, _| token(0, 600), Client::check_credentials);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(test.token_requests(), 1);
}

#[test]
fn all_who_wait_share_a_failure() {
    let (test, results) = in_threads(8, |_, _| respond(503, ""), |client| call(client).map(drop));
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), error.status()),
            (ErrorKind::Unavailable, Some(503))
        );
    }
    assert_eq!((test.token_requests(), test.api_requests()), (1, 0));
}

#[test]
fn sixty_four_cold_threads_share_one_connect_timeout() {
    let (test, results) = in_threads(
        64,
        |clock, _| {
            clock.advance(seconds(5));
            Err(TransportError::new(TransportErrorKind::Timeout, false))
        },
        |client| call(client).map(drop),
    );
    for result in results {
        let error = result.unwrap_err();
        assert!(error.is_timeout() && !error.may_have_been_sent(), "{error}");
    }
    assert_eq!((test.token_requests(), test.api_requests()), (1, 0));
}

#[test]
fn a_waiter_does_not_fetch_again_with_less_time_than_the_last_fetch_had() {
    let (test, results) = in_threads(
        64,
        |clock, limits| {
            clock.advance(limits.deadline.saturating_duration_since(clock.now()));
            Err(TransportError::new(TransportErrorKind::Timeout, false))
        },
        |client| call(client).map(drop),
    );
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().is_err_and(Error::is_timeout))
    );
    assert_eq!(test.token_requests(), 1);
}
