use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::clock::Clock;
use crate::testing::{Gate, SECRET, TestClient, bearer, respond, seconds, token};
use crate::{
    Client, ClientAuth, Endpoint, Error, ErrorKind, HttpRequest, Request, TransportError,
    TransportErrorKind,
};

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
                // Whoever waited for this would make it wait for ever.
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
        |builder| builder.retry(crate::RetryPolicy::off()),
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
    let clock = Arc::new(OnceLock::<Arc<crate::clock::ManualClock>>::new());
    let shared = Arc::clone(&clock);
    let test = TestClient::new(
        move |number, _, limits| {
            if number == 0 {
                return token(number, 600);
            }
            let clock = shared.get().unwrap();
            clock.advance(limits.deadline.saturating_duration_since(clock.now()));
            Err(TransportError::new(TransportErrorKind::Timeout, true))
        },
        |_, _, _| respond(200, "{}"),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
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
fn a_young_token_is_not_the_reason_for_a_401() {
    let test = TestClient::new(
        |number, _, _| token(number, 600),
        |_, _, _| respond(401, ""),
    );
    call(&test.client).unwrap_err();
    test.clock.advance(seconds(29));
    call(&test.client).unwrap_err();
    assert_eq!((test.token_requests(), test.api_requests()), (1, 2));
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
    let api_says_no = r#"{"error_code":401,"error_message":"no","tracking_id":"t"}"#;
    for (refusal, pause) in [(api_says_no, 60), ("", 0), ("<html>", 0)] {
        let test = TestClient::new(
            |number, _, _| token(number, 1_000_000),
            move |_, _, _| respond(401, refusal),
        );
        test.client.check_credentials().unwrap();
        test.clock.advance(seconds(60));
        for _ in 0..1000 {
            let error = validate(&test.client).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthorized);
            test.clock.advance(seconds(pause));
        }
        let tokens = test.token_requests();
        assert!(tokens <= 2, "{tokens} tokens after {refusal:?}");
    }
}

#[test]
fn a_leader_with_a_short_deadline_does_not_fail_those_behind() {
    let leading = Gate::default();
    let waiting = Gate::default();
    let (is_leading, others_wait) = (leading.clone(), waiting.clone());
    let test = TestClient::new(
        move |number, _, _| {
            if number > 0 {
                return token(number, 600);
            }
            is_leading.count();
            others_wait.wait_for(8);
            Err(TransportError::new(TransportErrorKind::Timeout, false))
        },
        |_, _, _| respond(200, "{}"),
    );
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            let request = Request::<serde_json::Value>::new(Endpoint::ListUsers);
            let error = test
                .client
                .send(&request.timeout(Duration::from_nanos(1)))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
        });
        leading.wait_for(1);
        for _ in 0..8 {
            scope.spawn(|| {
                waiting.count();
                call(&test.client).unwrap();
            });
        }
        leader.join().unwrap();
    });
    assert_eq!((test.token_requests(), test.api_requests()), (2, 8));
}

#[test]
fn a_waiter_waits_no_longer_than_its_own_deadline() {
    let leading = Gate::default();
    let done = Gate::default();
    let (is_leading, waiter_done) = (leading.clone(), done.clone());
    let test = TestClient::new(
        move |number, _, _| {
            is_leading.count();
            waiter_done.wait_for(1);
            token(number, 600)
        },
        |_, _, _| respond(200, "{}"),
    );
    thread::scope(|scope| {
        scope.spawn(|| call(&test.client).unwrap());
        leading.wait_for(1);
        let waiter = scope.spawn(|| {
            let request = Request::<serde_json::Value>::new(Endpoint::ListUsers);
            test.client.send(&request.timeout(seconds(2))).unwrap_err()
        });
        while !waiter.is_finished() {
            // The leader's deadline is 30 s away, the waiter's 2.
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
fn answers_without_a_usable_token_are_errors_and_never_sent() {
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
        (r#"{"access_token":"s3cr3t"} x"#, "not one JSON document"),
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
    assert_eq!(test.clock.slept(), [seconds(1)]);
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
fn a_failed_call_leaves_no_secret_in_its_error() {
    let test = TestClient::new(
        |_, request, _| respond(400, format!("{{\"error\":\"{}\"}}", body(request))),
        |_, _, _| respond(200, "{}"),
    );
    let error = call(&test.client).unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", test.client).contains(SECRET));
}
