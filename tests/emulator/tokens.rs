//! Access tokens, their keys and their scopes.

use std::time::Duration;

use autharmor::emulator::Emulator;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind, jwk::JwkSet,
};
use serde_json::{Value, json};

use crate::client::{Api, Connection, FORM, text};

/// The time by the system's clock, with which the verifier compares.
fn claims(token: &str, keys: &Value, issuer: &str) -> Result<Value, ErrorKind> {
    let keys: JwkSet = serde_json::from_value(keys.clone()).unwrap();
    let header = decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("JWT"));
    let key = keys.find(&header.kid.unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&["aarmor.api"]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
    validation.validate_nbf = true;
    validation.leeway = 5;
    decode(token, &DecodingKey::from_jwk(key).unwrap(), &validation)
        .map(|decoded| decoded.claims)
        .map_err(|error| error.kind().clone())
}

#[test]
fn a_token_verifies_with_the_published_keys() {
    let emulator = Emulator::builder().start().unwrap();
    let mut api = Api::open(&emulator);
    let path = "/.well-known/openid-configuration";
    let found = api.connection.send("GET", path, "", b"").json();
    let issuer = text(&found, "/issuer").to_owned();
    // The name by which the client reaches it.
    assert_eq!(issuer, "https://localhost");
    assert_eq!(
        text(&found, "/token_endpoint"),
        format!("{issuer}/connect/token")
    );
    let path = text(&found, "/jwks_uri").strip_prefix(&issuer).unwrap();
    let keys = api.connection.send("GET", path, "", b"").json();

    let verified = claims(&api.token, &keys, &issuer).unwrap();
    assert_eq!(verified["client_id"], emulator.client_id());
    assert_eq!(verified["aud"], json!(["aarmor.api"]));
    assert_eq!(
        verified["scope"],
        json!(["aarmor.api.request_auth", "aarmor.api.generate_invite_code"])
    );
    let life = verified["exp"].as_u64().unwrap() - verified["nbf"].as_u64().unwrap();
    assert_eq!(life, 600);

    // Another emulator's keys, and changed claims.
    let other = Emulator::start().unwrap();
    let other = Api::open(&other).connection.send("GET", path, "", b"");
    let mut foreign = other.json();
    foreign["keys"][0]["kid"] = keys["keys"][0]["kid"].clone();
    let wrong = ErrorKind::InvalidSignature;
    assert_eq!(claims(&api.token, &foreign, &issuer), Err(wrong.clone()));
    let parts: Vec<&str> = api.token.split('.').collect();
    let forged = format!("{}.{}A.{}", parts[0], &parts[1][1..], parts[2]);
    assert_eq!(claims(&forged, &keys, &issuer), Err(wrong));
    let changed = format!("{}.{}.{}x", parts[0], parts[1], parts[2]);
    api.token = changed;
    assert_eq!(api.get("/v4/users").status, 401);
}

#[test]
fn tokens_expire_by_the_emulators_clock() {
    let emulator = Emulator::builder()
        .plain_http()
        .clock_at(1_600_000_000)
        .token_lifetime(Duration::from_secs(90))
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    let path = "/.well-known/openid-configuration/jwks";
    let keys = api.connection.send("GET", path, "", b"").json();
    // Issued in 2020, so that it has expired for everyone else.
    assert_eq!(
        claims(&api.token, &keys, "http://localhost"),
        Err(ErrorKind::ExpiredSignature)
    );
    emulator.advance(Duration::from_secs(89));
    assert_eq!(api.get("/v4/users").status, 200);
    // The keys and the token outlive a reset, which turns the clock back.
    emulator.reset();
    assert_eq!(api.connection.send("GET", path, "", b"").json(), keys);
    assert_eq!(api.get("/v4/users").status, 200);
    emulator.advance(Duration::from_secs(1));
    assert_eq!(api.get("/v4/users").status, 401);
    api = Api::open(&emulator);
    emulator.expire_tokens();
    assert_eq!(api.get("/v4/users").status, 401);
}

#[test]
fn a_call_needs_its_scope() {
    let emulator = Emulator::builder()
        .plain_http()
        .user("ada")
        .start()
        .unwrap();
    let mut connection = Connection::open(&emulator);
    let mut token = |scope: &str| {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={scope}",
            emulator.client_id(),
            emulator.client_secret()
        );
        let response = connection.send("POST", "/connect/token", FORM, form.as_bytes());
        text(&response.json(), "/access_token").to_owned()
    };
    let [auth, invite] = ["aarmor.api.request_auth", "aarmor.api.generate_invite_code"];
    let tokens = [
        token(auth),
        token(invite),
        token(&format!("{auth}+{invite}")),
    ];
    for (target, body, needed) in [
        (
            "/v4/auth/authenticator/start",
            json!({"username": "ada"}),
            auth,
        ),
        (
            "/v3/users/authenticator/register/start",
            json!({"username": "new-1"}),
            invite,
        ),
        (
            "/v4/users/registrations/authenticator/start",
            json!({"username": "new-2"}),
            invite,
        ),
        (
            "/v4/users/registrations/webauthn/start",
            json!({"username": "new-3"}),
            "",
        ),
    ] {
        for (token, scopes) in tokens.iter().zip([auth, invite, "both"]) {
            let mut api = Api::with(Connection::open(&emulator), token.clone());
            let allowed = needed.is_empty() || scopes == "both" || scopes == needed;
            let response = api.post(target, &body);
            assert_eq!(
                response.status,
                if allowed { 200 } else { 403 },
                "{target} with {scopes}"
            );
            if !allowed {
                let challenge = response.header("www-authenticate").unwrap();
                assert!(challenge.contains("insufficient_scope") && challenge.contains(needed));
                assert!(response.body.is_empty());
            }
        }
    }
}

#[test]
fn an_issuer_is_a_host_that_the_client_named() {
    let emulator = Emulator::builder().plain_http().start().unwrap();
    let base = emulator.base_url().to_owned();
    for (host, expected) in [
        ("emulator.test:8443", "http://emulator.test:8443"),
        ("[::1]:7", "http://[::1]:7"),
        ("a/b", &base),
        ("", &base),
    ] {
        let mut connection = Connection::open(&emulator);
        let head =
            format!("GET /.well-known/openid-configuration HTTP/1.1\r\nHost: {host}\r\n\r\n");
        connection.write(head.as_bytes()).unwrap();
        let found = connection.read().unwrap();
        assert_eq!(found.json()["issuer"], expected, "{host:?}");
    }
}
