use autharmor::ApiVersion;
use autharmor::registrations::{
    StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration, ValidateMagiclinkEmailRegistration,
    start_change_magiclink_email, start_magiclink_email_registration,
    start_magiclink_email_registration_for_user, validate_magiclink_email_registration,
};

use super::{ADDRESS, OTHER_ID, REGISTRATION, URL, assert_posts_for_user, post, refusal, v3, v4};

/// A mail registration with and without its options, and its body.
fn mail_registrations() -> [(StartMagiclinkEmailRegistration, &'static str); 2] {
    let none = StartMagiclinkEmailRegistration::new(ADDRESS, URL);
    let all = none
        .clone()
        .timeout_in_seconds(600)
        .action_name("Register")
        .short_msg("At Example")
        .context_data("b", "2")
        .context_data("a", "1")
        .ip_address("192.0.2.7")
        .user_agent("Browser/1");
    [
        (
            none,
            r#"{"email_address":"ada@example.org","registration_redirect_url":"https://example.com/new"}"#,
        ),
        (
            all,
            r#"{"email_address":"ada@example.org","timeout_in_seconds":600,"registration_redirect_url":"https://example.com/new","action_name":"Register","short_msg":"At Example","context_data":{"a":"1","b":"2"},"ip_address":"192.0.2.7","user_agent":"Browser/1"}"#,
        ),
    ]
}

#[test]
fn start_magiclink_email_registration_exactly() {
    for (request, body) in mail_registrations() {
        let request = start_magiclink_email_registration(&request);
        assert_eq!(
            v3(&request),
            post("/v3/users/magiclink_email/register/start", body)
        );
        assert_eq!(
            v4(&request),
            post("/v4/users/registrations/magiclink_email/start", body)
        );
    }
}

#[test]
fn start_magiclink_email_registration_for_user_exactly() {
    for (request, body) in mail_registrations() {
        assert_posts_for_user(
            |user| start_magiclink_email_registration_for_user(user, &request),
            ("/magiclink_email/register/start", body),
            ("/registrations/magiclink_email/start", body),
        );
    }
}

#[test]
fn start_change_magiclink_email_exactly() {
    let none = StartChangeMagiclinkEmail::new(ADDRESS, URL);
    let all = none
        .clone()
        .timeout_in_seconds(600)
        .action_name("Change")
        .short_msg("At Example")
        .context_data("a", "1");
    for (request, body) in [
        (
            none,
            r#"{"new_email_address":"ada@example.org","registration_redirect_url":"https://example.com/new"}"#,
        ),
        (
            all,
            r#"{"new_email_address":"ada@example.org","timeout_in_seconds":600,"registration_redirect_url":"https://example.com/new","action_name":"Change","short_msg":"At Example","context_data":{"a":"1"}}"#,
        ),
    ] {
        assert_posts_for_user(
            |user| start_change_magiclink_email(user, &request),
            ("/magiclink_email/update/start", body),
            ("/magiclink_email/update/start", body),
        );
    }
}

#[test]
fn validate_magiclink_email_registration_exactly() {
    let none = ValidateMagiclinkEmailRegistration::new("t0ken");
    let all = none.clone().ip_address("192.0.2.7").user_agent("Browser/1");
    for (request, body) in [
        (none, r#"{"registration_validation_token":"t0ken"}"#),
        (
            all,
            r#"{"registration_validation_token":"t0ken","ip_address":"192.0.2.7","user_agent":"Browser/1"}"#,
        ),
    ] {
        let without = validate_magiclink_email_registration(None, &request);
        let with = validate_magiclink_email_registration(OTHER_ID, &request);
        assert_eq!(
            v3(&without),
            post("/v3/users/register/magiclink_email/validate", body)
        );
        assert_eq!(
            v4(&with),
            post(
                &format!("/v4/users/registrations/magiclink_email/{REGISTRATION}/validate"),
                body
            )
        );
        assert_eq!(
            refusal(&with, ApiVersion::V3),
            "v3 cannot carry registration_id"
        );
        assert_eq!(
            refusal(&without, ApiVersion::V4),
            "v4 needs the registration_id"
        );
    }
}
