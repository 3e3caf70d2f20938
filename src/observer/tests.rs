use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use super::Attempt;
use crate::auth::ValidateAuth;
use crate::flow::{AuthWait, WaitPolicy};
use crate::testing::{TestClient, TransportResult, bearer, respond, seconds, token};
use crate::{
    ApiVersion, Client, ClientBuilder, Endpoint, ErrorKind, HttpRequest, ManualClock, Request,
    RetryPolicy, TransportError, TransportErrorKind,
};

type Json = serde_json::Value;
type Respond = fn(usize, &HttpRequest) -> TransportResult;
type Attempts = Arc<Mutex<Vec<Attempt>>>;

const ID: &str = "11111111-2222-4333-8444-555555555555";

fn observed(
    token: Respond,
    api: Respond,
    set: fn(ClientBuilder) -> ClientBuilder,
) -> (TestClient, Attempts) {
    let attempts = Attempts::default();
    let seen = Arc::clone(&attempts);
    let test = TestClient::with(
        move |number, request, _| token(number, request),
        move |number, request, _| api(number, request),
        move |builder| {
            set(builder).on_attempt(move |attempt| seen.lock().unwrap().push(attempt.clone()))
        },
    );
    (test, attempts)
}

/// An attempt on one line, without its time.
fn line(attempt: &Attempt) -> String {
    let mut line = attempt.name().to_owned();
    if let Some(version) = attempt.api_version() {
        write!(line, " {version}").unwrap();
    }
    write!(line, " {}:", attempt.number()).unwrap();
    if let Some(status) = attempt.status() {
        write!(line, " {status}").unwrap();
    }
    if let Some(kind) = attempt.error_kind() {
        write!(line, " {kind:?}").unwrap();
    }
    if attempt.will_repeat() {
        line += " again";
    }
    line
}

fn good_token(number: usize, _: &HttpRequest) -> TransportResult {
    token(number, 600)
}

fn good(_: usize, _: &HttpRequest) -> TransportResult {
    respond(200, "{}")
}

fn broken() -> TransportResult {
    Err(TransportError::new(TransportErrorKind::Broken, true))
}

fn get(client: &Client) {
    drop(client.send(&Request::<Json>::new(Endpoint::ListUsers)));
}

fn start(client: &Client) {
    drop(client.send(&Request::<Json>::new(Endpoint::StartMagiclinkEmailAuth)));
}

fn disable(client: &Client) {
    drop(client.disable_user_credential(uuid::Uuid::from_u128(7), "phone"));
}

fn by_name(client: &Client) {
    drop(client.send(&Request::<Json>::new(Endpoint::ListUserCredentials).user("ada")));
}

fn validate(client: &Client) {
    let validate = ValidateAuth::new(uuid::Uuid::from_u128(7), "t0ken");
    drop(client.validate_authenticator_auth(&validate));
}

fn same(builder: ClientBuilder) -> ClientBuilder {
    builder
}

/// A fault, how the client meets it, and the attempts.
type Row = (
    &'static str,
    Respond,
    Respond,
    fn(ClientBuilder) -> ClientBuilder,
    fn(&Client),
    &'static [&'static str],
);
const ROWS: &[Row] = &[
    (
        "success",
        good_token,
        good,
        same,
        get,
        &["token 1: 200", "list_users v3 1: 200"],
    ),
    (
        "v4",
        good_token,
        good,
        |builder| builder.api_version(ApiVersion::V4),
        get,
        &["token 1: 200", "list_users v4 1: 200"],
    ),
    (
        "a body that cannot be decoded",
        good_token,
        |_, _| respond(200, "no JSON"),
        same,
        get,
        &["token 1: 200", "list_users v3 1: 200"],
    ),
    (
        "broken connections",
        good_token,
        |_, _| broken(),
        same,
        get,
        &[
            "token 1: 200",
            "list_users v3 1: Transport again",
            "list_users v3 2: Transport again",
            "list_users v3 3: Transport",
        ],
    ),
    (
        "a success after a failure",
        good_token,
        |number, _| {
            if number == 0 {
                respond(503, "")
            } else {
                respond(200, "{}")
            }
        },
        same,
        get,
        &[
            "token 1: 200",
            "list_users v3 1: 503 Unavailable again",
            "list_users v3 2: 200",
        ],
    ),
    (
        "no retries",
        good_token,
        |_, _| respond(503, ""),
        |builder| builder.retry(RetryPolicy::off()),
        get,
        &["token 1: 200", "list_users v3 1: 503 Unavailable"],
    ),
    (
        "a call that is sent once",
        good_token,
        |_, _| broken(),
        same,
        start,
        &["token 1: 200", "start_magiclink_email_auth v3 1: Transport"],
    ),
    (
        "a call that may be repeated",
        good_token,
        |number, _| {
            if number == 0 {
                broken()
            } else {
                respond(200, "{}")
            }
        },
        same,
        disable,
        &[
            "token 1: 200",
            "disable_user_credential v4 1: Transport again",
            "disable_user_credential v4 2: 200",
        ],
    ),
    (
        "a refused access token",
        good_token,
        |_, request| {
            if bearer(request) == "0" {
                respond(401, "")
            } else {
                respond(200, "{}")
            }
        },
        same,
        |client| {
            client.check_credentials().unwrap();
            client.clock().sleep(seconds(30));
            get(client);
        },
        &[
            "token 1: 200",
            "list_users v3 1: 401 Unauthorized again",
            "token 1: 200",
            "list_users v3 2: 200",
        ],
    ),
    (
        "a refused validation token",
        good_token,
        |_, _| respond(401, r#"{"error_code":401,"error_message":"no"}"#),
        same,
        validate,
        &[
            "token 1: 200",
            "validate_authenticator_auth v3 1: 401 Unauthorized",
        ],
    ),
    (
        "a look-up of an id",
        good_token,
        |_, _| respond(200, format!(r#"{{"user_id":"{ID}","username":"ada"}}"#)),
        same,
        by_name,
        &[
            "token 1: 200",
            "get_user v3 1: 200",
            "list_user_credentials v4 1: 200",
        ],
    ),
    (
        "a look-up that fails",
        good_token,
        |_, _| respond(404, ""),
        same,
        by_name,
        &["token 1: 200", "get_user v3 1: 404 NotFound"],
    ),
    (
        "a token endpoint that fails",
        |_, _| respond(500, ""),
        good,
        same,
        get,
        &[
            "token 1: 500 Unavailable again",
            "token 2: 500 Unavailable again",
            "token 3: 500 Unavailable",
        ],
    ),
    (
        "a token endpoint that cannot be reached at first",
        |number, _| {
            if number == 0 {
                Err(TransportError::new(TransportErrorKind::Dns, false))
            } else {
                token(number, 600)
            }
        },
        good,
        same,
        get,
        &["token 1: Dns again", "token 2: 200", "list_users v3 1: 200"],
    ),
    (
        "refused credentials",
        |_, _| respond(400, r#"{"error":"invalid_client"}"#),
        good,
        same,
        get,
        &["token 1: 400 Auth"],
    ),
    (
        "a token that cannot be decoded",
        |_, _| respond(200, "<html>"),
        good,
        same,
        get,
        &["token 1: 200 Decode"],
    ),
    (
        "bad input",
        good_token,
        good,
        same,
        |client| drop(client.get_user("")),
        &[],
    ),
];

#[test]
fn every_attempt_is_reported_once_and_in_order() {
    for (fault, token, api, set, call, expected) in ROWS {
        let (test, attempts) = observed(*token, *api, *set);
        call(&test.client);
        let lines: Vec<_> = attempts.lock().unwrap().iter().map(line).collect();
        assert_eq!(lines, *expected, "{fault}");
        assert_eq!(lines.len(), test.seen().len(), "{fault}");
    }
}

/// The pause may be long. A report after it would be late.
#[test]
fn an_attempt_is_reported_before_the_pause_and_with_its_own_time() {
    let clock = Arc::new(ManualClock::new());
    let reports = Arc::new(Mutex::new(Vec::new()));
    let (sender, reader) = (Arc::clone(&clock), Arc::clone(&clock));
    let seen = Arc::clone(&reports);
    let test = TestClient::with(
        |number, _, _| token(number, 600),
        move |_, _, _| {
            sender.advance(seconds(2));
            respond(503, "")
        },
        |builder| {
            builder
                .clock(Arc::clone(&clock))
                .on_attempt(move |attempt| {
                    let pauses = reader.slept().len();
                    seen.lock().unwrap().push((pauses, attempt.elapsed()));
                })
        },
    );
    get(&test.client);
    let expected = [
        (0, seconds(0)),
        (0, seconds(2)),
        (1, seconds(2)),
        (2, seconds(2)),
    ];
    assert_eq!(*reports.lock().unwrap(), expected);
}

#[test]
fn a_panic_in_the_observer_does_not_break_a_call() {
    let test = TestClient::with(
        |number, _, _| {
            if number == 0 {
                respond(503, "")
            } else {
                token(number, 600)
            }
        },
        |number, _, _| {
            if number == 0 {
                broken()
            } else {
                respond(200, "{}")
            }
        },
        |builder| builder.on_attempt(|_| panic!("planted")),
    );
    for _ in 0..2 {
        test.client
            .send(&Request::<Json>::new(Endpoint::ListUsers))
            .unwrap();
    }
    assert_eq!((test.token_requests(), test.api_requests()), (2, 3));
}

#[test]
fn an_observer_that_makes_calls_does_not_block() {
    let own = Arc::new(OnceLock::<Client>::new());
    let (inner, results) = (Arc::clone(&own), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&results);
    let test = TestClient::with(
        |number, _, _| token(number, 600),
        |_, _, _| respond(200, "{}"),
        |builder| {
            builder.on_attempt(move |attempt| {
                if attempt.endpoint() != Some(Endpoint::GetAuthInfo) {
                    let id = uuid::Uuid::from_u128(7);
                    let result = inner.get().unwrap().get_auth_info(id);
                    let kind = result.err().map(|error| error.kind());
                    seen.lock().unwrap().push((attempt.name(), kind));
                }
            })
        },
    );
    own.set(test.client.clone()).unwrap();
    get(&test.client);
    // There is no token yet when the fetch of the first is reported.
    let expected = [("token", Some(ErrorKind::Config)), ("list_users", None)];
    assert_eq!(*results.lock().unwrap(), expected);
}

/// A wait that can be cancelled polls in another thread.
#[test]
fn each_poll_of_a_wait_is_observed_once() {
    let (test, attempts) = observed(
        good_token,
        |number, _| match number {
            0 => respond(200, r#"{"auth_request_status_id":1}"#),
            1 => respond(503, ""),
            2 => broken(),
            _ => respond(200, r#"{"auth_request_status_id":4}"#),
        },
        |builder| builder,
    );
    let cancel = AtomicBool::new(false);
    let policy = WaitPolicy::new().cancel_flag(&cancel);
    let id = uuid::Uuid::parse_str(ID).unwrap();
    let end = test.client.wait_for_auth(id, &policy).unwrap();
    assert!(matches!(end, AuthWait::ReadyToValidate), "{end:?}");
    let lines: Vec<_> = attempts.lock().unwrap().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "token 1: 200",
            "get_auth_info v3 1: 200",
            "get_auth_info v3 1: 503 Unavailable",
            "get_auth_info v3 1: Transport",
            "get_auth_info v3 1: 200",
        ]
    );
    assert_eq!(test.seen().len(), lines.len());
}
