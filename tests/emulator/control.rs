//! The control routes, over plain HTTP.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use autharmor::emulator::{Emulator, EmulatorBuilder, Fault, RecordedRequest};
use serde_json::{Value, json};

use crate::{
    client::{Api, Connection, FORM, Response, text},
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
    let first = &recorded["requests"][0];
    let number = first["number"].as_u64().unwrap();
    let one = control(&mut api, "GET", &format!("recorded/{number}"), &Value::Null);
    assert_eq!(&one, first);
    control(&mut api, "DELETE", "recorded", &Value::Null);
    assert_eq!(emulator.request_count(), 0);

    control(&mut api, "POST", "tokens/expire", &Value::Null);
    assert_eq!(api.get("/v4/users").status, 401);
}

#[test]
fn the_root_leads_to_the_page() {
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let mut connection = Connection::open(&emulator);
    let root = connection.send("GET", "/", "", b"");
    let location = root.header("location");
    assert_eq!((root.status, location), (302, Some("/_emulator/")));
    let foreign = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    connection.write(foreign.as_bytes()).unwrap();
    assert_eq!(connection.read().unwrap().status, 403);
}

#[test]
fn a_program_learns_how_to_connect() {
    let emulator = Emulator::builder()
        .client("the id", "the secret")
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    let connection = control(&mut api, "GET", "connection", &Value::Null);
    assert_eq!(connection["client_secret"], "the secret");
    assert_eq!(
        connection["environment"],
        json!([
            ["AUTHARMOR_CLIENT_ID", "the id"],
            ["AUTHARMOR_CLIENT_SECRET", "the secret"],
            ["AUTHARMOR_API_URL", emulator.base_url()],
            ["AUTHARMOR_LOGIN_URL", emulator.base_url()],
        ])
    );
    let certificate = api.connection.send("GET", "/_emulator/ca.pem", "", b"");
    assert_eq!(certificate.text(), emulator.ca_pem());
}

#[test]
fn each_refusal_is_recorded_with_its_reason() {
    type List<T> = Arc<Mutex<Vec<T>>>;
    let seen: List<(u16, Option<String>)> = Arc::default();
    let invalid: List<String> = Arc::default();
    let emulator = {
        let (seen, invalid) = (Arc::clone(&seen), Arc::clone(&invalid));
        Emulator::builder()
            .plain_http()
            .user("ada")
            .clock_at(0)
            .on_request(move |request, status| {
                let error = request.error().map(str::to_owned);
                seen.lock().unwrap().push((status, error));
            })
            .on_invalid_input(move |reason| invalid.lock().unwrap().push(reason.to_owned()))
            .start()
            .unwrap()
    };
    let mut api = Api::open(&emulator);
    api.post(
        "/v4/auth/authenticator/start",
        &json!({"timeout_in_seconds": "60"}),
    );
    api.post("/v3/auth/authenticator/start", &json!({"username": "eve"}));
    api.get("/v4/nowhere");
    let token = std::mem::replace(&mut api.token, "wrong".to_owned());
    api.get("/v4/users");
    api.connection.send("GET", "/v4/users", "", b"");
    api.connection
        .send("POST", "/connect/token", FORM, b"grant_type=password");
    api.token = token;
    emulator.fault(Fault::status(503).times(1));
    api.get("/v4/users");
    emulator.fault(Fault::expired_token().times(1));
    api.get("/v4/users");
    api.token = crate::client::token(&mut api.connection, &emulator);
    api.get("/v4/users");
    let expected = [
        (200, None),
        (400, Some("timeout_in_seconds has the wrong type")),
        (404, Some("user not found")),
        (404, Some("route not found")),
        (401, Some("the access token is unknown or was revoked")),
        (
            401,
            Some("the request has no bearer token, or more than one"),
        ),
        (
            400,
            Some("unsupported_grant_type: grant_type is not client_credentials"),
        ),
        (503, Some("fault status")),
        (
            401,
            Some("fault expired_token: the access token is unknown or was revoked"),
        ),
        (200, None),
        (200, None),
    ];
    let shown = control(&mut api, "GET", "recorded", &Value::Null);
    for (at, (status, error)) in expected.iter().enumerate() {
        let request = &emulator.requests()[at];
        assert_eq!(request.status(), Some(*status), "{request:?}");
        assert_eq!(request.error(), *error, "{request:?}");
        assert_eq!(request.time(), "1970-01-01T00:00:00.0000000Z");
        let shown = &shown["requests"][at];
        assert_eq!(shown["status"], *status);
        assert_eq!(shown["error"], json!(error));
        assert_eq!(shown["time"], request.time());
        let seen = &seen.lock().unwrap()[at];
        assert_eq!((seen.0, seen.1.as_deref()), (*status, *error));
    }

    // Input that is not a request is listed, but it is no request.
    let before = emulator.request_count();
    let mut other = Connection::open(&emulator);
    other.write(b"GET /v4/users HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(other.read().unwrap().status, 400);
    assert_eq!(*invalid.lock().unwrap(), ["malformed HTTP"]);
    assert_eq!(emulator.request_count(), before);
    let path = "recorded?newest=1&refused&brief";
    let newest = control(&mut api, "GET", path, &Value::Null);
    assert_eq!(newest["requests"][0]["status"], 400);
    assert_eq!(newest["requests"][0]["error"], "malformed HTTP");
    assert_eq!(newest["matching"], 9);
}

#[test]
fn a_tolerated_request_is_recorded_with_its_warnings() {
    let emulator = Emulator::builder()
        .plain_http()
        .tolerant(true)
        .user("ada")
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    let body = json!({"username": "ada", "send_push": false, "colour": "red"});
    api.post("/v4/auth/authenticator/start", &body);
    // Also if a fault replaces the response.
    emulator.fault(Fault::status(503).processed(true).times(1));
    api.post("/v4/auth/authenticator/start", &body);
    emulator.fault(Fault::slow_body(Duration::ZERO).times(1));
    api.post("/v4/auth/authenticator/start", &body);
    let brief = control(&mut api, "GET", "recorded?brief", &Value::Null);
    let ends: Vec<Value> = brief["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| json!([request["status"], request["error"], request["warnings"]]))
        .collect();
    let warnings = ["unknown field: colour"];
    assert_eq!(
        ends,
        [
            json!([200, null, []]),
            json!([200, null, warnings]),
            json!([503, "fault status", warnings]),
            json!([200, "fault slow_body", warnings]),
        ]
    );
    assert_eq!(emulator.requests()[2].warnings(), warnings);
}

#[test]
fn rate_limits_are_listed_until_they_are_removed() {
    let emulator = Emulator::builder()
        .plain_http()
        .rate_limit("token", 5, Duration::from_secs(60))
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    let limit = json!({"calls": 0, "seconds": 3600});
    control(&mut api, "POST", "rate_limits", &limit);
    let listed = control(&mut api, "GET", "rate_limits", &Value::Null);
    assert_eq!(
        listed["rate_limits"],
        json!([
            {"endpoint": "token", "calls": 5, "seconds": 60},
            {"endpoint": "*", "calls": 0, "seconds": 3600},
        ])
    );
    control(&mut api, "DELETE", "rate_limits", &Value::Null);
    let listed = control(&mut api, "GET", "rate_limits", &Value::Null);
    assert_eq!(listed["rate_limits"], json!([]));
}

#[test]
fn a_damaged_response_has_no_status_and_names_the_fault() {
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let mut api = Api::open(&emulator);
    emulator.fault(Fault::drop_before_response());
    let sent = api.connection.try_send("GET", "/v4/users", "", b"");
    assert!(sent.is_err());
    let request = emulator.requests().pop().unwrap();
    assert_eq!(request.status(), None);
    assert_eq!(request.error(), Some("fault drop_before_response"));
}

#[test]
fn lists_can_be_cut_and_searched() {
    let users = (0..30).map(|at| format!("user-{at}"));
    let builder = Emulator::builder().plain_http();
    let emulator = users.fold(builder, EmulatorBuilder::user).start().unwrap();
    let mut api = Api::open(&emulator);
    let page = control(&mut api, "GET", "users?newest=2&search=R-1", &Value::Null);
    assert_eq!(page["matching"], 11);
    let names: Vec<&str> = [0, 1]
        .map(|at| page["users"][at]["username"].as_str().unwrap())
        .into();
    assert_eq!(names, ["user-19", "user-18"]);
    let all = control(&mut api, "GET", "users", &Value::Null);
    assert_eq!(all["users"].as_array().unwrap().len(), 30);
    assert_eq!(all["users"][0]["username"], "user-0");
}

#[test]
fn the_outbox_tells_which_links_are_used() {
    let emulator = Emulator::builder()
        .plain_http()
        .user("ada@example.com")
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    let body = json!({"username": "ada@example.com", "auth_redirect_url": REDIRECT});
    for _ in 0..3 {
        api.ok("POST", "/v4/auth/magiclink_email/start", &body);
    }
    let states = |api: &mut Api| {
        let outbox = control(api, "GET", "outbox", &Value::Null);
        let mails = outbox["mails"].as_array().unwrap().clone();
        let state = |mail: &Value| text(mail, "/link_state").to_owned();
        mails.iter().map(state).collect::<Vec<_>>()
    };
    open_link(&mut api);
    assert_eq!(states(&mut api), ["open", "open", "used"]);
    emulator.advance(Duration::from_secs(100_000));
    assert_eq!(states(&mut api), ["ended", "ended", "used"]);
}

#[test]
fn the_link_of_a_qr_code_leads_to_the_page_with_its_code() {
    let emulator = Emulator::builder()
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    let started = api.ok("POST", "/v4/auth/authenticator/start", &json!({}));
    let link = text(&started, "/qr_code_data");
    let pending = control(&mut api, "GET", "requests/pending", &Value::Null);
    assert_eq!(pending["requests"][0]["qr_code_data"], link);
    let path = link.replace(emulator.base_url(), "");
    let redirect = api.connection.send("GET", &path, "", b"");
    let (page, code) = redirect
        .header("location")
        .unwrap()
        .split_once("#qr=")
        .unwrap();
    assert_eq!(page, "/_emulator/");
    let scan = json!({"qr_code_data": code, "username": "ada"});
    control(&mut api, "POST", "scan", &scan);
}

#[test]
fn random_ids_cannot_be_guessed_from_another_run() {
    let link = || {
        let emulator = Emulator::builder()
            .plain_http()
            .random_ids()
            .user("ada@example.com")
            .start()
            .unwrap();
        let mut api = Api::open(&emulator);
        let body = json!({"username": "ada@example.com", "auth_redirect_url": REDIRECT});
        api.ok("POST", "/v4/auth/magiclink_email/start", &body);
        let health = control(&mut api, "GET", "health", &Value::Null);
        assert_eq!(health["seed"], Value::Null);
        let link = emulator.outbox().pop().unwrap().link;
        let (_, code) = link.rsplit_once('/').unwrap();
        (api.token, emulator.users(), code.to_owned())
    };
    let (a, b) = (link(), link());
    assert_ne!(a.0, b.0);
    assert_ne!(a.1, b.1);
    assert_ne!(a.2, b.2);
}

#[test]
fn other_origins_get_no_access_to_the_api() {
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let mut api = Api::open(&emulator);
    let headers = "Origin: http://localhost:3000\r\n\
        Access-Control-Request-Method: POST\r\n\
        Access-Control-Request-Headers: authorization\r\n";
    for method in ["OPTIONS", "GET", "POST"] {
        for path in [
            "/v4/users",
            "/v3/users",
            "/connect/token",
            "/_emulator/users",
        ] {
            let response = api.raw(method, path, headers, b"");
            let allowed = |(name, _): &(String, String)| name.starts_with("access-control");
            assert!(!response.headers.iter().any(allowed), "{method} {path}");
        }
    }
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
        ("GET", "recorded/1", Value::Null, 404),
        ("GET", "recorded/x", Value::Null, 404),
        ("GET", "users?newest=x", Value::Null, 400),
        ("GET", "outbox?nonsense=1", Value::Null, 400),
        ("GET", "ca.pem", Value::Null, 404),
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

const ROUTES: [(&str, &str); 33] = [
    ("GET", ""),
    ("GET", "health"),
    ("GET", "connection"),
    ("GET", "ca.pem"),
    ("POST", "reset"),
    ("GET", "users"),
    ("POST", "users"),
    ("GET", "requests/pending"),
    ("POST", "requests/wait"),
    ("GET", "requests/automatic"),
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
    ("GET", "rate_limits"),
    ("POST", "rate_limits"),
    ("DELETE", "rate_limits"),
    ("GET", "recorded"),
    ("GET", "recorded/1"),
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
