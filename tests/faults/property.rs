//! Truncated and corrupted responses keep the invariants.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use autharmor::auth::{
    FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    ValidateAuth,
};
use autharmor::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
use autharmor::registrations::{
    self, Fido2RegistrationData, FinishWebauthnRegistration, StartAuthenticatorRegistration,
    StartMagiclinkEmailRegistration, StartWebauthnRegistration, ValidateMagiclinkEmailRegistration,
    ValidateRegistration,
};
use autharmor::users::{UpdateUser, UserQuery};
use autharmor::{Client, Error, ErrorKind, PageQuery, RetryPolicy};
use autharmor_test_support::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use super::calls::{Call, REQUEST_ID, USER_ID, token_body};
use super::fake_service::{FakeService, respond, tokens};
use super::harness::Scenario;
use super::secrets::{NAME, TOKEN, VALIDATION, all_text, assert_no_secrets};

/// Cases per response.
const CASES: usize = 2_000;

/// Truncates the text, flips bytes, or both.
fn corrupt(rng: &mut Rng, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let what = rng.below(3);
    if what != 0 {
        bytes.truncate(rng.below(bytes.len()));
    }
    if what != 1 && !bytes.is_empty() {
        for _ in 0..=rng.below(4) {
            let (position, flip) = (rng.below(bytes.len()), 1 + rng.below(255));
            bytes[position] ^= u8::try_from(flip).unwrap();
        }
    }
    bytes
}

/// A response, and a call that it serves.
struct Fixture {
    name: &'static str,
    json: Value,
    call: fn(&Client) -> Result<Option<Uuid>, Error>,
}

/// A call that signs nobody in.
fn without_sign_in<T>(result: Result<T, Error>) -> Result<Option<Uuid>, Error> {
    result.map(|_| None)
}

macro_rules! fixture {
    ($name:literal, $json:tt, $call:expr) => {
        Fixture {
            name: $name,
            json: json!($json),
            call: $call,
        }
    };
}

#[expect(clippy::too_many_lines, reason = "one entry per response")]
fn fixtures() -> Vec<Fixture> {
    let validated: Value = serde_json::from_str(&Call::Validate.body()).unwrap();
    let user = json!({"user_id": USER_ID, "username": NAME, "email_address": NAME,
        "date_created": "2020-07-11T17:09:44.7860965Z",
        "enrolled_auth_methods": [{"auth_method_id": 4, "auth_method_name": "AuthArmorAuthenticator",
            "auth_method_masked_info": NAME}]});
    let info = json!({"auth_request_status_id": 4, "auth_request_status_name": "x",
        "auth_response": {"auth_history_id": REQUEST_ID, "result_code": 8, "authorized": true,
            "auth_details": validated["validate_auth_response_details"]["auth_details"]}});
    let registration = json!({"registration_id": REQUEST_ID, "user_id": USER_ID, "username": NAME,
        "registration_validation_token": VALIDATION, "aa_sig": VALIDATION,
        "fido2_json_options": "{\"challenge\":\"x\"}", "qr_code_data": TOKEN,
        "registration_status_code": 1, "timeout_in_seconds": 60, "context_data": {"a": "b"}});
    let credential = json!({"credential_id": "c-1", "enabled": true, "user_id": USER_ID,
        "device_type": "phone", "auth_method": "WebAuthN"});
    let page_info = json!({"currnet_page_number": 1, "page_size": 1, "total_record_count": 1});
    vec![
        Fixture {
            name: "UserDetails",
            json: user.clone(),
            call: |it| without_sign_in(it.get_user(NAME)),
        },
        Fixture {
            name: "User",
            json: user.clone(),
            call: |it| without_sign_in(it.update_user(NAME, &UpdateUser::new(NAME))),
        },
        fixture!("Page<User>", {"user_records": [user], "page_info": page_info},
            |it| without_sign_in(it.list_users(UserQuery::new()))),
        fixture!("Page<AuthInfo>", {"auth_history_records": [info], "page_info": page_info},
            |it| without_sign_in(it.get_user_auth_history(NAME, PageQuery::new()))),
        fixture!("Page<Credential>", {"credential_records": [credential], "page_info": page_info},
            |it| without_sign_in(it.list_user_credentials(USER_ID, PageQuery::new()))),
        Fixture {
            name: "Credential",
            json: credential.clone(),
            call: |it| without_sign_in(it.get_user_credential(USER_ID, "c-1")),
        },
        Fixture {
            name: "AuthInfo",
            json: info.clone(),
            call: |it| without_sign_in(it.get_auth_info(REQUEST_ID)),
        },
        fixture!("StartAuthenticatorAuthResponse", {"auth_request_id": REQUEST_ID, "user_id": USER_ID,
            "auth_validation_token": VALIDATION, "qr_code_data": TOKEN, "visual_verify_value": "42",
            "push_message_sent": true, "response_code": 200, "timeout_in_seconds": 60},
            |it| without_sign_in(it.begin_authenticator_sign_in(&StartAuthenticatorAuth::new().user(NAME)))),
        fixture!("StartWebauthnAuthResponse", {"auth_request_id": REQUEST_ID, "aa_guid": VALIDATION,
            "fido2_json_options": "{\"challenge\":\"x\"}"},
            |it| without_sign_in(it.begin_webauthn_sign_in(&StartWebauthnAuth::new().user(NAME)))),
        fixture!("FinishWebauthnAuthResponse", {"auth_request_id": REQUEST_ID,
            "auth_validation_token": VALIDATION, "user_id": USER_ID, "username": NAME},
            |it| without_sign_in(it.finish_webauthn_auth(&FinishWebauthnAuth::new(REQUEST_ID, VALIDATION, "{}")))),
        fixture!("StartMagiclinkEmailAuthResponse", {"auth_request_id": REQUEST_ID, "user_id": USER_ID,
            "timeout_in_seconds": 300, "timeout_utc_datetime": "2020-07-11T17:09:44"},
            |it| without_sign_in(it.start_magiclink_email_auth(
                &StartMagiclinkEmailAuth::new(NAME, "https://app.example")))),
        Fixture {
            name: "ValidateAuthResponse (raw)",
            json: validated.clone(),
            call: |it| {
                without_sign_in(
                    it.validate_webauthn_auth(&ValidateAuth::new(REQUEST_ID, VALIDATION)),
                )
            },
        },
        Fixture {
            name: "ValidateAuthResponse",
            json: validated,
            call: |it| {
                let expected = ExpectedUser::Is(NAME.into());
                let page =
                    BrowserSignIn::new(Method::MagiclinkEmail, REQUEST_ID, VALIDATION, expected);
                it.complete_browser_sign_in(&page).map(|end| match end {
                    SignIn::SignedIn(user) => Some(user.user_id()),
                    _ => None,
                })
            },
        },
        Fixture {
            name: "StartAuthenticatorRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                without_sign_in(
                    it.start_authenticator_registration(&StartAuthenticatorRegistration::new(NAME)),
                )
            },
        },
        Fixture {
            name: "StartWebauthnRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                without_sign_in(
                    it.start_webauthn_registration(&StartWebauthnRegistration::new(NAME)),
                )
            },
        },
        Fixture {
            name: "FinishWebauthnRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                without_sign_in(it.send(&registrations::finish_webauthn_registration(
                    REQUEST_ID,
                    &FinishWebauthnRegistration::new(
                        VALIDATION,
                        Fido2RegistrationData::new("a", "b", "c"),
                    ),
                )))
            },
        },
        fixture!("ValidateRegistrationResponse",
            {"credential_id": REQUEST_ID, "user_id": USER_ID, "username": NAME},
            |it| without_sign_in(it.validate_authenticator_registration(REQUEST_ID,
                &ValidateRegistration::new(VALIDATION)))),
        Fixture {
            name: "StartMagiclinkEmailRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                without_sign_in(it.start_magiclink_email_registration(
                    &StartMagiclinkEmailRegistration::new(NAME, "https://app.example"),
                ))
            },
        },
        Fixture {
            name: "ValidateMagiclinkEmailRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                without_sign_in(it.validate_magiclink_email_registration(
                    None,
                    &ValidateMagiclinkEmailRegistration::new(VALIDATION),
                ))
            },
        },
        Fixture {
            name: "RegistrationInfo",
            json: registration,
            call: |it| without_sign_in(it.get_registration_info(REQUEST_ID)),
        },
    ]
}

/// A service whose API responds with this status and the current body.
fn scenario(status: u16, body: &Arc<Mutex<String>>) -> Scenario {
    let body = body.clone();
    FakeService::new(tokens, move |_, _, _| {
        // One char per byte, as the bytes may not be UTF-8.
        let response = http::Response::builder().status(status);
        let bytes = body
            .lock()
            .unwrap()
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect();
        Ok(response.body(bytes).unwrap().into())
    })
    .with_settings(|builder| builder.retry(RetryPolicy::off()))
}

/// Asserts I1 to I5 for one corrupted response.
fn check_invariants(context: &str, call: impl Fn() -> Result<Option<Uuid>, Error>, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let result = catch_unwind(AssertUnwindSafe(&call));
    match result.unwrap_or_else(|_| panic!("I1: {context}: {text}")) {
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Timeout, "I2: {context}: {text}");
            assert_no_secrets(context, &all_text(&error));
        }
        Ok(None) => {}
        Ok(Some(user)) => {
            // Only if the response still says so, about the same user.
            let response: Value = serde_json::from_slice(bytes).unwrap();
            let details = &response["validate_auth_response_details"];
            assert_eq!(details["authorized"], true, "I5: {context}: {text}");
            let who = &details["auth_details"]["response_details"]["auth_profile_details"];
            assert_eq!(who["username"], NAME, "I5: {context}: {text}");
            let id: Uuid = who["user_id"].as_str().unwrap().parse().unwrap();
            assert_eq!(id, user, "I5: {context}: {text}");
        }
    }
}

#[test]
fn corrupted_responses_keep_the_invariants() {
    // Each in a thread, as these are the most calls of all tests.
    thread::scope(|scope| {
        for (seed, fixture) in (1..).zip(fixtures()) {
            scope.spawn(move || corrupt_responses(seed, &fixture));
        }
    });
}

fn corrupt_responses(seed: u64, fixture: &Fixture) {
    let mut rng = Rng::new(seed);
    let good = fixture.json.to_string();
    let body = Arc::new(Mutex::new(good.clone()));
    let scenario = scenario(200, &body);
    // Otherwise nothing below would prove anything.
    (fixture.call)(&scenario.client).unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
    for case in 0..CASES {
        let bytes = corrupt(&mut rng, &good);
        *body.lock().unwrap() = bytes.iter().map(|byte| char::from(*byte)).collect();
        let before = scenario.service.counts();
        let context = format!("{}, case {case}", fixture.name);
        check_invariants(&context, || (fixture.call)(&scenario.client), &bytes);
        let after = scenario.service.counts();
        assert_eq!(after.api - before.api, 1, "I4: {context}");
        assert!(!after.overtime, "I2: {context}");
    }
}

#[test]
fn corrupted_error_responses_keep_the_invariants() {
    let good = format!(
        r#"{{"error_code":404,"error_message":"no {NAME}","tracking_id":"t-1","error":"x","error_description":"{TOKEN}"}}"#
    );
    for status in [400, 401, 404, 429, 500] {
        let mut rng = Rng::new(u64::from(status));
        let body = Arc::new(Mutex::new(String::new()));
        let scenario = scenario(status, &body);
        let start = std::time::Instant::now();
        for case in 0..CASES {
            let bytes = corrupt(&mut rng, &good);
            *body.lock().unwrap() = bytes.iter().map(|byte| char::from(*byte)).collect();
            let context = format!("status {status}, case {case}");
            let call = || {
                let result = Call::Validate.make(&scenario.client);
                let error = result.expect_err("I5: an error is no sign-in");
                assert_eq!(error.status(), Some(status), "I8");
                Err(error)
            };
            check_invariants(&context, call, &bytes);
        }
        // A 401 may be about the bearer, which is replaced once in 30 s.
        let refetches = match status {
            401 => 1 + usize::try_from(start.elapsed().as_secs() / 30).unwrap(),
            _ => 0,
        };
        let tokens = scenario.service.counts().tokens;
        assert!((1..=1 + refetches).contains(&tokens), "I7: status {status}");
    }
}

#[test]
fn corrupted_token_responses_keep_the_invariants() {
    let mut rng = Rng::new(42);
    let good = token_body(7, "600");
    for case in 0..CASES {
        let bytes = corrupt(&mut rng, &good);
        let corrupted = bytes.clone();
        let scenario = FakeService::new(
            move |_, _, _| Ok(http::Response::new(corrupted.clone()).into()),
            |_, request, _| {
                let bearer = request.headers()["authorization"].as_bytes();
                assert!(bearer.starts_with(b"Bearer ") && bearer.len() > 7);
                respond(200, Call::Start.body())
            },
        )
        .with_settings(|builder| builder.retry(RetryPolicy::off()));
        let context = format!("token, case {case}");
        check_invariants(
            &context,
            || without_sign_in(Call::Start.make(&scenario.client)),
            &bytes,
        );
        let counts = scenario.service.counts();
        assert!(
            counts.tokens == 1 && counts.api <= 1,
            "I7: {context}: {counts:?}"
        );
    }
}
