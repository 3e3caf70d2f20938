use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use uuid::Uuid;

use crate::clock::ManualClock;
use crate::registrations::StartAuthenticatorRegistration;
use crate::testing::{TestClient, bearer, respond, seconds, token};
use crate::{
    ApiVersion, Clock, Endpoint, Error, ErrorKind, Request, RetryPolicy, TransportError,
    TransportErrorKind,
};

type Json = serde_json::Value;

const ID: &str = "11111111-2222-4333-8444-555555555555";
const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn credentials_of(name: &str) -> Request<Json> {
    Request::new(Endpoint::ListUserCredentials).user(name)
}

fn user(id: &str, name: &str) -> String {
    format!(r#"{{"user_id":"{id}","username":"{name}"}}"#)
}

fn tokens(
    number: usize,
    _: &crate::HttpRequest,
    _: crate::Limits,
) -> crate::testing::TransportResult {
    token(number, 600)
}

#[test]
fn under_v3_a_v4_only_call_by_name_looks_the_id_up_through_the_header() {
    let headers = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&headers);
    let test = TestClient::new(tokens, move |number, request, _| {
        let name = request.headers().get("x-autharmor-usernamevalue").cloned();
        seen.lock()
            .unwrap()
            .push(name.map(|name| name.to_str().unwrap().to_owned()));
        respond(
            200,
            if number == 0 {
                user(ID, "ADA@example.com")
            } else {
                "{}".to_owned()
            },
        )
    });
    test.client
        .send(&credentials_of("ada@example.com"))
        .unwrap();
    assert_eq!(
        test.seen()[1..],
        [
            format!("GET /v3/users/{NIL}"),
            format!("GET /v4/users/{ID}/credentials")
        ]
    );
    assert_eq!(
        *headers.lock().unwrap(),
        [Some("ada@example.com".to_owned()), None]
    );
}

#[test]
fn a_look_up_of_another_or_no_user_is_a_mismatch() {
    for body in [
        user(ID, "eve"),
        user(NIL, "ada"),
        "{}".to_owned(),
        format!(r#"{{"user_id":"{ID}"}}"#),
    ] {
        let test = TestClient::new(tokens, move |_, _, _| respond(200, body.clone()));
        let error = test.client.send(&credentials_of("ada")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(!error.may_have_been_sent(), "the call itself was not");
        assert_eq!(test.api_requests(), 1);
    }
}

/// The look-up was sent, the call was not.
#[test]
fn after_a_look_up_that_breaks_the_call_counts_as_unsent() {
    use crate::{RetryPolicy, TransportError, TransportErrorKind};
    for (status, kind) in [
        (None, ErrorKind::Transport),
        (Some(500), ErrorKind::Unavailable),
        (Some(200), ErrorKind::Decode),
    ] {
        let test = TestClient::with(
            tokens,
            move |_, _, _| match status {
                Some(status) => respond(status, "no JSON"),
                None => Err(TransportError::new(TransportErrorKind::Broken, true)),
            },
            |builder| builder.retry(RetryPolicy::off()),
        );
        let error = test.client.send(&credentials_of("ada")).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(!error.may_have_been_sent(), "{error}");
        assert_eq!(test.api_requests(), 1);
    }
}

#[test]
fn a_look_up_and_its_call_share_one_repeat_and_one_deadline() {
    let test = TestClient::new(tokens, |_, request, _| {
        if bearer(request) == "0" {
            respond(401, "")
        } else {
            respond(200, user(ID, "ada"))
        }
    });
    test.client.check_credentials().unwrap();
    test.clock.advance(seconds(30));
    test.client.send(&credentials_of("ada")).unwrap();
    assert_eq!((test.token_requests(), test.api_requests()), (2, 3));

    let test = TestClient::new(tokens, |number, _, _| {
        if number == 1 {
            respond(200, user(ID, "ada"))
        } else {
            respond(401, "")
        }
    });
    test.client.check_credentials().unwrap();
    test.clock.advance(seconds(30));
    let error = test.client.send(&credentials_of("ada")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!((test.token_requests(), test.api_requests()), (2, 3));

    let deadlines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&deadlines);
    let test = TestClient::new(tokens, move |_, _, limits| {
        seen.lock().unwrap().push(limits.deadline);
        respond(200, user(ID, "ada"))
    });
    test.client.send(&credentials_of("ada")).unwrap();
    let deadlines = deadlines.lock().unwrap();
    assert_eq!(deadlines[0], deadlines[1]);
}

#[test]
fn under_v4_a_name_is_sent_only_if_allowed() {
    let v4 = |allowed| {
        TestClient::with(
            tokens,
            |_, _, _| respond(200, "{}"),
            move |builder| {
                builder
                    .api_version(ApiVersion::V4)
                    .username_in_query(allowed)
            },
        )
    };
    let test = v4(false);
    let error = test.client.send(&credentials_of("ada")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UsernameInUrl);
    assert!(
        error.to_string().contains("username_in_query(true)"),
        "{error}"
    );
    assert!(test.seen().is_empty());

    let test = v4(true);
    test.client.send(&credentials_of("ada")).unwrap();
    assert_eq!(
        test.seen()[1..],
        [format!("GET /v4/users/{NIL}/credentials?username=ada")]
    );
}

#[test]
fn bad_input_costs_no_request() {
    let test = TestClient::new(tokens, |_, _, _| respond(200, "{}"));
    let get_user = || Request::<Json>::new(Endpoint::GetUser);
    let by_id = |id: &str| Request::<Json>::new(Endpoint::GetRegistrationInfo).id(id);
    for request in [
        get_user().user(Uuid::nil()),
        get_user().user(""),
        get_user().user("ada\r\nX: y"),
        get_user().user("Zoë"),
        get_user().user(Uuid::from_u128(1)).timeout(seconds(0)),
        by_id(".."),
        by_id("%2e%2e"),
        by_id("../apps"),
        by_id(""),
        by_id(NIL),
    ] {
        let error = test.client.send(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{request:?}");
        let expected = format!("{}: ", request.endpoint().name());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    assert!(test.seen().is_empty());
}

#[test]
fn bad_input_costs_no_look_up_either() {
    let test = TestClient::new(tokens, |_, _, _| respond(200, user(ID, "ada")));
    let request = Request::<Json>::new(Endpoint::GetUserCredential)
        .user("ada")
        .id("..");
    let error = test.client.send(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // Under v3 the user is looked at before the phone is enrolled.
    let too_short = StartAuthenticatorRegistration::new("a");
    let error = test.client.begin_authenticator_registration(&too_short);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(test.seen().is_empty());
}

#[test]
fn a_status_that_is_no_success_is_an_error_of_its_kind() {
    for (status, kind) in [
        (301, ErrorKind::Protocol),
        (307, ErrorKind::Protocol),
        (400, ErrorKind::Api),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Api),
        (500, ErrorKind::Unavailable),
        (999, ErrorKind::Protocol),
    ] {
        let test = TestClient::with(
            tokens,
            move |_, _, _| respond(status, "{}"),
            |builder| builder.retry(RetryPolicy::off()),
        );
        let error = test
            .client
            .send(&Request::<Json>::new(Endpoint::ListUsers))
            .unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert_eq!((test.token_requests(), test.api_requests()), (1, 1));
    }
}

#[test]
fn a_2xx_without_the_body_that_is_due_is_an_error() {
    for (status, body) in [(200, ""), (204, ""), (200, "[]x")] {
        let test = TestClient::new(tokens, move |_, _, _| respond(status, body));
        let error = test
            .client
            .send(&Request::<Json>::new(Endpoint::GetAuthInfo).id(ID))
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_been_sent()),
            (ErrorKind::Decode, true)
        );
    }
}

fn fail(kind: TransportErrorKind, sent: bool) -> crate::testing::TransportResult {
    Err(TransportError::new(kind, sent))
}

/// Sends against a server that fails in one way for ever; what came of it and
/// how many requests it saw.
fn storm(
    endpoint: Endpoint,
    failure: impl Fn() -> crate::testing::TransportResult + Send + Sync + 'static,
) -> (Error, usize) {
    let test = TestClient::new(tokens, move |_, _, _| failure());
    let error = test
        .client
        .send(&Request::<Json>::new(endpoint))
        .unwrap_err();
    (error, test.api_requests())
}

#[test]
fn reads_are_tried_three_times_and_starts_once_unless_they_never_left() {
    let (read, start) = (Endpoint::ListUsers, Endpoint::StartAuthenticatorAuth);
    for (kind, sent, reads, starts) in [
        (TransportErrorKind::Connect, false, 3, 3),
        (TransportErrorKind::Dns, false, 3, 3),
        (TransportErrorKind::Broken, true, 3, 1),
        (TransportErrorKind::Tls, false, 1, 1),
        (TransportErrorKind::Protocol, true, 1, 1),
    ] {
        for (endpoint, expected) in [(read, reads), (start, starts)] {
            let (error, requests) = storm(endpoint, move || fail(kind, sent));
            assert_eq!(requests, expected, "{kind:?} {}", endpoint.name());
            assert_eq!(error.may_have_been_sent(), sent);
        }
    }
    assert_eq!(storm(read, || respond(503, "")).1, 3);
    let disable = Request::<Json>::new(Endpoint::DisableUserCredential)
        .user(Uuid::from_u128(7))
        .id("phone");
    for failure in [
        || respond(503, ""),
        || fail(TransportErrorKind::Broken, true),
    ] {
        let test = TestClient::new(tokens, move |_, _, _| failure());
        let error = test.client.send(&disable).unwrap_err();
        assert!(error.may_have_been_sent());
        assert_eq!(test.api_requests(), 3, "{error}");
    }
    assert_eq!(storm(start, || respond(503, "")).1, 1);
    assert_eq!(storm(start, || respond(429, "")).1, 3);
    assert_eq!(storm(read, || respond(408, "")).1, 3);
    assert_eq!(storm(read, || respond(501, "")).1, 1);
}

#[test]
fn a_call_that_notifies_is_sent_once_whatever_the_status_but_429_and_401() {
    for status in [
        400, 403, 404, 408, 409, 425, 499, 500, 501, 502, 503, 504, 999,
    ] {
        for endpoint in [
            Endpoint::StartAuthenticatorAuth,
            Endpoint::StartMagiclinkEmailAuth,
            Endpoint::StartAuthenticatorRegistration,
            Endpoint::ValidateAuthenticatorAuth,
        ] {
            let (_, requests) = storm(endpoint, move || respond(status, ""));
            assert_eq!(requests, 1, "{status} {}", endpoint.name());
        }
    }
}

#[test]
fn the_retry_budget_of_a_client_runs_dry_and_refills_with_successes() {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    // In no time, so that it is no outage.
    let policy = RetryPolicy::new().first_pause(std::time::Duration::ZERO);
    let test = TestClient::with(
        |number, _, _| token(number, 1_000_000),
        move |_, _, _| {
            if up.load(Ordering::SeqCst) {
                respond(200, "{}")
            } else {
                respond(503, "")
            }
        },
        |builder| builder.retry(policy),
    );
    let requests = |calls: usize| {
        let before = test.api_requests();
        for _ in 0..calls {
            // The outcome is not what is counted here.
            let _ = test.client.send(&Request::<Json>::new(Endpoint::ListUsers));
        }
        test.api_requests() - before
    };
    assert_eq!(requests(100), 100 + 100, "500 in the budget, 5 for a retry");
    assert_eq!(requests(10), 10, "dry");
    is_up.store(true, Ordering::SeqCst);
    assert_eq!(requests(10), 10);
    is_up.store(false, Ordering::SeqCst);
    assert_eq!(requests(10), 10 + 2, "10 successes are worth 2 retries");
}

#[test]
fn a_look_up_s_401_uses_up_the_repeat_of_its_call_however_long_it_takes() {
    let clock = Arc::new(OnceLock::<Arc<ManualClock>>::new());
    let slow = Arc::clone(&clock);
    let test = TestClient::with(
        tokens,
        move |number, _, _| {
            slow.get().unwrap().advance(seconds(31));
            if number == 1 {
                respond(200, user(ID, "ada"))
            } else {
                respond(401, "")
            }
        },
        |builder| builder.timeout(seconds(3600)),
    );
    clock.set(Arc::clone(&test.clock)).unwrap();
    let error = test.client.send(&credentials_of("ada")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!((test.token_requests(), test.api_requests()), (2, 3));
}

#[test]
fn a_validate_call_may_have_been_judged_if_it_is_refused_but_not_if_it_came_too_early() {
    for (status, expected) in [(401, true), (429, false)] {
        let body = r#"{"error_code":1,"error_message":"no"}"#;
        let (error, _) = storm(Endpoint::ValidateAuthenticatorAuth, move || {
            respond(status, body)
        });
        assert_eq!(error.may_have_been_sent(), expected, "{status}");
    }
}

#[test]
fn a_failure_in_between_is_not_seen() {
    let test = TestClient::new(tokens, |number, _, _| {
        if number == 0 {
            fail(TransportErrorKind::Broken, true)
        } else {
            respond(200, "{}")
        }
    });
    test.client
        .send(&Request::<Json>::new(Endpoint::ListUsers))
        .unwrap();
    assert_eq!(test.clock.slept().len(), 1);
}

#[test]
fn errors_of_the_transport_keep_their_cause() {
    let (error, _) = storm(Endpoint::StartWebauthnAuth, || {
        let cause = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        Err(TransportError::new(TransportErrorKind::Broken, true).with_source(cause))
    });
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.downcast_ref::<std::io::Error>().is_some());
    assert_eq!(
        error.to_string(),
        "start_webauthn_auth: the connection broke"
    );
}

/// An error body must not read as an empty list or as a request that waits.
#[test]
fn an_error_body_with_a_success_status_is_an_error_on_every_endpoint() {
    let body = r#"{"error_code":404,"error_message":"no ada","tracking_id":"t-1"}"#;
    let test = TestClient::new(tokens, move |_, _, _| respond(200, body));
    let client = &test.client;
    let check = |error: Error, endpoint: Endpoint| {
        assert_eq!(error.kind(), ErrorKind::Api, "{endpoint}");
        assert_eq!(error.code(), Some("404"), "{endpoint}");
        assert_eq!(error.tracking_id(), Some("t-1"), "{endpoint}");
        assert!(error.may_have_been_sent(), "{endpoint}");
        assert!(error.to_string().starts_with(endpoint.name()), "{error}");
    };
    let id = Uuid::from_u128(7);
    for &endpoint in Endpoint::ALL {
        let route = endpoint.route(endpoint.version(ApiVersion::V3));
        let mut request = Request::<Json>::new(endpoint).user(id);
        if route.replace("{user_id}", "").contains('{') {
            request = request.id(id.to_string());
        }
        check(client.send(&request).unwrap_err(), endpoint);
    }
    // Nothing in these responses is required.
    let page = crate::PageQuery::new();
    check(client.list_users(&page).unwrap_err(), Endpoint::ListUsers);
    let history = client.get_user_auth_history(id, &page);
    check(history.unwrap_err(), Endpoint::GetUserAuthHistory);
    let credentials = client.list_user_credentials(id, &page);
    check(credentials.unwrap_err(), Endpoint::ListUserCredentials);
    check(client.get_auth_info(id).unwrap_err(), Endpoint::GetAuthInfo);
    let info = client.get_registration_info(id);
    check(info.unwrap_err(), Endpoint::GetRegistrationInfo);
    let validate = crate::auth::ValidateAuth::new(id, "token");
    let validated = client.validate_authenticator_auth(&validate);
    check(validated.unwrap_err(), Endpoint::ValidateAuthenticatorAuth);
    // The poll of a sign-in ends at once.
    let policy = crate::flow::WaitPolicy::new();
    let waited = client.wait_for_auth(id, &policy);
    check(waited.unwrap_err(), Endpoint::GetAuthInfo);
    // The look-up of a name.
    let named = client.send(&credentials_of("ada")).unwrap_err();
    assert_eq!((named.kind(), named.code()), (ErrorKind::Api, Some("404")));
    assert!(!named.may_have_been_sent());
}

#[test]
fn another_timeout_changes_nothing_else() {
    let deadlines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&deadlines);
    let test = TestClient::with(
        tokens,
        move |_, _, limits| {
            seen.lock().unwrap().push(limits.deadline);
            respond(200, "{}")
        },
        |builder| builder.timeout(seconds(30)),
    );
    let short = test.client.with_timeout(seconds(2));
    let request = || Request::<Json>::new(Endpoint::ListUsers);
    let begin = Clock::now(&*test.clock);
    short.send(&request()).unwrap();
    test.client.send(&request()).unwrap();
    short.clone().send(&request()).unwrap();
    short.send(&request().timeout(seconds(7))).unwrap();
    let expected = [2, 30, 2, 7].map(|after| begin + seconds(after));
    assert_eq!(*deadlines.lock().unwrap(), expected);
    assert_eq!(test.token_requests(), 1);
    assert_eq!(short.default_timeout(), seconds(2));

    // The token is one for both.
    short.invalidate_token();
    test.client.send(&request()).unwrap();
    short.send(&request()).unwrap();
    assert_eq!(test.token_requests(), 2);
}

#[test]
fn a_timeout_of_zero_sends_nothing() {
    let test = TestClient::new(tokens, |_, _, _| respond(200, "{}"));
    let client = test.client.with_timeout(seconds(0));
    let sent = client.send(&Request::<Json>::new(Endpoint::ListUsers));
    for (result, area) in [
        (sent.map(drop), "list_users"),
        (client.check_credentials(), "token"),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with(area), "{error}");
    }
    assert!(test.seen().is_empty());
}
