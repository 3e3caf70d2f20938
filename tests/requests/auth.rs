//! Signing in. No endpoint here has a user in its route, so the two versions
//! differ by their prefix only.

use autharmor::auth::{
    self, FinishWebauthnAuth, LocationData, StartAuthenticatorAuth, StartMagiclinkEmailAuth,
    StartWebauthnAuth, ValidateAuth, ValidateAuthResponse,
};
use autharmor::{ApiVersion, Endpoint, ErrorKind, Request, UserKey};
use uuid::Uuid;

use super::{ID, OTHER_ID, show, target, v3, v4, v4_query};

const BY_ID: &str = r#""user_id":"11111111-2222-4333-8444-555555555555""#;
const BY_NAME: &str = r#""username":"ada@example.com""#;
const AUTH: &str = r#""auth_request_id":"99999999-2222-4333-8444-555555555555""#;

/// Under both versions exactly this, and the same with leave to put names into
/// the query: here they are in the body.
fn assert_post<T>(request: &Request<T>, path: &str, body: &str) {
    let expected = |version| {
        format!(
            "POST /{version}{path}\n\
             accept: application/json\n\
             content-type: application/json\n\
             {body}"
        )
    };
    assert_eq!(v3(request), expected("v3"));
    assert_eq!(v4(request), expected("v4"));
    assert_eq!(v4_query(request), expected("v4"));
}

/// The text of the error, which is about input.
#[track_caller]
fn refusal<T>(request: &Request<T>, version: ApiVersion) -> String {
    let error = show(request, &target(version)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!error.may_have_been_sent());
    error.to_string()
}

#[track_caller]
fn assert_refused<T>(request: &Request<T>, why: &str) {
    for version in [ApiVersion::V3, ApiVersion::V4] {
        let expected = format!("{}: invalid input: {why}", request.endpoint().name());
        assert_eq!(refusal(request, version), expected);
    }
}

fn location() -> LocationData {
    LocationData::new()
        .latitude("51.5")
        .longitude("-0.12")
        .ip_address("192.0.2.1")
}

const LOCATION: &str =
    r#""origin_location_data":{"latitude":"51.5","longitude":"-0.12","ip_address":"192.0.2.1"}"#;

#[test]
fn start_authenticator_auth() {
    let path = "/auth/authenticator/start";
    let all = |user: UserKey| {
        StartAuthenticatorAuth::new()
            .user(user)
            .nonce("n0nce")
            .send_push(true)
            .use_visual_verify(true)
            .timeout_in_seconds(60)
            .origin_location_data(location())
            .action_name("Sign in")
            .short_msg("To \"Example\"")
            .ip_address("192.0.2.7")
            .user_agent("Browser/1")
    };
    for (user, json) in [(ID.into(), BY_ID), ("ada@example.com".into(), BY_NAME)] {
        let body = format!(
            r#"{{{json},"nonce":"n0nce","send_push":true,"use_visual_verify":true,"timeout_in_seconds":60,{LOCATION},"action_name":"Sign in","short_msg":"To \"Example\"","ip_address":"192.0.2.7","user_agent":"Browser/1"}}"#
        );
        assert_post(&auth::start_authenticator_auth(&all(user)), path, &body);
    }
    let none = StartAuthenticatorAuth::new();
    assert_post(&auth::start_authenticator_auth(&none), path, "{}");
    let off = none.send_push(false).use_visual_verify(false);
    let body = r#"{"send_push":false,"use_visual_verify":false}"#;
    assert_post(&auth::start_authenticator_auth(&off), path, body);
}

#[test]
fn start_webauthn_auth() {
    let path = "/auth/webauthn/start";
    let all_of_v3 = |user: UserKey| {
        StartWebauthnAuth::new()
            .user(user)
            .timeout_in_seconds(60)
            .origin_location_data(location())
            .action_name("Sign in")
            .short_msg("To Example")
            .webauthn_client_id("client")
    };
    for (user, json) in [(ID.into(), BY_ID), ("ada@example.com".into(), BY_NAME)] {
        let options = format!(
            r#"{json},"timeout_in_seconds":60,{LOCATION},"action_name":"Sign in","short_msg":"To Example","webauthn_client_id":"client""#
        );
        let request = all_of_v3(user);
        let body = format!("{{{options}}}");
        assert_post(&auth::start_webauthn_auth(&request), path, &body);

        let all = request
            .ip_address("192.0.2.7")
            .user_agent("Browser/1")
            .nonce("n0nce");
        assert_eq!(
            v4(&auth::start_webauthn_auth(&all)),
            format!(
                "POST /v4/auth/webauthn/start\n\
                 accept: application/json\n\
                 content-type: application/json\n\
                 {{{options},\"ip_address\":\"192.0.2.7\",\"user_agent\":\"Browser/1\",\"nonce\":\"n0nce\"}}"
            )
        );
    }
    let none = StartWebauthnAuth::new();
    assert_post(&auth::start_webauthn_auth(&none), path, "{}");
}

#[test]
fn finish_webauthn_auth() {
    let path = "/auth/webauthn/finish";
    let none = FinishWebauthnAuth::new(OTHER_ID, "s1g", r#"{"id":"x"}"#);
    // The browser's answer is text that holds JSON.
    let required =
        format!(r#"{AUTH},"aa_sig":"s1g","authenticator_response_data":"{{\"id\":\"x\"}}""#);
    let body = format!("{{{required}}}");
    assert_post(&auth::finish_webauthn_auth(&none), path, &body);
    let all = none.webauthn_client_id("client");
    let body = format!(r#"{{{required},"webauthn_client_id":"client"}}"#);
    assert_post(&auth::finish_webauthn_auth(&all), path, &body);
}

#[test]
fn start_magiclink_email_auth() {
    let path = "/auth/magiclink_email/start";
    for (user, json) in [
        (UserKey::from(ID), BY_ID),
        ("ada@example.com".into(), BY_NAME),
    ] {
        let none = StartMagiclinkEmailAuth::new(user, "https://example.com/in?a=b");
        let url = r#""auth_redirect_url":"https://example.com/in?a=b""#;
        let body = format!("{{{json},{url}}}");
        assert_post(&auth::start_magiclink_email_auth(&none), path, &body);
        let all = none
            .timeout_in_seconds(60)
            .origin_location_data(location())
            .action_name("Sign in")
            .short_msg("To Example")
            .context_data("b", "2")
            .context_data("a", "1")
            .ip_address("192.0.2.7")
            .user_agent("Browser/1");
        let body = format!(
            r#"{{{json},"timeout_in_seconds":60,{LOCATION},"action_name":"Sign in","short_msg":"To Example",{url},"context_data":{{"a":"1","b":"2"}},"ip_address":"192.0.2.7","user_agent":"Browser/1"}}"#
        );
        assert_post(&auth::start_magiclink_email_auth(&all), path, &body);
    }
}

/// A builder function for a validation.
type Validate = fn(&ValidateAuth) -> Request<ValidateAuthResponse>;

const VALIDATIONS: [(Validate, &str); 3] = [
    (
        auth::validate_authenticator_auth,
        "/auth/authenticator/validate",
    ),
    (auth::validate_webauthn_auth, "/auth/webauthn/validate"),
    (
        auth::validate_magiclink_email_auth,
        "/auth/magiclink_email/validate",
    ),
];

#[test]
fn validations() {
    let token = r#""auth_validation_token":"t0ken""#;
    let pair = r#""ip_address":"192.0.2.7","user_agent":"Browser/1""#;
    for (validate, path) in VALIDATIONS {
        let none = ValidateAuth::new(OTHER_ID, "t0ken");
        assert_post(&validate(&none), path, &format!("{{{AUTH},{token}}}"));
        let all_of_v3 = none.ip_address("192.0.2.7").user_agent("Browser/1");
        let body = format!("{{{AUTH},{token},{pair}}}");
        assert_post(&validate(&all_of_v3), path, &body);

        let all = validate(&all_of_v3.nonce("n0nce"));
        let body = format!(r#"{{{AUTH},{token},"nonce":"n0nce",{pair}}}"#);
        if all.endpoint() == Endpoint::ValidateAuthenticatorAuth {
            assert_post(&all, path, &body);
        } else {
            assert!(v4(&all).ends_with(&body), "{path}");
            assert!(refusal(&all, ApiVersion::V3).ends_with("v3 cannot carry nonce"));
        }
    }
}

#[test]
fn get_auth_info() {
    let request = auth::get_auth_info(OTHER_ID);
    let expected = |version| {
        format!(
            "GET /{version}/auth/99999999-2222-4333-8444-555555555555\naccept: application/json\n"
        )
    };
    assert_eq!(v3(&request), expected("v3"));
    assert_eq!(v4(&request), expected("v4"));
    assert_refused(&auth::get_auth_info(Uuid::nil()), "an id is the nil UUID");
}

#[test]
fn v3_refuses_what_it_cannot_carry() {
    let plain = StartWebauthnAuth::new;
    for (request, field) in [
        (plain().nonce("n"), "nonce"),
        (plain().ip_address("192.0.2.7"), "ip_address"),
        (plain().user_agent("Browser/1"), "user_agent"),
    ] {
        let request = auth::start_webauthn_auth(&request);
        assert_eq!(
            refusal(&request, ApiVersion::V3),
            format!("start_webauthn_auth: invalid input: v3 cannot carry {field}")
        );
        v4(&request);
    }
}

#[test]
fn timeouts_of_sign_ins_have_bounds() {
    let why = "timeout_in_seconds must be 15 to 300";
    for (seconds, fits) in [
        (0, false),
        (14, false),
        (15, true),
        (300, true),
        (301, false),
        (u32::MAX, false),
    ] {
        let app = StartAuthenticatorAuth::new().timeout_in_seconds(seconds);
        let webauthn = StartWebauthnAuth::new().timeout_in_seconds(seconds);
        let mail = StartMagiclinkEmailAuth::new(ID, "https://example.com");
        let mail = mail.timeout_in_seconds(seconds);
        let (app, webauthn, mail) = (
            auth::start_authenticator_auth(&app),
            auth::start_webauthn_auth(&webauthn),
            auth::start_magiclink_email_auth(&mail),
        );
        if fits {
            for text in [v3(&app), v3(&webauthn), v3(&mail)] {
                assert!(text.contains(&format!("\"timeout_in_seconds\":{seconds}")));
            }
        } else {
            assert_refused(&app, why);
            assert_refused(&webauthn, why);
            assert_refused(&mail, why);
        }
    }
}

#[test]
fn action_names_of_mails_have_bounds() {
    let request = |name: &str| {
        let request = StartMagiclinkEmailAuth::new(ID, "https://example.com");
        auth::start_magiclink_email_auth(&request.action_name(name))
    };
    // Characters count, not bytes.
    for name in ["ab", "éé", &"é".repeat(32)] {
        v3(&request(name));
    }
    for name in ["", "a", "é", &"a".repeat(33)] {
        assert_refused(
            &request(name),
            "action_name must be 2 to 32 characters long",
        );
    }
    // No such bounds elsewhere.
    let app = StartAuthenticatorAuth::new().action_name("a".repeat(33));
    v3(&auth::start_authenticator_auth(&app));
}

#[test]
fn secrets_that_must_be_there_are_not_empty() {
    let finish = FinishWebauthnAuth::new(OTHER_ID, "", "{}");
    assert_refused(&auth::finish_webauthn_auth(&finish), "aa_sig is empty");
    for (validate, _) in VALIDATIONS {
        assert_refused(
            &validate(&ValidateAuth::new(OTHER_ID, "")),
            "auth_validation_token is empty",
        );
    }
}

#[test]
fn users_in_bodies_are_checked() {
    for (key, why) in [
        (UserKey::from(Uuid::nil()), "the nil UUID is no user's id"),
        ("".into(), "the username is empty"),
        ("ada\n".into(), "the username holds a control character"),
        (
            " ada".into(),
            "the username begins or ends with white space",
        ),
    ] {
        let app = StartAuthenticatorAuth::new().user(&key);
        let webauthn = StartWebauthnAuth::new().user(&key);
        let mail = StartMagiclinkEmailAuth::new(&key, "https://example.com");
        assert_refused(&auth::start_authenticator_auth(&app), why);
        assert_refused(&auth::start_webauthn_auth(&webauthn), why);
        assert_refused(&auth::start_magiclink_email_auth(&mail), why);
    }
    // Bodies are UTF-8 in both versions.
    let app = StartAuthenticatorAuth::new().user("zoë");
    assert_post(
        &auth::start_authenticator_auth(&app),
        "/auth/authenticator/start",
        r#"{"username":"zoë"}"#,
    );
}

#[test]
fn debug_shows_no_secret_and_no_name() {
    let app = StartAuthenticatorAuth::new().user("h1dden").nonce("h1dden");
    let webauthn = StartWebauthnAuth::new().user("h1dden").nonce("h1dden");
    let finish = FinishWebauthnAuth::new(OTHER_ID, "h1dden", "h1dden");
    let mail = StartMagiclinkEmailAuth::new("h1dden", "https://example.com");
    let validate = ValidateAuth::new(OTHER_ID, "h1dden").nonce("h1dden");
    for text in [
        format!("{app:?}"),
        format!("{webauthn:?}"),
        format!("{finish:?}"),
        format!("{mail:?}"),
        format!("{validate:?}"),
        format!("{:?}", auth::validate_webauthn_auth(&validate)),
    ] {
        assert!(!text.contains("h1dden"), "{text}");
    }
}
