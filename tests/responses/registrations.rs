//! The responses of registration.

use autharmor::registrations::{
    self, AuthenticatorAttachment, Fido2RegistrationData, FinishWebauthnRegistration,
    FinishWebauthnRegistrationResponse, MagiclinkEmailRegistrationType, RegistrationStatus,
    ResidentKeyRequirement, StartAuthenticatorRegistrationResponse, StartChangeMagiclinkEmail,
    StartWebauthnRegistrationForUser, StartWebauthnRegistrationResponse,
    UserVerificationRequirement, ValidateMagiclinkEmailRegistration,
    ValidateMagiclinkEmailRegistrationResponse, ValidateRegistration, ValidateRegistrationResponse,
};
use serde_json::json;
use uuid::Uuid;

use super::decode;
use super::fixtures::assert_three_fixtures;

const ID: Uuid = Uuid::from_u128(7);
const REGISTRATION: &str = "99999999-2222-4333-8444-555555555555";
const USER: &str = "11111111-2222-4333-8444-555555555555";

#[test]
fn start_authenticator_registration() {
    let response = assert_three_fixtures(
        &registrations::start_authenticator_registration_for_user(ID),
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
    assert_eq!(response.qr_code_data, Some("qr h1dden".into()));
    let token = response.registration_validation_token;
    assert_eq!(token, Some("t0ken h1dden".into()));
}

#[test]
fn start_webauthn_registration() {
    let response = assert_three_fixtures(
        &registrations::start_webauthn_registration_for_user(
            ID,
            &StartWebauthnRegistrationForUser::new(),
        ),
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
    assert_eq!(response.aa_sig, Some("s1g h1dden".into()));

    // The other name of the value, alone and beside the first.
    for (aa_sig, aa_guid, expected) in [
        (json!("sig"), json!("guid"), Some("sig")),
        (json!(null), json!("guid"), Some("guid")),
        (json!(""), json!("guid"), Some("guid")),
        (json!("sig"), json!([1]), Some("sig")),
        (json!(null), json!(null), None),
    ] {
        let response: StartWebauthnRegistrationResponse =
            decode(json!({"registration_id": REGISTRATION, "aa_sig": aa_sig, "aa_guid": aa_guid}));
        assert_eq!(response.aa_sig, expected.map(Into::into));
    }

    // An object is returned as text.
    let response: StartWebauthnRegistrationResponse =
        decode(json!({"registration_id": REGISTRATION, "fido2_json_options": {"rp": {}}}));
    assert_eq!(response.fido2_json_options.unwrap(), r#"{"rp":{}}"#);
}

#[test]
fn finish_webauthn_registration() {
    let response = assert_three_fixtures(
        &registrations::finish_webauthn_registration(
            ID,
            &FinishWebauthnRegistration::new("s1g", Fido2RegistrationData::new("x", "att", "cl")),
        ),
        &json!({
            "user_id": USER,
            "username": "ada h1dden",
            "registration_validation_token": "t0ken h1dden",
        }),
        &[],
        &["registration_validation_token"],
        &[],
    );
    let token = response.registration_validation_token;
    assert_eq!(token, Some("t0ken h1dden".into()));
}

#[test]
fn validate_registration() {
    assert_three_fixtures(
        &registrations::validate_webauthn_registration(ID, &ValidateRegistration::new("t0ken")),
        &json!({"credential_id": REGISTRATION, "user_id": USER, "username": "ada h1dden"}),
        &[],
        &[],
        &[],
    );
    // The other name of the credential, alone and beside the first.
    for (json, expected) in [
        (json!({"device_id": "iPhone-7"}), Some("iPhone-7")),
        (json!({"device_id": 7}), Some("7")),
        (json!({"device_id": {"id": []}}), None),
        (
            json!({"device_id": {"id": []}, "credential_id": REGISTRATION}),
            Some(REGISTRATION),
        ),
        (json!({"device_id": USER, "credential_id": ""}), Some(USER)),
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
        let response: ValidateRegistrationResponse = decode(json);
        let id = response.credential_id.map(|id| id.to_string());
        assert_eq!(id.as_deref(), expected);
    }
}

#[test]
fn start_magiclink_email_registration() {
    assert_three_fixtures(
        &registrations::start_change_magiclink_email(
            ID,
            &StartChangeMagiclinkEmail::new("ada", "https://example.com"),
        ),
        &json!({"timeout_in_seconds": 300, "timeout_utc_datetime": "2020-07-11T17:09:44Z"}),
        &[],
        &[],
        &[],
    );
}

#[test]
fn validate_magiclink_email_registration() {
    let response = assert_three_fixtures(
        &registrations::validate_magiclink_email_registration(
            None,
            &ValidateMagiclinkEmailRegistration::new("t0ken"),
        ),
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
        response.magiclink_email_registration_type,
        Some(MagiclinkEmailRegistrationType::ChangeEmail)
    );
    assert_eq!(response.context_data["plan"].as_deref(), Some("free"));
}

#[test]
fn registration_info() {
    let info = assert_three_fixtures(
        &registrations::get_registration_info(ID),
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
        let started: StartAuthenticatorRegistrationResponse = decode(json!({
            "registration_id": REGISTRATION, "user_id": odd, "username": odd,
            "date_expires": odd, "auth_method": odd, "qr_code_data": odd,
        }));
        assert_eq!(started.registration_id.to_string(), REGISTRATION);
        assert_eq!(started.user_id, None);

        let started: StartWebauthnRegistrationResponse =
            decode(json!({"registration_id": REGISTRATION, "user_id": odd}));
        assert_eq!(started.user_id, None);

        let finished: FinishWebauthnRegistrationResponse = decode(json!({
            "registration_validation_token": "t0ken", "user_id": odd, "username": odd,
        }));
        assert_eq!(finished.registration_validation_token, Some("t0ken".into()));

        let validated: ValidateRegistrationResponse =
            decode(json!({"credential_id": REGISTRATION, "user_id": odd}));
        assert_eq!(validated.credential_id.unwrap().as_str(), REGISTRATION);
        assert_eq!(validated.user_id, None);

        let validated: ValidateMagiclinkEmailRegistrationResponse =
            decode(json!({"user_id": odd, "username": ""}));
        assert_eq!((validated.user_id, validated.username), (None, None));
    }
}
