//! Registration of WebAuthn: passkeys and security keys.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fido2::{
    AuthenticatorAttachment, Fido2RegistrationData, ResidentKeyRequirement,
    UserVerificationRequirement,
};
use super::validate::{ValidateRegistration, ValidateRegistrationResponse};
use crate::client::Client;
use crate::endpoints::checks::{check_filled, check_int32, first_set};
use crate::error::Error;
use crate::http::{Endpoint, Payload, Request};
use crate::secret::{Private, Secret};
use crate::types::{lenient, private_json, setters};
use crate::user_key::{UserKey, check_name};

/// The body of [`start_webauthn_registration`]: a new user.
///
/// ```
/// use autharmor::registrations::{AuthenticatorAttachment, StartWebauthnRegistration};
///
/// let request = StartWebauthnRegistration::new("ada@example.com")
///     .webauthn_client_id("your-webauthn-client-id")
///     .attachment_type(AuthenticatorAttachment::Any);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// Registers a new user of this name: no control character, no white space
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
        /// Sets the new user's email address: no control character, no white
        /// space at either end.
        email_address: impl Into<Private>,
        /// Sets how long the user may take, in seconds, at most 2,147,483,647.
        /// The default and the real limits are the service's.
        timeout_in_seconds: u32,
        /// Sets the WebAuthn client of your project, from the dashboard. One of
        /// the vendor's SDKs requires it, so set it.
        webauthn_client_id: impl Into<String>,
        /// Sets which authenticators may be registered.
        attachment_type: AuthenticatorAttachment,
        /// Sets whether the key must be one that is found without a username.
        /// v4 only.
        resident_key_requirement_type: ResidentKeyRequirement,
        /// Sets whether the authenticator must verify the user. v4 only.
        user_verification_requirement_type: UserVerificationRequirement,
    }
}

impl Payload for StartWebauthnRegistration {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.username, "the username")?;
        if let Some(address) = &self.email_address {
            check_name(address, "the email_address")?;
        }
        check_int32(self.timeout_in_seconds, "timeout_in_seconds")
    }

    fn v4_only(&self) -> Option<&'static str> {
        v4_requirement(
            self.resident_key_requirement_type.as_ref(),
            self.user_verification_requirement_type.as_ref(),
        )
    }
}

/// The body of [`start_webauthn_registration_for_user`].
///
/// ```
/// use autharmor::registrations::StartWebauthnRegistrationForUser;
///
/// let request = StartWebauthnRegistrationForUser::new()
///     .webauthn_client_id("your-webauthn-client-id");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
    /// Returns a request with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets how long the user may take, in seconds, at most 2,147,483,647.
        /// The default and the real limits are the service's.
        timeout_in_seconds: u32,
        /// Sets the WebAuthn client of your project, from the dashboard. One of
        /// the vendor's SDKs requires it, so set it.
        webauthn_client_id: impl Into<String>,
        /// Sets which authenticators may be registered.
        attachment_type: AuthenticatorAttachment,
        /// Sets whether the key must be one that is found without a username.
        /// v4 only.
        resident_key_requirement_type: ResidentKeyRequirement,
        /// Sets whether the authenticator must verify the user. v4 only.
        user_verification_requirement_type: UserVerificationRequirement,
    }
}

impl Payload for StartWebauthnRegistrationForUser {
    fn check(&self) -> Result<(), Error> {
        check_int32(self.timeout_in_seconds, "timeout_in_seconds")
    }

    fn v4_only(&self) -> Option<&'static str> {
        v4_requirement(
            self.resident_key_requirement_type.as_ref(),
            self.user_verification_requirement_type.as_ref(),
        )
    }
}

/// The requirement of the start requests that is set and that v3 lacks.
fn v4_requirement(
    resident_key: Option<&ResidentKeyRequirement>,
    user_verification: Option<&UserVerificationRequirement>,
) -> Option<&'static str> {
    first_set([
        ("resident_key_requirement_type", resident_key.is_some()),
        (
            "user_verification_requirement_type",
            user_verification.is_some(),
        ),
    ])
}

/// The response of [`start_webauthn_registration`] and
/// [`start_webauthn_registration_for_user`], for the page.
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StartWebauthnRegistrationBody")]
#[non_exhaustive]
pub struct StartWebauthnRegistrationResponse {
    /// The id of the registration.
    pub registration_id: Uuid,
    /// A value to give to [`FinishWebauthnRegistration::new`]. One of the
    /// vendor's SDKs names it `aa_guid`, which is read as well.
    #[serde(skip_serializing)]
    pub aa_sig: Option<Secret>,
    /// The options for `navigator.credentials.create`, as JSON text. The
    /// service may send them as text or as an object. Give them to the page
    /// unchanged.
    pub fido2_json_options: Option<Private>,
    /// The user, if it is not a new one; v4 only.
    pub user_id: Option<Uuid>,
}

/// The response with both names of the value. (A serde alias would refuse a
/// response that has both.)
#[derive(Deserialize)]
struct StartWebauthnRegistrationBody {
    registration_id: Uuid,
    #[serde(default, deserialize_with = "lenient")]
    aa_sig: Option<Secret>,
    #[serde(default, deserialize_with = "lenient")]
    aa_guid: Option<Secret>,
    #[serde(default, deserialize_with = "private_json")]
    fido2_json_options: Option<Private>,
    #[serde(default, deserialize_with = "lenient")]
    user_id: Option<Uuid>,
}

impl From<StartWebauthnRegistrationBody> for StartWebauthnRegistrationResponse {
    fn from(body: StartWebauthnRegistrationBody) -> Self {
        Self {
            registration_id: body.registration_id,
            aa_sig: body.aa_sig.or(body.aa_guid),
            fido2_json_options: body.fido2_json_options,
            user_id: body.user_id,
        }
    }
}

/// The body of [`finish_webauthn_registration`] and
/// [`finish_webauthn_registration_for_user`].
///
/// ```
/// use autharmor::registrations::{Fido2RegistrationData, FinishWebauthnRegistration};
/// # let aa_sig = "signature";
///
/// let data = Fido2RegistrationData::new("Y3JlZA", "o2NmbXQ", "eyJ0eXBl");
/// let request = FinishWebauthnRegistration::new(aa_sig, data);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FinishWebauthnRegistration {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) aa_sig: Secret,
    pub(crate) authenticator_response_data: Fido2RegistrationData,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webauthn_client_id: Option<String>,
}

impl FinishWebauthnRegistration {
    /// Finishes a registration.
    ///
    /// * `aa_sig`: from the start response. Not empty.
    /// * `authenticator_response_data`: the browser's response, as an object.
    ///   (A sign-in takes JSON text instead.)
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
        /// Sets the WebAuthn client of your project, as given to the start
        /// call.
        webauthn_client_id: impl Into<String>,
    }
}

impl Payload for FinishWebauthnRegistration {
    fn check(&self) -> Result<(), Error> {
        check_filled(self.aa_sig.expose(), "aa_sig")?;
        self.authenticator_response_data.check()
    }
}

/// The response of [`finish_webauthn_registration`] and
/// [`finish_webauthn_registration_for_user`].
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FinishWebauthnRegistrationResponse {
    /// The user.
    #[serde(default, deserialize_with = "lenient")]
    pub user_id: Option<Uuid>,
    /// The user's name.
    #[serde(default, deserialize_with = "lenient")]
    pub username: Option<Private>,
    /// The token for [`ValidateRegistration::new`]. Probably missing under v3.
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    pub registration_validation_token: Option<Secret>,
}

/// Builds the request of [`Client::start_webauthn_registration`].
#[inline]
pub fn start_webauthn_registration(
    request: &StartWebauthnRegistration,
) -> Request<StartWebauthnRegistrationResponse> {
    Request::new(Endpoint::StartWebauthnRegistration).body(request)
}

/// Builds the request of [`Client::start_webauthn_registration_for_user`].
pub fn start_webauthn_registration_for_user(
    user: impl Into<UserKey>,
    request: &StartWebauthnRegistrationForUser,
) -> Request<StartWebauthnRegistrationResponse> {
    Request::new(Endpoint::StartWebauthnRegistrationForUser)
        .user(user)
        .body(request)
}

/// Builds the request of [`Client::finish_webauthn_registration`].
#[inline]
pub fn finish_webauthn_registration(
    registration_id: Uuid,
    request: &FinishWebauthnRegistration,
) -> Request<FinishWebauthnRegistrationResponse> {
    Request::new(Endpoint::FinishWebauthnRegistration)
        .id(registration_id)
        .body(request)
}

/// Builds the request of [`Client::finish_webauthn_registration_for_user`].
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

/// Builds the request of [`Client::validate_webauthn_registration`].
#[inline]
pub fn validate_webauthn_registration(
    registration_id: Uuid,
    request: &ValidateRegistration,
) -> Request<ValidateRegistrationResponse> {
    Request::new(Endpoint::ValidateWebauthnRegistration)
        .id(registration_id)
        .body(request)
}

/// Registration of WebAuthn, see [`registrations`](crate::registrations).
impl Client {
    /// Starts to register a new user with WebAuthn:
    /// `POST /v3/users/webauthn/register/start`,
    /// `POST /v4/users/registrations/webauthn/start`.
    ///
    /// Give
    /// [`fido2_json_options`](StartWebauthnRegistrationResponse::fido2_json_options)
    /// to the page, which calls `navigator.credentials.create`, and go on with
    /// [`finish_webauthn_registration`](Self::finish_webauthn_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the name,
    /// the address or the timeout is out of bounds, or under v3 if one of the
    /// two requirements is set; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistration;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartWebauthnRegistration::new("ada@example.com")
    ///     .webauthn_client_id("your-webauthn-client-id");
    /// let for_the_page = client.start_webauthn_registration(&request)?.fido2_json_options;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn start_webauthn_registration(
        &self,
        request: &StartWebauthnRegistration,
    ) -> Result<StartWebauthnRegistrationResponse, Error> {
        self.send(&start_webauthn_registration(request))
    }

    /// Starts to add WebAuthn to an existing user:
    /// `POST /v3/users/{user_id}/webauthn/register/start`,
    /// `POST /v4/users/{user_id}/registrations/webauthn/start`. The next step is
    /// [`finish_webauthn_registration_for_user`](Self::finish_webauthn_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the user
    /// key or the timeout is out of bounds, or under v3 if one of the two
    /// requirements is set; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistrationForUser;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartWebauthnRegistrationForUser::new()
    ///     .webauthn_client_id("your-webauthn-client-id");
    /// let started = client.start_webauthn_registration_for_user("ada@example.com", &request)?;
    /// println!("registration {}", started.registration_id);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn start_webauthn_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartWebauthnRegistrationForUser,
    ) -> Result<StartWebauthnRegistrationResponse, Error> {
        self.send(&start_webauthn_registration_for_user(user, request))
    }

    /// Submits the browser's response, for a new user:
    /// `POST /v3/users/webauthn/register/finish` with the registration's id in
    /// the body,
    /// `POST /v4/users/registrations/webauthn/{registration_id}/finish`.
    ///
    /// A registration under v3 ends here. Under v4 go on with
    /// [`validate_webauthn_registration`](Self::validate_webauthn_registration),
    /// for which the response holds the token.
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if `aa_sig`
    /// or a part of the browser's response is empty or the id is nil;
    /// otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::{Fido2RegistrationData, FinishWebauthnRegistration};
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, aa_sig) = (uuid::Uuid::from_u128(7), "signature");
    /// let data = Fido2RegistrationData::new("Y3JlZA", "o2NmbXQ", "eyJ0eXBl");
    /// let request = FinishWebauthnRegistration::new(aa_sig, data);
    /// let response = client.finish_webauthn_registration(registration_id, &request)?;
    /// println!("user {:?}", response.user_id);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn finish_webauthn_registration(
        &self,
        registration_id: Uuid,
        request: &FinishWebauthnRegistration,
    ) -> Result<FinishWebauthnRegistrationResponse, Error> {
        self.send(&finish_webauthn_registration(registration_id, request))
    }

    /// Submits the browser's response, for an existing user:
    /// `POST /v3/users/{user_id}/webauthn/register/finish` with the
    /// registration's id in the body,
    /// `POST /v4/users/{user_id}/registrations/webauthn/{registration_id}/finish`.
    /// The next steps are those of
    /// [`finish_webauthn_registration`](Self::finish_webauthn_registration).
    /// Fails as that does, or if the user key is out of bounds.
    ///
    /// ```no_run
    /// use autharmor::registrations::{Fido2RegistrationData, FinishWebauthnRegistration};
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, aa_sig) = (uuid::Uuid::from_u128(7), "signature");
    /// let data = Fido2RegistrationData::new("Y3JlZA", "o2NmbXQ", "eyJ0eXBl");
    /// let request = FinishWebauthnRegistration::new(aa_sig, data);
    /// client.finish_webauthn_registration_for_user("ada@example.com", registration_id, &request)?;
    /// # Ok::<(), autharmor::Error>(())
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

    /// Validates a registration with WebAuthn:
    /// `POST /v4/users/registrations/webauthn/{registration_id}/validate`,
    /// under v3 too.
    ///
    /// How the service refuses a wrong token is unverified: probably with an
    /// error of status 401 or 403.
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty or the id is nil; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, token) = (uuid::Uuid::from_u128(7), "token");
    /// let request = ValidateRegistration::new(token);
    /// let response = client.validate_webauthn_registration(registration_id, &request)?;
    /// println!("registered: {:?}", response.credential_id);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn validate_webauthn_registration(
        &self,
        registration_id: Uuid,
        request: &ValidateRegistration,
    ) -> Result<ValidateRegistrationResponse, Error> {
        self.send(&validate_webauthn_registration(registration_id, request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiVersion;
    use crate::endpoints::checks::{assert_accepted, assert_refused, refusal};

    const ID: Uuid = Uuid::from_u128(7);

    #[test]
    fn name_and_address_are_checked() {
        for (name, fault) in [
            ("", "is empty"),
            ("ada\0", "holds a control character"),
            ("ada\u{a0}", "begins or ends with white space"),
            (&"a".repeat(1025), "is longer than 1,024 bytes"),
        ] {
            let named = StartWebauthnRegistration::new(name);
            assert_refused(
                &start_webauthn_registration(&named),
                &format!("the username {fault}"),
            );
            let addressed = StartWebauthnRegistration::new("ada").email_address(name);
            assert_refused(
                &start_webauthn_registration(&addressed),
                &format!("the email_address {fault}"),
            );
        }
        for name in ["a", &"a".repeat(1024)] {
            let named = StartWebauthnRegistration::new(name);
            assert_accepted(&start_webauthn_registration(&named));
        }
    }

    #[test]
    fn timeout_fits_int32() {
        let why = "timeout_in_seconds is larger than 2147483647";
        let new = |seconds| {
            let request = StartWebauthnRegistration::new("ada");
            start_webauthn_registration(&request.timeout_in_seconds(seconds))
        };
        let add = |seconds| {
            let request = StartWebauthnRegistrationForUser::new();
            start_webauthn_registration_for_user(ID, &request.timeout_in_seconds(seconds))
        };
        for request in [new(2_147_483_647), add(2_147_483_647)] {
            assert_accepted(&request);
        }
        for request in [new(2_147_483_648), add(2_147_483_648), add(u32::MAX)] {
            assert_refused(&request, why);
        }
    }

    #[test]
    fn v3_refuses_what_it_cannot_carry() {
        let (key, user) = (
            ResidentKeyRequirement::Required,
            UserVerificationRequirement::Required,
        );
        let new = || StartWebauthnRegistration::new("ada");
        let add = StartWebauthnRegistrationForUser::new;
        for (new, add, field) in [
            (
                new().resident_key_requirement_type(key.clone()),
                add().resident_key_requirement_type(key),
                "resident_key_requirement_type",
            ),
            (
                new().user_verification_requirement_type(user.clone()),
                add().user_verification_requirement_type(user),
                "user_verification_requirement_type",
            ),
        ] {
            for request in [
                start_webauthn_registration(&new),
                start_webauthn_registration_for_user(ID, &add),
            ] {
                let why = refusal(&request, ApiVersion::V3);
                assert_eq!(why, format!("v3 cannot carry {field}"));
            }
        }
    }

    #[test]
    fn required_values_are_not_empty() {
        for (aa_sig, [id, attestation, client], why) in [
            ("", ["x", "att", "cl"], "aa_sig is empty"),
            ("s1g", ["", "att", "cl"], "id is empty"),
            ("s1g", ["x", "", "cl"], "attestation_object is empty"),
            ("s1g", ["x", "att", ""], "client_data is empty"),
        ] {
            let data = Fido2RegistrationData::new(id, attestation, client);
            let request = FinishWebauthnRegistration::new(aa_sig, data);
            assert_refused(&finish_webauthn_registration(ID, &request), why);
            assert_refused(
                &finish_webauthn_registration_for_user(ID, ID, &request),
                why,
            );
        }
    }

    #[test]
    fn debug_shows_no_secret_and_no_name() {
        let start = StartWebauthnRegistration::new("h1dden").email_address("h1dden");
        let data = Fido2RegistrationData::new("x", "att", "cl");
        let finish = FinishWebauthnRegistration::new("h1dden", data);
        let texts = format!("{start:?} {finish:?}");
        assert!(!texts.contains("h1dden"), "{texts}");
    }
}
