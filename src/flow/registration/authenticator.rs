//! Registration of a phone with the authenticator app.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Registration, failed, identity, registered, validated};
use crate::client::Client;
use crate::error::Error;
use crate::flow::pending::{Pending, State, required_token};
use crate::flow::verify::known;
use crate::flow::wait::{
    RegistrationWait, RegistrationWatch, WaitPolicy, poll_registration, poll_timeout, request_life,
};
use crate::http::{ApiVersion, Endpoint, Request};
use crate::registrations::{
    self, StartAuthenticatorRegistration, StartAuthenticatorRegistrationResponse,
    ValidateRegistration,
};
use crate::secret::Secret;
use crate::user_key::UserKey;
use crate::users;

/// A registration that waits for the user's phone.
///
/// It can be serialised, and another process can complete it. It **holds
/// secrets**, and whoever can change it can register as somebody else: see
/// [how to store it](crate::flow#storing-a-pending-state). `Debug` prints no
/// secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use = "without it the registration cannot be completed"]
pub struct PendingAuthenticatorRegistration(Pending<AuthenticatorState>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct AuthenticatorState {
    id: Uuid,
    user: UserKey,
    /// The user's id in the start response.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    /// The time that the user has, in seconds.
    life: u64,
    #[serde(flatten)]
    proof: Proof,
}

/// The value by which the flow recognises its own registration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Proof {
    /// Under v4: the validation token.
    Token(#[serde(serialize_with = "Secret::serialize_exposed")] Secret),
    /// Under v3: the user's methods before the start.
    Watch(RegistrationWatch),
}

impl State for AuthenticatorState {
    const FLOW: &'static str = "authenticator_registration";
}

/// The result of [`Client::begin_authenticator_registration`].
#[derive(Debug)]
#[non_exhaustive]
pub struct AuthenticatorRegistrationStarted {
    /// Text to draw as a QR code for the user's phone. It is a URL, which the
    /// phone can open as well.
    pub qr_code_data: Option<Secret>,
    /// Completes the registration.
    pub pending: PendingAuthenticatorRegistration,
}

impl Client {
    /// Begins the registration of a new user with a phone. Calls
    /// [`start_authenticator_registration`](Self::start_authenticator_registration)
    /// and fails as that does. Under v3 it gets the user first, see
    /// [`RegistrationWatch::user`].
    ///
    /// ```no_run
    /// use autharmor::flow::{Registration, WaitPolicy};
    /// use autharmor::registrations::StartAuthenticatorRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let request = StartAuthenticatorRegistration::new("ada@example.com");
    /// let started = client.begin_authenticator_registration(&request)?;
    /// // Draw `started.qr_code_data` as a QR code.
    /// if let Registration::Registered(user) = started.pending.wait(&client, &WaitPolicy::new())? {
    ///     println!("{} is registered", user.user_id());
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn begin_authenticator_registration(
        &self,
        request: &StartAuthenticatorRegistration,
    ) -> Result<AuthenticatorRegistrationStarted, Error> {
        // Before the user is asked for, so that bad input costs no request.
        self.check(registrations::start_authenticator_registration(request).parts())?;
        let user = UserKey::Username(request.username.clone());
        self.register_phone(
            user,
            request.timeout_in_seconds,
            Endpoint::StartAuthenticatorRegistration,
            |_| self.start_authenticator_registration(request),
        )
    }

    /// Begins the registration of another phone for a user. Calls
    /// [`start_authenticator_registration_for_user`](Self::start_authenticator_registration_for_user)
    /// and fails as that does. Under v3 it gets the user first, see
    /// [`RegistrationWatch::user`].
    ///
    /// ```no_run
    /// # let client = autharmor::Client::from_env()?;
    /// let started = client.begin_authenticator_registration_for_user("ada@example.com")?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_authenticator_registration_for_user(
        &self,
        user: impl Into<UserKey>,
    ) -> Result<AuthenticatorRegistrationStarted, Error> {
        self.register_phone(
            user.into(),
            None,
            Endpoint::StartAuthenticatorRegistrationForUser,
            |user| self.start_authenticator_registration_for_user(user),
        )
    }

    fn register_phone(
        &self,
        user: UserKey,
        timeout_in_seconds: Option<u32>,
        endpoint: Endpoint,
        start: impl FnOnce(&UserKey) -> Result<StartAuthenticatorRegistrationResponse, Error>,
    ) -> Result<AuthenticatorRegistrationStarted, Error> {
        let watch = match self.api_version() {
            ApiVersion::V3 => Some(RegistrationWatch::user(self, &user)?),
            ApiVersion::V4 => None,
        };
        let response = start(&user)?;
        let state = AuthenticatorState {
            id: response.registration_id,
            user,
            user_id: response.user_id,
            life: request_life(None, timeout_in_seconds),
            proof: match watch {
                Some(watch) => Proof::Watch(watch),
                None => Proof::Token(required_token(
                    response.registration_validation_token,
                    endpoint,
                )?),
            },
        };
        Ok(AuthenticatorRegistrationStarted {
            qr_code_data: response.qr_code_data,
            pending: PendingAuthenticatorRegistration(Pending::new(self, state)),
        })
    }
}

impl PendingAuthenticatorRegistration {
    /// Returns the id of the registration.
    #[must_use]
    pub fn registration_id(&self) -> Uuid {
        self.0.state.id
    }

    /// Waits for the user, then validates (v4) or gets the user (v3).
    ///
    /// It waits as long as the registration lives, unless the policy has a
    /// timeout or the client a [deadline](Client::with_deadline). After
    /// [`StillPending`](Registration::StillPending),
    /// [`ServiceUnavailable`](Registration::ServiceUnavailable) and
    /// [`Cancelled`](Registration::Cancelled) it can be called again. The
    /// validation cannot be cancelled. Fails as
    /// [`Client::wait_for_registration`] and
    /// [`Client::validate_authenticator_registration`] do, with
    /// [`Mismatch`](crate::ErrorKind::Mismatch) if the response is about
    /// another user, and with [`InvalidInput`](crate::ErrorKind::InvalidInput)
    /// if the client speaks another API version than the one under which the
    /// registration was begun.
    #[inline]
    pub fn wait(&self, client: &Client, policy: &WaitPolicy<'_>) -> Result<Registration, Error> {
        let state = self.0.state_for(client)?;
        match client.wait_for_registration_within(&state.watch(), state.life, policy)? {
            RegistrationWait::StillPending => Ok(Registration::StillPending),
            RegistrationWait::ServiceUnavailable(outage) => {
                Ok(Registration::ServiceUnavailable(outage))
            }
            RegistrationWait::Cancelled => Ok(Registration::Cancelled),
            RegistrationWait::Ended(status) => Ok(failed(status)),
            RegistrationWait::Enrolled => state.complete(client, Retries::Allowed),
        }
    }

    /// Asks once whether the user has enrolled the phone, and then validates
    /// (v4) or gets the user (v3). It does not pause and retries nothing: for
    /// the status route of a web page, and for async programs. Call it again
    /// after [`Registration::StillPending`], one to five seconds later, until
    /// the time of the registration is over. Every other outcome is an end.
    ///
    /// The first call takes at most 5 seconds. Fails as [`wait`](Self::wait)
    /// does, and with every transient error. After one it can be called again.
    ///
    /// ```no_run
    /// use autharmor::flow::{PendingAuthenticatorRegistration, Registration};
    /// # fn poll(client: &autharmor::Client, pending: &PendingAuthenticatorRegistration)
    /// # -> Result<(), autharmor::Error> {
    /// match pending.poll(client)? {
    ///     Registration::StillPending => println!("not yet"),
    ///     Registration::Registered(user) => println!("welcome, {}", user.user_id()),
    ///     other => println!("not registered: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn poll(&self, client: &Client) -> Result<Registration, Error> {
        let state = self.0.state_for(client)?;
        match poll_registration(client, &state.watch(), poll_timeout(client))? {
            None => Ok(Registration::StillPending),
            Some(RegistrationWait::Ended(status)) => Ok(failed(status)),
            Some(_) => state.complete(client, Retries::Off),
        }
    }
}

#[derive(Clone, Copy)]
enum Retries {
    Allowed,
    Off,
}

impl Retries {
    fn send<T: DeserializeOwned>(self, client: &Client, request: Request<T>) -> Result<T, Error> {
        client.send(&match self {
            Self::Allowed => request,
            Self::Off => request.without_retries(),
        })
    }
}

impl AuthenticatorState {
    /// Returns how to recognise this registration in a poll.
    fn watch(&self) -> RegistrationWatch {
        match &self.proof {
            Proof::Token(_) => RegistrationWatch::registration(self.id),
            Proof::Watch(watch) => watch.clone(),
        }
    }

    /// Completes the registration after the user has enrolled the phone.
    #[inline]
    fn complete(&self, client: &Client, retries: Retries) -> Result<Registration, Error> {
        let identity = identity(Some(self.user.clone()), self.user_id);
        match &self.proof {
            Proof::Token(token) => {
                let request = ValidateRegistration::new(token.clone());
                let request = registrations::validate_authenticator_registration(self.id, &request);
                let response = retries.send(client, request)?;
                let user = validated(&identity, &response)?;
                Ok(Registration::Registered(Box::new(user)))
            }
            Proof::Watch(_) => {
                let id = known(self.user_id);
                let key = id.map_or_else(|| self.user.clone(), UserKey::Id);
                let user = retries.send(client, users::get_user(key))?;
                let user = registered(&identity, Some(user.user_id), user.username.as_ref())?;
                Ok(Registration::Registered(Box::new(user)))
            }
        }
    }
}
