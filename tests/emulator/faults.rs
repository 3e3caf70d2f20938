//! Failures on demand.

use std::{io::ErrorKind, time::Duration};

use autharmor::emulator::{Emulator, Fault};
use serde_json::{Value, json};

use crate::wire::{Api, FORM, Wire};

fn start() -> (Emulator, Api) {
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let api = Api::open(&emulator);
    (emulator, api)
}

/// The start call that a fault is going to spoil; what came back is up to the
/// caller.
fn start_call(api: &mut Api) -> Vec<u8> {
    let body = json!({"username": "ada"}).to_string();
    let head = format!(
        "POST /v3/auth/authenticator/start HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        api.token,
        body.len()
    );
    api.wire.write(head.as_bytes()).unwrap();
    match api.wire.rest() {
        Ok(bytes) => bytes,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::UnexpectedEof);
            Vec::new()
        }
    }
}

#[test]
fn a_status_for_the_next_calls_of_a_route() {
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
        let answer = api.get("/v3/users");
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (429, Some("2"))
        );
        assert_eq!(answer.header("content-type"), Some("text/html"));
        assert_eq!(answer.text(), "<h1>slow down</h1>");
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
fn a_refused_call_has_no_effect_unless_asked_for() {
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
fn spoilt_answers_after_an_effect() {
    let (emulator, mut api) = start();
    let faults = [
        (Fault::drop_before_answer(), false),
        (Fault::drop_before_answer().processed(true), true),
        (Fault::drop_in_answer(), true),
        (Fault::drop_in_answer().processed(false), false),
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
        // The next connection is as good as new.
        api.wire = Wire::open(&emulator);
        assert_eq!(api.get("/v3/users").status, 200);
    }
}

#[test]
fn tokens_that_expire_and_a_token_endpoint_that_is_down() {
    let (emulator, mut api) = start();
    emulator.fault(Fault::expired_token().on("list_users").times(1));
    assert_eq!(api.get("/v3/users").status, 401);
    assert_eq!(api.get("/v3/users").status, 401, "it stays expired");
    emulator.fault(Fault::token_endpoint_down());
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        emulator.client_id(),
        emulator.client_secret()
    );
    let answer = api
        .wire
        .send("POST", "/connect/token", FORM, form.as_bytes());
    assert_eq!(answer.status, 503);
    emulator.clear_faults();
    api.token = crate::wire::token(&mut api.wire, &emulator);
    assert_eq!(api.get("/v3/users").status, 200);
}

#[test]
fn a_slow_call_is_seen_and_does_not_outlive_the_emulator() {
    let (emulator, mut api) = start();
    emulator.fault(Fault::latency(Duration::from_secs(3600)).on("list_users"));
    let head = format!(
        "GET /v3/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        api.token
    );
    api.wire.write(head.as_bytes()).unwrap();
    while emulator.request_count() < 2 {
        std::thread::yield_now();
    }
    // Others are not held up.
    let id = emulator.users()[0].0;
    assert_eq!(
        Api::open(&emulator).get(&format!("/v3/users/{id}")).status,
        200
    );
    drop(emulator);
    // An answer that is not waited for, or none.
    let _ = api.wire.read();
}

#[test]
fn latency_goes_with_another_fault() {
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
        api.wire
            .send("POST", "/_emulator/faults", json, text.as_bytes())
            .status
    };
    assert_eq!(set(&mut api, &body), 200);
    let listed = api.wire.send("GET", "/_emulator/faults", "", b"").json();
    assert_eq!(listed["faults"][0]["times"], 1);
    let answer = api.get("/v4/users");
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("7"))
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for kind in [
        "drop_before_answer",
        "drop_in_answer",
        "garbage",
        "truncated_body",
        "broken_chunks",
    ] {
        assert_eq!(set(&mut api, &json!({"kind": kind, "times": 1})), 200);
        let token = api.token.clone();
        let headers = format!("Authorization: Bearer {token}\r\n");
        assert!(
            api.wire
                .try_send("GET", "/v4/users", &headers, b"")
                .is_err(),
            "{kind}"
        );
        api.wire = Wire::open(&emulator);
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
        api.wire.send("DELETE", "/_emulator/faults", "", b"").status,
        200
    );
}
