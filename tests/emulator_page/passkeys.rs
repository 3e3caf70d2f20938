//! Passkeys of the browser, with a virtual authenticator. The page sends what the
//! vendor's page helper sends, and the backend passes it on unchanged.

use autharmor::emulator::Emulator;
use autharmor_test_support::browser::{Browser, serve_empty_page};
use serde_json::{Value, json};

use crate::backend::Backend;

/// Registers or signs in with the options of the service and returns the JSON of
/// the vendor's page helper.
const PAGE_HELPER: &str = r#"
    const [kind, text, done] = arguments;
    const bytes = (text) => Uint8Array.from(
        atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const encoded = (buffer) => buffer && btoa(String.fromCharCode(...new Uint8Array(buffer)))
        .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const publicKey = JSON.parse(text);
    publicKey.challenge = bytes(publicKey.challenge);
    if (publicKey.user) publicKey.user.id = bytes(publicKey.user.id);
    for (const list of ["allowCredentials", "excludeCredentials"]) {
        publicKey[list]?.forEach((credential) => { credential.id = bytes(credential.id); });
    }
    const made = navigator.credentials[kind]({ publicKey });
    made.then((credential) => done(JSON.stringify({
        id: credential.id,
        rawId: encoded(credential.rawId),
        attestation_object: encoded(
            credential.response.attestationObject ?? credential.response.authenticatorData),
        authenticator_data: encoded(credential.response.authenticatorData) ?? null,
        client_data: encoded(credential.response.clientDataJSON),
        user_handle: encoded(credential.response.userHandle) ?? null,
        extensions: credential.getClientExtensionResults(),
        signature: encoded(credential.response.signature) ?? null,
    })), (error) => done("FAILED: " + error));
"#;

/// Returns what the page sends to its backend.
pub(crate) fn page(browser: &Browser, kind: &str, options: &str) -> String {
    let made = browser.run_async(PAGE_HELPER, &[kind, options]);
    let made = made.as_str().unwrap().to_owned();
    assert!(!made.starts_with("FAILED"), "{made} {options}");
    made
}

fn register_and_sign_in(verifies_user: bool) {
    let origin = format!("http://localhost:{}", serve_empty_page());
    let browser = Browser::open();
    browser.visit(&origin);
    browser.add_authenticator(verifies_user);
    for tolerant in [false, true] {
        let builder = Emulator::builder().plain_http().tolerant(tolerant);
        let backend = Backend::of(builder.website(&origin, "localhost"));
        let user = register(&backend, &browser, verifies_user);
        // By name, and with any passkey that the browser offers. Without user
        // verification Chromium offers none, whatever the options say.
        let names: &[_] = if verifies_user {
            &[Some("ada"), None]
        } else {
            &[Some("ada")]
        };
        for &name in names {
            let details = sign_in(&backend, &browser, name);
            assert_eq!(details["authorized"], true, "{details}");
            assert_eq!(
                details["auth_details"]["response_details"]["auth_profile_details"]["user_id"],
                json!(user)
            );
        }
    }
}

/// Registers a passkey and returns the id of its user.
fn register(backend: &Backend, browser: &Browser, verifies_user: bool) -> String {
    let requirement = if verifies_user {
        "required"
    } else {
        "discouraged"
    };
    let base = "/v4/users/registrations/webauthn";
    let body = json!({"username": "ada", "user_verification_requirement_type": requirement});
    let started = backend.post(&format!("{base}/start"), &body);
    let options = started["fido2_json_options"].as_str().unwrap();
    let made: Value = serde_json::from_str(&page(browser, "create", options)).unwrap();
    let id = started["registration_id"].as_str().unwrap();
    let body = json!({"aa_sig": started["aa_sig"], "authenticator_response_data": made});
    let finished = backend.post(&format!("{base}/{id}/finish"), &body);
    let token = "registration_validation_token";
    let body = json!({ token: finished[token] });
    backend.post(&format!("{base}/{id}/validate"), &body);
    let users = backend.emulator.users();
    assert_eq!(users[0].1, "ada");
    users[0].0.to_string()
}

/// Signs in and returns the details of the validate response.
fn sign_in(backend: &Backend, browser: &Browser, name: Option<&str>) -> Value {
    let base = "/v4/auth/webauthn";
    let started = backend.post(&format!("{base}/start"), &json!({ "username": name }));
    let options = started["fido2_json_options"].as_str().unwrap();
    let used = page(browser, "get", options);
    let body = json!({
        "auth_request_id": started["auth_request_id"],
        "aa_sig": started["aa_guid"],
        "authenticator_response_data": used,
    });
    let finished = backend.post(&format!("{base}/finish"), &body);
    let body = json!({
        "auth_request_id": finished["auth_request_id"],
        "auth_validation_token": finished["auth_validation_token"],
    });
    let validated = backend.post(&format!("{base}/validate"), &body);
    validated["validate_auth_response_details"].clone()
}

pub(crate) fn the_browsers_passkey_registers_and_signs_in() {
    register_and_sign_in(true);
}

pub(crate) fn a_passkey_without_user_verification_registers_and_signs_in() {
    register_and_sign_in(false);
}
