use autharmor::UserKey;
use autharmor::auth::{StartAuthenticatorAuth, start_authenticator_auth};

use super::{BY_ID, BY_NAME, ID, LOCATION, assert_post, location};

#[test]
fn start_authenticator_auth_exactly() {
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
        assert_post(&start_authenticator_auth(&all(user)), path, &body);
    }
    let none = StartAuthenticatorAuth::new();
    assert_post(&start_authenticator_auth(&none), path, "{}");
    let off = none.send_push(false).use_visual_verify(false);
    let body = r#"{"send_push":false,"use_visual_verify":false}"#;
    assert_post(&start_authenticator_auth(&off), path, body);
}

#[test]
fn names_in_bodies_are_utf8() {
    let request = StartAuthenticatorAuth::new().user("zoë");
    assert_post(
        &start_authenticator_auth(&request),
        "/auth/authenticator/start",
        r#"{"username":"zoë"}"#,
    );
}
