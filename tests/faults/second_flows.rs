//! R9, R10, R13 and F: flows, second list.

use std::fs;
use std::path::Path;

use autharmor::Client;
use autharmor::ErrorKind::Mismatch;
use autharmor::auth::StartMagiclinkEmailAuth;
use autharmor::flow::SignIn;
use serde_json::{Value, json};

use super::calls::{Call, Outcome, REQUEST_ID, USER_ID, validated};
use super::expect::{fails, served};
use super::fake_service::{FakeService, TransportResult, respond, tokens};
use super::harness::{Row, Scenario};
use super::secrets::{NAME, VALIDATION};

const URL: &str = "https://app.example/in";

fn authorized() -> Value {
    serde_json::from_str(&validated("true", &USER_ID.to_string(), NAME)).unwrap()
}

/// An API whose responses to validate calls have this body.
fn validating(body: &Value) -> Scenario {
    let body = body.to_string();
    FakeService::new(tokens, move |_, _, _| respond(200, body.clone())).scenario()
}

#[test]
fn r9_authorized_but_pending() {
    let mut row = Row::new(
        "R9",
        "`authorized` beside a pending or unknown status or code",
    );
    let code = "/validate_auth_response_details/result_code";
    for (pointer, values) in [
        ("/auth_request_status_id", [0, 3, 4, 99, -1]),
        (code, [0, 1, 8, 77, -1]),
    ] {
        for value in values {
            let mut body = authorized();
            *body.pointer_mut(pointer).unwrap() = json!(value);
            let expect = fails(Mismatch).tokens(1);
            row.check_call(&validating(&body), Call::Validate, &expect);
        }
    }
    row.note("nobody is signed in");
    row.finish();
}

#[test]
fn r10_empty_text_for_unknown() {
    let mut row = Row::new("R10", "empty text in place of an unknown name or id");
    let nil = "00000000-0000-0000-0000-000000000000";
    for profile in [
        json!({"username": ""}),
        json!({"user_id": USER_ID, "username": ""}),
        json!({"user_id": "", "username": NAME}),
        json!({"user_id": "", "username": ""}),
        json!({"user_id": nil, "username": ""}),
    ] {
        let mut body = authorized();
        body["validate_auth_response_details"]["auth_details"]["request_details"] =
            json!({"auth_profile_details": profile});
        row.check_call(&validating(&body), Call::Validate, &served().tokens(1));
    }
    row.note("no contradiction");
    row.finish();
}

/// An API that serves sign-ins with passkeys and magic links.
fn sign_ins(request: &autharmor::HttpRequest) -> TransportResult {
    let path = request.uri().path();
    let body = if path.ends_with("/webauthn/start") {
        json!({"auth_request_id": REQUEST_ID, "aa_guid": VALIDATION, "fido2_json_options": "{}"})
    } else if path.ends_with("/finish") {
        json!({"auth_request_id": REQUEST_ID, "auth_validation_token": VALIDATION,
            "user_id": USER_ID, "username": NAME})
    } else if path.ends_with("/start") {
        json!({"auth_request_id": REQUEST_ID, "user_id": USER_ID})
    } else if path.ends_with("/validate") {
        authorized()
    } else {
        return super::fake_service::healthy(request);
    };
    respond(200, body.to_string())
}

fn sign_in_scenario() -> Scenario {
    FakeService::new(tokens, |_, request, _| sign_ins(request)).scenario()
}

fn outcome(end: &SignIn) -> Outcome {
    match end {
        SignIn::SignedIn(_) => Outcome::Served,
        _ => Outcome::NotAuthorized,
    }
}

#[test]
fn r13_question_mark_in_a_query() {
    let mut row = Row::new("R13", "`?` in a value of a bare query");
    let begin = |client: &Client| {
        let request = StartMagiclinkEmailAuth::new(NAME, URL);
        client.begin_magiclink_sign_in(&request).unwrap()
    };
    for extra in [
        "next=/cart?id=1",
        "a?b=c",
        "q=what??",
        "next=/in?auth_request_id=other",
    ] {
        for prefix in ["", "?", "https://app.example/in?", "/in?"] {
            let link = format!("auth_request_id={REQUEST_ID}&auth_validation_token={VALIDATION}");
            for query in [format!("{extra}&{link}"), format!("{link}&{extra}")] {
                let scenario = sign_in_scenario();
                let pending = begin(&scenario.client);
                let url = format!("{prefix}{query}");
                let make = move |client: &Client| Ok(outcome(&pending.complete(client, &url)?));
                row.check_other_call(&scenario, false, make, &served());
            }
        }
    }
    row.note("read as a web framework reads it");
    row.finish();
}

/// Asserts that this file of the package says something about each word.
fn is_documented(file: &str, words: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap().to_lowercase();
    for word in words {
        let word = word.to_lowercase();
        assert!(text.contains(&word), "{file} does not mention {word}");
    }
}

#[test]
fn f6_mail_scanner_opens_the_link() {
    let mut row = Row::new("F6", "a mail scanner opens the link first");
    is_documented("src/guide/web.md", &["scanner", "landing page"]);
    row.note("documented in the guide: what the user sees, and how to design the landing page");
    row.finish();
}

#[test]
fn f7_hostile_environment() {
    let mut row = Row::new("F7", "the environment is the attacker's: setuid, PAM, sudo");
    let words = [
        "setuid",
        "PAM",
        "AUTHARMOR_",
        "HTTPS_PROXY",
        "SSL_CERT_FILE",
        "from_env",
    ];
    is_documented("SECURITY.md", &words);
    row.note("documented in SECURITY.md");
    row.finish();
}
