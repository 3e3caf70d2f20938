//! Signing in: with the Auth Armor authenticator app, with WebAuthn (passkeys
//! and security keys), and with a link in a mail.
//!
//! Every method has the same steps: a `start_*` call, something that the user
//! does (and that [`get_auth_info`] watches), and a `validate_*` call.
//! **Only a validate answer whose `authorized` is `Some(true)` signs anybody
//! in**; everything else, a missing value included, does not.
//!
//! A `start_*` call is felt by a person: a phone rings or a mail arrives. It
//! is sent at most once, so whoever repeats it after an error asks
//! [`Error::may_have_been_sent`] first.
//!
//! The request structs hold required values in `new` and options in setters;
//! an option that is not set is not sent. To serialise one is to write its
//! body, with the secrets in it. The answers keep their secrets to themselves:
//! to serialise one leaves them out.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::request::{Endpoint, Payload, Request};
use crate::secret::{Private, Secret};
use crate::types::{
    ContextData, Timestamp, json_text, lenient_context, lenient_text, open_number_enum,
    open_text_enum, optional_number, setters, strict_bool,
};
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

/// Counts characters, not bytes.
pub(super) fn check_length(
    text: &str,
    field: &str,
    limits: &RangeInclusive<usize>,
) -> Result<(), Error> {
    if limits.contains(&text.chars().count()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{field} must be {} to {} characters long",
        limits.start(),
        limits.end()
    )))
}

pub(super) fn check_filled(secret: &Secret, field: &str) -> Result<(), Error> {
    if secret.expose().is_empty() {
        return Err(Error::invalid(format!("{field} is empty")));
    }
    Ok(())
}

/// The first field of the list that is set.
pub(super) fn first_set<const N: usize>(fields: [(&'static str, bool); N]) -> Option<&'static str> {
    fields
        .into_iter()
        .find_map(|(name, is_set)| is_set.then_some(name))
}

// Requests.

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

/// What [`start_authenticator_auth`] asks for.
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
    user: Option<UserKey>,
    #[serde(
        serialize_with = "Secret::on_the_wire",
        skip_serializing_if = "Option::is_none"
    )]
    nonce: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_push: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    use_visual_verify: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_location_data: Option<LocationData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
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
        /// for; see [`StartAuthenticatorAuthResponse::visual_verify_value`].
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

/// What [`start_webauthn_auth`] asks for.
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
    user: Option<UserKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_location_data: Option<LocationData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webauthn_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(
        serialize_with = "Secret::on_the_wire",
        skip_serializing_if = "Option::is_none"
    )]
    nonce: Option<Secret>,
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

/// What [`finish_webauthn_auth`] hands in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FinishWebauthnAuth {
    auth_request_id: Uuid,
    #[serde(serialize_with = "Secret::bare_on_the_wire")]
    aa_sig: Secret,
    #[serde(serialize_with = "Secret::bare_on_the_wire")]
    authenticator_response_data: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    webauthn_client_id: Option<String>,
}

impl FinishWebauthnAuth {
    /// * `auth_request_id`: as the start call answered.
    /// * `aa_sig`: what the start call answered under the other name
    ///   [`aa_guid`](StartWebauthnAuthResponse::aa_guid). Not empty.
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
        check_filled(&self.aa_sig, "aa_sig")
    }
}

/// What [`start_magiclink_email_auth`] asks for.
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
    user: UserKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_location_data: Option<LocationData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_msg: Option<String>,
    auth_redirect_url: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    context_data: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
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
    auth_request_id: Uuid,
    #[serde(serialize_with = "Secret::bare_on_the_wire")]
    auth_validation_token: Secret,
    #[serde(
        serialize_with = "Secret::on_the_wire",
        skip_serializing_if = "Option::is_none"
    )]
    nonce: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl ValidateAuth {
    /// The token comes with the answer of [`start_authenticator_auth`] or
    /// [`finish_webauthn_auth`], or in the query of the mailed link. It is not
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
        /// [`validate_authenticator_auth`] only, v4 in all three.
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
        check_filled(&self.auth_validation_token, "auth_validation_token")
    }
}

/// A validation of a method whose nonce only v4 knows.
#[derive(Serialize)]
#[serde(transparent)]
struct NonceInV4Only<'a>(&'a ValidateAuth);

impl Payload for NonceInV4Only<'_> {
    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }

    fn v4_only(&self) -> Option<&'static str> {
        first_set([("nonce", self.0.nonce.is_some())])
    }
}

// Answers.

open_text_enum! {
    /// A way to sign in.
    AuthMethod {
        /// A mobile device, of an older version of the service.
        MobileDevice = "MobileDevice",
        /// A security key, of an older version of the service.
        SecurityKey = "SecurityKey",
        /// The authenticator app.
        AuthArmorAuthenticator = "AuthArmorAuthenticator",
        /// A link in a mail.
        MagiclinkEmail = "Magiclink_Email",
        /// A link in a text message. The service misspells it `Maigclink_SMS`.
        MagiclinkSms = "Maigclink_SMS",
        /// WebAuthn.
        WebAuthn = "WebAuthN",
    }
}

open_text_enum! {
    /// What the user did to approve.
    AuthMethodUseType {
        /// Biometrics of the phone.
        Biometric = "biometric",
        /// The PIN of the phone.
        Pin = "pin",
        /// The PIN of the app.
        AutharmorPin = "autharmor_pin",
        /// A U2F security key.
        U2fSecuritykey = "u2f_securitykey",
        /// U2F over USB.
        U2fUsb = "u2f_usb",
        /// U2F over Lightning.
        U2fLightning = "u2f_lightning",
        /// U2F over Bluetooth.
        U2fBluetooth = "u2f_bluetooth",
        /// U2F over NFC.
        U2fNfc = "u2f_nfc",
        /// FIDO2 over Bluetooth.
        Fido2Bluetooth = "fido2_bluetooth",
        /// FIDO2 over USB.
        Fido2Usb = "fido2_usb",
        /// FIDO2 over Lightning.
        Fido2Lightning = "fido2_lightning",
        /// FIDO2 over NFC.
        Fido2Nfc = "fido2_nfc",
        /// FIDO2.
        Fido2 = "fido2",
        /// FIDO2 with a mobile device.
        Fido2Mobiledevice = "fido2_mobiledevice",
        /// FIDO2 with an authenticator that is not part of the device.
        Fido2Crossplatform = "fido2_crossplatform",
        /// A link in a mail.
        MagiclinkEmail = "magiclink_email",
    }
}

open_text_enum! {
    /// How the signed message was hashed.
    HashType {
        /// SHA-256.
        Sha256 = "Sha256",
    }
}

open_text_enum! {
    /// What was signed.
    SignedMessageType {
        /// The answer to an auth request.
        AuthResponse = "AuthResponse",
    }
}

open_text_enum! {
    /// How a message was signed.
    SigningMethod {
        /// ECDSA with a key of the app.
        AuthArmorEcdsa = "AuthArmor_ECDsa",
        /// A FIDO U2F security key.
        FidoU2f = "FIDO_U2F",
    }
}

open_number_enum! {
    /// How far an auth request has come. **No status is a sign-in.**
    AuthRequestStatus {
        /// The service does not say.
        Unknown = 0,
        /// It is over, well or badly: nothing can be approved or validated any
        /// more.
        Completed = 2,
        /// Waiting for the user.
        PendingApproval = 3,
        /// The user approved; waiting for the validate call.
        PendingValidation = 4,
    }
}

open_number_enum! {
    /// How an auth request ended, or what it waits for. **No code is a
    /// sign-in**; `authorized` of a validate answer is.
    ResultCode {
        /// Nothing yet, like [`PendingApproval`](Self::PendingApproval).
        Unknown = 0,
        /// Waiting for the user.
        PendingApproval = 1,
        /// Approved and validated.
        Success = 2,
        /// The user declined.
        Declined = 3,
        /// The signature of the user's device is wrong.
        InvalidSignature = 4,
        /// The user did not answer in time.
        Timeout = 5,
        /// The user approved; waiting for the validate call.
        PendingValidation = 8,
        /// The user approved; the validate call came too late.
        ValidationTimeout = 9,
        /// A check failed, such as an IP address that is not the one of the
        /// start call.
        SecurityException = 10,
    }
}

/// The answer of [`start_authenticator_auth`].
///
/// Its [`Secret`]s are left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartAuthenticatorAuthResponse {
    /// Names this sign-in from now on.
    pub auth_request_id: Uuid,
    /// The user, if the request named one.
    pub user_id: Option<Uuid>,
    /// What [`ValidateAuth::new`] wants. Not for the page.
    #[serde(skip_serializing)]
    pub auth_validation_token: Option<Secret>,
    /// What your page shows to the user, who finds it again in the app. Empty
    /// or missing if the request did not ask for it.
    #[serde(default, deserialize_with = "lenient_text")]
    pub visual_verify_value: Option<String>,
    /// Text to draw as a QR code; a phone can open it as a link as well.
    #[serde(skip_serializing)]
    pub qr_code_data: Option<Secret>,
    /// Whether a push message went out.
    #[serde(default, deserialize_with = "strict_bool")]
    pub push_message_sent: Option<bool>,
    /// Its meaning is unverified.
    #[serde(default, deserialize_with = "optional_number")]
    pub response_code: Option<i64>,
    /// Its meaning is unverified.
    pub response_message: Option<String>,
    /// How long the user may take, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time is up.
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// The answer of [`start_webauthn_auth`]: what the page needs.
///
/// Its [`Secret`]s are left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartWebauthnAuthResponse {
    /// Names this sign-in from now on.
    pub auth_request_id: Uuid,
    /// Goes back as [`aa_sig`](FinishWebauthnAuth::new) of the finish call,
    /// under that other name.
    #[serde(skip_serializing)]
    pub aa_guid: Option<Secret>,
    /// The options for `navigator.credentials.get`, as JSON text: hand it to
    /// the page as it is.
    #[serde(default, deserialize_with = "private_json")]
    pub fido2_json_options: Option<Private>,
}

/// The answer of [`finish_webauthn_auth`]. It signs nobody in: go on with
/// [`validate_webauthn_auth`].
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FinishWebauthnAuthResponse {
    /// The sign-in.
    pub auth_request_id: Uuid,
    /// What [`ValidateAuth::new`] wants.
    #[serde(skip_serializing)]
    pub auth_validation_token: Option<Secret>,
    /// Who is about to be signed in.
    pub user_id: Option<Uuid>,
    /// Who is about to be signed in.
    pub username: Option<Private>,
}

/// The answer of [`start_magiclink_email_auth`]. The validation token is not
/// in it: it travels in the mailed link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailAuthResponse {
    /// Names this sign-in from now on.
    pub auth_request_id: Uuid,
    /// The user who gets the mail.
    pub user_id: Option<Uuid>,
    /// How long the user may take, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time is up.
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// The answer of [`get_auth_info`], and a record of a user's history: how far
/// an auth request has come. **It signs nobody in.**
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthInfo {
    /// How far it has come.
    pub auth_request_status_id: Option<AuthRequestStatus>,
    /// The same in words, which are not stable: go by the id.
    pub auth_request_status_name: Option<String>,
    /// What the user did. Missing while the request is pending.
    pub auth_response: Option<AuthResponse>,
}

/// What a user did about an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthResponse {
    /// Names it in the user's history. Whether it is the auth request's id is
    /// unverified.
    pub auth_history_id: Option<Uuid>,
    /// How it ended, or what it waits for.
    pub result_code: Option<ResultCode>,
    /// The same in words.
    pub result_message: Option<String>,
    /// What the service says about an auth request that may not be validated
    /// yet. **Do not sign a user in by it**: only
    /// [`ValidateAuthDetails::authorized`] does that. Anything but a JSON bool
    /// is read as `None`.
    #[serde(default, deserialize_with = "strict_bool")]
    pub authorized: Option<bool>,
    /// Who did what, and how.
    pub auth_details: Option<AuthDetails>,
}

/// The answer of the three `validate_*_auth` calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateAuthResponse {
    /// How far the request has come.
    pub auth_request_status_id: Option<AuthRequestStatus>,
    /// The same in words, which are not stable: go by the id.
    pub auth_request_status_name: Option<String>,
    /// The verdict.
    pub validate_auth_response_details: Option<ValidateAuthDetails>,
}

/// The verdict of a validate call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateAuthDetails {
    /// Names it in the user's history. Whether it is the auth request's id is
    /// unverified.
    pub auth_history_id: Option<Uuid>,
    /// How it ended.
    pub result_code: Option<ResultCode>,
    /// The same in words.
    pub result_message: Option<String>,
    /// **`Some(true)` means that the user of
    /// [`auth_profile_details`](AuthResponseDetails::auth_profile_details) is
    /// signed in.** Nothing else does, and anything but a JSON bool is read as
    /// `None`. Compare the user with the one you expect.
    #[serde(default, deserialize_with = "strict_bool")]
    pub authorized: Option<bool>,
    /// Who did what, and how.
    pub auth_details: Option<AuthDetails>,
    /// What was given to [`StartMagiclinkEmailAuth::context_data`].
    #[serde(default, deserialize_with = "lenient_context")]
    pub context_data: ContextData,
}

/// The question and the answer of an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthDetails {
    /// What was asked.
    pub request_details: Option<AuthRequestDetails>,
    /// What the user answered. Missing while the request is pending, partly
    /// empty if it was declined or timed out.
    pub response_details: Option<AuthResponseDetails>,
}

/// What an auth request asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthRequestDetails {
    /// When.
    pub date: Option<Timestamp>,
    /// Whom.
    pub auth_profile_details: Option<AuthProfileDetails>,
    /// From where.
    pub origin_location_data: Option<LocationData>,
    /// By which method. Here the service sends plain text; in
    /// [`AuthResponseDetails`] an object has this name.
    pub auth_method: Option<AuthMethod>,
}

/// What a user answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthResponseDetails {
    /// When.
    pub date: Option<Timestamp>,
    /// By which method, and with what. Here the service sends an object; in
    /// [`AuthRequestDetails`] plain text has this name.
    pub auth_method: Option<ResponseAuthMethod>,
    /// The signed answer. Magic links probably have none.
    pub secure_signed_message: Option<SecureSignedMessage>,
    /// The phone that was used.
    pub mobile_device_details: Option<MobileDeviceDetails>,
    /// Who answered. In a validate answer that is authorized: who signed in.
    pub auth_profile_details: Option<AuthProfileDetails>,
}

/// How a user answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResponseAuthMethod {
    /// The method.
    pub name: Option<AuthMethod>,
    /// What the user did to approve.
    pub usetype: Option<AuthMethodUseType>,
}

/// A user, in the details of an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthProfileDetails {
    /// The user's id.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
}

/// The phone that was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MobileDeviceDetails {
    /// Its system.
    pub platform: Option<String>,
    /// Its model.
    pub model: Option<String>,
}

/// The user's answer, signed on the user's device, for a check of your own.
///
/// This crate does not check it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SecureSignedMessage {
    /// What was signed: JSON in standard base64, with the nonce, the request
    /// and the project in it.
    pub signed_data: Option<Private>,
    /// What kind of message that is.
    pub signed_data_type: Option<SignedMessageType>,
    /// The signature.
    pub signature_data: Option<SignatureData>,
    /// What is needed to check it, such as the public key, as JSON text,
    /// whether the service sent it as text or as an object.
    #[serde(default, deserialize_with = "private_json")]
    pub signature_validation_details: Option<Private>,
}

/// The signature of a [`SecureSignedMessage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignatureData {
    /// The hash of the base64 text that was signed, in 64 hex digits.
    pub hash_value: Option<String>,
    /// How it was hashed.
    pub hash_method: Option<HashType>,
    /// The signature as JSON text, whose shape depends on the method.
    #[serde(default, deserialize_with = "private_json")]
    pub signature_data: Option<Private>,
    /// The method.
    pub auth_method: Option<AuthMethod>,
    /// What the user did to approve.
    pub auth_method_usetype: Option<AuthMethodUseType>,
    /// How it was signed.
    pub signing_method: Option<SigningMethod>,
}

/// JSON as text, whether it came as text or as the object itself; it may name
/// a user.
pub(super) fn private_json<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Private>, D::Error> {
    Ok(json_text(deserializer)?.map(Private::from))
}

// Builder functions.

/// Asks a user to approve in the authenticator app: by a push message, if
/// [`send_push`](StartAuthenticatorAuth::send_push) is set, and by a QR code.
///
/// Then wait with [`get_auth_info`] until the user has answered, and end with
/// [`validate_authenticator_auth`].
///
/// `POST /auth/authenticator/start` of v3 and v4.
pub fn start_authenticator_auth(
    request: &StartAuthenticatorAuth,
) -> Request<StartAuthenticatorAuthResponse> {
    Request::new(Endpoint::StartAuthenticatorAuth).body(request)
}

/// Validates a sign-in that the user approved in the authenticator app. Its
/// answer is what signs the user in, see [`ValidateAuthDetails::authorized`].
///
/// Whether the service answers a wrong or used token with a verdict or with
/// an error is unverified: take both for "not signed in".
///
/// `POST /auth/authenticator/validate` of v3 and v4.
pub fn validate_authenticator_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateAuthenticatorAuth).body(request)
}

/// Starts a sign-in with WebAuthn. Hand
/// [`fido2_json_options`](StartWebauthnAuthResponse::fido2_json_options) to the
/// page, which calls `navigator.credentials.get`, and go on with
/// [`finish_webauthn_auth`].
///
/// `POST /auth/webauthn/start` of v3 and v4.
pub fn start_webauthn_auth(request: &StartWebauthnAuth) -> Request<StartWebauthnAuthResponse> {
    Request::new(Endpoint::StartWebauthnAuth).body(request)
}

/// Hands the browser's answer in. This signs nobody in yet: go on with
/// [`validate_webauthn_auth`], to which the answer has the token.
///
/// `POST /auth/webauthn/finish` of v3 and v4.
pub fn finish_webauthn_auth(request: &FinishWebauthnAuth) -> Request<FinishWebauthnAuthResponse> {
    Request::new(Endpoint::FinishWebauthnAuth).body(request)
}

/// Validates a sign-in with WebAuthn. Its answer is what signs the user in, see
/// [`ValidateAuthDetails::authorized`].
///
/// Whether the service answers a wrong or used token with a verdict or with
/// an error is unverified: take both for "not signed in".
///
/// `POST /auth/webauthn/validate` of v3 and v4.
pub fn validate_webauthn_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateWebauthnAuth).body(&NonceInV4Only(request))
}

/// Mails a link to a user. Who opens it lands on the redirect URL with
/// `auth_request_id` and `auth_validation_token` in its query, both of which
/// [`validate_magiclink_email_auth`] wants.
///
/// `POST /auth/magiclink_email/start` of v3 and v4.
pub fn start_magiclink_email_auth(
    request: &StartMagiclinkEmailAuth,
) -> Request<StartMagiclinkEmailAuthResponse> {
    Request::new(Endpoint::StartMagiclinkEmailAuth).body(request)
}

/// Validates a sign-in by a mailed link. Its answer is what signs the user in,
/// see [`ValidateAuthDetails::authorized`], and it hands the context data back.
///
/// Whether the service answers a wrong or used token with a verdict or with
/// an error is unverified: take both for "not signed in".
///
/// `POST /auth/magiclink_email/validate` of v3 and v4.
pub fn validate_magiclink_email_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateMagiclinkEmailAuth).body(&NonceInV4Only(request))
}

/// Tells how far an auth request has come: whether it waits for the user
/// ([`PendingApproval`](AuthRequestStatus::PendingApproval)), waits for the
/// validate call ([`PendingValidation`](AuthRequestStatus::PendingValidation)),
/// or is over. It signs nobody in.
///
/// `GET /auth/{auth_request_id}` of v3 and v4.
pub fn get_auth_info(auth_request_id: Uuid) -> Request<AuthInfo> {
    Request::new(Endpoint::GetAuthInfo).id(auth_request_id)
}

/// Signing in, see [`auth`](crate::auth).
impl Client {
    /// Asks a user to approve in the authenticator app. Felt by a person, sent
    /// at most once. Sends [`auth::start_authenticator_auth`](start_authenticator_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout or the user key is out of bounds; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::StartAuthenticatorAuth;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartAuthenticatorAuth::new()
    ///     .user("ada@example.com")
    ///     .action_name("Sign in")
    ///     .short_msg("Somebody signs in to Example as you")
    ///     .send_push(true);
    /// let started = client.start_authenticator_auth(&request)?;
    /// println!("waiting until {:?}", started.timeout_utc_datetime);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_authenticator_auth(
        &self,
        request: &StartAuthenticatorAuth,
    ) -> Result<StartAuthenticatorAuthResponse, Error> {
        self.send(&start_authenticator_auth(request))
    }

    /// Validates a sign-in with the authenticator app. Sends
    /// [`auth::validate_authenticator_auth`](validate_authenticator_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// token is empty; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::{Secret, auth::ValidateAuth};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), Secret::from("token"));
    ///
    /// let answer = client.validate_authenticator_auth(&ValidateAuth::new(auth_request_id, token))?;
    /// let signed_in = answer
    ///     .validate_auth_response_details
    ///     .is_some_and(|details| details.authorized == Some(true));
    /// # let _ = signed_in;
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_authenticator_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_authenticator_auth(request))
    }

    /// Starts a sign-in with WebAuthn. Sends
    /// [`auth::start_webauthn_auth`](start_webauthn_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout or the user key is out of bounds, or under v3 if the nonce, the
    /// IP address or the user agent is set; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::StartWebauthnAuth;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartWebauthnAuth::new()
    ///     .user("ada@example.com")
    ///     .webauthn_client_id("your-webauthn-client-id");
    /// let for_the_page = client.start_webauthn_auth(&request)?.fido2_json_options;
    /// # let _ = for_the_page;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_webauthn_auth(
        &self,
        request: &StartWebauthnAuth,
    ) -> Result<StartWebauthnAuthResponse, Error> {
        self.send(&start_webauthn_auth(request))
    }

    /// Hands the browser's answer in, as JSON text. Sends
    /// [`auth::finish_webauthn_auth`](finish_webauthn_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if `aa_sig`
    /// is empty; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::{FinishWebauthnAuth, StartWebauthnAuthResponse};
    ///
    /// # fn main() {}
    /// fn finish(
    ///     client: &autharmor::Client,
    ///     started: StartWebauthnAuthResponse,
    ///     json_from_the_page: String,
    /// ) -> Result<(), autharmor::Error> {
    ///     // What was called aa_guid goes back as aa_sig.
    ///     let aa_sig = started.aa_guid.unwrap_or_default();
    ///     let request = FinishWebauthnAuth::new(started.auth_request_id, aa_sig, json_from_the_page);
    ///     let token = client.finish_webauthn_auth(&request)?.auth_validation_token;
    /// #   let _ = token;
    ///     Ok(())
    /// }
    /// ```
    pub fn finish_webauthn_auth(
        &self,
        request: &FinishWebauthnAuth,
    ) -> Result<FinishWebauthnAuthResponse, Error> {
        self.send(&finish_webauthn_auth(request))
    }

    /// Validates a sign-in with WebAuthn. Sends
    /// [`auth::validate_webauthn_auth`](validate_webauthn_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// token is empty, or under v3 if a nonce is set; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::{Secret, auth::ValidateAuth};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), Secret::from("token"));
    ///
    /// let answer = client.validate_webauthn_auth(&ValidateAuth::new(auth_request_id, token))?;
    /// let signed_in = answer
    ///     .validate_auth_response_details
    ///     .is_some_and(|details| details.authorized == Some(true));
    /// # let _ = signed_in;
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_webauthn_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_webauthn_auth(request))
    }

    /// Mails a link to a user. Felt by a person, sent at most once. Sends
    /// [`auth::start_magiclink_email_auth`](start_magiclink_email_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout, the action name or the user key is out of bounds; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::StartMagiclinkEmailAuth;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartMagiclinkEmailAuth::new("ada@example.com", "https://example.com/in")
    ///     .action_name("Sign in")
    ///     .short_msg("Somebody signs in to Example as you");
    /// let started = client.start_magiclink_email_auth(&request)?;
    /// # let _ = started;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_magiclink_email_auth(
        &self,
        request: &StartMagiclinkEmailAuth,
    ) -> Result<StartMagiclinkEmailAuthResponse, Error> {
        self.send(&start_magiclink_email_auth(request))
    }

    /// Validates a sign-in by a mailed link. Sends
    /// [`auth::validate_magiclink_email_auth`](validate_magiclink_email_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// token is empty, or under v3 if a nonce is set; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::{Secret, auth::ValidateAuth};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), Secret::from("token"));
    ///
    /// let answer = client.validate_magiclink_email_auth(&ValidateAuth::new(auth_request_id, token))?;
    /// if let Some(details) = answer.validate_auth_response_details {
    ///     if details.authorized == Some(true) {
    ///         println!("signed in, with {:?}", details.context_data.get("cart"));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_magiclink_email_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_magiclink_email_auth(request))
    }

    /// Tells how far an auth request has come. Sends
    /// [`auth::get_auth_info`](get_auth_info).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the id
    /// is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::AuthRequestStatus;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let auth_request_id = uuid::Uuid::from_u128(7);
    ///
    /// let info = client.get_auth_info(auth_request_id)?;
    /// if info.auth_request_status_id == Some(AuthRequestStatus::PendingValidation) {
    ///     println!("approved: now validate it");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_auth_info(&self, auth_request_id: Uuid) -> Result<AuthInfo, Error> {
        self.send(&get_auth_info(auth_request_id))
    }
}
