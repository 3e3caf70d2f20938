//! Registering users, and adding a way to sign in to a user: the authenticator
//! app, WebAuthn (passkeys and security keys), links in a mail.
//!
//! A registration is started, accepted by the user, and validated. v3 has no
//! validate call for the authenticator app and WebAuthn: it ends with the
//! user's part, unless one goes on with v4's [`validate_authenticator_registration`]
//! and [`validate_webauthn_registration`], which a client of either version
//! can call. Whether v3 answers with the token that they want is unverified.
//!
//! A `start_*` call is felt by a person: a mail arrives, an invitation is
//! made. It is sent at most once, so whoever repeats it after an error asks
//! [`Error::may_have_been_sent`] first.
//!
//! The calls that end in `_for_user` take a [`UserKey`]. Under v4 a username
//! is refused there with [`UsernameInUrl`](crate::ErrorKind::UsernameInUrl)
//! unless the builder allowed it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{check_filled, check_length, first_set, private_json};
use crate::client::Client;
use crate::error::Error;
use crate::request::{Endpoint, Payload, Request};
use crate::secret::{Private, Secret};
use crate::types::{
    ContextData, Timestamp, lenient_context, open_number_enum, open_text_enum, optional_number,
    setters,
};
use crate::user_key::{UserKey, check_name};

/// How long the name of a new user of the authenticator app may be, in
/// characters.
const AUTHENTICATOR_NAME: RangeInclusive<usize> = 2..=42;

// Requests.

open_text_enum! {
    /// Which authenticators may be registered.
    AuthenticatorAttachment {
        /// Any.
        Any = "Any",
        /// One that is not part of the device, such as a security key.
        CrossPlatform = "CrossPlatform",
        /// One that is part of the device, such as a fingerprint reader.
        Platform = "Platform",
    }
}

open_text_enum! {
    /// Whether the key must be one that is found without a username.
    ResidentKeyRequirement {
        /// It must.
        Required = "required",
        /// Rather yes.
        Preferred = "preferred",
        /// Rather no.
        Discouraged = "discouraged",
    }
}

open_text_enum! {
    /// Whether the authenticator must verify who holds it, by a PIN or a
    /// finger.
    UserVerificationRequirement {
        /// It must.
        Required = "required",
        /// Rather yes.
        Preferred = "preferred",
        /// Rather no.
        Discouraged = "discouraged",
    }
}

/// What [`start_authenticator_registration`] asks for.
///
/// ```
/// use autharmor::registrations::StartAuthenticatorRegistration;
///
/// let request = StartAuthenticatorRegistration::new("ada@example.com").timeout_in_seconds(120);
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StartAuthenticatorRegistration {
    username: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_and_reinvite: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke_previous_invites: Option<bool>,
}

impl StartAuthenticatorRegistration {
    /// The new user's name: 2 to 42 characters, none of them a control
    /// character, and no white space at either end.
    #[must_use]
    pub fn new(username: impl Into<Private>) -> Self {
        Self {
            username: username.into(),
            timeout_in_seconds: None,
            reset_and_reinvite: None,
            revoke_previous_invites: None,
        }
    }

    setters! {
        /// How long the user may take, in seconds. Default and limits are the
        /// service's.
        timeout_in_seconds: u32,
        /// Whether to clear a user who is set up already and to invite again.
        /// v3 only.
        reset_and_reinvite: bool,
        /// Whether to cancel older invitations, which else stay valid until
        /// they are used. v3 only.
        revoke_previous_invites: bool,
    }
}

impl Payload for StartAuthenticatorRegistration {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.username, "the username")?;
        check_length(&self.username, "username", &AUTHENTICATOR_NAME)
    }

    fn v3_only(&self) -> Option<&'static str> {
        first_set([
            ("reset_and_reinvite", self.reset_and_reinvite.is_some()),
            (
                "revoke_previous_invites",
                self.revoke_previous_invites.is_some(),
            ),
        ])
    }
}

/// What [`start_webauthn_registration`] asks for: a new user.
///
/// ```
/// use autharmor::registrations::{AuthenticatorAttachment, StartWebauthnRegistration};
///
/// let request = StartWebauthnRegistration::new("ada@example.com")
///     .webauthn_client_id("your-webauthn-client-id")
///     .attachment_type(AuthenticatorAttachment::Any);
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StartWebauthnRegistration {
    username: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_address: Option<Private>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webauthn_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment_type: Option<AuthenticatorAttachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_key_requirement_type: Option<ResidentKeyRequirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_verification_requirement_type: Option<UserVerificationRequirement>,
}

impl StartWebauthnRegistration {
    /// The new user's name, with no control character in it and no white space
    /// at either end.
    #[must_use]
    pub fn new(username: impl Into<Private>) -> Self {
        Self {
            username: username.into(),
            email_address: None,
            timeout_in_seconds: None,
            webauthn_client_id: None,
            attachment_type: None,
            resident_key_requirement_type: None,
            user_verification_requirement_type: None,
        }
    }

    setters! {
        /// The new user's mail address, with no control character in it and no
        /// white space at either end.
        email_address: impl Into<Private>,
        /// How long the user may take, in seconds. Default and limits are the
        /// service's.
        timeout_in_seconds: u32,
        /// The WebAuthn client of your project, from the dashboard. One of
        /// the vendor's SDKs takes it for required: better set it.
        webauthn_client_id: impl Into<String>,
        /// Which authenticators may be registered.
        attachment_type: AuthenticatorAttachment,
        /// Whether the key must be one that is found without a username. v4
        /// only.
        resident_key_requirement_type: ResidentKeyRequirement,
        /// Whether the authenticator must verify who holds it. v4 only.
        user_verification_requirement_type: UserVerificationRequirement,
    }
}

impl Payload for StartWebauthnRegistration {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.username, "the username")?;
        self.email_address
            .as_ref()
            .map_or(Ok(()), |address| check_name(address, "the email_address"))
    }

    fn v4_only(&self) -> Option<&'static str> {
        first_set([
            (
                "resident_key_requirement_type",
                self.resident_key_requirement_type.is_some(),
            ),
            (
                "user_verification_requirement_type",
                self.user_verification_requirement_type.is_some(),
            ),
        ])
    }
}

/// What [`start_webauthn_registration_for_user`] asks for.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct StartWebauthnRegistrationForUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webauthn_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment_type: Option<AuthenticatorAttachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_key_requirement_type: Option<ResidentKeyRequirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_verification_requirement_type: Option<UserVerificationRequirement>,
}

impl StartWebauthnRegistrationForUser {
    /// A request with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// How long the user may take, in seconds. Default and limits are the
        /// service's.
        timeout_in_seconds: u32,
        /// The WebAuthn client of your project, from the dashboard. One of
        /// the vendor's SDKs takes it for required: better set it.
        webauthn_client_id: impl Into<String>,
        /// Which authenticators may be registered.
        attachment_type: AuthenticatorAttachment,
        /// Whether the key must be one that is found without a username. v4
        /// only.
        resident_key_requirement_type: ResidentKeyRequirement,
        /// Whether the authenticator must verify who holds it. v4 only.
        user_verification_requirement_type: UserVerificationRequirement,
    }
}

impl Payload for StartWebauthnRegistrationForUser {
    fn v4_only(&self) -> Option<&'static str> {
        first_set([
            (
                "resident_key_requirement_type",
                self.resident_key_requirement_type.is_some(),
            ),
            (
                "user_verification_requirement_type",
                self.user_verification_requirement_type.is_some(),
            ),
        ])
    }
}

/// What the browser answered to `navigator.credentials.create`, in base64url
/// without padding.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Fido2RegistrationData {
    id: String,
    attestation_object: String,
    client_data: String,
}

impl Fido2RegistrationData {
    /// The credential's id, the attestation object and the client data.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        attestation_object: impl Into<String>,
        client_data: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            attestation_object: attestation_object.into(),
            client_data: client_data.into(),
        }
    }
}

/// What [`finish_webauthn_registration`] and
/// [`finish_webauthn_registration_for_user`] hand in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FinishWebauthnRegistration {
    #[serde(serialize_with = "Secret::bare_on_the_wire")]
    aa_sig: Secret,
    authenticator_response_data: Fido2RegistrationData,
    #[serde(skip_serializing_if = "Option::is_none")]
    webauthn_client_id: Option<String>,
}

impl FinishWebauthnRegistration {
    /// * `aa_sig`: as the start call answered. Not empty.
    /// * `authenticator_response_data`: what the page made of the browser's
    ///   answer. Here it is an object; a sign-in wants JSON text there.
    #[must_use]
    pub fn new(
        aa_sig: impl Into<Secret>,
        authenticator_response_data: Fido2RegistrationData,
    ) -> Self {
        Self {
            aa_sig: aa_sig.into(),
            authenticator_response_data,
            webauthn_client_id: None,
        }
    }

    setters! {
        /// The WebAuthn client of your project, as given to the start call.
        webauthn_client_id: impl Into<String>,
    }
}

impl Payload for FinishWebauthnRegistration {
    fn check(&self) -> Result<(), Error> {
        check_filled(&self.aa_sig, "aa_sig")
    }
}

/// What [`validate_authenticator_registration`] and
/// [`validate_webauthn_registration`] hand in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ValidateRegistration {
    #[serde(serialize_with = "Secret::bare_on_the_wire")]
    registration_validation_token: Secret,
}

impl ValidateRegistration {
    /// The token comes with the start answer of the authenticator app and with
    /// the finish answer of WebAuthn. It is not empty.
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
            &self.registration_validation_token,
            "registration_validation_token",
        )
    }
}

/// What [`start_magiclink_email_registration`] and
/// [`start_magiclink_email_registration_for_user`] ask for.
///
/// ```
/// use autharmor::registrations::StartMagiclinkEmailRegistration;
///
/// let request = StartMagiclinkEmailRegistration::new(
///     "ada@example.com",
///     "https://example.com/registered",
/// )
/// .action_name("Register")
/// .context_data("plan", "free");
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailRegistration {
    email_address: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<u32>,
    registration_redirect_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_msg: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    context_data: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl StartMagiclinkEmailRegistration {
    /// * `email_address`: where the mail goes. A new user is called by it.
    ///   Nobody else may have it, no control character is in it and no white
    ///   space at either end.
    /// * `registration_redirect_url`: where the link leads, with
    ///   `registration_validation_token` (and under v4 `registration_id`)
    ///   added to its query. It must be on the project's list of redirect URLs
    ///   for registration.
    #[must_use]
    pub fn new(
        email_address: impl Into<Private>,
        registration_redirect_url: impl Into<String>,
    ) -> Self {
        Self {
            email_address: email_address.into(),
            timeout_in_seconds: None,
            registration_redirect_url: registration_redirect_url.into(),
            action_name: None,
            short_msg: None,
            context_data: BTreeMap::new(),
            ip_address: None,
            user_agent: None,
        }
    }

    setters! {
        /// How long the user may take, in seconds. Service's default: 5
        /// minutes.
        timeout_in_seconds: u32,
        /// What the link is for. It becomes part of the mail's subject.
        action_name: impl Into<String>,
        /// A line more about it.
        short_msg: impl Into<String>,
        /// The IP address of the user's browser. If set, the service compares
        /// it with [`ValidateMagiclinkEmailRegistration::ip_address`].
        ip_address: impl Into<String>,
        /// The `User-Agent` of the user's browser. If set, the service
        /// compares it with [`ValidateMagiclinkEmailRegistration::user_agent`].
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

impl Payload for StartMagiclinkEmailRegistration {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.email_address, "the email_address")
    }
}

/// What [`start_change_magiclink_email`] asks for.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StartChangeMagiclinkEmail {
    new_email_address: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_in_seconds: Option<u32>,
    registration_redirect_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_msg: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    context_data: BTreeMap<String, String>,
}

impl StartChangeMagiclinkEmail {
    /// * `new_email_address`: where the mail goes. No control character is in
    ///   it and no white space at either end.
    /// * `registration_redirect_url`: where the link leads, as for
    ///   [`StartMagiclinkEmailRegistration::new`].
    #[must_use]
    pub fn new(
        new_email_address: impl Into<Private>,
        registration_redirect_url: impl Into<String>,
    ) -> Self {
        Self {
            new_email_address: new_email_address.into(),
            timeout_in_seconds: None,
            registration_redirect_url: registration_redirect_url.into(),
            action_name: None,
            short_msg: None,
            context_data: BTreeMap::new(),
        }
    }

    setters! {
        /// How long the user may take, in seconds. Service's default: 5
        /// minutes.
        timeout_in_seconds: u32,
        /// What the link is for.
        action_name: impl Into<String>,
        /// A line more about it.
        short_msg: impl Into<String>,
    }

    /// Adds a value of your own, which the validate answer hands back. The
    /// last one of a key counts.
    #[must_use]
    pub fn context_data(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.context_data.insert(key.into(), value.into());
        self
    }
}

impl Payload for StartChangeMagiclinkEmail {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.new_email_address, "the new_email_address")
    }
}

/// What [`validate_magiclink_email_registration`] hands in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ValidateMagiclinkEmailRegistration {
    #[serde(skip)]
    registration_id: Option<Uuid>,
    #[serde(serialize_with = "Secret::bare_on_the_wire")]
    registration_validation_token: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl ValidateMagiclinkEmailRegistration {
    /// The token from the query of the mailed link. It is not empty.
    #[must_use]
    pub fn new(registration_validation_token: impl Into<Secret>) -> Self {
        Self {
            registration_id: None,
            registration_validation_token: registration_validation_token.into(),
            ip_address: None,
            user_agent: None,
        }
    }

    setters! {
        /// The registration's id, from the query of the mailed link. v4 only,
        /// and there it is required; it goes into the route.
        registration_id: Uuid,
        /// The IP address of the user's browser, if one was given to the start
        /// call.
        ip_address: impl Into<String>,
        /// The `User-Agent` of the user's browser, if one was given to the
        /// start call.
        user_agent: impl Into<String>,
    }
}

impl Payload for ValidateMagiclinkEmailRegistration {
    fn check(&self) -> Result<(), Error> {
        check_filled(
            &self.registration_validation_token,
            "registration_validation_token",
        )
    }
}

// Answers.

open_text_enum! {
    /// What a mailed link was for.
    MagiclinkEmailRegistrationType {
        /// A new user.
        NewUser = "new_user",
        /// A new way to sign in for a user that there was.
        NewEnrollment = "new_enrollment",
        /// Another mail address for a user that there was.
        ChangeEmail = "change_email",
    }
}

open_number_enum! {
    /// How far a registration has come.
    RegistrationStatus {
        /// The service does not say.
        Unknown = 0,
        /// Waiting for the user.
        PendingUserAcceptance = 1,
        /// Done.
        Registered = 2,
        /// The user declined.
        Declined = 3,
        /// The signature of the user's device is wrong.
        InvalidSignature = 4,
        /// The user did not answer in time.
        Timeout = 5,
        /// The user accepted; the app is still setting itself up.
        AcceptedPendingDeviceEnrollment = 6,
        /// Waiting for the validate call.
        PendingValidation = 8,
        /// The validate call came too late.
        ValidationTimeout = 9,
        /// A check failed, such as an IP address that is not the one of the
        /// start call.
        SecurityException = 10,
    }
}

/// The answer of [`start_authenticator_registration`] and
/// [`start_authenticator_registration_for_user`].
///
/// Its [`Secret`]s are left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartAuthenticatorRegistrationResponse {
    /// Names this registration from now on.
    pub registration_id: Uuid,
    /// The user. Not sure to be there under v3.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
    /// When the invitation ends.
    pub date_expires: Option<Timestamp>,
    /// The method, in the service's words.
    pub auth_method: Option<String>,
    /// Text to draw as a QR code for the app.
    #[serde(skip_serializing)]
    pub qr_code_data: Option<Secret>,
    /// What [`ValidateRegistration::new`] wants. Not for the page. Probably
    /// missing under v3.
    #[serde(skip_serializing)]
    pub registration_validation_token: Option<Secret>,
}

/// The answer of [`start_webauthn_registration`] and
/// [`start_webauthn_registration_for_user`]: what the page needs.
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartWebauthnRegistrationResponse {
    /// Names this registration from now on.
    pub registration_id: Uuid,
    /// Goes back with the finish call.
    #[serde(skip_serializing)]
    pub aa_sig: Option<Secret>,
    /// The options for `navigator.credentials.create`, as JSON text, whether
    /// the service sent them as text or as an object: hand them to the page as
    /// they are.
    #[serde(default, deserialize_with = "private_json")]
    pub fido2_json_options: Option<Private>,
    /// The user, if it is not a new one; v4 only.
    pub user_id: Option<Uuid>,
}

/// The answer of [`finish_webauthn_registration`] and
/// [`finish_webauthn_registration_for_user`].
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FinishWebauthnRegistrationResponse {
    /// The user.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
    /// What [`ValidateRegistration::new`] wants. Probably missing under v3.
    #[serde(skip_serializing)]
    pub registration_validation_token: Option<Secret>,
}

/// The answer of [`validate_authenticator_registration`] and
/// [`validate_webauthn_registration`]: who has what new way to sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ValidatedOnTheWire")]
#[non_exhaustive]
pub struct ValidateRegistrationResponse {
    /// The new credential. One of the vendor's SDKs calls it `device_id`,
    /// which is read as well.
    pub credential_id: Option<Uuid>,
    /// The user.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
}

/// Both names of the credential's id. (An alias would refuse an answer that
/// has both.)
#[derive(Deserialize)]
struct ValidatedOnTheWire {
    credential_id: Option<Uuid>,
    device_id: Option<Uuid>,
    user_id: Option<Uuid>,
    username: Option<Private>,
}

impl From<ValidatedOnTheWire> for ValidateRegistrationResponse {
    fn from(wire: ValidatedOnTheWire) -> Self {
        Self {
            credential_id: wire.credential_id.or(wire.device_id),
            user_id: wire.user_id,
            username: wire.username,
        }
    }
}

/// The answer of [`start_magiclink_email_registration`],
/// [`start_magiclink_email_registration_for_user`] and
/// [`start_change_magiclink_email`]. It has no id: that, if any, travels in the
/// mailed link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailRegistrationResponse {
    /// How long the user may take, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time is up.
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// The answer of [`validate_magiclink_email_registration`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateMagiclinkEmailRegistrationResponse {
    /// Which of the three start calls the link came from.
    pub magiclink_email_registration_type: Option<MagiclinkEmailRegistrationType>,
    /// The user.
    pub user_id: Option<Uuid>,
    /// The user's name. It does not follow a change of the address.
    pub username: Option<Private>,
    /// The user's mail address.
    pub email_address: Option<Private>,
    /// What was given as `context_data` to the start call.
    #[serde(default, deserialize_with = "lenient_context")]
    pub context_data: ContextData,
}

/// The answer of [`get_registration_info`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegistrationInfo {
    /// How far the registration has come.
    pub registration_status_code: Option<RegistrationStatus>,
    /// The same in words.
    pub registration_status_name: Option<String>,
    /// The method, in the service's words.
    pub auth_method: Option<String>,
}

// Builder functions.

/// Makes a new user and an invitation into the authenticator app, as a QR
/// code.
///
/// Then wait until the user has scanned it, with [`get_registration_info`], and
/// end with [`validate_authenticator_registration`]. Both are v4's; with v3
/// alone, wait until [`get_user`](crate::users::get_user) shows the app among
/// the user's methods.
///
/// `POST /users/authenticator/register/start` of v3,
/// `POST /users/registrations/authenticator/start` of v4.
pub fn start_authenticator_registration(
    request: &StartAuthenticatorRegistration,
) -> Request<StartAuthenticatorRegistrationResponse> {
    Request::new(Endpoint::StartAuthenticatorRegistration).body(request)
}

/// Invites a user into the authenticator app, as a QR code. Goes on as
/// [`start_authenticator_registration`] does.
///
/// `POST /users/{user_id}/authenticator/register/start` of v3,
/// `POST /users/{user_id}/registrations/authenticator/start` of v4, without a
/// body.
pub fn start_authenticator_registration_for_user(
    user: impl Into<UserKey>,
) -> Request<StartAuthenticatorRegistrationResponse> {
    Request::new(Endpoint::StartAuthenticatorRegistrationForUser).user(user)
}

/// Validates a registration of the authenticator app. Without it a page could
/// claim a registration that is not its own.
///
/// How the service answers a wrong token is unverified: probably with an error
/// of status 401 or 403.
///
/// `POST /users/registrations/authenticator/{registration_id}/validate` of v4.
pub fn validate_authenticator_registration(
    registration_id: Uuid,
    request: &ValidateRegistration,
) -> Request<ValidateRegistrationResponse> {
    Request::new(Endpoint::ValidateAuthenticatorRegistration)
        .id(registration_id)
        .body(request)
}

/// Starts to register a new user with WebAuthn. Hand
/// [`fido2_json_options`](StartWebauthnRegistrationResponse::fido2_json_options)
/// to the page, which calls `navigator.credentials.create`, and go on with
/// [`finish_webauthn_registration`].
///
/// `POST /users/webauthn/register/start` of v3,
/// `POST /users/registrations/webauthn/start` of v4.
pub fn start_webauthn_registration(
    request: &StartWebauthnRegistration,
) -> Request<StartWebauthnRegistrationResponse> {
    Request::new(Endpoint::StartWebauthnRegistration).body(request)
}

/// Hands the browser's answer in. v3 ends here; under v4 go on with
/// [`validate_webauthn_registration`], to which the answer has the token.
///
/// `POST /users/webauthn/register/finish` of v3, with the registration's id in
/// the body, `POST /users/registrations/webauthn/{registration_id}/finish` of
/// v4.
pub fn finish_webauthn_registration(
    registration_id: Uuid,
    request: &FinishWebauthnRegistration,
) -> Request<FinishWebauthnRegistrationResponse> {
    Request::new(Endpoint::FinishWebauthnRegistration)
        .id(registration_id)
        .body(request)
}

/// Starts to add WebAuthn to a user. Goes on with
/// [`finish_webauthn_registration_for_user`].
///
/// `POST /users/{user_id}/webauthn/register/start` of v3,
/// `POST /users/{user_id}/registrations/webauthn/start` of v4.
pub fn start_webauthn_registration_for_user(
    user: impl Into<UserKey>,
    request: &StartWebauthnRegistrationForUser,
) -> Request<StartWebauthnRegistrationResponse> {
    Request::new(Endpoint::StartWebauthnRegistrationForUser)
        .user(user)
        .body(request)
}

/// Hands the browser's answer in, for a user that there is. v3 ends here; under
/// v4 go on with [`validate_webauthn_registration`], to which the answer has
/// the token.
///
/// `POST /users/{user_id}/webauthn/register/finish` of v3, with the
/// registration's id in the body,
/// `POST /users/{user_id}/registrations/webauthn/{registration_id}/finish` of
/// v4.
pub fn finish_webauthn_registration_for_user(
    user: impl Into<UserKey>,
    registration_id: Uuid,
    request: &FinishWebauthnRegistration,
) -> Request<FinishWebauthnRegistrationResponse> {
    Request::new(Endpoint::FinishWebauthnRegistrationForUser)
        .user(user)
        .id(registration_id)
        .body(request)
}

/// Validates a registration with WebAuthn.
///
/// How the service answers a wrong token is unverified: probably with an error
/// of status 401 or 403.
///
/// `POST /users/registrations/webauthn/{registration_id}/validate` of v4.
pub fn validate_webauthn_registration(
    registration_id: Uuid,
    request: &ValidateRegistration,
) -> Request<ValidateRegistrationResponse> {
    Request::new(Endpoint::ValidateWebauthnRegistration)
        .id(registration_id)
        .body(request)
}

/// Mails a link by which a new user registers. Who opens it lands on the
/// redirect URL with `registration_validation_token` (and under v4
/// `registration_id`) in its query, which
/// [`validate_magiclink_email_registration`] wants.
///
/// `POST /users/magiclink_email/register/start` of v3,
/// `POST /users/registrations/magiclink_email/start` of v4.
pub fn start_magiclink_email_registration(
    request: &StartMagiclinkEmailRegistration,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartMagiclinkEmailRegistration).body(request)
}

/// Mails a link by which a user that there is adds links in mails. Goes on as
/// [`start_magiclink_email_registration`] does.
///
/// `POST /users/{user_id}/magiclink_email/register/start` of v3,
/// `POST /users/{user_id}/registrations/magiclink_email/start` of v4.
pub fn start_magiclink_email_registration_for_user(
    user: impl Into<UserKey>,
    request: &StartMagiclinkEmailRegistration,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartMagiclinkEmailRegistrationForUser)
        .user(user)
        .body(request)
}

/// Mails a link to a user's new address, by which the address changes. Goes on
/// as [`start_magiclink_email_registration`] does. The username does not
/// follow: see [`update_user`](crate::users::update_user).
///
/// `POST /users/{user_id}/magiclink_email/update/start` of v3 and v4.
pub fn start_change_magiclink_email(
    user: impl Into<UserKey>,
    request: &StartChangeMagiclinkEmail,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartChangeMagiclinkEmail)
        .user(user)
        .body(request)
}

/// Validates a mailed link of any of the three start calls; the answer tells of
/// which, and hands the context data back.
///
/// How the service answers a wrong token is unverified: probably with an error
/// of status 401 or 403.
///
/// `POST /users/register/magiclink_email/validate` of v3,
/// `POST /users/registrations/magiclink_email/{registration_id}/validate` of
/// v4.
pub fn validate_magiclink_email_registration(
    request: &ValidateMagiclinkEmailRegistration,
) -> Request<ValidateMagiclinkEmailRegistrationResponse> {
    let call = Request::new(Endpoint::ValidateMagiclinkEmailRegistration).body(request);
    match request.registration_id {
        Some(id) => call.id(id),
        None => call,
    }
}

/// Tells how far a registration has come. Wait while it is
/// [`PendingUserAcceptance`](RegistrationStatus::PendingUserAcceptance) or
/// [`AcceptedPendingDeviceEnrollment`](RegistrationStatus::AcceptedPendingDeviceEnrollment).
///
/// `GET /users/registrations/{registration_id}` of v4.
pub fn get_registration_info(registration_id: Uuid) -> Request<RegistrationInfo> {
    Request::new(Endpoint::GetRegistrationInfo).id(registration_id)
}

/// Registering users, see [`registrations`](crate::registrations).
impl Client {
    /// Makes a new user and an invitation into the authenticator app. Felt by a
    /// person, sent at most once. Sends
    /// [`registrations::start_authenticator_registration`](start_authenticator_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the name
    /// is out of bounds, or under v4 if one of the two v3 switches is set; else
    /// as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartAuthenticatorRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartAuthenticatorRegistration::new("ada@example.com");
    /// let started = client.start_authenticator_registration(&request)?;
    /// if let Some(qr) = &started.qr_code_data {
    ///     // Draw qr.expose() as a QR code.
    /// #   let _ = qr;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_authenticator_registration(
        &self,
        request: &StartAuthenticatorRegistration,
    ) -> Result<StartAuthenticatorRegistrationResponse, Error> {
        self.send(&start_authenticator_registration(request))
    }

    /// Invites a user into the authenticator app. Felt by a person, sent at
    /// most once. Sends
    /// [`registrations::start_authenticator_registration_for_user`](start_authenticator_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the user
    /// key is out of bounds; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// let started = client.start_authenticator_registration_for_user("ada@example.com")?;
    /// println!("valid until {:?}", started.date_expires);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_authenticator_registration_for_user(
        &self,
        user: impl Into<UserKey>,
    ) -> Result<StartAuthenticatorRegistrationResponse, Error> {
        self.send(&start_authenticator_registration_for_user(user))
    }

    /// Validates a registration of the authenticator app. v4 only, sent there
    /// by a client of either version. Sends
    /// [`registrations::validate_authenticator_registration`](validate_authenticator_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty or the id is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, token) = (uuid::Uuid::from_u128(7), "token");
    ///
    /// let request = ValidateRegistration::new(token);
    /// let credential = client.validate_authenticator_registration(registration_id, &request)?;
    /// println!("registered: {:?}", credential.credential_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_authenticator_registration(
        &self,
        registration_id: Uuid,
        request: &ValidateRegistration,
    ) -> Result<ValidateRegistrationResponse, Error> {
        self.send(&validate_authenticator_registration(
            registration_id,
            request,
        ))
    }

    /// Starts to register a new user with WebAuthn. Sends
    /// [`registrations::start_webauthn_registration`](start_webauthn_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the name
    /// or the address is out of bounds, or under v3 if one of the two
    /// requirements is set; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartWebauthnRegistration::new("ada@example.com")
    ///     .webauthn_client_id("your-webauthn-client-id");
    /// let for_the_page = client.start_webauthn_registration(&request)?.fido2_json_options;
    /// # let _ = for_the_page;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_webauthn_registration(
        &self,
        request: &StartWebauthnRegistration,
    ) -> Result<StartWebauthnRegistrationResponse, Error> {
        self.send(&start_webauthn_registration(request))
    }

    /// Hands the browser's answer in, for a new user. Sends
    /// [`registrations::finish_webauthn_registration`](finish_webauthn_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if `aa_sig`
    /// is empty or the id is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::{Fido2RegistrationData, FinishWebauthnRegistration};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, aa_sig) = (uuid::Uuid::from_u128(7), "signature");
    /// # let (id, attestation_object, client_data) = ("", "", "");
    ///
    /// let answer = Fido2RegistrationData::new(id, attestation_object, client_data);
    /// let request = FinishWebauthnRegistration::new(aa_sig, answer);
    /// let user = client.finish_webauthn_registration(registration_id, &request)?.user_id;
    /// # let _ = user;
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish_webauthn_registration(
        &self,
        registration_id: Uuid,
        request: &FinishWebauthnRegistration,
    ) -> Result<FinishWebauthnRegistrationResponse, Error> {
        self.send(&finish_webauthn_registration(registration_id, request))
    }

    /// Starts to add WebAuthn to a user. Sends
    /// [`registrations::start_webauthn_registration_for_user`](start_webauthn_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the user
    /// key is out of bounds, or under v3 if one of the two requirements is set;
    /// else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistrationForUser;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartWebauthnRegistrationForUser::new().webauthn_client_id("your-webauthn-client-id");
    /// let started = client.start_webauthn_registration_for_user("ada@example.com", &request)?;
    /// # let _ = started;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_webauthn_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartWebauthnRegistrationForUser,
    ) -> Result<StartWebauthnRegistrationResponse, Error> {
        self.send(&start_webauthn_registration_for_user(user, request))
    }

    /// Hands the browser's answer in, for a user that there is. Sends
    /// [`registrations::finish_webauthn_registration_for_user`](finish_webauthn_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if `aa_sig`
    /// is empty, the id is nil or the user key is out of bounds; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::{Fido2RegistrationData, FinishWebauthnRegistration};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, aa_sig) = (uuid::Uuid::from_u128(7), "signature");
    /// # let (id, attestation_object, client_data) = ("", "", "");
    ///
    /// let answer = Fido2RegistrationData::new(id, attestation_object, client_data);
    /// let request = FinishWebauthnRegistration::new(aa_sig, answer);
    /// client.finish_webauthn_registration_for_user("ada@example.com", registration_id, &request)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish_webauthn_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        registration_id: Uuid,
        request: &FinishWebauthnRegistration,
    ) -> Result<FinishWebauthnRegistrationResponse, Error> {
        self.send(&finish_webauthn_registration_for_user(
            user,
            registration_id,
            request,
        ))
    }

    /// Validates a registration with WebAuthn. v4 only, sent there by a client
    /// of either version. Sends
    /// [`registrations::validate_webauthn_registration`](validate_webauthn_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty or the id is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, token) = (uuid::Uuid::from_u128(7), "token");
    ///
    /// let request = ValidateRegistration::new(token);
    /// let credential = client.validate_webauthn_registration(registration_id, &request)?;
    /// println!("registered: {:?}", credential.credential_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_webauthn_registration(
        &self,
        registration_id: Uuid,
        request: &ValidateRegistration,
    ) -> Result<ValidateRegistrationResponse, Error> {
        self.send(&validate_webauthn_registration(registration_id, request))
    }

    /// Mails a link by which a new user registers. Felt by a person, sent at
    /// most once. Sends
    /// [`registrations::start_magiclink_email_registration`](start_magiclink_email_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// address is out of bounds; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartMagiclinkEmailRegistration::new("ada@example.com", "https://example.com/new")
    ///     .action_name("Register");
    /// client.start_magiclink_email_registration(&request)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_magiclink_email_registration(
        &self,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_magiclink_email_registration(request))
    }

    /// Mails a link by which a user that there is adds links in mails. Felt by
    /// a person, sent at most once. Sends
    /// [`registrations::start_magiclink_email_registration_for_user`](start_magiclink_email_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// address or the user key is out of bounds; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartMagiclinkEmailRegistration::new("ada@example.com", "https://example.com/new");
    /// client.start_magiclink_email_registration_for_user("ada", &request)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_magiclink_email_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_magiclink_email_registration_for_user(user, request))
    }

    /// Mails a link to a user's new address, by which the address changes. Felt
    /// by a person, sent at most once. Sends
    /// [`registrations::start_change_magiclink_email`](start_change_magiclink_email).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// address or the user key is out of bounds; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartChangeMagiclinkEmail;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartChangeMagiclinkEmail::new("ada@example.org", "https://example.com/new");
    /// client.start_change_magiclink_email("ada@example.com", &request)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_change_magiclink_email(
        &self,
        user: impl Into<UserKey>,
        request: &StartChangeMagiclinkEmail,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_change_magiclink_email(user, request))
    }

    /// Validates a mailed link of any of the three start calls. Sends
    /// [`registrations::validate_magiclink_email_registration`](validate_magiclink_email_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty, under v4 if the registration id is missing or nil, or under v3
    /// if it is set; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateMagiclinkEmailRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let token_from_the_link = "token";
    ///
    /// let request = ValidateMagiclinkEmailRegistration::new(token_from_the_link);
    /// let user = client.validate_magiclink_email_registration(&request)?;
    /// println!("{:?}: {:?}", user.magiclink_email_registration_type, user.user_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_magiclink_email_registration(
        &self,
        request: &ValidateMagiclinkEmailRegistration,
    ) -> Result<ValidateMagiclinkEmailRegistrationResponse, Error> {
        self.send(&validate_magiclink_email_registration(request))
    }

    /// Tells how far a registration has come. v4 only, sent there by a client
    /// of either version. Sends
    /// [`registrations::get_registration_info`](get_registration_info).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the id is
    /// nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::RegistrationStatus;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let registration_id = uuid::Uuid::from_u128(7);
    ///
    /// let info = client.get_registration_info(registration_id)?;
    /// if info.registration_status_code == Some(RegistrationStatus::PendingValidation) {
    ///     println!("accepted: now validate it");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_registration_info(&self, registration_id: Uuid) -> Result<RegistrationInfo, Error> {
        self.send(&get_registration_info(registration_id))
    }
}
