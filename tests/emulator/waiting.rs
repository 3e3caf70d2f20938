//! Waiting for sign-ins, and deciding them automatically.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use autharmor::emulator::{Decision, Emulator, EmulatorBuilder, EmulatorError};
use serde_json::{Value, json};

use crate::{
    client::{Api, Connection, text},
    control::control,
};

const ADA: &str = "ada@example.com";
const LONG: Duration = Duration::from_secs(30);
const WAITING: i64 = 3;
const APPROVED: i64 = 4;

fn builder() -> EmulatorBuilder {
    Emulator::builder().plain_http().user(ADA)
}

fn start(builder: EmulatorBuilder) -> (Emulator, Api) {
    let emulator = builder.start().unwrap();
    let api = Api::open(&emulator);
    (emulator, api)
}

/// Starts a sign-in and returns its id.
fn sign_in(api: &mut Api) -> uuid::Uuid {
    let started = api.ok(
        "POST",
        "/v4/auth/authenticator/start",
        &json!({"username": ADA}),
    );
    text(&started, "/auth_request_id").parse().unwrap()
}

/// `auth_request_status_id` and `result_code`.
fn state(api: &mut Api, id: uuid::Uuid) -> (i64, i64) {
    let info = api.ok("GET", &format!("/v4/auth/{id}"), &Value::Null);
    let result = &info["auth_response"]["result_code"];
    (
        info["auth_request_status_id"].as_i64().unwrap(),
        result.as_i64().unwrap(),
    )
}

#[test]
fn the_oldest_sign_in_on_a_phone_is_returned_until_it_is_decided() {
    let (emulator, mut api) = start(builder());
    let none = emulator.wait_for_request(Duration::from_millis(1));
    assert_eq!(none.unwrap_err(), EmulatorError::NoRequest);
    let body = json!({"username": ADA, "auth_redirect_url": "https://app.example/in"});
    api.ok("POST", "/v4/auth/magiclink_email/start", &body);
    let (first, second) = (sign_in(&mut api), sign_in(&mut api));
    let next = || emulator.wait_for_request(LONG).unwrap().auth_request_id;
    assert_eq!((next(), next()), (first, first));
    emulator.approve(first).unwrap();
    assert_eq!(next(), second);
    emulator.advance(Duration::from_secs(61));
    assert_eq!(
        emulator.wait_for_request(Duration::ZERO).unwrap_err(),
        EmulatorError::NoRequest
    );
}

#[test]
fn waiting_ends_when_a_sign_in_starts() {
    let (emulator, mut api) = start(builder());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| emulator.wait_for_request(LONG));
        let over_http = scope.spawn(|| {
            let mut api = Api::with(Connection::open(&emulator), String::new());
            control(&mut api, "POST", "requests/wait", &json!({"seconds": 30}))
        });
        let id = sign_in(&mut api);
        let request = waiting.join().unwrap().unwrap();
        assert_eq!(request.auth_request_id, id);
        let request = over_http.join().unwrap();
        assert_eq!(text(&request, "/request/auth_request_id"), id.to_string());
        assert_eq!(text(&request, "/request/username"), ADA);
    });
}

#[test]
fn waiting_over_http_ends_with_the_emulator() {
    let (emulator, api) = start(builder());
    let mut connection = Connection::open(&emulator);
    let body = json!({"seconds": 3600}).to_string();
    let head = format!(
        "POST /_emulator/requests/wait HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write(head.as_bytes()).unwrap();
    let begin = Instant::now();
    drop((emulator, api));
    assert!(begin.elapsed() < Duration::from_secs(5), "dropping waits");
}

#[test]
fn a_function_decides_sign_ins_before_their_response() {
    let (emulator, mut api) = start(builder());
    emulator.add_user("bob").unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    for (decision, expected) in [
        (Decision::Approve, (APPROVED, 8)),
        (Decision::Decline, (2, 3)),
        (Decision::Ignore, (WAITING, 1)),
    ] {
        let names = Arc::clone(&seen);
        emulator.on_sign_in(move |request| {
            let mut names = names.lock().unwrap();
            names.push(request.username.clone().unwrap());
            decision
        });
        let id = sign_in(&mut api);
        assert_eq!(state(&mut api, id), expected);
        // A sign-in without a user is decided when a user scans its code.
        let started = api.ok("POST", "/v4/auth/authenticator/start", &json!({}));
        let id = text(&started, "/auth_request_id").parse().unwrap();
        assert_eq!(state(&mut api, id).0, WAITING);
        let code = text(&started, "/qr_code_data");
        emulator.scan_qr(code, Some("bob")).unwrap();
        assert_eq!(state(&mut api, id), expected);
    }
    assert_eq!(*seen.lock().unwrap(), [ADA, "bob"].repeat(3));
    emulator.on_sign_in(|_| Decision::Approve);
    emulator.reset();
    let id = sign_in(&mut api);
    assert_eq!(state(&mut api, id).0, WAITING);
}

#[test]
fn sign_ins_are_approved_after_a_delay() {
    let delay = Duration::from_secs(10);
    let (emulator, mut api) = start(builder().clock_at(1_600_000_000).approve_after(delay));
    for _ in 0..2 {
        let (id, declined) = (sign_in(&mut api), sign_in(&mut api));
        emulator.advance(Duration::from_secs(9));
        assert_eq!(state(&mut api, id).0, WAITING);
        emulator.decline(declined).unwrap();
        emulator.advance(Duration::from_secs(1));
        assert_eq!(state(&mut api, id), (APPROVED, 8));
        assert_eq!(state(&mut api, declined), (2, 3));
        // The delay is a setting of the builder.
        emulator.reset();
    }
    // A delayed look finds it approved in time, and the validation too late.
    let id = sign_in(&mut api);
    emulator.advance(Duration::from_secs(10 + 60));
    assert_eq!(state(&mut api, id), (2, 9));
    // It had timed out before.
    let body = json!({"username": ADA, "timeout_in_seconds": 15});
    control(
        &mut api,
        "POST",
        "requests/automatic",
        &json!({"decision": "approve", "seconds": 20}),
    );
    let started = api.ok("POST", "/v4/auth/authenticator/start", &body);
    emulator.advance(Duration::from_secs(20));
    let id = text(&started, "/auth_request_id").parse().unwrap();
    assert_eq!(state(&mut api, id), (2, 5));
}

#[test]
fn sign_ins_are_decided_automatically_over_http() {
    let (_emulator, mut api) = start(builder());
    for (decision, expected) in [
        ("approve", (APPROVED, 8)),
        ("decline", (2, 3)),
        ("ignore", (WAITING, 1)),
    ] {
        let body = json!({ "decision": decision });
        control(&mut api, "POST", "requests/automatic", &body);
        let id = sign_in(&mut api);
        assert_eq!(state(&mut api, id), expected);
    }
}

#[test]
fn a_reset_keeps_tokens_for_the_time_they_had_left() {
    let (emulator, mut api) = start(builder().clock_at(1_600_000_000));
    let expired = api.token.clone();
    emulator.advance(Duration::from_secs(400));
    api.token = crate::client::token(&mut api.connection, &emulator);
    emulator.advance(Duration::from_secs(200));
    emulator.reset();
    assert_eq!(api.get("/v4/users").status, 200);
    emulator.advance(Duration::from_secs(399));
    assert_eq!(api.get("/v4/users").status, 200);
    emulator.advance(Duration::from_secs(1));
    assert_eq!(api.get("/v4/users").status, 401);
    api.token = expired;
    assert_eq!(api.get("/v4/users").status, 401);

    api.token = crate::client::token(&mut api.connection, &emulator);
    emulator.reset();
    emulator.expire_tokens();
    assert_eq!(api.get("/v4/users").status, 401);
}
