//! Sign-in with a magic link sent by email.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::start::{LocationData, check_start};
use super::validate::{NonceInV4Only, ValidateAuth, ValidateAuthResponse};
use crate::client::Client;
use crate::endpoints::checks::{check_filled, check_length};
use crate::error::Error;
use crate::http::{Endpoint, Payload, Request};
use crate::types::{Timestamp, lenient, optional_number, setters};
use crate::user_key::UserKey;

/// The bounds of the action name's length, in characters.
const ACTION_NAME: RangeInclusive<usize> = 2..=32;

/// The body of [`start_magiclink_email_auth`].
///
/// ```
/// use autharmor::auth::StartMagiclinkEmailAuth;
///
/// let request = StartMagiclinkEmailAuth::new("ada@example.com", "https://example.com/signed-in")
///     .action_name("Sign in")
///     .short_msg("Somebody signs in to Example as you")
///     .context_data("cart", "42");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailAuth {
    #[serde(flatten)]
    pub(crate) user: UserKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin_location_data: Option<LocationData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short_msg: Option<String>,
    pub(crate) auth_redirect_url: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) context_data: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
}

impl StartMagiclinkEmailAuth {
    /// Signs a user in with a magic link.
    ///
    /// * `user`: who gets the email.
    /// * `auth_redirect_url`: the target of the link, not empty. The service
    ///   adds `auth_validation_token` and `auth_request_id` to its query. It
    ///   must be on the project's list of redirect URLs for sign-in.
    #[must_use]
    pub fn new(user: impl Into<UserKey>, auth_redirect_url: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            timeout_in_seconds: None,
            origin_location_data: None,
            action_name: None,
            short_msg: None,
            auth_redirect_url: auth_redirect_url.into(),
            context_data: BTreeMap::new(),
            ip_address: None,
            user_agent: None,
        }
    }

    setters! {
        /// Sets how long the user may take, in seconds: 15 to 300. Defaults to
        /// the project's setting.
        timeout_in_seconds: u32,
        /// Sets the place that the sign-in comes from, for the email to show.
        origin_location_data: LocationData,
        /// Sets what the user is asked to approve: 2 to 32 characters. One of
        /// the vendor's SDKs requires it, so set it.
        action_name: impl Into<String>,
        /// Sets a line of explanation. One of the vendor's SDKs requires it, so
        /// set it.
        short_msg: impl Into<String>,
        /// Sets the IP address of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::ip_address`].
        ip_address: impl Into<String>,
        /// Sets the `User-Agent` of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::user_agent`].
        user_agent: impl Into<String>,
    }

    /// Adds a value of your own, which the validate response returns. The last
    /// value of a key counts.
    #[must_use]
    pub fn context_data(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.context_data.insert(key.into(), value.into());
        self
    }
}

impl Payload for StartMagiclinkEmailAuth {
    fn check(&self) -> Result<(), Error> {
        check_start(Some(&self.user), self.timeout_in_seconds)?;
        check_filled(&self.auth_redirect_url, "auth_redirect_url")?;
        self.action_name.as_ref().map_or(Ok(()), |name| {
            check_length(name, "action_name", &ACTION_NAME)
        })
    }
}

/// The response of [`start_magiclink_email_auth`]. The validation token is not
/// in it: it is in the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailAuthResponse {
    /// The id of the auth request.
    pub auth_request_id: Uuid,
    /// The user who gets the email.
    #[serde(default, deserialize_with = "lenient")]
    pub user_id: Option<Uuid>,
    /// The time that the user has, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time ends.
    #[serde(default, deserialize_with = "lenient")]
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// Builds the request of [`Client::start_magiclink_email_auth`].
#[inline]
pub fn start_magiclink_email_auth(
    request: &StartMagiclinkEmailAuth,
) -> Request<StartMagiclinkEmailAuthResponse> {
    Request::new(Endpoint::StartMagiclinkEmailAuth).body(request)
}

/// Builds the request of [`Client::validate_magiclink_email_auth`].
#[inline]
pub fn validate_magiclink_email_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateMagiclinkEmailAuth).body(&NonceInV4Only(request))
}

/// Sign-in with a magic link, see [`auth`](crate::auth).
impl Client {
    /// Sends a magic link to a user: `POST /v3/auth/magiclink_email/start`, the
    /// same under `/v4`. **It notifies a person, and is sent at most once.**
    ///
    /// The link leads to the redirect URL with `auth_request_id` and
    /// `auth_validation_token` in its query. Give both to
    /// [`validate_magiclink_email_auth`](Self::validate_magiclink_email_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout, the action name or the user key is out of bounds or the
    /// redirect URL is empty; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::auth::StartMagiclinkEmailAuth;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartMagiclinkEmailAuth::new("ada@example.com", "https://example.com/in")
    ///     .action_name("Sign in")
    ///     .short_msg("Somebody signs in to Example as you");
    /// let started = client.start_magiclink_email_auth(&request)?;
    /// println!("waiting until {:?}", started.timeout_utc_datetime);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn start_magiclink_email_auth(
        &self,
        request: &StartMagiclinkEmailAuth,
    ) -> Result<StartMagiclinkEmailAuthResponse, Error> {
        self.send(&start_magiclink_email_auth(request))
    }

    /// Validates a sign-in with a magic link:
    /// `POST /v3/auth/magiclink_email/validate`, the same under `/v4`.
    ///
    /// **Its response signs the user in**, see
    /// [`ValidateAuthDetails::authorized`](crate::auth::ValidateAuthDetails::authorized),
    /// and returns the context data. Whether the service refuses a wrong or
    /// used token with a response or with an error is unverified: treat both
    /// as "not signed in".
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// token is empty or the id is nil, or under v3 if a nonce is set;
    /// otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::auth::ValidateAuth;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), "token");
    /// let request = ValidateAuth::new(auth_request_id, token);
    /// let response = client.validate_magiclink_email_auth(&request)?;
    /// if let Some(details) = response.validate_auth_response_details {
    ///     if details.authorized == Some(true) {
    ///         println!("signed in, with {:?}", details.context_data.get("cart"));
    ///     }
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn validate_magiclink_email_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_magiclink_email_auth(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiVersion;
    use crate::endpoints::checks::{assert_accepted, assert_refused, refusal};

    const URL: &str = "https://example.com";

    fn plain() -> StartMagiclinkEmailAuth {
        StartMagiclinkEmailAuth::new(Uuid::from_u128(7), URL)
    }

    #[test]
    fn timeout_has_bounds() {
        let start = |seconds| start_magiclink_email_auth(&plain().timeout_in_seconds(seconds));
        for seconds in [15, 300] {
            assert_accepted(&start(seconds));
        }
        for seconds in [0, 14, 301, u32::MAX] {
            assert_refused(&start(seconds), "timeout_in_seconds must be 15 to 300");
        }
    }

    #[test]
    fn action_name_has_bounds() {
        let start = |name: &str| start_magiclink_email_auth(&plain().action_name(name));
        // Characters count, not bytes.
        for name in ["ab", "éé", &"é".repeat(32)] {
            assert_accepted(&start(name));
        }
        for name in ["", "a", "é", &"a".repeat(33)] {
            assert_refused(&start(name), "action_name must be 2 to 32 characters long");
        }
    }

    #[test]
    fn user_and_url_are_checked() {
        for (key, why) in [
            (UserKey::from(Uuid::nil()), "the nil UUID is no user's id"),
            ("".into(), "the username is empty"),
            ("ada\n".into(), "the username holds a control character"),
            (
                " ada".into(),
                "the username begins or ends with white space",
            ),
        ] {
            let request = StartMagiclinkEmailAuth::new(key, URL);
            assert_refused(&start_magiclink_email_auth(&request), why);
        }
        let request = StartMagiclinkEmailAuth::new("ada", "");
        assert_refused(
            &start_magiclink_email_auth(&request),
            "auth_redirect_url is empty",
        );
    }

    #[test]
    fn v3_refuses_a_nonce() {
        let nonce = ValidateAuth::new(Uuid::from_u128(7), "t0ken").nonce("n");
        let why = refusal(&validate_magiclink_email_auth(&nonce), ApiVersion::V3);
        assert_eq!(why, "v3 cannot carry nonce");
    }

    #[test]
    fn debug_shows_no_name() {
        let text = format!("{:?}", StartMagiclinkEmailAuth::new("h1dden", URL));
        assert!(!text.contains("h1dden"), "{text}");
    }
}
