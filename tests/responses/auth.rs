//! The responses of sign-in.

use autharmor::auth::{
    self, AuthInfo, AuthMethod, AuthMethodUseType, AuthRequestStatus, FinishWebauthnAuth,
    FinishWebauthnAuthResponse, HashType, LocationData, ResultCode, SecureSignedMessage,
    SignedMessageType, SigningMethod, StartAuthenticatorAuth, StartAuthenticatorAuthResponse,
    StartMagiclinkEmailAuth, StartMagiclinkEmailAuthResponse, StartWebauthnAuth,
    StartWebauthnAuthResponse, ValidateAuth, ValidateAuthResponse,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::decode;
use super::fixtures::assert_three_fixtures;

const ID: Uuid = Uuid::from_u128(7);
const REQUEST: &str = "99999999-2222-4333-8444-555555555555";
const USER: &str = "11111111-2222-4333-8444-555555555555";

#[test]
fn start_authenticator_auth() {
    let response = assert_three_fixtures(
        &auth::start_authenticator_auth(&StartAuthenticatorAuth::new()),
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
    assert_eq!(response.auth_validation_token, Some("t0ken h1dden".into()));
    assert_eq!(response.qr_code_data, Some("qr h1dden".into()));
}

#[test]
fn start_webauthn_auth() {
    let response = assert_three_fixtures(
        &auth::start_webauthn_auth(&StartWebauthnAuth::new()),
        &json!({
            "auth_request_id": REQUEST,
            "aa_guid": "s1g h1dden",
            "fido2_json_options": r#"{"challenge":"h1dden"}"#,
        }),
        &["auth_request_id"],
        &["aa_guid"],
        &[],
    );
    assert_eq!(response.aa_guid, Some("s1g h1dden".into()));

    // The other name of the value, alone and beside the first.
    for (aa_guid, aa_sig, expected) in [
        (json!("guid"), json!("sig"), Some("guid")),
        (json!(null), json!("sig"), Some("sig")),
        (json!(""), json!("sig"), Some("sig")),
        (json!("guid"), json!({"odd": []}), Some("guid")),
        (json!(null), json!(null), None),
    ] {
        let response: StartWebauthnAuthResponse =
            decode(json!({"auth_request_id": REQUEST, "aa_guid": aa_guid, "aa_sig": aa_sig}));
        assert_eq!(response.aa_guid, expected.map(Into::into));
    }

    // An object is returned as text.
    let response: StartWebauthnAuthResponse =
        decode(json!({"auth_request_id": REQUEST, "fido2_json_options": {"challenge": "abc"}}));
    assert_eq!(
        response.fido2_json_options.unwrap(),
        r#"{"challenge":"abc"}"#
    );
}

#[test]
fn finish_webauthn_auth() {
    let response = assert_three_fixtures(
        &auth::finish_webauthn_auth(&FinishWebauthnAuth::new(ID, "s1g", "{}")),
        &json!({
            "auth_request_id": REQUEST,
            "auth_validation_token": "t0ken h1dden",
            "user_id": USER,
            "username": "ada h1dden",
        }),
        &[],
        &["auth_validation_token"],
        &[],
    );
    assert_eq!(response.auth_validation_token, Some("t0ken h1dden".into()));
}

#[test]
fn start_magiclink_email_auth() {
    assert_three_fixtures(
        &auth::start_magiclink_email_auth(&StartMagiclinkEmailAuth::new(ID, "https://example.com")),
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
    let response: StartAuthenticatorAuthResponse = decode(json!({
        "auth_request_id": REQUEST,
        "visual_verify_value": 42,
        "response_code": "200",
        "timeout_in_seconds": 60.0,
        "push_message_sent": "true",
    }));
    assert_eq!(response.visual_verify_value.as_deref(), Some("42"));
    assert_eq!(response.response_code, Some(200));
    assert_eq!(response.timeout_in_seconds, Some(60));
    assert_eq!(response.push_message_sent, None);
    let info: AuthInfo = decode(json!({"auth_request_status_id": "4"}));
    assert_eq!(
        info.auth_request_status_id,
        Some(AuthRequestStatus::PendingValidation)
    );
}

/// Returns `auth_details` with every field.
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
    let info = assert_three_fixtures(
        &auth::get_auth_info(ID),
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
    let response = info.auth_response.unwrap();
    assert_eq!(response.result_code, Some(ResultCode::Declined));

    // The two shapes of auth_method.
    let details = response.auth_details.unwrap();
    let asked = details.request_details.unwrap().auth_method;
    assert_eq!(asked, Some(AuthMethod::WebAuthn));
    let used = details.response_details.unwrap().auth_method.unwrap();
    assert_eq!(used.name, Some(AuthMethod::WebAuthn));
    assert_eq!(used.usetype, Some(AuthMethodUseType::Fido2Crossplatform));
}

#[test]
fn validate_auth() {
    let enums = enums_below("/validate_auth_response_details");
    let response = assert_three_fixtures(
        &auth::validate_webauthn_auth(&ValidateAuth::new(ID, "t0ken")),
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
    let details = response.validate_auth_response_details.unwrap();
    assert_eq!(details.authorized, Some(true));
    assert_eq!(details.context_data["cart"].as_deref(), Some("42"));
    assert_eq!(details.context_data["note"], None);
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

/// The call has taken effect: what the caller can do without must not cost the
/// rest of the response.
#[test]
fn odd_ids_and_texts_do_not_spoil_a_response() {
    for odd in [
        json!("iPhone-7"),
        json!(""),
        json!(7),
        json!({"id": 7}),
        json!([7]),
    ] {
        let started: StartAuthenticatorAuthResponse = decode(json!({
            "auth_request_id": REQUEST, "user_id": odd, "response_message": odd,
            "timeout_utc_datetime": odd, "qr_code_data": odd, "visual_verify_value": odd,
        }));
        assert_eq!(started.auth_request_id.to_string(), REQUEST);
        assert_eq!(started.user_id, None);

        let finished: FinishWebauthnAuthResponse = decode(json!({
            "auth_validation_token": "t0ken", "user_id": odd, "username": odd,
        }));
        assert_eq!(finished.auth_validation_token, Some("t0ken".into()));
        assert_eq!((finished.auth_request_id, finished.user_id), (None, None));

        let mailed: StartMagiclinkEmailAuthResponse =
            decode(json!({"auth_request_id": REQUEST, "user_id": odd}));
        assert_eq!(mailed.user_id, None);

        let details = json!({"authorized": true, "auth_history_id": odd, "result_message": odd});
        let validated: ValidateAuthResponse =
            decode(json!({"validate_auth_response_details": details}));
        let details = validated.validate_auth_response_details.unwrap();
        assert_eq!(
            (details.authorized, details.auth_history_id),
            (Some(true), None)
        );
    }
    // What is text in another form stays readable.
    let started: StartAuthenticatorAuthResponse =
        decode(json!({"auth_request_id": REQUEST, "timeout_utc_datetime": 1_594_487_384}));
    assert_eq!(started.timeout_utc_datetime.unwrap().as_str(), "1594487384");
}

#[test]
fn empty_ids_and_names_of_a_user_are_unknown() {
    let profile = |user_id: Value, username: Value| json!({"auth_profile_details": {"user_id": user_id, "username": username}});
    let read = |user_id: Value, username: Value| {
        let details = json!({"request_details": profile(user_id, username)});
        let json = json!({"validate_auth_response_details": {"auth_details": details}});
        serde_json::from_value::<ValidateAuthResponse>(json).map(|response| {
            let details = response.validate_auth_response_details.unwrap();
            let request = details.auth_details.unwrap().request_details.unwrap();
            let user = request.auth_profile_details.unwrap();
            (user.user_id, user.username)
        })
    };
    assert_eq!(read(json!(""), json!("")).unwrap(), (None, None));
    assert_eq!(read(json!(null), json!(null)).unwrap(), (None, None));
    let known = read(json!(USER), json!("ada")).unwrap();
    assert_eq!(known, (Some(USER.parse().unwrap()), Some("ada".into())));
    // Who signs in must be readable.
    for odd in [json!("ada"), json!(" "), json!(7), json!({}), json!([])] {
        assert!(read(odd, json!("ada")).is_err());
    }
    for odd in [json!(7), json!(true), json!({}), json!([])] {
        assert!(read(json!(USER), odd).is_err());
    }
}
