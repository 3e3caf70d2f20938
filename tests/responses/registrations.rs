//! The answers of registering.

use autharmor::registrations::{
    AuthenticatorAttachment, FinishWebauthnRegistrationResponse, MagiclinkEmailRegistrationType,
    RegistrationInfo, RegistrationStatus, ResidentKeyRequirement,
    StartAuthenticatorRegistrationResponse, StartMagiclinkEmailRegistrationResponse,
    StartWebauthnRegistrationResponse, UserVerificationRequirement,
    ValidateMagiclinkEmailRegistrationResponse, ValidateRegistrationResponse,
};
use serde_json::json;

use super::auth::assert_three_fixtures;
use super::decode;

const REGISTRATION: &str = "99999999-2222-4333-8444-555555555555";
const USER: &str = "11111111-2222-4333-8444-555555555555";

#[test]
fn start_authenticator_registration() {
    let answer: StartAuthenticatorRegistrationResponse = assert_three_fixtures(
        &json!({
            "registration_id": REGISTRATION,
            "user_id": USER,
            "username": "ada h1dden",
            "date_expires": "2020-07-11T17:09:44.7860965Z",
            "auth_method": "AuthArmorAuthenticator",
            "qr_code_data": "qr h1dden",
            "registration_validation_token": "t0ken h1dden",
        }),
        &["registration_id"],
        &["qr_code_data", "registration_validation_token"],
        &[],
    );
    assert_eq!(answer.qr_code_data, Some("qr h1dden".into()));
    let token = answer.registration_validation_token;
    assert_eq!(token, Some("t0ken h1dden".into()));
}

#[test]
fn start_webauthn_registration() {
    let answer: StartWebauthnRegistrationResponse = assert_three_fixtures(
        &json!({
            "registration_id": REGISTRATION,
            "aa_sig": "s1g h1dden",
            "fido2_json_options": r#"{"user":{"name":"h1dden"}}"#,
            "user_id": USER,
        }),
        &["registration_id"],
        &["aa_sig"],
        &[],
    );
    assert_eq!(answer.aa_sig, Some("s1g h1dden".into()));

    // An object is handed on as text.
    let answer: StartWebauthnRegistrationResponse =
        decode(json!({"registration_id": REGISTRATION, "fido2_json_options": {"rp": {}}}));
    assert_eq!(answer.fido2_json_options.unwrap(), r#"{"rp":{}}"#);
}

#[test]
fn finish_webauthn_registration() {
    let answer: FinishWebauthnRegistrationResponse = assert_three_fixtures(
        &json!({
            "user_id": USER,
            "username": "ada h1dden",
            "registration_validation_token": "t0ken h1dden",
        }),
        &[],
        &["registration_validation_token"],
        &[],
    );
    let token = answer.registration_validation_token;
    assert_eq!(token, Some("t0ken h1dden".into()));
}

#[test]
fn validate_registration() {
    assert_three_fixtures::<ValidateRegistrationResponse>(
        &json!({"credential_id": REGISTRATION, "user_id": USER, "username": "ada h1dden"}),
        &[],
        &[],
        &[],
    );
    // The other name of the credential, alone and beside the first.
    for (json, expected) in [
        (json!({"device_id": USER}), Some(USER)),
        (
            json!({"device_id": USER, "credential_id": null}),
            Some(USER),
        ),
        (
            json!({"device_id": USER, "credential_id": REGISTRATION}),
            Some(REGISTRATION),
        ),
        (json!({"device_id": null}), None),
    ] {
        let answer: ValidateRegistrationResponse = decode(json);
        let id = answer.credential_id.map(|id| id.to_string());
        assert_eq!(id.as_deref(), expected);
    }
}

#[test]
fn start_magiclink_email_registration() {
    assert_three_fixtures::<StartMagiclinkEmailRegistrationResponse>(
        &json!({"timeout_in_seconds": 300, "timeout_utc_datetime": "2020-07-11T17:09:44Z"}),
        &[],
        &[],
        &[],
    );
}

#[test]
fn validate_magiclink_email_registration() {
    let answer: ValidateMagiclinkEmailRegistrationResponse = assert_three_fixtures(
        &json!({
            "magiclink_email_registration_type": "change_email",
            "user_id": USER,
            "username": "ada h1dden",
            "email_address": "ada@h1dden.example",
            "context_data": {"plan": "free", "note": null},
        }),
        &[],
        &[],
        &["/magiclink_email_registration_type"],
    );
    assert_eq!(
        answer.magiclink_email_registration_type,
        Some(MagiclinkEmailRegistrationType::ChangeEmail)
    );
    assert_eq!(answer.context_data["plan"].as_deref(), Some("free"));
}

#[test]
fn registration_info() {
    let info: RegistrationInfo = assert_three_fixtures(
        &json!({
            "registration_status_code": 8,
            "registration_status_name": "PendingValidation",
            "auth_method": "AuthArmorAuthenticator",
        }),
        &[],
        &[],
        &["/registration_status_code"],
    );
    assert_eq!(
        info.registration_status_code,
        Some(RegistrationStatus::PendingValidation)
    );
}

#[test]
fn every_value_of_the_enums_is_known() {
    for text in ["Any", "CrossPlatform", "Platform"] {
        let value = AuthenticatorAttachment::from(text);
        assert!(!matches!(value, AuthenticatorAttachment::Other(_)));
    }
    for text in ["required", "preferred", "discouraged"] {
        let key = ResidentKeyRequirement::from(text);
        assert!(!matches!(key, ResidentKeyRequirement::Other(_)));
        let user = UserVerificationRequirement::from(text);
        assert!(!matches!(user, UserVerificationRequirement::Other(_)));
    }
    for text in ["new_user", "new_enrollment", "change_email"] {
        let value = MagiclinkEmailRegistrationType::from(text);
        assert!(!matches!(value, MagiclinkEmailRegistrationType::Other(_)));
    }
    for number in [0, 1, 2, 3, 4, 5, 6, 8, 9, 10] {
        let status = RegistrationStatus::from(number);
        assert!(!matches!(status, RegistrationStatus::Other(_)), "{number}");
    }
}
