use autharmor::registrations::{
    StartAuthenticatorRegistration, start_authenticator_registration,
    start_authenticator_registration_for_user,
};

use super::{NAME, assert_posts_for_user, post, v3, v4};

#[test]
fn start_authenticator_registration_exactly() {
    let none = StartAuthenticatorRegistration::new(NAME);
    let timed = none.clone().timeout_in_seconds(120);
    for (request, body) in [
        (none, r#"{"username":"ada@example.com"}"#),
        (
            timed.clone(),
            r#"{"username":"ada@example.com","timeout_in_seconds":120}"#,
        ),
    ] {
        let request = start_authenticator_registration(&request);
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
        v3(&start_authenticator_registration(&all)),
        post(
            "/v3/users/authenticator/register/start",
            r#"{"username":"ada@example.com","timeout_in_seconds":120,"reset_and_reinvite":true,"revoke_previous_invites":false}"#
        )
    );
}

#[test]
fn start_authenticator_registration_for_user_exactly() {
    assert_posts_for_user(
        start_authenticator_registration_for_user,
        ("/authenticator/register/start", ""),
        ("/registrations/authenticator/start", ""),
    );
}
