//! Responses of the token endpoint: a token that fits into a header, or an error
//! and no call.
#![no_main]

use std::sync::LazyLock;

use autharmor::{Client, ErrorKind};
use autharmor_fuzz::{Response, Service, USERNAME, alloc, assert_no_secrets, json, split_selector};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENT: LazyLock<Client> = LazyLock::new(|| SERVICE.client());

const STATUSES: [u16; 16] = [
    200, 200, 200, 201, 204, 299, 302, 400, 401, 403, 404, 418, 429, 500, 503, 999,
];

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = split_selector(data) else {
        return;
    };
    let status = STATUSES[first % STATUSES.len()];
    let response = Response {
        status,
        ..Response::ok(body)
    };
    SERVICE.set_token_response(Some(response));
    SERVICE.respond_with([Response::ok(
        br#"{"user_id":"11111111-2222-4333-8444-555555555555"}"#,
    )]);
    CLIENT.invalidate_token();
    alloc::bounded(|| match CLIENT.check_credentials() {
        Ok(()) => {
            let header = header_of(status, body).expect("a usable token");
            let called = CLIENT.get_user(USERNAME);
            assert!(called.is_ok(), "{called:?}");
            let requests = SERVICE.requests();
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0].authorization, header.as_bytes());
        }
        Err(error) => {
            assert_no_secrets(&error, &[]);
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
            assert!(SERVICE.requests().is_empty(), "a call without a token");
        }
    });
});

/// Returns the header for the token of this response, if it is usable.
fn header_of(status: u16, body: &[u8]) -> Option<String> {
    let Value::String(token) = json::at(body, &["access_token"]) else {
        return None;
    };
    let is_bearer = match json::at(body, &["token_type"]) {
        Value::String(kind) => kind.to_ascii_lowercase() == "bearer",
        // Numbers and booleans are read as text.
        Value::Number(_) | Value::Bool(_) => false,
        _ => true,
    };
    let fits =
        (1..=7 * 1024).contains(&token.len()) && token.chars().all(|c| ('!'..='~').contains(&c));
    let is_usable = is_bearer && fits && (200..300).contains(&status);
    is_usable.then(|| format!("Bearer {token}"))
}
