//! Sign-in with WebAuthn: passkeys and security keys.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::start::{LocationData, check_start};
use super::validate::{NonceInV4Only, ValidateAuth, ValidateAuthResponse};
use crate::client::Client;
use crate::endpoints::checks::{check_filled, check_id, first_set};
use crate::error::Error;
use crate::http::{Endpoint, Payload, Request};
use crate::secret::{Private, Secret};
use crate::types::{empty_as_none, lenient, private_json, setters};
use crate::user_key::UserKey;

/// The body of [`start_webauthn_auth`].
///
/// Its location, action name and message only go into the user's history.
///
/// ```
/// use autharmor::auth::StartWebauthnAuth;
///
/// let request = StartWebauthnAuth::new()
///     .user("ada@example.com")
///     .webauthn_client_id("your-webauthn-client-id");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StartWebauthnAuth {
    #[serde(flatten)]
    pub(crate) user: Option<UserKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin_location_data: Option<LocationData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webauthn_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
    #[serde(
        serialize_with = "Secret::serialize_exposed_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) nonce: Option<Secret>,
}

impl StartWebauthnAuth {
    /// Returns a request with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the user who shall sign in. What the service does without one
        /// is unverified.
        user: impl Into<UserKey>,
        /// Sets how long the user may take, in seconds: 15 to 300. Defaults to
        /// the project's setting.
        timeout_in_seconds: u32,
        /// Sets the place that the sign-in comes from.
        origin_location_data: LocationData,
        /// Sets what the user signs in for. One of the vendor's SDKs requires
        /// it, so set it.
        action_name: impl Into<String>,
        /// Sets a line of explanation. One of the vendor's SDKs requires it, so
        /// set it.
        short_msg: impl Into<String>,
        /// Sets the WebAuthn client of your project, from the dashboard. One of
        /// the vendor's SDKs requires it, so set it.
        webauthn_client_id: impl Into<String>,
        /// Sets the IP address of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::ip_address`]. v4 only.
        ip_address: impl Into<String>,
        /// Sets the `User-Agent` of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::user_agent`]. v4 only.
        user_agent: impl Into<String>,
        /// Sets a random value that ties the validate call to this one: give
        /// the same value to [`ValidateAuth::nonce`]. v4 only.
        nonce: impl Into<Secret>,
    }
}

impl Payload for StartWebauthnAuth {
    fn check(&self) -> Result<(), Error> {
        check_start(self.user.as_ref(), self.timeout_in_seconds)
    }

    fn v4_only(&self) -> Option<&'static str> {
        first_set([
            ("nonce", self.nonce.is_some()),
            ("ip_address", self.ip_address.is_some()),
            ("user_agent", self.user_agent.is_some()),
        ])
    }
}

/// The response of [`start_webauthn_auth`], for the page.
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StartWebauthnAuthBody")]
#[non_exhaustive]
pub struct StartWebauthnAuthResponse {
    /// The id of the auth request.
    pub auth_request_id: Uuid,
    /// A value to give to [`FinishWebauthnAuth::new`], where it is named
    /// `aa_sig`. That name is read as well.
    #[serde(skip_serializing)]
    pub aa_guid: Option<Secret>,
    /// The options for `navigator.credentials.get`, as JSON text. Give it to
    /// the page unchanged.
    pub fido2_json_options: Option<Private>,
}

/// The response with both names of the value. (A serde alias would refuse a
/// response that has both.)
#[derive(Deserialize)]
struct StartWebauthnAuthBody {
    auth_request_id: Uuid,
    #[serde(default, deserialize_with = "lenient")]
    aa_guid: Option<Secret>,
    #[serde(default, deserialize_with = "lenient")]
    aa_sig: Option<Secret>,
    #[serde(default, deserialize_with = "private_json")]
    fido2_json_options: Option<Private>,
}

impl From<StartWebauthnAuthBody> for StartWebauthnAuthResponse {
    fn from(body: StartWebauthnAuthBody) -> Self {
        Self {
            auth_request_id: body.auth_request_id,
            aa_guid: body.aa_guid.or(body.aa_sig),
            fido2_json_options: body.fido2_json_options,
        }
    }
}

/// The body of [`finish_webauthn_auth`].
///
/// ```
/// use autharmor::auth::{FinishWebauthnAuth, StartWebauthnAuthResponse};
///
/// fn finish(started: StartWebauthnAuthResponse, page_json: String) -> FinishWebauthnAuth {
///     // The aa_guid of the start response is sent back as aa_sig.
///     let aa_sig = started.aa_guid.unwrap_or_default();
///     FinishWebauthnAuth::new(started.auth_request_id, aa_sig, page_json)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FinishWebauthnAuth {
    pub(crate) auth_request_id: Uuid,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) aa_sig: Secret,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) authenticator_response_data: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webauthn_client_id: Option<String>,
}

impl FinishWebauthnAuth {
    /// Finishes an auth request. No argument may be empty.
    ///
    /// * `auth_request_id`: from the start response.
    /// * `aa_sig`: from the start response, where it is named
    ///   [`aa_guid`](StartWebauthnAuthResponse::aa_guid).
    /// * `authenticator_response_data`: the browser's response **as JSON
    ///   text**: an object with `id`, `authenticator_data`, `client_data`,
    ///   `signature` and so on, written as text. (A registration takes an
    ///   object instead,
    ///   [`Fido2RegistrationData`](crate::registrations::Fido2RegistrationData).)
    #[must_use]
    pub fn new(
        auth_request_id: Uuid,
        aa_sig: impl Into<Secret>,
        authenticator_response_data: impl Into<Secret>,
    ) -> Self {
        Self {
            auth_request_id,
            aa_sig: aa_sig.into(),
            authenticator_response_data: authenticator_response_data.into(),
            webauthn_client_id: None,
        }
    }

    setters! {
        /// Sets the WebAuthn client of your project, as given to the start
        /// call.
        webauthn_client_id: impl Into<String>,
    }
}

impl Payload for FinishWebauthnAuth {
    fn check(&self) -> Result<(), Error> {
        check_id(self.auth_request_id, "auth_request_id")?;
        check_filled(self.aa_sig.expose(), "aa_sig")?;
        check_filled(
            self.authenticator_response_data.expose(),
            "authenticator_response_data",
        )
    }
}

/// The response of [`finish_webauthn_auth`]. It does not sign the user in: go
/// on with [`validate_webauthn_auth`].
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FinishWebauthnAuthResponse {
    /// The id of the auth request, as given to the finish call.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub auth_request_id: Option<Uuid>,
    /// The token for [`ValidateAuth::new`].
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    pub auth_validation_token: Option<Secret>,
    /// The id of the user who is about to be signed in.
    #[serde(default, deserialize_with = "lenient")]
    pub user_id: Option<Uuid>,
    /// The name of the user who is about to be signed in.
    #[serde(default, deserialize_with = "lenient")]
    pub username: Option<Private>,
}

/// Builds the request of [`Client::start_webauthn_auth`].
#[inline]
pub fn start_webauthn_auth(request: &StartWebauthnAuth) -> Request<StartWebauthnAuthResponse> {
    Request::new(Endpoint::StartWebauthnAuth).body(request)
}

/// Builds the request of [`Client::finish_webauthn_auth`].
#[inline]
pub fn finish_webauthn_auth(request: &FinishWebauthnAuth) -> Request<FinishWebauthnAuthResponse> {
    Request::new(Endpoint::FinishWebauthnAuth).body(request)
}

/// Builds the request of [`Client::validate_webauthn_auth`].
#[inline]
pub fn validate_webauthn_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateWebauthnAuth).body(&NonceInV4Only(request))
}

/// Sign-in with WebAuthn, see [`auth`](crate::auth).
impl Client {
    /// Starts a sign-in with WebAuthn: `POST /v3/auth/webauthn/start`, the same
    /// under `/v4`.
    ///
    /// Give [`fido2_json_options`](StartWebauthnAuthResponse::fido2_json_options)
    /// to the page, which calls `navigator.credentials.get`, and go on with
    /// [`finish_webauthn_auth`](Self::finish_webauthn_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout or the user key is out of bounds, or under v3 if the nonce, the
    /// IP address or the user agent is set; otherwise as [`send`](Self::send)
    /// does.
    ///
    /// ```no_run
    /// use autharmor::auth::StartWebauthnAuth;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartWebauthnAuth::new()
    ///     .user("ada@example.com")
    ///     .webauthn_client_id("your-webauthn-client-id");
    /// let for_the_page = client.start_webauthn_auth(&request)?.fido2_json_options;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn start_webauthn_auth(
        &self,
        request: &StartWebauthnAuth,
    ) -> Result<StartWebauthnAuthResponse, Error> {
        self.send(&start_webauthn_auth(request))
    }

    /// Submits the browser's response, as JSON text:
    /// `POST /v3/auth/webauthn/finish`, the same under `/v4`.
    ///
    /// This does not sign the user in. Go on with
    /// [`validate_webauthn_auth`](Self::validate_webauthn_auth), for which the
    /// response holds the token.
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if `aa_sig`
    /// or the browser's response is empty or the id is nil; otherwise as
    /// [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::auth::FinishWebauthnAuth;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let started = client.start_webauthn_auth(&autharmor::auth::StartWebauthnAuth::new())?;
    /// # let page_json = "{}";
    /// let aa_sig = started.aa_guid.unwrap_or_default();
    /// let request = FinishWebauthnAuth::new(started.auth_request_id, aa_sig, page_json);
    /// let token = client.finish_webauthn_auth(&request)?.auth_validation_token;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn finish_webauthn_auth(
        &self,
        request: &FinishWebauthnAuth,
    ) -> Result<FinishWebauthnAuthResponse, Error> {
        self.send(&finish_webauthn_auth(request))
    }

    /// Validates a sign-in with WebAuthn: `POST /v3/auth/webauthn/validate`,
    /// the same under `/v4`.
    ///
    /// **Its response signs the user in**, see
    /// [`ValidateAuthDetails::authorized`](crate::auth::ValidateAuthDetails::authorized).
    /// Whether the service refuses a wrong or used token with a response or
    /// with an error is unverified: treat both as "not signed in".
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
    /// let response = client.validate_webauthn_auth(&request)?;
    /// let signed_in = response
    ///     .validate_auth_response_details
    ///     .is_some_and(|details| details.authorized == Some(true));
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn validate_webauthn_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_webauthn_auth(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiVersion;
    use crate::endpoints::checks::{assert_accepted, assert_refused, refusal};

    const ID: Uuid = Uuid::from_u128(7);

    #[test]
    fn timeout_has_bounds() {
        let start =
            |seconds| start_webauthn_auth(&StartWebauthnAuth::new().timeout_in_seconds(seconds));
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
            let request = StartWebauthnAuth::new().user(key);
            assert_refused(&start_webauthn_auth(&request), why);
        }
    }

    #[test]
    fn v3_refuses_what_it_cannot_carry() {
        let plain = StartWebauthnAuth::new;
        for (request, field) in [
            (plain().nonce("n"), "nonce"),
            (plain().ip_address("192.0.2.7"), "ip_address"),
            (plain().user_agent("Browser/1"), "user_agent"),
        ] {
            let why = refusal(&start_webauthn_auth(&request), ApiVersion::V3);
            assert_eq!(why, format!("v3 cannot carry {field}"));
        }
        let nonce = ValidateAuth::new(ID, "t0ken").nonce("n");
        let why = refusal(&validate_webauthn_auth(&nonce), ApiVersion::V3);
        assert_eq!(why, "v3 cannot carry nonce");
    }

    #[test]
    fn required_values_are_not_empty() {
        for (request, why) in [
            (
                FinishWebauthnAuth::new(Uuid::nil(), "s1g", "{}"),
                "auth_request_id is the nil UUID",
            ),
            (FinishWebauthnAuth::new(ID, "", "{}"), "aa_sig is empty"),
            (
                FinishWebauthnAuth::new(ID, "s1g", ""),
                "authenticator_response_data is empty",
            ),
        ] {
            assert_refused(&finish_webauthn_auth(&request), why);
        }
    }

    #[test]
    fn debug_shows_no_secret_and_no_name() {
        let start = StartWebauthnAuth::new().user("h1dden").nonce("h1dden");
        let finish = FinishWebauthnAuth::new(ID, "h1dden", "h1dden");
        let texts = format!("{start:?} {finish:?}");
        assert!(!texts.contains("h1dden"), "{texts}");
    }
}
