//! Whatever the token endpoint answers: a token that fits a header, or an
//! error and not one call.
#![no_main]

use std::sync::LazyLock;

use autharmor::{Client, ErrorKind};
use autharmor_fuzz::{Answer, Service, USERNAME, alloc, assert_discreet, json, pick};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENT: LazyLock<Client> = LazyLock::new(|| SERVICE.client());

const STATUSES: [u16; 16] = [
    200, 200, 200, 201, 204, 299, 302, 400, 401, 403, 404, 418, 429, 500, 503, 999,
];

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = pick(data) else {
        return;
    };
    let status = STATUSES[first % STATUSES.len()];
    let answer = Answer {
        status,
        ..Answer::ok(body)
    };
    SERVICE.token_answer(Some(answer));
    SERVICE.answers([Answer::ok(
        br#"{"user_id":"11111111-2222-4333-8444-555555555555"}"#,
    )]);
    CLIENT.invalidate_token();
    alloc::bounded(|| match CLIENT.check_credentials() {
        Ok(()) => {
            let header = usable(status, body).expect("a token that nobody can use");
            let called = CLIENT.get_user(USERNAME);
            assert!(called.is_ok(), "{called:?}");
            let seen = SERVICE.seen();
            assert_eq!(seen.len(), 1);
            assert_eq!(seen[0].authorization, header.as_bytes());
        }
        Err(error) => {
            assert_discreet(&error, &[]);
            assert!(!error.may_have_been_sent());
            match error.kind() {
                ErrorKind::Decode => assert!((200..300).contains(&status)),
                ErrorKind::Auth
                | ErrorKind::Api
                | ErrorKind::RateLimited
                | ErrorKind::Unavailable
                | ErrorKind::Protocol => assert_eq!(error.status(), Some(status)),
                other => panic!("{other:?}"),
            }
            assert!(CLIENT.get_user(USERNAME).is_err());
            assert!(SERVICE.seen().is_empty(), "a call without a token");
        }
    });
});

/// The header that such a token makes.
fn usable(status: u16, body: &[u8]) -> Option<String> {
    let Value::String(token) = json::at(body, &["access_token"]) else {
        return None;
    };
    let is_bearer = match json::at(body, &["token_type"]) {
        Value::String(kind) => kind.to_ascii_lowercase() == "bearer",
        // Numbers and bools are kinds as well, of which none is this one.
        Value::Number(_) | Value::Bool(_) => false,
        _ => true,
    };
    let fits =
        (1..=7 * 1024).contains(&token.len()) && token.chars().all(|c| ('!'..='~').contains(&c));
    let good = is_bearer && fits && (200..300).contains(&status);
    good.then(|| format!("Bearer {token}"))
}
