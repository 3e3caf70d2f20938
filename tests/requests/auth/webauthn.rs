use autharmor::UserKey;
use autharmor::auth::{
    FinishWebauthnAuth, StartWebauthnAuth, finish_webauthn_auth, start_webauthn_auth,
};

use super::{AUTH, BY_ID, BY_NAME, ID, LOCATION, OTHER_ID, assert_post, location, v4};

#[test]
fn start_webauthn_auth_exactly() {
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
        assert_post(&start_webauthn_auth(&request), path, &body);

        let all = request
            .ip_address("192.0.2.7")
            .user_agent("Browser/1")
            .nonce("n0nce");
        assert_eq!(
            v4(&start_webauthn_auth(&all)),
            format!(
                "POST /v4/auth/webauthn/start\n\
                 accept: application/json\n\
                 content-type: application/json\n\
                 {{{options},\"ip_address\":\"192.0.2.7\",\"user_agent\":\"Browser/1\",\"nonce\":\"n0nce\"}}"
            )
        );
    }
    let none = StartWebauthnAuth::new();
    assert_post(&start_webauthn_auth(&none), path, "{}");
}

#[test]
fn finish_webauthn_auth_exactly() {
    let path = "/auth/webauthn/finish";
    let none = FinishWebauthnAuth::new(OTHER_ID, "s1g", r#"{"id":"x"}"#);
    // The browser's response is text that holds JSON.
    let required =
        format!(r#"{AUTH},"aa_sig":"s1g","authenticator_response_data":"{{\"id\":\"x\"}}""#);
    let body = format!("{{{required}}}");
    assert_post(&finish_webauthn_auth(&none), path, &body);
    let all = none.webauthn_client_id("client");
    let body = format!(r#"{{{required},"webauthn_client_id":"client"}}"#);
    assert_post(&finish_webauthn_auth(&all), path, &body);
}
