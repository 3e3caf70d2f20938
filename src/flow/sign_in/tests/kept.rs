//! Pending states: stored, damaged, and completed by another client.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::flow::testing::restored;

#[test]
fn a_client_of_another_version_cannot_complete_it() {
    for (began, ends) in [
        (ApiVersion::V3, ApiVersion::V4),
        (ApiVersion::V4, ApiVersion::V3),
    ] {
        let first = serve(began, regular);
        let second = serve(ends, regular);
        let client = second.client();
        let policy = WaitPolicy::new();
        for end in [
            begin_authenticator(&first).wait(client, &policy),
            begin_authenticator(&first).complete(client),
            begin_webauthn(&first).complete(client, PAGE),
            begin_magiclink(&first).complete(client, &link()),
        ] {
            let error = assert_kind(end, ErrorKind::InvalidInput);
            assert!(!error.may_have_been_sent());
            let text = error.to_string();
            assert!(text.contains(began.as_str()) && text.contains(ends.as_str()));
        }
        assert!(second.test.seen().is_empty());
    }
}

#[test]
fn another_client_completes_a_stored_state() {
    for version in VERSIONS {
        let first = serve(version, regular);
        let second = serve(version, regular);
        let client = second.client();

        let pending = restored(begin_authenticator(&first));
        assert_ada(pending.wait(client, &WaitPolicy::new()));
        let pending = restored(begin_webauthn(&first));
        assert_ada(pending.complete(client, PAGE));
        let pending = restored(begin_magiclink(&first));
        assert_ada(pending.complete(client, &link()));

        // Everything that completion needs was stored.
        for method in ["authenticator", "webauthn"] {
            let start = first.body(&format!("{method}/start"));
            let validate = second.body(&format!("{method}/validate"));
            for field in ["nonce", "ip_address", "user_agent"] {
                assert_eq!(start[field], validate[field], "{method} {field}");
            }
        }
        assert_eq!(second.body("webauthn/finish")["aa_sig"], AA_GUID);
        assert_eq!(second.body("webauthn/finish")["webauthn_client_id"], "wc");
        assert_eq!(second.test.api_requests(), 1 + 1 + 2 + 1);
        assert_eq!(first.test.api_requests(), 3);
    }
    // The permission to ignore case was stored, too.
    let service = serve(ApiVersion::V4, regular);
    let request = StartAuthenticatorAuth::new().user(NAME.to_uppercase());
    let started = service.client().begin_authenticator_sign_in(&request);
    let pending = restored(started.unwrap().pending.ignore_username_case());
    assert_ada(pending.complete(service.client()));
}

#[test]
fn stored_states_are_small_and_print_no_secret() {
    // As long as tokens are in practice.
    let token = "t0k3n-".repeat(40);
    let body = json!({
        "auth_request_id": REQUEST,
        "user_id": ADA,
        "auth_validation_token": token,
        "qr_code_data": QR,
        "timeout_in_seconds": 300,
    });
    let service = serve_with("authenticator/start", 200, body.to_string());
    let started = service
        .client()
        .begin_authenticator_sign_in(&authenticator())
        .unwrap();
    let nonce = service.body("authenticator/start")["nonce"].clone();
    let nonce = nonce.as_str().unwrap();
    let pending = (
        started.pending.clone(),
        begin_webauthn(&service),
        begin_magiclink(&service),
    );
    for stored in [
        serde_json::to_string(&pending.0).unwrap(),
        serde_json::to_string(&pending.1).unwrap(),
        serde_json::to_string(&pending.2).unwrap(),
    ] {
        assert!(stored.len() < 700, "{} bytes", stored.len());
    }
    let nonce_of_page = service.body("webauthn/start")["nonce"].clone();
    let nonce_of_page = nonce_of_page.as_str().unwrap();
    for debug in [
        format!("{pending:?}"),
        format!("{pending:#?}"),
        format!("{started:?}"),
    ] {
        for secret in ["t0k3n", nonce, nonce_of_page, AA_GUID, NAME, IP, "s3cr3t"] {
            assert!(!debug.contains(secret), "{debug}");
        }
        assert!(debug.contains(&REQUEST.to_string()), "{debug}");
    }
}

/// Damages a stored state in many ways. A state that can still be read must not
/// cause a panic.
fn damage<T: Serialize + DeserializeOwned>(pending: &T, end: impl Fn(T) -> Result<SignIn, Error>) {
    let text = serde_json::to_string(pending).unwrap();
    let json: Json = serde_json::from_str(&text).unwrap();
    let mut readable = 0;
    let mut attempt = |damaged: &[u8]| {
        if let Ok(pending) = serde_json::from_slice::<T>(damaged) {
            let _ = end(pending);
            readable += 1;
        }
    };
    for at in 0..text.len() {
        attempt(&text.as_bytes()[..at]);
        for byte in *b"\"{}[,:\\0-n\n\xff" {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = byte;
            attempt(&damaged);
        }
    }
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("x\r\ny"),
        json!("zoë\u{0}"),
        json!([]),
        json!({}),
        json!({"username": ""}),
        json!({"user_id": Uuid::nil()}),
        json!("x".repeat(100_000)),
    ];
    for key in json.as_object().unwrap().keys() {
        let mut damaged = json.clone();
        damaged.as_object_mut().unwrap().remove(key);
        attempt(damaged.to_string().as_bytes());
        for value in &values {
            damaged[key] = value.clone();
            attempt(damaged.to_string().as_bytes());
        }
    }
    for junk in ["", "null", "[]", "{}", "7", "\"\"", "{\"v\":1}"] {
        attempt(junk.as_bytes());
    }
    assert!(readable > 100, "{readable}");
}

#[test]
fn a_damaged_state_never_panics() {
    let service = serve(ApiVersion::V4, regular);
    let client = service.client();
    damage(&begin_authenticator(&service), |pending| {
        assert!(!format!("{pending:?}").contains(TOKEN));
        pending.wait(client, &WaitPolicy::new())
    });
    damage(&begin_webauthn(&service), |pending| {
        pending.complete(client, PAGE)
    });
    damage(&begin_magiclink(&service), |pending| {
        pending.complete(client, &link())
    });
}

#[test]
fn a_state_without_its_parts_is_refused() {
    fn assert_refused<T: Serialize + DeserializeOwned>(pending: &T, fields: &[&str]) {
        let stored = serde_json::to_value(pending).unwrap();
        for field in fields {
            let mut stored = stored.clone();
            stored.as_object_mut().unwrap().remove(*field).unwrap();
            let error = serde_json::from_value::<T>(stored).err().unwrap();
            assert_eq!(error.to_string(), format!("missing field `{field}`"));
        }
    }
    let service = serve(ApiVersion::V4, regular);
    let pending = begin_authenticator(&service);
    assert_refused(&pending, &["id", "token", "nonce", "life"]);
    assert_refused(&begin_webauthn(&service), &["id", "aa_sig"]);
    assert_refused(&begin_magiclink(&service), &["id", "user"]);
}

#[test]
fn a_state_with_the_nil_uuid_sends_nothing() {
    fn with_nil<T: Serialize + DeserializeOwned>(pending: &T) -> T {
        let mut stored = serde_json::to_value(pending).unwrap();
        stored["id"] = json!(Uuid::nil());
        serde_json::from_value(stored).unwrap()
    }
    let begun = serve(ApiVersion::V4, regular);
    let service = serve(ApiVersion::V4, regular);
    let client = service.client();
    let link = format!(
        "auth_request_id={}&auth_validation_token={LINK_TOKEN}",
        Uuid::nil()
    );
    for end in [
        with_nil(&begin_authenticator(&begun)).complete(client),
        with_nil(&begin_authenticator(&begun)).wait(client, &WaitPolicy::new()),
        with_nil(&begin_webauthn(&begun)).complete(client, PAGE),
        with_nil(&begin_magiclink(&begun)).complete(client, &link),
    ] {
        assert_kind(end, ErrorKind::InvalidInput);
    }
    assert!(service.test.seen().is_empty());
}
