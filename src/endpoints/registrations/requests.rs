//! What the registration calls send.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;
use uuid::Uuid;

use crate::endpoints::checks::{check_filled, check_length, first_set};
use crate::error::Error;
use crate::http::Payload;
use crate::secret::{Private, Secret};
use crate::types::{open_text_enum, setters};
use crate::user_key::check_name;

/// How long the name of a new user of the authenticator app may be, in
/// characters.
const AUTHENTICATOR_NAME: RangeInclusive<usize> = 2..=42;

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

/// What [`start_authenticator_registration`](super::start_authenticator_registration) asks for.
///
/// ```
/// use autharmor::registrations::StartAuthenticatorRegistration;
///
/// let request = StartAuthenticatorRegistration::new("ada@example.com").timeout_in_seconds(120);
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StartAuthenticatorRegistration {
    pub(crate) username: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reset_and_reinvite: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoke_previous_invites: Option<bool>,
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

/// What [`start_webauthn_registration`](super::start_webauthn_registration) asks for: a new user.
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
    pub(crate) username: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) email_address: Option<Private>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webauthn_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attachment_type: Option<AuthenticatorAttachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resident_key_requirement_type: Option<ResidentKeyRequirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_verification_requirement_type: Option<UserVerificationRequirement>,
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

/// What [`start_webauthn_registration_for_user`](super::start_webauthn_registration_for_user) asks for.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct StartWebauthnRegistrationForUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webauthn_client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attachment_type: Option<AuthenticatorAttachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resident_key_requirement_type: Option<ResidentKeyRequirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_verification_requirement_type: Option<UserVerificationRequirement>,
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
    pub(crate) id: String,
    pub(crate) attestation_object: String,
    pub(crate) client_data: String,
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

/// What [`finish_webauthn_registration`](super::finish_webauthn_registration) and
/// [`finish_webauthn_registration_for_user`](super::finish_webauthn_registration_for_user) hand in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FinishWebauthnRegistration {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) aa_sig: Secret,
    pub(crate) authenticator_response_data: Fido2RegistrationData,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webauthn_client_id: Option<String>,
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

/// What [`validate_authenticator_registration`](super::validate_authenticator_registration) and
/// [`validate_webauthn_registration`](super::validate_webauthn_registration) hand in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ValidateRegistration {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) registration_validation_token: Secret,
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

/// What [`start_magiclink_email_registration`](super::start_magiclink_email_registration) and
/// [`start_magiclink_email_registration_for_user`](super::start_magiclink_email_registration_for_user) ask for.
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
    pub(crate) email_address: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    pub(crate) registration_redirect_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short_msg: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) context_data: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
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

/// What [`start_change_magiclink_email`](super::start_change_magiclink_email) asks for.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StartChangeMagiclinkEmail {
    pub(crate) new_email_address: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    pub(crate) registration_redirect_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short_msg: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) context_data: BTreeMap<String, String>,
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

/// What [`validate_magiclink_email_registration`](super::validate_magiclink_email_registration) hands in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ValidateMagiclinkEmailRegistration {
    #[serde(skip)]
    pub(crate) registration_id: Option<Uuid>,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) registration_validation_token: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
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
