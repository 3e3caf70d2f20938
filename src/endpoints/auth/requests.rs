//! What the sign-in calls send.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::endpoints::checks::{check_filled, check_id, check_length, first_set};
use crate::error::Error;
use crate::http::Payload;
use crate::secret::Secret;
use crate::types::{lenient_text, setters};
use crate::user_key::UserKey;

// What the service accepts of its values.

/// How long a user may be given to answer, in seconds.
const SIGN_IN_TIMEOUT: RangeInclusive<u32> = 15..=300;

/// How long the action name of a mail may be, in characters.
const MAIL_ACTION_NAME: RangeInclusive<usize> = 2..=32;

fn check_start(user: Option<&UserKey>, timeout_in_seconds: Option<u32>) -> Result<(), Error> {
    user.map_or(Ok(()), UserKey::check)?;
    match timeout_in_seconds {
        Some(seconds) if !SIGN_IN_TIMEOUT.contains(&seconds) => Err(Error::invalid(format!(
            "timeout_in_seconds must be {} to {}",
            SIGN_IN_TIMEOUT.start(),
            SIGN_IN_TIMEOUT.end()
        ))),
        _ => Ok(()),
    }
}

/// Where a sign-in comes from. The app and the mail show it to the user on a
/// map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LocationData {
    /// Degrees north, as text.
    #[serde(
        default,
        deserialize_with = "lenient_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub latitude: Option<String>,
    /// Degrees east, as text.
    #[serde(
        default,
        deserialize_with = "lenient_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub longitude: Option<String>,
    /// The IP address, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
}

impl LocationData {
    /// A location of which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Degrees north, as text.
        latitude: impl Into<String>,
        /// Degrees east, as text.
        longitude: impl Into<String>,
        /// The IP address, as text.
        ip_address: impl Into<String>,
    }
}

/// What [`start_authenticator_auth`](super::start_authenticator_auth) asks for.
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
#[derive(Clone, Debug, Default, Serialize)]
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
    /// A request for whoever scans the QR code, until [`user`](Self::user)
    /// says for whom it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// The user who shall sign in. Without one anybody may scan the QR
        /// code, and the validate answer tells who did.
        user: impl Into<UserKey>,
        /// A random value of yours that ties the validate call to this one:
        /// give the same value to [`ValidateAuth::nonce`]. Recommended.
        nonce: impl Into<Secret>,
        /// Whether to push the request to the user's phone, which needs a
        /// [`user`](Self::user). Service's default: no.
        send_push: bool,
        /// Whether to make up a value that your page shows and the app asks
        /// for; see [`StartAuthenticatorAuthResponse::visual_verify_value`](super::StartAuthenticatorAuthResponse::visual_verify_value).
        /// Service's default: no.
        use_visual_verify: bool,
        /// How long the user may take, in seconds: 15 to 300. Default: the
        /// project's setting.
        timeout_in_seconds: u32,
        /// Where the sign-in comes from, to be shown in the app.
        origin_location_data: LocationData,
        /// What the user is asked to approve, shown in the app. One of the
        /// vendor's SDKs takes it for required: better set it.
        action_name: impl Into<String>,
        /// A line more about it, shown in the app. One of the vendor's SDKs
        /// takes it for required: better set it.
        short_msg: impl Into<String>,
        /// The IP address of the user's browser. If set, the service compares
        /// it with [`ValidateAuth::ip_address`].
        ip_address: impl Into<String>,
        /// The `User-Agent` of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::user_agent`].
        user_agent: impl Into<String>,
    }
}

impl Payload for StartAuthenticatorAuth {
    fn check(&self) -> Result<(), Error> {
        check_start(self.user.as_ref(), self.timeout_in_seconds)
    }
}

/// What [`start_webauthn_auth`](super::start_webauthn_auth) asks for.
///
/// Its location, action name and message go into the user's history only.
///
/// ```
/// use autharmor::auth::StartWebauthnAuth;
///
/// let request = StartWebauthnAuth::new()
///     .user("ada@example.com")
///     .webauthn_client_id("your-webauthn-client-id");
/// ```
#[derive(Clone, Debug, Default, Serialize)]
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
    /// A request with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// The user who shall sign in. What the service does without one is
        /// unverified.
        user: impl Into<UserKey>,
        /// How long the user may take, in seconds: 15 to 300. Default: the
        /// project's setting.
        timeout_in_seconds: u32,
        /// Where the sign-in comes from.
        origin_location_data: LocationData,
        /// What the user signs in for. One of the vendor's SDKs takes it for
        /// required: better set it.
        action_name: impl Into<String>,
        /// A line more about it. One of the vendor's SDKs takes it for
        /// required: better set it.
        short_msg: impl Into<String>,
        /// The WebAuthn client of your project, from the dashboard. One of
        /// the vendor's SDKs takes it for required: better set it.
        webauthn_client_id: impl Into<String>,
        /// The IP address of the user's browser. If set, the service compares
        /// it with [`ValidateAuth::ip_address`]. v4 only.
        ip_address: impl Into<String>,
        /// The `User-Agent` of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::user_agent`]. v4 only.
        user_agent: impl Into<String>,
        /// A random value of yours that ties the validate call to this one:
        /// give the same value to [`ValidateAuth::nonce`]. v4 only.
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

/// What [`finish_webauthn_auth`](super::finish_webauthn_auth) hands in.
#[derive(Clone, Debug, Serialize)]
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
    /// * `auth_request_id`: as the start call answered.
    /// * `aa_sig`: what the start call answered under the other name
    ///   [`aa_guid`](super::StartWebauthnAuthResponse::aa_guid). Not empty.
    /// * `authenticator_response_data`: what the page made of the browser's
    ///   answer, **as JSON text**: an object with `id`, `authenticator_data`,
    ///   `client_data`, `signature` and so on, written as text. (A
    ///   registration wants an object there, which is
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
        /// The WebAuthn client of your project, as given to the start call.
        webauthn_client_id: impl Into<String>,
    }
}

impl Payload for FinishWebauthnAuth {
    fn check(&self) -> Result<(), Error> {
        check_id(self.auth_request_id, "auth_request_id")?;
        check_filled(&self.aa_sig, "aa_sig")
    }
}

/// What [`start_magiclink_email_auth`](super::start_magiclink_email_auth) asks for.
///
/// ```
/// use autharmor::auth::StartMagiclinkEmailAuth;
///
/// let request = StartMagiclinkEmailAuth::new("ada@example.com", "https://example.com/signed-in")
///     .action_name("Sign in")
///     .short_msg("Somebody signs in to Example as you")
///     .context_data("cart", "42");
/// ```
#[derive(Clone, Debug, Serialize)]
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
    /// * `user`: who gets the mail.
    /// * `auth_redirect_url`: where the link leads, with
    ///   `auth_validation_token` and `auth_request_id` added to its query. It
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
        /// How long the user may take, in seconds: 15 to 300. Default: the
        /// project's setting.
        timeout_in_seconds: u32,
        /// Where the sign-in comes from, to be shown in the mail.
        origin_location_data: LocationData,
        /// What the user is asked to approve: 2 to 32 characters. One of the
        /// vendor's SDKs takes it for required: better set it.
        action_name: impl Into<String>,
        /// A line more about it. One of the vendor's SDKs takes it for
        /// required: better set it.
        short_msg: impl Into<String>,
        /// The IP address of the user's browser. If set, the service compares
        /// it with [`ValidateAuth::ip_address`].
        ip_address: impl Into<String>,
        /// The `User-Agent` of the user's browser. If set, the service
        /// compares it with [`ValidateAuth::user_agent`].
        user_agent: impl Into<String>,
    }

    /// Adds a value of your own, which the validate answer hands back. The
    /// last one of a key counts.
    #[must_use]
    pub fn context_data(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.context_data.insert(key.into(), value.into());
        self
    }
}

impl Payload for StartMagiclinkEmailAuth {
    fn check(&self) -> Result<(), Error> {
        check_start(Some(&self.user), self.timeout_in_seconds)?;
        self.action_name.as_ref().map_or(Ok(()), |name| {
            check_length(name, "action_name", &MAIL_ACTION_NAME)
        })
    }
}

/// What the three `validate_*_auth` calls hand in.
///
/// ```
/// use autharmor::auth::ValidateAuth;
/// # let auth_request_id = uuid::Uuid::from_u128(7);
///
/// let request = ValidateAuth::new(auth_request_id, "the token of this request")
///     .ip_address("192.0.2.7");
/// ```
#[derive(Clone, Debug, Serialize)]
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
    /// The token comes with the answer of [`start_authenticator_auth`](super::start_authenticator_auth) or
    /// [`finish_webauthn_auth`](super::finish_webauthn_auth), or in the query of the mailed link. It is not
    /// empty.
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
        /// The nonce that was given to the start call. v3 knows it in
        /// [`validate_authenticator_auth`](super::validate_authenticator_auth) only, v4 in all three.
        nonce: impl Into<Secret>,
        /// The IP address of the user's browser, if one was given to the start
        /// call.
        ip_address: impl Into<String>,
        /// The `User-Agent` of the user's browser, if one was given to the
        /// start call.
        user_agent: impl Into<String>,
    }
}

impl Payload for ValidateAuth {
    fn check(&self) -> Result<(), Error> {
        check_id(self.auth_request_id, "auth_request_id")?;
        check_filled(&self.auth_validation_token, "auth_validation_token")
    }
}

/// A validation of a method whose nonce only v4 knows.
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
