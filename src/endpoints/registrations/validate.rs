//! Request and response of the validate endpoints of the authenticator app and
//! of WebAuthn.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::endpoints::checks::check_filled;
use crate::endpoints::credentials::CredentialId;
use crate::error::Error;
use crate::http::Payload;
use crate::secret::{Private, Secret};
use crate::types::{empty_as_none, lenient};

/// The body of
/// [`validate_authenticator_registration`](super::validate_authenticator_registration)
/// and [`validate_webauthn_registration`](super::validate_webauthn_registration).
///
/// ```
/// use autharmor::registrations::ValidateRegistration;
///
/// let request = ValidateRegistration::new("the token of this registration");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ValidateRegistration {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) registration_validation_token: Secret,
}

impl ValidateRegistration {
    /// Validates a registration with its token, which is not empty.
    ///
    /// The token is in the start response of the authenticator app and in the
    /// finish response of WebAuthn.
    #[must_use]
    pub fn new(registration_validation_token: impl Into<Secret>) -> Self {
        Self {
            registration_validation_token: registration_validation_token.into(),
        }
    }
}

impl Payload for ValidateRegistration {
    fn check(&self) -> Result<(), Error> {
        check_filled(
            self.registration_validation_token.expose(),
            "registration_validation_token",
        )
    }
}

/// The response of
/// [`validate_authenticator_registration`](super::validate_authenticator_registration)
/// and [`validate_webauthn_registration`](super::validate_webauthn_registration):
/// the new credential and its user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ValidateRegistrationBody")]
#[non_exhaustive]
pub struct ValidateRegistrationResponse {
    /// The new credential. One of the vendor's SDKs names it `device_id`,
    /// which is read as well.
    pub credential_id: Option<CredentialId>,
    /// The user.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
}

/// The response with both names of the credential's id. (A serde alias would
/// refuse a response that has both.)
#[derive(Deserialize)]
struct ValidateRegistrationBody {
    #[serde(default, deserialize_with = "lenient")]
    credential_id: Option<CredentialId>,
    #[serde(default, deserialize_with = "lenient")]
    device_id: Option<CredentialId>,
    #[serde(default, deserialize_with = "lenient")]
    user_id: Option<Uuid>,
    #[serde(default, deserialize_with = "empty_as_none")]
    username: Option<Private>,
}

impl From<ValidateRegistrationBody> for ValidateRegistrationResponse {
    fn from(body: ValidateRegistrationBody) -> Self {
        Self {
            credential_id: body.credential_id.or(body.device_id),
            user_id: body.user_id,
            username: body.username,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{validate_authenticator_registration, validate_webauthn_registration};
    use super::*;
    use crate::endpoints::checks::assert_refused;

    #[test]
    fn token_and_id_are_required() {
        let id = Uuid::from_u128(7);
        let empty = ValidateRegistration::new("");
        let token = ValidateRegistration::new("t0ken");
        for validate in [
            validate_authenticator_registration,
            validate_webauthn_registration,
        ] {
            assert_refused(
                &validate(id, &empty),
                "registration_validation_token is empty",
            );
            assert_refused(&validate(Uuid::nil(), &token), "an id is the nil UUID");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", ValidateRegistration::new("h1dden"));
        assert!(!text.contains("h1dden"), "{text}");
    }
}
