//! Request and response of the three validate endpoints.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::details::AuthDetails;
use super::info::{AuthRequestStatus, ResultCode};
use crate::endpoints::checks::{check_filled, check_id, first_set};
use crate::error::Error;
use crate::http::Payload;
use crate::secret::{Private, Secret};
use crate::types::{ContextData, lenient, lenient_context, object, setters, strict_bool};

/// The body of the three `validate_*_auth` calls.
///
/// ```
/// use autharmor::auth::ValidateAuth;
/// # let auth_request_id = uuid::Uuid::from_u128(7);
///
/// let request = ValidateAuth::new(auth_request_id, "the token of this request")
///     .ip_address("192.0.2.7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ValidateAuth {
    pub(crate) auth_request_id: Uuid,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) auth_validation_token: Secret,
    #[serde(
        serialize_with = "Secret::serialize_exposed_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) nonce: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
}

impl ValidateAuth {
    /// Validates an auth request with its token, which is not empty.
    ///
    /// The token is in the response of
    /// [`start_authenticator_auth`](super::start_authenticator_auth) or of
    /// [`finish_webauthn_auth`](super::finish_webauthn_auth), or in the query
    /// of the magic link.
    #[must_use]
    pub fn new(auth_request_id: Uuid, auth_validation_token: impl Into<Secret>) -> Self {
        Self {
            auth_request_id,
            auth_validation_token: auth_validation_token.into(),
            nonce: None,
            ip_address: None,
            user_agent: None,
        }
    }

    setters! {
        /// Sets the nonce that was given to the start call. v3 takes it only in
        /// [`validate_authenticator_auth`](super::validate_authenticator_auth),
        /// v4 in all three.
        nonce: impl Into<Secret>,
        /// Sets the IP address of the user's browser, if one was given to the
        /// start call.
        ip_address: impl Into<String>,
        /// Sets the `User-Agent` of the user's browser, if one was given to the
        /// start call.
        user_agent: impl Into<String>,
    }
}

impl Payload for ValidateAuth {
    fn check(&self) -> Result<(), Error> {
        check_id(self.auth_request_id, "auth_request_id")?;
        check_filled(self.auth_validation_token.expose(), "auth_validation_token")
    }
}

/// A validation whose nonce only v4 takes.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct NonceInV4Only<'a>(pub(super) &'a ValidateAuth);

impl Payload for NonceInV4Only<'_> {
    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }

    fn v4_only(&self) -> Option<&'static str> {
        first_set([("nonce", self.0.nonce.is_some())])
    }
}

/// The response of the three `validate_*_auth` calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateAuthResponse {
    /// The state of the auth request.
    pub auth_request_status_id: Option<AuthRequestStatus>,
    /// The name of the state. Names are not stable: use the id.
    #[serde(default, deserialize_with = "lenient")]
    pub auth_request_status_name: Option<String>,
    /// The result of the validation.
    #[serde(default, deserialize_with = "object")]
    pub validate_auth_response_details: Option<ValidateAuthDetails>,
}

/// The result of a validate call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateAuthDetails {
    /// The id in the user's history. Whether it equals the auth request's id
    /// is unverified.
    #[serde(default, deserialize_with = "lenient")]
    pub auth_history_id: Option<Uuid>,
    /// The result.
    pub result_code: Option<ResultCode>,
    /// The result in the service's words, which may contain a username.
    #[serde(default, deserialize_with = "lenient")]
    pub result_message: Option<Private>,
    /// **`Some(true)` means that the user of
    /// [`auth_profile_details`](super::AuthResponseDetails::auth_profile_details)
    /// is signed in.** No other field does, and anything but a JSON bool is
    /// read as `None`. Compare the user with the one you expect.
    #[serde(default, deserialize_with = "strict_bool")]
    pub authorized: Option<bool>,
    /// Details of the request and of the response.
    #[serde(default, deserialize_with = "object")]
    pub auth_details: Option<AuthDetails>,
    /// The values given to
    /// [`StartMagiclinkEmailAuth::context_data`](super::StartMagiclinkEmailAuth::context_data).
    #[serde(default, deserialize_with = "lenient_context")]
    pub context_data: ContextData,
}

#[cfg(test)]
mod tests {
    use super::super::{
        validate_authenticator_auth, validate_magiclink_email_auth, validate_webauthn_auth,
    };
    use super::*;
    use crate::endpoints::checks::assert_refused;

    #[test]
    fn token_and_id_are_required() {
        let id = Uuid::from_u128(7);
        for validate in [
            validate_authenticator_auth,
            validate_webauthn_auth,
            validate_magiclink_email_auth,
        ] {
            assert_refused(
                &validate(&ValidateAuth::new(id, "")),
                "auth_validation_token is empty",
            );
            assert_refused(
                &validate(&ValidateAuth::new(Uuid::nil(), "t0ken")),
                "auth_request_id is the nil UUID",
            );
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let validate = ValidateAuth::new(Uuid::from_u128(7), "h1dden").nonce("h1dden");
        let texts = format!("{validate:?} {:?}", validate_webauthn_auth(&validate));
        assert!(!texts.contains("h1dden"), "{texts}");
    }
}
