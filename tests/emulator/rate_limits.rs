//! Rate limits.

use std::time::Duration;

use autharmor::emulator::Emulator;

use serde_json::{Value, json};

use crate::{
    client::{Api, Connection},
    control::control,
};

const MINUTE: Duration = Duration::from_secs(60);

fn start() -> (Emulator, Api) {
    let emulator = Emulator::builder()
        .plain_http()
        .clock_at(0)
        .user("ada")
        .rate_limit("list_users", 2, MINUTE)
        .start()
        .unwrap();
    let api = Api::open(&emulator);
    (emulator, api)
}

#[test]
fn calls_beyond_the_limit_are_refused_until_the_window_ends() {
    let (emulator, mut api) = start();
    assert_eq!(api.get("/v3/users").status, 200);
    emulator.advance(Duration::from_millis(500));
    // Both versions count together.
    assert_eq!(api.get("/v4/users").status, 200);
    for wait in ["60", "50"] {
        let refused = api.get("/v3/users");
        assert_eq!(refused.status, 429);
        assert_eq!(refused.header("retry-after"), Some(wait));
        assert!(refused.body.is_empty());
        emulator.advance(Duration::from_secs(10));
    }
    // Other endpoints have no limit.
    let id = emulator.users()[0].0;
    for _ in 0..5 {
        assert_eq!(api.get(&format!("/v3/users/{id}")).status, 200);
    }
    emulator.advance(Duration::from_secs(40));
    assert_eq!(api.get("/v3/users").status, 200);
}

#[test]
fn limits_can_be_added_and_removed() {
    let (emulator, mut api) = start();
    emulator.limit_rate("*", 1, MINUTE);
    let id = emulator.users()[0].0;
    for target in ["/v3/users".to_owned(), format!("/v3/users/{id}")] {
        assert_eq!(api.get(&target).status, 200);
        assert_eq!(api.get(&target).status, 429);
    }
    emulator.clear_rate_limits();
    for _ in 0..4 {
        assert_eq!(api.get("/v3/users").status, 200);
    }
    // The builder's limit is back, and no other.
    emulator.reset();
    let id = emulator.users()[0].0;
    for status in [200, 200, 429] {
        assert_eq!(api.get("/v3/users").status, status);
        assert_eq!(api.get(&format!("/v3/users/{id}")).status, 200);
    }
    // The token endpoint has limits, too, before it looks at the client.
    emulator.limit_rate("token", 0, MINUTE);
    let mut connection = Connection::open(&emulator);
    let refused = connection.send("POST", "/connect/token", "", b"");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("60"));
}

#[test]
fn control_routes_set_and_remove_limits() {
    let (_emulator, mut api) = start();
    let body = json!({"endpoint": "get_auth_info", "calls": 0, "seconds": 60});
    control(&mut api, "POST", "rate_limits", &body);
    let info = "/v4/auth/11111111-2222-4333-8444-555555555555";
    assert_eq!(api.get(info).status, 429);
    control(
        &mut api,
        "POST",
        "rate_limits",
        &json!({"calls": 0, "seconds": 1}),
    );
    assert_eq!(api.get("/v4/users").header("retry-after"), Some("1"));
    control(&mut api, "DELETE", "rate_limits", &Value::Null);
    assert_eq!(api.get(info).status, 404);
    for body in [
        json!({"endpoint": "nonsense", "calls": 1, "seconds": 1}),
        json!({"calls": -1, "seconds": 1}),
        json!({"calls": 1}),
    ] {
        assert_eq!(api.post("/_emulator/rate_limits", &body).status, 400);
    }
}

#[test]
fn a_refused_call_has_no_effect() {
    let (emulator, mut api) = start();
    emulator.limit_rate("start_authenticator_auth", 0, MINUTE);
    let body = json!({"username": "ada"});
    assert_eq!(api.post("/v3/auth/authenticator/start", &body).status, 429);
    assert!(emulator.pending_requests().is_empty());
}
