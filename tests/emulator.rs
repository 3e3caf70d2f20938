//! The emulator, seen by clients that do not know it.
#![cfg(feature = "emulator")]

#[path = "emulator/wire.rs"]
mod wire;

use autharmor::emulator::Emulator;
use serde_json::{Value, json};

use crate::wire::{Api, text};

#[test]
fn an_authenticator_sign_in_over_tls() {
    let emulator = Emulator::builder().user("ada@example.com").start().unwrap();
    let mut api = Api::open(&emulator);
    let started = api.ok(
        "POST",
        "/v3/auth/authenticator/start",
        &json!({"username": "ada@example.com", "send_push": true, "nonce": "n"}),
    );
    let id = text(&started, "/auth_request_id").to_owned();
    let info = api.ok("GET", &format!("/v3/auth/{id}"), &Value::Null);
    assert_eq!(info["auth_request_status_id"], 3);
    emulator.approve(id.parse().unwrap()).unwrap();
    let info = api.ok("GET", &format!("/v3/auth/{id}"), &Value::Null);
    assert_eq!(info["auth_request_status_id"], 4);
    let body = json!({
        "auth_request_id": id,
        "auth_validation_token": started["auth_validation_token"],
        "nonce": "n",
    });
    let validated = api.ok("POST", "/v3/auth/authenticator/validate", &body);
    assert_eq!(
        validated["validate_auth_response_details"]["authorized"],
        true
    );
    assert_eq!(
        api.post("/v3/auth/authenticator/validate", &body).status,
        403
    );
}
