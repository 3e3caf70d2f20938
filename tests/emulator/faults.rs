//! Faults.

use std::{io::ErrorKind, time::Duration};

use autharmor::emulator::{Emulator, Fault};
use autharmor_test_support::emulator::wait_for_call;
use serde_json::{Value, json};

use crate::client::{Api, Connection, FORM};

fn start() -> (Emulator, Api) {
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let api = Api::open(&emulator);
    (emulator, api)
}

/// Makes a start call and returns the raw response, which a fault may damage.
fn start_call(api: &mut Api) -> Vec<u8> {
    let body = json!({"username": "ada"}).to_string();
    let head = format!(
        "POST /v3/auth/authenticator/start HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        api.token,
        body.len()
    );
    api.connection.write(head.as_bytes()).unwrap();
    match api.connection.rest() {
        Ok(bytes) => bytes,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::UnexpectedEof);
            Vec::new()
        }
    }
}

#[test]
fn a_status_fault_counts_the_calls_of_its_endpoint() {
    let (emulator, mut api) = start();
    emulator.fault(
        Fault::status(429)
            .retry_after("2")
            .body("text/html", "<h1>slow down</h1>")
            .on("list_users")
            .times(2),
    );
    let id = emulator.users()[0].0;
    assert_eq!(api.get(&format!("/v3/users/{id}")).status, 200);
    for _ in 0..2 {
        let response = api.get("/v3/users");
        assert_eq!(
            (response.status, response.header("retry-after")),
            (429, Some("2"))
        );
        assert_eq!(response.header("content-type"), Some("text/html"));
        assert_eq!(response.text(), "<h1>slow down</h1>");
    }
    assert_eq!(api.get("/v3/users").status, 200);

    emulator.fault(Fault::status(500));
    for path in ["/v3/users", "/v4/users"] {
        assert_eq!(api.get(path).status, 500);
    }
    emulator.clear_faults();
    assert_eq!(api.get("/v3/users").status, 200);
}

#[test]
fn a_status_fault_has_no_effect_unless_processed() {
    let (emulator, mut api) = start();
    let body = json!({"username": "ada"});
    for (processed, pending) in [(None, 0), (Some(true), 1)] {
        let mut fault = Fault::status(503).on("start_authenticator_auth").times(1);
        if let Some(processed) = processed {
            fault = fault.processed(processed);
        }
        emulator.fault(fault);
        assert_eq!(api.post("/v3/auth/authenticator/start", &body).status, 503);
        assert_eq!(emulator.pending_requests().len(), pending);
    }
}

#[test]
fn damaged_responses_and_the_effect_of_the_call() {
    let (emulator, mut api) = start();
    let faults = [
        (Fault::drop_before_response(), false),
        (Fault::drop_before_response().processed(true), true),
        (Fault::drop_in_response(), true),
        (Fault::drop_in_response().processed(false), false),
        (Fault::garbage(), true),
        (Fault::truncated_body(), true),
        (Fault::broken_chunks(), true),
    ];
    for (at, (fault, effect)) in faults.into_iter().enumerate() {
        let before = emulator.pending_requests().len();
        emulator.fault(fault.times(1));
        let bytes = start_call(&mut api);
        let text = String::from_utf8_lossy(&bytes);
        match at {
            0 | 1 => assert!(bytes.is_empty()),
            2 | 3 => assert!(text.starts_with("HTTP/1.1 200") && !text.contains("\r\n\r\n")),
            4 => assert!(!text.starts_with("HTTP")),
            5 => {
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .unwrap();
                assert!(body.len() < length.parse().unwrap());
            }
            _ => {
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.contains("transfer-encoding: chunked"));
                assert!(body.ends_with("not a size\r\n"));
            }
        }
        let after = emulator.pending_requests().len();
        assert_eq!(after, before + usize::from(effect), "fault {at}");
        // The next connection works.
        api.connection = Connection::open(&emulator);
        assert_eq!(api.get("/v3/users").status, 200);
    }
}

#[test]
fn revoked_tokens_and_an_unavailable_token_endpoint() {
    let (emulator, mut api) = start();
    emulator.fault(Fault::expired_token().on("list_users").times(1));
    assert_eq!(api.get("/v3/users").status, 401);
    assert_eq!(api.get("/v3/users").status, 401, "still revoked");
    emulator.fault(Fault::token_endpoint_down());
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        emulator.client_id(),
        emulator.client_secret()
    );
    let response = api
        .connection
        .send("POST", "/connect/token", FORM, form.as_bytes());
    assert_eq!(response.status, 503);
    emulator.clear_faults();
    api.token = crate::client::token(&mut api.connection, &emulator);
    assert_eq!(api.get("/v3/users").status, 200);
}

#[test]
fn a_delayed_call_is_recorded_and_ends_with_the_emulator() {
    let (emulator, mut api) = start();
    emulator.fault(Fault::latency(Duration::from_secs(3600)).on("list_users"));
    let head = format!(
        "GET /v3/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        api.token
    );
    api.connection.write(head.as_bytes()).unwrap();
    wait_for_call(&emulator, "list_users");
    // Other calls are not delayed.
    let id = emulator.users()[0].0;
    assert_eq!(
        Api::open(&emulator).get(&format!("/v3/users/{id}")).status,
        200
    );
    drop(emulator);
    // A response before the end of the delay, or none.
    let _ = api.connection.read();
}

#[test]
fn latency_combines_with_another_fault() {
    let (emulator, mut api) = start();
    emulator.fault(Fault::latency(Duration::from_millis(1)).times(1));
    emulator.fault(Fault::status(502).times(1));
    assert_eq!(api.get("/v3/users").status, 502);
    assert_eq!(api.get("/v3/users").status, 200);
}

#[test]
fn faults_over_http() {
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let mut api = Api::open(&emulator);
    let body = json!({
        "kind": "status", "status": 429, "retry_after": "7", "body": "{}", "endpoint": "list_users",
        "times": 1,
    });
    let json = "Content-Type: application/json\r\n";
    let set = |api: &mut Api, body: &Value| {
        let text = body.to_string();
        api.connection
            .send("POST", "/_emulator/faults", json, text.as_bytes())
            .status
    };
    assert_eq!(set(&mut api, &body), 200);
    let listed = api
        .connection
        .send("GET", "/_emulator/faults", "", b"")
        .json();
    assert_eq!(listed["faults"][0]["times"], 1);
    let response = api.get("/v4/users");
    assert_eq!(
        (response.status, response.header("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(response.header("content-type"), Some("application/json"));
    for kind in [
        "drop_before_response",
        "drop_in_response",
        "garbage",
        "truncated_body",
        "broken_chunks",
    ] {
        assert_eq!(set(&mut api, &json!({"kind": kind, "times": 1})), 200);
        let token = api.token.clone();
        let headers = format!("Authorization: Bearer {token}\r\n");
        assert!(
            api.connection
                .try_send("GET", "/v4/users", &headers, b"")
                .is_err(),
            "{kind}"
        );
        api.connection = Connection::open(&emulator);
    }
    assert_eq!(
        set(&mut api, &json!({"kind": "expired_token", "times": 1})),
        200
    );
    assert_eq!(api.get("/v4/users").status, 401);
    assert_eq!(
        set(&mut api, &json!({"kind": "latency", "milliseconds": 0})),
        200
    );
    assert_eq!(
        api.connection
            .send("DELETE", "/_emulator/faults", "", b"")
            .status,
        200
    );
}

#[test]
fn a_slow_body_arrives_in_pieces_and_whole() {
    let (emulator, mut api) = start();
    let quick = api.get("/v3/users").body;
    let time = Duration::from_millis(300);
    emulator.fault(Fault::slow_body(time).times(1));
    let began = std::time::Instant::now();
    let slow = api.get("/v3/users");
    assert!(began.elapsed() >= time.mul_f32(0.9));
    assert_eq!((slow.status, slow.body), (200, quick));
    // The connection goes on.
    assert_eq!(api.get("/v3/users").status, 200);
}

#[test]
fn a_slow_body_ends_with_the_emulator() {
    let (emulator, mut api) = start();
    emulator.fault(Fault::slow_body(Duration::from_secs(600)));
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| start_call(&mut api));
        wait_for_call(&emulator, "start_authenticator_auth");
        drop(emulator);
        let received = call.join().unwrap();
        assert!(!received.ends_with(b"}"));
    });
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_response_about_another_user_names_that_user_everywhere() {
    let (emulator, mut api) = start();
    let ada = emulator.users()[0].0;
    let eve = emulator.add_user("eve@example.com").unwrap();
    let body = json!({"username": "ada"});
    let started = api.post("/v4/auth/authenticator/start", &body).json();
    let id = started["auth_request_id"].as_str().unwrap();
    emulator.approve(id.parse().unwrap()).unwrap();
    emulator.fault(Fault::other_user());
    let body = json!({
        "auth_request_id": id, "auth_validation_token": started["auth_validation_token"],
    });
    let validated = api.post("/v4/auth/authenticator/validate", &body);
    assert_eq!(validated.status, 200);
    let shown = validated.text();
    assert!(!shown.contains(&ada.to_string()) && !shown.contains("\"ada\""));
    let details = &validated.json()["validate_auth_response_details"];
    assert_eq!(details["authorized"], true);
    for side in ["request_details", "response_details"] {
        let profile = &details["auth_details"][side]["auth_profile_details"];
        assert_eq!(profile["user_id"], eve.to_string());
        assert_eq!(profile["username"], "eve@example.com");
    }
    let found = api.get(&format!("/v4/users/{eve}")).json();
    assert_eq!(found["username"], "ada");
    assert_eq!(found["email_address"], Value::Null);
    // The call had its effect.
    emulator.clear_faults();
    assert_eq!(
        api.post("/v4/auth/authenticator/validate", &body).status,
        403
    );
}
