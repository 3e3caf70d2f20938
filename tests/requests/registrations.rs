//! Registering users. The routes of the two versions differ.

use autharmor::registrations::{
    self, AuthenticatorAttachment, Fido2RegistrationData, FinishWebauthnRegistration,
    ResidentKeyRequirement, StartAuthenticatorRegistration, StartChangeMagiclinkEmail,
    StartMagiclinkEmailRegistration, StartWebauthnRegistration, StartWebauthnRegistrationForUser,
    UserVerificationRequirement, ValidateMagiclinkEmailRegistration, ValidateRegistration,
    ValidateRegistrationResponse,
};
use autharmor::{ApiVersion, ErrorKind, Request, UserKey};
use uuid::Uuid;

use super::{ID, OTHER_ID, show, target, v3, v4, v4_query};

const NAME: &str = "ada@example.com";
const ADDRESS: &str = "ada@example.org";
const URL: &str = "https://example.com/new";
const USER: &str = "11111111-2222-4333-8444-555555555555";
const REGISTRATION: &str = "99999999-2222-4333-8444-555555555555";
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A POST with a JSON body, or without any if it is empty.
fn post(target: &str, body: &str) -> String {
    post_with(target, "", body)
}

/// The same with one header more.
fn post_with(target: &str, header: &str, body: &str) -> String {
    let content = match body {
        "" => "",
        _ => "content-type: application/json\n",
    };
    format!("POST {target}\naccept: application/json\n{content}{header}{body}")
}

/// What a call about a user is under v3 and v4, by id and by name. The routes
/// are what follows `/users/{user_id}`.
fn assert_posts_for_user<T>(
    request: impl Fn(UserKey) -> Request<T>,
    (v3_route, v3_body): (&str, &str),
    (v4_route, v4_body): (&str, &str),
) {
    let by_id = request(ID.into());
    let target = |version, user, route| format!("/{version}/users/{user}{route}");
    assert_eq!(v3(&by_id), post(&target("v3", USER, v3_route), v3_body));
    assert_eq!(v4(&by_id), post(&target("v4", USER, v4_route), v4_body));

    let by_name = request(NAME.into());
    assert_eq!(
        v3(&by_name),
        post_with(
            &target("v3", NOBODY, v3_route),
            "x-autharmor-usernamevalue: ada@example.com\n",
            v3_body
        )
    );
    assert_eq!(
        v4_query(&by_name),
        post(
            &(target("v4", NOBODY, v4_route) + "?username=ada%40example.com"),
            v4_body
        )
    );
    let error = show(&by_name, &super::target(ApiVersion::V4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UsernameInUrl);
}

/// The text of the error, which is about input.
#[track_caller]
fn refusal<T>(request: &Request<T>, version: ApiVersion) -> String {
    let error = show(request, &target(version)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!error.may_have_been_sent());
    let text = error.to_string();
    let where_and_what = format!("{}: invalid input: ", request.endpoint().name());
    text.strip_prefix(&where_and_what).unwrap().to_owned()
}

#[track_caller]
fn assert_refused<T>(request: &Request<T>, why: &str) {
    for version in [ApiVersion::V3, ApiVersion::V4] {
        assert_eq!(refusal(request, version), why);
    }
}

#[test]
fn start_authenticator_registration() {
    let none = StartAuthenticatorRegistration::new(NAME);
    let timed = none.clone().timeout_in_seconds(120);
    for (request, body) in [
        (none, r#"{"username":"ada@example.com"}"#),
        (
            timed.clone(),
            r#"{"username":"ada@example.com","timeout_in_seconds":120}"#,
        ),
    ] {
        let request = registrations::start_authenticator_registration(&request);
        assert_eq!(
            v3(&request),
            post("/v3/users/authenticator/register/start", body)
        );
        assert_eq!(
            v4(&request),
            post("/v4/users/registrations/authenticator/start", body)
        );
    }
    let all = timed
        .reset_and_reinvite(true)
        .revoke_previous_invites(false);
    assert_eq!(
        v3(&registrations::start_authenticator_registration(&all)),
        post(
            "/v3/users/authenticator/register/start",
            r#"{"username":"ada@example.com","timeout_in_seconds":120,"reset_and_reinvite":true,"revoke_previous_invites":false}"#
        )
    );
}

#[test]
fn start_authenticator_registration_for_user() {
    assert_posts_for_user(
        registrations::start_authenticator_registration_for_user,
        ("/authenticator/register/start", ""),
        ("/registrations/authenticator/start", ""),
    );
}

/// A builder function for a validation.
type Validate = fn(Uuid, &ValidateRegistration) -> Request<ValidateRegistrationResponse>;

const VALIDATIONS: [(Validate, &str); 2] = [
    (
        registrations::validate_authenticator_registration,
        "authenticator",
    ),
    (registrations::validate_webauthn_registration, "webauthn"),
];

#[test]
fn validations_are_v4_in_both_versions() {
    for (validate, method) in VALIDATIONS {
        let request = validate(OTHER_ID, &ValidateRegistration::new("t0ken"));
        let expected = post(
            &format!("/v4/users/registrations/{method}/{REGISTRATION}/validate"),
            r#"{"registration_validation_token":"t0ken"}"#,
        );
        assert_eq!(v3(&request), expected);
        assert_eq!(v4(&request), expected);

        assert_refused(
            &validate(OTHER_ID, &ValidateRegistration::new("")),
            "registration_validation_token is empty",
        );
        assert_refused(
            &validate(Uuid::nil(), &ValidateRegistration::new("t0ken")),
            "an id is the nil UUID",
        );
    }
}

#[test]
fn start_webauthn_registration() {
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
        let request = registrations::start_webauthn_registration(&request);
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
        v4(&registrations::start_webauthn_registration(&all)),
        post(
            "/v4/users/registrations/webauthn/start",
            r#"{"username":"ada@example.com","email_address":"ada@example.org","timeout_in_seconds":120,"webauthn_client_id":"client","attachment_type":"CrossPlatform","resident_key_requirement_type":"required","user_verification_requirement_type":"discouraged"}"#
        )
    );
}

#[test]
fn start_webauthn_registration_for_user() {
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
            |user| registrations::start_webauthn_registration_for_user(user, request),
            ("/webauthn/register/start", body),
            ("/registrations/webauthn/start", body),
        );
    }
    let all = all_of_v3
        .resident_key_requirement_type(ResidentKeyRequirement::Preferred)
        .user_verification_requirement_type(UserVerificationRequirement::Required);
    assert_eq!(
        v4(&registrations::start_webauthn_registration_for_user(
            ID, &all
        )),
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
    // The browser's answer is an object, not text.
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
fn finish_webauthn_registration() {
    for (request, v3_body, v4_body) in finishes() {
        let request = registrations::finish_webauthn_registration(OTHER_ID, &request);
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
fn finish_webauthn_registration_for_user() {
    for (request, v3_body, v4_body) in finishes() {
        assert_posts_for_user(
            |user| registrations::finish_webauthn_registration_for_user(user, OTHER_ID, &request),
            ("/webauthn/register/finish", &v3_body),
            (
                &format!("/registrations/webauthn/{REGISTRATION}/finish"),
                &v4_body,
            ),
        );
    }
}

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
fn start_magiclink_email_registration() {
    for (request, body) in mail_registrations() {
        let request = registrations::start_magiclink_email_registration(&request);
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
fn start_magiclink_email_registration_for_user() {
    for (request, body) in mail_registrations() {
        assert_posts_for_user(
            |user| registrations::start_magiclink_email_registration_for_user(user, &request),
            ("/magiclink_email/register/start", body),
            ("/registrations/magiclink_email/start", body),
        );
    }
}

#[test]
fn start_change_magiclink_email() {
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
            |user| registrations::start_change_magiclink_email(user, &request),
            ("/magiclink_email/update/start", body),
            ("/magiclink_email/update/start", body),
        );
    }
}

#[test]
fn validate_magiclink_email_registration() {
    let none = ValidateMagiclinkEmailRegistration::new("t0ken");
    let all = none.clone().ip_address("192.0.2.7").user_agent("Browser/1");
    for (request, body) in [
        (none, r#"{"registration_validation_token":"t0ken"}"#),
        (
            all,
            r#"{"registration_validation_token":"t0ken","ip_address":"192.0.2.7","user_agent":"Browser/1"}"#,
        ),
    ] {
        let without = registrations::validate_magiclink_email_registration(&request);
        let with = registrations::validate_magiclink_email_registration(
            &request.registration_id(OTHER_ID),
        );
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
    assert_refused(
        &registrations::validate_magiclink_email_registration(
            &ValidateMagiclinkEmailRegistration::new(""),
        ),
        "registration_validation_token is empty",
    );
}

#[test]
fn get_registration_info() {
    let request = registrations::get_registration_info(OTHER_ID);
    let expected =
        format!("GET /v4/users/registrations/{REGISTRATION}\naccept: application/json\n");
    assert_eq!(v3(&request), expected);
    assert_eq!(v4(&request), expected);
    assert_refused(
        &registrations::get_registration_info(Uuid::nil()),
        "an id is the nil UUID",
    );
}

#[test]
fn a_version_refuses_what_it_cannot_carry() {
    let invite = || StartAuthenticatorRegistration::new(NAME);
    for (request, field) in [
        (invite().reset_and_reinvite(true), "reset_and_reinvite"),
        // To say no is to say something.
        (invite().reset_and_reinvite(false), "reset_and_reinvite"),
        (
            invite().revoke_previous_invites(true),
            "revoke_previous_invites",
        ),
    ] {
        let request = registrations::start_authenticator_registration(&request);
        v3(&request);
        let why = format!("v4 cannot carry {field}");
        assert_eq!(refusal(&request, ApiVersion::V4), why);
    }

    let (key, user) = (
        ResidentKeyRequirement::Required,
        UserVerificationRequirement::Required,
    );
    let new = || StartWebauthnRegistration::new(NAME);
    let add = StartWebauthnRegistrationForUser::new;
    for (new, add, field) in [
        (
            new().resident_key_requirement_type(key.clone()),
            add().resident_key_requirement_type(key),
            "resident_key_requirement_type",
        ),
        (
            new().user_verification_requirement_type(user.clone()),
            add().user_verification_requirement_type(user),
            "user_verification_requirement_type",
        ),
    ] {
        let why = format!("v3 cannot carry {field}");
        let new = registrations::start_webauthn_registration(&new);
        let add = registrations::start_webauthn_registration_for_user(ID, &add);
        v4(&new);
        v4(&add);
        assert_eq!(refusal(&new, ApiVersion::V3), why);
        assert_eq!(refusal(&add, ApiVersion::V3), why);
    }
}

#[test]
fn names_of_new_users_have_bounds_in_the_authenticator_app() {
    let app = |name: &str| {
        registrations::start_authenticator_registration(&StartAuthenticatorRegistration::new(name))
    };
    // Characters count, not bytes.
    for name in ["ab", "éé", &"é".repeat(42)] {
        v3(&app(name));
    }
    for name in ["a", "é", &"a".repeat(43)] {
        assert_refused(&app(name), "username must be 2 to 42 characters long");
    }
    // No such bounds elsewhere.
    for name in ["a", &"a".repeat(1024)] {
        v3(&registrations::start_webauthn_registration(
            &StartWebauthnRegistration::new(name),
        ));
    }
}

#[test]
fn names_and_addresses_are_checked() {
    for (name, fault) in [
        ("", "is empty"),
        ("ada\0", "holds a control character"),
        ("ada\u{a0}", "begins or ends with white space"),
        (&"a".repeat(1025), "is longer than 1,024 bytes"),
    ] {
        let why = |what| format!("the {what} {fault}");
        let app = StartAuthenticatorRegistration::new(name);
        let app = registrations::start_authenticator_registration(&app);
        assert_refused(&app, &why("username"));
        let webauthn = StartWebauthnRegistration::new(name);
        let webauthn = registrations::start_webauthn_registration(&webauthn);
        assert_refused(&webauthn, &why("username"));
        let webauthn = StartWebauthnRegistration::new(NAME).email_address(name);
        let webauthn = registrations::start_webauthn_registration(&webauthn);
        assert_refused(&webauthn, &why("email_address"));
        let mail = StartMagiclinkEmailRegistration::new(name, URL);
        assert_refused(
            &registrations::start_magiclink_email_registration(&mail),
            &why("email_address"),
        );
        assert_refused(
            &registrations::start_magiclink_email_registration_for_user(ID, &mail),
            &why("email_address"),
        );
        let change = StartChangeMagiclinkEmail::new(name, URL);
        assert_refused(
            &registrations::start_change_magiclink_email(ID, &change),
            &why("new_email_address"),
        );
    }
}

#[test]
fn aa_sig_is_not_empty() {
    let answer = Fido2RegistrationData::new("x", "att", "cl");
    let request = FinishWebauthnRegistration::new("", answer);
    assert_refused(
        &registrations::finish_webauthn_registration(OTHER_ID, &request),
        "aa_sig is empty",
    );
    assert_refused(
        &registrations::finish_webauthn_registration_for_user(ID, OTHER_ID, &request),
        "aa_sig is empty",
    );
}

#[test]
fn debug_shows_no_secret_and_no_name() {
    let answer = Fido2RegistrationData::new("x", "att", "cl");
    for text in [
        format!("{:?}", StartAuthenticatorRegistration::new("h1dden")),
        format!(
            "{:?}",
            StartWebauthnRegistration::new("h1dden").email_address("h1dden")
        ),
        format!("{:?}", FinishWebauthnRegistration::new("h1dden", answer)),
        format!("{:?}", ValidateRegistration::new("h1dden")),
        format!("{:?}", StartMagiclinkEmailRegistration::new("h1dden", URL)),
        format!("{:?}", StartChangeMagiclinkEmail::new("h1dden", URL)),
        format!("{:?}", ValidateMagiclinkEmailRegistration::new("h1dden")),
    ] {
        assert!(!text.contains("h1dden"), "{text}");
    }
}
