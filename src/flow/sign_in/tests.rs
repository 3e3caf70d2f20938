mod browser;
mod ends;
mod kept;
mod poll;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::auth::{StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth};
use crate::error::{Error, ErrorKind};
use crate::flow::testing::{Service, VERSIONS};
use crate::flow::verify::SignIn;
use crate::flow::wait::WaitPolicy;
use crate::http::ApiVersion;
use crate::testing::{TransportResult, respond, seconds};
use crate::{TransportError, TransportErrorKind};

type Json = Value;

const REQUEST: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
const OTHER_REQUEST: Uuid = Uuid::from_u128(0x9999_9999_2222_4333_8444_5555_5555_5555);
const ADA: Uuid = Uuid::from_u128(0xada0_0000_0000_4000_8000_0000_0000_0001);
const EVE: Uuid = Uuid::from_u128(0xe0e0_0000_0000_4000_8000_0000_0000_0002);

const NAME: &str = "ada@example.com";
const IP: &str = "203.0.113.7";
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const TOKEN: &str = "t0k3n-of-the-start-response";
const FINISH_TOKEN: &str = "t0k3n-of-the-finish-response";
const LINK_TOKEN: &str = "t0k3n-of-the-link";
const AA_GUID: &str = "aa-gu1d";
const QR: &str = "https://qr.example/s3cr3t";
/// With the client data `{"type":"webauthn.get"}`.
const PAGE: &str = r#"{"attestation_object":"BwgJ","client_data":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0","id":"AQID","signature":"BAUG"}"#;

/// A service whose routes are those below `auth/`.
fn serve(
    version: ApiVersion,
    api: impl Fn(&str, &Json) -> TransportResult + Send + Sync + 'static,
) -> Service {
    Service::new(version, "auth/", api)
}

/// A v4 service that responds as it should, except where `other` has a
/// response.
fn serve_except(
    other: impl Fn(&str, &Json) -> Option<TransportResult> + Send + Sync + 'static,
) -> Service {
    serve(ApiVersion::V4, move |route, body| {
        other(route, body).unwrap_or_else(|| regular(route, body))
    })
}

/// A v4 service with this response to one route.
fn serve_with(route: &'static str, status: u16, body: impl Into<String>) -> Service {
    let text = body.into();
    serve_except(move |at, _| (at == route).then(|| respond(status, text.clone())))
}

fn regular(route: &str, body: &Json) -> TransportResult {
    let json = match route {
        "authenticator/start" => json!({
            "auth_request_id": REQUEST,
            "auth_validation_token": TOKEN,
            "qr_code_data": QR,
            "visual_verify_value": "42",
            "push_message_sent": body["send_push"],
            "timeout_in_seconds": 60,
        }),
        "webauthn/start" => json!({
            "auth_request_id": REQUEST,
            "aa_guid": AA_GUID,
            "fido2_json_options": "{\"challenge\":\"AA\"}",
        }),
        "webauthn/finish" => json!({
            "auth_request_id": REQUEST,
            "auth_validation_token": FINISH_TOKEN,
            "user_id": ADA,
            "username": NAME,
        }),
        "magiclink_email/start" => json!({
            "auth_request_id": REQUEST,
            "user_id": ADA,
            "timeout_in_seconds": 300,
        }),
        route if route.ends_with("/validate") => signed_in(body["nonce"].as_str()),
        _ => json!({"auth_request_status_id": 4, "auth_response": {"result_code": 8}}),
    };
    respond(200, json.to_string())
}

/// The validate response by which Ada is signed in.
fn signed_in(nonce: Option<&str>) -> Json {
    let signed = json!({
        "message_data": {"auth_request_id": REQUEST},
        "signing_data": {"nonce": nonce},
    });
    json!({
        "auth_request_status_id": 2,
        "validate_auth_response_details": {
            "result_code": 2,
            "authorized": true,
            "auth_details": {
                "response_details": {
                    "auth_profile_details": {"user_id": ADA, "username": NAME},
                    "secure_signed_message": {
                        "signed_data": BASE64_STANDARD.encode(signed.to_string()),
                    },
                },
            },
        },
    })
}

fn authenticator() -> StartAuthenticatorAuth {
    StartAuthenticatorAuth::new()
        .user(NAME)
        .ip_address(IP)
        .user_agent(AGENT)
}

/// v3 has no field for address and user agent here.
fn webauthn(version: ApiVersion) -> StartWebauthnAuth {
    let request = StartWebauthnAuth::new().user(NAME).webauthn_client_id("wc");
    match version {
        ApiVersion::V3 => request,
        ApiVersion::V4 => request.ip_address(IP).user_agent(AGENT),
    }
}

fn magiclink() -> StartMagiclinkEmailAuth {
    StartMagiclinkEmailAuth::new(NAME, "https://app.example/in")
        .ip_address(IP)
        .user_agent(AGENT)
}

fn link() -> String {
    format!("https://app.example/in?auth_request_id={REQUEST}&auth_validation_token={LINK_TOKEN}")
}

fn begin_authenticator(service: &Service) -> PendingAuthenticator {
    let started = service
        .client()
        .begin_authenticator_sign_in(&authenticator());
    started.unwrap().pending
}

fn begin_webauthn(service: &Service) -> PendingWebauthn {
    let request = webauthn(service.client().api_version());
    let started = service.client().begin_webauthn_sign_in(&request);
    started.unwrap().pending
}

fn begin_magiclink(service: &Service) -> PendingMagiclink {
    let pending = service.client().begin_magiclink_sign_in(&magiclink());
    pending.unwrap()
}

/// A method's name in routes, and its sign-in from beginning to end.
type Flow = (&'static str, fn(&Service) -> Result<SignIn, Error>);

const FLOWS: [Flow; 3] = [
    ("authenticator", |service| {
        begin_authenticator(service).wait(service.client(), &WaitPolicy::new())
    }),
    ("webauthn", |service| {
        begin_webauthn(service).complete(service.client(), PAGE)
    }),
    ("magiclink_email", |service| {
        begin_magiclink(service).complete(service.client(), &link())
    }),
];

#[track_caller]
fn assert_ada(end: Result<SignIn, Error>) {
    let end = end.unwrap();
    let user = end.user().unwrap();
    assert_eq!(user.user_id(), ADA);
    assert_eq!(user.username(), Some(NAME));
    assert_eq!(user.auth_request_id(), REQUEST);
}

#[track_caller]
fn assert_kind(end: Result<SignIn, Error>, kind: ErrorKind) -> Error {
    let error = end.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = format!("{error} {error:?}");
    for secret in [NAME, TOKEN, FINISH_TOKEN, LINK_TOKEN, AA_GUID, "s3cr3t"] {
        assert!(!text.contains(secret), "{text}");
    }
    error
}

#[test]
fn an_authenticator_sign_in_repeats_nonce_address_and_agent() {
    for version in VERSIONS {
        let service = serve(version, regular);
        let started = service
            .client()
            .begin_authenticator_sign_in(&authenticator())
            .unwrap();
        assert_eq!(started.qr_code_data.as_ref().unwrap().expose(), QR);
        assert_eq!(started.visual_verify_value.as_deref(), Some("42"));
        assert!(started.push_message_sent);
        assert_eq!(started.pending.auth_request_id(), REQUEST);
        let policy = WaitPolicy::new();
        assert_ada(started.pending.wait(service.client(), &policy));

        let start = service.body("authenticator/start");
        let nonce = start["nonce"].as_str().unwrap();
        assert_eq!(nonce.len(), 43);
        assert_eq!(
            start,
            json!({
                "username": NAME,
                "nonce": nonce,
                "send_push": true,
                "ip_address": IP,
                "user_agent": AGENT,
            })
        );
        assert_eq!(
            service.body("authenticator/validate"),
            json!({
                "auth_request_id": REQUEST,
                "auth_validation_token": TOKEN,
                "nonce": nonce,
                "ip_address": IP,
                "user_agent": AGENT,
            })
        );
        let poll = REQUEST.to_string();
        assert_eq!(
            service.routes(),
            ["authenticator/start", &poll, "authenticator/validate"]
        );
    }
}

#[test]
fn a_webauthn_sign_in_sends_a_nonce_under_v4_only() {
    for version in VERSIONS {
        let service = serve(version, regular);
        let started = service
            .client()
            .begin_webauthn_sign_in(&webauthn(version))
            .unwrap();
        assert_eq!(started.fido2_json_options, r#"{"challenge":"AA"}"#);
        assert_eq!(started.pending.auth_request_id(), REQUEST);
        assert_ada(started.pending.complete(service.client(), PAGE));

        let start = service.body("webauthn/start");
        let mut expected = json!({"username": NAME, "webauthn_client_id": "wc"});
        let mut validate = json!({
            "auth_request_id": REQUEST,
            "auth_validation_token": FINISH_TOKEN,
        });
        if version == ApiVersion::V4 {
            assert_eq!(start["nonce"].as_str().unwrap().len(), 43);
            for body in [&mut expected, &mut validate] {
                body["nonce"] = start["nonce"].clone();
                body["ip_address"] = json!(IP);
                body["user_agent"] = json!(AGENT);
            }
        }
        assert_eq!(start, expected);
        assert_eq!(service.body("webauthn/validate"), validate);
        assert_eq!(
            service.body("webauthn/finish"),
            json!({
                "auth_request_id": REQUEST,
                "aa_sig": AA_GUID,
                "authenticator_response_data": PAGE,
                "webauthn_client_id": "wc",
            })
        );
        assert_eq!(
            service.routes(),
            ["webauthn/start", "webauthn/finish", "webauthn/validate"]
        );
    }
}

#[test]
fn a_magic_link_has_no_nonce() {
    for version in VERSIONS {
        let service = serve(version, |route, body| {
            if route == "magiclink_email/validate" {
                // The link has a token, but no device signs anything.
                let mut response = signed_in(None);
                let message = response
                    .pointer_mut("/validate_auth_response_details/auth_details/response_details");
                message.unwrap()["secure_signed_message"] = json!(null);
                return respond(200, response.to_string());
            }
            regular(route, body)
        });
        let pending = begin_magiclink(&service);
        assert_eq!(pending.auth_request_id(), REQUEST);
        assert_ada(pending.complete(service.client(), &link()));
        assert_eq!(
            service.body("magiclink_email/start"),
            json!({
                "username": NAME,
                "auth_redirect_url": "https://app.example/in",
                "ip_address": IP,
                "user_agent": AGENT,
            })
        );
        assert_eq!(
            service.body("magiclink_email/validate"),
            json!({
                "auth_request_id": REQUEST,
                "auth_validation_token": LINK_TOKEN,
                "ip_address": IP,
                "user_agent": AGENT,
            })
        );
        assert_eq!(service.routes().len(), 2);
    }
}

#[test]
fn a_nonce_is_new_unless_the_caller_gave_one() {
    let nonce_of = |request: &StartAuthenticatorAuth| {
        let service = serve(ApiVersion::V3, regular);
        let started = service.client().begin_authenticator_sign_in(request);
        let end = started.unwrap().pending.complete(service.client());
        assert_ada(end);
        let start = service.body("authenticator/start")["nonce"].clone();
        assert_eq!(service.body("authenticator/validate")["nonce"], start);
        start.as_str().unwrap().to_owned()
    };
    let request = authenticator();
    assert_ne!(nonce_of(&request), nonce_of(&request));
    assert_eq!(nonce_of(&request.nonce("mine")), "mine");

    let service = serve(ApiVersion::V4, regular);
    let request = webauthn(ApiVersion::V4).nonce("mine");
    let started = service.client().begin_webauthn_sign_in(&request).unwrap();
    assert_ada(started.pending.complete(service.client(), PAGE));
    assert_eq!(service.body("webauthn/start")["nonce"], "mine");
    assert_eq!(service.body("webauthn/validate")["nonce"], "mine");
}

#[test]
fn values_without_a_field_in_v3_are_refused_before_a_start() {
    for request in [
        webauthn(ApiVersion::V3).nonce("mine"),
        webauthn(ApiVersion::V3).ip_address(IP),
        webauthn(ApiVersion::V3).user_agent(AGENT),
    ] {
        let service = serve(ApiVersion::V3, regular);
        let error = service.client().begin_webauthn_sign_in(&request);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(service.test.seen().is_empty());
    }
}

#[test]
fn a_push_is_sent_if_a_user_is_named_unless_disabled() {
    let nobody = StartAuthenticatorAuth::new;
    for (request, sent) in [
        (nobody(), json!(null)),
        (nobody().send_push(false), json!(false)),
        (nobody().user(NAME), json!(true)),
        (nobody().user(ADA), json!(true)),
        (nobody().user(NAME).send_push(false), json!(false)),
        (nobody().user(NAME).send_push(true), json!(true)),
    ] {
        let service = serve(ApiVersion::V4, regular);
        let started = service.client().begin_authenticator_sign_in(&request);
        let started = started.unwrap();
        assert_eq!(service.body("authenticator/start")["send_push"], sent);
        assert_eq!(started.push_message_sent, sent == json!(true));
        // Without a user in the request, anybody may sign in.
        assert_ada(started.pending.complete(service.client()));
    }
}

#[test]
fn missing_parts_of_a_start_response_are_not_reported() {
    let body = json!({
        "auth_request_id": REQUEST,
        "auth_validation_token": TOKEN,
        "visual_verify_value": "",
        "push_message_sent": "true",
    });
    let service = serve_with("authenticator/start", 200, body.to_string());
    let started = service
        .client()
        .begin_authenticator_sign_in(&authenticator());
    let started = started.unwrap();
    assert!(started.qr_code_data.is_none());
    assert_eq!(started.visual_verify_value, None);
    assert!(!started.push_message_sent);
}

/// Begins a sign-in whose start response is changed by `damage`.
fn begin_with(
    route: &'static str,
    damage: impl Fn(&mut Json) + Send + Sync + 'static,
) -> (Result<(), Error>, Service) {
    let service = serve_except(move |at, body| {
        (at == route).then(|| {
            let response = regular(at, body).unwrap();
            let mut json: Json = serde_json::from_slice(response.body()).unwrap();
            damage(&mut json);
            respond(200, json.to_string())
        })
    });
    let client = service.client();
    let result = match route {
        "authenticator/start" => client
            .begin_authenticator_sign_in(&authenticator())
            .map(drop),
        "webauthn/start" => client
            .begin_webauthn_sign_in(&webauthn(ApiVersion::V4))
            .map(drop),
        _ => client.begin_magiclink_sign_in(&magiclink()).map(drop),
    };
    (result, service)
}

#[test]
fn a_start_response_without_a_required_part_is_an_error() {
    for (route, field) in [
        ("authenticator/start", "auth_request_id"),
        ("authenticator/start", "auth_validation_token"),
        ("webauthn/start", "auth_request_id"),
        ("webauthn/start", "aa_guid"),
        ("webauthn/start", "fido2_json_options"),
        ("magiclink_email/start", "auth_request_id"),
    ] {
        for value in [None, Some(json!(null))] {
            let (result, service) = begin_with(route, move |json| {
                let fields = json.as_object_mut().unwrap();
                match &value {
                    Some(value) => fields.insert(field.to_owned(), value.clone()),
                    None => fields.remove(field),
                };
            });
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode, "{route} {field}");
            assert!(error.may_have_been_sent());
            let method = route.split('/').next().unwrap();
            let expected = format!("start_{method}_auth: ");
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert_eq!(service.routes(), [route]);
        }
    }
    let (result, _) = begin_with("authenticator/start", |json| {
        json["auth_validation_token"] = json!("");
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Decode);
}

#[test]
fn a_start_that_fails_is_not_repeated() {
    let failures: [fn() -> TransportResult; 4] = [
        || respond(503, ""),
        || respond(403, ""),
        || respond(200, "<html>"),
        || Err(TransportError::new(TransportErrorKind::Broken, true)),
    ];
    for fail in failures {
        let service = serve(ApiVersion::V3, move |_, _| fail());
        let client = service.client();
        client
            .begin_authenticator_sign_in(&authenticator())
            .unwrap_err();
        client
            .begin_webauthn_sign_in(&webauthn(ApiVersion::V3))
            .unwrap_err();
        client.begin_magiclink_sign_in(&magiclink()).unwrap_err();
        assert_eq!(
            service.routes(),
            [
                "authenticator/start",
                "webauthn/start",
                "magiclink_email/start"
            ]
        );
    }
}
