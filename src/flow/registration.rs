//! Verified registration, one road per method.

use serde_json::Value;
use uuid::Uuid;

use super::link::{Callback, required};
use super::sign_in::{life, missing, page_object, token};
use super::state::{Flow, State, pending};
use super::verify::{Expected, check_user, mismatch};
use super::wait::{RegistrationWait, RegistrationWatch, WaitPolicy};
use crate::client::Client;
use crate::credentials::CredentialId;
use crate::error::Error;
use crate::http::ApiVersion;
use crate::registrations::{
    self, Fido2RegistrationData, FinishWebauthnRegistration, MagiclinkEmailRegistrationType,
    RegistrationStatus, StartAuthenticatorRegistration, StartAuthenticatorRegistrationResponse,
    StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration, StartWebauthnRegistration,
    StartWebauthnRegistrationForUser, StartWebauthnRegistrationResponse,
    ValidateMagiclinkEmailRegistration, ValidateRegistration, ValidateRegistrationResponse,
};
use crate::secret::{Private, Secret};
use crate::types::ContextData;
use crate::user_key::UserKey;

pending! {
    /// An enrolment that waits for the user's phone.
    PendingAuthenticatorRegistration: AuthenticatorRegistration,
    /// An enrolment that waits for the page's answer.
    PendingWebauthnRegistration: WebauthnRegistration,
    /// An enrolment, or a change of address, that waits for a click in a mail.
    PendingMagiclinkRegistration: MagiclinkRegistration,
}

/// How a registration ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Registration {
    /// The user has registered.
    Registered(Box<RegisteredUser>),
    /// The user declined.
    Declined,
    /// The user did not answer in time.
    TimedOut,
    /// The user answered, but the validation came too late.
    ValidatedTooLate,
    /// The service refused for security reasons.
    RefusedForSecurity,
    /// The signature of the user's device is wrong.
    FailedSignature,
    /// The user has not answered yet.
    StillPending,
}

impl Registration {
    /// The user, if one registered.
    #[must_use]
    pub fn user(&self) -> Option<&RegisteredUser> {
        match self {
            Self::Registered(user) => Some(user),
            _ => None,
        }
    }
}

/// A user who has registered a method, or changed an address.
///
/// Under v4 a validate call has confirmed that it was this registration. v3
/// has no such call for the authenticator and WebAuthn: there the flow ends
/// with what the service says of the user, which is weaker
/// ([`is_validated`](Self::is_validated) is `false`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredUser {
    user_id: Uuid,
    username: Option<Private>,
    email_address: Option<Private>,
    credential_id: Option<CredentialId>,
    context_data: ContextData,
    is_validated: bool,
}

impl RegisteredUser {
    /// The user's id.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        self.user_id
    }

    /// The user's name, if the service gave it.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The mail address; magic links only.
    #[must_use]
    pub fn email_address(&self) -> Option<&str> {
        self.email_address.as_deref()
    }

    /// The new credential; authenticator and WebAuthn under v4 only.
    #[must_use]
    pub fn credential_id(&self) -> Option<&CredentialId> {
        self.credential_id.as_ref()
    }

    /// The context data that was given at the start; magic links only.
    #[must_use]
    pub fn context_data(&self) -> &ContextData {
        &self.context_data
    }

    /// Whether a validate call confirmed it.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.is_validated
    }
}

/// What [`Client::begin_authenticator_registration`] hands out.
#[derive(Debug)]
#[non_exhaustive]
pub struct AuthenticatorRegistrationStarted {
    /// To be drawn as a QR code for the user's phone, or opened on it.
    pub qr_code_data: Option<Secret>,
    /// What ends the registration.
    pub pending: PendingAuthenticatorRegistration,
}

/// What [`Client::begin_webauthn_registration`] hands out.
#[derive(Debug)]
#[non_exhaustive]
pub struct WebauthnRegistrationStarted {
    /// JSON for the page, which gives it to `navigator.credentials.create`.
    pub fido2_json_options: Private,
    /// What ends the registration.
    pub pending: PendingWebauthnRegistration,
}

impl Client {
    /// Begins the enrolment of a new user's phone. Calls
    /// [`start_authenticator_registration`](Self::start_authenticator_registration)
    /// and fails as that does. Under v3 it first asks for the user, see
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
    ///     println!("{} is enrolled", user.user_id());
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_authenticator_registration(
        &self,
        request: &StartAuthenticatorRegistration,
    ) -> Result<AuthenticatorRegistrationStarted, Error> {
        // Before the user is looked at, so that bad input costs nothing.
        self.check(&registrations::start_authenticator_registration(request))?;
        let user = UserKey::Username(request.username.clone());
        self.enrol_phone(user, request.timeout_in_seconds, || {
            self.start_authenticator_registration(request)
        })
    }

    /// Begins the enrolment of another phone for a user. Calls
    /// [`start_authenticator_registration_for_user`](Self::start_authenticator_registration_for_user)
    /// and fails as that does. Under v3 it first asks for the user, see
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
        let user = user.into();
        self.enrol_phone(user.clone(), None, || {
            self.start_authenticator_registration_for_user(&user)
        })
    }

    fn enrol_phone(
        &self,
        user: UserKey,
        timeout_in_seconds: Option<u32>,
        start: impl FnOnce() -> Result<StartAuthenticatorRegistrationResponse, Error>,
    ) -> Result<AuthenticatorRegistrationStarted, Error> {
        let mut state = State::new(self, Flow::AuthenticatorRegistration);
        if self.api_version() == ApiVersion::V3 {
            state.watch = Some(RegistrationWatch::user(self, &user)?);
        }
        let answer = start()?;
        state.user = Some(user);
        state.user_id = answer.user_id;
        state.id = Some(answer.registration_id);
        state.life = life(None, timeout_in_seconds);
        if self.api_version() == ApiVersion::V4 {
            state.watch = Some(RegistrationWatch::registration(answer.registration_id));
            let area = "start_authenticator_registration";
            state.token = Some(token(answer.registration_validation_token, area)?);
        }
        Ok(AuthenticatorRegistrationStarted {
            qr_code_data: answer.qr_code_data,
            pending: PendingAuthenticatorRegistration(state),
        })
    }

    /// Begins the registration of a new user with a passkey or security key.
    /// Calls [`start_webauthn_registration`](Self::start_webauthn_registration)
    /// and fails as that does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let answer_of_the_page = "{}";
    /// let request = StartWebauthnRegistration::new("ada@example.com");
    /// let started = client.begin_webauthn_registration(&request)?;
    /// // The page gets `started.fido2_json_options` and answers with JSON.
    /// let end = started.pending.complete(&client, answer_of_the_page)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_webauthn_registration(
        &self,
        request: &StartWebauthnRegistration,
    ) -> Result<WebauthnRegistrationStarted, Error> {
        let mut state = State::new(self, Flow::WebauthnRegistration);
        state.user = Some(UserKey::Username(request.username.clone()));
        state
            .webauthn_client_id
            .clone_from(&request.webauthn_client_id);
        started(state, false, self.start_webauthn_registration(request)?)
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
        let mut state = State::new(self, Flow::WebauthnRegistration);
        state
            .webauthn_client_id
            .clone_from(&request.webauthn_client_id);
        let answer = self.start_webauthn_registration_for_user(&user, request)?;
        state.user = Some(user);
        started(state, true, answer)
    }

    /// Begins the registration of a new user by mail: the service sends a
    /// link. Calls
    /// [`start_magiclink_email_registration`](Self::start_magiclink_email_registration)
    /// and fails as that does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let url_of_the_arriving_browser = "";
    /// let request =
    ///     StartMagiclinkEmailRegistration::new("ada@example.com", "https://app.example/welcome");
    /// let pending = client.begin_magiclink_registration(&request)?;
    /// let end = pending.complete(&client, url_of_the_arriving_browser)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_magiclink_registration(
        &self,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<PendingMagiclinkRegistration, Error> {
        self.start_magiclink_email_registration(request)?;
        let mut state = State::new(self, Flow::MagiclinkRegistration);
        state.mail = Some((
            MagiclinkEmailRegistrationType::NewUser,
            request.email_address.clone(),
        ));
        state.ip_address.clone_from(&request.ip_address);
        state.user_agent.clone_from(&request.user_agent);
        Ok(PendingMagiclinkRegistration(state))
    }

    /// Begins to add sign-in by mail to a user. Calls
    /// [`start_magiclink_email_registration_for_user`](Self::start_magiclink_email_registration_for_user)
    /// and fails as that does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let request =
    ///     StartMagiclinkEmailRegistration::new("ada@example.com", "https://app.example/welcome");
    /// let pending = client.begin_magiclink_registration_for_user("ada", &request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_magiclink_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<PendingMagiclinkRegistration, Error> {
        let user = user.into();
        self.start_magiclink_email_registration_for_user(&user, request)?;
        let mut state = State::new(self, Flow::MagiclinkRegistration);
        state.user = Some(user);
        state.mail = Some((
            MagiclinkEmailRegistrationType::NewEnrollment,
            request.email_address.clone(),
        ));
        state.ip_address.clone_from(&request.ip_address);
        state.user_agent.clone_from(&request.user_agent);
        Ok(PendingMagiclinkRegistration(state))
    }

    /// Begins to change the mail address of a user: the link goes to the new
    /// one. Calls
    /// [`start_change_magiclink_email`](Self::start_change_magiclink_email)
    /// and fails as that does. The username does not follow the address by
    /// itself, see [`update_user`](Self::update_user).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartChangeMagiclinkEmail;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let request = StartChangeMagiclinkEmail::new("countess@example.com", "https://app.example/new");
    /// let pending = client.begin_magiclink_change("ada@example.com", &request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_magiclink_change(
        &self,
        user: impl Into<UserKey>,
        request: &StartChangeMagiclinkEmail,
    ) -> Result<PendingMagiclinkRegistration, Error> {
        let user = user.into();
        self.start_change_magiclink_email(&user, request)?;
        let mut state = State::new(self, Flow::MagiclinkRegistration);
        state.user = Some(user);
        state.mail = Some((
            MagiclinkEmailRegistrationType::ChangeEmail,
            request.new_email_address.clone(),
        ));
        Ok(PendingMagiclinkRegistration(state))
    }
}

fn started(
    mut state: State,
    for_user: bool,
    answer: StartWebauthnRegistrationResponse,
) -> Result<WebauthnRegistrationStarted, Error> {
    let area = "start_webauthn_registration";
    state.for_user = for_user;
    state.id = Some(answer.registration_id);
    state.user_id = answer.user_id;
    state.aa_sig = Some(answer.aa_sig.ok_or_else(|| missing("aa_sig", area))?);
    let options = answer
        .fido2_json_options
        .ok_or_else(|| missing("fido2_json_options", area))?;
    Ok(WebauthnRegistrationStarted {
        fido2_json_options: options,
        pending: PendingWebauthnRegistration(state),
    })
}

impl PendingAuthenticatorRegistration {
    /// The registration.
    #[must_use]
    pub fn registration_id(&self) -> Uuid {
        self.0.id()
    }

    /// Waits for the user, then validates (v4) or asks for the user (v3).
    /// Fails as [`Client::wait_for_registration`] and
    /// [`Client::validate_authenticator_registration`] do, with
    /// [`Mismatch`](crate::ErrorKind::Mismatch) if the answer is about another user, and with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the client speaks another version than
    /// the one that began.
    pub fn wait(&self, client: &Client, policy: &WaitPolicy<'_>) -> Result<Registration, Error> {
        let state = &self.0;
        state.check(client)?;
        let watch = state
            .watch
            .as_ref()
            .ok_or_else(|| Error::invalid("the pending state says not what to wait for"))?;
        match client.wait_for_registration_within(watch, state.life(), policy)? {
            RegistrationWait::StillPending | RegistrationWait::GivenUp => {
                Ok(Registration::StillPending)
            }
            RegistrationWait::Ended(status) => Ok(failed(status)),
            RegistrationWait::Enrolled => self.complete(client),
        }
    }

    /// What follows once the user has enrolled.
    fn complete(&self, client: &Client) -> Result<Registration, Error> {
        let state = &self.0;
        if let Some(token) = &state.token {
            let request = ValidateRegistration::new(token.clone());
            let answer = client.validate_authenticator_registration(state.id(), &request)?;
            return validated(state, answer);
        }
        let by_id = state.user_id.filter(|id| !id.is_nil()).map(UserKey::Id);
        let key = by_id
            .or_else(|| state.user.clone())
            .ok_or_else(|| Error::invalid("the pending state names no user"))?;
        let user = client.get_user(key)?;
        let user = registered(state, Some(user.user_id), user.username)?;
        Ok(Registration::Registered(Box::new(user)))
    }
}

impl PendingWebauthnRegistration {
    /// The registration.
    #[must_use]
    pub fn registration_id(&self) -> Uuid {
        self.0.id()
    }

    /// Takes the page's JSON, finishes and, under v4, validates. The JSON
    /// needs `id`, `attestation_object` and `client_data`.
    ///
    /// Calls [`Client::finish_webauthn_registration`] (or that for a user) and
    /// [`Client::validate_webauthn_registration`] and fails as they do, with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the JSON lacks a member or the client
    /// speaks another version, and with [`Mismatch`](crate::ErrorKind::Mismatch) if an answer
    /// is about another user.
    pub fn complete(&self, client: &Client, page_json: &str) -> Result<Registration, Error> {
        let state = &self.0;
        state.check(client)?;
        let page = page_object(page_json)?;
        let member = |name: &str| {
            page.get(name)
                .and_then(Value::as_str)
                .ok_or_else(|| Error::invalid(format!("what the page sent lacks {name}")))
        };
        let data = Fido2RegistrationData::new(
            member("id")?,
            member("attestation_object")?,
            member("client_data")?,
        );
        let sig = state.aa_sig.clone().unwrap_or_default();
        let mut request = FinishWebauthnRegistration::new(sig, data);
        request
            .webauthn_client_id
            .clone_from(&state.webauthn_client_id);
        let id = state.id();
        let answer = match &state.user {
            Some(user) if state.for_user => {
                client.finish_webauthn_registration_for_user(user, id, &request)?
            }
            _ => client.finish_webauthn_registration(id, &request)?,
        };
        if state.version == ApiVersion::V3 {
            let user = registered(state, answer.user_id, answer.username)?;
            return Ok(Registration::Registered(Box::new(user)));
        }
        let token = token(
            answer.registration_validation_token,
            "finish_webauthn_registration",
        )?;
        validated(
            state,
            client.validate_webauthn_registration(id, &ValidateRegistration::new(token))?,
        )
    }
}

impl PendingMagiclinkRegistration {
    /// Takes the URL, or the query string, that the user's browser arrived
    /// with, and validates. Calls
    /// [`Client::validate_magiclink_email_registration`] and fails as that
    /// does, with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the URL lacks a parameter or
    /// has one twice, or the client speaks another version, and with
    /// [`Mismatch`](crate::ErrorKind::Mismatch) if the link belongs to another user, address or
    /// purpose.
    pub fn complete(&self, client: &Client, url_or_query: &str) -> Result<Registration, Error> {
        let state = &self.0;
        state.check(client)?;
        let callback = Callback::parse(url_or_query)?;
        let token = required(
            callback.registration_validation_token,
            "registration_validation_token",
        )?;
        let mut request = ValidateMagiclinkEmailRegistration::new(token);
        let id = match state.version {
            ApiVersion::V3 => None,
            ApiVersion::V4 => Some(required(callback.registration_id, "registration_id")?),
        };
        request.ip_address.clone_from(&state.ip_address);
        request.user_agent.clone_from(&state.user_agent);
        let answer = client.validate_magiclink_email_registration(id, &request)?;

        let Some((purpose, address)) = &state.mail else {
            return Err(Error::invalid(
                "the pending state says not what the mail was for",
            ));
        };
        if answer
            .magiclink_email_registration_type
            .as_ref()
            .is_some_and(|found| found != purpose)
        {
            return mismatch("the link is for another purpose");
        }
        // A new user's name is the address.
        let known_by = answer.email_address.as_ref().or(answer.username.as_ref());
        let is_new = *purpose == MagiclinkEmailRegistrationType::NewUser;
        match known_by.filter(|_| is_new || answer.email_address.is_some()) {
            Some(found) if found.eq_ignore_ascii_case(address) => {}
            None if !is_new => {}
            _ => return mismatch("the link is for another address"),
        }
        let mut user = registered(state, answer.user_id, answer.username)?;
        user.email_address = answer.email_address;
        user.context_data = answer.context_data;
        user.is_validated = true;
        Ok(Registration::Registered(Box::new(user)))
    }
}

/// What a v4 validate call says.
fn validated(state: &State, answer: ValidateRegistrationResponse) -> Result<Registration, Error> {
    let mut user = registered(state, answer.user_id, answer.username)?;
    user.credential_id = answer.credential_id;
    user.is_validated = true;
    Ok(Registration::Registered(Box::new(user)))
}

/// The user who was registered, if it is the one who was meant.
fn registered(
    state: &State,
    user_id: Option<Uuid>,
    username: Option<Private>,
) -> Result<RegisteredUser, Error> {
    let Some(user_id) = user_id.filter(|id| !id.is_nil()) else {
        return mismatch("it does not say who registered");
    };
    let expected = Expected {
        user: state.user.clone(),
        started_for: state.user_id,
        // The service may write a name in its own way.
        ignore_case: true,
        ..Expected::default()
    };
    check_user(user_id, username.as_ref(), &expected)?;
    Ok(RegisteredUser {
        user_id,
        username,
        email_address: None,
        credential_id: None,
        context_data: ContextData::new(),
        is_validated: false,
    })
}

fn failed(status: RegistrationStatus) -> Registration {
    match status {
        RegistrationStatus::Declined => Registration::Declined,
        RegistrationStatus::Timeout => Registration::TimedOut,
        RegistrationStatus::ValidationTimeout => Registration::ValidatedTooLate,
        RegistrationStatus::SecurityException => Registration::RefusedForSecurity,
        RegistrationStatus::InvalidSignature => Registration::FailedSignature,
        // Only the failures above end a wait.
        _ => Registration::StillPending,
    }
}
