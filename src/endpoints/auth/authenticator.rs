//! Sign-in with the Auth Armor authenticator app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::start::{LocationData, check_start};
use super::validate::{ValidateAuth, ValidateAuthResponse};
use crate::client::Client;
use crate::error::Error;
use crate::http::{Endpoint, Payload, Request};
use crate::secret::{Private, Secret};
use crate::types::{Timestamp, lenient, optional_number, setters, strict_bool};
use crate::user_key::UserKey;

/// The body of [`start_authenticator_auth`].
///
/// ```
/// use autharmor::auth::StartAuthenticatorAuth;
///
/// let request = StartAuthenticatorAuth::new()
///     .user("ada@example.com")
///     .action_name("Sign in")
///     .short_msg("Somebody signs in to Example as you")
///     .send_push(true)
///     .timeout_in_seconds(60);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StartAuthenticatorAuth {
    #[serde(flatten)]
    pub(crate) user: Option<UserKey>,
    #[serde(
        serialize_with = "Secret::serialize_exposed_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) nonce: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) send_push: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) use_visual_verify: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin_location_data: Option<LocationData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
}

impl StartAuthenticatorAuth {
    /// Returns a request with nothing set. Without a [`user`](Self::user),
    /// anybody may scan the QR code.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the user who shall sign in. Without one anybody may scan the QR
        /// code, and the validate response says who did.
        user: impl Into<UserKey>,
        /// Sets a random value that ties the validate call to this one: give
        /// the same value to [`ValidateAuth::nonce`]. Recommended.
        nonce: impl Into<Secret>,
        /// Sets whether to send a push notification to the user's phone, which
        /// needs a [`user`](Self::user). The service's default is no.
        send_push: bool,
        /// Sets whether to create a value that your page shows and the app asks
        /// for, see
        /// [`StartAuthenticatorAuthResponse::visual_verify_value`]. The
        /// service's default is no.
        use_visual_verify: bool,
        /// Sets how long the user may take, in seconds: 15 to 300. Defaults to
        /// the project's setting.
        timeout_in_seconds: u32,
        /// Sets the place that the sign-in comes from, for the app to show.
        origin_location_data: LocationData,
        /// Sets what the user is asked to approve, for the app to show. One of
        /// the vendor's SDKs requires it, so set it.
        action_name: impl Into<String>,
        /// Sets a line of explanation, for the app to show. One of the vendor's
        /// SDKs requires it, so set it.
        short_msg: impl Into<String>,
        /// Sets the IP address of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::ip_address`].
        ip_address: impl Into<String>,
        /// Sets the `User-Agent` of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::user_agent`].
        user_agent: impl Into<String>,
    }
}

impl Payload for StartAuthenticatorAuth {
    fn check(&self) -> Result<(), Error> {
        check_start(self.user.as_ref(), self.timeout_in_seconds)?;
        if self.send_push == Some(true) && self.user.is_none() {
            return Err(Error::invalid("send_push needs a user"));
        }
        Ok(())
    }
}

/// The response of [`start_authenticator_auth`].
///
/// Its [`Secret`]s are left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartAuthenticatorAuthResponse {
    /// The id of the auth request.
    pub auth_request_id: Uuid,
    /// The user, if the request named one.
    #[serde(default, deserialize_with = "lenient")]
    pub user_id: Option<Uuid>,
    /// The token for [`ValidateAuth::new`]. Do not give it to the page.
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    pub auth_validation_token: Option<Secret>,
    /// The value that your page shows to the user, who finds it again in the
    /// app. Missing if the request did not ask for one.
    #[serde(default, deserialize_with = "lenient")]
    pub visual_verify_value: Option<String>,
    /// The text to draw as a QR code. A phone can also open it as a link.
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    pub qr_code_data: Option<Secret>,
    /// Whether a push notification was sent.
    #[serde(default, deserialize_with = "strict_bool")]
    pub push_message_sent: Option<bool>,
    /// A code whose meaning is unverified.
    #[serde(default, deserialize_with = "optional_number")]
    pub response_code: Option<i64>,
    /// A message whose meaning is unverified; it may contain a username.
    #[serde(default, deserialize_with = "lenient")]
    pub response_message: Option<Private>,
    /// The time that the user has, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time ends.
    #[serde(default, deserialize_with = "lenient")]
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// Builds the request of [`Client::start_authenticator_auth`].
#[inline]
pub fn start_authenticator_auth(
    request: &StartAuthenticatorAuth,
) -> Request<StartAuthenticatorAuthResponse> {
    Request::new(Endpoint::StartAuthenticatorAuth).body(request)
}

/// Builds the request of [`Client::validate_authenticator_auth`].
#[inline]
pub fn validate_authenticator_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateAuthenticatorAuth).body(request)
}

/// Sign-in with the authenticator app, see [`auth`](crate::auth).
impl Client {
    /// Asks a user to approve in the authenticator app:
    /// `POST /v3/auth/authenticator/start`, the same under `/v4`.
    ///
    /// Sends a push notification, if
    /// [`send_push`](StartAuthenticatorAuth::send_push) is set, and returns a
    /// QR code. **It notifies a person, and is sent at most once.** Then call
    /// [`get_auth_info`](Self::get_auth_info) until the user has approved, and
    /// end with
    /// [`validate_authenticator_auth`](Self::validate_authenticator_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout or the user key is out of bounds, or if `send_push` is set
    /// without a user; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::auth::StartAuthenticatorAuth;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartAuthenticatorAuth::new()
    ///     .user("ada@example.com")
    ///     .action_name("Sign in")
    ///     .short_msg("Somebody signs in to Example as you")
    ///     .send_push(true);
    /// let started = client.start_authenticator_auth(&request)?;
    /// println!("waiting until {:?}", started.timeout_utc_datetime);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn start_authenticator_auth(
        &self,
        request: &StartAuthenticatorAuth,
    ) -> Result<StartAuthenticatorAuthResponse, Error> {
        self.send(&start_authenticator_auth(request))
    }

    /// Validates a sign-in that the user approved in the authenticator app:
    /// `POST /v3/auth/authenticator/validate`, the same under `/v4`.
    ///
    /// **Its response signs the user in**, see
    /// [`ValidateAuthDetails::authorized`](crate::auth::ValidateAuthDetails::authorized).
    /// Whether the service refuses a wrong or used token with a response or
    /// with an error is unverified: treat both as "not signed in".
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// token is empty or the id is nil; otherwise as [`send`](Self::send)
    /// does.
    ///
    /// ```no_run
    /// use autharmor::auth::ValidateAuth;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), "token");
    /// let request = ValidateAuth::new(auth_request_id, token);
    /// let response = client.validate_authenticator_auth(&request)?;
    /// let signed_in = response
    ///     .validate_auth_response_details
    ///     .is_some_and(|details| details.authorized == Some(true));
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn validate_authenticator_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_authenticator_auth(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::checks::{assert_accepted, assert_refused};

    #[test]
    fn timeout_has_bounds() {
        let start = |seconds| {
            start_authenticator_auth(&StartAuthenticatorAuth::new().timeout_in_seconds(seconds))
        };
        for seconds in [15, 300] {
            assert_accepted(&start(seconds));
        }
        for seconds in [0, 14, 301, u32::MAX] {
            assert_refused(&start(seconds), "timeout_in_seconds must be 15 to 300");
        }
    }

    #[test]
    fn user_is_checked() {
        for (key, why) in [
            (UserKey::from(Uuid::nil()), "the nil UUID is no user's id"),
            ("".into(), "the username is empty"),
            ("ada\n".into(), "the username holds a control character"),
            (
                " ada".into(),
                "the username begins or ends with white space",
            ),
        ] {
            let request = StartAuthenticatorAuth::new().user(key);
            assert_refused(&start_authenticator_auth(&request), why);
        }
    }

    #[test]
    fn push_needs_a_user() {
        let push = StartAuthenticatorAuth::new().send_push(true);
        assert_refused(&start_authenticator_auth(&push), "send_push needs a user");
        assert_accepted(&start_authenticator_auth(&push.user("ada")));
        let no_push = StartAuthenticatorAuth::new().send_push(false);
        assert_accepted(&start_authenticator_auth(&no_push));
    }

    #[test]
    fn action_name_has_no_bounds() {
        let request = StartAuthenticatorAuth::new().action_name("a".repeat(33));
        assert_accepted(&start_authenticator_auth(&request));
    }

    #[test]
    fn debug_shows_no_secret_and_no_name() {
        let request = StartAuthenticatorAuth::new().user("h1dden").nonce("h1dden");
        let text = format!("{request:?}");
        assert!(!text.contains("h1dden"), "{text}");
    }
}
