//! Responses of finish and validate calls: nobody signs in unless an independent
//! and simpler reader of the same bytes agrees.
#![no_main]

use std::sync::LazyLock;

use autharmor::Client;
use autharmor::flow::{
    BrowserSignIn, ExpectedUser, Method, PendingAuthenticator, PendingMagiclink, PendingWebauthn,
    SignIn, SignedInUser,
};
use autharmor_fuzz::{
    NONCE, REQUEST, Response, SIGNATURE, Service, USER, USERNAME, VALIDATION_TOKEN, alloc,
    assert_absent, assert_no_secrets, debug, json, split_selector,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use uuid::Uuid;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| SERVICE.clients());

/// The bits of the first byte.
struct Case {
    method: usize,
    by_id: bool,
    ignore_case: bool,
    has_nonce: bool,
    v4: bool,
    started_for: bool,
    anyone: bool,
}

impl Case {
    fn of(bits: usize) -> Self {
        let bit = |number: usize| bits >> number & 1 == 1;
        let method = bits & 3;
        Self {
            method,
            by_id: bit(2),
            ignore_case: bit(3),
            // The authenticator always has a nonce.
            has_nonce: bit(4) || method == 0,
            v4: bit(5),
            // Only these two methods have an id in the start response.
            started_for: bit(6) && matches!(method, 0 | 2),
            // A magic link always has a user.
            anyone: bit(7) && method != 2,
        }
    }

    fn user(&self) -> Value {
        match () {
            () if self.anyone => Value::Null,
            () if self.by_id => json!({"user_id": USER}),
            () => json!({"username": USERNAME}),
        }
    }

    fn state(&self) -> String {
        let flow = [
            "authenticator_sign_in",
            "webauthn_sign_in",
            "magiclink_sign_in",
            "",
        ];
        json!({
            "v": 1,
            "api": if self.v4 { "v4" } else { "v3" },
            "flow": flow[self.method],
            "id": REQUEST,
            "user": self.user(),
            "user_id": self.started_for.then_some(USER),
            "ignore_case": self.ignore_case,
            "token": VALIDATION_TOKEN,
            "aa_sig": SIGNATURE,
            "nonce": self.has_nonce.then_some(NONCE),
            "life": 60,
        })
        .to_string()
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((bits, body)) = split_selector(data) else {
        return;
    };
    let case = Case::of(bits);
    let client = &CLIENTS[usize::from(case.v4)];
    let state = case.state();
    let mut validated = body;
    let mut finished = None;
    SERVICE.respond_with([Response::ok(body)]);
    alloc::bounded(|| {
        let end = match case.method {
            0 => read::<PendingAuthenticator>(&state).complete(client),
            1 => {
                // The finish response, a zero byte, the validate response.
                let mut parts = body.splitn(2, |byte| *byte == 0);
                let finish = parts.next().unwrap_or_default();
                validated = parts.next().unwrap_or_default();
                finished = Some(finish);
                SERVICE.respond_with([Response::ok(finish), Response::ok(validated)]);
                read::<PendingWebauthn>(&state).complete(client, PAGE)
            }
            2 => {
                let link = format!(
                    "https://app.example/?auth_request_id={REQUEST}&auth_validation_token={VALIDATION_TOKEN}"
                );
                read::<PendingMagiclink>(&state).complete(client, &link)
            }
            _ => {
                let user = match () {
                    () if case.anyone => ExpectedUser::Anyone,
                    () if case.by_id => ExpectedUser::Is(USER.into()),
                    () => ExpectedUser::Is(USERNAME.into()),
                };
                let mut page =
                    BrowserSignIn::new(Method::Authenticator, REQUEST, VALIDATION_TOKEN, user);
                if case.has_nonce {
                    page = page.nonce(NONCE);
                }
                if case.ignore_case {
                    page = page.ignore_username_case();
                }
                client.complete_browser_sign_in(&page)
            }
        };
        match end {
            Ok(SignIn::SignedIn(user)) => {
                assert_allowed(&case, &user, validated, finished);
                // `Debug` shows context data, dates and methods, which may be
                // any text.
                let is_bare = user.context_data().is_empty()
                    && user.signed_in_at().is_none()
                    && user.method().is_none()
                    && user.use_type().is_none();
                if is_bare {
                    let hidden = [VALIDATION_TOKEN, NONCE, SIGNATURE, USERNAME];
                    assert_absent(&debug(&user), &hidden);
                }
            }
            Ok(_) => {}
            Err(error) => assert_no_secrets(&error, &[]),
        }
    });
});

fn read<T: serde::de::DeserializeOwned>(state: &str) -> T {
    serde_json::from_str(state).expect("a state of ours")
}

/// A passkey's page. The client data is `{"type":"webauthn.get"}`.
const PAGE: &str =
    r#"{"id":"AQID","attestation_object":"BwgJ","client_data":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0"}"#;

fn assert_allowed(case: &Case, user: &SignedInUser, body: &[u8], finished: Option<&[u8]>) {
    const DETAILS: &str = "validate_auth_response_details";
    let details = |path: &[&str]| json::at(body, &[&[DETAILS], path].concat());
    let response = |path: &[&str]| details(&[&["auth_details", "response_details"], path].concat());

    assert_eq!(details(&["authorized"]), Value::Bool(true));
    // 2 is "completed" and "success".
    for number in [
        json::at(body, &["auth_request_status_id"]),
        details(&["result_code"]),
    ] {
        let number = number
            .as_f64()
            .or_else(|| number.as_str().and_then(|text| text.trim().parse().ok()));
        assert!(number.is_none_or(|number| number == 2.0), "{number:?}");
    }

    let id = uuid(&response(&["auth_profile_details", "user_id"])).expect("nobody's id");
    assert!(!id.is_nil());
    assert_eq!(user.user_id(), id);
    let name = response(&["auth_profile_details", "username"]);
    let name = name.as_str().filter(|name| !name.is_empty());
    assert_eq!(user.username(), name);
    assert_eq!(user.auth_request_id(), REQUEST);

    // It is the expected user.
    if case.started_for || case.by_id && !case.anyone {
        assert_eq!(id, USER);
    } else if !case.anyone {
        assert!(same(case, name.expect("no name"), USERNAME));
    }
    if let Some(finished) = finished {
        let about = uuid(&json::at(finished, &["auth_request_id"]));
        assert!(about.is_none_or(|about| about == REQUEST));
        let by = uuid(&json::at(finished, &["user_id"])).filter(|by| !by.is_nil());
        assert!(by.is_none_or(|by| by == id));
        let token = json::at(finished, &["auth_validation_token"]);
        assert!(!token.as_str().unwrap_or_default().is_empty());
    }

    // The request part names nobody else.
    let asked = |field| {
        details(&[
            "auth_details",
            "request_details",
            "auth_profile_details",
            field,
        ])
    };
    let asked_id = uuid(&asked("user_id")).filter(|asked| !asked.is_nil());
    assert!(asked_id.is_none_or(|asked| asked == id));
    if let (Some(asked), Some(name)) = (asked("username").as_str(), name) {
        assert!(asked.is_empty() || same(case, asked, name));
    }

    // The message that the device signed, if it can be decoded.
    let signed = response(&["secure_signed_message", "signed_data"]);
    let signed = signed.as_str().and_then(base64).unwrap_or_default();
    let Ok(signed) = serde_json::from_slice::<Value>(&signed) else {
        return;
    };
    if signed.get("message_data").is_some() || signed.get("signing_data").is_some() {
        let about = &signed["message_data"]["auth_request_id"];
        assert!(about.is_null() || uuid(about) == Some(REQUEST));
        if case.has_nonce && case.method != 2 {
            assert_eq!(signed["signing_data"]["nonce"], NONCE);
        }
    }
}

fn uuid(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}

fn same(case: &Case, a: &str, b: &str) -> bool {
    a == b || case.ignore_case && a.to_ascii_lowercase() == b.to_ascii_lowercase()
}

/// Padded or not; `None` if it is not quite base64.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for c in text.trim().trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // Left-over bits, or padding that is not what it should be.
    let (all, bare) = (text.trim(), text.trim().trim_end_matches('='));
    let is_padded = all.len() == bare.len() || all.len() == bare.len().next_multiple_of(4);
    (bits == 0 && held < 6 && is_padded).then_some(bytes)
}
