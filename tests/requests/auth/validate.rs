use autharmor::auth::{self, ValidateAuth, ValidateAuthResponse};
use autharmor::{ApiVersion, Endpoint, Request};

use super::super::refusal;
use super::{AUTH, OTHER_ID, assert_post, v4};

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
            assert!(refusal(&all, ApiVersion::V3) == "v3 cannot carry nonce");
        }
    }
}
