//! The answers of signing in, and the three fixtures that all answers share.

use std::fmt::Debug;

use autharmor::auth::{
    AuthInfo, AuthMethod, AuthMethodUseType, AuthRequestStatus, FinishWebauthnAuthResponse,
    HashType, LocationData, ResultCode, SecureSignedMessage, SignedMessageType, SigningMethod,
    StartAuthenticatorAuthResponse, StartMagiclinkEmailAuthResponse, StartWebauthnAuthResponse,
    ValidateAuthResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::decode;

const REQUEST: &str = "99999999-2222-4333-8444-555555555555";
const USER: &str = "11111111-2222-4333-8444-555555555555";

/// Decodes an answer from its three fixtures, made of the one that has every
/// field.
///
/// * `required` fields are the ones that an answer is useless without.
/// * `secrets` are left out when the answer is serialised.
/// * `enums` are pointers to values that may be ones that nobody knows yet.
///
/// Texts with `h1dden` in them must not show in `Debug`.
pub(super) fn assert_three_fixtures<T>(
    all: &Value,
    required: &[&str],
    secrets: &[&str],
    enums: &[&str],
) -> T
where
    T: DeserializeOwned + Serialize + PartialEq + Debug,
{
    let mut shown = all.clone();
    let fields = shown.as_object_mut().unwrap();
    fields.retain(|field, _| !secrets.contains(&field.as_str()));

    // All fields: what is not secret comes back, under the same names.
    let answer: T = decode(all.clone());
    assert_eq!(serde_json::to_value(&answer).unwrap(), shown);
    for text in [format!("{answer:?}"), format!("{answer:#?}")] {
        assert!(!text.contains("h1dden"), "{text}");
    }

    // Null or missing, one by one and all together.
    for pointer in pointers(all) {
        let is_required = required.contains(&&pointer[1..]);
        let null = with(all, &pointer, Some(Value::Null));
        let missing = with(all, &pointer, None);
        if is_required {
            assert!(serde_json::from_value::<T>(null).is_err(), "{pointer}");
            assert!(serde_json::from_value::<T>(missing).is_err(), "{pointer}");
        } else {
            assert_eq!(decode::<T>(null), decode::<T>(missing), "{pointer}");
        }
    }
    let mut null = all.clone();
    let mut missing = Map::new();
    for (field, value) in null.as_object_mut().unwrap() {
        if required.contains(&field.as_str()) {
            missing.insert(field.clone(), value.clone());
        } else {
            *value = Value::Null;
        }
    }
    assert_eq!(decode::<T>(null), decode::<T>(missing.into()));

    // Unknown fields are ignored, unknown values survive.
    let mut strange = shown.clone();
    for pointer in enums {
        let value = strange.pointer_mut(pointer).expect(pointer);
        *value = match value {
            Value::Number(_) => json!(77),
            _ => json!("brand_new"),
        };
    }
    let mut full = all.clone();
    for pointer in enums {
        *full.pointer_mut(pointer).unwrap() = strange.pointer(pointer).unwrap().clone();
    }
    add_unknown_fields(&mut full);
    let odd: T = decode(full);
    assert_eq!(serde_json::to_value(&odd).unwrap(), strange);
    answer
}

/// Pointers to everything in objects, but to what is in the caller's own data.
fn pointers(json: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (field, value) in json.as_object().into_iter().flatten() {
        found.push(format!("/{field}"));
        if field != "context_data" {
            found.extend(
                pointers(value)
                    .iter()
                    .map(|below| format!("/{field}{below}")),
            );
        }
    }
    found
}

fn with(json: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut json = json.clone();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(field.to_owned(), value),
        None => parent.remove(field),
    };
    json
}

fn add_unknown_fields(json: &mut Value) {
    if let Value::Object(fields) = json {
        for (field, value) in fields.iter_mut() {
            if field != "context_data" {
                add_unknown_fields(value);
            }
        }
        fields.insert("brand_new".to_owned(), json!({"a": [1, null]}));
    }
}

#[test]
fn start_authenticator_auth() {
    let answer: StartAuthenticatorAuthResponse = assert_three_fixtures(
        &json!({
            "auth_request_id": REQUEST,
            "user_id": USER,
            "auth_validation_token": "t0ken h1dden",
            "visual_verify_value": "42",
            "qr_code_data": "qr h1dden",
            "push_message_sent": true,
            "response_code": 200,
            "response_message": "sent",
            "timeout_in_seconds": 60,
            "timeout_utc_datetime": "2020-07-11T17:09:44.7860965Z",
        }),
        &["auth_request_id"],
        &["auth_validation_token", "qr_code_data"],
        &[],
    );
    assert_eq!(answer.auth_validation_token, Some("t0ken h1dden".into()));
    assert_eq!(answer.qr_code_data, Some("qr h1dden".into()));
}

#[test]
fn start_webauthn_auth() {
    let answer: StartWebauthnAuthResponse = assert_three_fixtures(
        &json!({
            "auth_request_id": REQUEST,
            "aa_guid": "s1g h1dden",
            "fido2_json_options": r#"{"challenge":"h1dden"}"#,
        }),
        &["auth_request_id"],
        &["aa_guid"],
        &[],
    );
    assert_eq!(answer.aa_guid, Some("s1g h1dden".into()));

    // An object is handed on as text.
    let answer: StartWebauthnAuthResponse =
        decode(json!({"auth_request_id": REQUEST, "fido2_json_options": {"challenge": "abc"}}));
    assert_eq!(answer.fido2_json_options.unwrap(), r#"{"challenge":"abc"}"#);
}

#[test]
fn finish_webauthn_auth() {
    let answer: FinishWebauthnAuthResponse = assert_three_fixtures(
        &json!({
            "auth_request_id": REQUEST,
            "auth_validation_token": "t0ken h1dden",
            "user_id": USER,
            "username": "ada h1dden",
        }),
        &["auth_request_id"],
        &["auth_validation_token"],
        &[],
    );
    assert_eq!(answer.auth_validation_token, Some("t0ken h1dden".into()));
}

#[test]
fn start_magiclink_email_auth() {
    assert_three_fixtures::<StartMagiclinkEmailAuthResponse>(
        &json!({
            "auth_request_id": REQUEST,
            "user_id": USER,
            "timeout_in_seconds": 300,
            "timeout_utc_datetime": "2020-07-11T17:09:44",
        }),
        &["auth_request_id"],
        &[],
        &[],
    );
}

#[test]
fn numbers_may_come_as_text() {
    let answer: StartAuthenticatorAuthResponse = decode(json!({
        "auth_request_id": REQUEST,
        "visual_verify_value": 42,
        "response_code": "200",
        "timeout_in_seconds": 60.0,
        "push_message_sent": "true",
    }));
    assert_eq!(answer.visual_verify_value.as_deref(), Some("42"));
    assert_eq!(answer.response_code, Some(200));
    assert_eq!(answer.timeout_in_seconds, Some(60));
    assert_eq!(answer.push_message_sent, None);
    let info: AuthInfo = decode(json!({"auth_request_status_id": "4"}));
    assert_eq!(
        info.auth_request_status_id,
        Some(AuthRequestStatus::PendingValidation)
    );
}

/// What `auth_details` is with every field.
fn auth_details() -> Value {
    let user = json!({"user_id": USER, "username": "ada h1dden"});
    json!({
        "request_details": {
            "date": "2020-07-11T17:09:44.7860965Z",
            "auth_profile_details": user,
            "origin_location_data": {
                "latitude": "51.5", "longitude": "-0.12", "ip_address": "192.0.2.1",
            },
            "auth_method": "WebAuthN",
        },
        "response_details": {
            "date": "2020-07-11T17:09:50Z",
            "auth_method": {"name": "WebAuthN", "usetype": "fido2_crossplatform"},
            "secure_signed_message": {
                "signed_data": "h1dden",
                "signed_data_type": "AuthResponse",
                "signature_data": {
                    "hash_value": "00ff",
                    "hash_method": "Sha256",
                    "signature_data": r#"{"id":"h1dden"}"#,
                    "auth_method": "WebAuthN",
                    "auth_method_usetype": "fido2_crossplatform",
                    "signing_method": "FIDO_U2F",
                },
                "signature_validation_details": r#"{"rpid":"h1dden"}"#,
            },
            "mobile_device_details": {"platform": "Android", "model": "Pixel"},
            "auth_profile_details": user,
        },
    })
}

/// The enums of `auth_details`, below the response that holds them.
const ENUMS: [&str; 8] = [
    "/auth_details/request_details/auth_method",
    "/auth_details/response_details/auth_method/name",
    "/auth_details/response_details/auth_method/usetype",
    "/auth_details/response_details/secure_signed_message/signed_data_type",
    "/auth_details/response_details/secure_signed_message/signature_data/hash_method",
    "/auth_details/response_details/secure_signed_message/signature_data/auth_method",
    "/auth_details/response_details/secure_signed_message/signature_data/auth_method_usetype",
    "/auth_details/response_details/secure_signed_message/signature_data/signing_method",
];

fn enums_below(response: &str) -> Vec<String> {
    let mut enums = vec![
        "/auth_request_status_id".to_owned(),
        format!("{response}/result_code"),
    ];
    enums.extend(ENUMS.map(|pointer| format!("{response}{pointer}")));
    enums
}

#[test]
fn auth_info() {
    let enums = enums_below("/auth_response");
    let info: AuthInfo = assert_three_fixtures(
        &json!({
            "auth_request_status_id": 2,
            "auth_request_status_name": "Completed",
            "auth_response": {
                "auth_history_id": REQUEST,
                "result_code": 3,
                "result_message": "Declined",
                "authorized": false,
                "auth_details": auth_details(),
            },
        }),
        &[],
        &[],
        &enums.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    assert_eq!(
        info.auth_request_status_id,
        Some(AuthRequestStatus::Completed)
    );
    let answer = info.auth_response.unwrap();
    assert_eq!(answer.result_code, Some(ResultCode::Declined));

    // The two shapes of auth_method.
    let details = answer.auth_details.unwrap();
    let asked = details.request_details.unwrap().auth_method;
    assert_eq!(asked, Some(AuthMethod::WebAuthn));
    let answered = details.response_details.unwrap().auth_method.unwrap();
    assert_eq!(answered.name, Some(AuthMethod::WebAuthn));
    assert_eq!(
        answered.usetype,
        Some(AuthMethodUseType::Fido2Crossplatform)
    );
}

#[test]
fn validate_auth() {
    let enums = enums_below("/validate_auth_response_details");
    let answer: ValidateAuthResponse = assert_three_fixtures(
        &json!({
            "auth_request_status_id": 2,
            "auth_request_status_name": "Completed",
            "validate_auth_response_details": {
                "auth_history_id": REQUEST,
                "result_code": 2,
                "result_message": "Success",
                "authorized": true,
                "auth_details": auth_details(),
                "context_data": {"cart": "42", "note": null},
            },
        }),
        &[],
        &[],
        &enums.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let details = answer.validate_auth_response_details.unwrap();
    assert_eq!(details.authorized, Some(true));
    assert_eq!(details.context_data["cart"].as_deref(), Some("42"));
    assert_eq!(details.context_data["note"], None);
}

#[test]
fn arrays_are_no_objects() {
    let all = json!({
        "auth_request_status_id": 2,
        "auth_request_status_name": "Completed",
        "validate_auth_response_details": {
            "auth_history_id": REQUEST,
            "result_code": 2,
            "result_message": "Success",
            "authorized": true,
            "auth_details": auth_details(),
            "context_data": {"cart": "42"},
        },
    });
    for pointer in pointers(&all) {
        // Its fields in the order of ours.
        let Some(object) = all.pointer(&pointer).unwrap().as_object() else {
            continue;
        };
        let array: Value = object.values().cloned().collect();
        let json = with(&all, &pointer, Some(array));
        assert!(
            serde_json::from_value::<ValidateAuthResponse>(json).is_err(),
            "{pointer}"
        );
    }
}

#[test]
fn only_true_is_authorized() {
    for (json, expected) in [
        (json!(true), Some(true)),
        (json!(false), Some(false)),
        (json!("true"), None),
        (json!(1), None),
        (json!([true]), None),
        (json!(null), None),
    ] {
        let verdict: ValidateAuthResponse =
            decode(json!({"validate_auth_response_details": {"authorized": json}}));
        let verdict = verdict.validate_auth_response_details.unwrap();
        assert_eq!(verdict.authorized, expected);
        let info: AuthInfo = decode(json!({"auth_response": {"authorized": json}}));
        assert_eq!(info.auth_response.unwrap().authorized, expected);
    }
}

#[test]
fn parts_of_a_signed_message_may_be_text_or_objects() {
    for (json, expected) in [
        (json!({"key_size": "256"}), Some(r#"{"key_size":"256"}"#)),
        (
            json!(r#"{"key_size":"256"}"#),
            Some(r#"{"key_size":"256"}"#),
        ),
        (json!(null), None),
    ] {
        let message: SecureSignedMessage = decode(json!({
            "signature_validation_details": json,
            "signature_data": {"signature_data": json},
        }));
        let details = message.signature_validation_details;
        assert_eq!(details.as_deref(), expected);
        let signature = message.signature_data.unwrap().signature_data;
        assert_eq!(signature.as_deref(), expected);
    }
}

#[test]
fn every_value_of_the_enums_is_known() {
    for text in [
        "MobileDevice",
        "SecurityKey",
        "AuthArmorAuthenticator",
        "Magiclink_Email",
        "Maigclink_SMS",
        "WebAuthN",
    ] {
        assert!(!matches!(AuthMethod::from(text), AuthMethod::Other(_)));
    }
    for text in [
        "biometric",
        "pin",
        "autharmor_pin",
        "u2f_securitykey",
        "u2f_usb",
        "u2f_lightning",
        "u2f_bluetooth",
        "u2f_nfc",
        "fido2_bluetooth",
        "fido2_usb",
        "fido2_lightning",
        "fido2_nfc",
        "fido2",
        "fido2_mobiledevice",
        "fido2_crossplatform",
        "magiclink_email",
    ] {
        let usetype = AuthMethodUseType::from(text);
        assert!(!matches!(usetype, AuthMethodUseType::Other(_)), "{text}");
    }
    assert_eq!(HashType::from("Sha256"), HashType::Sha256);
    let signed = SignedMessageType::from("AuthResponse");
    assert_eq!(signed, SignedMessageType::AuthResponse);
    for text in ["AuthArmor_ECDsa", "FIDO_U2F"] {
        let method = SigningMethod::from(text);
        assert!(!matches!(method, SigningMethod::Other(_)), "{text}");
    }
    for number in [0, 2, 3, 4] {
        let status = AuthRequestStatus::from(number);
        assert!(!matches!(status, AuthRequestStatus::Other(_)), "{number}");
    }
    for number in [0, 1, 2, 3, 4, 5, 8, 9, 10] {
        let code = ResultCode::from(number);
        assert!(!matches!(code, ResultCode::Other(_)), "{number}");
    }
}

#[test]
fn coordinates_may_come_as_numbers() {
    let location: LocationData = decode(json!({"latitude": 51.5, "longitude": -1}));
    assert_eq!(
        location,
        LocationData::new().latitude("51.5").longitude("-1")
    );
}
