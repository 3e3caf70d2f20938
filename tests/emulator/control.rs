//! The control routes, over plain HTTP.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use autharmor::emulator::{Emulator, RecordedRequest};
use serde_json::{Value, json};

use crate::{
    client::{Api, Connection, Response, text},
    shapes,
};

const REDIRECT: &str = "http://localhost:3000/landing";
const JSON: &str = "Content-Type: application/json\r\n";

/// Calls a control route. The call has to succeed.
pub(crate) fn control(api: &mut Api, method: &str, path: &str, body: &Value) -> Value {
    let response = response(api, method, path, body);
    assert_eq!(response.0, 200, "{method} {path}: {}", response.1);
    serde_json::from_str(&response.1).unwrap()
}

fn response(api: &mut Api, method: &str, path: &str, body: &Value) -> (u16, String) {
    let target = format!("/_emulator/{path}");
    let response = if body.is_null() {
        api.connection.send(method, &target, "", b"")
    } else {
        api.connection
            .send(method, &target, JSON, body.to_string().as_bytes())
    };
    (response.status, response.text())
}

/// Opens the newest magic link and returns the parameters of the redirect.
pub(crate) fn open_link(api: &mut Api) -> Value {
    let outbox = control(api, "GET", "outbox", &Value::Null);
    let mail = outbox["mails"].as_array().unwrap().last().unwrap().clone();
    let link = text(&mail, "/link");
    let path = &link[link.find("/_emulator").unwrap()..];
    let redirect = api.connection.send("GET", path, "", b"");
    assert_eq!(redirect.status, 302);
    parameters(redirect.header("location").unwrap())
}

/// The parameters of a redirect.
pub(crate) fn parameters(url: &str) -> Value {
    let (_, query) = url.split_once('?').unwrap();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn options(started: &Value) -> Value {
    started["fido2_json_options"].clone()
}

/// Calls every endpoint of one version: registers and signs in by all methods.
pub(crate) fn call_all_endpoints(api: &mut Api, v: &str) {
    let v3 = v == "v3";
    let user = format!("{v}-phone");
    let path =
        |v3_path: &str, v4_path: &str| format!("/{v}/{}", if v3 { v3_path } else { v4_path });

    // The phone.
    let start = path(
        "users/authenticator/register/start",
        "users/registrations/authenticator/start",
    );
    let started = api.ok("POST", &start, &json!({"username": user}));
    let id = text(&started, "/registration_id").to_owned();
    let waiting = control(api, "GET", "registrations/pending", &Value::Null);
    let newest = waiting["registrations"].as_array().unwrap().last().unwrap();
    assert_eq!(newest["registration_id"], started["registration_id"]);
    control(
        api,
        "POST",
        "scan",
        &json!({"qr_code_data": started["qr_code_data"]}),
    );
    let token = json!({"registration_validation_token": started["registration_validation_token"]});
    if !v3 {
        api.ok(
            "GET",
            &format!("/v4/users/registrations/{id}"),
            &Value::Null,
        );
        api.ok(
            "POST",
            &format!("/v4/users/registrations/authenticator/{id}/validate"),
            &token,
        );
    }
    let page = api.ok("GET", &format!("/{v}/users?page_size=100"), &Value::Null);
    let record = page["user_records"]
        .as_array()
        .unwrap()
        .iter()
        .find(|record| record["username"] == json!(user))
        .unwrap()
        .clone();
    let user_id = text(&record, "/user_id").to_owned();
    let start = format!("/{v}/auth/authenticator/start");
    let started = api.ok(
        "POST",
        &start,
        &json!({"user_id": user_id, "send_push": true}),
    );
    let waiting = control(api, "GET", "requests/pending", &Value::Null);
    assert_eq!(
        waiting["requests"].as_array().unwrap().last().unwrap()["username"],
        json!(user)
    );
    control(
        api,
        "POST",
        "approve",
        &json!({"auth_request_id": started["auth_request_id"]}),
    );
    api.ok(
        "GET",
        &format!("/{v}/auth/{}", text(&started, "/auth_request_id")),
        &Value::Null,
    );
    let body = json!({
        "auth_request_id": started["auth_request_id"],
        "auth_validation_token": started["auth_validation_token"],
    });
    let signed_in = api.ok("POST", &format!("/{v}/auth/authenticator/validate"), &body);
    assert_eq!(
        signed_in["validate_auth_response_details"]["authorized"],
        true
    );

    other_methods(api, v, &user_id);
    other_users(api, v);
    read_and_change(api, v, &user, &user_id);
}

/// Registers the other methods for the same user.
fn other_methods(api: &mut Api, v: &str, user_id: &str) {
    let v3 = v == "v3";
    let register = if v3 {
        format!("/v3/users/{user_id}/authenticator/register/start")
    } else {
        format!("/v4/users/{user_id}/registrations/authenticator/start")
    };
    api.ok("POST", &register, &Value::Null);
    passkey(api, v, Some(user_id));
    magiclink(api, v, Some(user_id));
}

/// Registers new users by the other methods.
fn other_users(api: &mut Api, v: &str) {
    let other = passkey(api, v, None);
    let started = api.ok(
        "POST",
        &format!("/{v}/auth/webauthn/start"),
        &json!({"username": other}),
    );
    let assertion = control(
        api,
        "POST",
        "passkeys/get",
        &json!({"options": options(&started)}),
    );
    let body = json!({
        "auth_request_id": started["auth_request_id"], "aa_sig": started["aa_guid"],
        "authenticator_response_data": assertion.to_string(),
    });
    let finished = api.ok("POST", &format!("/{v}/auth/webauthn/finish"), &body);
    let body = json!({
        "auth_request_id": finished["auth_request_id"],
        "auth_validation_token": finished["auth_validation_token"],
    });
    let signed_in = api.ok("POST", &format!("/{v}/auth/webauthn/validate"), &body);
    assert_eq!(
        signed_in["validate_auth_response_details"]["authorized"],
        true
    );

    let address = magiclink(api, v, None);
    let body = json!({"username": address, "auth_redirect_url": REDIRECT});
    api.ok("POST", &format!("/{v}/auth/magiclink_email/start"), &body);
    let parameters = open_link(api);
    let signed_in = api.ok(
        "POST",
        &format!("/{v}/auth/magiclink_email/validate"),
        &parameters,
    );
    assert_eq!(
        signed_in["validate_auth_response_details"]["authorized"],
        true
    );
}

/// Reads and changes a user.
fn read_and_change(api: &mut Api, v: &str, user: &str, user_id: &str) {
    let v3 = v == "v3";
    api.ok("GET", &format!("/{v}/users/{user_id}"), &Value::Null);
    api.ok(
        "PUT",
        &format!("/{v}/users/{user_id}"),
        &json!({"new_username": format!("{user}-2")}),
    );
    api.ok(
        "GET",
        &format!("/{v}/users/{user_id}/auth_history"),
        &Value::Null,
    );
    let body = json!({
        "new_email_address": format!("{v}-new@example.com"), "registration_redirect_url": REDIRECT,
    });
    api.ok(
        "POST",
        &format!("/{v}/users/{user_id}/magiclink_email/update/start"),
        &body,
    );
    if !v3 {
        let base = format!("/v4/users/{user_id}/credentials");
        let mut credential = String::new();
        for kind in ["", "/authenticator", "/webauthn", "/magiclink_email"] {
            let list = api.ok("GET", &format!("{base}{kind}"), &Value::Null);
            text(&list, "/credential_records/0/credential_id").clone_into(&mut credential);
        }
        api.ok("GET", &format!("{base}/{credential}"), &Value::Null);
        api.ok(
            "POST",
            &format!("{base}/{credential}/disable"),
            &Value::Null,
        );
    }
}

/// Registers a passkey for a user or for a new one, whose name it returns.
fn passkey(api: &mut Api, v: &str, user: Option<&str>) -> String {
    let name = format!("{v}-passkey");
    let (start, body) = match (v, user) {
        ("v3", None) => (
            "/v3/users/webauthn/register/start".to_owned(),
            json!({"username": name}),
        ),
        (_, None) => (
            "/v4/users/registrations/webauthn/start".to_owned(),
            json!({"username": name}),
        ),
        ("v3", Some(id)) => (format!("/v3/users/{id}/webauthn/register/start"), json!({})),
        (_, Some(id)) => (
            format!("/v4/users/{id}/registrations/webauthn/start"),
            json!({}),
        ),
    };
    let started = api.ok("POST", &start, &body);
    let id = text(&started, "/registration_id").to_owned();
    let made = control(
        api,
        "POST",
        "passkeys/create",
        &json!({"options": options(&started)}),
    );
    let mut body = json!({
        "aa_sig": started["aa_sig"],
        "authenticator_response_data": {
            "id": made["id"], "client_data": made["client_data"],
            "attestation_object": made["attestation_object"],
        },
    });
    if v == "v3" {
        body["registration_id"] = json!(id);
        api.ok("POST", &start.replace("/start", "/finish"), &body);
        return name;
    }
    let finish = start.replace("/start", &format!("/{id}/finish"));
    let finished = api.ok("POST", &finish, &body);
    let token = json!({"registration_validation_token": finished["registration_validation_token"]});
    api.ok(
        "POST",
        &format!("/v4/users/registrations/webauthn/{id}/validate"),
        &token,
    );
    name
}

/// Registers an address for magic links in the same way.
fn magiclink(api: &mut Api, v: &str, user: Option<&str>) -> String {
    let address = format!(
        "{v}-{}@example.com",
        if user.is_some() { "old" } else { "new-user" }
    );
    let start = match (v, user) {
        ("v3", None) => "/v3/users/magiclink_email/register/start".to_owned(),
        (_, None) => "/v4/users/registrations/magiclink_email/start".to_owned(),
        ("v3", Some(id)) => format!("/v3/users/{id}/magiclink_email/register/start"),
        (_, Some(id)) => format!("/v4/users/{id}/registrations/magiclink_email/start"),
    };
    let body = json!({"email_address": address, "registration_redirect_url": REDIRECT});
    api.ok("POST", &start, &body);
    let parameters = open_link(api);
    let token =
        json!({"registration_validation_token": parameters["registration_validation_token"]});
    let validate = match v {
        "v3" => "/v3/users/register/magiclink_email/validate".to_owned(),
        _ => format!(
            "/v4/users/registrations/magiclink_email/{}/validate",
            text(&parameters, "/registration_id")
        ),
    };
    api.ok("POST", &validate, &token);
    address
}

#[test]
fn every_endpoint_of_both_versions_succeeds() {
    let seen: Arc<Mutex<BTreeSet<(String, String)>>> = Arc::default();
    let emulator = {
        let seen = Arc::clone(&seen);
        Emulator::builder()
            .plain_http()
            .on_request(move |request, status| {
                if let Some(endpoint) = request.endpoint().filter(|_| status == 200) {
                    let version = request.path().split('/').nth(1).unwrap().to_owned();
                    seen.lock().unwrap().insert((version, endpoint.to_owned()));
                }
            })
            .start()
            .unwrap()
    };
    let mut api = Api::open(&emulator);
    call_all_endpoints(&mut api, "v3");
    call_all_endpoints(&mut api, "v4");
    let mut expected = BTreeSet::from([("connect".to_owned(), "token".to_owned())]);
    for endpoint in shapes::endpoints() {
        if endpoint.v3.is_some() {
            expected.insert(("v3".to_owned(), endpoint.name.to_owned()));
        }
        expected.insert(("v4".to_owned(), endpoint.name.to_owned()));
    }
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// The claims of an access token, whose signature is random.
fn claims(token: &str) -> String {
    token.split('.').nth(1).unwrap().to_owned()
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let emulator = Emulator::builder()
            .plain_http()
            .seed(seed)
            .clock_at(1_600_000_000)
            .start()
            .unwrap();
        let mut api = Api::open(&emulator);
        call_all_endpoints(&mut api, "v3");
        call_all_endpoints(&mut api, "v4");
        let history = control(&mut api, "GET", "users", &Value::Null);
        let outbox: Vec<String> = emulator
            .outbox()
            .iter()
            .map(|mail| mail.link.rsplit('/').next().unwrap().to_owned())
            .collect();
        // Request lines hold ids and tokens.
        let lines: Vec<String> = emulator
            .requests()
            .iter()
            .map(RecordedRequest::request_line)
            .collect();
        (claims(&api.token), history, outbox, lines, emulator)
    };
    let (a, b, c) = (run(1), run(1), run(2));
    assert_eq!((&a.0, &a.1, &a.2, &a.3), (&b.0, &b.1, &b.2, &b.3));
    assert_ne!(a.0, c.0);
    assert_ne!(a.1, c.1);

    // So does a reset.
    let mut api = Api::with(Connection::open(&a.4), String::new());
    control(&mut api, "POST", "reset", &json!({}));
    api.token = crate::client::token(&mut api.connection, &a.4);
    assert_eq!(claims(&api.token), a.0);
    call_all_endpoints(&mut api, "v3");
    call_all_endpoints(&mut api, "v4");
    assert_eq!(control(&mut api, "GET", "users", &Value::Null), a.1);
}

#[test]
fn control_routes_work() {
    let emulator = Emulator::builder()
        .plain_http()
        .clock_at(0)
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    assert_eq!(
        control(&mut api, "GET", "health", &Value::Null)["status"],
        "ok"
    );
    let page = api.connection.send("GET", "/_emulator/", "", b"");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.text().starts_with("<!doctype html>"));

    let body = json!({"username": "ada", "email_address": "ada@example.com"});
    let added = control(&mut api, "POST", "users", &body);
    assert_eq!(response(&mut api, "POST", "users", &body).0, 409);
    let users = control(&mut api, "GET", "users", &Value::Null);
    assert_eq!(users["users"][0]["user_id"], added["user_id"]);
    let methods = json!(["AuthArmorAuthenticator", "Magiclink_Email"]);
    assert_eq!(users["users"][0]["enrolled_auth_methods"], methods);

    let moved = control(&mut api, "POST", "clock/advance", &json!({"seconds": 90}));
    assert_eq!(moved["now"], "1970-01-01T00:01:30.0000000Z");
    assert_eq!(control(&mut api, "GET", "clock", &Value::Null), moved);

    let started = api.ok("POST", "/v4/auth/authenticator/start", &json!({}));
    let scan = json!({"qr_code_data": started["qr_code_data"], "username": "ada"});
    assert_eq!(
        control(&mut api, "POST", "scan", &scan)["auth_request_id"],
        started["auth_request_id"]
    );
    let id = json!({"auth_request_id": started["auth_request_id"]});
    control(&mut api, "POST", "decline", &id);
    assert_eq!(response(&mut api, "POST", "decline", &id).0, 409);

    for decline in [true, false] {
        let started = api.ok(
            "POST",
            "/v4/users/registrations/authenticator/start",
            &json!({"username": "bob"}),
        );
        let id = json!({"registration_id": started["registration_id"]});
        control(&mut api, "POST", "registrations/accept", &id);
        let path = if decline {
            "registrations/decline"
        } else {
            "scan"
        };
        control(&mut api, "POST", path, &id);
    }

    let body = json!({"username": "ada", "auth_redirect_url": REDIRECT});
    api.ok("POST", "/v4/auth/magiclink_email/start", &body);
    let mail = control(&mut api, "GET", "outbox", &Value::Null)["mails"][0].clone();
    let url = control(&mut api, "POST", "click", &json!({"id": mail["id"]}));
    assert!(text(&url, "/url").starts_with(REDIRECT));
    assert_eq!(
        response(&mut api, "POST", "click", &json!({"link": mail["link"]})).0,
        404
    );
    let path = text(&mail, "/link").replace(emulator.base_url(), "");
    assert_eq!(api.connection.send("GET", &path, "", b"").status, 410);

    let recorded = control(&mut api, "GET", "recorded", &Value::Null);
    let all = recorded.to_string();
    assert!(!all.contains(emulator.client_secret()) && !all.contains(&api.token));
    assert_eq!(
        text(&recorded, "/requests/0/request_line"),
        "POST /connect/token HTTP/1.1"
    );
    control(&mut api, "DELETE", "recorded", &Value::Null);
    assert_eq!(emulator.request_count(), 0);

    control(&mut api, "POST", "tokens/expire", &Value::Null);
    assert_eq!(api.get("/v4/users").status, 401);
}

#[test]
fn malformed_control_requests_are_refused() {
    let emulator = Emulator::builder()
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    let mut api = Api::with(Connection::open(&emulator), String::new());
    for (method, path, body, status) in [
        ("GET", "nothing", Value::Null, 404),
        ("GET", "approve", Value::Null, 405),
        ("POST", "health", json!({}), 405),
        ("POST", "approve", Value::Null, 415),
        ("POST", "approve", json!({}), 400),
        ("POST", "approve", json!({"auth_request_id": "x"}), 400),
        (
            "POST",
            "approve",
            json!({"auth_request_id": uuid::Uuid::nil(), "x": 1}),
            400,
        ),
        (
            "POST",
            "approve",
            json!({"auth_request_id": uuid::Uuid::nil()}),
            404,
        ),
        ("POST", "reset", json!({"x": 1}), 400),
        ("POST", "scan", json!({}), 400),
        ("POST", "click", json!({}), 400),
        ("POST", "clock/advance", json!({"seconds": -1}), 400),
        ("POST", "requests/wait", json!({}), 400),
        ("POST", "requests/wait", json!({"seconds": 0}), 404),
        ("POST", "requests/automatic", json!({}), 400),
        (
            "POST",
            "requests/automatic",
            json!({"decision": "nonsense"}),
            400,
        ),
        ("POST", "faults", json!({"kind": "nonsense"}), 400),
        ("POST", "faults", json!({"kind": "status"}), 400),
        (
            "POST",
            "faults",
            json!({"kind": "garbage", "endpoint": "nonsense"}),
            400,
        ),
    ] {
        assert_eq!(
            response(&mut api, method, path, &body).0,
            status,
            "{method} {path} {body}"
        );
    }
}

/// The response to a request with exactly these headers.
fn with_headers(api: &mut Api, method: &str, path: &str, headers: &str) -> Response {
    let head = format!("{method} /_emulator/{path} HTTP/1.1\r\n{headers}\r\n");
    api.connection.write(head.as_bytes()).unwrap();
    api.connection.read().unwrap()
}

const ROUTES: [(&str, &str); 28] = [
    ("GET", ""),
    ("GET", "health"),
    ("POST", "reset"),
    ("GET", "users"),
    ("POST", "users"),
    ("GET", "requests/pending"),
    ("POST", "requests/wait"),
    ("POST", "requests/automatic"),
    ("POST", "approve"),
    ("POST", "decline"),
    ("GET", "registrations/pending"),
    ("POST", "registrations/accept"),
    ("POST", "registrations/decline"),
    ("POST", "scan"),
    ("GET", "outbox"),
    ("POST", "click"),
    ("GET", "link/x"),
    ("GET", "qr/x"),
    ("POST", "passkeys/create"),
    ("GET", "clock"),
    ("POST", "clock/advance"),
    ("POST", "tokens/expire"),
    ("GET", "faults"),
    ("DELETE", "faults"),
    ("POST", "rate_limits"),
    ("DELETE", "rate_limits"),
    ("GET", "recorded"),
    ("GET", "nothing"),
];

#[test]
fn websites_cannot_reach_control_routes() {
    let emulator = Emulator::builder()
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    for (method, path) in ROUTES {
        for headers in [
            // A foreign name that its DNS resolves to this machine.
            "Host: evil.example\r\n",
            "Host: evil.example\r\nOrigin: http://evil.example\r\n",
            "Host: 127.0.0.1.evil.example\r\n",
            // A form, a script, a sandboxed frame.
            "Host: localhost\r\nOrigin: http://evil.example\r\n",
            "Host: localhost\r\nOrigin: null\r\n",
            // A website on another port of this machine.
            "Host: localhost:1\r\nOrigin: http://localhost:2\r\n",
            // An image, which a browser fetches without `Origin`.
            "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
            "Host: localhost\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n",
        ] {
            let response = with_headers(&mut api, method, path, headers);
            assert_eq!(response.status, 403, "{method} {path} {headers}");
            assert!(response.header("access-control-allow-origin").is_none());
        }
        // A form that is submitted by navigation.
        let headers =
            "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n";
        let response = with_headers(&mut api, method, path, headers);
        assert_eq!(response.status == 403, method != "GET", "{method} {path}");
        // The emulator's page, under any name of this machine.
        for headers in [
            "Host: 127.0.0.1:1\r\nOrigin: http://127.0.0.1:1\r\nSec-Fetch-Site: same-origin\r\n",
            "Host: [::1]:1\r\nOrigin: http://[::1]:1\r\n",
            "Host: localhost\r\n",
        ] {
            let response = with_headers(&mut api, method, path, headers);
            assert_ne!(response.status, 403, "{method} {path} {headers}");
        }
    }
    // The refused requests had no effect. A form cannot send JSON with its
    // content type, and other bodies are refused, too.
    assert_eq!(emulator.users().len(), 1);
    let body = json!({"username": "eve"}).to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let headers = format!("Content-Type: {kind}\r\n");
        let response = api
            .connection
            .send("POST", "/_emulator/users", &headers, body.as_bytes());
        assert_eq!(response.status, 415);
    }
    assert_eq!(emulator.users().len(), 1);
}

#[test]
fn every_control_response_forbids_frames_and_caches() {
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let mut api = Api::open(&emulator);
    for (method, path) in ROUTES {
        for host in ["localhost", "evil.example"] {
            let response = with_headers(&mut api, method, path, &format!("Host: {host}\r\n"));
            let policy = response.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'"), "{path}");
            assert!(policy.ends_with("; frame-ancestors 'none'"), "{path}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("cache-control", "no-store"),
                ("referrer-policy", "no-referrer"),
            ] {
                assert_eq!(response.header(name), Some(value), "{method} {path}");
            }
        }
    }
}
