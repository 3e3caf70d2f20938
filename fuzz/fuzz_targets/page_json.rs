//! The JSON that a page sends after a WebAuthn ceremony: its object is passed on
//! unchanged, or nothing is sent and the pending state can still be completed.
#![no_main]

use std::sync::LazyLock;

use autharmor::auth::StartWebauthnAuth;
use autharmor::flow::{PendingWebauthn, PendingWebauthnRegistration};
use autharmor::registrations::StartWebauthnRegistration;
use autharmor::{Client, Error, ErrorKind};
use autharmor_fuzz::{
    REQUEST, Response, SIGNATURE, Service, USER, USERNAME, alloc, assert_no_secrets, json,
    split_selector,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENT: LazyLock<Client> = LazyLock::new(|| SERVICE.client());

static SIGN_IN: LazyLock<PendingWebauthn> = LazyLock::new(|| {
    respond_to_start();
    let started = CLIENT.begin_webauthn_sign_in(&StartWebauthnAuth::new().user(USERNAME));
    started.expect("a start response").pending
});
static REGISTRATION: LazyLock<PendingWebauthnRegistration> = LazyLock::new(|| {
    respond_to_start();
    let started = CLIENT.begin_webauthn_registration(&StartWebauthnRegistration::new(USERNAME));
    started.expect("a start response").pending
});

/// Pages of a sign-in and of a registration. The client data holds the type of
/// the ceremony.
const VALID: [&str; 2] = [
    r#"{"id":"AQID","attestation_object":"BwgJ","client_data":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0"}"#,
    r#"{"id":"AQID","attestation_object":"BwgJ","client_data":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0"}"#,
];

fn respond_to_start() {
    let start = json!({
        "auth_request_id": REQUEST,
        "registration_id": REQUEST,
        "user_id": USER,
        "aa_guid": SIGNATURE,
        "aa_sig": SIGNATURE,
        "fido2_json_options": "{}",
    });
    SERVICE.respond_with([Response::ok(start.to_string().as_bytes())]);
}

fuzz_target!(|data: &[u8]| {
    let Some((bits, page)) = split_selector(data) else {
        return;
    };
    let Ok(page) = std::str::from_utf8(page) else {
        return;
    };
    let is_sign_in = bits & 1 == 0;
    // A pending state exists before its page is read.
    LazyLock::force(&SIGN_IN);
    LazyLock::force(&REGISTRATION);
    alloc::bounded(|| {
        let Some(body) = complete(is_sign_in, page) else {
            assert!(
                complete(is_sign_in, VALID[usize::from(!is_sign_in)]).is_some(),
                "the state is used up"
            );
            return;
        };
        let sent = json::at(&body, &["authenticator_response_data"]);
        let object = object(page).expect("an object");
        if is_sign_in {
            let sent: Value = serde_json::from_str(sent.as_str().unwrap()).unwrap();
            let Some(response) = object.get("response") else {
                assert_eq!(sent, object);
                return;
            };
            assert_eq!(sent["id"], object["id"]);
            assert_eq!(sent["attestation_object"], response["authenticatorData"]);
            assert_eq!(sent["client_data"], response["clientDataJSON"]);
            assert_eq!(sent["signature"], response["signature"]);
        } else {
            let standard = object.get("response");
            for (member, name) in [
                ("attestation_object", "attestationObject"),
                ("client_data", "clientDataJSON"),
            ] {
                assert!(sent[member].is_string());
                let expected = standard.map_or(&object[member], |response| &response[name]);
                assert_eq!(&sent[member], expected);
            }
            assert_eq!(sent["id"], object["id"]);
        }
    });
});

/// Returns the body of the request that was sent, if there was one.
fn complete(is_sign_in: bool, page: &str) -> Option<Vec<u8>> {
    SERVICE.respond_with([Response {
        status: 403,
        ..Response::default()
    }]);
    let error: Error = if is_sign_in {
        SIGN_IN.complete(&CLIENT, page).unwrap_err()
    } else {
        REGISTRATION.complete(&CLIENT, page).unwrap_err()
    };
    assert_no_secrets(&error, &[]);
    let requests = SERVICE.requests();
    let Some(request) = requests.first() else {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!error.may_have_been_sent());
        return None;
    };
    assert_eq!(requests.len(), 1);
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    Some(request.body.clone())
}

/// Returns the object in the JSON, or in the string that the JSON is.
fn object(page: &str) -> Option<Value> {
    let value = match serde_json::from_str(page).ok()? {
        Value::String(inner) => serde_json::from_str(&inner).ok()?,
        value => value,
    };
    value.is_object().then_some(value)
}
