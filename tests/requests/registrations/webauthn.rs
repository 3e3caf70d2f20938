use autharmor::registrations::{
    AuthenticatorAttachment, Fido2RegistrationData, FinishWebauthnRegistration,
    ResidentKeyRequirement, StartWebauthnRegistration, StartWebauthnRegistrationForUser,
    UserVerificationRequirement, finish_webauthn_registration,
    finish_webauthn_registration_for_user, start_webauthn_registration,
    start_webauthn_registration_for_user,
};

use super::{ADDRESS, ID, NAME, OTHER_ID, REGISTRATION, USER, assert_posts_for_user, post, v3, v4};

#[test]
fn start_webauthn_registration_exactly() {
    let none = StartWebauthnRegistration::new(NAME);
    let all_of_v3 = none
        .clone()
        .email_address(ADDRESS)
        .timeout_in_seconds(120)
        .webauthn_client_id("client")
        .attachment_type(AuthenticatorAttachment::CrossPlatform);
    let v3_body = r#"{"username":"ada@example.com","email_address":"ada@example.org","timeout_in_seconds":120,"webauthn_client_id":"client","attachment_type":"CrossPlatform"}"#;
    for (request, body) in [
        (none, r#"{"username":"ada@example.com"}"#),
        (all_of_v3.clone(), v3_body),
    ] {
        let request = start_webauthn_registration(&request);
        assert_eq!(
            v3(&request),
            post("/v3/users/webauthn/register/start", body)
        );
        assert_eq!(
            v4(&request),
            post("/v4/users/registrations/webauthn/start", body)
        );
    }
    let all = all_of_v3
        .resident_key_requirement_type(ResidentKeyRequirement::Required)
        .user_verification_requirement_type(UserVerificationRequirement::Discouraged);
    assert_eq!(
        v4(&start_webauthn_registration(&all)),
        post(
            "/v4/users/registrations/webauthn/start",
            r#"{"username":"ada@example.com","email_address":"ada@example.org","timeout_in_seconds":120,"webauthn_client_id":"client","attachment_type":"CrossPlatform","resident_key_requirement_type":"required","user_verification_requirement_type":"discouraged"}"#
        )
    );
}

#[test]
fn start_webauthn_registration_for_user_exactly() {
    let none = StartWebauthnRegistrationForUser::new();
    let all_of_v3 = none
        .clone()
        .timeout_in_seconds(120)
        .webauthn_client_id("client")
        .attachment_type(AuthenticatorAttachment::Any);
    for (request, body) in [
        (&none, "{}"),
        (
            &all_of_v3,
            r#"{"timeout_in_seconds":120,"webauthn_client_id":"client","attachment_type":"Any"}"#,
        ),
    ] {
        assert_posts_for_user(
            |user| start_webauthn_registration_for_user(user, request),
            ("/webauthn/register/start", body),
            ("/registrations/webauthn/start", body),
        );
    }
    let all = all_of_v3
        .resident_key_requirement_type(ResidentKeyRequirement::Preferred)
        .user_verification_requirement_type(UserVerificationRequirement::Required);
    assert_eq!(
        v4(&start_webauthn_registration_for_user(ID, &all)),
        post(
            &format!("/v4/users/{USER}/registrations/webauthn/start"),
            r#"{"timeout_in_seconds":120,"webauthn_client_id":"client","attachment_type":"Any","resident_key_requirement_type":"preferred","user_verification_requirement_type":"required"}"#
        )
    );
}

/// Both finish calls with and without their one option: the request and its
/// body under v4. v3 has the registration's id in front of it.
fn finishes() -> [(FinishWebauthnRegistration, String, String); 2] {
    let none = FinishWebauthnRegistration::new("s1g", Fido2RegistrationData::new("x", "att", "cl"));
    // The browser's response is an object, not text.
    let fields = r#""aa_sig":"s1g","authenticator_response_data":{"id":"x","attestation_object":"att","client_data":"cl"}"#;
    let both = |fields: &str| {
        (
            format!(r#"{{"registration_id":"{REGISTRATION}",{fields}}}"#),
            format!("{{{fields}}}"),
        )
    };
    let all = none.clone().webauthn_client_id("client");
    let all_fields = format!(r#"{fields},"webauthn_client_id":"client""#);
    [(none, both(fields)), (all, both(&all_fields))].map(|(request, (v3, v4))| (request, v3, v4))
}

#[test]
fn finish_webauthn_registration_exactly() {
    for (request, v3_body, v4_body) in finishes() {
        let request = finish_webauthn_registration(OTHER_ID, &request);
        assert_eq!(
            v3(&request),
            post("/v3/users/webauthn/register/finish", &v3_body)
        );
        assert_eq!(
            v4(&request),
            post(
                &format!("/v4/users/registrations/webauthn/{REGISTRATION}/finish"),
                &v4_body
            )
        );
    }
}

#[test]
fn finish_webauthn_registration_for_user_exactly() {
    for (request, v3_body, v4_body) in finishes() {
        assert_posts_for_user(
            |user| finish_webauthn_registration_for_user(user, OTHER_ID, &request),
            ("/webauthn/register/finish", &v3_body),
            (
                &format!("/registrations/webauthn/{REGISTRATION}/finish"),
                &v4_body,
            ),
        );
    }
}
