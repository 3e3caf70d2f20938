//! Truncated and flipped answers: whatever comes of them, the invariants hold.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use uuid::Uuid;

use super::api::auth::{
    FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    ValidateAuth,
};
use super::api::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
use super::api::registrations::{
    self, Fido2RegistrationData, FinishWebauthnRegistration, StartAuthenticatorRegistration,
    StartMagiclinkEmailRegistration, StartWebauthnRegistration, ValidateMagiclinkEmailRegistration,
    ValidateRegistration,
};
use super::api::users::{UpdateUser, UserQuery};
use super::api::{Client, Error, ErrorKind, PageQuery, RetryPolicy};
use super::fake::{Fake, answer, tokens};
use super::harness::{
    Call, NAME, REQUEST_ID, TOKEN, USER_ID, VALIDATION, World, assert_silent, everything_said,
    token_body,
};

/// Of each answer.
const CASES: usize = 2_000;

/// Knuth's MMIX generator: the same cases in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// Cuts, flips, or both.
    fn spoil(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        let what = self.below(3);
        if what != 0 {
            bytes.truncate(self.below(bytes.len()));
        }
        if what != 1 && !bytes.is_empty() {
            for _ in 0..=self.below(4) {
                let (place, flip) = (self.below(bytes.len()), 1 + self.below(255));
                bytes[place] ^= u8::try_from(flip).unwrap();
            }
        }
        bytes
    }
}

/// An answer, and a call that it serves.
struct Fixture {
    name: &'static str,
    json: Value,
    call: fn(&Client) -> Result<Option<Uuid>, Error>,
}

/// Nobody is signed in by this.
fn nobody<T>(result: Result<T, Error>) -> Result<Option<Uuid>, Error> {
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

#[expect(clippy::too_many_lines, reason = "one entry an answer")]
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
            call: |it| nobody(it.get_user(NAME)),
        },
        Fixture {
            name: "User",
            json: user.clone(),
            call: |it| nobody(it.update_user(NAME, &UpdateUser::new(NAME))),
        },
        fixture!("Page<User>", {"user_records": [user], "page_info": page_info},
            |it| nobody(it.list_users(UserQuery::new()))),
        fixture!("Page<AuthInfo>", {"auth_history_records": [info], "page_info": page_info},
            |it| nobody(it.get_user_auth_history(NAME, &PageQuery::new()))),
        fixture!("Page<Credential>", {"credential_records": [credential], "page_info": page_info},
            |it| nobody(it.list_user_credentials(USER_ID, &PageQuery::new()))),
        Fixture {
            name: "Credential",
            json: credential.clone(),
            call: |it| nobody(it.get_user_credential(USER_ID, "c-1")),
        },
        Fixture {
            name: "AuthInfo",
            json: info.clone(),
            call: |it| nobody(it.get_auth_info(REQUEST_ID)),
        },
        fixture!("StartAuthenticatorAuthResponse", {"auth_request_id": REQUEST_ID, "user_id": USER_ID,
            "auth_validation_token": VALIDATION, "qr_code_data": TOKEN, "visual_verify_value": "42",
            "push_message_sent": true, "response_code": 200, "timeout_in_seconds": 60},
            |it| nobody(it.begin_authenticator_sign_in(&StartAuthenticatorAuth::new().user(NAME)))),
        fixture!("StartWebauthnAuthResponse", {"auth_request_id": REQUEST_ID, "aa_guid": VALIDATION,
            "fido2_json_options": "{\"challenge\":\"x\"}"},
            |it| nobody(it.begin_webauthn_sign_in(&StartWebauthnAuth::new().user(NAME)))),
        fixture!("FinishWebauthnAuthResponse", {"auth_request_id": REQUEST_ID,
            "auth_validation_token": VALIDATION, "user_id": USER_ID, "username": NAME},
            |it| nobody(it.finish_webauthn_auth(&FinishWebauthnAuth::new(REQUEST_ID, VALIDATION, "{}")))),
        fixture!("StartMagiclinkEmailAuthResponse", {"auth_request_id": REQUEST_ID, "user_id": USER_ID,
            "timeout_in_seconds": 300, "timeout_utc_datetime": "2020-07-11T17:09:44"},
            |it| nobody(it.start_magiclink_email_auth(
                &StartMagiclinkEmailAuth::new(NAME, "https://app.example")))),
        Fixture {
            name: "ValidateAuthResponse (raw)",
            json: validated.clone(),
            call: |it| {
                nobody(it.validate_webauthn_auth(&ValidateAuth::new(REQUEST_ID, VALIDATION)))
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
                nobody(
                    it.start_authenticator_registration(&StartAuthenticatorRegistration::new(NAME)),
                )
            },
        },
        Fixture {
            name: "StartWebauthnRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                nobody(it.start_webauthn_registration(&StartWebauthnRegistration::new(NAME)))
            },
        },
        Fixture {
            name: "FinishWebauthnRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                nobody(it.send(&registrations::finish_webauthn_registration(
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
            |it| nobody(it.validate_authenticator_registration(REQUEST_ID,
                &ValidateRegistration::new(VALIDATION)))),
        Fixture {
            name: "StartMagiclinkEmailRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                nobody(it.start_magiclink_email_registration(
                    &StartMagiclinkEmailRegistration::new(NAME, "https://app.example"),
                ))
            },
        },
        Fixture {
            name: "ValidateMagiclinkEmailRegistrationResponse",
            json: registration.clone(),
            call: |it| {
                nobody(it.validate_magiclink_email_registration(
                    &ValidateMagiclinkEmailRegistration::new(VALIDATION),
                ))
            },
        },
        Fixture {
            name: "RegistrationInfo",
            json: registration,
            call: |it| nobody(it.get_registration_info(REQUEST_ID)),
        },
    ]
}

/// A service that answers with whatever is in the drawer, and counts.
fn world(status: u16, drawer: &Arc<Mutex<String>>) -> World {
    let drawer = drawer.clone();
    Fake::new(tokens, move |_, _, _| {
        // Bytes that are no UTF-8 travel one by one.
        let response = http::Response::builder().status(status);
        let bytes = drawer
            .lock()
            .unwrap()
            .chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect();
        Ok(response.body(bytes).unwrap().into())
    })
    .tuned(|builder| builder.retry(RetryPolicy::off()))
}

/// Holds the outcome of one spoilt answer against I1 to I5.
fn hold(place: &str, call: impl Fn() -> Result<Option<Uuid>, Error>, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let result = catch_unwind(AssertUnwindSafe(&call));
    match result.unwrap_or_else(|_| panic!("I1: {place}: {text}")) {
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Timeout, "I2: {place}: {text}");
            assert_silent(place, &everything_said(&error));
        }
        Ok(None) => {}
        Ok(Some(user)) => {
            // Only if it still says so, of the same user.
            let answer: Value = serde_json::from_slice(bytes).unwrap();
            let details = &answer["validate_auth_response_details"];
            assert_eq!(details["authorized"], true, "I5: {place}: {text}");
            let who = &details["auth_details"]["response_details"]["auth_profile_details"];
            assert_eq!(who["username"], NAME, "I5: {place}: {text}");
            assert_eq!(who["user_id"], user.to_string(), "I5: {place}: {text}");
        }
    }
}

#[test]
fn spoilt_answers_keep_the_invariants() {
    for (seed, fixture) in (1..).zip(fixtures()) {
        let mut random = Random(seed);
        let good = fixture.json.to_string();
        let drawer = Arc::new(Mutex::new(good.clone()));
        let world = world(200, &drawer);
        // Else nothing below would prove anything.
        (fixture.call)(&world.client).unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
        for case in 0..CASES {
            let bytes = random.spoil(&good);
            *drawer.lock().unwrap() = bytes.iter().map(|byte| char::from(*byte)).collect();
            let before = world.side.tally();
            let place = format!("{}, case {case}", fixture.name);
            hold(&place, || (fixture.call)(&world.client), &bytes);
            let after = world.side.tally();
            assert_eq!(after.api - before.api, 1, "I4: {place}");
            assert!(!after.overtime, "I2: {place}");
        }
    }
}

#[test]
fn spoilt_refusals_keep_the_invariants() {
    let good = format!(
        r#"{{"error_code":404,"error_message":"no {NAME}","tracking_id":"t-1","error":"x","error_description":"{TOKEN}"}}"#
    );
    for status in [400, 401, 404, 429, 500] {
        let mut random = Random(u64::from(status));
        let drawer = Arc::new(Mutex::new(String::new()));
        let world = world(status, &drawer);
        let start = std::time::Instant::now();
        for case in 0..CASES {
            let bytes = random.spoil(&good);
            *drawer.lock().unwrap() = bytes.iter().map(|byte| char::from(*byte)).collect();
            let place = format!("status {status}, case {case}");
            let call = || {
                let result = Call::Validate.make(&world.client);
                let error = result.expect_err("I5: an error is no sign-in");
                assert_eq!(error.status(), Some(status), "I8");
                Err(error)
            };
            hold(&place, call, &bytes);
        }
        let refetches = match status {
            401 => 1 + usize::try_from(start.elapsed().as_secs() / 30).unwrap(),
            _ => 0,
        };
        let tokens = world.side.tally().tokens;
        assert!((1..=1 + refetches).contains(&tokens), "I7: status {status}");
    }
}

#[test]
fn spoilt_token_answers_keep_the_invariants() {
    let mut random = Random(42);
    let good = token_body(7, "600");
    for case in 0..CASES {
        let bytes = random.spoil(&good);
        let spoilt = bytes.clone();
        let world = Fake::new(
            move |_, _, _| Ok(http::Response::new(spoilt.clone()).into()),
            |_, request, _| {
                let bearer = request.headers()["authorization"].as_bytes();
                assert!(bearer.starts_with(b"Bearer ") && bearer.len() > 7);
                answer(200, Call::Start.body())
            },
        )
        .tuned(|builder| builder.retry(RetryPolicy::off()));
        let place = format!("token, case {case}");
        hold(&place, || nobody(Call::Start.make(&world.client)), &bytes);
        let tally = world.side.tally();
        assert!(
            tally.tokens == 1 && tally.api <= 1,
            "I7: {place}: {tally:?}"
        );
    }
}
