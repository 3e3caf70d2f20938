//! Registration of a passkey or security key.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Registration, identity, registered, validated};
use crate::client::Client;
use crate::error::Error;
use crate::flow::page::attestation;
use crate::flow::pending::{Pending, State, missing, required_token};
use crate::http::{ApiVersion, Endpoint};
use crate::registrations::{
    FinishWebauthnRegistration, StartWebauthnRegistration, StartWebauthnRegistrationForUser,
    StartWebauthnRegistrationResponse, ValidateRegistration,
};
use crate::secret::{Private, Secret};
use crate::user_key::UserKey;

/// A registration that waits for the response of the page.
///
/// It can be serialised, and another process can complete it. It **holds
/// secrets**, and whoever can change it can register as somebody else: see
/// [how to store it](crate::flow#storing-a-pending-state). `Debug` prints no
/// secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use = "without it the registration cannot be completed"]
pub struct PendingWebauthnRegistration(Pending<WebauthnState>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WebauthnState {
    id: Uuid,
    user: UserKey,
    /// Whether the user exists already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    for_user: bool,
    /// The user's id in the start response.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    aa_sig: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    webauthn_client_id: Option<String>,
}

impl State for WebauthnState {
    const FLOW: &'static str = "webauthn_registration";
}

/// The result of [`Client::begin_webauthn_registration`].
#[derive(Debug)]
#[non_exhaustive]
pub struct WebauthnRegistrationStarted {
    /// JSON for the page, which passes it to `navigator.credentials.create`.
    pub fido2_json_options: Private,
    /// Completes the registration.
    pub pending: PendingWebauthnRegistration,
}

impl Client {
    /// Begins the registration of a new user with a passkey or security key.
    /// Calls [`start_webauthn_registration`](Self::start_webauthn_registration)
    /// and fails as that does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let page_json = "{}";
    /// let request = StartWebauthnRegistration::new("ada@example.com");
    /// let started = client.begin_webauthn_registration(&request)?;
    /// // The page gets `started.fido2_json_options` and sends back JSON.
    /// let end = started.pending.complete(&client, page_json)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn begin_webauthn_registration(
        &self,
        request: &StartWebauthnRegistration,
    ) -> Result<WebauthnRegistrationStarted, Error> {
        let response = self.start_webauthn_registration(request)?;
        let user = UserKey::Username(request.username.clone());
        let client_id = request.webauthn_client_id.clone();
        self.webauthn_started(user, false, client_id, response)
    }

    /// Begins the registration of another passkey or security key for a user.
    /// Calls
    /// [`start_webauthn_registration_for_user`](Self::start_webauthn_registration_for_user)
    /// and fails as that does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistrationForUser;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let request = StartWebauthnRegistrationForUser::new();
    /// let started = client.begin_webauthn_registration_for_user("ada@example.com", &request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_webauthn_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartWebauthnRegistrationForUser,
    ) -> Result<WebauthnRegistrationStarted, Error> {
        let user = user.into();
        let response = self.start_webauthn_registration_for_user(&user, request)?;
        let client_id = request.webauthn_client_id.clone();
        self.webauthn_started(user, true, client_id, response)
    }

    fn webauthn_started(
        &self,
        user: UserKey,
        for_user: bool,
        webauthn_client_id: Option<String>,
        response: StartWebauthnRegistrationResponse,
    ) -> Result<WebauthnRegistrationStarted, Error> {
        let endpoint = if for_user {
            Endpoint::StartWebauthnRegistrationForUser
        } else {
            Endpoint::StartWebauthnRegistration
        };
        let missing = |part| missing(part, endpoint);
        let state = WebauthnState {
            id: response.registration_id,
            user,
            for_user,
            user_id: response.user_id,
            aa_sig: response.aa_sig.ok_or_else(|| missing("aa_sig"))?,
            webauthn_client_id,
        };
        Ok(WebauthnRegistrationStarted {
            fido2_json_options: response
                .fido2_json_options
                .ok_or_else(|| missing("fido2_json_options"))?,
            pending: PendingWebauthnRegistration(Pending::new(self, state)),
        })
    }
}

impl PendingWebauthnRegistration {
    /// Returns the id of the registration.
    #[must_use]
    pub fn registration_id(&self) -> Uuid {
        self.0.state.id
    }

    /// Finishes with the page's JSON and, under v4, validates. The JSON is that
    /// of the credential that `navigator.credentials.create` returns
    /// (`PublicKeyCredential.toJSON()`), or that of the vendor's page SDK, of
    /// which `id`, `attestation_object` and `client_data` are used.
    ///
    /// Calls [`Client::finish_webauthn_registration`] (or
    /// [`…_for_user`](Client::finish_webauthn_registration_for_user)) and
    /// [`Client::validate_webauthn_registration`] and fails as they do, and with
    /// [`Mismatch`](crate::ErrorKind::Mismatch) if a response is about another
    /// user. Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// JSON lacks a member, has one of the wrong type or is of a sign-in, or if
    /// the client speaks another API version than the one under which the
    /// registration was begun. Then nothing was sent, and `complete` can be
    /// called again.
    #[inline]
    pub fn complete(&self, client: &Client, page_json: &str) -> Result<Registration, Error> {
        let state = self.0.state_for(client)?;
        let data = attestation(page_json)?;
        #[cfg(feature = "proof")]
        let pinned_key = super::pinned_key(&data.attestation_object);
        let mut request = FinishWebauthnRegistration::new(state.aa_sig.clone(), data);
        request
            .webauthn_client_id
            .clone_from(&state.webauthn_client_id);
        let (endpoint, finished) = if state.for_user {
            (
                Endpoint::FinishWebauthnRegistrationForUser,
                client.finish_webauthn_registration_for_user(&state.user, state.id, &request)?,
            )
        } else {
            (
                Endpoint::FinishWebauthnRegistration,
                client.finish_webauthn_registration(state.id, &request)?,
            )
        };
        let identity = identity(Some(state.user.clone()), state.user_id);
        let user = if client.api_version() == ApiVersion::V3 {
            registered(&identity, finished.user_id, finished.username.as_ref())?
        } else {
            let token = required_token(finished.registration_validation_token, endpoint)?;
            let request = ValidateRegistration::new(token);
            let response = client.validate_webauthn_registration(state.id, &request)?;
            validated(&identity, &response)?
        };
        #[cfg(feature = "proof")]
        let user = super::RegisteredUser { pinned_key, ..user };
        Ok(Registration::Registered(Box::new(user)))
    }
}
