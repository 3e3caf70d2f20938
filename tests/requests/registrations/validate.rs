use autharmor::Request;
use autharmor::registrations::{self, ValidateRegistration, ValidateRegistrationResponse};
use uuid::Uuid;

use super::{OTHER_ID, REGISTRATION, post, v3, v4};

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
    }
}
