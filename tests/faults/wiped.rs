//! Freed memory holds no secret. The allocator of this test program looks into
//! blocks as they are freed.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use autharmor::auth::{FinishWebauthnAuth, StartAuthenticatorAuth, ValidateAuth};
use autharmor::registrations::{
    StartWebauthnRegistration, StartWebauthnRegistrationResponse, ValidateRegistration,
};
use autharmor::{Client, HttpRequest, Limits, Secret};

use super::calls::{Call, ID, Outcome, REQUEST_ID, token_body};
use super::expect::served;
use super::fake_service::{FakeService, respond, tokens};
use super::harness::Row;
use super::secrets::{NAME, SECRET, TOKEN, VALIDATION};

/// Searches the blocks that a thread frees while its search is on.
struct SearchingAllocator;

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static NEEDLE: Cell<&'static str> = const { Cell::new("") };
    static FOUND: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: All calls go to the system's allocator. A block is only read, within
// its layout, before it is freed.
#[expect(unsafe_code, reason = "there is no safe way to see freed memory")]
unsafe impl GlobalAlloc for SearchingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that every byte may be read when the block is freed.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if IS_ON.try_with(Cell::get).unwrap_or(false) {
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            let needle = NEEDLE.get().as_bytes();
            if bytes.windows(needle.len()).any(|window| window == needle) {
                FOUND.set(FOUND.get() + 1);
            }
        }
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: SearchingAllocator = SearchingAllocator;

/// Returns how many freed blocks held the needle.
fn search<T>(needle: &'static str, run: impl FnOnce() -> T) -> (T, usize) {
    NEEDLE.set(needle);
    FOUND.set(0);
    IS_ON.set(true);
    let result = run();
    IS_ON.set(false);
    (result, FOUND.get())
}

#[test]
fn freed_tokens_are_found() {
    let ((), found) = search(VALIDATION, || drop(VALIDATION.to_owned()));
    assert_eq!(found, 1);
    let ((), found) = search(VALIDATION, || drop("x".repeat(100)));
    assert_eq!(found, 0);
}

/// From the client to the last response: id and secret, the access token, the
/// tokens in responses and requests, and all bodies.
#[test]
fn no_secret_is_left_when_the_last_owner_drops_it() {
    let token: &str = token_body(7, "600").leak();
    let started: &str = Call::Start.body().leak();
    let validated: &str = Call::Validate.body().leak();
    let registered: &str =
        format!(r#"{{"registration_id":"{REQUEST_ID}","aa_sig":"{VALIDATION}","error":null}}"#)
            .leak();
    let transport = move |request: HttpRequest, _: Limits| {
        let body = match request.uri().path() {
            "/connect/token" => token,
            path if path.contains("register") => registered,
            path if path.contains("validate") => validated,
            _ => started,
        };
        Ok(http::Response::new(body.as_bytes().to_vec()).into())
    };
    for needle in ["f4ult-s3cr3t", TOKEN, VALIDATION] {
        assert!(
            [SECRET, token, started]
                .iter()
                .any(|it| it.contains(needle))
        );
        let ((), found) = search(needle, || {
            let client = Client::builder(ID, SECRET).transport(transport);
            let client = client.build().unwrap();
            let started = client.start_authenticator_auth(&StartAuthenticatorAuth::new());
            let secret = started.unwrap().auth_validation_token.unwrap();
            let request = ValidateAuth::new(REQUEST_ID, secret);
            client.validate_authenticator_auth(&request).unwrap();
            let request = StartWebauthnRegistration::new(NAME);
            let registered = client.start_webauthn_registration(&request).unwrap();
            assert!(registered.aa_sig.is_some());
        });
        assert_eq!(found, 0, "freed blocks with {needle}");
    }
}

#[test]
fn an_escaped_token_is_left_only_where_serde_puts_it() {
    let escaped = VALIDATION.replace('f', r"\u0066");
    let token = format!(r#""{escaped}""#);
    let (token, by_serde) = search(VALIDATION, || serde_json::from_str::<Secret>(&token));
    let response = format!(r#"{{"registration_id":"{REQUEST_ID}","aa_sig":"{escaped}"}}"#);
    let (response, found) = search(VALIDATION, || {
        serde_json::from_str::<StartWebauthnRegistrationResponse>(&response)
    });
    assert_eq!(response.unwrap().aa_sig, Some(token.unwrap()));
    assert_eq!(found, by_serde);
}

#[test]
fn secrets_are_wiped_when_they_are_dropped() {
    // What was behind the end of the text is wiped as well.
    let mut cleared = VALIDATION.to_owned();
    cleared.clear();
    for secret in [VALIDATION.into(), Secret::from(cleared)] {
        let (copy, found) = search(VALIDATION, || secret.clone());
        assert_eq!((found, copy == secret), (0, true));
        let ((), found) = search(VALIDATION, || drop((secret, copy)));
        assert_eq!(found, 0);
    }
}

#[test]
fn r8_request_bodies_are_wiped() {
    type Make = fn(&Client, &str) -> Result<Outcome, autharmor::Error>;
    let makes: [Make; 3] = [
        |client, token| {
            let request = ValidateAuth::new(REQUEST_ID, token);
            search_call(|| client.validate_authenticator_auth(&request))
        },
        |client, token| {
            let request = FinishWebauthnAuth::new(REQUEST_ID, token, "{}");
            search_call(|| client.finish_webauthn_auth(&request))
        },
        |client, token| {
            let request = ValidateRegistration::new(token);
            search_call(|| client.validate_webauthn_registration(REQUEST_ID, &request))
        },
    ];
    let mut row = Row::new("R8", "a request body outgrows its first buffer");
    for make in makes {
        // Shorter and longer than any buffer; with quotes it grows by escapes.
        let lengths = [0, 100, 400, 500, 600, 1_000, 5_000, 100_000];
        let padded = lengths.map(|length| "x".repeat(length) + VALIDATION);
        let repeated = [50, 5_000].map(|times| VALIDATION.repeat(times));
        let quotes = format!("{VALIDATION}{}", "\"".repeat(5_000));
        for token in padded.into_iter().chain(repeated).chain([quotes]) {
            let service = FakeService::new(tokens, |_, request, _| {
                let path = request.uri().path();
                respond(
                    200,
                    if path.contains("registration") {
                        "{}".to_owned()
                    } else if path.contains("finish") {
                        format!(r#"{{"auth_request_id":"{REQUEST_ID}"}}"#)
                    } else {
                        Call::Validate.body().replace(VALIDATION, "")
                    },
                )
            });
            let make = move |client: &Client| make(client, &token);
            row.check_other_call(&service.scenario(), false, make, &served().tokens(1));
        }
    }
    row.note("no freed memory holds the token");
    row.finish();
}

fn search_call<T>(
    call: impl FnOnce() -> Result<T, autharmor::Error>,
) -> Result<Outcome, autharmor::Error> {
    let (result, found) = search(VALIDATION, call);
    assert_eq!(found, 0, "R8: freed blocks with the token");
    result.map(|_| Outcome::Served)
}
