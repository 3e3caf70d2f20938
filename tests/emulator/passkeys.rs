//! User verification of passkeys.

use autharmor::emulator::Emulator;
use serde_json::{Value, json};

use crate::client::{Api, text};

fn start() -> (Emulator, Api) {
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let api = Api::open(&emulator);
    (emulator, api)
}

/// Options whose user verification is replaced, as by an authenticator that
/// cannot do, or always does, what the page requests.
fn with_verification(options: &str, requirement: Option<&str>) -> String {
    let mut options: Value = serde_json::from_str(options).unwrap();
    if let Some(requirement) = requirement {
        if options.get("authenticatorSelection").is_some() {
            options["authenticatorSelection"]["userVerification"] = json!(requirement);
        } else {
            options["userVerification"] = json!(requirement);
        }
    }
    options.to_string()
}

/// Registers a passkey for the new user `bob` and returns the status and body of
/// finish.
fn register(
    emulator: &Emulator,
    api: &mut Api,
    requirement: &str,
    acts: Option<&str>,
) -> (u16, Value) {
    let body = json!({"username": "bob", "user_verification_requirement_type": requirement});
    let base = "/v4/users/registrations/webauthn";
    let started = api.ok("POST", &format!("{base}/start"), &body);
    let options = text(&started, "/fido2_json_options");
    let parsed: Value = serde_json::from_str(options).unwrap();
    assert_eq!(
        parsed["authenticatorSelection"]["userVerification"],
        requirement
    );
    let options = with_verification(options, acts);
    let made = emulator
        .create_passkey(&options, emulator.origin())
        .unwrap();
    let body = json!({
        "aa_sig": started["aa_sig"],
        "authenticator_response_data": serde_json::from_str::<Value>(&made).unwrap(),
    });
    let id = text(&started, "/registration_id");
    let finished = api.post(&format!("{base}/{id}/finish"), &body);
    if finished.status == 200 {
        let token = finished.json()["registration_validation_token"].clone();
        let validate = format!("/v4/users/registrations/webauthn/{id}/validate");
        api.ok(
            "POST",
            &validate,
            &json!({"registration_validation_token": token}),
        );
    }
    (finished.status, finished.json())
}

/// Signs in with a passkey. Returns the requirement of the options, and the
/// status and body of finish.
fn sign_in(
    emulator: &Emulator,
    api: &mut Api,
    username: Option<&str>,
    acts: Option<&str>,
    key: Option<&str>,
) -> (String, u16, Value) {
    let body = json!({"username": username});
    let started = api.ok("POST", "/v4/auth/webauthn/start", &body);
    let options = text(&started, "/fido2_json_options");
    let parsed: Value = serde_json::from_str(options).unwrap();
    let requirement = text(&parsed, "/userVerification").to_owned();
    let options = with_verification(options, acts);
    let mut options: Value = serde_json::from_str(&options).unwrap();
    if let Some(key) = key {
        options["allowCredentials"] = json!([{"id": key, "type": "public-key"}]);
    }
    let used = emulator
        .use_passkey(&options.to_string(), emulator.origin())
        .unwrap();
    let body = json!({
        "auth_request_id": started["auth_request_id"], "aa_sig": started["aa_guid"],
        "authenticator_response_data": used,
    });
    let finished = api.post("/v4/auth/webauthn/finish", &body);
    (requirement, finished.status, finished.json())
}

const NOT_VERIFIED: &str = "passkey: the user was not verified";

#[test]
fn a_passkey_without_verification_signs_in_if_it_was_registered_so() {
    for requirement in ["discouraged", "preferred"] {
        let (emulator, mut api) = start();
        let without = Some("discouraged");
        let (status, _) = register(&emulator, &mut api, requirement, without);
        assert_eq!(status, 200, "{requirement}");
        let (asked, status, body) = sign_in(&emulator, &mut api, Some("bob"), without, None);
        assert_eq!((asked.as_str(), status), (requirement, 200), "{body}");
        // A key that verifies the user anyway is as good.
        let (_, status, _) = sign_in(&emulator, &mut api, Some("bob"), Some("required"), None);
        assert_eq!(status, 200);
        // The emulator's own browser does what the options say.
        let (_, status, _) = sign_in(&emulator, &mut api, Some("bob"), None, None);
        assert_eq!(status, 200);
        let (asked, status, _) = sign_in(&emulator, &mut api, None, without, None);
        assert_eq!((asked.as_str(), status), ("preferred", 200));
    }
}

#[test]
fn a_passkey_that_was_registered_with_verification_needs_it() {
    let (emulator, mut api) = start();
    let without = Some("discouraged");
    let (status, body) = register(&emulator, &mut api, "required", without);
    assert_eq!((status, text(&body, "/error_message")), (400, NOT_VERIFIED));
    let (status, _) = register(&emulator, &mut api, "required", None);
    assert_eq!(status, 200);
    let (asked, status, body) = sign_in(&emulator, &mut api, Some("bob"), without, None);
    assert_eq!((asked.as_str(), status), ("required", 400));
    assert_eq!(text(&body, "/error_message"), NOT_VERIFIED);
    let (_, status, _) = sign_in(&emulator, &mut api, Some("bob"), None, None);
    assert_eq!(status, 200);
    // Without a user the options only prefer it; the key still needs it.
    let (asked, status, body) = sign_in(&emulator, &mut api, None, without, None);
    assert_eq!((asked.as_str(), status), ("preferred", 400));
    assert_eq!(text(&body, "/error_message"), NOT_VERIFIED);
}

#[test]
fn each_passkey_of_a_user_follows_its_own_registration() {
    let (emulator, mut api) = start();
    let without = Some("discouraged");
    register(&emulator, &mut api, "required", None);
    let bob = emulator.users()[0].0.to_string();
    // The browser has the first passkey already, so that the list of excluded
    // ones has to be left out for a second.
    let base = format!("/v4/users/{bob}/registrations/webauthn");
    let body = json!({"user_verification_requirement_type": "discouraged"});
    let started = api.ok("POST", &format!("{base}/start"), &body);
    let options = text(&started, "/fido2_json_options");
    let mut options: Value = serde_json::from_str(options).unwrap();
    let first = text(&options, "/excludeCredentials/0/id").to_owned();
    options["excludeCredentials"] = json!([]);
    let made = emulator
        .create_passkey(&options.to_string(), emulator.origin())
        .unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    let second = text(&made, "/id").to_owned();
    let body = json!({"aa_sig": started["aa_sig"], "authenticator_response_data": made});
    let id = text(&started, "/registration_id");
    let finished = api.ok("POST", &format!("{base}/{id}/finish"), &body);
    let token = finished["registration_validation_token"].clone();
    api.ok(
        "POST",
        &format!("/v4/users/registrations/webauthn/{id}/validate"),
        &json!({"registration_validation_token": token}),
    );
    for (key, acts, expected) in [
        (&first, without, 400),
        (&first, None, 200),
        (&second, without, 200),
        (&second, None, 200),
    ] {
        let (asked, status, _) = sign_in(&emulator, &mut api, Some("bob"), acts, Some(key));
        assert_eq!((asked.as_str(), status), ("preferred", expected));
    }
}
