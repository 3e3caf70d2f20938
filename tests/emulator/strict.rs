//! Requests that the emulator refuses.

use std::time::Duration;

use autharmor::emulator::Emulator;
use serde_json::{Map, Value, json};

use crate::{
    client::{Api, Connection, FORM, Response, text},
    shapes,
};

const NIL: &str = "00000000-0000-0000-0000-000000000000";
const OTHER: &str = "11111111-2222-4333-8444-555555555555";
const JSON: &str = "Content-Type: application/json\r\n";

fn start() -> (Emulator, Api) {
    let emulator = Emulator::builder()
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    let api = Api::open(&emulator);
    (emulator, api)
}

/// Checks an error body and returns its message.
fn check_error(v: &str, response: &Response) -> String {
    let body = response.json();
    let names = match v {
        "v3" => ["errorMessage", "errorCode", "trackingGuid"],
        _ => ["error_message", "error_code", "tracking_id"],
    };
    assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
    assert_eq!(body[names[1]], response.status);
    uuid::Uuid::parse_str(body[names[2]].as_str().unwrap()).unwrap();
    body[names[0]].as_str().unwrap().to_owned()
}

/// A path of an endpoint with ids that do not exist.
fn path(route: &str) -> String {
    route
        .split('/')
        .map(|word| if word.starts_with('{') { OTHER } else { word })
        .collect::<Vec<_>>()
        .join("/")
}

/// Version, endpoint and path of all routes.
fn routes() -> Vec<(&'static str, shapes::Endpoint, String)> {
    let v3 = shapes::endpoints().filter_map(|endpoint| {
        let path = path(endpoint.v3?);
        Some(("v3", endpoint, path))
    });
    let v4 = shapes::endpoints().map(|endpoint| {
        let path = path(endpoint.v4);
        ("v4", endpoint, path)
    });
    v3.chain(v4).collect()
}

#[test]
fn every_endpoint_requires_a_valid_token() {
    let (emulator, mut api) = start();
    let valid = api.token.clone();
    for (_, endpoint, path) in routes() {
        for headers in [
            String::new(),
            "Authorization: Bearer \r\n".to_owned(),
            "Authorization: Bearer wrong\r\n".to_owned(),
            format!("Authorization: Basic {valid}\r\n"),
            format!("Authorization: Bearer  {valid}\r\n"),
            format!("Authorization: Bearer {valid}\r\nAuthorization: Bearer {valid}\r\n"),
        ] {
            let response = api.connection.send(endpoint.method, &path, &headers, b"");
            assert_eq!(response.status, 401, "{path} {headers:?}");
            assert!(
                response
                    .header("www-authenticate")
                    .unwrap()
                    .starts_with("Bearer")
            );
            assert!(response.body.is_empty());
        }
    }
    emulator.advance(Duration::from_secs(600));
    assert_eq!(api.get("/v3/users").status, 401);
}

#[test]
fn unknown_routes_and_wrong_methods() {
    let (emulator, mut api) = start();
    for (v, endpoint, path) in routes() {
        let response = api.raw("DELETE", &path, "", b"");
        assert_eq!(response.status, 405, "{path}");
        assert!(response.header("allow").unwrap().contains(endpoint.method));
        check_error(v, &response);
        for wrong in [
            format!("{path}/"),
            format!("{path}/nonsense"),
            path.replace("/v", "/w"),
        ] {
            let status = api.raw(endpoint.method, &wrong, "", b"").status;
            // One more segment after a list is an id, here a malformed one.
            let id = endpoint.name.starts_with("list_") && status == 400;
            assert!(id || matches!(status, 404 | 405), "{wrong}: {status}");
        }
        let head = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        api.connection.write(head.as_bytes()).unwrap();
        let response = api.connection.rest().unwrap();
        assert!(response.starts_with(b"HTTP/1.1 405") && response.ends_with(b"\r\n\r\n"));
        api.connection = Connection::open(&emulator);
    }
}

#[test]
fn unknown_and_malformed_ids_are_refused() {
    let (_emulator, mut api) = start();
    for (v, endpoint, path) in routes() {
        if !path.contains(OTHER) || endpoint.body.is_some() {
            continue;
        }
        let response = api.raw(endpoint.method, &path, "", b"");
        assert_eq!(response.status, 404, "{path}");
        check_error(v, &response);
        let response = api.raw(endpoint.method, &path.replace(OTHER, "ada"), "", b"");
        assert_eq!(response.status, 400, "{path}");
        check_error(v, &response);
    }
}

#[test]
fn usernames_are_in_headers_of_v3_and_queries_of_v4() {
    let (emulator, mut api) = start();
    let id = emulator.users()[0].0;
    let header = "X-AuthArmor-UsernameValue: ADA\r\n";
    for (target, headers, status) in [
        (format!("/v3/users/{NIL}"), header, 200),
        (format!("/v3/users/{id}"), "", 200),
        (format!("/v3/users/{id}"), header, 400),
        (format!("/v3/users/{NIL}"), "", 400),
        (format!("/v3/users/{NIL}?username=ada"), "", 400),
        (
            format!("/v3/users/{NIL}"),
            "X-AuthArmor-UsernameValue: eve\r\n",
            404,
        ),
        (
            format!("/v3/users/{NIL}"),
            "X-AuthArmor-UsernameValue:\r\n",
            400,
        ),
        (
            format!("/v3/users/{NIL}"),
            "X-AuthArmor-UsernameValue: a\r\nX-AuthArmor-UsernameValue: b\r\n",
            400,
        ),
        (format!("/v4/users/{NIL}?username=ada"), "", 200),
        (format!("/v4/users/{NIL}?username=%61d%61"), "", 200),
        (format!("/v4/users/{id}"), "", 200),
        (format!("/v4/users/{id}?username=ada"), "", 400),
        (format!("/v4/users/{NIL}"), header, 400),
        (format!("/v4/users/{NIL}?username=eve"), "", 404),
        (
            format!("/v4/users/{NIL}?username=ada&username=ada"),
            "",
            400,
        ),
        (format!("/v4/users/{NIL}?user=ada"), "", 400),
    ] {
        let response = api.raw("GET", &target, headers, b"");
        assert_eq!(
            response.status,
            status,
            "{target} {headers:?}: {}",
            response.text()
        );
    }
    emulator.add_user("zoë").unwrap();
    let response = api.raw(
        "GET",
        &format!("/v3/users/{NIL}"),
        "X-AuthArmor-UsernameValue: zoë\r\n",
        b"",
    );
    assert_eq!(response.json()["username"], "zoë");
}

/// Checks that a body is refused because of one field.
fn refused(api: &mut Api, v: &str, method: &str, path: &str, body: &Value, field: &str) {
    let response = api.raw(method, path, JSON, body.to_string().as_bytes());
    assert_eq!(response.status, 400, "{path} {body}: {}", response.text());
    let message = check_error(v, &response);
    assert!(message.contains(field), "{path} {body}: {message}");
}

/// A value of the declared type.
fn sample(kind: &str) -> Value {
    match kind.trim_end_matches('?') {
        "int" => json!(60),
        "bool" => json!(false),
        "map" => json!({"a": "b", "c": null}),
        "location_data" => json!({"latitude": "1", "longitude": null}),
        "fido2_registration_data" => json!({"id": "x", "attestation_object": null}),
        "authenticator_attachment_type" => json!("Any"),
        "resident_key_requirement_type" | "user_verification_requirement_type" => {
            json!("preferred")
        }
        _ => json!("some text"),
    }
}

/// Whether null is refused. The description does not call every optional field
/// nullable, but clients send null for all of them.
fn is_required(kind: &str) -> bool {
    // The types of the required fields.
    matches!(kind, "text{1,}" | "text{2,42}" | "fido2_registration_data")
}

/// Values that are not of the declared type.
fn wrong(kind: &str) -> Vec<Value> {
    let mut all = vec![json!([]), json!(1.5)];
    match kind.trim_end_matches('?') {
        "int" => all.extend([
            json!("60"),
            json!(true),
            json!({}),
            json!(3_000_000_000_u64),
        ]),
        "bool" => all.extend([json!("true"), json!(1), json!({})]),
        "map" => all.extend([json!("x"), json!({"a": 1}), json!({"a": {}})]),
        "location_data" | "fido2_registration_data" => {
            all.extend([
                json!("x"),
                json!({"id": 1, "latitude": 1}),
                json!({"other": "x"}),
            ]);
        }
        kind if kind.starts_with("text") => {
            all.extend([json!(1), json!(true), json!({}), json!("x".repeat(70_000))]);
        }
        _ => all.extend([json!("any"), json!(1), json!({})]),
    }
    if let Some((least, most)) = shapes::lengths(kind) {
        all.push(json!("é".repeat(least - 1)));
        if most < 100 {
            all.push(json!("é".repeat(most + 1)));
        }
    }
    if is_required(kind) {
        all.push(Value::Null);
    }
    all
}

#[test]
fn malformed_bodies_are_refused() {
    let (_emulator, mut api) = start();
    for (v, endpoint, path) in routes() {
        let Some(schema) = endpoint.body else {
            continue;
        };
        let fields = shapes::fields(schema);
        let mut whole: Map<String, Value> = fields
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), sample(kind)))
            .collect();
        if v == "v3" && endpoint.name.starts_with("finish_webauthn_registration") {
            whole.insert("registration_id".to_owned(), json!(OTHER));
        }
        for (name, kind) in &fields {
            for value in wrong(kind) {
                let mut body = whole.clone();
                body.insert((*name).to_owned(), value);
                refused(&mut api, v, endpoint.method, &path, &body.into(), name);
            }
        }
        let mut body = whole.clone();
        body.insert("other".to_owned(), Value::Null);
        refused(&mut api, v, endpoint.method, &path, &body.into(), "other");
        for (name, _) in fields.iter().filter(|(_, kind)| is_required(kind)) {
            let mut body = whole.clone();
            body.remove(*name);
            refused(&mut api, v, endpoint.method, &path, &body.into(), name);
        }

        // Not a JSON object.
        let text = Value::Object(whole.clone()).to_string();
        let list = format!("[{text}]");
        let twice = format!("{text}{text}");
        for broken in [
            "",
            "null",
            "true",
            "1",
            "\"{}\"",
            "[]",
            &list,
            &twice,
            &text[..text.len() - 1],
            &text[1..],
            &text.replace('"', "'"),
            &text.replacen(':', "=", 1),
            &text.replacen('{', "{,", 1),
        ] {
            let response = api.raw(endpoint.method, &path, JSON, broken.as_bytes());
            assert_eq!(response.status, 400, "{path} {broken}");
            check_error(v, &response);
        }
        let response = api.raw(endpoint.method, &path, JSON, b"{\"username\": \"\xff\"}");
        assert_eq!(response.status, 400, "{path}: not UTF-8");

        // With the right types, and with null where it is allowed, no type is
        // refused.
        let mut nulls = whole.clone();
        for (name, kind) in &fields {
            if !is_required(kind) {
                nulls.insert((*name).to_owned(), Value::Null);
            }
        }
        for body in [whole, nulls] {
            let text = Value::Object(body).to_string();
            let response = api.raw(endpoint.method, &path, JSON, text.as_bytes());
            if response.status != 200 {
                let message = check_error(v, &response);
                for word in ["type", "unknown", "characters", "JSON"] {
                    assert!(!message.contains(word), "{path} {text}: {message}");
                }
            }
        }
    }
}

#[test]
fn malformed_queries_are_refused() {
    let (emulator, mut api) = start();
    let id = emulator.users()[0].0;
    for (v, endpoint, path) in routes() {
        if endpoint.method != "GET" || path.contains("/auth/") || path.contains("/registrations/") {
            continue;
        }
        let path = path.replacen(OTHER, &id.to_string(), 1);
        let paged = endpoint.name.starts_with("list_") || endpoint.name.ends_with("_history");
        for (query, fits) in [
            ("page_number=2147483647", paged),
            ("page_size=1&page_number=1&sort_direction=asc", paged),
            ("page_number=2147483648", false),
            ("page_number=-1", false),
            ("page_number=1.5", false),
            ("page_number=", false),
            ("page_number=true", false),
            ("page_size=x", false),
            ("page_size=9999999999999999999999", false),
            ("page_size=1&page_size=1", false),
            ("sort_direction=ASC", false),
            ("sort_column=", false),
            ("nonsense=", false),
        ] {
            let response = api.get(&format!("{path}?{query}"));
            let expected = if fits { 200 } else { 400 };
            assert_eq!(response.status, expected, "{path}?{query}");
            if !fits {
                check_error(v, &response);
            }
        }
    }
}

#[test]
fn limits_of_lengths_and_numbers() {
    let (emulator, mut api) = start();
    let register = "/v4/users/registrations/authenticator/start";
    for (name, status) in [
        ("a".to_owned(), 400),
        ("a".repeat(2), 200),
        ("b".repeat(42), 200),
        ("b".repeat(43), 400),
    ] {
        let response = api.post(register, &json!({"username": name}));
        assert_eq!(response.status, status, "{name}");
    }
    for (seconds, status) in [(14, 400), (15, 200), (300, 200), (301, 400)] {
        let body = json!({"username": "ada", "timeout_in_seconds": seconds});
        assert_eq!(
            api.post("/v3/auth/authenticator/start", &body).status,
            status,
            "{seconds}"
        );
    }
    for (action, status) in [
        ("x", 400),
        ("xx", 200),
        (&"x".repeat(32), 200),
        (&"x".repeat(33), 400),
    ] {
        emulator
            .add_user(format!("{}@example.com", action.len()))
            .unwrap();
        let body = json!({
            "username": format!("{}@example.com", action.len()), "action_name": action,
            "auth_redirect_url": "http://localhost/",
        });
        assert_eq!(
            api.post("/v4/auth/magiclink_email/start", &body).status,
            status,
            "{action}"
        );
    }
}

#[test]
fn only_json_content_types_are_accepted() {
    let (_emulator, mut api) = start();
    let path = "/v4/auth/authenticator/start";
    for (header, body, status) in [
        ("Content-Type: application/json\r\n", "{}", 200),
        (
            "Content-Type: application/json; charset=utf-8\r\n",
            "{}",
            200,
        ),
        (
            "Content-Type: Application/JSON;charset=\"UTF-8\"\r\n",
            "{}",
            200,
        ),
        ("Content-Type: application/json-patch+json\r\n", "{}", 200),
        ("Content-Type: text/json\r\n", "{}", 200),
        ("Content-Type: application/vnd.x+json\r\n", "{}", 200),
        (
            "Content-Type: application/json; charset=latin1\r\n",
            "{}",
            415,
        ),
        ("Content-Type: text/plain\r\n", "{}", 415),
        (
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "a=b",
            415,
        ),
        ("", "{}", 415),
        ("", "", 415),
        (JSON, "", 400),
        (JSON, "[]", 400),
        (JSON, "{", 400),
        (JSON, "{} {}", 400),
        (JSON, "null", 400),
        (JSON, "\u{feff}{}", 400),
        (JSON, &"[".repeat(500_000), 400),
        (JSON, &"{\"context_data\":".repeat(100), 400),
    ] {
        let response = api.raw("POST", path, header, body.as_bytes());
        assert_eq!(response.status, status, "{header:?} {body:?}");
        if status != 200 {
            check_error("v4", &response);
        }
    }
}

#[test]
fn endpoints_without_a_body_accept_an_empty_one() {
    let (emulator, mut api) = start();
    let id = emulator.users()[0].0;
    let credential = api.get(&format!("/v4/users/{id}/credentials")).json();
    let credential = text(&credential, "/credential_records/0/credential_id").to_owned();
    // All three endpoints with POST and without a body.
    for path in [
        format!("/v3/users/{id}/authenticator/register/start"),
        format!("/v4/users/{id}/registrations/authenticator/start"),
        format!("/v4/users/{id}/credentials/{credential}/disable"),
    ] {
        for (headers, body, status) in [
            ("", "", 200),
            ("Content-Length: 0\r\n", "", 200),
            (JSON, "", 200),
            (
                "Content-Type: application/json\r\nContent-Length: 0\r\n",
                "",
                200,
            ),
            (JSON, "{}", 200),
            (JSON, "{\"a\": null}", 400),
            ("Content-Type: text/plain\r\n", "x", 415),
            ("", "{}", 415),
        ] {
            let response = api.raw("POST", &path, headers, body.as_bytes());
            assert_eq!(
                response.status,
                status,
                "{headers:?} {body:?}: {}",
                response.text()
            );
        }
    }
}

#[test]
fn only_the_client_gets_tokens() {
    let emulator = Emulator::builder()
        .plain_http()
        .client("id+1", "s:e%c&r=t")
        .start()
        .unwrap();
    let mut connection = Connection::open(&emulator);
    let form = "grant_type=client_credentials&client_id=id%2B1&client_secret=s%3Ae%25c%26r%3Dt";
    // id%2B1:s%3Ae%25c%26r%3Dt
    let basic = "Authorization: Basic aWQlMkIxOnMlM0FlJTI1YyUyNnIlM0R0\r\n";
    let with_basic = format!("{FORM}{basic}");
    let grant = "grant_type=client_credentials";
    for (headers, body, status, error) in [
        (FORM, form.to_owned(), 200, ""),
        (&with_basic, grant.to_owned(), 200, ""),
        (
            FORM,
            format!("{form}&scope=aarmor.api.request_auth"),
            200,
            "",
        ),
        (FORM, format!("{form}&scope=other"), 400, "invalid_scope"),
        (FORM, form.replace("Dt", "Dx"), 400, "invalid_client"),
        (FORM, form.replace("2B1", "2B2"), 400, "invalid_client"),
        (FORM, grant.to_owned(), 400, "invalid_client"),
        (FORM, String::new(), 400, "invalid_request"),
        (
            FORM,
            form.replace("grant_type=client_credentials&", ""),
            400,
            "invalid_request",
        ),
        (
            FORM,
            form.replace("client_credentials", "password"),
            400,
            "unsupported_grant_type",
        ),
        (FORM, format!("{form}&client_id=x"), 400, "invalid_request"),
        (&with_basic, form.to_owned(), 400, "invalid_request"),
        (JSON, "{}".to_owned(), 400, "invalid_request"),
        (
            "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: Basic eDp5\r\n",
            grant.to_owned(),
            400,
            "invalid_client",
        ),
    ] {
        let response = connection.send("POST", "/connect/token", headers, body.as_bytes());
        assert_eq!(response.status, status, "{headers} {body}");
        let json = response.json();
        if status == 200 {
            assert_eq!(json["token_type"], "Bearer");
            assert_eq!(json["expires_in"], 600);
            assert!(text(&json, "/scope").contains("aarmor.api.request_auth"));
        } else {
            assert_eq!(json["error"], error, "{body}");
            // Only an invalid request is described.
            let described = json.get("error_description").is_some();
            assert_eq!(described, error == "invalid_request", "{json}");
        }
    }
    let response = connection.send("GET", "/connect/token", "", b"");
    assert_eq!(response.status, 400);
    assert_eq!(response.json()["error"], "invalid_request");
}

#[test]
fn debug_shows_no_secrets() {
    let (emulator, mut api) = start();
    let body = json!({"username": "ada", "nonce": "very-secret-nonce"});
    let started = api.ok("POST", "/v4/auth/authenticator/start", &body);
    api.get(&format!("/v4/users/{NIL}?username=ada"));
    let shown = format!(
        "{emulator:?} {:?} {:?} {:?}",
        emulator.requests(),
        emulator.pending_requests(),
        Emulator::builder()
            .client("an-id", "hidden-secret")
            .user("some-name"),
    );
    for secret in [
        emulator.client_secret(),
        &api.token,
        "very-secret-nonce",
        text(&started, "/auth_validation_token"),
        "hidden-secret",
        "some-name",
        "username=ada",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
